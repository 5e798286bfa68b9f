"""How far two groups of different people lie apart: effect sizes with 95 % intervals, from sums alone.

Standardised mean difference: over the root of the mean of both variances (Flury & Riedwyl, Am Stat 40:249-251, 1986;
Austin, Stat Med 28:3083-3107, 2009), standard error of Hedges & Olkin (Statistical Methods for Meta-Analysis, 1985,
p. 86). Risk difference: the hybrid score interval, method 10 of Newcombe (Stat Med 17:873-890, 1998).
"""

from dataclasses import dataclass

import numpy as np

Z = 1.959964  # of a two-sided 95 % interval


@dataclass(frozen=True)
class Effect:
    """The first group minus the second, with its 95 % interval; NaN where it cannot be told."""

    value: float
    low: float
    high: float


UNKNOWN = Effect(float("nan"), float("nan"), float("nan"))


def standardised_mean_difference(
    n: int, mean: float, sd: float, other_n: int, other_mean: float, other_sd: float
) -> Effect:
    """From the sizes, means and standard deviations (with n - 1) of two groups; unknown below two people or without any
    spread."""
    spread = np.sqrt((sd**2 + other_sd**2) / 2) if min(n, other_n) > 1 else 0.0
    if not spread > 0:
        return UNKNOWN
    d = (mean - other_mean) / spread
    error = np.sqrt((n + other_n) / (n * other_n) + d * d / (2 * (n + other_n)))
    return Effect(float(d), float(d - Z * error), float(d + Z * error))


def risk_difference(count: int, n: int, other_count: int, other_n: int) -> Effect:
    """Of `count` among n and `other_count` among `other_n`, as shares -1 to 1; unknown without people."""
    if not (n and other_n):
        return UNKNOWN
    share, other = count / n, other_count / other_n
    (low, high), (other_low, other_high) = _wilson(count, n), _wilson(other_count, other_n)
    below = np.hypot(share - low, other_high - other)
    above = np.hypot(high - share, other - other_low)
    return Effect(share - other, float(share - other - below), float(share - other + above))


def _wilson(count: int, n: int) -> tuple[float, float]:
    """The score interval of one share (Wilson, J Am Stat Assoc 22:209-212, 1927)."""
    share = count / n
    centre, half = share + Z * Z / (2 * n), Z * np.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return float((centre - half) / (1 + Z * Z / n)), float((centre + half) / (1 + Z * Z / n))
