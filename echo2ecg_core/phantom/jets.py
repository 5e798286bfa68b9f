"""Blood flow in the phantom heart: inflow, outflow and the jets of leaking or narrow valves.

Areas of regurgitant jets over the atrium follow the colour Doppler grades of Zoghbi et al. (J Am Soc Echocardiogr
2003;16:777-802): mild below 20 %, moderate 20-40 %, severe above 40 %; width of aortic jets over the outflow tract
below 25 %, 25-65 %, above 65 %. Coordinates and rest row: structures.py.
"""

import numpy as np

from echo2ecg_core.phantom.cycle import CycleStates
from echo2ecg_core.phantom.heart import Heart
from echo2ecg_core.phantom.structures import Jet, unit
from echo2ecg_core.phantom.ventricle import LeftVentricle

JET_AREA_SHARE = (0.0, 0.12, 0.31, 0.72)  # of the atrium, by grade
AORTIC_WIDTH_SHARE = (0.0, 0.18, 0.45, 0.8)  # of the outflow tract, by grade
JET_FORM = 0.57  # area of a jet over length times width


def four_chamber(heart: Heart, lv: LeftVentricle, endo: np.ndarray, tricuspid, states: CycleStates) -> list[Jet]:
    """Flows of the four-chamber plane; chambers are LV, LA, RV, RA; tricuspid: septal and free hinge (t, 2)."""
    mitral, to_apex, width = _orifice(endo[:, 0], endo[:, -1])
    right, to_rv_apex, right_width = _orifice(tricuspid[1], tricuspid[0])
    outflow = endo[:, 16] + 0.45 * width * np.array([1.0, 0.0])
    la_area = np.pi / 4 * (6000 * heart.lavi * heart.bsa_m2 / np.pi) ** (2 / 3)
    return [
        *_through(mitral, to_apex, 0.7 * lv.length_mm, 0.62 * width, states.filling, 1.1, (1, 0)),
        *_through(right, to_rv_apex, 0.45 * lv.length_mm, 0.6 * right_width, states.filling, 0.8, (3, 2)),
        Jet(
            outflow,
            unit(endo[:, 0] + [4.0, 0.0] - outflow),
            0.62 * lv.length_mm,
            0.5 * width,
            states.ejecting,
            1.2,
            False,
            0,
        ),
        *_leak(mitral - 3.0 * to_apex, -to_apex + [0.25, 0.0], heart.mr_grade, la_area, states.systole, inside=1),
        *_leak(
            right - 3.0 * to_rv_apex,
            -to_rv_apex + [0.3, 0.0],
            heart.tr_grade,
            100 * heart.ra_area,
            states.systole,
            inside=3,
        ),
    ]


def long_axis(
    heart: Heart, lv: LeftVentricle, endo: np.ndarray, junction: np.ndarray, aorta, states: CycleStates
) -> list[Jet]:
    """Flows of the long-axis plane; chambers are LV, aorta, LA, ...; aorta: left and right side (t, n, 2)."""
    mitral, to_apex, width = _orifice(endo[:, 0], junction)
    left, right = aorta
    valve, root_width = (left[:, 1] + right[:, 1]) / 2, np.linalg.norm(right[:, 1] - left[:, 1], axis=1)[0]
    downstream = unit((left[:, 10] + right[:, 10]) / 2 - valve)
    la_area = np.pi / 4 * (6000 * heart.lavi * heart.bsa_m2 / np.pi) ** (2 / 3)
    narrow = heart.as_grade >= 2
    flows = [
        *_through(mitral, to_apex, 0.6 * lv.length_mm, 0.7 * width, states.filling, 0.9, (2, 0)),
        Jet(valve - 30 * downstream, downstream, 32.0, 0.85 * root_width, states.ejecting, 1.1, False, 0),
        Jet(
            valve,
            downstream,
            46.0,
            (0.5 if narrow else 0.85) * root_width,
            states.ejecting,
            3.0 if narrow else 1.2,
            narrow,
            1,
        ),
        *_leak(mitral - 2.0 * to_apex, -to_apex + [-0.2, 0.0], heart.mr_grade, la_area, states.systole, inside=2),
    ]
    if heart.ar_grade:
        share = AORTIC_WIDTH_SHARE[heart.ar_grade]
        diastole = np.clip(1 - 1.2 * states.systole - states.ejecting, 0, 1)
        flows.append(Jet(valve, -downstream, 16 + 34 * share, share * root_width + 3, diastole, 3.5, True, 0))
    return flows


def five_chamber(heart: Heart, lv: LeftVentricle, endo: np.ndarray, aorta, states: CycleStates) -> list[Jet]:
    """Flows of the outflow tract in the five-chamber plane; chambers are LV, aorta, ...; aorta: its sides (t, n, 2)."""
    left, right = aorta
    valve, root_width = (left[:, 1] + right[:, 1]) / 2, np.linalg.norm(right[:, 1] - left[:, 1], axis=1)[0]
    downstream = unit((left[:, 10] + right[:, 10]) / 2 - valve)
    return _aortic(heart, valve, downstream, root_width, states)


def aortic_short_axis(heart: Heart, atrium: np.ndarray, states: CycleStates) -> list[Jet]:
    """The tricuspid leak of the short axis at the aortic valve; chamber 2 is the right atrium, centre atrium (t, 2)."""
    start = atrium + np.array([-4.0, -0.9 * np.sqrt(100 * heart.ra_area / np.pi)])
    direction = np.broadcast_to(unit(np.array([0.15, 1.0])), atrium.shape)
    through = Jet(start, direction, 20.0, 14.0, states.filling, 0.7, False, 1)
    return [through, *_leak(start, direction, heart.tr_grade, 100 * heart.ra_area, states.systole, inside=2)]


def _aortic(heart: Heart, valve: np.ndarray, downstream: np.ndarray, width: float, states: CycleStates) -> list[Jet]:
    """Flow through the aortic valve and back; chambers 0 and 1 are ventricle and aorta."""
    narrow = heart.as_grade >= 2
    flows = [
        Jet(valve - 30 * downstream, downstream, 32.0, 0.85 * width, states.ejecting, 1.1, False, 0),
        Jet(valve, downstream, 46.0, (0.5 if narrow else 0.85) * width, states.ejecting, 3.0 if narrow else 1.2,
            narrow, 1),
    ]  # fmt: skip
    if heart.ar_grade:
        share = AORTIC_WIDTH_SHARE[heart.ar_grade]
        diastole = np.clip(1 - 1.2 * states.systole - states.ejecting, 0, 1)
        flows.append(Jet(valve, -downstream, 16 + 34 * share, share * width + 3, diastole, 3.5, True, 0))
    return flows


def _orifice(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Middle (t, 2) of an annulus between hinges (t, 2), unit direction towards the apex (up), width at rest in mm."""
    across = unit(other - one)
    upward = np.stack([across[:, 1], -across[:, 0]], axis=-1) * np.sign(across[:, :1])
    return (one + other) / 2, upward, float(np.linalg.norm(other - one, axis=1)[0])


def _through(
    orifice, direction, length: float, width: float, strength: np.ndarray, speed: float, chambers: tuple
) -> list[Jet]:
    """Smooth flow through an open valve: gathering in the chamber before it, a stream in the chamber behind it."""
    before, behind = chambers
    gathering = Jet(
        orifice - 0.3 * length * direction, direction, 0.34 * length, width, strength, 0.6 * speed, False, before
    )
    return [gathering, Jet(orifice - 3 * direction, direction, length, width, strength, speed, False, behind)]


def _leak(start, direction, grade: int, atrium_mm2: float, systole: np.ndarray, inside: int) -> list[Jet]:
    """The regurgitant jet of a grade: its area is the grade's share of the atrium's."""
    if grade == 0:
        return []
    area = JET_AREA_SHARE[grade] * atrium_mm2
    length = min(np.sqrt(2.2 * area / JET_FORM), 1.05 * np.sqrt(atrium_mm2 * 4 / np.pi))
    return [Jet(start, unit(direction), length, area / (JET_FORM * length), systole, 4.5, True, inside)]
