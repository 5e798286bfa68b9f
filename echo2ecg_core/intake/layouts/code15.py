"""CODE-15 % (Zenodo 4916206): ECGs of Telehealth Network Minas Gerais with age and sex, no echo.

`exams.csv` names the HDF5 part of each exam; the row within it is looked up by `exam_id`, because parts are not in the
table's order and end in an empty row. Amplitudes are judged by the reader, since their unit is told two ways.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from echo2ecg_core.errors import StoreError
from echo2ecg_core.intake.array_rows import code15_row
from echo2ecg_core.intake.folders import named_below, table_named
from echo2ecg_core.intake.layouts.shared_steps import age_told, ignore_others, known_table, mapped, tell_unnamed
from echo2ecg_core.intake.mapping import Column
from echo2ecg_core.intake.plan import Plan, PlannedEcg
from echo2ecg_core.intake.tables import numbered_rows

NAME = "CODE-15 %"
TABLE, PARTS = "exams.csv", "exams_part*.hdf5"
SEXES = {"true": "male", "1": "male", "false": "female", "0": "female"}


def recognises(folder: Path) -> bool:
    """Whether its table and one of its parts are there."""
    return table_named(folder, TABLE) is not None and bool(named_below(folder, PARTS))


def plan(folder: Path, told: Mapping[str, Column]) -> Plan:
    """ECGs by the table's rows, as far as their part is there."""
    planned, table = Plan(NAME, folder), known_table(folder, TABLE, "exam_id", "patient_id", "is_male")
    mapped(table, {"exam_id": "ecg_id", "patient_id": "patient_id", "trace_file": "path"})
    parts = {p.name.lower(): p for p in named_below(folder, PARTS)}
    rows = {name: _rows(path) for name, path in parts.items()}
    for row, cells in numbered_rows(table.rows):
        file, exam_id = cells["trace_file"].lower(), cells["exam_id"]
        if exam_id not in rows.get(file, {}):
            planned.passed_over.append((exam_id, "The part that holds it is not in the folder."))
            continue
        sex = SEXES.get(cells.get("is_male", "").lower())
        planned.patient(cells["patient_id"], sex, file=table.file, row=row)
        read = partial(code15_row, parts[file], rows[file][exam_id])
        age = age_told(planned, cells.get("age", ""))
        ecg = PlannedEcg(exam_id, cells["patient_id"], parts[file], age_years=age, read=read)
        planned.ecg(ecg, file=table.file, row=row)
    tell_unnamed(planned, {e for part in rows.values() for e in part} - planned.ecgs.keys(), "exams of the parts")
    ignore_others(planned, folder, {TABLE})
    return planned


def _rows(path: Path) -> dict[str, int]:
    """The row of each exam in a part."""
    import h5py

    try:
        with h5py.File(path, "r", locking=False) as part:
            return {str(int(exam)): i for i, exam in enumerate(part["exam_id"][:]) if int(exam)}
    except (OSError, KeyError) as error:
        raise StoreError(f"{path.name} cannot be read as a part of CODE-15.", "Download it again.") from error
