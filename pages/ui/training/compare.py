"""Several runs beside one another: their curves over one another, the settings that differ, the figure for a paper."""

from html import escape

import pandas as pd
import streamlit as st

from echo2ecg_core.figures.export import figure_file, provenance_line
from echo2ecg_core.figures.learning_curves import METRICS, MOST_RUNS, RunCurves, learning_curves_figure, shown_metrics
from echo2ecg_core.figures.notation import MISSING, number
from echo2ecg_core.reports.contents import fingerprint
from echo2ecg_core.reports.folder import Print
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.training import runs
from echo2ecg_core.version import program_version
from pages.ui import panels, print_as
from pages.ui.errors import errors_in_words
from pages.ui.report.charts.show import show_charts
from pages.ui.scheme import scheme
from pages.ui.training import form as training_form

TITLE = "Learning curves"
SETTINGS = {
    "batch_size": "Batch, pairs",
    "lr": "Learning rate",
    "within_days": "ECG and echo at most apart, days",
    "patients": "Patients",
    "pairs": "Pairs",
    "pooling": "Studies pooled by",
    "study.pooling": "Studies pooled by",
    "view_dropout": "Share of clips left out of a step",
    "same_patient_negatives": "Pairs of one patient are negatives",
}
RESULTS = {words[:1].upper() + words[1:] for words in runs.RESULTS.values()}


@st.dialog("Runs side by side", width="large")
def compare(workspace: Workspace, names: list[str]) -> None:
    """Open the comparison of some runs, as they are now."""
    scheme.follow("compared_scheme")
    with errors_in_words():
        table = runs.compare(workspace, names)
        lines = run_curves(workspace, names)
        _curves(lines)
        st.html(panels.scrolling(side_by_side(table), "Comparison of runs"))
        st.caption("Settings that differ, then the last epoch of each. Recall is of validation patients.")
        if shown_metrics(lines):
            with st.popover("Curves as a figure", icon=":material/download:"):
                chosen = print_as.controls()
                print_as.buttons(
                    "learning-curves", lambda kind: curves_file(workspace, lines, kind, chosen), "learning_curves"
                )


def run_curves(workspace: Workspace, names: list[str]) -> list[RunCurves]:
    """Curves of these runs, each named by the settings in which they differ."""
    found = [runs.run(workspace, name) for name in names]
    labels = runs.differing_first([run.settings for run in found], alone=True)
    return [RunCurves(_label(run, words), runs.learning_curves(run)) for run, words in zip(found, labels, strict=True)]


def _label(run: runs.Run, words: str) -> str:
    words = f"{run.name}: {words}"
    return words if len(words) <= 56 else f"{words[:55]}…"


def _curves(lines: list[RunCurves]) -> None:
    from echo2ecg_core.figures.chart import DARK, LIGHT, Frame, inline_svg

    if not shown_metrics(lines):
        st.caption("None of these runs has finished an epoch.")
        return
    if len(lines) > MOST_RUNS:
        st.caption(f"The first {MOST_RUNS} of {len(lines)} are drawn.")
    dark = scheme.is_dark()
    drawn = []
    for name in shown_metrics(lines):
        alone = [RunCurves(line.label, {k: v for k, v in line.curves.items() if k == name}) for line in lines]
        figure = learning_curves_figure(alone[:MOST_RUNS], Frame(DARK if dark else LIGHT))
        alt = f"{METRICS[name]} of {', '.join(line.label.partition(':')[0] for line in lines)}"
        drawn.append((METRICS[name], "by epoch, one line a run", inline_svg(figure, alt)))
    show_charts(drawn, key="learning_curves_chart")


def curves_file(workspace: Workspace, lines: list[RunCurves], kind: str, chosen: Print) -> bytes:
    """The curves as SVG, PDF or PNG with where they come from."""
    from echo2ecg_core.figures.chart import Frame

    names = ", ".join(line.label.partition(":")[0] for line in lines)
    made = f"{pd.Timestamp.now(tz='UTC'):%Y-%m-%d}"
    synthetic = any(training_form.learns_from_phantoms(runs.run(workspace, name)) for name in names.split(", "))
    names += " (synthetic)" if synthetic else ""
    source = f"{names}, workspace {fingerprint(workspace)}, version {program_version()}, {made}"
    provenance = provenance_line(None, source)
    figure = learning_curves_figure(lines[:MOST_RUNS], Frame(title=TITLE, footer=provenance, column=chosen.column))
    return figure_file(figure, kind, title=TITLE, provenance=provenance, dpi=chosen.dpi)


def side_by_side(table: pd.DataFrame) -> str:
    """HTML of a comparison: a column a run, a row for each setting that differs, then for each result, in words."""
    rows: dict[str, list[str]] = {}  # what was chosen and what came of it in the network are one row
    for name, values in table.iterrows():
        label = _words(str(name))
        cells = [_result(str(name), v) if label in RESULTS else _setting(v) for v in values]
        rows[label] = rows[label] if MISSING not in rows.get(label, [MISSING]) else cells
    body = "".join(
        f"<tr><th scope='row'>{escape(label)}</th>{''.join(f'<td class=num>{escape(c)}</td>' for c in cells)}</tr>"
        for label, cells in rows.items()
    )
    head = "".join(f"<th class='num'>{escape(str(name))}</th>" for name in table.columns)
    return f"<table class='e2e-table'><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>"


def _words(name: str) -> str:
    name = name.removeprefix("spec.")
    words = name.replace("ecg", "ECG").replace("_", " ").replace(".", ", ")
    return SETTINGS.get(name, words[:1].upper() + words[1:])


def _result(name: str, value) -> str:
    return number(None if pd.isna(value) else float(value), 0 if name == runs.RESULTS["median_rank"] else 2)


def _setting(value) -> str:
    return MISSING if value is None or value != value else f"{value:.4g}" if isinstance(value, float) else str(value)
