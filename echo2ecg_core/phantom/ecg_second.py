"""Version 2 of the phantom's ECG: harder and truer than version 1 (ecg.py), from the same hearts; and version 3.

What a heart does to its ECG is version 1's: living wall mass, scar, conduction, strain, atria. New are fronts instead
of pulses (wavefronts.py), two T waves (an early one of the front wall, which lifts ST in V1 to V3, and a later one of
the rest: T waves of men are taller there and all fall with age, Gambill et al., J Electrocardiol 28:191-197, 1995), ST
shifts and T inversions that no heart of ours explains, atria that lie far from the left chest electrodes, beats that
turn with the breath, and devices (electrocardiograph.py). Free numbers are in ecg_parameters.py.

Version 3 adds U waves, the recovery of the atria, ST elevation over scars and recovery that sets in before the QRS
ends; its strain has an end: a T wave turned over after an ST segment 0.1 to 0.3 mV deep, not a trough.
"""

import numpy as np

from echo2ecg_core.phantom import activation, electrocardiograph, rhythm, torso, wavefronts
from echo2ecg_core.phantom.ecg_parameters import FROZEN, Parameters
from echo2ecg_core.phantom.heart import Heart

NORMAL_QRS_AREA = np.array((30.0, 9.0, 24.0))  # mV ms, median of healthy hearts of 50 years
SINUS_SHARE, SINUS_SPREAD = 0.029, 0.6  # respiratory swing of RR at 40 years; its spread among people, log scale
ST_AXES = np.array((1.0, 1.0, 2.2))  # ST shifts are largest in the chest leads
U_DIRECTION = np.array((0.45, 0.15, -0.6))  # U waves are highest in V2 to V4


def simulate(
    heart: Heart, rng: np.random.Generator, duration_s: float, sampling_rate_hz: float, p: Parameters = FROZEN
) -> np.ndarray:
    """(8, n) mV of I, II, V1 ... V6 as a device stores them; arguments as of `ecg.simulate_ecg`."""
    n_samples = round(duration_s * sampling_rate_hz)
    source = Source(heart, np.random.default_rng([heart.body_seed, 2]), rng, sampling_rate_hz, p)
    beats = rhythm.draw_beats(heart, rng, duration_s, SINUS_SHARE, SINUS_SPREAD)
    leads = source.ventricles(beats, rng, n_samples)
    if heart.rhythm == "af":
        leads += source.atrial_vectors @ rhythm.fibrillation(rng, n_samples, sampling_rate_hz)
    else:
        source.add_p_waves(leads, beats)
    return electrocardiograph.recorded(leads, rng, sampling_rate_hz, p.devices)


class Source:
    """The waves of one person in one recording.

    Args:
        heart: The heart at this visit.
        body: Generator of the person.
        rng: Generator of this recording.
        sampling_rate_hz: Samples a second of the templates.
        p: Free numbers.

    Attributes:
        vectors: (8, 3) lead vectors of the ventricles. atrial_vectors: (8, 3) those of the atria.
        wave: Depolarisation of a conducted beat.
        recovery: (3,) areas of the late, the front's and the secondary T wave, mV ms.
        p_wave: (3, t) dipole of the atria from P onset, mV.
    """

    def __init__(
        self, heart: Heart, body: np.random.Generator, rng: np.random.Generator, sampling_rate_hz: float,
        p: Parameters = FROZEN,
    ):  # fmt: skip
        self.heart, self.rate_hz, self.p = heart, sampling_rate_hz, p
        turn = _position(heart, body, p)
        chest = torso.lead_vectors(heart.bsa_m2, heart.sex, body, rng, p.attenuation_sd, p.shape_sd, p.place_shift)
        self._turn, self._chest = turn, np.array(p.lead_gains)[:, None] * chest
        self.vectors = self._chest @ turn
        self.atrial_vectors = np.array(p.atrial_gains)[:, None] * chest @ turn
        self.sizes = activation.region_sizes(heart, body)
        fascicular = body.random() < 0.03 + 0.0020 * max(0.0, heart.age_years - 50) + 0.20 * heart.fibrosis
        late_outflow = body.random() < (0.11 if heart.sex == "male" else 0.06)
        self.wave = wavefronts.depolarisation(heart, self.sizes, body, fascicular, late_outflow, p)
        self.qt_ms = activation.qt_ms(heart, body, p.qt_ms, p.qt_ms + 12, 20)
        self.recovery = _recovery_areas(heart, self.wave, body, p)
        self._st_mv = p.st_sd * body.standard_t(4, 3) * ST_AXES
        self.p_wave = _p_wave(heart, body, sampling_rate_hz, p)
        self._u_mv = (
            p.u_mv * np.exp(body.normal(0, 0.6)) * np.clip((110 - heart.heart_rate_bpm) / 45, 0, 1) * U_DIRECTION
        )
        if heart.infarct_territory and body.random() < p.st_of_scars:
            lost = _lost_walls(heart) @ activation.DIRECTIONS[: activation.LV]
            self._st_mv = self._st_mv + body.gamma(2.0, 0.06) * lost / max(1.0, np.linalg.norm(lost))
        if body.random() < p.nonspecific_front:
            late, front, secondary = self.recovery
            self.recovery = late, front * body.uniform(-0.8, 0.5), secondary

    def beat(self, vectors: np.ndarray) -> np.ndarray:
        """(8, t) QRS, ST and T of a conducted beat from QRS onset in mV, for lead vectors (8, 3)."""
        p, qrs_ms, span = self.p, self.heart.qrs_ms, self.qt_ms - self.heart.qrs_ms
        milliseconds = np.arange(0, self.qt_ms + (300 if p.u_mv else 90), 1000 / self.rate_hz)
        norms = np.linalg.norm(self.wave.moments, axis=1)
        directions = self.wave.moments / np.maximum(norms[:, None], 1e-9)
        strengths = torso.near_field(vectors, directions, p.near_field) * norms
        qrs = strengths @ self.wave.pulses(milliseconds)
        late, front, secondary = self.recovery
        bell = activation.bell
        begins = p.st_begins if self.heart.conduction == "normal" else 1.02
        begun = 1 / (1 + np.exp(-(milliseconds - begins * qrs_ms) / (0.07 * qrs_ms)))
        shift = np.exp(-0.5 * (np.maximum(milliseconds - qrs_ms, 0) / (0.42 * span)) ** 2)
        recovery = np.outer(late, bell(milliseconds, qrs_ms + p.t_peak * span, p.t_rise * span, p.t_fall * span))
        recovery += np.outer(
            front, bell(milliseconds, qrs_ms + p.t_front_peak * span, p.t_front_rise * span, 0.15 * span)
        )
        recovery += np.outer(
            secondary, bell(milliseconds, qrs_ms + p.strain_peak * span, p.strain_rise * span, 0.125 * span)
        )
        if p.u_mv:
            after_ms = milliseconds - self.qt_ms - 110
            recovery += np.outer(self._u_mv, np.exp(-0.5 * (after_ms / np.where(after_ms < 0, 32, 42)) ** 2))
        return qrs + vectors @ ((recovery + np.outer(self._st_mv, shift)) * begun)

    def ventricles(self, beats: rhythm.Beats, rng: np.random.Generator, n_samples: int) -> np.ndarray:
        """(8, n) QRS and T of all beats; breathing turns the heart by some degrees and changes the size of beats."""
        conducted = self.beat(self.vectors)
        tilt = torso.rotation(rng.normal(0, (1.5, 1.5, 2.5)))
        breathed = self.beat(self._chest @ tilt @ self._turn) * (1 + rng.normal(0, 0.03)) - conducted
        leads = np.zeros((8, n_samples))
        ectopic = self._ectopic(rng) if beats.ectopic.any() else conducted
        sway = rng.random()
        for onset, is_ectopic in zip(beats.onsets_s, beats.ectopic, strict=True):
            breath = np.sin(2 * np.pi * (beats.breath_hz * onset + sway)) + 0.3 * rng.normal()
            template = ectopic if is_ectopic else conducted + breath * breathed
            rhythm.lay(leads, template, round(onset * self.rate_hz))
        return leads

    def _ectopic(self, rng: np.random.Generator) -> np.ndarray:
        """(8, t) a ventricular ectopic beat with its T wave against the QRS."""
        wave = activation.ectopic_depolarisation(self.sizes, rng)
        qrs_ms, span = 165.0, self.qt_ms - 115.0
        milliseconds = np.arange(0, qrs_ms + span + 90, 1000 / self.rate_hz)
        shape = activation.bell(milliseconds, qrs_ms + 0.66 * span, 0.33 * span, 0.13 * span)
        shape = shape / (1 + np.exp(-(milliseconds - 0.94 * qrs_ms) / (0.06 * qrs_ms)))
        area = 0.4 * self.recovery[0] - 1.25 * wave.area()
        return self.vectors @ (wave.moments.T @ wave.pulses(milliseconds) + np.outer(area, shape))

    def add_p_waves(self, leads: np.ndarray, beats: rhythm.Beats) -> None:
        """Adds to (8, n) a P wave before every conducted beat."""
        template = self.atrial_vectors @ self.p_wave
        for onset, is_ectopic in zip(beats.onsets_s, beats.ectopic, strict=True):
            if not is_ectopic:
                rhythm.lay(leads, template, round((onset - self.heart.pr_ms / 1000) * self.rate_hz))


def _position(heart: Heart, body: np.random.Generator, p: Parameters) -> np.ndarray:
    """(3, 3) rotation of the heart in the chest: with age, size and overload as in version 1."""
    frontal = body.normal(p.frontal, p.frontal_sd) - 0.35 * (heart.age_years - 45) - 12 * (heart.bsa_m2 - 1.88)
    horizontal = body.normal(p.horizontal, p.horizontal_sd) + 0.10 * min(60.0, max(0.0, heart.lvedv - 120))
    frontal += 0.30 * max(0.0, heart.rvsp - 45) - 45 * max(0.0, heart.lvpwd - 1.0)
    return torso.rotation(np.array([body.normal(0, 10), horizontal, frontal]))


def _recovery_areas(
    heart: Heart, wave: activation.Depolarisation, body: np.random.Generator, p: Parameters
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Late, front and secondary T area vectors, (3,) each, mV ms; shrink with failure, age and amyloid."""
    failing = 1 - 0.010 * max(0.0, 60 - heart.lvef)
    amyloid = 0.6 if "amyloid" in heart.conditions else 1.0
    common = failing * amyloid * np.exp(-0.005 * (heart.age_years - 50))
    late = p.t_strength * common * np.exp(body.normal(0, p.t_sd)) * (0.82 if heart.sex == "female" else 1.0)
    late *= body.uniform(0.2, 0.7) if body.random() < 0.12 else 1.0
    late = late * activation.unit(np.array(p.t_direction) + body.normal(0, p.t_jitter, 3))
    if body.random() < p.nonspecific:
        late = late * body.uniform(-0.7, 0.4)
    front = p.t_front_strength * common * np.exp(body.normal(0, p.t_front_sd)) * (0.6 if heart.sex == "female" else 1.0)
    front = front * activation.unit(np.array(p.t_front_direction) + body.normal(0, 0.15, 3))
    if heart.infarct_territory:
        late = late - 36.0 * body.uniform(0.4, 1.4) * _lost_walls(heart) @ activation.DIRECTIONS[: activation.LV]
    share = 1.0 if heart.conduction == "normal" else 0.6
    secondary = activation.secondary_area(heart, wave.area() - NORMAL_QRS_AREA, body)
    if heart.conduction == "normal" and p.strain_limit:
        size = float(np.linalg.norm(secondary))
        secondary *= p.strain_limit * np.tanh(size / p.strain_limit) / max(size, 1e-9)
        share = 1 - p.strain_flattens * np.tanh(size / p.strain_limit)
    return share * late, share * front, secondary


def _lost_walls(heart: Heart) -> np.ndarray:
    """(17,) how much of each segment does not move."""
    return activation.AREA[: activation.LV] * np.clip(1 - np.array(heart.wall_motion) / 0.8, 0, 1)


def _p_wave(heart: Heart, body: np.random.Generator, sampling_rate_hz: float, p: Parameters) -> np.ndarray:
    """(3, t) dipole of the atria from P onset in mV: the right, then the left atrium; size and delay grow as in version
    1."""
    stretch = (heart.lavi / 27) ** 0.35
    left_size = (heart.lavi / 27) ** 0.75 * np.exp(body.normal(0, 0.13))
    right_size = (heart.ra_area / 15) ** 0.8 * np.exp(body.normal(0, 0.13))
    milliseconds = np.arange(0, 480 if p.p_recovery else 250, 1000 / sampling_rate_hz)
    width, delay = p.p_width_ms * np.exp(body.normal(0, 0.18)), p.p_delay_ms * np.exp(body.normal(0, 0.40))
    right = np.exp(-0.5 * ((milliseconds - 2.0 * width) / width) ** 2)
    left = np.exp(-0.5 * ((milliseconds - 2.0 * width - delay * stretch) / (width * stretch)) ** 2)
    jitter = p.p_jitter * body.normal(0, 1, (2, 3)) * np.array((1, 1, 2.5))
    p_wave = np.outer(right_size * (np.array(p.p_right) + jitter[0]), right) + np.outer(
        left_size * (np.array(p.p_left) + jitter[1]), left
    )
    if p.p_recovery:
        middle, length = 2.0 * width + delay * stretch + 95, 62 * stretch
        recovery = np.exp(-0.5 * ((milliseconds - middle) / length) ** 2)
        p_wave -= p.p_recovery * np.outer(p_wave.sum(axis=1) / recovery.sum(), recovery)
    return p_wave
