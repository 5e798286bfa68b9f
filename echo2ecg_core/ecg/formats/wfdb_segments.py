"""WFDB records in several segments, each a record of its own beside the header that lists them.

The segments are read one by one, as any record is, and put where the list says; what was not recorded between them, in
segments that are not there, and in leads that a segment of a record of variable layout does not have, is missing.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np

from echo2ecg_core.counts import counted
from echo2ecg_core.ecg.channels import NOTHING_TOLD, Channels, Told, as_written, check_size
from echo2ecg_core.ecg.files import EcgFile
from echo2ecg_core.ecg.formats import wfdb_records
from echo2ecg_core.ecg.formats.wfdb_records import GAP, MAX_HEADER_BYTES
from echo2ecg_core.errors import ReadError, SamplingRateNeeded

ALIKE = 1e-3


def read(header: EcgFile, told: Told = NOTHING_TOLD) -> Iterator[Channels]:
    """The recording behind a WFDB header, in one piece or in several.

    Raises:
        ReadError: If none of its segments can be read, or they have different rates; and as for a record in one piece.
        SignalError: If the header claims more than fits in memory.
    """
    text = header.read(MAX_HEADER_BYTES).decode("latin-1")
    segments = wfdb_records.segments_in(text)
    if not segments:
        yield from wfdb_records.read(header, told)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "header_of_record"
        path.with_suffix(".hea").write_text(text, "latin-1")
        claims = wfdb_records.library().rdheader(str(path))
    check_size(int(claims.n_sig), sum(length for _, length in segments))
    yield _joined(list(_read_each(header, segments, told)), claims, segments, wfdb_records.facts_in(text), header.name)


def _read_each(
    header: EcgFile, segments: list[tuple[str, int]], told: Told
) -> Iterator[tuple[str, int, Channels | ReadError]]:
    """Name, first frame and content of each segment that holds any, or why it could not be read."""
    at = 0
    for name, length in segments:
        begin, at = at, at + length
        if name == GAP or length == 0:  # nothing was recorded; the layout of all
            continue
        one = wfdb_records.beside(header, f"{name}.hea")
        if one is None:
            error = ReadError(
                f"The header “{header.name}” lists the segment “{name}”, whose header “{name}.hea” is not beside it.",
                "Give the headers and signal files of all segments together, or a zip with them.",
            )
            yield name, begin, error
            continue
        try:
            yield name, begin, next(wfdb_records.read(one, told))
        except SamplingRateNeeded:
            raise
        except ReadError as error:
            yield name, begin, error


def _joined(
    found: list[tuple[str, int, Channels | ReadError]], claims, segments: list[tuple[str, int]], facts: dict,
    file_name: str,
) -> Channels:  # fmt: skip
    """One recording of all segments.

    Args:
        found: Of each its name, first frame, and content or why it could not be read.
        claims: The header that lists them (wfdb.MultiRecord).
        segments: Name and length of all in it.
        facts: What the comments of that header tell of the patient.
        file_name: Of the header, for errors.

    Raises:
        ReadError: If no segment can be read, or they have different rates.
    """
    read_ones = [(begin, one) for _, begin, one in found if isinstance(one, Channels)]
    errors = [(name, one) for name, _, one in found if isinstance(one, ReadError)]
    if not read_ones:
        raise errors[0][1] if errors else ReadError(f"“{file_name}” lists no segment.", "Copy the file again.")
    first = read_ones[0][1]
    rate = first.sampling_rate_hz
    if any(abs(one.sampling_rate_hz / rate - 1) > ALIKE for _, one in read_ones):
        raise ReadError(f"The segments of “{file_name}” have different sampling rates.", "Give a single segment.")
    per_frame = max(1, round(rate / claims.fs)) if claims.fs else 1
    length = sum(n for _, n in segments) * per_frame
    names = list(dict.fromkeys(str(name) for _, one in read_ones for name in one.names))
    check_size(len(names), length)
    signal = np.full((len(names), length), np.nan)
    for begin, one in read_ones:
        for name, samples in zip(one.names, one.samples_mv, strict=True):
            place = signal[names.index(name), begin * per_frame :]
            place[: len(samples)] = samples[: len(place)]
    notes = [f"The record has {counted(len(found), 'segment')}, which were put where its header says."]
    if errors:
        be = "was" if len(errors) == 1 else "were"
        lost = as_written([name for name, _ in errors])
        notes.append(f"{len(errors)} of them ({lost}) {be} not read, the first because: {errors[0][1].message}")
    notes += dict.fromkeys(note for _, one in read_ones for note in one.notes)
    started = datetime.combine(claims.base_date, claims.base_time) if claims.base_date and claims.base_time else None
    gains = first.counts_per_mv if all(one.counts_per_mv == first.counts_per_mv for _, one in read_ones) else None
    return replace(
        first, names=names, samples_mv=signal, notes=notes,
        doubts=list(dict.fromkeys(doubt for _, one in read_ones for doubt in one.doubts)),
        unit_judged=any(one.unit_judged for _, one in read_ones),
        told_used=frozenset().union(*(one.told_used for _, one in read_ones)),
        counts_per_mv=gains if len(names) == len(first.names) else None,
        recorded_at=started or first.recorded_at, **facts,
    )  # fmt: skip
