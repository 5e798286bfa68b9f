"""ECGs without labels beside a simulated cohort: which are taken, where they stay out, the generator's own."""

import json

import numpy as np
import pandas as pd
import pytest

from echo2ecg_core.ecg.measure import measure_signal
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.models.specs import PRESETS
from echo2ecg_core.store.model_registry import ModelRegistry
from echo2ecg_core.store.paths import run_folder
from echo2ecg_core.training.data import TrainingData
from echo2ecg_core.training.plan import plan_training
from echo2ecg_core.training.settings import training_settings
from echo2ecg_core.training.train import run_training
from echo2ecg_core.training.unlabelled import count_unlabelled, twelve_leads, with_unlabelled
from tests.training.test_kept_trainings import ecgs_alone, split_of

SPEC = PRESETS["demo"].ecg_input
COHORT = "ECG archive"  # E-001 is shorter than a window


def simulated(n: int = 3, samples: int = 2500) -> TrainingData:
    ids = [f"P-{i:03d}" for i in range(n)]  # the ids of the cohort's own patients
    return TrainingData(
        ecgs=pd.DataFrame({"ecg_id": ids, "patient_id": ids, "ecg_time": "2030-01-01", "split": "train"}),
        signals=np.ones((n, 12, samples), np.float16),
        studies=pd.DataFrame({"study_id": ids, "patient_id": ids, "study_date": "2030-01-01", "split": "train"}),
        clips=pd.DataFrame(columns=["study_id", "view"]),
        clip_data=np.zeros((0, 512), np.float32),
    )


def test_a_cohort_adds_its_training_and_validation_ecgs_and_none_of_its_test_patients(tmp_path):
    workspace, data = ecgs_alone(tmp_path / "w", 12), simulated()
    for _ in range(2):  # made, then read
        both = with_unlabelled(data, workspace, COHORT, SPEC, tmp_path / "prepared")
        added = both.ecgs[len(data.ecgs) :]
        wanted = [i for i in range(12) if split_of(i) != "test" and i != 1]
        assert added.ecg_id.tolist() == [f"{COHORT}/E-{i:03d}" for i in wanted]
        assert added.split.tolist() == [split_of(i) for i in wanted]
        assert both.signals.shape[0] == len(both.ecgs) == len(both.lengths) and both.signals.shape[2] >= 2500
        assert (both.lengths[:3] == 2500).all() and (both.signals[:3, :, 2500:] == 0).all()
        row = len(data.ecgs) + wanted.index(2)
        assert both.lengths[row] == pytest.approx(7.0 * SPEC.sampling_rate_hz, abs=1)
        assert (both.signals[row, :, both.lengths[row] :] == 0).all() and both.signals[row].any()
    counts = {s: count_unlabelled(workspace, COHORT, s, SPEC) for s in ("train", "validation")}
    assert counts == added.split.value_counts().to_dict()


@pytest.mark.slow
def test_their_patients_are_nobody_of_the_simulated_cohort(tmp_path):
    both = with_unlabelled(simulated(), ecgs_alone(tmp_path / "w", 12), COHORT, SPEC, tmp_path / "prepared")
    labelled = both.ecgs.merge(both.studies[["patient_id"]], on="patient_id")
    assert len(labelled) == 3  # no readout, no calibration, no measure of what is outside sees the others


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"unlabelled": COHORT}, "by masking only"),
        ({"unlabelled": COHORT, "objective": "masked", "patients": 0}, "learnt from already"),
    ],
)
def test_settings_that_cannot_be_are_refused(chosen, words):
    with pytest.raises(Echo2ECGError, match=words):
        training_settings("demo", chosen)


@pytest.mark.parametrize("source", ["deepfake:", "deepfake:0", "deepfake:-4", "deepfake:many", "elsewhere"])
def test_a_source_that_is_none_is_named_before_anything_is_simulated(tmp_path, source):
    workspace = ecgs_alone(tmp_path / "w", 4)
    with pytest.raises(Echo2ECGError, match=f"unlabelled={source}|no cohort '{source}'"):
        plan_training(workspace, "demo", {"objective": "masked", "unlabelled": source, "patients": 40})


def test_limb_leads_follow_from_one_and_two():
    leads = twelve_leads(np.random.default_rng(1).normal(size=(2, 8, 50)))
    one, two, three, avr, avl, avf = leads.swapaxes(0, 1)[:6]
    assert leads.shape == (2, 12, 50)
    for left, right in ((one + three, two), (avr + avl + avf, 0 * one), (avl - avf, one * 1.5 - two * 1.5)):
        np.testing.assert_allclose(left, right, atol=1e-5)


@pytest.mark.slow
def test_generated_ecgs_look_like_ecgs_and_are_the_same_every_time(tmp_path):
    pytest.importorskip("deepfakeecg")
    workspace = ecgs_alone(tmp_path / "w", 4)
    one, two = (with_unlabelled(simulated(), workspace, "deepfake:10", SPEC, tmp_path / f) for f in ("one", "two"))
    np.testing.assert_array_equal(one.signals, two.signals)
    drawn = one.ecgs[3:]
    assert drawn.split.value_counts().to_dict() == {"train": 9, "validation": 1} and drawn.ecg_id.is_unique
    measured = [measure_signal(signal.astype(float), SPEC.sampling_rate_hz) for signal in one.signals[3:]]
    assert all(40 < m.heart_rate_bpm < 120 for m in measured) and 70 < np.median([m.qrs_ms for m in measured]) < 120


@pytest.mark.slow
def test_a_masked_run_on_both_keeps_what_it_saw_in_its_manifest(tmp_path):
    workspace = ecgs_alone(tmp_path / "w", 24)
    chosen = {"objective": "masked", "epochs": 1, "batch_size": 8, "precision": "32-true", "patients": 24, "bodies": 0}
    chosen |= {"unlabelled": COHORT}
    plan = plan_training(workspace, "demo", chosen)
    told = []
    run_training(
        workspace, {"preset": "demo", "set": chosen}, lambda share, words: told.append((share, words)), job_id=1
    )
    manifest = ModelRegistry(workspace).models()[0].manifest()
    settings = json.loads((run_folder(workspace, 1) / "settings.json").read_text())
    assert manifest["unlabelled"] == COHORT and f"--set 'unlabelled={COHORT}'" in manifest["command"]
    assert manifest["pairs"]["train"] == settings["pairs"] == plan.pairs
    assert any("without labels" in note for note in plan.notes) and manifest["synthetic"]
    first_epoch = next(i for i, (_, words) in enumerate(told) if words.startswith("Epoch"))
    assert any(words.startswith("Cleaning ECGs") for _, words in told[:first_epoch])
    assert [share for share, _ in told] == sorted(share for share, _ in told)
