"""Columns of the catalogue that pages filter by, read whole or of some patients only, and the two put together.

Rows are ordered by their id. A column has one type whatever its rows hold: numbers are float with NaN, texts are
objects with None. Beside each table stands the number of every row's patient (`patients.rowid`), which the table
`written` names.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from echo2ecg_core.store.schema import EVERYBODY

ROWS_AT_ONCE = 131_072  # whatever goes with a row is freed before the next ones come
_REPEATED = ("sex", "split", "cohort", "rhythm", "conduction")
_OF = "p.rowid IN (SELECT value FROM json_each(?))"
_WHOLE = "blob NOT IN (SELECT blob FROM damaged_blobs)"
_ECGS = (
    "SELECT e.ecg_id, e.patient_id, e.ecg_time, e.own_study_id, e.content_hash, p.split, p.cohort, p.synthetic, p.sex,"
    " p.rowid AS patient FROM patients p JOIN ecgs e USING (patient_id)"
)


def written_since(db: sqlite3.Connection, version: int) -> list[int] | None:
    """Numbers of the patients of whom something was written after a version; None: it may be any of them, as after a
    version that this catalogue never had (another one was put in its place) or had very long ago."""
    if not db.execute("SELECT 1 FROM versions WHERE version = ?", (version,)).fetchone():
        return None
    numbers = [row[0] for row in db.execute("SELECT patient FROM written WHERE version > ?", (version,))]
    return None if EVERYBODY in numbers else numbers


def read_ecgs(db: sqlite3.Connection, of: Sequence[int] | None = None) -> tuple[pd.DataFrame, np.ndarray]:
    """ECGs whose file is whole: ecg_id, patient_id, ecg_time, own_study_id, content_hash, split, cohort, synthetic,
    sex; and the number of each one's patient, (n,) int64.

    Args:
        of: Numbers of the patients; None: all.
    """
    return _with_patients(_table(db, _ECGS, [_WHOLE], of, "ecg_id"))


def read_all_ecgs(db: sqlite3.Connection) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
    """What `read_ecgs` gives of all, in blocks."""
    yield from map(_with_patients, _blocks(db, f"{_ECGS} WHERE {_WHOLE} ORDER BY ecg_id", None))


def _with_patients(table: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    table = table.astype({"synthetic": "int64", "patient": "int64"})
    return table, table.pop("patient").to_numpy()


def read_studies(db: sqlite3.Connection, of: Sequence[int] | None = None) -> tuple[pd.DataFrame, np.ndarray]:
    """Studies as `Catalog.studies` tells them, with the number of each one's patient, (n,) int64."""
    numbers = [c["name"] for c in db.execute("PRAGMA table_info(studies)") if c["type"] in ("REAL", "INTEGER")]
    table = _table(
        db,
        "SELECT s.*, p.sex, p.split, p.cohort, p.synthetic, p.rowid AS patient"
        " FROM patients p JOIN studies s USING (patient_id)",
        [],
        of,
        "study_id",
    ).astype(dict.fromkeys(numbers, float) | {"synthetic": "int64", "patient": "int64"})
    patients = table.pop("patient").to_numpy()
    row_of = {study_id: row for row, study_id in enumerate(table.study_id)}
    measured: dict[str, np.ndarray] = {}
    asked = "SELECT study_id, name, value FROM phenotypes"
    if of is not None:
        asked += f" WHERE study_id IN (SELECT study_id FROM patients p JOIN studies USING (patient_id) WHERE {_OF})"
    for study_id, name, value in _plain(db, asked, of):
        if name not in measured:
            measured[name] = np.full(len(table), np.nan)
        measured[name][row_of[study_id]] = value
    return table.assign(**{name: measured[name] for name in sorted(measured)}), patients


def read_views(db: sqlite3.Connection, of: Sequence[int] | None = None) -> dict[str, list[str]]:
    """The studies that have a whole clip of each named view."""
    found: dict[str, list[str]] = {}
    of_them = f"JOIN studies USING (study_id) JOIN patients p USING (patient_id) WHERE {_OF} AND"
    asked = f"SELECT DISTINCT study_id, view FROM clips {'WHERE' if of is None else of_them}"
    for study_id, view in _plain(db, f"{asked} view NOT NULL AND {_WHOLE}", of):
        found.setdefault(view, []).append(study_id)
    return found


def read_people(db: sqlite3.Connection, of: Sequence[int] | None = None) -> tuple[pd.DataFrame, np.ndarray]:
    """Patients with a study or a whole ECG: patient_id, split, cohort, sex; and their numbers, (n,) int64."""
    has_one = f"""(EXISTS (SELECT 1 FROM studies s WHERE s.patient_id = p.patient_id)
        OR EXISTS (SELECT 1 FROM ecgs e WHERE e.patient_id = p.patient_id AND {_WHOLE}))"""
    table = _table(
        db, "SELECT p.patient_id, p.split, p.cohort, p.sex, p.rowid AS patient FROM patients p", [has_one], of, "rowid"
    )
    return table, table.pop("patient").to_numpy(np.int64)


def row_hashes(table: pd.DataFrame) -> np.ndarray:
    """(n,) uint64 of what stands in each row, the same in every process; a missing text and None are one."""
    return pd.util.hash_pandas_object(table, index=False, categorize=False).to_numpy()


def rows_in(ids: np.ndarray, sought: np.ndarray) -> np.ndarray:
    """Row of each sought id among ordered ids, (n,), -1 where it is not there; of a few, without a look at every id."""
    if len(sought) * 20 > len(ids):
        return pd.Index(ids, dtype=object).get_indexer(pd.Index(sought, dtype=object))
    rows = np.searchsorted(ids, np.array([one or "" for one in sought], object))
    return np.array([r if r < len(ids) and ids[r] == one else -1 for r, one in zip(rows, sought, strict=True)], int)


def merged(
    table: pd.DataFrame, is_gone: np.ndarray, new: pd.DataFrame, key: str
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """A table without the rows that are gone and with new ones, in the order of its ids.

    Args:
        table, new: Ordered by `key`; columns that one of them lacks are numbers, NaN there.
        is_gone: (n,) bool.

    Returns:
        The table; `order`, where each of its rows was among those kept and, after them, the new; and `moved`, (n,) the
        new row of every old one, -1 where it is gone.
    """
    kept = np.flatnonzero(~is_gone)
    at = np.searchsorted(table[key].to_numpy()[kept], new[key].to_numpy())
    order = np.insert(np.arange(len(kept)), at, len(kept) + np.arange(len(new)))
    columns = {}
    for name in [*table.columns, *new.columns.difference(table.columns)]:
        parts = (
            table[name].to_numpy()[kept] if name in table else np.full(len(kept), np.nan),
            new[name].to_numpy() if name in new else np.full(len(new), np.nan),
        )
        columns[name] = np.concatenate(parts)[order]
    moved = np.full(len(table), -1)
    position = np.empty(len(order), int)
    position[order] = np.arange(len(order))
    moved[kept] = position[: len(kept)]
    return pd.DataFrame(columns), order, moved


def _table(
    db: sqlite3.Connection, select: str, conditions: list[str], of: Sequence[int] | None, key: str
) -> pd.DataFrame:
    where = " AND ".join([*conditions, *([_OF] if of is not None else [])])
    return pd.concat(_blocks(db, f"{select} {f'WHERE {where} ' if where else ''}ORDER BY {key}", of), ignore_index=True)


def _blocks(db: sqlite3.Connection, asked: str, of: Sequence[int] | None) -> Iterator[pd.DataFrame]:
    """A table in blocks of ROWS_AT_ONCE, at least one."""
    cursor = _plain(db, asked, of)
    names, rows = [c[0] for c in cursor.description], cursor.fetchmany(ROWS_AT_ONCE)
    seen: dict = {}  # one text for all rows that say the same, where SQLite gives each row its own
    while True:
        table = {name: np.empty(len(rows), object) for name in names}
        for name, values in zip(names, zip(*rows, strict=True), strict=False):
            table[name][:] = [seen.setdefault(one, one) for one in values] if name in _REPEATED else values
        yield pd.DataFrame(table)
        rows = cursor.fetchmany(ROWS_AT_ONCE)
        if not rows:
            return


def _plain(db: sqlite3.Connection, asked: str, of: Sequence[int] | None) -> sqlite3.Cursor:
    """A cursor that gives plain tuples."""
    cursor = db.cursor()
    cursor.row_factory = None
    return cursor.execute(asked, () if of is None else (json.dumps(list(of)),))
