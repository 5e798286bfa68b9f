"""Map: where does it lie? Every ECG and study placed by the active model, the open ECG among them."""

import streamlit as st

from echo2ecg_core.answers import maps as explore
from echo2ecg_core.store.model_registry import ModelCard
from pages.ui import resources, session
from pages.ui.cohorts import kept
from pages.ui.errors import errors_in_words
from pages.ui.map import chart as map_chart
from pages.ui.map import looked_up, map_session
from pages.ui.map import panels as map_panels
from pages.ui.map import views as map_views
from pages.ui.part import part


@part
def drawn_map(card: ModelCard) -> None:
    """Controls, chart, and what is chosen on it."""
    if resources.active_model() != card:
        st.rerun()
    with st.container(key="map_controls", horizontal=True, gap="small", vertical_alignment="center"):
        layout = map_panels.layout_control(explore.layouts(card))
        map_session.begin((card.model_id, layout))
        of_points = card.model_id, layout, kept.map_cohort()
        points, facts = looked_up.map_points(*of_points), looked_up.map_facts(*of_points)
        points, colour = map_panels.coloured(points, facts, card, layout)
        found = map_panels.find_control(points)
        clusters = map_panels.cluster_control(card.model_id, layout)
        map_panels.whole_map()
        st.space("stretch")
        map_panels.redraw(looked_up.undrawn(card))
        map_views.menu(card, layout, colour)
        map_panels.export_menu(points, facts, colour, card, clusters)
    if told := map_session.told():
        st.info(told, icon=":material/bookmark:")
    left, right = st.columns((716, 434), gap=24)
    with left, errors_in_words():
        record = session.current_ecg()
        prediction = resources.prediction(record, card, insist=session.insists()) if record is not None else None
        you = map_panels.your_ecg(prediction, card, layout)
        inside = map_chart.chart(points, colour, you, found, clusters, (card.model_id, layout))
    with right, st.container(key="map_selection"):
        row = map_chart.opened(points, inside, found)
        if row is not None:
            map_panels.one_point(points, row)
        elif not inside.any():
            map_panels.nothing_selected(facts, layout, clusters)
        else:
            map_panels.selection(points, inside, looked_up.patients(*of_points), kept.keep_button)


active = resources.active_model()
map_panels.head(active)
if active is None or not explore.map_exists(resources.workspace(), active.model_id):
    map_panels.no_map(active)
else:
    drawn_map(active)
