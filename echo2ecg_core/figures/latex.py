"""A table as LaTeX that fits its page: upright, else turned, else in parts that repeat the columns that name a row.

Every column is a `p` of a stated width, so the width of a table is known before it is compiled: the letters are
counted with the widths of Computer Modern at 8 points, long words may break. Pages are those of the `article` class,
the narrowest that a paper is likely to have. Needs booktabs, array, longtable and pdflscape.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from echo2ecg_core.figures.tables import Cell, Column, Table

TEXT_WIDTH_PT, TEXT_HEIGHT_PT = 345, 550  # of `article` at 10 points on letter paper; A4 is as wide and higher
SIZE_PT, LINE_PT, GAP_PT = 8, 9.5, 6  # \footnotesize, and what stands between two columns
LONGEST_WORD = 12  # letters; a longer one without a space may break
KEY_COLUMNS = 3  # at most so many name a row
PACKAGES = ("booktabs", "array", "longtable", "pdflscape")
_NARROW, _WIDE = frozenset("iIjlft.,:;'’()[]|!-/ r\u202f"), frozenset("mwMW%&@×≤≥<>±+−→")
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
class _Part:
    """Some columns of a table that fit beside each other: their places, widths in points, and whether turned."""

    columns: tuple[int, ...]
    widths_pt: tuple[float, ...]
    is_turned: bool


def latex(text: str) -> str:
    """Text that LaTeX prints as it is written."""
    return re.sub("|".join(map(re.escape, _LATEX)), lambda match: _LATEX[match.group()], text)


def table_latex(table: Table) -> str:
    """The table with caption and label, in as many parts as it needs to fit the page."""
    parts = _parts(table)
    return "\n".join(_part_latex(table, part, place, len(parts)) for place, part in enumerate(parts))


def latex_document(names: Sequence[str], provenance: str) -> str:
    """A document that prints the tables of these files, for a look at all of them or to copy its preamble from."""
    packages = ",".join(PACKAGES)
    return "\n".join(
        [
            f"% {provenance}",
            r"\documentclass[10pt]{article}",
            rf"\usepackage{{{packages}}}",
            r"\begin{document}",
            *(rf"\input{{{name}.tex}}" for name in names),
            r"\end{document}",
            "",
        ]
    )


def width_pt(text: str) -> float:
    """About how wide a line of text is at 8 points in Computer Modern; rather too wide than too narrow."""
    shares = (0.43 if c in _NARROW else 1.1 if c in _WIDE else 0.84 if c.isupper() else 0.6 for c in text)
    return SIZE_PT * sum(shares)


def pieces(text: str) -> list[str]:
    """What no line break parts: words, and of a long one runs of at most LONGEST_WORD letters."""
    return [w[at : at + LONGEST_WORD] for w in text.split(" ") for at in range(0, len(w), LONGEST_WORD)]


def _lines(column: Column, cell: Cell) -> list[str]:
    """The parts of a cell that stay together: of a score the value and its interval, else the pieces of its words."""
    return [part for part in _value_and_rest(cell) if part] if _is_number(column, cell) else pieces(_words(cell))


def _is_number(column: Column, cell: Cell) -> bool:
    return column.numeric and bool(cell.values)


def _value_and_rest(cell: Cell) -> tuple[str, str]:
    """A number and what stands behind it in parentheses: "0.91" and "(0.90–0.92)", "+0.05" and "(0.04 to 0.06)"."""
    value, _, rest = _words(cell).partition(" (")
    return value, f"({rest}" if rest else ""


def _detail(cell: Cell) -> str:
    """What stands behind the words of a cell, in parentheses that part the two."""
    return cell.detail if not cell.detail or cell.detail.startswith("(") else f"({cell.detail})"


def _words(cell: Cell) -> str:
    return f"{cell.text} {_detail(cell)}".strip()


def _parts(table: Table) -> list[_Part]:
    """Columns on pages: all on one upright page, all on a turned one, on two upright pages, or on as many turned ones
    as it takes."""
    shown = [i for i, column in enumerate(table.columns) if column.parts and column.printed]
    least, wide = {}, {}
    for i in shown:
        column, cells = table.columns[i], [row[i] for row in table.rows]
        longest = max((width_pt(line) for cell in cells for line in _lines(column, cell)), default=0)
        longest = max([longest, *(width_pt(word) for word in pieces(column.heading))])
        wide[i] = max([longest, *(width_pt(_words(cell)) for cell in cells)])
        least[i] = longest if column.numeric else max(longest, min(wide[i], max(60.0, wide[i] / 5)))
    keys = _keys(table, shown)
    layouts = ((TEXT_WIDTH_PT, 1), (TEXT_HEIGHT_PT, 1), (TEXT_WIDTH_PT, 2), (TEXT_HEIGHT_PT, len(shown)))
    tried = ((_groups(shown, keys, least, room), room, most) for room, most in layouts)
    groups, room = next((groups, room) for groups, room, most in tried if len(groups) <= most)
    return [_Part(tuple(g), _spread(g, least, wide, room), room == TEXT_HEIGHT_PT) for g in groups]


def _keys(table: Table, shown: list[int]) -> list[int]:
    """The columns that name a row: those of words before the first number, the first one at least."""
    first = next((place for place, i in enumerate(shown) if table.columns[i].numeric), 1)
    return shown[: min(max(first, 1), KEY_COLUMNS)]


def _groups(shown: list[int], keys: list[int], least: dict[int, float], room: float) -> list[list[int]]:
    """Columns in their order, each group with the keys and no wider than the room."""
    groups = [list(keys)]
    for i in (i for i in shown if i not in keys):
        if _total([least[c] for c in (*groups[-1], i)]) > room and len(groups[-1]) > len(keys):
            groups.append(list(keys))
        groups[-1].append(i)
    return groups


def _total(widths: Sequence[float]) -> float:
    return sum(widths) + GAP_PT * (len(widths) - 1)


def _spread(group: list[int], least: dict[int, float], wide: dict[int, float], room: float) -> tuple[float, ...]:
    """Widths of the columns: at least what they need, and of what is left as much as they can use."""
    needed, wanted = _total([least[i] for i in group]), sum(wide[i] - least[i] for i in group)
    share = min(1.0, max(0.0, room - needed) / wanted) if wanted else 0.0
    shrink = min(1.0, (room - GAP_PT * (len(group) - 1)) / sum(least[i] for i in group))
    return tuple(shrink * (least[i] + share * (wide[i] - least[i])) for i in group)


def _part_latex(table: Table, part: _Part, place: int, of: int) -> str:
    columns = [table.columns[i] for i in part.columns]
    head = " & ".join(_breakable(column.heading) for column in columns) + r" \\"
    rows = [" & ".join(_cell(table.columns[i], row[i]) for i in part.columns) + r" \\" for row in table.rows]
    sides = "".join(
        rf">{{\{'raggedleft' if column.numeric else 'raggedright'}\arraybackslash}}p{{{width:.1f}pt}}"
        for column, width in zip(columns, part.widths_pt, strict=True)
    )
    words = f"{table.caption} (part {place + 1} of {of})" if of > 1 else table.caption
    caption = rf"\caption{{{latex(words)}}}\label{{tab:{table.name}{f'-{place + 1}' if of > 1 else ''}}}"
    page_pt = TEXT_WIDTH_PT if part.is_turned else TEXT_HEIGHT_PT
    if part.is_turned or _height_pt(table, part) > 0.8 * page_pt:
        return _long(caption, sides, head, rows, part.is_turned)
    return _short(caption, sides, head, rows)


def _short(caption: str, sides: str, head: str, rows: list[str]) -> str:
    return "\n".join(
        [
            r"\begin{table}",
            rf"\centering\footnotesize\setlength{{\tabcolsep}}{{{GAP_PT / 2:g}pt}}",
            caption,
            rf"\begin{{tabular}}{{@{{}}{sides}@{{}}}}",
            r"\toprule",
            head,
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _long(caption: str, sides: str, head: str, rows: list[str], is_turned: bool) -> str:
    """A table over several pages that repeats its head; on a turned page also a short one, which cannot float there."""
    lines = [
        rf"\begingroup\footnotesize\setlength{{\tabcolsep}}{{{GAP_PT / 2:g}pt}}",
        rf"\begin{{longtable}}{{@{{}}{sides}@{{}}}}",
        rf"{caption}\\",
        r"\toprule",
        head,
        r"\midrule",
        r"\endfirsthead",
        r"\toprule",
        head,
        r"\midrule",
        r"\endhead",
        r"\bottomrule",
        r"\endlastfoot",
        *rows,
        r"\end{longtable}",
        r"\endgroup",
    ]
    return "\n".join([r"\begin{landscape}", *lines, r"\end{landscape}", ""] if is_turned else [*lines, ""])


def _height_pt(table: Table, part: _Part) -> float:
    """About how high the rows of a part are: a cell has as many lines as its words need in its width."""
    lines = [
        max(
            -(-width_pt(_words(row[i])) // max(width, 1)) for i, width in zip(part.columns, part.widths_pt, strict=True)
        )
        for row in table.rows
    ]
    return LINE_PT * sum(max(1, n) for n in lines)


def _cell(column: Column, cell: Cell) -> str:
    """A cell whose interval stays in one piece and whose long words may break."""
    if not _is_number(column, cell):
        return _breakable(_words(cell))
    value, rest = _value_and_rest(cell)
    return rf"{latex(value)} \mbox{{{latex(rest)}}}" if rest else latex(value)


def _breakable(text: str) -> str:
    words = [[w[at : at + LONGEST_WORD] for at in range(0, len(w), LONGEST_WORD)] for w in text.split(" ")]
    return " ".join(r"\allowbreak{}".join(latex(piece) for piece in word) for word in words)
