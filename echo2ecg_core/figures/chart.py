"""What every chart of a report shares: colours of both themes, a canvas measured in pixels, and the way onto a page.

One drawing serves the page, the HTML report and the paper. On a page a point is a pixel, and it is inline SVG whose
words stay text in the page's own font. As a file it is one or two columns of a journal wide, drawn at `PRINT_SCALE`,
and carries title and provenance.
"""

import re
import textwrap
from dataclasses import dataclass
from html import escape
from typing import Any

from echo2ecg_core.figures.export import figure_file

PX = 1 / 72  # inches
MM = 72 / 25.4  # points
TEXT_PX, LABEL_PX = 12.5, 11.5
COLUMNS_MM = {"single": 85.0, "double": 174.0}  # widths of a column and of both that most journals ask for
PRINT_SCALE = COLUMNS_MM["single"] * MM / 373  # points of a printed pixel: labels 7.4 pt, text 8.1 pt
SMALLEST_PT = 6.5  # of any text in print
_CHARACTER, _BOLD_CHARACTER = 0.56, 0.66  # mean width of a letter, as a share of the size of DejaVu Sans
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
    """What surrounds a drawing: the theme, and in a file the title above, the provenance below and the width in print.

    Attributes:
        look: Colours.
        title, footer: Above and below the drawing, wrapped to its width.
        column: "single" (85 mm) or "double" (174 mm); "" on a page, where a point is a pixel.
    """

    look: Look = LIGHT
    title: str = ""
    footer: str = ""
    column: str = ""


ON_PAGE = Frame()


class Canvas:
    """A figure of so many pixels of drawing, with room for title and provenance where the frame has them.

    Attributes:
        width, drawing: Of the drawing, in pixels; in print the width is that of the frame's column.
        foot, height: Of the provenance, and of everything, in pixels.
        is_wide: True for two columns: what stands below a drawing may stand beside it.
    """

    def __init__(self, width_px: float, height_px: float, frame: Frame):
        from matplotlib.figure import Figure

        self.look, self.drawing, self.is_wide = frame.look, height_px, frame.column == "double"
        self.scale = PRINT_SCALE if frame.column else 1.0
        self.width = COLUMNS_MM[frame.column] * MM / self.scale if frame.column else width_px
        foot_px = SMALLEST_PT / self.scale
        titles = _wrapped(frame.title, self.width - 16, TEXT_PX * _BOLD_CHARACTER)
        lines = _wrapped(frame.footer, self.width - 16, foot_px * _CHARACTER)
        self.foot = 1.4 * foot_px * len(lines) + 10 if lines else 0
        self.height = height_px + self.foot + (18 * len(titles) + 8 if titles else 0)
        size = (self.width * self.scale * PX, self.height * self.scale * PX)
        self.figure = Figure(figsize=size, dpi=72, facecolor=frame.look.page)
        for i, line in enumerate(titles):
            self.write(8, self.height - 16 - 18 * i, line, weight="bold")
        for i, line in enumerate(reversed(lines)):
            self.write(8, 6 + 1.4 * foot_px * i, line, size_px=foot_px, color=frame.look.muted)

    def pt(self, px: float) -> float:
        """Points of a size, a line or a mark that is so many pixels on a page."""
        return px * self.scale

    def write(self, x_px: float, y_px: float, words: str, *, size_px: float = TEXT_PX, **kind) -> None:
        """Text at so many pixels from the lower left corner of the figure."""
        at = (x_px / self.width, y_px / self.height)
        style: dict[str, Any] = {"fontsize": self.pt(size_px), "color": self.look.text}
        self.figure.text(*at, words, **(style | kind))

    def write_between(self, left_px: float, middle_px: float, right_px: float, y_px: float, words: str) -> None:
        """The name of an axis centred at `middle_px`, moved to the left or right where it would leave its room."""
        half = len(words) * LABEL_PX * _CHARACTER / 2
        at = max(left_px + half, min(middle_px, right_px - half))
        self.write(at, y_px, words, size_px=LABEL_PX, ha="center", va="center", color=self.look.muted)

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
        axes.tick_params(length=0, labelsize=self.pt(LABEL_PX), labelcolor=self.look.muted, pad=self.pt(5))
        axes.set_axisbelow(True)
        return axes

    def label(self, axes, x: str, y: str = "") -> None:
        """Names of the axes with their units."""
        kind = {"fontsize": self.pt(LABEL_PX), "color": self.look.muted}
        axes.set_xlabel(x, labelpad=self.pt(5), **kind)
        axes.set_ylabel(y, labelpad=self.pt(4), **kind)


def _wrapped(words: str, width_px: float, character_px: float) -> list[str]:
    return textwrap.wrap(words, max(12, int(width_px / character_px)), break_on_hyphens=False) if words else []


def inline_svg(figure, alt: str) -> str:
    """A figure as an SVG element for an HTML page: text in the page's font, nothing that names another address.

    Args:
        figure: The figure; one point becomes one pixel at its natural width.
        alt: What a reader who cannot see the picture hears.
    """
    text = figure_file(figure, "svg", title="", provenance="").decode()
    text = _FONT.sub("font-family: inherit", _NOT_INLINE.sub("", text[text.index("<svg") :]))
    found = re.search(r'width="([\d.]+)pt"', text)
    assert found is not None, "matplotlib writes the width in points"
    width = float(found[1])
    opening = f'<svg role="img" aria-label="{escape(alt, quote=True)}" style="max-width:{width:g}px;{_STYLE}"'
    return re.sub(r'<svg width="[^"]*" height="[^"]*"', lambda match: opening, text, count=1)
