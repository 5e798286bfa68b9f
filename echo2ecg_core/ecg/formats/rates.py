"""The sampling rate of a file: what it tells in words, by a step, an axis of time or a length, and what a person gives.

Where a file tells it more than once and contradicts itself, the rate that the person gives settles it; without one the
surest is taken and both stand as a doubt. A rate of zero, or one at which no ECG is recorded, is none: it is asked for
and given in every format alike. What a time axis with jumps says of the recording is worded here, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from echo2ecg_core.ecg.channels import MAX_RATE_HZ, MIN_RATE_HZ
from echo2ecg_core.errors import SamplingRateNeeded

RATES_DIFFER = 0.01
LENGTHS_DIFFER, LENGTH_ROUNDED_S = 0.05, 1.0  # a length may be rounded to whole seconds
HIGHEST_FILTER_HZ = 150.0  # cut-off of an electrocardiograph's usual filters
ROUNDED_TIMES = 10  # a clock goes on by another number of units than usual, if that is rounding and no gap
EVEN_OFF = 1.6  # units: how far rounded times lie apart around an even clock
REGULAR = 0.9  # of the steps of an axis of time are alike: the others are jumps


@dataclass(frozen=True)
class SettledRate:
    """The rate that was taken, None where none is known; a note where several are told, a doubt where nothing chose;
    and the rate of the file that none of an ECG is."""

    rate_hz: float | None
    note: str = ""
    doubt: str = ""
    impossible_hz: float | None = None

    def needed(self, file_name: str) -> float:
        """The rate that was taken.

        Raises:
            SamplingRateNeeded: If neither file nor person tells one.
        """
        if self.rate_hz is None and self.impossible_hz is not None:
            raise SamplingRateNeeded(
                f"“{file_name}” tells a sampling rate of {self.impossible_hz:.4g} Hz; that of an ECG lies between "
                f"{MIN_RATE_HZ:g} and {MAX_RATE_HZ:,.0f} Hz.",
                "Give the sampling rate in Hz, for example 500.",
            )
        return needed_rate(self.rate_hz, file_name)


def needed_rate(sampling_rate_hz: float | None, file_name: str) -> float:
    """The sampling rate that is known.

    Raises:
        SamplingRateNeeded: If none is: the file names none, and nobody gave one.
    """
    if sampling_rate_hz is None:
        raise SamplingRateNeeded(
            f"“{file_name}” does not say its sampling rate.", "Give the sampling rate in Hz, for example 500."
        )
    return float(sampling_rate_hz)


def is_possible(rate_hz: float | None) -> bool:
    """Whether an ECG can be recorded at a rate."""
    return rate_hz is not None and MIN_RATE_HZ / 1.0001 <= rate_hz <= MAX_RATE_HZ


def header_rate(own_hz: float | None, given_hz: float | None, file_name: str, notes: list[str]) -> float:
    """The rate that the header of a device's file tells, else the one that the person gives.

    Args:
        own_hz: The file's; None, zero, or one at which no ECG is recorded where it is none.
        given_hz: The person's.
        file_name: For the error.
        notes: Gets a sentence where the person's stands in the place of the file's.

    Raises:
        SamplingRateNeeded: If neither is a rate.
    """
    settled = settled_rate([("the header", own_hz)] if own_hz else [], given_hz)
    notes += [settled.note] if settled.note and settled.note not in notes else []
    return settled.needed(file_name)


def settled_rate(
    told: Sequence[tuple[str, float]],
    given_hz: float | None,
    n_samples: int = 0,
    lengths_s: Sequence[float] = (),
    is_sure: bool = True,
) -> SettledRate:
    """The sampling rate of a recording.

    Args:
        told: What tells a rate ("the time column") and the rate in Hz, the surest first.
        given_hz: The rate that the person gives.
        n_samples: Samples a lead.
        lengths_s: How long the file says that the recording is.
        is_sure: Whether what tells a rate is surely called one; a "frequency" may be that of a filter.
    """
    if told and not is_sure:
        likely = _of_likely_rate(*told[0], given_hz)
        against = _against_length(likely.rate_hz, "its" if given_hz is None else "the given", n_samples, lengths_s)
        return replace(likely, doubt=against or likely.doubt)
    impossible = next((rate for _, rate in told if not is_possible(rate)), None)
    told = [(name, rate) for name, rate in told if is_possible(rate)]
    if not told and impossible is not None and impossible > 0 and given_hz is not None:
        note = f"The file tells a rate of {impossible:.4g} Hz, which none of an ECG is; the given one was used."
        return SettledRate(given_hz, note)
    if not told:
        doubt = _against_length(given_hz, "the given", n_samples, lengths_s)
        return SettledRate(given_hz, "", doubt, impossible if impossible and impossible > 0 else None)
    name, rate_hz = told[0]
    others = [pair for pair in told if not _alike(pair[1], rate_hz)]
    unfit = [length for length in lengths_s if not _lasts(length, n_samples, rate_hz)]
    if not others and not unfit:
        return SettledRate(rate_hz)
    fits_told = next((rate for _, rate in told if given_hz and _alike(rate, given_hz)), None)
    fits_length = given_hz if given_hz and any(_lasts(length, n_samples, given_hz) for length in unfit) else None
    if chosen := fits_told or fits_length:
        return SettledRate(
            chosen, note=f"The file contradicts itself about its rate; the given {chosen:g} Hz were used."
        )
    if others:
        other, other_hz = others[0]
        first = f"{other[0].upper()}{other[1:]}"
        return SettledRate(rate_hz, doubt=f"{first} tells {other_hz:g} Hz, but {name} {rate_hz:g} Hz, which was taken.")
    return SettledRate(rate_hz, doubt=_against_length(rate_hz, "its", n_samples, lengths_s))


def _of_likely_rate(name: str, rate_hz: float, given_hz: float | None) -> SettledRate:
    """The given rate, else a likely one; a doubt where that may be the cut-off of a filter."""
    first = f"{name[0].upper()}{name[1:]}"
    if given_hz is not None:
        differ = "" if _alike(rate_hz, given_hz) else f"{first}, {rate_hz:g} Hz, was not taken as the sampling rate."
        return SettledRate(given_hz, differ)
    note = f"{first}, {rate_hz:g} Hz, was taken as the sampling rate."
    return SettledRate(rate_hz, *(("", note) if rate_hz <= HIGHEST_FILTER_HZ else (note,)))


def _against_length(rate_hz: float | None, whose: str, n_samples: int, lengths_s: Sequence[float]) -> str:
    """The doubt where a recording does not last at a rate as long as the file says, "" where it does."""
    unfit = [length for length in lengths_s if rate_hz and not _lasts(length, n_samples, rate_hz)]
    if not unfit or not rate_hz:
        return ""
    return (
        f"The file says that it lasts {unfit[0]:g} s, but at {whose} {rate_hz:g} Hz it lasts "
        f"{n_samples / rate_hz:.4g} s: one of the two is wrong, and with the rate every interval."
    )


def _alike(one_hz: float, other_hz: float) -> bool:
    return abs(one_hz / other_hz - 1) <= RATES_DIFFER


def _lasts(length_s: float, n_samples: int, rate_hz: float) -> bool:
    return abs(n_samples / rate_hz - length_s) <= max(LENGTHS_DIFFER * length_s, LENGTH_ROUNDED_S)


def rounded_step(times: np.ndarray) -> tuple[float, float] | None:
    """The step of a clock that runs evenly but was rounded or cut to a unit not much shorter than the step, or longer;
    and its relative error. None where the clock is finer, or its steps are not those of rounding.

    Of 360 Hz in hundredths of a second three or four samples have one stamp: 2.78 ms, not a third or a quarter of 10.

    Args:
        times: (n,) in any unit.
    """
    steps = np.diff(times)
    if steps.size < ROUNDED_TIMES or not np.isfinite(steps).all() or (steps < 0).any() or not steps.any():
        return None
    unit = steps[steps > 0].min()
    multiples = np.rint(steps / unit)
    if np.ptp(multiples) != 1 or np.abs(steps / unit - multiples).max() > 0.05:
        return None
    is_longer = multiples == multiples.max()
    stands_still = not multiples.min() and is_longer.mean() < 0.5  # longer than the step: no sample is missing
    places = np.flatnonzero(is_longer if is_longer.mean() < 0.5 else ~is_longer)
    if places.size < (4 if stands_still else ROUNDED_TIMES):
        return None
    n_steps = int(places[-1] - places[0])
    step = float((times[places[-1]] - times[places[0]]) / n_steps)
    off = times - step * np.arange(len(times))
    return (step, 1 / n_steps) if np.ptp(off) <= EVEN_OFF * unit else None


def jumps_told(jumps: np.ndarray, step: float, what: str = "time column", unit: str = "s") -> str:
    """What an axis of time, or a counter of samples, with jumps says of the recording, "" without any.

    Args:
        jumps: The steps that are no usual ones.
        step: The usual step, in the same unit.
        what: What jumps.
        unit: Of the steps.
    """
    if not jumps.size:
        return ""
    times = "once" if len(jumps) == 1 else f"{len(jumps)} times"
    if (jumps <= 0).any():
        return f"The {what} goes back or stands still ({times}): the table may hold more than one recording."
    return (
        f"The {what} jumps {times}, by {float((jumps - step).sum()):.3g} {unit} in all: samples are missing there, "
        "and the others were read as if they followed one another."
    )
