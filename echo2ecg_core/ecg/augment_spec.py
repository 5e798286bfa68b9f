"""Strengths of the training augmentations; apart from augment.py so that settings can be read without torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AugmentationSpec:
    """Strengths and probabilities; the defaults are the published ones."""

    n_samples: int = 1008
    surrogate_probability: float = 0.5
    phase_noise: float = 0.075  # part of a full turn that a phase may move
    jitter_strength: float = 0.6
    jitter_std: float = 0.2
    gain_std: float = 0.5
    time_flip_probability: float = 0.33
    sign_flip_probability: float = 0.33
