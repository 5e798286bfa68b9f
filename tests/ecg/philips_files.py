"""Philips ECG XML as PageWriter (1.03) and TraceMaster (1.04) write it, plain or packed by XLI, with its own packer.

XLI packs each lead: second differences around 64, high bytes before low ones, LZW codes of ten bits; III, aVR, aVL and
aVF are stored as what leads I and II leave of them.
"""

import base64

import numpy as np

from echo2ecg_core.ecg.record import LEADS

LARGEST_CODE = 1022


def philips_103(counts: np.ndarray, xli: bool = False, zero: int = 0, encoding: str = "Base64") -> bytes:
    """Version 1.03: what the numbers are stands in elements. 500 Hz, counts of 0.5 µV."""
    facts = (
        "<signalcharacteristics><samplingrate>500</samplingrate><signalresolution>0.5</signalresolution>"
        f"<signaloffset>{zero}</signaloffset><signalsigned>{zero == 0}</signalsigned>"
        "<acquisitiontype>STD-12</acquisitiontype><numberchannelsallocated>12</numberchannelsallocated>"
        "</signalcharacteristics>"
    )
    packing = f'compressflag="{xli}" compressmethod="{"XLI" if xli else "Uncompressed"}"'
    return _document("SierraECG", "1.03", facts, packing, counts, xli, zero, encoding)


def philips_104(
    counts: np.ndarray, xli: bool = False, version: str = "1.04", labels=LEADS, encoding: str = "Base64",
    length_ms: float | None = None, rate: int = 500, stored=range(12),
) -> bytes:  # fmt: skip
    """Version 1.04 and its children: what the numbers are stands in attributes; `stored`: the order of packed leads."""
    facts = "<signalcharacteristics><leadset>12-LEAD</leadset></signalcharacteristics>"
    packing = f'compression="{"XLI" if xli else "Uncompressed"}" samplespersecond="{rate}" resolution="0.5" '
    packing += f'leadlabels="{" ".join(labels)}" numberofleads="{len(labels)}"'
    return _document("PhilipsECG", version, facts, packing, counts, xli, 0, encoding, length_ms, stored)


def _document(kind, version, facts, packing, counts, xli, zero, encoding, length_ms=None, order=range(12)) -> bytes:
    counts = counts.astype(int) + zero
    stored = counts.astype("<u2" if zero else "<i2")
    text = base64.b64encode(_xli(counts, list(order)) if xli else stored.tobytes()).decode()
    if encoding == "Plain":
        text = " ".join(map(str, stored.ravel()))
    length = 2 * counts.shape[1] if length_ms is None else length_ms
    return (
        '<?xml version="1.0" encoding="UTF-8"?><restingecgdata xmlns="http://www3.medical.philips.com"><documentinfo>'
        f"<documenttype>{kind}</documenttype><documentversion>{version}</documentversion></documentinfo>"
        f"<dataacquisition>{facts}</dataacquisition><waveforms>"
        f'<parsedwaveforms dataencoding="{encoding}" durationperchannel="{length}" {packing}>{text}</parsedwaveforms>'
        "</waveforms></restingecgdata>"
    ).encode()


def _xli(counts: np.ndarray, order: list[int]) -> bytes:
    one, two, three = counts[:3]
    left = counts.copy()
    left[2] = two - one - three
    left[3] = -counts[3] - (one + two) // 2
    left[4] = (one - three) // 2 - counts[4]
    left[5] = (two + three) // 2 - counts[5]
    return b"".join(map(_packed, left[order]))


def _packed(lead: np.ndarray) -> bytes:
    """A lead: length of its codes, two bytes unused, the first second difference, the codes."""
    bends = 2 * lead[1:-1] - lead[:-2] - lead[2:]
    words = np.concatenate([lead[:2], bends[1:] + 64, [64]]).astype(">i2").tobytes()
    codes = _lzw(words[::2] + words[1::2])
    return len(codes).to_bytes(4, "little") + b"\0\0" + int(bends[0]).to_bytes(2, "little", signed=True) + codes


def _lzw(data: bytes) -> bytes:
    strings = {bytes([value]): value for value in range(256)}
    bits, current = "", b""
    for value in data:
        longer = current + bytes([value])
        if longer in strings:
            current = longer
            continue
        bits += f"{strings[current]:010b}"
        if len(strings) <= LARGEST_CODE:
            strings[longer] = len(strings)
        current = bytes([value])
    bits += f"{strings[current]:010b}"
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")
