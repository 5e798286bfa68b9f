"""From an ECG embedding to phenotypes with honest uncertainty, and how far the ECG lies from the training ECGs.

One kernel ridge head a phenotype, fitted on training patients (Gaussian kernel on the standardised embedding, Nyström
landmarks: Williams and Seeger 2001); on the phantom it errs 2 to 3 % less than a linear one. Everything a page shows of
a phenotype (value, interval, class probabilities, chance outside the reference range) comes from one conformal
predictive distribution, calibrated on validation patients separately for low, middle and high predictions (Mondrian
categories; Boström, crepes; Vovk et al. 2019), so that the numbers cannot contradict each other. Out-of-distribution:
mean distance to the nearest training ECGs (Sun et al. 2022, deep nearest neighbours), told as a percentile among ECGs
of patients kept aside.
"""

from dataclasses import dataclass

import numpy as np

from echo2ecg_core.errors import ModelError

INTERVAL_LEVEL = 0.9
LIMIT_PERCENTILE = 95.0
OUT_NEIGHBOURS = 5
BINS = 3
BANDS_HZ = np.array([0.4, 1, 2, 4, 6, 9, 13, 18, 24, 32, 40, 48, 52, 60, 75, 95, 120, 150, 180, 200])
ALPHAS = tuple(10.0 ** np.arange(-5, 3))
LANDMARKS, KERNEL_SHARE = 600, 0.25  # kernel exp(-share / d * squared distance) of standardised embeddings of length d
SMALLEST_EIGENVALUE = 1e-6  # of the landmarks' kernel, as a share of the largest: weights stay small enough for float32


@dataclass(frozen=True)
class Head:
    """One phenotype: y = weight · k + bias on the kernel features k of an embedding, with its calibration.

    Attributes:
        weight: (m,); `bias`: scalar.
        edges: (BINS - 1,) limits of the prediction categories.
        calibration: (n, 2) prediction and residual (measured - predicted) of each calibration ECG.
    """

    weight: np.ndarray
    bias: float
    edges: np.ndarray
    calibration: np.ndarray


@dataclass(frozen=True)
class Estimate:
    """One predicted phenotype in its unit; `samples` (m,) are equally likely values, sorted."""

    value: float
    interval: tuple[float, float]
    samples: np.ndarray

    def chance_at_most(self, limit: float) -> float:
        """Probability that the measured value is at most `limit`, kept off 0 and 1 by the number of samples."""
        return float((np.sum(self.samples <= limit) + 0.5) / (len(self.samples) + 1))


class Readouts:
    """The fitted heads of one model and its out-of-distribution limit. Make with `fit` or `from_tensors`."""

    def __init__(self, kernel: "Kernel", heads: dict[str, Head], outside: "Outside"):
        self.kernel, self.heads, self.outside = kernel, heads, outside

    @classmethod
    def fit(
        cls,
        train: tuple[np.ndarray, dict[str, np.ndarray]],
        calibration: tuple[np.ndarray, dict[str, np.ndarray]],
        outside: "Outside",
    ) -> "Readouts":
        """Fit heads on training ECGs and calibrate on ECGs of other patients.

        Args:
            train: Embeddings (n, d) and phenotype name -> measured values (n,), NaN where not measured.
            calibration: The same for validation patients.
            outside: The fitted out-of-distribution measure.
        """
        from sklearn.linear_model import RidgeCV

        kernel, heads = Kernel.fit(train[0]), {}
        x, kept_aside = kernel.features(train[0]), kernel.features(calibration[0])
        for name, values in train[1].items():
            known = np.isfinite(values)
            ridge = RidgeCV(ALPHAS).fit(x[known], values[known])
            known = np.isfinite(calibration[1][name])
            predicted = ridge.predict(kept_aside[known])
            pairs = np.stack([predicted, calibration[1][name][known] - predicted], 1)
            edges = np.quantile(predicted, np.linspace(0, 1, BINS + 1)[1:-1])
            heads[name] = Head(ridge.coef_, float(ridge.intercept_), edges, pairs)
        return cls(kernel, heads, outside)

    def predict(self, name: str, embeddings: np.ndarray) -> np.ndarray:
        """Uncalibrated predictions (n,) of one phenotype for embeddings (n, d)."""
        head = self.heads[name]
        return self.kernel.features(embeddings) @ head.weight + head.bias

    def values(self, name: str, embeddings: np.ndarray) -> np.ndarray:
        """Calibrated predictions (n,) of one phenotype for embeddings (n, d): the medians that `estimate` gives."""
        head = self.heads[name]
        predicted, bins = self.predict(name, embeddings), np.digitize(head.calibration[:, 0], head.edges)
        shift = np.array([np.median(head.calibration[bins == b, 1]) if (bins == b).any() else 0.0 for b in range(BINS)])
        return predicted + shift[np.digitize(predicted, head.edges)]

    def intervals(self, name: str, embeddings: np.ndarray) -> np.ndarray:
        """90 % intervals (n, 2) of one phenotype for embeddings (n, d)."""
        from crepes import ConformalPredictiveSystem

        head = self.heads[name]
        predicted, bins = self.predict(name, embeddings), np.digitize(head.calibration[:, 0], head.edges)
        system = ConformalPredictiveSystem().fit(head.calibration[:, 1], bins=bins, seed=0)
        return system.predict_int(predicted, bins=np.digitize(predicted, head.edges), confidence=INTERVAL_LEVEL)

    def estimate(self, name: str, embedding: np.ndarray) -> Estimate:
        """Value (median), 90 % interval and distribution of one phenotype for one embedding (d,)."""
        head = self.heads[name]
        predicted = self.predict(name, embedding[None])
        low, high = self.intervals(name, embedding[None])[0]
        own_bin = np.digitize(predicted, head.edges)
        residuals = np.sort(head.calibration[np.digitize(head.calibration[:, 0], head.edges) == own_bin[0], 1])
        samples = predicted[0] + residuals
        return Estimate(float(np.median(samples)), (float(low), float(high)), samples)

    def tensors(self) -> dict[str, np.ndarray]:
        """Everything as named arrays (for safetensors)."""
        named = {**self.kernel.tensors(), **self.outside.tensors()}
        for name, head in self.heads.items():
            named |= {
                f"head.{name}.weight": head.weight,
                f"head.{name}.bias": np.array([head.bias]),
                f"head.{name}.edges": head.edges,
                f"head.{name}.calibration": head.calibration,
            }
        return {key: np.ascontiguousarray(value, np.float32) for key, value in named.items()}

    @classmethod
    def from_tensors(cls, named: dict[str, np.ndarray]) -> "Readouts":
        """The inverse of `tensors`.

        Raises:
            ModelError: an array is missing.
        """
        try:
            named = {key: np.asarray(value, np.float64) for key, value in named.items()}
            names = [key.split(".")[1] for key in named if key.startswith("head.") and key.endswith(".weight")]
            heads = {
                n: Head(
                    named[f"head.{n}.weight"],
                    float(named[f"head.{n}.bias"][0]),
                    named[f"head.{n}.edges"],
                    named[f"head.{n}.calibration"],
                )
                for n in names
            }
            return cls(Kernel.from_tensors(named), heads, Outside.from_tensors(named))
        except KeyError as error:
            raise ModelError(
                f"The readouts of this model are incomplete: {error} is missing.", "Fit them again with `train`."
            ) from error


@dataclass(frozen=True)
class Kernel:
    """Embedding -> features in which a Gaussian kernel is an inner product, approximately (Nyström).

    Attributes:
        mean, scale: (d,) of the training embeddings.
        landmarks: (m, d) standardised training embeddings.
        whitening: (m, r) kernel values at the landmarks -> features.
    """

    mean: np.ndarray
    scale: np.ndarray
    landmarks: np.ndarray
    whitening: np.ndarray

    @classmethod
    def fit(cls, embeddings: np.ndarray) -> "Kernel":
        """Fit on training embeddings (n, d); at most `LANDMARKS` of them, by lot, become landmarks."""
        mean, scale = embeddings.mean(0), embeddings.std(0) + 1e-6
        chosen = np.random.default_rng(0).permutation(len(embeddings))[:LANDMARKS]
        landmarks = (embeddings[chosen] - mean) / scale
        values, vectors = np.linalg.eigh(_gaussian(landmarks, landmarks))
        kept = values > SMALLEST_EIGENVALUE * values[-1]
        return cls(mean, scale, landmarks, vectors[:, kept] / np.sqrt(values[kept]))

    def features(self, embeddings: np.ndarray) -> np.ndarray:
        """(n, d) -> (n, r)."""
        return _gaussian((np.asarray(embeddings, np.float64) - self.mean) / self.scale, self.landmarks) @ self.whitening

    def tensors(self) -> dict[str, np.ndarray]:
        """Everything as named arrays."""
        return {f"kernel.{key}": getattr(self, key) for key in ("mean", "scale", "landmarks", "whitening")}

    @classmethod
    def from_tensors(cls, named: dict[str, np.ndarray]) -> "Kernel":
        """The inverse of `tensors`."""
        return cls(*(named[f"kernel.{key}"] for key in ("mean", "scale", "landmarks", "whitening")))


def _gaussian(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """exp(-KERNEL_SHARE / d * |a - b|²): (n, d), (m, d) -> (n, m)."""
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return np.exp(-KERNEL_SHARE / a.shape[1] * np.maximum(squared, 0))


@dataclass(frozen=True)
class Outside:
    """Distance to the training ECGs.

    Attributes:
        centre, rotation: (f,) and (f, r): features -> whitened space, fitted on training ECGs.
        reference: (m, r) training ECGs in that space.
        kept_aside: (n,) sorted distances of ECGs of validation patients.
    """

    centre: np.ndarray
    rotation: np.ndarray
    reference: np.ndarray
    kept_aside: np.ndarray

    @classmethod
    def fit(
        cls, train: np.ndarray, kept_aside: np.ndarray, *, directions: int = 48, references: int = 1500
    ) -> "Outside":
        """Fit on features of training ECGs (n, f) and set the scale by those of other patients (m, f)."""
        centre = train.mean(0)
        _, spread, rows = np.linalg.svd((train - centre).astype(np.float64), full_matrices=False)
        keep = min(directions, int((spread > 1e-6 * spread[0]).sum()))
        rotation = rows[:keep].T / (spread[:keep] / np.sqrt(len(train)))
        space = (train - centre) @ rotation
        space = space[np.random.default_rng(0).permutation(len(space))[:references]]
        fitted = cls(centre, rotation, space, np.zeros(0))
        return cls(centre, rotation, space, np.sort(fitted.distance(kept_aside)))

    def distance(self, features: np.ndarray) -> np.ndarray:
        """Mean distance (n,) of features (n, f) to their nearest training ECGs in the whitened space."""
        space = (features - self.centre) @ self.rotation
        squared = (space**2).sum(1)[:, None] + (self.reference**2).sum(1)[None] - 2 * space @ self.reference.T
        nearest = np.partition(np.maximum(squared, 0), OUT_NEIGHBOURS, axis=1)[:, :OUT_NEIGHBOURS]
        return np.sqrt(nearest).mean(1)

    def percentile(self, features: np.ndarray) -> np.ndarray:
        """Share (0..100) of the ECGs kept aside that lie nearer than each of features (n, f)."""
        return 100.0 * np.searchsorted(self.kept_aside, self.distance(features)) / len(self.kept_aside)

    def tensors(self) -> dict[str, np.ndarray]:
        """Everything as named arrays."""
        return {f"outside.{key}": getattr(self, key) for key in ("centre", "rotation", "reference", "kept_aside")}

    @classmethod
    def from_tensors(cls, named: dict[str, np.ndarray]) -> "Outside":
        """The inverse of `tensors`."""
        return cls(*(named[f"outside.{key}"] for key in ("centre", "rotation", "reference", "kept_aside")))


def outside_features(windows: np.ndarray, sampling_rate_hz: float) -> np.ndarray:
    """What tells an unfamiliar recording: how its power is spread over frequencies, and how that differs between leads.

    The embedding alone does not tell: it was trained to forget devices, filters and noise. Bands narrow enough to show
    a mains filter or a device's bandwidth do.

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
