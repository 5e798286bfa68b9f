"""What the tabs of the report hold: charts side by side, tables below, a sentence where a report has none."""

from html import escape

import streamlit as st

from echo2ecg_core.figures.tables import Table, table_html
from echo2ecg_core.reports import charts, comparison, tables
from echo2ecg_core.reports.charts import Chart
from echo2ecg_core.reports.document import Report
from echo2ecg_core.reports.findings_table import MIXES_WORDS
from echo2ecg_core.reports.folder import evaluated_models
from echo2ecg_core.reports.html_page import (
    READERS_WORDS,
    READY_WORDS,
    likeness_words,
    outside_words,
    provenance_rows,
    readout_note,
)
from pages.ui import panels, resources
from pages.ui.errors import sentence
from pages.ui.in_words import in_words
from pages.ui.report import looked_up, report_session
from pages.ui.report.charts.show import show_charts
from pages.ui.scheme import scheme

TABS = ("Classification", "Regression", "Retrieval", "Intervals", "Leakage checks", "Provenance")
WORD_JOINER = "\u2060"
ALWAYS = "on the same patients; random initialisation and hand-made features are always listed"


def classification(report: Report, finding: str, readout: str, state: tuple, names: dict[str, str]) -> list[Chart]:
    """ROC, calibration, subgroups; the models; every score and the paired differences."""
    drawn = charts.finding_charts(report, finding, readout)
    _show(drawn, (*state, finding, readout), "classification")
    if report.data["tasks"][finding]["kind"] != "binary":
        st.caption("ROC and calibration are drawn for findings of two classes.")
    _models_head(report, readout, names)
    _table(comparison.models_table(report, finding, readout), "e2e-models", caption=False)
    differences = charts.difference_chart(report, finding, readout)
    st.html("<h2 class='e2e-heading e2e-later'>Every score</h2>")
    _table(tables.finding_scores_table(report, finding), "e2e-every", caption=False)
    _show([differences] if differences else [], (*state, finding, readout), "differences")
    _cohorts(report, finding)
    if (ready := tables.ready_table(report)).rows:
        st.html("<h2 class='e2e-heading e2e-later'>Ready models</h2>")
        st.caption(READY_WORDS)
        _table(ready, "e2e-every", caption=False)
    if (mixes := tables.mixes_table(report)).rows:
        st.html("<h2 class='e2e-heading e2e-later'>Combined estimates</h2>")
        st.caption(MIXES_WORDS)
        _table(mixes, "e2e-every", caption=False)
    return [*drawn, *([differences] if differences else [])]


def _cohorts(report: Report, task: str) -> None:
    """Every encoder on each cohort alone, where there are several."""
    table = tables.cohorts_of_task(report, task)
    if table.rows:
        st.html(
            "<h2 class='e2e-heading e2e-later'>Each cohort alone "
            f"<span>{escape(report.data['tasks'][task]['label'])}</span></h2>"
        )
        _table(table, "e2e-every", caption=False)


def _models_head(report: Report, readout: str, names: dict[str, str]) -> None:
    """Heading of the models table and the way to set other evaluated models beside."""
    with st.container(key="models_head", horizontal=True, vertical_alignment="center", gap="small"):
        n = len(report.encoders(readout))
        st.html(f"<h2 class='e2e-heading'>Models <span>{n} {ALWAYS}</span></h2>", width="content")
        st.space("stretch")
        others = [i for i in names if i != report.model["id"]]
        with st.popover(
            "Add model",
            icon=":material/add:",
            disabled=not others,
            help=None if others else "No other model of this workspace has a report.",
        ):
            st.multiselect("Models beside this one", others, key=report_session.BESIDE_KEY, format_func=in_words(names))
            absent = [
                names[i]
                for i in report_session.beside()
                if i in others and i not in evaluated_models(resources.workspace(), report.split)
            ]
            st.caption(
                "Only models evaluated on the same patients can be compared."
                + (f" No report on {report.split} patients yet: {', '.join(absent)}." if absent else "")
            )


def regression(report: Report, finding: str, readout: str, state: tuple) -> list[Chart]:
    """One value in pictures, all of them in a table."""
    tasks = report.regressions()
    if not tasks:
        st.caption("This report has no values.")
        return []
    names = list(tasks)
    first = report.regression_of(finding)
    with st.container(key="value_control", horizontal=True, vertical_alignment="center", gap="small"):
        st.html("<span class='e2e-control-label' aria-hidden='true'>Value</span>", width="content")
        task = st.selectbox(
            "Value",
            names,
            index=names.index(first) if first else 0,
            key=f"{report_session.VALUE_KEY}_{finding}",
            format_func=lambda name: tasks[name]["label"],
            label_visibility="collapsed",
            width=260,
        )
    drawn = charts.value_charts(report, task, readout)
    _show(drawn, (*state, task, readout), "regression")
    _table(tables.phenotypes_table(report, readout))
    if note := readout_note(report):
        st.caption(note)
    _cohorts(report, task)
    return drawn


def retrieval(report: Report, state: tuple) -> list[Chart]:
    """Recall both ways beside every retrieval score, or why there are none."""
    if left_out := next(
        (note for note in report.data.get("notes") or () if note.startswith("Retrieval is left out")), None
    ):
        st.caption(sentence(left_out))
        return []
    drawn = _chart_beside_table(
        charts.recall_chart(report), tables.retrieval_table(report), "", (*state, "", ""), "retrieval"
    )
    if (alike := tables.likeness_table(report)).rows:
        _table(alike)
        st.caption(likeness_words(report))
    readers = tables.readers_table(report)
    if readers.rows:
        _table(readers)
        st.caption(READERS_WORDS)
    return drawn


def intervals(report: Report, state: tuple) -> list[Chart]:
    """How many intervals hold, and how many ECGs lie outside the training data."""
    return _chart_beside_table(
        charts.coverage_chart(report),
        tables.intervals_table(report),
        outside_words(report),
        (*state, "", ""),
        "intervals",
    )


def _chart_beside_table(chart: Chart | None, table: Table, words: str, key: tuple, name: str) -> list[Chart]:
    if not table.rows:
        st.caption(f"This report has no {name}.")
        return []
    left, right = st.columns((373, 775), gap=28)
    with left:
        _show([chart] if chart else [], key, name)
    with right:
        _table(table)
        if words:
            st.caption(words)
    return [chart] if chart else []


def checks(report: Report) -> None:
    """What would make the scores too good, and what was found."""
    rows = "".join(
        f"<tr><th scope='row'>{escape(row['check'])}</th><td class='passed'><span "
        f"class='e2e-icon'>{'check' if row['ok'] else 'error'}</span>"
        f"{'passed' if row['ok'] else '<b>not passed</b>'}</td><td>{escape(row['found'])}</td></tr>"
        for row in report.section("leakage")
    )
    if not rows:
        st.caption("This report has no leakage checks.")
        return
    st.html(
        f"<table class='e2e-table'><thead><tr><th>Check</th><th>Result</th><th>Found</th></tr></thead><tbody>{rows}"
        f"</tbody></table>"
    )


def provenance(report: Report) -> None:
    """Where the numbers come from, and what every task means."""
    rows = "".join(
        f"<tr><th scope='row'>{escape(label)}</th><td>{escape(value)}</td></tr>"
        for label, value in provenance_rows(report)
    )
    st.html(f"<table class='e2e-table pairs'><tbody>{rows}</tbody></table>")
    _table(tables.tasks_table(report))


def beside(report: Report) -> list[Report]:
    """Reports of the models that the visitor set beside this one."""
    known = evaluated_models(resources.workspace(), report.split)
    return [
        looked_up.report(i, report.split) for i in report_session.beside() if i in known and i != report.model["id"]
    ]


def _show(drawn: list[Chart], key: tuple, name: str) -> None:
    if drawn:
        dark = scheme.is_dark()
        show_charts(
            [(c.title, c.note, resources.chart_svg((*key, c.name), dark, c)) for c in drawn], key=f"charts_{name}"
        )


def _table(table: Table, kind: str = "", caption: bool = True) -> None:
    shown = table if caption else Table(table.name, "", table.columns, table.rows)
    html = table_html(shown)
    if kind == "e2e-every":  # its cells break between a score and its interval, not within one
        html = html.replace("–", f"–{WORD_JOINER}").replace(" to ", "\u00a0to\u00a0")
    st.html(f"<div class='{kind}'>{panels.scrolling(html, table.caption or table.name)}</div>")
