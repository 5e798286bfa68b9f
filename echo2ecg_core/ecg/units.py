"""Voltage units: factors to mV for units that files name, and a judgement by amplitude for arrays that name none.

The judgement compares the typical peak-to-peak of one second, median over the leads, with 1 mV: 120 annotated
12-lead records lie between 0.3 and 1.4 mV. Integers are counts (1 or 5 µV each), never mV: whole millivolts
cannot draw an ECG.
"""

import math

import numpy as np

_MV_PER_UNIT = {
    "v": 1e3, "volt": 1e3, "volts": 1e3,
    "mv": 1.0, "millivolt": 1.0, "millivolts": 1.0,
    "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "microvolt": 1e-3, "microvolts": 1e-3,
    "nv": 1e-6, "nanovolt": 1e-6, "nanovolts": 1e-6,
}  # fmt: skip

TYPICAL_MV = 1.0
LOWEST_MV, HIGHEST_MV = 0.15, 5.0  # a typical second of an ECG, low voltage and hypertrophy included
FLOAT_CANDIDATES = {"V": 1e3, "mV": 1.0, "µV": 1e-3}
COUNT_CANDIDATES = {"µV": 1e-3, "counts of 5 µV": 5e-3}


def mv_per_unit(unit: str) -> float | None:
    """The factor from a named unit to mV, None when the name is no voltage unit."""
    return _MV_PER_UNIT.get(str(unit).strip().strip("()[]").strip().lower())


def typical_amplitude(signal: np.ndarray, sampling_rate_hz: float) -> float:
    """The peak-to-peak amplitude of a typical second in a typical lead, in the signal's own unit.

    Args:
        signal: (leads, n) in any unit; NaN for missing samples.
        sampling_rate_hz: Samples a second.

    Returns:
        Median over the leads that move of the median over one-second windows; 0 when nothing moves.
    """
    window = max(1, min(int(sampling_rate_hz), signal.shape[1]))
    n_windows = signal.shape[1] // window
    windows = np.nan_to_num(signal[:, : n_windows * window]).reshape(signal.shape[0], n_windows, window)
    per_lead = np.median(np.ptp(windows, axis=2), axis=1)
    moving = per_lead[per_lead > 0]
    return float(np.median(moving)) if moving.size else 0.0


def judge_unit(
    signal: np.ndarray, sampling_rate_hz: float, candidates: dict[str, float] | None = None
) -> tuple[float, str]:
    """The factor to mV that makes an array without units look like an ECG, and the sentence that says why.

    Args:
        signal: (leads, n) in an unknown unit.
        sampling_rate_hz: Samples a second.
        candidates: Unit name -> mV per unit; by default chosen by whether the values are whole numbers.

    Returns:
        Factor to mV and a note.
    """
    finite = signal[np.isfinite(signal)]
    if candidates is None:
        whole = finite.size > 0 and bool((finite == np.round(finite)).all())
        candidates = COUNT_CANDIDATES if whole else FLOAT_CANDIDATES
    amplitude = typical_amplitude(signal, sampling_rate_hz)
    if amplitude <= 0 or not math.isfinite(amplitude):
        name = next(iter(candidates))
        return candidates[name], f"The file names no unit and its amplitude settles none; taken as {name}."
    first, second = sorted(candidates, key=lambda unit: abs(math.log(amplitude * candidates[unit] / TYPICAL_MV)))[:2]
    return candidates[first], (
        f"The file names no unit; a typical QRS of {amplitude:.3g} peak to peak was taken as {first} "
        f"({amplitude * candidates[first]:.2g} mV; as {second} it would be {amplitude * candidates[second]:.2g} mV)."
    )


def judge_counts(signal: np.ndarray, sampling_rate_hz: float) -> tuple[float, str]:
    """The factor to mV of counts that share one unknown gain, and its name: µV wherever an ECG in µV can be so high.

    Args:
        signal: (leads, n) counts.
        sampling_rate_hz: Samples a second.
    """
    amplitude = typical_amplitude(signal, sampling_rate_hz)
    name = "µV"
    if not LOWEST_MV <= amplitude * COUNT_CANDIDATES[name] <= HIGHEST_MV:
        name = min(COUNT_CANDIDATES, key=lambda unit: abs(math.log(max(amplitude, 1e-9) * COUNT_CANDIDATES[unit])))
    return COUNT_CANDIDATES[name], name
