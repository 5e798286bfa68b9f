"""Assembles the demo model that ships from a folder of the comparison (benchmarks/claim): networks, readouts, report.

    python -m benchmarks.demo_from_claim --claim FOLDER [--arm ARM --seed SEED] [--out FOLDER]
    python -m benchmarks.demo_from_claim --claim FOLDER --simulate     only what needs no network, while that is trained

Nothing is trained here: a multi-view arm (attention, mean) and the frozen clip encoder are taken as they are, rounded
to 16 bits. Unless it is named, the arm is that with the smaller LVEF error on validation patients, mean over its seeds,
and of it the seed with the smallest; test patients choose nothing.
Readouts are fitted, calibrated and measured by demo_readouts.py, the report is made by demo_report.py, both on patients
of whom the networks saw none but those that fit the readouts. Killed and started again it goes on; what simulating
costs is kept for another network. Half an hour of processor time, less after `--simulate`. Prints JSON lines.

Then, with MODEL the folder of the model before (kept aside first): `python benchmarks/demo_model.py --table`,
`python benchmarks/honesty.py --real LUDB`, `python -m benchmarks.windows` and `python -m benchmarks.demo_on_real
--ludb LUDB --old MODEL --new assets/models/demo-multiview` renew what docs/evidence.md and README quote, and
`python -m benchmarks.pictures` the pictures.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks import demo_readouts, demo_report
from benchmarks.claim.clip_encoder import WEIGHTS, load_encoder
from benchmarks.claim.cohorts import load_part
from benchmarks.claim.ledger import load_arrays, seconds_by_task
from benchmarks.claim.plan import (
    ARMS,
    COHORT_SEEDS,
    REFERENCE,
    SEARCHING,
    WITHIN_DAYS,
    Plan,
    Recipe,
    full_plan,
    small_plan,
)
from benchmarks.claim.training import START, chosen_recipe, validation_error
from echo2ecg_core.intake.demo import SHIPPED_MODEL, DemoCohort

NAME = "demo-multiview"
CLIPS = 6  # of a study in the demo, where phantom 1 had seven on average and phantom 2 has forty
MULTI_VIEW = [name for name, arm in ARMS.items() if arm.multi]
MOST_BYTES = 20_000_000  # of one file that ships


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claim", type=Path, required=True, help="folder of `python -m benchmarks.claim --out`")
    parser.add_argument("--arm", choices=MULTI_VIEW)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--out", type=Path, default=SHIPPED_MODEL)
    parser.add_argument("--work", type=Path, default=demo_report.ROOT / "runs" / "demo-report")
    parser.add_argument("--cache", type=Path, default=demo_readouts.CACHE)
    parser.add_argument("--jobs", type=int, default=1, help="processes that write ECGs")
    parser.add_argument("--simulate", action="store_true")
    options = parser.parse_args()
    plan = plan_of(options.claim)
    if options.simulate:
        facts = patients_of(plan, options.claim) | {"spec": plan.spec(REFERENCE).to_dict()}
        demo_readouts.simulate(facts, options.cache)
        demo_report.simulate(facts, options.work, options.cache, options.jobs)
        return
    errors = validation_errors(options.claim)
    arm, seed = choice(errors, options.arm, options.seed)
    sha256 = assemble(plan, options.claim, arm, seed, errors, options.out)
    print(json.dumps({"benchmark": "demo_from_claim", "arm": arm, "seed": seed, "model": sha256[:8]}))
    print(json.dumps(demo_readouts.fit(options.out, options.cache)), flush=True)
    print(json.dumps(demo_report.make(options.out, options.work, options.cache, options.jobs)))
    check_sizes(options.out)


def plan_of(claim: Path) -> Plan:
    """The plan of a folder.

    Raises:
        SystemExit: it holds no comparison, or one of other sizes than this program's.
    """
    try:
        text = (claim / "plan.json").read_text()
    except OSError:
        raise SystemExit(f"{claim} holds no comparison (plan.json). Run `python -m benchmarks.claim` first.") from None
    plans = [make(version) for make in (full_plan, small_plan) for version in COHORT_SEEDS]
    found = next((plan for plan in plans if json.dumps(plan.to_dict(), indent=1) == text), None)
    if found is None:
        raise SystemExit(f"The comparison in {claim} has other sizes than benchmarks/claim/plan.py. Make it again.")
    return found


def patients_of(plan: Plan, claim: Path) -> dict:
    """What the manifest tells of patients: who trained the networks, and the cohort on which the model is shown."""
    numbers = {part: json.loads((claim / "patients" / f"{part}.json").read_text()) for part in ("train", "validation")}
    return {
        "cohort": {
            "patients": {part: len(of_part) for part, of_part in numbers.items()},
            "seed": COHORT_SEEDS[plan.version]["train"],
            "simulated": numbers["train"][-1] + 1,
            "seeds": COHORT_SEEDS[plan.version],
            "phantom": plan.version,
        },
        "within_days": float(WITHIN_DAYS),
        "demo": asdict(DemoCohort(version=plan.version, clips=CLIPS)),
    }


def validation_errors(claim: Path) -> dict[str, dict[int, float]]:
    """LVEF error (points) on validation patients, of every arm that knows studies by seed.

    Raises:
        SystemExit: no multi-view arm has been trained.
    """
    train, validation = (load_part(claim, part) for part in ("train", "validation"))
    found: dict[str, dict[int, float]] = {}
    for name in SEARCHING:
        for path in sorted((claim / "arms").glob(f"{name}-*/vectors.npz")):
            seed, vectors = int(path.parent.name.rpartition("-")[2]), load_arrays(path)
            error = validation_error(train, vectors["train"], validation, vectors["validation"])
            found.setdefault(name, {})[seed] = round(error, 3)
    if missing := [name for name in MULTI_VIEW if name not in found]:
        raise SystemExit(f"{', '.join(missing)}: not trained yet. `python -m benchmarks.claim --out {claim}` does it.")
    return found


def choice(errors: dict[str, dict[int, float]], arm: str | None = None, seed: int | None = None) -> tuple[str, int]:
    """The multi-view arm whose error is smaller, mean over seeds, and its best seed, where they are not given."""
    arm = arm or min(MULTI_VIEW, key=lambda name: float(np.mean(list(errors[name].values()))))
    return arm, min(errors[arm], key=errors[arm].__getitem__) if seed is None else seed


def assemble(plan: Plan, claim: Path, arm: str, seed: int, errors: dict[str, dict[int, float]], out: Path) -> str:
    """Write networks, rounded to 16 bits, and manifest into `out`, where older ones are replaced; gives the hash of the
    weights.

    Args:
        errors: As `validation_errors` gives them, for the manifest.

    Raises:
        SystemExit: the networks are not there yet.
    """
    from safetensors.torch import load_file

    from echo2ecg_core.models.checkpoint import save_checkpoint
    from echo2ecg_core.models.echo2ecg import Echo2ECG

    file = claim / "arms" / f"{arm}-{seed}" / "network.safetensors"
    for needed in (claim / WEIGHTS, claim / START, file):
        if not needed.exists():
            raise SystemExit(f"{needed} is not there yet. `python -m benchmarks.claim --out {claim}` makes it.")
    network = Echo2ECG(plan.spec(arm))
    network.load_state_dict(load_file(file))
    networks = {"echo2ecg": network.eval(), "clip_encoder": load_encoder(claim)}
    return save_checkpoint(out, networks, plan.spec(arm), manifest_of(plan, claim, arm, seed, errors), "float16")


def manifest_of(plan: Plan, claim: Path, arm: str, seed: int, errors: dict[str, dict[int, float]]) -> dict:
    """How the model came about."""
    recipe, seconds = chosen_recipe(plan, claim), seconds_by_task(claim)
    start = plan.run("masked", Recipe(plan.start_lr, 0.0), plan.start_epochs, 0)
    return {
        "name": NAME,
        "synthetic": True,
        "preset": "demo",
        "command": "python -m benchmarks.claim; python -m benchmarks.demo_from_claim --claim FOLDER"
        f" --arm {arm} --seed {seed}",
        "protocol": "benchmarks/claim/PROTOCOL.md",
        **patients_of(plan, claim),
        "pairs": {part: pairs(claim, part) for part in ("train", "validation")},
        "run": asdict(plan.run(arm, recipe, plan.arm_epochs, seed)),
        "arm": {"name": arm, "seed": seed, "recipe": recipe.name, "validation_lvef_error": errors},
        "started_from": {
            "name": "masked start of the same patients",
            "run": asdict(start),
            "training_minutes": round(seconds.get("start", 0.0) / 60, 1),
        },
        "clip_encoder": "trained on single clips (training/single_clip_encoder.py)",
        "training_minutes": round(seconds.get(f"{arm}-{seed}", 0.0) / 60, 1),
    }


def pairs(claim: Path, part: str) -> int:
    """ECGs of a part, each of which has its study."""
    count = 0
    for path in sorted((claim / "ecgs").glob(f"{part}-*.npz")):
        with np.load(path, allow_pickle=False) as shard:
            count += len(shard["ecg_of"])
    return count


def check_sizes(folder: Path) -> None:
    """That no file is too large to ship.

    Raises:
        SystemExit: one is.
    """
    large = [path.name for path in folder.iterdir() if path.stat().st_size > MOST_BYTES]
    if large:
        raise SystemExit(f"Too large to ship ({MOST_BYTES // 10**6} MB a file at most): {', '.join(large)}.")


if __name__ == "__main__":
    main()
