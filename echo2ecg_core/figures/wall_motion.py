"""The bull's-eye of wall motion: 17 segments as the AHA arranges them, each with its score.

Looked at from the apex: anterior wall on top, septum on the left, base outside. Segment, number and angle are those of
Cerqueira et al., Circulation 105:539-542, 2002. A shade tells the score beside the digit; normal has none.
"""

from collections.abc import Sequence

import numpy as np

from echo2ecg_core.figures.chart import DARK, LABEL_PX, ON_PAGE, TEXT_PX, Canvas, Frame
from echo2ecg_core.figures.notation import MISSING, number
from echo2ecg_core.findings import SCORES, SEGMENTS, score_index

WIDTH_PX, HEIGHT_PX = 380, 222
_PLOT_PX = 206
_RINGS = (
    (6, 0.76, 1.0),
    (6, 0.5, 0.76),
    (4, 0.24, 0.5),
)  # segments, inner and outer radius; the apex is the disc inside
_WALLS = ((90, "anterior"), (180, "septal"), (270, "inferior"), (0, "lateral"))
_SHADES = {1: None, 2: "#C9DAEA", 3: "#356293", 4: "#14283F"}
_DARK_SHADES = {1: None, 2: "#2F4A66", 3: "#7FABD8", 4: "#D6E6F7"}
_DARK_INK, _LIGHT_INK = "#17202A", "#FFFFFF"
_INK = {2: _DARK_INK, 3: _LIGHT_INK, 4: _LIGHT_INK}
_INK_ON_DARK = {2: _LIGHT_INK, 3: _DARK_INK, 4: _DARK_INK}


def segment_places() -> list[tuple[float, float, float, float]]:
    """Of each segment of `SEGMENTS` (first angle, last angle in degrees counter-clockwise from the right, inner, outer
    radius)."""
    places = []
    for count, inner, outer in _RINGS:
        width = 360 / count
        places += [(90 + (i - 0.5) * width, 90 + (i + 0.5) * width, inner, outer) for i in range(count)]
    return [*places, (0.0, 360.0, 0.0, _RINGS[-1][1])]


def bullseye_figure(scores: Sequence[int | None], frame: Frame = ON_PAGE):
    """The bull's-eye as a matplotlib figure.

    Args:
        scores: 17 scores in the order of `SEGMENTS`, None where not scored.
        frame: Theme, title and provenance.
    """
    canvas = Canvas(WIDTH_PX, HEIGHT_PX, frame)
    axes = canvas.axes(8, 8, WIDTH_PX - 8 - _PLOT_PX, HEIGHT_PX - 8 - _PLOT_PX)
    axes.set(xlim=(-1.16, 1.16), ylim=(-1.16, 1.16), xticks=[], yticks=[], aspect="equal")
    for place, score in zip(segment_places(), scores, strict=True):
        _draw_segment(axes, place, score, frame)
    for angle, wall in _WALLS:
        x, y = 1.08 * np.cos(np.radians(angle)), 1.08 * np.sin(np.radians(angle))
        turn = {180: 90, 0: -90}.get(angle, 0)
        axes.text(x, y, wall, ha="center", va="center", rotation=turn, fontsize=LABEL_PX - 0.5, color=frame.look.muted)
    _draw_key(canvas, scores, frame)
    return canvas.figure


def bullseye_words(scores: Sequence[int | None]) -> str:
    """What a reader who cannot see the picture hears: the index and every segment that is not normal."""
    if not any(scores):
        return "No segment was scored."
    told = [
        f"{name.replace('_', ' ')} {SCORES[score]}"
        for name, score in zip(SEGMENTS, scores, strict=True)
        if score is not None and score > 1
    ]
    silent = sum(score is None for score in scores)
    rest = ", ".join(told) or "every scored segment normal or hyperkinetic"
    return (
        f"Wall motion score index {number(score_index(scores), 2)}: {rest}"
        + (f"; {silent} not scored" if silent else "")
        + "."
    )


def _draw_segment(axes, place: tuple[float, float, float, float], score: int | None, frame: Frame) -> None:
    from matplotlib.patches import Wedge

    first, last, inner, outer = place
    shade, ink = _shade(score, frame)
    axes.add_patch(
        Wedge(
            (0, 0), outer, first, last, width=outer - inner, facecolor=shade, edgecolor=frame.look.axis, linewidth=0.8
        )
    )
    middle, radius = np.radians((first + last) / 2), 0.0 if inner == 0 else (inner + outer) / 2
    axes.text(
        radius * np.cos(middle),
        radius * np.sin(middle),
        MISSING if score is None else str(score),
        ha="center",
        va="center_baseline",
        fontsize=TEXT_PX,
        weight="bold" if score and score > 1 else "normal",
        color=ink,
    )


def _draw_key(canvas: Canvas, scores: Sequence[int | None], frame: Frame) -> None:
    """The scores that occur in words, below the index."""
    axes = canvas.axes(_PLOT_PX + 18, 8, 0, 8)
    axes.set(xlim=(0, WIDTH_PX - _PLOT_PX - 18), ylim=(HEIGHT_PX - 16, 0), xticks=[], yticks=[])
    axes.text(0, 28, number(score_index(scores), 2), fontsize=21, weight="bold", color=frame.look.text)
    axes.text(0, 46, "mean score, normal 1.00", fontsize=LABEL_PX - 0.5, color=frame.look.muted)
    for row, score in enumerate(sorted({score for score in scores if score is not None} | {1})):
        _draw_key_row(axes, 76 + 22 * row, score, SCORES[score].replace("normal or hyperkinetic", "normal"), frame)
    if None in scores:
        axes.text(
            0,
            76 + 22 * len(set(scores) | {1}) - 18,
            f"{MISSING}  not scored",
            fontsize=LABEL_PX,
            color=frame.look.muted,
        )


def _draw_key_row(axes, y: float, score: int, words: str, frame: Frame) -> None:
    from matplotlib.patches import Rectangle

    shade, ink = _shade(score, frame)
    axes.add_patch(Rectangle((0.5, y - 12), 16, 16, facecolor=shade, edgecolor=frame.look.axis, linewidth=0.8))
    axes.text(8.5, y - 4, str(score), ha="center", va="center_baseline", fontsize=LABEL_PX, color=ink)
    axes.text(23, y - 4, words, va="center_baseline", fontsize=LABEL_PX, color=frame.look.text)


def _shade(score: int | None, frame: Frame) -> tuple[str, str]:
    """Fill of a segment and the colour of the digit on it."""
    dark = frame.look is DARK
    if score is None:
        return frame.look.page, frame.look.muted
    shade = (_DARK_SHADES if dark else _SHADES).get(score)
    return (frame.look.page, frame.look.text) if shade is None else (shade, (_INK_ON_DARK if dark else _INK)[score])
