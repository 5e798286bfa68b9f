"""The cut ventricle against the whole one: standard planes hold the label, planes beside the axis show less."""

import numpy as np
import pytest

from echo2ecg_core.phantom.heart import draw_heart
from echo2ecg_core.phantom.oblique import Cut, CutVentricle
from echo2ecg_core.phantom.ventricle import APEX, biplane_volume_ml

ED_ES = np.array([0.0, 1.0])


@pytest.fixture(scope="module")
def hearts():
    return [draw_heart(np.random.default_rng([8, i])) for i in range(14)]


def volumes(heart, cut: Cut) -> np.ndarray:
    ventricle = CutVentricle(heart, cut)
    return biplane_volume_ml(*(ventricle.contours(plane, ED_ES)[0] for plane in ("four_chamber", "two_chamber")))


def length_mm(contour: np.ndarray) -> float:
    return float(np.linalg.norm(contour[APEX] - (contour[0] + contour[-1]) / 2))


def test_biplane_simpson_on_the_standard_planes_gives_the_labelled_lvef(hearts):
    for heart in hearts:
        ed, es = volumes(heart, Cut())
        assert 100 * (ed - es) / ed == pytest.approx(heart.lvef, abs=2)


def test_a_plane_that_misses_the_apex_shows_a_shorter_ventricle_the_more_it_misses(hearts):
    for heart in hearts[:5]:
        shown = [CutVentricle(heart, Cut(apex_mm=miss)).contours("four_chamber", ED_ES[:1])[0] for miss in (0, 6, 12)]
        lengths = [length_mm(contour[0]) for contour in shown]
        assert lengths[0] > lengths[1] + 0.5 > lengths[2] + 1.5


def test_a_plane_at_distance_d_from_a_round_ventricle_shows_the_chord(hearts):
    heart, d = hearts[0], 7.0
    whole, cut = (CutVentricle(heart, Cut(base_mm=x, apex_mm=x)).contours("two_chamber", ED_ES[:1])[0] for x in (0, d))
    y = 0.6 * heart.lv_length_d * 10
    half = [np.interp(y, side[::-1, 1], np.abs(side[::-1, 0])) for side in (whole[0, : APEX + 1], cut[0, : APEX + 1])]
    assert half[1] == pytest.approx(np.sqrt(half[0] ** 2 - d**2), rel=0.01)


def test_a_plane_kept_inside_meets_the_ventricle_all_through_the_beat_and_a_near_one_stays_where_it_is(hearts):
    for heart in hearts[:4]:
        for cut in (Cut(base_mm=8, apex_mm=13, systolic_mm=20), Cut(base_mm=-8, apex_mm=-5, systolic_mm=-20)):
            free, kept = CutVentricle(heart, cut), CutVentricle(heart, cut)
            kept.keep_inside(0.5)
            lost, seen = (np.ptp(v.contours("four_chamber", ED_ES)[0], axis=1).min() for v in (free, kept))
            assert lost < 10 and seen > 15, (lost, seen)
        near = CutVentricle(heart, Cut(base_mm=0.5, apex_mm=-1, systolic_mm=1))
        before = near.contours("four_chamber", ED_ES)[0]
        near.keep_inside(0.7)
        np.testing.assert_allclose(near.contours("four_chamber", ED_ES)[0], before, atol=0.1)


def test_one_traced_apical_plane_misses_the_lvef_by_several_points(hearts):
    rng, errors = np.random.default_rng(1), []
    for heart in hearts:
        cut = Cut(rng.normal(0, 10), rng.normal(0, 3), rng.normal(0, 6), rng.normal(0, 2))
        contour = CutVentricle(heart, cut).contours("four_chamber", ED_ES)[0]
        ed, es = biplane_volume_ml(contour, contour)
        errors.append(100 * (ed - es) / ed - heart.lvef)
    assert 2.5 < np.mean(np.abs(errors)) < 9


def test_turned_about_its_axis_a_plane_shows_other_walls(hearts):
    infarct = next(heart for heart in hearts if heart.infarct_territory and heart.infarct_extent > 0.3)
    narrowing = [
        np.ptp(CutVentricle(infarct, Cut(rotation_deg=turn)).contours("four_chamber", ED_ES)[0][..., 0], axis=1)
        for turn in (0, 45, 90)
    ]
    shares = [es / ed for ed, es in narrowing]
    assert max(shares) - min(shares) > 0.03


def test_short_axes_narrow_towards_the_apex(hearts):
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    for heart in hearts[:5]:
        radii = [CutVentricle(heart, Cut(height=h)).short_axis(ED_ES[:1], angles)[0].mean() for h in (0.5, 0.7, 0.9)]
        assert radii[0] > radii[1] > radii[2]
