"""What the rows and columns of a text table say of its time, its leads and of one recording or several in it."""

import datetime

import numpy as np
import pytest

from echo2ecg_core.ecg.formats.clocks import time_columns
from echo2ecg_core.ecg.readers import read_ecg
from echo2ecg_core.ecg.record import LEADS
from echo2ecg_core.errors import SamplingRateNeeded
from tests.ecg.test_limb_leads import RATE_HZ, heart

TRUTH = np.round(heart()[:, :2000], 3)
NAMES = ",".join(LEADS)
GIVEN = {"sampling_rate_hz": RATE_HZ}
TURNED = [*range(6), *range(11, 5, -1)]  # chest leads from V6 to V1, which no equation can tell


def rows(signal=TRUTH, first=None, separator=","):
    lines = [separator.join(f"{value:.3f}" for value in row) for row in signal.T]
    return lines if first is None else [f"{cell}{separator}{line}" for cell, line in zip(first, lines, strict=True)]


def read(lines, **given):
    return read_ecg("\n".join([*lines, ""]).encode(), name="x.csv", **given)


def is_the_heart(record):
    np.testing.assert_allclose(record.signal_mv, TRUTH, atol=1e-6)


@pytest.mark.parametrize("cut", [np.round, np.floor], ids=["rounded", "cut"])
@pytest.mark.parametrize(
    ("rate", "unit_s"), [(360, 0.01), (250, 0.01), (300, 0.01), (257, 0.1), (1024, 1e-3), (2048, 1e-3), (960, 1e-3),
                         (128, 0.01), (500, 1.0), (400, 0.5)],
)  # fmt: skip
def test_a_clock_coarser_than_the_samples_gives_their_rate_and_no_doubt(rate, unit_s, cut):
    times = np.round(cut(np.arange(10 * rate) / rate / unit_s + 1e-9) * unit_s, 6)
    clocks, found, told = time_columns(("time (s)", "I"), np.vstack([times, np.zeros(len(times))]))
    assert clocks == {0} and found == pytest.approx(rate, rel=5e-4) and not told


def test_a_table_of_such_a_clock_has_its_rate_whatever_is_given():
    record = read([f"Time,{NAMES}", *rows(first=[f"{row / 360:.2f}" for row in range(2000)])], sampling_rate_hz=400)
    assert record.sampling_rate_hz == 360 and not record.doubts


def test_rows_that_were_dropped_at_random_are_no_rounding():
    kept = np.sort(np.random.default_rng(0).permutation(2000)[:1975])
    record = read([f"time (s),{NAMES}", *rows(TRUTH[:, kept], [f"{row / RATE_HZ:.3f}" for row in kept])])
    assert record.sampling_rate_hz == RATE_HZ and "samples are missing" in record.doubts[0]


@pytest.mark.parametrize("name", ["czas", "Zeitpunkt", "X", "시간"])
def test_a_column_of_any_name_that_rises_evenly_is_time(name):
    seconds = [f"{row / RATE_HZ:.3f}" for row in range(2000)]
    for header, first in (
        (f"{name},{NAMES}", seconds),
        (f"{name} [ms],{NAMES}", [str(2 * row) for row in range(2000)]),
    ):
        record = read([header, *rows(first=first)])
        is_the_heart(record)
        assert record.sampling_rate_hz == RATE_HZ


def test_midnight_is_no_jump_and_days_of_a_spreadsheet_are_a_time():
    midnight = datetime.datetime(2024, 1, 5, 23, 59, 58)
    clock = [(midnight + datetime.timedelta(seconds=row / RATE_HZ)).strftime("%H:%M:%S.%f") for row in range(2000)]
    days = [f"{45296.4 + row / RATE_HZ / 86400:.10f}" for row in range(2000)]
    for first in (clock, days):
        record = read([f"Time,{NAMES}", *rows(first=first)])
        assert record.sampling_rate_hz == pytest.approx(RATE_HZ, rel=1e-3) and not record.doubts


def test_time_that_runs_backwards_is_told_and_what_fills_a_file_up_is_nothing():
    backwards = read([f"time,{NAMES}", *rows(first=[f"{4 - row / RATE_HZ:.3f}" for row in range(2000)])], **GIVEN)
    assert "The time column runs backwards: so may the recording." in backwards.doubts
    for end in ("\0" * 200, "\x1a"):
        is_the_heart(read_ecg("\n".join([NAMES, *rows(), end]).encode(), **GIVEN))
    assert read(["Sampling rate (kHz);0.5", NAMES, *rows()]).sampling_rate_hz == RATE_HZ


def test_a_counter_of_every_second_sample_tells_no_rate_and_a_step_without_a_name_is_told():
    lines = rows(first=range(0, 4000, 2))
    with pytest.raises(SamplingRateNeeded):
        read([f"sample,{NAMES}", *lines])
    assert any("taken as time in ms" in doubt for doubt in read([f",{NAMES}", *lines]).doubts)


IDS = [f"{17 + (row >= 1000)}" for row in range(2000)]
SEVERAL = {
    "a counter begins anew": ([f"sample,{NAMES}", *rows(first=[row % 1000 for row in range(2000)])], "goes back"),
    "a counter without a name": (rows(first=[row % 1000 for row in range(2000)]), "goes back"),
    "a counter leaps": ([f"n,{NAMES}", *rows(first=[*range(900), *range(1600, 2700)])], "by 700 samples"),
    "two ids": ([f"patient_id,{NAMES}", *rows(first=IDS)], "holds 2 different ones"),
    "stretches as long under any name": ([f"episode,{NAMES}", *rows(first=IDS)], "holds 2 different ones"),
    "two ids in words": (
        [f"{NAMES},file", *(f"{line},{name}.hea" for line, name in zip(rows(), IDS, strict=True))], "2 different ones"
    ),
    "a blank line": ([NAMES, *rows()[:1000], "", *rows()[1000:]], "blank or comment lines (once)"),
    "a row of empty cells": ([NAMES, *rows()[:1000], "," * 11, *rows()[1000:]], "blank or comment lines (once)"),
    "a comment": ([NAMES, *rows()[:1000], "# next", *rows()[1000:]], "blank or comment lines (once)"),
}  # fmt: skip


@pytest.mark.parametrize(("lines", "told"), SEVERAL.values(), ids=SEVERAL)
def test_rows_of_several_recordings_below_one_another_are_told_beside_the_estimate(lines, told):
    record = read(lines, sampling_rate_hz=RATE_HZ)
    np.testing.assert_allclose(record.signal_mv[:, ~np.isnan(record.signal_mv).all(axis=0)], TRUTH, atol=1e-6)
    assert any(told in doubt for doubt in record.doubts)


def test_rows_of_empty_cells_below_a_table_are_no_samples_and_many_among_its_rows_are_missing_ones():
    is_the_heart(read([NAMES, *rows(), *["," * 11] * 50], **GIVEN))
    gap = read([NAMES, *rows()[:1000], *["," * 11] * 200, *rows()[1000:]], **GIVEN)
    assert np.isnan(gap.signal_mv).all(axis=0).sum() == 200 and not gap.doubts


def test_a_rhythm_that_changes_once_is_no_second_recording():
    is_the_heart(read([f"rhythm,{NAMES}", *rows(first=[str(int(row > 700)) for row in range(2000)])], **GIVEN))


def test_one_id_blank_lines_everywhere_and_a_remark_below_are_nothing_to_tell():
    lines = [f"patient_id,{NAMES}", *(line for row in rows(first=["17"] * 2000) for line in (row, "")), "", "# end"]
    record = read(lines, sampling_rate_hz=RATE_HZ)
    is_the_heart(record)
    assert not record.doubts


@pytest.mark.parametrize("separator", [",", " "])
def test_a_line_of_fewer_values_than_the_others_is_left_out_and_told(separator):
    lines = rows(separator=separator)
    cells = lines[1000].split(separator)
    lines[1000] = separator.join(cells[:3] + cells[4:])  # which is missing, nothing tells
    half = len(lines[500]) // 2
    lines[500:501] = [lines[500][:half], lines[500][half:]]
    record = read(lines, sampling_rate_hz=RATE_HZ)
    missing = np.isnan(record.signal_mv)
    assert missing.all(axis=0).sum() == missing.any(axis=0).sum() == 3
    np.testing.assert_allclose(record.signal_mv[:, 502:1001], TRUTH[:, 501:1000], atol=1e-6)
    assert any("3 lines of the table hold fewer values" in note for note in record.notes)


NAMED_ABOVE = {
    "NumPy's comment": ["# " + " ".join(LEADS[row] for row in TURNED)],
    "another separator": [";".join(LEADS[row] for row in TURNED)],
    "a separator at the end": [",".join(LEADS[row] for row in TURNED) + ","],
    "further words": [",".join(f"{LEADS[row]}_filtered" for row in TURNED)],
}


@pytest.mark.parametrize("header", NAMED_ABOVE.values(), ids=NAMED_ABOVE)
def test_names_of_leads_above_a_table_are_those_of_its_columns_however_they_are_written(header):
    for separator in (",", "\t"):
        record = read([*header, *rows(TRUTH[TURNED], separator=separator)], sampling_rate_hz=RATE_HZ)
        is_the_heart(record)
        assert not record.doubts and not record.derived_leads


def test_names_that_are_not_as_many_as_the_columns_are_told_beside_the_estimate():
    named = " ".join([*(LEADS[row] for row in TURNED), "Resp", "SpO2"])
    record = read([f"# {named}", *rows(TRUTH[TURNED], separator=" ")], sampling_rate_hz=RATE_HZ)
    assert "Names of 14 leads are told, but there are 12: they were not used." in record.doubts


@pytest.mark.parametrize("above", ["2000", "63", "2000 12", "2000 12 16", "Frequency 150 Hz"])
def test_a_number_above_a_table_that_may_be_another_one_is_not_taken_for_the_given_rate(above):
    record = read([above, *rows(separator=" ")], sampling_rate_hz=RATE_HZ)
    is_the_heart(record)
    assert record.sampling_rate_hz == RATE_HZ


def test_a_frequency_above_a_table_that_may_be_that_of_a_filter_is_a_doubt():
    assert "150 Hz, was taken as the sampling rate" in read(["Frequency 150 Hz", NAMES, *rows()]).doubts[0]
    assert read(["Frequency: 500 Hz", NAMES, *rows()]).sampling_rate_hz == RATE_HZ
    assert "it lasts 8 s" in read(["Frequency: 250 Hz", "# Duration: 4 s", NAMES, *rows()]).doubts[0]
    for line in ("Samples/s: 500", "Sampling: 500 sps", "Abtastung 500 Hz"):
        assert read([line, NAMES, *rows()]).sampling_rate_hz == RATE_HZ


def test_a_given_rate_at_which_the_file_does_not_last_as_long_as_it_says_is_a_doubt():
    lines = ["# Duration: 4 s", NAMES, *rows()]
    assert not read(lines, sampling_rate_hz=RATE_HZ).doubts
    assert "at the given 250 Hz it lasts 8 s" in read(lines, sampling_rate_hz=250).doubts[0]


@pytest.mark.parametrize(
    ("rate", "unit"),
    [("Частота дискретизации: 500 Гц", "мкВ"), ("采样率: 500 Hz", "微伏"), ("サンプリング周波数: 500", "µV")],
)
def test_rates_and_units_are_read_in_other_scripts(rate, unit):
    counts = [",".join(f"{value:.0f}" for value in row) for row in TRUTH.T * 1000 / 4]
    for above in ([rate, ",".join(f"{lead} ({unit})" for lead in LEADS)], [rate, f"单位: {unit}", NAMES]):
        record = read([*above, *counts])
        np.testing.assert_allclose(record.signal_mv, TRUTH / 4, atol=6e-4)
        assert record.sampling_rate_hz == RATE_HZ and not record.doubts
