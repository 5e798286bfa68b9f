"""GE CardioSoft XML (root CardiologyXML): full leads as comma-separated counts in the StripData section.

MedianSamples, VectorLoops and FullDisclosure hold other signals and are not read. CardioSoft calls the PR interval PQ.
"""

from datetime import datetime
from xml.etree.ElementTree import Element

import numpy as np

from echo2ecg_core.ecg.channels import NOTHING_TOLD, Channels, Told
from echo2ecg_core.ecg.formats.facts import size_unit
from echo2ecg_core.ecg.formats.rates import header_rate
from echo2ecg_core.ecg.statements import without_people
from echo2ecg_core.ecg.units import factors_to_mv, is_count_size
from echo2ecg_core.errors import ReadError

_MEASUREMENTS = {
    "VentricularRate": "heart_rate_bpm", "PQInterval": "pr_ms", "QRSDuration": "qrs_ms", "QTInterval": "qt_ms",
    "QTCInterval": "qtc_ms", "RRInterval": "rr_ms", "PAxis": "p_axis_deg", "RAxis": "qrs_axis_deg",
    "TAxis": "t_axis_deg",
}  # fmt: skip
_YEARS = {"YEARS": 1.0, "MONTHS": 12.0, "WEEKS": 52.18, "DAYS": 365.25, "HOURS": 8766.0}


def channels(root: Element, file_name: str, told: Told = NOTHING_TOLD) -> Channels:
    """The resting ECG of a CardioSoft document.

    Args:
        root: The CardiologyXML element, parsed safely.
        file_name: For error texts.
        told: Rate and unit that the person gives, where the document has none.

    Raises:
        ReadError: If it has no StripData section with leads.
        SamplingRateNeeded: If neither document nor person tells the sampling rate.
    """
    strip = root.find("StripData")
    if strip is None or strip.find("WaveformData") is None:
        raise ReadError("The CardioSoft file has no resting ECG (StripData section).", "Export the resting ECG as XML.")
    notes: list[str] = []
    rate = header_rate(_number(strip, "SampleRate"), told.sampling_rate_hz, file_name, notes)
    resolution = strip.find("Resolution")
    unit = resolution.get("units") or "" if resolution is not None else ""
    per_count, size = size_unit(unit), _number(strip, "Resolution") or 0.0
    names, counts = [], []
    for lead in strip.findall("WaveformData"):
        names.append(lead.get("lead") or "unnamed")
        counts.append(np.array([float(count) for count in (lead.text or "").replace(",", " ").split()]))
    if per_count is not None and size > 0:
        factor, size = per_count[1], size ** per_count[0]
        return Channels(
            names, [one * factor * size for one in counts], rate, "GE CardioSoft XML", notes, **_facts(root)
        )
    if size > 0 and not is_count_size(told.unit):
        counts = [one * size for one in counts]
    scale = factors_to_mv([""] * len(counts), counts, rate, told.unit)
    return Channels(
        names, [one * factor for one, factor in zip(counts, scale.values, strict=True)], rate, "GE CardioSoft XML",
        notes + scale.notes, scale.doubts, unit_judged=scale.judged, told_used=scale.told_used, **_facts(root),
    )  # fmt: skip


def _number(element: Element | None, path: str) -> float | None:
    text = element.findtext(path) if element is not None else None
    try:
        return float(text.replace(",", ".")) if text and text.strip() else None
    except ValueError:
        return None


def _facts(root: Element) -> dict:
    """What the document tells about patient and recording, without names, identifiers or dates of birth."""
    patient = root.find("PatientInfo")
    age = _number(patient, "Age")
    age_element = patient.find("Age") if patient is not None else None
    units = (age_element.get("units") or "YEARS").upper() if age_element is not None else "YEARS"
    recorded_at, born = _moment(root, "ObservationDateTime"), _moment(root, "PatientInfo/BirthDateTime")
    if age is not None:
        age = age / _YEARS[units] if units in _YEARS else None
    elif recorded_at and born:
        age = float(int((recorded_at - born).days / 365.25))
    sex = (root.findtext("PatientInfo/Gender") or "").strip().lower()
    device = [root.findtext(f"ClinicalInfo/DeviceInfo/{tag}") or "" for tag in ("Desc", "SoftwareVer")]
    measured = root.find("RestingECGMeasurements")
    values = {field: _number(measured, tag) for tag, field in _MEASUREMENTS.items()}
    lines = [element.text or "" for element in root.findall("Interpretation/Diagnosis/DiagnosisText")]
    return {
        "age_years": age, "sex": sex if sex in ("male", "female") else None, "recorded_at": recorded_at,
        "device": " ".join(text.strip() for text in device if text.strip())[:120] or None,
        "statements": without_people(line for line in lines if line.strip("- \t")),
        "device_measurements": {field: value for field, value in values.items() if value is not None},
    }  # fmt: skip


def _moment(root: Element, path: str) -> datetime | None:
    element = root.find(path)
    year, month, day = (_number(element, tag) for tag in ("Year", "Month", "Day"))
    hour, minute, second = (_number(element, tag) or 0 for tag in ("Hour", "Minute", "Second"))
    if year is None or month is None or day is None:
        return None
    try:
        return datetime(int(year), int(month), int(day), int(hour), int(minute), int(second))
    except (ValueError, OverflowError):
        return None
