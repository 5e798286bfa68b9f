"""The 12-lead ECG of a phantom heart: regional dipoles, beat by beat, seen through a noisy torso.

Beats are built once per recording as templates (P, QRS, T; plus the ectopic beat) and laid at the drawn times, so a
recording costs a few milliseconds. What belongs to the person (position of the heart, torso, cells) comes from
`heart.body_seed` and stays equal in every recording; what belongs to the recording comes from `rng`. Parameters of the
whole phantom are frozen since gradient boosting on measured features (benchmarks/phantom_difficulty.py, 5,000 patients)
gave LVEF error 7.2 points and AUROC 0.92 for LVEF <= 40.
"""

import numpy as np

from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.phantom import activation, ecg_second, rhythm, torso
from echo2ecg_core.phantom.ecg_parameters import FROZEN, THIRD
from echo2ecg_core.phantom.heart import Heart

VERSIONS = (1, 2, 3)


def simulate_ecg(
    heart: Heart,
    rng: np.random.Generator,
    duration_s: float = 10.0,
    sampling_rate_hz: float = 500.0,
    version: int = 1,
) -> np.ndarray:
    """One recording.

    Args:
        heart: The heart at this visit.
        rng: Generator of this recording: electrode places, beats, noise.
        duration_s: Length in seconds.
        sampling_rate_hz: Samples a second.
        version: 1 or 2 (ecg_second.py, harder and truer), which stay as they are bit for bit, or 3: the second with
            other numbers (`ecg_parameters.THIRD`).

    Returns:
        (12, n) float32 in mV, leads I, II, III, aVR, aVL, aVF, V1 ... V6.

    Raises:
        Echo2ECGError: There is no such version.
    """
    if version not in VERSIONS:
        raise Echo2ECGError(
            f"There is no version {version} of the phantom's ECG; there are {', '.join(map(str, VERSIONS))}.",
            "Choose one of these.",
        )
    if version > 1:
        p = FROZEN if version == 2 else THIRD
        return (torso.TWELVE @ ecg_second.simulate(heart, rng, duration_s, sampling_rate_hz, p)).astype(np.float32)
    n_samples = round(duration_s * sampling_rate_hz)
    body = np.random.default_rng(heart.body_seed)
    turn = _position(heart, body)
    vectors = torso.lead_vectors(heart.bsa_m2, heart.sex, body, rng) @ turn  # (8, 3)
    beats = rhythm.draw_beats(heart, rng, duration_s)
    leads = _ventricles(heart, body, rng, beats, vectors, n_samples, sampling_rate_hz)
    if heart.rhythm == "af":
        leads += vectors @ rhythm.fibrillation(rng, n_samples, sampling_rate_hz)
    else:
        _add_p_waves(leads, heart, body, beats, vectors, sampling_rate_hz)
    leads += torso.electrode_noise(rng, n_samples, sampling_rate_hz)
    return (torso.TWELVE @ leads).astype(np.float32)


def _position(heart: Heart, body: np.random.Generator) -> np.ndarray:
    """(3, 3) rotation of the heart in the chest: more horizontal with age and body size, turned right by RV overload.

    The frontal axis moves left with age and weight (Lundh, Acta Med Scand Suppl 691, 1984), here by about 0.4 degrees a
    year, and spreads by 20 degrees.
    """
    frontal = body.normal(4, 14) - 0.35 * (heart.age_years - 45) - 12 * (heart.bsa_m2 - 1.88)
    horizontal = body.normal(0, 9) + 0.10 * min(60.0, max(0.0, heart.lvedv - 120))
    frontal += 0.30 * max(0.0, heart.rvsp - 45) - 45 * max(0.0, heart.lvpwd - 1.0)
    return torso.rotation(np.array([body.normal(0, 9), horizontal, frontal]))


def _ventricles(
    heart: Heart, body: np.random.Generator, rng: np.random.Generator, beats: rhythm.Beats, vectors: np.ndarray,
    n_samples: int, sampling_rate_hz: float,
) -> np.ndarray:  # fmt: skip
    """(8, n) QRS and T of all beats; breathing moves the size of each beat by some percent."""
    sizes = activation.region_sizes(heart, body)
    fascicular = body.random() < 0.04 + 0.0025 * max(0.0, heart.age_years - 50) + 0.20 * heart.fibrosis
    wave = activation.depolarisation(heart, sizes, body, fascicular)
    primary, secondary = activation.t_wave_area(heart, sizes, wave, body)
    qt_ms = activation.qt_ms(heart, body)
    conducted = _beat_template(wave, primary, secondary, heart.qrs_ms, qt_ms, vectors, sampling_rate_hz)
    leads = np.zeros((8, n_samples))
    ectopic = None
    swing = rng.uniform(0.01, 0.06)
    sway = rng.random()
    for onset, is_ectopic in zip(beats.onsets_s, beats.ectopic, strict=True):
        template = conducted
        if is_ectopic:
            if ectopic is None:
                ectopic_wave = activation.ectopic_depolarisation(sizes, rng)
                ectopic = _beat_template(
                    ectopic_wave,
                    0.4 * primary,
                    -1.25 * ectopic_wave.area(),
                    165.0,
                    qt_ms + 50,
                    vectors,
                    sampling_rate_hz,
                )
            template = ectopic
        breath = 1 + swing * np.sin(2 * np.pi * (beats.breath_hz * onset + sway))
        rhythm.lay(leads, breath * template, round(onset * sampling_rate_hz))
    return leads


def _beat_template(
    wave: activation.Depolarisation, primary: np.ndarray, secondary: np.ndarray, qrs_ms: float, qt_ms: float,
    vectors: np.ndarray, sampling_rate_hz: float,
) -> np.ndarray:  # fmt: skip
    """(8, t) QRS, ST and T of one beat from QRS onset, mV."""
    milliseconds = np.arange(0, qt_ms + 90, 1000 / sampling_rate_hz)
    directions = wave.moments / np.maximum(np.linalg.norm(wave.moments, axis=1, keepdims=True), 1e-9)
    strengths = torso.near_field(vectors, directions) * np.linalg.norm(wave.moments, axis=1)
    qrs = strengths @ wave.pulses(milliseconds)
    peak_ms = qrs_ms + 0.66 * (qt_ms - qrs_ms)
    dome = activation.bell(milliseconds, peak_ms, 0.27 * (qt_ms - qrs_ms), 0.155 * (qt_ms - qrs_ms))
    slope = activation.bell(milliseconds, peak_ms, 0.33 * (qt_ms - qrs_ms), 0.125 * (qt_ms - qrs_ms))
    slope *= 1 / (1 + np.exp(-(milliseconds - 0.95 * qrs_ms) / (0.06 * qrs_ms)))
    recovery = np.outer(primary, dome) + np.outer(secondary, slope)
    return qrs + vectors @ recovery


def _add_p_waves(
    leads: np.ndarray,
    heart: Heart,
    body: np.random.Generator,
    beats: rhythm.Beats,
    vectors: np.ndarray,
    sampling_rate_hz: float,
) -> None:
    """Adds to (8, n) a P wave before every conducted beat: right atrium to front and feet, then left atrium to the left
    and back.

    The left part grows and lengthens with LA volume (P terminal force in V1, Morris et al., Circulation 1964), the
    right part with RA area (P pulmonale).
    """
    stretch = (heart.lavi / 27) ** 0.35
    left_mv = 0.062 * (heart.lavi / 27) ** 0.75 * np.exp(body.normal(0, 0.18))
    right_mv = 0.085 * (heart.ra_area / 15) ** 0.8 * np.exp(body.normal(0, 0.18))
    milliseconds = np.arange(0, 190, 1000 / sampling_rate_hz)
    right = np.exp(-0.5 * ((milliseconds - 40) / 15) ** 2)
    left = np.exp(-0.5 * ((milliseconds - (40 + 32 * stretch)) / (16 * stretch)) ** 2)
    jitter = body.normal(0, 0.12, (2, 3))
    p_wave = np.outer(right_mv * (np.array((0.35, 0.85, -0.50)) + jitter[0]), right)
    p_wave += np.outer(left_mv * (np.array((0.75, 0.55, 0.75)) + jitter[1]), left)
    template = vectors @ p_wave
    for onset, is_ectopic in zip(beats.onsets_s, beats.ectopic, strict=True):
        if not is_ectopic:
            rhythm.lay(leads, template, round((onset - heart.pr_ms / 1000) * sampling_rate_hz))
