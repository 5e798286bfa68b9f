"""A step of embedding, training and evaluation with fake tensors on a pretended GPU: operations on two devices raise.

PyTorch's fake tensors hold a shape and a device and no numbers, and refuse what a GPU would refuse. A PyTorch without
CUDA ends the process where an operation asks for the streams of "cuda:0", so the pretended device is PyTorch's place
for devices of others, under a name of its own; the project's code treats it as any device that is not the CPU.
"""

from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from echo2ecg_core.answers.embed import _Work
from echo2ecg_core.answers.loaded_model import LoadedModel, ecg_tensors, ecg_vectors
from echo2ecg_core.models.echo2ecg import Echo2ECG
from echo2ecg_core.models.echo_encoder import clip_encoder_of
from echo2ecg_core.models.specs import PRESETS
from echo2ecg_core.training.batches import batch_at, places
from echo2ecg_core.training.pairs import PreparedPairs
from echo2ecg_core.training.parameters import RunParameters
from echo2ecg_core.training.pretrain import _loss, _Task, validate
from echo2ecg_core.training.run_state import RunState

_setup_privateuseone_for_python_backend("pretended")
GPU = torch.device("pretended:0")
SPEC = PRESETS["demo"]
N = SPEC.ecg_input.n_samples


@contextmanager
def pretended_gpu(monkeypatch):
    """Everything made inside is fake; what is fetched from the device has to be on the CPU and is zeros."""

    def fetched(tensor):
        assert tensor.device.type == "cpu", "numbers of a GPU tensor are asked for"
        return np.zeros(tuple(tensor.shape), np.float32)

    def number(tensor):
        return 0.0

    with monkeypatch.context() as patched, FakeTensorMode(allow_non_fake_inputs=True):
        patched.setattr(FakeTensor, "numpy", fetched, raising=False)
        patched.setattr(FakeTensor, "__float__", number, raising=False)
        patched.setattr(FakeTensor, "__int__", lambda tensor: 0, raising=False)
        yield


def on_gpu(network: torch.nn.Module) -> torch.nn.Module:
    """The network with parameters and buffers that claim to lie on the GPU."""
    for module in network.modules():
        for name, tensor in module._parameters.items():
            if tensor is not None:
                module._parameters[name] = torch.nn.Parameter(
                    torch.empty_like(tensor, device=GPU), tensor.requires_grad
                )
        for name, tensor in module._buffers.items():
            if tensor is not None:
                module._buffers[name] = torch.empty_like(tensor, device=GPU)
    return network


def fabric(world_size=1):
    return SimpleNamespace(
        device=GPU,
        global_rank=0,
        world_size=world_size,
        is_global_zero=True,
        autocast=nullcontext,
    )


def pairs(n=8) -> PreparedPairs:
    rng = np.random.default_rng(0)
    rows = np.arange(n)
    return PreparedPairs(
        rng.normal(size=(n, 12, N + 50)).astype(np.float16),
        rng.normal(size=(2 * n, 512)).astype(np.float32),
        [np.array([2 * i, 2 * i + 1]) for i in rows],
        np.stack([rows] * 3, 1),
    )


def test_the_pretended_gpu_raises_where_devices_mix(monkeypatch):
    real = torch.nn.Linear(3, 2)
    with pretended_gpu(monkeypatch):
        network = on_gpu(real)
        assert network(torch.ones(1, 3, device=GPU)).device == GPU
        with pytest.raises(RuntimeError, match="same device"):
            network(torch.ones(1, 3))
        with pytest.raises(AssertionError, match="numbers of a GPU tensor"):
            torch.ones(1, device=GPU).numpy()


@pytest.mark.parametrize("windows", [1, 3])
def test_a_step_of_embedding_ecgs(monkeypatch, windows):
    real = Echo2ECG(SPEC).eval()
    with pretended_gpu(monkeypatch):
        model = LoadedModel(None, on_gpu(real), None, None, SPEC, None, {})
        work = _Work(None, model, fabric(), ["a", "b"], lambda share, message: None, "ECG")
        made = work._send(np.zeros((2, windows, 12, N), np.float32), lambda x: ecg_tensors(model.echo2ecg, x))
        assert {tensor.device for tensor in made} == {GPU}
        ids, (embedding, aligned) = work._fetch(["a", "b"], lambda: made)
        assert embedding.shape == (2, SPEC.ecg_encoder.width) and aligned.shape == (2, 512)


def test_a_step_of_embedding_clips_and_studies(monkeypatch):
    real, real_clips = Echo2ECG(SPEC).eval(), clip_encoder_of(SPEC.clip_encoder).eval()
    with pretended_gpu(monkeypatch):
        model = LoadedModel(None, on_gpu(real), on_gpu(real_clips), None, SPEC, None, {})
        work = _Work(None, model, fabric(), ["a", "b"], lambda share, message: None, "clip")
        clips = np.zeros((2, 3, 16, 224, 224), np.float32)
        _, (vectors, _) = work._fetch(["a", "b"], partial(work._send, clips, model.clip_tensors))
        assert vectors.shape == model.embed_clips(clips)[0].shape == (2, 512)
        assert model.align_studies([vectors, vectors[:1]]).shape == (2, 512)
        assert model.view_weights(vectors).shape == (2,)


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["contrastive", "masked"])
@pytest.mark.parametrize("same_patient_negatives", [True, False])
def test_a_step_of_training_forwards_and_backwards(monkeypatch, objective, same_patient_negatives):
    parameters = RunParameters(
        epochs=1, batch_size=8, objective=objective, same_patient_negatives=same_patient_negatives
    )
    spec = replace(SPEC, learnable_temperature=True)
    real = _Task(Echo2ECG(spec), parameters).train()
    with pretended_gpu(monkeypatch):
        task = on_gpu(real)
        run = RunState(parameters, pairs(), 1)
        batch = batch_at(next(places(run, 0)), run, spec, GPU)
        metrics = _loss(fabric(), task, objective, batch)
        assert {metric.device for metric in metrics.values()} == {GPU}
        metrics["loss"].backward()
        gradients = [p.grad for p in task.parameters() if p.grad is not None]
        assert len(gradients) > 20 and {gradient.device for gradient in gradients} == {GPU}


def test_a_step_of_validation_and_of_evaluation(monkeypatch):
    parameters = RunParameters(epochs=1, batch_size=8)
    real = _Task(Echo2ECG(SPEC), parameters)
    with pretended_gpu(monkeypatch):
        task = on_gpu(real)
        assert "validation_loss" in validate(task, pairs(), parameters)
        found = ecg_vectors(task.network, np.random.default_rng(0).normal(size=(2, 1, 12, N)))
        assert found.embedding.shape == (2, SPEC.ecg_encoder.width) and found.aligned.shape == (2, 512)
