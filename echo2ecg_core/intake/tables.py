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
_MARKUP = re.compile(r"\s*<(?:!doctype|\?xml|html|head|meta|style|table|body)\b", re.IGNORECASE)
SAVED_BY_A_PROGRAM = "Open it in a spreadsheet program and save it as .xlsx or CSV (UTF-8)."
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
        StoreError: it cannot be opened, is no table, or holds several one below the other.
    """
    first, *others = _in_words(path, lambda: _tables(path, least_columns))
    if others and others[0].file.startswith(f"{first.file}, from row"):
        raise StoreError(f"{others[0].file}, another table begins; here a file may hold one.", "Save each by itself.")
    return first


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
        title = sheet.title or path.name.partition(".")[0]
        for table in _tables_of(name, sheet.rows, least_columns):
            notes = table.notes + (_notes(name, sheet.told) if table.file == name else ())
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
    if _MARKUP.match(text):
        raise NoTable("it is a web page or XML by the name of a table", SAVED_BY_A_PROGRAM)
    return [Sheet(1, _text_rows(text), told)]


def _header_at(cells: list[Row], least_columns: int) -> int:
    """Which of the first rows is the header: the first in which at least half as many cells are filled as in the
    fullest of them. What stands above is a title, names groups of columns, or is a remark."""
    filled = [sum(bool(cell.strip()) for cell in row) for _, row in cells]
    least = max(least_columns, max(filled, default=0) / 2)
    first = next((at for at, n in enumerate(filled) if n >= least), 0)
    return first + _remarks([row for _, row in cells[first:]])


def _remarks(rows: list[list[str]]) -> int:
    """How many of the first rows are remarks (Printed, 2024-03-01): two or more, narrower than what follows and begun
    by words, above a header of names alone."""
    width = [max((i for i, cell in enumerate(row, 1) if cell.strip()), default=0) for row in rows]
    begun: set[str] = set()
    for at, row in enumerate(rows):
        begins, *_ = [cell for cell in row if cell.strip()] or [""]
        names = [cell for cell in row[: width[at]] if cell.strip() and not _VALUE.fullmatch(cell.strip())]
        is_widest = width[at] >= max(width[at:]) and width[at] > max(width[:at], default=0)
        if at > 1 and is_widest and len(names) == width[at] and begins not in begun:
            return at
        if any(c.isdigit() for c in begins):
            return 0
        begun.add(begins)
    return 0


class _Columns:
    """The columns of a table while its rows are read."""

    def __init__(self, file: str, header: list[str], above: int, notes: tuple[str, ...]):
        names = _unique([name.strip().strip("\ufeff") or f"column {i + 1}" for i, name in enumerate(header)])
        self.file, self.names, self.above, self.notes = file, names, above, notes
        self.numbers, self.again = array("q"), 0
        self.columns: list[list[str]] = [[] for _ in names]
        self.header = {name for name in names if not _VALUE.fullmatch(name)}
        self.known: dict[str, str] = {}  # a text that comes again is held once: ids, days, units stand in row after row

    def add(self, number: int, row: list[str]) -> None:
        """Take a row."""
        width = len(self.names)
        if len(row) > width and any(row[width:]):
            raise StoreError(
                f"{self.file} has more cells in row {number} than in its header ({len(row)}, expected {width}).",
                "Put texts that hold the separator into quotation marks.",
            )
        self.numbers.append(number)
        for column, cell in zip(self.columns, row[:width] + [""] * (width - len(row)), strict=True):
            column.append(self.known.setdefault(cell, cell))

    def is_header(self, row: list[str]) -> bool:
        """Whether a row is a header, too: it repeats names of this one, and holds no value."""
        alike = row[:1] == self.names[:1] or len(self.header.intersection(row)) > 1
        return alike and sum(map(bool, row)) > 1 and not any(_VALUE.fullmatch(cell) for cell in row if cell)

    def without_title(self) -> int:
        """Take the last rows of one cell off again, which are the title of what follows; how many there were."""
        taken = 0
        while len(self.names) > 2 and self.numbers and sum(bool(column[-1]) for column in self.columns) == 1:
            self.numbers.pop()
            for column in self.columns:
                column.pop()
            taken += 1
        return taken

    def table(self) -> Table:
        """What was read."""
        frame = pd.DataFrame(dict(zip(self.names, self.columns, strict=True)), index=list(self.numbers), dtype=str)
        again = (f"{self.file} repeats its header in {self.again} rows, which were left out.",) if self.again else ()
        return Table(self.file, frame, self.above, self.notes + again)


def _tables_of(file: str, rows: Iterable[Row], least_columns: int = 2) -> list[Table]:
    """The tables in numbered rows, one below the other: one of the first rows is the header of the first, and one that
    repeats names of it and adds others begins the next."""
    left = iter(rows)
    first = list(islice(left, LOOKED_AT))
    at = _header_at(first, least_columns)
    if not first or len(first[at][1]) < least_columns:
        raise StoreError(f"{file} is no table: it has no header of two columns or more.", "Save it as CSV.")
    if len(first[at][1]) > MAX_COLUMNS:
        raise NoTable(TOO_WIDE)
    header, taken = _header(first[at : at + 2])
    part = _Columns(file, header, at, (f"{file} has a header of two rows.",) if taken > 1 else ())
    parts = [part]
    for number, row in chain(first[at + taken :], left):
        cells = [cell.strip() if cell.isascii() else unicodedata.normalize("NFC", cell).strip() for cell in row]
        if not part.is_header(cells):
            part.add(number, cells)
        elif set(cells) <= part.header | {""}:
            part.again += 1
        else:
            above = part.without_title()
            part = _Columns(f"{file}, from row {number}", cells, above, ())
            parts.append(part)
    return [one.table() for one in parts]


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
        return _tables_of(printable(path.name), cells[at : at + 1])[0]
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
