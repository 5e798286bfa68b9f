"""What the server draws follows the system from light to dark; what a visitor has begun stays."""

import pytest
from pydicom.data import get_testdata_file

from echo2ecg_core.store.catalog import Catalog
from tests.browser.layout_shift import PHONE
from tests.browser.running_app import settled

pytestmark = pytest.mark.browser

DICOM = get_testdata_file("waveform_ecg.dcm")
INK = """(place) => {
  const shadow = document.querySelector(`${place} [data-testid=stBidiComponentIsolated]`)?.shadowRoot;
  return [...(shadow?.querySelectorAll('svg text') ?? [])].at(-1)?.style.fill;
}"""
OTHER_INK = f"([place, before]) => {{ const ink = ({INK})(place); return ink && ink !== before }}"
MAP_INK = "() => document.querySelector('.js-plotly-plot')?._fullLayout?.font.color"
PLAYER = (
    "document.querySelector('.st-key-echo_player "
    "[data-testid=stBidiComponentIsolated]')?.shadowRoot?.querySelector('.player')"
)


@pytest.mark.slow
def test_a_playing_clip_plays_on_while_the_bullseye_turns_dark(visit, served, demo_workspace):
    study_id = Catalog(demo_workspace).studies().study_id.iloc[0]
    page = visit()
    page.goto(f"{served}/studies?study={study_id}")
    page.wait_for_function(f"() => {PLAYER}?.dataset.ready === 'true'")
    page.wait_for_function(f"() => ({INK})('.st-key-bullseye')")
    settled(page)
    page.evaluate(f"() => {{ Object.assign({PLAYER}, {{ since: 'before' }}); {PLAYER}.focus() }}")
    page.keyboard.press("Space")
    before = page.evaluate(INK, ".st-key-bullseye")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(OTHER_INK, arg=[".st-key-bullseye", before])
    settled(page)
    assert page.evaluate(f"() => [{PLAYER}.since, {PLAYER}.dataset.playing]") == ["before", "true"]


@pytest.mark.slow
def test_the_map_turns_dark_on_a_phone_too_and_half_an_id_stays_typed(visit, served):
    page = visit(width=PHONE["width"])
    page.goto(f"{served}/map")
    page.wait_for_function(MAP_INK)
    settled(page)
    page.get_by_label("Find by id").focus()
    page.keyboard.type("half an i")
    before = page.evaluate(MAP_INK)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"(before) => ({MAP_INK})() !== before", arg=before)
    settled(page)
    page.keyboard.type("d")
    assert page.get_by_label("Find by id").input_value() == "half an id"


@pytest.mark.slow
def test_an_open_dialog_stays_and_the_picture_behind_it_follows_once_it_is_closed(visit, served, demo_workspace):
    patient = Catalog(demo_workspace).studies().patient_id.iloc[0]
    page = visit()
    page.goto(f"{served}/cohorts?patient={patient}")
    page.wait_for_function(f"() => ({INK})('.st-key-patient_timeline')")
    settled(page)
    page.get_by_role("button", name="Take this patient out").click()
    page.get_by_role("dialog").get_by_text("This cannot be undone.").wait_for()
    settled(page)
    before = page.evaluate(INK, ".st-key-patient_timeline")
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(1500)
    assert page.get_by_role("dialog").is_visible() and page.evaluate(INK, ".st-key-patient_timeline") == before
    page.keyboard.press("Escape")
    page.wait_for_function(OTHER_INK, arg=[".st-key-patient_timeline", before])
