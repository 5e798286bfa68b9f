"""Curves of a training run as inline SVG: drawn in a millisecond, so a page can renew them every two seconds without a
jump.

Axes are fixed: epochs run to the planned end from the start, values to round limits that change only when the data
leave them. Colours are the classes of the page's style, so light and dark need no second drawing.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from echo2ecg_core.figures.notation import number

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 400, 40, 12, 8, 22


@dataclass(frozen=True)
class Curve:
    """One line: `x` in epochs, `y` values; `series` 0 is drawn solid, 1 dashed."""

    x: Sequence[float]
    y: Sequence[float]
    series: int = 0


@dataclass(frozen=True)
class Axis:
    """Round limits of a value axis and the distance of its hairlines."""

    low: float
    high: float
    step: float

    @property
    def ticks(self) -> list[float]:
        """The hairlines from low to high."""
        return [self.low + i * self.step for i in range(round((self.high - self.low) / self.step) + 1)]

    @property
    def decimals(self) -> int:
        """Decimals that tell neighbouring hairlines apart."""
        return max(0, -math.floor(math.log10(self.step) + 1e-9), len(f"{self.step:.6f}".rstrip("0").split(".")[1]))


def round_axis(values: Sequence[float], *, from_zero: bool = False, lines: int = 4) -> Axis:
    """The tightest axis of 1, 2, 2.5 or 5 times a power of ten around the values, with at most `lines` + 1
    hairlines."""
    known = [v for v in values if v is not None and math.isfinite(v)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    low = 0.0 if from_zero else low
    if high - low < 1e-9 * max(1.0, abs(high)):
        high = low + (abs(low) or 1.0) * 0.5
    for power in range(math.floor(math.log10((high - low) / lines)) - 1, 12):
        for factor in (1, 2, 2.5, 5):
            step = factor * 10.0**power
            start, end = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
            if end - start <= lines:
                return Axis(start * step, max(end, start + 1) * step, step)
    raise AssertionError("no axis holds these values")


def curves_svg(
    curves: Sequence[Curve],
    x_max: float,
    axis: Axis,
    *,
    alt: str,
    height: int = 190,
    level: float | None = None,
    mark: tuple[float, float] | None = None,
    unit: float = 1.0,
) -> str:
    """A small chart.

    Args:
        curves: The lines; values that are not finite leave a gap.
        x_max: Planned number of epochs.
        axis: Of the values.
        alt: What a reader who cannot see the picture hears.
        height: In pixels, at a width of 400.
        level: A dotted line at this value (chance).
        mark: (epoch, value) of a ring (the best epoch).
        unit: Values are written divided by this (a power of ten named in the title).
    """

    def place(x: float, y: float) -> tuple[float, float]:
        across = (WIDTH - LEFT - RIGHT) * min(x, x_max) / x_max
        share = min(1.0, max(0.0, (y - axis.low) / (axis.high - axis.low)))
        return LEFT + across, height - BOTTOM - share * (height - TOP - BOTTOM)

    parts = [
        _hairline(
            place(0, tick)[1],
            number(tick / unit, Axis(axis.low / unit, axis.high / unit, axis.step / unit).decimals),
            first=i == 0,
        )
        for i, tick in enumerate(axis.ticks)
    ]
    parts += [
        f'<text x="{place(epoch, axis.low)[0]:.1f}" y="{height - 5}" class="x">{number(epoch)}</text>'
        for epoch in _epochs(x_max)
    ]
    parts.append(_words_of_axis(place, _epochs(x_max), axis, height, is_empty=not any(len(c.x) for c in curves)))
    if level is not None:
        x0, y0 = place(0, level)
        parts.append(f'<path d="M{x0:.1f} {y0:.1f}H{WIDTH - RIGHT}" class="level"/>')
    parts += [
        f'<path d="{_path([place(x, y) if math.isfinite(y) else None for x, y in zip(c.x, c.y, strict=True)])}" '
        f'class="curve s{c.series}"/>'
        for c in curves
    ]
    if mark is not None:
        x, y = place(*mark)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="mark"/>')
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(alt, quote=True)}">{"".join(parts)}</svg>'
    )


def _words_of_axis(place: Callable, epochs: list[float], axis: Axis, height: int, *, is_empty: bool) -> str:
    """What the horizontal axis counts, between its first two numbers, and that there is nothing to draw yet."""
    between = sum(place(epoch, axis.low)[0] for epoch in epochs[:2]) / 2
    words = f'<text x="{between:.1f}" y="{height - 5}" class="x">epochs</text>'
    if is_empty:
        middle = (TOP + height - BOTTOM) / 2
        words += f'<text x="{(WIDTH + LEFT) / 2:.1f}" y="{middle:.1f}" class="x">nothing measured yet</text>'
    return words


def _hairline(y: float, label: str, *, first: bool) -> str:
    return (
        f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" class="{"base" if first else "line"}"/>'
        f'<text x="{LEFT - 6}" y="{y + 4:.1f}" class="y">{label}</text>'
    )


def _epochs(x_max: float) -> list[float]:
    axis = round_axis([0, x_max], from_zero=True, lines=5)
    step = max(1.0, axis.step)
    return [step * i for i in range(int(x_max / step) + 1)]


def _path(points: list[tuple[float, float] | None]) -> str:
    """The `d` of a line; None lifts the pen, one lonely point becomes a dot."""
    text, pen_up = [], True
    for point in points:
        if point is None:
            pen_up = True
            continue
        text.append(f"{'M' if pen_up else 'L'}{point[0]:.1f} {point[1]:.1f}{'h0.1' if pen_up else ''}")
        pen_up = False
    return "".join(text)
