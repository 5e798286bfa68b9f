"""Several models on the same findings of the same test patients, with paired differences, and whether mixing helps.

Arrays in, numbers out. All models see the same resamples of patients, so that a difference is paired. A model may
answer in chances or in scores: rank measures do not care, calibration shows which it was.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from echo2ecg_core.evaluation.phenotypes import interval, patient_weights, weighted_binary
from echo2ecg_core.evaluation.recalibrate import lines_of, logit

METRICS = ("auroc", "auprc", "sensitivity_at_90_specificity", "slope", "intercept")
N_RESAMPLES = 500
FEWEST = 5  # patients of either outcome among those who judge, and among those who choose


@dataclass(frozen=True)
class Mix:
    """A logistic line of several models' log odds: weight of each model by its name, and the intercept."""

    weights: Mapping[str, float]
    intercept: float

    def chances(self, answers: Mapping[str, np.ndarray]) -> np.ndarray:
        """Answers of every model, each (n,) in [0, 1] -> chances (n,)."""
        line = self.intercept + sum(weight * logit(answers[name]) for name, weight in self.weights.items())
        return 1 / (1 + np.exp(-line))


def judged(answers: Mapping[str, np.ndarray], positive: np.ndarray, patients: np.ndarray) -> dict:
    """Scores of every model on one finding, and each model minus the first.

    Args:
        answers: Model -> (n,) chance or score in [0, 1]; of the same ECGs.
        positive: (n,) 0 or 1. patients: (n,) whose ECG it is.

    Returns:
        {"scores": {model: {metric: [value, low, high]}}, "differences": {model: the same}}; intervals: 95 %, over
        patients.
    """
    weights = np.concatenate(
        [np.ones((1, len(positive))), patient_weights(patients, N_RESAMPLES, np.random.default_rng(0))]
    )
    resampled = {name: _all_metrics(values, positive, weights) for name, values in answers.items()}
    first = next(iter(resampled.values()))
    return {
        "scores": {name: {m: _triple(v[m]) for m in METRICS} for name, v in resampled.items()},
        "differences": {
            name: {m: _triple(v[m] - first[m]) for m in METRICS} for name, v in list(resampled.items())[1:]
        },
    }


def _all_metrics(values: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    found = weighted_binary(values, positive.astype(bool), weights)
    lines = lines_of(logit(values), positive, weights)  # (1 + r, 2)
    return {m: found[m] for m in METRICS[:3]} | {"slope": lines[:, 0], "intercept": lines[:, 1]}


def _triple(values: np.ndarray) -> list[float]:
    return [float(values[0]), *interval(values[1:], value=float(values[0]))]


def stacked(
    choosing: tuple[Mapping[str, np.ndarray], np.ndarray],
    judging: tuple[Mapping[str, np.ndarray], np.ndarray, np.ndarray],
) -> dict:
    """Whether a mix of all models beats the best single one on test patients.

    Mix and best single one are chosen on validation patients (stacking, Wolpert 1992).

    Args:
        choosing: Answers and outcomes (n,) of validation patients.
        judging: Answers, outcomes and patients (m,) of test patients.

    Returns:
        {"best": model, "auroc": [value, low, high] of the mix, "difference": the mix minus the best, "helps": whether
        that interval lies above 0, "mix": {"weights": {model: weight}, "intercept"}}.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    names = list(choosing[0])
    best = max(names, key=lambda name: roc_auc_score(choosing[1], choosing[0][name]))
    line = LogisticRegression(max_iter=1000).fit(np.stack([logit(choosing[0][n]) for n in names], 1), choosing[1])
    mix = Mix(dict(zip(names, map(float, line.coef_[0]), strict=True)), float(line.intercept_[0]))
    found = judged({"best": judging[0][best], "mix": mix.chances(judging[0])}, judging[1], judging[2])
    difference = found["differences"]["mix"]["auroc"]
    return {
        "best": best,
        "auroc": found["scores"]["mix"]["auroc"],
        "difference": difference,
        "helps": bool(difference[1] > 0),
        "mix": asdict(mix),
    }
