"""The panels of the Admin page: disk by kind, jobs, backups, the audit log."""

import shutil
from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from echo2ecg_core.counts import counted
from echo2ecg_core.figures.notation import DASH, date, duration, number
from echo2ecg_core.figures.tables import csv_file, csv_of
from echo2ecg_core.store import audit, jobs
from echo2ecg_core.store.backup import backups, size_of
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.jobs import Job
from pages.ui import admin_gate, panels
from pages.ui.archive.panels import STATES
from pages.ui.errors import plain
from pages.ui.server import metrics
from pages.ui.sidebar import JOB_NAMES

PURPOSE = "How full the disk is, what ran and what failed, a copy of everything, and who did what."
KINDS = {
    "blobs": "ECGs and clips",
    "vectors": "Vectors",
    "models": "Models",
    "runs": "Training runs",
    "prepared": "Prepared for trainings",
    "backups": "Backups here",
    "uploads": "Uploads that wait",
    "waiting-clips": "Clips that wait to be looked at",
    "logs": "Logs",
}
SHOWN, MOST_ROWS = 200, 10  # lines of a table; from so many on it scrolls
BACKUP_WORDS = (
    "A backup made here lies in the workspace and protects from mistakes. `backup OUT` in a terminal writes one to "
    "another disk, which protects from the loss of this one; `restore` brings either back. Both may run while the app "
    "does."
)


def has_workspace(workspace: Workspace) -> bool:
    """False, with words, while there is nothing to look after."""
    if not workspace.exists():
        st.info("There is no workspace yet. Import an archive, or let the demo be prepared.", icon=":material/info:")
    return workspace.exists()


def disk(workspace: Workspace) -> None:
    """Megabytes by kind, and what is free."""
    st.html("<h2 class='e2e-run'>Disk</h2>")
    sizes = _sizes(str(workspace.folder), datetime.now(UTC).strftime("%H:%M"))
    total, free = sum(sizes.values()), shutil.disk_usage(workspace.folder).free
    told = {"All of the workspace": total, **sizes, "Free on its disk": free}
    panels.figures({label: _megabytes(n_bytes) for label, n_bytes in told.items() if n_bytes}, "disk_use")


@st.cache_data(max_entries=4, show_spinner="Measuring the disk …")
def _sizes(folder: str, minute: str) -> dict[str, int]:
    """Bytes by kind, measured once a minute at most; hard links of backups count once a name."""
    place, sizes = Workspace(folder), dict.fromkeys((*KINDS.values(), "Everything else"), 0)
    for entry in place.folder.iterdir():
        sizes[KINDS.get(entry.name, "Everything else")] += size_of(entry)
    return sizes


def _megabytes(n_bytes: int) -> str:
    if n_bytes < 1e5:
        return "<0.1 MB"
    return f"{n_bytes / 1e9:,.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:,.1f} MB"  # as on the Training page


def jobs_table(workspace: Workspace) -> None:
    """Every job, newest first; the chosen one with all it said, its log, and what can be done with it."""
    found = jobs.jobs(workspace)
    st.html("<h2 class='e2e-run'>Jobs</h2>")
    if not found:
        st.caption("No job has been queued yet.")
        return
    event = st.dataframe(
        pd.DataFrame([_job_row(job) for job in found[:SHOWN]]),
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        row_height=29,
        height="content" if len(found) < MOST_ROWS else 300,
        key="admin_jobs",
        alt="Jobs",
        column_config={
            "Job": st.column_config.TextColumn(width=60),
            "What it said": st.column_config.TextColumn(width="large"),
        },
    )
    rows = [row for row in event.selection.rows if row < len(found)]
    if rows:
        _one_job(workspace, found[rows[0]])


def _job_row(job: Job) -> dict:
    began = datetime.fromtimestamp(job.created_at, UTC)
    took = (job.finished_at or 0) - (job.started_at or 0) if job.finished_at and job.started_at else 0
    return {
        "Job": str(job.job_id),
        "Kind": JOB_NAMES.get(job.kind, job.kind),
        "State": "Stopping" if job.is_stopping else STATES[job.state],
        "Done": f"{100 * job.progress:.0f} %",
        "Queued": f"{date(began)} UTC",
        "Took": duration(took) if took > 0 else DASH,
        "What it said": job.message,
    }


def _one_job(workspace: Workspace, job: Job) -> None:
    with st.container(border=True, key="admin_job"):
        st.write(
            f"**Job {job.job_id} · {JOB_NAMES.get(job.kind, job.kind)} · {STATES[job.state]}**  \n{plain(job.message)}"
        )
        with st.container(horizontal=True, gap="small"):
            if job.is_open:
                _button("Stop", ":material/stop:", "stop a job", jobs.cancel, workspace, job.job_id)
            if job.state in ("failed", "cancelled"):
                _button("Resume", ":material/resume:", "resume a job", _resume, workspace, job.job_id)
            if job.state == "failed":
                _button("Dismiss", ":material/visibility_off:", "dismiss a job", jobs.dismiss, workspace, job.job_id)
        log = jobs.log_path(workspace, job.job_id)
        if log.is_file():
            with st.expander("Log"):
                st.code(log.read_text(errors="replace")[-20_000:], language=None)


def _button(label: str, icon: str, action: str, do, workspace: Workspace, job_id: int) -> None:
    st.button(label, icon=icon, key=f"{label}_{job_id}", on_click=admin_gate.asks(action)(do), args=(workspace, job_id))


@admin_gate.asks("resume a job")
def _resume(workspace: Workspace, job_id: int) -> None:
    jobs.resume(workspace, job_id)
    jobs.start_worker(workspace)


def backup(workspace: Workspace) -> None:
    """The copies that lie here, and the button that makes another."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="backup_head"):
        st.html("<h2 class='e2e-run'>Backup</h2>", width="content")
        st.space("stretch")
        if st.button("Back up now", icon=":material/backup:"):
            _back_up(workspace)
    st.caption(BACKUP_WORDS)
    rows = [
        {
            "Folder": f"backups/{folder.name}",
            "Made": f"{date(datetime.fromisoformat(made.made_at))} UTC",
            "Version": made.program,
            "Patients": number(made.patients),
            "Studies": number(made.studies),
            "ECGs": number(made.ecgs),
            "Missing files": number(made.missing),
        }
        for folder, made in backups(workspace)
    ]
    if rows:
        st.dataframe(pd.DataFrame(rows), hide_index=True, row_height=29, height="content", alt="Backups")


@admin_gate.asks("back up")
def _back_up(workspace: Workspace) -> None:
    jobs.queue(workspace, "backup")
    jobs.start_worker(workspace)
    st.rerun()


def audit_log(workspace: Workspace) -> None:
    """The newest lines, whether the chain holds, and all of them as a table."""
    lines, broken = audit.entries(workspace), audit.first_broken(workspace)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="audit_head"):
        st.html("<h2 class='e2e-run'>Audit log</h2>", width="content")
        st.space("stretch")
        if lines:
            st.download_button(
                "CSV",
                admin_gate.exporting(lambda: _table(audit.entries(workspace, last=10**9)), "audit log", workspace),
                "audit-log.csv",
                "text/csv",
                icon=":material/download:",
                on_click="ignore",
            )
    if broken is not None:
        st.warning(
            f"Line {broken} does not follow from the one before it: the log was changed by other means than this "
            "program. Compare it with a backup.",
            icon=":material/link_off:",
        )
    elif lines:
        st.caption(f"{counted(lines[0].number, 'line')}, each with the hash of the one before; the chain holds.")
    st.dataframe(
        _rows(lines[:SHOWN]),
        hide_index=True,
        row_height=29,
        height="content" if len(lines) < MOST_ROWS else 300,
        alt="Audit log",
        key="audit_lines",
        column_config={
            "Line": st.column_config.NumberColumn(width=60),
            "Facts": st.column_config.TextColumn(width="large"),
        },
    )


def measured() -> None:
    """The metrics of this server, as Prometheus reads them."""
    with st.expander("Metrics", icon=":material/monitoring:"):
        st.code(metrics.as_text(), language=None, height=300)


def _rows(lines: list[audit.Entry]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "Line": line.number,
                "Time (UTC)": line.at[:19].replace("T", " "),
                "Who": line.who,
                "Role": line.role,
                "Did": line.action,
                "Facts": ", ".join(f"{name} {value}" for name, value in line.facts.items()),
            }
            for line in lines
        ],
        columns=["Line", "Time (UTC)", "Who", "Role", "Did", "Facts"],
    )


def _table(lines: list[audit.Entry]) -> bytes:
    return csv_file(csv_of(_rows(lines)))
