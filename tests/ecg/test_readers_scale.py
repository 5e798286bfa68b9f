"""Units, gains and missing samples as files of every format tell them: wholly, in part, or against the signal."""

import io

import h5py
import numpy as np
import pytest

from echo2ecg_core.ecg.readers import read_ecg, read_ecgs
from echo2ecg_core.ecg.record import LEADS
from echo2ecg_core.ecg.units import typical_amplitude
from echo2ecg_core.errors import ReadError
from tests.ecg import device_files as files
from tests.ecg.test_readers_arrays import npy, npz

HEART = files.heart_uv()
TRUTH = HEART / 1000
GAP = np.zeros(files.N, dtype=bool)
GAP[1000:1200] = True
GIVEN = {"sampling_rate_hz": files.RATE}


def is_the_heart(record, gap: bool = False) -> None:
    np.testing.assert_allclose(record.signal_mv, np.where(GAP, np.nan, TRUTH) if gap else TRUTH, atol=2e-5)


def one_in_volts(content: bytes, before: bytes, after: bytes) -> bytes:
    """A file whose lead V3 is told in a thousand times the unit of the others."""
    first, found, rest = content.partition(b"V3")
    assert found and before in rest
    return first + found + rest.replace(before, after, 1)


def edf_of_units(units) -> bytes:
    content, at = files.edf(), 256 + 96 * 12
    return content[:at] + b"".join(unit.ljust(8).encode() for unit in units) + content[at + 96 :]


GROUP = files.dicom_group()
GROUP.ChannelDefinitionSequence[8].ChannelSensitivity = "1000"
OUT_OF_SCALE = {
    "DICOM": files.dicom(GROUP),
    "aECG": one_in_volts(files.aecg(files.series()), b'scale value="1" unit="uV"', b'scale value="1" unit="mV"'),
    "EDF": edf_of_units([*["uV"] * 8, "mV", *["uV"] * 3]),
    "an array": npz(**{lead: mv * (1000 if lead == "V3" else 1) for lead, mv in zip(LEADS, TRUTH, strict=True)}),
}  # fmt: skip


@pytest.mark.parametrize("content", OUT_OF_SCALE.values(), ids=OUT_OF_SCALE)
def test_a_chest_lead_far_out_of_the_scale_of_the_others_is_told_by_its_name(content):
    doubts = read_ecg(content, **GIVEN).doubts
    assert [doubt.startswith("Lead V3 is ") and "unit or gain looks wrong" in doubt for doubt in doubts] == [True]


def test_a_unit_that_is_no_voltage_is_told_and_one_of_counts_is_not():
    dicom = files.dicom(files.dicom_group(unit="mm"))
    for content in (edf_of_units(["mm"] * 12), dicom, files.aecg(files.series(scale='value="1" unit="mm"'))):
        record = read_ecg(content)
        is_the_heart(record)
        assert len(record.doubts) == 1 and "names a unit that is no voltage" in record.doubts[0]
    for unit in ("adu", "", "counts"):
        assert not read_ecg(edf_of_units([unit] * 12)).doubts


def test_a_lead_of_edf_without_a_range_has_no_told_size_of_a_count():
    assert "no range; a count was taken as one of its unit" in read_ecg(files.edf(physical=(0, 0))).doubts[0]


def test_a_unit_whose_size_is_zero_is_no_unit():
    record = read_ecg(files.muse(per_bit="0"))
    is_the_heart(record)
    assert any("names no unit" in note for note in record.notes)


def test_groups_of_a_dicom_file_have_one_unit_where_one_of_them_tells_none():
    limb, chest = files.dicom_group(HEART[:6], LEADS[:6]), files.dicom_group(HEART[6:], LEADS[6:], unit="")
    record = read_ecg(files.dicom(limb, chest))
    is_the_heart(record)
    assert record.doubts == ("6 of 12 channels name no unit; taken as µV, as high as the others.",)


def test_each_lead_that_is_an_array_of_its_own_may_have_a_unit_of_its_own():
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as archive:
        for lead, uv in zip(LEADS, HEART, strict=True):
            in_mv = lead in LEADS[:6]
            archive.create_dataset(lead, data=uv / 1000 if in_mv else uv).attrs["units"] = "mV" if in_mv else "uV"
    record = read_ecg(buffer.getvalue(), **GIVEN)
    is_the_heart(record)
    assert not record.doubts


def test_leads_of_different_lengths_in_a_container_are_a_doubt():
    leads = {lead: mv[: 2000 if lead == "V3" else None] for lead, mv in zip(LEADS, TRUTH, strict=True)}
    assert "That they begin together is assumed" in read_ecg(npz(**leads), **GIVEN).doubts[0]


def marked(mark: float) -> np.ndarray:
    return np.where(GAP, mark, HEART)


def hdf5_with(name: str, value: float) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as archive:
        archive.create_dataset("ecg", data=marked(value)).attrs.update({"units": "uV", "fs": 500, name: value})
    return buffer.getvalue()


MISSING = {
    "DICOM": files.dicom(files.dicom_group(marked(-32768))), "MUSE": files.muse(marked(-32768)),
    "aECG": files.aecg(files.series(marked(-32768))), "EDF": files.edf(marked(-32768)),
    "HDF5": hdf5_with("_FillValue", 7777), "HDF5 too": hdf5_with("missing_value", -5000),
}  # fmt: skip


@pytest.mark.parametrize("content", MISSING.values(), ids=MISSING)
def test_samples_that_were_not_recorded_are_missing_in_every_format(content):
    record = read_ecg(content)
    is_the_heart(record, gap=True)
    assert any("were taken as missing" in note for note in record.notes)
    assert "Every lead has 200 missing samples (8.0%)." in record.notes


def test_a_recording_that_mostly_stands_still_is_as_high_as_where_it_moves():
    padded = np.pad(TRUTH, ((0, 0), (0, 7500)))
    assert typical_amplitude(padded, files.RATE) == typical_amplitude(TRUTH, files.RATE)
    assert "taken as mV" in " ".join(read_ecg(npy(padded), **GIVEN).notes)


def test_a_size_of_counts_that_was_guessed_is_always_a_doubt():
    low = read_ecg(npy(np.round(HEART / 12).astype(np.int8)), **GIVEN)
    assert "taken as counts of 5 µV" in low.doubts[0]


def test_values_rounded_too_coarsely_for_an_ecg_are_a_doubt():
    whole = npz(ecg=np.round(TRUTH), unit="mV")
    assert "in steps of 1 mV" in " ".join(read_ecg(whole, **GIVEN).doubts)
    assert not read_ecg(npz(ecg=np.round(TRUTH, 2), unit="mV"), **GIVEN).doubts


def test_an_electrode_that_the_device_says_was_off_is_a_doubt():
    content = files.muse().replace(b"<LeadID>V3</LeadID>", b"<LeadID>V3</LeadID><LeadOff>TRUE</LeadOff>")
    assert read_ecg(content).doubts == ("The device says that an electrode of V3 was off.",)
    assert not read_ecg(content.replace(b"TRUE", b"FALSE")).doubts


def test_rates_for_each_lead_in_kilohertz_and_axes_of_moments_are_rates():
    moments = np.datetime64("2024-01-05", "ns") + np.arange(files.N) * np.timedelta64(2, "ms")
    for told in ({"fs": np.full(12, 500)}, {"fs_khz": 0.5}, {"time": moments, "good": np.ones(12, dtype=bool)}):
        assert read_ecg(npz(ecg=TRUTH, **told)).sampling_rate_hz == 500


def test_names_of_more_leads_than_an_array_has_are_a_doubt():
    record = read_ecg(npz(ecg=TRUTH, channels=np.array([*reversed(LEADS), "Resp"])), **GIVEN)
    assert "Names of 13 leads are told, but there are 12: they were not used." in record.doubts
    told = read_ecg(npz(ecg=TRUTH, channels=np.array([*LEADS, "Resp"])), lead_order=",".join(LEADS), **GIVEN)
    assert not told.doubts


def test_a_wfdb_header_may_have_a_byte_order_mark_and_its_signal_file_another_name():
    plain = files.wfdb_files()
    header, signal = (next(name for name in plain if name.endswith(end)) for end in (".hea", ".dat"))
    renamed = {
        header: b"\xef\xbb\xbf" + plain[header].replace(signal.encode(), b"other.dat"), "other.dat": plain[signal]
    }  # fmt: skip
    found = read_ecgs(renamed)
    assert len(found) == 1
    is_the_heart(found[0])


def test_samples_of_wfdb_frames_are_read_at_their_own_rate_and_a_mean_is_told():
    plain = files.wfdb_files()
    text = plain["a.hea"].decode().replace(" 500 2500", " 250 1250").replace(" 16 1000", " 16x2 1000")
    frames = np.frombuffer(plain["a.dat"], "<i2").reshape(-1, 2, 12).swapaxes(1, 2)  # both samples of a lead together
    record = read_ecg({"a.hea": text.encode(), "a.dat": frames.tobytes()})
    is_the_heart(record)
    assert record.sampling_rate_hz == 500 and not record.notes
    lines = text.splitlines()
    lines[12] = lines[12].replace("16x2", "16")  # V6 has one sample a frame
    stored = frames.reshape(-1, 24)[:, :23].tobytes()
    mixed = read_ecg({"a.hea": "\n".join(lines).encode(), "a.dat": stored})
    expected = np.vstack([TRUTH[:11].reshape(11, -1, 2).mean(axis=2), TRUTH[11:, ::2]])
    np.testing.assert_allclose(mixed.signal_mv, expected, atol=6e-4)  # wfdb rounds means to whole counts
    assert mixed.sampling_rate_hz == 250 and any("their mean was read" in note for note in mixed.notes)


def test_what_was_given_and_not_read_is_told_with_its_reason():
    plain = files.wfdb_files()
    several = {"all.hea": b"all/2 12 500 5000\none 2500\ntwo 2500\n", **plain}
    assert any("“all.hea” was not:" in note and "the segment “one”" in note for note in read_ecg(several).notes)


def test_text_of_two_bytes_without_a_mark_is_read_and_other_kinds_are_called_what_they_are():
    rows = "\n".join(",".join(f"{value:.4f}" for value in row) for row in TRUTH.T)
    for encoding in ("utf-16-le", "utf-16-be"):
        is_the_heart(read_ecg(f"{','.join(LEADS)}\n{rows}".encode(encoding), **GIVEN))
    for content, kind in ((b"{\\rtf1 ECG}", "RTF"), (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "xls")):
        with pytest.raises(ReadError, match=kind):
            read_ecg(content)
