"""Two servers of the dashboard on one workspace: each page shows what a third process wrote just before."""

import pytest

from echo2ecg_core.answers import map_drawing
from echo2ecg_core.store.catalog import Catalog
from tests.browser.running_app import chromium, running_app, settled
from tests.small_workspace import MODEL_ID, small_workspace

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    made = small_workspace(tmp_path / "w", n_patients=12)
    monkeypatch.setattr(map_drawing, "_umap", lambda vectors, start, dimensions: vectors[:, :dimensions])
    map_drawing.build_map(made, MODEL_ID)
    return made


def test_two_servers_show_what_a_third_process_wrote(workspace):
    with running_app(workspace.folder) as one, running_app(workspace.folder) as other, chromium() as page:
        for number, address in enumerate((one, other, one, other)):
            Catalog(workspace).add_study(f"X-{number}", "P-0001", study_date="2026-01-06")
            page.goto(f"{address}/studies")
            page.get_by_role("button", name="Start from a study").click()
            page.get_by_placeholder(f"one of {13 + number}").wait_for()
            settled(page)
        assert not page.problems and page.hosts - {None} == {"localhost"}
