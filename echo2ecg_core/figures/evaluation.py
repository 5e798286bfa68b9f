"""The charts of an evaluation: data in, figure out; the same drawing for the page, the HTML report and a paper.

Every series has a colour, a dash and a name of its own, so that none is told by colour alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from echo2ecg_core.figures.chart import LABEL_PX, ON_PAGE, TEXT_PX, Canvas, Frame, Look, label_axes
from echo2ecg_core.figures.notation import number

WIDTH_PX, HEIGHT_PX = 373, 368
SOLID, LONG, DOTTED, DASHED, DASH_DOT = "-", (0, (6, 1.5)), (0, (1.1, 1.5)), (0, (3.5, 2)), (0, (5, 1.5, 1, 1.5))
STYLES = {"model": (0, SOLID, 2.2), "features": (2, DOTTED, 1.8), "random": (3, DASHED, 1.6)}
OTHERS = ((1, LONG, 1.6), (0, DASH_DOT, 1.4), (1, DASHED, 1.4), (2, DASH_DOT, 1.4))
MOST_POINTS = 1500  # beyond, dots become a picture inside the file
PER_CENT_TICKS = range(0, 101, 25)


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Attributes:
        label: Its name, with its score where it has one.
        kind: "model", "random", "features", or anything else for one more encoder.
        x, y: Its points.
    """

    label: str
    kind: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class ForestRow:
    """One row of a forest: who, how many, value with interval (None: not known), and the value in words."""

    label: str
    count: str
    value: float | None
    low: float | None
    high: float | None
    text: str
    bold: bool = False


def series_styles(kinds: Sequence[str]) -> list[tuple[int, object, float]]:
    """(place in the palette, dash, width) of each series; the same kind looks the same in every chart."""
    others = iter(OTHERS * len(kinds))
    return [STYLES[kind] if kind in STYLES else next(others) for kind in kinds]


def roc_figure(series: Sequence[Series], frame: Frame = ON_PAGE):
    """Sensitivity against 1 − specificity (shares 0..1) of several rows; a ring marks 90 % specificity of the first."""
    canvas = Canvas(WIDTH_PX, HEIGHT_PX, frame)
    axes = canvas.axes(46, 10, 14, 46)
    _per_cent(axes, canvas.look)
    _draw_lines(axes, series, canvas.look, 100)
    if series:
        x, y = (np.asarray(values, float) for values in (series[0].x, series[0].y))
        axes.plot(
            10,
            100 * np.interp(0.1, x, y),
            "o",
            markersize=8,
            zorder=5,
            markerfacecolor=canvas.look.page,
            markeredgecolor=canvas.look.series[0],
            markeredgewidth=2,
        )
    _legend(axes, canvas.look, "lower right")
    label_axes(axes, canvas.look, "1 − specificity, %", "Sensitivity, %")
    return canvas.figure


def calibration_figure(curve: dict, note: str, counted: str, frame: Frame = ON_PAGE):
    """Observed against predicted chance in bins, with intervals, above bars of how many fall into each.

    Args:
        curve: Lists `predicted`, `observed`, `low`, `high` (shares 0..1) and `count`, one entry a bin.
        note: Line above the axes: the calibration error with its interval.
        counted: What the bars count, e.g. "ECGs".
        frame: Theme, title and provenance.
    """
    canvas = Canvas(WIDTH_PX, HEIGHT_PX, frame)
    look = canvas.look
    axes, bars = canvas.axes(46, 28, 14, 90), canvas.axes(46, HEIGHT_PX - 80, 14, 46)
    _per_cent(axes, look)
    axes.tick_params(labelbottom=False)
    predicted, observed, low, high = (100 * np.array(curve[k], float) for k in ("predicted", "observed", "low", "high"))
    axes.vlines(predicted, low, high, colors=look.series[0], linewidths=1.6)
    axes.plot(
        predicted,
        observed,
        "-o",
        color=look.series[0],
        linewidth=1.5,
        markersize=7,
        markeredgecolor=look.page,
        zorder=3,
    )
    axes.text(0, 1.035, note, fontsize=LABEL_PX, color=look.text, transform=axes.transAxes)
    bars.bar(predicted, curve["count"], width=_bar_widths(predicted), color=look.bar)
    bars.set(xlim=(0, 100), yticks=[], xticks=PER_CENT_TICKS)
    bars.axhline(0, color=look.axis, linewidth=1)
    label_axes(bars, look, f"Predicted probability, % (bars: {counted})")
    axes.set_ylabel("Observed, %", fontsize=LABEL_PX, color=look.muted, labelpad=4)
    return canvas.figure


def forest_figure(
    rows: Sequence[ForestRow],
    axis: str,
    limits: tuple[float, float],
    reference: float | None,
    decimals: int = 2,
    frame: Frame = ON_PAGE,
):
    """Values with their intervals, one row a group, beside name and number; dotted line at the reference.

    Args:
        rows: From top to bottom.
        axis: Name of the axis with its unit.
        limits: Ends of the axis; a whisker beyond ends in an arrow.
        reference: Where the dotted line stands.
        decimals: Of the numbers below the axis.
        frame: Theme, title and provenance.
    """
    pitch = min(29, max(20, (HEIGHT_PX - 60) / max(len(rows), 1)))
    height = pitch * len(rows) + 60
    canvas = Canvas(WIDTH_PX, height, frame)
    look, name_px, text_px = canvas.look, 0.42 * WIDTH_PX, 62
    axes = canvas.axes(name_px + 12, 8, text_px, height - 8 - pitch * len(rows))
    axes.set(xlim=limits, ylim=(len(rows) - 0.5, -0.5), yticks=[])
    axes.xaxis.set_major_locator(_ticks())
    axes.xaxis.set_major_formatter(lambda value, _: number(value, decimals))
    axes.grid(axis="x", color=look.grid, linewidth=1)
    if reference is not None:
        axes.axvline(reference, color=look.axis, linewidth=1.3, linestyle=DOTTED)
    for at, row in enumerate(rows):
        y = 1 - (8 + pitch * (at + 0.5)) / height
        y = (canvas.foot + y * height) / canvas.height
        weight = "bold" if row.bold else "normal"
        canvas.figure.text(0, y, row.label, fontsize=TEXT_PX, va="center", color=look.text, weight=weight)
        canvas.figure.text(
            name_px / WIDTH_PX, y, row.count, fontsize=LABEL_PX, va="center", ha="right", color=look.muted
        )
        canvas.figure.text(1, y, row.text, fontsize=TEXT_PX, va="center", ha="right", color=look.text, weight=weight)
        _whisker(axes, at, row, limits, look)
    label_axes(axes, look, axis)
    return canvas.figure


def scatter_figure(
    measured: Sequence[float],
    predicted: Sequence[float],
    label: str,
    limits: tuple[float, float],
    frame: Frame = ON_PAGE,
):
    """Predicted against measured, on equal axes, with the line where both are the same.

    Args:
        measured, predicted: One value an ECG.
        label: The phenotype with its unit.
        limits: Ends of both axes; a dot beyond is drawn on the edge.
        frame: Theme, title and provenance.
    """
    canvas = Canvas(WIDTH_PX, HEIGHT_PX, frame)
    look = canvas.look
    axes = canvas.axes(46, 10, 14, 46)
    axes.set(xlim=limits, ylim=limits)
    axes.grid(color=look.grid, linewidth=1)
    axes.plot(limits, limits, color=look.axis, linewidth=1.2, linestyle=DOTTED)
    x, y = (np.clip(np.asarray(values, float), *limits) for values in (measured, predicted))
    axes.scatter(
        x, y, s=14, color=look.series[0], alpha=0.45, linewidths=0, rasterized=len(x) > MOST_POINTS, clip_on=False
    )
    label_axes(axes, look, f"{label}, measured", f"{label}, predicted")
    return canvas.figure


def recall_figure(series: Sequence[Series], chance: Series | None, frame: Frame = ON_PAGE):
    """Share of queries (0..1) whose partner is among the first k, for k on the axis, with guessing as a dotted line."""
    canvas = Canvas(WIDTH_PX, HEIGHT_PX, frame)
    look = canvas.look
    axes = canvas.axes(46, 10, 14, 46)
    top = max([25, *(25 * np.ceil(4 * max(line.y)) for line in series if len(line.y))])
    _draw_lines(axes, series, look, 1, 100, marker="o")
    if chance is not None:
        axes.plot(
            chance.x, 100 * np.array(chance.y), color=look.axis, linewidth=1.5, linestyle=DOTTED, label=chance.label
        )
    axes.set(xlim=(0.5, None), ylim=(0, top), xticks=sorted({k for line in series for k in line.x}))
    axes.grid(axis="y", color=look.grid, linewidth=1)
    axes.axhline(0, color=look.axis, linewidth=1)
    _legend(axes, look, "upper left")
    label_axes(axes, look, "First k of the list", "Found among the first k, %")
    return canvas.figure


def _draw_lines(
    axes, series: Sequence[Series], look: Look, x_scale: float, y_scale: float | None = None, marker: str = ""
) -> None:
    for line, (colour, dash, width) in zip(series, series_styles([s.kind for s in series]), strict=True):
        axes.plot(
            x_scale * np.asarray(line.x, float),
            (y_scale or x_scale) * np.asarray(line.y, float),
            color=look.series[colour],
            linestyle=dash,
            linewidth=width,
            label=line.label,
            marker=marker,
            markersize=5,
        )


def _legend(axes, look: Look, place: str) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            loc=place,
            frameon=False,
            fontsize=LABEL_PX,
            labelcolor=look.text,
            handlelength=2.2,
            labelspacing=0.55,
            borderaxespad=0.8,
        )


def _per_cent(axes, look: Look) -> None:
    """Square axes from 0 to 100 % with the diagonal."""
    axes.set(xlim=(0, 100), ylim=(0, 100), xticks=PER_CENT_TICKS, yticks=PER_CENT_TICKS)
    axes.grid(axis="y", color=look.grid, linewidth=1)
    axes.plot([0, 100], [0, 100], color=look.axis, linewidth=1.1, linestyle=DOTTED)
    axes.axhline(0, color=look.axis, linewidth=1)


def _whisker(axes, at: int, row: ForestRow, limits: tuple[float, float], look: Look) -> None:
    """Square and interval; an end beyond the axis is drawn as an arrow at its edge."""
    if row.value is None:
        return
    low, high = (row.value if end is None else end for end in (row.low, row.high))
    axes.hlines(at, max(low, limits[0]), min(high, limits[1]), color=look.series[0], linewidth=1.8)
    for beyond, edge, arrow in ((low < limits[0], limits[0], "<"), (high > limits[1], limits[1], ">")):
        if beyond:
            axes.plot(edge, at, arrow, color=look.series[0], markersize=6, clip_on=False)
    if limits[0] <= row.value <= limits[1]:
        axes.plot(
            row.value, at, "s", color=look.series[0], markersize=7, markeredgecolor=look.page, markeredgewidth=0.8
        )


def _bar_widths(at: np.ndarray) -> float:
    return 0.9 * min(10.0, float(np.min(np.diff(at)))) if len(at) > 1 and np.min(np.diff(at)) > 0.5 else 4.0


def _ticks():
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(4, steps=[1, 2, 2.5, 5, 10])
