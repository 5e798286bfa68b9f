"""Phantom clips measured from outside: slow obvious Simpson, calipers, burnt-in scale, speckle that sticks to tissue.

Every number is taken from the contours in pixels, the pixel size and the picture, as a sonographer would, and compared
with the Heart that was drawn.
"""

from dataclasses import replace

import numpy as np
import pytest

from echo2ecg_core.findings import SEGMENTS
from echo2ecg_core.phantom.cycle import cycle_states, draw_r_waves
from echo2ecg_core.phantom.echo import PHANTOM_VIEWS, render_clip
from echo2ecg_core.phantom.heart import Heart, complete_heart, draw_heart

APEX = 32


def heart_with(seed=5, sex="male", age=58.0, found=("healthy",), territory=None, **changes) -> Heart:
    heart = complete_heart(np.random.default_rng(seed), sex, age, 1.95, found, territory)
    return replace(heart, **({"rhythm": "sinus", "conduction": "normal"} | changes))


def clip_of(heart, view, seed=0, **options):
    return render_clip(heart, view, np.random.default_rng(seed), **({"may_foreshorten": False} | options))


def discs(contour_mm: np.ndarray, n=20) -> tuple[np.ndarray, float]:
    """Chords of the closed contour at n heights along the line from mid-annulus to apex: one edge after the other."""
    base, apex = (contour_mm[0] + contour_mm[-1]) / 2, contour_mm[APEX]
    length = np.linalg.norm(apex - base)
    unit = (apex - base) / length
    along = (contour_mm - base) @ unit
    across = (contour_mm - base) @ np.array([-unit[1], unit[0]])
    chords = []
    for level in (np.arange(n) + 0.5) * length / n:
        crossings = []
        for i in range(len(along)):
            j = (i + 1) % len(along)
            if (along[i] - level) * (along[j] - level) < 0:
                crossings.append(across[i] + (across[j] - across[i]) * (level - along[i]) / (along[j] - along[i]))
        chords.append(max(crossings) - min(crossings))
    return np.array(chords), length


def biplane_ml(a4c, a2c, frame: str) -> float:
    (d4, l4), (d2, l2) = (discs(c.contours[getattr(c, frame)].astype(float) * c.spacing_mm) for c in (a4c, a2c))
    return np.pi / 4 * (d4 * d2).sum() * max(l4, l2) / 20 / 1000


def distance_to_line(point: np.ndarray, line: np.ndarray) -> float:
    """Shortest distance from a point to a polyline."""
    best = np.inf
    for a, b in zip(line[:-1], line[1:], strict=True):
        share = np.clip((point - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
        best = min(best, np.linalg.norm(point - a - share * (b - a)))
    return best


@pytest.mark.slow
@pytest.mark.parametrize("every", [1, 2])
def test_biplane_simpson_on_the_contours_gives_the_labelled_volumes(every):
    rng = np.random.default_rng(20)
    for seed in range(12):
        heart = draw_heart(rng)
        a4c, a2c = (clip_of(heart, view, seed, every=every, size=96) for view in ("A4C", "A2C"))
        edv, esv = biplane_ml(a4c, a2c, "ed_frame"), biplane_ml(a4c, a2c, "es_frame")
        assert edv == pytest.approx(heart.lvedv, rel=0.05)
        assert 100 * (edv - esv) / edv == pytest.approx(heart.lvef, abs=2)


@pytest.mark.parametrize("found", [("healthy",), ("dilated_cm",), ("hcm",)])
def test_calipers_on_the_long_axis_read_septum_and_posterior_wall(found):
    heart = heart_with(found=found)
    clip = clip_of(heart, "Parasternal_Long")
    endo, epi = (line[clip.ed_frame].astype(float) * clip.spacing_mm for line in (clip.contours, clip.epicardium))
    posterior, septum = distance_to_line(endo[12], epi), distance_to_line(endo[52], epi)
    assert septum == pytest.approx(10 * heart.ivsd, abs=0.5)
    assert posterior == pytest.approx(10 * heart.lvpwd, abs=0.5)
    widest = max(np.linalg.norm(endo[32 - i] - endo[32 + i]) for i in range(33))
    assert widest == pytest.approx(10 * heart.lvidd, rel=0.04)


def test_a_frozen_segment_moves_less_than_a_fifth_of_a_healthy_one():
    motion = [1.0 if name != "mid_anterior" else 0.0 for name in SEGMENTS]
    frozen = heart_with(lvedv=120.0, lvesv=60.0, wall_motion=tuple(motion))
    clip = clip_of(frozen, "A2C")
    ed, es = (clip.contours[frame].astype(float) * clip.spacing_mm for frame in (clip.ed_frame, clip.es_frame))
    breath = es[APEX] - ed[APEX]
    breath[1] = 0
    inferior = np.mean([distance_to_line(ed[i], es - breath) for i in range(11, 15)])
    anterior = np.mean([distance_to_line(ed[64 - i], es - breath) for i in range(11, 15)])
    assert inferior > 4
    assert anterior < 0.2 * inferior


def test_walls_keep_their_volume_while_they_thicken():
    heart = heart_with()
    clip = clip_of(heart, "Parasternal_Short")
    areas = []
    for frame in (clip.ed_frame, clip.es_frame):
        x, y = (np.stack([line[frame, :, k] for line in (clip.contours, clip.epicardium)]) for k in (0, 1))
        inner, outer = 0.5 * np.abs((x * np.roll(y, -1, 1) - y * np.roll(x, -1, 1)).sum(axis=1)) * clip.spacing_mm**2
        areas.append(outer - inner)
    long_axis_share = heart.lv_length_s / heart.lv_length_d
    assert areas[0] == pytest.approx(areas[1] * long_axis_share, rel=0.08)


@pytest.mark.parametrize("view", PHANTOM_VIEWS)
def test_the_picture_agrees_with_the_contours(view):
    heart = heart_with(found=("hypertensive_lvh",))
    clip = clip_of(heart, view, seed=4, size=224)
    for frame in (clip.ed_frame, clip.es_frame):
        gray = clip.frames[frame].mean(axis=-1)
        endo, epi = clip.contours[frame], clip.epicardium[frame]
        wall = (endo + epi) / 2
        cavity = endo + 0.3 * (endo.mean(axis=0) - endo)
        inside = ((wall > 5) & (wall < 195)).all(axis=1)
        brightness = [
            np.mean([gray[round(float(y)), round(float(x))] for x, y in line[inside]]) for line in (wall, cavity)
        ]
        assert brightness[0] > 1.5 * brightness[1] + 8


@pytest.mark.slow
def test_every_second_frame_is_the_same_picture_as_without_skipping():
    heart = heart_with()
    for view in PHANTOM_VIEWS:
        whole, half = (
            clip_of(heart, view, 3, n_frames=8, size=96),
            clip_of(heart, view, 3, n_frames=8, every=2, size=96),
        )
        np.testing.assert_array_equal(whole.frames[::2], half.frames)
        assert half.fps == pytest.approx(whole.fps / 2)
        assert whole.r_wave_times_s == half.r_wave_times_s


def test_the_same_seed_gives_the_same_clip_and_another_seed_another():
    heart = heart_with()
    first, again, other = (clip_of(heart, "A4C", seed, n_frames=4) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.frames, again.frames)
    assert (first.frames != other.frames).any()


@pytest.mark.parametrize("rate", [48.0, 72.0, 110.0])
def test_r_waves_follow_the_rate_and_frames_come_at_30_to_60_a_second(rate):
    for seed in range(5):
        clip = clip_of(heart_with(heart_rate_bpm=rate), "A4C", seed, n_frames=90, size=48)
        assert 30 <= clip.fps <= 60
        assert np.diff(clip.r_wave_times_s).mean() == pytest.approx(60 / rate, rel=0.06)


def test_fibrillation_is_irregular_and_has_no_atrial_kick():
    sinus, af = heart_with(heart_rate_bpm=60.0), heart_with(rhythm="af", heart_rate_bpm=60.0)
    spread = [np.diff(draw_r_waves(heart, np.random.default_rng(1))).std() for heart in (sinus, af)]
    assert spread[0] < 0.04 < 0.1 < spread[1]
    beats = np.arange(-1.0, 6.0)
    late = np.linspace(0.80, 0.97, 40)
    volume = {heart.rhythm: 1 - cycle_states(heart, late, beats).contraction for heart in (sinus, af)}
    valve = {heart.rhythm: cycle_states(heart, late, beats).mitral_opening for heart in (sinus, af)}
    assert volume["sinus"][-1] - volume["sinus"][0] > 0.12
    assert valve["sinus"].max() > 0.7 > 0.5 > valve["af"].max()


def test_one_centimetre_on_the_burnt_in_scale_is_ten_millimetres_of_pixels():
    clip = clip_of(heart_with(), "A4C", size=224)
    column = clip.frames[0][:, -4].min(axis=-1)
    ticks = np.flatnonzero(column == 190)
    ticks = ticks[np.diff(ticks, prepend=-9) > 1]
    assert np.diff(ticks).mean() * clip.spacing_mm == pytest.approx(10, rel=0.02)


def test_synthetic_phantom_is_written_on_every_frame_and_nothing_else_outside_the_sector():
    clip = clip_of(heart_with(), "Parasternal_Long", n_frames=6)
    corner = clip.frames[:, 2:24, 2:70]
    assert (corner[0] > 100).any()
    assert (corner == corner[0]).all()
    assert not clip.frames[:, 40:80, :20].any()


def test_speckle_moves_with_the_wall():
    heart = heart_with(found=("hypertensive_lvh",), heart_rate_bpm=65.0)
    clip = clip_of(heart, "Parasternal_Short", seed=7)
    from scipy.ndimage import map_coordinates

    def wall_texture(frame: int, place: int) -> np.ndarray:
        rows = []
        for share in np.linspace(0.25, 0.75, 6):
            line = (1 - share) * clip.contours[place] + share * clip.epicardium[place]
            gray = clip.frames[frame].mean(axis=-1)
            values = map_coordinates(gray, [line[:, 1], line[:, 0]], order=1)
            rows.append(values - values.mean())
        return np.concatenate(rows)

    middle = (clip.ed_frame + clip.es_frame) // 2
    with_tissue = np.corrcoef(wall_texture(middle, middle), wall_texture(middle + 2, middle + 2))[0, 1]
    in_place = np.corrcoef(wall_texture(middle, middle), wall_texture(middle + 2, middle))[0, 1]
    assert with_tissue > 0.5
    assert with_tissue > in_place + 0.15


@pytest.mark.slow
def test_some_apical_views_are_foreshortened_and_say_so():
    heart = heart_with()
    clips = [render_clip(heart, "A4C", np.random.default_rng(seed), n_frames=2, size=48) for seed in range(60)]
    share = np.mean([clip.foreshortened for clip in clips])
    assert 0.03 < share < 0.3
    lengths = {flag: [] for flag in (True, False)}
    for clip in clips:
        lengths[clip.foreshortened].append(discs(clip.contours[0].astype(float) * clip.spacing_mm)[1])
    assert max(lengths[True]) < min(lengths[False])


def coloured_mm2(clip, box) -> np.ndarray:
    """Area (t,) of strongly coloured pixels within box (left, right, top, bottom share of the picture)."""
    size = clip.frames.shape[1]
    left, right, top, bottom = (round(size * share) for share in box)
    region = clip.frames[:, top:bottom, left:right].astype(int)
    return ((region.max(axis=-1) - region.min(axis=-1)) > 90).sum(axis=(1, 2)) * clip.spacing_mm**2


def test_the_mitral_jet_grows_with_its_grade_and_is_there_in_systole_only():
    areas = []
    for grade in range(4):
        heart = heart_with(found=("dilated_cm",), mr_grade=grade, tr_grade=0, heart_rate_bpm=66.0)
        clip = clip_of(heart, "Apical_Doppler", seed=3)
        annulus = clip.contours[clip.es_frame, [0, -1]].mean(axis=0) / clip.frames.shape[1]
        in_atrium = (annulus[0] - 0.02, 0.95, annulus[1] + 0.05, 0.85)
        systole = (clip.ed_frame + 3 * clip.es_frame) // 4
        areas.append(coloured_mm2(clip, in_atrium)[systole])
    assert areas[0] < 20
    assert all(later > 1.25 * earlier + 20 for earlier, later in zip(areas[:-1], areas[1:], strict=True))
    atrium_mm2 = np.pi / 4 * (6000 * heart.lavi * heart.bsa_m2 / np.pi) ** (2 / 3)
    assert areas[2] / atrium_mm2 == pytest.approx(0.3, abs=0.1)
    assert areas[3] / atrium_mm2 > 0.36


@pytest.mark.parametrize("view", ["Apical_Doppler", "Doppler_Parasternal_Long"])
def test_colour_views_are_coloured_and_the_others_gray(view):
    heart = heart_with(mr_grade=2)
    gray_view = {"Apical_Doppler": "A4C", "Doppler_Parasternal_Long": "Parasternal_Long"}[view]
    sector = (0.2, 0.9, 0.1, 0.85)
    assert coloured_mm2(clip_of(heart, view), sector).max() > 200
    assert coloured_mm2(clip_of(heart, gray_view), sector).max() < 20


def test_inflow_in_the_apical_view_is_red_and_outflow_blue():
    clip = clip_of(heart_with(mr_grade=0, tr_grade=0, heart_rate_bpm=62.0), "Apical_Doppler", seed=2)
    middle = clip.contours.mean(axis=(0, 1)).astype(int)
    cavity = clip.frames[:, middle[1] - 10 : middle[1] + 45, middle[0] - 20 : middle[0] + 20].astype(int)
    redder = (cavity[..., 0] - cavity[..., 2]).clip(60).sum(axis=(1, 2)) - 60 * cavity[0, ..., 0].size
    bluer = (cavity[..., 2] - cavity[..., 0]).clip(60).sum(axis=(1, 2)) - 60 * cavity[0, ..., 0].size
    systole = slice(clip.ed_frame + 3, clip.es_frame - 2)
    assert bluer[systole].mean() > 3 * redder[systole].mean()
    assert redder[clip.es_frame + 3 :].max() > 3 * bluer[clip.es_frame + 3 :].max()


def test_a_phantom_clip_enters_the_product_as_a_synthetic_clip_of_known_view():
    clip = clip_of(heart_with(), "Subcostal", n_frames=3, size=64).to_clip()
    assert (clip.view, clip.synthetic, clip.format, clip.n_frames) == ("Subcostal", True, "phantom", 3)
