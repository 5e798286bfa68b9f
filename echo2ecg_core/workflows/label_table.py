"""The labels of an archive's `labels.csv`: phenotypes by field name and findings, each optional, each checked.

`wall_motion_scores` holds 17 scores parted by spaces ("1 1 2 … -", see findings.py), `rhythm` one of sinus, af, other,
`conduction` one of normal, lbbb, rbbb, other, `first_degree_block` true or false. A label that cannot be is refused with its row
and column before anything is stored: a wrong label would be learnt.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from echo2ecg_core.errors import StoreError
from echo2ecg_core.findings import CONDUCTIONS, RHYTHMS, SCORES, Findings, read_scores, score_index
from echo2ecg_core.phenotypes import PHENOTYPES

INDEX = "wall_motion_score_index"
_YES_NO = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
_LONGEST = 24  # characters of a wrong cell that are quoted


def phenotypes_of(row: Mapping[str, Any]) -> dict[str, float]:
    """Measured phenotypes of a row; the wall motion score index follows from the scores where it is not given.

    Raises:
        ValueError: a value that cannot be.
    """
    found = {name: _read(name, row) for name in PHENOTYPES if _is_given(row, name)}
    scores = findings_of(row).wall_motion_scores
    if scores and INDEX not in found and score_index(scores) is not None:
        found[INDEX] = score_index(scores)
    return found


def findings_of(row: Mapping[str, Any]) -> Findings:
    """Findings of a row.

    Raises:
        ValueError: a value that cannot be.
    """
    return Findings(**{name: _read(name, row) for name in _FINDINGS if _is_given(row, name)})


def check_labels(studies: pd.DataFrame) -> None:
    """Read every label once.

    Raises:
        StoreError: one cannot be; names its row (the header is row 1) and column.
    """
    columns = [name for name in studies if name in PHENOTYPES or name in _READERS]
    for number, row in enumerate(studies[columns].to_dict("records"), 2):
        for name in columns:
            try:
                if _is_given(row, name):
                    _read(name, row)
            except ValueError as error:
                raise StoreError(f"labels.csv holds {str(row[name])[:_LONGEST]!r} in row {number}, column {name}; expected are {error}.",
                                 "Correct the cell, or leave it empty, and import again.") from error


def _is_given(row: Mapping[str, Any], name: str) -> bool:
    return name in row and pd.notna(row[name]) and str(row[name]).strip() != ""


def _read(name: str, row: Mapping[str, Any]):
    return _READERS.get(name, _number)(row[name])


def _number(value: Any) -> float:
    try:
        return float(value)
    except ValueError:
        raise ValueError("numbers") from None


def _index(value: Any) -> float:
    index = _number(value)
    if not min(SCORES) <= index <= max(SCORES):
        raise ValueError(f"numbers from {min(SCORES)} to {max(SCORES)}")
    return index


def _one_of(known: Mapping[str, Any]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if str(value).strip().lower() not in known:
            raise ValueError(", ".join(known))
        return str(value).strip().lower()

    return read


def _yes_or_no(value: Any) -> bool:
    if str(value).strip().lower() not in _YES_NO:
        raise ValueError("true or false")
    return _YES_NO[str(value).strip().lower()]


_FINDINGS: dict[str, Callable[[Any], Any]] = {
    "wall_motion_scores": lambda value: read_scores(str(value)), "rhythm": _one_of(RHYTHMS), "conduction": _one_of(CONDUCTIONS),
    "first_degree_block": _yes_or_no,
}
_READERS = _FINDINGS | {INDEX: _index}
