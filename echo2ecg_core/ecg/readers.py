"""Any ECG file to an `EcgRecord`: the format is recognised by content, never by the file's suffix.

`read_ecg` reads one recording, `read_ecgs` everything in an upload. Each format has its own file beside this one;
they import their foreign parsers when used. What a foreign parser raises on damaged bytes becomes a ReadError here.
"""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from echo2ecg_core.ecg.channels import Channels, Told, lead_order_of, named_as_told, twelve_lead_record
from echo2ecg_core.ecg.files import EcgFile, base_name, file_on_disk, files_in_memory, files_in_zip, zip_names
from echo2ecg_core.ecg.formats import dicom as read_dicom
from echo2ecg_core.ecg.formats import edf as read_edf
from echo2ecg_core.ecg.formats import frames as read_frames
from echo2ecg_core.ecg.formats import hdf5 as read_hdf5
from echo2ecg_core.ecg.formats import ishne as read_ishne
from echo2ecg_core.ecg.formats import matlab as read_matlab
from echo2ecg_core.ecg.formats import mfer as read_mfer
from echo2ecg_core.ecg.formats import numpy_files as read_arrays
from echo2ecg_core.ecg.formats import scp as read_scp
from echo2ecg_core.ecg.formats import text_tables as read_tables
from echo2ecg_core.ecg.formats import torch_files as read_torch
from echo2ecg_core.ecg.formats import wfdb_records as read_wfdb
from echo2ecg_core.ecg.formats import xml_exports as read_xml
from echo2ecg_core.ecg.formats.wfdb_segments import read as read_segments
from echo2ecg_core.ecg.reading_process import read_apart
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.ecg.units import needed_factor
from echo2ecg_core.errors import Echo2ECGError, ReadError

MAX_RECORDS = 500
_UNKNOWN = "No parser found"  # of a file that our recognisers know: its header is damaged

# (what the first bytes look like, how such a file is read); text tables come last because any text is one
_READERS: tuple[tuple[Callable[[bytes], bool], Callable[..., Iterator[Channels]]], ...] = (
    (read_dicom.recognises, read_dicom.read),
    (read_arrays.recognises, read_arrays.read_npy),
    (read_hdf5.recognises, partial(read_apart, "arrays")),
    (read_matlab.recognises, read_matlab.read),
    (read_scp.recognises, read_scp.read),
    (read_edf.recognises, read_edf.read),
    (read_ishne.recognises, read_ishne.read),
    (read_mfer.recognises, read_mfer.read),
    (read_xml.recognises, read_xml.read),
    (read_wfdb.recognises, read_segments),
    (read_frames.recognises_arrow, partial(read_apart, "tables")),
    (read_frames.recognises_json, partial(read_apart, "tables")),
    (read_tables.recognises, read_tables.read),
)
_NOT_ECG = {
    b"\x89PNG": "a picture (PNG)", b"\xff\xd8\xff": "a picture (JPEG)", b"GIF8": "a picture (GIF)",
    b"II*\0": "a picture (TIFF)", b"MM\0*": "a picture (TIFF)", b"%PDF": "a PDF document",
    b"\xd0\xcf\x11\xe0": "an old Office document (such as .xls)", b"{\\rtf": "a text document (RTF)",
    b"ANN  1.0": "a list of beats (ISHNE)", b"SQLite format 3": "a database (SQLite)",
    b"\x1f\x8b": "a gzip archive", b"7z\xbc\xaf": "a 7-zip archive", b"Rar!": "a RAR archive",
}  # fmt: skip


def read_ecg(
    source: str | Path | bytes | Mapping[str, bytes],
    name: str | None = None,
    sampling_rate_hz: float | None = None,
    unit: str | None = None,
    lead_order: str | Sequence[str] | None = None,
) -> EcgRecord:
    """The ECG in a file, in bytes, or in files uploaded together; the first one where there are several.

    Args:
        source: Path of a file (of a WFDB record the header or a signal file), the bytes of a file or zip archive, or
            several files by name.
        name: File name of bytes, kept as the record's `source`.
        sampling_rate_hz: Samples a second, for files that do not say it.
        unit: Unit of the values ("mV", "µV", "4.88 µV" for a count), for files that do not say it.
        lead_order: Lead of each column or row ("I,II,III,aVR,aVL,aVF,V1-V6"), for files that do not say it.

    Raises:
        ReadError: If the content is no ECG format that is known, or is damaged.
        SamplingRateNeeded: If the file does not say its sampling rate and none was given.
        SignalError: If leads are missing, or the recording is too short, flat or empty.
    """
    told = _told(sampling_rate_hz, unit, lead_order)
    files = _files(source, name)
    first_error: Echo2ECGError | None = None
    not_read = ""
    candidates = [file for _, file in sorted(_recordings_among(files), key=lambda pair: pair[0])]
    for candidate in candidates:
        try:
            record = next(_records(candidate, told))
        except Echo2ECGError as error:
            first_error, not_read = first_error or error, not_read or f" “{candidate.name}” was not: {error.message}"
            continue
        if len(candidates) > 1:
            note = f"{len(candidates)} files were given; “{candidate.name}” was read.{not_read}"
            record = replace(record, notes=(*record.notes, note))
        return replace(record, source=files[0].name) if len(files) == 1 else record
    raise first_error or ReadError("There is no ECG file among the files given.", "Give an ECG file.")


def read_ecgs(
    files: Mapping[str, bytes],
    sampling_rate_hz: float | None = None,
    unit: str | None = None,
    lead_order: str | Sequence[str] | None = None,
) -> list[EcgRecord | Echo2ECGError]:
    """Every recording in files uploaded together, zips included; a file that cannot be read yields its error.

    Args:
        files: Contents by file name; header and signal files of a WFDB record belong together.
        sampling_rate_hz, unit, lead_order: As in `read_ecg`, for files that do not say it.

    Returns:
        Records and errors in the order of the files, at most `MAX_RECORDS`; an error carries the file's name as
        `error.source`.
    """
    told = _told(sampling_rate_hz, unit, lead_order)
    results: list[EcgRecord | Echo2ECGError] = []
    for group in _unpacked(files_in_memory(files), results):
        for _, candidate in _recordings_among(group):
            try:
                for record in _records(candidate, told):
                    results.append(record)
                    if len(results) >= MAX_RECORDS:
                        return results
            except Echo2ECGError as error:
                results.append(_named(error, candidate))
    return results


def _told(sampling_rate_hz: float | None, unit: str | None, lead_order: str | Sequence[str] | None) -> Told:
    """What the person says, checked before any file is opened."""
    unit = unit.strip() if unit else None
    if unit:
        needed_factor(unit)
    return Told(sampling_rate_hz, unit or None, lead_order_of(lead_order))


def _named(error: Echo2ECGError, file: EcgFile) -> Echo2ECGError:
    error.source = file.name
    return error


def _files(source: str | Path | bytes | Mapping[str, bytes], name: str | None) -> list[EcgFile]:
    """The files behind a source, archives opened."""
    if isinstance(source, Mapping):
        files = files_in_memory(source)
    elif isinstance(source, bytes | bytearray | memoryview):
        files = files_in_memory({base_name(name) if name else "ECG": bytes(source)})
    else:
        files = [file_on_disk(Path(source))]
    return [inner for file in files for inner in (files_in_zip(file) if _is_archive(file) else [file])]


def _unpacked(files: list[EcgFile], errors: list) -> Iterator[list[EcgFile]]:
    """The loose files as one group, then the files of each archive as a group of their own."""
    archives = [file for file in files if _is_archive(file)]
    loose = [file for file in files if file not in archives]
    if loose:
        yield loose
    for archive in archives:
        try:
            yield files_in_zip(archive)
        except ReadError as error:
            errors.append(_named(error, archive))


def _is_archive(file: EcgFile) -> bool:
    """Whether a file is a zip of files; .npz and .pt are zips too, but stand for themselves."""
    return file.head().startswith(b"PK") and _zip_reader(file) is None


def _zip_reader(file: EcgFile) -> Callable[..., Iterator[Channels]] | None:
    """The reader of a file that is a zip inside (.npz, .pt)."""
    names = zip_names(file)
    if read_arrays.recognises_npz(names):
        return partial(read_apart, "arrays")
    return partial(read_apart, "torch") if read_torch.recognises(names) else None


def _recordings_among(files: list[EcgFile]) -> list[tuple[int, EcgFile]]:
    """The files that stand for a recording, in their order, with the rank `_rank` gives them."""
    signals = _signals_of_headers(files) if len(files) > 1 else set()
    ranked = [_rank(file, alone=len(files) == 1) for file in files if (file.path or id(file)) not in signals]
    unique = {file.path or id(file): (rank, file) for rank, file in (pair for pair in ranked if pair is not None)}
    return list(unique.values())


def _signals_of_headers(files: list[EcgFile]) -> set:
    """The signal files of the WFDB headers among some files, whatever they are called."""
    found = set()
    for file in files:
        try:
            names = read_wfdb.signal_names(file) if read_wfdb.recognises(file.head()) else []
        except ReadError:
            continue  # reading it will tell what is wrong
        signals = [signal for name in names if (signal := read_wfdb.beside(file, name)) is not None]
        found |= {signal.path or id(signal) for signal in signals if signal.name != file.name}
    return found


def _rank(file: EcgFile, alone: bool) -> tuple[int, EcgFile] | None:
    """How surely a file is an ECG (0 WFDB, 1 another format, 2 a text table) and the file to read, header for signal.

    Returns None for other companions of a WFDB record, such as annotations.
    """
    try:
        head = file.head()
        if read_wfdb.recognises(head):
            return 0, file
        header = read_wfdb.header_of(file)
        if header is not None and file.name.lower() in map(str.lower, read_wfdb.signal_names(header)):
            return 0, header
    except ReadError:
        return 1, file  # reading it will tell what is wrong
    reader = _reader_of(head)
    if header is not None and reader is None and not alone:
        return None
    return (2 if reader is read_tables.read else 1), file


def _reader_of(head: bytes) -> Callable[..., Iterator[Channels]] | None:
    return next((read for recognises, read in _READERS if recognises(head)), None)


def _records(file: EcgFile, told: Told) -> Iterator[EcgRecord]:
    """The records of one file."""
    for found in _channels_in(file, told):
        channels = named_as_told(found, told.lead_order)
        rate = told.sampling_rate_hz
        if rate is not None and abs(channels.sampling_rate_hz - rate) > 1e-6:
            channels.notes.append(
                f"The file's own sampling rate ({channels.sampling_rate_hz:g} Hz) was used, not the given {rate:g} Hz."
            )
        for given, what, name in ((told.unit, "unit", "unit"), (told.lead_order, "leads", "lead order")):
            if given and what not in channels.told_used:
                channels.notes.append(f"The file's own {name} was used, not the given one.")
        yield twelve_lead_record(channels, file.name)


def _channels_in(file: EcgFile, told: Told) -> Iterator[Channels]:
    """What the reader of a file's format finds, one recording after another."""
    head = file.head()
    _refuse_other_kinds(file, head)
    read = _reader_of(head) or _zip_reader(file)
    if read is None:
        raise ReadError(
            f"“{file.name}” is in no ECG format that is known.",
            "Give DICOM, WFDB (header and signal file together), MUSE, CardioSoft, Philips or HL7 XML, "
            "SCP-ECG, EDF, BDF, ISHNE, MFER, CSV, JSON, Parquet, NumPy, MATLAB, HDF5 or PyTorch.",
        )
    recordings = read(file, told)
    while (channels := read_next(recordings, file.name)) is not None:
        yield channels


def read_next(recordings: Iterator[Channels], file_name: str) -> Channels | None:
    """The next recording of a format's reader, None after the last.

    Args:
        recordings: What the reader of a format yields.
        file_name: For the error.

    Raises:
        ReadError: For whatever a foreign parser raises on damaged content, with that as its cause.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # foreign parsers quote the file's values in their warnings
            return next(recordings, None)
    except Echo2ECGError:
        raise
    except Exception as error:
        if type(error).__name__ == "UnsupportedFormatError" and not str(error).startswith(_UNKNOWN):
            raise ReadError(
                f"“{file_name}” is an ECG in a variant of its format that is not read{_reason(error)}.",
                "Export it in another format or version, without compression.",
            ) from error
        raise ReadError(
            f"“{file_name}” begins like an ECG file but is damaged and cannot be read{_reason(error)}.",
            "Export or copy the file again from its source.",
        ) from error


def _reason(error: Exception) -> str:
    """What a parser of device formats says is wrong, without paths and without values of the file."""
    if not type(error).__module__.startswith("ecgdatakit"):
        return ""  # texts of other parsers quote the file
    if str(error).startswith(_UNKNOWN):
        return ""
    words = re.sub(r"\s*\b(in|of)?\s*/\S+", "", str(error)).split(": could not")[0].strip(" .:")
    words = re.sub(r"\becg\w{8}\b", "it", words)  # the name of the parser's private copy
    words = re.sub(r"(?<!\w)(['\"]).*?\1(?!\w)", "…", words)  # a value of the file
    words = re.sub(r"\b[Ll]ead (?!\d).*?(?= \((?:rhythm|median)\)| has no digits|: \d)", "a lead", words)
    return f" ({words[:120]})" if words else ""


def _refuse_other_kinds(file: EcgFile, head: bytes) -> None:
    """Name what is certainly no ECG by what it is."""
    if not head:
        raise ReadError(f"“{file.name}” is empty.", "Export or copy the file again from its source.")
    for magic, what in _NOT_ECG.items():
        if head.startswith(magic) and not read_dicom.recognises(head):  # a DICOM preamble may look like TIFF
            raise ReadError(
                f"“{file.name}” is {what}, not an ECG recording.",
                "Export the digital ECG (for example DICOM, XML, SCP-ECG, WFDB or CSV).",
            )
    if head.startswith(b"PK") and _is_archive(file):
        raise ReadError(f"“{file.name}” is an archive inside an archive.", "Unpack it and give its ECG files.")
