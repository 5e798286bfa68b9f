"""Journey 4: from patients to a registered model (weights, readouts, manifest with what was measured on test patients).

A run is a folder of the workspace: its settings, metrics as they come, a checkpoint to go on from, at last the model.
The same function serves the job of the Training page, the terminal, torchrun and SLURM: all processes train, the first
one writes. A new model is registered, never active.
"""

import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.progress import Progress, part, silent
from echo2ecg_core.store.database import Workspace, write_atomically
from echo2ecg_core.store.model_registry import ModelCard, ModelRegistry
from echo2ecg_core.store.paths import READOUTS_FILE, prepared_folder, run_folder, runs_folder
from echo2ecg_core.training.data import TrainingData, paired
from echo2ecg_core.training.frozen_clip_encoder import chosen_clip_encoder, clip_encoder_card
from echo2ecg_core.training.settings import TrainingSettings, training_settings

PLANNED = 400  # patients of a phantom cohort that a plan looks at
PREPARING, TRAINING = 0.3, 0.95  # shares of a job's progress bar at which these end
REFERENCE_PAIRS_PER_S = {"demo": 110.0, "paper": 12.0}  # two CPU cores, until a run of this machine tells better


@dataclass(frozen=True)
class TrainingPlan:
    """What a training would take: pairs and patients by split, optimiser steps, seconds, bytes on disk, notes in
    words."""

    pairs: int
    patients: int
    validation_pairs: int
    validation_patients: int
    steps: int
    seconds: float
    disk_bytes: int
    notes: tuple[str, ...] = ()


def run_training(
    workspace: Workspace,
    parameters: Mapping,
    progress: Progress = silent,
    *,
    job_id: int | None = None,
) -> str:
    """Train, measure and register a model; a run that was stopped goes on. Returns a closing sentence.

    Args:
        workspace: Whose patients, and where the run lies.
        parameters: {"preset": …, "set": {key: value}, "name": …}, see training_settings.py.
        progress: Told share and message.
        job_id: Number of the run; only the first process has to know it.

    Raises:
        Echo2ECGError: settings that cannot be, too little data, or a loss that is no number.
    """
    from echo2ecg_core.training.pretrain import open_fabric, pretrain

    settings = training_settings(parameters.get("preset", "demo"), parameters.get("set"))
    fabric = open_fabric(settings.run.precision)
    folder = run_folder(workspace, fabric.broadcast(job_id))
    with fabric.rank_zero_first():
        clip_encoder, settings = chosen_clip_encoder(workspace, settings, folder, part(progress, 0, 0.1))
        data = _data(workspace, settings, clip_encoder, folder, part(progress, 0.1, PREPARING))
    train, validation = (paired(data, split, settings.within_days) for split in ("train", "validation"))
    if not fabric.is_global_zero:
        pretrain(settings.spec, train, validation, settings.run, fabric=fabric, start_from=_start(workspace, settings))
        return ""
    name = parameters.get("name") or f"{settings.preset}-{settings.spec.study.pooling}-{folder.name}"
    _write_settings(folder, settings, parameters, name, train)
    with ExitStack() as stack:
        log = _log(folder, settings, part(progress, PREPARING, TRAINING), stack)
        network = pretrain(
            settings.spec,
            train,
            validation,
            settings.run,
            fabric=fabric,
            start_from=_start(workspace, settings),
            state_file=folder / "state.pt",
            log=log,
        )
    progress(TRAINING, "Fitting readouts and measuring test patients")
    card = _finish(workspace, folder, network, clip_encoder, data, settings, name, command_of(parameters))
    return f"{card.name} {card.model_id} is trained and registered; it is not active until it is prepared and promoted."


def training_parameters(preset: str, set_values: list[str], name: str = "") -> dict:
    """What a training job carries, from the terminal's words.

    Raises:
        Echo2ECGError: a word is not key=value, or the settings cannot be.
    """
    wrong = [text for text in set_values if "=" not in text]
    if wrong:
        raise Echo2ECGError(f"--set {wrong[0]!r} is not of the form key=value.", "For example --set epochs=20.")
    overrides = dict(text.split("=", 1) for text in set_values)
    training_settings(preset, overrides)
    return {"preset": preset, "set": overrides} | ({"name": name} if name else {})


def command_of(parameters: Mapping) -> str:
    """The line that trains this again."""
    words = [f"--set {key}={value}" for key, value in (parameters.get("set") or {}).items()]
    return " ".join(["python -m echo2ecg_core train --preset", parameters.get("preset", "demo"), *words])


def plan_training(workspace: Workspace, preset: str, overrides: Mapping | None = None) -> TrainingPlan:
    """What a training would take, told before it starts; quick, without torch.

    Raises:
        Echo2ECGError: settings that cannot be, or nothing to train on.
    """
    settings = training_settings(preset, overrides)
    run = settings.run
    ecgs, studies, each, notes = (
        _phantom_visits(settings) if settings.patients else _workspace_visits(workspace, settings)
    )
    from echo2ecg_core.training.pairs import find_pairs

    counts = {}
    for split in ("train", "validation"):
        table = find_pairs(ecgs, studies[studies.split == split], settings.within_days)
        counts[split] = (round(each * len(table)), round(each * table.patient_id.nunique()))
    n = counts["train"][0] if run.epoch_of == "pairs" else counts["train"][1]
    steps = n // (min(run.batch_size, n) * run.accumulate) * run.epochs
    if steps == 0:
        raise Echo2ECGError(
            f"There are {n} training {run.epoch_of}, fewer than one step needs ({run.batch_size} x {run.accumulate}).",
            "Use a smaller batch or more data.",
        )
    speed, known = _pairs_per_s(workspace, settings)
    seconds = n * run.epochs / speed + (settings.patients * 0.25 if settings.patients else len(ecgs) * 0.004)
    if not known:
        notes += ("The time is that of two CPU cores; the first run on this machine corrects it.",)
    samples = int(10 * settings.spec.ecg_input.sampling_rate_hz)
    return TrainingPlan(
        *counts["train"],
        *counts["validation"],
        steps,
        seconds,
        round(each * (1 + settings.bodies) * len(ecgs)) * 12 * samples * 2 + 60_000_000,
        notes,
    )


def _phantom_visits(settings: TrainingSettings):
    """Visits of patients spread over the phantom cohort, and how many patients each stands for, so that the answer is
    quick."""
    import pandas as pd

    from echo2ecg_core.phantom.cohort import PhantomCohort

    cohort, n_whole = (
        PhantomCohort(settings.patients, settings.cohort_seed),
        settings.whole_patients or settings.patients,
    )
    chosen = np.unique(np.linspace(0, settings.patients - 1, min(settings.patients, PLANNED)).astype(int))
    patients = [(cohort.patient(int(i)), i < n_whole) for i in chosen]
    ecgs = pd.DataFrame(
        [{"ecg_id": e.ecg_id, "patient_id": p.patient_id, "ecg_time": str(e.time)} for p, _ in patients for e in p.ecgs]
    )
    studies = pd.DataFrame(
        [
            {"study_id": s.study_id, "patient_id": s.patient_id, "study_date": str(s.date), "split": p.split}
            for p, whole in patients
            for s in p.studies[: None if whole else 1]
            if whole or p.split == "train"
        ]
    )
    notes = ("Pairs are counted on some of the simulated patients.",) if len(chosen) < settings.patients else ()
    return (
        ecgs,
        studies,
        settings.patients / len(chosen),
        ("The phantom cohort is simulated first, which takes most of a short run.", *notes),
    )


def _workspace_visits(workspace: Workspace, settings: TrainingSettings):
    from echo2ecg_core.store.catalog import Catalog

    catalog = Catalog(workspace)
    ecgs, studies = catalog.ecgs(), catalog.studies()
    if ecgs.empty or studies.empty:
        raise Echo2ECGError(
            f"The workspace has {len(ecgs)} ECGs and {len(studies)} studies; training needs both.",
            "Import an archive first.",
        )
    card = None if settings.clip_encoder == "new" else clip_encoder_card(workspace, settings)
    others = card is not None and not card.active
    return (
        ecgs,
        studies,
        1.0,
        (f"Clips are embedded by the clip encoder of {card.name} {card.model_id}.",) if others else (),
    )


def _pairs_per_s(workspace: Workspace, settings: TrainingSettings) -> tuple[float, bool]:
    """Pairs a second of this workspace's latest run with the same preset, or a reference, and whether it was measured
    here."""
    for metrics in sorted(runs_folder(workspace).glob("run-*/metrics.jsonl"), reverse=True):
        try:
            if json.loads((metrics.parent / "settings.json").read_text())["preset"] == settings.preset:
                return float(json.loads(metrics.read_text().splitlines()[-1])["pairs_per_s"]), True
        except (OSError, ValueError, KeyError, IndexError):
            continue  # a run that was stopped before its first line
    return REFERENCE_PAIRS_PER_S[settings.preset], False


def _data(
    workspace: Workspace, settings: TrainingSettings, clip_encoder, folder: Path, progress: Progress
) -> TrainingData:
    from echo2ecg_core.training.data import weights_id, workspace_data

    if settings.patients:
        from echo2ecg_core.training.phantom_data import prepare_cohort, with_more_bodies

        name = f"phantom-{settings.cohort_seed}-{settings.whole_patients}-{weights_id(clip_encoder)}"
        shards = prepared_folder(workspace) / name
        of_cohort = {
            "n_patients": settings.patients,
            "seed": settings.cohort_seed,
            "spec": settings.spec.ecg_input,
            "folder": shards,
            "processes": os.cpu_count() or 1,
        }
        data = prepare_cohort(
            **of_cohort, encoder=clip_encoder, n_whole=settings.whole_patients or None, progress=part(progress, 0, 0.9)
        )
        return (
            with_more_bodies(data, **of_cohort, n_bodies=settings.bodies, progress=part(progress, 0.9, 1))
            if settings.bodies
            else data
        )
    encoder_id = clip_encoder_card(workspace, settings).manifest()["weights"]["clip_encoder"]["sha256"][:8]
    return workspace_data(workspace, settings.spec.ecg_input, encoder_id, prepared_folder(workspace), progress)


def _start(workspace: Workspace, settings: TrainingSettings):
    """Weights to start from, or None for random ones: the ECG encoder, and whatever else the model has in the same
    sizes.

    Raises:
        Echo2ECGError: the model to start from has another ECG encoder.
    """
    if settings.start_from == "random":
        return None
    from echo2ecg_core.models.checkpoint import load_checkpoint
    from echo2ecg_core.models.echo2ecg import Echo2ECG

    card = ModelRegistry(workspace).get(settings.start_from)
    checkpoint = load_checkpoint(card.folder)
    sizes = ("width", "depth", "heads", "mlp_ratio", "patch", "n_samples")
    if checkpoint.echo2ecg is None or any(
        getattr(checkpoint.spec.ecg_encoder, s) != getattr(settings.spec.ecg_encoder, s) for s in sizes
    ):
        raise Echo2ECGError(
            f"The ECG encoder of {card.name} has other sizes than the preset {settings.preset}.",
            "Start from a model of the same size, or from random.",
        )
    wanted = {key: value.shape for key, value in Echo2ECG(settings.spec).state_dict().items()}
    return {key: value for key, value in checkpoint.echo2ecg.state_dict().items() if wanted.get(key) == value.shape}


def _write_settings(folder: Path, settings: TrainingSettings, parameters: Mapping, name: str, train) -> None:
    """What the run is, for pages; written once, a resumed run keeps its beginning."""
    if (folder / "settings.json").exists():
        return
    content = {
        "run": folder.name,
        "preset": settings.preset,
        "set": dict(parameters.get("set") or {}),
        "name": name,
        "parameters": asdict(settings.run),
        "spec": settings.spec.to_dict(),
        "within_days": settings.within_days,
        "start_from": settings.start_from,
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "pairs": len(train),
        "patients": train.n_patients,
    }
    write_atomically(folder / "settings.json", json.dumps(content, indent=1).encode())


def _log(folder: Path, settings: TrainingSettings, progress: Progress, stack: ExitStack):
    """log(metrics): one JSON line, TensorBoard, and the progress bar."""
    from tensorboardX import SummaryWriter

    file = stack.enter_context((folder / "metrics.jsonl").open("a", encoding="utf-8"))
    board = stack.enter_context(SummaryWriter(str(folder / "tensorboard")))

    def log(metrics: dict) -> None:
        entry = {
            "kind": metrics["kind"],
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            **{k: _rounded(v) for k, v in metrics.items() if k != "kind"},
        }
        file.write(json.dumps(entry) + "\n")
        file.flush()
        for key, value in metrics.items():
            if isinstance(value, float) and key != "epoch":
                board.add_scalar(f"{metrics['kind']}/{key}", value, metrics["step"])
        board.flush()
        done = metrics["progress"] if metrics["kind"] == "step" else metrics["epoch"] / settings.run.epochs
        progress(
            done,
            f"Epoch {int(np.ceil(metrics['epoch']))} of {settings.run.epochs} · loss {metrics['loss']:.3f} · "
            f"{metrics['pairs_per_s']:.0f} pairs/s",
        )

    return log


def _rounded(value):
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _finish(
    workspace: Workspace,
    folder: Path,
    network,
    clip_encoder,
    data: TrainingData,
    settings: TrainingSettings,
    name: str,
    command: str,
) -> ModelCard:
    """Readouts, what they are worth, the model folder; registered, not active."""
    from safetensors.numpy import save_file

    from echo2ecg_core.models.checkpoint import save_checkpoint
    from echo2ecg_core.models.echo2ecg import Echo2ECG
    from echo2ecg_core.training.readouts import fit_and_test

    readouts, measured = fit_and_test(network, data, settings.within_days, settings.run.seed)
    if settings.run.objective == "masked":  # nothing but the ECG encoder was trained
        kept = Echo2ECG(replace(settings.spec, parts=("ecg",))).eval()
        kept.load_state_dict({k: v for k, v in network.state_dict().items() if k in kept.state_dict()})
        network = kept
    splits = data.studies.groupby("split").patient_id.nunique().to_dict()
    manifest = {
        "name": name,
        "synthetic": bool(settings.patients) or _is_synthetic(workspace),
        "preset": settings.preset,
        "command": command,
        "cohort": {
            "patients": splits,
            "seed": settings.cohort_seed,
            "simulated": settings.patients,
            "whole": settings.whole_patients,
            "fingerprint": data.fingerprint(),
        },
        "pairs": {split: len(paired(data, split, settings.within_days)) for split in ("train", "validation", "test")},
        "run": asdict(settings.run),
        "within_days": settings.within_days,
        "start_from": settings.start_from,
        **({} if settings.start_from == "random" else {"started_from": _origin(workspace, settings.start_from)}),
        "clip_encoder": settings.clip_encoder,
        "training_minutes": _minutes(folder),
        **measured,
    }
    save_checkpoint(
        folder / "model",
        {"echo2ecg": network, "clip_encoder": clip_encoder},
        network.spec,
        manifest,
        precision="float16",
    )
    save_file(readouts.tensors(), folder / "model" / READOUTS_FILE)
    return ModelRegistry(workspace).register(folder / "model")


def _origin(workspace: Workspace, model_id: str) -> dict:
    """How the model that a run started from came about, as far as its own manifest tells."""
    manifest = ModelRegistry(workspace).get(model_id).manifest()
    return {
        key: manifest[key]
        for key in ("name", "sha256", "command", "run", "training_minutes", "started_from")
        if key in manifest
    }


def _is_synthetic(workspace: Workspace) -> bool:
    from echo2ecg_core.store.catalog import Catalog

    return bool(Catalog(workspace).studies().synthetic.any())


def _minutes(folder: Path) -> float:
    """Minutes that the epochs of a run took, over all its beginnings."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return round(sum({m["epoch"]: m["seconds"] for m in lines if m["kind"] == "epoch"}.values()) / 60, 1)
