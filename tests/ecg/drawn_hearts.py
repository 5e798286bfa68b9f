"""Twelve leads of hearts whose rhythm and waves are drawn, so that every interval is known: P, QRS, T and U each with
lead gains of their own, atria and ventricles each with times of their own."""

import numpy as np

RATE_HZ = 500


def leads(one, two, *chest):
    """(12,) gains, of which those of III, aVR, aVL and aVF follow from I and II."""
    return np.array([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2, *chest])


P = leads(0.06, 0.13, 0.05, 0.06, 0.05, 0.05, 0.05, 0.04)
P_LATE = leads(0.06, 0.05, -0.06, -0.02, 0.02, 0.04, 0.04, 0.05)
Q = leads(-0.1, -0.08, 0.25, 0.2, 0.1, 0.0, -0.1, -0.12)
R = leads(0.7, 1.0, 0.2, 0.4, 0.8, 1.2, 1.4, 1.1)
S = leads(-0.15, -0.2, -1.0, -1.3, -0.9, -0.6, -0.3, -0.1)
T = leads(0.2, 0.3, 0.05, 0.35, 0.4, 0.35, 0.3, 0.2)
U = leads(0.02, 0.04, 0.02, 0.08, 0.09, 0.07, 0.04, 0.03)
LEFT = leads(0.7, 0.25, -0.8, -1.1, -0.95, -0.45, 0.45, 0.85)
RIGHT = leads(-0.25, -0.1, 0.8, 0.5, 0.1, -0.15, -0.3, -0.35)
ECTOPIC = leads(-0.5, 1.0, -1.2, -1.5, -0.6, 0.8, 1.2, 0.9)
FLUTTER = leads(0.04, -0.44, 0.24, 0.1, 0.04, 0.0, -0.04, -0.06)
DELTA = leads(0.25, 0.3, 0.1, 0.25, 0.35, 0.4, 0.35, 0.3)


def hump(time_s, begin_s, end_s):
    """A raised cosine from `begin_s` to `end_s`."""
    return np.sin(np.pi * np.clip((time_s - begin_s) / (end_s - begin_s), 0, 1)) ** 2


def complex_of(kind, time_s, width_s):
    """(12, n) a QRS complex that begins at 0 and ends at `width_s`."""
    if kind == "left":
        return np.outer(LEFT, hump(time_s, 0, 0.65 * width_s) + hump(time_s, 0.35 * width_s, width_s))
    if kind == "ectopic":
        return np.outer(ECTOPIC, hump(time_s, 0, 0.7 * width_s)) + np.outer(LEFT, hump(time_s, 0.3 * width_s, width_s))
    if kind == "right":
        early = np.outer(Q, hump(time_s, 0, 0.03)) + np.outer(R, hump(time_s, 0.01, 0.07))
        return early + np.outer(S, hump(time_s, 0.035, 0.085)) + np.outer(RIGHT, hump(time_s, 0.06, width_s))
    if kind == "delta":
        ramp = np.clip(time_s / 0.05, 0, 1) * np.clip((width_s - time_s) / (width_s - 0.05), 0, 1)
        return np.outer(DELTA, ramp) + np.outer(R, hump(time_s, 0.04, 0.1)) + np.outer(S, hump(time_s, 0.06, width_s))
    waves = ((Q, 0, 0.4), (R, 0.15, 0.75), (S, 0.45, 1.0))
    return sum(np.outer(gain, hump(time_s, begin * width_s, end * width_s)) for gain, begin, end in waves)


def drawn(
    onsets_s, p_onsets_s=(), *, kinds=("narrow",), qrs_s=0.09, qt_s=0.38, t_wide_s=0.2, qrs=1.0, t=1.0, u=0.0,
    duration_s=10.0,
):  # fmt: skip
    """(12, n) mV at RATE_HZ: complexes at their onsets, kinds in turn, each with its T wave; P waves at theirs."""
    time_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    signal = 0.005 * np.random.default_rng(0).standard_normal((12, len(time_s)))
    for i, onset_s in enumerate(onsets_s):
        kind, since_s = kinds[i % len(kinds)], time_s - onset_s
        gain = -0.3 * {"left": LEFT, "ectopic": ECTOPIC}[kind] if kind in ("left", "ectopic") else T
        signal += qrs * complex_of(kind, since_s, 0.16 if kind == "ectopic" else qrs_s)
        signal += t * np.outer(gain, hump(since_s, qt_s - t_wide_s, qt_s))
        signal += u * np.outer(U, hump(since_s, qt_s, qt_s + 0.17))
    for onset_s in p_onsets_s:
        signal += np.outer(P, hump(time_s, onset_s, onset_s + 0.07)) + np.outer(
            P_LATE, hump(time_s, onset_s + 0.03, onset_s + 0.1)
        )
    return signal


def flutter(rate_hz, ratio, height):
    """(12, n): saw-toothed waves without rest and a complex after every `ratio` of them."""
    onsets_s = 0.3 + ratio / rate_hz * np.arange(60)
    phase = ((np.arange(10 * RATE_HZ) / RATE_HZ - 0.25) * rate_hz) % 1
    saw = np.where(phase < 0.65, phase / 0.65, 1 - (phase - 0.65) / 0.35) - 0.5
    qt_s = min(0.36, 0.38 * np.sqrt(ratio / rate_hz))
    return drawn(onsets_s[onsets_s < 10.5], qt_s=qt_s) + height * np.outer(FLUTTER, saw)
