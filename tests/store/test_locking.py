"""Several processes on one workspace: each waits for its turn, nothing is lost, and a lock is called a lock."""

import ast
import multiprocessing
import re
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from echo2ecg_core.errors import StoreError, WorkspaceBusy
from echo2ecg_core.store import database, jobs
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.new_rows import NewPatient, NewStudy
from echo2ecg_core.store.schema import MIGRATIONS

CORE = Path(database.__file__).parents[1]
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def place(disk_path):
    return Workspace(disk_path / "w")


def add_people(folder, name, n):
    """What an import does beside its worker's heartbeat: look, then write, batch by batch."""
    place = Workspace(folder)
    job = jobs.queue(place, "map", {"name": name})
    for batch in range(n):
        people = [f"{name}-{batch}-{i}" for i in range(5)]
        with place.write():
            Catalog(place).add_patients([NewPatient(person, "train", "c", True) for person in people])
            Catalog(place).add_studies(
                [NewStudy(f"S-{person}", person, phenotypes={"lvef": 50.0}) for person in people]
            )
        jobs.beat(place, job, "nobody")


def look_around(folder, stop):
    place = Workspace(folder)
    while not stop.is_set():
        counts = Catalog(place).counts()
        assert counts["patients"] == counts["studies"], counts  # a batch is seen whole or not at all
        jobs.jobs(place)


def together(*tasks):
    """Run functions in processes of their own; their exit codes."""
    processes = [SPAWN.Process(target=function, args=arguments) for function, *arguments in tasks]
    for process in processes:
        process.start()
    for process in processes:
        process.join(180)
    return [process.exitcode for process in processes]


@pytest.mark.slow
def test_writers_and_readers_in_six_processes_on_an_empty_folder_all_come_through(place):
    stop = SPAWN.Event()
    readers = [SPAWN.Process(target=look_around, args=(place.folder, stop)) for _ in range(2)]
    for reader in readers:
        reader.start()
    codes = together(*[(add_people, place.folder, f"w{n}", 30) for n in range(4)])
    stop.set()
    for reader in readers:
        reader.join(60)
    assert codes == [0] * 4 and [reader.exitcode for reader in readers] == [0, 0]
    assert Catalog(place).counts()["studies"] == 4 * 30 * 5


def test_a_transaction_that_looks_first_and_writes_then_is_not_refused_while_others_commit(place):
    """The way of the first start that failed: a deferred transaction reads, another commits, the first cannot write."""
    Catalog(place).add_patient("P0", split="test", cohort="c", synthetic=True)
    with place.write() as db:
        assert db.execute("SELECT count(*) FROM patients").fetchone()[0] == 1
        other = threading.Thread(target=jobs.queue, args=(place, "map"))
        other.start()
        time.sleep(0.2)
        assert other.is_alive()  # it waits; were this transaction deferred, it would have committed in between
        db.execute("INSERT INTO patients VALUES ('P1', NULL, 'test', 'c', 1)")
    other.join(10)
    assert Catalog(place).counts()["patients"] == 2 and [j.kind for j in jobs.jobs(place)] == ["map"]


def test_what_is_read_in_one_connection_is_of_one_moment(place):
    Catalog(place).add_patient("P0", split="test", cohort="c", synthetic=True)
    with place.connect() as db:
        writer = threading.Thread(
            target=lambda: Catalog(place).add_patient("P1", split="test", cohort="c", synthetic=True)
        )
        writer.start()
        writer.join(10)
        assert db.execute("SELECT count(*) FROM patients").fetchone()[0] == 1  # and it did not keep the writer waiting
    assert Catalog(place).counts()["patients"] == 2


def test_a_batch_is_whole_or_absent_and_a_refused_part_leaves_the_rest(place):
    catalog = Catalog(place)
    with pytest.raises(ZeroDivisionError), place.write():
        catalog.add_patient("P1", split="test", cohort="c", synthetic=True)
        catalog.add_study("S1", "P1")
        raise ZeroDivisionError
    assert catalog.counts()["patients"] == 0
    with place.write():
        catalog.add_patient("P1", split="test", cohort="c", synthetic=True)
        with pytest.raises(StoreError, match="two splits"):
            catalog.add_patients([NewPatient("P2", "test", "c", True), NewPatient("P1", "train", "c", True)])
        assert catalog.counts()["patients"] == 1  # seen inside before it is committed, without the refused part
    assert catalog.counts()["patients"] == 1


def hold(path, seconds, mode="IMMEDIATE"):
    """Another program that writes for a while; returns once it holds the lock."""
    held = threading.Event()

    def run():
        raw = sqlite3.connect(path, isolation_level=None)
        raw.execute(f"BEGIN {mode}")
        held.set()
        time.sleep(seconds)
        raw.execute("ROLLBACK")
        raw.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert held.wait(10)
    return thread


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_writer_waits_for_another_program_and_a_reader_does_not(place, mode):
    catalog = Catalog(place)
    catalog.add_patient("P0", split="test", cohort="c", synthetic=True)
    holding = hold(place.database, 3.0, mode)  # longer than SQLite is told to wait by itself
    began = time.monotonic()
    assert catalog.counts()["patients"] == 1 and time.monotonic() - began < 1.5
    catalog.add_patient("P1", split="test", cohort="c", synthetic=True)
    assert time.monotonic() - began > 2.0 and catalog.counts()["patients"] == 2
    holding.join()


@pytest.mark.slow
def test_a_lock_that_stays_is_called_busy_and_sends_nobody_to_a_copy_or_to_the_disk(place, monkeypatch):
    Catalog(place).add_patient("P0", split="test", cohort="c", synthetic=True)
    monkeypatch.setattr(database, "PATIENCE_S", 0.2)
    monkeypatch.setattr(database, "_TURN_S", 0.1)
    holding = hold(place.database, 1.5)
    with pytest.raises(WorkspaceBusy, match="is busy: another process") as refused:
        Catalog(place).add_patient("P1", split="test", cohort="c", synthetic=True)
    assert "copy" not in str(refused.value) and "disk" not in str(refused.value).lower()
    assert "try again" in refused.value.hint
    holding.join()


@pytest.mark.parametrize(
    "seconds", [pytest.param(4, marks=pytest.mark.slow), pytest.param(60, marks=pytest.mark.endurance)]
)
def test_a_worker_waits_for_a_program_that_keeps_the_catalog_and_loses_nothing(place, monkeypatch, seconds):
    from echo2ecg_core import worker

    def adds_people(workspace, parameters, progress):
        for n in range(20):
            if n == 5:
                holding.append(hold(workspace.database, seconds))
            Catalog(workspace).add_patient(f"P{n}", split="test", cohort="c", synthetic=True)
            progress(n / 20, f"{n} of 20")
        return "All are there."

    holding = []
    monkeypatch.setitem(worker.WORKFLOWS, "map", adds_people)
    monkeypatch.setattr(worker, "HEARTBEAT_S", 0.5)
    number, began = jobs.queue(place, "map"), time.monotonic()
    worker.work(place)
    assert time.monotonic() - began > seconds - 0.5
    job = jobs.job(place, number)
    assert (job.state, job.message, Catalog(place).counts()["patients"]) == ("done", "All are there.", 20)
    assert jobs.log_path(place, number).read_text().count("begins at") == 1
    holding[0].join()


def opens(folder, go):
    go.wait()
    place = Workspace(folder)
    with place.connect() as db:
        assert db.execute("SELECT version FROM catalogue").fetchone()[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("start", ["nothing", "rollback journal"])
def test_processes_that_open_a_folder_at_the_same_moment_make_one_schema(place, start):
    """Two servers on an empty folder, or on a workspace of an older program that was copied without WAL mode."""
    if start != "nothing":
        place.folder.mkdir()
        raw = sqlite3.connect(place.database)
        raw.executescript(MIGRATIONS[0] + "PRAGMA user_version = 1")
        raw.close()
    go = SPAWN.Event()
    processes = [SPAWN.Process(target=opens, args=(place.folder, go)) for _ in range(4)]
    for process in processes:
        process.start()
    time.sleep(2)
    go.set()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 4
    with place.connect() as db:
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_every_write_to_the_catalog_raises_its_version_and_jobs_and_repeats_do_not(place):
    assert place.version() == 0 and not place.exists()
    catalog, seen = Catalog(place), [0]

    def changed():
        seen.append(place.version())
        return seen[-1] > seen[-2]

    catalog.add_patient("P1", split="test", cohort="c", synthetic=True)
    assert changed()
    catalog.add_study("S1", "P1", phenotypes={"lvef": 50.0})
    assert changed()
    clip = catalog.add_clip("S1", b"a", fps=30, n_frames=16, format="DICOM")
    assert changed()
    catalog.set_views({clip: ("A4C", 0.9)})
    assert changed()
    catalog.add_patient("P1", split="test", cohort="c", synthetic=True)
    catalog.add_study("S1", "P1", phenotypes={"lvef": 50.0})
    catalog.add_clip("S1", b"a", fps=30, n_frames=16, format="DICOM")
    jobs.report(place, jobs.claim(place, jobs.queue(place, "map") and "w").job_id, 0.5, "half")
    assert not changed()
    catalog.add_study("S1", "P1", phenotypes={"lvef": 51.0})
    assert changed()


def test_the_version_of_a_folder_made_anew_is_none_that_was_before(place, disk_path):
    Catalog(place).add_patient("P1", split="test", cohort="c", synthetic=True)
    before = place.version()
    again = Workspace(disk_path / "again")
    Catalog(again).add_patient("P1", split="test", cohort="c", synthetic=True)
    assert again.version() > before


def test_a_full_database_is_a_full_disk_in_words(place):
    """SQLite's own refusal, asked for by a limit on its pages; a real full disk: test_full_disk.py."""
    catalog = Catalog(place)
    catalog.add_patient("P0", split="test", cohort="c", synthetic=True)
    with (
        pytest.raises(StoreError, match="disk of the workspace is full.*Free some space.*Resume"),
        place.write() as db,
    ):
        db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
        db.executemany(
            "INSERT INTO patients VALUES (?, NULL, 'test', ?, 1)", [(f"P{n:09d}", "c" * 500) for n in range(200)]
        )
    assert catalog.counts()["patients"] == 1


@pytest.mark.slow
def test_nothing_in_the_program_writes_through_a_reading_connection():
    """The fault that this file stands against: a deferred transaction that turns into a writer."""
    writing = []
    for path in sorted(CORE.rglob("*.py")):
        source = path.read_text()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.With) and any(".connect(" in ast.unparse(item) for item in node.items):
                text = ast.get_source_segment(source, node)
                if re.search(r"\b(INSERT|UPDATE|DELETE|REPLACE|CREATE|ALTER|DROP)\b", text):
                    writing.append(f"{path.relative_to(CORE)}:{node.lineno}")
    assert not writing
