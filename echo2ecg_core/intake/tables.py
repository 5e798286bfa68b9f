"""Any table that lies beside ECGs and clips, as text: CSV with whatever separator and encoding, gzip, Excel.

Nothing is interpreted here: every cell is text without spaces at its ends, an id "NA" or "007" stays what it is, and
each row keeps the number it has in the file. Dates that Excel stores as dates come out as ISO text.
"""

import csv
import gzip
import io
import re
import zlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from echo2ecg_core.errors import StoreError

TABLE_SUFFIXES = {".csv", ".tsv", ".txt", ".xlsx", ".xlsm"}
SEPARATORS = ",;\t|"
ENCODINGS = ("utf-8-sig", "cp1252", "latin-1")  # the last one reads anything
MISSING = {"", "nan", "na", "n/a", "nat", "none", "null", "-", "--", "."}
MAX_BYTES = 2**29  # of a table unpacked; a hospital's measurements of ten years have some 100 MB
EXCEL = b"PK\x03\x04"
LOOKED_AT = 30  # first rows that tell separator and header
HEADER_BYTES = 2**16  # the first line of a table lies within
_FORMULA_ALONE = re.compile(rb"<f(?:\s[^>]*)?(?:/>|>[^<]*</f>)\s*(?:<v\s*/>|<v></v>)?\s*</c>")
_HIDDEN = {
    f"{what}s": re.compile(rb"<(?:\w+:)?%s\s[^>]*hidden=.(?:1|true)" % tag)
    for what, tag in (("row", b"row"), ("column", b"col"))
}
UTF16 = (b"\xff\xfe", b"\xfe\xff")
Row = tuple[int, list[str]]  # its number in the file, and its cells
Read = TypeVar("Read")


@dataclass(frozen=True)
class Table:
    """A table as text.

    Attributes:
        file: Base name, and the number of the sheet where it is not the first one.
        rows: One column a column of the file, its names as they stand there; the index is the row number in the file.
        above: How many rows with something in them stand above the header: titles, names of groups of columns.
        notes: What a spreadsheet hides of it: formulas without values, hidden rows, columns and sheets.
    """

    file: str
    rows: pd.DataFrame
    above: int = 0
    notes: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """Names as they stand in the file."""
        return list(self.rows.columns)

    def cells(self, column: str) -> pd.Series:
        """The cells of a column that are not empty, by row number."""
        cells = self.rows[column]
        return cells[~cells.str.lower().isin(MISSING)]

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
    (first, hidden), *others = _sheets(path)
    tables = [replace(_table(path.name, first, least_columns), notes=_notes(path.name, hidden))]
    for number, (cells, hidden) in enumerate(others, 2):
        if isinstance(cells, list) and len(cells) > 1 and max(len(row) for _, row in cells) > 1:  # no mere remarks
            name = f"{path.name}, sheet {number}"
            tables.append(replace(_table(name, cells), notes=_notes(name, hidden)))
    return tables


def _notes(name: str, hidden: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{name}: {text}" for text in hidden)


def _in_words(path: Path, read: Callable[[], Read]) -> Read:
    """What is read of a file, or why it cannot be."""
    try:
        return read()
    except (OSError, EOFError, ValueError, zlib.error, csv.Error) as error:
        raise _unreadable(path, error) from error


def _sheets(path: Path) -> Sequence[tuple[Iterable[Row], Sequence[str]]]:
    """Numbered rows that are not empty, of every sheet that holds any, and what is hidden in it; at least one. Those of
    a text are parsed when they are asked for: of a million rows none is held twice."""
    content = path.read_bytes()
    content = _unpacked(content) if content.startswith(b"\x1f\x8b") else content
    return (_excel_sheets(content) or [([], ())]) if content.startswith(EXCEL) else [(_text_rows(content), ())]


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
    header = first[at][1]
    names = _unique([name.strip().strip("\ufeff") or f"column {i + 1}" for i, name in enumerate(header)])
    width, numbers = len(names), array("q")
    columns: list[list[str]] = [[] for _ in names]
    known: dict[str, str] = {}  # a text that comes again is held once: ids, days and units stand in row after row
    for number, row in chain(first[at + 1 :], left):
        if len(row) > width and any(cell.strip() for cell in row[width:]):
            raise StoreError(
                f"{file} has more cells in row {number} than in its header ({len(row)}, expected {width}).",
                "Put texts that hold the separator into quotation marks.",
            )
        numbers.append(number)
        for column, cell in zip(columns, row[:width] + [""] * (width - len(row)), strict=True):
            cell = cell.strip()
            column.append(known.setdefault(cell, cell))
    return Table(file, pd.DataFrame(dict(zip(names, columns, strict=True)), index=list(numbers), dtype=str), at)


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
        if head.startswith(EXCEL):
            return read_table(path)
        cells = list(islice(_text_rows(head), LOOKED_AT))
        at = _header_at(cells, 2)
        cells = cells[at : at + 1]
    except (OSError, EOFError, ValueError, zlib.error, csv.Error) as error:
        raise _unreadable(path, error) from error
    return _table(path.name, cells)


def _unreadable(path: Path, error: Exception) -> StoreError:
    return StoreError(
        f"{path.name} cannot be read as a table ({type(error).__name__}).",
        "Save it as CSV (UTF-8) or as an Excel workbook.",
    )


def _unpacked(content: bytes) -> bytes:
    with gzip.open(io.BytesIO(content)) as packed:
        unpacked = packed.read(MAX_BYTES + 1)
    if len(unpacked) > MAX_BYTES:
        raise ValueError("too large")
    return unpacked


def _text_rows(content: bytes) -> Iterator[Row]:
    """Numbered rows that are not empty."""
    if b"\0" in content[:4096] and not content.startswith(UTF16):
        raise ValueError("binary")
    text = _decoded(content)
    reader = csv.reader(io.StringIO(text), delimiter=_separator(text))
    yield from ((number, row) for number, row in enumerate(reader, 1) if any(cell.strip() for cell in row))


def _separator(text: str) -> str:
    """What parts the cells: it stands equally often in most of the first lines, as a decimal comma does not."""
    lines = [_outside_quotes(line) for line in islice((x for x in text.splitlines() if x.strip()), LOOKED_AT)]

    def evidence(separator: str) -> tuple[int, int]:
        counts = Counter(n for line in lines if (n := line.count(separator)))
        usual = max(counts, key=lambda n: (counts[n], n), default=0)
        return counts[usual], usual

    return max(SEPARATORS, key=evidence)


def _decoded(content: bytes) -> str:
    if content.startswith(UTF16):
        return content.decode("utf-16")
    for encoding in ENCODINGS:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ValueError("encoding")


def _outside_quotes(line: str) -> str:
    return "".join(line.split('"')[::2])


def _excel_sheets(content: bytes) -> list[tuple[list[Row], list[str]]]:
    """The rows of every sheet that holds any, and what a person who looks at it does not see."""
    import zipfile

    import openpyxl

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as members:
            if sum(member.file_size for member in members.infolist()) > MAX_BYTES:
                raise ValueError("too large")
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheets = []
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # a file may claim a million empty rows
            rows = ((n, [_excel_cell(c) for c in row]) for n, row in enumerate(sheet.iter_rows(), 1))
            if found := [(n, row) for n, row in rows if any(row)]:
                sheets.append((found, _hidden(sheet)))
    except Exception as error:  # whatever openpyxl, zipfile and the XML parser raise on damaged bytes
        raise ValueError("no workbook") from error
    return sheets


def _hidden(sheet) -> list[str]:
    """What a sheet holds that is not seen, or shows that is not there, in sentences."""
    with sheet._get_source() as source:  # openpyxl reads this member of the zip; it tells none of these when read-only
        xml = source.read()
    n_formulas = len(_FORMULA_ALONE.findall(xml))
    told = []
    if n_formulas:
        told = [f"formulas without values, which count as empty: {n_formulas}. Save it in a spreadsheet program."]
    hidden = [what for what, pattern in _HIDDEN.items() if pattern.search(xml)]
    hidden += ["the whole sheet"] if sheet.sheet_state != "visible" else []
    return told + ([f"hidden in the workbook and read all the same: {' and '.join(hidden)}."] if hidden else [])


def _excel_cell(cell) -> str:
    value = cell.value
    if isinstance(value, int | float) and not isinstance(value, bool) and "%" in str(cell.number_format):
        return f"{value * 100:.10g}%"  # 0.55 that is shown as 55%
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == datetime.min.time() else value.isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _unique(names: list[str]) -> list[str]:
    """Names with a number behind those that come again."""
    seen: dict[str, int] = {}
    for i, name in enumerate(names):
        seen[name] = seen.get(name, 0) + 1
        names[i] = name if seen[name] == 1 else f"{name} ({seen[name]})"
    return names
