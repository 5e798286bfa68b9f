"""The workspace folder and its SQLite database: the whole schema in one readable string, migrated by number.

WAL mode, so that pages read while a worker writes. A connection is cheap and belongs to one call: nothing is shared
between threads. Ids are text; times are ISO 8601; lists are JSON.
"""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from echo2ecg_core.errors import StoreError

MIGRATIONS = (
    """
    CREATE TABLE patients (
        patient_id TEXT PRIMARY KEY, sex TEXT, split TEXT NOT NULL CHECK (split IN ('train', 'validation', 'test')),
        cohort TEXT NOT NULL, synthetic INTEGER NOT NULL);
    CREATE TABLE studies (
        study_id TEXT PRIMARY KEY, patient_id TEXT NOT NULL REFERENCES patients, study_date TEXT, age_years REAL);
    CREATE TABLE phenotypes (
        study_id TEXT NOT NULL REFERENCES studies, name TEXT NOT NULL, value REAL NOT NULL,
        PRIMARY KEY (study_id, name)) WITHOUT ROWID;
    CREATE TABLE clips (
        clip_id TEXT PRIMARY KEY, study_id TEXT NOT NULL REFERENCES studies, view TEXT, view_confidence REAL,
        fps REAL NOT NULL, n_frames INTEGER NOT NULL, spacing_mm REAL, r_wave_times_s TEXT NOT NULL,
        format TEXT NOT NULL, notes TEXT NOT NULL, blob TEXT NOT NULL);
    CREATE INDEX clips_of_study ON clips (study_id);
    CREATE TABLE ecgs (
        ecg_id TEXT PRIMARY KEY, patient_id TEXT NOT NULL REFERENCES patients, ecg_time TEXT,
        sampling_rate_hz REAL NOT NULL, duration_s REAL NOT NULL, format TEXT NOT NULL, content_hash TEXT NOT NULL,
        blob TEXT NOT NULL);
    CREATE INDEX ecgs_of_patient ON ecgs (patient_id);
    CREATE TABLE models (
        model_id TEXT PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, synthetic INTEGER NOT NULL,
        registered_at TEXT NOT NULL, active INTEGER NOT NULL DEFAULT 0);
    CREATE UNIQUE INDEX one_active_model ON models (active) WHERE active = 1;
    CREATE TABLE jobs (
        job_id INTEGER PRIMARY KEY, kind TEXT NOT NULL, parameters TEXT NOT NULL, state TEXT NOT NULL
            CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
        progress REAL NOT NULL DEFAULT 0, message TEXT NOT NULL DEFAULT '', worker TEXT,
        created_at REAL NOT NULL, started_at REAL, heartbeat_at REAL, finished_at REAL);
    """,
    """
    ALTER TABLE jobs ADD COLUMN lost INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN claimed_progress REAL NOT NULL DEFAULT 0;
    """,
    """
    ALTER TABLE studies ADD COLUMN wall_motion_scores TEXT;
    ALTER TABLE studies ADD COLUMN rhythm TEXT;
    ALTER TABLE studies ADD COLUMN conduction TEXT;
    ALTER TABLE studies ADD COLUMN first_degree_block INTEGER;
    """,
    """
    CREATE TABLE given_ids (
        cohort TEXT NOT NULL, kind TEXT NOT NULL CHECK (kind IN ('patient', 'study', 'ecg')), given_id TEXT NOT NULL,
        id TEXT NOT NULL, PRIMARY KEY (cohort, kind, given_id)) WITHOUT ROWID;
    CREATE UNIQUE INDEX given_id_of ON given_ids (kind, id);
    INSERT INTO given_ids SELECT cohort, 'patient', patient_id, patient_id FROM patients;
    INSERT INTO given_ids SELECT cohort, 'study', study_id, study_id FROM studies JOIN patients USING (patient_id);
    INSERT INTO given_ids SELECT cohort, 'ecg', ecg_id, ecg_id FROM ecgs JOIN patients USING (patient_id);
    ALTER TABLE ecgs ADD COLUMN own_study_id TEXT;
    ALTER TABLE clips ADD COLUMN file_hash TEXT;
    """,
)


class Workspace:
    """A folder with catalog, blobs, vectors and models; made (empty) by the first call that needs it.

    Args:
        folder: Where it lies. Nothing is written until `connect` or `write_atomically`.
    """

    def __init__(self, folder: Path | str):
        self.folder = Path(folder).expanduser().resolve()
        self.database = self.folder / "catalog.sqlite"
        self.blobs = self.folder / "blobs"
        self.vectors = self.folder / "vectors"
        self.models = self.folder / "models"
        self.maps = self.folder / "maps"
        self.logs = self.folder / "logs"

    def exists(self) -> bool:
        """True when a catalog is there."""
        return self.database.is_file()

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        """An open connection in one transaction: committed at the end, rolled back on an error.

        Raises:
            StoreError: the folder cannot be written, or the database is damaged or newer than this program.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.database, timeout=30, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                f"The workspace {self.folder.name} cannot be opened ({error}).",
                "Check that the folder exists and may be written, or name another with --workspace.",
            ) from error
        try:
            connection.row_factory = sqlite3.Row
            self._migrate(connection)
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            _roll_back(connection)
            if isinstance(error, sqlite3.IntegrityError):
                raise
            raise StoreError(
                f"The catalog of workspace {self.folder.name} cannot be used ({error}).",
                "Free disk space if the disk is full; otherwise restore the folder from a copy.",
            ) from error
        except BaseException:
            _roll_back(connection)
            raise
        finally:
            connection.close()

    def _migrate(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = ON")
        if connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS):
            return
        connection.execute("BEGIN IMMEDIATE")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise StoreError(
                f"The workspace {self.folder.name} was made by a newer version "
                f"(schema {version}, this program knows {len(MIGRATIONS)}).",
                "Update the program.",
            )
        for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
            for statement in filter(str.strip, script.split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def write_atomically(path: Path, content: bytes) -> None:
    """Write bytes so that a reader sees the old file or the new one, never a half: temp file, fsync, replace."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
