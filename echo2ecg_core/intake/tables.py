"""Any table that lies beside ECGs and clips, as text: CSV with whatever separator and encoding, gzip, a workbook.

Nothing is interpreted here: every cell is text without spaces at its ends, an id "NA" or "007" stays what it is, and
each row keeps the number it has in the file. Letters with accents come out in one form (NFC), however they were typed.
Dates that Excel stores as dates come out as ISO text. Quotation marks that do not close would swallow rows and are
refused.
"""

import csv
import gzip
import io
import re
import unicodedata
import zlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from echo2ecg_core.errors import StoreError, printable
from echo2ecg_core.intake.dates import DAY_ZERO
from echo2ecg_core.intake.encodings import SAVE_ANEW, NoTable, text_of
from echo2ecg_core.intake.units import is_unit
from echo2ecg_core.intake.workbooks import MAX_BYTES, MAX_COLUMNS, TOO_WIDE, WORKBOOKS, Row, Sheet, sheets_of

TEXTS, SPREADSHEETS = {".csv", ".tsv", ".tab", ".txt"}, {".xls", ".xlsx", ".xlsm", ".ods"}
TABLE_SUFFIXES = TEXTS | SPREADSHEETS  # what lies behind one is told by its content: .xls is often a text, or .xlsx
SEPARATORS = ",;\t|"
NONE = "none"  # no value, or the grade of a valve that is well
MISSING = {"", "nan", "na", "n/a", "nat", NONE, "null", "-", "--", "."}
LOOKED_AT = 30  # first rows that tell separator and header
HEADER_BYTES = 2**16  # the first line of a table lies within
_VALUE = re.compile(r"[+-]?\d+([.,]\d+)?\s*%?|.*\d{4}.*")  # a number or a date: no name of a column
_NO_UNIT = re.compile(  # what stands in a row of units where there is none: [-], unit, dd/mm/yyyy, m/f
    r"[\[(]?(-+|units?|einheit|unité|[dmyhs]{1,4}([-/. :]+[dmyhs]{1,4}){1,5}|[mfw01]/[mfw01])[\])]?$", re.IGNORECASE
)
_TEXT_FORMULA = re.compile(r'="((?:[^"]|"")*)"')
_FAULTS = (OSError, EOFError, ValueError, zlib.error, csv.Error)
Read = TypeVar("Read")


@dataclass(frozen=True)
class Table:
    """A table as text.

    Attributes:
        file: Base name, and the number of the sheet where it is not the first one.
        rows: One column a column of the file, its names as they stand there; the index is the row number in the file.
        above: How many rows with something in them stand above the header: titles, names of groups of columns.
        notes: That its header takes two rows; what a spreadsheet hides of it: formulas without values, hidden rows,
            columns and sheets; that the encoding of a text is a guess.
        day_zero: What dates that are numbers of days count from.
        title: The name of its sheet, of a text that of its file; it may be that of a person.
    """

    file: str
    rows: pd.DataFrame
    above: int = 0
    notes: tuple[str, ...] = ()
    day_zero: datetime = DAY_ZERO
    title: str = ""

    @property
    def columns(self) -> list[str]:
        """Names as they stand in the file."""
        return list(self.rows.columns)

    def cells(self, column: str, kept: str = "") -> pd.Series:
        """The cells of a column that are not empty, by row number; `kept` is a word that here means something."""
        cells = self.rows[column]
        return cells[~cells.str.lower().isin(MISSING - {kept} | {""})]

    def replaced(self, columns: Mapping[str, pd.Series]) -> "Table":
        """The table with other cells in some columns."""
        return replace(self, rows=self.rows.assign(**columns))


def is_table(path: Path) -> bool:
    """Whether the name of a file is that of a table, packed or not."""
    name = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return name.suffix.lower() in TABLE_SUFFIXES


def read_table(path: Path, least_columns: int = 2) -> Table:
    """The table in a file; of a workbook that of its first sheet.

    Args:
        least_columns: With fewer it is no table.

    Raises:
        StoreError: it cannot be opened, or is no table.
    """
    return _in_words(path, lambda: _tables(path, least_columns)[0])


def read_tables(path: Path) -> list[Table]:
    """The tables in a file: of a workbook one a sheet that holds any.

    Raises:
        StoreError: it cannot be opened, or the first of them is no table.
    """
    return _in_words(path, lambda: _tables(path))


def _tables(path: Path, least_columns: int = 2) -> list[Table]:
    sheets = _sheets(path)
    several = [s for s in sheets if isinstance(s.rows, list) and len(s.rows) > 1 and max(len(r) for _, r in s.rows) > 1]
    tables = []
    for sheet in several or sheets[:1]:  # the others are empty, or mere remarks
        name = printable(path.name) + (f", sheet {sheet.number}" if sheet.number > 1 else "")
        table = _table(name, sheet.rows, least_columns)
        title = sheet.title or path.name.partition(".")[0]
        notes = table.notes + _notes(name, sheet.told)
        tables.append(replace(table, notes=notes, day_zero=sheet.day_zero, title=title.strip()))
    return tables


def _notes(name: str, hidden: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{name}: {text}" for text in hidden)


def _in_words(path: Path, read: Callable[[], Read]) -> Read:
    """What is read of a file, or why it cannot be."""
    try:
        return read()
    except _FAULTS as error:
        raise _unreadable(path, error) from error


def _sheets(path: Path) -> list[Sheet]:
    """Every sheet that holds any row; at least one."""
    content = path.read_bytes()
    content = _unpacked(content) if content.startswith(b"\x1f\x8b") else content
    if content.startswith(WORKBOOKS):
        return sheets_of(content) or [Sheet(1, [])]
    text, told = text_of(content)
    return [Sheet(1, _text_rows(text), told)]


def _header_at(cells: list[Row], least_columns: int) -> int:
    """Which of the first rows is the header: the first in which at least half as many cells are filled as in the
    fullest of them. What stands above is a title or names groups of columns."""
    filled = [sum(bool(cell.strip()) for cell in row) for _, row in cells]
    least = max(least_columns, max(filled, default=0) / 2)
    return next((at for at, n in enumerate(filled) if n >= least), 0)


def _table(file: str, rows: Iterable[Row], least_columns: int = 2) -> Table:
    """A table of numbered rows, one of the first of which is its header."""
    left = iter(rows)
    first = list(islice(left, LOOKED_AT))
    at = _header_at(first, least_columns)
    if not first or len(first[at][1]) < least_columns:
        raise StoreError(f"{file} is no table: it has no header of two columns or more.", "Save it as CSV.")
    if len(first[at][1]) > MAX_COLUMNS:
        raise NoTable(TOO_WIDE)
    header, taken = _header(first[at : at + 2])
    names = _unique([name.strip().strip("\ufeff") or f"column {i + 1}" for i, name in enumerate(header)])
    width, numbers = len(names), array("q")
    columns: list[list[str]] = [[] for _ in names]
    known: dict[str, str] = {}  # a text that comes again is held once: ids, days and units stand in row after row
    for number, row in chain(first[at + taken :], left):
        if len(row) > width and any(cell.strip() for cell in row[width:]):
            raise StoreError(
                f"{file} has more cells in row {number} than in its header ({len(row)}, expected {width}).",
                "Put texts that hold the separator into quotation marks.",
            )
        numbers.append(number)
        for column, cell in zip(columns, row[:width] + [""] * (width - len(row)), strict=True):
            cell = cell.strip() if cell.isascii() else unicodedata.normalize("NFC", cell).strip()
            column.append(known.setdefault(cell, cell))
    frame = pd.DataFrame(dict(zip(names, columns, strict=True)), index=list(numbers), dtype=str)
    return Table(file, frame, at, (f"{file} has a header of two rows.",) if taken > 1 else ())


def _header(rows: Sequence[Row]) -> tuple[list[str], int]:
    """The names of the columns, and how many rows they take: two where the second holds the units, or the names below
    those of groups of columns (cells that were merged)."""
    names = [cell.strip() for cell in rows[0][1]]
    below = [_NO_UNIT.sub("", cell.strip()) for cell in rows[1][1]] if len(rows) > 1 else []
    below += [""] * (len(names) - len(below))
    pairs = list(zip(names, below, strict=False))
    if not any(below) or len(below) != len(names) or any(_VALUE.fullmatch(cell) for cell in below):
        return names, 1
    if "" in below and all(is_unit(cell) for cell in below if cell):
        return [f"{name} ({unit.strip('[]()')})" if unit else name for name, unit in pairs], 2
    begins_group = [bool(name) and not after for name, after in zip(names, [*names[1:], "x"], strict=True)]
    merged = any(begins_group) and all(bool(b) == (g or not n) for (n, b), g in zip(pairs, begins_group, strict=True))
    repeated = len(set(names)) < len(names) and "" not in below and len(set(below)) == len(below)
    if merged or (repeated and all(names.count(name) > 1 or name == cell for name, cell in pairs)):
        return [cell or name for name, cell in pairs], 2
    return names, 1


def numbered_rows(rows: pd.DataFrame) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every row as a dict, with its number in the file; one at a time."""
    names = list(rows.columns)
    for number, cells in zip(rows.index.tolist(), rows.itertuples(index=False, name=None), strict=True):
        yield number, dict(zip(names, cells, strict=True))


def read_header_row(path: Path) -> Table:
    """The columns of a table without its rows, read from the beginning of the file alone where it is text.

    Raises:
        StoreError: as `read_table`.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            head = file.read(HEADER_BYTES)
        if head.startswith(WORKBOOKS):
            return read_table(path)
        whole = len(head) < HEADER_BYTES
        cells = list(islice(_text_rows(text_of(head, whole)[0], whole), LOOKED_AT))
        at = _header_at(cells, 2)
        return _table(printable(path.name), cells[at : at + 1])
    except _FAULTS as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> StoreError:
    if isinstance(error, NoTable):
        return StoreError(f"{path.name} cannot be read as a table: {error}.", error.hint)
    return StoreError(f"{path.name} cannot be read as a table ({type(error).__name__}).", SAVE_ANEW)


def _unpacked(content: bytes) -> bytes:
    with gzip.open(io.BytesIO(content)) as packed:
        unpacked = packed.read(MAX_BYTES + 1)
    if len(unpacked) > MAX_BYTES:
        raise ValueError("too large")
    return unpacked


def _text_rows(text: str, whole: bool = True) -> Iterator[Row]:
    """Numbered rows that are not empty; of the beginning of a text without the last one.

    Raises:
        NoTable: a quotation mark opens and does not close in its cell.
    """
    source, separator, line, begun = io.StringIO(text, newline=""), _separator(text), 0, 0
    reader = csv.reader(source, delimiter=separator)
    for number, row in enumerate(reader, 1):
        ended = source.tell()
        if ended == len(text) and not whole:
            return
        if reader.line_num > line + 1:  # a cell of several lines, or all that follows a mark that does not close
            try:
                list(csv.reader(io.StringIO(text[begun:ended], newline=""), delimiter=separator, strict=True))
            except csv.Error as error:
                raise NoTable(
                    f"its quotation marks do not fit together from row {number} on",
                    "Close each quotation mark in its cell, and write two for one that belongs to a text.",
                ) from error
        line, begun = reader.line_num, ended
        if any(cell.strip() for cell in row):
            yield number, [_shown(cell) if cell.startswith("=") else cell for cell in row]


def _shown(cell: str) -> str:
    """What a spreadsheet shows of a formula that only keeps a text as it is: ="007" is 007."""
    found = _TEXT_FORMULA.fullmatch(cell.strip())
    return found[1].replace('""', '"') if found else cell


def _separator(text: str) -> str:
    """What parts the cells: it stands equally often in most of the first lines, as a decimal comma does not."""
    lines = [_outside_quotes(line) for line in islice((x for x in text.splitlines() if x.strip()), LOOKED_AT)]

    def evidence(separator: str) -> tuple[int, int]:
        counts = Counter(n for line in lines if (n := line.count(separator)))
        usual = max(counts, key=lambda n: (counts[n], n), default=0)
        return counts[usual], usual

    return max(SEPARATORS, key=evidence)


def _outside_quotes(line: str) -> str:
    return "".join(line.split('"')[::2])


def _unique(names: list[str]) -> list[str]:
    """Names with a number behind those that come again."""
    seen: dict[str, int] = {}
    for i, name in enumerate(names):
        seen[name] = seen.get(name, 0) + 1
        names[i] = name if seen[name] == 1 else f"{name} ({seen[name]})"
    return names
