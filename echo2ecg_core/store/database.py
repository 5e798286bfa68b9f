"""The workspace folder and its SQLite database, migrated by number (schema.py).

WAL mode, so that pages read while a worker writes. `connect` reads a snapshot; `write` takes the one writer's place
at once (BEGIN IMMEDIATE), because SQLite refuses, without waiting, a reader that begins to write after somebody else
has committed (sqlite.org/isolation.html). A connection belongs to one call, or to one thread while it keeps it open:
nothing is shared between threads.
"""

import os
import random
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from echo2ecg_core.errors import StoreError
from echo2ecg_core.store.schema import MIGRATIONS
from echo2ecg_core.store.sqlite_errors import in_words, is_lock

PATIENCE_S = 120.0  # how long a locked catalog is waited for; longer than another program's backup takes
ANSWER_WITHIN_S = 10.0  # the same in a process that answers people, who are told that it is busy
SIDE_BY_SIDE = 16  # fsyncs
HALF_WRITTEN = ".writing-"  # begins the names of files that are not whole yet
_TURN_S = 2.0  # SQLite's own waiting; then asked again, so that an old snapshot is never waited on


_open = threading.local()  # of this thread, by database file: .transactions its open write, .kept see `kept_open`


class Workspace:
    """A folder with catalog, blobs, vectors and models; made (empty) by the first call that needs it.

    Args:
        folder: Where it lies. Nothing is written until `connect`, `write` or `write_atomically`.
    """

    def __init__(self, folder: Path | str):
        self.folder = Path(folder).expanduser().resolve()
        self.database = self.folder / "catalog.sqlite"
        self.blobs = self.folder / "blobs"
        self.vectors = self.folder / "vectors"
        self.models = self.folder / "models"
        self.maps = self.folder / "maps"
        self.logs = self.folder / "logs"
        self.backups = self.folder / "backups"

    def exists(self) -> bool:
        """True when a catalog is there."""
        return self.database.is_file()

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        """A connection to read with: everything asked in one `with` comes from one moment. Use `write` to write.

        Inside this thread's `write` it is that connection, so that what was just written is seen.

        Raises:
            WorkspaceBusy: the catalog stayed locked for PATIENCE_S.
            DiskFull: the disk has no room for SQLite's own files.
            StoreError: the folder cannot be written, or the database is damaged or newer than this program.
        """
        if (joined := _transactions().get(self.database)) is not None:
            yield joined
            return
        with self._in_words(), self._opened("BEGIN") as connection:
            yield connection

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Within it what this thread reads comes over one connection that stays open, each `connect` a moment of its
        own as ever: to open the catalog takes longer than most of what a page asks it."""
        kept = _of_thread("kept")
        if self.database in kept:
            yield
            return
        idle: list[tuple[sqlite3.Connection, tuple]] = []
        kept[self.database] = idle
        try:
            yield
        finally:
            del kept[self.database]
            for connection, _ in idle:
                connection.close()

    @contextmanager
    def write(self, *, counts: bool = True) -> Iterator[sqlite3.Connection]:
        """A connection in one writing transaction: committed at the end, rolled back whole on an error.

        Waits for its turn. A `write` inside this thread's `write` joins it, and an error that leaves the inner one
        takes back the inner part only; so a batch is one transaction:

            with workspace.write():
                catalog.add_patients(patients)
                catalog.add_studies(studies)

        Everybody else who writes waits meanwhile: read files and store blobs before, never inside.

        Args:
            counts: Raise the catalogue's version where a row was changed (False: for jobs, which no result rests on).

        Raises: as `connect`.
        """
        if (joined := _transactions().get(self.database)) is not None:
            with _part_of(joined):
                yield joined
            return
        with self._in_words(), self._opened("BEGIN IMMEDIATE") as connection:
            _transactions()[self.database] = connection
            before = connection.total_changes
            try:
                yield connection
            finally:
                del _transactions()[self.database]
            if counts and connection.total_changes > before:
                connection.execute("UPDATE catalogue SET version = max(version + 1, ?)", (time.time_ns() // 1000,))

    def version(self) -> int:
        """Number that every write to patients, studies, clips, ECGs or models raises; 0 without a catalog. Cheap.

        A key for what was computed from the catalog. It follows the clock (microseconds) where that is ahead, so that
        a folder made anew or restored from a copy does not repeat the numbers of the one before.
        """
        if not self.exists():
            return 0
        with self.connect() as db:
            return db.execute("SELECT version FROM catalogue").fetchone()[0]

    @contextmanager
    def _opened(self, begin: str) -> Iterator[sqlite3.Connection]:
        """A connection whose transaction has begun; committed at the end."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise in_words(error, self.folder) from error
        idle = _of_thread("kept").get(self.database) if begin == "BEGIN" else None
        if idle and idle[0][1] != self._file():  # another catalog lies there now
            idle.pop()[0].close()
        connection, file = idle.pop() if idle else self._connection(reads=begin == "BEGIN")
        stays = False
        try:
            _patiently(lambda: self._begin(connection, begin))
            yield connection
            _patiently(lambda: connection.execute("COMMIT"))
            if file is not None and idle is not None and not idle:
                idle.append((connection, file))
                stays = True
        finally:
            if not stays:
                try:
                    _roll_back(connection)
                finally:
                    connection.close()

    def _connection(self, *, reads: bool) -> tuple[sqlite3.Connection, tuple | None]:
        """A new connection, and which file it opened; None where there was none, or it must not stay open."""
        file = self._file()
        place, is_uri = self._address(reads=reads)
        connection = sqlite3.connect(place, uri=is_uri, timeout=_TURN_S, isolation_level=None)
        connection.row_factory = sqlite3.Row
        return connection, None if is_uri else file

    def _file(self) -> tuple[int, int] | None:
        """Which file the catalog is, None where there is none."""
        try:
            state = self.database.stat()
        except OSError:
            return None
        return state.st_dev, state.st_ino

    def _address(self, *, reads: bool) -> tuple[str, bool]:
        """What SQLite opens, and whether it is a URI; in a folder that nobody may write to, reading needs no files of
        SQLite's own (sqlite.org/wal.html, "Read-Only Databases")."""
        if not reads or not self.exists() or os.access(self.folder, os.W_OK):
            return str(self.database), False
        log = Path(f"{self.database}-wal")
        how = "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
        return f"{self.database.as_uri()}?{how}", True

    def _begin(self, connection: sqlite3.Connection, begin: str) -> None:
        """Begin a transaction on a catalog of this program's schema, from nothing if the last attempt was refused."""
        _roll_back(connection)
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(begin)
        version = connection.execute("PRAGMA user_version").fetchone()[0]  # takes the snapshot of a reader
        if version == len(MIGRATIONS):
            return
        _roll_back(connection)
        self._migrate(connection)
        connection.execute(begin)

    def _migrate(self, connection: sqlite3.Connection) -> None:
        """Bring the schema up to date; of several processes one does it and the others find it done."""
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise StoreError(
                f"The workspace was made by a newer version (schema {version}, this program knows {len(MIGRATIONS)}).",
                "Update the program.",
            )
        if version:
            self._keep_older(version)
        for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
            for statement in _statements(script):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")

    def _keep_older(self, version: int) -> None:
        """A copy of the catalog as an earlier version of the program left it: the way back to that version."""
        try:
            self.backups.mkdir(exist_ok=True)
            kept = (
                self.backups / f"before-schema-{len(MIGRATIONS)}-of-{version}-{time.strftime('%Y%m%d-%H%M%S')}.sqlite"
            )
            half = kept.with_suffix(".half")
            with closing(sqlite3.connect(self.database)) as older, closing(sqlite3.connect(half)) as copy:
                older.backup(copy)
            half.replace(kept)
        except OSError as error:
            raise in_words(error, self.folder) from error

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """What SQLite and the folder refuse, as a sentence; constraints are the caller's to explain."""
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            raise in_words(error, self.folder) from error


def _statements(script: str) -> Iterator[str]:
    """The statements of a script, triggers whole."""
    statement = ""
    for piece in script.split(";"):
        statement += f"{piece};"
        if sqlite3.complete_statement(statement):
            if statement.strip(" \n;"):
                yield statement
            statement = ""


def _transactions() -> dict[Path, sqlite3.Connection]:
    return _of_thread("transactions")


def _of_thread(name: str) -> dict[Path, Any]:
    return _open.__dict__.setdefault(name, {})


@contextmanager
def _part_of(connection: sqlite3.Connection) -> Iterator[None]:
    """A part of an open transaction that an error takes back, without the rest."""
    connection.execute("SAVEPOINT part")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # SQLite itself rolls back when the disk is full
            connection.execute("ROLLBACK TO part")
            connection.execute("RELEASE part")
        raise
    connection.execute("RELEASE part")


def answer_people() -> None:
    """From now on this process waits ANSWER_WITHIN_S for a locked catalog and not PATIENCE_S."""
    global PATIENCE_S
    PATIENCE_S = ANSWER_WITHIN_S


def _patiently(action: Callable[[], object]) -> None:
    """Do something that a lock may refuse, until it is done or PATIENCE_S have passed."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            action()
            return
        except sqlite3.OperationalError as error:
            if not is_lock(error) or time.monotonic() > until:
                raise
        time.sleep(random.uniform(0.005, 0.05))  # not in step with the others that wait


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def write_atomically(path: Path, content: bytes) -> None:
    """Write bytes so that a reader sees the old file or the new one, never a half: temp file, fsync, replace."""
    write_all_atomically({path: content})


def write_all_atomically(files: Mapping[Path, bytes]) -> None:
    """Write many files as `write_atomically` writes one. All are on the disk when it returns.

    Their fsyncs go side by side: a journaling file system then takes them in one go, ten times as fast.
    """
    waiting: dict[Path, tuple[int, str]] = {}
    try:
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            waiting[path] = tempfile.mkstemp(dir=path.parent, prefix=HALF_WRITTEN)
            with os.fdopen(os.dup(waiting[path][0]), "wb") as file:
                file.write(content)
        _on_disk([handle for handle, _ in waiting.values()])
        for path, (_, temporary) in waiting.items():
            os.replace(temporary, path)
    except BaseException:
        for _, temporary in waiting.values():
            Path(temporary).unlink(missing_ok=True)
        raise
    finally:
        for handle, _ in waiting.values():
            os.close(handle)


def _on_disk(handles: list[int]) -> None:
    if len(handles) == 1:
        os.fsync(handles[0])
    elif handles:
        with ThreadPoolExecutor(min(len(handles), SIDE_BY_SIDE)) as threads:
            list(threads.map(os.fsync, handles))
