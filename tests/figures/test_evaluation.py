"""Charts of an evaluation: what is drawn is the data given, every series can be told apart, and files say where they
come from."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from echo2ecg_core.figures import evaluation as figures
from echo2ecg_core.figures.chart import DARK, LIGHT, Canvas, Frame, inline_svg
from echo2ecg_core.figures.evaluation import ForestRow, Series, series_styles
from echo2ecg_core.figures.export import figure_file

ROC = [
    Series("Model 0.91", "model", [0, 0.1, 0.4, 1], [0, 0.7, 0.95, 1]),
    Series("Features 0.84", "features", [0, 0.3, 1], [0, 0.8, 1]),
    Series("Random 0.79", "random", [0, 1], [0, 1]),
    Series("A & <B>", "imported", [0, 0.5, 1], [0, 0.7, 1]),
]
ROWS = [
    ForestRow("All", "1,204", 0.91, 0.90, 0.92, "0.91", True),
    ForestRow("Few", "12", 0.7, 0.2, 1.0, "0.70"),
    ForestRow("None", "0", None, None, None, "–"),
]


def lines(axes) -> dict[str, np.ndarray]:
    return {line.get_label(): line.get_xydata() for line in axes.get_lines()}


def test_the_roc_draws_every_row_in_per_cent():
    drawn = lines(figures.roc_figure(ROC).axes[0])
    for series in ROC:
        assert np.allclose(drawn[series.label], 100 * np.column_stack([series.x, series.y]))


def test_the_ring_stands_at_ninety_per_cent_specificity():
    rings = [line.get_xydata() for line in figures.roc_figure(ROC).axes[0].get_lines() if line.get_marker() == "o"]
    assert np.allclose(rings, [[[10, 70]]])


def test_no_two_series_of_a_chart_share_colour_and_dash():
    kinds = ["model", "beside", "beside", "imported", "imported", "features", "random"]
    assert len({(colour, str(dash)) for colour, dash, _ in series_styles(kinds)}) == len(kinds)


def test_calibration_draws_points_intervals_and_counts():
    curve = {
        "predicted": [0.1, 0.5, 0.9],
        "observed": [0.12, 0.4, 0.95],
        "low": [0.05, 0.3, 0.9],
        "high": [0.2, 0.5, 0.99],
        "count": [50, 20, 5],
    }
    figure = figures.calibration_figure(curve, "Calibration error 0.01", "ECGs")
    axes, bars = figure.axes
    assert any(np.allclose(xy, [[10, 12], [50, 40], [90, 95]]) for xy in lines(axes).values() if xy.shape == (3, 2))
    assert [bar.get_height() for bar in bars.patches] == [50, 20, 5]
    assert "Calibration error 0.01" in [text.get_text() for text in axes.texts]


def test_a_forest_names_every_row_with_number_and_value_and_marks_what_lies_beyond_the_axis():
    figure = figures.forest_figure(ROWS, "AUROC", (0.5, 1.0), 0.91)
    words = [text.get_text() for text in figure.texts]
    assert {"All", "1,204", "0.91", "Few", "12", "0.70", "None", "0", "–"} <= set(words)
    markers = [line.get_marker() for line in figure.axes[0].get_lines()]
    assert markers.count("s") == 2 and markers.count("<") == 1


@pytest.mark.parametrize("column", ["", "single", "double"])
def test_numbers_below_a_forest_stand_apart_in_every_width(column):
    figure = figures.forest_figure(ROWS, "Difference", (-0.15, 0.05), 0.0, 2, Frame(column=column))
    figure.canvas.draw()
    low, high = figure.axes[0].get_xlim()
    drawn = [t for t in figure.axes[0].get_xticklabels() if low <= t.get_position()[0] <= high]
    boxes = [t.get_window_extent() for t in drawn]
    assert len(boxes) >= 2 and all(b.x0 - a.x1 > 3 for a, b in zip(boxes, boxes[1:], strict=False))


def test_predicted_against_measured_keeps_dots_beyond_the_axis_at_its_edge():
    figure = figures.scatter_figure([20, 50, 95], [25, 48, 70], "LVEF, %", (10, 80))
    assert np.allclose(figure.axes[0].collections[0].get_offsets(), [[20, 25], [50, 48], [80, 70]])


def test_recall_is_drawn_in_per_cent_beside_guessing():
    figure = figures.recall_figure(
        [Series("ECG to study", "model", (1, 5, 10), (0.1, 0.3, 0.45))],
        Series("guessing", "chance", (1, 10), (0.01, 0.1)),
    )
    drawn = lines(figure.axes[0])
    assert np.allclose(drawn["ECG to study"], [[1, 10], [5, 30], [10, 45]]) and np.allclose(
        drawn["guessing"], [[1, 1], [10, 10]]
    )
    assert figure.axes[0].get_ylim() == (0, 50)


@pytest.mark.parametrize("look", [LIGHT, DARK], ids=["light", "dark"])
def test_inline_svg_is_one_element_that_names_no_address_and_says_what_it_shows(look):
    svg = inline_svg(figures.roc_figure(ROC, Frame(look)), 'ROC "of" <two>')
    assert svg.startswith('<svg role="img" aria-label="ROC &quot;of&quot; &lt;two&gt;"') and svg.rstrip().endswith(
        "</svg>"
    )
    assert "http" not in svg and "xmlns" not in svg and "DejaVu" not in svg
    assert look.page.lower() in svg and look.text.lower() in svg
    assert "A &amp; &lt;B&gt;" in svg  # names of others are text, never markup
    ids = re.findall(r'\bid="([^"]+)"', svg)
    assert len(ids) == len(set(ids)) and all(f"#{i}" in svg for i in ids)


@pytest.mark.slow
def test_both_themes_draw_the_same_words():
    light, dark = (
        re.findall(
            r">([^<>\n]+)</text>",
            inline_svg(figures.forest_figure(ROWS, "AUROC", (0.5, 1), None, frame=Frame(look)), ""),
        )
        for look in (LIGHT, DARK)
    )
    assert light == dark


def test_a_file_carries_title_and_provenance_in_picture_and_metadata():
    frame = Frame(
        title="ROC, FIXTURE", footer="model FIXTURE 1234 (synthetic) · Research use only. Not a medical device. " * 3
    )
    figure = figures.roc_figure(ROC, frame)
    svg = figure_file(figure, "svg", title=frame.title, provenance=frame.footer).decode()
    assert svg.count("ROC, FIXTURE") >= 2 and "Research use only" in svg
    png = Image.open(io.BytesIO(figure_file(figure, "png", title=frame.title, provenance=frame.footer, dpi=72)))
    assert png.text["Title"] == "ROC, FIXTURE" and "synthetic" in png.text["Description"]
    assert png.height > figures.HEIGHT_PX + 50  # room for title and footer, outside the drawing


def test_a_canvas_without_title_and_footer_is_as_large_as_its_drawing():
    assert Canvas(300, 200, Frame()).height == 200
