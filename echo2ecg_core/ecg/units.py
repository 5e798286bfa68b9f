"""Voltage units: factors to mV for units that files name, one judgement by amplitude for all channels that name none.

The judgement compares the typical peak-to-peak of one second, median over the leads, with 1 mV: 120 annotated
12-lead records lie between 0.3 and 1.4 mV. Integers are counts (1 or 5 µV each), never mV: whole millivolts
cannot draw an ECG.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from echo2ecg_core.ecg.record import LEADS
from echo2ecg_core.errors import ReadError

_MV_PER_PREFIX = {
    "": 1e3,
    "m": 1.0,
    "milli": 1.0,
    "u": 1e-3,
    "micro": 1e-3,
    "mk": 1e-3,
    "mc": 1e-3,
    "n": 1e-6,
    "nano": 1e-6,
}
_VOLT = re.compile(f"({'|'.join(_MV_PER_PREFIX)})[ -]?(?:v|volts?)")
_OTHER_LETTERS = {"мв": 1.0, "мкв": 1e-3, "毫伏": 1.0, "微伏": 1e-3}
_MULTIPLE = re.compile(r"(\d+(?:[.,]\d+)?(?:e[+-]?\d+)?)\s*(?:x|\*)?\s*([^\W\d]+)", re.IGNORECASE)
# names that are units of something else; "adu", "counts" or "NU" say that a voltage is not known
_OTHER_UNIT = re.compile(
    r"(?!(?:a\.?u\.?|adus?|adc|n\.?u\.?|raw|none|nan|null|n/?a|unknown|dimensionless|units?|bits?|lsb|counts?|digits?"
    r"|steps?|quantum|unitless)$)[^\W\d].*|%",
    re.IGNORECASE,
)
TYPICAL_MV = 1.0
LOWEST_MV, HIGHEST_MV = 0.15, 5.0  # a typical second of an ECG, low voltage and hypertrophy included
USUAL_MV = (0.25, 2.0)  # of nearly all: 134 of 138 real records, the lowest 0.55, the highest 2.9
IMPLAUSIBLE_MV = (0.02, 20.0)  # a typical second of an ECG is higher, and lower
HIGHEST_LEAD_MV, TIMES_AS_HIGH = 10.0, 5.0  # a single lead beyond both is in no scale of the others
SMALLEST_STEP_MV = 1e-6
COARSE_MV, COARSE_S = 0.05, 10.0  # steps of rounding that hide a P wave, looked for in the first seconds
FLOAT_CANDIDATES = {"V": 1e3, "mV": 1.0, "µV": 1e-3}
COUNT_CANDIDATES = {"µV": 1e-3, "counts of 5 µV": 5e-3}


def mv_per_unit(unit: str) -> float | None:
    """The factor from a named unit to mV, None when the name is no voltage unit.

    Args:
        unit: Such as "mV", "[µV]" (either micro sign, also UTF-8 read as Latin-1), "Microvolts", "4.88 uV" (a count).
    """
    plain = str(unit).replace("Â", "").replace("Î¼", "u").replace("µ", "u").replace("μ", "u")
    plain = plain.strip().strip("()[]'\"").strip().lower().removesuffix("/lsb").removesuffix("/count")
    counts = _MULTIPLE.fullmatch(re.sub(r"^10\^(?=[-+]?\d)", "1e", plain))
    if counts:
        factor = _mv_of(counts[2])
        size = float(counts[1].replace(",", "."))
        return factor * size if factor is not None and size > 0 else None
    return _mv_of(plain)


def _mv_of(word: str) -> float | None:
    """The mV of a unit in lower case, with u for micro."""
    volt = _VOLT.fullmatch(word)
    if volt is None:
        return _OTHER_LETTERS.get(word)
    return _MV_PER_PREFIX[volt[1]]


def needed_factor(unit: str) -> float:
    """The factor to mV of a unit that a person gave.

    Raises:
        ReadError: If it is no voltage unit.
    """
    factor = mv_per_unit(unit)
    if factor is None:
        raise ReadError(
            f"“{unit}” is no unit of voltage.", "Give V, mV, µV (or uV) or nV, or the size of a count such as 4.88uV."
        )
    return factor


@dataclass(frozen=True)
class Factors:
    """How channels become mV.

    Attributes:
        values: One factor a channel.
        notes, doubts: What was assumed, and what of it nothing settled.
        judged: Whether the unit of all channels was judged by amplitude.
        told_used: {"unit"} where the person's unit was used.
    """

    values: list[float]
    notes: list[str]
    doubts: list[str]
    judged: bool
    told_used: frozenset[str]


def is_count_size(unit: str | None) -> bool:
    """Whether a person told the size of a count ("4.88 µV") rather than a unit ("µV")."""
    return bool(unit) and str(unit).strip()[:1].isdigit()


def factors_to_mv(
    units: Sequence[str], signals: Sequence[np.ndarray], sampling_rate_hz: float, told_unit: str | None = None
) -> Factors:
    """One factor to mV for each channel: its own unit, else the told one, else one judgement for all that name none.

    Channels without a unit beside channels with one are brought to the height of those, which is a doubt.

    Args:
        units: Unit of each channel, "" or another name where it is no voltage.
        signals: The channels in those units.
        sampling_rate_hz: Samples a second.
        told_unit: What the person says of channels without a unit.
    """
    factors = [mv_per_unit(unit) for unit in units]
    open_rows = [row for row, factor in enumerate(factors) if factor is None]
    if not open_rows:
        return Factors([factor for factor in factors if factor is not None], [], [], False, frozenset())
    shortest = min(len(signal) for signal in signals)
    unknown = np.stack([np.asarray(signals[row], dtype=np.float64)[:shortest] for row in open_rows])
    none_told = len(open_rows) == len(factors) and not told_unit
    notes: list[str] = []
    other_unit = any(_OTHER_UNIT.fullmatch(units[row].strip()) for row in open_rows)
    if told_unit:
        factor, is_open = needed_factor(told_unit), False
    elif none_told:
        factor, note = judge_unit(unknown, sampling_rate_hz)
        is_open = other_unit or is_doubtful(typical_amplitude(unknown, sampling_rate_hz), factor, COUNT_CANDIDATES)
        notes.append(note.replace("names no unit", "names a unit that is no voltage") if other_unit else note)
    else:
        known = np.stack([signals[r][:shortest] * f for r, f in enumerate(factors) if f is not None])
        height = typical_amplitude(known, sampling_rate_hz) or TYPICAL_MV
        found = typical_amplitude(unknown, sampling_rate_hz) or 1.0
        name = min(FLOAT_CANDIDATES, key=lambda unit: abs(math.log(found * FLOAT_CANDIDATES[unit] / height)))
        factor, is_open = FLOAT_CANDIDATES[name], True
        notes.append(
            f"{len(open_rows)} of {len(factors)} channels name no unit; taken as {name}, as high as the others."
        )
    filled = [factor if own is None else own for own in factors]
    used = frozenset({"unit"}) if told_unit else frozenset[str]()
    return Factors(filled, notes, notes[:] if is_open else [], none_told, used)


def is_doubtful(amplitude: float, factor: float, candidates: dict[str, float]) -> bool:
    """Whether an amplitude leaves open that the unit chosen by it is right: another would do as well, or the ECG is
    lower or higher in it than nearly all are, as counts of 0.25 or 2 µV are that were taken as µV.

    Args:
        amplitude: In the unknown unit.
        factor: To mV, as chosen.
        candidates: Units to choose from.
    """
    guessed = factor == COUNT_CANDIDATES["counts of 5 µV"]  # nothing tells that a count is not of another size
    other = factor in candidates.values() and is_ambiguous(amplitude, candidates)
    return guessed or other or not USUAL_MV[0] <= amplitude * factor <= USUAL_MV[1]


def is_ambiguous(amplitude: float, candidates: dict[str, float]) -> bool:
    """Whether an amplitude would be that of an ECG in more than one of the units."""
    return sum(LOWEST_MV <= amplitude * factor <= HIGHEST_MV for factor in candidates.values()) > 1


def typical_amplitude(signal: np.ndarray, sampling_rate_hz: float) -> float:
    """The peak-to-peak amplitude of a typical second in a typical lead, in the signal's own unit.

    Args:
        signal: (leads, n) in any unit; NaN for missing samples.
        sampling_rate_hz: Samples a second.

    Returns:
        Median over the leads that move of the median over one-second windows in which they do; 0 when nothing moves.
    """
    window = max(1, min(int(sampling_rate_hz), signal.shape[1]))
    n_windows = signal.shape[1] // window
    windows = np.nan_to_num(signal[:, : n_windows * window]).reshape(signal.shape[0], n_windows, window)
    heights = np.ptp(windows, axis=2)  # (leads, windows)
    moving = [np.median(lead[lead > 0]) for lead in heights if (lead > 0).any()]
    return float(np.median(moving)) if moving else 0.0


def implausible_scale(signal_mv: np.ndarray, sampling_rate_hz: float, is_told: bool) -> list[str]:
    """What mV that no heart makes, or steps no P wave has, say of the unit or the gain of all leads, or of some.

    Args:
        signal_mv: (12, n) in standard order.
        sampling_rate_hz: Its rate.
        is_told: Whether the file tells the unit; of one that was judged or given more is said elsewhere.
    """
    height = typical_amplitude(signal_mv, sampling_rate_hz)
    if height > 0 and not IMPLAUSIBLE_MV[0] <= height <= IMPLAUSIBLE_MV[1]:
        any_fits = any(LOWEST_MV <= height * factor <= HIGHEST_MV for factor in (1e-3, 1e3))
        text = (
            f"A typical second of the recording is {height:.4g} mV high, as no ECG is: the unit or gain that the file "
            f"tells looks wrong{', by a factor of 1,000' * any_fits}, and voltages mean nothing."
        )
        return [text] if is_told else []
    if height > 0 and is_told and not LOWEST_MV <= height <= HIGHEST_MV:
        return [
            f"A typical second of the recording is {height:.2g} mV high, that of nearly all ECGs {USUAL_MV[0]:g} to "
            f"{USUAL_MV[1]:g} mV: the unit or gain that the file tells may be wrong."
        ]
    step_mv = _finest_step(signal_mv[:, : int(COARSE_S * sampling_rate_hz)])
    if step_mv >= COARSE_MV:
        return [
            f"The values come in steps of {step_mv:.2g} mV, too coarse for P waves and ST segments: they were rounded, "
            "or are in another unit."
        ]
    heights = np.array([typical_amplitude(lead[None], sampling_rate_hz) for lead in signal_mv])
    high = np.flatnonzero((heights > HIGHEST_LEAD_MV) & (heights > TIMES_AS_HIGH * height))
    return [
        f"Lead {LEADS[row]} is {heights[row]:,.0f} mV high in a typical second, {heights[row] / height:,.0f} times as "
        "high as most leads are: its unit or gain looks wrong, or it holds noise."
        for row in high
    ]


def _finest_step(signal_mv: np.ndarray) -> float:
    """The least change from one sample to the next in any lead, or in the first in which it is below COARSE_MV; 0 where
    nothing moves."""
    finest = 0.0
    for lead in signal_mv:
        steps = np.abs(np.diff(lead))
        step = float(steps[steps > SMALLEST_STEP_MV].min(initial=np.inf))
        if step < COARSE_MV:
            return step
        finest = min(finest or step, step) if np.isfinite(step) else finest
    return finest


def judge_unit(
    signal: np.ndarray, sampling_rate_hz: float, candidates: dict[str, float] | None = None
) -> tuple[float, str]:
    """The factor to mV that makes an array without units look like an ECG, and the sentence that says why.

    Args:
        signal: (leads, n) in an unknown unit.
        sampling_rate_hz: Samples a second.
        candidates: Unit name -> mV per unit; by default chosen by whether the values are whole numbers.

    Returns:
        Factor to mV and a note.
    """
    finite = signal[np.isfinite(signal)]
    if candidates is None:
        whole = finite.size > 0 and bool((finite == np.round(finite)).all())
        candidates = COUNT_CANDIDATES if whole else FLOAT_CANDIDATES
    amplitude = typical_amplitude(signal, sampling_rate_hz)
    if amplitude <= 0 or not math.isfinite(amplitude):
        name = next(iter(candidates))
        return candidates[name], f"The file names no unit and its amplitude settles none; taken as {name}."
    first, second = sorted(candidates, key=lambda unit: abs(math.log(amplitude * candidates[unit] / TYPICAL_MV)))[:2]
    return candidates[first], (
        f"The file names no unit; a typical QRS of {amplitude:.3g} peak to peak was taken as {first} "
        f"({amplitude * candidates[first]:.2g} mV; as {second} it would be {amplitude * candidates[second]:.2g} mV)."
    )


def judge_counts(signal: np.ndarray, sampling_rate_hz: float) -> tuple[float, str]:
    """The factor to mV of counts that share one unknown gain, and its name: µV wherever an ECG in µV can be so high.

    Args:
        signal: (leads, n) counts.
        sampling_rate_hz: Samples a second.
    """
    amplitude = typical_amplitude(signal, sampling_rate_hz)
    name = "µV"
    if not LOWEST_MV <= amplitude * COUNT_CANDIDATES[name] <= HIGHEST_MV:
        name = min(COUNT_CANDIDATES, key=lambda unit: abs(math.log(max(amplitude, 1e-9) * COUNT_CANDIDATES[unit])))
    return COUNT_CANDIDATES[name], name
