"""Clips that were set aside: an admin looks at one, draws what stays of it or discards it. Nobody else sees them."""

import numpy as np
import pandas as pd
import streamlit as st

from echo2ecg_core.counts import counted
from echo2ecg_core.errors import SetAside
from echo2ecg_core.figures.notation import THIN
from echo2ecg_core.intake.waiting_clips import (
    WaitingClip,
    accept,
    decisions,
    discard,
    picture_of,
    shown,
    waiting,
)
from echo2ecg_core.store import jobs
from echo2ecg_core.store.database import Workspace
from pages.ui import admin_gate, resources
from pages.ui.archive import import_session
from pages.ui.archive.outline.outline import draw_outline
from pages.ui.errors import errors_in_words, plain

WHAT = (
    "No mask could be trusted for these clips, so they are in no study yet. Draw what stays: everything outside is "
    "blacked out for good. Look at all three pictures; the brightest one shows every letter that stands anywhere in "
    "the clip."
)
KEPT_S = 600
PICTURES = ("First frame", "Mean", "Brightest")
LOOKED = "I have looked: nobody's name stands inside"
SHOWN = {"decided_at": "When (UTC)", "who": "Who", "decision": "Decision", "study_id": "Study", "cohort": "Cohort",
         "clip_id": "Clip", "reason": "Why it was set aside"}  # fmt: skip


def waiting_clips(workspace: Workspace) -> None:
    """What waits, the one that is looked at, and what was decided so far."""
    if not workspace.exists():
        return
    found = waiting(workspace)
    if told := import_session.settled():
        st.success(plain(told), icon=":material/check:")
    if found:
        with st.container(border=True, key="waiting_clips"):
            st.html(f"<h2 class='e2e-run'>{counted(len(found), 'clip')} to look at</h2>")
            st.caption(WHAT)
            with errors_in_words():
                _look_at(workspace, _chosen(found))
    _decided(workspace)


def _chosen(found: list[WaitingClip]) -> WaitingClip:
    """The table of what waits, and the one that is looked at: the first until another is chosen."""
    table = pd.DataFrame(
        [(one.study_id, one.cohort, one.facts["format"], one.n_frames, one.reason) for one in found],
        columns=["Study", "Cohort", "Format", "Frames", "Why it was set aside"],
    )
    picked = st.dataframe(
        table,
        hide_index=True,
        row_height=29,
        height=29 * (min(len(found), 6) + 1) + 3,
        on_select="rerun",
        selection_mode="single-row",
        key=f"waiting_table_{len(found)}",
        alt="Clips that wait for a person",
    )
    rows = picked.selection.rows
    return found[rows[0] if rows and rows[0] < len(found) else 0]


def _look_at(workspace: Workspace, one: WaitingClip) -> None:
    pictures, suggested = _pictures(str(workspace.folder), one.waiting_id, one)
    left, right = st.columns((5, 2), gap="medium")
    with right:
        st.html(f"<div class='e2e-plan'>{_facts(one)}</div>")
        name = st.segmented_control("Picture", PICTURES, default=PICTURES[0], required=True, key="waiting_picture")
        outlines = import_session.outlines_of(one.waiting_id) or suggested
        asked = import_session.asked_about_letters(one.waiting_id)
        looked = asked and st.checkbox(LOOKED, key=f"looked_{one.waiting_id}")
        with st.container(horizontal=True):
            if st.button("Accept", type="primary", icon=":material/check:", disabled=asked and not looked):
                _accept(workspace, one, outlines, bool(looked))
            if st.button("Discard", icon=":material/delete:", help="Deletes the picture. It does not come in again."):
                _discard(workspace, one)
        if asked and not looked:
            st.warning("Letters seem to stand inside what is drawn.", icon=":material/title:")
    with left:
        draw_outline(
            one.waiting_id,
            pictures[PICTURES.index(name)],
            suggested,
            lambda given: import_session.keep_outlines(one.waiting_id, given),
        )


def _facts(one: WaitingClip) -> str:
    from html import escape

    return (
        f"Study <b>{escape(one.study_id)}</b>, {escape(one.facts['format'])}, {counted(one.n_frames, 'frame')} at "
        f"{one.facts['fps']:.0f}{THIN}fps<br>{escape(one.reason)}"
    )


@st.cache_data(max_entries=2, ttl=KEPT_S, show_spinner="Opening the clip …")
def _pictures(folder: str, waiting_id: str, _one: WaitingClip) -> tuple[list[np.ndarray], list[list[list[float]]]]:
    """First, mean and brightest picture, (h, w, 3) uint8 each, and the outlines to begin with; kept some minutes."""
    from echo2ecg_core.echo.deidentify import suggested_outlines

    clip = picture_of(Workspace(folder), _one)
    return shown(clip), [o.round(1).tolist() for o in suggested_outlines(clip)]


@admin_gate.asks("settle a clip")
def _accept(workspace: Workspace, one: WaitingClip, outlines: list, looked: bool) -> None:
    try:
        accept(workspace, one.waiting_id, outlines, who=admin_gate.name(), letters_are_fine=looked)
    except SetAside:
        import_session.ask_about_letters(one.waiting_id)
        st.rerun()
    _went_on(workspace, f"The clip is in study {one.study_id}.")


@admin_gate.asks("settle a clip")
def _discard(workspace: Workspace, one: WaitingClip) -> None:
    discard(workspace, one.waiting_id, who=admin_gate.name())
    _went_on(workspace, "The picture was deleted.")


@admin_gate.asks("settle a clip")
def _went_on(workspace: Workspace, told: str) -> None:
    """Vectors of what was accepted are made when nothing waits any longer."""
    left = len(waiting(workspace))
    card = resources.active_model()
    if not left and card is not None and "accepted" in set(decisions(workspace).decision):
        jobs.queue(workspace, "prepare", {"model": card.model_id})
        jobs.start_worker(workspace)
    import_session.settle(f"{told} {f'{left} more to look at.' if left else 'Nothing waits any longer.'}")
    st.rerun()


def _decided(workspace: Workspace) -> None:
    table = decisions(workspace)
    if table.empty:
        return
    with st.expander(f"What was decided on clips that were set aside: {len(table):,}"):
        st.dataframe(table[list(SHOWN)].rename(columns=SHOWN), hide_index=True, row_height=29, key="decided_clips")
