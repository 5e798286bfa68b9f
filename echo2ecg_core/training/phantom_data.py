"""Renders a phantom cohort straight into the arrays that training reads: render, embed, discard; no clip is ever
written.

Every patient is simulated once and kept in shards, so a stopped run goes on where it was. ECGs are stored cleaned at
the model's rate; a clip as the vector of a frozen clip encoder, or, while there is none yet, after its fixed first step
(56 x 56 luminance). Tables are drawn again from the seed, not stored. An ECG costs a hundredth of an echo study, so
training patients may also give their ECGs from other bodies: the same heart in another chest, with other electrodes.
"""

from concurrent.futures import Future, as_completed
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from echo2ecg_core.echo.clip import VIEWS
from echo2ecg_core.models.specs import EcgInputSpec
from echo2ecg_core.processes import pool as process_pool
from echo2ecg_core.progress import Progress, silent
from echo2ecg_core.training.data import TrainingData

if TYPE_CHECKING:
    from echo2ecg_core.models.echo_encoder import PhantomVideoNet
    from echo2ecg_core.phantom.cohort import PhantomCohort

SHARD = 50
FEW_CLIPS, MOST_CLIPS = 5, 10


def prepare_cohort(
    n_patients: int,
    seed: int,
    spec: EcgInputSpec,
    folder: Path,
    *,
    n_whole: int | None = None,
    encoder=None,
    with_clips: bool = True,
    processes: int = 2,
    progress: Progress = silent,
    version: int = 1,
) -> TrainingData:
    """Simulate what the shards in `folder` do not hold yet, then give everything.

    Args:
        n_patients, seed: Of the cohort.
        spec: How ECGs are prepared; must not change between runs into one folder.
        folder: Where shards are kept.
        n_whole: Only the first n_whole patients are rendered whole, in version 2 with `MOST_CLIPS` of a study; of the
            later ones, training patients give their first study in `FEW_CLIPS` clips, the others nothing. None: all
            whole.
        encoder: The frozen `PhantomVideoNet`; None keeps pooled clips.
        with_clips: False renders no clip, for an objective that reads ECGs alone.
        processes: How many simulate at once.
        progress: Told share and message.
        version: Of the phantom; must not change between runs into one folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = None if encoder is None else {key: value.numpy() for key, value in encoder.state_dict().items()}
    wholes = n_patients if n_whole is None else n_whole
    starts = [s for s in range(0, n_patients, SHARD) if not _shard(folder, s).exists()]
    whose, how = (n_patients, seed, version), (spec, folder, wholes, weights is not None, with_clips)
    with process_pool(processes, _start_process, weights) as pool:
        _all_done([pool.submit(_prepare_shard, whose, s, *how) for s in starts], progress)
    visits = [_visits((n_patients, seed, version), s, wholes) for s in range(0, n_patients, SHARD)]
    parts = [_load(_shard(folder, s)) for s in range(0, n_patients, SHARD)]
    return TrainingData(
        ecgs=pd.DataFrame([_ecg_row(ecg, patient) for shard in visits for patient, _ in shard for ecg in patient.ecgs]),
        signals=np.concatenate([p["signals"] for p in parts]),
        studies=pd.DataFrame(
            [_study_row(study, patient) for shard in visits for patient, studies in shard for study, _ in studies]
        ),
        clips=pd.DataFrame(
            [
                {"study_id": study.study_id, "view": list(VIEWS).index(clip.view)}
                for shard in visits
                for _, studies in shard
                for study, clips in studies
                for clip in (clips if with_clips else ())
            ],
            columns=["study_id", "view"],
        ),
        clip_data=np.concatenate([p["clips"] for p in parts]),
    )


def _all_done(shards: list[Future], progress: Progress) -> None:
    if shards:  # the first one takes minutes
        progress(0.0, f"Simulating hearts: 0 of {len(shards) * SHARD}, told every {SHARD}")
    for done, shard in enumerate(as_completed(shards), 1):
        shard.result()
        progress(done / len(shards), f"Simulating hearts: {done * SHARD} of {len(shards) * SHARD}")


def with_more_bodies(
    data: TrainingData,
    n_patients: int,
    seed: int,
    spec: EcgInputSpec,
    folder: Path,
    *,
    n_bodies: int,
    version: int = 1,
    processes: int = 2,
    progress: Progress = silent,
) -> TrainingData:
    """The cohort with every training patient's ECGs also from `n_bodies` other bodies (ids end in -B1, -B2, …).

    What an ECG shows of the heart stays, what only the person or the recording adds is drawn anew: torso, position of
    the heart, cell electrophysiology, electrodes, beats, noise. Studies and patients of the other splits stay as they
    are.
    """
    known = set(data.ecgs.patient_id)
    starts = range(0, n_patients, SHARD)
    with process_pool(processes) as pool:
        tasks = {
            pool.submit(_prepare_bodies, (n_patients, seed, version), s, spec, folder, n_bodies): s
            for s in starts
            if not _bodies(folder, s, n_bodies).exists()
        }
        for done, task in enumerate(as_completed(tasks), 1):
            task.result()
            progress(done / len(tasks), f"Simulating more ECGs: {done * SHARD} of {len(tasks) * SHARD} patients")
    of = (n_patients, seed, version)
    rows = [[_ecg_row(ecg, patient) for patient, ecg in _other_bodies(of, s, n_bodies)] for s in starts]
    kept = [np.array([row["patient_id"] in known for row in of_shard], bool) for of_shard in rows]
    signals = np.empty(
        (len(data.signals) + sum(k.sum() for k in kept), *data.signals.shape[1:]), data.signals.dtype
    )  # gigabytes: filled in place
    signals[: len(data.signals)], end = data.signals, len(data.signals)
    for start, k in zip(starts, kept, strict=True):
        signals[end : end + k.sum()], end = np.load(_bodies(folder, start, n_bodies))[k], end + k.sum()
    more = pd.DataFrame(
        [row for of_shard, k in zip(rows, kept, strict=True) for row, keep in zip(of_shard, k, strict=True) if keep]
    )
    return replace(data, ecgs=pd.concat([data.ecgs, more], ignore_index=True), signals=signals)


def _bodies(folder: Path, start: int, n_bodies: int) -> Path:
    return folder / f"bodies-{n_bodies}-{start:05d}.npy"


def _other_bodies(cohort_of: tuple[int, int, int], start: int, n_bodies: int) -> list:
    """(patient, ECG) for every other body of the training patients of one shard."""
    cohort = _cohort(cohort_of)
    patients = [
        cohort.patient(i) for i in range(start, min(start + SHARD, len(cohort))) if cohort.split_of(i) == "train"
    ]
    return [
        (patient, in_another_body(ecg, body))
        for patient in patients
        for ecg in patient.ecgs
        for body in range(1, n_bodies + 1)
    ]


def in_another_body(ecg, body: int):
    """The same heart in another chest, with other electrodes, beats and noise."""
    heart = replace(ecg.heart, body_seed=int(np.random.default_rng([*ecg.seed, body]).integers(2**31)))
    return replace(ecg, ecg_id=f"{ecg.ecg_id}-B{body}", heart=heart, seed=(*ecg.seed, body))


def _prepare_bodies(
    cohort_of: tuple[int, int, int], start: int, spec: EcgInputSpec, folder: Path, n_bodies: int
) -> None:
    """Simulate the other bodies of one shard in a process of its own."""
    signals = [prepared_ecg(ecg, spec) for _, ecg in _other_bodies(cohort_of, start, n_bodies)]
    temporary = folder / f".writing-bodies-{start}.npy"
    np.save(temporary, np.stack(signals) if signals else np.zeros((0, 12, int(10 * spec.sampling_rate_hz)), np.float16))
    temporary.replace(_bodies(folder, start, n_bodies))


def _shard(folder: Path, start: int) -> Path:
    return folder / f"patients-{start:05d}.npz"


def _load(path: Path) -> dict:
    with np.load(path, allow_pickle=False) as archive:
        return {"signals": archive["signals"], "clips": archive["clips"]}


def _visits(cohort_of: tuple[int, int, int], start: int, n_whole: int) -> list:
    """Who is in a shard of a cohort (patients, seed, version), with what: (patient, [(study, clips)])."""
    cohort, found = _cohort(cohort_of), []
    for i in range(start, min(start + SHARD, len(cohort))):
        whole = i < n_whole
        if whole or cohort.split_of(i) == "train":
            patient = cohort.patient(i)
            found.append(
                (
                    patient,
                    [
                        (study, study.clips if whole else _few_clips(study))
                        for study in patient.studies[: None if whole else 1]
                    ],
                )
            )
    return found


def _cohort(of: tuple[int, int, int]) -> "PhantomCohort":
    """The cohort of (patients, seed, version), with what is rendered of a study."""
    from echo2ecg_core.phantom.cohort import PhantomCohort

    n_patients, seed, version = of
    clips = None if version == 1 else MOST_CLIPS
    return PhantomCohort(n_patients, seed, observer_noise=True, version=version, clips=clips)


def _few_clips(study) -> tuple:
    """The first apical four-chamber clip, if there is one, and others by lot, which a study always gives the same."""
    first = [clip for clip in study.clips if clip.view == "A4C"][:1]
    others = [clip for clip in study.clips if clip not in first]
    lot = np.random.default_rng([*study.seed, 7]).permutation(len(others))[: FEW_CLIPS - len(first)]
    return (*first, *(others[i] for i in sorted(lot)))


def _ecg_row(ecg, patient) -> dict:
    return {"ecg_id": ecg.ecg_id, "patient_id": patient.patient_id, "ecg_time": str(ecg.time), "split": patient.split}


def _study_row(study, patient) -> dict:
    return {
        "study_id": study.study_id,
        "patient_id": patient.patient_id,
        "study_date": str(study.date),
        "split": patient.split,
        "sex": patient.heart.sex,
        **study.labels(),
    }


_network: "PhantomVideoNet | None" = None  # of this process


def _start_process(weights: dict | None) -> None:
    """Give this process one thread and its own copy of the clip encoder."""
    global _network
    import torch

    from echo2ecg_core.models.echo_encoder import PhantomVideoNet

    torch.set_num_threads(1)
    _network = PhantomVideoNet().eval()
    if weights is not None:
        _network.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})


def _prepare_shard(
    cohort_of: tuple[int, int, int],
    start: int,
    spec: EcgInputSpec,
    folder: Path,
    n_whole: int,
    embed: bool,
    render: bool = True,
) -> None:
    """Simulate patients start … start + SHARD - 1 in a process of its own; without `render` no clips."""
    from echo2ecg_core.training.clip_encoder import vectors_of

    assert _network is not None, "_start_process comes first"
    signals, clips = [], [] if render else [np.zeros((0, 512), np.float32)]
    for patient, studies in _visits(cohort_of, start, n_whole):
        signals += [prepared_ecg(ecg, spec) for ecg in patient.ecgs]
        for study, chosen in studies if render else ():
            pooled = np.stack([pooled_clip(study, clip) for clip in chosen])  # (v, 16, 56, 56)
            clips.append(vectors_of(_network, pooled) if embed else pooled)
    temporary = folder / f".writing-{start}.npz"
    np.savez(temporary, signals=np.stack(signals), clips=np.concatenate(clips))
    temporary.replace(_shard(folder, start))


def prepared_ecg(ecg, spec: EcgInputSpec) -> np.ndarray:
    """A whole simulated recording (12, 4000 at 400 Hz), cleaned at the model's rate, as float16."""
    from echo2ecg_core.ecg.preprocess import clean_whole
    from echo2ecg_core.phantom.cohort import ECG_RATE_HZ

    return clean_whole(ecg.signal_mv(), ECG_RATE_HZ, target_hz=spec.sampling_rate_hz, order=spec.order).astype(
        np.float16
    )


def pooled_clip(study, clip) -> np.ndarray:
    """The clip encoder's fixed first step on the 16 frames it uses of one of a `PhantomStudy`'s clips, (16, 56, 56)
    float16."""
    import torch

    from echo2ecg_core.echo.preprocess import prepare_frames

    frames = study.render(clip, every=2).frames  # (16, 224, 224, 3): what prepare_frames would keep of 32
    prepared = torch.from_numpy(prepare_frames(np.repeat(frames, 2, axis=0)))
    return _pooling().pooled(prepared[None])[0].numpy().astype(np.float16)


@cache
def _pooling() -> "PhantomVideoNet":
    """A clip encoder for its first step, which has no weights."""
    from echo2ecg_core.models.echo_encoder import PhantomVideoNet

    return PhantomVideoNet()
