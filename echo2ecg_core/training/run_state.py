"""Where a run stands: its epoch and step, the sums of its metrics, its checkpoint; and which pairs each step takes.

Sums may be tensors on the device: they become numbers when somebody is told of them or a checkpoint is written.
"""

import io
import os
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.training.pairs import PreparedPairs
from echo2ecg_core.training.parameters import RunParameters


@dataclass
class RunState:
    """Where a run stands: the epoch, the step in it, and the sums of its metrics so far."""

    parameters: RunParameters
    train: PreparedPairs
    world_size: int

    def __post_init__(self):
        self.epoch, self.step_in_epoch, self.sums, self.seconds = 0, 0, {}, 0.0
        n = len(self.train) if self.parameters.epoch_of == "pairs" else self.train.n_patients
        self.batch = min(self.parameters.batch_size, n) // self.world_size * self.world_size
        self.steps = n // max(self.batch * self.parameters.accumulate, 1)
        if self.steps == 0 or self.batch < 2:
            raise Echo2ECGError(
                f"There are {n} training {self.parameters.epoch_of}, fewer than one step needs "
                f"({self.parameters.batch_size} x {self.parameters.accumulate}).",
                "Use a smaller batch or more data.",
            )

    @property
    def step(self) -> int:
        """Optimiser steps done."""
        return self.epoch * self.steps + self.step_in_epoch

    @property
    def progress(self) -> float:
        """Share of the run that is done."""
        return self.step / (self.steps * self.parameters.epochs)

    def batches(self, rank: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """From the current step on: all pairs of one contrast (b, 3) and this process's share of them; `accumulate` a
        step."""
        rng = np.random.default_rng([self.parameters.seed, self.epoch])
        pairs = self.train.shuffled(rng) if self.parameters.epoch_of == "pairs" else self.train.one_per_patient(rng)
        first = self.step_in_epoch * self.parameters.accumulate
        for i in range(first, self.steps * self.parameters.accumulate):
            whole = pairs[i * self.batch : (i + 1) * self.batch]
            share = self.batch // self.world_size
            yield whole, whole[rank * share : (rank + 1) * share]

    def refuse_no_number(self) -> None:
        """Raises:
        Echo2ECGError: the loss of a step of this epoch was no number; the weights are lost and must not be stored.
        """
        total = float(self.sums.get("loss", 0.0))
        if not np.isfinite(total):
            raise Echo2ECGError(
                f"The loss became {total} in epoch {self.epoch + 1}.", "Start again with a lower learning rate."
            )

    def step_metrics(self, step: dict) -> dict:
        """What is told of a step inside an epoch, as numbers."""
        per_step = self.seconds / self.step_in_epoch
        return {
            "kind": "step",
            "epoch": self.epoch + self.step_in_epoch / self.steps,
            "step": self.step,
            "progress": self.progress,
            **{key: float(value) for key, value in step.items()},
            "pairs_per_s": self.batch * self.parameters.accumulate / max(per_step, 1e-9),
            "eta_s": (self.steps * self.parameters.epochs - self.step) * per_step,
        }

    def count(self, metrics: dict, seconds: float) -> None:
        """Add one step's metrics, numbers or tensors on the device, to the sums of this epoch."""
        self.sums = {key: self.sums.get(key, 0.0) + value for key, value in metrics.items()}
        self.step_in_epoch += 1
        self.seconds += seconds

    def epoch_metrics(self) -> dict:
        """Means over the epoch that has just ended.

        Raises:
            Echo2ECGError: a loss of it was no number.
        """
        self.refuse_no_number()
        n = max(self.step_in_epoch, 1)
        pairs_per_s = self.step_in_epoch * self.batch * self.parameters.accumulate / max(self.seconds, 1e-9)
        return {
            "epoch": self.epoch + 1,
            "epochs": self.parameters.epochs,
            "step": self.step,
            **{k: float(v) / n for k, v in self.sums.items()},
            "pairs_per_s": pairs_per_s,
            "seconds": self.seconds,
        }

    def next_epoch(self) -> None:
        """Begin the next epoch."""
        self.epoch, self.step_in_epoch, self.sums, self.seconds = self.epoch + 1, 0, {}, 0.0

    def save(self, path: Path, task: nn.Module, optimizer) -> None:
        """Write everything that a resumed run needs, in one step: whoever reads sees the old checkpoint or the new
        one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".writing")
        sums = {key: float(value) for key, value in self.sums.items()}
        place = {"epoch": self.epoch, "step_in_epoch": self.step_in_epoch, "sums": sums, "seconds": self.seconds}
        try:
            with open(temporary, "wb") as file:
                torch.save({"task": task.state_dict(), "optimizer": optimizer.state_dict(), "place": place}, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)  # a disk that fills up keeps the last whole checkpoint

    def restore(self, content: bytes, task: nn.Module, optimizer) -> None:
        """Go on from the bytes of a checkpoint.

        Raises:
            Echo2ECGError: it cannot be read, or belongs to a run with other sizes.
        """
        try:
            saved = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
            task.load_state_dict(saved["task"])
            optimizer.load_state_dict(saved["optimizer"])
        except (OSError, RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
            raise Echo2ECGError(
                f"The checkpoint of this run cannot be continued ({type(error).__name__}).",
                "Remove it to start again, or set the parameters as they were.",
            ) from error
        for key, value in saved["place"].items():
            setattr(self, key, value)
