"""Renders a phantom cohort straight into the arrays that training reads; no clip is ever written.

Every patient is simulated once and kept in shards, so a stopped run goes on where it was. Clips are stored after the
clip encoder's fixed first step (56 x 56 luminance, float16), ECGs cleaned at the model's rate.
"""

import io
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from echo2ecg_core.echo.clip import VIEWS
from echo2ecg_core.models.specs import EcgInputSpec

SHARD = 50
FEW_VIEWS = 5


@dataclass(frozen=True, eq=False)
class PreparedCohort:
    """All patients of a cohort.

    Attributes:
        ecgs: Table ecg_id, patient_id, ecg_time, split; row i belongs to `signals[i]` (n, 12, t) float16.
        studies: Table study_id, patient_id, study_date, split and one column a measured phenotype.
        clips: Table study_id, view (index); row i belongs to `pooled[i]` (n, 16, 56, 56) float16.
    """

    ecgs: pd.DataFrame
    signals: np.ndarray
    studies: pd.DataFrame
    clips: pd.DataFrame
    pooled: np.ndarray


def prepare_cohort(n_patients: int, seed: int, spec: EcgInputSpec, folder: Path, *, n_whole: int | None = None, processes: int = 2,
                   log: Callable[[str], None] = lambda text: None) -> PreparedCohort:
    """Simulate what the shards in `folder` do not hold yet, then give everything.

    Args:
        n_patients, seed: Of the cohort.
        n_whole: Only the first n_whole patients are rendered whole; of the later ones, training patients give their first
            study in `FEW_VIEWS` views, the others nothing. None: all whole.
        spec: How ECGs are prepared; must not change between runs into one folder.
        folder: Where shards are kept.
        processes: How many simulate at once.
        log: Told how far it is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    starts = [s for s in range(0, n_patients, SHARD) if not _shard(folder, s).exists()]
    with ProcessPoolExecutor(processes) as pool:
        tasks = [pool.submit(_prepare_shard, n_patients, seed, s, spec, folder, n_whole is None or s < n_whole) for s in starts]
        for done, task in enumerate(tasks, 1):
            task.result()
            log(f"Simulated {done * SHARD} of {len(starts) * SHARD} patients")
    parts = [_load(_shard(folder, s)) for s in range(0, n_patients, SHARD)]
    tables = {name: pd.concat([p[name] for p in parts], ignore_index=True) for name in ("ecgs", "studies", "clips")}
    return PreparedCohort(tables["ecgs"], np.concatenate([p["signals"] for p in parts]), tables["studies"], tables["clips"],
                          np.concatenate([p["pooled"] for p in parts]))


def _shard(folder: Path, start: int) -> Path:
    return folder / f"patients-{start:05d}.npz"


def _load(path: Path) -> dict:
    with np.load(path, allow_pickle=False) as archive:
        tables = {name: pd.read_json(io.StringIO(str(archive[name])), orient="table") for name in ("ecgs", "studies", "clips")}
        return {**tables, "signals": archive["signals"], "pooled": archive["pooled"]}


def _prepare_shard(n_patients: int, seed: int, start: int, spec: EcgInputSpec, folder: Path, whole: bool) -> None:
    """Simulate patients start … start + SHARD - 1 in a process of its own."""
    import torch

    from echo2ecg_core.models.echo_encoder import PhantomVideoNet
    from echo2ecg_core.phantom.cohort import PhantomCohort

    torch.set_num_threads(1)
    cohort, encoder = PhantomCohort(n_patients, seed), PhantomVideoNet()
    ecgs, signals, studies, clips, pooled = [], [], [], [], []
    for i in range(start, min(start + SHARD, n_patients)):
        if not whole and cohort.split_of(i) != "train":
            continue
        patient = cohort.patient(i)
        for ecg in patient.ecgs:
            signals.append(_prepared_signal(ecg.signal_mv(), spec))
            ecgs.append({"ecg_id": ecg.ecg_id, "patient_id": patient.patient_id, "ecg_time": str(ecg.time), "split": patient.split})
        for study in patient.studies if whole else patient.studies[:1]:
            studies.append({"study_id": study.study_id, "patient_id": patient.patient_id, "study_date": str(study.date),
                            "split": patient.split, **study.labels()})
            for view in study.views if whole else study.views[:FEW_VIEWS]:
                pooled.append(_pooled_clip(encoder, study, view))
                clips.append({"study_id": study.study_id, "view": list(VIEWS).index(view)})
    tables = {name: pd.DataFrame(rows).to_json(orient="table", index=False, double_precision=6)
              for name, rows in (("ecgs", ecgs), ("studies", studies), ("clips", clips))}
    temporary = folder / f".writing-{start}.npz"
    np.savez(temporary, signals=np.stack(signals), pooled=np.stack(pooled), **tables)
    temporary.replace(_shard(folder, start))


def _prepared_signal(signal_mv: np.ndarray, spec: EcgInputSpec) -> np.ndarray:
    """A whole 500 Hz recording (12, 5000), cleaned and resampled in the order of the spec, as float16."""
    from echo2ecg_core.ecg.preprocess import clean, resample
    from echo2ecg_core.phantom.cohort import ECG_RATE_HZ

    steps = (clean, lambda x: resample(x, ECG_RATE_HZ, spec.sampling_rate_hz))
    for step in steps if spec.order == "clean_then_resample" else reversed(steps):
        signal_mv = step(signal_mv)
    return signal_mv.astype(np.float16)


def _pooled_clip(encoder, study, view: str) -> np.ndarray:
    """The clip encoder's fixed first step on the 16 frames it uses, (16, 56, 56) float16."""
    import torch

    from echo2ecg_core.echo.preprocess import prepare_frames

    frames = study.render(view, every=2).frames  # (16, 224, 224, 3): what prepare_frames would keep of 32
    prepared = torch.from_numpy(prepare_frames(np.repeat(frames, 2, axis=0)))
    return encoder.pooled(prepared[None])[0].numpy().astype(np.float16)
