"""Any table that lies beside ECGs and clips, as text: CSV with whatever separator and encoding, gzip, Excel.

Nothing is interpreted here: every cell is text without spaces at its ends, an id "NA" or "007" stays what it is, and
each row keeps the number it has in the file. Dates that Excel stores as dates come out as ISO text.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

import pandas as pd

from echo2ecg_core.errors import StoreError

TABLE_SUFFIXES = {".csv", ".tsv", ".txt", ".xlsx", ".xlsm"}
SEPARATORS = ",;\t|"
ENCODINGS = ("utf-8-sig", "cp1252", "latin-1")  # the last one reads anything
MISSING = {"", "nan", "na", "n/a", "nat", "none", "null", "-", "--", "."}
MAX_BYTES = 2**29  # of a table unpacked; a hospital's measurements of ten years have some 100 MB
EXCEL = b"PK\x03\x04"
HEADER_BYTES = 2**16  # the first line of a table lies within
UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Table:
    """A table as text.

    Attributes:
        file: Base name.
        rows: One column a column of the file, its names as they stand there; the index is the row number in the file.
    """

    file: str
    rows: pd.DataFrame

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


def read_table(path: Path, least_columns: int = 2) -> Table:
    """The table in a file.

    Args:
        least_columns: With fewer it is no table.

    Raises:
        StoreError: it cannot be opened, or is no table.
    """
    try:
        content = path.read_bytes()
        content = _unpacked(content) if content.startswith(b"\x1f\x8b") else content
        cells = _excel_rows(content) if content.startswith(EXCEL) else _text_rows(content)
    except (OSError, EOFError, ValueError, zlib.error, csv.Error) as error:
        raise _unreadable(path, error) from error
    return _table(path, cells, least_columns)


def _table(path: Path, cells: list[tuple[int, list[str]]], least_columns: int = 2) -> Table:
    """A table of numbered rows, the first of which is its header."""
    if not cells or len(cells[0][1]) < least_columns:
        raise StoreError(f"{path.name} is no table: it has no header of two columns or more.", "Save it as CSV.")
    (_, header), *body = cells
    names = _unique([name.strip().strip("\ufeff") or f"column {i + 1}" for i, name in enumerate(header)])
    width = len(names)
    for number, row in body:
        if len(row) > width and any(cell.strip() for cell in row[width:]):
            raise StoreError(
                f"{path.name} has more cells in row {number} than in its header ({len(row)}, expected {width}).",
                "Put texts that hold the separator into quotation marks.",
            )
    known: dict[str, str] = {}  # a text that comes again is held once: ids, days and units stand in row after row
    rows = [
        [known.setdefault(cell, cell) for cell in map(str.strip, row[:width])] + [""] * (width - len(row))
        for _, row in body
    ]
    return Table(path.name, pd.DataFrame(rows, columns=names, index=[n for n, _ in body], dtype=str))


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
        cells = _text_rows(head)[:1]
    except (OSError, EOFError, ValueError, zlib.error, csv.Error) as error:
        raise _unreadable(path, error) from error
    return _table(path, cells)


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


def _text_rows(content: bytes) -> list[tuple[int, list[str]]]:
    """Numbered rows that are not empty."""
    if b"\0" in content[:4096] and not content.startswith(UTF16):
        raise ValueError("binary")
    text = _decoded(content)
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(SEPARATORS, key=lambda s: _outside_quotes(first).count(s))
    reader = csv.reader(io.StringIO(text), delimiter=separator)
    return [(number, row) for number, row in enumerate(reader, 1) if any(cell.strip() for cell in row)]


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


def _excel_rows(content: bytes) -> list[tuple[int, list[str]]]:
    """The rows of the first sheet that holds any."""
    import zipfile

    import openpyxl

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as members:
            if sum(member.file_size for member in members.infolist()) > MAX_BYTES:
                raise ValueError("too large")
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # a file may claim a million empty rows
            rows = ((n, [_excel_cell(c) for c in row]) for n, row in enumerate(sheet.iter_rows(values_only=True), 1))
            if found := [(n, row) for n, row in rows if any(row)]:
                return found
    except Exception as error:  # whatever openpyxl, zipfile and the XML parser raise on damaged bytes
        raise ValueError("no workbook") from error
    return []


def _excel_cell(value) -> str:
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
