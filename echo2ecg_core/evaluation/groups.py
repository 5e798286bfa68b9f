"""A group of points against the rest of the map: medians, middle halves, how far they lie apart, and how sure that is.

One value per patient (the mean of the patient's points), so that patients with many ECGs count once. Effect: Cliff's
delta; p: Mann–Whitney U, two-sided, corrected by Holm over the rows shown. A group drawn after looking is no test.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

FEWEST_PATIENTS = 3


@dataclass(frozen=True)
class GroupRow:
    """One quantity in the group and in the rest: (lower quartile, median, upper quartile) of each.

    Attributes:
        name: Column.
        group, rest: Quartiles.
        n_group, n_rest: Patients with a value.
        delta: Cliff's delta, -1 (all in the group lower) to 1.
        p: Holm-corrected.
    """

    name: str
    group: tuple[float, float, float]
    rest: tuple[float, float, float]
    n_group: int
    n_rest: int
    delta: float
    p: float


@dataclass(frozen=True, eq=False)
class OfPatients:
    """Quantities of the patients of a map, whatever is chosen on it.

    Attributes:
        patient: (n,) int32, which patient each point is of.
        means: Column -> (p,) mean of every patient's points, NaN where no point has a value.
    """

    patient: np.ndarray
    means: dict[str, np.ndarray]


def of_patients(points: pd.DataFrame, columns: list[str]) -> OfPatients:
    """The means that `compare` compares.

    Args:
        points: One row a point with patient_id and `columns`.
    """
    patient = pd.factorize(points.patient_id)[0].astype(np.int32)
    means = points[columns].groupby(patient).mean()
    return OfPatients(patient, {name: means[name].to_numpy() for name in columns})


def compare(patients: OfPatients, inside: np.ndarray) -> list[GroupRow]:
    """Compare the patients of a group with the other patients.

    Args:
        patients: Of all points.
        inside: (n,) bool, the group; a patient with a point inside belongs to it.

    Returns:
        One row a column that at least three patients of either side have.
    """
    is_group = np.zeros(patients.patient.max(initial=-1) + 1, bool)
    is_group[patients.patient[inside]] = True
    rows = []
    for name, means in patients.means.items():
        known = np.isfinite(means)
        group, rest = means[known & is_group], means[known & ~is_group]
        if min(len(group), len(rest)) >= FEWEST_PATIENTS:
            delta, p = _apart(group, rest)
            rows.append(GroupRow(name, _quartiles(group), _quartiles(rest), len(group), len(rest), delta, p))
    corrected = holm([row.p for row in rows])
    return [GroupRow(**{**vars(row), "p": p}) for row, p in zip(rows, corrected, strict=True)]


def holm(p_values: list[float]) -> list[float]:
    """Holm's step-down correction, in the order given (Holm, Scand J Stat 6:65-70, 1979)."""
    corrected, worst = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(np.argsort(p_values)):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = worst
    return corrected


def _apart(group: np.ndarray, rest: np.ndarray) -> tuple[float, float]:
    """Cliff's delta and the two-sided Mann–Whitney p; delta = 2 U / (n m) - 1."""
    from scipy.stats import mannwhitneyu

    test = mannwhitneyu(group, rest, alternative="two-sided")
    return 2 * float(test.statistic) / (len(group) * len(rest)) - 1, float(test.pvalue)


def _quartiles(values: np.ndarray) -> tuple[float, float, float]:
    low, middle, high = np.percentile(values, [25, 50, 75])
    return float(low), float(middle), float(high)
