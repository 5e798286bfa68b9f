"""The map as a plotly figure: every ECG a circle, every study a diamond, hollow where the value is not known.

WebGL traces (scattergl) carry fifty thousand points; each point's `customdata` is [id, modality], so that a lasso in
the browser names what it holds. Axes have no numbers: on a UMAP only nearness means something.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from echo2ecg_core.figures.notation import measured_with_unit
from echo2ecg_core.phenotypes import GRADES, PHENOTYPES

VIRIDIS_CUT = (
    "#440154",
    "#482475",
    "#414487",
    "#355F8D",
    "#2A788E",
    "#21918C",
    "#22A884",
    "#44BF70",
    "#7AD151",
    "#BDDF26",
)
SYMBOLS = {"ECG": "circle", "study": "diamond"}
MODALITY = "modality"
HEIGHT_PX = 716


@dataclass(frozen=True)
class Look:
    """Colours of one theme."""

    page: str
    text: str
    muted: str
    grid: str
    modalities: dict[str, str]


LIGHT = Look("#FFFFFF", "#17202A", "#55606D", "#EBEFF3", {"ECG": "#7B4FA3", "study": "#1E9C8B"})
DARK = Look("#12161B", "#E6EBF0", "#A3AEBA", "#252D35", {"ECG": "#B793DB", "study": "#4CC2B0"})


@dataclass(frozen=True)
class YourEcg:
    """Where the open ECG lies and the words beside it."""

    x: float
    y: float
    label: str


def colour_choices(points: pd.DataFrame) -> dict[str, str]:
    """What the points can be coloured by: column -> name with unit; only columns that hold a value."""
    measured = {n: f"{p.short}, measured" for n, p in PHENOTYPES.items() if n in points and points[n].notna().any()}
    age = {"age_years": "Age"} if points["age_years"].notna().any() else {}
    return measured | age | {MODALITY: "ECG or study"}


def map_figure(points: pd.DataFrame, colour: str, you: YourEcg | None = None, dark: bool = False) -> go.Figure:
    """Draw a map.

    Args:
        points: id, modality ("ECG", "study"), x, y and the column to colour by (workflows.explore.load_map).
        colour: A phenotype, "age_years" or "modality".
        you: The open ECG, drawn as a ringed cross.
        dark: For a dark page.

    Returns:
        A figure whose points name themselves in `customdata`.
    """
    look = DARK if dark else LIGHT
    figure = go.Figure()
    for modality, symbol in SYMBOLS.items():
        own = points[points.modality == modality]
        if len(own):
            _add_points(figure, own, modality, symbol, colour, look)
    _add_legend(figure, points, colour, look)
    if you is not None:
        _add_you(figure, you, look)
    _lay_out(figure, points, colour, look)
    return figure


def _add_points(figure: go.Figure, own: pd.DataFrame, modality: str, symbol: str, colour: str, look: Look) -> None:
    """One trace of points with a value, one of hollow points without."""
    known = np.ones(len(own), bool) if colour == MODALITY else own[colour].notna().to_numpy()
    outline = {"width": 0.5, "color": look.text}
    if colour == MODALITY:
        marker = {"color": look.modalities[modality]}
    else:
        marker = {"color": own[colour][known], "coloraxis": "coloraxis"}
    _trace(figure, own[known], modality, colour, {"symbol": symbol, "size": 8, "line": outline} | marker)
    if not known.all():
        _trace(
            figure,
            own[~known],
            f"{modality}, not known",
            colour,
            {"symbol": f"{symbol}-open", "size": 8, "color": look.muted, "line": {"width": 1.2, "color": look.muted}},
        )


def _trace(figure: go.Figure, rows: pd.DataFrame, name: str, colour: str, marker: dict) -> None:
    figure.add_trace(
        go.Scattergl(
            x=rows.x.round(4),
            y=rows.y.round(4),
            mode="markers",
            name=name,
            marker=marker,
            showlegend=False,
            customdata=rows[["id", "modality"]].to_numpy(),
            text=_hover(rows, colour),
            hovertemplate="%{text}<extra></extra>",
            unselected={"marker": {"opacity": 0.25}},
        )
    )


def _add_legend(figure: go.Figure, points: pd.DataFrame, colour: str, look: Look) -> None:
    """Shapes with their counts; entries of their own, because a coloured-by-value trace has no one colour to show."""
    counts = points.modality.value_counts()
    entries = [
        (f"{m} {counts[m]}", symbol, look.modalities[m] if colour == MODALITY else look.muted)
        for m, symbol in SYMBOLS.items()
        if m in counts
    ]
    if colour != MODALITY and points[colour].isna().any():
        entries.append(("not known", "circle-open", look.muted))
    for name, symbol, ink in entries:
        figure.add_trace(
            go.Scatter(
                x=[None],
                y=[None],
                mode="markers",
                name=name,
                hoverinfo="skip",
                marker={"symbol": symbol, "size": 9, "color": ink},
            )
        )


def _hover(rows: pd.DataFrame, colour: str) -> list[str]:
    names = dict.fromkeys([n for n in ("lvef", colour) if n in PHENOTYPES and n in rows])
    lines = ["<b>" + rows.id + "</b> " + rows.modality]
    for name in names:
        phenotype = PHENOTYPES[name]
        lines.append([f"{phenotype.short} {measured_with_unit(phenotype, v)}" for v in rows[name]])
    return ["<br>".join(parts) for parts in zip(*lines, strict=True)]


def _add_you(figure: go.Figure, you: YourEcg, look: Look) -> None:
    """A ringed cross with its label on a line."""
    figure.add_trace(
        go.Scatter(
            x=[you.x],
            y=[you.y],
            mode="markers",
            name="your ECG",
            showlegend=False,
            hoverinfo="skip",
            marker={
                "symbol": "circle-cross-open",
                "size": 26,
                "color": look.text,
                "line": {"width": 2.6, "color": look.text},
            },
            unselected={"marker": {"opacity": 1}},
        )
    )
    figure.add_annotation(
        x=you.x,
        y=you.y,
        text=you.label,
        ax=34,
        ay=-58,
        showarrow=True,
        arrowhead=0,
        arrowwidth=1.4,
        standoff=14,
        arrowcolor=look.text,
        align="left",
        bgcolor=look.page,
        bordercolor=look.grid,
        borderpad=6,
        font={"color": look.text},
    )


def _lay_out(figure: go.Figure, points: pd.DataFrame, colour: str, look: Look) -> None:
    axis = {"showticklabels": False, "gridcolor": look.grid, "zeroline": False, "title": None, "ticks": ""}
    figure.update_layout(
        height=HEIGHT_PX,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        paper_bgcolor=look.page,
        plot_bgcolor=look.page,
        dragmode="lasso",
        hovermode="closest",
        hoverlabel={"bgcolor": look.page, "bordercolor": look.muted, "font": {"color": look.text}},
        uirevision="map",
        font={"color": look.text, "size": 12.5, "family": "Source Sans, sans-serif"},
        xaxis=axis,
        yaxis=axis | {"scaleanchor": "x"},
        newselection={"line": {"color": "#1B5E9B", "dash": "dash", "width": 2}},
        legend={
            "x": 0.008,
            "y": 0.988 if colour == MODALITY else 0.9,
            "orientation": "h",
            "bgcolor": look.page,
            "font": {"color": look.muted},
            "itemsizing": "constant",
        },
    )
    if colour != MODALITY:
        values = points[colour].dropna()
        is_grade = colour in PHENOTYPES and PHENOTYPES[colour].kind == "grade"
        low, high = (
            (0.0, len(GRADES) - 1.0)
            if is_grade
            else (float(v) for v in np.percentile(values, [2, 98]))
            if len(values)
            else (0.0, 1.0)
        )
        bar = {
            "orientation": "h",
            "x": 0.005,
            "y": 0.995,
            "xanchor": "left",
            "xpad": 12,
            "ypad": 4,
            "yanchor": "top",
            "len": 0.34,
            "thickness": 11,
            "title": {"text": _title(colour), "side": "top", "font": {"size": 12.5}},
            "outlinewidth": 0,
            "nticks": 6,
            "tickfont": {"color": look.muted},
        }
        if is_grade:
            bar |= {"tickvals": list(range(len(GRADES))), "ticktext": list(GRADES)}
        scale = [[i / (len(VIRIDIS_CUT) - 1), c] for i, c in enumerate(VIRIDIS_CUT)]
        figure.update_layout(
            coloraxis={"colorscale": scale, "cmin": low, "cmax": max(high, low + 1e-6), "colorbar": bar}
        )


def _title(colour: str) -> str:
    if colour == "age_years":
        return "<b>Age, years</b>"
    phenotype = PHENOTYPES[colour]
    unit = f", {phenotype.unit}" if phenotype.unit else ""
    return f"<b>{phenotype.short}{unit}</b> measured; ECGs: of their own study"
