"""What every chart of a report shares: colours of both themes, a canvas measured in pixels, and the way onto a page.

One drawing serves the page, the HTML report and the paper: matplotlib at 72 dots an inch, where a point is a pixel. On
a page it is inline SVG whose words stay text in the page's own font; as a file it carries title and provenance.
"""

import re
import textwrap
from dataclasses import dataclass
from html import escape

from echo2ecg_core.figures.export import figure_file

PX = 1 / 72  # inches
TEXT_PX, LABEL_PX = 12.5, 11.5
_HEAD_PX, _FOOT_LINE_PX, _FOOT_CHARACTER_PX = 26, 10, 3.6
_FONT = re.compile(r"font-family: 'DejaVu Sans'[^;\"]*")
_NOT_INLINE = re.compile(
    r' xmlns(?::\w+)?="[^"]*"|<metadata>.*?</metadata>|<defs>\s*<style.*?</defs>|<title/>|(?<=<g) id="[^"]*"', re.DOTALL
)
_STYLE = "width:100%;height:auto;stroke-linejoin:round;stroke-linecap:butt"


@dataclass(frozen=True)
class Look:
    """Colours of one theme; `series` in the order in which a chart hands them out."""

    page: str
    text: str
    muted: str
    grid: str
    axis: str
    bar: str
    series: tuple[str, ...]


LIGHT = Look(
    "#FFFFFF", "#17202A", "#55606D", "#EBEFF3", "#8A95A1", "#C3C9D1", ("#1B5E9B", "#C2571A", "#17202A", "#8A95A1")
)
DARK = Look(
    "#12161B", "#E6EBF0", "#A3AEBA", "#252D35", "#7C8894", "#46515D", ("#7FB4E6", "#D9692B", "#E6EBF0", "#7C8894")
)


@dataclass(frozen=True)
class Frame:
    """What surrounds a drawing: the theme, and in a file the title above and the provenance below."""

    look: Look = LIGHT
    title: str = ""
    footer: str = ""


ON_PAGE = Frame()


class Canvas:
    """A figure of so many pixels of drawing, with room for title and provenance where the frame has them."""

    def __init__(self, width_px: float, height_px: float, frame: Frame):
        from matplotlib.figure import Figure

        lines = textwrap.wrap(frame.footer, int(width_px / _FOOT_CHARACTER_PX)) if frame.footer else []
        self.width, self.drawing, self.look = width_px, height_px, frame.look
        self.foot = _FOOT_LINE_PX * len(lines) + 10 if lines else 0
        self.height = height_px + self.foot + (_HEAD_PX if frame.title else 0)
        self.figure = Figure(figsize=(width_px * PX, self.height * PX), dpi=72, facecolor=frame.look.page)
        if frame.title:
            self.figure.text(
                8 / width_px, 1 - 16 / self.height, frame.title, fontsize=TEXT_PX, weight="bold", color=frame.look.text
            )
        for i, line in enumerate(reversed(lines)):
            self.figure.text(
                8 / width_px, (6 + i * _FOOT_LINE_PX) / self.height, line, fontsize=6.5, color=frame.look.muted
            )

    def axes(self, left: float, top: float, right: float, bottom: float):
        """Axes with these margins in pixels from the edges of the drawing, with hairlines along y and no box."""
        box = (
            left / self.width,
            (self.foot + bottom) / self.height,
            (self.width - left - right) / self.width,
            (self.drawing - top - bottom) / self.height,
        )
        axes = self.figure.add_axes(box, facecolor=self.look.page)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, labelsize=LABEL_PX, labelcolor=self.look.muted, pad=5)
        axes.set_axisbelow(True)
        return axes


def label_axes(axes, look: Look, x: str, y: str = "") -> None:
    """Names of the axes with their units."""
    axes.set_xlabel(x, fontsize=LABEL_PX, color=look.muted, labelpad=5)
    axes.set_ylabel(y, fontsize=LABEL_PX, color=look.muted, labelpad=4)


def inline_svg(figure, alt: str) -> str:
    """A figure as an SVG element for an HTML page: text in the page's font, nothing that names another address.

    Args:
        figure: The figure; one point becomes one pixel at its natural width.
        alt: What a reader who cannot see the picture hears.
    """
    text = figure_file(figure, "svg", title="", provenance="").decode()
    text = _FONT.sub("font-family: inherit", _NOT_INLINE.sub("", text[text.index("<svg") :]))
    width = float(re.search(r'width="([\d.]+)pt"', text).group(1))
    opening = f'<svg role="img" aria-label="{escape(alt, quote=True)}" style="max-width:{width:g}px;{_STYLE}"'
    return re.sub(r'<svg width="[^"]*" height="[^"]*"', lambda match: opening, text, count=1)
