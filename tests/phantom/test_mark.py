"""The mark of simulated clips, found in their pixels after compression and in nothing else."""

import numpy as np
import pytest

from echo2ecg_core.echo.deidentify import deidentified
from echo2ecg_core.echo.readers import read_clip
from echo2ecg_core.phantom.cohort import write_cohort
from echo2ecg_core.phantom.mark import draw_mark, shows_mark


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
