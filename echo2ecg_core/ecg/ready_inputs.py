"""ECGs and numbers as the published models of others were trained on: EchoNext-Mini and ECGFounder.

Steps and constants are facts of the published models. Where their authors have no rule (other rates, other lengths,
missing samples) a choice is made here, once, and `choices_made` says it in words for the screen.
"""

import numpy as np

from echo2ecg_core.errors import SignalError

DURATION_S = 10.0
ECHONEXT_SHORTEST_S, ECGFOUNDER_SHORTEST_S = (
    9.5,
    5.0,
)  # our choice: half a second lost at the end is no reason to refuse
MV_PER_COUNT = 0.00488  # one count of a GE MUSE waveform
ECHONEXT_HZ, ECHONEXT_MEDIANS = 250.0, (51, 151)
ECHONEXT_LOWER = (-140.0, -206.0, -324.0, -247.0, -153.0, -249.0, -369.0, -522.0, -554.0, -411.0, -290.0, -209.0)
ECHONEXT_UPPER = (287.0, 297.0, 236.0, 118.5, 270.0, 245.5, 219.0, 297.0, 366.0, 450.0, 451.0, 396.0)
ECHONEXT_MEAN = (
    5.438902932045533, 4.386144027595723, -0.8828521117626768, -4.901228423594343, 3.179303315626078,
    1.718962497412901, -4.3853678923766815, -1.4991789389444636, -0.2390101635046568, 3.622168549154881,
    5.396823627457744, 5.660982479475681,
)  # fmt: skip
ECHONEXT_STD = (
    32.4283237955487, 31.37262367036232, 30.155474930762434, 28.126380180199195, 27.097711990189254,
    26.148743373957526, 37.739210938823206, 52.792504469040814, 56.75138860280555, 49.90223860158139,
    45.001427330308026, 39.06606103398455,
)  # fmt: skip
NUMBERS = {  # name -> mean, scale, and the median on the scaled axis that stands for a missing value
    "age_years": (61.269679199724045, 16.0088291093417, 0.10808540640028777),
    "ventricular_rate": (83.37899965505346, 20.38871835899758, -0.11668215790540877),
    "atrial_rate": (89.22718178682304, 44.435355754236824, -0.18514945243886324),
    "pr_ms": (142.8808416695412, 57.740987114393675, 0.15793215159956217),
    "qrs_ms": (94.80925836495344, 21.872021750684034, -0.2198817475482361),
    "qtc_ms": (452.8796671909926, 40.09147266082739, -0.09677038366274254),
}
ZERO_WHEN_MISSING = ("atrial_rate", "pr_ms")  # before scaling
ECGFOUNDER_HZ, ECGFOUNDER_MEDIAN = 500.0, 201
NOTCH_HZ, NOTCH_Q, BAND_HZ, BAND_ORDER = 50.0, 30.0, (0.67, 40.0), 4


def prepare_echonext(signal_mv: np.ndarray, sampling_rate_hz: float) -> np.ndarray:
    """The window EchoNext-Mini reads: MUSE counts at 250 Hz, baseline removed, clipped, standardised per lead.

    Args:
        signal_mv: (12, n) millivolts in I, II, III, aVR ... V6 order; NaN counts as 0. III, aVR, aVL and aVF are
            computed from I and II, as the authors do. Of more than 10 s the first 10; of less (at least 9.5 s), the
            last sample is held.
        sampling_rate_hz: Its rate. 250 Hz is taken as it is, of 500 Hz every second sample; other rates have no
            published rule and are resampled.

    Returns:
        (12, 2500) float32.

    Raises:
        SignalError: not 12 leads, infinite numbers, or shorter than 9.5 s.
    """
    signal = _checked(signal_mv, sampling_rate_hz, ECHONEXT_SHORTEST_S)
    counts = _echonext_samples(signal, sampling_rate_hz) / MV_PER_COUNT  # (12, 2500) float64
    one, two = counts[0], counts[1]
    counts[2:6] = two - one, -(one + two) / 2, one - two / 2, two - one / 2
    baseline = counts
    for width in ECHONEXT_MEDIANS:
        baseline = _running_median(baseline, width)
    lower, upper, mean, std = (
        np.asarray(values)[:, None] for values in (ECHONEXT_LOWER, ECHONEXT_UPPER, ECHONEXT_MEAN, ECHONEXT_STD)
    )
    return ((np.clip(counts - baseline, lower, upper) - mean) / std).astype(np.float32)


def echonext_tabular(
    *,
    sex: str | None = None,
    age_years: float | None = None,
    ventricular_rate: float | None = None,
    atrial_rate: float | None = None,
    pr_ms: float | None = None,
    qrs_ms: float | None = None,
    qtc_ms: float | None = None,
) -> np.ndarray:
    """The seven numbers EchoNext-Mini reads beside the window, (7,) float32; None = not measured.

    A missing atrial rate or PR becomes 0 before scaling, any other missing value the authors' median; a measured 0
    stays. The authors exclude people of unknown sex; here it counts as 0.5, between female (0) and male (1).

    Raises:
        SignalError: `sex` is neither "male", "female" nor None, or a number is infinite.
    """
    given = {
        "age_years": age_years,
        "ventricular_rate": ventricular_rate,
        "atrial_rate": atrial_rate,
        "pr_ms": pr_ms,
        "qrs_ms": qrs_ms,
        "qtc_ms": qtc_ms,
    }
    codes = {"male": 1.0, "female": 0.0, None: 0.5}
    if sex not in codes:
        raise SignalError(f"The sex has to be male, female or unknown, found {sex!r}.")
    vector = [codes[sex]]
    for name, (mean, scale, median) in NUMBERS.items():
        measured = given[name]
        value = None if measured is None or np.isnan(measured) else float(measured)
        if value is not None and np.isinf(value):
            raise SignalError(f"The measurement {name} is infinite; expected a number or nothing.")
        if value is None and name in ZERO_WHEN_MISSING:
            value = 0.0
        vector.append(median if value is None else (value - mean) / scale)
    return np.array(vector, np.float32)


def prepare_ecgfounder(signal_mv: np.ndarray, sampling_rate_hz: float) -> np.ndarray:
    """The window ECGFounder reads: notch, band pass, minus a running median, standardised as one.

    The chain of the authors' dataset.py, which their README asks for; the notch is at 50 Hz everywhere.

    Args:
        signal_mv: (12, n) millivolts in I, II, III, aVR ... V6 order; NaN counts as 0. Of more than 10 s the first
            10; of less (at least 5 s), zeros follow.
        sampling_rate_hz: Its rate; another one than 500 Hz is resampled to 500 Hz. (The authors' code stretches
            every recording to 5000 points, which would change its heart rate; that is not done here.)

    Returns:
        (12, 5000) float32.

    Raises:
        SignalError: not 12 leads, infinite numbers, or shorter than 5 s.
    """
    from scipy.signal import butter, filtfilt, iirnotch

    signal = _checked(signal_mv, sampling_rate_hz, ECGFOUNDER_SHORTEST_S)
    n = round(ECGFOUNDER_HZ * DURATION_S)
    signal = _at_rate(signal, sampling_rate_hz, ECGFOUNDER_HZ, n)
    signal = np.pad(signal, ((0, 0), (0, n - signal.shape[1])))  # (12, 5000)
    signal = filtfilt(*iirnotch(NOTCH_HZ, NOTCH_Q, ECGFOUNDER_HZ), signal, axis=1)
    signal = filtfilt(*butter(BAND_ORDER, BAND_HZ, "bandpass", fs=ECGFOUNDER_HZ), signal, axis=1)
    signal = signal - _running_median(signal, ECGFOUNDER_MEDIAN)
    return ((signal - signal.mean()) / (signal.std() + 1e-8)).astype(np.float32)


def choices_made(signal_mv: np.ndarray, sampling_rate_hz: float, wanted_hz: float) -> tuple[str, ...]:
    """What was done to an ECG for a ready model that its authors have no rule for, in sentences; () for a plain one."""
    notes, duration_s = [], signal_mv.shape[1] / sampling_rate_hz
    plain = (wanted_hz, 2 * wanted_hz) if wanted_hz == ECHONEXT_HZ else (wanted_hz,)
    if sampling_rate_hz not in plain:
        notes.append(
            f"Resampled from {sampling_rate_hz:g} to {wanted_hz:g} Hz; the authors have no rule for this rate."
        )
    if duration_s > DURATION_S + 0.01:
        notes.append(f"The first 10 s of {duration_s:.1f} s were read.")
    if duration_s < DURATION_S:
        notes.append(f"The recording lasts {duration_s:.1f} s only; its end was filled up to 10 s.")
    if np.isnan(signal_mv).any():
        notes.append("Missing samples count as 0 mV.")
    return tuple(notes)


def _checked(signal_mv: np.ndarray, sampling_rate_hz: float, shortest_s: float) -> np.ndarray:
    """The signal in float64 without gaps; raises a SignalError for what cannot be used."""
    signal = np.asarray(signal_mv, np.float64)
    if signal.ndim != 2 or signal.shape[0] != 12:
        raise SignalError(
            f"Expected 12 leads as rows, found an array of shape {signal.shape}.",
            "Give the leads in the order I, II, III, aVR, aVL, aVF, V1 to V6.",
        )
    if np.isinf(signal).any():
        raise SignalError(
            "The recording holds infinite numbers where millivolts were expected.",
            "Export it again from the device, or mark missing samples as not a number.",
        )
    found_s = signal.shape[1] / sampling_rate_hz
    if found_s < shortest_s:
        raise SignalError(
            f"The recording lasts {found_s:.2f} s, but this model needs at least {shortest_s:g} s.",
            "Use a standard ECG of 10 s.",
        )
    return np.nan_to_num(signal)


def _echonext_samples(signal: np.ndarray, sampling_rate_hz: float) -> np.ndarray:
    n = round(ECHONEXT_HZ * DURATION_S)
    if sampling_rate_hz == 2 * ECHONEXT_HZ:
        taken = signal[:, ::2][:, :n]  # no filter before it: so were the weights trained
    else:
        taken = _at_rate(signal, sampling_rate_hz, ECHONEXT_HZ, n)
    return np.pad(taken, ((0, 0), (0, n - taken.shape[1])), mode="edge")


def _at_rate(signal: np.ndarray, from_hz: float, to_hz: float, n: int) -> np.ndarray:
    """The first n samples at another rate, (12, up to n), a copy."""
    from scipy.signal import resample

    if from_hz == to_hz:
        return signal[:, :n].copy()
    kept = signal[:, : round(n * from_hz / to_hz)]
    return resample(kept, min(n, round(kept.shape[1] * to_hz / from_hz)), axis=1)


def _running_median(signal: np.ndarray, width: int) -> np.ndarray:
    """Median over `width` samples around each, with zeros beyond the ends, lead by lead: (12, n) -> (12, n)."""
    from scipy.ndimage import median_filter

    return np.stack([median_filter(lead, size=width, mode="constant", cval=0.0) for lead in signal])
