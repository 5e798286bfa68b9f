"""Valve leaflets and annuli of the phantom heart as thin bright strands over time.

Leaflets are curves from a hinge to a tip that moves between closed and open; stenosis stiffens and thickens, a failing
ventricle tethers and opens little. Coordinates and rest row: structures.py.
"""

import numpy as np

from echo2ecg_core.phantom.cycle import CycleStates
from echo2ecg_core.phantom.heart import Heart
from echo2ecg_core.phantom.structures import Strand, curve


def mitral_valve(anterior: np.ndarray, posterior: np.ndarray, states: CycleStates, heart: Heart, anterior_share: float):
    """Both mitral leaflets between hinges (t, 2), and chords from their tips into the ventricle."""
    width = np.linalg.norm(posterior - anterior, axis=1)[0]
    tent = np.array([0.0, -3.0 - 0.08 * max(0.0, 50 - heart.lvef)])  # tethering pulls the closed valve towards the apex
    meet = anterior + (posterior - anterior) * anterior_share + tent
    opening = states.mitral_opening[:, None]
    reach = max(0.62, 1 - 0.006 * max(0.0, 50 - heart.lvef))  # little flow opens the valve little
    strands = []
    for hinge, share, inwards in ((anterior, 0.72, 1.0), (posterior, 0.50, 1.0)):
        to_middle = np.sign((meet - hinge)[:, :1])
        open_tip = hinge + np.concatenate(
            [to_middle * width * (0.32 - 0.18 * reach), 0 * to_middle - share * width], axis=1
        )
        tip = meet + (open_tip - meet) * opening * reach
        bow = (hinge + tip) / 2 + np.concatenate(
            [0 * to_middle, (1 - opening) * -1.5 * inwards + 0 * to_middle], axis=1
        )
        strands.append(Strand(curve(hinge, bow, tip), 3.0, 1.2))
        head = hinge * 0.5 + meet * 0.5 + np.array([0.0, -1.25 * width])
        strands.append(Strand(curve(tip, (tip + head) / 2, head)[:, :14], 0.22, 0.5))
    return strands


def tricuspid_valve(free: np.ndarray, septal: np.ndarray, states: CycleStates) -> list[Strand]:
    """Both visible tricuspid leaflets between the hinges (t, 2)."""
    width = np.linalg.norm(septal - free, axis=1)[0]
    meet = free + (septal - free) * 0.6 + np.array([0.0, -3.0])
    strands = []
    for hinge, share in ((free, 0.55), (septal, 0.42)):
        to_middle = np.sign((meet - hinge)[:, :1])
        open_tip = hinge + np.concatenate([to_middle * 0.10 * width, 0 * to_middle - share * width], axis=1)
        tip = meet + (open_tip - meet) * states.mitral_opening[:, None]
        strands.append(Strand(curve(hinge, (hinge + tip) / 2, tip), 2.2, 1.0))
    return strands


def aortic_valve(left: np.ndarray, right: np.ndarray, states: CycleStates, heart: Heart) -> list[Strand]:
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
        bow = (
            hinge * 0.5
            + tip * 0.5
            + (1 - opening) * 0.10 * (side[:, 1] - centre)
            + (1 - opening) * np.array([-1.0, -3.0])
        )
        strands.append(Strand(curve(hinge, bow, tip), amplitude, thickness))
    return strands


def bright_spot(at: np.ndarray, amplitude: float) -> Strand:
    """A small fibrous echo (annulus) at (t, 2)."""
    offsets = np.array([[-1.2, 0.0], [0.0, -0.8], [1.2, 0.0], [0.0, 0.8]])
    return Strand(at[:, None] + offsets, amplitude, 1.6)
