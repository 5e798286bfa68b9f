"""What stored samples tell by themselves: impossible and missing ones, leads that stand still, copies of a lead or of a
stretch of time, as programs write that fill a recording up to a length."""

import numpy as np

from echo2ecg_core.counts import counted, listing
from echo2ecg_core.ecg.record import LEADS
from echo2ecg_core.errors import SignalError

FLAT_MV = 1e-3
IMPOSSIBLE_MV = 1e6
CHEST = 6  # the row of V1
REPEATED_S, LOOKED_AT_S = 0.5, 60.0
LEAST_LAG_S = 2.0  # drawn beats without noise are each other's copies
STANDS_STILL, NEARLY = 0.5, 0.01
NV_PER_MV = 1e6


def possible(found: dict[str, np.ndarray], notes: list[str]) -> dict[str, np.ndarray]:
    """The leads with NaN for impossible samples, which are noted; before anything is computed from them."""
    count = sum(int((np.abs(samples) > IMPOSSIBLE_MV).sum()) for samples in found.values())
    if count:
        be = "was" if count == 1 else "were"
        notes.append(f"{counted(count, 'impossible sample')} (infinite or beyond 1 kV) {be} marked as missing.")
    return {lead: without_impossible(samples) for lead, samples in found.items()} if count else found


def without_impossible(signal: np.ndarray) -> np.ndarray:
    """Values in mV with NaN where they are infinite or beyond 1 kV."""
    return np.where(np.abs(signal) > IMPOSSIBLE_MV, np.nan, signal)


def note_flat_and_missing(signal: np.ndarray, notes: list[str]) -> None:
    """Refuse a record without any signal, and note flat or incomplete leads."""
    missing = np.isnan(signal)
    if missing.all():
        raise SignalError(
            "The file holds no signal: every sample of every lead is missing.", "Export the ECG again from its source."
        )
    low = np.where(missing, np.inf, signal).min(axis=1)
    high = np.where(missing, -np.inf, signal).max(axis=1)
    flat = ~(high - low >= FLAT_MV)
    if flat.all():
        raise SignalError(
            "All leads are flat; an ECG needs a signal in at least one lead.",
            "Check that the electrodes were connected and that the right section was exported.",
        )
    if flat.any():
        names = [lead for lead, is_flat in zip(LEADS, flat, strict=True) if is_flat]
        notes.append(
            f"{'Lead' if len(names) == 1 else 'Leads'} {listing(names)} {'is' if len(names) == 1 else 'are'} flat."
        )
    counts = missing.sum(axis=1)
    alike = [("Every lead", counts[0])] if counts.min() == counts.max() else []
    for lead, count in alike or zip([f"Lead {lead}" for lead in LEADS], counts, strict=True):
        if count:
            notes.append(f"{lead} has {counted(int(count), 'missing sample')} ({count / signal.shape[1]:.1%}).")


def copies(signal: np.ndarray) -> list[str]:
    """A doubt where chest leads of (12, n) hold the very samples of another lead, which no two electrodes do."""
    moving = [row for row in range(len(LEADS)) if np.nanmax(signal[row], initial=0) > np.nanmin(signal[row], initial=0)]
    alike: dict[bytes, list[int]] = {}
    for row in moving:
        samples = np.where(np.isnan(signal[row]), np.nan, signal[row]) + 0.0  # one bit pattern for each NaN and zero
        alike.setdefault(samples.tobytes(), []).append(row)
    groups = [rows for rows in alike.values() if len(rows) > 1 and max(rows) >= CHEST]
    return [
        f"{listing([LEADS[row] for row in rows])} hold the very same samples: copies of one lead." for rows in groups
    ]


def repeated(signal: np.ndarray, sampling_rate_hz: float) -> list[str]:
    """A doubt where all leads of (12, n) take the very samples of an earlier stretch again.

    Args:
        signal: (12, n) mV, NaN where nothing was recorded.
        sampling_rate_hz: Its rate.
    """
    length = int(REPEATED_S * sampling_rate_hz)
    whole = np.nan_to_num(signal[:, : int(LOOKED_AT_S * sampling_rate_hz)] * NV_PER_MV).astype(np.int64)
    moment = (whole * np.random.default_rng(0).integers(1, 2**31, (len(LEADS), 1))).sum(axis=0)  # one number a moment
    for begin in range(0, len(moment) - length, length):
        probe = moment[begin : begin + length]
        if (np.diff(probe) == 0).mean() > STANDS_STILL:
            continue
        places = np.flatnonzero(moment[begin + 1 : len(moment) - length + 1] == probe[0]) + 1
        lag = next((int(lag) for lag in places if (moment[begin + lag :][:length] == probe).all()), 0)
        if not lag or _is_drawn(whole[:, begin : begin + lag + length], length):
            continue
        differs = np.flatnonzero(moment[begin : len(moment) - lag] != moment[begin + lag :])
        end = begin + int(differs[0]) if len(differs) else len(moment) - lag
        times = [f"{at / sampling_rate_hz:.3g}" for at in (begin + lag, end + lag, begin, end)]
        return [
            f"What is stored from {times[0]} to {times[1]} s is a copy of what is stored from {times[2]} to {times[3]} "
            "s: the recording was filled up, or a part was written twice."
        ]
    return []


def _is_drawn(stretch: np.ndarray, length: int) -> bool:
    """Whether a first piece comes again nearly as it is before it does exactly, or within a beat, as in beats that were
    drawn without noise."""
    if stretch.shape[1] - length <= length / REPEATED_S * LEAST_LAG_S:
        return True
    pieces = np.lib.stride_tricks.sliding_window_view(stretch, length, axis=1)[:, length // 2 : -2]  # (12, lags, n)
    nearest = min(float(np.abs(piece - stretch[:, :length]).max()) for piece in pieces.swapaxes(0, 1))
    return nearest < NEARLY * float(np.ptp(stretch))
