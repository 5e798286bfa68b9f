"""Runs as their folders tell: while they are written, after they failed, beside each other."""

import json

import pytest

from echo2ecg_core.errors import StoreError
from echo2ecg_core.store import jobs
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.training import runs
from tests.training_runs import made_run

MODEL = {
    "name": "run-0002",
    "sha256": "ab" * 32,
    "synthetic": True,
    "test": {"phenotypes": {"lvef": {"auroc_reduced": 0.87, "auroc_reduced_interval": [0.81, 0.92]}}},
}


@pytest.fixture
def place(tmp_path):
    return Workspace(tmp_path)


def test_an_empty_workspace_has_no_runs(place):
    assert runs.runs(place) == [] and list(runs.list_runs(place).columns) == list(runs.COLUMNS) and not place.exists()


def test_a_row_tells_state_setting_epochs_recall_time_and_model(place):
    made_run(place, chosen={"seed": 5}, done=10, state="done", model=MODEL)
    made_run(place, preset="demo", chosen={"pooling": "single_view", "batch_size": 512, "within_days": 1.0}, done=4)
    running, done = runs.list_runs(place, "abababab").to_dict("records")
    assert (done["run"], done["state"], done["setting"]) == ("run-0001", "done", "Paper, attention pooling, seed 5")
    assert (done["epoch"], done["epochs"], done["time_s"]) == (10, 10, 600.0) and done["recall_at_10"] == pytest.approx(
        0.459, abs=1e-3
    )
    assert (done["auroc"], done["auroc_low"], done["auroc_high"], done["model_id"], done["active"]) == (
        0.87,
        0.81,
        0.92,
        "abababab",
        True,
    )
    assert (running["state"], running["setting"]) == ("running", "Demo, single view, batch 512, ± 1 days, seed 7")
    assert (running["epoch"], running["model_id"], running["active"]) == (4, None, False)


def test_a_report_is_believed_before_the_manifest(place):
    made_run(place, done=10, state="done", model=MODEL)
    report = {
        "tasks": {"sex": {"phenotype": None, "kind": "binary"}, "lvef40": {"phenotype": "lvef", "kind": "binary"}},
        "rows": [
            {"kind": "random", "readout": "probe", "results": {}},
            {"kind": "model", "readout": "probe", "results": {"lvef40": {"auroc": [0.91, 0.90, 0.92]}}},
        ],
    }
    folder = place.folder / "reports" / "abababab"
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(report))
    assert runs.list_runs(place)["auroc"][0] == 0.91
    (folder / "report.json").write_text("{half")
    assert runs.list_runs(place)["auroc"][0] == 0.87


def test_a_half_written_last_line_is_left_out_until_it_is_whole(place):
    found = runs.run(place, made_run(place, done=3))
    path = found.folder / "metrics.jsonl"
    whole = len(runs.read_metrics(found))
    with open(path, "a") as file:
        file.write('{"kind": "epoch", "epoch": 4, "lo')
    assert len(runs.read_metrics(found)) == whole
    with open(path, "a") as file:
        file.write('ss": 1.0}\n')
    assert runs.read_metrics(found).epoch.iloc[-1] == 4


def test_a_waiting_run_has_no_folder_yet_and_a_broken_one_is_still_listed(place):
    made_run(place, state="queued", chosen={"seed": 3})
    (place.folder / "runs" / "run-0009").mkdir(parents=True)
    (place.folder / "runs" / "run-0009" / "settings.json").write_text("{")
    (place.folder / "runs" / "run-0009" / "metrics.jsonl").write_bytes(b"\xff\xfe\n[1]\n")
    broken, waiting = runs.list_runs(place).to_dict("records")
    assert (waiting["state"], waiting["setting"], waiting["epoch"]) == ("queued", "Paper, seed 3, attention pooling", 0)
    assert (broken["run"], broken["state"]) == ("run-0009", "cancelled")


def test_a_failed_run_says_why_in_its_row(place):
    made_run(
        place,
        chosen={"batch_size": 4096},
        done=0,
        state="failed",
        message="The GPU memory is full. Start again with 2,048.",
    )
    assert (
        runs.list_runs(place)["setting"][0]
        == "Paper, attention pooling, batch 4,096, seed 7: The GPU memory is full. Start again with 2,048."
    )


def test_runs_side_by_side_show_what_differs_and_what_came_out(place):
    names = [
        made_run(place, chosen=chosen, done=5, state="done")
        for chosen in ({"seed": 5}, {"batch_size": 64, "pooling": "mean"})
    ]
    table = runs.compare(place, names)
    assert list(table.columns) == names
    assert set(table.index) - set(runs.RESULTS.values()) == {"seed", "batch_size", "pooling", "spec.study.pooling"}
    assert table.loc["batch_size"].tolist() == [256, 64] and table.loc["recall at 10", names[0]] == pytest.approx(
        0.357, abs=1e-3
    )


def test_words_of_several_runs_begin_with_what_differs():
    settings = [{"preset": "demo", "set": {"lr": rate, "batch_size": 16}, "parameters": {"seed": 7}} for rate in (1, 2)]
    both = "demo, attention pooling, batch 16, seed 7"
    assert runs.differing_first(settings) == [f"Rate 1, {both}", f"Rate 2, {both}"]
    assert runs.differing_first(settings, alone=True) == ["Rate 1", "Rate 2"]
    assert runs.differing_first(settings[:1] * 2, alone=True) == runs.differing_first(settings[:1]) * 2


def test_the_log_is_the_runs_own_or_that_of_its_job(place):
    name = made_run(place, done=3)
    assert runs.log_tail(place, runs.run(place, name), 2) == "08:02 epoch 2 of 10\n08:03 epoch 3 of 10"
    (place.folder / "runs" / name / "log.txt").unlink()
    assert runs.log_tail(place, runs.run(place, name)) == ""
    place.logs.mkdir()
    jobs.log_path(place, 1).write_text("train begins\n")
    assert runs.log_tail(place, runs.run(place, name)) == "train begins"


def test_a_stopped_run_is_resumed_under_its_name(place):
    name = made_run(place, done=3, state="cancelled")
    runs.resume(place, name)
    assert runs.run(place, name).state == "queued" and len(runs.runs(place)) == 1
    with pytest.raises(StoreError, match="There is no run 'run-0077'"):
        runs.resume(place, "run-0077")


@pytest.mark.slow
def test_reading_runs_needs_no_torch():
    import subprocess
    import sys

    code = "import sys, echo2ecg_core.training.runs, echo2ecg_core.answers.readiness; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
