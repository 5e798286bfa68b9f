"""The map figure: which trace holds which points, what is hollow, what is said on hovering, and where your ECG lies."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from echo2ecg_core.figures.chart import Frame
from echo2ecg_core.figures.map import YourEcg, as_seen, map_figure
from echo2ecg_core.figures.map_colours import DARK, ERROR, LIGHT, PREDICTED, Label, colour_choices, group_colours
from echo2ecg_core.figures.map_density import MOST_SINGLE, drawn_solid
from echo2ecg_core.figures.map_picture import map_picture


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


@pytest.mark.parametrize(
    ("colour", "values", "title", "told"),
    [
        (PREDICTED, [51.0, 49.6], "LVEF, %", "LVEF, predicted %{marker.color:.0f}"),
        (ERROR, [-9.4, 14.6], "LVEF, points", "predicted − measured %{marker.color:+.0f}"),
    ],
)
def test_ecgs_are_coloured_by_what_the_model_predicts_and_by_its_error(points, colour, values, title, told):
    points[colour] = [values[0], np.nan, values[1], np.nan, np.nan]
    figure = map_figure(points, colour)
    held = {name: len(ids) for name, (_, ids) in drawn(figure).items()}
    assert held == {"ECG": 2, "ECG, not known": 1, "study": 0, "study, not known": 2}
    assert list(figure.data[0].marker.color) == pytest.approx(values, abs=1e-5)
    assert title in figure.layout.coloraxis.colorbar.title.text and told in figure.data[0].hovertemplate
    assert map_picture(points, colour, Frame(title="t", footer="f"), ()) is not None


def test_points_are_webgl_and_coloured_by_the_value_on_one_scale(points):
    figure = map_figure(points, "lvef")
    assert {t.type for t in figure.data if t.customdata is not None} == {"scattergl"}
    assert list(figure.data[0].marker.color) == [60, 35] and figure.data[0].marker.coloraxis == "coloraxis"
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


def hovers(trace) -> list[str]:
    """What the browser says of each point, from the trace's template."""
    told = []
    for i, (point_id, modality) in enumerate(trace.customdata):
        line = trace.hovertemplate.removesuffix("<extra></extra>")
        for place, value in {"customdata[0]": point_id, "customdata[1]": modality}.items():
            line = line.replace(f"%{{{place}}}", value)
        line = line.replace("%{text}", trace.text[i] if trace.text is not None else "")
        for place, digits in re.findall(r"(%{marker\.color:(\.\df)})", line):
            line = line.replace(place, format(trace.marker.color[i], digits))
        told.append(line)
    return told


def test_hovering_says_id_and_value_in_the_phenotypes_decimals(points):
    assert hovers(map_figure(points, "lvef").data[0]) == [
        "<b>E-1</b> ECG<br>LVEF 60\u202f%",
        "<b>E-3</b> ECG<br>LVEF 35\u202f%",
    ]
    assert hovers(map_figure(points, "lvef").data[1]) == ["<b>E-2</b> ECG<br>LVEF –"]
    assert hovers(map_figure(points, "modality").data[1])[1] == "<b>S-2</b> study<br>LVEF –"
    assert hovers(map_figure(points.assign(lvef=57.5), "lvef").data[0])[0].endswith(f"LVEF {57.5:.0f}\u202f%")

    both = ({"LVEF 60\u202f%", "IVSd 0.8\u202fcm"}, {"LVEF –", "IVSd 1.0\u202fcm"})
    said = [line.split("<br>") for line in hovers(map_figure(points, "ivsd").data[0])]
    assert [line[0] for line in said] == ["<b>E-1</b> ECG", "<b>E-2</b> ECG"]
    assert tuple(set(line[1:]) for line in said) == both


@pytest.mark.parametrize("solid", [False, True])
@pytest.mark.parametrize("colour", ["lvef", "ivsd", "tr_grade", "age_years", "rhythm", "modality"])
def test_the_largest_map_of_single_points_is_sent_as_less_than_a_megabyte(colour, solid):
    rng = np.random.default_rng(0)
    n = 3 * MOST_SINGLE if solid else MOST_SINGLE
    many = pd.DataFrame(
        {
            "id": [f"ECG-{i:09d}" for i in range(n)],
            "modality": np.where(rng.random(n) < 0.8, "ECG", "study"),
            "lvef": np.where(rng.random(n) < 0.2, np.nan, rng.normal(50, 10, n)),
            "ivsd": rng.normal(1, 0.1, n),
            "tr_grade": rng.integers(0, 4, n).astype(float),
            "age_years": rng.uniform(20, 90, n),
            "rhythm": np.where(rng.random(n) < 0.5, "sinus rhythm", "atrial fibrillation"),
            **{axis: rng.normal(size=n).astype(np.float32) for axis in ("xyz" if solid else "xy")},
        }
    )
    figure = map_figure(many, colour, shown=drawn_solid(many) if solid else None)
    assert len(figure.to_json()) < 1_000_000
    assert sum(len(t.customdata) for t in figure.data if t.customdata is not None) == MOST_SINGLE


@pytest.mark.parametrize("solid", [False, True])
def test_a_map_says_all_that_streamlit_would_add_and_holds_nothing_that_plotly_takes_for_new(points, solid):
    shown = points.assign(z=0.0) if solid else points
    sent = json.loads(map_figure(shown, "lvef", labels=[Label(("a",), 0, 0)]).to_json())
    assert "bdata" not in json.dumps(sent) and "template" not in sent["layout"]
    assert sent["layout"]["clickmode"] == ("event+select" if solid else "event")
    assert {"width", "height", "hovermode", "dragmode", "datarevision"} <= set(sent["layout"])


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
        hovers(figure.data[0])[1] == "<b>E-2</b> ECG<br>LVEF –<br>TR moderate"
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
    assert hovers(figure.data[0])[1].endswith("Rhythm: af")


def test_a_point_that_was_looked_for_is_ringed(points):
    ring = next(t for t in map_figure(points, "lvef", found=("S-1", "study")).data if t.name == "found")
    assert (list(ring.x), list(ring.y)) == ([3], [9])


@pytest.mark.parametrize("colour", ["lvef", "rhythm", "modality"])
def test_the_picture_for_papers_holds_the_same_points_as_the_page(points, colour):
    grouped = points.assign(rhythm=["sinus", "af", "sinus", "sinus", None])
    axes = map_picture(grouped, colour).axes[0]
    placed = np.concatenate([dots.get_offsets() for dots in axes.collections])
    assert sorted(map(tuple, placed)) == sorted(zip(points.x, points.y, strict=True))


def test_a_figure_is_seen_again_as_it_was_left(points):
    figure = map_figure(points, "lvef")
    as_seen(figure, (0, 2, 1, 3), [((0, 1, 1), (0, 0, 1)), ((0, 1), (2, 3))])
    assert (figure.layout.xaxis.range, figure.layout.yaxis.range) == ((0, 2), (1, 3))
    lasso, box = figure.layout.selections
    assert lasso.path == "M0,0L1,0L1,1Z" and (box.type, box.x0, box.x1, box.y0, box.y1) == ("rect", 0, 1, 2, 3)
    solid = map_figure(points.assign(z=0.0), "lvef")
    as_seen(solid, (1, 2, 3, 0, 0, 0, 0, 0, 1))
    assert solid.layout.scene.camera.eye.to_plotly_json() == {"x": 1, "y": 2, "z": 3}
    assert solid.layout.scene.camera.up.z == 1


def test_the_words_of_your_ecg_cover_no_cluster_and_stand_as_ever_where_there_is_none(points):
    you = YourEcg(2.5, 3.5, "<b>Your ECG, LVEF 61 %</b> (49–71)")
    alone = map_figure(points, "lvef", you).layout.annotations[0]
    above = Label(("lower LVEF", "larger LVEDV"), you.x, you.y)  # just where the words would be
    *_, moved = map_figure(points, "lvef", you, labels=[above]).layout.annotations
    far = Label(("lower LVEF",), you.x + 1000, you.y)
    *_, kept = map_figure(points, "lvef", you, labels=[far]).layout.annotations
    assert (alone.ax, alone.ay) == (kept.ax, kept.ay) == (34, -58) and (moved.ax, moved.ay) == (34, 58)
