"""What a training reads, made once: cleaned ECGs, frozen clip vectors, and tables that say whose they are.

From a workspace: ECGs are cleaned into one memory-mapped matrix, clip vectors are those that the embedding job stored.
From a phantom cohort: prepare_phantom.py. The loop itself looks nothing up in tables; `paired` turns them into rows.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from echo2ecg_core.errors import Echo2ECGError, StoreError
from echo2ecg_core.models.specs import EcgInputSpec
from echo2ecg_core.progress import Progress, silent
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.times import nearest_in_time
from echo2ecg_core.training.pairs import PreparedPairs, find_pairs, refuse_none


@dataclass(frozen=True, eq=False)
class TrainingData:
    """All patients of a training.

    Attributes:
        ecgs: Table ecg_id, patient_id, ecg_time, split; row i belongs to `signals[i]`.
        signals: (n, 12, t) float16, cleaned at the model's rate; may be memory-mapped.
        studies: Table study_id, patient_id, study_date, split and one column a measured phenotype.
        clips: Table study_id, view (index in VIEWS, -1 unknown); row i belongs to `clip_data[i]`.
        clip_data: (n, 512) float32 clip vectors, or (n, 16, 56, 56) float16 pooled clips before there is an encoder.
    """

    ecgs: pd.DataFrame
    signals: np.ndarray
    studies: pd.DataFrame
    clips: pd.DataFrame
    clip_data: np.ndarray

    def fingerprint(self) -> str:
        """sha256 over labels and signals: the data a model was trained on."""
        digest = hashlib.sha256(self.studies.round(4).to_csv(index=False).encode())
        digest.update(np.ascontiguousarray(self.signals[:, :, ::50]).tobytes())
        return digest.hexdigest()


def paired(
    data: TrainingData, split: str, within_days: float = 7.0, views: tuple[int, ...] | None = None
) -> PreparedPairs:
    """The pairs of one split by row number.

    Args:
        data: Everything.
        split: "train", "validation" or "test".
        within_days: Largest distance between ECG and study.
        views: Only clips of these views; studies without any are left out.

    Raises:
        StoreError: there is no pair.
    """
    clips = data.clips if views is None else data.clips[data.clips.view.isin(views)]
    rows_of = clips.reset_index().groupby("study_id")["index"].agg(list)
    studies = data.studies[(data.studies.split == split) & data.studies.study_id.isin(rows_of.index)]
    if studies.empty:
        raise StoreError(
            f"No {split} patient has an echo study with clip vectors.",
            "Import studies of more patients and run `embed`.",
        )
    table = find_pairs(data.ecgs, studies, within_days)
    ecg_row = pd.Series(np.arange(len(data.ecgs)), data.ecgs.ecg_id)
    study_row = pd.Series(np.arange(len(data.studies)), data.studies.study_id)
    pairs = np.stack(
        [table.patient_id.astype("category").cat.codes, ecg_row[table.ecg_id], study_row[table.study_id]], 1
    )
    clips_of = [np.array(rows_of.get(i, []), int) for i in data.studies.study_id]
    return PreparedPairs(data.signals, data.clip_data, clips_of, pairs.astype(np.int64))


def nearest_pairs(data: TrainingData, split: str, within_days: float = 7.0) -> pd.DataFrame:
    """One row an ECG with its study nearest in time: ecg_id, study_id, patient_id, days_apart, ecg_row, study_row.

    Raises:
        StoreError: there is none.
    """
    studies = data.studies[data.studies.split == split]
    table = nearest_in_time(data.ecgs, studies, within_days)
    refuse_none(table, within_days)
    ecg_row = pd.Series(np.arange(len(data.ecgs)), data.ecgs.ecg_id)
    study_row = pd.Series(np.arange(len(data.studies)), data.studies.study_id)
    return table.assign(
        ecg_row=ecg_row[table.ecg_id].to_numpy(), study_row=study_row[table.study_id].to_numpy()
    ).reset_index(drop=True)


def weights_id(network) -> str:
    """A short id of a network's weights, for folders of what was made with it."""
    digest = hashlib.sha256()
    for key, value in network.state_dict().items():
        digest.update(key.encode() + value.numpy().tobytes())
    return digest.hexdigest()[:8]


def workspace_data(
    workspace: Workspace,
    spec: EcgInputSpec,
    clip_encoder_id: str,
    folder: Path,
    progress: Progress = silent,
) -> TrainingData:
    """The ECGs and clip vectors of a workspace; cleaned ECGs are kept in `folder` and made once.

    Args:
        workspace: Holds imported or simulated patients.
        spec: How ECGs are prepared.
        clip_encoder_id: Whose stored clip vectors are taken.
        folder: Of the prepared ECGs.
        progress: Told the share that is done.

    Raises:
        StoreError: there are no ECGs, or no clip vectors of this encoder.
    """
    from echo2ecg_core.echo.clip import VIEWS
    from echo2ecg_core.store.vectors import load_vectors

    catalog = Catalog(workspace)
    ecgs, clips = catalog.ecgs(), catalog.clips()
    vectors = load_vectors(workspace.vectors, "clip", clip_encoder_id)
    clips = clips[clips.clip_id.isin(vectors.ids)].reset_index(drop=True)
    if ecgs.empty or clips.empty:
        raise StoreError(
            f"The workspace has {len(ecgs)} ECGs and {len(clips)} clips with vectors; training needs both.",
            "Import an archive and run `embed` first.",
        )
    signals, kept = _cleaned(catalog, ecgs, spec, folder, progress)
    view = clips.view.map({name: i for i, name in enumerate(VIEWS)}).fillna(-1).astype(int)
    return TrainingData(
        ecgs[kept].reset_index(drop=True),
        signals,
        catalog.studies(),
        clips[["study_id"]].assign(view=view),
        vectors.rows(list(clips.clip_id)).astype(np.float32),
    )


def _cleaned(
    catalog: Catalog, ecgs: pd.DataFrame, spec: EcgInputSpec, folder: Path, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """Cleaned ECGs (n, 12, t) as a memory map, all cut to the shortest that holds a window, and which ECGs they are."""
    key = hashlib.sha256(json.dumps([spec.to_dict(), ecgs.content_hash.tolist()]).encode()).hexdigest()[:12]
    file, rows = folder / f"ecgs-{key}.npy", folder / f"ecgs-{key}.rows.npy"
    if not rows.exists():
        folder.mkdir(parents=True, exist_ok=True)
        length = _common_length(ecgs, spec)
        temporary = np.lib.format.open_memmap(file, "w+", np.float16, (len(ecgs), 12, length))
        kept = np.zeros(len(ecgs), bool)
        for i, ecg_id in enumerate(ecgs.ecg_id):
            signal = _clean_whole(catalog, ecg_id, spec, length)
            if signal is not None:
                temporary[kept.sum()], kept[i] = signal, True
            progress((i + 1) / len(ecgs), f"Cleaning ECGs: {i + 1} of {len(ecgs)}")
        temporary.flush()
        np.save(rows, kept)
    kept = np.load(rows)
    return np.load(file, mmap_mode="r")[: kept.sum()], kept


def _common_length(ecgs: pd.DataFrame, spec: EcgInputSpec) -> int:
    """Samples every prepared ECG has: of the shortest recording that fills a window, at most ten seconds."""
    lengths = (ecgs.duration_s * spec.sampling_rate_hz).astype(int)
    enough = lengths[lengths >= spec.n_samples]
    if enough.empty:
        raise StoreError(
            f"No ECG lasts the {spec.n_samples / spec.sampling_rate_hz:.2f} s that one window needs.",
            "Import longer recordings.",
        )
    return int(min(enough.min(), 10 * spec.sampling_rate_hz))


def _clean_whole(catalog: Catalog, ecg_id: str, spec: EcgInputSpec, length: int) -> np.ndarray | None:
    """The first `length` prepared samples of a stored ECG, or None when it is too short or cannot be cleaned."""
    from echo2ecg_core.ecg.preprocess import clean_whole

    record = catalog.ecg_record(ecg_id)
    try:
        signal = clean_whole(
            record.signal_mv, record.sampling_rate_hz, target_hz=spec.sampling_rate_hz, order=spec.order
        )
    except Echo2ECGError:
        return None
    return signal[:, :length].astype(np.float16) if signal.shape[1] >= length else None
