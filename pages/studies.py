"""Similar studies: which hearts look alike? The ten nearest echo studies, one of them playing, and what they agree
on."""

import dataclasses

import streamlit as st

from echo2ecg_core.answers.search import candidates, nearest_ecgs, patient_of
from echo2ecg_core.answers.study_view import own_study
from echo2ecg_core.store.catalog import Catalog
from pages.ui import resources, session
from pages.ui.errors import errors_in_words
from pages.ui.studies import browse_session, filters, open_study
from pages.ui.studies import panels as study_panels
from pages.ui.studies import reader_marks as marks_panel
from pages.ui.studies import wall_motion as wall_motion_panel
from pages.ui.studies import words as study_words

record, card, workspace = session.current_ecg(), resources.active_model(), resources.workspace()
start = browse_session.start_study()
export_place = study_words.head(card, record)
why = resources.why_no_studies(card)
if card is None or (start is None and (record is None or why)):
    study_words.nothing_open(card)
    st.stop()

facts_place = st.container(key="study_facts")
left, right = st.columns((352, 796), gap=28)
prediction = own = own_echo = None
with errors_in_words(), right, st.spinner("Reading the ECG …"):
    if record is not None:
        prediction = resources.prediction(record, card, insist=session.insists())
        own, own_echo = patient_of(record, workspace), own_study(record, workspace)
report = prediction.as_json() if prediction else study_words.NO_REPORT

hits, listed, similarity, study_id = [], [], None, None
with errors_in_words(), left, st.container(key="hits"):
    if start:
        study_id = Catalog(workspace).study(start).study_id
        study_words.start_facts(facts_place, start, why)
        if why:
            study_words.no_studies(why)
        else:
            ecgs = nearest_ecgs(start, workspace)
            listed = [hit.study_id for hit in ecgs if hit.study_id]
            study_words.ecgs_of_study(ecgs, study_panels.ecg_hit_table(ecgs))
    elif record is not None and prediction:
        filters.controls(own)
        left_out = own if browse_session.leaves_out_own_patient() else None
        chosen = dataclasses.replace(browse_session.filters(), not_patient=left_out)
        left_over = candidates(workspace, chosen, card.model_id)
        study_words.search_facts(facts_place, report, left_over)
        hits = resources.hits(prediction, chosen)
        if hits:
            study_words.export_hits(export_place, record, prediction, hits)
            row = study_panels.hit_table(hits, report, own)
            study_id, similarity, listed = hits[row].study_id, hits[row].similarity, [hit.study_id for hit in hits]
            st.caption(study_words.SIMILARITY)
        else:
            filters.no_hits(left_over)

if hits:
    with errors_in_words(), left, st.container(key="agreement"):
        study_panels.agreement_table(hits, report)
if study_id:
    view = None
    with errors_in_words(), right, st.container(key="open_study"):
        view = resources.study_view(study_id, card)
        open_study.head(view, similarity)
        with st.container(key="beside", horizontal=True, gap="xsmall", vertical_alignment="center"):
            beside = open_study.beside_controls(study_id, own_echo, listed)
            if hits and record is not None:
                st.space("stretch")
                marks_panel.controls(record, hits[row], card.model_id)
        open_study.play(
            view,
            resources.study_view(beside, card) if beside else None,
            (lambda by: browse_session.move_hit(by, row, len(hits))) if hits else None,
        )
    if view:
        with right, st.container(key="compared"):
            wall_motion_panel.show(view.study)
            open_study.verdict_table(view, record, own, report["phenotypes"])
