"""Rate, intervals and axis of an ECG, measured on its median beat, each with a confidence.

The confidence of an interval tells how well two halves of the beats (every other one) agree on it and how little it
depends on how strictly a reader sets the bounds, not how likely a disease is. What cannot be measured is None with
confidence 0; nothing is raised on a bad signal. Durations are those over all leads together, see ecg/delineate.py.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from echo2ecg_core.ecg.beats import RATE_HZ, Beats, samples
from echo2ecg_core.ecg.common_beats import CommonBeats, common_beats
from echo2ecg_core.ecg.delineate import P_REPEATS, Waves, delineate, unrest_after_t, wander_under_p
from echo2ecg_core.ecg.electrodes import paced_beats
from echo2ecg_core.ecg.faults import runs
from echo2ecg_core.ecg.lead_agreement import NOT_TOGETHER
from echo2ecg_core.ecg.quality import MINUTE_S, Quality, judge_quality
from echo2ecg_core.ecg.record import LEADS, EcgRecord

LEAD_I, LEAD_AVF = LEADS.index("I"), LEADS.index("aVF")
QT_LEADS = (("II", "aVF", "III", "aVR"), ("V5", "V6", "V4", "I"))  # in which QT is read by hand, else the next ones
PLAUSIBLE_MS = {"pr_ms": (70, 450), "qrs_ms": (40, 260), "qt_ms": (180, 750)}
TOLERANCE = {"pr_ms": 20.0, "qrs_ms": 15.0, "qt_ms": 30.0, "axis_deg": 20.0}  # disagreement that halves the confidence
FEW_BEATS_CONFIDENCE = 0.3  # fewer than four beats cannot be split, or half of them is too few to see it
P_DOUBT_MS, QRS_DOUBT_MS, QRS_TAIL_MS, T_DOUBT_MS = 28.0, 68.0, 80.0, 55.0  # that halve the confidence
P_WANDER = 1.2  # times the height of the P wave, that halves the confidence of PR
T_UNREST = 0.16  # share of the T wave from which II or V5 still has to come to rest, that halves the confidence
BORDERLINE_CONFIDENCE = 0.45  # at most, of the rate
PACED_CONFIDENCE = 0.45  # at most: the spike hides where the complex begins
IRREGULAR_QT_CONFIDENCE = 0.45  # at most, in fibrillation: QT follows the distance from the beat before
CLEAR_T = 8.0  # times steeper than what follows; below it QT loses confidence
SURELY_REPEATS, NOTHING_REPEATS = 0.7, 0.2  # shares before the complexes: surely a P wave, surely none
REPEATS_IF_IRREGULAR = 0.6  # needed for a P wave where beats come as in fibrillation
IRREGULAR_MS = 60.0  # usual change from beat to beat; a regular rhythm without P waves is no sure finding
CORRECTED = {"qtc_bazett_ms": 1 / 2, "qtc_fridericia_ms": 1 / 3}  # exponent of the RR interval in seconds
GAP_S, STILL_S = 0.1, 1.5  # without any recorded lead, and with none that moves: a beat may be missing there
UNEVEN = 0.08  # spread of the distances between beats, as a share: of such a rhythm a gap hides something
ADULT_YEARS = 12
UNSURE_BELOW = 0.5  # a measurement with less confidence is told as one of low confidence
NUMBERS = ("heart_rate_bpm", *PLAUSIBLE_MS, *CORRECTED, "axis_deg")


@dataclass(frozen=True)
class EcgMeasurements:
    """What a reader of the ECG would measure; None where it cannot be measured.

    Attributes:
        heart_rate_bpm: Mean ventricular rate where it was recorded.
        pr_ms: P onset to QRS onset.
        qrs_ms: QRS onset to QRS end, where most leads leave and reach rest: on LUDB without bias against the earliest
            onset and latest end that cardiologists marked in II and V5.
        qt_ms: QRS onset to the end of the T wave.
        qtc_bazett_ms: QT over the square root of RR.
        qtc_fridericia_ms: QT over the cube root of RR.
        axis_deg: Frontal QRS axis, -180 to 180 degrees, from the areas in I and aVF.
        p_present: Whether a P wave precedes the complexes at a fixed distance; None where that cannot be told.
        r_times_s: Times of the R peaks.
        confidence: 0 to 1 for every measurement but the times.
    """

    heart_rate_bpm: float | None = None
    pr_ms: float | None = None
    qrs_ms: float | None = None
    qt_ms: float | None = None
    qtc_bazett_ms: float | None = None
    qtc_fridericia_ms: float | None = None
    axis_deg: float | None = None
    p_present: bool | None = None
    r_times_s: tuple[float, ...] = ()
    confidence: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict:
        """Returns the measurements and confidences as JSON holds them, rounded to what they can mean."""
        values = {name: None if getattr(self, name) is None else round(getattr(self, name), 1) for name in NUMBERS}
        return values | {
            "p_present": self.p_present,
            "r_times_s": [round(time_s, 3) for time_s in self.r_times_s],
            "confidence": {name: round(value, 2) for name, value in self.confidence.items()},
        }


def unsure(measurements: dict) -> list[str]:
    """Names of the numbers of `EcgMeasurements.as_dict` that have a value and little confidence."""
    confidence = measurements.get("confidence", {})
    return [n for n in NUMBERS if measurements.get(n) is not None and confidence.get(n, 1.0) < UNSURE_BELOW]


def measure_ecg(record: EcgRecord, quality: Quality | None = None) -> EcgMeasurements:
    """Returns rate, intervals and axis of a record; of one longer than a minute, those of its first usable minute.

    Args:
        record: The ECG.
        quality: Its quality where that is known already, with the beats it was judged by; judged here for a long one.
    """
    rate_hz, start_s, found = record.sampling_rate_hz, 0.0, None
    if record.duration_s > MINUTE_S:
        minutes = (quality or judge_quality(record)).minutes
        start_s = next((minute.start_s for minute in minutes if minute.verdict != "unusable"), 0.0)
    if quality is not None and record.units == "mV":  # other units were scaled for judging
        found = quality.found
    part = record.signal_mv[:, round(start_s * rate_hz) :]
    measured = _measured(found or common_beats(part, rate_hz), part, rate_hz)
    confidence = measured.confidence
    if quality is not None and any(note.endswith(NOT_TOGETHER) for note in quality.notes):  # one beat counts as two
        confidence = {name: min(value, BORDERLINE_CONFIDENCE) for name, value in confidence.items()}
    times_s = tuple(start_s + time_s for time_s in measured.r_times_s)
    return replace(measured, r_times_s=times_s, confidence=confidence)


def measure_signal(signal_mv: np.ndarray, sampling_rate_hz: float) -> EcgMeasurements:
    """Returns rate, intervals and axis of a signal.

    Args:
        signal_mv: (12, n) millivolts, NaN where nothing was recorded.
        sampling_rate_hz: Its rate.
    """
    return _measured(common_beats(signal_mv, sampling_rate_hz), signal_mv, sampling_rate_hz)


def _measured(found: CommonBeats | None, signal_mv: np.ndarray, sampling_rate_hz: float) -> EcgMeasurements:
    """Returns what the beats of a signal measure."""
    if found is None:
        return EcgMeasurements(confidence=dict.fromkeys((*NUMBERS, "p_present"), 0.0))
    beats, times_s = found.beats, found.beats.r_peaks / found.rate_hz
    all_rr_s = distances_s(times_s, signal_mv, sampling_rate_hz)
    rr_s = float(all_rr_s.mean())
    whole, confidence = _measure_beats(found, all_rr_s)
    of_rate = _rate_confidence(beats)
    if len(all_rr_s) < len(times_s) - 1 and all_rr_s.std() > UNEVEN * rr_s:
        of_rate = min(of_rate, BORDERLINE_CONFIDENCE)  # what was not recorded may have had another rate
    for name, exponent in CORRECTED.items():
        whole[name] = None if whole["qt_ms"] is None else whole["qt_ms"] / rr_s**exponent
        confidence[name] = min(confidence["qt_ms"], of_rate)
    return EcgMeasurements(
        heart_rate_bpm=60 / rr_s,
        r_times_s=tuple(times_s.tolist()),
        confidence={"heart_rate_bpm": of_rate} | confidence,
        **whole,
    )


def distances_s(times_s: np.ndarray, signal_mv: np.ndarray, sampling_rate_hz: float) -> np.ndarray:
    """Returns the distances from beat to beat in seconds, without those across a stretch in which nothing was recorded.

    What stands still in all leads for longer than any pause is such a stretch, too: zeros are written in its place.

    Args:
        times_s: (b,) of the beats.
        signal_mv: (12, n) millivolts, NaN where nothing was recorded. sampling_rate_hz: Its rate.
    """
    missing = np.isnan(signal_mv).all(axis=0)
    still = ~(np.abs(np.diff(signal_mv, axis=1, prepend=signal_mv[:, :1])) > 0).any(axis=0)
    silent = np.zeros(signal_mv.shape[1], dtype=bool)
    for stretch, shortest_s in ((missing, GAP_S), (still, STILL_S)):
        begins, ends = runs(np.asarray(stretch))
        is_long = ends - begins >= int(shortest_s * sampling_rate_hz)
        for begin, end in zip(begins[is_long], ends[is_long], strict=True):
            silent[begin:end] = True
    before = np.concatenate([[0], np.cumsum(silent)])
    is_whole = np.diff(before[np.clip((times_s * sampling_rate_hz).astype(int), 0, len(silent))]) == 0
    return np.diff(times_s)[is_whole if is_whole.any() else slice(None)]


def doubts_of_sampling_rate(measured: EcgMeasurements, age_years: float | None) -> list[str]:
    """Returns a doubt where rate and intervals together are those of an ECG at half or at twice its sampling rate.

    A slow heart with wide complexes and long intervals exists, but all of it at once is rare: of 140 real records none
    is doubted as recorded, 115 are at half their rate and 57 at twice (docs/evidence.md).

    Args:
        measured: Of the record.
        age_years: A child's heart is fast with narrow complexes; None where unknown.
    """
    bpm, qrs_ms = measured.heart_rate_bpm, measured.qrs_ms
    if bpm is None or qrs_ms is None:
        return []
    pr_ms, qtc_ms = measured.pr_ms, measured.qtc_bazett_ms
    slow = [bpm <= 60, qrs_ms >= 130, pr_ms is None or pr_ms >= 220, qtc_ms is None or qtc_ms >= 480]
    fast = [bpm >= 90, qrs_ms <= 72, pr_ms is None or pr_ms <= 130, qtc_ms is None or qtc_ms < 410]
    fast.append(age_years is None or age_years >= ADULT_YEARS)
    told = "Rate, PR, QRS and QT are together those of a usual ECG read at {} its sampling rate: check it."
    return [told.format(which) for which, signs in (("half", slow), ("twice", fast)) if all(signs)]


def _rate_confidence(beats: Beats) -> float:
    """Returns how far complexes stand out; little where a beat more or less is a matter of taste."""
    return min(beats.contrast, BORDERLINE_CONFIDENCE) if beats.borderline else beats.contrast


def _measure_beats(found: CommonBeats, rr_s: np.ndarray) -> tuple[dict, dict[str, float]]:
    """Returns the values of the median beat and their confidences from its two halves."""
    beats, usual_rr_s, waves = found.beats, found.rr_s, found.waves
    change_ms = usual_change_ms(rr_s)
    whole = _values(beats.median, beats.leads, waves, change_ms)
    if len(beats.windows) >= 4:
        halves = [measure_median(beats.windows[i::2], beats.leads, usual_rr_s, change_ms)[0] for i in (0, 1)]
        confidence = {name: _agreement(name, whole[name], [half[name] for half in halves]) for name in TOLERANCE}
    else:
        confidence = {name: 0.0 if whole[name] is None else FEW_BEATS_CONFIDENCE for name in TOLERANCE}
    if waves is None:
        return whole, confidence | {"p_present": 0.0}
    unrest = unrest_after_t(beats.median[_qt_rows(beats.leads)], waves, usual_rr_s)
    confidence["qt_ms"] *= min(1.0, waves.t_clarity / CLEAR_T) * _falling(waves.t_doubt_ms / T_DOUBT_MS)
    confidence["qt_ms"] *= _falling(unrest / T_UNREST)
    wander = wander_under_p(beats.windows[:, beats.leads], waves)
    confidence["pr_ms"] *= _falling(waves.p_doubt_ms / P_DOUBT_MS) * _falling(wander / P_WANDER)
    confidence["qrs_ms"] *= _falling(waves.qrs_doubt_ms / QRS_DOUBT_MS) * _falling(waves.qrs_tail_ms / QRS_TAIL_MS)
    if change_ms >= IRREGULAR_MS and not whole["p_present"]:
        confidence["qt_ms"] = min(confidence["qt_ms"], IRREGULAR_QT_CONFIDENCE)
    if paced_beats(beats):
        confidence |= {name: min(confidence[name], PACED_CONFIDENCE) for name in PLAUSIBLE_MS}
    return whole, confidence | {"p_present": _p_confidence(whole["p_present"], waves.p_repeats, change_ms)}


def _qt_rows(leads: np.ndarray) -> list[int]:
    """Returns the rows of one limb and one chest lead with complexes in which a reader looks for the end of T."""
    carried = [[LEADS.index(lead) for lead in group if leads[LEADS.index(lead)]] for group in QT_LEADS]
    return [rows[0] for rows in carried if rows]


def usual_change_ms(rr_s: np.ndarray) -> float:
    """Returns by how much one beat's distance usually differs from the next one's, 0 for fewer than three beats."""
    return 1000 * float(np.median(np.abs(np.diff(rr_s)))) if len(rr_s) > 1 else 0.0


def measure_median(windows: np.ndarray, leads: np.ndarray, rr_s: float, change_ms: float) -> tuple[dict, Waves | None]:
    """Returns intervals, axis and `p_present` of the median of aligned beats, and the bounds they come from.

    Args:
        windows: (b, 12, n) as in `Beats.windows`.
        leads: (12,) bool, those that carry complexes.
        rr_s: Usual distance from one beat to the next, seconds.
        change_ms: `usual_change_ms` of these distances.
    """
    waves = delineate(windows[:, leads], rr_s)
    return _values(np.median(windows, axis=0), leads, waves, change_ms), waves


def _values(beat: np.ndarray, leads: np.ndarray, waves: Waves | None, change_ms: float) -> dict:
    """Returns what `measure_median` does of a median beat (12, n) with these bounds."""
    values = dict.fromkeys((*TOLERANCE, "p_present"))
    if waves is None:
        return values
    spans = {
        "pr_ms": (waves.p_onset, waves.qrs_onset),
        "qrs_ms": (waves.qrs_onset, waves.qrs_offset),
        "qt_ms": (waves.qrs_onset, waves.t_offset),
    }
    for name, (begin, end) in spans.items():
        if begin is not None and end is not None:
            span_ms = 1000 * (end - begin) / RATE_HZ
            low, high = PLAUSIBLE_MS[name]
            values[name] = span_ms if low <= span_ms <= high else None
    values["axis_deg"] = _axis(beat, waves) if leads[LEAD_I] and leads[LEAD_AVF] else None
    values["p_present"] = _p_present(waves.p_repeats, change_ms)
    if not values["p_present"]:
        values["pr_ms"] = None
    return values


def _axis(beat: np.ndarray, waves: Waves) -> float:
    """Returns the direction of the mean QRS vector in the frontal plane; aVF is weaker than I by sqrt(3) / 2."""
    level = beat[:, waves.qrs_onset - samples(20) : waves.qrs_onset - samples(4)].mean(axis=1, keepdims=True)
    area = (beat - level)[:, waves.qrs_onset : waves.qrs_offset + 1].sum(axis=1)
    return float(np.degrees(np.arctan2(area[LEAD_AVF] * 2 / np.sqrt(3), area[LEAD_I])))


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


def _p_present(repeats: float, change_ms: float) -> bool | None:
    if repeats >= (P_REPEATS if change_ms < IRREGULAR_MS else REPEATS_IF_IRREGULAR):
        return True
    return False if repeats < NOTHING_REPEATS else None


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
