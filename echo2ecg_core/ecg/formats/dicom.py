"""DICOM ECG waveforms (12-lead, general, ambulatory, and ECG channels of hemodynamic objects), parsed by pydicom.

Counts become mV through sensitivity, correction factor and baseline of each channel. The group read is the first
ORIGINAL one with enough leads (others hold median beats). A padding value that the signal itself also takes
(0 is common) marks missing samples only where it stands still, otherwise every such sample is missing.
"""

import io
import logging
import re
import zlib
from collections.abc import Iterator
from datetime import datetime

import numpy as np

from echo2ecg_core.ecg.channels import EIGHT_LEADS, MIN_DURATION_S, Channels, check_size
from echo2ecg_core.ecg.files import MAX_FILE_BYTES, EcgFile, inflates_beyond
from echo2ecg_core.ecg.record import canonical_lead
from echo2ecg_core.ecg.statements import without_people
from echo2ecg_core.ecg.units import judge_unit, mv_per_unit
from echo2ecg_core.errors import ReadError

FORMAT = "DICOM"
MAX_GROUPS = 64
MAX_CHANNELS = 256
DEFLATED = b"1.2.840.10008.1.2.1.99"
PADDING_RUN_S = 0.1
MAX_DICOM_BYTES = 32 * 2**20
# everything else, such as names and identifiers, is skipped while parsing
_KEYWORDS = ["SpecificCharacterSet", "SOPClassUID", "StudyDate", "StudyTime", "AcquisitionDate", "AcquisitionTime",
             "AcquisitionDateTime", "Manufacturer", "ManufacturerModelName", "PatientBirthDate", "PatientSex",
             "PatientAge",
             "WaveformAnnotationSequence", "WaveformSequence"]  # fmt: skip

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


def read(file: EcgFile, sampling_rate_hz: float | None = None) -> Iterator[Channels]:
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
    group, notes = _rhythm_group(list(groups)[:MAX_GROUPS])
    byte_order = ">" if dataset.original_encoding[1] is False else "<"
    names, samples, rate = _channels_of(group, byte_order, notes)
    yield Channels(names, samples, rate, FORMAT, notes, **_facts(dataset))


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


def _lead_name(channel) -> str:
    """The lead of a channel definition by meaning, code or label, else whatever the file calls it."""
    sources = channel.get("ChannelSourceSequence") or []
    texts = [str(source.get("CodeMeaning", "")) for source in sources] + [str(channel.get("ChannelLabel", ""))]
    for text in texts:
        if canonical_lead(text):
            return text
    for source in sources:
        code = str(source.get("CodeValue", ""))
        number = re.fullmatch(r"(?:2:|5\.6\.3-9-)(\d+)", code)
        lead = _LEAD_NUMBERS.get(int(number[1])) if number else canonical_lead(code)
        if lead:
            return lead
    return next((text for text in texts if text.strip()), "unnamed")


def _rhythm_group(groups: list) -> tuple:
    """The group to read, and the notes its choice deserves.

    Median beats and other DERIVED groups are read only when the file marks none as ORIGINAL.
    """
    originals = [group for group in groups if str(group.get("WaveformOriginality", "")).upper() == "ORIGINAL"]
    notes = [] if originals else ["The file marks no waveform as original; the first group with enough leads was read."]
    # the first of the groups with the most of the leads that are needed
    return max(originals or groups, key=lambda group: len(_leads_of(group).intersection(EIGHT_LEADS))), notes


def _leads_of(group) -> set[str | None]:
    definitions = list(group.get("ChannelDefinitionSequence") or [])[:MAX_CHANNELS]
    return {canonical_lead(_lead_name(channel)) for channel in definitions}


def _channels_of(group, byte_order: str, notes: list[str]) -> tuple[list[str], list[np.ndarray], float]:
    """Names, samples in mV and sampling rate of a group."""
    definitions = list(group.ChannelDefinitionSequence)
    rate = float(group.get("SamplingFrequency") or 0)
    counts, n_claimed = _counts(group, len(definitions), byte_order)
    if len(counts) < n_claimed:
        if rate <= 0 or len(counts) < MIN_DURATION_S * rate:
            raise ReadError(
                f"The DICOM waveform is cut short: {n_claimed} samples a channel are announced, "
                f"{len(counts)} are there.",
                "Export the ECG again.",
            )
        notes.append(f"The waveform is cut short: {len(counts)} of {n_claimed} samples a channel could be read.")
    padding = _padding_value(group, counts.dtype)
    names, samples = [], []
    for index, channel in enumerate(definitions):
        names.append(_lead_name(channel))
        samples.append(_millivolts(counts[:, index], channel, padding, rate, notes))
    return names, samples, rate


def _counts(group, n_defined: int, byte_order: str) -> tuple[np.ndarray, int]:
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


def _millivolts(counts: np.ndarray, channel, padding: int | None, rate: float, notes: list[str]) -> np.ndarray:
    """One channel in mV, missing samples NaN."""
    sensitivity = float(channel.get("ChannelSensitivity") or 1.0)
    correction = float(channel.get("ChannelSensitivityCorrectionFactor") or 1.0)
    values = counts.astype(np.float64) * (sensitivity * correction) + float(channel.get("ChannelBaseline") or 0.0)
    units = channel.get("ChannelSensitivityUnitsSequence") or []
    unit = str(units[0].get("CodeValue", "")) if units else ""
    factor = mv_per_unit(unit) if unit else None
    if factor is None:
        factor, note = judge_unit(values[None], rate)
        if canonical_lead(_lead_name(channel)) == "I":
            notes.append(note)
    values *= factor
    if padding is not None:
        values[_is_padding(counts, padding, max(2, round(PADDING_RUN_S * rate)))] = np.nan
    return values


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
