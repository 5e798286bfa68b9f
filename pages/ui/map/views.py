"""The menu of kept views above the map: what is set is kept under a name, shown again, and forgotten."""

import streamlit as st

from echo2ecg_core.answers import maps as explore
from echo2ecg_core.figures.map_colours import kept_cohort
from echo2ecg_core.store import kept_cohorts, map_views
from echo2ecg_core.store.map_views import MapView
from echo2ecg_core.store.model_registry import ModelCard
from pages.ui import admin_gate, resources
from pages.ui.errors import errors_in_words, plain
from pages.ui.map import map_session

SENT = "The address of this page holds what is set, too: whoever opens it sees the same."


def menu(card: ModelCard, layout: str, colour: str) -> None:
    """The views of the workspace, and for who may a field to keep what is set now."""
    kept, may_keep = map_views.kept(resources.workspace()), admin_gate.allows("keep a view")
    if not kept and not may_keep:
        return
    # another key is a menu that is closed: once a view is shown, and once one is kept
    key = f"views_{map_session.map_round()}_{len(kept)}"
    with st.popover("Views", icon=":material/bookmarks:", key=key), st.container(key="view_list"), errors_in_words():
        for name, view in kept.items():
            _row(name, view, card, may_keep)
        if may_keep:
            _keep_field(MapView(layout, colour, *map_session.set_now(), model_id=card.model_id), len(kept))
        st.caption(SENT)


def _row(name: str, view: MapView, card: ModelCard, may_forget: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            plain(name),
            key=f"view_{name}",
            icon=":material/bookmark:",
            type="tertiary",
            width="stretch",
            on_click=_show,
            args=(name, view, card),
        )
        if may_forget:
            st.button("Forget", key=f"forget_view_{name}", type="tertiary", on_click=_forget, args=(name,))


def _keep_field(view: MapView, n_kept: int) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        field = f"view_name_{n_kept}"
        st.text_input("Keep this view as", key=field, max_chars=map_views.LONGEST_NAME, width=200)
        st.button("Keep", type="primary", icon=":material/check:", key="keep_view", on_click=_keep, args=(field, view))


@admin_gate.asks("keep a view")
def _keep(field: str, view: MapView) -> None:
    with errors_in_words():
        name = map_views.keep(resources.workspace(), st.session_state[field], view, who=admin_gate.name())
        st.toast(f"The view “{plain(name)}” is kept for everybody of this workspace.", icon=":material/bookmark_added:")


@admin_gate.asks("keep a view")
def _forget(name: str) -> None:
    with errors_in_words():
        map_views.forget(resources.workspace(), name)
        st.toast(f"The view “{plain(name)}” is forgotten.", icon=":material/bookmark_remove:")


def _show(name: str, view: MapView, card: ModelCard) -> None:
    """Set the controls as they were; what is gone since then is told and left out."""
    known, lacking = kept_cohorts.names(resources.workspace()), []
    layout, cohort, colour, seen = view.layout, view.cohort, view.colour, view.seen
    if layout not in explore.layouts(card):
        lacking.append("this model’s map has no such points")
        layout, seen = explore.layouts(card)[0], ()
    elif view.model_id != card.model_id:
        lacking.append("it was kept on another model’s map, so all of this one is shown")
        seen = ()
    if cohort and cohort not in known:
        lacking.append(f"the cohort {plain(cohort)} is gone, so all cohorts are shown")
        cohort = ""
    if (coloured_by := kept_cohort(colour)) and coloured_by not in known:
        lacking.append(f"the cohort {plain(coloured_by)}, which coloured it, is gone")
        colour = ""
    map_session.show(layout, colour, cohort, view.clusters, view.sought, seen)
    map_session.tell(f"The view “{plain(name)}” is not what it was: {'; '.join(lacking)}." if lacking else "")
