"""The case report of the ECG on the page, as a PDF."""

import streamlit as st

from echo2ecg_core.ecg.record import EcgRecord
from pages.ui import resources, session


def case_report_button(record: EcgRecord, stem: str) -> None:
    """Hands over the case report; it is made when it is asked for."""
    card = resources.active_model()
    if card is None:
        return
    prediction = resources.prediction(record, card, insist=session.insists())
    workspace, without_wander = resources.workspace(), session.removes_wander()

    def make() -> bytes:
        from echo2ecg_core.reports.case_report import case_report

        return case_report(record, prediction, workspace, without_wander=without_wander)

    st.download_button(
        "Case report (PDF, 3 pages)",
        make,
        f"{stem}-case.pdf",
        "application/pdf",
        key="download_case_report",
        type="tertiary",
        on_click="ignore",
        width="stretch",
    )
