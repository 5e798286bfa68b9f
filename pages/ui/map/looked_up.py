"""What the Map page looks up once a drawing and version of the catalogue: points, clusters, figures, pictures."""

from dataclasses import dataclass

import numpy as np
import streamlit as st

from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelCard
from pages.ui import resources
from pages.ui.map import map_session

COMPARED = ("lvef", "lvedv", "lavi", "ivsd", "age_years")


@st.cache_resource(max_entries=4, show_spinner=False)
def _with_column(state: tuple, layout: str, cohort: str, column: str):
    from echo2ecg_core.answers.maps import is_in_cohort, predicted_lvef
    from echo2ecg_core.figures.map_colours import ERROR, ESTIMATES, OTHERS, kept_column

    points = _map_points(state, layout, cohort)
    if column in ESTIMATES:
        predicted = predicted_lvef(points, Workspace(state[0]), state[1])
        return points.assign(**{column: predicted - points.lvef if column == ERROR else predicted})
    name = column.removeprefix(kept_column(""))
    return points.assign(**{column: np.where(is_in_cohort(points, Workspace(state[0]), name), name, OTHERS)})


def with_column(model_id: str, layout: str, cohort: str, column: str):
    """The points of `map_points` with the column of a kept cohort (figures.map.kept_column) or of what the model
    predicts for the ECGs (figures.map.ESTIMATES), looked up once.

    Raises:
        Echo2ECGError: there is no such cohort any more, or no readout.
    """
    from echo2ecg_core.answers.maps import map_state

    return _with_column(map_state(resources.workspace(), model_id), layout, cohort, column)


@st.cache_resource(max_entries=6, show_spinner=False)
def _map_points(state: tuple, layout: str, cohort: str):
    from echo2ecg_core.answers.maps import load_map, of_cohort

    if cohort:
        return of_cohort(_map_points(state, layout, ""), Workspace(state[0]), cohort)
    return load_map(Workspace(state[0]), state[1], layout)


def map_points(model_id: str, layout: str, cohort: str = ""):
    """The points of a model's map (answers.maps.load_map), of one cohort or all, read once per drawing and version of
    the catalog; not to be changed.

    Raises:
        StoreError: the map has not been drawn yet, or is damaged, or holds no point of the cohort.
    """
    from echo2ecg_core.answers.maps import map_state

    return _map_points(map_state(resources.workspace(), model_id), layout, cohort)


@dataclass(frozen=True)
class MapFacts:
    """What is said of all points of a map.

    Attributes:
        ecgs, studies, patients: How many there are.
        colours: What they can be coloured by (figures.map_colours.colour_choices).
    """

    ecgs: int
    studies: int
    patients: int
    colours: dict[str, str]


@st.cache_resource(max_entries=6, show_spinner=False)
def _map_facts(state: tuple, layout: str, cohort: str) -> MapFacts:
    from echo2ecg_core.figures.map_colours import colour_choices

    points = _map_points(state, layout, cohort)
    ecgs = int((points.modality == "ECG").sum())
    return MapFacts(ecgs, len(points) - ecgs, points.patient_id.nunique(), colour_choices(points))


def map_facts(model_id: str, layout: str, cohort: str = "") -> MapFacts:
    """What is said of the points of `map_points`, counted once; not to be changed."""
    from echo2ecg_core.answers.maps import map_state

    return _map_facts(map_state(resources.workspace(), model_id), layout, cohort)


@st.cache_resource(max_entries=6, show_spinner=False)
def _of_patients(state: tuple, layout: str, cohort: str):
    from echo2ecg_core.evaluation.groups import of_patients

    points = _map_points(state, layout, cohort)
    return of_patients(points, [name for name in COMPARED if name in points])


def patients(model_id: str, layout: str, cohort: str = ""):
    """Means of the patients of `map_points` (evaluation.groups.OfPatients), with which a lasso is compared; reckoned
    once, not to be changed."""
    from echo2ecg_core.answers.maps import map_state

    return _of_patients(map_state(resources.workspace(), model_id), layout, cohort)


@st.cache_data(max_entries=6, show_spinner=False)
def _map_clusters(state: tuple, layout: str):
    from echo2ecg_core.answers.map_clusters import describe

    return describe(_map_points(state, layout, ""))


def map_clusters(model_id: str, layout: str):
    """The clusters of a whole map with words (answers.map_clusters.Cluster), read once per drawing and catalogue."""
    from echo2ecg_core.answers.maps import map_state

    return _map_clusters(map_state(resources.workspace(), model_id), layout)


def _shown(state: tuple, layout: str, cohort: str, colour: str):
    """The points with the column of a colour."""
    points = _map_points(state, layout, cohort)
    return points if colour in points else _with_column(state, layout, cohort, colour)


@st.cache_resource(max_entries=32, show_spinner=False)
def _map_chart(state: tuple, layout: str, cohort: str, colour: str, dark: bool, you, found, labels: tuple, held: tuple):
    from echo2ecg_core.figures.map import as_seen, map_figure
    from echo2ecg_core.figures.map_density import drawn_solid

    shown = _shown(state, layout, cohort, colour)
    drawn = drawn_solid(shown) if "z" in shown else None
    figure = map_figure(shown, colour, you, dark, found, drawn, labels)
    as_seen(figure, *held)
    return figure


def map_chart(drawing: tuple[str, str], colour: str, dark: bool, you, found, labels):
    """A map as a figure (figures.map.map_figure) as it was seen last, built once per drawing, catalogue and choice; not
    to be changed."""
    from echo2ecg_core.answers.maps import map_state

    state = map_state(resources.workspace(), drawing[0])
    base = (state, drawing[1], map_session.cohort(), colour, dark, you, found, tuple(labels))
    return _map_chart(*base, map_session.held(base))


@st.cache_data(max_entries=64, show_spinner=False)
def _map_picture(state: tuple, layout: str, cohort: str, colour: str, view: tuple, dark: bool) -> bytes:
    from echo2ecg_core.figures.map_density import View, density_picture

    return density_picture(_shown(state, layout, cohort, colour), colour, View(*view), dark)


@st.cache_resource(max_entries=16, show_spinner=False)
def _density_chart(
    state: tuple, layout: str, cohort: str, colour: str, dark: bool, you, found, labels: tuple, view, regions: tuple
):
    from echo2ecg_core.figures.map import as_seen
    from echo2ecg_core.figures.map_density import density_figure, whole

    shown = _shown(state, layout, cohort, colour)
    picture = _map_picture(state, layout, cohort, colour, tuple(view or whole(shown)), dark)
    figure = density_figure(shown, colour, picture, view, you, dark, found, labels)
    as_seen(figure, None, regions)
    return figure


def density_chart(drawing: tuple[str, str], colour: str, dark: bool, you, found, labels):
    """A large map as a figure (figures.map_density.density_figure) of what is seen, built once per drawing, catalogue
    and choice; not to be changed."""
    from echo2ecg_core.answers.maps import map_state
    from echo2ecg_core.figures.map_density import View, whole

    state, cohort = map_state(resources.workspace(), drawing[0]), map_session.cohort()
    kept = map_session.view()
    view = View(*kept) if kept and not View(*kept).covers(whole(_map_points(state, drawing[1], cohort))) else None
    base = (state, drawing[1], cohort, colour, dark, you, found, tuple(labels), view)
    _, regions = map_session.held(base)
    return _density_chart(*base, regions)


@st.cache_data(max_entries=6, show_spinner=False)
def _undrawn(state: tuple) -> int:
    from echo2ecg_core.answers.maps import undrawn

    return undrawn(Workspace(state[0]), state[1])


def undrawn(card: ModelCard) -> int:
    """How many ECGs and studies got vectors after the map was drawn; counted once per state of both."""
    from echo2ecg_core.answers.maps import undrawn_state

    return _undrawn(undrawn_state(resources.workspace(), card.model_id))
