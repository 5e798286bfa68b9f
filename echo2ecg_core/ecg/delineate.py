"""Where P wave, QRS complex and T wave of a median beat begin and end, over all leads at once.

All bounds are read from the spatial velocity: the root mean square over the leads of the slope. It needs no baseline,
and a wave that is flat in one lead is steep in another. The fractions below were set on half of the manually marked
LUDB recordings and on what electrocardiographs state in a few sample files, and held on the other half.
"""

from dataclasses import dataclass

import numpy as np

from echo2ecg_core.ecg.beats import BEFORE, RATE_HZ, band, samples, smooth

QRS_FRACTION = 0.04  # of the steepest slope, above the level of the neighbouring segment
SEGMENT = (samples(20), samples(70))  # how far from its bound PR and ST segment are looked at
SEGMENT_QUANTILE, STEEPEST_SEGMENT = 0.35, 0.15  # of its velocities; of the steepest slope
T_LOWPASS_HZ, T_FRACTION, T_HUMP = 10.0, 0.25, 0.7
P_LOWPASS_HZ, P_FRACTION, P_HUMP = 20.0, 0.3, 0.5
P_VISIBLE = 3.0  # times the standard error of the median beat
LONGEST_PR = samples(420)
LONGEST_QTC_S, SHORTEST_QTC_S = 0.60, 0.22


@dataclass(frozen=True)
class Waves:
    """Samples in the median beat (R peak at BEFORE); None where a wave was not found.

    `p_strength` is the height of the best candidate P wave in standard errors of the median beat, `t_clarity` how many
    times steeper the T wave is than the signal after its end.
    """

    qrs_onset: int
    qrs_offset: int
    p_onset: int | None
    t_offset: int | None
    p_strength: float
    t_clarity: float


def delineate(beats: np.ndarray, rr_s: float) -> Waves | None:
    """Returns the bounds of the waves in the median of aligned beats.

    Args:
        beats: (b, leads, BEFORE + AFTER) as in `Beats.windows`, only leads that carry complexes.
        rr_s: Usual distance from one beat to the next, seconds.

    Returns:
        The bounds, or None where there is no complex.
    """
    median = np.median(beats, axis=0)
    qrs = _qrs_bounds(median)
    if qrs is None:
        return None
    t_offset, t_clarity = _t_offset(median, *qrs, rr_s)
    error = beats.std(axis=0) / np.sqrt(len(beats))  # (leads, n)
    p_onset, p_strength = _p_onset(median, error, qrs[0], t_offset, rr_s)
    return Waves(*qrs, p_onset, t_offset, p_strength, t_clarity)


def _velocity(beat: np.ndarray, width: int) -> np.ndarray:
    return smooth(np.sqrt((np.gradient(beat, axis=1) ** 2).mean(axis=0)), width)


def _qrs_bounds(beat: np.ndarray) -> tuple[int, int] | None:
    """Walks from the steepest slope outwards until the velocity stays down for 12 ms before and 16 ms after.

    Down is what the segment beyond allows: after bundle branch block the ST segment climbs steadily to the T wave and
    is never flat, yet the QRS complex ends where it begins.
    """
    velocity = _velocity(beat, samples(10))
    core = slice(BEFORE - samples(60), BEFORE + samples(60))
    steepest = core.start + int(np.argmax(velocity[core]))
    quiet = np.sort(smooth(velocity, samples(20))[BEFORE - samples(250) : BEFORE + samples(300)])[: samples(40)].mean()
    if velocity[steepest] <= 2 * quiet:
        return None
    near, far = SEGMENT
    levels = np.quantile(np.lib.stride_tricks.sliding_window_view(velocity, far - near), SEGMENT_QUANTILE, axis=1)
    levels = np.maximum(quiet, np.minimum(levels, STEEPEST_SEGMENT * velocity[steepest]))
    limits = levels + QRS_FRACTION * (velocity[steepest] - levels)  # [i] is that of the segment beginning at sample i
    onset = steepest
    while onset > BEFORE - samples(180) and (velocity[onset - samples(12) : onset] >= limits[onset - far]).any():
        onset -= 1
    after = steepest + 1
    while after <= BEFORE + samples(220) and (velocity[after : after + samples(16)] >= limits[after + near]).any():
        after += 1
    return onset, after - 1


def _t_offset(beat: np.ndarray, qrs_onset: int, qrs_offset: int, rr_s: float) -> tuple[int | None, float]:
    """Finds the last steep hump of repolarisation and the sample where its velocity has died down.

    Returns:
        That sample (None without a hump) and the clarity of the T wave.
    """
    from scipy.signal import find_peaks

    velocity = _velocity(band(beat, None, T_LOWPASS_HZ), samples(18))
    latest = min(
        qrs_onset + LONGEST_QTC_S * np.sqrt(rr_s) * RATE_HZ,
        BEFORE + (rr_s - 0.16) * RATE_HZ,  # the next P wave and QRS onset
        len(velocity) - samples(30),
    )
    earliest = max(qrs_offset + samples(60), qrs_onset + SHORTEST_QTC_S * np.sqrt(rr_s) * RATE_HZ)
    humps, _ = find_peaks(velocity)
    humps = humps[(humps >= earliest) & (humps < latest)]
    if not len(humps):
        return None, 0.0
    downslope = humps[velocity[humps] >= T_HUMP * velocity[humps].max()][-1]
    tail = velocity[downslope : downslope + samples(250)]
    valley = int(np.argmin(tail))
    died_down = np.flatnonzero(tail[: valley + 1] < T_FRACTION * tail[0])
    offset = int(downslope + (died_down[0] if len(died_down) else valley))
    after = np.median(velocity[offset : offset + samples(60)])
    return offset, float(velocity[downslope] / (after + 1e-12))


def _p_onset(
    beat: np.ndarray, error: np.ndarray, qrs_onset: int, t_offset: int | None, rr_s: float
) -> tuple[int | None, float]:
    """Finds a wave between the previous T wave and the QRS complex that stands out of the beat-to-beat noise.

    Returns:
        The sample where its first steep slope begins (None without a P wave) and its strength.
    """
    previous_t = t_offset - round(rr_s * RATE_HZ) + samples(10) if t_offset else 0
    start, stop = max(qrs_onset - LONGEST_PR, previous_t, samples(10)), qrs_onset - samples(16)
    if stop - start < samples(60):
        return None, 0.0
    part = band(beat, None, P_LOWPASS_HZ)[:, start:stop]
    ramp = np.linspace(0, 1, stop - start)
    height = np.sqrt(((part - part[:, :1] * (1 - ramp) - part[:, -1:] * ramp) ** 2).mean(axis=0))
    top = int(np.argmax(height))
    strength = float(height[top] / (np.sqrt((error[:, start + top] ** 2).mean()) + 1e-12))
    velocity = _velocity(part, samples(10))
    velocity = velocity - np.quantile(velocity, 0.2)  # noise moves too, in the quiet between T and P
    rise = _first_rise(velocity, top)
    calm = np.flatnonzero(velocity[: rise + 1] <= P_FRACTION * velocity[rise])
    if strength < P_VISIBLE or not len(calm):
        return None, strength
    return int(start + calm[-1]), strength


def _first_rise(velocity: np.ndarray, top: int) -> int:
    """Returns the first steep hump on the way up to the top of a wave."""
    from scipy.signal import find_peaks

    begin = max(0, top - samples(90))
    steepest = begin + int(np.argmax(velocity[begin : top + 1]))
    begin = max(0, steepest - samples(60))
    humps = begin + find_peaks(velocity[begin : steepest + 1])[0]
    humps = humps[velocity[humps] > P_HUMP * velocity[steepest]]
    return int(humps[0]) if len(humps) else steepest
