"""Pairs: same patient, close in time, one a patient and epoch, split by patient."""

import numpy as np
import pandas as pd
import pytest

from echo2ecg_core.errors import StoreError
from echo2ecg_core.training.pairs import PreparedPairs, find_pairs

ECGS = pd.DataFrame(
    {
        "ecg_id": ["E1", "E2", "E3"],
        "patient_id": ["A", "A", "B"],
        "ecg_time": ["2030-01-01T08:00", "2030-01-20T08:00", "2030-05-01T08:00"],
    }
)
STUDIES = pd.DataFrame(
    {
        "study_id": ["S1", "S2", "S3"],
        "patient_id": ["A", "A", "B"],
        "split": ["train", "train", "test"],
        "study_date": ["2030-01-03", "2030-01-24", "2030-06-01"],
    }
)


def test_an_ecg_pairs_with_every_study_of_the_patient_within_the_days():
    found = find_pairs(ECGS, STUDIES, within_days=7)
    assert sorted(zip(found.ecg_id, found.study_id, strict=True)) == [("E1", "S1"), ("E2", "S2")]
    assert len(find_pairs(ECGS, STUDIES, within_days=40)) == 5


def test_no_pair_at_all_is_said_in_words():
    with pytest.raises(StoreError, match="within 1 days"):
        find_pairs(ECGS[ECGS.patient_id == "B"], STUDIES, within_days=1)


def test_a_patient_in_two_splits_is_refused():
    with pytest.raises(StoreError, match="two splits"):
        find_pairs(ECGS, STUDIES.assign(split=["train", "test", "test"]))


def prepared(n_patients=20):
    rng = np.random.default_rng(0)
    pairs = np.array([(p, 2 * p + e, p) for p in range(n_patients) for e in range(2)])
    return PreparedPairs(
        rng.normal(size=(2 * n_patients, 12, 480)).astype(np.float16),
        rng.normal(size=(3 * n_patients, 512)).astype(np.float32),
        [np.arange(3 * p, 3 * p + 1 + p % 3) for p in range(n_patients)],
        pairs,
    )


def test_an_epoch_holds_every_patient_once_and_varies_the_pair():
    data = prepared()
    epochs = [data.one_per_patient(np.random.default_rng(seed)) for seed in range(6)]
    assert all(sorted(e[:, 0]) == list(range(20)) for e in epochs)
    assert len({int(e[e[:, 0] == 3][0, 1]) for e in epochs}) == 2


def test_views_are_padded_and_the_padding_is_marked():
    data = prepared()
    views, is_padding = data.views(np.array([0, 1, 2]))
    assert views.shape == (3, 3, 512) and (~is_padding).sum(1).tolist() == [1, 2, 3]
    assert np.array_equal(views[2], data.clips[6:9]) and not views[is_padding].any()


def test_view_dropout_leaves_out_about_the_asked_share_of_clips_but_never_all():
    data = prepared()
    studies = np.arange(20)
    rng, kept = np.random.default_rng(0), np.zeros(3)
    for _ in range(500):
        views, is_padding = data.views(studies, dropout=0.5, rng=rng)
        seen = (~is_padding).sum(1)
        assert seen.min() >= 1 and not views[is_padding].any()
        kept += [seen[studies % 3 == n].mean() for n in range(3)]
    assert np.allclose(
        kept / 500, [1, 2 * 0.5 + 0.25, 3 * 0.5 + 0.125], atol=0.03
    )  # 0.25 and 0.125: the one that stays


def test_clips_that_dropout_keeps_stay_those_of_their_study_in_their_order():
    data = prepared()
    views, is_padding = data.views(np.array([2, 5]), dropout=0.4, rng=np.random.default_rng(3))
    for row, study in enumerate((2, 5)):
        kept = [int(np.flatnonzero((data.clips == v).all(1))[0]) for v in views[row][~is_padding[row]]]
        assert kept == sorted(kept) and set(kept) <= set(data.clips_of[study].tolist())
