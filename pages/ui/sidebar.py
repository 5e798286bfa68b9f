"""The sidebar below the navigation: work in progress, who is logged in, current ECG, workspace, active model,
research-use line."""

import time
from functools import lru_cache
from html import escape

import streamlit as st

from echo2ecg_core.failures import without_places
from echo2ecg_core.figures.export import RESEARCH_ONLY
from echo2ecg_core.figures.notation import THIN, duration
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.jobs import Job, dismiss, last_failure, tend
from echo2ecg_core.training import runs
from pages.ui import admin_gate, resources, session
from pages.ui.errors import errors_in_words, plain
from pages.ui.scheme import scheme

POLL_S = 2
PHONE_MENU = """
export default function () {
  const chosen = (event) => {
    if (window.innerWidth > 768 || !event.target.closest('[data-testid="stSidebarNavLink"]')) return;
    setTimeout(() => document.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click(), 50);
  };
  document.addEventListener("click", chosen);
  return () => document.removeEventListener("click", chosen);
}
"""
STILL_S = 600
STILL = "it may be held up. An admin can stop it; what is finished is kept."
SHOWN_S = 24 * 3600  # a failure of yesterday stands on the page of its kind only
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
    "backup": "Backing up",
}


@lru_cache(maxsize=1)
def _phone_menu():
    """Closes the menu of a phone once a page was chosen, which Streamlit leaves open over it."""
    return st.components.v2.component("echo2ecg_phone_menu", js=PHONE_MENU)


def draw() -> None:
    """Draw the foot of the sidebar; while a job is open its progress renews itself every two seconds."""
    with st.sidebar.container(key="sidebar_foot"):
        _phone_menu()(key="phone_menu")
        scheme.follow("scheme")
        found = _open_jobs()
        busy = _is_busy(found)
        st.fragment(_progress, run_every=POLL_S if busy else None)(busy, [found])
        admin_gate.who_is_logged_in()
        st.html(_facts())


def _open_jobs() -> list[Job]:
    if not resources.workspace().exists():
        return []
    return tend(resources.workspace())


def _is_busy(open_jobs: list[Job]) -> bool:
    """True while jobs are open, or while the starting server may still queue one."""
    return bool(open_jobs) or not resources.is_warm()


def _progress(was_busy: bool, just_read: list[list[Job]]) -> None:
    """Progress of the open jobs; the end of the last one reruns the page, because what it waited for is there now,
    and so does the beginning of the first, because progress then renews itself.

    Args:
        was_busy: Whether jobs were open when the page was drawn.
        just_read: The open jobs as the page has read them, taken out at the first drawing; later they are read anew.
    """
    if not just_read:
        admin_gate.end_with_login()
    found = just_read.pop() if just_read else _open_jobs()
    for job in reversed(found):
        st.progress(min(1.0, job.progress), text=_job_text(job))
    if was_busy != _is_busy(found):
        st.rerun()
    if not found and resources.workspace().exists():
        _failure(resources.workspace())


def _failure(workspace: Workspace) -> None:
    """What failed last, with a way on: a demo can be tried again by everybody, and what was read can be put away.

    An admin puts it away for all, with the whole reason before; a visitor for himself, without names of folders.
    """
    job = last_failure(workspace)
    if (
        job is None
        or session.is_hidden(job.job_id)
        or (time.time() - (job.finished_at or 0) > SHOWN_S and not _demo(job))
    ):
        return
    admin, name = admin_gate.is_admin(), JOB_NAMES.get(job.kind, job.kind.capitalize())
    reason = job.message if admin else without_places(job.message, job.parameters, workspace.folder)
    st.html(f'<p class="e2e-failed"><b>{name} failed.</b> {escape(reason)}</p>')
    with st.container(key="failed_job", horizontal=True, gap="small"):
        if _demo(job):
            st.button("Retry", icon=":material/refresh:", key="retry_demo", on_click=_retry)
        st.button("Dismiss", type="tertiary", key="dismiss_job", on_click=_put_away, args=(job.job_id,))


def _put_away(job_id: int) -> None:
    """Out of everybody's sight for an admin (asked again at the click: a login ends), else out of this visitor's."""
    if not admin_gate.allows("dismiss a job"):
        session.hide_failure(job_id)
        return
    with errors_in_words():
        admin_gate.asks("dismiss a job")(dismiss)(resources.workspace(), job_id)


def _demo(job: Job) -> bool:
    """True for the demo of a workspace that holds nothing else: without it there is nothing to look at."""
    from echo2ecg_core.intake.demo import failed_demo

    return job.kind == "demo" and failed_demo(resources.workspace()) is not None


def _retry() -> None:
    from echo2ecg_core.intake.demo import retry_demo

    with errors_in_words():
        retry_demo(resources.workspace())


def _job_text(job: Job) -> str:
    name = JOB_NAMES.get(job.kind, job.kind.capitalize())
    if job.state == "queued":
        return f"**{name}** · waiting"
    left_s = runs.run_left_s(resources.workspace(), job.job_id) if job.kind == "train" else job.eta_s
    left = f" · {duration(left_s)} left" if left_s else ""
    still = f"  \nNothing new for {duration(job.still_s)}: {STILL}" if job.still_s >= STILL_S else ""
    return f"**{name}** · {100 * job.progress:.0f}{THIN}%{left}  \n{plain(job.message) or 'Starting'}{still}"


def _facts() -> str:
    record, card = session.current_ecg(), resources.active_model()
    blocks = []
    if record is not None:
        blocks.append(
            ("Current ECG", f"<b title='{escape(record.source)}'>{escape(record.source).replace('_', '_<wbr>')}</b>")
        )
    blocks.append(("Workspace", f"<b>{escape(resources.workspace_name())}</b>"))
    if kept := resources.cohorts_with_ids():
        blocks.append(("Real ids", f"<b>{escape(', '.join(kept))}</b><br>ids, dates and ages as they were given"))
    if card is None:
        blocks.append(("Active model", "none yet"))
    else:
        seen = "<br>trained on synthetic hearts" if card.synthetic else ""
        seen += "<br>no echo side: ECGs only" if resources.why_no_studies(card) else ""
        blocks.append(("Active model", f"<b>{escape(card.name)}</b> <code>{escape(card.model_id[:8])}</code>{seen}"))
    rows = "".join(f"<div><span>{label}</span>{text}</div>" for label, text in blocks)
    return f'<div class="e2e-foot">{rows}<p>{RESEARCH_ONLY}</p></div>'
