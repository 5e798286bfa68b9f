"""R and S waves and the ST level of every lead, in the median of the commonest beats.

They are read from the recording as it is, hum and pacing spikes taken off and nothing else: the band-pass by which the
bounds of the waves are found would lower narrow R waves. The level of the 20 ms before the QRS complex is zero
(Kligfield et al., J Am Coll Cardiol 49:1109-1127, 2007).
"""

from dataclasses import dataclass

import numpy as np

from echo2ecg_core.ecg.beats import cut, samples, without_spikes
from echo2ecg_core.ecg.common_beats import common_beats
from echo2ecg_core.ecg.hum import without_hum
from echo2ecg_core.ecg.record import LEADS, EcgRecord

LEVEL, AFTER_J = samples(20), samples(60)
SMALLEST = 0.05  # mV: half a millimetre of paper; a lower wave is none


@dataclass(frozen=True)
class LeadWaves:
    """What one lead shows, in the unit of its record.

    Attributes:
        lead: Its name.
        r: The highest point of the QRS complex above its beginning; 0 where it has no upward wave.
        s: The lowest point after the first upward wave, at most 0; of a complex without one (QS) the lowest point.
        st_j, st_60: The level where the complex ends (J), and 60 ms later.
    """

    lead: str
    r: float
    s: float
    st_j: float
    st_60: float

    @property
    def r_to_s(self) -> float | None:
        """R by S; None where there is no S."""
        return self.r / -self.s if -self.s >= SMALLEST else None


def lead_waves(record: EcgRecord) -> tuple[LeadWaves, ...]:
    """R, S and ST of every lead that was recorded or derived; () where the bounds of QRS are not found."""
    found = common_beats(record.signal_mv, record.sampling_rate_hz)
    if found is None or found.waves is None:
        return ()
    begin, end = found.waves.qrs_onset, found.waves.qrs_offset
    signal, _ = without_spikes(without_hum(found.signal, found.rate_hz))
    windows = cut(signal, found.beats.r_peaks[found.beats.dominant])
    windows = windows - np.median(windows[:, :, begin - LEVEL : begin], axis=2, keepdims=True)
    beat = np.median(windows, axis=0)
    moves = np.nanmax(record.signal_mv, axis=1, initial=-np.inf) > np.nanmin(record.signal_mv, axis=1, initial=np.inf)
    return tuple(_of(lead, beat[i], begin, end) for i, lead in enumerate(LEADS) if moves[i])


def _of(lead: str, beat: np.ndarray, begin: int, end: int) -> LeadWaves:
    qrs = beat[begin : end + 1]
    upward = np.flatnonzero(qrs >= SMALLEST)
    r = float(qrs.max()) if len(upward) else 0.0
    s = float(min(qrs[upward[0] :].min() if len(upward) else qrs.min(), 0.0))
    return LeadWaves(lead, r, s, float(beat[end]), float(beat[end + AFTER_J]))
