"""Training runs as their folders tell: settings, metrics, log, finished model; read while they are written, without
torch.

A run that is being written may end in half a line; that line is left out until it is whole. The state of a run is that
of its job; a folder without a job (copied from elsewhere) is done when it holds a model.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import pandas as pd

from echo2ecg_core.errors import Echo2ECGError, StoreError
from echo2ecg_core.store import jobs
from echo2ecg_core.store.database import Workspace, write_atomically
from echo2ecg_core.store.jobs import Job
from echo2ecg_core.store.paths import report_path, runs_folder

POOLINGS = {
    "attention": "attention pooling",
    "mean": "mean pooling",
    "cls": "CLS pooling",
    "single_view": "single view",
}
TOLD = {
    "batch_size": "batch {:,}",
    "epochs": "{} epochs",
    "lr": "rate {:g}",
    "within_days": "± {:g} days",
    "precision": "{}",
    "patients": "{:,} patients",
    "windows": "{} windows",
}
COLUMNS = (
    "run",
    "job_id",
    "state",
    "setting",
    "epoch",
    "epochs",
    "recall_at_10",
    "auroc",
    "auroc_low",
    "auroc_high",
    "time_s",
    "started_at",
    "model_id",
    "active",
    "note",
)
NOTE_FILE, LONGEST_NOTE = "note.txt", 2000


@dataclass(frozen=True)
class Run:
    """One run: `folder` may not be there yet while its job waits; `settings` is then what the job was given."""

    name: str
    folder: Path
    job: Job | None
    settings: dict

    @property
    def state(self) -> str:
        """queued, running, stopping, done, failed or cancelled."""
        if self.job is None:
            return "done" if (self.folder / "model" / "manifest.json").is_file() else "cancelled"
        return "stopping" if self.job.is_stopping else self.job.state

    @property
    def is_open(self) -> bool:
        """True while it waits, runs or is about to stop."""
        return self.state in ("queued", "running", "stopping")


def run_name(job_id: int) -> str:
    """Name of the run of a job: "run-0042"."""
    return f"run-{job_id:04d}"


def runs(workspace: Workspace) -> list[Run]:
    """Every run, newest first."""
    found = {run_name(j.job_id): j for j in jobs.jobs(workspace) if j.kind == "train"} if workspace.exists() else {}
    folders = {p.name for p in runs_folder(workspace).glob("run-*") if p.is_dir()}
    return [_run(workspace, name, found.get(name)) for name in sorted(folders | set(found), reverse=True)]


def run(workspace: Workspace, name: str) -> Run:
    """One run by its name.

    Raises:
        StoreError: there is none.
    """
    for found in runs(workspace):
        if found.name == name:
            return found
    raise StoreError(f"There is no run {name!r} in this workspace.", "Choose one from the list of runs.")


def list_runs(workspace: Workspace, active_model_id: str | None = None) -> pd.DataFrame:
    """One row a run: name, state, setting in words, epochs done and planned, best recall@10, AUROC of LVEF <= 40,
    seconds, start, model, note."""
    found = runs(workspace)
    words = differing_first([one.settings for one in found])
    rows = [_row(workspace, one, active_model_id, told) for one, told in zip(found, words, strict=True)]
    return pd.DataFrame(rows, columns=COLUMNS)


def differing_first(all_settings: Sequence[dict], *, alone: bool = False) -> list[str]:
    """What each of several runs does, in words that begin with what is not the same in all of them.

    Args:
        alone: Leave out what is the same in all, where anything differs.
    """
    runs_parts = [_setting_parts(settings) for settings in all_settings]
    shared = set.intersection(*map(set, runs_parts)) if len(runs_parts) > 1 else set()
    words = []
    for parts in runs_parts:
        own, rest = ([part for part in parts if (part in shared) is is_shared] for is_shared in (False, True))
        words.append(_joined(own if alone and own else [*own, *rest]))
    return words


def _joined(parts: Sequence[str]) -> str:
    words = ", ".join(parts)
    return words[:1].upper() + words[1:]


def _setting_parts(settings: dict) -> list[str]:
    chosen, parameters = settings.get("set", {}), {**settings.get("parameters", {}), **settings.get("set", {})}
    pooling = settings.get("spec", {}).get("study", {}).get("pooling") or chosen.get("pooling", "attention")
    what = "ECG alone, masked" if parameters.get("objective") == "masked" else POOLINGS.get(pooling, pooling)
    words = [settings.get("preset", ""), what]
    words += [f"from {chosen['start_from']}"] if chosen.get("start_from", "random") != "random" else []
    words += [template.format(_as_number(chosen[key])) for key, template in TOLD.items() if key in chosen]
    words += [f"seed {parameters['seed']}"] if "seed" in parameters else []
    return [word for word in words if word]


def _as_number(value: str | float) -> str | float:
    """A terminal hands numbers on as text."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return value
    return int(number) if number.is_integer() else number


def read_metrics(found: Run) -> pd.DataFrame:
    """All metrics of a run, one row a line of metrics.jsonl (kind "step" or "epoch"); empty before the first."""
    path = found.folder / "metrics.jsonl"
    try:
        stat = path.stat()
    except OSError:
        return pd.DataFrame({"kind": pd.Series(dtype=str)})
    return _metrics(path, (stat.st_size, stat.st_mtime_ns))


def learning_curves(found: Run) -> dict[str, tuple[list[float], list[float]]]:
    """Metric -> (epochs, values) of every metric of RESULTS that the run has."""
    epochs = read_metrics(found).query("kind == 'epoch'")
    known = [key for key in RESULTS if key in epochs]
    return {key: _points(epochs.dropna(subset=[key]), key) for key in known}


def _points(epochs: pd.DataFrame, key: str) -> tuple[list[float], list[float]]:
    return epochs.epoch.astype(float).tolist(), epochs[key].astype(float).tolist()


def note(found: Run) -> str:
    """What somebody wrote of a run, "" without."""
    try:
        return (found.folder / NOTE_FILE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def write_note(found: Run, text: str) -> None:
    """Keep a note with a run ("" takes it off).

    Raises:
        StoreError: the run has not begun, or the note is too long.
    """
    if not found.folder.is_dir():
        raise StoreError(f"{found.name} has not begun, so it has no folder for a note.", "Write it once it runs.")
    if len(text) > LONGEST_NOTE:
        raise StoreError(f"A note has at most {LONGEST_NOTE} characters, found {len(text)}.", "Shorten it.")
    write_atomically(found.folder / NOTE_FILE, text.strip().encode())


def log_tail(workspace: Workspace, found: Run, lines: int = 200) -> str:
    """The end of the run's own log, or of its job's while there is none."""
    paths = [found.folder / "log.txt", *([jobs.log_path(workspace, found.job.job_id)] if found.job else [])]
    for path in paths:
        try:
            with open(path, "rb") as file:
                file.seek(max(0, path.stat().st_size - 200 * lines))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            continue
        if text.strip():
            return "\n".join(text.splitlines()[-lines:])
    return ""


def left_s(metrics: pd.DataFrame, then_s: float = 0.0) -> float | None:
    """Seconds that a running run still needs: what its last line said of its epochs, and the readouts after them, less
    what has passed since; None when it cannot be told: before the first line, and once the estimate is used up.

    Args:
        metrics: Of the run.
        then_s: Seconds that readouts and their test are expected to take (`readouts_s` of its settings).
    """
    told = metrics[metrics.eta_s.notna()] if "eta_s" in metrics else metrics.iloc[:0]
    if told.empty:
        return None
    last = told.iloc[-1]
    rest = float(last.eta_s) + then_s - (time.time() - _moment(last.time).timestamp())
    return max(0.0, rest) if rest > 0 or not then_s else None


def run_left_s(workspace: Workspace, job_id: int) -> float | None:
    """Seconds that the run of a job still needs, as `left_s` tells."""
    found = _run(workspace, run_name(job_id), None)
    return left_s(read_metrics(found), float(found.settings.get("readouts_s", 0.0)))


def compare(workspace: Workspace, names: list[str]) -> pd.DataFrame:
    """Runs side by side: one column a run, one row for each setting that differs between them and for each result."""
    columns = {}
    for name in names:
        found = run(workspace, name)
        columns[name] = _flat(
            {key: found.settings.get(key) for key in ("preset", "parameters", "set", "spec", "pairs", "patients")}
        ) | _results(found)
    table = pd.DataFrame(columns).astype(object)
    results = [label for label in table.index if label in RESULTS.values()]
    differ = [label for label in table.index if label not in results and table.loc[label].map(str).nunique() > 1]
    return table.loc[[*differ, *results]]


RESULTS = {
    "loss": "training loss",
    "validation_loss": "validation loss",
    "recall@1": "recall at 1",
    "recall@5": "recall at 5",
    "recall@10": "recall at 10",
    "median_rank": "median rank",
}


def _results(found: Run) -> dict:
    epochs = read_metrics(found).query("kind == 'epoch'")
    return {} if epochs.empty else {label: epochs[key].iloc[-1] for key, label in RESULTS.items() if key in epochs}


def _flat(values: dict, prefix: str = "") -> dict:
    """Nested settings as one level: "spec.study.pooling"; what was set by hand stands for itself."""
    flat: dict = {}
    for key, value in values.items():
        name = key if key in ("parameters", "set") or not prefix else f"{prefix}.{key}"
        if isinstance(value, dict):
            flat |= _flat(value, "" if key in ("parameters", "set") else name)
        elif value is not None:
            flat[name] = value
    return flat


def _run(workspace: Workspace, name: str, job: Job | None) -> Run:
    folder = runs_folder(workspace) / name
    try:
        settings = json.loads((folder / "settings.json").read_text())
    except (OSError, ValueError):
        settings = dict(job.parameters) if job else {}
    return Run(name, folder, job, settings)


def _row(workspace: Workspace, found: Run, active_model_id: str | None, words: str) -> tuple:
    metrics = read_metrics(found)
    epochs = metrics[metrics.kind == "epoch"]
    last = epochs.iloc[-1] if len(epochs) else {}
    model_id, auroc = _model(workspace, found.folder)
    planned = (
        last.get("epochs")
        or found.settings.get("parameters", {}).get("epochs")
        or found.settings.get("set", {}).get("epochs")
    )
    if found.job and found.state == "failed":
        words += f": {found.job.message}"
    return (
        found.name,
        found.job.job_id if found.job else None,
        found.state,
        words,
        int(last.get("epoch", 0)),
        planned,
        epochs["recall@10"].max() if "recall@10" in epochs else None,
        *auroc,
        float(epochs.seconds.sum()) if "seconds" in epochs else 0.0,
        _started(found),
        model_id,
        model_id is not None and model_id == active_model_id,
        note(found),
    )


def _started(found: Run) -> datetime | None:
    """In UTC, as every time that a page tells."""
    if found.settings.get("started_at"):
        return _moment(found.settings["started_at"])
    return datetime.fromtimestamp(found.job.started_at or found.job.created_at, UTC) if found.job else None


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _model(workspace: Workspace, folder: Path) -> tuple[str | None, tuple]:
    """Id of the finished model and its AUROC of LVEF <= 40 with interval: of its report, else of its manifest."""
    try:
        manifest = json.loads((folder / "model" / "manifest.json").read_text())
        model_id = manifest["sha256"][:8]
    except (OSError, ValueError, KeyError):
        return None, (None, None, None)
    tested = manifest.get("test", {}).get("phenotypes", {}).get("lvef", {})
    of_manifest = (tested.get("auroc_reduced"), *tested.get("auroc_reduced_interval", (None, None)))
    return model_id, _reported(workspace, model_id) or of_manifest


def _reported(workspace: Workspace, model_id: str) -> tuple | None:
    try:
        report = json.loads(report_path(workspace, model_id).read_text())
        task = next(
            name for name, task in report["tasks"].items() if task["phenotype"] == "lvef" and task["kind"] == "binary"
        )
        row = next(row for row in report["rows"] if row["kind"] == "model" and row["readout"] == "probe")
        return tuple(row["results"][task]["auroc"])
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        return None


@lru_cache(maxsize=16)
def _metrics(path: Path, version: tuple[int, int]) -> pd.DataFrame:
    """The whole lines of a metrics file; `version` makes a grown file a new key."""
    rows = []
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                row = json.loads(line)
            except ValueError:
                continue  # half a line: it is being written, or a killed run left it
            if isinstance(row, dict) and row.get("kind") in ("step", "epoch"):
                rows.append(row)
    return pd.DataFrame(rows) if rows else pd.DataFrame({"kind": pd.Series(dtype=str)})


def resume(workspace: Workspace, name: str) -> None:
    """Queue a failed or stopped run again; it goes on from its last checkpoint.

    Raises:
        Echo2ECGError: it is open or done, or has no job in this workspace.
    """
    found = run(workspace, name)
    if found.job is None:
        raise Echo2ECGError(
            f"{name} was not started in this workspace.", "Clone it: a new run with the same settings starts."
        )
    jobs.resume(workspace, found.job.job_id)
