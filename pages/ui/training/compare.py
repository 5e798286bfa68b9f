"""Several runs beside one another: their curves over one another, the settings that differ, the figure for a paper."""

import pandas as pd
import streamlit as st

from echo2ecg_core.figures.export import figure_file, provenance_line
from echo2ecg_core.figures.learning_curves import MOST_RUNS, RunCurves, learning_curves_figure, shown_metrics
from echo2ecg_core.figures.notation import DASH
from echo2ecg_core.reports.contents import fingerprint
from echo2ecg_core.reports.folder import Print
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.training import runs
from echo2ecg_core.version import program_version
from pages.ui import print_as
from pages.ui.errors import errors_in_words
from pages.ui.report.charts.show import show_charts
from pages.ui.scheme import scheme
from pages.ui.training import form as training_form

TITLE = "Learning curves"


@st.dialog("Runs side by side", width="large")
def compare(workspace: Workspace, names: list[str]) -> None:
    """Open the comparison of some runs, as they are now."""
    scheme.follow("compared_scheme")
    with errors_in_words():
        table = runs.compare(workspace, names)
        lines = run_curves(workspace, names)
        _curves(lines)
        st.dataframe(
            table.map(_cell).rename_axis("").reset_index(),
            hide_index=True,
            row_height=29,
            height="content",
            alt="Comparison of runs",
        )
        st.caption("Settings that differ, then the last epoch of each. Recall is of validation patients.")
        if shown_metrics(lines):
            with st.popover("Curves as a figure", icon=":material/download:"):
                chosen = print_as.controls()
                print_as.buttons(
                    "learning-curves", lambda kind: curves_file(workspace, lines, kind, chosen), "learning_curves"
                )


def run_curves(workspace: Workspace, names: list[str]) -> list[RunCurves]:
    """Curves of these runs, each named by its settings."""
    found = [runs.run(workspace, name) for name in names]
    return [RunCurves(_label(run), runs.learning_curves(run)) for run in found]


def _label(run: runs.Run) -> str:
    words = f"{run.name}: {runs.setting_words(run.settings)}"
    return words if len(words) <= 56 else f"{words[:55]}…"


def _curves(lines: list[RunCurves]) -> None:
    from echo2ecg_core.figures.chart import DARK, LIGHT, Frame, inline_svg

    if not shown_metrics(lines):
        st.caption("None of these runs has finished an epoch.")
        return
    if len(lines) > MOST_RUNS:
        st.caption(f"The first {MOST_RUNS} of {len(lines)} are drawn.")
    dark = scheme.is_dark()
    figure = learning_curves_figure(lines[:MOST_RUNS], Frame(DARK if dark else LIGHT))
    alt = f"Learning curves of {', '.join(line.label.partition(':')[0] for line in lines)}"
    show_charts([(TITLE, "by epoch, one line a run", inline_svg(figure, alt))], key="learning_curves_chart")


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


def _cell(value) -> str:
    return DASH if value is None or value != value else f"{value:.4g}" if isinstance(value, float) else str(value)
