"""The map as a picture for papers: the points, shapes and colours of the page's chart (map.py), by matplotlib."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from echo2ecg_core.figures.chart import ON_PAGE, Canvas, Frame
from echo2ecg_core.figures.map_colours import (
    LIGHT,
    MARKERS,
    MODALITY,
    OTHERS,
    VIRIDIS_CUT,
    Label,
    colour_limits,
    group_colours,
    has_scale,
    is_group,
    kept_cohort,
    title_of,
)


def map_picture(points: pd.DataFrame, colour: str, frame: Frame = ON_PAGE, labels: Sequence[Label] = ()):
    """The map as a matplotlib Figure for papers: the same points, shapes and colours as on the page, 500 x 500 pixels.

    Args:
        points, colour, labels: As for `map_figure`.
        frame: Title above and provenance below.
    """
    from matplotlib.colors import ListedColormap

    canvas = Canvas(500, 500, frame)
    axes, look = canvas.axes(12, 46, 12, 12), canvas.look
    axes.set(xticks=[], yticks=[], aspect="equal")
    size = float(np.clip(3000 / max(len(points), 1), 2, 26))
    inks = group_colours(points, colour) if is_group(colour) else {}
    low, high = colour_limits(points, colour) if has_scale(colour) else (0.0, 1.0)
    for modality, shape in MARKERS.items():
        own = points[points.modality == modality]
        known = np.ones(len(own), bool) if colour == MODALITY else own[colour].notna().to_numpy()
        place = {"marker": shape, "s": size}
        axes.scatter(own.x[~known], own.y[~known], facecolors="none", edgecolors=look.muted, linewidths=0.5, **place)
        shown = own[known]
        if has_scale(colour):
            ink = {"c": shown[colour], "cmap": ListedColormap(VIRIDIS_CUT), "vmin": low, "vmax": high}
        elif is_group(colour):
            ink = {"c": [inks.get(str(group), look.muted) for group in shown[colour]]}
        else:
            ink = {"c": LIGHT.modalities[modality]}
        drawn = axes.scatter(shown.x, shown.y, edgecolors=look.text, linewidths=0.15, **place, **ink)
    if has_scale(colour):
        scale = canvas.figure.colorbar(drawn, cax=canvas.axes(320, 14, 20, 478), orientation="horizontal")
        scale.ax.tick_params(labelsize=8, length=2, labelcolor=look.muted)
        scale.ax.set_title(re.sub("</?b>", "", title_of(colour)), fontsize=8, color=look.text, pad=3)
    for label in labels:
        ground = {"facecolor": look.page, "alpha": 0.82, "edgecolor": "none", "pad": 1.5}
        words = {"ha": "center", "va": "bottom", "fontsize": 7.5, "color": look.text, "bbox": ground}
        axes.text(label.x, label.y, "\n".join(label.lines), **words)
    _picture_legend(axes, points, colour, inks, look)
    return canvas.figure


def _picture_legend(axes, points: pd.DataFrame, colour: str, inks: dict[str, str], look) -> None:
    """Shapes with their counts, then groups with theirs, above the picture."""
    from matplotlib.lines import Line2D

    counts, sizes = points.modality.value_counts(), points[colour].astype(str).value_counts()
    entries = [
        (f"{m} {counts[m]}", MARKERS[m], LIGHT.modalities[m] if colour == MODALITY else look.muted)
        for m in MARKERS
        if m in counts
    ]
    inks = inks | ({OTHERS: look.muted} if kept_cohort(colour) else {})
    entries += [(f"{group} {sizes.get(group, 0)}", "s", ink) for group, ink in inks.items()]
    handles = [Line2D([], [], linestyle="", marker=m, color=ink, markersize=4, label=n) for n, m, ink in entries]
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=4, fontsize=8, frameon=False, handletextpad=0.1
    )
