"""Whether what the page names as carrying the LVEF estimate does carry it: deletion on simulated patients.

    python benchmarks/why.py [--patients 40] [--seed 8100] [--out FILE]

Of every simulated ECG a tenth of the stretches of 40 ms is laid flat, chosen by the attribution ("named"), at random
(mean of 20 draws) or by the largest deflections; `moved` is the mean change of the shipped model's uncalibrated LVEF
in points, `named_above` how often the named tenth moved it more. Hearts and seed are none that trained the model. One
JSON line.
"""

import argparse
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=40)
    parser.add_argument("--seed", type=int, default=8100)
    parser.add_argument("--out", type=Path, default=None, help="the JSON line here too")
    options = parser.parse_args()
    line = json.dumps({"benchmark": "why", **measured(options.patients, options.seed)})
    print(line)
    if options.out:
        options.out.write_text(line + "\n")


def measured(patients: int, seed: int) -> dict:
    """Means over patients, and of the gap between sums of contributions and estimates (completeness)."""
    from echo2ecg_core.answers.loaded_model import load_model
    from echo2ecg_core.answers.why import explain
    from echo2ecg_core.ecg.record import EcgRecord
    from echo2ecg_core.intake.demo import SHIPPED_MODEL
    from echo2ecg_core.phantom.ecg import simulate_ecg
    from echo2ecg_core.phantom.heart import draw_heart
    from echo2ecg_core.store.model_registry import ModelCard

    model = load_model(ModelCard("demo", "demo-multiview", "", True, "", True, SHIPPED_MODEL))
    moved, gaps, lead_shares = [], [], []
    for patient in range(patients):
        rng = np.random.default_rng((seed, patient))
        found = explain(EcgRecord(simulate_ecg(draw_heart(rng), rng), 500.0, "phantom", f"P-{patient}"), model)
        moved.append([found.moved[name] for name in ("named", "random", "largest")])
        gaps.append(abs(found.contribution.sum() - (found.estimate - found.flat)))
        lead_shares.append(next(iter(found.lead_share.values())))
    named, random, largest = np.array(moved).T
    return {
        "ecgs": patients,
        "seed": seed,
        "moved": {"named": _two(named), "random": _two(random), "largest": _two(largest)},
        "named_above": {"random": int((named > random).sum()), "largest": int((named > largest).sum())},
        "largest_gap_points": round(float(max(gaps)), 3),
        "mean_share_of_first_lead": round(float(np.mean(lead_shares)), 3),
    }


def _two(values: np.ndarray) -> float:
    return round(float(values.mean()), 2)


if __name__ == "__main__":
    main()
