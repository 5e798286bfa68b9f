"""Numbers as people write them in cells: decimal commas, signs for about, ranges and limits.

An ejection fraction that was seen and not measured is told as a range of five or ten per cent; its middle is taken, as
MIMIC-IV-ECHO's own rule has it (the mean of `lvef` and `lvef_upper`). A range of anything else is none of a
measurement, and a limit (>60) is no value: it is left out and counted.
"""

import math
import re

import pandas as pd

from echo2ecg_core.phenotypes import Phenotype

_DIGITS = r"(?:\d+(?:[.,]\d+)?|[.,]\d+)"
_NUMBER = re.compile(rf"[+-]?{_DIGITS}(?:[eE][+-]?\d+)?")
_RANGE = re.compile(rf"({_DIGITS})\s*%?\s*(?:-|–|—|to|bis|à|a)\s*({_DIGITS})\s*(%?)", re.IGNORECASE)
_LIMIT = re.compile(rf"(?:[<>]\s?=?|[≤≥])\s*{_DIGITS}(?:\s*[^\d\s.,+-]\S*)?")
_ABOUT = re.compile(r"(?:[~≈∼]|(?:ca|circa|approx|approximately|about|etwa|environ)\b\.?)\s*(?=[\d.,])", re.IGNORECASE)
_UNMEASURED = re.compile(
    r"(?:not|non|nicht|no) (?:\w+ )?(?:measured|measurable|assessed|assessable|done|available|obtained|evaluable|"
    r"performed|recorded|visuali[sz]ed|reported|messbar|gemessen|beurteilbar|bestimmbar|erhoben|darstellbar|"
    r"mesurée?s?|mesurable|évaluable|medid[oa]|valorable|valutabile|misurat[oa]|data|value)|"
    r"unable to (?:measure|assess|obtain)|[nk] ?\. ?[abdmv] ?\.?|n[dm]|k/a|keine angabe|entfällt|unk|unknown|unbekannt|"
    r"missing|fehlt|inadequate|insufficient|(?:poor|limited) (?:window|quality|images?|study)s?|\?+|tbd|pending|error|"
    r"#(?:n/a|nv|div/0!|value!|wert!|ref!|bezug!|num!|zahl!|name\?|null!)"
)
WIDEST = 0.1001  # of a range of LVEF: ten per cent


def is_unmeasured(text: str) -> bool:
    """Whether a cell says in words or by a spreadsheet's error that there is no value."""
    return _UNMEASURED.fullmatch(" ".join(text.casefold().split())) is not None


def number_in(text: str) -> float:
    """The number in a cell, NaN where it holds something else; a comma is a decimal comma, a % sign is left off."""
    text = text.strip().removesuffix("%").strip()
    return float(text.replace(",", ".")) if _NUMBER.fullmatch(text) else math.nan


def plain_numbers(cells: pd.Series, phenotype: Phenotype, where: str) -> tuple[pd.Series, tuple[str, ...]]:
    """The cells of a column of measurements with one number each where they hold one, and notes of what was done.

    Args:
        cells: Texts by row, none empty; what is no number, range or limit stays as it is.
        where: The column and its file in words, for the notes.
    """
    is_limit = cells.map(lambda text: _LIMIT.fullmatch(text) is not None).astype(bool)
    kept = cells[~is_limit]
    exact = kept.map(lambda text: _ABOUT.sub("", text, count=1) if _ABOUT.match(text) else text)
    single = exact.map(_middle) if phenotype.name == "lvef" else exact
    counts = {
        f"limits such as >60 in {where} are no values and were left out": int(is_limit.sum()),
        f"numbers in {where} that are marked as about (~) were read as they stand": int((exact != kept).sum()),
        f"ranges such as 55-60 in {where} were read as their middle": int((single != exact).sum()),
    }
    return single, tuple(f"{n} {what}." for what, n in counts.items() if n)


def _middle(text: str) -> str:
    """The middle of a range of at most ten per cent, any other text as it is."""
    found = _RANGE.fullmatch(text)
    if found is None:
        return text
    low, high = number_in(found[1]), number_in(found[2])
    whole = 1 if high <= 1 and not found[3] else 100
    return f"{(low + high) / 2:.6g}{found[3]}" if 0 < high - low <= WIDEST * whole else text
