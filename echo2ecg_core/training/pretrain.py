"""Pretraining of the ECG tower, against frozen clip vectors or alone: the loop in plain sight, on one process or many.

Lightning Fabric brings devices, bf16, DDP, torchrun and SLURM; the loop stays here. Everything random of a step (order,
windows, augmentation, dropped paths) follows from seed, epoch, step and rank alone, so a checkpoint needs no random
states and a run that was killed ends with the same weights as one that was not. The last weights are the result: a best
epoch chosen by a noisy validation score is optimistic.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from echo2ecg_core.models.devices import open_fabric
from echo2ecg_core.models.echo2ecg import Echo2ECG, contrastive_loss
from echo2ecg_core.models.specs import ModelSpec
from echo2ecg_core.training.batches import Batch, batches
from echo2ecg_core.training.masked import MaskedAutoencoder
from echo2ecg_core.training.pairs import PreparedPairs
from echo2ecg_core.training.parameters import RunParameters, is_decayed, learning_rate_factor, rate_multiplier
from echo2ecg_core.training.run_state import RunState

CHECKPOINT_EVERY_S = 180.0
TELL_EVERY_S = 2.0
Log = Callable[[dict], None]


def pretrain(
    spec: ModelSpec,
    train: PreparedPairs,
    validation: PreparedPairs,
    parameters: RunParameters,
    *,
    fabric: Fabric | None = None,
    start_from: dict[str, Tensor] | None = None,
    state_file: Path | None = None,
    log: Log = lambda metrics: None,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
) -> Echo2ECG:
    """The network after the last epoch, in eval mode on the CPU.

    Args:
        spec: What to build.
        train, validation: Prepared pairs of different patients.
        parameters: How to train.
        fabric: Devices and processes; None: one device of this machine.
        start_from: Weights by their keys in an Echo2ECG network, all or some; None: random.
        state_file: The checkpoint, written and read by the first process, which hands the others what it holds; None:
            not resumable. Whether there is one decides the first process alone.
        log: Told metrics (kinds "step" and "epoch") on the first process.
        checkpoint_every_s: Between two checkpoints inside an epoch.

    Raises:
        Echo2ECGError: the loss is no longer a number, or there are fewer training pairs than one batch needs.
    """
    fabric = fabric or open_fabric(parameters.precision)
    network = _network(spec, parameters.seed, start_from)
    task = _Task(network, parameters)
    optimizer = torch.optim.AdamW(
        parameter_groups(network if task.masked is None else task.masked, spec.ecg_encoder.depth, parameters),
        fused=True,
    )
    run = RunState(parameters, train, fabric.world_size)
    module, wrapped = fabric.setup(task, optimizer)
    if saved := _shared_state(fabric, state_file):
        run.restore(saved, task, optimizer)

    def save() -> None:
        if state_file and fabric.is_global_zero:
            run.save(state_file, task, optimizer)

    while run.epoch < parameters.epochs:
        began, first = time.monotonic(), run.step_in_epoch
        _train_epoch(fabric, module, wrapped, run, spec, save, log, checkpoint_every_s)
        metrics = run.epoch_metrics() | (validate(task, validation, parameters) if fabric.is_global_zero else {})
        whole_epoch = (time.monotonic() - began) * run.steps / max(run.steps - first, 1)  # all that is done in one
        metrics["eta_s"] = (parameters.epochs - run.epoch - 1) * whole_epoch
        run.next_epoch()
        save()
        if fabric.is_global_zero:
            log({"kind": "epoch", **metrics})
        fabric.barrier()
    return network.cpu().eval()


def _network(spec: ModelSpec, seed: int, start_from: dict[str, Tensor] | None) -> Echo2ECG:
    """A network of random weights, or of those to start from where it has them."""
    torch.manual_seed(seed)
    network = Echo2ECG(spec)
    if start_from:
        strange = network.load_state_dict(start_from, strict=False).unexpected_keys
        assert not strange, strange
    return network


def parameter_groups(module: nn.Module, depth: int, parameters: RunParameters) -> list[dict]:
    """One AdamW group per trainable parameter, with the published layer decay and weight decay (see parameters.py)."""
    groups = []
    for name, parameter in module.named_parameters():
        own = name.replace("encoder.", "ecg_encoder.", 1) if name.startswith("encoder.") else name
        multiplier = rate_multiplier(own, depth, parameters.layer_decay)
        groups.append(
            {
                "params": [parameter],
                "name": own,
                "multiplier": multiplier,
                "lr": parameters.lr * multiplier,
                "weight_decay": parameters.weight_decay if is_decayed(own) else 0.0,
            }
        )
    return groups


class _Task(nn.Module):
    """What a step computes: both sides of a contrast, or the loss of the masked objective."""

    def __init__(self, network: Echo2ECG, parameters: RunParameters):
        super().__init__()
        self.network = network
        self.masked = (
            MaskedAutoencoder(network.ecg_encoder, parameters.mask_ratio) if parameters.objective == "masked" else None
        )
        if self.masked is not None:
            for name, parameter in network.named_parameters():
                parameter.requires_grad_(name.startswith("ecg_encoder."))

    def forward(self, ecg: Tensor, order: Tensor, views: Tensor | None = None, is_padding: Tensor | None = None):
        """Windows (b, 12, n), patch orders (b, p), clips (b, v, 512), (b, v) -> two (b, 512) and the temperature, or
        the masked loss, which needs no clips."""
        if self.masked is not None:
            return self.masked(ecg, order)
        ecg_side, study_side = self.network(ecg, views, is_padding)
        return ecg_side, study_side, torch.as_tensor(self.network.temperature(), device=ecg.device)


def _shared_state(fabric: Fabric, state_file: Path | None) -> bytes | None:
    """The checkpoint as the first process finds it, on every process; None where there is none.

    The others never look at the file: their disk may be another one, and a run in which some go on and some begin
    anew is lost.
    """
    content = state_file.read_bytes() if fabric.is_global_zero and state_file and state_file.exists() else None
    return fabric.broadcast(content) if fabric.world_size > 1 else content


def _train_epoch(
    fabric: Fabric,
    module,
    optimizer,
    run: RunState,
    spec: ModelSpec,
    save: Callable[[], None],
    log: Log,
    checkpoint_every_s: float,
) -> None:
    """Train to the end of the current epoch, from the step where the run stands.

    Metrics stay on the device until somebody is told of them or a checkpoint is due: reading a number makes the host
    wait for the device, and a device that waits for the host in every step is half idle.
    """
    p = run.parameters
    module.train()
    saved = told = step_began = time.monotonic()
    parts: list[dict[str, Tensor]] = []
    for batch in batches(run, spec, fabric.device, fabric.global_rank):
        last = len(parts) == p.accumulate - 1
        _seed(run, len(parts), fabric.global_rank)
        with fabric.no_backward_sync(module, enabled=not last and fabric.world_size > 1):
            metrics = _loss(fabric, module, p.objective, batch)
            fabric.backward(metrics["loss"] / p.accumulate)
        parts.append({key: value.detach().double() for key, value in metrics.items()})
        if not last:
            continue
        factor = learning_rate_factor(run.step, p.warmup_epochs * run.steps, p.epochs * run.steps, p.min_lr_factor)
        for group in optimizer.param_groups:
            group["lr"] = p.lr * group["multiplier"] * factor
        norm = torch.nn.utils.clip_grad_norm_(module.parameters(), p.clip_norm or torch.inf)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step = {key: sum(part[key] for part in parts) / len(parts) for key in parts[0]}
        step |= {"lr": p.lr * factor, "grad_norm": norm.double()}
        parts, now = [], time.monotonic()
        run.count(step, now - step_began)
        step_began = now
        if now - told >= TELL_EVERY_S:
            told = now
            run.refuse_no_number()
            if fabric.is_global_zero:
                log(run.step_metrics(step) | device_load(fabric.device))
        if now - saved >= checkpoint_every_s:
            run.refuse_no_number()
            save()
            saved = time.monotonic()


def _seed(run: RunState, part: int, rank: int) -> None:
    """Everything random of this step follows from here."""
    torch.manual_seed(((run.parameters.seed * 1009 + run.step) * 1013 + part) * 257 + rank)


def _loss(fabric: Fabric, module, objective: str, batch: Batch) -> dict:
    """Loss of one contrast over all processes, and the temperature; or the loss of one masked batch."""
    out = module(batch.ecg, batch.order, *batch.studies)
    if objective == "masked":
        return {"loss": out}
    ecg_side, study_side, temperature = out
    if fabric.world_size > 1:  # every process contrasts the whole batch; gradients flow back to who made the rows
        ecg_side, study_side = (_of_all(fabric, side) for side in (ecg_side, study_side))
    loss = contrastive_loss(ecg_side, study_side, temperature, not_negative=batch.not_negative)
    return {"loss": loss, "temperature": temperature}


def _of_all(fabric: Fabric, side: Tensor) -> Tensor:
    """The rows of all processes, (b, d) -> (processes * b, d)."""
    gathered = fabric.all_gather(side, sync_grads=True)
    assert isinstance(gathered, Tensor)  # a tensor in, a tensor out; Fabric also gathers dicts and lists
    return gathered.flatten(0, 1)


@torch.inference_mode()
def validate(task: _Task, data: PreparedPairs, parameters: RunParameters) -> dict:
    """Loss, and ranks of the paired study, over one fixed pair of every validation patient; first window, no
    augmentation."""
    task.eval()
    network = task.network
    device = next(network.parameters()).device
    pairs = data.one_per_patient(np.random.default_rng(0))
    n = network.spec.ecg_input.n_samples
    size = min(parameters.batch_size, len(pairs))
    losses: list[float] = []
    sides: list[tuple[Tensor, Tensor]] = []
    for batch in (pairs[i : i + size] for i in range(0, len(pairs), size)):
        x = torch.from_numpy(data.windows(batch[:, 1], n)).to(device)
        if task.masked is not None:
            order = torch.rand(
                len(batch), 12 * network.spec.ecg_encoder.n_patches, generator=torch.Generator().manual_seed(0)
            ).argsort(1)
            losses.append(float(task.masked(x, order.to(device))))
            continue
        sides.append(
            network(x, *(torch.from_numpy(a).to(device) for a in data.views(batch[:, 2], network.spec.study.max_views)))
        )
        if len(batch) == size:  # the loss depends on the number of candidates
            losses.append(float(contrastive_loss(*sides[-1], network.temperature())))
    loss = {"validation_loss": float(np.mean(losses))}
    if not sides:  # an ECG alone is not searched with
        return loss
    return loss | _ranks(*(torch.cat(side).float() for side in zip(*sides, strict=True))) | {"candidates": len(pairs)}


def _ranks(ecg: Tensor, study: Tensor) -> dict:
    """Recall and median rank of the paired study, (n, 512) twice."""
    similarity = nn.functional.normalize(ecg, dim=1) @ nn.functional.normalize(study, dim=1).T
    rank = (similarity > similarity.diagonal()[:, None]).sum(1)
    return {f"recall@{k}": float((rank < k).float().mean()) for k in (1, 5, 10)} | {
        "median_rank": int(rank.median()) + 1
    }


def device_load(device: torch.device) -> dict:
    """Load (0..1) and memory (10⁹ bytes) of a GPU, as far as the driver tells; nothing on a CPU."""
    if device.type != "cuda":
        return {}
    free, total = torch.cuda.mem_get_info(device)
    load = {"gpu_memory_gb": (total - free) / 1e9, "gpu_memory_total_gb": total / 1e9}
    try:
        return load | {"gpu_load": torch.cuda.utilization(device) / 100}
    except (ImportError, RuntimeError):
        return load
