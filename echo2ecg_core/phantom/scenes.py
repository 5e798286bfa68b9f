"""What the ultrasound beam meets in each view: moving chambers with walls, valve leaflets and bright lines.

Every view is one of four anatomical planes, turned to where the probe stands: A4C and subcostal share the four-chamber
plane, A3C and PLAX the long-axis plane. Planes are laid out in the coordinates of ventricle.py (apex at the top).
Chambers in front hide those behind.
"""

import numpy as np

from echo2ecg_core.phantom import chambers, jets, valves
from echo2ecg_core.phantom.cycle import CycleStates
from echo2ecg_core.phantom.heart import Heart
from echo2ecg_core.phantom.structures import Chamber, Scene, disc
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
