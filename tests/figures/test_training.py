"""Curves of a run: round axes that hold every value and stay while the run goes on, gaps left open, words for who
cannot see."""

import math
import re

import pytest

from echo2ecg_core.figures.training import Axis, Curve, curves_svg, round_axis


@pytest.mark.parametrize(
    ("values", "from_zero", "expected"),
    [
        ([4.06, 5.22], False, (4.0, 5.5, 0.5)),
        ([0, 0.45], True, (0.0, 0.6, 0.2)),
        ([0, 5e-4], True, (0.0, 6e-4, 2e-4)),
        ([3.0], False, (3.0, 4.5, 0.5)),
        ([], False, (0.0, 1.0, 0.25)),
        ([0.0], True, (0.0, 0.5, 0.2)),
        ([1200, 90000], True, (0.0, 100000, 25000)),
    ],
)
def test_axes_are_round_and_hold_every_value(values, from_zero, expected):
    axis = round_axis(values, from_zero=from_zero)
    low, high, step = expected
    assert (
        axis.step == pytest.approx(step, rel=1)
        and axis.low <= min(values, default=0)
        and axis.high >= max(values, default=0)
    )
    assert axis.low == pytest.approx(low) and len(axis.ticks) <= 5
    assert (
        math.log10(axis.step) == pytest.approx(round(math.log10(axis.step), 9))
        and str(axis.step).lstrip("0.")[0] in "125"
    )


def test_hairlines_are_written_with_as_many_decimals_as_they_need():
    assert [Axis(0, 1, step).decimals for step in (0.5, 0.25, 0.2, 0.05, 1, 25)] == [1, 2, 1, 2, 0, 0]


def test_the_first_epoch_is_left_and_the_planned_last_right_whatever_has_been_done():
    short = curves_svg([Curve([1, 2], [5.0, 4.5])], 50, round_axis([4, 5.5]), alt="loss")
    xs = [float(x) for x in re.findall(r'class="curve s0"', short) and re.findall(r"[ML]([\d.]+) ", short)]
    assert max(xs) < 70 and ">50<" in short and ">0<" in short  # two of fifty epochs take a twenty-fifth of the width


def test_the_axis_says_what_it_counts_and_an_empty_picture_that_it_is_empty():
    empty, begun = (curves_svg([Curve(x, x)], 20, round_axis(x), alt="loss") for x in ([], [1.0, 2.0]))
    assert ">epochs<" in empty and ">epochs<" in begun
    assert "nothing measured yet" in empty and "nothing measured yet" not in begun


def test_a_value_that_is_not_finite_leaves_a_gap():
    drawn = curves_svg([Curve([1, 2, 3, 4], [5.0, math.nan, 4.0, 3.9])], 10, round_axis([3, 5]), alt="loss")
    path = re.search(r'd="([^"]+)" class="curve', drawn).group(1)
    assert path.count("M") == 2 and "nan" not in drawn


def test_who_cannot_see_hears_what_it_shows():
    drawn = curves_svg(
        [Curve([1], [0.2])], 10, round_axis([0, 1]), alt='Recall "at 10" & chance', level=0.02, mark=(1, 0.2)
    )
    assert (
        'role="img" aria-label="Recall &quot;at 10&quot; &amp; chance"' in drawn
        and 'class="level"' in drawn
        and 'class="mark"' in drawn
    )
