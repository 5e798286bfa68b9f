"""Journey 3, first half: a folder of ECGs, echo clips and labels becomes catalog rows and playable clips.

Layout (the phantom command writes the same): `labels.csv` one row a study (patient_id, study_id, study_date, sex,
age_years, split, phenotypes by field name, findings: see label_table.py), `ecgs.csv` one row an ECG (ecg_id,
patient_id, ecg_time, path), clips under `echo/PATIENT/STUDY/`. A patient without a split gets one by hash of the id
(70/15/15). A file that cannot be read is reported and passed over; what is in the catalog already is not read again.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from echo2ecg_core.errors import Echo2ECGError, StoreError
from echo2ecg_core.intake.labels import check_labels, findings_of, phenotypes_of, visit_of
from echo2ecg_core.progress import Progress, silent
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.splits import PATIENT_SPLITS

CLIP_SUFFIXES = {".mp4", ".avi", ".dcm", ".mov", ".gif", ""}


@dataclass
class IngestReport:
    """What an import added, and each file it passed over with the reason in words."""

    ecgs: int = 0
    studies: int = 0
    clips: int = 0
    refused: list[dict] = field(default_factory=list)


def ingest(
    folder: Path,
    workspace: Workspace,
    *,
    cohort: str,
    synthetic: bool = False,
    progress: Progress = silent,
) -> IngestReport:
    """Read an archive into the workspace; ECGs first, so that they can be used while clips still arrive.

    Raises:
        StoreError: labels.csv or ecgs.csv is missing, lacks a column or holds a label that cannot be, or a patient has
            two splits.
    """
    synthetic = synthetic or is_phantom(folder)
    studies, ecgs = read_tables(folder)
    catalog, report = Catalog(workspace), IngestReport()
    _add_patients(catalog, studies, ecgs, cohort, synthetic)
    for row in studies.to_dict("records"):
        catalog.add_study(
            row["study_id"],
            row["patient_id"],
            study_date=row.get("study_date"),
            age_years=visit_of(row)["age_years"],
            phenotypes=phenotypes_of(row),
            findings=findings_of(row),
        )
        report.studies += 1
    ingest_ecgs(folder, ecgs, catalog, report, progress)
    ingest_clips(folder, studies, catalog, report, progress, synthetic=synthetic)
    return report


def read_tables(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """labels.csv (a row a study) and ecgs.csv (a row an ECG) of an archive.

    Raises:
        StoreError: one is missing, no table, lacks a column, or holds a label that cannot be.
    """
    studies = _read_table(folder / "labels.csv", ("patient_id", "study_id"))
    check_labels(studies)
    return studies, _read_table(folder / "ecgs.csv", ("ecg_id", "patient_id", "path"))


def is_phantom(folder: Path) -> bool:
    """True for an archive that the phantom command wrote: it says so in its manifest.json."""
    try:
        return json.loads((folder / "manifest.json").read_text()).get("synthetic") is True
    except (OSError, ValueError, AttributeError):
        return False


def ingest_ecgs(folder: Path, ecgs: pd.DataFrame, catalog: Catalog, report: IngestReport, progress: Progress) -> None:
    """Read the ECG files of the table that the catalog does not hold yet."""
    from echo2ecg_core.ecg.readers import read_ecg

    known = set(catalog.ecgs().ecg_id)
    for done, row in enumerate(ecgs.to_dict("records")):
        if row["ecg_id"] in known:
            continue
        try:
            record = read_ecg(_inside(folder, row["path"]))
            catalog.add_ecg(row["ecg_id"], row["patient_id"], record, ecg_time=row.get("ecg_time"))
            report.ecgs += 1
        except Echo2ECGError as error:
            report.refused.append({"file": row["path"], "reason": str(error)})
        if done % 20 == 0:
            progress(0.2 * done / len(ecgs), f"Reading ECGs: {done} of {len(ecgs)}")


def ingest_clips(
    folder: Path, studies: pd.DataFrame, catalog: Catalog, report: IngestReport, progress: Progress, *, synthetic: bool
) -> None:
    """Read the clips of studies that are not complete in the catalog yet, and keep each as a playable MP4.

    Clips of real patients are de-identified first; one whose sector cannot be found is refused, never stored as it is.
    """
    from echo2ecg_core.echo.deidentify import deidentified
    from echo2ecg_core.echo.readers import read_clip
    from echo2ecg_core.echo.video import encode_mp4

    known = catalog.clips().study_id.value_counts().to_dict()
    for done, row in enumerate(studies.to_dict("records")):
        progress(0.2 + 0.8 * done / len(studies), f"Reading echo studies: {done} of {len(studies)}")
        files = sorted(
            p
            for p in (folder / "echo" / row["patient_id"] / row["study_id"]).glob("*")
            if p.is_file() and p.suffix.lower() in CLIP_SUFFIXES
        )
        if known.get(row["study_id"], 0) >= len(files):
            continue
        for path in files:
            try:
                clip = read_clip(path) if synthetic else deidentified(read_clip(path))
            except Echo2ECGError as error:
                report.refused.append({"file": str(path.relative_to(folder)), "reason": str(error)})
                continue
            playable = path.read_bytes() if synthetic and clip.format == "MP4" else encode_mp4(clip)
            catalog.add_clip(
                row["study_id"],
                playable,
                fps=clip.fps,
                n_frames=clip.n_frames,
                format=clip.format,
                view=clip.view,
                spacing_mm=clip.spacing_mm,
                r_wave_times_s=clip.r_wave_times_s,
                notes=clip.notes,
            )
            report.clips += 1


def _add_patients(catalog: Catalog, studies: pd.DataFrame, ecgs: pd.DataFrame, cohort: str, synthetic: bool) -> None:
    facts = studies.drop_duplicates(["patient_id", *({"split"} & set(studies))])
    for row in facts.to_dict("records"):
        visit = visit_of(row)
        catalog.add_patient(
            row["patient_id"],
            split=visit["split"] or split_of(row["patient_id"]),
            cohort=cohort,
            synthetic=synthetic,
            sex=visit["sex"],
        )
    for patient_id in sorted(set(ecgs.patient_id) - set(studies.patient_id)):
        catalog.add_patient(patient_id, split=split_of(patient_id), cohort=cohort, synthetic=synthetic)


def split_of(patient_id: str) -> str:
    """Split of a patient by hash of the id: 70 % train, 15 % validation, 15 % test, stable for ever."""
    share = int(hashlib.sha256(patient_id.encode()).hexdigest()[:8], 16) / 2**32
    return PATIENT_SPLITS[0] if share < 0.70 else PATIENT_SPLITS[1] if share < 0.85 else PATIENT_SPLITS[2]


def _read_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype={"patient_id": str, "study_id": str, "ecg_id": str, "wall_motion_scores": str})
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{path.name} cannot be read as a table ({type(error).__name__}).",
            f'An archive needs {path.name} with the columns {", ".join(columns)}; see README, "Import".',
        ) from error
    missing = [c for c in columns if c not in table]
    if missing:
        raise StoreError(
            f"{path.name} lacks the column {', '.join(missing)}; found {', '.join(map(str, table.columns))}.",
            'Rename or add the column; see README, "Import".',
        )
    return table


def _inside(folder: Path, relative: str) -> Path:
    """The file a table names, which must lie inside the archive."""
    path = (folder / str(relative)).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise StoreError("ecgs.csv names a file outside the archive.", "Use paths relative to the folder of ecgs.csv.")
    return path
