"""EchoNext-Mini: twelve structural findings from an ECG and seven numbers (Columbia, PierreElias/IntroECG, folder 7).

A ResNet-34 along time, width 16. The modules are named as published, so that the weight file fits without renaming.
Described in facts by third parties; no licence is stated for the authors' code, and none of it is here.

Notation used for tensor shapes: b batch, c channels, t time.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echo2ecg_core.errors import ModelError

WINDOW, N_NUMBERS = (12, 2500), 7
WIDTHS, DEPTHS = (16, 32, 64, 128), (3, 4, 6, 3)
LABELS = (
    "lvef_lte_45", "lvwt_gte_13", "aortic_stenosis_moderate_severe", "aortic_regurgitation_moderate_severe",
    "mitral_regurgitation_moderate_severe", "tricuspid_regurgitation_moderate_severe",
    "pulmonary_regurgitation_moderate_severe", "rv_systolic_dysfunction_moderate_severe",
    "pericardial_effusion_moderate_large", "pasp_gte_45", "tr_max_gte_32", "shd",
)  # fmt: skip


class Block(nn.Module):
    """Two convolutions over time around a skip path, which is projected where length or width change."""

    def __init__(self, width_in: int, width: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv1d(width_in, width, 7, stride=stride, padding=3, bias=False)
        self.bn1 = nn.BatchNorm1d(width)
        self.conv2 = nn.Conv1d(width, width, 7, padding=3, bias=False)
        self.bn2 = nn.BatchNorm1d(width)
        changes = stride != 1 or width_in != width
        self.downsample = (
            nn.Sequential(nn.Conv1d(width_in, width, 1, stride=stride, bias=False), nn.BatchNorm1d(width))
            if changes
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, t) -> (b, width, t / stride)."""
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class EchoNext(nn.Module):
    """Logits of the twelve findings; the published score is the sigmoid of each."""

    labels = LABELS
    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv1d(WINDOW[0], WIDTHS[0], 15, stride=2, padding=7, bias=False)
        self.bn1 = nn.BatchNorm1d(WIDTHS[0])
        self.maxpool = nn.MaxPool1d(3, stride=2, padding=1)
        before = WIDTHS[0]
        for i, (width, depth) in enumerate(zip(WIDTHS, DEPTHS, strict=True)):
            first = Block(before, width, 1 if i == 0 else 2)
            group = nn.Sequential(first, *(Block(width, width, 1) for _ in range(depth - 1)))
            self.add_module(f"layer{i + 1}", group)
            before = width
        self.output = nn.Linear(2 * WIDTHS[-1] + N_NUMBERS, len(LABELS))

    def features(self, windows: Tensor) -> Tensor:
        """Mean and maximum over time of the last group, (b, 12, 2500) -> (b, 256).

        Raises:
            ModelError: If the windows have another shape.
        """
        if windows.ndim != 3 or tuple(windows.shape[1:]) != WINDOW:
            raise ModelError(
                f"EchoNext reads windows of shape (batch, 12, 2500), found {tuple(windows.shape)}.",
                "Prepare the ECG with prepare_echonext first.",
            )
        x = self.maxpool(F.relu(self.bn1(self.conv1(windows))))  # (b, 16, 625)
        for group in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = group(x)  # (b, 16, 625), (b, 32, 313), (b, 64, 157), (b, 128, 79)
        return torch.cat([x.mean(dim=2), x.amax(dim=2)], dim=1)

    def forward(self, windows: Tensor, numbers: Tensor) -> Tensor:
        """(b, 12, 2500) and (b, 7), both prepared -> logits (b, 12)."""
        if tuple(numbers.shape) != (len(windows), N_NUMBERS):
            raise ModelError(
                f"EchoNext reads seven numbers an ECG, (batch, 7), found {tuple(numbers.shape)}.",
                "Prepare them with echonext_tabular first.",
            )
        return self.output(torch.cat([self.features(windows), numbers], dim=1))
