"""Phenotype metrics: published kNN numbers, scikit-learn and torchmetrics as second opinions, intervals that cover."""

import json
import warnings

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics
from sklearn.neighbors import KNeighborsClassifier

from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.evaluation.phenotypes import (
    bootstrap,
    classification_metrics,
    interval,
    patient_weights,
    regression_metrics,
    share_interval,
    weighted_classification,
    weighted_regression,
)
from tests.goldens.golden_inputs import class_features


@pytest.fixture(scope="module")
def knn(goldens):
    spec = json.loads((goldens / "constants.json").read_text())
    arrays = dict(np.load(goldens / "knn.npz"))
    for part in ("train", "test"):
        arrays[f"{part}_x"] = class_features(f"knn_{part}", arrays[f"{part}_y"], spec)
    return arrays, json.loads((goldens / "knn.json").read_text())


def neighbours(arrays, labels):
    model = KNeighborsClassifier(n_neighbors=5, algorithm="brute").fit(arrays["train_x"], labels)
    return model.predict_proba(arrays["test_x"])


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def two_columns(positive):
    return np.column_stack([1 - positive, positive])


def assert_all_close(found, expected, tolerance=1e-6):
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=tolerance), name


def test_multiclass_metrics_are_the_published_ones(knn):
    arrays, facts = knn
    np.testing.assert_allclose(neighbours(arrays, arrays["train_y"]), arrays["multiclass_probs"])
    assert_all_close(classification_metrics(arrays["multiclass_probs"], arrays["test_y"]), facts["multiclass"])
    logits = arrays["logits_multiclass"].astype(np.float64)
    assert_all_close(classification_metrics(softmax(logits), arrays["test_y"]), facts["multiclass_from_logits"])


def test_binary_metrics_are_the_published_ones(knn):
    arrays, facts = knn
    labels = (arrays["test_y"] == 2).astype(int)
    np.testing.assert_allclose(neighbours(arrays, arrays["train_y"] == 2), arrays["binary_probs"])
    assert_all_close(classification_metrics(arrays["binary_probs"], labels), facts["binary"])
    positive = 1 / (1 + np.exp(-arrays["logits_binary"].astype(np.float64)))
    assert_all_close(classification_metrics(two_columns(positive), labels), facts["binary_from_logits"])


def random_case(seed, n=37, n_classes=4):
    """Coarse probabilities (many equal scores) and labels that contain every class."""
    rng = np.random.default_rng(seed)
    probabilities = np.round(rng.dirichlet(np.ones(n_classes), n), 1)
    return probabilities, np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, n - n_classes)])


@pytest.mark.parametrize("seed", range(4))
def test_curves_equal_those_of_scikit_learn(seed):
    probabilities, labels = random_case(seed)
    found = classification_metrics(probabilities, labels)
    one_hot = np.eye(4)[labels]
    assert found["auroc"] == pytest.approx(sklearn_metrics.roc_auc_score(one_hot, probabilities, average="macro"))
    assert found["auprc"] == pytest.approx(
        sklearn_metrics.average_precision_score(one_hot, probabilities, average="macro")
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_counts_equal_those_of_torchmetrics(seed):
    import torch
    from torchmetrics.functional import classification as tm

    probabilities, labels = random_case(seed, n=9, n_classes=5)
    labels[labels == 4] = 0  # a class that only predictions know, or nobody
    found = classification_metrics(probabilities, labels)
    p, y = torch.from_numpy(probabilities), torch.from_numpy(labels)
    for name, metric in (
        ("accuracy", tm.multiclass_accuracy),
        ("f1", tm.multiclass_f1_score),
        ("precision", tm.multiclass_precision),
        ("recall", tm.multiclass_recall),
    ):
        assert found[name] == pytest.approx(float(metric(p, y, 5, average="macro")), abs=1e-6), name


def test_nothing_predicted_positive_gives_zero_and_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = classification_metrics(two_columns(np.array([0.1, 0.2, 0.3])), np.array([0, 1, 0]))
    assert (found["precision"], found["recall"], found["f1"]) == (0, 0, 0)
    assert found["balanced_accuracy"] == 0.5


def test_one_class_only_leaves_the_curves_unknown():
    found = classification_metrics(two_columns(np.array([0.1, 0.9])), np.array([0, 0]))
    assert np.isnan(found["auroc"]) and np.isnan(found["auprc"]) and found["accuracy"] == 0.5


def test_a_class_that_never_occurs_is_left_out_of_the_curves():
    probabilities, labels = random_case(1, n_classes=3)
    labels[labels == 2] = 0
    by_class = [sklearn_metrics.roc_auc_score(labels == c, probabilities[:, c]) for c in (0, 1)]
    assert classification_metrics(probabilities, labels)["auroc"] == pytest.approx(np.mean(by_class))


def test_regression_metrics_equal_those_of_scikit_learn():
    rng = np.random.default_rng(3)
    measured = rng.normal(55, 10, 41)
    predicted = measured + rng.normal(1, 6, 41)
    assert_all_close(
        regression_metrics(predicted, measured),
        {
            "mae": sklearn_metrics.mean_absolute_error(measured, predicted),
            "rmse": sklearn_metrics.root_mean_squared_error(measured, predicted),
            "r2": sklearn_metrics.r2_score(measured, predicted),
        },
        1e-12,
    )
    assert np.isnan(regression_metrics(predicted, np.full(41, 55.0))["r2"])


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_weighting_equals_repeating_the_samples(n_classes):
    """The bootstrap's weights against the slow way: samples written out as often as they were drawn."""
    rng = np.random.default_rng(4)
    probabilities, labels = random_case(5, n=23, n_classes=n_classes)
    patients = rng.integers(0, 9, 23)
    weights = patient_weights(patients, 5, rng)
    fast = weighted_classification(probabilities, labels, weights)
    measured = rng.normal(size=23)
    fast_regression = weighted_regression(probabilities[:, 0], measured, weights)
    for i, row in enumerate(weights):
        rows = np.repeat(np.arange(23), row.astype(int))
        slow = classification_metrics(probabilities[rows], labels[rows])
        for name, value in slow.items():
            assert fast[name][i] == pytest.approx(value, nan_ok=True), name
        for name, value in regression_metrics(probabilities[rows, 0], measured[rows]).items():
            assert fast_regression[name][i] == pytest.approx(value), name


def test_whole_patients_are_drawn():
    patients = np.array(["a", "a", "b", "c", "c", "c"])
    weights = patient_weights(patients, 50, np.random.default_rng(0))
    assert (weights[:, 0] == weights[:, 1]).all() and (weights[:, 3] == weights[:, 5]).all()
    assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all()


def error_interval(error, patients, level=0.95, n_resamples=1000, seed=0):
    """Bootstrap interval of the mean absolute error."""
    resampled = bootstrap(lambda w: weighted_regression(error, np.zeros(len(error)), w), patients, n_resamples, seed)
    return interval(resampled["mae"], level)


def test_intervals_cover_the_true_value_about_as_often_as_they_say():
    covered, rng = 0, np.random.default_rng(6)
    for trial in range(100):
        error = rng.normal(0, 5, 80)  # mean absolute error 5 * sqrt(2 / pi) = 3.989
        low, high = error_interval(error, np.arange(80), level=0.9, n_resamples=300, seed=trial)
        covered += low <= 5 * np.sqrt(2 / np.pi) <= high
    assert 80 <= covered <= 97


def test_repeated_records_of_few_patients_widen_the_interval():
    rng = np.random.default_rng(7)
    error = np.repeat(rng.normal(0, 5, 20), 10)
    as_records = error_interval(error, np.arange(200))
    as_patients = error_interval(error, np.repeat(np.arange(20), 10))
    assert as_patients[1] - as_patients[0] > 2 * (as_records[1] - as_records[0])


def test_intervals_are_repeatable_and_hold_the_value():
    probabilities, labels = random_case(8, n=200, n_classes=3)
    patients = np.arange(200) // 2
    once, again = (bootstrap(lambda w: weighted_classification(probabilities, labels, w), patients) for _ in "12")
    for name, value in classification_metrics(probabilities, labels).items():
        np.testing.assert_array_equal(once[name], again[name])
        low, high = interval(once[name])
        assert low <= value <= high, name


@pytest.mark.parametrize(
    "probabilities, labels, words",
    [
        (np.zeros((3, 1)), np.zeros(3), r"found \(3, 1\) and \(3,\)"),
        (np.zeros((3, 2)), np.zeros(2), r"found \(3, 2\) and \(2,\)"),
        (np.zeros((0, 2)), np.zeros(0), r"found \(0, 2\)"),
        (np.full((3, 2), np.nan), np.zeros(3), "not a finite number"),
        (np.zeros((3, 2)), np.array([0, 1, 2]), "Labels have to be 0 to 1, found 0 to 2"),
    ],
)
def test_bad_tables_are_refused_in_words(probabilities, labels, words):
    with pytest.raises(Echo2ECGError, match=words):
        classification_metrics(probabilities, labels)


def test_unequal_columns_are_refused_in_words():
    with pytest.raises(Echo2ECGError, match=r"Predictions \(2,\) and measurements \(3,\)"):
        regression_metrics(np.zeros(2), np.zeros(3))


def test_one_patient_gives_no_interval_and_of_a_share_wilsons():
    error, patient = np.array([1.0, 4.0, 2.0, 5.0, 3.0]), np.array(["A"] * 5)
    assert np.isnan(error_interval(error, patient)).all()  # every resample is the same: an interval of no width
    resampled = bootstrap(lambda w: {"share": w @ (error > 2) / w.sum(1)}, patient)["share"]
    low, high = share_interval(0.6, resampled, patient)
    assert low < 0.6 < high and high - low > 0.7


def test_an_interval_reaches_to_its_own_value_where_resampling_only_makes_it_less():
    measured, patients = np.random.default_rng(2).normal(60, 5, 12), np.arange(12)
    guess = np.full(12, measured.mean())
    resampled = bootstrap(lambda w: weighted_regression(guess, measured, w), patients)["r2"]
    value = regression_metrics(guess, measured)["r2"]
    assert value > interval(resampled)[1], "the mean of all is never the mean of those drawn"
    assert interval(resampled, value=value) == (interval(resampled)[0], value)
    assert interval(resampled, value=float("nan")) == interval(resampled)
