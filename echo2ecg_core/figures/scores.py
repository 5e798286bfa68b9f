"""How each score of an evaluation is called and written: decimals, per cent, and never without its interval.

A mean error has one digit more than the phenotype it is an error of; AUROC and its kin have two.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from echo2ecg_core.figures.notation import DASH, MINUS, MISSING, THIN, interval, number
from echo2ecg_core.phenotypes import PHENOTYPES


@dataclass(frozen=True)
class ScoreKind:
    """One kind of score: its name, digits after the point, and whether a share is written in per cent."""

    label: str
    decimals: int = 2
    percent: bool = False


SCORES: dict[str, ScoreKind] = {
    "auroc": ScoreKind("AUROC"),
    "auprc": ScoreKind("AUPRC"),
    "accuracy": ScoreKind("Accuracy"),
    "balanced_accuracy": ScoreKind("Balanced accuracy"),
    "f1": ScoreKind("F1"),
    "precision": ScoreKind("Precision"),
    "recall": ScoreKind("Recall"),
    "sensitivity_at_90_specificity": ScoreKind(f"Sensitivity at 90{THIN}% specificity", 0, True),
    "calibration_error": ScoreKind("Calibration error", 3),
    "calibration_slope": ScoreKind("Calibration slope"),
    "calibration_intercept": ScoreKind("Calibration intercept"),
    "mae": ScoreKind("Mean absolute error", 1),
    "rmse": ScoreKind("Root mean square error", 1),
    "r2": ScoreKind("R²"),
    "coverage": ScoreKind("Coverage", 1, True),
    "map": ScoreKind("Mean average precision"),
    "median_rank": ScoreKind("Median rank", 0),
    "mean_rank": ScoreKind("Mean rank", 0),
    "alignment": ScoreKind("Alignment"),
}
ERRORS = ("mae", "rmse")


def score_label(metric: str) -> str:
    """Name of a score in words: "AUROC", "Recall at 10"."""
    if metric in SCORES:
        return SCORES[metric].label
    stem, _, k = metric.partition("@")
    return f"{stem.capitalize()} at {k}" if k else metric.replace("_", " ").capitalize()


def score_decimals(metric: str, phenotype: str | None = None) -> int:
    """Digits after the point; an error follows its phenotype."""
    if metric in ERRORS and phenotype in PHENOTYPES:
        return PHENOTYPES[phenotype].decimals + 1
    return SCORES.get(metric, ScoreKind("")).decimals


def _scaled(value: float | None, metric: str) -> float | None:
    return value if value is None else value * (100 if SCORES.get(metric, ScoreKind("")).percent else 1)


def score_value(value: float | None, metric: str, phenotype: str | None = None) -> str:
    """ "0.91", "74 %", an error of LVEF "6.4", a median between two ranks "2.5"."""
    is_between = metric == "median_rank" and value is not None and value % 1 == 0.5
    text = number(_scaled(value, metric), 1 if is_between else score_decimals(metric, phenotype))
    return text if text == MISSING or not SCORES.get(metric, ScoreKind("")).percent else f"{text}{THIN}%"


def score_interval(low: float | None, high: float | None, metric: str, phenotype: str | None = None) -> str:
    """ "0.90–0.92", "71–77 %"; a dash where the bootstrap gave none."""
    if low is None or high is None or low != low or high != high:
        return MISSING
    text = interval(_scaled(low, metric), _scaled(high, metric), score_decimals(metric, phenotype))
    return f"{text}{THIN}%" if SCORES.get(metric, ScoreKind("")).percent else text


def score_with_interval(triple: list | None, metric: str, phenotype: str | None = None) -> str:
    """ "0.91 (0.90–0.92)"; a dash when the score is missing."""
    if not triple or triple[0] is None:
        return MISSING
    return f"{score_value(triple[0], metric, phenotype)} ({score_interval(triple[1], triple[2], metric, phenotype)})"


def difference_with_interval(triple: Sequence[float | None] | None, metric: str, phenotype: str | None = None) -> str:
    """ "+0.05 (0.04 to 0.06)": always signed, ends joined by "to" because they may be negative."""
    if not triple or triple[0] is None:
        return MISSING
    decimals = score_decimals(metric, phenotype)
    value = number(triple[0], decimals)
    sign = "" if value.startswith(MINUS) or float(value) == 0 else "+"
    low, high = (number(end, decimals) for end in triple[1:])
    return f"{sign}{value} ({low} to {high})"


def count(n: int | None) -> str:
    """A number of patients with a comma at the thousands: "5,004"."""
    return MISSING if n is None else f"{n:,}"


def parameters(n: int | None) -> str:
    """A number of network parameters: "5.3 M", "18 k", or a dash for what is no network."""
    if not n:
        return DASH
    for scale, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if n >= scale:
            return f"{n / scale:.{0 if n >= 100 * scale else 1}f}{THIN}{letter}"
    return str(n)


def size_beside(n: int, other: int) -> str:
    """How a number of parameters compares with another: "18× larger", "3.2× smaller", "same size"."""
    ratio = max(n, other) / min(n, other)
    if ratio < 1.05:
        return "same size"
    return f"{number(ratio, 0 if ratio >= 9.95 else 1)}× {'larger' if n > other else 'smaller'}"
