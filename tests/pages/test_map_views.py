"""The menu of kept views on the map: kept by who may, shown again with all that was set, told where a part is gone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from echo2ecg_core.answers import maps as explore
from echo2ecg_core.store import map_views
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.map_views import MapView
from pages.ui import admin_gate, resources
from tests.small_workspace import MODEL_ID, mapped_workspace

ROOT = Path(__file__).resolve().parents[2]
ZOOMED = MapView("studies", "lvedv", "", True, "S-0003", (-1.0, 1.0, -0.5, 1.5), MODEL_ID)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    made = mapped_workspace(tmp_path / "w")
    monkeypatch.setattr(resources, "workspace", lambda: made)
    monkeypatch.setattr(admin_gate, "is_admin", lambda: True)
    return made


@pytest.fixture
def page(workspace):
    return AppTest.from_file(ROOT / "pages" / "map.py", default_timeout=20).run()


def layout_of(page: AppTest) -> dict:
    return json.loads(page.get("plotly_chart")[0].proto.spec)["layout"]


@pytest.mark.slow
def test_what_is_set_is_kept_under_a_name_and_shown_again(page, workspace):
    page.button_group(key="points").set_value("studies").run()
    page.selectbox(key="colour").select("lvedv").run()
    page.text_input(key="find").set_value("S-0003").run()
    page.session_state["map_view"] = ZOOMED.seen
    page.text_input(key="view_name_0").set_value("weak *hearts*").run()
    page.button(key="keep_view").click().run()
    assert not page.exception and not page.error and map_views.kept(workspace) == {"weak *hearts*": ZOOMED}
    page.button_group(key="points").set_value("together").run()
    page.selectbox(key="colour").select("modality").run()
    page.text_input(key="find").set_value("").run()
    page.button(key="view_weak *hearts*").click().run()
    assert not page.exception and not page.error and not page.info
    set_to = (
        page.button_group(key="points").value,
        page.selectbox(key="colour").value,
        page.text_input(key="find").value,
    )
    assert set_to == ("studies", "lvedv", "S-0003")
    assert layout_of(page)["xaxis"]["range"] == [-1, 1] and layout_of(page)["yaxis"]["range"] == [-0.5, 1.5]
    page.button(key="keep_view").click().run()
    assert "1 to 60 letters" in page.error[0].value
    page.button(key="forget_view_weak *hearts*").click().run()
    assert not page.exception and not map_views.kept(workspace)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cohort": "gone"}, "the cohort gone is gone, so all cohorts are shown"),
        ({"colour": "kept:weak ones"}, "the cohort weak ones, which coloured it, is gone"),
        ({"model_id": "another1"}, "it was kept on another model’s map, so all of this one is shown"),
        ({"layout": "of another program"}, "this model’s map has no such points"),
    ],
)
def test_a_view_of_which_something_is_gone_says_so_and_shows_the_rest(page, workspace, change, said):
    another_server = Workspace(workspace.folder)
    map_views.keep(another_server, "old", replace(ZOOMED, sought="", **change), who="kern")
    page.run().button(key="view_old").click().run()
    assert not page.exception and not page.error and said in page.info[0].value
    shown = page.button_group(key="points").value, layout_of(page)["xaxis"].get("range")
    keeps_zoom = not change.keys() & {"model_id", "layout"}
    assert shown == ("together" if "layout" in change else "studies", [-1, 1] if keeps_zoom else None)
    page.button_group(key="points").set_value("ecgs").run()
    assert not page.info


def test_who_may_not_keep_a_view_can_open_those_there_are(page, workspace, monkeypatch):
    monkeypatch.setattr(admin_gate, "allows", lambda action: action != "keep a view")
    with_menu = len(page.get("popover"))
    keys = [button.key for button in page.run().button]
    assert "keep_view" not in keys and len(page.get("popover")) == with_menu - 1
    map_views.keep(workspace, "mine", ZOOMED, who="kern")
    keys = [button.key for button in page.run().button]
    assert "view_mine" in keys and "forget_view_mine" not in keys and "keep_view" not in keys
    page.button(key="view_mine").click().run()
    assert page.button_group(key="points").value == "studies" and not page.exception


def test_a_view_in_three_dimensions_keeps_its_camera(page, workspace):
    camera = (1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    map_views.keep(workspace, "from above", MapView(explore.SOLID, "lvef", "", True, "", camera, MODEL_ID), who="kern")
    page.run().button(key="view_from above").click().run()
    assert layout_of(page)["scene"]["camera"]["eye"] == {"x": 1, "y": 2, "z": 3}
