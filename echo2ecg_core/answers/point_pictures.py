"""A small picture of what a point of the map is: an ECG as a small paper, a study as its frame at end-diastole."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

from echo2ecg_core.echo.key_frames import key_places
from echo2ecg_core.echo.video import decode_video
from echo2ecg_core.errors import StoreError
from echo2ecg_core.figures.small_paper import small_paper_file
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.rows import ClipRow

FIRST_VIEWS = ("A4C", "A2C", "Parasternal_Long")  # what is shown of a study, the first that it has
LONGEST_SIDE_PX = 200
PAPER_WORDS = "2.5 s of each lead, 25 mm/s, 10 mm/mV"


@dataclass(frozen=True)
class Picture:
    """A file, its media type, and what it shows in words."""

    content: bytes
    media_type: str
    words: str


def clip_to_show(clips: Sequence[ClipRow]) -> ClipRow | None:
    """The clip that stands for a study, None where none has a picture."""
    shown = [clip for clip in clips if clip.has_picture]
    return next((c for view in FIRST_VIEWS for c in shown if c.view == view), shown[0] if shown else None)


def ecg_picture(workspace: Workspace, ecg_id: str, dark: bool = False) -> Picture:
    """An ECG of the workspace as a small paper (SVG).

    Raises:
        StoreError: there is none, or its file is missing or damaged.
    """
    record = Catalog(workspace).ecg_record(ecg_id)
    return Picture(small_paper_file(record, f"ECG {ecg_id}", dark), "image/svg+xml", PAPER_WORDS)


def study_picture(workspace: Workspace, study_id: str) -> Picture:
    """The frame at end-diastole (echo.key_frames) of the clip that stands for a study, LONGEST_SIDE_PX at most (JPEG).

    Raises:
        StoreError: there is no such study, it has no clip with a picture, or the file is missing or damaged.
        ReadError: the clip cannot be decoded.
    """
    from PIL import Image

    catalog = Catalog(workspace)
    clip = clip_to_show(catalog.clips_of(catalog.study(study_id).study_id))
    if clip is None:
        raise StoreError(f"No clip of the study {study_id!r} has a picture here.", "Choose another study.")
    diastole, _ = key_places(clip.r_wave_times_s, clip.fps, clip.n_frames)
    frames, _, _ = decode_video(catalog.clip_content(clip.clip_id), diastole + 1, every=max(diastole, 1))
    picture = Image.fromarray(frames[-1])
    picture.thumbnail((LONGEST_SIDE_PX, LONGEST_SIDE_PX))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=85)
    when = "end-diastole" if clip.r_wave_times_s else "first frame"
    return Picture(file.getvalue(), "image/jpeg", f"{clip.view or 'unnamed view'}, {when}")
