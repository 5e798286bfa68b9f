"""Model specs: they survive the trip through JSON and refuse what cannot be built, in words."""

import json
from dataclasses import replace

import pytest

from echo2ecg_core.errors import ModelError
from echo2ecg_core.models.specs import PRESETS, ClipEncoderSpec, EcgEncoderSpec, EcgInputSpec, ModelSpec, StudySpec


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_survives_json(name):
    assert ModelSpec.from_dict(json.loads(json.dumps(PRESETS[name].to_dict()))) == PRESETS[name]


def test_published_sizes_are_those_of_the_paper():
    sizes = {n: (s.ecg_encoder.width, s.ecg_encoder.depth, s.ecg_encoder.heads) for n, s in PRESETS.items()}
    assert sizes["base"] == (192, 12, 3) and sizes["large"] == (384, 18, 6) and sizes["huge"] == (576, 24, 8)
    assert PRESETS["base"].ecg_encoder.n_patches == 42
    assert (PRESETS["base"].ecg_input.sampling_rate_hz, PRESETS["base"].temperature) == (400.0, 0.5)


def test_absent_fields_take_their_default():
    assert ModelSpec.from_dict({"study": {"width": 64}}) == ModelSpec(study=StudySpec(width=64))


@pytest.mark.parametrize(
    "build, words",
    [
        (lambda: ModelSpec.from_dict({"colour": 1}), "does not know the field 'colour'"),
        (lambda: ModelSpec.from_dict({"study": 3}), "has to be a table of fields, found int"),
        (lambda: EcgInputSpec(order="backwards"), "clean_then_resample, resample_then_clean; found 'backwards'"),
        (lambda: EcgInputSpec(sampling_rate_hz=float("nan")), "sampling_rate_hz has to be a number above 0; found nan"),
        (lambda: EcgEncoderSpec(width=100), r"width \(100\) has to be a multiple of 4 and of its heads \(3\)"),
        (lambda: EcgEncoderSpec(n_samples=10), r"window \(10 samples\) has to hold at least one patch \(24\)"),
        (lambda: StudySpec(width=30), r"study width \(30\) has to be a multiple of its heads \(4\)"),
        (
            lambda: ModelSpec(ecg_input=EcgInputSpec(n_samples=1992)),
            r"1992 samples\) and the ECG encoder's window \(1008\)",
        ),
        (lambda: replace(ModelSpec(), clip_encoder=ClipEncoderSpec(dim=256)), "gives 256 numbers, .* expects 512"),
    ],
)
def test_an_impossible_spec_is_refused_in_words(build, words):
    with pytest.raises(ModelError, match=words):
        build()
