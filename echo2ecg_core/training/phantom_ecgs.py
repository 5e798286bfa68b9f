"""ECGs of a phantom cohort as vectors: simulated, prepared, embedded and forgotten; no file, no echo, no catalogue.

An ECG alone costs a thousandth of an echo study, so patients that a model has never seen cost nothing: thousands of
them calibrate and judge the shipped readouts. Vectors are kept in shards, so that a stopped run goes on where it was;
the version of the cleaning stands in their names, so that another one makes them anew. Prepared recordings may be kept
too: another network then costs its embedding alone. They are
rounded to 16 bits, as those of a training. Labels are drawn again from the seed, with the noise of observers.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from functools import partial
from pathlib import Path

import numpy as np

from echo2ecg_core.ecg.preprocess import CLEANING
from echo2ecg_core.errors import StoreError
from echo2ecg_core.models.specs import EcgInputSpec
from echo2ecg_core.progress import Progress, silent

SHARD = 50  # patients
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True, eq=False)
class PhantomEcgs:
    """n ECGs with a study close in time, in the order of their patients.

    Attributes:
        embedding: Name of a network -> (n, width).
        outside: (n, f) features of the distance to the training data that need no network.
        labels: Phenotype -> (n,) as an observer of the study writes them down; `truth` the same without noise.
        conduction, sex: (n,) words.
        patients: (n,) numbers.
        ecg_ids: (n,).
    """

    embedding: dict[str, np.ndarray]
    outside: np.ndarray
    labels: dict[str, np.ndarray]
    truth: dict[str, np.ndarray]
    conduction: np.ndarray
    sex: np.ndarray
    patients: np.ndarray
    ecg_ids: list[str]


def embedded_ecgs(
    networks: dict,
    seed: int,
    patients: Sequence[int],
    folder: Path,
    *,
    version: int = 1,
    within_days: float = 7.0,
    change: Change | None = None,
    prepared: Path | None = None,
    progress: Progress = silent,
) -> PhantomEcgs:
    """The ECGs of some patients of a cohort, each with its nearest study, embedded by every network.

    Args:
        networks: Name -> `Echo2ECG` in eval mode; all want their ECGs prepared alike.
        seed: Of the cohort; a patient's hearts and ECGs depend on it and on the number alone.
        patients: Their numbers from 0.
        folder: Of the shards; one folder holds one choice of all the other arguments but `patients`.
        version: Of the phantom.
        within_days: Largest distance between ECG and study.
        change: Signal (12, n) in mV and a generator of this ECG -> the signal that is embedded instead.
        prepared: Folder in which prepared recordings are kept for other networks, 70 kB an ECG; as `folder`, but for
            any networks. None: they are forgotten.
        progress: Told share and message.

    Raises:
        StoreError: the folder holds vectors of other ECGs.
    """
    spec, visits, parts = next(iter(networks.values())).spec.ecg_input, [], []

    def vectors(start: int, rows: list[tuple]) -> dict[str, np.ndarray]:
        make = partial(_prepared, spec, rows, change)
        return _vectors(networks, make() if prepared is None else _kept(prepared, start, rows, make))

    for share, start, rows in _shards(seed, patients, within_days, version):
        visits += rows
        parts.append(_kept(folder, start, rows, partial(vectors, start, rows)))
        progress(share, f"Embedding simulated ECGs: {len(visits)}")
    return _gathered(list(networks), parts, visits)


def keep_prepared(
    spec: EcgInputSpec,
    seed: int,
    patients: Sequence[int],
    prepared: Path,
    *,
    version: int = 1,
    within_days: float = 7.0,
    progress: Progress = silent,
) -> None:
    """Simulate and prepare what `embedded_ecgs` with the same arguments will find in `prepared`, before there is a
    network."""
    for share, start, rows in _shards(seed, patients, within_days, version):
        _kept(prepared, start, rows, partial(_prepared, spec, rows, None))
        progress(share, "Simulating ECGs")


def _shards(
    seed: int, patients: Sequence[int], within_days: float, version: int
) -> Iterator[tuple[float, int, list[tuple]]]:
    """How much is done with it, first number and visits of every shard that has some."""
    wanted = set(patients)
    starts = sorted({number // SHARD * SHARD for number in wanted})
    for done, start in enumerate(starts, 1):
        numbers = [number for number in range(start, start + SHARD) if number in wanted]
        if rows := _visits(seed, numbers, within_days, version):
            yield done / len(starts), start, rows


def _visits(seed: int, numbers: list[int], within_days: float, version: int) -> list[tuple]:
    """(ECG, nearest study, patient number) of these patients."""
    from echo2ecg_core.phantom.cohort import PhantomCohort

    cohort, rows = PhantomCohort(max(numbers, default=0) + 1, seed, observer_noise=True, version=version), []
    for number in numbers:
        patient = cohort.patient(number)
        for ecg in patient.ecgs:
            apart, study = min(
                ((_days(ecg.time, study), study) for study in patient.studies), key=lambda found: found[0]
            )
            if apart <= within_days:
                rows.append((ecg, study, number))
    return rows


def _days(when: datetime, study) -> float:
    return abs((when - datetime.combine(study.date, time())).total_seconds()) / 86400


def _kept(
    folder: Path, start: int, rows: list[tuple], make: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """What a shard of a folder holds of these visits, made where it is not there.

    Raises:
        StoreError: it holds other ECGs.
    """
    path, own = folder / f"{start:05d}-cleaning-{CLEANING}.npz", [ecg.ecg_id for ecg, _, _ in rows]
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".writing-{path.name}")
        np.savez(temporary, allow_pickle=False, **make(), ecg_ids=np.array(own))
        temporary.replace(path)
    with np.load(path, allow_pickle=False) as archive:
        if list(archive["ecg_ids"]) != own:
            raise StoreError(
                f"The folder {folder.name} holds vectors of other ECGs ({path.name}).", "Give another folder."
            )
        return {key: archive[key] for key in archive.files if key != "ecg_ids"}


def _prepared(spec: EcgInputSpec, rows: list[tuple], change: Change | None) -> dict[str, np.ndarray]:
    """Windows (n, w, 12, t) of a few hundred ECGs, and what of them tells an unfamiliar recording."""
    from echo2ecg_core.ecg.preprocess import prepare_ecg
    from echo2ecg_core.models.outside import outside_features
    from echo2ecg_core.phantom.cohort import ECG_RATE_HZ

    windows = []
    for ecg, _, _ in rows:
        signal = ecg.signal_mv()
        if change is not None:
            signal = change(signal, np.random.default_rng([*ecg.seed, 31]))
        windows.append(
            prepare_ecg(
                signal,
                ECG_RATE_HZ,
                target_hz=spec.sampling_rate_hz,
                n_samples=spec.n_samples,
                order=spec.order,
                windows=spec.windows,
            )
        )
    stacked = np.stack(windows)
    outside = outside_features(stacked, spec.sampling_rate_hz).astype(np.float32)  # before they are rounded
    return {"windows": stacked.astype(np.float16), "outside": outside}


def _vectors(networks: dict, ready: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Embeddings of prepared ECGs by every network, beside their features."""
    from echo2ecg_core.answers.loaded_model import ecg_vectors

    windows = ready["windows"].astype(np.float32)
    named = {f"embedding.{name}": ecg_vectors(network, windows).embedding for name, network in networks.items()}
    return named | {"outside": ready["outside"]}


def _gathered(names: list[str], parts: list[dict], visits: list[tuple]) -> PhantomEcgs:
    seen = [(study.labels(), study.heart.labels(None, study.version)) for _, study, _ in visits]
    labels, truth = (
        {name: np.array([both[which][name] for both in seen], float) for name in seen[0][0]} for which in (0, 1)
    )
    return PhantomEcgs(
        {name: np.concatenate([part[f"embedding.{name}"] for part in parts]) for name in names},
        np.concatenate([part["outside"] for part in parts]),
        labels,
        truth,
        np.array([study.heart.conduction for _, study, _ in visits]),
        np.array([study.heart.sex for _, study, _ in visits]),
        np.array([number for _, _, number in visits]),
        [ecg.ecg_id for ecg, _, _ in visits],
    )
