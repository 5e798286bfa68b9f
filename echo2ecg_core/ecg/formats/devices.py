"""What ecgdatakit decodes, for all the formats that it decodes (each has a file of its own).

ecgdatakit rounds sampling rates to whole Hz; where a file gives the exact one that is used. Philips files end with a
calibration pulse after 10 s, which is cut off.
"""

import tempfile

import numpy as np

from echo2ecg_core.ecg.channels import NOTHING_TOLD, Channels, Told
from echo2ecg_core.ecg.files import EcgFile
from echo2ecg_core.ecg.formats.array_layout import without_missing_marks
from echo2ecg_core.ecg.record import canonical_lead
from echo2ecg_core.ecg.statements import without_people
from echo2ecg_core.ecg.units import factors_to_mv, is_count_size, mv_per_unit
from echo2ecg_core.errors import ReadError, SignalError

MAX_BINARY_BYTES = 32 * 2**20
PHILIPS_DURATION_S = 10.0
_MEASUREMENTS = {
    "heart_rate": "heart_rate_bpm", "rr_interval": "rr_ms", "pr_interval": "pr_ms", "qrs_duration": "qrs_ms",
    "qt_interval": "qt_ms", "qtc_bazett": "qtc_bazett_ms", "qtc_fridericia": "qtc_fridericia_ms",
    "p_axis": "p_axis_deg", "qrs_axis": "qrs_axis_deg", "t_axis": "t_axis_deg",
}  # fmt: skip
_QTC_ANNOTATIONS = ("QTCorrected", "qtc", "MDC_ECG_TIME_PD_QTc")


def parse(file: EcgFile, parser: str, content: bytes | None = None):
    """The file as ecgdatakit's ECGRecord in mV.

    Args:
        file: The file; its content is handed over in a private copy.
        parser: The parser class that has to recognise it.
        content: What is handed over in its place, where the file was tidied first.

    Raises:
        ReadError: If ecgdatakit takes the file for something else.
    """
    from ecgdatakit.parsing.parser import FileParser

    content = content or file.read(MAX_BINARY_BYTES)
    with tempfile.NamedTemporaryFile(prefix="ecg") as copy:  # a folder of its own takes longer than the parsing
        copy.write(content)
        copy.flush()
        record = FileParser.parse(copy.name)
    if record.file_format.parser != parser:
        raise ReadError(
            f"“{file.name}” cannot be told apart from {record.file_format.name}.",
            "Export the ECG again from its source.",
        )
    return record


def channels_of(record, file_format: str, told: Told = NOTHING_TOLD) -> Channels:
    """Channels in mV from an ecgdatakit record, with the facts it found and without the patient's identity.

    Args:
        record: An ecgdatakit ECGRecord.
        file_format: Format name for the record.
        told: Unit that the person gives, for leads without one.
    """
    leads = [lead for lead in record.leads if canonical_lead(lead.label)] or record.leads
    extra = [lead for lead in record.leads if not any(lead is one for one in leads)]
    rates = {lead.sampling_rate for lead in leads}
    if len(rates) != 1:
        raise several_rates(len(rates))
    rate = float(rates.pop())
    units = [_unit_of(lead) for lead in leads]
    as_counts = is_count_size(told.unit)
    samples = [_values(lead, as_counts and mv_per_unit(_unit_of(lead)) is None) for lead in [*leads, *extra]]
    missing = _missing(leads, samples)
    scale = factors_to_mv(units, samples[: len(leads)], rate, told.unit)
    factors = scale.values + [scale.values[0]] * len(extra)
    notes, doubts = missing + scale.notes, scale.doubts
    if record.raw_metadata.get("checksum_valid") is False:
        notes.append("A checksum in the file does not match its content; the signal may have been altered.")
        doubts.append(notes[-1])
    return Channels(
        [lead.label for lead in [*leads, *extra]], [one * f for one, f in zip(samples, factors, strict=True)], rate,
        file_format, notes, doubts, unit_judged=scale.judged, told_used=scale.told_used, **_facts(record),
    )  # fmt: skip


def several_rates(n_rates: int) -> SignalError:
    return SignalError(
        f"The leads have {n_rates} different sampling rates; one is needed.",
        "Export the ECG with one sampling rate for all leads.",
    )


def _unit_of(lead) -> str:
    """The unit of the numbers of a lead, or of the size of its counts, as the file writes it; "" without any, and where
    that size is zero: then the unit is that of nothing."""
    if lead.is_raw:
        return (lead.resolution_unit or lead.adc_resolution_unit) if lead.resolution > 0 else ""
    return lead.units


def _values(lead, as_counts: bool) -> np.ndarray:
    """The samples of a lead; of one without a unit in the numbers that the file scales its counts to, or in counts."""
    samples = np.asarray(lead.samples, dtype=np.float64)
    scales = lead.is_raw and lead.resolution > 0 and not as_counts
    return samples * lead.resolution + lead.offset if scales else samples


def _missing(leads: list, samples: list[np.ndarray]) -> list[str]:
    """Put NaN where the stored count of a lead is a mark of a missing sample, in place; and the note of it."""
    sizes = [
        size if (size := (mv_per_unit(lead.resolution_unit) or 0.0) * lead.resolution) > 0 else 1.0 for lead in leads
    ]
    length = min(len(one) for one in samples[: len(leads)])
    counts = np.stack([one[:length] / size for one, size in zip(samples, sizes, strict=False)])
    notes: list[str] = []
    marked = without_missing_marks(np.where(np.isfinite(counts), np.rint(counts), np.nan), notes)
    for row, one in enumerate(samples[: len(leads)] if notes else []):
        one[:length][np.isnan(marked[row])] = np.nan
    return notes


def without_calibration(channels: Channels) -> Channels:
    """Cut the calibration pulse off that Philips carts store in every lead after the first 10 s."""
    length = min(len(samples) for samples in channels.samples_mv)
    kept = round(PHILIPS_DURATION_S * channels.sampling_rate_hz)
    tail = np.stack([samples[kept:length] for samples in channels.samples_mv])
    common = np.ptp(tail, axis=0) == 0 if tail.shape[1] else np.array([False])
    if length > kept and tail[:, common].size and tail[:, common].max() >= 0.9:
        channels.samples_mv = [samples[:kept] for samples in channels.samples_mv]
        channels.notes.append(
            f"Cropped to the first {PHILIPS_DURATION_S:g} s: a calibration pulse follows them in every lead."
        )
    return channels


def _facts(record) -> dict:
    patient, device = record.patient, record.recording.device
    measurements = {}
    for name, field in _MEASUREMENTS.items():
        value = getattr(record.measurements, name)
        if value is not None:
            measurements[field] = float(value)
    corrected = next((record.annotations[key] for key in _QTC_ANNOTATIONS if record.annotations.get(key)), "")
    qtc = str(corrected).split(" ")[0]
    if qtc.replace(".", "", 1).isdigit():
        measurements["qtc_ms"] = float(qtc)
    elif "qtc_bazett_ms" in measurements:
        measurements["qtc_ms"] = measurements["qtc_bazett_ms"]
    maker = " ".join(text.strip() for text in (device.manufacturer, device.model) if text and text.strip())
    statements = [": ".join(part for part in pair if part) for pair in record.interpretation.statements]
    return {"age_years": patient.age, "sex": {"M": "male", "F": "female"}.get(patient.sex),
            "recorded_at": record.recording.date, "device": maker[:120] or None,
            "statements": without_people(statements), "device_measurements": measurements}  # fmt: skip
