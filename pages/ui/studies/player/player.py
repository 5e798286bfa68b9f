"""The synchronised multi-view echo player: a Streamlit component (v2) whose script and style lie beside this file.

Each clip is fetched from the app's own clip route and decoded once in the browser; every rerun hands the same data
over again and changes nothing. No autoplay: a reader starts what moves.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st

SCRIPTS = ("clock.js", "mp4.js", "panels.js", "player.js", "controls.js")  # one after another they are one module
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
        r_waves: Times of the R waves in seconds after the first frame; empty where unknown.
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
    notes: tuple[str, ...] = ()


def show_player(
    study_id: str,
    clips: Sequence[PlayerClip],
    beat: Sequence[float] | None = None,
    on_hit: Callable[[int], None] | None = None,
) -> None:
    """Draw the player with the clips of one study, in the given order.

    Args:
        study_id: Another id closes the study that is open and frees its frames.
        clips: Panels in order; the first six are seen without scrolling.
        beat: One beat of the patient's ECG from R wave to R wave, scaled 0..1; drawn between the clips' R waves.
        on_hit: Called with -1 or 1 when the reader asks for the study above or below (arrow up or down).
    """
    data = {
        "study_id": study_id,
        "clips": [asdict(clip) for clip in clips],
        "beat": None if beat is None else list(beat),
    }

    def moved() -> None:
        if on_hit is not None:
            on_hit(int(st.session_state[KEY]["hit"]))

    _mount(key=KEY, data=data, on_hit_change=moved)
