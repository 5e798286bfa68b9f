"""Between the chart of the map and the page, a Streamlit component (v2) without a place of its own: Streamlit answers
clicks only while its hand tool is chosen, and tells neither a zoom nor that a lasso is cleared with which the chart was
made; and a figure with lines on it would be a new chart."""

from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st

from pages.ui import resources
from pages.ui.map import map_session
from pages.ui.map.pictures_route import pictures_url

KEY = "map_bridge"

# one after another they are one module
SCRIPTS = ("links.js", "card.js", "bridge.js")
HERE = Path(__file__).parent

_mount = st.components.v2.component(KEY, js="\n".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS))


@dataclass(frozen=True)
class Links:
    """Lines over the map.

    Attributes:
        places: x and y (and z); the first is linked with each of the others.
        opened: Which of them is open.
    """

    places: list[list[float]]
    opened: int


def listen(chart_key: str, *, holds_selection: bool, links: Links | None) -> None:
    """Keep what a visitor clicks and sees on the plotly chart that has this key (map_session.py).

    Args:
        holds_selection: Whether something is lassoed; only then it is told that it is cleared.
        links: Drawn over the chart.
    """
    _mount(
        key=KEY,
        data={
            "chart": f".st-key-{chart_key}",
            "holds": holds_selection,
            "links": links and asdict(links),
            "pictures": pictures_url(resources.workspace()),
            "parameter": map_session.VIEW_PARAMETER,
            "view": map_session.view_in_address(),
        },
        height=1,
        on_point_change=lambda: map_session.click(st.session_state[KEY]["point"]),
        on_view_change=lambda: map_session.look_at(st.session_state[KEY]["view"]),
        on_cleared_change=map_session.forget_selection,
    )
