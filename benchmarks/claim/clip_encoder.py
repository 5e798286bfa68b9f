"""The frozen clip encoder of the comparison, trained on single clips of training patients, and the vectors it gives."""

import json
from pathlib import Path

import numpy as np

from echo2ecg_core.models.echo_encoder import PhantomVideoNet
from echo2ecg_core.store.database import write_atomically
from echo2ecg_core.training.clip_encoder import vectors_of
from echo2ecg_core.training.single_clip_encoder import train_on_single_clips

from .cohorts import shard_tasks
from .ledger import Meter, Task, save_arrays, tell
from .plan import Plan

WEIGHTS = "clip-encoder.safetensors"
LOG = "clip-encoder.json"


def encoder_tasks(plan: Plan, folder: Path) -> list[Task]:
    return [Task("clip encoder", folder / WEIGHTS, train_encoder)]


def train_encoder(plan: Plan, folder: Path, meter: Meter, output: Path) -> None:
    """Train it on the first clips of every training study."""
    from safetensors.torch import save

    pooled, views = [], []
    for path in sorted((folder / "clips").glob("train-*.npz")):
        with np.load(path, allow_pickle=False) as shard:
            rows = _first_of_each(shard["clip_of"], plan.encoder_clips, len(pooled))
            pooled.append(shard["pooled"][rows])
            views.append(shard["view"][rows])
    log: list[dict] = []

    def told(metrics: dict) -> None:
        log.append(metrics)
        meter.tick()
        tell(f"clip encoder: {json.dumps(metrics)}")

    network = train_on_single_clips(np.concatenate(pooled), np.concatenate(views), plan.encoder, told)
    write_atomically(folder / LOG, json.dumps({"epochs": log, "clips": sum(map(len, views))}, indent=1).encode())
    write_atomically(output, save({key: value.contiguous() for key, value in network.state_dict().items()}))


def _first_of_each(owner: np.ndarray, n: int, lot: int) -> np.ndarray:
    """Rows of `n` clips of every owner by lot, in order."""
    rng = np.random.default_rng([7, lot])
    order = rng.permutation(len(owner))
    chosen = [order[owner[order] == one][:n] for one in np.unique(owner)]
    return np.sort(np.concatenate(chosen))


def load_encoder(folder: Path) -> PhantomVideoNet:
    """The trained clip encoder."""
    from safetensors.torch import load_file

    network = PhantomVideoNet()
    network.load_state_dict(load_file(folder / WEIGHTS))
    return network.eval()


def vector_tasks(plan: Plan, folder: Path) -> list[Task]:
    return shard_tasks(plan, folder, "clip-vectors", embed_clips)


def embed_clips(plan: Plan, folder: Path, meter: Meter, output: Path, part: str, start: int) -> None:
    """Clip vectors of one shard."""
    with np.load(folder / "clips" / output.name, allow_pickle=False) as archive:
        save_arrays(output, vectors=vectors_of(load_encoder(folder), archive["pooled"]).astype(np.float32))
