"""The labels of an archive's `labels.csv`: phenotypes by field name, findings and facts of the visit, each optional,
each checked.

`wall_motion_scores` holds 17 scores parted by spaces ("1 1 2 … -", see findings.py), `rhythm` one of sinus, af, other,
`conduction` one of normal, lbbb, rbbb, other, `first_degree_block` true or false. A label that cannot be is refused
with its row and column before anything is stored: a wrong label would be learnt. Cells are never quoted: where columns
are shifted they hold names, and refusals stand in the logs of jobs.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from echo2ecg_core.errors import StoreError
from echo2ecg_core.findings import CONDUCTIONS, RHYTHMS, Findings, read_scores, score_index
from echo2ecg_core.phenotypes import PHENOTYPES
from echo2ecg_core.store.splits import PATIENT_SPLITS

INDEX = "wall_motion_score_index"
_YES_NO = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
_SEXES = {"male": "male", "female": "female", "m": "male", "f": "female"}
_OLDEST = 130  # years
_ROUNDING = 0.01  # of a wall motion score index that is written beside its scores


def phenotypes_of(row: Mapping[str, Any]) -> dict[str, float]:
    """Measured phenotypes of a row; the wall motion score index follows from the scores where it is not given.

    Raises:
        ValueError: a value that cannot be.
    """
    found = {name: _read(name, row) for name in PHENOTYPES if _is_given(row, name)}
    scores = findings_of(row).wall_motion_scores
    if scores and abs(found.setdefault(INDEX, score_index(scores)) - score_index(scores)) > _ROUNDING:
        raise ValueError(f"the mean of the wall motion scores of the row, which is {score_index(scores):.2f}")
    return found


def findings_of(row: Mapping[str, Any]) -> Findings:
    """Findings of a row.

    Raises:
        ValueError: a value that cannot be.
    """
    return Findings(**{name: _read(name, row) for name in _FINDINGS if _is_given(row, name)})


def visit_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """`sex` ("male", "female"), `age_years` and `split` of a row; None where it is not given.

    Raises:
        ValueError: a value that cannot be.
    """
    return {name: _read(name, row) if _is_given(row, name) else None for name in _VISIT}


def check_labels(studies: pd.DataFrame) -> None:
    """Read every label once.

    Raises:
        StoreError: one cannot be; names its row (the header is row 1) and column.
    """
    columns = [name for name in studies if name in _READERS]
    for number, row in enumerate(studies[columns].to_dict("records"), 2):
        try:
            for name in columns:
                if _is_given(row, name):
                    _read(name, row)
            name = INDEX  # every cell can be; it may still contradict the scores beside it
            phenotypes_of(row)
        except ValueError as error:
            raise StoreError(
                f"labels.csv holds a label that cannot be in row {number}, column {name}; expected: {error}.",
                "Correct the cell, or leave it empty, and import again.",
            ) from None


def _is_given(row: Mapping[str, Any], name: str) -> bool:
    return name in row and pd.notna(row[name]) and str(row[name]).strip() != ""


def _read(name: str, row: Mapping[str, Any]):
    return _READERS[name](row[name])


def _number(lowest: float, highest: float) -> Callable[[Any], float]:
    expected = (
        f"a number from {lowest:g} to {highest:g}" if math.isfinite(highest) else f"a number of at least {lowest:g}"
    )

    def read(value: Any) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not (lowest <= number <= highest and math.isfinite(number)):
            raise ValueError(expected)
        return number

    return read


def _one_of(known: Mapping[str, Any], expected: str = "") -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if str(value).strip().lower() not in known:
            raise ValueError(expected or ", ".join(known))
        return known[str(value).strip().lower()]

    return read


_FINDINGS: dict[str, Callable[[Any], Any]] = {
    "wall_motion_scores": lambda value: read_scores(str(value)),
    "rhythm": _one_of({word: word for word in RHYTHMS}),
    "conduction": _one_of({word: word for word in CONDUCTIONS}),
    "first_degree_block": _one_of(_YES_NO, "true or false"),
}
_VISIT: dict[str, Callable[[Any], Any]] = {
    "sex": _one_of(_SEXES),
    "age_years": _number(0, _OLDEST),
    "split": _one_of({word: word for word in PATIENT_SPLITS}),
}
_READERS = (
    _FINDINGS | _VISIT | {name: _number(phenotype.lowest, phenotype.highest) for name, phenotype in PHENOTYPES.items()}
)
