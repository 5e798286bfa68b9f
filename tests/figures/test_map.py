"""The map figure: which trace holds which points, what is hollow, what is said on hovering, and where your ECG lies."""

import numpy as np
import pandas as pd
import pytest

from echo2ecg_core.figures.map import DARK, LIGHT, YourEcg, colour_choices, group_colours, map_figure, map_picture


@pytest.fixture
def points():
    return pd.DataFrame(
        {
            "id": ["E-1", "E-2", "E-3", "S-1", "S-2"],
            "modality": ["ECG", "ECG", "ECG", "study", "study"],
            "patient_id": list("ABCAB"),
            "x": [0.0, 1, 2, 3, 4],
            "y": [0.0, 1, 4, 9, 16],
            "age_years": [np.nan] * 5,
            "lvef": [60.4, np.nan, 35, 60.4, np.nan],
            "ivsd": [0.84, 1, np.nan, 1, 1.2],
        }
    )


def drawn(figure) -> dict[str, tuple[str, list]]:
    """Trace name -> its symbol and the ids it holds."""
    return {
        t.name: (t.marker.symbol, [list(row) for row in t.customdata]) for t in figure.data if t.customdata is not None
    }


def test_every_point_is_drawn_once_and_names_itself_and_unknown_values_are_hollow(points):
    assert drawn(map_figure(points, "lvef")) == {
        "ECG": ("circle", [["E-1", "ECG"], ["E-3", "ECG"]]),
        "ECG, not known": ("circle-open", [["E-2", "ECG"]]),
        "study": ("diamond", [["S-1", "study"]]),
        "study, not known": ("diamond-open", [["S-2", "study"]]),
    }


def test_points_are_webgl_and_coloured_by_the_value_on_one_scale(points):
    figure = map_figure(points, "lvef")
    assert {t.type for t in figure.data if t.customdata is not None} == {"scattergl"}
    assert list(figure.data[0].marker.color) == [60.4, 35] and figure.data[0].marker.coloraxis == "coloraxis"
    assert "LVEF, %" in figure.layout.coloraxis.colorbar.title.text
    assert 35 <= figure.layout.coloraxis.cmin < figure.layout.coloraxis.cmax <= 60.4


@pytest.mark.parametrize(("dark", "look"), [(False, LIGHT), (True, DARK)])
def test_by_modality_each_has_its_colour_and_no_scale_is_shown(points, dark, look):
    figure = map_figure(points, "modality", dark=dark)
    assert [t.marker.color for t in figure.data[:2]] == [look.modalities["ECG"], look.modalities["study"]]
    assert figure.layout.coloraxis.colorscale is None and figure.layout.paper_bgcolor == look.page


def test_the_legend_counts_each_modality(points):
    names = [t.name for t in map_figure(points, "lvef").data if t.showlegend is not False]
    assert names == ["ECG 3", "study 2", "not known"]


def test_hovering_says_id_and_value_in_the_phenotypes_decimals(points):
    assert list(map_figure(points, "ivsd").data[0].text) == [
        "<b>E-1</b> ECG<br>LVEF 60\u202f%<br>IVSd 0.8\u202fcm",
        "<b>E-2</b> ECG<br>LVEF –<br>IVSd 1.0\u202fcm",
    ]


def test_your_ecg_is_a_ringed_cross_with_its_words_and_no_point_of_the_selection(points):
    figure = map_figure(points, "lvef", YourEcg(2.5, 3.5, "<b>Your ECG, LVEF 61 %</b> (49–71)"))
    cross = next(t for t in figure.data if t.name == "your ECG")
    assert (cross.x[0], cross.y[0], cross.marker.symbol, cross.customdata) == (2.5, 3.5, "circle-cross-open", None)
    assert figure.layout.annotations[0].text.startswith("<b>Your ECG")


def test_only_columns_with_values_can_be_coloured_by(points):
    assert colour_choices(points) == {"lvef": "LVEF, measured", "ivsd": "IVSd, measured", "modality": "ECG or study"}


def test_a_valve_grade_is_named_in_words_on_the_scale_and_on_hovering(points):
    figure = map_figure(points.assign(tr_grade=[0.0, 2, 3, np.nan, 1]), "tr_grade")
    scale = figure.layout.coloraxis
    assert (scale.cmin, scale.cmax) == (0, 3) and list(scale.colorbar.ticktext) == [
        "none",
        "mild",
        "moderate",
        "severe",
    ]
    assert (
        figure.data[0].text[1] == "<b>E-2</b> ECG<br>LVEF –<br>TR moderate"
        and "TR</b>, measured" in scale.colorbar.title.text
    )


def test_groups_have_a_colour_each_and_the_legend_counts_them(points):
    grouped = points.assign(rhythm=["sinus", "af", "sinus", "sinus", None])
    assert "rhythm" in colour_choices(grouped) and "rhythm" not in colour_choices(points)
    inks = group_colours(grouped, "rhythm")
    assert list(inks) == ["sinus", "af"] and len(set(inks.values())) == 2
    figure = map_figure(grouped, "rhythm")
    assert list(figure.data[0].marker.color) == [inks["sinus"], inks["af"], inks["sinus"]]
    names = [t.name for t in figure.data if t.showlegend is not False]
    assert names == ["ECG 3", "study 2", "sinus 3", "af 1", "not known"]
    assert figure.data[0].text[1].endswith("Rhythm: af")


def test_a_point_that_was_looked_for_is_ringed(points):
    ring = next(t for t in map_figure(points, "lvef", found=("S-1", "study")).data if t.name == "found")
    assert (list(ring.x), list(ring.y)) == ([3], [9])


@pytest.mark.parametrize("colour", ["lvef", "rhythm", "modality"])
def test_the_picture_for_papers_holds_the_same_points_as_the_page(points, colour):
    grouped = points.assign(rhythm=["sinus", "af", "sinus", "sinus", None])
    axes = map_picture(grouped, colour).axes[0]
    placed = np.concatenate([dots.get_offsets() for dots in axes.collections])
    assert sorted(map(tuple, placed)) == sorted(zip(points.x, points.y, strict=True))
