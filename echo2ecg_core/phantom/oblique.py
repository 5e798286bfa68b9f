"""Version 2's left ventricle: cut beside its axis, contracting unevenly, beating unevenly.

One plane of a real ventricle does not tell its volumes: apical long axes are cut short (foreshortening, a continuous
matter), the plane is turned about the axis and shifted, and in systole the heart moves through it. Single-plane and
biplane LVEF therefore scatter by several points around that of the whole ventricle (95 % limits of biplane against 3D
LVEF -14.3 to 14.3 points in 190 referred patients: Ultrasound 2010, 10.1258/ult.2010.009001). The sizes here are ours,
chosen for that scatter; benchmarks/phantom_views.py measures it.
"""

from dataclasses import dataclass, replace

import numpy as np

from echo2ecg_core.findings import SEGMENTS
from echo2ecg_core.phantom.heart import Heart
from echo2ecg_core.phantom.ventricle import APEX, ETA, HEIGHT, N_POINTS, SHORT_AXIS, LeftVentricle, Walls

# Counter-clockwise screen angle (degrees, as SHORT_AXIS) of the left and the right wall of each plane.
SIDES = {"four_chamber": (210.0, 30.0), "two_chamber": (270.0, 90.0), "long_axis": (330.0, 150.0)}
APICAL_SEGMENTS = {"apical_lateral": 0, "apical_anterior": 90, "apical_septal": 180, "apical_inferior": 270}


@dataclass(frozen=True)
class Cut:
    """How the plane of a clip lies in the ventricle.

    Attributes:
        rotation_deg: About the long axis, from the standard plane.
        base_mm, apex_mm: Distance of the plane from the long axis at the mitral valve and at the apex.
        systolic_mm: How far the heart moves through the plane by end-systole.
        height: Of a short-axis plane: 0 at the base, 1 at the apex.
        oval: Long over short diameter at which a round ventricle appears in a tilted short axis.
    """

    rotation_deg: float = 0.0
    base_mm: float = 0.0
    apex_mm: float = 0.0
    systolic_mm: float = 0.0
    height: float = 0.5
    oval: float = 1.0


class CutVentricle(LeftVentricle):
    """Moving contours of one heart's left ventricle in a plane that lies as a `Cut` says.

    Volumes are solved on the standard planes, as in version 1; what a cut shows is less or something else.
    """

    def __init__(self, heart: Heart, cut: Cut):
        uneven = np.random.default_rng([heart.body_seed, 32])
        self._oval, self._oval_at = float(uneven.normal(0, OVAL_SD)), float(uneven.uniform(0, 180))
        self._cut = Cut()
        self._lengthwise = float(np.exp(uneven.normal(0, LENGTHWISE_SD)))
        super().__init__(replace(heart, wall_motion=_uneven_motion(heart, uneven)))
        self._cut = cut

    def keep_inside(self, room: float) -> None:
        """Bring the plane nearer where it would come further from the axis than `room` of the radius, so that it meets
        the ventricle all through the beat."""
        far, cut = room * self.radius_mm, self._cut
        base, apex = (far * np.tanh(distance / far) for distance in (cut.base_mm, cut.apex_mm))
        systolic = np.clip(cut.systolic_mm, -far - min(base, apex), far - max(base, apex))
        self._cut = replace(cut, base_mm=float(base), apex_mm=float(apex), systolic_mm=float(systolic))

    def contours(self, plane: str, contraction: np.ndarray, septal_flash: np.ndarray | None = None):
        """As `LeftVentricle.contours`, in the cut plane."""
        endocardium, epicardium, _ = super().contours(plane, contraction, septal_flash)
        oval = 1 + self._oval * np.cos(2 * np.radians(SIDES[plane][1] + self._cut.rotation_deg - self._oval_at))
        cut = self._cut
        beside = [cut.base_mm + cut.systolic_mm * contraction, cut.apex_mm + cut.systolic_mm * contraction]
        base_y = (endocardium[:, 0, 1] + endocardium[:, -1, 1]) / 2
        endocardium, epicardium = (
            _cut_beside(line * np.array([oval, 1.0]), base_y, *beside) for line in (endocardium, epicardium)
        )
        return endocardium, epicardium, np.linalg.norm(epicardium[0] - endocardium[0], axis=1)

    def short_axis(self, contraction: np.ndarray, angles: np.ndarray):
        """As `LeftVentricle.short_axis`, at the cut's height and as oval as it is tilted."""
        height = self._cut.height
        radius = self.radius_mm * np.sqrt(max(1 - (1.5 * height - 0.5) ** 2, 0.05))
        degrees = np.degrees(angles)
        motion = np.array([np.interp(height, *self._along(a)) for a in degrees])
        thickness = np.array([self._thickness_at(a) for a in degrees]) * (1 - 0.25 * max(0.0, height - 0.6) / 0.4)
        strength = self._strength(contraction)[:, None]
        inner = radius * (1 - self._amplitude * motion * strength)
        stretch = 1 - self._strain(motion) * strength
        ring = (radius + thickness) ** 2 - radius**2
        outer = np.sqrt(inner**2 + ring / stretch)
        turned = np.radians(self._oval_at)
        oval = np.sqrt(np.cos(angles - turned) ** 2 * self._cut.oval + np.sin(angles - turned) ** 2 / self._cut.oval)
        return inner * oval, outer * oval, thickness

    def _strain(self, motion: np.ndarray) -> np.ndarray:
        return np.clip(self._lengthwise * super()._strain(motion), 0, 0.4)

    def _walls(self, plane: str) -> Walls:
        left, right = (angle + self._cut.rotation_deg for angle in SIDES[plane])
        motion = [np.interp(HEIGHT, *self._along(angle)) for angle in (left, right)]
        left_share = np.clip(0.5 - 1.5 * ETA, 0, 1)
        taper = np.interp(HEIGHT, [0, 0.08, 0.6, 1], [0.6, 1, 1, 0.72])
        thickness = left_share * self._thickness_at(left) + (1 - left_share) * self._thickness_at(right)
        return Walls(np.where(ETA < 0, *motion), thickness * taper)

    def _along(self, angle: float) -> tuple[list[float], np.ndarray]:
        """Knots of height and the wall motion there, along the wall at a screen angle in degrees."""
        values = [
            _around(angle, {a: self._motion[f"{level}_{name}"] for name, a in SHORT_AXIS.items()})
            for level in ("basal", "mid")
        ]
        values.append(_around(angle, {a: self._motion[name] for name, a in APICAL_SEGMENTS.items()}))
        return [0, 0.28, 0.38, 0.61, 0.70, 0.88, 0.96, 1], np.repeat([*values, self._motion["apex"]], 2)

    def _thickness_at(self, angle: float) -> float:
        return _around(angle, {a: self._wall_thickness(name) for name, a in SHORT_AXIS.items()})


def _around(angle: float, values: dict[int, float]) -> float:
    return float(np.interp(angle % 360, sorted(values), [values[a] for a in sorted(values)], period=360))


def _uneven_motion(heart: Heart, rng: np.random.Generator) -> tuple[float, ...]:
    """The wall motion with what differs from heart to heart without being a finding: base against apex, one diameter
    against the other, and segment by segment; its mean stays."""
    level = dict(zip(("basal", "mid", "apical"), rng.normal(0, LEVEL_SD), strict=True))
    level["apex"] = level["apical"]
    angle = {**SHORT_AXIS, **{name.removeprefix("apical_"): a for name, a in APICAL_SEGMENTS.items()}, "apex": 0}
    pinch, at = rng.normal(0, PINCH_SD), rng.uniform(0, 180)
    factor = np.array(
        [
            1
            + level[name.split("_")[0]]
            + pinch * np.cos(2 * np.radians(angle[name.split("_", 1)[-1]] - at)) * (name != "apex")
            + rng.normal(0, SEGMENT_SD)
            for name in SEGMENTS
        ]
    )
    motion = np.array(heart.wall_motion) * np.clip(factor, 0.3, 1.7)
    return tuple((motion * np.mean(heart.wall_motion) / max(motion.mean(), 1e-6)).tolist())


# Standard deviations, frozen: how unevenly a heart contracts (shares of the mean; base, middle, apex), how oval its
# cross-section is, and by how much its lengthwise shortening differs from that of other hearts of its LVEF (log).
LEVEL_SD, PINCH_SD, SEGMENT_SD, OVAL_SD = (0.18, 0.10, 0.15), 0.08, 0.06, 0.05
LENGTHWISE_SD = 0.15


def _cut_beside(line: np.ndarray, base_y: np.ndarray, base_mm: np.ndarray, apex_mm: np.ndarray) -> np.ndarray:
    """What a plane beside the axis shows of a body that is round about it.

    Args:
        line: (t, N_POINTS, 2) outline in the plane through the axis.
        base_y: (t,) depth of the base.
        base_mm, apex_mm: (t,) distance of the plane at the base and at depth 0.

    Returns:
        (t, N_POINTS, 2); half widths w become sqrt(w^2 - d^2), and the apex is where w = d.
    """

    def distance(y: np.ndarray) -> np.ndarray:
        share = np.clip(y / base_y[:, None], -0.2, 1)
        return np.abs(apex_mm[:, None] + (base_mm - apex_mm)[:, None] * share)

    index, result, tips = np.arange(APEX + 1.0), np.empty_like(line), []
    for side in (slice(0, APEX + 1), slice(N_POINTS - 1, APEX - 1, -1)):  # from base to apex
        x, y = np.abs(line[:, side, 0]), line[:, side, 1]
        wider = x > distance(y)
        wider[:, :2] = True
        last = APEX - np.argmax(wider[:, ::-1], axis=1)  # the last point that the plane meets
        beyond = np.minimum(last + 1, APEX)
        rows = np.arange(len(line))
        gap = x - distance(y)
        share = gap[rows, last] / np.maximum(gap[rows, last] - gap[rows, beyond], 1e-6)
        end = last + np.clip(share, 0, 1) * (beyond > last)
        at = end[:, None] * index / APEX  # (t, APEX + 1)
        low = np.minimum(at.astype(int), APEX - 1)
        part = at - low
        new_x, new_y = (
            np.take_along_axis(v, low, 1) * (1 - part) + np.take_along_axis(v, low + 1, 1) * part for v in (x, y)
        )
        half = np.sqrt(np.maximum(new_x**2 - distance(new_y) ** 2, 0.0))
        half[:, -1] = 0.0
        result[:, side, 0], result[:, side, 1] = half * (-1 if side.start == 0 else 1), new_y
        tips.append(new_y[:, -1])
    result[:, APEX, 1] = (tips[0] + tips[1]) / 2
    return result
