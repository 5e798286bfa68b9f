"""WFDB records in several segments, as wfdb itself reads them, and records whose signal files are not all there."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import wfdb

from echo2ecg_core.ecg.readers import read_ecg, read_ecgs
from echo2ecg_core.ecg.record import LEADS
from echo2ecg_core.errors import ReadError
from tests.ecg.device_files import heart_uv

ALL, EIGHT = range(12), (0, 1, *range(6, 12))


def written(folder: Path, name: str, begin: int, end: int, rows=ALL, rate: float = 500) -> None:
    """A part of the heart as a record of its own."""
    wfdb.wrsamp(
        name, rate, ["mV"] * len(rows), [LEADS[row] for row in rows], heart_uv()[list(rows), begin:end].T / 1000,
        fmt=["16"] * len(rows), adc_gain=[1000.0] * len(rows), baseline=[0] * len(rows), write_dir=str(folder),
    )  # fmt: skip


@pytest.fixture
def fixed(tmp_path) -> Path:
    """The heart in two pieces of the same leads."""
    written(tmp_path, "part1", 0, 800)
    written(tmp_path, "part2", 800, 2500)
    path = tmp_path / "long.hea"
    path.write_text("long/2 12 500 2500 10:00:00 01/02/2020\npart1 800\npart2 1700\n# <age>: 61 <sex>: F\n")
    return path


@pytest.fixture
def variable(tmp_path) -> Path:
    """Eight leads, a pause, and all twelve, under a layout of the twelve, as in MIMIC's waveforms."""
    written(tmp_path, "a_0001", 0, 600, EIGHT)
    written(tmp_path, "a_0002", 900, 2500)
    lines = [f"~ 0 1000(0)/mV 16 0 0 0 0 {lead}" for lead in LEADS]
    (tmp_path / "a_layout.hea").write_text("\n".join(["a_layout 12 500 0", *lines, ""]))
    path = tmp_path / "a.hea"
    path.write_text("a/4 12 500 2500\na_layout 0\na_0001 600\n~ 300\na_0002 1600\n")
    return path


def test_segments_of_the_same_leads_are_one_recording(fixed):
    record = read_ecg(fixed)
    np.testing.assert_allclose(record.signal_mv, heart_uv() / 1000, atol=1e-6)
    assert record.notes == ("The record has 2 segments, which were put where its header says.",) and not record.doubts
    assert (record.sampling_rate_hz, record.age_years, record.sex) == (500, 61, "female")
    assert record.recorded_at == datetime(2020, 2, 1, 10)


def test_leads_and_times_that_a_segment_does_not_have_are_missing_as_wfdb_says(variable):
    record, theirs = read_ecg(variable), wfdb.rdrecord(str(variable.with_suffix("")), m2s=True)
    assert theirs.sig_name == list(LEADS)
    np.testing.assert_allclose(record.signal_mv, theirs.p_signal.T, atol=1e-6)
    assert np.isnan(record.signal_mv).sum(axis=1).tolist() == [900 if row in (2, 3, 4, 5) else 300 for row in ALL]
    assert not record.doubts


def test_an_upload_of_all_files_is_one_recording_and_a_segment_alone_another(fixed, variable):
    files = {path.name: path.read_bytes() for path in sorted(fixed.parent.iterdir())}
    assert [record.source for record in read_ecgs(files)] == ["a.hea", "long.hea"]
    assert read_ecg(fixed.parent / "part2.dat").duration_s == 3.4


def test_a_segment_that_is_not_there_is_missing_and_told(fixed):
    (fixed.parent / "part1.dat").unlink()
    record = read_ecg(fixed)
    assert np.isnan(record.signal_mv[:, :800]).all()
    np.testing.assert_allclose(record.signal_mv[:, 800:], heart_uv()[:, 800:] / 1000, atol=1e-6)
    assert record.notes[1] == (
        "1 of them (“part1”) was not read, the first because: The header “part1.hea” needs the signal file "
        "“part1.dat”, which is not beside it."
    )


def test_segments_that_make_no_recording_are_refused(fixed):
    written(fixed.parent, "part2", 800, 2500, rate=250)
    with pytest.raises(ReadError, match="The segments of “long.hea” have different sampling rates"):
        read_ecg(fixed)
    with pytest.raises(ReadError, match="lists the segment “part1”, whose header “part1.hea” is not beside it"):
        read_ecg(fixed.read_bytes(), name="long.hea")
    (fixed.parent / "part1.hea").write_text("part1/1 12 500 800\npart1 800\n")
    (fixed.parent / "part2.hea").unlink()
    with pytest.raises(ReadError, match="“part1.hea” lists the segments of a WFDB record in a way that is not read"):
        read_ecg(fixed)


def with_frank_leads(folder: Path, leads=LEADS) -> Path:
    """A record whose header names a second signal file, which is not there, as PTB's s0010_re without its .xyz."""
    written(folder, "s0010_re", 0, 2500)
    path = folder / "s0010_re.hea"
    first, *lines = path.read_text().splitlines()
    lines = [line for line in lines if line.split()[-1] in leads]
    lines += [f"s0010_re.xyz 16 1000(0)/mV 16 0 0 {7 * at} 0 v{'xyz'[at]}" for at in range(3)]
    path.write_text("\n".join([first.replace(" 12 ", f" {len(lines)} "), *lines, "# age: 81", ""]))
    return path


def test_channels_of_a_file_that_is_not_there_are_left_out_where_the_others_are_all_leads(tmp_path):
    record = read_ecg(with_frank_leads(tmp_path))
    np.testing.assert_allclose(record.signal_mv, heart_uv() / 1000, atol=1e-6)
    assert record.notes == (
        "The header names “s0010_re.xyz”, too, which is not beside it: the 3 channels in it (vx, vy and vz) were left "
        "out.",
    )  # fmt: skip
    assert record.age_years == 81 and not record.doubts


def test_leads_of_a_file_that_is_not_there_are_asked_for(tmp_path):
    with pytest.raises(ReadError, match="needs the signal file “s0010_re.xyz”, which is not beside it"):
        read_ecg(with_frank_leads(tmp_path, LEADS[:11]))


@pytest.mark.parametrize("change", [str.upper, lambda name: name.replace(".dat", ".DAT"), str.capitalize])
def test_a_signal_file_in_other_capitals_than_the_header_writes_is_found(tmp_path, change):
    written(tmp_path, "ecg", 0, 2500)
    for name in ("ecg.hea", "ecg.dat"):
        (tmp_path / name).rename(tmp_path / change(name))
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for record in (read_ecg(tmp_path / change("ecg.hea")), read_ecg(tmp_path / change("ecg.dat")), *read_ecgs(files)):
        np.testing.assert_allclose(record.signal_mv, heart_uv() / 1000, atol=1e-6)
