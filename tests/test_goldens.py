"""The goldens that ship are those of the complete folder, thinned out, and the formulas are the same."""

import importlib.util
import json

import numpy as np
import pytest

from tests.conftest import SHIPPED_GOLDENS
from tests.goldens import golden_inputs as ours
from tests.goldens.places import at_stored_places
from tests.goldens.thin_out import thinned

SPEC = json.loads((SHIPPED_GOLDENS / "constants.json").read_text())
CALLS = {
    "fill": [("sin", "blocks.0.norm1.weight", (7,), SPEC), ("hash", "head.weight", (5, 3, 2), SPEC),
             ("hash", "norm.weight", (9,), SPEC), ("sin", "a.bias", (4,), SPEC), ("hash", "a.bias", (4,), SPEC)],
    "noise": [("clip_single", (4, 5), SPEC, 1.5)],
    "encoder_input": [(SPEC, 2, 40)],
    "clip_video": [(SPEC,)],
    "raw_video": [(SPEC, 3, 31, 40)],
    "class_features": [("knn_test", [0, 2, 1], SPEC)],
}  # fmt: skip


@pytest.fixture(scope="module")
def theirs(shared):
    spec = importlib.util.spec_from_file_location("complete_golden_inputs", shared / "goldens" / "golden_inputs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", CALLS)
def test_a_formula_gives_bit_for_bit_what_the_complete_goldens_were_made_of(name, theirs):
    for arguments in CALLS[name]:
        found, expected = getattr(ours, name)(*arguments), getattr(theirs, name)(*arguments)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected, err_msg=str(arguments[:2]))


def test_the_ecg_cases_views_and_checksums_are_theirs(theirs):
    found, expected = ours.ecg_cases(SPEC), theirs.ecg_cases(SPEC)
    assert set(found) == set(expected)
    for case, signal in expected.items():
        np.testing.assert_array_equal(found[case], signal, err_msg=case)
    for found, expected in zip(ours.echo_views(SPEC, [1, 4]), theirs.echo_views(SPEC, [1, 4]), strict=True):
        np.testing.assert_array_equal(found, expected)
    found, expected = ours.checksum(ours.clip_video(SPEC)), theirs.checksum(theirs.clip_video(SPEC))
    assert found.pop("shape") == expected.pop("shape") and found == pytest.approx(expected, rel=1e-12)


def test_every_number_that_ships_is_one_of_the_complete_goldens(shared):
    names = sorted(path.name for path in SHIPPED_GOLDENS.glob("*.npz"))
    assert names == sorted(path.name for path in (shared / "goldens").glob("*.npz"))
    for name in names:
        shipped, complete = dict(np.load(SHIPPED_GOLDENS / name)), dict(np.load(shared / "goldens" / name))
        expected = thinned(name.removesuffix(".npz"), complete)
        assert set(shipped) == set(expected), name
        for key, array in expected.items():
            np.testing.assert_array_equal(shipped[key], array, err_msg=f"{name} {key}")
    for path in SHIPPED_GOLDENS.glob("*.json"):
        assert json.loads(path.read_text()) == json.loads((shared / "goldens" / path.name).read_text()), path.name


def test_they_stay_small_and_hold_no_recording_of_a_person():
    assert sum(path.stat().st_size for path in SHIPPED_GOLDENS.iterdir() if path.is_file()) < 600_000
    assert "real_input" not in np.load(SHIPPED_GOLDENS / "ecg_preprocess.npz")


def test_places_are_found_again_by_the_shape_alone():
    row = np.arange(999.0).reshape(1, 999)
    for step in (1, 4, 7, 25):
        np.testing.assert_array_equal(at_stored_places(row, row[:, ::step]), row[:, ::step])
    twice = row[:, ::5][:, ::25]  # stored thin already, thinned again to ship
    np.testing.assert_array_equal(at_stored_places(row, twice), twice)
