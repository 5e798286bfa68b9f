"""Embedding a catalogue of ECGs from their blobs, against the bare network on prepared windows: ECGs a second.

    python -m benchmarks.embed [--ecgs 10000] [--distinct 500] [--preset base]

Writes noise-like 10 s ECGs into a temporary workspace (`--distinct` signals, each stored under several names), embeds
them by `embed_ecgs` (reading and cleaning in processes beside the device, segments, merge) and, before and after it,
runs the network alone on batches of the same size. Weights are random: time does not depend on them. Prints one JSON
line; `ratio` is embedding over the mean of the two bare rates, the aim is 0.9 on two cores. On a GPU also peak memory;
the share of time the device waited is 1 - ratio. `ratio_by_processor_time` is the same by processor seconds, those of
the reading processes and of their start included; on a busy machine it is the one to believe.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def filled(folder: Path, n: int, distinct: int):
    """A workspace with n ECGs."""
    from echo2ecg_core.ecg.record import EcgRecord
    from echo2ecg_core.store.catalog import Catalog
    from echo2ecg_core.store.database import Workspace
    from echo2ecg_core.store.new_rows import NewEcg

    workspace, rng = Workspace(folder), np.random.default_rng(0)
    catalog = Catalog(workspace)
    catalog.add_patient("P", split="test", cohort="c", synthetic=True)
    catalog.add_ecgs(
        [
            NewEcg(f"E-{i:07d}", "P", EcgRecord(made_up_ecg(rng), 500.0, "made up", str(i)), None)
            for i in range(min(n, distinct))
        ]
    )
    columns = "patient_id, ecg_time, sampling_rate_hz, duration_s, format, content_hash, blob"
    with workspace.write() as db:
        db.executemany(
            f"INSERT INTO ecgs (ecg_id, {columns}) SELECT ?, {columns} FROM ecgs WHERE ecg_id = ?",
            [(f"E-{i:07d}", f"E-{i % distinct:07d}") for i in range(distinct, n)],
        )
    return workspace


def made_up_ecg(rng):
    """(12, 5000) float32 mV: a beat a second, wander and noise."""
    t = np.arange(5000) / 500
    beats = np.exp(-(((t + rng.uniform()) % 1 - 0.5) ** 2) / 2e-4) + 0.2 * np.sin(2 * np.pi * 0.2 * t)
    return (rng.normal(1, 0.3, (12, 1)) * beats + rng.normal(0, 0.02, (12, 5000))).astype(np.float32)


def processor_s() -> float:
    """Processor seconds of this process and of those that it started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def bare_rate(network, spec, fabric, size: int, seconds: float = 10.0) -> np.ndarray:
    """ECGs a second, and a processor second, of the network alone, in batches as `embed_ecgs` makes them: on a CPU one
    thread a batch and as many batches at once."""
    import torch

    from echo2ecg_core.answers.embed import _senders
    from echo2ecg_core.answers.loaded_model import ecg_tensors

    x = torch.randn(size, 1, 12, spec.ecg_input.n_samples, device=fabric.device)

    def once() -> int:
        with torch.inference_mode(), fabric.autocast():
            return len(ecg_tensors(network, x)[0].float().cpu())

    with _senders(fabric) as (at_once, start):
        for warm in [start(once) for _ in range(at_once)]:
            warm()
        begun, used, done, waiting = time.perf_counter(), processor_s(), 0, []
        while time.perf_counter() - begun < seconds:
            waiting.append(start(once))
            if len(waiting) > at_once:
                done += waiting.pop(0)()
        done += sum(one() for one in waiting)
        return done / np.array([time.perf_counter() - begun, processor_s() - used])


def main() -> None:
    import torch

    from echo2ecg_core.answers.embed import ECG_WINDOWS, embed_ecgs
    from echo2ecg_core.answers.loaded_model import LoadedModel
    from echo2ecg_core.models.devices import ThisProcess
    from echo2ecg_core.models.echo2ecg import Echo2ECG
    from echo2ecg_core.models.specs import PRESETS
    from echo2ecg_core.models.threads import cores
    from echo2ecg_core.settings import settings
    from echo2ecg_core.store.model_registry import ModelCard

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ecgs", type=int, default=10_000)
    parser.add_argument("--distinct", type=int, default=500)
    parser.add_argument("--preset", default="base")
    options = parser.parse_args()
    spec, fabric = PRESETS[options.preset], ThisProcess()
    network = fabric.to_device(Echo2ECG(spec).eval())
    size = ECG_WINDOWS[fabric.device.type]
    with tempfile.TemporaryDirectory() as folder:
        workspace = filled(Path(folder), options.ecgs, options.distinct)
        card = ModelCard("bench", "bench", "0" * 64, True, "", True, Path(folder))
        model = LoadedModel(card, network, None, None, spec, None, {"weights": {}})
        before = bare_rate(network, spec, fabric, size)
        begun, used = time.perf_counter(), processor_s()
        refused = embed_ecgs(workspace, model)
        rate = options.ecgs / np.array([time.perf_counter() - begun, processor_s() - used])
        after = bare_rate(network, spec, fabric, size)
    assert not refused, refused[0]
    bare = (before + after) / 2
    on_gpu = fabric.device.type == "cuda"
    print(
        json.dumps(
            {
                "benchmark": "embed",
                "device": torch.cuda.get_device_name() if on_gpu else "cpu",
                "threads": torch.get_num_threads(),
                "reading_processes": max(1, (settings().threads or cores()) - 1),
                "preset": options.preset,
                "ecgs": options.ecgs,
                "ecgs_per_s": round(rate[0], 1),
                "network_alone_per_s": [round(before[0], 1), round(after[0], 1)],
                "ratio": round(rate[0] / bare[0], 3),
                "ratio_by_processor_time": round(rate[1] / bare[1], 3),
                **({"peak_memory_mb": round(torch.cuda.max_memory_allocated() / 2**20)} if on_gpu else {}),
            }
        )
    )


if __name__ == "__main__":
    main()
