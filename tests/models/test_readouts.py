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
    inside = [
        low <= v <= high
        for v, (low, high) in ((v, readouts.estimate("lvef", e).interval) for e, v in zip(x, y["lvef"], strict=True))
    ]
    assert abs(np.mean(inside) - 0.9) < 0.035  # binomial 99 % band for 600 draws, calibration noise included


def test_over_200_random_resplits_ninety_percent_intervals_cover_ninety_percent():
    rng = np.random.default_rng(1)
    x, y = made_data(rng, 700)
    outside, covered = Outside.fit(x[:300], x[300:], directions=12), []
    for resplit in range(200):
        train, calibration, test = np.split(np.random.default_rng(resplit).permutation(len(x)), [300, 600])
        readouts = Readouts.fit(
            (x[train], {"lvef": y["lvef"][train]}), (x[calibration], {"lvef": y["lvef"][calibration]}), outside
        )
        low, high = readouts.intervals("lvef", x[test]).T
        covered.append((y["lvef"][test] >= low) & (y["lvef"][test] <= high))
    band = 1.96 * np.sqrt(0.9 * 0.1 / np.size(covered))  # binomial, 95 %, of 20,000 new ECGs
    assert abs(np.mean(covered) - 0.9) <= band


def test_the_interval_of_one_ecg_is_that_among_many(fitted):
    readouts, (x, _) = fitted
    many = readouts.intervals("lvef", x[:40])
    np.testing.assert_allclose(many, [readouts.estimate("lvef", e).interval for e in x[:40]])


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


def test_outside_features_tell_a_mains_filter_and_a_lone_noisy_lead_from_the_rest():
    from echo2ecg_core.models.readouts import BANDS_HZ, outside_features

    rng = np.random.default_rng(3)
    windows = rng.normal(size=(1, 2, 12, 1008)).astype(np.float32)
    plain = outside_features(windows, 400.0)[0]
    n = len(BANDS_HZ) - 1
    assert plain.shape == (2 * n,)
    spectrum = np.fft.rfft(windows, axis=3)
    frequency = np.fft.rfftfreq(1008, 1 / 400)
    spectrum[..., (frequency > 48) & (frequency < 52)] *= 1e-3
    filtered = outside_features(np.fft.irfft(spectrum, 1008, axis=3), 400.0)[0]
    band = int(np.searchsorted(BANDS_HZ, 50)) - 1
    assert filtered[band] < plain[band] - 1 and np.allclose(filtered[: band - 1], plain[: band - 1], atol=0.05)
    windows[:, :, 4] *= 10
    assert (outside_features(windows, 400.0)[0][n:] > plain[n:] + 0.15).all()
