"""What can be wrong with a lead, moment by moment: missing, flat, saturated, jumping, noisy or disconnected.

Everything is judged in blocks of 0.1 s. A lead is noisy where its beats differ more from their median than they are
high; so noise means what hides the ECG, whatever its spectrum. Limits were set with half of the LUDB recordings,
damaged copies of them and twelve labelled recordings of the CinC Challenge 2011.
"""

from dataclasses import dataclass

import numpy as np

from echo2ecg_core.ecg.beats import Beats, band, samples

BLOCK_S = 0.1
FLAT_MV, FLAT_S = 0.015, 2.0  # no deflection for longer than the pause between two beats
IMPOSSIBLE_MV = 10.0
RAIL_RUN_S, RAIL_TOTAL_S, RAIL_RUNS = 0.012, 0.1, 3
RAIL_EDGE = 0.02  # of the lead's height in one sample: a rail is hit hard, the top of a T wave is not
JUMP_MV, JUMP_BLOCKS = 1.5, 4
NOISE_MV = 0.05
QUIETEST = 0.4  # of the beats show what a lead looks like
NO_HEARTBEAT_DB = -8.0  # of a beat below the noise, where the other leads show beats


@dataclass(frozen=True)
class Faults:
    """Faults of twelve leads.

    Attributes:
        blocks: kind -> (12, blocks) bool.
        snr_db: (12,) height of the median beat (at least NOISE_MV) over the deviation of single beats from it;
            -inf without beats.
    """

    blocks: dict[str, np.ndarray]
    snr_db: np.ndarray

    @property
    def any(self) -> np.ndarray:
        """(12, blocks) bool: some fault."""
        return np.logical_or.reduce(list(self.blocks.values()))


def find_faults(signal_mv: np.ndarray, sampling_rate_hz: float, working: np.ndarray, beats: Beats | None) -> Faults:
    """Returns the faults of every lead.

    Args:
        signal_mv: (12, n) as recorded, NaN where nothing was.
        sampling_rate_hz: Its rate.
        working: (12, m) the same at the working rate, without gaps.
        beats: Its beats, None where none were found.
    """
    missing = ~np.isfinite(signal_mv)
    filled = np.where(missing, 0.0, signal_mv)
    n_blocks = max(1, round(signal_mv.shape[1] / sampling_rate_hz / BLOCK_S))
    per_sample = {
        "missing": missing,
        "saturated": _saturated(filled, sampling_rate_hz) & ~missing,
        "flat": _flat(filled, sampling_rate_hz) & ~missing,
    }
    blocks = {kind: _to_blocks(mask, n_blocks) for kind, mask in per_sample.items()}
    blocks["flat"] &= ~blocks["saturated"]
    blocks["jumping"] = _jumping(filled, n_blocks) & ~blocks["flat"] & ~blocks["missing"]
    broken = np.logical_or.reduce(list(blocks.values()))
    if beats is None:
        return Faults(blocks | {"noise": ~broken, "disconnected": np.zeros_like(broken)}, np.full(12, -np.inf))
    beat = _beat_noise(working, beats, n_blocks)
    silent = beat.clearest_db < NO_HEARTBEAT_DB
    loud = beat.noise > NOISE_MV
    blocks["noise"] = (beat.drowned | (silent & loud)[:, None]) & ~broken
    blocks["disconnected"] = (silent & ~loud)[:, None] & ~broken
    return Faults(blocks, 20 * np.log10(np.maximum(beat.height, NOISE_MV) / beat.noise))


def _to_blocks(mask: np.ndarray, n_blocks: int) -> np.ndarray:
    """Returns (12, blocks): is at least a quarter of the block's samples marked?"""
    starts = np.linspace(0, mask.shape[1], n_blocks, endpoint=False).astype(int)
    lengths = np.diff(np.append(starts, mask.shape[1]))
    return np.add.reduceat(mask, starts, axis=1, dtype=np.int64) >= 0.25 * lengths


def _flat(signal: np.ndarray, sampling_rate_hz: float) -> np.ndarray:
    from scipy.ndimage import maximum_filter1d, minimum_filter1d

    width = min(int(FLAT_S * sampling_rate_hz), signal.shape[1])
    span = maximum_filter1d(signal, width, axis=1) - minimum_filter1d(signal, width, axis=1)
    return maximum_filter1d(span < FLAT_MV, width, axis=1)


def _saturated(signal: np.ndarray, sampling_rate_hz: float) -> np.ndarray:
    """Marks what no heart can produce, and the neighbourhood of plateaus at a lead's own largest or smallest value."""
    from scipy.ndimage import maximum_filter1d

    impossible = np.abs(signal - np.median(signal, axis=1, keepdims=True)) > IMPOSSIBLE_MV
    rails = np.zeros_like(impossible)
    shortest = max(3, round(RAIL_RUN_S * sampling_rate_hz))
    for lead, rail in zip(signal, rails, strict=True):
        for extreme in (lead.max(), lead.min()):
            begins, ends = runs(lead == extreme)
            steps = np.abs(np.diff(lead, prepend=lead[:1], append=lead[-1:]))
            hit = np.maximum(steps[begins], steps[ends]) > RAIL_EDGE * np.ptp(lead)
            long = (ends - begins >= shortest) & hit
            total_s = (ends - begins)[long].sum() / sampling_rate_hz
            if long.sum() >= RAIL_RUNS or total_s >= RAIL_TOTAL_S:
                for begin, end in zip(begins[long], ends[long], strict=True):
                    rail[begin:end] = True
    return maximum_filter1d(impossible | rails, max(1, int(0.5 * sampling_rate_hz)), axis=1)


def runs(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns where the runs of True begin and where they end (exclusive)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return edges[::2], edges[1::2]


def _jumping(signal: np.ndarray, n_blocks: int) -> np.ndarray:
    """Marks where the level, a median over 0.4 s that no beat moves, changes faster than wander does."""
    n_levels = max(1, n_blocks // JUMP_BLOCKS)
    length = signal.shape[1] // n_levels
    levels = np.median(signal[:, : n_levels * length].reshape(len(signal), n_levels, length), axis=2)
    jump = np.abs(np.diff(levels, axis=1)) > JUMP_MV
    marked = np.zeros(levels.shape, dtype=bool)
    marked[:, :-1] |= jump
    marked[:, 1:] |= jump
    places = np.minimum(np.arange(n_blocks) * n_levels // n_blocks, n_levels - 1)
    return marked[:, places]


@dataclass(frozen=True)
class _BeatNoise:
    """Root mean squares of every lead in mV, (12,), its clearest signal-to-noise ratio, and where beats drown."""

    height: np.ndarray
    noise: np.ndarray
    clearest_db: np.ndarray
    drowned: np.ndarray


def _beat_noise(working: np.ndarray, beats: Beats, n_blocks: int) -> _BeatNoise:
    """Compares the beats of every lead with the median of its quietest ones (a lead may be noisy most of the time)."""
    peaks = beats.r_peaks
    windows = _short_windows(band(working, 1.0, None), peaks)  # (b, 12, n)
    usual = windows[beats.dominant]
    template, all_height, all_noise = _template(usual)
    n_quiet = max(2, round(QUIETEST * len(usual)))
    quietest = np.argsort(_deviation(usual, template), axis=0)[:n_quiet]  # (q, 12)
    template, height, least_noise = _template(np.take_along_axis(usual, quietest[..., None], axis=0))
    left_over = np.pi / 2 / n_quiet * least_noise**2
    deviation = np.sqrt(np.maximum(_deviation(windows, template) ** 2 - left_over, 1e-12))  # (b, 12)
    drowned = (deviation > np.maximum(height, NOISE_MV)) & beats.dominant[:, None]
    bounds = np.concatenate([[0], (peaks[1:] + peaks[:-1]) / 2, [working.shape[1]]]) / working.shape[1] * n_blocks
    marked = np.zeros((len(working), n_blocks), dtype=bool)
    for beat, (begin, end) in enumerate(zip(bounds[:-1], bounds[1:], strict=True)):
        marked[:, int(begin) : int(np.ceil(end))] |= drowned[beat][:, None]
    clearest_db = 20 * np.log10(np.maximum(height / least_noise, all_height / all_noise))
    return _BeatNoise(height, np.median(deviation[beats.dominant], axis=0), clearest_db, marked)


def _template(beats: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the median of (b, 12, n) beats and the (12,) heights of beat and noise, freed from each other."""
    n_beats = len(beats)
    template = np.median(beats, axis=0)
    noise = np.median(_deviation(beats, template), axis=0) * np.sqrt(n_beats / (n_beats - 1)) + 1e-6
    power = (template**2).mean(axis=1) - np.pi / 2 / n_beats * noise**2  # a median still holds some of the noise
    return template, np.sqrt(np.maximum(power, 1e-12)), noise


def _short_windows(signal: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """Returns the beats without their neighbours and without offset, (b, 12, n)."""
    shortest_rr = np.quantile(np.diff(peaks), 0.1)
    before, after = int(min(samples(250), 0.3 * shortest_rr)), int(min(samples(450), 0.5 * shortest_rr))
    padded = np.pad(signal, ((0, 0), (before, after)), mode="edge")
    windows = np.stack([padded[:, peak : peak + before + after] for peak in peaks])
    return windows - np.median(windows, axis=2, keepdims=True)


def _deviation(beats: np.ndarray, template: np.ndarray) -> np.ndarray:
    """Returns (b, 12) the root mean square difference of every beat from the template."""
    return np.sqrt(((beats - template) ** 2).mean(axis=2))
