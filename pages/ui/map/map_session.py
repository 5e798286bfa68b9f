"""What one visitor chose on the map; each key behind a typed function, as in session.py.

Streamlit makes a new chart of every new figure, which knows nothing of what was zoomed and lassoed on the one before.
So both are kept here, and a figure that is new for another reason (colour, light or dark) is made with them (`held`).
"""

import math
from collections.abc import Sequence
from typing import Any

import streamlit as st

from echo2ecg_core.answers.maps import SOLID
from echo2ecg_core.figures.map import Region

LAYOUT_KEY = "points"
FIND_KEY = "find"
COLOUR_KEY = "colour"
MAP_COHORT_KEY = "cohort"
CLUSTERS_KEY = "clusters"
VIEW_PARAMETER = "view"

_ROUND = "map_round"
_CLICKED = "clicked_point"
_REGIONS, _NAMED = "map_regions", "map_named"
_VIEW = "map_view"
_DRAWING = "map_drawing"
_HELD = "map_held"
_TOLD = "map_told"


def begin(drawing: tuple[str, str]) -> None:
    """Look at a drawing (model id, layout): what was seen and chosen of another one is forgotten, for its places are
    others; the first shows what the address says."""
    before, st.session_state[_DRAWING] = st.session_state.get(_DRAWING), drawing
    if before is None and _VIEW not in st.session_state:
        st.session_state[_VIEW] = _view_of_address(drawing[1])
    elif before not in (None, drawing):
        look_at(None)
        forget_selection()
        tell("")


def _view_of_address(layout: str) -> tuple[float, ...] | None:
    """The view that the address names, None where it names none of this layout."""
    try:
        numbers = tuple(float(part) for part in st.query_params.get(VIEW_PARAMETER, "").split(","))
    except ValueError:
        return None
    return numbers if is_view(numbers, layout) else None


def is_view(numbers: Sequence[float], layout: str) -> bool:
    """Whether these numbers are a view of a layout: left, right, bottom, top, or in three dimensions the camera's
    eye, centre and upward direction."""
    if not all(map(math.isfinite, numbers)):
        return False
    return (
        len(numbers) == 9
        if layout == SOLID
        else len(numbers) == 4 and numbers[0] < numbers[1] and numbers[2] < numbers[3]
    )


def view_in_address() -> str:
    """What is seen as the address has it, for who sends that; "" for all."""
    return ",".join(f"{number:.3f}" for number in view() or ())


def cohort() -> str:
    """The cohort that the map shows alone, as the address has it; "" for all."""
    return st.session_state.get(MAP_COHORT_KEY) or ""


def chart_key() -> str:
    """Key of the chart; a new one is a chart that is drawn anew."""
    return f"map_{map_round()}"


def map_round() -> int:
    """Number that names the map; a new number is a map drawn anew, without selection."""
    return st.session_state.get(_ROUND, 0)


def clicked() -> tuple[str, str] | None:
    """(modality, id) of the point that was clicked after the last lasso, or None."""
    return st.session_state.get(_CLICKED)


def click(customdata: list[str]) -> None:
    """Keep the clicked point, given as the chart names it: [id, modality]."""
    st.session_state[_CLICKED] = (customdata[1], customdata[0])


def regions() -> tuple[Region, ...]:
    """What was lassoed: the corners' x and y of every region."""
    return st.session_state.get(_REGIONS, ())


def named() -> tuple[tuple[str, str], ...]:
    """(id, modality) of points that were chosen one by one, without a lasso."""
    return st.session_state.get(_NAMED, ())


def select(selection: Any) -> None:
    """Keep what was chosen on the chart, as Streamlit tells it, in the place of what was chosen or clicked before."""
    forget_selection()
    found = [(tuple(one["x"]), tuple(one["y"])) for one in [*selection["lasso"], *selection["box"]]]
    st.session_state[_REGIONS] = tuple(found)
    points = [point.get("customdata") for point in selection["points"]] if not found else []
    st.session_state[_NAMED] = tuple(tuple(one) for one in points if isinstance(one, list))


def forget_selection() -> None:
    """Forget what was lassoed or clicked; the chart no longer shows it."""
    for key in (_CLICKED, _REGIONS, _NAMED):
        st.session_state.pop(key, None)


def clear_selection() -> None:
    """Forget what was lassoed or clicked, on the chart too."""
    forget_selection()
    st.session_state[_ROUND] = map_round() + 1


def view() -> tuple[float, ...] | None:
    """What the visitor saw last of the map (`is_view`); None: all."""
    return st.session_state.get(_VIEW)


def look_at(seen: Sequence[float] | None) -> None:
    """Keep what the visitor sees of the map; None or nothing: all."""
    st.session_state[_VIEW] = tuple(seen) if seen else None


def look_at_all() -> None:
    """Show the whole map; what is chosen stays."""
    look_at(None)
    st.session_state[_ROUND] = map_round() + 1


def look_afresh() -> None:
    """Show the whole map without selection, for what is looked for may lie anywhere."""
    look_at(None)
    clear_selection()


def held(base: tuple) -> tuple[tuple[float, ...] | None, tuple[Region, ...]]:
    """The view and the regions with which a figure is made: those of the moment when it was made first, as long as it
    would be the same otherwise and stays on the screen, for its chart has what came later.

    Args:
        base: What the figure is made from otherwise.
    """
    kept = st.session_state.get(_HELD)
    if kept is None or kept[0] != base or chart_key() not in st.session_state:
        kept = st.session_state[_HELD] = (base, view(), regions())
    return kept[1:]


def set_now() -> tuple[str, bool, str, tuple[float, ...]]:
    """What is set beside layout and colour: the cohort, the switch of clusters, what is looked for, what is seen."""
    clusters, sought = st.session_state.get(CLUSTERS_KEY, True), st.session_state.get(FIND_KEY) or ""
    return cohort(), bool(clusters), sought.strip(), view() or ()


def show(layout: str, colour: str, cohort: str, clusters: bool, sought: str, seen: Sequence[float]) -> None:
    """Set the controls for the next run of the page, without selection; an empty colour is the first there is."""
    clear_selection()
    st.session_state[LAYOUT_KEY], st.session_state[CLUSTERS_KEY] = layout, clusters
    st.session_state[MAP_COHORT_KEY], st.session_state[FIND_KEY] = cohort or None, sought
    st.session_state.pop(COLOUR_KEY, None)
    if colour:
        st.session_state[COLOUR_KEY] = colour
    look_at(seen if is_view(seen, layout) else None)
    if before := st.session_state.get(_DRAWING):
        st.session_state[_DRAWING] = (before[0], layout)  # so that what is seen is not forgotten


def tell(words: str) -> None:
    """Say this above the map until something else is said; "" for nothing."""
    st.session_state[_TOLD] = words


def told() -> str:
    """What is said above the map, in Markdown."""
    return st.session_state.get(_TOLD, "")
