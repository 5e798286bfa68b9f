"""The beats of a recording that look alike and the bounds of their waves: quality, measurements, waves of the leads and
figures rest on them."""

from dataclasses import dataclass

import numpy as np

from echo2ecg_core.ecg.beats import LOWEST_RATE_HZ, RATE_HZ, Beats, at_working_rate, find_beats
from echo2ecg_core.ecg.delineate import Waves, delineate


@dataclass(frozen=True, eq=False)
class CommonBeats:
    """The beats of the first minute and the bounds of their waves: `signal` (12, n) at `rate_hz`, as recorded.

    `rr_s` is the usual distance from one beat to the next in seconds, at RATE_HZ as the bounds are. `waves` is None
    where there is no complex.
    """

    signal: np.ndarray
    rate_hz: float
    beats: Beats
    rr_s: float
    waves: Waves | None


def common_beats(signal_mv: np.ndarray, sampling_rate_hz: float) -> CommonBeats | None:
    """The beats that look alike, with the bounds of their waves; None where no repeating beat is found.

    Args:
        signal_mv: (12, n) millivolts, NaN where nothing was recorded.
        sampling_rate_hz: Its rate.
    """
    if sampling_rate_hz < LOWEST_RATE_HZ:
        return None
    signal, rate_hz = at_working_rate(signal_mv, sampling_rate_hz)
    return beats_in(signal, rate_hz)


def beats_in(working: np.ndarray, rate_hz: float) -> CommonBeats | None:
    """`common_beats` of a signal (12, n) that is at the working rate, which is exactly `rate_hz`."""
    beats = find_beats(working)
    if beats is None:
        return None
    rr_s = float(np.median(np.diff(beats.r_peaks))) / RATE_HZ
    return CommonBeats(working, rate_hz, beats, rr_s, delineate(beats.windows[:, beats.leads], rr_s, beats.since_s))
