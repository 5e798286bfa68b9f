"""What the ultrasound beam meets in each view: moving chambers with walls, valve leaflets and bright lines.

Every view is one of four anatomical planes, turned to where the probe stands: A4C and subcostal share the four-chamber
plane, A3C and PLAX the long-axis plane. Planes are laid out in the coordinates of ventricle.py (millimetres, apex at
the top) and turned into the screen's (x to the right, y is depth) at the end. Row 0 of the states given to a plane
must be end-diastole (`with_rest`): shapes at rest are taken from it, and `frames` drops it again.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from echo2ecg_core.phantom.cycle import CycleStates
from echo2ecg_core.phantom.heart import Heart
from echo2ecg_core.phantom.ventricle import HEIGHT, N_POINTS, LeftVentricle, outward_normals


@dataclass
class Chamber:
    """A cavity inside a wall, star-shaped around its centre.

    Attributes:
        inner, outer: (t, k, 2), (t, m, 2) closed outlines of cavity and wall, mm; they coincide where a valve opens.
        along: (k,) position of each inner point along the tissue at end-diastole, mm: the speckle's coordinate.
        thickness: (k,) wall thickness at end-diastole, mm.
        wall, blood: Amplitude of the echo from wall and cavity (1 = heart muscle).
        lining: Extra brightness of the outer surface (pericardium), amplitude.
    """

    inner: np.ndarray
    outer: np.ndarray
    along: np.ndarray
    thickness: np.ndarray
    wall: float = 1.0
    blood: float = 0.02
    lining: float = 0.0


@dataclass
class Strand:
    """A thin bright structure: leaflet, chord, annulus. points (t, k, 2) mm; amplitude of its echo; thickness mm."""

    points: np.ndarray
    amplitude: float
    thickness: float = 0.8


@dataclass
class Jet:
    """Regurgitant or stenotic flow for colour Doppler.

    Attributes:
        start, direction: (t, 2) orifice and unit direction, mm.
        length, width: mm at full strength.
        strength: (t,) 0 ... 1.
        turbulent: Mosaic (True) or one colour.
        inside: Index of the chamber whose cavity confines it.
    """

    start: np.ndarray
    direction: np.ndarray
    length: float
    width: float
    strength: np.ndarray
    turbulent: bool
    inside: int


@dataclass
class Scene:
    """All structures of one view; chambers in front hide those behind.

    Attributes:
        endocardium, epicardium: (t, k, 2) contours of the left ventricle, mm.
        jets: Flows shown in colour Doppler.
        liver: True in the subcostal window.
    """

    chambers: list[Chamber]
    strands: list[Strand]
    endocardium: np.ndarray
    epicardium: np.ndarray
    jets: list[Jet] = field(default_factory=list)
    liver: bool = False

    def moved(self, angle_deg: float, scale: float, offset: np.ndarray) -> "Scene":
        """The scene turned clockwise on the screen by `angle_deg`, scaled and shifted by offset (2,) or (t, 2) mm."""
        a = np.radians(angle_deg)
        turn = scale * np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
        return self._mapped(turn, np.broadcast_to(offset, (len(self.endocardium), 2))[:, None])

    def frames(self, every: int) -> "Scene":
        """Without the rest row 0: the states 1, 1 + every, 1 + 2 * every, ..."""
        at = slice(1, None, every)
        chambers = [replace(c, inner=c.inner[at], outer=c.outer[at]) for c in self.chambers]
        strands = [replace(s, points=s.points[at]) for s in self.strands]
        jets = [replace(j, start=j.start[at], direction=j.direction[at], strength=j.strength[at]) for j in self.jets]
        return Scene(chambers, strands, self.endocardium[at], self.epicardium[at], jets, self.liver)

    def squashed(self, share: float) -> "Scene":
        """The scene with its long axis shortened to `share`, as when the cut misses the apex."""
        return self._mapped(np.diag([1.0, share]), np.zeros((1, 1, 2)))

    def _mapped(self, matrix: np.ndarray, shift: np.ndarray) -> "Scene":
        """All points times matrix (2, 2) plus shift (t or 1, 1, 2)."""

        def place(points: np.ndarray) -> np.ndarray:
            return points @ matrix + shift

        chambers = [replace(c, inner=place(c.inner), outer=place(c.outer)) for c in self.chambers]
        strands = [replace(s, points=place(s.points)) for s in self.strands]
        jets = [replace(j, start=place(j.start[:, None])[:, 0], direction=j.direction @ matrix) for j in self.jets]
        return Scene(chambers, strands, place(self.endocardium), place(self.epicardium), jets, self.liver)


def four_chamber(heart: Heart, lv: LeftVentricle, states: CycleStates) -> Scene:
    """RV and RA on the left of the screen, LV and LA on the right, apex at the top."""
    flash = 2.5 * states.early_systole * (heart.conduction == "lbbb")
    endo, epi, thickness = lv.contours("four_chamber", states.contraction, flash)
    left_atrium, la_left_side = _left_atrium(heart, lv, endo[:, 0], endo[:, -1], states)
    right_ventricle, hinge_septal, hinge_free = _right_ventricle(heart, endo, epi, lv, states)
    right_atrium = _right_atrium(heart, hinge_septal, hinge_free, la_left_side, states)
    strands = [
        *_mitral_valve(endo[:, 0], endo[:, -1], states, heart, anterior_share=0.6),
        *_tricuspid_valve(hinge_free, hinge_septal, states),
        _bright_spot(endo[:, 0] + [-3.0, 1.0], 2.2),
        _bright_spot(endo[:, -1] + [2.0, 1.0], 2.0),
        _bright_spot(hinge_free + [-1.5, 0.0], 1.6),
    ]
    chambers = [_left_ventricle(endo, epi, thickness), left_atrium, right_ventricle, right_atrium]
    return Scene(chambers, strands, endo, epi)


def two_chamber(heart: Heart, lv: LeftVentricle, states: CycleStates) -> Scene:
    """LV and LA only, inferior wall on the left, anterior on the right."""
    endo, epi, thickness = lv.contours("two_chamber", states.contraction)
    left_atrium, _ = _left_atrium(heart, lv, endo[:, 0], endo[:, -1], states)
    sinus = _disc(endo[:, 0] + [-7.5, 3.0], 3.6, wall=0.9, wall_mm=1.5)  # coronary sinus in the groove
    strands = [
        *_mitral_valve(endo[:, -1], endo[:, 0], states, heart, anterior_share=0.6),
        _bright_spot(endo[:, 0] + [-1.5, 1.0], 2.2),
        _bright_spot(endo[:, -1] + [2.0, 1.0], 2.0),
    ]
    return Scene([_left_ventricle(endo, epi, thickness), left_atrium, sinus], strands, endo, epi)


def long_axis(heart: Heart, lv: LeftVentricle, states: CycleStates) -> Scene:
    """LV between inferolateral wall (left) and anteroseptal wall (right), aortic root at the lower right, LA at the lower left."""
    endo, epi, thickness = lv.contours("long_axis", states.contraction)
    junction = 0.46 * endo[:, 0] + 0.54 * endo[:, -1] + np.array([0.0, 2.0])
    aorta, aorta_left, aorta_right = _aorta(heart, junction, endo[:, -1])
    left_atrium = _long_axis_atrium(heart, lv, endo[:, 0], junction, aorta_left, states)
    outflow = _outflow_tract(heart, epi, aorta_right, states)
    behind = np.array([-0.87 * lv.radius_mm - 10 * heart.lvpwd - 21.0, lv.length_mm + 4.0])
    descending = _disc(np.broadcast_to(behind, (len(endo), 2)), 10.5, wall=1.6, wall_mm=1.8)
    strands = [
        *_mitral_valve(junction, endo[:, 0], states, heart, anterior_share=0.72),
        *_aortic_valve(aorta_left, aorta_right, states, heart),
        _bright_spot(endo[:, 0] + [-1.5, 1.5], 2.4),
        _bright_spot(junction, 1.6),
    ]
    chambers = [_left_ventricle(endo, epi, thickness), aorta, left_atrium, outflow, descending]
    return Scene(chambers, strands, endo, epi)


def short_axis(heart: Heart, lv: LeftVentricle, states: CycleStates) -> Scene:
    """Round LV at the papillary muscles with the RV as a crescent on the left; origin at the centre of the LV."""
    k = 96
    angles = np.linspace(0, 2 * np.pi, k, endpoint=False)
    inner, outer, thickness = lv.short_axis(states.contraction, angles)
    inner, outer = _flattened_septum(heart, states, angles, inner, outer)
    twist = np.radians(6.0) * states.contraction[:, None] * min(heart.lvef / 62, 1.0)
    ray = np.stack([np.cos(angles + twist), -np.sin(angles + twist)], axis=-1)
    endo, epi = inner[..., None] * ray, outer[..., None] * ray
    ventricle = Chamber(endo, epi, angles * lv.radius_mm, thickness, lining=2.0)
    papillary = [_papillary(endo, epi, angles, lv, np.radians(at)) for at in (218, 322)]
    right = _crescent(heart, outer, angles, states)
    return Scene([*papillary, ventricle, right], [], endo, epi)


def _left_ventricle(endo: np.ndarray, epi: np.ndarray, thickness: np.ndarray) -> Chamber:
    """The left ventricle, open at the base."""
    outer = np.concatenate([endo[:, :1], epi, endo[:, -1:]], axis=1)
    return Chamber(endo, outer, _arc_length(endo[0]), thickness, lining=2.0)


def _left_atrium(heart: Heart, lv: LeftVentricle, left: np.ndarray, right: np.ndarray, states: CycleStates):
    """The left atrium below a mitral annulus whose ends are left and right (t, 2); and its left side (t, n, 2)."""
    volume = 1000 * heart.lavi * heart.bsa_m2 * _atrial_share(heart, states)
    largest = 1000 * heart.lavi * heart.bsa_m2
    diameter = (6 * largest / (1.15 * np.pi)) ** (1 / 3)
    top = (left + right) / 2
    roof = lv.length_mm * (1 - 0.14) + 1.12 * diameter
    length = roof - top[:, 1] + 3 * (states.atrial_filling - 1)
    width = np.sqrt(6 * volume / (np.pi * length))
    half_annulus = np.linalg.norm(right - left, axis=1) / 2
    v = np.linspace(0, 1, 25)
    half = _egg(v, half_annulus, width / 2)
    y = top[:, 1:2] + v * length[:, None]
    tilt = (left[:, 1:2] - right[:, 1:2]) / 2 * (1 - v) ** 2
    left_side = np.stack([top[:, :1] - half, y + tilt], axis=-1)
    right_side = np.stack([top[:, :1] + half, y - tilt], axis=-1)
    return _chamber_of_sides(left_side, right_side, wall_mm=2.5, wall=0.9), left_side


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
    inner = np.concatenate([right, left[:, ::-1]], axis=1)  # right side down, left side up: runs clockwise on the screen
    side_mm = np.broadcast_to(wall_mm, left.shape[1])
    thickness = np.concatenate([side_mm, side_mm[::-1]])
    outer = np.concatenate([inner[:, :1], inner + thickness[:, None] * outward_normals(inner), inner[:, -1:]], axis=1)
    return Chamber(inner, outer, _arc_length(inner[0]), thickness, wall, lining=lining)


def _right_ventricle(heart: Heart, endo: np.ndarray, epi: np.ndarray, lv: LeftVentricle, states: CycleStates):
    """The triangular right ventricle left of the septum; its septal and free hinge points (t, 2)."""
    reach = 0.80
    s = np.linspace(0, 1, 33)
    at = np.interp(s * reach, HEIGHT[: N_POINTS // 2 + 1], np.arange(N_POINTS // 2 + 1))
    septum = _sample(epi, at)
    rest = np.broadcast_to(_sample(epi[:1], at)[0], septum.shape)
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
    chamber = Chamber(inner, outer, _arc_length(inner[0]), thickness, wall=0.85, lining=0.9)
    return chamber, septum[:, 0] + np.array([0.0, -5.0]), free[:, 0]


def _right_atrium(heart: Heart, septal: np.ndarray, free: np.ndarray, la_left: np.ndarray, states: CycleStates) -> Chamber:
    """The right atrium below the tricuspid annulus, sharing its septum with the left atrium's left side (t, n, 2)."""
    n = la_left.shape[1]
    v = np.linspace(0, 1, n)
    width = np.sqrt(4 * 100 * heart.ra_area / (1.1 * np.pi))
    length = 1.05 * width
    shrink = 1 - 0.12 * (1 - states.atrial_filling[:, None])
    middle, half_top = (septal + free) / 2, np.abs(septal - free)[:, 0] / 2
    half = _egg(v, half_top, np.full(len(half_top), width / 2)) * shrink
    y = middle[:, 1:2] + v * (free[:1, 1] + length - middle[:, 1:2])
    centre = middle[:, :1] + (la_left[:, 12, :1] - 1.0 - width / 2 - middle[:, :1]) * np.sin(np.pi / 2 * v)
    left_side = np.stack([centre - half, y], axis=-1)
    right_side = np.stack([centre + half, y], axis=-1)
    left_side[:, 0], right_side[:, 0] = free, septal
    return _chamber_of_sides(left_side, right_side, wall_mm=2.2, wall=0.85)


def _aorta(heart: Heart, left: np.ndarray, right: np.ndarray) -> tuple[Chamber, np.ndarray, np.ndarray]:
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


def _long_axis_atrium(
    heart: Heart, lv: LeftVentricle, left: np.ndarray, right: np.ndarray, aorta_left: np.ndarray, states: CycleStates
) -> Chamber:
    """The left atrium behind the aortic root, below the mitral annulus between left and right (t, 2)."""
    largest = 1000 * heart.lavi * heart.bsa_m2
    diameter_largest = (6 * largest / (1.15 * np.pi)) ** (1 / 3)
    diameter = diameter_largest * np.sqrt(_atrial_share(heart, states))
    v = np.linspace(0, 1, 25)
    length = lv.length_mm * 0.9 + 1.12 * diameter_largest - (left[:, 1] + right[:, 1]) / 2
    wall_line = _sample(aorta_left, np.clip(v * length[0] / 2.0, 0, 23)) + np.array([4.0, 0.0])
    round_off = np.sqrt(np.clip(1 - (np.clip(v - 0.55, 0, None) / 0.45) ** 2, 0, 1))[:, None]
    y = right[:, 1:2] + v * length[:, None]
    right_x = np.where(v[None] < 0.03, right[:, :1], wall_line[..., 0])
    left_x = right_x - np.linalg.norm(right - left, axis=1)[:, None] * (1 - _rise(v)) - (diameter[:, None] + 4) * _rise(v)
    middle_x = (left_x[:, 14:15] + right_x[:, 14:15]) / 2
    left_side = np.stack([middle_x + (left_x - middle_x) * round_off[:, 0], y], axis=-1)
    right_side = np.stack([middle_x + (right_x - middle_x) * round_off[:, 0], y], axis=-1)
    left_side[:, 0], right_side[:, 0] = left, right
    return _chamber_of_sides(left_side, right_side, wall_mm=2.5, wall=0.9, lining=0.8)


def _rise(v: np.ndarray) -> np.ndarray:
    return np.sin(np.pi / 2 * np.clip(v / 0.45, 0, 1))


def _outflow_tract(heart: Heart, epi: np.ndarray, aorta_right: np.ndarray, states: CycleStates) -> Chamber:
    """The right ventricle in front of the septum and the aortic root (right of them on the screen)."""
    s = np.linspace(0, 1, 21)
    at = np.interp(0.78 * (1 - s), HEIGHT[N_POINTS // 2 :][::-1], np.arange(N_POINTS - 1, N_POINTS // 2 - 1, -1))
    septum = np.concatenate([_sample(epi, at), aorta_right[:, 3:18:3]], axis=1)
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
    return Chamber(inner, outer, _arc_length(inner[0]), np.full(inner.shape[1], wall_mm), wall=0.9, lining=0.8)


def _smooth(rows: np.ndarray, n: int = 5) -> np.ndarray:
    """Rows (1, k, 2) averaged along k over 2 n + 1 neighbours."""
    padded = np.pad(rows, ((0, 0), (n, n), (0, 0)), mode="edge")
    return np.mean([padded[:, i : i + rows.shape[1]] for i in range(2 * n + 1)], axis=0)


def _flattened_septum(heart: Heart, states: CycleStates, angles: np.ndarray, inner: np.ndarray, outer: np.ndarray):
    """Radii with the septum pressed flat by a loaded right ventricle (RVSP above 50 mmHg), most in systole."""
    load = np.clip((heart.rvsp - 50) / 40, 0, 1) * (0.12 + 0.16 * states.contraction[:, None])
    press = load * np.clip(np.cos(angles - np.pi), 0, 1) ** 2
    return inner * (1 - press), outer - inner * press


def _papillary(endo: np.ndarray, epi: np.ndarray, angles: np.ndarray, lv: LeftVentricle, at: float) -> Chamber:
    """A papillary muscle standing on the wall at screen angle `at`, seen in cross-section."""
    nearest = int(np.argmin(np.abs(angles - at)))
    foot = endo[:, nearest]
    inwards = -foot / np.linalg.norm(foot, axis=1, keepdims=True)
    radius = 0.19 * lv.radius_mm
    return _disc(foot + inwards * radius * 0.75, 0.3, wall=1.15, wall_mm=radius)


def _crescent(heart: Heart, outer: np.ndarray, angles: np.ndarray, states: CycleStates) -> Chamber:
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
    return Chamber(inner, outer_line, _arc_length(inner[0]), np.full(inner.shape[1], wall_mm), wall=0.9, lining=0.9)


def _disc(centre: np.ndarray, radius: float, wall: float, wall_mm: float) -> Chamber:
    """A round vessel or muscle around centre (t, 2)."""
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ray = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    inner, outer = (centre[:, None] + r * ray for r in (radius, radius + wall_mm))
    return Chamber(inner, outer, angles * (radius + wall_mm / 2), np.full(24, wall_mm), wall)


def _mitral_valve(anterior: np.ndarray, posterior: np.ndarray, states: CycleStates, heart: Heart, anterior_share: float):
    """Both mitral leaflets between hinges (t, 2), and chords from their tips into the ventricle."""
    width = np.linalg.norm(posterior - anterior, axis=1)[0]
    tent = np.array([0.0, -3.0 - 0.08 * max(0.0, 50 - heart.lvef)])  # tethering pulls the closed valve towards the apex
    meet = anterior + (posterior - anterior) * anterior_share + tent
    opening = states.mitral_opening[:, None]
    reach = max(0.62, 1 - 0.006 * max(0.0, 50 - heart.lvef))  # little flow opens the valve little
    strands = []
    for hinge, share, inwards in ((anterior, 0.72, 1.0), (posterior, 0.50, 1.0)):
        to_middle = np.sign((meet - hinge)[:, :1])
        open_tip = hinge + np.concatenate([to_middle * width * (0.32 - 0.18 * reach), 0 * to_middle - share * width], axis=1)
        tip = meet + (open_tip - meet) * opening * reach
        bow = (hinge + tip) / 2 + np.concatenate([0 * to_middle, (1 - opening) * -1.5 * inwards + 0 * to_middle], axis=1)
        strands.append(Strand(_curve(hinge, bow, tip), 3.0, 1.2))
        head = hinge * 0.5 + meet * 0.5 + np.array([0.0, -1.25 * width])
        strands.append(Strand(_curve(tip, (tip + head) / 2, head)[:, :14], 0.22, 0.5))
    return strands


def _tricuspid_valve(free: np.ndarray, septal: np.ndarray, states: CycleStates) -> list[Strand]:
    """Both visible tricuspid leaflets between the hinges (t, 2)."""
    width = np.linalg.norm(septal - free, axis=1)[0]
    meet = free + (septal - free) * 0.6 + np.array([0.0, -3.0])
    strands = []
    for hinge, share in ((free, 0.55), (septal, 0.42)):
        to_middle = np.sign((meet - hinge)[:, :1])
        open_tip = hinge + np.concatenate([to_middle * 0.10 * width, 0 * to_middle - share * width], axis=1)
        tip = meet + (open_tip - meet) * states.mitral_opening[:, None]
        strands.append(Strand(_curve(hinge, (hinge + tip) / 2, tip), 2.2, 1.0))
    return strands


def _aortic_valve(left: np.ndarray, right: np.ndarray, states: CycleStates, heart: Heart) -> list[Strand]:
    """Two aortic cusps between the sides of the root (t, n, 2); stenosis makes them thick, bright and stiff."""
    stiff = (0.0, 0.25, 0.5, 0.75)[heart.as_grade]
    amplitude, thickness = 2.4 + 1.0 * heart.as_grade, 0.9 + 0.5 * heart.as_grade
    opening = (states.aortic_opening * (1 - stiff))[:, None]
    centre = (left[:, 5] + right[:, 5]) / 2
    strands = []
    for side in (left, right):
        hinge = side[:, 1]
        open_tip = side[:, 6] * 0.88 + centre * 0.12
        tip = centre + (open_tip - centre) * opening
        bow = hinge * 0.5 + tip * 0.5 + (1 - opening) * 0.10 * (side[:, 1] - centre) + (1 - opening) * np.array([-1.0, -3.0])
        strands.append(Strand(_curve(hinge, bow, tip), amplitude, thickness))
    return strands


def _bright_spot(at: np.ndarray, amplitude: float) -> Strand:
    """A small fibrous echo (annulus) at (t, 2)."""
    offsets = np.array([[-1.2, 0.0], [0.0, -0.8], [1.2, 0.0], [0.0, 0.8]])
    return Strand(at[:, None] + offsets, amplitude, 1.6)


def _curve(start: np.ndarray, control: np.ndarray, end: np.ndarray, n: int = 33) -> np.ndarray:
    """Quadratic Bezier curves (t, n, 2)."""
    s = np.linspace(0, 1, n)[:, None]
    return (1 - s) ** 2 * start[:, None] + 2 * s * (1 - s) * control[:, None] + s**2 * end[:, None]


def _sample(contour: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Points (t, n, 2) of contours (t, k, 2) at fractional indices (n,)."""
    low = np.clip(np.floor(at).astype(int), 0, contour.shape[1] - 2)
    share = (at - low)[:, None]
    return contour[:, low] * (1 - share) + contour[:, low + 1] * share


def _arc_length(points: np.ndarray) -> np.ndarray:
    """Distance (k,) of each point from the first along the line, mm."""
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
