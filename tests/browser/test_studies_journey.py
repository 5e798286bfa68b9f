"""From an uploaded ECG to a playing study and to a lasso on the map, in Chromium, with nothing leaving this machine.

The clips carry their frame number: the journey compares canvases with the decoded files, not with what the player says.
"""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from echo2ecg_core.answers.loaded_model import active_model_card
from echo2ecg_core.answers.maps import build_map
from echo2ecg_core.echo.video import decode_video
from echo2ecg_core.store.catalog import Catalog
from tests.browser.running_app import ROOT, chromium, running_app
from tests.journey_workspace import journey_workspace

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PLAYER = (
    "document.querySelector('.st-key-echo_player "
    "[data-testid=stBidiComponentIsolated]')?.shadowRoot?.querySelector('.player')"
)
READY = f"() => {PLAYER}?.dataset.ready === 'true'"
PICTURES = f"""() => [...{PLAYER}.querySelectorAll('.panel')].map((panel) => ({{
  clip: panel.dataset.clip, frame: Number(panel.dataset.frame),
  png: panel.querySelector('canvas').toDataURL().split(',')[1]
}}))"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    made = journey_workspace(tmp_path_factory.mktemp("journey"))
    build_map(made, active_model_card(made).model_id)
    return made


@pytest.fixture(scope="module")
def page(workspace):
    """The app with an uploaded ECG, on Similar studies, its first study ready to play."""
    with running_app(workspace.folder) as address, chromium() as page:
        page.goto(address)
        page.set_input_files("input[type=file]", get_testdata_file("waveform_ecg.dcm"))
        page.get_by_text("LV ejection fraction").first.wait_for()
        page.get_by_role("link", name="Similar studies").click()
        page.wait_for_function(READY)
        yield page


def scrub(page, frame: int) -> None:
    page.evaluate(
        f"(frame) => {{ const bar = {PLAYER}.querySelector('.scrub'); bar.value = frame; bar.dispatchEvent(new "
        "Event('input')) }",
        frame,
    )


def nearest_frame(workspace, picture: dict) -> int:
    """Number of the stored frame that looks most like a canvas."""
    frames = decode_video(Catalog(workspace).clip_path(picture["clip"]))[0][..., 1].astype(np.float32)
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture["png"]))))[..., 1].astype(np.float32)
    assert shown.shape == frames.shape[1:]
    return int(((frames - shown) ** 2).mean((1, 2)).argmin())


def test_a_scrub_lands_on_the_asked_frame_in_the_reference_view(page, workspace):
    for frame in (0, 17, 5, 31, 30):
        scrub(page, frame)
        reference = page.evaluate(
            f"() => [...{PLAYER}.querySelectorAll('.panel')].findIndex((p) => p.matches('.reference'))"
        )
        picture = page.evaluate(PICTURES)[reference]
        assert page.evaluate(f"() => {PLAYER}.dataset.frame") == str(frame)
        assert picture["frame"] == frame == nearest_frame(workspace, picture)


def test_every_view_shows_the_stored_frame_it_says_it_shows(page, workspace):
    scrub(page, 11)
    pictures = page.evaluate(PICTURES)
    assert len(pictures) >= 3
    for picture in pictures:
        assert nearest_frame(workspace, picture) == picture["frame"]


def test_space_plays_all_views_and_stops_them(page):
    scrub(page, 0)
    before = page.evaluate(PICTURES)
    page.keyboard.press("Space")
    page.wait_for_function(f"() => Number({PLAYER}.dataset.frame) > 3")
    page.keyboard.press("Space")
    after = page.evaluate(PICTURES)
    assert all(a["png"] != b["png"] for a, b in zip(after, before, strict=True))
    assert page.evaluate(f"() => {PLAYER}.dataset.playing") == "false"
    page.wait_for_timeout(300)
    assert page.evaluate(PICTURES) == after


def test_arrows_step_and_digits_enlarge(page):
    scrub(page, 8)
    page.evaluate(f"() => {PLAYER}.focus()")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(f"() => {PLAYER}.dataset.frame") == "9"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(f"() => {PLAYER}.dataset.frame") == "7"
    page.keyboard.press("2")
    wide = page.evaluate(f"() => {PLAYER}.querySelectorAll('.panel')[1].clientWidth / {PLAYER}.clientWidth")
    assert wide > 0.95
    page.keyboard.press("0")
    assert page.evaluate(f"() => {PLAYER}.dataset.large") == "0"


def test_another_hit_opens_another_study_gives_the_old_frames_back_and_asks_nothing_twice(page):
    page.evaluate(
        "() => { window.framesClosed = 0; const close = ImageBitmap.prototype.close; "
        "ImageBitmap.prototype.close = function () { window.framesClosed += 1; close.call(this) } }"
    )
    asked = []
    page.on("request", lambda request: "/clips/" in request.url and asked.append(request.url))
    old = {picture["clip"]: picture["frame"] for picture in page.evaluate(PICTURES)}
    page.evaluate(f"() => {PLAYER}.focus()")
    page.keyboard.press("ArrowDown")
    page.wait_for_function(f"(clip) => {PLAYER}.querySelector('.panel').dataset.clip !== clip", arg=next(iter(old)))
    page.wait_for_function(READY)
    assert page.evaluate("() => window.framesClosed") == 32 * len(old)
    assert len(asked) == len(set(asked)) == page.evaluate(f"() => {PLAYER}.querySelectorAll('.panel').length")
    page.get_by_role("button", name="Filters").click()  # a rerun with the same study
    page.keyboard.press("Escape")
    page.wait_for_timeout(1500)
    assert len(asked) == len(set(asked))


def test_a_clip_without_the_sessions_key_is_refused(page):
    address = page.evaluate(
        "() => performance.getEntriesByType('resource').find((e) => e.name.includes('/clips/')).name"
    )
    answers = page.evaluate(
        "(urls) => Promise.all(urls.map((url) => fetch(url).then((answer) => answer.status)))",
        [address, address.split("?")[0], address.split("key=")[0] + "key=guess"],
    )
    assert answers == [200, 403, 403]


def test_a_lasso_on_the_map_lists_points_as_a_table_with_a_download(page, workspace):
    page.get_by_role("link", name="Map").click()
    page.locator(".js-plotly-plot .plot-container").first.wait_for()
    page.get_by_text("Your ECG").first.wait_for()
    page.wait_for_timeout(1500)
    box = page.locator(".js-plotly-plot").first.bounding_box()
    corners = [(0.02, 0.2), (0.98, 0.2), (0.98, 0.97), (0.02, 0.97), (0.02, 0.21)]
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*at[0])
    page.mouse.down()
    for corner in at[1:]:
        page.mouse.move(*corner, steps=10)
    page.mouse.up()
    page.get_by_text("Selection", exact=True).first.wait_for()
    with page.expect_download() as download:
        page.locator(".stDownloadButton button").click()
    rows = Path(download.value.path()).read_text().splitlines()
    assert rows[0].startswith("x,y,modality,id") and 2 <= len(rows) - 1 <= 24
    assert {row.split(",")[3][:2] for row in rows[1:]} <= {"E-", "S-"}


def test_a_click_opens_a_point_with_the_lasso_in_hand_and_leads_to_its_study(page):
    page.get_by_role("button", name="Clear").click()
    page.get_by_text("No selection").wait_for()
    page.wait_for_timeout(1000)  # the chart is drawn anew and listened to
    where = page.evaluate("""() => {
      const plot = document.querySelector('.js-plotly-plot');
      const [trace, layout] = [plot._fullData.find((t) => t.name === 'study'), plot._fullLayout];
      return { id: trace.customdata[2][0], x: layout.xaxis.l2p(trace.x[2]) + layout._size.l,
      y: layout.yaxis.l2p(trace.y[2]) + layout._size.t };
    }""")
    box = page.locator(".js-plotly-plot").first.bounding_box()
    page.mouse.move(box["x"] + where["x"], box["y"] + where["y"])
    page.wait_for_timeout(500)
    page.mouse.click(box["x"] + where["x"], box["y"] + where["y"], delay=50)
    page.get_by_role("button", name=f"Play the study {where['id']}").click()
    page.wait_for_function(READY)
    page.get_by_text(f"ECGs nearest to the study {where['id']}").wait_for()
    assert f"study={where['id']}" in page.url


def test_nothing_left_this_machine_and_no_script_failed(page):
    assert page.hosts <= {"localhost", None} and page.problems == []


def test_clocks_of_views_agree_with_a_plain_reckoning_of_beats(page):
    """clock.js against interpolation in numpy: the same share of a beat, whatever rate and length the clips have."""
    reference = {"fps": 50, "n_frames": 100, "r_waves": [0.1, 0.9, 1.7]}
    other = {"fps": 30, "n_frames": 40, "r_waves": [0.25, 1.25]}
    script = (ROOT / "pages/ui/studies/player/clock.js").read_text()
    run = """([reference, other, times]) => {
      const clips = [reference, other];
      clips.forEach((clip) => (clip.knots = beatKnots(clip, medianBeat(clips))));
      return times.map((t) => [sameMoment(other, reference, t, 'phase'), sameMoment(other, reference, t, 'time')]);
    }"""
    times = [0.1, 0.3, 0.5, 0.9, 1.1, 1.65]
    answers = page.evaluate(f"(given) => {{ {script}; return ({run})(given) }}", [reference, other, times])
    for t, (phase, time) in zip(times, answers, strict=True):
        share = np.interp(t, [0.1, 0.9, 1.7], [0, 1, 2]) % 1
        assert abs((phase - 0.25) % 1 - share) < 1e-6  # the other heart's beat lasts one second
        assert time == pytest.approx(t % (40 / 30))
