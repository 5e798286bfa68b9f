"""What the workspace holds: patients, studies with phenotypes, clips and ECGs; rows in SQLite, contents in blobs.

Blobs are content-addressed: a clip is a playable H.264 MP4, an ECG an .npz of its signal in mV with its facts.
Adding the same thing twice changes nothing, so an import can be stopped and started.
"""

import hashlib
import io
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.errors import StoreError
from echo2ecg_core.findings import Findings, read_scores, write_scores
from echo2ecg_core.store.database import Workspace, write_atomically
from echo2ecg_core.store.times import nearest_in_time


@dataclass(frozen=True)
class ClipRow:
    """One clip of a study; `fps` frames a second, `spacing_mm` millimetres a pixel, R waves in seconds."""

    clip_id: str
    study_id: str
    view: str | None
    view_confidence: float | None
    fps: float
    n_frames: int
    spacing_mm: float | None
    r_wave_times_s: tuple[float, ...]
    format: str
    notes: tuple[str, ...]
    synthetic: bool


@dataclass(frozen=True)
class StudyRow:
    """One echo study with its measured phenotypes (field name -> value in the unit of the phenotype table) and its
    findings."""

    study_id: str
    patient_id: str
    study_date: str | None
    sex: str | None
    age_years: float | None
    split: str
    cohort: str
    synthetic: bool
    phenotypes: dict[str, float]
    findings: Findings


class Catalog:
    """Reads and writes the catalog of one workspace."""

    def __init__(self, workspace: Workspace):
        self.workspace = workspace

    # ---------------------------------------------------------------- write

    def add_patient(self, patient_id: str, *, split: str, cohort: str, synthetic: bool, sex: str | None = None) -> None:
        """Add a patient.

        Raises:
            StoreError: the patient is there already with another split (a patient in two splits leaks).
        """
        with self.workspace.connect() as db:
            row = db.execute("SELECT split FROM patients WHERE patient_id = ?", (patient_id,)).fetchone()
            if row and row["split"] != split:
                raise StoreError(
                    f"A patient would be in two splits ({row['split']} and {split}).",
                    "Give every patient one split in labels.csv and import again.",
                )
            db.execute(
                "INSERT OR IGNORE INTO patients VALUES (?, ?, ?, ?, ?)",
                (patient_id, sex, split, cohort, int(synthetic)),
            )

    def add_study(
        self,
        study_id: str,
        patient_id: str,
        *,
        study_date: str | None = None,
        age_years: float | None = None,
        phenotypes: dict[str, float] | None = None,
        findings: Findings | None = None,
    ) -> None:
        """Add a study, its measured phenotypes and its findings; what is missing (NaN, None) is left out.

        A study that is there takes phenotypes and findings that are given and keeps the others.
        """
        findings = findings or Findings()
        scores = write_scores(findings.wall_motion_scores) if findings.wall_motion_scores else None
        with self.workspace.connect() as db:
            db.execute(
                "INSERT OR IGNORE INTO studies (study_id, patient_id, study_date, age_years) VALUES (?, ?, ?, ?)",
                (study_id, patient_id, study_date, age_years),
            )
            db.execute(
                "UPDATE studies SET wall_motion_scores = coalesce(?, wall_motion_scores), rhythm = coalesce(?, "
                "rhythm), conduction ="
                " coalesce(?, conduction), first_degree_block = coalesce(?, first_degree_block) WHERE study_id = ?",
                (scores, findings.rhythm, findings.conduction, findings.first_degree_block, study_id),
            )
            db.executemany(
                "INSERT OR REPLACE INTO phenotypes VALUES (?, ?, ?)",
                [(study_id, n, float(v)) for n, v in (phenotypes or {}).items() if np.isfinite(v)],
            )

    def add_clip(
        self,
        study_id: str,
        mp4: bytes,
        *,
        fps: float,
        n_frames: int,
        format: str,
        view: str | None = None,
        view_confidence: float | None = None,
        spacing_mm: float | None = None,
        r_wave_times_s: tuple[float, ...] = (),
        notes: tuple[str, ...] = (),
    ) -> str:
        """Store a playable clip; returns its id, made from study and content."""
        blob = self._store_blob(mp4, ".mp4")
        clip_id = "C" + hashlib.sha256(f"{study_id}/{blob}".encode()).hexdigest()[:15]
        with self.workspace.connect() as db:
            db.execute(
                "INSERT OR IGNORE INTO clips VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    clip_id,
                    study_id,
                    view,
                    view_confidence,
                    fps,
                    n_frames,
                    spacing_mm,
                    json.dumps([round(float(t), 4) for t in r_wave_times_s]),
                    format,
                    json.dumps(list(notes)),
                    blob,
                ),
            )
        return clip_id

    def set_views(self, views: dict[str, tuple[str, float]]) -> None:
        """Set view and classifier confidence (0..1) of clips by id."""
        with self.workspace.connect() as db:
            db.executemany(
                "UPDATE clips SET view = ?, view_confidence = ? WHERE clip_id = ?",
                [(view, confidence, clip_id) for clip_id, (view, confidence) in views.items()],
            )

    def add_ecg(self, ecg_id: str, patient_id: str, record: EcgRecord, *, ecg_time: str | None = None) -> None:
        """Store one ECG of a patient."""
        blob = self._store_blob(_pack_record(record), ".npz")
        with self.workspace.connect() as db:
            db.execute(
                "INSERT OR IGNORE INTO ecgs VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    ecg_id,
                    patient_id,
                    ecg_time,
                    record.sampling_rate_hz,
                    record.duration_s,
                    record.format,
                    record.content_hash,
                    blob,
                ),
            )

    def _store_blob(self, content: bytes, suffix: str) -> str:
        digest = hashlib.sha256(content).hexdigest()
        name = f"{digest[:2]}/{digest}{suffix}"
        if not (self.workspace.blobs / name).exists():
            write_atomically(self.workspace.blobs / name, content)
        return name

    # ----------------------------------------------------------------- read

    def counts(self) -> dict[str, int]:
        """Number of patients, studies, clips and ecgs."""
        with self.workspace.connect() as db:
            return {
                t: db.execute(f"SELECT count(*) FROM {t}").fetchone()[0]
                for t in ("patients", "studies", "clips", "ecgs")
            }

    def ecgs(self) -> pd.DataFrame:
        """One row an ECG: ecg_id, patient_id, ecg_time, facts, split, cohort, synthetic, sex."""
        return self._table(
            "SELECT e.*, p.split, p.cohort, p.synthetic, p.sex FROM ecgs e JOIN patients p USING (patient_id)"
            " ORDER BY ecg_id"
        )

    def cohorts(self) -> list[str]:
        """Names of the cohorts whose patients are here."""
        return list(self._table("SELECT DISTINCT cohort FROM patients ORDER BY cohort").cohort)

    def studies(self) -> pd.DataFrame:
        """One row a study: study_id, patient_id, study_date, age_years, wall_motion_scores (text), rhythm, conduction,
        first_degree_block, sex, split, cohort, synthetic and one column a measured phenotype."""
        table = self._table(
            "SELECT s.*, p.sex, p.split, p.cohort, p.synthetic FROM studies s JOIN patients p"
            " USING (patient_id) ORDER BY study_id"
        )
        values = self._table("SELECT * FROM phenotypes")
        return table.join(values.pivot(index="study_id", columns="name", values="value"), on="study_id")

    def clips(self) -> pd.DataFrame:
        """One row a clip: clip_id, study_id, view, view_confidence, fps, n_frames, …"""
        return self._table("SELECT * FROM clips ORDER BY clip_id")

    def labelled_ecgs(self, within_days: float | None = None) -> pd.DataFrame:
        """ECGs with the study of the same patient nearest in time: `ecgs()` plus study_id, days_apart and the study's
        columns.

        Args:
            within_days: Days that they may lie apart; None: the setting `within_days` of this machine. An ECG or a
                study without a day has no label: nothing tells how far apart they lie.
        """
        ecgs, studies = self.ecgs(), self.studies()
        extra = studies.columns.difference(ecgs.columns).tolist()
        pairs = nearest_in_time(ecgs, studies, within_days)[["ecg_id", "study_id", "days_apart"]]
        return ecgs.merge(pairs, on="ecg_id").merge(studies[extra], on="study_id", how="left")

    def study(self, study_id: str) -> StudyRow:
        """One study.

        Raises:
            StoreError: there is none with this id.
        """
        with self.workspace.connect() as db:
            row = db.execute(
                "SELECT * FROM studies JOIN patients USING (patient_id) WHERE study_id = ?", (study_id,)
            ).fetchone()
            if row is None:
                raise StoreError(
                    f"There is no study {study_id!r} in this workspace.", "Choose one from the list of studies."
                )
            values = db.execute("SELECT name, value FROM phenotypes WHERE study_id = ?", (study_id,)).fetchall()
        return StudyRow(
            row["study_id"],
            row["patient_id"],
            row["study_date"],
            row["sex"],
            row["age_years"],
            row["split"],
            row["cohort"],
            bool(row["synthetic"]),
            {r["name"]: r["value"] for r in values},
            _findings(row),
        )

    def clips_of(self, study_id: str) -> list[ClipRow]:
        """The clips of a study, in the order of their ids."""
        with self.workspace.connect() as db:
            rows = db.execute(f"{_CLIPS} WHERE study_id = ? ORDER BY clip_id", (study_id,)).fetchall()
        return [_clip_row(row) for row in rows]

    def clip(self, clip_id: str) -> ClipRow:
        """One clip.

        Raises:
            StoreError: there is none with this id.
        """
        with self.workspace.connect() as db:
            row = db.execute(f"{_CLIPS} WHERE clip_id = ?", (clip_id,)).fetchone()
        if row is None:
            raise StoreError(f"There is no clip {clip_id!r} in this workspace.", "`search` lists the clips of a study.")
        return _clip_row(row)

    def clip_path(self, clip_id: str) -> Path:
        """The playable MP4 of a clip."""
        return self._blob_path("clips", "clip_id", clip_id)

    def ecg_record(self, ecg_id: str) -> EcgRecord:
        """The stored ECG as it was read (mV), with `source` = its id."""
        return _unpack_record(self._blob_path("ecgs", "ecg_id", ecg_id).read_bytes(), ecg_id)

    def _blob_path(self, table: str, key: str, value: str) -> Path:
        with self.workspace.connect() as db:
            row = db.execute(f"SELECT blob FROM {table} WHERE {key} = ?", (value,)).fetchone()
        if row is None:
            raise StoreError(f"There is no {table[:-1]} {value!r} in this workspace.", "Choose one from the list.")
        path = self.workspace.blobs / row["blob"]
        if not path.is_file():
            raise StoreError(
                f"The file of {table[:-1]} {value!r} is missing in the workspace.", "Run `check`, then import it again."
            )
        return path

    def _table(self, sql: str) -> pd.DataFrame:
        with self.workspace.connect() as db:
            cursor = db.execute(sql)
            return pd.DataFrame([tuple(r) for r in cursor.fetchall()], columns=[c[0] for c in cursor.description])


def _findings(row) -> Findings:
    scores, block = row["wall_motion_scores"], row["first_degree_block"]
    return Findings(
        read_scores(scores) if scores else None,
        row["rhythm"],
        row["conduction"],
        None if block is None else bool(block),
    )


_CLIPS = "SELECT c.*, p.synthetic FROM clips c JOIN studies USING (study_id) JOIN patients p USING (patient_id)"


def _clip_row(row) -> ClipRow:
    return ClipRow(
        row["clip_id"],
        row["study_id"],
        row["view"],
        row["view_confidence"],
        row["fps"],
        row["n_frames"],
        row["spacing_mm"],
        tuple(json.loads(row["r_wave_times_s"])),
        row["format"],
        tuple(json.loads(row["notes"])),
        bool(row["synthetic"]),
    )


def _pack_record(record: EcgRecord) -> bytes:
    facts = {k: v for k, v in asdict(record).items() if k not in ("signal_mv", "source")}
    facts["recorded_at"] = record.recorded_at.isoformat() if record.recorded_at else None
    buffer = io.BytesIO()
    np.savez(
        buffer, signal_mv=np.asarray(record.signal_mv, np.float32), facts=np.array(json.dumps(facts, sort_keys=True))
    )
    return buffer.getvalue()


def _unpack_record(content: bytes, source: str) -> EcgRecord:
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        facts = json.loads(str(archive["facts"]))
        signal_mv = archive["signal_mv"]
    facts["recorded_at"] = datetime.fromisoformat(facts["recorded_at"]) if facts["recorded_at"] else None
    facts = {k: tuple(v) if isinstance(v, list) else v for k, v in facts.items()}
    return EcgRecord(signal_mv=signal_mv, source=source, **facts)
