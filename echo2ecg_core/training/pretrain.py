"""Contrastive pretraining of the ECG tower against frozen clip vectors: the loop in plain sight.

The recipe is the paper's (arXiv 2603.08505) with its sizes as parameters: symmetric InfoNCE, AdamW, a warm-up and a
cosine stepped after every optimiser step, the published augmentations with adjustable strengths. Resumable: the state of
everything that changes is written after every epoch.
"""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from echo2ecg_core.ecg.augment import AugmentationSpec, augment
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.models.echo2ecg import Echo2ECG, contrastive_loss
from echo2ecg_core.models.specs import ModelSpec
from echo2ecg_core.training.pairs import PreparedPairs


@dataclass(frozen=True)
class RunParameters:
    """One training run; the defaults are the paper's."""

    epochs: int = 50
    batch_size: int = 256
    lr: float = 5e-4
    min_lr_factor: float = 0.1
    warmup_epochs: float = 2
    weight_decay: float = 1e-7
    seed: int = 7
    augmentation: AugmentationSpec = field(default_factory=AugmentationSpec)


def learning_rate_factor(step: int, warmup: float, total: float, floor: float) -> float:
    """Share of the peak rate after `step` optimiser steps: linear warm-up from `floor`, cosine down to `floor`."""
    if step < warmup:
        return floor + (1 - floor) * step / warmup
    if step > total:
        return floor
    return floor + (1 - floor) * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2


def pretrain(spec: ModelSpec, train: PreparedPairs, validation: PreparedPairs, parameters: RunParameters, *,
             state_file: Path | None = None, log: Callable[[dict], None] = lambda metrics: None) -> Echo2ECG:
    """The network after the epoch with the best validation recall@10, in eval mode.

    Args:
        spec: What to build.
        train, validation: Prepared pairs of different patients.
        parameters: How to train.
        state_file: Where the state is kept between runs; None: not resumable.
        log: Called with a dict of metrics after every epoch.

    Raises:
        Echo2ECGError: the loss is no longer a number.
    """
    torch.manual_seed(parameters.seed)
    model = Echo2ECG(spec)
    decay = [p for n, p in model.named_parameters() if p.ndim > 1]
    rest = [p for n, p in model.named_parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": parameters.weight_decay}, {"params": rest, "weight_decay": 0.0}],
                                  lr=parameters.lr)
    state = {"epoch": 0, "step": 0, "best": -1.0, "weights": None}
    if state_file and state_file.exists():
        state = _restore(state_file, model, optimizer)
    augmentation = replace(parameters.augmentation, n_samples=spec.ecg_input.n_samples)
    while state["epoch"] < parameters.epochs:
        metrics = _epoch(model, optimizer, train, parameters, augmentation, state)
        metrics |= validate(model, validation)
        state["epoch"] += 1
        if metrics["recall@10"] >= state["best"]:
            state |= {"best": metrics["recall@10"], "weights": {k: v.clone() for k, v in model.state_dict().items()}}
        if state_file:
            _save(state_file, model, optimizer, state)
        log({"epoch": state["epoch"], **metrics})
    model.load_state_dict(state["weights"])
    return model.eval()


def _epoch(model, optimizer, train: PreparedPairs, parameters: RunParameters, augmentation: AugmentationSpec, state: dict) -> dict:
    """One random pair of every patient, in whole batches; randomness depends on seed and epoch only."""
    rng = np.random.default_rng([parameters.seed, state["epoch"]])
    generator = torch.Generator().manual_seed(parameters.seed * 100_003 + state["epoch"])
    torch.manual_seed(parameters.seed * 100_019 + state["epoch"])
    pairs = train.one_per_patient(rng)
    n_steps = max(len(pairs) // parameters.batch_size, 1)
    model.train()
    losses = []
    for batch in np.array_split(pairs[: n_steps * parameters.batch_size], n_steps):
        factor = learning_rate_factor(state["step"], parameters.warmup_epochs * n_steps, parameters.epochs * n_steps, parameters.min_lr_factor)
        for group in optimizer.param_groups:
            group["lr"] = parameters.lr * factor
        ecg = augment(torch.from_numpy(train.ecgs[batch[:, 1]].astype(np.float32)), generator, augmentation)  # (b, 12, n)
        views, is_padding = map(torch.from_numpy, train.views(batch[:, 2]))
        ecg_aligned, study_aligned = model(ecg, views, is_padding)  # two (b, 512)
        loss = contrastive_loss(ecg_aligned, study_aligned, model.temperature())
        if not torch.isfinite(loss):
            raise Echo2ECGError(f"The loss became {loss.item()} in epoch {state['epoch'] + 1}.", "Start again with a lower learning rate.")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        state["step"] += 1
        losses.append(loss.item())
    return {"loss": round(float(np.mean(losses)), 4), "lr": optimizer.param_groups[0]["lr"]}


@torch.inference_mode()
def validate(model: Echo2ECG, data: PreparedPairs, batch_size: int = 256) -> dict:
    """Recall@10 of the paired study and mean loss-free alignment over one fixed pair a patient."""
    model.eval()
    pairs = data.one_per_patient(np.random.default_rng(0))
    n = model.spec.ecg_input.n_samples
    ecg, study = [], []
    for batch in np.array_split(pairs, max(len(pairs) // batch_size, 1)):
        x = torch.from_numpy(data.ecgs[batch[:, 1], :, :n].astype(np.float32))
        a, b = model(x, *map(torch.from_numpy, data.views(batch[:, 2])))
        ecg.append(torch.nn.functional.normalize(a, dim=1))
        study.append(torch.nn.functional.normalize(b, dim=1))
    similarity = torch.cat(ecg) @ torch.cat(study).T
    rank = (similarity > similarity.diagonal()[:, None]).sum(1)
    return {"recall@10": round((rank < 10).float().mean().item(), 4), "median_rank": int(rank.median()) + 1}


def _save(path: Path, model, optimizer, state: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".writing")
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "state": state}, temporary)
    os.replace(temporary, path)


def _restore(path: Path, model, optimizer) -> dict:
    saved = torch.load(path, weights_only=True)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    return saved["state"]
