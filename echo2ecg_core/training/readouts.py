"""The one fitter of readouts: of a network just trained, and of imported weights in a workspace.

Fitted on training, calibrated on validation and measured on test patients, whom nothing else ever sees: what they say
stands in the manifest and decides whether a phenotype is shown (`answers/predict.py`).
"""

import json
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from echo2ecg_core.errors import StoreError
from echo2ecg_core.models.readouts import LabelledVectors, Readouts
from echo2ecg_core.phenotypes import PHENOTYPES
from echo2ecg_core.progress import Progress, part, silent
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace, write_atomically
from echo2ecg_core.store.model_registry import ModelCard
from echo2ecg_core.store.splits import PATIENT_SPLITS
from echo2ecg_core.store.vectors import load_vectors
from echo2ecg_core.training.data import TrainingData, nearest_pairs, window_batches

MOST = 10000  # ECGs of one split, by lot: a readout does not gain from more
MOST_FOR_DISTANCE = 1500  # ECGs of a split that are prepared again to measure the distance to the training data
LEAST = {"train": 50, "validation": 1, "test": 10}  # measured ECGs that a phenotype needs; few give no interval


def fit_and_measure(
    vectors: dict[str, LabelledVectors], random: dict[str, LabelledVectors] | None = None
) -> tuple[Readouts, dict]:
    """Readouts fitted on training and calibrated on validation patients, and measured on test patients.

    Args:
        vectors: Split -> ECGs embedded by the model.
        random: The same ECGs embedded by a randomly initialised encoder; None leaves that comparison out.

    Returns:
        (Readouts, dict for the manifest): counts, and per phenotype MAE and R² with patient-bootstrap intervals, AUROC
        of LVEF <= 40 and of moderate valve disease, the same of the random encoder and the median, what the intervals
        held of all and of the diseased, share outside.

    Raises:
        StoreError: no phenotype is measured in enough ECGs of every split.
    """
    from echo2ecg_core.evaluation.held_out import test_report

    names = measured_phenotypes(vectors)
    readouts = _fitted(vectors, names)
    beside = None if random is None else (_fitted(random, names), random["test"])
    report = test_report(readouts, vectors["test"], vectors["train"].labels, beside)
    counts = {
        "labelled_ecgs": len(vectors["train"].embedding),
        "calibration_ecgs": len(vectors["validation"].embedding),
        "labelled_patients": int(len(np.unique(vectors["train"].patients))),
        "calibration_patients": int(len(np.unique(vectors["validation"].patients))),
    }
    return readouts, {"readouts": counts, "test": report}


def measured_phenotypes(vectors: dict[str, LabelledVectors]) -> list[str]:
    """Phenotypes that enough ECGs of every split have a value of.

    Raises:
        StoreError: there is none.
    """
    count = {
        name: {s: int(np.isfinite(vectors[s].labels[name]).sum()) for s in PATIENT_SPLITS if name in vectors[s].labels}
        for name in vectors["train"].labels
    }
    names = [name for name, n in count.items() if all(n.get(s, 0) >= LEAST[s] for s in PATIENT_SPLITS)]
    if not names:
        there = {s: max((n.get(s, 0) for n in count.values()), default=0) for s in PATIENT_SPLITS}
        raise StoreError(
            "No phenotype is measured in enough ECGs of every split to fit readouts: needed are "
            f"{', '.join(f'{n} {split} ECGs' for split, n in LEAST.items())}; there are "
            f"{', '.join(f'{n} {split} ECGs' for split, n in there.items())}.",
            "Import more labelled studies, then prepare or train again.",
        )
    return names


def _fitted(vectors: dict[str, LabelledVectors], names: list[str]) -> Readouts:
    """Readouts of these phenotypes."""
    train, calibration = (_with_labels(vectors[split], names) for split in ("train", "validation"))
    return Readouts.fit(train, calibration)


def _with_labels(vectors: LabelledVectors, names: list[str]) -> LabelledVectors:
    labels = {name: np.asarray(vectors.labels[name], float) for name in names}
    return LabelledVectors(vectors.embedding, vectors.outside, labels, vectors.patients)


def fit_and_test(
    network, data: TrainingData, within_days: float, seed: int, progress: Progress = silent
) -> tuple[Readouts, dict]:
    """`fit_and_measure` of a network just trained, beside a randomly initialised one, and how it retrieves.

    Raises:
        StoreError: a split has too few measured ECGs.
    """
    import torch

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
    readouts, measured = fit_and_measure(own, random)
    if "study" in network.spec.parts:
        progress(7 / 8, "Searching test studies with test ECGs")
        measured["test"]["retrieval"] = tested_retrieval(network, data, within_days)
    return readouts, measured


def fit_readouts(workspace: Workspace, card: ModelCard, progress: Progress = silent) -> dict:
    """`fit_and_measure` of a model whose ECGs the workspace has embedded, stored beside its weights; gives what the
    manifest now says.

    Raises:
        StoreError: a split has too few measured ECGs with vectors.
    """
    from safetensors.numpy import save

    from echo2ecg_core.store.paths import READOUTS_FILE

    progress(0.0, "Fitting readouts")
    began = datetime.now(UTC).isoformat(timespec="seconds")
    readouts, measured = fit_and_measure(workspace_vectors(workspace, card, progress))
    measured["readouts"] |= {"fitted_in": workspace.folder.name, "labels_as_of": began}
    write_atomically(card.folder / READOUTS_FILE, save(readouts.tensors()))
    write_atomically(card.folder / "manifest.json", json.dumps(card.manifest() | measured, indent=1).encode())
    return measured


def workspace_vectors(workspace: Workspace, card: ModelCard, progress: Progress = silent) -> dict[str, LabelledVectors]:
    """Split -> the labelled ECGs of a workspace that a model has embedded, at most `MOST`."""
    vectors = load_vectors(workspace.vectors, "ecg", card.model_id)
    table = Catalog(workspace).labelled_ecgs()
    table, found = table[table.ecg_id.isin(vectors.ids)], {}
    for step, split in enumerate(PATIENT_SPLITS):
        rows = _by_lot(table[table.split == split])
        outside = _signal_features(workspace, card, rows, part(progress, step / 3, (step + 1) / 3))
        labels = {name: rows[name].to_numpy(float) for name in PHENOTYPES if name in rows}
        found[split] = LabelledVectors(
            vectors.rows(list(rows.ecg_id)).astype(np.float64),
            outside,
            labels,
            rows.patient_id.astype("category").cat.codes.to_numpy(),
        )
    return found


def _by_lot(rows: pd.DataFrame) -> pd.DataFrame:
    """At most `MOST` rows, in their order."""
    return rows.sample(MOST, random_state=0).sort_index() if len(rows) > MOST else rows


def _signal_features(workspace: Workspace, card: ModelCard, rows: pd.DataFrame, progress: Progress) -> np.ndarray:
    """Signal features (n, f) of at most `MOST_FOR_DISTANCE` ECGs, prepared again; NaN for the others."""
    from echo2ecg_core.answers.loaded_model import load_model
    from echo2ecg_core.models.outside import outside_features

    model, catalog = load_model(card, with_readouts=False), Catalog(workspace)
    chosen = np.random.default_rng(7).permutation(len(rows))[:MOST_FOR_DISTANCE]
    found: dict[int, np.ndarray] = {}
    for done, row in enumerate(chosen):
        progress(done / len(chosen), f"Measuring ECGs for the readouts: {done} of {len(chosen)}")
        windows = model.prepare(catalog.ecg_record(rows.ecg_id.iloc[row]))[None]
        found[row] = outside_features(windows, model.spec.ecg_input.sampling_rate_hz)[0]
    width = len(next(iter(found.values()))) if found else 0
    return np.stack([found.get(row, np.full(width, np.nan)) for row in range(len(rows))]) if found else np.zeros((0, 0))


def tested_retrieval(network, data: TrainingData, within_days: float) -> dict:
    """How test ECGs find studies of test patients, by cosine; a study without clips is none that can be found.

    Returns:
        studies; recall@10 of the paired study; top10_lvef_ratio: mean LVEF difference between a query's own study and
        the ten nearest of other patients, over that of all studies of other patients. {} where none has clips.
    """
    import torch

    from echo2ecg_core.evaluation.retrieval_both_ways import retrieval_report

    rows, rows_of = _by_lot(nearest_pairs(data, "test", within_days)), data.clips.groupby("study_id").indices
    has_clips = rows.study_id.isin(list(rows_of)).to_numpy()
    own = labelled_vectors(network, data, "test", within_days).embedding[has_clips]
    rows = rows[has_clips]
    ids = list(dict.fromkeys(rows.study_id))
    if not ids:
        return {}
    with torch.inference_mode():
        ecgs = network.align_ecg(torch.from_numpy(own)).numpy()
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

    from echo2ecg_core.models.outside import outside_features

    rows = _by_lot(nearest_pairs(data, split, within_days))
    spec = network.spec.ecg_input
    embedding = np.empty((len(rows), network.spec.ecg_encoder.width), np.float32)
    outside: dict[int, np.ndarray] = {}
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
