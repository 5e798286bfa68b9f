"""The two frames of a clip that a report prints: end-diastole and end-systole.

End-diastole is the frame at an R wave (Lang et al., J Am Soc Echocardiogr 28:1-39, 2015, define it by the QRS). Nobody
has traced the ventricle, so end-systole is the frame of the same beat whose picture differs most from it, looked for
where systole ends at any heart rate: between a fifth and six tenths of the beat. Without R waves the first frame stands
for the first, and the words say so.
"""

from dataclasses import dataclass

import numpy as np

from echo2ecg_core.echo.clip import EchoClip

SYSTOLE_ENDS = (0.2, 0.6)  # share of the beat in which the other frame is looked for
USUAL_BEAT_S = 0.9
AT_R_WAVE, FIRST_FRAME = "at the R wave", "first frame; the clip tells no R wave"


@dataclass(frozen=True, eq=False)
class KeyFrames:
    """Places in the clip, pictures (h, w, 3) uint8, and how the first was found, in words."""

    diastole: int
    systole: int
    diastole_picture: np.ndarray
    systole_picture: np.ndarray
    found: str


def key_frames(clip: EchoClip) -> KeyFrames:
    """End-diastole and end-systole of the first whole beat; both the same frame in a clip of one."""
    times = [t for t in clip.r_wave_times_s if 0 <= t < clip.duration_s]
    start_s = times[0] if times else 0.0
    beat_s = times[1] - times[0] if len(times) > 1 else USUAL_BEAT_S
    diastole = min(round(start_s * clip.fps), clip.n_frames - 1)
    first, last = (diastole + round(share * beat_s * clip.fps) for share in SYSTOLE_ENDS)
    first, last = min(first, clip.n_frames - 1), min(max(last, first), clip.n_frames - 1)
    grey = clip.frames[[diastole, *range(first, last + 1)]].mean(axis=3)  # (1 + n, h, w)
    systole = first + int(np.abs(grey[1:] - grey[0]).mean(axis=(1, 2)).argmax())
    words = AT_R_WAVE if times else FIRST_FRAME
    return KeyFrames(diastole, systole, clip.frames[diastole], clip.frames[systole], words)
