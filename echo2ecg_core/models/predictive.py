"""What a measured value may be, given a prediction: one distribution that value, interval and chances are read from.

Its shape varies smoothly with the prediction: quantiles of calibration residuals (of the values themselves where one
value is a great part of all, as of grades), weighted by how near the predictions are in rank, made monotone (a higher
prediction never gives a lower estimate; Chernozhukov et al., Econometrica 2010).
Around its middle it is as wide as the ECG's own spread says, the error that a second readout expects of it (locally
weighted conformal prediction: Lei et al., JASA 2018): of ECGs with one predicted LVEF those with a bundle branch block
are less sure. How wide it has to be is then set by conformal scores, each ECG scored by a shape that its patient
had no part in (distributional conformal prediction: Chernozhukov, Wüthrich, Zhu, PNAS 2021; cross-conformal: Vovk
2015), so that marginal cover holds whatever the shape.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

LEVEL = 0.9
SMALLEST_CALIBRATION = math.ceil(2 / (1 - LEVEL) - 1e-9) - 1  # 19: (n + 1) * (1 - level) / 2 is at least one ECG
SHARES = np.concatenate([[0.05], np.arange(0.1, 0.91, 0.1), [0.95]])  # quantiles that hold the shape
MIDDLE = 5  # of the shares: the median
KNOTS, FOLDS = 25, 5
APART = 0.1  # scores between which a lot decides
LUMP = 0.2  # share of one value
# Of the ranks: at most the first, at most half of the way to the nearer end (beyond it nothing weighs against what lies
# further in: chances told to the highest tenth were 2 points too low), and at least so many ECGs.
WIDEST_BANDWIDTH, ECGS_IN_BANDWIDTH = 0.05, 50
MOST_SCORES = 1999
DISEASE_COVER, FEWEST_OF_DISEASE = 0.9, 20
TAILS = tuple(np.arange(10, 0, -1) / 200)  # 0.05, 0.045 ... 0.005: what the side of the disease may leave out


@dataclass(frozen=True)
class Shape:
    """Quantiles of the measured value along the prediction.

    Attributes:
        knots: (k,) predictions, rising.
        table: (k, q) value at each of `SHARES` for an ECG of spread 1, rising along both.
        slopes: (2,) value a unit of score below the first and above the last share; the same at every prediction.
    """

    knots: np.ndarray
    table: np.ndarray
    slopes: np.ndarray

    @classmethod
    def fit(cls, predicted: np.ndarray, measured: np.ndarray, spread: np.ndarray | None = None) -> "Shape":
        """From predictions and measured values (n,), n >= 2, with spreads (n,) around 1; None: all 1."""
        order = np.argsort(predicted, kind="stable")
        predicted, measured = predicted[order], measured[order]
        n = len(predicted)
        rank = (np.arange(n) + 0.5) / n
        turn = np.linspace(0, np.pi, min(KNOTS, max(2, n // 20)))
        places = 0.5 + (0.5 - 0.5 / n) * -np.cos(turn)  # denser at the ends, where predictions lie far apart
        fewest = min(1.0, ECGS_IN_BANDWIDTH / n)
        width = np.clip(np.minimum(places, 1 - places) / 2, fewest, max(WIDEST_BANDWIDTH, fewest))[:, None]
        knots = np.interp(places, rank, predicted)
        weights = np.exp(-0.5 * ((places[:, None] - rank) / width) ** 2)  # (k, n)
        trend = 0.0 if is_lumpy(measured) else 1.0  # with a trend taken off, one value would become many
        table = trend * knots[:, None] + _weighted_quantiles(measured - trend * predicted, weights)
        if spread is not None:
            middle = _rising(table)[:, MIDDLE]
            inside = np.clip(predicted, knots[0], knots[-1])
            residual = measured - np.interp(inside, knots, middle) - (predicted - inside)
            table = middle[:, None] + _weighted_quantiles(residual / spread[order], weights)
        # rising, so that it can be inverted; away from the middle, so that an interval that ends at a value holds it
        table = _rising(table) + _gap(measured) * (np.arange(len(SHARES)) - MIDDLE)
        reach = np.abs(standard_scores(SHARES)[0])
        widths = np.stack([table[:, MIDDLE] - table[:, 0], table[:, -1] - table[:, MIDDLE]]).mean(1)
        return cls(knots, table, widths / reach)

    def values(self, predicted: np.ndarray, scores: np.ndarray, spread: np.ndarray | None = None) -> np.ndarray:
        """Values (n, m) at scores (m,) for predictions (n,) with spreads (n,)."""
        z, rows = standard_scores(SHARES), self._rows(predicted)
        inner = np.stack([np.interp(scores, z, row) for row in rows])
        below, above = np.minimum(scores - z[0], 0.0), np.maximum(scores - z[-1], 0.0)
        values = inner + below * self.slopes[0] + above * self.slopes[1]
        middle = rows[:, [MIDDLE]]
        return values if spread is None else middle + np.reshape(spread, (-1, 1)) * (values - middle)

    def scores(self, predicted: np.ndarray, measured: np.ndarray, spread: np.ndarray | None = None) -> np.ndarray:
        """Scores (n,) of measured values (n,): the inverse of `values`."""
        z, rows = standard_scores(SHARES), self._rows(predicted)
        if spread is not None:
            measured = rows[:, MIDDLE] + (measured - rows[:, MIDDLE]) / spread
        inner = np.array([np.interp(y, row, z) for y, row in zip(measured, rows, strict=True)])
        below, above = np.minimum(measured - rows[:, 0], 0.0), np.maximum(measured - rows[:, -1], 0.0)
        return inner + below / self.slopes[0] + above / self.slopes[1]

    def _rows(self, predicted: np.ndarray) -> np.ndarray:
        """The table (n, q) at predictions (n,); beyond the outermost knots it moves along with the prediction."""
        predicted = np.atleast_1d(np.asarray(predicted, float))
        inside = np.clip(predicted, self.knots[0], self.knots[-1])
        rows = np.stack([np.interp(inside, self.knots, column) for column in self.table.T], 1)
        return rows + (predicted - inside)[:, None]


@dataclass(frozen=True)
class Predictive:
    """The calibrated distribution of one phenotype.

    Attributes:
        shape: Along the prediction.
        scores: (m,) sorted scores of the calibration ECGs: equally likely.
        ends: Scores of the interval's ends.
        tails: Share that the interval leaves out below and above.
        n: Calibration ECGs.
    """

    shape: Shape
    scores: np.ndarray
    ends: tuple[float, float]
    tails: tuple[float, float]
    n: int

    @classmethod
    def fit(
        cls,
        predicted: np.ndarray,
        measured: np.ndarray,
        patients: np.ndarray | None = None,
        disease: tuple[str, float] | None = None,
        spread: np.ndarray | None = None,
    ) -> "Predictive | None":
        """Calibrate on ECGs of patients that the prediction was not fitted on; None with fewer than 19 ECGs.

        The interval leaves out 10 % in all. Where the phenotype has a disease, the disease's side gets the smaller part
        of it, as far as needed to cover `DISEASE_COVER` of the diseased: equal parts miss mostly them, because least
        squares draws every prediction towards the mean.

        Args:
            predicted, measured: (n,). patients: (n,) whose; each ECG its own patient when None.
            disease: "below" or "above", and beyond which measured value.
            spread: (n,) error expected of each ECG, as a multiple of the usual one; None: all alike.
        """
        if len(predicted) < SMALLEST_CALIBRATION:
            return None
        patients = np.arange(len(predicted)) if patients is None else np.asarray(patients)
        scores = _cross_scores(predicted, measured, patients, spread)
        tails = _tails(scores, measured, disease)
        ends = _ends(np.sort(scores), tails)
        kept = np.sort(scores)
        if len(kept) > MOST_SCORES:
            kept = np.quantile(kept, (np.arange(MOST_SCORES) + 0.5) / MOST_SCORES)
        return cls(Shape.fit(predicted, measured, spread), kept, ends, tails, len(scores))

    def medians(self, predicted: np.ndarray, spread: np.ndarray | None = None) -> np.ndarray:
        """Values (n,) of predictions (n,) with spreads (n,)."""
        return self.shape.values(predicted, self._middle, spread)[:, 0]

    @cached_property
    def _middle(self) -> np.ndarray:
        """(1,) the median score, found once: every prediction asks for it."""
        return np.median(self.scores, keepdims=True)

    def intervals(self, predicted: np.ndarray, spread: np.ndarray | None = None) -> np.ndarray:
        """(n, 2) of predictions (n,) with spreads (n,)."""
        return self.shape.values(predicted, np.array(self.ends), spread)

    def samples(self, predicted: np.ndarray, spread: np.ndarray | None = None) -> np.ndarray:
        """(n, m) equally likely values of predictions (n,) with spreads (n,), each row sorted."""
        return self.shape.values(predicted, self.scores, spread)

    def all_of(
        self, predicted: np.ndarray, spread: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`medians`, `intervals` and `samples`, for which the table is looked up once."""
        values = self.shape.values(predicted, np.concatenate([self._middle, self.ends, self.scores]), spread)
        return values[:, 0], values[:, 1:3], values[:, 3:]

    def chance_at_most(self, predicted: np.ndarray, limit: float, spread: np.ndarray | None = None) -> np.ndarray:
        """(n,) chances that the measured value is at most `limit`."""
        scores = self.shape.scores(predicted, np.full(len(predicted), float(limit)), spread)
        return (np.searchsorted(self.scores, scores, side="right") + 0.5) / (len(self.scores) + 1)

    def tensors(self) -> dict[str, np.ndarray]:
        """Everything as named arrays."""
        return {
            "knots": self.shape.knots,
            "table": self.shape.table,
            "slopes": self.shape.slopes,
            "scores": self.scores,
            "ends": np.array([*self.ends, *self.tails, self.n]),
        }

    @classmethod
    def from_tensors(cls, named: dict[str, np.ndarray]) -> "Predictive":
        """The inverse of `tensors`."""
        low, high, below, above, n = (float(v) for v in named["ends"])
        shape = Shape(named["knots"], named["table"], named["slopes"])
        return cls(shape, named["scores"], (low, high), (below, above), int(n))


def is_lumpy(measured: np.ndarray) -> bool:
    """Whether one value makes up so much of (n,) that a width around the median means nothing: grades, scores."""
    return len(measured) > 0 and np.unique(measured, return_counts=True)[1].max() > LUMP * len(measured)


def standard_scores(shares: np.ndarray) -> np.ndarray:
    """Standard normal quantiles of shares 0 < s < 1."""
    from scipy.special import ndtri

    return ndtri(shares)


def _weighted_quantiles(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Quantiles (k, q) at `SHARES` of values (n,) under each row of weights (k, n)."""
    order = np.argsort(values, kind="stable")
    heap = np.cumsum(weights[:, order], 1)
    places = (heap - 0.5 * weights[:, order]) / heap[:, -1:]
    return np.stack([np.interp(SHARES, row, values[order]) for row in places])


def _gap(measured: np.ndarray) -> float:
    """How far neighbours in a table are kept apart."""
    return 1e-6 + 1e-4 * float(np.std(measured))


def _rising(table: np.ndarray) -> np.ndarray:
    """The nearest table (k, q) that never falls along the predictions; rows stay sorted."""
    from sklearn.isotonic import isotonic_regression

    return np.stack([isotonic_regression(column) for column in table.T], 1)


def _cross_scores(
    predicted: np.ndarray, measured: np.ndarray, patients: np.ndarray, spread: np.ndarray | None
) -> np.ndarray:
    """The score (n,) of every ECG under a shape fitted on the other patients' folds."""
    _, number = np.unique(patients, return_inverse=True)
    lot = np.random.default_rng(0).permutation(number.max() + 1) % FOLDS
    fold, scores = lot[number], np.empty(len(predicted))
    beside = len(SHARES) * _gap(measured)  # as far as a table holds one value apart
    for each in range(FOLDS):
        own = fold == each
        if own.any():
            others = ~own if (~own).sum() > 1 else own
            of_others, of_own = (None, None) if spread is None else (spread[others], spread[own])
            shape = Shape.fit(predicted[others], measured[others], of_others)
            low, high = (shape.scores(predicted[own], measured[own] + side, of_own) for side in (-beside, beside))
            scores[own] = _by_lot(low, high, np.random.default_rng([1, each]))
    return scores


def _by_lot(low: np.ndarray, high: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A score (n,) between two (n,), by lot where they are apart.

    A value that is measured again and again (no stenosis, normal wall motion) has many scores; were always the same one
    taken, half of all would not lie below the median (randomised probability integral transform: Czado, Gneiting, Held,
    Biometrics 2009).
    """
    from scipy.special import ndtr

    share = ndtr(low) + rng.random(len(low)) * (ndtr(high) - ndtr(low))
    drawn = standard_scores(np.clip(share, 1e-12, 1 - 1e-12))
    return np.where(high - low > APART, np.clip(drawn, low, high), (low + high) / 2)


def _ends(scores: np.ndarray, tails: tuple[float, float]) -> tuple[float, float]:
    """Order statistics of sorted scores (n,) that leave out at most `tails` of new ECGs, but never more than there is:
    the outermost calibration ECG at least counts."""
    n = len(scores)
    low = max(1, math.floor((n + 1) * tails[0] + 1e-9))
    high = min(n, math.ceil((n + 1) * (1 - tails[1]) - 1e-9))
    return float(scores[low - 1]), float(scores[high - 1])


def _tails(scores: np.ndarray, measured: np.ndarray, disease: tuple[str, float] | None) -> tuple[float, float]:
    """Shares left out below and above."""
    whole, half = 1 - LEVEL, (1 - LEVEL) / 2
    if disease is None:
        return half, half
    side, limit = disease
    ill = measured < limit if side == "below" else measured > limit
    if ill.sum() < FEWEST_OF_DISEASE:
        return half, half
    ordered, covers = np.sort(scores), []
    for part in (p for p in TAILS if (len(scores) + 1) * p >= 1 - 1e-9):
        tails = (part, whole - part) if side == "below" else (whole - part, part)
        low, high = _ends(ordered, tails)
        covers.append((float(np.mean((scores[ill] >= low) & (scores[ill] <= high))), tails))
        if covers[-1][0] >= DISEASE_COVER:
            return tails
    return max(covers)[1]
