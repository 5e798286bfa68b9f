"""Jobs: each is done once, a lost one comes back, a cancelled one stops at its next report."""

import pytest

from echo2ecg_core.errors import Echo2ECGError, StoreError
from echo2ecg_core.store import jobs
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.worker import WORKFLOWS, run_job, work


@pytest.fixture
def place(tmp_path):
    return Workspace(tmp_path)


def test_the_same_open_job_is_queued_once(place):
    first = jobs.queue(place, "map", {"model": "a"})
    assert jobs.queue(place, "map", {"model": "a"}) == first != jobs.queue(place, "map", {"model": "b"})
    assert [j.state for j in jobs.jobs(place)] == ["queued", "queued"]


def test_a_job_goes_to_one_worker_only_and_oldest_first(place):
    numbers = [jobs.queue(place, "map", {"n": n}) for n in range(3)]
    claimed = [jobs.claim(place, f"w{n}").job_id for n in range(3)]
    assert claimed == numbers and jobs.claim(place, "late") is None


def test_a_silent_workers_job_goes_back_to_the_queue_and_a_beating_one_does_not(place, monkeypatch):
    number = jobs.queue(place, "map")
    jobs.claim(place, "w1")
    now = [jobs.time.time()]
    monkeypatch.setattr(jobs.time, "time", lambda: now[0])
    now[0] += jobs.LOST_AFTER_S - 1
    assert jobs.claim(place, "w2") is None
    jobs.report(place, number, 0.5, "half")
    now[0] += jobs.LOST_AFTER_S - 1
    assert jobs.claim(place, "w2") is None
    now[0] += 2
    assert jobs.claim(place, "w2").job_id == number


def test_a_cancelled_job_stops_at_its_next_report(place):
    number = jobs.queue(place, "map")
    jobs.claim(place, "w1")
    jobs.cancel(place, number)
    with pytest.raises(jobs.Cancelled):
        jobs.report(place, number, 0.2, "going on")
    assert jobs.job(place, number).state == "cancelled"


@pytest.mark.parametrize(("raised", "state", "words"), [
    (None, "done", "Fine."), (Echo2ECGError("Disk full.", "Free some."), "failed", "Disk full. Free some."),
    (KeyError("secret name"), "failed", "unexpected KeyError"), (MemoryError(), "failed", "ran out of memory")])
def test_a_worker_writes_how_each_job_ended(place, monkeypatch, capsys, raised, state, words):
    def workflow(workspace, parameters, progress):
        progress(0.5, "half")
        if raised:
            raise raised
        return "Fine."

    monkeypatch.setitem(WORKFLOWS, "map", workflow)
    number = jobs.queue(place, "map")
    assert work(place) == 1
    job = jobs.job(place, number)
    assert job.state == state and words in job.message and "secret" not in job.message
    assert job.progress == (1.0 if state == "done" else 0.5)


def test_an_unknown_kind_of_job_fails_in_words(place):
    jobs.queue(place, "dance")
    run_job(place, jobs.claim(place, "w"))
    assert "no job of the kind 'dance'" in jobs.jobs(place)[0].message


def test_a_job_that_is_not_there_is_said_in_words(place):
    with pytest.raises(StoreError, match="no job 7"):
        jobs.job(place, 7)
