"""Claims jobs one after the other and runs their workflows until the queue is empty; a detached process of its own.

The only place besides the readers with a broad except: whatever a job raises ends as a sentence in its row
(failures.py) and as a traceback in the job's log. No log holds patient data: errors carry none, and of an unexpected
one only its type and its place are written, because its text may quote a file.
"""

import logging
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress

from echo2ecg_core.errors import DiskFull, Echo2ECGError, StoreError, WorkspaceBusy
from echo2ecg_core.failures import causes, sentence_of
from echo2ecg_core.store import audit, jobs
from echo2ecg_core.store.database import Workspace

HEARTBEAT_S = 5.0
WRITE_EVERY_S = 0.25
LOG_EVERY_S = 10.0
CLOSING_S = 1800.0  # a person needs some time to make room on a full disk
CLOSE_AGAIN_S = 2.0


def work(workspace: Workspace) -> int:
    """Run every queued job; returns how many were run."""
    done = 0
    while job := jobs.claim(workspace, jobs.this_worker()):
        run_job(workspace, job)
        done += 1
    return done


def run_job(workspace: Workspace, job: jobs.Job, held: Mapping = {}) -> None:
    """Run one claimed job and write how it ended.

    Args:
        held: What this process holds already and the job would make again, beside its parameters.
    """
    stopped, log = threading.Event(), JobLog(workspace, job)
    threading.Thread(target=_beat, args=(workspace, job, stopped), daemon=True).start()
    try:
        parameters = {**job.parameters, **held, "job_id": job.job_id}
        with audit.acting_as("worker", ""):  # who queued the job stands in a line of its own
            closing = workflow_of(job.kind)(workspace, parameters, _progress(workspace, job, log)) or "Done."
        state = "done"
    except jobs.Cancelled:
        state, closing = "cancelled", jobs.STOPPED
    except Echo2ECGError as error:
        state, closing = "failed", str(error)
    except Exception as error:
        log.traceback(error)
        state, closing = "failed", sentence_of(error, job)
    except BaseException:
        stopped.set()
        raise
    log.write(f"{state}: {closing}")
    level = logging.ERROR if state == "failed" else logging.INFO
    facts = {"job": job.job_id, "kind": job.kind, "state": state}
    logging.getLogger("echo2ecg.jobs").log(level, "job ended", extra={"facts": facts})
    try:
        _close(workspace, job, state, closing)
    finally:
        stopped.set()


def _close(workspace: Workspace, job: jobs.Job, state: str, closing: str) -> None:
    """Write how a job ended; where the catalog cannot be written (most often the disk is full) wait until it can.

    Raises:
        StoreError: it could not for CLOSING_S; the job then counts as lost, and goes on once there is room.
    """
    until = time.monotonic() + CLOSING_S
    while True:
        try:
            return jobs.finish(workspace, job.job_id, state, closing, worker=job.worker)
        except StoreError:
            if time.monotonic() > until:
                raise
            time.sleep(CLOSE_AGAIN_S)


def _beat(workspace: Workspace, job: jobs.Job, stopped: threading.Event) -> None:
    assert job.worker is not None, "only a claimed job is run"
    while not stopped.wait(HEARTBEAT_S):
        try:
            jobs.beat(workspace, job.job_id, job.worker)
        except Echo2ECGError:
            continue  # the catalog is busy or its disk full for a moment; the job itself will tell


def _progress(workspace: Workspace, job: jobs.Job, log: "JobLog"):
    """progress(share, message) for a workflow: written a few times a second at most; raises Cancelled.

    What cannot be told now is told later: a locked catalog or a full disk ends no work that can go on.
    """
    written = [0.0]

    def progress(share: float, message: str) -> None:
        if time.monotonic() - written[0] < WRITE_EVERY_S:
            return
        with suppress(WorkspaceBusy, DiskFull):
            jobs.report(workspace, job.job_id, min(1.0, max(0.0, share)), message, worker=job.worker)
        written[0] = time.monotonic()
        log.follow(share, message)

    return progress


class JobLog:
    """The log of one job: when it began, how it went on, how it ended; appended to when the job is resumed."""

    def __init__(self, workspace: Workspace, job: jobs.Job):
        self.path = jobs.log_path(workspace, job.job_id)
        self.followed = 0.0
        self.write(f"{job.kind} begins at {job.progress:.0%} (worker {job.worker})")

    def write(self, text: str) -> None:
        """One line with the time. A full disk must not end a job that needs no more space."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
        except OSError:
            return

    def follow(self, share: float, message: str) -> None:
        """A line of progress now and then."""
        if time.monotonic() - self.followed >= LOG_EVERY_S:
            self.followed = time.monotonic()
            self.write(f"{share:.0%} {message}")

    def traceback(self, error: BaseException) -> None:
        """Type and place of an unexpected error and of its causes, without their texts."""
        for one in causes(error):
            self.write(f"{type(one).__name__}\n{''.join(traceback.format_tb(one.__traceback__))}".rstrip())


def workflow_of(kind: str):
    """The function that does a kind of job: (workspace, parameters with the job's number as job_id, progress) ->
    closing sentence."""
    if kind not in WORKFLOWS:
        raise Echo2ECGError(
            f"There is no job of the kind {kind!r}; known: {', '.join(WORKFLOWS)}.", "Update the program."
        )
    return WORKFLOWS[kind]


def _demo(workspace: Workspace, parameters: dict, progress) -> str:
    from echo2ecg_core.intake.demo import build_demo

    return build_demo(workspace, progress)


def _map(workspace: Workspace, parameters: dict, progress) -> str:
    from echo2ecg_core.answers.loaded_model import active_model_card
    from echo2ecg_core.answers.map_drawing import build_map

    build_map(workspace, active_model_card(workspace).model_id, progress)
    return "The map is ready."


def _import(workspace: Workspace, parameters: dict, progress) -> str:
    from echo2ecg_core.intake.archives import import_archive

    return import_archive(workspace, parameters, progress)


def _embed(workspace: Workspace, parameters: dict, progress) -> str:
    from echo2ecg_core.answers.embed import embed_job

    return embed_job(workspace, parameters.get("model"), progress)


def _prepare(workspace: Workspace, parameters: dict, progress) -> str:
    from echo2ecg_core.training.prepare import prepare_model

    return prepare_model(workspace, parameters["model"], progress)


def _train(workspace: Workspace, parameters: dict, progress) -> str:
    from echo2ecg_core.training.train import run_training

    return run_training(workspace, parameters, progress, job_id=parameters["job_id"])


def _evaluate(workspace: Workspace, parameters: dict, progress) -> str:
    from echo2ecg_core.reports.compare import judge
    from echo2ecg_core.reports.evaluate import Scope

    scope = Scope(parameters.get("cohorts"), parameters.get("split", "test"), parameters.get("within_days"))
    report = judge(workspace, parameters["model"], scope, progress)
    return (
        f"The report of {report['model']['name']} {report['model']['id']} on {report['counts']['patients']} "
        f"{report['split']} patients is ready."
    )


def _model_import(workspace: Workspace, parameters: dict, progress) -> str:
    from echo2ecg_core.intake.archives import import_weight_files

    return import_weight_files(workspace, parameters, progress)


def _recalibrate(workspace: Workspace, parameters: dict, progress) -> str:
    from echo2ecg_core.intake.ready_models import recalibrate

    return recalibrate(workspace, parameters["model"], progress)


def _ready_embed(workspace: Workspace, parameters: dict, progress) -> str:
    from echo2ecg_core.intake.ready_models import embed_as_encoder

    return embed_as_encoder(workspace, parameters["model"], progress)


def _machine_read(workspace: Workspace, parameters: dict, progress) -> str:
    from echo2ecg_core.intake.ready_models import machine_read

    return machine_read(workspace, parameters["model"], all_studies=parameters.get("all", False), progress=progress)


def _backup(workspace: Workspace, parameters: dict, progress) -> str:
    from echo2ecg_core.store.backup import back_up_here

    return back_up_here(workspace, progress)


WORKFLOWS = {
    "demo": _demo,
    "map": _map,
    "import": _import,
    "embed": _embed,
    "prepare": _prepare,
    "train": _train,
    "evaluate": _evaluate,
    "model_import": _model_import,
    "recalibrate": _recalibrate,
    "ready_embed": _ready_embed,
    "machine_read": _machine_read,
    "backup": _backup,
}
