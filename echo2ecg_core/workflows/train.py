"""Journey 4: from a cohort to a model folder (weights, readouts, manifest with what was measured on test patients).

The demo preset is the published recipe scaled down to two CPU cores: a small clip encoder, frozen; attention pooling over
views; symmetric InfoNCE; an ECG transformer of reduced width and depth. Training patients train, validation patients
choose the epoch and calibrate the intervals, test patients are looked at once, at the end.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from echo2ecg_core.ecg.augment import AugmentationSpec
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.models.specs import PRESETS, ModelSpec
from echo2ecg_core.phenotypes import PHENOTYPES
from echo2ecg_core.training.pairs import PreparedPairs, find_pairs
from echo2ecg_core.training.pretrain import RunParameters
from echo2ecg_core.workflows.active_model import READOUTS_FILE
from echo2ecg_core.workflows.demo import COHORT_PATIENTS, COHORT_SEED, WHOLE_PATIENTS
from echo2ecg_core.workflows.prepare_phantom import PreparedCohort, prepare_cohort

Log = Callable[[str], None]
DEMO_RUN = RunParameters(
    epochs=32, batch_size=64, lr=1e-3, weight_decay=0.05, warmup_epochs=2,
    augmentation=AugmentationSpec(gain_std=0.1, time_flip_probability=0.0, sign_flip_probability=0.0, jitter_strength=0.3),
)
DEMO_SPEC = PRESETS["demo"]


def train_preset(preset: str, out: Path, scratch: Path, *, processes: int = 2, log: Log = print,
                 n_patients: int = COHORT_PATIENTS, seed: int = COHORT_SEED, parameters: RunParameters = DEMO_RUN,
                 spec: ModelSpec = DEMO_SPEC, clip_training=None) -> dict:
    """Train a preset and write its model folder; returns the manifest.

    Args:
        preset: "demo".
        out: Model folder to write.
        scratch: Prepared data and training state; a stopped run goes on from here.
        processes: How many simulate at once.
        log: Told what happens.
        n_patients, seed: The phantom cohort.
        parameters, spec, clip_training: How to train; the defaults make the shipped model.

    Raises:
        Echo2ECGError: no such preset.
    """
    if preset != "demo":
        raise Echo2ECGError(f"There is no training preset {preset!r}; known: demo.", "Use --preset demo.")
    started = time.time()
    data = prepare_cohort(n_patients, seed, spec.ecg_input, scratch / "cohort", n_whole=WHOLE_PATIENTS, processes=processes, log=log)
    log(f"{len(data.ecgs)} ECGs, {len(data.studies)} studies, {len(data.clips)} clips")
    clip_encoder = _clip_encoder(data, scratch, clip_training, log)
    clips = _clip_vectors(clip_encoder, data.pooled)
    pairs = {split: _pairs(data, clips, split) for split in ("train", "validation", "test")}
    model = _pretrained(spec, pairs, parameters, scratch, log)
    readouts, measured = fit_and_test(model, data, pairs, seed=parameters.seed)
    manifest = {
        "name": "demo-multiview", "synthetic": True, "preset": preset, "command": "python -m echo2ecg_core train --preset demo",
        "cohort": {"patients": n_patients, "whole_patients": WHOLE_PATIENTS, "seed": seed, "fingerprint": fingerprint(data)},
        "pairs": {split: len(p.pairs) for split, p in pairs.items()}, "run": asdict(parameters),
        "training_minutes": round((time.time() - started) / 60, 1), **measured,
    }
    return _write(out, model, clip_encoder, spec, readouts, manifest)


def fingerprint(data: PreparedCohort) -> str:
    """sha256 over labels and signals: the data a model was trained on."""
    digest = hashlib.sha256(data.studies.round(4).to_csv(index=False).encode())
    digest.update(np.ascontiguousarray(data.signals[:, :, ::50]).tobytes())
    return digest.hexdigest()


def _clip_encoder(data: PreparedCohort, scratch: Path, clip_training, log: Log):
    """The frozen clip encoder, trained on training patients (or read from an earlier, stopped run)."""
    import torch

    from echo2ecg_core.models.echo_encoder import PhantomVideoNet
    from echo2ecg_core.training.clip_encoder import ClipTraining, train_clip_encoder

    kept = scratch / "clip_encoder.pt"
    network = PhantomVideoNet()
    if kept.exists():
        network.load_state_dict(torch.load(kept, weights_only=True))
        return network.eval()
    study = data.clips.study_id.astype("category").cat.codes.to_numpy().astype(np.int64)
    rows = np.flatnonzero(data.clips.study_id.isin(data.studies.study_id[data.studies.split == "train"]))
    network = train_clip_encoder(data.pooled[rows], data.clips.view.to_numpy()[rows].astype(np.int64), study[rows],
                                 clip_training or ClipTraining(), lambda metrics: log(f"clip encoder {metrics}"))
    torch.save(network.state_dict(), kept)
    return network


def _clip_vectors(network, pooled: np.ndarray) -> np.ndarray:
    import torch

    with torch.inference_mode():
        return np.concatenate([network.from_pooled(torch.from_numpy(pooled[i : i + 64].astype(np.float32))).numpy()
                               for i in range(0, len(pooled), 64)])


def _pairs(data: PreparedCohort, clips: np.ndarray, split: str) -> PreparedPairs:
    table = find_pairs(data.ecgs, data.studies[data.studies.split == split])
    ecg_row = {i: row for row, i in enumerate(data.ecgs.ecg_id)}
    study_row = {i: row for row, i in enumerate(data.studies.study_id)}
    rows_of = data.clips.groupby("study_id").indices
    pairs = np.stack([table.patient_id.astype("category").cat.codes, table.ecg_id.map(ecg_row), table.study_id.map(study_row)], 1)
    return PreparedPairs(data.signals, clips, [rows_of[i] for i in data.studies.study_id], pairs.astype(np.int64))


def _pretrained(spec: ModelSpec, pairs: dict[str, PreparedPairs], parameters: RunParameters, scratch: Path, log: Log):
    from echo2ecg_core.training.pretrain import pretrain

    return pretrain(spec, pairs["train"], pairs["validation"], parameters, state_file=scratch / "pretrain.pt",
                    log=lambda metrics: log(f"pretrain {metrics}"))


def fit_and_test(model, data: PreparedCohort, pairs: dict[str, PreparedPairs], *, seed: int):
    """Readouts fitted on training and calibrated on validation patients, and what test patients say of them.

    Returns:
        (Readouts, dict for the manifest): per phenotype MAE and R² with patient-bootstrap intervals, AUROC of LVEF <= 40, the
        same for a randomly initialised encoder and the median predictor, interval coverage, share flagged as outside.
    """
    import torch

    from echo2ecg_core.evaluation.report import test_report
    from echo2ecg_core.models.echo2ecg import Echo2ECG
    from echo2ecg_core.models.readouts import Outside, Readouts

    vectors, labels = _embedded(model, data, pairs)
    outside = Outside.fit(vectors["train"].outside, vectors["validation"].outside)
    readouts = Readouts.fit((vectors["train"].embedding, labels["train"]), (vectors["validation"].embedding, labels["validation"]), outside)
    torch.manual_seed(seed)
    random_vectors, _ = _embedded(Echo2ECG(model.spec).eval(), data, pairs)
    random_readouts = Readouts.fit((random_vectors["train"].embedding, labels["train"]),
                                   (random_vectors["validation"].embedding, labels["validation"]),
                                   Outside.fit(random_vectors["train"].outside, random_vectors["validation"].outside))
    patients = {split: p.pairs[:, 0] for split, p in pairs.items()}
    report = test_report(readouts, vectors["test"], random_readouts, random_vectors["test"], labels["train"], labels["test"], patients["test"])
    counts = {"labelled_ecgs": len(vectors["train"].embedding), "calibration_ecgs": len(vectors["validation"].embedding),
              "labelled_patients": int(len(np.unique(patients["train"])))}
    return readouts, {"readouts": counts, "test": report}


def _embedded(model, data: PreparedCohort, pairs: dict[str, PreparedPairs]):
    """EcgVectors and phenotype labels of every pair's ECG, by split; windows as the model's input spec says."""
    from echo2ecg_core.workflows.active_model import EcgVectors, ecg_vectors

    n = model.spec.ecg_input.n_samples
    count = data.signals.shape[2] // n if model.spec.ecg_input.windows == "all" else 1
    vectors, labels = {}, {}
    for split, p in pairs.items():
        windows = data.signals[p.pairs[:, 1], :, : count * n].reshape(len(p.pairs), 12, count, n).swapaxes(1, 2)  # (pairs, w, 12, n)
        parts = [ecg_vectors(model, windows[i : i + 32].astype(np.float32)) for i in range(0, len(windows), 32)]
        vectors[split] = EcgVectors(*(np.concatenate([getattr(v, f) for v in parts]) for f in ("embedding", "aligned", "outside")))
        studies = data.studies.iloc[p.pairs[:, 2]]
        labels[split] = {name: studies[name].to_numpy(float) for name in PHENOTYPES if name in studies}
    return vectors, labels


def _write(out: Path, model, clip_encoder, spec: ModelSpec, readouts, manifest: dict) -> dict:
    from safetensors.numpy import save_file

    from echo2ecg_core.models.checkpoint import save_checkpoint

    save_checkpoint(out, {"echo2ecg": model, "clip_encoder": clip_encoder}, spec, manifest, precision="float16")
    save_file(readouts.tensors(), out / READOUTS_FILE)
    return json.loads((out / "manifest.json").read_text())
