"""One patient in time: a tick an ECG, a diamond an echo study at its LVEF, on the days they were made.

A study without an LVEF stands hollow on the line of the ECGs' upper end. The grey band is the reference range of the
patient's sex, of both where it is not known.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from echo2ecg_core.counts import counted
from echo2ecg_core.figures.chart import DARK, ON_PAGE, Canvas, Frame
from echo2ecg_core.figures.notation import date
from echo2ecg_core.phenotypes import PHENOTYPES

WIDTH, HEIGHT = 660, 176
LOWEST, HIGHEST = 10, 80  # per cent LVEF drawn
ECG_COLOURS, STUDY_COLOURS = ("#7B4FA3", "#B793DB"), ("#1E9C8B", "#4CC2B0")  # light, dark
_TICKS = (2, 7)  # of ECGs, in units of LVEF


def timeline_figure(
    ecgs: Sequence[datetime],
    studies: Sequence[tuple[datetime, float | None]],
    sex: str | None,
    frame: Frame = ON_PAGE,
):
    """The picture.

    Args:
        ecgs: When each ECG was recorded.
        studies: When each echo was made, and its LVEF in per cent where it was measured.
        sex: "male", "female", or None.
        frame: Theme, and title and provenance in a file.
    """
    from matplotlib.dates import AutoDateLocator, date2num

    canvas = Canvas(WIDTH, HEIGHT, frame)
    axes, dark = canvas.axes(34, 22, 36, 24), int(frame.look == DARK)
    first, last = _span([*ecgs, *(when for when, _ in studies)])
    axes.set(xlim=(date2num(first), date2num(last)), ylim=(0, HIGHEST + 4), yticks=(20, 40, 60, 80))
    low, high = _reference(sex)
    axes.axhspan(low, high, color=frame.look.grid, lw=0)
    for level in (20, 40, 60, 80):
        axes.axhline(level, color=frame.look.grid, lw=canvas.pt(1), zorder=0)
    axes.vlines([date2num(when) for when in ecgs], *_TICKS, color=ECG_COLOURS[dark], lw=canvas.pt(1.6))
    known = [(date2num(when), max(LOWEST, min(HIGHEST, lvef))) for when, lvef in studies if lvef is not None]
    axes.plot(*zip(*known, strict=True) if known else ((), ()), color=frame.look.axis, lw=canvas.pt(1.2), zorder=2)
    diamond = {"marker": "D", "linestyle": "", "markersize": canvas.pt(8), "color": STUDY_COLOURS[dark], "zorder": 3}
    axes.plot(*zip(*known, strict=True) if known else ((), ()), **diamond)
    hollow = [date2num(when) for when, lvef in studies if lvef is None]
    axes.plot(hollow, [12] * len(hollow), **diamond, markerfacecolor=frame.look.page)
    axes.xaxis.set_major_locator(AutoDateLocator(minticks=2, maxticks=5))
    axes.xaxis.set_major_formatter(lambda number, _: _day(number, last - first))
    top = canvas.foot + HEIGHT - 14
    canvas.write(4, top, "LVEF, %", size_px=11.5, color=frame.look.muted)
    canvas.write(64, top, "◆ echo study", size_px=11.5, color=STUDY_COLOURS[dark])
    canvas.write(150, top, "| ECG", size_px=11.5, color=ECG_COLOURS[dark])
    canvas.write(196, top, "grey: reference range", size_px=11.5, color=frame.look.muted)
    return canvas.figure


def timeline_words(ecgs: Sequence[datetime], studies: Sequence[tuple[datetime, float | None]]) -> str:
    """What a reader who cannot see the picture hears."""
    seen = ", ".join(
        f"{date(when)} LVEF {'not measured' if lvef is None else f'{lvef:.0f} %'}" for when, lvef in studies
    )
    first = f", from {date(min(ecgs))} to {date(max(ecgs))}" if ecgs else ""
    echos = counted(len(studies), "echo study", "echo studies")
    return f"{counted(len(ecgs), 'ECG')}{first}; {echos}{f': {seen}' if seen else ''}"


def _day(number: float, span: timedelta) -> str:
    """A tick in words: a year where many are shown, else a day."""
    from matplotlib.dates import num2date

    when = num2date(number)
    return f"{when.year}" if span > timedelta(days=1200) else date(datetime(when.year, when.month, when.day))


def _span(moments: Sequence[datetime]) -> tuple[datetime, datetime]:
    """First and last day of the axis, a little beyond what is shown."""
    first, last = min(moments), max(moments)
    beyond = max((last - first) * 0.04, timedelta(days=1))
    return first - beyond, last + beyond


def _reference(sex: str | None) -> tuple[float, float]:
    ranges = PHENOTYPES["lvef"].reference
    chosen = [ranges[sex]] if sex else list(ranges.values())
    lows, highs = zip(*chosen, strict=True)
    return min(low for low in lows if low is not None), max(high for high in highs if high is not None)
