"""No page jumps while it loads."""

import pytest

from tests.browser.layout_shift import MOST, PHONE, paths, shifts

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_no_page_jumps_while_it_loads(visit, served):
    desk, phone = visit(), visit(width=PHONE["width"])
    found = shifts([desk, phone], served, paths(desk))
    assert len(found) == 10 and max(max(both) for both in found.values()) < MOST, found
