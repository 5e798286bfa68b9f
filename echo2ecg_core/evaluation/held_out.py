"""What test patients say of a model: errors beside those of a random encoder and of the median, with intervals.

All intervals are 95 % patient bootstraps (1,000 resamples): patients are drawn, not ECGs, because ECGs of one patient
are not independent. This is the short form that a manifest keeps; workflows/evaluate.py writes the long one.
"""

from collections.abc import Callable

import numpy as np

from echo2ecg_core.evaluation.phenotypes import (
    bootstrap,
    interval,
    regression_metrics,
    weighted_auroc,
    weighted_regression,
)
from echo2ecg_core.evaluation.tasks import MODERATE
from echo2ecg_core.models.readouts import INTERVAL_LEVEL, LIMIT_PERCENTILE, Readouts
from echo2ecg_core.phenotypes import PHENOTYPES

REDUCED = 40.5  # LVEF <= 40 in whole percent


def test_report(
    readouts: Readouts,
    vectors,
    random_readouts: Readouts,
    random_vectors,
    train_labels: dict[str, np.ndarray],
    labels: dict[str, np.ndarray],
    patients: np.ndarray,
) -> dict:
    """Everything the manifest tells of the test patients.

    Args:
        readouts, vectors: Of the model; `vectors.embedding` (n, d) and `vectors.outside` (n, f) of the test ECGs.
        random_readouts, random_vectors: The same of a randomly initialised encoder of the same size.
        train_labels: Phenotype -> values of training patients, for the median predictor.
        labels: Phenotype -> measured values (n,) of the test ECGs, NaN where not measured.
        patients: (n,) patient number of each test ECG.
    """
    report = {
        "ecgs": len(patients),
        "patients": int(len(np.unique(patients))),
        "phenotypes": {},
        "share_outside": round(float(np.mean(readouts.outside.percentile(vectors.outside) > LIMIT_PERCENTILE)), 4),
    }
    for name, values in labels.items():
        known = np.isfinite(values)
        measured, embedding, people = values[known], vectors.embedding[known], patients[known]
        guesses = {
            "": readouts.values(name, embedding),
            "random_": random_readouts.values(name, random_vectors.embedding[known]),
        }
        coverage = interval_coverage(readouts, name, embedding, measured, people)["coverage"]
        entry = {"r2": round(regression_metrics(guesses[""], measured)["r2"], 4), "coverage": round(coverage, 4)}
        for key, guess in (guesses | {"median_": np.full(len(measured), np.nanmedian(train_labels[name]))}).items():
            entry[f"{key}mae"], entry[f"{key}mae_interval"] = with_interval(
                lambda w, guess=guess, measured=measured: weighted_regression(guess, measured, w)["mae"], people
            )
        for key, guess in guesses.items():
            if name == "lvef":
                entry[f"{key}auroc_reduced"], entry[f"{key}auroc_reduced_interval"] = _auroc(
                    -guess, measured <= REDUCED, people
                )
            if PHENOTYPES[name].kind == "grade":
                entry[f"{key}auroc_moderate"], entry[f"{key}auroc_moderate_interval"] = _auroc(
                    guess, measured >= MODERATE, people
                )
        report["phenotypes"][name] = entry
    return report


def _auroc(scores: np.ndarray, positive: np.ndarray, patients: np.ndarray) -> tuple[float, list[float]]:
    return with_interval(lambda w: weighted_auroc(scores, positive, w), patients)


def interval_coverage(
    readouts: Readouts, name: str, embeddings: np.ndarray, measured: np.ndarray, patients: np.ndarray
) -> dict:
    """How many measured values lie inside their intervals.

    Args:
        readouts, name: The head.
        embeddings, measured, patients: (n, d), (n,) without NaN, (n,).

    Returns:
        phenotype, coverage with its 95 % patient-bootstrap interval low and high, n, level, median_width.
    """
    limits = readouts.intervals(name, embeddings)  # (n, 2)
    inside = ((measured >= limits[:, 0]) & (measured <= limits[:, 1])).astype(float)
    low, high = interval(bootstrap(lambda w: {"coverage": w @ inside / w.sum(axis=1)}, patients)["coverage"])
    return {
        "phenotype": name,
        "coverage": float(inside.mean()),
        "low": low,
        "high": high,
        "n": len(measured),
        "level": INTERVAL_LEVEL,
        "median_width": float(np.median(limits[:, 1] - limits[:, 0])),
    }


def with_interval(metric: Callable[[np.ndarray], np.ndarray], patients: np.ndarray) -> tuple[float, list[float]]:
    """A metric of weights (w, n) -> (w,) with its 95 % patient-bootstrap interval; patients (n,)."""
    value = round(float(metric(np.ones((1, len(patients))))[0]), 4)
    return value, [
        round(limit, 4) for limit in interval(bootstrap(lambda weights: {"": metric(weights)}, patients)[""])
    ]
