"""What layouts share: tables whose columns are known, files that are not used, splits.

Values of a public data set that cannot be are left out and counted; nobody can correct them there. People save its
tables anew: in another case, packed, with decimal commas and ids as 15709.0.
"""

import math
from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from echo2ecg_core.errors import StoreError
from echo2ecg_core.intake.column_names import SPLITS
from echo2ecg_core.intake.folders import table_named
from echo2ecg_core.intake.labels import dates_in, years_in
from echo2ecg_core.intake.mapping import Column, TableMap, told_for
from echo2ecg_core.intake.numbers import number_in
from echo2ecg_core.intake.plan import Plan
from echo2ecg_core.intake.tables import MISSING, TABLE_SUFFIXES, Table, read_table
from echo2ecg_core.intake.units import BANDS, settle_unit
from echo2ecg_core.phenotypes import PHENOTYPES

NO_NUMBER = "no number"


def known_table(folder: Path, name: str, *ids: str) -> Table:
    """A table of a data set, which `table_named` finds in the folder.

    Args:
        ids: Columns of ids that are whole numbers; a program may have saved them as 15709.0.

    Raises:
        StoreError: as `read_table`.
    """
    path = table_named(folder, name)
    assert path is not None, "the folder was recognised"
    table = read_table(path)
    return table.replaced({c: table.rows[c].str.removesuffix(".0") for c in ids if c in table.columns})


def mapped(
    table: Table, fields: Mapping[str, str], optional: Mapping[str, str] = {}, told: Mapping[str, Column] = {}
) -> TableMap:
    """The map of a table whose columns are known.

    Args:
        fields: {column: field}. optional: Likewise, of columns that may be missing.
        told: What a person says of columns: the form of their dates counts.

    Raises:
        StoreError: a column is missing.
    """
    missing = [name for name in fields if name not in table.columns]
    if missing:
        raise StoreError(
            f"{table.file} lacks the column {', '.join(missing)}; found {', '.join(table.columns)}.",
            "Download the data set again, or name another layout with --layout.",
        )
    there = {name: field for name, field in optional.items() if name in table.columns}
    dates = {name: means.dates for name, means in told_for(table, told).items()}
    return TableMap({name: Column(field, None, dates.get(name)) for name, field in {**fields, **there}.items()})


def dates_told(plan: Plan, table: Table, column: str, told: Mapping[str, Column]) -> dict[int, str]:
    """ISO dates by row of a column that may be missing; cells that hold none are counted, and an order that has to be
    told is a problem."""
    if column not in table.columns:
        return {}
    mine = told_for(table, told).get(column)
    dates = dates_in(table.cells(column), table, column, mine.dates if mine else None, plan)
    if dates.asked:
        plan.maps.setdefault(table.file, TableMap({column: Column("study_date")}))
    elif dates.bad:
        plan.ignored.append((f"{len(dates.bad)} dates of {column} in {table.file}", "no dates"))
    return dates.iso


def ignore_others(plan: Plan, folder: Path, used: set[str]) -> None:
    """Name the tables of the folder that are not used."""
    plain = {name.lower() for name in used}
    for path in sorted(folder.iterdir()):
        is_used = path.name.lower().removesuffix(".gz") in plain
        if path.is_file() and not is_used and path.suffix.lower() in TABLE_SUFFIXES | {".gz"}:
            plan.ignored.append((path.name, f"not used of {plan.layout}"))


def tell_unnamed(plan: Plan, files: Collection[object], what: str) -> None:
    """Count what lies there and no row of the table names."""
    if files:
        plan.ignored.append((f"{len(files)} {what}", "no row of the table names them"))


def number(text: str) -> float | None:
    """The number in a cell of a public data set, None where there is none."""
    value = number_in(text)
    return value if math.isfinite(value) else None


def labels_told(plan: Plan, texts: Mapping[str, str]) -> dict[str, float]:
    """The labels in some cells by phenotype; those that are no number or cannot be are counted."""
    values = {}
    for name, text in texts.items():
        value = measured(plan, name, number(text))
        if value is not None:
            values[name] = value
        elif number(text) is None and text.strip().lower() not in MISSING:
            _count(plan, PHENOTYPES[name].short, NO_NUMBER)
    return values


def split_told(plan: Plan, text: str) -> str | None:
    """The split that a cell names; what is none is counted."""
    plain = text.strip().lower()
    if plain not in (*SPLITS, *MISSING, "no_split", "not_used"):
        _count(plan, "a split", "neither train, validation nor test: split by the hash of the patient")
    return SPLITS.get(plain)


def age_told(plan: Plan, text: str) -> float | None:
    """The years in a cell; what is no age is counted."""
    try:
        return None if text.strip().lower() in MISSING else years_in(text)
    except ValueError:
        _count(plan, "age", NO_NUMBER)
        return None


def measured(plan: Plan, name: str, value: float | None, *, by_size: bool = False) -> float | None:
    """A value in the unit of its phenotype, or None for one that nobody can have; those are counted.

    Args:
        by_size: cm and mm are mixed in this column: each value tells its own unit.
    """
    if value is None:
        return None
    unit = settle_unit(pd.Series([value]), name, name, None if by_size else PHENOTYPES[name].unit or None)
    low, high = BANDS.get(name, (PHENOTYPES[name].lowest, PHENOTYPES[name].highest))
    inside = low <= value * unit.factor <= high
    if unit.odd or not inside:
        _count(plan, PHENOTYPES[name].short, "outside of what can be measured")
        return None
    return round(value * unit.factor, 9)


def _count(plan: Plan, short: str, reason: str) -> None:
    """One value more of a phenotype that is left out."""
    for i, (what, why) in enumerate(plan.ignored):
        if why == reason and what.endswith(f" of {short}"):
            plan.ignored[i] = (f"{int(what.split()[0]) + 1} values of {short}", reason)
            return
    plan.ignored.append((f"1 values of {short}", reason))
