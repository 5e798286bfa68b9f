"""Points of curves against scikit-learn, and groups of patients against the same predictions cut by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import auc, roc_auc_score

from echo2ecg_core.evaluation.curves import calibration_points, roc_points
from echo2ecg_core.evaluation.rows import Split, row_of
from echo2ecg_core.evaluation.subgroups import (
    age_band,
    cohort_results,
    conduction_words,
    patient_counts,
    rhythm_words,
    subgroup_results,
)


@pytest.fixture(scope="module")
def scored():
    rng = np.random.default_rng(0)
    scores = rng.beta(1, 3, 3000)
    return scores, rng.random(3000) < scores, np.arange(3000) // 2


def test_a_thinned_roc_curve_keeps_its_area_and_its_corners(scored):
    scores, positive, _ = scored
    points = roc_points(scores, positive)
    assert len(points["sensitivity"]) == 200
    assert auc(points["false_positive_rate"], points["sensitivity"]) == pytest.approx(
        roc_auc_score(positive, scores), abs=0.002
    )
    for values in points.values():
        assert values[0] == 0 and values[-1] == 1 and (np.diff(values) >= 0).all()


def test_calibration_points_are_those_of_scikit_learn_with_intervals_around_them(scored):
    scores, positive, patients = scored
    points = calibration_points(scores, positive, patients)
    observed, predicted = calibration_curve(positive, scores, n_bins=10)
    assert points["observed"] == pytest.approx(observed) and points["predicted"] == pytest.approx(predicted)
    assert sum(points["count"]) == 3000
    assert all(
        low <= value <= high for low, value, high in zip(points["low"], points["observed"], points["high"], strict=True)
    )
    covered = np.mean(
        [
            low <= value <= high
            for low, value, high in zip(points["low"], points["predicted"], points["high"], strict=True)
        ]
    )
    assert covered >= 0.8  # the scores are true probabilities


def test_where_all_or_none_were_seen_the_interval_is_wilsons_over_the_patients():
    scores, patients = np.array([0.05] * 6 + [0.95] * 4), np.array([1, 1, 2, 3, 4, 5, 6, 6, 7, 8])
    points = calibration_points(scores, scores > 0.5, patients)
    assert points["observed"] == [0, 1]
    # z²/(n + z²), n = 5 and 3 patients, z = 1.96
    assert points["high"] == pytest.approx([0.4345, 1], abs=1e-4)
    assert points["low"] == pytest.approx([0, 0.4385], abs=1e-4)


def test_a_subgroup_is_scored_on_its_own_ecgs_and_small_ones_are_left_out(scored):
    scores, positive, patients = scored
    test = Split(scores[:, None], pd.DataFrame({"lvef": np.where(positive, 30.0, 60.0)}), patients)
    sex = np.where(np.arange(3000) // 2 % 3 == 0, "Female", "Male").astype(object)
    sex[:4], sex[4:10] = "Other", None
    row = row_of("model", "probe", {"lvef_le_40": scores}, test, n_resamples=100)
    found = {
        f["level"]: f for f in subgroup_results(row, test, pd.DataFrame({"sex": sex}), n_resamples=100)["lvef_le_40"]
    }
    assert set(found) == {"Female", "Male"}
    women = sex == "Female"
    assert found["Female"]["value"][0] == pytest.approx(roc_auc_score(positive[women], scores[women]))
    assert found["Female"]["patients"] == len(set(patients[women])) and found["Female"]["positives"] == len(
        set(patients[women & positive])
    )
    assert (found["Female"]["group"], found["Female"]["metric"]) == ("sex", "auroc")


def test_each_cohort_is_scored_alone_for_every_row_and_one_cohort_is_not_repeated(scored):
    scores, positive, patients = scored
    test = Split(scores[:, None], pd.DataFrame({"lvef": np.where(positive, 30.0, 60.0)}), patients)
    cohorts = np.where(np.arange(3000) < 1200, "North", "South").astype(object)
    cohorts[-4:] = "Tiny"
    rows = [
        row_of(name, "probe", {"lvef_le_40": s}, test, n_resamples=100)
        for name, s in (("model", scores), ("random", scores[::-1].copy()))
    ]
    north, south = cohort_results(rows, test, cohorts, n_resamples=100)["lvef_le_40"]
    assert (
        (north["cohort"], south["cohort"]) == ("North", "South")
        and north["patients"] == 600
        and south["patients"] == len(set(patients[1200:-4]))
    )
    for part, inside in ((north, cohorts == "North"), (south, cohorts == "South")):
        assert part["positives"] == len(set(patients[inside & positive]))
        for row, found in zip(rows, part["results"].values(), strict=True):
            expected = roc_auc_score(positive[inside], row.predictions["lvef_le_40"][inside])
            assert found["auroc"][0] == pytest.approx(expected) and found["auroc"][1] < expected < found["auroc"][2]
        assert list(part["results"]) == ["model.probe", "random.probe"] and {"f1", "calibration_error"} <= set(
            part["results"]["model.probe"]
        )
    assert cohort_results(rows, test, np.full(3000, "North", object), n_resamples=100) == {}


def test_a_patient_with_two_ecgs_counts_once():
    target, patients = np.array([1.0, 1.0, 0.0, np.nan]), np.array(["a", "a", "b", "c"])
    assert patient_counts("lvef_le_40", target, patients) == {"patients": 2, "positives": 1}
    assert patient_counts("lvef", target, patients) == {"patients": 2, "positives": None}


def test_groups_have_names_in_words_and_none_where_nothing_is_known():
    assert [age_band(a) for a in (49.9, 50, 69.9, 70, None)] == [
        "Under 50 y",
        "50 to 69 y",
        "50 to 69 y",
        "70 y and over",
        None,
    ]
    assert rhythm_words(("Atrial fibrillation with rapid response",), 1, 5) == "Atrial fibrillation"
    assert rhythm_words(("Sinus bradycardia",), 0, 200) == "Sinus rhythm"
    assert [rhythm_words((), p, change) for p, change in ((1, 5), (0, 150), (0, 5), (np.nan, np.nan))] == [
        "Sinus rhythm",
        "Atrial fibrillation",
        None,
        None,
    ]
    assert [conduction_words(q) for q in (119, 120, np.nan)] == ["QRS under 120 ms", "QRS 120 ms and over", None]


def test_a_group_is_judged_on_patients_not_on_the_many_ecgs_of_a_few():
    rng = np.random.default_rng(1)
    patients = np.concatenate([np.repeat(np.arange(4), 10), np.arange(4, 44)])
    lvef, scores = np.where(np.arange(80) % 2, 30.0, 60.0), rng.random(80)
    test = Split(scores[:, None], pd.DataFrame({"lvef": lvef}), patients)
    groups = pd.DataFrame({"device": np.where(patients < 4, "Few", "Many").astype(object)})
    row = row_of("model", "probe", {"lvef_le_40": scores, "lvef": scores}, test, n_resamples=20)
    found = subgroup_results(row, test, groups, n_resamples=20)
    assert [[f["level"] for f in found[task]] for task in ("lvef_le_40", "lvef")] == [["Many"], ["Many"]]
