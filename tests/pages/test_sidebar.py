"""The sidebar tells what is going on: running jobs with per cent, failed ones with their reason, model and
workspace."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from echo2ecg_core.store import jobs
from echo2ecg_core.store.database import Workspace
from pages.ui import resources
from tests.pages.prediction_fixture import model_card

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    workspace = Workspace(tmp_path / "ward-7")
    with workspace.connect():
        pass
    card = model_card(tmp_path / "model")
    monkeypatch.setattr(resources, "workspace", lambda: workspace)
    monkeypatch.setattr(resources, "active_model", lambda: card)
    return workspace


def sidebar() -> tuple[list, str]:
    """Progress texts and everything else written in the sidebar."""
    app = AppTest.from_file(ROOT / "app.py", default_timeout=30).run()
    assert not app.exception
    return [bar.proto.text for bar in app.sidebar.get("progress")], "".join(
        h.proto.body for h in app.sidebar.get("html")
    )


def test_a_running_job_is_told_with_name_share_and_what_it_does(workspace):
    jobs.queue(workspace, "demo")
    job = jobs.claim(workspace, "worker")
    jobs.report(workspace, job.job_id, 0.37, "Simulating echo studies: 80 of 220")
    texts, _ = sidebar()
    assert len(texts) == 1
    assert "Preparing the demo" in texts[0] and "37\u202f%" in texts[0] and "80 of 220" in texts[0]


def test_a_queued_job_is_told_as_waiting(workspace):
    jobs.queue(workspace, "map")
    assert "waiting" in sidebar()[0][0]


def test_a_failed_job_leaves_its_reason(workspace):
    jobs.queue(workspace, "demo")
    job = jobs.claim(workspace, "worker")
    jobs.finish(workspace, job.job_id, "failed", "The disk is full.")
    texts, written = sidebar()
    assert not texts and "Preparing the demo failed." in written and "The disk is full." in written


def test_workspace_model_and_research_use_are_always_there(workspace):
    _, written = sidebar()
    assert "ward-7 (empty)" in written
    assert "demo-multiview" in written and "7c1e9a4f" in written and "trained on synthetic hearts" in written
    assert "Research use only. Not a medical device." in written


def test_a_damaged_workspace_is_an_error_in_words(workspace):
    workspace.database.write_bytes(b"this is no database" * 100)
    app = AppTest.from_file(ROOT / "app.py", default_timeout=30).run()
    assert not app.exception
    assert any("catalog" in error.value for error in app.error)
