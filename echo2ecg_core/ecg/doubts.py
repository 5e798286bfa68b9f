"""What speaks against an interval that was measured: how far two halves of the beats agree on it, how much hangs on how
strictly its bounds are set, and what of the heart may look like something else.

Each doubt falls on the measurements whose bounds it touches: a flutter wave on PR and QRS, a U wave on QT, a delta wave
on where the complex begins. Limits were set on every other LUDB recording and with drawn and simulated hearts
(benchmarks/measurements.py; docs/evidence.md tells which were looked at on the others).
"""

import numpy as np

from echo2ecg_core.ecg.beats import BEFORE, RATE_HZ, Beats, band, samples
from echo2ecg_core.ecg.delineate import P_LOWPASS_HZ, P_REPEATS, T_LOWPASS_HZ, Waves, velocity_of, without_line
from echo2ecg_core.ecg.electrodes import paced_beats
from echo2ecg_core.ecg.record import LEADS

HAND_LEADS = (("II", "aVF", "III", "aVR"), ("V5", "V6", "V4", "I"))  # in which P and T are read by hand, else the next
TOLERANCE = {"pr_ms": 20.0, "qrs_ms": 15.0, "qt_ms": 30.0, "axis_deg": 20.0}  # disagreement that halves the confidence
FEW_BEATS_CONFIDENCE = 0.3  # fewer than four beats cannot be split, or half of them is too few to see it
UNSURE = 0.45  # at most, where one of the doubts below is a yes or a no
P_DOUBT_MS, QRS_DOUBT_MS, QRS_TAIL_MS, T_DOUBT_MS = 28.0, 68.0, 80.0, 55.0  # that halve the confidence
ONSET_SPREAD_MS = 26.0  # between the leads' onsets of QRS, that halves the confidence of PR
DELTA_CLIMB = 0.055  # of the steepest slope, before the onset: that of a delta wave; halves PR and QRS
P_UNREST = 0.45  # share of the P wave from which II or V5 already is away from rest, that halves the confidence of PR
P_WANDER = 1.2  # times the height of the P wave, that halves it, too
T_UNREST = 0.16  # share of the T wave from which II or V5 still has to come to rest, that halves the confidence
CLEAR_T = 8.0  # times steeper than what follows; below it QT loses confidence
T_TO_REST, REST_WITHIN, REST_BEFORE_NEXT_R_S = samples(40), samples(300), 0.24  # where a lead rests between T and P
UNREST_LOWPASS_HZ, LOW_T = 15.0, 0.015  # of the height of a lead: a T wave so low tells little about its end
U_MOVES, U_STILL, U_RESTS = 0.3, 0.25, 0.15  # of the steepest slope: moves, is still; of the height: at rest
P_REST_BEFORE, P_FLOOR_MV = (samples(140), samples(10)), 0.01  # where a lead rests before P; such a P tells little
RESTLESS, HALF_FLUTTER_BPM = 0.3, (125, 175)  # share of the steepest slope; atria at 250 to 350
SURELY_REPEATS, NOTHING_REPEATS = 0.7, 0.2  # shares before the complexes: surely a P wave, surely none
REPEATS_IF_IRREGULAR = 0.6  # needed for a P wave where beats come as in fibrillation
IRREGULAR_MS = 60.0  # usual change from beat to beat; a regular rhythm without P waves is no sure finding
FEWEST_LEADS = 3  # that show complexes; fewer do not tell how wide they are over all leads
MANY_OTHERS = 0.15  # as many deflections, by the number of beats, may be beats: what lies before one may be another


def confidences(
    beats: Beats, waves: Waves | None, rr_s: float, change_ms: float, whole: dict, halves: list[dict]
) -> dict[str, float]:
    """How sure the values of the median beat are, 0 to 1 by name, `p_present` among them.

    Args:
        beats: Of the recording. waves: Bounds in their median.
        rr_s: Usual distance from one beat to the next, seconds.
        change_ms: Usual change of that distance from beat to beat.
        whole: What all beats measure. halves: What every other one does; none where they are too few.
    """
    if halves:
        found = {name: _agreement(name, whole[name], [half[name] for half in halves]) for name in TOLERANCE}
    else:
        found = {name: 0.0 if whole[name] is None else FEW_BEATS_CONFIDENCE for name in TOLERANCE}
    if waves is None:
        return found | {"p_present": 0.0}
    by_hand = beats.median[_hand_rows(beats.leads)]
    delta = _falling(waves.onset_climb / DELTA_CLIMB)
    found["pr_ms"] *= delta * _falling(waves.onset_spread_ms / ONSET_SPREAD_MS)
    found["pr_ms"] *= _falling(waves.p_doubt_ms / P_DOUBT_MS) * _falling(_unrest_before_p(by_hand, waves) / P_UNREST)
    found["pr_ms"] *= _falling(_wander_under_p(beats.windows[:, beats.leads], waves) / P_WANDER)
    found["qrs_ms"] *= delta * _falling(waves.qrs_doubt_ms / QRS_DOUBT_MS)
    found["qrs_ms"] *= _falling(waves.qrs_tail_ms / QRS_TAIL_MS)
    found["qt_ms"] *= min(1.0, waves.t_clarity / CLEAR_T) * _falling(waves.t_doubt_ms / T_DOUBT_MS)
    found["qt_ms"] *= _falling(_unrest_after_t(by_hand, waves, rr_s) / T_UNREST)
    for name in _unsure(beats, waves, change_ms, whole["p_present"]):
        found[name] = min(found[name], UNSURE)
    return found | {"p_present": _p_confidence(whole["p_present"], waves.p_repeats, change_ms)}


def _unsure(beats: Beats, waves: Waves, change_ms: float, p_present: bool | None) -> set[str]:
    """Returns the intervals that something in the rhythm or the recording makes unsure, whatever their bounds."""
    doubts = {
        ("pr_ms", "qrs_ms", "qt_ms"): paced_beats(beats),  # the spike hides where the complex begins
        ("pr_ms", "qt_ms"): _other_beats(beats, waves) >= MANY_OTHERS * len(beats.r_peaks),
        ("pr_ms",): p_present is None,
        ("qrs_ms",): (p_present is None and waves.p_restless >= RESTLESS) or beats.leads.sum() < FEWEST_LEADS,
        ("qt_ms",): (change_ms >= IRREGULAR_MS and not p_present)  # fibrillation: it follows the distance before
        or _rests_before_its_end(beats.median[beats.leads], waves),
    }
    return {name for names, doubted in doubts.items() if doubted for name in names}


def _other_beats(beats: Beats, waves: Waves) -> int:
    """Returns how many deflections may be beats or not, without those that are the P wave of the next one."""
    until = (
        beats.r_peaks[np.minimum(np.searchsorted(beats.r_peaks, beats.nearly), len(beats.r_peaks) - 1)] - beats.nearly
    )
    reach = 0 if waves.p_onset is None else BEFORE - waves.p_onset
    return beats.hardly + int((np.abs(until) > reach).sum())


def p_wave(beats: Beats, waves: Waves, rr_s: float, change_ms: float) -> bool | None:
    """Whether a P wave comes before the complexes; None where that cannot be told.

    What comes back there may be flutter waves where nothing rests between T and QRS, or where the ventricles beat at
    half the rate of fluttering atria, whose other waves then hide in QRS and T. Of beats that take turns those
    that were measured may be the ectopic ones.
    """
    if repeats_enough(waves.p_repeats, change_ms):
        is_half = HALF_FLUTTER_BPM[0] <= 60 / rr_s <= HALF_FLUTTER_BPM[1]
        return None if waves.p_restless >= RESTLESS or is_half else True
    return False if waves.p_repeats < NOTHING_REPEATS and not beats.takes_turns else None


def repeats_enough(repeats: float, change_ms: float) -> bool:
    """Whether so much of what lies before the complexes repeats that it may be a P wave."""
    return repeats >= (P_REPEATS if change_ms < IRREGULAR_MS else REPEATS_IF_IRREGULAR)


def _hand_rows(leads: np.ndarray) -> list[int]:
    """Returns the rows of one limb and one chest lead with complexes in which a reader looks for P and the end of T."""
    carried = [[LEADS.index(lead) for lead in group if leads[LEADS.index(lead)]] for group in HAND_LEADS]
    return [rows[0] for rows in carried if rows]


def _agreement(name: str, whole: float | None, halves: list[float | None]) -> float:
    """Returns 1 where both halves give the same value, 0.5 where they differ by the tolerance, 0 without a value."""
    if whole is None:
        return 0.0
    first, second = halves
    if first is None or second is None:
        return FEW_BEATS_CONFIDENCE
    difference = abs(first - second)
    if name == "axis_deg":
        difference = min(difference, 360 - difference)
    return 1 / (1 + (difference / TOLERANCE[name]) ** 2)


def _falling(ratio: float) -> float:
    """Returns 1 for small ratios, 0.5 at 1, 0 for large ones."""
    return 1 / (1 + ratio**4)


def _p_confidence(present: bool | None, repeats: float, change_ms: float) -> float:
    """Returns how sure it is that a P wave is there, or that none is; 0 where that cannot be told.

    Nothing that repeats is what fibrillation looks like, and its beats come irregularly; before regular beats a P wave
    may be too small to be seen.
    """
    if present is None:
        return 0.0
    if present:
        return float(np.clip((repeats - NOTHING_REPEATS) / (SURELY_REPEATS - NOTHING_REPEATS), 0, 1))
    absent = np.clip((P_REPEATS - repeats) / P_REPEATS, 0, 1)
    return float(absent * np.clip(change_ms / IRREGULAR_MS, 0.3, 1))


def _unrest_after_t(beat: np.ndarray, waves: Waves, rr_s: float) -> float:
    """Returns how far the lead that is farthest from rest at the end of T is from it, as a share of its T wave.

    A second half of a biphasic T wave or a merging U wave is low over all leads together, but not in the lead where a
    reader looks for the end.

    Args:
        beat: (leads, BEFORE + AFTER) median beat, of the leads in which QT is read.
        waves: Its bounds. rr_s: Usual distance from one beat to the next, seconds.
    """
    if waves.t_offset is None or not len(beat):
        return 0.0
    wave = band(beat, None, UNREST_LOWPASS_HZ)
    first = waves.t_offset + T_TO_REST
    last = min(BEFORE + round((rr_s - REST_BEFORE_NEXT_R_S) * RATE_HZ), waves.t_offset + REST_WITHIN, wave.shape[1])
    if last <= first:
        return 0.0
    quietest = first + int(np.argmin(velocity_of(wave, T_TO_REST)[first:last]))
    rest = wave[:, quietest - samples(20) : quietest + samples(20)].mean(axis=1)
    height = np.abs(wave[:, waves.qrs_offset + T_TO_REST : waves.t_offset] - rest[:, None]).max(axis=1, initial=0)
    return float((np.abs(wave[:, waves.t_offset] - rest) / (height + LOW_T * np.ptp(beat, axis=1) + 1e-9)).max())


def _rests_before_its_end(beat: np.ndarray, waves: Waves) -> bool:
    """Returns whether repolarisation comes to rest and moves again before what was taken for the end of T: the last
    wave may be a U wave.

    Args:
        beat: (leads, BEFORE + AFTER) median beat. waves: Its bounds.
    """
    if waves.t_offset is None or waves.t_offset - waves.qrs_offset < samples(120):
        return False
    wave = band(beat, None, T_LOWPASS_HZ)
    part = slice(waves.qrs_offset + samples(60), waves.t_offset)
    velocity = velocity_of(wave, samples(18))[part]
    rest = wave[:, waves.qrs_onset - samples(20) : waves.qrs_onset - samples(4)].mean(axis=1, keepdims=True)
    away = np.sqrt(((wave[:, part] - rest) ** 2).mean(axis=0))
    steep = velocity >= U_MOVES * velocity.max()
    first, last = np.flatnonzero(steep)[[0, -1]]
    at_rest = (velocity < U_STILL * velocity.max()) & (away < U_RESTS * away.max())
    return bool(at_rest[first:last].any())


def _unrest_before_p(beat: np.ndarray, waves: Waves) -> float:
    """Returns how far the lead that is farthest from rest where P begins is from it, as a share of its P wave.

    The first part of a P wave may be low over all leads together and high in the one where a reader looks for it; and
    before flutter waves no lead rests.

    Args:
        beat: (leads, BEFORE + AFTER) median beat, of the leads in which intervals are read.
        waves: Its bounds.
    """
    if waves.p_onset is None or not len(beat):
        return 0.0
    wave = band(beat, None, P_LOWPASS_HZ)
    first, last = (max(0, waves.p_onset - far) for far in P_REST_BEFORE)
    if last - first < samples(40):
        return 0.0
    quietest = (
        first
        + samples(20)
        + int(np.argmin(velocity_of(wave, samples(40))[first + samples(20) : last - samples(20) + 1]))
    )
    rest = wave[:, quietest - samples(20) : quietest + samples(20)].mean(axis=1)
    height = np.abs(wave[:, waves.p_onset : waves.qrs_onset - samples(16)] - rest[:, None]).max(axis=1, initial=0)
    return float((np.abs(wave[:, waves.p_onset] - rest) / (height + P_FLOOR_MV)).max())


def _wander_under_p(beats: np.ndarray, waves: Waves) -> float:
    """Returns how much the line under the P wave tilts from beat to beat, as a share of the height of the wave.

    Args:
        beats: (b, leads, BEFORE + AFTER), only leads that carry complexes.
        waves: Their bounds.
    """
    if waves.p_onset is None:
        return 0.0
    edge = samples(20)
    part = beats[:, :, max(waves.p_onset - edge, 0) : waves.qrs_onset - samples(16)]
    tilt = part[:, :, -edge:].mean(axis=2) - part[:, :, :edge].mean(axis=2)
    height = np.abs(without_line(np.median(part, axis=0))).max(axis=1)
    return float(np.median(tilt.std(axis=0)) / (np.median(height) + 1e-9))
