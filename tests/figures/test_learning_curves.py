"""Learning curves: every run's own points in every chart, as wide as a column."""

import pytest

from echo2ecg_core.figures.chart import COLUMNS_MM, Frame
from echo2ecg_core.figures.learning_curves import METRICS, MOST_RUNS, RunCurves, learning_curves_figure, shown_metrics

RUNS = [
    RunCurves("run-0001: Paper", {"loss": ([1, 2, 3], [5.0, 4.0, 3.5]), "recall@10": ([1, 2, 3], [0.1, 0.2, 0.3])}),
    RunCurves("run-0002: Demo, masked", {"loss": ([1, 2], [6.0, 5.5])}),
]


def test_each_chart_holds_the_points_of_the_runs_that_have_its_metric():
    figure = learning_curves_figure(RUNS)
    assert shown_metrics(RUNS) == ["loss", "recall@10"] and len(figure.axes) == 2
    drawn = [{line.get_label(): list(line.get_ydata()) for line in axes.lines} for axes in figure.axes]
    assert drawn[0] == {RUNS[0].label: [5.0, 4.0, 3.5], RUNS[1].label: [6.0, 5.5]}
    assert drawn[1] == {RUNS[0].label: [0.1, 0.2, 0.3], RUNS[1].label: []}
    words = [text.get_text() for text in figure.texts]
    assert {METRICS["loss"], METRICS["recall@10"], RUNS[0].label, RUNS[1].label} <= set(words)


@pytest.mark.parametrize("column", COLUMNS_MM)
def test_in_print_it_is_as_wide_as_a_column_and_charts_do_not_overlap(column):
    figure = learning_curves_figure(RUNS, Frame(title="Title", footer="Provenance", column=column))
    assert figure.get_size_inches()[0] * 25.4 == pytest.approx(COLUMNS_MM[column], abs=0.1)
    first, second = (axes.get_position() for axes in figure.axes)
    assert (first.x1 < second.x0) if column == "double" else (second.y1 < first.y0)
    assert all(0 < edge < 1 for box in (first, second) for edge in (box.x0, box.y0, box.x1, box.y1))


def test_no_two_runs_look_alike():
    many = [RunCurves(f"run-{i}", {"loss": ([1, 2], [i, i + 1.0])}) for i in range(MOST_RUNS)]
    lines = learning_curves_figure(many).axes[0].lines
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == MOST_RUNS
    assert len({line.get_linestyle() for line in lines[:4]}) == 4  # told apart in print without colour, too
