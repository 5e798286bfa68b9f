"""BDF as pyedflib writes it, ISHNE and MFER by their published layouts: the artificial heart comes out as it is."""

import struct
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pyedflib
import pytest

from echo2ecg_core.ecg.readers import read_ecg
from echo2ecg_core.ecg.record import LEADS
from echo2ecg_core.errors import ReadError, SamplingRateNeeded, SignalError
from echo2ecg_core.intake.headers import read_header
from tests.ecg.device_files import RATE, N, heart_uv, ishne, mfer, mfer_frame, mfer_tag

EIGHT = [0, 1, *range(6, 12)]


def is_the_heart(record, atol_mv: float = 1e-5) -> None:
    np.testing.assert_allclose(record.signal_mv, heart_uv() / 1000, atol=atol_mv)
    assert record.sampling_rate_hz == RATE


def bdf(path: Path, kind: int, **of_signal) -> bytes:
    """A file of 24 bits by pyedflib, the heart in 0.7 nV a count; BDF+ tells of a person and has a remark."""
    with pyedflib.EdfWriter(str(path), 12, file_type=kind) as writer:
        common = {"dimension": "uV", "sample_frequency": RATE, "physical_min": -6000, "physical_max": 6000,
                  "digital_min": -(2**23), "digital_max": 2**23 - 1, "transducer": "", "prefilter": ""}  # fmt: skip
        writer.setSignalHeaders([common | {"label": lead} | of_signal for lead in LEADS])
        writer.setStartdatetime(datetime(2020, 5, 4, 3, 2, 1))
        if kind == pyedflib.FILETYPE_BDFPLUS:
            writer.setSex("Female")
            writer.setBirthdate(date(1950, 1, 1))
            writer.setPatientCode("P7")
            writer.writeAnnotation(1.5, -1, "lay still")
        writer.writeSamples([lead.astype(float) for lead in heart_uv()])
    return path.read_bytes()


@pytest.mark.parametrize("kind", [pyedflib.FILETYPE_BDF, pyedflib.FILETYPE_BDFPLUS])
def test_bdf_is_read_in_all_its_bits(tmp_path, kind):
    record = read_ecg(bdf(tmp_path / "x.bdf", kind), name="x")
    is_the_heart(record, 1e-6)
    assert (record.format, record.notes, record.doubts) == ("BDF", (), ())
    assert record.recorded_at == datetime(2020, 5, 4, 3, 2, 1)
    plus = kind == pyedflib.FILETYPE_BDFPLUS
    assert (record.sex, record.age_years) == (("female", 70) if plus else (None, None))
    header = read_header(tmp_path / "x.bdf")
    assert (header.kind, header.patient_id, header.moment) == ("ecg", "P7" if plus else "", "2020-05-04T03:02:01")


def test_what_bdf_leaves_open_or_lacks_is_told_as_of_edf(tmp_path):
    whole = bdf(tmp_path / "x.bdf", pyedflib.FILETYPE_BDFPLUS)
    cut = read_ecg(whole[: 256 * 14 + (len(whole) - 256 * 14) * 4 // 5], name="x")
    assert cut.notes == ("The file is cut short: 4 of 5 data records could be read.",) and cut.duration_s == 4
    unitless = read_ecg(bdf(tmp_path / "y.bdf", pyedflib.FILETYPE_BDF, dimension=""), name="y")
    assert "names no unit" in unitless.notes[0]
    with pytest.raises(ReadError, match="damaged"):
        read_ecg(whole[: 256 * 13], name="x")
    (tmp_path / "x.bdf").write_bytes(whole[: 256 * 5])
    assert read_header(tmp_path / "x.bdf").reason == "It begins like an ECG file but is damaged and cannot be read."


def test_ishne_is_read(tmp_path):
    record = read_ecg(ishne(heart_uv()), name="x")
    is_the_heart(record)
    assert (record.format, record.sex, record.age_years) == ("ISHNE", "female", 70)
    assert record.recorded_at == datetime(2020, 5, 4, 10, 11, 12) and not record.notes and not record.doubts
    is_the_heart(read_ecg(ishne(heart_uv()[EIGHT] / 2.5, [5, 6, *range(11, 17)], 2500), name="x"), 0.0026)
    (tmp_path / "x.ecg").write_bytes(ishne(heart_uv()))
    header = read_header(tmp_path / "x.ecg")
    assert (header.patient_id, header.sex, header.born) == ("P8", "female", "19500201")


def test_what_ishne_leaves_open_is_told_asked_or_given():
    unnamed = ishne(heart_uv(), [1] * 12)
    with pytest.raises(SignalError, match="no standard ECG lead"):
        read_ecg(unnamed, name="x")
    is_the_heart(read_ecg(unnamed, name="x", lead_order=LEADS))
    with pytest.raises(SamplingRateNeeded):
        read_ecg(ishne(heart_uv(), rate=0), name="x")
    is_the_heart(read_ecg(ishne(heart_uv(), rate=0), name="x", sampling_rate_hz=RATE))
    sizeless = read_ecg(ishne(heart_uv(), size_nv=0), name="x")
    assert any("no unit" in note for note in sizeless.notes)
    is_the_heart(read_ecg(ishne(heart_uv() / 2.5, size_nv=0), name="x", unit="2.5 µV"), 0.0013)
    (doubt,) = read_ecg(ishne(heart_uv(), crc=7), name="x").doubts
    assert doubt.startswith("A checksum in the file does not match")
    fault = heart_uv()
    fault[8, 100:200] = -32768
    assert np.isnan(read_ecg(ishne(fault), name="x").signal_mv[8]).sum() == 100
    assert read_ecg(ishne(heart_uv()[:, :2000]), name="x").notes == (
        "The file is cut short: 2,000 of 2,500 samples a lead could be read.",
    )
    assert not read_ecg(ishne(heart_uv(), announced=12 * N), name="x").notes
    with pytest.raises(ReadError, match="a list of beats"):
        read_ecg(b"ANN  1.0" + bytes(600), name="x.ann")


def test_mfer_is_read_with_and_without_its_preamble():
    for preamble in (b"MFR Standard 12 leads ECG", b""):
        record = read_ecg(mfer(mfer_frame(heart_uv()[EIGHT]), preamble=preamble), name="x")
        is_the_heart(record)
        assert record.format == "MFER" and not record.doubts
    twelve = (1, 2, 61, 62, 63, 64, *range(3, 9))
    is_the_heart(read_ecg(mfer(mfer_frame(heart_uv() / 5), size=b"\0\xfa\5\0", codes=twelve), name="x"), 0.0026)


def test_the_frames_of_mfer_are_joined_and_gaps_between_them_told():
    first, second = (mfer_frame(part) for part in np.split(heart_uv()[EIGHT], [1000], axis=1))
    is_the_heart(read_ecg(mfer(first, second), name="x"))
    (doubt,) = read_ecg(mfer(first, mfer_tag(7, struct.pack("<I", 1500)), second), name="x").doubts
    assert doubt == "The recording has gaps; its pieces were joined end to end."
    other = mfer_tag(0x0C, b"\0\xfa\2\0")
    (doubt,) = read_ecg(mfer(second, other, first), name="x").doubts
    assert doubt.startswith("The leads, or their scale, are others from some time on; what is before was read (60%)")


def test_what_mfer_leaves_open_is_asked_or_judged():
    timeless = mfer(mfer_frame(heart_uv()[EIGHT]), interval=b"")
    with pytest.raises(SamplingRateNeeded):
        read_ecg(timeless, name="x")
    is_the_heart(read_ecg(timeless, name="x", sampling_rate_hz=RATE))
    assert "no unit" in read_ecg(mfer(mfer_frame(heart_uv()[EIGHT]), size=b""), name="x").notes[0]
    with pytest.raises(ReadError, match="variant of its format that is not read|damaged"):
        read_ecg(mfer(mfer_tag(0x0A, b"\x09") + mfer_frame(heart_uv()[EIGHT])), name="x")
