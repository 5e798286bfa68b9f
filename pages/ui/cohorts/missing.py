"""What a cohort lacks: facts that nothing told, files that an import passed over, files that were set aside."""

import pandas as pd
import streamlit as st

from echo2ecg_core.store.cohorts import LACKS
from pages.ui import admin_gate
from pages.ui.cohorts import looked_up


def tables(cohort: str) -> None:
    """Counts of what is missing, and the passed-over files by reason."""
    left, right = st.columns(2, gap=28)
    with left:
        _missing(cohort)
    with right:
        _passed_over(cohort)


def _missing(cohort: str) -> None:
    counts = {key: n for key, n in looked_up.missing(cohort).items() if n}
    st.html("<h2 class='e2e-section'>Missing or set aside</h2>")
    if not counts:
        st.caption("Nothing is missing: sex, age, dates, labels, clips with their views, and every file is whole.")
        return
    rows = "".join(
        f"<tr><th scope='row'>{words[:1].upper()}{words[1:]}</th><td class='num'>{counts[key]:,}</td></tr>"
        for key, (words, _, _) in LACKS.items()
        if key in counts
    )
    st.html(f"<table class='e2e-table'><tbody>{rows}</tbody></table>")
    st.caption("The list of patients above shows whom it concerns: choose there in place of *All patients*.")


def _passed_over(cohort: str) -> None:
    found = pd.DataFrame([row for row in looked_up.passed_over() if row["cohort"] == cohort])
    st.html("<h2 class='e2e-section'>Passed over at import</h2>")
    if found.empty:
        st.caption("No file of this cohort was passed over.")
        return
    reasons = found.reason.value_counts().rename_axis("Why").reset_index(name="Files")
    st.dataframe(reasons, hide_index=True, row_height=29, alt="Files that were passed over, by reason")
    if admin_gate.is_admin():
        st.caption("The Import page lists each file.")
