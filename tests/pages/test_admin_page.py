"""The Admin page: disk, jobs, backups and the audit log of a workspace, each action by an admin only."""

import json
import re
import sqlite3
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from echo2ecg_core.store import audit, jobs
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.worker import work
from pages.ui import admin_gate, resources
from pages.ui.admin import panels
from tests.small_workspace import small_workspace

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def place(tmp_path, monkeypatch):
    place = small_workspace(tmp_path / "w", n_patients=3)
    monkeypatch.setattr(admin_gate, "is_local", lambda peer, headers: True)
    monkeypatch.setattr(resources, "workspace", lambda: place)
    monkeypatch.setattr(jobs, "start_worker", lambda workspace: None)
    return place


@pytest.fixture
def page():
    return AppTest.from_file(ROOT / "pages" / "admin.py", default_timeout=30)


def words(page: AppTest) -> str:
    parts = [e.value for kind in (page.markdown, page.caption, page.error, page.info, page.warning) for e in kind]
    return "\n".join([*parts, *(str(h.proto.body) for h in page.get("html"))]).replace("\\", "")


def failed_job(place):
    number = jobs.queue(place, "evaluate", {"model": "nobody"})
    jobs.claim(place, "w")
    jobs.finish(place, number, "failed", "The disk is full. Free some space, then Resume.", worker="w")
    return number


def choose(page, monkeypatch, row):
    """As a click on a row of the table, which AppTest cannot make."""
    real = panels.st.dataframe

    def dataframe(*args, key=None, **more):
        event = real(*args, key=key, **more)
        if key == "admin_jobs":
            event.selection.rows.append(row)
        return event

    monkeypatch.setattr(panels.st, "dataframe", dataframe)
    return page.run()


def test_without_a_workspace_the_page_says_so_and_makes_none(page, tmp_path, monkeypatch, place):
    monkeypatch.setattr(resources, "workspace", lambda: Workspace(tmp_path / "nothing"))
    page.run()
    assert "There is no workspace yet" in words(page) and not (tmp_path / "nothing").exists() and not page.exception


def test_the_disk_is_told_by_kind(page, place):
    page.run()
    shown = dict(re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", words(page)))
    assert not page.exception and {"All of the workspace", "ECGs and clips", "Vectors", "Models"} <= shown.keys()
    held = sum(f.stat().st_size for f in place.blobs.rglob("*") if f.is_file())
    assert shown["ECGs and clips"] == f"{held / 2**20:,.1f} MB"


def test_a_failed_job_tells_why_and_can_be_dismissed_or_resumed(page, place, monkeypatch):
    number = failed_job(place)
    assert jobs.last_failure(place).job_id == number
    choose(page, monkeypatch, 0)
    assert "The disk is full. Free some space, then Resume." in words(page)
    page.button(key=f"Dismiss_{number}").click().run()
    assert jobs.last_failure(place) is None
    page.button(key=f"Resume_{number}").click().run()
    assert jobs.job(place, number).state == "queued"
    assert [line.action for line in audit.entries(place)[:2]] == ["resume job", "dismiss job"]


def test_an_open_job_is_stopped_by_an_admin_and_by_nobody_else(page, place, monkeypatch):
    number = jobs.queue(place, "map")
    choose(page, monkeypatch, 0)
    monkeypatch.setattr(admin_gate, "is_local", lambda peer, headers: False)
    page.button(key=f"Stop_{number}").click().run()
    assert jobs.job(place, number).is_open and "closed to other computers" in words(page)


def test_backing_up_is_a_job_and_the_copy_is_listed(page, place):
    page.run()
    next(b for b in page.button if b.label == "Back up now").click().run()
    assert [j.kind for j in jobs.jobs(place)] == ["backup"]
    assert work(place) == 1
    page.run()
    assert any("Folder" in table.value.columns for table in page.dataframe) and not page.exception


def test_the_audit_log_is_shown_and_a_broken_chain_is_told(page, place):
    page.run()
    lines = next(t.value for t in page.dataframe if "Did" in t.value.columns)
    assert lines.Did.iloc[-1] == "promote" and "the chain holds" in words(page)
    raw = sqlite3.connect(place.database)
    raw.executescript("DROP TRIGGER audit_is_not_changed; UPDATE audit SET who = 'x' WHERE number = 1;")
    raw.close()
    page.run()
    assert "Line 1 does not follow" in words(page)


def test_logs_of_ended_jobs_are_deleted_after_thirty_days(place):
    import os
    import time

    old, new, open_ = failed_job(place), None, None
    for number in (old, 77):
        path = jobs.log_path(place, number)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps("log"))
    open_ = jobs.queue(place, "map")
    new = jobs.log_path(place, 78)
    for path in (jobs.log_path(place, open_), new):
        path.write_text("log")
    for path in place.logs.glob("*.log"):
        if path != new:
            os.utime(path, (time.time() - 31 * 24 * 3600,) * 2)
    jobs.tidy_logs(place)
    assert sorted(p.name for p in place.logs.glob("job-*.log")) == sorted([new.name, jobs.log_path(place, open_).name])
