"""Taking data out again: a cohort, a patient, a study or an ECG, after a look at what goes."""

import streamlit as st

from echo2ecg_core.intake.removal import Removed, look, remove
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from pages.ui import admin_gate
from pages.ui.archive import import_session
from pages.ui.errors import errors_in_words, plain

KINDS = {"cohort": "Cohort", "patient": "Patient", "study": "Echo study", "ecg": "ECG"}


def removing(workspace: Workspace) -> None:
    """What to take out, what goes with it, and the button that does it."""
    if not workspace.exists() or not (cohorts := Catalog(workspace).cohorts()):
        return
    with st.expander("Take data out again", icon=":material/delete:"):
        kind = st.segmented_control(
            "What", list(KINDS), format_func=KINDS.get, default="cohort", required=True, key="remove_kind"
        )
        if kind == "cohort":
            id = st.selectbox("Which", cohorts, index=None, key="remove_cohort", placeholder="Name of the cohort")
        else:
            id = st.text_input("Its id, as the pages show it", key=f"remove_{kind}").strip()
        with errors_in_words():
            if id:
                st.html(f"<div class='e2e-plan'>{_words(look(workspace, kind, id))}</div>")
                if st.button("Take out", icon=":material/delete:", key="remove_now"):
                    _remove(workspace, kind, id)
    if done := import_session.removed():
        st.success(plain(done), icon=":material/check:")


@admin_gate.asks("remove")
def _remove(workspace: Workspace, kind: str, id: str) -> None:
    import_session.tell_removed(remove(workspace, **{kind: id}).sentence())
    st.rerun()


def _words(goes: Removed) -> str:
    return (
        f"<b>{goes.patients:,} patients</b>, <b>{goes.studies:,} studies</b> with {goes.clips:,} clips and "
        f"<b>{goes.ecgs:,} ECGs</b> will go, with their files and vectors. This cannot be undone."
    )
