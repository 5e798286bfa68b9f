"""Severities of valve disease as laboratories write them: words, 1+ to 4+, I to IV, grade 2, II/IV.

Between two grades the milder counts, everywhere (TMED-2's authors count mild-to-moderate stenosis as early, as mild);
traces are none: so little regurgitation is found in healthy people (ASE 2017: Zoghbi et al., J Am Soc Echocardiogr
30:303-371). Steps of four are those of COAPT (Stone et al., N Engl J Med 379:2307-2318, 2018): 1+ mild, 2+ moderate, 3+
moderate to severe, 4+ severe; those of five are for the tricuspid valve (Hahn and Zamorano, Eur Heart J Cardiovasc
Imaging 18:1342-1343, 2017): 3+ severe, 4+ massive, 5+ torrential. A third step is refused where the column does not
tell how many there are.
"""

import re
from dataclasses import dataclass

import pandas as pd

from echo2ecg_core.intake.numbers import number_in
from echo2ecg_core.phenotypes import GRADES

_WORDS = {
    "none": "none no not absent normal nil keine kein nein aucune ninguna nessuna",
    "trace": "trace traces trivial minimal physiologic physiological spur spuren physiologisch traza",
    "mild": "mild leicht leichtgradig gering geringgradig légère leve lieve",
    "moderate": "moderate mod mittel mittelgradig mäßig modérée moderada moderata",
    "severe": "severe sev schwer schwergradig hochgradig sévère severa grave massive torrential critical",
}
_GRADE_OF = {word: max(0, i - 1) for i, words in enumerate(_WORDS.values()) for word in words.casefold().split()}
_TRACES = set(_WORDS["trace"].casefold().split())
_ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5}
_REGURGITATION = "regurgitation regurg insufficiency insuffizienz insuffisance insuficiencia"
_NAMED = {
    "as_grade": "as aortic stenosis stenose sténose estenosis aortenstenose",
    "ar_grade": f"ar ai aortic aorteninsuffizienz {_REGURGITATION}",
    "mr_grade": f"mr mi mitral mitralinsuffizienz {_REGURGITATION}",
    "tr_grade": f"tr ti tricuspid trikuspidalinsuffizienz {_REGURGITATION}",
}
_RANGE = re.compile(r"\s*(?:[-\s]\s*(?:to|bis|à|a)[-\s]|[-–—/])\s*")
_MARKED = re.compile(r"[+°]|grad|\b(?:i{1,3}|iv|v)\b")  # a step and not one of our own numbers
_STEP = re.compile(r"(?:grade?|grado)?\s*([0-5]|i{1,3}|iv|v)\s*([+°])?")
_OF = re.compile(r"(?:grade?|grado)?\s*([0-5]|i{1,3}|iv|v)\s*\+?\s*(?:/|of|out of|von)\s*([345]|iii|iv|v)\s*\+?")
_EXPECTED = f"a number from 0 to {len(GRADES) - 1}, or {', '.join(GRADES)}"
_THIRD = (
    f"{', '.join(GRADES)}, or the number of steps (3/4, III/III): a third step is moderate to severe where there are "
    "four, and severe where there are three or, of the tricuspid valve, five"
)


@dataclass(frozen=True)
class Grades:
    """A column of severities read: places in `GRADES` by row, what was expected in rows that were not, and notes."""

    values: dict[int, float]
    bad: dict[int, str]
    notes: tuple[str, ...]


@dataclass
class _Column:
    """What the cells of a column tell about one another: its name, how many steps there are, whether any is one."""

    name: str
    steps: int | None
    has_steps: bool
    milder: int = 0
    traces: int = 0
    numbers: int = 0


def read_grades(cells: pd.Series, name: str, where: str) -> Grades:
    """The grades in a column.

    Args:
        cells: Texts by row, none empty; "none" is a grade where the column holds another word and else no value.
        name: Field name of the valve disease.
        where: The column and its file in words, for the notes.
    """
    plain = cells.map(_plain).astype(object)
    is_none = plain == "none"
    in_words = any(set(re.findall(r"[^\W\d]+", text)) & (_GRADE_OF.keys() - {"none"}) for text in plain[~is_none])
    plain = plain if in_words else plain[~is_none]
    column = _column(plain, name)
    values, bad = {}, {}
    for row, text in plain.items():
        try:
            values[row] = float(_grade(text, column))
        except ValueError as error:
            bad[row] = str(error)
    return Grades(values, bad, _notes(column, where, int(is_none.sum()) if in_words else 0))


def grade_in_words(text: str, name: str) -> float | None:
    """The grade that one cell names without a number of our own; None for anything else."""
    try:
        return None if pd.notna(number_in(text)) else float(_grade(_plain(text), _Column(name, None, False)))
    except ValueError:
        return None


def _plain(text: str) -> str:
    return re.sub(r"[\s_]+", " ", text.casefold()).strip()


def _notes(column: _Column, where: str, nones: int) -> tuple[str, ...]:
    words = ", ".join(f"{i} {word}" for i, word in enumerate(GRADES))
    last = {None: "4 severe", 3: "3 severe", 4: "3 moderate to severe, 4 severe", 5: "3 to 5 severe"}[column.steps]
    told = {
        f"Numbers in {where} were read as {words}.": column.numbers,
        f"Steps in {where} (1+, II, grade 2) were read as 1 mild, 2 moderate, {last}.": column.has_steps,
        f"{column.milder} in {where} lie between two grades (mild to moderate); the milder was taken.": column.milder,
        f"{column.traces} in {where} say trace, trivial or physiologic; they were read as none.": column.traces,
        f'{nones} in {where} say "none", which was read as the grade and not as a missing value.': nones,
    }
    return tuple(note for note, is_so in told.items() if is_so)


def _column(plain: pd.Series, name: str) -> _Column:
    """How many steps a column has: told by a cell (II/IV), by the highest one, or by the way they are written."""
    told, highest, plus = set(), 0, False
    for text in plain:
        if of := _OF.fullmatch(text):
            told |= {_number(of[2])} if _number(of[2]) - _number(of[1]) != 1 else set()  # 2/3 may be a range
        for part in _RANGE.split(text) if _MARKED.search(text) and not of else ():
            if step := _STEP.fullmatch(part):
                plus, highest = plus or step[2] == "+", max(highest, _number(step[1]))
    has_steps = bool(told) or highest > 0
    if len(told) == 1 and highest <= min(told):
        return _Column(name, min(told), has_steps)
    steps = 5 if highest == 5 and name == "tr_grade" else None
    if steps is None and name in ("ar_grade", "mr_grade") and (plus or highest == 4):
        steps = 4
    return _Column(name, steps, has_steps)


def _number(text: str) -> int:
    return _ROMAN.get(text) or int(text)


def _grade(text: str, column: _Column) -> int:
    """The place in `GRADES` of one cell.

    Raises:
        ValueError: it holds none, or one that may be two; the message is what was expected.
    """
    if pd.notna(value := number_in(text)):
        if not 0 <= value < len(GRADES) or value % 0.5:
            raise ValueError(_EXPECTED)
        if value == 3 and column.has_steps:
            raise ValueError(_THIRD)
        column.numbers += 1
        column.milder += value % 1 > 0
        return int(value)
    if of := _OF.fullmatch(text):
        return _of_step(_number(of[1]), _number(of[2]), column)
    parts = [_part(part, column, _MARKED.search(text) is not None) for part in _RANGE.split(text)]
    grades = [grade for grade, _ in parts]
    if len(parts) > 2 or max(grades) - min(grades) > 1 or grades != sorted(grades):
        raise ValueError(_EXPECTED)
    column.milder += len(parts) == 2 or parts[0][1]
    return grades[0]


def _part(text: str, column: _Column, is_marked: bool) -> tuple[int, bool]:
    """The grade of one end of a cell, the milder where it lies between two, and whether it does."""
    if not is_marked and text in map(str, range(len(GRADES))):
        return int(text), False
    if is_marked and (step := _STEP.fullmatch(text)):
        before = column.milder
        grade = _of_step(_number(step[1]), column.steps, column)
        is_between, column.milder = column.milder > before, before
        return grade, is_between
    words = [word for word in text.split() if word not in _NAMED[column.name].split() or text == word]
    if words[:1] == ["very"] and words[1:] == ["severe"]:
        words = ["severe"]
    if len(words) != 1 or words[0] not in _GRADE_OF:
        raise ValueError(_EXPECTED)
    column.traces += words[0] in _TRACES
    return _GRADE_OF[words[0]], False


def _of_step(step: int, steps: int | None, column: _Column) -> int:
    """The grade of a step of so many."""
    if step > (steps or 4) or (steps == 5 and column.name != "tr_grade"):
        raise ValueError(_EXPECTED)
    if step == 3 and steps is None:
        raise ValueError(_THIRD)
    column.milder += step == 3 and steps == 4
    return 2 if step == 3 and steps == 4 else min(step, len(GRADES) - 1)
