"""The unit of a column of measurements, proved by all of its values.

Each phenotype has a band that holds what is measured in people, from children to the largest hearts. The bands of two
units that are confused (% and fraction, cm and mm, mL and L) do not overlap where the factor is ten or more, so a value
tells its unit. A column in which some rows fit one unit and some another is refused with its rows: it was put
together from two sources. The bands are wide limits of our own around the ranges of `phenotypes.py`, made for telling
units apart and not for judging hearts.
"""

from dataclasses import dataclass

import pandas as pd

from echo2ecg_core.phenotypes import PHENOTYPES, Phenotype

BANDS: dict[str, tuple[float, float]] = {
    "lvef": (3, 99), "lvedv": (4, 900), "lvesv": (2, 850), "lvsv": (2, 300), "lvidd": (1.2, 11.9), "lvids": (1.0, 9.9),
    "ivsd": (0.4, 3.9), "lvpwd": (0.4, 3.9), "lv_mass_index": (15, 500), "lavi": (3, 200), "ra_area": (3, 100),
    "rv_basal_diameter": (12, 100), "tapse": (0.4, 3.9), "rvsp": (5, 180),
}  # fmt: skip
# factor to the phenotype's own unit; the first other one is what people confuse with it
_FACTORS: dict[str, dict[str, float]] = {
    "%": {"%": 1, "fraction": 100},
    "mL": {"mL": 1, "L": 1000},
    "cm": {"cm": 1, "mm": 0.1},
    "mm": {"mm": 1, "cm": 10},
    "mmHg": {"mmHg": 1, "kPa": 7.500616},
    "cm²": {"cm²": 1, "mm²": 0.01},
}
_ONLY_WHEN_TOLD = {"kPa", "mm²"}
_UNITS_OF_OTHERS = {"g", "m/s", "cm/s", "ms", "s", "bpm", "ml/beat", "l/min", "z", "z-score", "sd"}
_SPELLINGS = {
    "percent": "%", "pct": "%", "prozent": "%", "ml": "mL", "cc": "mL", "cm3": "mL", "cm³": "mL", "l": "L", "liter":
    "L", "mmhg": "mmHg", "mm hg": "mmHg", "mm[hg]": "mmHg", "kpa": "kPa", "cm2": "cm²", "mm2": "mm²", "ratio":
    "fraction", "ml/m2": "mL/m²", "ml/m^2": "mL/m²", "g/m2": "g/m²", "g/m^2": "g/m²", "cm^2": "cm²", "mm^2": "mm²",
    "none": "",
}  # fmt: skip


@dataclass(frozen=True)
class Unit:
    """What unit a column is in.

    Attributes:
        name: The unit; factor: what its values are multiplied by.
        note: A sentence where it is not the phenotype's own, else "".
        odd: Rows whose value fits no unit, or another one than the rest.
        expected: What the odd ones should have been, in words.
    """

    name: str
    factor: float
    note: str = ""
    odd: tuple[int, ...] = ()
    expected: str = ""


def unit_named(phenotype: Phenotype, text: str) -> str | None:
    """The unit that a header, a cell or a person names, one that this phenotype can have; None for any other text."""
    text = text.strip().strip("[]()")
    name = _SPELLINGS.get(text.lower(), text)
    names = {n.lower(): n for n in factors(phenotype)}
    return names.get(name.lower())


def is_unit(text: str) -> bool:
    """Whether a text is the unit of any measurement: of one of ours or of others, also by body surface."""
    plain = text.strip().strip("[]()").lower().replace("^", "").replace("²", "2")
    units = {u.lower() for p in PHENOTYPES.values() for u in factors(p)} | _SPELLINGS.keys() | _UNITS_OF_OTHERS
    return plain.removesuffix("/m2").removesuffix("/bsa").strip() in units - {"", "none"}


def factors(phenotype: Phenotype) -> dict[str, float]:
    """Units that a phenotype comes in, with the factor to its own."""
    return _FACTORS.get(phenotype.unit, {phenotype.unit: 1.0})


def settle_unit(values: pd.Series, name: str, column: str, told: str | None = None) -> Unit:
    """The unit of a column.

    Args:
        values: Numbers by row, none missing.
        name: Field name of the phenotype.
        column: Its name in the table, for the note.
        told: The unit that the header, a cell or a person gives; values that cannot be in it are odd.
    """
    phenotype, band = PHENOTYPES[name], BANDS.get(name)
    known = factors(phenotype)
    if band is None or values.empty:
        return Unit(told or phenotype.unit, known.get(told or "", 1.0))
    candidates = [u for u in known if u not in _ONLY_WHEN_TOLD or u == told]
    fits = {u: (values * known[u]).between(*band) for u in candidates}
    if told:
        other = next((u for u in candidates if u != told and fits[u].all()), None)
        note = _note(phenotype, column, told) if told != phenotype.unit else ""
        expected = f"a number from {band[0] / known[told]:g} to {band[1] / known[told]:g} {told}, as the table says"
        if other is not None and not fits[told].any():
            expected = f"values in {told}, as the table says; these would be possible in {other}"
        return Unit(told, known[told], note, odd=tuple(values.index[~fits[told]]), expected=expected)
    for unit in candidates:  # the phenotype's own first
        if fits[unit].all():
            return Unit(unit, known[unit], _note(phenotype, column, unit) if unit != phenotype.unit else "")
    best = max(candidates, key=lambda u: int(fits[u].sum()))
    odd = values.index[~fits[best]]
    others = [u for u in candidates if u != best and fits[u].loc[odd].any()]
    expected = f"a number from {band[0] / known[best]:g} to {band[1] / known[best]:g} {best}".strip()
    if others and fits[best].any():
        expected += f" like the other rows; this one would be possible in {others[0]}"
    return Unit(best, known[best], odd=tuple(odd), expected=expected)


def _note(phenotype: Phenotype, column: str, unit: str) -> str:
    own = phenotype.unit or "the phenotype's own unit"
    what = "a fraction" if unit == "fraction" else f"in {unit}"
    return f"{phenotype.short} in the column {column} is {what}; it was converted to {own}."
