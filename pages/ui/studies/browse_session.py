"""What one visitor chose on Similar studies; each key behind a typed function, as in session.py."""

import streamlit as st

from echo2ecg_core.answers.search import Filters

STUDY_PARAMETER = "study"
BESIDE_PARAMETER = "beside"

READER_KEY = "reader_name"

_FILTERS = "study_filters"
_OTHERS_ONLY = "others_only"
_ROUND = "hit_round"
_ROW = "hit_row"


def start_study() -> str | None:
    """The study the visitor starts from instead of an ECG; only the address holds it, so leaving the page ends it."""
    return st.query_params.get(STUDY_PARAMETER)


def start_from(study_id: str | None) -> None:
    """Start from this study (None: from the ECG again)."""
    st.session_state[_ROW] = 0
    st.query_params.pop(STUDY_PARAMETER, None)
    if study_id:
        st.query_params[STUDY_PARAMETER] = study_id


def filters() -> Filters:
    """The filters that hold; at first none, so that page and terminal list the same studies."""
    return st.session_state.get(_FILTERS, Filters())


def set_filters(chosen: Filters) -> None:
    """Keep other filters; the first of the new hits opens."""
    st.session_state[_FILTERS] = chosen
    st.session_state[_ROW] = 0


def leaves_out_own_patient() -> bool:
    """True when the visitor wants the ECG's own patient left out of the hits."""
    return bool(st.session_state.get(_OTHERS_ONLY, False))


def leave_out_own_patient(others_only: bool) -> None:
    """Whether the ECG's own patient is left out of the hits."""
    st.session_state[_OTHERS_ONLY] = others_only


def beside() -> str | None:
    """The study that lies beside whichever is open, None while there is none; the address holds it."""
    return st.query_params.get(BESIDE_PARAMETER)


def lay_beside(study_id: str | None) -> None:
    """Lay this study beside the open ones (None: none)."""
    st.query_params.pop(BESIDE_PARAMETER, None)
    if study_id:
        st.query_params[BESIDE_PARAMETER] = study_id


def reader() -> str:
    """The name under which this visitor marks hits, "" before it was given."""
    name = st.session_state.get(READER_KEY, "").strip()
    st.session_state[READER_KEY] = name  # the field may not be drawn at the next rerun; its value stays
    return name


def hit_row() -> int:
    """Which row of the hits opens first."""
    return st.session_state.get(_ROW, 0)


def hit_round() -> int:
    """Number that names the hit table; a new number is a table with the row of `hit_row` chosen."""
    return st.session_state.get(_ROUND, 0)


def move_hit(by: int, row: int, n_hits: int) -> None:
    """Open the hit `by` rows further than `row`."""
    st.session_state[_ROW] = min(n_hits - 1, max(0, row + by))
    st.session_state[_ROUND] = hit_round() + 1
