"""The synchronised multi-view echo player: a Streamlit component (v2) whose script and style lie beside this file.

Each clip is fetched from the app's own clip route and decoded once in the browser; every rerun hands the same data
over again and changes nothing. No autoplay: a reader starts what moves.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st

# one after another they are one module
SCRIPTS = ("clock.js", "mp4.js", "panels.js", "tools.js", "player.js", "controls.js")
KEY = "echo_player"
HERE = Path(__file__).parent

_mount = st.components.v2.component(
    KEY,
    css=(HERE / "player.css").read_text(encoding="utf-8"),
    js="\n".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS),
)


@dataclass(frozen=True)
class PlayerClip:
    """One panel of the player.

    Attributes:
        clip_id, url: The clip and where the browser gets its MP4.
        name: View name in words.
        confidence: Of the view classifier, 0..1, or None.
        weight: Share of this clip in the study's vector, 0..1, or None.
        fps, n_frames: The clip's own frame rate and length.
        r_waves, end_systoles: Times in seconds after the first frame; empty where unknown.
        key_frames: Frames of end-diastole and end-systole to lay side by side, None where no R wave is known.
        spacing_mm: Millimetres a pixel, None where the file does not say.
        side: 0 for the open study, 1 for the one beside it.
        notes: Sentences, shown on hovering.
    """

    clip_id: str
    url: str
    name: str
    confidence: float | None
    weight: float | None
    fps: float
    n_frames: int
    r_waves: tuple[float, ...] = ()
    end_systoles: tuple[float, ...] = ()
    key_frames: tuple[int, int] | None = None
    spacing_mm: float | None = None
    side: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlayerEcg:
    """The strip under the clips: millivolts (n,) at `rate_hz`, R waves in seconds, and the words that say whose it
    is."""

    label: str
    samples_mv: tuple[float, ...]
    rate_hz: float
    r_times_s: tuple[float, ...]


@dataclass(frozen=True)
class PlayerStudy:
    """A study of the player: its id, how it is called above its half, and its ECG or None."""

    study_id: str
    label: str
    ecg: PlayerEcg | None = None


def show_player(
    studies: Sequence[PlayerStudy],
    clips: Sequence[PlayerClip | None],
    on_hit: Callable[[int], None] | None = None,
) -> None:
    """Draw the player with the clips of one study, or of two on one clock.

    Args:
        studies: One, or two; another id closes what is open and frees its frames.
        clips: Panels in order; the first six are seen without scrolling. With two studies left and right take turns,
            and None is a place without a clip.
        on_hit: Called with -1 or 1 when the reader asks for the study above or below (arrow up or down).
    """
    data = {
        "studies": [asdict(study) for study in studies],
        "clips": [None if clip is None else asdict(clip) for clip in clips],
        "has_hits": on_hit is not None,
    }

    def moved() -> None:
        if on_hit is not None:
            on_hit(int(st.session_state[KEY]["hit"]))

    _mount(key=KEY, data=data, on_hit_change=moved)
