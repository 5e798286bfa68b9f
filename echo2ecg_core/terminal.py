"""What commands share: the options they all take, and how a prediction, hits, a JSON document and the progress of work
are shown.

Progress and remarks go to standard error, results to standard output.
"""

import json
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from echo2ecg_core.ecg.measure import unsure
from echo2ecg_core.errors import StoreError
from echo2ecg_core.figures.notation import held_words, measured_range, percent, predicted
from echo2ecg_core.phenotypes import LVEF_CLASS_LABELS, PHENOTYPES
from echo2ecg_core.settings import settings
from echo2ecg_core.store import jobs
from echo2ecg_core.store.database import Workspace

WAIT_S = 1.0
MEASURED_WORDS = {
    "heart_rate_bpm": ("Rate", " bpm"),
    "pr_ms": ("PR", " ms"),
    "qrs_ms": ("QRS", " ms"),
    "qt_ms": ("QT", " ms"),
    "qtc_fridericia_ms": ("QTc", " ms (Fridericia)"),
    "axis_deg": ("axis", "°"),
}

if TYPE_CHECKING:
    from echo2ecg_core.answers.search import Hit

WorkspaceOption = Annotated[
    Path | None, typer.Option("--workspace", help="Folder of catalog, clips, vectors and models.")
]
UnitOption = Annotated[
    str | None, typer.Option("--unit", help="mV, µV (uV) or 4.88uV (a count), for files that name none.")
]
LeadsOption = Annotated[
    str | None, typer.Option("--leads", help="I,II,III,aVR,aVL,aVF,V1-V6 in the file's order, if it names none.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def named_workspace(folder: Path | None) -> Workspace:
    """The workspace that --workspace names, or that of the settings; it need not be there yet."""
    return Workspace(folder or settings().workspace)


def existing_workspace(folder: Path | None) -> Workspace:
    """A workspace that is there already: looking something up must not make one.

    Raises:
        StoreError: there is none.
    """
    place = named_workspace(folder)
    if not place.exists():
        raise StoreError(
            f"There is no workspace at {place.folder.name}.", "Run `demo`, or name another with --workspace."
        )
    return place


def print_json(value) -> None:
    """One JSON document on standard output; a NaN is our mistake and raises."""
    print(json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False))


def print_report(report: dict) -> None:
    """A prediction for people, in the order of the page: doubt first."""
    print(f"\n{report['ecg']['source']}")
    if "error" in report:
        print(f"  {report['error']}")
        return
    outside = report["out_of_distribution"]
    if outside and outside["message"]:
        print(f"  {outside['message']}")
    for sentence in told_beside(report):
        print(f"  {sentence}")
    if measured := measured_words(report["measurements"]):
        print(f"  {measured}")
    for row in report["phenotypes"]:
        if row["reason"]:
            print(f"  {row['label']:<30} –  {row['reason']}")
        else:
            phenotype = PHENOTYPES[row["name"]]
            value = f"{predicted(phenotype, row['value'])} {row['unit']}".strip()
            level = f"{100 * row['interval_level']:.0f} %"
            within = f"{level} interval {measured_range(phenotype, *row['interval'])}" if row["interval"] else ""
            print(f"  {row['label']:<30} {value} ({within or row['interval_reason']})")
            for words in filter(None, (class_words(row), held_words(row) if row["name"] == "lvef" else "")):
                print(f"  {'':<30} {words}")
    for reader in report.get("second_readers", ()):
        print_second_reader(reader)
    for one in report.get("combined", ()):
        print(f"  Combined, {one['label']:<35} chance {percent(one['chance'])}")
    print(
        f"  model {report['model']['name']} {report['model']['id']}"
        f"{', trained on simulated hearts' if report['model']['synthetic'] else ''}. Research use only. Not a medical "
        "device."
    )


def class_words(row: dict) -> str:
    """The chances of the LVEF classes as the page names them, in one line; "" for other phenotypes."""
    chances = row.get("classes") or {}
    return ", ".join(
        f"{words} {percent(chances[name])}" for name, words in LVEF_CLASS_LABELS.items() if name in chances
    )


def measured_words(measurements: dict) -> str:
    """Rate, intervals and axis in one line, those of low confidence with a question mark; "" for none."""
    doubtful = unsure(measurements)
    told = [
        f"{label} {measurements[name]:.0f}{unit}{' (?)' if name in doubtful else ''}"
        for name, (label, unit) in MEASURED_WORDS.items()
        if measurements.get(name) is not None
    ]
    marked = any(name in doubtful for name in MEASURED_WORDS)
    return ", ".join(told) + (". (?) measured with low confidence" if marked else "")


def print_second_reader(reader: dict) -> None:
    """What a second reader says, its likeliest findings first; a score is called one until it is recalibrated."""
    print(f"  {reader['model']['name']} {reader['model']['id']} (second reader)")
    if reader["error"]:
        print(f"    {reader['error']}")
        return
    if reader["this_ecg_left_out_for"]:
        print(f"    Its authors left such ECGs out: {', '.join(reader['this_ecg_left_out_for'])}.")
    shared = [f for f in reader["findings"] if f["question"]]
    others = sorted((f for f in reader["findings"] if not f["question"]), key=lambda f: -f["score"])
    for finding in shared + others[:5]:
        told = f"score {finding['score']:.2f}" if finding["chance"] is None else f"chance {percent(finding['chance'])}"
        ours = (
            "" if finding["our_chance"] is None else f", ours {percent(finding['our_chance'])}. {finding['agreement']}"
        )
        print(f"    {finding['label']:<45} {told}{ours}")


def told_beside(report: dict) -> list[str]:
    """What stands beside an estimate: quality with its reasons, pacing and swaps, doubts, reading notes."""
    quality, ecg = report["quality"], report["ecg"]
    said = [quality["reason"]] if quality["reason"] else []
    if quality["verdict"] != "good":
        said = [f"Signal quality {quality['verdict']}. {quality['reason']}".strip()]
    said += [note for note in quality["notes"] if note not in quality["reason"]]
    doubts = ecg.get("doubts", [])
    said += [f"Not settled: {doubt}" for doubt in doubts]
    return said + [f"Read: {note}" for note in ecg.get("notes", []) if note not in doubts]


def print_hits(hits: Sequence["Hit"]) -> None:
    """The studies nearest to an ECG, one a line."""
    for hit in hits:
        lvef, n = hit.phenotypes.get("lvef"), len(hit.clips)
        print(
            f"{hit.rank:>3}  {hit.study_id}  similarity {hit.similarity:.2f}  LVEF "
            f"{'–' if lvef is None else f'{lvef:.0f} %'}  "
            f"{n} {'clip' if n == 1 else 'clips'}{'  synthetic' if hit.synthetic else ''}"
        )


class progress_bar:
    """A progress bar on standard error, as a context manager that gives progress(share, message).

    In a file or a pipe, where a bar would be one endless line, it is a line for every tenth.
    """

    def __init__(self, shown: bool = True):
        self.shown, self.as_bar, self.tenth = shown, shown and sys.stderr.isatty(), -1

    def __enter__(self):
        from tqdm import tqdm

        self.bar = tqdm(
            total=100, disable=not self.as_bar, file=sys.stderr, bar_format="{l_bar}{bar}| {elapsed}<{remaining} {desc}"
        )
        return self.show

    def show(self, share: float, message: str) -> None:
        self.bar.n = round(100 * share, 1)
        self.bar.set_description_str(message)
        if self.shown and not self.as_bar and self.tenth < (tenth := int(10 * share)):
            self.tenth = tenth
            print(f"{share:4.0%}  {message}", file=sys.stderr, flush=True)

    def __exit__(self, *_):
        self.bar.close()


class watching:
    """Shows the progress of a job that runs in this process."""

    def __init__(self, place: Workspace, job_id: int):
        self.place, self.job_id, self.stopped = place, job_id, threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        with progress_bar() as progress:
            while not self.stopped.wait(1.0):
                with suppress(StoreError):  # what cannot be read now is shown a second later
                    job = jobs.job(self.place, self.job_id)
                    progress(job.progress, job.message)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join(timeout=5)


def run_here(place: Workspace, kind: str, parameters: dict, held: Mapping = {}) -> jobs.Job:
    """Queue a job and do it in this process, after the work it has to wait for; returns it when it is done.

    Args:
        held: As for `run_job`.

    Raises:
        StoreError: it was not completed.
    """
    from echo2ecg_core.worker import run_job

    number = jobs.queue(place, kind, parameters)
    told = None
    while (job := jobs.job(place, number)).is_open:
        if claimed := jobs.claim(place, jobs.this_worker(), number):
            with watching(place, number):
                run_job(place, claimed, held)
            continue
        told = _tell(jobs.in_the_way(place, number) or job, number, told)
        time.sleep(WAIT_S)
    if job.state != "done":
        if kind != "demo":  # which everybody who opens the app can try again
            jobs.dismiss(place, number)  # told here: no visitor's sidebar need repeat it
        raise StoreError(
            f"{job.kind.capitalize()} was not completed: {job.message}",
            f"Start `{job.kind}` again; what was finished is kept.",
        )
    return job


def _tell(other: jobs.Job, number: int, told: tuple | None) -> tuple:
    """Say on standard error what is waited for, once a job and step of ten per cent; returns what was told."""
    now = other.job_id, int(10 * other.progress)
    if now != told:
        what = "Another worker is at it" if other.job_id == number else f"Waiting for another job ({other.kind})"
        print(f"{what}: {other.message or other.state} ({other.progress:.0%})", file=sys.stderr)
    return now
