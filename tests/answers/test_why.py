"""What carries an estimate: the sums, the readout, the shares, and a network of which the answer is known."""

import numpy as np
import pytest
import torch

from echo2ecg_core.answers import why
from echo2ecg_core.answers.loaded_model import load_model
from echo2ecg_core.ecg.record import LEADS, EcgRecord
from echo2ecg_core.intake.demo import SHIPPED_MODEL
from echo2ecg_core.phantom.ecg import simulate_ecg
from echo2ecg_core.phantom.heart import draw_heart
from echo2ecg_core.store.model_registry import ModelCard


@pytest.fixture(scope="module")
def model():
    return load_model(ModelCard("demo", "demo-multiview", "", True, "", True, SHIPPED_MODEL))


@pytest.fixture(scope="module")
def record():
    rng = np.random.default_rng(4)
    return EcgRecord(simulate_ecg(draw_heart(rng), rng), 500.0, "phantom", "E-1")


@pytest.fixture(scope="module")
def found(record, model):
    return why.explain(record, model)


@pytest.mark.slow
def test_contributions_sum_to_the_way_from_a_flat_ecg_to_this_one(found):
    assert found.contribution.sum() == pytest.approx(found.estimate - found.flat, abs=0.05)
    assert abs(found.estimate - found.flat) > 0.5  # else the line above says nothing


def test_the_estimate_that_is_explained_is_the_readout_of_the_prediction(found, record, model):
    embedding = model.embed_ecgs(model.prepare(record)[None]).embedding
    assert found.estimate == pytest.approx(model.readouts.predict("lvef", embedding)[0], abs=1e-3)


def test_shares_are_of_all_leads_largest_first_and_of_the_whole_time(found):
    shares = list(found.lead_share.values())
    assert set(found.lead_share) == set(LEADS) and shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    assert sum(share for share, _ in found.part_share.values()) == pytest.approx(1, abs=1e-5)
    assert sum(time for _, time in found.part_share.values()) == pytest.approx(1)
    assert 0.03 < found.part_share["QRS"][1] < 0.3


def test_a_readout_of_one_place_is_explained_by_this_place_alone():
    """A quadratic in one stretch of V2: exact contribution x², known without the method."""
    windows = np.random.default_rng(0).normal(size=(2, 12, 64)).astype(np.float32)
    contribution = why.integrated_gradients(lambda x: x[:, 1, 7, 10:20].square().sum(1), windows)
    expected = np.zeros_like(windows)
    expected[1, 7, 10:20] = windows[1, 7, 10:20] ** 2
    assert contribution == pytest.approx(expected, abs=1e-4)


class OnlyV2:
    """An estimate that reads nothing but V2."""

    def of(self, windows):
        return float(np.abs(windows[:, 7]).sum())

    def of_each(self, many):
        return np.array([self.of(windows) for windows in many])


def test_deletion_tells_what_is_named_from_what_is_not():
    windows = np.ones((1, 12, 160), np.float32)
    right, wrong = np.zeros((2, 12, 10))
    right[7], wrong[0] = 1, 1
    assert why.deletion(OnlyV2(), windows, right, 16)["named"] == 160
    assert why.deletion(OnlyV2(), windows, wrong, 16)["named"] < why.deletion(OnlyV2(), windows, right, 16)["random"]


@pytest.mark.slow
def test_a_recording_without_beats_is_explained_by_leads_only(model):
    noise = np.random.default_rng(1).normal(0, 0.05, (12, 5000)).astype(np.float32)
    found = why.explain(EcgRecord(noise, 500.0, "NPY", "noise.npy"), model)
    assert found.part_share == {} and torch.isfinite(torch.from_numpy(found.contribution)).all()
