"""Two cohorts side by side, as the first table of a paper: who they are, how far they lie apart, what is missing.

One value a patient, that of the first study that has one. Means with standard deviations and standardised mean
differences; counts with risk differences in percentage points; no p values, which a large cohort makes small of itself.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from echo2ecg_core.counts import counted
from echo2ecg_core.errors import StoreError
from echo2ecg_core.evaluation.effect_sizes import Effect, risk_difference, standardised_mean_difference
from echo2ecg_core.figures.chart import ON_PAGE, Frame
from echo2ecg_core.figures.evaluation import ForestRow, forest_figure
from echo2ecg_core.figures.export import RESEARCH_ONLY, figure_file
from echo2ecg_core.figures.latex import latex, latex_document, table_latex
from echo2ecg_core.figures.notation import MINUS, MISSING, THIN, interval, number, observed
from echo2ecg_core.figures.tables import Cell, Column, Table, table_csv, table_xlsx, text_cell
from echo2ecg_core.intake.labels import OLDEST_TOLD
from echo2ecg_core.phenotypes import PHENOTYPES, disease_words
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.characteristics import REDUCED, Numbers, Share, characteristics, shared_patients
from echo2ecg_core.store.cohorts import Cohort, cohorts
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.snapshot import snapshot
from echo2ecg_core.version import program_version

LABELS = {
    "female": "Women",
    "age_years": "Age, years",
    "af": "Atrial fibrillation",
    "lbbb": "Left bundle branch block",
    "rbbb": "Right bundle branch block",
    REDUCED: disease_words("lvef"),
}
NAME = "table-1"
MEAN, SHARE = "mean and SD, standardised mean difference", "count and share, risk difference"


@dataclass(frozen=True)
class Row:
    """One characteristic of both cohorts; None where nothing is known of one."""

    name: str
    label: str
    decimals: int
    first: Numbers | Share | None
    second: Numbers | Share | None
    effect: Effect

    @property
    def is_share(self) -> bool:
        """True of a count with its share, False of a mean with its standard deviation."""
        return isinstance(self.first or self.second, Share)


@dataclass(frozen=True)
class Comparison:
    """Two cohorts side by side; `shared` patients are in both; `old_are_one`: ages over 89 came in as 90."""

    first: Cohort
    second: Cohort
    shared: int
    rows: tuple[Row, ...]
    old_are_one: bool = False

    @property
    def synthetic(self) -> bool:
        """True where either holds simulated hearts."""
        return self.first.synthetic or self.second.synthetic

    def notes(self) -> list[str]:
        """What a reader has to know beside the numbers."""
        told = [
            "One value a patient, of the first study that has one. Differences are first minus second: of means "
            "standardised, of counts in percentage points."
        ]
        if self.shared:
            are = counted(self.shared, "patient is", "patients are")
            told.append(f"{are} in both cohorts; the intervals take the two for different people.")
        if self.old_are_one:
            told.append(f"Ages over {OLDEST_TOLD - 1} are those of {OLDEST_TOLD}: so they came in.")
        if self.synthetic:
            told.append("Simulated hearts are among them: these numbers say nothing about real patients.")
        return told


def compare_cohorts(workspace: Workspace, first: str, second: str) -> Comparison:
    """Two cohorts, that came in or were kept, by name.

    Raises:
        StoreError: there is no such cohort, or both are the same.
    """
    known = {cohort.name: cohort for cohort in cohorts(workspace)}
    if unknown := [name for name in (first, second) if name not in known]:
        raise StoreError(
            f"There is no cohort {', '.join(map(repr, unknown))} in this workspace; known: "
            f"{', '.join(known) or 'none'}.",
            "Name two of these.",
        )
    if first == second:
        raise StoreError("A cohort is not compared with itself.", "Name two cohorts.")
    one, other = (characteristics(workspace, name) for name in (first, second))
    names = [name for name in (*LABELS, *PHENOTYPES) if name in one or name in other]
    rows = tuple(_row(name, one.get(name), other.get(name)) for name in names)
    shared, grouped = shared_patients(workspace, first, second), _has_grouped_ages(workspace, first, second)
    return Comparison(known[first], known[second], shared, rows, grouped)


def _has_grouped_ages(workspace: Workspace, *cohorts: str) -> bool:
    """Whether a study of these cohorts has the age that stands for all above it, of people whose ages were not kept."""
    known = snapshot(workspace)
    studies, kept = known.studies, Catalog(workspace).cohorts_with_ids()
    is_grouped = (studies.age_years == OLDEST_TOLD) & (studies.synthetic == 0) & ~studies.cohort.isin(kept)
    return any(bool((is_grouped & known.in_cohort("studies", name)).any()) for name in cohorts)


def _row(name: str, first: Numbers | Share | None, second: Numbers | Share | None) -> Row:
    phenotype = PHENOTYPES.get(name)
    label = LABELS.get(name, "")
    if phenotype is not None:
        words = "moderate or worse" if phenotype.kind == "grade" else phenotype.unit
        label = f"{phenotype.label}, {words}" if words else phenotype.label
    decimals = 1 if phenotype is None or not phenotype.decimals else 2
    return Row(name, label, decimals, first, second, _effect(first, second))


def _effect(first: Numbers | Share | None, second: Numbers | Share | None) -> Effect:
    if isinstance(first, Share) and isinstance(second, Share):
        return risk_difference(first.count, first.n, second.count, second.n)
    if isinstance(first, Numbers) and isinstance(second, Numbers):
        return standardised_mean_difference(first.n, first.mean, first.sd, second.n, second.mean, second.sd)
    return Effect(float("nan"), float("nan"), float("nan"))


def table_one(found: Comparison) -> Table:
    """The comparison as a table for page, paper and spreadsheet."""
    sides = (found.first, found.second)
    columns = (
        Column("Characteristic", "characteristic"),
        Column("Told as", "told_as", printed=False),
        *(
            Column(f"{side.name} (n = {side.patients:,})", place, True, ("", "_sd_or_share", "_known"))
            for side, place in zip(sides, ("first", "second"), strict=True)
        ),
        Column("Difference (95 % interval)", "difference", True, ("", "_low", "_high")),
        Column("Missing", "missing", True, ("_first", "_second")),
    )
    kind = "Simulated hearts. " if found.synthetic else ""
    caption = f"{kind}Characteristics of the cohorts {found.first.name} and {found.second.name}"
    counts = tuple(_counts(words, getattr(sides[0], name), getattr(sides[1], name)) for words, name in
                   (("ECGs", "ecgs"), ("Echo studies", "studies")))  # fmt: skip
    return Table(NAME, caption, columns, counts + tuple(_cells(row, sides) for row in found.rows))


def _counts(words: str, first: int, second: int) -> tuple[Cell, ...]:
    return (
        text_cell(words),
        text_cell("count"),
        *(Cell(f"{n:,}", (n, None, None)) for n in (first, second)),
        Cell("", (None, None, None)),
        Cell("", (None, None)),
    )


def _cells(row: Row, sides: tuple[Cohort, Cohort]) -> tuple[Cell, ...]:
    missing = [
        side.patients - (told.n if told else 0) for side, told in zip(sides, (row.first, row.second), strict=True)
    ]
    return (
        text_cell(row.label),
        text_cell(SHARE if row.is_share else MEAN),
        _side(row.first, row.decimals),
        _side(row.second, row.decimals),
        _difference(row),
        Cell(" / ".join(f"{n:,}" for n in missing), tuple(missing)),
    )


def _side(told: Numbers | Share | None, decimals: int) -> Cell:
    if told is None:
        return Cell(MISSING, (None, None, 0))
    if isinstance(told, Share):
        share = told.count / told.n
        return Cell(f"{told.count:,} ({observed(share)})", (told.count, share, told.n))
    spread = f" ± {number(told.sd, decimals)}" if told.n > 1 else ""
    return Cell(f"{number(told.mean, decimals)}{spread}", (told.mean, told.sd, told.n))


def _difference(row: Row) -> Cell:
    e = row.effect
    if e.value != e.value:
        return Cell(MISSING, (None, None, None))
    factor, decimals, unit = (100, 1, f"{THIN}pp") if row.is_share else (1, 2, "")
    value = _signed(factor * e.value, decimals)
    ends = interval(factor * e.low, factor * e.high, decimals)
    return Cell(f"{value}{unit} ({ends})", (e.value, e.low, e.high))


def table_files(found: Comparison, workspace_name: str) -> dict[str, bytes]:
    """File name -> content: CSV, XLSX, LaTeX and a document that prints it."""
    table = table_one(found)
    lines = provenance(found, workspace_name)
    comment = "\n".join(f"% {name}: {latex(value)}" for name, value in lines)
    notes = "\n".join(latex(note) for note in found.notes())
    return {
        f"{NAME}.csv": table_csv(table).encode(),
        f"{NAME}.xlsx": table_xlsx(table, lines),
        f"{NAME}.tex": f"{comment}\n{table_latex(table)}{{\\footnotesize {notes}\\par}}\n".encode(),
        f"{NAME}-document.tex": latex_document([NAME], RESEARCH_ONLY).encode(),
    }


FIGURES = {"means": "Standardised mean differences", "shares": "Risk differences, percentage points"}


def effects(found: Comparison, kind: str) -> list[Row]:
    """The rows that a forest of this kind (a key of `FIGURES`) shows: those whose difference can be told."""
    return [row for row in found.rows if row.is_share == (kind == "shares") and row.effect.value == row.effect.value]


def effects_figure(found: Comparison, kind: str, frame: Frame = ON_PAGE):
    """A forest of the differences, with their 95 % intervals; only where there are any (`effects`).

    Args:
        kind: Key of `FIGURES`.
        frame: Theme, and title, provenance and width in a file.
    """
    factor, decimals = (100, 0) if kind == "shares" else (1, 2)
    rows = [
        ForestRow(
            _short(row), "", factor * e.value, factor * e.low, factor * e.high, _signed(factor * e.value, decimals)
        )
        for row in effects(found, kind)
        for e in (row.effect,)
    ]
    most = max((abs(end) for row in rows for end in (row.value, row.low, row.high) if end is not None), default=1.0)
    step = 10 if kind == "shares" else 0.25
    limit = step * max(1, -(-most // step))
    axis = f"{found.first.name} minus {found.second.name}"
    axis = axis if len(axis) <= 44 else "First minus second cohort"
    return forest_figure(rows, axis, (-limit, limit), 0.0, decimals, frame)


def figure_of_effects(found: Comparison, kind: str, suffix: str, workspace_name: str) -> bytes:
    """The forest as an SVG, PDF or PNG, one column of a journal wide, with its provenance."""
    title = f"{'Simulated hearts. ' if found.synthetic else ''}{FIGURES[kind]}"
    told = dict(provenance(found, workspace_name))
    line = f"{told['Workspace']}, {told['Cohorts']}, {told['Made']} · {RESEARCH_ONLY}"
    figure = effects_figure(found, kind, Frame(title=title, footer=line, column="single"))
    return figure_file(figure, suffix, title=title, provenance=line)


def effects_words(found: Comparison, kind: str) -> str:
    """What a reader who cannot see the picture hears."""
    told = (f"{row.label} {_difference(row).text}" for row in effects(found, kind))
    return f"{FIGURES[kind]}: {'; '.join(told)}."


def _short(row: Row) -> str:
    phenotype = PHENOTYPES.get(row.name)
    if phenotype is None:
        return row.label.removesuffix(", years")
    return f"{phenotype.short} ≥ moderate" if phenotype.kind == "grade" else phenotype.short


def _signed(value: float, decimals: int) -> str:
    text = number(value, decimals)
    return text if text.startswith(MINUS) or float(text) == 0 else f"+{text}"


def provenance(found: Comparison, workspace_name: str) -> list[tuple[str, str]]:
    """Where the numbers come from, by name."""
    return [
        ("Workspace", workspace_name),
        ("Cohorts", f"{found.first.name}; {found.second.name}"),
        ("Hearts", "simulated hearts among them" if found.synthetic else "as they were imported"),
        ("Made", f"{datetime.now(UTC):%Y-%m-%d}, program version {program_version()}"),
        ("Notes", " ".join(found.notes())),
        ("Use", RESEARCH_ONLY),
    ]
