"""The statistics of the comparison: resamples of patients and seeds, differences of two arms, Holm, and what each
outcome is called. Arrays in, numbers out; PROTOCOL.md says why each was chosen.

Shapes: n samples (ECGs), s seeds, w resamples, q queries, t candidates, k ranks.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from echo2ecg_core.evaluation.phenotypes import interval

DEEPEST = 40  # ranks that are kept of every query; ten drawn candidates lie within them in any resample
OUTCOMES = ("ahead", "ahead by little", "no difference", "behind by little", "behind", "undecided")


@dataclass(frozen=True, eq=False)
class Difference:
    """One arm minus another on one endpoint, signed so that above 0 is better.

    Attributes:
        value: Of all patients and seeds.
        draws: (w,) of the same difference in resamples.
    """

    value: float
    draws: np.ndarray

    @property
    def p(self) -> float:
        """Two-sided: twice the share of resamples on the other side of 0, never 0 (Davison and Hinkley 1997)."""
        w = len(self.draws)
        tail = min((self.draws <= 0).sum(), (self.draws >= 0).sum())
        return float(min(1.0, 2 * (tail + 1) / (w + 1)))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        return interval(self.draws, level)


def patient_draws(patients: np.ndarray, n_resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each patient is in each resample, (w, patients) float32, and whose each sample is, (n,)."""
    names, owner = np.unique(patients, return_inverse=True)
    rng = np.random.default_rng([seed, 1])
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), n_resamples)
    return counts.astype(np.float32), owner


def seed_draws(n_seeds: int, n_resamples: int, seed: int) -> np.ndarray:
    """The weight of every seed in every resample, (w, s).

    n - 1 of n seeds are drawn with replacement (Rao and Wu 1988): drawing n of so few would make the variance between
    seeds by a share of 1 / n too small. A single seed has weight 1.
    """
    if n_seeds == 1:
        return np.ones((n_resamples, 1))
    rng = np.random.default_rng([seed, 2, n_seeds])
    drawn = rng.multinomial(n_seeds - 1, np.full(n_seeds, 1 / n_seeds), n_resamples)
    return drawn / (n_seeds - 1)


def resampled_mean(values: np.ndarray, patients: np.ndarray, n_resamples: int, seed: int = 0) -> np.ndarray:
    """Means (s, w) of values (s, n) over samples, patients drawn with replacement."""
    counts, owner = patient_draws(patients, n_resamples, seed)
    n_patients = counts.shape[1]
    sums = np.stack([np.bincount(owner, row, n_patients) for row in values])  # (s, patients)
    sizes = np.bincount(owner, minlength=n_patients)
    return ((sums @ counts.T) / (counts @ sizes)).astype(float)


def over_seeds(draws: np.ndarray, seed: int = 0) -> np.ndarray:
    """Resamples (s, w) of every seed -> (w,) of their mean, in which the seeds are drawn too; the same seeds for every
    arm of as many."""
    return (draws * seed_draws(len(draws), draws.shape[1], seed).T).sum(0)


@dataclass(frozen=True, eq=False)
class Ranking:
    """What searching gave, as far as resampling needs it.

    Attributes:
        candidates: (q, k) the first candidates of every query, best first.
        is_hit: (p, q, k) bool, for each of p phenotypes.
        query_patient, candidate_patient: (q,), (t,) whose each is, as numbers of one list of patients.
    """

    candidates: np.ndarray
    is_hit: np.ndarray
    query_patient: np.ndarray
    candidate_patient: np.ndarray


def first_candidates(queries: np.ndarray, candidates: np.ndarray, deepest: int = DEEPEST) -> np.ndarray:
    """The `deepest` candidates (t, d) of largest cosine to each query (q, d), best first: (q, k) int32."""
    queries, candidates = (
        x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (queries, candidates)
    )
    deepest = min(deepest, len(candidates))
    found = np.empty((len(queries), deepest), np.int32)
    for start in range(0, len(queries), 512):
        near = queries[start : start + 512] @ candidates.T
        top = np.argpartition(-near, deepest - 1, axis=1)[:, :deepest]
        order = np.argsort(-np.take_along_axis(near, top, 1), axis=1, kind="stable")
        found[start : start + len(near)] = np.take_along_axis(top, order, 1)
    return found


def precision_draws(ranking: Ranking, n_patients: int, n_resamples: int, seed: int = 0, k: int = 10) -> np.ndarray:
    """precision@k (p, 1 + w): first of all patients, then in resamples that draw patients, and with them queries and
    candidates.

    A candidate that is drawn m times stands m times in the list. The query's own study stands once: a patient who is
    drawn twice does not find a twin.
    """
    counts, _ = patient_draws(np.arange(n_patients), n_resamples, seed)
    counts = np.concatenate([np.ones((1, n_patients), np.float32), counts])
    owner = ranking.candidate_patient[ranking.candidates]  # (q, k)
    own = owner == ranking.query_patient[:, None]
    scores = np.empty((len(ranking.is_hit), len(counts)))
    for w, drawn in enumerate(counts):
        weight = drawn[ranking.query_patient]  # (q,)
        copies = np.where(own, np.float32(1), drawn[owner])  # (q, k)
        filled = np.minimum(np.cumsum(copies, 1), k)
        counted = np.diff(filled, axis=1, prepend=np.float32(0)) / np.maximum(filled[:, -1:], 1)
        scores[:, w] = np.einsum("pqk,qk,q->p", ranking.is_hit, counted, weight, optimize=True) / weight.sum()
    return scores


def difference(ours: np.ndarray, theirs: np.ndarray, larger_is_better: bool, seed: int = 0) -> Difference:
    """Ours minus theirs (each (s, 1 + w): first of all patients, then resamples), patients and seeds paired.

    Arms of different numbers of seeds are compared over the seeds both have, which are the first ones.
    """
    n_seeds = min(len(ours), len(theirs))
    apart = (ours[:n_seeds] - theirs[:n_seeds]) * (1 if larger_is_better else -1)
    return Difference(float(apart[:, 0].mean()), over_seeds(apart[:, 1:], seed))


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """P values adjusted for their number by the step-down procedure of Holm (Scand J Stat 1979)."""
    adjusted, highest = {}, 0.0
    for place, name in enumerate(sorted(p, key=lambda name: p[name])):
        highest = max(highest, min(1.0, (len(p) - place) * p[name]))
        adjusted[name] = highest
    return {name: adjusted[name] for name in p}


def outcome(found: Difference, adjusted_p: float, worth_having: float, alpha: float = 0.05) -> str:
    """What a comparison came out as, one of `OUTCOMES`.

    "ahead" or "behind": the adjusted p is below alpha and the difference at least what is worth having; "… by little":
    below alpha and smaller. Else "no difference" where the 1 - 2 alpha interval lies within what is worth having (two
    one-sided tests, Schuirmann 1987), or "undecided".
    """
    if adjusted_p < alpha:
        words = "ahead" if found.value > 0 else "behind"
        return words if abs(found.value) >= worth_having else f"{words} by little"
    low, high = found.interval(1 - 2 * alpha)
    return "no difference" if -worth_having < low and high < worth_having else "undecided"


def verdict(outcomes: Mapping[tuple[str, str], str], single_views: tuple[str, ...], endpoints: tuple[str, ...]) -> str:
    """What the claim came out as, from the outcomes of (arm, endpoint) of multi-view attention against each arm."""
    against = [outcomes[arm, endpoint] for arm in single_views for endpoint in endpoints]
    if any(found.startswith("behind") for found in against):
        return "contradicted"
    if all(found == "ahead" for found in against):
        return "supported"
    if any(found == "ahead" for found in against):
        return "supported in part"
    if all(found in ("no difference", "ahead by little") for found in against):
        return "no difference worth having"
    return "undecided"
