"""A DICOM film that is too long for memory: read frame by frame, the same pictures, bounded memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from echo2ecg_core.echo import dicom as reader
from echo2ecg_core.echo import long_film
from echo2ecg_core.echo.deidentify import deidentified
from echo2ecg_core.echo.long_film import LongFilm
from echo2ecg_core.echo.readers import read_clip
from echo2ecg_core.echo.video import decode_video, encode_mp4
from echo2ecg_core.errors import ReadError
from tests.echo.test_readers import dicom, jpeg, region

ROOT = Path(__file__).resolve().parents[2]


def film(n: int, side: int, seed: int = 0) -> np.ndarray:
    """(n, side, side, 3) of a sector that moves, with a name beside it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    sector = (np.abs(np.arctan2(x - side / 2, y + 5)) < 0.7) & (np.hypot(x - side / 2, y + 5) < 0.9 * side)
    coarse = rng.integers(40, 200, (n, side // 8, side // 8)).repeat(8, 1).repeat(8, 2)
    frames = np.zeros((n, side, side), np.uint8)
    frames[:, : coarse.shape[1], : coarse.shape[2]] = coarse
    frames *= sector
    frames[:, 4:10, 4:28] = 255
    return np.repeat(frames[..., None], 3, axis=3)


@pytest.fixture
def long(monkeypatch):
    """Films of more than ten thousand bytes are long."""
    monkeypatch.setattr(reader, "HELD_BYTES", 10_000)
    monkeypatch.setattr(reader, "DEFERRED_BYTES", 1_000)


FILMS = {
    "uncompressed": lambda frames: dicom(frames),
    "JPEG": lambda frames: dicom(frames, jpegs=[jpeg(frame) for frame in frames], label="YBR_FULL_422"),
    "YBR": lambda frames: dicom(frames, label="YBR_FULL"),
    "pixels that are not square": lambda frames: dicom(
        frames, SequenceOfUltrasoundRegions=[region(delta_x=0.05, delta_y=0.04, right=96, bottom=96)]
    ),
}


@pytest.mark.parametrize("kind", FILMS)
def test_a_long_film_shows_the_frames_of_one_that_is_held(kind, tmp_path, long):
    content = FILMS[kind](film(20, 96))
    (tmp_path / "cine.dcm").write_bytes(content)
    held, streamed = read_clip(content, "cine.dcm"), read_clip(tmp_path / "cine.dcm")
    assert isinstance(streamed.frames, LongFilm) and isinstance(held.frames, np.ndarray)
    assert streamed.frames.shape == held.frames.shape
    np.testing.assert_array_equal(np.asarray(streamed.frames), held.frames)
    assert vars(streamed) | {"frames": 0} == vars(held) | {"frames": 0} and streamed.content_hash == held.content_hash


def test_rle_and_planar_films_are_long_too(tmp_path, long):
    from pydicom.data import get_testdata_file

    for name in ("SC_rgb_rle_2frame.dcm", "SC_rgb_rle_16bit_2frame.dcm"):
        path = Path(get_testdata_file(name))
        dataset = dcmread(path)
        streamed = np.stack(list(reader._images(dataset, dataset.file_meta.TransferSyntaxUID, path, None)))
        np.testing.assert_array_equal(streamed, reader._frames(dataset, dataset.file_meta.TransferSyntaxUID))


def test_a_long_film_is_masked_and_encoded_as_one_that_is_held(tmp_path, long, monkeypatch):
    content = dicom(film(40, 96))
    (tmp_path / "cine.dcm").write_bytes(content)
    monkeypatch.setattr(long_film, "HELD_BYTES", 40 * 96 * 96 * 3)  # so its mask is found in all of its frames
    held, streamed = deidentified(read_clip(content, "x")), deidentified(read_clip(tmp_path / "cine.dcm"))
    assert isinstance(streamed.frames, LongFilm) and encode_mp4(streamed) == encode_mp4(held)
    monkeypatch.setattr(long_film, "HELD_BYTES", 12 * 96 * 96 * 3)  # and in twelve of them
    sampled = decode_video(encode_mp4(deidentified(read_clip(tmp_path / "cine.dcm"))))[0]
    assert len(sampled) == 40 and sampled[:, 4:10, 4:28].max() < 30 and sampled[:, 50:70, 40:56].mean() > 60


def test_a_long_film_that_is_cut_short_or_damaged_is_refused_when_its_frames_are_read(tmp_path, long):
    frames = film(20, 96)
    (tmp_path / "cine.dcm").write_bytes(dicom(frames, jpegs=[jpeg(f) for f in frames[:18]], label="YBR_FULL_422"))
    with pytest.raises(ReadError, match="cut short: 20 frames announced, 18 found|cannot be decoded"):
        list(read_clip(tmp_path / "cine.dcm").frames)
    stored = [jpeg(f) for f in frames]
    stored[7] = stored[7][:200] + bytes(100)
    (tmp_path / "cine.dcm").write_bytes(dicom(frames, jpegs=stored, label="YBR_FULL_422"))
    with pytest.raises(ReadError, match="frame 8 of 20"):
        deidentified(read_clip(tmp_path / "cine.dcm"))


def test_a_film_in_memory_and_one_beyond_all_bounds_are_refused(tmp_path):
    with pytest.raises(ReadError, match="more than 1 GB"):
        read_clip(dicom(NumberOfFrames=2_000_000), "x")
    (tmp_path / "cine.dcm").write_bytes(dicom(NumberOfFrames=20_000_000))
    with pytest.raises(ReadError, match="more than 8 GB"):
        read_clip(tmp_path / "cine.dcm")


MEASURED = """
import resource, sys
from pathlib import Path
from echo2ecg_core.echo import dicom, long_film
from echo2ecg_core.intake.decoding import ClipToRead, read_clip_file
from echo2ecg_core.intake.plan import PlannedClip
from echo2ecg_core.store.new_rows import StoredClip

dicom.HELD_BYTES = long_film.HELD_BYTES = 4_000_000
peaks = []
for name in ("short", "long"):
    wanted = ClipToRead(PlannedClip("S", Path(sys.argv[1]) / name), "S", frozenset(), {})
    row = read_clip_file(Path(sys.argv[1]) / "w", False, None, wanted)
    assert isinstance(row, StoredClip), row
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(row.n_frames, peaks[1] - peaks[0])
"""


@pytest.mark.slow
def test_the_memory_that_an_import_takes_does_not_grow_with_the_film(tmp_path):
    frames = film(240, 320)  # 74 MB
    for name, part in (("short", frames[:30]), ("long", frames)):
        (tmp_path / name).write_bytes(dicom(part, FrameTime="20"))
    run = subprocess.run(
        [sys.executable, "-c", MEASURED, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr
    n_frames, more_kb = map(int, run.stdout.split())
    assert n_frames == 240 and more_kb * 1024 < frames.nbytes / 4
