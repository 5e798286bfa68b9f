"""Work that outlives a page: queued -> running -> done | failed | cancelled, one row a job in the catalog.

The worker is a detached process (`python -m echo2ecg_core worker`), so closing the page or the server stops nothing.
A running job whose worker has been silent for LOST_AFTER_S goes back to the queue; jobs are written to be resumed.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass

from echo2ecg_core.errors import Echo2ECGError, StoreError
from echo2ecg_core.store.database import Workspace

LOST_AFTER_S = 60.0


@dataclass(frozen=True)
class Job:
    """One job as a page shows it. `progress` runs from 0 to 1; `eta_s` is None while it cannot be told."""

    job_id: int
    kind: str
    parameters: dict
    state: str
    progress: float
    message: str
    created_at: float
    started_at: float | None
    finished_at: float | None
    eta_s: float | None


class Cancelled(Echo2ECGError):
    """Raised inside a job when a person cancelled it."""


def queue(workspace: Workspace, kind: str, parameters: dict | None = None) -> int:
    """Queue a job and return its id; the same kind and parameters still open is returned instead of doubled."""
    text = json.dumps(parameters or {}, sort_keys=True)
    with workspace.connect() as db:
        row = db.execute("SELECT job_id FROM jobs WHERE kind = ? AND parameters = ? AND state IN ('queued', 'running')",
                         (kind, text)).fetchone()
        if row:
            return row["job_id"]
        return db.execute("INSERT INTO jobs (kind, parameters, state, created_at) VALUES (?, ?, 'queued', ?)",
                          (kind, text, time.time())).lastrowid


def jobs(workspace: Workspace, *, open_only: bool = False) -> list[Job]:
    """All jobs, newest first; with `open_only` the queued and running ones."""
    where = "WHERE state IN ('queued', 'running')" if open_only else ""
    with workspace.connect() as db:
        return [_job(row) for row in db.execute(f"SELECT * FROM jobs {where} ORDER BY job_id DESC").fetchall()]


def job(workspace: Workspace, job_id: int) -> Job:
    """One job.

    Raises:
        StoreError: there is none with this number.
    """
    with workspace.connect() as db:
        row = db.execute("SELECT * FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
    if row is None:
        raise StoreError(f"There is no job {job_id} in this workspace.", "Choose one from the list of jobs.")
    return _job(row)


def claim(workspace: Workspace, worker: str) -> Job | None:
    """Take the oldest queued job for this worker (each job goes to one worker), or None when nothing waits."""
    now = time.time()
    with workspace.connect() as db:
        db.execute("UPDATE jobs SET state = 'queued', worker = NULL WHERE state = 'running' AND heartbeat_at < ?",
                   (now - LOST_AFTER_S,))
        row = db.execute("UPDATE jobs SET state = 'running', worker = ?, started_at = ?, heartbeat_at = ? WHERE job_id = "
                         "(SELECT min(job_id) FROM jobs WHERE state = 'queued') AND state = 'queued' RETURNING *",
                         (worker, now, now)).fetchone()
    return _job(row) if row else None


def report(workspace: Workspace, job_id: int, progress: float, message: str) -> None:
    """Heartbeat with progress (0..1) and what is being done.

    Raises:
        Cancelled: a person cancelled the job meanwhile.
    """
    with workspace.connect() as db:
        changed = db.execute("UPDATE jobs SET progress = ?, message = ?, heartbeat_at = ? WHERE job_id = ? AND state = 'running'",
                             (progress, message, time.time(), job_id)).rowcount
    if not changed:
        raise Cancelled("The job was cancelled.", "Start it again; what was finished is kept.")


def finish(workspace: Workspace, job_id: int, state: str, message: str) -> None:
    """Write how a job ended: done, failed or cancelled."""
    with workspace.connect() as db:
        db.execute("UPDATE jobs SET state = ?, message = ?, finished_at = ?, progress = CASE WHEN ? = 'done' THEN 1 ELSE progress END"
                   " WHERE job_id = ? AND state IN ('queued', 'running')", (state, message, time.time(), state, job_id))


def cancel(workspace: Workspace, job_id: int) -> None:
    """Cancel a queued or running job; the worker stops at its next report."""
    finish(workspace, job_id, "cancelled", "Cancelled.")


def start_worker(workspace: Workspace) -> int:
    """Start a detached worker process that works until the queue is empty; returns its process id."""
    workspace.logs.mkdir(parents=True, exist_ok=True)
    with open(workspace.logs / "worker.log", "ab") as log:
        process = subprocess.Popen([sys.executable, "-m", "echo2ecg_core", "worker", "--workspace", str(workspace.folder)],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                   env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)})
    return process.pid


def _job(row) -> Job:
    running_s = time.time() - row["started_at"] if row["started_at"] and row["state"] == "running" else 0.0
    eta_s = running_s * (1 / row["progress"] - 1) if row["progress"] >= 0.02 and running_s > 3 else None
    return Job(row["job_id"], row["kind"], json.loads(row["parameters"]), row["state"], row["progress"], row["message"],
               row["created_at"], row["started_at"], row["finished_at"], eta_s)
