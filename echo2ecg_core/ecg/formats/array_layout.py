"""Bare arrays as ECGs: which axis holds the leads, in which unit, in which order.

An array names neither leads nor unit: twelve rows or columns are taken in the standard order (eight as I, II, V1 to
V6), the unit is judged by amplitude, and the record's notes say both. EchoNext's (N, 1, 2500, 12) arrays are
z-scored per lead; the published parameters (two decimals) undo that.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from echo2ecg_core.ecg.channels import EIGHT_LEADS, MAX_VALUES, NOTHING_TOLD, Channels, Told, check_size
from echo2ecg_core.ecg.formats.rates import needed_rate
from echo2ecg_core.ecg.record import FEWEST_LEADS, LEADS
from echo2ecg_core.ecg.units import (
    COUNT_CANDIDATES,
    is_doubtful,
    judge_unit,
    mv_per_unit,
    needed_factor,
    typical_amplitude,
)
from echo2ecg_core.errors import SignalError

# EchoNext 1.0.0, models/echonext_multilabel_minimodel/waveform_normalization_params.json, in counts of 4.88 µV
ECHONEXT_MEAN = np.array([5.44, 4.39, -0.88, -4.9, 3.18, 1.72, -4.39, -1.5, -0.24, 3.62, 5.4, 5.66])
ECHONEXT_STD = np.array([32.43, 31.37, 30.16, 28.13, 27.1, 26.15, 37.74, 52.79, 56.75, 49.9, 45.0, 39.07])
ECHONEXT_MV_PER_COUNT = 0.00488
ECHONEXT_RATE_HZ = 250.0
# a typical second spans 0.3 to 2.3 mV in real records and 2 to 15 standard deviations in z-scored ones
MAX_PLAUSIBLE_MV = 3.0
MAX_NORMALISED = 60.0
JUDGED_RECORDINGS = 8
# what devices and tables write where nothing was recorded; 29999 is MIMIC-IV-ECG's
MISSING_MARKS = (-32768.0, 32767.0, -99999.0, 99999.0, 29999.0, -9999.0, 9999.0, -999.0, 999.0)
MARK_STANDS_OUT = 10.0  # times as far from zero as everything else
MARK_STANDS_STILL = 3.0  # the same where it is never written for fewer samples in a row than
MARKS_IN_A_ROW = 5
SCALED_TO_ONE = "The largest value is exactly 1: the values may have been scaled to it, and then voltages mean nothing."
MAX_EMPTY = 100  # empty recordings in a row before a file is given up

# CODE-15 documents 1e-4 V, but excerpts in mV circulate
CODE15_CANDIDATES = {"mV": 1.0, "units of 1e-4 V": 0.1}


@dataclass(frozen=True)
class Scale:
    """What a file tells of the size of its values.

    Attributes:
        mv_per_value: (1,) or (leads,) factor to mV; None where what it tells makes no ECG.
        zero: (1,) or (leads,) value that stands for 0 mV.
        note, doubt: Sentences for the record, "" for none.
    """

    mv_per_value: np.ndarray | None
    zero: np.ndarray = field(default_factory=lambda: np.zeros(1))
    note: str = ""
    doubt: str = ""

    def used_on(self, channels: Channels) -> bool:
        """Brings channels of (leads, n) values to mV, with a note; False where what the file tells makes no ECG."""
        channels.notes += [self.note or self.doubt] if self.note or self.doubt else []
        channels.doubts += [self.doubt] if self.doubt else []
        if self.mv_per_value is None:
            return False
        signal = np.asarray(channels.samples_mv)
        channels.samples_mv = (signal - self.zero[:, None]) * self.mv_per_value[:, None]
        if self.mv_per_value.size > 1:
            channels.counts_per_mv = tuple(1 / self.mv_per_value)
        return True


def lead_axis(shape: tuple[int, ...], n_names: int = 0) -> int:
    """Which of the last two axes (-2 or -1) of an array holds the leads.

    Raises:
        SignalError: If neither has 12 or 8 entries (or as many as there are names).
    """
    if len(shape) >= 2:
        for count in (n_names, 12, 8):
            fitting = [axis for axis in (-2, -1) if count and shape[axis] == count]
            if fitting:
                return fitting[0]
    raise SignalError(
        f"The array has the shape ({', '.join(map(str, shape))}); one of its last two axes must hold 12 leads "
        "(or the 8 leads I, II, V1 to V6).",
        "Save the ECG as 12 rows or 12 columns.",
    )


def by_field(path: str, array) -> dict[str, np.ndarray]:
    """An array of records as one of each field, by path; any other array, or dataset, and one too large, as it is."""
    names = array.dtype.names or ()
    if len(names) < FEWEST_LEADS or array.ndim != 1 or len(names) * array.size > MAX_VALUES:
        return {path: array}
    whole = np.asarray(array[()])
    return {f"{path}/{name}" if path else name: whole[name] for name in names if not whole[name].dtype.hasobject}


def has_lead_axis(shape: tuple[int, ...], n_names: int = 0) -> bool:
    """Whether one of the last two axes of an array can hold the leads, and the other samples."""
    try:
        axis = lead_axis(shape, n_names)
    except SignalError:
        return False
    return shape[-3 - axis] > shape[axis]


def without_missing_marks(signal: np.ndarray, notes: list[str], told: float | None = None) -> np.ndarray:
    """The signal with NaN where a number that stands for a missing sample was written, which the notes tell.

    Args:
        signal: (leads, n) as stored.
        notes: Gets a sentence.
        told: The number that the file says stands for one, taken where the signal is never on both sides of it, or
            stands still on it.
    """
    if told is not None:
        marked = signal == told
        if marked.any() and (_stands_still(marked) or _is_outermost(signal, told)):
            notes.append(f"{int(marked.sum()):,} values of {told:g} were taken as missing, as the file says.")
            signal = np.where(marked, np.nan, signal)
    low, high = np.nanmin(signal, initial=np.inf), np.nanmax(signal, initial=-np.inf)
    for mark in [mark for mark in MISSING_MARKS if low <= mark <= high]:
        marked = signal == mark
        if not marked.any() or marked.all():
            continue
        others = np.nan_to_num(np.abs(signal, where=~marked, out=np.zeros(signal.shape))).max()
        times = MARK_STANDS_STILL if _stands_still(marked) else MARK_STANDS_OUT
        if others * times < abs(mark):
            notes.append(f"{int(marked.sum()):,} values of {mark:.0f} were taken as missing.")
            signal = np.where(marked, np.nan, signal)
    return signal


def _is_outermost(signal: np.ndarray, value: float) -> bool:
    return bool(value <= np.nanmin(signal) or value >= np.nanmax(signal))


def _stands_still(marked: np.ndarray) -> bool:
    """Whether every stretch of marked samples in (leads, n) is long."""
    edges = np.diff(np.pad(marked.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    lengths = np.nonzero(edges == -1)[1] - np.nonzero(edges == 1)[1]
    return bool(lengths.min(initial=MARKS_IN_A_ROW) >= MARKS_IN_A_ROW)


def flat_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without last axes of one entry, as (n, 12, 1) has."""
    while len(shape) > 2 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def flattened(array):
    """An array in its `flat_shape`; a dataset of a file stays as it is."""
    return array.reshape(flat_shape(array.shape)) if isinstance(array, np.ndarray) else array


def n_recordings(shape: Sequence[int]) -> int:
    """How many recordings an array of a shape (..., leads, n) holds."""
    return math.prod(flat_shape(tuple(shape))[:-2])


def recordings(
    array: np.ndarray, sampling_rate_hz: float | None, file_name: str, file_format: str,
    names: Sequence[str] = (), unit: str = "", candidates: dict[str, float] | None = None, told: Told = NOTHING_TOLD,
    scale: Scale | None = None, judged_on: np.ndarray | None = None, before: int = 0, total: int | None = None,
    missing: float | None = None,
) -> Iterator[Channels]:  # fmt: skip
    """The recordings of an array, one by one; empty ones (all zero) are skipped where there are several.

    Args:
        array: (12, n), (n, 12), the same with 8, or any number of them along leading axes; an array, a memory map or
            an HDF5 dataset, of which one recording at a time is held in memory.
        sampling_rate_hz: Samples a second, None when unknown.
        file_name: For error texts.
        file_format: For the record.
        names: Channel names, when the file gives them.
        unit: Unit of the values, when the file gives it.
        candidates: Units to choose from by amplitude, when it does not; chosen once for all recordings.
        told: Unit and lead order that the person gives, used where the file has none.
        scale: What the file tells of the size of its values.
        judged_on: (leads, n) by which the unit of all recordings is judged; by default chosen among these.
        before, total: Recordings of the file in arrays before this one, and in all.
        missing: The number that the file says stands for a missing sample.

    Raises:
        SamplingRateNeeded: If the sampling rate is neither given nor known from the layout.
        SignalError: If no axis holds the leads, or one recording is too large.
    """
    array = flattened(array)
    axis = lead_axis(array.shape, len(names))
    n_leads, n_samples = array.shape[axis], array.shape[-3 - axis]
    check_size(n_leads, n_samples)
    if 0 in array.shape:
        raise SignalError(
            f"The array in “{file_name}” has the shape {tuple(array.shape)}: it holds no samples.",
            "Check that the file holds the signals.",
        )
    is_echonext = array.shape[1:] == (1, 2500, 12)
    rate = ECHONEXT_RATE_HZ if is_echonext else needed_rate(sampling_rate_hz, file_name)
    total = n_recordings(array.shape) if total is None else total
    if total > 1 and judged_on is None:
        judged_on = usual_recording(list(first_recordings(array, file_name, names)), rate)
    for number, signal in _tracings(array, axis, file_name, total > 1):
        notes = [f"Recording {before + number} of {total} in the file."] if total > 1 else []
        signal = without_missing_marks(signal, notes, missing)
        taken, own = _names(names, n_leads, told.lead_order, notes)
        channels = Channels(taken, signal, rate, file_format, notes, order_assumed=not own)
        if own and len(names) != n_leads:
            channels.told_used |= {"leads"}
        if is_echonext:
            _undo_echonext(channels)
        else:
            _to_millivolts(channels, unit, candidates, told.unit, judged_on, scale)
        yield channels


def first_recordings(
    array, file_name: str, names: Sequence[str] = (), most: int = JUDGED_RECORDINGS, one_of_many: bool = False
) -> Iterator[np.ndarray]:
    """The first recordings of an array as stored, (leads, n) float64 each; arguments as of `recordings`."""
    array = flattened(array)
    axis = lead_axis(array.shape, len(names))
    check_size(array.shape[axis], array.shape[-3 - axis])
    for _, signal in islice(_tracings(array, axis, file_name, one_of_many), most):
        yield signal


def usual_recording(first: Sequence[np.ndarray], sampling_rate_hz: float) -> np.ndarray:
    """Of some recordings the one of median amplitude, (leads, n): the unit of a file is judged on it."""
    amplitudes = [typical_amplitude(signal, sampling_rate_hz) for signal in first]
    return first[int(np.argsort(amplitudes)[len(first) // 2])]


def _tracings(array, axis: int, file_name: str, one_of_many: bool) -> Iterator[tuple[int, np.ndarray]]:
    """Number and (leads, n) float64 of each recording that is not empty; gives up after many empty ones in a row."""
    here, n_empty, n_found = n_recordings(array.shape), 0, 0
    for number in range(here):
        index = np.unravel_index(number, array.shape[:-2])
        signal = np.asarray(array[tuple(map(int, index))], dtype=np.float64)
        if (here == 1 and not one_of_many) or np.nan_to_num(signal).any():
            n_empty, n_found = 0, n_found + 1
            yield number + 1, signal if axis == -2 else signal.T
            continue
        n_empty += 1
        if n_empty >= MAX_EMPTY:
            break
    if not n_found and here > 1:
        raise SignalError(
            f"The first {n_empty} of {here} recordings in “{file_name}” are empty.",
            "Check that the file holds the signals.",
        )


def _names(names: Sequence[str], n_leads: int, told: tuple[str, ...], notes: list[str]) -> tuple[Sequence[str], bool]:
    """Names of the leads and whether they are told: the file's, else the person's, else the standard order."""
    if len(names) == n_leads:
        return names, True
    if told and len(told) != n_leads:
        raise SignalError(
            f"The given order names {len(told)} leads, but the file holds {n_leads}.",
            "Name every column or row, with - for one to leave out.",
        )
    if told:
        return told, True
    assumed = LEADS if n_leads == 12 else EIGHT_LEADS
    notes.append(f"The file names no leads; the order {', '.join(assumed)} was assumed.")
    return assumed, False


def _undo_echonext(channels: Channels) -> None:
    scores = np.asarray(channels.samples_mv)  # (12, n)
    amplitude = typical_amplitude(scores, channels.sampling_rate_hz)
    if 0 < amplitude < 1.5:
        channels.notes.append(
            f"The layout is EchoNext's, yet the amplitude ({amplitude:.2g}) is that of mV; taken as mV."
        )
        return
    counts = scores * ECHONEXT_STD[:, None] + ECHONEXT_MEAN[:, None]
    channels.samples_mv = counts * ECHONEXT_MV_PER_COUNT
    channels.notes.append(
        "EchoNext layout (250 Hz, z-scored per lead): the normalisation was undone with the published "
        "means, standard deviations and 4.88 µV per count."
    )


def _to_millivolts(
    channels: Channels,
    unit: str,
    candidates: dict[str, float] | None,
    told_unit: str | None,
    judged_on: np.ndarray | None = None,
    scale: Scale | None = None,
) -> None:
    """Scale to mV by what the file tells or by amplitude; normalised values stay as they are and are called so."""
    if scale is not None and scale.used_on(channels):
        return
    factor = mv_per_unit(unit) if unit else None
    if factor is None and told_unit:
        factor = needed_factor(told_unit)
        channels.told_used |= {"unit"}
    if factor is not None:
        channels.samples_mv = np.asarray(channels.samples_mv) * factor
        return
    looked_at = np.asarray(channels.samples_mv if judged_on is None else judged_on)
    if candidates is None and _is_normalised(looked_at, channels.sampling_rate_hz):
        channels.units = "normalised"
        channels.notes.append(
            "The values are normalised, not mV: their scale cannot be undone, so voltages mean nothing."
        )
        return
    judge_channels(channels, candidates, judged_on)


def judge_channels(
    channels: Channels, candidates: dict[str, float] | None = None, judged_on: np.ndarray | None = None
) -> None:
    """Scale channels that name no unit to mV by their amplitude; a doubt where two units are as likely.

    Args:
        channels: With `samples_mv` as (leads, n) in the unknown unit.
        candidates: Units to choose from.
        judged_on: The recording that stands for all of a file, (leads, n); this one where there are no others.
    """
    looked_at = np.asarray(channels.samples_mv if judged_on is None else judged_on)
    factor, note = judge_unit(looked_at, channels.sampling_rate_hz, candidates)
    possible = candidates or COUNT_CANDIDATES
    if judged_on is not None:
        note += " It was judged once for all recordings of the file."
    channels.notes.append(note)
    amplitude = typical_amplitude(looked_at, channels.sampling_rate_hz)
    if is_doubtful(amplitude, factor, possible):
        channels.doubts.append(note)
    if np.nanmax(np.abs(looked_at), initial=0.0) == 1.0:
        channels.doubts.append(SCALED_TO_ONE)
    channels.samples_mv = np.asarray(channels.samples_mv) * factor
    channels.unit_judged = True


def _is_normalised(signal: np.ndarray, sampling_rate_hz: float) -> bool:
    """Whether values look z-scored: fractions too large for mV and too small for µV."""
    finite = signal[np.isfinite(signal)]
    if not finite.size or (finite == np.round(finite)).all():
        return False
    return MAX_PLAUSIBLE_MV < typical_amplitude(signal, sampling_rate_hz) < MAX_NORMALISED
