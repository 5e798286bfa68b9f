"""The runner of the claim, whole and tiny: every stage, arm and table; what is there is kept, what is spent counted."""

import json
import shutil
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from benchmarks.claim import __main__ as claim
from benchmarks.claim import cohorts, ledger, measures, tables, training
from benchmarks.claim.plan import ARMS, FEATURES, LABELS, PRIMARY, Point, Recipe, full_plan, small_plan
from echo2ecg_core.models.specs import EcgEncoderSpec
from echo2ecg_core.training.settings import training_settings
from echo2ecg_core.training.single_clip_encoder import SingleClipTraining

RESULTS = Path(claim.__file__).parents[1] / "results" / "claim-2"
TINY = replace(
    small_plan(2),
    patients={"train": 14, "validation": 5, "test": 7},
    clips=2,
    shard=14,
    encoder_clips=1,
    encoder=SingleClipTraining(epochs=1, batch_size=14),
    ecg_encoder=EcgEncoderSpec(width=16, depth=1, heads=2, patch=84),
    width=32,
    start_epochs=1,
    arm_epochs=1,
    batch_size=6,
    points=(Point(7), Point(7, "best"), Point(7, "poorest")),
    resamples=40,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A whole run in this process, in two starts."""
    folder = tmp_path_factory.mktemp("claim")
    claim.run(TINY, folder, 1, until="recipe")
    assert not (folder / "arms").exists()
    claim.run(TINY, folder, 1)
    return folder


@pytest.fixture(scope="module")
def result(folder):
    return json.loads((folder / "result.json").read_text())


@pytest.mark.slow
def test_every_stage_arm_and_table_is_there(folder, result):
    assert [path.stem for path in sorted((folder / "tables").iterdir())] == sorted(
        ["summary", "primary", "secondary", "curves", "recipe", "views", "time"]
    )
    summary = (folder / "tables" / "summary.md").read_text()
    assert all(f"| {LABELS[arm]} | " in summary for arm in (*ARMS, FEATURES))
    assert result["seeds"] == {**dict.fromkeys(ARMS, 2), FEATURES: 1}
    assert [(row["arm"], row["endpoint"]) for row in result["primary"]] == list(PRIMARY)
    assert [(row["patients"], row["quality"]) for row in result["curves"]] == [
        (7, "any"),
        (7, "best"),
        (7, "poorest"),
    ]
    assert result["verdict"] == "undecided: fewer than 3 seeds"
    test_views = cohorts.load_part(folder, "test").view
    assert result["clip_encoder"]["commonest_view"] == max(np.mean(test_views == view) for view in test_views)
    seconds = result["seconds"]
    assert {stage.name for stage in claim.STAGES[:-1]} <= set(seconds) and seconds["clips"] >= 1


@pytest.mark.slow
def test_a_run_goes_on_with_the_small_files_of_another(folder, tmp_path):
    for name in ("plan.json", "ledger.jsonl", "patients", "clip-encoder.safetensors", "start.safetensors", "recipe"):
        copy = shutil.copytree if (folder / name).is_dir() else shutil.copyfile
        copy(folder / name, tmp_path / name)
    own = tmp_path / "own"
    (own / "patients").mkdir(parents=True)
    (own / "patients" / "test.json").write_text("[7]")
    claim.take_over(tmp_path, own)
    lines = {line[:13].strip(): line.split() for line in claim.status(TINY, own).splitlines()}
    done = {stage: words[-5:-2] for stage, words in lines.items()}
    assert done["start"] == ["1", "of", "1"] and done["clip encoder"] == ["1", "of", "1"]
    assert done["recipe"][0] == done["recipe"][2] and done["clips"][0] == "0"
    assert training.chosen_recipe(TINY, own) == training.chosen_recipe(TINY, folder)
    assert (own / "patients" / "test.json").read_text() == "[7]", "what is there is kept"
    with ledger.only_runner(own, TINY):
        pass


@pytest.mark.slow
def test_status_counts_tasks_and_the_budgets(folder):
    lines = claim.status(TINY, folder).splitlines()
    assert lines[0].split()[:4] == ["patients", "3", "of", "3"]
    assert next(line for line in lines if line.startswith("arms")).split()[1:4] == ["12", "of", "12"]
    assert lines[-3].split() == ["tables", "made"]
    arms, curves = (ledger.spent(folder, claim.STAGES, budget) for budget in ("arms", "curves"))
    assert curves > 0 and arms > 0 and arms + curves < sum(ledger.seconds_by_stage(folder).values())
    assert lines[-2] == f"budget of the arms: {arms:.0f} of 1500 s are spent"
    assert lines[-1] == f"budget of the curves: {curves:.0f} of 500 s are spent"


@pytest.mark.slow
def test_what_is_there_is_kept_and_what_is_lost_comes_back_as_it_was(folder):
    lost, kept = folder / "arms" / "mean-1" / "vectors.npz", folder / "arms" / "mean-0" / "vectors.npz"
    before, of_kept = ledger.load_arrays(lost), kept.stat().st_mtime_ns
    lost.unlink()
    (lost.parent / "network.safetensors").unlink()
    claim.run(TINY, folder, 1, until="arms")
    assert kept.stat().st_mtime_ns == of_kept
    after = ledger.load_arrays(lost)
    assert before.keys() == after.keys() and all(np.array_equal(before[key], after[key]) for key in before)


@pytest.mark.slow
def test_the_figures_are_those_of_the_vectors_and_labels(folder, result):
    """Both primary endpoints once more, by hand and by the published measure of retrieval."""
    from echo2ecg_core.evaluation.retrieval import hits_by_phenotype, retrieval_metrics_of_vectors

    test = cohorts.load_part(folder, "test")
    lvef = test.labels.lvef.to_numpy(float)
    truth = hits_by_phenotype(np.arange(len(test.ecg_of)), test.ecg_of, lvef[test.ecg_of])
    errors, precisions = [], []
    for seed in (0, 1):
        measured = ledger.load_arrays(folder / "measured" / "arms" / f"attention-{seed}.npz")
        errors.append(np.abs(measured["lvef"] - lvef[test.ecg_of]).mean())
        vectors = ledger.load_arrays(folder / "arms" / f"attention-{seed}" / "vectors.npz")
        studies = vectors["study"][truth.study_ids].astype(np.float32)
        ecgs = vectors["ecg"].astype(np.float32)
        found = retrieval_metrics_of_vectors(ecgs, studies, truth.studies_of_ecg)
        precisions.append(found["precision@10"] * 10 / min(10, len(studies)))  # that measure counts ten of seven
    assert result["measured"]["lvef error"]["attention"][0] == pytest.approx(np.mean(errors), abs=1e-3)
    assert result["measured"]["precision@10"]["attention"][0] == pytest.approx(np.mean(precisions), abs=1e-3)
    assert not np.allclose(test.lvef_true, lvef, atol=0.5)  # labels are those of a reader


@pytest.mark.slow
def test_the_recipe_is_the_best_mean_over_the_arms_and_not_the_references_own(folder, tmp_path):
    few, many = TINY.grid
    for recipe, of_reference, of_others in ((few, 5.0, 9.0), (many, 7.0, 8.0)):
        for arm in ("attention", "mean", "a4c", "random_clip", "masked"):
            own = recipe if ARMS[arm].multi else Recipe(recipe.lr, 0.0)
            path = tmp_path / "recipe" / f"{arm}-{own.name}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps({"lvef_error": of_reference if arm == "attention" else of_others}))
    assert training.chosen_recipe(TINY, tmp_path) == many
    assert len(list((folder / "recipe").glob("*.json"))) == 10  # five arms, two rates


@pytest.mark.slow
def test_patients_have_an_ecg_within_a_week_of_their_study_and_an_a4c_where_there_is_one(folder):
    numbers = json.loads((folder / "patients" / "train.json").read_text())
    people = cohorts._cohort(TINY, "train")
    train = cohorts.load_part(folder, "train")
    for place, number in enumerate(numbers):
        study = people.patient(number).studies[0]
        near = [e for e in people.patient(number).ecgs if abs((e.time.date() - study.date).days) <= 7]
        assert len(near) == (train.ecg_of == place).sum() > 0
        assert (train.view[train.clip_of == place] == 2).any() == ("A4C" in study.views)
    skipped = set(range(numbers[-1])) - set(numbers)
    assert all(not cohorts.near_ecgs(people.patient(i)) for i in skipped)
    a4c = train.pairs("a4c")
    assert all(
        (train.view[a4c.clips_of[patient]] == 2).all() and len(a4c.clips_of[patient]) for patient in a4c.pairs[:, 0]
    )
    poorest, best = (train.of_point(Point(7, quality)) for quality in ("poorest", "best"))
    mean = np.array([train.quality[train.clip_of == i].mean() for i in range(14)])
    assert not set(poorest) & set(best) and mean[poorest].max() <= mean[best].min()


def test_cohorts_never_share_a_seed_and_the_test_cohort_is_as_large_as_promised():
    plan = full_plan(2)
    seeds = [seed for of_version in cohorts.COHORT_SEEDS.values() for seed in of_version.values()]
    assert len(set(seeds)) == len(seeds) == 6 and plan.patients["test"] >= 3000
    assert plan.budgets_s["arms"] <= 4 * 3600 and len(plan.seeds) == 5


def test_the_demo_preset_trains_as_the_arms_of_the_comparison_with_the_recipe_that_was_chosen():
    demo, chosen = training_settings("demo"), json.loads((RESULTS / "result.json").read_text())["recipe"]
    recipe = next(recipe for recipe in full_plan(2).grid if recipe.name == chosen)
    arm = full_plan(2).run("mean", recipe, full_plan(2).arm_epochs, 0)
    assert replace(demo.run, seed=arm.seed) == arm
    assert demo.phantom == 2 and demo.patients == full_plan(2).patients["train"]


def test_boosting_which_has_no_seeds_is_compared_with_every_seed_of_the_reference_and_an_arm_seed_by_seed():
    ours = np.array([[7.0, 7.0, 7.0], [6.0, 6.0, 6.0], [5.0, 5.0, 5.0]])
    found = tables.differences("lvef error", {"attention": ours, FEATURES: ours[2:], "mean": ours[:1] + 1})
    assert found[FEATURES].value == pytest.approx(-1.0) and found["mean"].value == pytest.approx(1.0)


def busy(plan, folder, meter, output):
    began = time.process_time()
    while time.process_time() - began < 0.03:
        pass
    output.write_text("done")


def idle_stage(budget):
    return ledger.Stage(
        budget or "free", lambda plan, folder: [ledger.Task(str(i), folder / str(i), busy) for i in range(6)], budget
    )


def test_a_spent_budget_begins_nothing_more_and_is_counted_over_starts(tmp_path):
    stage, plan = idle_stage("arms"), replace(TINY, budgets_s={"arms": 0.07, "curves": 9.0})
    assert not ledger.run_stage(stage, (stage,), plan, tmp_path, 1)
    done = sum((tmp_path / str(i)).exists() for i in range(6))
    assert 1 <= done <= 3 and ledger.spent(tmp_path, (stage,), "arms") >= 0.07
    assert not ledger.run_stage(stage, (stage,), plan, tmp_path, 1)
    assert sum((tmp_path / str(i)).exists() for i in range(6)) == done
    own, free = idle_stage("curves"), idle_stage(None)
    (tmp_path / "5").unlink(missing_ok=True)
    assert ledger.run_stage(own, (stage, own), plan, tmp_path, 1), "what one budget has spent is not taken from another"
    (tmp_path / "5").unlink()
    assert ledger.run_stage(free, (stage, free), plan, tmp_path, 1)


def test_after_the_hour_no_training_begins_and_the_stages_that_the_budget_does_not_count_go_on(tmp_path):
    past = datetime.now() - timedelta(seconds=1)
    counted, other = idle_stage("arms"), idle_stage(None)
    assert not ledger.run_stage(counted, (counted,), TINY, tmp_path, 1, past)
    assert not any((tmp_path / str(i)).exists() for i in range(6))
    assert ledger.run_stage(other, (other,), TINY, tmp_path, 1, past)
    assert ledger.run_stage(counted, (counted,), TINY, tmp_path, 1, past)  # nothing was left to begin
    assert timedelta(0) < claim.time_of_day(f"{past:%H:%M}") - datetime.now() <= timedelta(days=1)


def test_a_line_that_a_kill_left_half_written_is_passed_over(tmp_path):
    (tmp_path / ledger.LEDGER).write_text('{"stage": "arms", "task": "x", "seconds": 2.5}\n{"stage": "ar')
    assert ledger.seconds_by_stage(tmp_path) == {"arms": 2.5}


def test_a_folder_is_for_one_runner_and_one_plan(tmp_path):
    with (
        ledger.only_runner(tmp_path, TINY),
        pytest.raises(SystemExit, match="Another run works in"),
        ledger.only_runner(tmp_path, TINY),
    ):
        pass
    with ledger.only_runner(tmp_path, TINY):
        pass
    with (
        pytest.raises(SystemExit, match="holds a comparison of other sizes or of another phantom"),
        ledger.only_runner(tmp_path, replace(TINY, version=1)),
    ):
        pass


def test_hits_lie_within_half_a_standard_deviation(tmp_path, monkeypatch):
    import pandas as pd

    labels = pd.DataFrame({"lvef": [60.0, 57.0, 30.0, np.nan]})
    monkeypatch.setattr(measures, "load_part", lambda folder, part: type("Part", (), {"labels": labels}))
    assert labels.lvef.std() / 2 == pytest.approx(8.26, abs=0.01)
    found = measures.hits_of(tmp_path, "lvef", np.array([0, 2, 3]), np.broadcast_to(np.arange(4), (3, 4)))
    assert found.tolist() == [[True, True, False, False], [False, False, True, False], [False] * 4]
