"""The phantom demo: the shipped model and a sample of its cohort, written as real files and read back like anyone's.

The workspace holds patients of all three splits of the cohort that the shipped manifest names. Everything is made by
the same readers, catalog and networks as real data; stopping and starting repeats nothing. A workspace that an earlier
version filled keeps its patients and its model, and says so.
"""

import json
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from echo2ecg_core.errors import ModelError, StoreError
from echo2ecg_core.progress import Progress, silent
from echo2ecg_core.settings import PROJECT
from echo2ecg_core.store import jobs
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace, write_atomically
from echo2ecg_core.store.model_registry import ModelCard, ModelRegistry, read_manifest
from echo2ecg_core.store.paths import READOUTS_FILE, report_path

if TYPE_CHECKING:
    from echo2ecg_core.phantom.cohort import PhantomCohort

SHIPPED_MODEL = PROJECT / "assets" / "models" / "demo-multiview"
SHIPPED_REPORT = PROJECT / "assets" / "models" / "demo-multiview-report"  # made by benchmarks/demo_report.py
COHORT = "Phantom demo"
ARCHIVE = "demo"  # folder of its files in the workspace
DEMO_PATIENTS = {"test": 130, "validation": 55, "train": 55}
EXAMPLES = (
    ("sinus", "Sinus rhythm", "regular rhythm, narrow QRS"),
    ("lbbb", "Left bundle branch block", "wide QRS, simulated conduction delay"),
    ("af", "Atrial fibrillation", "no P waves, irregular"),
)


@dataclass(frozen=True)
class DemoCohort:
    """The phantom cohort that a demo is a sample of; `clips`: as many of a study at most, None: all."""

    n_patients: int = 4000
    seed: int = 2026
    version: int = 1
    clips: int | None = None

    def people(self) -> "PhantomCohort":
        """Its patients, with labels as observers write them down."""
        from echo2ecg_core.phantom.cohort import PhantomCohort

        return PhantomCohort(observer_noise=True, **asdict(self))


EARLIER = {  # what earlier versions shipped: SHA-256 of the model -> its cohort
    "b3c76aa8c56f2055d7f61ce284b4a6e1f153f25accaa5e9056f36621276fae2c": DemoCohort(),
}


@dataclass(frozen=True)
class Example:
    """One ECG to try: `path` is the WFDB header beside its signal file."""

    title: str
    description: str
    path: Path


def open_workspace(workspace: Workspace) -> ModelCard:
    """Make sure that a workspace has a catalog and an active model, taking the shipped one if there is none; fast.

    A shipped model that an earlier version of the program brought gets the readouts that ship now.
    """
    registry = ModelRegistry(workspace)
    try:
        card = registry.active()
    except ModelError:
        if not (SHIPPED_MODEL / "manifest.json").is_file():
            raise
        card = registry.register(SHIPPED_MODEL)
        _take_report(workspace, card)
        return registry.promote(card.model_id)
    with suppress(ModelError):  # a damaged manifest is told where the model is used
        _renew_readouts(card)
    return card


def _renew_readouts(card: ModelCard) -> None:
    """Give the shipped model the readouts and test figures that ship now, unless they were fitted in this workspace.

    The network stays, but how ECGs are cleaned may have changed since, and readouts belong to one cleaning.
    """
    shipped = SHIPPED_MODEL / "manifest.json"
    if not shipped.is_file():
        return
    own, new = card.manifest(), read_manifest(SHIPPED_MODEL)
    is_shipped = own["sha256"] == new["sha256"] and "fitted_in" not in own.get("readouts", {})
    if is_shipped and own.get("test") != new.get("test"):
        write_atomically(card.folder / READOUTS_FILE, (SHIPPED_MODEL / READOUTS_FILE).read_bytes())
        write_atomically(card.folder / "manifest.json", shipped.read_bytes())


def _take_report(workspace: Workspace, card: ModelCard) -> None:
    """Give a workspace the evaluation that ships with the model, on all patients of its cohort, unless it has one."""
    target = report_path(workspace, card.model_id)
    if target.exists() or not (SHIPPED_REPORT / target.name).is_file():
        return
    if json.loads((SHIPPED_REPORT / target.name).read_bytes())["model"]["id"] == card.model_id:
        for file in sorted(
            SHIPPED_REPORT.iterdir(), key=lambda f: f.name == target.name
        ):  # the report last: it is looked for
            write_atomically(target.with_name(file.name), file.read_bytes())


def ensure_demo(workspace: Workspace) -> None:
    """Open the workspace and, where it holds nothing yet, queue the demo job and start a worker for open jobs; fast.

    A demo that failed goes on, as often as the server starts; one that a person stopped does not.
    """
    open_workspace(workspace)
    if not jobs.jobs(workspace) and not is_complete(workspace):
        jobs.queue(workspace, "demo")
    retry_demo(workspace)
    if jobs.jobs(workspace, open_only=True):
        jobs.start_worker(workspace)


def failed_demo(workspace: Workspace) -> jobs.Job | None:
    """The demo job when it failed and nothing else has filled the workspace since; None otherwise."""
    last = next((job for job in jobs.jobs(workspace) if job.kind == "demo"), None)
    is_ours = not set(Catalog(workspace).cohorts()) - {COHORT}
    return last if last and last.state == "failed" and is_ours and not is_complete(workspace) else None


def retry_demo(workspace: Workspace) -> None:
    """Let a failed demo go on where it was; nothing when none failed."""
    failed = failed_demo(workspace)
    if failed is None:
        return
    with suppress(StoreError):  # another server or visitor was first
        jobs.resume(workspace, failed.job_id)
    jobs.start_worker(workspace)


def is_complete(workspace: Workspace) -> bool:
    """True when the workspace holds data: a finished demo, or an archive that somebody imported."""
    return workspace.exists() and (
        any(j.kind == "demo" and j.state == "done" for j in jobs.jobs(workspace))
        or Catalog(workspace).counts()["studies"] > 0
        and not any(j.kind == "demo" for j in jobs.jobs(workspace))
    )


def shipped_cohort() -> DemoCohort:
    """The cohort that the shipped model is shown and judged on."""
    return DemoCohort(**read_manifest(SHIPPED_MODEL).get("demo", {}))


def cohort_of(workspace: Workspace) -> DemoCohort:
    """The cohort of a workspace's demo: what its archive holds, else what belongs to its model."""
    try:
        found = json.loads((workspace.folder / ARCHIVE / "manifest.json").read_bytes())
        return DemoCohort(found["n_patients"], found["seed"], found.get("version", 1), found.get("clips"))
    except (OSError, ValueError, KeyError):
        pass
    with suppress(ModelError):
        return EARLIER.get(ModelRegistry(workspace).active().sha256, shipped_cohort())
    return shipped_cohort()


def earlier_demo(workspace: Workspace) -> str:
    """That a workspace holds the demo of an earlier version, and how to get the one of this, in two sentences; "" where
    it does not."""
    with suppress(ModelError):
        active = ModelRegistry(workspace).active()
        if active.sha256 in EARLIER and active.sha256 != read_manifest(SHIPPED_MODEL)["sha256"]:
            return (
                f"This workspace holds the demo of an earlier version: phantom {cohort_of(workspace).version} and the "
                f"model {active.model_id}, which keep working. For the present one, start in an empty folder: "
                "`echo2ecg demo --workspace NEW`, then `ECHO2ECG_WORKSPACE=NEW`."
            )
    return ""


def demo_patients(cohort: DemoCohort) -> list[int]:
    """Numbers of the cohort's patients that the demo workspace holds: the first of every split."""
    wanted, chosen, people = dict(DEMO_PATIENTS), [], cohort.people()
    for i in range(len(people)):
        split = people.split_of(i)
        if wanted[split] > 0:
            wanted[split] -= 1
            chosen.append(i)
    return chosen


def build_demo(workspace: Workspace, progress: Progress = silent) -> str:
    """Write the sample, read it in, embed it and draw the map; returns a closing sentence."""
    from echo2ecg_core.answers.embed import embed_clips, embed_ecgs, embed_studies
    from echo2ecg_core.answers.loaded_model import load_model
    from echo2ecg_core.answers.map_drawing import build_map
    from echo2ecg_core.intake.ingest import ingest
    from echo2ecg_core.phantom.cohort import write_cohort

    card = open_workspace(workspace)
    archive, cohort = workspace.folder / ARCHIVE, cohort_of(workspace)
    patients, step = demo_patients(cohort), _steps(progress)
    of_cohort = {**asdict(cohort), "observer_noise": True, "patients": patients}
    write_cohort(archive, **of_cohort, ecg_only=True, progress=step(0.00, 0.03, "Simulating ECGs"))
    ingest(archive, workspace, cohort=COHORT, synthetic=True, progress=step(0.03, 0.08))
    model = load_model(card)
    embed_ecgs(workspace, model, step(0.08, 0.15))
    write_cohort(archive, **of_cohort, jobs=2, progress=step(0.15, 0.60, "Simulating echo studies"))
    ingest(archive, workspace, cohort=COHORT, synthetic=True, progress=step(0.60, 0.70))
    embed_clips(workspace, model, step(0.70, 0.90))
    embed_studies(workspace, model)
    build_map(workspace, card.model_id, step(0.90, 1.0))
    counts = Catalog(workspace).counts()
    return (
        f"The demo holds {counts['ecgs']} ECGs and {counts['studies']} echo studies of {counts['patients']} "
        "simulated patients."
    )


def example_ecgs(workspace: Workspace) -> list[Example]:
    """Three simulated ECGs of test patients to try, written once into the workspace."""
    cohort = cohort_of(workspace)
    return [
        Example(title, text, _example_file(workspace.folder / "examples" / key, key, cohort))
        for key, title, text in EXAMPLES
    ]


def _example_file(folder: Path, key: str, cohort: DemoCohort) -> Path:
    """The WFDB header of the first test patient's ECG that shows `key`."""
    found = sorted(folder.glob("*.hea"))
    if found:
        return found[0]
    from echo2ecg_core.phantom.cohort import write_ecg

    fits = {
        "sinus": lambda h: h.rhythm == "sinus" and h.conduction == "normal" and h.conditions == ("healthy",),
        "lbbb": lambda h: h.conduction == "lbbb" and h.rhythm == "sinus" and h.lvef < 40,
        "af": lambda h: h.rhythm == "af" and h.conduction == "normal",
    }[key]
    people = cohort.people()
    patient = next(p for p in (people.patient(i) for i in range(len(people))) if p.split == "test" and fits(p.heart))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        write_ecg(patient.ecgs[0], Path(temporary))
        folder.mkdir(exist_ok=True)
        for path in sorted(
            Path(temporary).iterdir(), key=lambda p: p.suffix == ".hea"
        ):  # the header last: it is looked for
            path.replace(folder / path.name)
    return next(folder.glob("*.hea"))


def _steps(progress: Progress):
    """Turns the progress of one step into that of the whole job."""

    def step(start: float, end: float, words: str = ""):
        def report(*told) -> None:
            share, message = (told[0] / max(told[1], 1), f"{words}: {told[0]} of {told[1]}") if len(told) == 3 else told
            progress(start + (end - start) * min(share, 1.0), message)

        return report

    return step
