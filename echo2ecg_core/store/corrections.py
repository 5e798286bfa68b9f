"""What a person corrected: one label, sex, age, date or view at a time, with who, when, and what stood there before.

The row itself takes the new value, so every page follows; the table of corrections keeps the old one. A correction
stands until a person takes it back: an import that says something else changes nothing and tells it (`additions.py`).
Vectors rest on signals and pictures alone, so no correction makes them older; readouts and reports rest on labels,
dates and sexes (`made_older_by`). Values are JSON in the table.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from echo2ecg_core.counts import counted, listing
from echo2ecg_core.echo.clip import VIEWS
from echo2ecg_core.errors import StoreError
from echo2ecg_core.findings import CONDUCTIONS, RHYTHMS
from echo2ecg_core.phenotypes import GRADES, PHENOTYPES
from echo2ecg_core.roles import by_whom
from echo2ecg_core.store import audit
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.times import moment

Value = str | float | None
TABLES = {"patient": "patients", "study": "studies", "ecg": "ecgs", "clip": "clips"}
CHOICES = {"sex": ("male", "female"), "rhythm": tuple(RHYTHMS), "conduction": tuple(CONDUCTIONS), "view": tuple(VIEWS)}
FIELDS = {
    "patient": ("sex",),
    "study": ("study_date", "age_years", "rhythm", "conduction", *PHENOTYPES),
    "ecg": ("ecg_time",),
    "clip": ("view",),
}
DATES = ("study_date", "ecg_time")
OLDEST_YEARS = 120.0
COLUMNS = ("made_at", "who", "kind", "id", "name", "was", "now", "why", "patient_id", "cohort", "synthetic")


@dataclass(frozen=True)
class Correction:
    """One value that a person set.

    Attributes:
        kind: "patient", "study", "ecg" or "clip"; `id` its id in the workspace.
        name: One of `FIELDS[kind]`.
        was, now: Before and after, in the unit of the phenotype table; None: not known.
        why: In the person's words, may be "".
        who: Name of the login.
        made_at: UTC, ISO 8601.
    """

    kind: str
    id: str
    name: str
    was: Value
    now: Value
    why: str
    who: str
    made_at: str

    def sentence(self) -> str:
        """ "lvef of study S-1 was 35, is 36 now."."""
        return f"{self.name} of {self.kind} {self.id} was {_shown(self.was)}, is {_shown(self.now)} now."

    def by(self) -> str:
        """Who and on which day, as a part of a sentence."""
        return f"{by_whom(self.who)} on {self.made_at[:10]}"


def correct(
    workspace: Workspace, kind: str, id: str, name: str, value: object, *, who: str, why: str = ""
) -> Correction:
    """Set one value, and keep what it was.

    Args:
        kind: "patient", "study", "ecg" or "clip".
        id: In the workspace.
        name: One of `FIELDS[kind]`.
        value: As text or as what it is, in the unit of the phenotype table; None or "": not known.
        who: Name of the login. why: The reason, if one is given.

    Raises:
        StoreError: there is no such one or nothing of that name to correct, the value cannot be, or it stands there.
    """
    if name not in FIELDS.get(kind, ()):
        raise StoreError(
            f"Of {_a(kind)} there is no {name!r} to correct.", f"What can be corrected: {', '.join(_all_fields())}."
        )
    now = _read(name, value)
    with workspace.write() as db:
        was = _stands(db, kind, id, name)
        if was == now:
            raise StoreError(f"{name} of {kind} {id!r} is {_shown(now)} already.", "Give another value.")
        if name == "wall_motion_score_index" and _has_scores(db, id):
            raise StoreError(
                "The wall motion score index is the mean of the segments' scores, which are here.",
                "Import a table with other scores.",
            )
        made = Correction(kind, id, name, was, now, why.strip(), who, _at(db))
        _set(db, made)
        audit.record(workspace, "correct", what=kind, column=name)
        db.execute(
            "INSERT INTO corrections (kind, id, name, was, now, why, who, made_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (kind, id, name, json.dumps(was), json.dumps(now), made.why, who, made.made_at),
        )
    return made


def standing(db: sqlite3.Connection, kind: str, id: str) -> dict[str, Correction]:
    """The fields of one row that a person set to something else than came in: name -> the last correction.

    A field that was set back is free again.
    """
    rows = [_correction(r) for r in db.execute(f"{_ALL} WHERE kind = ? AND id = ? ORDER BY correction_id", (kind, id))]
    first, last = {row.name: row for row in reversed(rows)}, {row.name: row for row in rows}
    return {name: row for name, row in last.items() if row.now != first[name].was}


def corrections(
    workspace: Workspace, *, patient: str | None = None, of: Sequence[str] = (), most: int | None = None
) -> pd.DataFrame:
    """What was corrected, the latest first; columns `COLUMNS`, `was` and `now` as they are, `synthetic` a bool.

    Args:
        patient: Only of this patient and what belongs to it.
        of: Only of what has one of these ids.
        most: At most so many.
    """
    where, values = ("patient_id = ?", (patient,)) if patient else ("true", ())
    if of:
        where, values = f"{where} AND id IN ({', '.join('?' * len(of))})", (*values, *of)
    with workspace.connect() as db:
        rows = db.execute(
            f"{_WITH_PATIENT} WHERE {where} ORDER BY correction_id DESC LIMIT ?",
            (*values, -1 if most is None else most),
        )
        table = pd.DataFrame([tuple(r) for r in rows], columns=list(COLUMNS))
    for name in ("was", "now"):
        table[name] = pd.Series([json.loads(value) for value in table[name]], table.index, dtype=object)
    return table.assign(synthetic=table.synthetic.astype(bool))


def came_in_as(workspace: Workspace, name: str) -> dict[str, Value]:
    """Id -> what a field said before its first correction, for what was corrected."""
    with workspace.connect() as db:
        rows = db.execute(f"{_ALL} WHERE name = ? ORDER BY correction_id DESC", (name,)).fetchall()
    return {row["id"]: json.loads(row["was"]) for row in rows}


def made_older_by(workspace: Workspace, since: str) -> str:
    """What of the labels that readouts are fitted on has changed since a moment (ISO), in one sentence; "" where
    nothing has."""
    with workspace.connect() as db:
        labels, dates = (
            db.execute(
                f"SELECT count(DISTINCT kind || id || name) FROM corrections WHERE made_at > ? AND name IN ({names})",
                (since,),
            ).fetchone()[0]
            for names in (_quoted(PHENOTYPES), _quoted(DATES))
        )
        gone = db.execute("SELECT total(ecgs), total(studies) FROM removals WHERE removed_at > ?", (since,)).fetchone()
    changes = (
        (labels, "label was corrected", "labels were corrected"),
        (dates, "date was corrected", "dates were corrected"),
        (int(gone[0]), "ECG was taken out", "ECGs were taken out"),
        (int(gone[1]), "study was taken out", "studies were taken out"),
    )
    told = [counted(*change) for change in changes if change[0]]
    return f"Since they were fitted, {listing(told)}." if told else ""


def remember_removal(db: sqlite3.Connection, who: str, kind: str, cohort: str, counts: dict[str, int]) -> None:
    """Keep that something was taken out: who, when and how much, but no id of it; inside its transaction."""
    now = _at(db)
    numbers = (counts[name] for name in ("patients", "studies", "clips", "ecgs"))
    db.execute("INSERT INTO removals VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (now, who, kind, cohort, *numbers))


def removals(workspace: Workspace) -> pd.DataFrame:
    """What was taken out, the latest first: removed_at, who, kind, cohort, patients, studies, clips, ecgs."""
    with workspace.connect() as db:
        cursor = db.execute("SELECT * FROM removals ORDER BY removed_at DESC")
        return pd.DataFrame([tuple(r) for r in cursor.fetchall()], columns=[c[0] for c in cursor.description])


def _at(db: sqlite3.Connection) -> str:
    """When: later than the reports and readouts that were made before, also where the clock was set back since."""
    return audit.moment(db).isoformat(timespec="seconds")


_ALL = "SELECT kind, id, name, was, now, why, who, made_at FROM corrections"
_WITH_PATIENT = """
    SELECT made_at, who, kind, id, name, was, now, why, patient_id, cohort, synthetic FROM (
        SELECT c.*, CASE kind WHEN 'patient' THEN id
            WHEN 'study' THEN (SELECT patient_id FROM studies WHERE study_id = id)
            WHEN 'ecg' THEN (SELECT patient_id FROM ecgs WHERE ecg_id = id)
            ELSE (SELECT patient_id FROM clips JOIN studies USING (study_id) WHERE clip_id = id) END AS patient_id
        FROM corrections c) JOIN patients USING (patient_id)
"""


def _correction(row: sqlite3.Row) -> Correction:
    return Correction(**{**dict(row), "was": json.loads(row["was"]), "now": json.loads(row["now"])})


def _stands(db: sqlite3.Connection, kind: str, id: str, name: str) -> Value:
    """What stands there now.

    Raises:
        StoreError: there is no such row.
    """
    row = db.execute(f"SELECT * FROM {TABLES[kind]} WHERE {kind}_id = ?", (id,)).fetchone()
    if row is None:
        raise StoreError(f"There is no {kind} {id!r} in this workspace.", "Ids are those that the pages show.")
    if name not in PHENOTYPES:
        return row[name]
    value = db.execute("SELECT value FROM phenotypes WHERE study_id = ? AND name = ?", (id, name)).fetchone()
    return None if value is None else value["value"]


def _set(db: sqlite3.Connection, made: Correction) -> None:
    if made.name not in PHENOTYPES:
        told = ", view_confidence = NULL" if made.name == "view" else ""  # of the classifier, whom this overrules
        db.execute(
            f"UPDATE {TABLES[made.kind]} SET {made.name} = ?{told} WHERE {made.kind}_id = ?", (made.now, made.id)
        )
    elif made.now is None:
        db.execute("DELETE FROM phenotypes WHERE study_id = ? AND name = ?", (made.id, made.name))
    else:
        db.execute(
            "INSERT INTO phenotypes VALUES (?, ?, ?) ON CONFLICT (study_id, name) DO UPDATE SET value = excluded.value",
            (made.id, made.name, made.now),
        )


def _has_scores(db: sqlite3.Connection, study_id: str) -> bool:
    row = db.execute("SELECT wall_motion_scores FROM studies WHERE study_id = ?", (study_id,)).fetchone()
    return row["wall_motion_scores"] is not None


def _read(name: str, value: object) -> Value:
    """A value as the catalog holds it.

    Raises:
        StoreError: it cannot be one.
    """
    text = "" if value is None else str(value).strip()
    if not text:
        return None
    reading: Callable[[str, str], Value] = _number
    if name in CHOICES:
        reading = _choice
    elif name in DATES:
        reading = _date
    return reading(name, text)


def _choice(name: str, text: str) -> str:
    if text not in CHOICES[name]:
        raise StoreError(f"{text!r} is no {name}.", f"Known: {', '.join(CHOICES[name])}.")
    return text


def _date(name: str, text: str) -> str:
    found = moment(text)
    if found is None:
        raise StoreError(f"{text!r} is no date.", "Write it as 2026-01-31, with a time as 2026-01-31T08:30:00.")
    return found.date().isoformat() if len(text) <= 10 else found.isoformat(timespec="seconds")


def _number(name: str, text: str) -> float:
    """A number within what can be; a grade by its number or its word."""
    phenotype = PHENOTYPES.get(name)
    is_grade = phenotype is not None and phenotype.kind == "grade"
    if is_grade and text.lower() in GRADES:
        return float(GRADES.index(text.lower()))
    low, high = (0.0, OLDEST_YEARS) if phenotype is None else (phenotype.lowest, phenotype.highest)
    words = f"{low:g} to {high:g}" if np.isfinite(high) else f"at least {low:g}"
    expected = f"{name} has to be a {'grade, ' if is_grade else 'number, '}{words}"
    unit = f" in {phenotype.unit}" if phenotype is not None and phenotype.unit else ""
    try:
        number = float(text)
    except ValueError as error:
        raise StoreError(f"{expected}{unit}; found {text!r}.", "Write a decimal point, and no unit.") from error
    if not (low <= number <= high) or (is_grade and number != round(number)):
        raise StoreError(f"{expected}{unit}; found {text}.", "Look at the unit.")
    return number


def _a(kind: str) -> str:
    return f"an {'ECG' if kind == 'ecg' else kind}" if kind[:1] in "ae" else f"a {kind}"


def _all_fields() -> list[str]:
    return [f"{name} of {_a(kind)}" for kind, names in FIELDS.items() for name in names]


def _shown(value: Value) -> str:
    return "not known" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
