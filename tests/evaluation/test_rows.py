"""Rows on made vectors: against scikit-learn and torchmetrics, a slow bootstrap, and what cannot be evaluated."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sklearn_metrics
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.evaluation.probes import INVERSE_STRENGTHS, RIDGE_STRENGTHS
from echo2ecg_core.evaluation.rows import Split, evaluate_encoder, paired_differences, refuse_nothing, unanswerable

ASKED = ("lvef_class", "lvef_le_40", "lvef")


def made_split(rng, n, first_patient, noise=6.0):
    """Twelve numbers that tell the LVEF, with noise; two ECGs a patient, every tenth without a label."""
    x = rng.normal(size=(n, 12)) * np.linspace(1, 5, 12)
    lvef = 47 + 8 * x[:, 0] - 3 * x[:, 1] + rng.normal(0, noise, n)
    lvef[::10] = np.nan
    return Split(x, pd.DataFrame({"lvef": lvef}), first_patient + np.arange(n) // 2)


@pytest.fixture(scope="module")
def splits():
    rng = np.random.default_rng(0)
    return made_split(rng, 400, 0), made_split(rng, 120, 1000), made_split(rng, 160, 2000)


@pytest.fixture(scope="module")
def rows(splits):
    return {
        row.readout: row
        for row in evaluate_encoder("made", *splits, ("probe", "knn", "boosting"), ASKED, n_resamples=200)
    }


def known(split, task):
    rows = np.isfinite(split.targets[task])
    return split.vectors[rows], split.targets[task][rows], rows


def standardised(splits, task):
    train, validation, test = splits
    mean, scale = known(train, task)[0].mean(0), known(train, task)[0].std(0) + 1e-6
    return [(x - mean) / scale for x in (known(train, task)[0], known(validation, task)[0], test.vectors)]


@pytest.mark.parametrize("task", ["lvef_class", "lvef_le_40"])
def test_a_linear_probe_is_the_logistic_regression_that_validation_patients_like_best(splits, rows, task):
    x, x_validation, x_test = standardised(splits, task)
    y, y_validation = known(splits[0], task)[1], known(splits[1], task)[1]
    models = [LogisticRegression(C=c, max_iter=5000, tol=1e-8).fit(x, y) for c in INVERSE_STRENGTHS]
    best = min(models, key=lambda m: sklearn_metrics.log_loss(y_validation, m.predict_proba(x_validation)))
    found = rows["probe"].predictions[task]
    expected = best.predict_proba(x_test)
    np.testing.assert_allclose(found, expected if task == "lvef_class" else expected[:, 1], atol=0.005)


def test_a_linear_probe_of_a_value_is_the_ridge_that_validation_patients_like_best(splits, rows):
    x, x_validation, x_test = standardised(splits, "lvef")
    y, y_validation = known(splits[0], "lvef")[1], known(splits[1], "lvef")[1]
    best = min(
        (Ridge(a).fit(x, y) for a in RIDGE_STRENGTHS),
        key=lambda m: np.mean((m.predict(x_validation) - y_validation) ** 2),
    )
    np.testing.assert_allclose(rows["probe"].predictions["lvef"], best.predict(x_test))


def test_knn_is_the_published_one_on_vectors_as_they_are(splits, rows):
    for task in ASKED:
        x, y, _ = known(splits[0], task)
        model = (KNeighborsRegressor if task == "lvef" else KNeighborsClassifier)(5, algorithm="brute").fit(x, y)
        expected = model.predict(splits[2].vectors) if task == "lvef" else model.predict_proba(splits[2].vectors)
        np.testing.assert_allclose(rows["knn"].predictions[task], expected[:, 1] if task == "lvef_le_40" else expected)


def test_binary_results_equal_those_of_scikit_learn(splits, rows):
    for row in rows.values():
        _, y, rows_known = known(splits[2], "lvef_le_40")
        score, found = row.predictions["lvef_le_40"][rows_known], row.results["lvef_le_40"]
        expected = {
            "auroc": sklearn_metrics.roc_auc_score(y, score),
            "auprc": sklearn_metrics.average_precision_score(y, score),
            "accuracy": sklearn_metrics.accuracy_score(y, score > 0.5),
            "f1": sklearn_metrics.f1_score(y, score > 0.5),
            "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(y, score > 0.5),
            "precision": sklearn_metrics.precision_score(y, score > 0.5),
            "recall": sklearn_metrics.recall_score(y, score > 0.5),
        }
        false_positive_rate, sensitivity, _ = sklearn_metrics.roc_curve(y, score, drop_intermediate=False)
        expected["sensitivity_at_90_specificity"] = sensitivity[false_positive_rate <= 0.1 + 1e-12].max()
        own = ("calibration_error", "calibration_slope", "calibration_intercept")  # tests of their own
        expected |= {name: found[name][0] for name in own}
        assert {name: value[0] for name, value in found.items()} == pytest.approx(expected)
        assert all(low <= value <= high for name, (value, low, high) in found.items() if name not in own)


@pytest.mark.slow  # loading torchmetrics takes seconds
def test_sensitivity_and_calibration_error_equal_those_of_torchmetrics(splits, rows):
    import torch
    from torchmetrics.functional.classification import binary_calibration_error, binary_sensitivity_at_specificity

    for row in rows.values():
        _, y, rows_known = known(splits[2], "lvef_le_40")
        p, t = (
            torch.from_numpy(row.predictions["lvef_le_40"][rows_known].astype(float)),
            torch.from_numpy(y.astype(int)),
        )
        found = row.results["lvef_le_40"]
        assert found["sensitivity_at_90_specificity"][0] == pytest.approx(
            float(binary_sensitivity_at_specificity(p, t, min_specificity=0.9)[0]), abs=1e-6
        )
        assert found["calibration_error"][0] == pytest.approx(
            float(binary_calibration_error(p, t, n_bins=10, norm="l1")), abs=1e-6
        )


def test_intervals_and_paired_differences_equal_a_slow_bootstrap_of_whole_patients(splits, rows):
    test, (_, y, rows_known) = splits[2], known(splits[2], "lvef")
    patients = test.patients[rows_known]
    errors = {r: np.abs(rows[r].predictions["lvef"][rows_known] - y) for r in ("probe", "knn")}
    rng, drawn = np.random.default_rng(5), []
    of_patient = [np.flatnonzero(patients == p) for p in np.unique(patients)]
    for _ in range(2000):
        chosen = np.concatenate([of_patient[i] for i in rng.integers(0, len(of_patient), len(of_patient))])
        drawn.append([errors["probe"][chosen].mean(), (errors["knn"] - errors["probe"])[chosen].mean()])
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    value, *found = rows["probe"].results["lvef"]["mae"]
    assert value == pytest.approx(errors["probe"].mean())
    assert found == pytest.approx([low[0], high[0]], abs=0.25 * (high[0] - low[0]))
    difference = paired_differences(list(rows.values()), "made.probe")["lvef"]["made.knn"]
    assert difference["metric"] == "mae" and difference["reference"] == "made.probe"
    assert difference["value"][0] == pytest.approx((errors["knn"] - errors["probe"]).mean())
    assert difference["value"][1:] == pytest.approx([low[1], high[1]], abs=0.25 * (high[1] - low[1]))


def test_a_row_compared_with_itself_differs_by_exactly_nothing(splits):
    one, other = (evaluate_encoder(name, *splits, ("knn",), ASKED, n_resamples=50)[0] for name in ("one", "other"))
    for task in ASKED:
        assert paired_differences([one, other], "one.knn")[task]["other.knn"]["value"] == [0, 0, 0]


def test_boosting_takes_features_that_could_not_be_measured(splits):
    train, validation, test = (Split(np.where(s.vectors > 12, np.nan, s.vectors), s.labels, s.patients) for s in splits)
    row = evaluate_encoder("features", train, validation, test, ("boosting",), ("lvef_le_40",), n_resamples=20)[0]
    assert row.results["lvef_le_40"]["auroc"][0] > 0.8
    with pytest.raises(Echo2ECGError, match="training vectors hold numbers that are not finite"):
        evaluate_encoder("features", train, validation, test, ("probe",))


def test_what_patients_cannot_answer_is_left_out_with_the_reason(splits):
    train, validation, test = splits
    healthy = Split(test.vectors, pd.DataFrame({"lvef": np.full(len(test.vectors), 60.0)}), test.patients)
    reasons = unanswerable(train, validation, healthy, ("lvef_le_40", "lvef", "rvsp"))
    assert reasons["lvef_le_40"] == "LVEF ≤ 40 %: too few labels (test patients by class: 80, 0)."
    assert (
        reasons["rvsp"] == "RV systolic pressure: too few labels (0 training ECGs have a value)."
        and "lvef" not in reasons
    )
    row = evaluate_encoder("made", train, validation, healthy, ("knn",), ("lvef_le_40", "lvef"), n_resamples=20)[0]
    assert set(row.results) == {"lvef"}


def test_a_patient_in_two_splits_is_refused(splits):
    train, validation, test = splits
    leaked = Split(
        test.vectors, test.labels, np.where(np.arange(len(test.patients)) < 4, train.patients[:1], test.patients)
    )
    with pytest.raises(Echo2ECGError, match="1 patient is both in training and in test"):
        evaluate_encoder("made", train, validation, leaked)


@pytest.mark.parametrize(
    "wrong, words",
    [
        (lambda s: Split(s.vectors[:, :3], s.labels, s.patients), r"Expected test vectors \(n, 12\), found \(160, 3\)"),
        (
            lambda s: Split(s.vectors[:5], s.labels, s.patients),
            "as many vectors as labels and patients, found 5, 160 and 160",
        ),
    ],
)
def test_wrong_shapes_are_refused_in_words(splits, wrong, words):
    with pytest.raises(Echo2ECGError, match=words):
        evaluate_encoder("made", splits[0], splits[1], wrong(splits[2]))


def test_many_ecgs_of_a_few_patients_judge_nothing_and_are_refused_in_words(splits):
    train, validation, test = splits
    few = Split(test.vectors[:8], test.labels.iloc[:8], np.repeat(["A", "B"], 4))
    reasons = unanswerable(train, validation, few)
    with pytest.raises(Echo2ECGError, match=r"cannot judge anything: LV ejection .*\(test patients with a value: 2\)"):
        refuse_nothing(reasons)
    refuse_nothing(unanswerable(train, validation, test))
