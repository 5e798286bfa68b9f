"""Trains the small clip encoder on single clips: it never learns which clips belong to one study, and no label that is
later predicted.

Three tasks share the vector of a clip: name its view, tell whether its frames run forwards, backwards or are shuffled
(Misra et al., ECCV 2016; Wei et al., CVPR 2018), and draw the whole clip, small, when some of its blocks are hidden (as
masked autoencoders do, He et al., CVPR 2022). The drawing is a linear map of the vector, so that what stands in the
clip and how it moves can be read from the vector by another linear map. An encoder that was trained to recognise the
clips of one study (clip_encoder.py) makes views interchangeable, and cannot serve to ask whether several views tell
more than one. At the end the vectors are whitened, like those of that encoder.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.models.echo_encoder import PhantomVideoNet
from echo2ecg_core.training.clip_encoder import photometric, vectors_of, whiten

BLOCK = (4, 8, 8)  # frames, rows and columns that are hidden together
DRAWN = 14  # height and width of the drawn frames
ORDERS = ("forwards", "backwards", "shuffled")


@dataclass(frozen=True)
class SingleClipTraining:
    """Run parameters.

    Attributes:
        epochs, batch_size, lr, weight_decay, seed: Of AdamW with one cycle of the rate.
        most_hidden: Largest share of blocks that are hidden; each clip draws its own share from 0 on.
        motion_weight, view_weight, order_weight: Of the tasks, beside drawing the still picture.
        whitened_on, shrinkage: Of `clip_encoder.whiten`: on how many clips, and its shrinkage.
    """

    epochs: int = 5
    batch_size: int = 48
    lr: float = 2e-3
    weight_decay: float = 0.02
    most_hidden: float = 0.5
    view_weight: float = 0.5
    order_weight: float = 0.25
    motion_weight: float = 2.0
    whitened_on: int = 4000
    shrinkage: float = 0.5
    seed: int = 7


def train_on_single_clips(
    pooled: np.ndarray, views: np.ndarray, parameters: SingleClipTraining, log: Callable[[dict], None] = lambda m: None
) -> PhantomVideoNet:
    """A trained network in eval mode.

    Args:
        pooled: (n, 16, 56, 56) float16, `PhantomVideoNet.pooled` of each clip (may be memory-mapped).
        views: (n,) index of each clip's view.
        parameters: How to train.
        log: Called after every epoch with epoch, loss, view_accuracy, order_accuracy and the shares of variance that
            are drawn right: still_drawn, motion_drawn.

    Raises:
        Echo2ECGError: there are fewer clips than one batch holds.
    """
    p = parameters
    if len(pooled) < p.batch_size:
        raise Echo2ECGError(
            f"There are {len(pooled)} clips, fewer than one batch holds ({p.batch_size}).",
            "Take more clips, or a smaller batch.",
        )
    torch.manual_seed(p.seed)
    rng = np.random.default_rng(p.seed)
    task = _Tasks().train()
    task.network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # torch's stubs lack this form
    optimizer = torch.optim.AdamW(task.parameters(), lr=p.lr, weight_decay=p.weight_decay)
    batches = len(pooled) // p.batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, p.lr, total_steps=p.epochs * batches, pct_start=0.15)
    for epoch in range(p.epochs):
        sums: dict[str, float] = {}
        for rows in rng.permutation(len(pooled))[: batches * p.batch_size].reshape(batches, -1):
            rows = np.sort(rows)  # a memory map is read forwards
            x = photometric(torch.from_numpy(pooled[rows].astype(np.float32)), rng)
            loss, metrics = task(x, torch.from_numpy(views[rows].astype(np.int64)), p, rng)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(task.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            sums = {key: sums.get(key, 0.0) + float(value) for key, value in metrics.items()}
        log({"epoch": epoch + 1, **{key: round(value / batches, 4) for key, value in sums.items()}})
    network = task.network.eval()
    some = np.sort(rng.permutation(len(pooled))[: p.whitened_on])
    return whiten(network, vectors_of(network, pooled[some]), p.shrinkage)


class _Tasks(nn.Module):
    """The network with heads that are thrown away."""

    def __init__(self):
        super().__init__()
        self.network = PhantomVideoNet()
        dim = self.network.head.out_features
        self.order = nn.Linear(dim, len(ORDERS))
        self.still = nn.Linear(dim, DRAWN * DRAWN)
        self.motion = nn.Linear(dim, 16 * DRAWN * DRAWN)
        for drawing in (self.still, self.motion):  # begins with the mean: motion is small beside a random drawing
            nn.init.zeros_(drawing.weight)
            nn.init.zeros_(drawing.bias)

    def forward(self, x: Tensor, view: Tensor, p: SingleClipTraining, rng: np.random.Generator):
        """Clips (b, 16, 56, 56) and their views (b,) -> the loss and metrics."""
        x, order = reordered(x, rng)
        vector = self.network.from_pooled(hidden(x, p.most_hidden, rng))  # (b, 512)
        view_scores, order_scores = self.network.view_logits(vector), self.order(vector)
        still, motion = targets(x)  # (b, 196), (b, 3136)
        whole = order != ORDERS.index("shuffled")  # noise in time cannot be drawn
        still_error = F.mse_loss(self.still(vector), still) / still.var()
        motion_error = F.mse_loss(self.motion(vector)[whole], motion[whole]) / motion[whole].var()
        loss = (
            still_error
            + p.motion_weight * motion_error
            + p.view_weight * F.cross_entropy(view_scores, view, label_smoothing=0.05)
            + p.order_weight * F.cross_entropy(order_scores, order)
        )
        return loss, {
            "loss": loss.detach(),
            "view_accuracy": (view_scores.argmax(1) == view).float().mean(),
            "order_accuracy": (order_scores.argmax(1) == order).float().mean(),
            "still_drawn": 1 - still_error.detach(),
            "motion_drawn": 1 - motion_error.detach(),
        }


def reordered(x: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Clips (b, t, h, w), half of them forwards, a quarter backwards and a quarter shuffled, and which is which, (b,)
    places in `ORDERS`."""
    b, t = x.shape[:2]
    order = rng.choice(len(ORDERS), b, p=(0.5, 0.25, 0.25))
    frames = np.stack([(np.arange(t), np.arange(t)[::-1], rng.permutation(t))[kind] for kind in order])  # (b, t)
    return x[torch.arange(b)[:, None], torch.from_numpy(frames)], torch.from_numpy(order)


def hidden(x: Tensor, most: float, rng: np.random.Generator) -> Tensor:
    """Clips (b, t, h, w) in which a share of blocks, drawn from 0 to `most` for each clip, has the clip's mean."""
    grid = [size // block for size, block in zip(x.shape[1:], BLOCK, strict=True)]
    lot = torch.from_numpy(rng.random((len(x), *grid), np.float32))
    share = torch.from_numpy(rng.uniform(0, most, (len(x), 1, 1, 1)).astype(np.float32))
    mask = lot < share
    for axis, block in enumerate(BLOCK, 1):
        mask = mask.repeat_interleave(block, axis)
    return torch.where(mask, x.mean((1, 2, 3), keepdim=True), x)


def targets(x: Tensor) -> tuple[Tensor, Tensor]:
    """What is drawn of clips (b, 16, 56, 56), each standardised by itself so that gain does not count: the mean picture
    (b, 196) and every frame's difference from it (b, 3136)."""
    mean, spread = x.mean((1, 2, 3), keepdim=True), x.std((1, 2, 3), keepdim=True)
    small = F.adaptive_avg_pool2d((x - mean) / (spread + 1e-6), DRAWN)  # (b, 16, 14, 14)
    still = small.mean(1, keepdim=True)
    return still.flatten(1), (small - still).flatten(1)
