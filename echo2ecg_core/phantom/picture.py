"""A scene on the machine's screen: prepares what the kernels of speckle.py need and runs them frame by frame.

Nothing is burnt in here (see echo.py). numba is imported with the first picture, not with the module.
"""

from functools import cache

import numpy as np

from echo2ecg_core.phantom.machine import Machine, scan_table
from echo2ecg_core.phantom.structures import ColourBox, Scene

TEXTURE_SEED = 20240229


def render_scene(
    scene: Scene, machine: Machine, rng: np.random.Generator, n_frames: int, every: int, boxed: ColourBox | None
) -> np.ndarray:
    """The scene on the machine's screen, with colour flow inside the box if there is one: (t, h, w, 3) uint8."""
    from echo2ecg_core.phantom import speckle
    from echo2ecg_core.phantom.doppler import ColourFlow

    texture = _texture()
    frame_shifts = rng.integers(0, speckle.TEXTURE, (n_frames, 4))[::every]
    looks, tables, reach, centres = _chambers_for_kernel(scene, rng)
    points, amplitudes, phases = _strands_for_kernel(scene, rng)
    beams, depths = machine.beams(), machine.depths_mm
    background = _with_liver(machine, beams, depths) if scene.liver else machine.background
    pixels, sources, weights = scan_table(machine)
    n_frames = len(scene.endocardium)
    pictures = np.zeros((n_frames, machine.size * machine.size, 3), np.uint8)
    field = np.empty((2, *machine.gain.shape), np.float32)
    spare, gray = np.empty(machine.gain.shape, np.float32), np.empty(machine.gain.shape, np.float32)
    cavity = np.empty(machine.gain.shape, np.int8)
    flow = ColourFlow(scene, machine, boxed, pixels, sources, weights) if boxed else None
    step = float(depths[1] - depths[0])
    outside = 0.15 * scene.endocardium.mean(axis=1)
    for t in range(n_frames):
        speckle.echo_field(
            field, cavity, beams, depths, texture, tables[:, t], reach[:, t], centres[:, t], looks,
            machine.gain, background, machine.haze, outside[t], frame_shifts[t],
        )  # fmt: skip
        speckle.add_strands(
            field, points[t], amplitudes, phases, machine.gain, machine.half_angle, float(depths[0]), step
        )
        speckle.blur(field, spare, machine.lateral, machine.axial)
        speckle.compress(field, gray, texture, machine.noise, frame_shifts[t], machine.floor_db, machine.range_db)
        speckle.scan_convert(gray, pictures[t], pixels, sources, weights, machine.colours)
        if flow:
            flow.add(pictures[t], t, gray, cavity, beams, depths, texture, frame_shifts[t])
    frames = pictures.reshape(n_frames, machine.size, machine.size, 3)
    if flow:
        flow.burn_in(frames)
    return frames


@cache
def _texture() -> np.ndarray:
    """Periodic complex noise (256, 256, 2) of unit variance, smooth over one cell; the same in every process."""
    from echo2ecg_core.phantom.speckle import TEXTURE

    white = np.random.default_rng(TEXTURE_SEED).normal(size=(2, TEXTURE, TEXTURE))
    frequency = np.fft.fftfreq(TEXTURE)
    smooth = np.exp(-2 * (np.pi * 0.6) ** 2 * (frequency[:, None] ** 2 + frequency[None] ** 2))
    noise = np.fft.ifft2(np.fft.fft2(white, axes=(1, 2)) * smooth, axes=(1, 2)).real
    return np.ascontiguousarray(np.moveaxis(noise / noise.std(), 0, -1), dtype=np.float32)


def _chambers_for_kernel(scene: Scene, rng: np.random.Generator):
    """Looks (c, 4) and, for every chamber and frame, tables, squared reach and centres."""
    from echo2ecg_core.phantom.speckle import chamber_tables

    looks, tables, reach, centres = [], [], [], []
    for chamber in scene.chambers:
        centre = (chamber.inner.min(axis=1) + chamber.inner.max(axis=1)) / 2
        table, squares = chamber_tables(chamber.inner, chamber.outer, centre, chamber.along, chamber.thickness)
        looks.append([chamber.wall, chamber.blood, chamber.lining, rng.uniform(0, 256)])
        tables.append(table)
        reach.append(squares)
        centres.append(centre)
    return np.array(looks, np.float32), np.stack(tables), np.stack(reach), np.stack(centres).astype(np.float32)


def _strands_for_kernel(scene: Scene, rng: np.random.Generator):
    """Point reflectors of all strands: positions (t, p, 2) mm, amplitudes (p,), complex phases (p, 2)."""
    points, amplitudes = [np.zeros((len(scene.endocardium), 0, 2))], [np.zeros(0)]
    for strand in scene.strands:
        k = strand.points.shape[1]
        at = np.linspace(0, k - 1, 2 * k)
        low = np.clip(at.astype(int), 0, k - 2)
        share = (at - low)[:, None]
        jitter = rng.normal(0, 0.4 * strand.thickness, (2 * k, 2))
        points.append(strand.points[:, low] * (1 - share) + strand.points[:, low + 1] * share + jitter)
        amplitudes.append(np.full(2 * k, strand.amplitude))
    total = np.concatenate(amplitudes)
    turn = rng.uniform(0, 2 * np.pi, len(total))
    phases = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return np.concatenate(points, axis=1).astype(np.float32), total.astype(np.float32), phases.astype(np.float32)


def _with_liver(machine: Machine, beams: np.ndarray, depths: np.ndarray) -> np.ndarray:
    """Background (b, r) of the subcostal window: even liver tissue on top down to the diaphragm."""
    x, y = depths[None] * beams[:, :1], depths[None] * beams[:, 1:]
    edge = 66 - 0.32 * x
    liver = np.where(y < edge, 0.62, machine.background)
    diaphragm = np.exp(-0.5 * ((y - edge) / 1.6) ** 2)
    return (liver + 1.6 * diaphragm).astype(np.float32)
