"""The machine and the skin of the second phantom: electrode noise of graded quality, filters and resolution of devices.

Noise is added at the nine electrodes and one filter works on all leads, so the equations of the limb leads hold. High
pass 0.05 Hz (diagnostic) or 0.5 Hz (monitoring), low pass 150, 100, 40 or 35 Hz and a mains notch are the choices of
the AHA/ACC/HRS recommendations and of carts in use (Kligfield et al., Circulation 115:1306-1324, 2007; that many
hospital ECGs are recorded at 40 Hz: Kligfield and Okin, Am J Cardiol 99:711, 2007); how often each is chosen is ours.
250 Hz, for children in those recommendations, is used in version 3 alone. Resolution 1, 2.5, 4.88 (GE MUSE) or 5 uV a
step.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from echo2ecg_core.phantom import torso

LOW_PASS_HZ, HIGH_PASS_HZ = (150.0, 100.0, 40.0, 35.0, 250.0), (0.05, 0.5)
STEPS_MV, STEP_SHARES = (0.001, 0.0025, 0.00488, 0.005), (0.4, 0.1, 0.3, 0.2)
NOTCH_SHARE = 0.5
GRADES, GRADE_SHARES = (1.0, 2.0, 4.0), (0.70, 0.22, 0.08)  # times the noise of a good recording


@dataclass(frozen=True)
class Devices:
    """How often carts are set to what, and how much their electrodes and amplifiers add.

    Attributes:
        low_pass: Shares of `LOW_PASS_HZ`. high_pass: Shares of `HIGH_PASS_HZ`.
        muscle_mv, muscle_spread: Median of muscle noise at an electrode, spread among recordings on a log scale.
        wander_mv, wander_spread: The same of baseline wander.
        white_mv: Median of the amplifier's noise before the filters.
        digital_mv, digital_spread: Median and spread (log scale) of the noise behind them, of conversion and software.
    """

    low_pass: tuple[float, ...] = (0.72, 0.12, 0.13, 0.03, 0.0)
    high_pass: tuple[float, ...] = (0.85, 0.15)
    muscle_mv: float = 0.0042
    muscle_spread: float = 0.45
    wander_mv: float = 0.035
    wander_spread: float = 0.55
    white_mv: float = 0.0016
    digital_mv: float = 0.0
    digital_spread: float = 0.6


def recorded(leads: np.ndarray, rng: np.random.Generator, sampling_rate_hz: float, devices: Devices) -> np.ndarray:
    """What a device stores of (8, n) mV at the body: noise, filters, resolution."""
    mains_hz = 50.0 if rng.random() < 0.5 else 60.0
    leads = leads + electrode_noise(rng, leads.shape[1], sampling_rate_hz, mains_hz, devices)
    leads = _high_passed(leads, float(rng.choice(HIGH_PASS_HZ, p=devices.high_pass)), sampling_rate_hz)
    low_pass_hz = float(rng.choice(LOW_PASS_HZ, p=devices.low_pass))
    if low_pass_hz < 0.45 * sampling_rate_hz:
        leads = _low_passed(leads, low_pass_hz, sampling_rate_hz)
    if rng.random() < NOTCH_SHARE and mains_hz < 0.45 * sampling_rate_hz:
        leads = _notched(leads, mains_hz, sampling_rate_hz)
    step = float(rng.choice(STEPS_MV, p=STEP_SHARES))
    if devices.digital_mv:
        leads = leads + devices.digital_mv * np.exp(rng.normal(0, devices.digital_spread)) * rng.normal(
            size=leads.shape
        )
    return step * np.round(leads / step)


def electrode_noise(
    rng: np.random.Generator, n_samples: int, sampling_rate_hz: float, mains_hz: float, devices: Devices
) -> np.ndarray:
    """(8, n) mV of baseline wander, muscle, mains, amplifier and motion in I, II, V1 ... V6.

    Kinds as in torso.py; one of three grades multiplies muscle and mains. The amplifier adds about 2 uV of white noise
    (IEC 60601-2-25 allows 30 uV from peak to peak).
    """
    grade = float(rng.choice(GRADES, p=GRADE_SHARES))
    frequencies = np.fft.rfftfreq(n_samples, 1 / sampling_rate_hz)
    bins = len(frequencies)
    electrodes = torso.ELECTRODES
    muscle_mv = np.exp(rng.normal(np.log(devices.muscle_mv), devices.muscle_spread) + rng.normal(0, 0.30, electrodes))
    muscle_mv = muscle_mv[:, None] * grade
    wander_mv = np.exp(rng.normal(np.log(devices.wander_mv), devices.wander_spread) + rng.normal(0, 0.35, electrodes))
    wander_mv = wander_mv[:, None]
    white_mv = devices.white_mv * np.exp(rng.normal(0, 0.35))
    muscle = (frequencies / 25) / (1 + (frequencies / 25)) / (1 + (frequencies / 110) ** 2)
    wander = np.where((frequencies > 0) & (frequencies < 2.5), np.exp(-frequencies / 0.30), 0.0)
    level = (
        muscle_mv * muscle / np.sqrt((muscle**2).mean())
        + wander_mv * wander / np.sqrt((wander**2).sum() / bins)
        + white_mv
    )
    spectrum = rng.standard_normal((2, electrodes, bins), dtype=np.float32)
    spectrum = (spectrum[0] + 1j * spectrum[1]) * (level * np.sqrt(n_samples / 4)).astype(np.float32)
    mains_mv = 0.0025 * grade * rng.exponential(1.0, electrodes) * (rng.random() < 0.35)
    spectrum[:, np.argmin(np.abs(frequencies - mains_hz))] += (
        mains_mv * n_samples / 2 * np.exp(2j * np.pi * rng.random())
    )
    noise = np.fft.irfft(spectrum, n_samples)
    if rng.random() < 0.05 * grade:
        noise[rng.integers(electrodes)] += torso.motion(rng, n_samples, sampling_rate_hz)
    return torso.FROM_ELECTRODES @ noise


@cache
def _sections(kind: str, hz: float, sampling_rate_hz: float) -> np.ndarray:
    from scipy.signal import butter, iirnotch, tf2sos

    if kind == "notch":
        return tf2sos(*iirnotch(hz, 12.0, sampling_rate_hz))
    order = 1 if kind == "highpass" else 2
    return butter(order, hz, kind, fs=sampling_rate_hz, output="sos")


def _filtered(leads: np.ndarray, sections: np.ndarray) -> np.ndarray:
    """Causal, at rest at the first sample."""
    from scipy.signal import sosfilt, sosfilt_zi

    at_rest = sosfilt_zi(sections)[:, None] * leads[:, :1][None]
    return sosfilt(sections, leads, axis=1, zi=at_rest)[0]


def _high_passed(leads: np.ndarray, hz: float, sampling_rate_hz: float) -> np.ndarray:
    return _filtered(leads, _sections("highpass", hz, sampling_rate_hz))


def _low_passed(leads: np.ndarray, hz: float, sampling_rate_hz: float) -> np.ndarray:
    return _filtered(leads, _sections("lowpass", hz, sampling_rate_hz))


def _notched(leads: np.ndarray, hz: float, sampling_rate_hz: float) -> np.ndarray:
    return _filtered(leads, _sections("notch", hz, sampling_rate_hz))
