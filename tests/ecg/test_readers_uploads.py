"""Files that belong together: header and signal, zips, several uploads at once, and archives that mean harm."""

import io
import zipfile

import numpy as np
import pytest
import wfdb

from echo2ecg_core.ecg.readers import read_ecg, read_ecgs
from echo2ecg_core.ecg.record import LEADS, EcgRecord
from echo2ecg_core.errors import ReadError, SignalError


def wave(n_samples: int = 2000, rate: int = 500) -> np.ndarray:
    """(12, n) in mV, in steps of 1 µV."""
    time = np.arange(n_samples) / rate
    beat = np.exp(-0.5 * ((time % 1 - 0.5) / 0.02) ** 2)
    return np.round((0.5 + 0.1 * np.arange(12))[:, None] * beat - 0.05, 3)


@pytest.fixture
def pair(tmp_path) -> dict[str, bytes]:
    """A WFDB record written by wfdb itself."""
    wfdb.wrsamp(
        "ecg",
        500,
        ["mV"] * 12,
        [lead.upper() for lead in LEADS],
        wave().T,
        fmt=["16"] * 12,
        adc_gain=[1000.0] * 12,
        baseline=[0] * 12,
        comments=["Age: 70", "Sex: Male"],
        write_dir=str(tmp_path),
    )
    return {name: (tmp_path / name).read_bytes() for name in ("ecg.hea", "ecg.dat")}


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def csv_table(sign: int = 1) -> bytes:
    rows = np.vstack([np.arange(2000) / 500, sign * wave()]).T
    return (
        "time (s),"
        + ",".join(f"{lead} (mV)" for lead in LEADS)
        + "\n"
        + "\n".join(",".join(f"{value:g}" for value in row) for row in rows)
    ).encode()


def check(record):
    np.testing.assert_allclose(record.signal_mv, wave(), atol=1e-6)
    assert record.format == "WFDB" and (record.age_years, record.sex) == (70.0, "male")
    return record


def test_a_pair_is_read_from_a_folder_an_upload_and_a_zip(pair, tmp_path):
    (tmp_path / "pair.zip").write_bytes(zipped(pair))
    assert check(read_ecg(tmp_path / "ecg.hea")).source == "ecg.hea"
    assert check(read_ecg(str(tmp_path / "ecg.dat"))).source == "ecg.dat"
    assert check(read_ecg(pair)).source == "ecg.hea"
    assert check(read_ecg(dict(reversed(pair.items())))).notes == ()
    assert check(read_ecg(zipped(pair), name="pair.zip")).source == "ecg.hea"
    assert check(read_ecg(tmp_path / "pair.zip")).source == "ecg.hea"
    several = check(read_ecg({"table.csv": csv_table(), "pair.zip": zipped(pair)}))
    assert several.notes == ("2 files were given; “ecg.hea” was read.",)


def test_a_pair_inside_folders_of_a_zip_is_found_and_other_files_do_not_disturb(pair):
    files = {f"data/1/{name}": content for name, content in pair.items()}
    files |= {"README.txt": b"An ECG.", "data/1/ecg.atr": b"\x01\x02\x00\x00", "__MACOSX/data/._ecg.hea": b"litter"}
    record = check(read_ecg(zipped(files)))
    assert record.notes == ("2 files were given; “ecg.hea” was read.",)


def test_headers_of_two_folders_find_their_own_signals(pair):
    half = {"ecg.hea": pair["ecg.hea"], "ecg.dat": (np.frombuffer(pair["ecg.dat"], "<i2") // 2).astype("<i2").tobytes()}
    files = {f"a/{name}": content for name, content in pair.items()} | {
        f"b/{name}": content for name, content in half.items()
    }
    first, second = read_ecgs({"both.zip": zipped(files)})
    check(first)
    np.testing.assert_allclose(second.signal_mv, wave() / 2, atol=0.0006)


def test_several_uploads_give_records_and_errors_in_their_order(pair):
    files = {
        "table.csv": csv_table(),
        **pair,
        "empty.dcm": b"",
        "note.txt": b"hello there\n",
        "more.zip": zipped({"x.csv": csv_table(-1)}),
        "bad.zip": b"PK\x03\x04 nothing",
    }
    results = read_ecgs(files)
    records = [result for result in results if isinstance(result, EcgRecord)]
    errors = [result for result in results if not isinstance(result, EcgRecord)]
    assert [(record.source, record.format) for record in records] == [
        ("table.csv", "CSV"),
        ("ecg.hea", "WFDB"),
        ("x.csv", "CSV"),
    ]
    np.testing.assert_allclose(records[2].signal_mv, -wave(), atol=1e-6)
    assert [(error.source, error.message) for error in errors] == [
        ("empty.dcm", "“empty.dcm” is empty."),
        ("note.txt", "“note.txt” is text, but not an ECG: it holds no table of numbers."),
        ("bad.zip", "“bad.zip” begins like a zip archive but cannot be opened."),
    ]


def test_an_annotation_file_beside_its_record_is_no_error(pair):
    assert [type(result) for result in read_ecgs(pair | {"ecg.atr": b"\x01\x02\x00\x00"})] == [EcgRecord]


def test_a_header_alone_asks_for_its_signal_file(pair, tmp_path):
    for source in ({"ecg.hea": pair["ecg.hea"]}, pair["ecg.hea"], zipped({"ecg.hea": pair["ecg.hea"]})):
        with pytest.raises(ReadError) as caught:
            read_ecg(source, name="ecg.hea")
        assert caught.value.message == "The header “ecg.hea” needs the signal file “ecg.dat”, which is not beside it."
        assert caught.value.hint == "Give “ecg.hea” and “ecg.dat” together, or a zip with both."


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "http://host/ecg.dat", "s3://bucket/ecg.dat", "..", "C:\\ecg.dat"]
)
def test_a_header_cannot_reach_out_of_its_folder(pair, name, tmp_path, monkeypatch):
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a header made the program use the network"))
    header = pair["ecg.hea"].replace(b"ecg.dat", name.encode())
    (tmp_path / "evil.hea").write_bytes(header)
    for source in (tmp_path / "evil.hea", {"evil.hea": header, name: pair["ecg.dat"], "ecg.dat": pair["ecg.dat"]}):
        with pytest.raises(ReadError) as caught:
            read_ecg(source)
        assert caught.value.message == (
            "The header “evil.hea” does not name its signal file by a plain file name (a path, an address, or damage)."
        )


def test_a_signal_file_cut_short_is_read_as_far_as_it_goes(pair):
    record = read_ecg(pair | {"ecg.dat": pair["ecg.dat"][: 24 * 1600 + 5]})
    np.testing.assert_allclose(record.signal_mv, wave()[:, :1600], atol=1e-6)
    assert record.notes == ("The signal file is cut short: 3.2 s of 4.0 s could be read.",)


def test_a_signal_file_with_too_little_left_is_refused(pair):
    with pytest.raises(ReadError) as caught:
        read_ecg(pair | {"ecg.dat": pair["ecg.dat"][: 24 * 1000]})
    assert caught.value.message == (
        "The signal file is cut short: the header says 4.0 s, the file holds 2.0 s, and at least 2.5 s are needed."
    )


def test_a_header_that_claims_ten_gigabytes_is_refused_before_anything_is_read(pair):
    header = pair["ecg.hea"].replace(b"ecg 12 500 2000", b"ecg 12 500 110000000")
    with pytest.raises(SignalError) as caught:
        read_ecg(pair | {"ecg.hea": header})
    assert caught.value.message == (
        "The file claims 12 channels of 110,000,000 samples (10.6 GB in memory); "
        "one ECG may have at most 40,000,000 values."
    )


def test_a_header_with_too_many_signals_is_refused(pair):
    lines = pair["ecg.hea"].splitlines()
    with pytest.raises(ReadError) as caught:
        read_ecg(pair | {"ecg.hea": b"\n".join([lines[0], *[lines[1]] * 257])})
    assert caught.value.message == "The header “ecg.hea” lists 257 signals; at most 256 are read."


def test_a_header_without_a_length_takes_the_length_of_the_signal_file(pair):
    check(read_ecg(pair | {"ecg.hea": pair["ecg.hea"].replace(b"ecg 12 500 2000", b"ecg 12 500")}))


@pytest.mark.parametrize("stored_as", ["16", "24", "32", "212", "80", "516"])
def test_every_stored_format_of_wfdb_is_read(stored_as, tmp_path):
    gain = 50.0 if stored_as == "80" else 1000.0
    wfdb.wrsamp(
        "ecg",
        500,
        ["mV"] * 12,
        list(LEADS),
        wave().T,
        fmt=[stored_as] * 12,
        adc_gain=[gain] * 12,
        baseline=[0] * 12,
        write_dir=str(tmp_path),
    )
    theirs = wfdb.rdrecord(str(tmp_path / "ecg")).p_signal.T
    np.testing.assert_allclose(read_ecg(tmp_path / "ecg.hea").signal_mv, theirs, atol=1e-6)


def test_a_missing_gain_is_assumed_and_noted(pair):
    record = read_ecg(pair | {"ecg.hea": pair["ecg.hea"].replace(b"1000.0(0)/mV", b"0")})
    np.testing.assert_allclose(record.signal_mv, wave() * 5, atol=1e-5)
    assert record.notes == (
        "The header gives no gain for some channels; WFDB's default of 200 counts per mV was assumed.",
    )
    assert record.notes[0] in record.doubts


@pytest.mark.parametrize(("unit", "factor"), [("mV", 1.0), ("uV", 0.001), ("V", 1000.0)])
def test_wfdb_units_become_millivolt(pair, unit, factor):
    record = read_ecg(pair | {"ecg.hea": pair["ecg.hea"].replace(b"/mV", f"/{unit}".encode())})
    np.testing.assert_allclose(record.signal_mv, wave() * factor, rtol=1e-5, atol=1e-9)


def test_leads_in_another_order_are_placed_by_name(pair):
    # MIMIC-IV-ECG stores aVF before aVL
    header = pair["ecg.hea"].replace(b"AVL", b"xxx").replace(b"AVF", b"aVL").replace(b"xxx", b"aVF")
    swapped = wave()[[0, 1, 2, 3, 5, 4, 6, 7, 8, 9, 10, 11]]
    np.testing.assert_allclose(read_ecg(pair | {"ecg.hea": header}).signal_mv, swapped, atol=1e-6)


def bomb() -> bytes:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open("zeros.dat", "w") as member,
    ):
        for _ in range(40):
            member.write(bytes(2**20))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped({"../ecg.hea": b"x"}), "The zip “x.zip” holds a path that leads out of its folder."),
        (zipped({"a/../../ecg.hea": b"x"}), "The zip “x.zip” holds a path that leads out of its folder."),
        (zipped({"/etc/ecg.hea": b"x"}), "The zip “x.zip” holds a path that leads out of its folder."),
        (zipped({"C:\\ecg.hea": b"x"}), "The zip “x.zip” holds a path that leads out of its folder."),
        (zipped({"xl/workbook.xml": b"<workbook/>"}), "“x.zip” is an Excel workbook; a text table is needed."),
        (bomb(), "The zip “x.zip” would unpack to 40 MB from 0.0 MB."),
        (zipped({"inner.zip": zipped({"a": b"b"})}), "“inner.zip” is an archive inside an archive."),
        (zipped({}), "There is no ECG file among the files given."),
        (zipped({"a.csv": csv_table()})[:-30], "“x.zip” begins like a zip archive but cannot be opened."),
        (zipped({"a.csv": csv_table()}).replace(b"\x08\x00", b"\x63\x00"), "“a.csv” cannot be read from its disk or "
"archive."),
    ],
)  # fmt: skip
def test_an_archive_that_means_harm_or_holds_nothing_is_refused(content, message):
    with pytest.raises(ReadError) as caught:
        read_ecg(content, name="x.zip")
    assert caught.value.message == message and caught.value.hint
