"""What is added to the catalog: a patient, study, ECG or clip with its facts, and how the last two stand in their
tables once their contents are kept (which any process may do; only one writes the rows). Units as in `rows.ClipRow`
and the phenotype table; lists are kept as JSON.
"""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.findings import Findings
from echo2ecg_core.store.blobs import pack_record, store_blobs
from echo2ecg_core.store.database import Workspace

VECTOR, VECTOR_SUFFIX = "clip vector", ".npy"  # format of a clip without a picture, and of its blob


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


@dataclass(frozen=True, eq=False)
class NewClipVector:
    """A clip without a picture to add, of a study that is there: its vector (d,) float32 as it left the clip encoder
    whose id or name is `encoder`."""

    study_id: str
    vector: np.ndarray
    encoder: str
    view: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class StoredEcg:
    """An ECG whose content lies in the blobs: the row of the catalog, in the order of the table's columns, and the sex
    that the file tells."""

    ecg_id: str
    patient_id: str
    ecg_time: str | None
    sampling_rate_hz: float
    duration_s: float
    format: str
    content_hash: str
    blob: str
    own_study_id: str | None
    sex: str | None


@dataclass(frozen=True)
class StoredClip:
    """A clip whose content (an MP4, or of an `encoder` the vector alone) lies in the blobs: the row of the catalog, in
    the order of the table's columns."""

    clip_id: str
    study_id: str
    view: str | None
    view_confidence: float | None
    fps: float
    n_frames: int
    spacing_mm: float | None
    r_wave_times_s: str
    format: str
    notes: str
    blob: str
    file_hash: str | None
    encoder: str | None = None


def stored_ecgs(workspace: Workspace, ecgs: Sequence[NewEcg]) -> list[StoredEcg]:
    """The ECGs with their contents kept; the catalog does not know them yet."""
    blobs = store_blobs(workspace, [pack_record(new.record) for new in ecgs], ".npz")
    return [
        StoredEcg(
            new.ecg_id,
            new.patient_id,
            new.ecg_time,
            new.record.sampling_rate_hz,
            new.record.duration_s,
            new.record.format,
            new.record.content_hash,
            blob,
            new.own_study_id,
            new.record.sex,
        )
        for new, blob in zip(ecgs, blobs, strict=True)
    ]


def stored_clips(workspace: Workspace, clips: Sequence[NewClip]) -> list[StoredClip]:
    """The clips with their contents kept, under ids made from study and content; the catalog does not know them yet."""
    blobs = store_blobs(workspace, [new.mp4 for new in clips], ".mp4")
    return [
        StoredClip(
            _clip_id(new.study_id, blob),
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
        for new, blob in zip(clips, blobs, strict=True)
    ]


def stored_clip_vectors(workspace: Workspace, clips: Sequence[NewClipVector]) -> list[StoredClip]:
    """Clips without pictures with their vectors kept; the catalog does not know them yet."""
    contents = [pack_vector(new.vector) for new in clips]
    blobs = store_blobs(workspace, contents, VECTOR_SUFFIX)
    return [
        StoredClip(
            _clip_id(new.study_id, blob),
            new.study_id,
            new.view,
            None,
            fps=0.0,
            n_frames=0,
            spacing_mm=None,
            r_wave_times_s="[]",
            format=VECTOR,
            notes=json.dumps(list(new.notes)),
            blob=blob,
            file_hash=hashlib.sha256(content).hexdigest(),
            encoder=new.encoder,
        )
        for new, content, blob in zip(clips, contents, blobs, strict=True)
    ]


def pack_vector(vector: np.ndarray) -> bytes:
    """A vector (d,) as .npy, float32."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(vector, np.float32))
    return buffer.getvalue()


def unpack_vector(content: bytes) -> np.ndarray:
    """The vector (d,) float32 that `pack_vector` made."""
    return np.load(io.BytesIO(content), allow_pickle=False)


def _clip_id(study_id: str, blob: str) -> str:
    return "C" + hashlib.sha256(f"{study_id}/{blob}".encode()).hexdigest()[:15]
