"""Containers of named values (NPZ, HDF5, MATLAB, PyTorch): which of them are ECGs, and what the others tell of these.

Values are told by path ("group/ecg"); attributes and fields lie in the scope of what they belong to ("group/ecg/unit").
What holds for an ECG is looked for from its own scope outwards, and in the rest of the file where that says one thing
only. Lead names are known by their values, whatever they are called; rates, units and gains by their names, and a
number whose meaning the name leaves open (a gain, a step of time) by the one meaning with which it is an ECG.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeVar

import numpy as np

from echo2ecg_core.ecg.channels import MAX_RATE_HZ, MAX_VALUES, MIN_RATE_HZ, NOTHING_TOLD, Channels, Told, check_size
from echo2ecg_core.ecg.formats.array_layout import (
    JUDGED_RECORDINGS,
    Scale,
    first_recordings,
    flat_shape,
    has_lead_axis,
    lead_axis,
    n_recordings,
    recordings,
    usual_recording,
)
from echo2ecg_core.ecg.record import canonical_lead
from echo2ecg_core.ecg.units import HIGHEST_MV, LOWEST_MV, mv_per_unit, typical_amplitude
from echo2ecg_core.errors import SignalError

MOST_TEXTS = 64
FEW_GROUPS = 3  # as many groups of different names are versions of one recording rather than recordings
EVEN_STEPS = 0.01
T = TypeVar("T")

# names in lower case without separators
_RATES = ("fs", "sf", "sr", "srate", "sfreq", "samplingrate", "samplerate", "samplingfrequency", "samplefrequency",
          "samplingfreq", "samplefreq", "currsamplerate", "sampfrequency")  # fmt: skip
_RATE_NAMES = {f"{before}{name}{after}" for name in _RATES for before in ("", "ecg") for after in ("", "hz", "ecg")}
_WEAK_RATE_NAMES = {"rate", "frequency", "freq", "hz"}  # a heart rate is called so, too
_USUAL_RATES_HZ = (100, 120, 125, 128, 150, 200, 240, 250, 256, 257, 300, 320, 360, 400, 480, 500, 512, 600, 800, 960,
                   977, 1000, 1024, 1200, 1600, 2000, 2048, 4000, 8000)  # fmt: skip
_PERIOD = re.compile(r"(?:dt|deltat|ts|(?:sampl(?:e|ing)|time)(?:interval|period|step))(s|sec|seconds|ms|us)?")
_TIME = re.compile(r"(?:t|time|times|timestamps?|timeaxis|timevector|elapsed|elapsedtime)(s|sec|seconds|ms|us)?")
_SECONDS = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6}
_UNIT = re.compile(r"(?:physical|amplitude|signal|sig|ecg|voltage|y|p)?(?:units?|unitofmeasure)")
_COUNT = "(?:counts?|lsb|adus?|adc|bits?|units?|digits?|steps?)"
_VOLT = "(mv|uv|nv|v|millivolts?|microvolts?|nanovolts?|volts?)"
_COUNTS_PER_VOLT = re.compile(f"{_COUNT}per{_VOLT}")
_VOLT_PER_COUNT = re.compile(f"{_VOLT}per{_COUNT}|(?:lsb|resolution|gain|scale|scaling|scalefactor)(?:in)?{_VOLT}")
_GAIN = re.compile(r"(?:adc|ecg|signal)?gains?")
_SIZE = re.compile(r"(?:amplitude|amp|voltage|adc|bit)?(?:resolution|lsb|scale|scaling|scal(?:e|ing)factor|sensitivity)"
                   r"|conversionfactor|calibrationfactor")  # fmt: skip
_ZERO = re.compile(r"(?:adc)?(?:baselines?|zeros?|zerolevel)")


@dataclass(frozen=True)
class _Tracing:
    """One array of the container that holds ECGs.

    Attributes:
        path: Where it is.
        shape: (..., leads, n) or (..., n, leads).
        load: Gives the array, or the dataset from which one recording at a time is read.
        names: Its leads where the paths themselves tell them.
    """

    path: str
    shape: tuple[int, ...]
    load: Callable[[], Any]
    names: tuple[str, ...] = ()

    @property
    def size(self) -> float:
        return float(np.prod([float(length) for length in self.shape]))

    @property
    def n_recordings(self) -> int:
        return n_recordings(self.shape)


class Container:
    """The values of one file, by path.

    Args:
        values: Path -> array, or HDF5 dataset, of numbers or texts.
        file_name: For error texts.
    """

    def __init__(self, values: Mapping[str, Any], file_name: str):
        self.values, self.file_name = dict(values), file_name

    def __contains__(self, name: str) -> bool:
        return any(path.rsplit("/", 1)[-1] == name for path in self.values)

    def recordings(
        self, file_format: str, candidates: dict[str, float] | None = None, told: Told = NOTHING_TOLD,
        usual_rate_hz: float | None = None,
    ) -> Iterator[Channels]:  # fmt: skip
        """The recordings one by one, with what the container tells of them.

        Args:
            file_format: For the record.
            candidates: Units to choose from by amplitude where nothing names one; chosen once for all.
            told: What the person gives, used where the file has nothing.
            usual_rate_hz: Rate of a layout that names none.

        Raises:
            SignalError: Nothing in it has an axis of leads.
            SamplingRateNeeded: Neither container nor person tells the sampling rate.
        """
        taken, others = self._chosen()
        facts = [self._facts(tracing, told, usual_rate_hz) for tracing in taken]
        total = sum(tracing.n_recordings for tracing in taken)
        judged_on = self._judged_on(taken, facts) if total > 1 else None
        number = 0
        for tracing, told_here in zip(taken, facts, strict=True):
            scale = self._scale(tracing, told_here)
            for channels in recordings(
                tracing.load(), told_here.rate_hz, self.file_name, file_format, told_here.names, told_here.unit,
                candidates, told, scale, judged_on, number, total,
            ):  # fmt: skip
                channels.notes[:0] = _told_of(tracing, others)
                yield channels
            number += tracing.n_recordings

    @cached_property
    def main(self) -> tuple[str, tuple[int, ...]]:
        """Path and shape of the first array that is read.

        Raises:
            SignalError: Nothing has an axis of leads.
        """
        tracing = self._chosen()[0][0]
        return tracing.path, tracing.shape

    @cached_property
    def _scopes(self) -> dict[str, dict[str, Any]]:
        """Scope -> name in lower case without separators -> value."""
        scopes: dict[str, dict[str, Any]] = {}
        for path, value in self.values.items():
            scope, _, name = path.rpartition("/")
            scopes.setdefault(scope, {}).setdefault(_plain(name), value)
        return scopes

    def _chosen(self) -> tuple[list[_Tracing], list[_Tracing]]:
        """The largest array with an axis of leads and those like it, in natural order; and the other arrays."""
        found = self._matrices() + self._single_leads()
        if not found:
            shapes = ", ".join(f"{path} {tuple(value.shape)}" for path, value in list(self.values.items())[:5])[:200]
            raise SignalError(
                f"No array in “{self.file_name}” has an axis of 12 leads: {shapes or 'it holds none'}.",
                "Save the ECG as 12 rows or 12 columns.",
            )
        largest = max(found, key=lambda tracing: tracing.size)
        alike = [tracing for tracing in found if _leaf_kind(tracing.path) == _leaf_kind(largest.path)]
        if len(alike) <= FEW_GROUPS:
            alike = [tracing for tracing in alike if _kind(tracing.path) == _kind(largest.path)]
        alike.sort(key=lambda tracing: [int(part) if part.isdigit() else part for part in _numbers(tracing.path)])
        return alike, [tracing for tracing in found if not any(tracing is one for one in alike)]

    def _matrices(self) -> list[_Tracing]:
        found = []
        for path, value in self.values.items():
            shape = flat_shape(tuple(value.shape))
            if value.dtype.kind in "fiu" and len(shape) >= 2 and 0 not in shape:
                names = self._lead_names(path, shape)
                if has_lead_axis(shape, len(names)):
                    found.append(_Tracing(path, shape, partial(self.values.get, path)))
        return found

    def _single_leads(self) -> list[_Tracing]:
        """Scopes in which every lead is an array of its own."""
        by_scope: dict[str, dict[str, Any]] = {}
        for path, value in self.values.items():
            scope, _, name = path.rpartition("/")
            lead = canonical_lead(name)
            if lead and value.dtype.kind in "fiu" and max(value.shape, default=0) == value.size > 1:
                by_scope.setdefault(scope, {})[lead] = value
        found = []
        for scope, leads in by_scope.items():
            if len(leads) >= 8 and {"I", "II"} <= set(leads):
                shortest = min(value.size for value in leads.values())

                def load(leads=leads, shortest=shortest) -> np.ndarray:
                    check_size(len(leads), shortest)
                    return np.stack([np.asarray(value[()]).ravel()[:shortest] for value in leads.values()])

                found.append(_Tracing(scope, (len(leads), shortest), load, tuple(leads)))
        return found

    def _facts(self, tracing: _Tracing, told: Told, usual_rate_hz: float | None) -> "_Facts":
        names = tracing.names or self._lead_names(tracing.path, tracing.shape)
        axis = lead_axis(tracing.shape, len(names))
        n_leads, n_samples = tracing.shape[axis], tracing.shape[-3 - axis]
        rate = self._told(tracing.path, _rate) or self._told(tracing.path, _period_rate)
        rate = rate or self._told(tracing.path, lambda name, value: _time_rate(name, value, n_samples))
        unit = self._told(tracing.path, _unit)
        return _Facts(rate or usual_rate_hz or told.sampling_rate_hz, names, unit or "", n_leads)

    def _lead_names(self, path: str, shape: Sequence[int]) -> tuple[str, ...]:
        """Texts that are names of leads, as many as an axis has."""

        def names(_: str, value: Any) -> tuple[str, ...] | None:
            texts = _texts(value)
            if len(texts) == 1:
                texts = [part for part in re.split(r"[,;|\s]+", texts[0]) if part]
            known = sum(canonical_lead(text) is not None for text in texts)
            return tuple(texts) if len(texts) in shape[-2:] and known >= max(3, len(texts) / 2) else None

        return self._told(path, names) or ()

    def _told(self, path: str, read: Callable[[str, Any], T | None]) -> T | None:
        """The first value that `read` makes something of, from the scope of a path outwards; else what all other
        scopes agree on."""
        scope: str | None = path
        seen = set()
        while scope is not None:
            seen.add(scope)
            for name, value in self._scopes.get(scope, {}).items():
                found = read(name, value)
                if found is not None:
                    return found
            scope = None if not scope else scope.rpartition("/")[0]
        elsewhere = {
            found
            for other, values in self._scopes.items()
            if other not in seen
            for name, value in values.items()
            if (found := read(name, value)) is not None
        }
        return elsewhere.pop() if len(elsewhere) == 1 else None

    def _scale(self, tracing: _Tracing, facts: "_Facts") -> Scale | None:
        """What a gain beside the ECG makes of its counts; None where there is none, or the unit alone will do."""
        factors = self._told(tracing.path, lambda name, value: _unit_factors(name, value, facts.n_leads))
        if factors is not None:
            return Scale(np.asarray(factors))
        gains = self._told(tracing.path, lambda name, value: _gain(name, value, facts.n_leads))
        if gains is None:
            return None
        signal = next(first_recordings(tracing.load(), self.file_name, facts.names, 1))
        finite = signal[np.isfinite(signal)]
        if not (finite == np.round(finite)).all():
            return None  # already in a unit: the gain is how it was recorded
        amplitude = typical_amplitude(signal, facts.rate_hz or MIN_RATE_HZ)
        plain = mv_per_unit(facts.unit)
        if plain is not None and LOWEST_MV <= amplitude * plain <= HIGHEST_MV:
            return None
        zeros = self._told(tracing.path, lambda name, value: _zeros(name, value, facts.n_leads))
        return _scale_of(gains, zeros, amplitude, plain)

    def _judged_on(self, taken: list[_Tracing], facts: list["_Facts"]) -> np.ndarray:
        """Of the first recordings the one of median amplitude, by which the unit of all is judged."""
        first: list[np.ndarray] = []
        for tracing, told_here in zip(taken, facts, strict=True):
            if len(first) >= JUDGED_RECORDINGS:
                break
            first += first_recordings(
                tracing.load(), self.file_name, told_here.names, JUDGED_RECORDINGS - len(first), len(taken) > 1
            )
        return usual_recording(first, facts[0].rate_hz or MIN_RATE_HZ)


@dataclass(frozen=True)
class _Facts:
    """What is told of one array: rate, lead names, unit; and how many leads it has."""

    rate_hz: float | None
    names: tuple[str, ...]
    unit: str
    n_leads: int


@dataclass(frozen=True)
class _Gains:
    """Size of a count as the container tells it.

    Attributes:
        values: One, or one a lead.
        mv_per_count: The same in mV where the name says the unit.
        counts_first: Whether counts a millivolt are the usual meaning.
    """

    values: tuple[float, ...]
    mv_per_count: tuple[float, ...] = ()
    counts_first: bool = False


def _scale_of(gains: _Gains, zeros: tuple[float, ...] | None, amplitude: float, unit_mv: float | None) -> Scale | None:
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
        return Scale(
            None,
            zero,
            doubt=f"The file's {shown} makes no ECG of its values in any unit; it was not used.",
        )
    note = f"The file's {shown} was taken as {fitting[0]}."
    return Scale(
        meanings[fitting[0]], zero, note, f"{note} It could as well be {fitting[1]}." if len(fitting) > 1 else ""
    )


def _told_of(tracing: _Tracing, others: list[_Tracing]) -> list[str]:
    if not others:
        return []
    also = ", ".join(other.path for other in others)[:80]
    return [f"The array {tracing.path[:80]} was read; {also} could be an ECG, too."]


def _plain(name: str) -> str:
    """A name in lower case without separators; both micro signs as u."""
    return re.sub(r"[\W_]+", "", name.lower().replace("µ", "u").replace("μ", "u"))


def _numbers(path: str) -> list[str]:
    return re.split(r"(\d+)", path)


def _kind(path: str) -> str:
    """A path without its numbers: those of recordings in a row are alike."""
    return re.sub(r"\d+", "#", path)


def _leaf_kind(path: str) -> str:
    """The last part of a path without its number; the whole path where that is all it is."""
    leaf = _kind(path.rsplit("/", 1)[-1])
    return _kind(path) if leaf == "#" else re.sub(r"_?#$", "#", leaf)


def _texts(value: Any) -> list[str]:
    """A small array or dataset of texts as a list; [] where it is something else."""
    if value.dtype.kind not in "USO" or not 0 < value.size <= MOST_TEXTS:
        return []
    items = np.asarray(value[()]).ravel().tolist()
    if not all(isinstance(item, str | bytes) for item in items):
        return []
    return [(item.decode("utf-8", "replace") if isinstance(item, bytes) else item).strip() for item in items]


def _floats(value: Any, n_most: int) -> tuple[float, ...]:
    """A number, or up to `n_most` of them, also written as text with a unit behind; () where it is something else."""
    if not 0 < value.size <= n_most:
        return ()
    if value.dtype.kind in "fiu":
        found = tuple(float(number) for number in np.asarray(value[()]).ravel())
    else:
        matches = [re.match(r"\s*([+-]?\d+(?:\.\d*)?(?:e[+-]?\d+)?)", text, re.I) for text in _texts(value)]
        found = tuple(float(match[1]) for match in matches if match)
    return found if len(found) == value.size and all(np.isfinite(found)) else ()


def _rate(name: str, value: Any) -> float | None:
    """A sampling rate in Hz that is called one."""
    numbers = _floats(value, 1) if name in _RATE_NAMES | _WEAK_RATE_NAMES else ()
    if not numbers or numbers[0] <= 0:
        return None
    rate = numbers[0] * (1000 if any(re.search(r"\d\s*khz", text, re.I) for text in _texts(value)) else 1)
    return rate if name in _RATE_NAMES or rate in _USUAL_RATES_HZ else None


def _rate_of_step(step: float, unit: str | None) -> float | None:
    """The rate of a step of time, in the unit told or the only one in which it can be the step of an ECG."""
    units = [_SECONDS[unit]] if unit else [1.0, 1e-3, 1e-6]
    rates = [1 / (step * seconds) for seconds in units if step > 0]
    possible = [rate for rate in rates if MIN_RATE_HZ / 1.0001 <= rate <= MAX_RATE_HZ]
    return float(f"{possible[0]:.6g}") if len(possible) == 1 else None


def _period_rate(name: str, value: Any) -> float | None:
    match = _PERIOD.fullmatch(name)
    numbers = _floats(value, 1) if match else ()
    return _rate_of_step(numbers[0], match[1]) if match and numbers else None


def _time_rate(name: str, value: Any, n_samples: int) -> float | None:
    """The rate of an axis of time with even steps; a count of samples tells none."""
    match = _TIME.fullmatch(name)
    if not match or value.dtype.kind not in "fiu" or value.size != n_samples or not 2 < n_samples <= MAX_VALUES:
        return None
    steps = np.diff(np.asarray(value[()], dtype=np.float64).ravel())
    step = float(np.median(steps))
    if step <= 0 or np.abs(steps - step).max() > max(EVEN_STEPS * step, 1e-4) or (step == 1 and not match[1]):
        return None
    return _rate_of_step(float(f"{steps.mean():.6g}"), match[1])


def _unit(name: str, value: Any) -> str | None:
    """A unit of voltage; where every lead has one, that of all."""
    texts = set(_texts(value)) if _UNIT.fullmatch(name) else set()
    return texts.pop() if len(texts) == 1 else None


def _unit_factors(name: str, value: Any, n_leads: int) -> tuple[float, ...] | None:
    """Factors to mV where the leads have units of their own that differ."""
    texts = _texts(value) if _UNIT.fullmatch(name) else []
    factors = [mv_per_unit(text) for text in texts]
    if len(texts) != n_leads or len(set(texts)) == 1 or None in factors:
        return None
    return tuple(factor for factor in factors if factor is not None)


def _gain(name: str, value: Any, n_leads: int) -> _Gains | None:
    inverse, size = _COUNTS_PER_VOLT.fullmatch(name), _VOLT_PER_COUNT.fullmatch(name)
    judged = _GAIN.fullmatch(name) or _SIZE.fullmatch(name)
    numbers = _floats(value, n_leads) if inverse or size or judged else ()
    if len(numbers) not in (1, n_leads) or min(numbers) <= 0:
        return None
    words = [match for text in _texts(value) if (match := re.search(r"\d\s*([^\d\s].*)$", text))]
    mv = mv_per_unit(inverse[1]) if inverse else mv_per_unit(size[1] or size[2]) if size else None
    if mv is None and words and (named := mv_per_unit(words[0][1])) is not None:  # "4.88 µV", "2.5 uV/LSB"
        return _Gains(numbers, tuple(number * named for number in numbers))
    if mv is not None:
        return _Gains(numbers, tuple(mv / number if inverse else mv * number for number in numbers))
    return _Gains(numbers, counts_first=_GAIN.fullmatch(name) is not None)


def _zeros(name: str, value: Any, n_leads: int) -> tuple[float, ...] | None:
    numbers = _floats(value, n_leads) if _ZERO.fullmatch(name) else ()
    return numbers if len(numbers) in (1, n_leads) else None
