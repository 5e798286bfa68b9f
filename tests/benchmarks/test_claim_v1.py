"""How claim_v1.py compares arms: who is tested on, what an interval covers, and which sign means better."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import claim_v1 as claim
from benchmarks import claim_v1_measure as m
from echo2ecg_core.training.data import TrainingData, nearest_pairs, paired


def measured(value: float, noise: np.ndarray) -> m.Measured:
    return m.Measured(value, value + noise)


def cohort(marker: float) -> TrainingData:
    """Three patients, one of each split, with one ECG and one study of two clips each; signals hold the marker."""
    ids, splits, day = ["P00001", "P00002", "P00003"], ["train", "validation", "test"], "2020-01-01"
    ecgs = pd.DataFrame({"ecg_id": [f"{i}-E1" for i in ids], "patient_id": ids, "ecg_time": day, "split": splits})
    studies = pd.DataFrame(
        {
            "study_id": [f"{i}-S1" for i in ids],
            "patient_id": ids,
            "study_date": day,
            "split": splits,
            "lvef": [marker] * 3,
        }
    )
    clips = pd.DataFrame({"study_id": np.repeat(studies.study_id, 2).to_numpy(), "view": [0, 2] * 3})
    return TrainingData(
        ecgs, np.full((3, 12, 4), marker, np.float16), studies, clips, np.full((6, 512), marker, np.float32)
    )


def test_test_patients_are_the_other_cohorts_alone():
    data = claim.joined(cohort(1.0), cohort(2.0))
    for split, marker, n in (("train", 1.0, 1), ("validation", 1.0, 1), ("test", 2.0, 3)):
        rows, pairs = nearest_pairs(data, split), paired(data, split)
        assert len(rows) == len(pairs) == n
        assert (data.signals[rows.ecg_row] == marker).all() and (data.studies.lvef[rows.study_row] == marker).all()
        assert all((pairs.clips[pairs.clips_of[study]] == marker).all() for study in pairs.pairs[:, 2])
    assert data.ecgs.ecg_id.is_unique and data.studies.study_id.is_unique


def test_studies_keep_the_wanted_views_or_all():
    data = claim.joined(cohort(1.0), cohort(2.0))
    assert {
        study: list(data.clips.view[rows]) for study, rows in claim.clips_of_studies(data, "test", (2,)).items()
    } == {"TP00001-S1": [2], "TP00002-S1": [2], "TP00003-S1": [2]}
    assert all(len(rows) == 2 for rows in claim.clips_of_studies(data, "test", (5,)).values())


def test_an_interval_covers_patients_and_seeds():
    noise = np.random.default_rng(0).normal(0, 0.01, 4000)
    agreeing, apart = (
        [measured(0.8 + shift, noise) for shift in shifts] for shifts in ((0, 0, 0, 0), (-0.1, 0.1, -0.1, 0.1))
    )
    assert np.allclose(m.mean_of(agreeing).draws, 0.8 + noise)
    assert m.mean_of(apart).draws.std() == pytest.approx(np.hypot(0.01, 0.1 / np.sqrt(4)), rel=0.05)


def test_differences_are_paired_by_patient_and_by_seed():
    noise, seeds = np.random.default_rng(1).normal(0, 0.05, 500), (0.0, 0.2, -0.1)
    better, worse = (m.mean_of([measured(base + shift, noise) for shift in seeds]) for base in (0.81, 0.80))
    assert np.allclose(better.minus(worse).draws, 0.01)


@pytest.mark.parametrize(
    ("column", "sign"),
    [(("probe", "lvef"), -1), (("knn", "tapse"), -1), (("probe", "lvef_le_40"), 1), (("mAP ECG to study", "lvef"), 1)],
)
def test_better_is_a_smaller_error_or_a_larger_score(column, sign):
    draws = np.linspace(0.1, 0.3, 100)
    assert m.better(column, m.Measured(0.2, draws)) == sign
    assert m.better(column, m.Measured(-0.2, -draws)) == -sign
    assert m.better(column, m.Measured(0.2, draws - 0.15)) == 0


def test_wins_are_counted_by_kind_and_by_phenotype():
    verdicts = {"mean": {"probe · lvef": 1, "knn · lvef": -1, "mAP ECG to study · lvef": 1, "probe · tapse": 0}}
    labels = {"attention": "Attention", "mean": "Mean"}
    assert m.wins(verdicts, labels).splitlines()[-1] == "| Mean | +1 −1 of 3 | +1 −0 of 1 |"
    assert (
        m.wins_by_phenotype(verdicts, labels, {"lvef": "LVEF", "tapse": "TAPSE", "ivsd": "IVSd"}).splitlines()[-1]
        == "| Mean | +2 −1 of 3 | +0 −0 of 1 | – |"
    )


def test_vectors_of_other_patients_do_not_count(tmp_path):
    for seed, cohort_hash in ((0, "a"), (1, "b")):
        folder = tmp_path / f"mean-{seed}"
        folder.mkdir()
        np.savez(folder / "vectors.npz", facts=f'{{"cohort": "{cohort_hash}"}}', x=np.array([seed]))
    assert [int(a["x"][0]) for a in m.load_arms(tmp_path, {"cohort": "b"})["mean"]] == [1]


def test_weights_of_another_recipe_are_not_taken(tmp_path):
    options = type("Options", (), {"preset": "demo", "epochs": None, "patients": 10})
    (tmp_path / "network.safetensors").touch()
    (tmp_path / "recipe.json").write_text("{}")
    with pytest.raises(SystemExit, match="trained by another recipe"):
        claim.train_arm(tmp_path, claim.ARMS["mean"], 0, None, {"clip_encoder": "x"}, options)
