"""The phenotype table: what can be measured on an echo and predicted from an ECG.

Field names are the column names everywhere (labels.csv, catalog, JSON). Ranges: ASE/EACVI chamber quantification
2015 (Lang et al., J Am Soc Echocardiogr 28:1-39); right atrium and RV pressure: ASE right heart guideline 2010 (Rudski
et al., J Am Soc Echocardiogr 23:685-713); LVEF classes: universal definition of heart failure
(Bozkurt et al., Eur J Heart Fail 23:352-380, 2021). `confirmed=False` marks a range of which an end has not yet been
read in its source or a copy of it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

Range = tuple[float | None, float | None]


@dataclass(frozen=True)
class Phenotype:
    """One row of the table.

    Attributes:
        name: Field name, e.g. `lvef`.
        label: Name in words; `short` is the clinical abbreviation.
        unit: Unit of the value ("%", "mL", "cm", ...); "" where it has none (a grade, the wall motion score index).
        decimals: Digits after the point on screen (SCREENS: LVEF, volumes, pressures whole; cm one).
        axis: Lowest and highest value drawn on an axis.
        reference: "male" / "female" -> (low, high), None = open end; empty when no guideline range exists.
        source: Where the range comes from.
        confirmed: False while the range has not been read in its source.
        lowest: The smallest value there can be; no estimate goes below it.
        highest: The largest value that can have been measured.
        kind: "number", or "grade": one of `GRADES` by its place, shown in words and predicted as a chance.
    """

    name: str
    label: str
    short: str
    unit: str
    decimals: int
    axis: tuple[float, float]
    reference: Mapping[str, Range]
    source: str
    confirmed: bool = True
    lowest: float = 0.0
    highest: float = math.inf
    kind: str = "number"


def _valve(name: str, label: str, short: str) -> Phenotype:
    return Phenotype(name, label, short, "", 0, (0, 3), {}, "graded, no range", highest=len(GRADES) - 1, kind="grade")


GRADES = ("none", "mild", "moderate", "severe")
MODERATE = GRADES.index("moderate")
ASE_2015 = "ASE/EACVI 2015"
ASE_2010 = "ASE 2010"

PHENOTYPES: dict[str, Phenotype] = {
    p.name: p
    for p in (
        Phenotype(
            "lvef",
            "LV ejection fraction",
            "LVEF",
            "%",
            0,
            (10, 80),
            {"male": (52, 72), "female": (54, 74)},
            ASE_2015,
            highest=100.0,
        ),
        Phenotype(
            "lvedv",
            "LV end-diastolic volume",
            "LVEDV",
            "mL",
            0,
            (20, 320),
            {"male": (62, 150), "female": (46, 106)},
            ASE_2015,
            confirmed=False,
        ),
        Phenotype(
            "lvesv",
            "LV end-systolic volume",
            "LVESV",
            "mL",
            0,
            (0, 260),
            {"male": (21, 61), "female": (14, 42)},
            ASE_2015,
            confirmed=False,
        ),
        Phenotype("lvsv", "LV stroke volume", "LVSV", "mL", 0, (10, 140), {}, "no guideline range"),
        Phenotype(
            "lvidd",
            "LV internal diameter",
            "LVIDd",
            "cm",
            1,
            (2.8, 8.0),
            {"male": (4.2, 5.8), "female": (3.8, 5.2)},
            ASE_2015,
        ),
        Phenotype(
            "lvids",
            "LV internal diameter, systole",
            "LVIDs",
            "cm",
            1,
            (1.5, 7.0),
            {"male": (2.5, 4.0), "female": (2.2, 3.5)},
            ASE_2015,
        ),
        Phenotype(
            "ivsd",
            "Septal thickness",
            "IVSd",
            "cm",
            1,
            (0.4, 2.4),
            {"male": (0.6, 1.0), "female": (0.6, 0.9)},
            ASE_2015,
        ),
        Phenotype(
            "lvpwd",
            "Posterior wall thickness",
            "LVPWd",
            "cm",
            1,
            (0.4, 2.2),
            {"male": (0.6, 1.0), "female": (0.6, 0.9)},
            ASE_2015,
        ),
        Phenotype(
            "lv_mass_index",
            "LV mass index",
            "LVMI",
            "g/m²",
            0,
            (30, 240),
            {"male": (49, 115), "female": (43, 95)},
            ASE_2015,
        ),
        Phenotype(
            "lavi",
            "Left atrial volume index",
            "LAVI",
            "mL/m²",
            0,
            (10, 90),
            {"male": (16, 34), "female": (16, 34)},
            ASE_2015,
        ),
        Phenotype(
            "ra_area",
            "Right atrial area",
            "RAA",
            "cm²",
            0,
            (6, 50),
            {"male": (None, 18), "female": (None, 18)},
            ASE_2010,
        ),
        Phenotype(
            "rv_basal_diameter",
            "RV basal diameter",
            "RVD1",
            "mm",
            0,
            (20, 65),
            {"male": (25, 41), "female": (25, 41)},
            ASE_2015,
        ),
        Phenotype(
            "tapse",
            "Tricuspid annular excursion",
            "TAPSE",
            "cm",
            1,
            (0.5, 3.5),
            {"male": (1.7, None), "female": (1.7, None)},
            ASE_2015,
        ),
        Phenotype(
            "rvsp",
            "RV systolic pressure",
            "RVSP",
            "mmHg",
            0,
            (10, 100),
            {"male": (None, 35), "female": (None, 35)},
            ASE_2010,
            confirmed=False,
        ),
        Phenotype(
            "wall_motion_score_index",
            "Wall motion score index",
            "WMSI",
            "",
            2,
            (0.9, 3.0),
            {"male": (None, 1.0), "female": (None, 1.0)},
            ASE_2015,
            lowest=1.0,
            highest=4.0,
        ),
        _valve("as_grade", "Aortic stenosis", "AS"),
        _valve("ar_grade", "Aortic regurgitation", "AR"),
        _valve("mr_grade", "Mitral regurgitation", "MR"),
        _valve("tr_grade", "Tricuspid regurgitation", "TR"),
    )
}

LVEF_CLASSES = ("reduced", "mildly_reduced", "preserved")
LVEF_CLASS_LABELS = {
    "reduced": "Reduced (≤40)",
    "mildly_reduced": "Mildly reduced (41–49)",
    "preserved": "Preserved (≥50)",
}


def grade_word(grade: float) -> str:
    """A valve grade in words; what lies between two grades belongs to the nearer one."""
    return GRADES[min(max(round(grade), 0), len(GRADES) - 1)]


def written_as(value: float, decimals: int) -> tuple[float, float]:
    """The least and the greatest number that is written as `value` with so many decimals: 40 is 39.5 to 40.5, 41 is
    whatever lies between 40.5 and 41.5, since a five at the end goes to the even digit (IEEE 754, as Python writes)."""
    ends = []
    for away in (-1, 1):
        end = value + away * 0.5 * 10**-decimals
        while round(end, decimals) != value:
            end = math.nextafter(end, value)
        ends.append(end)
    return ends[0], ends[1]


def within_as_written(phenotype: Phenotype, sex: str) -> Range:
    """The numbers that are written as ones inside the reference range of a sex: what stands on a page as 54 is not
    below 54."""
    low, high = phenotype.reference[sex]
    return (
        None if low is None else written_as(low, phenotype.decimals)[0],
        None if high is None else written_as(high, phenotype.decimals)[1],
    )


def beyond_reference(phenotype: Phenotype, value: float, sex: str | None) -> str:
    """ "above" or "below" for a value outside its reference range, as both are written; else "".

    While the sex is unknown the value has to lie beyond the ranges of both.
    """
    sexes = [sex] if sex is not None and sex in phenotype.reference else list(phenotype.reference)
    ranges = [within_as_written(phenotype, one) for one in sexes]
    if ranges and all(high is not None and value > high for _, high in ranges):
        return "above"
    return "below" if ranges and all(low is not None and value < low for low, _ in ranges) else ""


REDUCED_AT_MOST = written_as(40.0, 0)[1]  # LVEF of at most 40 in whole percent: 40.5


def disease_limit(name: str) -> tuple[str, float] | None:
    """Beyond which value on which side a phenotype is diseased: ("below", just above 40.5) of LVEF; None where nothing
    says.

    LVEF: reduced, in whole percent (universal definition of heart failure). A grade: moderate or worse. Others: beyond
    the reference range of either sex, above it where it has an upper end.
    """
    p = PHENOTYPES[name]
    if name == "lvef":
        return "below", math.nextafter(REDUCED_AT_MOST, math.inf)
    if p.kind == "grade":
        return "above", MODERATE - 0.5
    lows, highs = zip(*p.reference.values(), strict=True) if p.reference else ((), ())
    if highs and None not in highs:
        return "above", max(highs)
    return ("below", min(lows)) if lows and None not in lows else None


def disease_words(name: str) -> str:
    """The disease of `disease_limit` in words: "LVEF ≤ 40 %", "LVIDd > 5.8 cm"; "" where there is none."""
    p, found = PHENOTYPES[name], disease_limit(name)
    if found is None:
        return ""
    side, limit = found
    if p.kind == "grade":
        return f"{p.short} moderate or worse"
    words = f"≤ {math.floor(limit)}" if name == "lvef" else f"{'<' if side == 'below' else '>'} {limit:g}"
    return f"{p.short} {words} {p.unit}".strip()
