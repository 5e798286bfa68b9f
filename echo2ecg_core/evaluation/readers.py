"""How often readers call the studies that a model ranks first similar to the ECG.

The interval resamples ECGs: hits of one ECG are no independent opinions. A hit that several readers marked counts once,
with the share of them that call it similar.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from echo2ecg_core.evaluation.phenotypes import bootstrap, interval
from echo2ecg_core.evaluation.retrieval import KS

FEWEST_ECGS = 5  # below it there is no interval


@dataclass(frozen=True)
class ReaderPrecision:
    """Among the hits up to rank `k` that were marked: how many, of how many ECGs, by how many readers; the share called
    similar with its 95 % interval, None with fewer than FEWEST_ECGS ECGs."""

    k: int
    hits: int
    ecgs: int
    readers: int
    precision: float
    interval: tuple[float, float] | None


def precision_by_readers(marks: pd.DataFrame, level: float = 0.95, seed: int = 0) -> list[ReaderPrecision]:
    """Precision at 1, 3, 5 and 10 by readers, [] without marks.

    Args:
        marks: Columns ecg_hash, study_id, reader, is_similar, rank; those of one model.
        level: Of the intervals. seed: Of the bootstrap.
    """
    found = []
    for k in KS:
        top = marks[marks["rank"] <= k]
        if top.empty:
            continue
        hits = top.groupby(["ecg_hash", "study_id"]).is_similar.mean().reset_index()
        values, ecgs = hits.is_similar.to_numpy(float), pd.factorize(hits.ecg_hash)[0]
        n_ecgs, ends = int(ecgs.max()) + 1, None
        if n_ecgs >= FEWEST_ECGS:
            ends = interval(_resampled(values, ecgs, seed), level)
        found.append(ReaderPrecision(k, len(hits), n_ecgs, top.reader.nunique(), float(values.mean()), ends))
    return found


def _resampled(values: np.ndarray, ecgs: np.ndarray, seed: int) -> np.ndarray:
    return bootstrap(lambda weights: {"precision": weights @ values / weights.sum(1)}, ecgs, seed=seed)["precision"]
