"""ECGs that a masked training sees without any label, so that its features are not foreign to recordings of people.

A source is a cohort of the workspace, or `deepfake:N`: N recordings drawn by the generator of Thambawita et al. 2021
(doi 10.1038/s41598-021-01295-2, package deepfake-ecg, MIT; the extra `unlabelled` installs it), which was trained on
ECGs of people. They take no part in readouts, calibration or the measure of what is outside the training: none has a
study, so that measure keeps its reference and does not go quiet.
"""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.models.specs import EcgInputSpec
from echo2ecg_core.progress import Progress, part, silent
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace, write_atomically
from echo2ecg_core.training.data import TrainingData, cleaned_ecgs, fills_a_window, npy_bytes, visits

GENERATOR = "deepfake"
GENERATOR_HZ = 500.0
MICROVOLTS = 6000.0  # of one unit of what the generator draws
BATCH = 16
VALIDATION_SHARE = 0.1  # of generated recordings; cohorts bring their own splits


def with_unlabelled(
    data: TrainingData,
    workspace: Workspace,
    sources: str,
    spec: EcgInputSpec,
    folder: Path,
    progress: Progress = silent,
) -> TrainingData:
    """The data with more ECGs that have no study; what is prepared once stays in `folder`.

    Args:
        data: What is learnt from already.
        workspace: Holds the cohorts.
        sources: Names of cohorts, those that came in and kept ones, and `deepfake:N`, with commas between; test
            patients of a cohort stay unseen.
        spec: How ECGs are prepared.
        folder: Of the prepared ECGs.
        progress: Told the share that is done.

    Raises:
        Echo2ECGError: no such cohort, none of its ECGs fills a window, or the generator is not installed.
    """
    names = source_names(sources)
    for i, name in enumerate(names):
        told = part(progress, i / len(names), (i + 1) / len(names))
        read = _generated if name.startswith(f"{GENERATOR}:") else _of_cohort
        ecgs, signals, lengths = read(workspace, name, spec, folder, told)
        data = _joined(data, ecgs, signals, lengths)
    return data


def count_unlabelled(workspace: Workspace, sources: str, split: str, spec: EcgInputSpec) -> int:
    """How many ECGs of a split the sources would add; cohorts by their stored lengths.

    Raises:
        Echo2ECGError: no such cohort, or a number that is none.
    """
    n = 0
    for name in source_names(sources):
        if name.startswith(f"{GENERATOR}:"):
            n += {"train": _trained(_number(name)), "validation": _number(name) - _trained(_number(name))}[split]
        else:
            table = _unseen(workspace, name)
            n += int((fills_a_window(table, spec) & (table.split == split)).sum())
    return n


def source_names(sources: str) -> list[str]:
    """The sources one by one.

    Raises:
        Echo2ECGError: a number of generated ECGs that is none.
    """
    names = [name.strip() for name in sources.split(",") if name.strip()]
    for name in names:
        if name.startswith(f"{GENERATOR}:") and not _number(name):
            raise Echo2ECGError(
                f"unlabelled={name} does not say how many ECGs to draw.", f"For example unlabelled={GENERATOR}:4000."
            )
    return names


def _number(name: str) -> int:
    text = name.partition(":")[2]
    return int(text) if text.isascii() and text.isdigit() else 0


def _trained(n: int) -> int:
    """How many of n generated recordings are trained on; the rest validates."""
    return round(n * (1 - VALIDATION_SHARE))


def _unseen(workspace: Workspace, name: str) -> pd.DataFrame:
    """The ECGs of a cohort without those of its test patients."""
    table = visits(workspace, name)[0]
    return table[table.split != "test"].reset_index(drop=True)


def _joined(data: TrainingData, ecgs: pd.DataFrame, signals: np.ndarray, lengths: np.ndarray) -> TrainingData:
    """Both behind one another; the shorter kind has zeros behind its end."""
    before = np.full(len(data.ecgs), data.signals.shape[2]) if data.lengths is None else data.lengths
    longest = max(data.signals.shape[2], signals.shape[2])
    both = np.zeros((len(data.signals) + len(signals), 12, longest), data.signals.dtype)
    both[: len(data.signals), :, : data.signals.shape[2]] = data.signals
    both[len(data.signals) :, :, : signals.shape[2]] = signals
    return replace(
        data,
        ecgs=pd.concat([data.ecgs, ecgs[data.ecgs.columns.intersection(ecgs.columns)]], ignore_index=True),
        signals=both,
        lengths=np.concatenate([before, lengths]),
    )


def _of_cohort(workspace: Workspace, name: str, spec: EcgInputSpec, folder: Path, progress: Progress):
    """Training and validation ECGs of a cohort; ids carry its name, so that they meet no patient of the other data."""
    table = _unseen(workspace, name)
    signals, lengths = cleaned_ecgs(Catalog(workspace), table, spec, folder, progress)
    kept = lengths > 0
    ids = {column: f"{name}/" + table[column].astype(str) for column in ("ecg_id", "patient_id")}
    return table.assign(**ids)[kept], signals, lengths[kept]


def _generated(_workspace: Workspace, name: str, spec: EcgInputSpec, folder: Path, progress: Progress):
    """Recordings of the generator, each of a person of its own; drawn once."""
    n = _number(name)
    told = f"{name} {sorted(spec.to_dict().items())}"
    file = folder / f"{GENERATOR}-{hashlib.sha256(told.encode()).hexdigest()[:12]}.npy"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(file, npy_bytes(generated_ecgs(n, spec, progress)))
    signals = np.load(file, mmap_mode="r")
    ids = [f"{GENERATOR}-{i:06d}" for i in range(n)]
    split = np.where(np.arange(n) < _trained(n), "train", "validation")
    table = pd.DataFrame({"ecg_id": ids, "patient_id": ids, "ecg_time": "", "split": split})
    return table, signals, np.full(n, signals.shape[2])


def generated_ecgs(n: int, spec: EcgInputSpec, progress: Progress = silent) -> np.ndarray:
    """n recordings of the generator, cleaned at the model's rate, (n, 12, t) float16; the same every time.

    Raises:
        Echo2ECGError: the generator is not installed.
    """
    import torch

    from echo2ecg_core.ecg.preprocess import clean_whole

    generator, random = _generator(), torch.Generator().manual_seed(0)
    prepared = []
    with torch.inference_mode():
        for start in range(0, n, BATCH):
            noise = torch.rand(min(BATCH, n - start), 8, 5000, generator=random) * 2 - 1
            for signal_mv in twelve_leads(generator(noise).numpy() * MICROVOLTS / 1000):
                cleaned = clean_whole(signal_mv, GENERATOR_HZ, target_hz=spec.sampling_rate_hz, order=spec.order)
                prepared.append(cleaned.astype(np.float16))
            progress(len(prepared) / n, f"Drawing ECGs without labels: {len(prepared):,} of {n:,}")
    return np.stack(prepared)


def twelve_leads(eight: np.ndarray) -> np.ndarray:
    """(n, 8, t) of I, II, V1 to V6 as (n, 12, t) in the standard order; the other limb leads follow from I and II."""
    one, two, chest = eight[:, 0], eight[:, 1], eight[:, 2:]
    limb = np.stack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2], 1)
    return np.concatenate([limb, chest], 1)


def _generator():
    """The network of deepfake-ecg with its weights.

    Raises:
        Echo2ECGError: it is not installed.
    """
    try:
        import deepfakeecg
    except ImportError as error:
        raise Echo2ECGError(
            "Generated ECGs need the package deepfake-ecg, which is not installed.",
            "Install it with `pip install deepfake-ecg`, or name a cohort of the workspace.",
        ) from error
    import torch

    network = deepfakeecg.Generator()
    weights = Path(deepfakeecg.__file__).parent / "checkpoints" / "g_stat.pt"
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True)["stat_dict"])
    return network.eval()
