"""Text tables (CSV, TSV, semicolons, white space) with one lead a column or one a line, parsed by pandas.

The sampling rate comes from a time column or a comment; a bare sample counter gives none. Without lead names the
standard order is assumed, without units the amplitude decides; the record's notes say so.
"""

import codecs
import io
import re
from collections import Counter
from collections.abc import Iterator

import numpy as np

from echo2ecg_core.counts import counted
from echo2ecg_core.ecg.channels import NOTHING_TOLD, Channels, Told, as_written, check_size
from echo2ecg_core.ecg.files import EcgFile
from echo2ecg_core.ecg.formats.array_layout import (
    Scale,
    judge_channels,
    recordings,
    without_missing_marks,
)
from echo2ecg_core.ecg.formats.clocks import DAY_S, several_ids, time_columns
from echo2ecg_core.ecg.formats.facts import gain_of, scale_of, zeros_of
from echo2ecg_core.ecg.formats.rates import settled_rate
from echo2ecg_core.ecg.formats.table_layout import (
    MAX_COLUMNS,
    MISSING,
    Layout,
    cells,
    is_moment,
    is_number,
    judge_layout,
)
from echo2ecg_core.ecg.record import canonical_lead, lead_words
from echo2ecg_core.ecg.units import factors_to_mv, mv_per_unit
from echo2ecg_core.errors import ReadError, SignalError

MAX_TEXT_BYTES = 64 * 2**20
MAX_LINES = 1_000_000
_MINUS = {ord(sign): "-" for sign in "−﹣－"}  # as word processors and web pages write it
_DIGITS = {first + digit: str(digit) for first in (0xFF10, 0x0660, 0x06F0, 0x0966) for digit in range(10)}
_PLAIN = _MINUS | _DIGITS | {ord("．"): ".", ord("٫"): ".", ord("＋"): "+"}
_CELL_END = r"(?=\s*(?:[,;\t|\"]|$))"
_IN_PARENTHESES = re.compile(rf"(?m)(^|[,;\t|\"])\s*\((\d+(?:[.,]\d+)?)\){_CELL_END}")  # below zero, as books have it
_MINUS_BEHIND = re.compile(rf"(?m)(^|[,;\t|\"])\s*(\d+(?:[.,]\d+)?)-{_CELL_END}")
_POWER = re.compile(r"(?<=\d) ?[×*·] ?10\^(?=[-+]?\d)")
_GROUPS = re.compile(r"(?<=\d)['’\u00a0\u2009\u202f](?=\d{3}(?!\d))")  # between thousands, as in Switzerland and France
_FORTRAN = re.compile(r"(?<=\d)[dD](?=[+-]\d)")  # its exponents
_SHEET_ERROR = re.compile(r"#(N/A|NV|NUM!|ZAHL!|VALUE!|WERT!|DIV/0!|REF!|BEZUG!|NAME\?)")
_END_OF_FILE = "\0\x1a"  # as old systems fill a file up
WIDE_LETTERS = 1000  # by which an encoding is told
FEW = 0.05  # of the lines of a table are no usual ones
MOST_BLANK = 20  # lines between two tables
ENDS_LOOKED_AT = 20  # last lines, by which a cut one is known
_NUMBER_IN_NAME = re.compile(r"\d+|\b[A-Za-z]\b")
_PART_OF_NUMBER = re.compile(r"[-+\d.,:eET/ ]*")  # or of a moment
_FORMATS = {",": "CSV", ";": "CSV", "\t": "TSV", "|": "TXT", "": "TXT"}


def recognises(head: bytes) -> bool:
    """Whether a file is text."""
    if head.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    if _is_wide(head):
        return True
    control = sum(byte < 32 and byte not in b"\t\n\r\f" for byte in head)
    high = sum(byte > 126 for byte in head)
    return bool(head) and control == 0 and (high < 0.3 * len(head) or _is_utf8(head))


def _is_wide(head: bytes) -> str:
    """The encoding of text of two bytes a letter that has no mark, "" of another one."""
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros, others = head[first::2][:WIDE_LETTERS], head[1 - first :: 2][:WIDE_LETTERS]
        if len(zeros) > 10 and zeros.count(0) > 0.9 * len(zeros) and not others.count(0) and recognises(others):
            return encoding
    return ""


def _is_utf8(head: bytes) -> bool:
    """Whether bytes are UTF-8, of which the last character may be cut."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def read(file: EcgFile, told: Told = NOTHING_TOLD) -> Iterator[Channels]:
    """The recording in a text table.

    Raises:
        ReadError: If the text is no table of numbers.
        SamplingRateNeeded: If neither table nor caller tells the sampling rate.
        SignalError: If it has no lead names and no 12 (or 8) columns.
    """
    content = file.read(MAX_TEXT_BYTES)
    n_lines = content.count(b"\n")
    if n_lines > MAX_LINES:
        raise ReadError(
            f"“{file.name}” has {n_lines:,} lines; at most {MAX_LINES:,} are read.",
            "Export a shorter section, for example 10 seconds.",
        )
    text = _text(content)
    lines = _FORTRAN.sub("e", _GROUPS.sub("", text)).splitlines()
    layout = judge_layout(lines, file.name)
    notes: list[str] = []
    lines = _without_cut_line(lines, layout, text.endswith("\n"), notes)
    lines = _without_empty_end(lines, layout)
    breaks = [] if layout.leads_in_rows else _breaks(lines[layout.n_header :], layout.delimiter)
    lines = _with_missing_lines(lines, layout, notes)
    values = _values(lines, layout, file.name)  # (columns, n)
    names, units = list(lead_words(layout.names)), list(layout.units)
    codes = [column for column in layout.text_columns if not _are_moments(lines, layout, column)]
    clocks, rate, doubts = time_columns(
        layout.names, np.where(np.isin(np.arange(len(values)), codes)[:, None], np.nan, values)
    )
    doubts += [*several_ids(layout.names, values), *breaks, *([layout.doubt] if layout.doubt else [])]
    dropped = clocks | set(layout.text_columns)
    kept = [index for index in range(len(values)) if index not in dropped and not _is_blank(values, names, index)]
    values = values[kept]
    names = [names[index] for index in kept] if names else []
    units = [units[index] for index in kept] if units else []
    if any(canonical_lead(name) for name in names):  # without names `recordings` does so
        is_lead = np.array([canonical_lead(name) is not None for name in names])
        values[is_lead] = without_missing_marks(values[is_lead], notes)
    by_column = [("the time column", rate)] if rate else []
    by_lines = [("a line above the table", rate) for rate in layout.rates_hz]
    found = by_column + by_lines
    likely = [("a frequency above the table", rate) for rate in layout.likely_rates_hz] if not found else []
    settled = settled_rate(
        found or likely, told.sampling_rate_hz, values.shape[-1], layout.lengths_s, is_sure=not likely
    )
    rate = settled.needed(file.name)
    doubts += [settled.doubt] if settled.doubt else []
    file_format = _FORMATS[layout.delimiter]
    scale = _scale(values, layout, rate)
    if any(canonical_lead(name) for name in names):
        recording = iter([_named(values, names, units, layout.unit, rate, file_format, told, scale)])
    else:
        recording = _unnamed(values, names, layout.unit, rate, file_format, file.name, told, scale)
    for channels in recording:
        channels.doubts += doubts
        channels.notes += [*notes, *([settled.note] if settled.note else []), *doubts]
        _note_style(channels, layout)
        yield channels


def _without_cut_line(lines: list[str], layout: Layout, is_ended: bool, notes: list[str]) -> list[str]:
    """The lines of a table without a last one that stops before its last column, or inside the number there.

    Args:
        lines: All lines.
        layout: Of the table.
        is_ended: Whether the text ends with the end of a line.
        notes: Gets a sentence.
    """
    filled = [index for index, line in enumerate(lines) if line.strip()][-ENDS_LOOKED_AT:]
    if layout.leads_in_rows or len(filled) < ENDS_LOOKED_AT or filled[0] < layout.n_header:
        return lines
    *before, last = (cells(lines[index], layout.delimiter) for index in filled)
    width = min(map(len, before))
    decimals = min(_n_decimals(row[-1], layout) for row in before)
    is_whole = len(last) >= width and (is_ended or _n_decimals(last[-1], layout) >= decimals)
    if is_whole or not all(map(_PART_OF_NUMBER.fullmatch, last)):
        return lines
    notes.append("The table is cut short inside its last line, which was left out.")
    return lines[: filled[-1]]


def _text(content: bytes) -> str:
    """The text of a table, with plain signs."""
    text = _SHEET_ERROR.sub("nan", decode(content).rstrip(_END_OF_FILE).translate(_PLAIN))
    if "(" in text:
        text = _IN_PARENTHESES.sub(r"\1-\2", text)
    if any(f"-{end}" in text for end in ',;\t|"\r\n'):
        text = _MINUS_BEHIND.sub(r"\1-\2", text)
    return _POWER.sub("e", text) if "10^" in text else text


def _without_empty_end(lines: list[str], layout: Layout) -> list[str]:
    """The lines of a table without last ones of delimiters alone, as spreadsheets write rows that once held values."""
    end = len(lines)
    while end > layout.n_header and layout.delimiter and not lines[end - 1].strip(f' "{layout.delimiter}'):
        end -= 1
    return lines[:end]


def _breaks(lines: list[str], delimiter: str) -> list[str]:
    """A doubt where few blank or comment lines stand between the rows of a table, as between two tables."""
    nothing = f' \t"{delimiter}'
    is_row = [bool(line.strip(nothing)) and not line.lstrip().startswith("#") for line in lines]
    ends = [at for at in range(1, len(is_row)) if is_row[at - 1] and not is_row[at] and any(is_row[at:][:MOST_BLANK])]
    if not ends or len(ends) > FEW * sum(is_row):
        return []
    times = "once" if len(ends) == 1 else f"{len(ends)} times"
    return [
        f"Between the rows of the table stand blank or comment lines ({times}): it may hold more than one recording, "
        "and all its rows were read as one."
    ]


def _with_missing_lines(lines: list[str], layout: Layout, notes: list[str]) -> list[str]:
    """The lines of a table with missing values alone in those that hold fewer values than the others: which are missing
    nothing tells where blanks part them, and a line that a program broke in two holds half of a number.

    Args:
        lines: All lines.
        layout: Of the table.
        notes: Gets a sentence.
    """
    if layout.leads_in_rows:
        return lines
    body = range(layout.n_header, len(lines))
    n_of_width = Counter(_width(lines[at], layout.delimiter) for at in body)
    del n_of_width[0]  # blank lines and comments
    if len(n_of_width) < 2:
        return lines
    usual, n_lines = n_of_width.most_common(1)[0][0], n_of_width.total()
    short = {at for at in body if 0 < _width(lines[at], layout.delimiter) < usual
             and _holds_numbers(cells(lines[at], layout.delimiter))}  # fmt: skip
    if not short or layout.delimiter and len(short) > FEW * n_lines:  # empty cells at the end were left out
        return lines
    what = "1 line of the table holds" if len(short) == 1 else f"{len(short):,} lines of the table hold"
    notes.append(f"{what} fewer values than the others; as which are missing is not told, all of them were left out.")
    empty = (layout.delimiter or " ").join(["nan"] * usual)
    return [empty if at in short else line for at, line in enumerate(lines)]


def _holds_numbers(row: list[str]) -> bool:
    return all(is_number(cell) or _PART_OF_NUMBER.fullmatch(cell) for cell in row)


def _width(line: str, delimiter: str) -> int:
    """How many cells a line has, 0 of one that is no row."""
    if not line.strip() or line.lstrip().startswith("#"):
        return 0
    if not delimiter:
        return len(line.split())
    return len(cells(line, delimiter)) if '"' in line else line.count(delimiter) + 1


def _n_decimals(cell: str, layout: Layout) -> int:
    return len(cell.partition(layout.decimal)[2])


def _scale(values: np.ndarray, layout: Layout, rate: float) -> Scale | None:
    """What a gain in a line above the table makes of its counts."""
    told = [(name, np.array(text)) for name, text in layout.told_above]
    gains = next((gain for name, text in told if (gain := gain_of(name, text, 1))), None)
    zeros = next((zero for name, text in told if (zero := zeros_of(name, text, 1))), None)
    return scale_of(gains, zeros, values, rate, layout.unit) if gains else None


def _note_style(channels: Channels, layout: Layout) -> None:
    if layout.thousands:
        channels.notes.append(f"The sign “{layout.thousands}” was taken as parting thousands (1{layout.thousands}234).")
    if layout.unit:
        channels.notes.append(f"The unit {layout.unit} is told in a line above the table.")


def _named(
    values: np.ndarray, names: list[str], units: list[str], unit: str, rate: float, file_format: str, told: Told,
    scale: Scale | None,
) -> Channels:  # fmt: skip
    """Channels of a table with lead names; units from the header, lines above, the person, or the amplitude."""
    is_lead = [canonical_lead(name) is not None for name in names]
    if scale is not None and not any(mv_per_unit(text) for text in units):
        channels = Channels(names, values, rate, file_format)
        if scale.used_on(channels):
            return channels
    own = [mv_per_unit(text) or mv_per_unit(unit) for text in units]
    lacking = [row for row, factor in enumerate(own) if factor is None and is_lead[row]]
    if not lacking:
        samples = [row * (factor or 1.0) for row, factor in zip(values, own, strict=True)]
        return Channels(names, samples, rate, file_format)
    if len(lacking) == sum(is_lead) and not told.unit:
        channels = Channels(names, values[is_lead], rate, file_format)
        judge_channels(channels)
        channels.names = [name for name, lead in zip(names, is_lead, strict=True) if lead]
        others = [name for name, lead in zip(names, is_lead, strict=True) if not lead]
        channels.names += others
        channels.samples_mv = [*channels.samples_mv, *values[~np.array(is_lead)]]
        return channels
    factors = factors_to_mv(
        [text or unit for text, lead in zip(units, is_lead, strict=True) if lead],
        list(values[is_lead]),
        rate,
        told.unit,
    )
    remaining = iter(factors.values)
    samples = [row * (next(remaining) if lead else 1.0) for row, lead in zip(values, is_lead, strict=True)]
    return Channels(names, samples, rate, file_format, factors.notes, factors.doubts, told_used=factors.told_used)


def _unnamed(
    values: np.ndarray, names: list[str], unit: str, rate: float, file_format: str, file_name: str, told: Told,
    scale: Scale | None,
) -> Iterator[Channels]:  # fmt: skip
    """Channels of a table without lead names: 12 or 8 columns, in the order of the person or of the data."""
    if len(values) not in (8, 12) and len(told.lead_order) != len(values):
        raise SignalError(
            f"The table has {counted(len(values), 'column')} of numbers without lead names; 12 (or the 8 leads I, II, "
            "V1 to V6) are needed.",
            "Save one column a lead, all leads side by side, with their names in a header line.",
        )
    order = told.lead_order if len(told.lead_order) == len(values) else ()
    for channels in recordings(values, rate, file_name, file_format, order, unit, told=told, scale=scale):
        if order:
            channels.told_used |= {"leads"}
        elif names:
            text = f"The column names ({as_written(names)}) are no lead names."
            channels.notes.insert(0, text)
            if len({_NUMBER_IN_NAME.sub("#", name) for name in names}) > 1:  # they tell an order that is not understood
                channels.doubts.append(f"{text} That they lie in the usual order is assumed.")
        yield channels


def _is_blank(values: np.ndarray, names: list[str], index: int) -> bool:
    """An empty column without a name at the edge, as a trailing delimiter leaves it."""
    at_edge = index in (0, len(values) - 1)
    return at_edge and not (names and names[index]) and bool(np.isnan(values[index]).all())


def decode(data: bytes) -> str:
    """The letters of a text in UTF-8 or UTF-16, else in Latin-1."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    if wide := _is_wide(data[: 2 * WIDE_LETTERS]):
        return data.decode(wide, errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _values(lines: list[str], layout: Layout, name: str) -> np.ndarray:
    """The numbers as (columns, n) float64; missing cells are NaN."""
    if layout.leads_in_rows:
        return _rows(lines[layout.n_header :], layout, name)
    n_columns = len(cells(lines[layout.n_header], layout.delimiter))
    if n_columns > MAX_COLUMNS:
        raise ReadError(
            f"The table has more than {MAX_COLUMNS} columns in {len(lines):,} lines; one column a lead is needed.",
            "Save the ECG with 12 columns.",
        )
    check_size(n_columns, len(lines))
    return _columns(lines[layout.n_header :], layout, name)


def _rows(lines: list[str], layout: Layout, name: str) -> np.ndarray:
    """One lead a line."""
    rows = []
    for line in [line for line in lines if line.strip()][: len(layout.names) or MAX_COLUMNS]:
        row = line.split(layout.delimiter or None)
        rows.append(row[1:] if layout.names else row)
    counters = [[str(first + number) for number in range(len(rows))] for first in (0, 1)]
    if not layout.names and [row[0].strip(" \"'") for row in rows] in counters:
        rows = [row[1:] for row in rows]
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        raise ReadError(
            f"The lines of “{name}” have different numbers of values ({min(lengths)} to {max(lengths)}).",
            "Save every lead with the same number of samples.",
        )
    check_size(len(rows), lengths.pop())
    try:
        return np.array([[_number(cell.strip(" \"'"), layout) for cell in row] for row in rows])
    except ValueError as error:
        raise _not_numbers(lines, layout, name) from error


def _number(cell: str, layout: Layout) -> float:
    plain = cell.replace(layout.thousands, "") if layout.thousands else cell
    return float("nan") if plain.lower() in MISSING else float(plain.replace(",", "."))


def _columns(lines: list[str], layout: Layout, name: str) -> np.ndarray:
    """One lead a column."""
    import pandas as pd

    try:
        frame = pd.read_csv(
            io.StringIO("\n".join(lines)), sep=layout.delimiter or r"\s+", header=None, decimal=layout.decimal,
            thousands=layout.thousands or None,
            quotechar="'" if "'" in lines[0] else '"', skipinitialspace=True, comment="#", low_memory=False,
            na_values=[*MISSING, "None"], index_col=False,
        )  # fmt: skip
    except (pd.errors.ParserError, ValueError) as error:
        raise ReadError(
            f"The lines of “{name}” do not have the same number of columns.",
            "Save the table again with one value a column in every line.",
        ) from error
    for column in frame.columns[:2]:
        if frame[column].dtype == object or pd.api.types.is_string_dtype(frame[column]):
            frame[column] = _clock_seconds(frame[column])
    for column in layout.text_columns:
        if _are_moments(lines, layout, column):
            frame[column] = pd.to_numeric(_clock_seconds(frame[column]), errors="coerce")
        else:
            frame[column] = pd.factorize(frame[column])[0]  # left out, once it is known whether they are ids
    try:
        return np.ascontiguousarray(frame.to_numpy(dtype=np.float64).T)
    except (ValueError, TypeError) as error:
        raise _not_numbers(lines, layout, name) from error


def _are_moments(lines: list[str], layout: Layout, column: int) -> bool:
    """Whether a column of words holds dates or times of day, by the last row."""
    return is_moment(cells(next(line for line in reversed(lines) if line.strip()), layout.delimiter)[column])


def _clock_seconds(column):
    """Times of day ("0:00.002", "[12:30:01.500]", with a date before or AM behind) as seconds, dates alone as days in
    seconds; anything else stays as it is."""
    import pandas as pd

    text = column.astype(str).str.strip("[]' \"").str.replace(",", ".")
    days = pd.to_datetime(text.where(text.str.count(":") == 0), errors="coerce", format="mixed", utc=True)
    if not days.isna().any():
        return (days - days.iloc[0]).dt.total_seconds()
    stamps = pd.to_datetime(text, errors="coerce", format="ISO8601", utc=True)
    if not stamps.isna().any():
        return (stamps - stamps.iloc[0]).dt.total_seconds()
    text = text.str.replace(r"^\d{1,2}[./-]\d{1,2}[./-]\d{2,4} |\s*[apAP][mM]$", "", regex=True)
    text = text.where(text.str.count(":") != 1, "0:" + text)
    seconds = pd.to_timedelta(text, errors="coerce").dt.total_seconds()
    midnights = (seconds.diff() < -DAY_S / 2).cumsum()
    return column if seconds.isna().any() else seconds + midnights * DAY_S


def _not_numbers(lines: list[str], layout: Layout, name: str) -> ReadError:
    """The refusal of a table with words among its numbers; says in which line, not which words."""
    first = 1 if layout.leads_in_rows else 0
    for number, line in enumerate(lines, start=layout.n_header + 1):
        row = cells(line, layout.delimiter)
        wrong = [
            column
            for column, cell in enumerate(row)
            if column >= first and column not in layout.text_columns and not is_number(cell)
        ]
        if wrong and not (wrong == [0] and len(row) > 1 and number == layout.n_header + 1):
            where = f"line {number:,}, column {wrong[0] + 1}"
            return ReadError(
                f"The table “{name}” has words where numbers are expected, first in {where}.",
                "Remove that line or column, or give the leads alone.",
            )
    return ReadError(
        f"The table “{name}” has cells that are not numbers.", "Remove text from the columns of the leads."
    )
