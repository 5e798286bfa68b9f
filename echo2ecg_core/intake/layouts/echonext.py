"""EchoNext 1.x (Columbia): ECGs with values of the echo that followed within a year, one label row an ECG.

Row i of `EchoNext_SPLIT_waveforms.npy` is the i-th row of that split in the metadata. Waveforms are z-scored; the ECG
reader undoes that. Times are not given (a year only), so every ECG has a study of its own that holds its labels.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from echo2ecg_core.intake.array_rows import npy_row
from echo2ecg_core.intake.labels import OLDEST_TOLD
from echo2ecg_core.intake.layouts.shared_steps import SPLITS, ignore_others, mapped, measured, number
from echo2ecg_core.intake.mapping import Column
from echo2ecg_core.intake.plan import Plan, PlannedEcg, PlannedStudy
from echo2ecg_core.intake.tables import numbered_rows, read_table
from echo2ecg_core.phenotypes import GRADES

NAME = "EchoNext"
TABLES = ("echonext_metadata_100k.csv", "EchoNext_metadata_100k.csv")
VALUES = {
    "lvef_value": "lvef",
    "ivs_measurement": "ivsd",
    "lvpw_measurement": "lvpwd",
    "pasp_value": "rvsp",
}
GRADED = {
    "aortic_stenosis_value": "as_grade",
    "aortic_regurgitation_value": "ar_grade",
    "mitral_regurgitation_value": "mr_grade",
    "tricuspid_regurgitation_value": "tr_grade",
}
SEXES = {"female": "female", "male": "male", "f": "female", "m": "male"}


def recognises(folder: Path) -> bool:
    """Whether its metadata are there."""
    return _table(folder) is not None


def plan(folder: Path, told: Mapping[str, Column]) -> Plan:
    """ECGs and their labels by the metadata's rows."""
    path = _table(folder)
    assert path is not None, "the folder was recognised"
    planned, table = Plan(NAME, folder), read_table(path)
    mapped(table, {"ecg_key": "ecg_id", "patient_key": "patient_id", "split": "split"})
    arrays = {p.name.lower(): p for p in folder.iterdir()}
    row_of: dict[str, int] = {}
    for number_of_row, cells in numbered_rows(table.rows):
        split = cells["split"]
        row = row_of[split] = row_of.get(split, -1) + 1
        path = arrays.get(f"echonext_{split}_waveforms.npy".lower())
        if path is None:
            planned.passed_over.append((f"ECGs of the split {split}", "Their array of waveforms is not in the folder."))
            continue
        ecg_id, patient_id = cells["ecg_key"], cells["patient_key"]
        planned.patient(
            patient_id, SEXES.get(cells.get("sex", "").lower()), SPLITS.get(split), file=table.file, row=number_of_row
        )
        age = _age(cells.get("age_at_ecg", ""))
        labels = _labels(cells, planned)
        if labels:
            planned.study(PlannedStudy(ecg_id, patient_id, None, age, labels), file=table.file, row=number_of_row)
        own = ecg_id if labels else None
        ecg = PlannedEcg(ecg_id, patient_id, path, age_years=age, own_study_id=own, read=partial(npy_row, path, row))
        planned.ecg(ecg, file=table.file, row=number_of_row)
    planned.note("EchoNext gives a year only: labels belong to their ECG, and ECGs have no place in time.")
    ignore_others(planned, folder, set(TABLES))
    return planned


def _table(folder: Path) -> Path | None:
    return next((folder / name for name in TABLES if (folder / name).is_file()), None)


def _age(text: str) -> float | None:
    age = number(text)
    return float(OLDEST_TOLD) if age is not None and age >= OLDEST_TOLD else age


def _labels(cells: Mapping[str, str], plan: Plan) -> dict[str, float]:
    values = {field: measured(plan, field, number(cells.get(name, ""))) for name, field in VALUES.items()}
    values |= {field: _grade(cells.get(name, "")) for name, field in GRADED.items()}
    return {name: value for name, value in values.items() if value is not None}


def _grade(text: str) -> float | None:
    """A severity in words ("moderate", "Moderate to severe" counts as the milder) as its grade; None for anything
    else."""
    first = text.lower().replace("-", " ").split()
    return float(GRADES.index(first[0])) if first and first[0] in GRADES else None
