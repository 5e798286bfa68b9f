"""What is added to the catalog: a patient, study, ECG or clip with its facts, and how the last two stand in their
tables. Units as in `catalog.ClipRow` and the phenotype table; lists are kept as JSON.
"""

import json
from dataclasses import dataclass, field

from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.findings import Findings


@dataclass(frozen=True)
class NewPatient:
    """A patient to add; `split` one of splits.PATIENT_SPLITS."""

    patient_id: str
    split: str
    cohort: str
    synthetic: bool
    sex: str | None = None


@dataclass(frozen=True)
class NewStudy:
    """A study to add; what is missing (NaN, None) is left out."""

    study_id: str
    patient_id: str
    study_date: str | None = None
    age_years: float | None = None
    phenotypes: dict[str, float] = field(default_factory=dict)
    findings: Findings = field(default_factory=Findings)


@dataclass(frozen=True, eq=False)
class NewEcg:
    """An ECG to add, of a patient that is there; `own_study_id` names the study whose labels it carries where the data
    set says so."""

    ecg_id: str
    patient_id: str
    record: EcgRecord
    ecg_time: str | None = None
    own_study_id: str | None = None


@dataclass(frozen=True)
class NewClip:
    """A clip to add, of a study that is there: a playable MP4 and its facts, in the units of `ClipRow`; `file_hash` is
    that of the file it was read from, so that a second import need not read it."""

    study_id: str
    mp4: bytes
    fps: float
    n_frames: int
    format: str
    view: str | None = None
    view_confidence: float | None = None
    spacing_mm: float | None = None
    r_wave_times_s: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    file_hash: str | None = None


def clip_values(clip_id: str, new: NewClip, blob: str) -> tuple:
    """The row of a clip, in the order of the table's columns."""
    return (
        clip_id,
        new.study_id,
        new.view,
        new.view_confidence,
        new.fps,
        new.n_frames,
        new.spacing_mm,
        json.dumps([round(float(t), 4) for t in new.r_wave_times_s]),
        new.format,
        json.dumps(list(new.notes)),
        blob,
        new.file_hash,
    )


def ecg_values(new: NewEcg, blob: str) -> tuple:
    """The row of an ECG, in the order of the table's columns."""
    record = new.record
    return (
        new.ecg_id,
        new.patient_id,
        new.ecg_time,
        record.sampling_rate_hz,
        record.duration_s,
        record.format,
        record.content_hash,
        blob,
        new.own_study_id,
    )
