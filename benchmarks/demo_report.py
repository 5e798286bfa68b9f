"""The report that ships with the demo model: `evaluate` on the test patients of the phantom cohort that judges it.

    python benchmarks/demo_report.py [--model FOLDER] [--out FOLDER] [--jobs N]
    python benchmarks/demo_report.py --simulate        only what needs no network, ahead of a new one

Writes the cohort's ECGs as files, imports them like anyone's, embeds them, aligns the studies that label a test ECG,
the only ones that retrieval reads (rendered and kept small), evaluates the model with the readouts it has now, and
copies report.json and predictions.npz beside it (FOLDER-report). How it retrieves goes into its manifest. Killed and
started again it goes on. About 20 minutes of processor time, of which the echo studies take a third. Prints one JSON
line.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small networks: more threads wait for one another
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from benchmarks.demo_readouts import CACHE, demo_cohort, prepared_folder  # noqa: E402
from echo2ecg_core.answers.loaded_model import READOUTS_FILE  # noqa: E402
from echo2ecg_core.intake.demo import SHIPPED_MODEL, DemoCohort  # noqa: E402
from echo2ecg_core.phantom.cohort import PhantomStudy  # noqa: E402
from echo2ecg_core.store.catalog import Catalog  # noqa: E402
from echo2ecg_core.store.database import Workspace, write_atomically  # noqa: E402
from echo2ecg_core.store.model_registry import ModelRegistry, read_manifest  # noqa: E402
from echo2ecg_core.store.vectors import append_vectors, load_vectors  # noqa: E402

COHORT = "Phantom cohort"
STUDIES_A_SAVE = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=SHIPPED_MODEL)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "demo-report")
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--jobs", type=int, default=1, help="processes that write ECGs")
    parser.add_argument("--simulate", action="store_true")
    options = parser.parse_args()
    if options.simulate:
        simulate(read_manifest(options.model), options.out, options.cache, options.jobs)
    else:
        print(json.dumps(make(options.model, options.out, options.cache, options.jobs)))


def simulate(manifest: dict, out: Path, cache: Path, jobs: int = 1) -> None:
    """Everything that a report needs but a model."""
    workspace = imported(demo_cohort(manifest), out, jobs)
    for share, study in test_studies(workspace, demo_cohort(manifest)):
        pooled_clips(study, clips_folder(cache, manifest))
        tell(share, "Rendering studies")


def make(folder: Path, out: Path, cache: Path, jobs: int = 1) -> dict:
    """Evaluate the model in `folder` and write its report beside it; gives what was counted."""
    from echo2ecg_core.answers.embed import embed_ecgs
    from echo2ecg_core.answers.loaded_model import load_active_model
    from echo2ecg_core.reports.evaluate import evaluate
    from echo2ecg_core.store.paths import report_path

    manifest = read_manifest(folder)
    cohort = demo_cohort(manifest)
    workspace = imported(cohort, out, jobs)
    registry = ModelRegistry(workspace)
    card = registry.promote(registry.register(folder).model_id)
    for name in (READOUTS_FILE, "manifest.json"):  # as they are now, whenever the workspace was made
        shutil.copy(folder / name, card.folder / name)
    model = load_active_model(workspace)
    embed_ecgs(workspace, model, tell)
    align_studies(workspace, model, cohort, clips_folder(cache, manifest))
    report = evaluate(workspace, card.model_id, progress=tell)
    beside = folder.with_name(f"{folder.name}-report")
    beside.mkdir(exist_ok=True)
    for name in ("report.json", "predictions.npz"):
        shutil.copy(report_path(workspace, card.model_id).with_name(name), beside / name)
    write_retrieval(folder, report["retrieval"])
    return {"benchmark": "demo_report", "model": card.model_id, **report["counts"]}


def clips_folder(cache: Path, manifest: dict) -> Path:
    """Where clips of the cohort's studies lie after the clip encoder's first step."""
    return prepared_folder(cache, manifest) / f"clips-{demo_cohort(manifest).clips or 'all'}"


def imported(cohort: DemoCohort, out: Path, jobs: int) -> Workspace:
    """A workspace with the ECGs and labels of the whole cohort, read from files."""
    from echo2ecg_core.intake.ingest import ingest
    from echo2ecg_core.phantom.cohort import write_cohort

    workspace, archive = Workspace(out / "workspace"), out / "archive"
    write_cohort(
        archive,
        **asdict(cohort),
        ecg_only=True,
        observer_noise=True,
        jobs=jobs,
        progress=lambda done, total, message: tell(done / total, message),
    )
    ingest(archive, workspace, cohort=COHORT, synthetic=True, progress=tell)
    wanted, found = len(pd.read_csv(archive / "ecgs.csv")), Catalog(workspace).counts()["ecgs"]
    assert found == wanted, f"{found} of {wanted} ECGs were read"
    return workspace


def test_studies(workspace: Workspace, cohort: DemoCohort) -> Iterator[tuple[float, PhantomStudy]]:
    """(Share that is done with it, study) of the studies that label a test ECG."""
    people, labelled = cohort.people(), Catalog(workspace).labelled_ecgs()
    wanted = set(labelled.study_id[labelled.split == "test"])
    patients = [people.patient(i) for i in range(len(people)) if people.split_of(i) == "test"]
    studies = [study for patient in patients for study in patient.studies if study.study_id in wanted]
    for done, study in enumerate(studies, 1):
        yield done / len(studies), study


def align_studies(workspace: Workspace, model, cohort: DemoCohort, clips: Path) -> None:
    """Store the aligned vectors of the studies that label a test ECG, from clips that were never files."""
    from echo2ecg_core.training.clip_encoder import vectors_of

    model_id, waiting = model.card.model_id, {}
    there = set(load_vectors(workspace.vectors, "study_aligned", model_id).ids)
    for share, study in test_studies(workspace, cohort):
        if study.study_id not in there:
            waiting[study.study_id] = vectors_of(model.clip_encoder, pooled_clips(study, clips))
        if len(waiting) == STUDIES_A_SAVE or (waiting and share == 1):
            aligned = model.align_studies(list(waiting.values())).astype(np.float32)
            append_vectors(workspace.vectors, "study_aligned", model_id, list(waiting), aligned)
            waiting = {}
        tell(share, "Rendering and aligning studies")


def pooled_clips(study, folder: Path) -> np.ndarray:
    """(clips, 16, 56, 56) float16: the clips of one study after the clip encoder's fixed first step; kept."""
    from echo2ecg_core.training.phantom_data import pooled_clip

    path = folder / f"{study.study_id}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".writing-{path.name}")
        np.save(temporary, np.stack([pooled_clip(study, clip) for clip in study.clips]))
        temporary.replace(path)
    return np.load(path)


def write_retrieval(folder: Path, found: dict) -> None:
    """Into the manifest: how test ECGs find studies of test patients."""
    manifest = read_manifest(folder)
    manifest["test"]["retrieval"] = {
        "studies": found["candidates"],
        "recall@10": round(found["ecg_to_study"]["recall@10"], 4),
        "top10_lvef_ratio": round(found["top10_difference_ratio"]["lvef"], 4),
    }
    write_atomically(folder / "manifest.json", json.dumps(manifest, indent=1, ensure_ascii=False).encode())


def tell(share: float, message: str) -> None:
    """One line a hundredth."""
    if round(share, 2) != getattr(tell, "last", None):
        tell.last = round(share, 2)
        print(f"{share:4.0%} {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
