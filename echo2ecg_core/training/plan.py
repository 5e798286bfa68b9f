"""What a training would take, told before it starts: pairs, patients, steps, seconds of each phase, disk; no torch.

Seconds follow what earlier runs of this workspace measured, phase by phase, else references of two CPU cores. The run
itself asks the same functions, so that page and progress bar cannot disagree.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from echo2ecg_core.errors import Echo2ECGError, StoreError
from echo2ecg_core.phenotypes import PHENOTYPES
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.paths import runs_folder
from echo2ecg_core.store.splits import PATIENT_SPLITS
from echo2ecg_core.store.times import nearest_in_time
from echo2ecg_core.training.data import MOST_S, fills_a_window, visits
from echo2ecg_core.training.frozen_clip_encoder import clip_encoder_card, vectors_without_encoder
from echo2ecg_core.training.pairs import find_pairs
from echo2ecg_core.training.settings import TrainingSettings, training_settings
from echo2ecg_core.training.unlabelled import count_unlabelled

PLANNED = 400  # patients of a phantom cohort that a plan looks at
TIMINGS_FILE = "timings.json"  # of a run: phase -> seconds for one ECG (of preparing and readouts), as measured
REFERENCE_PAIRS_PER_S = {"demo": 110.0, "paper": 12.0}  # two CPU cores, until a run of this machine tells better
REFERENCE_S = {  # seconds an ECG, likewise
    "demo": {"prepare": 0.015, "readouts": 0.03},
    "paper": {"prepare": 0.015, "readouts": 0.2},
}
PATIENT_S = {1: 0.25, 2: 0.4}  # to simulate one patient of a phantom with the clips that train, likewise
LEAST_READOUTS_S = 30.0  # bootstraps and solvers, however few ECGs


@dataclass(frozen=True)
class Phases:
    """Seconds that preparing data, the epochs, and readouts with their test are expected to take."""

    prepare: float
    train: float
    readouts: float

    @property
    def seconds(self) -> float:
        """All of them."""
        return self.prepare + self.train + self.readouts

    @property
    def shares(self) -> tuple[float, float]:
        """Shares of the whole at which preparing ends and the epochs end; each has three hundredths at least."""
        seconds = np.array([self.prepare, self.train, self.readouts])
        seconds = np.maximum(seconds, 0.03 * seconds.sum())
        first, second = (np.cumsum(seconds) / seconds.sum())[:2]
        return float(first), float(second)


@dataclass(frozen=True)
class TrainingPlan:
    """What a training would take: pairs and patients by split, optimiser steps, seconds (and of each phase), bytes on
    disk, notes in words. Without echo a pair is an ECG."""

    pairs: int
    patients: int
    validation_pairs: int
    validation_patients: int
    steps: int
    seconds: float
    disk_bytes: int
    notes: tuple[str, ...] = ()
    phases: Phases = Phases(0.0, 0.0, 0.0)


def plan_training(workspace: Workspace, preset: str, overrides: Mapping | None = None) -> TrainingPlan:
    """What a training would take, told before it starts; quick, without torch.

    Raises:
        Echo2ECGError: settings that cannot be, or nothing to train on.
    """
    settings = training_settings(preset, overrides)
    run = settings.run
    ecgs, studies, each, notes = (
        _phantom_visits(settings) if settings.patients else _workspace_visits(workspace, settings)
    )
    counts = {split: _count(ecgs, studies, split, settings, each) for split in ("train", "validation")}
    added = dict.fromkeys(counts, 0)
    if settings.unlabelled:
        added = {s: count_unlabelled(workspace, settings.unlabelled, s, settings.spec.ecg_input) for s in counts}
        counts = {split: (pairs + added[split], patients) for split, (pairs, patients) in counts.items()}
        notes += (f"{added['train']:,} ECGs without labels are learnt from as well ({settings.unlabelled}).",)
    n = counts["train"][0] if run.epoch_of == "pairs" else counts["train"][1]
    steps = n // (min(run.batch_size, n) * run.accumulate) * run.epochs
    if steps == 0:
        raise Echo2ECGError(
            f"There are {n} training {run.epoch_of}, fewer than one step needs ({run.batch_size} x {run.accumulate}).",
            "Use a smaller batch or more data.",
        )
    if not settings.patients and (why := why_no_readouts(ecgs, studies, settings.within_days)):
        notes += (why,)
    bodies = settings.bodies if settings.patients else 0
    n_ecgs = round(each * (1 + bodies) * len(ecgs)) + sum(added.values())
    phases, measured = _phases(workspace, settings, n, n_ecgs)
    if not measured:
        notes += ("The time is that of two CPU cores; the first run on this machine corrects it.",)
    samples = int(MOST_S * settings.spec.ecg_input.sampling_rate_hz)
    return TrainingPlan(
        *counts["train"],
        *counts["validation"],
        steps,
        phases.seconds,
        n_ecgs * 12 * samples * 2 + 60_000_000,
        notes,
        phases,
    )


def expected_phases(workspace: Workspace, preset: str, overrides: Mapping | None = None) -> Phases:
    """Seconds of each phase as planned; a guess where nothing can be planned (a run that goes on although the workspace
    has changed)."""
    try:
        return plan_training(workspace, preset, overrides).phases
    except Echo2ECGError:
        return Phases(60.0, 600.0, 60.0)


def why_no_readouts(ecgs: pd.DataFrame, studies: pd.DataFrame, within_days: float) -> str:
    """Why no readout can be fitted after a training on these ECGs and studies, in one sentence; "" where one can."""
    from echo2ecg_core.training.readouts import LEAST

    labelled = nearest_in_time(ecgs, studies, within_days) if len(studies) else pd.DataFrame(columns=["split"])
    table = labelled.merge(studies.drop(columns=["patient_id", "split"]), on="study_id") if len(labelled) else labelled
    names = [name for name in PHENOTYPES if name in table]
    found = {
        name: {split: int(table.loc[table.split == split, name].notna().sum()) for split in PATIENT_SPLITS}
        for name in names
    }
    if any(all(n[split] >= LEAST[split] for split in PATIENT_SPLITS) for n in found.values()):
        return ""
    most = {split: max((n[split] for n in found.values()), default=0) for split in PATIENT_SPLITS}
    return (
        "The model will be kept without readouts: no phenotype is measured in enough ECGs of every split (needed "
        f"{', '.join(f'{n} {split}' for split, n in LEAST.items())}; there are at most "
        f"{', '.join(f'{n} {split}' for split, n in most.items())}, within {within_days:g} days)."
    )


def left_out_words(n: int, of: int, window_s: float) -> str:
    """That some ECGs are not learnt from, in one sentence; "" where all are."""
    if not n:
        return ""
    return f"{n:,} of {of:,} ECGs are left out: shorter than one window of {window_s:.2f} s, or not to be cleaned."


def _count(
    ecgs: pd.DataFrame, studies: pd.DataFrame, split: str, settings: TrainingSettings, each: float
) -> tuple[int, int]:
    """Pairs (ECGs, where no echo is read) and patients of a split.

    Raises:
        StoreError: there are none.
    """
    if settings.run.objective == "masked":
        table = ecgs[ecgs.split == split]
        if table.empty:
            raise StoreError(f"No {split} patient has an ECG.", "Import ECGs of patients in every split.")
    else:
        table = find_pairs(ecgs, studies[studies.split == split], settings.within_days)
    return round(each * len(table)), round(each * table.patient_id.nunique())


def _phantom_visits(settings: TrainingSettings):
    """Visits of patients spread over the phantom cohort, and how many patients each stands for, so that the answer is
    quick."""
    from echo2ecg_core.phantom.cohort import PhantomCohort

    cohort = PhantomCohort(settings.patients, settings.cohort_seed, version=settings.phantom)
    n_whole = settings.whole_patients or settings.patients
    chosen = np.unique(np.linspace(0, settings.patients - 1, min(settings.patients, PLANNED)).astype(int))
    patients = [(cohort.patient(int(i)), i < n_whole) for i in chosen]
    ecgs = pd.DataFrame(
        [
            {"ecg_id": e.ecg_id, "patient_id": p.patient_id, "ecg_time": str(e.time), "split": p.split}
            for p, _ in patients
            for e in p.ecgs
        ]
    )
    studies = pd.DataFrame(
        [
            {"study_id": s.study_id, "patient_id": p.patient_id, "study_date": str(s.date), "split": p.split}
            for p, whole in patients
            for s in p.studies[: None if whole else 1]
            if whole or p.split == "train"
        ]
    )
    notes = ("Pairs are counted on some of the simulated patients.",) if len(chosen) < settings.patients else ()
    return (
        ecgs,
        studies,
        settings.patients / len(chosen),
        ("The phantom cohort is simulated first, which takes most of a short run.", *notes),
    )


def _workspace_visits(workspace: Workspace, settings: TrainingSettings):
    """ECGs that fill a window and studies of a workspace, 1, and what there is to say of them."""
    spec = settings.spec.ecg_input
    ecgs, studies = visits(workspace, settings.cohort)
    alone = settings.run.objective == "masked"
    if ecgs.empty or (studies.empty and not alone):
        needs = "training needs ECGs" if alone else "training needs both"
        raise Echo2ECGError(
            f"The workspace has {len(ecgs)} ECGs and {len(studies)} studies; {needs}.", "Import an archive first."
        )
    enough = fills_a_window(ecgs, spec)
    left_out = left_out_words(int((~enough).sum()), len(ecgs), spec.n_samples / spec.sampling_rate_hz)
    notes: tuple[str, ...] = (left_out,) if left_out else ()
    name = None if alone else vectors_without_encoder(workspace, settings)
    if name:
        notes += (f"Clips are read as the stored vectors of {name}, which is no model of this workspace.",)
    of_model = settings.clip_encoder != "new" and not alone and not name
    card = clip_encoder_card(workspace, settings) if of_model else None
    if card is not None and not card.active:
        notes += (f"Clips are embedded by the clip encoder of {card.name} {card.model_id}.",)
    return ecgs[enough], studies, 1.0, notes


def _phases(workspace: Workspace, settings: TrainingSettings, pairs: int, ecgs: int) -> tuple[Phases, bool]:
    """Seconds of every phase, and whether this machine has measured the epochs."""
    speed, known = _pairs_per_s(workspace, settings)
    of_ecg = REFERENCE_S[settings.preset] | _timings(workspace, settings)
    rendered = 0.0 if settings.run.objective == "masked" else settings.patients * PATIENT_S[settings.phantom]
    return (
        Phases(
            rendered + ecgs * of_ecg["prepare"],
            pairs * settings.run.epochs / speed,
            LEAST_READOUTS_S + min(ecgs, 20_000) * of_ecg["readouts"],  # of each split 10,000 at most are embedded
        ),
        known,
    )


def _of_runs(workspace: Workspace, settings: TrainingSettings, file: str):
    """The text of a file of every run with the same preset, the latest first."""
    for path in sorted(runs_folder(workspace).glob(f"run-*/{file}"), reverse=True):
        try:
            if json.loads((path.parent / "settings.json").read_text())["preset"] == settings.preset:
                yield path.read_text()
        except (OSError, ValueError, KeyError):
            continue  # a run that was stopped before its first line


def _timings(workspace: Workspace, settings: TrainingSettings) -> dict[str, float]:
    for text in _of_runs(workspace, settings, TIMINGS_FILE):
        try:
            return {name: float(seconds) for name, seconds in json.loads(text).items()}
        except (ValueError, TypeError, AttributeError):
            continue
    return {}


def _pairs_per_s(workspace: Workspace, settings: TrainingSettings) -> tuple[float, bool]:
    """Pairs a second of this workspace's latest run with the same preset, or a reference, and whether it was measured
    here."""
    for text in _of_runs(workspace, settings, "metrics.jsonl"):
        try:
            return float(json.loads(text.splitlines()[-1])["pairs_per_s"]), True
        except (ValueError, KeyError, IndexError):
            continue
    return REFERENCE_PAIRS_PER_S[settings.preset], False
