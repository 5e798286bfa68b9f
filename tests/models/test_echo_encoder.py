"""Clip encoders: the attention of MViTv2 against loops, and what the small network sees."""

import math

import pytest
import torch
import torch.nn.functional as F

from echo2ecg_core.errors import ModelError
from echo2ecg_core.models.echo_encoder import MViT, PhantomVideoNet, PooledAttention, clip_encoder_of
from echo2ecg_core.models.specs import ClipEncoderSpec
from echo2ecg_core.models.view_classifier import ViewClassifier


@pytest.fixture(autouse=True)
def fixed_seed():
    torch.manual_seed(7)


# --- MViTv2-S ---


def attention_with_loops(module, q, k, v, q_grid, k_grid):
    """MViTv2 attention of one head, one query at a time: (n, d), (n_k, d) -> (n, d)."""
    places_q = [(t, y, x) for t in range(q_grid[0]) for y in range(q_grid[1]) for x in range(q_grid[2])]
    places_k = [(t, y, x) for t in range(k_grid[0]) for y in range(k_grid[1]) for x in range(k_grid[2])]
    tables = (module.rel_pos_t, module.rel_pos_h, module.rel_pos_w)
    out = []
    for i, query in enumerate(q):
        scores = k @ query / math.sqrt(len(query))
        if i > 0:
            bias = torch.zeros(len(k))
            for j, place_k in enumerate(places_k):
                for axis, table in enumerate(tables):
                    n_q, n_k = q_grid[axis], k_grid[axis]
                    step_q, step_k = max(n_k // n_q, 1), max(n_q // n_k, 1)
                    row = places_q[i - 1][axis] * step_q - place_k[axis] * step_k + (n_k - 1) * step_k
                    bias[j + 1] += query @ table[row]
            scores = scores + bias
        out.append(scores.softmax(0) @ v + (query if i > 0 else 0))
    return torch.stack(out)


@pytest.mark.slow
@pytest.mark.parametrize("q_stride, kv_stride", [(1, 1), (2, 1), (1, 2)])
def test_relative_positions_as_extra_channels_equal_loops(q_stride, kv_stride):
    module = PooledAttention(12, 16, heads=2, q_stride=q_stride, kv_stride=kv_stride, size=4).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.5)
        x = torch.randn(1, 1 + 8 * 4 * 4, 12)
        found, grid = module(x, (8, 4, 4))
        assert grid == (8, 4 // q_stride, 4 // q_stride)
        q, k, v = module.qkv(x).view(1, -1, 3, 2, 8).permute(2, 0, 3, 1, 4)
        (q, _), (k, k_grid), (v, _) = (
            module.pool_q(q, (8, 4, 4)),
            module.pool_k(k, (8, 4, 4)),
            module.pool_v(v, (8, 4, 4)),
        )
        heads = [attention_with_loops(module, q[0, h], k[0, h], v[0, h], grid, k_grid) for h in range(2)]
        torch.testing.assert_close(found[0], module.proj(torch.cat(heads, dim=1)), atol=1e-4, rtol=1e-4)


def test_mvit_has_the_published_number_of_parameters(published_numbers):
    with torch.device("meta"):
        network = MViT()
    assert sum(p.numel() for p in network.parameters()) == published_numbers.json("echo_encoder_keys")["n_parameters"]


# --- the small network of the demo ---


def test_small_network_is_small_and_gives_512_numbers_and_11_views():
    network = clip_encoder_of(ClipEncoderSpec(kind="phantom_video"))
    assert sum(p.numel() for p in network.parameters()) <= 2_000_000
    features = network(torch.randn(2, 3, 16, 224, 224))
    assert features.shape == (2, 512) and network.view_logits(features).shape == (2, 11)


def test_pooled_clips_are_the_mean_grey_of_four_by_four_pixels():
    network, clips = PhantomVideoNet().eval(), torch.randn(2, 3, 16, 224, 224)
    pooled = network.pooled(clips)
    torch.testing.assert_close(pooled[1, 5, 2, 3], clips[1, :, 5, 8:12, 12:16].mean())
    assert torch.equal(network.from_pooled(pooled), network(clips))


def test_a_clip_vector_does_not_depend_on_its_batch():
    network, pooled = PhantomVideoNet().eval(), torch.randn(4, 16, 56, 56)
    torch.testing.assert_close(network.from_pooled(pooled)[2:3], network.from_pooled(pooled[2:3]), atol=1e-5, rtol=1e-4)


def beating_rings(n):
    """(n, 16, 56, 56) clips of rings, and their radius, wall thickness and motion in standard deviations, (n, 3)."""
    radius, wall, motion = torch.rand(n) * 8 + 10, torch.rand(n) * 3 + 2, torch.rand(n) * 5 + 0.5  # pixels
    beat = 0.5 - 0.5 * torch.cos(2 * math.pi * torch.arange(16) / 16 + 6.28 * torch.rand(n, 1))  # (n, 16)
    inner = (radius[:, None] - motion[:, None] * beat)[..., None, None]
    axis = torch.arange(56.0)
    y, x = axis[None, :, None] - 24 - 8 * torch.rand(n, 1, 1), axis[None, None] - 24 - 8 * torch.rand(n, 1, 1)
    distance = (y**2 + x**2).sqrt()[:, None]  # (n, 1, 56, 56)
    ring = torch.sigmoid(2 * (distance - inner)) * torch.sigmoid(2 * (inner + wall[:, None, None, None] - distance))
    clips = 2 * ring * (1 + 0.4 * torch.randn(n, 16, 56, 56))  # speckle
    truth = torch.stack([radius, wall, motion], dim=1)
    return clips, (truth - torch.tensor([14, 3.5, 3])) / torch.tensor([2.3, 0.87, 1.44])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("steps", "clips_a_step", "learnt"),
    [(60, 8, ("size", "motion")), pytest.param(100, 16, ("size", "wall", "motion"), marks=pytest.mark.endurance)],
)
def test_small_network_learns_what_a_ring_is_like_and_how_it_beats(steps, clips_a_step, learnt):
    network = torch.nn.Sequential(PhantomVideoNet(), torch.nn.Linear(512, 3))
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 1e-3 * min(1, (step + 1) / 10) * (1 - step / (1.05 * steps))
        clips, truth = beating_rings(clips_a_step)
        F.mse_loss(network[1](network[0].from_pooled(clips)), truth).backward()
        optimiser.step()
        optimiser.zero_grad()
    clips, truth = beating_rings(128)
    with torch.inference_mode():
        error = (network[1](network.eval()[0].from_pooled(clips)) - truth).square().mean(0)
    told = dict(zip(("size", "wall", "motion"), error.tolist(), strict=True))
    assert max(told[what] for what in learnt) < 0.4, told  # a constant guess gives 1


@pytest.mark.parametrize("network", [PhantomVideoNet, MViT])
def test_clips_of_another_shape_are_refused_in_words(network):
    with torch.device("meta"):
        encoder = network()
    with pytest.raises(ModelError, match=r"\(batch, 3, 16, 224, 224\), found \(1, 3, 32, 112, 112\)"):
        encoder(torch.zeros(1, 3, 32, 112, 112))


@pytest.mark.slow
def test_frames_of_another_shape_are_refused_in_words():
    with torch.device("meta"):
        classifier = ViewClassifier()
    with pytest.raises(ModelError, match=r"\(batch, 3, 224, 224\), found \(1, 3, 16, 224, 224\)"):
        classifier(torch.zeros(1, 3, 16, 224, 224))
