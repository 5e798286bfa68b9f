"""PTB-XL 1.0.3 (Wagner et al., Sci Data 7:154, 2020): ECGs with age and sex, no echo.

`strat_fold` 1 to 8 is train, 9 validation, 10 test, as its authors recommend. Ages over 89 stand as 300; sex 0 is male.
Records of 500 Hz are taken where they are there, those of 100 Hz otherwise.
"""

from collections.abc import Mapping
from pathlib import Path

from echo2ecg_core.intake.ecg_tables import plan_ecgs
from echo2ecg_core.intake.folders import table_named
from echo2ecg_core.intake.labels import read_labels
from echo2ecg_core.intake.layouts.shared_steps import ignore_others, known_table, mapped
from echo2ecg_core.intake.mapping import Column
from echo2ecg_core.intake.plan import Plan

NAME = "PTB-XL"
TABLE = "ptbxl_database.csv"
FACTS = {"age": "age_years", "sex": "sex", "recording_date": "ecg_time", "strat_fold": "split"}
FOLDS = {str(f): "train" for f in range(1, 9)} | {"9": "validation", "10": "test"}


def recognises(folder: Path) -> bool:
    """Whether its table is there."""
    return table_named(folder, TABLE) is not None


def plan(folder: Path, told: Mapping[str, Column]) -> Plan:
    """ECGs by the table's rows."""
    planned, table = Plan(NAME, folder), known_table(folder, TABLE)
    path = "filename_hr" if (folder / "records500").is_dir() else "filename_lr"
    means = mapped(table, {"ecg_id": "ecg_id", "patient_id": "patient_id", path: "path"}, FACTS)
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
