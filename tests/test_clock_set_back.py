"""The clock of the machine is set back by a day while work goes on: nothing is lost, done twice, or called older."""

import json
import os
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from echo2ecg_core.store import audit, corrections, jobs
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.vectors import append_vectors, load_vectors
from echo2ecg_core.worker import work

DAY_S = 86400.0


@pytest.fixture
def place(tmp_path):
    made = Workspace(tmp_path / "w")
    Catalog(made).add_patient("P1", split="test", cohort="c", synthetic=True)
    Catalog(made).add_study("S1", "P1", study_date="2026-01-05", phenotypes={"lvef": 50.0})
    return made


@pytest.fixture
def set_back(monkeypatch):
    """Sets the clock back by a day."""

    def set_back():
        real, real_ns = time.time, time.time_ns
        monkeypatch.setattr(time, "time", lambda: real() - DAY_S)
        monkeypatch.setattr(time, "time_ns", lambda: real_ns() - int(DAY_S * 1e9))

        class Earlier(datetime):
            @classmethod
            def now(cls, tz=None):
                return datetime.now(tz) - timedelta(days=1)

        monkeypatch.setattr(audit, "datetime", Earlier)

    return set_back


def test_vectors_that_are_stored_later_count_although_the_clock_says_earlier(place, set_back):
    append_vectors(place.vectors, "ecg", "m", ["E1", "E2"], np.zeros((2, 4), np.float32))
    set_back()
    append_vectors(place.vectors, "ecg", "m", ["E1"], np.ones((1, 4), np.float32))
    found = load_vectors(place.vectors, "ecg", "m")
    assert found.rows(["E1", "E2"]).tolist() == [[1.0] * 4, [0.0] * 4]


def test_a_job_that_runs_goes_on_and_one_that_waits_begins(place, set_back, monkeypatch):
    from echo2ecg_core import worker

    def counts(workspace, parameters, progress):
        progress(0.5, "half")
        set_back()
        jobs.requeue_lost(place)  # what every page does
        assert jobs.claim(place, f"{os.uname().nodename}:1") is None
        time.sleep(worker.WRITE_EVERY_S)
        progress(0.75, "more")
        assert jobs.job(place, parameters["job_id"]).message == "more"
        return "counted"

    monkeypatch.setitem(worker.WORKFLOWS, "map", counts)
    first = jobs.queue(place, "map")
    assert work(place) == 1 and jobs.job(place, first).message == "counted"
    second = jobs.queue(place, "map", {"again": True})
    assert work(place) == 1 and jobs.job(place, second).state == "done"


def test_the_job_of_a_machine_that_is_gone_is_not_waited_for_until_the_clock_has_caught_up(place, set_back):
    number = jobs.queue(place, "map")
    jobs.claim(place, "another-machine:7")
    set_back()
    jobs.requeue_lost(place)
    assert jobs.job(place, number).state == "queued"


def test_a_correction_is_later_than_the_readouts_before_it_and_the_audit_log_never_goes_back(place, set_back):
    jobs.finish(place, jobs.queue(place, "evaluate"), "done", "The report is ready.")
    fitted = datetime.now(UTC).isoformat(timespec="seconds")
    set_back()
    corrections.correct(place, "study", "S1", "lvef", "61", who="Ida", why="measured again")
    assert "1 label was corrected" in corrections.made_older_by(place, fitted)
    times = [entry.at for entry in reversed(audit.entries(place))]
    assert times == sorted(times) and len(times) >= 3 and audit.first_broken(place) is None


def test_every_write_still_raises_the_version_that_caches_are_keyed_by(place, set_back):
    before = place.version()
    set_back()
    Catalog(place).add_study("S2", "P1", phenotypes={"lvef": 40.0})
    assert place.version() == before + 1


def test_an_upload_and_a_log_of_before_are_not_taken_for_old_ones(place, set_back):
    number = jobs.queue(place, "map")
    jobs.finish(place, number, "done", "Done.")
    log = jobs.log_path(place, number)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(json.dumps("a log"))
    set_back()
    jobs.tidy_logs(place)
    assert log.exists()
