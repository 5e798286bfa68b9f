"""EchoNext-Mini, ECGFounder and PanEcho: networks and inputs against the numbers of the published code.

What the goldens' fillings hardly see (order of leads, padding, planes instead of frames, the first Swish) is tested by
hand as well, with random weights and without the shared folder.
"""

import importlib.util
import json

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.models.ecgfounder import EcgFounder, unused_shapes
from echo2ecg_core.models.echonext import EchoNext
from echo2ecg_core.models.panecho import TASKS, PanEcho, position_table
from echo2ecg_core.models.published import ecgfounder_from, echonext_from, panecho_from

ECHONEXT, ECGFOUNDER, PANECHO = {"sin": 1e-6, "hash": 1e-4}, {"sin": 5e-7, "hash": 1e-5}, 3e-5
FROM = {"echonext": echonext_from, "ecgfounder": ecgfounder_from, "panecho": panecho_from}


class Others:
    """Formulas, keys and numbers of goldens/others."""

    def __init__(self, folder):
        self.folder = folder / "others"
        spec = importlib.util.spec_from_file_location("inputs_others", self.folder / "inputs_others.py")
        self.inputs = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.inputs)
        self.constants = json.loads((folder / "constants.json").read_text())

    def json(self, name):
        return json.loads((self.folder / f"{name}.json").read_text())

    def arrays(self, name, filling):
        """The arrays of one filling, without its name in front."""
        found = dict(np.load(self.folder / (f"{name}.npz" if filling == "sin" else f"{name}_hash.npz")))
        return {key.removeprefix(f"{filling}_"): value for key, value in found.items()}

    def state(self, name, filling):
        keys = self.json(f"{name}_keys")["network"]
        filled = self.inputs.fill_state(filling, keys, self.constants)
        return {key: torch.from_numpy(np.asarray(value)) for key, value in filled.items()}


@pytest.fixture(scope="module")
def others(goldens):
    return Others(goldens)


def close(found, expected, tolerance):
    np.testing.assert_allclose(np.asarray(found.detach()), expected, rtol=0, atol=tolerance)


def kept(modules):
    """What each module gives at the next forward pass, by name."""
    outputs = {}
    for name, module in modules.items():
        module.register_forward_hook(lambda _, __, out, name=name: outputs.__setitem__(name, out))
    return outputs


# --- against the published numbers ---


def test_echonext_gives_the_published_logits_features_and_steps(others, filling):
    golden = others.arrays("echonext", filling)
    network = echonext_from(others.state("echonext", filling))
    steps = kept({"maxpool": network.maxpool} | {f"layer{i}": getattr(network, f"layer{i}") for i in (1, 2, 3, 4)})
    windows = torch.from_numpy(others.inputs.echonext_windows(others.constants))
    with torch.inference_mode():
        logits = network(windows, torch.from_numpy(others.inputs.echonext_tabular(others.constants)))
        close(network.features(windows), golden["features"], ECHONEXT[filling])
    assert not network.training
    close(logits, golden["logits"], ECHONEXT[filling])
    for name, step in steps.items():
        if name in golden:
            close(step[0, :4, :24], golden[name], 1e-4)
    assert list(network.labels) == others.json("echonext_constants")["labels"]
    assert sum(p.numel() for p in network.parameters()) == 1_046_080


@pytest.mark.slow
def test_ecgfounder_gives_the_published_embedding_logits_and_steps(others, filling):
    golden = others.arrays("ecgfounder", filling)
    network = ecgfounder_from(others.state("ecgfounder", filling))
    steps = kept({f"stage{i}": stage for i, stage in enumerate(network.stage_list)})
    windows = torch.from_numpy(others.inputs.ecgfounder_windows(others.constants))
    with torch.inference_mode():
        logits = network.logits(windows)
        close(network.embed(windows), golden["embedding"], ECGFOUNDER[filling])
    assert not network.training
    close(logits, golden["logits"], ECGFOUNDER[filling])
    for name, step in steps.items():
        if name in golden:
            close(step[0, :4, -20:], golden[name], 1e-5)
    keys = others.json("ecgfounder_keys")
    assert list(network.labels) == keys["labels"]
    norms = {key: tuple(shape) for key, shape, _ in keys["network"] if "bn" in key.rsplit(".", 2)[-2]}
    assert unused_shapes() == norms
    assert sum(p.numel() for p in network.parameters()) == 30_819_014 - sum(
        int(np.prod(shape)) for key, shape in norms.items() if key.endswith(("weight", "bias"))
    )


@pytest.mark.slow
def test_panecho_gives_the_published_embeddings_and_outputs(others, filling):
    golden = others.arrays("panecho", filling)
    network = panecho_from(others.state("panecho", filling))
    clip = torch.from_numpy(others.inputs.G.clip_video(others.constants))
    with torch.inference_mode():
        images = network.embed_images(clip)
        embedding = network.embed(clip)
        raw, outputs = network.raw(embedding), network.outputs(clip)
    assert not network.training
    close(images[0, [0, 5, 6, 15]], golden["image_embeddings_0_5_6_15"], PANECHO)
    close(embedding, golden["embedding"], PANECHO)
    order = others.json("panecho")["output_order"]
    assert [[task.name, task.n_outputs] for task in TASKS] == order
    close(torch.cat([raw[name] for name, _ in order], dim=1), golden["raw"], PANECHO)
    close(torch.cat([outputs[name] for name, _ in order], dim=1), golden["outputs"], PANECHO)


def test_panecho_tasks_say_what_the_published_table_says(others):
    kinds = {"number": "regression", "classes": "classes", "binary": "binary"}
    for task, told in zip(TASKS, others.json("panecho_keys")["tasks"], strict=True):
        assert (task.name, kinds[task.kind]) == (told["name"], told["type"])
        assert list(task.classes) == told.get("classes", [])
        assert task.unit == told.get("unit", "")
        if task.kind == "binary":
            assert task.told == told["output_is_probability_of"]
            assert task.of_first == told["one_minus_sigmoid"]


@pytest.mark.slow
def test_panecho_takes_the_table_of_positions_of_the_file_and_does_not_read_it(others):
    state = others.state("panecho", "hash")
    odd = state | {"encoder.time_encoder.pe": torch.full((1, 16, 768), 7.0)}
    found, expected = panecho_from(odd).state_dict(), panecho_from(state).state_dict()
    assert found.keys() == expected.keys() == state.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", FROM)
@pytest.mark.parametrize("fault", ["missing", "unknown", "shape", "not finite", "no tensor"])
def test_a_weight_that_does_not_fit_is_refused_in_words(others, name, fault):
    state = others.state(name, "sin")
    for key in [list(state)[0], list(state)[len(state) // 2], list(state)[-1]]:
        bent = dict(state)
        if fault == "missing":
            del bent[key]
        elif fault == "unknown":
            bent[f"{key}.more"] = bent[key]
        elif fault == "shape":
            bent[key] = bent[key][..., None]
        elif fault == "not finite":
            bent[key] = torch.full(bent[key].shape, float("nan"))
        else:
            bent[key] = 3.0
        with pytest.raises(Echo2ECGError, match="weight"):
            FROM[name](bent)


# --- by hand, with random weights ---


def randomised(network):
    """The network with weights that let every path through."""
    generator = torch.Generator().manual_seed(3)
    state = {}
    for key, value in network.state_dict().items():
        if not value.is_floating_point():
            state[key] = value
        elif key.endswith("running_var"):
            state[key] = torch.rand(value.shape, generator=generator) + 0.5
        elif value.ndim > 1:
            fan_in = value[0].numel()
            state[key] = torch.randn(value.shape, generator=generator) * fan_in**-0.5
        else:
            state[key] = torch.randn(value.shape, generator=generator) * 0.1 + float(key.endswith("weight"))
    return state


def test_echonext_tells_swapped_leads_and_pads_its_first_pool():
    network = echonext_from(randomised(EchoNext()))
    windows, numbers = torch.randn(2, 12, 2500), torch.zeros(2, 7)
    with torch.inference_mode():
        swapped = windows.clone()
        swapped[:, [6, 7]] = windows[:, [7, 6]]
        assert (network(windows, numbers) - network(swapped, numbers)).abs().max() > 1e-3
        stem = F.relu(network.bn1(network.conv1(windows)))  # (2, 16, 1250)
        assert torch.equal(network.maxpool(stem)[..., 0], stem[..., :2].amax(dim=2))
        assert network.maxpool(stem).shape[2] == 625


def test_echonext_sees_its_seven_numbers_in_their_order():
    network = echonext_from(randomised(EchoNext()))
    windows = torch.randn(1, 12, 2500)
    with torch.inference_mode():
        base = network(windows, torch.zeros(1, 7))
        for i in range(7):
            found = network(windows, F.one_hot(torch.tensor([i]), 7).float()) - base
            np.testing.assert_allclose(found[0], network.output.weight[:, 256 + i], atol=1e-5)


def test_ecgfounder_has_no_swish_before_its_first_convolution_and_one_before_the_second_block():
    network = ecgfounder_from(randomised(EcgFounder()))
    first, second = network.stage_list[0].block_list
    seen = {}
    for name, block in (("first", first), ("second", second)):
        block.register_forward_pre_hook(lambda _, given, name=name: seen.__setitem__(name, given[0]))
        block.conv1.register_forward_pre_hook(lambda _, given, name=name: seen.__setitem__(f"{name} conv", given[0]))
    with torch.inference_mode():
        network.embed(torch.randn(1, 12, 5000))
    assert torch.equal(seen["first conv"], seen["first"])
    torch.testing.assert_close(seen["second conv"], seen["second"] * seen["second"].sigmoid())


def test_ecgfounder_pads_an_odd_length_with_a_zero_before_taking_pairs():
    network = ecgfounder_from(randomised(EcgFounder()))
    block = network.stage_list[2].block_list[0]
    x = -torch.ones(1, 160, 5)
    with torch.inference_mode():
        skip = block._skip(x)
    assert skip[0, 0].tolist() == [-1.0, -1.0, 0.0]


@pytest.mark.slow
def test_ecgfounder_accepts_all_batchnorm_tensors_or_none_but_not_some():
    state = randomised(EcgFounder())
    norms = {key: torch.ones(shape) for key, shape in unused_shapes().items()}
    windows = torch.randn(1, 12, 5000)
    with torch.inference_mode():
        assert torch.equal(ecgfounder_from(state).embed(windows), ecgfounder_from(state | norms).embed(windows))
    with pytest.raises(Echo2ECGError, match="missing"):
        ecgfounder_from(state | dict(list(norms.items())[1:]))


@pytest.mark.slow
def test_panecho_cuts_planes_colour_by_colour_and_codes_images_not_frames():
    network = panecho_from(randomised(PanEcho()))
    clip = torch.randn(1, 3, 16, 224, 224)
    seen = kept({"images": network.encoder["encoder"]["model"].features[0]})
    given = {}
    network.encoder["encoder"]["model"].register_forward_pre_hook(lambda _, x: given.__setitem__("x", x[0]))
    with torch.inference_mode():
        network.embed(clip)
    planes = [clip[0, colour, t] for colour in range(3) for t in range(16)]
    for i in (0, 5, 15):
        assert torch.equal(given["x"][i], torch.stack(planes[3 * i : 3 * i + 3]))
    assert seen["images"].shape == (16, 96, 56, 56)
    table = position_table()
    assert table[3, 2 * 5] == pytest.approx(np.sin(3 * 10000 ** (-10 / 768)), abs=1e-6)
    assert table[3, 2 * 5 + 1] == pytest.approx(np.cos(3 * 10000 ** (-10 / 768)), abs=1e-6)


@pytest.mark.parametrize(
    ("make", "shape"), [(EchoNext, (1, 12, 5000)), (EcgFounder, (1, 12, 2500)), (PanEcho, (1, 16, 3, 224, 224))]
)
def test_an_input_of_another_shape_is_refused_with_the_way_to_prepare_it(make, shape):
    network, x = make().eval(), torch.zeros(shape)
    with pytest.raises(Echo2ECGError, match="Prepare"):
        network(x, torch.zeros(1, 7)) if make is EchoNext else network(x)
