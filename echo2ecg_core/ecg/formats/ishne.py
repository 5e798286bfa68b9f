"""ISHNE Holter files (Badilini, Ann Noninvasive Electrocardiol 3:263-266, 1998), decoded by ecgdatakit."""

import struct
from collections.abc import Iterator

from echo2ecg_core.ecg.channels import NOTHING_TOLD, Channels, Told, more_than_announced
from echo2ecg_core.ecg.files import EcgFile
from echo2ecg_core.ecg.formats.devices import MAX_BINARY_BYTES, channels_of, parse
from echo2ecg_core.ecg.formats.rates import header_rate

_RATE = 272  # byte of the header


def recognises(head: bytes) -> bool:
    """Whether a file is an ISHNE Holter recording."""
    return head.startswith(b"ISHNE1.0")


def read(file: EcgFile, told: Told = NOTHING_TOLD) -> Iterator[Channels]:
    """The recording of an ISHNE file.

    Raises:
        SamplingRateNeeded: If neither file nor person tells the sampling rate.
    """
    content = file.read(MAX_BINARY_BYTES)
    notes: list[str] = []
    own = struct.unpack_from("<h", content, _RATE)[0] if len(content) >= _RATE + 2 else 1
    rate = header_rate(float(max(own, 0)), told.sampling_rate_hz, file.name, notes)
    if own <= 0:  # the parser takes it for damage
        content = content[:_RATE] + struct.pack("<h", 1) + content[_RATE + 2 :]
    record = parse(file, "ISHNEHolterParser", content)
    channels = channels_of(record, "ISHNE", told)
    channels.sampling_rate_hz = rate
    channels.notes += notes
    stored, announced = record.raw_metadata["samples_per_lead"], record.raw_metadata["ecg_size"]
    if announced not in (stored, stored * len(record.leads)):  # some count the samples of all leads
        channels.notes += more_than_announced(stored, max(announced, 0))
        if stored < announced:
            channels.notes.append(f"The file is cut short: {stored:,} of {announced:,} samples a lead could be read.")
    yield channels
