"""The Training page: the form and its plan, a run in every state, the table and what its buttons do. No networks are
loaded."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from echo2ecg_core.errors import StoreError
from echo2ecg_core.reports.folder import Print
from echo2ecg_core.store import jobs
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelRegistry
from echo2ecg_core.training import train
from echo2ecg_core.training.train import TrainingPlan
from pages.ui import admin_gate, resources
from pages.ui.training import panels as training_panels
from pages.ui.training import runs_table
from tests.training_runs import made_run

ROOT = Path(__file__).resolve().parents[2]
PLAN = TrainingPlan(118420, 39060, 15180, 4980, 23100, 9600.0, 6_000_000_000, ("A note.",))


@pytest.fixture
def place(tmp_path, monkeypatch):
    place = Workspace(tmp_path / "w")
    with place.connect():
        pass
    monkeypatch.setattr(admin_gate, "is_local", lambda peer, headers: True)
    monkeypatch.setattr(resources, "workspace", lambda: place)
    monkeypatch.setattr(jobs, "start_worker", lambda workspace: None)
    monkeypatch.setattr(train, "plan_training", lambda workspace, preset, overrides: PLAN)
    return place


@pytest.fixture
def curves(monkeypatch):
    """What the page hands to the component that shows the curves."""
    shown = []
    monkeypatch.setattr(training_panels, "show_curves", lambda figures: shown.append(figures))
    return shown


@pytest.fixture
def page():
    return AppTest.from_file(ROOT / "pages" / "training.py", default_timeout=30)


def words(page: AppTest) -> str:
    parts = [e.value for kind in (page.markdown, page.caption, page.error, page.info, page.warning) for e in kind]
    return "\n".join([*parts, *(str(h.proto.body) for h in page.get("html"))])


def button(page: AppTest, label: str):
    return next(b for b in page.button if b.label == label)


def test_without_a_run_the_form_tells_what_one_takes_before_it_starts(page, place):
    page.run()
    assert not page.exception and "No run yet." in words(page)
    assert "<b>118,420 pairs</b> of 39,060 patients · split by patient" in words(page)
    assert (
        "validation 15,180 pairs, 4,980 patients" in words(page)
        and "2\u202fh 40\u202fmin" in words(page)
        and "6.0\u202fGB" in words(page)
    )
    assert "Disk free" in words(page) and not button(page, "Start run").disabled


def test_start_queues_what_differs_from_the_preset(page, place):
    page.run()
    page.button_group(key="train_preset").set_value("paper").run()
    assert page.number_input(key="train_batch_size").value == 256 and page.number_input(key="train_epochs").value == 50
    page.number_input(key="train_batch_size").set_value(64)
    page.selectbox(key="train_pooling").set_value("single_view")
    page.selectbox(key="train_heat").set_value((0.07, True))
    page.checkbox(key="train_own_patient_apart").check().run()
    button(page, "Start run").click().run()
    assert not page.exception
    (job,) = jobs.jobs(place)
    assert job.kind == "train" and job.parameters == {
        "preset": "paper",
        "name": "",
        "set": {
            "batch_size": 64,
            "pooling": "single_view",
            "temperature": 0.07,
            "learnable_temperature": True,
            "same_patient_negatives": False,
        },
    }
    assert "run-0001" in words(page)


def test_what_cannot_be_trained_is_said_and_start_is_closed(page, place, monkeypatch):
    def nothing(workspace, preset, overrides):
        raise StoreError("The workspace has 0 ECGs and 0 studies; training needs both.", "Import an archive first.")

    monkeypatch.setattr(train, "plan_training", nothing)
    page.run()
    page.number_input(key="train_epochs").set_value(17).run()
    assert "Import an archive first." in page.warning[0].value and button(page, "Start run").disabled


def test_a_running_run_shows_progress_curves_machine_and_queue(page, place, curves):
    made_run(place, gpu=True, done=4, at=datetime.now(UTC) - timedelta(minutes=4))
    jobs.queue(place, "evaluate", {"model": "x"})
    page.run()
    assert not page.exception and not page.error
    text = words(page)
    assert "Epoch <b>5</b> of 10 · 45\u202f%" in text and "<b>6\u202fmin left</b>" in text and "Running" in text
    assert (
        "<b>94\u202f%</b>" in text
        and "<b>31</b> of 139\u202fGB" in text
        and "<b>618</b> pairs/s" in text
        and "1 waiting: evaluating" in text
    )
    loss, recall, rate, norm = curves[-1]
    assert "Contrastive loss" in loss and "validation <b>4.60</b>" in loss and loss.count('class="curve') == 2
    assert "0.32</b> best, epoch 4 · chance 0.02, 500 studies" in recall and 'class="level"' in recall
    assert "Learning rate, 10⁻⁴" in rate and "Gradient norm" in norm
    assert [b.label for b in page.button if b.label in ("Stop", "Resume")] == [
        "Stop",
        "Resume",
    ]  # the Resume of the table


@pytest.mark.parametrize(("preset", "marks"), [("demo", 1), ("paper", 0)])
def test_a_run_on_simulated_hearts_is_marked(page, place, curves, preset, marks):
    made_run(place, preset=preset, done=2)
    page.run()
    assert not page.exception and words(page).count("Synthetic]") == marks


def test_the_sidebar_tells_the_time_that_the_page_tells(place, curves):
    made_run(place, done=4, at=datetime.now(UTC) - timedelta(minutes=4))
    frame = AppTest.from_file(ROOT / "app.py", default_timeout=30).run()
    assert "6\u202fmin left" in frame.sidebar.get("progress")[0].proto.text


def test_a_learnt_temperature_has_a_curve_of_its_own(page, place, curves):
    name = made_run(place, chosen={"learnable_temperature": True}, done=3)
    path = place.folder / "runs" / name / "settings.json"
    settings = json.loads(path.read_text())
    settings["spec"]["learnable_temperature"] = True
    path.write_text(json.dumps(settings))
    page.run()
    assert len(curves[-1]) == 5 and "Temperature" in curves[-1][4]


def test_a_masked_run_shows_nothing_about_a_search(page, place, curves):
    folder = place.folder / "runs" / made_run(place, done=3)
    settings = json.loads((folder / "settings.json").read_text())
    settings["parameters"]["objective"] = "masked"
    (folder / "settings.json").write_text(json.dumps(settings))
    only_contrasts_have = ("recall@1", "recall@5", "recall@10", "median_rank", "candidates", "temperature")
    entries = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    (folder / "metrics.jsonl").write_text(
        "".join(json.dumps({k: v for k, v in e.items() if k not in only_contrasts_have}) + "\n" for e in entries)
    )
    page.run()
    loss, rate, norm = curves[-1]
    assert not page.exception and "Masked loss" in loss and "Learning rate" in rate and "Gradient norm" in norm
    machine = words(page)[words(page).index("e2e-machine") :]
    assert "Throughput" in machine and "Temperature" not in machine


@pytest.mark.slow
def test_stop_cancels_the_run_and_keeps_it_for_resume(page, place, curves):
    made_run(place, done=4)
    page.run()
    button(page, "Stop").click().run()
    assert jobs.jobs(place)[0].state == "cancelled" and "Stopping" in words(page)
    jobs.finish(place, 1, "cancelled", "")
    page.run()
    assert "Stopped by a person." in page.warning[0].value
    button(page, "Resume").click().run()
    assert jobs.jobs(place)[0].state == "queued" and jobs.jobs(place)[0].job_id == 1 and "Waiting" in words(page)


def test_a_failed_run_states_cause_and_remedy(page, place, curves):
    made_run(
        place,
        chosen={"batch_size": 4096},
        done=0,
        state="failed",
        message="The GPU memory is full. Start again with a batch of 2,048 pairs or less.",
    )
    page.run()
    assert not page.exception and "Start again with a batch of 2,048 pairs or less." in page.warning[0].value.replace(
        "\\", ""
    )
    assert "Failed" in words(page) and sum("batch of 2,048" in html.proto.body for html in page.get("html")) == 0


def test_a_learning_rate_has_a_power_of_ten_once_there_is_one():
    none, some = (training_panels._learning_rate(rates, 40.0) for rates in (([], []), ([1.0, 2.0], [1e-4, 5e-4])))
    assert "10⁻⁴" in some and ">5.0<" in some
    assert "10⁻" not in none and ">10000<" not in none and ">1.0<" in none


def test_the_table_lists_runs_newest_first_with_what_came_out(page, place, curves):
    made_run(
        place,
        chosen={"seed": 5},
        done=10,
        state="done",
        model={
            "sha256": "ab" * 32,
            "test": {"phenotypes": {"lvef": {"auroc_reduced": 0.87, "auroc_reduced_interval": [0.81, 0.92]}}},
        },
    )
    made_run(place, done=4)
    page.run()
    table = page.dataframe[0].value
    assert table.Run.tolist() == ["run-0002", "run-0001"] and table.State.tolist() == ["Running", "Done"]
    assert table.Epoch.tolist() == ["4 / 10", "10 / 10"] and table["AUROC LVEF ≤40"].tolist() == [
        "–",
        "0.87 (0.81–0.92)",
    ]
    assert table.Time.tolist() == ["4\u202fmin", "10\u202fmin"] and table.Started.tolist()[1].startswith("2 Jan 2030")
    assert [button(page, name).disabled for name in ("Compare", "Clone", "Promote")] == [True, True, True]


def test_a_note_is_kept_with_its_run_and_stands_in_the_table(page, place, curves):
    from echo2ecg_core.training import runs

    made_run(place, done=4)
    found = runs.run(place, "run-0001")
    runs.write_note(found, "  Warm start,\nlooks promising ")
    page.run()
    assert page.dataframe[0].value.Note.tolist() == ["Warm start, looks promising"]
    assert runs.note(found) == "Warm start,\nlooks promising"
    with pytest.raises(StoreError, match="at most 2000 characters, found 2001"):
        runs.write_note(found, "x" * 2001)


def test_curves_of_runs_lie_over_one_another_each_with_its_own_epochs(place):
    from pages.ui.training.compare import curves_file, run_curves

    made_run(place, chosen={"seed": 5}, done=10, state="done")
    made_run(place, done=4)
    first, second = run_curves(place, ["run-0001", "run-0002"])
    assert (first.label, second.label) == ("run-0001: Seed 5", "run-0002: Seed 7")
    assert first.curves["loss"] == (list(range(1, 11)), pytest.approx([4 + 2 / epoch for epoch in range(1, 11)]))
    assert second.curves["recall@10"][0] == [1, 2, 3, 4]
    file = curves_file(place, [first, second], "svg", Print("double"))
    assert b"run-0001, run-0002, workspace" in file and b"Research use only" in file


def test_runs_side_by_side_are_named_in_words_and_a_setting_stands_once(place):
    from echo2ecg_core.training import runs
    from pages.ui.training.compare import side_by_side

    names = [
        made_run(place, chosen=chosen, done=5, state="done") for chosen in ({"batch_size": 64}, {"pooling": "mean"})
    ]
    html = side_by_side(runs.compare(place, names))
    assert "<th scope='row'>Batch, pairs</th><td class=num>64</td><td class=num>256</td>" in html
    assert "<th scope='row'>Recall at 10</th><td class=num>0.36</td>" in html and html.count("Studies pooled by") == 1
    assert "_" not in html and "spec" not in html


def test_clone_puts_a_runs_settings_into_the_form(page, place, curves):
    name = made_run(
        place, preset="paper", chosen={"batch_size": 512, "pooling": "mean", "seed": 3}, done=2, state="done"
    )
    page.session_state[runs_table._CLONED] = name
    page.run()
    assert (page.number_input(key="train_batch_size").value, page.number_input(key="train_seed").value) == (512, 3)
    assert (
        page.selectbox(key="train_pooling").value == "mean" and page.button_group(key="train_preset").value == "paper"
    )


def test_a_cloned_run_keeps_what_only_a_terminal_can_set(page, place, curves):
    name = made_run(
        place, preset="paper", chosen={"accumulate": "4", "view_dropout": "0.5", "seed": "3"}, done=2, state="done"
    )
    page.session_state[runs_table._CLONED] = name
    page.run()
    assert page.slider(key="train_view_dropout").value == 0.5
    button(page, "Start run").click().run()
    assert not page.exception
    started = next(job for job in jobs.jobs(place) if job.kind == "train" and job.state == "queued")
    assert started.parameters["set"] == {"accumulate": "4", "view_dropout": 0.5, "seed": 3}


@pytest.mark.parametrize(
    ("preset", "chosen"),
    [
        (
            "paper",
            {"view_dropout": 0.95, "within_days": 180.0, "lr": 2.0, "batch_size": 1, "epochs": 20_000, "seed": 2**40},
        ),
        ("demo", {"patients": 200_000}),
        ("demo", {"patients": 0, "within_days": 0.0}),
    ],
)
def test_a_cloned_run_beyond_the_usual_range_of_a_field_keeps_its_values_and_they_can_be_changed(
    page, place, curves, preset, chosen
):
    name = made_run(
        place, preset=preset, chosen={key: str(value) for key, value in chosen.items()}, done=2, state="done"
    )
    page.session_state[runs_table._CLONED] = name
    page.run()
    page.number_input(key="train_seed").set_value(11).run()
    page.slider(key="train_view_dropout").set_value(0.3).run()
    button(page, "Start run").click().run()
    assert not page.exception
    started = next(job for job in jobs.jobs(place) if job.kind == "train" and job.state == "queued")
    assert started.parameters["set"] == chosen | {"seed": 11, "view_dropout": 0.3}


def test_an_endless_distance_in_days_can_be_cloned(page, place, curves):
    page.session_state[runs_table._CLONED] = made_run(place, chosen={"within_days": "inf"}, done=2, state="done")
    page.run()
    assert not page.exception and page.slider(key="train_within_days").value == 36500


def test_the_plan_is_made_anew_for_a_written_catalogue_another_active_model_or_another_clip_encoder(
    page, place, curves, monkeypatch
):
    from tests.small_workspace import register_model

    asked = []
    monkeypatch.setattr(train, "plan_training", lambda workspace, preset, overrides: asked.append(overrides) or PLAN)
    Catalog(place).add_patient("P", split="train", cohort="c", synthetic=False)
    Catalog(place).add_study("S", "P", study_date="2030-01-01")
    page.run()
    page.run()
    assert asked == [{}]
    register_model(place)
    page.run()
    assert asked == [{}, {}]
    with place.write() as db:  # a corrected date leaves all counts as they are, and makes other pairs
        db.execute("UPDATE studies SET study_date = '2030-01-02'")
    page.run()
    assert asked == [{}] * 3
    page.session_state[runs_table._CLONED] = made_run(
        place, preset="demo", chosen={"clip_encoder": "new", "bodies": "2"}, done=0, state="done"
    )
    page.run()
    assert asked[-1] == {"clip_encoder": "new", "bodies": "2"}


def test_a_damaged_model_is_no_start_and_leaves_the_page_whole(page, place):
    from tests.small_workspace import MODEL_ID, register_model

    register_model(place)
    (place.models / MODEL_ID / "manifest.json").write_text("{half")
    page.run()
    assert not page.exception and page.selectbox(key="train_start_from").options == ["Random weights"]


def test_half_written_metrics_and_settings_do_not_break_the_page(page, place, curves):
    name = made_run(place, done=2)
    folder = place.folder / "runs" / name
    (folder / "settings.json").write_text('{"preset": "pa')
    (folder / "metrics.jsonl").write_text('{"kind": "step", "epoch": 0.5, "loss": 5.0')
    page.run()
    assert not page.exception and len(curves[-1]) == 4


def promoting():
    import streamlit as st

    from pages.ui import resources
    from pages.ui.models import actions as model_actions

    model_actions.promote(resources.workspace(), st.session_state["new"])


@pytest.mark.slow
def test_promoting_names_old_and_new_and_asks_for_preparing_first(place, tmp_path):
    from tests.small_workspace import register_model
    from tests.untrained_model import untrained_model

    register_model(place)
    card = ModelRegistry(place).register(untrained_model(tmp_path / "untrained"))
    app = AppTest.from_function(promoting, default_timeout=30)
    app.session_state["new"] = card.model_id
    app.run()
    assert f"New: **untrained** `{card.model_id}`" in words(app) and "Now active: **small**" in words(app)
    button(app, "Promote").click().run()
    assert not app.exception and ModelRegistry(place).active().model_id == card.model_id
    with place.connect() as db:
        db.execute("INSERT INTO patients VALUES ('P', NULL, 'test', 'c', 1)")
        db.execute("INSERT INTO ecgs VALUES ('E', 'P', NULL, 500, 10, 'x', 'y', 'z', NULL)")
    app.run()
    assert "no vectors of 1 of 1 ECGs" in words(app)
    button(app, "Prepare").click().run()
    assert [(j.kind, j.parameters) for j in jobs.jobs(place)] == [("prepare", {"model": card.model_id})]


@pytest.mark.slow
def test_the_page_imports_no_torch(tmp_path):
    code = (
        "import sys; from streamlit.testing.v1 import AppTest; from pages.ui import admin_gate; admin_gate.is_local = "
        "lambda p, h: True\n"
        "app = AppTest.from_file('pages/training.py', default_timeout=60).run(); assert not app.exception, "
        "app.exception\nsys.exit('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"ECHO2ECG_WORKSPACE": str(tmp_path), "PATH": "", "PYTHONPATH": "."},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()[-800:]
