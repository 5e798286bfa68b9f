"""What an import writes into the catalog, on one open connection: a batch is one transaction or nothing.

Ids belong to their cohort. Every id in the catalog is unique, because vectors, maps and pages go by it; the table
`given_ids` says which cohort gave it and under which name. The first owner of an id keeps it as given; where another
cohort gives the same one, it becomes `COHORT/ID`. So two hospitals that count from 1 do not meet, and importing the
same cohort again finds its own rows.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from echo2ecg_core.errors import StoreError
from echo2ecg_core.findings import Findings, write_scores

KINDS = ("patient", "study", "ecg")


@dataclass(frozen=True)
class Change:
    """One fact of a row that was there already and is another now."""

    kind: str
    id: str
    name: str
    was: object
    now: object


class Additions:
    """Adds and corrects rows; nothing is committed here.

    Args:
        db: A connection inside a transaction.
    """

    def __init__(self, db: sqlite3.Connection):
        self.db = db
        self.changes: list[Change] = []

    def ids(self, cohort: str, kind: str, given: Iterable[str]) -> dict[str, str]:
        """The catalog's id for every id that a cohort gave; new ones are taken, the same id is never given twice."""
        rows = self.db.execute("SELECT given_id, id FROM given_ids WHERE cohort = ? AND kind = ?", (cohort, kind))
        known, found = dict(tuple(row) for row in rows), {}
        for given_id in given:
            if given_id not in known:
                known[given_id] = self._free(cohort, kind, given_id)
                self.db.execute("INSERT INTO given_ids VALUES (?, ?, ?, ?)", (cohort, kind, given_id, known[given_id]))
            found[given_id] = known[given_id]
        return found

    def _free(self, cohort: str, kind: str, given_id: str) -> str:
        table = {"patient": "patients", "study": "studies", "ecg": "ecgs"}[kind]
        taken = f"SELECT 1 FROM given_ids WHERE kind = ? AND id = ? UNION ALL SELECT 1 FROM {table} WHERE {kind}_id = ?"
        name, number = given_id, 1
        while self.db.execute(taken, (kind, name, name)).fetchone():
            name = f"{cohort}/{given_id}" if number == 1 else f"{cohort}/{given_id} ({number})"
            number += 1
        return name

    def patient(self, patient_id: str, *, split: str, cohort: str, synthetic: bool, sex: str | None = None) -> None:
        """Add a patient, or the sex of one who is there.

        Raises:
            StoreError: the patient is there already with another split (a patient in two splits leaks).
        """
        row = self.db.execute("SELECT split, sex FROM patients WHERE patient_id = ?", (patient_id,)).fetchone()
        if row is None:
            self.db.execute(
                "INSERT INTO patients (patient_id, sex, split, cohort, synthetic) VALUES (?, ?, ?, ?, ?)",
                (patient_id, sex, split, cohort, int(synthetic)),
            )
            self._own(cohort, "patient", patient_id)
            return
        if row["split"] != split:
            raise StoreError(
                f"A patient would be in two splits ({row['split']} and {split}).",
                "Give every patient one split in labels.csv and import again.",
            )
        self._correct("patients", "patient", patient_id, {"sex": sex})

    def study(
        self,
        study_id: str,
        patient_id: str,
        *,
        study_date: str | None = None,
        age_years: float | None = None,
        phenotypes: Mapping[str, float] | None = None,
        findings: Findings | None = None,
    ) -> None:
        """Add a study, its measured phenotypes and its findings; what is missing (NaN, None) is left out.

        A study that is there takes what is given and keeps the rest.

        Raises:
            StoreError: the study is there already and belongs to another patient.
        """
        self._of_one_patient("studies", "study", study_id, patient_id)
        if self.db.execute(
            "INSERT OR IGNORE INTO studies (study_id, patient_id) VALUES (?, ?)", (study_id, patient_id)
        ).rowcount:
            self._own_of(patient_id, "study", study_id)
            told = False
        else:
            told = True
        found = findings or Findings()
        facts = {
            "study_date": study_date,
            "age_years": age_years,
            "wall_motion_scores": write_scores(found.wall_motion_scores) if found.wall_motion_scores else None,
            "rhythm": found.rhythm,
            "conduction": found.conduction,
            "first_degree_block": None if found.first_degree_block is None else int(found.first_degree_block),
        }
        self._correct("studies", "study", study_id, facts, told=told)
        self._phenotypes(study_id, phenotypes or {}, told=told)

    def ecg(self, ecg_id: str, patient_id: str, facts: Mapping[str, object], own_study_id: str | None = None) -> None:
        """Add an ECG by the facts of its row (ecg_time, sampling_rate_hz, duration_s, format, content_hash, blob).

        Args:
            own_study_id: The study whose labels it carries, where the data set says so; None: the nearest in time.

        Raises:
            StoreError: the ECG is there already and belongs to another patient.
        """
        self._of_one_patient("ecgs", "ecg", ecg_id, patient_id)
        row = {"ecg_id": ecg_id, "patient_id": patient_id, "own_study_id": own_study_id, **facts}
        names = ", ".join(row)
        added = self.db.execute(
            f"INSERT OR IGNORE INTO ecgs ({names}) VALUES ({', '.join('?' * len(row))})", tuple(row.values())
        )
        if added.rowcount:
            self._own_of(patient_id, "ecg", ecg_id)
        self.db.execute(
            "UPDATE ecgs SET blob = ?, content_hash = ? WHERE ecg_id = ? AND blob IN (SELECT blob FROM damaged_blobs)",
            (facts["blob"], facts["content_hash"], ecg_id),
        )
        self._is_whole(facts["blob"])

    def ecg_time(self, ecg_id: str, ecg_time: str | None) -> None:
        """Correct the time of an ECG that is there."""
        self._correct("ecgs", "ecg", ecg_id, {"ecg_time": ecg_time})

    def clip(self, clip_id: str, study_id: str, facts: Mapping[str, object]) -> None:
        """Add a clip by the facts of its row; lists are stored as JSON."""
        stored = {k: json.dumps(list(v)) if isinstance(v, list | tuple) else v for k, v in facts.items()}
        row = {"clip_id": clip_id, "study_id": study_id, **stored}
        self.db.execute(
            f"INSERT INTO clips ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
            " ON CONFLICT (clip_id) DO UPDATE SET file_hash = coalesce(excluded.file_hash, file_hash)"
            " WHERE file_hash IS NOT excluded.file_hash",
            tuple(row.values()),
        )
        self._is_whole(facts["blob"])

    def _is_whole(self, blob: object) -> None:
        """Stored again just now: what was set aside because of this file is listed again."""
        self.db.execute("DELETE FROM damaged_blobs WHERE blob = ?", (blob,))

    def _phenotypes(self, study_id: str, values: Mapping[str, float], *, told: bool) -> None:
        stored = self.db.execute("SELECT name, value FROM phenotypes WHERE study_id = ?", (study_id,))
        was = dict(tuple(row) for row in stored)
        for name, value in values.items():
            if np.isfinite(value) and was.get(name) != float(value):
                self.db.execute("INSERT OR REPLACE INTO phenotypes VALUES (?, ?, ?)", (study_id, name, float(value)))
                if told:
                    self.changes.append(Change("study", study_id, name, was.get(name), float(value)))

    def _correct(self, table: str, kind: str, id: str, facts: Mapping[str, object], *, told: bool = True) -> None:
        """Set what is given and differs; what is None stays."""
        row = self.db.execute(f"SELECT * FROM {table} WHERE {kind}_id = ?", (id,)).fetchone()
        for name, value in facts.items():
            if value is not None and row[name] != value:
                self.db.execute(f"UPDATE {table} SET {name} = ? WHERE {kind}_id = ?", (value, id))
                if told:
                    self.changes.append(Change(kind, id, name, row[name], value))

    def _of_one_patient(self, table: str, kind: str, id: str, patient_id: str) -> None:
        row = self.db.execute(f"SELECT patient_id FROM {table} WHERE {kind}_id = ?", (id,)).fetchone()
        if row and row["patient_id"] != patient_id:
            words = "An echo study" if kind == "study" else "An ECG"
            raise StoreError(
                f"{words} would belong to two patients.",
                "Give every study and ECG one patient, or import the data under a cohort name of its own.",
            )

    def _own(self, cohort: str, kind: str, id: str) -> None:
        """Remember an id that no import resolved as given by this cohort."""
        if not self.db.execute("SELECT 1 FROM given_ids WHERE kind = ? AND id = ?", (kind, id)).fetchone():
            self.db.execute("INSERT OR IGNORE INTO given_ids VALUES (?, ?, ?, ?)", (cohort, kind, id, id))

    def _own_of(self, patient_id: str, kind: str, id: str) -> None:
        row = self.db.execute("SELECT cohort FROM patients WHERE patient_id = ?", (patient_id,)).fetchone()
        if row:
            self._own(row["cohort"], kind, id)
