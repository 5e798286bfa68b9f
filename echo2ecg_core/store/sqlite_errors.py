"""What a refusal of SQLite means for a person, by its result code (sqlite.org/rescode.html): a sentence and the remedy.

A lock, a full disk, missing rights and damage call for different things; only damage may send anybody to a backup.
"""

import errno
import shutil
import sqlite3
from pathlib import Path

from echo2ecg_core.errors import DiskFull, StoreError, WorkspaceBusy

_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
_OUTSIDE = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)  # also what a full disk gives, where a file cannot grow
_RIGHTS = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_SPARE_BYTES = 256 * 1024  # with less, SQLite cannot grow its log by the pages of one transaction


def is_lock(error: sqlite3.Error) -> bool:
    """True for a refusal that only means that somebody else holds the database now."""
    return _code(error) in _LOCKED


def in_words(error: sqlite3.Error | OSError, folder: Path) -> StoreError:
    """An error of SQLite, or of making the folder, as a sentence without names of folders: visitors read it."""
    code = _code(error)
    if code in _LOCKED:
        return WorkspaceBusy(
            "The workspace is busy: another process has been writing to it all the time.",
            "Nothing was changed. Wait until the other work has finished, then try again.",
        )
    if code == sqlite3.SQLITE_FULL or (code in _OUTSIDE and _is_full(folder)) or _errno(error) in _NO_SPACE:
        return DiskFull(
            "The disk of the workspace is full.",
            "Free some space where it lies, then Resume: what was finished is kept.",
        )
    if code in _RIGHTS or isinstance(error, OSError):
        return StoreError(
            f"The workspace cannot be opened for writing ({_plain(error)}).",
            "Check that the folder exists and may be written, or name another with --workspace.",
        )
    if code == sqlite3.SQLITE_IOERR:
        return StoreError(
            f"The disk of the workspace does not answer as it should ({_plain(error)}).",
            "Check the disk or the network drive, then try again; what was finished is kept.",
        )
    if code in _DAMAGED:
        return StoreError(
            f"The catalog of the workspace is damaged and cannot be used ({_plain(error)}).",
            "Restore the folder from a copy.",
        )
    return StoreError(
        f"The catalog of the workspace cannot be used ({_plain(error)}).",
        "Run `check`; if it finds nothing, send this message to whoever maintains the program.",
    )


_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def _code(error: Exception) -> int:
    """The primary result code; 0 for an error that is not SQLite's own."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def _errno(error: Exception) -> int | None:
    return error.errno if isinstance(error, OSError) else None


def _plain(error: Exception) -> str:
    """The text of an error without the path that an OSError carries."""
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < _SPARE_BYTES
    except OSError:
        return False
