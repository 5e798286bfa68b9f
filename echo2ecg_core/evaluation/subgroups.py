"""The same predictions judged in groups of patients: sex, age, rhythm, conduction, device, cohort; each cohort also on
its own."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from echo2ecg_core.evaluation.rows import FEWEST, MAIN_METRIC, Result, Row, Split, patients_told, row_of
from echo2ecg_core.evaluation.tasks import TASKS

AGE_BANDS = ((0, 50, "Under 50 y"), (50, 70, "50 to 69 y"), (70, np.inf, "70 y and over"))
WIDE_QRS_MS = 120.0
IRREGULAR_MS = 60.0  # typical change from beat to beat; sinus arrhythmia stays below in most


def subgroup_results(
    row: Row, test: Split, groups: pd.DataFrame, *, n_resamples: int = 1000, level: float = 0.95
) -> dict[str, list[dict]]:
    """Main metric of a row in every group that has enough patients of each class.

    Args:
        row: Predictions for `test`.
        test: The test ECGs.
        groups: n rows, a column a grouping ("sex", "age", …) with the level in words; None where not known.
        n_resamples, level: Of the patient bootstrap.

    Returns:
        {task: [{"group", "level", "patients", "positives" (patients), "metric", "value": [value, low, high]}]}.
    """
    found: dict[str, list[dict]] = {}
    for task in row.results:
        target, metric, found[task] = test.targets[task], MAIN_METRIC[TASKS[task].kind], []
        for group in groups:
            for name in sorted(groups[group].dropna().unique(), key=_rank):
                inside = (groups[group] == name).to_numpy() & np.isfinite(target)
                if patients_told(task, target[inside], np.asarray(test.patients)[inside]).min() < FEWEST:
                    continue
                result = _inside(row, task, test, inside, n_resamples, level)
                found[task].append(
                    {
                        "group": group,
                        "level": name,
                        **patient_counts(task, target[inside], test.patients[inside]),
                        "metric": metric,
                        "value": list(result[metric]),
                    }
                )
    return found


def cohort_results(
    rows: Sequence[Row], test: Split, cohorts: np.ndarray, *, n_resamples: int = 1000, level: float = 0.95
) -> dict[str, list[dict]]:
    """Every score of every row on each cohort alone, where it has enough patients of each class; {} for one cohort,
    which is the whole.

    Args:
        rows: Predictions for `test`, of the same tasks.
        test: The test ECGs.
        cohorts: (n,) cohort of each test ECG.
        n_resamples, level: Of the patient bootstrap.

    Returns:
        {task: [{"cohort", "patients", "positives" (patients), "results": {row key: {metric: [value, low, high]}}}]}.
    """
    names = sorted(set(cohorts))
    found: dict[str, list[dict]] = {}
    for task in rows[0].results if len(names) > 1 else ():
        target, found[task] = test.targets[task], []
        for name in names:
            inside = (cohorts == name) & np.isfinite(target)
            if patients_told(task, target[inside], np.asarray(test.patients)[inside]).min() >= FEWEST:
                results = {row.key: _inside(row, task, test, inside, n_resamples, level) for row in rows}
                found[task].append(
                    {"cohort": name, **patient_counts(task, target[inside], test.patients[inside]), "results": results}
                )
    return found


def _inside(row: Row, task: str, test: Split, inside: np.ndarray, n_resamples: int, level: float) -> Result:
    """Scores of a row on the test ECGs that are inside (n,)."""
    part = Split(test.vectors[inside], test.labels[inside], test.patients[inside])
    return row_of(
        row.encoder, row.readout, {task: row.predictions[task][inside]}, part, n_resamples=n_resamples, level=level
    ).results[task]


def patient_counts(task: str, target: np.ndarray, patients: np.ndarray) -> dict[str, int | None]:
    """`patients` with a known target (n,), and `positives` among them for a binary task (None otherwise)."""
    known = np.isfinite(target)
    positives = len(set(patients[target == 1])) if TASKS[task].kind == "binary" else None
    return {"patients": len(set(patients[known])), "positives": positives}


def age_band(age_years: float | None) -> str | None:
    """The band an age belongs to, in words."""
    return next((words for low, high, words in AGE_BANDS if age_years is not None and low <= age_years < high), None)


def rhythm_words(statements: tuple[str, ...], p_present: float, rr_change_ms: float) -> str | None:
    """Sinus rhythm or atrial fibrillation by the device's statements, else by P waves (1 there, 0 none, NaN not to be
    told) and regularity; None when unclear."""
    text = " ".join(statements).lower()
    if "atrial fibrillation" in text:
        return "Atrial fibrillation"
    if "sinus" in text or p_present == 1:
        return "Sinus rhythm"
    return "Atrial fibrillation" if p_present == 0 and rr_change_ms > IRREGULAR_MS else None


def conduction_words(qrs_ms: float) -> str | None:
    """Narrow or wide QRS complex; None where it could not be measured."""
    if not np.isfinite(qrs_ms):
        return None
    return "QRS 120 ms and over" if qrs_ms >= WIDE_QRS_MS else "QRS under 120 ms"


def _rank(level: str) -> tuple[int, str]:
    words = [words for _, _, words in AGE_BANDS]
    return (words.index(level) if level in words else 0, level)
