"""What a training reads, made once: cleaned ECGs, frozen clip vectors, and tables that say whose they are.

From a workspace: ECGs are cleaned into one memory-mapped matrix, each with its own length; clip vectors are those that
the embedding job stored. From a phantom cohort: phantom_data.py. The loop itself looks nothing up in tables; `paired`
(or `alone`, for an objective without echo) turns them into rows.
"""

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from echo2ecg_core.echo.clip import VIEWS
from echo2ecg_core.errors import Echo2ECGError, StoreError
from echo2ecg_core.models.specs import EcgInputSpec
from echo2ecg_core.progress import Progress, silent
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace, write_atomically
from echo2ecg_core.store.kept_cohorts import members
from echo2ecg_core.store.times import nearest_in_time
from echo2ecg_core.training.pairs import PreparedPairs, find_pairs, refuse_none

MOST_S = 10  # seconds of a recording that are kept


@dataclass(frozen=True, eq=False)
class TrainingData:
    """All patients of a training.

    Attributes:
        ecgs: Table ecg_id, patient_id, ecg_time, split; row i belongs to `signals[i]`.
        signals: (n, 12, t) float16, cleaned at the model's rate; may be memory-mapped.
        lengths: (n,) samples of each that are its own, zeros behind them; None: all t.
        left_out: ECGs of the workspace that do not fill one window or cannot be cleaned.
        read_at: When the labels were read from a workspace (UTC, ISO 8601); "" for a phantom cohort.
        studies: Table study_id, patient_id, study_date, split and one column a measured phenotype.
        clips: Table study_id, view (index in VIEWS, -1 unknown); row i belongs to `clip_data[i]`.
        clip_data: (n, 512) float32 clip vectors, or (n, 16, 56, 56) float16 pooled clips before there is an encoder.
    """

    ecgs: pd.DataFrame
    signals: np.ndarray
    studies: pd.DataFrame
    clips: pd.DataFrame
    clip_data: np.ndarray
    lengths: np.ndarray | None = None
    left_out: int = 0
    read_at: str = ""

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
    return PreparedPairs(data.signals, data.clip_data, clips_of, pairs.astype(np.int64), data.lengths)


def alone(data: TrainingData, split: str) -> PreparedPairs:
    """The ECGs of one split without any echo, for an objective that reads none: study row -1.

    Raises:
        StoreError: there is none.
    """
    rows = np.flatnonzero(data.ecgs.split == split)
    if not len(rows):
        raise StoreError(
            f"No {split} patient has an ECG that fills a window.", "Import ECGs of patients in every split."
        )
    patients = data.ecgs.patient_id.iloc[rows].astype("category").cat.codes
    pairs = np.stack([patients, rows, np.full(len(rows), -1)], 1)
    return PreparedPairs(data.signals, data.clip_data, [], pairs.astype(np.int64), data.lengths)


def window_batches(
    data: TrainingData, ecg_rows: np.ndarray, spec: EcgInputSpec, size: int = 32
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of these ECG rows as (places in `ecg_rows`, windows (b, w, 12, n) float32), each of ECGs that have as
    many windows; the first one or all, as the spec says."""
    ecg_rows = np.asarray(ecg_rows)
    own = np.full(len(ecg_rows), data.signals.shape[2]) if data.lengths is None else data.lengths[ecg_rows]
    counts = own // spec.n_samples if spec.windows == "all" else np.ones(len(ecg_rows), int)
    for count in np.unique(counts):
        places = np.flatnonzero(counts == count)
        for batch in (places[i : i + size] for i in range(0, len(places), size)):
            signals = np.asarray(data.signals[ecg_rows[batch], :, : count * spec.n_samples], np.float32)
            windows = signals.reshape(len(batch), 12, count, spec.n_samples).swapaxes(1, 2)
            yield batch, np.ascontiguousarray(windows)


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
    clip_encoder_id: str | None,
    folder: Path,
    progress: Progress = silent,
    cohort: str = "",
) -> TrainingData:
    """The ECGs and clip vectors of a workspace; cleaned ECGs are kept in `folder` and made once.

    Args:
        workspace: Holds imported or simulated patients.
        spec: How ECGs are prepared.
        clip_encoder_id: Whose stored clip vectors are taken; None: none, for an objective that reads ECGs alone.
        folder: Of the prepared ECGs.
        progress: Told the share that is done.
        cohort: Only of this cohort; "": of all.

    Raises:
        StoreError: there are no ECGs or no such cohort, or no clip vectors of this encoder.
    """
    from echo2ecg_core.store.vectors import load_vectors

    catalog, read_at = Catalog(workspace), datetime.now(UTC).isoformat(timespec="seconds")
    ecgs, studies = visits(workspace, cohort)
    clips, clip_data = catalog.clips().iloc[:0], np.zeros((0, 512), np.float32)
    if clip_encoder_id is not None:
        vectors = load_vectors(workspace.vectors, "clip", clip_encoder_id)
        clips = catalog.clips()
        clips = clips[clips.clip_id.isin(vectors.ids)].reset_index(drop=True)
        if ecgs.empty or clips.empty:
            raise StoreError(
                f"The workspace has {len(ecgs)} ECGs and {len(clips)} clips with vectors; training needs both.",
                f"Import an archive and run `embed` first.{_other_encoders(catalog, clip_encoder_id)}",
            )
        clip_data = vectors.rows(list(clips.clip_id)).astype(np.float32)
    signals, lengths = cleaned_ecgs(catalog, ecgs, spec, folder, progress)
    kept = lengths > 0
    view = clips.view.map({name: i for i, name in enumerate(VIEWS)}).fillna(-1).astype(int)
    return TrainingData(
        ecgs[kept].reset_index(drop=True),
        signals,
        studies,
        clips[["study_id"]].assign(view=view),
        clip_data,
        lengths[kept],
        int((~kept).sum()),
        read_at,
    )


def _other_encoders(catalog: Catalog, encoder_id: str) -> str:
    """Which other clip encoders' vectors came in, in a sentence."""
    names = sorted(set(catalog.clips().encoder.dropna()) - {encoder_id})
    return f" Stored clip vectors are here of {', '.join(names)} (clip_encoder={names[0]})." if names else ""


def visits(workspace: Workspace, cohort: str = "") -> tuple[pd.DataFrame, pd.DataFrame]:
    """ECGs and studies as `Catalog` gives them: all, or the ECGs of a cohort and the studies of their patients.

    Raises:
        StoreError: there is no cohort of this name.
    """
    catalog = Catalog(workspace)
    ecgs, studies = catalog.ecgs(), catalog.studies()
    if cohort:
        ecgs = ecgs[ecgs.ecg_id.isin(members(workspace, [cohort]).ecgs)].reset_index(drop=True)
        studies = studies[studies.patient_id.isin(ecgs.patient_id)].reset_index(drop=True)
    return ecgs, studies


def cleaned_ecgs(
    catalog: Catalog, ecgs: pd.DataFrame, spec: EcgInputSpec, folder: Path, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """Cleaned ECGs one after another as a memory map (kept, 12, t), zeros behind the end of each, and how many samples
    every ECG of the table has, at most ten seconds: (n,), 0 for one that is left out."""
    known = [spec.to_dict(), ecgs.content_hash.tolist(), "own lengths"]
    key = hashlib.sha256(json.dumps(known).encode()).hexdigest()[:12]
    file, told = folder / f"ecgs-{key}.npy", folder / f"ecgs-{key}.lengths.npy"
    if not told.exists():
        folder.mkdir(parents=True, exist_ok=True)
        lengths, longest = np.zeros(len(ecgs), int), _longest(ecgs, spec)
        matrix = np.lib.format.open_memmap(file, "w+", np.float16, (len(ecgs), 12, longest))
        for i, ecg_id in enumerate(ecgs.ecg_id):
            signal = _clean_whole(catalog, ecg_id, spec, longest)
            if signal is not None:
                lengths[i] = signal.shape[1]
                matrix[(lengths > 0).sum() - 1, :, : lengths[i]] = signal
            progress((i + 1) / len(ecgs), f"Cleaning ECGs: {i + 1:,} of {len(ecgs):,}")
        matrix.flush()
        write_atomically(told, npy_bytes(lengths))
    lengths = np.load(told)
    return np.load(file, mmap_mode="r")[: (lengths > 0).sum()], lengths


def npy_bytes(array: np.ndarray) -> bytes:
    """An array as the contents of an .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def fills_a_window(ecgs: pd.DataFrame, spec: EcgInputSpec) -> pd.Series:
    """Whether each ECG of the catalog lasts as long as one window."""
    return np.rint(ecgs.duration_s * spec.sampling_rate_hz) >= spec.n_samples


def _longest(ecgs: pd.DataFrame, spec: EcgInputSpec) -> int:
    """Samples of the longest prepared ECG, at most ten seconds.

    Raises:
        StoreError: none fills a window.
    """
    enough = fills_a_window(ecgs, spec)
    if not enough.any():
        raise StoreError(
            f"No ECG lasts the {spec.n_samples / spec.sampling_rate_hz:.2f} s that one window needs.",
            "Import longer recordings.",
        )
    longest = np.ceil(ecgs.duration_s[enough].max() * spec.sampling_rate_hz) + 1  # resampling may round up
    return int(min(longest, MOST_S * spec.sampling_rate_hz))


def _clean_whole(catalog: Catalog, ecg_id: str, spec: EcgInputSpec, longest: int) -> np.ndarray | None:
    """The first `longest` prepared samples of a stored ECG, or None when it does not fill a window or cannot be
    cleaned."""
    from echo2ecg_core.ecg.preprocess import clean_whole

    record = catalog.ecg_record(ecg_id)
    try:
        signal = clean_whole(
            record.signal_mv, record.sampling_rate_hz, target_hz=spec.sampling_rate_hz, order=spec.order
        )
    except Echo2ECGError:
        return None
    return signal[:, :longest].astype(np.float16) if signal.shape[1] >= spec.n_samples else None
