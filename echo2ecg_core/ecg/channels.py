"""From the channels of any ECG file to a twelve-lead record: match names, derive, check, note.

Every format reader hands over `Channels`; everything that is decided about leads, lengths, offsets and flat or missing
signals is decided here, once, with the equations of the limb leads (limb_leads.py) as the judge. What the data settles
becomes a note; what nothing settles becomes a doubt, which pages and terminal show beside the estimate.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from echo2ecg_core.counts import listing
from echo2ecg_core.ecg import limb_leads
from echo2ecg_core.ecg.preprocess import without_offset
from echo2ecg_core.ecg.record import LEADS, EcgRecord, canonical_lead, lead_words
from echo2ecg_core.ecg.stored_samples import (
    CHEST,
    FLAT_MV,
    copies,
    note_flat_and_missing,
    possible,
    repeated,
    without_impossible,
)
from echo2ecg_core.ecg.units import implausible_scale, judge_counts
from echo2ecg_core.errors import ReadError, SignalError

MIN_DURATION_S = 2.5
MAX_VALUES = 40_000_000  # samples times channels of one recording: 12 leads at 500 Hz for 110 minutes
MIN_RATE_HZ, MAX_RATE_HZ = 50.0, 32_000.0
OFFSET_MV = 3.0  # counts of an unknown unit that rest further from zero hold the zero of a converter
SAME_GAIN = 1.01
FIRST_YEAR = 1000  # before it, two digits were meant
LENGTHS_ALIKE = 1.01
_ANY_LEAD = re.compile(
    r"(?:lead |ecg )?-?(?:[vc]\d{1,2}r?|i{1,3}|d[i123]{1,3}|av[rlf]|v?[xyz]|mlii|ch(?:annel)? ?\d{1,2})(_\d+)?",
    re.IGNORECASE,
)
EIGHT_LEADS = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")


@dataclass(frozen=True)
class Told:
    """What the person says about a file that may leave it open.

    Attributes:
        sampling_rate_hz: Samples a second.
        unit: Unit of the values, such as "mV", "µV" or "4.88 µV" (of one count).
        lead_order: Names of the file's columns or rows.
    """

    sampling_rate_hz: float | None = None
    unit: str | None = None
    lead_order: tuple[str, ...] = ()


NOTHING_TOLD = Told()


def lead_order_of(text: str | Sequence[str] | None) -> tuple[str, ...]:
    """The lead order that a person wrote, such as "I,II,III,aVR,aVF,aVL,V1-V6"; "-" stands for a column to leave out.

    Args:
        text: Names separated by commas, semicolons or blanks, or already apart; None or "" for none.

    Raises:
        ReadError: If a name is no lead, or a lead is named twice.
    """
    parts = re.split(r"[,;\s]+", text.strip()) if isinstance(text, str) else [str(part) for part in text or ()]
    names: list[str] = []
    for part in (part for part in parts if part):
        between = re.fullmatch(r"[VvCc](\d)[-–…]+[VvCc]?(\d)", part)
        names += [f"V{n}" for n in range(int(between[1]), int(between[2]) + 1)] if between else [part]
    wrong = [name for name in names if name != "-" and canonical_lead(name) is None]
    leads = tuple(name if name == "-" else canonical_lead(name) or name for name in names)
    twice = [lead for lead in LEADS if leads.count(lead) > 1]
    if wrong or twice:
        what = f"“{wrong[0]}” is no standard lead" if wrong else f"lead {twice[0]} is named twice"
        raise ReadError(f"The lead order cannot be used: {what}.", "Write it like I,II,III,aVR,aVL,aVF,V1-V6.")
    return leads


@dataclass
class Channels:
    """One recording as a file holds it.

    Attributes:
        names: The file's own channel names.
        samples_mv: One 1-D array per name, in mV; NaN where a sample is missing.
        sampling_rate_hz: Samples a second, the same for all channels.
        format: Format name for the record.
        notes: What the reader assumed, converted or cropped.
        doubts: What nothing settled, although numbers depend on it.
        order_assumed: The names are not the file's: the standard order was put in their place.
        unit_judged: The unit is not the file's: it was judged by amplitude.
        told_used: What was used of what the person told: "unit", "leads".
        counts_per_mv: The gain of each channel where the file holds counts.
        The remaining fields are those of `EcgRecord`.
    """

    names: Sequence[str]
    samples_mv: Sequence[np.ndarray] | np.ndarray
    sampling_rate_hz: float
    format: str
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    order_assumed: bool = False
    unit_judged: bool = False
    told_used: frozenset[str] = frozenset()
    counts_per_mv: Sequence[float] | None = None
    age_years: float | None = None
    sex: str | None = None
    recorded_at: datetime | None = None
    device: str | None = None
    statements: tuple[str, ...] = ()
    device_measurements: dict[str, float] = field(default_factory=dict)
    units: str = "mV"


def named_as_told(channels: Channels, lead_order: tuple[str, ...]) -> Channels:
    """The channels under the names of leads in their own names, or where there are none those that a person gives.

    Raises:
        SignalError: If the person names more or fewer leads than the file has channels.
    """
    if not channels.order_assumed:
        channels = replace(channels, names=lead_words(channels.names))
    own = {canonical_lead(name) for name in channels.names} - {None}
    if not lead_order or channels.order_assumed or "leads" in channels.told_used or len(own) >= len(EIGHT_LEADS):
        return channels
    if len(lead_order) != len(channels.names):
        raise SignalError(
            f"The given order names {len(lead_order)} leads, but the file holds {len(channels.names)} channels.",
            "Name every channel, with - for one to leave out.",
        )
    return replace(channels, names=lead_order, told_used=channels.told_used | {"leads"})


def are_enough(names: Sequence[str]) -> bool:
    """Whether channels of these names hold all leads, or those of which the others follow."""
    found = {canonical_lead(name) for name in lead_words(names)}
    return len(found & set(limb_leads.LIMB_LEADS)) >= 2 and set(EIGHT_LEADS[2:]) <= found


def as_written(names: Sequence[str]) -> str:
    """Words of a file as an enumeration: in quotation marks, by which an import knows what may name a person, unless
    they are those of leads."""
    return listing([text if _ANY_LEAD.fullmatch(text) else f"“{text}”" for text in (str(name)[:40] for name in names)])


def as_a_print(how: str) -> SignalError:
    """The refusal of a file whose leads were recorded a few at a time.

    Args:
        how: What of the file is apart, "one group after the other".
    """
    return SignalError(
        f"The file holds its leads a few at a time, {how} (the layout of a print, such as 3x4); all leads of the same "
        "moment are needed.",
        "Export the ECG with all 12 leads recorded together (10 s rhythm).",
    )


def more_than_announced(n_stored: float, n_announced: float) -> list[str]:
    """The note of a file that holds more samples than its header announces, which alone are read; [] where it does not.

    Args:
        n_stored: Samples of a lead in the file.
        n_announced: Samples of a lead by its header.
    """
    if n_stored <= LENGTHS_ALIKE * n_announced or not n_announced:
        return []
    return [f"The file holds more than its header announces; the announced {n_announced / n_stored:.0%} were read."]


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
    channels = replace(channels, notes=list(channels.notes), doubts=list(channels.doubts))
    if channels.order_assumed:
        channels = _in_fitting_order(channels)
    notes = channels.notes
    found = possible(_standard_leads(channels, notes, channels.doubts), notes)
    signal, derived = _complete(found, notes)
    duration_s = signal.shape[1] / rate
    if duration_s < MIN_DURATION_S:
        raise SignalError(
            f"The recording lasts {duration_s:.2g} s; at least {MIN_DURATION_S:g} s are needed.",
            "Choose a longer recording, usually 10 seconds.",
        )
    signal, units = _check_limb_leads(signal, derived, channels)
    channels.doubts += copies(signal)
    channels.doubts += repeated(signal, rate)
    if channels.unit_judged:
        _take_offsets_off(signal, notes)
    if units == "mV":
        is_told = not channels.unit_judged and "unit" not in channels.told_used
        channels.doubts += implausible_scale(signal, rate, is_told)
    note_flat_and_missing(signal, notes)
    recorded_at = _plausible_moment(channels.recorded_at, notes)
    return EcgRecord(
        signal_mv=signal, sampling_rate_hz=rate, format=channels.format, source=source, derived_leads=derived,
        notes=tuple(notes), doubts=tuple(channels.doubts), age_years=_plausible_age(channels.age_years),
        sex=channels.sex, recorded_at=recorded_at, device=channels.device,
        statements=tuple(channels.statements), device_measurements=dict(channels.device_measurements), units=units,
    )  # fmt: skip


def _in_fitting_order(channels: Channels) -> Channels:
    """Unnamed channels in the order in which the limb-lead equations hold; a doubt where they hold in none."""
    n = len(channels.names)
    if n != len(LEADS):
        channels.doubts.append(f"The order {', '.join(channels.names)} of the leads is assumed.")
        return channels
    signal = np.stack([np.asarray(samples, dtype=np.float64) for samples in channels.samples_mv])
    cleared = without_impossible(signal)
    standard = limb_leads.misfits(cleared, channels.sampling_rate_hz)
    if standard and max(standard.values()) <= limb_leads.TOLERANCE:
        return channels
    order = limb_leads.best_order(cleared, channels.sampling_rate_hz)
    if order is None:
        channels.doubts.append(
            "The order of the leads is assumed, and the equations of the limb leads hold in no order."
        )
        return channels
    chest = [column for column in range(n) if column not in order.columns]
    columns = [*order.columns, *chest]
    names = [LEADS[columns.index(column)] for column in range(n)]
    if order.negative_avr:
        signal[order.columns[3]] *= -1
    turned = " (aVR upside down)" if order.negative_avr else ""
    channels.notes.append(
        f"The equations of the limb leads do not hold in this order; they hold in the order {', '.join(names)}"
        f"{turned}, which was taken (chest leads in the file's order)."
    )
    if chest[-1] - chest[0] > 5 or list(order.columns) == sorted(order.columns, reverse=True):
        channels.doubts.append(
            "The limb leads lie in an unusual order, so the chest leads may, too; that these run from V1 to V6 is "
            "assumed."
        )
    return replace(channels, names=names, samples_mv=signal)


def _check_limb_leads(signal: np.ndarray, derived: Sequence[str], channels: Channels) -> tuple[np.ndarray, str]:
    """The leads as (12, n) and their unit, checked by the equations of the limb leads; what does not fit is doubted."""
    rate = channels.sampling_rate_hz
    found = limb_leads.misfits(signal, rate)
    if not found or max(found.values()) <= limb_leads.TOLERANCE:
        channels.doubts += limb_leads.broken_for_a_while(signal, rate)
        return signal, channels.units
    wrong = limb_leads.told(found)
    counts = _as_counts(channels)
    if counts is not None and max(limb_leads.misfits(counts, rate).values(), default=1.0) <= limb_leads.TOLERANCE:
        factor, name = judge_counts(counts, rate)
        channels.notes.append(
            f"The header scales each lead by itself, so that {wrong}; the stored counts fit each other and were taken "
            f"as {name} in all leads."
        )
        return counts * factor, channels.units
    odd = limb_leads.odd_one_out(signal, rate, [row for row in range(CHEST) if LEADS[row] not in derived])
    if odd is not None and odd.factor is not None:
        return _with_odd_lead_scaled(signal, odd, derived, channels), channels.units
    order = limb_leads.best_order(signal, rate)
    if order is not None and order.columns == tuple(range(CHEST)):
        if order.negative_avr:
            signal[3] *= -1
            channels.notes.append("Lead aVR is stored upside down; it was turned.")
        return signal, channels.units
    if order is not None:
        fitting = ", ".join(LEADS[column] for column in order.columns)
        channels.doubts.append(
            f"The limb leads do not fit their names: {wrong}. They would fit if {fitting} were I, II, III, aVR, aVL "
            "and aVF."
        )
        return signal, channels.units
    if odd is None and limb_leads.own_scales(signal, rate) is not None:
        channels.doubts.append(
            f"Every lead is scaled by itself: {wrong}. Amplitudes are not comparable between leads, and no voltage "
            "criterion holds."
        )
        return signal, "normalised"
    which = "A lead" if odd is None else f"The others agree with one another, so lead {LEADS[odd.row]}"
    channels.doubts.append(
        f"The limb leads contradict each other: {wrong}. {which} may be misnamed, damaged or rescaled."
    )
    return signal, channels.units


def _with_odd_lead_scaled(
    signal: np.ndarray, odd: limb_leads.OddLead, derived: Sequence[str], channels: Channels
) -> np.ndarray:
    """The leads with the one that is a multiple of what the other limb leads say in their scale, which is told."""
    signal[odd.row] /= odd.factor
    channels.notes.append(odd.note)
    channels.doubts += [odd.doubt] if odd.doubt else []
    return _complete({lead: row for lead, row in zip(LEADS, signal, strict=True) if lead not in derived}, [])[0]


def _as_counts(channels: Channels) -> np.ndarray | None:
    """The leads in the counts that the file stores, (12, n); None where the file has one gain or none, or one lead with
    another gain than the rest."""
    gains = channels.counts_per_mv
    if gains is None or not min(gains) > 0:
        return None
    ratios = np.asarray(gains) / np.median(gains)
    if np.sum((ratios > SAME_GAIN) | (ratios < 1 / SAME_GAIN)) < 2:
        return None
    counts = [without_impossible(samples) * gain for samples, gain in zip(channels.samples_mv, gains, strict=True)]
    return _complete(_standard_leads(replace(channels, samples_mv=counts), [], []), [])[0]


def _take_offsets_off(signal: np.ndarray, notes: list[str]) -> None:
    """Take off the constant of leads that rest far from zero, as counts around 1024 do."""
    centred = without_offset(signal)
    offsets = np.array([np.nan if np.isnan(lead).all() else np.nanmedian(lead) for lead in signal - centred])
    far = np.flatnonzero(np.abs(offsets) > OFFSET_MV)
    if far.size:
        signal[far] = signal[far] - offsets[far, None]
        low, high = offsets[far].min(), offsets[far].max()
        size = f"{low:.3g} mV" if f"{low:.3g}" == f"{high:.3g}" else f"{low:.3g} to {high:.3g} mV"
        notes.append(f"A constant of {size} was taken off {listing([LEADS[row] for row in far])}.")


def _checked_rate(rate_hz: float) -> float:
    rate_hz = float(rate_hz)
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise SignalError(
            f"The sampling rate is {rate_hz:g} Hz; it must lie between {MIN_RATE_HZ:g} and {MAX_RATE_HZ:,.0f} Hz.",
            "Check the sampling rate in the file or the one you gave.",
        )
    return rate_hz


def _plausible_moment(moment: datetime | None, notes: list[str]) -> datetime | None:
    """The date of a recording; one whose year was written in two digits is left out and noted. Years to come stay: data
    sets without identities shift their dates into them."""
    if moment is not None and moment.year < FIRST_YEAR:
        notes.append("The year of the recording is not written in four digits in the file; its date was left out.")
        return None
    return moment


def _plausible_age(age_years: float | None) -> float | None:
    if age_years is None or not 0 <= age_years <= 120:
        return None
    return float(age_years)


def _standard_leads(channels: Channels, notes: list[str], doubts: list[str]) -> dict[str, np.ndarray]:
    """The file's channels by standard name, cut to one length; extra and repeated channels are dropped and noted, a
    lead that stands there twice with two signals is doubted."""
    found: dict[str, np.ndarray] = {}
    extra, twice = [], []
    for name, samples in zip(channels.names, channels.samples_mv, strict=True):
        lead, samples = canonical_lead(name), np.asarray(samples, dtype=np.float64).ravel()
        if lead is not None and lead not in found:
            found[lead] = samples
            continue
        extra.append(str(name).strip() or "unnamed")
        again = canonical_lead(re.sub(r"_\d+$", "", str(name)))  # as parsers number what is there twice
        if again and again in found and not _alike(found[again], samples):
            twice.append(again)
    if twice:
        be = "Lead {} is" if len(twice) == 1 else "Leads {} are"
        doubts.append(f"{be.format(listing(twice))} in the file twice, with different signals; the first was taken.")
    if extra:
        what, be = ("channel", "was") if len(extra) == 1 else ("channels", "were")
        notes.append(f"The {what} {as_written(extra)} of the file {be} left out.")
    lengths = {len(samples) for samples in found.values()}
    if len(lengths) > 1:
        shortest = min(lengths)
        found = {lead: samples[:shortest] for lead, samples in found.items()}
        notes.append(f"The leads have different lengths; all were cropped to the shortest ({shortest} samples).")
        if max(lengths) > LENGTHS_ALIKE * shortest:
            doubts.append(f"{notes[-1]} That they begin together is assumed.")
    return found


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and bool(np.allclose(one, other, atol=FLAT_MV, equal_nan=True))


def _complete(found: dict[str, np.ndarray], notes: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """All twelve leads as (12, n) float64, and the names of those that had to be derived."""
    missing = [lead for lead in LEADS if lead not in found]
    found, source = _with_i_and_ii(found)
    needed = [lead for lead in EIGHT_LEADS if lead not in found]
    if needed:
        have = f"{len(found)} of the 12 leads ({listing(list(found))})" if found else "no standard ECG lead"
        raise SignalError(
            f"The file holds {have}; {listing(needed)} {'is' if len(needed) == 1 else 'are'} missing.",
            "Give a 12-lead ECG, or at least the leads I, II and V1 to V6"
            + ("." if found else "; where the file names no leads, give their order."),
        )
    if missing:
        be = "was" if len(missing) == 1 else "were"
        notes.append(f"{listing(missing)} {be} not in the file and {be} derived from leads {source}.")
    computed = {
        lead: a * found["I"] + b * found["II"] for lead, (a, b) in limb_leads.FORMULAS.items() if lead in missing
    }
    rows = [(computed | found)[lead] for lead in LEADS]
    return np.stack(rows), tuple(missing)


def _with_i_and_ii(found: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], str]:
    """The leads with I and II, which any two limb leads tell, and from which leads others are derived, in words."""
    two = [lead for lead in limb_leads.LIMB_LEADS if lead in found][:2]
    if len(two) < 2 or two == ["I", "II"]:
        return found, "I and II"
    one_and_two = np.linalg.inv([limb_leads.OF_I_AND_II[lead] for lead in two]) @ np.stack(
        [found[lead] for lead in two]
    )
    return dict(zip(("I", "II"), one_and_two, strict=True)) | found, listing(two)
