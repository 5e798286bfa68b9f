"""The Import page in Chromium: a date that can be read two ways is asked, answered in the table, and comes in."""

import numpy as np
import pytest

from echo2ecg_core.echo.clip import EchoClip
from echo2ecg_core.echo.video import decode_video, encode_mp4
from echo2ecg_core.intake.ingest import ingest
from echo2ecg_core.intake.waiting_clips import decisions
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from tests.browser.running_app import chromium, running_app, settled

pytestmark = pytest.mark.browser
ROW_PX = 31


def choose_day_first(page) -> None:
    """Click the dates of "Datum" in the table of columns and write "day first" there."""
    table = page.locator('[data-testid="stDataFrame"]').first
    table.evaluate("table => table.scrollIntoView({block: 'center'})")
    page.wait_for_timeout(1500)
    box = table.bounding_box()
    page.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + 3.5 * ROW_PX)
    for keys in ("Enter", "day first", "Enter"):  # the canvas draws between them
        page.wait_for_timeout(1200)
        page.keyboard.type(keys) if " " in keys else page.keyboard.press(keys)


def test_an_order_of_dates_told_in_the_table_settles_the_import(tmp_path):
    folder, place = tmp_path / "hospital", Workspace(tmp_path / "w")
    folder.mkdir()
    rows = [f"P{i};S{i};0{i}/0{i + 1}/2024;{50 + i}" for i in range(1, 6)]
    (folder / "values.csv").write_text("\n".join(["Pat-Nr;Untersuchungsnummer;Datum;EF (%)", *rows]) + "\n")
    with running_app(place.folder) as address, chromium() as page:
        page.goto(f"{address}/import")
        path = page.get_by_label("Full path of the folder")
        path.fill(str(folder))
        path.press("Enter")
        asked = page.get_by_text("to settle before anything comes in")
        asked.wait_for(timeout=60_000)
        page.get_by_text("More: layout, a table of labels, ids").click()
        page.get_by_text("Keep ids, dates and ages as they are").click()
        page.get_by_text("Ids, dates and ages stay as they are").wait_for()
        for _ in range(4):  # the canvas of the table follows the page some time later; a click may come too early
            if not asked.count():
                break
            choose_day_first(page)
            page.wait_for_timeout(4000)
        assert not asked.count()
        page.wait_for_timeout(1500)  # what stood below the table moves up
        page.get_by_role("button", name="Import", exact=True).click()
        page.get_by_text("Added 0 ECGs, 5 studies").wait_for(timeout=120_000)
        assert not page.problems
    studies = Catalog(place).studies()
    assert list(studies.study_date) == [f"2024-0{i + 1}-0{i}" for i in range(1, 6)]
    assert list(studies.lvef) == [51, 52, 53, 54, 55]


def test_a_clip_that_waits_is_drawn_on_and_comes_into_its_study_black_outside(tmp_path):
    from tests.echo.test_deidentify import screen_with_name

    clips, place = tmp_path / "a" / "echo" / "P" / "S", Workspace(tmp_path / "w")
    clips.mkdir(parents=True)
    frames, _ = screen_with_name()
    still = EchoClip(np.repeat(frames[:1], 4, axis=0), 40.0, "MP4", "x")
    (clips / "still.mp4").write_bytes(encode_mp4(still))
    (tmp_path / "a" / "labels.csv").write_text("patient_id,study_id,lvef\nP,S,55\n")
    assert ingest(tmp_path / "a", place, cohort="ward").waiting == 1
    with running_app(place.folder) as address, chromium() as page:
        page.goto(f"{address}/import")
        page.get_by_text("1 clip to look at").wait_for()
        settled(page)
        page.get_by_role("button", name="Sector", exact=True).click()
        settled(page)
        end = page.get_by_label("Handle 2 of outline 1")
        end.scroll_into_view_if_needed()
        box = end.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + 60, box["y"] - 90, steps=5)
        page.mouse.up()
        settled(page)
        page.get_by_role("button", name="Accept").click()
        page.get_by_text("The clip is in study").wait_for()
        assert page.hosts <= {"localhost", None} and not page.problems  # None: the picture, which has no address
    (row,) = Catalog(place).clips().itertuples()
    frames, _, _ = decode_video(Catalog(place).clip_content(row.clip_id))
    assert frames[:, :20].max() < 12 and frames[:, 60:140, 150:170].mean() > 20 and decisions(place).who[0]
