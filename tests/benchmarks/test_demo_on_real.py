"""Two models beside each other on real ECGs: paired differences, and a table that says what was measured."""

import numpy as np
import pytest

from benchmarks import demo_on_real

N = 60


def answers(rng, positive, strength: float) -> dict[str, np.ndarray]:
    """A model whose embedding and estimates tell the finding as strongly as this."""
    embedding = rng.normal(size=(N, 6))
    embedding[:, 0] += 3 * strength * positive
    outside = {f"outside.{name}": rng.random(N) < 0.9 - 0.8 * strength for name in ("signal", "embedding", "either")}
    told = {name: 50 + 10 * strength * sign * positive + rng.normal(0, 5, N) for name, sign in ESTIMATES}
    return {"embedding": embedding, **outside, **told}


ESTIMATES = (("lv_mass_index", 1), ("lavi", 1), ("lvef", -1))


@pytest.fixture(scope="module")
def compared():
    rng = np.random.default_rng(3)
    positive = np.arange(N) % 3 == 0
    findings = dict.fromkeys(demo_on_real.ESTIMATES, positive)
    seen = {"old": answers(rng, positive, 0.0), "new": answers(rng, positive, 1.0)}
    rows = np.arange(N) % 4 != 1
    return {
        "records": N,
        "all": demo_on_real.compared(seen, findings, np.ones(N, bool)),
        "held": demo_on_real.compared(seen, findings, rows),
    }


@pytest.mark.slow
def test_a_model_that_tells_more_is_ahead_with_an_interval_and_one_that_flags_less_is_below(compared):
    of = compared["all"]
    for kind, key in (("frozen", "LV hypertrophy, probe"), ("estimate", "LV hypertrophy by lv_mass_index")):
        value, low, high = of[kind][key]["new less old"]
        assert 0.1 < low < value < high and value == pytest.approx(
            of[kind][key]["new"][0] - of[kind][key]["old"][0], abs=2e-4
        )
    assert of["outside"]["either"]["new less old"][2] < -0.4
    assert of["positives"]["LV hypertrophy"] == 20 and compared["held"]["records"] == 45


@pytest.mark.slow
def test_the_table_has_a_row_a_figure_and_its_numbers(compared):
    head, _, *rows = demo_on_real.table(compared).splitlines()
    assert "60 records" in head and "45 records" in head
    assert len(rows) == sum(len(compared["all"][kind]) for kind in ("frozen", "estimate", "outside", "lvef"))
    (row,) = [row for row in rows if "outside the training data, either" in row]
    old = compared["all"]["outside"]["either"]["old"]
    assert f"| {old[0]:.2f} ({old[1]:.2f} to {old[2]:.2f}) |" in row and "−" in row
    assert any("LV hypertrophy, probe (20)" in row for row in rows)
