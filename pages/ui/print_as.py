"""How figures leave a page for a journal: width of one or two columns, resolution of a PNG, and the buttons."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from echo2ecg_core.figures.chart import COLUMNS_MM
from echo2ecg_core.figures.export import FIGURE_FORMATS
from echo2ecg_core.figures.notation import THIN
from echo2ecg_core.reports.folder import RESOLUTIONS_DPI, Print

WIDTH_KEY, DPI_KEY = "figure_width", "figure_dpi"
MIME = {"svg": "image/svg+xml", "pdf": "application/pdf", "png": "image/png"}


def controls() -> Print:
    """Width in print and resolution of a PNG."""
    column = st.segmented_control(
        "Figure width",
        list(COLUMNS_MM),
        default="single",
        key=WIDTH_KEY,
        format_func=lambda name: f"{name.capitalize()}, {COLUMNS_MM[name]:g}{THIN}mm",
        required=True,
    )
    dpi = st.segmented_control(
        "PNG resolution",
        RESOLUTIONS_DPI,
        default=RESOLUTIONS_DPI[0],
        key=DPI_KEY,
        format_func=lambda dpi: f"{dpi}{THIN}dpi",
        required=True,
    )
    return Print(column, dpi)


def buttons(stem: str, make: Callable[[str], bytes], key: str) -> None:
    """A download of a figure in every format, made when it is clicked; `stem` names the file."""
    for kind in FIGURE_FORMATS:
        st.download_button(
            kind.upper(),
            partial(make, kind),
            f"{stem}.{kind}",
            MIME[kind],
            key=f"{key}_{kind}",
            type="tertiary",
            on_click="ignore",
            width="stretch",
        )
