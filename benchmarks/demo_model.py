"""What the shipped demo model does on the test patients of its phantom cohort, as the table of docs/evidence.md.

    python benchmarks/demo_model.py            one JSON line
    python benchmarks/demo_model.py --table    the Markdown table of docs/evidence.md

The numbers were measured by `python -m benchmarks.demo_from_claim`, on patients that neither trained nor calibrated
the model, and stand in the model's manifest; nothing is computed here. Intervals are 95
% patient bootstraps. Baselines: the same encoder randomly initialised, with the same readouts; the median of the
training patients.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from echo2ecg_core.intake.demo import SHIPPED_MODEL  # noqa: E402
from echo2ecg_core.phenotypes import PHENOTYPES  # noqa: E402
from echo2ecg_core.store.model_registry import read_manifest  # noqa: E402


def table(report: dict) -> str:
    """The table of the evidence, one row a figure, each with its 95 % interval."""
    lvef = report["phenotypes"]["lvef"]

    def shown(entry: dict, key: str, digits: int) -> str:
        low, high = entry[f"{key}_interval"]
        return f"{entry[key]:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"

    rows = [
        "| test patients | demo model | random encoder | median predictor | R² | cover of 90 % interval |",
        "|---|---|---|---|---|---|",
        f"| AUROC, LVEF ≤ 40 | {shown(lvef, 'auroc_reduced', 2)} | {shown(lvef, 'random_auroc_reduced', 2)} | 0.50 | "
        "| |",
    ]
    for name, entry in report["phenotypes"].items():
        phenotype = PHENOTYPES[name]
        digits, unit = phenotype.decimals + 1, f" ({phenotype.unit})" if phenotype.unit else ""
        covered = f"{100 * entry['coverage']:.0f} %"
        if phenotype.kind == "grade":
            rows.append(
                f"| AUROC, {phenotype.short} moderate or worse | {shown(entry, 'auroc_moderate', 2)} | "
                f"{shown(entry, 'random_auroc_moderate', 2)} "
                f"| 0.50 | | {covered} |"
            )
        else:
            rows.append(
                f"| MAE, {phenotype.short}{unit} | {shown(entry, 'mae', digits)} | "
                f"{shown(entry, 'random_mae', digits)} "
                f"| {shown(entry, 'median_mae', digits)} | {entry['r2']:.2f} | {covered} |"
            )
    found = report["retrieval"]
    rows.append(
        f"| LVEF difference of the ten nearest of {found['studies']} studies, over that of random ones | "
        f"{found['top10_lvef_ratio']:.2f} | | 1.00 | | |"
    )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true")
    manifest = read_manifest(SHIPPED_MODEL)
    if parser.parse_args().table:
        print(table(manifest["test"]))
    else:
        print(
            json.dumps(
                {
                    "benchmark": "demo_model",
                    "model": manifest["sha256"][:8],
                    "patients": manifest["cohort"]["patients"],
                    **manifest["test"],
                }
            )
        )


if __name__ == "__main__":
    main()
