"""The table of registered models, what one of them is, and the import of weights as a job."""

import pandas as pd
import streamlit as st

from echo2ecg_core.answers.loaded_model import why_no_studies
from echo2ecg_core.answers.readiness import Readiness, abilities, older_readouts, readiness
from echo2ecg_core.answers.second_readers import ready_facts, state_of
from echo2ecg_core.counts import counted
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.figures.notation import DASH, date
from echo2ecg_core.intake.archives import import_report, keep_upload
from echo2ecg_core.store import jobs
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelCard, ModelRegistry
from pages.ui.admin_gate import asks
from pages.ui.errors import errors_in_words, plain, sentence
from pages.ui.in_words import in_words
from pages.ui.models import actions as model_actions
from pages.ui.models import second_readers

PURPOSE = (
    "One model answers on all pages: the active one. A new one can be promoted once its vectors, map and readouts "
    "exist; promoting an older one rolls back."
)
KINDS = {
    "auto": "What the keys in the files say",
    "echo2ecg": "Echo2ECG",
    "otis": "OTiS",
    "echoprime": "EchoPrime",
    "echoprime_video_encoder": "EchoPrime video encoder",
    "echoprime_view_classifier": "EchoPrime view classifier",
    "echonext": "EchoNext-Mini (second reader)",
    "ecgfounder": "ECGFounder (second reader and encoder)",
    "panecho": "PanEcho (machine reading of echo studies)",
}
ORDERS = {
    "": "Not known",  # not None: a choice of nothing could be cleared
    "clean_then_resample": "Clean, then resample",
    "resample_then_clean": "Resample, then clean",
}
YES, NO = "yes", "no"
HELD = ("Vectors", "Map", "Readouts", "Report")


def table(workspace: Workspace) -> ModelCard | None:
    """All models, newest first, with what they can do and what they have here; returns the chosen one."""
    cards = ModelRegistry(workspace).models() if workspace.exists() else []
    if not cards:
        st.info("No model yet. Train one, or import weights below.", icon=":material/deployed_code:")
        return None
    rows = [_row(workspace, card) for card in cards]
    place = st.container(key="models_actions", horizontal=True, vertical_alignment="center", gap="small")
    event = st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key="models_table",
        row_height=29,
        height="content" if len(rows) < 12 else 380,
        alt="Registered models",
        column_config=_columns(),
    )
    chosen = next((cards[i] for i in event.selection.rows if i < len(cards)), None)
    with place:
        _actions(workspace, cards, chosen)
    return chosen


def _columns() -> dict:
    narrow = {name: st.column_config.TextColumn(width=75) for name in HELD}
    return narrow | {
        "Model": st.column_config.TextColumn(width=80),
        "Name": st.column_config.TextColumn(width=170),
        "What it can do": st.column_config.TextColumn(width="medium"),
        "State": st.column_config.TextColumn(width=115),
        "Trained on": st.column_config.TextColumn(width=130),
        "Registered": st.column_config.TextColumn(width=160),
    }


def _row(workspace: Workspace, card: ModelCard) -> dict:
    state, can = _state(workspace, card)
    words = {True: YES, False: NO, None: DASH}
    ready = state if state is None or not state.lacks else None
    held = (None,) * len(HELD) if ready is None else (ready.vectors, ready.map, ready.readouts, ready.report)
    return {
        "Model": card.model_id,
        "Name": card.name,
        "What it can do": can,
        "State": state_of(card) or _own_state(card, state),
        "Trained on": "simulated hearts"
        if card.synthetic
        else "real hearts"
        if ready_facts(card)
        else "real or not known",
        **{name: words[one] for name, one in zip(HELD, held, strict=True)},
        "Registered": f"{date(pd.Timestamp(card.registered_at).to_pydatetime())} UTC",
    }


def _own_state(card: ModelCard, state: Readiness | None) -> str:
    """Of a model that may become active: whether it is, and whether it could be now."""
    if card.active:
        return "active"
    if state is None or state.lacks:
        return "inactive"
    return "ready" if state.is_ready else "to prepare"


def _state(workspace: Workspace, card: ModelCard) -> tuple[Readiness | None, str]:
    """What a model has and can do; a damaged folder says so in the table instead of hiding the others."""
    try:
        return readiness(workspace, card), abilities(card)
    except Echo2ECGError as error:
        return None, str(error)


def _actions(workspace: Workspace, cards: list[ModelCard], chosen: ModelCard | None) -> None:
    st.html("<h2 class='e2e-run'>Registered models</h2>", width="content")
    st.html(
        f"<div class='e2e-facts'>{len(cards)} · "
        f"{'choose one to prepare, evaluate or promote it' if chosen is None else f'{chosen.model_id} chosen'}</div>",
        width="content",
    )
    st.space("stretch")
    usable = chosen is not None and _can_prepare(workspace, chosen)
    to_prepare = st.button(
        "Prepare", icon=":material/build:", disabled=not usable, help="Make missing vectors, readouts and the map"
    )
    if to_prepare and chosen is not None:
        model_actions.prepare(workspace, chosen.model_id)
    to_evaluate = st.button(
        "Evaluate",
        icon=":material/query_stats:",
        disabled=not usable,
        help="Score it on test patients; the Report page shows the result",
    )
    if to_evaluate and chosen is not None:
        model_actions.evaluate(workspace, chosen.model_id)
    to_promote = st.button(
        "Promote",
        icon=":material/publish:",
        disabled=chosen is None or chosen.active or bool(ready_facts(chosen)),
        help="Make it the active model; the older one too: that rolls back",
    )
    if to_promote and chosen is not None:
        model_actions.promote(workspace, chosen.model_id)


def _can_prepare(workspace: Workspace, card: ModelCard) -> bool:
    state, _ = _state(workspace, card)
    return state is not None and not state.lacks


def details(workspace: Workspace, card: ModelCard | None) -> None:
    """What the chosen model lacks, and its manifest."""
    if card is None:
        return
    if ready_facts(card):
        second_readers.panel(workspace, card)
        return
    with errors_in_words():
        state = readiness(workspace, card)
        if state.lacks:
            st.info(f"Its weights hold {', '.join(state.lacks)}: it cannot answer.", icon=":material/info:")
        elif state.missing:
            st.info(
                f"Before it can answer it needs preparing: it has {plain(', '.join(state.missing))}.",
                icon=":material/build:",
            )
        if older := older_readouts(workspace, card):
            st.warning(f"**Older readouts.** {plain(older)}", icon=":material/history:")
        if not state.lacks and (why := why_no_studies(card)):
            st.info(f"Phenotypes and the map of ECGs only. {sentence(why)}", icon=":material/info:")
        with st.expander(f"Manifest of {card.name} {card.model_id}", icon=":material/description:"):
            st.json(card.manifest(), expanded=1)


def import_form(workspace: Workspace) -> None:
    """Weights of others by upload or by a path on the server; the job reads and checks them."""
    with st.container(border=True, key="weights_form"):
        st.html("<h2 class='e2e-run'>Import weights</h2>")
        st.caption(
            "Echo2ECG, OTiS or EchoPrime, and EchoNext-Mini, ECGFounder or PanEcho as second readers, recognised by "
            "the keys inside. Nothing in a file is run; what is incomplete is refused. A new model is inactive; a "
            "second reader answers beside the active one."
        )
        files = st.file_uploader("Weight files of one model", accept_multiple_files=True, key="weights_files")
        paths = st.text_area("or paths on this server, one a line", key="weights_paths", height=72)
        left, middle, right = st.columns(3)
        kind = left.selectbox("Kind of model", list(KINDS), format_func=in_words(KINDS), key="weights_kind")
        rate = middle.number_input(
            "Sampling rate they were trained at, Hz",
            50.0,
            2000.0,
            value=None,
            placeholder="not known: 400",
            key="weights_rate",
        )
        order = right.selectbox(
            "Order of cleaning and resampling", list(ORDERS), format_func=in_words(ORDERS), key="weights_order"
        )
        partial = st.checkbox(
            "Accept incomplete weights (what is missing stays random and is listed)", key="weights_partial"
        )
        if st.button("Import weights", type="primary", icon=":material/upload:", disabled=not (files or paths.strip())):
            with errors_in_words():
                _queue(
                    workspace,
                    files,
                    paths,
                    {"kind": kind, "sampling_rate_hz": rate, "order": order or None, "allow_partial": partial},
                )


@asks("import weights")
def _queue(workspace: Workspace, files: list, paths: str, told: dict) -> None:
    if files:
        source = {"uploads": [keep_upload(workspace, file.name, file.getvalue()) for file in files]}
    else:
        source = {"files": [line.strip() for line in paths.splitlines() if line.strip()]}
    jobs.queue(workspace, "model_import", source | told)
    jobs.start_worker(workspace)
    st.rerun()


def last_import(workspace: Workspace) -> None:
    """How the last import of weights ended, with its notes."""
    last = next((j for j in jobs.jobs(workspace) if j.kind == "model_import"), None) if workspace.exists() else None
    if last is None or last.is_open:
        return
    if last.state != "done":
        st.warning(
            f"The last import of weights {'failed' if last.state == 'failed' else 'was stopped'}: "
            f"{plain(last.message)}",
            icon=":material/error:",
        )
        return
    report = import_report(workspace, last.job_id) or {}
    st.success(plain(last.message), icon=":material/check:")
    for words, keys in (("Random now", report.get("missing")), ("Not used", report.get("unexpected"))):
        if keys:
            with st.expander(f"{words}: {counted(len(keys), 'key')}"):
                st.code("\n".join(keys))
