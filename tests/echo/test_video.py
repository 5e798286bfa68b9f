"""MP4 round trips against the frames that went in, FFmpeg's own view of the file, and sample videos of other makers."""

import dataclasses
import io

import numpy as np
import pytest

from echo2ecg_core.echo.clip import EchoClip
from echo2ecg_core.echo.video import decode_video, encode_mp4, gif_of
from echo2ecg_core.errors import ReadError


@pytest.fixture
def moving_disc() -> EchoClip:
    """A bright disc on a red-tinted ramp, moving one pixel a frame; odd height and width."""
    y, x = np.mgrid[:95, :121]
    frames = np.empty((20, 95, 121, 3), np.uint8)
    for t, frame in enumerate(frames):
        frame[:] = np.stack([60 + x, 40 + y, 50 + 0 * x], -1)
        frame[(y - 40) ** 2 + (x - 40 - t) ** 2 < 300] = (230, 220, 210)
    return EchoClip(frames, 47.5, "test", "disc", "A4C", None, 0.62, (0.1, 0.3), True)


def test_frames_survive_the_round_trip_within_compression_loss(moving_disc):
    frames, fps, _ = decode_video(encode_mp4(moving_disc))
    assert frames.shape == (20, 96, 122, 3)
    assert fps == pytest.approx(47.5, abs=0.01)
    error = np.abs(frames[:, :95, :121].astype(int) - moving_disc.frames)
    assert error.mean() < 3
    assert np.abs(frames[0, 40, 40].astype(int) - (230, 220, 210)).max() < 8


def test_what_the_player_needs_survives_in_the_comment(moving_disc):
    _, _, metadata = decode_video(encode_mp4(moving_disc))
    assert metadata.pop("container").startswith("mov")
    assert metadata == {"view": "A4C", "r_wave_times_s": [0.1, 0.3], "spacing_mm": 0.62, "synthetic": True}


def test_the_same_clip_gives_the_same_bytes(moving_disc):
    assert len({encode_mp4(moving_disc) for _ in range(6)}) == 1


def test_the_file_is_h264_with_a_key_frame_every_eight_pictures(moving_disc):
    import av

    with av.open(io.BytesIO(encode_mp4(moving_disc))) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        key_frames = [i for i, picture in enumerate(container.decode(stream)) if picture.key_frame]
    assert key_frames == [0, 8, 16]


@pytest.mark.parametrize("content", [b"", b"no video at all " * 40, b"\0\0\0\x18ftypisom" + bytes(300)])
def test_what_is_no_video_is_said_in_words(content):
    with pytest.raises(ReadError, match="cannot be decoded: expected an MP4"):
        decode_video(content)


def test_a_video_that_would_fill_the_memory_is_refused(moving_disc, monkeypatch):
    monkeypatch.setattr("echo2ecg_core.echo.video.MAX_DECODED_BYTES", 200_000)
    with pytest.raises(ReadError, match="too large"):
        decode_video(encode_mp4(moving_disc))


@pytest.mark.parametrize("box", [b"stts", b"stsz", b"stss"])
def test_a_damaged_video_that_asks_for_gigabytes_is_refused(moving_disc, box):
    content = bytearray(encode_mp4(moving_disc))
    at = content.index(box) + 8
    content[at : at + 4] = (2**29).to_bytes(4, "big")  # entries of the table
    with pytest.raises(ReadError, match="asks for more memory than there is"):
        decode_video(bytes(content))


@pytest.mark.parametrize(
    ("path", "shape", "fps"),
    [
        ("gif/vital_subject073_4cv.gif", (151, 360, 1080, 3), 100 / 3),
        ("video_converted/sonosite_a4c.avi", (30, 240, 320, 3), 30),
        ("video_converted/sonosite_a4c.mp4", (30, 240, 320, 3), 30),
    ],
)
def test_sample_videos_have_the_frames_and_rates_of_the_manifest(samples, path, shape, fps):
    frames, found_fps, metadata = decode_video(samples / "echo" / path)
    assert (frames.shape, found_fps) == (shape, pytest.approx(fps, abs=0.01))
    assert set(metadata) == {"container"}


@pytest.mark.parametrize(("fps", "shown"), [(30.0, 20), (50.0, 20), (100.0, 10)])
def test_a_gif_lasts_as_long_as_the_clip_and_shows_the_same_pictures(moving_disc, fps, shown):
    from PIL import Image

    clip = dataclasses.replace(moving_disc, fps=fps)
    film = Image.open(io.BytesIO(gif_of(encode_mp4(clip), "Synthetic.")))
    assert film.n_frames == shown and film.info["comment"] == b"Synthetic."
    lasted, step = 0, 20 // shown
    for i in range(film.n_frames):
        film.seek(i)
        lasted += film.info["duration"]
        picture = np.asarray(film.convert("RGB")).astype(int)[:95, :121]
        assert np.abs(picture - clip.frames[i * step]).mean() < 6
    assert lasted == pytest.approx(1000 * clip.duration_s, abs=10)
