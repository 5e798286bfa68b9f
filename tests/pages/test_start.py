"""The first screen, the tour over the pages, help on each page, and the model's card against its manifest."""

import json
import re
from pathlib import Path

import pytest

from pages.ui.about import model_card
from pages.ui.help import HELP
from pages.ui.tour import STEPS
from tests.pages.test_ecg_page import page, words  # noqa: F401 (a fixture)

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = json.loads((ROOT / "assets/models/demo-multiview/manifest.json").read_text())
TITLES = re.findall(r'py", title="([^"]+)"', (ROOT / "app.py").read_text())


def test_every_page_has_help_of_three_sentences():
    assert set(TITLES) <= set(HELP)
    assert {title: len(re.findall(r"[.](?:\s|$)", text)) for title, text in HELP.items()} == dict.fromkeys(HELP, 3)


def test_the_first_screen_says_in_three_lines_what_this_is_and_its_help_stands_beside_the_heading(page):  # noqa: F811
    page.run()
    assert re.search('class="e2e-purpose">(.*?)</p>', words(page)).group(1).count("<br>") == 2
    assert HELP["ECG"] in words(page)


def test_every_step_of_the_tour_names_a_page_of_the_app_by_its_title():
    app = (ROOT / "app.py").read_text()
    assert all(f'st.Page("{step.page}", title="{step.heading}"' in app for step in STEPS)


def test_the_card_tells_what_the_manifest_tells():
    trained, calibrated = model_card.trained_on(SHIPPED), model_card.calibrated_on(SHIPPED)
    assert trained["Patients"] == f"{SHIPPED['cohort']['patients']['train']:,}"
    assert trained["Hearts"] == "simulated hearts only" and "7 days" in trained.values()
    calibration = SHIPPED["readouts"]
    assert calibrated["Intervals calibrated on"] == (
        f"{calibration['calibration_ecgs']:,} ECGs of {calibration['calibration_patients']:,} patients"
    )
    table = model_card.figures(SHIPPED)
    lvef = SHIPPED["test"]["phenotypes"]["lvef"]
    assert f"{lvef['auroc_reduced']:.2f} <small>({lvef['auroc_reduced_interval'][0]:.2f}–" in table
    assert table.count("<tr>") == 1 + len(SHIPPED["test"]["phenotypes"])
    assert any("Real patients" in sentence for sentence in model_card.whom_not(SHIPPED))


def test_what_a_manifest_does_not_tell_is_unknown_and_never_an_error():
    unknown = model_card.trained_on({}), model_card.calibrated_on({})
    assert all(model_card.UNKNOWN in rows.values() for rows in unknown)
    assert model_card.UNKNOWN in model_card.figures({}) and "Real patients" not in str(model_card.whom_not({}))


def test_a_finding_that_the_model_cannot_tell_is_named_on_its_card():
    tested = {"rvsp": {"r2": 0.01, "r2_interval": [-0.1, 0.1]}, "lvef": {"r2": 0.5, "r2_interval": [0.4, 0.6]}}
    sentences = " ".join(model_card.whom_not({"test": {"phenotypes": tested}}))
    assert "RVSP" in sentences and "LVEF" not in sentences


@pytest.mark.parametrize("name", ["about"])
def test_the_page_draws_the_card_of_the_active_model(page, name):  # noqa: F811
    page.run()
    page.switch_page(f"pages/{name}.py").run()
    assert not page.exception and "Not for" in words(page) and "Trained on" in words(page)


def test_without_a_model_a_page_says_that_one_is_on_its_way_only_where_one_is(tmp_path, monkeypatch):
    from echo2ecg_core.store import jobs
    from echo2ecg_core.store.database import Workspace
    from pages.ui import panels, resources

    place = Workspace(tmp_path)
    monkeypatch.setattr(resources, "workspace", lambda: place)
    assert panels.why_no_model("so nothing can be told").startswith(
        "No model yet, so nothing can be told. An admin can"
    )
    jobs.queue(place, "demo", {})
    assert panels.why_no_model() == (
        "No model yet. The sidebar shows what is being prepared; this page follows by itself."
    )
