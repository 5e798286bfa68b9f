"""De-identification on pictures whose sector and letters are known, and on recordings of real machines."""

import numpy as np
import pytest

from echo2ecg_core.echo.clip import EchoClip
from echo2ecg_core.echo.deidentify import _brightest, _ends_of_rows, _spread, deidentified, letters_inside, sector_mask
from echo2ecg_core.echo.readers import read_clip
from echo2ecg_core.errors import ReadError, SetAside


def screen_with_name(n_frames=12, h=240, w=320) -> tuple[np.ndarray, np.ndarray]:
    """Flickering tissue in a known sector, a name and a date above it, an ECG line with a running marker below."""
    from PIL import Image, ImageDraw, ImageFont

    y, x = np.mgrid[:h, :w]
    radius, angle = np.hypot(x - w / 2, y - 30), np.arctan2(x - w / 2, y - 30)
    sector = (radius < 170) & (np.abs(angle) < 0.7)
    picture = Image.new("RGB", (w, h))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
    draw.text((4, 2), "MUSTERMANN, ERIKA", fill=(255, 255, 255), font=font)
    draw.text((220, 2), "02 JAN 1950", fill=(255, 255, 255), font=font)
    draw.line((0, 222, w, 218), fill=(0, 255, 0))
    frames = np.repeat(np.asarray(picture)[None], n_frames, axis=0)
    rng = np.random.default_rng(0)
    for t, frame in enumerate(frames):
        frame[sector] = rng.integers(10, 140, (sector.sum(), 1))
        frame[205:235, 10 + 20 * t] = 255
    return frames, sector


def test_letters_and_traces_outside_the_sector_are_gone_and_the_sector_stays():
    frames, sector = screen_with_name()
    clean = deidentified(EchoClip(frames, 40.0, "AVI", "Mustermann_Erika.avi"))
    assert not clean.frames[:, :24].any()
    assert not clean.frames[:, 206:].any()
    assert (clean.frames[:, sector] == frames[:, sector]).mean() > 0.998  # the cone's tip is finer than a letter
    mask = sector_mask(frames)
    assert (mask & ~sector).mean() < 0.02


def test_the_file_name_goes_too_and_the_rest_of_the_clip_stays():
    frames, _ = screen_with_name()
    clip = EchoClip(frames, 40.0, "AVI", "Mustermann_Erika.avi", "A4C", 0.9, 0.5, (0.1,), False, ("a note",))
    clean = deidentified(clip)
    assert "Muster" not in repr(clean.source)
    assert clean.source == "clip"
    assert (clean.fps, clean.view, clean.spacing_mm, clean.r_wave_times_s) == (40.0, "A4C", 0.5, (0.1,))
    assert clean.notes[0] == "a note"
    assert clean.notes[1].startswith("Everything outside the ultrasound sector was blacked out (")


@pytest.mark.parametrize("n_frames", [1, 5])
def test_what_does_not_move_is_refused_and_never_passed_on(n_frames):
    frames, _ = screen_with_name(1)
    clip = EchoClip(np.repeat(frames, n_frames, axis=0), 30.0, "DICOM", "still")
    with pytest.raises(ReadError, match=f"no moving ultrasound sector was found in its {n_frames} frame"):
        deidentified(clip)


def test_moving_digits_alone_are_no_sector():
    frames, sector = screen_with_name()
    frames[:, sector] = 0
    assert sector_mask(frames) is None


def test_a_real_machine_loses_its_letters_and_keeps_its_heart(samples):
    clip = read_clip(samples / "echo/us_multiframe_dicom/pydicom_examples_ybr_color.dcm")
    clean = deidentified(clip)
    assert clip.frames[0, :30, :40].max() > 100  # "PLA", "Gen THI"
    assert not clean.frames[:, :, :60].any()  # left column of letters
    assert not clean.frames[:, :, 265:].any()  # depth marks, MI, TIS
    assert not clean.frames[:, 215:].any()  # menu
    heart = clip.frames[:, 40:190, 115:200]
    assert clean.frames[:, 40:190, 115:200].sum() > 0.97 * heart.sum()


HARD = {
    "lit background": {"background": 60},
    "noise everywhere": {"noise": 4.0},
    "both": {"background": 40, "noise": 4.0},
    "a bar close to the sector": {"bar": True},
    "compressed with noise": {"compressed": True, "noise": 4.0},
}


@pytest.mark.parametrize("difficulty", HARD.values(), ids=HARD)
@pytest.mark.parametrize("seed", [101, 103])
def test_names_around_a_sector_are_gone_however_hard_the_picture(difficulty, seed):
    from benchmarks.deidentify import clip

    frames, sector, text = clip(seed, False, **difficulty)
    try:
        clean = deidentified(EchoClip(frames, 30.0, "AVI", "clip.avi"))
    except SetAside:
        return
    assert clean.frames[:, text].any(axis=(0, 2)).mean() < 0.01
    assert (clean.frames[:, sector] == frames[:, sector]).mean() > 0.98


@pytest.mark.parametrize("seed", range(201, 207))
def test_a_name_inside_the_sector_is_found_and_the_clip_set_aside(seed):
    from benchmarks.deidentify import clip

    frames, _, _ = clip(seed, True)
    with pytest.raises(SetAside, match="Letters"):
        deidentified(EchoClip(frames, 30.0, "AVI", "clip.avi"))


@pytest.mark.parametrize("seed", [201, 204])
def test_a_dark_name_on_bright_tissue_is_found_like_a_bright_one(seed):
    from benchmarks.deidentify import clip

    frames, _, _ = clip(seed, True, dark=True)
    with pytest.raises(SetAside, match="Letters"):
        deidentified(EchoClip(frames, 30.0, "AVI", "clip.avi"))


def test_gaps_that_valves_leave_dark_for_moments_are_no_letters():
    from benchmarks.deidentify import clip

    frames, sector, _ = clip(203, False)
    y, x = (int(v.mean()) for v in np.nonzero(sector))
    blood = frames[:, y - 30 : y + 30, x - 40 : x + 40]
    blood[:] = np.random.default_rng(0).normal(20, 6, blood.shape).clip(5, 40)
    blood[5:8] = 140  # leaflets pass
    for left in (8, 24, 40, 56):
        blood[5:8, 20:32, left : left + 5] = 25
    passed = deidentified(EchoClip(frames, 30.0, "AVI", "clip.avi"))
    assert (passed.frames[:, sector] == frames[:, sector]).mean() > 0.98
    blood[:, 20:32, 8:61] = 140  # the same marks on tissue that is there all the time
    for left in (8, 24, 40, 56):
        blood[:, 20:32, left : left + 5] = 10
    with pytest.raises(SetAside, match="Letters"):
        deidentified(EchoClip(frames, 30.0, "AVI", "clip.avi"))


@pytest.mark.parametrize("n_frames", [5, 8])
@pytest.mark.parametrize("seed", [301, 302])
def test_a_short_clip_passes_when_no_name_stands_in_it_and_waits_when_one_does(n_frames, seed):
    from benchmarks.deidentify import clip

    frames, sector, text = clip(seed, False, frames=n_frames)
    clean = deidentified(EchoClip(frames, 30.0, "AVI", "clip.avi"))
    assert clean.frames[:, text].any(axis=(0, 2)).mean() < 0.01
    assert (clean.frames[:, sector] == frames[:, sector]).mean() > 0.98
    frames, _, _ = clip(seed, True, frames=n_frames)
    with pytest.raises(SetAside, match="Letters"):
        deidentified(EchoClip(frames, 30.0, "AVI", "clip.avi"))


def test_a_picture_that_moves_everywhere_is_set_aside():
    frames = np.random.default_rng(0).integers(0, 255, (12, 120, 160, 1), dtype=np.uint8).repeat(3, axis=3)
    with pytest.raises(SetAside, match="no moving ultrasound sector"):
        deidentified(EchoClip(frames, 30.0, "AVI", "clip.avi"))
    frames[:, :, :14] = 0  # a still margin does not make a sector of the rest
    with pytest.raises(SetAside, match="of its picture moves"):
        deidentified(EchoClip(frames, 30.0, "AVI", "clip.avi"))


def test_both_sectors_of_a_biplane_recording_stay():
    frames, sector = screen_with_name(w=320)
    both = np.concatenate([frames, frames], axis=2)
    mask = sector_mask(both)
    for half in (mask[:, :320], mask[:, 320:]):
        assert (half & sector).sum() > 0.98 * sector.sum()


def test_a_sector_outside_the_regions_of_the_header_is_set_aside_and_one_inside_is_cut_to_them():
    frames, sector = screen_with_name()
    rows, columns = np.flatnonzero(sector.any(1)), np.flatnonzero(sector.any(0))
    around = (int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1]))
    clip = EchoClip(frames, 40.0, "DICOM", "x", regions=(around,))
    assert (deidentified(clip).frames[:, sector] == frames[:, sector]).mean() > 0.99
    with pytest.raises(SetAside, match="regions that its header names"):
        deidentified(EchoClip(frames, 40.0, "DICOM", "x", regions=((0, 200, 319, 239),)))


def test_a_header_that_says_burned_in_and_names_no_region_sets_the_clip_aside():
    frames, _ = screen_with_name()
    with pytest.raises(SetAside, match="burnt into"):
        deidentified(EchoClip(frames, 40.0, "DICOM", "x", burned_in=True))


def test_the_ends_of_its_rows_have_the_hull_of_a_part():
    import cv2

    rng = np.random.default_rng(3)
    for _ in range(40):
        part = cv2.GaussianBlur(rng.random((60, 80)), (0, 0), 5) > 0.5 + 0.02 * rng.random()
        part[rng.integers(60), rng.integers(80)] = True
        hulls = [np.zeros(part.shape, np.uint8) for _ in range(2)]
        for hull, points in zip(hulls, (cv2.findNonZero(part.astype(np.uint8)), _ends_of_rows(part)), strict=True):
            cv2.fillConvexPoly(hull, cv2.convexHull(points), 1)
        np.testing.assert_array_equal(*hulls)


def test_brightest_channels_and_their_spread_are_those_of_the_obvious_way():
    frames = np.random.default_rng(4).integers(0, 256, (9, 20, 30, 3), np.uint8)
    gray = _brightest(frames)
    np.testing.assert_array_equal(gray, frames.max(axis=3))
    np.testing.assert_allclose(_spread(gray), gray.std(axis=0), rtol=1e-10)


@pytest.mark.slow
def test_names_in_the_smooth_letters_of_real_fonts_are_found_on_tissue_that_lasts_and_tissue_alone_is_no_name():
    from benchmarks.deidentify import hearts, smooth_letters, written_over

    found = []
    for number, clip in enumerate(hearts(8)):
        rng, mask = np.random.default_rng(number), sector_mask(clip.frames)
        covers = smooth_letters(rng, mask)
        assert covers.any() and not letters_inside(clip.frames, mask)
        movie = written_over(clip.frames, covers, int(rng.integers(120, 256)))
        found.append((letters_inside(movie, mask), letters_inside(movie[:8], mask)))
    assert np.sum(found, axis=0).min() >= 7
