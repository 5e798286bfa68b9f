"""Between the chart of the map and the page, an invisible Streamlit component (v2): Streamlit answers clicks only while
its hand tool is chosen and tells neither a zoom nor that a lasso, which the chart was made with, is cleared."""

from pathlib import Path

import streamlit as st

from pages.ui.map import map_session

KEY = "map_bridge"

_mount = st.components.v2.component(KEY, js=(Path(__file__).parent / "bridge.js").read_text(encoding="utf-8"))


def listen(chart_key: str, *, holds_selection: bool) -> None:
    """Keep what a visitor clicks and sees on the plotly chart that has this key (map_session.py).

    Args:
        holds_selection: Whether something is lassoed; only then it is told that it is cleared.
    """
    _mount(
        key=KEY,
        data={
            "chart": f".st-key-{chart_key}",
            "holds": holds_selection,
            "parameter": map_session.VIEW_PARAMETER,
            "view": map_session.view_in_address(),
        },
        height=1,
        on_point_change=lambda: map_session.click(st.session_state[KEY]["point"]),
        on_view_change=lambda: map_session.look_at(st.session_state[KEY]["view"]),
        on_cleared_change=map_session.forget_selection,
    )
