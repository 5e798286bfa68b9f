"""From an ECG to studies and back: against a plain numpy ranking, with every filter, and the refusals in words."""

import dataclasses
import json
import shutil
from datetime import date

import numpy as np
import pytest

from echo2ecg_core.answers.search import Filters, candidates, nearest_ecgs, patient_of, search, search_report
from echo2ecg_core.errors import ModelError, SignalError, StoreError
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.vectors import VectorSet, load_vectors, vectors_path
from tests.small_workspace import MODEL_ID, prediction, record_of, register_model, small_workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return small_workspace(tmp_path_factory.mktemp("search"))


def plain_ranking(workspace, kind, query) -> list[tuple[str, float]]:
    vectors = load_vectors(workspace.vectors, kind, MODEL_ID)
    cosines = [float(row @ query / np.sqrt((row @ row) * (query @ query))) for row in vectors.matrix]
    return sorted(zip(vectors.ids, cosines, strict=True), key=lambda pair: -pair[1])


def test_the_ten_hits_are_those_of_a_plain_numpy_ranking(workspace):
    asked = prediction(35.0)
    hits = search(asked, workspace)
    expected = plain_ranking(workspace, "study_aligned", asked.aligned)[:10]
    assert [hit.study_id for hit in hits] == [study_id for study_id, _ in expected]
    assert [hit.similarity for hit in hits] == pytest.approx([cosine for _, cosine in expected], abs=2e-3)
    assert [hit.rank for hit in hits] == list(range(1, 11))
    assert all(abs(hit.phenotypes["lvef"] - 35) < 12 for hit in hits)


def test_the_terminals_document_has_the_promised_fields_and_is_json(workspace):
    hits = search(prediction(35.0), workspace, k=3)
    document = json.loads(json.dumps(search_report(prediction(35.0), hits)))
    assert set(document) == {"query", "model", "hits"} and document["model"]["id"] == MODEL_ID
    first = document["hits"][0]
    assert set(first) == {"rank", "study_id", "similarity", "phenotypes", "views", "synthetic"}
    assert first["synthetic"] is True and first["phenotypes"].keys() == {"lvef", "lvedv", "ivsd", "tr_grade"}
    assert {frozenset(view) for hit in document["hits"] for view in hit["views"]} == {
        frozenset({"clip_id", "view", "fps", "frames"})
    }
    assert first["views"][0]["fps"] == 50 and first["views"][0]["frames"] == 32


@pytest.mark.parametrize(
    ("filters", "passes"),
    [
        (Filters(not_patient="P-0012"), lambda s, v: s.patient_id != "P-0012"),
        (Filters(views=("A4C", "Parasternal_Long")), lambda s, v: {"A4C", "Parasternal_Long"} <= v),
        (Filters(sex="female"), lambda s, v: s.sex == "female"),
        (Filters(age_years=(50, 60)), lambda s, v: 50 <= s.age_years <= 60),
        (Filters(phenotypes={"lvef": (20, 45), "lvedv": (165, 300)}), lambda s, v: s.phenotypes["lvef"] <= 35),
        (Filters(cohort="small", split="test", dates=(date(2026, 1, 5), date(2026, 1, 5))), lambda s, v: True),
        (Filters(sex="male", views=("A2C",)), lambda s, v: s.sex == "male" and "A2C" in v),
    ],
)
def test_a_filter_leaves_exactly_the_studies_it_names_and_still_fills_the_list(workspace, filters, passes):
    catalog = Catalog(workspace)
    wanted = {
        i for i in catalog.studies().study_id if passes(catalog.study(i), {clip.view for clip in catalog.clips_of(i)})
    }
    asked = prediction(35.0)
    expected = [i for i, _ in plain_ranking(workspace, "study_aligned", asked.aligned) if i in wanted][:10]
    assert [hit.study_id for hit in search(asked, workspace, filters=filters)] == expected
    assert set(candidates(workspace, filters).study_ids) == wanted


def test_filters_say_what_each_of_them_removes_and_nothing_found_is_no_error(workspace):
    filters = Filters(sex="male", phenotypes={"lvef": (90, 95)}, views=("A2C",))
    left = candidates(workspace, filters)
    assert (left.study_ids, left.total) == ((), 40)
    assert left.removed == {"Has Apical 2-chamber": 26, "Sex male": 20, "LVEF 90–95": 40}
    assert search(prediction(35.0), workspace, filters=filters) == []


def test_a_study_without_a_vector_is_not_told_to_be_searched(workspace, tmp_path):
    place = Workspace(shutil.copytree(workspace.folder, tmp_path / "w"))
    Catalog(place).add_study("S-new", "P-0001", study_date="2026-01-05", phenotypes={"lvef": 91.0})
    left = candidates(place, Filters(phenotypes={"lvef": (60.0, np.inf)}), MODEL_ID)
    assert "S-new" not in left.study_ids and (left.total, left.without_vector) == (40, 1)
    assert left.removed == {"LVEF ≥ 60": 40 - len(left.study_ids)}
    assert len(search(prediction(60.0), place, 99, Filters(phenotypes={"lvef": (60.0, np.inf)}))) == len(left.study_ids)


def test_the_patient_of_a_stored_ecg_is_found_by_its_signal(workspace):
    assert patient_of(dataclasses.replace(record_of(7), source="anything.dcm"), workspace) == "P-0007"
    assert patient_of(dataclasses.replace(record_of(7), sampling_rate_hz=101.0), workspace) is None


def test_a_study_finds_the_nearest_ecgs_and_says_which_are_its_patients(workspace):
    hits = nearest_ecgs("S-0010", workspace, k=5)
    query = load_vectors(workspace.vectors, "study_aligned", MODEL_ID).rows(["S-0010"])[0]
    assert [hit.ecg_id for hit in hits] == [i for i, _ in plain_ranking(workspace, "ecg_aligned", query)[:5]]
    assert all(hit.same_patient == (hit.ecg_id == "E-0010") for hit in hits)
    assert hits[0].study_id == hits[0].ecg_id.replace("E", "S") and "lvef" in hits[0].phenotypes
    json.dumps(hits[0].as_json())


def test_an_ecg_without_prediction_cannot_be_searched(workspace):
    nothing = dataclasses.replace(prediction(35.0), aligned=None)
    with pytest.raises(SignalError, match="Nothing was predicted from this ECG"):
        search(nothing, workspace)


def test_before_any_embedding_the_words_say_what_to_run(tmp_path):
    workspace = Workspace(tmp_path)
    register_model(workspace)
    with pytest.raises(StoreError, match=r"No echo study has been embedded by model 5ma11000 yet.*Run `embed`"):
        search(prediction(35.0), workspace)


def test_vectors_of_another_model_are_refused(tmp_path):
    workspace = small_workspace(tmp_path, n_patients=5)
    others = VectorSet("study_aligned", "other", ("S-0001",), np.ones((1, 16), np.float32)).save(workspace.vectors)
    others.replace(vectors_path(workspace.vectors, "study_aligned", MODEL_ID))
    with pytest.raises(
        StoreError, match="Expected study_aligned vectors of model 5ma11000, found study_aligned vectors of model other"
    ):
        search(prediction(35.0), workspace)
    with pytest.raises(ModelError, match="made by model other, the query by 5ma11000"):
        load_vectors(workspace.vectors, "study_aligned", "other").nearest(np.ones(16), 1, model_id=MODEL_ID)


def test_an_ecg_near_a_study_tells_how_many_days_its_own_echo_is_apart(tmp_path):
    place = small_workspace(tmp_path / "workspace")
    with place.connect() as db:
        db.execute("UPDATE ecgs SET ecg_time = '2026-01-07T18:00:00+06:00' WHERE ecg_id = 'E-0010'")
        db.execute("UPDATE ecgs SET ecg_time = '2009-01-05' WHERE ecg_id = 'E-0011'")
    hits = {hit.ecg_id: hit for hit in nearest_ecgs("S-0010", place, k=40)}
    assert hits["E-0010"].days_apart == 2.5 and hits["E-0010"].as_json()["days_apart"] == 2.5
    assert hits["E-0011"].days_apart is None and hits["E-0011"].study_id is None and not hits["E-0011"].phenotypes
    assert hits["E-0012"].days_apart == 0 and hits["E-0012"].phenotypes["lvef"] > 0
