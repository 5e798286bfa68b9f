"""Numbers of DICOM files with a decimal comma: read, left out with a word, or refused by the name of their tag."""

import io

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from echo2ecg_core.dicom_numbers import settle_commas
from echo2ecg_core.ecg.readers import read_ecg
from echo2ecg_core.errors import ReadError
from tests.ecg import device_files as files

RATE = {"SamplingFrequency": (50.0, 32_000.0)}
ANY = {"ChannelSensitivity": (1e-12, 1e12), "ChannelBaseline": (1e-12, 1e12)}


def stored(syntax=ExplicitVRLittleEndian, **texts: str) -> Dataset:
    """A data set as it is read from a file in which these numbers are written so."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID = "1.2", "1.3", syntax
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    for keyword, text in texts.items():
        setattr(dataset, keyword, text.replace(",", "."))
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    content = buffer.getvalue()
    for text in texts.values():
        content = content.replace(text.replace(",", ".").encode(), text.encode())
    return pydicom.dcmread(io.BytesIO(content))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize(
    ("text", "value"),
    [("2,5", 2.5), ("-0,125", -0.125), ("1,0E-2", 0.01), (",5", 0.5), ("1,0000", 1.0), ("4.88", 4.88), ("0", 0)],
)
def test_a_comma_that_parts_no_thousands_is_a_decimal_one_and_told(syntax, text, value):
    dataset = stored(syntax, ChannelSensitivity=text)
    notes = settle_commas(dataset, ANY)
    assert float(dataset.ChannelSensitivity) == value
    assert notes == (["A comma in ChannelSensitivity was read as a decimal point."] if "," in text else [])


def test_a_comma_before_three_digits_is_what_the_limits_or_another_number_show():
    for text, value in (("500,000", 500), ("1,000", 1000)):  # 500,000 Hz and 1 Hz are no rates of an ECG
        dataset = stored(SamplingFrequency=text)
        settle_commas(dataset, RATE)
        assert float(dataset.SamplingFrequency) == value
    dataset = stored(ChannelSensitivity="4,880", ChannelBaseline="0,5")
    settle_commas(dataset, ANY)
    assert float(dataset.ChannelSensitivity) == 4.88


def test_what_may_be_two_numbers_is_refused_by_its_tag_or_left_out_where_it_can_be_missed():
    with pytest.raises(ReadError, match=r"ChannelSensitivity \(003A,0210\) holds “1,250”, which may be two numbers"):
        settle_commas(stored(ChannelSensitivity="1,250"), ANY)
    dataset = stored(ChannelSensitivity="1,250")
    assert settle_commas(dataset, ANY, dispensable=["ChannelSensitivity"]) == [
        "ChannelSensitivity holds no number that can be read; it was left out."
    ]
    assert "ChannelSensitivity" not in dataset


def test_a_dicom_ecg_with_decimal_commas_is_read_and_one_without_numbers_refused_by_the_tag():
    content = files.dicom(files.dicom_group(files.heart_uv() / 2, sensitivity="2.00", rate="500.00"))
    content = content.replace(b"2.00", b"2,00").replace(b"500.00", b"500,00")
    record = read_ecg(content)
    assert record.sampling_rate_hz == 500 and not record.doubts
    np.testing.assert_allclose(record.signal_mv, files.heart_uv() / 1000, atol=1.1e-3)
    assert "A comma in SamplingFrequency, ChannelSensitivity was read as a decimal point." in record.notes
    with pytest.raises(ReadError) as caught:
        read_ecg(content.replace(b"2,00", b"Erna"))
    assert "ChannelSensitivity (003A,0210) holds a text, which is no number" in str(caught.value)
    assert "Erna" not in str(caught.value)


def test_a_film_with_decimal_commas_keeps_its_rate():
    from echo2ecg_core.echo.readers import read_clip
    from tests.echo.test_readers import dicom

    content = dicom(FrameTime="12.500", CineRate="7").replace(b"12.500", b"12,500")
    clip = read_clip(content)
    assert clip.fps == 80 and "A comma in FrameTime was read as a decimal point." in clip.notes
