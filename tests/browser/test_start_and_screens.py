"""What every visitor meets in Chromium: tour, several recordings, tint, contrast, a phone, a picture for a slide."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import TimeoutError
from pydicom.data import get_testdata_file

from tests.browser.running_app import settled

pytestmark = pytest.mark.browser

DICOM = get_testdata_file("waveform_ecg.dcm")
LEAST_CONTRAST = 4.5  # WCAG 2.2, AA, for text
# every text that is seen, in popovers too: its colour over what is painted under it, with the opacity of all around it
FAINT = """() => {
  const rgb = (text) => {
    const canvas = new OffscreenCanvas(1, 1).getContext('2d');
    canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const over = (top, under, alpha) => [0, 1, 2].map((i) => alpha * top[i] + (1 - alpha) * under[i]);
  const light = (c) => {
    const [r, g, b] = c.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || node.closest('style, script, [disabled], [aria-hidden=true]')) continue;
    if (!node.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    const layers = [];
    let opacity = 1;
    for (let at = node; at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    const box = range.getBoundingClientRect();
    for (const at of document.elementsFromPoint(box.x + box.width / 2, box.y + box.height / 2)) {
      const back = rgb(getComputedStyle(at).backgroundColor);
      if (back[3]) layers.unshift(back);
    }
    if (!layers.length) continue;  // scrolled out of sight
    const page = layers.reduce((under, top) => over(top, under, top[3] / 255), [255, 255, 255]);
    const ink = rgb(getComputedStyle(node).color);
    const text = over(ink, page, opacity * ink[3] / 255);
    const [a, b] = [light(text), light(page)].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < LEAST) found.push([contrast.toFixed(2), walker.currentNode.data.trim().slice(0, 40)]);
  }
  return found;
}""".replace("LEAST", str(LEAST_CONTRAST))


def open_example(page) -> None:
    page.locator(".st-key-example_welcome_lbbb button").click()
    page.get_by_role("tab", name="Phenotypes").wait_for()


def test_the_tour_leads_over_five_steps_on_four_pages_and_can_be_left(visit):
    page = visit()
    page.locator(".st-key-tour_begin button").click()
    for step, heading in enumerate(("ECG", "ECG", "Similar studies", "Map", "Report"), start=1):
        page.get_by_text(f"{step} of 5 · {heading}.").wait_for()
        page.get_by_role("heading", level=1, name=heading).wait_for()
        if step < 5:
            page.locator(".st-key-tour_next button").click()
    page.locator(".st-key-tour_next").wait_for(state="detached")
    page.locator(".st-key-tour_end button").click()
    page.locator(".st-key-tour").wait_for(state="detached")
    page.get_by_role("link", name="ECG").click()
    page.get_by_role("tab", name="Phenotypes").wait_for()


def downloaded(page, button: str) -> Path:
    """The file behind a button; one that is pressed while the page is being drawn anew hands nothing over."""
    for attempt in range(4):
        settled(page)
        try:
            with page.expect_download(timeout=20_000) as download:
                page.locator(button).click()
            return download.value.path()
        except TimeoutError:
            assert attempt < 3, f"{button} handed over no file in four tries"


def test_an_upload_of_several_is_a_table_with_estimates_and_next_opens_the_next(visit, tmp_path):
    page = visit()
    for name in ("a.dcm", "b.dcm"):
        (tmp_path / name).write_bytes(Path(DICOM).read_bytes())
    (tmp_path / "c.dcm").write_bytes(b"no ECG")
    page.set_input_files("input[type=file]", [str(tmp_path / name) for name in ("a.dcm", "b.dcm", "c.dcm")])
    page.get_by_text("3 recordings in this upload, 1 could not be read").wait_for()
    page.locator(".st-key-batch_next button").click()
    page.locator(".e2e-title", has_text="b.dcm").wait_for()
    lines = Path(downloaded(page, ".st-key-batch_csv button")).read_text("utf-8-sig").splitlines()
    assert len(lines) == 4 and re.match(r"a\.dcm,,DICOM", lines[1].replace('"', "")) and "c.dcm" in lines[3]


def test_a_reload_keeps_the_open_ecg_and_the_address_opens_it_for_nobody(served, browser):
    context = browser.new_context()
    page = context.new_page()
    page.goto(served)
    open_example(page)
    page.reload()
    page.get_by_role("tab", name="Phenotypes").wait_for()
    page.reload()  # a handle counts once, and the next is there
    page.get_by_role("tab", name="Phenotypes").wait_for()
    other = context.new_page()  # of the same browser
    other.goto(page.url)
    other.get_by_text("No ECG yet.").wait_for()
    settled(other)
    assert other.get_by_text("No ECG yet.").is_visible()
    context.close()


def test_the_tint_lies_under_the_traces_and_its_words_name_the_check(visit):
    page = visit("/?tab=Why+this+estimate")
    open_example(page)
    page.get_by_role("tab", name="Why this estimate").click()
    page.get_by_text("Show it on the trace").click()
    page.get_by_text("Check by deletion.").wait_for()
    paper = page.locator(".st-key-carrying_paper svg")
    paper.locator(".trace").first.wait_for()
    order = paper.evaluate("svg => [...svg.children].map((e) => e.getAttribute('class'))")
    tints = [i for i, name in enumerate(order) if name in ("up", "down")]
    assert len(tints) > 50 and max(tints) < order.index("trace")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_by_4_5_to_1(visit, scheme):
    page = visit(scheme=scheme)
    page.set_viewport_size({"width": 1440, "height": 2000})
    page.get_by_text("Take the tour").wait_for()
    assert page.evaluate(FAINT) == []
    open_example(page)
    settled(page)
    assert page.evaluate(FAINT) == []
    page.get_by_role("button", name="Load another").click()
    page.get_by_text("Or one of the examples:").wait_for()
    settled(page)
    assert page.evaluate(FAINT) == []
    page.keyboard.press("Escape")
    page.get_by_text("Or one of the examples:").wait_for(state="hidden")
    for name in ("Why this estimate", "Earlier ECG", "Provenance"):
        page.get_by_role("tab", name=name).click()
        settled(page)
        assert page.evaluate(FAINT) == [], name


# row headings whose words run into the numbers beside them
RUN_OVER = """() => [...document.querySelectorAll('.e2e-table th[scope=row]')]
  .filter((th) => th.scrollWidth > th.clientWidth).map((th) => th.innerText)"""
PAPER = "document.querySelector('.st-key-ecg_paper [data-testid=stBidiComponentIsolated]').shadowRoot"


def test_on_a_phone_the_sidebar_is_closed_and_the_page_never_scrolls_sideways(visit):
    page = visit(width=390)
    page.get_by_text("Take the tour").wait_for()
    sideways = (
        "() => { const m = document.querySelector('[data-testid=stMain]'); return m.scrollWidth - m.clientWidth }"
    )
    closed = "() => document.querySelector('[data-testid=stSidebar]').getBoundingClientRect().right <= 0"
    page.wait_for_function(closed)
    assert page.evaluate(sideways) <= 0
    open_example(page)
    assert page.evaluate(sideways) <= 0
    interval = page.locator(".phenotypes tbody tr").first.locator("td.num").nth(1).bounding_box()
    assert interval["x"] + interval["width"] <= 390  # an estimate is seen with its interval
    goes_on = f"() => !!{PAPER}.querySelector('.frame.more')"
    page.wait_for_function(goes_on)  # V4 to V6 lie beyond the edge, which has a shadow until one has scrolled there
    page.evaluate(f"() => {{ {PAPER}.querySelector('.scroller').scrollLeft = 9999 }}")
    page.wait_for_function(f"() => !({goes_on})()")
    assert page.locator(".e2e-title span").get_attribute("title") == page.locator(".e2e-title span").inner_text()
    for name in ("Similar studies", "Map", "Report", "ECG"):
        page.locator("[data-testid=stExpandSidebarButton]").click()
        page.get_by_role("link", name=name).click()
        page.get_by_role("heading", level=1, name=name).wait_for()
        page.wait_for_function(closed)
        page.wait_for_timeout(2000)
        assert page.evaluate(sideways) <= 0, name
        assert page.evaluate(RUN_OVER) == [], name
        if name == "Similar studies":
            assert max(page.locator(".verdicts tr").evaluate_all("rows => rows.map((r) => r.offsetHeight)")) < 70
        if name == "Map":
            assert page.locator(".stPlotlyChart").bounding_box()["height"] < 500  # no white above and below the points
    table = page.locator(".e2e-scroll", has=page.locator(".phenotypes")).first
    assert table.evaluate("t => t.scrollWidth > t.clientWidth && t.tabIndex === 0")
    table.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(400)
    assert table.evaluate("t => t.scrollLeft") > 0


def test_a_heading_over_numbers_ends_where_they_end(visit):
    page = visit()
    open_example(page)
    ends = """() => [...document.querySelectorAll('.phenotypes thead th.num')].map((heading) => {
      const end = (cell) => {
        const text = document.createRange();
        text.selectNodeContents(cell);
        return text.getBoundingClientRect().right;
      };
      return end(heading) - end(document.querySelector('.phenotypes tbody tr').cells[heading.cellIndex]);
    })"""
    off = page.evaluate(ends)
    assert len(off) == 2 and max(map(abs, off)) < 1, off


def test_what_has_the_keyboard_is_ringed_in_the_sidebar_too(visit):
    page = visit()
    ring = "() => { const a = document.activeElement; return [a.dataset.testid, getComputedStyle(a).outlineStyle] }"
    for _ in range(3):
        page.keyboard.press("Tab")
    assert page.evaluate(ring) == ["stSidebarNavLink", "solid"]


def test_a_picture_for_a_slide_holds_the_page_and_not_what_surrounds_it(visit):
    page = visit("/?screenshot=1")
    open_example(page)
    assert page.locator("[data-testid=stSidebar]").is_hidden() and page.locator("[data-testid=stHeader]").is_hidden()
    assert page.locator(".st-key-page_head").get_by_text("Load another").is_hidden()
    assert page.locator(".st-key-lvef_card").is_visible()
    assert page.locator(".st-key-page_head").get_by_text("Research use only").is_visible()
