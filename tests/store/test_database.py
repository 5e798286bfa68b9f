"""The workspace database: made on first use, migrated by number, all or nothing."""

import sqlite3
import threading

import pytest

from echo2ecg_core.errors import StoreError
from echo2ecg_core.findings import Findings
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace, write_atomically
from echo2ecg_core.store.schema import MIGRATIONS


def test_a_workspace_is_made_by_the_first_connection_and_not_before(tmp_path):
    place = Workspace(tmp_path / "new")
    assert not place.exists() and not place.folder.exists()
    with place.connect() as db:
        tables = {r[0] for r in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {"patients", "studies", "phenotypes", "clips", "ecgs", "models", "jobs"} <= tables and place.exists()


def test_an_error_inside_a_transaction_leaves_nothing_behind(tmp_path):
    place = Workspace(tmp_path)
    with pytest.raises(ZeroDivisionError), place.connect() as db:
        db.execute("INSERT INTO patients VALUES ('P1', NULL, 'train', 'c', 1)")
        raise ZeroDivisionError
    with place.connect() as db:
        assert db.execute("SELECT count(*) FROM patients").fetchone()[0] == 0


def test_a_workspace_of_a_newer_program_is_refused_in_words(tmp_path):
    place = Workspace(tmp_path)
    with place.connect():
        pass
    raw = sqlite3.connect(place.database)
    raw.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 3}")
    raw.close()
    with pytest.raises(StoreError, match="newer version"), place.connect():
        pass


def test_a_workspace_of_an_older_program_keeps_its_studies_and_learns_the_new_columns(tmp_path):
    place = Workspace(tmp_path)
    raw = sqlite3.connect(place.database)
    raw.executescript(MIGRATIONS[0] + MIGRATIONS[1])
    raw.execute("INSERT INTO patients VALUES ('P1', 'male', 'test', 'c', 1)")
    raw.execute("INSERT INTO studies VALUES ('S1', 'P1', '2030-01-01', 61)")
    raw.execute("PRAGMA user_version = 2")
    raw.commit()
    raw.close()
    study = Catalog(place).study("S1")
    assert (study.age_years, study.findings) == (61, Findings()) and Catalog(place).studies().rhythm.isna().all()


def test_a_damaged_database_is_reported_in_words(tmp_path):
    place = Workspace(tmp_path)
    place.database.write_bytes(b"this is not a database, it only has its name" * 50)
    with pytest.raises(StoreError, match="cannot be used"), place.connect():
        pass


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    target = tmp_path / "file"
    write_atomically(target, b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError):
        write_atomically(target, b"new content")
    assert target.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["file"]


def test_what_is_kept_open_reads_every_time_anew_and_is_closed_at_the_end(tmp_path, monkeypatch):
    place, opened, connect = Workspace(tmp_path / "w"), [], sqlite3.connect
    assert place.version() == 0
    with place.write() as db:
        db.execute("UPDATE catalogue SET version = 5")
    here = threading.current_thread()

    def counted(*args, **options):
        made = connect(*args, **options)
        opened.extend([made] if threading.current_thread() is here else [])
        return made

    monkeypatch.setattr(sqlite3, "connect", counted)
    with place.kept_open():
        seen = [place.version(), place.version()]
        thread = threading.Thread(target=write_version, args=(place, 2**60))
        thread.start()
        thread.join()
        with place.connect() as outer, place.connect() as inner:
            assert outer is not inner
        assert seen[0] == seen[1] < place.version() == 2**60
        with pytest.raises(ZeroDivisionError), place.connect():
            _ = 1 / 0
        assert place.version() == 2**60
    reads = len(opened)
    assert reads == 3  # the one that stays, the one inside another, the one after the error
    for connection in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")
    place.version()
    assert len(opened) == reads + 1


def write_version(place, version):
    with place.write(counts=False) as db:
        db.execute("UPDATE catalogue SET version = ?", (version,))


def test_what_is_kept_open_sees_the_catalog_that_takes_the_place_of_another(tmp_path):
    place, other = Workspace(tmp_path / "w"), Workspace(tmp_path / "other")
    for one, version in ((place, 7), (other, 8)):
        with one.connect():
            pass
        write_version(one, version)
    with place.kept_open():
        assert place.version() == 7
        place.folder.rename(tmp_path / "before")
        other.folder.rename(place.folder)
        assert place.version() == 8
