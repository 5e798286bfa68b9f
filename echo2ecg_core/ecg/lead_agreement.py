"""Whether the leads agree with one another, by their beats: recorded together, at one gain, each chest lead as high as
the others let expect.

No file says any of this wrongly on purpose, but exports put columns of different moments side by side, monitors change
their gain, and one channel has another gain than its header says. Limits lie beyond what any of 200 real and simulated
recordings shows as it is (benchmarks/lead_agreement.py). What is found limits a recording; nothing is changed.
"""

from itertools import combinations

import numpy as np

from echo2ecg_core.counts import listing
from echo2ecg_core.ecg.beats import BEFORE, RATE_HZ, Beats, band, samples, smooth
from echo2ecg_core.ecg.common_beats import CommonBeats
from echo2ecg_core.ecg.record import LEADS

V1 = LEADS.index("V1")
TOGETHER = (range(V1, 12), range(V1, V1 + 3), range(V1 + 3, 12), *([row] for row in range(V1, 12)))  # as prints do
QRS_HZ, HIGHEST = (5.0, 30.0), 0.97
LOOKED_AT, STEP = samples(20_000), samples(8)
FARTHEST = samples(3000) // STEP
NOT_TOGETHER = "they were not recorded at the same moment."
LEAST_APART, LEAST_APART_ALONE = samples(48) // STEP, samples(88) // STEP  # seen: 36 ms, of one lead 80 (R' of a block)
SIMILAR, LESS_SIMILAR = 0.7, 0.2  # correlation of the complexes in time when shifted; less as they are
AS_ALIKE = 0.03
QRS = slice(BEFORE - samples(80), BEFORE + samples(120))
FEWEST_BEATS = 3  # before and after a change of gain
GAIN_OF_ALL, GAIN_OF_ONE, SAME_CHANGE, NO_CHANGE = np.log([1.35, 1.5, 1.16, 1.1])
VISIBLE, HIGH = 0.1, 0.3  # mV of QRS
MOST_LEADS, FEWEST_LEADS = 0.7, 6
# I, II and the five other chest leads -> each chest lead: least squares on median beats of every second record of LUDB
# and of 45 other sets' (benchmarks/lead_agreement.py); the zero is the lead itself
SEEN_BY = (0, 1, *range(V1, 12))
EXPECTED = np.array([
    [-0.57, -0.15, 0, 0.48, 0.03, -0.06, 0.05, -0.04],
    [0.64, 0.01, 0.94, 0, 0.62, -0.36, 0.24, -0.17],
    [0.08, 0.11, 0.04, 0.47, 0, 0.91, -0.32, -0.21],
    [-0.05, 0.09, -0.06, -0.18, 0.60, 0, 0.91, -0.37],
    [-0.06, -0.04, 0.02, 0.06, -0.10, 0.43, 0, 0.85],
    [0.23, 0.19, -0.01, -0.03, -0.05, -0.15, 0.72, 0],
])  # fmt: skip
EXPECTED_TIMES = (0.29, 2.5)  # seen: 0.31, in a lead whose complex turns over; 2.4
EXCHANGED = 0.31  # misfit with two chest leads exchanged, of what it was; seen: 0.33 once, then 0.46
FITS = (
    0.18  # misfit of leads in their places, of their size: 95 % of recordings; of shuffled ones with two exchanged more
)
SHAPED_ALIKE = 0.8
BETTER, FITTING = 0.5, 1.0  # misfit of the chest leads with one in another scale: of what it was, and at most


def apart_in_time(found: CommonBeats) -> str:
    """Which chest leads have their complexes elsewhere than all other leads, in a sentence; "" for none."""
    visible = found.beats.leads
    activity = _activity(found.signal[:, :LOOKED_AT])
    worst = (LESS_SIMILAR, 0, [0])
    for group in TOGETHER:
        rows = [row for row in group if visible[row]]
        others = [row for row in range(12) if row not in group and visible[row]]
        if not rows or len(others) < FEWEST_LEADS:
            continue
        lag, gain = _lag(activity[rows].mean(axis=0), activity[others].mean(axis=0))
        if abs(lag) >= (LEAST_APART if len(rows) > 1 else LEAST_APART_ALONE) and gain > worst[0]:
            worst = (gain, lag, rows)
    _, lag, rows = worst
    if not lag:
        return ""
    names = listing([LEADS[row] for row in rows])
    milliseconds, side = round(abs(lag) * STEP * 1000 / RATE_HZ, -1), "after" if lag > 0 else "before"
    return f"The complexes of {names} lie about {milliseconds:.0f} ms {side} those of the other leads: {NOT_TOGETHER}"


def _activity(signal: np.ndarray) -> np.ndarray:
    """(12, n / STEP) how steep each lead is, 0 to 1, without its beats' differences in height."""
    slope = smooth(np.gradient(band(signal, *QRS_HZ), axis=1) ** 2, samples(60))[:, ::STEP]
    steep = np.sqrt(np.maximum(slope, 0.0))
    steep = np.minimum(steep, np.quantile(steep, HIGHEST, axis=1, keepdims=True))
    steep = steep - np.median(steep, axis=1, keepdims=True)
    return steep / (steep.max(axis=1, keepdims=True) + 1e-12)


def _lag(one: np.ndarray, other: np.ndarray) -> tuple[int, float]:
    """By how many steps one follows the other, and how much more alike they are so; (0, 0) where they are not."""
    most = min(FARTHEST, len(one) // 3)
    middle = other[most : len(other) - most] - other[most : len(other) - most].mean()
    before = np.cumsum([np.append(0.0, one), np.append(0.0, one**2)], axis=1)
    total, squares = before[:, len(middle) :] - before[:, : -len(middle)]  # of the stretch at each lag
    spread = squares - total**2 / len(middle)
    alike = np.correlate(one, middle, "valid") / np.sqrt(np.maximum(spread * (middle @ middle), 1e-12))
    inner, least = alike[1:-1], max(alike.max() - AS_ALIKE, SIMILAR)
    peaks = (inner >= alike[:-2]) & (inner >= alike[2:]) & (inner >= least)
    lags = np.flatnonzero(peaks) + 1 - most
    if not len(lags):
        return 0, 0.0
    lag = int(lags[np.abs(lags).argmin()])  # one beat further is as alike
    return lag, float(alike[lag + most] - alike[most])


def changed_gain(beats: Beats) -> str:
    """Whether all beats are higher, or lower, from one of them on in most leads or in one; "" where not."""
    windows = beats.windows[:, :, QRS]
    windows = windows - np.median(windows, axis=2, keepdims=True)
    template = np.median(windows, axis=0)
    energy = (template**2).sum(axis=1) + 1e-12
    size = np.log(np.clip(np.einsum("bln,ln->bl", windows, template) / energy, 0.05, 20))  # (b, 12)
    height = np.ptp(template, axis=1)
    visible = beats.leads & (height > VISIBLE)
    if visible.sum() < FEWEST_LEADS:
        return ""
    changes: list[tuple[float, str]] = []
    for first in range(FEWEST_BEATS, len(size) - FEWEST_BEATS + 1):
        middles = [np.median(part, axis=0) for part in (size[:first], size[first:])]
        spread = sum(np.abs(p - m).max(axis=0) for p, m in zip((size[:first], size[first:]), middles, strict=True))
        change = middles[1] - middles[0]
        is_clear, of_all = np.abs(change) > spread, float(np.median(change[visible]))
        same = np.abs(change - of_all) < SAME_CHANGE
        odd = np.flatnonzero(~same & visible & (is_clear | (height > HIGH)))
        n_same = (same & is_clear & visible).sum()
        if abs(of_all) > GAIN_OF_ALL and n_same >= max(FEWEST_LEADS, MOST_LEADS * visible.sum()):
            changes.append((of_all, "All leads are"))
        elif abs(of_all) < NO_CHANGE and len(odd) == 1 and is_clear[odd[0]] and height[odd[0]] > HIGH:
            own = float(change[odd[0]] - of_all)
            changes += [(own, f"Lead {LEADS[odd[0]]} is")] if abs(own) > GAIN_OF_ONE else []
    if not changes:
        return ""
    change, who = max(changes, key=lambda pair: abs(pair[0]))
    return f"{who} {np.exp(change):.2g} times as high from one beat on: the gain looks changed while recording."


def unexpected(found: CommonBeats) -> str:
    """Two chest leads that look exchanged, or the one that is a multiple of what the other leads let expect or upside
    down, in a sentence; "" for none."""
    if found.waves is None:
        return ""
    beat = beat_of(found)
    if np.ptp(beat, axis=1).min() < VISIBLE:
        return ""
    return _odd_height(beat) or _exchanged(beat)


def _odd_height(beat: np.ndarray) -> str:
    """The one chest lead of (8, n) that is a multiple of what the others let expect, or upside down; "" for none."""
    factors, alike, misfit = _heights(beat)
    best = (min(FITTING, BETTER * misfit), 0, 1.0)
    for chest, factor in enumerate(factors):
        if abs(alike[chest]) < SHAPED_ALIKE or EXPECTED_TIMES[0] <= factor <= EXPECTED_TIMES[1]:
            continue
        scaled = beat.copy()
        scaled[2 + chest] /= factor
        best = min(best, (_heights(scaled)[2], chest, float(factor)))
    _, chest, factor = best
    if factor == 1.0:
        return ""
    what = "is upside down" if factor < 0 else f"is {factor:.2g} times as high"
    how = " to what the other leads let expect" if factor < 0 else " as the other leads let expect"
    return f"Lead {LEADS[V1 + chest]} {what}{how}: its sign, its gain or its name looks wrong."


def _exchanged(beat: np.ndarray) -> str:
    """Two chest leads that fit the others far better in each other's place; "" for none."""
    misfits = {}
    for one, other in combinations(range(len(EXPECTED)), 2):
        moved = beat.copy()
        moved[[2 + one, 2 + other]] = beat[[2 + other, 2 + one]]
        misfits[one, other] = _misfit(moved)
    one, other = min(misfits, key=misfits.__getitem__)
    if misfits[one, other] >= min(EXCHANGED * _misfit(beat), FITS * float((beat[2:] ** 2).sum())):
        return ""
    names = f"{LEADS[V1 + one]} and {LEADS[V1 + other]}"
    return f"Leads {names} fit the other leads better in each other's place: their electrodes or names look exchanged."


def _misfit(beat: np.ndarray) -> float:
    """Of the chest leads of (8, n), by what the other leads let expect."""
    return float(((EXPECTED @ beat - beat[2:]) ** 2).sum())


def beat_of(found: CommonBeats) -> np.ndarray:
    """(8, n) I, II, V1 to V6 of the median beat from QRS to the end of T, above the level before."""
    beat, waves = found.beats.median, found.waves
    assert waves is not None
    level = beat[:, waves.qrs_onset - samples(20) : waves.qrs_onset - samples(4)].mean(axis=1, keepdims=True)
    return (beat - level)[SEEN_BY, waves.qrs_onset - samples(10) : waves.t_offset or waves.qrs_offset]


def _heights(beat: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Each chest lead as a multiple of what the other leads let expect, how alike the two are, and the misfit of all.

    Args:
        beat: (8, n) leads I, II, V1 to V6 from QRS to the end of T.
    """
    expected, own = EXPECTED @ beat, beat[2:]
    shared = (expected * own).sum(axis=1)
    factors = shared / ((expected**2).sum(axis=1) + 1e-12)
    alike = shared / (np.linalg.norm(expected, axis=1) * np.linalg.norm(own, axis=1) + 1e-12)
    logs = np.minimum(np.abs(np.log(np.maximum(factors, 1e-2))), 2.0)
    return factors, alike, float((1 - alike + logs**2).sum())
