"""Clips that no mask can be trusted for wait here until a person has drawn their sector or discarded them.

What waits is the picture alone, without a header or the name of a file: compressed without loss in `waiting-clips/` of
the workspace, a folder that only its owner may read and no backup holds, and shown on an admin page only. A decision
brings the clip into its study, or not; either way the picture is deleted, and who decided and when stays.
"""

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from echo2ecg_core.echo.clip import EchoClip
from echo2ecg_core.echo.deidentify import letters_inside, masked, outline_mask, some_frames
from echo2ecg_core.errors import SetAside, StoreError
from echo2ecg_core.store import audit
from echo2ecg_core.store.blobs import OLDEST_HALF_S
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import HALF_WRITTEN, Workspace
from echo2ecg_core.store.new_rows import NewClip

FOLDER = "waiting-clips"
ACCEPTED, DISCARDED = "accepted", "discarded"
WAITS = "It was set aside before and waits on the Import page."
WAS_DISCARDED = "A person looked at it and discarded it."
DRAWN = "A person drew the outline of its sector."
LETTERS = "Letters seem to stand inside what was drawn."
_FACTS = ("fps", "format", "view", "spacing_mm", "r_wave_times_s", "notes", "regions")


@dataclass(frozen=True)
class WaitingClip:
    """A clip that waits.

    Attributes:
        waiting_id, study_id, cohort: Its name here, and whose it is.
        reason: Why it was set aside, in a sentence.
        put_at: UTC, ISO 8601.
        n_frames: Of the clip.
        facts: What of an `EchoClip` does not lie in its picture.
    """

    waiting_id: str
    study_id: str
    cohort: str
    reason: str
    put_at: str
    n_frames: int
    facts: dict


@dataclass(frozen=True)
class PutAside:
    """A clip whose picture is kept here and that has to be listed: the file it came from, why, and its row."""

    path: Path
    reason: str
    row: tuple


def put_aside(workspace: Workspace, path: Path, study_id: str, file_hash: str, clip: EchoClip, reason: str) -> PutAside:
    """Keep the picture of a clip until somebody has looked at it; `list_put_aside` then lists it.

    Args:
        path: The file it was read from; its name is not kept.
        file_hash: Of that file, so that a second import need not read it.
        reason: In a sentence, without names.
    """
    from echo2ecg_core.echo.video import write_lossless

    waiting_id = "W" + hashlib.sha256(f"{study_id}/{file_hash}".encode()).hexdigest()[:15]
    picture = _path(workspace, waiting_id)
    picture.parent.mkdir(parents=True, exist_ok=True)
    os.chmod(picture.parent, 0o700)
    handle, half = tempfile.mkstemp(dir=picture.parent, prefix=HALF_WRITTEN)
    try:
        write_lossless(Path(half), clip.frames, clip.fps)
        os.fsync(handle)
        os.replace(half, picture)
    finally:
        os.close(handle)
        Path(half).unlink(missing_ok=True)
    facts = json.dumps({name: getattr(clip, name) for name in _FACTS})
    return PutAside(path, reason, (waiting_id, study_id, file_hash, reason, _now(), clip.n_frames, facts))


def drop_half_pictures(workspace: Workspace) -> None:
    """Delete pictures that a killed import has half written; what is younger than an hour may be at work."""
    for path in (workspace.folder / FOLDER).glob(f"{HALF_WRITTEN}*"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > OLDEST_HALF_S:
                path.unlink()


def list_put_aside(workspace: Workspace, clips: Sequence[PutAside]) -> None:
    """List clips whose pictures are kept; one that is listed stays as it is."""
    with workspace.write(counts=False) as db:
        db.executemany(
            "INSERT OR IGNORE INTO waiting_clips (waiting_id, study_id, file_hash, reason, put_at, n_frames, facts)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [clip.row for clip in clips],
        )


def waiting(workspace: Workspace) -> list[WaitingClip]:
    """What waits, the oldest first."""
    names = ", ".join(name for name in WaitingClip.__annotations__)
    with workspace.connect() as db:
        rows = db.execute(f"SELECT {names} {_WITH_STUDY} WHERE decision IS NULL ORDER BY put_at, waiting_id").fetchall()
    return [WaitingClip(**{**dict(row), "facts": json.loads(row["facts"])}) for row in rows]


def decisions(workspace: Workspace) -> pd.DataFrame:
    """What was decided, the latest first: decided_at, who, decision, study_id, cohort, clip_id, reason."""
    columns = ["decided_at", "who", "decision", "study_id", "cohort", "clip_id", "reason"]
    with workspace.connect() as db:
        rows = db.execute(
            f"SELECT {', '.join(columns)} {_WITH_STUDY} WHERE decision NOT NULL ORDER BY decided_at DESC, waiting_id"
        ).fetchall()
    return pd.DataFrame([tuple(row) for row in rows], columns=columns)


def known_files(workspace: Workspace, study_id: str) -> dict[str, str]:
    """Hash of the file of each clip of a study that waits or was discarded -> why it is not read again."""
    with workspace.connect() as db:
        rows = db.execute(
            "SELECT waiting_id, file_hash, decision FROM waiting_clips WHERE study_id = ? AND decision IS NOT ?",
            (study_id, ACCEPTED),
        ).fetchall()
    return {
        file: WAS_DISCARDED if decision else WAITS
        for waiting_id, file, decision in rows
        if decision or _path(workspace, waiting_id).is_file()
    }


def picture_of(workspace: Workspace, one: WaitingClip) -> EchoClip:
    """The clip as it was read, for whoever may look at it; a long film is read frame by frame.

    Raises:
        StoreError: its file is gone or damaged.
    """
    from echo2ecg_core.echo.video import read_lossless
    from echo2ecg_core.errors import ReadError

    facts: dict[str, Any] = {k: tuple(map(_frozen, v)) if isinstance(v, list) else v for k, v in one.facts.items()}
    try:
        frames = read_lossless(_path(workspace, one.waiting_id), one.n_frames)
    except ReadError as error:
        raise StoreError(
            "The picture of this clip is not here or damaged; backups hold none.", "Import its archive again."
        ) from error
    return EchoClip(frames=frames, source=one.waiting_id, **facts)


def shown(clip: EchoClip) -> list[np.ndarray]:
    """First, mean and brightest picture of a clip, (h, w, 3) uint8 each; a film's frames are held one at a time."""
    frames = iter(clip.frames)
    first = next(frames)
    total, brightest = first.astype(np.float32), first.copy()
    for frame in frames:
        total += frame
        np.maximum(brightest, frame, out=brightest)
    return [first, (total / clip.n_frames).astype(np.uint8), brightest]


def accept(
    workspace: Workspace, waiting_id: str, outlines: Sequence[np.ndarray], *, who: str, letters_are_fine: bool = False
) -> str:
    """Bring a clip into its study with everything outside the outlines black; returns its id.

    Args:
        outlines: Polygons (n, 2) of x, y in pixels.
        who: Name of the login.
        letters_are_fine: A person has looked at the letters inside and they tell nobody's name.

    Raises:
        SetAside: letters seem to stand inside; nothing was written.
        ReadError: the outlines hold nearly nothing of the picture.
        StoreError: it does not wait any longer.
    """
    from echo2ecg_core.echo.video import encode_mp4

    one = _one(workspace, waiting_id)
    clip = picture_of(workspace, one)
    mask = outline_mask(outlines, clip.frames.shape[1:3])
    if not letters_are_fine and letters_inside(some_frames(clip), mask):
        raise SetAside(LETTERS, "Draw around them, or confirm that they tell nobody's name.")
    clean = masked(clip, mask)
    new = NewClip(
        one.study_id,
        encode_mp4(clean),
        fps=clean.fps,
        n_frames=clean.n_frames,
        format=clean.format,
        view=clean.view,
        spacing_mm=clean.spacing_mm,
        r_wave_times_s=clean.r_wave_times_s,
        notes=(*clean.notes, DRAWN),
        file_hash=_file_hash(workspace, waiting_id),
    )
    with workspace.write():
        (clip_id,) = Catalog(workspace).add_clips([new])
        _decide(workspace, one, ACCEPTED, who, clip_id)
    _path(workspace, waiting_id).unlink(missing_ok=True)
    return clip_id


def discard(workspace: Workspace, waiting_id: str, *, who: str) -> None:
    """Delete the picture of a clip; the next import does not bring it in again.

    Raises:
        StoreError: it does not wait any longer.
    """
    with workspace.write(counts=False):
        _decide(workspace, _one(workspace, waiting_id), DISCARDED, who, None)
    _path(workspace, waiting_id).unlink(missing_ok=True)


def delete_pictures_without_row(workspace: Workspace) -> None:
    """Delete the pictures of clips that do not wait any longer: their study was taken out, or a decision was cut off
    between its row and its file."""
    kept = {one.waiting_id for one in waiting(workspace)}
    for path in (workspace.folder / FOLDER).glob("*"):
        if path.stem not in kept:
            path.unlink(missing_ok=True)


_WITH_STUDY = "FROM waiting_clips JOIN studies USING (study_id) JOIN patients USING (patient_id)"


def _one(workspace: Workspace, waiting_id: str) -> WaitingClip:
    found = next((one for one in waiting(workspace) if one.waiting_id == waiting_id), None)
    if found is None:
        raise StoreError("This clip does not wait any longer: somebody decided on it.", "Choose another one.")
    return found


def _file_hash(workspace: Workspace, waiting_id: str) -> str:
    with workspace.connect() as db:
        return db.execute("SELECT file_hash FROM waiting_clips WHERE waiting_id = ?", (waiting_id,)).fetchone()[0]


def _decide(workspace: Workspace, one: WaitingClip, decision: str, who: str, clip_id: str | None) -> None:
    with workspace.write() as db:
        decided = db.execute(
            "UPDATE waiting_clips SET decision = ?, who = ?, decided_at = ?, clip_id = ?"
            " WHERE waiting_id = ? AND decision IS NULL",
            (decision, who, _now(), clip_id, one.waiting_id),
        )
        if not decided.rowcount:
            raise StoreError("This clip does not wait any longer: somebody decided on it.", "Choose another one.")
        audit.record(workspace, "settle a clip", what=decision, cohort=one.cohort, clips=1)


def _path(workspace: Workspace, waiting_id: str) -> Path:
    return workspace.folder / FOLDER / f"{waiting_id}.mkv"


def _frozen(value):
    return tuple(value) if isinstance(value, list) else value


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
