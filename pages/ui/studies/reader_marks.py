"""A reader's word on the open hit, similar to the ECG or not, and who gave it; kept for all, exported as CSV."""

import streamlit as st

from echo2ecg_core.answers.search import Hit as SearchHit
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.figures.tables import csv_of
from echo2ecg_core.store import reader_marks
from echo2ecg_core.store.reader_marks import Hit
from pages.ui import admin_gate, resources
from pages.ui.studies import browse_session

QUESTION = "Similar to this ECG?"
UP = 1  # of st.feedback's thumbs


def controls(record: EcgRecord, hit: SearchHit, model_id: str) -> None:
    """Thumbs for the open hit, who marks, and what others said."""
    if not admin_gate.allows("mark a hit"):
        return
    which, reader = Hit(record.content_hash, hit.study_id, model_id), _reader()
    said = reader_marks.marks_of(resources.workspace(), which)
    if not reader:
        with st.popover(QUESTION, icon=":material/thumbs_up_down:"):
            st.text_input("Your name or initials", key=browse_session.READER_KEY, max_chars=60)
            st.caption("Stands beside your marks, seen by everybody who opens this workspace.")
        return
    key = f"mark_{abs(hash((which, reader)))}"
    own = said.get(reader)
    st.html(f"<span class='e2e-muted'>{QUESTION}</span>", width="content")
    st.feedback(
        "thumbs",
        key=key,
        default=None if own is None else int(own),
        on_change=_keep,
        args=(key, which, reader, hit.rank, hit.similarity),
    )
    others = [f"{name}: {'similar' if word else 'not'}" for name, word in said.items() if name != reader]
    if others:
        st.caption(" · ".join(others))


def _reader() -> str:
    """The name behind the login, else the one that was given on this page."""
    login = admin_gate.login()
    if login is not None and login.who not in admin_gate.NOBODY:
        return login.who
    return browse_session.reader()


@admin_gate.asks("mark a hit")
def _keep(key: str, which: Hit, reader: str, rank: int, similarity: float) -> None:
    word = st.session_state.get(key)
    if word is None:
        reader_marks.unmark(resources.workspace(), which, reader)
    else:
        reader_marks.mark(resources.workspace(), which, reader, word == UP, rank=rank, similarity=similarity)


def marks_csv() -> str:
    """Every mark of the workspace, one row each."""
    return csv_of(reader_marks.marks(resources.workspace()))
