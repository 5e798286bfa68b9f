"""Readouts of a trained network, and what patients that it never saw say of them."""

from dataclasses import dataclass

import numpy as np

from echo2ecg_core.errors import StoreError
from echo2ecg_core.phenotypes import PHENOTYPES
from echo2ecg_core.workflows.training_data import SPLITS, TrainingData, nearest_pairs

LEAST = {"train": 50, "validation": 20, "test": 10}  # measured ECGs that a phenotype needs


@dataclass(frozen=True, eq=False)
class LabelledVectors:
    """ECGs of one split with a study close in time.

    Attributes:
        embedding: (n, width). outside: (n, f) features of the out-of-distribution measure.
        labels: Phenotype -> measured values (n,), NaN where not measured.
        patients: (n,) numbers.
    """

    embedding: np.ndarray
    outside: np.ndarray
    labels: dict[str, np.ndarray]
    patients: np.ndarray


def fit_and_test(network, data: TrainingData, within_days: float, seed: int):
    """Readouts fitted on training and calibrated on validation patients, and measured on test patients.

    Returns:
        (Readouts, dict for the manifest): counts, and per phenotype MAE and R² with patient-bootstrap intervals, AUROC of
        LVEF <= 40, the same for a randomly initialised encoder and the median predictor, interval coverage, share outside.

    Raises:
        StoreError: a split has too few measured ECGs.
    """
    import torch

    from echo2ecg_core.evaluation.report import test_report
    from echo2ecg_core.models.echo2ecg import Echo2ECG

    own = {split: labelled_vectors(network, data, split, within_days) for split in SPLITS}
    torch.manual_seed(seed)
    random = {split: labelled_vectors(Echo2ECG(network.spec).eval(), data, split, within_days) for split in SPLITS}
    names = measured_phenotypes(own)
    readouts, random_readouts = (fitted(vectors, names) for vectors in (own, random))
    labels = {split: {name: own[split].labels[name] for name in names} for split in SPLITS}
    report = test_report(readouts, own["test"], random_readouts, random["test"], labels["train"], labels["test"], own["test"].patients)
    counts = {"labelled_ecgs": len(own["train"].embedding), "calibration_ecgs": len(own["validation"].embedding),
              "labelled_patients": int(len(np.unique(own["train"].patients)))}
    return readouts, {"readouts": counts, "test": report}


def labelled_vectors(network, data: TrainingData, split: str, within_days: float) -> LabelledVectors:
    """Every ECG of a split with its nearest study; windows as the network's input spec says."""
    import torch

    from echo2ecg_core.models.readouts import outside_features

    rows = nearest_pairs(data, split, within_days)
    spec = network.spec.ecg_input
    count = data.signals.shape[2] // spec.n_samples if spec.windows == "all" else 1
    embedding, outside = [], []
    with torch.inference_mode():
        for start in range(0, len(rows), 32):
            signals = np.asarray(data.signals[rows.ecg_row.to_numpy()[start : start + 32], :, : count * spec.n_samples], np.float32)
            windows = np.ascontiguousarray(signals.reshape(len(signals), 12, count, spec.n_samples).swapaxes(1, 2))  # (b, w, 12, n)
            embedding.append(network.embed_windows(torch.from_numpy(windows)).numpy())
            outside.append(outside_features(windows, spec.sampling_rate_hz))
    studies = data.studies.iloc[rows.study_row]
    labels = {name: studies[name].to_numpy(float) for name in PHENOTYPES if name in studies}
    return LabelledVectors(np.concatenate(embedding), np.concatenate(outside), labels, rows.patient_id.astype("category").cat.codes.to_numpy())


def measured_phenotypes(vectors: dict[str, LabelledVectors]) -> list[str]:
    """Phenotypes that enough ECGs of every split have a value of.

    Raises:
        StoreError: there is none.
    """
    names = [name for name in vectors["train"].labels
             if all(np.isfinite(vectors[split].labels[name]).sum() >= LEAST[split] for split in SPLITS)]
    if not names:
        raise StoreError("No phenotype is measured in enough patients of every split to fit readouts "
                         f"(needed: {', '.join(f'{n} {split} ECGs' for split, n in LEAST.items())}).", "Import more labelled studies.")
    return names


def fitted(vectors: dict[str, LabelledVectors], names: list[str]):
    """Readouts of these phenotypes."""
    from echo2ecg_core.models.readouts import Outside, Readouts

    train, validation = vectors["train"], vectors["validation"]
    outside = Outside.fit(train.outside, validation.outside)
    return Readouts.fit(*((v.embedding, {name: v.labels[name] for name in names}) for v in (train, validation)), outside)
