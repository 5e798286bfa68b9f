"""A phantom cohort straight into arrays: resumable shards, the same patients every time, ECGs from other bodies."""

import numpy as np
import pytest

from echo2ecg_core.ecg.preprocess import clean_whole
from echo2ecg_core.echo.clip import VIEWS
from echo2ecg_core.models.specs import PRESETS
from echo2ecg_core.phantom.cohort import PhantomCohort
from echo2ecg_core.training import phantom_data as prepare_phantom
from echo2ecg_core.training.data import paired
from echo2ecg_core.training.phantom_data import prepare_cohort, with_more_bodies

SPEC = PRESETS["demo"].ecg_input
OF_COHORT = {"n_patients": 4, "seed": 5, "spec": SPEC, "processes": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Shards of two patients each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare_phantom, "SHARD", 2)
        folder = tmp_path_factory.mktemp("cohort")
        for start in (0, 2):
            prepare_phantom._start_process(None)
            prepare_phantom._prepare_shard((4, 5, 1), start, SPEC, folder, 4, False)
            prepare_phantom._prepare_bodies((4, 5, 1), start, SPEC, folder, 2)
        yield folder


@pytest.fixture(scope="module")
def data(folder):
    return prepare_cohort(folder=folder, **OF_COHORT)


@pytest.mark.slow
def test_every_ecg_study_and_clip_of_the_cohort_is_there_in_the_order_of_its_table(data):
    people = [PhantomCohort(4, 5).patient(i) for i in range(4)]
    assert list(data.ecgs.ecg_id) == [e.ecg_id for p in people for e in p.ecgs] and len(data.signals) == len(data.ecgs)
    assert list(data.studies.study_id) == [s.study_id for p in people for s in p.studies]
    views = [(s.study_id, list(VIEWS).index(v)) for p in people for s in p.studies for v in s.views]
    assert list(zip(data.clips.study_id, data.clips.view, strict=True)) == views and data.clip_data.shape == (
        len(views),
        16,
        56,
        56,
    )
    last = people[-1].ecgs[-1]
    assert np.array_equal(
        data.signals[-1], clean_whole(last.signal_mv(), 500.0, target_hz=400, order=SPEC.order).astype(np.float16)
    )


def test_other_bodies_add_ecgs_of_training_patients_only_and_leave_the_rest_as_it_was(data, folder):
    more = with_more_bodies(data, folder=folder, n_bodies=2, **OF_COHORT)
    own, added = more.ecgs.iloc[: len(data.ecgs)], more.ecgs.iloc[len(data.ecgs) :]
    assert own.equals(data.ecgs) and np.array_equal(more.signals[: len(own)], data.signals)
    training = data.ecgs[data.ecgs.split == "train"]
    assert sorted(added.ecg_id) == sorted(f"{i}-B{b}" for i in training.ecg_id for b in (1, 2)) and set(
        added.split
    ) == {"train"}
    assert len(more.signals) == len(more.ecgs)


def test_a_cohort_of_version_2_gives_some_clips_of_every_study_and_ecgs_of_its_own(monkeypatch):
    monkeypatch.setattr(prepare_phantom, "MOST_CLIPS", 3)
    two, one = (prepare_phantom._visits((4, 5, version), 0, 4) for version in (2, 1))
    assert all(len(clips) == 3 for _, studies in two for _, clips in studies)
    ecgs = [{ecg.ecg_id: ecg for patient, _ in visits for ecg in patient.ecgs} for visits in (two, one)]
    assert list(ecgs[0]) == list(ecgs[1]) and {ecg.version for ecg in ecgs[0].values()} == {2}
    (patient, other), *_ = prepare_phantom._other_bodies((4, 5, 2), 0, 1)
    own = next(ecg for ecg in patient.ecgs if other.ecg_id == f"{ecg.ecg_id}-B1")
    assert other.version == 2 and not np.allclose(other.signal_mv(), own.signal_mv(), atol=0.1)


def test_an_ecg_from_another_body_is_another_recording_that_pairs_with_the_same_studies(data, folder):
    more = with_more_bodies(data, folder=folder, n_bodies=2, **OF_COHORT)
    first = next(i for i in data.ecgs.index[data.ecgs.split == "train"])
    twin = more.ecgs.index[more.ecgs.ecg_id == f"{data.ecgs.ecg_id[first]}-B1"][0]
    assert not np.allclose(more.signals[first], more.signals[twin], atol=0.1)
    pairs = paired(more, "train", within_days=100).pairs
    assert set(pairs[pairs[:, 1] == twin, 2]) == set(pairs[pairs[:, 1] == first, 2]) != set()
