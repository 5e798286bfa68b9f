"""How the ventricles of the second phantom fire: many small fronts a region instead of one smooth pulse.

Same frame, regions and normal order as activation.py (Durrer et al., Circulation 1970; LBBB: Auricchio et al.,
Circulation 2004). New here: each region is `PATCHES` fronts with times, sizes and directions of their own, so that
complexes have the notches, slurs and steep flanks of real ones; the septum fires from both sides, the left first
(Durrer), and cancels front by front; the anterior paraseptal wall, where the heart fires first too, points upwards; the
outflow tract of the right ventricle and the posterobasal wall fire last, to the right and back, which makes the S waves
of V5 and V6.
"""

import numpy as np

from echo2ecg_core.findings import SEGMENTS
from echo2ecg_core.phantom import activation
from echo2ecg_core.phantom.activation import LV, REGIONS, SEPTAL, Depolarisation
from echo2ecg_core.phantom.ecg_parameters import Parameters
from echo2ecg_core.phantom.heart import Heart

PATCHES = 6
FOOT = {
    "normal": 2.75,
    "lbbb": 1.95,
    "rbbb": 2.2,
}  # widths from a front's centre to where a reader sees it begin or end
_APICAL = np.array(["apical" in name or name == "apex" for name in REGIONS])
_POSTEROBASAL = np.array([name in ("basal_inferolateral", "basal_inferior", "basal_anterolateral") for name in REGIONS])
_OUTFLOW, _MID_ANTERIOR = REGIONS.index("rv_outflow"), REGIONS.index("mid_anterior")
_DELAYED = [
    SEGMENTS.index(n) for n in ("basal_anterior", "basal_anterolateral", "mid_anterolateral", "mid_anterior")
]  # by left anterior fascicular block
_HASTENED = [SEGMENTS.index(n) for n in ("mid_inferior", "basal_inferior", "apical_inferior")]


def depolarisation(
    heart: Heart, sizes: np.ndarray, body: np.random.Generator, fascicular_block: bool, late_outflow: bool,
    p: Parameters,
) -> Depolarisation:  # fmt: skip
    """The ventricular activation of a conducted beat, `PATCHES` fronts a region.

    Args:
        heart: The heart.
        sizes: (20,) `activation.region_sizes`.
        body: Generator of the person.
        fascicular_block: Left anterior fascicular block: the anterior and lateral base is late.
        late_outflow: Incomplete right bundle branch block: the outflow tract fires late and unopposed.
        p: Free numbers.
    """
    kind = heart.conduction
    times, sizes = _region_times(kind, fascicular_block, late_outflow, p), sizes * _region_gains(p)
    if late_outflow and kind == "normal":
        sizes[_OUTFLOW] *= 3.2
    shape = (len(REGIONS), PATCHES)
    shares = np.linspace(-1, 1, PATCHES)
    scatter = (p.scatter + 0.060 * heart.fibrosis) * (0.5 if kind == "lbbb" else 1.0)
    spread = np.full(len(REGIONS), p.spread)
    spread[LV:] *= 1.6 if kind == "rbbb" else 1.0
    patch_times = times[:, None] + spread[:, None] * shares + body.normal(0, scatter, shape)
    signs = np.ones(shape)
    if kind == "lbbb":
        signs[SEPTAL] = -0.45  # from right to left, whole
    else:
        right_side = np.ix_(SEPTAL, shares > 0)
        signs[np.ix_(SEPTAL, shares < 0)] = p.septum_left * max(0.0, body.normal(1, 0.45))
        signs[right_side] = -p.septum_right * (1.0 if kind == "normal" else 0.3)
        patch_times[right_side] += p.septum_delay
    widths = p.front * np.exp(body.normal(0, 0.18, shape)) * (1.15 if kind == "lbbb" else 1.0)
    low, high = (patch_times - FOOT[kind] * widths).min(), (patch_times + FOOT[kind] * widths).max()
    patch_times, widths = (patch_times - low) / (high - low), widths / (high - low)
    directions = activation.outward_directions(p.apex, p.septal, p.base_tilt, p.outflow, p.chest)
    directions = directions[:, None] + body.normal(0, p.direction_scatter, (*shape, 3))
    weights = np.exp(body.normal(0, p.size_scatter, shape)) / PATCHES
    # The area of a region is that of its one pulse in version 1, whose width is 0.13 of the QRS.
    moments = ((sizes[:, None] * signs * weights * 0.13 / widths)[..., None] * directions).reshape(-1, 3)
    patch_times, widths = patch_times.ravel(), widths.ravel()
    if kind != "lbbb":
        moments = np.vstack([moments, _first_front(sizes, body, p)])
        patch_times = np.append(patch_times, p.first_time + body.normal(0, 0.02))
        widths = np.append(widths, 0.8 * widths.mean())
    return Depolarisation(moments, patch_times * heart.qrs_ms, widths * heart.qrs_ms)


def _region_times(kind: str, fascicular_block: bool, late_outflow: bool, p: Parameters) -> np.ndarray:
    """(20,) centres of the regions as shares of the QRS."""
    times = np.array(activation.TIMES[kind])
    if kind == "normal":
        times[LV:] = p.right_times
        times[_POSTEROBASAL] += p.posterobasal_late
        times[_OUTFLOW] += 0.12 * late_outflow
    if fascicular_block and kind != "lbbb":
        times[_DELAYED] += 0.11 if kind == "normal" else 0.07
        times[_HASTENED] -= 0.05
    return times


def _region_gains(p: Parameters) -> np.ndarray:
    """(20,) how much each region counts against the first phantom's."""
    gains = np.ones(len(REGIONS))
    gains[_APICAL] = p.apical
    gains[_POSTEROBASAL] = p.posterobasal
    gains[LV:] = p.right_ventricle
    return gains


def _first_front(sizes: np.ndarray, body: np.random.Generator, p: Parameters) -> np.ndarray:
    """(3,) the front of the anterior paraseptal wall, lost with that wall: upwards, which makes the small q of the
    inferior leads; it differs much from person to person."""
    alive = sizes[_MID_ANTERIOR] / activation.AREA[_MID_ANTERIOR]
    return alive * (np.array(p.first) + body.normal(0, p.first_sd, 3))
