"""An ECG in the column of a journal: twelve leads in three rows of four, with what carries an estimate as a tint, and
the retrieval panel: the ECG above the studies nearest to it at end-diastole and end-systole.

The paper of figures/ecg.py is true to scale and wider than a column; here a bar tells one millivolt and half a second.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from echo2ecg_core.ecg.record import LEADS, EcgRecord
from echo2ecg_core.figures.case_pages import Heart
from echo2ecg_core.figures.chart import LABEL_PX, ON_PAGE, Canvas, Frame
from echo2ecg_core.figures.ecg import FAINTEST, FULL_TINT_PERCENTILE, PALETTES, TINT_OPACITY, reach_of

COLUMN_S, COLUMNS, ROWS = 2.5, 4, 3
MOST_MV, LEAST_MV = 4.0, 1.0  # height of a row: what its leads reach, within these
ROW_PX, PICTURE_GAP_PX, EDGE_PX = 74.0, 4.0, 8.0
BAR_MV, BAR_S = 1.0, 0.5


def attribution_figure(record: EcgRecord, contribution: np.ndarray, cell_s: float, words: str, frame: Frame = ON_PAGE):
    """Twelve leads over a tint of what raises and what lowers an estimate.

    Args:
        record: What was explained. contribution: (12, cells) signed, rows in the order of `LEADS`.
        cell_s: Seconds a cell. words: What the tint says, below the traces.
        frame: Theme, title, provenance and width.
    """
    words_px = 18.0
    canvas = Canvas(373, ROWS * ROW_PX + words_px + 10, frame)
    _leads(canvas, record, top=0, contribution=contribution, cell_s=cell_s)
    canvas.write(EDGE_PX, canvas.foot + 4, words, size_px=LABEL_PX, color=canvas.look.muted)
    return canvas.figure


def retrieval_figure(record: EcgRecord, hearts: Sequence[Heart], frame: Frame = ON_PAGE):
    """The ECG and the studies nearest to it, each with its pictures at end-diastole and end-systole.

    Args:
        record: The query. hearts: The studies, nearest first. frame: Theme, title, provenance and width.
    """
    a_row = 4 if frame.column == "double" else 2
    rows = -(-len(hearts) // a_row)
    width = Canvas(373, 10, replace(frame, title="", footer="")).width
    cell = (width - 2 * EDGE_PX - (a_row - 1) * 12) / a_row
    side, line = (cell - PICTURE_GAP_PX) / 2, 15.0
    shape = max((h.pictures[0].shape[0] / h.pictures[0].shape[1] for h in hearts if h.pictures), default=1.0)
    block = side * shape + 3 * line + 10
    canvas = Canvas(373, ROWS * ROW_PX + 16 + rows * block, frame)
    _leads(canvas, record, top=0)
    for i, heart in enumerate(hearts):
        left, top = EDGE_PX + (i % a_row) * (cell + 12), ROWS * ROW_PX + 16 + (i // a_row) * block
        for place, (picture, name) in enumerate(zip(heart.pictures or (), ("ED", "ES"), strict=False)):
            axes = _box(canvas, left + place * (side + PICTURE_GAP_PX), top, side, side * shape)
            axes.imshow(picture, interpolation="bilinear", aspect="equal")
            axes.text(
                0.04, 0.96, name, transform=axes.transAxes, color="white", va="top", fontsize=canvas.pt(LABEL_PX),
                weight="bold",
            )  # fmt: skip
        below = canvas.foot + canvas.drawing - top - side * shape
        for place, words in enumerate(_short(heart, cell)):
            canvas.write(left, below - line * (place + 1), words, size_px=LABEL_PX)
    return canvas.figure


def _short(heart: Heart, width_px: float) -> list[str]:
    """Three lines under a study's pictures: which it is, how near, and its first measured values."""
    most = int(width_px / (LABEL_PX * 0.56))
    name, _, rest = heart.title.partition(", ")
    lines = [name, rest.partition(" (")[0], " · ".join(heart.lines[:2])]
    return [words if len(words) <= most else f"{words[: most - 1]}…" for words in lines]


def _box(canvas: Canvas, left: float, top: float, width: float, height: float):
    """Axes without a frame at so many pixels from the left and from the top of the drawing."""
    axes = canvas.axes(left, top, canvas.width - left - width, canvas.drawing - top - height)
    axes.axis("off")
    return axes


def _leads(
    canvas: Canvas, record: EcgRecord, top: float, contribution: np.ndarray | None = None, cell_s: float = 1.0
) -> None:
    """Three rows of four leads, 2.5 s each, on one scale of millivolts."""
    colours = PALETTES["light" if canvas.look.page == "#FFFFFF" else "dark"]
    signal, rate = record.signal_mv, record.sampling_rate_hz
    shown_s = min(COLUMN_S, record.duration_s / COLUMNS)
    reach = reach_of(signal[:, : round(COLUMNS * shown_s * rate)])
    high = 1.08 * min(MOST_MV, max(LEAST_MV, max(abs(end) for lead in reach.values() for end in lead)))
    width = (canvas.width - 2 * EDGE_PX) / COLUMNS
    strong = 0.0 if contribution is None else float(np.percentile(np.abs(contribution), FULL_TINT_PERCENTILE))
    full = max(strong, 1e-12)
    for i, lead in enumerate(LEADS):
        column, row = divmod(i, ROWS)
        axes = _box(canvas, EDGE_PX + column * width, top + row * ROW_PX, width, ROW_PX)
        start = column * shown_s
        axes.set(xlim=(start, start + shown_s), ylim=(-high, high))
        if contribution is not None:
            for cell, value in enumerate(np.clip(contribution[i] / full, -1, 1)):
                if abs(value) >= FAINTEST and start <= cell * cell_s < start + shown_s:
                    ink = colours["up" if value > 0 else "down"]
                    axes.axvspan(cell * cell_s, (cell + 1) * cell_s, color=ink, alpha=TINT_OPACITY * abs(value), lw=0)
        first, last = round(start * rate), round((start + shown_s) * rate)
        seconds = np.arange(first, min(last, signal.shape[1])) / rate
        axes.plot(seconds, signal[i, first:last], color=canvas.look.text, linewidth=canvas.pt(0.9))
        axes.text(
            0.01, 0.98, lead, transform=axes.transAxes, fontsize=canvas.pt(LABEL_PX), weight="bold", va="top",
            color=canvas.look.text,
        )  # fmt: skip
        if i == len(LEADS) - 1:
            _scale(axes, canvas, start + shown_s, high)


def _scale(axes, canvas: Canvas, end_s: float, high: float) -> None:
    """The bar of one millivolt and half a second at the lower right."""
    x, y = end_s - 0.06, -0.92 * high
    axes.plot([x - BAR_S, x, x], [y, y, y + BAR_MV], color=canvas.look.text, linewidth=canvas.pt(1.2))
    axes.text(
        x - BAR_S - 0.04, y, "1 mV, 0.5 s", fontsize=canvas.pt(LABEL_PX), ha="right", va="bottom",
        color=canvas.look.muted,
    )  # fmt: skip
