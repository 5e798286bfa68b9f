"""Slope and intercept of calibration, for one weighting of the samples or for every resample of a bootstrap at once."""

import numpy as np

SURE = 1e-4  # probabilities nearer to 0 or 1 count as this, so that a share of 0 of 5 neighbours has log odds
NEWTON_STEPS = 50


def weighted_calibration(scores: np.ndarray, is_positive: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """`calibration_slope` (1: neither too extreme nor too timid) and `calibration_intercept` (0: neither too high nor
    too low on the whole) of probabilities, for every weighting: (n,), (n,), (w, n) -> {name: (w,)}.

    Slope: of a logistic regression of the outcome on the log odds; intercept: the same with a slope of 1 (Van Calster
    et al., BMC Med 17:230, 2019). Fitted to all samples; each weighting takes one Newton step from there, which is what
    a bootstrap of the fit comes to but for terms of 1/n. NaN with one class only, or where no fit ends.
    """
    odds = _log_odds(scores)
    slope = _one_step(np.column_stack([np.ones_like(odds), odds]), np.zeros_like(odds), is_positive, weights)
    intercept = _one_step(np.ones((len(odds), 1)), odds, is_positive, weights)
    return {"calibration_slope": slope[:, 1], "calibration_intercept": intercept[:, 0]}


def _log_odds(scores: np.ndarray) -> np.ndarray:
    inside = np.clip(scores, SURE, 1 - SURE)
    return np.log(inside / (1 - inside))


def _one_step(design: np.ndarray, offset: np.ndarray, is_positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Coefficients of a logistic regression for every weighting: (n, k), (n,), (n,), (w, n) -> (w, k)."""
    k, unknown = design.shape[1], np.full((len(weights), design.shape[1]), np.nan)
    found = np.zeros(k)
    if is_positive.all() or not is_positive.any() or (k > 1 and np.ptp(design[:, 1]) < 1e-9):
        return unknown
    for _ in range(NEWTON_STEPS):
        gradient, curvature = _newton_parts(design, offset, is_positive, np.ones((1, len(offset))), found)
        step = np.linalg.lstsq(curvature[0], gradient[0], rcond=None)[0]
        found = found + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-8:
            break
    else:
        return unknown  # outcome and score part the samples without an overlap
    gradient, curvature = _newton_parts(design, offset, is_positive, weights, found)
    steps = np.full_like(unknown, np.nan)
    solvable = np.linalg.det(curvature) > 1e-9
    steps[solvable] = np.linalg.solve(curvature[solvable], gradient[solvable][..., None])[..., 0]
    return found + steps


def _newton_parts(
    design: np.ndarray, offset: np.ndarray, is_positive: np.ndarray, weights: np.ndarray, at: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient (w, k) and curvature (w, k, k) of the likelihood of a logistic regression."""
    chance = 1 / (1 + np.exp(-(offset + design @ at)))
    gradient = weights @ (design * (is_positive - chance)[:, None])
    products = design[:, :, None] * design[:, None, :] * (chance * (1 - chance))[:, None, None]  # (n, k, k)
    curvature = np.tensordot(weights, products, axes=1)
    return gradient, curvature
