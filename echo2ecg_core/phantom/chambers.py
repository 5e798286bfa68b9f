"""The chambers of the phantom heart as outlines over time, sized by the Heart.

Drawn so that the labels can be measured on them: left atrial volume by area-length, right atrial area, RV basal
diameter and TAPSE in the four-chamber plane. Coordinates and rest row: structures.py.
"""

import numpy as np

from echo2ecg_core.phantom.cycle import CycleStates
from echo2ecg_core.phantom.heart import Heart
from echo2ecg_core.phantom.structures import Chamber, arc_length, disc, sample
from echo2ecg_core.phantom.ventricle import HEIGHT, N_POINTS, LeftVentricle, outward_normals

EGG_TOP, EGG_WIDEST = 0.349, 1.428  # area over length of `_egg` per half width at its top and at its widest


def left_ventricle(endo: np.ndarray, epi: np.ndarray, thickness: np.ndarray) -> Chamber:
    """The left ventricle, open at the base."""
    outer = np.concatenate([endo[:, :1], epi, endo[:, -1:]], axis=1)
    return Chamber(endo, outer, arc_length(endo[0]), thickness, lining=2.0)


def left_atrium(heart: Heart, lv: LeftVentricle, left: np.ndarray, right: np.ndarray, states: CycleStates):
    """The left atrium below a mitral annulus whose ends are left and right (t, 2); and its left side (t, n, 2).

    Its width is solved so that the area-length volume (ASE/EACVI 2015) is the labelled one when it is largest.
    """
    largest = 1000 * heart.lavi * heart.bsa_m2
    volume = largest * _atrial_share(heart, states)
    top = (left + right) / 2
    roof = 0.86 * lv.length_mm + 1.12 * _la_diameter_mm(heart)
    length = roof - top[:, 1] + 3 * (states.atrial_filling - 1)
    half_annulus = np.linalg.norm(right - left, axis=1) / 2
    mean_width = np.sqrt(volume / (8 / (3 * np.pi) * length))  # area over length
    widest = np.maximum((mean_width - EGG_TOP * half_annulus) / EGG_WIDEST, 0.4 * half_annulus)
    v = np.linspace(0, 1, 25)
    half = _egg(v, half_annulus, widest)
    y = top[:, 1:2] + v * length[:, None]
    tilt = (left[:, 1:2] - right[:, 1:2]) / 2 * (1 - v) ** 2
    left_side = np.stack([top[:, :1] - half, y + tilt], axis=-1)
    right_side = np.stack([top[:, :1] + half, y - tilt], axis=-1)
    return _chamber_of_sides(left_side, right_side, wall_mm=2.5, wall=0.9), left_side


def _la_diameter_mm(heart: Heart) -> float:
    """Width of an ellipsoid 1.15 times as long as wide that holds the largest left atrial volume."""
    return (6000 * heart.lavi * heart.bsa_m2 / (1.15 * np.pi)) ** (1 / 3)


def _atrial_share(heart: Heart, states: CycleStates) -> np.ndarray:
    """Left atrial volume (t,) over its largest: empties by half, by a fifth without atrial contraction."""
    emptying = 0.2 if heart.rhythm == "af" else float(np.clip(0.62 - 0.006 * heart.lavi, 0.22, 0.5))
    return 1 - emptying * (1 - states.atrial_filling)


def _egg(v: np.ndarray, top_half: np.ndarray, widest_half: np.ndarray) -> np.ndarray:
    """Half widths (t, n) of an egg at heights v (n,): `top_half` at v = 0, `widest_half` at 0.48, 0 at the bottom."""
    upper = np.sin(np.pi / 2 * np.clip(v / 0.48, 0, 1))
    lower = np.sqrt(np.clip(1 - (np.clip(v - 0.48, 0, None) / 0.52) ** 2, 0, 1))
    return (top_half[:, None] + (widest_half - top_half)[:, None] * upper) * lower


def _chamber_of_sides(
    left: np.ndarray, right: np.ndarray, wall_mm: float | np.ndarray, wall: float = 1.0, lining: float = 0.0
) -> Chamber:
    """A chamber open at the top between the first points of its two sides (t, n, 2), closed where the sides end.

    `wall_mm` is the thickness of its wall, one number or one per point of a side (n,).
    """
    inner = np.concatenate(
        [right, left[:, ::-1]], axis=1
    )  # right side down, left side up: runs clockwise on the screen
    side_mm = np.broadcast_to(wall_mm, left.shape[1])
    thickness = np.concatenate([side_mm, side_mm[::-1]])
    outer = np.concatenate([inner[:, :1], inner + thickness[:, None] * outward_normals(inner), inner[:, -1:]], axis=1)
    return Chamber(inner, outer, arc_length(inner[0]), thickness, wall, lining=lining)


def right_ventricle(heart: Heart, epi: np.ndarray, states: CycleStates):
    """The triangular right ventricle left of the septum; its septal and free hinge points (t, 2)."""
    reach = 0.80
    s = np.linspace(0, 1, 33)
    at = np.interp(s * reach, HEIGHT[: N_POINTS // 2 + 1], np.arange(N_POINTS // 2 + 1))
    septum = sample(epi, at)
    rest = np.broadcast_to(sample(epi[:1], at)[0], septum.shape)
    diameter = heart.rv_basal_diameter
    profile = (0.90 + 0.5 * s - 0.9 * s**2) * np.clip(1 - s**2.6, 0, 1) ** 0.75
    profile = profile / profile.max()
    squeeze = 0.30 * min(heart.tapse / 2.3, 1.3) * states.contraction[:, None]
    free = rest - np.stack([diameter * profile, -4.0 * (1 - s)], axis=-1)
    free[..., 0] += diameter * profile * squeeze
    free[..., 1] -= 10 * heart.tapse * (1 - s) * states.contraction[:, None]
    hidden = septum + np.array([5.0, 0.0]) + np.stack([10 * s * (1 - s), 0 * s], axis=-1)
    hidden[:, 0] = septum[:, 0] + [0.5, 0.0]
    wall_mm = 3.5 + 3.0 * np.clip((heart.rvsp - 40) / 40, 0, 1)
    inner = np.concatenate([free, hidden[:, ::-1]], axis=1)
    free_normals = outward_normals(free)
    outer = np.concatenate([free[:, :1], free + wall_mm * free_normals, hidden[:, ::-1]], axis=1)
    thickness = np.full(inner.shape[1], wall_mm)
    chamber = Chamber(inner, outer, arc_length(inner[0]), thickness, wall=0.85, lining=0.9)
    return chamber, septum[:, 0] + np.array([0.0, -5.0]), free[:, 0]


def right_atrium(
    heart: Heart, septal: np.ndarray, free: np.ndarray, la_left: np.ndarray, states: CycleStates
) -> Chamber:
    """The right atrium below the tricuspid annulus, its septum along the left atrium's left side (t, n, 2).

    1.1 times as long as wide at end-systole, when the annulus has come down and its area is the labelled one.
    """
    v = np.linspace(0, 1, la_left.shape[1])
    middle, half_top = (septal + free) / 2, np.abs(septal - free)[:, 0] / 2
    widest = _solved_half_width(100 * heart.ra_area, float(half_top[0]), 2.2)
    shrink = 1 - 0.12 * (1 - states.atrial_filling[:, None])
    half = _egg(v, half_top, np.full(len(half_top), widest)) * shrink
    descent = 5 * heart.tapse + 4 * (heart.lv_length_d - heart.lv_length_s)
    y = middle[:, 1:2] + v * (middle[:1, 1] - descent + 2.2 * widest - middle[:, 1:2])
    centre = middle[:, :1] + (la_left[:, 12, :1] - 1.0 - widest - middle[:, :1]) * np.sin(np.pi / 2 * v)
    left_side = np.stack([centre - half, y], axis=-1)
    right_side = np.stack([centre + half, y], axis=-1)
    left_side[:, 0], right_side[:, 0] = free, septal
    return _chamber_of_sides(left_side, right_side, wall_mm=2.2, wall=0.85)


def _solved_half_width(area_mm2: float, half_top: float, length_per_half: float) -> float:
    """Half width of an egg of this area whose length is `length_per_half` times the half width."""
    a, b = EGG_WIDEST * length_per_half, EGG_TOP * half_top * length_per_half
    return float((-b + np.sqrt(b * b + 4 * a * area_mm2)) / (2 * a))


def aorta(heart: Heart, left: np.ndarray, right: np.ndarray) -> tuple[Chamber, np.ndarray, np.ndarray]:
    """The aortic root leaving between left and right (t, 2) towards the lower right; its two sides (t, n, 2)."""
    size = np.sqrt(heart.bsa_m2 / 1.9) * (1.04 if heart.sex == "male" else 0.96)
    axis = np.array([np.sin(np.radians(24)), np.cos(np.radians(24))])
    across = np.array([axis[1], -axis[0]])
    start = (left + right) / 2
    half_start = np.linalg.norm(right - left, axis=1) / 2
    distance = np.linspace(0, 58 * size, 30)
    shape = np.interp(distance / size, [0, 5, 13, 22, 30, 60], [10.5, 13.5, 16.0, 13.5, 13.8, 15.5]) * size
    shape = shape * np.sqrt(np.clip(1 - (np.clip(distance / size - 48, 0, None) / 10) ** 2, 0, 1))
    blend = np.clip(distance / (6 * size), 0, 1)
    half = half_start[:, None] * (1 - blend) + shape * blend
    centre = start[:, None] + distance[:, None] * axis
    sides = [centre + sign * half[..., None] * across for sign in (-1, 1)]
    sides[0][:, 0], sides[1][:, 0] = left, right
    wall_mm = 2.2 * np.clip((52 - distance / size) / 12, 0, 1)  # the tube leaves the plane: its end fades
    return _chamber_of_sides(sides[0], sides[1], wall_mm, wall=1.9), sides[0], sides[1]


def long_axis_atrium(
    heart: Heart, lv: LeftVentricle, left: np.ndarray, right: np.ndarray, aorta_left: np.ndarray, states: CycleStates
) -> Chamber:
    """The left atrium behind the aortic root, below the mitral annulus between left and right (t, 2)."""
    diameter_largest = _la_diameter_mm(heart)
    diameter = diameter_largest * np.sqrt(_atrial_share(heart, states))
    v = np.linspace(0, 1, 25)
    length = lv.length_mm * 0.9 + 1.12 * diameter_largest - (left[:, 1] + right[:, 1]) / 2
    wall_line = sample(aorta_left, np.clip(v * length[0] / 2.0, 0, 23)) + np.array([4.0, 0.0])
    round_off = np.sqrt(np.clip(1 - (np.clip(v - 0.55, 0, None) / 0.45) ** 2, 0, 1))[:, None]
    y = right[:, 1:2] + v * length[:, None]
    right_x = np.where(v[None] < 0.03, right[:, :1], wall_line[..., 0])
    left_x = (
        right_x - np.linalg.norm(right - left, axis=1)[:, None] * (1 - _rise(v)) - (diameter[:, None] + 4) * _rise(v)
    )
    middle_x = (left_x[:, 14:15] + right_x[:, 14:15]) / 2
    left_side = np.stack([middle_x + (left_x - middle_x) * round_off[:, 0], y], axis=-1)
    right_side = np.stack([middle_x + (right_x - middle_x) * round_off[:, 0], y], axis=-1)
    left_side[:, 0], right_side[:, 0] = left, right
    return _chamber_of_sides(left_side, right_side, wall_mm=2.5, wall=0.9, lining=0.8)


def _rise(v: np.ndarray) -> np.ndarray:
    return np.sin(np.pi / 2 * np.clip(v / 0.45, 0, 1))


def outflow_tract(heart: Heart, epi: np.ndarray, aorta_right: np.ndarray, states: CycleStates) -> Chamber:
    """The right ventricle in front of the septum and the aortic root (right of them on the screen)."""
    s = np.linspace(0, 1, 21)
    at = np.interp(0.78 * (1 - s), HEIGHT[N_POINTS // 2 :][::-1], np.arange(N_POINTS - 1, N_POINTS // 2 - 1, -1))
    septum = np.concatenate([sample(epi, at), aorta_right[:, 3:18:3]], axis=1)
    rest = np.broadcast_to(septum[:1], septum.shape)
    u = np.linspace(0, 1, septum.shape[1])
    width = (0.78 * heart.rv_basal_diameter) * np.clip(1 - (1 - u) ** 3, 0, 1) * np.clip((1 - u) / 0.12, 0, 1) ** 0.5
    normals = np.broadcast_to(_smooth(outward_normals(rest[:1])), rest.shape)
    squeeze = 1 - 0.22 * min(heart.tapse / 2.3, 1.3) * states.contraction[:, None, None]
    free = rest + normals * width[:, None] * squeeze
    hidden = septum - np.array([5.0, 0.0])
    inner = np.concatenate([hidden, free[:, ::-1]], axis=1)
    wall_mm = 4.0 + 3.0 * np.clip((heart.rvsp - 40) / 40, 0, 1)
    outer = np.concatenate([hidden, (free + wall_mm * normals)[:, ::-1]], axis=1)
    return Chamber(inner, outer, arc_length(inner[0]), np.full(inner.shape[1], wall_mm), wall=0.9, lining=0.8)


def _smooth(rows: np.ndarray, n: int = 5) -> np.ndarray:
    """Rows (1, k, 2) averaged along k over 2 n + 1 neighbours."""
    padded = np.pad(rows, ((0, 0), (n, n), (0, 0)), mode="edge")
    return np.mean([padded[:, i : i + rows.shape[1]] for i in range(2 * n + 1)], axis=0)


def flattened_septum(heart: Heart, states: CycleStates, angles: np.ndarray, inner: np.ndarray, outer: np.ndarray):
    """Radii with the septum pressed flat by a loaded right ventricle (RVSP above 50 mmHg), most in systole."""
    load = np.clip((heart.rvsp - 50) / 40, 0, 1) * (0.12 + 0.16 * states.contraction[:, None])
    press = load * np.clip(np.cos(angles - np.pi), 0, 1) ** 2
    return inner * (1 - press), outer - inner * press


def papillary(endo: np.ndarray, epi: np.ndarray, angles: np.ndarray, lv: LeftVentricle, at: float) -> Chamber:
    """A papillary muscle standing on the wall at screen angle `at`, seen in cross-section."""
    nearest = int(np.argmin(np.abs(angles - at)))
    foot = endo[:, nearest]
    inwards = -foot / np.linalg.norm(foot, axis=1, keepdims=True)
    radius = 0.19 * lv.radius_mm
    return disc(foot + inwards * radius * 0.75, 0.3, wall=1.15, wall_mm=radius)


def crescent(heart: Heart, outer: np.ndarray, angles: np.ndarray, states: CycleStates) -> Chamber:
    """The right ventricle wrapped around the septum between its insertions at 112 and 244 degrees."""
    s = np.linspace(0, 1, 41)
    at = np.radians(112 + 132 * s)
    surface = np.stack([np.interp(at, angles, row) for row in outer])
    ray = np.stack([np.cos(at), -np.sin(at)], axis=-1)
    septum = (surface - 5.0)[..., None] * ray
    squeeze = 1 - 0.25 * min(heart.tapse / 2.3, 1.3) * states.contraction[:, None]
    gap = 0.70 * heart.rv_basal_diameter * np.sin(np.pi * s) ** 0.65 * squeeze
    free = (surface[:1] + gap)[..., None] * ray
    wall_mm = 3.5 + 3.0 * np.clip((heart.rvsp - 40) / 40, 0, 1)
    inner = np.concatenate([septum, free[:, ::-1]], axis=1)
    outer_line = np.concatenate([septum, ((surface[:1] + gap + wall_mm)[..., None] * ray)[:, ::-1]], axis=1)
    return Chamber(inner, outer_line, arc_length(inner[0]), np.full(inner.shape[1], wall_mm), wall=0.9, lining=0.9)
