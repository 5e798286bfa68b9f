"""Made-up run folders as the training writes them, for tests of what reads them; the numbers are invented."""

import json
import math
from datetime import UTC, datetime, timedelta

from echo2ecg_core.store import jobs
from echo2ecg_core.store.database import Workspace

START = datetime(2030, 1, 2, 8, 0, tzinfo=UTC)


def epoch_line(epoch: int, epochs: int, *, at: datetime = START, gpu: bool = False) -> str:
    recall = 0.5 * (1 - math.exp(-epoch / 4))
    row = {
        "kind": "epoch",
        "time": (at + timedelta(seconds=60 * epoch)).isoformat(),
        "epoch": epoch,
        "epochs": epochs,
        "loss": 4 + 2 / epoch,
        "validation_loss": 4.1 + 2 / epoch,
        "recall@1": recall / 5,
        "recall@5": recall / 2,
        "recall@10": recall,
        "median_rank": 20.0,
        "candidates": 500,
        "lr": 5e-4 * (1 - epoch / (epochs + 1)),
        "grad_norm": 1.2 / epoch,
        "temperature": 0.5,
        "pairs_per_s": 620.0,
        "eta_s": 60.0 * (epochs - epoch),
        "seconds": 60.0,
    }
    return json.dumps(row)


def step_line(epoch: float, step: int, *, at: datetime = START, gpu: bool = False) -> str:
    row = {
        "kind": "step",
        "time": (at + timedelta(seconds=60 * epoch)).isoformat(),
        "epoch": epoch,
        "step": step,
        "loss": 5.0,
        "lr": 5e-4,
        "grad_norm": 1.0,
        "temperature": 0.5,
        "pairs_per_s": 618.0,
    }
    return json.dumps(row | ({"gpu_load": 0.94, "gpu_memory_gb": 31.0, "gpu_memory_total_gb": 139.0} if gpu else {}))


def made_run(
    place: Workspace,
    *,
    preset: str = "paper",
    chosen: dict | None = None,
    epochs: int = 10,
    done: int = 4,
    state: str = "running",
    message: str = "",
    gpu: bool = False,
    at: datetime = START,
    model: dict | None = None,
) -> str:
    """A run with `done` epochs and one more step; returns its name."""
    number = jobs.queue(place, "train", {"preset": preset, "set": chosen or {}, "name": ""})
    if state != "queued":
        with place.connect() as db:
            db.execute(
                "UPDATE jobs SET state = 'running', worker = 'elsewhere:1', started_at = ?, heartbeat_at = 4e9 WHERE "
                "job_id = ?",
                (at.timestamp(), number),
            )
            db.execute(
                "UPDATE jobs SET progress = ?, message = ? WHERE job_id = ?",
                (done / epochs, f"Epoch {done} of {epochs}", number),
            )
    if state not in ("queued", "running"):
        jobs.finish(place, number, state, message)
    folder = place.folder / "runs" / f"run-{number:04d}"
    if state == "queued":
        return folder.name
    folder.mkdir(parents=True)
    parameters = {"epochs": epochs, "batch_size": 256, "lr": 5e-4, "objective": "contrastive", "seed": 7} | {
        k: v for k, v in (chosen or {}).items() if k in ("batch_size", "lr", "seed")
    }
    settings = {
        "run": folder.name,
        "preset": preset,
        "set": chosen or {},
        "name": "",
        "parameters": parameters,
        "started_at": at.isoformat(),
        "spec": {"study": {"pooling": (chosen or {}).get("pooling", "attention")}},
        "pairs": 118420,
        "patients": 39060,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    lines = [
        line
        for e in range(1, done + 1)
        for line in (step_line(e - 0.5, 10 * e, at=at, gpu=gpu), epoch_line(e, epochs, at=at))
    ]
    (folder / "metrics.jsonl").write_text(
        "\n".join([*lines, step_line(done + 0.5, 10 * done + 5, at=at, gpu=gpu)]) + "\n"
    )
    (folder / "log.txt").write_text("".join(f"08:{e:02d} epoch {e} of {epochs}\n" for e in range(1, done + 1)))
    if model:
        (folder / "model").mkdir()
        (folder / "model" / "manifest.json").write_text(json.dumps(model))
    return folder.name
