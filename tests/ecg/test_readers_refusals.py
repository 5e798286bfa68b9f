"""What is no ECG, or no longer one: one clear sentence each, quickly, and never a traceback."""

import io
import time
import zlib

import numpy as np
import pydicom
import pydicom.data
import pytest
from PIL import Image
from pydicom.uid import DeflatedExplicitVRLittleEndian

from echo2ecg_core.ecg.readers import read_ecg
from echo2ecg_core.errors import Echo2ECGError, ReadError, SignalError

PYDICOM_SAMPLE = pydicom.data.get_testdata_file("waveform_ecg.dcm", download=False)


def saved(dataset: pydicom.Dataset) -> bytes:
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset)
    return buffer.getvalue()


def picture(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "white").save(buffer, kind)
    return buffer.getvalue()


def ct_image() -> bytes:
    with open(pydicom.data.get_testdata_file("CT_small.dcm", download=False), "rb") as stream:
        return stream.read()


def dicom(change) -> bytes:
    """pydicom's ECG with something changed in its rhythm group."""
    dataset = pydicom.dcmread(PYDICOM_SAMPLE)
    change(dataset.WaveformSequence[0])
    return saved(dataset)


def keep_two_leads(group):
    counts = np.frombuffer(group.WaveformData, "<i2").reshape(-1, 12)[:, :2]
    group.WaveformData, group.NumberOfWaveformChannels = counts.tobytes(), 2
    group.ChannelDefinitionSequence = group.ChannelDefinitionSequence[:2]


def shorten(n_samples, announced=None):
    def change(group):
        group.WaveformData = group.WaveformData[: n_samples * 24]
        group.NumberOfWaveformSamples = announced or n_samples

    return change


def flatten(group):
    group.WaveformData = bytes(len(group.WaveformData))


def inflating_dicom() -> bytes:
    dataset = pydicom.dcmread(PYDICOM_SAMPLE)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    content = saved(dataset)
    start = 144 + int.from_bytes(content[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return content[:start] + b"".join(packer.compress(bytes(2**20)) for _ in range(300)) + packer.flush()


LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;">]>
<RestingECG>&lol2;</RestingECG>"""
OUTSIDE = (
    b"""<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><AnnotatedECG>&x;</AnnotatedECG>"""
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", ReadError, "“x.dcm” is empty."),
        (b"This is only a text file.\n", ReadError, "“x.dcm” is text, but not an ECG: it holds no table of numbers."),
        (ct_image(), ReadError, "“x.dcm” is a DICOM file without an ECG waveform (CT Image Storage)."),
        (picture("PNG"), ReadError, "“x.dcm” is a picture (PNG), not an ECG recording."),
        (picture("JPEG"), ReadError, "“x.dcm” is a picture (JPEG), not an ECG recording."),
        (picture("GIF"), ReadError, "“x.dcm” is a picture (GIF), not an ECG recording."),
        (b"%PDF-1.7\n%\xe2\xe3", ReadError, "“x.dcm” is a PDF document, not an ECG recording."),
        (bytes(range(256)) * 20, ReadError, "“x.dcm” is in no ECG format that is known."),
        (b"\0" * 5000, ReadError, "“x.dcm” is in no ECG format that is known."),
        (dicom(keep_two_leads), SignalError,
         "The file holds 2 of the 12 leads (I and II); V1, V2, V3, V4, V5 and V6 are missing."),
        (dicom(flatten), SignalError, "All leads are flat; an ECG needs a signal in at least one lead."),
        (dicom(shorten(200)), SignalError, "The recording lasts 0.2 s; at least 2.5 s are needed."),
        (dicom(shorten(200, 10000)), ReadError,
         "The DICOM waveform is cut short: 10000 samples a channel are announced, 200 are there."),
        (dicom(shorten(10000, 900_000_000)), SignalError,
         "The file claims 12 channels of 900,000,000 samples (86.4 GB in memory); one ECG may have at most 40,000,000 "
"values."),
        (saved(pydicom.dcmread(PYDICOM_SAMPLE))[:100_000], ReadError,
         "“x.dcm” begins like an ECG file but is damaged and cannot be read."),
        (inflating_dicom(), ReadError, "“x.dcm” would unpack to more than 256 MB."),
        (LAUGHS, ReadError, "“x.dcm” declares XML entities, which are refused because they can be used to attack."),
        (OUTSIDE, ReadError, "“x.dcm” declares XML entities, which are refused because they can be used to attack."),
        (b"<!DOCTYPE html><html><title>Sign in</title></html>", ReadError, "“x.dcm” is a web page, not an ECG "
"recording."),
        (b"<?xml version='1.0'?><RestingECG><Wave", ReadError, "“x.dcm” begins like XML but is damaged or cut short."),
        (b"<RestingECG>" + b"<a>" * 101 + b"</a>" * 101 + b"</RestingECG>", ReadError,
         "The XML has more than 200,000 elements or 100 levels: no ECG export needs that."),
        (b"<RestingECG>" + b"<a/>" * 200_001 + b"</RestingECG>", ReadError,
         "The XML has more than 200,000 elements or 100 levels: no ECG export needs that."),
        (b"<RestingECG>" + b" " * 2**24, ReadError,
         "“x.dcm” has 16.0 MB; at most 16 MB of this format are read."),
        (b"<html><body>404</body></html>", ReadError, "“x.dcm” is a web page, not an ECG recording."),
        (b"<CardiologyXML></CardiologyXML>", ReadError, "The CardioSoft file has no resting ECG (StripData section)."),
        (b"<CardiologyXML><StripData/></CardiologyXML>", ReadError,
         "The CardioSoft file has no resting ECG (StripData section)."),
        (b"\xffBIOSEMI" + bytes(300), ReadError, "“x.dcm” is in no ECG format that is known."),
        (b"ISHNE1.0" + b"\1" * 300, ReadError,
         "“x.dcm” begins like an ECG file but is damaged and cannot be read (File too small to be ISHNE Holter: 308 "
"bytes)."),
    ],
)  # fmt: skip
def test_what_is_no_usable_ecg_is_refused_in_one_sentence(content, error, message):
    start = time.process_time()
    with pytest.raises(error) as caught:
        read_ecg(content, name="x.dcm")
    assert caught.value.message == message
    assert caught.value.hint.endswith(".") and "\n" not in str(caught.value)
    assert time.process_time() - start < 5


def test_a_missing_file_and_a_folder_are_named_without_their_path(tmp_path):
    for path, text in (
        (tmp_path / "no.hea", "“no.hea” does not exist."),
        (tmp_path, f"“{tmp_path.name}” is a folder, not a file."),
    ):
        with pytest.raises(ReadError) as caught:
            read_ecg(path)
        assert caught.value.message == text


def test_no_error_tells_the_folder_or_the_content_of_a_file(tmp_path):
    path = tmp_path / "Erika Mustermann" / "ecg.dcm"
    path.parent.mkdir()
    path.write_bytes(saved(pydicom.dcmread(PYDICOM_SAMPLE))[:50_000])
    with pytest.raises(Echo2ECGError) as caught:
        read_ecg(path)
    assert "Mustermann" not in str(caught.value) and "642341" not in str(caught.value)


@pytest.mark.slow
def test_compressed_philips_leads_cannot_unpack_without_bound(samples):
    import base64
    import struct

    text = (samples / "ecg" / "philips_sierra_xml" / "129DYPRG_v1.03.xml").read_text(encoding="utf-8")
    start = text.index(">", text.index("<parsedwaveforms")) + 1
    # the codes 0, 256, 257, ... each unpack to one byte more than the one before; then the longest is repeated
    codes = [0, *range(256, 1023)] + [1022] * 40_000
    bits = "".join(f"{code:010b}" for code in codes)
    packed = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    chunk = struct.pack("<IHh", len(packed), 0, 0) + packed
    bomb = text[:start] + base64.b64encode(chunk).decode() + text[text.index("</parsedwaveforms>") :]
    began = time.process_time()
    with pytest.raises(ReadError) as caught:
        read_ecg(bomb.encode(), name="bomb.xml")
    assert caught.value.message == "The leads of “bomb.xml” would unpack to more than 4 MB."
    assert time.process_time() - began < 5
