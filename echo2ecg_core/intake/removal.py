"""Take a cohort, a patient, a study or an ECG out again: rows, files, vectors, prepared arrays and maps that show it.

Rows go in one transaction; files that nothing names any longer, and vectors, go after it. A note of what they are is
written with the rows, so that a removal that was killed in between is finished by the next one or the next start.
Reports of evaluations stay: their fingerprint of the workspace tells that they are older. Names of removed ids are
forgotten too, so the same data can come in anew.
"""

import json
import shutil
import sqlite3
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from echo2ecg_core.counts import counted, counted_contents
from echo2ecg_core.errors import StoreError
from echo2ecg_core.intake.ready_models import forget
from echo2ecg_core.intake.waiting_clips import delete_pictures_without_row
from echo2ecg_core.store import audit, corrections, jobs
from echo2ecg_core.store.database import Workspace, write_atomically
from echo2ecg_core.store.paths import prepared_folder
from echo2ecg_core.store.vectors import VectorSet, load_vectors, stored_sets

_COUNTED = {"patients": "patient", "studies": "study", "clips": "clip", "ecgs": "ecg"}
_NOTE = ".removing-"
_VECTOR_KINDS = {"ecg": "ecg", "ecg_aligned": "ecg", "clip": "clip", "study": "study", "study_aligned": "study"}


@dataclass(frozen=True)
class Removed:
    """What was taken out, counted; `maps` and `vectors` are files that were changed or deleted."""

    patients: int
    studies: int
    clips: int
    ecgs: int
    files: int
    vectors: int
    maps: int

    def sentence(self) -> str:
        """In words."""
        return (
            f"Removed {counted_contents(self.patients, self.studies, self.clips, self.ecgs)}. "
            f"{counted(self.vectors, 'vector')} went with them"
            + (", and the map has to be drawn again." if self.maps else ".")
        )


def remove(
    workspace: Workspace,
    *,
    cohort: str | None = None,
    patient: str | None = None,
    study: str | None = None,
    ecg: str | None = None,
    who: str = "local admin",
) -> Removed:
    """Take out what exactly one of the arguments names, by its id in the workspace; `who` did it is kept.

    Raises:
        StoreError: none or several are named, there is no such one, or a job is running.
    """
    named = {k: v for k, v in {"cohort": cohort, "patient": patient, "study": study, "ecg": ecg}.items() if v}
    if len(named) != 1:
        raise StoreError("One of cohort, patient, study and ECG has to be named.", "Give exactly one.")
    (kind, id), *_ = named.items()
    if any(job.state == "running" for job in jobs.jobs(workspace)):
        raise StoreError("A job is running that may be reading what is to be removed.", "Stop it, or wait for its end.")
    finish_removals(workspace)
    with workspace.write() as db:
        ids = _ids_of(db, kind, id)
        counts = {n: len(ids[k]) for n, k in _COUNTED.items()}
        corrections.remember_removal(db, who, kind, _cohort_of(db, kind, id), counts)
        blobs = _delete_rows(db, ids)
        note = workspace.folder / f"{_NOTE}{uuid.uuid4().hex}.json"
        write_atomically(note, json.dumps({"blobs": sorted(blobs)} | {k: sorted(v) for k, v in ids.items()}).encode())
        audit.record(workspace, "remove", what=kind, cohort=id if kind == "cohort" else None, **counts)
    files, vectors, maps = _finish(workspace, note)
    return Removed(**counts, files=files, vectors=vectors, maps=maps)


def finish_removals(workspace: Workspace) -> None:
    """Take the files and vectors that a removal left behind which was killed after its rows had gone."""
    for note in workspace.folder.glob(f"{_NOTE}*.json"):
        _finish(workspace, note)


def _finish(workspace: Workspace, note: Path) -> tuple[int, int, int]:
    """Delete what belongs to the rows that a note names and that have gone; counts of files, vectors and maps."""
    named = {kind: set(ids) for kind, ids in json.loads(note.read_text()).items()}
    with workspace.connect() as db:  # a removal that was taken back has left its rows
        used = {row[0] for row in db.execute("SELECT blob FROM clips UNION SELECT blob FROM ecgs")}
        for kind, table in (("ecg", "ecgs"), ("study", "studies"), ("clip", "clips")):
            named[kind] -= {row[0] for row in db.execute(f"SELECT {kind}_id FROM {table}")} if named[kind] else set()
    unused = named.pop("blobs") - used
    for name in unused:
        (workspace.blobs / name).unlink(missing_ok=True)
    delete_pictures_without_row(workspace)
    shutil.rmtree(prepared_folder(workspace), ignore_errors=True)  # made again by the next training
    vectors, maps = _drop_vectors(workspace, named), _drop_maps(workspace, named)
    forget(workspace, named["ecg"], named["study"])
    note.unlink(missing_ok=True)
    return len(unused), vectors, maps


def look(workspace: Workspace, kind: str, id: str) -> Removed:
    """What would go with a cohort, patient, study or ECG; nothing is changed.

    Raises:
        StoreError: there is no such one.
    """
    with workspace.connect() as db:
        ids = _ids_of(db, kind, id)
    return Removed(len(ids["patient"]), len(ids["study"]), len(ids["clip"]), len(ids["ecg"]), 0, 0, 0)


def _ids_of(db: sqlite3.Connection, kind: str, id: str) -> dict[str, set[str]]:
    """What goes, by kind: a patient whose last study and ECG go, goes too."""

    def column(sql: str, *values: str) -> set[str]:
        return {row[0] for row in db.execute(sql, values)}

    where = {"cohort": "cohort = ?", "patient": "patient_id = ?"}
    if kind in where:
        mine = f"SELECT patient_id FROM patients WHERE {where[kind]}"
        patients = column(mine, id)
        studies = column(f"SELECT study_id FROM studies WHERE patient_id IN ({mine})", id)
        ecgs = column(f"SELECT ecg_id FROM ecgs WHERE patient_id IN ({mine})", id)
        found = bool(patients)
    else:
        studies = column("SELECT study_id FROM studies WHERE study_id = ?", id) if kind == "study" else set()
        ecgs = column("SELECT ecg_id FROM ecgs WHERE ecg_id = ?", id) if kind == "ecg" else set()
        found = bool(studies or ecgs)
        patients = (
            column(
                "SELECT patient_id FROM patients p WHERE patient_id IN"
                " (SELECT patient_id FROM studies WHERE study_id = ?1"
                " UNION SELECT patient_id FROM ecgs WHERE ecg_id = ?1)"
                " AND (SELECT count(*) FROM studies s WHERE s.patient_id = p.patient_id)"
                " + (SELECT count(*) FROM ecgs e WHERE e.patient_id = p.patient_id) = 1",
                id,
            )
            if found
            else set()
        )
    if not found:
        raise StoreError(f"There is no {kind} {id!r} in this workspace.", "Ids are those that the pages show.")
    clips = {c for s in studies for c in column("SELECT clip_id FROM clips WHERE study_id = ?", s)}
    return {"patient": patients, "study": studies, "clip": clips, "ecg": ecgs}


def _delete_rows(db: sqlite3.Connection, ids: dict[str, set[str]]) -> set[str]:
    """Delete the rows and what is kept of their ids; returns the files they named."""
    blobs: set[str] = set()
    db.execute("CREATE TEMP TABLE gone (kind TEXT, id TEXT, PRIMARY KEY (kind, id)) WITHOUT ROWID")
    db.executemany("INSERT INTO gone VALUES (?, ?)", [(kind, id) for kind, of in ids.items() for id in of])
    of = "IN (SELECT id FROM gone WHERE kind = '{}')".format
    db.execute(
        "DELETE FROM reader_marks WHERE ecg_hash IN (SELECT content_hash FROM ecgs GROUP BY content_hash HAVING"
        f" min(ecg_id {of('ecg')}))"
    )
    for table, kind in (("clips", "clip"), ("ecgs", "ecg")):
        blobs |= {row[0] for row in db.execute(f"SELECT blob FROM {table} WHERE {kind}_id {of(kind)}")}
        db.execute(f"DELETE FROM {table} WHERE {kind}_id {of(kind)}")
    db.execute(f"UPDATE ecgs SET own_study_id = NULL WHERE own_study_id {of('study')}")
    db.execute(f"DELETE FROM phenotypes WHERE study_id {of('study')}")
    db.execute(f"DELETE FROM waiting_clips WHERE study_id {of('study')}")
    db.execute(f"DELETE FROM studies WHERE study_id {of('study')}")
    db.execute(f"DELETE FROM patients WHERE patient_id {of('patient')}")
    for table in ("given_ids", "corrections", "kept_members"):
        db.execute(f"DELETE FROM {table} WHERE (kind, id) IN (SELECT kind, id FROM gone)")
    db.execute("DELETE FROM kept_cohorts WHERE name NOT IN (SELECT name FROM kept_members)")
    db.execute(
        "UPDATE map_views SET sought = '' WHERE EXISTS (SELECT 1 FROM gone WHERE instr(lower(id), lower(sought)))"
    )
    db.execute("DROP TABLE gone")
    return blobs


def _cohort_of(db: sqlite3.Connection, kind: str, id: str) -> str:
    """The cohort of what goes."""
    sql = {
        "cohort": "SELECT ?1",
        "patient": "SELECT cohort FROM patients WHERE patient_id = ?1",
        "study": "SELECT cohort FROM studies JOIN patients USING (patient_id) WHERE study_id = ?1",
        "ecg": "SELECT cohort FROM ecgs JOIN patients USING (patient_id) WHERE ecg_id = ?1",
    }
    return db.execute(sql[kind], (id,)).fetchone()[0]


def _drop_vectors(workspace: Workspace, ids: dict[str, set[str]]) -> int:
    """Take rows out of the stored vectors; a study that lost its only clip or all of its rows has none."""
    dropped = 0
    for kind, model_id in stored_sets(workspace.vectors):
        stored = load_vectors(workspace.vectors, kind, model_id)
        gone = ids[_VECTOR_KINDS[kind]].intersection(stored.ids)
        if gone:
            kept = [row for row, id in enumerate(stored.ids) if id not in gone]
            _keep(stored, kept, workspace)
            dropped += len(gone)
    return dropped


def _keep(stored: VectorSet, rows: list[int], workspace: Workspace) -> None:
    replace(stored, ids=tuple(stored.ids[row] for row in rows), matrix=stored.matrix[rows]).save(workspace.vectors)


def _drop_maps(workspace: Workspace, ids: dict[str, set[str]]) -> int:
    """Delete the maps that show what goes."""
    shown = {f"ecg:{i}" for i in ids["ecg"]} | {f"study:{i}" for i in ids["study"]}
    dropped = 0
    for path in sorted(workspace.maps.glob("*.npz")):
        try:
            with np.load(path, allow_pickle=False) as drawn:
                points = {str(i) for name in drawn.files if name.endswith("_ids") for i in drawn[name]}
        except (OSError, ValueError):
            points = shown  # a damaged map tells nothing; it is drawn anew anyway
        if points & shown:
            path.unlink()
            dropped += 1
    return dropped
