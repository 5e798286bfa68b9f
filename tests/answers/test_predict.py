"""Journey 1 with the shipped model: one record and many give the same numbers, a bad one is a row, doubt is told."""

import csv
import io
import json
import shutil
from dataclasses import replace
from datetime import datetime, time

import numpy as np
import pandas as pd
import pytest
import wfdb
from pydicom.data import get_testdata_file
from sklearn.metrics import roc_auc_score

from echo2ecg_core.answers.embed import embed_ecgs
from echo2ecg_core.answers.loaded_model import load_active_model
from echo2ecg_core.answers.predict import DEMONSTRATION, predict, predict_batch
from echo2ecg_core.answers.predict_files import as_row, ecg_files, predict_files
from echo2ecg_core.ecg.readers import read_ecg
from echo2ecg_core.ecg.record import LEADS, EcgRecord
from echo2ecg_core.errors import ReadError
from echo2ecg_core.evaluation.agreement import verdicts
from echo2ecg_core.figures.export import phenotypes_csv
from echo2ecg_core.figures.notation import percent
from echo2ecg_core.intake import demo
from echo2ecg_core.models.outside import Outside
from echo2ecg_core.models.predictive import Predictive
from echo2ecg_core.models.readouts import Head, Readouts
from echo2ecg_core.phenotypes import LVEF_CLASS_LABELS, PHENOTYPES
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.terminal import print_report
from pages.ui.ecg.lvef_card import lvef_card
from pages.ui.ecg.phenotype_table import phenotype_table
from pages.ui.ecg.surroundings import _notice_words
from tests.ecg.test_measure import drawn_ecg

SIMULATED = ("synthetic phantom, no real patient",)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    workspace = Workspace(tmp_path_factory.mktemp("w"))
    demo.open_workspace(workspace)
    return workspace


@pytest.fixture(scope="module")
def model(place):
    return load_active_model(place)


@pytest.fixture(scope="module")
def phantoms():
    people = demo.shipped_cohort().people()
    tests = [i for i in range(len(people)) if people.split_of(i) == "test"]
    return [
        (ecg, EcgRecord(signal_mv=ecg.signal_mv(), sampling_rate_hz=500.0, format="phantom", source=ecg.ecg_id))
        for i in tests[:4]
        for ecg in people.patient(i).ecgs[:1]
    ]


def test_alone_or_together_a_record_gets_the_same_numbers(model, phantoms):
    records = [record for _, record in phantoms[:3]]
    for one, together in zip([predict(r, model) for r in records], predict_batch(records, model), strict=True):
        for a, b in zip(one.as_json()["phenotypes"], together.as_json()["phenotypes"], strict=True):
            assert a["value"] == pytest.approx(b["value"], abs=0.02) and a["interval"] == pytest.approx(
                b["interval"], abs=0.02
            )
        assert np.allclose(one.aligned, together.aligned, atol=1e-4)


def test_a_sampling_rate_that_the_intervals_contradict_is_told_beside_the_estimate(model):
    record = EcgRecord(drawn_ecg(n_beats=16)[0], 500.0, format="x", source="x")
    told = {rate: predict(replace(record, sampling_rate_hz=rate), model).as_json() for rate in (250.0, 500.0)}
    assert "read at half its sampling rate" in told[250.0]["ecg"]["doubts"][0]
    assert "sampling rate" in as_row(told[250.0])["not_settled"] and not told[500.0]["ecg"]["doubts"]


def test_the_report_is_plain_json_and_agrees_with_itself(model, phantoms):
    report = json.loads(json.dumps(predict(phantoms[0][1], model).as_json(), allow_nan=False))
    for row in report["phenotypes"]:
        assert set(row["reference"]) <= {"male", "female"} and row["name"] in PHENOTYPES
        if row["value"] is None:
            assert row["reason"]
        elif row["kind"] == "grade":  # a chance beside grades: not on one scale
            assert (
                0 <= row["value"] <= 1
                and row["interval"] == sorted(row["interval"])
                and set(row["interval"]) <= {0, 1, 2, 3}
            )
        else:
            assert (
                row["interval"][0] < row["value"] < row["interval"][1] or row["value"] == PHENOTYPES[row["name"]].lowest
            )


@pytest.mark.slow
def test_the_figures_of_the_manifest_come_out_again_on_the_test_patients(model):
    people, windows, measured = demo.shipped_cohort().people(), [], []
    for i in range(len(people)):
        if people.split_of(i) != "test":
            continue
        patient = people.patient(i)
        for ecg in patient.ecgs:
            days = {
                abs((ecg.time - datetime.combine(s.date, time())).total_seconds()) / 86400: s for s in patient.studies
            }
            if min(days) <= 7:
                record = EcgRecord(
                    signal_mv=ecg.signal_mv(), sampling_rate_hz=500.0, format="phantom", source=ecg.ecg_id
                )
                windows.append(model.prepare(record))
                measured.append(days[min(days)].labels()["lvef"])
    parts = [model.embed_ecgs(np.stack(windows[at : at + 64])) for at in range(0, len(windows), 64)]
    outside = np.concatenate([model.readouts.outside.flags(v.outside, v.embedding) for v in parts])
    vectors = np.concatenate([v.embedding for v in parts])
    predicted = np.array([model.readouts.estimate("lvef", vector).value for vector in vectors])
    measured = np.array(measured)
    stored = model.manifest["test"]
    assert (
        len(windows) == stored["ecgs"]
        and outside.mean() == pytest.approx(stored["share_outside"], abs=0.01)
        and outside.mean() <= 0.15
    )
    assert np.abs(predicted - measured).mean() == pytest.approx(stored["phenotypes"]["lvef"]["mae"], rel=0.01)
    auroc = roc_auc_score(measured <= 40.5, model.readouts.chances_at_most("lvef", vectors, 40.5))
    assert auroc == pytest.approx(stored["phenotypes"]["lvef"]["auroc_reduced"], abs=0.005)
    assert auroc > 0.8 and auroc > stored["phenotypes"]["lvef"]["random_auroc_reduced"]


@pytest.mark.slow
def test_every_real_ecg_is_marked_as_outside_what_a_model_of_simulated_hearts_was_trained_on(model, samples):
    folder = samples / "ecg"
    files = [
        *sorted((folder / "ludb_labelled").glob("*.hea"))[:40],
        *(folder / "dicom").glob("*.dcm"),
        *(folder / "wfdb_dat").glob("*.hea"),
        *(folder / "wfdb_mat").glob("*.hea"),
        *(folder / "csv").glob("*.csv"),
    ]
    reports = [predict(read_ecg(path), model).as_json() for path in files]
    told = [r["out_of_distribution"] for r in reports if r["out_of_distribution"]]
    assert len(told) > 50 and all(DEMONSTRATION in each["message"] and each["flag"] for each in told)


def test_the_mark_of_an_ecg_and_its_words_say_the_same(model):
    outside = predict(read_ecg(get_testdata_file("waveform_ecg.dcm")), model).as_json()["out_of_distribution"]
    unlike = [name for name, measure in outside["measures"].items() if measure["flag"]]
    assert outside["flag"] is True and outside["because"] == [*unlike, "person"]
    assert bool(unlike) is (outside["percentile"] > outside["limit_percentile"])
    assert outside["message"].startswith("Outside the training data. ") and DEMONSTRATION in outside["message"]
    assert ("unlike the training ECGs" in outside["message"]) is bool(unlike)
    assert ("are like theirs" in outside["message"]) is not bool(unlike)


def test_a_wall_motion_score_index_is_never_below_one_and_has_no_chance_above_a_limit_on_which_most_hearts_lie(
    model, phantoms
):
    head = always(model, 1.1, np.repeat([0.8, 1.0, 2.0], [20, 50, 30]))
    reading = replace(
        model, readouts=Readouts(model.readouts.kernel, {"wall_motion_score_index": head}, model.readouts.outside)
    )
    (row,) = predict(phantoms[0][1], reading).as_json()["phenotypes"]
    assert row["value"] == pytest.approx(1.0, abs=1e-3) and row["interval"] == [1.0, pytest.approx(2.0, abs=0.01)]
    assert row["chance_outside"] is None and row["reference"] == {"male": [None, 1.0], "female": [None, 1.0]}
    shipped = next(
        r for r in predict(phantoms[0][1], model).as_json()["phenotypes"] if r["name"] == "wall_motion_score_index"
    )
    assert shipped["value"] >= 1.0 and shipped["interval"][0] >= 1.0 and shipped["chance_outside"] is None


def always(model, value, measured):
    """A head that says the same of every ECG, calibrated on ECGs where so much was measured."""
    measured = np.random.default_rng(0).permutation(measured)
    predictive = Predictive.fit(np.full(len(measured), value), measured)
    return Head(np.zeros(model.readouts.kernel.landmarks.shape[0]), value, predictive)


@pytest.fixture
def grading(model):
    """The shipped model with one more head, for tricuspid regurgitation, that says "1.3" of every ECG.

    Its errors at calibration make the measured grades 0, 1 and 2 in six, three and one of ten.
    """
    head = always(model, 1.3, np.repeat([0.0, 1.0, 2.0], [60, 30, 10]))
    heads = {n: h for n, h in model.readouts.heads.items() if n == "lvef"} | {"tr_grade": head}
    return replace(model, readouts=Readouts(model.readouts.kernel, heads, model.readouts.outside))


def test_a_valve_grade_is_predicted_as_the_chance_of_moderate_or_worse_and_an_interval_of_grades(grading, phantoms):
    row = predict(phantoms[0][1], grading).as_json()["phenotypes"][-1]
    assert (row["name"], row["kind"], row["unit"]) == ("tr_grade", "grade", "")
    assert row["value"] == pytest.approx(0.1, abs=0.02) and row["interval"] in ([0, 1], [0, 2])
    assert row["classes"] == pytest.approx({"none": 0.6, "mild": 0.3, "moderate": 0.1, "severe": 0.0}, abs=0.03)
    assert row["value"] == pytest.approx(row["classes"]["moderate"] + row["classes"]["severe"], abs=1e-3)


def test_a_table_of_predictions_names_grades_in_words(grading, phantoms):
    row = as_row(predict(phantoms[0][1], grading).as_json())
    assert row["tr_grade_moderate_or_worse"] == pytest.approx(0.1, abs=0.02) and row["tr_grade_low"] == "none"
    assert "tr_grade" not in row and row["as_grade_moderate_or_worse"] is None and row["lvef"] is not None


def test_people_read_a_valve_grade_in_words(grading, phantoms, capsys):
    print_report(predict(phantoms[0][1], grading).as_json())
    line = next(line for line in capsys.readouterr().out.splitlines() if "Tricuspid" in line)
    assert "≥\u202fmoderate (90 % interval none–m" in line and "1.3" not in line


def test_a_phenotype_the_model_was_not_trained_on_has_no_row(grading, phantoms):
    assert [row["name"] for row in predict(phantoms[0][1], grading).as_json()["phenotypes"]] == ["lvef", "tr_grade"]


def test_no_volume_is_estimated_below_zero(model, phantoms):
    head = always(model, 30.0, np.linspace(-30, 90, 100))
    small = replace(model, readouts=Readouts(model.readouts.kernel, {"lvesv": head}, model.readouts.outside))
    (row,) = predict(phantoms[0][1], small).as_json()["phenotypes"]
    assert row["interval"][0] == 0 and row["interval"][1] > 80 and row["value"] == pytest.approx(30, abs=3)


def test_without_sex_both_reference_ranges_and_no_chance_with_sex_a_chance(model, phantoms):
    record = phantoms[0][1]
    unknown = predict(record, model).as_json()["phenotypes"][0]
    known = predict(replace(record, sex="female"), model).as_json()["phenotypes"][0]
    assert set(unknown["reference"]) == {"male", "female"} and unknown["chance_outside"] is None
    assert 0 < known["chance_outside"]["below"] < 1


@pytest.fixture
def uncalibrated(model):
    """The shipped model calibrated on twelve ECGs: values of numbers, nothing else."""
    heads = {name: replace(head, predictive=None) for name, head in model.readouts.heads.items()}
    return replace(model, readouts=Readouts(model.readouts.kernel, heads, model.readouts.outside))


def test_without_calibration_there_is_a_value_and_no_interval_with_the_reason_in_every_form(
    uncalibrated, phantoms, capsys
):
    report = predict(phantoms[0][1], uncalibrated).as_json()
    text = json.dumps(report, allow_nan=False)
    assert "Infinity" not in text and "NaN" not in text
    why = "No interval: the readout was calibrated on fewer than 19 ECGs, too few for 90 %."
    shown = [row for row in report["phenotypes"] if row["value"] is not None]
    assert shown and {row["kind"] for row in shown} == {"number"}
    for row in shown:
        assert row["interval"] is None and row["interval_reason"] == why
        assert row["chance_outside"] is None and "classes" not in row
    graded = [row for row in report["phenotypes"] if row["kind"] == "grade" and row["interval_reason"]]
    assert graded and all("No estimate: the readout was calibrated on fewer than 19" in row["reason"] for row in graded)
    row = as_row(report)
    assert row["lvef"] is not None and row["lvef_low"] is None and row["no_interval_reason"] == why
    table = list(csv.DictReader(io.StringIO(phenotypes_csv(report))))
    assert table[0]["interval_low"] == "" and table[0]["interval_reason"] == why
    print_report(report)
    assert f"({why})" in capsys.readouterr().out
    for html in (lvef_card(report), phenotype_table(report)):
        assert "inf" not in html.lower().replace("interval", "") and why in html
    (verdict,) = [v for v in verdicts({"lvef": 50.0}, report["phenotypes"]) if v.phenotype.name == "lvef"]
    assert verdict.interval is None and verdict.words == why


def test_value_interval_and_both_covers_stand_together(model, phantoms, capsys):
    report = predict(phantoms[0][1], model).as_json()
    lvef = report["phenotypes"][0]
    tested = model.manifest["test"]["phenotypes"]["lvef"]
    assert lvef["cover"]["overall"] == tested["coverage"] and lvef["cover"]["of_disease"] == tested["coverage_disease"]
    (low, high), n = tested["coverage_disease_interval"], tested["disease_ecgs"]
    words = f"{100 * tested['coverage_disease']:.0f} of 100 times ({100 * low:.0f}–{100 * high:.0f}; {n} ECGs)."
    assert f"held {100 * tested['coverage']:.0f} of 100 times (" in lvef_card(report)
    print_report(report)
    told = capsys.readouterr().out
    assert words in lvef_card(report) and words in told
    for name, label in LVEF_CLASS_LABELS.items():
        assert f"{label} {percent(lvef['classes'][name])}" in told and percent(lvef["classes"][name]) in lvef_card(
            report
        )


def test_an_inverted_ecg_is_outside_by_what_the_network_sees_and_a_noisy_one_by_its_signal(model, phantoms):
    record = replace(phantoms[0][1], notes=SIMULATED)
    assert not predict(record, model).as_json()["out_of_distribution"]["flag"]
    upside_down = predict(replace(record, signal_mv=-record.signal_mv), model).as_json()["out_of_distribution"]
    assert upside_down["because"] == ["embedding"] and "What the network sees" in upside_down["message"]
    assert upside_down["measures"]["signal"]["flag"] is False
    hum = 0.1 * np.sin(2 * np.pi * 50 * np.arange(record.n_samples) / 500).astype(np.float32)
    humming = predict(replace(record, signal_mv=record.signal_mv + hum), model).as_json()["out_of_distribution"]
    assert "signal" in humming["because"] and humming["percentile"] > humming["limit_percentile"]


def test_an_ecg_of_a_person_is_outside_a_model_of_simulated_hearts_however_like_a_phantom_it_is(
    model, phantoms, capsys
):
    record = phantoms[0][1]
    of_person = predict(record, model).as_json()
    told = of_person["out_of_distribution"]
    assert told["because"] == ["person"] and not any(measure["flag"] for measure in told["measures"].values())
    assert told["message"].startswith(f"Outside the training data. {DEMONSTRATION}")
    print_report(of_person)
    assert capsys.readouterr().out.splitlines()[2].strip() == told["message"]
    assert "Outside training data" in lvef_card(of_person) and DEMONSTRATION in _notice_words(of_person)
    assert as_row(of_person)["outside_training"] is True and as_row(of_person)["outside_because"] == "person"
    simulated = predict(replace(record, notes=SIMULATED), model).as_json()
    assert not simulated["out_of_distribution"]["flag"] and "Outside training data" not in lvef_card(simulated)
    assert "Within the training data" in _notice_words(simulated)
    trained_on_people = replace(model, card=replace(model.card, synthetic=False))
    assert predict(record, trained_on_people).as_json()["out_of_distribution"]["message"] == ""


def test_readouts_of_before_the_embedding_was_measured_tell_the_signal_alone(model, phantoms):
    old = Readouts(model.readouts.kernel, model.readouts.heads, Outside(model.readouts.outside.signal))
    record = replace(phantoms[0][1], notes=SIMULATED)
    found = predict(record, replace(model, readouts=old)).as_json()["out_of_distribution"]
    assert set(found["measures"]) == {"signal"} and not found["flag"]


@pytest.fixture(scope="module")
def neighbourhood(model, tmp_path_factory):
    """Twelve patients with three ECGs each, embedded; the first ECG of patient 0 has a copy under another name."""
    place = Workspace(tmp_path_factory.mktemp("n"))
    demo.open_workspace(place)
    catalog, people = Catalog(place), demo.shipped_cohort().people()
    records = {}
    for i in range(12):
        patient = people.patient(i)
        catalog.add_patient(patient.patient_id, split="test", cohort="c", synthetic=True)
        catalog.add_study(f"S{i}", patient.patient_id, study_date="2030-01-01", phenotypes={"lvef": 50.0 + i})
        for k in range(3):
            body = replace(patient.ecgs[0].heart, heart_rate_bpm=60.0 + k)
            signal = replace(patient.ecgs[0], heart=body).signal_mv()
            records[i, k] = EcgRecord(signal_mv=signal, sampling_rate_hz=500.0, format="phantom", source=f"{i}-{k}")
            catalog.add_ecg(f"E{i}-{k}", patient.patient_id, records[i, k], ecg_time=f"2030-01-0{1 + k}")
    embed_ecgs(place, model)
    return place, records


@pytest.mark.slow
def test_neighbours_are_of_other_patients_one_each_with_the_days_between_their_ecg_and_echo(model, neighbourhood):
    place, records = neighbourhood
    same = predict(replace(records[0, 1], source="renamed.dcm"), model, place).as_json()["neighbours"]
    whose = [row["ecg_id"].split("-")[0] for row in same]
    assert len(whose) == 10 == len(set(whose)) and "E0" not in whose
    assert all(row["days_apart"] == int(row["ecg_id"][-1]) for row in same)
    unknown = replace(records[0, 1], signal_mv=records[0, 1].signal_mv + np.float32(0.001))
    found = [row["ecg_id"].split("-")[0] for row in predict(unknown, model, place).as_json()["neighbours"]]
    assert found[0] == "E0" and len(set(found)) == 10  # nobody's recording: all patients count, one ECG each


def test_a_hopeless_recording_is_not_predicted_unless_the_person_insists(model):
    rng = np.random.default_rng(0)
    record = EcgRecord(
        signal_mv=rng.normal(0, 1.5, (12, 5000)).astype(np.float32),
        sampling_rate_hz=500.0,
        format="NPY",
        source="noise",
    )
    report = predict(record, model).as_json()
    assert report["quality"]["verdict"] == "unusable" and report["quality"]["reason"] and report["phenotypes"] == []
    assert predict(record, model, insist=True).as_json()["phenotypes"]


@pytest.fixture
def folder(tmp_path):
    t = np.arange(5000) / 500
    beat = np.exp(-0.5 * ((t % 0.9 - 0.4) / 0.012) ** 2) + 0.2 * np.exp(-0.5 * ((t % 0.9 - 0.68) / 0.05) ** 2)
    wfdb.wrsamp(
        "a",
        fs=500,
        units=["mV"] * 12,
        sig_name=list(LEADS),
        p_signal=np.outer(beat, np.linspace(0.5, 1.5, 12)),
        fmt=["16"] * 12,
        write_dir=str(tmp_path),
    )
    shutil.copy(get_testdata_file("waveform_ecg.dcm"), tmp_path / "b.dcm")
    (tmp_path / "c.txt").write_text("no ecg")
    return tmp_path


def test_a_folder_gives_each_record_once_and_a_bad_file_its_reason(model, place, folder):
    files = ecg_files([folder])
    assert [p.name for p in files] == ["a.hea", "b.dcm", "c.txt"] and ecg_files([folder / "*.dcm"]) == [
        folder / "b.dcm"
    ]
    told = []
    rows = [
        as_row(r)
        for r in predict_files(files, lambda: model, place, progress=lambda share, message: told.append(share))
    ]
    table = pd.DataFrame(rows).set_index("source")
    assert table.error.notna().tolist() == [False, False, True] and table.lvef.notna().tolist() == [True, True, False]
    assert (table.lvef_low < table.lvef).iloc[:2].all() and told[-1] == 1.0


def test_an_empty_folder_is_said_in_words(tmp_path):
    with pytest.raises(ReadError, match="holds no file"):
        ecg_files([tmp_path])
