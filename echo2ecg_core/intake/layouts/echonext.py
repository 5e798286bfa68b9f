"""EchoNext 1.x (Columbia): ECGs with values of the echo that followed within a year, one label row an ECG.

Row i of `EchoNext_SPLIT_waveforms.npy` is the i-th row of that split in the metadata, so metadata that were cut to
fewer rows or sorted anew are refused. Waveforms are z-scored; the ECG reader undoes that. Times are not given (a year
only), so every ECG has a study of its own that holds its labels.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from echo2ecg_core.intake.array_rows import npy_row, rows_of
from echo2ecg_core.intake.folders import table_named
from echo2ecg_core.intake.grades import grade_in_words
from echo2ecg_core.intake.labels import OLDEST_TOLD
from echo2ecg_core.intake.layouts.shared_steps import (
    age_told,
    ignore_others,
    known_table,
    labels_told,
    mapped,
    split_told,
)
from echo2ecg_core.intake.mapping import Column
from echo2ecg_core.intake.plan import Plan, PlannedEcg, PlannedStudy
from echo2ecg_core.intake.tables import Table, numbered_rows

NAME = "EchoNext"
TABLE = "echonext_metadata_100k.csv"
INDEX = ("column 1", "Unnamed: 0")  # the rows as their authors number them
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
    return table_named(folder, TABLE) is not None


def plan(folder: Path, told: Mapping[str, Column]) -> Plan:
    """ECGs and their labels by the metadata's rows."""
    planned, table = Plan(NAME, folder), known_table(folder, TABLE)
    mapped(table, {"ecg_key": "ecg_id", "patient_key": "patient_id", "split": "split"})
    arrays = {p.name.lower(): p for p in folder.iterdir()}
    _check_order(table, arrays, planned)
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
            patient_id,
            SEXES.get(cells.get("sex", "").lower()),
            split_told(planned, split),
            file=table.file,
            row=number_of_row,
        )
        age = age_told(planned, cells.get("age_at_ecg", ""))
        age = age if age is None else min(age, float(OLDEST_TOLD))
        labels = _labels(cells, planned)
        if labels:
            planned.study(PlannedStudy(ecg_id, patient_id, None, age, labels), file=table.file, row=number_of_row)
        own = ecg_id if labels else None
        ecg = PlannedEcg(ecg_id, patient_id, path, age_years=age, own_study_id=own, read=partial(npy_row, path, row))
        planned.ecg(ecg, file=table.file, row=number_of_row)
    planned.note("EchoNext gives a year only: labels belong to their ECG, and ECGs have no place in time.")
    ignore_others(planned, folder, {TABLE})
    return planned


def _check_order(table: Table, arrays: Mapping[str, Path], plan: Plan) -> None:
    """A problem where rows of the metadata cannot be those of the arrays: ECGs would get labels of others."""
    wanted = f"{table.file} must have the rows of the data set, all of them and in their order"
    for split, n in table.rows["split"].value_counts().items():
        path = arrays.get(f"echonext_{split}_waveforms.npy".lower())
        held = None if path is None else rows_of(path)
        if held is not None and held != n:
            plan.problems.add(f"{wanted}; found {n} of the split {split}, whose array has {held}.", table.file)
    for name in INDEX:
        rows = pd.to_numeric(table.rows[name], errors="coerce") if name in table.columns else pd.Series(dtype=float)
        if not rows.is_monotonic_increasing:
            plan.problems.add(f"{wanted}; the column {name} shows that they were sorted anew.", table.file)


def _labels(cells: Mapping[str, str], plan: Plan) -> dict[str, float]:
    values = labels_told(plan, {field: cells.get(name, "") for name, field in VALUES.items()})
    grades = {field: grade_in_words(cells.get(name, ""), field) for name, field in GRADED.items()}
    return values | {name: grade for name, grade in grades.items() if grade is not None}
