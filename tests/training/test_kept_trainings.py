"""Trainings on what there is: ECGs alone, of any length, with few labels or none; none is lost."""

import json
import logging

import numpy as np
import pandas as pd
import pytest

from echo2ecg_core.ecg.preprocess import clean_whole
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.intake.demo import open_workspace
from echo2ecg_core.models.specs import PRESETS, EcgInputSpec
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelRegistry
from echo2ecg_core.store.paths import READOUTS_FILE, run_folder
from echo2ecg_core.store.vectors import VectorSet
from echo2ecg_core.training.data import TrainingData, alone, window_batches, workspace_data
from echo2ecg_core.training.plan import Phases, why_no_readouts
from echo2ecg_core.training.train import plan_training, run_training

SPEC = PRESETS["demo"].ecg_input
WINDOW_S = SPEC.n_samples / SPEC.sampling_rate_hz
MASKED = {"patients": 0, "objective": "masked", "epochs": 2, "batch_size": 8, "precision": "32-true"}
SECONDS = {"E-000": WINDOW_S + 0.08, "E-001": WINDOW_S - 0.5, "E-002": 7.0, "E-003": 14.0}  # the others: 10


def record(number: int, seconds: float) -> EcgRecord:
    t = np.arange(int(seconds * 500)) / 500
    beats = sum(np.exp(-(((t - beat) / 0.02) ** 2)) for beat in np.arange(0.2 + number % 7 / 20, seconds, 0.8))
    wave = beats + 0.1 * np.sin(2 * np.pi * (1 + number % 5) * t)
    return EcgRecord(wave[None] * np.linspace(0.5, 1.5, 12)[:, None], 500.0, "csv", f"E-{number:03d}")


def split_of(number: int) -> str:
    return ("train", "train", "validation", "test")[number % 4] if number > 3 else "train"


def ecgs_alone(folder, n: int = 40) -> Workspace:
    """Patients with one ECG each: no study, no clip, no model."""
    workspace = Workspace(folder)
    catalog = Catalog(workspace)
    for i in range(n):
        catalog.add_patient(f"P-{i:03d}", split=split_of(i), cohort="ECG archive", synthetic=False)
        ecg_id = f"E-{i:03d}"
        catalog.add_ecg(ecg_id, f"P-{i:03d}", record(i, SECONDS.get(ecg_id, 10.0)))
    return workspace


def test_every_ecg_keeps_its_own_length_and_one_shorter_than_a_window_is_left_out(tmp_path):
    workspace = ecgs_alone(tmp_path / "w", 8)
    for _ in range(2):  # made, then read
        data = workspace_data(workspace, SPEC, None, tmp_path / "prepared")
        assert data.left_out == 1 and list(data.ecgs.ecg_id) == [f"E-{i:03d}" for i in (0, 2, 3, 4, 5, 6, 7)]
        lengths = dict(zip(data.ecgs.ecg_id, data.lengths / SPEC.sampling_rate_hz, strict=True))
        assert lengths == pytest.approx({i: min(SECONDS.get(i, 10), 10) for i in lengths}, abs=0.01)
        for row, ecg_id in enumerate(data.ecgs.ecg_id):
            stored = Catalog(workspace).ecg_record(ecg_id)
            whole = clean_whole(
                stored.signal_mv, stored.sampling_rate_hz, target_hz=SPEC.sampling_rate_hz, order=SPEC.order
            )
            own = data.lengths[row]
            np.testing.assert_array_equal(data.signals[row, :, :own], whole[:, :own].astype(np.float16))
            assert not data.signals[row, :, own:].any()


def numbered(lengths) -> TrainingData:
    """ECGs whose samples are their places, counted from 1, zeros behind the end."""
    lengths = np.array(lengths)
    places = np.arange(1, lengths.max() + 1)
    signals = np.where(places <= lengths[:, None], places, 0)[:, None].repeat(12, 1).astype(np.float16)
    ids = [f"E{i}" for i in range(len(lengths))]
    ecgs = pd.DataFrame({"ecg_id": ids, "patient_id": ids, "split": "train"})
    return TrainingData(ecgs, signals, pd.DataFrame(), pd.DataFrame(), np.zeros((0, 512), np.float32), lengths)


def test_random_windows_lie_within_each_ecgs_own_length_and_reach_all_of_it():
    data, rng = alone(numbered([10, 11, 40, 100]), "train"), np.random.default_rng(0)
    seen = [data.windows(np.arange(4), 10, rng)[:, 0] for _ in range(600)]
    for row, length in enumerate((10, 11, 40, 100)):
        starts = {int(windows[row, 0]) for windows in seen}
        assert starts == set(range(1, max(length - 10, 1) + 1))
        assert all(np.array_equal(np.diff(windows[row]), np.ones(9)) for windows in seen)
    assert (data.windows(np.array([3, 0]), 10)[:, 0, 0] == 1).all()


@pytest.mark.parametrize("windows", ["all", "first"])
def test_readouts_see_as_many_windows_as_each_ecg_holds(windows):
    data, spec = numbered([25, 10, 39, 20, 21]), EcgInputSpec(n_samples=10, windows=windows)
    rows, found = np.array([4, 0, 1, 2]), {}
    for places, batch in window_batches(data, rows, spec, size=2):
        assert batch.dtype == np.float32 and batch.shape[2:] == (12, 10)
        found |= {int(place): own[:, 0].ravel().tolist() for place, own in zip(places, batch, strict=True)}
    counts = {0: 2, 1: 2, 2: 1, 3: 3} if windows == "all" else dict.fromkeys(range(4), 1)
    assert found == {place: list(range(1, 10 * count + 1)) for place, count in counts.items()}


@pytest.mark.slow
def test_the_plan_of_a_training_on_ecgs_alone_counts_ecgs_and_says_what_the_model_will_lack(tmp_path):
    workspace = ecgs_alone(tmp_path / "w")
    plan = plan_training(workspace, "demo", MASKED)
    n_train = sum(split_of(i) == "train" for i in range(40)) - 1  # one is shorter than a window
    assert (plan.pairs, plan.patients) == (n_train, n_train) and plan.steps == n_train // 8 * 2
    assert plan.validation_pairs == plan.validation_patients == sum(split_of(i) == "validation" for i in range(40))
    assert any(note.startswith("1 of 40 ECGs are left out: shorter than one window of 2.") for note in plan.notes)
    assert any("kept without readouts" in note and "at most 0 train" in note for note in plan.notes)
    with pytest.raises(Echo2ECGError, match="0 studies; training needs both"):
        plan_training(workspace, "demo", MASKED | {"objective": "contrastive"})
    with pytest.raises(Echo2ECGError, match="0 ECGs"):
        plan_training(Workspace(tmp_path / "empty"), "demo", MASKED)


@pytest.mark.slow
def test_masked_training_needs_no_echo_no_clip_encoder_and_no_label(tmp_path, caplog):
    workspace, told = ecgs_alone(tmp_path / "w"), []
    with caplog.at_level(logging.WARNING):
        closing = run_training(
            workspace, {"preset": "demo", "set": MASKED}, lambda share, words: told.append((share, words)), job_id=1
        )
    card = ModelRegistry(workspace).models()[0]
    manifest = card.manifest()
    assert card.model_id in closing and "kept without readouts" in closing
    assert set(manifest["weights"]) == {"echo2ecg"} and manifest["spec"]["parts"] == ["ecg"]
    assert "readouts" not in manifest and not (card.folder / READOUTS_FILE).exists() and not manifest["synthetic"]
    assert manifest["pairs"] == {"train": 21, "validation": 9, "test": 9} and manifest["clip_encoder"] is None
    notes = json.loads((run_folder(workspace, 1) / "settings.json").read_text())["notes"]
    first_epoch = next(i for i, (_, words) in enumerate(told) if words.startswith("Epoch"))
    for word in ("left out", "without readouts"):  # on the page and in the log, and before the first epoch
        assert any(word in note for note in notes) and word in caplog.text
        assert any(word in words for _, words in told[:first_epoch])
    assert [share for share, _ in told] == sorted(share for share, _ in told)


@pytest.mark.slow
def test_a_contrastive_training_with_too_few_labels_keeps_its_model_and_says_so_first(tmp_path):
    workspace = ecgs_alone(tmp_path / "w")
    card, catalog, rng, ids = open_workspace(workspace), Catalog(workspace), np.random.default_rng(0), []
    for i in range(40):
        lvef = {"lvef": 40.0 + i} if i % 2 else {}
        catalog.add_study(f"S-{i:03d}", f"P-{i:03d}", study_date="2026-01-05T10:00:00Z", phenotypes=lvef)
        ids.append(catalog.add_clip(f"S-{i:03d}", b"%d" % i, fps=50, n_frames=32, format="made", view="A4C"))
    with workspace.connect() as db:
        db.execute("UPDATE ecgs SET ecg_time = '2026-01-05T09:00:00+01:00'")
    encoder_id = card.manifest()["weights"]["clip_encoder"]["sha256"][:8]
    VectorSet("clip", encoder_id, tuple(ids), rng.normal(size=(40, 512)).astype(np.float32)).save(workspace.vectors)
    chosen = MASKED | {"objective": "contrastive", "epochs": 1}
    plan, told = plan_training(workspace, "demo", chosen), []
    assert any("kept without readouts" in note for note in plan.notes)
    closing = run_training(workspace, {"preset": "demo", "set": chosen}, lambda _, words: told.append(words), job_id=2)
    kept = next(c for c in ModelRegistry(workspace).models() if c.model_id != card.model_id)
    assert kept.model_id in closing and "without readouts" in closing
    assert "echo2ecg" in kept.manifest()["weights"] and not (kept.folder / READOUTS_FILE).exists()
    assert "without readouts" in told[[words.startswith("Epoch") for words in told].index(True) - 1]


def visits(counts: dict[str, int], measured: int = 10**9):
    people = [(split, f"{split}-{i}") for split, n in counts.items() for i in range(n)]
    ecgs = pd.DataFrame([{"ecg_id": p, "patient_id": p, "ecg_time": "2030-01-01", "split": s} for s, p in people])
    studies = pd.DataFrame(
        [
            {
                "study_id": p,
                "patient_id": p,
                "study_date": "2030-01-09",
                "split": s,
                "lvef": 50 if i < measured else None,
            }
            for i, (s, p) in enumerate(people)
        ]
    )
    return ecgs, studies


def test_whether_readouts_can_be_fitted_follows_the_labels_of_every_split_and_the_window():
    enough = {"train": 60, "validation": 30, "test": 12}
    assert why_no_readouts(*visits(enough), 30) == ""
    assert "at most 0 train, 0 validation, 0 test, within 7 days" in why_no_readouts(*visits(enough), 7)
    assert "60 train, 30 validation, 2 test" in why_no_readouts(*visits(enough | {"test": 2}), 30)
    assert "at most 60 train, 5 validation, 0 test" in why_no_readouts(*visits(enough, measured=65), 30)


def test_every_phase_has_a_share_of_the_bar_that_follows_its_seconds():
    assert Phases(30, 60, 10).shares == pytest.approx((0.3, 0.9))
    short = Phases(0, 1000, 0)
    assert 0.02 < short.shares[0] < 0.04 and 0.96 < short.shares[1] < 0.98 and short.seconds == 1000


@pytest.mark.slow
def test_the_plan_uses_what_an_earlier_run_of_this_machine_measured(tmp_path):
    workspace = ecgs_alone(tmp_path / "w")
    before = plan_training(workspace, "demo", MASKED).phases
    folder = run_folder(workspace, 3)
    folder.mkdir(parents=True)
    (folder / "settings.json").write_text('{"preset": "demo"}')
    (folder / "metrics.jsonl").write_text('{"pairs_per_s": 4.0}\n')
    (folder / "timings.json").write_text('{"prepare": 2.0, "readouts": 3.0}')
    plan = plan_training(workspace, "demo", MASKED)
    assert plan.phases.prepare == 2.0 * 39 and plan.phases.train == pytest.approx(plan.pairs * 2 / 4)
    assert plan.phases.readouts - before.readouts == pytest.approx(39 * (3.0 - 0.03))
    assert plan.seconds == plan.phases.seconds and not any("first run on this machine" in n for n in plan.notes)
