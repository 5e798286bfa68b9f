"""Which ECG goes with which echo study, and the prepared arrays that training reads.

A pair is an ECG and a study of one patient within a number of days; an ECG may pair with several studies and the
reverse. Splits are by patient.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from echo2ecg_core.errors import StoreError
from echo2ecg_core.store.times import pairs_in_time


def find_pairs(ecgs: pd.DataFrame, studies: pd.DataFrame, within_days: float = 7.0) -> pd.DataFrame:
    """Pairs (ecg_id, study_id, patient_id, split, days_apart) of one patient at most `within_days` apart.

    Args:
        ecgs: Columns ecg_id, patient_id, ecg_time.
        studies: Columns study_id, patient_id, study_date, split.
        within_days: Largest distance in time.

    Raises:
        StoreError: a patient is in two splits, or no pair is left.
    """
    if (studies.groupby("patient_id").split.nunique() > 1).any():
        raise StoreError("A patient is in two splits.", "Give every patient one split and prepare the data again.")
    pairs = pairs_in_time(ecgs, studies, within_days)
    refuse_none(pairs, within_days)
    return pairs


def refuse_none(pairs: pd.DataFrame, within_days: float) -> None:
    """Raises:
    StoreError: there is no pair.
    """
    if pairs.empty:
        raise StoreError(
            f"No ECG lies within {within_days:g} days of an echo study of the same patient.",
            "Allow more days between them, or import ECGs and studies of the same patients.",
        )


@dataclass(frozen=True, eq=False)
class PreparedPairs:
    """Everything a training step reads, by row number.

    Attributes:
        ecgs: (n_ecgs, 12, t) float16, cleaned at the model's rate; may be memory-mapped.
        lengths: (n_ecgs,) samples of each that are its own, zeros behind them; None: all t.
        clips: (n_clips, 512) float32 frozen clip vectors.
        clips_of: For every study its rows of `clips`.
        pairs: (n_pairs, 3) int: patient, ECG row, study row (-1 where ECGs are learnt from alone).
    """

    ecgs: np.ndarray
    clips: np.ndarray
    clips_of: list[np.ndarray]
    pairs: np.ndarray
    lengths: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def n_patients(self) -> int:
        """How many patients have a pair."""
        return len(np.unique(self.pairs[:, 0]))

    def shuffled(self, rng: np.random.Generator) -> np.ndarray:
        """(pairs, 3): every pair once, in random order."""
        return self.pairs[rng.permutation(len(self.pairs))]

    def one_per_patient(self, rng: np.random.Generator) -> np.ndarray:
        """(patients, 3): a random pair of every patient, patients in random order."""
        shuffled = self.shuffled(rng)
        _, first = np.unique(shuffled[:, 0], return_index=True)
        return shuffled[rng.permutation(first)]

    def windows(self, ecgs: np.ndarray, n_samples: int, rng: np.random.Generator | None = None) -> np.ndarray:
        """A window (b, 12, n_samples) float32 of each of these ECG rows, within its own length.

        Args:
            ecgs: ECG rows.
            n_samples: Of a window.
            rng: Draws where each begins; the last possible start is never drawn, as published. None: at the start.
        """
        own = np.full(len(ecgs), self.ecgs.shape[2]) if self.lengths is None else self.lengths[ecgs]
        starts = np.zeros(len(ecgs), int) if rng is None else rng.integers(np.maximum(own - n_samples, 1))
        found = np.empty((len(ecgs), 12, n_samples), np.float32)
        for i, (row, start) in enumerate(zip(ecgs, starts, strict=True)):
            found[i] = self.ecgs[row, :, start : start + n_samples]
        return found

    def views(
        self, studies: np.ndarray, max_views: int = 128, dropout: float = 0.0, rng: np.random.Generator | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Clip vectors (b, v, 512), zero padded, and is_padding (b, v) of these study rows.

        Args:
            studies: Study rows.
            max_views: Clips of one study that are used, the first ones.
            dropout: Chance of each of them to be left out; one always stays.
            rng: Draws who is left out; needed only with `dropout`.
        """
        rows = [self.clips_of[s][:max_views] for s in studies]
        if dropout:
            assert rng is not None, "who is left out has to be drawn"
            rows = [_some(r, dropout, rng) for r in rows]
        most = max(len(r) for r in rows)
        views = np.zeros((len(rows), most, self.clips.shape[1]), np.float32)
        is_padding = np.ones((len(rows), most), bool)
        for i, r in enumerate(rows):
            views[i, : len(r)], is_padding[i, : len(r)] = self.clips[r], False
        return views, is_padding

    def one_view(self, studies: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A random clip of each of these study rows as a study of one view: (b, 1, 512) and no padding (b, 1)."""
        rows = np.array([self.clips_of[s][rng.integers(len(self.clips_of[s]))] for s in studies])
        return self.clips[rows][:, None].astype(np.float32), np.zeros((len(rows), 1), bool)


def _some(rows: np.ndarray, dropout: float, rng: np.random.Generator) -> np.ndarray:
    """These rows without those that the lot leaves out, in their order; never none."""
    lot = rng.random(len(rows))
    return rows[lot >= min(dropout, lot.max(initial=0.0))]


def not_negatives(pairs: np.ndarray) -> np.ndarray:
    """(b, b) bool: other pairs of the same patient or study in a batch of pairs (b, 3), which are no negatives."""
    same = (pairs[:, None, 0] == pairs[None, :, 0]) | (pairs[:, None, 2] == pairs[None, :, 2])
    return same & ~np.eye(len(pairs), dtype=bool)
