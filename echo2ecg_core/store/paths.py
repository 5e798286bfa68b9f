"""Where the files of a workspace lie that are not rows of its catalog; writer and reader ask the same function."""

from pathlib import Path

from echo2ecg_core.errors import StoreError
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.splits import JUDGED_SPLITS

READOUTS_FILE = "readouts.safetensors"  # beside the weights of a model
REPORT_FILE = "report.json"
PREDICTIONS_FILE = "predictions.npz"  # beside a report


def ready_path(workspace: Workspace, model_id: str) -> Path:
    """Where the comparison of a model with the ready ones lies, beside the report on test patients."""
    return workspace.folder / "reports" / model_id / "ready.json"


def report_path(workspace: Workspace, model_id: str, split: str = "test") -> Path:
    """Where the report of a model on the patients of a split lies; that of the test patients has no folder of its own.

    Raises:
        StoreError: no report is made of this split.
    """
    if split not in JUDGED_SPLITS:
        known = ", ".join(JUDGED_SPLITS)
        raise StoreError(f"There is no split {split!r} to evaluate; known: {known}.", "Use --split test.")
    folder = workspace.folder / "reports" / model_id
    return folder / REPORT_FILE if split == "test" else folder / split / REPORT_FILE


def map_path(workspace: Workspace, model_id: str) -> Path:
    """The drawn map of a model."""
    return workspace.maps / f"{model_id}.npz"


def refused_path(workspace: Workspace, model_id: str, what: str = "ecg") -> Path:
    """The list of ECGs that a model (or "clip": of clips that a clip encoder) could not embed, with reasons: what is no
    longer waited for."""
    return workspace.vectors / f"{what}-refused--{model_id}.json"


def changed_at(path: Path) -> int | None:
    """When a file was written last, for the key of what is kept of it; None where there is none."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def runs_folder(workspace: Workspace) -> Path:
    """The folder of all training runs."""
    return workspace.folder / "runs"


def run_folder(workspace: Workspace, run_id: int) -> Path:
    """Where a run keeps everything."""
    return runs_folder(workspace) / f"run-{run_id:04d}"


def prepared_folder(workspace: Workspace) -> Path:
    """Cleaned ECGs and simulated cohorts, kept between trainings."""
    return workspace.folder / "prepared"
