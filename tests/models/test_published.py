"""Published networks: outputs, gradients and imports against the numbers of the published implementation."""

import numpy as np
import pytest
import torch
from torch.func import functional_call

from echo2ecg_core.errors import ModelError
from echo2ecg_core.models.ecg_encoder import EcgEncoder
from echo2ecg_core.models.echo2ecg import Echo2ECG, contrastive_loss
from echo2ecg_core.models.published import (
    ecg_encoder_from,
    echo2ecg_from,
    echo_encoder_from,
    merged_echo2ecg,
    published_ecg_encoder,
    published_echo2ecg,
    published_echo_encoder,
    view_classifier_from,
    without_other_domains,
)
from echo2ecg_core.models.published_keys import echo2ecg_spec
from echo2ecg_core.models.specs import PRESETS, EcgEncoderSpec
from tests.goldens.places import at_stored_places

TOKENS = {"sin": 2e-5, "hash": 1e-4}
TABLE = 5e-6  # powers in float32 differ in the last digit from one library to the next
VECTORS = {"sin": 1e-5, "hash": 1e-5}
EMBEDDINGS = {"sin": 1e-5, "hash": 1e-4}


def assert_close(found, expected, tolerance):
    np.testing.assert_allclose(at_stored_places(found.detach(), expected), expected, rtol=0, atol=tolerance)


@pytest.fixture()
def encoder_state(published_numbers, filling):
    return published_numbers.weights(filling, published_numbers.json("ecg_encoder_keys")["encoder"])


@pytest.fixture()
def model_state(published_numbers, filling):
    return published_numbers.weights(filling, published_numbers.json("clip_keys")["multi_view"])


# --- section 2: the ECG encoder ---


def test_time_code_is_the_published_table(published_numbers):
    encoder = EcgEncoder(EcgEncoderSpec())
    assert_close(encoder.pos_embed_x[None], published_numbers.arrays("ecg_encoder")["pos_embed_x_1008"], TABLE)


def test_ecg_tokens_are_the_published_ones(published_numbers, filling, encoder_state):
    golden = published_numbers.arrays("ecg_encoder")
    x = published_numbers.ecg(2, 1008)
    encoder = ecg_encoder_from(encoder_state)
    assert not encoder.training
    with torch.inference_mode():
        assert_close(encoder.embed_patches(x)[0, 3].T, golden[f"{filling}_patch_embed_b0_lead3"], 1e-5)
        tokens = encoder.tokens(x)
    assert tokens.shape == (2, 505, 192)
    assert_close(tokens[:, golden["token_indices"]], golden[f"{filling}_tokens_sel"], TOKENS[filling])
    assert_close(tokens[:, 1:].mean(1), golden[f"{filling}_tokens_mean"], TOKENS[filling])
    assert_close(tokens.mean(1), golden[f"{filling}_tokens_mean_with_cls"], TOKENS[filling])


@pytest.mark.slow
def test_a_longer_window_interpolates_the_time_code(published_numbers, filling, encoder_state):
    golden = published_numbers.arrays("ecg_encoder")
    encoder = ecg_encoder_from(encoder_state, n_samples=1992)
    assert_close(encoder.pos_embed_x[None], golden["pos_embed_x_1992_interpolated"], TABLE)
    with torch.inference_mode():
        tokens = encoder.tokens(published_numbers.ecg(2, 1992))
    assert_close(tokens[:, golden["token_indices_1992"]], golden[f"{filling}_1992_tokens_sel"], TOKENS[filling])
    assert_close(tokens[:, 1:].mean(1), golden[f"{filling}_1992_tokens_mean"], TOKENS[filling])


@pytest.mark.parametrize("n_samples, runs", [(1000, False), (1008, True), (1031, True), (1032, False)])
def test_a_window_of_another_number_of_patches_is_refused_in_words(n_samples, runs):
    encoder = EcgEncoder(EcgEncoderSpec(depth=1)).eval()
    if runs:
        x = torch.randn(1, 12, n_samples)
        assert torch.equal(encoder.tokens(x), encoder.tokens(x[:, :, :1008]))
    else:
        with pytest.raises(ModelError, match=rf"shape \(batch, 12, 1008\), found \(1, 12, {n_samples}\)"):
            encoder.tokens(torch.randn(1, 12, n_samples))


# --- section 3: OTiS ---


@pytest.mark.parametrize("case", ["long", "same", "short"])
def test_otis_weights_are_taken_over_for_the_ecg(published_numbers, case):
    facts, golden = published_numbers.json("otis_import")[case], published_numbers.arrays("otis_import")
    state = published_numbers.weights("hash", published_numbers.json("ecg_encoder_keys")["encoder"])
    table = published_numbers.inputs.fill(
        "hash", "otis.pos_embed_y.weight", (facts["rows_in_checkpoint"], 96), published_numbers.constants
    )
    state["pos_embed_y.weight"] = torch.from_numpy(table)
    state["pos_embed_x"] = published_numbers.time_code(facts["time_positions_in_checkpoint"])
    state |= {
        "decoder_pos_embed_x": torch.zeros(1, 5, 8),
        "mask_token": torch.zeros(1, 1, 8),
        "decoder_blocks.0.norm1.weight": torch.zeros(8),
    }
    checkpoint = {"model": state, "domain_offsets": facts["domain_offsets"]}

    assert_close(without_other_domains(checkpoint)["pos_embed_y.weight"], golden[f"{case}_pos_embed_y"], 0)
    encoder = ecg_encoder_from(checkpoint)
    assert_close(encoder.pos_embed_y, golden[f"{case}_pos_embed_y"][1:], 0)
    assert_close(
        encoder.pos_embed_x[None], golden[f"{case}_pos_embed_x"][:, :43], TABLE
    )  # rows beyond the window are never read
    with torch.inference_mode():
        assert_close(encoder.tokens(published_numbers.ecg(2, 1008))[:, 1:].mean(1), golden[f"{case}_tokens_mean"], 1e-4)


def test_an_otis_file_without_ecg_is_refused_in_words():
    with pytest.raises(ModelError, match="the ECG's place in 'domain_offsets'; one is missing"):
        ecg_encoder_from({"model": {}, "domain_offsets": {"eeg": 0}})
    with pytest.raises(ModelError, match=r"the 12 leads at rows 30 to 41 of pos_embed_y, found \(13, 96\)"):
        ecg_encoder_from({"model": {"pos_embed_y.weight": torch.zeros(13, 96)}, "domain_offsets": {"ecg": 29}})


# --- section 4: the study tower and the whole model ---


def test_study_vectors_are_the_published_ones(published_numbers, filling, model_state):
    golden = published_numbers.arrays("echo_aggregation")
    network = echo2ecg_from(model_state)
    views, is_padding = published_numbers.views([1, 3, 128])
    with torch.inference_mode():
        assert_close(network.view_projection(views)[:, 0], golden[f"{filling}_projected_first_view"], VECTORS[filling])
        study = network.embed_study(views, is_padding)
        assert_close(study, golden[f"{filling}_study_token"], VECTORS[filling])
        assert_close(network.align_study(study), golden[f"{filling}_study_aligned"], VECTORS[filling])
        without_mask = network.embed_study(views[2:])
        assert_close(without_mask, golden[f"{filling}_study_token_128_without_mask"], VECTORS[filling])
        ecg = published_numbers.noise("ecg_global", (3, 192))
        assert_close(network.align_ecg(ecg), golden[f"{filling}_ecg_aligned"], VECTORS[filling])
        assert torch.equal(network.embed_study(views.masked_fill(is_padding[..., None], 7.0), is_padding), study)
        assert network.embed_study(views, torch.ones_like(is_padding)).isnan().all()


@pytest.mark.slow
def test_single_view_model_aligns_each_clip(published_numbers, filling):
    golden = published_numbers.arrays("echo_aggregation")
    network = echo2ecg_from(published_numbers.weights(filling, published_numbers.json("clip_keys")["single_view"]))
    assert network.spec.study.pooling == "single_view"
    clips = published_numbers.noise("echo_single", (3, 512))
    with torch.inference_mode():
        aligned = network.align_study(network.embed_study(clips[:, None]))
        assert_close(aligned, golden[f"{filling}_single_view_aligned"], VECTORS[filling])
        ecgs = network.align_ecg(network.embed_ecg(published_numbers.ecg(4, 1008, name="clip_ecg")))
        studies = network.align_study(network.embed_study(published_numbers.noise("clip_single", (4, 512))[:, None]))
    assert_close(studies, golden[f"{filling}_e2e_single_echo_aligned"], VECTORS[filling])
    loss = contrastive_loss(ecgs, studies, 0.5)
    assert loss.item() == pytest.approx(
        published_numbers.json("echo_aggregation")[f"{filling}_e2e_single_loss"], abs=1e-5
    )


@pytest.mark.slow
def test_whole_model_gives_the_published_vectors_loss_and_gradients(published_numbers, filling, model_state):
    """The import is plain tensor arithmetic, so gradients reach the published, unmerged weights through it."""
    golden, facts = (
        published_numbers.arrays("echo_aggregation"),
        published_numbers.json("echo_aggregation")[f"{filling}_e2e"],
    )
    leaves = {key: value.requires_grad_() for key, value in model_state.items() if not key.endswith("pos_embed_x")}
    spec = echo2ecg_spec(model_state)
    network = Echo2ECG(spec).eval()
    merged = merged_echo2ecg(model_state, spec)
    ecg, (views, is_padding) = (
        published_numbers.ecg(4, 1008, name="clip_ecg"),
        published_numbers.views([2, 5, 1, 40], name="clip_views"),
    )
    ecg_aligned, study_aligned = functional_call(network, merged, (ecg, views, is_padding))
    assert_close(ecg_aligned, golden[f"{filling}_e2e_ecg_aligned"], TOKENS[filling])
    assert_close(study_aligned, golden[f"{filling}_e2e_echo_aligned"], TOKENS[filling])

    loss = contrastive_loss(ecg_aligned, study_aligned, facts["temperature"], facts["lambda_0"])
    assert loss.item() == pytest.approx(facts["loss"], abs=1e-5)
    loss.backward()
    assert set(facts["grad_norms"]) == set(leaves)
    if filling == "hash":  # those of "sin" are rounding noise
        for key, expected in facts["grad_norms"].items():
            assert leaves[key].grad.norm().item() == pytest.approx(expected, rel=1e-4, abs=1e-8), key


@pytest.mark.slow
def test_ecg_embedding_is_the_published_global_token(published_numbers, filling, model_state):
    golden = published_numbers.arrays("echo_aggregation")
    network = echo2ecg_from(model_state)
    with torch.inference_mode():
        x = published_numbers.ecg(4, 1008, name="clip_ecg")
        assert_close(network.embed_ecg(x), golden[f"{filling}_e2e_ecg_global"], TOKENS[filling])
        assert_close(network.embed_windows(x[:, None]), golden[f"{filling}_e2e_ecg_global"], TOKENS[filling])


# --- section 8: the video networks ---


@pytest.mark.slow
def test_clip_vector_is_the_published_one(published_numbers, filling):
    state = published_numbers.weights(filling, published_numbers.json("echo_encoder_keys")["encoder"])
    network = echo_encoder_from(state)
    clip = torch.from_numpy(published_numbers.inputs.clip_video(published_numbers.constants))
    with torch.inference_mode():
        assert_close(network(clip), published_numbers.arrays("echo_encoder")[f"{filling}_output"], EMBEDDINGS[filling])
    back = published_echo_encoder(network)
    assert all(torch.equal(back[key], value) for key, value in state.items()) and len(back) == len(state)


@pytest.mark.slow
def test_view_scores_are_the_published_ones(published_numbers, filling):
    state = published_numbers.weights(filling, published_numbers.json("view_classifier_keys"))
    clip = torch.from_numpy(published_numbers.inputs.clip_video(published_numbers.constants))
    with torch.inference_mode():
        scores = view_classifier_from(state)(clip[:, :, 0])
    assert_close(scores, published_numbers.arrays("view_classifier")[f"{filling}_output"], 1e-4)


# --- the way back, and refusals ---


@pytest.mark.slow
def test_a_model_written_back_in_the_published_layout_is_the_same_model(published_numbers, filling, model_state):
    network = echo2ecg_from(model_state)
    back = published_echo2ecg(network)
    assert {key: value.shape for key, value in back.items()} == {key: value.shape for key, value in model_state.items()}
    again = echo2ecg_from(back)
    for key, value in network.state_dict().items():
        assert torch.equal(again.state_dict()[key], value), key
    x = published_numbers.ecg(2, 1008)
    with torch.inference_mode():
        assert_close(again.embed_ecg(x), network.embed_ecg(x).numpy(), 0)


def test_a_network_of_another_width_is_written_back_and_read_with_its_heads():
    encoder = EcgEncoder(PRESETS["demo"].ecg_encoder).eval()
    state = published_ecg_encoder(encoder)
    with pytest.raises(ModelError, match="width is 96; published are 192, 384, 576, so its number of heads is unknown"):
        ecg_encoder_from(state)
    again = ecg_encoder_from(state, heads=3)
    x = torch.randn(2, 12, 1008)
    assert torch.equal(again.tokens(x), encoder.tokens(x))


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda s: s.pop("blocks.3.norm1.bias"), "1 of 199 expected weights are missing: blocks.3.norm1.bias"),
        (lambda s: s.update(extra=torch.zeros(1)), "1 weights are unknown to this network: extra"),
        (
            lambda s: s.update({"blocks.3.norm1.bias": torch.zeros(7)}),
            r"blocks.3.norm1.bias has the shape \(7,\), expected \(192,\)",
        ),
        (
            lambda s: s["blocks.3.norm1.bias"].fill_(float("nan")),
            "blocks.3.norm1.bias holds values that are not finite",
        ),
        (lambda s: s.update({"blocks.3.norm1.bias": [0.0]}), "blocks.3.norm1.bias has to be a tensor, found list"),
        (lambda s: s.pop("cls_token"), "cls_token is missing; without it the sizes"),
    ],
)
def test_weights_that_do_not_fit_are_named(change, words):
    state = published_ecg_encoder(EcgEncoder(EcgEncoderSpec()))
    change(state)
    with pytest.raises(ModelError, match=words):
        ecg_encoder_from(state)
