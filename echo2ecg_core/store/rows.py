"""Clips and studies as the catalogue gives them out; what goes into it stands in new_rows.py."""

import json
from dataclasses import dataclass

from echo2ecg_core.findings import Findings, read_scores


@dataclass(frozen=True)
class ClipRow:
    """One clip of a study; `fps` frames a second, `spacing_mm` millimetres a pixel, R waves in seconds.

    Of a clip that came in as a vector alone `encoder` tells the clip encoder that made it; it has no frames.
    """

    clip_id: str
    study_id: str
    view: str | None
    view_confidence: float | None
    fps: float
    n_frames: int
    spacing_mm: float | None
    r_wave_times_s: tuple[float, ...]
    format: str
    notes: tuple[str, ...]
    synthetic: bool
    encoder: str | None = None

    @property
    def has_picture(self) -> bool:
        """False where only the vector of the clip is here."""
        return self.encoder is None


@dataclass(frozen=True)
class StudyRow:
    """One echo study with its measured phenotypes (field name -> value in the unit of the phenotype table) and its
    findings."""

    study_id: str
    patient_id: str
    study_date: str | None
    sex: str | None
    age_years: float | None
    split: str
    cohort: str
    synthetic: bool
    phenotypes: dict[str, float]
    findings: Findings


def study_row(row, values) -> StudyRow:
    """The study of a row of studies and patients together, with its rows of phenotypes."""
    return StudyRow(
        row["study_id"],
        row["patient_id"],
        row["study_date"],
        row["sex"],
        row["age_years"],
        row["split"],
        row["cohort"],
        bool(row["synthetic"]),
        {value["name"]: value["value"] for value in values},
        _findings(row),
    )


def clip_row(row) -> ClipRow:
    """The clip of a row of clips, with `synthetic` of its patient."""
    return ClipRow(
        row["clip_id"],
        row["study_id"],
        row["view"],
        row["view_confidence"],
        row["fps"],
        row["n_frames"],
        row["spacing_mm"],
        tuple(json.loads(row["r_wave_times_s"])),
        row["format"],
        tuple(json.loads(row["notes"])),
        bool(row["synthetic"]),
        row["encoder"],
    )


def _findings(row) -> Findings:
    scores, block = row["wall_motion_scores"], row["first_degree_block"]
    return Findings(
        read_scores(scores) if scores else None,
        row["rhythm"],
        row["conduction"],
        None if block is None else bool(block),
    )
