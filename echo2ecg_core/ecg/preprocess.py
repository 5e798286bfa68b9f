"""From millivolts to the windows that the ECG encoder reads: take the offset off, clean, resample, cut.

The steps of `clean` and their constants are those of the published method (clip, asymmetric least squares baseline,
group normalisation, FFT resampling). They depend on the offset of the leads (the clip is around zero) and on the rate
(the smoothness of the baseline), which carry nothing about the heart: so the offset goes first, and cleaning happens at
one rate whatever the file's. Order and target rate are arguments; models carry them in their input spec.
"""

from collections.abc import Sequence

import numpy as np

from echo2ecg_core.ecg.ready_inputs import echonext_tabular, prepare_ecgfounder, prepare_echonext  # noqa: F401
from echo2ecg_core.errors import SignalError

CLIP_STDS = 4.0
LEAD_GROUPS = (slice(0, 3), slice(3, 6), slice(6, 12))  # limb, augmented, chest leads share a mean and a variance
VARIANCE_FLOOR = 1e-12
CLEANING = 2  # raised whenever `clean_whole` gives other numbers: 1 kept the offset and cleaned at the file's own rate
CLEAN_HZ = 500.0  # the rate at which `clean` works before resampling; its constants were chosen for it
SHORTEST = 3  # samples; second differences need three
ORDERS = ("clean_then_resample", "resample_then_clean")
WINDOWS = ("first", "all")


def clean(signal: np.ndarray) -> np.ndarray:
    """Returns the recording without gaps, outliers and baseline wander, normalised by lead group.

    Args:
        signal: (12, n) in I, II, III, aVR ... V6 order, millivolts; NaN where nothing was recorded.

    Returns:
        (12, n) float32, without unit.

    Raises:
        SignalError: If there are not 12 leads of at least three samples.
    """
    from echo2ecg_core.ecg.baseline import asymmetric_baseline

    signal = np.asarray(signal, dtype=np.float32)
    if signal.ndim != 2 or signal.shape[0] != 12 or signal.shape[1] < SHORTEST:
        raise SignalError(
            f"Expected 12 leads with at least {SHORTEST} samples each, found an array of shape {signal.shape}.",
            "Give the leads as rows, in the order I, II, III, aVR, aVL, aVF, V1 to V6.",
        )
    clipped = _clip(np.nan_to_num(signal))
    return _normalise(clipped - asymmetric_baseline(clipped).astype(np.float32))


def _clip(signal: np.ndarray) -> np.ndarray:
    limit = CLIP_STDS * signal.std()  # one deviation over all leads and samples; the mean stays
    return np.clip(signal, -limit, limit)


def _normalise(signal: np.ndarray) -> np.ndarray:
    normalised = np.empty_like(signal)
    for leads in LEAD_GROUPS:
        group = signal[leads]
        normalised[leads] = (group - group.mean()) / np.sqrt(group.var() + np.float32(VARIANCE_FLOOR))
    return normalised


def without_offset(signal: np.ndarray) -> np.ndarray:
    """Returns the leads without the constant that each rests on.

    The constant is the mean of the shortest interval that holds half of a lead's samples (the shorth; Andrews et al.,
    Robust Estimates of Location, 1972): the isoelectric level, which neither QRS nor T waves pull.

    Args:
        signal: (leads, n) in any unit; NaN where nothing was recorded.
    """
    centred = np.array(signal, dtype=np.float32)
    for lead in centred:
        values = np.sort(lead[np.isfinite(lead)])
        half = (len(values) + 1) // 2
        if half:
            start = int(np.argmin(values[half - 1 :] - values[: len(values) - half + 1]))
            lead -= np.float32(values[start : start + half].mean(dtype=np.float64))
    return centred


def clean_many(signals: Sequence[np.ndarray], threads: int | None = None) -> list[np.ndarray]:
    """Cleans many recordings on all cores.

    Args:
        signals: Recordings as for `clean`; their lengths may differ.
        threads: How many work at once; all cores when None.

    Returns:
        The cleaned recordings, in the order given.
    """
    import os
    from concurrent.futures import ThreadPoolExecutor

    warm_up()
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:  # the compiled sweep releases the interpreter lock
        return list(pool.map(clean, signals))


def resample(signal: np.ndarray, from_hz: float, to_hz: float) -> np.ndarray:
    """Returns the signal at another sampling rate (FFT: the spectrum is cut or padded).

    Args:
        signal: (..., n) finite samples.
        from_hz: Rate of `signal`.
        to_hz: Rate wanted.

    Returns:
        (..., int(n * to_hz / from_hz)), of the same dtype.
    """
    from scipy.signal import resample as resample_by_fft

    signal = np.asarray(signal)
    n_samples = int(signal.shape[-1] * to_hz / from_hz)
    return resample_by_fft(signal, n_samples, axis=-1).astype(signal.dtype, copy=False)


def prepare_ecg(
    signal_mv: np.ndarray,
    sampling_rate_hz: float,
    *,
    target_hz: float = 400.0,
    n_samples: int = 1008,
    order: str = "clean_then_resample",
    windows: str = "first",
) -> np.ndarray:
    """Returns the cleaned windows of one recording that an ECG encoder takes.

    Args:
        signal_mv: (12, n) millivolts; NaN where nothing was recorded.
        sampling_rate_hz: Rate of `signal_mv`.
        target_hz: Rate the encoder was trained at.
        n_samples: Length of its window.
        order: "clean_then_resample" (clean at `CLEAN_HZ`, then resample) or "resample_then_clean" (clean at the target
            rate); they differ, because the smoothness of the baseline is tied to the sampling rate.
        windows: "first", or "all" for every whole window from the start, one after the other.

    Returns:
        (windows, 12, n_samples) float32.

    Raises:
        SignalError: If the recording does not fill one window or holds infinite numbers.
    """
    assert order in ORDERS and windows in WINDOWS, (order, windows)
    signal_mv = np.asarray(signal_mv, dtype=np.float32)
    if np.isinf(signal_mv).any():
        raise SignalError(
            "The recording holds infinite numbers where millivolts were expected.",
            "Export it again from the device, or mark missing samples as not a number.",
        )
    if _cleaned_length(signal_mv.shape[-1], sampling_rate_hz, target_hz, order) < n_samples:
        found_s, needed_s = signal_mv.shape[-1] / sampling_rate_hz, n_samples / target_hz
        raise SignalError(
            f"The recording lasts {found_s:.2f} s, but the model reads windows of {needed_s:.2f} s.",
            f"Use a recording of at least {needed_s:.2f} s; the usual 10 s ECG is long enough.",
        )
    prepared = clean_whole(signal_mv, sampling_rate_hz, target_hz=target_hz, order=order)
    n_windows = 1 if windows == "first" else prepared.shape[1] // n_samples
    cut = prepared[:, : n_windows * n_samples].reshape(12, n_windows, n_samples)
    return np.ascontiguousarray(cut.swapaxes(0, 1))  # (windows, 12, n_samples)


def clean_whole(
    signal_mv: np.ndarray, sampling_rate_hz: float, *, target_hz: float = 400.0, order: str = "clean_then_resample"
) -> np.ndarray:
    """Returns a whole recording without its offset, cleaned and at the model's rate.

    Args:
        signal_mv: (12, n) millivolts; NaN where nothing was recorded.
        sampling_rate_hz: Its rate.
        target_hz: Rate the encoder was trained at.
        order: As in `prepare_ecg`.

    Returns:
        (12, about n * target_hz / sampling_rate_hz) float32.
    """
    signal = np.nan_to_num(without_offset(signal_mv))  # one NaN would spread over its whole lead
    if order == "resample_then_clean":
        return clean(_to_rate(signal, sampling_rate_hz, target_hz))
    return _to_rate(clean(_to_rate(signal, sampling_rate_hz, CLEAN_HZ)), CLEAN_HZ, target_hz)


def _cleaned_length(n_samples: int, from_hz: float, to_hz: float, order: str) -> int:
    """How many samples `clean_whole` makes of a recording; every resampling cuts off what is less than a sample."""
    for rate in (CLEAN_HZ, to_hz) if order == "clean_then_resample" else (to_hz,):
        n_samples, from_hz = int(n_samples * rate / from_hz), rate
    return n_samples


def _to_rate(signal: np.ndarray, from_hz: float, to_hz: float) -> np.ndarray:
    return signal if from_hz == to_hz else resample(signal, from_hz, to_hz)


def warm_up() -> None:
    """Loads and compiles what `clean` and `resample` need, so that the first recording does not wait for it."""
    probe = np.random.default_rng(0).standard_normal((12, 16)).astype(np.float32)
    resample(clean(probe), 2.0, 1.0)
