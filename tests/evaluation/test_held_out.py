"""The short report of a manifest: keys, values against scikit-learn, and what a bootstrap of patients must do."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, roc_auc_score

from echo2ecg_core.evaluation.held_out import interval_coverage, test_report, with_interval
from echo2ecg_core.models.readouts import Outside, Readouts

test_report.__test__ = False  # a function of the product, not a test


@pytest.fixture(scope="module")
def made():
    """Readouts on eight numbers that tell the LVEF, the same on noise, and test ECGs of which every fifth has no
    LVEF."""
    rng = np.random.default_rng(0)

    def split(n):
        x = rng.normal(size=(n, 8))
        return x, {"lvef": 48 + 8 * x[:, 0] + rng.normal(0, 4, n)}

    train, calibration, (x, labels) = split(300), split(200), split(150)
    labels["lvef"][::5] = np.nan
    noise = {len(part): rng.normal(size=(len(part), 8)) for part in (train[0], calibration[0], x)}
    fit = lambda a, b: Readouts.fit((a, train[1]), (b, calibration[1]), Outside.fit(a, b, directions=8))  # noqa: E731
    readouts, blind = fit(train[0], calibration[0]), fit(noise[300], noise[200])
    vectors, random_vectors = (SimpleNamespace(embedding=e, outside=e) for e in (x, noise[150]))
    patients = np.arange(150) // 2
    report = test_report(readouts, vectors, blind, random_vectors, train[1], labels, patients)
    return report, readouts, blind, vectors, random_vectors, train[1]["lvef"], labels["lvef"], patients


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
    assert entry["auroc_reduced"] == pytest.approx(roc_auc_score(y <= 40.5, -model), abs=1e-4)
    assert entry["random_auroc_reduced"] == pytest.approx(roc_auc_score(y <= 40.5, -random), abs=1e-4)
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
    assert found["low"] <= found["coverage"] <= found["high"] and (found["n"], found["level"]) == (known.sum(), 0.9)


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
