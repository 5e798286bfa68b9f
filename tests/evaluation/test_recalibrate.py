"""Scores become chances only with enough patients, chosen on validation patients, and judged on test patients."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from echo2ecg_core.errors import StoreError
from echo2ecg_core.evaluation.recalibrate import calibration_of, fit_curve, logit, recalibrated


def people(n, seed=0, shift=2.5, stretch=1.0, two_each=False):
    """True chances, outcomes, scores that are far too high (logit + shift), patients, splits."""
    rng = np.random.default_rng(seed)
    true = 1 / (1 + np.exp(-rng.normal(-1.5, 1.5, n)))
    positive = (rng.random(n) < true).astype(float)
    scores = 1 / (1 + np.exp(-(stretch * logit(true) + shift)))
    patients = np.array([f"P{i // 2 if two_each else i}" for i in range(n)])
    owner = {p: rng.choice(["train", "validation", "test"], p=[0.5, 0.2, 0.3]) for p in dict.fromkeys(patients)}
    return true, positive, scores, patients, np.array([owner[p] for p in patients])


def test_platt_finds_the_line_that_made_the_scores():
    true, positive, scores, *_ = people(40_000, shift=2.5, stretch=0.5)
    curve = fit_curve("platt", scores, positive)
    assert curve.x == pytest.approx((2.0, -5.0), abs=0.2)  # logit(true) = 2 * (logit(score) - 2.5)
    np.testing.assert_allclose(curve.chances(scores), true, atol=0.04)
    sklearn = LogisticRegression(C=1e6).fit(logit(scores)[:, None], positive)
    assert curve.x == pytest.approx((sklearn.coef_[0, 0], sklearn.intercept_[0]), abs=1e-2)


def test_isotonic_rises_and_never_says_never():
    _, positive, scores, *_ = people(3000)
    grid = fit_curve("isotonic", scores, positive).chances(np.linspace(0, 1, 500))
    assert (np.diff(grid) >= -1e-12).all() and grid.min() > 0 and grid.max() < 1


def test_scores_that_are_too_high_become_chances_without_losing_their_order():
    _, positive, scores, patients, splits = people(4000)
    found = recalibrated(scores, positive, patients, splits, n_resamples=50)
    before, after = found["test"]["before"], found["test"]["after"]
    assert before["intercept"][0] < -1.5 and abs(after["intercept"][0]) < 0.4
    assert after["brier"][0] < before["brier"][0] - 0.05
    assert abs(after["auroc"][0] - before["auroc"][0]) < 0.01
    assert before["slope"][1] <= before["slope"][0] <= before["slope"][2]
    assert found["curve"]["method"] == min(found["log_loss"], key=found["log_loss"].get)
    assert found["patients"] == (splits == "train").sum()


def test_auroc_brier_slope_and_intercept_are_those_of_sklearn():
    _, positive, scores, patients, _ = people(800, two_each=True)
    found = calibration_of(scores, positive.astype(int), patients, 20)
    assert found["auroc"][0] == pytest.approx(roc_auc_score(positive, scores))
    assert found["brier"][0] == pytest.approx(np.mean((scores - positive) ** 2))
    line = LogisticRegression(C=1e6).fit(logit(scores)[:, None], positive)
    assert found["slope"][0] == pytest.approx(line.coef_[0, 0], abs=1e-3)
    assert found["intercept"][0] == pytest.approx(line.intercept_[0], abs=1e-3)


def test_too_few_patients_are_refused_by_patients_not_by_ecgs():
    _, positive, scores, patients, splits = people(700, two_each=True)  # 350 patients, 700 ECGs
    with pytest.raises(StoreError, match=r"\d+ labelled training patients.*needs 200"):
        recalibrated(scores, positive, patients, splits)


def test_too_few_positive_patients_are_refused():
    _, positive, scores, patients, splits = people(2000)
    rare = np.where(np.cumsum(positive) <= 20, positive, 0.0)
    with pytest.raises(StoreError, match="with the finding"):
        recalibrated(scores, rare, patients, splits)


def test_without_both_outcomes_among_validation_patients_nothing_is_chosen():
    _, positive, scores, patients, splits = people(2000)
    positive[splits == "validation"] = 0
    with pytest.raises(StoreError, match="validation"):
        recalibrated(scores, positive, patients, splits)


def test_ecgs_without_a_label_are_left_out_and_no_test_patient_means_no_judgement():
    _, positive, scores, patients, splits = people(3000)
    positive[splits == "test"] = np.nan
    assert recalibrated(scores, positive, patients, splits)["test"] is None
