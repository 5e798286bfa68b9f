"""Key frames of a report: the R wave, the end of systole after it, and what a clip without R waves says."""

import numpy as np
import pytest

from echo2ecg_core.echo.clip import EchoClip
from echo2ecg_core.echo.key_frames import key_frames


def clip(n_frames: int, fps: float, r_waves: tuple[float, ...]) -> EchoClip:
    """Frame i is of the grey level i."""
    frames = np.broadcast_to(np.arange(n_frames, dtype=np.uint8)[:, None, None, None], (n_frames, 8, 8, 3)).copy()
    return EchoClip(frames, fps, "made", "made", r_wave_times_s=r_waves)


@pytest.mark.parametrize(("rate_bpm", "systole_s"), [(60, 0.380), (100, 0.296), (45, 0.4115)])
def test_end_systole_lies_where_weissler_found_aortic_closure(rate_bpm, systole_s):
    found = key_frames(clip(200, 100.0, (0.10, 0.10 + 60 / rate_bpm)))
    assert found.diastole == 10 and abs(found.systole - 100 * (0.10 + systole_s)) <= 1
    assert (found.diastole_picture == found.diastole).all() and (found.systole_picture == found.systole).all()


def test_a_beat_whose_end_systole_the_clip_does_not_hold_is_not_taken():
    found = key_frames(clip(100, 100.0, (0.05, 0.95)))
    assert found.diastole == 5
    assert key_frames(clip(100, 100.0, (0.95,))).systole == 99  # no other beat: the last frame


def test_without_r_waves_the_first_frame_is_taken_and_told():
    found = key_frames(clip(60, 50.0, ()))
    assert found.diastole == 0 and "no R wave" in found.found and 10 < found.systole < 30


def test_a_still_picture_is_both():
    found = key_frames(clip(1, 30.0, (0.0,)))
    assert found.diastole == found.systole == 0
