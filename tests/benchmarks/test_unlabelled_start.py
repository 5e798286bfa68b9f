"""The rule of unlabelled_start.py on made-up numbers, and what the other start trains on."""

import numpy as np
import pytest

from benchmarks import unlabelled_start as script

OWNER = np.repeat(np.arange(60), 2)


def starts(gain: float, more_error: float) -> tuple[dict, dict[str, np.ndarray]]:
    """AUROC draws of two seeds a start and errors of LVEF, the second start better by `gain`, worse by `more_error`."""
    rng = np.random.default_rng(0)
    draws = {
        (finding, readout): 0.7 + 0.02 * rng.standard_normal(201) for finding in "ab" for readout in ("probe", "knn")
    }
    errors = np.abs(rng.normal(7, 1, len(OWNER)))
    real = {script.STARTS[0]: [draws, draws], script.STARTS[1]: [{k: d + gain for k, d in draws.items()}] * 2}
    return real, dict(zip(script.STARTS, (errors, errors + more_error), strict=True))


@pytest.mark.parametrize(
    ("gain", "more_error", "is_worth"), [(0.05, 0.1, True), (0.05, 0.2, False), (-0.05, 0.0, False)]
)
def test_a_start_is_worth_shipping_when_it_is_better_on_real_ecgs_and_not_worse_on_phantoms(gain, more_error, is_worth):
    found = script.judged(*starts(gain, more_error), OWNER, 2000)
    assert found["worth_shipping"] is is_worth
    assert found["gained_mean"]["probe"] == pytest.approx([gain] * 3, abs=1e-3)
    assert found["lvef_error_more"] == pytest.approx([more_error] * 3, abs=1e-3)
    assert set(found["auroc"]) == set(script.STARTS) and found["seeds"] == len(script.SEEDS)


def test_generated_ecgs_are_of_people_of_their_own_and_as_long_as_the_others():
    own = script.without_studies(np.zeros((3, 12, 8), np.float16), np.array([0, 0, 1]))
    both = script.joined(own, np.ones((2, 12, 9), np.float16))
    assert both.ecgs.shape == (5, 12, 8) and (both.ecgs[3:] == 1).all()
    assert both.pairs.tolist() == [[0, 0, -1], [0, 1, -1], [1, 2, -1], [2, 3, -1], [3, 4, -1]]
