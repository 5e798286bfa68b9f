"""The training loop: schedule and groups against the goldens, learning on made pairs, resuming as if never stopped."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from echo2ecg_core.ecg.augment_spec import AugmentationSpec
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.models.echo2ecg import Echo2ECG, contrastive_loss
from echo2ecg_core.models.echo_encoder import PhantomVideoNet
from echo2ecg_core.models.specs import EcgEncoderSpec, EcgInputSpec, ModelSpec, StudySpec
from echo2ecg_core.training import pretrain as training_loop
from echo2ecg_core.training.clip_encoder import ClipTraining, train_clip_encoder, vectors_of, whiten
from echo2ecg_core.training.pairs import PreparedPairs, not_negatives
from echo2ecg_core.training.parameters import RunParameters, learning_rate_factor
from echo2ecg_core.training.pretrain import _Task, open_fabric, parameter_groups, pretrain, validate

ROOT = Path(__file__).resolve().parents[2]
SPEC = ModelSpec(
    EcgInputSpec(n_samples=96),
    EcgEncoderSpec(width=24, depth=2, heads=3, patch=24, n_samples=96, drop_path=0.05),
    study=StudySpec(width=32),
    temperature=0.1,
)
MILD = AugmentationSpec(
    surrogate_probability=0, jitter_strength=0.1, gain_std=0.05, time_flip_probability=0, sign_flip_probability=0
)


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
    return PreparedPairs(
        ecgs.astype(np.float16),
        clips.astype(np.float32),
        [np.array([2 * i, 2 * i + 1]) for i in rows],
        np.stack([rows] * 3, 1),
    )


def test_the_schedule_is_the_published_one_at_every_step(goldens):
    stored = json.loads((goldens / "optimizer.json").read_text())
    settings = stored["settings"]
    n = settings["steps_per_epoch"]
    for step, rate in enumerate(stored["lr_of_step"]):
        factor = learning_rate_factor(
            step, settings["warmup"] * n, settings["max_epochs"] * n, settings["min_lr_factor"]
        )
        assert settings["lr"] * factor == pytest.approx(rate, rel=1e-9), step


@pytest.mark.slow
def test_linked_pairs_are_learnt_and_found_again_in_new_patients():
    torch.set_num_threads(1)
    parameters = RunParameters(
        epochs=40, batch_size=32, lr=2e-3, warmup_epochs=1, layer_decay=1, precision="32-true", augmentation=MILD
    )
    untrained = Echo2ECG(SPEC)
    model = pretrain(SPEC, linked_pairs(0, n=256), linked_pairs(1), parameters)
    before, after = (validate(_Task(m, parameters), linked_pairs(2), parameters) for m in (untrained, model))
    assert after["recall@10"] > 0.5 > 0.25 > before["recall@10"]  # 10 of 96 by chance


@pytest.mark.slow
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
    same_weights(whole, resumed)


def same_weights(one, other):
    for key, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key


RUN = """
import sys, torch
sys.path[:0] = [{root!r}, {root!r} + "/tests/training"]
from pathlib import Path
from test_pretrain import MILD, SPEC, linked_pairs
from echo2ecg_core.training.parameters import RunParameters
from echo2ecg_core.training.pretrain import pretrain
torch.set_num_threads(1)
pretrain(SPEC, linked_pairs(0), linked_pairs(1), RunParameters(**{parameters!r}, augmentation=MILD),
state_file=Path({state!r}), checkpoint_every_s=0)
"""


@pytest.mark.slow
def test_a_run_killed_in_the_middle_of_an_epoch_ends_with_the_same_weights_bit_for_bit(tmp_path):
    torch.set_num_threads(1)
    values = {"epochs": 30, "batch_size": 16, "lr": 1e-3, "warmup_epochs": 1}
    state = tmp_path / "state.pt"
    script = RUN.format(root=str(ROOT), parameters=values, state=str(state))
    process = subprocess.Popen([sys.executable, "-c", script])
    place = wait_for_a_checkpoint_inside_an_epoch(state, lambda: process.poll() is not None)
    process.kill()  # SIGKILL: no handler, no clean-up
    process.wait()
    assert place["epoch"] < 30 and place["step_in_epoch"] > 0
    parameters = RunParameters(**values, augmentation=MILD)
    resumed = pretrain(SPEC, linked_pairs(0), linked_pairs(1), parameters, state_file=state)
    same_weights(pretrain(SPEC, linked_pairs(0), linked_pairs(1), parameters), resumed)


def wait_for_a_checkpoint_inside_an_epoch(state, has_ended):
    for _ in range(6000):
        assert not has_ended(), "the run ended before it could be killed"
        if state.exists():
            place = torch.load(state, weights_only=True)["place"]
            if place["epoch"] >= 1 and place["step_in_epoch"] > 0:
                return place
        time.sleep(0.01)
    raise AssertionError("no checkpoint inside an epoch was written")


@pytest.mark.slow
def test_a_checkpoint_that_cannot_be_written_leaves_the_last_one(tmp_path, monkeypatch):
    torch.set_num_threads(1)
    parameters = RunParameters(epochs=2, batch_size=32, augmentation=MILD)
    state = tmp_path / "state.pt"
    pretrain(SPEC, linked_pairs(0), linked_pairs(1), replace(parameters, epochs=1), state_file=state)
    before = state.read_bytes()

    def full(value, file):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError):
        pretrain(SPEC, linked_pairs(0), linked_pairs(1), parameters, state_file=state)
    assert state.read_bytes() == before and list(tmp_path.iterdir()) == [state]


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    parameters = RunParameters(epochs=1, batch_size=32, augmentation=MILD)
    pretrain(SPEC, linked_pairs(0), linked_pairs(1), parameters, state_file=tmp_path / "state.pt")
    larger = replace(SPEC, study=StudySpec(width=64))
    with pytest.raises(Echo2ECGError, match="cannot be continued"):
        pretrain(
            larger, linked_pairs(0), linked_pairs(1), replace(parameters, epochs=2), state_file=tmp_path / "state.pt"
        )


def test_parameter_groups_are_the_published_ones(goldens):
    stored = json.loads((goldens / "optimizer.json").read_text())
    settings = stored["settings"]
    network = Echo2ECG(ModelSpec())
    ours = {
        g["name"]: g
        for g in parameter_groups(
            network,
            12,
            RunParameters(
                lr=settings["lr"], layer_decay=settings["layer_decay"], weight_decay=settings["weight_decay"]
            ),
        )
    }
    seen = set()
    for group in stored["groups"]:
        name = our_name(group["name"])
        assert ours[name]["lr"] / settings["lr"] == pytest.approx(group["multiplier"], rel=1e-9), name
        assert ours[name]["weight_decay"] == pytest.approx(group["weight_decay"], rel=1e-9), name
        seen.add(name)
    assert seen | {"study_pooling.kv.weight", "study_pooling.kv.bias"} == set(
        ours
    )  # q, k and v are one map in the published network


def our_name(published):
    for theirs, name in (
        ("attn.mha.in_proj_", "attn.qkv."),
        ("attn.mha.out_proj.", "attn.proj."),
        ("pos_embed_y.weight", "pos_embed_y"),
        ("token_aggregator.ecg_layernorm_global.", "token_pooling.norm."),
        ("ecg_alignment_global_token.", "ecg_alignment."),
        ("echo_projection_for_agg.", "view_projection."),
        ("echo_view_aggregator.aggregator.mha.out_proj.", "study_pooling.proj."),
        ("echo_alignment_global_token.", "study_alignment."),
    ):
        published = published.replace(theirs, name)
    if "aggregator.mha.in_proj_" in published:
        return "study_pooling.q." + published.rsplit("_", 1)[1]
    return published


def test_a_loss_that_is_no_number_stops_with_a_sentence():
    data = linked_pairs(0)
    data.ecgs[3] = np.nan
    with pytest.raises(Echo2ECGError, match="became nan in epoch 1"):
        pretrain(SPEC, data, linked_pairs(1), RunParameters(epochs=1, batch_size=96, augmentation=MILD))


class CountsReads(TorchDispatchMode):
    """Counts how often a number is read off a tensor, for which the host has to wait for the device."""

    def __init__(self):
        super().__init__()
        self.reads = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.reads += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["contrastive", "masked"])
def test_the_host_waits_for_the_device_no_oftener_with_more_steps(monkeypatch, objective):
    monkeypatch.setattr(training_loop, "validate", lambda *arguments: {})
    monkeypatch.setattr(training_loop, "TELL_EVERY_S", 1e9)
    reads, log = [], []
    for batch in (32, 8):  # 3 and 12 steps
        parameters = RunParameters(
            objective=objective, epochs=1, batch_size=batch, precision="32-true", clip_norm=1.0, augmentation=MILD
        )
        with CountsReads() as counted:
            pretrain(SPEC, linked_pairs(0), linked_pairs(1), parameters, log=log.append)
        reads.append(counted.reads)
    assert [m["step"] for m in log] == [3, 12] and reads[0] == reads[1] > 0


@pytest.mark.slow
def test_the_clip_encoder_learns_views_and_who_is_who_without_labels():
    rng = np.random.default_rng(0)
    n_studies, shape = 16, np.random.default_rng(4).normal(size=(2, 56, 56))
    size = rng.uniform(0.2, 2.0, n_studies)
    views, study = np.tile([0, 3], n_studies), np.repeat(np.arange(n_studies), 2)
    pooled = (shape[views // 3] * size[study][:, None, None])[:, None].repeat(16, 1) + 0.05 * rng.normal(
        size=(32, 16, 56, 56)
    )
    log = []
    parameters = ClipTraining(epochs=24, studies_per_batch=8, clips_per_study=2)
    network = train_clip_encoder(
        pooled.astype(np.float16), views.astype(np.int64), study.astype(np.int64), parameters, log.append
    )
    assert log[-1]["view_accuracy"] > 0.9 and log[-1]["contrast"] < log[0]["contrast"]
    assert not network.training


@pytest.mark.slow
def test_whitened_clip_vectors_have_no_mean_even_spread_and_the_same_view_scores():
    torch.manual_seed(0)
    network, rng = PhantomVideoNet().eval(), np.random.default_rng(0)
    with torch.no_grad():
        network.head.bias.normal_()
        network.head.weight[:7] *= 40  # a few directions hold nearly everything
    pooled = (
        rng.normal(size=(200, 1, 56, 56)) * rng.uniform(0.2, 2, (200, 1, 1, 1)) + rng.normal(size=(200, 16, 1, 1))
    ).astype(np.float16)
    before = vectors_of(network, pooled)
    scores = network.view_logits(torch.from_numpy(before)).detach()
    after = vectors_of(whiten(network, before, shrinkage=0.5), pooled)
    old, new = (np.linalg.eigvalsh(np.cov(v.T.astype(float)))[::-1] for v in (before, after))
    floor = 0.5 * old.clip(0).mean()
    np.testing.assert_allclose(new[:7], old[:7] / (old[:7] + floor), rtol=0.02)
    assert np.abs(after.mean(0)).max() < 0.02 and old[0] / old[6] > 1.5 * new[0] / new[6]
    torch.testing.assert_close(
        network.view_logits(torch.from_numpy(after)), scores, atol=0.02 * float(scores.std()), rtol=0
    )


def test_run_parameters_default_to_the_paper():
    paper = RunParameters()
    assert (paper.epochs, paper.batch_size, paper.lr, paper.weight_decay, paper.warmup_epochs, paper.min_lr_factor) == (
        50,
        256,
        5e-4,
        1e-7,
        2,
        0.1,
    )
    assert paper.augmentation == AugmentationSpec() and replace(paper, epochs=1).epochs == 1


STILL = AugmentationSpec(
    surrogate_probability=0, jitter_strength=0, gain_std=0, time_flip_probability=0, sign_flip_probability=0
)
TWO = """
import sys
sys.path[:0] = [{root!r}, {root!r} + "/tests/training"]
from pathlib import Path
from test_pretrain import one_step
one_step(Path({state!r}))
"""


def one_step(state, pairs=None):
    """One optimiser step on a batch of all pairs without any randomness; the loss of it on the first process."""
    torch.set_num_threads(1)
    spec = replace(SPEC, ecg_encoder=replace(SPEC.ecg_encoder, drop_path=0.0), learnable_temperature=True)
    pairs = linked_pairs(0, n=32) if pairs is None else pairs
    parameters = RunParameters(
        epochs=1, batch_size=len(pairs), precision="32-true", augmentation=STILL, same_patient_negatives=False
    )
    log = []
    pretrain(
        spec,
        pairs,
        linked_pairs(1),
        parameters,
        fabric=open_fabric("32-true", "cpu"),
        state_file=state,
        log=log.append,
    )
    if log:
        state.with_suffix(".json").write_text(json.dumps(log[-1]["loss"]))


@pytest.mark.endurance  # the eight below are the same to the network; torchrun itself is tests/answers/test_embed.py's
def test_two_processes_of_torchrun_give_the_loss_and_the_gradients_of_one_with_the_whole_batch(tmp_path):
    one_step(tmp_path / "one.pt")
    script = tmp_path / "two.py"
    script.write_text(TWO.format(root=str(ROOT), state=str(tmp_path / "two.pt")))
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert_is_the_same_step(tmp_path / "one.pt", tmp_path / "two.pt")


def assert_is_the_same_step(one, many):
    """Loss and gradients of two processes' checkpoints; after one step AdamW's first moment is a tenth of the
    gradient."""
    losses = [json.loads(file.with_suffix(".json").read_text()) for file in (one, many)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)
    one, many = (torch.load(file, weights_only=True)["optimizer"]["state"] for file in (one, many))
    assert len(one) == len(many) > 30
    for i in one:
        torch.testing.assert_close(many[i]["exp_avg"], one[i]["exp_avg"], rtol=1e-4, atol=1e-8)


SIMULATED = """
import sys
sys.path[:0] = [{root!r}, {root!r} + "/tests/training"]
from pathlib import Path
import test_pretrain
test_pretrain.{run}(Path({folder!r}))
"""


def simulated(run, folder):
    """A process that calls run(folder) of this module and may fork: a fork of one that has used threads may hang."""
    script = SIMULATED.format(root=str(ROOT), run=run.__name__, folder=str(folder))
    single = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=500, env={**os.environ, **single}
    )


def forked(ranks, run, *arguments):
    """Starts `ranks` processes as a launcher does, but forked, so that the libraries are loaded once; gives their
    numbers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    count = {"WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks), "GROUP_RANK": "0"}
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "simulated"}
    children = []
    for rank in range(ranks):
        if not (child := os.fork()):
            os.environ.update(count | where | {"RANK": str(rank), "LOCAL_RANK": str(rank)})
            try:
                run(*arguments)
            except BaseException as error:
                print(rank, repr(error), file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        children.append(child)
    return children


def ended_well(children):
    endings = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    return not any(endings)


def one_step_of_one_and_of_eight(folder):
    pairs = linked_pairs(0, n=4096)
    one_step(folder / "one.pt", pairs)
    assert ended_well(forked(8, one_step, folder / "eight.pt", pairs))


@pytest.mark.slow
def test_eight_simulated_ranks_give_the_loss_and_the_gradients_of_one_with_4096_pairs(tmp_path):
    done = simulated(one_step_of_one_and_of_eight, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert_is_the_same_step(tmp_path / "one.pt", tmp_path / "eight.pt")


def whole_run(folder):
    """Four epochs of one of two processes: the first one alone is told of the checkpoint. While a
    file `slow` is there every line of the log takes a moment, so that the run can be killed inside an epoch."""
    torch.set_num_threads(1)
    parameters = RunParameters(epochs=4, batch_size=16, lr=1e-3, warmup_epochs=1, augmentation=MILD)
    fabric = open_fabric("32-true", "cpu")

    def log(metrics):
        with (folder / "losses.txt").open("a") as file:
            file.write(f"{metrics['kind']} {metrics['epoch']} {metrics['loss']:.9g}\n")

    data = linked_pairs(0)
    if (folder / "slow").exists():
        object.__setattr__(data, "views", lambda *a, _views=data.views, **k: (time.sleep(0.05), _views(*a, **k))[1])
    state = folder / "state.pt" if fabric.is_global_zero else None
    network = pretrain(
        SPEC, data, linked_pairs(1), parameters, fabric=fabric, state_file=state, log=log, checkpoint_every_s=0
    )
    torch.save(network.state_dict(), folder / f"rank-{fabric.global_rank}.pt")


def unbroken_and_broken_runs(folder):
    """Two processes run to the end in `unbroken`; in `broken` two are killed inside an epoch, and two go on."""
    broken = folder / "broken"
    assert ended_well(forked(2, whole_run, folder / "unbroken"))
    (broken / "slow").touch()
    children = forked(2, whole_run, broken)
    place = wait_for_a_checkpoint_inside_an_epoch(
        broken / "state.pt", lambda: any(os.waitpid(child, os.WNOHANG)[0] for child in children)
    )
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert 1 <= place["epoch"] < 4 and place["step_in_epoch"] > 0 and not (broken / "rank-0.pt").exists()
    (broken / "slow").unlink()
    assert ended_well(forked(2, whole_run, broken))


@pytest.mark.slow
def test_two_processes_killed_inside_an_epoch_and_started_again_end_like_an_unbroken_run(tmp_path):
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    for folder in (unbroken, broken):
        folder.mkdir()
    done = simulated(unbroken_and_broken_runs, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    expected = torch.load(unbroken / "rank-0.pt", weights_only=True)
    for weights in (torch.load(broken / f"rank-{rank}.pt", weights_only=True) for rank in (0, 1)):
        for key, value in expected.items():
            assert torch.equal(value, weights[key]), key
    of_epochs = [
        dict(line.split()[1:] for line in (f / "losses.txt").read_text().splitlines() if line.startswith("epoch"))
        for f in (unbroken, broken)
    ]
    assert of_epochs[0] == of_epochs[1] and len(of_epochs[0]) == 4


def test_pairs_of_one_patient_are_no_negatives_unless_wanted():
    pairs = np.array([[1, 10, 5], [1, 11, 6], [2, 12, 7], [3, 13, 7]])
    excluded = not_negatives(pairs)
    assert excluded.tolist() == [
        [False, True, False, False],
        [True, False, False, False],
        [False, False, False, True],
        [False, False, True, False],
    ]
    a, b = (
        torch.randn(4, 8, generator=torch.Generator().manual_seed(1)),
        torch.randn(4, 8, generator=torch.Generator().manual_seed(2)),
    )
    masked = contrastive_loss(a, b, 0.5, not_negative=torch.from_numpy(excluded))
    p, q = torch.nn.functional.normalize(a, dim=1), torch.nn.functional.normalize(b, dim=1)
    similarity = (p @ q.T / 0.5).exp()
    keep = torch.from_numpy(~excluded)
    slow = (
        sum(
            -torch.log(similarity[i, i] / similarity[i][keep[i]].sum())
            - torch.log(similarity[i, i] / similarity[:, i][keep[:, i]].sum())
            for i in range(4)
        )
        / 8
    )
    assert float(masked) == pytest.approx(float(slow), rel=1e-5)


@pytest.mark.parametrize("pooling", ["attention", "mean", "cls", "single_view"])
def test_every_pooling_trains(pooling):
    parameters = RunParameters(epochs=1, batch_size=32, augmentation=MILD)
    log = []
    pretrain(
        replace(SPEC, study=StudySpec(width=32, pooling=pooling)),
        linked_pairs(0),
        linked_pairs(1),
        parameters,
        log=log.append,
    )
    assert {
        "loss",
        "validation_loss",
        "recall@1",
        "recall@5",
        "recall@10",
        "median_rank",
        "lr",
        "grad_norm",
        "temperature",
        "pairs_per_s",
    } <= set(log[-1])


@pytest.mark.slow
def test_masked_pretraining_learns_to_draw_hidden_patches_and_leaves_the_rest_alone():
    torch.set_num_threads(1)
    parameters = RunParameters(
        objective="masked",
        epochs=16,
        batch_size=32,
        lr=3e-3,
        layer_decay=1,
        mask_ratio=0.5,
        precision="32-true",
        augmentation=MILD,
    )
    log = []
    model = pretrain(SPEC, linked_pairs(0, n=256), linked_pairs(1), parameters, log=log.append)
    log = [metrics for metrics in log if metrics["kind"] == "epoch"]
    assert log[-1]["validation_loss"] < 0.7 * log[0]["validation_loss"] < 0.8
    assert not {"temperature", "candidates", "recall@10"} & log[-1].keys()
    torch.manual_seed(parameters.seed)
    fresh = Echo2ECG(SPEC)
    assert torch.equal(fresh.ecg_alignment.weight, model.ecg_alignment.weight)
    assert not torch.equal(fresh.ecg_encoder.blocks[0].mlp.fc1.weight, model.ecg_encoder.blocks[0].mlp.fc1.weight)


def test_a_learnable_temperature_is_really_trained():
    log = []
    spec = replace(SPEC, learnable_temperature=True)
    pretrain(
        spec,
        linked_pairs(0),
        linked_pairs(1),
        RunParameters(epochs=3, batch_size=32, lr=1e-2, augmentation=MILD),
        log=log.append,
    )
    assert log[-1]["temperature"] != pytest.approx(spec.temperature, rel=1e-3)


def test_accumulated_batches_make_one_step_and_keep_contrasts_of_their_own():
    log = []
    pretrain(
        SPEC,
        linked_pairs(0),
        linked_pairs(1),
        RunParameters(epochs=1, batch_size=16, accumulate=3, augmentation=MILD),
        log=log.append,
    )
    assert log[-1]["step"] == 2  # 96 pairs / (16 x 3)


def test_too_few_pairs_for_a_step_is_said_before_anything_runs():
    with pytest.raises(Echo2ECGError, match="fewer than one step needs"):
        pretrain(SPEC, linked_pairs(0, n=8), linked_pairs(1), RunParameters(batch_size=8, accumulate=2))


@pytest.mark.parametrize(
    ("name", "value"), [("objective", "guess"), ("precision", "8"), ("epochs", 0), ("mask_ratio", 1.0)]
)
def test_impossible_parameters_are_refused_by_name(name, value):
    with pytest.raises(Echo2ECGError, match=name):
        RunParameters(**{name: value})


def test_the_load_of_a_gpu_is_a_share_and_its_memory_is_in_billions_of_bytes(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (119_000_000_000, 150_000_000_000))
    monkeypatch.setattr(torch.cuda, "utilization", lambda device: 87)  # per cent, as the driver counts
    told = training_loop.device_load(torch.device("cuda"))
    assert told == {"gpu_memory_gb": 31.0, "gpu_memory_total_gb": 150.0, "gpu_load": 0.87}
    assert training_loop.device_load(torch.device("cpu")) == {}
