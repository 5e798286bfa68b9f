"""About this model: its card, read from its manifest."""

import streamlit as st

from echo2ecg_core.answers.readiness import older_readouts
from echo2ecg_core.intake.demo import earlier_demo
from pages.ui import panels, resources
from pages.ui.about import model_card
from pages.ui.errors import plain

card = resources.active_model()
with st.container(key="page_head", horizontal=True, vertical_alignment="center", gap="small"):
    panels.title("About this model", card.name if card else "")
    panels.badges(card is not None and card.synthetic)
if card is None:
    st.info(panels.why_no_model(), icon=":material/hourglass_top:")
    st.stop()
manifest = card.manifest()
st.html(model_card.purpose(card))
if older := older_readouts(resources.workspace(), card):
    st.warning(f"**Older readouts.** {plain(older)}", icon=":material/history:")
if earlier := earlier_demo(resources.workspace()):
    st.info(earlier, icon=":material/deployed_code:")
left, right = st.container(key="about_cards").columns(2, gap="medium")
left.html(model_card.facts("Trained on", model_card.trained_on(manifest)))
right.html(model_card.facts("Calibrated and tested on", model_card.calibrated_on(manifest)))
st.container(key="about_not_for").html(model_card.not_for(manifest))
st.html(model_card.figures(manifest))
st.html(model_card.facts("Weights", model_card.weights(card)))
