"""EDF and EDF+ through ecgdatakit, and their sister BDF, whose samples have 24 bits.

ecgdatakit reads no BDF: it gets the same file with the header and annotations of EDF, and 0, 1, 0, 0, ... for samples,
which shows the scale of each signal; the stored samples take their place in what it makes of that (rates, gaps, age).
"""

from collections.abc import Iterator

import numpy as np

from echo2ecg_core.counts import listing
from echo2ecg_core.ecg.channels import NOTHING_TOLD, Channels, Told, more_than_announced
from echo2ecg_core.ecg.files import EcgFile
from echo2ecg_core.ecg.formats.devices import MAX_BINARY_BYTES, channels_of, parse, several_rates
from echo2ecg_core.ecg.formats.rates import header_rate
from echo2ecg_core.ecg.record import canonical_lead

BDF = b"\xffBIOSEMI"
EDF_NOTES, BDF_NOTES = "EDF Annotations", "BDF Annotations"  # labels of signals that are none


def recognises(head: bytes) -> bool:
    """Whether a file has the header of EDF, or of its 24-bit sister BDF."""
    if len(head) < 256 or not head.startswith((b"0       ", BDF)):
        return False
    header_bytes, n_signals = head[184:192].strip(), head[252:256].strip()  # a table may begin with 0 and blanks, too
    return header_bytes.isdigit() and n_signals.isdigit() and int(header_bytes) == 256 * (1 + int(n_signals))


def read(file: EcgFile, told: Told = NOTHING_TOLD) -> Iterator[Channels]:
    """The ECG leads of an EDF, EDF+, BDF or BDF+ file."""
    original = file.read(MAX_BINARY_BYTES)
    content, rate = _with_duration(made_decodable(original), file.name, told)
    record = parse(file, "EDFParser", content)
    is_bdf = original.startswith(BDF)
    if is_bdf:
        for lead, samples in zip(record.leads, _in_24_bits(original, record.raw_metadata["num_records"]), strict=True):
            zero, one = lead.samples[:2]
            lead.samples = zero + (one - zero) * samples
    exact = record.raw_metadata.get("exact_sampling_rates") or {}
    leads = [lead for lead in record.leads if canonical_lead(lead.label)] or record.leads
    rates = {float(exact.get(lead.label, lead.sampling_rate)) for lead in leads}
    if len(rates) > 1:
        raise several_rates(len(rates))
    channels = channels_of(record, "BDF" if is_bdf else "EDF", told)
    notes: list[str] = []
    channels.sampling_rate_hz = rate or header_rate(rates.pop(), told.sampling_rate_hz, file.name, notes)
    channels.notes += notes
    channels.doubts += _without_range(content)
    stored, announced = record.raw_metadata["num_records"], int(content[236:244])
    per_record = 2 * sum(_samples_a_record(content))
    channels.notes += more_than_announced((len(content) - int(content[184:192])) / per_record, max(announced, 0))
    if stored < announced:
        channels.notes.append(f"The file is cut short: {stored} of {announced} data records could be read.")
    onsets = np.asarray(record.raw_metadata.get("record_onsets") or [0.0], dtype=float)
    steps = np.diff(onsets)
    if steps.size and np.abs(steps - float(record.raw_metadata["record_duration"])).max() > 1e-3:
        channels.notes.append("The recording has gaps; its pieces were joined end to end.")
        channels.doubts.append(channels.notes[-1])
    yield channels


def _with_duration(content: bytes, file_name: str, told: Told) -> tuple[bytes, float | None]:
    """An EDF file of which the records last as long as at the rate that the person gives, where its header does not say
    how long that is, and that rate; else the file as it is and None.

    Raises:
        SamplingRateNeeded: If neither file nor person tells it.
    """
    n_signals = int(content[252:256])
    for begin, end in ((244, 252), (256 + 104 * n_signals, 256 + 120 * n_signals)):  # duration; physical ranges
        content = content[:begin] + content[begin:end].replace(b",", b".") + content[end:]
    try:
        if float(content[244:252]) > 0:
            return content, None
    except ValueError:
        pass  # blank, or no number
    stored = [
        (canonical_lead(label) is not None, count)
        for label, count in zip(_labels(content), _samples_a_record(content), strict=True)
        if label != EDF_NOTES
    ]
    rate = header_rate(None, told.sampling_rate_hz, file_name, [])
    _, per_record = max(stored, default=(False, 1))  # of a lead, where one is named
    duration = f"{per_record / rate:.6f}"[:8].ljust(8).encode()
    return content[:244] + duration + content[252:], rate


def _without_range(content: bytes) -> list[str]:
    """A doubt where a lead of an EDF file begins and ends at one value: its header tells no size of a count."""
    n_signals = int(content[252:256])
    places = [(256, 16), *((256 + n_signals * at, 8) for at in (104, 112, 120, 128))]  # label, physical, digital range
    labels, *ends = [
        [content[at + width * i :][:width].decode("latin-1").strip() for i in range(n_signals)] for at, width in places
    ]
    leads = [
        canonical_lead(label)
        for label, low, high, first, last in zip(labels, *ends, strict=True)
        if low == high or first == last
    ]
    known = [lead for lead in leads if lead]
    return [f"The header gives {listing(known)} no range; a count was taken as one of its unit."] if known else []


def _samples_a_record(content: bytes) -> list[int]:
    """Samples of each signal of an EDF file in a data record."""
    n_signals = int(content[252:256])
    counts = [content[at : at + 8].strip() for at in range(256 + 216 * n_signals, 256 + 224 * n_signals, 8)]
    return [int(count) if count.isdigit() else 0 for count in counts]


def _labels(content: bytes) -> list[str]:
    """The label of each signal of an EDF file."""
    n_signals = int(content[252:256])
    return [content[at : at + 16].decode("latin-1").strip() for at in range(256, 256 + 16 * n_signals, 16)]


def made_decodable(content: bytes) -> bytes:
    """A BDF file as EDF with its header and annotations and 0, 1, 0, 0, ... for samples; another file as it is."""
    if not content.startswith(BDF):
        return content
    counts, parts = _samples_a_record(content), []
    for label, stored in zip(_labels(content), _stored(content), strict=True):  # (records, bytes)
        if label == BDF_NOTES:
            parts.append(np.pad(stored, ((0, 0), (0, stored.shape[1] % 2))))
        else:
            parts.append(np.zeros((len(stored), stored.shape[1] // 3 * 2), np.uint8))
            parts[-1].flat[2:3] = 1
    n_signals = len(counts)
    header = bytearray(content[: 256 * (1 + n_signals)].replace(BDF_NOTES.encode(), EDF_NOTES.encode()))
    header[:8] = b"0".ljust(8)
    header[192:236] = header[192:236].replace(b"BDF+", b"EDF+")
    sizes = b"".join(str(part.shape[1] // 2).encode().ljust(8) for part in parts)
    header[256 + 216 * n_signals : 256 + 224 * n_signals] = sizes
    return bytes(header) + np.concatenate(parts, axis=1).tobytes()


def _stored(content: bytes) -> list[np.ndarray]:
    """Of each signal of a BDF file (records, bytes), of the records that are there as a whole."""
    ends = 3 * np.cumsum(_samples_a_record(content))
    body = np.frombuffer(content, np.uint8, offset=256 * (1 + len(ends)))
    n_records = len(body) // int(ends[-1])
    return np.split(body[: n_records * ends[-1]].reshape(n_records, ends[-1]), ends[:-1], axis=1)


def _in_24_bits(content: bytes, n_records: int) -> Iterator[np.ndarray]:
    """The samples of each signal of a BDF file that holds no annotations."""
    for label, stored in zip(_labels(content), _stored(content), strict=True):
        if label != BDF_NOTES:
            low, middle, high = stored[:n_records].reshape(-1, 3).astype(np.int32).T
            yield (low | middle << 8 | high << 24 >> 8).astype(np.float64)
