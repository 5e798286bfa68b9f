"""Figures of one ECG for a paper: as wide as a column, with provenance, and showing the data they were given."""

import io

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from echo2ecg_core.ecg.record import LEADS, EcgRecord
from echo2ecg_core.figures.case_pages import Heart
from echo2ecg_core.figures.chart import COLUMNS_MM, Frame
from echo2ecg_core.figures.ecg_print import attribution_figure, retrieval_figure
from echo2ecg_core.figures.export import RESEARCH_ONLY, figure_file


@pytest.fixture(scope="module")
def record() -> EcgRecord:
    seconds = np.arange(5000) / 500
    return EcgRecord(np.sin(2 * np.pi * seconds)[None] * np.linspace(0.2, 1.5, 12)[:, None], 500.0, "made", "made")


def hearts(n: int) -> list[Heart]:
    pictures = [np.full((60, 80, 3), grey, np.uint8) for grey in (90, 180)]
    return [Heart(f"{i}. Study S-{i}, similarity 0.9{i} (male)", ("LVEF 61 %", "LVEDV 99 mL"), tuple(pictures), "A4C")
            for i in range(1, n + 1)]  # fmt: skip


def width_mm(figure) -> float:
    return figure.get_size_inches()[0] * 25.4


@pytest.mark.slow
@pytest.mark.parametrize("column", COLUMNS_MM)
def test_both_figures_are_as_wide_as_a_column_and_no_text_leaves_them(record, column):
    frame = Frame(title="Title", footer=f"model abc · {RESEARCH_ONLY}", column=column)
    for figure in (
        attribution_figure(record, np.ones((12, 200)), 0.05, "Blue raises the estimate, orange lowers it.", frame),
        retrieval_figure(record, hearts(4), frame),
    ):
        assert width_mm(figure) == pytest.approx(COLUMNS_MM[column], abs=0.1)
        renderer = FigureCanvasAgg(figure).get_renderer()
        for words in figure.texts:
            box = words.get_window_extent(renderer)
            assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 + 0.5 and box.y0 >= -0.5, words.get_text()
        file = figure_file(figure, "png", title="Title", provenance=RESEARCH_ONLY, dpi=300)
        assert Image.open(io.BytesIO(file)).info["Description"] == RESEARCH_ONLY


def test_a_tint_stands_where_a_lead_contributes_and_nowhere_else(record):
    contribution = np.zeros((12, 200))
    v2 = LEADS.index("V2")
    contribution[v2, 110] = 3.0  # 5.5 s, inside the third column: 5.0 to 7.5 s
    contribution[LEADS.index("I"), 110] = 3.0  # lead I is drawn from 0 to 2.5 s only
    figure = attribution_figure(record, contribution, 0.05, "", Frame(column="single"))
    tinted = {i for i, axes in enumerate(figure.axes) if axes.patches}
    assert tinted == {v2}
    (box,) = figure.axes[v2].patches
    assert (box.get_x(), box.get_width()) == (pytest.approx(5.5), pytest.approx(0.05))


def test_traces_are_the_leads_as_recorded_on_one_scale(record):
    figure = retrieval_figure(record, hearts(2), Frame(column="double"))
    limits = {axes.get_ylim() for axes in figure.axes[:12]}
    assert len(limits) == 1 and min(limits)[1] >= np.abs(record.signal_mv).max()
    x, y = figure.axes[LEADS.index("V4")].lines[0].get_data()
    at = np.round(x * 500).astype(int)
    assert x[0] == 7.5 and np.array_equal(y, record.signal_mv[LEADS.index("V4"), at])


def test_every_study_stands_with_both_moments_and_one_without_a_clip_keeps_its_place(record):
    some = [*hearts(3), Heart("4. Study S-4, similarity 0.90", ("LVEF 30 %",), None, "This study has no clip.")]
    figure = retrieval_figure(record, some, Frame(column="single"))
    shown = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(shown) == 6 and {int(picture.mean()) for picture in shown} == {90, 180}
    words = [text.get_text() for text in figure.texts]
    assert [w for w in words if w.startswith(("1.", "2.", "3.", "4."))] == [f"{i}. Study S-{i}" for i in range(1, 5)]
