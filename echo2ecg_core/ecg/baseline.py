"""Asymmetric least squares baselines of all leads at once (Eilers & Boelens 2005), compiled by numba.

The penalised system is symmetric and pentadiagonal, so an LDL' factorisation, one sweep down and one up, solves it
exactly. All leads walk side by side: the slow divisions of one lead overlap with those of the others.
Importing this module imports numba (about a second): import it only where it is used.
"""

import numba
import numpy as np

SMOOTHNESS = 1e7  # weight of the squared second differences
ABOVE, BELOW = 0.3 / SMOOTHNESS, 0.7 / SMOOTHNESS  # weights of samples above and below the baseline
ITERATIONS = 5
MARGIN = 2  # rows of zeros around the unknowns, so that the recurrences need no special first and last rows


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _solve(y, weights, c, e, z):
    """Leaves in `z` the solution of (diag(weights) + D'D) z = weights * y, lead by lead.

    The weights come divided by SMOOTHNESS; then 1/d is at the same time the second column of L (called `e`).

    Args:
        y, weights: (n, leads) float64.
        c, e, z: (n + 2 * MARGIN, leads) float64 work space whose margins are zero.
    """
    n, leads = y.shape
    side_above = 0.0
    for i in range(n):
        m = i + MARGIN
        diagonal = (1.0 if i <= n - 3 else 0.0) + (4.0 if 1 <= i <= n - 2 else 0.0) + (1.0 if i >= 2 else 0.0)
        side = -(2.0 if i <= n - 3 else 0.0) - (2.0 if 1 <= i <= n - 2 else 0.0)
        for k in range(leads):
            w = weights[i, k]
            e[m, k] = 1.0 / (diagonal + w - c[m - 1, k] * (side_above - c[m - 2, k]) - e[m - 2, k])
            c[m, k] = (side - c[m - 1, k]) * e[m, k]
            z[m, k] = w * y[i, k] - c[m - 1, k] * z[m - 1, k] - e[m - 2, k] * z[m - 2, k]
        side_above = side
    for i in range(n - 1, -1, -1):
        m = i + MARGIN
        for k in range(leads):
            z[m, k] = e[m, k] * (z[m, k] - z[m + 2, k]) - c[m, k] * z[m + 1, k]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _reweight(y, z, weights):
    """Weighs every sample by the side of the baseline it lies on; a sample on the baseline weighs nothing."""
    n, leads = y.shape
    for i in range(n):
        for k in range(leads):
            residual = y[i, k] - z[i + MARGIN, k]
            weights[i, k] = ABOVE if residual > 0 else (BELOW if residual < 0 else 0.0)


def asymmetric_baseline(leads: np.ndarray, iterations: int = ITERATIONS) -> np.ndarray:
    """Returns the smooth baseline of every lead, to be subtracted from it.

    A lead that equals its baseline exactly (all zero) leaves no weights and a singular system: it is its own baseline.

    Args:
        leads: (leads, n) finite samples, n >= 3.
        iterations: How often to solve; the weights follow the solution in between.

    Returns:
        (leads, n) float64, the last solution.
    """
    y = np.ascontiguousarray(leads.T, dtype=np.float64)  # (n, leads): one row holds what is computed side by side
    weights = np.full_like(y, 1 / SMOOTHNESS)
    c, e, z = np.zeros((3, len(y) + 2 * MARGIN, y.shape[1]))
    for iteration in range(iterations):
        if iteration:
            _reweight(y, z, weights)
        _solve(y, weights, c, e, z)
    baseline = z[MARGIN:-MARGIN]
    return np.where(np.isfinite(baseline), baseline, y).T
