"""The phantom's left ventricle as moving contours in the apical planes and in the short axis.

At end-diastole it is the truncated ellipsoid of the Heart. Each material point then moves inwards and towards the apex
in proportion to the wall motion of its segment; one common amplitude is solved so that biplane Simpson on the drawn
A4C and A2C contours gives the Heart's volumes. Walls thicken so that the volume of each ring of muscle stays constant.
Coordinates are millimetres with the end-diastolic apex as origin, x to the right of the screen, y from apex to base.
"""

from dataclasses import dataclass

import numpy as np

from echo2ecg_core.findings import SEGMENTS
from echo2ecg_core.phantom.heart import Heart

N_POINTS = 65
# Eccentric angle along a contour: left annulus, apex in the middle, right annulus; the base cuts half a semi-axis
# behind the equator, as in heart.py.
ETA = np.linspace(-np.arccos(-0.5), np.arccos(-0.5), N_POINTS)
APEX = N_POINTS // 2
HEIGHT = (np.cos(ETA) + 0.5) / 1.5  # share of the length, 0 at the base, 1 at the apex
DISCS = 20
# Left and right wall on the screen of each plane, as (basal and mid wall, apical segment).
PLANES = {
    "four_chamber": (("inferoseptal", "apical_septal"), ("anterolateral", "apical_lateral")),
    "two_chamber": (("inferior", "apical_inferior"), ("anterior", "apical_anterior")),
    "long_axis": (("inferolateral", "apical_lateral"), ("anteroseptal", "apical_anterior")),
}
# Counter-clockwise screen angles (degrees from the right) of the mid segments in the short axis.
SHORT_AXIS = {
    "anterolateral": 30, "anterior": 90, "anteroseptal": 150,
    "inferoseptal": 210, "inferior": 270, "inferolateral": 330,
}  # fmt: skip
# Share of the septal thickness in each wall; the rest is posterior thickness.
SEPTAL_SHARE = {
    "anterolateral": 0.0, "anterior": 0.55, "anteroseptal": 1.0,
    "inferoseptal": 1.0, "inferior": 0.3, "inferolateral": 0.0,
}  # fmt: skip


def biplane_volume_ml(a4c: np.ndarray, a2c: np.ndarray) -> np.ndarray:
    """Volume by biplane Simpson with 20 discs, mL.

    Args:
        a4c, a2c: (t, N_POINTS, 2) endocardial contours in mm, from annulus over apex to annulus.

    Returns:
        (t,) volumes.
    """
    (wide, length), (narrow, other_length) = disc_diameters(a4c), disc_diameters(a2c)
    return np.pi / 4 * (wide * narrow).sum(axis=1) * np.maximum(length, other_length) / DISCS / 1000


def disc_diameters(contour: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Diameters (t, DISCS) across the long axis of each contour and the axis length (t,)."""
    base = (contour[:, 0] + contour[:, -1]) / 2
    axis = contour[:, APEX] - base
    length = np.hypot(axis[:, 0], axis[:, 1])
    unit = axis / length[:, None]
    along = (contour - base[:, None]) @ unit[:, :, None]
    across = (contour - base[:, None]) @ np.stack([-unit[:, 1], unit[:, 0]], 1)[:, :, None]
    along, across = along[..., 0], across[..., 0]
    middles = (np.arange(DISCS) + 0.5) / DISCS
    diameters = np.empty((len(contour), DISCS))
    for i, at in enumerate(length[:, None] * middles):
        left = _side_at(at, along[i, : APEX + 1], across[i, : APEX + 1])
        right = _side_at(at, along[i, : APEX - 1 : -1], across[i, : APEX - 1 : -1])
        diameters[i] = np.abs(right - left)
    return diameters, length


def _side_at(at: np.ndarray, along: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Distance of one side (base to apex) from the axis at heights `at`; a raised annulus joins the base's middle."""
    start = (0.0, 0.0) if along[0] > 0 else (along[0] - 1e-6, across[0])
    return np.interp(at, np.concatenate([start[:1], along]), np.concatenate([start[1:], across]))


@dataclass(frozen=True)
class Walls:
    """What the two walls of one plane do: wall motion and end-diastolic thickness (mm) per contour point."""

    motion: np.ndarray
    thickness_mm: np.ndarray


class LeftVentricle:
    """Moving contours of one heart's left ventricle.

    Attributes:
        length_mm, radius_mm: End-diastolic length of the cavity and radius at its equator.
    """

    def __init__(self, heart: Heart):
        self.length_mm, self.radius_mm = 10 * heart.lv_length_d, 5 * heart.lvidd
        self._heart = heart
        self._shortening = 1 - heart.lv_length_s / heart.lv_length_d
        self._motion = {name: float(value) for name, value in zip(SEGMENTS, heart.wall_motion, strict=True)}
        # A polygon of 65 points holds about 2 % less than the ellipsoid it is drawn on.
        self.radius_mm *= float(np.sqrt(heart.lvedv / self._volume(np.zeros(1), 0.0)[0]))
        self._solve_amplitude()

    def contours(self, plane: str, contraction: np.ndarray, septal_flash: np.ndarray | None = None):
        """Endocardium and epicardium in an apical plane.

        Args:
            plane: Key of PLANES.
            contraction: (t,) share of the stroke volume that has left the ventricle.
            septal_flash: (t,) inward shift of the left wall in mm (LBBB), or None.

        Returns:
            endocardium, epicardium: (t, N_POINTS, 2) mm each; wall thickness at end-diastole (N_POINTS,) mm.
        """
        endocardium, epicardium = self._deform(self._walls(plane), self._strength(contraction), self._amplitude)
        if septal_flash is not None:
            shift = septal_flash[:, None] * np.sin(ETA) ** 2 * (ETA < 0) * np.clip(HEIGHT / 0.2, 0, 1)
            endocardium[..., 0] += shift
            epicardium[..., 0] += shift
        return endocardium, epicardium, self._walls(plane).thickness_mm

    def short_axis(self, contraction: np.ndarray, angles: np.ndarray):
        """Radii of the mid-ventricular cross-section.

        Args:
            contraction: (t,) as in `contours`.
            angles: (k,) counter-clockwise screen angles in radians.

        Returns:
            inner (t, k), outer (t, k) radii in mm and end-diastolic thickness (k,) in mm.
        """
        knots = np.array(sorted((angle, name) for name, angle in SHORT_AXIS.items()), dtype=object)
        at, names = knots[:, 0].astype(float), list(knots[:, 1])
        degrees = np.degrees(angles) % 360
        motion = np.interp(degrees, at, [self._motion[f"mid_{name}"] for name in names], period=360)
        thickness = np.interp(degrees, at, [self._wall_thickness(name) for name in names], period=360)
        inner = self.radius_mm * (1 - self._amplitude * motion * self._strength(contraction)[:, None])
        stretch = 1 - self._strain(motion) * self._strength(contraction)[:, None]
        ring = (self.radius_mm + thickness) ** 2 - self.radius_mm**2
        return inner, np.sqrt(inner**2 + ring / stretch), thickness

    def _strength(self, contraction: np.ndarray) -> np.ndarray:
        """The deformation (t,) that brings the biplane volume to the wanted one; 1 at end-systole."""
        volume = self._heart.lvedv - contraction * self._heart.lvsv
        return np.interp(-volume, -self._volumes, self._strengths)

    def _solve_amplitude(self) -> None:
        """Find the radial amplitude for LVESV, then tabulate volume against deformation."""
        fullest = max(self._motion.values())
        for _ in range(6):
            amplitudes = np.linspace(0.0, 0.86 / fullest, 15)
            volumes = np.concatenate([self._volume(np.ones(1), a) for a in amplitudes])
            if volumes[-1] <= self._heart.lvesv:
                break
            mean = float(np.mean(list(self._motion.values())))  # too few segments move for this LVEF: others help
            self._motion = {name: 0.6 * value + 0.4 * mean for name, value in self._motion.items()}
            fullest = max(self._motion.values())
        self._amplitude = float(np.interp(-self._heart.lvesv, -volumes, amplitudes))
        self._strengths = np.linspace(0, 1.15, 13)
        self._volumes = self._volume(self._strengths, self._amplitude)

    def _volume(self, strength: np.ndarray, amplitude: float) -> np.ndarray:
        planes = [self._deform(self._walls(plane), strength, amplitude)[0] for plane in ("four_chamber", "two_chamber")]
        return biplane_volume_ml(*planes)

    def _walls(self, plane: str) -> Walls:
        """Wall motion and thickness along the contour; segments are plateaus with short transitions between them."""
        sides = []
        for wall, apical in PLANES[plane]:
            values = [
                self._motion[f"basal_{wall}"],
                self._motion[f"mid_{wall}"],
                self._motion[apical],
                self._motion["apex"],
            ]
            knots = [0, 0.28, 0.38, 0.61, 0.70, 0.88, 0.96, 1]
            sides.append(np.interp(HEIGHT, knots, np.repeat(values, 2)))
        left_share = np.clip(0.5 - 1.5 * ETA, 0, 1)
        left, right = (self._wall_thickness(wall) for wall, _ in PLANES[plane])
        taper = np.interp(HEIGHT, [0, 0.08, 0.6, 1], [0.6, 1, 1, 0.72])
        thickness = (left_share * left + (1 - left_share) * right) * taper
        return Walls(np.where(ETA < 0, sides[0], sides[1]), thickness)

    def _wall_thickness(self, wall: str) -> float:
        return 10 * (SEPTAL_SHARE[wall] * self._heart.ivsd + (1 - SEPTAL_SHARE[wall]) * self._heart.lvpwd)

    def _strain(self, motion: np.ndarray) -> np.ndarray:
        """Longitudinal shortening at end-systole for wall motion `motion`; 82 % of the axis' loss is the base's."""
        mean = max(float(np.mean(list(self._motion.values()))), 0.02)
        return np.clip(0.82 * self._shortening * motion / mean, 0, 0.4)

    def _deform(self, walls: Walls, strength: np.ndarray, amplitude: float) -> tuple[np.ndarray, np.ndarray]:
        """Contours (t, N_POINTS, 2) of endocardium and epicardium at deformations `strength` (t,)."""
        strength = strength[:, None]
        radius = self.radius_mm * np.abs(np.sin(ETA))
        stretch = 1 - self._strain(walls.motion) * strength
        narrowing = 1 - amplitude * walls.motion * strength
        steps = 0.5 * (stretch[:, 1:] + stretch[:, :-1]) * self.length_mm * np.abs(np.diff(HEIGHT))
        towards_base = np.concatenate([np.zeros_like(strength), np.cumsum(steps, axis=1)], axis=1)
        y = np.abs(towards_base - towards_base[:, APEX : APEX + 1])
        thickness = _thickened(walls.thickness_mm, np.maximum(radius, 0.45 * self.radius_mm), narrowing, stretch)
        y = y + (thickness - walls.thickness_mm) * np.clip(np.cos(ETA), 0, 1) ** 2
        endocardium = np.stack([radius * narrowing * np.sign(ETA), y], axis=-1)
        return endocardium, endocardium + thickness[..., None] * outward_normals(endocardium)


def _thickened(thickness: np.ndarray, radius: np.ndarray, narrowing: np.ndarray, stretch: np.ndarray) -> np.ndarray:
    """Wall thickness (t, k) that keeps the volume of each ring: ((R + h)^2 - R^2) times its length is constant."""
    ring = ((radius + thickness) ** 2 - radius**2) / stretch
    return np.sqrt((radius * narrowing) ** 2 + ring) - radius * narrowing


def outward_normals(contour: np.ndarray) -> np.ndarray:
    """Unit normals (t, k, 2) away from the cavity, of contours that run from left over the top to the right."""
    tangent = np.gradient(contour, axis=-2)
    normal = np.stack([tangent[..., 1], -tangent[..., 0]], axis=-1)
    return normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
