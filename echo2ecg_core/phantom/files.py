"""The files of a phantom cohort: WFDB records, clips, tables and the manifest, each written whole or not at all.

ECGs are 16 bit, 500 Hz, 1 uV a step. The same cohort gives the same bytes: headers carry the fictitious visit time,
nothing carries the time of writing. View names are a convenience of the archive; the view of an MP4 is for the
classifier to find.
"""

import csv
import io
import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from echo2ecg_core.ecg.record import LEADS
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.findings import SEGMENTS, write_scores

PHANTOM_VERSION = 3  # raised when the same seed gives other hearts, ECGs or clips; tables are written anew by every run
STEPS_PER_MV = 1000.0  # 1 uV a step: 16 bits reach 32 mV
NOT_LATENT = ("wall_motion", "body_seed")


def write_wfdb(ecg, folder: Path) -> Path:
    """One PhantomEcg as `ECG_ID.dat` and `ECG_ID.hea` in `folder`; gives the header's path.

    Written here in WFDB format 16 (WFDB Applications Guide, header(5) and signal(5)) because the wfdb package takes
    forty times as long for a record as its simulation; the tests read the files with that package.
    """
    folder.mkdir(parents=True, exist_ok=True)
    steps = np.clip(np.rint(ecg.signal_mv() * STEPS_PER_MV), -32767, 32767).astype("<i2")  # (12, n)
    checksums = steps.sum(axis=1, dtype=np.int64) % 65536
    lines = [f"{ecg.ecg_id} {len(LEADS)} 500 {steps.shape[1]} {ecg.time:%H:%M:%S %d/%m/%Y}"]
    for lead, samples, checksum in zip(LEADS, steps, checksums, strict=True):
        lines.append(f"{ecg.ecg_id}.dat 16 {STEPS_PER_MV:.0f}(0)/mV 16 0 {samples[0]} {checksum} 0 {lead}")
    lines += [
        f"# Age: {ecg.heart.age_years:.0f}",
        f"# Sex: {ecg.heart.sex.title()}",
        "# synthetic phantom, no real patient",
    ]
    header = folder / f"{ecg.ecg_id}.hea"
    write_whole(header.with_suffix(".dat"), steps.T.tobytes())
    write_whole(header, ("\n".join(lines) + "\n").encode())  # last: where it stands, the record is whole
    return header


def write_patient_ecgs(out: Path, cohort, i: int) -> str:
    """All ECGs of patient i that are not there yet; gives the patient id."""
    patient = cohort.patient(i)
    for ecg in patient.ecgs:
        if not (out / ecg_path(ecg)).exists():
            write_wfdb(ecg, (out / ecg_path(ecg)).parent)
    return patient.patient_id


def ecg_path(ecg) -> Path:
    """Header of an ECG, relative to the cohort's folder."""
    return Path("ecg") / ecg.patient_id / f"{ecg.ecg_id}.hea"


def write_study(out: Path, cohort, i: int, number: int, format: str) -> str:
    """All clips of study `number` of patient i that are not there yet; gives the study id."""
    study = cohort.patient(i).studies[number]
    suffix, encode = CLIP_WRITERS[format]
    folder = out / "echo" / study.patient_id / study.study_id
    folder.mkdir(parents=True, exist_ok=True)
    for clip in study.clips:
        path = folder / f"{clip.name}{suffix}"
        if not path.exists():
            write_whole(path, encode(study, clip))
    return study.study_id


def _mp4(study, clip) -> bytes:
    """An MP4 that does not tell its view, like one from a hospital: the classifier has to name it."""
    from echo2ecg_core.echo.video import encode_mp4

    return encode_mp4(replace(study.render(clip).to_clip(), view=None, view_confidence=None))


def _dicom(study, clip) -> bytes:
    """A DICOM file; every fourth study comes from a machine that burns the (fictitious) patient into the picture."""
    from echo2ecg_core.phantom.dicom import FictitiousPatient, encode_dicom

    patient = FictitiousPatient.of(study.patient_id, study.heart.sex, study.heart.age_years, study.date)
    burnt_in = np.random.default_rng([*study.seed, 98]).random() < 0.25
    return encode_dicom(study.render(clip), patient, study.study_id, study.date, burnt_in)


CLIP_WRITERS = {"mp4": (".mp4", _mp4), "dicom": (".dcm", _dicom)}
FORMATS = (*CLIP_WRITERS, "hospital")  # the last one is written by hospital.py


def claim_folder(out: Path, facts: dict) -> None:
    """Makes the folder and its manifest, or checks that the folder belongs to the same cohort.

    A manifest without "version" is of version 1, one without "clips" has all clips of every study.

    Raises:
        Echo2ECGError: Another cohort lives there, or the format of its clips is unknown.
    """
    if facts["format"] not in FORMATS:
        raise Echo2ECGError(
            f"A phantom cohort cannot be written as {facts['format']!r}; known are {', '.join(FORMATS)}.",
            "Choose one of these.",
        )
    manifest = {"kind": "phantom cohort", "phantom_version": PHANTOM_VERSION, "synthetic": True, **facts}
    path = out / "manifest.json"
    if path.exists():
        try:
            found = json.loads(path.read_text())
        except (ValueError, RecursionError):
            found = {}
        usual = {"version": 1, "clips": None}
        found = usual | found if isinstance(found, dict) else {}
        differing = [key for key, value in (usual | manifest).items() if found.get(key) != value]
        if differing:
            raise Echo2ECGError(
                f"The folder {out.name} holds another cohort: its {', '.join(differing)} differ from what was asked "
                "for.",
                "Choose another folder, or the seed, number of patients and format of the cohort that is there.",
            )
    elif out.exists() and any(out.iterdir()):
        raise Echo2ECGError(
            f"The folder {out.name} is not empty and holds no phantom cohort.", "Choose an empty or new folder."
        )
    out.mkdir(parents=True, exist_ok=True)
    write_whole(path, (json.dumps(manifest, indent=1) + "\n").encode())


def write_tables(out: Path, patients: list) -> None:
    """`labels.csv` (a row a study), `ecgs.csv` (a row an ECG) and `latents.csv` (a row a study: the causes behind the
    labels)."""
    studies = [(patient, study) for patient in patients for study in patient.studies]
    keys = [{"patient_id": p.patient_id, "study_id": s.study_id} for p, s in studies]
    facts = [
        {
            "study_date": s.date.isoformat(),
            "sex": s.heart.sex,
            "age_years": round(s.heart.age_years, 1),
            "split": p.split,
            "synthetic": True,
        }
        for p, s in studies
    ]
    labels = [{name: round(value, 3) for name, value in s.labels().items()} | _findings(s.heart) for _, s in studies]
    _write_csv(out / "labels.csv", [key | fact | label for key, fact, label in zip(keys, facts, labels, strict=True)])
    _write_csv(out / "latents.csv", [key | _latents(s.heart) for key, (_, s) in zip(keys, studies, strict=True)])
    ecgs = [
        {
            "ecg_id": ecg.ecg_id,
            "patient_id": ecg.patient_id,
            "ecg_time": ecg.time.isoformat(),
            "path": ecg_path(ecg).as_posix(),
        }
        for patient in patients
        for ecg in patient.ecgs
    ]
    _write_csv(out / "ecgs.csv", ecgs)


def _findings(heart) -> dict:
    found = heart.findings()
    return {
        "wall_motion_scores": write_scores(found.wall_motion_scores),
        "rhythm": found.rhythm,
        "conduction": found.conduction,
        "first_degree_block": found.first_degree_block,
    }


def _latents(heart) -> dict:
    fields = {name: value for name, value in asdict(heart).items() if name not in NOT_LATENT}
    fields["conditions"] = " ".join(heart.conditions)
    fields |= {f"motion_{name}": value for name, value in zip(SEGMENTS, heart.wall_motion, strict=True)}
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in fields.items()}


def _write_csv(path: Path, rows: list[dict]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue().encode())


def write_whole(path: Path, content: bytes) -> None:
    """Writes beside the target and renames, so that a stopped run leaves no half file under the final name."""
    temporary = path.with_name(f".writing-{path.name}")
    temporary.write_bytes(content)
    os.replace(temporary, path)
