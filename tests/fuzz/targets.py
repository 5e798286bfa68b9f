"""What takes files of others, each as a name, whole files to begin with, and the call that reads one."""

import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import torch
from safetensors.torch import save

from echo2ecg_core.ecg.record import LEADS
from echo2ecg_core.store.database import Workspace
from tests.ecg import device_files
from tests.intake import test_workbooks
from tests.planted_names import Planter, _arrays, _film, _muse, _nifti, _wave, _wfdb, _workbook, zipped

SUFFIXES = ("dcm", "xml", "edf", "scp", "hlt", "mwf")  # whose headers tell of a person
SAMPLES = 1500  # of an ECG, 3 s at 500 Hz: small files, so that many are read in a second


@dataclass(frozen=True)
class Target:
    """A way in: `seeds` by file name; `call` takes a name and its content and a folder to write in."""

    name: str
    seeds: dict[str, bytes]
    call: Callable[[str, bytes, Path], object]


def targets(folder: Path, samples: Path | None = None) -> list[Target]:
    """All of them; sample files of more formats where they are at hand."""
    ecgs, clips, tables = _ecgs(folder, samples), _clips(), _tables(folder)
    return [
        Target("ECG", ecgs, _read_ecgs),
        Target("echo clip", clips, lambda name, content, place: _read_clip(content, name)),
        Target("header", {k: v for k, v in (ecgs | clips).items() if k[-3:] in SUFFIXES}, _header),
        Target("tables", tables, _preview),
        Target("zip", {"a.zip": _archive(folder)}, _unpack),
        Target("weights", _weights(), _read_weights),
        Target("vectors", _vectors(), _read_vectors),
        Target("mapping", {"map.yaml": b"columns:\n  EF: {field: lvef, unit: '%'}\n  D: {field: study_date}\n"}, _map),
    ]


def _ecgs(folder: Path, samples: Path | None) -> dict[str, bytes]:
    from echo2ecg_core.phantom.cohort import PhantomCohort

    planter, wave = Planter(), _wave()[:, :SAMPLES]
    found = {f"ecg{suffix}": content for suffix, content in _arrays(wave, planter).items()}
    buffer = io.BytesIO()
    np.save(buffer, wave)
    found["wave.npy"] = buffer.getvalue()
    found["muse.xml"] = _muse(PhantomCohort(2, 7).patient(0).ecgs[0], "1", planter)
    found["w.dcm"] = Path(pydicom.data.get_testdata_file("waveform_ecg.dcm", download=False)).read_bytes()
    header = _wfdb(wave, folder / "w.dat", planter)
    found |= {"w.hea": header.encode(), "w.dat": (folder / "w.dat").read_bytes()}
    eight = device_files.heart_uv()[[0, 1, *range(6, 12)], :SAMPLES]
    found |= {"a.hlt": device_files.ishne(eight, [5, 6, *range(11, 17)], announced=SAMPLES)}
    found |= {"a.mwf": device_files.mfer(device_files.mfer_frame(eight)), "a.edf": device_files.edf()}
    frame = pd.DataFrame(device_files.heart_uv()[:, :SAMPLES].T, columns=LEADS)
    found |= {"a.json": frame.to_json(orient="split").encode(), "a.parquet": frame.to_parquet()}
    for kind in ("ge_cardiosoft_xml", "hl7_aecg_xml", "philips_sierra_xml", "scp_ecg", "txt_cinc2011"):
        if samples is not None:
            path = min((samples / "ecg" / kind).iterdir(), key=lambda p: p.stat().st_size)
            found[f"{kind}.{'xml' if 'xml' in kind else 'scp' if 'scp' in kind else 'txt'}"] = path.read_bytes()
    return found


def _clips() -> dict[str, bytes]:
    from echo2ecg_core.echo.clip import EchoClip
    from echo2ecg_core.echo.video import write_lossless

    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (5, 48, 64, 3), dtype=np.uint8)
    plain = pydicom.dcmread(pydicom.data.get_testdata_file("CT_small.dcm", download=False))
    for tag in [one.tag for one in plain if one.tag.is_private or one.tag.group in (0x18, 0x20, 0x40, 0x43)]:
        del plain[tag]  # of a scanner, not of an echo machine
    plain.SOPClassUID, plain.Modality, plain.NumberOfFrames = "1.2.840.10008.5.1.4.1.1.3.1", "US", 5
    plain.Rows, plain.Columns, plain.SamplesPerPixel, plain.PhotometricInterpretation = 48, 64, 3, "RGB"
    plain.PlanarConfiguration, plain.BitsAllocated, plain.BitsStored, plain.HighBit = 0, 8, 8, 7
    plain.PixelRepresentation, plain.PixelData, plain.FrameTime = 0, frames.tobytes(), "33"
    region = pydicom.Dataset()
    region.RegionSpatialFormat, region.PhysicalUnitsXDirection, region.PhysicalUnitsYDirection = 1, 3, 3
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 4, 4
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 60, 44
    region.PhysicalDeltaX, region.PhysicalDeltaY = 0.05, 0.05
    plain.SequenceOfUltrasoundRegions = [region]
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, plain)
    found = {"plain.dcm": buffer.getvalue(), "jpeg.dcm": _jpeg(plain, frames)}
    write_lossless(matroska := io.BytesIO(), frames, 30)
    found |= {
        "a.mkv": matroska.getvalue(),
        "b.nii": _nifti(Planter()),
        "c.mp4": _film("mp4", Planter(), still=True),
    }
    header = "ObjectType = Image\nNDims = 3\nDimSize = 64 48 5\nElementSpacing = 0.5 0.5 1\nElementType = MET_UCHAR\n"
    found["d.mha"] = (header + "ElementDataFile = LOCAL\n").encode() + frames[..., 0].tobytes()
    assert EchoClip
    return found


def _jpeg(plain, frames: np.ndarray) -> bytes:
    from PIL import Image
    from pydicom.encaps import encapsulate

    pictures = []
    for frame in frames:
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "JPEG")
        pictures.append(buffer.getvalue())
    plain.PixelData = encapsulate(pictures)
    plain["PixelData"].VR = "OB"
    plain.PhotometricInterpretation = "YBR_FULL_422"
    plain.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.50"
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, plain)
    return buffer.getvalue()


def _tables(folder: Path) -> dict[str, bytes]:
    from datetime import date

    _workbook(folder / "book.xlsx", "1", "2", date(2024, 1, 2), Planter())
    rows = "\n".join(f"P{n},S{n},2024-01-{n:02d},F,6{n % 10},5{n % 10},0.9,mild,sinus" for n in range(1, 20))
    labels = f"patient_id,study_id,study_date,sex,age_years,lvef,ivsd,mitral_regurgitation,rhythm\n{rows}\n"
    long = "Pat-Nr;Untersuchungsnummer;Untersuchungsdatum;Messwert;Wert;Einheit\n" + "\n".join(
        f"P{n};S{n};{n:02d}.03.2024;EF biplan;{50 + n},5;%" for n in range(1, 20)
    )
    ecgs = "ecg_id,patient_id,ecg_time,path,sampling_rate_hz,unit\nE1,P1,2024-01-01T10:00:00,a.hea,500,mV\n"
    return {"labels.csv": labels.encode(), "long.csv": long.encode("cp1252"), "ecgs.csv": ecgs.encode(),
            "book.xlsx": (folder / "book.xlsx").read_bytes(), "book.xls": test_workbooks.old(test_workbooks.ROWS),
            "book.ods": test_workbooks.opened(test_workbooks.ROWS),
            "gbk.csv": "患者编号,检查号,日期,射血分数\nP1,S1,令和6年1月5日,55\n平均值,,,49\n".encode("gbk"),
            }  # fmt: skip


def _archive(folder: Path) -> bytes:
    inner = folder / "inner"
    (inner / "ecg").mkdir(parents=True)
    (inner / "labels.csv").write_text("patient_id,study_id,lvef\nA,S1,55\n")
    (inner / "ecgs.csv").write_text("ecg_id,patient_id,path\nE1,A,ecg/a.hea\n")
    (inner / "ecg" / "a.hea").write_text("a 12 500 10\n")
    return zipped(inner, Planter())


def _weights() -> dict[str, bytes]:
    state = {f"encoder.{n}.weight": torch.zeros(4, 4) for n in range(5)}
    buffer = io.BytesIO()
    torch.save({"state_dict": state, "epoch": 3}, buffer)
    return {"w.pt": buffer.getvalue(), "w.safetensors": save(state)}


def _vectors() -> dict[str, bytes]:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((3, 8), np.float32))
    return {"v.npy": buffer.getvalue(), "v.ids.txt": b"E1\nE2\nE3\n", "v.ids.csv": b"ecg_id\nE1\nE2\nE3\n",
            "v.json": b'{"parameters": 95000000, "label": "My encoder"}'}  # fmt: skip


def _read_ecgs(name: str, content: bytes, place: Path) -> object:
    from echo2ecg_core.ecg.readers import read_ecg

    beside = {"w.hea": "w.dat", "w.dat": "w.hea"}.get(name)
    upload = {name: content} | ({beside: WHOLE[beside]} if beside else {})
    return read_ecg(upload, sampling_rate_hz=500)


def _read_clip(content: bytes, name: str) -> object:
    from echo2ecg_core.echo.readers import read_clip

    return read_clip(content, name)


def _header(name: str, content: bytes, place: Path) -> object:
    from echo2ecg_core.intake.headers import read_header

    return read_header(_written(place / name, content))


def _preview(name: str, content: bytes, place: Path) -> object:
    from echo2ecg_core.intake.ingest import Options
    from echo2ecg_core.intake.preview import preview

    _written(place / "t" / name, content)
    if name == "ecgs.csv":
        _written(place / "t" / "labels.csv", WHOLE["labels.csv"])
    return preview(place / "t", Workspace(place / "w"), Options())


def _unpack(name: str, content: bytes, place: Path) -> object:
    from echo2ecg_core.intake.archives import unpack

    return unpack(_written(place / name, content), place / "unpacked")


def _read_weights(name: str, content: bytes, place: Path) -> object:
    from echo2ecg_core.intake.weights import import_model

    return import_model([_written(place / name, content)], Workspace(place / "w"))


def _read_vectors(name: str, content: bytes, place: Path) -> object:
    from echo2ecg_core.intake.vectors_of_others import named_files, read_vectors, stated_beside

    for other in ("v.npy", "v.ids.txt", "v.json"):
        _written(place / "v" / other, WHOLE[other])
    if name == "v.ids.csv":
        (place / "v" / "v.ids.txt").unlink()
    _written(place / "v" / name, content)
    stated_beside(place / "v" / "v.npy")
    return named_files([f"mine={place / 'v' / 'v.npy'}"]), read_vectors(place / "v" / "v.npy")


def _map(name: str, content: bytes, place: Path) -> object:
    from echo2ecg_core.intake.mapping import read_mapping

    return read_mapping(_written(place / name, content))


def _written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def emptied(place: Path) -> Path:
    """The folder, made anew."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    return place


WHOLE: dict[str, bytes] = {}  # whole companions of a damaged file, by name; filled by the test
