"""Are the features less foreign to real ECGs when the masked start also sees ECGs without labels? Rule before result.

    python -m benchmarks.unlabelled_start --claim runs/claim-2 --ludb FOLDER     trains what is missing, one JSON line

Beside the start of the comparison (`benchmarks/claim`: masked, the ECGs of 2,000 phantom patients) another one is
trained that sees as many steps over the same ECGs and `--generated` more of `unlabelled=deepfake:N`, a generator
trained on ECGs of people. From each the multi-view arm is trained with the comparison's recipe and its first seeds.
Both are judged on the records of LUDB (leave one out, `benchmarks/ludb.py`), and on the comparison's test
patients.

Rule: the other start is worth shipping when the mean AUROC of the five findings by probe is higher on LUDB with a
paired 95 % interval above 0, and the error of LVEF on phantoms is not more than 0.15 points higher by the upper end of
its interval. Killed and started again it goes on.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from echo2ecg_core.evaluation.phenotypes import bootstrap, interval
from echo2ecg_core.evaluation.probes import probe
from echo2ecg_core.training.pairs import PreparedPairs
from echo2ecg_core.training.unlabelled import generated_ecgs

from .claim import training
from .claim.cohorts import ECG_INPUT, Part, load_part
from .claim.ledger import save_arrays
from .claim.plan import REFERENCE, WORTH_HAVING, Plan, Recipe, full_plan
from .ludb import N_RESAMPLES, ludb_findings, ludb_of, ludb_records, ludb_windows

SEEDS = (0, 1)
STARTS = ("phantoms", "phantoms and generated")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claim", type=Path, required=True, help="folder of a comparison that has start and recipe")
    parser.add_argument("--ludb", type=Path, required=True, help="folder of LUDB records in WFDB form")
    parser.add_argument("--out", type=Path, default=None, help="default: CLAIM/unlabelled")
    parser.add_argument("--generated", type=int, default=2000)
    parser.add_argument("--only-start", action="store_true", help="stop before anything that needs clip vectors")
    options = parser.parse_args()
    torch.set_num_threads(1)
    plan, out = full_plan(2), options.out or options.claim / "unlabelled"
    out.mkdir(parents=True, exist_ok=True)
    other = train_other_start(plan, options.claim, out, options.generated)
    if options.only_start:
        return
    starts = dict(zip(STARTS, (options.claim / training.START, other), strict=True))
    networks = {
        name: [aligned_network(plan, options.claim, out / f"{name}-{seed}", start, seed) for seed in SEEDS]
        for name, start in starts.items()
    }
    spec = plan.spec(REFERENCE)
    windows = ludb_windows(options.ludb, spec)
    findings = ludb_findings(ludb_records(options.ludb))
    real = {name: [auroc_draws(network, windows, findings) for network in own] for name, own in networks.items()}
    errors = {name: lvef_errors(options.claim, own) for name, own in networks.items()}
    print(json.dumps(judged(real, errors, load_part(options.claim, "test").ecg_of, options.generated)))


def train_other_start(plan: Plan, claim: Path, out: Path, n_generated: int) -> Path:
    """The start that sees generated ECGs too, for as many steps as the comparison's."""
    from safetensors.torch import save_file

    from echo2ecg_core.training.pretrain import pretrain

    file = out / f"start-{n_generated}.safetensors"
    if file.exists():
        return file
    drawn = out / f"generated-{n_generated}.npz"
    if not drawn.exists():
        save_arrays(drawn, signals=generated_ecgs(n_generated, ECG_INPUT, lambda share, text: tell(text)))
    with np.load(drawn, allow_pickle=False) as archive:
        generated = archive["signals"]
    train, validation = (ecgs_alone(claim, part) for part in ("train", "validation"))
    patients = plan.patients["train"]
    run = plan.run("masked", Recipe(plan.start_lr, 0.0), plan.start_epochs, 0)
    epochs = round(plan.start_epochs * patients / (patients + n_generated))
    network = pretrain(
        plan.spec("masked"),
        joined(train, generated),
        validation,
        replace(run, epochs=epochs, warmup_epochs=epochs / 10),
        state_file=out / "start-state.pt",
        log=lambda entry: tell(json.dumps(entry)) if entry["kind"] == "epoch" else None,
    )
    weights = {k: v.contiguous() for k, v in network.state_dict().items() if k.startswith("ecg_encoder.")}
    save_file(weights, file.with_suffix(".part"))
    file.with_suffix(".part").replace(file)
    return file


def ecgs_alone(claim: Path, part: str) -> PreparedPairs:
    """The ECGs of a part of the comparison, without studies."""
    shards = [np.load(path, allow_pickle=False) for path in sorted((claim / "ecgs").glob(f"{part}-*.npz"))]
    signals, owner = (np.concatenate([shard[key] for shard in shards]) for key in ("signals", "ecg_of"))
    return without_studies(signals, owner)


def without_studies(signals: np.ndarray, owner: np.ndarray) -> PreparedPairs:
    rows = np.arange(len(signals))
    return PreparedPairs(
        signals, np.zeros((0, 512), np.float32), [], np.stack([owner, rows, np.full_like(rows, -1)], 1)
    )


def joined(pairs: PreparedPairs, generated: np.ndarray) -> PreparedPairs:
    """With generated ECGs (n, 12, t), each of a person of its own."""
    n_samples = pairs.ecgs.shape[2]
    assert generated.shape[2] >= n_samples, "a generated ECG is shorter than those of the phantom"
    people = pairs.pairs[:, 0].max() + 1 + np.arange(len(generated))
    return without_studies(
        np.concatenate([pairs.ecgs, generated[:, :, :n_samples]]), np.concatenate([pairs.pairs[:, 0], people])
    )


def aligned_network(plan: Plan, claim: Path, own: Path, start: Path, seed: int):
    """The reference arm from a start, by the comparison's recipe; from the comparison's own start its own network."""
    from safetensors.torch import load_file, save_file

    from echo2ecg_core.models.echo2ecg import Echo2ECG
    from echo2ecg_core.training.pretrain import pretrain

    arm = claim / "arms" / f"{REFERENCE}-{seed}" / "network.safetensors"
    file = arm if start == claim / training.START and arm.exists() else own / "network.safetensors"
    if not file.exists():
        own.mkdir(parents=True, exist_ok=True)
        train, validation = load_part(claim, "train"), load_part(claim, "validation")
        network = pretrain(
            plan.spec(REFERENCE),
            train.pairs(REFERENCE),
            validation.pairs(REFERENCE, np.arange(training.FEW)),
            plan.run(REFERENCE, training.chosen_recipe(plan, claim), plan.arm_epochs, seed),
            start_from=load_file(start),
            state_file=own / "state.pt",
            log=lambda entry: tell(json.dumps(entry)) if entry["kind"] == "epoch" else None,
        )
        save_file({k: v.contiguous() for k, v in network.state_dict().items()}, file.with_suffix(".part"))
        file.with_suffix(".part").replace(file)
    network = Echo2ECG(plan.spec(REFERENCE)).eval()
    network.load_state_dict(load_file(file))
    return network


def auroc_draws(network, windows: np.ndarray, findings: dict[str, np.ndarray]) -> dict[tuple[str, str], np.ndarray]:
    """(finding, readout) -> AUROC over the real records, all and then in resamples, (1 + w,)."""
    x, _ = training.embedded(network, windows, windows=None)
    measured = ludb_of(x, findings)
    return {(finding, readout): np.concatenate([[m.value], m.draws]) for (readout, finding), m in measured.items()}


def lvef_errors(claim: Path, networks: list) -> np.ndarray:
    """Absolute error of a probe for LVEF on every test ECG, mean over the networks, (e,)."""
    parts: dict[str, Part] = {name: load_part(claim, name) for name in ("train", "validation", "test")}
    y = {name: part.labels.lvef.to_numpy(float)[part.ecg_of] for name, part in parts.items()}
    errors = []
    for network in networks:
        x = {name: training.embedded(network, part.signals, windows=None)[0] for name, part in parts.items()}
        told = probe("regression", x["train"], y["train"], x["validation"], y["validation"], x["test"])
        errors.append(np.abs(told - y["test"]))
    return np.mean(errors, 0)


def judged(real: dict, errors: dict[str, np.ndarray], owner: np.ndarray, n_generated: int) -> dict:
    """What each start gives and how they differ, with the outcome of the rule."""
    of_start = {name: {key: np.mean([draws[key] for draws in own], 0) for key in own[0]} for name, own in real.items()}
    old, new = (of_start[name] for name in STARTS)
    gained = {key: new[key] - old[key] for key in new}
    mean = {
        readout: np.mean([draws for (_, own), draws in gained.items() if own == readout], 0)
        for readout in ("probe", "knn")
    }
    more = errors[STARTS[1]] - errors[STARTS[0]]
    draws = bootstrap(lambda w: {"more": w @ more / w.sum(1)}, owner, N_RESAMPLES, 0)["more"]
    lvef = [float(more.mean()), *map(float, interval(draws))]
    is_better = interval(mean["probe"][1:])[0] > 0
    is_no_worse = lvef[2] < WORTH_HAVING["lvef error"]
    return {
        "benchmark": "unlabelled_start",
        "generated": n_generated,
        "seeds": len(SEEDS),
        "auroc": {
            name: {f"{f}, {r}": round(float(d[0]), 3) for (f, r), d in own.items()} for name, own in of_start.items()
        },
        "gained": {f"{f}, {r}": shown(d) for (f, r), d in gained.items()},
        "gained_mean": {readout: shown(d) for readout, d in mean.items()},
        "lvef_error": {name: round(float(e.mean()), 3) for name, e in errors.items()},
        "lvef_error_more": [round(v, 3) for v in lvef],
        "worth_shipping": bool(is_better and is_no_worse),
    }


def shown(draws: np.ndarray) -> list[float]:
    return [round(float(v), 3) for v in (draws[0], *interval(draws[1:]))]


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
