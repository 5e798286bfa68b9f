"""How far an ECG lies from the training ECGs, seen in two ways; either may call it outside the training data.

The *signal*: how power spreads over frequencies and leads tells other devices, filters and noise, which an embedding is
trained to forget. The *embedding*: what the network makes of the tracing tells inverted, reversed or exchanged leads,
whose power is that of any other ECG. Distance: mean to the nearest training ECGs in whitened space (Sun et al. 2022,
deep nearest neighbours), told as a percentile among ECGs of patients kept aside.
"""

from dataclasses import dataclass

import numpy as np

OUT_NEIGHBOURS, REFERENCES = 5, 1500
DIRECTIONS = 192  # all of an embedding: half of them tell shuffled leads in 45 of 100 ECGs, all in 63
LIMIT_PERCENTILE = 96.0  # of each measure; two of them mark at most 8 % of ECGs like those kept aside
BANDS_HZ = np.array([0.4, 1, 2, 4, 6, 9, 13, 18, 24, 32, 40, 48, 52, 60, 75, 95, 120, 150, 180, 200])
PARTS = ("centre", "rotation", "reference", "kept_aside")


@dataclass(frozen=True)
class Distance:
    """Distance to the nearest training ECGs in one space.

    Attributes:
        centre: (f,); `rotation` (f, k): features -> whitened directions of the training ECGs.
        reference: (r, k) training ECGs in that space.
        kept_aside: (m,) sorted distances of ECGs of patients kept aside.
    """

    centre: np.ndarray
    rotation: np.ndarray
    reference: np.ndarray
    kept_aside: np.ndarray

    @classmethod
    def fit(
        cls, train: np.ndarray, kept_aside: np.ndarray, *, directions: int = DIRECTIONS, references: int = REFERENCES
    ) -> "Distance":
        """Fit on features of training ECGs (n, f) and set the scale by those of other patients (m, f)."""
        centre = train.mean(0)
        _, spread, rows = np.linalg.svd((train - centre).astype(np.float64), full_matrices=False)
        keep = min(directions, int((spread > 1e-6 * spread[0]).sum()))
        rotation = rows[:keep].T / (spread[:keep] / np.sqrt(len(train)))
        space = (train - centre) @ rotation
        space = space[np.random.default_rng(0).permutation(len(space))[:references]]
        fitted = cls(centre, rotation, space, np.zeros(0))
        return cls(centre, rotation, space, np.sort(fitted.of(kept_aside)))

    def of(self, features: np.ndarray) -> np.ndarray:
        """Mean distance (n,) of features (n, f) to their nearest training ECGs in the whitened space."""
        space = (features - self.centre) @ self.rotation
        squared = (space**2).sum(1)[:, None] + (self.reference**2).sum(1)[None] - 2 * space @ self.reference.T
        count = min(OUT_NEIGHBOURS, len(self.reference))
        nearest = np.partition(np.maximum(squared, 0), count - 1, axis=1)[:, :count]
        return np.sqrt(nearest).mean(1)

    def percentile(self, features: np.ndarray) -> np.ndarray:
        """Share (0..100) of the ECGs kept aside that lie nearer than each of features (n, f)."""
        return 100.0 * np.searchsorted(self.kept_aside, self.of(features)) / max(1, len(self.kept_aside))


@dataclass(frozen=True)
class Outside:
    """Both distances; readouts of before the embedding was looked at have that of the signal alone."""

    signal: Distance
    embedding: Distance | None = None

    @classmethod
    def fit(
        cls,
        train: tuple[np.ndarray, np.ndarray],
        kept_aside: tuple[np.ndarray, np.ndarray],
        *,
        directions: int = DIRECTIONS,
        references: int = REFERENCES,
    ) -> "Outside":
        """Fit on training ECGs and set the scale by those of other patients.

        Args:
            train: Signal features (n, f) and embeddings (n, d). kept_aside: The same (m, f), (m, d).
            directions, references: How many of each are kept.
        """
        size = {"directions": directions, "references": references}
        return cls(*(Distance.fit(near, aside, **size) for near, aside in zip(train, kept_aside, strict=True)))

    def percentiles(self, signal: np.ndarray, embedding: np.ndarray) -> dict[str, np.ndarray]:
        """Measure -> (n,) 0..100 of signal features (n, f) and embeddings (n, d); one measure in old readouts."""
        found = {"signal": self.signal.percentile(signal)}
        return found | ({"embedding": self.embedding.percentile(embedding)} if self.embedding is not None else {})

    def flags(self, signal: np.ndarray, embedding: np.ndarray) -> np.ndarray:
        """(n,) bool: beyond the limit in either measure."""
        return np.any([p > LIMIT_PERCENTILE for p in self.percentiles(signal, embedding).values()], axis=0)

    def shares(self, signal: np.ndarray, embedding: np.ndarray) -> dict[str, float]:
        """Share of n ECGs beyond the limit: `share` in either, and by measure."""
        found = {name: p > LIMIT_PERCENTILE for name, p in self.percentiles(signal, embedding).items()}
        either = float(np.any(list(found.values()), axis=0).mean())
        return {"share": either, **{name: float(beyond.mean()) for name, beyond in found.items()}}

    def tensors(self) -> dict[str, np.ndarray]:
        """Everything as named arrays."""
        named = {f"outside.{key}": getattr(self.signal, key) for key in PARTS}
        if self.embedding is not None:
            named |= {f"outside.embedding.{key}": getattr(self.embedding, key) for key in PARTS}
        return named

    @classmethod
    def from_tensors(cls, named: dict[str, np.ndarray]) -> "Outside":
        """The inverse of `tensors`."""
        signal = Distance(*(named[f"outside.{key}"] for key in PARTS))
        if "outside.embedding.centre" not in named:
            return cls(signal)
        return cls(signal, Distance(*(named[f"outside.embedding.{key}"] for key in PARTS)))


def outside_features(windows: np.ndarray, sampling_rate_hz: float) -> np.ndarray:
    """What tells an unfamiliar recording: how its power is spread over frequencies, and how that differs between leads.

    Bands narrow enough to show a mains filter or a device's bandwidth do.

    Args:
        windows: (b, w, 12, n) prepared windows.
        sampling_rate_hz: Of the windows.

    Returns:
        (b, 2 * bands): mean and standard deviation over leads of the log power in each band of `BANDS_HZ`.
    """
    power = np.abs(np.fft.rfft(windows * np.hanning(windows.shape[3]), axis=3)).astype(np.float64) ** 2
    power = power.mean(1)  # (b, 12, frequencies)
    frequency = np.fft.rfftfreq(windows.shape[3], 1 / sampling_rate_hz)
    edges = [edge for edge in BANDS_HZ if edge <= sampling_rate_hz / 2]
    bands = np.stack(
        [
            power[..., (frequency >= low) & (frequency < high)].mean(2)
            for low, high in zip(edges, edges[1:], strict=False)
        ],
        2,
    )
    bands = np.log10(bands + 1e-6)  # (b, 12, bands)
    return np.concatenate([bands.mean(1), bands.std(1)], 1)
