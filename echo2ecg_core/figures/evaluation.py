"""The charts of an evaluation: data in, figure out; the same drawing for the page, the HTML report and a paper.

Every series has a colour, a dash and a name of its own, so that none is told by colour alone. Over one column legends
stand below a drawing, over two beside it. Sizes are pixels of a page; `Canvas.pt` turns them into points of print.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from echo2ecg_core.figures.chart import LABEL_PX, ON_PAGE, Canvas, Frame
from echo2ecg_core.figures.notation import THIN, number, unit_of_difference

WIDTH_PX, HEIGHT_PX = 373, 368
LEFT_PX, RIGHT_PX, BOTTOM_PX = 50, 14, 46  # margins that hold the numbers and names of the axes
SQUARE_PX, LINE_PX = 309, 18  # side of a square drawing; from one line of a legend to the next
LIMITS_OF_AGREEMENT = 1.96  # standard deviations (Bland and Altman, Lancet 327:307-310, 1986)
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
        low, high: Ends of the interval of each point, drawn as a band; None where they are not known.
    """

    label: str
    kind: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None


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


def roc_figure(series: Sequence[Series], frame: Frame = ON_PAGE, heading: str = ""):
    """Sensitivity against 1 − specificity (shares 0..1) of several rows; a ring marks 90 % specificity of the first.

    Args:
        series: The rows; a label holds name and score.
        frame: Theme, title, provenance and width.
        heading: Of the legend: what the numbers behind the names are.
    """
    below = LINE_PX * (len(series) + bool(heading)) + 8
    canvas = Canvas(WIDTH_PX, HEIGHT_PX + (0 if frame.column == "double" else below), frame)
    axes = canvas.axes(*_square(canvas, 10))
    _per_cent(axes, canvas)
    _draw_lines(axes, series, canvas, 100)
    if series:
        x, y = (np.asarray(values, float) for values in (series[0].x, series[0].y))
        _mark(axes, canvas, 10, 100 * np.interp(0.1, x, y), "o", 8, face=canvas.look.page, edge=canvas.look.series[0])
    _legend(axes, canvas, heading)
    canvas.label(axes, "1 − specificity, %", "Sensitivity, %")
    return canvas.figure


def calibration_figure(curve: dict, note: str, counted: str, frame: Frame = ON_PAGE):
    """Observed against predicted chance in bins, with intervals, and bars of how many fall into each.

    Args:
        curve: Lists `predicted`, `observed`, `low`, `high` (shares 0..1) and `count`, one entry a bin.
        note: Line above the axes: the calibration error with its interval.
        counted: What the bars count, e.g. "ECGs".
        frame: Theme, title, provenance and width.
    """
    canvas = Canvas(WIDTH_PX, HEIGHT_PX, frame)
    look = canvas.look
    if canvas.is_wide:
        axes, bars = canvas.axes(*_square(canvas, 28)), canvas.axes(*_beside(28))
    else:
        axes = canvas.axes(LEFT_PX, 28, RIGHT_PX, 90)
        bars = canvas.axes(LEFT_PX, HEIGHT_PX - 80, RIGHT_PX, BOTTOM_PX)
        axes.tick_params(labelbottom=False)
    _per_cent(axes, canvas)
    predicted, observed, low, high = (100 * np.array(curve[k], float) for k in ("predicted", "observed", "low", "high"))
    axes.vlines(predicted, low, high, colors=look.series[0], linewidths=canvas.pt(1.6))
    axes.plot(
        predicted,
        observed,
        "-o",
        color=look.series[0],
        linewidth=canvas.pt(1.5),
        markersize=canvas.pt(7),
        markeredgecolor=look.page,
        zorder=3,
    )
    _note(axes, canvas, note)
    bars.bar(predicted, curve["count"], width=_bar_widths(predicted), color=look.bar)
    bars.set(xlim=(0, 100), yticks=[], xticks=PER_CENT_TICKS)
    bars.axhline(0, color=look.axis, linewidth=canvas.pt(1))
    canvas.label(bars, f"Predicted probability, % (bars: {counted})")
    canvas.label(axes, "Predicted probability, %" if canvas.is_wide else "", "Observed, %")
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
        frame: Theme, title, provenance and width.
    """
    pitch = min(29, max(20, (HEIGHT_PX - 60) / max(len(rows), 1)))
    height = pitch * len(rows) + 60
    canvas = Canvas(WIDTH_PX, height, frame)
    look, edge = canvas.look, 8 if frame.column else 0
    text_px = 62 + edge
    name_px = edge + min((0.46 if frame.column else 0.42) * canvas.width, 240)
    axes = canvas.axes(name_px + 12, 8, text_px, height - 8 - pitch * len(rows))
    axes.set(xlim=limits, ylim=(len(rows) - 0.5, -0.5), yticks=[])
    axes.xaxis.set_major_locator(_ticks(canvas.width - name_px - 12 - text_px, decimals + 4))
    axes.xaxis.set_major_formatter(lambda value, _: number(value, decimals))
    axes.grid(axis="x", color=look.grid, linewidth=canvas.pt(1))
    if reference is not None:
        axes.axvline(reference, color=look.axis, linewidth=canvas.pt(1.3), linestyle=DOTTED)
    for at, row in enumerate(rows):
        y = canvas.foot + height - 8 - pitch * (at + 0.5)
        weight = "bold" if row.bold else "normal"
        canvas.write(edge, y, row.label, va="center", weight=weight)
        canvas.write(name_px, y, row.count, size_px=LABEL_PX, va="center", ha="right", color=look.muted)
        canvas.write(canvas.width - edge, y, row.text, va="center", ha="right", weight=weight)
        _whisker(axes, at, row, limits, canvas)
    middle = (name_px + 12 + canvas.width - text_px) / 2
    canvas.write_between(edge, middle, canvas.width - edge, canvas.foot + 15, axis)
    return canvas.figure


def scatter_figure(
    measured: Sequence[float],
    predicted: Sequence[float],
    label: str,
    limits: tuple[float, float],
    frame: Frame = ON_PAGE,
    note: str = "",
):
    """Predicted against measured, on equal axes, with the line where both are the same; over two columns the agreement
    (`bland_altman_figure`) stands beside it.

    Args:
        measured, predicted: One value an ECG.
        label: The phenotype with its unit.
        limits: Ends of both axes; a dot beyond is drawn on the edge.
        frame: Theme, title, provenance and width.
        note: Line above the axes: the score with its interval.
    """
    canvas = Canvas(WIDTH_PX, HEIGHT_PX, frame)
    axes = canvas.axes(*_square(canvas, 28 if note else 10))
    axes.set(xlim=limits, ylim=limits)
    axes.grid(color=canvas.look.grid, linewidth=canvas.pt(1))
    axes.plot(limits, limits, color=canvas.look.axis, linewidth=canvas.pt(1.2), linestyle=DOTTED)
    _dots(axes, canvas, *(np.clip(np.asarray(values, float), *limits) for values in (measured, predicted)))
    _note(axes, canvas, note)
    canvas.label(axes, f"{label}, measured", f"{label}, predicted")
    if canvas.is_wide:
        _agreement(canvas.axes(*_beside(28)), canvas, measured, predicted, label)
    return canvas.figure


def bland_altman_figure(
    measured: Sequence[float], predicted: Sequence[float], label: str, frame: Frame = ON_PAGE
) -> object:
    """Difference of predicted and measured against their mean, with bias and 95 % limits of agreement.

    Args:
        measured, predicted: One value an ECG.
        label: The phenotype with its unit.
        frame: Theme, title, provenance and width.
    """
    canvas = Canvas(WIDTH_PX, HEIGHT_PX, frame)
    _agreement(canvas.axes(LEFT_PX + 4, 28, RIGHT_PX, BOTTOM_PX), canvas, measured, predicted, label)
    return canvas.figure


def limits_of_agreement(measured: Sequence[float], predicted: Sequence[float]) -> tuple[float, float, float]:
    """Mean of predicted minus measured, and that mean −/+ 1.96 standard deviations; every ECG counts alike."""
    difference = np.asarray(predicted, float) - np.asarray(measured, float)
    bias, spread = float(difference.mean()), LIMITS_OF_AGREEMENT * float(difference.std(ddof=1))
    return bias, bias - spread, bias + spread


def recall_figure(series: Sequence[Series], chance: Series | None, frame: Frame = ON_PAGE, heading: str = ""):
    """Share of queries (0..1) whose partner is among the first k, for k on the axis, with guessing as a dotted line."""
    lines = len(series) + (chance is not None) + bool(heading)
    canvas = Canvas(WIDTH_PX, HEIGHT_PX + (0 if frame.column == "double" else LINE_PX * lines + 8), frame)
    look, axes = canvas.look, canvas.axes(*_square(canvas, 10))
    highest = [max(line.high if line.high is not None else line.y) for line in series if len(line.y)]
    top = max([25, *(25 * np.ceil(4 * share) for share in highest)])
    _draw_lines(axes, series, canvas, 1, 100, marker="o")
    if chance is not None:
        axes.plot(
            chance.x,
            100 * np.array(chance.y),
            color=look.axis,
            linewidth=canvas.pt(1.5),
            linestyle=DOTTED,
            label=chance.label,
        )
    axes.set(xlim=(0.5, None), ylim=(0, top), xticks=sorted({k for line in series for k in line.x}))
    axes.grid(axis="y", color=look.grid, linewidth=canvas.pt(1))
    axes.axhline(0, color=look.axis, linewidth=canvas.pt(1))
    _legend(axes, canvas, heading)
    canvas.label(axes, "First k of the list", "Found among the first k, %")
    return canvas.figure


def _square(canvas: Canvas, top: float) -> tuple[float, float, float, float]:
    """Margins of the square drawing at the left; what is not as wide or high as a square lies right of and below it."""
    side = HEIGHT_PX - top - BOTTOM_PX
    right = canvas.width - LEFT_PX - SQUARE_PX if canvas.is_wide else RIGHT_PX
    return LEFT_PX, top, right, canvas.drawing - top - side


def _beside(top: float) -> tuple[float, float, float, float]:
    """Margins of a second drawing beside the square one, over two columns."""
    return LEFT_PX + SQUARE_PX + 70, top, RIGHT_PX, BOTTOM_PX


def _agreement(axes, canvas: Canvas, measured: Sequence[float], predicted: Sequence[float], label: str) -> None:
    look, (bias, low, high) = canvas.look, limits_of_agreement(measured, predicted)
    ours, theirs = (np.asarray(values, float) for values in (predicted, measured))
    unit = label.partition(", ")[2]
    apart = unit_of_difference(unit)
    decimals = 1 if high - low > 4 else 2
    for value, dash in ((bias, SOLID), (low, DASHED), (high, DASHED), (0.0, DOTTED)):
        ink = look.axis if dash == DOTTED else look.series[1]
        axes.axhline(value, color=ink, linewidth=canvas.pt(1.4), linestyle=dash, zorder=3)
    _dots(axes, canvas, (ours + theirs) / 2, ours - theirs)
    axes.grid(axis="y", color=look.grid, linewidth=canvas.pt(1))
    ends = f"{number(low, decimals)} to {number(high, decimals)}"
    _note(axes, canvas, f"Bias {number(bias, decimals)}{THIN}{apart}, 95{THIN}% limits {ends}".strip())
    canvas.label(axes, f"Mean of both, {unit}".rstrip(", "), f"Predicted − measured, {apart}".rstrip(", "))


def _dots(axes, canvas: Canvas, x: np.ndarray, y: np.ndarray) -> None:
    axes.scatter(
        x,
        y,
        s=14 * canvas.scale**2,
        color=canvas.look.series[0],
        alpha=0.45,
        linewidths=0,
        rasterized=len(x) > MOST_POINTS,
        clip_on=False,
    )


def _note(axes, canvas: Canvas, words: str) -> None:
    """A line above the axes, beginning at the left edge of the numbers."""
    if words:
        axes.annotate(
            words,
            (0, 1),
            (0, canvas.pt(7)),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=canvas.pt(LABEL_PX),
            color=canvas.look.text,
        )


def _mark(axes, canvas: Canvas, x: float, y: float, shape: str, size_px: float, *, face: str, edge: str) -> None:
    axes.plot(
        x,
        y,
        shape,
        markersize=canvas.pt(size_px),
        zorder=5,
        markerfacecolor=face,
        markeredgecolor=edge,
        markeredgewidth=canvas.pt(2 if shape == "o" else 0.8),
    )


def _draw_lines(
    axes, series: Sequence[Series], canvas: Canvas, x_scale: float, y_scale: float | None = None, marker: str = ""
) -> None:
    up = y_scale or x_scale
    for line, (colour, dash, width) in zip(series, series_styles([s.kind for s in series]), strict=True):
        ink, x = canvas.look.series[colour], x_scale * np.asarray(line.x, float)
        axes.plot(
            x,
            up * np.asarray(line.y, float),
            color=ink,
            linestyle=dash,
            linewidth=canvas.pt(width),
            label=line.label,
            marker=marker,
            markersize=canvas.pt(5),
        )
        if line.low is not None and line.high is not None:
            low, high = (up * np.asarray(end, float) for end in (line.low, line.high))
            axes.fill_between(x, low, high, color=ink, alpha=0.14, linewidth=0)


def _legend(axes, canvas: Canvas, heading: str) -> None:
    """Names of the lines below the name of the axis, over two columns right of the drawing; never on top of a line."""
    if not axes.get_legend_handles_labels()[0]:
        return
    side = HEIGHT_PX - 10 - BOTTOM_PX
    place = (1 + 24 / SQUARE_PX, 1.02) if canvas.is_wide else (-(LEFT_PX - 6) / SQUARE_PX, -(BOTTOM_PX - 6) / side)
    legend = axes.legend(
        loc="upper left",
        bbox_to_anchor=place,
        title=heading or None,
        alignment="left",
        frameon=False,
        fontsize=canvas.pt(LABEL_PX),
        title_fontsize=canvas.pt(LABEL_PX),
        labelcolor=canvas.look.text,
        handlelength=2.2,
        labelspacing=0.38,
        borderpad=0,
        borderaxespad=0,
    )
    legend.get_title().set_color(canvas.look.muted)


def _per_cent(axes, canvas: Canvas) -> None:
    """Square axes from 0 to 100 % with the diagonal."""
    look = canvas.look
    axes.set(xlim=(0, 100), ylim=(0, 100), xticks=PER_CENT_TICKS, yticks=PER_CENT_TICKS)
    axes.grid(axis="y", color=look.grid, linewidth=canvas.pt(1))
    axes.plot([0, 100], [0, 100], color=look.axis, linewidth=canvas.pt(1.1), linestyle=DOTTED)
    axes.axhline(0, color=look.axis, linewidth=canvas.pt(1))


def _whisker(axes, at: int, row: ForestRow, limits: tuple[float, float], canvas: Canvas) -> None:
    """Square and interval; an end beyond the axis is drawn as an arrow at its edge."""
    if row.value is None:
        return
    ink = canvas.look.series[0]
    low, high = (row.value if end is None else end for end in (row.low, row.high))
    axes.hlines(at, max(low, limits[0]), min(high, limits[1]), color=ink, linewidth=canvas.pt(1.8))
    for beyond, edge, arrow in ((low < limits[0], limits[0], "<"), (high > limits[1], limits[1], ">")):
        if beyond:
            axes.plot(edge, at, arrow, color=ink, markersize=canvas.pt(6), clip_on=False)
    if limits[0] <= row.value <= limits[1]:
        _mark(axes, canvas, row.value, at, "s", 7, face=ink, edge=canvas.look.page)


def _bar_widths(at: np.ndarray) -> float:
    return 0.9 * min(10.0, float(np.min(np.diff(at)))) if len(at) > 1 and np.min(np.diff(at)) > 0.5 else 4.0


def _ticks(width_px: float, characters: int):
    """Round numbers below an axis, as many as stand apart in its width."""
    from matplotlib.ticker import MaxNLocator

    apart = int(width_px / (0.62 * LABEL_PX * characters + 8))
    return MaxNLocator(min(4, max(1, apart)), steps=[1, 2, 2.5, 5, 10])
