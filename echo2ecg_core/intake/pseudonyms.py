"""Names that stand for real people: ids replaced, dates shifted, the oldest in one group.

Ids are the first letters of an HMAC-SHA-256 with a secret of the workspace, over cohort, kind and id: the same id gives
the same name at every import, and without the secret nobody can try ids out. The dates of a patient move by one number
of whole days (one to ten years back), so intervals and hours stay. Ages over 89 become 90, as the HIPAA safe harbour
(45 CFR 164.514(b)(2)) asks. The secret stays in the workspace; whoever may not lead back must not have it.
"""

import base64
import csv
import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.errors import StoreError
from echo2ecg_core.store.database import Workspace, write_atomically

SECRET_FILE = "pseudonyms.secret"
OLDEST = 90.0  # years: the group of everybody over 89
FIRST_SHIFT, LAST_SHIFT = 366, 3652  # days
LETTERS = 12  # of 5 bits: two of a million ids meet with a chance of 1 in 2 million
_PREFIX = {"patient": "P", "study": "S", "ecg": "E"}
_QUOTED = re.compile(r"[“\"][^”\"]*[”\"]")
# whoever sets a device up may write a ward or a name into the fields of its maker and model
_MAKERS = (
    "GE", "Marquette", "Philips", "Hewlett-Packard", "Mortara", "Welch Allyn", "Hillrom", "Baxter", "Schiller",
    "Siemens", "Nihon Kohden", "Fukuda", "Suzuken", "Mindray", "Edan", "Comen", "Contec", "Bionet", "Esaote",
    "Burdick", "Cardioline", "Quinton", "Cardiac Science", "Spacelabs", "Norav", "BTL", "Amedtec", "CardioSoft", "Zoll",
)  # fmt: skip
# words of devices' interpretations; a statement with any other word may hold a name and is left out
_ECG_WORDS = frozenset(
    """
    a aberrant abnormal abnormality age ami and anterior anterolateral anteroseptal arrhythmia artifact atrial
    atypical av axis baseline beats biatrial bifascicular block borderline bradycardia branch bundle by capture
    change changes compared complete complexes conduction consider consistent contraction criteria current data
    defect degree delay depression deviation due early ecg ectopic elevation enlargement evidence extreme
    fascicular fibrillation first flutter for frequent fusion heart high hypertrophy if in incomplete
    indeterminate infarct infarction inferior inferolateral inferoposterior injury interval intervals
    intraventricular inversion is ischaemia ischemia junctional lateral lbbb lead leads left likely low lvh
    marked mild minimal minor moderate multiple myocardial narrow no non nonspecific normal not occasional of
    old only or otherwise p paced pacemaker pattern pause pauses peaked pericarditis poor possible posterior pr
    precordial premature present previous probable probably progression prolonged pulmonary pvc pvcs qrs qs qt
    qtc r rapid rate rbbb recent regional regular repolarization response reversal rhythm right rsr s second
    septal severe short sinus slight slow small specific st supraventricular suspected t tachycardia tall the
    third to tracing twave undetermined unusual upright v v1 v2 v3 v4 v5 v6 variant ventricular voltage wave
    waves wide with within
    """.split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Pseudonyms:
    """Names of one cohort in one workspace.

    Args:
        secret: Of the workspace.
        cohort: Ids belong to it.
    """

    secret: bytes
    cohort: str

    def id(self, kind: str, given: str) -> str:
        """The name of a patient, a study or an ECG, such as P-7Q2MK3XW4DYA."""
        letters = base64.b32encode(self._digest(kind, given)).decode()[:LETTERS]
        return f"{_PREFIX[kind]}-{letters}"

    def days(self, patient_id: str) -> int:
        """By how many days the dates of a patient move; negative."""
        number = int.from_bytes(self._digest("days", patient_id)[:8], "big")
        return -(FIRST_SHIFT + number % (LAST_SHIFT - FIRST_SHIFT + 1))

    def moment(self, iso: str | None, patient_id: str) -> str | None:
        """An ISO date or time of a patient, moved."""
        if iso is None:
            return None
        moved = (datetime.fromisoformat(iso) + timedelta(days=self.days(patient_id))).isoformat()
        return moved[:10] if len(iso) == 10 else moved

    def record(self, record: EcgRecord, patient_id: str) -> EcgRecord:
        """The record without what may tell who it is: moved time, grouped age, known maker and statements,
        notes and doubts without words of the file."""
        moved = record.recorded_at and record.recorded_at + timedelta(days=self.days(patient_id))
        return replace(
            record,
            source="ECG",
            recorded_at=moved,
            age_years=grouped_age(record.age_years),
            device=known_maker(record.device or ""),
            statements=tuple(s for s in record.statements if is_plain_statement(s)),
            notes=tuple(_QUOTED.sub("…", note) for note in record.notes),
            doubts=tuple(_QUOTED.sub("…", doubt) for doubt in record.doubts),
        )

    def _digest(self, kind: str, given: str) -> bytes:
        text = "\0".join((self.cohort, kind, given))
        return hmac.new(self.secret, text.encode(), hashlib.sha256).digest()


def grouped_age(age_years: float | None) -> float | None:
    """Age in years, with everybody over 89 in one group."""
    return OLDEST if age_years is not None and age_years > OLDEST - 1 else age_years


def known_maker(text: str) -> str | None:
    """The maker that a device's text names, None where it names none that is known; models are not kept."""
    return next((name for name in _MAKERS if re.search(rf"\b{re.escape(name)}\b", text, re.IGNORECASE)), None)


def is_plain_statement(text: str) -> bool:
    """Whether a device's statement holds words of electrocardiography alone."""
    words = re.findall(r"[^\W\d_]+\d?", text.lower())
    return bool(words) and all(word in _ECG_WORDS for word in words)


def pseudonyms_of(workspace: Workspace, cohort: str, *, looks_only: bool = False) -> Pseudonyms:
    """The names of a cohort in a workspace; makes the workspace's secret when there is none.

    Args:
        looks_only: Write nothing: without a secret, names that nobody has.
    """
    path = workspace.folder / SECRET_FILE
    try:
        if looks_only and not path.is_file():
            return Pseudonyms(secrets.token_bytes(32), cohort)
        if not path.is_file():
            write_atomically(path, secrets.token_hex(32).encode())
            os.chmod(path, 0o600)
        return Pseudonyms(bytes.fromhex(path.read_text().strip()), cohort)
    except (OSError, ValueError) as error:
        raise StoreError(
            "The secret of this workspace, from which the names of patients are made, cannot be read or written.",
            f"Restore the file {SECRET_FILE} from a copy: with another one the same patients would come in twice.",
        ) from error


def write_key(path: Path, workspace: Workspace, rows: list[tuple[str, str, str, int | None]]) -> None:
    """The table that leads back: kind, id of the data set, id in the workspace, days the dates were moved by.

    Raises:
        StoreError: the place lies inside the workspace, or cannot be written.
    """
    path = path.expanduser().resolve()
    if path.is_relative_to(workspace.folder):
        raise StoreError(
            "The key would lie inside the workspace, whose users must not be able to lead back.",
            "Give --key a file at a place of its own.",
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", newline="", encoding="utf-8"
        ) as file:
            writer = csv.writer(file)
            writer.writerow(("kind", "given_id", "id", "days_moved"))
            writer.writerows(rows)
    except OSError as error:
        raise StoreError(f"The key cannot be written: {error.strerror}.", "Name another place with --key.") from error
