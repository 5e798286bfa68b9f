"""No page jumps while it loads."""

import pytest
from pydicom.data import get_testdata_file

from tests.browser.layout_shift import MOST, PHONE, paths, shifts

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_no_page_jumps_while_it_loads(visit, served):
    desk, phone = visit(), visit(width=PHONE["width"])
    desk.set_input_files("input[type=file]", get_testdata_file("waveform_ecg.dcm"))  # it stays open across addresses
    desk.get_by_text("LV ejection fraction").first.wait_for()
    found = shifts([desk, phone], served, paths(desk))
    assert len(found) == 10 and max(max(both) for both in found.values()) < MOST, found
