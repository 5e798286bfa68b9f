"""End-diastole and end-systole of a clip: the two frames that a report prints and that a reader lays side by side.

End-diastole is the frame at an R wave (Lang et al., J Am Soc Echocardiogr 28:1-39, 2015, define it by the QRS). Nobody
has traced the ventricle, so end-systole is the frame where systole ends at that heart rate on average: QS2 = 546 - 2.1
HR ms after Q (Weissler et al., Circulation 37:149-159, 1968), Q being 40 ms before R. Without R waves the first frame
stands for the first, and the words say so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from echo2ecg_core.echo.clip import EchoClip

QS2_MS, QS2_PER_BPM_MS, Q_TO_R_MS = 546.0, 2.1, 40.0
USUAL_RATE_BPM = 65.0  # where a clip tells fewer than two R waves
AT_R_WAVE, FIRST_FRAME = "at the R wave", "is the first frame: the clip tells no R wave"


@dataclass(frozen=True, eq=False)
class KeyFrames:
    """Places in the clip, pictures (h, w, 3) uint8, and how the first was found, in words."""

    diastole: int
    systole: int
    diastole_picture: np.ndarray
    systole_picture: np.ndarray
    found: str


def key_frames(clip: EchoClip) -> KeyFrames:
    """End-diastole and end-systole of the first beat whose end-systole the clip holds; in a clip of one frame both are
    that frame."""
    diastole, systole = key_places(clip.r_wave_times_s, clip.fps, clip.n_frames)
    words = AT_R_WAVE if _held(clip.r_wave_times_s, clip.duration_s) else FIRST_FRAME
    return KeyFrames(diastole, systole, clip.frames[diastole], clip.frames[systole], words)


def key_places(r_wave_times_s: Sequence[float], fps: float, n_frames: int) -> tuple[int, int]:
    """Frames (from 0) of end-diastole and end-systole, as `key_frames` chooses them."""
    times = _held(r_wave_times_s, n_frames / fps)
    systole_s = systole_after_r_s(r_wave_times_s)
    ended = [t for t in times if round((t + systole_s) * fps) < n_frames]
    start_s = (ended or times or [0.0])[0]
    diastole, systole = (min(round(t * fps), n_frames - 1) for t in (start_s, start_s + systole_s))
    return diastole, systole


def systole_after_r_s(r_wave_times_s: Sequence[float]) -> float:
    """Seconds from an R wave to end-systole at the heart rate of these R waves (their median interval)."""
    intervals = np.diff(sorted(r_wave_times_s))
    intervals = intervals[intervals > 0]
    rate = 60 / float(np.median(intervals)) if len(intervals) else USUAL_RATE_BPM
    return max(0.0, (QS2_MS - QS2_PER_BPM_MS * rate - Q_TO_R_MS) / 1000)


def _held(times_s: Sequence[float], duration_s: float) -> list[float]:
    return [t for t in times_s if 0 <= t < duration_s]
