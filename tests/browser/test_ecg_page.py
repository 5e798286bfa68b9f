"""The main journey in Chromium: a real ECG in, paper true to the pixel, a prediction out, nothing sent elsewhere."""

import json
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydicom.data import get_testdata_file

from tests.browser.running_app import ROOT, chromium, settled

pytestmark = pytest.mark.browser

DICOM = get_testdata_file("waveform_ecg.dcm")
SCREENSHOT = ROOT / "assets" / "screenshots" / "ecg.png"
PAPER = ".st-key-ecg_paper "
SHEET, TRACES, PULSE, READING = (PAPER + css for css in ("svg", ".trace", ".pulse", ".reading"))


@pytest.fixture(scope="module")
def window():
    """One browser for all tests of this file."""
    with chromium() as page:
        yield page


@pytest.fixture
def tab(window):
    """A visitor of their own, with the hosts asked and the script errors noted."""
    page = window.context.browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(60_000)
    page.hosts, page.problems = set(), []
    page.on("request", lambda request: page.hosts.add(urlsplit(request.url.removeprefix("blob:")).hostname))
    page.on("websocket", lambda socket: page.hosts.add(urlsplit(socket.url).hostname))
    page.on("console", lambda message: page.problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    yield page
    page.close()


def open_ecg(tab, address: str, query: str = "") -> None:
    tab.goto(address + query)
    tab.wait_for_selector("input[type=file]", state="attached")
    tab.set_input_files("input[type=file]", DICOM)
    tab.get_by_role("tab", name="Phenotypes").wait_for()
    tab.locator(TRACES).first.wait_for()
    settled(tab)  # what arrives above the paper moves it


def test_a_dropped_ecg_becomes_a_prediction_and_no_request_leaves_this_machine(tab, served):
    open_ecg(tab, served)
    card = tab.locator(".st-key-lvef_card")
    assert re.search(r"\d+\s*%\s*\d+–\d+\u202f% 90\u202f% interval", card.inner_text().replace("\n", " "))
    notice = tab.locator(".st-key-notice_amber, .st-key-notice_quiet")
    assert "training data" in notice.inner_text()
    assert notice.bounding_box()["y"] < card.bounding_box()["y"]
    assert tab.locator(".phenotypes tbody tr").count() >= 5
    assert tab.hosts - {None} == {"localhost"} and not tab.problems  # None: data written into the page itself
    if os.environ.get("ECHO2ECG_SAVE_SCREENSHOTS") == "1":
        tab.wait_for_timeout(1500)
        SCREENSHOT.parent.mkdir(parents=True, exist_ok=True)
        tab.screenshot(path=SCREENSHOT)


@pytest.mark.parametrize(("width", "pixels"), [(1440, 15), (1320, 12), (1024, 14), (1800, 21)])
def test_five_millimetres_of_paper_are_whole_pixels_and_ten_seconds_fill_the_sheet(tab, served, width, pixels):
    tab.set_viewport_size({"width": width, "height": 900})
    open_ecg(tab, served)
    tile = tab.locator(PAPER + "pattern")
    assert [tile.get_attribute(side) for side in ("width", "height")] == [str(pixels)] * 2
    pulse = tab.locator(PULSE).first.evaluate("path => { const b = path.getBBox(); return [b.width, b.height] }")
    assert pulse == pytest.approx([1.4 * pixels, 2 * pixels], abs=0.02)  # 200 ms and a foot on each side; 1 mV
    sheet = tab.locator(SHEET).bounding_box()
    assert sheet["height"] >= 104 * pixels / 5 - 1  # taller where a trace needs the room
    ends = max(trace["x"] + trace["width"] for trace in (one.bounding_box() for one in tab.locator(TRACES).all()))
    assert ends > sheet["x"] + 0.9 * sheet["width"]


def test_the_calipers_measure_what_the_paper_says(tab, served):
    open_ecg(tab, served)
    tab.keyboard.press("k")
    box = tab.locator(SHEET).bounding_box()
    tab.mouse.move(box["x"] + 200, box["y"] + 90)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 275, box["y"] + 60, steps=4)
    tab.mouse.up()
    assert tab.locator(READING).inner_text() == "1000 ms · 60 bpm · 1.00 mV"
    tab.keyboard.press("m")  # marched out over the whole paper, from edge to edge
    marks = tab.locator(PAPER + ".march").get_attribute("d").count("M")
    assert marks == pytest.approx(box["width"] / 75, abs=1.01)
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowRight")
    assert tab.locator(READING).inner_text() == "1020 ms · 59 bpm · 1.00 mV"
    tab.keyboard.press("Shift+ArrowDown")
    assert tab.locator(READING).inner_text() == "1020 ms · 59 bpm · 1.00 mV"
    tab.mouse.move(box["x"] + 200, box["y"] + 75)  # the left edge, half a second to the right
    tab.mouse.down()
    tab.mouse.move(box["x"] + 237.5, box["y"] + 75, steps=3)
    tab.mouse.up()
    assert tab.locator(READING).inner_text() == "520 ms · 115 bpm · 1.00 mV"
    tab.keyboard.press("m")
    assert tab.locator(PAPER + ".march").count() == 0
    tab.keyboard.press("Escape")
    tab.locator(READING).wait_for(state="hidden")


def test_the_address_holds_the_view(tab, served):
    open_ecg(tab, served, "/?layout=12×1&speed=50")
    assert tab.locator(TRACES).count() == 12
    assert "50\u202fmm/s" in tab.locator(".e2e-caption").first.inner_text()


def test_changing_the_gain_keeps_the_same_paper_and_redraws_it_taller(tab, served):
    open_ecg(tab, served)
    tab.locator(SHEET).evaluate("svg => svg.getRootNode().querySelector('.frame').dataset.kept = 'yes'")
    tab.get_by_role("radio", name="20").click()
    tab.wait_for_function("() => document.body.innerText.includes('20\u202fmm/mV')")
    assert tab.locator(PAPER + ".frame").get_attribute("data-kept") == "yes"
    height = tab.locator(PULSE).first.evaluate("path => path.getBBox().height")
    assert height == pytest.approx(60)


def test_the_report_can_be_taken_along_as_json(tab, served):
    open_ecg(tab, served)
    tab.get_by_text("Export").click()
    with tab.expect_download() as download:
        tab.get_by_text("Report (JSON)").click()
    report = json.loads(Path(download.value.path()).read_text())
    assert report["ecg"]["source"] == "waveform_ecg.dcm"
    assert {row["name"] for row in report["phenotypes"]} >= {"lvef", "lvedv", "lvesv", "lvsv", "ivsd"}
