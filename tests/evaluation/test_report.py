"""The figures of the test report against sklearn and against what a bootstrap must do."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from echo2ecg_core.evaluation.report import auroc, with_interval


def test_auroc_with_counts_as_weights_is_the_auroc_of_the_repeated_rows():
    rng = np.random.default_rng(0)
    positive, score, counts = rng.random(80) < 0.3, rng.normal(size=80).round(1), rng.integers(0, 4, 80)
    assert auroc(positive, score, counts.astype(float)) == pytest.approx(roc_auc_score(np.repeat(positive, counts), np.repeat(score, counts)))


def test_auroc_of_one_class_is_not_a_number():
    assert np.isnan(auroc(np.ones(5, bool), np.arange(5.0), np.ones(5)))


def test_the_interval_of_a_mean_has_the_width_theory_says():
    values = np.random.default_rng(1).normal(10, 3, 400)
    value, (low, high) = with_interval(lambda w: np.average(values, weights=w), np.arange(400))
    assert value == pytest.approx(values.mean(), abs=1e-4) and low < value < high
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.12)


def test_patients_are_drawn_whole_so_repeated_ecgs_do_not_narrow_the_interval():
    values = np.random.default_rng(2).normal(10, 3, 100)
    once = with_interval(lambda w: np.average(values, weights=w), np.arange(100))[1]
    repeated = np.repeat(values, 5)
    five = with_interval(lambda w: np.average(repeated, weights=w), np.repeat(np.arange(100), 5))[1]
    assert np.diff(five) == pytest.approx(np.diff(once), rel=0.02)
