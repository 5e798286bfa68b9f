"""Readouts for a model that came without: fitted on the labelled training ECGs of the workspace, calibrated on
validation.

Test patients are looked at once, for the R² that decides whether a phenotype is shown at all. Training runs fit their
own; this is for imported weights.
"""

import json

import numpy as np

from echo2ecg_core.errors import StoreError
from echo2ecg_core.phenotypes import PHENOTYPES
from echo2ecg_core.progress import Progress, silent
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace, write_atomically
from echo2ecg_core.store.model_registry import ModelCard
from echo2ecg_core.store.vectors import load_vectors

FEWEST = 60  # labelled ECGs of a split: three calibration categories of twenty
MOST_FOR_DISTANCE = 1500


def fit_readouts(workspace: Workspace, card: ModelCard, progress: Progress = silent) -> dict:
    """Fit, calibrate, test and store the readouts of a model whose ECGs are embedded; returns what the manifest now
    says.

    Raises:
        StoreError: fewer than 60 labelled ECGs of training or of validation patients have vectors.
    """
    from safetensors.numpy import save

    from echo2ecg_core.models.readouts import Readouts
    from echo2ecg_core.store.paths import READOUTS_FILE

    progress(0.0, "Fitting readouts")
    vectors = load_vectors(workspace.vectors, "ecg", card.model_id)
    table = Catalog(workspace).labelled_ecgs()
    table = table[table.ecg_id.isin(vectors.ids)]
    splits = {split: table[table.split == split] for split in ("train", "validation", "test")}
    names = _fittable(splits)
    x = {split: vectors.rows(list(rows.ecg_id)) for split, rows in splits.items()}
    y = {split: {name: rows[name].to_numpy(float) for name in names} for split, rows in splits.items()}
    outside = _outside(workspace, card, splits, progress)
    readouts = Readouts.fit((x["train"], y["train"]), (x["validation"], y["validation"]), outside)
    found = {
        "readouts": {
            "labelled_ecgs": len(x["train"]),
            "calibration_ecgs": len(x["validation"]),
            "labelled_patients": int(splits["train"].patient_id.nunique()),
            "fitted_in": workspace.folder.name,
        },
        "test": {
            "ecgs": len(x["test"]),
            "patients": int(splits["test"].patient_id.nunique()),
            "phenotypes": {name: {"r2": _r2(readouts.predict(name, x["test"]), y["test"][name])} for name in names},
        },
    }
    write_atomically(card.folder / "manifest.json", json.dumps(card.manifest() | found, indent=1).encode())
    write_atomically(card.folder / READOUTS_FILE, save(readouts.tensors()))
    return found


def _fittable(splits: dict) -> list[str]:
    """Phenotypes with enough measured values in training and validation."""
    counts = {split: len(splits[split]) for split in ("train", "validation")}
    names = [
        name
        for name in PHENOTYPES
        if name in splits["train"] and all(splits[split][name].notna().sum() >= FEWEST for split in counts)
    ]
    if not names:
        raise StoreError(
            f"Readouts need at least {FEWEST} labelled ECGs of training and of validation patients; "
            f"this workspace has {counts['train']} and {counts['validation']}.",
            "Import more studies with labels, then prepare again.",
        )
    return names


def _outside(workspace: Workspace, card: ModelCard, splits: dict, progress: Progress):
    """The distance to the training ECGs, from a sample of them prepared again."""
    from echo2ecg_core.answers.loaded_model import load_model
    from echo2ecg_core.models.readouts import Outside, outside_features

    model, catalog, features = load_model(card, with_readouts=False), Catalog(workspace), {}
    for step, split in enumerate(("train", "validation")):
        ids = splits[split].ecg_id.sample(min(len(splits[split]), MOST_FOR_DISTANCE), random_state=7)
        rows = []
        for done, ecg_id in enumerate(ids):
            progress(0.5 * step + 0.5 * done / len(ids), f"Measuring ECGs for the readouts: {done} of {len(ids)}")
            windows = model.prepare(catalog.ecg_record(ecg_id))[None]
            rows.append(outside_features(windows, model.spec.ecg_input.sampling_rate_hz)[0])
        features[split] = np.stack(rows)
    return Outside.fit(features["train"], features["validation"])


def _r2(predicted: np.ndarray, measured: np.ndarray) -> float | None:
    """Share of variance explained on test patients; None with fewer than 20 measured."""
    known = np.isfinite(measured)
    if known.sum() < 20:
        return None
    rest = measured[known] - predicted[known]
    return round(float(1 - (rest**2).sum() / ((measured[known] - measured[known].mean()) ** 2).sum()), 4)
