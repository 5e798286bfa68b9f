"""Readouts of a trained network, and what patients that it never saw say of them."""

from dataclasses import dataclass

import numpy as np

from echo2ecg_core.errors import StoreError
from echo2ecg_core.phenotypes import PHENOTYPES
from echo2ecg_core.progress import Progress, part, silent
from echo2ecg_core.store.splits import PATIENT_SPLITS
from echo2ecg_core.training.data import TrainingData, nearest_pairs, window_batches

MOST = 10000  # ECGs of one split that are embedded, by lot: a readout does not gain from more
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


def fit_and_test(network, data: TrainingData, within_days: float, seed: int, progress: Progress = silent):
    """Readouts fitted on training and calibrated on validation patients, and measured on test patients.

    Returns:
        (Readouts, dict for the manifest): counts, and per phenotype MAE and R² with patient-bootstrap intervals, AUROC
        of LVEF <= 40, the same for a randomly initialised encoder and the median predictor, interval coverage, share
        outside.

    Raises:
        StoreError: a split has too few measured ECGs.
    """
    import torch

    from echo2ecg_core.evaluation.held_out import test_report
    from echo2ecg_core.models.echo2ecg import Echo2ECG

    torch.manual_seed(seed)
    networks = {"": network, " by an untrained encoder, to compare": Echo2ECG(network.spec).eval()}
    own, random = (
        {
            split: labelled_vectors(
                each,
                data,
                split,
                within_days,
                part(progress, (3 * i + j) / 8, (3 * i + j + 1) / 8),
                f"Embedding {split} ECGs{words}",
            )
            for j, split in enumerate(PATIENT_SPLITS)
        }
        for i, (words, each) in enumerate(networks.items())
    )
    progress(6 / 8, "Fitting readouts and measuring test patients")
    names = measured_phenotypes(own)
    readouts, random_readouts = (fitted(vectors, names) for vectors in (own, random))
    labels = {split: {name: own[split].labels[name] for name in names} for split in PATIENT_SPLITS}
    report = test_report(
        readouts, own["test"], random_readouts, random["test"], labels["train"], labels["test"], own["test"].patients
    )
    counts = {
        "labelled_ecgs": len(own["train"].embedding),
        "calibration_ecgs": len(own["validation"].embedding),
        "labelled_patients": int(len(np.unique(own["train"].patients))),
    }
    if "study" in network.spec.parts:
        progress(7 / 8, "Searching test studies with test ECGs")
        report["retrieval"] = tested_retrieval(network, data, within_days)
    return readouts, {"readouts": counts, "test": report}


def tested_retrieval(network, data: TrainingData, within_days: float) -> dict:
    """How test ECGs find studies of test patients, by cosine.

    Returns:
        studies; recall@10 of the paired study; top10_lvef_ratio: mean LVEF difference between a query's own study and
        the ten nearest of other patients, over that of all studies of other patients.
    """
    import torch

    from echo2ecg_core.evaluation.retrieval_both_ways import retrieval_report

    rows = nearest_pairs(data, "test", within_days)
    own = labelled_vectors(network, data, "test", within_days)
    ids, rows_of = list(dict.fromkeys(rows.study_id)), data.clips.groupby("study_id").indices
    with torch.inference_mode():
        ecgs = network.align_ecg(torch.from_numpy(own.embedding)).numpy()
        studies = np.concatenate(
            [
                network.align_study(
                    network.embed_study(torch.from_numpy(data.clip_data[rows_of[i]].astype(np.float32))[None])
                ).numpy()
                for i in ids
            ]
        )
    table = data.studies.set_index("study_id").loc[ids]
    found = retrieval_report(
        ecgs,
        studies,
        list(rows.ecg_id),
        ids,
        list(rows.study_id),
        {"lvef": table.lvef.to_numpy(float)},
        list(table.patient_id),
    )
    return {
        "studies": len(ids),
        "recall@10": round(found["ecg_to_study"]["recall@10"], 4),
        "top10_lvef_ratio": round(found["top10_difference_ratio"].get("lvef", float("nan")), 4),
    }


def labelled_vectors(
    network,
    data: TrainingData,
    split: str,
    within_days: float,
    progress: Progress = silent,
    words: str = "Embedding ECGs",
) -> LabelledVectors:
    """The ECGs of a split (at most `MOST`) with their nearest studies; windows as the network's input spec says."""
    import torch

    from echo2ecg_core.models.readouts import outside_features

    rows = nearest_pairs(data, split, within_days)
    rows = rows.sample(MOST, random_state=0).sort_index() if len(rows) > MOST else rows
    spec = network.spec.ecg_input
    embedding, outside = np.empty((len(rows), network.spec.ecg_encoder.width), np.float32), {}
    with torch.inference_mode():
        for places, windows in window_batches(data, rows.ecg_row.to_numpy(), spec):
            progress(len(outside) / len(rows), f"{words}: {len(outside):,} of {len(rows):,}")
            embedding[places] = network.embed_windows(torch.from_numpy(windows)).numpy()
            outside |= dict(zip(places, outside_features(windows, spec.sampling_rate_hz), strict=True))
    studies = data.studies.iloc[rows.study_row]
    labels = {name: studies[name].to_numpy(float) for name in PHENOTYPES if name in studies}
    return LabelledVectors(
        embedding,
        np.stack([outside[place] for place in range(len(rows))]),
        labels,
        rows.patient_id.astype("category").cat.codes.to_numpy(),
    )


def measured_phenotypes(vectors: dict[str, LabelledVectors]) -> list[str]:
    """Phenotypes that enough ECGs of every split have a value of.

    Raises:
        StoreError: there is none.
    """
    names = [
        name
        for name in vectors["train"].labels
        if all(np.isfinite(vectors[split].labels[name]).sum() >= LEAST[split] for split in PATIENT_SPLITS)
    ]
    if not names:
        raise StoreError(
            "No phenotype is measured in enough patients of every split to fit readouts "
            f"(needed: {', '.join(f'{n} {split} ECGs' for split, n in LEAST.items())}).",
            "Import more labelled studies.",
        )
    return names


def fitted(vectors: dict[str, LabelledVectors], names: list[str]):
    """Readouts of these phenotypes."""
    from echo2ecg_core.models.readouts import Outside, Readouts

    train, validation = vectors["train"], vectors["validation"]
    outside = Outside.fit(train.outside, validation.outside)
    return Readouts.fit(
        *((v.embedding, {name: v.labels[name] for name in names}) for v in (train, validation)), outside
    )
