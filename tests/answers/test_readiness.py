"""What a model is worth, in words that promoting shows: against the median, against chance, and without a report."""

import json

import pytest

from echo2ecg_core.answers.readiness import worth
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelCard
from echo2ecg_core.store.paths import report_path

SPEC = {"parts": ["ecg", "ecg_alignment", "study"]}


@pytest.fixture
def place(tmp_path):
    return Workspace(tmp_path / "w")


def card(tmp_path, test, *, calibration=4000, parts=None):
    folder = tmp_path / "model"
    folder.mkdir(exist_ok=True)
    named = {"name": "small", "sha256": "a" * 64, "synthetic": True}
    told = named | {"spec": {"parts": parts or SPEC["parts"]}, "weights": {"echo2ecg": {}}, "test": test}
    (folder / "manifest.json").write_text(json.dumps(told | {"readouts": {"calibration_ecgs": calibration}}))
    return ModelCard("aaaaaaaa", "small", "a" * 64, True, "2030-01-01T00:00:00", False, folder)


def lvef(**more):
    entry = {"mae": 8.9, "mae_interval": [8.1, 9.7], "median_mae": 9.1, "coverage": 0.902}
    return {"phenotypes": {"lvef": entry | more}, "patients": 31}


def test_a_model_no_better_than_the_median_and_than_chance_is_told_so(place, tmp_path):
    told = worth(place, card(tmp_path, lvef() | {"retrieval": {"studies": 31, "recall@10": 0.29}}))
    assert told[0].startswith("LVEF: mean error 8.9 points (8.1 to 9.7) on 31 test patients")
    assert told[0].endswith("the median of all is off by 9.1, so it tells no more than that.")
    assert told[2].startswith("Similar studies: an ECG's own study is among the first ten in 29 of 100 test ECGs; ")
    assert told[2].endswith("by chance in 32 (31 studies), so it is no better than chance.")
    assert told[3] == "No report yet: evaluate it to see it beside other encoders."
    told = worth(place, card(tmp_path, lvef() | {"retrieval": {"studies": 5000, "recall@10": 0.02}}))
    assert told[2].endswith("in 2 of 100 test ECGs; by chance in less than 1 (5,000 studies).")


def test_a_good_model_is_told_without_doubt_and_with_both_covers(place, tmp_path):
    found = lvef(mae=6.0, mae_interval=[5.5, 6.6], disease="LVEF ≤ 40 %", coverage_disease=0.874,
                 coverage_disease_interval=[0.71, 0.95], disease_ecgs=40)  # fmt: skip
    told = worth(place, card(tmp_path, found | {"retrieval": {"studies": 507, "recall@10": 0.264}}))
    assert told[0].endswith("off by 9.1.") and told[2].endswith("by chance in 2 (507 studies).")
    assert (
        told[1] == "Intervals: those of LVEF held 90 of 100 times; where LVEF ≤ 40 %, 87 of 100 times (71–95; 40 ECGs)."
    )


def test_too_few_calibration_ecgs_are_told_as_no_intervals(place, tmp_path):
    told = worth(place, card(tmp_path, lvef(coverage=None), calibration=12))
    assert told[1] == "Intervals: none, 12 calibration ECGs are too few."


def test_the_report_says_how_studies_are_found_where_there_is_one_and_a_model_without_echo_side_finds_none(
    place, tmp_path
):
    model = card(tmp_path, lvef() | {"retrieval": {"studies": 31, "recall@10": 0.29}})
    path = report_path(place, model.model_id)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"retrieval": {"ecg_to_study": {"recall@10": 0.5}, "candidates": 100}}))
    told = worth(place, model)
    assert told[-1].endswith("in 50 of 100 test ECGs; by chance in 10 (100 studies).") and len(told) == 3
    told = worth(Workspace(tmp_path / "other"), card(tmp_path, {}, parts=["ecg"]))
    assert told == (
        "LVEF: not measured on test patients.",
        "No report yet: evaluate it to see it beside other encoders.",
    )
