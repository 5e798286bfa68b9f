"""Ready models with random weights in a workspace, imported from files as their authors wrap them."""

from pathlib import Path

import numpy as np
import torch

from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.intake.weights import ImportedModel, import_model
from echo2ecg_core.models.ready_heads import READY
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.new_rows import NewEcg, NewPatient, NewStudy

WRAPPED_IN = {"echonext": "model", "ecgfounder": "state_dict", "panecho": "weights"}


def published_file(kind: str, path: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    torch.save({WRAPPED_IN[kind]: READY[kind].network().state_dict()}, path)
    return path


def imported(kind: str, place: Workspace, folder: Path) -> ImportedModel:
    return import_model([published_file(kind, folder / f"{kind}.pt")], place)


def ecg(seed: int = 0, **facts) -> EcgRecord:
    """Ten seconds of regular beats at 500 Hz."""
    rng, t = np.random.default_rng(seed), np.arange(5000) / 500
    beat = sum(
        height * np.exp(-(((t % 0.8) - at) ** 2) / (2 * width**2))
        for at, width, height in ((0.18, 0.02, 0.15), (0.35, 0.012, 1.2), (0.38, 0.01, -0.3), (0.6, 0.04, 0.3))
    )
    one, two = beat * 0.8, beat
    limb = np.stack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2])
    chest = beat * np.linspace(0.4, 1.3, 6)[:, None]
    signal = np.concatenate([limb, chest]) + 0.005 * rng.standard_normal((12, 5000))
    return EcgRecord(signal, 500.0, "made", "made.hea", **facts)


def labelled(place: Workspace, n: int, splits=("train", "validation", "test")) -> list[str]:
    """n patients with one ECG (the same signal) and one study each; LVEF and walls by the patient's number."""
    catalog, record, rows = Catalog(place), ecg(), range(n)
    catalog.add_patients(
        [NewPatient(f"P{i:04d}", splits[i % len(splits)], "c", False, "male" if i % 2 else "female") for i in rows]
    )
    lvef = [30.0 if i % 4 == 0 else 60.0 for i in rows]
    catalog.add_studies(
        [NewStudy(f"S{i:04d}", f"P{i:04d}", "2026-01-05", 40 + i % 40, {"lvef": lvef[i]}) for i in rows]
    )
    catalog.add_ecgs([NewEcg(f"E{i:04d}", f"P{i:04d}", record, "2026-01-05") for i in rows])
    return [f"E{i:04d}" for i in rows]
