"""Journey 4: from patients to a registered model (weights, readouts, manifest with what was measured on test patients).

A run is a folder of the workspace: its settings, metrics as they come, a checkpoint to go on from, at last the model.
The same function serves the job of the Training page, the terminal, torchrun and SLURM: all processes train, the first
one writes. A new model is registered, never active.
"""

import json
import logging
import os
import shlex
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.progress import Progress, part, silent
from echo2ecg_core.store.database import Workspace, write_atomically
from echo2ecg_core.store.model_registry import ModelRegistry
from echo2ecg_core.store.paths import prepared_folder, run_folder
from echo2ecg_core.training.data import TrainingData
from echo2ecg_core.training.finish import finish_run, pairs_of
from echo2ecg_core.training.frozen_clip_encoder import chosen_clip_encoder, clip_vectors_of
from echo2ecg_core.training.plan import TIMINGS_FILE, Phases, expected_phases, left_out_words, why_no_readouts
from echo2ecg_core.training.plan import TrainingPlan as TrainingPlan  # what a page asks before it starts a training
from echo2ecg_core.training.plan import plan_training as plan_training
from echo2ecg_core.training.settings import OWN_KEYS, TrainingSettings, training_settings

log = logging.getLogger(__name__)


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
        Echo2ECGError: settings that cannot be or are not those the run began with, too little data, or a loss that is
            no number.
    """
    from echo2ecg_core.training.pretrain import open_fabric, pretrain

    settings = training_settings(parameters.get("preset", "demo"), parameters.get("set"))
    fabric = open_fabric(settings.run.precision)
    number = fabric.broadcast(job_id)
    assert number is not None, "the first process knows the number of the run"
    folder = run_folder(workspace, number)
    _refuse_other_settings(folder, settings)
    phases = expected_phases(workspace, settings.preset, parameters.get("set"))
    prepared, trained = phases.shares
    progress(0.0, f"Preparing the data, about {phases.prepare:.0f} s of {phases.seconds:.0f} s in all")
    with fabric.rank_zero_first():
        began = time.monotonic()
        clip_encoder, settings = _clip_encoder(workspace, settings, folder, part(progress, 0, prepared / 3))
        data = _data(workspace, settings, clip_encoder, part(progress, prepared / 3, prepared))
    seconds_preparing = time.monotonic() - began
    train, validation = (pairs_of(data, split, settings) for split in ("train", "validation"))
    fit = partial(
        pretrain, settings.spec, train, validation, settings.run, fabric=fabric, start_from=_start(workspace, settings)
    )
    if not fabric.is_global_zero:  # goes on from the first process's checkpoint, where there is one
        fit()
        return ""
    name = parameters.get("name") or f"{settings.preset}-{settings.spec.study.pooling}-{folder.name}"
    notes = _notes(data, settings)
    _write_settings(folder, settings, parameters, name, train, notes, phases)
    for note in notes:
        log.warning(note)
        progress(prepared, note)
    with ExitStack() as stack:
        tell = _log(folder, settings, part(progress, prepared, trained), stack)
        network = fit(state_file=folder / "state.pt", log=tell)
    began, command = time.monotonic(), command_of(parameters)
    card, lacks = finish_run(
        workspace, folder, network, clip_encoder, data, settings, name, command, part(progress, trained, 1)
    )
    _write_timings(folder, seconds_preparing, time.monotonic() - began, len(data.ecgs))
    return (
        f"{card.name} {card.model_id} is trained and registered; it is not active until it is prepared and promoted."
        + (f" {lacks}" if lacks else "")
    )


def _refuse_other_settings(folder: Path, settings: TrainingSettings) -> None:
    """A run goes on as it began, or not at all: what a preset means can change from version to version.

    Raises:
        Echo2ECGError: it began with other settings.
    """
    try:
        began = json.loads((folder / "settings.json").read_bytes())
    except FileNotFoundError:
        return
    now = json.loads(json.dumps(_kept(settings)))
    then = began.get("parameters", {}) | {k: began[k] for k in ("within_days", "start_from")} | began.get("data", {})
    other = [f"{key}={value}, now {now[key]}" for key, value in then.items() if key in now and value != now[key]]
    if other:
        raise Echo2ECGError(
            f"{folder.name} began with other settings ({'; '.join(other)}), and a run does not change them on its way.",
            "Begin a new run with those settings. What this one has learnt so far stays in its folder.",
        )


def _kept(settings: TrainingSettings) -> dict:
    """What a run keeps from its beginning to its end."""
    own = {key: getattr(settings, key) for key in OWN_KEYS if key != "clip_encoder"}  # which its folder keeps
    return asdict(settings.run) | own


def _clip_encoder(workspace: Workspace, settings: TrainingSettings, folder: Path, progress: Progress):
    """The frozen clip encoder and the settings with its spec; None for an objective that reads no echo."""
    if settings.run.objective == "masked":
        return None, settings
    return chosen_clip_encoder(workspace, settings, folder, progress)


def _notes(data: TrainingData, settings: TrainingSettings) -> tuple[str, ...]:
    """What there is to know before the first epoch: ECGs that are left out, and that there will be no readouts."""
    spec = settings.spec.ecg_input
    notes = (
        left_out_words(data.left_out, data.left_out + len(data.ecgs), spec.n_samples / spec.sampling_rate_hz),
        why_no_readouts(data.ecgs, data.studies, settings.within_days),
    )
    return tuple(note for note in notes if note)


def _write_timings(folder: Path, preparing_s: float, readouts_s: float, n_ecgs: int) -> None:
    """Seconds an ECG of what is not the epochs, for the next plan; a preparation that was there already tells
    nothing."""
    timings = {"readouts": readouts_s / min(n_ecgs, 20_000)}
    if preparing_s > 0.001 * n_ecgs:
        timings["prepare"] = preparing_s / n_ecgs
    write_atomically(folder / TIMINGS_FILE, json.dumps({k: round(v, 6) for k, v in timings.items()}).encode())


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
    words = [f"--set {shlex.quote(f'{key}={value}')}" for key, value in (parameters.get("set") or {}).items()]
    return " ".join(["python -m echo2ecg_core train --preset", parameters.get("preset", "demo"), *words])


def _data(workspace: Workspace, settings: TrainingSettings, clip_encoder, progress: Progress) -> TrainingData:
    """Everything the run reads: a phantom cohort with whatever is added to it, or the patients of the workspace."""
    if settings.patients:
        until = 0.7 if settings.unlabelled else 1.0
        data = _phantom_cohort(workspace, settings, clip_encoder, part(progress, 0, until))
        return _with_unlabelled(workspace, settings, data, part(progress, until, 1)) if settings.unlabelled else data
    from echo2ecg_core.training.data import workspace_data

    encoder_id = None if settings.run.objective == "masked" else clip_vectors_of(workspace, settings)
    return workspace_data(
        workspace, settings.spec.ecg_input, encoder_id, prepared_folder(workspace), progress, settings.cohort
    )


def _phantom_cohort(workspace: Workspace, settings: TrainingSettings, clip_encoder, progress: Progress) -> TrainingData:
    from echo2ecg_core.training.data import weights_id
    from echo2ecg_core.training.phantom_data import prepare_cohort, with_more_bodies

    of_clips = "ecgs" if clip_encoder is None else weights_id(clip_encoder)
    version = "" if settings.phantom == 1 else f"-version-{settings.phantom}"
    name = f"phantom-{settings.cohort_seed}-{settings.whole_patients}-{of_clips}{version}"
    shards = prepared_folder(workspace) / name
    processes, until = os.cpu_count() or 1, 0.9 if settings.bodies else 1.0
    data = prepare_cohort(
        settings.patients,
        settings.cohort_seed,
        settings.spec.ecg_input,
        shards,
        processes=processes,
        encoder=clip_encoder,
        with_clips=clip_encoder is not None,
        n_whole=settings.whole_patients or None,
        version=settings.phantom,
        progress=part(progress, 0, until),
    )
    if not settings.bodies:
        return data
    return with_more_bodies(
        data,
        settings.patients,
        settings.cohort_seed,
        settings.spec.ecg_input,
        shards,
        n_bodies=settings.bodies,
        version=settings.phantom,
        processes=processes,
        progress=part(progress, until, 1),
    )


def _with_unlabelled(
    workspace: Workspace, settings: TrainingSettings, data: TrainingData, progress: Progress
) -> TrainingData:
    from echo2ecg_core.training.unlabelled import with_unlabelled

    folder = prepared_folder(workspace)
    return with_unlabelled(data, workspace, settings.unlabelled, settings.spec.ecg_input, folder, progress)


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


def _write_settings(
    folder: Path,
    settings: TrainingSettings,
    parameters: Mapping,
    name: str,
    train,
    notes: tuple[str, ...],
    phases: Phases,
) -> None:
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
        "data": {key: getattr(settings, key) for key in OWN_KEYS},
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "pairs": len(train),
        "patients": train.n_patients,
        "notes": list(notes),
        "readouts_s": round(phases.readouts, 1),
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
