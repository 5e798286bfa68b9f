"""The report of a model: read from the workspace, set beside others, written as a folder or a zip.

`evaluate` writes reports/<model>/report.json, of validation patients reports/<model>/validation/report.json. Nothing
here computes a score, but for the direct difference of two models. No torch: the page that shows it needs none.
"""

import io
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from echo2ecg_core.errors import StoreError
from echo2ecg_core.figures.chart import Frame
from echo2ecg_core.figures.export import FIGURE_FORMATS, figure_file, provenance_line
from echo2ecg_core.figures.notation import THIN
from echo2ecg_core.figures.scores import count
from echo2ecg_core.figures.tables import table_csv, table_latex
from echo2ecg_core.progress import Progress, silent
from echo2ecg_core.reports.charts import Chart, all_charts
from echo2ecg_core.reports.contents import changes, contents, fingerprint, judged_here
from echo2ecg_core.reports.document import Difference, Direct, Report, RowOf, parse_report
from echo2ecg_core.reports.html_page import html_page
from echo2ecg_core.reports.tables import all_tables
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.paths import PREDICTIONS_FILE, report_path
from echo2ecg_core.store.splits import JUDGED_SPLITS
from echo2ecg_core.version import program_version

HERE = 0.5  # share of the judged ECGs that makes a report one of this workspace


def evaluated_models(workspace: Workspace, split: str | None = None) -> list[str]:
    """Ids of the models that have a report (of this split; None: of any), the newest report first."""
    found = {}
    for one in JUDGED_SPLITS if split is None else (split,):
        for path in workspace.folder.glob(str(report_path(workspace, "*", one).relative_to(workspace.folder))):
            model_id = path.relative_to(workspace.folder / "reports").parts[0]
            found[model_id] = max(found.get(model_id, 0), path.stat().st_mtime)
    return sorted(found, key=found.get, reverse=True)


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
    return Report(parse_report(content, f"model {model_id}"))


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
    sentence = changes(report.data.get("contents") or {}, contents(workspace, report.model["id"]))
    if not sentence and report.data.get("workspace") != fingerprint(workspace):
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
        return f"It judges {patients}; this workspace holds {', '.join(here)}."
    share = judged_here(workspace, report.model["id"], report.split)
    if share is not None and share < HERE:
        return f"It judges {patients}; this workspace holds {100 * share:.0f}{THIN}% of their ECGs."
    return ""


def report_provenance(report: Report) -> str:
    """One line for a figure or table: patients, program version, model, synthetic mark, research use."""
    counts, data = report.data["counts"], report.data
    source = (
        f"{', '.join(data.get('cohorts', []))}, {counts.get('patients')} {report.split} patients, archive "
        f"{str(data.get('workspace', ''))[:8]}, version {data.get('version', '')}"
    )
    return provenance_line({"model": {**report.model, "synthetic": report.synthetic}}, source)


def chart_file(report: Report, chart: Chart, kind: str) -> bytes:
    """A chart as SVG, PDF or PNG with title and provenance in the picture and in the file."""
    provenance, title = report_provenance(report), f"{chart.title}, {report.model['name']}"
    return figure_file(chart.draw(Frame(title=title, footer=provenance)), kind, title=title, provenance=provenance)


def report_files(
    report: Report, kinds: tuple[str, ...] = FIGURE_FORMATS, progress: Progress = silent
) -> Iterator[tuple[str, bytes]]:
    """Every file of the report folder as (path inside it, content); `kinds` are the formats of its figures."""
    progress(0.0, "report.html")
    yield "report.html", html_page(report).encode()
    comment = f"% {report_provenance(report)}\n"
    for table in all_tables(report):
        yield f"tables/{table.name}.csv", table_csv(table).encode()
        yield f"tables/{table.name}.tex", (comment + table_latex(table)).encode()
    charts = all_charts(report)
    for done, chart in enumerate(charts):
        progress(0.1 + 0.9 * done / len(charts), f"figures/{chart.name}")
        for kind in kinds:
            yield f"figures/{chart.name}.{kind}", chart_file(report, chart, kind)
    progress(1.0, "done")


def write_report_folder(report: Report, out: Path, progress: Progress = silent) -> Path:
    """Write report.html, tables/ (CSV, LaTeX) and figures/ (SVG, PDF, PNG) into a folder; returns the HTML's path.

    Raises:
        StoreError: the folder cannot be written.
    """
    try:
        for name, content in report_files(report, progress=progress):
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


def report_zip(report: Report) -> bytes:
    """The report folder as one zip, its figures as SVG only: seconds instead of a minute."""
    buffer, stem = io.BytesIO(), file_stem(report)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in report_files(report, kinds=("svg",)):
            archive.writestr(f"{stem}/{name}", content)
    return buffer.getvalue()
