"""Promoting, preparing and evaluating a model: dialogs that name the old and the new one, and the jobs behind them."""

import streamlit as st

from echo2ecg_core.answers.loaded_model import why_no_studies
from echo2ecg_core.answers.readiness import readiness, worth
from echo2ecg_core.store import jobs
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelCard, ModelRegistry
from echo2ecg_core.training.promote import promote as promote_model
from pages.ui.admin_gate import asks
from pages.ui.errors import errors_in_words, plain, sentence


@st.dialog("Promote a model")
def promote(workspace: Workspace, model_id: str) -> None:
    """Name old and new model; promote when the new one is ready, else offer to prepare it."""
    with errors_in_words():
        registry = ModelRegistry(workspace)
        new, old = registry.get(model_id), next((card for card in registry.models() if card.active), None)
        state = readiness(workspace, new)
        st.markdown(
            f"New: **{plain(new.name)}** `{new.model_id}`{_seen(new)}  \n"
            f"Now active: {f'**{plain(old.name)}** `{old.model_id}`{_seen(old)}' if old else 'none'}"
        )
        if state.readouts:
            st.markdown("What the new one is worth:\n" + "\n".join(f"- {plain(w)}" for w in worth(workspace, new)))
        if state.lacks:
            st.warning(f"It cannot become active: its weights hold {', '.join(state.lacks)}.", icon=":material/block:")
        elif state.missing:
            st.warning(
                f"It has {plain(', '.join(state.missing))}. Preparing makes what is missing; then it can be promoted.",
                icon=":material/build:",
            )
            if st.button("Prepare", type="primary", icon=":material/build:"):
                prepare(workspace, new.model_id)
        else:
            st.write(
                "All pages answer with the new model from their next step on. Promoting the old one again takes "
                "everything back."
            )
            if why := why_no_studies(new):
                st.info(f"Similar studies will not be there. {sentence(why)}", icon=":material/info:")
            if st.button("Promote", key="promote_now", type="primary", icon=":material/publish:"):
                asks("promote")(promote_model)(workspace, new.model_id)
                st.rerun()


@asks("prepare a model")
def prepare(workspace: Workspace, model_id: str) -> None:
    """Queue the job that makes vectors, readouts and map of a model."""
    jobs.queue(workspace, "prepare", {"model": model_id})
    jobs.start_worker(workspace)
    st.rerun()


@asks("evaluate")
def evaluate(workspace: Workspace, model_id: str) -> None:
    """Queue the evaluation of a model."""
    jobs.queue(workspace, "evaluate", {"model": model_id})
    jobs.start_worker(workspace)
    st.rerun()


def _seen(card: ModelCard) -> str:
    return " · trained on simulated hearts" if card.synthetic else ""
