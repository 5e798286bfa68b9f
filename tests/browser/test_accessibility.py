"""axe-core finds nothing serious on any page, light or dark."""

import pytest
from pydicom.data import get_testdata_file

from tests.browser.accessibility import serious_findings
from tests.browser.running_app import settled

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DICOM = get_testdata_file("waveform_ecg.dcm")


def test_no_page_breaks_a_serious_rule_of_accessibility_in_light_or_dark(visit):
    page = visit()
    page.set_input_files("input[type=file]", DICOM)
    page.get_by_text("LV ejection fraction").first.wait_for()
    links = page.locator("[data-testid=stSidebarNavLink]")
    for i in range(links.count()):
        links.nth(i).click()
        settled(page)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(300)
            assert serious_findings(page) == [], (links.nth(i).inner_text(), scheme)
