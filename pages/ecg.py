"""ECG: what does this tracing suggest? The paper first, then doubt, then the estimate with its evidence."""

import streamlit as st

from pages.ui import panels, resources, session
from pages.ui.ecg import (
    batch,
    carrying,
    earlier,
    evidence,
    lvef_card,
    measures,
    phenotype_table,
    second_readers,
    signal_tables,
    surroundings,
    upload,
)
from pages.ui.ecg import paper_panel as ecg_panel
from pages.ui.errors import errors_in_words

TABS = (
    "Phenotypes",
    "Why this estimate",
    "Second readers",
    "Median beats",
    "Earlier ECG",
    "Measurements and signal",
    "Provenance",
)


def estimate(record, card, places) -> None:
    """Everything that waits for the prediction, into the places that the page kept for it."""
    export_place, notice_place, card_place, below = places
    prediction = report = None
    with errors_in_words(), notice_place, st.spinner(surroundings.waiting_text(card, record), show_time=True):
        if card is not None:
            prediction = resources.prediction(record, card, insist=session.insists())
            report = prediction.as_json()
    with export_place:
        ecg_panel.export_menu(record, prediction)
    if report is None:
        surroundings.nothing_predicted(card_place, notice_place, card)
        return
    with notice_place:
        surroundings.notice(report)
    with card_place:
        st.html(lvef_card.lvef_card(report))
        surroundings.swap_button(record, report)
        line_place = st.container(key="second_readers_line")
        surroundings.studies_button(report, card)
    with below:
        st.html(measures.measures_strip(report))
        tabs = st.tabs(TABS, key=session.TAB_KEY, bind="query-params")
        phenotypes, why, second, beats, before, signal, provenance = tabs
        with phenotypes:
            st.html(panels.scrolling(phenotype_table.phenotype_table(report), "Phenotypes"))
        with why:
            evidence.why(report)
            if why.open:  # drawn for who looks: with many visitors they would keep everybody waiting
                evidence.papers(report["neighbours"])
            with st.container(key="carrying"):
                carrying.draw(record, report, card)
        second_readers.draw(second, line_place, record, card, prediction)
        with beats:
            if beats.open:
                ecg_panel.beats_panel(record)
                ecg_panel.waves_panel(record)
        with before, st.container(key="earlier"):
            earlier.draw(record, report, card, is_open=bool(before.open))
        with signal:
            left, right = st.columns(2, gap="medium")
            left.html(panels.scrolling(signal_tables.measurement_table(report), "Measurements"))
            right.html(panels.scrolling(signal_tables.lead_table(report), "Signal quality"))
        with provenance:
            evidence.provenance(record, report, card)


record, card = session.current_ecg(), resources.active_model()
with st.container(key="page_head", horizontal=True, vertical_alignment="center", gap="small"):
    panels.title("ECG", record.source if record else "")
    panels.badges(card is not None and card.synthetic, record)
    st.space("stretch")
    if record is not None:
        with st.container(
            key="ecg_actions", horizontal=True, gap="small", vertical_alignment="center", width="content"
        ):
            batch.step_buttons(record)
            upload.load_another()
            export_place = st.container(width="content")

welcome_place = st.empty()  # of its own: else what stands there would lie in the line of facts while the ECG is read
if record is None:
    with welcome_place.container():
        upload.welcome()
    st.stop()

surroundings.facts_line(record)
batch_place = st.container()
notice_place = st.container(key="notice_place")
left, right = st.columns((786, 370), gap=20)
with left:
    ecg_panel.ecg_panel(record)
card_place = right.container(border=True, key="lvef_card")
estimate(record, card, (export_place, notice_place, card_place, st.container(key="below")))
with batch_place:
    batch.draw(record, card)
