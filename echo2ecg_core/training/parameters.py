"""What one pretraining run is: its parameters, the published learning-rate schedule and parameter groups; no torch
here.

The defaults are the paper's (arXiv 2603.08505) and its public configuration, to the number.
"""

import math
from dataclasses import dataclass, field
from typing import get_args

from echo2ecg_core.ecg.augment_spec import AugmentationSpec
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.models.devices import Precision

OBJECTIVES = ("contrastive", "masked")
PRECISIONS = get_args(Precision)
EPOCHS_OF = ("pairs", "patients")


@dataclass(frozen=True)
class RunParameters:
    """One training run.

    Attributes:
        objective: "contrastive" (ECG against study) or "masked" (ECG alone: hidden patches are reconstructed).
        epochs, batch_size: `batch_size` pairs make one contrast, over all processes together.
        accumulate: Batches per optimiser step; each keeps a contrast of its own.
        epoch_of: "pairs": an epoch is every pair once (published); "patients": one random pair of every patient.
        same_patient_negatives: Whether two pairs of one patient or study in a batch are each other's negatives
            (published).
        view_dropout: Chance of each clip of a study to be left out of a step (one always stays). Clip vectors are
            frozen, so that without it the study tower sees the same numbers in every epoch and learns them by heart
            (published: 0).
        lr, min_lr_factor, warmup_epochs: Peak rate; linear from and cosine down to `min_lr_factor` of it.
        layer_decay: Factor on the rate from each block of the ECG encoder to the one before it.
        weight_decay: Of AdamW, on the parameters that `parameter_rules` says.
        clip_norm: Largest gradient norm; None: not clipped (published).
        precision: "bf16-mixed" or "32-true".
        mask_ratio: Share of patches hidden by the masked objective.
        seed: Of weights, order, windows and augmentation.
    """

    objective: str = "contrastive"
    epochs: int = 50
    batch_size: int = 256
    accumulate: int = 1
    epoch_of: str = "pairs"
    same_patient_negatives: bool = True
    view_dropout: float = 0.0
    lr: float = 5e-4
    min_lr_factor: float = 0.1
    warmup_epochs: float = 2
    layer_decay: float = 0.75
    weight_decay: float = 1e-7
    clip_norm: float | None = None
    precision: Precision = "bf16-mixed"
    mask_ratio: float = 0.75
    seed: int = 7
    augmentation: AugmentationSpec = field(default_factory=AugmentationSpec)

    def __post_init__(self):
        for name, allowed in (("objective", OBJECTIVES), ("precision", PRECISIONS), ("epoch_of", EPOCHS_OF)):
            if getattr(self, name) not in allowed:
                raise Echo2ECGError(
                    f"{name} has to be one of {', '.join(allowed)}; found {getattr(self, name)!r}.",
                    "Choose one of them.",
                )
        for name in ("epochs", "batch_size", "accumulate", "lr", "layer_decay"):
            if not getattr(self, name) > 0:
                raise Echo2ECGError(
                    f"{name} has to be above 0; found {getattr(self, name)!r}.", "Give a larger number."
                )
        for name, low, high in (
            ("min_lr_factor", 0, 1),
            ("view_dropout", 0, 0.95),
            ("mask_ratio", 0.05, 0.95),
            ("warmup_epochs", 0, math.inf),
            ("weight_decay", 0, math.inf),
        ):
            if not low <= getattr(self, name) <= high:
                raise Echo2ECGError(
                    f"{name} has to lie between {low} and {high}; found {getattr(self, name)!r}.",
                    "Give a number in that range.",
                )


def learning_rate_factor(step: int, warmup: float, total: float, floor: float) -> float:
    """Share of the peak rate after `step` optimiser steps: linear warm-up from `floor`, cosine down to `floor`."""
    if step < warmup:
        return floor + (1 - floor) * step / warmup
    if step > total:
        return floor
    return floor + (1 - floor) * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2


def rate_multiplier(name: str, depth: int, layer_decay: float) -> float:
    """Factor on the learning rate of the parameter `name` of an Echo2ECG network: layer decay inside the ECG encoder,
    else 1.

    Args:
        name: E.g. "ecg_encoder.blocks.3.attn.qkv.weight".
        depth: Blocks of the ECG encoder.
        layer_decay: From each block to the one before it; what feeds the first block has the first block's factor.
    """
    if name.startswith("ecg_encoder.blocks."):
        return layer_decay ** (depth - 1 - int(name.split(".")[2]))
    if name.startswith(("ecg_encoder.cls_token", "ecg_encoder.patch_embed.", "ecg_encoder.pos_embed_y")):
        return layer_decay ** (depth - 1)
    return 1.0


def is_decayed(name: str) -> bool:
    """Whether weight decay acts on the parameter `name`.

    As published, it spares biases, the class token, the temperature and the LayerNorm of the ECG embedding, and by an
    oversight of the published code does not spare the other LayerNorm weights.
    """
    return not (
        name.endswith("bias")
        or "cls_token" in name
        or "mask_token" in name
        or name in ("log_scale", "token_pooling.norm.weight")
    )
