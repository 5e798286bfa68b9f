"""Weights of ready models: recognised by keys, read safely, whole or refused; answers come through one interface."""

import hashlib

import numpy as np
import pytest
import torch

from echo2ecg_core.errors import ModelError
from echo2ecg_core.models.ecgfounder import unused_shapes
from echo2ecg_core.models.import_weights import import_weights
from echo2ecg_core.models.panecho import TASKS
from echo2ecg_core.models.ready_heads import READY, answers

WRAPPED_IN = {"echonext": "model", "ecgfounder": "state_dict", "panecho": "weights"}


def published_file(kind, path, **beside):
    """Fresh weights in the wrapping their authors use."""
    torch.manual_seed(0)
    state = READY[kind].network().state_dict()
    if kind == "ecgfounder":
        state |= {key: torch.ones(shape) for key, shape in unused_shapes().items()}
        beside = {"step": np.int64(7), "val_auroc": np.float64(0.9)} | beside
    if kind == "panecho":
        state["encoder.time_encoder.pe"] = torch.zeros(1, 16, 768)
    torch.save({WRAPPED_IN[kind]: state, **beside}, path)
    return state


@pytest.mark.slow
@pytest.mark.parametrize("kind", READY)
def test_a_published_file_is_recognised_by_its_keys_and_says_licence_and_origin(kind, tmp_path):
    state = published_file(kind, tmp_path / "any-name.pt")
    found = import_weights(tmp_path / "any-name.pt")
    assert found.kind == kind and not found.missing and not found.unexpected
    kept = found.networks[kind].state_dict()
    assert all(torch.equal(kept[key], state[key]) for key in kept)
    words = " ".join(found.notes)
    sha256 = hashlib.sha256((tmp_path / "any-name.pt").read_bytes()).hexdigest()
    assert f"SHA-256 {sha256}" in words and found.source_sha256 == sha256
    assert READY[kind].licence in words and READY[kind].source in words and READY[kind].can in words


def test_the_old_file_format_is_read_with_its_numpy_numbers_too(tmp_path):
    state = READY["ecgfounder"].network().state_dict()
    torch.save(
        {"state_dict": state, "val_auroc": np.float64(0.9)}, tmp_path / "x.pth", _use_new_zipfile_serialization=False
    )
    assert import_weights(tmp_path / "x.pth").kind == "ecgfounder"


@pytest.mark.slow
def test_extra_keys_are_reported_of_panecho_and_refused_of_the_others(tmp_path):
    for kind in READY:
        published_file(kind, tmp_path / "x.pt")
        payload = torch.load(tmp_path / "x.pt", weights_only=False)
        payload[WRAPPED_IN[kind]]["more.weight"] = torch.zeros(2)
        torch.save(payload, tmp_path / "x.pt")
        if kind == "panecho":
            assert import_weights(tmp_path / "x.pt").unexpected == ("more.weight",)
        else:
            with pytest.raises(ModelError, match="unknown"):
                import_weights(tmp_path / "x.pt", allow_partial=True)


def test_incomplete_weights_are_refused_even_where_partial_ones_are_allowed(tmp_path):
    published_file("echonext", tmp_path / "x.pt")
    payload = torch.load(tmp_path / "x.pt", weights_only=True)
    del payload["model"]["layer2.1.conv2.weight"]
    torch.save(payload, tmp_path / "x.pt")
    with pytest.raises(ModelError, match="missing"):
        import_weights(tmp_path / "x.pt", allow_partial=True)


def test_two_models_in_one_import_are_refused(tmp_path):
    published_file("echonext", tmp_path / "a.pt")
    published_file("ecgfounder", tmp_path / "b.pt")
    with pytest.raises(ModelError, match="several models"):
        import_weights(tmp_path)


@pytest.mark.parametrize("kind", ["echonext", "ecgfounder"])
def test_an_ecg_model_answers_with_a_score_for_each_of_its_names(kind):
    head = READY[kind]
    network = head.network().eval()
    signal = np.random.default_rng(0).standard_normal((12, 5000)).astype(np.float32) * 0.2
    inputs = head.prepare(signal, 500.0, {"sex": "male", "age_years": 60.0})
    found = answers(head, network, *(x[None] for x in inputs))
    assert found.shape == (1, len(head.outputs)) and ((found > 0) & (found < 1)).all()
    with torch.inference_mode():
        raw = head.raw(network, *(torch.from_numpy(x[None]) for x in inputs)).numpy()
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-raw)), atol=1e-6)


def test_panecho_outputs_stand_in_the_order_of_their_names():
    head = READY["panecho"]
    raw = torch.randn(2, 58, generator=torch.Generator().manual_seed(1))
    told = dict(zip([output.name for output in head.outputs], head.told(raw).T.numpy(), strict=True))
    starts = dict(zip([t.name for t in TASKS], np.cumsum([0, *(t.n_outputs for t in TASKS)]), strict=False))
    np.testing.assert_allclose(told["EF"], raw[:, starts["EF"]])
    effusion = raw[:, starts["pericardial-effusion"]]
    np.testing.assert_allclose(told["pericardial-effusion: mild_mod_severe"], 1 - effusion.sigmoid(), atol=1e-6)
    walls = raw[:, starts["LVWallMotionAbnormalities"]]
    np.testing.assert_allclose(told["LVWallMotionAbnormalities: Present"], walls.sigmoid(), atol=1e-6)
    leak = raw[:, starts["MVRegurgitation"] : starts["MVRegurgitation"] + 3].softmax(1)
    np.testing.assert_allclose(told["MVRegurgitation: Moderate|Severe"], leak[:, 1], atol=1e-6)
