"""An archive in which a name or a number of a person stands wherever a file can hold one, each another.

`Planter` hands out words (QZN0001X) and numbers (481516230001): what is found again tells by its number where it stood.
Words are put where a hospital's system, a machine or a person writes freely; patient, study and ECG ids are numbers.
"""

import io
import re
import zipfile
from datetime import date, timedelta
from pathlib import Path

import h5py
import nibabel
import numpy as np
import openpyxl
import pydicom
import scipy.io
import torch
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.uid import UID

from echo2ecg_core.ecg.record import LEADS

WORD, NUMBER = "QZN{:04d}X", "48151623{:04d}"
PLANTED = re.compile(rb"qzn\d{4}x|48151623\d{4}", re.IGNORECASE)
TEXTS = {"PN": 64, "LO": 64, "SH": 16, "LT": 500, "ST": 500, "UT": 500, "UC": 64, "AE": 16}
READ = ("PatientID", "AccessionNumber", "SpecificCharacterSet")
XML_NOTES = ("PatientLastName", "PatientFirstName", "Technician", "OverreaderLastName", "LocationName", "Comments")


class Planter:
    """Hands out words and numbers, each once."""

    def __init__(self):
        self.n = 0

    def word(self) -> str:
        self.n += 1
        return WORD.format(self.n)

    def number(self) -> str:
        self.n += 1
        return NUMBER.format(self.n)


def found_in(content: bytes) -> list[str]:
    """What was planted and stands in some bytes, as it is or in the two bytes a letter of UTF-16."""
    return sorted({m.decode() for text in (content, content.replace(b"\0", b"")) for m in PLANTED.findall(text)})


def plant_dicom(dataset: Dataset, planter: Planter, tags: int) -> bytes:
    """A word in so many text tags of the dictionary, in private tags, overlays, sequences; numbers in UIDs."""
    texts = [(tag, facts) for tag, facts in sorted(DicomDictionary.items()) if facts[0] in TEXTS and not facts[3]]
    for tag, (vr, *_, keyword) in texts[:: max(1, len(texts) // tags)][:tags]:
        if keyword not in READ and keyword and tag > 0x00080000 and tag >> 16 not in (0x003A, 0x5400, 0x0040):
            dataset.add_new(tag, vr, planter.word())
    dataset.PatientName, dataset.PatientBirthDate = f"{planter.word()}^{planter.word()}", "19500102"
    dataset.InstitutionName, dataset.OperatorsName = planter.word(), planter.word()
    dataset.Manufacturer, dataset.ManufacturerModelName = planter.word(), planter.word()
    dataset.SeriesDescription = planter.word()
    dataset.OtherPatientIDsSequence = [Dataset(), Dataset()]
    for item in dataset.OtherPatientIDsSequence:
        item.PatientID, item.PatientComments = planter.number(), planter.word()
        item.OtherPatientIDsSequence = [Dataset()]
        item.OtherPatientIDsSequence[0].PatientID = planter.number()
    for block, group in enumerate((0x0009, 0x0011, 0x0029, 0x0051)):
        private = dataset.private_block(group, planter.word(), create=True)
        for element in range(12):
            private.add_new(element, ("LO", "UN", "OB")[element % 3], _as(planter.word(), element % 3))
        private.add_new(0x20 + block, "SQ", [_nested(planter)])
    dataset.add_new(0x60000022, "LO", planter.word())
    dataset.add_new(0x60003000, "OW", planter.word().encode() + b" ")
    dataset.add_new(0xFFFCFFFC, "OB", planter.word().encode() + b" ")
    root = "1.2.826.0.1.{}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = (UID(root.format(planter.number())) for _ in range(2))
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(root.format(planter.number()))
    dataset.file_meta.SourceApplicationEntityTitle = planter.word()
    dataset.preamble = planter.word().encode().ljust(128, b" ")
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset)
    return buffer.getvalue()


def _as(word: str, kind: int) -> str | bytes:
    return word if kind == 0 else word.encode() + b" "


def _nested(planter: Planter) -> Dataset:
    item = Dataset()
    item.PatientComments, item.PatientName = planter.word(), planter.word()
    return item


def plant_hospital(folder: Path, planter: Planter) -> None:
    """A hospital's export: DICOM clips and ECGs, MUSE XML, tables, and files that cannot be read."""
    from echo2ecg_core.phantom.cohort import PhantomCohort
    from echo2ecg_core.phantom.dicom import FictitiousPatient, encode_dicom

    patient = PhantomCohort(2, 7).patient(0)
    study = patient.studies[0]
    place = folder / planter.word() / planter.word()
    place.mkdir(parents=True)
    person = FictitiousPatient.of(study.patient_id, study.heart.sex, study.heart.age_years, study.date)
    number, accession = planter.number(), planter.number()
    for view, burnt_in in (("A4C", True), ("A2C", False)):
        clip = pydicom.dcmread(io.BytesIO(encode_dicom(study.render(view), person, accession, study.date, burnt_in)))
        clip.PatientID, clip.AccessionNumber = number, accession
        (place / f"{planter.word()}_{view}.dcm").write_bytes(plant_dicom(clip, planter, 150))
    ecg = pydicom.dcmread(pydicom.data.get_testdata_file("waveform_ecg.dcm", download=False))
    ecg.PatientID = number
    (place / planter.word()).write_bytes(plant_dicom(ecg, planter, 150))
    (folder / f"{planter.word()}.xml").write_bytes(_muse(patient.ecgs[0], number, planter))
    (folder / planter.word()).write_bytes(b"\0" * 128 + b"DICM" + planter.word().encode() * 3)
    (folder / f"{planter.word()}.hea").write_text(f"{planter.word()} 12 500 5000\n{planter.word()}.dat 16\n")
    (folder / f"{planter.word()}.txt").write_text(f"Letter to {planter.word()}")
    _workbook(folder / f"{planter.word()}.xlsx", number, accession, study.date, planter)


def _muse(ecg, number: str, planter: Planter) -> bytes:
    """MUSE XML with names in its elements, statements, signatures, comments and attributes."""
    from echo2ecg_core.phantom.hospital import encode_muse

    text = re.sub(r"<PatientID>[^<]*", f"<PatientID>{number}", encode_muse(ecg).decode("latin-1"))
    text = re.sub(r"(<Patient(?:Last|First)Name>)[^<]*", lambda m: m[1] + planter.word(), text)
    notes = "".join(f"<{name}>{planter.word()}</{name}>" for name in XML_NOTES)
    lines = ["Electronically signed by Dr. {}", "{}, sinus rhythm", "Confirmed by {}", "Compared with {}", "Normal ECG"]
    statements = "".join(f"<DiagnosisStatement><StmtText>{line.format(planter.word())}</StmtText></DiagnosisStatement>"
                         for line in lines)  # fmt: skip
    more = f"<TestDemographics>{notes}</TestDemographics><Diagnosis>{statements}</Diagnosis><!-- {planter.word()} -->"
    return text.replace("</RestingECG>", f"{more}<Order note='{planter.word()}'/></RestingECG>").encode("latin-1")


def _workbook(path: Path, number: str, accession: str, on: date, planter: Planter) -> None:
    """A workbook of labels with free text, comments, sheets that are no labels, and properties."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = planter.word()
    sheet.append(["Patient", "Accession", "Date", "LVEF", "Remark", planter.word()])
    for day in range(1, 4):
        words = [planter.word(), planter.word()]
        study = accession if day == 1 else planter.number()
        sheet.append([number, study, (on + timedelta(days=day - 1)).isoformat(), 50 + day, *words])
    sheet["D2"].comment = openpyxl.comments.Comment(planter.word(), planter.word())
    for _ in range(3):
        book.create_sheet(planter.word()).append([planter.word()])
    for name in ("creator", "lastModifiedBy", "title", "subject", "description", "keywords", "category"):
        setattr(book.properties, name, planter.word())
    book.save(path)


def plant_ours(folder: Path, planter: Planter) -> None:
    """Our own layout: ECGs in every other format, MP4, MKV and NIfTI clips, tables with free text."""
    wave = _wave()
    (folder / "ecg").mkdir(parents=True)
    patient, study = planter.number(), planter.number()
    rows = []
    for suffix, content in _arrays(wave, planter).items():
        path = folder / "ecg" / f"{planter.word()}{suffix}"
        path.write_bytes(content)
        rows.append((planter.number(), patient, f"ecg/{path.name}", 500, planter.word()))
    header = folder / "ecg" / f"{planter.word()}.hea"
    header.write_text(_wfdb(wave, header.with_suffix(".dat"), planter))
    rows.append((planter.number(), patient, f"ecg/{header.name}", 500, planter.word()))
    rows.append((planter.number(), patient, f"ecg/{planter.word()}.npy", 500, planter.word()))  # is not there
    table = ["ecg_id,patient_id,path,sampling_rate_hz,remark", *(",".join(map(str, row)) for row in rows)]
    (folder / "ecgs.csv").write_text("\n".join(table) + "\n")
    labels = f"patient_id,study_id,study_date,lvef,{planter.word()},physician"
    rows = [(patient, planter.number() if n else study, f"2024-02-0{n + 1}", 50 + n, planter.word(), planter.word())
            for n in range(5)]  # fmt: skip
    (folder / "labels.csv").write_text("\n".join([labels, *(",".join(map(str, row)) for row in rows)]) + "\n")
    clips = folder / "echo" / patient / study
    clips.mkdir(parents=True)
    for n, (format, suffix) in enumerate((("mp4", ".mp4"), ("matroska", ".mkv"), ("mp4", ".mov"))):
        (clips / f"{planter.word()}{suffix}").write_bytes(_film(format, planter, still=n == 2))
    (clips / f"{planter.word()}.nii").write_bytes(_nifti(planter))
    (clips / f"{planter.word()}.mp4").write_bytes(planter.word().encode() * 20)


def _wave() -> np.ndarray:
    """Twelve leads of a beat a second, 10 s at 500 Hz, mV, (12, 5000)."""
    beat = np.exp(-0.5 * ((np.arange(5000) % 500 - 250) / 8.0) ** 2)
    return (np.linspace(0.5, 1.5, 12)[:, None] * beat + 0.01 * np.sin(np.arange(5000) / 30)).astype(np.float32)


def _arrays(wave: np.ndarray, planter: Planter) -> dict[str, bytes]:
    """ECG files by suffix, each with names where its format has room."""
    files, word = {}, planter.word
    buffer = io.BytesIO()
    np.savez(buffer, ecg=wave, fs=500, patient_name=np.array(word()), note=np.array([word(), word()]))
    files[".npz"] = buffer.getvalue()
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", userblock_size=512) as archive:
        archive.create_dataset("tracings", data=wave.T[None])
        archive["tracings"].attrs["operator"] = word()
        archive.attrs.update({"fs": 500, "name": word(), "patient": word(), "comment": word()})
        archive.create_dataset("names", data=[word(), word()], dtype=h5py.string_dtype())
    files[".h5"] = word().encode().ljust(512, b" ") + buffer.getvalue()[512:]
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, {"val": wave, "fs": 500, "patient_name": word(), "comments": [word(), word()]})
    files[".mat"] = buffer.getvalue()
    buffer = io.BytesIO()
    torch.save({"ecg": torch.tensor(wave), "fs": 500, "name": word(), "notes": [word(), {"by": word()}]}, buffer)
    files[".pt"] = buffer.getvalue()
    lines = [f"# Patient: {word()}", f"# Physician: {word()}", ",".join(LEADS)]
    files[".csv"] = "\n".join([*lines, *(",".join(f"{v:.4f}" for v in row) for row in wave.T)]).encode()
    files[".edf"] = _edf(wave, planter)
    return files


def _edf(wave: np.ndarray, planter: Planter) -> bytes:
    """EDF (Kemp et al. 1992): 256 bytes of header and 256 a signal, then 16-bit samples; records of one second."""
    n, seconds, word = len(LEADS), wave.shape[1] // 500, planter.word
    fields = [("0", 8), (f"{planter.number()} F 02-JAN-1950 {word()}", 80), (f"Startdate X {word()} {word()}", 80),
              ("01.02.24", 8), ("10.11.12", 8), (str(256 * (n + 1)), 8), ("", 44), (str(seconds), 8), ("1", 8),
              (str(n), 4)]  # fmt: skip
    per = [[(lead, 16) for lead in LEADS], [(word(), 80) for _ in LEADS], [("mV", 8)] * n, [("-8", 8)] * n,
           [("8", 8)] * n, [("-32768", 8)] * n, [("32767", 8)] * n, [(word(), 80) for _ in LEADS],
           [("500", 8)] * n,
           [(word(), 32) for _ in LEADS]]  # fmt: skip
    header = "".join(text[:size].ljust(size) for text, size in [*fields, *(one for column in per for one in column)])
    steps = np.clip(np.rint(wave * 4096), -32768, 32767).astype("<i2").reshape(n, seconds, 500).transpose(1, 0, 2)
    return header.encode("ascii") + steps.tobytes()


def _wfdb(wave: np.ndarray, data: Path, planter: Planter) -> str:
    """A WFDB header with comments, beside its signal."""
    steps = np.rint(1000 * wave).astype("<i2")
    data.write_bytes(steps.T.tobytes())
    lines = [f"{data.stem} 12 500 {wave.shape[1]} 10:11:12 01/02/2024"]
    lines += [f"{data.name} 16 1000(0)/mV 16 0 {row[0]} 0 0 {lead}" for row, lead in zip(steps, LEADS, strict=True)]
    lines += [f"# Name: {planter.word()}", "# Age: 93", f"# {planter.word()}", f"# Dx: {planter.word()}"]
    return "\n".join(lines) + "\n"


def _film(format: str, planter: Planter, *, still: bool) -> bytes:
    """A film with metadata; one that does not move waits for a person."""
    import av

    from tests.echo.test_deidentify import screen_with_name

    frames, _ = screen_with_name()
    frames = np.repeat(frames[:1], 4, axis=0) if still else frames
    frames = frames[::-1] if format == "matroska" else frames  # else it is the other film again
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=format) as container:
        for key in ("title", "artist", "author", "comment", "description", "copyright", "album", "show"):
            container.metadata[key] = planter.word()
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.metadata["title"] = planter.word()
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def _nifti(planter: Planter) -> bytes:
    from tests.echo.test_deidentify import screen_with_name

    frames, _ = screen_with_name()
    image = nibabel.Nifti1Image(frames[..., 0].transpose(2, 1, 0).copy(), np.eye(4))
    for field in ("descrip", "aux_file", "intent_name"):
        image.header[field] = planter.word().encode()
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", planter.word().encode()))
    return image.to_bytes()


def zipped(folder: Path, planter: Planter) -> bytes:
    """The folder as a zip with comments of its own and of its members, and a member that is nothing."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        root = planter.word()
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            info = zipfile.ZipInfo(f"{root}/{path.relative_to(folder).as_posix()}")
            info.comment = planter.word().encode()
            archive.writestr(info, path.read_bytes())
        archive.writestr(f"{root}/{planter.word()}.pdf", planter.word())
        archive.comment = planter.word().encode()
    return buffer.getvalue()


def plant_device(content: bytes, planter: Planter) -> bytes:
    """A device's file with words in all of its XML's leaves that hold words or nothing, or in an SCP file's texts."""
    if b"SCPECG" in content[:40]:
        place = content.index(b"SCPECG") + 6
        runs = re.compile(rb"[A-Za-z][A-Za-z .,'-]{8,}(?=\0)")
        return content[:place] + runs.sub(lambda m: planter.word().encode().ljust(len(m[0]), b"X"), content[place:])
    text = content.decode("latin-1")
    names = r"name|comment|statement|physician|technician|doctor|operator|interpret|remark|reason|address|location"
    leaf = re.compile(rf"<([\w:]*(?:{names})[\w:]*)([^<>/]*)>([^<>]*)</\1>", re.IGNORECASE)
    text = leaf.sub(lambda m: f"<{m[1]}{m[2]}>{m[3]} {planter.word()}</{m[1]}>", text)
    empty = re.compile(r"<(\w+)></\1>")
    text = empty.sub(lambda m: f"<{m[1]}>{planter.word()}</{m[1]}>", text)
    return text.replace("?>", f"?><!-- {planter.word()} -->", 1).encode("latin-1")
