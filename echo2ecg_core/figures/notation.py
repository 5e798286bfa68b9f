"""How numbers, ranges and dates are written on every page and figure.

One place for the typography of the product: narrow no-break space before a unit, en dash inside a range, a true minus,
no probability of 0 or 100 per cent, a dash for what is missing.
"""

from datetime import datetime

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


def p_value(p: float | None) -> str:
    """A p value with three decimals, "<0.001" below that."""
    if p is None or p != p:
        return MISSING
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def date(moment: datetime | None) -> str:
    """ "25 Jan 2013", with "10:59" when the time of day is known; month names do not follow the machine's language."""
    if moment is None:
        return MISSING
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    day = f"{moment.day} {months[moment.month - 1]} {moment.year}"
    return day if (moment.hour, moment.minute) == (0, 0) else f"{day} {moment:%H:%M}"


def duration(seconds: float) -> str:
    """A time to wait: "8 s", "2 min", "1 h 5 min"."""
    if seconds < 60:
        return f"{max(1, round(seconds))}{THIN}s"
    minutes = round(seconds / 60)
    return f"{minutes}{THIN}min" if minutes < 60 else f"{minutes // 60}{THIN}h {minutes % 60}{THIN}min"
