"""What a name and a value beside an ECG tell of it: rate, unit, size of a count, its zero, names of leads.

Names are compared in lower case without separators, "/" as "per" (`plain`). A number whose meaning its name leaves open
(a gain, a step of time) has the one meaning with which the values are an ECG; where two would do, that is a doubt.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from echo2ecg_core.ecg.channels import MAX_RATE_HZ, MAX_VALUES, MIN_DURATION_S, MIN_RATE_HZ, SAME_GAIN
from echo2ecg_core.ecg.formats.array_layout import Scale
from echo2ecg_core.ecg.formats.rates import REGULAR, jumps_told
from echo2ecg_core.ecg.record import FEWEST_LEADS, canonical_lead, lead_words
from echo2ecg_core.ecg.units import HIGHEST_MV, LOWEST_MV, mv_per_unit, typical_amplitude

MOST_TEXTS = 64
EVEN_STEPS = 0.01
WHOLE = 1e-6  # off a whole number is rounding
LONGEST_S = 7 * 86400.0
NEARLY_ALL = 0.999

_RATES = ("fs", "fsample", "sf", "sr", "srate", "sfreq", "samplingrate", "samplerate", "samplingfrequency",
          "samplefrequency", "samplingfreq", "samplefreq", "currsamplerate", "sampfrequency", "samplespersecond", "sps",
          "abtastrate", "abtastfrequenz")  # fmt: skip
_RATE_NAMES = {f"{before}{name}{after}" for name in _RATES for before in ("", "ecg") for after in ("", "hz", "ecg")}
_WEAK_RATE_NAMES = {"rate", "frequency", "freq", "hz"}  # a heart rate is called so, too
USUAL_RATES_HZ = (100, 120, 125, 128, 150, 200, 240, 250, 256, 257, 300, 320, 360, 400, 480, 500, 512, 600, 800, 960,
                   977, 1000, 1024, 1200, 1600, 2000, 2048, 4000, 8000)  # fmt: skip
_PERIOD = re.compile(
    r"(?:dt|deltat|ts|(?:sampl(?:e|ing)|time)(?:interval|period|step)|abtast(?:intervall|periode)|zeitschritt)"
    r"(?:in)?(s|sec|seconds|ms|us)?"
)
_TIME = re.compile(r"(?:t|time|times|timestamps?|timeaxis|timevector|elapsed|elapsedtime)(s|sec|seconds|ms|us)?")
_LENGTH = re.compile(
    r"(?:(?:recording|record|ecg|signal)?duration|dauer|aufnahmedauer|duree|duracion|durata)"
    r"(?:in)?(s|sec|seconds|ms|min)?"
)
_NUMBER = re.compile(r"\s*([+-]?\d+(?:[.,]\d*)?(?:e[+-]?\d+)?)", re.IGNORECASE)
_SECONDS = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6}
_MINUTES = {"min": 60.0, "minutes": 60.0}
_UNIT = re.compile(r"(?:physical|amplitude|signal|sig|ecg|voltage|y|p)?(?:units?|unitofmeasure)")
_COUNT = "(?:counts?|lsb|adus?|(?:adc)?units?|adc|bits?|digits?|steps?)"
_VOLT = "(mv|uv|nv|v|millivolts?|microvolts?|nanovolts?|volts?)"
_GAIN = "(?:adc|ecg|signal)?gains?"
_SIZE = ("(?:(?:amplitude|amp|voltage|adc|bit|signal)?(?:resolution|lsb|scale|scaling|scal(?:e|ing)factor|sensitivity)"
         "|conversionfactor|calibrationfactor|stepsize)")  # fmt: skip
_COUNTS_PER_VOLT = re.compile(f"(?:{_GAIN}|{_SIZE})?(?:in)?{_COUNT}per{_VOLT}")
_VOLT_PER_COUNT = re.compile(f"(?:{_GAIN}|{_SIZE})?(?:in)?{_VOLT}per{_COUNT}|(?:{_GAIN}|{_SIZE})(?:in)?{_VOLT}")
_MISSING = re.compile(r"(?:fill|missing|nodata|invalid|nan)(?:value|data|sample|mark)?")
_ZERO = re.compile(r"(?:adc)?(?:baselines?|zeros?|zerolevel)")


@dataclass(frozen=True)
class Gains:
    """Size of a count as a file tells it.

    Attributes:
        values: One, or one a lead.
        mv_per_count: The same in mV where the name says the unit.
        counts_first: Whether counts a millivolt are the usual meaning.
        of_counts: Whether its name is the one that netCDF has for the size of stored counts in the told unit.
    """

    values: tuple[float, ...]
    mv_per_count: tuple[float, ...] = ()
    counts_first: bool = False
    of_counts: bool = False


def scale_of(
    gains: Gains, zeros: tuple[float, ...] | None, signal: np.ndarray, sampling_rate_hz: float, unit: str
) -> Scale | None:
    """What a gain makes of the values of an ECG; None where they are already in a unit.

    Args:
        gains: As told.
        zeros: Counts that stand for 0 mV, one or one a lead.
        signal: (leads, n) as stored.
        sampling_rate_hz: Samples a second.
        unit: Unit told beside the gain, "" for none.
    """
    finite = signal[np.isfinite(signal)]
    amplitude, unit_mv = typical_amplitude(signal, sampling_rate_hz), mv_per_unit(unit)
    if not (np.abs(finite - np.round(finite)) < WHOLE).all():  # the gain is how it was recorded
        text = "The values are no whole counts; the gain told beside them was not used."
        alike = max(gains.values) <= SAME_GAIN * min(gains.values)
        is_no_doubt = alike and (LOWEST_MV <= amplitude <= HIGHEST_MV or max(gains.values) == 1)
        return None if is_no_doubt or unit_mv is not None else Scale(None, note=text, doubt=text)
    scale = _scale_of_counts(gains, zeros, amplitude, unit_mv)
    if unit_mv is None or not LOWEST_MV <= amplitude * unit_mv <= HIGHEST_MV:
        return scale
    return _beside_a_unit(gains, scale, signal, unit_mv) if scale.mv_per_value is not None else None


def _beside_a_unit(gains: Gains, scale: Scale, signal: np.ndarray, unit_mv: float) -> Scale | None:
    """The scale of whole values that are an ECG in their unit and as counts, too: of values that were scaled and
    rounded each is a multiple of the size of a count. None where the unit alone holds."""
    assert scale.mv_per_value is not None
    sizes = scale.mv_per_value[:, None] / unit_mv
    times = float(np.median(sizes))
    if 1 / SAME_GAIN <= times <= SAME_GAIN:
        return None
    known = np.isfinite(signal)
    counts = np.sign(signal) * np.ceil(np.abs(signal) / sizes)
    scaled = [np.rint(np.rint(signal / sizes) * sizes), np.trunc(counts * sizes)]
    is_scaled = any((values == signal)[known].mean() > NEARLY_ALL for values in scaled)
    if times > 1 and is_scaled:
        return None
    note = scale.doubt or scale.note or "The size of a count that the file tells was used."
    if gains.of_counts or times > 1:
        return replace(scale, note=note)
    text = f"{note} Were the values in the file's unit already, they would be {1 / times:.3g} times as high."
    return replace(scale, note="", doubt=text)


def _scale_of_counts(gains: Gains, zeros: tuple[float, ...] | None, amplitude: float, unit_mv: float | None) -> Scale:
    """What a gain makes of counts of an amplitude; a scale without a size where no meaning of it makes an ECG."""
    zero = np.asarray(zeros if zeros is not None else (0.0,))
    if gains.mv_per_count:
        return Scale(np.asarray(gains.mv_per_count), zero)
    values = np.asarray(gains.values)
    per_count = {"µV a count": values * 1e-3, "mV a count": values}
    per_count |= {} if gains.counts_first else {"nV a count": values * 1e-6}
    per_mv = {"counts a mV": 1 / values}
    if unit_mv is not None:
        per_count, per_mv = {"of its unit a count": values * unit_mv}, {"counts of its unit": unit_mv / values}
    meanings = per_mv | per_count if gains.counts_first else per_count | per_mv
    fitting = [meaning for meaning, size in meanings.items() if LOWEST_MV <= amplitude * np.median(size) <= HIGHEST_MV]
    shown = f"{'gain' if gains.counts_first else 'size of a count'}, {float(np.median(values)):g},"
    if not fitting:
        return Scale(None, zero, f"The file's {shown} makes no ECG of its values in any unit; it was not used.")
    note = f"The file's {shown} was taken as {fitting[0]}."
    return Scale(
        meanings[fitting[0]], zero, note, f"{note} It could as well be {fitting[1]}." if len(fitting) > 1 else ""
    )


def plain(name: str) -> str:
    """A name in lower case without separators, both micro signs as u, "/" as "per"."""
    return re.sub(r"[\W_]+", "", name.lower().replace("µ", "u").replace("μ", "u").replace("/", "per"))


def texts(value: Any) -> list[str]:
    """A small array or dataset of texts as a list; [] where it is something else."""
    if value.dtype.kind not in "USO" or not 0 < value.size <= MOST_TEXTS:
        return []
    items = np.asarray(value[()]).ravel().tolist()
    if not all(isinstance(item, str | bytes) for item in items):
        return []
    return [(item.decode("utf-8", "replace") if isinstance(item, bytes) else item).strip() for item in items]


def floats(value: Any, n_most: int) -> tuple[float, ...]:
    """A number, or up to `n_most` of them, also written as text with a unit behind; () where it is something else."""
    if not 0 < value.size <= n_most:
        return ()
    if value.dtype.kind in "fiu":
        found = tuple(float(number) for number in np.asarray(value[()]).ravel())
    else:
        matches = [_NUMBER.match(text) for text in texts(value)]
        found = tuple(float(match[1].replace(",", ".")) for match in matches if match)
    return found if len(found) == value.size and all(np.isfinite(found)) else ()


def rate_of(name: str, value: Any) -> float | None:
    """A sampling rate in Hz that is surely called one."""
    named = name.removesuffix("khz") if name.endswith("khz") else name
    numbers = floats(value, MOST_TEXTS) if named in _RATE_NAMES else ()  # one, or the same for each lead
    if not numbers or numbers[0] <= 0 or min(numbers) < max(numbers):
        return None
    is_kilo = named != name or any(re.search(r"\d\s*khz", text, re.I) for text in texts(value))
    return numbers[0] * (1000 if is_kilo else 1)


def likely_rate(name: str, value: Any) -> float | None:
    """A number that is called like a rate of anything, where it is a usual sampling rate in Hz."""
    numbers = floats(value, 1) if name in _WEAK_RATE_NAMES else ()
    rate = (
        numbers[0] * (1000 if any(re.search(r"\d\s*khz", text, re.I) for text in texts(value)) else 1) if numbers else 0
    )
    return rate if rate in USUAL_RATES_HZ else None


def rate_of_step(step: float | None, unit: str | None) -> float | None:
    """The rate of a step of time, in the unit told or the only one in which it can be the step of an ECG."""
    units = [_SECONDS[unit]] if unit in _SECONDS else [1.0, 1e-3, 1e-6]
    rates = [1 / (step * seconds) for seconds in units if step and step > 0]
    possible = [rate for rate in rates if MIN_RATE_HZ / 1.0001 <= rate <= MAX_RATE_HZ]
    return float(f"{possible[0]:.6g}") if len(possible) == 1 else None


def period_rate(name: str, value: Any) -> float | None:
    """The sampling rate in Hz of a step between samples."""
    match = _PERIOD.fullmatch(name)
    numbers = floats(value, 1) if match else ()
    if not match or not numbers:
        return None
    behind = [unit for text in texts(value) for unit in _SECONDS if re.search(rf"\d\s*{unit}$", plain(text))]
    return rate_of_step(numbers[0], match[1] or (behind[0] if behind else None))


def time_rate(name: str, value: Any, n_samples: int) -> tuple[float, str] | None:
    """The rate of an axis of time, and a sentence where its steps, else even, jump; a count of samples tells none."""
    match = _TIME.fullmatch(name)
    if not match or value.dtype.kind not in "fiu" or value.size != n_samples or not 2 < n_samples <= MAX_VALUES:
        return None
    steps = np.diff(np.asarray(value[()], dtype=np.float64).ravel())
    step = float(np.median(steps))
    jumps = ~(np.abs(steps - step) <= max(EVEN_STEPS * step, 1e-4))
    if step <= 0 or jumps.mean() > 1 - REGULAR or (step == 1 and not match[1]):
        return None
    step = float(f"{steps[~jumps].mean():.6g}")
    rate = rate_of_step(step, match[1])
    return (rate, jumps_told(steps[jumps] / step / rate, 1 / rate)) if rate else None


def length_of(name: str, value: Any) -> float | None:
    """How long a recording is said to be, in seconds; None for what is too short for one, such as that of a QRS."""
    match = _LENGTH.fullmatch(name)
    numbers = floats(value, 1) if match else ()
    if not match or not numbers:
        return None
    units = {**_SECONDS, **_MINUTES}
    behind = [unit for text in texts(value) for unit in units if re.search(rf"\d\s*{unit}$", plain(text))]
    seconds = numbers[0] * units[match[1] or (behind[0] if behind else "s")]
    return seconds if MIN_DURATION_S <= seconds <= LONGEST_S else None


def unit_of(name: str, value: Any) -> str | None:
    """A unit of voltage; where every lead has one, that of all."""
    found = set(texts(value)) if _UNIT.fullmatch(name) else set()
    return found.pop() if len(found) == 1 else None


def unit_factors(name: str, value: Any, n_leads: int) -> tuple[float, ...] | None:
    """Factors to mV where the leads have units of their own that differ."""
    found = texts(value) if _UNIT.fullmatch(name) else []
    factors = [mv_per_unit(text) for text in found]
    if len(found) != n_leads or len(set(found)) == 1 or None in factors:
        return None
    return tuple(factor for factor in factors if factor is not None)


def gain_of(name: str, value: Any, n_leads: int) -> Gains | None:
    """Size of a count that is called so, one or one a lead; a unit may stand in its name or behind its number."""
    is_gain = re.fullmatch(_GAIN, name) is not None
    numbers = floats(value, n_leads)
    if len(numbers) not in (1, n_leads) or min(numbers) <= 0:
        return None
    per_count = _mv_per_count(name)
    if per_count is None and not is_gain and not re.fullmatch(_SIZE, name):
        return None
    if per_count is None:  # "200 adu/mV", "4.88 µV"
        behind = [rest for text in texts(value) if (rest := _NUMBER.sub("", text, count=1).strip())]
        unit = mv_per_unit(behind[0]) if behind else None
        per_count = (1, unit) if unit is not None else _mv_per_count(plain(behind[0])) if behind else None
        if behind and per_count is None:
            return None  # "10 mm/mV", "16 bit": of something else
    if per_count is None:
        return Gains(numbers, counts_first=is_gain, of_counts=name == "scalefactor")
    return Gains(numbers, tuple(per_count[1] * number ** per_count[0] for number in numbers))


def together(each: Sequence[Gains]) -> Gains:
    """The gains of leads that tell theirs one by one, in one; by their numbers alone where not all tell a unit."""
    values = tuple(number for one in each for number in one.values)
    sizes = tuple(size for one in each for size in one.mv_per_count)
    return replace(each[0], values=values, mv_per_count=sizes if len(sizes) == len(values) else ())


def size_unit(text: str) -> tuple[int, float] | None:
    """How a number becomes the mV of a count by the unit beside it ("uV/LSB", "LSB per mV", "µV"): its power and the
    factor; None where the text says not."""
    unit = mv_per_unit(text)
    return (1, unit) if unit is not None else _mv_per_count(plain(text))


def _mv_per_count(name: str) -> tuple[int, float] | None:
    """How a number of this name becomes the mV of a count: its power, and the factor; None where the name says not."""
    inverse, size = _COUNTS_PER_VOLT.fullmatch(name), _VOLT_PER_COUNT.fullmatch(name)
    found = inverse or size
    unit = mv_per_unit(next(group for group in found.groups() if group)) if found else None
    return None if unit is None else (-1 if inverse else 1, unit)


def zeros_of(name: str, value: Any, n_leads: int) -> tuple[float, ...] | None:
    """Counts that stand for 0 mV, one or one a lead."""
    numbers = floats(value, n_leads) if _ZERO.fullmatch(name) else ()
    return numbers if len(numbers) in (1, n_leads) else None


def missing_mark(name: str, value: Any) -> float | None:
    """The number that stands for a missing sample."""
    numbers = floats(value, 1) if _MISSING.fullmatch(name) else ()
    return numbers[0] if numbers else None


def lead_names(found: Sequence[str], counts: Sequence[int]) -> tuple[str, ...] | None:
    """Names of leads in texts, or in one text with separators; None where they are something else.

    Args:
        found: Texts.
        counts: How many names there can be.
    """
    found = _apart(found)
    known = sum(canonical_lead(text) is not None for text in lead_words(found))
    return tuple(found) if len(found) in counts and known >= max(3, len(found) / 2) else None


def n_leads_named(found: Sequence[str]) -> int:
    """How many names texts, or one text with separators, hold where they are surely those of an ECG's leads; else 0."""
    found = _apart(found)
    known = {lead for text in lead_words(found) if (lead := canonical_lead(text)) is not None}
    return len(found) if len(known) >= FEWEST_LEADS and len(found) <= MOST_TEXTS else 0


def lists_unfit(n_named: int, n_leads: int) -> str:
    """The doubt where names of leads are told that are not as many as the leads."""
    return f"Names of {n_named} leads are told, but there are {n_leads}: they were not used."


def _apart(found: Sequence[str]) -> list[str]:
    return [part for part in re.split(r"[,;|\s]+", found[0]) if part] if len(found) == 1 else list(found)
