"""Colour Doppler on phantom clips: which blood moves how fast along the beam, and the colours for it.

Red is towards the probe, blue away; speeds beyond the scale wrap, and turbulent jets become a mosaic with green, as on
every machine. Imported only while rendering (numba).
"""

from typing import Any

import numpy as np
from numba import njit

from echo2ecg_core.phantom.machine import TOP_PX, Machine
from echo2ecg_core.phantom.speckle import scatter
from echo2ecg_core.phantom.structures import ColourBox, Scene

_OPTIONS: dict[str, Any] = {"cache": True, "fastmath": True, "nogil": True}
SHOWN_FROM = 0.08  # wall filter: slower blood stays gray


@njit(**_OPTIONS)
def flow_field(speed, mosaic, cavity, box, beams, depths, starts, directions, sizes, inside, turbulent, texture, shift):
    """Fill speed (b, r), -1 ... 1 towards the probe, and mosaic (b, r), 0 ... 1, inside the colour box.

    Args:
        cavity: (b, r) int8 index of the chamber whose blood a sample meets, -1 elsewhere.
        box: First and last beam, first and last depth index.
        starts, directions: (j, 2); sizes: (j, 3) length, width (mm) and speed now; inside, turbulent: (j,).
        shift: (4,) texture offsets of this frame.
    """
    speed[:] = 0.0
    mosaic[:] = 0.0
    for b in range(box[0], box[1]):
        sine, cosine = beams[b, 0], beams[b, 1]
        for r in range(box[2], box[3]):
            if cavity[b, r] < 0:
                continue
            x, y = depths[r] * sine, depths[r] * cosine
            noise, _ = scatter(texture, np.float32(0.55 * b + shift[0]), np.float32(0.40 * r + shift[1]))
            for j in range(starts.shape[0]):
                if cavity[b, r] != inside[j] or sizes[j, 0] <= 0:
                    continue
                dx, dy = x - starts[j, 0], y - starts[j, 1]
                along = (dx * directions[j, 0] + dy * directions[j, 1]) / sizes[j, 0]
                if along <= 0 or along >= 1:
                    continue
                across = abs(dx * directions[j, 1] - dy * directions[j, 0])
                half = 0.5 * sizes[j, 1] * min(1.0, 0.4 + 1.5 * along) * min(1.0, np.sqrt((1 - along) / 0.45))
                edge = across / (half * (1.0 + 0.12 * noise) + 1e-6)
                if edge >= 1:
                    continue
                towards = -(directions[j, 0] * sine + directions[j, 1] * cosine)
                value = sizes[j, 2] * towards * (1 - 0.55 * edge * edge) * (1 - 0.4 * along)
                if turbulent[j]:
                    value += 0.7 * noise
                    mosaic[b, r] = 1.0 - 0.5 * edge
                value = (value + 1.0) % 2.0 - 1.0 if abs(value) > 1 else value
                if abs(value) > abs(speed[b, r]):
                    speed[b, r] = value


@njit(**_OPTIONS)
def paint(picture, gray, speed, mosaic, pixels, nearest, colours):
    """Put colours (2, 256, 3) over picture (h * w, 3) where blood moves; nearest (n,) is each pixel's sample."""
    flat_speed, flat_mosaic, flat_gray = speed.ravel(), mosaic.ravel(), gray.ravel()
    for n in range(pixels.shape[0]):
        value = flat_speed[nearest[n]]
        if abs(value) < SHOWN_FROM or flat_gray[nearest[n]] > 0.62:
            continue
        turbulent = 1 if flat_mosaic[nearest[n]] > 0.2 else 0
        level = int((value + 1) * 127.5)
        for channel in range(3):
            picture[pixels[n], channel] = colours[turbulent, level, channel]


def colour_maps() -> np.ndarray:
    """Colours (2, 256, 3) uint8: cyan fast away, black, yellow fast towards; the second map adds green."""
    level = np.linspace(-1, 1, 256)
    towards, away = np.clip(level, 0, 1), np.clip(-level, 0, 1)
    plain = np.stack(
        [
            255 * np.clip(1.8 * towards, 0, 1) ** 0.7,
            230 * np.clip(towards - 0.45, 0, 1) / 0.55 + 210 * np.clip(away - 0.45, 0, 1) / 0.55,
            255 * np.clip(1.8 * away, 0, 1) ** 0.7,
        ],
        axis=1,
    )
    turbulent = plain + np.abs(level)[:, None] * np.array([20.0, 110.0, 20.0])
    return np.clip(np.stack([plain, turbulent]), 0, 255).astype(np.uint8)


class ColourFlow:
    """Colour Doppler of one clip: finds the box, paints frame after frame."""

    def __init__(self, scene: Scene, machine: Machine, boxed: ColourBox, pixels, sources, weights):
        self._scene, self._machine, self._pixels = scene, machine, pixels
        n_depths = machine.gain.shape[1]
        share_b, share_r = weights[:, 2] + weights[:, 3] > 0.5, weights[:, 1] + weights[:, 3] > 0.5
        self._nearest = (sources + share_b * n_depths + share_r).astype(np.int32)
        self._speed, self._mosaic = (np.zeros(machine.gain.shape, np.float32) for _ in range(2))
        self._maps = colour_maps()
        self._box = self._find_box(boxed)
        self._inside = np.array([jet.inside for jet in scene.jets], np.int8)
        self._turbulent = np.array([jet.turbulent for jet in scene.jets])

    def _find_box(self, boxed: ColourBox) -> np.ndarray:
        """First and last beam, first and last depth index around the boxed chambers of frame 0 and 25 mm above them."""
        points = np.concatenate([self._scene.chambers[c].inner[0] for c in boxed.chambers])
        angles, radii = np.arctan2(points[:, 0], points[:, 1]), np.hypot(points[:, 0], points[:, 1])
        n_beams, n_depths = self._machine.gain.shape
        share = np.clip(
            (np.array([angles.min() - boxed.left_rad, angles.max() + 0.03]) / self._machine.half_angle + 1) / 2,
            0.02,
            0.98,
        )
        deep = np.clip(np.array([radii.min() - 25, radii.max() + 3]) / self._machine.depth_mm, 0.05, 0.98)
        return np.concatenate([share * n_beams, deep * n_depths]).astype(np.int64)

    def add(
        self, picture: np.ndarray, t: int, gray: np.ndarray, cavity: np.ndarray, beams, depths, texture, shift
    ) -> None:
        """Paint frame t's flow over picture (h * w, 3)."""
        jets = self._scene.jets
        starts = np.array([jet.start[t] for jet in jets], np.float32)
        directions = np.array([jet.direction[t] for jet in jets], np.float32)
        power = np.array([jet.strength[t] for jet in jets])
        grown = np.where(power > 0.08, np.sqrt(power), 0)
        sizes = np.array([[jet.length, jet.width, jet.speed] for jet in jets]) * np.stack([grown, grown, power], axis=1)
        flow_field(
            self._speed, self._mosaic, cavity, self._box, beams, depths, starts, directions, sizes.astype(np.float32),
            self._inside, self._turbulent, texture, shift,
        )  # fmt: skip
        paint(picture, gray, self._speed, self._mosaic, self._pixels, self._nearest, self._maps)

    def burn_in(self, frames: np.ndarray) -> None:
        """The outline of the colour box and the colour bar on frames (t, h, w, 3)."""
        from PIL import Image, ImageDraw

        machine = self._machine
        n_beams, n_depths = machine.gain.shape
        angles = (2 * self._box[:2] / n_beams - 1) * machine.half_angle
        radii = self._box[2:] / n_depths * machine.depth_mm
        sweep = np.linspace(angles[0], angles[1], 24)
        around = [(radii[0], a) for a in sweep] + [(radii[1], a) for a in sweep[::-1]] + [(radii[0], sweep[0])]
        corners = machine.to_pixels(np.array([[r * np.sin(a), r * np.cos(a)] for r, a in around]))
        picture = Image.new("L", (machine.size, machine.size))
        ImageDraw.Draw(picture).line([tuple(corner) for corner in corners.tolist()], fill=255)
        frames[:, np.asarray(picture) > 0] = (170, 170, 170)
        high, wide = round(0.2 * machine.size), max(3, round(0.025 * machine.size))
        top = TOP_PX + round(0.14 * machine.size)
        bar = self._maps[0][np.linspace(255, 0, high).astype(int)]
        frames[:, top : top + high, 4 : 4 + wide] = bar[:, None]
