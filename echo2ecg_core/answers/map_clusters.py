"""Clusters of a drawn map, and what sets each apart in words.

The job that draws a map looks for them with HDBSCAN (Campello, Moulavi & Sander, PAKDD 2013; scikit-learn's), the
leaves of its tree. It finds some in noise, too, but then leaves much of it outside: where more than a third of the
points lie in no cluster, the map has none (of 330 draws of 60 to 2,000 uniform places 3 passed, of as many normal ones
none). Words are read from the catalog as it is now: the
largest standardised mean differences of a cluster's patients from all others, of those that hold after Bonferroni; a
cluster that nothing sets apart has no words.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from echo2ecg_core.evaluation.effect_sizes import Z, standardised_mean_difference
from echo2ecg_core.findings import CONDUCTIONS, RHYTHMS
from echo2ecg_core.phenotypes import PHENOTYPES

SMALLEST_SHARE, SMALLEST = 0.05, 10
MOST_OUTSIDE = 1 / 3
NOWHERE = -1
MEDIUM, AT_LEAST = 0.5, 0.2  # effects that are told: the difference, and the end of its interval nearer to none
MOST_WORDS = 3
ALIKE = 0.7  # a quantity that goes along with one that is told already is not told again
HIGHER = {"thickness": ("thinner", "thicker"), "volume": ("smaller", "larger"), "diameter": ("smaller", "larger"),
          "area": ("smaller", "larger"), "mass": ("smaller", "larger")}  # fmt: skip


@dataclass(frozen=True)
class Cluster:
    """One cluster: its number, what sets its patients apart, how many they are, and where it ends above."""

    number: int
    words: tuple[str, ...]
    patients: int
    x: float
    y: float


def find_clusters(xy: np.ndarray) -> np.ndarray:
    """The cluster of every place, (n,) int16 from 0, `NOWHERE` outside; `NOWHERE` for all where there is no structure.

    Args:
        xy: (n, 2) places on a map. Takes seconds for 20,000.
    """
    from sklearn.cluster import HDBSCAN

    smallest = max(SMALLEST, int(SMALLEST_SHARE * len(xy)))
    nothing = np.full(len(xy), NOWHERE, np.int16)
    if len(xy) < 2 * smallest:
        return nothing
    leaves = HDBSCAN(min_cluster_size=smallest, min_samples=SMALLEST, cluster_selection_method="leaf", copy=True)
    found = leaves.fit_predict(xy).astype(np.int16)
    return found if found.max() > 0 and (found == NOWHERE).mean() <= MOST_OUTSIDE else nothing


def of_the_nearest(xy: np.ndarray, clusters: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The cluster (m,) of other places: that of the nearest place whose cluster is known.

    Args:
        xy, clusters: (n, 2) places and (n,) their clusters. others: (m, 2).
    """
    from scipy.spatial import cKDTree

    return clusters[cKDTree(xy).query(others)[1]] if len(others) else clusters[:0]


def same_numbers(new: np.ndarray, old: np.ndarray, common: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The clusters of a redrawn map (n,) under the numbers of the old ones that they hold most of, others numbered on.

    Args:
        new, old: (n,), (m,) clusters.
        common: Rows of the same points in the new and in the old.
    """
    from scipy.optimize import linear_sum_assignment

    here, there = new[common[0]], old[common[1]]
    both = (here != NOWHERE) & (there != NOWHERE)
    shared = np.zeros((new.max() + 1, old.max() + 1), int)
    np.add.at(shared, (here[both], there[both]), 1)
    pairs = zip(*linear_sum_assignment(-shared), strict=True)
    number_of = {i: int(j) for i, j in pairs if 2 * shared[i, j] > np.sum(here == i)}
    free = iter(range(old.max() + 1, old.max() + 2 + len(shared)))
    numbers = np.array([number_of[i] if i in number_of else next(free) for i in range(len(shared))] + [NOWHERE])
    return numbers[new].astype(np.int16)


def describe(points: pd.DataFrame) -> list[Cluster]:
    """The clusters of a map that something sets apart, by number.

    Args:
        points: As `maps.load_map` gives them, whole; a patient counts for the cluster that holds most of their points.
    """
    if "cluster" not in points or points.cluster.isna().all():
        return []
    patients, ids = pd.factorize(points.patient_id)
    inside = points.cluster.notna().to_numpy()
    cluster = points.cluster[inside].to_numpy(int)
    counts = np.zeros((len(ids), cluster.max() + 1), int)
    np.add.at(counts, (patients[inside], cluster), 1)
    home = np.where(counts.any(1), counts.argmax(1), NOWHERE)
    columns = list(_columns(points))
    values = pd.DataFrame({more: column for _, more, column in columns}).groupby(patients).mean()
    opposite = {more: less for less, more, _ in columns}
    told = {number: _words(values, opposite, home == number) for number in np.unique(cluster)}
    return [
        Cluster(int(number), words, int((home == number).sum()), *_top(points[inside][cluster == number]))
        for number, words in told.items()
        if words
    ]


def _top(own: pd.DataFrame) -> tuple[float, float]:
    """Over the highest tenth of a cluster's points: a place for words that hide few of them."""
    highest = own.nlargest(max(1, len(own) // 10), "y")
    return float(highest.x.median()), float(highest.y.max())


def _columns(points: pd.DataFrame) -> Iterator[tuple[str, str, pd.Series]]:
    """What clusters may differ in: the words for less and for more of it, and its value at every point."""
    for name, phenotype in PHENOTYPES.items():
        if name in points:
            kind = next((kind for kind in HIGHER if kind in phenotype.label.lower()), "")
            less, more = ("less", "more") if phenotype.kind == "grade" else HIGHER.get(kind, ("lower", "higher"))
            what = phenotype.label.lower() if phenotype.kind == "grade" else phenotype.short
            yield f"{less} {what}", f"{more} {what}", points[name].astype(float)
    yield "younger", "older", points.age_years.astype(float)
    yield "more men", "more women", _is(points.sex, "female")
    for column, words in (("rhythm", RHYTHMS), ("conduction", CONDUCTIONS)):
        for key in [key for key in words if key not in ("sinus", "normal", "other")]:
            name = words[key][0].lower() + words[key][1:]
            yield f"less {name}", f"more {name}", _is(points[column], key)


def _is(column: pd.Series, value: str) -> pd.Series:
    """1 where a column holds a value, 0 where it holds another, NaN where it is not known."""
    return (column == value).astype(float).where(column.notna())


def _words(values: pd.DataFrame, opposite: dict[str, str], inside: np.ndarray) -> tuple[str, ...]:
    """What sets some patients apart from all others, the largest difference first.

    Args:
        values: One row a patient, a column a quantity under the words for more of it.
        opposite: The words for less.
        inside: (n,) bool.
    """
    from scipy.stats import norm

    z = float(norm.isf(0.025 / max(1, values.shape[1])))
    effects: dict[str, float] = {}
    for words in values:
        own, rest = (values[words].to_numpy()[mask] for mask in (inside, ~inside))
        own, rest = own[np.isfinite(own)], rest[np.isfinite(rest)]
        if min(len(own), len(rest)) < SMALLEST:
            continue
        effect = standardised_mean_difference(
            len(own), own.mean(), own.std(ddof=1), len(rest), rest.mean(), rest.std(ddof=1)
        )
        error = (effect.high - effect.low) / (2 * Z)
        if abs(effect.value) >= MEDIUM and abs(effect.value) - z * error > AT_LEAST:
            effects[words] = effect.value
    alike = values[list(effects)].corr().abs()
    chosen: list[str] = []
    for words in sorted(effects, key=lambda words: -abs(effects[words])):
        if all(alike.loc[words, other] <= ALIKE for other in chosen):
            chosen.append(words)
    return tuple(words if effects[words] > 0 else opposite[words] for words in chosen[:MOST_WORDS])
