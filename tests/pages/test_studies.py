"""Similar studies in Streamlit's own test runner: empty, with hits, filtered to nothing, and started from a study."""

import dataclasses
import json
import math
from datetime import date
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from echo2ecg_core.answers.search import Filters, filter_words, search, search_report
from echo2ecg_core.errors import StoreError
from echo2ecg_core.findings import Findings
from echo2ecg_core.store.catalog import Catalog
from pages.ui import resources
from pages.ui.studies import words as studies_words
from pages.ui.studies.words import hits_csv
from tests.small_workspace import MODEL_ID, prediction, record_of, small_workspace

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return small_workspace(tmp_path_factory.mktemp("studies"))


@pytest.fixture
def page(workspace, monkeypatch):
    """The page on the small workspace; the ECG's LVEF is 35."""
    monkeypatch.setattr(resources, "workspace", lambda: workspace)
    monkeypatch.setattr(resources, "prediction", lambda record, card, insist=False: prediction(35.0))
    monkeypatch.setattr(resources, "loaded_model", lambda card: None)
    return AppTest.from_file(ROOT / "pages" / "studies.py", default_timeout=20)


def with_ecg(page: AppTest, record=None) -> AppTest:
    page.session_state["ecg_record"] = record or dataclasses.replace(record_of(99), source="made.hea")
    return page.run()


def words(page: AppTest) -> str:
    parts = [e.value for kind in (page.markdown, page.caption, page.error, page.info) for e in kind]
    return "\n".join([*parts, *(str(h.proto.body) for h in page.get("html"))])


def player(page: AppTest) -> dict:
    """What the player was told to show."""
    return json.loads(page.get("bidi_component")[0].proto.json)


def shown_studies(page: AppTest) -> list[str]:
    return [study["study_id"] for study in player(page)["studies"]]


def test_without_an_ecg_the_page_says_how_to_get_one(page):
    page.run()
    assert not page.exception and "No ECG yet." in words(page)


def test_ten_hits_the_first_one_open_with_verdicts_and_what_they_agree_on(page):
    with_ecg(page)
    assert not page.exception and not page.error
    table = page.dataframe[0].value
    assert len(table) == 10 and list(table["#"]) == list(range(1, 11))
    assert shown_studies(page) == [table["Study"][0]]
    text = words(page)
    assert (
        "nearest to <b>made.hea</b>" in text
        and "predicted LVEF <b>35\u202f%</b> (25–45)" in text
        and "40 of 40 studies searched" in text
    )
    assert "What the ten agree on" in text and "inside the interval" in text
    assert "Similarity is a cosine, not a probability" in text


def test_differences_are_those_of_the_numbers_as_shown(page):
    table = with_ecg(page).dataframe[0].value
    for lvef, shown in zip(table["LVEF %"], table["Diff."], strict=True):
        assert int(shown.replace("−", "-")) == int(lvef) - 35


def test_another_row_opens_another_study_and_the_same_row_changes_nothing_for_the_player(page):
    with_ecg(page)
    first = player(page)
    page.run()
    assert player(page) | {"clips": [c | {"url": ""} for c in player(page)["clips"]]} == first | {
        "clips": [c | {"url": ""} for c in first["clips"]]
    }
    page.session_state["hit_row"] = 3
    page.run()
    assert shown_studies(page) == [page.dataframe[0].value["Study"][3]]


def test_the_players_clips_come_from_the_apps_own_route_with_a_key_and_no_path(page, workspace):
    for clip in player(with_ecg(page))["clips"]:
        assert clip["url"].startswith(f"/clips/{clip['clip_id']}.mp4?key=") and len(clip["url"].split("key=")[1]) >= 32
        assert str(workspace.folder) not in json.dumps(clip)


def test_the_ecgs_own_patient_is_marked_and_can_be_left_out(page):
    table = with_ecg(page, record_of(12)).dataframe[0].value.set_index("Study")
    assert table["Patient"]["S-0012"] == "same" and (table["Patient"] == "same").sum() == 1
    page.session_state["others_only"] = True
    page.run()
    assert "39 of 40 studies searched" in words(page)
    assert "S-0012" not in set(page.dataframe[0].value["Study"]) and len(page.dataframe[0].value) == 10


def test_a_rerun_searches_once_more_only_for_another_vector_filter_or_catalogue(page, workspace, monkeypatch):
    from echo2ecg_core.answers import search as answers

    asked, real = [], answers.search

    def counted(prediction, place, k=10, filters=None):
        asked.append(filters)
        return real(prediction, place, k, filters)

    monkeypatch.setattr(answers, "search", counted)
    monkeypatch.setattr(resources, "prediction", lambda record, card, insist=False: prediction(47.0))
    with_ecg(page)
    page.run()
    assert len(asked) == 1
    page.session_state["study_filters"] = Filters(sex="female")
    page.run()
    assert len(asked) == 2
    with workspace.write() as db:
        db.execute("UPDATE patients SET split = split")
    page.run()
    assert len(asked) == 3
    monkeypatch.setattr(resources, "prediction", lambda record, card, insist=False: prediction(52.0))
    page.run()
    assert len(asked) == 4


def test_page_and_terminal_list_the_same_studies_with_the_same_similarity(page, workspace):
    table = with_ecg(page, record_of(12)).dataframe[0].value
    printed = search_report(prediction(35.0), search(prediction(35.0), workspace))["hits"]
    assert list(table["Study"]) == [hit["study_id"] for hit in printed]
    assert [float(s) for s in table["Similarity"]] == [round(hit["similarity"], 2) for hit in printed]


def test_the_hits_can_be_downloaded_and_each_row_names_its_ecg_and_model(page, workspace):
    offered = [b.proto.label for b in with_ecg(page).get("download_button")]
    assert [label for label in offered if "Readers" not in label] == [
        "Studies (JSON)",
        "Studies (CSV)",
        "SVG",
        "PDF",
        "PNG",
    ]
    header, first, *rest = hits_csv(search_report(prediction(35.0), search(prediction(35.0), workspace))).splitlines()
    row = dict(zip(header.split(","), first.split(","), strict=True))
    assert (
        len(rest) == 9 and row["ecg"] == "made.hea" and row["model_id"] == MODEL_ID and row["study_id"].startswith("S-")
    )
    assert float(row["lvef"]) + float(row["lvedv"]) == pytest.approx(200, abs=0.01) and "A4C" in row["views"]


def test_measured_and_predicted_valve_grades_stand_in_words(page, workspace, monkeypatch):
    asked = prediction(35.0)
    asked.report["phenotypes"].append(
        {
            "name": "tr_grade",
            "label": "Tricuspid regurgitation",
            "short": "TR",
            "unit": "",
            "kind": "grade",
            "value": 0.12,
            "interval": [0, 1],
            "interval_level": 0.9,
            "reason": None,
        }
    )
    monkeypatch.setattr(resources, "prediction", lambda record, card, insist=False: asked)
    text = words(with_ecg(page))
    assert (
        "<b>TR</b> <span></span></th><td class='num'>12\u202f% ≥\u202fmoderate</td><td class='num'>none–mild</td>"
        in text
    )
    assert "<td class='num'><b>moderate</b></td><td class='num'>–</td>" in text and "<b>above the interval</b>" in text
    document = hits_csv(search_report(asked, search(asked, workspace)))
    assert "moderate" in document and "2.0," not in document


def test_filters_that_shut_everything_out_name_the_strictest_and_can_be_reset(page):
    page.session_state["study_filters"] = Filters(sex="male", phenotypes={"lvef": (78, 80)})
    with_ecg(page)
    assert "No study passes these filters. The strictest is “LVEF 78–80” (removes 40)." in words(page)
    next(b for b in page.button if b.label == "Reset it").click().run()
    assert page.session_state["study_filters"] == Filters(sex="male") and len(page.dataframe[0].value) == 10


def test_an_open_study_tells_rhythm_and_conduction_and_shows_its_wall_motion(page, workspace):
    scores = (1,) * 12 + (3, 3, 2, 1, None)
    Catalog(workspace).add_study("S-0010", "P-0010", findings=Findings(scores, "af", "lbbb", True))
    page.query_params["study"] = "S-0010"
    page.run()
    text = words(page)
    assert not page.exception and "atrial fibrillation · left bundle branch block · first-degree AV block" in text
    assert (
        "<b>3 akinetic</b> apical anterior, apical septal" in text
        and "<b>1 normal or hyperkinetic</b> 13 of 17 segments" in text
    )
    drawn = json.loads(page.get("bidi_component")[1].proto.json)["html"]
    assert "Wall motion score index 1.31" in drawn and "<svg" in drawn
    assert [b.proto.label for b in page.get("download_button")] == ["SVG", "PDF", "PNG"]


def test_a_study_without_scores_shows_no_wall_motion_and_one_with_the_index_alone_says_so(page, workspace):
    page.query_params["study"] = "S-0011"
    page.run()
    assert len(page.get("bidi_component")) == 1 and "Wall motion" not in words(page)
    Catalog(workspace).add_study("S-0011", "P-0011", phenotypes={"wall_motion_score_index": 1.5})
    page.run()
    assert len(page.get("bidi_component")) == 1 and "with its score index only" in words(page)


def test_rhythm_and_conduction_filter_the_studies_and_can_be_taken_off(page, workspace):
    Catalog(workspace).add_study("S-0009", "P-0009", findings=Findings(rhythm="af", conduction="rbbb"))
    Catalog(workspace).add_study("S-0008", "P-0008", findings=Findings(rhythm="af", conduction="normal"))
    page.session_state["study_filters"] = Filters(rhythm="af", conduction="rbbb")
    assert list(with_ecg(page).dataframe[0].value["Study"]) == ["S-0009"]
    page.session_state["study_filters"] = Filters(rhythm="other", conduction="rbbb")
    page.run()
    assert "The strictest is “Other rhythm” (removes 40)." in words(page)
    next(b for b in page.button if b.label == "Reset it").click().run()
    assert page.session_state["study_filters"] == Filters(conduction="rbbb") and list(
        page.dataframe[0].value["Study"]
    ) == ["S-0009"]


def test_from_a_study_its_nearest_ecgs_are_listed(page):
    page.query_params["study"] = "S-0010"
    page.run()
    assert not page.exception and shown_studies(page) == ["S-0010"]
    assert "ECGs nearest to the study <b>S-0010</b>" in words(page)
    assert set(page.dataframe[0].value["ECG"]) <= {f"E-{i:04d}" for i in range(25)}


def test_of_many_studies_one_is_named_by_its_id_where_a_list_would_be_long(page, monkeypatch):
    monkeypatch.setattr(studies_words, "MOST_LISTED", 5)
    page.run()
    named = next(field for field in page.text_input if field.label == "Study")
    named.set_value("S-none").run()
    assert not page.exception and "There is no study “S-none”." in [c.value for c in page.caption]
    next(field for field in page.text_input if field.label == "Study").set_value("S-0007").run()
    assert not page.exception and "S-0007" in page.query_params["study"]


def test_one_click_lays_the_patients_own_echo_beside_the_hit_with_views_face_to_face(page):
    from pages.ui.studies.open_study import OWN_ECHO

    with_ecg(page, record_of(12))
    page.session_state["hit_row"] = list(page.dataframe[0].value["Study"]).index("S-0013")
    page.run()
    next(b for b in page.button if b.label == OWN_ECHO).click().run()
    assert not page.exception and shown_studies(page) == ["S-0013", "S-0012"]
    rows = [clip and (clip["name"], clip["side"]) for clip in player(page)["clips"]]
    assert rows[:2] == [("Apical 4-chamber", 0), ("Apical 4-chamber", 1)]
    assert rows[2::2] == [None, None] and {side for _, side in rows[3::2]} == {1}  # S-0013 has one view
    assert page.query_params["beside"] == "S-0012"
    next(b for b in page.button if b.label == "Close my patient's own echo").click().run()
    assert shown_studies(page) == ["S-0013"]


def test_an_ecg_from_outside_has_no_echo_of_its_own_to_compare_with(page):
    from pages.ui.studies.open_study import OWN_ECHO

    assert OWN_ECHO not in {b.label for b in with_ecg(page).button}
    assert "made.hea against" in words(page) and "patient is not known here" in words(page)


def test_the_table_below_the_player_names_whose_ecg_and_echo_are_compared(page):
    page.query_params["study"] = "S-0010"
    assert "Measured on S-0010" in words(page.run())
    assert "E-0012 against S-0010: another patient" in words(with_ecg(page, record_of(12)))
    page.query_params["study"] = "S-0012"
    assert "E-0012 against S-0012: the same patient" in words(page.run())


def test_clips_tell_end_systole_after_their_r_waves_and_the_frames_to_lay_side_by_side(page):
    clip = player(with_ecg(page))["clips"][0]  # one R wave at 0.1 s of 50 frames a second: systole at 65 beats a minute
    systole_s = 0.1 + (546 - 2.1 * 65 - 40) / 1000
    assert clip["end_systoles"] == [pytest.approx(systole_s, abs=1e-3)]
    assert clip["key_frames"] == [5, round(50 * systole_s)]


def test_cohort_split_and_day_of_the_echo_filter_the_studies(page, workspace):
    catalog = Catalog(workspace)
    with_ecg(page)
    page.session_state["study_filters"] = Filters(cohort="small", split="train")
    page.run()
    assert "The strictest is “Split train” (removes 40)." in words(page)
    catalog.add_study("S-0005", "P-0005", study_date="2027-05-01")
    page.session_state["study_filters"] = Filters(dates=(date(2027, 1, 1), None))
    page.run()
    assert list(page.dataframe[0].value["Study"]) == ["S-0005"]
    pills = next(group for group in page.button_group if group.label == "Active filters")
    assert pills.options == ["Echo from 2027-01-01 ✕"]
    page.session_state["study_filters"] = Filters(dates=(None, date(2026, 12, 31)))
    page.run()
    assert "39 of 40 studies searched" in words(page)
    for label in ("Cohort", "Split", "Rhythm", "Conduction", "Sex"):
        assert label in {box.label for box in page.selectbox}


def test_a_study_that_does_not_exist_is_told_in_words_and_once(page):
    page.query_params["study"] = "S-<b>9999"
    page.run()
    assert not page.exception and ["There is no study" in error.value for error in page.error] == [True]
    assert "ECGs nearest to the study" not in words(page)


def test_vectors_that_are_missing_are_told_in_words(page, workspace, monkeypatch):
    def no_vectors(*_args):
        raise StoreError(
            f"No echo study has been embedded by model {MODEL_ID} yet, so there is nothing to compare with.",
            "Run `embed`.",
        )

    monkeypatch.setattr("echo2ecg_core.answers.search.study_vectors", no_vectors)
    with_ecg(page)
    assert not page.exception and "No echo study has been embedded" in page.error[0].value


def test_studies_can_be_filtered_by_every_measured_phenotype(page, workspace):
    from echo2ecg_core.phenotypes import PHENOTYPES

    with_ecg(page)
    labels = [slider.label for slider in page.slider]
    assert all(any(label.startswith(p.label) for label in labels) for p in PHENOTYPES.values())
    lvedv = PHENOTYPES["lvedv"]
    next(s for s in page.slider if s.label.startswith(lvedv.label)).set_value((100.0, float(lvedv.axis[1])))
    next(b for b in page.button if b.label == "Apply").click().run()
    assert not page.exception
    assert page.session_state["study_filters"].phenotypes == {"lvedv": (99.5, math.inf)}, "however large it is"
    again = next(s for s in page.slider if s.label.startswith(lvedv.label))
    assert again.value == (100.0, float(lvedv.axis[1]))
    pills = next(group for group in page.button_group if group.label == "Active filters")
    assert pills.options == ["LVEDV ≥ 100 ✕"]


@pytest.mark.slow
def test_a_reader_marks_the_open_hit_under_their_name_and_the_marks_are_exported(page, workspace, monkeypatch):
    from echo2ecg_core.store.reader_marks import Hit, marks_of
    from pages.ui import admin_gate
    from pages.ui.studies.reader_marks import marks_csv

    record = record_of(12)
    monkeypatch.setattr(admin_gate, "login", lambda: admin_gate.Login("visitor", "researcher"))
    asked = [field.label for field in with_ecg(page, record).text_input]
    assert asked == ["Your name or initials"]
    page.text_input[0].set_value("A. Kern").run()
    hit = Hit(record.content_hash, shown_studies(page)[0], MODEL_ID)
    page.feedback[0].set_value(1).run()
    assert marks_of(workspace, hit) == {"A. Kern": True}
    page.feedback[0].set_value(0).run()
    assert marks_of(workspace, hit) == {"A. Kern": False} and f"{record.content_hash},{hit.study_id}" in marks_csv()
    monkeypatch.setattr(admin_gate, "login", lambda: admin_gate.Login("Roth", "researcher"))
    page.run()
    assert "A. Kern: not" in words(page)
    page.feedback[0].set_value(1).run()
    assert marks_of(workspace, hit) == {"A. Kern": False, "Roth": True}
    monkeypatch.setattr(admin_gate, "login", lambda: admin_gate.Login("visitor", "viewer"))
    assert not page.run().feedback and "Readers' marks (CSV)" not in {
        b.proto.label for b in page.get("download_button")
    }


def test_a_filter_lets_pass_what_is_written_between_its_ends_and_beyond_the_axis_where_an_end_is_open():
    from pages.ui.studies.filters import open_ended, shown_ends

    low, high = open_ended((40.0, 50.0), (10, 80), 0)
    assert low <= 39.6 and high >= 50.4 and low > 39.4 and high < 50.6  # shown as 40 and as 50
    assert open_ended((200.0, 320.0), (20, 320), 0)[1] == math.inf  # a ventricle of 400 mL is among the large ones
    assert open_ended((10.0, 40.0), (10, 80), 0)[0] == -math.inf
    for chosen, axis, decimals in (((40.0, 50.0), (10, 80), 0), ((0.9, 2.4), (0.4, 2.4), 1), ((1.0, 1.3), (0.9, 3), 2)):
        assert shown_ends(open_ended(chosen, axis, decimals), axis, decimals) == chosen
    told = filter_words(Filters(phenotypes={"lvef": open_ended((40.0, 50.0), (10, 80), 0), "ivsd": (1.25, math.inf)}))
    assert list(told) == ["LVEF 40–50", "IVSd ≥ 1.2"]
