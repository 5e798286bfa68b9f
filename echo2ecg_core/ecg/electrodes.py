"""Swapped limb electrodes, chest leads out of order, recordings upside down, and pacing: read from the median beat.

A swap is judged by what an ECG in its right leads nearly always shows: leads I and II resemble V6, and the P wave is
upright in both. A swap of left arm and left leg keeps all of this and is not named: its only sign, a P wave that begins
downwards in III, is there in two thirds of swapped LUDB recordings and in 4 of 93 as they are, and the swap is far
rarer (benchmarks/measurements.py). Chest leads change their shape step by step from V1 to V6, whatever the heart; aVR
looks into the heart from where all waves leave.
"""

from itertools import permutations

import numpy as np

from echo2ecg_core.ecg.beats import Beats, samples
from echo2ecg_core.ecg.delineate import Waves
from echo2ecg_core.ecg.record import LEADS

LEAD_I, LEAD_II, AVR, V1, V5, V6 = (LEADS.index(lead) for lead in ("I", "II", "aVR", "V1", "V5", "V6"))
UNSWAP = {  # swapped electrodes -> where I, II, III, aVR, aVL, aVF were recorded, and with which sign
    "left arm and right arm": (("I", -1), ("III", 1), ("II", 1), ("aVL", 1), ("aVR", 1), ("aVF", 1)),
    "right arm and left leg": (("III", -1), ("II", -1), ("I", -1), ("aVF", 1), ("aVL", 1), ("aVR", 1)),
}
SUSPECT = 0.25  # plausibility below which a swap is looked for
LEAST_GAIN, LEAST_P_GAIN = 0.45, -0.3  # in the mean of all signs, in the sum of those of the P wave
WIDE_QRS = samples(120)
OUT_OF_ORDER = "The chest leads do not follow one another from V1 to V6; they look out of order."
REVERSED = "The chest leads look as if they ran from V6 to V1."
UPSIDE_DOWN = "The recording looks upside down: aVR is positive, and the leads that face the left side are negative."
CHEST_ORDERS = np.array([order for order in permutations(range(6)) if order[0] < order[-1]])  # each way once
LONGER_WAY = (1.1, 1.3)  # than the shortest: not out of order, surely so
V1_LIKE_LEFT = (0.8, 1.6)  # difference of two correlations
POINTS_AWAY, POINTS_AWAY_WITHOUT_P = (0.2, 0.9), (0.8, 1.4)  # mean of signs that are -2 to 2
FARTHEST_SPIKE, SAME_DISTANCE = samples(400), samples(12)
FEWEST_PACED, PACED_SHARE = 2, 0.4  # of the beats


def limb_lead_plausibility(beat: np.ndarray, waves: Waves, *, paced: bool = False) -> tuple[float, str | None]:
    """Returns how well the limb leads fit the chest leads and the P wave, and the swap that would explain a misfit.

    A P wave must not speak against the swap: behind a lateral scar lead I is upside down while V6 is not. Where a
    pacemaker starts the ventricles, leads I, II and V6 need not agree and no swap is named; nor where a wide complex
    runs away from V6 without P waves, as in pacing whose spikes were filtered away.

    Args:
        beat: (12, BEFORE + AFTER) median beat.
        waves: Its bounds.
        paced: Whether pacing spikes precede the complexes.

    Returns:
        Plausibility from -2 to 1, below 0 where a swap is named (by how much it would fit better), and the names of the
        swapped electrodes or None.
    """
    if paced or (waves.p_onset is None and _runs_away_from_v6(beat, waves)):
        return 1.0, None
    recorded = _fit(beat, waves)
    plausibility = float(np.mean(recorded))
    if plausibility >= SUSPECT:
        return plausibility, None
    repaired = {}
    for electrodes, sources in UNSWAP.items():
        limb = np.stack([sign * beat[LEADS.index(lead)] for lead, sign in sources])
        repaired[electrodes] = _fit(np.concatenate([limb, beat[6:]]), waves)
    best = max(repaired, key=lambda electrodes: np.mean(repaired[electrodes]))
    gain = float(np.mean(repaired[best])) - plausibility
    p_gain = sum(repaired[best][2:]) - sum(recorded[2:])
    if gain < LEAST_GAIN or (waves.p_onset is not None and p_gain < LEAST_P_GAIN):
        return plausibility, None
    return -gain, best


def misplaced_leads(beat: np.ndarray, waves: Waves, *, paced: bool = False) -> tuple[float, str | None]:
    """Returns how sure it is that the leads are not what they are called, and why in a sentence.

    Args:
        beat: (12, BEFORE + AFTER) median beat with complexes in all leads.
        waves: Its bounds.
        paced: Whether pacing spikes precede the complexes; which way up is not judged then.

    Returns:
        Confidence from 0 to 1 (from 0.5 on, a recording should be limited) of the likeliest fault, and its sentence;
        0 and None where nothing speaks for one.
    """
    faults = {
        OUT_OF_ORDER: _chest_disorder(beat, waves),
        REVERSED: _chest_reversal(beat, waves),
        UPSIDE_DOWN: 0.0 if paced else _upside_down(beat, waves),
    }
    sentence = max(faults, key=faults.__getitem__)
    return (faults[sentence], sentence) if faults[sentence] > 0 else (0.0, None)


def _chest_disorder(beat: np.ndarray, waves: Waves) -> float:
    """Returns how much longer the way from shape to shape is in the recorded order than in the best order.

    The way is the sum of distances between the unit-length waveforms of neighbours, so amplitudes do not matter.
    """
    shapes = _ventricular(beat, waves)[6:]
    shapes = shapes / (np.linalg.norm(shapes, axis=1, keepdims=True) + 1e-9)
    distance = np.linalg.norm(shapes[:, None] - shapes, axis=2)
    ways = distance[CHEST_ORDERS[:, :-1], CHEST_ORDERS[:, 1:]].sum(axis=1)  # the first is the recorded one
    return _between(ways[0] / (ways.min() + 1e-9), *LONGER_WAY)


def _chest_reversal(beat: np.ndarray, waves: Waves) -> float:
    """Returns how much more V1 resembles leads I and II than V6 does."""
    ventricular = _ventricular(beat, waves)
    left = ventricular[LEAD_I] + ventricular[LEAD_II]
    return _between(_correlation(ventricular[V1], left) - _correlation(ventricular[V6], left), *V1_LIKE_LEFT)


def _upside_down(beat: np.ndarray, waves: Waves) -> float:
    """Returns how far all waves point away from the left side and towards aVR; a P wave must do so, too.

    With swapped limb electrodes V5 and V6 stay upright; a strained right ventricle leaves the P wave upright in II.
    """
    areas = _areas(beat, waves)
    balance = areas / (np.abs(_qrs(beat, waves)).sum(axis=1) + 1e-9)  # -1 all negative, 1 all positive
    p_wave = _fit(beat, waves)[2:]
    chest, limb = balance[V5] + balance[V6], balance[LEAD_I] + balance[LEAD_II]
    if chest >= 0:
        return 0.0
    upright = [sum(p_wave), chest, limb, -2 * balance[AVR], -balance[V1]]
    if not p_wave:
        return 0.8 * _between(-float(np.mean(upright[1:])), *POINTS_AWAY_WITHOUT_P)
    return _between(-float(np.mean(upright)), *POINTS_AWAY) * _between(-float(np.mean(p_wave)), 0.0, 0.3)


def _between(value: float, none: float, sure: float) -> float:
    """Returns 0 up to `none`, 1 from `sure` on."""
    return float(np.clip((value - none) / (sure - none), 0, 1))


def _runs_away_from_v6(beat: np.ndarray, waves: Waves) -> bool:
    """Returns whether the complex is wide and mostly negative in V6, unlike bundle branch blocks."""
    wide = waves.qrs_offset - waves.qrs_onset >= WIDE_QRS
    return wide and _areas(beat, waves)[V6] < 0


def _areas(beat: np.ndarray, waves: Waves) -> np.ndarray:
    """Returns the (12,) areas of the QRS complex above the level before it."""
    return _qrs(beat, waves).sum(axis=1)


def _qrs(beat: np.ndarray, waves: Waves) -> np.ndarray:
    return (beat - _level(beat, waves))[:, waves.qrs_onset : waves.qrs_offset + 1]


def _ventricular(beat: np.ndarray, waves: Waves) -> np.ndarray:
    """Returns QRS complex and T wave of every lead."""
    return (beat - _level(beat, waves))[:, waves.qrs_onset : waves.t_offset or waves.qrs_offset]


def _level(beat: np.ndarray, waves: Waves) -> np.ndarray:
    return beat[:, waves.qrs_onset - samples(20) : waves.qrs_onset - samples(4)].mean(axis=1, keepdims=True)


def _fit(beat: np.ndarray, waves: Waves) -> list[float]:
    """Returns the correlations of I and II with V6 and, with a P wave, how upright it is in I and II; each -1 to 1."""
    ventricular = _ventricular(beat, waves)
    fit = [_correlation(ventricular[lead], ventricular[V6]) for lead in (LEAD_I, LEAD_II)]
    if waves.p_onset is not None:
        p_wave = beat[:6, waves.p_onset : waves.qrs_onset - samples(8)]
        ramp = np.linspace(0, 1, p_wave.shape[1])
        p_wave = p_wave - p_wave[:, :1] * (1 - ramp) - p_wave[:, -1:] * ramp
        size = np.sqrt((p_wave**2).mean()) + 1e-9
        fit += [float(np.tanh(p_wave[lead].mean() / size)) for lead in (LEAD_I, LEAD_II)]
    return fit


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
