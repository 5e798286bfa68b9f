"""Where P wave, QRS complex and T wave of a median beat begin and end, over all leads together.

QRS bounds are read lead by lead and taken where most leads agree. Hand marks of LUDB, the earliest onset to the latest
end in II and V5, are the definition they are held to. The union of hand marks over all twelve leads is longer, because
each more lead adds its own scatter; a reading of one lead alone is shorter. Fractions were set on every other LUDB
recording, with simulated hearts, and held on the rest (benchmarks/measurements.py).
"""

from dataclasses import dataclass

import numpy as np

from echo2ecg_core.ecg.beats import BEFORE, RATE_HZ, band, samples, smooth

EARLIEST_ONSET, LATEST_END = BEFORE - samples(220), BEFORE + samples(260)
SEGMENT = (samples(10), samples(50))  # how far from its bound the slope of the PR and ST segment is read
QUIET_BEFORE, QUIET_AFTER = samples(16), samples(24)  # for how long a lead keeps that slope
ONSET_FRACTION, END_FRACTION = 0.05, 0.03  # of a lead's steepest slope: departs from its segment
ONSET_SHARE, END_SHARE = 0.65, 0.7  # of the leads have left / reached their segment
LENIENT, STRICT = 0.45, 1.7  # other limits that a reader might take, times those fractions
P_REPEATS = 0.4  # of the energy before the complexes repeats from beat to beat
T_LOWPASS_HZ, T_FRACTION, T_HUMP = 10.0, 0.25, 0.7
T_LENIENT, T_STRICT = 0.12, 0.4  # in place of T_FRACTION
P_LOWPASS_HZ, P_FRACTION, P_HUMP = 20.0, 0.3, 0.5
P_LENIENT, P_STRICT = 0.15, 0.45  # in place of P_FRACTION
LONGEST_PR = samples(420)
P_WINDOW, P_GAP = samples(250), samples(30)  # before the QRS onset, whose filtered foot reaches back
FAR_P, P_REPEATS_FAR = samples(100), 0.6  # still earlier, for first-degree block
P_EARLIER = samples(60)  # than the window that repeats may its top lie
CALM_SHARE = 0.2  # of what lies between T and QRS, at least, is at rest around a P wave
P_AFTER_QRS = samples(60)  # of the beat before, where the end of its T wave is not found
SMALLEST_MV = 0.006  # root mean square of a wave too low to be seen
LONGEST_QTC_S, SHORTEST_QTC_S = 0.60, 0.22


@dataclass(frozen=True)
class Waves:
    """Samples in the median beat (R peak at BEFORE); None where a wave was not found.

    `p_repeats` is the share (up to 1, about 0 for noise and fibrillation) of what lies before the complexes that comes
    back in every beat, `p_restless` how steep its calmest parts are as a share of its steepest, `t_clarity` how many
    times steeper the T wave is than the signal after its end. `qrs_doubt_ms` tells by how much the complex changes
    between a strict and a lenient reading, `qrs_tail_ms` how long after its end the last lead comes to rest,
    `onset_spread_ms` how far apart the leads' onsets of the complex lie, `onset_climb` how steep the segment before
    them is as a share of the steepest slope, `p_doubt_ms` and `t_doubt_ms` how far the onset of P and the end of T
    move between such readings.
    """

    qrs_onset: int
    qrs_offset: int
    p_onset: int | None
    t_offset: int | None
    p_repeats: float
    p_restless: float
    t_clarity: float
    qrs_doubt_ms: float
    qrs_tail_ms: float
    onset_spread_ms: float
    onset_climb: float
    p_doubt_ms: float
    t_doubt_ms: float


def delineate(beats: np.ndarray, rr_s: float, since_s: float | None = None) -> Waves | None:
    """Returns the bounds of the waves in the median of aligned beats.

    Args:
        beats: (b, leads, BEFORE + AFTER) as in `Beats.windows`, only leads that carry complexes.
        rr_s: Usual distance from one beat to the next, seconds.
        since_s: Distance that nearly all of these beats keep from the one before (`Beats.since_s`); `rr_s` where None.

    Returns:
        The bounds, or None where there is no complex.
    """
    median = np.median(beats, axis=0)
    qrs = _qrs_bounds(median)
    if qrs is None:
        return None
    onset, offset, doubt_ms, tail_ms, spread_ms, climb = qrs
    t_offset, t_clarity, t_doubt_ms = _t_offset(median, onset, offset, rr_s)
    previous_t = (t_offset + samples(10) if t_offset else offset + P_AFTER_QRS) - round((since_s or rr_s) * RATE_HZ)
    p_onset, repeats, restless, p_doubt_ms = _p_onset(beats, onset, previous_t)
    return Waves(
        onset, offset, p_onset, t_offset, repeats, restless, t_clarity, doubt_ms, tail_ms, spread_ms, climb,
        p_doubt_ms, t_doubt_ms,
    )  # fmt: skip


def velocity_of(beat: np.ndarray, width: int) -> np.ndarray:
    """Returns how fast a beat (leads, n) moves in all leads together, (n,), smoothed over `width` samples."""
    return smooth(np.sqrt((np.gradient(beat, axis=1) ** 2).mean(axis=0)), width)


def _qrs_bounds(beat: np.ndarray) -> tuple[int, int, float, float, float, float] | None:
    """Returns onset and end of the QRS complex, and its doubt, tail and spread of onsets in ms and the climb before it
    as in `Waves`; None without a complex.

    Walking outwards from its steepest slope, a lead leaves the complex where it keeps the slope of the segment beyond:
    after bundle branch block the ST segment climbs steadily to the T wave and is never flat.
    """
    velocity = velocity_of(beat, samples(10))
    core = slice(BEFORE - samples(60), BEFORE + samples(60))
    steepest = core.start + int(np.argmax(velocity[core]))
    quiet = np.sort(smooth(velocity, samples(20))[BEFORE - samples(250) : BEFORE + samples(300)])[: samples(40)].mean()
    if velocity[steepest] <= 2 * quiet:
        return None
    leaves = _Leaves(smooth(np.gradient(beat, axis=1), samples(10)), steepest)
    onsets, ends = leaves.before(ONSET_FRACTION), leaves.after(END_FRACTION)
    onset, end = np.quantile(onsets, 1 - ONSET_SHARE), np.quantile(ends, END_SHARE)
    lenient_ends = leaves.after(LENIENT * END_FRACTION)
    lenient = np.quantile(lenient_ends, 0.8) - np.quantile(leaves.before(LENIENT * ONSET_FRACTION), 0.2)
    strict = np.median(leaves.after(STRICT * END_FRACTION)) - np.median(leaves.before(STRICT * ONSET_FRACTION))
    spread, climb = np.quantile(onsets, 0.8) - np.quantile(onsets, 0.2), leaves.climb_before(onsets)
    doubts = (lenient - min(strict, end - onset), lenient_ends.max() - end, spread)
    doubt_ms, tail_ms, spread_ms = (float(1000 * doubt / RATE_HZ) for doubt in doubts)
    return round(onset), round(end), doubt_ms, tail_ms, spread_ms, climb


class _Leaves:
    """Where each lead leaves the QRS complex, by the share of its steepest slope that it may differ from its segment.

    Args:
        slope: (leads, n) of the beat.
        steepest: Sample of the steepest slope over all leads.
    """

    def __init__(self, slope: np.ndarray, steepest: int):
        near = samples(30)
        part = np.abs(slope[:, steepest - near : steepest + near + 1])
        self.own_steepest = steepest - near + part.argmax(axis=1)
        top = np.abs(slope[:, steepest - samples(80) : steepest + samples(80)]).max(axis=1)
        self.top = np.sqrt(top * np.median(top))  # a low lead counts less, a high one more
        around = smooth(np.abs(slope), samples(20))[:, BEFORE - samples(250) : BEFORE + samples(300)]
        self.noise = np.sort(around, axis=1)[:, : samples(40)].mean(axis=1)
        self.after_places = np.arange(steepest - near, LATEST_END)
        self.before_places = np.arange(steepest + near, EARLIEST_ONSET, -1)
        self.after_departure, _ = self._departure(slope, self.after_places, QUIET_AFTER)
        mirrored = slope.shape[1] - 1 - self.before_places
        self.before_departure, self.before_level = self._departure(slope[:, ::-1], mirrored, QUIET_BEFORE)

    @staticmethod
    def _departure(slope: np.ndarray, places: np.ndarray, quiet: int) -> tuple[np.ndarray, np.ndarray]:
        """(leads, places) how far the slope in the next `quiet` samples departs from that of the segment beyond; and
        that slope."""
        near, far = SEGMENT
        ahead = np.lib.stride_tricks.sliding_window_view(slope, far, axis=1)[:, places]  # (leads, places, far)
        level = np.median(ahead[:, :, near:], axis=2, keepdims=True)
        return np.abs(ahead[:, :, :quiet] - level).max(axis=2), level[:, :, 0]

    def after(self, fraction: float) -> np.ndarray:
        """(leads,) samples at which the leads come to rest after the complex."""
        beyond = self.after_places >= self.own_steepest[:, None]
        return self._first(self.after_departure, self.after_places, beyond, fraction)

    def before(self, fraction: float) -> np.ndarray:
        """(leads,) samples at which the leads depart from rest before the complex."""
        beyond = self.before_places <= self.own_steepest[:, None]
        return self._first(self.before_departure, self.before_places, beyond, fraction)

    def climb_before(self, onsets: np.ndarray) -> float:
        """How steep the segment before these onsets (leads,) is in the usual lead, as a share of its steepest slope."""
        level = self.before_level[np.arange(len(onsets)), self.before_places[0] - onsets]
        return float(np.median(np.maximum(np.abs(level) - self.noise, 0) / self.top))

    def _first(self, departure: np.ndarray, places: np.ndarray, beyond: np.ndarray, fraction: float) -> np.ndarray:
        at_rest = beyond & (departure < (fraction * self.top + self.noise)[:, None])
        at_rest[:, -1] = True
        return places[at_rest.argmax(axis=1)]


def _t_offset(beat: np.ndarray, qrs_onset: int, qrs_offset: int, rr_s: float) -> tuple[int | None, float, float]:
    """Finds the last steep hump of repolarisation and the sample where its velocity has died down.

    Returns:
        That sample (None without a hump), the clarity of the T wave and its doubt in ms.
    """
    from scipy.signal import find_peaks

    velocity = velocity_of(band(beat, None, T_LOWPASS_HZ), samples(18))
    latest = min(
        qrs_onset + LONGEST_QTC_S * np.sqrt(rr_s) * RATE_HZ,
        BEFORE + (rr_s - 0.16) * RATE_HZ,  # the next P wave and QRS onset
        len(velocity) - samples(30),
    )
    earliest = max(qrs_offset + samples(60), qrs_onset + SHORTEST_QTC_S * np.sqrt(rr_s) * RATE_HZ)
    humps, _ = find_peaks(velocity)
    humps = humps[(humps >= earliest) & (humps < latest)]
    if not len(humps):
        return None, 0.0, 0.0
    downslope = humps[velocity[humps] >= T_HUMP * velocity[humps].max()][-1]
    tail = velocity[downslope : downslope + samples(250)]
    valley = int(np.argmin(tail))
    falling = tail[: valley + 1]
    early, offset, late = (
        int(downslope + (np.argmax(falling < share * tail[0]) if falling[-1] < share * tail[0] else valley))
        for share in (T_STRICT, T_FRACTION, T_LENIENT)
    )
    after = np.median(velocity[offset : offset + samples(60)])
    return offset, float(velocity[downslope] / (after + 1e-12)), 1000 * (late - early) / RATE_HZ


def _p_onset(beats: np.ndarray, qrs_onset: int, previous_t: int) -> tuple[int | None, float, float, float]:
    """Finds a wave between the previous T wave and the QRS complex that comes back in every beat.

    Args:
        beats: (b, leads, n). qrs_onset: Its sample. previous_t: Sample where the T wave of the beat before has ended.

    Returns:
        The sample where its first steep slope begins (None without a P wave), the share that repeats, how restless it
        is as in `Waves`, and the doubt of that sample in ms.
    """
    latest = qrs_onset - samples(16)
    start = max(qrs_onset - LONGEST_PR, previous_t, samples(10))
    if latest - start < samples(60):
        start = max(latest - samples(100), samples(10))  # a fast rate: P on the end of T
    smoothed = band(beats[:, :, : qrs_onset + samples(200)], None, P_LOWPASS_HZ)  # what follows costs time only
    window = _p_window(qrs_onset, previous_t, P_GAP)
    repeats, noise = _repeating_share(smoothed[:, :, window])
    if repeats < P_REPEATS_FAR:  # first-degree block: look further ahead of the complex
        far_window = _p_window(qrs_onset, previous_t, P_GAP + FAR_P)
        far, far_noise = _repeating_share(smoothed[:, :, far_window])
        if far >= P_REPEATS_FAR:
            window, repeats, noise = far_window, far, far_noise
    wave = np.median(smoothed, axis=0) / noise[:, None]
    part = wave[:, start:latest]
    restless = _restless(smoothed[:, :, start:latest] / noise[:, None])
    if repeats < P_REPEATS:
        return None, repeats, restless, 0.0
    inside = slice(max(window.start - P_EARLIER, start), latest)  # farther out wander is higher than the wave
    top = inside.start - start + int(np.argmax((without_line(wave[:, inside]) ** 2).mean(axis=0)))
    velocity = velocity_of(part, samples(10))
    velocity = velocity - np.quantile(velocity, 0.2)  # noise moves too, in the quiet between T and P
    rise = _first_rise(velocity, top)
    calm = [
        np.flatnonzero(velocity[: rise + 1] <= share * velocity[rise]) for share in (P_LENIENT, P_FRACTION, P_STRICT)
    ]
    if not len(calm[1]):
        return None, repeats, restless, 0.0
    early = calm[0][-1] if len(calm[0]) else 0
    return int(start + calm[1][-1]), repeats, restless, float(1000 * (calm[2][-1] - early) / RATE_HZ)


def _restless(parts: np.ndarray) -> float:
    """Returns how steep the calmest share of the median of the parts of the beats (b, leads, n) is, as a share of its
    steepest place; without the noise in which two halves of the beats differ."""
    motion = velocity_of(np.median(parts, axis=0), samples(20)) ** 2
    if len(parts) > 1:
        noise = (np.median(parts[::2], axis=0) - np.median(parts[1::2], axis=0)) / 2
        motion = np.maximum(motion - (velocity_of(noise, samples(20)) ** 2).mean(), 0)
    return float(np.sqrt(np.quantile(motion, CALM_SHARE) / (motion.max() + 1e-12)))


def _p_window(qrs_onset: int, previous_t: int, gap: int) -> slice:
    """Returns the samples in which a P wave is looked for, at least 100 ms, ending `gap` before the complex."""
    stop = max(qrs_onset - gap, samples(110))
    start = max(stop - P_WINDOW, previous_t, samples(10))
    return slice(min(start, stop - samples(100)), stop)


def without_line(signal: np.ndarray) -> np.ndarray:
    """Returns the signal less the straight line from its first to its last sample (last axis)."""
    ramp = np.linspace(0, 1, signal.shape[-1])
    return signal - signal[..., :1] * (1 - ramp) - signal[..., -1:] * ramp


def _repeating_share(parts: np.ndarray) -> tuple[float, np.ndarray]:
    """Returns how alike the parts of the beats are: the usual product of two of them over the usual square of one, each
    lead in units of what differs from beat to beat; and these units, (leads,).

    Args:
        parts: (b, leads, n).
    """
    parts = without_line(parts)
    noise = np.sqrt(((parts - parts.mean(axis=0)) ** 2).mean(axis=(0, 2)) + SMALLEST_MV**2)
    unseen = ((SMALLEST_MV / noise) ** 2).sum() * parts.shape[2]
    flat = (parts / noise[:, None]).reshape(len(parts), -1)
    products = flat @ flat.T
    pairs = products[np.triu_indices(len(parts), 1)]
    return float(np.median(pairs) / (np.median(np.diag(products)) + unseen)), noise


def _first_rise(velocity: np.ndarray, top: int) -> int:
    """Returns the first steep hump on the way up to the top of a wave."""
    from scipy.signal import find_peaks

    begin = max(0, top - samples(90))
    steepest = begin + int(np.argmax(velocity[begin : top + 1]))
    begin = max(0, steepest - samples(60))
    humps = begin + find_peaks(velocity[begin : steepest + 1])[0]
    humps = humps[velocity[humps] > P_HUMP * velocity[steepest]]
    return int(humps[0]) if len(humps) else steepest
