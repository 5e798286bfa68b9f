"""What the workspace holds: patients, studies with phenotypes, clips and ECGs; rows in SQLite, contents in blobs.

Blobs are content-addressed: a clip is a playable H.264 MP4, an ECG an .npz of its signal in mV with its facts.
Adding the same thing twice changes nothing, so an import can be stopped and started. Contents are stored first, then
the rows of a batch in one transaction (`adding`). What has a damaged file and was set aside is not listed, so that the
next import of its archive reads it again.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.errors import StoreError
from echo2ecg_core.findings import Findings, read_scores
from echo2ecg_core.store.additions import Additions
from echo2ecg_core.store.blobs import MEND, pack_record, read_blob, store_blob, unpack_record
from echo2ecg_core.store.database import Workspace


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

    @contextmanager
    def adding(self) -> Iterator[Additions]:
        """Add and correct rows in one transaction: all of them, or on an error none."""
        with self.workspace.write() as db:
            yield Additions(db)

    def add_patient(self, patient_id: str, *, split: str, cohort: str, synthetic: bool, sex: str | None = None) -> None:
        """Add one patient (see `Additions.patient`)."""
        with self.adding() as add:
            add.patient(patient_id, split=split, cohort=cohort, synthetic=synthetic, sex=sex)

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
        """Add one study, its measured phenotypes and its findings (see `Additions.study`)."""
        with self.adding() as add:
            add.study(
                study_id,
                patient_id,
                study_date=study_date,
                age_years=age_years,
                phenotypes=phenotypes,
                findings=findings,
            )

    def add_clip(self, study_id: str, mp4: bytes, **facts) -> str:
        """Store a playable clip with the facts of `store_clip`; returns its id, made from study and content."""
        clip_id, row = self.store_clip(study_id, mp4, **facts)
        with self.adding() as add:
            add.clip(clip_id, study_id, row)
        return clip_id

    def store_clip(
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
        file_hash: str | None = None,
    ) -> tuple[str, dict]:
        """Store the content of a clip, not yet its row; returns the clip's id and the row for `Additions.clip`.

        Args:
            file_hash: Of the file it was read from (not of the MP4), so that a second import need not read it.
        """
        blob = store_blob(self.workspace, mp4, ".mp4")
        clip_id = "C" + hashlib.sha256(f"{study_id}/{blob}".encode()).hexdigest()[:15]
        return clip_id, {
            "view": view,
            "view_confidence": view_confidence,
            "fps": fps,
            "n_frames": n_frames,
            "spacing_mm": spacing_mm,
            "r_wave_times_s": [round(float(t), 4) for t in r_wave_times_s],
            "format": format,
            "notes": list(notes),
            "blob": blob,
            "file_hash": file_hash,
        }

    def set_views(self, views: dict[str, tuple[str, float]]) -> None:
        """Set view and classifier confidence (0..1) of clips by id."""
        with self.workspace.write() as db:
            db.executemany(
                "UPDATE clips SET view = ?, view_confidence = ? WHERE clip_id = ?",
                [(view, confidence, clip_id) for clip_id, (view, confidence) in views.items()],
            )

    def add_ecg(self, ecg_id: str, patient_id: str, record: EcgRecord, *, ecg_time: str | None = None) -> None:
        """Store one ECG of a patient."""
        row = self.store_ecg(record, ecg_time=ecg_time)
        with self.adding() as add:
            add.ecg(ecg_id, patient_id, row)

    def store_ecg(self, record: EcgRecord, *, ecg_time: str | None = None) -> dict:
        """Store the content of an ECG, not yet its row; returns the facts of the row for `Additions.ecg`."""
        return {
            "ecg_time": ecg_time,
            "sampling_rate_hz": record.sampling_rate_hz,
            "duration_s": record.duration_s,
            "format": record.format,
            "content_hash": record.content_hash,
            "blob": store_blob(self.workspace, pack_record(record), ".npz"),
        }

    def set_aside(self, blobs: Sequence[str]) -> None:
        """Hide the ECGs and clips of these files (names below the folder of blobs) until they are added again."""
        with self.workspace.write() as db:
            db.executemany("INSERT OR IGNORE INTO damaged_blobs VALUES (?)", [(name,) for name in blobs])

    # ----------------------------------------------------------------- read

    def counts(self) -> dict[str, int]:
        """Number of patients, studies, clips and ecgs."""
        with self.workspace.connect() as db:
            held = {"clips": _WHOLE, "ecgs": _WHOLE}
            return {
                t: db.execute(f"SELECT count(*) FROM {t} WHERE {held.get(t, 'true')}").fetchone()[0]
                for t in ("patients", "studies", "clips", "ecgs")
            }

    def ecgs(self) -> pd.DataFrame:
        """One row an ECG: ecg_id, patient_id, ecg_time, facts, split, cohort, synthetic, sex."""
        return self._table(
            "SELECT e.*, p.split, p.cohort, p.synthetic, p.sex FROM ecgs e JOIN patients p USING (patient_id)"
            f" WHERE {_WHOLE} ORDER BY ecg_id"
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
        return self._table(f"SELECT * FROM clips WHERE {_WHOLE} ORDER BY clip_id")

    def labelled_ecgs(self) -> pd.DataFrame:
        """ECGs with the study of the same patient nearest in time: `ecgs()` plus study_id and its phenotypes."""
        ecgs, studies = self.ecgs(), self.studies()
        extra = studies.columns.difference(ecgs.columns).tolist()
        pairs = ecgs.merge(studies[["patient_id", *extra]], on="patient_id")
        gap = pd.to_datetime(pairs["ecg_time"], errors="coerce") - pd.to_datetime(pairs["study_date"], errors="coerce")
        pairs["days_apart"] = gap.abs().dt.total_seconds() / 86400
        own = pairs.own_study_id == pairs.study_id  # the data set itself says whose labels these are
        pairs.loc[own, "days_apart"] = pairs.loc[own, "days_apart"].fillna(0.0)
        pairs = pairs[own | pairs.own_study_id.isna()]
        return pairs.sort_values(["ecg_id", "days_apart", "study_id"]).drop_duplicates("ecg_id").reset_index(drop=True)

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
            rows = db.execute(f"{_CLIPS} WHERE study_id = ? AND {_WHOLE} ORDER BY clip_id", (study_id,)).fetchall()
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
        """The playable MP4 of a clip, as it lies there; `clip_content` checks what is in it."""
        path = self.workspace.blobs / self._blob("clips", "clip_id", clip_id)
        if not path.is_file():
            raise StoreError(f"The file of clip {clip_id!r} is missing in the workspace.", MEND)
        return path

    def clip_content(self, clip_id: str) -> bytes:
        """The playable MP4 of a clip, whole.

        Raises:
            StoreError: its file is missing or damaged; names the clip.
        """
        return read_blob(self.workspace, self._blob("clips", "clip_id", clip_id), f"clip {clip_id!r}")

    def ecg_record(self, ecg_id: str) -> EcgRecord:
        """The stored ECG as it was read (mV), with `source` = its id.

        Raises:
            StoreError: there is none, or its file is missing or damaged; names the ECG.
        """
        return unpack_record(read_blob(self.workspace, self._blob("ecgs", "ecg_id", ecg_id), f"ECG {ecg_id!r}"), ecg_id)

    def files(self) -> pd.DataFrame:
        """One row an ECG and clip, those set aside too: blob, what ("ECG 'E-1'"), is_set_aside."""
        return self._table(
            "SELECT blob, what, blob IN (SELECT blob FROM damaged_blobs) AS is_set_aside FROM (SELECT blob,"
            " 'ECG ' || quote(ecg_id) AS what FROM ecgs UNION ALL SELECT blob, 'clip ' || quote(clip_id) FROM clips)"
            " ORDER BY what"
        )

    def _blob(self, table: str, key: str, value: str) -> str:
        with self.workspace.connect() as db:
            row = db.execute(f"SELECT blob FROM {table} WHERE {key} = ?", (value,)).fetchone()
        if row is None:
            raise StoreError(f"There is no {table[:-1]} {value!r} in this workspace.", "Choose one from the list.")
        return row["blob"]

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


_WHOLE = "blob NOT IN (SELECT blob FROM damaged_blobs)"
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
