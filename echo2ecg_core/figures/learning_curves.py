"""Learning curves of several runs over one another: loss, validation loss, recall at 10 by epoch, on a page and in
print."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from echo2ecg_core.figures.chart import LABEL_PX, ON_PAGE, Canvas, Frame

METRICS = {
    "loss": "Training loss",
    "validation_loss": "Validation loss",
    "recall@10": "Recall at 10, validation",
}
MOST_RUNS = 8
WIDTH_PX, CHART_PX, LINE_PX, LEFT_PX, RIGHT_PX = 373.0, 176.0, 17.0, 44.0, 12.0
DASHES = ("solid", "dashed", "dotted", "dashdot")


@dataclass(frozen=True)
class RunCurves:
    """One run: its name in the legend, and metric -> (epochs, values)."""

    label: str
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]


def shown_metrics(runs: Sequence[RunCurves]) -> list[str]:
    """The metrics that at least one run has."""
    return [name for name in METRICS if any(len(run.curves.get(name, ((), ()))[0]) for run in runs)]


def learning_curves_figure(runs: Sequence[RunCurves], frame: Frame = ON_PAGE):
    """A chart a metric, one line a run: one below another, in two columns of a journal side by side.

    Args:
        runs: At most MOST_RUNS; each keeps its colour and dash in all charts.
        frame: Theme, title, provenance and width.
    """
    names, legend = shown_metrics(runs), LINE_PX * len(runs) + 8
    side_by_side = frame.column == "double"
    rows = 1 if side_by_side else len(names)
    canvas = Canvas(WIDTH_PX, rows * CHART_PX + legend, frame)
    share = canvas.width / max(len(names), 1) if side_by_side else canvas.width
    for i, name in enumerate(names):
        left, top = (i * share, 0.0) if side_by_side else (0.0, i * CHART_PX)
        title = "" if len(names) == 1 and not frame.title else METRICS[name]  # a page names its only chart itself
        _chart(canvas, runs, name, title, left, top, share)
    for i, run in enumerate(runs[:MOST_RUNS]):
        y = canvas.foot + legend - LINE_PX * (i + 1)
        _key(canvas, i, y + 4)
        canvas.write(44, y, run.label, size_px=LABEL_PX)
    return canvas.figure


def _style(canvas: Canvas, i: int) -> dict:
    colours = canvas.look.series
    dash = DASHES[(i + i // len(colours)) % len(DASHES)]  # of four runs each has its own, of eight each pair
    return {"color": colours[i % len(colours)], "linestyle": dash, "linewidth": canvas.pt(1.7)}


def _chart(
    canvas: Canvas, runs: Sequence[RunCurves], name: str, title: str, left: float, top: float, width: float
) -> None:
    right = canvas.width - left - width + RIGHT_PX
    axes = canvas.axes(left + LEFT_PX, top + 24, right, canvas.drawing - top - CHART_PX + 30)
    for i, run in enumerate(runs[:MOST_RUNS]):
        x, y = run.curves.get(name, ((), ()))
        axes.plot(x, np.asarray(y, float), label=run.label, **_style(canvas, i))
    axes.grid(axis="y", color=canvas.look.grid, linewidth=canvas.pt(1))
    axes.set_xlim(0, None)
    if name.startswith("recall"):
        axes.set_ylim(0, None)
    axes.locator_params(nbins=5)
    axes.set_xlabel("Epoch", fontsize=canvas.pt(LABEL_PX), color=canvas.look.muted, labelpad=canvas.pt(2))
    line = canvas.foot + canvas.drawing - top - 16
    canvas.write(left + 8, line, title, size_px=LABEL_PX, color=canvas.look.muted)


def _key(canvas: Canvas, i: int, y_px: float) -> None:
    """A piece of a run's line before its name."""
    from matplotlib.lines import Line2D

    y = y_px / canvas.height
    x = (8 / canvas.width, 36 / canvas.width)
    canvas.figure.add_artist(Line2D(x, (y, y), transform=canvas.figure.transFigure, **_style(canvas, i)))
