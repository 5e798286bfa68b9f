"""Evaluation of a registered model in a workspace of simulated patients: the report, its checks, and what is
refused."""

import json
import math
import re
import sys
from datetime import datetime, time, timedelta
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics
from sklearn.calibration import calibration_curve
from sklearn.metrics import mean_absolute_error, roc_auc_score

from echo2ecg_core.answers.loaded_model import load_readouts
from echo2ecg_core.cli import main
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.evaluation.rows import Row, Split, paired_differences, row_of
from echo2ecg_core.intake.demo import shipped_cohort
from echo2ecg_core.intake.vectors_of_others import all_imported, named_files, read_vectors
from echo2ecg_core.reports.evaluate import Scope, evaluate, fingerprint, summary_lines
from echo2ecg_core.reports.folder import load_report
from echo2ecg_core.reports.labelled_ecgs import labelled_table
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelRegistry
from echo2ecg_core.store.paths import report_path
from echo2ecg_core.store.vectors import load_vectors
from echo2ecg_core.worker import workflow_of
from tests.evaluation_workspace import PATIENTS, evaluation_workspace
from tests.small_workspace import small_workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return evaluation_workspace(tmp_path_factory.mktemp("evaluation") / "workspace")


@pytest.fixture(scope="module")
def report(workspace, tmp_path_factory):
    """The report, with the vectors of an imported encoder that knows the LVEF."""
    path, table = tmp_path_factory.mktemp("imported") / "oracle.npy", Catalog(workspace).labelled_ecgs()
    np.save(path, table[["lvef"]].to_numpy() + np.zeros((1, 4)))
    path.with_suffix(".ids.txt").write_text("\n".join(table.ecg_id))
    path.with_suffix(".json").write_text('{"parameters": 95000000, "label": "Oracle, 95 M"}')
    return evaluate(workspace, ModelRegistry(workspace).active().model_id, Scope(vectors={"oracle": path}))


@pytest.fixture(scope="module")
def predictions(workspace, report):
    with np.load(
        workspace.folder / "reports" / report["model"]["id"] / "predictions.npz", allow_pickle=False
    ) as archive:
        return dict(archive)


@pytest.mark.slow
def test_the_report_on_disk_is_the_one_returned_and_holds_every_row(workspace, report):
    path = workspace.folder / "reports" / report["model"]["id"] / "report.json"
    assert json.loads(path.read_text()) == report
    rows = {row["key"]: row for row in report["rows"]}
    assert set(rows) == {
        "model.probe",
        "model.knn",
        "random.probe",
        "random.knn",
        "features.boosting",
        "oracle.probe",
        "oracle.knn",
    }
    assert (
        rows["model.probe"]["parameters"] == rows["random.knn"]["parameters"] > 100_000
        and rows["oracle.knn"]["parameters"] == 95_000_000
    )
    assert rows["oracle.knn"]["encoder"] == "Oracle, 95 M" and rows["features.boosting"]["parameters"] is None
    assert rows["model.knn"]["model_id"] == report["model"]["id"] and rows["random.knn"]["model_id"] is None
    assert rows["oracle.probe"]["results"]["lvef"]["mae"][0] < 0.5 < rows["model.probe"]["results"]["lvef"]["mae"][0]
    within = patients_with_an_ecg_within(7)
    assert 0 < within["test"] < PATIENTS["test"]  # the cohort has some whose ECGs lie months from their echo
    assert report["counts"]["patients"] == within["test"] and report["counts"]["train_patients"] == within["train"]
    assert report["within_days"] == 7 and 0 < report["days_apart"]["median"] < report["days_apart"]["most"] <= 7
    assert any("are left out: none lies within 7 days." in note for note in report["notes"])
    assert "Labels: the patient's echo nearest in time, at most 7 days apart." in summary_lines(report)[0]
    assert (
        report["cohorts"] == ["North", "South"]
        and report["chosen_cohorts"] == []
        and report["synthetic"]
        and report["workspace"] == fingerprint(workspace)
    )
    assert any(
        note.startswith(f"Small splits: {within['train']} training, {within['validation']} validation and")
        for note in report["notes"]
    )


def patients_with_an_ecg_within(days):
    """Patients a split, straight from the simulated cohort."""
    people, left, counts = shipped_cohort().people(), dict(PATIENTS), dict.fromkeys(PATIENTS, 0)
    for i in range(len(people)):
        split = people.split_of(i)
        if left[split]:
            left[split] -= 1
            patient = people.patient(i)
            gaps = [abs(e.time - datetime.combine(s.date, time())) for e in patient.ecgs[:2] for s in patient.studies]
            counts[split] += min(gaps) <= timedelta(days=days)
    return counts


def scores_of_scikit_learn(kind, target, predicted):
    """Every score of a task by another program; sensitivity and calibration error are worked out here."""
    if kind == "regression":
        return {
            "mae": metrics.mean_absolute_error(target, predicted),
            "rmse": metrics.root_mean_squared_error(target, predicted),
            "r2": metrics.r2_score(target, predicted),
        }
    if kind == "multiclass":
        target, guess = target.astype(int), predicted.argmax(axis=1)
        return {
            "accuracy": metrics.balanced_accuracy_score(target, guess),
            "f1": metrics.f1_score(target, guess, average="macro"),
            "auroc": np.mean([metrics.roc_auc_score(target == c, predicted[:, c]) for c in range(predicted.shape[1])]),
        }
    false_positive_rate, sensitivity, _ = metrics.roc_curve(target, predicted, drop_intermediate=False)
    bins = np.minimum((predicted * 10).astype(int), 9)
    gaps = [abs((target - predicted)[bins == b].sum()) for b in range(10)]
    return {
        "auroc": metrics.roc_auc_score(target, predicted),
        "auprc": metrics.average_precision_score(target, predicted),
        **{
            name: score(target, predicted > 0.5)
            for name, score in (
                ("accuracy", metrics.accuracy_score),
                ("balanced_accuracy", metrics.balanced_accuracy_score),
                ("f1", metrics.f1_score),
            )
        },
        "sensitivity_at_90_specificity": sensitivity[false_positive_rate <= 0.1 + 1e-9].max(),
        "calibration_error": sum(gaps) / len(target),
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_every_score_can_be_computed_again_from_the_stored_predictions(report, predictions):
    for row in report["rows"]:
        for task, found in row["results"].items():
            target, predicted = predictions[f"target/{task}"], predictions[f"{row['key']}/{task}"].astype(float)
            expected = scores_of_scikit_learn(report["tasks"][task]["kind"], target, predicted)
            if row["readout"] == "knn":
                expected.pop(
                    "calibration_error", None
                )  # shares of five lie on the limits of the bins, where float32 falls either way
            assert {name: found[name][0] for name in expected} == pytest.approx(expected, rel=1e-3, abs=1e-4), (
                row["key"],
                task,
            )
            assert all(low is None or low - 1e-6 <= high for _, low, high in found.values())
            if report["tasks"][task]["kind"] == "binary":
                assert report["tasks"][task]["positives"] == len(set(predictions["patients"][target == 1]))


@pytest.mark.slow
def test_the_calibration_curve_is_that_of_scikit_learn(report, predictions):
    for task, curves in report["curves"].items():
        observed, predicted = calibration_curve(
            predictions[f"target/{task}"], predictions[f"model.probe/{task}"].astype(float), n_bins=10
        )
        found = curves["model.probe"]["calibration"]
        assert found["observed"] == pytest.approx(observed, abs=1e-4) and found["predicted"] == pytest.approx(
            predicted, abs=1e-4
        )


@pytest.mark.slow
def test_the_coverage_is_the_share_of_measured_values_inside_the_shown_intervals(workspace, report):
    card = ModelRegistry(workspace).active()
    table = Catalog(workspace).labelled_ecgs().query("split == 'test'")
    readouts, stored = load_readouts(card.folder), load_vectors(workspace.vectors, "ecg", card.model_id)
    for row in report["intervals"]:
        known = table[table[row["phenotype"]].notna()]
        low, high = np.array(
            [readouts.estimate(row["phenotype"], e).interval for e in stored.rows(list(known.ecg_id))]
        ).T
        measured = known[row["phenotype"]].to_numpy(float)
        assert row["coverage"] == pytest.approx(np.mean((low <= measured) & (measured <= high)), abs=1e-6) and row[
            "n"
        ] == len(known)
        assert row["level"] == 0.9 and row["low"] <= row["coverage"] <= row["high"]
        shown = [readouts.estimate(row["phenotype"], e).value for e in stored.rows(list(known.ecg_id))]
        assert row["mae"] == pytest.approx(np.abs(np.array(shown) - measured).mean(), rel=1e-3, abs=1e-4)
        assert row["mae_low"] < row["mae"] < row["mae_high"]


@pytest.mark.slow
def test_every_subgroup_is_scored_on_its_own_patients(workspace, report, predictions):
    table = Catalog(workspace).labelled_ecgs().set_index("ecg_id").loc[predictions["ecg_ids"]]
    error = np.abs(predictions["model.probe/lvef"] - predictions["target/lvef"])
    found = {(g["group"], g["level"]): g for g in report["subgroups"]["lvef"]}
    age, odd = table.age_years.to_numpy(float), table.patient_id.str[1:].astype(int).to_numpy() % 2 == 1
    for group, level, inside in (
        ("sex", "Female", table.sex == "female"),
        ("sex", "Male", table.sex == "male"),
        ("age", "Under 50 y", age < 50),
        ("age", "50 to 69 y", (age >= 50) & (age < 70)),
        ("age", "70 y and over", age >= 70),
        ("device", "Cart A", odd),
        ("device", "Cart B", ~odd),
    ):
        patients = table.patient_id[np.asarray(inside)].nunique()
        assert ((group, level) in found) == (patients >= 5), (group, level, patients)  # however many ECGs they have
        if patients >= 5:
            value, low, high = found[group, level]["value"]
            assert value == pytest.approx(error[np.asarray(inside)].mean(), rel=1e-3) and low <= value <= high
            assert found[group, level]["patients"] == patients
    assert {("rhythm", "Sinus rhythm"), ("sex", "Female"), ("sex", "Male"), ("device", "Cart A")} <= set(found)


@pytest.mark.slow
def test_differences_are_paired_with_the_hand_made_features(report):
    rows = {row["key"]: row for row in report["rows"]}
    for task, found in report["differences"].items():
        for key, difference in found.items():
            metric = difference["metric"]
            expected = rows[key]["results"][task][metric][0] - rows["features.boosting"]["results"][task][metric][0]
            assert difference["reference"] == "features.boosting"
            assert difference["value"][0] == pytest.approx(expected, abs=1e-4 * max(1, abs(expected)))


@pytest.mark.slow
def test_curves_groups_retrieval_intervals_and_leakage_checks_are_there(report):
    binary = {name for name, task in report["tasks"].items() if task["kind"] == "binary"}
    assert set(report["curves"]) == binary and len(binary) >= 3
    assert {"roc", "calibration"} == set(report["curves"]["structural_heart_disease"]["model.probe"])
    groups = {(g["group"], g["level"]) for g in report["subgroups"]["lvef"]}
    assert {
        ("sex", "Female"),
        ("sex", "Male"),
        ("cohort", "North"),
        ("cohort", "South"),
        ("rhythm", "Sinus rhythm"),
    } <= groups
    retrieval = report["retrieval"]
    assert retrieval["candidates"] == report["counts"]["studies"] and 0 <= retrieval["ecg_to_study"]["recall@10"] <= 1
    assert {"ecg_to_study", "study_to_ecg"} == set(retrieval["by_phenotype"]["lvef"]) and retrieval[
        "top10_difference_ratio"
    ]["lvef"] > 0
    assert {row["phenotype"] for row in report["intervals"]} >= {"lvef", "ivsd"} and 0 <= report["outside"][
        "share"
    ] <= 1
    assert len(report["leakage"]) == 3 and all(check["ok"] for check in report["leakage"])
    assert (
        all(math.isfinite(v) for v in report["scatter"]["lvef"]["predicted"])
        and len(report["scatter"]["lvef"]["measured"]) == report["counts"]["ecgs"]
    )


@pytest.mark.slow
def test_several_cohorts_are_judged_together_and_each_alone(workspace, report, predictions):
    cohort_of = Catalog(workspace).labelled_ecgs().set_index("ecg_id").cohort
    inside = cohort_of[predictions["ecg_ids"]].to_numpy() == "North"
    findings = [
        name
        for name, parts in report["cohort_results"].items()
        if report["tasks"][name]["kind"] == "binary" and any(part["cohort"] == "North" for part in parts)
    ]
    assert findings, "no finding has enough of both classes among the test patients of North"
    for task, metric, score in (("lvef", "mae", mean_absolute_error), (findings[0], "auroc", roc_auc_score)):
        parts = {part["cohort"]: part for part in report["cohort_results"][task]}
        assert "North" in parts and set(parts["North"]["results"]) == {row["key"] for row in report["rows"]}
        for key, found in parts["North"]["results"].items():
            assert found[metric][0] == pytest.approx(
                score(predictions[f"target/{task}"][inside], predictions[f"{key}/{task}"][inside]), rel=1e-4
            )
    assert {part["cohort"] for part in report["cohort_results"]["lvef"]} == {"North", "South"}
    lines = summary_lines(report)
    assert "North alone" in lines and "South alone" in lines
    after = lines[lines.index("North alone") + 1 :]
    assert any(line.startswith("LV ejection fraction (%)") for line in after[: after.index("South alone")])


@pytest.mark.slow
def test_one_cohort_is_judged_alone_and_several_as_named(workspace):
    everyone = list(Catalog(workspace).ecgs().ecg_id)
    for cohorts, judged in (
        (["North"], {"North"}),
        (["South", "North"], {"North", "South"}),
        (None, {"North", "South"}),
    ):
        table, _ = labelled_table(workspace, everyone, cohorts, "test")
        assert set(table.cohort[table.role == "test"]) == judged == set(table.cohort[table.role == "train"])


@pytest.mark.slow
def test_validation_patients_are_evaluated_beside_the_test_patients(workspace, report):
    model_id = report["model"]["id"]
    judged = evaluate(workspace, model_id, Scope(split="validation"))
    for split, written in (("test", report), ("validation", judged)):
        read = load_report(workspace, model_id, split).data
        assert {key: value for key, value in read.items() if key not in ("page_readout", "ready", "readers")} == written
    within = patients_with_an_ecg_within(7)
    fifth = round(0.2 * within["train"])
    assert judged["split"] == "validation" and judged["counts"]["patients"] == within["validation"]
    assert {row["key"]: row["parameters"] for row in judged["rows"]}[
        "oracle.probe"
    ] == 95_000_000  # kept from the evaluation before
    assert judged["counts"]["train_patients"] + judged["counts"]["validation_patients"] == within["train"]
    assert [check["ok"] for check in judged["leakage"]] == [
        True,
        True,
        True,
        False,
    ] and "calibrated on validation patients" in judged["leakage"][3]["found"]
    assert any("a fifth of the training patients" in note for note in judged["notes"])
    assert any(
        note.startswith(
            f"Small splits: {within['train'] - fifth} training, {fifth} held-out training and {within['validation']} "
            "validation patients."
        )
        for note in judged["notes"]
    )
    assert any("too few labels (validation patients by class" in note for note in judged["notes"]) and not any(
        words in note for note in judged["notes"] for words in ("test ECGs", "test patients by")
    )
    with np.load(
        report_path(workspace, model_id, "validation").with_name("predictions.npz"), allow_pickle=False
    ) as archive:
        of_validation = Catalog(workspace).labelled_ecgs().query("split == 'validation'").ecg_id
        assert set(archive["ecg_ids"]) == set(of_validation)


@pytest.mark.slow
def test_the_terminal_table_names_every_row_and_says_what_is_small(report):
    lines = summary_lines(report)
    assert all(row["key"] in lines[1] for row in report["rows"])
    assert lines[2].startswith("Parameters") and lines[2].count("95.0\u202fM") == 2
    assert any(line.startswith("LV ejection fraction (%)") for line in lines) and any(
        "Small splits" in line for line in lines
    )


@pytest.mark.slow
def test_stored_predictions_of_a_row_can_be_compared_with_another_later(report, predictions):
    import pandas as pd

    test = Split(
        np.zeros((len(predictions["patients"]), 1)),
        pd.DataFrame({"lvef": predictions["target/lvef"]}),
        predictions["patients"],
    )
    rows: list[Row] = [
        row_of(key, "", {"lvef": predictions[f"{key}/lvef"].astype(float)}, test)
        for key in ("features.boosting", "model.probe")
    ]
    again = paired_differences(rows, "features.boosting.")["lvef"]["model.probe."]["value"]
    assert again == pytest.approx(report["differences"]["lvef"]["model.probe"]["value"], abs=1e-3)


@pytest.fixture(scope="module")
def catalog_only(tmp_path_factory):
    """A workspace of catalog rows without vectors or networks; all patients are test patients."""
    return small_workspace(tmp_path_factory.mktemp("small") / "workspace")


@pytest.mark.parametrize(
    "arguments, words",
    [
        (
            (["E-0001"], ["West"], "test"),
            "There is no cohort 'West' with labelled ECGs in this workspace; known: small.",
        ),
        ((["E-0001"], None, "train"), "There is no split 'train' to evaluate; known: test, validation."),
        ((["E-0001"], None, "test"), "There is no labelled ECG of train or validation patients to evaluate with."),
    ],
)
def test_what_cannot_be_evaluated_is_said_in_words(catalog_only, arguments, words):
    with pytest.raises(Echo2ECGError) as error:
        labelled_table(catalog_only, *arguments)
    assert error.value.message == words


@pytest.mark.slow
def test_an_external_cohort_is_judged_with_readouts_fitted_on_the_whole_workspace(tmp_path):
    place = small_workspace(tmp_path / "workspace")
    with place.connect() as db:
        db.execute("UPDATE patients SET split = 'train', cohort = 'home' WHERE patient_id < 'P-0015'")
        db.execute(
            "UPDATE patients SET split = 'validation', cohort = 'home' WHERE patient_id >= 'P-0015' AND patient_id < "
            "'P-0020'"
        )
        db.execute("UPDATE patients SET cohort = 'away' WHERE patient_id >= 'P-0030'")
    everyone = list(Catalog(place).ecgs().ecg_id)
    table, notes = labelled_table(place, everyone, ["away"], "test")
    assert table.role.value_counts().to_dict() == {"train": 15, "test": 10, "validation": 5}
    assert set(table.cohort[table.role == "test"]) == {"away"} and any(
        "of the whole workspace" in note for note in notes
    )
    table, notes = labelled_table(place, everyone, ["away", "home"], "test")
    assert (
        set(table.cohort[table.role == "test"]) == {"away"}
        and "Not judged, because without labelled ECGs of test patients: home." in notes
    )
    table, notes = labelled_table(place, everyone[:-1], None, "validation")
    assert (
        set(table.patient_id[table.role == "test"]) == {f"P-{i:04d}" for i in range(15, 20)}
        and (table.split != "test").all()
    )
    assert (table.role == "validation").sum() == 3 and any("fifth of the training patients" in note for note in notes)
    assert any("1 of 40 labelled ECGs could not be embedded" in note for note in notes)


@pytest.mark.slow
def test_ecgs_far_from_any_echo_or_without_a_date_are_counted_in_a_note(tmp_path):
    place = small_workspace(tmp_path / "workspace")
    with place.connect() as db:
        db.execute("UPDATE patients SET split = 'train' WHERE patient_id < 'P-0015'")
        db.execute("UPDATE patients SET split = 'validation' WHERE patient_id >= 'P-0015' AND patient_id < 'P-0020'")
        db.execute("UPDATE ecgs SET ecg_time = '2009-01-05T10:00:00+02:00' WHERE patient_id < 'P-0003'")
        db.execute("UPDATE ecgs SET ecg_time = NULL WHERE patient_id = 'P-0003'")
        db.execute("UPDATE studies SET study_date = '' WHERE patient_id = 'P-0030'")
    everyone = list(Catalog(place).ecgs().ecg_id)
    table, notes = labelled_table(place, everyone, None, "test")
    assert len(table) == 35 and table.days_apart.max() == 0
    assert (
        "5 of 40 ECGs of patients with an echo study are left out: none lies within 7 days (2 without a date on the "
        "ECG or the echo)." in notes
    )
    assert len(labelled_table(place, everyone, None, "test", within_days=9000)[0]) == 38


@pytest.fixture
def vectors_file(tmp_path):
    path = tmp_path / "other.npy"
    np.save(path, np.arange(12.0).reshape(4, 3))
    path.with_suffix(".ids.txt").write_text("E1\nE2\nE3\nE4\n")
    return path


def test_imported_vectors_come_in_the_order_asked_for_from_text_or_csv(vectors_file):
    np.testing.assert_array_equal(read_vectors(vectors_file).rows(["E3", "E1"]), [[6, 7, 8], [0, 1, 2]])
    vectors_file.with_suffix(".ids.txt").unlink()
    vectors_file.with_suffix(".ids.csv").write_text("ecg_id,site\nE4,a\nE3,b\nE2,c\nE1,d\n")
    np.testing.assert_array_equal(read_vectors(vectors_file).rows(["E3", "E1"]), [[3, 4, 5], [9, 10, 11]])


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda p: p.with_suffix(".ids.txt").unlink(), "There are no ids beside other.npy."),
        (
            lambda p: p.with_suffix(".ids.txt").write_text("E1\nE2\n"),
            r"one row of real numbers for each of 2 ids in other.npy, found float64 \(4, 3\)",
        ),
        (lambda p: p.with_suffix(".ids.txt").write_text("E1\nE1\nE3\nE4\n"), "has 4 ids, of which only 3 differ"),
        (
            lambda p: p.with_suffix(".ids.txt").write_text("E1\nX2\nX3\nX4\n"),
            "lacks 1 of the 2 ECGs that are evaluated",
        ),
        (lambda p: p.write_bytes(b"no array"), "cannot be read from other.npy"),
        (lambda p: np.save(p, np.full((4, 3), np.nan)), "holds numbers that are not finite"),
        (lambda p: np.save(p, np.array([["a"]] * 4)), "one row of real numbers for each of 4 ids"),
        (
            lambda p: np.save(p, np.ones((4, 3), complex)),
            "one row of real numbers for each of 4 ids in other.npy, found complex128",
        ),
        (lambda p: np.save(p, np.ones((4, 0))), "one row of real numbers for each of 4 ids"),
        (lambda p: p.write_bytes(b""), r"cannot be read from other.npy \(EOFError\)"),
        (lambda p: p.write_bytes(p.read_bytes()[:-40]), "cannot be read from other.npy"),
        (lambda p: p.write_bytes(b"PK\x03\x04 half a zip"), r"cannot be read from other.npy \(BadZipFile\)"),
        (lambda p: p.write_bytes(p.read_bytes().replace(b"}", b"{")), "cannot be read from other.npy"),
        (lambda p: np.savez(p.open("wb"), a=np.ones((4, 3))), "other.npy is an archive of arrays"),
        (lambda p: p.unlink(), "There is no file other.npy"),
    ],
)
def test_imported_vectors_that_do_not_fit_are_refused_in_words(vectors_file, spoil, words):
    spoil(vectors_file)
    with pytest.raises(Echo2ECGError, match=words):
        read_vectors(vectors_file).rows(["E3", "E1"])


def test_what_is_stated_beside_imported_vectors_is_taken_over_and_the_rest_stays_unknown(vectors_file):
    beside = vectors_file.with_suffix(".json")
    for text, label, n in (
        ("", "Imported: other", None),
        ('{"parameters": 95000000}', "Imported: other", 95_000_000),
        ('{"label": "Large ViT"}', "Large ViT", None),
        ('{"parameters": 7, "label": "Large ViT"}', "Large ViT", 7),
    ):
        beside.write_text(text) if text else None
        (encoder,), _ = all_imported(Workspace(vectors_file.parent / "workspace"), {"other": vectors_file}, ["E2"])
        assert (encoder.key, encoder.label, encoder.parameters, encoder.vectors.tolist()) == (
            "other",
            label,
            n,
            [[3, 4, 5]],
        )


@pytest.mark.parametrize(
    "text, words",
    [
        ("{half", "found no JSON"),
        ("[1]", "found list"),
        ('{"params": 5}', "found params"),
        ('{"parameters": "95 M"}', "found '95 M' parameters"),
        ('{"parameters": 0}', "found 0 parameters"),
        ('{"parameters": true}', "found True parameters"),
        ('{"parameters": 9.5}', "found 9.5 parameters"),
        ('{"label": " "}', "found the label ' '"),
        ('{"label": 3}', "found the label 3"),
    ],
)
def test_a_statement_that_cannot_be_read_is_refused_in_words(vectors_file, text, words):
    vectors_file.with_suffix(".json").write_text(text)
    with pytest.raises(Echo2ECGError, match=re.escape(words)) as error:
        read_vectors(vectors_file)
    assert "in other.json" in error.value.message


def test_an_imported_encoder_cannot_take_the_name_of_another_row(vectors_file):
    for name in ("model", "random", "features", "a.b", "../up"):
        with pytest.raises(Echo2ECGError, match=f"cannot be called '{name}'"):
            all_imported(Workspace(vectors_file.parent / "workspace"), {name: vectors_file}, ["E2"])


def test_an_imported_encoder_stands_in_every_later_evaluation_until_it_is_replaced(vectors_file, tmp_path):
    place = Workspace(tmp_path / "workspace")
    assert all_imported(place, {}, ["E2"]) == ([], [])
    vectors_file.with_suffix(".json").write_text('{"parameters": 7, "label": "Größe"}')
    for vectors in ({"other": vectors_file}, {}):
        (encoder,), notes = all_imported(place, vectors, ["E2"])
        assert (encoder.key, encoder.label, encoder.parameters, encoder.vectors.tolist()) == (
            "other",
            "Größe",
            7,
            [[3, 4, 5]],
        ) and not notes
    vectors_file.with_suffix(".json").unlink()
    np.save(vectors_file, np.zeros((4, 2)))
    all_imported(place, {"other": vectors_file}, ["E2"])
    vectors_file.unlink()
    (encoder,), _ = all_imported(place, {}, ["E4"])
    assert (encoder.label, encoder.parameters, encoder.vectors.tolist()) == ("Imported: other", None, [[0, 0]])


def test_a_kept_encoder_that_lacks_new_ecgs_is_left_out_with_the_reason(vectors_file, tmp_path):
    place = Workspace(tmp_path / "workspace")
    all_imported(place, {"other": vectors_file}, ["E2"])
    assert all_imported(place, {}, ["E2", "E9"]) == (
        [],
        ["The imported encoder other is left out: other.npz lacks 1 of the 2 ECGs that are evaluated."],
    )
    with pytest.raises(Echo2ECGError, match="lacks 1 of the 2 ECGs") as error:
        all_imported(place, {"other": vectors_file}, ["E2", "E9"])
    assert "The first is E9." in error.value.hint


@pytest.mark.parametrize(
    "damage",
    [
        lambda p: p.write_bytes(b""),
        lambda p: p.write_bytes(p.read_bytes()[:-40]),
        lambda p: p.write_bytes(b"PK\x03\x04 half a zip"),
        lambda p: np.savez(p, vectors=np.ones((4, 3))),
        lambda p: np.save(p.open("wb"), np.ones((4, 3))),
        lambda p: np.savez(p, vectors=np.ones((4, 3)), ids=np.array(["E2"]), stated=np.array("{}")),
        lambda p: np.savez(p, vectors=np.ones((1, 3)), ids=np.array(["E2"]), stated=np.array('{"parameters": 0}')),
        lambda p: p.rename(p.with_name("model.npz")),
        lambda p: p.write_bytes(bytes(b ^ 255 if i % 7 == 5 else b for i, b in enumerate(p.read_bytes()))),
    ],
)
def test_a_damaged_kept_encoder_is_left_out_with_a_note_and_the_others_stand(vectors_file, tmp_path, damage):
    place = Workspace(tmp_path / "workspace")
    all_imported(place, {"other": vectors_file, "sound": vectors_file}, ["E2"])
    damage(place.folder / "encoders" / "other.npz")
    encoders, (note,) = all_imported(place, {}, ["E2"])
    assert (
        [encoder.key for encoder in encoders] == ["sound"]
        and note.startswith("The imported encoder ")
        and "is left out: " in note
    )
    again, notes = all_imported(place, {"other": vectors_file}, ["E2"])
    assert {"other", "sound"} == {encoder.key for encoder in again} and all("model" in note for note in notes)


def test_what_is_kept_of_an_encoder_is_one_file_so_that_vectors_never_stand_beside_the_ids_of_others(
    vectors_file, tmp_path
):
    all_imported(Workspace(tmp_path / "workspace"), {"other": vectors_file}, ["E2"])
    assert [path.name for path in (tmp_path / "workspace" / "encoders").iterdir()] == ["other.npz"]


def test_vectors_that_do_not_fit_are_not_kept(vectors_file, tmp_path):
    place = Workspace(tmp_path / "workspace")
    with pytest.raises(Echo2ECGError, match="lacks 1 of the 1 ECGs"):
        all_imported(place, {"other": vectors_file}, ["E9"])
    assert not (place.folder / "encoders").exists()


def test_vectors_arguments_are_names_with_files():
    assert {name: str(path) for name, path in named_files(["otis=a/b.npy", "other=c=d.npy"]).items()} == {
        "otis": "a/b.npy",
        "other": "c=d.npy",
    }
    for bad in (["otis"], ["=a.npy"], ["otis="], ["otis=a.npy", "otis=b.npy"]):
        with pytest.raises(Echo2ECGError, match="Expected NAME=FILE.npy"):
            named_files(bad)


def in_terminal(monkeypatch, capsys, *arguments):
    """Runs a command in this process; gives exit status, standard output and standard error."""
    monkeypatch.setattr(sys, "argv", ["echo2ecg_core", *map(str, arguments)])
    try:
        main()
        return 0, *capsys.readouterr()
    except SystemExit as exit:
        return exit.code or 0, *capsys.readouterr()


def test_an_unknown_model_ends_the_command_with_one_sentence(catalog_only, monkeypatch, capsys):
    status, out, error = in_terminal(
        monkeypatch, capsys, "evaluate", "--model", "none", "--workspace", catalog_only.folder
    )
    assert status == 2 and not out and "No single model has the id 'none'" in error and "Traceback" not in error


@pytest.mark.slow
def test_command_and_job_tell_what_the_workflow_found(workspace, report, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr("echo2ecg_core.reports.compare.evaluate", lambda *a, **_: asked.append(a[1:3]) or report)
    command = [
        "evaluate",
        "--model",
        "4caf",
        "--cohort",
        "North",
        "--cohort",
        "South",
        "--vectors",
        "otis=o.npy",
        "--workspace",
        workspace.folder,
    ]
    status, out, _ = in_terminal(monkeypatch, capsys, *command, "--json")
    assert (
        status == 0
        and json.loads(out) == report
        and asked[0] == ("4caf", Scope(["North", "South"], "test", None, {"otis": Path("o.npy")}))
    )
    assert in_terminal(monkeypatch, capsys, *command)[1].splitlines() == summary_lines(report)
    sentence = workflow_of("evaluate")(workspace, {"model": "4caf", "job_id": 1}, lambda share, message: None)
    assert sentence == f"The report of {report['model']['name']} {report['model']['id']} on 20 test patients is ready."
