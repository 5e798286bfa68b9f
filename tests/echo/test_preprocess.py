"""Clip preparation: exact against the published numbers, and sensible where the published code fails."""

import importlib.util
import json

import numpy as np
import pytest

from echo2ecg_core.echo.preprocess import MEAN, STD, crop_and_scale, prepare_frames, prepare_panecho
from echo2ecg_core.errors import ReadError

CASES = {
    "long_40x300x400": (40, 300, 400),
    "short_21x300x400": (21, 300, 400),
    "tall_34x401x300": (34, 401, 300),
    "square_32x256x256": (32, 256, 256),
}


@pytest.fixture(scope="module")
def inputs(goldens):
    module_spec = importlib.util.spec_from_file_location("golden_inputs", goldens / "golden_inputs.py")
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_published_frames_are_reproduced(case, goldens, inputs):
    constants = json.loads((goldens / "constants.json").read_text())
    facts = json.loads((goldens / "echo_encoder.json").read_text())[case]
    arrays = np.load(goldens / "echo_encoder.npz")
    raw = inputs.raw_video(constants, *CASES[case])
    assert inputs.checksum(raw) == facts["raw"]

    first = crop_and_scale(raw[0])
    expected = arrays[f"{case}_frame0_uint8"]
    np.testing.assert_array_equal(first if expected.shape[0] == 224 else first[100:132, 100:132], expected)
    assert int(first.astype(np.int64).sum()) == facts["frame0_sum"]

    output = prepare_frames(raw)
    assert output.dtype == np.float32 and output.shape == (3, 16, 224, 224)
    np.testing.assert_allclose(output[:, ::5, 96:112, 96:112], arrays[f"{case}_slice"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(output[:, -1, 0, 0], facts["last_frame_first_pixel"], rtol=0, atol=1e-6)
    found = inputs.checksum(output)
    for name in ("sum", "sum_abs", "weighted"):
        assert found[name] == pytest.approx(facts["output"][name], rel=1e-6)


def test_missing_frames_are_black_or_zero_as_the_spec_says():
    clip = np.full((5, 240, 240, 3), 90, dtype=np.uint8)  # frames 0, 2, 4 remain
    black, zero = prepare_frames(clip), prepare_frames(clip, padding="after_normalising")
    np.testing.assert_array_equal(black[:, :3], zero[:, :3])
    np.testing.assert_allclose(black[:, 3:], np.broadcast_to((-MEAN / STD)[:, None, None, None], (3, 13, 224, 224)))
    assert not zero[:, 3:].any()


@pytest.mark.parametrize("height, width", [(300, 301), (301, 300), (224, 225)])
def test_sides_that_differ_by_one_pixel_are_read(height, width):
    gradient = np.linspace(0, 255, width).astype(np.uint8)
    clip = np.broadcast_to(gradient[None, None, :, None], (2, height, width, 3))
    frame = crop_and_scale(clip[0])
    square = crop_and_scale(clip[0, : min(height, width), : min(height, width)])
    assert frame.shape == (224, 224, 3)
    assert np.abs(frame.astype(int) - square.astype(int)).max() <= 2


def test_exactly_sixteen_of_every_second_frame_are_taken():
    clip = np.zeros((64, 224, 224, 3), dtype=np.uint8)
    clip[:] = np.arange(64, dtype=np.uint8)[:, None, None, None]
    red = prepare_frames(clip)[0, :, 0, 0] * STD[0] + MEAN[0]
    np.testing.assert_allclose(red, np.arange(0, 32, 2), atol=1e-4)


@pytest.mark.parametrize(
    "frames, words",
    [
        (np.zeros((4, 10, 10), np.uint8), r"\(frames, height, width, 3\) bytes, found \(4, 10, 10\) uint8"),
        (np.zeros((4, 10, 10, 3), np.float32), "found .* float32"),
        (np.zeros((0, 10, 10, 3), np.uint8), "holds 0 frames of 10 x 10 pixels; at least one frame of 16 x 16"),
        (np.zeros((3, 1, 400, 3), np.uint8), "holds 3 frames of 400 x 1 pixels"),
    ],
)
def test_other_arrays_are_refused_in_words(frames, words):
    with pytest.raises(ReadError, match=words):
        prepare_frames(frames)


@pytest.mark.parametrize("case", ["exact_16x256x256", "short_9x256x256", "resized_16x300x400"])
def test_frames_are_prepared_for_panecho_as_published(goldens, case):
    folder = goldens / "others"
    spec = importlib.util.spec_from_file_location("inputs_others", folder / "inputs_others.py")
    inputs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(inputs)
    frames = inputs.panecho_frames(json.loads((goldens / "constants.json").read_text()), case)
    found = prepare_panecho(frames)
    assert found.shape == (3, 16, 224, 224) and found.dtype == np.float32
    golden = np.load(folder / "panecho.npz")[f"{case}_slice"]
    np.testing.assert_allclose(found[:, ::5, 96:112, 96:112], golden, atol=0.018 if "resized" in case else 1e-5)


def test_panecho_reads_blue_first_consecutive_frames_and_repeats_the_last():
    frames = np.zeros((5, 256, 256, 3), np.uint8)
    frames[..., 2] = (10 * np.arange(1, 6))[:, None, None]  # blue counts the frames
    frames[:, 16, 16, 0] = 255  # red at the first corner that is read
    found = prepare_panecho(frames)
    times = found[0, :, 100, 100] * 0.229 + 0.485  # plane 0 is blue under the constants meant for red
    np.testing.assert_allclose(255 * times, [10, 20, 30, 40, *[50] * 12], atol=1e-3)
    assert found[2, 0, 0, 0] == pytest.approx((1 - 0.406) / 0.225, abs=1e-5)
    assert found[2, 0, 0, 1] == pytest.approx(-0.406 / 0.225, abs=1e-5)


def test_what_is_no_clip_is_refused_for_panecho_too():
    with pytest.raises(ReadError):
        prepare_panecho(np.zeros((0, 256, 256, 3), np.uint8))
    with pytest.raises(ReadError):
        prepare_panecho(np.zeros((16, 256, 256, 3), np.float32))
