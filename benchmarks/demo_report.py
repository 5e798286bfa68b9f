"""The report that ships with the demo model: `evaluate` on all patients of the phantom cohort it was made from.

    python benchmarks/demo_report.py [--out FOLDER] [--cohort FOLDER of prepared shards]

Writes the cohort's ECGs as files, imports them like anyone's, embeds them, aligns the studies (rendered, embedded and
discarded, see prepare_phantom.py), evaluates the shipped model, and copies report.json and predictions.npz into
assets/models. Killed and started again it goes on. About 40 minutes on two cores, of which the echo studies take most.
Prints one JSON line.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from echo2ecg_core.intake import demo  # noqa: E402
from echo2ecg_core.store.catalog import Catalog  # noqa: E402
from echo2ecg_core.store.database import Workspace  # noqa: E402
from echo2ecg_core.store.vectors import VectorSet  # noqa: E402

COHORT = "Phantom cohort"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "demo-report")
    parser.add_argument("--cohort", type=Path, default=None, help="folder of prepared shards; default OUT/cohort")
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
        jobs=2,
        progress=lambda done, total, message: tell(done / total, message),
    )
    ingest(archive, workspace, cohort=COHORT, synthetic=True, progress=tell)
    wanted, found = len(pd.read_csv(archive / "ecgs.csv")), Catalog(workspace).counts()["ecgs"]
    assert found == wanted, f"{found} of {wanted} ECGs were read"
    embed_ecgs(workspace, model, tell)
    align_studies(workspace, model, options.cohort or options.out / "cohort")
    report = evaluate(workspace, card.model_id, progress=tell)
    demo.SHIPPED_REPORT.mkdir(exist_ok=True)
    for name in ("report.json", "predictions.npz"):
        shutil.copy(report_path(workspace, card.model_id).with_name(name), demo.SHIPPED_REPORT / name)
    print(json.dumps({"benchmark": "demo_report", "model": card.model_id, **report["counts"]}))


def align_studies(workspace: Workspace, model, folder: Path) -> None:
    """Store the aligned vector of every study, from clip vectors that were never clips on disk."""
    from echo2ecg_core.training.phantom_data import prepare_cohort

    data = prepare_cohort(
        demo.COHORT_PATIENTS, demo.COHORT_SEED, model.spec.ecg_input, folder, encoder=model.clip_encoder, progress=tell
    )
    rows = data.clips.groupby("study_id").indices
    aligned = np.concatenate([model.align_studies([data.clip_data[rows[i]]]) for i in data.studies.study_id])
    VectorSet("study_aligned", model.card.model_id, tuple(data.studies.study_id), aligned.astype(np.float32)).save(
        workspace.vectors
    )


def tell(share: float, message: str) -> None:
    """One line a hundredth."""
    if round(share, 2) != getattr(tell, "last", None):
        tell.last = round(share, 2)
        print(f"{share:4.0%} {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
