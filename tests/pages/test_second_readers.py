"""The Second readers tab and the line in the estimate's card, with a real imported model of random weights."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file
from streamlit.testing.v1 import AppTest

from echo2ecg_core.answers.second_readers import switch
from echo2ecg_core.store.database import Workspace
from pages.ui import resources
from pages.ui.ecg.second_readers import answer, facts_table, gain_words, own_table, shared_table
from tests.pages.prediction_fixture import FakePrediction, model_card, report_of
from tests.ready_workspace import imported

ROOT = Path(__file__).resolve().parents[2]
DICOM = Path(get_testdata_file("waveform_ecg.dcm"))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("second")
    place = Workspace(folder / "w")
    imported("echonext", place, folder)
    return place


@pytest.fixture
def page(place, tmp_path, monkeypatch):
    card = model_card(tmp_path / "model")
    monkeypatch.setattr(resources, "workspace", lambda: place)
    monkeypatch.setattr(resources, "active_model", lambda: card)
    monkeypatch.setattr(
        resources, "prediction", lambda record, card, insist=False: FakePrediction(report_of(replace(record)))
    )
    app = AppTest.from_file(ROOT / "app.py", default_timeout=60)
    app.run()
    app.file_uploader[0].set_value([(DICOM.name, DICOM.read_bytes(), "application/octet-stream")])
    return app


def words(app: AppTest) -> str:
    parts = [e.value for kind in (app.markdown, app.caption, app.error, app.warning, app.info) for e in kind]
    return "\n".join([*parts, *(str(h.proto.body) for h in app.get("html"))])


def test_the_tab_shows_scores_by_that_name_with_training_limits_and_the_source_of_each_number(page):
    text = words(page.run())
    assert not page.exception
    assert "EchoNext-Mini" in text and "is no chance" in text and "score" in text
    assert "Columbia University" in text and "ventricular pacing" in text
    assert "our measurement" in text or "the cart&#x27;s statement" in text
    line = next(c.value for c in page.caption if c.value.startswith("EchoNext-Mini on LVEF"))
    assert "score" in line


def test_age_and_sex_are_asked_where_the_file_lacks_them_and_change_the_answer(page, monkeypatch):
    read = resources.read_files

    def without_person(*given):
        return tuple(replace(f, record=replace(f.record, sex=None, age_years=None)) for f in read(*given))

    monkeypatch.setattr(resources, "read_files", without_person)
    before = words(page.run())
    assert "left out by them: age unknown, sex unknown" in before
    age = next(n for n in page.number_input if "Age in years" in n.label)
    age.set_value(70)
    after = words(page.run())
    assert not page.exception
    assert "70" in after and "given on this page" in after and "left out by them: sex unknown" in after


def test_a_switched_off_second_reader_says_how_to_get_one(page, place):
    from echo2ecg_core.store.model_registry import ModelRegistry

    (card,) = ModelRegistry(place).models()
    switch(place, card, False)
    try:
        text = words(page.run())
    finally:
        switch(place, card, True)
    assert not page.exception and "No second reader is switched on" in text


def finding(**changed):
    base = {
        "name": "lvef_lte_45", "label": "LVEF ≤ 45 %", "question": "lvef_le_45", "score": 0.312, "chance": None,
        "our_chance": None, "agreement": "", "apart": "",
    }  # fmt: skip
    return base | changed


def reader(findings, **changed):
    base = {
        "model": {"id": "abc", "name": "Some<Model>", "kind": "echonext", "sha256": "0" * 64},
        "trained_on": "others",
        "authors_left_out": "the young",
        "this_ecg_left_out_for": [],
        "licence": "none",
        "numbers": {},
        "notes": [],
        "findings": findings,
        "error": None,
    }
    return base | changed


def test_a_score_is_called_a_score_and_a_chance_a_chance():
    assert answer(finding()) == "score 0.31"
    assert answer(finding(chance=0.124)).startswith("chance 12")


def test_two_models_stand_side_by_side_and_a_question_nobody_else_is_asked_has_our_chance_alone():
    other = reader([finding(question="aortic_stenosis", label="AS")])
    text = shared_table(
        [reader([finding(agreement="Both call it likely")]), other], {"lvef_le_45": 0.7, "lvef_le_40": 0.2}, []
    )
    assert "Combined" not in text
    assert "Some&lt;Model&gt;" in text and "Both call it likely" in text
    rows = text.split("<tr>")
    assert any("LVEF ≤ 40" in row and "20" in row and row.count("–") == 2 for row in rows)
    assert any("Aortic stenosis" in row and "score 0.31" in row for row in rows)


def test_a_combined_chance_has_a_column_and_says_what_it_rests_on():
    one = {
        "question": "lvef_le_45", "label": "LVEF ≤ 45 %", "chance": 0.34, "best": "Some<Model> abc",
        "difference": [0.05, 0.012, 0.081], "patients": 30,
    }  # fmt: skip
    text = shared_table([reader([finding()])], {"lvef_le_45": 0.7, "lvef_le_40": 0.2}, [one])
    low, other = (next(row for row in text.split("<tr>") if words in row) for words in ("≤ 45", "≤ 40"))
    assert "<th class='num'>Combined</th>" in text and "34" in low and "34" not in other
    assert gain_words(one) == (
        "LVEF ≤ 45 %, combined: AUROC higher by 0.050 (0.012 to 0.081) than Some<Model> abc, on 30 test patients."
    )


def test_of_many_statements_the_ten_highest_stand_in_the_table():
    many = [finding(question=None, label=f"Statement {i}", score=i / 100) for i in range(30)]
    text = own_table(reader(many))
    assert "the 10 highest of 30" in text and "Statement 29" in text and "Statement 19" not in text


def test_whom_the_authors_left_out_and_unknown_numbers_are_told():
    text = facts_table(
        reader([], this_ecg_left_out_for=["under 18"], numbers={"age_years": {"value": None, "source": "not known"}})
    )
    assert "left out by them: under 18" in text and "not known" in text
