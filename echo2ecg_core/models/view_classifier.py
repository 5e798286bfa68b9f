"""EchoPrime's view classifier: ConvNeXt-base on the first frame of a clip, 11 views.

Sizes and order of layers: Liu et al., "A ConvNet for the 2020s" (CVPR 2022). The modules are nested as torchvision
nests them, so that EchoPrime's weight file fits without renaming; activations stay channels-last, where LayerNorm and
the linear maps need no transposition.

Notation used for tensor shapes: b batch, h and w height and width, c channels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echo2ecg_core.errors import ModelError

FRAME_SHAPE = (3, 224, 224)
STAGES = ((128, 3), (256, 3), (512, 27), (1024, 3))  # width, number of blocks
N_VIEWS = 11


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of an image."""

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, h, w)."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    """x + scale * (depth-wise 7 x 7, norm, linear to 4 c, GELU, linear back)."""

    def __init__(self, width: int):
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(width, width, 7, padding=3, groups=width),
            nn.Identity(),  # torchvision's transposition
            nn.LayerNorm(width, eps=1e-6),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
        )
        self.layer_scale = nn.Parameter(torch.full((width, 1, 1), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, h, w)."""
        y = self.block[0](x).permute(0, 2, 3, 1)  # (b, h, w, c)
        y = self.block[1:](y).permute(0, 3, 1, 2)  # (b, c, h, w)
        return x + self.layer_scale * y


def convnext_features(stages: tuple[tuple[int, int], ...]) -> nn.Sequential:
    """The stages of a ConvNeXt, (width, number of blocks) each: (b, 3, h, w) -> (b, last width, h / 32, w / 32)."""
    first = stages[0][0]
    layers = [nn.Sequential(nn.Conv2d(3, first, 4, stride=4), ChannelNorm(first, eps=1e-6))]  # a quarter of h and w
    before = first
    for width, depth in stages:
        if width != before:  # halve the image
            layers.append(nn.Sequential(ChannelNorm(before, eps=1e-6), nn.Conv2d(before, width, 2, stride=2)))
        layers.append(nn.Sequential(*(Block(width) for _ in range(depth))))
        before = width
    return nn.Sequential(*layers)


class ViewClassifier(nn.Module):
    """Scores of the 11 views, in the order of `echo.clip.VIEWS`."""

    def __init__(self):
        super().__init__()
        self.features = convnext_features(STAGES)
        last = STAGES[-1][0]
        self.classifier = nn.Sequential(nn.LayerNorm(last, eps=1e-6), nn.Flatten(1), nn.Linear(last, N_VIEWS))

    def forward(self, frames: Tensor) -> Tensor:
        """First frames of prepared clips, (b, 3, 224, 224) -> logits (b, 11).

        Raises:
            ModelError: If the frames have another shape.
        """
        if tuple(frames.shape[1:]) != FRAME_SHAPE:
            raise ModelError(
                f"The view classifier reads frames of shape (batch, 3, 224, 224), found {tuple(frames.shape)}."
            )
        x = self.features(frames.contiguous(memory_format=torch.channels_last))  # (b, 1024, 7, 7)
        return self.classifier(F.adaptive_avg_pool2d(x, 1).flatten(1))
