"""What leaves the report as a file: one figure of the open tab, or everything as a zip, for a column of a journal."""

import streamlit as st

from echo2ecg_core.figures.export import FIGURE_FORMATS
from echo2ecg_core.reports.charts import Chart
from echo2ecg_core.reports.document import Report
from echo2ecg_core.reports.folder import Print, chart_file, file_stem
from pages.ui import print_as as print_as_controls
from pages.ui.in_words import in_words
from pages.ui.report import looked_up, report_session

ZIP_WORDS = "One HTML file, tables as CSV, Excel and LaTeX, figures as chosen here."


def actions(place, report: Report, state: tuple, charts: list[Chart]) -> None:
    """One popover: how figures are printed, a figure of the open tab, the whole report as a zip."""
    stem = file_stem(report)
    with place, st.popover("Export", icon=":material/download:"), st.container(key="export_list"):
        print_as = print_as_controls.controls()
        if charts:
            _figure(report, charts, stem, print_as)
        kinds = st.pills(
            "Figures in the zip",
            FIGURE_FORMATS,
            default=FIGURE_FORMATS[:2],
            selection_mode="multi",
            format_func=str.upper,
            key="zip_formats",
        )
        st.download_button(
            "Whole report (ZIP)",
            lambda: looked_up.report_zip(state, tuple(kinds), print_as.column, print_as.dpi, report),
            f"{stem}.zip",
            "application/zip",
            key="report_zip",
            type="tertiary",
            on_click="ignore",
            width="stretch",
        )
        st.caption(ZIP_WORDS)


def _figure(report: Report, charts: list[Chart], stem: str, print_as: Print) -> None:
    titles = {chart.name: chart.full_title for chart in charts}
    name = st.selectbox("Figure", list(titles), format_func=in_words(titles), key=report_session.FIGURE_KEY)
    chart = next((c for c in charts if c.name == name), None)
    if chart:
        print_as_controls.buttons(
            f"{stem}-{chart.name}", lambda kind: chart_file(report, chart, kind, print_as), "figure"
        )
