"""Report: is the model any good? Scores on patients it has never seen, beside baselines that are always there."""

import streamlit as st

from echo2ecg_core.reports.document import Report
from echo2ecg_core.reports.folder import set_beside
from pages.ui import resources
from pages.ui.errors import errors_in_words
from pages.ui.report import downloads, looked_up
from pages.ui.report import panels as report_panels
from pages.ui.report import tabs as report_tabs
from pages.ui.report.report_session import TAB_KEY

card, names = resources.active_model(), report_panels.model_names()
own: Report | None = None
top = st.container(key="report_top")
if not names:
    with top:
        report_panels.head(card is not None and card.synthetic, None)
    report_panels.no_report(card)
    st.stop()

controls = st.container(key="report_controls", horizontal=True, gap="small", vertical_alignment="center")
with controls:
    model_id = report_panels.model_control(names, card)
    tasks = st.container(key="report_tasks", horizontal=True, gap="small", vertical_alignment="center", width="content")
    split = report_panels.split_control()
evaluated = report_panels.is_evaluated(model_id, split)
with errors_in_words():
    own = looked_up.report(model_id, split) if evaluated else None
with top:
    shown = own or card
    actions = report_panels.head(shown is not None and shown.synthetic, own)
if own is None:
    if evaluated:
        report_panels.evaluate_again(model_id, split)
    else:
        report_panels.no_split(model_id, names[model_id], split)
    st.stop()
report = own
with errors_in_words():
    report = set_beside(own, report_tabs.beside(own), looked_up.direct_difference)

state = tuple(looked_up.report_state(i, split) for i in (model_id, *(r.model["id"] for r in report.beside)))
with tasks:
    finding, readout = report_panels.task_controls(report)
with controls:
    report_panels.counts(report, finding)
report_panels.notices(report, card)
report_panels.headline_strip(report, finding, readout)
tabs = st.container(key="report").tabs(report_tabs.TABS, key=TAB_KEY, on_change="rerun", bind="query-params")
draw = {
    "Classification": lambda: report_tabs.classification(report, finding, readout, state, names),
    "Regression": lambda: report_tabs.regression(report, finding, readout, state),
    "Retrieval": lambda: report_tabs.retrieval(report, state),
    "Intervals": lambda: report_tabs.intervals(report, state),
    "Leakage checks": lambda: report_tabs.checks(report),
    "Provenance": lambda: report_tabs.provenance(report),
}
charts = []
for name, tab in zip(report_tabs.TABS, tabs, strict=True):
    if tab.open:
        with tab, errors_in_words():
            charts = draw[name]() or []
downloads.actions(actions, report, state, charts)
