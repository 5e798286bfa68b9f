"""The heartbeats of a twelve-lead recording: where they are, which of them look alike, and their median.

QRS complexes are found on one envelope of all leads, in which a lead counts the more the further its complexes stand
out; so a flat or noisy lead cannot hide or invent beats. Mains hum and pacing spikes are taken out before all else.
Ectopic beats stay in the rhythm but not in the median beat.
Everything works at about 500 Hz; constants are in that rate's samples through `samples`.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property

import numpy as np

from echo2ecg_core.ecg.hum import without_hum

RATE_HZ = 500
LONGEST_S = 60.0  # a longer recording is judged by its first minute
SHORTEST_S = 2.0
LOWEST_RATE_HZ = 80.0  # below it QRS complexes are not resolved


def samples(milliseconds: float) -> int:
    """Returns a duration as a number of samples at the working rate."""
    return round(milliseconds * RATE_HZ / 1000)


BEFORE, AFTER = samples(550), samples(750)  # extent of a beat around its R peak
TEMPLATE = samples(120)  # half width of the part that beats are compared by
LARGEST_SHIFT = samples(60)
ALIKE = 0.85  # correlation from which two beats count as the same kind
LOWEST, HARDLY, NEARLY = 0.35, 0.5, 0.22  # of the usual height of the envelope: a beat, hardly one, nearly one
T_FOLLOWS, FOLLOWS_ALIKE, FEWEST_TURNS = samples(400), samples(12), 4  # a complex, at most, always at one distance
NEARLY_ALL = 0.2  # of the distances may be shorter
BLOCK = samples(2000)  # holds at least one beat
SPIKE_MV, SPIKE_LEADS = 0.1, 3  # in two samples, in so many leads
SPIKE_SUDDEN = 4.0  # times as steep as the 16 ms before; a QRS complex gathers speed
SPIKE_QUIET, SPIKE_LONGEST = samples(16), samples(40)
SPIKE_GROWS, SPIKE_RETURNS = 1.3, 0.5  # at most, at least, of its first height
SPIKE_TAIL = samples(4)
SPIKE_RINGS, RINGING, RINGING_MV = samples(20), 0.01, 0.15  # around it; steps of so much of its height, at least


@dataclass(frozen=True)
class Beats:
    """The beats of one recording at the working rate.

    Attributes:
        r_peaks: (b,) sample of the largest deflection of every beat; beats of one kind share their fiducial point.
        dominant: (b,) bool, which beats are of the commonest kind.
        windows: (d, 12, BEFORE + AFTER) the dominant beats around their R peak, band-passed to 0.5-40 Hz.
        contrast: How far complexes stand out of what lies between them, 0 to 1.
        hardly: How many of the beats are hardly high enough for one: low ectopic ones, that noise can hide.
        nearly: (k,) samples of deflections that are nearly high enough and too late for a T wave.
        leads: (12,) bool, the leads with visible complexes.
        spikes: (s,) samples at which pacing spikes begin; single disturbances are among them.
    """

    r_peaks: np.ndarray
    dominant: np.ndarray
    windows: np.ndarray
    contrast: float
    hardly: int
    nearly: np.ndarray
    leads: np.ndarray
    spikes: np.ndarray

    @cached_property
    def median(self) -> np.ndarray:
        """(12, BEFORE + AFTER) the median dominant beat."""
        return np.median(self.windows, axis=0)

    @property
    def borderline(self) -> bool:
        """Whether a beat more or less is a matter of taste."""
        return bool(self.hardly or len(self.nearly))

    @cached_property
    def since_s(self) -> float:
        """The distance that nearly all dominant beats keep from the beat before, seconds: what lies nearer is not part
        of that one."""
        since = np.diff(self.r_peaks)[self.dominant[1:]]
        return float(np.quantile(since if len(since) else np.diff(self.r_peaks), NEARLY_ALL)) / RATE_HZ

    @cached_property
    def takes_turns(self) -> bool:
        """Whether beats of the commonest kind and others take turns, as in bigeminy."""
        return len(self.dominant) >= FEWEST_TURNS and int((self.dominant[1:] == self.dominant[:-1]).sum()) <= 1

    @cached_property
    def t_waves_counted(self) -> bool:
        """Whether tall T waves may have been counted as beats: of two kinds that take turns, one follows the other
        at once and always at the same distance. A ventricular ectopic beat after every sinus beat may do so, too."""
        if not self.takes_turns:
            return False
        distances = np.diff(self.r_peaks)
        nearer = min((distances[i::2] for i in (0, 1)), key=np.median)
        return bool(np.median(nearer) <= T_FOLLOWS and np.ptp(nearer) <= FOLLOWS_ALIKE)


def at_working_rate(signal_mv: np.ndarray, sampling_rate_hz: float) -> tuple[np.ndarray, float]:
    """Returns the first minute without gaps at about 500 Hz, and its exact rate.

    Args:
        signal_mv: (12, n), NaN where nothing was recorded.
        sampling_rate_hz: Rate of `signal_mv`.

    Returns:
        (12, m) float64 and the rate in Hz, which differs from 500 by less than 1 %.
    """
    from scipy.signal import resample_poly

    signal = np.array(signal_mv[:, : int(LONGEST_S * sampling_rate_hz)], dtype=np.float64)
    for lead in signal:
        known = np.isfinite(lead)
        if not known.all():
            lead[~known] = np.interp(np.flatnonzero(~known), np.flatnonzero(known), lead[known]) if known.any() else 0.0
    ratio = Fraction(RATE_HZ / sampling_rate_hz).limit_denominator(50)
    if ratio != 1:
        signal = resample_poly(signal, ratio.numerator, ratio.denominator, axis=1, padtype="line")
    return signal, float(sampling_rate_hz * ratio)


def band(signal: np.ndarray, low_hz: float | None, high_hz: float | None) -> np.ndarray:
    """Returns the signal limited to a band, without delay (second-order Butterworth, forwards and backwards)."""
    from scipy.signal import sosfiltfilt

    return sosfiltfilt(_sections(low_hz, high_hz), signal, axis=-1)


@cache
def _sections(low_hz: float | None, high_hz: float | None) -> np.ndarray:
    from scipy.signal import butter

    edges, kind = {
        (True, True): ([low_hz, high_hz], "bandpass"),
        (True, False): (low_hz, "highpass"),
        (False, True): (high_hz, "lowpass"),
    }[low_hz is not None, high_hz is not None]
    return butter(2, edges, kind, fs=RATE_HZ, output="sos")


def smooth(signal: np.ndarray, width: int) -> np.ndarray:
    """Returns the moving average over `width` samples of the last axis."""
    from scipy.ndimage import uniform_filter1d

    return uniform_filter1d(signal, width, axis=-1)


def find_beats(signal: np.ndarray) -> Beats | None:
    """Returns the beats of a recording, or None where no repeating complexes are found.

    Args:
        signal: (12, n) finite millivolts at the working rate.
    """
    if signal.shape[1] < samples(1000 * SHORTEST_S):
        return None
    signal, spikes = without_spikes(without_hum(signal, RATE_HZ))
    envelope, weights = _qrs_envelope(signal)
    if envelope is None:
        return None
    wave = band(signal, 1.0, 40.0)
    peaks = _complexes(envelope, wave * weights[:, None])
    if len(peaks) < 2:
        return None
    peaks, dominant = _align(wave * weights[:, None], peaks)
    if dominant.sum() < max(2, 0.3 * len(peaks)):
        return None
    windows = cut(band(signal, 0.5, 40.0), peaks[dominant])
    leads = weights > 0.05 * weights.max()
    return Beats(peaks, dominant, windows, _contrast(envelope, peaks), *_borderline(envelope, peaks), leads, spikes)


def without_spikes(signal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the signal with straight lines in place of spikes, and the (s,) samples where spikes begin.

    A spike leaps out of rest in two samples and leaps back within 40 ms without having grown meanwhile: so do the
    impulses of pacemakers, filtered or drawn as a box by the electrocardiograph, and no QRS complex.

    Args:
        signal: (12, n) finite millivolts at the working rate.
    """
    from scipy.ndimage import maximum_filter1d

    leap = np.abs(signal[:, 2:] - signal[:, :-2])  # [i] from sample i to i + 2
    steps = maximum_filter1d(np.abs(np.diff(signal, axis=1)), SPIKE_QUIET, axis=1, origin=-(SPIKE_QUIET // 2))
    sudden = leap > SPIKE_MV
    sudden[:, :SPIKE_QUIET] = False
    sudden[:, SPIKE_QUIET:] &= leap[:, SPIKE_QUIET:] > SPIKE_SUDDEN * steps[:, : leap.shape[1] - SPIKE_QUIET]
    places, cleaned, free_from = [], signal, 0
    for place in np.flatnonzero(sudden.sum(axis=0) >= SPIKE_LEADS).tolist():
        length = 0 if place < free_from else _spike_length(signal[sudden[:, place], place:])
        if length:
            cleaned = signal.copy() if cleaned is signal else cleaned
            begin, end = _with_ringing(signal, place, min(place + length + SPIKE_TAIL, signal.shape[1] - 1))
            share = np.linspace(0, 1, end - begin + 1)
            cleaned[:, begin : end + 1] = np.outer(signal[:, begin], 1 - share) + np.outer(signal[:, end], share)
            places.append(place)
            free_from = end
    return cleaned, np.array(places, dtype=int)


def _with_ringing(signal: np.ndarray, begin: int, end: int) -> tuple[int, int]:
    """Returns the samples between which a spike and what resampling filters made of its edges lie, (begin, end)."""
    height = np.ptp(signal[:, begin : end + 1], axis=1)
    before, after = signal[:, max(0, begin - SPIKE_RINGS) : begin + 1], signal[:, end : end + SPIKE_RINGS + 1]
    rings_before, rings_after = (
        np.flatnonzero((np.abs(np.diff(part)) > np.maximum(RINGING * height, RINGING_MV)[:, None]).any(axis=0))
        for part in (before[:, ::-1], after)
    )
    return (
        begin - (int(rings_before[-1]) + 1 if len(rings_before) else 0),
        end + (int(rings_after[-1]) + 1 if len(rings_after) else 0),
    )


def _spike_length(leads: np.ndarray) -> int:
    """Returns after how many samples the usual lead has leapt back, 0 where too few do; (leads, n) from the leap on."""
    height = leads[:, : SPIKE_LONGEST + 3] - leads[:, :1]
    if height.shape[1] < 6:
        return 0
    height = height * np.sign(height[:, 2:3])
    first = height[:, :4].max(axis=1)
    back = height[:, 1:-2] - height[:, 3:] >= SPIKE_RETURNS * first[:, None]  # [i] from sample i + 1 to i + 3
    lengths = back.argmax(axis=1) + 3
    grows = [lead[:length].max() > SPIKE_GROWS * top for lead, length, top in zip(height, lengths, first, strict=True)]
    returning = back.any(axis=1) & ~np.array(grows)
    return int(np.median(lengths[returning])) if returning.sum() >= SPIKE_LEADS else 0


def _block_maxima(signal: np.ndarray) -> np.ndarray:
    """Returns the largest sample of every two seconds, (..., blocks)."""
    n_blocks = max(1, signal.shape[-1] // BLOCK)
    return np.stack([signal[..., i * BLOCK : (i + 1) * BLOCK].max(-1) for i in range(n_blocks)], axis=-1)


def _qrs_envelope(signal: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """Returns an (n,) envelope of steep deflections, about 1 at a beat, and the (12,) weights of the leads in 1/mV."""
    steepness = smooth(np.abs(np.gradient(band(signal, 5.0, 25.0), axis=1)), samples(80))
    typical = np.median(_block_maxima(steepness), axis=1)
    prominence = typical / (np.median(steepness, axis=1) + 1e-9) - 2  # noise reaches about twice its median
    prominence = np.where(typical > 1e-5, np.clip(prominence, 0, 30), 0)
    if not prominence.any():
        return None, prominence
    weights = prominence / prominence.sum() / np.maximum(typical, 1e-9)
    return weights @ steepness, weights


def _complexes(envelope: np.ndarray, wave: np.ndarray) -> np.ndarray:
    """Returns the samples of QRS complexes: high peaks of the envelope that are neither T waves nor pacing spikes."""
    from scipy.signal import find_peaks

    peaks, _ = find_peaks(envelope, distance=samples(240))
    peaks = peaks[envelope[peaks] > LOWEST * np.median(_block_maxima(envelope))]
    peaks = peaks[(peaks >= samples(60)) & (peaks < len(envelope) - samples(60))]  # steps at the very ends are no beats
    if len(peaks) > 2:
        half = samples(80)
        around = [wave[:, max(0, peak - half) : peak + half] for peak in peaks]
        area = np.array([np.abs(part - np.median(part, axis=1, keepdims=True)).sum() for part in around])
        peaks = peaks[area > 0.3 * np.median(area)]  # a spike is steep but narrow
    kept: list[int] = []
    for peak in peaks:
        t_wave = kept and peak - kept[-1] < samples(360) and envelope[peak] < 0.5 * envelope[kept[-1]]
        if not t_wave:
            kept.append(peak)
    return np.array(kept, dtype=int)


def _align(wave: np.ndarray, peaks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shifts every beat onto the template of the commonest kind.

    Args:
        wave: (12, n) weighted leads.
        peaks: (b,) rough places of the beats.

    Returns:
        (b,) samples of the template's largest deflection in every beat, and (b,) bool: is of the commonest kind.
    """
    margin = TEMPLATE + LARGEST_SHIFT
    last = wave.shape[1] - 1
    padded = np.pad(wave, ((0, 0), (margin, margin)), mode="edge")
    for _ in range(2):
        beats = _around(padded, peaks + margin, TEMPLATE)
        template = np.median(beats[_commonest(beats)], axis=0)
        wide = _around(padded, peaks + margin, margin)  # (b, 12, 2 * margin)
        peaks = np.clip(peaks + _best_shifts(wide, template), 0, last)
    beats = _around(padded, peaks + margin, TEMPLATE)
    dominant = _commonest(beats)
    size = np.linalg.norm(np.median(beats[dominant], axis=0), axis=0)
    inner = slice(TEMPLATE - samples(80), TEMPLATE + samples(80))
    return np.clip(peaks + int(np.argmax(size[inner])) - samples(80), 0, last), dominant


def _around(padded: np.ndarray, centres: np.ndarray, half: int) -> np.ndarray:
    return np.stack([padded[:, centre - half : centre + half] for centre in centres])


def _commonest(beats: np.ndarray) -> np.ndarray:
    """Returns which beats are of the commonest kind, (b,) bool; of kinds about as common, the one with narrow
    complexes."""
    flat = beats.reshape(len(beats), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True) + 1e-12
    alike = flat @ flat.T
    n_alike = (alike > ALIKE).sum(axis=1)
    steepness = np.linalg.norm(np.gradient(beats, axis=2), axis=1)  # (b, n)
    width = (steepness > 0.2 * steepness.max(axis=1, keepdims=True)).mean(axis=1)
    common = n_alike >= 0.8 * n_alike.max()
    kind_width = [np.median(width[row > ALIKE]) for row in alike]
    centre = np.argmax(np.where(common, alike.mean(axis=1) - np.array(kind_width), -np.inf))
    return alike[centre] > ALIKE


def _best_shifts(wide: np.ndarray, template: np.ndarray) -> np.ndarray:
    """Returns how many samples later than assumed the template fits each beat best.

    Args:
        wide: (b, 12, 2 * (TEMPLATE + LARGEST_SHIFT)).
        template: (12, 2 * TEMPLATE).
    """
    width, length = wide.shape[2], template.shape[1]
    spectrum = (np.fft.rfft(wide) * np.conj(np.fft.rfft(template, width))).sum(axis=1)
    fit = np.fft.irfft(spectrum, width)[:, : width - length + 1]  # (b, shifts), correlation without wrapping
    energy = np.cumsum(np.pad((wide**2).sum(axis=1), ((0, 0), (1, 0))), axis=1)
    energy = energy[:, length:] - energy[:, :-length]  # (b, shifts)
    return np.argmax(fit / np.sqrt(energy + 1e-12), axis=1) - LARGEST_SHIFT


def cut(signal: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """Returns the beats around their peaks; those that the ends of the recording cut only where few others exist."""
    inside = (peaks >= BEFORE) & (peaks < signal.shape[1] - AFTER)
    if inside.sum() >= 3:
        peaks = peaks[inside]
    padded = np.pad(signal, ((0, 0), (BEFORE, AFTER)), mode="edge")
    return np.stack([padded[:, peak : peak + BEFORE + AFTER] for peak in peaks])


def _borderline(envelope: np.ndarray, peaks: np.ndarray) -> tuple[int, np.ndarray]:
    """Returns `hardly` and `nearly` as in `Beats`."""
    from scipy.signal import find_peaks

    heights = envelope / np.median(_block_maxima(envelope))
    around = [heights[max(0, peak - samples(80)) : peak + samples(80)].max() for peak in peaks]
    others, _ = find_peaks(envelope, distance=samples(240), height=NEARLY * np.median(_block_maxima(envelope)))
    others = others[(others >= samples(60)) & (others < len(envelope) - samples(60))]
    to_next = np.searchsorted(peaks, others)
    since = others - peaks[np.maximum(to_next - 1, 0)]
    until = peaks[np.minimum(to_next, len(peaks) - 1)] - others
    away = (np.abs(since) > samples(400)) & (np.abs(until) > samples(120))
    return int(np.sum(np.array(around) < HARDLY)), others[away]


def _contrast(envelope: np.ndarray, peaks: np.ndarray) -> float:
    """Returns 0 where complexes do not stand out of the envelope between them, 1 where nothing lies between."""
    between = np.ones(len(envelope), dtype=bool)
    for peak in peaks:
        between[max(0, peak - samples(160)) : peak + samples(160)] = False
    if not between.any():
        return 0.0
    height = np.median(envelope[peaks])
    return float(np.clip(1 - np.quantile(envelope[between], 0.98) / max(height, 1e-12), 0, 1))
