"""What stands above a text table, or numbers its columns, is read; words among numbers are told by their line."""

import numpy as np
import pytest

from echo2ecg_core.ecg.readers import read_ecg
from echo2ecg_core.ecg.record import LEADS
from echo2ecg_core.errors import ReadError
from tests.ecg import device_files as files
from tests.ecg.test_readers_containers import RATE, hearts, same

NAMES = ",".join(LEADS)


def table(signal: np.ndarray, *above: str, shape: str = "{:.4f}", delimiter: str = ",") -> bytes:
    rows = [delimiter.join(shape.format(value) for value in row) for row in signal.T]
    return "\n".join([*above, *rows]).encode()


def read(content: bytes, **given):
    return read_ecg(content, name="x.csv", **given)


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("# gain = 200 adu/mV", 200),
        ("Gain: 409.6 counts/mV", 409.6),
        ("Resolution (uV/LSB),2.5", 400),
        ("Amplitude resolution;4,88 µV", 1 / 0.00488),
        ("lsb_nv: 1250", 800),
        ("ADC gain\t300", 300),
    ],
)
def test_a_gain_above_a_table_of_counts_is_used(line, counts):
    stored = np.round(hearts() * counts)
    same(read(table(stored, line, "fs: 400", NAMES, shape="{:.0f}")), atol=0.51 / counts)
    same(read(table(stored + 2048, line, "Baseline: 2048", "fs: 400", NAMES, shape="{:.0f}")), atol=0.51 / counts)
    assert "The order" not in " ".join(read(table(stored, line, "fs: 400", shape="{:.0f}")).doubts)


@pytest.mark.parametrize(
    "line", ["Gain: 10 mm/mV", "Gain 10 mm/mV", "Resolution: 16 bit", "Gain: 1000", "Speed: 25 mm/s"]
)
def test_the_gain_of_paper_or_amplifier_changes_no_microvolts(line):
    same(read(table(hearts() * 1000, line, "Units: uV", "fs: 400", NAMES, shape="{:.0f}")), atol=6e-4)


@pytest.mark.parametrize(
    "line", ["Sample interval: 2.5 ms", "Sampling period (ms);2,5", "dt=0.0025", "time step: 2500 us"]
)
def test_a_step_of_time_above_a_table_is_its_rate(line):
    assert read(table(hearts(), line, NAMES)).sampling_rate_hz == RATE


@pytest.mark.parametrize("line", ["Leads: {}", "# channels = {}", "Order;{}"])
@pytest.mark.parametrize("between", [" ", ", "])
def test_leads_named_in_a_line_above_are_those_of_the_columns(line, between):
    order = [6, 7, 8, 11, 10, 9, 0, 1, 2, 3, 4, 5]
    above = line.format(between.join(LEADS[row] for row in order))
    found = read(table(hearts()[order], above, "fs: 400"))
    same(found, atol=1e-4)
    assert not any("order" in note for note in found.notes)
    timed = np.vstack([np.arange(2000) * 2.5, hearts()[order]])
    same(read(table(timed, above)), atol=1e-4)


@pytest.mark.parametrize("first", [0, 1])
def test_a_first_line_that_counts_the_columns_is_no_sample(first):
    numbered = ",".join(str(first + column) for column in range(12))
    assert read(table(hearts(), numbered), sampling_rate_hz=RATE).n_samples == 2000
    indexed = np.vstack([np.arange(2000), hearts()])  # as pandas writes an array
    record = read(table(indexed, "," + numbered, shape="{:g}"), sampling_rate_hz=RATE)
    np.testing.assert_allclose(record.signal_mv, hearts(), atol=1e-5)


def test_words_among_numbers_are_told_by_line_and_column_and_not_repeated():
    lines = table(hearts(), NAMES).decode().split("\n")
    lines[1500] = lines[1500].replace(lines[1500].split(",")[4], "Anna Schmidt", 1)
    with pytest.raises(ReadError) as caught:
        read("\n".join(lines).encode(), sampling_rate_hz=RATE)
    assert caught.value.message == (
        "The table “x.csv” has words where numbers are expected, first in line 1,501, column 5."
    )
    with pytest.raises(ReadError, match="first in line 2,003, column 1"):
        read(table(hearts(), NAMES) + b"\n\nExported by a device", sampling_rate_hz=RATE)


@pytest.mark.parametrize("line", ["500 samples/sec", "# recorded at 500 Hz", "# 500 S/s", "500 samples per second"])
def test_a_rate_before_its_name_is_one(line):
    heart = files.heart_uv() / 1000
    table = "\n".join([line, ",".join(LEADS), *(",".join(f"{value:.3f}" for value in row) for row in heart.T)])
    assert read_ecg(table.encode(), name="x").sampling_rate_hz == 500


@pytest.mark.parametrize(
    "line",
    ["1 mV = 400", "# 400 = 1 mV", "# 400 counts per mV", "400 LSB/mV", "ADC units/mV: 400", "# 1mV = 400 counts"],
)
def test_counts_of_a_millivolt_are_told_in_many_ways(line):
    counts = np.round(files.heart_uv() * 0.4)
    rows = [",".join(f"{value:.0f}" for value in row) for row in counts.T]
    record = read_ecg("\n".join([line, "fs: 500", ",".join(LEADS), *rows]).encode(), name="x")
    np.testing.assert_allclose(record.signal_mv, counts / 400, atol=1e-6)
    assert not record.doubts


@pytest.mark.parametrize("unit", ["mkV", "mcV", "uVolt", "microV", "µVolts", "10^-6 V", "1e-6V", "micro-volt"])
def test_a_microvolt_has_many_names(unit):
    low = files.heart_uv() / 4  # as mV or as counts it would be another ECG
    names = ",".join(f"{lead} ({unit})" for lead in LEADS)
    table = "\n".join(["# fs: 500", names, *(",".join(f"{value:.2f}" for value in row) for row in low.T)])
    record = read_ecg(table.encode(), name="x")
    np.testing.assert_allclose(record.signal_mv, low / 1000, atol=1e-5)
    assert not record.doubts


@pytest.mark.parametrize(
    "write",
    [
        lambda text: f"({text[1:]})" if text[0] == "-" else text,
        lambda text: f"{text[1:]}-" if text[0] == "-" else text,
        lambda text: text.translate(str.maketrans("0123456789.-", "０１２３４５６７８９．－")),
        lambda text: text.translate(str.maketrans("0123456789.", "٠١٢٣٤٥٦٧٨٩٫")),
        lambda text: f"{float(text) * 1000:.0f}×10^-3",
        lambda text: f"{float(text) * 1000:.0f}*10^-3",
    ],
)
def test_numbers_as_books_and_other_scripts_have_them_are_read(write):
    heart = files.heart_uv() / 1000
    rows = [",".join(write(f"{value:.3f}") for value in row) for row in heart.T]
    record = read_ecg("\n".join(["# fs: 500", ",".join(LEADS), *rows]).encode(), name="x")
    np.testing.assert_allclose(record.signal_mv, heart, atol=1e-5)
