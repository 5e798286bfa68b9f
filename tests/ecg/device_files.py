"""Small files as electrocardiographs write them, from one artificial heart of whole microvolts: 5 s at 500 Hz."""

import base64
import binascii
import io
import struct

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from echo2ecg_core.ecg.record import LEADS

RATE, N = 500, 2500
SCP_LEADS = dict(zip(LEADS, (1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8), strict=True))


def heart_uv() -> np.ndarray:
    """(12, N) whole µV that fulfil the equations of the limb leads, every lead another."""
    time = np.arange(N) / RATE
    wave = [
        np.exp(-0.5 * (((time - at) % 0.8 - 0.4) / width) ** 2)
        for at, width in ((0.0, 0.011), (0.03, 0.012), (0.3, 0.05))
    ]
    mixed = {
        "I": (700, -90, 180), "II": (1000, -160, 240), "V1": (200, -900, -60), "V2": (300, -1300, 260),
        "V3": (700, -1000, 300), "V4": (1300, -500, 280), "V5": (1200, -250, 250), "V6": (900, -100, 200),
    }  # fmt: skip
    lead = {
        name: 2 * np.round(sum(a * w for a, w in zip(sizes, wave, strict=True)) / 2) for name, sizes in mixed.items()
    }
    lead |= {"III": lead["II"] - lead["I"], "aVR": -(lead["I"] + lead["II"]) / 2}
    lead |= {"aVL": lead["I"] - lead["II"] / 2, "aVF": lead["II"] - lead["I"] / 2}
    return np.stack([lead[name] for name in LEADS]).astype(int)


def dicom_group(counts=None, names=LEADS, rate="500", sensitivity="1", unit="uV", original="ORIGINAL") -> Dataset:
    """A multiplex group of 16-bit counts; None leaves a channel's sensitivity or unit out."""
    counts = heart_uv() if counts is None else counts
    group = Dataset()
    group.WaveformOriginality, group.MultiplexGroupTimeOffset = original, "0"
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = counts.shape
    group.SamplingFrequency = rate
    group.ChannelDefinitionSequence = []
    for name in names:
        channel, source, scale = Dataset(), Dataset(), Dataset()
        source.CodeValue, source.CodingSchemeDesignator, source.CodeMeaning = "1", "99X", name
        channel.ChannelSourceSequence, channel.WaveformBitsStored = [source], 16
        if sensitivity is not None:
            channel.ChannelSensitivity = sensitivity
        scale.CodeValue, scale.CodingSchemeDesignator, scale.CodeMeaning = unit, "UCUM", unit
        channel.ChannelSensitivityUnitsSequence = [scale]
        group.ChannelDefinitionSequence.append(channel)
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    group.WaveformData = np.round(counts).T.astype("<i2").tobytes()
    return group


def dicom(*groups: Dataset) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.9.1.1", generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.WaveformSequence = list(groups)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def edf(counts=None, labels=LEADS, unit="uV", physical=(-32768, 32767), rate=RATE, onsets=(), record_s=1) -> bytes:
    """EDF of records of a second; with onsets EDF+D, a record beginning at each of them."""
    counts = np.round(heart_uv() if counts is None else counts).astype("<i2")
    rates = list(np.broadcast_to(rate, len(counts)))
    signals = [[lead[i * n : (i + 1) * n].tobytes() for i in range(5)] for lead, n in zip(counts, rates, strict=True)]
    fields = [(*labels,), ("",) * 12, (unit,) * 12, (physical[0],) * 12, (physical[1],) * 12,
              (-32768,) * 12, (32767,) * 12, ("",) * 12, (*rates,), ("",) * 12]  # fmt: skip
    if onsets:
        signals.append([f"+{onset}\x14\x14\0".encode().ljust(60, b"\0") for onset in onsets])
        extra = ("EDF Annotations", "", "", -1, 1, -32768, 32767, "", 30, "")
        fields = [(*one, more) for one, more in zip(fields, extra, strict=True)]
    n_signals = len(signals)
    head = [("0", 8), ("X X X X", 80), ("Startdate X X X X", 80), ("05.01.24", 8), ("10.11.12", 8),
            (256 * (n_signals + 1), 8), ("EDF+D" if onsets else "", 44), (5, 8), (record_s, 8),
            (n_signals, 4)]  # fmt: skip
    widths = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)
    head += [(text, width) for texts, width in zip(fields, widths, strict=True) for text in texts]
    header = b"".join(str(text).ljust(width).encode() for text, width in head)
    return header + b"".join(signal[record] for record in range(5) for signal in signals)


def muse(counts=None, names=LEADS, base="500", exponent="0", unit="MICROVOLTS", per_bit="1", offset="0") -> bytes:
    leads = ""
    for name, lead in zip(names, heart_uv() if counts is None else counts, strict=True):
        data = base64.b64encode(np.round(lead).astype("<i2").tobytes()).decode()
        size = f"<LeadAmplitudeUnitsPerBit>{per_bit}</LeadAmplitudeUnitsPerBit>" if per_bit else ""
        leads += (f"<LeadData><LeadID>{name}</LeadID><LeadOffsetFirstSample>{offset if name == 'V6' else 0}"
                  f"</LeadOffsetFirstSample><LeadSampleSize>2</LeadSampleSize>{size}"
                  f"<LeadAmplitudeUnits>{unit}</LeadAmplitudeUnits><WaveFormData>{data}</WaveFormData>"
                  "</LeadData>")  # fmt: skip
    return (f"<RestingECG><Waveform><WaveformType>Rhythm</WaveformType><SampleBase>{base}</SampleBase>"
            f"<SampleExponent>{exponent}</SampleExponent>{leads}</Waveform></RestingECG>").encode()  # fmt: skip


def series(counts=None, names=LEADS, step='value="0.002" unit="s"', scale='value="1" unit="uV"', code="RHYTHM") -> str:
    """One series of an aECG."""
    leads = "".join(
        f'<component><sequence><code code="MDC_ECG_LEAD_{name.upper()}"/><value><origin value="0" unit="uV"/>'
        f"<scale {scale}/><digits>{' '.join(f'{value:.0f}' for value in lead)}</digits></value></sequence></component>"
        for name, lead in zip(names, heart_uv() if counts is None else counts, strict=True)
    )
    time = f'<code code="TIME_RELATIVE"/><value><head value="0"/><increment {step}/></value>'
    begin = f'<component><series><code code="{code}"/><component><sequenceSet><component><sequence>{time}</sequence>'
    return f"{begin}</component>{leads}</sequenceSet></component></series></component>"


def aecg(*several: str) -> bytes:
    return f"<AnnotatedECG><id root='1'/>{''.join(several)}</AnnotatedECG>".encode()


def cardiosoft(
    names=LEADS, rate="<SampleRate>500</SampleRate>", size='<Resolution units="uVperLsb">1</Resolution>', counts=None
) -> bytes:
    leads = "".join(
        f'<WaveformData lead="{name}">{",".join(f"{value:.0f}" for value in lead)}</WaveformData>'
        for name, lead in zip(names, heart_uv() if counts is None else counts, strict=True)
    )
    return f"<CardiologyXML><StripData>{rate}{size}{leads}</StripData></CardiologyXML>".encode()


def philips(
    rate="<samplingrate>500</samplingrate>", leads="STD-12", size="<signalresolution>1</signalresolution>"
) -> bytes:
    data = base64.b64encode(heart_uv().astype("<i2").tobytes()).decode()
    facts = f"<signalcharacteristics>{rate}{size}<acquisitiontype>{leads}</acquisitiontype>"
    return (
        '<restingecgdata xmlns="http://www3.medical.philips.com"><documentinfo><documenttype>SierraECG</documenttype>'
        "<documentversion>1.03</documentversion></documentinfo><reportinfo/><dataacquisition>"
        f"{facts}<numberchannelsallocated>12</numberchannelsallocated></signalcharacteristics></dataacquisition>"
        f'<waveforms><parsedwaveforms dataencoding="Base64" durationperchannel="5000">{data}'
        "</parsedwaveforms></waveforms></restingecgdata>"
    ).encode()


def scp(names=LEADS, size_nv=1000, interval_us=2000) -> bytes:
    """SCP-ECG of plain counts (sections 0, 1, 3 and 6)."""

    def section(number: int, body: bytes) -> bytes:
        body += b"\0" * (len(body) % 2)
        rest = struct.pack("<HIBB6x", number, 16 + len(body), 20, 20) + body
        return struct.pack("<H", _crc(rest)) + rest

    counts = heart_uv()[[LEADS.index(name) for name in names]].astype("<i2")
    parts = {
        1: section(1, b"\xff\0\0"),
        3: section(3, struct.pack("<BB", len(names), 4 | len(names) << 3)
                   + b"".join(struct.pack("<IIB", 1, N, SCP_LEADS[name]) for name in names)),
        6: section(6, struct.pack("<HHBB", size_nv, interval_us, 0, 0) + struct.pack("<H", 2 * N) * len(names)
                   + counts.tobytes()),
    }  # fmt: skip
    at, entries = 7 + 136, [struct.pack("<HII", 0, 136, 7)]
    for number in range(1, 12):
        length = len(parts.get(number, b""))
        entries.append(struct.pack("<HII", number, length, at if length else 0))
        at += length
    pointers = struct.pack("<HIBB", 0, 136, 20, 20) + b"SCPECG" + b"".join(entries)
    body = struct.pack("<H", _crc(pointers)) + pointers + b"".join(parts.values())
    whole = struct.pack("<I", 6 + len(body)) + body
    return struct.pack("<H", _crc(whole)) + whole


def _crc(data: bytes) -> int:
    return binascii.crc_hqx(data, 0xFFFF)


def wfdb_files(names=LEADS, gain="1000/mV", rate=" 500 2500", counts=None) -> dict[str, bytes]:
    counts = np.round(heart_uv() if counts is None else counts).astype("<i2")
    lines = [f"a {len(counts)}{rate}"]
    lines += [f"a.dat 16 {gain} 16 0 {lead[0]} 0 0 {name}" for name, lead in zip(names, counts, strict=True)]
    return {"a.hea": "\n".join([*lines, ""]).encode(), "a.dat": counts.T.tobytes()}


def ishne(
    counts: np.ndarray, codes=range(5, 17), size_nv: int = 1000, rate: int = RATE, announced: int = N, crc: int = 0
) -> bytes:
    """A Holter file of 16-bit counts (Badilini 1998, table of the header)."""
    nothing = 12 - len(counts)
    block = struct.pack("<iiiih", 6, announced, 522, 528, 1)
    block += b"Erika".ljust(40, b"\0") + b"Mustermann".ljust(40, b"\0") + b"P8".ljust(20, b"\0")
    block += struct.pack("<2h", 2, 0) + struct.pack("<12h", 1, 2, 1950, 4, 5, 2020, 4, 5, 2020, 10, 11, 12)
    block += struct.pack("<13h", len(counts), *codes, *[-9] * nothing)
    block += struct.pack("<24h", *[0] * 12, *[size_nv] * len(counts), *[-9] * nothing)
    block += struct.pack("<h", 0) + b"digital".ljust(40, b"\0") + struct.pack("<h", rate) + bytes(80 + 80 + 88)
    return b"ISHNE1.0" + struct.pack("<H", crc) + block + b"rested" + np.round(counts).T.astype("<i2").tobytes()


def mfer_tag(tag: int, value: bytes) -> bytes:
    return bytes([tag, len(value)]) + value


def mfer_frame(counts: np.ndarray) -> bytes:
    data = np.round(counts).astype("<i2").tobytes()
    layout = mfer_tag(4, struct.pack("<I", counts.shape[1])) + mfer_tag(6, b"\1")
    return layout + b"\x1e\x84" + struct.pack(">I", len(data)) + data


def mfer(
    *frames: bytes, preamble=b"MFR Standard 12 leads ECG", interval=b"\1\xfd\2\0", size=b"\0\xfa\1\0", codes=range(1, 9)
) -> bytes:
    """A little-endian file (ISO 22077-1): the interval 2 ms, a count 1 µV, lead codes of its table."""
    head = mfer_tag(0x40, preamble.ljust(32)) if preamble else b""
    head += mfer_tag(1, b"\1") + mfer_tag(2, b"\1\0\0") + mfer_tag(8, b"\1") + mfer_tag(5, bytes([len(codes)]))
    head += mfer_tag(0x0B, interval) if interval else b""
    head += mfer_tag(0x0C, size) if size else b""
    head += b"".join(bytes([0x3F, at, 4, 9, 2]) + struct.pack("<H", code) for at, code in enumerate(codes))
    return head + b"".join(frames) + b"\x80\0"
