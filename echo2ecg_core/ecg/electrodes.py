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
SPIKE_MV = 0.12
SPIKE_LEADS = 3


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


def paced_beats(signal: np.ndarray, beats: Beats) -> bool:
    """Returns whether narrow spikes at a fixed distance precede the complexes in several leads.

    Args:
        signal: (12, n) at the working rate.
        beats: Its beats.
    """
    from scipy.ndimage import maximum_filter1d, median_filter

    padded = np.pad(signal, ((0, 0), (BEFORE, 0)), mode="edge")
    ends = beats.r_peaks + BEFORE - samples(50)
    before = np.stack([padded[:, end - samples(300) : end] for end in ends])  # (b, 12, n)
    spikes = maximum_filter1d(np.abs(before - median_filter(before, size=(1, 1, samples(18)))), samples(10))
    usual = np.median(spikes, axis=0)  # (12, n)
    return bool(np.sort(usual, axis=0)[-SPIKE_LEADS].max() > SPIKE_MV)
