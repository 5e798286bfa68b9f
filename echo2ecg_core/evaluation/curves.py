"""Curves of a binary prediction as points to draw: ROC, and observed against predicted share with intervals by
patient."""

import numpy as np

from echo2ecg_core.evaluation.phenotypes import CALIBRATION_BINS, bootstrap, calibration_bin, share_interval

MOST_POINTS = 200


def roc_points(scores: np.ndarray, is_positive: np.ndarray) -> dict[str, list[float]]:
    """`false_positive_rate` and `sensitivity` of every corner of the ROC curve, at most 200, from (0, 0) to (1, 1)."""
    from sklearn.metrics import roc_curve

    false_positive_rate, sensitivity, _ = roc_curve(is_positive, scores)
    kept = np.unique(np.linspace(0, len(sensitivity) - 1, min(len(sensitivity), MOST_POINTS)).round().astype(int))
    return {"false_positive_rate": false_positive_rate[kept].tolist(), "sensitivity": sensitivity[kept].tolist()}


def calibration_points(
    scores: np.ndarray, is_positive: np.ndarray, patients: np.ndarray, level: float = 0.95
) -> dict[str, list]:
    """Mean prediction and observed share in ten equal bins of probability, those with ECGs in them.

    Args:
        scores: (n,) probabilities. is_positive: (n,) bool. patients: (n,).
        level: Of the interval of the observed share (`share_interval`).

    Returns:
        `predicted`, `observed`, `low`, `high`, `count` (ECGs), a number a bin.
    """
    which = calibration_bin(scores)
    bins = np.flatnonzero(np.bincount(which, minlength=CALIBRATION_BINS))
    cell = which[:, None] == bins  # (n, bins)
    hits = cell * is_positive[:, None]

    def observed(weights: np.ndarray) -> dict[str, np.ndarray]:
        with np.errstate(invalid="ignore"):
            shares = (weights @ hits) / (weights @ cell)  # (w, bins)
        return {str(b): shares[:, i] for i, b in enumerate(bins)}

    count = cell.sum(axis=0)
    shares, resampled = hits.sum(axis=0) / count, bootstrap(observed, patients)
    limits = [share_interval(shares[i], resampled[str(b)], patients[cell[:, i]], level) for i, b in enumerate(bins)]
    return {
        "predicted": ((scores @ cell) / count).tolist(),
        "observed": shares.tolist(),
        "low": [low for low, _ in limits],
        "high": [high for _, high in limits],
        "count": count.tolist(),
    }
