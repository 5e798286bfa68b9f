"""Taking data out again: a cohort, a patient, a study or an ECG, after a look at what goes with it."""

import streamlit as st

from echo2ecg_core.counts import counted
from echo2ecg_core.intake.removal import Removed, look, remove
from pages.ui import admin_gate, resources
from pages.ui.cohorts import cohort_session
from pages.ui.errors import errors_in_words, plain

KINDS = {"cohort": "cohort", "patient": "patient", "study": "study", "ecg": "ECG"}


def button(kind: str, id: str, label: str) -> None:
    """The button that asks first; only who may take out sees it."""
    if admin_gate.allows("remove") and st.button(label, icon=":material/delete:", key=f"remove_{kind}"):
        _confirm(kind, id)


@st.dialog("Take out of the workspace")
def _confirm(kind: str, id: str) -> None:
    """What goes, and the button that does it."""
    with errors_in_words():
        goes = look(resources.workspace(), kind, id)
        st.markdown(f"The {KINDS[kind]} **{plain(id)}** and what belongs to it:")
        st.markdown(_words(goes))
        if st.button("Take out", type="primary", icon=":material/delete:", key="remove_now"):
            _remove(kind, id)


@admin_gate.asks("remove")
def _remove(kind: str, id: str) -> None:
    done = remove(resources.workspace(), **{kind: id}, who=admin_gate.name())
    cohort_session.tell(done.sentence())
    if kind in ("cohort", "patient") or done.patients:
        cohort_session.open_patient(None)
    st.rerun()


def _words(goes: Removed) -> str:
    told = (
        counted(goes.patients, "patient"),
        counted(goes.studies, "study", "studies"),
        counted(goes.clips, "clip"),
        counted(goes.ecgs, "ECG"),
    )
    words = ", ".join(f"**{one}**" for one in told)
    return (
        f"{words} will go, with their labels, files, vectors and corrections. Maps that show them have to be drawn "
        "again; reports and readouts will say that they are older. This cannot be undone."
    )
