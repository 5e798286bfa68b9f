"""SCP-ECG records with every compression of EN 1064: differences, Huffman tables, subtracted reference beats, bimodal.

Written from the published standard's layout and not from any reader's code: section 2 holds Huffman tables (19999 means
the default one of Annex C), section 4 where the reference beat was subtracted, section 5 that beat, section 6 what is
left. Numbers of samples begin at one; in tables the first bit of a code is the lowest of the stored word.
"""

import struct

import numpy as np

from echo2ecg_core.ecg.record import LEADS
from tests.ecg.device_files import SCP_LEADS, _crc

DEFAULT_TABLE = 19999
BEAT_MS, FIDUCIAL = 400, 101
# two tables of a maker: (prefix bits, all bits, 1 for a value or 0 for a change of table, value, code)
OWN_TABLES = (
    ((1, 1, 1, 0, "0"), (3, 3, 1, 1, "100"), (3, 3, 1, -1, "101"), (3, 15, 1, 0, "110"), (3, 3, 0, 2, "111")),
    ((2, 18, 1, 0, "00"), (2, 2, 0, 1, "01")),
)


def scp_record(sections: dict[int, bytes]) -> bytes:
    """A whole record of the bodies of its sections."""
    parts = {number: _section(number, body) for number, body in sorted(sections.items())}
    at, entries = 7 + 136, [struct.pack("<HII", 0, 136, 7)]
    for number in range(1, 12):
        length = len(parts.get(number, b""))
        entries.append(struct.pack("<HII", number, length, at if length else 0))
        at += length
    pointers = struct.pack("<HIBB", 0, 136, 20, 20) + b"SCPECG" + b"".join(entries)
    body = struct.pack("<H", _crc(pointers)) + pointers + b"".join(parts.values())
    whole = struct.pack("<I", 6 + len(body)) + body
    return struct.pack("<H", _crc(whole)) + whole


def _section(number: int, body: bytes) -> bytes:
    body += b"\0" * (len(body) % 2)
    rest = struct.pack("<HIBB6x", number, 16 + len(body), 20, 20) + body
    return struct.pack("<H", _crc(rest)) + rest


def compressed(
    counts_uv: np.ndarray, difference: int = 0, table: str = "", beats_at: tuple[int, ...] = (), bimodal: bool = False,
    intervals_us: tuple[int, int] = (2000, 2000), starts: tuple[int, ...] = (1,) * 12,
    protected: tuple[int, int] = (40, 40), extra: int = 0,
) -> bytes:  # fmt: skip
    """A record of (12, n) whole µV.

    Args:
        counts_uv: The leads.
        difference: 0 amplitudes, 1 first, 2 second differences.
        table: Huffman table: "" none, "default", or "own".
        beats_at: Fiducial samples (from one) at which the reference beat, that at the first of them, is subtracted.
        bimodal: The flag of section 6; where its interval is the longer one, means are stored outside protected zones.
        intervals_us: Of sections 5 and 6.
        starts: First sample of each lead.
        protected: How many samples before and after the fiducial one are protected.
        extra: Samples that are stored behind the last one that belongs to the lead.
    """
    n = counts_uv.shape[1]
    counts, sections = counts_uv.astype(int).copy(), {1: b"\xff\0\0"}
    flags = 4 | 12 << 3
    if table:
        sections[2] = struct.pack("<H", DEFAULT_TABLE) if table == "default" else _tables()
    if beats_at or bimodal:
        length = BEAT_MS * 1000 // intervals_us[0]
        first = (beats_at or (FIDUCIAL,))[0] - FIDUCIAL
        beat = counts[:, first : first + length].copy()
        zones = b""
        for at in beats_at:
            begin = at - FIDUCIAL  # from zero
            counts[:, begin : begin + length] -= beat
            zones += struct.pack("<HIII", 0, begin + 1, at, begin + length)
        kept = [(at - protected[0], at + protected[1]) for at in beats_at]
        sections[4] = struct.pack("<HHH", BEAT_MS, FIDUCIAL, len(beats_at)) + zones
        sections[4] += b"".join(struct.pack("<II", *zone) for zone in kept)
        sections[5] = _waves(beat * 2, 500, intervals_us[0], difference, 0, table)  # in counts of half a µV
        flags |= 1 if beats_at else 0
    sections[3] = struct.pack("<BB", 12, flags) + b"".join(
        struct.pack("<IIB", start, start + n - 1, SCP_LEADS[name]) for start, name in zip(starts, LEADS, strict=True)
    )
    if intervals_us[0] != intervals_us[1]:
        counts = np.stack([_decimated(lead, kept, intervals_us[1] // intervals_us[0], extra) for lead in counts])
    sections[6] = _waves(counts, 1000, intervals_us[1], difference, int(bimodal), table)
    return scp_record(sections)


def _decimated(lead: np.ndarray, protected: list[tuple[int, int]], factor: int, extra: int) -> np.ndarray:
    """What bimodal compression stores: sample by sample, one in a protected zone, else the mean of so many."""
    stored, at = [], 1  # samples count from one
    while at <= len(lead):
        inside = any(first <= at <= last for first, last in protected)
        stored.append(lead[at - 1] if inside else round(float(lead[at - 1 : at - 1 + factor].mean())))
        at += 1 if inside else factor
    return np.array(stored + [5, -5] * (extra // 2))


def _waves(counts: np.ndarray, size_nv: int, interval_us: int, difference: int, flag: int, table: str) -> bytes:
    """The body of section 5 or 6."""
    leads = []
    for lead in counts:
        values = [*lead[:difference], *np.diff(lead, difference)]
        packed = np.array(values, "<i2").tobytes() if not table else _bits(map(int, values), table)
        leads.append(packed + b"\0" * (len(packed) % 2))
    lengths = b"".join(struct.pack("<H", len(lead)) for lead in leads)
    return struct.pack("<HHBB", size_nv, interval_us, difference, flag) + lengths + b"".join(leads)


def _bits(values, table: str) -> bytes:
    coded = "".join(map(_default_code, values)) if table == "default" else "".join(_own_codes(values))
    coded += "0" * (-len(coded) % 8)
    return int(coded, 2).to_bytes(len(coded) // 8, "big") if coded else b""


def _default_code(value: int) -> str:
    """Annex C: zero is 0; up to eight, as many ones as the size, a zero, the sign; 8 or 16 bits behind ten bits."""
    if value == 0:
        return "0"
    if abs(value) <= 8:
        return "1" * abs(value) + "0" + str(int(value < 0))
    short = -128 <= value < 128
    return "1" * 9 + ("0" if short else "1") + format(value & (0xFF if short else 0xFFFF), "08b" if short else "016b")


def _own_codes(values):
    """The first table for values of up to 12 bits, the second, for one value, for the others."""
    for value in values:
        if value in (0, 1, -1):
            yield {0: "0", 1: "100", -1: "101"}[value]
        elif -2048 <= value < 2048:
            yield "110" + format(value & 0xFFF, "012b")
        else:
            yield "111" + "00" + format(value & 0xFFFF, "016b") + "01"


def _tables() -> bytes:
    body = struct.pack("<H", len(OWN_TABLES))
    for codes in OWN_TABLES:
        body += struct.pack("<H", len(codes))
        for prefix, total, is_value, value, code in codes:
            body += struct.pack("<BBBhI", prefix, total, is_value, value, int(code[::-1], 2))
    return body
