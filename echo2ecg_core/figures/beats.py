"""The median beat of an ECG on paper, with the bounds between which its intervals were measured.

Beats and bounds are those of `measure_ecg`, so a reader can check with the eye what the numbers rest on.
"""

import math
from dataclasses import dataclass

import numpy as np

from echo2ecg_core.ecg.record import LEADS, EcgRecord
from echo2ecg_core.figures.ecg import CLEAR_MM, Mark, Paper, Strip, reach_of, row_room, zero_lines

BEFORE_S, AFTER_S = 0.4, 0.8  # shown around the R peak
SPEED_MM_S, GAIN_MM_MV = 50, 10
_BEGINNINGS = ("P", "QRS")
_PITCH_MM, _FIRST_MM, _MARGIN_MM, _GAP_MM = 26, 17, 15, 1


@dataclass(frozen=True, eq=False)
class MedianBeat:
    """The median of the commonest beats.

    Attributes:
        signal_mv: (12, n) from BEFORE_S before the R peak to AFTER_S after it, 0.5-40 Hz.
        sampling_rate_hz: Its rate.
        bounds_s: Where P, QRS and T begin or end, seconds from the first sample; only what was found.
        n_beats: How many beats it is the median of.
    """

    signal_mv: np.ndarray
    sampling_rate_hz: float
    bounds_s: dict[str, float]
    n_beats: int


def median_beat(record: EcgRecord) -> MedianBeat | None:
    """The median beat of a record, or None where no repeating beat is found."""
    from echo2ecg_core.ecg.beats import BEFORE
    from echo2ecg_core.ecg.common_beats import common_beats

    found = common_beats(record.signal_mv, record.sampling_rate_hz)
    if found is None:
        return None
    beats, waves, rate_hz = found.beats, found.waves, found.rate_hz
    first, last = BEFORE - round(BEFORE_S * rate_hz), BEFORE + round(AFTER_S * rate_hz)
    bounds = {}
    if waves is not None:
        bounds = {"P": waves.p_onset, "QRS": waves.qrs_onset, "J": waves.qrs_offset, "T end": waves.t_offset}
    bounds_s = {name: (at - first) / rate_hz for name, at in bounds.items() if at is not None and first <= at < last}
    return MedianBeat(beats.median[:, first:last].astype(np.float32), rate_hz, bounds_s, len(beats.windows))


def plan_beats(beat: MedianBeat) -> Paper:
    """Paper for the median beat: three rows of four leads, all at the same time, with a mark at every bound."""
    length_s = BEFORE_S + AFTER_S
    reach = reach_of(beat.signal_mv)
    room = [row_room(LEADS[row::3], GAIN_MM_MV, reach) for row in range(3)]
    lines = zero_lines(room, _PITCH_MM, _FIRST_MM)
    column_mm = length_s * SPEED_MM_S + _GAP_MM
    left = [_MARGIN_MM + column * column_mm for column in range(4)]
    strips = tuple(Strip(lead, lead, 1, left[i // 3], lines[i % 3], 0.0, length_s) for i, lead in enumerate(LEADS))
    marks = tuple(
        Mark(x + at_s * SPEED_MM_S, name, name in _BEGINNINGS) for x in left for name, at_s in beat.bounds_s.items()
    )
    return Paper(
        layout="median beats",
        speed_mm_s=SPEED_MM_S,
        gain_mm_mv=GAIN_MM_MV,
        width_mm=round(left[-1] + column_mm + 2),
        height_mm=math.ceil(lines[-1] + max(13, room[-1][1] + CLEAR_MM)),
        label_rise_mm=0.5 * _PITCH_MM,
        strips=strips,
        pulse_x_mm=2.0,
        pulse_width_mm=0.2 * SPEED_MM_S,
        pulse_baselines_mm=lines,
        synchronous=False,
        marks=marks,
    )
