"""Columns of a text table that are no leads: time, whose rate they tell, counters of samples, ids of recordings.

What such a column says against one recording (it goes back, it jumps, it names several) is told beside the estimate:
rows of two patients below one another are else one ECG.
"""

import re

import numpy as np

from echo2ecg_core.ecg.formats.rates import REGULAR, is_possible, jumps_told, rounded_step
from echo2ecg_core.ecg.record import canonical_lead

_TIME = re.compile(
    r"^(elapsed\s*)?(time(stamp)?|zeit|temps|tiempo|tempo|uhrzeit|date|datum|t|s|secs?|se[ck]und(en?|i|os)?|seconds?|secondes?"
    r"|ms|msecs?|milliseconds?|millisekunden)(\b|_)",
    re.IGNORECASE,
)
_COUNTER = re.compile(r"^(index|idx|samples?|sample[ _]*(number|no|nr|index)|n|nr|no|#|unnamed.*)?$", re.IGNORECASE)
_IN_MS = re.compile(r"(\bms\b|_ms\b|milli|msec)", re.IGNORECASE)
_IN_US = re.compile(r"(\b[uµμ]s\b|_us\b|micro|usec)", re.IGNORECASE)
_IN_NS = re.compile(r"(\bns\b|_ns\b|nano)", re.IGNORECASE)
_IN_MIN = re.compile(r"(\bmin\b|_min\b|minut)", re.IGNORECASE)
_IN_S = re.compile(r"(\bs\b|_s\b|\bsecs?\b|seconde?s?|sekunde|segundo)", re.IGNORECASE)
_ID = re.compile(
    r"(?:(?:patient|subject|case|record(?:ing)?|ecg|study|exam|file)s?[ _-]?)?(?:id|uid|no|nr|number|name|file)?",
    re.IGNORECASE,
)
DAY_S = 86400.0  # the unit of spreadsheets
UNEVEN = 0.75  # of a step, by which steps may differ where a clock is rounded to a fraction of them
IDS_STAND = 100  # rows at least that one id holds, else the column counts something
SAME_LENGTH = 0.01


def time_columns(names: tuple[str, ...], values: np.ndarray) -> tuple[set[int], float | None, list[str]]:
    """Which columns are no leads but time or a counter, the sampling rate they tell, and what they say against one
    recording.

    Args:
        names: Column names, empty without any; without a name only the first two columns can be time.
        values: (columns, n) numbers of the table.

    Returns:
        Indices of those columns; sampling rate in Hz, or None when nothing but a counter is there; sentences.
    """
    clocks: set[int] = set()
    told: list[str] = []
    for index, column in enumerate(values):
        if len(clocks) < index and not (names and names[index]):
            continue
        is_clock, rate, sentence = _clock(names[index] if names else None, column)
        if is_clock:
            clocks.add(index)
            told += [sentence] if sentence else []
        if rate is not None:
            return clocks, rate, told
    return clocks, None, told


def several_ids(names: tuple[str, ...], values: np.ndarray) -> list[str]:
    """A doubt where a column of ids holds more than one, or one of any name a value for each of equally long stretches.

    Args:
        names: Column names.
        values: (columns, n) numbers of the table, or codes of its words.
    """
    for name, column in zip(names, values, strict=False):
        if not name or canonical_lead(name) or not np.isfinite(column).all():
            continue
        n_ids = len(np.unique(column))
        lengths = np.diff(np.flatnonzero(np.diff(column, prepend=np.nan, append=np.nan)))
        as_long = len(lengths) == n_ids and lengths.max() - lengths.min() <= SAME_LENGTH * lengths.max()
        if 1 < n_ids <= len(column) / IDS_STAND and (as_long or _ID.fullmatch(name.strip())):
            return [
                f"A column of ids holds {n_ids} different ones: the table may hold more than one recording, and "
                "all its rows were read as one."
            ]
    return []


def _clock(name: str | None, values: np.ndarray) -> tuple[bool, float | None, str]:
    """Whether a column is time or a counter rather than a lead, its sampling rate if it is time, and what it says
    against one recording. A column of an unknown name is one where it rises evenly, as nothing that is measured does.
    """
    if name is not None and canonical_lead(name):
        return False, None, ""
    is_time = name is not None and _TIME.match(name) is not None
    is_counter = not is_time and (name is None or _COUNTER.match(name) is not None)
    if is_time and (rounded := rounded_step(values)):
        step, error = rounded
        return True, _rate(step * _seconds(name or "", step, is_time), max(error, 1e-4)), ""
    steps = np.diff(values)
    usual = float(np.median(steps)) if steps.size else 0.0
    if not usual > 0:
        return is_time, None, "The time column runs backwards: so may the recording." if is_time and usual < 0 else ""
    jumps = np.abs(steps - usual) > 0.4 * usual
    if (steps > 0).all() and np.ptp(steps) <= UNEVEN * usual:
        step, jumps = float((values[-1] - values[0]) / steps.size), np.zeros_like(jumps)
    elif (is_time or is_counter) and jumps.mean() <= 1 - REGULAR:
        step = float(steps[~jumps].mean())
    else:
        return is_time, None, ""
    if not is_time and (step == 1.0 or (is_counter and name and step == round(step))):
        return True, None, jumps_told(steps[jumps], step, "counter of samples", "samples")
    seconds = _seconds(name or "", step, is_time or not is_counter)
    told = jumps_told(steps[jumps] * seconds, step * seconds)
    if not is_time and step == round(step):
        told = told or f"A column that rises by {step:.0f} a row, whose name tells no unit, was taken as time in ms."
    return True, _rate(step * seconds, 1e-4), told


def _rate(step_s: float, error: float) -> float:
    """The rate of a step, a whole one where it may be that."""
    rate = 1 / step_s
    return float(round(rate)) if abs(rate - round(rate)) <= error * rate else rate


def _seconds(name: str, step: float, is_time: bool) -> float:
    """How long one unit of a time column is, by its name, else by its step."""
    for unit, seconds in ((_IN_NS, 1e-9), (_IN_US, 1e-6), (_IN_MS, 1e-3), (_IN_MIN, 60.0)):
        if unit.search(name):
            return seconds
    if is_time and not _IN_S.search(name):
        possible = [seconds for seconds in (1.0, 1e-3, 1e-6, 1e-9, DAY_S) if is_possible(1 / (step * seconds))]
        return possible[0] if possible else 1e-3
    return 1.0 if is_time or step < 0.5 else 1e-3
