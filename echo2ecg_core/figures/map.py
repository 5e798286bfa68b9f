"""The map as a plotly figure: every ECG a circle, every study a diamond, hollow where the value is not known.

WebGL traces (scattergl) carry what a megabyte holds, map_density.py shows more; each point's `customdata` is [id,
modality], so that a click names it. Points with a z make a figure in three dimensions. Axes have no numbers: on a UMAP
only nearness means something.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from echo2ecg_core.figures.map_colours import (
    DARK,
    ESTIMATES,
    GROUPS,
    LIGHT,
    MODALITY,
    OTHERS,
    PREDICTED,
    SYMBOLS,
    VIRIDIS_CUT,
    Label,
    Look,
    colour_limits,
    group_colours,
    has_scale,
    is_group,
    kept_cohort,
    title_of,
)
from echo2ecg_core.figures.notation import measured_with_unit, with_unit
from echo2ecg_core.phenotypes import GRADES, PHENOTYPES

HEIGHT_PX, SCALE_PX, LEGEND_PX = 716, 56, 34
PLACES_DECIMALS = 4  # of a map that is some ten wide
LASSO = {"color": "#1B5E9B", "dash": "dash", "width": 2}

Trace = dict[str, Any]
Region = tuple[tuple[float, ...], tuple[float, ...]]  # x and y of its corners; of two corners a box


@dataclass(frozen=True)
class YourEcg:
    """Where the open ECG lies and the words beside it."""

    x: float
    y: float
    label: str
    z: float | None = None


def map_figure(
    points: pd.DataFrame,
    colour: str,
    you: YourEcg | None = None,
    dark: bool = False,
    found: tuple[str, str] | None = None,
    shown: pd.DataFrame | None = None,
    labels: Sequence[Label] = (),
) -> go.Figure:
    """Draw a map.

    Args:
        points: id, modality ("ECG", "study"), x, y (z) and the column to colour by (answers.maps.load_map).
        colour: A phenotype, "age_years", one of `GROUPS`, a kept cohort (`kept_column`) or "modality".
        you: The open ECG, drawn as a ringed cross.
        dark: For a dark page.
        found: (id, modality) of a point that was looked for, drawn in a ring.
        shown: Those of the points that are drawn; None: all.
        labels: What stands over places of the map.

    Returns:
        A figure whose points name themselves in `customdata`.
    """
    look = DARK if dark else LIGHT
    shown, is_solid = points if shown is None else shown, "z" in points
    traces: list[Trace] = []
    for modality, symbol in SYMBOLS.items():
        own = shown[shown.modality == modality]
        if len(own):
            traces += _single_points(points, own, modality, symbol, colour, look)
    traces += _legend(points, colour, look)
    words = [] if is_solid else [_words(label, look) for label in labels]
    if you is not None:
        traces.append(_cross(you, look))
        words.append(_words_beside(you, look) | _clear_of(you, labels, points))
    if found is not None:
        traces.append(_ring(points[(points.id == found[0]) & (points.modality == found[1])], look))
    layout = _layout(points, colour, look)
    if words:
        (layout["scene"] if is_solid else layout)["annotations"] = words
    figure = go.Figure(traces, layout)  # plotly takes three times as long to change a figure as to make it
    figure.layout.template = None
    return figure


def as_seen(figure: go.Figure, view: Sequence[float] | None, regions: Sequence[Region] = ()) -> None:
    """Make a figure of `map_figure` as a reader saw it last.

    Args:
        figure: Is changed.
        view: Left, right, bottom, top; in three dimensions the camera's eye, centre and upward direction; None: all.
        regions: What was lassoed.
    """
    if view is not None and len(view) == 9:
        parts = (view[:3], view[3:6], view[6:])
        camera = {n: dict(zip("xyz", p, strict=True)) for n, p in zip(("eye", "center", "up"), parts, strict=True)}
        figure.update_layout(scene={"camera": camera})
    elif view is not None:
        figure.update_layout(xaxis={"range": view[:2]}, yaxis={"range": view[2:]})
    if regions:
        figure.update_layout(selections=[_region(xs, ys) for xs, ys in regions])


def _region(xs: Sequence[float], ys: Sequence[float]) -> dict[str, Any]:
    drawn = {"xref": "x", "yref": "y", "line": LASSO}
    if len(xs) == 2:
        return drawn | {"type": "rect", "x0": xs[0], "x1": xs[1], "y0": ys[0], "y1": ys[1]}
    return drawn | {"type": "path", "path": f"M{'L'.join(f'{x},{y}' for x, y in zip(xs, ys, strict=True))}Z"}


def _single_points(
    points: pd.DataFrame, own: pd.DataFrame, modality: str, symbol: str, colour: str, look: Look
) -> list[Trace]:
    """One trace of points with a value, one of hollow points without."""
    known = np.ones(len(own), bool) if colour == MODALITY else own[colour].notna().to_numpy()
    outline = {"width": 0.5, "color": look.text}
    marker: dict[str, Any]
    if colour == MODALITY:
        marker = {"color": look.modalities[modality]}
    elif is_group(colour):
        inks = group_colours(points, colour)
        marker = {"color": [inks.get(str(group), look.muted) for group in own[colour][known]]}
    else:
        marker = {"color": _as_shown(own[colour][known], colour), "coloraxis": "coloraxis"}
    traces = [_trace(own[known], modality, colour, {"symbol": symbol, "size": 8, "line": outline} | marker)]
    if not known.all():
        line = {"width": 1.2, "color": look.muted}
        hollow = {"symbol": f"{symbol}-open", "size": 8, "color": look.muted, "line": line}
        traces.append(_trace(own[~known], f"{modality}, not known", colour, hollow))
    return traces


def _as_shown(values: pd.Series, colour: str) -> list[float]:
    """Values as they are written beside the points: the browser writes them from these."""
    decimals = PHENOTYPES[colour].decimals if colour in PHENOTYPES else 4
    return [float(f"{value:.{decimals}f}") for value in values]


def _trace(rows: pd.DataFrame, name: str, colour: str, marker: dict) -> Trace:
    told = _places(rows) | {
        "mode": "markers",
        "name": name,
        "marker": marker,
        "showlegend": False,
        "customdata": rows[["id", "modality"]].to_numpy(),
        **_hover(rows, colour, "coloraxis" in marker),
    }
    if "z" in rows:
        outlined = marker | {
            "size": 3.5,
            "line": marker["line"] | {"width": 0.5},
        }  # dark points stand out on a dark page
        return told | {"type": "scatter3d", "marker": outlined}
    return told | {"type": "scattergl", "unselected": {"marker": {"opacity": 0.25}}}


def _places(rows: pd.DataFrame) -> Trace:
    """Coordinates as lists: plotly takes any array of another kind for a changed one and would draw all anew."""
    return {a: rows[a].to_numpy(float).round(PLACES_DECIMALS).tolist() for a in ("x", "y", "z") if a in rows}


def _legend(points: pd.DataFrame, colour: str, look: Look) -> list[Trace]:
    """Shapes with their counts; entries of their own, because a coloured-by-value trace has no one colour to show."""
    counts = points.modality.value_counts()
    entries = [
        (f"{m} {counts[m]}", symbol, look.modalities[m] if colour == MODALITY else look.muted)
        for m, symbol in SYMBOLS.items()
        if m in counts
    ]
    if is_group(colour):
        sizes = points[colour].astype(str).value_counts()
        inks = group_colours(points, colour) | ({OTHERS: look.muted} if kept_cohort(colour) else {})
        entries += [(f"{group} {sizes.get(group, 0)}", "square", ink) for group, ink in inks.items()]
    if colour != MODALITY and points[colour].isna().any():
        entries.append(("not known", "circle-open", look.muted))
    nowhere: Trace = dict.fromkeys(("x", "y", "z") if "z" in points else ("x", "y"), [None])
    nowhere |= {"type": "scatter3d" if "z" in points else "scatter", "mode": "markers", "hoverinfo": "skip"}
    return [
        nowhere | {"name": name, "marker": {"symbol": symbol, "size": 9, "color": ink}} for name, symbol, ink in entries
    ]


def _hover(rows: pd.DataFrame, colour: str, has_numbers: bool) -> dict:
    """What is said of a point: what the browser has already (id, kind, the number that colours it) by a template, for
    that goes to the browser once; the rest as a text a point."""
    said, lines = ["<b>%{customdata[0]}</b> %{customdata[1]}"], []
    if colour in ESTIMATES and has_numbers:
        unit = with_unit(0, PHENOTYPES["lvef"].unit if colour == PREDICTED else "points").partition("0")[2]
        said.append(f"{ESTIMATES[colour]} %{{marker.color:{'.0f' if colour == PREDICTED else '+.0f'}}}{unit}")
    for name in dict.fromkeys([n for n in ("lvef", colour) if n in PHENOTYPES and n in rows]):
        phenotype = PHENOTYPES[name]
        if name == colour and has_numbers and phenotype.kind == "number":
            unit = with_unit(0, phenotype.unit).partition("0")[2]
            said.append(f"{phenotype.short} %{{marker.color:.{phenotype.decimals}f}}{unit}")
        else:
            lines.append([f"{phenotype.short} {measured_with_unit(phenotype, v)}" for v in rows[name]])
    if is_group(colour):
        lines.append(
            [f"{GROUPS.get(colour, 'Cohort')}: {v if isinstance(v, str) else 'not known'}" for v in rows[colour]]
        )
    text = {"text": ["<br>".join(parts) for parts in zip(*lines, strict=True)]} if lines else {}
    said += ["%{text}"] * bool(lines)
    return text | {"hovertemplate": "<br>".join(said) + "<extra></extra>"}


def _ring(row: pd.DataFrame, look: Look) -> Trace:
    """A ring around the point that was looked for."""
    ring = {"symbol": "circle-open", "size": 24, "color": look.text, "line": {"width": 2.6}}
    return _alone("found", _places(row), ring)


def _alone(name: str, places: Trace, marker: dict) -> Trace:
    """A mark that is in no legend, answers no pointer and does not fade when others are selected."""
    told = places | {"name": name, "marker": marker, "mode": "markers", "showlegend": False, "hoverinfo": "skip"}
    if "z" in places:
        return told | {"type": "scatter3d"}
    return told | {"type": "scatter", "unselected": {"marker": {"opacity": 1}}}


def _cross(you: YourEcg, look: Look) -> Trace:
    """A ringed cross."""
    cross = {"symbol": "circle-cross-open", "size": 26, "color": look.text, "line": {"width": 2.6, "color": look.text}}
    if you.z is None:
        return _alone("your ECG", {"x": [you.x], "y": [you.y]}, cross)
    return _alone("your ECG", {"x": [you.x], "y": [you.y], "z": [you.z]}, cross | {"symbol": "cross", "size": 9})


def _words_beside(you: YourEcg, look: Look) -> dict[str, Any]:
    """The cross's label on a line."""
    return {
        "x": you.x,
        "y": you.y,
        **({} if you.z is None else {"z": you.z}),
        "text": you.label,
        "ax": 34,
        "ay": -58,
        "showarrow": True,
        "arrowhead": 0,
        "arrowwidth": 1.4,
        "standoff": 14,
        "arrowcolor": look.text,
        "align": "left",
        "bgcolor": look.page,
        "bordercolor": look.grid,
        "borderpad": 6,
        "font": {"color": look.text},
    }


def _clear_of(you: YourEcg, labels: Sequence[Label], points: pd.DataFrame) -> dict[str, float]:
    """Where the cross's label covers no other words: the first of some places round it, in pixels from the cross.

    Pixels are those of the whole map on a desk; a letter is taken as 6.2 of them wide.
    """
    if you.z is not None or not labels or points.empty:
        return {}
    spans = [max(float(np.ptp(points[axis])), 1e-9) * 1.1 for axis in "xy"]
    scale = min(HEIGHT_PX / spans[0], (HEIGHT_PX - SCALE_PX - LEGEND_PX) / spans[1])

    def size(lines: Sequence[str]) -> tuple[float, float]:
        return 6.2 * max(len(re.sub("<[^>]+>", "", line)) for line in lines) + 12, 16 * len(lines) + 12

    taken = [(scale * label.x, scale * label.y + 4 + size(label.lines)[1] / 2, *size(label.lines)) for label in labels]
    width, height = size(you.label.split("<br>"))
    beside = width / 2 + 30
    for right, down in ((34, -58), (34, 58), (beside, 0), (-beside, 0), (34, -104), (34, 104)):
        x, y = scale * you.x + right, scale * you.y - down
        if not any(abs(x - a) < (width + w) / 2 and abs(y - b) < (height + h) / 2 for a, b, w, h in taken):
            return {"ax": right, "ay": down}
    return {}


def _words(label: Label, look: Look) -> dict[str, Any]:
    """Quiet words above a place, a line each, on a ground that lets points shine through."""
    red, green, blue = (int(look.page[i : i + 2], 16) for i in (1, 3, 5))
    return {
        "x": label.x,
        "y": label.y,
        "text": "<br>".join(label.lines),
        "showarrow": False,
        "yanchor": "bottom",
        "yshift": 4,
        "name": "cluster",
        "align": "center",
        "bgcolor": f"rgba({red},{green},{blue},0.82)",
        "borderpad": 2,
        "font": {"color": look.text, "size": 11.5},
        "captureevents": False,
    }


def _layout(points: pd.DataFrame, colour: str, look: Look) -> dict[str, Any]:
    axis = {"showticklabels": False, "gridcolor": look.grid, "zeroline": False, "title": {"text": ""}, "ticks": ""}
    font = {"color": look.text, "size": 12.5, "family": "Source Sans, sans-serif"}  # hover labels have one of their own
    is_solid = "z" in points
    layout = {
        "height": HEIGHT_PX,
        "width": HEIGHT_PX,
        "margin": {"l": 8, "r": 8, "t": SCALE_PX * has_scale(colour) + LEGEND_PX, "b": 8},  # nothing lies over points
        "paper_bgcolor": look.page,
        "plot_bgcolor": look.page,
        "dragmode": "orbit" if is_solid else "lasso",
        "hovermode": "closest",
        "clickmode": "event+select" if is_solid else "event",
        "datarevision": 0,
        "hoverlabel": {"align": "left", "bgcolor": look.page, "bordercolor": look.muted, "font": font},
        "uirevision": "map",
        "font": font,
        "xaxis": axis,
        "yaxis": axis | {"scaleanchor": "x"},
        "scene": dict.fromkeys(("xaxis", "yaxis", "zaxis"), axis | {"showspikes": False, "showbackground": False}),
        "newselection": {"line": LASSO},
        "legend": {
            "x": 0.008,
            "y": 1,
            "yanchor": "bottom",
            "orientation": "h",
            "bgcolor": look.page,
            "font": {"color": look.muted},
            "itemsizing": "constant",
        },
    }
    return layout | ({"coloraxis": _scale(points, colour, look)} if has_scale(colour) else {})


def _scale(points: pd.DataFrame, colour: str, look: Look) -> dict[str, Any]:
    """The scale of the numbers that colour the points."""
    is_grade = colour in PHENOTYPES and PHENOTYPES[colour].kind == "grade"
    low, high = colour_limits(points, colour)
    bar = {
        "orientation": "h",
        "x": 0.005,
        "y": 1 - 2 / HEIGHT_PX,
        "yref": "container",
        "xanchor": "left",
        "xpad": 12,
        "ypad": 4,
        "yanchor": "top",
        "lenmode": "pixels",  # so that its title fits a phone, too
        "len": 212,
        "thickness": 11,
        "title": {"text": title_of(colour), "side": "top", "font": {"size": 12.5}},
        "outlinewidth": 0,
        "bgcolor": look.page,
        "nticks": 6,
        "tickfont": {"color": look.muted},
    }
    if is_grade:
        bar |= {"tickvals": list(range(len(GRADES))), "ticktext": list(GRADES)}
    scale = [[i / (len(VIRIDIS_CUT) - 1), c] for i, c in enumerate(VIRIDIS_CUT)]
    return {"colorscale": scale, "cmin": low, "cmax": max(high, low + 1e-6), "colorbar": bar}
