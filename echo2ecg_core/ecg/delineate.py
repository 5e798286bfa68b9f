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
T_TO_REST, REST_WITHIN, REST_BEFORE_NEXT_R_S = samples(40), samples(300), 0.24  # where a lead rests between T and P
UNREST_LOWPASS_HZ, LOW_T = 15.0, 0.015  # of the height of a lead: a T wave so low tells little about its end
P_LOWPASS_HZ, P_FRACTION, P_HUMP = 20.0, 0.3, 0.5
P_LENIENT, P_STRICT = 0.15, 0.45  # in place of P_FRACTION
LONGEST_PR = samples(420)
P_WINDOW, P_GAP = samples(250), samples(30)  # before the QRS onset, whose filtered foot reaches back
FAR_P, P_REPEATS_FAR = samples(100), 0.6  # still earlier, for first-degree block
P_EARLIER = samples(60)  # than the window that repeats may its top lie
SMALLEST_MV = 0.006  # root mean square of a wave too low to be seen
LONGEST_QTC_S, SHORTEST_QTC_S = 0.60, 0.22


@dataclass(frozen=True)
class Waves:
    """Samples in the median beat (R peak at BEFORE); None where a wave was not found.

    `p_repeats` is the share (up to 1, about 0 for noise and fibrillation) of what lies before the complexes that comes
    back in every beat, `t_clarity` how many times steeper the T wave is than the signal after its end. `qrs_doubt_ms`
    tells by how much the complex changes between a strict and a lenient reading, `qrs_tail_ms` how long after its end
    the last lead comes to rest, `p_doubt_ms` and `t_doubt_ms` how far the onset of P and the end of T move between
    such readings.
    """

    qrs_onset: int
    qrs_offset: int
    p_onset: int | None
    t_offset: int | None
    p_repeats: float
    t_clarity: float
    qrs_doubt_ms: float
    qrs_tail_ms: float
    p_doubt_ms: float
    t_doubt_ms: float


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
    onset, offset, doubt_ms, tail_ms = qrs
    t_offset, t_clarity, t_doubt_ms = _t_offset(median, onset, offset, rr_s)
    previous_t = t_offset - round(rr_s * RATE_HZ) + samples(10) if t_offset else 0
    p_onset, p_repeats, p_doubt_ms = _p_onset(beats, onset, previous_t)
    return Waves(onset, offset, p_onset, t_offset, p_repeats, t_clarity, doubt_ms, tail_ms, p_doubt_ms, t_doubt_ms)


def _velocity(beat: np.ndarray, width: int) -> np.ndarray:
    return smooth(np.sqrt((np.gradient(beat, axis=1) ** 2).mean(axis=0)), width)


def _qrs_bounds(beat: np.ndarray) -> tuple[int, int, float, float] | None:
    """Returns onset and end of the QRS complex, and its doubt and tail in ms as in `Waves`; None without a complex.

    Walking outwards from its steepest slope, a lead leaves the complex where it keeps the slope of the segment beyond:
    after bundle branch block the ST segment climbs steadily to the T wave and is never flat.
    """
    velocity = _velocity(beat, samples(10))
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
    doubt_ms = 1000 * (lenient - min(strict, end - onset)) / RATE_HZ
    return round(onset), round(end), float(doubt_ms), float(1000 * (lenient_ends.max() - end) / RATE_HZ)


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
        self.after_departure = self._departure(slope, self.after_places, QUIET_AFTER)
        mirrored = slope.shape[1] - 1 - self.before_places
        self.before_departure = self._departure(slope[:, ::-1], mirrored, QUIET_BEFORE)

    @staticmethod
    def _departure(slope: np.ndarray, places: np.ndarray, quiet: int) -> np.ndarray:
        """(leads, places) how far the slope in the next `quiet` samples departs from that of the segment beyond."""
        near, far = SEGMENT
        ahead = np.lib.stride_tricks.sliding_window_view(slope, far, axis=1)[:, places]  # (leads, places, far)
        level = np.median(ahead[:, :, near:], axis=2, keepdims=True)
        return np.abs(ahead[:, :, :quiet] - level).max(axis=2)

    def after(self, fraction: float) -> np.ndarray:
        """(leads,) samples at which the leads come to rest after the complex."""
        beyond = self.after_places >= self.own_steepest[:, None]
        return self._first(self.after_departure, self.after_places, beyond, fraction)

    def before(self, fraction: float) -> np.ndarray:
        """(leads,) samples at which the leads depart from rest before the complex."""
        beyond = self.before_places <= self.own_steepest[:, None]
        return self._first(self.before_departure, self.before_places, beyond, fraction)

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


def unrest_after_t(beat: np.ndarray, waves: Waves, rr_s: float) -> float:
    """Returns how far the lead that is farthest from rest at the end of T is from it, as a share of its T wave.

    A second half of a biphasic T wave or a merging U wave is low over all leads together, but not in the lead where a
    reader looks for the end.

    Args:
        beat: (leads, BEFORE + AFTER) median beat, of the leads in which QT is read.
        waves: Its bounds. rr_s: Usual distance from one beat to the next, seconds.
    """
    if waves.t_offset is None or not len(beat):
        return 0.0
    wave = band(beat, None, UNREST_LOWPASS_HZ)
    first = waves.t_offset + T_TO_REST
    last = min(BEFORE + round((rr_s - REST_BEFORE_NEXT_R_S) * RATE_HZ), waves.t_offset + REST_WITHIN, wave.shape[1])
    if last <= first:
        return 0.0
    quietest = first + int(np.argmin(_velocity(wave, T_TO_REST)[first:last]))
    rest = wave[:, quietest - samples(20) : quietest + samples(20)].mean(axis=1)
    height = np.abs(wave[:, waves.qrs_offset + T_TO_REST : waves.t_offset] - rest[:, None]).max(axis=1, initial=0)
    return float((np.abs(wave[:, waves.t_offset] - rest) / (height + LOW_T * np.ptp(beat, axis=1) + 1e-9)).max())


def _p_onset(beats: np.ndarray, qrs_onset: int, previous_t: int) -> tuple[int | None, float, float]:
    """Finds a wave between the previous T wave and the QRS complex that comes back in every beat.

    Args:
        beats: (b, leads, n). qrs_onset: Its sample. previous_t: Sample where the T wave of the beat before has ended.

    Returns:
        The sample where its first steep slope begins (None without a P wave), the share that repeats and the doubt of
        that sample in ms.
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
    if repeats < P_REPEATS:
        return None, repeats, 0.0
    wave = np.median(smoothed, axis=0) / noise[:, None]
    part = wave[:, start:latest]
    inside = slice(max(window.start - P_EARLIER, start), latest)  # farther out wander is higher than the wave
    top = inside.start - start + int(np.argmax((_without_line(wave[:, inside]) ** 2).mean(axis=0)))
    velocity = _velocity(part, samples(10))
    velocity = velocity - np.quantile(velocity, 0.2)  # noise moves too, in the quiet between T and P
    rise = _first_rise(velocity, top)
    calm = [
        np.flatnonzero(velocity[: rise + 1] <= share * velocity[rise]) for share in (P_LENIENT, P_FRACTION, P_STRICT)
    ]
    if not len(calm[1]):
        return None, repeats, 0.0
    early = calm[0][-1] if len(calm[0]) else 0
    return int(start + calm[1][-1]), repeats, float(1000 * (calm[2][-1] - early) / RATE_HZ)


def wander_under_p(beats: np.ndarray, waves: Waves) -> float:
    """Returns how much the line under the P wave tilts from beat to beat, as a share of the height of the wave.

    Args:
        beats: (b, leads, BEFORE + AFTER), only leads that carry complexes.
        waves: Their bounds.
    """
    if waves.p_onset is None:
        return 0.0
    edge = samples(20)
    part = beats[:, :, max(waves.p_onset - edge, 0) : waves.qrs_onset - samples(16)]
    tilt = part[:, :, -edge:].mean(axis=2) - part[:, :, :edge].mean(axis=2)
    height = np.abs(_without_line(np.median(part, axis=0))).max(axis=1)
    return float(np.median(tilt.std(axis=0)) / (np.median(height) + 1e-9))


def _p_window(qrs_onset: int, previous_t: int, gap: int) -> slice:
    """Returns the samples in which a P wave is looked for, at least 100 ms, ending `gap` before the complex."""
    stop = max(qrs_onset - gap, samples(110))
    start = max(stop - P_WINDOW, previous_t, samples(10))
    return slice(min(start, stop - samples(100)), stop)


def _without_line(signal: np.ndarray) -> np.ndarray:
    """Returns the signal less the straight line from its first to its last sample (last axis)."""
    ramp = np.linspace(0, 1, signal.shape[-1])
    return signal - signal[..., :1] * (1 - ramp) - signal[..., -1:] * ramp


def _repeating_share(parts: np.ndarray) -> tuple[float, np.ndarray]:
    """Returns how alike the parts of the beats are: the usual product of two of them over the usual square of one, each
    lead in units of what differs from beat to beat; and these units, (leads,).

    Args:
        parts: (b, leads, n).
    """
    parts = _without_line(parts)
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
