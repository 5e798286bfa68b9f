"""Clicks on the points of the map, whatever tool its chart has in hand: an invisible Streamlit component (v2)."""

from collections.abc import Callable
from pathlib import Path

import streamlit as st

KEY = "map_clicks"

_mount = st.components.v2.component(KEY, js=(Path(__file__).parent / "clicks.js").read_text(encoding="utf-8"))


def listen(
    chart_key: str, on_point: Callable[[list[str]], None], on_view: Callable[[list[float]], None] | None = None
) -> None:
    """Call `on_point` with the `customdata` of a clicked point of the plotly chart that has this key, and `on_view`
    with what is seen after a zoom: left, right, bottom, top."""

    def clicked() -> None:
        on_point(st.session_state[KEY]["point"])

    def zoomed() -> None:
        if on_view is not None:
            on_view(st.session_state[KEY]["view"])

    data = {"chart": f".st-key-{chart_key}", "tells_view": on_view is not None}
    _mount(key=KEY, data=data, height=1, on_point_change=clicked, on_view_change=zoomed)
