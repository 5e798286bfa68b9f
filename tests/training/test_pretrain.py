"""The training loop: schedule against the goldens, learning on made pairs, resuming as if never stopped."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from echo2ecg_core.ecg.augment import AugmentationSpec
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.models.echo2ecg import Echo2ECG
from echo2ecg_core.models.specs import EcgEncoderSpec, EcgInputSpec, ModelSpec, StudySpec
from echo2ecg_core.training.clip_encoder import ClipTraining, train_clip_encoder
from echo2ecg_core.training.pairs import PreparedPairs
from echo2ecg_core.training.pretrain import RunParameters, learning_rate_factor, pretrain, validate

SPEC = ModelSpec(EcgInputSpec(n_samples=96), EcgEncoderSpec(width=24, depth=2, heads=3, patch=24, n_samples=96, drop_path=0.05),
                 study=StudySpec(width=32), temperature=0.1)
MILD = AugmentationSpec(surrogate_probability=0, jitter_strength=0.1, gain_std=0.05, time_flip_probability=0, sign_flip_probability=0)


def linked_pairs(seed, n=96):
    """Patients whose ECG wave forms and whose clips come from the same three hidden numbers."""
    rng = np.random.default_rng(seed)
    shape = np.random.default_rng(9)
    to_leads, to_clips = shape.normal(size=(3, 12)), shape.normal(size=(3, 512))
    hidden = rng.normal(size=(n, 3))
    waves = np.stack([np.sin(np.arange(96) * f) for f in (0.26, 0.52, 1.05)])  # (3, t)
    carrier = np.sin(np.arange(96) * 0.79)
    ecgs = np.einsum("nk,kl,kt->nlt", hidden, to_leads, waves) + carrier + 0.1 * rng.normal(size=(n, 12, 96))
    clips = np.repeat(hidden @ to_clips, 2, 0) + 0.1 * rng.normal(size=(2 * n, 512))
    rows = np.arange(n)
    return PreparedPairs(ecgs.astype(np.float16), clips.astype(np.float32), [np.array([2 * i, 2 * i + 1]) for i in rows], np.stack([rows] * 3, 1))


def test_the_schedule_is_the_published_one_at_every_step(goldens):
    stored = json.loads((goldens / "optimizer.json").read_text())
    settings = stored["settings"]
    n = settings["steps_per_epoch"]
    for step, rate in enumerate(stored["lr_of_step"]):
        factor = learning_rate_factor(step, settings["warmup"] * n, settings["max_epochs"] * n, settings["min_lr_factor"])
        assert settings["lr"] * factor == pytest.approx(rate, rel=1e-9), step


def test_linked_pairs_are_learnt_and_found_again_in_new_patients():
    torch.set_num_threads(1)
    parameters = RunParameters(epochs=40, batch_size=32, lr=2e-3, warmup_epochs=1, augmentation=MILD)
    untrained = Echo2ECG(SPEC)
    model = pretrain(SPEC, linked_pairs(0, n=256), linked_pairs(1), parameters)
    before, after = (validate(m, linked_pairs(2)) for m in (untrained, model))
    assert after["recall@10"] > 0.5 > 0.25 > before["recall@10"]  # 10 of 96 by chance


def test_a_stopped_run_ends_where_an_unbroken_one_does(tmp_path):
    torch.set_num_threads(1)
    parameters = RunParameters(epochs=4, batch_size=32, lr=1e-3, warmup_epochs=1, augmentation=MILD)
    whole = pretrain(SPEC, linked_pairs(0), linked_pairs(1), parameters)

    def stop(metrics):
        if metrics["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrain(SPEC, linked_pairs(0), linked_pairs(1), parameters, state_file=tmp_path / "state.pt", log=stop)
    resumed = pretrain(SPEC, linked_pairs(0), linked_pairs(1), parameters, state_file=tmp_path / "state.pt")
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key


def test_a_loss_that_is_no_number_stops_with_a_sentence():
    data = linked_pairs(0)
    data.ecgs[3] = np.nan
    with pytest.raises(Echo2ECGError, match="became nan in epoch 1"):
        pretrain(SPEC, data, linked_pairs(1), RunParameters(epochs=1, batch_size=96, augmentation=MILD))


@pytest.mark.slow
def test_the_clip_encoder_learns_views_and_who_is_who_without_labels():
    rng = np.random.default_rng(0)
    n_studies, shape = 16, np.random.default_rng(4).normal(size=(2, 56, 56))
    size = rng.uniform(0.2, 2.0, n_studies)
    views, study = np.tile([0, 3], n_studies), np.repeat(np.arange(n_studies), 2)
    pooled = (shape[views // 3] * size[study][:, None, None])[:, None].repeat(16, 1) + 0.05 * rng.normal(size=(32, 16, 56, 56))
    log = []
    parameters = ClipTraining(epochs=24, studies_per_batch=8, clips_per_study=2)
    network = train_clip_encoder(pooled.astype(np.float16), views.astype(np.int64), study.astype(np.int64), parameters, log.append)
    assert log[-1]["view_accuracy"] > 0.9 and log[-1]["contrast"] < log[0]["contrast"]
    assert not network.training


def test_run_parameters_default_to_the_paper():
    paper = RunParameters()
    assert (paper.epochs, paper.batch_size, paper.lr, paper.weight_decay, paper.warmup_epochs, paper.min_lr_factor) == (50, 256, 5e-4, 1e-7, 2, 0.1)
    assert paper.augmentation == AugmentationSpec() and replace(paper, epochs=1).epochs == 1
