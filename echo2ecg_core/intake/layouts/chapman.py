"""Chapman-Shaoxing-Ningbo (PhysioNet ecg-arrhythmia): ECGs in `WFDBRecords/NN/NNN/`, no echo and no table.

Age and sex stand in the headers, where the ECG reader finds them. Each record is of another patient.
"""

from collections.abc import Mapping
from pathlib import Path

from echo2ecg_core.intake.folders import files_below, named_below, shown_path
from echo2ecg_core.intake.layouts.shared_steps import ignore_others
from echo2ecg_core.intake.mapping import Column
from echo2ecg_core.intake.plan import Plan, PlannedEcg
from echo2ecg_core.intake.written_paths import NO_HEADER

NAME, RECORDS = "Chapman-Shaoxing-Ningbo", "WFDBRecords"


def recognises(folder: Path) -> bool:
    """Whether its folder of records is there."""
    return any(path.is_dir() for path in named_below(folder, RECORDS))


def plan(folder: Path, told: Mapping[str, Column]) -> Plan:
    """One ECG a header."""
    planned = Plan(NAME, folder)
    files = [path for place in named_below(folder, RECORDS) for path in files_below(place)]
    for header in (path for path in files if path.suffix.lower() == ".hea"):
        planned.patient(header.stem)
        planned.ecg(PlannedEcg(header.stem, header.stem, header))
    alone = {p for p in files if p.suffix.lower() == ".mat" and p.stem not in planned.ecgs}
    planned.ignored += [(shown_path(path, folder), NO_HEADER) for path in sorted(alone)]
    ignore_others(planned, folder, set())
    return planned
