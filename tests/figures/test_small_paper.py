"""Small papers: true to scale, nothing cut, nothing drawn where nothing was recorded."""

import re

import numpy as np
import pytest

from echo2ecg_core.ecg.record import LEADS, EcgRecord
from echo2ecg_core.figures.small_paper import small_paper

RATE_HZ = 500.0


def drawn(signal: np.ndarray) -> tuple[str, np.ndarray, tuple[float, float]]:
    """The SVG, all points of its traces (n, 2), and its size."""
    svg = small_paper(EcgRecord(signal.astype(np.float32), RATE_HZ, "made", "made"), "ECG <E-1>")
    trace = re.search(r'class="trace" d="([^"]*)"', svg).group(1)
    points = []
    for step, pair in re.findall(r"([Ml])([^Ml]+)", trace):
        place = np.array([float(n) for n in pair.split()])
        points.append(place if step == "M" else points[-1] + place)
    points = np.array(points)
    return svg, points, tuple(float(n) for n in re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups())


def test_a_wave_is_as_high_and_long_as_millimetre_paper_says_and_rows_grow_with_it():
    signal = np.zeros((12, 5000))
    signal[1, 500:550] = 1.0  # II, second row of the first column
    signal[8, 500:550] = -4.0  # V3, third row of the third column
    svg, points, (width, height) = drawn(signal)
    assert width == 250 and points[:, 0].max() <= width and points[:, 1].min() >= 0 and points[:, 1].max() <= height
    first = points[points[:, 0] < 62.5]
    assert np.ptp(first[:, 1][(first[:, 0] > 20) & (first[:, 0] < 30)]) >= 10 - 0.1
    deep = points[(points[:, 0] > 125) & (points[:, 0] < 187.5)]
    assert np.ptp(deep[:, 1]) >= 40 and height > 60
    assert all(f">{lead}</text>" in svg for lead in LEADS) and "ECG &lt;E-1&gt;" in svg


def test_a_lead_that_was_not_recorded_stays_empty_and_a_gap_is_no_line():
    signal = np.zeros((12, 5000))
    signal[3] = np.nan  # aVR, the second column of the first row
    signal[0, 400:600] = np.nan
    svg, points, _ = drawn(signal)
    first_row = points[points[:, 1] < points[:, 1].min() + 1]
    assert not ((first_row[:, 0] > 63) & (first_row[:, 0] < 124)).any()
    assert not ((first_row[:, 0] > 20.5) & (first_row[:, 0] < 29.5)).any()
    assert svg.count("M", svg.index('class="trace"')) == 12, "eleven leads, one of them in two pieces"


def test_a_recording_shorter_than_the_paper_is_drawn_as_far_as_it_goes():
    _, points, (width, _) = drawn(np.zeros((12, 600)))
    assert points[:, 0].max() == pytest.approx(3 * 62.5 + 30, abs=0.5) and width == 250
