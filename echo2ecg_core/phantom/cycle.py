"""When a phantom heart does what: volumes, valve openings and the long axis over the cardiac cycle.

Systolic intervals follow Weissler et al. (Circulation 1968): ejection 413 - 1.7 x rate ms, isovolumic contraction about
55 ms, longer in failure and LBBB. Filling has an early wave, diastasis (the first to vanish when the beat is short) and
an atrial kick tied to the P wave; in atrial fibrillation there is none and the beats come irregularly.
"""

from dataclasses import dataclass

import numpy as np

from echo2ecg_core.phantom.heart import Heart

N_BEATS = 14  # drawn for every clip, so that a longer clip of the same seed begins the same way


@dataclass(frozen=True)
class CycleStates:
    """The heart at given times; every field is an array (t,).

    Attributes:
        contraction: 0 at end-diastole, 1 at end-systole of an average beat (up to 1.12 after a long pause in AF).
        atrial_filling: 0 (smallest) ... 1 (largest atrium).
        mitral_opening, aortic_opening: 0 closed ... 1 wide open.
        early_systole: 0 ... 1 bump 50 to 140 ms after the R wave (septal flash in LBBB).
        ejecting, filling: Flow through the aortic and the mitral valve as a share of its peak.
        systole: 1 while the ventricular pressure exceeds the atrial one (mitral leaks flow), else 0.
    """

    contraction: np.ndarray
    atrial_filling: np.ndarray
    mitral_opening: np.ndarray
    aortic_opening: np.ndarray
    early_systole: np.ndarray
    ejecting: np.ndarray
    filling: np.ndarray
    systole: np.ndarray

    def with_rest(self) -> "CycleStates":
        """The same states after one more, number 0: end-diastole with all valves closed."""
        return CycleStates(**{name: np.concatenate([[0.0], values]) for name, values in vars(self).items()})


def draw_r_waves(heart: Heart, rng: np.random.Generator, first_s: float = 0.0) -> np.ndarray:
    """Times (s) of N_BEATS R waves from one beat before `first_s` on; RR varies 2 % in sinus rhythm, 20 % in AF."""
    mean_rr = 60.0 / heart.heart_rate_bpm
    spread = 0.20 if heart.rhythm == "af" else 0.02
    rr = np.clip(mean_rr * np.exp(rng.normal(0.0, spread, N_BEATS - 1)), 0.62 * mean_rr, 1.5 * mean_rr)
    times = np.concatenate([[0.0], np.cumsum(rr)])
    return times - times[1] + first_s


def cycle_states(
    heart: Heart, times_s: np.ndarray, r_waves_s: np.ndarray, strength: np.ndarray | None = None
) -> CycleStates:
    """Contraction, filling and valves at `times_s` (t,) for beats at `r_waves_s` (must bracket the times).

    `strength` is the stroke volume of each beat over the mean; None: version 1's, the same in sinus rhythm.
    """
    beat = np.clip(np.searchsorted(r_waves_s, times_s, side="right") - 1, 0, len(r_waves_s) - 2)
    rr = (r_waves_s[1:] - r_waves_s[:-1])[beat]
    tau = times_s - r_waves_s[beat]
    weak = heart.lvef < 40
    onset = np.full_like(rr, 0.055 + 0.015 * weak + 0.03 * (heart.conduction == "lbbb"))
    ejection = (0.413 - 0.0017 * np.minimum(60 / rr, 130)) * (0.92 if weak else 1.0)
    end_systole = np.minimum(onset + ejection, 0.56 * rr)
    mitral_opens = end_systole + np.minimum(0.075, 0.1 * rr)
    kick_share = 0.0 if heart.rhythm == "af" else float(np.clip(0.2 + 0.004 * (heart.age_years - 40), 0.15, 0.42))
    kick = np.maximum(rr - heart.pr_ms / 1000 + 0.05, mitral_opens + 0.45 * (rr - mitral_opens))
    early_end = mitral_opens + np.minimum(0.22, 0.8 * (kick - mitral_opens))
    early_share = 1 - kick_share - 0.06

    early = _ramp(tau, mitral_opens, early_end)
    plateau = np.clip((tau - early_end) / np.maximum(kick - early_end, 1e-3), 0, 1)
    atrial = _ramp(tau, kick, rr - 0.015) if kick_share else _ramp(tau, early_end, rr - 0.015)
    refilled = early_share * early + 0.06 * plateau + kick_share * atrial
    emptied = _ramp(tau, onset, end_systole, skew=0.85)
    of_beats = _beat_strength(heart, r_waves_s) if strength is None else strength
    contraction = of_beats[beat] * emptied * (1 - np.clip(refilled / (early_share + 0.06 + kick_share), 0, 1))

    rising = _ramp(tau, np.zeros_like(tau), mitral_opens)
    booster = 0.4 if kick_share else 0.1
    filling_state = rising * (1 - (1 - booster) * early - booster * atrial)
    early_wave, kick_wave = _bump(tau, mitral_opens - 0.01, early_end), _bump(tau, kick, rr + 0.005)
    between = 0.38 * _ramp(tau, mitral_opens, mitral_opens + 0.03) * (1 - _ramp(tau, rr - 0.02, rr + 0.01))
    mitral = np.maximum.reduce([early_wave**0.5, (0.8 * kick_wave**0.6) if kick_share else 0 * tau, between])
    aortic = np.minimum(
        _ramp(tau, onset - 0.005, onset + 0.03), 1 - _ramp(tau, end_systole - 0.025, end_systole + 0.01)
    )
    return CycleStates(
        contraction=contraction,
        atrial_filling=np.clip(filling_state, 0, 1),
        mitral_opening=np.clip(mitral, 0, 1),
        aortic_opening=np.clip(aortic, 0, 1),
        early_systole=_bump(tau, np.full_like(tau, 0.05), np.full_like(tau, 0.14)),
        ejecting=_bump(tau, onset, end_systole) ** 0.7,
        filling=np.maximum(early_wave, (0.7 * kick_wave) if kick_share else 0 * tau),
        systole=np.minimum(_ramp(tau, 0.0 * tau, onset), 1 - _ramp(tau, end_systole, mitral_opens)),
    )


def _beat_strength(heart: Heart, r_waves_s: np.ndarray) -> np.ndarray:
    """Stroke volume of each beat over the mean; in AF it follows the pause before (beats 0 and 1 are average)."""
    rr = np.diff(r_waves_s)
    strength = np.ones(len(rr))
    if heart.rhythm == "af":
        strength[2:] = np.clip(1 + 0.3 * (rr[1:-1] / rr.mean() - 1), 0.85, 1.12)
    return strength


def uneven_beats(heart: Heart, r_waves_s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Version 2: stroke volume of each beat over the mean, varying by 5 % in sinus rhythm; in AF it also follows the
    pause before, by half of it.

    Five per cent is the size of the respiratory swing of the left ventricular stroke volume in health; in AF single
    beats differ so much that five or more are averaged (ASE/EACVI 2015).
    """
    rr = np.diff(r_waves_s)
    strength = 1 + rng.normal(0, 0.05, len(rr))
    if heart.rhythm == "af":
        strength[1:] += 0.5 * (rr[:-1] / rr.mean() - 1)
    return np.clip(strength, 0.6, 1.12)


def _ramp(t: np.ndarray, start: np.ndarray, end: np.ndarray, skew: float = 1.0) -> np.ndarray:
    """A cosine step from 0 at `start` to 1 at `end`; skew < 1 moves it early."""
    share = np.clip((t - start) / np.maximum(end - start, 1e-3), 0, 1)
    return 0.5 - 0.5 * np.cos(np.pi * share**skew)


def _bump(t: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """A half sine from `start` to `end`, 0 outside."""
    share = np.clip((t - start) / np.maximum(end - start, 1e-3), 0, 1)
    return np.sin(np.pi * share)
