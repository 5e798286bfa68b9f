"""How numbers, ranges and dates are written on every page and figure.

One place for the typography of the product: narrow no-break space before a unit, en dash inside a range, a true minus,
no probability of 0 or 100 per cent (counted shares may be), a dash for what is missing.
"""

from datetime import datetime

import pandas as pd

from echo2ecg_core.counts import counted
from echo2ecg_core.phenotypes import PHENOTYPES, Phenotype, grade_word

THIN = "\u202f"
MINUS = "\u2212"
DASH = "\u2013"
MISSING = DASH
_NO_SPACE = ("", "°")


def number(value: float | None, decimals: int = 0) -> str:
    """The value with a true minus; a dash when it is missing; never "−0"."""
    if value is None or value != value:
        return MISSING
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", MINUS)


def with_unit(value: float | None, unit: str, decimals: int = 0) -> str:
    """The value and its unit, which a line break cannot part: "61 %", "4.6 cm", "52°"."""
    text = number(value, decimals)
    return text if text == MISSING else f"{text}{'' if unit in _NO_SPACE else THIN}{unit}"


def interval(low: float | None, high: float | None, decimals: int = 0) -> str:
    """A closed range "49–71" (signed ends "−30 to 90"), or an open one "≥ 1.7", "≤ 42"; a dash without ends."""
    if low is None and high is None:
        return MISSING
    if high is None:
        return f"≥{THIN}{number(low, decimals)}"
    if low is None:
        return f"≤{THIN}{number(high, decimals)}"
    ends = number(low, decimals), number(high, decimals)
    return " to ".join(ends) if min(low, high) < 0 else DASH.join(ends)


def percent(share: float | None) -> str:
    """A share 0..1 in whole per cent; below one and above 99 it says so, because nothing here is certain."""
    if share is None or share != share:
        return MISSING
    if share < 0.01:
        return f"<1{THIN}%"
    if share > 0.99:
        return f">99{THIN}%"
    return f"{100 * share:.0f}{THIN}%"


def observed(share: float | None) -> str:
    """A share that was counted, in whole per cent: none is 0 % and all are 100 %, and nothing else is."""
    return f"{100 * share:.0f}{THIN}%" if share in (0, 1) else percent(share)


def measured(phenotype: Phenotype, value: float | None) -> str:
    """A measured phenotype without its unit: "61", "4.6", a grade in words; a dash when it is missing."""
    if value is None or value != value:
        return MISSING
    return grade_word(value) if phenotype.kind == "grade" else number(value, phenotype.decimals)


def measured_with_unit(phenotype: Phenotype, value: float | None) -> str:
    """A measured phenotype: "61 %", "4.6 cm", "moderate"."""
    return (
        measured(phenotype, value)
        if phenotype.kind == "grade"
        else with_unit(value, phenotype.unit, phenotype.decimals)
    )


def measured_range(phenotype: Phenotype, low: float | None, high: float | None) -> str:
    """A range of a phenotype: "49–71", "none–mild", one word when both ends are the same grade."""
    if phenotype.kind == "grade" and low is not None and high is not None:
        return DASH.join(dict.fromkeys((grade_word(low), grade_word(high))))
    return interval(low, high, phenotype.decimals)


def predicted(phenotype: Phenotype, value: float | None) -> str:
    """A predicted phenotype without its unit; of a grade the chance of moderate or worse."""
    if phenotype.kind == "grade":
        return MISSING if value is None else f"{percent(value)} ≥{THIN}moderate"
    return number(value, phenotype.decimals)


def grades_in_words(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its columns of measured valve grades in words, empty where nothing was measured."""
    graded = [name for name, phenotype in PHENOTYPES.items() if phenotype.kind == "grade" and name in table]
    return table.assign(**{name: table[name].map(grade_word, na_action="ignore") for name in graded})


def held_times(share: float, limits: tuple[float, float] | None = None, ecgs: int | None = None) -> str:
    """How often an interval held, with what that rests on: "86 of 100 times (77–94; 107 ECGs)".

    Args:
        share: 0..1.
        limits: Its 95 % interval, 0..1, where it was reckoned.
        ecgs: Of how many ECGs, where it is told.
    """
    rests = [interval(100 * limits[0], 100 * limits[1])] if limits else []
    rests += [counted(ecgs, "ECG")] if ecgs else []
    return f"{100 * share:.0f} of 100 times" + (f" ({'; '.join(rests)})" if rests else "")


def held_words(row: dict) -> str:
    """How often the interval of a prediction's row held on test patients; "" where that was not tested.

    "On test patients the 90 % interval held 91 of 100 times (88–94); for hearts with LVEF ≤ 40 % it held 86 of 100
    times (77–94; 107 ECGs)."
    """
    cover = row.get("cover")
    if not cover:
        return ""
    times = held_times(cover["overall"], cover.get("overall_interval"))
    words = f"On test patients the {percent(row['interval_level'])} interval held {times}"
    if cover.get("of_disease") is not None:
        ill = held_times(cover["of_disease"], cover.get("of_disease_interval"), cover.get("disease_ecgs"))
        words += f"; for hearts with {cover['disease']} it held {ill}"
    return f"{words}."


def p_value(p: float | None) -> str:
    """A p value with three decimals, "<0.001" below that."""
    if p is None or p != p:
        return MISSING
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def unit_of_difference(unit: str) -> str:
    """The unit of a difference or an error: two percentages are some points apart."""
    return "points" if unit == "%" else unit


def date(moment: datetime | None) -> str:
    """ "25 Jan 2013", with "10:59" when the time of day is known; month names do not follow the machine's language."""
    if moment is None:
        return MISSING
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    day = f"{moment.day} {months[moment.month - 1]} {moment.year}"
    return day if (moment.hour, moment.minute) == (0, 0) else f"{day} {moment:%H:%M}"


def length(seconds: float) -> str:
    """How long a recording is: "10.0 s", from two minutes on "5 min 20 s", "1 h 30 min"."""
    if seconds < 120:
        return with_unit(seconds, "s", 1)
    minutes, rest = divmod(round(seconds), 60)
    parts = ((minutes // 60, "h"), (minutes % 60, "min"), (rest if minutes < 60 else 0, "s"))
    return " ".join(f"{count}{THIN}{unit}" for count, unit in parts if count)


def duration(seconds: float) -> str:
    """A time to wait: "8 s", "2 min", "1 h 5 min"."""
    if seconds < 60:
        return f"{max(1, round(seconds))}{THIN}s"
    minutes = round(seconds / 60)
    return f"{minutes}{THIN}min" if minutes < 60 else f"{minutes // 60}{THIN}h {minutes % 60}{THIN}min"
