"""The published training augmentations of ECGs, on a torch batch.

Every recording of a batch gets draws of its own; crop, phases, gain and flips are shared by its twelve leads, only the
jitter is drawn per lead and sample. All randomness comes from the given generator. The published crop may also change
the length (crop fraction), but every published configuration sets that to 1, so windows are cut, never stretched.

What a recording is not to undergo is not computed for it, and its gain and sign are one factor. Who undergoes what is
drawn on the generator's device, the CPU, so a GPU is never waited for.
"""

from math import pi

import numpy as np
import torch

from echo2ecg_core.ecg.augment_spec import AugmentationSpec


def augment(batch: torch.Tensor, generator: torch.Generator, spec: AugmentationSpec | None = None) -> torch.Tensor:
    """Returns randomly cropped, phase-shifted, jittered, rescaled and flipped windows.

    Args:
        batch: (b, 12, t) float32, cleaned recordings.
        generator: Source of all draws.
        spec: Strengths; the published ones when None.

    Returns:
        (b, 12, min(t, spec.n_samples)) float32 on the device of `batch`.
    """
    spec, n = spec or AugmentationSpec(), len(batch)
    windows = random_crop(batch, spec.n_samples, generator)
    phases = _phases(windows, spec.phase_noise, generator)
    shifted = _some(spec.surrogate_probability, n, generator, batch.device)
    if len(shifted):  # there is no transform of nothing
        windows[shifted] = _with_phases(windows[shifted], phases[shifted])
    windows = jitter(windows, spec.jitter_strength, spec.jitter_std, generator)
    gains = _gains(windows, spec.gain_std, generator)
    flipped = _some(spec.time_flip_probability, n, generator, batch.device)
    windows[flipped] = windows[flipped].flip(-1)
    gains[_some(spec.sign_flip_probability, n, generator, batch.device)] *= -1
    return windows.mul_(gains)


def random_crop(batch: torch.Tensor, n_samples: int, generator: torch.Generator) -> torch.Tensor:
    """Returns a window from a random place of every recording; shorter recordings stay whole.

    The last possible start, t - n_samples, is never drawn, as in the published implementation.

    Args:
        batch: (b, leads, t).
        n_samples: Length of the window.
        generator: Source of the starts.

    Returns:
        (b, leads, min(t, n_samples)).
    """
    n_recordings, n_leads, n_available = batch.shape
    length = min(n_available, n_samples)
    last = max(n_available - length, 1)
    starts = torch.randint(last, (n_recordings, 1, 1), generator=generator, device=generator.device).to(batch.device)
    places = starts + torch.arange(length, device=batch.device)  # (b, 1, length)
    return batch.gather(-1, places.expand(n_recordings, n_leads, length))


def shift_phases(batch: torch.Tensor, phase_noise: float, generator: torch.Generator) -> torch.Tensor:
    """Returns Fourier surrogates: each frequency keeps its amplitude and is delayed by a random phase.

    The mean (and for an even length the Nyquist frequency) keep their phase; all leads of a recording move together.

    Args:
        batch: (b, leads, n).
        phase_noise: Phases are uniform in [0, 2 pi * phase_noise).
        generator: Source of the phases.

    Returns:
        (b, leads, n) of the same dtype; computed in float64.
    """
    return _with_phases(batch, _phases(batch, phase_noise, generator))


def _phases(batch: torch.Tensor, phase_noise: float, generator: torch.Generator) -> torch.Tensor:
    """(b, 1, frequencies), float64, in [0, 2 pi * phase_noise)."""
    return 2 * pi * phase_noise * _uniform((len(batch), 1, (batch.shape[-1] - 1) // 2), generator).to(batch.device)


def _with_phases(batch: torch.Tensor, phases: torch.Tensor) -> torch.Tensor:
    n = batch.shape[-1]
    spectrum = torch.fft.rfft(batch.double())  # (b, leads, n // 2 + 1); the negative half follows by symmetry
    spectrum[..., 1 : 1 + phases.shape[-1]] *= torch.polar(torch.ones_like(phases), phases)
    return torch.fft.irfft(spectrum, n).to(batch.dtype)


def jitter(batch: torch.Tensor, strength: float, std: float, generator: torch.Generator) -> torch.Tensor:
    """Returns x * (1 + strength * noise): noise grows with the signal, and zero stays zero.

    Args:
        batch: (b, leads, n).
        strength: Factor on the noise.
        std: Deviation of the normal noise, independent for every lead and sample.
        generator: Source of the noise.

    Returns:
        (b, leads, n).
    """
    noise = torch.randn(batch.shape, generator=generator, device=generator.device, dtype=batch.dtype)
    return noise.to(batch.device).mul_(strength * std).add_(1).mul_(batch)


def rescale(batch: torch.Tensor, std: float, generator: torch.Generator) -> torch.Tensor:
    """Returns every recording times one gain drawn from N(1, std^2), which may be negative.

    Args:
        batch: (b, leads, n).
        std: Deviation of the gain.
        generator: Source of the gains.

    Returns:
        (b, leads, n).
    """
    return batch * _gains(batch, std, generator)


def _gains(batch: torch.Tensor, std: float, generator: torch.Generator) -> torch.Tensor:
    """(b, 1, 1) drawn from N(1, std^2)."""
    gains = torch.randn((len(batch), 1, 1), generator=generator, device=generator.device, dtype=batch.dtype)
    return 1 + std * gains.to(batch.device)


def _some(probability: float, n: int, generator: torch.Generator, device: torch.device) -> torch.Tensor:
    """Numbers of the recordings, of n, that the lot with this probability falls on, on the device."""
    lot = _uniform((n, 1, 1), generator).cpu().numpy().ravel()
    return torch.from_numpy(np.flatnonzero(lot < probability)).to(device, non_blocking=True)


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    return torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float64)
