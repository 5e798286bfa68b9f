"""What a chosen second reader is, its switch, and its jobs: recalibrating, embedding, reading echo studies."""

import pandas as pd
import streamlit as st

from echo2ecg_core.answers.machine_read import readings
from echo2ecg_core.answers.second_readers import curves_of, is_on, ready_facts, switch
from echo2ecg_core.counts import counted
from echo2ecg_core.evaluation.finding_map import label_of
from echo2ecg_core.figures.notation import MISSING, number
from echo2ecg_core.store import jobs
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelCard
from pages.ui.admin_gate import asks
from pages.ui.errors import errors_in_words, plain

JOBS: dict[str, tuple[tuple[str, str, str], ...]] = {  # kind of ready model -> (job, button, help)
    "echonext": (("recalibrate", "Recalibrate", "Make chances of its scores on the labelled ECGs here"),),
    "ecgfounder": (("ready_embed", "Embed ECGs", "Its vectors become a row of every later report"),),
    "panecho": (("machine_read", "Read studies", "Values for studies without a measured one, marked as machine-read"),),
}


def panel(workspace: Workspace, card: ModelCard) -> None:
    """Switch, jobs, facts, licence and recalibration of a ready model."""
    facts = ready_facts(card)
    assert facts is not None, "a ready model"
    with errors_in_words(), st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if facts["reads"] == "ECG":
            on = st.toggle("Answers beside the active model", value=is_on(card), key=f"second_{card.model_id}")
            if on != is_on(card):
                asks("second reader")(switch)(workspace, card, on)
                st.rerun()
        for kind, label, told in JOBS.get(facts["kind"], ()):
            if st.button(label, help=told, key=f"{kind}_{card.model_id}"):
                _queue(workspace, kind, card.model_id)
    manifest = card.manifest()
    st.markdown(
        f"**{plain(facts['can'])}.** Trained on {plain(facts['trained_on'])}. Its authors left out: "
        f"{plain(facts['left_out'])}.  \n**Licence.** {plain(manifest['licence'])}  \n"
        f"**From** {plain(facts['source'])}; {number(facts['source_bytes'] / 1e6, 1)} MB, "
        f"SHA-256 `{manifest['source_sha256']}`."
    )
    if facts["reads"] == "clip":
        read = len(readings(workspace, card.model_id))
        st.caption(
            f"{counted(read, 'study', 'studies')} of this workspace {'is' if read == 1 else 'are'} machine-read."
        )
    if curves := curves_of(card.folder):
        st.dataframe(pd.DataFrame([_curve_row(facts["kind"], *entry) for entry in curves.items()]), hide_index=True)
    with st.expander(f"Manifest of {card.name} {card.model_id}", icon=":material/description:"):
        st.json(manifest, expanded=1)


@asks("second reader")
def _queue(workspace: Workspace, kind: str, model_id: str) -> None:
    jobs.queue(workspace, kind, {"model": model_id})
    jobs.start_worker(workspace)
    st.rerun()


def _curve_row(kind: str, name: str, found: dict) -> dict:
    """Before and after on test patients, or the reason why an output stays a score."""
    row = {"Finding": label_of(kind, name), "Now a": "chance" if "curve" in found else "score"}
    judged = found.get("test") or {}
    for metric, words in (("slope", "Slope"), ("intercept", "Intercept"), ("brier", "Brier")):
        for when in ("before", "after"):
            value = judged.get(when, {}).get(metric)
            row[f"{words} {when}"] = MISSING if value is None else number(value[0], 2)
    if "curve" in found:
        told = f"{found['curve']['method']}, {found['patients']} patients, {found['positives']} with it"
    return row | {"How": told if "curve" in found else found.get("reason", "")}
