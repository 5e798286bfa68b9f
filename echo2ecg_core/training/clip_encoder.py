"""Trains the small clip encoder of the demo, without any label that is later predicted.

Two tasks share the network: name the view, and recognise which clips come from the same study (supervised contrast,
Khosla et al. 2020). The first makes it see where it looks, the second what a heart looks like from several sides: size,
wall and motion are what the clips of one study share, while gain, depth and probe position change from clip to clip.
At the end the vectors are whitened, because the contrast leaves nearly all they tell of a study in two directions.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from echo2ecg_core.models.echo_encoder import PhantomVideoNet


@dataclass(frozen=True)
class ClipTraining:
    """Run parameters. A batch holds `studies_per_batch` studies with `clips_per_study` clips each; `whitened_on` clips
    and `shrinkage` belong to `whiten`."""

    epochs: int = 3
    studies_per_batch: int = 24
    clips_per_study: int = 4
    lr: float = 2e-3
    weight_decay: float = 0.02
    temperature: float = 0.15
    view_weight: float = 0.5
    whitened_on: int = 4000
    shrinkage: float = 0.5
    seed: int = 7


def train_clip_encoder(
    pooled: np.ndarray, views: np.ndarray, study: np.ndarray, parameters: ClipTraining, log=lambda metrics: None
) -> PhantomVideoNet:
    """A trained network in eval mode.

    Args:
        pooled: (n, 16, 56, 56) float16, `PhantomVideoNet.pooled` of each clip (may be memory-mapped).
        views: (n,) index of each clip's view.
        study: (n,) study number of each clip.
        parameters: How to train.
        log: Called with a dict of metrics after every epoch.
    """
    torch.manual_seed(parameters.seed)
    rng = np.random.default_rng(parameters.seed)
    network = PhantomVideoNet().train()
    network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # torch's stubs lack this form
    projection = torch.nn.Linear(512, 128)  # contrast happens behind a projection that is thrown away (SimCLR)
    weights = [*network.parameters(), *projection.parameters()]
    optimizer = torch.optim.AdamW(weights, lr=parameters.lr, weight_decay=parameters.weight_decay)
    members = [np.flatnonzero(study == s) for s in np.unique(study)]
    steps = parameters.epochs * (len(members) // parameters.studies_per_batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, parameters.lr, total_steps=max(steps, 2), pct_start=0.15)
    for epoch in range(parameters.epochs):
        sums = np.zeros(3)
        batches = list(_study_batches(members, parameters, rng))
        for rows in batches:
            x = photometric(torch.from_numpy(np.stack([pooled[r] for r in rows]).astype(np.float32)), rng)
            loss, parts = _loss(
                network, projection, x, torch.from_numpy(views[rows]), torch.from_numpy(study[rows]), parameters
            )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            schedule.step()
            sums += parts
        log(
            {
                "epoch": epoch + 1,
                **dict(
                    zip(
                        ("contrast", "view_loss", "view_accuracy"), (sums / len(batches)).round(4).tolist(), strict=True
                    )
                ),
            }
        )
    network = network.eval()
    some = np.sort(rng.permutation(len(pooled))[: parameters.whitened_on])
    return whiten(network, vectors_of(network, pooled[some]), parameters.shrinkage)


@torch.inference_mode()
def vectors_of(network: PhantomVideoNet, pooled: np.ndarray, batch: int = 64) -> np.ndarray:
    """Clip vectors (n, 512) float32 of pooled clips (n, 16, 56, 56)."""
    return np.concatenate(
        [
            network.from_pooled(torch.from_numpy(pooled[i : i + batch].astype(np.float32))).numpy()
            for i in range(0, len(pooled), batch)
        ]
    )


@torch.no_grad()
def whiten(network: PhantomVideoNet, vectors: np.ndarray, shrinkage: float = 0.5) -> PhantomVideoNet:
    """`network` with clip vectors of zero mean and even spread; the affine map goes into its last layer, the views'
    scores stay.

    Without it the mean vectors of phantom studies vary in two directions and hardly in any other, and an alignment by
    cosine with ECGs sees little else.

    Args:
        network: Changed in place.
        vectors: Its vectors of training clips, (n, 512).
        shrinkage: Part of the mean variance that is added to the variance of every direction before it is divided by: a
            direction with much less is noise and stays small.
    """
    vectors = np.asarray(vectors, np.float64)
    mean = vectors.mean(0)
    variances, directions = np.linalg.eigh(np.cov(vectors.T))  # (512,), (512, 512)
    scale = 1 / np.sqrt(variances.clip(0) + shrinkage * variances.mean())
    forward, back = (torch.from_numpy((directions * s) @ directions.T).float() for s in (scale, 1 / scale))
    mean = torch.from_numpy(mean).float()
    network.view_head.bias.add_(network.view_head.weight @ mean)
    network.view_head.weight.copy_(network.view_head.weight @ back)
    network.head.bias.copy_(forward @ (network.head.bias - mean))
    network.head.weight.copy_(forward @ network.head.weight)
    return network


def _loss(network, projection, x, view, study, parameters: ClipTraining):
    """Sum of the two tasks and (contrast, view loss, view accuracy)."""
    features = network.from_pooled(x)  # (b, 512)
    logits = network.view_logits(features)  # (b, 11)
    z = F.normalize(projection(features), dim=1)  # (b, 128)
    similarity = z @ z.T / parameters.temperature  # (b, b)
    own = torch.eye(len(z), dtype=torch.bool)
    same = (study[:, None] == study[None]) & ~own
    log_share = similarity.masked_fill(own, -torch.inf).log_softmax(1)
    contrast = -(log_share.masked_fill(~same, 0).sum(1) / same.sum(1).clamp(min=1)).mean()
    view_loss = F.cross_entropy(logits, view, label_smoothing=0.05)
    accuracy = (logits.argmax(1) == view).float().mean()
    return contrast + parameters.view_weight * view_loss, np.array([contrast.item(), view_loss.item(), accuracy.item()])


def _study_batches(members: list[np.ndarray], parameters: ClipTraining, rng: np.random.Generator):
    """Rows of whole batches, each study giving up to `clips_per_study` different clips."""
    order = rng.permutation(len(members))
    for start in range(0, len(order) - parameters.studies_per_batch + 1, parameters.studies_per_batch):
        chosen = order[start : start + parameters.studies_per_batch]
        yield np.concatenate([rng.permutation(members[s])[: parameters.clips_per_study] for s in chosen])


def photometric(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Another gain, offset, shift by up to two pixels and start of the cycle for every clip, (b, 16, 56, 56)."""
    b = len(x)
    gain = torch.from_numpy(rng.normal(1, 0.12, (b, 1, 1, 1)).astype(np.float32))
    offset = torch.from_numpy(rng.normal(0, 0.08, (b, 1, 1, 1)).astype(np.float32))
    shifts = rng.integers(-2, 3, (b, 2))
    x = torch.stack([torch.roll(clip, tuple(s), (1, 2)) for clip, s in zip(x, shifts.tolist(), strict=True)])
    return x * gain + offset
