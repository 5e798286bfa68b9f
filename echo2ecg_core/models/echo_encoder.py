"""Clip encoders: MViTv2-S (EchoPrime's video network) and the small network of the demo.

Both turn a prepared clip (3 colours, 16 frames, 224 x 224) into 512 numbers.

Notation used for tensor shapes: b batch, c channels, t frames, h and w height and width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echo2ecg_core.errors import ModelError

CLIP_SHAPE = (3, 16, 224, 224)
N_VIEWS = 11


class SpaceTimeStage(nn.Module):
    """A (2+1)-D step: a convolution within every frame, then one along time, each with GroupNorm and ReLU."""

    def __init__(self, width_in: int, width: int, space_stride: int, time_stride: int):
        super().__init__()
        s, t = space_stride, time_stride
        self.space = nn.Conv3d(width_in, width, (1, 3, 3), stride=(1, s, s), padding=(0, 1, 1), bias=False)
        self.space_norm = nn.GroupNorm(4, width)
        self.time = nn.Conv3d(width, width, (3, 1, 1), stride=(t, 1, 1), padding=(1, 0, 0), bias=False)
        self.time_norm = nn.GroupNorm(4, width)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, t, h, w) -> (b, width, t / time stride, h / space stride, w / space stride)."""
        x = F.relu(self.space_norm(self.space(x)))
        return F.relu(self.time_norm(self.time(x)))


class PhantomVideoNet(nn.Module):
    """The small clip encoder of the demo: luminance at 56 x 56, three (2+1)-D stages, pooled over time.

    Every feature enters as its mean over time (how much chamber and wall there is) and its standard deviation over time
    (how much of it moves): per channel of each stage, averaged over the image, and for 16 squeezed channels of the last
    stage at each of 7 x 7 places. The places carry size: without them simulated rings of known radius, wall thickness
    and motion were learnt far more slowly (mean squared error 0.75 instead of 0.03 standard deviations for the radius
    after 1,600 clips). GroupNorm keeps a clip independent of its batch.
    """

    STEM, STAGES = 32, ((48, 2, 1), (96, 2, 2), (160, 1, 2))  # width, stride in space, stride in time
    SQUEEZED, PLACES = 16, 7 * 7

    def __init__(self, dim: int = 512):
        super().__init__()
        self.stem = nn.Conv3d(1, self.STEM, (1, 5, 5), stride=(1, 2, 2), padding=(0, 2, 2), bias=False)
        self.stem_norm = nn.GroupNorm(4, self.STEM)
        widths = [self.STEM] + [width for width, _, _ in self.STAGES]
        self.stages = nn.ModuleList(
            SpaceTimeStage(before, width, space, time)
            for before, (width, space, time) in zip(widths, self.STAGES, strict=False)
        )
        self.squeeze = nn.Conv3d(widths[-1], self.SQUEEZED, 1)
        n_summary = 2 * (sum(widths[1:]) + self.SQUEEZED * self.PLACES)
        self.norm = nn.LayerNorm(n_summary)
        self.head = nn.Linear(n_summary, dim)
        self.view_head = nn.Linear(dim, N_VIEWS)

    def forward(self, clips: Tensor) -> Tensor:
        """Clip vectors, (b, 3, 16, 224, 224) -> (b, dim)."""
        return self.from_pooled(self.pooled(clips))

    def pooled(self, clips: Tensor) -> Tensor:
        """The fixed first step, worth keeping while training: mean of the colours, areas of 4 x 4 pixels.

        Args:
            clips: Prepared clips, (b, 3, 16, 224, 224).

        Returns:
            (b, 16, 56, 56).

        Raises:
            ModelError: If the clips have another shape.
        """
        _check_clips(clips)
        return F.avg_pool2d(clips.flatten(0, 1), 4).unflatten(0, clips.shape[:2]).mean(dim=1)

    def from_pooled(self, pooled: Tensor) -> Tensor:
        """Clip vectors from what `pooled` gave, (b, 16, 56, 56) -> (b, dim)."""
        x = F.relu(self.stem_norm(self.stem(pooled[:, None])))  # (b, 32, 16, 28, 28)
        summary = []
        for stage in self.stages:
            x = stage(x)  # (b, 48, 16, 14, 14), (b, 96, 8, 7, 7), (b, 160, 4, 7, 7)
            summary += _level_and_motion(x.mean(dim=(3, 4)))  # from (b, c, t)
        summary += _level_and_motion(self.squeeze(x).permute(0, 1, 3, 4, 2).flatten(1, 3))  # from (b, 16 * 49, t)
        return self.head(self.norm(torch.cat(summary, dim=1)))  # (b, 2176) -> (b, dim)

    def view_logits(self, features: Tensor) -> Tensor:
        """Scores of the 11 views in EchoPrime's order, from clip vectors: (b, dim) -> (b, 11)."""
        return self.view_head(features)


def _level_and_motion(x: Tensor) -> list[Tensor]:
    """Mean and standard deviation over time, (b, c, t) -> two (b, c)."""
    return [x.mean(dim=2), (x.var(dim=2, correction=0) + 1e-6).sqrt()]


def _check_clips(clips: Tensor) -> None:
    if clips.ndim != 5 or tuple(clips.shape[1:]) != CLIP_SHAPE:
        raise ModelError(
            f"The clip encoder reads clips of shape (batch, {', '.join(map(str, CLIP_SHAPE))}), found {tuple(clips.shape)}.",
            "Prepare the frames with prepare_frames first.",
        )
