"""A phantom cohort as a hospital would export it: the test of an import that knows nothing beforehand.

ECGs are MUSE XML by month, studies DICOM without suffixes by day and accession number, and measurements stand in one
table with a row a measurement: local names, decimal commas, millimetres and centimetres side by side, days first,
rows that come again. Names in the headers are fictitious. The same cohort gives the same bytes.
"""

import base64
import csv
import io
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from echo2ecg_core.ecg.record import LEADS
from echo2ecg_core.phantom.dicom import FictitiousPatient, encode_dicom
from echo2ecg_core.phantom.files import write_whole

STORED = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")  # MUSE stores no lead that follows from others
UV_A_STEP = 4.88
TABLE = "messwerte.csv"
HEADER = ("Pat-Nr", "Untersuchungsnummer", "Untersuchungsdatum", "Messwert", "Wert", "Einheit")
# phenotype -> local name, (unit, factor) pairs that take turns from study to study
LOCAL = {
    "lvef": ("EF biplan", (("%", 1.0),)),
    "lvedv": ("LVEDV", (("ml", 1.0),)),
    "lvesv": ("LVESV", (("ml", 1.0),)),
    "lvidd": ("LVIDd", (("mm", 10.0), ("cm", 1.0))),
    "ivsd": ("Septumdicke", (("mm", 10.0),)),
    "lvpwd": ("Hinterwand", (("mm", 10.0),)),
    "tapse": ("TAPSE", (("mm", 10.0), ("cm", 1.0))),
    "rvsp": ("sPAP", (("mmHg", 1.0),)),
}
REPEATED = 5  # every fifth row stands twice


def write_patient_ecgs(out: Path, cohort, i: int) -> str:
    """All ECGs of patient i that are not there yet; gives the patient id."""
    patient = cohort.patient(i)
    for ecg in patient.ecgs:
        path = out / "ekg" / f"{ecg.time:%Y-%m}" / f"MUSE_{ecg.time:%Y%m%d_%H%M%S}_{ecg.ecg_id}.xml"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, encode_muse(ecg))
    return patient.patient_id


def encode_muse(ecg) -> bytes:
    """One PhantomEcg as GE MUSE XML, 500 Hz, 4.88 uV a step."""
    heart = ecg.heart
    person = FictitiousPatient.of(ecg.patient_id, heart.sex, heart.age_years, ecg.time.date())
    family, _, given = person.name.partition("^")
    signal = dict(zip(LEADS, ecg.signal_mv(), strict=True))
    leads = "".join(_lead(name, signal[name]) for name in STORED)
    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<RestingECG>\n'
        f"<PatientDemographics><PatientID>{escape(ecg.patient_id)}</PatientID><PatientAge>{heart.age_years:.0f}"
        f"</PatientAge><AgeUnits>YEARS</AgeUnits><Gender>{heart.sex.upper()}</Gender><PatientLastName>{family}"
        f"</PatientLastName><PatientFirstName>{given}</PatientFirstName></PatientDemographics>\n"
        f"<TestDemographics><AcquisitionTime>{ecg.time:%H:%M:%S}</AcquisitionTime><AcquisitionDate>"
        f"{ecg.time:%m-%d-%Y}</AcquisitionDate><AcquisitionDevice>PHANTOM</AcquisitionDevice></TestDemographics>\n"
        "<Waveform><WaveformType>Rhythm</WaveformType><NumberofLeads>8</NumberofLeads><SampleBase>500</SampleBase>"
        f"<SampleExponent>0</SampleExponent>{leads}</Waveform>\n</RestingECG>\n"
    ).encode("latin-1")


def _lead(name: str, signal_mv: np.ndarray) -> str:
    steps = np.clip(np.rint(signal_mv * 1000 / UV_A_STEP), -32767, 32767).astype("<i2")
    return (
        f"<LeadData><LeadByteCountTotal>{2 * len(steps)}</LeadByteCountTotal><LeadSampleCountTotal>{len(steps)}"
        f"</LeadSampleCountTotal><LeadAmplitudeUnitsPerBit>{UV_A_STEP}</LeadAmplitudeUnitsPerBit>"
        f"<LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits><LeadID>{name}</LeadID>"
        f"<WaveFormData>{base64.b64encode(steps.tobytes()).decode()}</WaveFormData></LeadData>"
    )


def write_study(out: Path, cohort, i: int, number: int, format: str) -> str:
    """All clips of study `number` of patient i that are not there yet; gives the study id."""
    study = cohort.patient(i).studies[number]
    folder = out / "echo" / study.date.isoformat() / study.study_id
    folder.mkdir(parents=True, exist_ok=True)
    person = FictitiousPatient.of(study.patient_id, study.heart.sex, study.heart.age_years, study.date)
    for clip in study.clips:
        path = folder / f"IM{clip.number:04d}"
        if not path.exists():
            write_whole(path, encode_dicom(study.render(clip), person, study.study_id, study.date))
    return study.study_id


def write_tables(out: Path, patients: list) -> None:
    """The table of measurements."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerow(HEADER)
    count = 0
    for k, study in enumerate(study for patient in patients for study in patient.studies):
        labels = study.labels()
        for field, (name, units) in LOCAL.items():
            if field not in labels:
                continue
            unit, factor = units[k % len(units)]
            value = f"{labels[field] * factor:.3f}".replace(".", ",")
            row = (study.patient_id, study.study_id, f"{study.date:%d.%m.%Y}", name, value, unit)
            count += 1
            writer.writerows([row] * (2 if count % REPEATED == 0 else 1))
    write_whole(out / TABLE, text.getvalue().encode("cp1252"))
