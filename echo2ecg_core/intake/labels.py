"""Tables of labels to planned studies: ids, dates, facts of the visit, findings, phenotypes; each cell checked.

A table has a row a study (or an ECG), or a row a measurement ("long"). Phenotypes go by their field names or by what
`mapping.py` makes of a column; units are proved by `units.py`, dates by `dates.py`. `wall_motion_scores` holds 17
scores parted by spaces (findings.py), `rhythm` one of sinus, af, other, `conduction` one of normal, lbbb, rbbb, other,
`first_degree_block` true or false. A label that cannot be is a problem with its row and column: it would be learnt.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from echo2ecg_core.ecg.channels import lead_order_of
from echo2ecg_core.ecg.units import needed_factor
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.findings import CONDUCTIONS, RHYTHMS, Findings, read_scores, score_index
from echo2ecg_core.intake.column_names import SEXES, SPLITS
from echo2ecg_core.intake.dates import BUDDHIST, EXPECTED, FUTURE, PERSIAN, TWO_CALENDARS, Dates, settle_dates
from echo2ecg_core.intake.field_names import (
    DATES,
    FINDINGS,
    IDS,
    field_of,
    is_another,
    is_known_name,
    method_rank,
    valve_named,
)
from echo2ecg_core.intake.grades import read_grades
from echo2ecg_core.intake.mapping import TableMap
from echo2ecg_core.intake.numbers import is_unmeasured, number_in, plain_numbers
from echo2ecg_core.intake.plan import Plan, PlannedStudy
from echo2ecg_core.intake.problems import Problems
from echo2ecg_core.intake.summaries import without_summaries
from echo2ecg_core.intake.tables import NONE, Table, numbered_rows
from echo2ecg_core.intake.units import factors, is_unit, settle_unit, unit_named
from echo2ecg_core.phenotypes import PHENOTYPES, Phenotype

INDEX = "wall_motion_score_index"
_YES_NO = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
_SEXES = {word: sex for sex, words in SEXES.items() for word in words.split()}
ISO_5218 = {"0": "unknown", "1": "male", "2": "female", "9": "unknown"}
_SEXES_IN_PAIRS = {  # letters of a column, in order
    "hm": {"h": "hombre", "m": "mujer"}, "fh": {"f": "femme", "h": "homme"}, "mv": {"m": "man", "v": "vrouw"},
    "km": {"k": "kobieta", "m": "man"}, "ek": {"e": "erkek", "k": "kadın"},
}  # fmt: skip
_UNTOLD = ("u", "unknown", "unk", "unbekannt", "o", "other", "divers", "?")
_OLDEST = 130  # years
_PER_YEAR = {"M": 12, "W": 52.1775, "D": 365.2425}
_ROUNDING = 0.01  # of a wall motion score index that is written beside its scores
_NO_ID = {"", "nan", "nat", "none", "null", "<na>", "n/a", "-", "--", "?"}  # "NA" may be one
_NO_ID |= {"#n/a", "#name?", "#ref!", "#value!", "#div/0!", "#null!", "#num!", "#nv", "#bezug!", "#wert!"}  # of Excel
_ROUNDED_ID = re.compile(r"\d([.,]\d+)?E\+\d+", re.IGNORECASE)
_EXACT_DIGITS = 15  # of a number in a spreadsheet; the others become zeros
_PERCENT = re.compile(r"(?<=\d)\s*(?:percent|per cent|pct|prozent|por ciento|pour cent)\.?(?!\w)", re.IGNORECASE)
_REMARK = re.compile(r"(.*\d\s*(?:%|\w+)?)\s*(?:[(\[]([^()\[\]\d]{1,30})[)\]]|[*†‡↑↓]+)")
_WITH_UNIT = re.compile(r"(.*?\d)\s*([^\d\s.,+-].*)")
OLDEST_TOLD = 90  # years: what ">89" and "90+" stand for


@dataclass(frozen=True)
class Labels:
    """A table read: `rows` has a column a field with typed cells (None where empty), by row number in the file."""

    file: str
    rows: pd.DataFrame
    map: TableMap

    def column(self, field: str) -> str:
        """How the file calls a field."""
        return self.map.column_of(field) or field


def read_labels(table: Table, means: TableMap, plan: Plan) -> Labels:
    """All cells of a table's mapped columns, checked, without the rows that sum others up; what is wrong goes to the
    plan's problems."""
    table, left_out = without_summaries(table, means)
    columns: dict[str, dict[int, Any] | pd.Series] = {}
    for name, column in means.best_first():
        may_say_none = column.field == "value" or column.field in PHENOTYPES
        cells = table.rows[name] if column.field in IDS else table.cells(name, NONE if may_say_none else "")
        if column.field in IDS:
            columns[column.field] = _ids(cells, table.file, name, plan.problems)
        elif column.field in DATES:
            columns[column.field] = _dates(cells, table, name, column.dates, plan)
        elif column.field in PHENOTYPES:
            better = columns.get(column.field, {})
            cells = cells[~cells.index.isin(list(better))]
            read = _phenotype(cells, table.file, name, PHENOTYPES[column.field], column.unit, plan)
            columns[column.field] = {**better, **read}
            if read and name != means.column_of(column.field):
                best = means.column_of(column.field)
                plan.note(f"{len(read)} rows of {table.file} without {best} took {name}.")
        elif column.field in _READERS:
            cells = _sexes_in_numbers(cells, table.file, name, plan) if column.field == "sex" else cells
            columns[column.field] = _each(cells, table.file, name, _READERS[column.field], plan.problems)
        else:
            columns[column.field] = cells
    plan.note(*means.notes, *table.notes, *left_out)
    if table.rows.empty:
        plan.note(f"{table.file} has a header and no rows.")
    if table.above:
        plan.note(f"{table.file} has {table.above} rows above its header; they were left out.")
    plan.maps[table.file] = means
    for name in means.ignored:
        is_noted = any(note.startswith(f"{name} in {table.file} ") for note in means.notes)
        reason = "a note says why" if is_noted else "no field is known by this name"
        plan.ignored.append((f"column {name} of {table.file}", reason))
    rows = pd.DataFrame({f: pd.Series(v, dtype=object) for f, v in columns.items()}, index=table.rows.index)
    labels = Labels(table.file, rows.astype(object).where(rows.notna(), None), means)
    return _widened(labels, plan) if {"measurement", "value"} <= means.fields() else labels


def plan_studies(labels: Labels, plan: Plan) -> None:
    """The patients and studies of a table with a row a study."""
    made, days, absent = False, studies_by_day(plan), []
    for number, row in numbered_rows(labels.rows):
        patient_id, study_id = row.get("patient_id"), row.get("study_id")
        if patient_id is None and study_id in plan.studies:
            patient_id = plan.studies[study_id].patient_id
        if patient_id is None:
            absent += [number] if "patient_id" not in labels.rows else []
            continue
        plan.patient(patient_id, row.get("sex"), row.get("split"), file=labels.file, row=number)
        if "study_id" not in labels.rows:
            day, made = (row.get("study_date") or "")[:10], True
            known = days.get((patient_id, day), ())
            study_id = next(iter(known)) if len(known) == 1 else made_id(patient_id, day, plan)
        if study_id is not None:
            plan.study(study_from(row, study_id, patient_id, labels, plan, number), file=labels.file, row=number)
    if absent and len(absent) < len(labels.rows):
        plan.note(
            f"Rows of {labels.file} whose study no file shows, so that its patient is not known: {len(absent)}; their "
            "labels were left out."
        )
    for number in absent if len(absent) == len(labels.rows) else ():
        plan.problems.add(
            f"{labels.file}, row {number}: no file shows the study of this row, so its patient is not known.",
            labels.file, number, labels.column("study_id"),
        )  # fmt: skip
    if made:
        plan.note(f"{labels.file} names no study: rows were joined to the study of the patient on that day.")


def study_from(
    row: Mapping[str, Any], study_id: str, patient_id: str, labels: Labels, plan: Plan, number: int
) -> PlannedStudy:
    """The study that a row of typed cells describes; the wall motion score index follows from the scores where it is
    not given."""
    values = {name: row[name] for name in PHENOTYPES if row.get(name) is not None}
    findings = Findings(**{name: row[name] for name in FINDINGS if row.get(name) is not None})
    if scores := findings.wall_motion_scores:
        mean = score_index(scores)
        if mean is not None and abs(values.setdefault(INDEX, mean) - mean) > _ROUNDING:
            expected = f"the mean of the wall motion scores of the row, which is {mean:.2f}"
            plan.problems.label(labels.file, number, labels.column(INDEX), expected)
    return PlannedStudy(study_id, patient_id, row.get("study_date"), row.get("age_years"), values, findings)


def made_id(patient_id: str, day: str, plan: Plan) -> str:
    """The id of a study that has none: its patient and day."""
    study_id = f"{patient_id} {day or 'study'}"
    plan.by_day.add(study_id)
    return study_id


def studies_by_day(plan: Plan) -> dict[tuple[str, str], set[str]]:
    """The studies of a patient on a day (ISO), and under "" all of the patient."""
    found: dict[tuple[str, str], set[str]] = {}
    for study in plan.studies.values():
        for day in {(study.study_date or "")[:10], ""}:
            found.setdefault((study.patient_id, day), set()).add(study.study_id)
    return found


def _widened(labels: Labels, plan: Plan) -> Labels:
    """A table with a row a measurement as one with a row a row, each phenotype in a column of its own."""
    rows, file = labels.rows, labels.file
    unknown: dict[str, int] = {}
    found: dict[str, dict[int, float]] = {}
    fields = {name: field_of(str(name)) for name in rows.measurement.dropna().unique()}
    for name, (field, unit) in sorted(fields.items(), key=lambda f: method_rank(f[0])):
        mine = rows[(rows.measurement == name) & rows.value.notna()]
        field = field or valve_named(name, mine.value)
        if field not in PHENOTYPES:
            unknown[name] = len(mine)
            continue
        told = mine.get("value_unit", pd.Series(None, index=mine.index, dtype=object))
        for text, group in mine.groupby(told.fillna("")):
            known = unit_named(PHENOTYPES[field], text) if text else unit
            if text and known is None:
                for number in group.index:
                    expected = f"a unit of {PHENOTYPES[field].short}: {', '.join(factors(PHENOTYPES[field]))}"
                    plan.problems.label(file, number, labels.column("value_unit"), expected)
                continue
            cells, column = group.value.astype(str), labels.column("value")
            shown = name if is_known_name(name) else PHENOTYPES[field].short  # somebody's name may stand in it
            read = _phenotype(cells, file, column, PHENOTYPES[field], known, plan, shown=shown)
            _take_best(found.setdefault(field, {}), read, rows, name, f"{shown} in {file}", plan)
    plan.ignored += [
        (f"measurement {name} of {file} ({count} rows)", "no phenotype is known by this name")
        for name, count in unknown.items()
    ]
    wide = rows.drop(columns=["measurement", "value", "value_unit"], errors="ignore")
    for field, values in found.items():
        column = pd.Series(values, index=wide.index, dtype=object)
        wide[field] = column.fillna(wide[field]) if field in wide else column
    return Labels(file, wide.astype(object).where(wide.notna(), None), labels.map)


def _take_best(
    found: dict[int, float], read: Mapping[int, float], rows: pd.DataFrame, name: str, what: str, plan: Plan
) -> None:
    """Add the values of one measurement by row, but of visits that have one by a better method."""
    visit = ["study_id"] if "study_id" in rows else [field for field in (*IDS, *DATES) if field in rows]

    def visits(of: Iterable[int]) -> list[tuple]:
        return [tuple(str(cell)[:10] if field in DATES else cell for field, cell in zip(visit, cells, strict=True))
                for cells in rows.loc[list(of), visit].itertuples(index=False)]  # fmt: skip

    better = set(visits(row for row in found if method_rank(rows.measurement[row]) < method_rank(name)))
    left = {row for row, seen in zip(read, visits(read), strict=True) if seen in better} if better else set()
    found.update({row: value for row, value in read.items() if row not in left})
    if left:
        plan.note(f"{len(left)} values of {what} were left out: their visits have one by a better method.")


def _ids(cells: pd.Series, file: str, column: str, problems: Problems) -> pd.Series:
    missing = cells.str.lower().isin(_NO_ID)
    for number in cells.index[missing]:
        problems.add(f"{file} has no id in row {number}, column {column}.", file, int(number), column)
    rounded = cells.index[cells.map(lambda text: _ROUNDED_ID.fullmatch(text) is not None)]
    long = cells[cells.str.fullmatch(rf"\d{{{_EXACT_DIGITS + 1},}}")]
    if long.nunique() > 1 and all(set(text[_EXACT_DIGITS:]) == {"0"} for text in long):
        rounded = rounded.union(long.index)
    if len(rounded):
        problems.add(
            f"{file} has ids in the column {column} that a spreadsheet has rounded (from row {rounded[0]}), so that "
            "different people may have one. Export the column as text.", file, int(rounded[0]), column,
        )  # fmt: skip
    return cells[~missing]


_WHY_ASKED = {
    "mixed": "some have the day first and some the month; write all in one form such as 2024-01-31",
    "turned": "a spreadsheet seems to have turned day and month of those with days up to 12 and left the others as "
    "they were; export them again as text, or say with a mapping which comes first (dates: day first)",
    BUDDHIST: "their years, from 2450 on, are those of the Buddhist calendar (2567 is 2024) or were shifted, and no "
    "file of the same days tells; say which with a mapping (dates: Buddhist, or dates: Gregorian to keep them)",
    TWO_CALENDARS: "some of their years are Gregorian ones (2024) and some Buddhist ones (2567) or shifted; write "
    "all in one calendar",
    PERSIAN: "their years, 1300 to 1480, are those of the Persian or the Islamic calendar; write them as Gregorian "
    "dates such as 2024-01-31",
    FUTURE: "their years of two digits would lie in the future; write years of four digits",
    "": "they can be read with the day or the month first; say which with a mapping (dates: day first)",
}


def _dates(cells: pd.Series, table: Table, column: str, told: str | None, plan: Plan) -> dict[int, str]:
    dates = dates_in(cells, table, column, told, plan)
    for number in dates.bad:
        plan.problems.label(table.file, number, column, EXPECTED)
    return dates.iso


def dates_in(cells: pd.Series, table: Table, column: str, told: str | None, plan: Plan) -> Dates:
    """The dates of a column of a table; what has to be told about them is a problem of the plan.

    Args:
        cells: Its cells that are not empty.
        told: Their form, where a person has told it.
    """
    days = {(s.study_date or "")[:10] for s in plan.studies.values()}
    days |= {(e.ecg_time or "")[:10] for e in plan.ecgs.values()}
    dates, file = settle_dates(cells, column, told, table.day_zero, days - {""}), table.file
    if dates.asked:
        first = int(cells.index[0])
        why = _WHY_ASKED["mixed" if dates.mixed else "turned" if dates.turned else dates.calendar]
        plan.problems.add(f"{file}: the dates in the column {column} (from row {first}): {why}.", file, first, column)
    plan.note(*dates.notes)
    return dates


def _phenotype(
    cells: pd.Series, file: str, column: str, phenotype: Phenotype, told: str | None, plan: Plan, shown: str = ""
) -> dict[int, float]:
    """Numbers in the phenotype's own unit, by row."""
    where = f"the column {shown or column} of {file}"
    cells, notes = _with_values(cells, phenotype, where)
    plan.note(*notes)
    if phenotype.kind == "grade":
        grades = read_grades(cells, phenotype.name, where)
        for number, expected in grades.bad.items():
            plan.problems.label(file, number, column, expected)
        plan.note(*grades.notes)
        return grades.values
    cells, notes = plain_numbers(cells[cells.str.lower() != NONE], phenotype, where)
    plan.note(*notes)
    in_cells, cells = _with_units(cells, phenotype)
    numbers, expected = {}, _expected(phenotype.lowest, phenotype.highest)
    if told is None and not cells.empty and cells.str.endswith("%").all():
        told = "%" if "%" in factors(phenotype) else None
    for number, text in cells.items():
        value = number_in(text)
        inside = [u for u, f in factors(phenotype).items() if phenotype.lowest <= value * f <= phenotype.highest]
        if not math.isfinite(value):
            plan.problems.label(file, number, column, f"{expected}, without words, signs or a wide range")
        elif not inside:
            plan.problems.label(file, number, column, expected)
        else:
            numbers[number] = value
    values = pd.Series(numbers, dtype=float)
    unit = settle_unit(values, phenotype.name, shown or column, told)
    for number in unit.odd:
        plan.problems.label(file, int(number), column, unit.expected)
    plan.note(unit.note)
    own = {number: value * unit.factor for number, value in numbers.items() if number not in unit.odd}
    for number, (value, name) in in_cells.items():
        told_unit = settle_unit(pd.Series({number: value}), phenotype.name, shown or column, name)
        if told_unit.odd or not phenotype.lowest <= value * told_unit.factor <= phenotype.highest:
            plan.problems.label(file, number, column, told_unit.expected or expected)
        else:
            own[number] = value * told_unit.factor
            plan.note(told_unit.note)
    return {number: round(value, 9) for number, value in own.items()}


def _with_values(cells: pd.Series, phenotype: Phenotype, where: str) -> tuple[pd.Series, tuple[str, ...]]:
    """The cells that hold a value, without remarks in brackets and marks behind it (55 (biplane), 20*), and notes."""

    def plain(text: str) -> str:
        found = _REMARK.fullmatch(text)
        remark = found[2] or "" if found else ""
        return text if not found or is_another(remark, phenotype.name) or is_unit(remark) else found[1].strip()

    without = cells.map(is_unmeasured).astype(bool)
    cells, n = cells[~without], int(without.sum())
    notes = [f"{n} cells of {where} say that there is no value (not measured, k.A., #N/A)."] if n else []
    cells = cells.str.replace(_PERCENT, "%", regex=True)
    bare = cells.map(plain) if phenotype.kind != "grade" else cells
    if n := int((bare != cells).sum()):
        notes.append(f"{n} remarks or marks behind numbers of {where} were left off.")
    return bare, tuple(notes)


def _with_units(cells: pd.Series, phenotype: Phenotype) -> tuple[dict[int, tuple[float, str]], pd.Series]:
    """Numbers of cells that name their unit ("22 mm"), by row, and the other cells; "%" is left to these."""
    found = {}
    for number, text in cells.items():
        match = _WITH_UNIT.fullmatch(text)
        unit = unit_named(phenotype, match[2]) if match else None
        if match and unit not in (None, "%") and math.isfinite(value := number_in(match[1])):
            found[number] = (value, unit)
    return found, cells[~cells.index.isin(list(found))]


def _each(cells: pd.Series, file: str, column: str, read: Callable[[str], Any], problems: Problems) -> dict[int, Any]:
    found = {}
    for number, text in cells.items():
        try:
            found[number] = read(text)
        except ValueError as error:
            problems.label(file, int(number), column, str(error))
    return found


def _sexes_in_numbers(cells: pd.Series, file: str, column: str, plan: Plan) -> pd.Series:
    """A column of sexes whose numbers a standard names, in words, and letters that mean one beside another; 0 and 1
    alone may mean either."""
    letters = cells.str.lower()
    if words := _SEXES_IN_PAIRS.get("".join(sorted(set(letters) - {*_UNTOLD}))):
        plan.note(f"Letters in the column {column} of {file} were read as {' and '.join(words.values())}.")
        return letters.replace({letter: _SEXES[word] for letter, word in words.items()})
    numbers = cells.str.removesuffix(".0")
    if not set(numbers) <= set(ISO_5218) or "2" not in set(numbers):
        return cells
    plan.note(f"Numbers in the column {column} of {file} were read as ISO/IEC 5218 has them: 1 male, 2 female.")
    return numbers.map(ISO_5218)


def _expected(lowest: float, highest: float) -> str:
    return f"a number from {lowest:g} to {highest:g}" if math.isfinite(highest) else f"a number of at least {lowest:g}"


def _between(lowest: float, highest: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = number_in(text)
        if not lowest <= value <= highest:
            raise ValueError(_expected(lowest, highest))
        return value

    return read


def years_in(text: str) -> float:
    """Years, as DICOM writes them (061Y, 018M) or with their word; ">89" or "90+" is the group of the oldest."""
    if re.fullmatch(r"> ?89|(≥|>=) ?90|90 ?\+", text):
        return float(OLDEST_TOLD)
    named = re.fullmatch(
        r"(\d{1,3}) ?(y|yrs?|years?|y\.?o|j|jahre|a|ans|años|anni)\.?|(\d{3})([MWD])", text, re.IGNORECASE
    )
    if named:
        return float(named[1]) if named[1] else int(named[3]) / _PER_YEAR[named[4].upper()]
    return _between(0, _OLDEST)(text)


def _one_of(known: Mapping[str, Any], expected: str = "") -> Callable[[str], Any]:
    def read(text: str) -> Any:
        if (word := text.lower().removesuffix(".")) not in known:
            raise ValueError(expected or ", ".join(known))
        return known[word]

    return read


def _as_reader(check: Callable[[str], Any]) -> Callable[[str], Any]:
    """What the ECG reader checks of a unit or an order of leads, as the reader of a cell."""

    def read(text: str) -> Any:
        try:
            return check(text)
        except Echo2ECGError as error:
            raise ValueError(error.hint.rstrip(".") or "a unit or lead order that is known") from None

    return read


_READERS: dict[str, Callable[[str], Any]] = {
    "wall_motion_scores": read_scores,
    "rhythm": _one_of({word: word for word in RHYTHMS}),
    "conduction": _one_of({word: word for word in CONDUCTIONS}),
    "first_degree_block": _one_of(_YES_NO, "true or false"),
    "sex": _one_of({**_SEXES, **dict.fromkeys(_UNTOLD)}, "male, female"),
    "age_years": years_in,
    "split": _one_of(SPLITS, "train, validation, test"),
    "sampling_rate_hz": _between(50, 32_000),
    "lead_order": _as_reader(lead_order_of),
    "unit": _as_reader(lambda text: needed_factor(text) and text),
}
