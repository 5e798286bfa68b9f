"""What one clip of a phantom tells of LVEF to an encoder that was taught LVEF, as those of published figures were.

    python benchmarks/phantom_taught.py [--version 2] [--kinds a4c,plax,subcostal] [--teach 2000] [--patients 800]
        [--epochs 8] [--out FILE]

`phantom_views.py` asks encoders that know no label, which tell less. Here a clip network of the demo's size learns the
written LVEF from one clip each of three kinds of `--teach` patients (all in one network; the best epoch by a tenth
of these patients). Then it is frozen, and ridge regression from one clip's vector tells LVEF of `--patients` others in
five folds by patient, as in phantom_views.py. What is aimed at: A4C R² 0.75 to 0.85, parasternal long axis 0.5 to 0.65,
subcostal 0.3 to 0.5. Rendered clips are cached outside the project. Prints one JSON line.
"""

import argparse
import copy
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.phantom_views import embedded, rendered, study_means, told, told_by_kind, truth_of  # noqa: E402
from echo2ecg_core.phantom.cohort import PhantomCohort  # noqa: E402

KINDS = ("a4c", "plax", "subcostal")
TAUGHT_SEED, ASKED_SEED, BATCH, RATE = 4211, 4307, 32, 1e-3


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--version", type=int, default=2)
    parser.add_argument("--kinds", default=",".join(KINDS), help="kinds of clips, parted by commas")
    parser.add_argument("--teach", type=int, default=2000)
    parser.add_argument("--patients", type=int, default=800)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "echo2ecg-phantom-views")
    parser.add_argument("--out", type=Path, default=None, help="file for the JSON line")
    options = parser.parse_args(given)
    import torch

    torch.set_num_threads(options.threads)
    taught = PhantomCohort(options.teach, TAUGHT_SEED, observer_noise=True, version=options.version)
    table, pooled, _ = rendered(taught, options)
    network, course = taught_network(table, pooled, truth_of(taught).lvef.to_numpy(float), options.epochs)
    asked = PhantomCohort(options.patients, ASKED_SEED, observer_noise=True, version=options.version)
    table, pooled, _ = rendered(asked, options)
    truths, vectors = truth_of(asked), embedded(network, pooled)
    found = {
        "benchmark": "phantom_taught", "taught_patients": options.teach, "patients": options.patients,
        "kept_aside_mae": course, "told": told_by_kind(table, vectors, truths, ("lvef",)),
    }  # fmt: skip
    found["told"]["study"] = told(*study_means(table, vectors), truths, ("lvef",))  # of these three
    line = json.dumps(found)
    print(line)
    if options.out:
        options.out.write_text(line + "\n")


def taught_network(table: pd.DataFrame, pooled: np.ndarray, lvef: np.ndarray, epochs: int):
    """A `PhantomVideoNet` that learnt the written LVEF (p,), in percent, of these clips, and its mean absolute error on
    the patients kept aside, epoch by epoch; the weights are those of the best."""
    import torch
    import torch.nn.functional as F

    from echo2ecg_core.models.echo_encoder import PhantomVideoNet

    torch.manual_seed(5)
    rng, patients = np.random.default_rng(5), table.patient.to_numpy()
    aside = patients % 10 == 0
    middle, spread = lvef.mean(), lvef.std()
    target = torch.from_numpy(((lvef[patients] - middle) / spread).astype(np.float32))
    network, head = PhantomVideoNet().train(), torch.nn.Linear(512, 1)
    parameters = [*network.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.05)
    learnt = np.flatnonzero(~aside)
    steps = epochs * -(-len(learnt) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    course, best = [], copy.deepcopy(network)
    for epoch in range(epochs):
        network.train()
        order = rng.permutation(learnt)
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            told_z = head(network.from_pooled(torch.from_numpy(pooled[rows].astype(np.float32))))[:, 0]
            loss = F.smooth_l1_loss(told_z, target[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
        told_z = head(torch.from_numpy(embedded(network.eval(), pooled[aside]))).detach()[:, 0]
        error = (told_z - target[aside]).abs().mean()
        course.append(round(float(spread * error), 2))
        print(f"epoch {epoch + 1} of {epochs}: {course[-1]} points on patients kept aside", file=sys.stderr, flush=True)
        if course[-1] == min(course):
            best = copy.deepcopy(network)
    return best.eval(), course


if __name__ == "__main__":
    main()
