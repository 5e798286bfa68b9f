"""What points of a map are coloured by and in what colours: for the page's chart and for a picture on paper alike."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from echo2ecg_core.phenotypes import GRADES, PHENOTYPES

VIRIDIS_CUT = (
    "#440154",
    "#482475",
    "#414487",
    "#355F8D",
    "#2A788E",
    "#21918C",
    "#22A884",
    "#44BF70",
    "#7AD151",
    "#BDDF26",
)
SYMBOLS = {"ECG": "circle", "study": "diamond"}
MARKERS = {"ECG": "o", "study": "D"}  # the same for matplotlib
MODALITY = "modality"
GROUPS = {"sex": "Sex", "rhythm": "Rhythm", "conduction": "Conduction", "split": "Split", "cohort": "Cohort"}
GROUP_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#44AA99")  # Okabe-Ito
MOST_GROUPS = len(GROUP_COLOURS)  # the rarest beyond these share the colour of what is not known
PREDICTED, ERROR = "predicted:lvef", "error:lvef"  # of ECGs, by the model whose map it is
ESTIMATES = {PREDICTED: "LVEF, predicted", ERROR: "LVEF, predicted − measured"}
OTHERS = "others"  # on a map coloured by a kept cohort
_KEPT = "kept:"


@dataclass(frozen=True)
class Look:
    """Colours of one theme."""

    page: str
    text: str
    muted: str
    grid: str
    modalities: dict[str, str]


LIGHT = Look("#FFFFFF", "#17202A", "#55606D", "#EBEFF3", {"ECG": "#7B4FA3", "study": "#1E9C8B"})
DARK = Look("#12161B", "#E6EBF0", "#A3AEBA", "#252D35", {"ECG": "#B793DB", "study": "#4CC2B0"})


@dataclass(frozen=True)
class Label:
    """Lines of words and the place above which they stand."""

    lines: tuple[str, ...]
    x: float
    y: float


def colour_choices(points: pd.DataFrame) -> dict[str, str]:
    """What the points can be coloured by: column -> name with unit; only columns that hold a value."""
    measured = {n: f"{p.short}, measured" for n, p in PHENOTYPES.items() if _holds(points, n)}
    age = {"age_years": "Age"} if _holds(points, "age_years") else {}
    groups = {n: words for n, words in GROUPS.items() if _holds(points, n)}
    return measured | age | groups | {MODALITY: "ECG or study"}


def kept_column(cohort: str) -> str:
    """The column that colours a map by a kept cohort; it holds the cohort's name or `OTHERS`."""
    return _KEPT + cohort


def kept_cohort(colour: str) -> str:
    """The kept cohort whose column (`kept_column`) a colour is; "" where it is none."""
    return colour.removeprefix(_KEPT) if colour.startswith(_KEPT) else ""


def is_group(colour: str) -> bool:
    """True when a group colours the points, not a number nor their kind."""
    return colour in GROUPS or colour.startswith(_KEPT)


def has_scale(colour: str) -> bool:
    """True when a number colours the points, not a group."""
    return colour != MODALITY and not is_group(colour)


def _holds(points: pd.DataFrame, name: str) -> bool:
    """True when there is such a column with a value in it; most have one among the first."""
    return name in points and bool(points[name][:1000].notna().any() or points[name].notna().any())


def group_colours(points: pd.DataFrame, colour: str) -> dict[str, str]:
    """Group -> its colour, the commonest first; at most `MOST_GROUPS` have one, of a kept cohort its members only."""
    if colour.startswith(_KEPT):
        return {colour.removeprefix(_KEPT): GROUP_COLOURS[1]}
    return dict(zip(points[colour].value_counts().index.astype(str), GROUP_COLOURS, strict=False))


def colour_limits(points: pd.DataFrame, colour: str) -> tuple[float, float]:
    """Ends of the colour scale: grades from first to last, values between their 2nd and 98th percentile."""
    values = points[colour].dropna()
    if colour in PHENOTYPES and PHENOTYPES[colour].kind == "grade":
        return 0.0, len(GRADES) - 1.0
    low, high = (float(v) for v in np.percentile(values, [2, 98])) if len(values) else (0.0, 1.0)
    return low, high


def title_of(colour: str) -> str:
    """What the scale of a colour is headed with, in plotly's HTML."""
    if colour == "age_years":
        return "<b>Age, years</b>"
    if colour in ESTIMATES:
        return "<b>LVEF, %</b>, predicted" if colour == PREDICTED else "<b>LVEF, points</b>, predicted − measured"
    phenotype = PHENOTYPES[colour]
    unit = f", {phenotype.unit}" if phenotype.unit else ""
    return f"<b>{phenotype.short}{unit}</b>, measured"
