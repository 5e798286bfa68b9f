"""Spectral Doppler clips of version 2: velocity over time, swept across the screen; no picture of the heart.

Peak velocities: early and late filling 0.5 to 1.2 m/s, outflow 1.0 to 1.3 m/s, aortic stenosis mild 2 to 2.9, moderate
3 to 3.9, severe 4 m/s and more (Baumgartner et al., J Am Soc Echocardiogr 30:372-392, 2017); tricuspid leak by the
simplified Bernoulli equation, RVSP = 4 v^2 + right atrial pressure (Rudski et al., J Am Soc Echocardiogr 23:685-713,
2010), and no trace of it without a leak.
"""

import numpy as np

from echo2ecg_core.phantom.cycle import CycleStates
from echo2ecg_core.phantom.heart import Heart
from echo2ecg_core.phantom.machine import Machine

SCALE_M_S = {"spectral_mitral": 1.6, "spectral_aortic": 5.5, "spectral_tricuspid": 5.0}
AORTIC_PEAK_M_S = (1.25, 2.5, 3.5, 4.6)  # by grade


def velocity_m_s(kind: str, heart: Heart, states: CycleStates, rng: np.random.Generator) -> np.ndarray:
    """Largest velocity (t,) towards the probe, m/s, that the sample of a "spectral_..." kind meets."""
    if kind == "spectral_mitral":
        peak = float(np.clip(0.75 + 0.008 * (heart.lavi - 28) + rng.normal(0, 0.12), 0.35, 1.5))
        return peak * states.filling
    if kind == "spectral_aortic":
        output = 0.8 + 0.2 * np.clip(heart.lvsv / 75, 0.4, 1.6)
        return -AORTIC_PEAK_M_S[heart.as_grade] * output * np.exp(rng.normal(0, 0.08)) * states.ejecting
    if heart.tr_grade == 0 and rng.random() < 0.7:
        return 0.0 * states.systole
    atrial = 5.0 + 5.0 * (heart.ra_area > 20)
    peak = np.sqrt(max(heart.rvsp - atrial, 4.0) / 4) * rng.uniform(0.88, 1.0)  # the beam is rarely in line
    return -peak * (0.4 * states.systole + 0.6 * states.ejecting)


def spectral_frames(
    machine: Machine, kind: str, velocity: np.ndarray, shown: np.ndarray, quality: float, rng: np.random.Generator
) -> np.ndarray:
    """The trace as it is swept across the screen, over the same beats of the sweep before.

    Args:
        machine: Whose screen it is.
        kind: Key of `SCALE_M_S`.
        velocity: (w,) largest velocity over the whole clip, m/s.
        shown: (t,) share of the sweep that each frame shows.
        quality: Of the window: a poor one leaves a pale, ragged trace.

    Returns:
        (t, size, size, 3) uint8.
    """
    size = machine.size
    top, bottom = round(0.16 * size), round(0.86 * size)
    scale = SCALE_M_S[kind] * rng.uniform(0.95, 1.1)
    base = top + (bottom - top) * (0.8 if kind == "spectral_mitral" else 0.2)  # flow away from the probe goes down
    rows = np.arange(top, bottom)[:, None]
    speed = (base - rows) / (0.75 * (bottom - top)) * scale  # (h, 1), up is towards the probe
    edge = np.interp(np.linspace(0, 1, size), np.linspace(0, 1, len(velocity)), velocity)[None]
    inside = (speed * np.sign(edge) > 0.04 * scale) & (np.abs(speed) < np.abs(edge))
    bright = 0.35 + 0.55 * (np.abs(speed) / np.maximum(np.abs(edge), 0.05)).clip(0, 1) ** 2
    strength = 0.25 + 0.75 * quality
    grain = rng.gamma(3.0, 0.33, (len(rows), size))
    noise = rng.gamma(1.0, 0.03 + 0.09 * (1 - quality), (len(rows), size))
    level = np.clip(strength * bright * inside * grain + noise, 0, 1)
    picture = np.zeros((size, size), np.float32)
    picture[top:bottom] = level
    colours = machine.colours[(255 * picture).astype(np.uint8)]
    colours[round(base)] = (120, 120, 90)
    frames = np.zeros((len(shown), size, size, 3), np.uint8)
    for frame, until in zip(frames, np.rint(shown * size).astype(int), strict=True):
        frame[:] = colours
        frame[:, until : until + max(2, size // 40)] = 0
    return frames
