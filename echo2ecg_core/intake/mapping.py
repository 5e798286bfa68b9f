"""What each column of a table of labels means: guessed by name and values, shown, corrected by a person, kept as YAML.

The file is what the terminal takes with --map and the Import page saves; a column that it does not name is ignored:

    columns:
      Pat-ID: patient_id
      EF (%): {field: lvef, unit: "%"}
      Untersuchungsdatum: {field: study_date, dates: day first}

Two columns that could mean the same field are left to the person: the first is proposed, of one measurement by several
methods (EF biplane, EF Teichholz) that of the best, and the other named. A person may map both: a row without the
better one takes the other, as MIMIC-IV-ECHO's rule has it. What names mean stands in `field_names.py`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from echo2ecg_core.errors import StoreError
from echo2ecg_core.findings import CONDUCTIONS, RHYTHMS
from echo2ecg_core.intake.column_names import SPLITS
from echo2ecg_core.intake.dates import FORMS, is_clock
from echo2ecg_core.intake.field_names import (
    DATES,
    FIELDS,
    UNIT_IN_NAME,
    field_of,
    may_be_another,
    method_rank,
    plain_id,
    plain_name,
    valve_named,
)
from echo2ecg_core.intake.numbers import is_unmeasured
from echo2ecg_core.intake.tables import Table
from echo2ecg_core.intake.units import is_unit, unit_named
from echo2ecg_core.phenotypes import PHENOTYPES

IGNORED = "ignored"  # what a person calls a column that is not to be used
_BARE = {"patient", "subject", "study", "ecg", "record", "clip"}  # an id, or a name, a kind, a finding
_BARE_IDS = {"id", "nr", "no", "number", "nummer", "key", "code", "pid", "case", "fall"}
_DAY_OR_HOUR = re.compile("time|uhrzeit|zeit|hours?|heure|hora|ora|date|datum|day|tag|fecha|data|jour")
_VISITS = ("", "ecg", "ekg", "echo", "study", "exam", "examination", "acquisition", "recording", "scan", "visit",
           "untersuchungs")  # fmt: skip
_MIDNIGHT = re.compile(r"[T ]0?0:00(?::00(?:\.0+)?)?$")  # what a database writes behind a day
_LISTED: dict[str, Iterable[str]] = {"split": SPLITS, "rhythm": RHYTHMS, "conduction": CONDUCTIONS}


@dataclass(frozen=True)
class Column:
    """What one column means.

    Attributes:
        field: One of `FIELDS`.
        unit: Unit of a phenotype where it is told; None: proved by the values.
        dates: "day first", "month first" or a calendar where it is told; None: settled from the values.
    """

    field: str
    unit: str | None = None
    dates: str | None = None


@dataclass(frozen=True)
class TableMap:
    """What the columns of one table mean, and which are left out."""

    columns: dict[str, Column]
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def column_of(self, name: str) -> str | None:
        """The column that holds a field."""
        return next((column for column, means in self.best_first() if means.field == name), None)

    def best_first(self) -> list[tuple[str, Column]]:
        """The columns, of a measurement by several methods the best one first."""
        return sorted(self.columns.items(), key=lambda c: (c[0] != c[1].field, method_rank(c[0])))

    def fields(self) -> set[str]:
        """The fields that the table holds."""
        return {means.field for means in self.columns.values()}


def guess(table: Table, wanted: Iterable[str] = FIELDS, known: Mapping[str, Iterable[str]] = {}) -> TableMap:
    """What the columns of a table seem to mean.

    Args:
        wanted: Fields that may be in it.
        known: Ids that are there already by field: of two columns that may hold an id, the one that holds more of
            these is it.
    """
    columns: dict[str, Column] = {}
    wanted = tuple(wanted)
    ignored, notes, allowed = [], [], set(wanted)
    names = table.columns
    exact, held = {name for name in names if name in allowed}, {field_of(name)[0] for name in names}
    by_values = _ids_by_values(table, known)
    met = _met(table, known) | {name: n for name, (_, n) in by_values.items()}
    for name in sorted(
        names,
        key=lambda n: (
            _any_date(n),
            -met.get(n, 0),
            n not in exact,
            plain_name(n) in _BARE,
            method_rank(n),
            _in_words(table, n),
        ),
    ):
        field, unit = field_of(name)
        field = field or by_values.get(name, (None, 0))[0] or valve_named(name, table.rows[name])
        if field in ("unit", "value_unit"):  # of the measurement in a row, or of a signal
            field = "value_unit" if "value" in held else "unit"
        if _any_date(name):  # the first kind of date that is wanted
            kinds = [f for f in wanted if f in DATES]
            is_taken = any(means.field == kinds[0] for means in columns.values()) if kinds else True
            field = field if is_taken and name == field else (*kinds, field)[0]
        if field == "measurement" and _are_numbers(table.cells(name)):  # a Messwert is a name, or the value itself
            field = "value"
        taken = [c for c, means in columns.items() if means.field == field]
        if field not in allowed or not _values_fit(table, name, field):
            ignored.append(name)
            meant, why = _why_left_out(name, field)
            if meant in allowed:
                notes.append(f"{name} in {table.file} {why.format(meant)}; it was left out.")
        elif taken:
            ignored.append(name)
            notes.append(f"{name} in {table.file} may mean {field} too; {taken[0]} was taken.")
        else:
            columns[name] = Column(field, unit if field in PHENOTYPES else None)
            if name in by_values:
                notes.append(f"{name} in {table.file} holds ids of the files and was taken for {field}.")
    ordered, left = {name: columns[name] for name in names if name in columns}, set(ignored)
    return TableMap(ordered, tuple(n for n in names if n in left), tuple(notes))


def _met(table: Table, known: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """How many ids that are there already stand in each column that is not alone in meaning its kind of id."""
    by_field: dict[str, list[str]] = {}
    for name in table.columns:
        by_field.setdefault(field_of(name)[0] or "", []).append(name)
    met: dict[str, int] = {}
    for field in (field for field in known if len(by_field.get(field, ())) > 1):
        ids = set(map(plain_id, known[field]))
        met |= {name: len(ids & set(map(plain_id, table.rows[name].unique()))) for name in by_field[field]}
    return met


def _ids_by_values(table: Table, known: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, int]]:
    """Columns of names that nobody knows whose cells are mostly ids of the files, where none is named so and holds any,
    with the field and how many. Short numbers may be anything and count only below a name such as ID."""
    found: dict[str, tuple[str, int]] = {}
    for field, there in known.items():
        ids = set(map(plain_id, there))
        met = {name: ids & set(map(plain_id, table.cells(name).unique())) for name in table.columns}
        if not ids or any(met[name] for name in table.columns if field_of(name)[0] == field):
            continue
        for name in (n for n in table.columns if n not in found and field_of(n)[0] is None and met[n]):
            telling = plain_name(name) in _BARE_IDS or all(len(id) > 4 or not id.isdigit() for id in met[name])
            if telling and len(met[name]) > table.cells(name).nunique() / 2:
                found[name] = field, len(met[name])
                break
    return found


def _why_left_out(name: str, field: str | None) -> tuple[str | None, str]:
    """The field that a column seems to mean and is not, and the reason in words."""
    if field is not None:
        return field, "holds mostly what {} cannot be"
    behind = UNIT_IN_NAME.search(name)
    text = (behind[1] or "") if behind else ""
    meant = field_of(UNIT_IN_NAME.sub("", name))[0]
    is_other = meant in PHENOTYPES and may_be_another(text, meant) and not is_unit(text)
    return meant, "names in brackets what is not {}" if is_other else "is in a unit that {} cannot have"


def with_title(table: Table, means: TableMap) -> Table:
    """A table of one value a row with what its title says was measured: the name of its sheet, or of its file."""
    fields = means.fields()
    if "value" not in fields or "measurement" in fields or fields & set(PHENOTYPES):
        return table
    is_named = field_of(table.title)[0] in PHENOTYPES
    return table.replaced({"measurement": pd.Series(table.title, index=table.rows.index)}) if is_named else table


def with_hours(table: Table) -> Table:
    """A table whose hours stand beside its days, with both in the column of the days."""
    kinds = {n: _DAY_OR_HOUR.sub("", plain_name(n)) for n in table.columns if _DAY_OR_HOUR.search(plain_name(n))}
    hours = [n for n, kind in kinds.items() if kind in _VISITS and is_clock(table.cells(n))]
    dated = [n for n in table.columns if n not in hours and field_of(n)[0] in DATES]
    for name in hours:
        alike = [n for n in dated if kinds.get(n) == kinds[name]] or (dated if kinds[name] == "" else [])
        days = table.rows[alike[0]].str.replace(_MIDNIGHT, "", regex=True) if len(alike) == 1 else pd.Series(dtype=str)
        if days.empty or days.str.contains(":").any() or days.str.fullmatch(r"\d*").all():
            continue
        both = days.where((days == "") | (table.rows[name] == ""), days + " " + table.rows[name])
        note = f"The hours in {name} of {table.file} were joined to the days in {alike[0]}."
        table = replace(
            table, rows=table.rows.assign(**{alike[0]: both}).drop(columns=name), notes=(*table.notes, note)
        )
    return table


def _any_date(name: str) -> bool:
    """Whether a name means a date and does not say of what: an echo or an ECG."""
    return field_of(name)[0] in DATES and not re.search("echo|ecg|ekg", plain_name(name))


def _values_fit(table: Table, name: str, field: str | None) -> bool:
    """A column whose name means a number or one of a few words but which holds mostly other text is no such column."""
    if field is None or name == field:
        return field is not None
    cells = table.cells(name)
    if field in _LISTED:
        return cells.empty or bool(cells.str.lower().isin(set(_LISTED[field])).mean() > 0.5)
    if field not in PHENOTYPES or PHENOTYPES[field].kind == "grade":
        return True
    cells = cells[~cells.map(is_unmeasured).astype(bool)]
    return cells.empty or _are_numbers(cells)


def _in_words(table: Table, name: str) -> bool:
    """Whether a column means a value and holds words: a result beside its number."""
    return field_of(name)[0] == "value" and not _are_numbers(table.cells(name))


def _are_numbers(cells: pd.Series) -> bool:
    """Whether most cells hold a number, with a sign or a unit or without."""
    return bool(cells.str.contains(r"^(?:[<>~≈≤≥]=?|ca\.?|about)?\s*[-+]?[.,]?\d").mean() > 0.5)


def read_mapping(path: Path) -> dict[str, Column]:
    """The mapping in a YAML file.

    Raises:
        StoreError: it cannot be read, or names a field, unit or order of dates that there is not.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise StoreError(
            f"The mapping {path.name} cannot be read ({type(error).__name__}).", "Save it anew from the Import page."
        ) from error
    columns = content.get("columns") if isinstance(content, dict) else None
    if not isinstance(columns, dict):
        raise StoreError(
            f"The mapping {path.name} has no list `columns`.", "Write `columns:` and below it `COLUMN: field`."
        )
    return {str(name): column_from(str(name), means) for name, means in columns.items()}


def column_from(name: str, means: Any) -> Column:
    """A column of a mapping as a person wrote it: a field, or {field, unit, dates}.

    Raises:
        StoreError: there is no such field, unit or order of dates.
    """
    told = {"field": means} if isinstance(means, str) else dict(means) if isinstance(means, Mapping) else {}
    field, unit, dates = told.get("field", ""), told.get("unit"), told.get("dates")
    if not all(isinstance(word, str | None) for word in (field, unit, dates)):  # not quoted: it may stand for millions
        raise StoreError(f"The mapping says of the column {name} what is no word.", "Write `COLUMN: field`.")
    if field not in (*FIELDS, IGNORED):
        raise StoreError(
            f"The mapping says of the column {name} {field!r}, which is no field.", f"Fields: {', '.join(FIELDS)}."
        )
    if unit is not None and field in PHENOTYPES:
        known = unit_named(PHENOTYPES[field], str(unit))
        if known is None:
            raise StoreError(
                f"{PHENOTYPES[field].short} has no unit {unit!r} (column {name}).",
                f"Its own is {PHENOTYPES[field].unit}.",
            )
        unit = known
    if dates is not None and dates not in FORMS:
        raise StoreError(f"The dates of the column {name} cannot be {dates!r}.", f"Choose from {', '.join(FORMS)}.")
    return Column(field, unit, dates)


def write_mapping(columns: Mapping[str, Column]) -> str:
    """A mapping as the YAML that --map takes."""
    import yaml

    def told(means: Column) -> Any:
        given = {k: v for k, v in vars(means).items() if v is not None}
        return given if len(given) > 1 else means.field

    return yaml.safe_dump({"columns": {n: told(m) for n, m in columns.items()}}, allow_unicode=True, sort_keys=False)


def save_mapping(path: Path, columns: Mapping[str, Column]) -> None:
    """Write a mapping for --map.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        path.write_text(write_mapping(columns), encoding="utf-8")
    except OSError as error:
        raise StoreError(f"The mapping cannot be written: {error.strerror}.", "Name another place.") from error


def columns_of(means: TableMap) -> dict[str, Column]:
    """All columns of a table; those that are not used are said to be."""
    return means.columns | {name: Column(IGNORED) for name in means.ignored}


def joined(maps: Iterable[Mapping[str, Column]]) -> dict[str, Column]:
    """The columns of several tables as one mapping; a name that one of them uses is not ignored for the other."""
    told: dict[str, Column] = {}
    for columns in maps:
        told |= {name: c for name, c in columns.items() if c.field != IGNORED or name not in told}
    return told


def apply(table: Table, told: Mapping[str, Column]) -> TableMap:
    """The mapping a person gave, for a table that has these columns.

    Raises:
        StoreError: the table lacks one of them, or two mean the same field.
    """
    found = {_column_named(table, name) or name: means for name, means in told.items()}
    missing = [name for name in found if name not in table.columns]
    if missing:
        raise StoreError(
            f"{table.file} lacks the column {', '.join(missing)} of the mapping; found {', '.join(table.columns)}.",
            "Correct the mapping.",
        )
    fields = [means.field for means in found.values()]
    twice = sorted({f for f in fields if fields.count(f) > 1 and f not in PHENOTYPES})
    if twice:
        raise StoreError(f"Two columns of the mapping mean {', '.join(twice)}.", "Leave one of them out.")
    return TableMap(found, tuple(c for c in table.columns if c not in found))


def told_for(table: Table, told: Mapping[str, Column]) -> dict[str, Column]:
    """Those of the columns a person has mapped that this table has, by their names in it."""
    found = {name: _column_named(table, name) for name in told}
    return {column: told[name] for name, column in found.items() if column is not None}


def _column_named(table: Table, name: str) -> str | None:
    """The column of this name, else the only one that differs from it in case, accents, blanks and punctuation."""
    alike = [name] if name in table.columns else [c for c in table.columns if plain_name(c) == plain_name(name)]
    return alike[0] if len(alike) == 1 else None
