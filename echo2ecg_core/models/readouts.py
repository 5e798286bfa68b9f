"""From an ECG embedding to phenotypes with honest uncertainty.

One kernel ridge head a phenotype, fitted on training patients (Gaussian kernel on the standardised embedding, Nyström
landmarks: Williams and Seeger 2001); on the phantom it errs 2 to 3 % less than a linear one. Its strength is chosen by
patient: repeated ECGs of one patient tell of one another, and chosen by row it came out 10 to 1,000 times too small.
Everything a page shows of a phenotype (value, interval, class probabilities, chance outside the reference range) comes
from one calibrated distribution (predictive.py); with too few calibration ECGs there is a value and nothing else.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from echo2ecg_core.errors import ModelError
from echo2ecg_core.models.outside import Outside
from echo2ecg_core.models.predictive import Predictive, is_lumpy
from echo2ecg_core.phenotypes import PHENOTYPES, disease_limit

ALPHAS = tuple(10.0 ** np.arange(-4, 4))
PATIENT_FOLDS = 5
LANDMARKS, KERNEL_SHARE = 600, 0.25  # kernel exp(-share / d * squared distance) of standardised embeddings of length d
SPREAD_LIMITS = (0.5, 2.0)  # of the usual error: as far as a spread is believed
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
    """One phenotype: y = weight · k + bias on the kernel values k of an embedding, with its calibration.

    Attributes:
        weight: (m,); `bias`: scalar.
        predictive: What may be measured, given y and the spread; None with too few calibration ECGs.
        spread: (weight (m,), bias) of the error that is expected, as a multiple of the usual one; None: the
            usual one for all.
    """

    weight: np.ndarray
    bias: float
    predictive: Predictive | None
    spread: tuple[np.ndarray, float] | None = None

    def spreads(self, alike: np.ndarray) -> np.ndarray | None:
        """Expected errors (n,) within `SPREAD_LIMITS` for kernel values (n, m)."""
        return None if self.spread is None else np.clip(alike @ self.spread[0] + self.spread[1], *SPREAD_LIMITS)


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
        whitening, kept_aside = kernel.whitening(), kernel.values(calibration.embedding)
        x = kernel.values(train.embedding) @ whitening
        lines, residuals = _ridge(x, train.labels, train.patients)
        spreads = _spreads(x, residuals, train.patients)
        lines, spreads = ({name: _folded(line, whitening) for name, line in of.items()} for of in (lines, spreads))
        for name, (weight, bias) in lines.items():
            values = calibration.labels.get(name, np.full(len(kept_aside), np.nan))
            known = np.isfinite(values)
            head = Head(weight, bias, None, None if is_lumpy(values[known]) else spreads.get(name))
            predictive = Predictive.fit(
                kept_aside[known] @ weight + bias,
                values[known],
                calibration.patients[known],
                disease_limit(name),
                head.spreads(kept_aside[known]),
            )
            heads[name] = replace(head, predictive=predictive)
        return cls(kernel, heads, Outside.fit(*((v.measured_signals(), v.embedding) for v in (train, calibration))))

    def predict(self, name: str, embeddings: np.ndarray) -> np.ndarray:
        """Uncalibrated predictions (n,) of one phenotype for embeddings (n, d)."""
        return self._predicted(name, embeddings)[0]

    def _predicted(self, name: str, embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Uncalibrated predictions (n,) and spreads (n,) for embeddings (n, d)."""
        return self._of_values(name, self.kernel.values(embeddings))

    def _of_values(self, name: str, alike: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        head = self.heads[name]
        return alike @ head.weight + head.bias, head.spreads(alike)

    def values(self, name: str, embeddings: np.ndarray) -> np.ndarray:
        """Predictions (n,) of one phenotype for embeddings (n, d), as `estimate` gives them: calibrated medians."""
        (predicted, spread), predictive = self._predicted(name, embeddings), self.heads[name].predictive
        return predicted if predictive is None else predictive.medians(predicted, spread)

    def intervals(self, name: str, embeddings: np.ndarray) -> np.ndarray | None:
        """90 % intervals (n, 2) of one phenotype for embeddings (n, d), of a grade whole; None without calibration."""
        predictive = self.heads[name].predictive
        return None if predictive is None else _whole(name, predictive.intervals(*self._predicted(name, embeddings)))

    def chances_at_most(self, name: str, embeddings: np.ndarray, limit: float) -> np.ndarray | None:
        """Chances (n,) that the measured value is at most `limit`; None without calibration."""
        (predicted, spread), predictive = self._predicted(name, embeddings), self.heads[name].predictive
        return None if predictive is None else predictive.chance_at_most(predicted, limit, spread)

    def estimate(self, name: str, embedding: np.ndarray) -> Estimate:
        """Value (median), 90 % interval and distribution of one phenotype for one embedding (d,)."""
        return self.estimates([name], embedding)[name]

    def estimates(self, names: Iterable[str], embedding: np.ndarray) -> dict[str, Estimate]:
        """`estimate` of several phenotypes, for which an embedding is compared with the landmarks once."""
        alike, found = self.kernel.values(embedding[None]), {}
        for name in names:
            predictive, seen = self.heads[name].predictive, self._of_values(name, alike)
            if predictive is None:
                found[name] = Estimate(float(seen[0][0]), None, None)
                continue
            median, interval, samples = predictive.all_of(*seen)
            low, high = _whole(name, interval)[0]
            found[name] = Estimate(float(median[0]), (float(low), float(high)), samples[0])
        return found

    def tensors(self) -> dict[str, np.ndarray]:
        """Everything as named arrays (for safetensors)."""
        named = {**self.kernel.tensors(), **self.outside.tensors()}
        for name, head in self.heads.items():
            named |= {f"head.{name}.weight": head.weight, f"head.{name}.bias": np.array([head.bias])}
            if head.spread is not None:
                named[f"head.{name}.spread"] = np.array([*head.spread[0], head.spread[1]])
            if head.predictive is not None:
                named |= {f"head.{name}.{key}": value for key, value in head.predictive.tensors().items()}
        return {key: np.ascontiguousarray(value, np.float32) for key, value in named.items()}

    @classmethod
    def from_tensors(cls, named: dict[str, np.ndarray]) -> "Readouts":
        """The inverse of `tensors`; files of versions 0.1 and 0.2, which kept the whitening apart, load too.

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
    line = own["weight"], float(own["bias"][0])
    spread = (own["spread"][:-1], float(own["spread"][-1])) if "spread" in own else None
    if (whitening := named.get("kernel.whitening")) is not None:
        line, spread = _folded(line, whitening), None if spread is None else _folded(spread, whitening)
    return Head(*line, predictive, spread)


Line = tuple[np.ndarray, float]  # weight (m,) and bias on features (n, m)


def _folded(line: Line, whitening: np.ndarray) -> Line:
    """The line on kernel values that is `line` on the features whitening (m, r) makes of them."""
    return whitening @ line[0], line[1]


def _ridge(
    x: np.ndarray, labels: dict[str, np.ndarray], patients: np.ndarray
) -> tuple[dict[str, Line], dict[str, np.ndarray]]:
    """The line of every phenotype on features (n, m), its strength chosen by errors on left-out patients, and its
    residuals (n,) on them; NaN where nothing was measured or nobody was left out.

    Phenotypes that were measured in the same ECGs are solved together.
    """
    together: dict[bytes, list[str]] = {}
    for name, values in labels.items():
        together.setdefault(np.isfinite(values).tobytes(), []).append(name)
    lines: dict[str, Line] = {}
    residuals = {name: np.full(len(x), np.nan) for name in labels}
    for names in together.values():
        known = np.isfinite(labels[names[0]])
        y = np.stack([labels[name][known] for name in names], 1)
        chosen, left_out = _strengths(x[known], y, patients[known])
        weights, biases = _ridge_path(x[known], y)
        for i, (name, a) in enumerate(zip(names, chosen, strict=True)):
            lines[name], residuals[name][known] = (weights[a, :, i], float(biases[a, i])), left_out[:, i]
    return {name: lines[name] for name in labels}, residuals


def _spreads(x: np.ndarray, residuals: dict[str, np.ndarray], patients: np.ndarray) -> dict[str, Line]:
    """The line of the expected size of the residual on features (n, m), as a multiple of the usual one."""
    sizes = {name: np.abs(residual) for name, residual in residuals.items() if np.isfinite(residual).any()}
    found = {}
    for name, (weight, bias) in _ridge(x, sizes, patients)[0].items():
        usual = float(np.median(x[np.isfinite(sizes[name])] @ weight + bias))
        if usual > 0:
            found[name] = (weight / usual, bias / usual)
    return found


def _strengths(x: np.ndarray, y: np.ndarray, patients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of `ALPHAS` (targets,) has the least squared error on patients left out in turn, and its residuals
    (n, targets) on them; the largest, and no residuals, for one patient."""
    from sklearn.model_selection import GroupKFold

    folds = min(PATIENT_FOLDS, len(np.unique(patients)))
    if folds < 2:
        return np.full(y.shape[1], len(ALPHAS) - 1), np.full(y.shape, np.nan)
    residuals = np.empty((len(ALPHAS), *y.shape))
    for fitted, left_out in GroupKFold(folds).split(x, groups=patients):
        weights, biases = _ridge_path(x[fitted], y[fitted])
        for row in range(len(ALPHAS)):
            residuals[row, left_out] = y[left_out] - x[left_out] @ weights[row] - biases[row]
    chosen = (residuals**2).sum(1).argmin(0)
    return chosen, residuals[chosen, :, np.arange(y.shape[1])].T


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
    """How much an embedding is like each of some landmarks: values of a Gaussian kernel (Nyström).

    Attributes:
        mean, scale: (d,) of the training embeddings.
        landmarks: (m, d) standardised training embeddings.
    """

    mean: np.ndarray
    scale: np.ndarray
    landmarks: np.ndarray

    @classmethod
    def fit(cls, embeddings: np.ndarray) -> "Kernel":
        """Fit on training embeddings (n, d); at most `LANDMARKS` of them, by lot, become landmarks."""
        mean, scale = embeddings.mean(0), embeddings.std(0) + 1e-6
        chosen = np.random.default_rng(0).permutation(len(embeddings))[:LANDMARKS]
        return cls(mean, scale, (embeddings[chosen] - mean) / scale)

    def whitening(self) -> np.ndarray:
        """(m, r): of values at the landmarks it makes features in which the kernel is an inner product, approximately;
        a ridge on them is one on the kernel."""
        values, vectors = np.linalg.eigh(_gaussian(self.landmarks, self.landmarks))
        kept = values > SMALLEST_EIGENVALUE * values[-1]
        return vectors[:, kept] / np.sqrt(values[kept])

    def values(self, embeddings: np.ndarray) -> np.ndarray:
        """(n, d) -> (n, m)."""
        return _gaussian((np.asarray(embeddings, np.float64) - self.mean) / self.scale, self.landmarks)

    def tensors(self) -> dict[str, np.ndarray]:
        """Everything as named arrays."""
        return {f"kernel.{key}": getattr(self, key) for key in ("mean", "scale", "landmarks")}

    @classmethod
    def from_tensors(cls, named: dict[str, np.ndarray]) -> "Kernel":
        """The inverse of `tensors`."""
        return cls(*(named[f"kernel.{key}"] for key in ("mean", "scale", "landmarks")))


def _gaussian(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """exp(-KERNEL_SHARE / d * |a - b|²): (n, d), (m, d) -> (n, m)."""
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return np.exp(-KERNEL_SHARE / a.shape[1] * np.maximum(squared, 0))
