"""The mark of simulated clips, found in their pixels after compression and in nothing else."""

import numpy as np
import pytest

from echo2ecg_core.echo.deidentify import deidentified
from echo2ecg_core.echo.readers import read_clip
from echo2ecg_core.phantom.cohort import write_cohort
from echo2ecg_core.phantom.mark import draw_mark, marked_square, shows_mark, with_mark


@pytest.mark.slow
def test_every_clip_of_a_cohort_shows_the_mark_and_loses_it_with_its_corner(tmp_path):
    write_cohort(tmp_path, 1, 3, format="mp4")
    clips = [p for p in sorted(tmp_path.glob("echo/*/*/*")) if p.is_file()]
    assert len(clips) >= 4
    for path in clips:
        frames = read_clip(path).frames
        assert shows_mark(frames), path.name
        hidden = frames.copy()
        hidden[:, : frames.shape[1] // 5, : frames.shape[2] // 2] = 0
        assert not shows_mark(hidden)


@pytest.mark.slow
def test_simulated_screens_with_a_name_on_them_are_masked_like_real_ones(tmp_path):
    """DICOM phantoms carry a made-up name above the picture, so their manifest does not let them pass."""
    write_cohort(tmp_path, 1, 3, format="dicom")
    for path in sorted(tmp_path.glob("echo/*/*/*")):
        clip = read_clip(path)
        assert not shows_mark(clip.frames)
        assert clip.frames[:, :20].max() > 150 and not deidentified(clip).frames[:, :30].any(), path.name


@pytest.mark.slow
def test_a_masked_phantom_shows_its_mark_again_and_nothing_of_its_name(tmp_path):
    from echo2ecg_core.echo.video import decode_video
    from echo2ecg_core.intake.ingest import ingest
    from echo2ecg_core.store.catalog import Catalog
    from echo2ecg_core.store.database import Workspace

    place = Workspace(tmp_path / "w")
    report = ingest(write_cohort(tmp_path / "c", 1, 3, format="dicom"), place, cohort="phantoms")
    assert report.clips >= 4 and report.waiting == 0
    for clip_id in Catalog(place).clips().clip_id:
        frames, _, _ = decode_video(Catalog(place).clip_content(clip_id))
        left, top, size = marked_square(frames)
        assert left > 0 and frames[:, :top].max() < 12 and frames[:, :, :left].max() < 12, clip_id


def test_the_mark_is_drawn_anew_and_needs_nothing_of_what_stood_there():
    empty = np.zeros((2, 300, 400, 3), np.uint8)
    drawn = with_mark(empty, (50, 30, 200))
    assert shows_mark(drawn[:, 30:230, 50:250]) and not empty.any()
    assert not drawn[:, :30].any() and not drawn[:, :, :50].any() and not drawn[:, 60:].any()


def test_other_pictures_do_not_show_it():
    from PIL import Image

    rng = np.random.default_rng(0)
    assert not shows_mark(rng.integers(0, 255, (4, 224, 224, 3), dtype=np.uint8))
    assert not shows_mark(np.zeros((4, 224, 224, 3), np.uint8))
    picture = Image.new("RGB", (224, 224))
    draw_mark(picture)
    marked = np.repeat(np.asarray(picture)[None], 3, axis=0)
    assert shows_mark(marked)
    assert not shows_mark(np.concatenate([marked, np.zeros_like(marked[:1])]))  # every frame has to
    assert not shows_mark(marked[:, :, ::-1])
