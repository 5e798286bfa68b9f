"""The short report of a manifest: keys, values against scikit-learn, and what a bootstrap of patients must do."""

import json

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, roc_auc_score

from echo2ecg_core.evaluation.held_out import interval_coverage, test_report, with_interval
from echo2ecg_core.models.readouts import LabelledVectors, Readouts

test_report.__test__ = False  # a function of the product, not a test


@pytest.fixture(scope="module")
def made():
    """Readouts on eight numbers that tell the LVEF, the same on noise, and test ECGs of which every fifth has no
    LVEF."""
    rng = np.random.default_rng(0)

    def split(n):
        x = rng.normal(size=(n, 8))
        return LabelledVectors(x, x, {"lvef": 48 + 8 * x[:, 0] + rng.normal(0, 4, n)}, np.arange(n) // 2)

    def blinded(vectors):
        noise = rng.normal(size=vectors.embedding.shape)
        return LabelledVectors(noise, noise, vectors.labels, vectors.patients)

    train, calibration, test = split(300), split(200), split(150)
    test.labels["lvef"][::5] = np.nan
    readouts, blind = Readouts.fit(train, calibration), Readouts.fit(blinded(train), blinded(calibration))
    vectors, random_vectors = test, blinded(test)
    report = test_report(readouts, vectors, train.labels, (blind, random_vectors))
    return report, readouts, blind, vectors, random_vectors, train.labels["lvef"], test.labels["lvef"], test.patients


def test_the_manifest_entry_has_the_figures_of_scikit_learn_on_the_ecgs_with_a_label(made):
    report, readouts, blind, vectors, random_vectors, train, measured, patients = made
    known, entry = np.isfinite(measured), report["phenotypes"]["lvef"]
    model = readouts.values("lvef", vectors.embedding)[known]
    random = blind.values("lvef", random_vectors.embedding)[known]
    y = measured[known]
    assert entry["mae"] == pytest.approx(mean_absolute_error(y, model), abs=1e-4)
    assert entry["random_mae"] == pytest.approx(mean_absolute_error(y, random), abs=1e-4)
    assert entry["median_mae"] == pytest.approx(np.abs(y - np.median(train)).mean(), abs=1e-4)
    assert entry["r2"] == pytest.approx(r2_score(y, model), abs=1e-4)
    told, by_chance = (  # the chances that pages show
        one.chances_at_most("lvef", embedding[known], 40.5)
        for one, embedding in ((readouts, vectors.embedding), (blind, random_vectors.embedding))
    )
    assert entry["auroc_reduced"] == pytest.approx(roc_auc_score(y <= 40.5, told), abs=1e-4)
    assert entry["random_auroc_reduced"] == pytest.approx(roc_auc_score(y <= 40.5, by_chance), abs=1e-4)
    assert report["ecgs"] == 150 and report["patients"] == 75 and 0 <= report["share_outside"] < 0.2
    for key in ("mae", "random_mae", "median_mae", "auroc_reduced", "random_auroc_reduced"):
        low, high = entry[f"{key}_interval"]
        assert low < entry[key] < high


def test_coverage_counts_the_values_inside_their_intervals(made):
    _, readouts, _, vectors, _, _, measured, patients = made
    known = np.isfinite(measured)
    found = interval_coverage(readouts, "lvef", vectors.embedding[known], measured[known], patients[known])
    limits = [readouts.estimate("lvef", e).interval for e in vectors.embedding[known]]
    assert found["coverage"] == pytest.approx(
        np.mean([low <= v <= high for v, (low, high) in zip(measured[known], limits, strict=True)])
    )
    assert found["median_width"] == pytest.approx(np.median(np.diff(limits, axis=1)))
    ill = measured[known] < 40.5
    inside = [low <= v <= high for v, (low, high) in zip(measured[known], limits, strict=True)]
    assert (found["disease"], found["disease_n"]) == ("LVEF ≤ 40 %", ill.sum())
    assert found["disease_coverage"] == pytest.approx(np.mean(np.array(inside)[ill]))
    assert found["low"] <= found["coverage"] <= found["high"] and (found["n"], found["level"]) == (known.sum(), 0.9)


def test_without_an_interval_there_is_no_coverage_and_the_scores_stand_alone(made):
    _, readouts, _, vectors, _, train, measured, patients = made
    x = vectors.embedding
    few = LabelledVectors(x[:12], x[:12], {"lvef": np.nan_to_num(measured[:12], nan=50.0)}, patients[:12])
    bare = Readouts.fit(LabelledVectors(x, x, {"lvef": np.nan_to_num(measured, nan=48.0)}, patients), few)
    known = np.isfinite(measured)
    assert interval_coverage(bare, "lvef", x[known], measured[known], patients[known]) is None
    entry = test_report(bare, vectors, {"lvef": train})["phenotypes"]["lvef"]
    assert entry["r2"] > 0.5 and entry["mae"] > 0 and not {"coverage", "coverage_disease", "random_mae"} & set(entry)


def test_too_few_test_ecgs_and_a_class_that_nobody_has_give_no_score(made):
    _, readouts, _, vectors, _, train, _, _ = made
    few = LabelledVectors(vectors.embedding[:12], vectors.outside[:12], {"lvef": np.full(12, 60.0)}, np.arange(12))
    entry = test_report(readouts, few, {"lvef": train})["phenotypes"]["lvef"]
    assert entry["r2"] is None and entry["auroc_reduced"] is None and entry["n"] == 12
    json.dumps(entry, allow_nan=False)


def mean_of(values):
    return lambda weights: weights @ values / weights.sum(axis=1)


def test_the_interval_of_a_mean_has_the_width_theory_says():
    values = np.random.default_rng(1).normal(10, 3, 400)
    value, (low, high) = with_interval(mean_of(values), np.arange(400))
    assert value == pytest.approx(values.mean(), abs=1e-4) and low < value < high
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.12)


def test_patients_are_drawn_whole_so_repeated_ecgs_do_not_narrow_the_interval():
    values = np.random.default_rng(2).normal(10, 3, 100)
    once = with_interval(mean_of(values), np.arange(100))[1]
    five = with_interval(mean_of(np.repeat(values, 5)), np.repeat(np.arange(100), 5))[1]
    assert np.diff(five) == pytest.approx(np.diff(once), rel=0.02)
