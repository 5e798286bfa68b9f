"""What the ultrasound beam meets in each view: moving chambers with walls, valve leaflets and bright lines.

Every view is one of four anatomical planes, turned to where the probe stands: A4C and subcostal share the four-chamber
plane, A3C and PLAX the long-axis plane. Planes are laid out in the coordinates of ventricle.py (apex at the top).
Chambers in front hide those behind.
"""

from dataclasses import replace

import numpy as np

from echo2ecg_core.phantom import chambers, jets, valves
from echo2ecg_core.phantom.cycle import CycleStates
from echo2ecg_core.phantom.heart import Heart
from echo2ecg_core.phantom.structures import Chamber, Scene, Strand, arc_length, curve, disc, unit
from echo2ecg_core.phantom.ventricle import LeftVentricle


def four_chamber(heart: Heart, lv: LeftVentricle, states: CycleStates) -> Scene:
    """RV and RA on the left of the screen, LV and LA on the right, apex at the top."""
    flash = 2.5 * states.early_systole * (heart.conduction == "lbbb")
    endo, epi, thickness = lv.contours("four_chamber", states.contraction, flash)
    left_atrium, la_left_side = chambers.left_atrium(heart, lv, endo[:, 0], endo[:, -1], states)
    right_ventricle, hinge_septal, hinge_free = chambers.right_ventricle(heart, epi, states)
    right_atrium = chambers.right_atrium(heart, hinge_septal, hinge_free, la_left_side, states)
    strands = [
        *valves.mitral_valve(endo[:, 0], endo[:, -1], states, heart, anterior_share=0.6),
        *valves.tricuspid_valve(hinge_free, hinge_septal, states),
        valves.bright_spot(endo[:, 0] + [-3.0, 1.0], 2.2),
        valves.bright_spot(endo[:, -1] + [2.0, 1.0], 2.0),
        valves.bright_spot(hinge_free + [-1.5, 0.0], 1.6),
    ]
    flows = jets.four_chamber(heart, lv, endo, (hinge_septal, hinge_free), states)
    parts = [chambers.left_ventricle(endo, epi, thickness), left_atrium, right_ventricle, right_atrium]
    return Scene(parts, strands, endo, epi, flows)


def two_chamber(heart: Heart, lv: LeftVentricle, states: CycleStates) -> Scene:
    """LV and LA only, inferior wall on the left, anterior on the right."""
    endo, epi, thickness = lv.contours("two_chamber", states.contraction)
    left_atrium, _ = chambers.left_atrium(heart, lv, endo[:, 0], endo[:, -1], states)
    sinus = disc(endo[:, 0] + [-7.5, 3.0], 3.6, wall=0.9, wall_mm=1.5)  # coronary sinus in the groove
    strands = [
        *valves.mitral_valve(endo[:, -1], endo[:, 0], states, heart, anterior_share=0.6),
        valves.bright_spot(endo[:, 0] + [-1.5, 1.0], 2.2),
        valves.bright_spot(endo[:, -1] + [2.0, 1.0], 2.0),
    ]
    return Scene([chambers.left_ventricle(endo, epi, thickness), left_atrium, sinus], strands, endo, epi)


def long_axis(heart: Heart, lv: LeftVentricle, states: CycleStates) -> Scene:
    """LV between inferolateral (left) and anteroseptal wall (right), aortic root at the lower right, LA lower left."""
    endo, epi, thickness = lv.contours("long_axis", states.contraction)
    junction = 0.46 * endo[:, 0] + 0.54 * endo[:, -1] + np.array([0.0, 2.0])
    aorta, aorta_left, aorta_right = chambers.aorta(heart, junction, endo[:, -1])
    left_atrium = chambers.long_axis_atrium(heart, lv, endo[:, 0], junction, aorta_left, states)
    outflow = chambers.outflow_tract(heart, epi, aorta_right, states)
    behind = np.array([-0.87 * lv.radius_mm - 10 * heart.lvpwd - 21.0, lv.length_mm + 4.0])
    descending = disc(np.broadcast_to(behind, (len(endo), 2)), 10.5, wall=1.6, wall_mm=1.8)
    strands = [
        *valves.mitral_valve(junction, endo[:, 0], states, heart, anterior_share=0.72),
        *valves.aortic_valve(aorta_left, aorta_right, states, heart),
        valves.bright_spot(endo[:, 0] + [-1.5, 1.5], 2.4),
        valves.bright_spot(junction, 1.6),
    ]
    flows = jets.long_axis(heart, lv, endo, junction, (aorta_left, aorta_right), states)
    parts = [chambers.left_ventricle(endo, epi, thickness), aorta, left_atrium, outflow, descending]
    return Scene(parts, strands, endo, epi, flows)


def short_axis(heart: Heart, lv: LeftVentricle, states: CycleStates) -> Scene:
    """Round LV at the papillary muscles with the RV as a crescent on the left; origin at the centre of the LV."""
    k = 96
    angles = np.linspace(0, 2 * np.pi, k, endpoint=False)
    inner, outer, thickness = lv.short_axis(states.contraction, angles)
    inner, outer = chambers.flattened_septum(heart, states, angles, inner, outer)
    twist = np.radians(6.0) * states.contraction[:, None] * min(heart.lvef / 62, 1.0)
    ray = np.stack([np.cos(angles + twist), -np.sin(angles + twist)], axis=-1)
    endo, epi = inner[..., None] * ray, outer[..., None] * ray
    ventricle = Chamber(endo, epi, angles * lv.radius_mm, thickness, lining=2.0)
    papillary = [chambers.papillary(endo, epi, angles, lv, np.radians(at)) for at in (218, 322)]
    right = chambers.crescent(heart, outer, angles, states)
    return Scene([*papillary, ventricle, right], [], endo, epi)


def five_chamber(heart: Heart, lv: LeftVentricle, states: CycleStates) -> Scene:
    """The four chambers with the aortic root between them: the plane tilted forwards from A4C."""
    four = four_chamber(heart, lv, states)
    endo, epi = four.endocardium, four.epicardium
    junction = 0.52 * endo[:, 0] + 0.48 * endo[:, -1] + np.array([0.0, 2.0])
    mirror = np.array([-1.0, 1.0])
    root, right, left = chambers.aorta(heart, mirror * junction, mirror * endo[:, 0])
    aorta = replace(root, inner=root.inner * mirror, outer=root.outer * mirror)
    left, right = left * mirror, right * mirror
    strands = [
        *valves.mitral_valve(junction, endo[:, -1], states, heart, anterior_share=0.6),
        *valves.aortic_valve(left, right, states, heart),
        *four.strands[len(four.strands) - 3 :],
    ]
    flows = jets.five_chamber(heart, lv, endo, (left, right), states)
    ventricle, atrium, *right_heart = four.chambers
    return Scene([ventricle, aorta, atrium, *right_heart], strands, endo, epi, flows)


def aortic_short_axis(heart: Heart, lv: LeftVentricle, states: CycleStates) -> Scene:
    """The aortic valve in the middle, right atrium and ventricle around it, left atrium behind; no left ventricle.

    Origin at the centre of the valve; `endocardium` and `epicardium` are the aortic wall's.
    """
    k, size = 96, float(np.sqrt(heart.bsa_m2 / 1.9))
    angles = np.linspace(0, 2 * np.pi, k, endpoint=False)
    ray = np.stack([np.cos(angles), -np.sin(angles)], axis=-1)
    swell = 1 + 0.03 * states.ejecting[:, None, None]
    inner, outer = (radius * size * swell * ray for radius in (14.0, 15.8))
    aorta = Chamber(inner, outer, angles * 14 * size, np.full(k, 1.8), wall=1.2)
    centre = np.zeros((len(inner), 2))
    atrium_mm = 0.5 * (6000 * heart.lavi * heart.bsa_m2 / (1.15 * np.pi)) ** (1 / 3)
    atrium_mm = atrium_mm * (0.86 + 0.14 * states.atrial_filling)
    left_atrium = _ellipse(
        centre + [4.0, 17 * size] + atrium_mm[:, None] * [0, 1.0], 1.15 * atrium_mm, atrium_mm, wall=0.9, wall_mm=2.5
    )
    ra_mm = np.sqrt(100 * heart.ra_area / np.pi) * (0.92 + 0.08 * states.atrial_filling)
    right_atrium = _ellipse(centre + [-15 * size - 20.0, 14.0], 0.9 * ra_mm, 1.05 * ra_mm, wall=0.85, wall_mm=2.2)
    outline = np.broadcast_to(16.5 * size, (len(inner), k))
    right = chambers.crescent(heart, outline, angles, states)
    turned = Scene([right], [], inner, outer).moved(82.0, np.zeros(2)).chambers
    opening = states.aortic_opening * (1.0, 1.0, 0.55, 0.3)[heart.as_grade]
    strands = []
    for at in np.radians((90, 210, 330)):  # the three seams; open cusps lie at the wall
        for side in (-0.95, 0.95):
            start = np.stack([np.cos(at + 0 * opening), -np.sin(at + 0 * opening)], axis=-1) * 13.5 * size
            tip_angle = at + side * opening
            tip = np.stack([np.cos(tip_angle), -np.sin(tip_angle)], axis=-1) * (11.5 * size * opening)[:, None]
            strands.append(Strand(curve(start, 0.5 * (start + tip), tip, 12), 1.6 + 0.9 * heart.as_grade,
                                  0.8 + 0.5 * heart.as_grade))  # fmt: skip
    flows = jets.aortic_short_axis(heart, right_atrium.inner.mean(axis=1), states)
    return Scene([aorta, *turned, right_atrium, left_atrium], strands, inner, outer, flows)


def arch(heart: Heart, lv: LeftVentricle, states: CycleStates) -> Scene:
    """The aortic arch from the jugular notch, the right pulmonary artery under it; no ventricle.

    Origin at the top of the arch; `endocardium` and `epicardium` are its outer wall.
    """
    size = float(np.sqrt(heart.bsa_m2 / 1.9)) * (1 + 0.003 * (heart.age_years - 60))
    swell = 1 + 0.03 * states.ejecting[:, None]
    outer_arch = _stadium(36.0 * size * swell, 26.0, top=np.zeros_like(swell[:, 0]))
    core = _stadium(13.0 * size * (2 - swell), 60.0, top=24.0 * size * swell[:, 0])
    middle = core.mean(axis=1, keepdims=True)
    tissue = Chamber(
        middle + 0.02 * (core - middle), core, arc_length(core[0]), np.full(core.shape[1], 26.0), wall=0.35
    )
    lumen = _walled(outer_arch, 2.0, wall=1.1)
    lower = outer_arch[..., 1:] > outer_arch[..., 1:].max(axis=1, keepdims=True) - 4  # the tubes leave the plane
    lumen = replace(lumen, outer=np.where(lower, lumen.inner, lumen.outer))
    artery = disc(np.broadcast_to([0.0, 24 * size + 14.0], (len(swell), 2)), 6.5 + 0.05 * max(0.0, heart.rvsp - 30),
                  wall=0.9, wall_mm=1.6)  # fmt: skip
    return Scene([artery, tissue, lumen], [], lumen.inner, lumen.outer)


def cava(heart: Heart, lv: LeftVentricle, states: CycleStates) -> Scene:
    """The inferior vena cava through the liver into the right atrium, falling together as the patient breathes in.

    Wide (above 21 mm) and stiff (below 50 % collapse) where right atrial pressure is high (ASE/EACVI 2015). Origin
    where the vein enters the atrium; `endocardium` and `epicardium` are its wall.
    """
    pressure = float(np.clip(0.05 * (heart.ra_area - 16) + 0.012 * (heart.rvsp - 32), 0, 1))
    diameter = 15.0 + 10.0 * pressure
    n = len(states.contraction)
    sniff = np.sin(np.pi * np.linspace(0, 1, n)) ** 2
    width = diameter * (1 - (0.65 - 0.5 * pressure) * sniff) + 0.6 * states.atrial_filling
    vein = _ellipse(np.tile([-34.0, 0.0], (n, 1)), np.full(n, 40.0), width / 2, wall=1.1, wall_mm=1.6, squareness=0.45)
    ra_mm = np.sqrt(100 * heart.ra_area / np.pi) * (0.92 + 0.08 * states.atrial_filling)
    atrium = _ellipse(np.tile([0.8, 0.4], (n, 1)) * ra_mm[:, None], ra_mm, 0.85 * ra_mm, wall=0.85, wall_mm=2.2)
    hepatic = _ellipse(np.tile([-22.0, -14.0], (n, 1)), np.full(n, 3.5), np.full(n, 11.0), wall=0.8, wall_mm=1.0)
    return Scene([vein, hepatic, atrium], [], vein.inner, vein.outer, liver=True)


def _ellipse(
    centre: np.ndarray, half_x: np.ndarray, half_y: np.ndarray, wall: float, wall_mm: float, squareness: float = 1.0
) -> Chamber:
    """An ellipse around centre (t, 2) with half axes (t,) mm; squareness < 1 bulges it towards a box."""
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    ray = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    ray = np.sign(ray) * np.abs(ray) ** squareness
    return _walled(centre[:, None] + ray * np.stack([half_x, half_y], axis=-1)[:, None], wall_mm, wall)


def _stadium(half: np.ndarray, length: float, top: np.ndarray) -> np.ndarray:
    """Outline (t, 64, 2): an arch of half width (t, 1) around x = 0 whose top is at y = top (t,), open far below."""
    angles = np.linspace(np.pi, 0, 48)
    bow = np.stack([half * np.cos(angles), top[:, None] + half * (1 - np.sin(angles))], axis=-1)
    down = np.linspace(0.2, 1, 8)
    right = np.stack([half * np.ones(8), top[:, None] + half + length * down], axis=-1)
    return np.concatenate([bow, right, right[:, ::-1] * [-1.0, 1.0]], axis=1)


def _walled(inner: np.ndarray, wall_mm: float, wall: float) -> Chamber:
    """A chamber of even wall thickness around the outline inner (t, k, 2)."""
    centre = (inner.min(axis=1, keepdims=True) + inner.max(axis=1, keepdims=True)) / 2
    outer = inner + wall_mm * unit(inner - centre)
    return Chamber(inner, outer, arc_length(inner[0]), np.full(inner.shape[1], wall_mm), wall)
