"""Readouts on made data whose truth is known: a linear phenotype with noise that grows with the value."""

import numpy as np
import pytest

from echo2ecg_core.errors import ModelError
from echo2ecg_core.models.readouts import Outside, Readouts


def made_data(rng, n):
    x = rng.normal(size=(n, 12))
    clean = 55 + 8 * x[:, 0] - 4 * x[:, 1]
    return x, {"lvef": clean + rng.normal(size=n) * np.where(clean > 55, 2.0, 6.0)}


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    train, calibration = made_data(rng, 1500), made_data(rng, 900)
    outside = Outside.fit(train[0], calibration[0], directions=12)
    return Readouts.fit(train, calibration, outside), made_data(rng, 600)


def test_ninety_percent_intervals_cover_ninety_percent_of_new_patients(fitted):
    readouts, (x, y) = fitted
    inside = [low <= v <= high for v, (low, high) in ((v, readouts.estimate("lvef", e).interval) for e, v in zip(x, y["lvef"], strict=True))]
    assert abs(np.mean(inside) - 0.9) < 0.035  # binomial 99 % band for 600 draws, calibration noise included


def test_intervals_are_wider_where_the_residuals_are_wider(fitted):
    readouts, (x, _) = fitted
    predicted = readouts.predict("lvef", x)
    widths = np.array([np.diff(readouts.estimate("lvef", e).interval)[0] for e in x[:200]])
    low, high = predicted[:200] < 48, predicted[:200] > 62
    assert widths[low].mean() > 1.5 * widths[high].mean()


def test_value_interval_and_chances_agree_with_one_distribution(fitted):
    readouts, (x, _) = fitted
    estimate = readouts.estimate("lvef", x[0])
    assert estimate.interval[0] < estimate.value < estimate.interval[1]
    assert estimate.chance_at_most(estimate.value) == pytest.approx(0.5, abs=0.01)
    assert 0 < estimate.chance_at_most(-1e9) < 0.01 < 0.99 < estimate.chance_at_most(1e9) < 1


def test_far_ecgs_are_outside_and_new_ones_of_the_same_kind_mostly_not(fitted):
    readouts, (x, _) = fitted
    assert np.mean(readouts.outside.percentile(x) > 95) < 0.1
    assert (readouts.outside.percentile(x + 9.0) > 99).all()


def test_tensors_round_trip_and_name_what_is_missing(fitted):
    readouts, (x, _) = fitted
    tensors = readouts.tensors()
    again = Readouts.from_tensors(tensors)
    assert again.estimate("lvef", x[3]).interval == pytest.approx(readouts.estimate("lvef", x[3]).interval, abs=1e-3)
    with pytest.raises(ModelError, match="outside.centre"):
        Readouts.from_tensors({k: v for k, v in tensors.items() if k != "outside.centre"})
