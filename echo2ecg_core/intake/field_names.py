"""What a name means: the field of a table's column or of a measurement, with the unit and the method it tells.

Names are matched without case, accents, blanks and punctuation, in any script. A name with a unit that its phenotype
cannot have (LVEDV in mL/m²), or with the name of something else in brackets (EF (RV), LVEDV (indexed)), means nothing.
"""

import re
import unicodedata
from collections.abc import Iterable

from echo2ecg_core.intake.column_names import METHODS, NAMES, NATIVE
from echo2ecg_core.intake.grades import grade_in_words
from echo2ecg_core.intake.units import is_unit, unit_named
from echo2ecg_core.phenotypes import PHENOTYPES

IDS = ("patient_id", "study_id", "ecg_id")
DATES = ("study_date", "ecg_time")
FINDINGS = ("wall_motion_scores", "rhythm", "conduction", "first_degree_block")
VISIT = ("sex", "age_years", "split")
FILE = ("path", "sampling_rate_hz", "unit", "lead_order")
VIEW = ("clip_path", "view")
LONG = ("measurement", "value", "value_unit")  # a row a measurement
FIELDS = (*IDS, *DATES, *VISIT, *FINDINGS, *PHENOTYPES, *FILE, *VIEW, *LONG)

UNIT_IN_NAME = re.compile(
    r"[\[(]\s*([^\])]{1,24})\s*[\])]\s*$|[_ /,](?:in[_ ])?(mm|cm|ml|pct|percent|mmhg|%)$", re.IGNORECASE
)
_ANOTHER = re.compile(  # a word in brackets behind a name: of another chamber, size or moment, or no measurement itself
    r"rv|ra|la|right.*|atri.*|delta|Δ|change|diff.*|sd|se|sem|ci|z|z-?scores?|pred.*|prior|prev.*|old|norm.*|ref.*|age|"
    r"days?|grade|class|text|comment.*|method|date|i|ind|idx|index.*|indiz.*|bsa|kof|pg|grad|gradient.*|rap|stress|dse|"
    r"exercise|dobutamine?|belastung|mri|cmr|mrt|ct|spect|pet|muga|cath.*|angio.*|nuclear", re.IGNORECASE
)  # fmt: skip
_VALVES = {"as": "as_grade", "ar": "ar_grade", "ai": "ar_grade", "mr": "mr_grade", "mi": "mr_grade",
           "tr": "tr_grade", "ti": "tr_grade"}  # fmt: skip
_OF_A_GRADE = {"grade", "class", "i"}  # what else stands in brackets there: AS (I-IV)
_RANK = {word: rank for rank, words in enumerate(METHODS) for word in words.split()}
_ANY_METHOD = METHODS.index("")  # the rank of a measurement that does not tell how it was made
_LONG_WORDS = 10  # letters in brackets beyond which all of the words must be those of a method
_NOT_YEARS = re.compile(r"(mo?|months?|monate|w|weeks?|wochen|d|days?|tage)", re.IGNORECASE)


def plain_name(text: str) -> str:
    """A name without case, accents, blanks and punctuation; letters and digits of every script stay, and so do the
    vowel signs that tell words of some scripts apart. A name of signs alone is itself."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    kept = (c for c in decomposed if unicodedata.category(c)[0] in "LNM" and not "\u0300" <= c <= "\u036f")
    return "".join(kept) or text.strip()


_FIELD_OF = {
    plain_name(name): key for names in (NAMES, NATIVE) for key, known in names.items() for name in known.split()
}
_FIELD_OF |= {field.replace("_", ""): field for field in FIELDS}


def field_of(name: str) -> tuple[str | None, str | None]:
    """The field that a column's name or a measurement's name means, and the unit in it."""
    found = UNIT_IN_NAME.search(name)
    unit = next((g for g in found.groups() if g), None) if found else None
    rest = UNIT_IN_NAME.sub("", name) if found else name
    for text in (name, rest, *([bare] if (bare := _without_method(rest)) else [])):
        field = text.strip() if text.strip() in FIELDS else _FIELD_OF.get(plain_name(text))
        if text is bare and field not in PHENOTYPES:
            return None, None
        if field in PHENOTYPES and unit and may_be_another(unit, field):
            return None, None
        if field in PHENOTYPES and unit:
            known = unit_named(PHENOTYPES[field], unit)
            return (None, None) if known is None and is_unit(unit) else (field, known)
        if field:
            return (None, None) if field == "age_years" and _NOT_YEARS.fullmatch(unit or "") else (field, None)
    return None, None


def valve_named(name: str, cells: Iterable[str]) -> str | None:
    """The valve disease that a name of two letters means, where its values are severities in words or steps."""
    field = _VALVES.get(plain_name(name))
    if field is None:
        return None
    grades = [grade_in_words(text, field) for text in set(cells) - {""}]
    return field if any(grades) and grades.count(None) < len(grades) / 2 else None


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", re.sub(r"\bm[- ]?mode\b", "mmode", text.casefold()))


def is_another(text: str, field: str) -> bool:
    """Whether words in brackets behind a phenotype's name, or a value of it, make it another measurement."""
    words = set(_words(text)) - (_OF_A_GRADE if PHENOTYPES[field].kind == "grade" else set())
    return bool(_ANOTHER.fullmatch(text) and words) or any(_ANOTHER.fullmatch(word) for word in words)


def may_be_another(text: str, field: str) -> bool:
    """`is_another` of a header, where many words have to be those of a method."""
    many = len(text) > _LONG_WORDS and not is_unit(text)
    return is_another(text, field) or (many and not set(_words(text)) <= _RANK.keys())


def _without_method(name: str) -> str:
    """A name without the words that tell how it was measured: EF biplane."""
    return " ".join(word for word in _words(name) if word not in _RANK)


def method_rank(name: str) -> int:
    """The place in `METHODS` of the method that a column's name tells."""
    return min((_RANK[word] for word in _words(name) if word in _RANK), default=_ANY_METHOD)


def is_known_name(name: str) -> bool:
    """Whether a column's name is one of ours, alone or with a unit, so that no person put anything of a person in."""
    rest = UNIT_IN_NAME.search(name)
    unit = next((g for g in rest.groups() if g), "") if rest else ""
    plain = [name, UNIT_IN_NAME.sub("", name)] if is_unit(unit) else [name]
    return any(text in FIELDS or plain_name(text) in _FIELD_OF for text in plain)


def plain_id(id: str) -> str:
    """What is left of an id without case, leading zeros, the .0 of a spreadsheet, quotation marks and signs that nobody
    sees; letters and digits in one form."""
    seen = re.sub(r"[\u00ad\u200b-\u200f\u2060\ufeff]", "", unicodedata.normalize("NFKC", id)).strip("'\" ")
    return re.sub(r"^0+(?=\d)", "", re.sub(r"(?<=\d)\.0$", "", seen.casefold()))
