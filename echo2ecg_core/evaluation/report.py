"""What test patients say of a model: errors beside those of a random encoder and of the median, with intervals.

All intervals are 95 % patient bootstraps (1,000 resamples): patients are drawn, not ECGs, because ECGs of one patient are
not independent.
"""

from collections.abc import Callable

import numpy as np

from echo2ecg_core.models.readouts import INTERVAL_LEVEL, LIMIT_PERCENTILE, Readouts

RESAMPLES = 1000
REDUCED = 40.5  # LVEF <= 40 in whole percent


def test_report(readouts: Readouts, vectors, random_readouts: Readouts, random_vectors, train_labels: dict[str, np.ndarray],
                labels: dict[str, np.ndarray], patients: np.ndarray) -> dict:
    """Everything the manifest tells of the test patients.

    Args:
        readouts, vectors: Of the model; `vectors.embedding` (n, d) and `vectors.outside` (n, f) of the test ECGs.
        random_readouts, random_vectors: The same of a randomly initialised encoder of the same size.
        train_labels: Phenotype -> values of training patients, for the median predictor.
        labels: Phenotype -> measured values (n,) of the test ECGs.
        patients: (n,) patient number of each test ECG.
    """
    report = {"ecgs": len(patients), "patients": int(len(np.unique(patients))), "phenotypes": {},
              "share_outside": round(float(np.mean(readouts.outside.percentile(vectors.outside) > LIMIT_PERCENTILE)), 4)}
    for name, measured in labels.items():
        predicted = readouts.predict(name, vectors.embedding)
        rows = {"mae": predicted, "random_mae": random_readouts.predict(name, random_vectors.embedding),
                "median_mae": np.full(len(measured), np.nanmedian(train_labels[name]))}
        entry = {"r2": round(1 - np.sum((measured - predicted) ** 2) / np.sum((measured - measured.mean()) ** 2), 4),
                 "coverage": round(_coverage(readouts, name, vectors.embedding, measured), 4)}
        for key, values in rows.items():
            error = np.abs(values - measured)
            entry[key], entry[f"{key}_interval"] = with_interval(lambda weights, error=error: np.average(error, weights=weights), patients)
        if name == "lvef":
            reduced = measured <= REDUCED
            for key, values in (("auroc_reduced", predicted), ("random_auroc_reduced", rows["random_mae"])):
                entry[key], entry[f"{key}_interval"] = with_interval(
                    lambda weights, values=values, reduced=reduced: auroc(reduced, -values, weights), patients)
        report["phenotypes"][name] = entry
    return report


def with_interval(measure: Callable[[np.ndarray], float], patients: np.ndarray, *, resamples: int = RESAMPLES,
                  seed: int = 0) -> tuple[float, list[float]]:
    """A measure of weighted rows with its 95 % patient-bootstrap interval.

    Args:
        measure: Weights (n,) of the rows -> value.
        patients: (n,) patient number of each row.
        resamples, seed: Of the bootstrap.
    """
    _, number = np.unique(patients, return_inverse=True)
    rng = np.random.default_rng(seed)
    n = number.max() + 1
    draws = [measure(np.bincount(rng.integers(0, n, n), minlength=n)[number].astype(float)) for _ in range(resamples)]
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return round(float(measure(np.ones(len(number)))), 4), [round(float(low), 4), round(float(high), 4)]


def auroc(positive: np.ndarray, score: np.ndarray, weights: np.ndarray) -> float:
    """Weighted area under the ROC curve (ties count half); NaN when a class is absent."""
    from sklearn.metrics import roc_auc_score

    kept = weights > 0
    if len(np.unique(positive[kept])) < 2:
        return float("nan")
    return float(roc_auc_score(positive[kept], score[kept], sample_weight=weights[kept]))


def _coverage(readouts: Readouts, name: str, embeddings: np.ndarray, measured: np.ndarray) -> float:
    """Share of measured values inside their interval, at INTERVAL_LEVEL."""
    assert 0 < INTERVAL_LEVEL < 1
    intervals = np.array([readouts.estimate(name, e).interval for e in embeddings])
    return float(np.mean((measured >= intervals[:, 0]) & (measured <= intervals[:, 1])))
