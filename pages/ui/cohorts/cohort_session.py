"""What a visitor looks at on the Cohorts page: cohort and patient stand in the address; each key behind a function."""

import streamlit as st

COHORT_KEY, PATIENT_KEY, TAB_KEY = "cohort", "patient", "tab"
LACKING_KEY, SOUGHT_KEY = "cohort_lacking", "cohort_sought"
OTHER_KEY = "cohort_other"
_PAGE, _ROUND, _TOLD = "cohort_page", "cohort_round", "cohort_told"


def cohort() -> str | None:
    """The cohort that is looked at, as the address has it."""
    return st.query_params.get(COHORT_KEY)


def look_at(name: str | None) -> None:
    """Look at another cohort, from its first patient on."""
    st.query_params.pop(PATIENT_KEY, None)
    st.query_params.pop(COHORT_KEY, None)
    if name:
        st.query_params[COHORT_KEY] = name
    go_to_page(0)


def patient() -> str | None:
    """The patient that is looked at, as the address has it."""
    return st.query_params.get(PATIENT_KEY)


def open_patient(patient_id: str | None) -> None:
    """Look at another patient."""
    st.query_params.pop(PATIENT_KEY, None)
    if patient_id:
        st.query_params[PATIENT_KEY] = patient_id
    st.session_state[_ROUND] = table_round() + 1


def page() -> int:
    """Which page of the patients is shown, from 0."""
    return st.session_state.get(_PAGE, 0)


def go_to_page(number: int) -> None:
    """Show another page of the patients."""
    st.session_state[_PAGE] = max(0, number)


def table_round() -> int:
    """Number that names the tables; a new number is a table without a click."""
    return st.session_state.get(_ROUND, 0)


def clicked_row(key: str) -> int | None:
    """The row of a table in which a cell or the row was clicked."""
    chosen = st.session_state.get(key, {}).get("selection", {})
    cells, rows = chosen.get("cells", ()), chosen.get("rows", ())
    return cells[0][0] if cells else rows[0] if rows else None


def tell(sentence: str) -> None:
    """Keep what was just done for the next run of the page."""
    st.session_state[_TOLD] = sentence


def told() -> str | None:
    """What was just done, once."""
    return st.session_state.pop(_TOLD, None)
