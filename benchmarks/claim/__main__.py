"""Do whole multi-view studies teach an ECG encoder more than one view? The comparison of PROTOCOL.md, in one command.

    python -m benchmarks.claim                    everything that is not there yet, on two processes
    python -m benchmarks.claim --until "clip vectors"      only the stages before and this one
    python -m benchmarks.claim --stop-at 09:40    no training begins after this time of day; tables of what is there
    python -m benchmarks.claim --begin-with FOLDER    with the files that an earlier run left
    python -m benchmarks.claim --status           what is done, and the processor seconds of every stage
    python -m benchmarks.claim --small            a dry run on a hundred patients, in minutes

Stages: patients, ecgs, clips, clip encoder, clip vectors, start, recipe, arms, curves, measures, tables. Killed and
started again it goes on where it was; a training at its last epoch. Start, recipe and arms share a budget of processor
time, the curves have their own; when it is spent, or the clock says so, no further run of them begins, and the tables
are made of the whole seeds that are there. Tables lie in OUT/tables, everything in OUT/result.json; the last line is
one line of JSON.
"""

import argparse
import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path

from . import clip_encoder, cohorts, measures, tables, training
from .ledger import Stage, only_runner, run_stage, seconds_by_stage, spent, tell
from .plan import Plan, full_plan, small_plan

ROOT = Path(__file__).resolve().parents[2]
STAGES = (
    Stage("patients", cohorts.patient_tasks),
    Stage("ecgs", cohorts.ecg_tasks),
    Stage("clips", cohorts.clip_tasks),
    Stage("clip encoder", clip_encoder.encoder_tasks),
    Stage("clip vectors", clip_encoder.vector_tasks),
    Stage("start", training.start_tasks, budget="arms"),
    Stage("recipe", training.recipe_tasks, budget="arms"),
    Stage("arms", training.arm_tasks, budget="arms"),
    Stage("curves", training.curve_tasks, budget="curves"),
    Stage("measures", measures.measure_tasks),
    Stage("tables", tables.table_tasks),
)
NEEDED = ("start", "recipe")  # without them there is nothing to measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", type=int, choices=(2, 3), default=3, help="of the phantom")
    parser.add_argument("--small", action="store_true", help="a dry run on a hundred patients")
    parser.add_argument("--out", type=Path, default=None, help="default: runs/claim-VERSION, with --small …-small")
    parser.add_argument("--until", choices=[stage.name for stage in STAGES], default=STAGES[-1].name)
    parser.add_argument("--processes", type=int, default=2, help="with one thread each")
    parser.add_argument("--stop-at", type=time_of_day, default=None, help="HH:MM; trainings begun before are finished")
    parser.add_argument("--begin-with", type=Path, help="folder of which files are taken that are not there yet")
    parser.add_argument("--status", action="store_true")
    options = parser.parse_args()
    plan = (small_plan if options.small else full_plan)(options.version)
    folder = options.out or ROOT / "runs" / f"claim-{options.version}{'-small' if options.small else ''}"
    if options.begin_with:
        take_over(options.begin_with, folder)
    if options.status:
        print(status(plan, folder))
        return
    run(plan, folder, options.processes, options.until, options.stop_at)
    if (folder / tables.RESULT).exists():
        result = json.loads((folder / tables.RESULT).read_text())
        print(json.dumps({"benchmark": "claim", **{k: result[k] for k in ("phantom", "seeds", "recipe", "verdict")}}))


def time_of_day(text: str) -> datetime:
    """The next moment at which a clock shows HH:MM."""
    now = datetime.now()
    at = datetime.combine(now, datetime.strptime(text, "%H:%M").time())
    return at if at > now else at + timedelta(days=1)


def take_over(source: Path, folder: Path) -> None:
    """Copy what another folder of the same plan holds and this one does not: what is there counts as done."""
    for path in sorted(source.rglob("*")):
        target = folder / path.relative_to(source)
        if path.is_file() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def run(
    plan: Plan,
    folder: Path,
    n_processes: int = 2,
    until: str = STAGES[-1].name,
    stop_at: datetime | None = None,
) -> None:
    """Do every stage up to `until` that is not done; no training begins after `stop_at`.

    Raises:
        SystemExit: another runner or another plan has the folder, or budget or clock ended before a recipe was chosen.
    """
    with only_runner(folder, plan):
        for stage in STAGES:
            if not run_stage(stage, STAGES, plan, folder, n_processes, stop_at):
                seconds = plan.budgets_s[stage.budget]
                is_spent = spent(folder, STAGES, stage.budget) >= seconds
                why = f"the budget of {seconds:.0f} processor seconds is spent" if is_spent else "the hour has come"
                tell(f"{stage.name}: {why}; the rest is left out.")
                if stage.name in NEEDED:
                    raise SystemExit("Without a start and a recipe nothing can be compared; this needs more time.")
            if stage.name == until:
                return


def status(plan: Plan, folder: Path) -> str:
    """A line a stage: tasks done and in all, processor seconds; then the budgets."""
    seconds, lines = seconds_by_stage(folder), []
    for stage in STAGES[:-1]:
        tasks = stage.tasks(plan, folder)
        done = sum(task.output.exists() for task in tasks)
        lines.append(f"{stage.name:13} {done:5} of {len(tasks):5} {seconds.get(stage.name, 0.0):9.0f} s")
    made = "made" if (folder / tables.RESULT).exists() else "not made"
    lines.append(f"{'tables':13} {made}")
    for budget, seconds in plan.budgets_s.items():
        lines.append(f"budget of the {budget}: {spent(folder, STAGES, budget):.0f} of {seconds:.0f} s are spent")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
