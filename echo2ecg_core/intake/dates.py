"""The dates of a column, settled from all of it and given as one ISO form: YYYY-MM-DD, with THH:MM:SS where known.

05/01/2024 is January or May. One value above 12 proves the order for its whole column; without proof dots mean day
first (as in Central Europe, where alone they are written) and everything else is asked. Dates with dots and with
slashes in one column come from two sources: each kind has to prove the same order. A time zone is left off: the
hour as the clock on the wall showed it is what a study's date can be compared with. A spreadsheet that expects the
month first turns 05/06/2024 into a date of May and leaves 13/06/2024 a text: a column of both is asked. Years may lie
anywhere from 1900 to 2999, because archives shift them.

Other calendars: years of a Japanese emperor or of the Republic of China say so themselves. A column all of whose years
lie from 2450 to 2600 may be shifted or Thai (the Buddhist year 2567 is 2024): days of the files beside it decide, else
the person. Persian and Islamic years (1403, 1445) are refused: which of the two they are is not told by a date.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import pandas as pd

ORDERS = ("day first", "month first", "year first")
BUDDHIST, GREGORIAN = "Buddhist", "Gregorian"
FORMS = (*ORDERS, BUDDHIST, GREGORIAN)  # what a person may tell of a column of dates
PERSIAN, TWO_CALENDARS, FUTURE = "Persian or Islamic", "two calendars", "in the future"
BUDDHIST_YEARS, LESS = (2450, 2600), 543
PERSIAN_YEARS = (1300, 1480)
EXPECTED = "a date such as 2024-01-31 or 2024-01-31T10:30:00"
FIRST_YEAR, LAST_YEAR = 1900, 2999
NO_DATES = ("1900-01-01", "1970-01-01")  # what systems write where they have none
_EMPTY = re.compile(r"0{1,4}[-/.]0{1,2}[-/.]0{1,4}\b.*|0{8}|9999[-/.]12[-/.]31\b.*|(31[-/.]12|12[-/.]31)[-/.]9999\b.*")
MIXED, TURNED, UNPROVED = "mixed", "turned", "unproved"  # why an order is asked
DAY_ZERO = datetime(1899, 12, 30)  # of a spreadsheet; 1904-01-01 in workbooks that say so
_TIME = (
    r"(?:[T ,:]\s*(?P<hour>\d{1,2})[:.h](?P<minute>\d{2})(?:[:.](?P<second>\d{2})(?:[.,]\d+)?)?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*(?:Uhr|hrs?|h)?\s*(?P<zone>Z|UTC|[+-]\d{2}(?::?\d{2})?)?)?"
)
_YEAR_FIRST = re.compile(
    r"(?P<year>\d{4})(?:[-/]|\. ?|[年년] ?)(?P<month>\d{1,2})(?:[-/]|\. ?|[月월] ?)(?P<day>\d{1,2})(?:[日일]|\.)?"
    + _TIME
)
_YEAR_LAST = re.compile(r"(?P<one>\d{1,2})(?P<mark>[-/.])(?P<two>\d{1,2})(?P=mark)(?P<year>\d{4}|\d{2})" + _TIME)
_PACKED = re.compile(
    r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})"
    r"(?:[T ]?(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})?(?:\.\d+)?)?"
)
_ERA = re.compile(
    r"(?P<era>明治|大正|昭和|平成|令和|民國|民国|[MTSHR])\.?\s*(?P<year>\d{1,3}|元)(?:年|[-/.])\s*(?P<month>\d{1,2})(?:月|[-/.])\s*"
    r"(?P<day>\d{1,2})日?" + _TIME
)
_YEAR_ZERO = {"明治": 1867, "大正": 1911, "昭和": 1925, "平成": 1988, "令和": 2018, "民國": 1911, "民国": 1911}
_YEAR_ZERO |= {"M": 1867, "T": 1911, "S": 1925, "H": 1988, "R": 2018}
_CLOCK = re.compile(r"\d{1,2}[:.h]\d{2}(?:[:.]\d{2}(?:[.,]\d+)?)?\s*(?:[AaPp]\.?[Mm]\.?|Uhr|h)?")
_SERIAL = re.compile(r"\d{5}(?:[.,]\d+)?")
_DAY = r"{1,2})(?:st|nd|rd|th)?"
_NAMED = re.compile(
    rf"(?:(?P<day>\d{_DAY}[-. /]*(?:de )?(?P<word>[A-Za-zÄäéû]{{3,10}})\.?[-. /]*"
    rf"|(?P<word2>[A-Za-zÄäéû]{{3,10}})\.? (?P<day2>\d{_DAY},?[-. /]+)(?:de )?(?P<year>\d{{4}}|\d\d)" + _TIME
)
_WEEKDAY = re.compile(r"[^\W\d]+\.?,\s*(?=\S)")  # Fri, 5 January 2024
_MONTHS = (
    ("jan", "ene"), ("feb", "fév"), ("mar", "mär", "mrz"), ("apr", "avr", "abr"), ("may", "mai"), ("jun", "juin"),
    ("jul", "juil"), ("aug", "aoû", "ago"), ("sep",), ("oct", "okt"), ("nov",), ("dec", "dez", "déc", "dic"),
)  # fmt: skip


@dataclass(frozen=True)
class Dates:
    """What a column of dates says.

    Attributes:
        iso: ISO text by row number, for the rows that hold a date.
        order: "day first", "month first", "year first", or None where nothing settles it.
        bad: Rows whose cell is no date.
        asked: True where the order has to be told: `iso` is empty then.
        mixed: True where it is asked because the values prove both orders.
        turned: True where it is asked because a spreadsheet seems to have turned some.
        calendar: Why it is asked or refused where that is for its years: BUDDHIST, PERSIAN, TWO_CALENDARS, FUTURE
            or "".
        notes: What was settled or left off, in sentences.
    """

    iso: dict[int, str]
    order: str | None
    bad: tuple[int, ...] = ()
    asked: bool = False
    mixed: bool = False
    turned: bool = False
    calendar: str = ""
    notes: tuple[str, ...] = ()


def settle_dates(
    cells: pd.Series,
    column: str,
    told: str | None = None,
    day_zero: datetime = DAY_ZERO,
    known_days: Collection[str] | None = None,
) -> Dates:
    """The dates in a column.

    Args:
        cells: Its cells that are not empty, as text, by row number.
        column: Its name, for the notes.
        told: "day first", "month first" or a calendar where a person has told it.
        day_zero: What a spreadsheet's numbers of days count from.
        known_days: Days (ISO) on which files were made, by which years of another calendar are known; None: years are
            taken as they are.
    """
    empty = cells.isin([text for text in cells.unique() if _EMPTY.fullmatch(str(text))])
    none, cells = int(empty.sum()), cells[~empty]
    if days := _serials(cells, day_zero):
        serial = {row: d.date().isoformat() if d.time() == time.min else _to_second(d) for row, d in days.items()}
        note = f"The dates in {column} are numbers of days as Excel counts them; they were read so."
        return Dates(serial, "year first", notes=(note,))
    match_of = {text: _match(text) for text in cells.unique()}  # visits have many rows a day
    matches = {row: match_of[text] for row, text in cells.items()}
    bad = [row for row, match in matches.items() if match is None]
    order, notes, asked = _settled_order([m for m in matches.values() if m is not None], column, told)
    if asked:
        return Dates({}, None, tuple(bad), asked=True, mixed=asked == MIXED, turned=asked == TURNED)
    less, calendar, note = _settled_years(list(matches.values()), order, column, told, known_days)
    if calendar:
        return Dates({}, order, tuple(bad), asked=True, calendar=calendar)
    notes += [note] if note else []
    iso = {row: day for row, m in matches.items() if m is not None and (day := _moment(m, order, less)) is not None}
    if any(m is not None and m.re is not _ERA and len(m["year"]) == 2 and row in iso for row, m in matches.items()):
        notes.append(f"The years in {column} have two digits: 70 to 99 were read as 19xx, the others as 20xx.")
    bad += [row for row, match in matches.items() if match is not None and row not in iso]
    kept = {row: day for row, day in iso.items() if day[:10] not in NO_DATES}
    if none := none + len(iso) - len(kept):
        notes.append(f"{none} dates in {column} are {', '.join(NO_DATES)}, 9999 or of zeros, which stand for none.")
        iso = kept
    if any(m is not None and m.groupdict().get("zone") for m in matches.values()):
        notes.append(f"The times in {column} carry a time zone: the hour as written was kept.")
    return Dates(iso, order or "year first", tuple(sorted(bad)), notes=tuple(notes))


def _settled_order(matches: list[re.Match], column: str, told: str | None) -> tuple[str | None, list[str], str]:
    """The order of day and month of dates that do not begin with the year, None where there are none; notes; and why
    it has to be asked, "" where not."""
    written = [m for m in matches if "one" in m.re.groupindex]
    written = [m for m in written if min(int(m["one"]), int(m["two"])) <= 12]  # the others are no dates in any order
    if not written:
        return None, [], ""
    notes: list[str] = []
    order = "day first" if told == BUDDHIST else told
    if order not in ORDERS[:2]:
        order, note = _proved_order(written, column)
        if order and _turned(written, [m for m in matches if m.re is _YEAR_FIRST]):
            return None, [], TURNED
        if order is None:
            return None, [], note or UNPROVED
        notes += [note] if note else []
    return order, notes, ""


def _settled_years(
    matches: list[re.Match | None], order: str | None, column: str, told: str | None, known: Collection[str] | None
) -> tuple[int, str, str]:
    """How many years less the dates of a column are in the Gregorian calendar, why that is asked or refused ("" where
    not), and a note."""
    dates = [m for m in matches if m is not None and m.re is not _ERA]
    years = [int(m["year"]) for m in dates if len(m["year"]) == 4]
    short = [m for m in dates if len(m["year"]) == 2]
    if told == BUDDHIST:
        return LESS, "", ""
    if known is None or told == GREGORIAN:
        return 0, "", ""
    if short and any((day := _moment(m, order)) and day[:4] > str(date.today().year) for m in short):
        return 0, FUTURE, ""
    if not years:
        return 0, "", ""
    if PERSIAN_YEARS[0] <= min(years) and max(years) <= PERSIAN_YEARS[1]:
        return 0, PERSIAN, ""
    thai = [BUDDHIST_YEARS[0] <= year <= BUDDHIST_YEARS[1] for year in years]
    if not all(thai):
        return 0, TWO_CALENDARS if any(thai) and any(1950 <= year < 2100 for year in years) else "", ""
    as_written, taken_off = (sum((_moment(m, order, less) or "")[:10] in known for m in dates) for less in (0, LESS))
    if taken_off > as_written:
        return (
            LESS,
            "",
            f"The years in {column} are Buddhist ones, as the days of the files show: {LESS} were taken off.",
        )
    return 0, "" if as_written else BUDDHIST, ""


def _serials(cells: pd.Series, day_zero: datetime) -> dict[int, datetime]:
    """The dates of a column that holds them all as a spreadsheet numbers them, 1950 to 2099: no other date is such a
    number. Empty for other columns."""
    if not all(_SERIAL.fullmatch(text) for text in map(str, cells)):
        return {}
    days = {row: day_zero + timedelta(days=float(text.replace(",", "."))) for row, text in cells.items()}
    return days if all(1950 <= day.year <= 2099 for day in days.values()) else {}


def _turned(written: list[re.Match], dated: list[re.Match]) -> bool:
    """Whether only those dates are texts that a spreadsheet of the other order could not read, and the ones that it
    could all have a day that may be a month."""
    left = all(12 < max(int(m["one"]), int(m["two"])) <= 31 for m in written)
    return bool(dated) and left and all(int(m["day"]) <= 12 for m in dated)


def is_clock(cells: pd.Series) -> bool:
    """Whether a column holds hours of a day without the day (10:15, 10.15 Uhr, 2:30 PM)."""
    return bool(len(cells)) and all(_CLOCK.fullmatch(text) for text in cells.unique())


def _to_second(moment: datetime) -> str:
    return (moment + timedelta(milliseconds=500)).replace(microsecond=0).isoformat()


def _match(text: str) -> re.Match | None:
    text = _WEEKDAY.sub("", str(text).strip(), count=1) if _WEEKDAY.match(str(text).strip()) else str(text).strip()
    return next((m for p in (_YEAR_FIRST, _YEAR_LAST, _PACKED, _NAMED, _ERA) if (m := p.fullmatch(text))), None)


def _proved_order(written: list[re.Match], column: str) -> tuple[str | None, str]:
    """The order of day and month that the values allow, and a note where a convention settled it; None and `MIXED`
    where they prove both orders."""
    if any(len(m["year"]) == 2 and m["mark"] != "." for m in written):
        return None, ""  # 24-01-05 may begin with its year
    orders, note = set(), ""
    for mark in sorted({m["mark"] for m in written}):
        alike = [m for m in written if m["mark"] == mark]
        day_first = all(int(m["two"]) <= 12 for m in alike)
        month_first = all(int(m["one"]) <= 12 for m in alike)
        if not (day_first or month_first):
            return None, MIXED
        if day_first and month_first and mark == ".":
            month_first = False
            note = f"The dates in {column} are written with dots and were read with the day first."
        orders.add(None if day_first and month_first else "day first" if day_first else "month first")
    if len(orders) == 1:
        return orders.pop(), note
    return None, MIXED if None not in orders else ""


def _moment(match: re.Match, order: str | None, less: int = 0) -> str | None:
    """ISO text of a match, `less` years earlier than it says; None where there is no such day."""
    parts = match.groupdict()
    year = 1 if parts["year"] == "元" else int(parts["year"])
    if "era" not in parts and len(parts["year"]) == 2:
        year += 1900 if year >= 70 else 2000
    if "one" in parts:
        first, second = int(parts["one"]), int(parts["two"])
        day, month = (first, second) if order == "day first" else (second, first)
    elif "word" in parts:
        day, month = int(parts["day"] or parts["day2"]), _month(parts["word"] or parts["word2"])
    else:
        day, month = int(parts["day"]), int(parts["month"])
    year += _YEAR_ZERO[parts["era"]] if "era" in parts else -less if len(parts["year"]) == 4 else 0
    hour = _hour(parts)
    try:
        moment = datetime(year, month, day, hour or 0, int(parts["minute"] or 0), int(parts["second"] or 0))
    except ValueError:
        return None
    if not FIRST_YEAR <= year <= LAST_YEAR:
        return None
    return moment.date().isoformat() if hour is None else moment.isoformat()


def _hour(parts: dict) -> int | None:
    if parts["hour"] is None:
        return None
    hour, half = int(parts["hour"]), (parts.get("half") or "").lower()[:1]
    return hour if not half else hour % 12 + (12 if half == "p" else 0)


def _month(word: str) -> int:
    return next((n for n, names in enumerate(_MONTHS, 1) if word.lower().startswith(names)), 0)
