"""Predicted against measured: what the hits agree on, and where one study's values lie against the prediction.

A measured value is judged against the prediction's interval only; the words never say more than inside, above or below.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from echo2ecg_core.phenotypes import PHENOTYPES, Phenotype


@dataclass(frozen=True)
class Agreement:
    """One phenotype over the hits: median and quartiles of the measured values, beside the prediction (None: not
    predicted).

    `predicted` of a grade is the chance of moderate or worse.
    """

    phenotype: Phenotype
    n_measured: int
    median: float
    lower_quartile: float
    upper_quartile: float
    predicted: float | None


@dataclass(frozen=True)
class Verdict:
    """One phenotype of one study: predicted value and interval, measured value, difference and the verdict in words."""

    phenotype: Phenotype
    predicted: float | None
    interval: tuple[float, float] | None
    measured: float | None
    difference: float | None
    words: str


def agreement(measured: list[dict[str, float]], predicted: list[dict]) -> list[Agreement]:
    """What several studies have in common.

    Args:
        measured: Phenotypes by field name, one dict a study.
        predicted: `phenotypes` of a prediction's report.

    Returns:
        One row a phenotype that at least one study has, in the order of the phenotype table.
    """
    estimates = {row["name"]: row["value"] for row in predicted}
    rows = []
    for name, phenotype in PHENOTYPES.items():
        values = [study[name] for study in measured if name in study]
        if values:
            between: Literal["inverted_cdf", "linear"]  # no grade between two grades
            between = "inverted_cdf" if phenotype.kind == "grade" else "linear"
            low, middle, high = (float(v) for v in np.percentile(values, [25, 50, 75], method=between))
            rows.append(Agreement(phenotype, len(values), middle, low, high, estimates.get(name)))
    return rows


def verdicts(measured: dict[str, float], predicted: list[dict]) -> list[Verdict]:
    """One study against the prediction; one row a phenotype that is predicted or measured."""
    estimates = {row["name"]: row for row in predicted}
    rows = []
    for name, phenotype in PHENOTYPES.items():
        if name in estimates or name in measured:
            rows.append(_verdict(phenotype, estimates.get(name, {}), measured.get(name)))
    return rows


def difference(phenotype: Phenotype, measured: float | None, predicted: float | None) -> float | None:
    """Measured minus predicted as shown: both are rounded first, so that the three numbers of a row add up.

    None for a grade: its prediction is a chance.
    """
    if measured is None or predicted is None or phenotype.kind == "grade":
        return None
    return round(round(measured, phenotype.decimals) - round(predicted, phenotype.decimals), phenotype.decimals)


def _verdict(phenotype: Phenotype, estimate: dict, measured: float | None) -> Verdict:
    value, interval = estimate.get("value"), estimate.get("interval")
    if measured is None:
        words = "not measured in this study"
    elif value is None or interval is None:
        words = estimate.get("reason") or estimate.get("interval_reason") or "not predicted from the ECG"
    else:
        low, high = (round(end, phenotype.decimals) for end in interval)
        shown = round(measured, phenotype.decimals)
        words = "below the interval" if shown < low else "above the interval" if shown > high else "inside the interval"
    return Verdict(
        phenotype, value, tuple(interval) if interval else None, measured, difference(phenotype, measured, value), words
    )
