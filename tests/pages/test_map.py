"""The map page in Streamlit's own test runner: before it is drawn, drawn, with the open ECG, and the job it queues."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from echo2ecg_core.answers import map_drawing
from echo2ecg_core.answers import maps as explore
from echo2ecg_core.figures import map_density
from echo2ecg_core.store import jobs, kept_cohorts
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelCard
from pages.ui import admin_gate, resources
from pages.ui.cohorts import kept as kept_panel
from pages.ui.map import chart as map_chart
from pages.ui.map import panels as map_panels
from pages.ui.scheme import scheme
from tests.small_workspace import MODEL_ID, prediction, record_of, small_workspace

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return small_workspace(tmp_path_factory.mktemp("made"), n_patients=25)


@pytest.fixture
def workspace(tmp_path, monkeypatch, made):
    """A copy of the small workspace, its map not drawn; UMAP is replaced by the first two coordinates."""
    made = Workspace(shutil.copytree(made.folder, tmp_path / "workspace"))
    monkeypatch.setattr(
        map_drawing, "_umap", lambda vectors, start, dimensions: vectors[:, :dimensions].astype(np.float32)
    )
    monkeypatch.setattr(resources, "workspace", lambda: made)
    monkeypatch.setattr(admin_gate, "is_admin", lambda: True)
    monkeypatch.setattr(resources, "prediction", lambda record, card, insist=False: prediction(35.0))
    return made


@pytest.fixture
def page():
    return AppTest.from_file(ROOT / "pages" / "map.py", default_timeout=20)


def chosen_points(chosen: list[tuple[str, str]]):
    """A chart on which these (modality, id) are chosen."""

    def chart(points, *_):
        return np.array([(row.modality, row.id) in chosen for row in points.itertuples()])

    return chart


def words(page: AppTest) -> str:
    parts = [e.value for kind in (page.markdown, page.caption, page.error, page.info) for e in kind]
    return "\n".join([*parts, *(str(h.proto.body) for h in page.get("html"))])


def figure(page: AppTest) -> dict:
    return json.loads(page.get("plotly_chart")[0].proto.spec)


def test_before_the_map_is_drawn_a_button_queues_the_job_once(page, workspace, monkeypatch):
    started = []
    monkeypatch.setattr(jobs, "start_worker", started.append)
    page.run()
    assert "No map of this model yet." in words(page)
    next(b for b in page.button if b.label == "Draw the map").click().run()
    assert [job.kind for job in jobs.jobs(workspace)] == ["map"] and started == [workspace]
    assert "The map is being drawn" in words(page) and not page.button


def test_the_drawn_map_shows_every_point_and_how_to_select(page, workspace):
    map_drawing.build_map(workspace, MODEL_ID)
    page.run()
    assert not page.exception and not page.error
    assert "25 ECGs and 25 studies of 25 patients" in words(page)
    assert "UMAP: 15 neighbours, min. distance 0.1, seed 7." in words(page)
    assert {t["name"] for t in figure(page)["data"]} == {"ECG", "study", "ECG 25", "study 25"}
    assert not [b for b in page.button if "Draw again" in b.label]


def test_the_open_ecg_is_placed_with_its_estimate(page, workspace):
    map_drawing.build_map(workspace, MODEL_ID)
    page.session_state["ecg_record"] = record_of(99)
    page.run()
    label = figure(page)["layout"]["annotations"][0]["text"]
    assert label == "<b>Your ECG, LVEF 35\u202f%</b> (25–45)"
    you = next(t for t in figure(page)["data"] if t["name"] == "your ECG")
    points = explore.load_map(workspace, MODEL_ID)
    nearest = ((points.x - you["x"][0]) ** 2 + (points.y - you["y"][0]) ** 2).nsmallest(6).index
    assert points.lvef[nearest].median() == pytest.approx(35, abs=4)


def test_colour_and_points_can_be_changed(page, workspace):
    map_drawing.build_map(workspace, MODEL_ID)
    page.run()
    assert page.selectbox(key="colour").options == [
        "LVEF, measured",
        "LVEDV, measured",
        "IVSd, measured",
        "TR, measured",
        "Age",
        "Sex",
        "Split",
        "Cohort",
        "ECG or study",
    ]
    page.selectbox(key="colour").select("modality").run()
    assert "coloraxis" not in figure(page)["layout"]
    page.button_group(key="points").set_value("studies").run()
    assert not page.exception and "0 ECGs and 25 studies" in words(page)


def test_a_kept_cohort_colours_the_map_and_the_others_are_grey(page, workspace, monkeypatch):
    map_drawing.build_map(workspace, MODEL_ID)
    kept_cohorts.keep(workspace, "weak hearts", ["E-0001", "E-0002"], ["S-0001"], who="", made_from="a test")
    page.run()
    page.selectbox(key="colour").select("kept:weak hearts").run()
    assert not page.exception and not page.error
    traces = {t["name"]: t for t in figure(page)["data"]}
    assert {"weak hearts 3", "others 47"} <= set(traces)
    ecgs = traces["ECG"]
    inks = {tuple(id): ink for id, ink in zip(ecgs["customdata"], ecgs["marker"]["color"], strict=True)}
    members = {inks["E-0001", "ECG"], inks["E-0002", "ECG"]}
    assert len(members) == 1 and inks["E-0003", "ECG"] == traces["others 47"]["marker"]["color"] != members.pop()
    monkeypatch.setattr(map_density, "MOST_IN_VIEW", 10)
    monkeypatch.setattr(map_chart, "MOST_SINGLE", 10)
    page.run()
    assert not page.exception and figure(page)["layout"]["images"][0]["source"].startswith("data:image/png")


def test_a_model_that_tells_lvef_colours_its_ecgs_by_prediction_and_by_error(page, workspace, monkeypatch):
    map_drawing.build_map(workspace, MODEL_ID)
    tested = {"test": {"phenotypes": {"lvef": {}}}}
    monkeypatch.setattr(ModelCard, "manifest", lambda card: tested)
    readouts = SimpleNamespace(heads={"lvef": None}, values=lambda name, embeddings: np.full(len(embeddings), 50.0))
    monkeypatch.setattr(explore, "load_readouts", lambda folder: readouts)
    page.run()
    assert {"LVEF, predicted", "LVEF, predicted − measured"} <= set(page.selectbox(key="colour").options)
    page.selectbox(key="colour").select("error:lvef").run()
    assert not page.exception and not page.error
    traces = {t["name"]: t for t in figure(page)["data"]}
    assert "ECG" in traces and "study, not known" in traces and "nearest in time" in words(page)
    monkeypatch.setattr(explore, "load_readouts", lambda folder: SimpleNamespace(heads={}))
    st.cache_resource.clear()
    page.run()
    assert "no readout of LVEF" in words(page) and not page.exception


def test_a_rerun_draws_the_map_anew_only_for_another_choice_or_drawing(page, workspace, monkeypatch):
    from echo2ecg_core.figures import map as figures

    drawn, real = [], figures.map_figure
    monkeypatch.setattr(figures, "map_figure", lambda *args: drawn.append(args[1]) or real(*args))
    map_drawing.build_map(workspace, MODEL_ID)
    page.run()
    page.run()
    assert drawn == ["lvef"]
    page.selectbox(key="colour").select("modality").run()
    assert drawn == ["lvef", "modality"]
    map_drawing.build_map(workspace, MODEL_ID)
    page.run()
    assert drawn == ["lvef", "modality", "modality"]


def test_clusters_are_named_by_what_sets_them_apart_and_the_names_can_be_switched_off(page, workspace):
    map_drawing.build_map(workspace, MODEL_ID)
    page.run()
    assert not page.toggle and not figure(page)["layout"].get("annotations")  # no structure, no names
    lvef = explore.load_map(workspace, MODEL_ID).groupby("patient_id").lvef.mean()
    drawn, points = explore.stored_layout(workspace, MODEL_ID, "together"), explore.load_map(workspace, MODEL_ID)
    low = (points.patient_id.map(lvef) < lvef.median()).to_numpy()
    path = workspace.maps / f"{MODEL_ID}.npz"
    with np.load(path) as archive:
        arrays = {**archive, "together_clusters": low.astype(np.int16)}
    np.savez(path, **arrays | {"together_xy": drawn.xy + np.where(low, 100, 0)[:, None]})
    page.run()
    labels = {a["text"]: a["x"] for a in figure(page)["layout"]["annotations"]}
    assert {text.split("<br>")[0] for text in labels} == {"larger LVEDV", "smaller LVEDV"}
    assert labels[next(text for text in labels if "larger LVEDV" in text)] > 50
    page.toggle(key="clusters").set_value(False).run()
    assert not figure(page)["layout"].get("annotations")


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ([("ECG", "E-0003")], ["Open this ECG", "Play the study S-0003"]),
        ([("study", "S-0004")], ["Play the study S-0004"]),
    ],
)
def test_a_clicked_point_opens_with_the_way_into_it(page, workspace, monkeypatch, chosen, expected):
    map_drawing.build_map(workspace, MODEL_ID)
    monkeypatch.setattr(map_chart, "chart", chosen_points(chosen))
    page.run()
    own = [b.label for b in page.button if b.key not in ("keep_view", "whole_map")]
    assert own == expected and chosen[0][1] in words(page)


def test_a_lasso_lists_what_it_holds_as_a_table(page, workspace, monkeypatch):
    map_drawing.build_map(workspace, MODEL_ID)
    monkeypatch.setattr(
        map_chart,
        "chart",
        chosen_points([("ECG", "E-0003"), ("study", "S-0003"), ("study", "S-0011")]),
    )
    page.run()
    assert list(page.dataframe[0].value["Id"]) == ["E-0003", "S-0003", "S-0011"]
    assert list(page.dataframe[0].value["TR"]) == ["moderate"] * 3
    assert "1 ECG · 2 studies · 2 patients" in words(page)
    assert "CSV" in [b.proto.label for b in page.get("download_button")]


def test_a_large_lasso_lists_its_first_members_and_saves_all(page, workspace, monkeypatch):
    map_drawing.build_map(workspace, MODEL_ID)
    monkeypatch.setattr(map_panels, "MOST_LISTED", 3)
    monkeypatch.setattr(map_chart, "chart", chosen_points([("ECG", f"E-{i:04d}") for i in range(8)]))
    page.run()
    assert list(page.dataframe[0].value["Id"]) == ["E-0000", "E-0001", "E-0002"]
    assert "The first 3 of 8; the CSV holds all." in words(page) and "8 ECGs" in words(page)


def test_a_lasso_is_compared_with_the_rest_of_the_map(page, workspace, monkeypatch):
    map_drawing.build_map(workspace, MODEL_ID)
    weak_hearts = [(kind, f"{letter}-{i:04d}") for i in range(8) for kind, letter in (("ECG", "E"), ("study", "S"))]
    monkeypatch.setattr(map_chart, "chart", chosen_points(weak_hearts))
    page.run()
    table = next(str(h.proto.body) for h in page.get("html") if "Against the rest of the map" in str(h.proto.body))
    assert "LVEF <span>%</span></th><td class='num'><b>27</b> <small>(24–31)</small>" in table  # 20, 22.1 … 34.6
    assert "−1.00" in table and "&lt;0.001" in table
    assert "treat p as description" in words(page)


def test_a_damaged_map_is_told_in_words(page, workspace):
    workspace.maps.mkdir()
    (workspace.maps / f"{MODEL_ID}.npz").write_bytes(b"half")
    page.run()
    assert not page.exception and "is damaged" in page.error[0].value


def test_a_point_is_found_by_its_id_or_its_patient_and_opens(page, workspace):
    map_drawing.build_map(workspace, MODEL_ID)
    page.run()
    points = explore.load_map(workspace, MODEL_ID)
    sought = points[points.modality == "study"].iloc[3]
    page.text_input(key="find").set_value(sought.id).run()
    assert not page.exception
    assert f"{sought.id} · study" in words(page)
    ring = next(t for t in figure(page)["data"] if t["name"] == "found")
    assert ring["x"] and ring["y"]
    page.text_input(key="find").set_value("nobody <b>").run()
    assert "Nothing on this map is called “nobody &lt;b&gt;”" in words(page)


def test_points_are_read_once_until_the_drawing_or_the_catalog_changes(page, workspace, monkeypatch):
    map_drawing.build_map(workspace, MODEL_ID)
    read = []
    real = explore.load_map
    monkeypatch.setattr(explore, "load_map", lambda *args: read.append(args) or real(*args))
    page.run()
    page.run()
    assert len(read) == 1
    map_drawing.build_map(workspace, MODEL_ID)
    page.run()
    assert len(read) == 2


def test_a_visitor_who_is_no_admin_cannot_have_the_map_drawn(page, workspace, monkeypatch):
    monkeypatch.setattr(admin_gate, "is_admin", lambda: False)
    page.run()
    assert not page.button and map_panels.ASK_AN_ADMIN in words(page)
    assert not jobs.jobs(workspace)


def test_a_large_map_is_a_picture_and_its_points_are_drawn_where_few_are_in_view(page, workspace, monkeypatch):
    monkeypatch.setattr(map_chart, "MOST_SINGLE", 20)
    monkeypatch.setattr(map_density, "MOST_IN_VIEW", 8)
    map_drawing.build_map(workspace, MODEL_ID)
    page.run()
    assert not page.exception
    assert figure(page)["layout"]["images"][0]["source"].startswith("data:image/png;base64,")
    assert not [t for t in figure(page)["data"] if "customdata" in t] and "Zoom in to see single" in words(page)
    points = explore.load_map(workspace, MODEL_ID)
    one = points.iloc[3]
    page.session_state["map_view"] = (one.x - 0.03, one.x + 0.03, one.y - 0.03, one.y + 0.03)
    page.run()
    drawn = {row[0] for t in figure(page)["data"] if "customdata" in t for row in t["customdata"]}
    assert one.id in drawn and len(drawn) <= 8 and not figure(page)["layout"].get("images")


def test_in_three_dimensions_every_point_is_there_with_the_open_ecg(page, workspace):
    map_drawing.build_map(workspace, MODEL_ID)
    page.session_state["ecg_record"] = record_of(99)
    page.run()
    page.button_group(key="points").set_value("solid").run()
    assert not page.exception and {t["type"] for t in figure(page)["data"]} == {"scatter3d"}
    drawn = {row[0] for t in figure(page)["data"] if "customdata" in t for row in t["customdata"]}
    assert drawn == {f"{letter}-{i:04d}" for letter in "ES" for i in range(25)}
    assert "Your ECG" in figure(page)["layout"]["scene"]["annotations"][0]["text"]


def test_a_lasso_is_kept_as_a_cohort_that_the_map_then_shows_alone(page, workspace, monkeypatch):
    map_drawing.build_map(workspace, MODEL_ID)
    chosen = [("ECG", "E-0003"), ("study", "S-0003"), ("study", "S-0011")]
    monkeypatch.setattr(map_chart, "chart", chosen_points(chosen))
    opened = []
    monkeypatch.setattr(kept_panel.st, "switch_page", lambda page, query_params: opened.append(query_params))
    page.run()
    page.text_input(key="keep_name").set_value("weak hearts").run()
    page.button(key="keep_now").click().run()
    assert not page.exception and opened == [{"cohort": "weak hearts"}]
    kept = kept_cohorts.members(workspace, ["weak hearts"])
    assert (kept.ecgs, kept.studies) == ({"E-0003"}, {"S-0003", "S-0011"})
    page.button(key="keep_now").click().run()
    assert "There is a cohort called 'weak hearts' already" in words(page).replace("\\", "")
    monkeypatch.setattr(map_chart, "chart", chosen_points([]))
    page.selectbox(key="cohort").set_value("weak hearts").run()
    assert "1 ECG and 2 studies of 2 patients" in words(page)


def test_who_may_not_keep_a_cohort_sees_no_way_to(page, workspace, monkeypatch):
    map_drawing.build_map(workspace, MODEL_ID)
    monkeypatch.setattr(admin_gate, "allows", lambda action: action != "keep a cohort")
    monkeypatch.setattr(map_chart, "chart", chosen_points([("ECG", "E-0003"), ("ECG", "E-0004")]))
    page.run()
    assert not page.exception and "keep_now" not in [b.key for b in page.button]


def test_a_lasso_and_the_zoom_survive_whatever_draws_the_chart_anew(page, workspace, monkeypatch):
    map_drawing.build_map(workspace, MODEL_ID)
    page.run()
    points = explore.load_map(workspace, MODEL_ID)
    view = (points.x.min() - 1, points.x.median(), points.y.min() - 1, points.y.max() + 1)
    corners = (view[0], view[1], view[1], view[0]), (view[2], view[2], view[3], view[3])
    page.session_state["map_regions"], page.session_state["map_view"] = (corners,), view
    before = figure(page.run())
    assert "selections" not in before["layout"] and "range" not in before["layout"]["xaxis"]  # the chart has them
    members = list(page.dataframe[0].value["Id"])
    assert set(members) == set(points.id[explore.inside(points, [corners])])
    monkeypatch.setattr(scheme, "is_dark", lambda: True)
    after = figure(page.run())["layout"]
    assert after["font"]["color"] != before["layout"]["font"]["color"]
    assert after["selections"][0]["path"].startswith(f"M{corners[0][0]},{corners[1][0]}L")
    assert after["xaxis"]["range"] == [view[0], view[1]] and list(page.dataframe[0].value["Id"]) == members
    page.button_group(key="points").set_value("studies").run()  # other places
    assert "selections" not in figure(page)["layout"] and "No selection" in words(page)


def test_a_lasso_on_a_large_map_stays_when_it_is_zoomed(page, workspace, monkeypatch):
    monkeypatch.setattr(map_chart, "MOST_SINGLE", 20)
    map_drawing.build_map(workspace, MODEL_ID)
    page.run()
    points = explore.load_map(workspace, MODEL_ID)
    low, middle = points.x.min() - 1, points.x.median()
    page.session_state["map_regions"] = (((low, middle), (points.y.min() - 1, points.y.max() + 1)),)
    page.session_state["map_view"] = (low, middle, points.y.min(), points.y.max())
    (box,) = figure(page.run())["layout"]["selections"]
    assert (box["type"], box["x0"], box["x1"]) == ("rect", low, middle)
    assert set(page.dataframe[0].value["Id"]) == set(points.id[points.x <= middle])


def test_the_address_says_what_is_seen(page, workspace):
    map_drawing.build_map(workspace, MODEL_ID)
    page.query_params["view"] = "0.5,1.5,0.25,2"
    assert figure(page.run())["layout"]["xaxis"]["range"] == [0.5, 1.5]
    page.button(key="whole_map").click().run()
    assert "range" not in figure(page)["layout"]["xaxis"] and page.button(key="whole_map").disabled


@pytest.mark.parametrize("view", ["", "1,2,3", "2,1,0,1", "0,nan,0,1", "a,b,c,d", "1,2,3,4,5,6,7,8,9"])
def test_an_address_that_names_no_view_shows_the_whole_map(page, workspace, view):
    map_drawing.build_map(workspace, MODEL_ID)
    page.query_params["view"] = view
    page.run()
    assert not page.exception and not page.error and "range" not in figure(page)["layout"]["xaxis"]


@pytest.mark.parametrize(
    ("layout", "point", "said", "n_places"),
    [
        ("together", ("study", "S-0004"), "Drawn: 1 ECG of this study.", 2),
        ("solid", ("ECG", "E-0004"), "Drawn: the study S-0004 that labels it.", 2),
        ("ecgs", ("ECG", "E-0004"), None, 1),
    ],
)
def test_an_open_point_is_linked_with_the_others_of_its_study(
    page, workspace, monkeypatch, layout, point, said, n_places
):
    map_drawing.build_map(workspace, MODEL_ID)
    told = []
    monkeypatch.setattr(map_chart, "listen", lambda key, **given: told.append(given["links"]))
    page.run()
    page.button_group(key="points").set_value(layout).run()
    before = page.get("plotly_chart")[0].proto.id
    page.session_state["clicked_point"] = point
    page.run()
    assert page.get("plotly_chart")[0].proto.id == before and told[-2] is None  # the chart stays as it is
    assert said in words(page) if said else "Drawn:" not in words(page)
    points = explore.load_map(workspace, MODEL_ID, layout).set_index(["modality", "id"])
    axes = [axis for axis in "xyz" if axis in points]
    assert len(told[-1].places) == n_places
    assert told[-1].places[told[-1].opened] == pytest.approx(points.loc[point, axes].to_list())
