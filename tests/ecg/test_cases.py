"""Every ECG case of the shared folder, and small inputs of our own of every kind of fault that it stands for."""

import importlib
import sys
import warnings

import numpy as np
import pytest

from echo2ecg_core.ecg.channels import lead_order_of
from echo2ecg_core.ecg.readers import read_ecg, read_ecgs
from echo2ecg_core.ecg.record import LEADS
from echo2ecg_core.errors import Echo2ECGError, ReadError, SamplingRateNeeded, SignalError
from tests.ecg.test_limb_leads import as_table, heart

KINDS = ("csv", "wfdb", "dicom", "edf", "xml", "scp")
ASKS = {"wfdb norate"}  # no rate in the file: a person has to give it
AMPLITUDE_JUDGED = {  # no unit in the file: the scale cannot be known, so it is told beside the estimate
    "csv low_voltage_uv", "csv low_voltage_uv_float", "csv counts_488", "csv counts_025", "csv adc_offset",
    "xml muse_no_unit", "xml muse_no_unit_scale",
}  # fmt: skip
REFUSED_IN_WORDS = {  # not read, and said why: names that WFDB does not allow, records in segments, a missing .dat
    "wfdb nosuffix2", "wfdb a.b", "wfdb Ünal", "wfdb multi",
}  # fmt: skip
READ_THOUGH_NOTHING_IS_EXPECTED = {"csv channel_names", "wfdb badsum", "wfdb twice", "edf negative",
                                   "xml muse_baseline", "scp crc"}  # fmt: skip


@pytest.fixture(scope="module")
def cases(shared, tmp_path_factory):
    folder = shared / "data" / "cases"
    if not (folder / "base.py").is_file():
        pytest.skip("the shared folder holds no cases")
    sys.path.insert(0, str(folder))
    try:
        made = {}
        for kind in KINDS:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = importlib.import_module(f"{kind}_cases").make(tmp_path_factory.mktemp(kind))
            made |= {f"{kind} {name}": (*case, None)[:4] for name, case in found.items()}
        return made
    finally:
        sys.path.remove(str(folder))


@pytest.mark.slow
def test_every_ecg_case_is_read_as_it_is_meant_or_refused_in_words(cases):
    assert len(cases) > 150
    wrong = []
    for name, (path, expected, rate, given) in cases.items():
        try:
            record = read_ecg(path, sampling_rate_hz=given)
        except Echo2ECGError as error:
            if expected is not None and name not in ASKS | REFUSED_IN_WORDS:
                wrong.append(f"{name}: {error}")
            continue
        if expected is None:
            if name not in READ_THOUGH_NOTHING_IS_EXPECTED:
                wrong.append(f"{name}: read")
            continue
        if rate is not None and abs(record.sampling_rate_hz - rate) > 1e-3:
            wrong.append(f"{name}: {record.sampling_rate_hz} Hz")
        if name in AMPLITUDE_JUDGED:
            alike = np.corrcoef(record.signal_mv.ravel(), expected.ravel())[0, 1]
            if alike < 0.999 or not any("names no unit" in note for note in record.notes):
                wrong.append(f"{name}: {alike}")
        elif record.signal_mv.shape != expected.shape or not np.allclose(
            record.signal_mv, expected, atol=1.1e-3, equal_nan=True
        ):
            wrong.append(f"{name}: other values")
    assert not wrong


def test_a_wfdb_record_without_a_rate_asks_and_takes_the_given_one(cases):
    path, expected, *_ = cases["wfdb norate"]
    with pytest.raises(SamplingRateNeeded):
        read_ecg(path)
    record = read_ecg(path, sampling_rate_hz=500)
    assert record.sampling_rate_hz == 500 and np.allclose(record.signal_mv, expected, atol=1e-3)


@pytest.mark.parametrize("name", ["wfdb badsum", "scp crc"])
def test_a_checksum_that_does_not_fit_is_told_beside_the_estimate(cases, name):
    record = read_ecg(cases[name][0])
    assert any("checksum" in doubt for doubt in record.doubts) and set(record.doubts) <= set(record.notes)


@pytest.mark.parametrize("name", ["dicom four_groups", "xml muse_offsets"])
def test_a_print_of_three_rows_and_four_columns_is_refused_as_one(cases, name):
    with pytest.raises(SignalError, match="3x4"):
        read_ecg(cases[name][0])


# --- inputs of our own: no shared folder needed


def written(signal, separator=",", decimal=".", form="%.4f", head=None, first=None, last=None):
    rows = []
    for number, row in enumerate(signal.T):
        cells = [(form % value).replace(".", decimal) for value in row]
        rows.append(separator.join([*([first(number)] if first else []), *cells, *([last] if last else [])]))
    return "\n".join(([head] if head else []) + rows).encode()


NAMES = list(LEADS)
TRUTH = heart()
COUNTS = np.round(TRUTH * 2000)  # of 0.5 µV
WAYS = {
    "decimal comma between blanks": written(TRUTH, " ", ",", head=" ".join(NAMES)),
    "scientific with decimal comma": written(TRUTH, ";", ",", "%.6e", head=";".join(NAMES)),
    "a column of dates": written(
        TRUTH, head=",".join(["zeit", *NAMES]), first=lambda i: f"2023-11-05T23:59:{10 + i / 500:06.3f}"
    ),
    "a column of epoch seconds": written(
        TRUTH, head=",".join(["timestamp", *NAMES]), first=lambda i: f"{1.7e9 + i / 500:.3f}"
    ),
    "a column of labels": written(TRUTH, ";", head=";".join([*NAMES, "class"]), last="AFIB"),
    "the rate in the first line": b"500\n" + written(TRUTH, " "),
    "facts above the table": b"Name;X\nAbtastrate;0,5 kHz\n\n" + written(TRUTH, ";", ",", head=";".join(NAMES)),
    "quoted decimal comma": "\n".join(
        [",".join(NAMES), *(",".join(f'"{v:.4f}"'.replace(".", ",") for v in row) for row in TRUTH.T)]
    ).encode(),
    "a counter and blanks": written(TRUTH, " ", first=str),
    "time zero and tabs": written(TRUTH, "\t", first=lambda i: f"{i / 500:.3f}"),
}


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_table_is_read_however_people_write_it(way):
    record = read_ecg(WAYS[way], sampling_rate_hz=500)
    assert record.sampling_rate_hz == 500 and record.signal_mv.shape == TRUTH.shape
    np.testing.assert_allclose(record.signal_mv, TRUTH, atol=2e-4)


@pytest.mark.parametrize("style", ["{:,.0f}", "{:,.1f}"])
@pytest.mark.parametrize("german", [False, True])
def test_thousands_are_told_from_decimals(style, german):
    microvolts = np.round(TRUTH * 2000)

    def cell(value):
        text = style.format(value)
        return text.translate(str.maketrans(",.", ".,")) if german else text

    text = "\n".join([";".join(f"{n} (µV)" for n in NAMES), *(";".join(map(cell, row)) for row in microvolts.T)])
    record = read_ecg(text.encode(), sampling_rate_hz=500)
    np.testing.assert_allclose(record.signal_mv, microvolts / 1000, atol=1e-6)
    assert any("thousands" in note for note in record.notes)


def test_decimals_of_three_places_are_no_thousands():
    record = read_ecg(as_table(np.round(TRUTH, 3), LEADS), sampling_rate_hz=500)
    np.testing.assert_allclose(record.signal_mv, np.round(TRUTH, 3), atol=1e-6)


@pytest.mark.parametrize("first", ["0", "1", "16"])
def test_whole_counts_between_blanks_are_a_table_and_no_other_format(first):
    table = written(COUNTS, " ", form="%d", first=lambda i: str(int(first) + i))
    assert read_ecg(table, sampling_rate_hz=500).format == "TXT"
    padded = b"\n".join(b"%-8d" % i + line for i, line in enumerate(written(COUNTS, " ", form="%8d").split(b"\n")))
    assert read_ecg(padded, sampling_rate_hz=500).signal_mv.shape == TRUTH.shape


@pytest.mark.parametrize(
    "unit, factor", [("µV", 1e-3), ("μV", 1e-3), ("mV", 1.0), ("0.5uV", 5e-4), ("4,88 µV", 4.88e-3)]
)
def test_a_unit_that_the_person_tells_is_used_and_noted_where_the_file_has_its_own(unit, factor):
    record = read_ecg(written(COUNTS, form="%d", head=",".join(NAMES)), sampling_rate_hz=500, unit=unit)
    np.testing.assert_allclose(record.signal_mv, COUNTS * factor, rtol=1e-5, atol=1e-6)
    assert record.doubts == ()
    own = read_ecg(written(TRUTH, head=",".join(f"{n} (mV)" for n in NAMES)), sampling_rate_hz=500, unit=unit)
    assert any("own unit was used" in note for note in own.notes)


def test_a_unit_above_the_table_is_read_and_an_ambiguous_one_is_doubted():
    low = np.round(TRUTH * 250)
    table = written(low, form="%d", head=",".join(NAMES))
    assert any("names no unit" in doubt for doubt in read_ecg(table, sampling_rate_hz=500).doubts)
    told = read_ecg("Unit: µV\n".encode() + table, sampling_rate_hz=500)
    np.testing.assert_allclose(told.signal_mv, low / 1000, atol=1e-6)
    assert told.doubts == ()


def test_a_lead_order_that_the_person_tells_is_used():
    order = ["V6", "V5", "V4", "V3", "V2", "V1", "aVF", "aVL", "aVR", "III", "II", "I"]
    table = as_table(TRUTH[::-1])
    record = read_ecg(table, sampling_rate_hz=500, lead_order=",".join(order))
    np.testing.assert_allclose(record.signal_mv, TRUTH, atol=1e-4)
    assert record.doubts == () and not any("assumed" in note for note in record.notes)
    (same,) = read_ecgs({"x.csv": table}, 500, None, order)
    assert same.content_hash == record.content_hash


def test_a_lead_order_is_read_in_short_form_and_refused_when_it_names_no_leads():
    assert lead_order_of("I, II V1-V6") == ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
    for text, words in (("I,II,foo", "“foo” is no standard lead"), ("I,II,I", "lead I is named twice")):
        with pytest.raises(ReadError, match=words):
            lead_order_of(text)
    with pytest.raises(SignalError, match="names 3 leads, but the file holds 12"):
        read_ecg(npy(TRUTH), sampling_rate_hz=500, lead_order="I,II,III")
    with pytest.raises(ReadError, match="no unit of voltage"):
        read_ecg(npy(TRUTH), sampling_rate_hz=500, unit="furlong")


def npy(array):
    import io

    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def test_marks_of_missing_samples_are_known_by_standing_still_even_near_the_signal():
    microvolts = np.round(TRUTH * 1500)
    microvolts[8, 1000:1100] = 9999
    record = read_ecg(written(microvolts, form="%d", head=",".join(f"{n} (uV)" for n in NAMES)), sampling_rate_hz=500)
    assert np.isnan(record.signal_mv[8, 1000:1100]).all() and np.isnan(record.signal_mv).sum() == 100
    microvolts[8, 1000:1100:2] = 0  # a mark by itself may be a value
    record = read_ecg(written(microvolts, form="%d", head=",".join(f"{n} (uV)" for n in NAMES)), sampling_rate_hz=500)
    assert not np.isnan(record.signal_mv).any()


@pytest.mark.parametrize(
    "style", ["Abl. {}", "{n}_{} (mV)", "Signal {n}: {}", "ECG channel {}", "Ableitung-{}", "第{}誘導"]
)
def test_leads_named_by_the_last_word_of_a_column_are_read_as_named(style):
    order = [0, 1, 2, 3, 4, 5, 11, 10, 9, 8, 7, 6]  # which no equation tells
    names = [style.format(LEADS[row], n=n) for n, row in enumerate(order)]
    record = read_ecg(written(TRUTH[order], head=",".join(names)), sampling_rate_hz=500)
    np.testing.assert_allclose(record.signal_mv, TRUTH, atol=1e-4)


def test_an_inverted_lead_is_not_taken_for_the_lead_by_its_last_word():
    names = ",".join(f"Abl. {'-' if name == 'aVR' else ''}{name}" for name in NAMES)
    record = read_ecg(written(TRUTH * np.where(np.arange(12) == 3, -1, 1)[:, None], head=names), sampling_rate_hz=500)
    np.testing.assert_allclose(record.signal_mv, TRUTH, atol=0.02)
    assert record.derived_leads == ("aVR",)


@pytest.mark.parametrize("first", [0, 1])
def test_a_counter_before_leads_in_rows_is_no_sample(first):
    rows = "\n".join(f"{first + n}," + ",".join(f"{v:.4f}" for v in lead) for n, lead in enumerate(TRUTH))
    record = read_ecg(rows.encode(), sampling_rate_hz=500)
    np.testing.assert_allclose(record.signal_mv, TRUTH, atol=1e-4)


@pytest.mark.parametrize("step", [0.002, 2, 2000, 2_000_000])
def test_an_axis_of_time_without_a_unit_is_in_the_one_that_an_ecg_can_have(step):
    head = ",".join(["time", *NAMES])
    assert read_ecg(written(TRUTH, head=head, first=lambda i: f"{i * step:.3f}")).sampling_rate_hz == 500


@pytest.mark.parametrize(
    ("form", "end"),
    [("%.4f", "first number"), ("%d", "first number"), ("%.4f", "between"), ("%d", "between"), ("%.4f", "last number")],
)
def test_a_table_cut_inside_its_last_line_is_read_without_it_and_says_so(form, end):
    signal = TRUTH if form == "%.4f" else np.round(TRUTH * 1000)
    table = written(signal, form=form, head=",".join(["time (s)", *NAMES]), first=lambda i: f"{i / 500:.3f}")
    last = table.rindex(b"\n") + 1
    cut = {"first number": last + 2, "between": table.index(b",", last + 12) + 1, "last number": -1}[end]
    record = read_ecg(table[:cut])
    assert any("cut short inside its last line" in note for note in record.notes)
    np.testing.assert_allclose(record.signal_mv, read_ecg(table).signal_mv[:, :-1])
    assert not any("missing" in note or "time column" in note for note in record.notes)
    assert not any("cut short" in note for note in read_ecg(table).notes)


def test_counts_around_the_middle_of_a_converter_lose_their_constant():
    record = read_ecg(npy(np.round(TRUTH * 1000).astype(np.int16) + 5000), sampling_rate_hz=500)
    assert any("A constant of" in note for note in record.notes)
    assert np.abs(np.median(record.signal_mv, axis=1)).max() < 0.2


def test_all_recordings_of_one_file_are_in_one_unit():
    quiet, loud = TRUTH * 0.02, TRUTH
    stack = np.stack([loud, quiet, loud]) * 1000 + 0.25  # µV; alone the quiet one would pass for mV
    records = read_ecgs({"x.npy": npy(stack)}, 500)
    ratio = np.ptp(records[0].signal_mv) / np.ptp(records[1].signal_mv)
    assert ratio == pytest.approx(50, rel=0.02)
    assert all(any("once for all recordings" in note for note in record.notes) for record in records)
