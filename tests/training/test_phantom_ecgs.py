"""ECGs of a phantom cohort as vectors: what one long way gives, kept in shards, never mixed with others."""

from datetime import datetime, time

import numpy as np
import pytest

from echo2ecg_core.answers.loaded_model import ecg_vectors
from echo2ecg_core.ecg.preprocess import prepare_ecg
from echo2ecg_core.errors import StoreError
from echo2ecg_core.phantom.cohort import PhantomCohort
from echo2ecg_core.training import phantom_ecgs
from echo2ecg_core.training.phantom_ecgs import embedded_ecgs


@pytest.fixture(scope="module")
def networks():
    import torch

    from echo2ecg_core.models.echo2ecg import Echo2ECG
    from echo2ecg_core.models.specs import PRESETS

    torch.manual_seed(0)
    return {"own": Echo2ECG(PRESETS["demo"]).eval()}


@pytest.fixture(scope="module")
def made(networks, tmp_path_factory):
    folder = tmp_path_factory.mktemp("vectors")
    return embedded_ecgs(networks, 5, [0, 1, 52], folder), folder


def test_vectors_and_labels_are_those_of_the_ecg_and_of_its_nearest_study_as_an_observer_measured_it(made, networks):
    ecgs, _ = made
    people, spec, row = PhantomCohort(60, 5, observer_noise=True), networks["own"].spec.ecg_input, 0
    for number in (0, 1, 52):
        patient = people.patient(number)
        for ecg in patient.ecgs:
            gaps = [abs(ecg.time - datetime.combine(s.date, time())).total_seconds() / 86400 for s in patient.studies]
            if min(gaps) > 7:
                continue
            study = patient.studies[int(np.argmin(gaps))]
            windows = prepare_ecg(
                ecg.signal_mv(), 500.0, target_hz=400.0, n_samples=spec.n_samples, order=spec.order, windows="all"
            )
            slow = ecg_vectors(networks["own"], windows[None])
            np.testing.assert_allclose(ecgs.embedding["own"][row], slow.embedding[0], atol=1e-4)
            np.testing.assert_allclose(ecgs.outside[row], slow.outside[0], atol=1e-4)
            assert (ecgs.ecg_ids[row], ecgs.patients[row]) == (ecg.ecg_id, number)
            assert ecgs.labels["lvef"][row] == study.labels()["lvef"] != study.heart.lvef == ecgs.truth["lvef"][row]
            row += 1
    assert row == len(ecgs.ecg_ids) >= 3


def test_a_second_run_embeds_nothing_and_gives_the_same(made, networks, monkeypatch):
    ecgs, folder = made
    monkeypatch.setattr(phantom_ecgs, "_vectors", lambda *all: pytest.fail("embedded again"))
    again = embedded_ecgs(networks, 5, [0, 1, 52], folder)
    np.testing.assert_array_equal(again.embedding["own"], ecgs.embedding["own"])
    assert again.ecg_ids == ecgs.ecg_ids


def test_a_folder_of_other_patients_is_refused(made, networks):
    with pytest.raises(StoreError, match="holds vectors of other ECGs"):
        embedded_ecgs(networks, 5, [0, 2], made[1])


def test_a_change_of_the_signal_changes_the_vectors_and_nothing_else(made, networks, tmp_path):
    ecgs, _ = made
    turned = embedded_ecgs(networks, 5, [0, 1, 52], tmp_path, change=lambda signal, rng: -signal)
    np.testing.assert_allclose(turned.outside, ecgs.outside, atol=0.6)  # only the baseline is found otherwise
    assert np.abs(turned.embedding["own"] - ecgs.embedding["own"]).max() > 0.1
    np.testing.assert_array_equal(turned.labels["lvef"], ecgs.labels["lvef"])
