"""A map of more points than a browser draws well: a picture of where they lie and, zoomed in, the points themselves.

Each cell of the picture has the colour of the mean of its points (of groups: of the commonest) and is the stronger the
more points it holds, by the logarithm. numpy counts a million points in some ten milliseconds, so nothing heavier
(datashader) is needed. The picture is a PNG with a palette, some 100 kB, in the place of megabytes of points.
"""

import base64
import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from echo2ecg_core.figures.map import YourEcg, map_figure
from echo2ecg_core.figures.map_colours import (
    DARK,
    LIGHT,
    MODALITY,
    VIRIDIS_CUT,
    Label,
    Look,
    colour_limits,
    group_colours,
    has_scale,
    is_group,
)

MOST_SINGLE = 8_000  # less than a megabyte, and four fifths of the map under their circles; more are a picture
MOST_IN_VIEW = 8_000  # of them are drawn singly when so few are in view
CELLS = 358  # a side; two pixels of the screen each
LEVELS, STRENGTHS = 32, 7  # of colour and of opacity: with nothing 225 entries of a palette
MARGIN = 0.04


def drawn_solid(points: pd.DataFrame) -> pd.DataFrame:
    """Those points of a map in three dimensions that are drawn: all, or MOST_SINGLE chosen by a seed."""
    return points.sample(MOST_SINGLE, random_state=7).sort_index() if len(points) > MOST_SINGLE else points


class View(NamedTuple):
    """A part of the map, left to right and bottom to top."""

    x0: float
    x1: float
    y0: float
    y1: float

    def holds(self, points: pd.DataFrame) -> np.ndarray:
        """(n,) bool: which points lie in it."""
        x, y = points.x.to_numpy(), points.y.to_numpy()
        return (x >= self.x0) & (x <= self.x1) & (y >= self.y0) & (y <= self.y1)

    def covers(self, other: "View") -> bool:
        """True when the other lies in it, but for a hundredth."""
        slack = 0.01 * (other.x1 - other.x0)
        left, bottom = self.x0 <= other.x0 + slack, self.y0 <= other.y0 + slack
        return left and bottom and self.x1 >= other.x1 - slack and self.y1 >= other.y1 - slack


def whole(points: pd.DataFrame) -> View:
    """The square that holds every point, with a margin."""
    x, y = points.x.to_numpy(), points.y.to_numpy()
    half = float(max(np.ptp(x), np.ptp(y), 1e-6)) * (0.5 + MARGIN)
    middle = float(x.min() + x.max()) / 2, float(y.min() + y.max()) / 2
    return View(middle[0] - half, middle[0] + half, middle[1] - half, middle[1] + half)


def density_picture(points: pd.DataFrame, colour: str, view: View, dark: bool = False) -> bytes:
    """PNG of CELLS x CELLS: where the points of a view lie, by the mean of what they are coloured by.

    Args:
        points, colour: As for `map_figure`.
        view: What the picture covers.
        dark: For a dark page.
    """
    inks, level = _levels(points, colour, DARK if dark else LIGHT)
    inside = view.holds(points)
    column = ((points.x.to_numpy(float)[inside] - view.x0) / (view.x1 - view.x0) * CELLS).astype(int)
    row = ((view.y1 - points.y.to_numpy(float)[inside]) / (view.y1 - view.y0) * CELLS).astype(int)
    cell = np.clip(row, 0, CELLS - 1) * CELLS + np.clip(column, 0, CELLS - 1)
    counts = np.bincount(cell, minlength=CELLS * CELLS)
    told = _mean(cell, level[inside]) if has_scale(colour) else _commonest(cell, level[inside], len(inks))
    return _png(inks, told, _strengths(counts), counts > 0)


def density_figure(
    points: pd.DataFrame,
    colour: str,
    picture: bytes,
    view: View | None = None,
    you: YourEcg | None = None,
    dark: bool = False,
    found: tuple[str, str] | None = None,
    labels: Sequence[Label] = (),
) -> go.Figure:
    """Draw a large map.

    Args:
        points, colour, you, dark, found, labels: As for `map_figure`.
        picture: `density_picture` of the view.
        view: What the reader sees; None: all.
    """
    seen = view or whole(points)
    single = seen.holds(points)
    shown = points[single] if single.sum() <= MOST_IN_VIEW else points[:0]
    figure = map_figure(points, colour, you, dark, found, shown, labels)
    if has_scale(colour):  # plotly shows a scale only where a trace has it
        scaled = {"color": [0.0], "coloraxis": "coloraxis"}
        figure.add_trace(go.Scatter(x=[None], y=[None], mode="markers", marker=scaled, showlegend=False))
    if not len(shown):
        address = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
        figure.add_layout_image(
            source=address,
            xref="x",
            yref="y",
            x=seen.x0,
            y=seen.y1,
            sizex=seen.x1 - seen.x0,
            sizey=seen.y1 - seen.y0,
            sizing="stretch",
            layer="below",
        )
    axis = {"showgrid": False, "uirevision": str(view)}  # the view comes from the reader: it holds, whatever was there
    figure.update_layout(xaxis={**axis, "range": seen[:2]}, yaxis={**axis, "range": seen[2:]})
    return figure


def _levels(points: pd.DataFrame, colour: str, look: Look) -> tuple[np.ndarray, np.ndarray]:
    """Inks (k, 3) uint8, the last for what is not known, and the level (n,) of every point, NaN where not known."""
    if has_scale(colour):
        low, high = colour_limits(points, colour)
        steps = np.array([_rgb(ink) for ink in VIRIDIS_CUT], float)
        at = np.linspace(0, len(steps) - 1, LEVELS)
        inks = [np.interp(at, np.arange(len(steps)), channel) for channel in steps.T]
        share = (points[colour].to_numpy(float) - low) / max(high - low, 1e-6)
        return _with(np.stack(inks, 1), look), np.clip(share, 0, 1) * (LEVELS - 1)
    chosen = look.modalities if colour == MODALITY else group_colours(points, colour)
    names = {name: number for number, name in enumerate(chosen)}
    level = points[colour].astype(str).map(names) if is_group(colour) else points[MODALITY].map(names)
    return _with(np.array([_rgb(ink) for ink in chosen.values()], float).reshape(-1, 3), look), level.to_numpy(float)


def _with(inks: np.ndarray, look: Look) -> np.ndarray:
    return np.concatenate([inks, [_rgb(look.muted)]]).round().astype(np.uint8)


def _mean(cell: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Mean level of every cell, the one beyond the last where nothing is known, (CELLS^2,) int."""
    known = np.isfinite(level)
    counts = np.bincount(cell[known], minlength=CELLS * CELLS)
    sums = np.bincount(cell[known], weights=level[known], minlength=CELLS * CELLS)
    return np.where(counts > 0, sums / np.maximum(counts, 1), LEVELS).round().astype(int)


def _commonest(cell: np.ndarray, level: np.ndarray, n_inks: int) -> np.ndarray:
    """The commonest level of every cell, the last where none is known, (CELLS^2,) int."""
    most, found = np.zeros(CELLS * CELLS, int), np.full(CELLS * CELLS, n_inks - 1)
    for number in range(n_inks - 1):
        counts = np.bincount(cell[level == number], minlength=CELLS * CELLS)
        found[counts > most], most = number, np.maximum(most, counts)
    return found


def _strengths(counts: np.ndarray) -> np.ndarray:
    """Opacity of every cell in steps, 0 to STRENGTHS - 1, by the logarithm of its points."""
    most = np.percentile(counts[counts > 0], 99.5) if counts.any() else 1
    share = np.log1p(counts) / np.log1p(max(most, 1))
    return (np.clip(share, 0, 1) * (STRENGTHS - 1)).round().astype(int)


def _png(inks: np.ndarray, level: np.ndarray, strength: np.ndarray, is_there: np.ndarray) -> bytes:
    from PIL import Image

    index = np.where(is_there, 1 + level * STRENGTHS + strength, 0).astype(np.uint8)
    picture = Image.fromarray(index.reshape(CELLS, CELLS), "L").convert("L")
    picture.putpalette(np.concatenate([[[0, 0, 0]], np.repeat(inks, STRENGTHS, 0)]).astype(np.uint8).tobytes())
    opacity = np.linspace(0.4, 1, STRENGTHS) * 255
    file = io.BytesIO()
    picture.save(file, "PNG", transparency=bytes([0, *np.tile(opacity.astype(int), len(inks)).tolist()]))
    return file.getvalue()


def _rgb(ink: str) -> tuple[int, int, int]:
    return int(ink[1:3], 16), int(ink[3:5], 16), int(ink[5:7], 16)
