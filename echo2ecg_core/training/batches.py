"""What each step of a training reads, made ready one step ahead in a thread beside the device.

Everything random of a batch follows from seed, step, part and rank, so it is the same whenever it is made. The thread
cuts windows, draws, gathers clip vectors, sends all of it to the device (from pinned memory, which needs no waiting)
and starts the augmentation there; torch and numpy let go of the interpreter meanwhile. Dropped paths are drawn in the
step itself, from torch's own generator.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from echo2ecg_core.ecg.augment import augment
from echo2ecg_core.models.specs import ModelSpec
from echo2ecg_core.training.pairs import PreparedPairs, not_negatives
from echo2ecg_core.training.run_state import RunState

Item = TypeVar("Item")
Made = TypeVar("Made")


class Place(NamedTuple):
    """Which batch: optimiser step, part of it, process; all pairs of the contrast (b, 3) and this process's (b', 3)."""

    step: int
    part: int
    rank: int
    whole: np.ndarray
    own: np.ndarray


class Batch(NamedTuple):
    """One batch on the device: augmented windows (b', 12, n), patch orders (b', p), clip vectors and padding (none
    for an objective without echo), and which pairs of the contrast are no negatives (None: all are)."""

    place: Place
    ecg: Tensor
    order: Tensor
    studies: tuple[Tensor, ...]
    not_negative: Tensor | None


def batches(run: RunState, spec: ModelSpec, device: torch.device, rank: int) -> Iterator[Batch]:
    """The batches of the current epoch from the step where the run stands, each made while the one before is used."""
    yield from ahead(lambda place: batch_at(place, run, spec, device), places(run, rank))


def places(run: RunState, rank: int) -> Iterator[Place]:
    """The batches that are left of the current epoch."""
    accumulate = run.parameters.accumulate
    begun = run.step * accumulate
    for number, (whole, own) in enumerate(run.batches(rank), begun):
        yield Place(number // accumulate, number % accumulate, rank, whole, own)


def batch_at(place: Place, run: RunState, spec: ModelSpec, device: torch.device) -> Batch:
    """One batch, made here and now."""
    p, train, own = run.parameters, run.train, place.own
    rng = np.random.default_rng([p.seed, place.step, place.part, place.rank])
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    ecg = _sent(train.windows(own[:, 1], spec.ecg_input.n_samples, rng), device)  # (b', 12, n)
    ecg = augment(ecg, generator, replace(p.augmentation, n_samples=spec.ecg_input.n_samples))
    order = torch.rand(len(own), 12 * spec.ecg_encoder.n_patches, generator=generator).argsort(1)  # (b', p)
    echo = () if p.objective == "masked" else _studies(train, own[:, 2], spec, p.view_dropout, rng)
    is_contrast = p.objective != "masked" and not p.same_patient_negatives
    excluded = _sent(not_negatives(place.whole), device) if is_contrast else None
    return Batch(place, ecg, order.to(device), tuple(_sent(array, device) for array in echo), excluded)


def ahead(make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """What `make` gives for every item, in order; the next is made in a thread while one is used.

    Raises: what `make` raises, where its result would be due.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="next batch") as thread:
        waiting: Future | None = None
        for item in items:
            coming = thread.submit(make, item)
            if waiting is not None:
                yield waiting.result()
            waiting = coming
        if waiting is not None:
            yield waiting.result()


def _sent(array: np.ndarray, device: torch.device) -> Tensor:
    """An array on the device; to a GPU on its way."""
    tensor = torch.from_numpy(array)
    if device.type == "cuda" and torch.cuda.is_available():
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def _studies(
    train: PreparedPairs, rows: np.ndarray, spec: ModelSpec, dropout: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Clip vectors and padding of these study rows, as the pooling of the study tower wants them."""
    if spec.study.pooling == "single_view":
        return train.one_view(rows, rng)
    return train.views(rows, spec.study.max_views, dropout, rng)
