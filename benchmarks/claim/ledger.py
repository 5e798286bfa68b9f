"""Stages of tasks that may be killed at any time and started again, and the processor seconds they took.

A task is done when its output is there, and writes it whole or not at all; so what is there is all the state that
starting again needs. One runner works in a folder at a time. Seconds are those of the process that did the work, all
its threads together, written as it goes: what a kill throws away is counted up to the last line.
"""

import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from echo2ecg_core import processes
from echo2ecg_core.store.database import write_atomically

from .plan import Plan

LEDGER = "ledger.jsonl"


@dataclass(frozen=True)
class Task:
    """One piece of work: `work(plan, folder, meter, output, *arguments)`, a function of a module, writes `output`."""

    name: str
    output: Path
    work: Callable
    arguments: tuple = ()


@dataclass(frozen=True)
class Stage:
    """Tasks that need the stages before and not one another.

    Attributes:
        name: As `--status` shows it.
        tasks: Of plan and folder.
        budget: Of which its seconds are ("arms" or "curves"), so that it is cut short when they are spent.
    """

    name: str
    tasks: Callable[[Plan, Path], list[Task]]
    budget: str | None = None


class Meter:
    """Writes down the processor seconds of one task."""

    def __init__(self, folder: Path, stage: str, task: str):
        self.file, self.stage, self.task, self.since = folder / LEDGER, stage, task, time.process_time()

    def tick(self) -> None:
        """Write the seconds since the last tick."""
        now = time.process_time()
        line = json.dumps({"stage": self.stage, "task": self.task, "seconds": round(now - self.since, 3)}) + "\n"
        with open(self.file, "a") as file:
            file.write(line)
        self.since = now


def seconds_by_stage(folder: Path) -> dict[str, float]:
    """Processor seconds that each stage has taken so far."""
    return _seconds(folder, "stage")


def seconds_by_task(folder: Path) -> dict[str, float]:
    """Processor seconds that each task has taken so far, by its name."""
    return _seconds(folder, "task")


def _seconds(folder: Path, of: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for line in (folder / LEDGER).read_text().splitlines() if (folder / LEDGER).exists() else ():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:  # the process was killed while it wrote
            continue
        found[entry[of]] = found.get(entry[of], 0.0) + entry["seconds"]
    return found


def spent(folder: Path, stages: tuple[Stage, ...], budget: str) -> float:
    """Processor seconds of a budget that are used up."""
    seconds = seconds_by_stage(folder)
    return sum(seconds.get(stage.name, 0.0) for stage in stages if stage.budget == budget)


@contextmanager
def only_runner(folder: Path, plan: Plan) -> Iterator[None]:
    """Hold a folder for one runner with one plan.

    Raises:
        SystemExit: another runner works there, or the folder belongs to another plan.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"Another run works in {folder}. Wait for it, or give another --out.") from None
        known, ours = folder / "plan.json", json.dumps(plan.to_dict(), indent=1)
        if known.exists() and known.read_text() != ours:
            raise SystemExit(
                f"{folder} holds a comparison of other sizes or of another phantom (plan.json). Give another --out."
            )
        write_atomically(known, ours.encode())
        yield


def run_stage(
    stage: Stage,
    stages: tuple[Stage, ...],
    plan: Plan,
    folder: Path,
    n_processes: int,
    stop_at: datetime | None = None,
) -> bool:
    """Do what a stage lacks, with one thread a process; False when the budget or the clock ended it before all was
    done."""
    waiting = [task for task in stage.tasks(plan, folder) if not task.output.exists()]
    total, running = len(waiting), dict[Future, Task]()

    def may_begin() -> bool:
        if waiting and stage.budget:
            is_left = spent(folder, stages, stage.budget) < plan.budgets_s[stage.budget]
            return is_left and (stop_at is None or datetime.now() < stop_at)
        return bool(waiting)

    if n_processes == 1:
        while may_begin():
            do_task(stage.name, waiting.pop(0), plan, folder)
            tell(f"{stage.name}: {total - len(waiting)} of {total}")
        return not waiting
    with processes.pool(n_processes) as pool:
        while running or may_begin():
            while len(running) < n_processes and may_begin():
                task = waiting.pop(0)
                running[pool.submit(do_task, stage.name, task, plan, folder)] = task
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                future.result()
                del running[future]
                tell(f"{stage.name}: {total - len(waiting) - len(running)} of {total}")
    return not waiting


def do_task(stage: str, task: Task, plan: Plan, folder: Path) -> None:
    """One task on one thread, in this process."""
    import torch

    torch.set_num_threads(1)
    meter = Meter(folder, stage, task.name)
    task.output.parent.mkdir(parents=True, exist_ok=True)
    task.work(plan, folder, meter, task.output, *task.arguments)
    meter.tick()
    assert task.output.exists(), task


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Arrays into an .npz file, whole or not at all."""
    temporary = path.with_name(f".writing-{os.getpid()}-{path.name}")
    try:
        np.savez(temporary, **arrays)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """What `save_arrays` wrote."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
