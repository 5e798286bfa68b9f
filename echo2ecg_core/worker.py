"""Claims jobs one after the other and runs their workflows until the queue is empty; a detached process of its own.

The only place besides the readers with a broad except: whatever a job raises ends as a sentence in its row, and the
traceback goes to the worker's log (which holds no patient data because errors carry none).
"""

import os
import threading
import traceback

from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.store import jobs
from echo2ecg_core.store.database import Workspace

HEARTBEAT_S = 10.0


def work(workspace: Workspace) -> int:
    """Run every queued job; returns how many were run."""
    done = 0
    while job := jobs.claim(workspace, worker=f"{os.uname().nodename}:{os.getpid()}"):
        run_job(workspace, job)
        done += 1
    return done


def run_job(workspace: Workspace, job: jobs.Job) -> None:
    """Run one claimed job and write how it ended."""
    latest = [0.0, "Starting"]
    stopped = threading.Event()

    def progress(share: float, message: str) -> None:
        latest[:] = [share, message]
        jobs.report(workspace, job.job_id, share, message)

    def beat() -> None:
        while not stopped.wait(HEARTBEAT_S):
            try:
                jobs.report(workspace, job.job_id, *latest)
            except Echo2ECGError:
                return  # cancelled: the job itself stops at its next report

    threading.Thread(target=beat, daemon=True).start()
    try:
        jobs.finish(workspace, job.job_id, "done", workflow_of(job.kind)(workspace, job.parameters, progress) or "Done.")
    except jobs.Cancelled as error:
        jobs.finish(workspace, job.job_id, "cancelled", str(error))
    except Echo2ECGError as error:
        jobs.finish(workspace, job.job_id, "failed", str(error))
    except MemoryError:
        jobs.finish(workspace, job.job_id, "failed", "The machine ran out of memory. Close other programs and start the job again.")
    except Exception as error:
        traceback.print_exc()
        jobs.finish(workspace, job.job_id, "failed", f"The job stopped on an unexpected {type(error).__name__}; see logs/worker.log.")
    finally:
        stopped.set()


def workflow_of(kind: str):
    """The function that does a kind of job: (workspace, parameters, progress) -> closing message."""
    if kind not in WORKFLOWS:
        raise Echo2ECGError(f"There is no job of the kind {kind!r}; known: {', '.join(WORKFLOWS)}.", "Update the program.")
    return WORKFLOWS[kind]


def _demo(workspace: Workspace, parameters: dict, progress) -> str:
    from echo2ecg_core.workflows.demo import build_demo

    return build_demo(workspace, progress)


def _map(workspace: Workspace, parameters: dict, progress) -> str:
    from echo2ecg_core.workflows.active_model import active_model_card
    from echo2ecg_core.workflows.explore import build_map

    build_map(workspace, active_model_card(workspace).model_id, progress)
    return "The map is ready."


WORKFLOWS = {"demo": _demo, "map": _map}
