"""Whose a file is and when it was made, read from its header alone: DICOM, and the exports of electrocardiographs.

The readers of ECGs and clips leave people out on purpose; an import needs ids to join what belongs together. What is
read here goes into a plan and through `pseudonyms.py`, never into a record. Systems write one id in several character
sets, and not always in the one that the file tells: ids of DICOM are decoded from their bytes, UTF-8 wherever they are
that, so that no person becomes two; what cannot be decoded keeps its bytes apart, so that no two become one.
"""

import io
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from echo2ecg_core.ecg.files import HEAD_BYTES, EcgFile, file_on_disk
from echo2ecg_core.ecg.formats import devices, edf, ishne, mfer, scp, wfdb_records, xml_exports
from echo2ecg_core.echo.dicom import ULTRASOUND_CLASSES, modality_named
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.intake.dates import settle_dates
from echo2ecg_core.intake.decoding import in_processes
from echo2ecg_core.intake.folders import unique_stem
from echo2ecg_core.intake.labels import years_in

FILES_A_PIECE = 256  # read by a process at a time
MAX_XML_BYTES = 16 * 2**20
DICOMDIR_CLASS = "1.2.840.10008.1.3.10"
WAVEFORMS = "1.2.840.10008.5.1.4.1.1.9."
IDS = {"PatientID", "AccessionNumber", "IssuerOfPatientID"}  # free text in any character set
DATED = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")  # the first that is told
NO_PATIENT = re.compile(  # what programs write into the id of everybody
    r"anon(ym\w*)?|unknown|unbekannt|inconnu|none|null|n/?a|no[ _-]?(id|name)|de-?identified|removed|xx+|x( x)+|-+|\?+",
    re.IGNORECASE,
)
_SEXES = {"M": "male", "F": "female", "MALE": "male", "FEMALE": "female"}
WIDE = {"GB18030", "GBK", "GB2312", "shift_jis", "euc_kr", "euc_jp", "iso2022_jp", "iso2022_jp_2"}  # of several bytes
_XML_PARSERS = {"restingecgdata": "SierraXMLParser", "annotatedecg": "HL7aECGParser"}


@dataclass(frozen=True)
class Header:
    """What a header tells.

    Attributes:
        kind: "ecg", "clip", or "" for what is neither; `reason` says then what it is.
        patient_id: As the hospital writes it; "" where the file does not say it.
        ids: Names of the study or ECG, the best first (accession number, UID; the file's name where there is none).
        moment: ISO text; sex, age_years; None where not told.
        is_unique: The first id is given to no other ECG (a UID).
        accession, uid: Of a clip's study, "" where not told.
        born, issuer: Date of birth and who gave the patient's id, compared within an archive and kept nowhere.
        guessed_letters: The patient's id has letters whose character set the file does not tell.
    """

    kind: str
    patient_id: str = ""
    ids: tuple[str, ...] = ()
    moment: str | None = None
    sex: str | None = None
    age_years: float | None = None
    reason: str = ""
    is_unique: bool = False
    accession: str = ""
    uid: str = ""
    born: str = ""
    issuer: str = ""
    guessed_letters: bool = False


def read_headers(paths: Sequence[Path]) -> Iterator[tuple[Path, Header | None]]:
    """Every file with its header, in order; of many files they are read in processes."""
    pieces = [paths[start : start + FILES_A_PIECE] for start in range(0, len(paths), FILES_A_PIECE)]
    for piece, headers in zip(pieces, in_processes(_read_some, pieces, files=next(iter(paths), None)), strict=True):
        yield from zip(piece, headers, strict=True)


def _read_some(paths: Sequence[Path]) -> list[Header | None]:
    return [read_header(path) for path in paths]


def read_header(path: Path) -> Header | None:
    """The header of a file; None for one that is neither DICOM nor an ECG export with a header of its own."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        if head[128:132] == b"DICM" or head[:4] in (b"\x08\x00\x05\x00", b"\x08\x00\x08\x00", b"\x02\x00\x00\x00"):
            return _dicom(path)
        if scp.recognises(head):
            return _device(path, "SCPECGParser", scp.made_decodable)
        if edf.recognises(head):
            return _device(path, "EDFParser", lambda file: edf.made_decodable(file.read(devices.MAX_BINARY_BYTES)))
        if ishne.recognises(head):
            return _device(path, "ISHNEHolterParser")
        if mfer.recognises(head):
            return _device(path, "MFERParser")
        if xml_exports.recognises(head):
            return _xml(path)
        if wfdb_records.recognises(head) and path.suffix.lower() == ".hea":
            return Header("ecg", ids=(unique_stem(path),))
    except OSError as error:
        return Header("", reason=f"It cannot be opened: {error.strerror}.")
    except Echo2ECGError as error:
        return Header("ecg", reason=error.message)
    return None


def _dicom(path: Path) -> Header:
    import warnings

    import pydicom

    tags = ["SOPClassUID", "SOPInstanceUID", "Modality", "PatientID", "PatientSex", "PatientAge", "PatientBirthDate",
            "StudyInstanceUID", "AccessionNumber", "IssuerOfPatientID", "AcquisitionDateTime", *DATED,
            *(day.replace("Date", "Time") for day in DATED)]  # fmt: skip
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom quotes values in its warnings
            ds = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=tags)
            ids = {tag: _id_text(ds, tag) for tag in IDS}
            told = {tag: ids[tag][0] if tag in IDS else str(ds.get(tag, "") or "").strip() for tag in tags}
            media = str(getattr(ds.file_meta, "MediaStorageSOPClassUID", ""))
    except Exception:  # whatever the foreign parser raises on damaged bytes
        return Header("", reason="This DICOM file is damaged: its header cannot be read.")
    if DICOMDIR_CLASS in (media, told["SOPClassUID"]):
        return Header("", reason="It is the table of contents of a DICOM medium; the files themselves are read.")
    is_ecg = told["SOPClassUID"].startswith(WAVEFORMS)
    if not is_ecg and told["SOPClassUID"] not in ULTRASOUND_CLASSES and told["Modality"] not in ("US", "IVUS", ""):
        return Header(
            "", reason=f"It is DICOM of the modality {modality_named(told['Modality'])}, neither ultrasound nor ECG."
        )
    moments = [told[day] + told[day.replace("Date", "Time")] for day in DATED]
    moments.insert(0 if is_ecg else 1, told["AcquisitionDateTime"])
    moment = next((found for text in moments if (found := _moment(text))), None)
    names = ("SOPInstanceUID",) if is_ecg else ("AccessionNumber", "StudyInstanceUID")
    return Header(
        "ecg" if is_ecg else "clip",
        _owner(told["PatientID"]),
        tuple(told[name] for name in names if told[name]),
        moment,
        _SEXES.get(told["PatientSex"].upper()),
        _age(told["PatientAge"], told["PatientBirthDate"], moment),
        is_unique=is_ecg,
        accession="" if is_ecg else told["AccessionNumber"],
        uid="" if is_ecg else told["StudyInstanceUID"],
        born=told["PatientBirthDate"],
        issuer=told["IssuerOfPatientID"],
        guessed_letters=ids["PatientID"][1],
    )


def _id_text(ds, tag: str) -> tuple[str, bool]:
    """An id of a DICOM data set as text in one form (NFC), and whether its character set is a guess."""
    from pydicom.charset import CODES_TO_ENCODINGS, convert_encodings, decode_bytes

    raw = getattr(ds.get_item(tag), "value", None) or b""
    raw = raw.strip(b"\0 ") if isinstance(raw, bytes) else str(raw).encode()
    told = ds.get("SpecificCharacterSet") or ""
    declared = convert_encodings(told)[-1]
    if b"\x1b" in raw:  # the escape tells the set, whatever the file declares
        text, used = decode_bytes(raw, list(CODES_TO_ENCODINGS.values()), set()), declared
    else:
        wide = [declared] if declared in WIDE else []
        text, used = next(found for e in (*wide, "utf-8", declared, "latin-1") if (found := _decoded(raw, e)))
    guessed = not raw.isascii() and used not in (*WIDE, "utf-8") and not (told and used == declared)
    return _one_form(text), guessed


def _decoded(raw: bytes, encoding: str) -> tuple[str, str] | None:
    try:
        return raw.decode(encoding), encoding
    except (UnicodeDecodeError, LookupError):
        return None


def _moment(digits: str) -> str | None:
    """ISO text of a DICOM date and time, also of one with the points and colons of ACR-NEMA."""
    found = re.match(r"(\d{8})(\d{2})?(\d{2})?(\d{2})?", re.sub(r"(?<=\d)[.:](?=\d\d(?!\d{4}))", "", digits))
    if not found:
        return None
    day, hour, minute, second = found.groups()
    text = day if hour is None or minute is None else f"{day}{hour}{minute}{second or '00'}"
    return _iso(text)


def _iso(text: str, order: str | None = None) -> str | None:
    import pandas as pd

    return settle_dates(pd.Series([text]), "header", order).iso.get(0)


def _age(age: str, born: str, moment: str | None) -> float | None:
    if re.fullmatch(r"\d{3}[YMWD]", age):
        return years_in(age)
    try:
        days = (datetime.fromisoformat(moment or "") - datetime.strptime(born, "%Y%m%d")).days
    except ValueError:
        return None
    return float(int(days / 365.25)) if 0 <= days < 130 * 366 else None


def _device(path: Path, parser: str, content: bytes | Callable[[EcgFile], bytes] | None = None) -> Header:
    try:
        file = file_on_disk(path)
        record = devices.parse(file, parser, content(file) if callable(content) else content)
    except Echo2ECGError:
        raise
    except Exception:  # whatever the foreign parser raises on damaged bytes
        return Header("ecg", reason="It begins like an ECG file but is damaged and cannot be read.")
    when = record.recording.date
    return Header(
        "ecg",
        _owner(str(record.patient.patient_id or "")),
        (unique_stem(path),),
        when.replace(tzinfo=None, microsecond=0).isoformat() if when else None,
        _SEXES.get(str(record.patient.sex or "").upper()),
        record.patient.age,
        born=f"{record.patient.birth_date:%Y%m%d}" if record.patient.birth_date else "",
    )


def _xml(path: Path) -> Header | None:
    """The header of an XML export."""
    from xml.etree.ElementTree import ParseError

    from defusedxml.common import DefusedXmlException

    if path.stat().st_size > MAX_XML_BYTES:
        return Header("", reason="It is XML of more than 16 MB, no ECG export.")
    try:
        try:
            with path.open("rb") as file:
                unmarked = file.read(2) in (b"<\0", b"\0<")  # the foreign parsers need UTF-16's mark
            return _xml_header(path, xml_exports.as_text(path.read_bytes()).encode() if unmarked else None)
        except (ParseError, ValueError, LookupError):  # in another encoding than it declares, or a rare one
            return _xml_header(path, xml_exports.as_text(path.read_bytes()).encode())
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return Header("ecg", reason="It begins like XML but is damaged and cannot be read.")


def _xml_header(path: Path, content: bytes | None) -> Header | None:
    """The header of an XML document, which lies at the path or was made readable; MUSE's is read up to the waveforms
    only."""
    from defusedxml.ElementTree import iterparse

    told: dict[str, str] = {}
    root = ""
    for event, element in iterparse(path if content is None else io.BytesIO(content), events=("start", "end")):
        name = element.tag.rpartition("}")[2].lower()
        if event == "start" and not root:
            root = name
            if name in _XML_PARSERS:
                return _device(path, _XML_PARSERS[name], content)
            if name not in ("restingecg", "cardiologyxml"):
                return None
        if event == "end" and element.text and element.text.strip():
            told.setdefault(name, _one_form(element.text))
        if event == "start" and name in ("waveform", "stripdata"):
            break
    return (
        _muse(path, told) if root == "restingecg" else Header("ecg", _owner(told.get("pid", "")), (unique_stem(path),))
    )


def _one_form(text: str) -> str:
    """A text in one normal form (NFC), however a system wrote it."""
    return unicodedata.normalize("NFC", text).strip()


def _owner(text: str) -> str:
    """The id of a patient in one form, "" for what stands for none."""
    id = _one_form(text)
    return "" if NO_PATIENT.fullmatch(id) else id


def _muse(path: Path, told: dict[str, str]) -> Header:
    """MUSE writes dates as MM-DD-YYYY wherever it stands."""
    day, time = told.get("acquisitiondate", ""), told.get("acquisitiontime", "")
    age = told.get("patientage", "")
    years = float(age) if age.isdigit() and told.get("ageunits", "YEARS").upper() == "YEARS" else None
    moment, sex = _iso(f"{day} {time}".strip(), "month first"), _SEXES.get(told.get("gender", "").upper())
    return Header(
        "ecg", _owner(told.get("patientid", "")), (unique_stem(path),), moment, sex, years,
        born=(_iso(told.get("dateofbirth", ""), "month first") or "").replace("-", "")[:8],
    )  # fmt: skip
