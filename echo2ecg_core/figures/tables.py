"""A table of a report once, written three ways: HTML for people, CSV with the full numbers, LaTeX (booktabs) for a
paper.

A cell holds the words a reader sees and the numbers behind them, so that the CSV loses nothing to rounding.
"""

import csv
import io
import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\u202f": r"\,",
    "−": r"$-$",
    "–": "--",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "<": r"$<$",
    ">": r"$>$",
    "²": r"$^2$",
    "Δ": r"$\Delta$",
    "δ": r"$\delta$",
    "°": r"$^\circ$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "→": r"$\rightarrow$",
    "’": "'",
    "·": r"$\cdot$",
    "…": r"\dots{}",
}


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
    """One column: heading, name in the CSV, whether it holds numbers (then right-aligned), and the CSV's columns."""

    heading: str
    name: str
    numeric: bool = False
    parts: tuple[str, ...] = ("",)


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
    writer.writerow(column.name + part for column in table.columns for part in column.parts)
    for row in table.rows:
        line = []
        for column, cell in zip(table.columns, row, strict=True):
            values = list(cell.values)[: len(column.parts)]
            line += ["" if v is None else v for v in values] + [""] * (len(column.parts) - len(values))
        writer.writerow(line)
    return text.getvalue()


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


def table_latex(table: Table) -> str:
    """A booktabs table (`\\usepackage{booktabs}`) with caption and label."""
    columns = [i for i, column in enumerate(table.columns) if column.parts]
    sides = "".join("r" if table.columns[i].numeric else "l" for i in columns)
    lines = [" & ".join(latex(table.columns[i].heading) for i in columns) + r" \\", r"\midrule"]
    lines += [
        " & ".join(latex(f"{row[i].text} {row[i].detail}".strip()) for i in columns) + r" \\" for row in table.rows
    ]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{latex(table.caption)}}}",
            rf"\label{{tab:{table.name}}}",
            rf"\begin{{tabular}}{{{sides}}}",
            r"\toprule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def latex(text: str) -> str:
    """Text that LaTeX prints as it is written."""
    return re.sub("|".join(map(re.escape, _LATEX)), lambda match: _LATEX[match.group()], text)


def without_formulas(table: "pd.DataFrame") -> "pd.DataFrame":
    """A copy whose text cells no spreadsheet takes for a formula: a quote before =, +, -, @, tab or return.

    Source: OWASP, CSV Injection.
    """
    guarded = table.copy()
    for column in guarded.columns[[pd_type.kind == "O" for pd_type in guarded.dtypes]]:
        guarded[column] = [f"'{v}" if isinstance(v, str) and v[:1] in "=+-@\t\r" else v for v in guarded[column]]
    return guarded
