"""SCP-ECG (EN 1064): ecgdatakit decodes it; what it rounds or refuses is done here.

The exact sampling interval is used (1667 µs a sample is 599.88 Hz). Bimodal compression keeps every sample around the
QRS complexes, in the protected zones of section 4, and the mean of every few samples (as many as the interval of
section 6 is longer than that of section 5) elsewhere, after the reference beat of section 5 was taken off. ecgdatakit
unpacks the stored numbers as if they were a plain recording; here they are spread again and the beat added. Whoever
stores means tells no more: between their middles the signal is a straight line.
"""

import binascii
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from echo2ecg_core.ecg.channels import MIN_DURATION_S, NOTHING_TOLD, Channels, Told, as_a_print, check_size
from echo2ecg_core.ecg.files import EcgFile
from echo2ecg_core.ecg.formats.devices import MAX_BINARY_BYTES, channels_of, parse
from echo2ecg_core.ecg.formats.rates import header_rate
from echo2ecg_core.ecg.record import canonical_lead
from echo2ecg_core.errors import ReadError

HEADER = 16  # bytes of a section before its body
LARGEST_FACTOR = 10
USUAL_INTERVAL_US = 2000
PADDING = 17  # zero bits at the end of a lead, each of which may look like a sample, are fewer
LAST_BIMODAL = 30  # ten times the version of the protocol from which on the flag has no meaning


def recognises(head: bytes) -> bool:
    """Whether a file begins with an SCP-ECG record: section 0, whose first pointer is to itself at byte 7."""
    return len(head) >= 32 and head[8:10] == b"\0\0" and head[22:24] == b"\0\0" and head[28:32] == b"\x07\0\0\0"


@dataclass(frozen=True)
class Decimation:
    """How the leads of a bimodal record are stored.

    Attributes:
        factor: Samples that a mean stands for outside the protected zones.
        starts: First sample of each lead, from one. ends: The last ones.
        zones: (first, last) samples of the protected zones, in order and apart.
        subtracted: (start, fiducial, end) of the beats from which the reference beat was taken; empty where none was.
        fiducial: Sample of the reference beat, from one.
    """

    factor: int
    starts: list[int]
    ends: list[int]
    zones: list[tuple[int, int]]
    subtracted: list[tuple[int, int, int]]
    fiducial: int

    def runs(self, lead: int) -> list[tuple[int, int, bool]]:
        """The stretches (first, last, protected) of a lead; one at the end that is no whole mean is left out."""
        runs, at, end = [], self.starts[lead], self.ends[lead]
        for first, last in (*self.zones, (end + 1, end)):
            first, last = max(first, at), min(last, end)
            if first > at:
                runs.append((at, first - 1, False))
            if last >= first:
                runs.append((first, last, True))
            at = max(at, last + 1)
        first, last, is_protected = runs[-1]
        whole = last if is_protected else last - (last - first + 1) % self.factor
        return [*runs[:-1], (first, whole, is_protected)] if whole >= first else runs[:-1]

    def n_stored(self, lead: int) -> int:
        return sum((last - first + 1) // (1 if kept else self.factor) for first, last, kept in self.runs(lead))

    def spread(self, lead: int, stored: np.ndarray, beat: np.ndarray) -> np.ndarray:
        """A lead at the rate of the reference beat, of what is stored of it and that beat, in one unit."""
        places, begin = [], self.starts[lead]
        for first, last, is_protected in self.runs(lead):
            step = 1 if is_protected else self.factor
            places.append(np.arange(first, last + 1, step) + (step - 1) / 2)
        end = self.runs(lead)[-1][1]
        signal = np.interp(np.arange(begin, end + 1), np.concatenate(places), stored)
        for start, fiducial, stop in self.subtracted:
            of_beat = fiducial - self.fiducial + 1  # the sample at which the beat begins
            first, last = max(start, begin, of_beat), min(stop, end, of_beat + len(beat) - 1)
            if last >= first:
                signal[first - begin : last - begin + 1] += beat[first - of_beat : last - of_beat + 1]
        return signal


def read(file: EcgFile, told: Told = NOTHING_TOLD) -> Iterator[Channels]:
    """The rhythm leads of an SCP-ECG file, with the exact sampling rate."""
    content, notes = file.read(MAX_BINARY_BYTES), list[str]()
    sections = scp_sections(content)
    decimation = _decimation(content, sections, file.name)
    interval_us = _interval_us(content, sections, 5 if decimation else 6)
    own = 1e6 / interval_us if interval_us else None
    has_rhythm = 6 in sections  # otherwise the parser says what is missing
    rate = header_rate(own, told.sampling_rate_hz, file.name, notes) if has_rhythm else 0.0
    if has_rhythm and not interval_us:
        content = _with_interval(content, sections, min(max(round(1e6 / rate), 1), 0xFFFF))
    if decimation:
        record = _spread(file, content, sections, decimation)
        notes.append(
            f"Outside the QRS complexes the file holds the mean of every {decimation.factor} samples (bimodal "
            "compression); what lies between these was interpolated."
        )
    else:
        record = parse(file, "SCPECGParser", content)
    _take_common_stretch(record, rate, notes)
    channels = channels_of(record, "SCP-ECG", told)
    if rate == own and abs(rate - channels.sampling_rate_hz) > 1e-6:
        notes.append(f"The file gives {interval_us:g} µs a sample, that is {rate:.2f} Hz.")
    channels.sampling_rate_hz = rate
    channels.notes += notes
    yield channels


def _take_common_stretch(record, rate_hz: float, notes: list[str]) -> None:
    """Cut leads that begin at different samples to the stretch that all of them hold.

    Raises:
        SignalError: If they share too little.
    """
    leads = [lead for lead in record.leads if canonical_lead(lead.label)]
    begins = [int(lead.annotations.get("start_sample", 1)) for lead in leads]
    if len(set(begins)) < 2:
        return
    begin = max(begins)
    length = min(at + len(lead.samples) for at, lead in zip(begins, leads, strict=True)) - begin
    if length < MIN_DURATION_S * rate_hz:
        raise as_a_print("some after the others")
    for at, lead in zip(begins, leads, strict=True):
        lead.samples = lead.samples[begin - at :][:length]
    apart_ms = (begin - min(begins)) / rate_hz * 1000
    notes.append(
        f"The leads begin up to {apart_ms:.0f} ms after one another; the {length / rate_hz:.3g} s that all hold "
        "were read."
    )


def made_decodable(file: EcgFile) -> bytes:
    """A record as ecgdatakit decodes it, for what it says of patient and moment: without its rate and with the stored
    samples of bimodal compression in place of the spread ones where it would refuse it.

    Raises:
        ReadError: If its bimodal compression is not read.
    """
    content = file.read(MAX_BINARY_BYTES)
    sections = scp_sections(content)
    decimation = _decimation(content, sections, file.name)
    if decimation:
        return _as_stored(content, sections, [decimation.n_stored(lead) for lead in range(len(decimation.starts))])
    if 6 in sections and not _interval_us(content, sections):
        return _with_interval(content, sections, USUAL_INTERVAL_US)
    return content


def scp_sections(content: bytes) -> dict[int, tuple[int, int]]:
    """Where the sections of an SCP-ECG record begin and end, by number; what lies outside the record is left out."""
    found = {}
    for at in range(22, min(6 + int.from_bytes(content[10:14], "little"), len(content)) - 9, 10):
        number, length, index = struct.unpack_from("<HII", content, at)
        if number and length >= 22 and index > 0 and index - 1 + length <= len(content):
            found[number] = (index - 1, index - 1 + length)
    return found


def _interval_us(content: bytes, sections: dict[int, tuple[int, int]], number: int = 6) -> int:
    """The time between two samples of section 5 or 6 in µs, 0 where it is not told."""
    return int.from_bytes(content[sections[number][0] + 18 :][:2], "little") if number in sections else 0


def _decimation(content: bytes, sections: dict[int, tuple[int, int]], file_name: str) -> Decimation | None:
    """How a bimodal record with fewer samples outside the QRS complexes is stored, None of any other record.

    Raises:
        ReadError: If where its samples belong is not certain.
        SignalError: If it claims more than fits in memory.
    """
    if not {3, 6} <= sections.keys() or content[15] >= LAST_BIMODAL or not content[sections[6][0] + HEADER + 5]:
        return None
    of_beat_us, of_rhythm_us = (_interval_us(content, sections, number) for number in (5, 6))
    if not of_rhythm_us or of_beat_us == of_rhythm_us:
        return None
    if not of_beat_us or 4 not in sections:
        raise _uncertain(file_name, "the reference beat or the protected zones are not in the file")
    factor = of_rhythm_us // of_beat_us
    if of_rhythm_us % of_beat_us or not 2 <= factor <= LARGEST_FACTOR:
        raise _uncertain(
            file_name, f"{of_rhythm_us} µs between its samples are no multiple of the {of_beat_us} µs of its beat"
        )
    leads, beats = (content[slice(*sections[number])][HEADER:] for number in (3, 4))
    n_leads, n_beats = leads[0], int.from_bytes(beats[4:6], "little")
    if len(leads) < 2 + 9 * n_leads or not n_leads or len(beats) < 6 + 22 * n_beats or not n_beats:
        raise _uncertain(file_name, "the protected zones around the QRS complexes are not in the file")
    spans = [struct.unpack_from("<II", leads, 2 + 9 * i) for i in range(n_leads)]
    marked = [struct.unpack_from("<HIII", beats, 6 + 14 * i) for i in range(n_beats)]
    zones = [struct.unpack_from("<II", beats, 6 + 14 * n_beats + 8 * i) for i in range(n_beats)]
    decimation = Decimation(
        factor, [start for start, _ in spans], [end for _, end in spans],
        sorted((first, last) for first, last in zones if 0 < first < last),
        [(start, at, end) for kind, start, at, end in marked if kind == 0 and leads[1] & 1],
        int.from_bytes(beats[2:4], "little"),
    )  # fmt: skip
    if any(not 0 < start <= end < 2**24 for start, end in spans) or not decimation.zones:
        raise _uncertain(file_name, "its leads or protected zones have no length")
    check_size(n_leads, max(end - start + 1 for start, end in spans))
    for lead in {span: i for i, span in enumerate(spans)}.values():
        if any((last - first + 1) % factor for first, last, is_protected in decimation.runs(lead) if not is_protected):
            raise _uncertain(file_name, f"between its protected zones lie no whole multiples of {factor} samples")
    return decimation


def _uncertain(file_name: str, why: str) -> ReadError:
    return ReadError(
        f"“{file_name}” is compressed by the bimodal method of SCP-ECG, and where its samples belong is not certain: "
        f"{why}.",
        "Export the ECG without bimodal compression, or as DICOM or XML.",
    )


def _spread(file: EcgFile, content: bytes, sections: dict[int, tuple[int, int]], decimation: Decimation):
    """A bimodal record as ecgdatakit gives others, at the rate of its reference beat.

    Raises:
        ReadError: If it holds more samples than its protected zones let expect.
    """
    from ecgdatakit.exceptions import CorruptedFileError

    n_stored = [decimation.n_stored(lead) for lead in range(len(decimation.starts))]
    record = parse(file, "SCPECGParser", _as_stored(content, sections, n_stored))
    try:
        parse(file, "SCPECGParser", _as_stored(content, sections, [n + PADDING for n in n_stored]))
    except CorruptedFileError:
        pass  # the numbers end, as they should
    else:
        raise _uncertain(file.name, "it holds more samples than its protected zones let expect")
    beats = [np.asarray(beat.samples, dtype=np.float64) for beat in record.median_beats]
    if decimation.subtracted and len(beats) != len(record.leads):
        raise _uncertain(file.name, "the reference beat that was taken off is not in the file")
    for i, lead in enumerate(record.leads):
        beat = beats[i] if decimation.subtracted else np.zeros(0)
        lead.samples = decimation.spread(i, np.asarray(lead.samples, dtype=np.float64), beat)
        lead.annotations["start_sample"] = str(decimation.starts[i])
    return record


def _as_stored(content: bytes, sections: dict[int, tuple[int, int]], n_stored: list[int]) -> bytes:
    """A bimodal record as one of that many plain samples a lead; checksums that did fit do so again."""
    leads, rhythm = sections[3][0] + HEADER, sections[6][0] + HEADER
    changes = {leads + 1: bytes([content[leads + 1] & 0xFE]), rhythm + 5: b"\0"}
    changes |= {leads + 2 + 9 * i: struct.pack("<II", 1, n) for i, n in enumerate(n_stored)}
    return _changed(content, sections, changes)


def _with_interval(content: bytes, sections: dict[int, tuple[int, int]], interval_us: int) -> bytes:
    """An SCP-ECG record with a time between samples where it has none; checksums that did fit do so again."""
    places = [sections[number][0] + 18 for number in (5, 6) if number in sections]
    empty = [at for at in places if content[at : at + 2] == b"\0\0"]
    return _changed(content, sections, dict.fromkeys(empty, struct.pack("<H", interval_us)))


def _changed(content: bytes, sections: dict[int, tuple[int, int]], changes: dict[int, bytes]) -> bytes:
    """A record with other bytes at these places; checksums that did fit do so again."""
    changed = bytearray(content)
    touched = [(begin, end) for begin, end in sections.values() if any(begin <= at < end for at in changes)]
    touched.append((0, int.from_bytes(content[2:6], "little")))
    fitting = [(begin, end) for begin, end in touched if changed[begin : begin + 2] == _checksum(changed, begin, end)]
    for at, bytes_there in changes.items():
        changed[at : at + len(bytes_there)] = bytes_there
    for begin, end in fitting:
        changed[begin : begin + 2] = _checksum(changed, begin, end)
    return bytes(changed)


def _checksum(content: bytearray, begin: int, end: int) -> bytes:
    """CRC-CCITT of a section, as its first two bytes hold it."""
    return struct.pack("<H", binascii.crc_hqx(bytes(content[begin + 2 : end]), 0xFFFF))
