"""The paper is true to scale: grid, pulse, labels and traces are measured in millimetres, not looked at."""

import io
import re

import numpy as np
import pytest

from echo2ecg_core.ecg.record import LEADS, EcgRecord
from echo2ecg_core.figures.ecg import (
    LAYOUTS,
    caption,
    ecg_figure,
    plan_pair,
    plan_paper,
    pulse_outline,
    reach_of,
    remove_wander,
    with_tints,
)
from echo2ecg_core.figures.export import figure_file

MM_PER_INCH = 25.4
RATE = 500.0


def record_of(seconds: float = 10.0, **changes) -> EcgRecord:
    """Twelve sines of 1 mV amplitude and 1 Hz."""
    t = np.arange(round(seconds * RATE)) / RATE
    return EcgRecord(np.tile(np.sin(2 * np.pi * t), (12, 1)), RATE, "NPY", "sine.npy", **changes)


def axes_of(paper, record=None, **options):
    figure = ecg_figure(record or record_of(), paper, without_wander=False, **options)
    return figure, figure.axes[0]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("speed", (25, 50))
def test_one_grid_millimetre_is_one_millimetre_on_the_page_in_both_directions(layout, speed):
    paper = plan_paper(10, layout, speed)
    figure, axes = axes_of(paper)
    box = axes.get_position()
    width_mm, height_mm = figure.get_size_inches() * MM_PER_INCH
    x0, x1 = axes.get_xlim()
    y1, y0 = axes.get_ylim()
    assert width_mm * box.width / (x1 - x0) == pytest.approx(1, abs=1e-9)
    assert height_mm * box.height / (y1 - y0) == pytest.approx(1, abs=1e-9)
    fine, _, bold = axes.collections[:3]
    assert np.allclose(np.diff([line[0, 0] for line in fine.get_segments()]), 1)
    assert np.allclose(np.diff([line[0, 0] for line in bold.get_segments()]), 5)


def test_a_sheet_of_ten_seconds_is_the_size_the_screens_ask_for():
    paper = plan_paper(10)
    assert (paper.width_mm, paper.height_mm) == (262, 104)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_all_twelve_leads_are_labelled_and_lead_two_runs_below_the_standard_layout(layout):
    _, axes = axes_of(plan_paper(10, layout))
    labels = [text.get_text() for text in axes.texts]
    assert {label.removeprefix("−") for label in labels} == set(LEADS)
    assert labels.count("II") == (2 if layout == "3×4 + II" else 1)


def test_cabrera_runs_from_avl_to_iii_and_turns_avr_round():
    strips = plan_paper(10, "Cabrera").strips
    assert [s.label for s in strips[::2]] == ["aVL", "I", "−aVR", "II", "aVF", "III"]
    assert [(s.lead, s.sign) for s in strips if s.sign < 0] == [("aVR", -1)]


@pytest.mark.parametrize(
    ("speed", "gain", "width", "height"), [(25, 10, 5, 10), (50, 10, 10, 10), (25, 20, 5, 20), (25, 5, 5, 5)]
)
def test_the_calibration_pulse_is_one_millivolt_high_and_200_milliseconds_wide(speed, gain, width, height):
    paper = plan_paper(10, speed_mm_s=speed, gain_mm_mv=gain)
    x, y = pulse_outline(paper, 50)
    assert x[3] - x[2] == pytest.approx(width)
    assert y[0] - y[2] == pytest.approx(height)
    assert max(x) <= min(s.x_mm for s in paper.strips)


@pytest.mark.parametrize("gain", (5, 10, 20))
def test_a_sine_of_one_millivolt_is_drawn_two_millivolts_high_and_as_long_as_its_time(gain):
    paper = plan_paper(10, gain_mm_mv=gain)
    _, axes = axes_of(paper)
    rhythm = next(line for line in axes.lines if len(line.get_xdata()) == 10 * RATE)
    assert np.ptp(rhythm.get_ydata()) == pytest.approx(2 * gain, rel=1e-3)
    assert np.ptp(rhythm.get_xdata()) == pytest.approx(250, abs=25 / RATE + 1e-6)


def test_the_columns_of_a_row_follow_each_other_in_time():
    row = plan_paper(10).strips[:4]
    assert [(s.start_s, s.end_s) for s in row] == [(0, 2.5), (2.5, 5), (5, 7.5), (7.5, 10)]
    assert [s.x_mm for s in row] == [10, 72.5, 135, 197.5]


def test_a_short_recording_shows_every_lead_from_its_start_and_says_so():
    paper = plan_paper(4.0)
    assert {(s.start_s, s.end_s) for s in paper.strips[:12]} == {(0, 2.5)}
    assert "every lead from its start" in caption(record_of(4.0), paper, False)


def test_of_a_recording_longer_than_the_paper_the_caption_tells_which_seconds_are_shown():
    assert "20.0–30.0\u202fs of 10\u202fmin" in caption(record_of(600.0), plan_paper(600.0, start_s=20.0), False)
    assert " of " not in caption(record_of(10.0), plan_paper(10.0), False)


def test_the_caption_owns_up_to_filtering_and_to_normalised_values():
    paper = plan_paper(10)
    assert "baseline wander removed for display" in caption(record_of(), paper, True)
    assert "unfiltered" in caption(record_of(), paper, False)
    assert "normalised, not mV" in caption(record_of(units="normalised"), paper, False)


def test_wander_goes_and_what_is_faster_than_one_hertz_stays_in_place():
    t = np.arange(5000) / RATE
    beat = np.exp(-((((t % 1) - 0.5) / 0.02) ** 2))
    drift = np.sin(2 * np.pi * 0.15 * t)
    cleaned = remove_wander((beat + drift)[None], RATE)[0]
    peaks = [np.argmax(cleaned[i * 500 : (i + 1) * 500]) for i in range(10)]
    assert set(peaks) == {250}
    assert (
        np.ptp([cleaned[i * 500 + 50] for i in range(1, 9)]) < 0.05 < np.ptp([drift[i * 500 + 50] for i in range(1, 9)])
    )
    assert cleaned[750] - cleaned[650] == pytest.approx(1, abs=0.06)


def test_a_lead_with_a_gap_is_drawn_as_it_is():
    signal = record_of().signal_mv.copy()
    signal[8, 100:200] = np.nan
    assert np.array_equal(remove_wander(signal, RATE)[8], signal[8], equal_nan=True)


@pytest.mark.slow
def test_files_carry_provenance_and_keep_their_size_in_millimetres():
    from PIL import Image

    paper = plan_paper(10)
    figure, _ = axes_of(paper, title="ECG sine.npy", footer="sine.npy · model demo 7c1e9a4f (synthetic)")
    files = {
        kind: figure_file(figure, kind, title="ECG sine.npy", provenance="sine.npy · model demo", dpi=127)
        for kind in ("svg", "pdf", "png")
    }
    svg = files["svg"].decode()
    assert float(re.search(r'width="([\d.]+)pt"', svg).group(1)) == pytest.approx(262 / MM_PER_INCH * 72, abs=0.01)
    assert "sine.npy · model demo" in svg and ">aVR<" in svg
    assert files["pdf"].startswith(b"%PDF") and "model demo".encode("utf-16-be") in files["pdf"]
    image = Image.open(io.BytesIO(files["png"]))
    assert image.width == pytest.approx(262 / MM_PER_INCH * 127, abs=1) and image.text["Title"] == "ECG sine.npy"


def drawn_heights(paper, record) -> dict[str, tuple[float, float]]:
    """Top and bottom in mm from the upper edge of what is drawn of every strip."""
    figure = ecg_figure(record, paper)
    lines = {
        line.get_label(): line.get_ydata() for line in figure.axes[0].lines if not line.get_label().startswith("_")
    }
    return {label: (float(y.min()), float(y.max())) for label, y in lines.items()}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("deep_mv", [-1.5, -3.2])
def test_rows_grow_until_every_trace_is_on_the_paper(layout, deep_mv):
    signal = np.zeros((12, 5000), np.float32)
    signal[:, 250::500] = deep_mv
    signal[6:, 260::500] = 2.6
    record = EcgRecord(signal, 500.0, "test", "tall")
    paper = plan_paper(10, layout, reach_mv=reach_of(signal))
    for label, (top, bottom) in drawn_heights(paper, record).items():
        assert top >= 0 and bottom <= paper.height_mm, label
    assert "leave" not in caption(record, paper, False)
    assert paper.height_mm >= plan_paper(10, layout).height_mm


def test_a_trace_beyond_every_bearable_row_is_said_to_leave_the_paper():
    signal = np.zeros((12, 5000), np.float32)
    signal[8, 250::500] = 9.0
    record = EcgRecord(signal, 500.0, "test", "spikes")
    paper = plan_paper(10, reach_mv=reach_of(signal))
    assert "V3 leaves the paper: choose a smaller gain" in caption(record, paper, False)
    assert "leave" not in caption(record, plan_paper(10, gain_mm_mv=5, reach_mv=reach_of(signal)), False)


def test_removing_wander_invents_nothing_at_the_ends():
    """A wide beat is cut in the middle of its T wave at either end; between beats the line stays flat."""
    t = np.arange(5000) / 500.0
    beats = sum(
        np.exp(-(((t - c) / 0.04) ** 2)) * 1.5 - np.exp(-(((t - c - 0.3) / 0.09) ** 2)) for c in np.arange(-0.3, 11)
    )
    moved = np.abs(remove_wander(beats[None], 500.0)[0] - beats)
    inside = moved[1000:4000].max()
    assert moved[:500].max() < inside + 0.12 and moved[-500:].max() < inside + 0.12


def test_a_tint_lies_under_the_samples_that_carry_the_estimate_in_page_and_print_alike():
    contribution = np.zeros((12, 250))
    contribution[LEADS.index("V2"), 100:110] = -2.0  # seconds 4.0 to 4.4
    contribution[LEADS.index("I"), 0:5] = 1.0
    paper = with_tints(plan_paper(10.0, "12×1"), contribution, 0.04)
    strips = {strip.lead: strip for strip in paper.strips}
    lowers = [tint for tint in paper.tints if tint.value < 0]
    assert min(t.x_mm for t in lowers) == pytest.approx(strips["V2"].x_mm + 4.0 * 25)
    assert max(t.x_mm + t.width_mm for t in lowers) == pytest.approx(strips["V2"].x_mm + 4.4 * 25)
    assert {t.value for t in lowers} == {-1.0} and len(paper.tints) == 15
    middle = lowers[0].top_mm + lowers[0].height_mm / 2
    assert middle == pytest.approx(strips["V2"].baseline_mm)
    three_by_four = with_tints(plan_paper(10.0), contribution, 0.04)
    assert len(three_by_four.tints) == 5  # V2 is drawn from second 5 on


def test_a_pair_shows_every_lead_twice_from_the_start_of_either_recording():
    paper = plan_pair({"V3": (-2.5, 0.2)}, 10)
    assert [s.lead for s in paper.strips if s.of == 0] == [s.lead for s in paper.strips if s.of == 1] == list(LEADS)
    for this, earlier in zip(paper.strips[::2], paper.strips[1::2], strict=True):
        assert this.baseline_mm == earlier.baseline_mm and (this.start_s, this.end_s) == (0, earlier.end_s)
        assert earlier.label == this.label == this.lead and earlier.x_mm - this.x_mm > 25 * this.end_s
    rows = {s.lead: s.baseline_mm for s in paper.strips}
    assert rows["V4"] - rows["V3"] >= 25  # room for the S wave
