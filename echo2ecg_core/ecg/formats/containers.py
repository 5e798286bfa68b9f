"""Containers of named values (NPZ, HDF5, MATLAB, PyTorch): which of them are ECGs, and what the others tell of these.

Values are told by path ("group/ecg"); attributes and fields lie in the scope of what they belong to ("group/ecg/unit").
What holds for an ECG is looked for from its own scope outwards, and in the rest of the file where that says one thing
only. Lead names are known by their values, whatever they are called; rates, units and gains by their names, and a
number whose meaning the name leaves open (a gain, a step of time) by the one meaning with which it is an ECG.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, TypeVar

import numpy as np

from echo2ecg_core.ecg import limb_leads
from echo2ecg_core.ecg.channels import MIN_RATE_HZ, NOTHING_TOLD, SAME_GAIN, Channels, Told, as_written, check_size
from echo2ecg_core.ecg.files import MAX_FILE_BYTES
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
from echo2ecg_core.ecg.formats.facts import (
    gain_of,
    lead_names,
    length_of,
    likely_rate,
    lists_unfit,
    missing_mark,
    n_leads_named,
    period_rate,
    plain,
    rate_of,
    scale_of,
    texts,
    time_rate,
    together,
    unit_factors,
    unit_of,
    zeros_of,
)
from echo2ecg_core.ecg.formats.rates import SettledRate, settled_rate
from echo2ecg_core.ecg.record import canonical_lead
from echo2ecg_core.ecg.units import mv_per_unit
from echo2ecg_core.errors import SignalError

LENGTHS_DIFFER = (
    "The leads have different lengths; all were cropped to the shortest. That they begin together is assumed."
)
MOST_KINDS, MOST_SAMPLES, JUDGED_AT_HZ = 6, 10_000, 500.0  # of which the one that is an ECG is looked for
FEW_GROUPS = 3  # as many groups of different names are versions of one recording rather than recordings
T = TypeVar("T")


def block_bytes(value: Any) -> float:
    """Bytes of the blocks in which a dataset of a file is stored, of which one is the least that can be read."""
    chunks = getattr(value, "chunks", None)
    return float(np.prod(chunks)) * value.dtype.itemsize if chunks else 0.0


@dataclass(frozen=True)
class _Tracing:
    """One array of the container that holds ECGs.

    Attributes:
        path: Where it is.
        shape: (..., leads, n) or (..., n, leads).
        load: Gives the array, or the dataset from which one recording at a time is read.
        names: Its leads where the paths themselves tell them, and paths of those.
        doubt: What putting them together leaves open.
    """

    path: str
    shape: tuple[int, ...]
    load: Callable[[], Any]
    names: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    doubt: str = ""

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
        taken, others = self._chosen
        facts = [self._facts(tracing, told, usual_rate_hz) for tracing in taken]
        total = sum(tracing.n_recordings for tracing in taken)
        judged_on = self._judged_on(taken, facts) if total > 1 else None
        number = 0
        for tracing, told_here in zip(taken, facts, strict=True):
            scale = self._scale(tracing, told_here)
            for channels in recordings(
                tracing.load(), told_here.rate_hz, self.file_name, file_format, told_here.names, told_here.unit,
                candidates, told, scale, judged_on, number, total, self._told(tracing.path, missing_mark),
            ):  # fmt: skip
                channels.notes[:0] = [*_told_of(tracing, others), *told_here.notes, *told_here.doubts]
                channels.doubts += told_here.doubts
                yield channels
            number += tracing.n_recordings

    @cached_property
    def main(self) -> tuple[str, tuple[int, ...]]:
        """Path and shape of the first array that is read.

        Raises:
            SignalError: Nothing has an axis of leads.
        """
        tracing = self._chosen[0][0]
        return tracing.path, tracing.shape

    @cached_property
    def _scopes(self) -> dict[str, dict[str, Any]]:
        """Scope -> name in lower case without separators -> value."""
        scopes: dict[str, dict[str, Any]] = {}
        for path, value in self.values.items():
            scope, _, name = path.rpartition("/")
            scopes.setdefault(scope, {}).setdefault(plain(name), value)
        return scopes

    @cached_property
    def _chosen(self) -> tuple[list[_Tracing], list[_Tracing]]:
        """The largest array with an axis of leads and those like it, in natural order; and the other arrays."""
        found = self._matrices() + self._single_leads()
        if not found:
            arrays = list(self.values.items())[:5]
            shapes = ", ".join(f"“{path[:40]}” {tuple(value.shape)}" for path, value in arrays)
            raise SignalError(
                f"No array in “{self.file_name}” has an axis of 12 leads: {shapes or 'it holds none'}.",
                "Save the ECG as 12 rows or 12 columns.",
            )
        largest = self._likeliest(sorted(found, key=lambda tracing: -tracing.size))
        alike = [tracing for tracing in found if _leaf_kind(tracing.path) == _leaf_kind(largest.path)]
        if len(alike) <= FEW_GROUPS:
            alike = [tracing for tracing in alike if _kind(tracing.path) == _kind(largest.path)]
        alike.sort(key=lambda tracing: [int(part) if part.isdigit() else part for part in _numbers(tracing.path)])
        return alike, [tracing for tracing in found if not any(tracing is one for one in alike)]

    def _likeliest(self, by_size: list[_Tracing]) -> _Tracing:
        """The largest array in which the limb leads keep their equations, as a mask, labels or features of its shape do
        not; the largest one where none does."""
        kinds = {_leaf_kind(tracing.path): tracing for tracing in reversed(by_size)}
        if len(kinds) < 2:
            return by_size[0]
        largest = sorted(kinds.values(), key=by_size.index)[:MOST_KINDS]
        return next((tracing for tracing in largest if self._keeps_equations(tracing)), by_size[0])

    def _keeps_equations(self, tracing: _Tracing) -> bool:
        names = tracing.names or self._lead_names(tracing.path, tracing.shape)
        n_leads = tracing.shape[lead_axis(tracing.shape, len(names))]
        if n_leads < len(limb_leads.LIMB_LEADS) or block_bytes(self.values.get(tracing.path)) > MAX_FILE_BYTES:
            return False
        try:
            first = next(first_recordings(tracing.load(), self.file_name, names, 1), None)
        except SignalError:  # too large
            return False
        if first is None:
            return False
        found = limb_leads.misfits(first[:, :MOST_SAMPLES], JUDGED_AT_HZ)
        in_order = bool(found) and max(found.values()) <= limb_leads.TOLERANCE
        return in_order or limb_leads.best_order(first[:, :MOST_SAMPLES], JUDGED_AT_HZ) is not None

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
        paths: dict[str, list[str]] = {}
        for path, value in self.values.items():
            scope, _, name = path.rpartition("/")
            lead = canonical_lead(name)
            if lead and value.dtype.kind in "fiu" and max(value.shape, default=0) == value.size > 1:
                if lead not in by_scope.setdefault(scope, {}):
                    paths.setdefault(scope, []).append(path)
                by_scope[scope][lead] = value
        found = []
        for scope, leads in by_scope.items():
            if len(leads) >= 8 and {"I", "II"} <= set(leads):
                shortest = min(value.size for value in leads.values())

                def load(leads=leads, shortest=shortest) -> np.ndarray:
                    check_size(len(leads), shortest)
                    return np.stack([np.asarray(value[()]).ravel()[:shortest] for value in leads.values()])

                longest = max(value.size for value in leads.values())
                doubt = LENGTHS_DIFFER if longest > shortest else ""
                found.append(_Tracing(scope, (len(leads), shortest), load, tuple(leads), tuple(paths[scope]), doubt))
        return found

    def _facts(self, tracing: _Tracing, told: Told, usual_rate_hz: float | None) -> "_Facts":
        names = tracing.names or self._lead_names(tracing.path, tracing.shape)
        axis = lead_axis(tracing.shape, len(names))
        n_leads, n_samples = tracing.shape[axis], tracing.shape[-3 - axis]
        settled, jumps = self._rate(tracing.path, n_samples, told, usual_rate_hz)
        units = dict.fromkeys(self._all_told(tracing.path, unit_of))
        doubts = [text for text in (settled.doubt, jumps, _several(units, "units", mv_per_unit)) if text]
        lists = {} if tracing.names else dict.fromkeys(self._lists_of_leads(tracing.path, tracing.shape))
        doubts += [_several(lists, "lists of leads", lambda leads: tuple(map(canonical_lead, leads)))]
        unfit = (
            []
            if names or told.lead_order
            else self._all_told(tracing.path, lambda _, value: n_leads_named(texts(value)) or None)
        )
        doubts += [tracing.doubt] if tracing.doubt else []
        doubts += [lists_unfit(unfit[0], n_leads)] if unfit else []
        notes, doubts = [settled.note] if settled.note else [], [text for text in doubts if text]
        return _Facts(settled.rate_hz, names, next(iter(units), ""), n_leads, notes, doubts)

    def _rate(self, path: str, n_samples: int, told: Told, usual_rate_hz: float | None) -> tuple[SettledRate, str]:
        """What the container and the person tell of the rate of one array, and where its axis of time jumps."""
        axes = self._all_told(path, lambda name, value: time_rate(name, value, n_samples))
        found = [("the axis of time", rate) for rate, _ in axes]
        found += [("a value for the rate", rate) for rate in self._all_told(path, rate_of)]
        found += [("a step of time", rate) for rate in self._all_told(path, period_rate)]
        likely = (
            [] if found else [("a value called rate or frequency", rate) for rate in self._all_told(path, likely_rate)]
        )
        found = found or likely or ([("the layout", usual_rate_hz)] if usual_rate_hz else [])
        lengths = self._all_told(path, length_of)
        settled = settled_rate(found, told.sampling_rate_hz, n_samples, lengths, is_sure=not likely)
        if settled.impossible_hz is not None:
            settled.needed(self.file_name)
        return settled, axes[0][1].replace("column", "axis") if axes else ""

    def _lead_names(self, path: str, shape: Sequence[int]) -> tuple[str, ...]:
        """Texts that are names of leads, as many as an axis has."""

        return next(iter(self._lists_of_leads(path, shape)), ())

    def _lists_of_leads(self, path: str, shape: Sequence[int]) -> list[tuple[str, ...]]:
        return self._all_told(path, lambda _, value: lead_names(texts(value), shape[-2:]))

    def _told(self, path: str, read: Callable[[str, Any], T | None]) -> T | None:
        """The first of what `_all_told` finds."""
        return next(iter(self._all_told(path, read)), None)

    def _all_told(self, path: str, read: Callable[[str, Any], T | None]) -> list[T]:
        """The values that `read` makes something of in the nearest scope that has any, from that of a path outwards;
        else what all other scopes agree on."""
        scope: str | None = path
        seen = set()
        while scope is not None:
            seen.add(scope)
            here = [read(name, value) for name, value in self._scopes.get(scope, {}).items()]
            if any(value is not None for value in here):
                return [value for value in here if value is not None]
            scope = None if not scope else scope.rpartition("/")[0]
        elsewhere = {
            found
            for other, values in self._scopes.items()
            if other not in seen
            for name, value in values.items()
            if (found := read(name, value)) is not None
        }
        return list(elsewhere) if len(elsewhere) == 1 else []

    def _scale(self, tracing: _Tracing, facts: "_Facts") -> Scale | None:
        """What a gain beside the ECG makes of its counts; None where there is none, or the unit alone will do."""
        factors = self._told(tracing.path, lambda name, value: unit_factors(name, value, facts.n_leads))
        each = self._of_each(tracing.paths, lambda name, value: gain_of(name, value, 1))
        factors = factors or (None if each and facts.unit else self._factors_of(tracing.paths))
        if factors is not None:
            return Scale(np.asarray(factors))
        told = [together(each)] if each else []
        told = told or self._all_told(tracing.path, lambda name, value: gain_of(name, value, facts.n_leads))
        if not told:
            return None
        signal = next(first_recordings(tracing.load(), self.file_name, facts.names, 1))
        own_zeros = self._of_each(tracing.paths, lambda name, value: zeros_of(name, value, 1))
        zeros = tuple(zero for one in own_zeros for zero in one) or self._told(
            tracing.path, lambda name, value: zeros_of(name, value, facts.n_leads)
        )
        scales = [scale_of(gains, zeros, signal, facts.rate_hz or MIN_RATE_HZ, facts.unit) for gains in told]
        makes_an_ecg = [one for one in scales if one is not None and one.mv_per_value is not None]
        return _agreeing(makes_an_ecg) if makes_an_ecg else scales[0]

    def _factors_of(self, paths: Sequence[str]) -> tuple[float, ...] | None:
        """Factors to mV where each lead is an array with a unit of its own; None where one has none."""
        factors = [mv_per_unit(unit) for unit in self._of_each(paths, unit_of)]
        return tuple(factor for factor in factors if factor is not None) if factors and None not in factors else None

    def _of_each(self, paths: Sequence[str], read: Callable[[str, Any], T | None]) -> list[T]:
        """What `read` makes of the values that belong to each of some arrays; [] where one has none."""
        told = [[read(*item) for item in self._scopes.get(path, {}).items()] for path in paths]
        found = [
            one for here in told if (one := next((value for value in here if value is not None), None)) is not None
        ]
        return found if len(found) == len(paths) else []

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
    """What is told of one array: rate, lead names, unit; how many leads it has; and what is told in two ways."""

    rate_hz: float | None
    names: tuple[str, ...]
    unit: str
    n_leads: int
    notes: list[str]
    doubts: list[str]


def _several(told: Iterable[T], what: str, meaning: Callable[[T], Any]) -> str:
    """The doubt where values that were told mean different things, "" where they agree."""
    found = {meaning(value) for value in told} - {None}
    return f"{len(found)} different {what} are told beside the ECG; the first was taken." if len(found) > 1 else ""


def _agreeing(scales: list[Scale]) -> Scale:
    """The first of what several gains make of an ECG, with a doubt where they make it of different heights."""
    heights = [float(np.median(one.mv_per_value)) for one in scales if one.mv_per_value is not None]
    if max(heights) <= SAME_GAIN * min(heights):
        return scales[0]
    doubt = f"{len(scales)} different gains are told beside the ECG; the first was taken."
    return replace(scales[0], doubt=f"{scales[0].note} {doubt}".strip(), note="")


def _told_of(tracing: _Tracing, others: list[_Tracing]) -> list[str]:
    if not others:
        return []
    also = as_written([other.path for other in others])
    return [f"The array {as_written([tracing.path])} was read; {also} could be an ECG, too."]


def _numbers(path: str) -> list[str]:
    return re.split(r"(\d+)", path)


def _kind(path: str) -> str:
    """A path without its numbers: those of recordings in a row are alike."""
    return re.sub(r"\d+", "#", path)


def _leaf_kind(path: str) -> str:
    """The last part of a path without its number; the whole path where that is all it is."""
    leaf = _kind(path.rsplit("/", 1)[-1])
    return _kind(path) if leaf == "#" else re.sub(r"_?#$", "#", leaf)
