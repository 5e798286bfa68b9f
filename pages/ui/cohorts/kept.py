"""A selection of the map kept as a cohort, and a cohort as a filter of the map and of Similar studies."""

from dataclasses import replace

import pandas as pd
import streamlit as st

from echo2ecg_core.counts import counted
from echo2ecg_core.store import jobs, kept_cohorts
from pages.ui import admin_gate, resources
from pages.ui.cohorts import cohort_session
from pages.ui.ecg.surroundings import STUDIES_PAGE
from pages.ui.errors import errors_in_words, plain
from pages.ui.map import map_session
from pages.ui.studies import browse_session

COHORTS_PAGE, MAP_PAGE, REPORT_PAGE = "pages/cohorts.py", "pages/map.py", "pages/report.py"
MADE_FROM = "A selection on the map"


def map_cohort() -> str:
    """The cohort that the map shows alone, chosen here; "" for all. Nothing to choose where there is one cohort."""
    names = kept_cohorts.names(resources.workspace())
    if len(names) < 2 and not map_session.cohort():
        return ""
    st.selectbox(
        "Cohort",
        names,
        index=None,
        key=map_session.MAP_COHORT_KEY,
        placeholder="All cohorts",
        label_visibility="collapsed",
        width=150,
        bind="query-params",
    )
    return map_session.cohort()


def keep_button(chosen: pd.DataFrame) -> None:
    """For who may: a name for the chosen points (columns id, modality), kept with who and when."""
    if not admin_gate.allows("keep a cohort"):
        return
    with st.popover("Save as cohort", icon=":material/bookmark_add:"), errors_in_words():
        name = st.text_input("Name", key="keep_name", max_chars=kept_cohorts.LONGEST_NAME)
        ecgs, studies = (list(chosen.id[chosen.modality == kind]) for kind in ("ECG", "study"))
        st.caption(_words(len(ecgs), len(studies)))
        if st.button("Save", type="primary", icon=":material/check:", key="keep_now"):
            _keep(name, ecgs, studies)


def _words(ecgs: int, studies: int) -> str:
    """What is kept, and what goes along."""
    if not studies:
        return f"{counted(ecgs, 'ECG')}, with the studies that {'it is' if ecgs == 1 else 'they are'} labelled by."
    if not ecgs:
        labels = "it labels" if studies == 1 else "they label"
        return f"{counted(studies, 'study', 'studies')}, with the ECGs that {labels}."
    return f"{counted(ecgs, 'ECG')} and {counted(studies, 'study', 'studies')}, as they were chosen."


@admin_gate.asks("keep a cohort")
def _keep(name: str, ecgs: list[str], studies: list[str]) -> None:
    kept = kept_cohorts.keep(resources.workspace(), name, ecgs, studies, who=admin_gate.name(), made_from=MADE_FROM)
    name = " ".join(name.split())
    cohort_session.tell(
        f"{name} is kept: {counted(len(kept.ecgs), 'ECG')} and {counted(len(kept.studies), 'study', 'studies')}. "
        f'It filters Similar studies and the map; in the terminal: evaluate --cohort "{name}", '
        f'train --set cohort="{name}".'
    )
    st.switch_page(COHORTS_PAGE, query_params={cohort_session.COHORT_KEY: name})


def use_buttons(cohort: str) -> None:
    """The cohort as a filter of the map and of Similar studies."""
    with st.popover("Use as a filter", icon=":material/filter_list:"):
        st.caption(f"Only {plain(cohort)}:")
        if st.button("Similar studies", icon=":material/video_library:", type="tertiary", key="filter_studies"):
            browse_session.set_filters(replace(browse_session.filters(), cohort=cohort))
            st.switch_page(STUDIES_PAGE)
        if st.button("Map", icon=":material/scatter_plot:", type="tertiary", key="filter_map"):
            map_session.look_afresh()
            st.switch_page(MAP_PAGE, query_params={map_session.MAP_COHORT_KEY: cohort})
        card = resources.active_model()
        if card is not None and admin_gate.allows("evaluate"):
            st.caption(
                f"A new report of {plain(card.name)} in place of the one there is, on this cohort's test patients:"
            )
            if st.button("Evaluate", icon=":material/query_stats:", type="tertiary", key="evaluate_cohort"):
                _evaluate(card.model_id, cohort)


@admin_gate.asks("evaluate")
def _evaluate(model_id: str, cohort: str) -> None:
    jobs.queue(resources.workspace(), "evaluate", {"model": model_id, "cohorts": [cohort]})
    jobs.start_worker(resources.workspace())
    st.switch_page(REPORT_PAGE)
