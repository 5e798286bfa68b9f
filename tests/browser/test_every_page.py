"""Every page, opened by its address on a desk and on a phone: it does not jump, scroll sideways, break a rule of
accessibility, or need what the content security policy forbids."""

import pytest
from pydicom.data import get_testdata_file

from tests.browser.accessibility import serious_findings
from tests.browser.layout_shift import MOST, PHONE, paths, shifts
from tests.browser.running_app import chromium

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SIDEWAYS = "() => { const m = document.querySelector('[data-testid=stMain]'); return m.scrollWidth - m.clientWidth }"


@pytest.fixture(scope="module")
def seen(served):
    """What was met on each page by its path: `shifts` (desk, phone), pixels `sideways` of the phone, what axe found in
    `light` and `dark`; and of all pages together what was `refused`, and script errors."""
    pages, refused = {}, []
    with chromium() as desk, chromium(**PHONE) as phone:
        for window in (desk, phone):
            window.on("console", lambda m: refused.append(m.text) if "Content Security Policy" in m.text else None)
        desk.goto(served)
        desk.set_input_files("input[type=file]", get_testdata_file("waveform_ecg.dcm"))  # stays open across addresses
        desk.get_by_text("LV ejection fraction").first.wait_for()
        for path, moved in shifts([desk, phone], served, paths(desk)):
            pages[path] = {"shifts": moved, "sideways": phone.evaluate(SIDEWAYS)}
            for scheme in ("dark", "light"):
                desk.emulate_media(color_scheme=scheme)
                desk.wait_for_timeout(300)
                pages[path][scheme] = serious_findings(desk)
        yield pages, refused, [*desk.problems, *phone.problems]


def told(pages: dict, what: str) -> dict:
    return {path: met[what] for path, met in pages.items()}


def test_no_page_jumps_while_it_loads(seen):
    found = told(seen[0], "shifts")
    assert len(found) == 10 and max(max(both) for both in found.values()) < MOST, found


def test_no_page_scrolls_sideways_on_a_phone(seen):
    assert set(told(seen[0], "sideways").values()) == {0}, told(seen[0], "sideways")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_breaks_a_serious_rule_of_accessibility(seen, scheme):
    found = told(seen[0], scheme)
    assert not any(found.values()), found


def test_no_page_needs_what_the_policy_forbids(seen):
    _, refused, problems = seen
    assert not refused and not problems
