"""What the workspace holds: patients, studies with phenotypes, clips and ECGs; rows in SQLite, contents in blobs.

Blobs are content-addressed: a clip is a playable H.264 MP4 (one without a picture the .npy of its vector), an ECG an
.npz of its signal in mV with its facts.
Adding the same thing twice changes nothing, so an import can be stopped and started. What is added comes in lists,
one transaction a list; several lists become one transaction inside `with workspace.write():`. A row whose file was
found damaged (`set_aside`) is not listed, so that the next import of its archive reads it again.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pandas as pd

from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.errors import StoreError
from echo2ecg_core.store.additions import (
    Change,
    own_ids,
    put_patient,
    put_study,
    set_ecg_times,
    set_given_views,
    take_ids,
)
from echo2ecg_core.store.blobs import MEND, read_blob, unpack_record
from echo2ecg_core.store.corrections import standing
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.new_rows import (
    VECTOR_SUFFIX,
    NewClip,
    NewEcg,
    NewPatient,
    NewStudy,
    StoredClip,
    StoredEcg,
    stored_clips,
    stored_ecgs,
    unpack_vector,
)
from echo2ecg_core.store.rows import ClipRow, StudyRow, clip_row, study_row
from echo2ecg_core.store.times import nearest_in_time


class Catalog:
    """Reads and writes the catalog of one workspace."""

    def __init__(self, workspace: Workspace):
        self.workspace = workspace

    # ---------------------------------------------------------------- write

    def take_ids(self, cohort: str, kind: str, given: Sequence[str]) -> dict[str, str]:
        """The catalog's id for every id ("patient", "study" or "ecg") that a cohort gives (see additions.py)."""
        with self.workspace.write() as db:
            return take_ids(db, cohort, kind, given)

    def keeps_ids(self, cohort: str) -> None:
        """Remember that the ids, dates and ages of a cohort of real patients came in as they were."""
        with self.workspace.write() as db:
            db.execute("INSERT OR IGNORE INTO kept_ids VALUES (?)", (cohort,))

    def cohorts_with_ids(self) -> list[str]:
        """Cohorts of real patients whose ids, dates and ages stand here as they were given."""
        return list(
            self._table(
                "SELECT cohort FROM kept_ids WHERE cohort IN (SELECT cohort FROM patients) ORDER BY cohort"
            ).cohort
        )

    def add_patients(self, patients: Sequence[NewPatient]) -> list[Change]:
        """Add patients, or the sex of those who are there; all or none.

        Returns:
            What is another now of those who were there.

        Raises:
            StoreError: one is there already with another split (a patient in two splits leaks).
        """
        with self.workspace.write() as db:
            return [change for new in patients for change in put_patient(db, new)]

    def add_patient(self, patient_id: str, *, split: str, cohort: str, synthetic: bool, sex: str | None = None) -> None:
        """Add one patient (`add_patients`)."""
        self.add_patients([NewPatient(patient_id, split, cohort, synthetic, sex)])

    def add_studies(self, studies: Sequence[NewStudy]) -> list[Change]:
        """Add studies with their measured phenotypes and findings; all or none.

        A study that is there takes what is given and keeps the rest.

        Returns:
            What is another now of those that were there.

        Raises:
            StoreError: one is there already and belongs to another patient.
        """
        with self.workspace.write() as db:
            return [change for new in studies for change in put_study(db, new)]

    def add_study(self, study_id: str, patient_id: str, **facts) -> None:
        """Add one study (`add_studies`); facts: the fields of `NewStudy`."""
        self.add_studies([NewStudy(study_id, patient_id, **{k: v for k, v in facts.items() if v is not None})])

    def add_clips(self, clips: Sequence[NewClip]) -> list[str]:
        """Store playable clips, all or none; returns their ids, made from study and content."""
        stored = stored_clips(self.workspace, clips)  # before anybody has to wait
        self.add_stored_clips(stored)
        return [clip.clip_id for clip in stored]

    def add_stored_clips(self, clips: Sequence[StoredClip]) -> None:
        """List clips whose contents are kept already; all or none."""
        with self.workspace.write() as db:
            db.executemany(
                "INSERT INTO clips (clip_id, study_id, view, view_confidence, fps, n_frames, spacing_mm,"
                " r_wave_times_s, format, notes, blob, file_hash, encoder)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (clip_id) DO UPDATE SET file_hash = coalesce(file_hash, excluded.file_hash),"
                " encoder = excluded.encoder WHERE (file_hash IS NULL AND excluded.file_hash NOT NULL)"
                " OR encoder IS NOT excluded.encoder",
                [astuple(clip) for clip in clips],
            )
            db.executemany(
                "INSERT OR REPLACE INTO clip_files (study_id, file_hash, clip_id) VALUES (?, ?, ?)",
                [(clip.study_id, clip.file_hash, clip.clip_id) for clip in clips if clip.file_hash],
            )
            _is_whole_again(db, [clip.blob for clip in clips])

    def add_clip(self, study_id: str, mp4: bytes, **facts) -> str:
        """Store one clip (`add_clips`) and return its id; facts: the fields of `NewClip`."""
        return self.add_clips([NewClip(study_id, mp4, **facts)])[0]

    def set_views(self, views: Mapping[str, tuple[str | None, float]]) -> None:
        """Set view (None: not known) and classifier confidence (0..1) of clips by id, but of those whose view a person
        corrected."""
        with self.workspace.write() as db:
            db.executemany(
                "UPDATE clips SET view = ?, view_confidence = ? WHERE clip_id = ?"
                " AND clip_id NOT IN (SELECT id FROM corrections WHERE kind = 'clip')",
                [(view, confidence, clip_id) for clip_id, (view, confidence) in views.items()],
            )

    def set_given_views(self, views: Mapping[str, str]) -> list[Change]:
        """Set the views that a data set gives clips by id, whatever a classifier said; returns what is another now."""
        with self.workspace.write() as db:
            return set_given_views(db, views)

    def add_ecgs(self, ecgs: Sequence[NewEcg]) -> None:
        """Store ECGs of patients, all or none; one that is there stays, unless its file was set aside.

        Raises:
            StoreError: one is there already and belongs to another patient.
        """
        self.add_stored_ecgs(stored_ecgs(self.workspace, ecgs))

    def add_stored_ecgs(self, ecgs: Sequence[StoredEcg]) -> None:
        """List ECGs whose contents are kept already; as `add_ecgs`."""
        with self.workspace.write() as db:
            own_ids(db, "ecg", [(new.ecg_id, new.patient_id) for new in ecgs])
            db.executemany(
                "INSERT INTO ecgs (ecg_id, patient_id, ecg_time, sampling_rate_hz, duration_s, format, content_hash,"
                " blob, own_study_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (ecg_id) DO UPDATE SET blob = excluded.blob,"
                " content_hash = excluded.content_hash WHERE blob IN (SELECT blob FROM damaged_blobs)",
                [astuple(new)[:-1] for new in ecgs],
            )
            _is_whole_again(db, [new.blob for new in ecgs])

    def add_ecg(self, ecg_id: str, patient_id: str, record: EcgRecord, *, ecg_time: str | None = None) -> None:
        """Store one ECG of a patient (`add_ecgs`)."""
        self.add_ecgs([NewEcg(ecg_id, patient_id, record, ecg_time)])

    def set_ecg_times(self, times: Mapping[str, str]) -> list[Change]:
        """Correct the times (ISO text) of ECGs by id; returns what is another now."""
        with self.workspace.write() as db:
            return set_ecg_times(db, times)

    def set_sex_if_unknown(self, sexes: Mapping[str, str]) -> None:
        """Set the sex of patients by id of whom no table tells it and whom no person corrected."""
        with self.workspace.write() as db:
            db.executemany(
                "UPDATE patients SET sex = ? WHERE patient_id = ? AND sex IS NULL"
                " AND patient_id NOT IN (SELECT id FROM corrections WHERE kind = 'patient')",
                [(s, p) for p, s in sexes.items()],
            )

    def set_aside(self, blobs: Sequence[str]) -> None:
        """Hide the ECGs and clips of these files (names below the folder of blobs), and no others, until they are added
        again."""
        with self.workspace.write() as db:
            db.execute("DELETE FROM damaged_blobs")
            db.executemany("INSERT OR IGNORE INTO damaged_blobs VALUES (?)", [(name,) for name in blobs])

    # ----------------------------------------------------------------- read

    def counts(self, cohort: str | None = None) -> dict[str, int]:
        """Number of patients, studies, clips and ecgs, of one cohort or of all."""
        of_patients = " JOIN patients USING (patient_id)"
        owned = {
            "patients": "",
            "studies": of_patients,
            "clips": f" JOIN studies USING (study_id){of_patients} ",
            "ecgs": of_patients,
        }
        held = {"clips": _WHOLE, "ecgs": _WHOLE}
        with self.workspace.connect() as db:
            return {
                table: db.execute(
                    f"SELECT count(*) FROM {table}{joined if cohort is not None else ''}"
                    f" WHERE {held.get(table, 'true')} AND {'true' if cohort is None else 'cohort = :cohort'}",
                    {"cohort": cohort},
                ).fetchone()[0]
                for table, joined in owned.items()
            }

    def ecgs(self, patient_id: str | None = None) -> pd.DataFrame:
        """One row an ECG (of one patient): ecg_id, patient_id, ecg_time, facts, split, cohort, synthetic, sex."""
        return self._table(
            "SELECT e.*, p.split, p.cohort, p.synthetic, p.sex FROM ecgs e JOIN patients p USING (patient_id)"
            f" WHERE {_WHOLE}{' AND patient_id = ?' if patient_id is not None else ''} ORDER BY ecg_id",
            () if patient_id is None else (patient_id,),
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
        """One row a clip: clip_id, study_id, view, view_confidence, fps, n_frames, …, encoder (None: it has a
        picture)."""
        return self._table(f"SELECT * FROM clips WHERE {_WHOLE} ORDER BY clip_id")

    def file_hashes(self, study_id: str) -> dict[str, str]:
        """Hash of every file that a clip of a study was read from -> the clip; copies of one film are one clip."""
        sql = (
            "SELECT f.file_hash, clip_id FROM clip_files f JOIN clips USING (clip_id)"
            f" WHERE f.study_id = ? AND {_WHOLE}"
        )
        return dict(self._table(sql, (study_id,)).itertuples(index=False, name=None))

    def clips_without_hash(self) -> dict[str, int]:
        """By study how many of its clips tell no hash of the file that they were read from."""
        with self.workspace.connect() as db:
            sql = f"SELECT study_id, count(*) FROM clips WHERE file_hash IS NULL AND {_WHOLE} GROUP BY study_id"
            return dict(tuple(row) for row in db.execute(sql).fetchall())

    def ecg_ids(self, cohort: str) -> set[str]:
        """Ids of the ECGs of a cohort that are here."""
        return set(
            self._table(
                f"SELECT ecg_id FROM ecgs JOIN patients USING (patient_id) WHERE cohort = ? AND {_WHOLE}",
                (cohort,),
            ).ecg_id
        )

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
        return study_row(row, values)

    def clips_of(self, study_id: str) -> list[ClipRow]:
        """The clips of a study, in the order of their ids."""
        return self.clips_of_each([study_id])[0]

    def clips_of_each(self, study_ids: Sequence[str]) -> list[list[ClipRow]]:
        """`clips_of` of several studies, asked for together."""
        found = f"{_CLIPS} WHERE study_id = ? AND {_WHOLE} ORDER BY clip_id"
        with self.workspace.connect() as db:
            rows = [db.execute(found, (study_id,)).fetchall() for study_id in study_ids]
        return [[clip_row(row) for row in of_study] for of_study in rows]

    def clip(self, clip_id: str) -> ClipRow:
        """One clip.

        Raises:
            StoreError: there is none with this id.
        """
        with self.workspace.connect() as db:
            row = db.execute(f"{_CLIPS} WHERE clip_id = ?", (clip_id,)).fetchone()
        if row is None:
            raise StoreError(f"There is no clip {clip_id!r} in this workspace.", "`search` lists the clips of a study.")
        return clip_row(row)

    def clip_path(self, clip_id: str) -> Path:
        """The playable MP4 of a clip, as it lies there; `clip_content` checks what is in it.

        Raises:
            StoreError: its file is missing, or it has no picture.
        """
        path = self.workspace.blobs / self._picture(clip_id)
        if not path.is_file():
            raise StoreError(f"The file of clip {clip_id!r} is missing in the workspace.", MEND)
        return path

    def clip_content(self, clip_id: str) -> bytes:
        """The playable MP4 of a clip, whole.

        Raises:
            StoreError: its file is missing or damaged, or it has no picture; names the clip.
        """
        return read_blob(self.workspace, self._picture(clip_id), f"clip {clip_id!r}")

    def clip_vector(self, clip_id: str) -> np.ndarray:
        """The vector (d,) float32 that a clip without a picture came in as.

        Raises:
            StoreError: its file is missing or damaged; names the clip.
        """
        return unpack_vector(read_blob(self.workspace, self._blob("clips", "clip_id", clip_id), f"clip {clip_id!r}"))

    def ecg_record(self, ecg_id: str) -> EcgRecord:
        """The stored ECG as it was read (mV), with `source` = its id, and the sex of its patient where a person
        corrected that.

        Raises:
            StoreError: there is none, or its file is missing or damaged; names the ECG.
        """
        with self.workspace.connect() as db:  # one: it costs more than what is asked
            blob, patient_id = self._of(db, "blob, patient_id", "ecgs", "ecg_id", ecg_id)
            corrected = standing(db, "patient", patient_id).get("sex")
        record = unpack_record(read_blob(self.workspace, blob, f"ECG {ecg_id!r}"), ecg_id)
        if corrected is None:
            return record
        return replace(record, sex=None if corrected.now is None else str(corrected.now))

    def files(self) -> pd.DataFrame:
        """One row an ECG and clip, those set aside too: blob, what ("ECG 'E-1'"), is_set_aside."""
        return self._table(
            "SELECT blob, what, blob IN (SELECT blob FROM damaged_blobs) AS is_set_aside FROM (SELECT blob,"
            " 'ECG ' || quote(ecg_id) AS what FROM ecgs UNION ALL SELECT blob, 'clip ' || quote(clip_id) FROM clips)"
            " ORDER BY what"
        )

    def _picture(self, clip_id: str) -> str:
        blob = self._blob("clips", "clip_id", clip_id)
        if blob.endswith(VECTOR_SUFFIX):
            raise StoreError(f"Clip {clip_id!r} has no picture: only its vector came in.", "Import its video.")
        return blob

    def _blob(self, table: str, key: str, value: str) -> str:
        with self.workspace.connect() as db:
            return self._of(db, "blob", table, key, value)["blob"]

    def _of(self, db: sqlite3.Connection, columns: str, table: str, key: str, value: str) -> sqlite3.Row:
        row = db.execute(f"SELECT {columns} FROM {table} WHERE {key} = ?", (value,)).fetchone()
        if row is None:
            raise StoreError(f"There is no {table[:-1]} {value!r} in this workspace.", "Choose one from the list.")
        return row

    def _table(self, sql: str, values: tuple = ()) -> pd.DataFrame:
        with self.workspace.connect() as db:
            cursor = db.execute(sql, values)
            return pd.DataFrame([tuple(r) for r in cursor.fetchall()], columns=[c[0] for c in cursor.description])


_WHOLE = "blob NOT IN (SELECT blob FROM damaged_blobs)"
_CLIPS = "SELECT c.*, p.synthetic FROM clips c JOIN studies USING (study_id) JOIN patients p USING (patient_id)"


def _is_whole_again(db, blobs: Sequence[str]) -> None:
    db.executemany("DELETE FROM damaged_blobs WHERE blob = ?", [(name,) for name in blobs])
