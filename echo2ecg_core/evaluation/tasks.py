"""What an ECG encoder is asked of the heart: LVEF classes, every phenotype's value, thresholds, structural heart
disease.

A target is NaN where the labels do not settle it. Three-valued logic keeps what they do settle: one finding makes a
combined disease certain though other labels are missing; its absence needs them all. A limit that depends on sex counts
without sex where both limits agree. Limits: ASE/EACVI 2015 (phenotypes.py) and EchoNext (Poterucha et al., Nature
2025).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from echo2ecg_core.phenotypes import ASE_2015, LVEF_CLASSES, PHENOTYPES

ECHONEXT = "EchoNext (Poterucha et al., Nature 2025)"
HEART_FAILURE = "Universal definition of heart failure 2021"
GRADES = {
    "as_grade": "aortic stenosis",
    "ar_grade": "aortic regurgitation",
    "mr_grade": "mitral regurgitation",
    "tr_grade": "tricuspid regurgitation",
}  # label columns: 0 none, 1 mild, 2 moderate, 3 severe
MODERATE = 2
Target = Callable[[pd.DataFrame], np.ndarray]


@dataclass(frozen=True)
class Task:
    """One question with a measured answer.

    Attributes:
        name: Its id.
        label: In words.
        kind: "binary", "multiclass" or "regression".
        unit: Of a value; "" for a class.
        definition: What counts, in one sentence.
        source: Where the limit comes from.
        phenotype: Field name of the phenotype it asks for; None for combinations.
        target: Labels (n rows; phenotype columns and `sex`) -> (n,) float: value, 0/1 or class number; NaN = not known.
        classes: Names of the classes of a multiclass task, in the order of their numbers.
    """

    name: str
    label: str
    kind: str
    unit: str
    definition: str
    source: str
    phenotype: str | None
    target: Target
    classes: tuple[str, ...] = ()


def column(labels: pd.DataFrame, name: str) -> np.ndarray:
    """A label column as (n,) float; all NaN where the table has none."""
    return labels[name].to_numpy(float) if name in labels else np.full(len(labels), np.nan)


def _where_known(values: np.ndarray, found: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(values), np.nan, found)


def _at_least(name: str, limit: float) -> Target:
    return lambda labels: _where_known(v := column(labels, name), v >= limit)


def _below(name: str, limit: float) -> Target:
    return lambda labels: _where_known(v := column(labels, name), v < limit)


def _lvef_at_most(limit: float) -> Target:
    return lambda labels: _where_known(v := column(labels, "lvef"), np.round(v) <= limit)


def _lvef_class(labels: pd.DataFrame) -> np.ndarray:
    """0 reduced (≤ 40), 1 mildly reduced (41 to 49), 2 preserved (≥ 50): LVEF in whole percent."""
    lvef = np.round(column(labels, "lvef"))
    return _where_known(lvef, (lvef > 40).astype(float) + (lvef >= 50))


def _above_reference(name: str) -> Target:
    """Above the upper reference limit of the patient's sex; without sex only where both limits agree."""
    limits = {sex: PHENOTYPES[name].reference[sex][1] for sex in ("male", "female")}

    def target(labels: pd.DataFrame) -> np.ndarray:
        values = column(labels, name)
        sex = labels["sex"].to_numpy(object) if "sex" in labels else np.full(len(labels), None)
        above = {key: _where_known(values, values > limit) for key, limit in limits.items()}
        either = np.where(above["male"] == above["female"], above["male"], np.nan)
        return np.where(sex == "male", above["male"], np.where(sex == "female", above["female"], either))

    return target


def _any_of(*targets: Target) -> Target:
    """1 where any finding is there, 0 where all are known to be absent."""

    def target(labels: pd.DataFrame) -> np.ndarray:
        found = np.stack([t(labels) for t in targets])  # (findings, n)
        return np.where((found == 1).any(axis=0), 1.0, np.where(np.isnan(found).any(axis=0), np.nan, 0.0))

    return target


_WALL = _any_of(_at_least("ivsd", 1.3), _at_least("lvpwd", 1.3))
_VALVE = _any_of(*(_at_least(grade, MODERATE) for grade in GRADES))
_RV = _below("tapse", 1.7)
_PRESSURE = _at_least("rvsp", 45)
_SHD = _any_of(_lvef_at_most(45), _WALL, _VALVE, _RV, _PRESSURE)


def _value(name: str) -> Task:
    p = PHENOTYPES[name]
    return Task(
        name,
        p.label,
        "regression",
        p.unit,
        f"{p.short} as measured on the echo{f', {p.unit}' if p.unit else ''}.",
        "Echo measurement",
        name,
        lambda labels: column(labels, name),
    )


def _binary(name: str, label: str, definition: str, source: str, phenotype: str | None, target: Target) -> Task:
    return Task(name, label, "binary", "", definition, source, phenotype, target)


def _enlarged(name: str, task: str, label: str) -> Task:
    p = PHENOTYPES[name]
    (_, male), (_, female) = p.reference["male"], p.reference["female"]
    limits = f"{male:g} {p.unit}" if male == female else f"{male:g} {p.unit} in men, {female:g} {p.unit} in women"
    return _binary(task, label, f"{p.short} above {limits}.", p.source, name, _above_reference(name))


def _grade(grade: str) -> Task:
    words = GRADES[grade]
    return _binary(
        words.replace(" ", "_"),
        words.capitalize(),
        f"Moderate or severe {words} (grade 2 or 3).",
        ECHONEXT,
        None,
        _at_least(grade, MODERATE),
    )


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            "lvef_class",
            "LVEF in three classes",
            "multiclass",
            "",
            "Reduced (at most 40 %), mildly reduced (41 to 49 %) or preserved (at least 50 %), by LVEF in whole "
            "percent.",
            HEART_FAILURE,
            "lvef",
            _lvef_class,
            LVEF_CLASSES,
        ),
        _binary(
            "lvef_le_40",
            "LVEF ≤ 40 %",
            "LVEF of at most 40 %, in whole percent.",
            HEART_FAILURE,
            "lvef",
            _lvef_at_most(40),
        ),
        _binary(
            "structural_heart_disease",
            "Structural heart disease",
            "Any of: LVEF at most 45 %, wall of at least 1.3 cm, moderate or worse valve disease, RV dysfunction "
            "(TAPSE below "
            "1.7 cm), RVSP of at least 45 mmHg.",
            ECHONEXT,
            None,
            _SHD,
        ),
        _enlarged("lv_mass_index", "lv_hypertrophy", "LV hypertrophy"),
        _binary(
            "wall_ge_1_3", "LV wall ≥ 1.3 cm", "Septum or posterior wall of at least 1.3 cm.", ECHONEXT, "ivsd", _WALL
        ),
        _enlarged("lvidd", "lv_dilatation", "LV dilatation"),
        _enlarged("lvids", "lvids_enlarged", "Enlarged LV internal diameter in systole"),
        _enlarged("lvedv", "lvedv_enlarged", "Enlarged LV end-diastolic volume"),
        _enlarged("lvesv", "lvesv_enlarged", "Enlarged LV end-systolic volume"),
        _enlarged("lavi", "la_enlargement", "LA enlargement"),
        _enlarged("ra_area", "ra_enlargement", "RA enlargement"),
        _enlarged("rv_basal_diameter", "rv_dilatation", "RV dilatation"),
        _binary("rv_dysfunction", "RV dysfunction", "TAPSE below 1.7 cm.", ASE_2015, "tapse", _RV),
        _binary(
            "rvsp_ge_45", "RVSP ≥ 45 mmHg", "RV systolic pressure of at least 45 mmHg.", ECHONEXT, "rvsp", _PRESSURE
        ),
        *(_grade(grade) for grade in GRADES),
        *(_value(name) for name, p in PHENOTYPES.items() if p.kind == "number"),  # grades are asked for as classes
    )
}
