"""How rows come into the catalog: whose an id is, and what a second import changes.

Ids belong to their cohort. Every id in the catalog is unique, because vectors, maps and pages go by it; the table
`given_ids` says which cohort gave it and under which name. The first owner of an id keeps it as given; where another
cohort gives the same one, it becomes `COHORT/ID`. So two hospitals that count from 1 do not meet, and importing the
same cohort again finds its own rows. What a person corrected stays as it is, and is told. The functions run inside a
writing transaction and commit nothing.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from echo2ecg_core.errors import StoreError
from echo2ecg_core.findings import write_scores
from echo2ecg_core.store.corrections import standing
from echo2ecg_core.store.new_rows import NewPatient, NewStudy

TABLES = {"patient": "patients", "study": "studies", "ecg": "ecgs", "clip": "clips"}


@dataclass(frozen=True)
class Change:
    """One fact of a row that was there already and is another now; or, where `kept` tells by whom and when it was
    corrected, stays `was` although `now` was given."""

    kind: str
    id: str
    name: str
    was: object
    now: object
    kept: str = ""


def take_ids(db: sqlite3.Connection, cohort: str, kind: str, given: Iterable[str]) -> dict[str, str]:
    """The catalog's id for every id that a cohort gives; new ones are taken, no id is ever given twice."""
    rows = db.execute("SELECT given_id, id FROM given_ids WHERE cohort = ? AND kind = ?", (cohort, kind))
    known, found = dict(tuple(row) for row in rows), {}
    for given_id in given:
        if given_id not in known:
            known[given_id] = _free(db, cohort, kind, given_id)
            db.execute("INSERT INTO given_ids VALUES (?, ?, ?, ?)", (cohort, kind, given_id, known[given_id]))
        found[given_id] = known[given_id]
    return found


def _free(db: sqlite3.Connection, cohort: str, kind: str, given_id: str) -> str:
    taken = (
        "SELECT 1 FROM given_ids WHERE kind = ? AND id = ?"
        f" UNION ALL SELECT 1 FROM {TABLES[kind]} WHERE {kind}_id = ? LIMIT 1"
    )
    name, number = given_id, 1
    while db.execute(taken, (kind, name, name)).fetchone():
        name = f"{cohort}/{given_id}" if number == 1 else f"{cohort}/{given_id} ({number})"
        number += 1
    return name


def put_patient(db: sqlite3.Connection, new: NewPatient) -> list[Change]:
    """Add a patient, or the sex of one who is there.

    Raises:
        StoreError: the patient is there already with another split (a patient in two splits leaks).
    """
    row = db.execute("SELECT split FROM patients WHERE patient_id = ?", (new.patient_id,)).fetchone()
    if row is None:
        db.execute(
            "INSERT INTO patients (patient_id, sex, split, cohort, synthetic) VALUES (?, ?, ?, ?, ?)",
            (new.patient_id, new.sex, new.split, new.cohort, int(new.synthetic)),
        )
        _own(db, new.cohort, "patient", new.patient_id)
        return []
    if row["split"] != new.split:
        raise StoreError(
            f"A patient would be in two splits ({row['split']} and {new.split}).",
            "Give every patient one split in labels.csv and import again.",
        )
    return _correct(db, "patient", new.patient_id, {"sex": new.sex})


def put_study(db: sqlite3.Connection, new: NewStudy) -> list[Change]:
    """Add a study, its measured phenotypes and its findings; one that is there takes what is given and keeps the rest.

    Raises:
        StoreError: the study is there already and belongs to another patient.
    """
    was_there = own_ids(db, "study", [(new.study_id, new.patient_id)])
    db.execute("INSERT OR IGNORE INTO studies (study_id, patient_id) VALUES (?, ?)", (new.study_id, new.patient_id))
    found = new.findings
    facts = {
        "study_date": new.study_date,
        "age_years": new.age_years,
        "wall_motion_scores": write_scores(found.wall_motion_scores) if found.wall_motion_scores else None,
        "rhythm": found.rhythm,
        "conduction": found.conduction,
        "first_degree_block": None if found.first_degree_block is None else int(found.first_degree_block),
    }
    changes = _correct(db, "study", new.study_id, facts) + _put_phenotypes(db, new)
    return changes if was_there else []


def _put_phenotypes(db: sqlite3.Connection, new: NewStudy) -> list[Change]:
    stored = db.execute("SELECT name, value FROM phenotypes WHERE study_id = ?", (new.study_id,))
    was = dict(tuple(row) for row in stored)
    given = {name: float(v) for name, v in new.phenotypes.items() if v is not None and np.isfinite(v)}
    changes = _changes(db, "study", new.study_id, was, given)
    db.executemany(
        "INSERT INTO phenotypes VALUES (?, ?, ?) ON CONFLICT (study_id, name) DO UPDATE SET value = excluded.value",
        [(new.study_id, change.name, change.now) for change in changes if not change.kept],
    )
    return changes


def set_ecg_times(db: sqlite3.Connection, times: Mapping[str, str]) -> list[Change]:
    """Correct the times of ECGs that are there."""
    return [change for ecg_id, time in times.items() for change in _correct(db, "ecg", ecg_id, {"ecg_time": time})]


def set_given_views(db: sqlite3.Connection, views: Mapping[str, str]) -> list[Change]:
    """Set the views that a data set gives clips that are there; a classifier's confidence goes with its view."""
    changes = [change for clip_id, view in views.items() for change in _correct(db, "clip", clip_id, {"view": view})]
    told = [(change.id,) for change in changes if not change.kept]
    db.executemany("UPDATE clips SET view_confidence = NULL WHERE clip_id = ?", told)
    return changes


def own_ids(db: sqlite3.Connection, kind: str, owners: Sequence[tuple[str, str]]) -> int:
    """Make sure that studies or ECGs (id, patient_id) belong to their patient and their ids to its cohort.

    Returns:
        How many of them are in the catalog already.

    Raises:
        StoreError: one is there and belongs to another patient.
    """
    here = 0
    for id, patient_id in owners:
        row = db.execute(f"SELECT patient_id FROM {TABLES[kind]} WHERE {kind}_id = ?", (id,)).fetchone()
        if row and row["patient_id"] != patient_id:
            words = "An echo study" if kind == "study" else "An ECG"
            raise StoreError(
                f"{words} would belong to two patients.",
                "Give every study and ECG one patient, or import the data under a cohort name of its own.",
            )
        here += row is not None
        if row is None:
            cohort = db.execute("SELECT cohort FROM patients WHERE patient_id = ?", (patient_id,)).fetchone()
            if cohort:
                _own(db, cohort["cohort"], kind, id)
    return here


def _own(db: sqlite3.Connection, cohort: str, kind: str, id: str) -> None:
    """Remember an id that no import took as given by this cohort."""
    if not db.execute("SELECT 1 FROM given_ids WHERE kind = ? AND id = ?", (kind, id)).fetchone():
        db.execute("INSERT OR IGNORE INTO given_ids VALUES (?, ?, ?, ?)", (cohort, kind, id, id))


def _correct(db: sqlite3.Connection, kind: str, id: str, facts: Mapping[str, object]) -> list[Change]:
    """Set what is given and differs; what is None stays."""
    row = db.execute(f"SELECT * FROM {TABLES[kind]} WHERE {kind}_id = ?", (id,)).fetchone()
    changes = _changes(db, kind, id, dict(row), {name: value for name, value in facts.items() if value is not None})
    for change in changes:
        if not change.kept:
            db.execute(f"UPDATE {TABLES[kind]} SET {change.name} = ? WHERE {kind}_id = ?", (change.now, id))
    return changes


def _changes(
    db: sqlite3.Connection, kind: str, id: str, was: Mapping[str, object], given: Mapping[str, object]
) -> list[Change]:
    """What is given and differs from what is there; kept as it is where a person corrected it."""
    differing = {name: value for name, value in given.items() if was.get(name) != value}
    corrected = standing(db, kind, id) if differing else {}
    return [
        Change(kind, id, name, was.get(name), value, corrected[name].by() if name in corrected else "")
        for name, value in differing.items()
    ]
