"""PTB-XL 1.0.3 (Wagner et al., Sci Data 7:154, 2020): ECGs with age and sex, no echo.

`strat_fold` 1 to 8 is train, 9 validation, 10 test, as its authors recommend. Ages over 89 stand as 300; sex 0 is male.
Records of 500 Hz are taken where they are there, those of 100 Hz otherwise.
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from echo2ecg_core.intake.ecg_tables import plan_ecgs
from echo2ecg_core.intake.folders import table_named
from echo2ecg_core.intake.labels import read_labels
from echo2ecg_core.intake.layouts.shared_steps import ignore_others, known_table, mapped
from echo2ecg_core.intake.mapping import Column
from echo2ecg_core.intake.plan import Plan
from echo2ecg_core.intake.tables import Table
from echo2ecg_core.intake.written_paths import NamedFiles

NAME = "PTB-XL"
TABLE = "ptbxl_database.csv"
RATES = ("filename_hr", "filename_lr")  # columns of the records of 500 and 100 Hz
FACTS = {"age": "age_years", "sex": "sex", "recording_date": "ecg_time", "strat_fold": "split"}
FOLDS = {str(f): "train" for f in range(1, 9)} | {"9": "validation", "10": "test"}


def recognises(folder: Path) -> bool:
    """Whether its table is there."""
    return table_named(folder, TABLE) is not None


def plan(folder: Path, told: Mapping[str, Column]) -> Plan:
    """ECGs by the table's rows."""
    planned, table = Plan(NAME, folder), known_table(folder, TABLE)
    table = _with_files(table, folder, planned)
    means = mapped(table, {"ecg_id": "ecg_id", "patient_id": "patient_id", RATES[0]: "path"}, FACTS, told)
    values = {"age": {"300": ">89"}, "sex": {"0": "male", "1": "female"}}
    numbers = {"ecg_id", "patient_id", *FACTS} & set(table.columns)  # written as 15709.0
    cells = {name: table.rows[name].str.removesuffix(".0") for name in numbers}
    cells |= {name: cells[name].replace(words) for name, words in values.items() if name in cells}
    if "strat_fold" in cells:
        cells["strat_fold"] = cells["strat_fold"].map(FOLDS).fillna("")
    plan_ecgs(read_labels(table.replaced(cells), means, planned), planned, folder)
    planned.note("PTB-XL holds ECGs without echo: they come in without measured phenotypes.")
    ignore_others(planned, folder, {TABLE})
    return planned


def _with_files(table: Table, folder: Path, plan: Plan) -> Table:
    """The table with the record of 100 Hz where that of 500 Hz is not there."""
    mapped(table, {name: "path" for name in RATES if name in table.columns} or {RATES[0]: "path"})
    files, (high, low) = NamedFiles(folder), RATES
    if low not in table.columns:
        return table
    if high not in table.columns:
        return table.replaced({high: table.rows[low]})
    slow = pd.Series([files.find(text)[0] is None for text in table.rows[high]], index=table.rows.index)
    there = pd.Series([slow[row] and files.find(text)[0] is not None for row, text in table.rows[low].items()],
                      index=table.rows.index)  # fmt: skip
    if there.any() and not there.all():
        plan.note(f"Records of 500 Hz that are not here and were taken in 100 Hz: {there.sum()} of {len(there)}.")
    return table.replaced({high: table.rows[high].mask(there, table.rows[low])})
