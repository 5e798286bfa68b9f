"""The report of a model: read from the workspace, set beside others, written as a folder or a zip.

`evaluate` writes reports/<model>/report.json, of validation patients reports/<model>/validation/report.json. Nothing
here computes a score, but for the direct difference of two models. No torch: the page that shows it needs none.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np

from echo2ecg_core.errors import Echo2ECGError, StoreError
from echo2ecg_core.evaluation.readers import precision_by_readers
from echo2ecg_core.figures.chart import COLUMNS_MM, Frame
from echo2ecg_core.figures.export import FIGURE_FORMATS, RESEARCH_ONLY, figure_file, provenance_line
from echo2ecg_core.figures.latex import latex_document, table_latex
from echo2ecg_core.figures.notation import THIN
from echo2ecg_core.figures.scores import count
from echo2ecg_core.figures.tables import table_csv, table_xlsx
from echo2ecg_core.progress import Progress, silent
from echo2ecg_core.reports.charts import Chart, all_charts
from echo2ecg_core.reports.contents import changes, contents, fingerprint_of, judged_here
from echo2ecg_core.reports.document import Difference, Direct, Report, RowOf, parse_report
from echo2ecg_core.reports.html_page import html_page, provenance_rows
from echo2ecg_core.reports.tables import all_tables
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelRegistry
from echo2ecg_core.store.paths import PREDICTIONS_FILE, ready_path, report_path
from echo2ecg_core.store.reader_marks import marks
from echo2ecg_core.store.splits import JUDGED_SPLITS
from echo2ecg_core.version import program_version

RESOLUTIONS_DPI = (300, 600)
HERE = 0.5  # share of the judged ECGs that makes a report one of this workspace


@dataclass(frozen=True)
class Print:
    """How figures are printed: one of `COLUMNS_MM` wide, and how fine a PNG is.

    Raises:
        StoreError: no such width, or a resolution that no printer takes.
    """

    column: str = "single"
    dpi: int = 300

    def __post_init__(self):
        if self.column not in COLUMNS_MM:
            known = ", ".join(f"{name} ({mm:g} mm)" for name, mm in COLUMNS_MM.items())
            raise StoreError(f"There is no figure width {self.column!r}.", f"Choose one of: {known}.")
        if not 72 <= self.dpi <= 1200:
            raise StoreError(f"A resolution has to be 72 to 1200 dpi, found {self.dpi}.", "Most journals ask for 300.")


DEFAULT_PRINT = Print()


def evaluated_models(workspace: Workspace, split: str | None = None) -> list[str]:
    """Ids of the models that have a report (of this split; None: of any), the newest report first."""
    found: dict[str, float] = {}
    for one in JUDGED_SPLITS if split is None else (split,):
        for path in workspace.folder.glob(str(report_path(workspace, "*", one).relative_to(workspace.folder))):
            model_id = path.relative_to(workspace.folder / "reports").parts[0]
            found[model_id] = max(found.get(model_id, 0), path.stat().st_mtime)
    return sorted(found, key=found.__getitem__, reverse=True)


def load_report(workspace: Workspace, model_id: str, split: str = "test") -> Report:
    """The report of a model on the patients of a split.

    Raises:
        StoreError: there is none yet, or its file is damaged, or no such split.
    """
    path = report_path(workspace, model_id, split)
    try:
        content = path.read_bytes()
    except OSError as error:
        command = f"Run `evaluate --model {model_id}{'' if split == 'test' else f' --split {split}'}`."
        raise StoreError(f"The model {model_id} has no report on {split} patients yet.", command) from error
    data = parse_report(content, f"model {model_id}")
    ready = _ready(workspace, model_id) if split == "test" else {}
    readers = [asdict(row) for row in precision_by_readers(marks(workspace, model_id))]
    return Report(data | {"page_readout": _page_readout(workspace, model_id), "ready": ready, "readers": readers})


def _ready(workspace: Workspace, model_id: str) -> dict:
    """The comparison with ready models as `compare.judge` kept it; {} without, or where its file is damaged."""
    try:
        return json.loads(ready_path(workspace, model_id).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _page_readout(workspace: Workspace, model_id: str) -> dict:
    """What the model's manifest tells of its own readout on test patients, by phenotype; {} for a model that is not
    here."""
    try:
        found = ModelRegistry(workspace).get(model_id).manifest().get("test") or {}
    except Echo2ECGError:
        return {}
    return found.get("phenotypes") or {}


def set_beside(report: Report, others: list[Report], direct: Direct) -> Report:
    """The report with the models of others in its tables, each compared with its own model by `direct`.

    Raises:
        StoreError: another report rests on other patients, so its scores cannot be compared.
    """
    for other in others:
        for key, words in (("split", "split"), ("workspace", "archive"), ("cohorts", "cohorts")):
            if report.data.get(key) != other.data.get(key):
                raise StoreError(
                    f"The report of {other.model['name']} rests on another {words} ({other.data.get(key)}; here "
                    f"{report.data.get(key)}), so the two cannot be compared.",
                    "Evaluate both in this workspace.",
                )
    return Report(report.data, tuple(others), cache(direct))  # HTML, CSV and LaTeX ask for the same ones


def direct_difference(workspace: Workspace, split: str, task: str, row: RowOf, other: RowOf) -> Difference | None:
    """How much better or worse one row is than another on the same ECGs, with its paired patient bootstrap.

    Args:
        workspace: Where the reports are.
        split: Of both reports.
        task: Of both.
        row, other: Id of a model and key of a row of its report.

    Returns:
        Metric, and row minus other with its interval; None where a row has no stored predictions of this task, or the
        two are of other ECGs.
    """
    from echo2ecg_core.evaluation.rows import difference_of_predictions

    found = []
    for model_id, key in (row, other):
        try:
            with np.load(
                report_path(workspace, model_id, split).with_name(PREDICTIONS_FILE), allow_pickle=False
            ) as archive:
                found.append([archive[name] for name in ("ecg_ids", "patients", f"target/{task}", f"{key}/{task}")])
        except (OSError, KeyError, ValueError, zipfile.BadZipFile):
            return None
    (ecgs, patients, target, ours), (other_ecgs, _, other_target, theirs) = found
    if not np.array_equal(ecgs, other_ecgs) or not np.array_equal(target, other_target, equal_nan=True):
        return None
    return difference_of_predictions(task, ours, theirs, target, patients)


def outdated(report: Report, workspace: Workspace) -> str:
    """Why a report may no longer hold, in one sentence; "" while it does.

    A report of another program version, or of a workspace whose ECGs, studies, labels, splits or readouts have changed
    since; one that rests on patients of elsewhere is compared with nothing here.
    """
    version = str(report.data.get("version", ""))
    if version != program_version():
        return f"It was made by version {version or 'unknown'} of this program; this is {program_version()}."
    if not workspace.exists() or not Catalog(workspace).counts()["ecgs"] or rests_elsewhere(report, workspace):
        return ""
    then, facts = report.data.get("contents") or {}, contents(workspace, report.model["id"])
    sentence = changes(then, facts)
    if not sentence and then and "recordings" not in then:
        return "An earlier state of this program made it, which took note of the workspace in another way."
    if not sentence and report.data.get("workspace") != fingerprint_of(facts):
        return "The ECGs or labels of this workspace are not those that it was made with."
    return sentence


def rests_elsewhere(report: Report, workspace: Workspace) -> str:
    """That a report judges patients most of whom are not in this workspace, in one sentence; "" where they are (or may
    be)."""
    here, judged = Catalog(workspace).cohorts(), report.data.get("cohorts", [])
    if not here:
        return ""
    patients = f"{count(report.data['counts'].get('patients'))} {report.split} patients of {', '.join(judged)}"
    if not set(judged) & set(here):
        return f"This report judges {patients}; this workspace holds {', '.join(here)}."
    share = judged_here(workspace, report.model["id"], report.split)
    if share is not None and share < HERE:
        return f"This report judges {patients}; this workspace holds {100 * share:.0f}{THIN}% of their ECGs."
    return ""


def report_provenance(report: Report) -> str:
    """One line for a figure or table: patients, archive, version, date, model, weights, synthetic, research use."""
    counts, data = report.data["counts"], report.data
    source = (
        f"{', '.join(data.get('cohorts', []))}, {counts.get('patients')} {report.split} patients, archive "
        f"{str(data.get('workspace', ''))[:8]}, version {data.get('version', '')}"
    )
    made = str(data.get("created_at", ""))[:10]
    weights = str(report.model.get("sha256", ""))[:12]
    source += (f", {made}" if made else "") + (f" · weights {weights}" if weights else "")
    return provenance_line({"model": {**report.model, "synthetic": report.synthetic}}, source)


def chart_file(report: Report, chart: Chart, kind: str, print_as: Print = DEFAULT_PRINT) -> bytes:
    """A chart as SVG, PDF or PNG with title and provenance in the picture and in the file."""
    provenance, title = report_provenance(report), f"{chart.full_title}. {report.model['name']}"
    figure = chart.draw(Frame(title=title, footer=provenance, column=print_as.column))
    return figure_file(figure, kind, title=title, provenance=provenance, dpi=print_as.dpi)


def report_files(
    report: Report,
    kinds: tuple[str, ...] = FIGURE_FORMATS,
    progress: Progress = silent,
    print_as: Print = DEFAULT_PRINT,
) -> Iterator[tuple[str, bytes]]:
    """Every file of the report folder as (path inside it, content); `kinds` are the formats of its figures."""
    progress(0.0, "report.html")
    provenance, tables = report_provenance(report), all_tables(report)
    yield "report.html", html_page(report).encode()
    yield "PROVENANCE.txt", provenance_text(report).encode()
    for table in tables:
        yield f"tables/{table.name}.csv", table_csv(table).encode()
        yield f"tables/{table.name}.xlsx", table_xlsx(table, provenance_rows(report))
        yield f"tables/{table.name}.tex", f"% {provenance}\n{table_latex(table)}".encode()
    yield "tables/all-tables.tex", latex_document([table.name for table in tables], provenance).encode()
    charts = all_charts(report)
    for done, chart in enumerate(charts if kinds else ()):
        progress(0.1 + 0.9 * done / len(charts), f"figures/{chart.name}")
        for kind in kinds:
            yield f"figures/{chart.name}.{kind}", chart_file(report, chart, kind, print_as)
    progress(1.0, "done")


def provenance_text(report: Report) -> str:
    """Where every number of the folder comes from, one fact a line; also beside the CSV files, which hold data only."""
    facts = "\n".join(f"{label}: {value}" for label, value in provenance_rows(report))
    synthetic = "Synthetic: these numbers say nothing about real patients.\n" if report.synthetic else ""
    return f"{facts}\n{synthetic}{RESEARCH_ONLY}\n"


def write_report_folder(
    report: Report,
    out: Path,
    progress: Progress = silent,
    print_as: Print = DEFAULT_PRINT,
    kinds: tuple[str, ...] = FIGURE_FORMATS,
) -> Path:
    """Write report.html, tables/ (CSV, Excel, LaTeX) and figures/ (SVG, PDF, PNG) into a folder; returns the HTML's
    path.

    Raises:
        StoreError: the folder cannot be written.
    """
    try:
        for name, content in report_files(report, kinds, progress, print_as):
            path = out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        raise StoreError(
            f"The folder {out.name} cannot be written ({error.strerror}).", "Name another with --out."
        ) from error
    return out / "report.html"


def file_stem(report: Report) -> str:
    """How the files of a report are called: by model, and by split where that is not the test patients."""
    return f"report-{report.model['id']}{'' if report.split == 'test' else f'-{report.split}'}"


def report_zip(report: Report, kinds: tuple[str, ...] = FIGURE_FORMATS, print_as: Print = DEFAULT_PRINT) -> bytes:
    """The report folder as one zip, its figures in these formats."""
    buffer, stem = io.BytesIO(), file_stem(report)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in report_files(report, kinds, print_as=print_as):
            archive.writestr(f"{stem}/{name}", content)
    return buffer.getvalue()
