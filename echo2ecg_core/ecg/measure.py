"""Rate, intervals and axis of an ECG, measured on its median beat, each with a confidence.

The confidence of an interval tells how well two halves of the beats (every other one) agree on it and how little it
depends on how strictly a reader sets the bounds, not how likely a disease is. What cannot be measured is None with
confidence 0; nothing is raised on a bad signal. Durations are those over all leads together, see ecg/delineate.py.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from echo2ecg_core.ecg.beats import RATE_HZ, Beats, samples
from echo2ecg_core.ecg.common_beats import CommonBeats, common_beats
from echo2ecg_core.ecg.delineate import Waves, delineate
from echo2ecg_core.ecg.doubts import TOLERANCE, confidences, p_wave, repeats_enough
from echo2ecg_core.ecg.faults import runs
from echo2ecg_core.ecg.lead_agreement import NOT_TOGETHER
from echo2ecg_core.ecg.quality import MINUTE_S, Quality, judge_quality
from echo2ecg_core.ecg.record import LEADS, EcgRecord

LEAD_I, LEAD_AVF = LEADS.index("I"), LEADS.index("aVF")
PLAUSIBLE_MS = {"pr_ms": (70, 450), "qrs_ms": (40, 260), "qt_ms": (180, 750)}
BORDERLINE_CONFIDENCE = 0.45  # at most, of the rate
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
    doubted = beats.borderline or beats.t_waves_counted
    return min(beats.contrast, BORDERLINE_CONFIDENCE) if doubted else beats.contrast


def _measure_beats(found: CommonBeats, rr_s: np.ndarray) -> tuple[dict, dict[str, float]]:
    """Returns the values of the median beat and their confidences from its two halves and what else makes doubtful."""
    beats, usual_rr_s, waves = found.beats, found.rr_s, found.waves
    change_ms = usual_change_ms(rr_s)
    whole, parts = (
        _values(beats, beats.median, waves, usual_rr_s, change_ms),
        range(2 if len(beats.windows) >= 4 else 0),
    )
    halves = [measure_median(beats, usual_rr_s, change_ms, slice(i, None, 2))[0] for i in parts]
    return whole, confidences(beats, waves, usual_rr_s, change_ms, whole, halves)


def usual_change_ms(rr_s: np.ndarray) -> float:
    """Returns by how much one beat's distance usually differs from the next one's, 0 for fewer than three beats."""
    return 1000 * float(np.median(np.abs(np.diff(rr_s)))) if len(rr_s) > 1 else 0.0


def measure_median(
    beats: Beats, rr_s: float, change_ms: float, which: slice = slice(None)
) -> tuple[dict, Waves | None]:
    """Returns intervals, axis and `p_present` of the median of beats that look alike, and the bounds they come from.

    Args:
        beats: Of a recording.
        rr_s: Usual distance from one beat to the next, seconds.
        change_ms: `usual_change_ms` of these distances.
        which: Of the beats that look alike.
    """
    windows = beats.windows[which]
    waves = delineate(windows[:, beats.leads], rr_s, beats.since_s)
    return _values(beats, np.median(windows, axis=0), waves, rr_s, change_ms), waves


def _values(beats: Beats, beat: np.ndarray, waves: Waves | None, rr_s: float, change_ms: float) -> dict:
    """Returns what `measure_median` does of a median (12, n) of these beats with these bounds."""
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
    values["axis_deg"] = _axis(beat, waves) if beats.leads[LEAD_I] and beats.leads[LEAD_AVF] else None
    if not repeats_enough(waves.p_repeats, change_ms):
        values["pr_ms"] = None
    values["p_present"] = p_wave(beats, waves, rr_s, change_ms)
    return values


def _axis(beat: np.ndarray, waves: Waves) -> float:
    """Returns the direction of the mean QRS vector in the frontal plane; aVF is weaker than I by sqrt(3) / 2."""
    level = beat[:, waves.qrs_onset - samples(20) : waves.qrs_onset - samples(4)].mean(axis=1, keepdims=True)
    area = (beat - level)[:, waves.qrs_onset : waves.qrs_offset + 1].sum(axis=1)
    return float(np.degrees(np.arctan2(area[LEAD_AVF] * 2 / np.sqrt(3), area[LEAD_I])))
