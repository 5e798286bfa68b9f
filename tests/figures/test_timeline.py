"""One patient in time: what is drawn stands at its day and value, whatever the span."""

from datetime import datetime

import pytest
from matplotlib.dates import num2date

from echo2ecg_core.figures.timeline import timeline_figure, timeline_words

DAY = datetime(2026, 1, 5)


def drawn(figure):
    """(day, value) of the filled diamonds, days of the hollow ones, days of the ticks of ECGs, words of the axis."""
    axes = figure.axes[0]
    diamonds = [line for line in axes.lines if line.get_marker() == "D"]
    filled, hollow = (list(zip(*line.get_data(), strict=True)) for line in diamonds)
    ticks = [segment[0][0] for segment in axes.collections[0].get_segments()]
    figure.canvas.draw()
    labels = [label.get_text() for label in axes.get_xticklabels()]
    return filled, hollow, ticks, [words for words in labels if words]


def day(number):
    return num2date(number).replace(tzinfo=None)


def test_studies_stand_at_their_lvef_and_ecgs_at_their_day():
    later = datetime(2031, 6, 1)
    filled, hollow, ticks, labels = drawn(timeline_figure([DAY, later], [(DAY, 35.0), (later, None)], "female"))
    assert [(day(x), y) for x, y in filled] == [(DAY, 35.0)] and [day(x) for x, _ in hollow] == [later]
    assert [day(x) for x in ticks] == [DAY, later] and {"2026", "2028", "2030"} <= set(labels)


@pytest.mark.parametrize(("sex", "low", "high"), [("male", 52, 72), ("female", 54, 74), (None, 52, 74)])
def test_the_band_is_the_reference_range_of_the_sex(sex, low, high):
    patch = timeline_figure([DAY], [], sex).axes[0].patches[0]
    assert (patch.get_y(), patch.get_y() + patch.get_height()) == (low, high)


def test_one_day_is_written_out_and_values_beyond_the_axis_stay_on_it():
    filled, _, _, labels = drawn(timeline_figure([], [(DAY, 95.0)], None))
    assert filled[0][1] == 80 and "5 Jan 2026" in labels


def test_the_words_tell_what_the_picture_shows():
    assert timeline_words([DAY], [(DAY, 35.4), (DAY, None)]) == (
        "1 ECG, from 5 Jan 2026 to 5 Jan 2026; 2 echo studies: 5 Jan 2026 LVEF 35 %, 5 Jan 2026 LVEF not measured"
    )
