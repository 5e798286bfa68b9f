"""How well phenotypes are predicted: classification and regression metrics, with intervals by patient.

Every metric takes many weightings of the samples at once: the plain value has weight 1, a bootstrap resample of
patients is a weighting too. Conventions are those of torchmetrics (0/0 is 0; a class with neither true nor predicted
samples is left out of macro means) but one: a class that never occurs has no curve, so it is left out instead of
counting 0.

Notation used for shapes: n samples, c classes, w weightings.
"""

from collections.abc import Callable, Mapping

import numpy as np

from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.evaluation.calibration import weighted_calibration

Metrics = dict[str, np.ndarray]  # name -> (w,)
SPECIFICITY = 0.9
CALIBRATION_BINS = 10


def classification_metrics(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Quality of predicted class probabilities.

    Args:
        probabilities: (n, c) float; with two classes, column 1 is the positive one and above 0.5 means positive.
        labels: (n,) int, 0 to c - 1.

    Returns:
        `accuracy`, `f1`, `precision`, `recall`, `auroc`, `auprc`. With two classes they describe the positive class,
        and `balanced_accuracy` is added; with more they are macro means (`accuracy` too: it equals `recall`), the
        curves one class against the rest. `auroc` and `auprc` are NaN when no class can be told from another.

    Raises:
        Echo2ECGError: If the shapes do not match, **or** a label is no class, **or** a probability is not finite.
    """
    probabilities, labels = _checked(probabilities, labels)
    return _single(weighted_classification(probabilities, labels, np.ones((1, len(labels)))))


def regression_metrics(predicted: np.ndarray, measured: np.ndarray) -> dict[str, float]:
    """`mae`, `rmse` and `r2` of predictions (n,) against measurements (n,), in the unit of the measurement.

    `r2` is NaN when all measurements are equal.
    """
    predicted, measured = np.asarray(predicted, float), np.asarray(measured, float)
    return _single(weighted_regression(predicted, measured, np.ones((1, len(measured)))))


def patient_weights(patients: np.ndarray, n_resamples: int, rng: np.random.Generator) -> np.ndarray:
    """How often each sample enters each resample: patients are drawn with replacement, (n,) -> (n_resamples, n)."""
    names, owner = np.unique(np.asarray(patients), return_inverse=True)
    drawn = rng.integers(0, len(names), (n_resamples, len(names))) + len(names) * np.arange(n_resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=n_resamples * len(names)).reshape(n_resamples, -1)  # (w, patients)
    return counts.T.astype(np.float64)[owner].T  # the samples of one rank lie together: `_steps` sorts fast


def bootstrap(
    metrics_of: Callable[[np.ndarray], Metrics], patients: np.ndarray, n_resamples: int = 1000, seed: int = 0
) -> Metrics:
    """Each metric in every resample of patients, {name: (n_resamples,)}; equal patients and seed give equal resamples.

    NaN for one patient, whom every resample would draw again: nothing tells how far another one lies.

    Args:
        metrics_of: Weights (w, n) of the samples -> {name: (w,)}.
        patients: (n,) whose sample it is.
        n_resamples, seed: How often patients are drawn, and from where.
    """
    rng, blocks, left = np.random.default_rng(seed), [], n_resamples
    while left > 0:
        size = min(left, max(1, 2**21 // max(len(patients), 1)))  # at most 16 MB of weights at once
        blocks.append(metrics_of(patient_weights(patients, size, rng)))
        left -= size
    found = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    if len(np.unique(np.asarray(patients))) < 2:
        return {name: np.full(n_resamples, np.nan) for name in found}
    return found


def interval(resampled: np.ndarray, level: float = 0.95, value: float | None = None) -> tuple[float, float]:
    """The middle `level` of resampled values (w,), those that are NaN left out; NaN when all are.

    It reaches to the `value` that it is an interval of: the R² of a constant guess, and the median of few ranks, may
    lie beyond all that is resampled.
    """
    known = resampled[~np.isnan(resampled)]
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2]) if len(known) else (np.nan, np.nan)
    if len(known) and value is not None and value == value:
        low, high = min(low, value), max(high, value)
    return float(low), float(high)


def share_interval(
    share: float, resampled: np.ndarray, patients: np.ndarray, level: float = 0.95
) -> tuple[float, float]:
    """Limits of an observed share: those of its patient bootstrap, and where that gives no width (all or none were
    seen, or one patient) Wilson's for as many patients (Wilson, J Am Stat Assoc 1927;22:209).

    Args:
        share: Seen, 0 to 1.
        resampled: (w,) the share of every resampling.
        patients: (n,) whose each observation is.
        level: Of the interval.
    """
    low, high = interval(resampled, level)
    if 0 < share < 1 and low < high:
        return low, high
    from scipy.special import ndtri

    n, z = len(np.unique(patients)), float(ndtri((1 + level) / 2))
    centre, half = share + z * z / (2 * n), z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, float((centre - half) / (1 + z * z / n))), min(1.0, float((centre + half) / (1 + z * z / n)))


def weighted_classification(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> Metrics:
    """All classification metrics for every weighting: (n, c), (n,), (w, n) -> {name: (w,)}."""
    n_classes = probabilities.shape[1]
    if n_classes == 2:
        steps = _steps(probabilities[:, 1], labels == 1, weights)
        return _binary(probabilities[:, 1], labels, weights, steps)
    confusion = _confusion(probabilities.argmax(axis=1), labels, weights, n_classes)
    curves = np.array(
        [_areas(*_steps(probabilities[:, c], labels == c, weights)) for c in range(n_classes)]
    )  # (c, 2, w)
    auroc, auprc = _mean_of_known(curves)
    return _macro_counts(confusion) | {"auroc": auroc, "auprc": auprc}


def _confusion(predicted: np.ndarray, labels: np.ndarray, weights: np.ndarray, n_classes: int) -> np.ndarray:
    """Weight of every (true, predicted) pair of classes, (w, c, c)."""
    cell = np.eye(n_classes * n_classes)[labels * n_classes + predicted]  # (n, c * c)
    return (weights @ cell).reshape(len(weights), n_classes, n_classes)


def _binary_counts(confusion: np.ndarray) -> Metrics:
    (tn, fp), (fn, tp) = confusion.transpose(1, 2, 0)
    return {
        "accuracy": _ratio(tp + tn, tp + tn + fp + fn),
        "balanced_accuracy": _macro(confusion, _ratio(*_hits_and_true(confusion))),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
        "precision": _ratio(tp, tp + fp),
        "recall": _ratio(tp, tp + fn),
    }


def _macro_counts(confusion: np.ndarray) -> Metrics:
    hits, true = _hits_and_true(confusion)  # (w, c) each
    predicted = confusion.sum(axis=1)  # (w, c)
    recall = _macro(confusion, _ratio(hits, true))
    return {
        "accuracy": recall,
        "f1": _macro(confusion, _ratio(2 * hits, true + predicted)),
        "precision": _macro(confusion, _ratio(hits, predicted)),
        "recall": recall,
    }


def _hits_and_true(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.einsum("wcc->wc", confusion), confusion.sum(axis=2)


def _macro(confusion: np.ndarray, by_class: np.ndarray) -> np.ndarray:
    """Mean over the classes that have true or predicted samples, (w, c) -> (w,)."""
    occurs = (confusion.sum(axis=1) + confusion.sum(axis=2)) > 0
    return _ratio((by_class * occurs).sum(axis=1), occurs.sum(axis=1))


def _binary(
    positive: np.ndarray, labels: np.ndarray, weights: np.ndarray, steps: tuple[np.ndarray, np.ndarray]
) -> Metrics:
    counts = _binary_counts(_confusion((positive > 0.5).astype(int), labels, weights, 2))
    auroc, auprc = _areas(*steps)
    return counts | {"auroc": auroc, "auprc": auprc}


def _areas(true: np.ndarray, false: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exact area under the ROC curve and average precision of `_steps`, two (w,); NaN without both classes.

    Average precision needs positives only.
    """
    true_added, false_added = (np.diff(x, axis=0, prepend=0) for x in (true, false))
    area = (false_added * (true - true_added / 2)).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        auroc = area / (true[-1] * false[-1])
        average_precision = (true_added * _ratio(true, true + false)).sum(axis=0) / true[-1]
    return np.where(true[-1] * false[-1] > 0, auroc, np.nan), average_precision


def _steps(scores: np.ndarray, is_positive: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight of true and false positives from the strictest threshold to the loosest, (steps, w) each; equal scores
    form one step."""
    order = np.argsort(-scores, kind="stable")
    last_of_step = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    ranked, positive = weights.T[order], is_positive[order, None]  # (n, w), (n, 1)
    total, true = np.cumsum(ranked, axis=0)[last_of_step], np.cumsum(ranked * positive, axis=0)[last_of_step]
    return true, total - true


def weighted_binary(scores: np.ndarray, is_positive: np.ndarray, weights: np.ndarray) -> Metrics:
    """All of `classification_metrics` for two classes, and what using the score would mean, for every weighting.

    Args:
        scores: (n,) probability of the positive class.
        is_positive: (n,) bool.
        weights: (w, n).

    Returns:
        Besides those: `sensitivity_at_90_specificity`, the highest sensitivity of any threshold with a specificity of
            at
        least 0.9 (no interpolation; NaN without both classes), and `calibration_error`, the mean distance of observed
        and predicted share over `CALIBRATION_BINS` equal bins of probability, weighted by the samples in them.
    """
    true, false = steps = _steps(scores, is_positive, weights)
    allowed = false <= (1 - SPECIFICITY) * false[-1] + 1e-9
    sensitivity = np.where(allowed, true, 0.0).max(axis=0) / np.maximum(true[-1], 1e-12)
    cell = np.eye(CALIBRATION_BINS)[calibration_bin(scores)]  # (n, bins)
    gap = np.abs(weights @ (cell * (is_positive - scores)[:, None])).sum(axis=1)
    return _binary(scores, is_positive.astype(int), weights, steps) | {
        "sensitivity_at_90_specificity": np.where(true[-1] * false[-1] > 0, sensitivity, np.nan),
        "calibration_error": gap / weights.sum(axis=1),
        **weighted_calibration(scores, is_positive, weights),
    }


def weighted_auroc(scores: np.ndarray, is_positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of any score (n,), not only a probability, for every weighting (w, n) -> (w,)."""
    return _areas(*_steps(scores, is_positive, weights))[0]


def calibration_bin(scores: np.ndarray) -> np.ndarray:
    """Number (n,) of the equal bin of probability that each score (n,) falls into; 1 belongs to the last."""
    limits = np.linspace(0, 1, CALIBRATION_BINS + 1)
    return np.clip(np.searchsorted(limits, scores, side="right") - 1, 0, CALIBRATION_BINS - 1)


def weighted_regression(predicted: np.ndarray, measured: np.ndarray, weights: np.ndarray) -> Metrics:
    """All regression metrics for every weighting: (n,), (n,), (w, n) -> {name: (w,)}."""
    if predicted.shape != measured.shape or predicted.ndim != 1 or not len(measured):
        raise Echo2ECGError(
            f"Predictions {predicted.shape} and measurements {measured.shape} have to be equally many, at least one."
        )
    total, error = weights.sum(axis=1), predicted - measured
    centred = measured - measured.mean()  # variance is the same, rounding smaller
    squared = weights @ error**2
    variance = weights @ centred**2 - (weights @ centred) ** 2 / total  # times the total weight
    known = variance > 1e-12 * max(float(centred @ centred), 1e-300)
    r2 = np.where(known, 1 - squared / np.where(known, variance, 1), np.nan)
    return {"mae": weights @ np.abs(error) / total, "rmse": np.sqrt(squared / total), "r2": r2}


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(np.shape(whole), dtype=float), where=whole != 0)


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    """Mean over the first axis without NaN; NaN where nothing is known."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, values, 0).sum(axis=0) / np.maximum(count, 1), np.nan)


def _single(metrics: Mapping[str, np.ndarray]) -> dict[str, float]:
    return {name: float(values[0]) for name, values in metrics.items()}


def _checked(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    probabilities, labels = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    if (
        probabilities.ndim != 2
        or probabilities.shape[1] < 2
        or labels.shape != probabilities.shape[:1]
        or not len(labels)
    ):
        raise Echo2ECGError(
            f"Expected probabilities (n, classes) and labels (n,), found {probabilities.shape} and {labels.shape}."
        )
    if not np.isfinite(probabilities).all():
        raise Echo2ECGError("A predicted probability is not a finite number.")
    labels = labels.astype(np.int64)
    if labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise Echo2ECGError(
            f"Labels have to be 0 to {probabilities.shape[1] - 1}, found {labels.min()} to {labels.max()}."
        )
    return probabilities, labels
