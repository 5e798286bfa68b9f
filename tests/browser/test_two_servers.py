"""Two servers of the dashboard on one workspace: each page shows what a third process wrote just before."""

import pytest

from echo2ecg_core.store.catalog import Catalog
from tests.browser.running_app import chromium, running_app, settled
from tests.small_workspace import mapped_workspace

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_two_servers_show_what_a_third_process_wrote(tmp_path):
    workspace = mapped_workspace(tmp_path / "w")
    with running_app(workspace.folder) as one, running_app(workspace.folder) as other, chromium() as page:
        for number, address in enumerate((one, other, one, other)):
            Catalog(workspace).add_study(f"X-{number}", "P-0001", study_date="2026-01-06")
            page.goto(f"{address}/studies")
            page.get_by_role("button", name="Start from a study").click()
            page.get_by_placeholder(f"one of {13 + number}").wait_for()
            settled(page)
        assert not page.problems and page.hosts - {None} == {"localhost"}
