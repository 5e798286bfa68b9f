"""ECGs and clips a second of the published models that this program reads, preparing and network apart.

Run: python -m benchmarks.ready_models [--threads 2] [--batch 8] [--repeats 3] [--kinds echonext ecgfounder panecho]
Weights are random (speed does not depend on them), inputs are noise of the right shape: ECGs of 12 x 5000 samples at
500 Hz, clips of 16 frames of 256 x 256. Measured against nothing: the figures say what a second reader costs beside the
model of the demo (benchmarks/ecg_encoder.py, echo_encoder.py). One JSON line a model.
"""

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402
import torch  # noqa: E402

from echo2ecg_core.models.ready_heads import CLIP, READY, ReadyHead, answers  # noqa: E402


def best_of(repeats: int, function) -> float:
    """Seconds of the quickest call, after one that is not counted."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def measure(head: ReadyHead, batch: int, repeats: int, threads: int) -> dict:
    """One line: parameters, preparing and network in pieces a second, and both together."""
    rng = np.random.default_rng(0)
    if head.reads == CLIP:
        raw = (rng.integers(0, 255, (16, 256, 256, 3), dtype=np.uint8),)
    else:
        raw = (rng.normal(0, 0.2, (12, 5000)).astype(np.float32), 500.0, {})
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = head.network().eval().to(device)
    inputs = [np.stack([x] * batch) for x in head.prepare(*raw)]
    prepare_s = best_of(repeats, lambda: head.prepare(*raw))
    network_s = best_of(repeats, lambda: answers(head, network, *inputs)) / batch
    unit = "clips" if head.reads == CLIP else "ecgs"
    return {
        "benchmark": "ready_models",
        "model": head.name,
        "parameters": sum(p.numel() for p in network.parameters()),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "torch": torch.__version__,
        "threads": threads,
        "batch": batch,
        f"{unit}_prepared_per_s": round(1 / prepare_s, 2),
        f"{unit}_through_the_network_per_s": round(1 / network_s, 2),
        f"{unit}_per_s": round(1 / (prepare_s + network_s), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", choices=list(READY), default=list(READY))
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    for kind in chosen.kinds:
        print(json.dumps(measure(READY[kind], chosen.batch, chosen.repeats, chosen.threads)), flush=True)


if __name__ == "__main__":
    main()
