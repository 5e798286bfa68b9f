"""MFER (ISO 22077-1), in which Japanese electrocardiographs export, decoded by ecgdatakit.

A file may lack its preamble; then it is known by a chain of definitions that ecgdatakit finds plausible. A sampling
interval that is not told would be 1 ms by the standard, which few writers mean: it is asked for.
"""

from collections.abc import Iterator
from pathlib import Path

from echo2ecg_core.ecg.channels import NOTHING_TOLD, Channels, Told
from echo2ecg_core.ecg.files import EcgFile
from echo2ecg_core.ecg.formats.devices import channels_of, parse, several_rates
from echo2ecg_core.ecg.formats.rates import header_rate
from echo2ecg_core.ecg.record import canonical_lead

_PREAMBLE, _LAST_TAG_OF_WAVEFORMS = 0x40, 0x1E
_DOMINANT_BEAT = 9


def recognises(head: bytes) -> bool:
    """Whether a file is a sequence of MFER definitions, with a preamble or without."""
    if not head or not (head[0] <= _LAST_TAG_OF_WAVEFORMS or head[0] == _PREAMBLE):
        return False
    from ecgdatakit.parsing.parsers.mfer import MFERParser

    return MFERParser.can_parse(Path(), head)


def read(file: EcgFile, told: Told = NOTHING_TOLD) -> Iterator[Channels]:
    """The recording of an MFER file.

    Raises:
        SamplingRateNeeded: If neither file nor person tells the sampling rate.
        SignalError: If its leads have different rates.
    """
    record = parse(file, "MFERParser")
    meta = record.raw_metadata
    notes: list[str] = []
    doubts: list[str] = []
    all_rates = meta.get("sampling_rates", [])
    rates = {rate for lead, rate in zip(record.leads, all_rates, strict=False) if canonical_lead(lead.label)}
    if len(rates) > 1:
        raise several_rates(len(rates))
    own = next(iter(rates or all_rates), None) if meta.get("sampling_rate_stated", True) else None
    channels = channels_of(record, "MFER", told)
    channels.sampling_rate_hz = header_rate(own, told.sampling_rate_hz, file.name, notes)
    frames = [frame for frame in meta["frames"] if frame["waveform_type"] != _DOMINANT_BEAT]
    ends = [frame["pointer"] + frame["samples"] for frame in frames]
    if any(frame["pointer"] != end for frame, end in zip(frames[1:], ends, strict=False)):
        doubts.append("The recording has gaps; its pieces were joined end to end.")
    n_read, n_all = max(map(len, channels.samples_mv)), sum(frame["samples"] for frame in frames)
    if n_read < n_all:
        share = f"{n_read / n_all:.0%}"
        doubts.append(f"The leads, or their scale, are others from some time on; what is before was read ({share}).")
    channels.doubts += doubts
    channels.notes += notes + doubts
    yield channels
