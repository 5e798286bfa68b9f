"""The filters of Similar studies: the popover that adds them and the pills that take them off again."""

import math
from collections.abc import Mapping
from datetime import date

import streamlit as st

from echo2ecg_core.answers.search import Candidates, Filters, filter_words
from echo2ecg_core.echo.clip import VIEWS
from echo2ecg_core.findings import CONDUCTIONS, RHYTHMS
from echo2ecg_core.phenotypes import GRADES, PHENOTYPES, written_as
from echo2ecg_core.store import kept_cohorts
from echo2ecg_core.store.splits import PATIENT_SPLITS
from pages.ui import resources
from pages.ui.in_words import in_words
from pages.ui.studies import browse_session

OWN_PATIENT = "Not the same patient"
AGES = (0, 110)


def controls(own_patient: str | None) -> None:
    """The popover and the pills; `own_patient`: of the open ECG, None where it is not known."""
    chosen = browse_session.filters()
    active = _active(chosen, own_patient)
    with st.container(key="study_filters", horizontal=True, gap="xsmall", vertical_alignment="center"):
        with st.popover("Filters", icon=":material/filter_list:"):
            _form(chosen, own_patient)
        if active:
            kept = st.pills(
                "Active filters",
                list(active),
                selection_mode="multi",
                default=list(active),
                key=f"pills_{hash(tuple(active))}",
                label_visibility="collapsed",
                format_func=lambda words: f"{words} ✕",
            )
            for words in active.keys() - set(kept):
                _take_off(words, active)


def no_hits(left: Candidates) -> None:
    """Which filter shut everything out, with the way back."""
    strictest, removes = max(left.removed.items(), key=lambda item: item[1], default=("", 0))
    st.info(
        f"No study passes these filters. The strictest is “{strictest}” (removes {removes}).",
        icon=":material/filter_list_off:",
    )
    if st.button("Reset it", type="tertiary") and strictest:
        _take_off(strictest, _active(browse_session.filters(), OWN_PATIENT))


def _active(chosen: Filters, own_patient: str | None) -> dict[str, Filters]:
    """Every filter that holds, in words, and what is left without it."""
    own = {OWN_PATIENT: chosen} if own_patient and browse_session.leaves_out_own_patient() else {}
    return own | filter_words(chosen)


def _take_off(words: str, active: dict[str, Filters]) -> None:
    if words == OWN_PATIENT:
        browse_session.leave_out_own_patient(False)
    browse_session.set_filters(active.get(words, browse_session.filters()))
    st.rerun()


def _form(chosen: Filters, own_patient: str | None) -> None:
    with st.form("filter_form", border=False):
        views = st.multiselect("Has the views", list(VIEWS), default=chosen.views, format_func=in_words(VIEWS))
        sex = _one_of("Sex", {"male": "male", "female": "female"}, chosen.sex)
        youngest, oldest = shown_ends(chosen.age_years or AGES, AGES, 0)
        age = st.slider("Age, years", *AGES, value=(int(youngest), int(oldest)))
        ranges = _range("lvef", chosen)
        rhythm = _one_of("Rhythm", RHYTHMS, chosen.rhythm)
        conduction = _one_of("Conduction", CONDUCTIONS, chosen.conduction)
        with st.expander("Other measured phenotypes", expanded=len(chosen.phenotypes.keys() - {"lvef"}) > 0):
            for name in PHENOTYPES:
                ranges |= {} if name == "lvef" else _range(name, chosen)
        cohorts = kept_cohorts.names(resources.workspace())
        cohort = _one_of("Cohort", dict(zip(cohorts, cohorts, strict=True)), chosen.cohort)
        split = _one_of("Split", {name: name for name in PATIENT_SPLITS}, chosen.split)
        days = _days(chosen)
        others_only = st.checkbox(
            OWN_PATIENT,
            browse_session.leaves_out_own_patient(),
            disabled=own_patient is None,
            help="Known when the open ECG is one of the workspace.",
        )
        if st.form_submit_button("Apply", type="primary"):
            browse_session.leave_out_own_patient(others_only)
            ages = None if age == AGES else open_ended(age, AGES, 0)
            browse_session.set_filters(
                Filters(None, tuple(views), sex, ages, ranges, rhythm, conduction, cohort, split, days)
            )
            st.rerun()


def _days(chosen: Filters) -> tuple[date | None, date | None] | None:
    """First and last day of the echo, either left open; None while both are."""
    first, last = chosen.dates or (None, None)
    left, right = st.columns(2)
    earliest, latest, form = date(1900, 1, 1), date(2100, 12, 31), "YYYY-MM-DD"
    first = left.date_input("Echo from", first, earliest, latest, format=form)
    last = right.date_input("Echo until", last, earliest, latest, format=form)
    return (first, last) if first or last else None


def _range(name: str, chosen: Filters) -> dict[str, tuple[float, float]]:
    """The slider of a measured phenotype; {} while it lets everything pass, so that unmeasured studies pass too."""
    phenotype = PHENOTYPES[name]
    low, high = (round(float(end), phenotype.decimals) for end in phenotype.axis)
    if phenotype.kind == "grade":
        low, high, step, label = 0.0, float(len(GRADES) - 1), 1.0, f"{phenotype.label}: {GRADES[0]} 0 to {GRADES[-1]} 3"
    else:
        step, label = 10.0**-phenotype.decimals, f"{phenotype.label}, {phenotype.unit}".rstrip(", ")
    kept = chosen.phenotypes.get(name, (low, high))
    form = "%.0f" if phenotype.kind == "grade" else f"%.{phenotype.decimals}f"
    value = st.slider(label, low, high, value=shown_ends(kept, (low, high), phenotype.decimals), step=step, format=form)
    return {} if value == (low, high) else {name: open_ended(value, (low, high), phenotype.decimals)}


def open_ended(chosen: tuple[float, float], axis: tuple[float, float], decimals: int) -> tuple[float, float]:
    """The values that a slider lets pass: all that are written as one between its ends, and whatever lies beyond the
    axis where an end stands at its end."""
    low, high = chosen
    return (
        -math.inf if low <= axis[0] else written_as(low, decimals)[0],
        math.inf if high >= axis[1] else written_as(high, decimals)[1],
    )


def shown_ends(passing: tuple[float, float], axis: tuple[float, float], decimals: int) -> tuple[float, float]:
    """Where the ends of the slider stand for what it lets pass (`open_ended`)."""
    low, high = (min(max(float(end), axis[0]), axis[1]) for end in passing)
    return round(low, decimals), round(high, decimals)


def _one_of(label: str, words: Mapping[str, str], chosen: str | None) -> str | None:
    """A choice of one key by its words, or none."""
    options = list(words)
    index = options.index(chosen) if chosen in options else None
    return st.selectbox(label, options, index=index, format_func=in_words(words), placeholder="any")
