"""DICOM ECG waveforms (12-lead, general, ambulatory, and ECG channels of hemodynamic objects), parsed by pydicom.

Counts become mV through sensitivity, correction factor and baseline of each channel. The group read is the first
ORIGINAL one with enough leads (others hold median beats), joined with groups of the same moment that hold the others.
A padding value that the signal itself also takes (0 is common) marks missing samples only where it stands still.
"""

import io
import logging
import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Literal

import numpy as np

from echo2ecg_core.dicom_numbers import settle_commas
from echo2ecg_core.ecg.channels import (
    EIGHT_LEADS,
    MAX_RATE_HZ,
    MIN_DURATION_S,
    MIN_RATE_HZ,
    NOTHING_TOLD,
    Channels,
    Told,
    as_a_print,
    check_size,
    more_than_announced,
)
from echo2ecg_core.ecg.files import MAX_FILE_BYTES, EcgFile, inflates_beyond
from echo2ecg_core.ecg.formats.array_layout import without_missing_marks
from echo2ecg_core.ecg.formats.rates import header_rate, is_possible
from echo2ecg_core.ecg.record import canonical_lead
from echo2ecg_core.ecg.statements import without_people
from echo2ecg_core.ecg.units import factors_to_mv, mv_per_unit
from echo2ecg_core.errors import ReadError

FORMAT = "DICOM"
ByteOrder = Literal["<", ">"]
MAX_GROUPS = 64
MAX_CHANNELS = 256
DEFLATED = b"1.2.840.10008.1.2.1.99"
PADDING_RUN_S = 0.1
SKEW_S = 0.005
PRINT_S = 5.0  # a column of a 3x4 print lasts 2.5 s
MAX_DICOM_BYTES = 32 * 2**20
# everything else, such as names and identifiers, is skipped while parsing
_KEYWORDS = ["SpecificCharacterSet", "SOPClassUID", "StudyDate", "StudyTime", "AcquisitionDate", "AcquisitionTime",
             "AcquisitionDateTime", "Manufacturer", "ManufacturerModelName", "PatientBirthDate", "PatientSex",
             "PatientAge",
             "WaveformAnnotationSequence", "WaveformSequence"]  # fmt: skip
_SIZES = (1e-12, 1e12)
_NUMBERS = {
    "SamplingFrequency": (MIN_RATE_HZ, MAX_RATE_HZ), "MultiplexGroupTimeOffset": _SIZES, "ChannelSensitivity": _SIZES,
    "ChannelSensitivityCorrectionFactor": _SIZES, "ChannelBaseline": _SIZES, "ChannelTimeSkew": _SIZES,
    "ChannelSampleSkew": _SIZES, "NumericValue": _SIZES,
}  # fmt: skip
_NUMBERS_IN = ("WaveformSequence", "ChannelDefinitionSequence", "WaveformAnnotationSequence")

# lead numbers shared by ISO/IEEE 11073 (2:n) and SCP-ECG (5.6.3-9-n)
_LEAD_NUMBERS = {1: "I", 2: "II", 3: "V1", 4: "V2", 5: "V3", 6: "V4", 7: "V5", 8: "V6",
                 61: "III", 62: "aVR", 63: "aVL", 64: "aVF"}  # fmt: skip
_MEASUREMENTS = {
    "rr interval": "rr_ms", "pr interval": "pr_ms", "qrs duration": "qrs_ms", "qt interval": "qt_ms",
    "qtc interval": "qtc_ms", "p axis": "p_axis_deg", "qrs axis": "qrs_axis_deg", "t axis": "t_axis_deg",
    "ventricular heart rate": "heart_rate_bpm", "ventricular rate": "heart_rate_bpm", "heart rate": "heart_rate_bpm",
}  # fmt: skip


def recognises(head: bytes) -> bool:
    """Whether a file has DICOM's magic word, or begins with a data element of group 0002 or 0008 without it."""
    if head[128:132] == b"DICM":
        return True
    explicit = re.match(rb"[\x02\x08]\x00[\x00-\x18]\x00[A-Z]{2}", head)
    implicit = re.match(rb"\x08\x00[\x00-\x18]\x00.[\x00-\x01]\x00\x00[0-9A-Z]", head, re.DOTALL)
    return bool(explicit or implicit)


def read(file: EcgFile, told: Told = NOTHING_TOLD) -> Iterator[Channels]:
    """The rhythm waveform of a DICOM file.

    Raises:
        ReadError: If it is another kind of DICOM object (an image, say) or unpacks to too much.
        SignalError: If it claims more than fits in memory.
    """
    import pydicom

    logging.getLogger("pydicom").setLevel(logging.ERROR)  # its warnings quote values of the file
    content = file.read(MAX_DICOM_BYTES)
    _check_inflation(file, content)
    dataset = pydicom.dcmread(io.BytesIO(content), force=True, stop_before_pixels=True, specific_tags=_KEYWORDS)
    groups = dataset.get("WaveformSequence")
    if not groups:
        kind = getattr(dataset.get("SOPClassUID"), "name", "") or "unknown object"
        if "ECG" in kind or "Waveform" in kind:
            raise ReadError(
                f"“{file.name}” is a DICOM ECG whose waveform is missing: the file is damaged or cut short.",
                "Export or copy the file again from its source.",
            )
        raise ReadError(
            f"“{file.name}” is a DICOM file without an ECG waveform ({str(kind)[:60]}).",
            "Give a DICOM ECG (Modality ECG), not an image or a report.",
        )
    byte_order: ByteOrder = ">" if dataset.original_encoding[1] is False else "<"
    notes = settle_commas(dataset, _NUMBERS, _NUMBERS_IN, dispensable=("NumericValue",))
    found = [_Group(group, byte_order) for group in list(groups)[:MAX_GROUPS]]
    if not any(is_possible(group.rate) for group in found):
        rate = header_rate(found[0].rate, told.sampling_rate_hz, file.name, notes)
        found = [_Group(group.group, byte_order, rate) for group in found]
    channels = _joined(found, told)
    channels.notes += notes
    yield replace(channels, **_facts(dataset))


def _check_inflation(file: EcgFile, content: bytes) -> None:
    """Refuse a deflated data set that would unpack to more than a file may have."""
    if content[128:132] != b"DICM" or DEFLATED not in content[132:1024]:
        return
    start = 144 + int.from_bytes(content[140:144], "little")
    if inflates_beyond(content[start:], -zlib.MAX_WBITS, MAX_FILE_BYTES) > MAX_FILE_BYTES:
        raise ReadError(
            f"“{file.name}” would unpack to more than {MAX_FILE_BYTES // 2**20} MB.",
            "Give a DICOM file with a single ECG.",
        )


def _lead_names(channel) -> list[str]:
    """What a channel definition calls its lead by meaning, label and code; else whatever the file calls it."""
    sources = channel.get("ChannelSourceSequence") or []
    texts = [str(source.get("CodeMeaning", "")) for source in sources] + [str(channel.get("ChannelLabel", ""))]
    found = [text for text in texts if canonical_lead(text)]
    for source in sources:
        code = str(source.get("CodeValue", ""))
        number = re.fullmatch(r"(?:2:|5\.6\.3-9-)(\d+)", code)
        lead = _LEAD_NUMBERS.get(int(number[1])) if number else canonical_lead(code)
        found += [lead] if lead else []
    return found or [next((text for text in texts if text.strip()), "unnamed")]


def _misnamed(definitions: list) -> list[str]:
    """A doubt where meaning, label and code of a channel name different leads."""
    named = [list(dict.fromkeys(map(canonical_lead, _lead_names(channel)))) for channel in definitions]
    twice = [leads for leads in named if len(leads) > 1]
    if not twice:
        return []
    first, other = twice[0][:2]
    return [f"{len(twice)} channels are named as two leads each (the first as {first} and {other}); {first} was taken."]


def _apart(definitions: list, rate: float) -> list[str]:
    """A doubt where the leads were not recorded at the same moment."""
    skews = [
        float(channel.get("ChannelTimeSkew") or 0) + float(channel.get("ChannelSampleSkew") or 0) / (rate or 1.0)
        for channel in definitions
    ]
    apart_s = max(skews, default=0.0) - min(skews, default=0.0)
    if apart_s <= SKEW_S:
        return []
    return [f"The leads begin up to {apart_s * 1000:.0f} ms after one another; they were read as of one moment."]


class _Group:
    """A multiplex group with what decides whether it is read: its leads, length and whether it is as recorded."""

    def __init__(self, group, byte_order: ByteOrder, told_hz: float | None = None):
        self.group, self.byte_order = group, byte_order
        self.definitions = list(group.get("ChannelDefinitionSequence") or [])[:MAX_CHANNELS]
        self.names = [_lead_names(channel)[0] for channel in self.definitions]
        leads = map(canonical_lead, self.names)
        self.leads = {lead for lead in leads if lead is not None}
        self.rate = told_hz or float(group.get("SamplingFrequency") or 0)
        self.duration_s = int(group.get("NumberOfWaveformSamples") or 0) / self.rate if self.rate > 0 else 0.0
        self.moment = (self.rate, self.duration_s, float(group.get("MultiplexGroupTimeOffset") or 0))
        self.is_original = str(group.get("WaveformOriginality", "")).upper() == "ORIGINAL"


def _joined(groups: list[_Group], told: Told) -> Channels:
    """The leads of the group that has most of those needed, with those that lie in other groups of its length.

    Median beats and other DERIVED groups are read only when the file marks none as ORIGINAL.
    """
    notes: list[str] = []
    originals = [group for group in groups if group.is_original]
    if not originals:
        notes.append("The file marks no waveform as original; the first group with enough leads was read.")
    groups = _with_all_leads(originals, groups, notes)
    long_enough = [group for group in groups if group.duration_s >= MIN_DURATION_S] or groups
    # the first of the groups with the most of the leads that are needed
    main = max(long_enough, key=lambda group: len(group.leads.intersection(EIGHT_LEADS)))
    chosen, have = [main], set(main.leads)
    for group in long_enough:
        if group is not main and group.leads - have and group.moment == main.moment:
            chosen.append(group)
            have |= group.leads
    in_pieces = len(chosen) > 2 and main.duration_s < PRINT_S  # limb and chest leads may lie apart, columns may not
    _refuse_print(have, [group for group in long_enough if group not in chosen], in_pieces)
    like_it = [g for g in long_enough if g not in chosen and set(EIGHT_LEADS) <= have & g.leads]
    if like_it:
        notes.append(f"{len(like_it) + 1} waveforms of the file hold these leads; the first was read.")
    if len(chosen) > 1:
        notes.append(f"{len(chosen)} groups of the same length were joined.")
    return _channels_of(chosen, notes, told)


def _with_all_leads(originals: list[_Group], groups: list[_Group], notes: list[str]) -> list[_Group]:
    """The original groups; all of them where only a derived one is an ECG."""
    needed = set(EIGHT_LEADS)
    whole = any(needed <= group.leads and group.duration_s >= MIN_DURATION_S for group in groups)
    if originals and whole and not needed <= set().union(*(group.leads for group in originals)):
        notes.append("No original waveform of the file holds all leads; a derived one was read.")
        return groups
    return originals or groups


def _refuse_print(have: set[str], others: list[_Group], in_pieces: bool) -> None:
    """Refuse a file whose leads were recorded one group after the other, as a print of 3 rows and 4 columns shows them.

    Raises:
        SignalError: If leads that are needed lie in groups of another time only.
    """
    needed = set(EIGHT_LEADS) - have
    if in_pieces or needed and needed <= set().union(*(group.leads for group in others)):
        raise as_a_print("one group after the other")


def _channels_of(groups: list[_Group], notes: list[str], told: Told) -> Channels:
    """Channels in mV of groups of one moment; one factor for all channels that name no unit, in whichever group."""
    rate = groups[0].rate
    definitions = [channel for group in groups for channel in group.definitions]
    samples = [samples for group in groups for samples in _samples_of(group, notes)]
    scale = factors_to_mv([_unit_of(channel) for channel in definitions], samples, rate, told.unit)
    doubts = [*_misnamed(definitions), *_apart(definitions, rate), *_two_units(definitions)]
    notes += [*scale.notes, *doubts]
    return Channels(
        [name for group in groups for name in group.names],
        [one * factor for one, factor in zip(samples, scale.values, strict=True)], rate, FORMAT, notes,
        scale.doubts + doubts, unit_judged=scale.judged, told_used=scale.told_used,
    )  # fmt: skip


def _samples_of(group: _Group, notes: list[str]) -> list[np.ndarray]:
    """The channels of a group in the units of their sensitivities; NaN for padding and marks of missing samples."""
    rate = group.rate
    counts, n_claimed = _counts(group.group, len(group.definitions), group.byte_order)
    if len(counts) < n_claimed:
        if rate <= 0 or len(counts) < MIN_DURATION_S * rate:
            raise ReadError(
                f"The DICOM waveform is cut short: {n_claimed} samples a channel are announced, "
                f"{len(counts)} are there.",
                "Export the ECG again.",
            )
        notes.append(f"The waveform is cut short: {len(counts)} of {n_claimed} samples a channel could be read.")
    n_stored = len(group.group.WaveformData) / (counts.dtype.itemsize * max(1, counts.shape[1]))
    notes += more_than_announced(n_stored, n_claimed)
    padding = _padding_value(group.group, counts.dtype)
    counts = _signed(counts, group.definitions, notes)
    shortest_run = max(2, round(PADDING_RUN_S * rate))
    values = counts.T.astype(np.float64)  # (channels, n)
    if padding is None:
        values = without_missing_marks(values, notes)
    else:
        values[np.array([_is_padding(channel, padding, shortest_run) for channel in counts.T])] = np.nan
    return [_scaled(one, channel) for one, channel in zip(values, group.definitions, strict=True)]


def _signed(counts: np.ndarray, definitions: list, notes: list[str]) -> np.ndarray:
    """Counts whose sign was kept in fewer bits than are allocated (12 of 16), as numbers with a sign."""
    stored = {int(channel.get("WaveformBitsStored") or 0) for channel in definitions}
    bits = stored.pop() if len(stored) == 1 else 0
    if counts.dtype.kind != "i" or not 1 < bits < 8 * counts.dtype.itemsize or not counts.size:
        return counts
    if counts.min() < 0 or counts.max() < 2 ** (bits - 1) or counts.max() >= 2**bits:
        return counts
    notes.append(f"The sign of the samples was stored in {bits} bits; it was restored.")
    return np.where(counts >= 2 ** (bits - 1), counts - 2**bits, counts).astype(counts.dtype)


def _counts(group, n_defined: int, byte_order: ByteOrder) -> tuple[np.ndarray, int]:
    """The stored numbers as (n, channels) and how many samples the group announces."""
    from pydicom.waveforms.numpy_handler import WAVEFORM_DTYPES

    n_channels, n_claimed = int(group.NumberOfWaveformChannels), int(group.NumberOfWaveformSamples)
    if n_channels != n_defined:
        raise ReadError(
            f"The DICOM waveform announces {n_channels} channels and describes {n_defined}.", "Export the ECG again."
        )
    check_size(n_channels, n_claimed)
    kind = (int(group.WaveformBitsAllocated), str(group.WaveformSampleInterpretation))
    if kind not in WAVEFORM_DTYPES or kind[1] in ("MB", "AB"):
        raise ReadError(
            f"The DICOM waveform stores its samples as {kind[0]}-bit {kind[1][:8]}, which is not supported.",
            "Export the ECG with 16-bit samples (SS).",
        )
    dtype = np.dtype(WAVEFORM_DTYPES[kind]).newbyteorder(byte_order)
    data = group.WaveformData
    n_stored = min(n_claimed, len(data) // (dtype.itemsize * n_channels))
    counts = np.frombuffer(data, dtype=dtype, count=n_stored * n_channels).reshape(n_stored, n_channels)
    return counts, n_claimed


def _padding_value(group, dtype: np.dtype) -> int | None:
    raw = group.get("WaveformPaddingValue")
    if isinstance(raw, bytes) and len(raw) >= dtype.itemsize:
        return int(np.frombuffer(raw[: dtype.itemsize], dtype=dtype)[0])
    return int(raw) if isinstance(raw, int) else None


def _scaled(counts: np.ndarray, channel) -> np.ndarray:
    """One channel in its own unit."""
    sensitivity = float(channel.get("ChannelSensitivity") or 1.0)
    correction = float(channel.get("ChannelSensitivityCorrectionFactor") or 1.0)
    return counts * (sensitivity * correction) + float(channel.get("ChannelBaseline") or 0.0)


def _unit_of(channel) -> str:
    """The unit of a channel's sensitivity by code, else by meaning, else what stands in its place; "" without any, and
    without a sensitivity."""
    correction = channel.get("ChannelSensitivityCorrectionFactor")
    if not channel.get("ChannelSensitivity") or (correction is not None and not correction):
        return ""
    units = channel.get("ChannelSensitivityUnitsSequence") or []
    texts = [str(units[0].get(keyword) or "") for keyword in ("CodeValue", "CodeMeaning")] if units else []
    voltages = (text for text in texts if mv_per_unit(text) is not None)
    return next(voltages, next((text for text in texts if text.strip()), ""))


def _two_units(definitions: list) -> list[str]:
    """A doubt where code and meaning of a channel's unit are two units."""
    for channel in definitions:
        units = channel.get("ChannelSensitivityUnitsSequence") or []
        told = [str(units[0].get(keyword) or "") for keyword in ("CodeValue", "CodeMeaning")] if units else []
        if len({factor for text in told if (factor := mv_per_unit(text)) is not None}) > 1:
            return ["The unit of the leads has one code and another meaning; that of the code was taken."]
    return []


def _is_padding(counts: np.ndarray, padding: int, shortest_run: int) -> np.ndarray:
    """Which samples are padding: all equal ones, or only still stretches when the signal passes the value too."""
    equal = counts == padding
    signal = counts[~equal]
    if not equal.any() or not signal.size or not signal.min() < padding < signal.max():
        return equal
    edges = np.flatnonzero(np.diff(np.concatenate(([0], equal.view(np.int8), [0]))))
    still = np.zeros_like(equal)
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        still[start:stop] = stop - start >= shortest_run
    return still


def _facts(dataset) -> dict:
    """What the data set tells about patient and recording, without names, identifiers or dates of birth."""
    recorded_at = _moment(
        dataset.get("AcquisitionDateTime")
        or f"{dataset.get('AcquisitionDate') or dataset.get('StudyDate') or ''}"
        f"{dataset.get('AcquisitionTime') or dataset.get('StudyTime') or ''}"
    )
    age = re.fullmatch(r"(\d{3})([DWMY])", str(dataset.get("PatientAge") or "").strip())
    born = _moment(dataset.get("PatientBirthDate"))
    age_years = None
    if age:
        age_years = int(age[1]) / {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}[age[2]]
    elif born and recorded_at:
        age_years = int((recorded_at - born).days / 365.25)
    makers = [str(dataset.get(keyword) or "").strip() for keyword in ("Manufacturer", "ManufacturerModelName")]
    device = " ".join(text[:60] for text in makers if text and text.lower() != "unknown")
    statements, measurements = _annotations(dataset)
    return {"recorded_at": recorded_at, "age_years": age_years, "device": device or None,
            "sex": {"M": "male", "F": "female"}.get(str(dataset.get("PatientSex") or "").strip().upper()),
            "statements": statements, "device_measurements": measurements}  # fmt: skip


def _moment(text) -> datetime | None:
    digits = re.match(r"(\d{8})(\d{6})?", str(text or ""))
    if not digits:
        return None
    try:
        return datetime.strptime(digits[1] + (digits[2] or "000000"), "%Y%m%d%H%M%S")
    except ValueError:
        return None


def _annotations(dataset) -> tuple[tuple[str, ...], dict[str, float]]:
    """The device's statements and global measurements."""
    statements, measurements = [], {}
    for annotation in list(dataset.get("WaveformAnnotationSequence") or [])[:500]:
        text = str(annotation.get("UnformattedTextValue") or "").strip()
        if text:
            statements.append(text)
        concepts = annotation.get("ConceptNameCodeSequence") or []
        name = str(concepts[0].get("CodeMeaning", "")).strip().lower() if concepts else ""
        value = annotation.get("NumericValue")
        field = _MEASUREMENTS.get(name.removesuffix(" global"))
        if field and value not in (None, "") and field not in measurements:
            measurements[field] = float(value[0] if isinstance(value, list | tuple) else value)
    if "heart_rate_bpm" not in measurements and measurements.get("rr_ms", 0) > 0:
        measurements["heart_rate_bpm"] = round(60_000 / measurements["rr_ms"])
    return without_people(statements), measurements
