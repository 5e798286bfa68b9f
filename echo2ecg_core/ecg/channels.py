"""From the channels of any ECG file to a twelve-lead record: match names, derive, check, note.

Every format reader hands over `Channels`; everything that is decided about leads, lengths and flat or missing
signals is decided here, once. Limb leads follow Einthoven and Goldberger: III = II - I, aVR = -(I + II) / 2,
aVL = I - II / 2, aVF = II - I / 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from echo2ecg_core.ecg.record import LEADS, EcgRecord, canonical_lead
from echo2ecg_core.errors import SignalError

MIN_DURATION_S = 2.5
MAX_VALUES = 40_000_000  # samples times channels of one recording: 12 leads at 500 Hz for 110 minutes
MIN_RATE_HZ, MAX_RATE_HZ = 50.0, 32_000.0
FLAT_MV = 1e-3
IMPOSSIBLE_MV = 1e6
EIGHT_LEADS = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")


@dataclass
class Channels:
    """One recording as a file holds it.

    Attributes:
        names: The file's own channel names.
        samples_mv: One 1-D array per name, in mV; NaN where a sample is missing.
        sampling_rate_hz: Samples a second, the same for all channels.
        format: Format name for the record.
        notes: What the reader assumed, converted or cropped.
        The remaining fields are those of `EcgRecord`.
    """

    names: Sequence[str]
    samples_mv: Sequence[np.ndarray] | np.ndarray
    sampling_rate_hz: float
    format: str
    notes: list[str] = field(default_factory=list)
    age_years: float | None = None
    sex: str | None = None
    recorded_at: datetime | None = None
    device: str | None = None
    statements: tuple[str, ...] = ()
    device_measurements: dict[str, float] = field(default_factory=dict)
    units: str = "mV"


def listing(names: Sequence[str]) -> str:
    """Names as an enumeration in a sentence: "V1", "V1 and V2", "V1, V2 and V3"."""
    names = [str(name)[:40] for name in names]
    if len(names) > 12:
        names = [*names[:12], f"{len(names) - 12} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def check_size(n_channels: int, n_samples: int) -> None:
    """Refuse a recording whose header claims more than the program will hold in memory.

    Raises:
        SignalError: If channels times samples exceed `MAX_VALUES`.
    """
    if n_channels * n_samples > MAX_VALUES:
        gigabytes = n_channels * n_samples * 8 / 1e9
        raise SignalError(
            f"The file claims {n_channels} channels of {n_samples:,} samples ({gigabytes:,.1f} GB in memory); "
            f"one ECG may have at most {MAX_VALUES:,} values.",
            "Export a shorter section, for example 10 seconds.",
        )


def twelve_lead_record(channels: Channels, source: str) -> EcgRecord:
    """The record made of a file's channels.

    Args:
        channels: What a reader found.
        source: The file's base name.

    Raises:
        SignalError: If leads are missing, the recording is shorter than `MIN_DURATION_S`, its sampling rate is
            impossible, or no lead holds a signal.
    """
    rate = _checked_rate(channels.sampling_rate_hz)
    notes = list(channels.notes)
    found = _standard_leads(channels, notes)
    signal, derived = _complete(found, notes)
    duration_s = signal.shape[1] / rate
    if duration_s < MIN_DURATION_S:
        raise SignalError(
            f"The recording lasts {duration_s:.2g} s; at least {MIN_DURATION_S:g} s are needed.",
            "Choose a longer recording, usually 10 seconds.",
        )
    _note_flat_and_missing(signal, notes)
    return EcgRecord(
        signal_mv=signal, sampling_rate_hz=rate, format=channels.format, source=source, derived_leads=derived,
        notes=tuple(notes), age_years=_plausible_age(channels.age_years), sex=channels.sex,
        recorded_at=channels.recorded_at, device=channels.device, statements=tuple(channels.statements),
        device_measurements=dict(channels.device_measurements), units=channels.units,
    )  # fmt: skip


def _checked_rate(rate_hz: float) -> float:
    rate_hz = float(rate_hz)
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise SignalError(
            f"The sampling rate is {rate_hz:g} Hz; it must lie between {MIN_RATE_HZ:g} and {MAX_RATE_HZ:,.0f} Hz.",
            "Check the sampling rate in the file or the one you gave.",
        )
    return rate_hz


def _plausible_age(age_years: float | None) -> float | None:
    if age_years is None or not 0 <= age_years <= 120:
        return None
    return float(age_years)


def _standard_leads(channels: Channels, notes: list[str]) -> dict[str, np.ndarray]:
    """The file's channels by standard name, cut to one length; extra and repeated channels are dropped and noted."""
    found: dict[str, np.ndarray] = {}
    extra = []
    for name, samples in zip(channels.names, channels.samples_mv, strict=True):
        lead = canonical_lead(name)
        if lead is None or lead in found:
            extra.append(str(name).strip() or "unnamed")
        else:
            found[lead] = np.asarray(samples, dtype=np.float64).ravel()
    if extra:
        what, be = ("channel", "was") if len(extra) == 1 else ("channels", "were")
        notes.append(f"The {what} {listing(extra)} of the file {be} left out.")
    lengths = {len(samples) for samples in found.values()}
    if len(lengths) > 1:
        shortest = min(lengths)
        found = {lead: samples[:shortest] for lead, samples in found.items()}
        notes.append(f"The leads have different lengths; all were cropped to the shortest ({shortest} samples).")
    return found


def _complete(found: dict[str, np.ndarray], notes: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """All twelve leads as (12, n) float64, and the names of those that had to be derived."""
    missing = [lead for lead in LEADS if lead not in found]
    needed = [lead for lead in EIGHT_LEADS if lead not in found]
    if needed:
        have = f"{len(found)} of the 12 leads ({listing(list(found))})" if found else "no standard ECG lead"
        raise SignalError(
            f"The file holds {have}; {listing(needed)} {'is' if len(needed) == 1 else 'are'} missing.",
            "Give a 12-lead ECG, or at least the leads I, II and V1 to V6.",
        )
    one, two = found["I"], found["II"]
    formulas = {
        "III": lambda: two - one, "aVR": lambda: -(one + two) / 2,
        "aVL": lambda: one - two / 2, "aVF": lambda: two - one / 2,
    }  # fmt: skip
    if missing:
        be = "was" if len(missing) == 1 else "were"
        notes.append(f"{listing(missing)} {be} not in the file and {be} derived from leads I and II.")
    rows = [found[lead] if lead in found else formulas[lead]() for lead in LEADS]
    return np.stack(rows), tuple(missing)


def _note_flat_and_missing(signal: np.ndarray, notes: list[str]) -> None:
    """Clear impossible values, refuse a record without any signal, and note flat or incomplete leads."""
    impossible = np.abs(signal) > IMPOSSIBLE_MV
    if impossible.any():
        signal[impossible] = np.nan
        notes.append(f"{int(impossible.sum())} impossible samples (infinite or beyond 1 kV) were marked as missing.")
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
    for lead, count in zip(LEADS, missing.sum(axis=1), strict=True):
        if count:
            notes.append(f"Lead {lead} has {int(count)} missing samples ({count / signal.shape[1]:.1%}).")
