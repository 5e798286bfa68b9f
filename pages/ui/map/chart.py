"""The chart of the map, what is clicked or lassoed on it, and the lines that say how it is read."""

from collections.abc import Hashable

import numpy as np
import pandas as pd
import streamlit as st

from echo2ecg_core.answers import maps as explore
from echo2ecg_core.answers.map_clusters import Cluster
from echo2ecg_core.figures.map import HEIGHT_PX, YourEcg
from echo2ecg_core.figures.map_colours import ERROR, Label
from echo2ecg_core.figures.map_density import MOST_IN_VIEW, MOST_SINGLE
from echo2ecg_core.phenotypes import PHENOTYPES
from pages.ui import resources
from pages.ui.map import looked_up, map_session
from pages.ui.map.bridge.bridge import Links, listen
from pages.ui.scheme import scheme

CHART = {"displaylogo": False, "displayModeBar": True, "scrollZoom": True}
# of the bar over the map; "Whole map" stands above it, and in three dimensions they would cover the legend of a phone
NO_BUTTONS = (
    "select2d", "zoomIn2d", "zoomOut2d", "autoScale2d", "resetScale2d", "toImage", "tableRotation",
    "resetCameraDefault3d", "resetCameraLastSave3d",
)  # fmt: skip
CAPTION = "UMAP: 15 neighbours, min. distance 0.1, seed 7. Near means similar; distances between groups mean little."
OF_ITS_STUDY = " An ECG has the value that was measured on its patient’s study nearest in time."
DENSE_CAPTION = (
    "The darker a place, the more points; its colour is their mean (of groups: the commonest). Zoom in to see single "
    f"points, once at most {MOST_IN_VIEW} are in view. A lasso takes all points, drawn or not."
)


def labels_of(clusters: list[Cluster]) -> list[Label]:
    """The words over clusters."""
    return [Label(cluster.words, cluster.x, cluster.y) for cluster in clusters]


def chart(
    points: pd.DataFrame,
    colour: str,
    you: YourEcg | None,
    found: tuple[str, str] | None,
    clusters: list[Cluster],
    drawing: tuple[str, str],
) -> np.ndarray:
    """Draw the map; returns which points are clicked or lassoed, (n,) bool.

    Args:
        points, colour, you, found: As for `map_figure`.
        clusters: Those whose words stand over them.
        drawing: Model id and layout.
    """
    dark, key = scheme.is_dark(), map_session.chart_key()
    labels = labels_of(clusters)
    is_dense = len(points) > MOST_SINGLE and "z" not in points
    draw = looked_up.density_chart if is_dense else looked_up.map_chart
    st.plotly_chart(
        draw(drawing, colour, dark, you, found, labels),
        theme=None,
        height=HEIGHT_PX,
        config=CHART | {"modeBarButtonsToRemove": NO_BUTTONS},
        key=key,
        on_select=lambda: map_session.select(st.session_state[key]["selection"]),
        selection_mode=("points", "box", "lasso"),
        alt="Map of ECGs and studies",
    )
    inside = _chosen(points)
    row = opened(points, inside, found)
    listen(key, holds_selection=bool(map_session.regions()), links=None if row is None else _links(points, row))
    _caption(drawing, colour, is_dense)
    if "z" in points and len(points) > MOST_SINGLE:
        st.caption(f"{MOST_SINGLE} of {len(points)} points are drawn, chosen by chance.")
    return inside


def opened(points: pd.DataFrame, inside: np.ndarray, found: tuple[str, str] | None) -> Hashable | None:
    """The row of the one point that is open: chosen alone, or else found; None where there is none."""
    if not inside.any() and found is not None:
        inside = (points.id == found[0]).to_numpy() & (points.modality == found[1]).to_numpy()
    return points.index[inside][0] if inside.sum() == 1 else None


def _links(points: pd.DataFrame, row: Hashable) -> Links:
    """The open point and what links it with the others of its study."""
    linked = explore.of_its_study(points, row)
    axes = [axis for axis in ("x", "y", "z") if axis in linked]
    return Links(linked[axes].to_numpy(float).tolist(), int(np.flatnonzero(linked.index == row)[0]))


def _chosen(points: pd.DataFrame) -> np.ndarray:
    """Which points are clicked or lassoed, (n,) bool."""
    if clicked := map_session.clicked():
        modality, point_id = clicked
        return (points.id == point_id).to_numpy() & (points.modality == modality).to_numpy()
    if regions := map_session.regions():
        return explore.inside(points, regions)
    named = list(map_session.named())
    return pd.MultiIndex.from_frame(points[["id", "modality"]]).isin(named) if named else np.zeros(len(points), bool)


def how_read(colour: str) -> str:
    """How a map is read."""
    return CAPTION + (OF_ITS_STUDY if colour in PHENOTYPES or colour == ERROR else "")


def _caption(drawing: tuple[str, str], colour: str, is_dense: bool) -> None:
    """How the map was drawn and how it is read."""
    drawn = explore.stored_layout(resources.workspace(), *drawing)
    of = f" UMAP was fitted to {len(drawn.fitted)} of {len(drawn.ids)} points; the others lie among their 15 nearest."
    st.caption(
        how_read(colour)
        + (of if len(drawn.fitted) < len(drawn.ids) else "")
        + (f" {DENSE_CAPTION}" if is_dense else "")
    )
