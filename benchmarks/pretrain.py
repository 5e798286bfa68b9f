"""One training step of this project against the published one: pairs a second at full size.

Run: `python -m benchmarks.pretrain [--threads 2] [--batch 32] [--repeats 3] [--device cpu|cuda] [--compile]` from the
project folder. On a GPU it also takes batches of 256, 1024 and 4096 and prints model FLOP utilisation and peak memory
of each. Measured are forward, loss, backward and AdamW on the same batch, best of the repeats, versions taking turns:
  plain      published layout (double projections, nn.MultiheadAttention with its defaults), activation checkpointing,
  float32 float32    this project's step
  bfloat16   the same with precision bf16-mixed, as the presets train
Ratios are given by wall and by processor time; on a busy machine the second is the one to believe. `host` is what the
training loop itself does beside its networks, for the presets base and demo: processor milliseconds to make a batch and
to step on it, their ratio, and the share of the clock that the step waited for its batch, which is made in a thread
while the one before is used; the aim is 0.05. Prints one JSON line.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.utils.checkpoint import checkpoint

from benchmarks.ecg_encoder import PlainEncoder
from benchmarks.network_speed import best_times, options, peak_memory_mb, with_compiled
from echo2ecg_core.models.echo2ecg import Echo2ECG, contrastive_loss
from echo2ecg_core.models.specs import PRESETS
from echo2ecg_core.training.batches import ahead, batch_at, places
from echo2ecg_core.training.pairs import PreparedPairs
from echo2ecg_core.training.parameters import RunParameters
from echo2ecg_core.training.run_state import RunState

SPEC = PRESETS["base"]
N_VIEWS = 8
GPU_BATCHES = (256, 1024, 4096)
PEAK_FLOPS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}  # dense bfloat16, from the makers' data sheets


class PlainStep(torch.nn.Module):
    """The published ECG tower with activation checkpointing, beside this project's study tower."""

    def __init__(self):
        super().__init__()
        self.encoder, self.towers = PlainEncoder(), Echo2ECG(SPEC)
        for block in self.encoder.blocks:
            block.forward = _checkpointed(block.forward)

    def forward(self, ecg, views):
        return self.towers.align_ecg(self.encoder(ecg)), self.towers.align_study(self.towers.embed_study(views))


def _checkpointed(forward: Callable) -> Callable:
    return lambda x: checkpoint(forward, x, use_reentrant=False)


def step_of(network: torch.nn.Module, bfloat16: bool, fused: bool) -> Callable:
    """A function of a batch of ECGs that trains one step."""
    network.train()
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=1e-5, fused=fused)

    def step(ecg):
        views = torch.ones(len(ecg), N_VIEWS, SPEC.study.clip_dim, device=ecg.device)
        with torch.autocast(ecg.device.type, torch.bfloat16, enabled=bfloat16):
            sides = network(ecg, views)
        contrastive_loss(*sides, SPEC.temperature).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def flops_a_pair() -> float:
    """Multiplications and additions of one training step a pair: three times the forward pass of the ECG encoder."""
    e = SPEC.ecg_encoder
    tokens, w = 1 + 12 * e.n_patches, e.width
    block = 2 * tokens * (4 * w * w + 2 * w * e.mlp_ratio * w) + 4 * tokens * tokens * w
    return 3 * e.depth * block


def main(given: Sequence[str] | None = None) -> None:
    chosen = options(__doc__.splitlines()[0], batch=32, repeats=3, given=given)
    plain, ours = PlainStep().to(chosen.device), Echo2ECG(SPEC).to(chosen.device)
    functions = {
        "plain": step_of(plain, False, False),
        "float32": step_of(ours, False, True),
        "bfloat16": step_of(ours, True, True),
    }
    functions, notes = with_compiled(functions, "bfloat16", chosen)
    x = torch.randn(chosen.batch, 12, SPEC.ecg_input.n_samples, device=chosen.device)
    times = best_times(functions, x, chosen.repeats)
    result = {
        "benchmark": "pretrain",
        "device": torch.cuda.get_device_name() if x.is_cuda else "cpu",
        "threads": chosen.threads,
        "batch": chosen.batch,
        "pairs_per_s": {name: round(chosen.batch / t[0], 2) for name, t in times.items()},
        "times_plain": {name: round(times["plain"][0] / t[0], 2) for name, t in times.items()},
        "times_plain_by_processor_time": {name: round(times["plain"][1] / t[1], 2) for name, t in times.items()},
        "peak_memory_mb": peak_memory_mb(functions, x),
        "host": {preset: host_share(preset, chosen) for preset in ("base", "demo")},
        "notes": notes,
    }
    if x.is_cuda:
        result["by_batch"] = {str(n): on_gpu(functions, n, chosen) for n in GPU_BATCHES}
    print(json.dumps(result))


def host_share(preset: str, chosen: argparse.Namespace, steps: int = 6) -> dict:
    """What making a batch costs beside the step that uses it, and how long the step waits for it."""
    spec, n = PRESETS[preset], chosen.batch * (steps + 1)
    rng, rows = np.random.default_rng(0), np.arange(n)
    length = spec.ecg_input.n_samples + 100
    ecgs = rng.normal(size=(n, 12, length)).astype(np.float16)
    clips = rng.normal(size=(n * N_VIEWS, spec.study.clip_dim)).astype(np.float32)
    pairs = PreparedPairs(ecgs, clips, list(np.arange(len(clips)).reshape(n, N_VIEWS)), np.stack([rows] * 3, 1))
    parameters = RunParameters(batch_size=chosen.batch)
    device, run = torch.device(chosen.device), RunState(parameters, pairs, 1)
    network = Echo2ECG(spec).to(device).train()
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=1e-5, fused=True)
    waited, clock, processor, made = 0.0, 0.0, 0.0, []

    def timed_batch(place):
        begun = time.thread_time()
        batch = batch_at(place, run, spec, device)
        made.append(time.thread_time() - begun)
        return batch

    coming = ahead(timed_batch, places(run, 0))  # as `batches` does
    batch = next(coming)
    for _ in range(steps):
        begun, used = time.perf_counter(), time.process_time()
        with torch.autocast(device.type, torch.bfloat16):
            sides = network(batch.ecg, *batch.studies)
        contrastive_loss(*sides, spec.temperature).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize()
        asked = time.perf_counter()
        batch = next(coming)
        waited, clock = waited + time.perf_counter() - asked, clock + time.perf_counter() - begun
        processor += time.process_time() - used
    coming.close()
    batch_s = float(np.mean(made[1:]))  # the first one is the first of everything
    return {
        "batch_processor_ms": round(1000 * batch_s, 1),
        "step_processor_ms": round(1000 * processor / steps, 1),
        "share_by_processor_time": round(batch_s * steps / processor, 4),
        "waited_share": round(waited / clock, 4),
    }


def on_gpu(functions: dict[str, Callable], batch: int, chosen: argparse.Namespace) -> dict:
    """Pairs a second, model FLOP utilisation and peak memory of the fastest version at one batch size."""
    x = torch.randn(batch, 12, SPEC.ecg_input.n_samples, device=chosen.device)
    version = "bfloat16_compiled" if "bfloat16_compiled" in functions else "bfloat16"
    seconds, _ = best_times({version: functions[version]}, x, chosen.repeats)[version]
    name = torch.cuda.get_device_name()
    peak = next((flops for key, flops in PEAK_FLOPS.items() if key in name), None)
    return {
        "pairs_per_s": round(batch / seconds, 1),
        "peak_memory_mb": peak_memory_mb({version: functions[version]}, x)[version],
        "model_flop_utilisation": peak and round(flops_a_pair() * batch / seconds / peak, 3),
    }


if __name__ == "__main__":
    main()
