"""Text tables in the layouts people have: with and without header, time column, units, either orientation."""

import numpy as np
import pytest

from echo2ecg_core.ecg.readers import read_ecg
from echo2ecg_core.ecg.record import LEADS
from echo2ecg_core.errors import ReadError, SamplingRateNeeded, SignalError

RATE = 250
EIGHT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")


def wave(n_leads: int = 12, n_samples: int = 1000) -> np.ndarray:
    """Leads in mV with a spike every second; rounded so that text keeps it exactly."""
    time = np.arange(n_samples) / RATE
    beat = np.exp(-0.5 * ((time % 1 - 0.5) / 0.02) ** 2)
    return np.round((0.5 + 0.1 * np.arange(n_leads))[:, None] * beat - 0.05, 3)


def text(columns: np.ndarray, header: str = "", delimiter: str = ",", decimal: str = ".") -> bytes:
    """A table with one array row a column."""
    lines = [delimiter.join(f"{value:g}".replace(".", decimal) for value in row) for row in columns.T]
    return "\n".join([*([header] if header else []), *lines, ""]).encode()


def with_time(step: float, columns: np.ndarray) -> np.ndarray:
    return np.vstack([np.round(np.arange(columns.shape[1]) * step, 6), columns])


def check(content: bytes, rate: float | None = None, file_format: str = "CSV", name: str = "table.csv"):
    record = read_ecg(content, name=name, sampling_rate_hz=rate)
    np.testing.assert_allclose(record.signal_mv, wave(), atol=1e-6)
    assert record.sampling_rate_hz == RATE and record.format == file_format
    return record


@pytest.mark.parametrize(
    ("header", "step"),
    [("time (s)", 0.004), ("time", 0.004), ("Time_ms", 4), ("t [ms]", 4), ("time", 4), ("Elapsed time", 0.004),
    ("seconds", 0.004),
     ("time (µs)", 4000), ("time_ns", 4e6), ("Zeit [min]", 0.004 / 60), ("Temps (s)", 0.004), ("Sekunden", 0.004)],
)  # fmt: skip
def test_the_sampling_rate_comes_from_a_time_column(header, step):
    check(text(with_time(step, wave()), ",".join([header, *LEADS])))


@pytest.mark.parametrize(("delimiter", "decimal", "file_format"), [
    (",", ".", "CSV"), (";", ".", "CSV"), (";", ",", "CSV"), ("\t", ".", "TSV"), ("\t", ",", "TSV"), (" ", ".", "TXT"),
    ("|", ".", "TXT"), (", ", ".", "CSV"),
])  # fmt: skip
def test_any_delimiter_and_decimal_sign_is_understood(delimiter, decimal, file_format):
    check(text(wave(), delimiter.join(LEADS), delimiter, decimal), RATE, file_format)


@pytest.mark.parametrize(
    "comment",
    [
        "# sampling rate: 250 Hz",
        "# fs=250",
        "% Sampling frequency (Hz): 250.0",
        "// sample_rate 250",
        "# Frequency: 250 Hz",
        "Hz;250",
        "# 250 Hz",
        "Samples per second,250",
        "sps 250",
        "Abtastfrequenz [Hz]: 2,5E+02",
        "Fréquence d'échantillonnage : 250 Hz",
        "Abtastintervall: 4 ms",
        "Sampling period 4 ms",
    ],
)
def test_the_sampling_rate_comes_from_a_comment(comment):
    check(comment.encode() + b"\n" + text(wave(), ",".join(LEADS)))


def test_lead_names_may_come_in_any_order_and_spelling():
    order = [5, 0, 11, 3, 4, 1, 2, 6, 10, 9, 8, 7]
    names = [f'"Lead {LEADS[index].upper()}"' for index in order]
    check(text(wave()[order], ",".join(names)), RATE)


def test_units_come_from_the_header_or_from_a_unit_row():
    microvolt = np.round(wave() * 1000)
    record = check(text(microvolt, ",".join(f"{lead} (uV)" for lead in LEADS)), RATE)
    assert record.notes == ()
    for count in (0.1, 0.5):
        check(text(wave() * 1000 / count, ",".join(f"{lead} ({count} uV)" for lead in LEADS)), RATE)
    header = "'Elapsed time'," + ",".join(f"'{lead}'" for lead in LEADS) + "\n'seconds'," + ",".join(["'mV'"] * 12)
    assert check(text(with_time(0.004, wave()), header)).notes == ()  # PhysioNet's export


@pytest.mark.parametrize(("factor", "unit"), [(1, "mV"), (1000, "µV"), (200, "counts of 5 µV"), (0.001, "V")])
def test_without_a_unit_the_amplitude_decides_and_the_note_says_so(factor, unit):
    values = wave() * factor
    values = np.round(values) if factor >= 200 else values
    record = read_ecg(text(values, ",".join(LEADS)), sampling_rate_hz=RATE)
    np.testing.assert_allclose(record.signal_mv, wave(), atol=0.003)
    assert f"was taken as {unit} (" in record.notes[0] and record.units == "mV"


def test_clock_times_give_the_sampling_rate():
    lines = ["'Elapsed time'," + ",".join(LEADS)]
    lines += [f"'0:{index / RATE:06.3f}'," + ",".join(map(str, column)) for index, column in enumerate(wave().T)]
    check("\n".join(lines).encode())


def test_a_sample_counter_is_left_out_and_gives_no_sampling_rate():
    counted = with_time(1, wave())
    for content in (text(counted), text(counted, "," + ",".join(LEADS)), text(counted, ",".join(LEADS))):
        with pytest.raises(SamplingRateNeeded) as caught:
            read_ecg(content, name="x.csv")
        assert (
            str(caught.value)
            == "“x.csv” does not say its sampling rate. Give the sampling rate in Hz, for example 500."
        )
        check(content, RATE)


def test_a_counter_may_stand_before_the_time_column():
    table = np.vstack([np.arange(1000), with_time(0.004, wave())])
    check(text(table, ",time," + ",".join(LEADS)))
    check(text(table))


def test_headerless_columns_are_taken_in_the_standard_order():
    record = check(text(wave()), RATE)
    assert (
        record.notes[0]
        == "The file names no leads; the order I, II, III, aVR, aVL, aVF, V1, V2, V3, V4, V5, V6 was assumed."
    )
    eight = read_ecg(text(wave(8)), sampling_rate_hz=RATE)
    np.testing.assert_allclose(eight.signal_mv[6:], wave(8)[2:], atol=1e-6)
    assert eight.notes[0] == "The file names no leads; the order I, II, V1, V2, V3, V4, V5, V6 was assumed."
    assert eight.derived_leads == ("III", "aVR", "aVL", "aVF")


def test_column_names_that_are_no_leads_are_mentioned():
    record = check(text(wave(), ",".join(f"ch{index}" for index in range(12))), RATE)
    assert record.notes[0] == (
        "The column names (ch0, ch1, ch2, ch3, ch4, ch5, ch6, ch7, ch8, ch9, ch10 and ch11) are no lead names."
    )
    doubts = read_ecg(text(wave(), ",".join(f"x{lead}" for lead in LEADS)), sampling_rate_hz=RATE).doubts
    assert any("are no lead names. That they lie in the usual order is assumed." in doubt for doubt in doubts)
    assert not any("no lead names" in doubt for doubt in record.doubts)


def test_leads_may_lie_in_lines_with_or_without_names():
    plain = "\n".join(",".join(map(str, row)) for row in wave()).encode()
    named = "\n".join(f"{lead}," + ",".join(map(str, row)) for lead, row in zip(LEADS, wave(), strict=True)).encode()
    assert "The file names no leads" in check(plain, RATE).notes[0]
    assert "The file names no leads" not in check(named, RATE).notes[0]
    check(named.replace(b",", b"\t"), RATE, "TSV")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_encodings_and_windows_line_ends_are_understood(encoding):
    content = text(with_time(0.004, wave()), "time (s)," + ",".join(f"{lead} (µV)" for lead in LEADS)).decode()
    record = read_ecg(content.replace("\n", "\r\n").encode(encoding))
    np.testing.assert_allclose(record.signal_mv, wave() / 1000, atol=1e-6)


def test_blank_cells_are_missing_samples_and_blank_columns_are_nothing():
    lines = text(wave(), ",".join(LEADS)).decode().splitlines()
    lines[5] = lines[5].replace(lines[5].split(",")[0], "", 1)
    record = read_ecg("\n".join(line + "," for line in lines).encode(), sampling_rate_hz=RATE)
    assert np.isnan(record.signal_mv[0, 4]) and np.isnan(record.signal_mv).sum() == 1
    assert record.notes[-1] == "Lead I has 1 missing sample (0.1%)."


def test_the_rate_in_the_file_wins_over_a_given_one():
    record = read_ecg(text(with_time(0.004, wave()), "time (s)," + ",".join(LEADS)), sampling_rate_hz=500)
    assert record.sampling_rate_hz == 250
    assert record.notes[-1] == "The file's own sampling rate (250 Hz) was used, not the given 500 Hz."


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"Dear colleague,\nthe ECG is attached.\n", ReadError, "“x.dcm” is text, but not an ECG: it holds no table "
"of numbers."),
        (b"II\n" + b"0.125\n" * 500, ReadError, "“x.dcm” holds one column of numbers, which is one lead; 12 (or the 8 "
"leads I, II, V1 to V6) are needed."),
        (text(wave(5)), SignalError,
         "The table has 5 columns of numbers without lead names; 12 (or the 8 leads I, II, V1 to V6) are needed."),
        (text(wave(2), "I,II"), SignalError,
         "The file holds 2 of the 12 leads (I and II); V1, V2, V3, V4, V5 and V6 are missing."),
        (text(wave(), ",".join(LEADS)) + b"1,2,3,four,5,6,7,8,9,10,11,12\n", ReadError,
         "The table “x.dcm” has words where numbers are expected, first in line 1,002, column 4."),
        (text(wave(), ",".join(LEADS)) + b"1,2,3,4,5,6,7,8,9,10,11,12,13,14\n", ReadError,
         "The lines of “x.dcm” do not have the same number of columns."),
        (b"I,1,2,3,4,5,6,7,8,9\nII,1,2,3,4,5,6,7,8\n", ReadError,
         "The lines of “x.dcm” have different numbers of values (8 to 9)."),
        (b"1,2\n" + b"\n" * 1_000_000, ReadError, "“x.dcm” has 1,000,001 lines; at most 1,000,000 are read."),
        (b"\n".join([b",".join([b"1"] * 100)] * 100), ReadError,
         "The table has more than 64 columns in 100 lines; one column a lead is needed."),
    ],
)  # fmt: skip
def test_other_text_is_refused_in_one_sentence(content, error, message):
    with pytest.raises(error) as caught:
        read_ecg(content, name="x.dcm", sampling_rate_hz=RATE)
    assert caught.value.message == message and caught.value.hint


@pytest.mark.parametrize("minus", ["−", "﹣", "－"])
def test_a_minus_as_word_processors_write_it_is_a_minus(minus):
    plain = text(wave(), ",".join(LEADS))
    found = read_ecg(plain.decode().replace("-", minus).encode(), name="x.csv", sampling_rate_hz=RATE)
    np.testing.assert_array_equal(found.signal_mv, read_ecg(plain, name="x.csv", sampling_rate_hz=RATE).signal_mv)


@pytest.mark.parametrize("mark", ["#N/A", "#NV", "#DIV/0!", "?", "*", ".", "-999", "-32768", "32767", "29999", "999"])
def test_what_stands_for_a_missing_number_is_missing_in_its_own_lead_only(mark):
    columns = wave()
    lines = text(columns, ",".join(LEADS)).decode().splitlines()
    for row in range(101, 121):
        numbers = lines[row].split(",")
        numbers[7] = mark
        lines[row] = ",".join(numbers)
    found = read_ecg("\n".join(lines).encode(), name="x.csv", sampling_rate_hz=RATE)
    expected = columns.copy()
    expected[7, 100:120] = np.nan
    np.testing.assert_allclose(found.signal_mv, expected, atol=1e-6)
    assert any("V2 has 20 missing samples" in note for note in found.notes)
    assert not mark.lstrip("-").isdigit() or f"20 values of {mark} were taken as missing." in found.notes


@pytest.mark.parametrize("lines", ["Line frequency: 60 Hz", "Heart rate: 100", "Filter frequency 150 Hz", "Rate: 100"])
def test_a_rate_of_something_else_is_no_sampling_rate(lines):
    with pytest.raises(SamplingRateNeeded):
        read_ecg(f"{lines}\n".encode() + text(wave(), ",".join(LEADS)))


def stamped(*stamps: str, header: str = "") -> bytes:
    rows = text(wave()).decode().splitlines()
    lines = [",".join([header or "time", *LEADS]), *(f"{s},{row}" for s, row in zip(stamps, rows, strict=True))]
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("form", "header"),
    [
        ("05.01.2024 10:11:{:06.3f}", ""),
        ("01/05/2024 10:11:{:06.3f} AM", ""),
        ("2024-01-05,10:11:{:06.3f}", "Date,Time"),
    ],
)
def test_dates_and_hours_beside_the_samples_give_the_rate(form, header):
    check(stamped(*(form.format(12 + i / RATE) for i in range(1000)), header=header))


def test_a_clock_coarser_than_the_samples_gives_the_rate_where_every_second_holds_as_many():
    seconds = [f"{(i + 100) // RATE}" for i in range(1000)]
    check(stamped(*seconds, header="time (s)"))
    with pytest.raises(SamplingRateNeeded):
        read_ecg(stamped(*seconds[:300], *["9"] * 700, header="time (s)"))


@pytest.mark.parametrize(
    ("second", "told"),
    [(lambda t: t + 3 * (t > 2), "jumps once, by 3 s in all"), (lambda t: t % 2, "goes back or stands still (once)")],
)
def test_a_time_column_with_jumps_gives_the_rate_and_tells_them_beside_the_estimate(second, told):
    record = check(stamped(*(f"{second(i / RATE):.3f}" for i in range(1000)), header="time (s)"))
    assert any(told in doubt for doubt in record.doubts) and any(told in note for note in record.notes)


@pytest.mark.parametrize("mark", ["'", "’", "\u202f", "\u00a0"])
def test_thousands_may_be_parted_as_in_switzerland_or_france(mark):
    rows = "\n".join(";".join(f"{v:,.0f}".replace(",", mark) for v in row) for row in (wave() * 1e6).T)
    check(f"{';'.join(f'{lead} (nV)' for lead in LEADS)}\n{rows}".encode(), RATE)


def test_exponents_may_be_those_of_fortran():
    rows = "\n".join(",".join(f"{v:.4e}".replace("e", "D") for v in row) for row in wave().T)
    check(f"{','.join(LEADS)}\n{rows}".encode(), RATE)


@pytest.mark.parametrize("cell", ["{:.3f} mV", "({:.3f})", "{:.3f} 1"])
def test_cells_that_are_no_numbers_below_names_of_leads_are_told_by_their_place(cell):
    rows = "\n".join(",".join(cell.format(v) for v in row) for row in wave().T)
    with pytest.raises(ReadError, match="names leads, but below them a cell holds no number: line 2, column 1"):
        read_ecg(f"{','.join(LEADS)}\n{rows}".encode(), sampling_rate_hz=RATE)


@pytest.mark.parametrize("names", ["Ⅰ,Ⅱ,Ⅲ,aVR,aVL,aVF,V₁,V₂,V₃,V₄,V₅,V₆", "I,II,III,aVR,aVL,aVF,Ｖ１,V2,V3,V4,V5,V6"])
def test_names_of_leads_may_be_written_with_other_forms_of_letters_and_digits(names):
    check(text(wave(), names), RATE)


def test_a_large_negative_number_among_others_like_it_is_a_number():
    columns = 1000 * wave()
    columns[7, 100] = -999.0
    found = read_ecg(text(columns, ",".join(f"{lead} (uV)" for lead in LEADS)), name="x.csv", sampling_rate_hz=RATE)
    assert found.signal_mv[7, 100] == pytest.approx(-0.999) and not any("missing" in note for note in found.notes)


@pytest.mark.parametrize("told_hz, doubtful", [(250, False), (500, True)])
@pytest.mark.parametrize("header", [",".join(["time", *LEADS]), ",".join(["time", *(f"k{n:02d}" for n in range(12))])])
def test_a_rate_above_the_table_that_the_time_column_contradicts_is_told(told_hz, doubtful, header):
    time = [f"{i / RATE:.3f}" for i in range(1000)]
    rows = text(wave()).decode().splitlines()
    table = "\n".join([f"# fs {told_hz}", header, *(f"{t},{row}" for t, row in zip(time, rows, strict=True))])
    found = read_ecg(table.encode(), name="x.csv")
    assert found.sampling_rate_hz == RATE
    assert any("500 Hz, but the time column 250 Hz" in doubt for doubt in found.doubts) == doubtful


@pytest.mark.parametrize(
    ("above", "given", "doubt"),
    [
        (["fs 500", "Sampling rate: 250 Hz"], None, "tells 250 Hz, but a line above the table 500 Hz"),
        (["fs 500", "Sampling rate: 250 Hz"], 250, None),
        (["fs 500", "Duration: 8 s"], None, "it lasts 8 s, but at its 500 Hz it lasts 4 s"),
        (["fs 250", "Dauer;8", "QRS duration: 86 ms"], None, None),
    ],
)
def test_lines_above_a_table_that_contradict_each_other_are_told(above, given, doubt):
    rows = text(wave(n_samples=2000), ",".join(LEADS)).decode()
    found = read_ecg("\n".join([*(f"# {line}" for line in above), rows]).encode(), sampling_rate_hz=given)
    told = [text for text in found.doubts if " Hz" in text]
    assert len(told) == bool(doubt) and all(doubt in text for text in told)
    assert found.sampling_rate_hz == (given or float(above[0].split()[1]))
