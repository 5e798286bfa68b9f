"""The end of a training: readouts where there are labels enough, the model's folder, its manifest; registered, not
active.

Weights that took hours are never lost for want of labels: the model is kept, and says what it lacks.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

from echo2ecg_core.errors import StoreError
from echo2ecg_core.progress import Progress, part, silent
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace, write_atomically
from echo2ecg_core.store.model_registry import ModelCard, ModelRegistry
from echo2ecg_core.store.paths import READOUTS_FILE
from echo2ecg_core.store.splits import PATIENT_SPLITS
from echo2ecg_core.training.data import TrainingData, alone, paired
from echo2ecg_core.training.pairs import PreparedPairs
from echo2ecg_core.training.plan import why_no_readouts
from echo2ecg_core.training.settings import TrainingSettings


def pairs_of(data: TrainingData, split: str, settings: TrainingSettings) -> PreparedPairs:
    """What a training reads of one split: ECGs with studies, or ECGs alone where its objective reads no echo.

    Raises:
        StoreError: there is nothing.
    """
    return alone(data, split) if settings.run.objective == "masked" else paired(data, split, settings.within_days)


def finish_run(
    workspace: Workspace,
    folder: Path,
    network,
    clip_encoder,
    data: TrainingData,
    settings: TrainingSettings,
    name: str,
    command: str,
    progress: Progress = silent,
) -> tuple[ModelCard, str]:
    """Readouts, what they are worth, the model folder; registered, not active. Where no readout can be fitted the model
    is kept all the same; gives its card, and why it has no readouts ("" where it has)."""
    from echo2ecg_core.models.checkpoint import save_checkpoint

    network = _kept(network, settings)
    readouts, measured, lacks = _readouts(network, data, settings, part(progress, 0, 0.95))
    progress(0.95, "Registering the model")
    reads_vectors = clip_encoder is None and settings.run.objective != "masked"
    manifest = _manifest(workspace, folder, data, settings, name, command, reads_vectors) | measured
    networks = {"echo2ecg": network} | ({} if clip_encoder is None else {"clip_encoder": clip_encoder})
    save_checkpoint(folder / "model", networks, network.spec, manifest, precision="float16")
    if readouts is not None:
        from safetensors.numpy import save

        write_atomically(folder / "model" / READOUTS_FILE, save(readouts.tensors()))
    return ModelRegistry(workspace).register(folder / "model"), lacks


def _kept(network, settings: TrainingSettings):
    """What of the network is kept: of a masked training the ECG encoder, since nothing else was trained."""
    from echo2ecg_core.models.echo2ecg import Echo2ECG

    if settings.run.objective != "masked":
        return network
    kept = Echo2ECG(replace(settings.spec, parts=("ecg",))).eval()
    kept.load_state_dict({k: v for k, v in network.state_dict().items() if k in kept.state_dict()})
    return kept


def _readouts(network, data: TrainingData, settings: TrainingSettings, progress: Progress):
    """Readouts, what the manifest says of them, and why there are none ("" where there are)."""
    from echo2ecg_core.training.readouts import fit_and_test

    if why := why_no_readouts(data.ecgs, data.studies, settings.within_days):
        return None, {}, why
    try:
        readouts, measured = fit_and_test(network, data, settings.within_days, settings.run.seed, progress)
    except StoreError as error:  # hours of training are not lost for want of labels
        return None, {}, f"It has no readouts: {error.message}"
    if data.read_at:
        measured["readouts"]["labels_as_of"] = data.read_at
    return readouts, measured, ""


def _manifest(
    workspace: Workspace,
    folder: Path,
    data: TrainingData,
    settings: TrainingSettings,
    name: str,
    command: str,
    reads_vectors: bool,
) -> dict:
    """How the model came about; `reads_vectors` where its clip encoder is known by its vectors alone."""
    people = data.ecgs if settings.run.objective == "masked" else data.studies
    splits = people.groupby("split").patient_id.nunique().to_dict()
    return {
        "name": name,
        "synthetic": bool(settings.patients) or _is_synthetic(workspace),
        "preset": settings.preset,
        "command": command,
        "cohort": {
            "patients": splits,
            "seed": settings.cohort_seed,
            "phantom": settings.phantom,
            "simulated": settings.patients,
            "whole": settings.whole_patients,
            "name": settings.cohort,
            "fingerprint": data.fingerprint(),
        },
        "pairs": {split: _n_pairs(data, split, settings) for split in PATIENT_SPLITS},
        "run": asdict(settings.run),
        "within_days": settings.within_days,
        "start_from": settings.start_from,
        **({"unlabelled": settings.unlabelled} if settings.unlabelled else {}),
        **({} if settings.start_from == "random" else {"started_from": _origin(workspace, settings.start_from)}),
        "clip_encoder": None if settings.run.objective == "masked" else settings.clip_encoder,
        **({"clip_vectors": settings.clip_encoder} if reads_vectors else {}),
        "training_minutes": _minutes(folder),
    }


def _n_pairs(data: TrainingData, split: str, settings: TrainingSettings) -> int:
    """Pairs of a split (ECGs, where no echo is read); 0 where there are none."""
    try:
        return len(pairs_of(data, split, settings))
    except StoreError:
        return 0


def _origin(workspace: Workspace, model_id: str) -> dict:
    """How the model that a run started from came about, as far as its own manifest tells."""
    manifest = ModelRegistry(workspace).get(model_id).manifest()
    return {
        key: manifest[key]
        for key in ("name", "sha256", "command", "run", "training_minutes", "started_from")
        if key in manifest
    }


def _is_synthetic(workspace: Workspace) -> bool:
    catalog = Catalog(workspace)
    return bool(catalog.studies().synthetic.any() or catalog.ecgs().synthetic.any())


def _minutes(folder: Path) -> float:
    """Minutes that the epochs of a run took, over all its beginnings."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return round(sum({m["epoch"]: m["seconds"] for m in lines if m["kind"] == "epoch"}.values()) / 60, 1)
