"""What test patients say of a model: errors beside those of a random encoder and of the median, with intervals.

All intervals are 95 % patient bootstraps (1,000 resamples): patients are drawn, not ECGs, because ECGs of one patient
are not independent. This is the short form that a manifest keeps; reports/evaluate.py writes the long one.
"""

from collections.abc import Callable

import numpy as np

from echo2ecg_core.evaluation.phenotypes import (
    bootstrap,
    interval,
    share_interval,
    weighted_auroc,
    weighted_regression,
)
from echo2ecg_core.evaluation.tasks import MODERATE
from echo2ecg_core.models.predictive import FEWEST_OF_DISEASE, LEVEL
from echo2ecg_core.models.readouts import LabelledVectors, Readouts
from echo2ecg_core.phenotypes import PHENOTYPES, REDUCED_AT_MOST, disease_limit, disease_words

FEWEST = 20  # test ECGs, and of a class, that a score needs


def test_report(
    readouts: Readouts,
    test: LabelledVectors,
    train_labels: dict[str, np.ndarray],
    random: tuple[Readouts, LabelledVectors] | None = None,
) -> dict:
    """Everything the manifest tells of the test patients.

    Args:
        readouts: Of the model. test: The test ECGs with the model's embedding.
        train_labels: Phenotype -> values of training patients, for the median predictor.
        random: The same of a randomly initialised encoder of the same size; None leaves that comparison out.
    """
    seen = np.isfinite(test.outside).all(1)
    shares = readouts.outside.shares(test.outside[seen], test.embedding[seen])
    phenotypes: dict[str, dict] = {}
    report = {
        "ecgs": len(test.patients),
        "patients": int(len(np.unique(test.patients))),
        "phenotypes": phenotypes,
        "share_outside": round(shares["share"], 4),
        "share_outside_by": {name: round(share, 4) for name, share in shares.items() if name != "share"},
    }
    for name in readouts.heads:
        values = test.labels.get(name, np.full(len(test.patients), np.nan))
        if (known := np.isfinite(values)).any():
            told = {"": (readouts, test.embedding[known])}
            if random is not None:
                told["random_"] = (random[0], random[1].embedding[known])
            median = float(np.nanmedian(train_labels[name]))
            entry = _scores(name, told, median, values[known], test.patients[known])
            phenotypes[name] = entry | _cover(readouts, name, test, known)
    return report


def _scores(
    name: str, told: dict[str, tuple[Readouts, np.ndarray]], median: float, measured: np.ndarray, patients: np.ndarray
) -> dict:
    """n, R² and MAE of the values and AUROC of the chances that pages show, of every model (readouts, embedding); None
    where the test ECGs are too few to tell."""
    guesses = {key: readouts.values(name, embedding) for key, (readouts, embedding) in told.items()}

    def error_of(guess: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        return lambda weights: weighted_regression(guess, measured, weights)["mae"]

    entry: dict[str, float | list[float] | None] = {"n": len(measured), "r2": None, "r2_interval": None}
    if len(measured) >= FEWEST and np.ptp(measured) > 0:
        entry["r2"], entry["r2_interval"] = with_interval(
            lambda w: weighted_regression(guesses[""], measured, w)["r2"], patients
        )
    for key, guess in (guesses | {"median_": np.full(len(measured), median)}).items():
        entry[f"{key}mae"], entry[f"{key}mae_interval"] = with_interval(error_of(guess), patients)
    for key, (readouts, embedding) in told.items():
        if name == "lvef":
            at_most = _chances(readouts, name, embedding, REDUCED_AT_MOST)
            found = _auroc(at_most, measured <= REDUCED_AT_MOST, patients)
            entry[f"{key}auroc_reduced"], entry[f"{key}auroc_reduced_interval"] = found
        if PHENOTYPES[name].kind == "grade":
            found = _auroc(-_chances(readouts, name, embedding, MODERATE - 0.5), measured >= MODERATE, patients)
            entry[f"{key}auroc_moderate"], entry[f"{key}auroc_moderate_interval"] = found
    return entry


def _chances(readouts: Readouts, name: str, embeddings: np.ndarray, limit: float) -> np.ndarray:
    """Chances (n,) of a value at most `limit`; without calibration what stands in the same order, the values."""
    chances = readouts.chances_at_most(name, embeddings, limit)
    return -readouts.values(name, embeddings) if chances is None else chances


def _cover(readouts: Readouts, name: str, test: LabelledVectors, known: np.ndarray) -> dict:
    """What the interval held, of all and of the diseased test ECGs; empty without interval."""
    found = interval_coverage(readouts, name, test.embedding[known], test.labels[name][known], test.patients[known])
    if found is None:
        return {}
    entry = {"coverage": round(found["coverage"], 4), "coverage_interval": _rounded(found["low"], found["high"])}
    if found["disease_n"] >= FEWEST_OF_DISEASE:
        entry |= {
            "disease": found["disease"],
            "disease_ecgs": found["disease_n"],
            "coverage_disease": round(found["disease_coverage"], 4),
            "coverage_disease_interval": _rounded(found["disease_low"], found["disease_high"]),
        }
    return entry


def _rounded(*limits: float) -> list[float]:
    return [round(float(limit), 4) for limit in limits]


def _auroc(scores: np.ndarray, positive: np.ndarray, patients: np.ndarray) -> tuple[float | None, list[float] | None]:
    """With its interval; None where a class is missing."""
    if positive.all() or not positive.any():
        return None, None
    return with_interval(lambda w: weighted_auroc(scores, positive, w), patients)


def interval_coverage(
    readouts: Readouts, name: str, embeddings: np.ndarray, measured: np.ndarray, patients: np.ndarray
) -> dict | None:
    """How many measured values lie inside their intervals; None where the readout has no interval.

    Args:
        readouts, name: The head.
        embeddings, measured, patients: (n, d), (n,) without NaN, (n,).

    Returns:
        phenotype, coverage with its 95 % patient-bootstrap interval low and high, n, level, median_width; the same of
        the diseased alone: disease (words), disease_n, disease_coverage, disease_low, disease_high (None without any).
    """
    limits = readouts.intervals(name, embeddings)  # (n, 2)
    if limits is None:
        return None
    inside = ((measured >= limits[:, 0]) & (measured <= limits[:, 1])).astype(float)
    ill = is_diseased(name, measured)
    cover, low, high = _share(inside, patients)
    ill_cover, ill_low, ill_high = _share(inside[ill], patients[ill])
    return {
        "phenotype": name,
        "coverage": cover,
        "low": low,
        "high": high,
        "n": len(measured),
        "level": LEVEL,
        "median_width": float(np.median(limits[:, 1] - limits[:, 0])),
        "disease": disease_words(name),
        "disease_n": int(ill.sum()),
        "disease_coverage": ill_cover,
        "disease_low": ill_low,
        "disease_high": ill_high,
    }


def error_of(
    readouts: Readouts, name: str, embeddings: np.ndarray, measured: np.ndarray, patients: np.ndarray
) -> dict[str, float]:
    """Mean absolute error of the values that pages show: `mae` with its 95 % patient-bootstrap interval `mae_low` and
    `mae_high`; empty where too few patients tell it.

    Args:
        readouts, name: The head.
        embeddings, measured, patients: (n, d), (n,) without NaN, (n,).
    """
    guess = readouts.values(name, embeddings)
    value, ends = with_interval(lambda weights: weighted_regression(guess, measured, weights)["mae"], patients)
    return {} if value is None or ends is None else {"mae": value, "mae_low": ends[0], "mae_high": ends[1]}


def is_diseased(name: str, measured: np.ndarray) -> np.ndarray:
    """(n,) bool: measured values beyond the `disease_limit` of a phenotype; nobody where it has none."""
    found = disease_limit(name)
    if found is None:
        return np.zeros(len(measured), bool)
    side, limit = found
    return measured < limit if side == "below" else measured > limit


def _share(inside: np.ndarray, patients: np.ndarray) -> tuple[float | None, float | None, float | None]:
    """Mean of (n,) with its 95 % interval (`share_interval`)."""
    if not len(inside):
        return None, None, None
    share, resampled = float(inside.mean()), bootstrap(lambda w: {"": w @ inside / w.sum(axis=1)}, patients)[""]
    return share, *share_interval(share, resampled, patients)


def with_interval(
    metric: Callable[[np.ndarray], np.ndarray], patients: np.ndarray
) -> tuple[float, list[float]] | tuple[None, None]:
    """A metric of weights (w, n) -> (w,) with its 95 % patient-bootstrap interval; patients (n,).

    None, None where it cannot be told: too few patients of a class.
    """
    value = float(metric(np.ones((1, len(patients))))[0])
    limits = interval(bootstrap(lambda weights: {"": metric(weights)}, patients)[""], value=value)
    if not np.isfinite([value, *limits]).all():
        return None, None
    return round(value, 4), _rounded(*limits)
