"""The report that ships with the demo model: `evaluate` on the test patients of the phantom cohort it was made from.

    python benchmarks/demo_report.py [--out FOLDER] [--jobs N]

Writes the cohort's ECGs as files, imports them like anyone's, embeds them, aligns the studies that label a test ECG,
the only ones that retrieval reads (rendered, embedded and discarded), evaluates the shipped model with the readouts it
has now, and copies report.json and predictions.npz into assets/models. Killed and started again it goes on. About 20
minutes of processor time, of which the echo studies take a third. Prints one JSON line.
"""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small networks: more threads wait for one another
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from echo2ecg_core.answers.loaded_model import READOUTS_FILE  # noqa: E402
from echo2ecg_core.intake import demo  # noqa: E402
from echo2ecg_core.store.catalog import Catalog  # noqa: E402
from echo2ecg_core.store.database import Workspace  # noqa: E402
from echo2ecg_core.store.vectors import append_vectors, load_vectors  # noqa: E402

COHORT = "Phantom cohort"
STUDIES_A_SAVE = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "demo-report")
    parser.add_argument("--jobs", type=int, default=1, help="processes that write ECGs")
    options = parser.parse_args()
    from echo2ecg_core.answers.embed import embed_ecgs
    from echo2ecg_core.answers.loaded_model import load_active_model
    from echo2ecg_core.intake.ingest import ingest
    from echo2ecg_core.phantom.cohort import write_cohort
    from echo2ecg_core.reports.evaluate import evaluate
    from echo2ecg_core.store.paths import report_path

    workspace = Workspace(options.out / "workspace")
    card = demo.open_workspace(workspace)
    model = load_active_model(workspace)
    archive = options.out / "archive"
    write_cohort(
        archive,
        demo.COHORT_PATIENTS,
        demo.COHORT_SEED,
        ecg_only=True,
        observer_noise=True,
        jobs=options.jobs,
        progress=lambda done, total, message: tell(done / total, message),
    )
    ingest(archive, workspace, cohort=COHORT, synthetic=True, progress=tell)
    wanted, found = len(pd.read_csv(archive / "ecgs.csv")), Catalog(workspace).counts()["ecgs"]
    assert found == wanted, f"{found} of {wanted} ECGs were read"
    embed_ecgs(workspace, model, tell)
    align_studies(workspace, model)
    for name in (READOUTS_FILE, "manifest.json"):  # as they are now, whenever the workspace was made
        shutil.copy(demo.SHIPPED_MODEL / name, card.folder / name)
    report = evaluate(workspace, card.model_id, progress=tell)
    demo.SHIPPED_REPORT.mkdir(exist_ok=True)
    for name in ("report.json", "predictions.npz"):
        shutil.copy(report_path(workspace, card.model_id).with_name(name), demo.SHIPPED_REPORT / name)
    print(json.dumps({"benchmark": "demo_report", "model": card.model_id, **report["counts"]}))


def align_studies(workspace: Workspace, model) -> None:
    """Store the aligned vectors of the studies that label a test ECG, from clips that were never on disk."""
    people, model_id, labelled = demo.cohort(), model.card.model_id, Catalog(workspace).labelled_ecgs()
    wanted = set(labelled.study_id[labelled.split == "test"])
    patients = [people.patient(i) for i in range(len(people)) if people.split_of(i) == "test"]
    studies = {study.study_id: study for patient in patients for study in patient.studies if study.study_id in wanted}
    missing = load_vectors(workspace.vectors, "study_aligned", model_id).missing(studies)
    for start in range(0, len(missing), STUDIES_A_SAVE):
        ids = missing[start : start + STUDIES_A_SAVE]
        aligned = model.align_studies([clip_vectors(model.clip_encoder, studies[i]) for i in ids])
        append_vectors(workspace.vectors, "study_aligned", model_id, ids, aligned.astype(np.float32))
        tell((start + len(ids)) / len(missing), f"Rendering and aligning studies: {start + len(ids)} of {len(missing)}")


def clip_vectors(encoder, study) -> np.ndarray:
    """(views, 512): the clips of one study, rendered, embedded and discarded."""
    import torch

    from echo2ecg_core.echo.preprocess import prepare_frames
    from echo2ecg_core.training.clip_encoder import vectors_of

    pooled = []
    for view in study.views:
        frames = study.render(view, every=2).frames  # (16, 224, 224, 3): what prepare_frames would keep of 32
        prepared = torch.from_numpy(prepare_frames(np.repeat(frames, 2, axis=0)))
        with torch.inference_mode():
            pooled.append(encoder.pooled(prepared[None])[0].numpy().astype(np.float16))
    return vectors_of(encoder, np.stack(pooled))


def tell(share: float, message: str) -> None:
    """One line a hundredth."""
    if round(share, 2) != getattr(tell, "last", None):
        tell.last = round(share, 2)
        print(f"{share:4.0%} {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
