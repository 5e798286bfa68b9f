"""Slope and intercept of calibration against scikit-learn's logistic regression, fitted to each resample."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from echo2ecg_core.evaluation.calibration import weighted_calibration
from echo2ecg_core.evaluation.phenotypes import patient_weights


def made(n: int, slope: float, intercept: float):
    """Probabilities and outcomes whose log odds are `slope` times those of the probabilities plus `intercept`."""
    rng = np.random.default_rng(1)
    odds = rng.normal(0, 1.5, n)
    true = 1 / (1 + np.exp(-(slope * odds + intercept)))
    return 1 / (1 + np.exp(-odds)), rng.random(n) < true


def fitted_slope(scores, positive, weights):
    odds = np.log(scores / (1 - scores))[:, None]
    fit = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(odds, positive, sample_weight=weights)
    return fit.coef_[0, 0]


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.5, 0.0), (1.0, 0.8), (1.6, -0.5)])
def test_slope_equals_the_regression_and_intercept_makes_the_means_equal(slope, intercept):
    scores, positive = made(4000, slope, intercept)
    found = weighted_calibration(scores, positive, np.ones((1, 4000)))
    assert found["calibration_slope"][0] == pytest.approx(fitted_slope(scores, positive, np.ones(4000)), abs=1e-4)
    moved = 1 / (1 + np.exp(-(np.log(scores / (1 - scores)) + found["calibration_intercept"][0])))
    assert moved.mean() == pytest.approx(positive.mean(), abs=1e-6)
    assert found["calibration_slope"][0] == pytest.approx(slope, abs=0.12)


def test_one_step_a_resample_gives_the_interval_of_fitting_each_resample():
    scores, positive = made(600, 0.8, 0.2)
    weights = patient_weights(np.arange(600) // 2, 200, np.random.default_rng(0))
    quick = weighted_calibration(scores, positive, weights)["calibration_slope"]
    slow = np.array([fitted_slope(scores, positive, w) for w in weights])
    assert np.corrcoef(quick, slow)[0, 1] > 0.98
    assert np.quantile(quick, [0.025, 0.975]) == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=0.04)


@pytest.mark.parametrize("positive", [np.zeros(20, bool), np.ones(20, bool), np.arange(20) >= 10])
def test_what_no_regression_can_tell_is_not_a_number(positive):
    scores = np.linspace(0.05, 0.95, 20)
    assert np.isnan(weighted_calibration(scores, positive, np.ones((3, 20)))["calibration_slope"]).all()


def test_a_score_that_is_the_same_for_everybody_has_no_slope():
    positive = np.arange(10) < 4
    found = weighted_calibration(np.full(10, 0.4), positive, np.ones((1, 10)))
    assert np.isnan(found["calibration_slope"]).all() and found["calibration_intercept"][0] == pytest.approx(
        0, abs=1e-6
    )


def test_chances_of_nought_and_one_have_log_odds_too():
    scores, positive = np.array([0.0, 0.2, 0.4, 1.0, 1.0, 0.0]), np.array([0, 0, 1, 1, 0, 1], bool)
    assert np.isfinite(weighted_calibration(scores, positive, np.ones((1, 6)))["calibration_slope"]).all()
