"""A workspace of labelled simulated ECGs and the weights of an ECG encoder without an echo side, as they are released.

The encoder is small and random; its file has the published layout and comes in by the same import as anyone's.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.echo.video import encode_mp4
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.new_rows import NewEcg, NewPatient, NewStudy

PATIENTS = {"train": 62, "validation": 60, "test": 24}
SECONDS = 5.1
FILMED = "S-0000"  # the only study with a clip


def released_file(path: Path, *, aligned: bool = False, seed: int = 0) -> Path:
    """A weight file with an ECG encoder and its token pooling, and where asked the alignment of ECGs; never an echo
    side."""
    import torch

    from echo2ecg_core.models.echo2ecg import Echo2ECG
    from echo2ecg_core.models.published import published_echo2ecg
    from echo2ecg_core.models.specs import EcgEncoderSpec, ModelSpec

    torch.manual_seed(seed)
    parts = ("ecg", "ecg_alignment") if aligned else ("ecg",)
    state = published_echo2ecg(Echo2ECG(ModelSpec(ecg_encoder=EcgEncoderSpec(depth=1), parts=parts)))
    file = {}
    for key, value in state.items():
        name, _, rest = key.partition(".")
        file.setdefault(name, {})[rest] = value
    torch.save(file, path)
    return path


def labelled_workspace(folder: Path) -> Workspace:
    """Patients of three splits, each with one ECG and one measured study; the first study has one clip."""
    from echo2ecg_core.phantom.ecg import simulate_ecg
    from echo2ecg_core.phantom.echo import render_clip
    from echo2ecg_core.phantom.heart import draw_heart

    workspace = Workspace(folder)
    catalog = Catalog(workspace)
    splits = [split for split, count in PATIENTS.items() for _ in range(count)]
    patients, studies, ecgs = [], [], []
    for i, split in enumerate(splits):
        rng = np.random.default_rng(700 + i)
        heart, sex = draw_heart(rng), "female" if i % 2 else "male"
        patients.append(NewPatient(f"P-{i:04d}", split, "labelled", True, sex))
        studies.append(NewStudy(f"S-{i:04d}", f"P-{i:04d}", "2026-01-05", 40 + i % 40, heart.labels()))
        record = EcgRecord(simulate_ecg(heart, rng)[:, : int(500 * SECONDS)], 500.0, "CSV", f"E-{i:04d}", sex=sex)
        ecgs.append(NewEcg(f"E-{i:04d}", f"P-{i:04d}", record, "2026-01-05"))
        if f"S-{i:04d}" == FILMED:
            clip = dataclasses.replace(render_clip(heart, "A4C", rng).to_clip(), view_confidence=0.9)
    catalog.add_patients(patients)
    catalog.add_studies(studies)
    catalog.add_ecgs(ecgs)
    catalog.add_clip(
        FILMED,
        encode_mp4(clip),
        fps=clip.fps,
        n_frames=clip.n_frames,
        format=clip.format,
        view=clip.view,
        view_confidence=clip.view_confidence,
        r_wave_times_s=clip.r_wave_times_s,
    )
    return workspace


def active_workspace(folder: Path) -> Workspace:
    """The labelled workspace with the encoder imported, prepared and promoted; UMAP is replaced by the first two
    coordinates."""
    from echo2ecg_core.answers import map_drawing
    from echo2ecg_core.intake.weights import import_model
    from echo2ecg_core.training.prepare import prepare_model
    from echo2ecg_core.training.promote import promote

    workspace = labelled_workspace(folder / "workspace")
    card = import_model([released_file(folder / "release.pt")], workspace).card
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            map_drawing, "_umap", lambda vectors, start, dimensions: vectors[:, :dimensions].astype(np.float32)
        )
        prepare_model(workspace, card.model_id)
    promote(workspace, card.model_id)
    return workspace
