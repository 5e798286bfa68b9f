"""Jobs in the catalog: each is claimed once, a lost one comes back, a cancelled one can go on. Real processes:
test_worker.py."""

import os
import threading

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


def test_how_long_a_running_job_has_told_nothing_new_counts_from_its_last_change(place, monkeypatch):
    number, now = jobs.queue(place, "map"), 1_700_000_000.0
    monkeypatch.setattr(jobs.time, "time", lambda: now)
    assert jobs.job(place, number).still_s == 0
    jobs.claim(place, "w1")
    now += 60
    assert jobs.job(place, number).still_s == 60
    jobs.report(place, number, 0.2, "going on")
    now += 660
    jobs.report(place, number, 0.2, "going on")  # signs of life, and no progress
    jobs.beat(place, number, "w1")
    assert jobs.job(place, number).still_s == 660
    jobs.report(place, number, 0.2, "going on with the next")
    assert jobs.job(place, number).still_s == 0
    jobs.finish(place, number, "done", "Fine.")
    now += 660
    assert jobs.job(place, number).still_s == 0


@pytest.mark.parametrize(
    ("raised", "state", "words"),
    [
        (None, "done", "Fine."),
        (Echo2ECGError("Disk full.", "Free some."), "failed", "Disk full. Free some."),
        (KeyError("secret name"), "failed", "unexpected KeyError"),
        (MemoryError(), "failed", "ran out of memory"),
    ],
)
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


def test_many_threads_share_many_jobs_without_doing_one_twice(place):
    numbers = [jobs.queue(place, "map", {"n": n}) for n in range(24)]
    claimed = []

    def claims(name):
        while job := jobs.claim(place, name):
            claimed.append(job.job_id)

    threads = [threading.Thread(target=claims, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == numbers


def test_a_stopped_job_is_resumed_under_its_number_and_only_after_its_worker_let_go(place):
    number = jobs.queue(place, "train", {"name": "a"})
    first = jobs.claim(place, "w1")
    jobs.report(place, number, 0.4, "epoch 4", worker="w1")
    jobs.cancel(place, number)
    assert jobs.job(place, number).is_stopping and jobs.job(place, number).message == jobs.STOPPED
    jobs.resume(place, number)
    assert jobs.claim(place, "w2") is None  # w1 may still be writing its checkpoint
    jobs.finish(place, number, "cancelled", "", worker=first.worker)
    assert jobs.job(place, number).state == "queued"
    again = jobs.claim(place, "w2")
    assert (again.job_id, again.progress) == (number, 0.4)


def test_a_late_worker_cannot_write_over_the_one_that_took_its_job(place, monkeypatch):
    number = jobs.queue(place, "map")
    jobs.claim(place, "w1")
    now = [jobs.time.time() + jobs.LOST_AFTER_S + 1]
    monkeypatch.setattr(jobs.time, "time", lambda: now[0])
    assert jobs.claim(place, "w2").job_id == number
    with pytest.raises(jobs.Cancelled):
        jobs.report(place, number, 0.9, "late", worker="w1")
    jobs.finish(place, number, "done", "late", worker="w1")
    assert jobs.job(place, number).state == "running" and jobs.job(place, number).worker == "w2"


def test_only_a_failed_or_stopped_job_can_be_resumed(place):
    number = jobs.queue(place, "map")
    with pytest.raises(StoreError, match=f"Job {number} is queued"):
        jobs.resume(place, number)
    jobs.cancel(place, number)
    jobs.queue(place, "map")
    with pytest.raises(StoreError, match="waits or runs already"):
        jobs.resume(place, number)


def test_a_job_whose_worker_dies_again_and_again_fails_in_words(place, monkeypatch):
    number = jobs.queue(place, "map")
    now = [jobs.time.time()]
    monkeypatch.setattr(jobs.time, "time", lambda: now[0])
    for _ in range(jobs.LOST_AT_MOST):
        assert jobs.claim(place, "w").job_id == number
        now[0] += jobs.LOST_AFTER_S + 1
    assert jobs.claim(place, "w") is None
    assert jobs.job(place, number).state == "failed" and "memory is too small" in jobs.job(place, number).message


def test_a_worker_is_started_once_while_one_works_or_starts(place, monkeypatch):
    started = []
    monkeypatch.setattr(
        jobs.subprocess,
        "Popen",
        lambda command, **options: started.append(command) or type("P", (), {"pid": 1, "wait": lambda self: 0})(),
    )
    jobs.queue(place, "map")
    assert jobs.start_worker(place) == 1 and jobs.start_worker(place) is None
    os.utime(place.logs / "worker.log", (1, 1))
    jobs.claim(place, jobs.this_worker())
    jobs.tend(place)
    assert len(started) == 1
    jobs.finish(place, 1, "done", "")
    jobs.tend(place)
    assert len(started) == 1  # nothing waits
    jobs.queue(place, "map")
    jobs.tend(place)
    assert len(started) == 2
