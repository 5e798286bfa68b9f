"""The audit log: who did what that others see, append-only, without patient data.

A table of the catalog, so that what was done and that it was written down are one transaction. Triggers refuse to
change or delete a row; each row also holds the hash of the one before it with its own (SHA-256), so that a row changed
by other means breaks the chain, which `check` and the Admin page tell. Facts are numbers, names of cohorts and views,
ids of models: never ids, dates or names of patients, of studies or of files.
"""

import getpass
import hashlib
import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.store.database import Workspace

SAME_CLOCK = timedelta(seconds=2)  # by which lines of several processes may come out of order
ALLOWED_FACTS = frozenset(
    [
        "job",
        "kind",
        "model",
        "cohort",
        "split",
        "preset",
        "state",
        "what",
        "patients",
        "studies",
        "clips",
        "ecgs",
        "files",
        "name",
        "role",
        "n",
        "on",
        "column",
        "size_mb",
        "schema",
    ]
)
log = logging.getLogger(__name__)
_actor: ContextVar[tuple[str, str] | None] = ContextVar("actor", default=None)


@dataclass(frozen=True)
class Entry:
    """One line of the log: `at` in UTC (ISO 8601), `facts` as they were given."""

    number: int
    at: str
    who: str
    role: str
    action: str
    facts: dict


@contextmanager
def acting_as(who: str, role: str) -> Iterator[None]:
    """What is recorded inside was done by this person; outside, by whoever runs the process in a terminal."""
    token = _actor.set((who, role))
    try:
        yield
    finally:
        _actor.reset(token)


def record(workspace: Workspace, action: str, **facts: str | int | float | bool | None) -> None:
    """Write a line; inside this thread's `workspace.write` it is part of that transaction.

    Args:
        action: What was done, in the infinitive ("remove", "promote").
        facts: Only those of ALLOWED_FACTS; anything else is our mistake.
    """
    assert facts.keys() <= ALLOWED_FACTS, f"not for the audit log: {sorted(facts.keys() - ALLOWED_FACTS)}"
    who, role = _actor.get() or (f"terminal:{_os_user()}", "admin")
    told = json.dumps({k: v for k, v in facts.items() if v is not None}, sort_keys=True, ensure_ascii=False)
    with workspace.write(counts=False) as db:
        at = moment(db).isoformat(timespec="milliseconds")
        last = db.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetchone()
        number, before = (last["number"] + 1, last["hash"]) if last else (1, "")
        row = (number, at, who, role, action, told)
        db.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?)", (*row, _hash(before, row)))


def moment(db: sqlite3.Connection) -> datetime:
    """Now (UTC), and never before what was recorded last: where the clock was set back, a second later than that."""
    now, last = datetime.now(UTC), db.execute("SELECT at FROM audit ORDER BY number DESC LIMIT 1").fetchone()
    latest = datetime.fromisoformat(last["at"]) if last else now
    return now if now >= latest else latest if latest - now < SAME_CLOCK else latest + timedelta(seconds=1)


def record_if_possible(workspace: Workspace, action: str, **facts: str | int | float | bool | None) -> None:
    """The same for what must not fail because it cannot be written down, such as a login on a full disk."""
    try:
        record(workspace, action, **facts)
    except Echo2ECGError as error:
        log.warning("Not written into the audit log (%s): %s", action, error)


def entries(workspace: Workspace, *, last: int = 1000) -> list[Entry]:
    """The newest lines, newest first."""
    with workspace.connect() as db:
        rows = db.execute("SELECT * FROM audit ORDER BY number DESC LIMIT ?", (last,)).fetchall()
    return [Entry(**{**row, "facts": json.loads(row["facts"])}) for row in map(_without_hash, rows)]


def first_broken(workspace: Workspace) -> int | None:
    """Number of the first line that does not follow from the one before it; None where the whole chain holds."""
    with workspace.connect() as db:
        return _first_broken(db)


def _first_broken(db: sqlite3.Connection) -> int | None:
    before, expected = "", 1
    for row in db.execute("SELECT * FROM audit ORDER BY number"):
        number, *rest, kept = tuple(row)
        if number != expected or kept != _hash(before, (number, *rest)):
            return expected
        before, expected = kept, expected + 1
    return None


def _without_hash(row: sqlite3.Row) -> dict:
    return {name: row[name] for name in row.keys() if name != "hash"}  # noqa: SIM118 (a Row iterates its values)


def _hash(before: str, row: tuple) -> str:
    return hashlib.sha256(json.dumps([before, *row], ensure_ascii=False).encode()).hexdigest()


def _os_user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return "somebody"
