"""The phantom's ultrasound machine: its settings, beam grid, gray maps and what it burns into the picture.

Settings are drawn per clip, as if several makers' machines and several sonographers had been at work. Everything here
is plain numpy and Pillow; what runs per frame is in speckle.py.
"""

from dataclasses import dataclass, replace

import numpy as np

from echo2ecg_core.phantom.mark import COLOUR, draw_mark

TOP_PX = 5  # row of the probe's face
STRIP_SHARE = 0.11  # height of the ECG strip at the bottom, share of the picture


@dataclass(frozen=True)
class Machine:
    """Settings of one clip.

    Attributes:
        half_angle: Half of the sector's opening, radians.
        size: Height and width of the picture, pixels.
        depth_mm: Depth of the sector's lower edge.
        range_db, floor_db: Dynamic range and level of black; heart muscle is 0 dB.
        colours: (256, 3) uint8, gray map with the screen's tint.
        lateral, axial: Point spread function across beams and along depth, unit energy.
        gain, haze, background: (b, r) amplitude factors.
        noise: (r,) amplitude of the receiver's noise.
        enlarged: How much larger than life the scene was made (zoom); lengths on the screen are this much shorter.
    """

    half_angle: float
    size: int
    depth_mm: float
    range_db: float
    floor_db: float
    colours: np.ndarray
    lateral: np.ndarray
    axial: np.ndarray
    gain: np.ndarray
    haze: np.ndarray
    background: np.ndarray
    noise: np.ndarray
    enlarged: float = 1.0

    @property
    def radius_px(self) -> float:
        """Length of the sector on the screen, pixels."""
        return self.size * (1 - STRIP_SHARE) - TOP_PX - 2

    @property
    def scene_spacing_mm(self) -> float:
        """Size of a pixel in the millimetres of the scene."""
        return self.depth_mm / self.radius_px

    @property
    def spacing_mm(self) -> float:
        """Size of a pixel in the heart."""
        return self.scene_spacing_mm / self.enlarged

    @property
    def depths_mm(self) -> np.ndarray:
        return np.linspace(2.0, self.depth_mm, self.noise.size).astype(np.float32)

    def beams(self) -> np.ndarray:
        """Sine and cosine (b, 2) of each beam's angle from straight down."""
        angles = np.linspace(-self.half_angle, self.half_angle, self.gain.shape[0])
        return np.stack([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)

    def to_pixels(self, points_mm: np.ndarray) -> np.ndarray:
        """Screen coordinates (..., 2), x and y in pixels, of points in mm below the probe."""
        return points_mm / self.scene_spacing_mm + np.array([(self.size - 1) / 2, TOP_PX])


def draw_machine(rng: np.random.Generator, size: int, depth_mm: float) -> Machine:
    """Settings of an everyday machine: gain, depth compensation, dropouts, haze, gray map."""
    n_beams, n_depths = 4 * round(0.14 * size), round(0.96 * size)
    half_angle = np.radians(rng.uniform(37, 43))
    range_db, gain_db = rng.uniform(46, 58), rng.normal(0, 2.0)
    angle, depth = np.linspace(-1, 1, n_beams)[:, None], np.linspace(0, 1, n_depths)[None]
    loss_db = rng.uniform(1, 10) * depth**1.5 + rng.normal(0, 2) * np.sin(np.pi * depth) + rng.uniform(0, 7) * angle**4
    for _ in range(rng.integers(0, 4)):
        centre, width, start = rng.uniform(-1, 1), rng.uniform(0.06, 0.22), rng.uniform(0, 0.5)
        shadow = np.exp(-0.5 * ((angle - centre) / width) ** 2) * np.clip((depth - start) / 0.15, 0, 1)
        loss_db = loss_db + rng.uniform(3, 12) * shadow
    near = np.exp(-depth * depth_mm / rng.uniform(6, 12))
    haze = 0.9 * near + rng.uniform(0.0, 0.09) * _smooth_field(rng, n_beams, n_depths, 0.5) * np.exp(-2.0 * depth)
    background = rng.uniform(0.09, 0.19) * _smooth_field(rng, n_beams, n_depths, 0.75)
    return Machine(
        half_angle=half_angle,
        size=size,
        depth_mm=depth_mm,
        range_db=range_db,
        floor_db=-0.55 * range_db - gain_db,
        colours=_gray_map(rng),
        lateral=_spread(rng.uniform(0.9, 1.35) * n_beams / 124, 3),
        axial=_spread(rng.uniform(0.62, 0.85) * n_depths / 215, 2),
        gain=(10 ** (-loss_db / 20)).astype(np.float32),
        haze=haze.astype(np.float32),
        background=background.astype(np.float32),
        noise=(rng.uniform(0.012, 0.03) * (0.4 + depth[0] ** 2)).astype(np.float32),
    )


def through_window(machine: Machine, harm: float, rng: np.random.Generator, in_colour: bool) -> Machine:
    """Version 2: the same machine behind a window that does this `harm`, 0 ... 1, with the gain a sonographer chose.

    The worse the window, the more the depth is dimmed, the more reverberation lies over the near and middle field, the
    more sectors lungs and ribs cast into shadow (walls drop out), the more noise, the wider the beam. In colour the
    tissue is shown darker, so that the flow stands out.
    """
    n_beams, n_depths = machine.gain.shape
    angle, depth = np.linspace(-1, 1, n_beams)[:, None], np.linspace(0, 1, n_depths)[None]
    loss_db = DIMMED_DB * harm * rng.uniform(0.6, 1.4) * depth**1.2 + 4.0 * in_colour
    for _ in range(rng.poisson(SHADOWS * harm)):
        at = float(np.clip(rng.normal(0, 0.65), -1, 1))
        reach = np.exp(-0.5 * ((angle - at) / rng.uniform(0.08, 0.25)) ** 2)
        start = rng.uniform(0.0, 0.45)
        loss_db = loss_db + rng.uniform(8, 26) * harm**0.5 * reach * np.clip((depth - start) / 0.12, 0, 1)
    side = rng.choice((-1, 1))  # a rib or the lung at one edge
    loss_db = loss_db + 30 * harm * np.clip(side * angle - rng.uniform(0.35, 1.0), 0, 1)
    clutter = HAZE * harm * rng.uniform(0.3, 1.7) * _smooth_field(rng, n_beams, n_depths, 0.8)
    return replace(
        machine,
        gain=(machine.gain * 10 ** (-loss_db / 20)).astype(np.float32),
        haze=(machine.haze + clutter * np.exp(-rng.uniform(0.8, 3.0) * depth)).astype(np.float32),
        noise=machine.noise * np.float32(1 + 3 * harm),
        floor_db=machine.floor_db - float(rng.normal(0, 1.5)) + 0.35 * DIMMED_DB * harm * rng.uniform(-1, 0.4),
        lateral=_spread(rng.uniform(0.9, 1.35) * (1 + 0.7 * harm) * n_beams / 124, 3),
    )


# Of the worst window: loss at the lower edge in dB, number of shadows, reverberation over heart muscle; frozen.
DIMMED_DB, SHADOWS, HAZE = 24.0, 4.0, 0.30


def _smooth_field(rng: np.random.Generator, n_beams: int, n_depths: int, contrast: float) -> np.ndarray:
    """Positive random field (b, r) around 1 that changes over a seventh of the picture."""
    coarse = rng.normal(0, contrast, (8, 8))
    across = np.stack([np.interp(np.linspace(0, 7, n_beams), np.arange(8), row) for row in np.eye(8)])
    along = np.stack([np.interp(np.linspace(0, 7, n_depths), np.arange(8), row) for row in np.eye(8)])
    return np.exp(across.T @ coarse @ along)


def _spread(sigma: float, reach: int) -> np.ndarray:
    """A Gaussian of unit energy, (2 * reach + 1,)."""
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return (kernel / np.sqrt((kernel**2).sum())).astype(np.float32)


def _gray_map(rng: np.random.Generator) -> np.ndarray:
    """Brightness curve and tint (neutral, sepia, blue) of one maker's screen, (256, 3) uint8."""
    level = np.linspace(0, 1, 256)
    curve = level ** rng.uniform(0.95, 1.35)
    curve = curve + rng.uniform(-0.08, 0.12) * np.sin(2 * np.pi * level) / 2
    tints = ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), (1.0, 0.95, 0.84), (0.90, 0.96, 1.0))
    tint = np.array(tints[rng.integers(len(tints))])
    return (255 * np.clip(curve[:, None] * tint, 0, 1)).astype(np.uint8)


def scan_table(machine: Machine) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where each picture pixel of the sector finds its brightness.

    Returns:
        pixels (n,) flat index into the picture; sources (n,) flat index of the lower beam and depth; weights (n, 4).
    """
    n_beams, n_depths = machine.gain.shape
    y, x = np.mgrid[: machine.size, : machine.size]
    x_mm = (x - (machine.size - 1) / 2) * machine.scene_spacing_mm
    y_mm = (y - TOP_PX) * machine.scene_spacing_mm
    radius, angle = np.hypot(x_mm, y_mm), np.arctan2(x_mm, y_mm)
    b = (angle / machine.half_angle + 1) / 2 * (n_beams - 1)
    r = (radius - 2.0) / (machine.depth_mm - 2.0) * (n_depths - 1)
    seen = (b >= 0) & (b < n_beams - 1) & (r >= 0) & (r < n_depths - 1)
    b, r = b[seen], r[seen]
    low_b, low_r = b.astype(np.int64), r.astype(np.int64)
    share_b, share_r = b - low_b, r - low_r
    weights = np.stack(
        [(1 - share_b) * (1 - share_r), (1 - share_b) * share_r, share_b * (1 - share_r), share_b * share_r], axis=1
    )
    pixels = np.flatnonzero(seen.ravel())
    return pixels.astype(np.int32), (low_b * n_depths + low_r).astype(np.int32), weights.astype(np.float32)


def overlay(machine: Machine, ecg_trace: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is burnt in: "SYNTHETIC PHANTOM", depth scale with a tick per cm, depth in cm, ECG trace.

    Args:
        machine: Geometry of the picture.
        ecg_trace: (n,) ECG over the clip, baseline 0, R wave 1.

    Returns:
        pixels (n,) flat picture index, colours (n, 3) uint8.
    """
    from PIL import Image, ImageDraw, ImageFont

    size = machine.size
    picture = Image.new("RGB", (size, size))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(max(8, round(size * 0.042)))
    draw_mark(picture)
    shown_mm = machine.depth_mm / machine.enlarged
    for cm in range(int(shown_mm // 10) + 1):
        y = round(TOP_PX + 10 * cm / machine.spacing_mm)
        draw.line((size - (7 if cm % 5 == 0 else 4), y, size - 2, y), fill=(190, 190, 190))
    bottom = TOP_PX + machine.radius_px
    draw.text((size - 3, bottom - 2), f"{shown_mm / 10:.0f} cm", fill=COLOUR, font=font, anchor="rs")
    trace_x, trace_y = strip_position(machine, np.linspace(0, 1, len(ecg_trace)), ecg_trace)
    draw.line(list(zip(trace_x.tolist(), trace_y.tolist(), strict=True)), fill=(60, 190, 90))
    flat = np.asarray(picture).reshape(-1, 3)
    pixels = np.flatnonzero(flat.any(axis=1))
    return pixels, flat[pixels]


def strip_position(machine: Machine, share: np.ndarray, height: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (x, y) on the ECG strip at `share` 0 ... 1 of the clip and ECG `height` (R wave 1)."""
    strip = machine.size * STRIP_SHARE
    x = 4 + np.asarray(share) * (machine.size - 9)
    return x, machine.size - 3 - 0.2 * strip - 0.62 * strip * np.asarray(height)


def ecg_strip(times_s: np.ndarray, r_waves_s: np.ndarray, pr_s: float, qrs_s: float, has_p: bool) -> np.ndarray:
    """A small ECG (R wave 1) at times_s (n,): P, QRS and T of each beat; no P wave in atrial fibrillation."""
    trace = np.zeros_like(times_s)
    waves = [(0.0, 1.0, 0.30 * qrs_s), (0.5 * qrs_s, -0.22, 0.25 * qrs_s), (0.29, 0.24, 0.045)]
    if has_p:
        waves.append((0.04 - pr_s, 0.13, 0.022))
    for r_wave in r_waves_s:
        for offset, height, width in waves:
            trace += height * np.exp(-0.5 * ((times_s - r_wave - offset) / width) ** 2)
    return trace
