"""Cohorts: who is in this workspace? Counts, patients in time, what is missing, corrections, two cohorts compared."""

import streamlit as st

from pages.ui.cohorts import (
    cohort_session,
    comparing,
    correcting,
    distributions,
    lists,
    looked_up,
    missing,
    patient_panel,
)
from pages.ui.errors import errors_in_words

TABS = ("Distributions", "Compare two", "Missing and passed over", "Corrections")

found = looked_up.cohorts()
actions = lists.head(found)
if not found:
    lists.nothing_here()
    st.stop()

left, right = st.columns((470, 682), gap=28)
cohort, patient_id = found[0].name, None
with left, st.container(key="cohort_lists"), errors_in_words():
    cohort = lists.cohort_table(found)
    patient_id = lists.patient_table(cohort)
with right, st.container(key="cohort_patient"), errors_in_words():
    if patient_id is not None:
        patient_panel.show(patient_id)
with actions, errors_in_words():
    lists.cohort_actions(cohort)

tabs = st.container(key="cohort_tabs").tabs(TABS, key=cohort_session.TAB_KEY, on_change="rerun", bind="query-params")
draw = {
    "Distributions": lambda: distributions.table(cohort),
    "Compare two": lambda: comparing.compare(cohort, [c.name for c in found]),
    "Missing and passed over": lambda: missing.tables(cohort),
    "Corrections": correcting.history,
}
for name, tab in zip(TABS, tabs, strict=True):
    if tab.open:
        with tab, errors_in_words():
            draw[name]()
