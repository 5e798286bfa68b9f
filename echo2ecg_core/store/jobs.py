"""Work that outlives a page: queued -> running -> done | failed | cancelled, one row a job in the catalog.

The worker is a detached process (`python -m echo2ecg_core worker`), so closing the page or the server stops nothing.
A running job whose worker died, or has been silent for LOST_AFTER_S, goes back to the queue; jobs are written to be
resumed. A worker that woke up late cannot write: every report names who sends it.
"""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from echo2ecg_core.errors import Echo2ECGError, StoreError
from echo2ecg_core.store import audit
from echo2ecg_core.store.database import Workspace

LOST_AFTER_S = 60.0
LOST_AT_MOST = 5
STARTING_S = 8.0
KEEP_LOGS_S = 30 * 24 * 3600.0
TOLD = ("model", "cohort", "split", "preset")  # parameters that the audit log may hold: no paths, no file names
FILLING = ("demo", "import")  # read archives into the catalog: those of a terminal take turns
STOPPED = "Stopped by a person. What was finished is kept; Resume goes on from there."
LOST_TOO_OFTEN = (
    f"The worker process died {LOST_AT_MOST} times at this job. Most often memory is too small: "
    "close other programs or ask for less, then Resume."
)


@dataclass(frozen=True)
class Job:
    """One job as a page shows it. `progress` runs from 0 to 1; `eta_s` is None while it cannot be told; `still_s`: for
    how long a running one has told nothing new."""

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
    worker: str | None = None
    heartbeat_at: float | None = None
    still_s: float = 0.0

    @property
    def is_open(self) -> bool:
        """True while it waits or runs."""
        return self.state in ("queued", "running")

    @property
    def is_stopping(self) -> bool:
        """True while its worker has not noticed yet that it was cancelled."""
        return self.state == "cancelled" and self.worker is not None


class Cancelled(Echo2ECGError):
    """Raised inside a job when a person cancelled it, or when another worker has it now."""


def this_worker() -> str:
    """How this process signs the jobs it claims: host and process id."""
    return f"{os.uname().nodename}:{os.getpid()}"


def log_path(workspace: Workspace, job_id: int) -> Path:
    """The log of one job; it holds no patient data."""
    return workspace.logs / f"job-{job_id:04d}.log"


def tidy_logs(workspace: Workspace) -> None:
    """Delete the logs of jobs that ended and were not written to for thirty days."""
    waiting = (
        {log_path(workspace, one.job_id) for one in jobs(workspace, open_only=True)} if workspace.exists() else set()
    )
    for path in set(workspace.logs.glob("job-*.log")) - waiting:
        if time.time() - path.stat().st_mtime > KEEP_LOGS_S:
            path.unlink(missing_ok=True)


def queue(workspace: Workspace, kind: str, parameters: dict | None = None) -> int:
    """Queue a job and return its id; the same kind and parameters still open is returned instead of doubled."""
    text = json.dumps(parameters or {}, sort_keys=True)
    same_open = "SELECT job_id FROM jobs WHERE kind = ? AND parameters = ? AND state IN ('queued', 'running')"
    with workspace.write(counts=False) as db:
        row = db.execute(
            "INSERT INTO jobs (kind, parameters, state, created_at) SELECT ?, ?, 'queued', ? "
            f"WHERE NOT EXISTS ({same_open}) RETURNING job_id",
            (kind, text, time.time(), kind, text),
        ).fetchone()
        if row is not None:
            told = {name: value for name, value in (parameters or {}).items() if name in TOLD and value}
            audit.record(workspace, f"queue {kind}", job=row["job_id"], **told)
        return (row or db.execute(same_open, (kind, text)).fetchone())["job_id"]


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


def claim(workspace: Workspace, worker: str, job_id: int | None = None) -> Job | None:
    """Take the oldest queued job for this worker (each job goes to one worker), or None when nothing waits.

    A resumed job waits until the worker that was told to stop has let go of it.

    Args:
        job_id: Take this one only, and where it fills the catalog not before others that do have ended (`in_the_way`).
    """
    requeue_lost(workspace)
    now = time.time()
    may_run = "state = 'queued' AND (worker IS NULL OR heartbeat_at < ?)"
    with workspace.write(counts=False) as db:
        if job_id is None:
            chosen = db.execute(f"SELECT min(job_id) FROM jobs WHERE {may_run}", (now - LOST_AFTER_S,)).fetchone()[0]
        elif in_the_way(workspace, job_id):
            return None
        else:
            chosen = job_id
        row = db.execute(
            "UPDATE jobs SET state = 'running', worker = ?, started_at = ?, heartbeat_at = ?, moved_at = ?, "
            f"claimed_progress = progress WHERE job_id = ? AND {may_run} RETURNING *",
            (worker, now, now, now, chosen, now - LOST_AFTER_S),
        ).fetchone()
    return _job(row) if row else None


def in_the_way(workspace: Workspace, job_id: int) -> Job | None:
    """The running job that a job of a terminal waits for, because both fill the catalog; None when it may begin."""
    if job(workspace, job_id).kind not in FILLING:
        return None
    return next((j for j in _held(workspace) if j.kind in FILLING and j.job_id != job_id), None)


def requeue_lost(workspace: Workspace) -> None:
    """Put jobs of dead or silent workers back into the queue; one that was lost too often has failed."""
    with workspace.connect() as db:
        rows = db.execute("SELECT * FROM jobs WHERE worker IS NOT NULL").fetchall()
    lost = [row for row in rows if _is_lost(row)]
    for row in lost:
        with workspace.write(counts=False) as db:
            db.execute(
                "UPDATE jobs SET worker = NULL, lost = lost + (state = 'running'),"
                " finished_at = CASE WHEN state = 'running' AND lost + 1 >= ? THEN ? ELSE finished_at END,"
                " message = CASE WHEN state = 'running' AND lost + 1 >= ? THEN ? ELSE message END,"
                " state = CASE WHEN state <> 'running' THEN state WHEN lost + 1 >= ? THEN 'failed' ELSE 'queued' END"
                " WHERE job_id = ? AND worker = ? AND heartbeat_at = ?",
                (
                    LOST_AT_MOST,
                    time.time(),
                    LOST_AT_MOST,
                    LOST_TOO_OFTEN,
                    LOST_AT_MOST,
                    row["job_id"],
                    row["worker"],
                    row["heartbeat_at"],
                ),
            )


def report(workspace: Workspace, job_id: int, progress: float, message: str, *, worker: str | None = None) -> None:
    """Heartbeat with progress (0..1) and what is being done.

    Raises:
        Cancelled: a person cancelled the job meanwhile, or another worker has it.
    """
    now = time.time()
    with workspace.write(counts=False) as db:
        changed = db.execute(
            "UPDATE jobs SET moved_at = CASE WHEN progress = ?1 AND message = ?2 THEN moved_at ELSE ?3 END,"
            " progress = ?1, message = ?2, heartbeat_at = ?3"
            " WHERE job_id = ?4 AND state = 'running' AND (?5 IS NULL OR worker = ?5)",
            (progress, message, now, job_id, worker),
        ).rowcount
    if not changed:
        raise Cancelled("The job was cancelled.", "Start it again; what was finished is kept.")


def beat(workspace: Workspace, job_id: int, worker: str) -> None:
    """Sign of life of the worker that holds a job, also while a cancelled one has not stopped yet."""
    with workspace.write(counts=False) as db:
        db.execute("UPDATE jobs SET heartbeat_at = ? WHERE job_id = ? AND worker = ?", (time.time(), job_id, worker))


def finish(workspace: Workspace, job_id: int, state: str, message: str, *, worker: str | None = None) -> None:
    """Write how a job ended (done, failed or cancelled), unless it ended already or another worker has it; let go of
    it."""
    with workspace.write(counts=False) as db:
        kind = db.execute("SELECT kind FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
        ended = db.execute(
            "UPDATE jobs SET state = ?, message = ?, finished_at = ?, progress = CASE WHEN ? = 'done' THEN 1 ELSE "
            "progress END"
            " WHERE job_id = ? AND (state = 'running' AND worker = ? OR ? IS NULL AND state IN ('queued', 'running'))",
            (state, message, time.time(), state, job_id, worker, worker),
        ).rowcount
        if ended:
            with audit.acting_as("worker", ""):
                audit.record(workspace, f"end {kind['kind']}", job=job_id, state=state)
        db.execute(
            "UPDATE jobs SET worker = NULL WHERE job_id = ? AND (? IS NULL OR worker = ?)", (job_id, worker, worker)
        )


def cancel(workspace: Workspace, job_id: int) -> None:
    """Cancel a queued or running job; its worker stops at its next report and lets go of it."""
    with workspace.write(counts=False) as db:
        changed = db.execute(
            "UPDATE jobs SET state = 'cancelled', message = ?, finished_at = ? WHERE job_id = ? AND state IN "
            "('queued', 'running')",
            (STOPPED, time.time(), job_id),
        ).rowcount
        if changed:
            audit.record(workspace, "stop job", job=job_id)


def resume(workspace: Workspace, job_id: int) -> None:
    """Queue a failed or cancelled job again under its own number, so that it goes on from what it kept.

    Raises:
        StoreError: it is open or done, or the same work waits already.
    """
    found = job(workspace, job_id)
    if found.state not in ("failed", "cancelled"):
        raise StoreError(
            f"Job {job_id} is {found.state}: only a failed or stopped job can be resumed.", "Start a new one."
        )
    text = json.dumps(found.parameters, sort_keys=True)
    with workspace.write(counts=False) as db:
        changed = db.execute(
            "UPDATE jobs SET state = 'queued', message = 'Waiting to go on', finished_at = NULL, lost = 0,"
            " dismissed = 0 WHERE job_id = ? AND state IN ('failed', 'cancelled') AND NOT EXISTS"
            " (SELECT 1 FROM jobs WHERE kind = ? AND parameters = ? AND state IN ('queued', 'running'))",
            (job_id, found.kind, text),
        ).rowcount
        if changed:
            audit.record(workspace, "resume job", job=job_id, kind=found.kind)
    if not changed:
        raise StoreError(f"The same work as job {job_id} waits or runs already.", "Wait for it, or stop it first.")


def last_failure(workspace: Workspace) -> Job | None:
    """The newest job that failed, unless somebody dismissed it or the same kind of work was begun again since."""
    with workspace.connect() as db:
        row = db.execute(
            "SELECT * FROM jobs AS j WHERE state = 'failed' AND NOT dismissed AND NOT EXISTS (SELECT 1 FROM jobs AS l"
            " WHERE l.kind = j.kind AND l.job_id > j.job_id) ORDER BY finished_at DESC LIMIT 1"
        ).fetchone()
    return _job(row) if row else None


def dismiss(workspace: Workspace, job_id: int) -> None:
    """Take a failed job out of everybody's sight; the pages of its kind still list it, and it can be resumed."""
    with workspace.write(counts=False) as db:
        if db.execute("UPDATE jobs SET dismissed = 1 WHERE job_id = ? AND state = 'failed'", (job_id,)).rowcount:
            audit.record(workspace, "dismiss job", job=job_id)


def tend(workspace: Workspace) -> list[Job]:
    """For pages and a starting server: lost jobs go back to the queue, and something waiting gets a worker; cheap.

    Returns:
        The open jobs, newest first.
    """
    found = jobs(workspace, open_only=True)
    if not found:
        return []
    start_worker(workspace)
    return jobs(workspace, open_only=True)


def start_worker(workspace: Workspace) -> int | None:
    """Start a detached worker that works until the queue is empty; None when one is at work or was started just now.

    One worker a workspace, so that two trainings do not share a machine; whoever wants more starts `worker` by hand.

    Returns:
        Its process id.
    """
    requeue_lost(workspace)
    log_file = workspace.logs / "worker.log"
    if _is_fresh(log_file) or any(j.state == "running" or j.is_stopping for j in _held(workspace)):
        return None
    workspace.logs.mkdir(parents=True, exist_ok=True)
    log_file.touch()
    with open(log_file, "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "echo2ecg_core", "worker", "--workspace", str(workspace.folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
    threading.Thread(target=process.wait, daemon=True).start()  # a dead child must not look alive
    return process.pid


def _is_fresh(file: Path) -> bool:
    """True for a file that was touched a moment ago; one from the future (the clock was set back) is not."""
    try:
        return 0 <= time.time() - file.stat().st_mtime < STARTING_S
    except FileNotFoundError:
        return False


def _held(workspace: Workspace) -> list[Job]:
    """Jobs that a worker holds."""
    with workspace.connect() as db:
        return [_job(row) for row in db.execute("SELECT * FROM jobs WHERE worker IS NOT NULL").fetchall()]


def _is_lost(row) -> bool:
    """True when the worker of this row has been silent too long, or ran on this machine and is gone.

    A sign of life from the future was given before the clock was set back: of another machine it counts as old.
    """
    if row["heartbeat_at"] < time.time() - LOST_AFTER_S:
        return True
    host, _, process = row["worker"].rpartition(":")
    if host != os.uname().nodename or not process.isdigit():
        return row["heartbeat_at"] > time.time() + LOST_AFTER_S
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False  # somebody else's process: it lives
    return False


def _job(row) -> Job:
    running_s = time.time() - row["started_at"] if row["started_at"] and row["state"] == "running" else 0.0
    gained = row["progress"] - row["claimed_progress"]
    eta_s = running_s * (1 - row["progress"]) / gained if gained >= 0.02 and running_s > 3 else None
    return Job(
        row["job_id"],
        row["kind"],
        json.loads(row["parameters"]),
        row["state"],
        row["progress"],
        row["message"],
        row["created_at"],
        row["started_at"],
        row["finished_at"],
        eta_s,
        row["worker"],
        row["heartbeat_at"],
        time.time() - row["moved_at"] if row["moved_at"] and row["state"] == "running" else 0.0,
    )
