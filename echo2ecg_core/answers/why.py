"""Why this estimate: which leads and parts of the beat carry it, by integrated gradients (Sundararajan et al. 2017).

The path goes from the flat ECG (every lead on its isoelectric line, which is 0 in the model's windows) to this one;
what a stretch of a lead contributes is told in the unit of the phenotype, before calibration, and all contributions sum
to the difference between the two estimates. An attribution may mislead, so each is checked by deletion: flattening the
tenth that it names has to move the estimate more than flattening a random tenth. A harder control is told beside it:
the tenth of largest deflections, which is found without the network (benchmarks/why.py: how often each holds).
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from echo2ecg_core.answers.loaded_model import LoadedModel
from echo2ecg_core.ecg.record import LEADS, EcgRecord

if TYPE_CHECKING:
    from torch import Tensor

STEPS, TOGETHER = 32, 8  # points on the path, and how many pass the network at once
CELL_S = 0.04  # one millimetre of paper at 25 mm/s
MOST_WINDOWS = 12  # of a longer recording the first are explained: 30 s with the published window
SHARE, DRAWS = 0.1, 20
PARTS = ("P and PR", "QRS", "ST and T", "between beats")


@dataclass(frozen=True, eq=False)
class Why:
    """What carries one estimate.

    Attributes:
        record: The stretch of the recording that is explained.
        contribution: (12, cells) of every `CELL_S` of every lead, in the unit of the phenotype; positive raises it.
        estimate, flat: Uncalibrated estimates of this stretch and of the flat ECG.
        lead_share: Lead -> share of all contributions (absolute values), largest first.
        part_share: Part of the beat -> (share of the contributions, share of the time); {} without repeating beats.
        moved: How far the estimate moves without a tenth of the cells: "named" by the attribution, "random" (mean of
            `DRAWS` draws), "largest" deflections.
    """

    record: EcgRecord
    contribution: np.ndarray
    estimate: float
    flat: float
    lead_share: dict[str, float]
    part_share: dict[str, tuple[float, float]]
    moved: dict[str, float]

    @property
    def holds(self) -> bool:
        """True when flattening what is named moves the estimate more than flattening as much at random."""
        return self.moved["named"] > self.moved["random"]


def explain(record: EcgRecord, model: LoadedModel, name: str = "lvef") -> Why:
    """Which leads and parts of the beat carry the estimate of one phenotype.

    Args:
        record: The ECG.
        model: With readouts.
        name: A phenotype that the model's readouts predict.

    Raises:
        SignalError: the record is shorter than the model's window.
    """
    from echo2ecg_core.ecg.quality import judge_quality, usable_parts

    part = usable_parts(record, judge_quality(record))[0]
    windows = model.prepare(part)[:MOST_WINDOWS]  # (w, 12, n)
    spec = model.spec.ecg_input
    end = round(len(windows) * spec.n_samples / spec.sampling_rate_hz * part.sampling_rate_hz)
    stretch = replace(part, signal_mv=part.signal_mv[:, :end])
    estimate = _Estimate(model, name)
    by_sample = integrated_gradients(estimate, windows)  # (w, 12, n)
    cell = round(CELL_S * spec.sampling_rate_hz)
    contribution = _cells(_in_line(by_sample), cell)  # (12, cells)
    size = np.abs(contribution)
    by_lead = size.sum(1) / max(size.sum(), 1e-12)
    order = np.argsort(-by_lead, kind="stable")
    return Why(
        record=stretch,
        contribution=contribution.astype(np.float32),
        estimate=estimate.of(windows),
        flat=estimate.of(np.zeros_like(windows)),
        lead_share={LEADS[i]: float(by_lead[i]) for i in order},
        part_share=_part_shares(stretch, size),
        moved=deletion(estimate, windows, contribution, cell),
    )


class _Estimate:
    """The uncalibrated readout of one phenotype as a function of the input windows, differentiable."""

    def __init__(self, model: LoadedModel, name: str):
        import torch

        assert model.readouts is not None, "who asks why has predicted with readouts"
        kernel, head = model.readouts.kernel, model.readouts.heads[name]
        self.network, self.bias = model.echo2ecg, float(head.bias)
        self.mean, self.scale, self.landmarks, self.weight = (
            torch.from_numpy(np.asarray(a, np.float32))
            for a in (kernel.mean, kernel.scale, kernel.landmarks, head.weight)
        )

    def __call__(self, windows: "Tensor") -> "Tensor":
        """(k, w, 12, n) -> (k,): windows averaged before the LayerNorm, as in `ecg_vectors`."""
        import torch

        from echo2ecg_core.models.readouts import KERNEL_SHARE

        network = self.network
        tokens = network.ecg_encoder.tokens(windows.flatten(0, 1))
        pooled = network.token_pooling.pool(tokens).unflatten(0, windows.shape[:2]).mean(1)  # (k, d)
        z = (network.token_pooling.norm(pooled) - self.mean) / self.scale
        squared = (z[:, None] - self.landmarks[None]).square().sum(2)  # (k, m)
        return torch.exp(-KERNEL_SHARE / z.shape[1] * squared) @ self.weight + self.bias

    def of(self, windows: np.ndarray) -> float:
        """The estimate of windows (w, 12, n)."""
        return float(self.of_each(windows[None])[0])

    def of_each(self, many: np.ndarray) -> np.ndarray:
        """(k, w, 12, n) -> (k,)."""
        import torch

        with torch.no_grad():
            return torch.cat([self(torch.from_numpy(part)) for part in _in_batches(many)]).numpy()


def integrated_gradients(estimate, windows: np.ndarray, steps: int = STEPS) -> np.ndarray:
    """Contribution of every sample of windows (w, 12, n), same shape; the sum is estimate(windows) - estimate(0).

    Args:
        estimate: (k, w, 12, n) tensor -> (k,) tensor, differentiable.
        windows: Where the path from 0 ends.
        steps: Points on the path, in the middle of equal parts.
    """
    import torch

    x, total = torch.from_numpy(windows), torch.zeros(windows.shape)
    for alphas in ((torch.arange(steps) + 0.5) / steps).split(TOGETHER):
        scaled = (alphas[:, None, None, None] * x).requires_grad_()
        (gradient,) = torch.autograd.grad(estimate(scaled).sum(), scaled)
        total += gradient.sum(0)
    return (total / steps * x).numpy()


def deletion(estimate: _Estimate, windows: np.ndarray, contribution: np.ndarray, cell: int) -> dict[str, float]:
    """How far the estimate moves when a tenth of the cells (12, c) lies flat: named, random, largest."""
    size = np.abs(contribution)
    n_cells = round(SHARE * size.size)
    largest = _cells(np.abs(_in_line(windows)), cell)
    rng = np.random.default_rng(0)
    chosen = [np.argsort(-size, axis=None)[:n_cells], np.argsort(-largest, axis=None)[:n_cells]]
    chosen += [rng.choice(size.size, n_cells, replace=False) for _ in range(DRAWS)]
    whole = estimate.of(windows)
    moved = np.abs(estimate.of_each(np.stack([_without(windows, cells, cell) for cells in chosen])) - whole)
    return {"named": float(moved[0]), "largest": float(moved[1]), "random": float(moved[2:].mean())}


def _without(windows: np.ndarray, cells: np.ndarray, cell: int) -> np.ndarray:
    """Windows (w, 12, n) in which the given cells (flat numbers in (12, c)) lie on the isoelectric line."""
    line = _in_line(windows).copy()
    for lead, place in zip(*np.unravel_index(cells, (12, -(-line.shape[1] // cell))), strict=True):
        line[lead, place * cell : (place + 1) * cell] = 0
    return np.ascontiguousarray(line.reshape(12, len(windows), -1).swapaxes(0, 1))


def _in_line(windows: np.ndarray) -> np.ndarray:
    """Windows that follow one another: (w, 12, n) -> (12, w * n)."""
    return windows.swapaxes(0, 1).reshape(12, -1)


def _cells(samples: np.ndarray, cell: int) -> np.ndarray:
    """Sums over `cell` samples each, the last of what is left: (12, s) -> (12, cells)."""
    return np.add.reduceat(samples, np.arange(0, samples.shape[1], cell), axis=1)


def _in_batches(many: np.ndarray) -> list[np.ndarray]:
    return [many[i : i + TOGETHER] for i in range(0, len(many), TOGETHER)]


def _part_shares(record: EcgRecord, size: np.ndarray) -> dict[str, tuple[float, float]]:
    """Share of the contributions (12, cells) and of the time in each part of the beat, bounds as they are measured."""
    from echo2ecg_core.ecg.beats import BEFORE
    from echo2ecg_core.ecg.common_beats import common_beats

    found = common_beats(record.signal_mv, record.sampling_rate_hz)
    if found is None or found.waves is None:
        return {}
    beats, waves, rate_hz = found.beats, found.waves, found.rate_hz
    at = (np.arange(size.shape[1]) + 0.5) * CELL_S * rate_hz  # middle of every cell at the working rate
    part = np.full(size.shape[1], PARTS.index("between beats"))
    p_onset = waves.qrs_onset if waves.p_onset is None else waves.p_onset
    t_offset = waves.qrs_offset if waves.t_offset is None else waves.t_offset
    bounds = ((p_onset, waves.qrs_onset), (waves.qrs_onset, waves.qrs_offset), (waves.qrs_offset, t_offset))
    for which in (0, 2, 1):  # where two beats meet, the QRS complex counts
        for peak in beats.r_peaks - BEFORE:
            part[(at >= peak + bounds[which][0]) & (at < peak + bounds[which][1])] = which
    whole = max(size.sum(), 1e-12)
    return {name: (float(size[:, part == i].sum() / whole), float((part == i).mean())) for i, name in enumerate(PARTS)}
