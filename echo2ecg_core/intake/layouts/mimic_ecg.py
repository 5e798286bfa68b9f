"""MIMIC-IV-ECG 1.0: about 800,000 ECGs of 160,000 patients, without labels.

The leads stand in the order I II III aVR aVF aVL in the files; the WFDB reader goes by their names. Import it and
MIMIC-IV-ECHO under one cohort name: they share their subjects, and dates shifted alike.
"""

from collections.abc import Mapping
from pathlib import Path

from echo2ecg_core.intake.ecg_tables import plan_ecgs
from echo2ecg_core.intake.folders import table_named
from echo2ecg_core.intake.labels import read_labels
from echo2ecg_core.intake.layouts.shared_steps import ignore_others, known_table, mapped
from echo2ecg_core.intake.mapping import Column
from echo2ecg_core.intake.plan import Plan

NAME = "MIMIC-IV-ECG"
TABLE = "record_list.csv"


def recognises(folder: Path) -> bool:
    """Whether its list of records is there."""
    return table_named(folder, TABLE) is not None


def plan(folder: Path, told: Mapping[str, Column]) -> Plan:
    """ECGs by the list of records."""
    planned, table = Plan(NAME, folder), known_table(folder, TABLE, "subject_id", "study_id")
    fields = {"study_id": "ecg_id", "subject_id": "patient_id", "path": "path"}
    means = mapped(table, fields, {"ecg_time": "ecg_time"}, told)
    plan_ecgs(read_labels(table, means, planned), planned, folder)
    ignore_others(planned, folder, {TABLE})
    return planned
