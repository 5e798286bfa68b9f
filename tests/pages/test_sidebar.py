"""The sidebar tells what is going on: running jobs with per cent, failed ones with their reason, model and
workspace."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from echo2ecg_core.store import jobs
from echo2ecg_core.store.catalog import Catalog
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


def test_a_running_job_that_tells_nothing_new_for_ten_minutes_is_told_with_what_can_be_done(workspace, monkeypatch):
    jobs.queue(workspace, "import")
    job = jobs.claim(workspace, "worker")
    jobs.report(workspace, job.job_id, 0.25, "Reading ECGs: 1 of 4")
    later = jobs.time.time()
    for minutes, told in ((9, False), (11, True)):
        with monkeypatch.context() as at:
            at.setattr(jobs.time, "time", lambda minutes=minutes: later + 60 * minutes)
            jobs.beat(workspace, job.job_id, "worker")
            (text,), _ = sidebar()
        assert ("Nothing new for 11\u202fmin: it may be held up. An admin can stop it" in text) is told


def test_a_queued_job_is_told_as_waiting_and_one_that_has_just_begun_as_starting(workspace):
    jobs.queue(workspace, "map")
    assert "waiting" in sidebar()[0][0]
    jobs.claim(workspace, "worker")
    assert sidebar()[0][0].endswith("Starting")  # the worker loads what it needs and has told nothing yet


def test_a_failed_job_leaves_its_reason(workspace):
    jobs.queue(workspace, "demo")
    job = jobs.claim(workspace, "worker")
    jobs.finish(workspace, job.job_id, "failed", "The disk is full.")
    texts, written = sidebar()
    assert not texts and "Preparing the demo failed." in written and "The disk is full." in written


def test_a_page_reads_the_open_jobs_once_and_what_renews_itself_reads_them_anew(workspace, monkeypatch):
    from pages.ui import sidebar as drawn

    read, asked = jobs.jobs, []
    monkeypatch.setattr(jobs, "jobs", lambda place, **which: asked.append(which) or read(place, **which))
    sidebar()
    assert asked == [{"open_only": True}]
    just_read: list = [[]]
    for _ in range(2):
        drawn._progress(not resources.is_warm(), just_read)
    assert len(asked) == 2 and not just_read


def failed(workspace, kind, parameters, message):
    number = jobs.queue(workspace, kind, parameters)
    jobs.claim(workspace, "worker")
    jobs.finish(workspace, number, "failed", message)
    return number


def buttons(app) -> dict:
    return {button.label: button for button in app.sidebar.button}


def foot() -> AppTest:
    """The foot of the sidebar alone: AppTest cannot run a frame with navigation twice."""
    app = AppTest.from_string("from pages.ui import sidebar\nsidebar.draw()", default_timeout=30).run()
    assert not app.exception
    return app


def written(app) -> str:
    return "".join(h.proto.body for h in app.sidebar.get("html"))


@pytest.mark.slow
def test_a_failed_demo_can_be_tried_again_on_every_page_and_goes_on_under_its_number(workspace, monkeypatch):
    started = []
    monkeypatch.setattr(jobs, "start_worker", started.append)
    number = failed(workspace, "demo", {}, "The disk is full.")
    assert "Retry" in buttons(AppTest.from_file(ROOT / "app.py", default_timeout=30).run())  # the frame of every page
    app = foot()
    buttons(app)["Retry"].click().run()
    assert not app.exception and started
    assert [(j.job_id, j.state) for j in jobs.jobs(workspace)] == [(number, "queued")]
    assert "failed" not in written(app) and "waiting" in app.sidebar.get("progress")[0].proto.text


@pytest.mark.slow
def test_a_demo_is_not_tried_again_where_somebody_has_brought_data_of_his_own(workspace):
    failed(workspace, "demo", {}, "The disk is full.")
    Catalog(workspace).add_patient("P1", split="test", cohort="Ward 7", synthetic=False)
    assert "failed" in written(foot()) and "Retry" not in buttons(foot())


@pytest.mark.slow
def test_an_admin_puts_a_failure_away_for_everybody_and_a_visitor_for_himself(workspace, monkeypatch):
    number = failed(workspace, "import", {"folder": "/data/St Mary/echoes"}, "There is no folder 'echoes' in St Mary.")
    visitor, other = foot(), foot()
    assert "Importing failed." in written(visitor) and "Retry" not in buttons(visitor)
    buttons(visitor)["Dismiss"].click().run()
    assert "failed" not in written(visitor) and "failed" in written(other.run())
    monkeypatch.setattr("pages.ui.admin_gate.is_admin", lambda: True)
    buttons(other.run())["Dismiss"].click().run()
    monkeypatch.undo()
    assert jobs.last_failure(workspace) is None and jobs.job(workspace, number).state == "failed"


@pytest.mark.slow
def test_a_visitor_reads_no_folder_of_the_server_and_an_admin_reads_all(workspace, monkeypatch):
    failed(
        workspace,
        "import",
        {"folder": "/data/St Mary/echoes", "cohort": "A"},
        "There is no folder 'echoes' on this server; looked in /data/St Mary and /srv/other/place. Give the full path.",
    )
    text = written(foot())
    assert "Importing failed." in text and "Give the full path." in text
    assert not any(name in text for name in ("echoes", "St Mary", "/data", "/srv", "other/place"))
    monkeypatch.setattr("pages.ui.admin_gate.is_admin", lambda: True)
    assert "looked in /data/St Mary and /srv/other/place" in written(foot())


def test_a_failure_of_yesterday_is_told_on_the_page_of_its_kind_only(workspace, monkeypatch):
    number = failed(workspace, "import", {"folder": "x"}, "The disk is full.")
    with workspace.write(counts=False) as db:
        db.execute("UPDATE jobs SET finished_at = finished_at - 90000 WHERE job_id = ?", (number,))
    assert "failed" not in written(foot())


def test_a_failure_is_over_once_the_same_kind_of_work_was_begun_again(workspace):
    failed(workspace, "import", {"folder": "x"}, "The disk is full.")
    jobs.queue(workspace, "import", {"folder": "y"})
    jobs.finish(workspace, jobs.claim(workspace, "w").job_id, "done", "Added all.")
    assert jobs.last_failure(workspace) is None and "failed" not in written(foot())


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
