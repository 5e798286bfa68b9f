"""When the heart beats: QRS onsets of a recording, with respiration, ectopic beats and fibrillation.

Sinus variability falls with age (Umetani et al., J Am Coll Cardiol 31:593-601, 1998) and failure (Nolan et al.,
Circulation 1998), and differs widely among the healthy (Nunan et al., Pacing Clin Electrophysiol 33:1407-1417, 2010);
fibrillation is irregular without memory, its RR variation of about 22 % our choice. Parameters are frozen.
"""

from dataclasses import dataclass

import numpy as np

from echo2ecg_core.phantom.heart import Heart


@dataclass(frozen=True)
class Beats:
    """Beats of a recording in order.

    Attributes:
        onsets_s: (b,) QRS onset times; some lie before 0 or after the end so that edges are filled.
        rr_s: (b,) interval that precedes each beat.
        ectopic: (b,) bool, ventricular ectopic beats.
        breath_hz: Respiratory rate.
    """

    onsets_s: np.ndarray
    rr_s: np.ndarray
    ectopic: np.ndarray
    breath_hz: float


def draw_beats(
    heart: Heart, rng: np.random.Generator, duration_s: float, sinus_share: float = 0.040, sinus_spread: float = 0.4
) -> Beats:
    """Beats from one second before the recording to its end; their mean rate is `heart.heart_rate_bpm`.

    Args:
        heart: Rhythm, rate, age and function.
        rng: Generator of this recording.
        duration_s: Length in seconds.
        sinus_share: Respiratory swing of the RR interval at 40 years, as a share of it.
        sinus_spread: How that differs among people, log scale.
    """
    mean_rr = 60.0 / heart.heart_rate_bpm
    count = int((duration_s + 2.5) / (0.45 * mean_rr)) + 4
    breath_hz = float(rng.uniform(0.18, 0.32))
    if heart.rhythm == "af":
        rr = np.maximum(mean_rr * np.exp(rng.normal(-0.025, 0.225, count)), 0.29)
    else:
        age_share = np.exp(-0.016 * (heart.age_years - 40))
        failing = 0.75 if heart.lvef < 45 else 1.0
        sinus_s = sinus_share * age_share * failing * np.exp(rng.normal(0, sinus_spread)) * mean_rr
        clock = np.arange(count) * mean_rr
        rr = mean_rr + sinus_s * np.sin(2 * np.pi * (breath_hz * clock + rng.random()))
        rr += 0.6 * sinus_s * np.sin(2 * np.pi * (0.1 * clock + rng.random())) + rng.normal(0, 0.25 * sinus_s, count)
    rr *= mean_rr / rr[1 : max(3, round(duration_s / mean_rr))].mean()
    ectopic = _ectopics(heart, rng, count)
    rr = _with_pauses(rr, ectopic, rng, heart.rhythm)
    if heart.rhythm == "sinus" and not ectopic.any() and rng.random() < 0.06:
        early = rng.integers(2, count)
        rr[early] *= rng.uniform(0.62, 0.78)  # an atrial ectopic beat, conducted as usual
    onsets = np.cumsum(rr) - rr[0] - 1.0 - mean_rr * rng.random()
    inside = (onsets > -1.0 - mean_rr) & (onsets < duration_s + 0.3)
    return Beats(onsets[inside], rr[inside], ectopic[inside], breath_hz)


def _ectopics(heart: Heart, rng: np.random.Generator, count: int) -> np.ndarray:
    """Ventricular ectopic beats: in 3 % of recordings of sound hearts, about 20 % of badly failing ones.

    More of them than life has: on 8 % of resting ECGs in heart failure, there too at lower LVEF (30 against 45 %: Le et
    al., Ann Noninvasive Electrocardiol 15:56-62, 2010).
    """
    chance = 0.03 + 0.005 * max(0.0, 52 - heart.lvef) + 0.05 * heart.fibrosis
    share = rng.uniform(0.06, 0.22) if rng.random() < chance else 0.0
    ectopic = rng.random(count) < share
    ectopic[1:] &= ~ectopic[:-1]
    return ectopic


def _with_pauses(rr: np.ndarray, ectopic: np.ndarray, rng: np.random.Generator, rhythm: str) -> np.ndarray:
    """Intervals with each ectopic beat early and, in sinus rhythm, a full compensatory pause after it."""
    rr = rr.copy()
    for beat in np.flatnonzero(ectopic):
        early = rng.uniform(0.58, 0.72)
        if beat + 1 < len(rr) and rhythm == "sinus":
            rr[beat + 1] += (1 - early) * rr[beat]
        rr[beat] = max(early * rr[beat], 0.30)
    return rr


def fibrillation(rng: np.random.Generator, n_samples: int, sampling_rate_hz: float) -> np.ndarray:
    """(3, n) dipole of the fibrillating atria in mV: waves of 5-7.5 Hz that wax and wane, strongest towards V1."""
    seconds = np.arange(n_samples) / sampling_rate_hz
    waves = []
    for f_hz in rng.uniform(4.8, 7.8, 2):  # two wavelets that beat against each other
        phase = (
            2 * np.pi * (f_hz * seconds + 0.45 * np.sin(2 * np.pi * (rng.uniform(0.3, 0.8) * seconds + rng.random())))
        )
        phase += 0.7 * np.sin(2 * np.pi * (rng.uniform(0.9, 1.9) * seconds + rng.random()))
        swell = 1 + 0.5 * np.sin(2 * np.pi * (rng.uniform(0.15, 0.7) * seconds + rng.random()))
        waves.append(swell * (np.sin(phase) + 0.3 * np.sin(2 * phase + 0.6)))
    size = rng.uniform(0.018, 0.055)
    front, foot = waves[0] + 0.5 * waves[1], 0.6 * waves[0] + 0.8 * waves[1]
    return size * np.stack([0.3 * waves[1], 0.8 * foot, -0.95 * front])


def lay(leads: np.ndarray, template: np.ndarray, start: int) -> None:
    """Adds a template to (8, n) from sample `start`, cut at both ends."""
    first, last = max(0, start), min(leads.shape[1], start + template.shape[1])
    if first < last:
        leads[:, first:last] += template[:, first - start : last - start]
