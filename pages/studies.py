"""Similar studies: which hearts look alike? The ten nearest echo studies, one of them playing, and what they agree
on."""

import dataclasses

import streamlit as st

from echo2ecg_core.answers.search import candidates, nearest_ecgs, patient_of, search
from echo2ecg_core.answers.study_view import view_study
from pages.ui import resources, session
from pages.ui.errors import errors_in_words
from pages.ui.studies import browse_session
from pages.ui.studies import panels as study_panels
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
prediction = None
with errors_in_words(), right, st.spinner("Reading the ECG …"):
    if record is not None:
        prediction = resources.prediction(record, card, insist=session.insists())
report = prediction.as_json() if prediction else study_words.NO_REPORT

hits, similarity, study_id = [], None, start
with errors_in_words(), left, st.container(key="hits"):
    if start:
        study_words.start_facts(facts_place, start, why)
        if why:
            study_words.no_studies(why)
        else:
            ecgs = nearest_ecgs(start, workspace)
            study_words.ecgs_of_study(ecgs, study_panels.ecg_hit_table(ecgs))
    elif prediction:
        own = patient_of(record, workspace)
        study_panels.filter_controls(own)
        left_out = own if browse_session.leaves_out_own_patient() else None
        chosen = dataclasses.replace(browse_session.filters(), not_patient=left_out)
        left_over = candidates(workspace, chosen)
        study_words.search_facts(facts_place, report, left_over)
        hits = search(prediction, workspace, filters=chosen)
        if hits:
            study_words.export_hits(export_place, prediction, hits)
            row = study_panels.hit_table(hits, report, own)
            study_id, similarity = hits[row].study_id, hits[row].similarity
            st.caption(study_words.SIMILARITY)
        else:
            study_panels.no_hits(left_over)

if hits:
    with errors_in_words(), left, st.container(key="agreement"):
        study_panels.agreement_table(hits, report)
if study_id:
    with errors_in_words(), right:
        view = view_study(study_id, workspace, resources.loaded_model(card))
        study_panels.study_head(view, similarity)
        study_panels.play(view, lambda by: browse_session.move_hit(by, row, len(hits)) if hits else None)
        wall_motion_panel.show(view.study)
        study_panels.verdict_table(view.study.phenotypes, report["phenotypes"])
