"""The labels of atria and right heart, measured on the outlines of the four-chamber and two-chamber planes."""

import numpy as np
import pytest

from echo2ecg_core.phantom import scenes
from echo2ecg_core.phantom.cycle import cycle_states
from echo2ecg_core.phantom.heart import draw_heart
from echo2ecg_core.phantom.ventricle import LeftVentricle


def area(outline: np.ndarray) -> np.ndarray:
    """Area (t,) of closed outlines (t, k, 2) by the shoelace formula."""
    x, y = outline[..., 0], outline[..., 1]
    return 0.5 * np.abs((x * np.roll(y, -1, -1) - y * np.roll(x, -1, -1)).sum(-1))


@pytest.fixture(scope="module", params=range(6))
def planes(request):
    """A heart, and its four-chamber and two-chamber planes over one beat (row 0: end-diastole)."""
    heart = draw_heart(np.random.default_rng([4, request.param]))
    rr = 60 / heart.heart_rate_bpm
    states = cycle_states(heart, np.linspace(0, 0.95 * rr, 90), np.arange(-1, 4) * rr).with_rest()
    ventricle = LeftVentricle(heart)
    return heart, scenes.four_chamber(heart, ventricle, states), scenes.two_chamber(heart, ventricle, states)


def test_area_length_volume_of_the_left_atrium_is_the_labelled_index(planes):
    heart, four, two = planes
    a4c, a2c = four.chambers[1].inner, two.chambers[1].inner
    largest = int(np.argmax(area(a4c)))
    length = min(np.ptp(a4c[largest, :, 1]), np.ptp(a2c[largest, :, 1]))
    volume_ml = 8 / (3 * np.pi) * area(a4c)[largest] * area(a2c)[largest] / length / 1000
    assert volume_ml / heart.bsa_m2 == pytest.approx(heart.lavi, rel=0.08)


def test_the_right_atrium_has_the_labelled_area_when_it_is_largest(planes):
    heart, four, _ = planes
    assert area(four.chambers[3].inner).max() / 100 == pytest.approx(heart.ra_area, rel=0.1)


def test_the_right_ventricle_has_the_labelled_basal_diameter_and_tapse(planes):
    heart, four, _ = planes
    free_wall = four.chambers[2].inner[:, :33]
    basal = max(np.linalg.norm(four.epicardium[0] - point, axis=1).min() for point in free_wall[0, :16])
    assert basal == pytest.approx(heart.rv_basal_diameter, abs=1.5)
    annulus_height = free_wall[:, 0, 1]
    assert (annulus_height[0] - annulus_height.min()) / 10 == pytest.approx(heart.tapse, abs=0.1)
