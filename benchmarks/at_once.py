"""Ten ECGs that arrive at the same time: predicted in ten threads, as ten visitors are, or in one batch.

    python benchmarks/at_once.py WORKSPACE [--model ID] [--ecgs 10] [--rounds 20]

What a queue in front of the network could save at most. Each round predicts as many ECGs (the sample of pydicom with a
little noise, quality, measurements and neighbours included) both ways, in turns within one process, so that what else
the machine does touches both alike. The same for the network's pass alone. One JSON line: processor time and time on
the clock of a round (median, seconds), and the ratio batch / threads (median of the rounds and its middle half).
"""

import argparse
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from pydicom.data import get_testdata_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from echo2ecg_core.answers.loaded_model import LoadedModel, active_model_card, load_model  # noqa: E402
from echo2ecg_core.answers.predict import predict, predict_batch  # noqa: E402
from echo2ecg_core.ecg.readers import read_ecg  # noqa: E402
from echo2ecg_core.ecg.record import EcgRecord  # noqa: E402
from echo2ecg_core.store.database import Workspace  # noqa: E402
from echo2ecg_core.store.model_registry import ModelRegistry  # noqa: E402


def records(n: int) -> list[EcgRecord]:
    """So many ECGs that differ by a few microvolts of noise."""
    from dataclasses import replace

    sample, rng = read_ecg(get_testdata_file("waveform_ecg.dcm")), np.random.default_rng(0)
    noise = rng.normal(0, 0.002, (n, *sample.signal_mv.shape)).astype(np.float32)
    return [replace(sample, signal_mv=sample.signal_mv + one) for one in noise]


def took(action) -> tuple[float, float]:
    """Processor time and time on the clock of an action."""
    worked, began = time.process_time(), time.monotonic()
    action()
    return time.process_time() - worked, time.monotonic() - began


def compared(one, batch, items: list, rounds: int) -> dict:
    """`one` on every item in a thread of its own and `batch` on all of them, in turns; which one begins changes."""
    measured: dict[str, list] = {"threads": [], "batch": []}
    with ThreadPoolExecutor(len(items)) as threads:
        ways = [("threads", lambda: list(threads.map(one, items))), ("batch", lambda: batch(items))]
        for _, action in ways:
            took(action)
        for number in range(rounds):
            for name, action in ways if number % 2 else reversed(ways):
                measured[name].append(took(action))
    found = {name: np.array(values) for name, values in measured.items()}
    ratio = found["batch"] / found["threads"]
    return {
        f"{what}_{name}": np.round(value, 3).tolist()
        for column, what in enumerate(("processor", "clock"))
        for name, value in (
            ("threads_s", np.median(found["threads"][:, column])),
            ("batch_s", np.median(found["batch"][:, column])),
            ("ratio", np.median(ratio[:, column])),
            ("ratio_middle_half", np.percentile(ratio[:, column], [25, 75])),
        )
    }


def main(workspace: Workspace, model_id: str | None, n: int, rounds: int) -> dict:
    """Measure predictions and the network's pass."""
    card = ModelRegistry(workspace).get(model_id) if model_id else active_model_card(workspace)
    model: LoadedModel = load_model(card)
    ecgs = records(n)
    windows = [model.prepare(one)[None] for one in ecgs]
    return {
        "ecgs": n,
        "rounds": rounds,
        "model": card.name,
        "parameters": sum(p.numel() for p in model.echo2ecg.ecg_encoder.parameters()),
        "prediction": compared(
            lambda one: predict(one, model, workspace), lambda all: predict_batch(all, model, workspace), ecgs, rounds
        ),
        "network": compared(model.embed_ecgs, lambda all: model.embed_ecgs(np.concatenate(all)), windows, rounds),
        "load_of_the_machine": round(os.getloadavg()[0], 1),
        "cores": os.cpu_count(),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--ecgs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=20)
    asked = parser.parse_args()
    print(json.dumps(main(Workspace(asked.workspace), asked.model, asked.ecgs, asked.rounds)))
