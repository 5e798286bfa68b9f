"""The two towers: the published loss, every pooling and head, padding, windows and temperature."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from echo2ecg_core.errors import ModelError
from echo2ecg_core.models import echo2ecg
from echo2ecg_core.models.ecg_encoder import AttentionPooling, EcgEncoder, TokenPooling
from echo2ecg_core.models.echo2ecg import Echo2ECG, contrastive_loss
from echo2ecg_core.models.specs import PRESETS, AlignmentSpec, EcgEncoderSpec, StudySpec
from tests.goldens.places import at_stored_places

SMALL = replace(
    PRESETS["demo"], ecg_encoder=EcgEncoderSpec(width=24, depth=2, heads=3, patch=48), study=StudySpec(width=32)
)


@pytest.fixture(autouse=True)
def fixed_seed():
    torch.manual_seed(5)


def study_of(counts, n_views=6):
    """Clip vectors (b, n_views, 512) and their padding mask for these numbers of clips."""
    is_padding = torch.arange(n_views)[None] >= torch.tensor(counts)[:, None]
    return torch.randn(len(counts), n_views, 512), is_padding


# --- the loss (goldens, section 5) ---


@pytest.mark.parametrize("case", ["fixed", "fixed_lambda_0.75"])
def test_loss_and_its_gradients_are_the_published_ones(published_numbers, case):
    facts, golden = published_numbers.json("clip_loss")[case], published_numbers.arrays("clip_loss")
    ecg, echo = (torch.from_numpy(golden[name]).requires_grad_() for name in ("ecg", "echo"))
    loss = contrastive_loss(ecg, echo, facts["temperature"], facts["lambda_0"])
    loss.backward()
    assert loss.item() == pytest.approx(facts["loss"], abs=1e-6)
    for found, expected in ((ecg.grad, golden[f"{case}_grad_ecg"]), (echo.grad, golden[f"{case}_grad_echo"])):
        np.testing.assert_allclose(at_stored_places(found, expected), expected, atol=1e-6)


@pytest.mark.parametrize("case", ["learnable", "learnable_clamped"])
def test_learnable_temperature_is_clamped_in_place_and_has_the_published_gradient(published_numbers, case):
    facts, golden = published_numbers.json("clip_loss")[case], published_numbers.arrays("clip_loss")
    network = Echo2ECG(replace(SMALL, temperature=facts["temperature"], learnable_temperature=True))
    assert network.log_scale.item() == pytest.approx(facts["logit_scale_initial"], abs=1e-6)
    ecg, echo = (torch.from_numpy(golden[name]).requires_grad_() for name in ("ecg", "echo"))
    loss = contrastive_loss(ecg, echo, network.temperature(), facts["lambda_0"])
    loss.backward()
    assert network.log_scale.item() == pytest.approx(facts["logit_scale_after_forward"], abs=1e-6)
    assert loss.item() == pytest.approx(facts["loss"], abs=1e-6)
    assert network.log_scale.grad.item() == pytest.approx(facts["grad_logit_scale"], abs=1e-6)
    expected = golden[f"{case}_grad_ecg"]
    np.testing.assert_allclose(at_stored_places(ecg.grad, expected), expected, atol=1e-6)


def test_learnable_temperature_is_really_trained():
    network = Echo2ECG(replace(SMALL, learnable_temperature=True))
    assert "log_scale" in dict(network.named_parameters())
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    before = network.temperature().item()
    views, is_padding = study_of([2, 3, 6])
    for _ in range(3):
        optimiser.zero_grad()
        contrastive_loss(*network(torch.randn(3, 12, 1008), views, is_padding), network.temperature()).backward()
        optimiser.step()
    assert network.temperature().item() != before


def test_loss_falls_when_the_right_pairs_are_the_similar_ones():
    vectors = torch.randn(8, 16)
    assert contrastive_loss(vectors, vectors, 0.1) < contrastive_loss(vectors, vectors.roll(1, 0), 0.1)


# --- pooling of clips ---


def by_hand(pool: AttentionPooling, clips):
    """Attention pooling of one study's valid clips with a loop over heads."""
    width, d = clips.shape[1], clips.shape[1] // pool.heads
    query, (keys, values) = pool.q(clips.mean(0)), pool.kv(clips).split(width, dim=1)
    pooled, shares = [], []
    for head in range(pool.heads):
        part = slice(head * d, (head + 1) * d)
        share = torch.softmax(keys[:, part] @ query[part] / d**0.5, dim=0)
        pooled.append(share @ values[:, part])
        shares.append(share)
    return pool.proj(torch.cat(pooled)), torch.stack(shares).mean(0)


def test_attention_pooling_equals_a_loop_over_heads():
    pool, (x, is_padding) = AttentionPooling(32, 4), study_of([1, 3, 6])
    x = x[..., :32]
    pooled, weights = pool(x, is_padding)
    for row, count in enumerate([1, 3, 6]):
        expected, shares = by_hand(pool, x[row, :count])
        torch.testing.assert_close(pooled[row], expected)
        torch.testing.assert_close(weights[row, :count], shares)
        assert not weights[row, count:].any()


@pytest.mark.parametrize("pooling", ["attention", "mean", "cls", "single_view"])
def test_study_weights_sum_to_one_and_give_padding_nothing(pooling):
    network = Echo2ECG(replace(SMALL, study=StudySpec(width=32, pooling=pooling))).eval()
    views, is_padding = study_of([1, 4, 6])
    weights = network.study_weights(views, is_padding)
    torch.testing.assert_close(weights.sum(1), torch.ones(3))
    assert not weights[is_padding].any()
    assert (weights[~is_padding] > 0).all()


@pytest.mark.parametrize("pooling", ["attention", "mean", "cls", "single_view"])
def test_padded_rows_and_the_order_of_clips_have_no_effect(pooling):
    network = Echo2ECG(replace(SMALL, study=StudySpec(width=32, pooling=pooling))).eval()
    views, is_padding = study_of([2, 4, 5])
    study = network.embed_study(views, is_padding)
    assert torch.equal(network.embed_study(views.masked_fill(is_padding[..., None], 9.0), is_padding), study)
    shuffled = torch.randperm(6)
    torch.testing.assert_close(network.embed_study(views[:, shuffled], is_padding[:, shuffled]), study)
    alone = network.embed_study(views[:1, :2])
    torch.testing.assert_close(alone, study[:1])


def test_a_single_view_model_leaves_one_clip_as_it_is():
    network = Echo2ECG(replace(SMALL, study=StudySpec(pooling="single_view")))
    clips = torch.randn(3, 1, 512)
    assert torch.equal(network.embed_study(clips), clips[:, 0])


def test_a_study_that_does_not_fit_is_refused_in_words():
    network = Echo2ECG(SMALL)
    with pytest.raises(ModelError, match=r"up to 128 clips, 512\), found \(1, 129, 512\)"):
        network.embed_study(torch.zeros(1, 129, 512))
    with pytest.raises(ModelError, match=r"found \(1, 2, 384\)"):
        network.embed_study(torch.zeros(1, 2, 384))


# --- pooling of tokens and windows ---


@pytest.mark.parametrize(
    "pooling, expected",
    [
        ("mean", lambda tokens: tokens[:, 1:].mean(1)),
        ("max", lambda tokens: tokens[:, 1:].max(1).values),
        ("cls", lambda tokens: tokens[:, 0]),
    ],
)
def test_token_pooling_then_norm(pooling, expected):
    pool = TokenPooling(replace(SMALL.ecg_encoder, pooling=pooling))
    tokens = torch.randn(2, 10, 24)
    torch.testing.assert_close(pool(tokens), torch.nn.functional.layer_norm(expected(tokens), (24,), eps=1e-5))


def test_attention_over_tokens_leaves_the_class_token_out():
    pool = TokenPooling(replace(SMALL.ecg_encoder, pooling="attention"))
    tokens = torch.randn(2, 10, 24)
    other = tokens.clone()
    other[:, 0] = 100.0
    assert torch.equal(pool(tokens), pool(other))
    torch.testing.assert_close(pool.pool(tokens)[0], by_hand(pool.attention, tokens[0, 1:])[0])


def test_several_windows_are_averaged_before_the_norm():
    network = Echo2ECG(SMALL).eval()
    windows = torch.randn(2, 3, 12, 1008)
    means = torch.stack([network.ecg_encoder.tokens(windows[:, i])[:, 1:].mean(1) for i in range(3)])
    torch.testing.assert_close(network.embed_windows(windows), network.token_pooling.norm(means.mean(0)))
    torch.testing.assert_close(network.embed_windows(windows[:, :1]), network.embed_ecg(windows[:, 0]))


def test_many_windows_go_through_the_encoder_in_pieces_and_give_what_they_give_at_once(monkeypatch):
    network, windows, seen = Echo2ECG(SMALL).eval(), torch.randn(2, 5, 12, 1008), []
    at_once = network.embed_windows(windows)
    monkeypatch.setattr(echo2ecg, "WINDOWS_AT_ONCE", 4)
    tokens = network.ecg_encoder.tokens
    monkeypatch.setattr(network.ecg_encoder, "tokens", lambda x: seen.append(len(x)) or tokens(x))
    torch.testing.assert_close(network.embed_windows(windows), at_once)
    assert seen == [4, 4, 2]


# --- alignment heads, stochastic depth ---


@pytest.mark.parametrize("head", ["linear", "mlp", "star"])
def test_every_alignment_head_gives_the_common_dimension_and_learns(head):
    network = Echo2ECG(replace(SMALL, alignment=AlignmentSpec(dim=48, head=head)))
    views, is_padding = study_of([2, 6])
    ecg, study = network(torch.randn(2, 12, 1008), views, is_padding)
    assert ecg.shape == study.shape == (2, 48)
    contrastive_loss(ecg, study, 0.5).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    if head == "linear":
        assert network.ecg_alignment.bias is None


def test_stochastic_depth_drops_whole_samples_and_only_in_training():
    block = EcgEncoder(EcgEncoderSpec(width=24, depth=2, heads=3, drop_path=0.5)).blocks[1]
    x = torch.randn(400, 3, 24)
    assert torch.equal(block.eval()(x), block(x))
    dropped = (block.train()(x) == x).all(dim=(1, 2)).float().mean()
    assert 0.15 < dropped < 0.35  # both branches dropped: a quarter


def test_stochastic_depth_rises_linearly_over_the_blocks():
    rates = [block.drop_path for block in EcgEncoder(EcgEncoderSpec()).blocks]
    np.testing.assert_allclose(rates, np.linspace(0, 0.1, 12), atol=1e-7)
