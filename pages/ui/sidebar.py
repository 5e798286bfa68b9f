"""The sidebar below the navigation: work in progress, current ECG, workspace, active model, research-use line."""

from html import escape

import streamlit as st

from echo2ecg_core.figures.export import RESEARCH_ONLY
from echo2ecg_core.figures.notation import THIN, duration
from echo2ecg_core.store.jobs import Job, jobs, tend
from echo2ecg_core.training import runs
from pages.ui import resources, session

POLL_S = 2
JOB_NAMES = {
    "demo": "Preparing the demo",
    "import": "Importing",
    "model_import": "Importing weights",
    "prepare": "Preparing a model",
    "embed": "Embedding the archive",
    "map": "Drawing the map",
    "train": "Training",
    "evaluate": "Evaluating",
    "recalibrate": "Recalibrating a second reader",
    "ready_embed": "Embedding with an imported encoder",
    "machine_read": "Reading echo studies",
}


def draw() -> None:
    """Draw the foot of the sidebar; while a job is open its progress renews itself every two seconds."""
    with st.sidebar.container(key="sidebar_foot"):
        busy = _is_busy(_open_jobs())
        st.fragment(_progress, run_every=POLL_S if busy else None)(busy)
        st.html(_facts())


def _open_jobs() -> list[Job]:
    if not resources.workspace().exists():
        return []
    tend(resources.workspace())
    return jobs(resources.workspace(), open_only=True)


def _is_busy(open_jobs: list[Job]) -> bool:
    """True while jobs are open, or while the starting server may still queue one."""
    return bool(open_jobs) or not resources.is_warm()


def _progress(was_busy: bool) -> None:
    """Progress of the open jobs; the end of the last one reruns the page, because what it waited for is there now."""
    found = _open_jobs()
    for job in reversed(found):
        st.progress(min(1.0, job.progress), text=_job_text(job))
    if was_busy and not _is_busy(found):
        st.rerun()
    failed = next(iter(jobs(resources.workspace())), None) if not found and resources.workspace().exists() else None
    if failed and failed.state == "failed":
        name = JOB_NAMES.get(failed.kind, failed.kind.capitalize())
        st.html(f'<p class="e2e-failed"><b>{name} failed.</b> {escape(failed.message)}</p>')


def _job_text(job: Job) -> str:
    name = JOB_NAMES.get(job.kind, job.kind.capitalize())
    if job.state == "queued":
        return f"**{name}** · waiting"
    left_s = runs.run_left_s(resources.workspace(), job.job_id) if job.kind == "train" else job.eta_s
    left = f" · {duration(left_s)} left" if left_s else ""
    return f"**{name}** · {100 * job.progress:.0f}{THIN}%{left}  \n{job.message}"


def _facts() -> str:
    record, card = session.current_ecg(), resources.active_model()
    blocks = []
    if record is not None:
        blocks.append(("Current ECG", f"<b>{escape(record.source)}</b>"))
    blocks.append(("Workspace", f"<b>{escape(resources.workspace_name())}</b>"))
    if card is None:
        blocks.append(("Active model", "none yet"))
    else:
        seen = "<br>trained on synthetic hearts" if card.synthetic else ""
        seen += "<br>no echo side: ECGs only" if resources.why_no_studies(card) else ""
        blocks.append(("Active model", f"<b>{escape(card.name)}</b> <code>{escape(card.model_id[:8])}</code>{seen}"))
    rows = "".join(f"<div><span>{label}</span>{text}</div>" for label, text in blocks)
    return f'<div class="e2e-foot">{rows}<p>{RESEARCH_ONLY}</p></div>'
