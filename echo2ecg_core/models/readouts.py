"""From an ECG embedding to phenotypes with honest uncertainty.

One kernel ridge head a phenotype, fitted on training patients (Gaussian kernel on the standardised embedding, Nyström
landmarks: Williams and Seeger 2001); on the phantom it errs 2 to 3 % less than a linear one. Its strength is chosen by
patient: repeated ECGs of one patient tell of one another, and chosen by row it came out 10 to 1,000 times too small.
Everything a page shows of a phenotype (value, interval, class probabilities, chance outside the reference range) comes
from one calibrated distribution (predictive.py); with too few calibration ECGs there is a value and nothing else.
"""

from dataclasses import dataclass

import numpy as np

from echo2ecg_core.errors import ModelError
from echo2ecg_core.models.outside import Outside
from echo2ecg_core.models.predictive import Predictive
from echo2ecg_core.phenotypes import PHENOTYPES, disease_limit

ALPHAS = tuple(10.0 ** np.arange(-4, 4))
PATIENT_FOLDS = 5
LANDMARKS, KERNEL_SHARE = 600, 0.25  # kernel exp(-share / d * squared distance) of standardised embeddings of length d
SMALLEST_EIGENVALUE = 1e-6  # of the landmarks' kernel, as a share of the largest: weights stay small enough for float32


@dataclass(frozen=True, eq=False)
class LabelledVectors:
    """Vectors of ECGs whose patients have a study close in time.

    Attributes:
        embedding: (n, width).
        outside: (n, f) signal features of the distance to the training data, NaN where not measured.
        labels: Phenotype -> measured values (n,), NaN where not measured.
        patients: (n,) whose.
    """

    embedding: np.ndarray
    outside: np.ndarray
    labels: dict[str, np.ndarray]
    patients: np.ndarray

    def measured_signals(self) -> np.ndarray:
        """The rows (m, f) of `outside` that were measured."""
        return self.outside[np.isfinite(self.outside).all(1)]


@dataclass(frozen=True)
class Head:
    """One phenotype: y = weight · k + bias on the kernel features k of an embedding, with its calibration.

    Attributes:
        weight: (m,); `bias`: scalar.
        predictive: What may be measured, given y; None with too few calibration ECGs.
    """

    weight: np.ndarray
    bias: float
    predictive: Predictive | None


@dataclass(frozen=True)
class Estimate:
    """One predicted phenotype in its unit; `samples` (m,) are equally likely values, sorted.

    Without calibration `interval` and `samples` are None and the value is what the head says.
    """

    value: float
    interval: tuple[float, float] | None
    samples: np.ndarray | None

    def chance_at_most(self, limit: float) -> float:
        """Probability that the measured value is at most `limit`, kept off 0 and 1 by the number of samples."""
        assert self.samples is not None, "there are no chances without calibration"
        return float((np.sum(self.samples <= limit) + 0.5) / (len(self.samples) + 1))


class Readouts:
    """The fitted heads of one model and its out-of-distribution limit. Make with `fit` or `from_tensors`."""

    def __init__(self, kernel: "Kernel", heads: dict[str, Head], outside: Outside):
        self.kernel, self.heads, self.outside = kernel, heads, outside

    @classmethod
    def fit(cls, train: LabelledVectors, calibration: LabelledVectors) -> "Readouts":
        """Fit heads of every phenotype of `train` and calibrate them on ECGs of other patients."""
        kernel, heads = Kernel.fit(train.embedding), {}
        x, kept_aside = kernel.features(train.embedding), kernel.features(calibration.embedding)
        for name, (weight, bias) in _ridge(x, train.labels, train.patients).items():
            values = calibration.labels.get(name, np.full(len(kept_aside), np.nan))
            known = np.isfinite(values)
            predictive = Predictive.fit(
                kept_aside[known] @ weight + bias, values[known], calibration.patients[known], disease_limit(name)
            )
            heads[name] = Head(weight, bias, predictive)
        return cls(kernel, heads, Outside.fit(*((v.measured_signals(), v.embedding) for v in (train, calibration))))

    def predict(self, name: str, embeddings: np.ndarray) -> np.ndarray:
        """Uncalibrated predictions (n,) of one phenotype for embeddings (n, d)."""
        head = self.heads[name]
        return self.kernel.features(embeddings) @ head.weight + head.bias

    def values(self, name: str, embeddings: np.ndarray) -> np.ndarray:
        """Predictions (n,) of one phenotype for embeddings (n, d), as `estimate` gives them: calibrated medians."""
        predicted, predictive = self.predict(name, embeddings), self.heads[name].predictive
        return predicted if predictive is None else predictive.medians(predicted)

    def intervals(self, name: str, embeddings: np.ndarray) -> np.ndarray | None:
        """90 % intervals (n, 2) of one phenotype for embeddings (n, d), of a grade whole; None without calibration."""
        predictive = self.heads[name].predictive
        return None if predictive is None else _whole(name, predictive.intervals(self.predict(name, embeddings)))

    def chances_at_most(self, name: str, embeddings: np.ndarray, limit: float) -> np.ndarray | None:
        """Chances (n,) that the measured value is at most `limit`; None without calibration."""
        predictive = self.heads[name].predictive
        return None if predictive is None else predictive.chance_at_most(self.predict(name, embeddings), limit)

    def estimate(self, name: str, embedding: np.ndarray) -> Estimate:
        """Value (median), 90 % interval and distribution of one phenotype for one embedding (d,)."""
        predictive, predicted = self.heads[name].predictive, self.predict(name, embedding[None])
        if predictive is None:
            return Estimate(float(predicted[0]), None, None)
        low, high = _whole(name, predictive.intervals(predicted))[0]
        return Estimate(
            float(predictive.medians(predicted)[0]), (float(low), float(high)), predictive.samples(predicted[0])
        )

    def tensors(self) -> dict[str, np.ndarray]:
        """Everything as named arrays (for safetensors)."""
        named = {**self.kernel.tensors(), **self.outside.tensors()}
        for name, head in self.heads.items():
            named |= {f"head.{name}.weight": head.weight, f"head.{name}.bias": np.array([head.bias])}
            if head.predictive is not None:
                named |= {f"head.{name}.{key}": value for key, value in head.predictive.tensors().items()}
        return {key: np.ascontiguousarray(value, np.float32) for key, value in named.items()}

    @classmethod
    def from_tensors(cls, named: dict[str, np.ndarray]) -> "Readouts":
        """The inverse of `tensors`; files of version 0.1 load too.

        Raises:
            ModelError: an array is missing.
        """
        try:
            named = {key: np.asarray(value, np.float64) for key, value in named.items()}
            names = [key.split(".")[1] for key in named if key.startswith("head.") and key.endswith(".weight")]
            return cls(Kernel.from_tensors(named), {n: _head(n, named) for n in names}, Outside.from_tensors(named))
        except KeyError as error:
            raise ModelError(
                f"The readouts of this model are incomplete: {error} is missing.", "Fit them again with `train`."
            ) from error


def _whole(name: str, ends: np.ndarray) -> np.ndarray:
    """Ends (n, 2) of intervals: of a grade the nearest grades, which is how it is measured and shown."""
    phenotype = PHENOTYPES[name]
    return np.clip(np.round(ends), phenotype.lowest, phenotype.highest) if phenotype.kind == "grade" else ends


def _head(name: str, named: dict[str, np.ndarray]) -> Head:
    """One head from named arrays; version 0.1 kept (n, 2) predictions and residuals, calibrated here the new way."""
    own = {key.split(".", 2)[2]: value for key, value in named.items() if key.startswith(f"head.{name}.")}
    if "calibration" in own:
        predicted, residual = own["calibration"].T
        predictive = Predictive.fit(predicted, predicted + residual, None, disease_limit(name))
    else:
        predictive = Predictive.from_tensors(own) if "ends" in own else None
    return Head(own["weight"], float(own["bias"][0]), predictive)


def _ridge(x: np.ndarray, labels: dict[str, np.ndarray], patients: np.ndarray) -> dict[str, tuple[np.ndarray, float]]:
    """Weight and bias of every phenotype on features (n, m), its strength chosen by errors on left-out patients.

    Phenotypes that were measured in the same ECGs are solved together.
    """
    together: dict[bytes, list[str]] = {}
    for name, values in labels.items():
        together.setdefault(np.isfinite(values).tobytes(), []).append(name)
    heads: dict[str, tuple[np.ndarray, float]] = {}
    for names in together.values():
        known = np.isfinite(labels[names[0]])
        y = np.stack([labels[name][known] for name in names], 1)
        chosen = _strengths(x[known], y, patients[known])
        weights, biases = _ridge_path(x[known], y)
        heads |= {
            name: (weights[a, :, i], float(biases[a, i])) for i, (name, a) in enumerate(zip(names, chosen, strict=True))
        }
    return {name: heads[name] for name in labels}


def _strengths(x: np.ndarray, y: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """Which of `ALPHAS` (targets,) has the least squared error on patients left out in turn; the largest for one."""
    from sklearn.model_selection import GroupKFold

    folds = min(PATIENT_FOLDS, len(np.unique(patients)))
    if folds < 2:
        return np.full(y.shape[1], len(ALPHAS) - 1)
    errors = np.zeros((len(ALPHAS), y.shape[1]))
    for fitted, left_out in GroupKFold(folds).split(x, groups=patients):
        weights, biases = _ridge_path(x[fitted], y[fitted])
        for row in range(len(ALPHAS)):
            errors[row] += ((x[left_out] @ weights[row] + biases[row] - y[left_out]) ** 2).sum(0)
    return errors.argmin(0)


def _ridge_path(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ridge regression of y (n, t) on x (n, m) at every strength: weights (alphas, m, t) and biases (alphas, t).

    One eigendecomposition serves all strengths, which `sklearn.linear_model.Ridge` would solve anew.
    """
    x_mean, y_mean = x.mean(0), y.mean(0)
    values, vectors = np.linalg.eigh((x - x_mean).T @ (x - x_mean))
    turned = vectors.T @ ((x - x_mean).T @ (y - y_mean))  # (m, t)
    weights = np.stack([vectors @ (turned / (np.maximum(values, 0) + alpha)[:, None]) for alpha in ALPHAS])
    return weights, y_mean - x_mean @ weights


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
