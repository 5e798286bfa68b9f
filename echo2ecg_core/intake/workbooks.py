"""The sheets of a workbook as rows of text, with what a person who looks at it does not see.

Excel's .xlsx goes through openpyxl, its .xls through xlrd (calamine reads both, .xlsb and .ods, too, but a damaged file
ends its process), the cells of OpenDocument's .ods are read from its XML here.
"""

import io
import re
import zipfile
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import NamedTuple

from echo2ecg_core.intake.dates import DAY_ZERO
from echo2ecg_core.intake.encodings import NoTable

MAX_BYTES = 2**29  # of a table unpacked; a hospital's measurements of ten years have some 100 MB
DAMAGED = "it is a damaged workbook or one under a password: save it as .xlsx or CSV (UTF-8)"
MAX_COLUMNS = 16_384  # of a sheet, in every spreadsheet program
TOO_WIDE = f"it has more than {MAX_COLUMNS:,} columns"
MAX_CELLS = 20_000_000  # of an OpenDocument, in which one cell may stand for a million
ZIPPED, CONTAINER = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"  # .xlsx and .ods; .xls, and .xlsx under a password
WORKBOOKS = (ZIPPED, CONTAINER)
_FORMULA_ALONE = re.compile(rb"<f(?:\s[^>]*)?(?:/>|>[^<]*</f>)\s*(?:<v\s*/>|<v></v>)?\s*</c>")
_HIDDEN = {
    f"{what}s": re.compile(rb"<(?:\w+:)?%s\s[^>]*hidden=.(?:1|true)" % tag)
    for what, tag in (("row", b"row"), ("column", b"col"))
}
_LITERAL = re.compile(r"\"[^\"]*\"|\\.")  # of the format of a cell: shown, no instruction
EXACT = 10**15  # beyond it a spreadsheet rounds numbers
_OFFICE, _TABLE, _TEXT = (
    f"{{urn:oasis:names:tc:opendocument:xmlns:{name}:1.0}}" for name in ("office", "table", "text")
)
Row = tuple[int, list[str]]  # its number in the file, and its cells


class Sheet(NamedTuple):
    """Numbered rows that are not empty, and what is told of them. Those of a text are parsed when they are asked for:
    of a million rows none is held twice."""

    number: int
    rows: Iterable[Row]
    told: Sequence[str] = ()
    day_zero: datetime = DAY_ZERO
    title: str = ""


def sheets_of(content: bytes) -> list[Sheet]:
    """Every sheet of a workbook that holds any row.

    Raises:
        NoTable: it is damaged, under a password, or of another kind.
    """
    if content.startswith(CONTAINER):
        return _old_sheets(content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as members:
            if sum(member.file_size for member in members.infolist()) > MAX_BYTES:
                raise NoTable("it is too large")
            document = members.read("content.xml") if "content.xml" in members.namelist() else b""
    except NoTable:
        raise
    except Exception as error:  # whatever zipfile raises on damaged bytes
        raise ValueError("no workbook") from error
    return _open_sheets(document) if document else _excel_sheets(content)


def _old_sheets(content: bytes) -> list[Sheet]:
    """The sheets of an .xls workbook."""
    import xlrd

    try:
        book = xlrd.open_workbook(file_contents=content, formatting_info=True, logfile=io.StringIO())
        day_zero = datetime(1904, 1, 1) if book.datemode else DAY_ZERO
        sheets = []
        for number, sheet in enumerate(book.sheets(), 1):
            rows = ((n, [_old_cell(book, c) for c in sheet.row(n - 1)]) for n in range(1, sheet.nrows + 1))
            if found := [(n, row) for n, row in rows if any(row)]:
                hidden = ["rows"] if any(row.hidden for row in sheet.rowinfo_map.values()) else []
                hidden += ["columns"] if any(column.hidden for column in sheet.colinfo_map.values()) else []
                hidden += ["the whole sheet"] if sheet.visibility else []
                sheets.append(Sheet(number, found, _told_hidden(hidden), day_zero, sheet.name))
    except Exception as error:  # whatever xlrd raises on damaged bytes
        raise NoTable(DAMAGED, "") from error
    return sheets


def _old_cell(book, cell) -> str:
    """What a cell of an .xls workbook shows."""
    import xlrd

    if cell.ctype in (xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK):
        return ""
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return xlrd.error_text_from_code.get(cell.value, "#N/A")
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return str(bool(cell.value))
    if cell.ctype == xlrd.XL_CELL_DATE:
        moment = xlrd.xldate_as_datetime(cell.value, book.datemode)
        return str(moment.time()) if cell.value < 1 else _text(moment)
    shown = book.format_map[book.xf_list[cell.xf_index].format_key].format_str
    return _as_shown(cell.value, shown)


def _open_sheets(document: bytes) -> list[Sheet]:
    """The sheets of an OpenDocument by its content.xml; cells that are repeated stand as often as they are."""
    from defusedxml.ElementTree import iterparse

    sheets: list[Sheet] = []
    rows: list[Row] = []
    number, n_cells, title = 0, 0, ""
    try:
        for event, element in iterparse(io.BytesIO(document), events=("start", "end")):
            if event == "start" and element.tag == _TABLE + "table":
                rows, number, title = [], 0, element.get(_TABLE + "name", "")
            elif event == "end" and element.tag == _TABLE + "table-row":
                cells, times = _open_row(element), int(element.get(_TABLE + "number-rows-repeated", 1))
                n_cells += times * len(cells)
                if n_cells > MAX_CELLS:
                    raise NoTable(f"it has more than {MAX_CELLS:,} cells")
                rows += [(number + n, cells) for n in range(1, times + 1)] if cells else []
                number += times
                element.clear()
            elif event == "end" and element.tag == _TABLE + "table":
                sheets.append(Sheet(len(sheets) + 1, rows, title=title))
    except NoTable:
        raise
    except Exception as error:  # whatever the XML parser raises on damaged bytes
        raise NoTable(DAMAGED, "") from error
    return [sheet for sheet in sheets if sheet.rows]


def _open_row(row) -> list[str]:
    """The cells of a row of an OpenDocument as text, without the empty ones at its end."""
    cells: list[str] = []
    empty = 0
    for cell in row:
        if cell.tag not in (_TABLE + "table-cell", _TABLE + "covered-table-cell"):
            continue
        times, text = int(cell.get(_TABLE + "number-columns-repeated", 1)), _open_cell(cell)
        if not text:
            empty += times
            continue
        if len(cells) + empty + times > MAX_COLUMNS:
            raise NoTable(TOO_WIDE)
        cells += [""] * empty + [text] * times
        empty = 0
    return cells


def _open_cell(cell) -> str:
    kind, value = cell.get(_OFFICE + "value-type"), cell.get(_OFFICE + "value")
    if kind == "date":
        moment = str(cell.get(_OFFICE + "date-value"))
        return moment.removesuffix("T00:00:00")
    if kind in ("float", "percentage", "currency") and value is not None:
        return _as_shown(float(value), "%" if kind == "percentage" else "")
    return "\n".join("".join(line.itertext()) for line in cell.findall(_TEXT + "p"))


def _excel_sheets(content: bytes) -> list[Sheet]:
    """Every sheet that holds any row, with what a person who looks at it does not see."""
    import openpyxl
    from openpyxl.utils.datetime import WINDOWS_EPOCH

    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheets = []
        for number, sheet in enumerate(book.worksheets, 1):
            sheet.reset_dimensions()  # a file may claim a million empty rows
            rows = (
                (n, [_as_shown(c.value, getattr(c, "number_format", "")) for c in row])
                for n, row in enumerate(sheet.iter_rows(), 1)
            )
            if found := [(n, row) for n, row in rows if any(row)]:
                zero = DAY_ZERO + (book.epoch - WINDOWS_EPOCH)
                sheets.append(Sheet(number, found, _hidden(sheet), zero, sheet.title))
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
    return told + _told_hidden(hidden)


def _told_hidden(what: Sequence[str]) -> list[str]:
    return [f"hidden in the workbook and read all the same: {' and '.join(what)}."] if what else []


def _as_shown(value: object, number_format: object) -> str:
    """The value of a cell as text, 0.55 that is shown as 55% as that."""
    if isinstance(value, int | float) and not isinstance(value, bool) and "%" in _instructions(number_format):
        return f"{value * 100:.10g}%"
    return _text(value)


def _text(value: object) -> str:
    """What a spreadsheet's cell holds, as text."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == datetime.min.time() else value.isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value)) if abs(value) < EXACT else f"{value:.14E}"  # an id that has been rounded shows it
    return str(value)


def _instructions(number_format: object) -> str:
    """The format of a cell without the texts that it shows."""
    return _LITERAL.sub("", str(number_format))
