"""WFDB records: a text header (.hea) and its signal files (.dat, .mat and others), decoded by wfdb.

The header is judged before anything is opened or allocated: signal files must have bare names (no paths, no
addresses) and exist beside it, and channels times samples must stay within bounds. wfdb then reads a private
copy, so that a header cannot make it look anywhere else.
"""

import codecs
import re
import tempfile
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from types import FunctionType

import numpy as np

from echo2ecg_core.counts import counted
from echo2ecg_core.ecg.channels import (
    MIN_DURATION_S,
    NOTHING_TOLD,
    Channels,
    Told,
    are_enough,
    as_written,
    check_size,
    more_than_announced,
)
from echo2ecg_core.ecg.files import HEAD_BYTES, EcgFile
from echo2ecg_core.ecg.formats.rates import header_rate
from echo2ecg_core.ecg.record import canonical_lead
from echo2ecg_core.ecg.units import factors_to_mv, is_count_size, mv_per_unit, needed_factor
from echo2ecg_core.errors import ReadError

FORMAT = "WFDB"
GAP = "~"
MAX_HEADER_BYTES = 2**16
MAX_SIGNALS = 256
_RECORD_LINE = re.compile(r"[ \t]*[-\w]+(/\d+)?[ \t]+\d+([ \t]+\d*\.?\d+[^\r\n]*)?[ \t]*$")
_BARE_NAME = re.compile(r"~?[-\w]+(\.\w+)?")
# stored bits a sample in each WFDB signal format that has a fixed size
_BITS = {"8": 8, "16": 16, "24": 24, "32": 32, "61": 16, "80": 8, "160": 16, "212": 12, "310": 32 / 3, "311": 32 / 3}
_FORMATS = {*_BITS, "0", "508", "516", "524"}
_PER_YEAR = {"y": 1.0, "m": 12.0, "w": 52.18, "d": 365.25, "h": 8766.0}
DEFAULT_GAIN = "The header gives no gain for some channels; WFDB's default of 200 counts per mV was assumed."


def recognises(head: bytes) -> bool:
    """Whether a file begins with a WFDB record line (name, number of signals, sampling rate, samples).

    A table of whole numbers may look alike: a signal line begins with a file name and a known format, and there are
    as many of them as the record line says.
    """
    lines = _significant_lines(head.removeprefix(codecs.BOM_UTF8).decode("latin-1"))
    if len(lines) < 2 or not _RECORD_LINE.match(lines[0]):
        return False
    record, n_signals = lines[0].split()[:2]
    if "/" in record:
        return True
    fields = lines[1].split()
    known = re.match(r"\d+", fields[1]) if len(fields) > 1 else None
    named = re.fullmatch(r"[-+]?\d*[.,]?\d*", fields[0]) is None or fields[0] == record
    cut = len(head) >= HEAD_BYTES
    few = cut or len(lines) - 1 <= int(n_signals)
    return known is not None and known[0] in _FORMATS and named and few


def read(header: EcgFile, told: Told = NOTHING_TOLD) -> Iterator[Channels]:
    """The recording behind a WFDB header.

    Raises:
        ReadError: If a signal file is named with a path, one of the leads is missing, or the header lists segments
            (wfdb_segments.py).
        SignalError: If the header claims more than fits in memory.
    """
    wfdb = library()
    content = _plain_units(header.read(MAX_HEADER_BYTES).removeprefix(codecs.BOM_UTF8))
    signals, missing = _signal_files(header, content)
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        record_path = str(Path(folder) / "header_of_record")
        Path(record_path + ".hea").write_bytes(content)
        claims = wfdb.rdheader(record_path)
        if missing:
            content = _without(missing, content, claims, header.name, notes)
            Path(record_path + ".hea").write_bytes(content)
            claims = wfdb.rdheader(record_path)
        in_frame = set(claims.samps_per_frame or [1])
        n_each = in_frame.pop() if len(in_frame) == 1 else 0  # samples of every lead in a frame; 0 where they differ
        claims.fs *= n_each or 1
        claims.fs = _rate(content, claims, header.name, told, notes) / (n_each or 1)  # frames a second
        n_samples = _available_samples(claims, signals, notes)
        ungained = [_has_no_gain(line) for line in _significant_lines(content.decode("latin-1"))[1:]]
        assumed = any(ungained) and not is_count_size(told.unit)
        if assumed:
            notes.append(DEFAULT_GAIN)
        for name, signal in signals.items():
            (Path(folder) / name).write_bytes(signal.read())
        record = wfdb.rdrecord(record_path, sampto=n_samples, physical=not n_each, smooth_frames=n_each < 2)
    damaged = _damaged(record, claims, n_samples) if n_each == 1 else []
    if n_each > 1:
        record.d_signal = np.stack(record.e_d_signal, axis=1)
    if n_each:
        record.dac(inplace=True)
    else:
        notes.append("The header stores several samples of some leads in each frame; their mean was read.")
    record.fs = claims.fs * (n_each or 1)
    channels = _channels(record, content.decode("latin-1"), notes, told, ungained)
    if assumed:
        channels.doubts.append(DEFAULT_GAIN)
    if damaged:
        channels.notes.append(
            f"The checksum of {as_written(damaged)} in the header does not fit the signal file: "
            "it is damaged or altered."
        )
        channels.doubts.append(channels.notes[-1])
    yield channels


class _Specs:
    """A table of wfdb about the fields of a header, which reads its `index` and `loc[field, what]`, as a dictionary."""

    def __init__(self, table):
        self.index = list(table.index)
        self.loc = {(field, what): table.loc[field, what] for field in table.index for what in table.columns}


@cache
def library():
    """The library with its look-ups in dictionaries: by pandas, 250 a header of twelve leads and two headers a record,
    they were two fifths of reading one."""
    import wfdb
    from wfdb.io import _header

    specs = {name: _Specs(getattr(_header, name)) for name in ("RECORD_SPECS", "SIGNAL_SPECS")}
    for name in ("_parse_record_line", "_parse_signal_lines"):
        setattr(_header, name, FunctionType(getattr(_header, name).__code__, vars(_header) | specs, name))
    return wfdb


def _plain_units(header: bytes) -> bytes:
    """A header whose micro signs, in UTF-8 or Latin-1, are written as u, and decimal commas of gains as points: wfdb
    would drop the one and read volts, and stop at the other."""
    lines = header.split(b"\n")
    for number, line in enumerate(lines):
        if not line.lstrip().startswith(b"#"):
            for micro in (b"\xc2\xb5", b"\xce\xbc", b"\xb5"):
                line = re.sub(rb"(?<=/)" + micro + rb"(?=[vV])", b"u", line)
            lines[number] = re.sub(rb"(?<=[ \t])(\d+),(\d+)(?=[(/ \t\r]|$)", rb"\1.\2", line)
    return b"\n".join(lines)


def _rate(content: bytes, claims, name: str, told: Told, notes: list[str]) -> float:
    """The sampling rate of a header; a record line may end before it, and then WFDB's 250 Hz are nobody's word.

    Raises:
        SamplingRateNeeded: If neither header nor person tells it.
    """
    fields = _significant_lines(content.decode("latin-1"))[0].split()
    return header_rate(float(claims.fs) if len(fields) > 2 else None, told.sampling_rate_hz, name, notes)


def _damaged(record, claims, n_samples: int | None) -> list[str]:
    """Channels whose sum of samples is not the header's; [] where the header gives none or the file is cut short."""
    checksums = claims.checksum or []
    whole = n_samples is None or n_samples == claims.sig_len
    if not whole or not any(checksums):
        return []
    sums = record.d_signal.astype(np.int64).sum(axis=0)
    return [
        name
        for name, total, checksum in zip(claims.sig_name, sums, checksums, strict=True)
        if checksum is not None and (int(total) - int(checksum)) % 65536
    ]


def header_of(signal: EcgFile) -> EcgFile | None:
    """The header that lies beside a signal file, if there is one."""
    header = beside(signal, signal.name.rpartition(".")[0] + ".hea")
    return header if header is not None and recognises(header.head()) else None


def beside(file: EcgFile, name: str) -> EcgFile | None:
    """The file of a name in the same place; in other capitals where there is none, as old systems write them."""
    stem, _, suffix = name.rpartition(".")
    own = file.name.rpartition(".")[0]
    stems = [stem, stem.lower(), stem.upper(), *([own] if own.lower() == stem.lower() else [])]
    others = [f"{one}.{end}" for one in stems for end in (suffix, suffix.lower(), suffix.upper())] if stem else []
    names = dict.fromkeys([name, *others])
    return next((found for one in names if (found := file.companion(one)) is not None), None)


def signal_names(header: EcgFile) -> list[str]:
    """The names of the files a header refers to, of signals or of the headers of its segments, without repetition."""
    text = header.read(MAX_HEADER_BYTES).decode("latin-1")
    return [f"{name}.hea" for name, _ in segments_in(text) if name != GAP] or _names_in(text)


def segments_in(text: str) -> list[tuple[str, int]]:
    """Names and samples of the segments that a header lists, in order; GAP is the name of what was not recorded. [] of
    the header of a record in one piece."""
    lines = _significant_lines(text)
    if not lines or "/" not in lines[0].split()[0]:
        return []
    fields = [line.split() for line in lines[1:]]
    return [(one[0], int(one[1])) for one in fields if len(one) > 1 and one[1].isdigit()]


def _significant_lines(text: str) -> list[str]:
    lines = (line.rstrip("\r") for line in text.split("\n"))
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _names_in(text: str) -> list[str]:
    return list(dict.fromkeys(line.split()[0] for line in _significant_lines(text)[1:]))


def _has_no_gain(signal_line: str) -> bool:
    """Whether a signal line leaves its gain out or gives zero, which means uncalibrated."""
    fields = signal_line.split()
    return len(fields) < 3 or re.match(r"0*\.?0*(\(|/|$)", fields[2]) is not None


def _signal_files(header: EcgFile, content: bytes) -> tuple[dict[str, EcgFile], list[str]]:
    """The signal files of a header that lie beside it, by name, and the names of those that do not."""
    text = content.decode("latin-1")
    n_lines = len(_significant_lines(text)) - 1
    if n_lines > MAX_SIGNALS:
        raise ReadError(
            f"The header “{header.name}” lists {n_lines} signals; at most {MAX_SIGNALS} are read.",
            "Give a 12-lead ECG.",
        )
    if "/" in _significant_lines(text)[0].split()[0]:
        raise ReadError(
            f"“{header.name}” lists the segments of a WFDB record in a way that is not read.",
            "Give the header of a segment.",
        )
    signals, missing = {}, []
    for name in _names_in(text):
        if not _BARE_NAME.fullmatch(name):
            raise ReadError(
                f"The header “{header.name}” does not name its signal file by a plain file name "
                "(a path, an address, or damage).",
                "Put header and signal file in one folder and name the file without a path.",
            )
        signal = beside(header, name)
        if signal is None:
            missing.append(name)
        else:
            signals[name] = signal
    if not signals and missing:
        raise _needs(header.name, missing[0])
    return signals, missing


def _needs(header_name: str, signal_name: str) -> ReadError:
    return ReadError(
        f"The header “{header_name}” needs the signal file “{signal_name}”, which is not beside it.",
        f"Give “{header_name}” and “{signal_name}” together, or a zip with both.",
    )


def _without(missing: list[str], content: bytes, claims, header_name: str, notes: list[str]) -> bytes:
    """A header without the signals whose files are missing, which is noted.

    Args:
        missing: Names of those files.
        content: The header.
        claims: The same, parsed (wfdb.Record).
        header_name: For the error.
        notes: Gets a sentence.

    Raises:
        ReadError: If the others are not all leads of an ECG.
    """
    kept = [index for index, name in enumerate(claims.file_name) if name not in missing]
    if not are_enough([claims.sig_name[index] or "" for index in kept]):
        raise _needs(header_name, missing[0])
    lost = [str(claims.sig_name[index]) for index in range(len(claims.file_name)) if index not in kept]
    notes.append(
        f"The header names “{missing[0]}”, too, which is not beside it: the {counted(len(lost), 'channel')} in it "
        f"({as_written(lost)}) {'was' if len(lost) == 1 else 'were'} left out."
    )
    first, *lines = _significant_lines(content.decode("latin-1"))
    name, _, *rest = first.split()
    comments = [line for line in content.decode("latin-1").splitlines() if line.lstrip().startswith("#")]
    kept_lines = [" ".join([name, str(len(kept)), *rest]), *(lines[index] for index in kept), *comments]
    return ("\n".join(kept_lines) + "\n").encode("latin-1")


def _available_samples(claims, signals: dict[str, EcgFile], notes: list[str]) -> int | None:
    """Samples a channel that header and signal files both have; refuses absurd claims before anything is read.

    Args:
        claims: The parsed header (wfdb.Record).
        signals: The signal files by name.
        notes: Receives a sentence when a signal file is shorter than its header says.

    Returns:
        The number of samples, None when the header leaves it to the size of the signal files.
    """
    rate = float(claims.fs)
    room = [_stored_samples(claims, name, signal.size) for name, signal in signals.items()]
    stored = [count for count in room if count is not None]
    claimed = int(claims.sig_len) if claims.sig_len else min(stored, default=0)
    per_frame = max(claims.samps_per_frame or [1])
    check_size(int(claims.n_sig), claimed * per_frame)
    notes += more_than_announced(min(stored, default=0), claimed)
    available = min([claimed, *stored])
    if available >= claimed:
        return claims.sig_len
    if available < MIN_DURATION_S * rate:
        raise ReadError(
            f"The signal file is cut short: the header says {claimed / rate:.1f} s, the file holds "
            f"{available / rate:.1f} s, "
            f"and at least {MIN_DURATION_S:g} s are needed.",
            "Copy or download the signal file again.",
        )
    notes.append(f"The signal file is cut short: {available / rate:.1f} s of {claimed / rate:.1f} s could be read.")
    return available


def _stored_samples(claims, name: str, n_bytes: int) -> int | None:
    """Frames a signal file has room for, or None for formats of variable size."""
    channels = [index for index, file_name in enumerate(claims.file_name) if file_name == name]
    formats = {claims.fmt[index] for index in channels}
    if len(formats) != 1 or not formats <= set(_BITS):
        return None
    frame = sum(claims.samps_per_frame[index] or 1 for index in channels)
    payload_bits = 8 * max(0, n_bytes - (claims.byte_offset[channels[0]] or 0))
    return int(payload_bits // (_BITS[formats.pop()] * frame))


def _channels(record, text: str, notes: list[str], told: Told, ungained: list[bool]) -> Channels:
    """Channels in mV from what wfdb decoded; those without a gain in counts of the size that the person tells."""
    signal = np.asarray(record.p_signal, dtype=np.float64)  # (n, channels)
    scales = [mv_per_unit(unit) for unit in record.units]
    used: frozenset[str] = frozenset()
    counts = [is_open and is_count_size(told.unit) for is_open in ungained]
    if told.unit and (None in scales or any(counts)):
        factor, used = needed_factor(told.unit), frozenset({"unit"})
        scales = [factor if scale is None else scale for scale in scales]
        scales = [factor * gain if is_count else scale
                  for scale, gain, is_count in zip(scales, record.adc_gain, counts, strict=True)]  # fmt: skip
    open_leads = [row for row, name in enumerate(record.sig_name) if canonical_lead(name)]
    judged = factors_to_mv(
        [record.units[row] for row in open_leads], [signal[:, row] for row in open_leads], float(record.fs)
    ) if any(scales[row] is None for row in open_leads) else None  # fmt: skip
    for row, factor in zip(open_leads, judged.values if judged else (), strict=judged is not None):
        scales[row] = factor if scales[row] is None else scales[row]
    notes += judged.notes if judged else []
    unknown = [str(name) for name, scale in zip(record.sig_name, scales, strict=True) if scale is None]
    if unknown:
        notes.append(f"The unit of {as_written(unknown)} is no voltage; that channel was not converted.")
    samples = [signal[:, index] * (1.0 if scale is None else scale) for index, scale in enumerate(scales)]
    names = [
        f"{name} (no voltage)" if scale is None else name for name, scale in zip(record.sig_name, scales, strict=True)
    ]
    if "synthetic phantom" in text.lower():
        notes.append("The header says that this is a synthetic phantom, no real patient.")
    recorded_at = None
    if record.base_date and record.base_time:
        recorded_at = datetime.combine(record.base_date, record.base_time)
    gains = [gain / scale if scale else 0.0 for gain, scale in zip(record.adc_gain, scales, strict=True)]
    return Channels(
        names,
        samples,
        float(record.fs),
        FORMAT,
        notes,
        judged.doubts if judged else [],
        unit_judged=judged is not None and judged.judged,
        counts_per_mv=gains,
        told_used=used,
        recorded_at=recorded_at,
        **facts_in(text),
    )


def facts_in(text: str) -> dict:
    """Age and sex from the comment lines, in the spellings of PTB, LUDB and the PhysioNet challenges."""
    age = re.search(
        r"^#\s*<?age>?\s*:?\s*0*(\d{1,3}(?:\.\d+)?)(?!\d)\s*(?:(y|m|w|d|h)[a-z]*\b)?",
        text,
        re.IGNORECASE | re.MULTILINE,
    )
    sex = re.search(r"^#(?:.*\s)?<?(?:sex|gender)>?\s*:?\s*(male|female|m|f)\b", text, re.IGNORECASE | re.MULTILINE)
    facts: dict[str, float | str] = {}
    if age:
        facts["age_years"] = float(age[1]) / _PER_YEAR[(age[2] or "y").lower()]
    if sex:
        facts["sex"] = "female" if sex[1].lower().startswith("f") else "male"
    return facts
