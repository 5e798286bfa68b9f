"""The case report of the ECG on the page, as a PDF."""

from typing import TYPE_CHECKING

import streamlit as st

from echo2ecg_core.ecg.record import EcgRecord
from pages.ui import resources, session

if TYPE_CHECKING:
    from echo2ecg_core.answers.predict import Prediction


def case_report_button(record: EcgRecord, prediction: "Prediction", stem: str) -> None:
    """Hands over the case report; it is made when it is asked for."""
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
