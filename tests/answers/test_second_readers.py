"""Second readers: never active, switched on and off, with their numbers, their limits and agreement in words."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from echo2ecg_core.answers.readiness import abilities, readiness
from echo2ecg_core.answers.second_readers import (
    CURVES_FILE,
    agreement,
    chances_of,
    is_on,
    left_out,
    load_reader,
    load_readers,
    person_of,
    read_beside,
    ready_cards,
    seven_numbers,
    switch,
)
from echo2ecg_core.ecg.measure import measure_ecg
from echo2ecg_core.ecg.preprocess import echonext_tabular, prepare_echonext
from echo2ecg_core.errors import ModelError
from echo2ecg_core.evaluation.finding_map import QUESTIONS, our_chance
from echo2ecg_core.models.readouts import Estimate
from echo2ecg_core.store import audit
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelRegistry
from echo2ecg_core.training.promote import promote
from tests.ready_workspace import ecg, imported


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ready")
    place = Workspace(folder / "w")
    for kind in ("echonext", "ecgfounder"):
        imported(kind, place, folder)
    return place


def card_of(place, name):
    return next(card for card in ModelRegistry(place).models() if card.name == name)


def test_an_imported_ready_model_is_a_second_reader_and_can_never_be_promoted(place):
    card = card_of(place, "EchoNext-Mini")
    assert not card.active and "Second reader: 12 structural findings" in abilities(card)
    assert "second reader" in readiness(place, card).lacks[0]
    with pytest.raises(ModelError, match="second reader, which stands beside the active model"):
        promote(place, card.model_id)
    facts = card.manifest()
    assert list(card.folder.glob("echonext-*.safetensors"))
    assert facts["ready"]["source_bytes"] > 4e6 and len(facts["source_sha256"]) == 64 and "licence" in facts


def test_second_readers_are_on_from_their_import_and_can_be_switched(place):
    card = card_of(place, "ECGFounder")
    assert is_on(card) and {c.name for c in ready_cards(place, "ECG")} == {"EchoNext-Mini", "ECGFounder"}
    switch(place, card, False)
    assert not is_on(card) and [r.card.name for r in load_readers(place)] == ["EchoNext-Mini"]
    switch(place, card, True)
    assert is_on(card) and len(load_readers(place)) == 2
    assert [(line.action, line.facts["state"]) for line in audit.entries(place, last=2)] == [
        ("switch a second reader", "on"), ("switch a second reader", "off"),
    ]  # fmt: skip


def test_the_answer_is_the_network_on_the_prepared_ecg_and_its_numbers(place):
    record = ecg(sex="female", age_years=70.0, device_measurements={"pr_ms": 155.0, "qtc_ms": 440.0})
    reader = load_reader(card_of(place, "EchoNext-Mini"))
    (found,) = read_beside(record, [reader])
    numbers = {name: n["value"] for name, n in found["numbers"].items()}
    with torch.inference_mode():
        logits = reader.network(
            torch.from_numpy(prepare_echonext(record.signal_mv, 500.0)[None]),
            torch.from_numpy(echonext_tabular(**numbers)[None]),
        )[0]
    np.testing.assert_allclose([f["score"] for f in found["findings"]], logits.sigmoid(), atol=6e-5)
    assert found["error"] is None and json.loads(json.dumps(found)) == found


def test_the_seven_numbers_say_whether_the_cart_or_we_measured_them():
    record = ecg(sex="female", device_measurements={"pr_ms": 155.0, "qtc_ms": 440.0, "heart_rate_bpm": 0.0})
    numbers = seven_numbers(record, person_of(record, None, 66.0, "given on the page"))
    ours = measure_ecg(record)
    assert numbers["pr_ms"] == {"value": 155.0, "source": "the cart's statement"}
    assert numbers["ventricular_rate"] == {"value": 0.0, "source": "the cart's statement"}  # a told 0 is kept
    assert numbers["qrs_ms"] == {"value": round(ours.qrs_ms, 1), "source": "our measurement"}
    assert numbers["sex"] == {"value": "female", "source": "the file"}
    assert numbers["age_years"] == {"value": 66.0, "source": "given on the page"}
    assert ours.p_present and numbers["atrial_rate"]["value"] == round(ours.heart_rate_bpm, 1)


def test_the_files_age_and_sex_win_over_what_is_given_and_what_nobody_knows_is_told():
    assert person_of(ecg(sex="male", age_years=30.0), "female", 80.0).sex == "male"
    nobody = person_of(ecg())
    assert nobody.sex is None and nobody.source == {"sex": "not known", "age_years": "not known"}


@pytest.mark.parametrize(
    ("facts", "reasons"),
    [
        ({"sex": "male", "age_years": 17.9}, ["under 18"]),
        ({"sex": "male", "age_years": 18.0}, []),
        ({"age_years": 50.0}, ["sex unknown"]),
        ({"sex": "male"}, ["age unknown"]),
        (
            {"sex": "male", "age_years": 50.0, "statements": ("Ventricular-paced rhythm",)},
            ["paced, by the cart's statement"],
        ),
        (
            {"sex": "male", "age_years": 50.0, "statements": ("Electronic ventricular pacemaker",)},
            ["paced, by the cart's statement"],
        ),
        (
            {"sex": "male", "age_years": 50.0, "statements": ("Poor data quality, interpretation may be affected",)},
            ["poor quality, by the cart's statement"],
        ),
        ({"sex": "male", "age_years": 50.0, "statements": ("Sinus rhythm with spaced beats",)}, []),
    ],
)
def test_whom_the_authors_left_out_is_told_of_this_ecg(facts, reasons):
    record = ecg(**facts)
    numbers = seven_numbers(record, person_of(record))
    assert left_out("echonext", record, numbers, unusable=False) == reasons
    assert left_out("echonext", record, numbers, unusable=True) == [*reasons, "poor quality, by our judgement"]


def test_without_any_measurement_the_authors_would_have_left_it_out():
    record = ecg(sex="male", age_years=50.0)
    empty = seven_numbers(record, person_of(record)) | {
        n: {"value": v, "source": ""}
        for n, v in (
            ("ventricular_rate", 0.0),
            ("atrial_rate", None),
            ("pr_ms", None),
            ("qrs_ms", 0.0),
            ("qtc_ms", None),
        )
    }
    assert left_out("echonext", record, empty, unusable=False) == ["none of the five measurements"]


def test_a_score_stays_a_score_until_a_curve_makes_it_a_chance(place):
    card, record = card_of(place, "EchoNext-Mini"), ecg(sex="male", age_years=50.0)
    (before,) = read_beside(record, [load_reader(card)], our_chances={"lvef_le_45": 0.8})
    assert all(f["chance"] is None for f in before["findings"])
    assert "its score is not a chance" in before["findings"][0]["agreement"]
    curve = {"curve": {"method": "platt", "x": [0.0, -2.0], "y": []}}
    (card.folder / CURVES_FILE).write_text(json.dumps({"outputs": {"lvef_lte_45": curve}}))
    (after,) = read_beside(record, [load_reader(card)], our_chances={"lvef_le_45": 0.8})
    (card.folder / CURVES_FILE).unlink()
    assert after["findings"][0]["chance"] == pytest.approx(1 / (1 + np.exp(2)), abs=1e-4)
    assert after["findings"][0]["agreement"] == "Only we call it likely"
    assert after["findings"][1]["chance"] is None


def test_a_recording_that_a_model_cannot_read_is_told_and_the_others_answer(place):
    record = ecg(sex="male", age_years=50.0)
    short = type(record)(record.signal_mv[:, :3000], 500.0, "made", "short.hea", sex="male", age_years=50.0)
    found = {f["model"]["name"]: f for f in read_beside(short, load_readers(place))}
    assert "at least 9.5 s" in found["EchoNext-Mini"]["error"] and not found["EchoNext-Mini"]["findings"]
    assert found["ECGFounder"]["error"] is None and len(found["ECGFounder"]["findings"]) == 150
    assert "its end was filled up" in found["ECGFounder"]["notes"][0]


def test_agreement_in_words():
    assert agreement(0.8, 0.9) == "Both call it likely"
    assert agreement(0.1, 0.2) == "Both call it unlikely"
    assert agreement(0.497, 0.6) == "Both call it likely", "0.497 is written as 50 %"
    assert agreement(0.494, 0.6) == "Only the second reader calls it likely"
    assert agreement(0.1, 0.9) == "Only the second reader calls it likely"
    assert agreement(0.9, None) == "Not compared: its score is not a chance"
    assert agreement(None, None) == ""


class OneEstimate:
    """Readouts that answer every phenotype with the same equally likely values."""

    def __init__(self, samples):
        self.readouts, self.samples = self, np.sort(np.asarray(samples, float))

    def estimate(self, name, embedding):
        return Estimate(0.0, (0.0, 1.0), self.samples)


def test_our_chance_comes_from_the_same_distribution_as_our_estimate_and_45_is_not_40():
    samples = np.array([38.0, 42.0, 44.0, 47.0, 60.0])
    rows = [{"name": "lvef", "value": 44.0, "interval": [38, 60]}, {"name": "rvsp", "value": None, "interval": None}]
    found = chances_of({"phenotypes": rows}, np.zeros(3), OneEstimate(samples))
    assert found == {"lvef_le_45": pytest.approx(3.5 / 6), "lvef_le_40": pytest.approx(1.5 / 6)}
    assert chances_of({"phenotypes": rows}, None, None) == {}


def test_of_two_walls_our_chance_is_that_of_the_likelier_one():
    below = {"ivsd": 0.7, "lvpwd": 0.9}
    assert our_chance(QUESTIONS["wall_ge_1_3"], lambda name, limit: below[name]) == pytest.approx(0.3)


def test_every_output_in_the_table_of_questions_is_one_the_model_has():
    from echo2ecg_core.models.ready_heads import READY

    for question in QUESTIONS.values():
        for kind, output in question.asked_by.items():
            assert output in {o.name for o in READY[kind].outputs}


@pytest.mark.slow
def test_predict_puts_second_readers_beside_our_chance_of_the_same_finding(place, tmp_path_factory):
    import wfdb

    from echo2ecg_core.answers.loaded_model import load_active_model
    from echo2ecg_core.answers.predict_files import predict_files
    from echo2ecg_core.intake.demo import open_workspace

    open_workspace(place)
    folder = tmp_path_factory.mktemp("files")
    signal = np.asarray(ecg().signal_mv, float).T
    leads = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]
    wfdb.wrsamp("made", 500, ["mV"] * 12, leads, signal, fmt=["16"] * 12, write_dir=str(folder))
    (report,) = predict_files(
        [folder / "made.hea"], lambda: load_active_model(place), place, sex="female", age_years=64.0
    )
    found = {r["model"]["name"]: r for r in report["second_readers"]}
    assert found.keys() == {"EchoNext-Mini", "ECGFounder"} and json.dumps(report)
    numbers = found["EchoNext-Mini"]["numbers"]
    assert numbers["age_years"] == {"value": 64.0, "source": "given"} and numbers["sex"]["value"] == "female"
    low = next(f for f in found["EchoNext-Mini"]["findings"] if f["question"] == "lvef_le_45")
    lvef = next(p for p in report["phenotypes"] if p["name"] == "lvef")
    assert lvef["classes"]["reduced"] <= low["our_chance"] <= 1 - lvef["classes"]["preserved"]


def test_predict_without_second_readers_has_an_empty_list(tmp_path):
    from pydicom.data import get_testdata_file

    from echo2ecg_core.answers.loaded_model import load_active_model
    from echo2ecg_core.answers.predict_files import predict_files
    from echo2ecg_core.intake.demo import open_workspace

    bare = Workspace(tmp_path / "bare")
    open_workspace(bare)
    (report,) = predict_files([Path(get_testdata_file("waveform_ecg.dcm"))], lambda: load_active_model(bare), bare)
    assert report["second_readers"] == []
