"""Backup and restore: the same rows, files and answers, while others write; whole or not at all; nothing lost."""

import hashlib
import json
import shutil
import sqlite3
import subprocess
import threading
from contextlib import closing

import numpy as np
import pytest
from typer.testing import CliRunner

from echo2ecg_core.answers.search import search
from echo2ecg_core.cli import app
from echo2ecg_core.errors import DiskFull, StoreError
from echo2ecg_core.intake.removal import remove
from echo2ecg_core.store import audit, jobs
from echo2ecg_core.store.backup import back_up, facts_of, restore
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.schema import MIGRATIONS
from echo2ecg_core.store.snapshot import snapshot
from echo2ecg_core.store.vectors import load_vectors
from echo2ecg_core.worker import work
from tests.small_workspace import MODEL_ID, prediction, record_of, small_workspace

LATER = ("audit", "jobs", "catalogue", "versions", "written", "sqlite_sequence")


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    return small_workspace(tmp_path_factory.mktemp("made") / "workspace", n_patients=9)


@pytest.fixture
def place(tmp_path, made_once):
    return Workspace(shutil.copytree(made_once.folder, tmp_path / "workspace"))


def rows(place):
    """Every row of every table that holds data, read without our code."""
    with closing(sqlite3.connect(place.database)) as db:
        names = [r[0] for r in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {n: sorted(map(str, db.execute(f"SELECT * FROM {n}"))) for n in names if n not in LATER}


def files(place):
    """Content of every file that answers rest on."""
    names = ("blobs", "vectors", "models", "maps", "reports")
    found = [p for n in names for p in (place.folder / n).rglob("*") if p.is_file()]
    return {str(p.relative_to(place.folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in found}


def answer(place):
    return [(hit.study_id, hit.similarity, hit.phenotypes) for hit in search(prediction(33.0), place)]


def test_a_restored_workspace_holds_the_same_and_answers_with_the_same_numbers(place, tmp_path):
    held, kept, said = rows(place), files(place), answer(place)
    assert len(said) == 9 and len(kept) > 10
    made = back_up(place, tmp_path / "copy")
    assert (
        (made.patients, made.studies, made.ecgs, made.missing)
        == (9, 9, 9, 0)
        == (*list(vars(made).values())[4:6], 9, 0)
    )
    back = Workspace(tmp_path / "elsewhere")
    told = restore(back, tmp_path / "copy")
    assert "Restored 9 patients" in told and rows(back) == held and files(back) == kept and answer(back) == said
    assert rows(place) == held and audit.first_broken(back) is None


def test_what_was_removed_and_added_since_is_undone_and_the_state_before_the_restore_is_kept(place, tmp_path):
    held, said = rows(place), answer(place)
    back_up(place, tmp_path / "copy")
    before = snapshot(place)
    remove(place, patient="P-0003")
    Catalog(place).add_patient("P-new", split="test", cohort="small", synthetic=True)
    Catalog(place).add_ecg("E-new", "P-new", record_of(77))
    changed, version = rows(place), place.version()
    with pytest.raises(StoreError, match="--replace"):
        restore(place, tmp_path / "copy")
    assert rows(place) == changed
    restore(place, tmp_path / "copy", replace=True)
    assert rows(place) == held and answer(place) == said and place.version() > version
    assert list(snapshot(place).ecgs.ecg_id) == list(before.ecgs.ecg_id)  # no page keeps what it had read since
    (kept,) = place.backups.glob("before-restore-*")
    restore(place, kept, replace=True)
    assert rows(place) == changed


def test_the_audit_log_survives_a_restore_whole_and_tells_it(place, tmp_path):
    back_up(place, tmp_path / "copy")
    remove(place, patient="P-0003")
    restore(place, tmp_path / "copy", replace=True)
    actions = [line.action for line in reversed(audit.entries(place))]
    assert actions[-3:] == ["remove", "back up", "restore"] and audit.first_broken(place) is None


def test_jobs_that_were_open_wait_for_a_person_in_a_restored_workspace(place, tmp_path):
    number = jobs.queue(place, "map")
    back_up(place, tmp_path / "copy")
    back = Workspace(tmp_path / "elsewhere")
    restore(back, tmp_path / "copy")
    assert jobs.job(back, number).state == "cancelled" and "restored from a backup" in jobs.job(back, number).message
    jobs.claim(place, "w")
    with pytest.raises(StoreError, match="A job is running"):
        restore(place, tmp_path / "copy", replace=True)


def test_while_others_add_and_remove_every_copy_is_whole(place, tmp_path):
    stop, catalog = threading.Event(), Catalog(place)

    def write():
        for n in range(10_000):
            if stop.is_set():
                return
            catalog.add_patient(f"P{n}", split="test", cohort="more", synthetic=True)
            catalog.add_ecg(f"E{n}", f"P{n}", record_of(1000 + n))
            if n % 3 == 2:
                remove(place, patient=f"P{n - 1}")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for n in range(6):
            assert back_up(place, tmp_path / f"copy{n}").missing == 0
            copy = Workspace(tmp_path / f"copy{n}")
            for row in Catalog(Workspace(shutil.copytree(copy.folder, tmp_path / f"read{n}"))).ecgs().itertuples():
                blob = (copy.blobs / row.blob).read_bytes()
                assert hashlib.sha256(blob).hexdigest() in row.blob
    finally:
        stop.set()
        writer.join()


def test_a_page_that_reads_all_the_time_sees_the_workspace_before_or_after_a_restore(place, tmp_path):
    back_up(place, tmp_path / "copy")
    remove(place, cohort="small")
    seen, stop = set(), threading.Event()

    def read():
        while not stop.is_set():
            seen.add(tuple(Catalog(place).counts().values()))

    reader = threading.Thread(target=read)
    reader.start()
    restore(place, tmp_path / "copy", replace=True)
    stop.set()
    reader.join()
    counts = tuple(Catalog(place).counts().values())
    assert counts[0] == 9 and seen <= {(0, 0, 0, 0), counts}


@pytest.mark.parametrize("harm", ["catalog", "manifest", "blob", "none", "newer"])
def test_a_backup_that_is_not_whole_is_refused_and_changes_nothing(place, tmp_path, harm):
    copy = tmp_path / "copy"
    back_up(place, copy)
    if harm == "catalog":
        with open(copy / "catalog.sqlite", "r+b") as file:
            file.seek(5000)
            file.write(b"x" * 100)
    if harm == "manifest":
        (copy / "backup.json").write_text("{")
    if harm == "blob":
        next(p for p in (copy / "blobs").rglob("*") if p.is_file()).unlink()
    if harm == "none":
        shutil.rmtree(copy)
    if harm == "newer":
        facts = json.loads((copy / "backup.json").read_text())
        (copy / "backup.json").write_text(json.dumps(facts | {"schema": len(MIGRATIONS) + 1}))
    held = rows(place)
    with pytest.raises(StoreError):
        restore(place, copy, replace=True)
    assert rows(place) == held and not list(place.folder.glob(".restoring-*"))
    fresh = Workspace(tmp_path / "fresh")
    with pytest.raises(StoreError):
        restore(fresh, copy)
    assert not fresh.exists()


def test_a_lost_file_of_the_workspace_is_counted_and_the_rest_is_backed_up(place, tmp_path):
    (place.blobs / Catalog(place).ecgs().blob[0]).unlink()
    made = back_up(place, tmp_path / "copy")
    assert made.missing == 1 and "run `check`" in made.sentence()
    restore(Workspace(tmp_path / "elsewhere"), tmp_path / "copy")


@pytest.mark.parametrize("where", ["workspace/inside", "workspace/blobs/x", "there"])
def test_a_place_that_would_mix_with_something_is_refused(place, tmp_path, where):
    (tmp_path / "there").mkdir()
    with pytest.raises(StoreError):
        back_up(place, tmp_path / where)


def test_a_disk_without_room_is_told_and_leaves_no_half_copy(place, tmp_path):
    small = tmp_path / "disk"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", small], capture_output=True).returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    try:
        with pytest.raises(DiskFull):
            back_up(place, small / "copy")
        assert not list(small.iterdir())
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def test_the_job_of_the_admin_page_leaves_a_copy_in_the_workspace(place):
    number = jobs.queue(place, "backup")
    assert work(place) == 1 and jobs.job(place, number).state == "done", jobs.job(place, number).message
    (copy,) = place.backups.iterdir()
    assert facts_of(copy).patients == 9 and not (copy / "backups").exists()


def test_the_terminal_backs_up_and_restores(place, tmp_path):
    run, held = CliRunner(), rows(place)
    made = run.invoke(app, ["backup", str(tmp_path / "copy"), "--workspace", str(place.folder), "--json"])
    assert json.loads(made.stdout)["ecgs"] == 9
    back = tmp_path / "back"
    told = run.invoke(app, ["restore", str(tmp_path / "copy"), "--workspace", str(back), "--json"])
    assert json.loads(told.stdout)["studies"] == 9 and rows(Workspace(back)) == held
    again = run.invoke(app, ["restore", str(tmp_path / "copy"), "--workspace", str(back)])
    assert isinstance(again.exception, StoreError)
    assert np.array_equal(
        load_vectors(Workspace(back).vectors, "ecg_aligned", MODEL_ID).matrix,
        load_vectors(place.vectors, "ecg_aligned", MODEL_ID).matrix,
    )


def test_before_a_migration_the_catalog_of_the_older_program_is_kept(tmp_path):
    place = Workspace(tmp_path)
    raw = sqlite3.connect(place.database)
    raw.executescript(MIGRATIONS[0])
    raw.execute("INSERT INTO patients VALUES ('P1', 'male', 'test', 'c', 1)")
    raw.execute("PRAGMA user_version = 1")
    raw.commit()
    raw.close()
    assert list(Catalog(place).counts().values())[0] == 1
    (kept,) = place.backups.glob("before-schema-*.sqlite")
    with closing(sqlite3.connect(kept)) as older:
        assert older.execute("PRAGMA user_version").fetchone()[0] == 1
        assert older.execute("SELECT patient_id FROM patients").fetchall() == [("P1",)]
    Catalog(Workspace(tmp_path / "new")).add_patient("P", split="test", cohort="c", synthetic=True)
    assert not (tmp_path / "new" / "backups").exists()
