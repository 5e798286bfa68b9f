"""Stored clips become network inputs as their whole films would, though the frames between are never made."""

import numpy as np
import pytest

from echo2ecg_core.answers.inputs import prepared_clip
from echo2ecg_core.echo.clip import EchoClip
from echo2ecg_core.echo.preprocess import prepare_frames
from echo2ecg_core.echo.video import decode_video, encode_mp4
from echo2ecg_core.models.specs import ModelSpec


@pytest.mark.parametrize("n", [1, 9, 31, 32, 33, 45])
def test_a_stored_clip_is_prepared_like_its_whole_film(n):
    bright = np.linspace(20, 220, n).astype(np.uint8)[:, None, None, None]
    film = np.broadcast_to(bright, (n, 64, 80, 3)).copy()
    film[:, :, :40] //= 2
    mp4, spec = encode_mp4(EchoClip(frames=film, fps=40.0, source="film", format="MP4")), ModelSpec()
    whole, fps, _ = decode_video(mp4)
    np.testing.assert_array_equal(prepared_clip(spec, mp4), prepare_frames(whole, spec.clip_encoder.padding))
    half, fps_of_half, _ = decode_video(mp4, every=2)
    np.testing.assert_array_equal(half, whole[::2])
    assert fps_of_half == fps == pytest.approx(40, abs=0.1) or n == 1
