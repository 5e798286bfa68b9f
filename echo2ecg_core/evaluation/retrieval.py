"""Retrieval between ECGs and echo studies: what counts as a hit, and how well hits are ranked.

Follows the evaluation of Echo2ECG (arXiv 2603.08505): a target is a hit when its phenotype lies within a fraction of a
standard deviation of the query's, or, without a phenotype, when it is paired with the query. Queries without any hit
stay in every mean (recall 0, rank one past the end); only the alignment score cannot be told then and becomes NaN.

Notation used for shapes: q queries, t targets, d dimensions, r table rows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from echo2ecg_core.errors import StoreError
from echo2ecg_core.evaluation.phenotypes import bootstrap, interval

KS = (1, 3, 5, 10)
SCORING_CELLS = 2**18  # queries x targets ranked at once: what stays in cache is fastest
SIMILARITY_CELLS = 2**22  # queries x targets compared at once: 60 MB with their hits, and as fast as larger blocks
Rows = Callable[[int, int], np.ndarray]  # rows `start` to `stop` of a matrix that is never whole


@dataclass(frozen=True)
class GroundTruth:
    """Who is a hit for whom.

    Attributes:
        ecg_ids: The q ECGs, by first appearance in the table.
        study_ids: The t studies, likewise.
        ecg_hits: Rows (b, t) bool of the hits of each ECG.
        study_hits: Rows (b, q) bool of the hits of each study; not the transpose when an ECG has several values.
        threshold: Largest difference of the phenotype that is still a hit; None when pairs decide.
    """

    ecg_ids: np.ndarray
    study_ids: np.ndarray
    ecg_hits: Rows
    study_hits: Rows
    threshold: float | None

    @property
    def studies_of_ecg(self) -> np.ndarray:
        """(q, t) bool, hits of each ECG, whole: for small tables."""
        return self.ecg_hits(0, len(self.ecg_ids))

    @property
    def ecgs_of_study(self) -> np.ndarray:
        """(t, q) bool, hits of each study, whole."""
        return self.study_hits(0, len(self.study_ids))


def ground_truth(
    pairs: pd.DataFrame, metadata: pd.DataFrame | None = None, phenotype: str | None = None, tolerance: float = 0.5
) -> GroundTruth:
    """Hits from the published tables.

    Args:
        pairs: One row per (ECG, echo video): `ecg_filepath`, `echo_study_id`, `echo_filename`.
        metadata: Phenotypes per video: `filename` and one column a phenotype.
        phenotype: Column that decides; None = the pairs themselves.
        tolerance: Part of a standard deviation within which a study is a hit.

    Raises:
        StoreError: If a column is missing, **or** no row has a value.
    """
    wanted = ["ecg_filepath", "echo_study_id"] + (["echo_filename"] if phenotype else [])
    _require_columns("pairs", pairs, wanted)
    if phenotype is None:
        return hits_by_pair(pairs["ecg_filepath"], pairs["echo_study_id"])
    if metadata is None:
        raise StoreError(f"Hits by {phenotype} need the metadata table.")
    _require_columns("metadata", metadata, ["filename", phenotype])
    table = pairs.merge(metadata[["filename", phenotype]], how="left", left_on="echo_filename", right_on="filename")
    return hits_by_phenotype(table["ecg_filepath"], table["echo_study_id"], table[phenotype], tolerance)


def hits_by_pair(ecg_ids, study_ids) -> GroundTruth:
    """Hits = pairs; row i of both columns (r,) is one pair."""
    ecg, ecg_names = pd.factorize(np.asarray(ecg_ids))
    study, study_names = pd.factorize(np.asarray(study_ids))
    return GroundTruth(
        ecg_names,
        study_names,
        _paired_rows(ecg, study, len(study_names)),
        _paired_rows(study, ecg, len(ecg_names)),
        None,
    )


def hits_by_phenotype(ecg_ids, study_ids, values, tolerance: float = 0.5) -> GroundTruth:
    """Hits = close enough in a phenotype.

    The threshold is `tolerance` standard deviations over the distinct (study, value) rows. An ECG's value is the mean
    over its distinct (study, value) rows, a study's the mean over its distinct (ECG, value) rows; a hit needs any one
    row of the other side within the threshold.

    Args:
        ecg_ids, study_ids, values: Columns of one table, (r,) each; rows without a value are dropped.
        tolerance: Part of a standard deviation.

    Raises:
        StoreError: If no row has a value.
    """
    table = pd.DataFrame(
        {"ecg": np.asarray(ecg_ids), "study": np.asarray(study_ids), "value": np.asarray(values, float)}
    )
    table = table.dropna(subset="value")
    if table.empty:
        raise StoreError("No pair has a value of this phenotype, so there are no hits to look for.")
    table["ecg"], ecg_names = pd.factorize(table["ecg"])
    table["study"], study_names = pd.factorize(table["study"])
    of_studies = table[["study", "value"]].drop_duplicates()
    of_ecgs = table[["ecg", "value"]].drop_duplicates()
    threshold = tolerance * float(of_studies["value"].std(ddof=1))
    ecg_value = table.drop_duplicates(["ecg", "study", "value"]).groupby("ecg")["value"].mean().to_numpy()
    study_value = table.drop_duplicates(["study", "ecg", "value"]).groupby("study")["value"].mean().to_numpy()
    return GroundTruth(
        np.asarray(ecg_names),
        np.asarray(study_names),
        _near_rows(ecg_value, of_studies["study"].to_numpy(), of_studies["value"].to_numpy(), threshold),
        _near_rows(study_value, of_ecgs["ecg"].to_numpy(), of_ecgs["value"].to_numpy(), threshold),
        threshold,
    )


def retrieval_metrics(similarity: np.ndarray, positives: np.ndarray) -> dict[str, float]:
    """Ranking quality in one direction.

    Args:
        similarity: (q, t) float; a higher number ranks earlier, equal ones by position.
        positives: (q, t) bool.

    Returns:
        `recall@k` and `precision@k` for k in 1, 3, 5, 10, `map`, `median_rank` and `mean_rank` of the first hit
        (1-based), `alignment` (mean similarity of the hits, averaged over queries; NaN when a query has no hit).
    """
    similarity, positives = np.asarray(similarity), np.asarray(positives, dtype=bool)
    assert similarity.shape == positives.shape, (similarity.shape, positives.shape)
    return summary(_joined(_block_scores(similarity, positives)))


def retrieval_metrics_of_vectors(
    queries: np.ndarray, targets: np.ndarray, positives: np.ndarray | Rows, left_out: np.ndarray | Rows | None = None
) -> dict[str, float]:
    """`retrieval_metrics` of cosine similarities, block by block, so that no (q, t) matrix is ever whole in memory.

    Args:
        queries: (q, d) float, not normalised.
        targets: (t, d) float.
        positives: (q, t) bool, or a function that gives rows `start` to `stop` of it.
        left_out: The same of targets that a query may not find: they rank last and are no hits.
    """
    return summary(query_scores_of_vectors(queries, targets, positives, left_out))


def query_scores_of_vectors(
    queries: np.ndarray, targets: np.ndarray, positives: np.ndarray | Rows, left_out: np.ndarray | Rows | None = None
) -> dict[str, np.ndarray]:
    """`query_scores` of cosine similarities, {name: (q,)}; arguments as for `retrieval_metrics_of_vectors`."""
    queries, targets = _unit(queries), _unit(targets)
    step, blocks = max(1, SIMILARITY_CELLS // max(len(targets), 1)), []
    for start in range(0, len(queries), step):
        block = queries[start : start + step] @ targets.T  # (step, t)
        hits = _rows(positives, start, start + len(block))
        if left_out is not None:
            absent = _rows(left_out, start, start + len(block))
            block, hits = np.where(absent, -np.inf, block), hits & ~absent
        blocks += _block_scores(block, hits)
    return _joined(blocks)


def _rows(whole: np.ndarray | Rows, start: int, stop: int) -> np.ndarray:
    return np.asarray(whole(start, stop) if callable(whole) else whole[start:stop], dtype=bool)


def _block_scores(similarity: np.ndarray, positives: np.ndarray) -> list[dict[str, np.ndarray]]:
    step = max(1, SCORING_CELLS // max(similarity.shape[1], 1))
    return [query_scores(similarity[i : i + step], positives[i : i + step]) for i in range(0, len(similarity), step)]


def query_scores(similarity: np.ndarray, positives: np.ndarray) -> dict[str, np.ndarray]:
    """Every score of every query, {name: (q,)}; "alignment" is NaN where there is no hit."""
    n_targets = similarity.shape[1]
    order = _ranking(similarity)  # (q, t)
    hits = np.take_along_axis(positives, order, axis=1)
    found = np.cumsum(hits, axis=1, dtype=np.int32)  # hits up to each rank
    n_hits = found[:, -1]
    at_least_one = np.maximum(n_hits, 1)
    scores = {}
    for k in KS:
        top = found[:, min(k, n_targets) - 1]
        scores[f"recall@{k}"], scores[f"precision@{k}"] = top / at_least_one, top / k
    precision_at_hits = np.where(hits, found / np.arange(1, n_targets + 1), 0.0)
    scores["map"] = precision_at_hits.sum(axis=1) / at_least_one
    scores["rank"] = np.where(n_hits > 0, hits.argmax(axis=1) + 1, n_targets + 1)
    total = np.where(positives, similarity, 0.0).sum(axis=1, dtype=np.float64)
    scores["alignment"] = np.where(n_hits > 0, total / at_least_one, np.nan)
    return scores


def _ranking(similarity: np.ndarray) -> np.ndarray:
    """Targets from most to least similar, equal ones by position, (q, t); the slow stable sort only where needed."""
    order = np.argsort(-similarity, axis=1)
    ranked = np.take_along_axis(similarity, order, axis=1)
    tied = (ranked[:, 1:] == ranked[:, :-1]).any(axis=1)
    order[tied] = np.argsort(-similarity[tied], axis=1, kind="stable")
    return order


def _joined(blocks: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def summary(scores: dict[str, np.ndarray]) -> dict[str, float]:
    """The metrics of `retrieval_metrics` from the scores of every query."""
    ranks = scores["rank"]
    means = {name: float(values.mean()) for name, values in scores.items() if name != "rank"}
    alignment = means.pop("alignment")
    return means | {"median_rank": float(np.median(ranks)), "mean_rank": float(ranks.mean()), "alignment": alignment}


def intervals_of_scores(
    scores: dict[str, np.ndarray], patients: np.ndarray, level: float, n_resamples: int = 1000, seed: int = 0
) -> dict[str, list[float]]:
    """[low, high] of every metric of `retrieval_metrics`, resampling the patients whose queries they are.

    Args:
        scores: `query_scores`, {name: (q,)}.
        patients: (q,) whose query it is.
        level: Of the intervals.
        n_resamples, seed: Of the patient bootstrap.
    """
    order = np.argsort(scores["rank"], kind="stable")

    def metrics_of(weights: np.ndarray) -> dict[str, np.ndarray]:
        total = weights.sum(axis=1)
        means = {name: weights @ values / total for name, values in scores.items()}
        half = np.cumsum(weights[:, order], axis=1) >= total[:, None] / 2
        means["median_rank"], means["mean_rank"] = scores["rank"][order][half.argmax(axis=1)], means.pop("rank")
        return means

    drawn = bootstrap(metrics_of, patients, n_resamples, seed)
    values = summary(scores)
    return {name: list(interval(found, level, values[name])) for name, found in drawn.items()}


def _paired_rows(row: np.ndarray, column: np.ndarray, width: int) -> Rows:
    """Rows of the matrix that is True at (row, column), (r,) each, and `width` wide."""
    order = np.argsort(row, kind="stable")
    row, column = row[order], column[order]

    def rows(start: int, stop: int) -> np.ndarray:
        first, last = np.searchsorted(row, (start, stop))
        hits = np.zeros((stop - start, width), dtype=bool)
        hits[row[first:last] - start, column[first:last]] = True
        return hits

    return rows


def _near_rows(centres: np.ndarray, owner: np.ndarray, values: np.ndarray, threshold: float) -> Rows:
    """Rows of whether an owner has any of its values within the threshold: (n,), (r,), (r,) -> (n, owners) bool."""
    by_owner = np.argsort(owner, kind="stable")
    values, starts = values[by_owner], np.searchsorted(owner[by_owner], np.arange(owner.max() + 1))

    def rows(start: int, stop: int) -> np.ndarray:
        near = np.empty((min(stop, len(centres)) - start, len(values)), dtype=bool)
        for i, centre in enumerate(centres[start:stop]):
            np.less_equal(np.abs(values - centre), threshold, out=near[i])
        return np.logical_or.reduceat(near, starts, axis=1)

    return rows


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = np.asarray(vectors)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _require_columns(name: str, table: pd.DataFrame, columns: list[str]) -> None:
    for column in columns:
        if column not in table.columns:
            raise StoreError(f"The {name} table has no column {column!r}; it has {', '.join(map(str, table.columns))}.")
