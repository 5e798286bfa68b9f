"""Scores become chances: isotonic or Platt, fitted on training patients, chosen on validation patients, judged on test.

Platt: a logistic line on the logit of the score (Platt 1999). Isotonic: the best rising step curve (Zadrozny & Elkan
2002), which needs more patients. Before and after are kept with intervals over patients. A curve from few patients
would dress a score up as a chance, so it is refused.
"""

from dataclasses import dataclass

import numpy as np

from echo2ecg_core.errors import StoreError
from echo2ecg_core.evaluation.phenotypes import interval, patient_weights, weighted_auroc

FEWEST_PATIENTS, FEWEST_POSITIVE = 200, 30
CLOSEST = 1e-6  # to 0 and 1: a logit has to be finite
METHODS = ("platt", "isotonic")
RIDGE = 1e-6


@dataclass(frozen=True)
class Curve:
    """How a score becomes a chance. `platt`: x = (slope, intercept), y empty; `isotonic`: knots x, y."""

    method: str
    x: tuple[float, ...]
    y: tuple[float, ...] = ()

    def chances(self, scores: np.ndarray) -> np.ndarray:
        """Scores (n,) in [0, 1] -> chances (n,)."""
        if self.method == "platt":
            return 1 / (1 + np.exp(-(self.x[0] * logit(scores) + self.x[1])))
        return np.interp(scores, self.x, self.y)

    def as_json(self) -> dict:
        """Plain JSON types."""
        return {"method": self.method, "x": list(self.x), "y": list(self.y)}


def logit(chances: np.ndarray) -> np.ndarray:
    """Log odds, finite also at 0 and 1."""
    p = np.clip(np.asarray(chances, float), CLOSEST, 1 - CLOSEST)
    return np.log(p / (1 - p))


def fit_curve(method: str, scores: np.ndarray, positive: np.ndarray) -> Curve:
    """The curve of one method from scores (n,) and what was measured (n,) 0 or 1."""
    if method == "platt":
        return Curve("platt", tuple(map(float, lines_of(logit(scores), positive, np.ones((1, len(scores))))[0])))
    from sklearn.isotonic import IsotonicRegression

    # one case more and one less at either end, so that no chance is 0 or 1 (Platt's targets)
    padded_x, padded_y = np.concatenate([[0, 0, 1, 1], scores]), np.concatenate([[0, 1, 0, 1], positive])
    weights = np.concatenate([[0.5] * 4, np.ones(len(scores))])
    fitted = IsotonicRegression(out_of_bounds="clip").fit(padded_x, padded_y, sample_weight=weights)
    return Curve("isotonic", tuple(map(float, fitted.X_thresholds_)), tuple(map(float, fitted.y_thresholds_)))


def recalibrated(
    scores: np.ndarray, measured: np.ndarray, patients: np.ndarray, splits: np.ndarray, n_resamples: int = 500
) -> dict:
    """The chosen curve of one finding, and what it changes on test patients.

    Args:
        scores: (n,) in [0, 1]. measured: (n,) 1, 0 or NaN where not known. patients, splits: (n,) text.

    Returns:
        {"curve", "patients", "positives" (patients, training), "log_loss" of each method on validation patients,
        "test": {"patients", "positives", "before", "after"}, each {auroc, brier, slope, intercept: [value, low,
        high]}; "test" is None without both outcomes among the test patients}.

    Raises:
        StoreError: fewer than 200 training patients, 30 with the finding or 30 without, or validation patients lack an
            outcome.
    """
    known = np.isfinite(measured) & np.isfinite(scores)
    scores, positive, patients, splits = scores[known], measured[known].astype(int), patients[known], splits[known]
    train, validation, test = (splits == name for name in ("train", "validation", "test"))
    counts = _checked(positive, patients, train, validation)
    curves = {method: fit_curve(method, scores[train], positive[train]) for method in METHODS}
    losses = {m: _log_loss(c.chances(scores[validation]), positive[validation]) for m, c in curves.items()}
    chosen = curves[min(METHODS, key=losses.__getitem__)]
    found = {"curve": chosen.as_json(), **counts, "log_loss": losses, "test": None}
    if len(set(positive[test])) == 2:
        judged = [
            calibration_of(chances, positive[test], patients[test], n_resamples)
            for chances in (scores[test], chosen.chances(scores[test]))
        ]
        found["test"] = {
            "patients": len(set(patients[test])),
            "positives": len(set(patients[test][positive[test] == 1])),
            "before": judged[0],
            "after": judged[1],
        }
    return found


def calibration_of(
    chances: np.ndarray, positive: np.ndarray, patients: np.ndarray, n_resamples: int = 500
) -> dict[str, list[float]]:
    """AUROC, Brier score, calibration slope and intercept (1 and 0 are perfect), each [value, low, high].

    Slope and intercept are those of a logistic line of the outcome on the log odds of the chance (Cox 1958). Intervals:
    95 %, over patients.
    """
    weights = np.concatenate(
        [np.ones((1, len(chances))), patient_weights(patients, n_resamples, np.random.default_rng(0))]
    )
    lines = lines_of(logit(chances), positive, weights)  # (1 + r, 2)
    resampled = {
        "auroc": weighted_auroc(chances, positive.astype(bool), weights),
        "brier": weights @ (chances - positive) ** 2 / weights.sum(1),
        "slope": lines[:, 0],
        "intercept": lines[:, 1],
    }
    return {name: [float(v[0]), *interval(v[1:], value=float(v[0]))] for name, v in resampled.items()}


def _checked(positive: np.ndarray, patients: np.ndarray, train: np.ndarray, validation: np.ndarray) -> dict[str, int]:
    with_it = len(set(patients[train & (positive == 1)]))
    total = len(set(patients[train]))
    if total < FEWEST_PATIENTS or with_it < FEWEST_POSITIVE or total - with_it < FEWEST_POSITIVE:
        raise StoreError(
            f"There are {total} labelled training patients, {with_it} of them with the finding; a curve needs "
            f"{FEWEST_PATIENTS}, {FEWEST_POSITIVE} with it and {FEWEST_POSITIVE} without.",
            "Import more labelled ECGs; until then it stays a score.",
        )
    if len(set(positive[validation])) < 2:
        raise StoreError(
            "The validation patients do not have both outcomes, so no curve can be chosen.",
            "Import labelled ECGs of validation patients.",
        )
    return {"patients": total, "positives": with_it}


def _log_loss(chances: np.ndarray, positive: np.ndarray) -> float:
    p = np.clip(chances, CLOSEST, 1 - CLOSEST)
    return float(-np.mean(np.where(positive == 1, np.log(p), np.log(1 - p))))


def lines_of(x: np.ndarray, positive: np.ndarray, weights: np.ndarray, steps: int = 30) -> np.ndarray:
    """Slope and intercept (w, 2) of weighted logistic regressions of an outcome on one number, by Newton's method.

    Args:
        x: (n,). positive: (n,) 0 or 1. weights: (w, n), one regression a row. A touch of ridge keeps each finite.
    """
    slope, intercept = np.zeros((2, len(weights), 1))
    for _ in range(steps):
        p = 1 / (1 + np.exp(-np.clip(slope * x + intercept, -30, 30)))  # (w, n)
        error, spread = weights * (positive - p), weights * p * (1 - p)
        g = (error @ x - RIDGE * slope[:, 0], error.sum(1) - RIDGE * intercept[:, 0])
        a, b, c = spread @ x**2 + RIDGE, spread @ x, spread.sum(1) + RIDGE  # the curvature [[a, b], [b, c]]
        step = np.stack([c * g[0] - b * g[1], a * g[1] - b * g[0]], 1) / (a * c - b * b)[:, None]
        step = np.clip(step, -5, 5)
        slope, intercept = slope + step[:, :1], intercept + step[:, 1:]
        if np.abs(step).max() < 1e-8:
            break
    return np.concatenate([slope, intercept], 1)
