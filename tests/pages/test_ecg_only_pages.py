"""Every page while the active model has no echo side: ECGs are answered, studies say why they are not there, nothing
breaks."""

import json
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from echo2ecg_core.answers.loaded_model import why_no_studies
from echo2ecg_core.store import jobs
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelRegistry
from pages.ui import admin_gate, resources
from pages.ui.models import actions as model_actions
from pages.ui.models import panels as models_panels
from pages.ui.report import report_session
from pages.ui.report.charts import show
from tests.ecg_only_workspace import FILMED, PATIENTS
from tests.report_fixture import made_up_report, write_report

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
N = sum(PATIENTS.values())
PAGES = ("ecg", "studies", "map", "report", "archive", "training", "models")


@pytest.fixture
def workspace(ecg_only_workspace, monkeypatch):
    monkeypatch.setattr(admin_gate, "is_local", lambda peer, headers: True)
    monkeypatch.setattr(resources, "workspace", lambda: ecg_only_workspace)
    monkeypatch.setattr(jobs, "start_worker", lambda workspace: None)
    return ecg_only_workspace


@pytest.fixture
def why(workspace):
    return why_no_studies(ModelRegistry(workspace).active())


def page(name: str, workspace=None) -> AppTest:
    """A page that has not run; with a workspace, one of its ECGs is open."""
    made = AppTest.from_file(ROOT / "pages" / f"{name}.py", default_timeout=60)
    if workspace:
        made.session_state["ecg_record"] = Catalog(workspace).ecg_record("E-0003")
    return made


def words(page: AppTest) -> str:
    parts = [
        e.value
        for kind in (page.markdown, page.caption, page.error, page.info, page.warning, page.success)
        for e in kind
    ]
    return "\n".join([*parts, *(str(h.proto.body) for h in page.get("html"))]).replace("\\", "")


@pytest.mark.parametrize("with_ecg", [False, True])
@pytest.mark.parametrize("name", PAGES)
def test_no_page_breaks_with_such_a_model(workspace, name, with_ecg):
    found = page(name, workspace if with_ecg else None).run()
    assert not found.exception and not found.error


def test_the_ecg_page_has_phenotypes_and_neighbours_and_in_place_of_the_studies_the_reason(workspace, why):
    found = page("ecg", workspace).run()
    text = words(found)
    assert "LV ejection fraction" in text and "E-0003" in text and "<th>ECG</th><th>Study</th>" in text
    assert why in text and not [b for b in found.button if "nearest studies" in b.label]


@pytest.mark.parametrize("with_ecg", [False, True])
def test_similar_studies_says_in_one_sentence_why_it_is_not_there_and_offers_no_start_from_a_study(
    workspace, why, with_ecg
):
    found = page("studies", workspace if with_ecg else None).run()
    assert [i.value.replace("\\", "") for i in found.info] == [why] and not found.selectbox and not found.dataframe


def test_a_study_opened_by_its_address_plays_beside_the_reason(workspace, why):
    found = page("studies", workspace)
    found.query_params["study"] = FILMED
    found.run()
    assert not found.exception and not found.error and [i.value.replace("\\", "") for i in found.info] == [why]
    drawn = [json.loads(component.proto.json) for component in found.get("bidi_component")]
    (shown,) = [data for data in drawn if "studies" in data]
    assert [study["study_id"] for study in shown["studies"]] == [FILMED]
    assert len(shown["clips"]) == 1 and shown["clips"][0]["weight"] is None
    assert f"The study <b>{FILMED}</b>" in words(found) and "Predicted from ECG" in words(found)


def test_the_map_shows_the_ecgs_and_the_open_one_and_offers_no_layout_with_studies(workspace):
    found = page("map", workspace).run()
    text = words(found)
    assert (
        f"{N} ECGs and 0 studies of {N} patients" in text
        and "which has no echo side" in text
        and [option.content for option in found.get("button_group")[0].proto.options] == ["ECGs", "3-D"]
    )
    names = {trace["name"] for trace in json.loads(found.get("plotly_chart")[0].proto.spec)["data"]}
    assert {"ECG", "your ECG"} <= names and not [name for name in names if name.startswith("study")]
    assert not [b for b in found.button if "Draw again" in b.label]


def test_a_layout_chosen_with_another_model_does_not_break_the_map(workspace):
    found = page("map", workspace)
    found.session_state["points"] = "studies"
    found.run()
    assert not found.exception and not found.error and f"{N} ECGs" in words(found)


def test_the_report_says_in_place_of_retrieval_why_it_is_left_out(workspace, why, tmp_path, monkeypatch):
    place = Workspace(shutil.copytree(workspace.folder, tmp_path / "w"))
    model_id = ModelRegistry(place).active().model_id
    write_report(place, made_up_report(model_id) | {"retrieval": None, "notes": [f"Retrieval is left out: {why}"]})
    monkeypatch.setattr(resources, "workspace", lambda: place)
    monkeypatch.setattr(show, "_component", lambda: lambda key, data: None)
    found = page("report")
    found.session_state[report_session.TAB_KEY] = "Retrieval"
    found.run()
    assert not found.exception and not found.error and f"Retrieval is left out: {why}" in words(found)


def test_sidebar_and_models_page_say_what_is_not_there(workspace, why, monkeypatch):
    app = AppTest.from_file(ROOT / "app.py", default_timeout=60).run()
    assert "no echo side: ECGs only" in "".join(h.proto.body for h in app.sidebar.get("html"))
    models = page("models").run()
    row = models.dataframe[0].value.iloc[0]
    assert row[["What it can do", "State", "Vectors", "Map", "Readouts"]].tolist() == [
        "Phenotypes, map of ECGs",
        "active",
        "yes",
        "yes",
        "yes",
    ]
    card = ModelRegistry(workspace).active()
    monkeypatch.setattr(models_panels, "table", lambda workspace: card)
    assert f"Phenotypes and the map of ECGs only. {why}" in words(page("models").run())


def promoting():
    from echo2ecg_core.store.model_registry import ModelRegistry
    from pages.ui import resources
    from pages.ui.models import actions as model_actions

    model_actions.promote(resources.workspace(), ModelRegistry(resources.workspace()).models()[0].model_id)


def test_who_promotes_such_a_model_is_told_before_what_will_not_be_there(workspace, why, monkeypatch):
    promoted = []
    monkeypatch.setattr(model_actions, "promote_model", lambda place, model_id: promoted.append(model_id))
    found = AppTest.from_function(promoting, default_timeout=30).run()
    assert not found.exception and f"Similar studies will not be there. {why}" in words(found)
    found.button(key="promote_now").click().run()
    assert promoted == [ModelRegistry(workspace).active().model_id]
