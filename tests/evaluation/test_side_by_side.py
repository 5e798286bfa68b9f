"""Models on the same patients: scores as sklearn gives them, differences paired, a mix that has to prove itself."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from echo2ecg_core.evaluation.side_by_side import Mix, judged, stacked


def chances(x):
    return 1 / (1 + np.exp(-x))


@pytest.fixture
def people():
    rng = np.random.default_rng(1)
    heart = rng.normal(size=900)
    positive = (rng.random(900) < chances(heart - 1)).astype(int)
    good, poor = chances(heart + 0.3 * rng.normal(size=900)), chances(0.3 * heart + rng.normal(size=900))
    return {"good": good, "poor": poor}, positive, np.array([f"P{i // 2}" for i in range(900)])


def test_scores_are_those_of_sklearn_and_differences_are_paired(people):
    answers, positive, patients = people
    found = judged(answers, positive, patients)
    for name, values in answers.items():
        assert found["scores"][name]["auroc"][0] == pytest.approx(roc_auc_score(positive, values))
        assert found["scores"][name]["auprc"][0] == pytest.approx(average_precision_score(positive, values), abs=1e-6)
    value, low, high = found["differences"]["poor"]["auroc"]
    assert value == pytest.approx(roc_auc_score(positive, answers["poor"]) - roc_auc_score(positive, answers["good"]))
    assert low < value < high < 0 and "good" not in found["differences"]


def test_a_model_beside_itself_differs_by_exactly_nothing(people):
    answers, positive, patients = people
    found = judged({"a": answers["good"], "b": answers["good"]}, positive, patients)
    assert found["differences"]["b"]["auroc"] == [0.0, 0.0, 0.0]


@pytest.mark.slow
def test_a_mix_of_two_halves_of_the_truth_helps_and_a_mix_with_noise_does_not():
    rng = np.random.default_rng(2)
    one, two, noise = rng.normal(size=(3, 4000))
    positive = (rng.random(4000) < chances(2 * one + 2 * two)).astype(int)
    patients = np.array([f"P{i}" for i in range(4000)])
    first, second = slice(0, 2000), slice(2000, 4000)

    def of(columns, rows):
        return {name: chances(values[rows]) for name, values in columns.items()}

    halves = {"one": one, "two": two}
    helped = stacked((of(halves, first), positive[first]), (of(halves, second), positive[second], patients[second]))
    assert helped["helps"] and helped["difference"][1] > 0.05
    mix = Mix(**helped["mix"])
    auroc = roc_auc_score(positive[second], mix.chances(of(halves, second)))
    assert auroc == pytest.approx(helped["auroc"][0]), "what is kept is what was judged"
    useless = {"one": one, "noise": noise}
    not_helped = stacked(
        (of(useless, first), positive[first]), (of(useless, second), positive[second], patients[second])
    )
    assert not_helped["best"] == "one" and not not_helped["helps"]
