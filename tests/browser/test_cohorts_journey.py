"""Cohorts in Chromium: a value corrected and told, a lasso kept and used as a filter, two cohorts compared, a patient
taken out."""

import re
from pathlib import Path

import numpy as np
import pytest

from echo2ecg_core.answers import map_drawing
from echo2ecg_core.store import kept_cohorts
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.corrections import corrections, removals
from tests.browser.accessibility import serious_findings
from tests.browser.running_app import chromium, running_app, settled
from tests.small_workspace import MODEL_ID, small_workspace

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """Twenty-four patients on a map that is drawn from two numbers of each vector."""
    made = small_workspace(tmp_path_factory.mktemp("cohorts") / "w", 24)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(map_drawing, "_umap", lambda vectors, start, n: vectors[:, :n].astype(np.float32))
        map_drawing.build_map(made, MODEL_ID)
    return made


@pytest.fixture(scope="module")
def page(workspace):
    with running_app(workspace.folder) as address, chromium() as page:
        page.address = address
        yield page


def opened(page, path: str) -> None:
    page.goto(f"{page.address}/{path}")
    page.locator(".stApp h1").first.wait_for()
    settled(page)


def test_a_correction_is_marked_where_it_was_made_and_leaves_as_a_table_with_who_and_when(page, workspace):
    opened(page, "cohorts?cohort=small&patient=P-0002&tab=Corrections")
    page.get_by_text("ECG E-0002", exact=True).wait_for()
    page.get_by_role("button", name="Correct", exact=True).click()
    field = page.get_by_label("Is", exact=True)
    field.fill("2026-01-07")
    field.press("Enter")
    settled(page)
    page.get_by_role("button", name="Save the correction").click()
    page.get_by_text("is 2026-01-07 now; it was 2026-01-05").wait_for()
    settled(page)
    assert list(corrections(workspace)["now"]) == ["2026-01-07"]
    page.get_by_text("Echo study S-0002", exact=True).wait_for()  # the study is the first in time now
    with page.expect_download() as download:
        page.get_by_role("button", name="All corrections (CSV)").click()
    rows = Path(download.value.path()).read_text().splitlines()
    assert len(rows) == 2 and "on the server,ecg,E-0002,ecg_time,2026-01-05,2026-01-07" in rows[1]


def test_a_lasso_is_kept_under_a_name_and_is_a_filter_of_the_map(page, workspace):
    opened(page, "map")
    page.locator(".js-plotly-plot .plot-container").first.wait_for()
    settled(page)
    box = page.locator(".js-plotly-plot").first.bounding_box()
    corners = [(0.02, 0.2), (0.5, 0.2), (0.5, 0.97), (0.02, 0.97), (0.02, 0.21)]
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*at[0])
    page.mouse.down()
    for corner in at[1:]:
        page.mouse.move(*corner, steps=10)
    page.mouse.up()
    page.get_by_role("button", name="Save as cohort").click()
    page.get_by_label("Name", exact=True).fill("Left half")
    page.get_by_label("Name", exact=True).press("Enter")
    settled(page)
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Left half is kept").wait_for()
    settled(page)
    kept = kept_cohorts.members(workspace, ["Left half"])
    assert 2 <= len(kept.ecgs) + len(kept.studies) < 48
    assert "cohort=Left+half" in page.url or "cohort=Left%20half" in page.url
    page.get_by_role("button", name="Use as a filter").click()
    page.get_by_role("button", name="Map", exact=True).click()
    page.get_by_text("No selection").wait_for()
    shown = page.get_by_text(re.compile(r"\d+ ECGs and \d+ studies of")).first.inner_text()
    assert shown.startswith(f"{len(kept.ecgs)} ECGs and {len(kept.studies)} studies of")


def test_two_cohorts_are_compared_and_the_table_leaves_for_a_paper(page, workspace):
    if not kept_cohorts.is_kept(workspace, "Some"):
        kept_cohorts.keep(workspace, "Some", ["E-0001", "E-0004", "E-0009"], [], who="a test", made_from="a list")
    opened(page, "cohorts?cohort=Some&tab=Compare+two")
    page.get_by_text("Characteristics of the cohorts Some and").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="LaTeX").click()
    text = Path(download.value.path()).read_text()
    assert download.value.suggested_filename == "table-1.tex" and r"\toprule" in text and "Simulated hearts" in text
    page.mouse.move(0, 0)  # a button under the mouse has another colour
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        settled(page)
        assert serious_findings(page) == [], scheme


def test_a_phone_shows_the_page_without_scrolling_sideways(page):
    page.set_viewport_size({"width": 390, "height": 844})
    for tab in ("Distributions", "Compare+two"):
        opened(page, f"cohorts?cohort=small&tab={tab}")
        assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0, tab
    page.set_viewport_size({"width": 1440, "height": 900})


def test_a_patient_goes_after_it_was_said_what_goes(page, workspace):
    opened(page, "cohorts?cohort=small&patient=P-0005")
    page.get_by_role("button", name="Take this patient out").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("This cannot be undone.").wait_for()
    assert "1 patient, 1 study, 1 clip, 1 ECG will go" in dialog.inner_text()
    assert "P-0005" in set(Catalog(workspace).ecgs().patient_id)
    dialog.get_by_role("button", name="Take out").click()
    page.get_by_text("Removed 1 patient, 1 study, 1 clip and 1 ECG.").wait_for()
    assert "P-0005" not in set(Catalog(workspace).ecgs().patient_id) and list(removals(workspace).kind) == ["patient"]
    assert page.problems == [] and page.hosts <= {"localhost", None}  # None: a blob
