"""Cohorts of phantom patients: who comes when with which heart, and `write_cohort` that makes real files of them.

Every patient depends on (seed, number) alone, so any part of a cohort can be drawn, streamed or written without the
rest, in any order and on any number of processes, with the same bytes. Ids and dates are fictitious; no ECG file
holds a label. How single files look stands in files.py.

There are three versions, drawn by their number. Version 1 has one sharp clip of each of eight views and exact labels;
what was measured on it can be repeated bit for bit. Version 2 has studies as laboratories record them (protocol.py,
recording.py): 20 to 60 clips, windows of every quality, and labels of one reader. Version 3 is version 2 with other
numbers (recording.MOVING, ecg_parameters.THIRD, anatomy.OBSERVER_SD_3). Ask all the same way:
`for clip in study.clips: study.render(clip)`; `study.views` are the views that are there.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import partial
from pathlib import Path

import numpy as np

from echo2ecg_core import processes
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.phantom import files, hospital
from echo2ecg_core.phantom.ecg import simulate_ecg
from echo2ecg_core.phantom.echo import PHANTOM_VIEWS, PhantomClip, render_clip
from echo2ecg_core.phantom.heart import Heart, at_another_visit, draw_heart
from echo2ecg_core.phantom.protocol import StudyClip, draw_clips
from echo2ecg_core.phantom.recording import render_study_clip

ECG_RATE_HZ = 500.0
ECG_DURATION_S = 10.0
CORE_VIEWS = ("A4C", "A2C", "Parasternal_Long", "Parasternal_Short")
FIRST_DAY = date(2021, 1, 4)
VERSIONS = (1, 2, 3)


@dataclass(frozen=True)
class PhantomEcg:
    """One ECG visit.

    Attributes:
        ecg_id: E.g. "P00001-E1". patient_id: Whose.
        time: When it was recorded.
        heart: The heart on that day.
        seed: Of electrode places, beats and noise.
        version: Of the phantom.
    """

    ecg_id: str
    patient_id: str
    time: datetime
    heart: Heart
    seed: tuple[int, ...]
    version: int = 1

    def signal_mv(self) -> np.ndarray:
        """(12, 5000) float32 in mV at `ECG_RATE_HZ`, simulated afresh and always the same."""
        rng = np.random.default_rng(self.seed)
        return simulate_ecg(self.heart, rng, ECG_DURATION_S, ECG_RATE_HZ, version=self.version)


@dataclass(frozen=True)
class PhantomStudy:
    """One echo visit.

    Attributes:
        study_id: E.g. "P00001-S1". patient_id: Whose.
        date: When.
        heart: The heart on that day.
        clips: What was recorded, in order; render each with `render`.
        seed: Of probe, machine and observer.
        observer_noise: Whether `labels` carry inter-observer noise.
        version: Of the phantom.
    """

    study_id: str
    patient_id: str
    date: date
    heart: Heart
    clips: tuple[StudyClip, ...]
    seed: tuple[int, ...]
    observer_noise: bool = False
    version: int = 1

    @property
    def views(self) -> tuple[str, ...]:
        """The views of the clips, each once, in the order of the first clip of each."""
        return tuple(dict.fromkeys(clip.view for clip in self.clips))

    def labels(self) -> dict[str, float]:
        """What the echo laboratory writes down, by phenotype field name."""
        observer = np.random.default_rng([*self.seed, 99]) if self.observer_noise else None
        return self.heart.labels(observer, self.version)

    def render(self, clip: StudyClip | str, every: int = 1, n_frames: int = 32, size: int = 224) -> PhantomClip:
        """One clip, rendered afresh and always the same.

        Args:
            clip: One of `clips`, or a view: its first clip.
            every: 2 gives the even frames.
            n_frames: Frames of the whole clip.
            size: Height and width in pixels; 112 takes a third of the time.

        Raises:
            KeyError: The study has no clip of this view.
        """
        if isinstance(clip, str):
            of_view = [each for each in self.clips if each.view == clip]
            if not of_view:
                raise KeyError(f"The study {self.study_id} has no clip of the view {clip}; it has {self.views}.")
            clip = of_view[0]
        if self.version == 1:
            rng = np.random.default_rng([*self.seed, PHANTOM_VIEWS.index(clip.view)])
            return render_clip(self.heart, clip.view, rng, n_frames, every, size)
        rng = np.random.default_rng([*self.seed, 3, clip.number])
        return render_study_clip(self.heart, clip, rng, n_frames, every, size, self.version)


@dataclass(frozen=True)
class PhantomPatient:
    """One patient: fictitious id, split, heart at the first visit, echo studies and ECGs in order of time."""

    patient_id: str
    split: str
    heart: Heart
    studies: tuple[PhantomStudy, ...]
    ecgs: tuple[PhantomEcg, ...]


class PhantomCohort:
    """A cohort of `n_patients`, drawn one by one on demand.

    Args:
        n_patients: How many patients there are.
        seed: Of the whole cohort; patient i of two cohorts with one seed is the same whatever their sizes.
        observer_noise: Give labels inter-observer noise; None: in version 2, not in version 1.
        version: Of the phantom, one of `VERSIONS`.
        clips: A study keeps at most so many (`some_clips`); None: all. What is kept is the same pixel by pixel.

    Raises:
        Echo2ECGError: There is no such version.
    """

    def __init__(
        self,
        n_patients: int,
        seed: int,
        observer_noise: bool | None = None,
        version: int = 1,
        clips: int | None = None,
    ):
        if version not in VERSIONS:
            raise Echo2ECGError(
                f"There is no version {version} of the phantom; there are {', '.join(map(str, VERSIONS))}.",
                "Choose one of these.",
            )
        self.n_patients, self.seed, self.version, self.clips = n_patients, seed, version, clips
        self.observer_noise = version > 1 if observer_noise is None else observer_noise

    def __len__(self) -> int:
        return self.n_patients

    def split_of(self, i: int) -> str:
        """Split of patient i without drawing the patient: 70 % train, 15 % validation, 15 % test, by hash of the id."""
        share = int(hashlib.sha256(_patient_id(i).encode()).hexdigest()[:8], 16) / 2**32
        return "train" if share < 0.70 else "validation" if share < 0.85 else "test"

    def patient(self, i: int) -> PhantomPatient:
        """Patient i (from 0); equal for equal (seed, i)."""
        if not 0 <= i < self.n_patients:
            raise IndexError(f"The cohort has patients 0 to {self.n_patients - 1}; there is no patient {i}.")
        rng = np.random.default_rng([self.seed, i])
        heart = draw_heart(rng)
        studies = _draw_studies(rng, heart, i, self)
        return PhantomPatient(_patient_id(i), self.split_of(i), heart, studies, _draw_ecgs(rng, studies, i, self))


def _patient_id(i: int) -> str:
    return f"P{i + 1:05d}"


def _draw_studies(rng: np.random.Generator, heart: Heart, i: int, cohort: PhantomCohort) -> tuple[PhantomStudy, ...]:
    """One study, or for three patients in ten a second one one month to one and a half years later."""
    day, studies = FIRST_DAY + timedelta(days=int(rng.integers(0, 1400))), []
    for number in range(2 if rng.random() < 0.3 else 1):
        if number:
            days = int(rng.integers(30, 540))
            day, heart = (
                day + timedelta(days=days),
                at_another_visit(replace(heart, age_years=heart.age_years + days / 365.25), rng),
            )
        seed, patient_id = (cohort.seed, i, 1, number), _patient_id(i)
        views = _draw_views(rng)  # by version 2 as well: one draw of hearts and visits for both
        clips = _a_clip_a_view(views) if cohort.version == 1 else draw_clips(heart, np.random.default_rng([*seed, 5]))
        if cohort.clips is not None:
            clips = some_clips(clips, cohort.clips, np.random.default_rng([*seed, 43]))
        study_id = f"{patient_id}-S{number + 1}"
        studies.append(
            PhantomStudy(study_id, patient_id, day, heart, clips, seed, cohort.observer_noise, cohort.version)
        )
    return tuple(studies)


def _draw_views(rng: np.random.Generator) -> tuple[str, ...]:
    """Version 1: the core views are always there, each other one in three of four studies; at least five."""
    optional = [view for view in PHANTOM_VIEWS if view not in CORE_VIEWS]
    taken = [view for view in optional if rng.random() < 0.75] or [optional[int(rng.integers(len(optional)))]]
    return tuple(view for view in PHANTOM_VIEWS if view in CORE_VIEWS or view in taken)


def some_clips(clips: tuple[StudyClip, ...], n: int, rng: np.random.Generator) -> tuple[StudyClip, ...]:
    """`n` clips in their order, by lot: first one of each core view that is there, then one of each other view, then
    any."""
    lot = [clips[i] for i in rng.permutation(len(clips))]
    views = dict.fromkeys((*CORE_VIEWS, *(clip.view for clip in lot)))
    first = [clip for view in views if (clip := next((c for c in lot if c.view == view), None))]
    taken = [*first, *(clip for clip in lot if clip not in first)][:n]
    return tuple(sorted(taken, key=lambda clip: clip.number))


def _a_clip_a_view(views: tuple[str, ...]) -> tuple[StudyClip, ...]:
    return tuple(
        StudyClip(n, view, "colour" if "Doppler" in view else "grey", 1.0, view) for n, view in enumerate(views, 1)
    )


def _draw_ecgs(
    rng: np.random.Generator, studies: tuple[PhantomStudy, ...], i: int, cohort: PhantomCohort
) -> tuple[PhantomEcg, ...]:
    """One to three ECGs, each around a study: mostly within a week, some up to three months apart.

    The heart is that of the study with the rate of the day (6 bpm standard deviation between visits at rest).
    """
    visits = []
    for number in range(int(rng.choice((1, 2, 3), p=(0.45, 0.35, 0.20)))):
        study = studies[0] if number == 0 else studies[int(rng.integers(len(studies)))]
        days = int(rng.integers(-2, 8)) if rng.random() < 0.7 else int(rng.integers(-90, 91))
        minute = int(rng.integers(7 * 60, 19 * 60))
        when = datetime.combine(study.date + timedelta(days=days), time()) + timedelta(minutes=minute)
        rate = float(np.clip(study.heart.heart_rate_bpm + rng.normal(0, 6), 42, 150))
        visits.append((when, replace(study.heart, heart_rate_bpm=rate)))
    visits.sort(key=lambda visit: visit[0])
    return tuple(
        PhantomEcg(
            f"{_patient_id(i)}-E{number + 1}", _patient_id(i), when, heart, (cohort.seed, i, 2, number), cohort.version
        )
        for number, (when, heart) in enumerate(visits)
    )


def write_ecg(ecg: PhantomEcg, folder: Path) -> Path:
    """Writes one ECG as WFDB files into `folder` (made when missing) and gives the header's path."""
    return files.write_wfdb(ecg, folder)


def write_cohort(
    out: Path, n_patients: int, seed: int, format: str = "mp4", ecg_only: bool = False, jobs: int = 1,
    progress: Callable[[int, int, str], None] | None = None, patients: Sequence[int] | None = None,
    observer_noise: bool | None = None, version: int = 1, clips: int | None = None,
) -> Path:  # fmt: skip
    """A cohort as files: manifest, ECGs of everybody, tables, then echo clips. What is there already is kept.

    Args:
        out: Folder; holds `ecg/PATIENT/`, `echo/PATIENT/STUDY/`, `labels.csv`, `ecgs.csv`, `latents.csv`,
            `manifest.json`.
        n_patients, seed, observer_noise, version, clips: Of the cohort.
        format: "mp4" or "dicom", of the clips; "hospital": everything as a hospital exports it (hospital.py), in other
            folders than these.
        ecg_only: Leave the clips out.
        jobs: Processes.
        progress: Told (done, total, message) after each patient's ECGs and each study.
        patients: Only these patients of the cohort, by number from 0.

    Returns:
        `out`.

    Raises:
        Echo2ECGError: The format or the version is unknown, or the folder holds another cohort.
    """
    out = Path(out)
    cohort = PhantomCohort(n_patients, seed, observer_noise, version, clips)
    chosen = list(range(n_patients)) if patients is None else sorted(patients)
    facts = {"n_patients": n_patients, "seed": seed, "format": format, "observer_noise": cohort.observer_noise}
    facts |= ({"version": version} if version > 1 else {}) | ({} if clips is None else {"clips": clips})
    files.claim_folder(out, facts)
    drawn = [cohort.patient(i) for i in chosen]
    writer = hospital if format == "hospital" else files
    tasks = [partial(writer.write_patient_ecgs, out, cohort, i) for i in chosen]
    total = len(tasks) + (0 if ecg_only else sum(len(patient.studies) for patient in drawn))
    report = progress or (lambda done, total, message: None)
    with processes.pool(jobs) if jobs > 1 else nullcontext() as pool:
        for done, patient_id in enumerate(_each(tasks, pool), 1):
            report(done, total, f"ECGs of {patient_id}")
        writer.write_tables(out, drawn)
        if not ecg_only:
            tasks = [
                partial(writer.write_study, out, cohort, i, n, format)
                for i, p in zip(chosen, drawn, strict=True)
                for n in range(len(p.studies))
            ]
            for done, study_id in enumerate(_each(tasks, pool), 1 + len(chosen)):
                report(done, total, f"Echo study {study_id}")
    return out


def _each(tasks: list[partial], pool: ProcessPoolExecutor | None) -> Iterator[str]:
    """Results of the tasks in order, from the pool or from this process."""
    if pool is None:
        yield from (task() for task in tasks)
    else:
        yield from (future.result() for future in [pool.submit(task) for task in tasks])
