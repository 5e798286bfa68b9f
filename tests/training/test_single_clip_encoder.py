"""The clip encoder that learns from single clips: what it is shown, what it draws, and what its vectors then tell."""

import numpy as np
import pytest
import torch

from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.training.clip_encoder import vectors_of
from echo2ecg_core.training.single_clip_encoder import (
    ORDERS,
    SingleClipTraining,
    hidden,
    reordered,
    targets,
    train_on_single_clips,
)


def beating_rings(n, seed):
    """Clips (n, 16, 56, 56) of a ring that beats once, at the left (view 0) or the right (view 3), and by how much."""
    rng = np.random.default_rng(seed)
    views, beat = rng.choice([0, 3], n), rng.uniform(0.05, 0.5, n)
    radius = rng.uniform(9, 12, n)[:, None] * (1 - beat[:, None] * np.sin(np.linspace(0, np.pi, 16)) ** 2)  # (n, 16)
    y, x = np.mgrid[:56, :56]
    left = np.where(views == 0, 18, 38)
    far = np.hypot(x[None] - left[:, None, None], y[None] - 28)  # (n, 56, 56)
    pooled = 2 * np.exp(-(((far[:, None] - radius[:, :, None, None]) / 2.5) ** 2))
    return (pooled + 0.1 * rng.normal(size=pooled.shape)).astype(np.float16), views.astype(np.int64), beat


@pytest.mark.slow
def test_from_single_clips_it_learns_views_order_and_motion_and_its_vectors_tell_how_much_a_ring_beats():
    from sklearn.linear_model import RidgeCV

    torch.set_num_threads(1)
    pooled, views, beat = beating_rings(64, 0)
    log = []
    network = train_on_single_clips(pooled, views, SingleClipTraining(epochs=5, batch_size=16), log.append)
    assert not network.training and [entry["epoch"] for entry in log] == [1, 2, 3, 4, 5]
    assert log[-1]["view_accuracy"] > 0.9 and log[-1]["still_drawn"] > log[0]["still_drawn"]
    assert log[-1]["motion_drawn"] > max(0.1, log[0]["motion_drawn"])
    other, other_views, other_beat = beating_rings(30, 1)
    vectors = vectors_of(network, other)
    assert (network.view_logits(torch.from_numpy(vectors)).argmax(1).numpy() == other_views).mean() > 0.9
    ridge = RidgeCV(np.logspace(-1, 4, 6)).fit(vectors_of(network, pooled), beat)
    assert ridge.score(vectors, other_beat) > 0.6


def test_frames_run_forwards_backwards_or_are_shuffled_and_it_says_which():
    x = torch.arange(16.0).repeat(200, 1)[:, :, None, None].expand(200, 16, 8, 8)
    shown, order = reordered(x, np.random.default_rng(0))
    frames = shown[:, :, 0, 0]
    forwards = torch.arange(16.0)
    for clip, kind in zip(frames, order, strict=True):
        same = {"forwards": torch.equal(clip, forwards), "backwards": torch.equal(clip, forwards.flip(0))}
        assert same.get(ORDERS[kind], not any(same.values()))
        assert torch.equal(clip.sort().values, forwards)
    assert np.bincount(order, minlength=3) / 200 == pytest.approx([0.5, 0.25, 0.25], abs=0.1)


def test_whole_blocks_are_hidden_by_the_clips_mean_and_at_most_the_share_that_is_allowed():
    x = torch.from_numpy(np.random.default_rng(1).normal(3, 1, (30, 16, 56, 56)).astype(np.float32))
    shown = hidden(x, 0.5, np.random.default_rng(2))
    changed = shown != x
    blocks = changed.unflatten(1, (4, 4)).unflatten(3, (7, 8)).unflatten(5, (7, 8)).permute(0, 1, 3, 5, 2, 4, 6)
    blocks = blocks.flatten(4).float().mean(-1)  # (30, 4, 7, 7)
    assert set(blocks.unique().tolist()) == {0.0, 1.0}
    share = blocks.mean((1, 2, 3))
    assert share.max() < 0.6 and share.mean() == pytest.approx(0.25, abs=0.08)
    assert torch.equal(shown[changed], x.mean((1, 2, 3), keepdim=True).expand_as(x)[changed])


def test_what_is_drawn_does_not_depend_on_gain_and_falls_into_a_still_picture_and_motion_around_it():
    x = torch.from_numpy(np.random.default_rng(3).normal(size=(4, 16, 56, 56)).astype(np.float32))
    still, motion = targets(x)
    assert still.shape == (4, 196) and motion.shape == (4, 3136)
    for part, again in zip((still, motion), targets(3 * x + 1), strict=True):
        torch.testing.assert_close(part, again, atol=1e-4, rtol=1e-3)
    assert motion.unflatten(1, (16, 196)).mean(1).abs().max() < 1e-5


def test_fewer_clips_than_a_batch_are_refused():
    with pytest.raises(Echo2ECGError, match="There are 3 clips, fewer than one batch holds"):
        train_on_single_clips(np.zeros((3, 16, 56, 56), np.float16), np.zeros(3, np.int64), SingleClipTraining())
