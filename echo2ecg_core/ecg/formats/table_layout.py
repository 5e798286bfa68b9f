"""How a text table is laid out, read off its first lines: delimiter, header, orientation, time column, units, numbers.

Only the layout is judged here; text_tables.py parses the numbers. Lines above the table (comments, or "Unit;µV") may
tell the sampling rate and the unit; numbers may be written with a decimal comma, with thousands or with exponents.
"""

import csv
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from echo2ecg_core.ecg.formats.facts import (
    USUAL_RATES_HZ,
    lead_names,
    length_of,
    lists_unfit,
    n_leads_named,
    period_rate,
    plain,
    rate_of,
)
from echo2ecg_core.ecg.record import canonical_lead, lead_words
from echo2ecg_core.ecg.units import mv_per_unit
from echo2ecg_core.errors import ReadError

SAMPLE_LINES = 64
STYLE_LINES = 5000  # thousands are rare in an ECG: the whole of ten seconds is looked at
RATES_HZ = (50.0, 32_000.0)
MAX_COLUMNS = 64
_COMMENT = ("#", "%", "//")
MISSING = ("", "nan", "na", "n/a", "null", "none", "-", "?", "*", ".")  # in lower case
_NUMBER = re.compile(r"[-+]?(\d{1,3}([.,]\d{3})+|\d+)?([.,]\d*)?(e[+-]?\d+)?|[-+]?inf", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+(e[+-]?\d+)?", re.IGNORECASE)
_PLAIN_DECIMAL = re.compile(r"[-+]?0?[.,]\d+(e[+-]?\d+)?", re.IGNORECASE)  # below one: never with thousands
_BOTH_SIGNS = re.compile(r"\d\.\d{3},\d|\d,\d{3}\.\d")
_CLOCK = re.compile(r"\[?\d+:\d{1,2}(:\d{1,2})?([.,]\d+)?\]?")
_RATE = re.compile(
    r"(?:\b(?:fs|sfreq|sps|sampl\w*[ _-]*(?:rate|freq\w*|(?:per[ _]|/)s(?:ec(?:ond)?)?)|abtastrate"
    r"|(?:abtast|sampling)frequenz|(?:sampling|abtastung)(?=\W{1,3}\d{2,5}\s?(?:k?hz|sps))"
    r"|частота дискретизации|采样(?:率|频率)|サンプリング(?:周波数|レート)"
    r"|fr[ée]quence d.[ée]chantillonnage|frecuencia de muestreo|frequenza di campionamento)"
    r"|^[\s#%/]*hz)(?:[ _]*\(?hz\)?)?\b"
    r"[^0-9\n]{0,12}(\d{1,5}(?:[.,]\d+)?(?:e\+?\d+)?)[ ]*(khz)?",
    re.IGNORECASE,
)
_LIKELY_RATE = re.compile(r"[\s#%/]*(?:freq\w*|rate)\W{0,3}(\d{2,5}(?:[.,]\d+)?)\s?(k)?hz", re.IGNORECASE)
_RATE_ALONE = re.compile(r"\s*(\d{2,5}(?:[.,]\d+)?)(?:\s+0)*\s*|[\s#%/]*(\d{2,5}(?:[.,]\d+)?)\s?hz\s*", re.IGNORECASE)
_RATE_BEHIND = re.compile(
    r"[\s#%/]*(?:(?:recorded|sampled|digiti[sz]ed|sampling|abgetastet|aufgenommen)\s(?:at|with|mit)\s)?(\d{2,5}(?:[.,]\d+)?)\s?"
    r"(?:(k)?hz|s/s|sps|samples?(?:/|\sper\s)s(?:ec(?:ond)?)?)\W*",
    re.IGNORECASE,
)
_COUNTS_OF_MV = re.compile(
    r"^[\s#%/]*(?:1\s?mV\s?=\s?(\d+(?:[.,]\d+)?)(?:\s?(?:counts?|lsb|adus?|units?))?"
    r"|(\d+(?:[.,]\d+)?)\s?(?:=\s?1\s?mV|(?:counts?|lsb|adus?|units?)\s?(?:/|\sper\s|per\s)\s?mV))\s*$",
    re.IGNORECASE,
)
_TIME_OF_DAY = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[ap]m)?"
_ZONE = r"(?:Z|[+-]\d{2}:?\d{2})"
_STAMP = re.compile(
    rf"(?:\d{{4}}-\d\d-\d\d|\d{{1,2}}([./-])\d{{1,2}}\1\d{{2,4}})(?:[T ]{_TIME_OF_DAY}{_ZONE}?)?", re.IGNORECASE
)
_UNIT_TOLD = re.compile(
    r"\b(?:units?|einheit(?:en)?|unit[ée]s?|unidad(?:es)?|единицы?|单位|単位)\b[^\w.,/]{0,5}((?:\d+(?:[.,]\d+)?\s*)?[^\W\d]{1,12})\b",
    re.IGNORECASE,
)
_UNIT_TAIL = re.compile(
    r"[\s_(（\[/,-]+((?:(?<=[(（\[])\d+(?:[.,]\d+)?(?:(?:e|\^)[-+]?\d+)?\s*)?(?:(?:micro-|milli-|nano-)?[a-zµμ]{0,9}v(?:olts?)?|мк?в|[毫微]伏))[)\]）]?$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Layout:
    """Where the numbers of a text table are.

    Attributes:
        delimiter: One character, or "" for runs of white space.
        decimal: "." or ",".
        thousands: "." or "," between groups of three digits, "" without.
        text_columns: Columns that hold words, such as a label.
        unit: Unit told in a line above the table, "" without.
        n_header: Lines before the first line of numbers, comments included.
        names: Column names (row names when leads lie in rows), empty without any.
        units: Unit texts in the order of the names, "" where unknown.
        leads_in_rows: Whether each line holds one lead.
        rates_hz: From lines above the table.
        likely_rates_hz: From a "frequency" there, which may be that of a filter.
        doubt: What names of leads above the table leave open, "" for nothing.
        told_above: Other names and values from lines above the table, such as a gain (names as in facts.py).
    """

    delimiter: str
    decimal: str
    n_header: int
    names: tuple[str, ...]
    units: tuple[str, ...]
    leads_in_rows: bool
    rates_hz: tuple[float, ...]
    thousands: str = ""
    text_columns: tuple[int, ...] = ()
    unit: str = ""
    told_above: tuple[tuple[str, str], ...] = ()
    doubt: str = ""
    likely_rates_hz: tuple[float, ...] = ()

    @property
    def lengths_s(self) -> list[float]:
        """How long lines above the table say that the recording is."""
        found = [length_of(name, np.array(text)) for name, text in self.told_above]
        return [length for length in found if length]


def cells(line: str, delimiter: str) -> list[str]:
    """The first cells of one line, without quotes and surrounding white space; one more than a table may have
    columns."""
    if '"' in line and delimiter:
        parts = next(csv.reader([line], delimiter=delimiter), [])[: MAX_COLUMNS + 1]
    else:
        parts = (line.split(delimiter, MAX_COLUMNS + 1) if delimiter else line.split(None, MAX_COLUMNS + 1))[
            : MAX_COLUMNS + 1
        ]
    return [part.strip().strip("\"'").strip() for part in parts]


def is_number(cell: str) -> bool:
    """Whether a cell holds a number (decimal point or comma), or stands for a missing one."""
    if cell.lower() in MISSING:
        return True
    return _NUMBER.fullmatch(cell) is not None


def judge_layout(lines: list[str], name: str) -> Layout:
    """The layout of a table.

    Args:
        lines: All lines of the file; only the first ones are looked at.
        name: File name, for error texts.

    Raises:
        ReadError: If the lines are no table of numbers.
    """
    comments = [line for line in lines[:SAMPLE_LINES] if line.lstrip().startswith(_COMMENT)]
    body = [(index, line) for index, line in enumerate(lines[: 4 * SAMPLE_LINES])
            if line.strip() and not line.lstrip().startswith(_COMMENT)]  # fmt: skip
    delimiter = _delimiter([line for _, line in body[:SAMPLE_LINES]])
    rows = [(index, cells(line, delimiter)) for index, line in body[:SAMPLE_LINES]]
    labelled = [row for _, row in rows if len(row) > 8 and not is_number(row[0]) and all(map(is_number, row[1:]))]
    if len(labelled) >= 2 and sum(canonical_lead(row[0]) is not None for row in labelled) * 2 > len(labelled):
        first = next(index for index, row in rows if row in labelled)
        names = tuple(row[0] for row in labelled)
        above = _Above([*comments, *(line for line in lines[:first] if line.strip())], len(labelled))
        decimal, thousands = number_style(labelled, delimiter)
        return above.layout(
            delimiter=delimiter, decimal=decimal, n_header=first, names=names, units=_units(names), leads_in_rows=True,
            thousands=thousands,
        )  # fmt: skip
    text_columns = _text_columns([row for _, row in rows])
    numeric = [(index, row) for index, row in rows if len(row) > 1 and _is_numeric_row(row, text_columns)]
    if not numeric:
        raise _no_numbers(rows, name)
    numeric = _without_column_numbers(_without_rate_line(_without_short_first(numeric)))
    first, width = numeric[0][0], len(numeric[0][1])
    in_rows = len(body) <= MAX_COLUMNS < width
    above = _Above([*comments, *lines[:first]], sum(map(bool, lines[first:])))
    header = [] if in_rows else [row for index, row in rows if index < first]
    names, units, doubt = above.names_of(header, len(numeric) if in_rows else width)
    looked_at, table = [row for _, row in numeric], lines[first : first + STYLE_LINES]
    plain = any(_PLAIN_DECIMAL.fullmatch(cell) for row in looked_at for cell in row)
    if not plain or _BOTH_SIGNS.search("\n".join(table)):
        looked_at = [cells(line, delimiter) for line in table]
    decimal, thousands = number_style(looked_at, delimiter)
    return above.layout(
        delimiter=delimiter, decimal=decimal, n_header=first, names=names, units=units, leads_in_rows=in_rows,
        thousands=thousands, text_columns=text_columns, doubt=doubt,
    )  # fmt: skip


class _Above:
    """The lines above a table.

    Args:
        lines: Those lines.
        n_rows: Rows of the table.
    """

    def __init__(self, lines: list[str], n_rows: int):
        self.lines, self.n_rows, self.pairs = lines, n_rows, _pairs(lines)

    def layout(self, **parts) -> Layout:
        """The layout of a table with what these lines tell of it."""
        rates = [rate for line in self.lines if (rate := self._rate_in(line))]
        likely = [
            rate for line in self.lines if (match := _LIKELY_RATE.match(line)) and (rate := _in_hz(*match.groups()))
        ]
        units = [named[1] for line in self.lines
                 if (named := _UNIT_TOLD.search(line)) and mv_per_unit(named[1]) is not None]  # fmt: skip
        return Layout(
            rates_hz=tuple(dict.fromkeys(rates)), likely_rates_hz=tuple(likely), unit=next(iter(units), ""),
            told_above=self.pairs, **parts,
        )  # fmt: skip

    def names_of(self, header: list[list[str]], n_leads: int) -> tuple[tuple[str, ...], tuple[str, ...], str]:
        """Names and units of the columns, or of leads in rows, and what names that fit none leave open.

        Args:
            header: The cells of the lines above columns.
            n_leads: How many columns or rows there are.
        """
        names, units = _header_names(header, n_leads) if header else ((), ())
        whole = [line.strip(" #%/\t;,") for line in self.lines]
        texts = [*whole, *(text for _, text in self.pairs)]
        told = next((row for text in texts if (row := lead_names([text], (n_leads, n_leads - 1)))), ())
        if _n_known(told) > _n_known(names):  # "Leads: V1, V2, ...", "# V1 V2 ..."
            names, units = ("",) * (n_leads - len(told)) + told, ("",) * n_leads
        unfit = [] if _n_known(names) else [n for text in whole if (n := n_leads_named([text]))]
        return names, units, lists_unfit(unfit[0], n_leads) if unfit else ""

    def _rate_in(self, line: str) -> float | None:
        """The sampling rate in Hz that a line tells: a rate, a usual one alone that is no number of rows, or a step."""
        alone, found = _RATE_ALONE.fullmatch(line), _RATE.search(line)
        text, kilo = (alone[1] or alone[2], "") if alone else found.groups() if found else ("", "")
        behind = _RATE_BEHIND.fullmatch(line)
        rate = _in_hz(text, kilo) if text else _in_hz(*behind.groups()) if behind else None
        if alone and alone[1] and rate and (rate not in USUAL_RATES_HZ or abs(rate - self.n_rows) <= 1):
            return None
        told = [(key, np.array(text)) for key, text in _pairs([line])]
        others = [period_rate(*pair) or (rate_of(*pair) if pair[0].endswith("khz") else None) for pair in told]
        return rate or next((other for other in others if other), None)


def _in_hz(text: str, kilo: str | None) -> float | None:
    """A written rate in Hz, None where it is none of an ECG."""
    number = float(text.replace(",", ".")) * (1000 if kilo else 1)
    if number < RATES_HZ[0] and not kilo and re.fullmatch(r"\d{1,2}[.,]\d{3}", text):  # 1,000 Hz
        number *= 1000
    return number if RATES_HZ[0] <= number <= RATES_HZ[1] else None


def _n_known(names: tuple[str, ...]) -> int:
    return sum(canonical_lead(name) is not None for name in lead_words(names))


def _no_numbers(rows: list[tuple[int, list[str]]], name: str) -> ReadError:
    """The refusal of a text without a row of numbers; says where the first of them is missing below names of leads."""
    names = [at for at, (_, row) in enumerate(rows) if sum(canonical_lead(cell) is not None for cell in row) > 2]
    for index, row in rows[names[-1] + 1 :] if names else []:
        column = next((c for c, cell in enumerate(row, 1) if not is_number(cell) and not _is_moment(row, c - 1)), 0)
        if column:
            return ReadError(
                f"“{name}” names leads, but below them a cell holds no number: line {index + 1}, column {column}.",
                "Save plain numbers such as -0.125, one a cell; units belong into the header.",
            )
    if 2 * sum(is_number(row[0]) for _, row in rows if len(row) == 1 and row[0]) > len(rows):
        return ReadError(
            f"“{name}” holds one column of numbers, which is one lead; 12 (or the 8 leads I, II, V1 to V6) are needed.",
            "Save all leads of the recording in one table, one column a lead.",
        )
    return ReadError(
        f"“{name}” is text, but not an ECG: it holds no table of numbers.",
        "Give a table with one column a lead, or the ECG file itself.",
    )


def _pairs(lines: list[str]) -> tuple[tuple[str, str], ...]:
    """Names and values of the lines above a table: "Gain: 200 adu/mV", "Resolution (uV/LSB),2.5" or "Gain 200", "1 mV =
    200" or "200 counts per mV"."""
    lines = [_COUNTS_OF_MV.sub(r"counts per mV: \1\2", line) for line in lines]
    pairs = [re.split(r"\s*[:=;,\t]\s*|\s+(?=\d)", line.strip(" #%/\t"), maxsplit=1) for line in lines]
    return tuple((plain(pair[0]), pair[1].strip(" ;,\"'")) for pair in pairs if len(pair) == 2)


def _without_column_numbers(numeric: list[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
    """The rows of numbers without a first one that only counts the columns, as a table without names is saved."""
    first = numeric[0][1][1:] if not numeric[0][1][0] else numeric[0][1]
    start = first[0] if first else ""
    counts = start in ("0", "1") and first == [str(int(start) + place) for place in range(len(first))]
    return numeric[1:] if counts and len(first) >= 8 and len(numeric) > 1 else numeric


def _without_short_first(numeric: list[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
    """The rows of numbers without one or two first ones of fewer cells, such as how many samples and leads follow."""
    usual = Counter(len(row) for _, row in numeric).most_common(1)[0][0]
    n_short = next((at for at, (_, row) in enumerate(numeric) if len(row) >= usual), 0)
    return numeric[n_short:] if n_short <= 2 else numeric


def _without_rate_line(numeric: list[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
    """The rows of numbers without a first one that holds a sampling rate and zeros, as BRAVEHEART pads it."""
    first = numeric[0][1]
    padded = len(numeric) > 1 and len(first) > 2 and not any(cell.strip("0.") for cell in first[1:])
    is_rate = padded and re.fullmatch(r"\d{2,5}", first[0]) and RATES_HZ[0] <= float(first[0]) <= RATES_HZ[1]
    return numeric[1:] if is_rate and any(cell.strip("0.") for cell in numeric[1][1][1:]) else numeric


def _text_columns(rows: list[list[str]]) -> tuple[int, ...]:
    """Columns after the first that hold words in nearly every row, though most of the table are numbers."""
    width = Counter(map(len, rows)).most_common(1)[0][0] if rows else 0
    body = [row for row in rows if len(row) == width]
    words = [sum(not (is_number(row[column]) or _is_moment(row, column)) for row in body) for column in range(width)]
    found = tuple(column for column in range(1, width) if words[column] > 0.8 * len(body) > 2)
    return found if len(found) * 2 < width else ()


def _is_numeric_row(row: list[str], text_columns: tuple[int, ...] = ()) -> bool:
    """A row of numbers; the first two cells may be a date and a time of day."""
    others = [cell for column, cell in enumerate(row) if column not in text_columns and not _is_moment(row, column)]
    return all(map(is_number, others)) and any(cell.lower() not in MISSING for cell in others)


def _is_moment(row: list[str], column: int) -> bool:
    """Whether a cell holds a date or a time of day, which only the first two columns may."""
    return column < 2 and is_moment(row[column])


def is_moment(cell: str) -> bool:
    """Whether a cell holds a date or a time of day."""
    return any(form.fullmatch(cell) for form in (_CLOCK, _STAMP))


def _delimiter(lines: list[str]) -> str:
    """The first of tab, semicolon, bar, comma and white space that cuts most lines into equally many cells."""
    apart = [[] if "\t" in line else line.split() for line in lines]
    if sum(len(cells) >= 8 and all(map(_DECIMAL_COMMA.fullmatch, cells)) for cells in apart) * 2 >= max(len(lines), 1):
        return ""
    for delimiter in ("\t", ";", "|", ","):
        counts = Counter(line.count(delimiter) for line in lines)
        count, n_lines = counts.most_common(1)[0] if counts else (0, 0)
        if count > 0 and n_lines * 2 >= len(lines):
            return delimiter
    return ""


def number_style(rows: list[list[str]], delimiter: str) -> tuple[str, str]:
    """The decimal sign and the sign between thousands ("" without) in which a table writes its numbers.

    Groups of three digits alone ("1.234" beside "87") are thousands where no number begins with a zero and some have
    no sign at all: among decimals of three places such numbers would be missing.

    Args:
        rows: Cells of rows of numbers.
        delimiter: What parts the cells; a comma inside unquoted cells cannot be.
    """
    distinct = dict.fromkeys(cell for row in rows for cell in row)  # most values come many times
    numbers = [cell for cell in distinct if is_number(cell) and cell.lower() not in MISSING]
    with_comma = [cell for cell in numbers if "," in cell]
    with_point = [cell for cell in numbers if "." in cell]
    both = [cell for cell in numbers if "," in cell and "." in cell]
    if both:
        decimal = max(",.", key=both[0].rfind)
        return decimal, ",.".replace(decimal, "")
    for sign, having in ((",", with_comma), (".", with_point)):
        groups = having and all(re.fullmatch(rf"[-+]?[1-9]\d{{0,2}}(\{sign}\d{{3}})+", cell) for cell in having)
        if groups and not (with_comma if sign == "." else with_point) and len(having) < len(numbers):
            return (",.".replace(sign, "")), sign
    return ("," if with_comma else "."), ""


def _header_names(header: list[list[str]], n_columns: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Column names and units from the lines above the numbers; the last line with lead names counts."""
    fitting = [row for row in header if len(row) == n_columns or len(row) == n_columns - 1]
    if not fitting:
        return (), ()
    named = [row for row in fitting if any(canonical_lead(cell) for cell in row)]
    row = named[-1] if named else fitting[0]
    names = tuple(row) if len(row) == n_columns else ("", *row)
    units = _units(names)
    for other in fitting:
        given = other if len(other) == n_columns else ["", *other]
        if other is not row and sum(mv_per_unit(cell) is not None for cell in given) * 2 >= n_columns - 1:
            units = tuple(given)
    return names, units


def _units(names: tuple[str, ...]) -> tuple[str, ...]:
    tails = (_UNIT_TAIL.search(name) for name in names)
    return tuple(tail[1] if tail and mv_per_unit(tail[1]) is not None else "" for tail in tails)
