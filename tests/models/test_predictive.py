"""The distribution of a measured value along the prediction: monotone, smooth, invertible, calibrated."""

import numpy as np
import pytest

from echo2ecg_core.models.predictive import Predictive, Shape


def made(n, seed, *, atoms=False):
    """Predictions and values with errors that are skew and grow downwards; `atoms` puts half of them on one value."""
    rng = np.random.default_rng(seed)
    predicted = rng.normal(55, 9, n)
    measured = predicted - rng.gamma(2.0, np.clip(90 - predicted, 5, None) / 12) + 6
    return predicted, np.where(rng.random(n) < 0.5, 50.0, measured) if atoms else measured


@pytest.mark.parametrize("atoms", [False, True])
@pytest.mark.parametrize(("n", "seed"), [(19, 11), (20, 12), (31, 13), (45, 14), (100, 15), (400, 16)])
def test_no_estimate_interval_end_or_chance_turns_back_when_the_prediction_rises(n, seed, atoms):
    predicted, measured = made(n, seed, atoms=atoms)
    found = Predictive.fit(predicted, measured, np.arange(n) // 2, ("below", 40.5))
    along = np.linspace(predicted.min() - 30, predicted.max() + 30, 400)
    for values in (found.medians(along), *found.intervals(along).T):
        assert np.isfinite(values).all() and np.diff(values).min() >= -1e-9
    chances = found.chance_at_most(along, 40.5)
    assert np.diff(chances).max() <= 1e-9 and chances.min() > 0 and chances.max() < 1


def test_the_estimate_has_no_edges():
    """Three categories let it jump by 1.5 points between two predictions a hundredth apart."""
    found = Predictive.fit(*made(3000, 1))
    along = np.arange(30.0, 80.0, 0.01)
    for values in (found.medians(along), *found.intervals(along).T):
        assert np.diff(values).max() < 0.05


def test_scores_and_values_are_inverse():
    predicted, measured = made(500, 2)
    shape = Shape.fit(predicted, measured)
    scores = shape.scores(predicted[:50], measured[:50])
    back = [shape.values(np.array([p]), np.array([z]))[0, 0] for p, z in zip(predicted[:50], scores, strict=True)]
    np.testing.assert_allclose(back, measured[:50], atol=1e-6)


def test_chances_are_the_shares_that_are_seen_in_every_tenth_of_the_chances():
    found = Predictive.fit(*made(4000, 3))
    predicted, measured = made(20000, 4)
    told, seen = found.chance_at_most(predicted, 40.5), measured <= 40.5
    for part in np.array_split(np.argsort(told), 10):
        assert told[part].mean() == pytest.approx(seen[part].mean(), abs=0.03)


def graded(n, seed):
    """Predictions and values of which most are the same: a grade that is seldom above 0, told by little."""
    rng = np.random.default_rng(seed)
    burden = rng.normal(size=n)
    measured = np.digitize(0.6 * burden + rng.normal(size=n), (1.2, 1.7, 2.4)).astype(float)
    return 0.15 + 0.2 * burden, measured


def test_of_a_value_that_most_have_neither_estimate_nor_chances_stray():
    """The trend of a prediction once made many values of one: every score lay above the middle, chances by up to 20
    points beside what was seen."""
    predicted, measured = graded(8000, 7)
    assert np.mean(measured == 0) > 0.8
    found = Predictive.fit(predicted, measured)
    predicted, measured = graded(20000, 8)
    for limit in (0.5, 1.5):
        told, seen = found.chance_at_most(predicted, limit), measured <= limit
        for part in np.array_split(np.argsort(told), 10):
            assert told[part].mean() == pytest.approx(seen[part].mean(), abs=0.05)
    assert np.abs(found.medians(predicted) - measured).mean() <= np.abs(measured - np.median(measured)).mean()
    low, high = found.intervals(predicted).T
    assert np.mean((measured >= low) & (measured <= high)) > 0.88


def test_cover_holds_where_errors_are_small_and_where_they_are_large():
    found = Predictive.fit(*made(4000, 5))
    predicted, measured = made(20000, 6)
    low, high = found.intervals(predicted).T
    inside = (measured >= low) & (measured <= high)
    for part in np.array_split(np.argsort(predicted), 4):
        assert inside[part].mean() == pytest.approx(0.9, abs=0.025)


@pytest.mark.slow
def test_repeated_ecgs_of_one_patient_do_not_make_intervals_too_narrow():
    """Every patient ten times with one error: the shape of a fold must not have seen the patient it scores."""
    rng, covered = np.random.default_rng(7), []
    for _ in range(40):
        predicted, measured = made(60, rng.integers(10**6))
        patients = np.repeat(np.arange(60), 10)
        found = Predictive.fit(predicted[patients], measured[patients], patients)
        new, truth = made(400, rng.integers(10**6))
        low, high = found.intervals(new).T
        covered.append(np.mean((truth >= low) & (truth <= high)))
    assert np.mean(covered) > 0.86
