"""The frame of the report: head, controls, headline numbers, and states without a report."""

from html import escape

import streamlit as st

from echo2ecg_core.counts import counted
from echo2ecg_core.figures.notation import observed, percent
from echo2ecg_core.figures.scores import count
from echo2ecg_core.reports.document import READOUTS, Report
from echo2ecg_core.reports.folder import evaluated_models, rests_elsewhere
from echo2ecg_core.reports.headlines import headlines
from echo2ecg_core.reports.html_page import split_words, window_words
from echo2ecg_core.store import jobs
from echo2ecg_core.store.model_registry import ModelCard, ModelRegistry
from echo2ecg_core.store.splits import JUDGED_SPLITS
from pages.ui import admin_gate, panels, resources
from pages.ui.errors import plain
from pages.ui.in_words import in_words, one_of
from pages.ui.report import looked_up, report_session

PURPOSE = "How well the model reads echo findings from an ECG, on patients it has never seen."
VALIDATION_PURPOSE = "How well the model reads echo findings from an ECG, on patients its readouts were calibrated on."
ASK_A_RESEARCHER = "A researcher or an admin can have it evaluated: everybody sees the same report."
SYNTHETIC_HELP = "Simulated hearts only: these numbers say nothing about real patients."


def head(synthetic: bool, report: Report | None):
    """Title, badges and one line of what is shown; returns the place of the actions."""
    with st.container(key="page_head", horizontal=True, vertical_alignment="center", gap="small"):
        panels.title("Report")
        panels.badges(synthetic=False)
        if synthetic:
            st.badge("Synthetic", icon=":material/deployed_code:", help=SYNTHETIC_HELP)
        st.space("stretch")
        place = st.container(width="content", horizontal=True, gap="small", key="report_actions")
    drawn = (
        ""
        if report is None
        else (
            f" {percent(report.data.get('level', 0.95))} intervals: {count(report.data.get('resamples'))} bootstrap "
            "samples of patients."
        )
    )
    st.html(
        f"<div class='e2e-facts'>{PURPOSE if report is None or report.split == 'test' else VALIDATION_PURPOSE}"
        f"{escape(window_words(report)) if report else ''}{drawn}</div>"
    )
    return place


def model_names() -> dict[str, str]:
    """Evaluated models, the active one first: id -> name, with its short id where two share a name."""
    workspace, card = resources.workspace(), resources.active_model()
    ids = evaluated_models(workspace) if workspace.exists() else []
    ids = sorted(ids, key=lambda model_id: card is None or model_id != card.model_id)
    known = {c.model_id: c.name for c in ModelRegistry(workspace).models()} if ids else {}
    names = {
        i: known.get(i)
        or next(looked_up.report(i, split).model["name"] for split in JUDGED_SPLITS if is_evaluated(i, split))
        for i in ids
    }
    double = {name for name in names.values() if list(names.values()).count(name) > 1}
    return {i: f"{name} {i[:8]}" if name in double else name for i, name in names.items()}


def is_evaluated(model_id: str, split: str) -> bool:
    """True when the model has a report on the patients of this split."""
    return model_id in evaluated_models(resources.workspace(), split)


def no_report(card: ModelCard | None) -> None:
    """Words and, where it can be made now, the button that queues the evaluation."""
    if card is None:
        st.info(
            panels.why_no_model("so there is nothing to evaluate"),
            icon=":material/hourglass_top:",
        )
    elif not _running():
        st.info(
            f"No report of {plain(card.name)} yet. The evaluation takes some minutes and goes on in the background.",
            icon=":material/query_stats:",
        )
        evaluate_button(card, f"Evaluate {plain(card.name)}")


def no_split(model_id: str, name: str, split: str) -> None:
    """Words and the button for a model that was evaluated on the patients of the other split only."""
    card = _card(model_id)
    if not _running():
        st.info(f"{plain(name)} has no report on {split} patients yet.", icon=":material/query_stats:")
        if card is not None:
            evaluate_button(card, f"Evaluate on {split} patients", split)


def _card(model_id: str) -> ModelCard | None:
    return next((c for c in ModelRegistry(resources.workspace()).models() if c.model_id == model_id), None)


def _running() -> bool:
    """Tell that an evaluation is under way; the demo ends with models that can be evaluated, so it counts as waiting
    too."""
    kinds = {job.kind for job in jobs.jobs(resources.workspace(), open_only=True)}
    if "evaluate" in kinds:
        st.info(
            "The evaluation is under way; the sidebar shows how far it is. This page follows by itself.",
            icon=":material/hourglass_top:",
        )
    elif "demo" in kinds:
        st.info(
            "The demo is being prepared; a model can be evaluated once its patients are there.",
            icon=":material/hourglass_top:",
        )
    return bool(kinds & {"evaluate", "demo"})


def evaluate_button(card: ModelCard, label: str, split: str = "test") -> None:
    """The button that queues the evaluation of a model."""
    if admin_gate.offer("evaluate", ASK_A_RESEARCHER) and st.button(
        label, type="primary", icon=":material/query_stats:"
    ):
        _queue(card.model_id, split)


@admin_gate.asks("evaluate")
def _queue(model_id: str, split: str) -> None:
    jobs.queue(resources.workspace(), "evaluate", {"model": model_id} | ({} if split == "test" else {"split": split}))
    jobs.start_worker(resources.workspace())
    st.rerun()


def evaluate_again(model_id: str, split: str) -> None:
    """The way out of a report that cannot be read."""
    card = _card(model_id)
    if card is not None and not _running():
        evaluate_button(card, "Evaluate again", split)


def notices(report: Report, card: ModelCard | None) -> None:
    """Above the numbers: these are not test patients, an evaluation is under way, the report is an old one, it judges
    patients of elsewhere, they are not the active model's."""
    if split_words(report):
        st.warning(f"**Validation patients.** {split_words(report)}", icon=":material/balance:")
    if _running():
        return
    _whose(report, card)
    if chosen := report.data.get("chosen_cohorts"):
        st.info(
            f"**Not all patients.** Only the cohort {plain(', '.join(chosen))} is judged.", icon=":material/groups:"
        )
        card_of_report = _card(report.model["id"])
        if card_of_report is not None:
            evaluate_button(card_of_report, "Evaluate on all cohorts", report.split)
    stale = looked_up.outdated(report)
    if stale:
        st.warning(f"**An older report.** {stale} Its numbers may no longer hold.", icon=":material/history:")
        evaluate_again(report.model["id"], report.split)
    elif elsewhere := rests_elsewhere(report, resources.workspace()):
        st.info(
            f"**Other patients.** {plain(elsewhere)} A model of this workspace can be set beside it once this one is "
            "evaluated here.",
            icon=":material/groups:",
        )
        evaluate_again(report.model["id"], report.split)


def _whose(report: Report, card: ModelCard | None) -> None:
    """That these are the scores of a model which is not the active one, and the way to those of the active one."""
    if card is None or card.model_id == report.model["id"]:
        return
    shown = plain(report.model["name"])
    if is_evaluated(card.model_id, report.split):
        st.info(
            f"These are the scores of {shown}, which is not the active model; that is {plain(card.name)}.",
            icon=":material/query_stats:",
        )
        st.button(
            f"Show {plain(card.name)}",
            icon=":material/query_stats:",
            on_click=report_session.choose,
            args=(card.model_id,),
        )
        return
    on = "" if report.split == "test" else f" on {report.split} patients"
    st.info(
        f"The active model {plain(card.name)} has no report{on} yet; this is that of {shown}.",
        icon=":material/query_stats:",
    )
    evaluate_button(card, f"Evaluate {plain(card.name)}", report.split)


def model_control(names: dict[str, str], card: ModelCard | None) -> str:
    """Which model's report."""
    _label("Model")
    return st.selectbox(
        "Model",
        list(names),
        key=report_session.MODEL_KEY,
        bind="query-params",
        label_visibility="collapsed",
        width=190,
        format_func=lambda i: f"{names.get(i, i)}, active" if card and i == card.model_id else names.get(i, i),
    )


def task_controls(report: Report) -> tuple[str, str]:
    """Which finding and which readout; returns their ids."""
    findings, readouts = report.findings(), report.readouts()
    _label("Finding")
    yes_or_no_first = sorted(findings, key=lambda name: findings[name]["kind"] != "binary")
    finding = st.selectbox(
        "Finding",
        yes_or_no_first,
        key=report_session.FINDING_KEY,
        bind="query-params",
        label_visibility="collapsed",
        width=230,
        format_func=lambda name: findings[name]["label"] if name in findings else name,
    )
    return finding, one_of("Readout", readouts, report_session.READOUT_KEY, in_words(READOUTS))


def split_control() -> str:
    """Whose patients are judged; the test patients unless the visitor asks for others."""
    return one_of("Split", JUDGED_SPLITS, report_session.SPLIT_KEY, str.capitalize)


def counts(report: Report, finding: str) -> None:
    """How many patients a finding rests on, at the end of the controls."""
    st.space("stretch")
    st.html(f"<div class='e2e-facts'>{escape(_patients(report, finding))}</div>", width="content")


def _label(text: str) -> None:
    st.html(f"<span class='e2e-control-label' aria-hidden='true'>{text}</span>", width="content")


def _patients(report: Report, finding: str) -> str:
    task = report.data["tasks"][finding]
    words = counted(task["patients"], "patient")
    if task.get("positives") is not None and task["patients"]:
        words += f", {count(task['positives'])} with {task['label']} ({observed(task['positives'] / task['patients'])})"
    return words.replace(" ", " ")


def headline_strip(report: Report, finding: str, readout: str) -> None:
    """Five numbers with their intervals."""
    blocks = "".join(
        f"<dl><dt>{escape(h.label)}</dt><dd><b>{escape(h.value)}</b><span>{escape(h.interval)}</span><small>{escape(h.note)}</small></dd></dl>"
        for h in headlines(report, finding, readout)
    )
    st.container(key="report_headlines").html(f"<div class='e2e-headlines'>{blocks}</div>")
