"""A first start on an empty folder, as a person meets it on a busy machine: the demo is complete, every time.

Real processes: the server's `ensure_demo`, a worker with a heartbeat far faster than the usual one, a page that polls,
and as many processes as there are cores that only keep them busy.
"""

import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.intake import demo
from echo2ecg_core.phantom.cohort import write_cohort
from echo2ecg_core.store import jobs
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.vectors import load_vectors

ROOT = Path(__file__).resolve().parents[1]
WORKER = """
import sys
from echo2ecg_core import worker
from echo2ecg_core.answers import map_drawing
from echo2ecg_core.intake import demo
from echo2ecg_core.store.database import Workspace

demo.DEMO_PATIENTS = {"test": 2, "validation": 1, "train": 1}
worker.HEARTBEAT_S, worker.WRITE_EVERY_S = 0.01, 0.0
if sys.argv[2] == "without UMAP":
    map_drawing._umap = lambda vectors, start, dimensions: vectors[:, :dimensions]
worker.work(Workspace(sys.argv[1]))
"""


SERVER = """
import sys
from echo2ecg_core.intake import demo
from echo2ecg_core.store import jobs
from echo2ecg_core.store.database import Workspace

jobs.start_worker = lambda workspace: None
sys.stdin.readline()
place = Workspace(sys.argv[1])
demo.ensure_demo(place)
print(demo.open_workspace(place).model_id, len(demo.example_ecgs(place)))
"""


@contextmanager
def busy_cores():
    """Every core has something else to do."""
    burning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in burning:
            process.kill()
            process.wait()


@contextmanager
def polling(place):
    """What an open page does meanwhile; gives the errors it met."""
    stop, met = threading.Event(), []

    def poll():
        while not stop.wait(0.05):
            try:
                jobs.requeue_lost(place)
                jobs.jobs(place, open_only=True)
                Catalog(place).counts()
            except Echo2ECGError as error:
                met.append(error)

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield met
    finally:
        stop.set()
        thread.join()


def first_start(folder, monkeypatch, map_maker):
    place = Workspace(folder)
    monkeypatch.setattr(jobs, "start_worker", lambda workspace: None)  # the worker below has a small demo
    demo.ensure_demo(place)
    with polling(place) as met:
        worker = subprocess.run(
            [sys.executable, "-c", WORKER, str(place.folder), map_maker], cwd=ROOT, capture_output=True, timeout=900
        )
    (job,) = jobs.jobs(place)
    assert (job.state, worker.returncode, met) == ("done", 0, []), (job.message, worker.stderr[-2000:])
    counts, card = Catalog(place).counts(), demo.open_workspace(place)
    assert counts["patients"] == 4 and demo.is_complete(place)
    assert len(load_vectors(place.vectors, "ecg", card.model_id)) == counts["ecgs"] > 0
    assert len(load_vectors(place.vectors, "study_aligned", card.model_id)) == counts["studies"] > 0


@pytest.mark.slow
def test_a_first_start_beside_an_open_page_is_complete(disk_path, monkeypatch):
    first_start(disk_path, monkeypatch, "without UMAP")  # it compiles for most of a start and writes nothing


@pytest.mark.endurance
def test_ten_first_starts_on_a_busy_machine_are_complete(disk_path, monkeypatch):
    with busy_cores():
        for number in range(10):
            first_start(disk_path / str(number), monkeypatch, "UMAP")


@pytest.mark.slow
def test_servers_that_start_at_the_same_moment_on_one_empty_folder_share_one_demo(disk_path):
    servers = [
        subprocess.Popen(
            [sys.executable, "-c", SERVER, str(disk_path / "w")],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    time.sleep(3)  # their modules are loaded
    for server in servers:
        server.stdin.write("\n")
        server.stdin.flush()
    told = [server.communicate(timeout=300) for server in servers]
    assert [server.returncode for server in servers] == [0] * 3, told
    place = Workspace(disk_path / "w")
    model_id = demo.open_workspace(place).model_id
    assert [out.split() for out, _ in told] == [[model_id, "3"]] * 3
    assert [job.kind for job in jobs.jobs(place)] == ["demo"] and [p.name for p in place.models.iterdir()] == [model_id]


def terminal(*arguments) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "echo2ecg_core", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_two_imports_at_once_on_an_empty_folder_are_both_complete_and_one_waits_for_the_other(disk_path):
    archives = [write_cohort(disk_path / name, 2, seed, ecg_only=True) for name, seed in (("a", 3), ("b", 4))]
    place = Workspace(disk_path / "w")
    with busy_cores():
        running = [
            terminal("import", archive, "--cohort", archive.name, "--workspace", place.folder) for archive in archives
        ]
        told = [process.communicate(timeout=600) for process in running]
    assert [process.returncode for process in running] == [0, 0], told
    assert sorted(job.state for job in jobs.jobs(place)) == ["done", "done"]
    assert Catalog(place).counts()["patients"] == 4 and set(Catalog(place).cohorts()) == {"a", "b"}
    began, ended = zip(*sorted((job.started_at, job.finished_at) for job in jobs.jobs(place)), strict=True)
    assert began[1] >= ended[0]  # each its turn


@pytest.mark.slow
def test_an_import_says_in_the_terminal_what_it_waits_for(disk_path):
    archive = write_cohort(disk_path / "a", 1, 3, ecg_only=True)
    place = Workspace(disk_path / "w")
    other = jobs.queue(place, "demo")
    jobs.claim(place, jobs.this_worker(), other)
    jobs.report(place, other, 0.4, "Simulating echo studies: 4 of 10")
    waiting = terminal("import", archive, "--workspace", place.folder)
    first = waiting.stderr.readline()
    while "Waiting" not in first and first:
        first = waiting.stderr.readline()
    assert "Waiting for another job (demo): Simulating echo studies: 4 of 10 (40%)" in first
    assert Catalog(place).counts()["ecgs"] == 0
    jobs.finish(place, other, "failed", "The disk is full.")
    assert waiting.communicate(timeout=300) and waiting.returncode == 0 and Catalog(place).counts()["ecgs"] > 0


def test_a_demo_that_failed_goes_on_at_the_next_start_and_one_that_was_stopped_or_replaced_does_not(
    disk_path, monkeypatch
):
    monkeypatch.setattr(jobs, "start_worker", lambda workspace: None)
    place = Workspace(disk_path)
    demo.ensure_demo(place)
    (job,) = jobs.jobs(place)
    jobs.finish(place, job.job_id, "failed", "The disk is full.")
    demo.ensure_demo(place)
    assert [(j.job_id, j.state) for j in jobs.jobs(place)] == [(job.job_id, "queued")]
    jobs.cancel(place, job.job_id)
    demo.ensure_demo(place)
    assert jobs.job(place, job.job_id).state == "cancelled"
    jobs.resume(place, job.job_id)
    jobs.finish(place, job.job_id, "failed", "The disk is full.")
    Catalog(place).add_patient("P1", split="test", cohort="Ward 7", synthetic=False)
    demo.ensure_demo(place)
    assert jobs.job(place, job.job_id).state == "failed"  # nobody wants phantoms among real patients
