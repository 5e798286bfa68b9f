"""Assembles the demo model that ships from a folder of the comparison (benchmarks/claim): networks, readouts, report.

    python -m benchmarks.demo_from_claim --claim FOLDER [--arm attention] [--seed 0] [--out FOLDER]
    python -m benchmarks.demo_from_claim --claim FOLDER --simulate     only what needs no network, while that is trained

Nothing is trained here: an arm that knows studies (attention, mean) and the frozen clip encoder are taken as they are,
rounded to 16 bits.
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
from benchmarks.claim.ledger import seconds_by_task
from benchmarks.claim.plan import ARMS, COHORT_SEEDS, REFERENCE, WITHIN_DAYS, Plan, Recipe, full_plan, small_plan
from benchmarks.claim.training import START, chosen_recipe, recipe_errors
from echo2ecg_core.intake.demo import SHIPPED_MODEL, DemoCohort

NAME = "demo-multiview"
CLIPS = 6  # of a study in the demo, where phantom 1 had seven on average and phantom 2 has forty
MOST_BYTES = 20_000_000  # of one file that ships


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claim", type=Path, required=True, help="folder of `python -m benchmarks.claim --out`")
    parser.add_argument("--arm", choices=[name for name, arm in ARMS.items() if arm.pooling], default=REFERENCE)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=SHIPPED_MODEL)
    parser.add_argument("--work", type=Path, default=demo_report.ROOT / "runs" / "demo-report")
    parser.add_argument("--cache", type=Path, default=demo_readouts.CACHE)
    parser.add_argument("--jobs", type=int, default=1, help="processes that write ECGs")
    parser.add_argument("--simulate", action="store_true")
    options = parser.parse_args()
    plan = plan_of(options.claim)
    if options.simulate:
        facts = patients_of(plan, options.claim) | {"spec": plan.spec(options.arm).to_dict()}
        demo_readouts.simulate(facts, options.cache)
        demo_report.simulate(facts, options.work, options.cache, options.jobs)
        return
    sha256 = assemble(plan, options.claim, options.arm, options.seed, options.out)
    print(json.dumps({"benchmark": "demo_from_claim", "arm": options.arm, "seed": options.seed, "model": sha256[:8]}))
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
    plans = [make(version) for make in (full_plan, small_plan) for version in (1, 2)]
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
            "seed": COHORT_SEEDS["train"],
            "simulated": numbers["train"][-1] + 1,
            "seeds": COHORT_SEEDS,
            "phantom": plan.version,
        },
        "within_days": float(WITHIN_DAYS),
        "demo": asdict(DemoCohort(version=plan.version, clips=CLIPS)),
    }


def assemble(plan: Plan, claim: Path, arm: str, seed: int, out: Path) -> str:
    """Write networks, rounded to 16 bits, and manifest into `out`, where older ones are replaced; gives the hash of the
    weights.

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
    return save_checkpoint(out, networks, plan.spec(arm), manifest_of(plan, claim, arm, seed), "float16")


def manifest_of(plan: Plan, claim: Path, arm: str, seed: int) -> dict:
    """How the model came about."""
    recipe, seconds = chosen_recipe(plan, claim), seconds_by_task(claim)
    start = plan.run("masked", Recipe(plan.start_lr, 0.0), plan.start_epochs, 0)
    told = {known.name: of_arm for known, of_arm in recipe_errors(plan, claim).items()}
    return {
        "name": NAME,
        "synthetic": True,
        "preset": "demo",
        "command": "python -m benchmarks.claim; python -m benchmarks.demo_from_claim --claim FOLDER"
        + ("" if (arm, seed) == (REFERENCE, 0) else f" --arm {arm} --seed {seed}"),
        "protocol": "benchmarks/claim/PROTOCOL.md",
        **patients_of(plan, claim),
        "pairs": {part: pairs(claim, part) for part in ("train", "validation")},
        "run": asdict(plan.run(arm, recipe, plan.arm_epochs, seed)),
        "arm": {"name": arm, "seed": seed, "recipe": recipe.name, "validation_lvef_error": told},
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
