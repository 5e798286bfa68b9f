"""Phantom patients as the comparison takes them, simulated in shards.

Every patient has a study, the first one, and the ECGs within a week of it; patients without such an ECG are passed
over. Of a study some clips are drawn by lot. Each part (training, validation, test) is a cohort of its own seed.
"""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from echo2ecg_core.echo.clip import VIEWS
from echo2ecg_core.evaluation.features import feature_matrix
from echo2ecg_core.models.specs import PRESETS
from echo2ecg_core.phantom.cohort import ECG_RATE_HZ, PhantomCohort, PhantomEcg, PhantomPatient
from echo2ecg_core.store.database import write_atomically
from echo2ecg_core.training.pairs import PreparedPairs
from echo2ecg_core.training.phantom_data import pooled_clip, prepared_ecg

from .ledger import Meter, Task, save_arrays
from .plan import ARMS, COHORT_SEEDS, PARTS, WITHIN_DAYS, Plan, Point

MOST_PATIENTS = 10**5  # of a cohort; how many are taken says the plan
ECG_INPUT = PRESETS["demo"].ecg_input


def patient_tasks(plan: Plan, folder: Path) -> list[Task]:
    """Who is taken."""
    return [Task(part, folder / "patients" / f"{part}.json", find_patients, (part,)) for part in PARTS]


def find_patients(plan: Plan, folder: Path, meter: Meter, output: Path, part: str) -> None:
    """The numbers of the first patients of a cohort who have an ECG within a week of their first study."""
    cohort, numbers, i = _cohort(plan, part), list[int](), 0
    while len(numbers) < plan.patients[part]:
        if near_ecgs(cohort.patient(i)):
            numbers.append(i)
        i += 1
    write_atomically(output, json.dumps(numbers).encode())


def near_ecgs(patient: PhantomPatient) -> list[PhantomEcg]:
    """The ECGs within a week of the first study."""
    day = patient.studies[0].date
    return [ecg for ecg in patient.ecgs if abs((ecg.time.date() - day).days) <= WITHIN_DAYS]


def ecg_tasks(plan: Plan, folder: Path) -> list[Task]:
    """ECGs, measured features and labels, a shard a task."""
    return shard_tasks(plan, folder, "ecgs", simulate_ecgs)


def clip_tasks(plan: Plan, folder: Path) -> list[Task]:
    """Pooled clips, a shard a task."""
    return shard_tasks(plan, folder, "clips", render_clips)


def simulate_ecgs(plan: Plan, folder: Path, meter: Meter, output: Path, part: str, start: int) -> None:
    """ECGs of one shard, cleaned at the network's rate, features of the recordings, labels of the studies and what the
    hearts really are."""
    signals, features, owner, labels, truths = [], [], [], [], []
    for number, patient in _people(plan, folder, part, start):
        study = patient.studies[0]
        labels.append({**study.labels(), "sex": study.heart.sex})
        truths.append(study.heart.labels(None, plan.version)["lvef"])
        for ecg in near_ecgs(patient):
            signals.append(prepared_ecg(ecg, ECG_INPUT))
            features.append((ecg.signal_mv(), ECG_RATE_HZ))
            owner.append(number)
    table = pd.DataFrame(labels)
    save_arrays(
        output,
        signals=np.stack(signals),
        features=feature_matrix(features).astype(np.float32),
        ecg_of=np.array(owner),
        labels=np.array(table.to_json(orient="split")),
        lvef_true=np.array(truths),
    )


def render_clips(plan: Plan, folder: Path, meter: Meter, output: Path, part: str, start: int) -> None:
    """The clips of one shard that the lot takes, after the clip encoder's fixed first step."""
    pooled, views, qualities, owner = [], [], [], []
    for number, patient in _people(plan, folder, part, start):
        study = patient.studies[0]
        for clip in drawn_clips(study, plan.clips):
            pooled.append(pooled_clip(study, clip))
            views.append(clip.view)
            qualities.append(clip.quality)
            owner.append(number)
        meter.tick()
    save_arrays(
        output,
        pooled=np.stack(pooled),
        view=np.array([list(VIEWS).index(view) for view in views]),
        quality=np.array(qualities, np.float32),
        clip_of=np.array(owner),
    )


def drawn_clips(study, n: int) -> list:
    """`n` clips of a study by lot, which it always gives the same, in order of recording; an A4C among them where the
    study has one."""
    clips = study.clips
    lot = [clips[i] for i in np.random.default_rng([*study.seed, 41]).permutation(len(clips))]
    first = next((clip for clip in lot if clip.view == "A4C"), None)
    taken = [clip for clip in lot if clip is first] + [clip for clip in lot if clip is not first]
    return sorted(taken[:n], key=lambda clip: clip.number)


def _cohort(plan: Plan, part: str) -> PhantomCohort:
    return PhantomCohort(MOST_PATIENTS, COHORT_SEEDS[plan.version][part], observer_noise=True, version=plan.version)


def _people(plan: Plan, folder: Path, part: str, start: int):
    """(Number within the part, patient) of one shard."""
    numbers = json.loads((folder / "patients" / f"{part}.json").read_text())
    cohort = _cohort(plan, part)
    for place, i in enumerate(numbers[start : start + plan.shard], start):
        yield place, cohort.patient(i)


def shard_tasks(plan: Plan, folder: Path, kind: str, work: Callable) -> list[Task]:
    """A task a shard, told its part and first patient, for files in the folder `kind`."""
    return [
        Task(f"{part}-{start}", folder / kind / f"{part}-{start:05d}.npz", work, (part, start))
        for part in PARTS
        for start in range(0, plan.patients[part], plan.shard)
    ]


@dataclass(frozen=True, eq=False)
class Part:
    """All patients of one part; `*_of` say whose, as numbers from 0.

    Attributes:
        labels: One row a patient: what the laboratory wrote, and sex.
        lvef_true: (n,) of the hearts.
        signals, ecg_of, features: (e, 12, t) float16, (e,), (e, f).
        vectors, clip_of, view, quality: (c, 512), (c,) each.
    """

    labels: pd.DataFrame
    lvef_true: np.ndarray
    signals: np.ndarray
    ecg_of: np.ndarray
    features: np.ndarray
    vectors: np.ndarray
    clip_of: np.ndarray
    view: np.ndarray
    quality: np.ndarray

    def clips_of(self, views: tuple[int, ...] | None = None) -> list[np.ndarray]:
        """The rows of the clips of every patient, only of these views."""
        wanted = np.ones(len(self.view), bool) if views is None else np.isin(self.view, views)
        rows = np.flatnonzero(wanted)
        ends = np.searchsorted(self.clip_of[rows], np.arange(len(self.labels) + 1))
        return [rows[a:b] for a, b in zip(ends[:-1], ends[1:], strict=True)]

    def pairs(self, arm: str, patients: np.ndarray | None = None) -> PreparedPairs:
        """What an arm trains on; a patient without a clip of its views is left out.

        Args:
            arm: Of `ARMS`.
            patients: Only these numbers; None: all.
        """
        clips_of = self.clips_of(ARMS[arm].views)
        wanted = np.array([len(rows) > 0 for rows in clips_of])
        if patients is not None:
            wanted &= np.isin(np.arange(len(wanted)), patients)
        rows = np.flatnonzero(wanted[self.ecg_of])
        return PreparedPairs(
            self.signals, self.vectors, clips_of, np.stack([self.ecg_of[rows], rows, self.ecg_of[rows]], 1)
        )

    def of_point(self, point: Point) -> np.ndarray:
        """The numbers of the patients of a point of the curves: the first ones, or those whose clips are on average
        best or poorest."""
        n = min(point.patients, len(self.labels))
        if point.quality == "any":
            return np.arange(n)
        sizes = np.bincount(self.clip_of, minlength=len(self.labels))
        mean = np.bincount(self.clip_of, self.quality, len(self.labels)) / np.maximum(sizes, 1)
        order = np.argsort(mean, kind="stable")
        return np.sort(order[-n:] if point.quality == "best" else order[:n])


@lru_cache(maxsize=3)
def load_part(folder: Path, part: str) -> Part:
    """One part of a folder in which it is whole; kept in this process."""
    labels = [
        pd.read_json(io.StringIO(str(text)), orient="split") for text in _shard_arrays(folder, "ecgs", part, "labels")
    ]
    return Part(
        pd.concat(labels, ignore_index=True),
        *(
            np.concatenate(_shard_arrays(folder, "ecgs", part, key))
            for key in ("lvef_true", "signals", "ecg_of", "features")
        ),
        np.concatenate(_shard_arrays(folder, "clip-vectors", part, "vectors")),
        *(np.concatenate(_shard_arrays(folder, "clips", part, key)) for key in ("clip_of", "view", "quality")),
    )


def _shard_arrays(folder: Path, kind: str, part: str, key: str) -> list[np.ndarray]:
    found = []
    for path in sorted((folder / kind).glob(f"{part}-*.npz")):
        with np.load(path, allow_pickle=False) as archive:
            found.append(archive[key])
    return found
