"""A table of a report once, written for people as HTML, for programs as CSV and Excel with the full numbers; latex.py
writes it for a paper.

A cell holds the words a reader sees and the numbers behind them, so that CSV and Excel lose nothing to rounding. No
text cell is a formula there.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Mark:
    """A dot with its whisker on an axis from 0 to 100 (per cent of its length); `series` names its colour, 0 to 3."""

    value: float
    low: float
    high: float
    series: int = 0


@dataclass(frozen=True)
class Cell:
    """What one cell says, and the number or numbers (value, low, high) it says it of.

    Attributes:
        text: The words; `detail` follows in grey, `strong` sets the words bold.
        values: For the CSV.
        mark: Drawn instead of words, in HTML only.
    """

    text: str
    values: tuple[float | int | str | bool | None, ...] = ()
    detail: str = ""
    strong: bool = False
    mark: Mark | None = None


@dataclass(frozen=True)
class Column:
    """One column: heading, name in the CSV, whether it holds numbers (then right-aligned), the CSV's columns, and
    whether a paper prints it."""

    heading: str
    name: str
    numeric: bool = False
    parts: tuple[str, ...] = ("",)
    printed: bool = True


@dataclass(frozen=True)
class Table:
    """A table with its file name, caption, and rows of one cell a column."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


SCORE_PARTS = ("", "_low", "_high")


def text_cell(value: str | None) -> Cell:
    """A cell of words."""
    return Cell(value or "", (value or "",))


def number_cell(value: float | None, text: str) -> Cell:
    """A cell of one number."""
    return Cell(text, (value,))


def table_csv(table: Table) -> str:
    """One line a row, unrounded; a score with its interval becomes three columns (name, name_low, name_high)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_names(table))
    writer.writerows([["" if v is None else _in_one_line(harmless(v)) for v in line] for line in _lines(table)])
    return text.getvalue()


def table_xlsx(table: Table, provenance: Sequence[tuple[str, str]] = ()) -> bytes:
    """The rows of the CSV as an Excel workbook, numbers as numbers; what `provenance` tells is on a second sheet."""
    import openpyxl
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    book = openpyxl.Workbook()
    sheet, about = book.active, book.create_sheet("About")
    sheet.title = re.sub(r"[\\/*?:\[\]]", " ", table.name)[:31]
    own: Sequence[Sequence[float | int | str | bool | None]] = [_names(table), *_lines(table)]
    told: Sequence[Sequence[float | int | str | bool | None]] = [(table.caption, ""), *provenance]
    for page, lines in ((sheet, own), (about, told)):
        for at, line in enumerate(lines, 1):
            for place, value in enumerate(line, 1):
                text = isinstance(value, str)
                cell = page.cell(at, place, ILLEGAL_CHARACTERS_RE.sub(" ", value) if text else value)
                if text:
                    cell.data_type = "s"  # never a formula, whatever it begins with
    sheet.freeze_panes = "B2"
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def _in_one_line(value: object) -> object:
    return re.sub(r"[\r\n]+", " ", value) if isinstance(value, str) else value


def _names(table: Table) -> list[str]:
    return [column.name + part for column in table.columns for part in column.parts]


def _lines(table: Table) -> Iterator[list[float | int | str | bool | None]]:
    """The values of every row, None where a cell has none."""
    for row in table.rows:
        line = []
        for column, cell in zip(table.columns, row, strict=True):
            values = [None if value != value else value for value in cell.values[: len(column.parts)]]
            line += values + [None] * (len(column.parts) - len(values))
        yield line


def table_html(table: Table) -> str:
    """The table as an HTML element in the style of the product."""
    head = "".join(f"<th{_side(c)}>{escape(c.heading)}</th>" for c in table.columns)
    body = ""
    for row in table.rows:
        cells = [f"<td{_side(column)}>{_cell_html(cell)}</td>" for column, cell in zip(table.columns, row, strict=True)]
        cells[0] = f'<th scope="row">{_cell_html(row[0])}</th>'
        body += f"<tr>{''.join(cells)}</tr>"
    caption = f"<caption>{escape(table.caption)}</caption>" if table.caption else ""
    return f'<table class="e2e-table {table.name}">{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cell_html(cell: Cell) -> str:
    if cell.mark is not None:
        m = cell.mark
        return (
            f'<div class="e2e-whisker series{m.series}" role="img" aria-label="{escape(cell.text)}"><div '
            'class="rule"></div>'
            f'<div class="whisker" style="left:{m.low:.2f}%;width:{m.high - m.low:.2f}%"></div>'
            f'<div class="dot" style="left:{m.value:.2f}%"></div></div>'
        )
    text = f"<b>{escape(cell.text)}</b>" if cell.strong else escape(cell.text)
    return f"{text} <span>{escape(cell.detail)}</span>" if cell.detail else text


def _side(column: Column) -> str:
    return ' class="num"' if column.numeric else ""


def harmless(value: object) -> object:
    """The value; a text that a spreadsheet takes for a formula with a quote before =, +, -, @, tab or return.

    Source: OWASP, CSV Injection.
    """
    return f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else value


def without_formulas(table: "pd.DataFrame") -> "pd.DataFrame":
    """A copy whose text cells are all `harmless`."""
    guarded = table.copy()
    for column in guarded.columns[[pd_type.kind == "O" for pd_type in guarded.dtypes]]:
        guarded[column] = [harmless(value) for value in guarded[column]]
    return guarded


def csv_file(text: str) -> bytes:
    """A CSV as a file that a person opens: UTF-8 with its mark, without which Excel shows m² and ≤ as other letters."""
    return text.encode("utf-8-sig")


def csv_of(table: "pd.DataFrame") -> str:
    """A table as CSV that a spreadsheet opens without running anything: no cell and no column begins a formula or
    breaks its line."""
    guarded = table.set_axis([_in_one_line(harmless(name)) for name in table.columns], axis=1)
    return without_formulas(guarded).map(_in_one_line).to_csv(index=False)
