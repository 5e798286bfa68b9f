"""What readers say of hits: similar to the ECG or not, by whom, kept beside the catalog.

An ECG is named by the hash of its signal, so that one from outside the workspace can be marked and nothing of its file
is kept. A reader has one word a hit and model; a new one takes the place of the old. Marks leave the catalogue's
version alone: nothing is computed from them but the precision of the report.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd

from echo2ecg_core.store.database import Workspace

COLUMNS = ["ecg_hash", "study_id", "model_id", "reader", "is_similar", "rank", "similarity", "marked_at"]


@dataclass(frozen=True)
class Hit:
    """Which hit is meant: the ECG (`EcgRecord.content_hash`), the study, and the model that ranked it."""

    ecg_hash: str
    study_id: str
    model_id: str


def mark(workspace: Workspace, hit: Hit, reader: str, is_similar: bool, *, rank: int, similarity: float) -> None:
    """Keep a reader's word on a hit.

    Args:
        workspace: Where. hit: Which. reader: Who says it, as shown to others.
        is_similar: What they say. rank: Of the hit, from 1. similarity: Its cosine.
    """
    made = datetime.now(UTC).isoformat(timespec="seconds")
    values = (hit.ecg_hash, hit.study_id, hit.model_id, reader, int(is_similar), rank, similarity, made)
    with workspace.write(counts=False) as db:
        db.execute("INSERT OR REPLACE INTO reader_marks VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)


def unmark(workspace: Workspace, hit: Hit, reader: str) -> None:
    """Take a reader's word on a hit back; nothing where there is none."""
    with workspace.write(counts=False) as db:
        db.execute(
            "DELETE FROM reader_marks WHERE ecg_hash = ? AND study_id = ? AND model_id = ? AND reader = ?",
            (hit.ecg_hash, hit.study_id, hit.model_id, reader),
        )


def marks(workspace: Workspace, model_id: str | None = None) -> pd.DataFrame:
    """One row a mark with the columns COLUMNS, of one model or of all; `is_similar` is bool."""
    if not workspace.exists():
        return pd.DataFrame(columns=COLUMNS)
    with workspace.connect() as db:
        rows = db.execute(
            f"SELECT {', '.join(COLUMNS)} FROM reader_marks WHERE ?1 IS NULL OR model_id = ?1"
            " ORDER BY ecg_hash, rank, reader",
            (model_id,),
        ).fetchall()
    return pd.DataFrame([tuple(row) for row in rows], columns=COLUMNS).astype({"is_similar": bool})


def marks_state(workspace: Workspace, model_id: str) -> int:
    """A key that changes whenever `marks` of a model would give something else."""
    if not workspace.exists():
        return 0
    with workspace.connect() as db:
        said = "SELECT ecg_hash, study_id, reader, is_similar, rank FROM reader_marks WHERE model_id = ?"
        return hash(tuple(map(tuple, db.execute(said, (model_id,)))))


def marks_of(workspace: Workspace, hit: Hit) -> dict[str, bool]:
    """Reader -> what they said of a hit."""
    with workspace.connect() as db:
        rows = db.execute(
            "SELECT reader, is_similar FROM reader_marks WHERE ecg_hash = ? AND study_id = ? AND model_id = ?",
            (hit.ecg_hash, hit.study_id, hit.model_id),
        ).fetchall()
    return {row["reader"]: bool(row["is_similar"]) for row in rows}
