"""Mains hum taken off a recording before its complexes are measured; the recording itself is not changed.

Hum is one frequency with its overtones for as long as the recording lasts; a complex holds a little of every frequency.
So the sine is fitted to the whole recording, and only where its line stands far above all those beside it.
"""

import numpy as np

MAINS_HZ, AROUND_HZ, BESIDE_HZ = (50.0, 60.0), 0.4, 4.0
STANDS_OUT = 2.5  # times the highest line beside it: beats, too, come in lines
LEAST_S, LEAST_MV, OVERTONES, FINER = 2.0, 0.01, 3, 4  # lower hum disturbs nothing


def without_hum(signal: np.ndarray, rate_hz: float) -> np.ndarray:
    """Returns the signal without its mains hum and overtones; the signal itself where there is none.

    Args:
        signal: (leads, n) finite millivolts.
        rate_hz: Its rate.
    """
    from scipy.fft import next_fast_len

    n = signal.shape[1]
    if n < LEAST_S * rate_hz:
        return signal
    size = next_fast_len(FINER * n, real=True)
    spectrum = np.abs(np.fft.rfft((signal - signal.mean(axis=1, keepdims=True)) * np.hanning(n), size, axis=1))
    lines = np.sqrt((spectrum**2).mean(axis=0))
    frequencies_hz = np.fft.rfftfreq(size, 1 / rate_hz)
    for mains_hz in MAINS_HZ:
        away_hz = np.abs(frequencies_hz - mains_hz)
        near, beside = away_hz <= AROUND_HZ, (away_hz > 2 * AROUND_HZ) & (away_hz <= BESIDE_HZ)
        if not near.any() or not beside.any() or lines[near].max() < LEAST_MV * n / 4:  # a sine's line is n / 4 high
            continue
        if lines[near].max() > STANDS_OUT * lines[beside].max():
            found_hz = _between_lines(lines, int(np.argmax(np.where(near, lines, 0)))) * rate_hz / size
            signal = _without_sines(signal, [k * found_hz for k in range(1, OVERTONES + 1)], rate_hz)
    return signal


def _between_lines(lines: np.ndarray, highest: int) -> float:
    """Returns where the top of a parabola through the highest line and its neighbours lies, in lines."""
    left, middle, right = np.log(lines[highest - 1 : highest + 2])
    return highest + 0.5 * (left - right) / (left - 2 * middle + right)


def _without_sines(signal: np.ndarray, frequencies_hz: list[float], rate_hz: float) -> np.ndarray:
    time_s = np.arange(signal.shape[1]) / rate_hz
    phases = [2 * np.pi * f * time_s for f in frequencies_hz if f < 0.49 * rate_hz]
    waves = np.stack([wave(phase) for phase in phases for wave in (np.sin, np.cos)], axis=1)  # (n, 2 * sines)
    window = np.hanning(len(waves))[:, None]
    amplitudes = np.linalg.lstsq(waves * window, signal.T * window, rcond=None)[0]
    return signal - (waves @ amplitudes).T
