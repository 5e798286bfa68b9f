"""PanEcho: 768 numbers and 40 report items from an echo clip (CarDS-Yale/PanEcho).

Written from a description in facts; the authors' code is AGPL-3.0 and none of it is here. Modules are named as
published. The decision to question is theirs: the clip is cut into 16 images of three consecutive *planes* by a plain
reshape, so an image holds three moments of one colour, not three colours of one moment. They trained so, the weights
need it.

Notation used for tensor shapes: b batch, h and w height and width.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echo2ecg_core.errors import ModelError
from echo2ecg_core.models.view_classifier import convnext_features

CLIP_SHAPE = (3, 16, 224, 224)
N_IMAGES, WIDTH, HEADS, LAYERS = 16, 768, 8, 4
STAGES = ((96, 3), (192, 3), (384, 9), (768, 3))  # ConvNeXt-T
POSITION_TABLE = "encoder.time_encoder.pe"  # in the file; computed here


@dataclass(frozen=True)
class Task:
    """One item of the report.

    Attributes:
        name: As published; names the head.
        kind: "number", "classes" or "binary".
        unit: Of a number, as measured (`cm3` is mL).
        classes: In the order of the outputs (alphabetical).
        of_first: Of a binary item: the published output is the probability of the first class, 1 - sigmoid.
    """

    name: str
    kind: str
    unit: str = ""
    classes: tuple[str, ...] = ()
    of_first: bool = False

    @property
    def n_outputs(self) -> int:
        """Outputs of the head."""
        return len(self.classes) if self.kind == "classes" else 1

    @property
    def told(self) -> str:
        """Of a binary item: the class whose probability is the published output."""
        return self.classes[0 if self.of_first else 1]


def _number(name: str, unit: str) -> Task:
    return Task(name, "number", unit)


def _classes(name: str, *classes: str) -> Task:
    return Task(name, "classes", classes=classes)


def _binary(name: str, first: str, second: str, *, of_first: bool) -> Task:
    return Task(name, "binary", classes=(first, second), of_first=of_first)


_SIZES = ("Mildly Increased", "Moderately|Severely Increased", "Normal")
_LEAKS = ("Mild", "Moderate|Severe", "None|Trace")
TASKS = (
    _binary("pericardial-effusion", "mild_mod_severe", "none_trace", of_first=True),
    _number("EF", "%"),
    _number("GLS", "%"),  # given positive; the strain is minus it
    _number("LVEDV", "cm3"),
    _number("LVESV", "cm3"),
    _number("LVSV", "cm3"),
    _classes("LVSize", *_SIZES),
    _binary("LVWallThickness-increased-any", "Increased", "Normal", of_first=True),
    _binary(
        "LVWallThickness-increased-modsev", "Moderately|severely increased", "Normal or mildly increased", of_first=True
    ),
    _classes("LVSystolicFunction", "Mildly Decreased", "Moderately|Severely Decreased", "Normal|Hyperdynamic"),
    _binary("LVWallMotionAbnormalities", "None", "Present", of_first=False),
    _number("IVSd", "cm"),
    _number("LVPWd", "cm"),
    _number("LVIDs", "cm"),
    _number("LVIDd", "cm"),
    _number("LVOTDiam", "cm"),
    _classes("LVDiastolicFunction", "Mild|Indeterminate", "Moderate|Severe", "Normal"),
    _number("E|EAvg", "1"),
    _number("RVSP", "mmHg"),
    _classes("RVSize", *_SIZES),
    _binary("RVSystolicFunction", "Decreased", "Normal", of_first=True),
    _number("RVIDd", "cm"),
    _number("TAPSE", "cm"),
    _number("RVSVel", "cm/s"),
    _classes("LASize", "Mildly Dilated", "Moderately|Severely Dilated", "Normal"),
    _number("LAIDs2D", "cm"),
    _number("LAVol", "cm3"),
    _binary("RASize", "Dilated", "Normal", of_first=True),
    _number("RADimensionM-L(cm)", "cm"),
    _binary("AVStructure", "Bicuspid", "Normal", of_first=True),
    _classes("AVStenosis", "Mild|Moderate", "None", "Severe"),
    _number("AVPkVel(m|s)", "m/s"),
    _classes("AVRegurg", *_LEAKS),
    _binary("LVOT20mmHg", "0.0", "1.0", of_first=False),
    _binary("MVStenosis", "Mild|Moderate|Severe", "None", of_first=True),
    _classes("MVRegurgitation", *_LEAKS),
    _classes("TVRegurgitation", *_LEAKS),
    _number("TVPkGrad", "mmHg"),
    _binary("RAP-8-or-higher", "0.0", "1.0", of_first=False),
    _number("AORoot", "cm"),
)


class ImageEncoder(nn.Module):
    """ConvNeXt-T without its last layer: an image to 768 numbers."""

    def __init__(self):
        super().__init__()
        self.features = convnext_features(STAGES)
        self.classifier = nn.Sequential(nn.LayerNorm(WIDTH, eps=1e-6))

    def forward(self, images: Tensor) -> Tensor:
        """(b, 3, 224, 224) -> (b, 768)."""
        x = self.features(images.contiguous(memory_format=torch.channels_last))  # (b, 768, 7, 7)
        return self.classifier(F.adaptive_avg_pool2d(x, 1).flatten(1))


class PanEcho(nn.Module):
    """The embedding of a clip and the published outputs of the 40 items."""

    tasks = TASKS

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, dim_feedforward=WIDTH, dropout=0.0, batch_first=True)
        self.encoder = nn.ModuleDict(
            {
                "encoder": nn.ModuleDict({"model": ImageEncoder()}),
                "transformer": nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False),
            }
        )
        for task in TASKS:
            self.add_module(f"{task.name}_head", nn.Sequential(nn.Identity(), nn.Linear(WIDTH, task.n_outputs)))

    def embed_images(self, clips: Tensor) -> Tensor:
        """The 16 images of three planes each, (b, 3, 16, 224, 224) -> (b, 16, 768).

        Raises:
            ModelError: If the clips have another shape.
        """
        if clips.ndim != 5 or tuple(clips.shape[1:]) != CLIP_SHAPE:
            raise ModelError(
                f"PanEcho reads shapes (batch, {', '.join(map(str, CLIP_SHAPE))}), found {tuple(clips.shape)}.",
                "Prepare the frames with prepare_panecho first.",
            )
        images = clips.reshape(-1, 3, *CLIP_SHAPE[2:])  # planes, not frames: see the module's docstring
        return self.encoder.get_submodule("encoder.model")(images).unflatten(0, (len(clips), N_IMAGES))

    def embed(self, clips: Tensor) -> Tensor:
        """(b, 3, 16, 224, 224) -> (b, 768)."""
        images = self.embed_images(clips)
        return self.encoder["transformer"](images + position_table().to(images)).mean(dim=1)

    def raw(self, embedding: Tensor) -> dict[str, Tensor]:
        """What the heads give before sigmoid or softmax, (b, 768) -> {task: (b, 1) or (b, 3)}."""
        return {task.name: getattr(self, f"{task.name}_head")(embedding) for task in TASKS}

    def outputs(self, clips: Tensor) -> dict[str, Tensor]:
        """The published outputs of clips, (b, 3, 16, 224, 224) -> {task: (b, 1) or (b, 3)}."""
        return published_outputs(self.raw(self.embed(clips)))

    forward = outputs


def published_outputs(raw: dict[str, Tensor]) -> dict[str, Tensor]:
    """Numbers in their unit, probabilities of classes, probability of the abnormal class of binary items.

    The outputs of several clips of one video are averaged before this step.
    """
    found = {}
    for task in TASKS:
        x = raw[task.name]
        if task.kind == "classes":
            x = x.softmax(dim=1)
        elif task.kind == "binary":
            x = 1 - x.sigmoid() if task.of_first else x.sigmoid()
        found[task.name] = x
    return found


def position_table() -> Tensor:
    """The fixed code of the 16 images, (16, 768): sine and cosine of i * 10000^(-2m/768) in turn."""
    rate = 10000.0 ** (-torch.arange(0, WIDTH, 2, dtype=torch.float64) / WIDTH)
    angle = torch.arange(N_IMAGES, dtype=torch.float64)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1).float()
