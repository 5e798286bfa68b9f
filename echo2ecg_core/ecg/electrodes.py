"""Swapped limb electrodes and pacing spikes, read from the median beat.

A swap is judged by what an ECG in its right leads nearly always shows: leads I and II resemble V6, and the P wave is
upright in both. A swap of left arm and left leg keeps all of this and cannot be told from one recording.
"""

import numpy as np

from echo2ecg_core.ecg.beats import BEFORE, Beats, samples
from echo2ecg_core.ecg.delineate import Waves
from echo2ecg_core.ecg.record import LEADS

V6 = LEADS.index("V6")
UNSWAP = {  # swapped electrodes -> where I, II, III, aVR, aVL, aVF were recorded, and with which sign
    "left arm and right arm": (("I", -1), ("III", 1), ("II", 1), ("aVL", 1), ("aVR", 1), ("aVF", 1)),
    "right arm and left leg": (("III", -1), ("II", -1), ("I", -1), ("aVF", 1), ("aVL", 1), ("aVR", 1)),
}
SUSPECT = 0.05  # plausibility below which a swap is reported
FARTHEST_SPIKE, SAME_DISTANCE = samples(400), samples(12)
FEWEST_PACED, PACED_SHARE = 2, 0.4  # of the beats


def limb_lead_plausibility(beat: np.ndarray, waves: Waves) -> tuple[float, str | None]:
    """Returns how well the limb leads fit the chest leads and the P wave, and the swap that would explain a misfit.

    Args:
        beat: (12, BEFORE + AFTER) median beat.
        waves: Its bounds.

    Returns:
        Plausibility from -1 (all is upside down) to 1, and the names of the swapped electrodes or None.
    """
    recorded = _plausibility(beat, waves)
    if recorded >= SUSPECT:
        return recorded, None
    repaired = {}
    for electrodes, sources in UNSWAP.items():
        limb = np.stack([sign * beat[LEADS.index(lead)] for lead, sign in sources])
        repaired[electrodes] = _plausibility(np.concatenate([limb, beat[6:]]), waves)
    best = max(repaired, key=repaired.get)
    return recorded, best if repaired[best] > recorded + 0.5 else None


def _plausibility(beat: np.ndarray, waves: Waves) -> float:
    end = waves.t_offset or waves.qrs_offset
    level = beat[:, waves.qrs_onset - samples(20) : waves.qrs_onset - samples(4)].mean(axis=1, keepdims=True)
    ventricular = (beat - level)[:, waves.qrs_onset : end]
    lead_i, lead_ii = 0, 1
    signs = [_correlation(ventricular[lead], ventricular[V6]) for lead in (lead_i, lead_ii)]
    if waves.p_onset is not None:
        p_wave = beat[:6, waves.p_onset : waves.qrs_onset - samples(8)]
        ramp = np.linspace(0, 1, p_wave.shape[1])
        p_wave = p_wave - p_wave[:, :1] * (1 - ramp) - p_wave[:, -1:] * ramp
        size = np.sqrt((p_wave**2).mean()) + 1e-9
        signs += [float(np.tanh(p_wave[lead].mean() / size)) for lead in (lead_i, lead_ii)]
    return float(np.mean(signs))


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one - one.mean(), other - other.mean()
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other) + 1e-9))


def paced_beats(beats: Beats) -> bool:
    """Returns whether spikes at a fixed distance precede the complexes; in demand pacing, before a part of them."""
    if not len(beats.spikes):
        return False
    following = np.searchsorted(beats.r_peaks, beats.spikes)
    inside = following < len(beats.r_peaks)
    distances = beats.r_peaks[following[inside]] - beats.spikes[inside]
    distances = distances[distances <= FARTHEST_SPIKE]
    together = (np.abs(distances[:, None] - distances) <= SAME_DISTANCE).sum(axis=1)
    return bool(together.max(initial=0) >= max(FEWEST_PACED, PACED_SHARE * len(beats.r_peaks)))
