"""Effect sizes against published numbers, the slow formula, and how often their intervals hold."""

import numpy as np
import pytest

from echo2ecg_core.evaluation.effect_sizes import risk_difference, standardised_mean_difference


@pytest.mark.parametrize(
    ("count", "n", "other", "m", "low", "high"),
    [  # Newcombe, Stat Med 17:873-890, 1998, table II, method 10
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (6, 7, 2, 7, 0.0582, 0.8062),
        (5, 56, 0, 29, -0.0381, 0.1926),
        (0, 10, 0, 20, -0.1611, 0.2775),
        (0, 10, 0, 10, -0.2775, 0.2775),
        (10, 10, 0, 20, 0.6791, 1.0),
        (10, 10, 0, 10, 0.6075, 1.0),
    ],
)
def test_risk_differences_are_newcombes(count, n, other, m, low, high):
    found = risk_difference(count, n, other, m)
    assert found.value == count / n - other / m
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    mirrored = risk_difference(other, m, count, n)
    assert (mirrored.value, mirrored.low, mirrored.high) == pytest.approx((-found.value, -found.high, -found.low))


def summed(values):
    return len(values), values.mean(), values.std(ddof=1)


def test_a_standardised_mean_difference_is_the_difference_in_standard_deviations():
    rng = np.random.default_rng(0)
    a, b = rng.normal(60, 10, 50), rng.normal(50, 14, 80)
    found = standardised_mean_difference(*summed(a), *summed(b))
    expected = (a.mean() - b.mean()) / np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
    assert found.value == pytest.approx(expected) and found.low < expected < found.high
    shifted = standardised_mean_difference(*summed(10 * a + 3), *summed(10 * b + 3))
    assert shifted.value == pytest.approx(expected), "no unit matters"


@pytest.mark.parametrize("true", [0.0, 0.5, 1.5])
def test_the_interval_holds_nineteen_of_twenty_times(true):
    rng, held = np.random.default_rng(1), []
    for a, b in zip(rng.normal(true, 1, (1000, 40)), rng.normal(0, 1, (1000, 60)), strict=True):
        found = standardised_mean_difference(*summed(a), *summed(b))
        held.append(found.low <= true <= found.high)
    assert 0.93 < np.mean(held) < 0.97


def test_what_cannot_be_told_is_not_a_number():
    for found in (
        standardised_mean_difference(1, 5.0, float("nan"), 9, 4.0, 1.0),
        standardised_mean_difference(5, 5.0, 0.0, 9, 4.0, 0.0),
        risk_difference(0, 0, 3, 9),
    ):
        assert np.isnan([found.value, found.low, found.high]).all()
