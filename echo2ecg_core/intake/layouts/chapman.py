"""Chapman-Shaoxing-Ningbo (PhysioNet ecg-arrhythmia): ECGs in `WFDBRecords/NN/NNN/`, no echo and no table.

Age and sex stand in the headers, where the ECG reader finds them. Each record is of another patient.
"""

from collections.abc import Mapping
from pathlib import Path

from echo2ecg_core.intake.folders import files_below
from echo2ecg_core.intake.layouts.shared_steps import ignore_others
from echo2ecg_core.intake.mapping import Column
from echo2ecg_core.intake.plan import Plan, PlannedEcg

NAME = "Chapman-Shaoxing-Ningbo"


def recognises(folder: Path) -> bool:
    """Whether its folder of records is there."""
    return (folder / "WFDBRecords").is_dir()


def plan(folder: Path, told: Mapping[str, Column]) -> Plan:
    """One ECG a header."""
    planned = Plan(NAME, folder)
    for header in (path for path in files_below(folder / "WFDBRecords") if path.suffix == ".hea"):
        planned.patient(header.stem)
        planned.ecg(PlannedEcg(header.stem, header.stem, header))
    ignore_others(planned, folder, set())
    return planned
