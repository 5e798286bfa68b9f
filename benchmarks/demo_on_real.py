"""Two demo models on real ECGs of LUDB, at their true scale: what is told of them, how like the training ECGs they are.

    python -m benchmarks.demo_on_real --ludb FOLDER --old MODEL --new MODEL [--out FILE]
    python -m benchmarks.demo_on_real --table [FILE]     the Markdown table of docs/evidence.md

FOLDER holds wfdb records of LUDB; readers put their amplitudes right (limb-lead equations). LUDB has no echo, so an
estimate is judged by what cardiologists wrote of the ECG: of frozen embeddings, the AUROC of each finding, leave one
out (probe and kNN, as ludb.py); of the estimates that the page shows, nothing fitted, the AUROC of
thick walls for hypertrophy, a large atrium for its enlargement, a low LVEF for infarct or ischaemia and for bundle
branch blocks. Beside that the share of records called outside the training data, and the LVEFs told. 95 % intervals
by bootstrap over records, the same for both models, so that differences are paired. Not corrected for their number.
Phantom 2 was fitted to records 1, 5, 9, ... (phantom/ecg_parameters.py), so the difference stands beside that on the
other records alone ("held").
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from benchmarks.ludb import N_RESAMPLES, Measured, ludb_findings, ludb_of, ludb_records
from echo2ecg_core.evaluation.phenotypes import bootstrap, weighted_auroc

RESULTS = Path(__file__).resolve().parent / "results" / "demo_on_real.json"
ESTIMATES = {  # finding of the header -> phenotype, sign of the estimate that should tell it
    "LV hypertrophy": ("lv_mass_index", 1),
    "LA enlargement": ("lavi", 1),
    "infarct or ischaemia": ("lvef", -1),
    "bundle branch block, any": ("lvef", -1),
}
FITTED = 4  # phantom 2 was fitted to records 1, 5, 9, ...


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ludb", type=Path)
    parser.add_argument("--old", type=Path)
    parser.add_argument("--new", type=Path)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--table", type=Path, nargs="?", const=RESULTS, default=None, help="of these results")
    options = parser.parse_args()
    if options.table:
        print(table(json.loads(options.table.read_text())))
        return
    headers = ludb_records(options.ludb)
    if not headers:
        print(f"Skipped: {options.ludb} holds no wfdb records (*.hea). Give LUDB's folder.", file=sys.stderr)
        return
    seen = {name: answers(folder, headers) for name, folder in (("old", options.old), ("new", options.new))}
    held = np.array([int(path.stem) % FITTED != 1 for path in headers])
    findings = ludb_findings(headers)
    result = {"records": len(headers), "all": compared(seen, findings, np.ones(len(headers), bool))}
    result["held"] = compared(seen, findings, held)
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({"benchmark": "demo_on_real", "records": len(headers), "outside": result["all"]["outside"]}))


def answers(folder: Path, headers: list[Path]) -> dict[str, np.ndarray]:
    """What a model makes of every record: embedding (n, d), estimates by phenotype (n,), outside by measure (n,)."""
    from echo2ecg_core.answers.loaded_model import load_model
    from echo2ecg_core.ecg.readers import read_ecg
    from echo2ecg_core.models.outside import LIMIT_PERCENTILE
    from echo2ecg_core.store.model_registry import ModelCard, read_manifest

    sha256 = read_manifest(folder)["sha256"]
    model = load_model(ModelCard(sha256[:8], folder.name, sha256, True, "", True, folder))
    assert model.readouts is not None
    vectors = [model.embed_ecgs(model.prepare(read_ecg(path))[None]) for path in headers]
    embedding = np.concatenate([each.embedding for each in vectors])
    percentiles = model.readouts.outside.percentiles(np.concatenate([each.outside for each in vectors]), embedding)
    beyond = {f"outside.{name}": found > LIMIT_PERCENTILE for name, found in percentiles.items()}
    estimates = {name: model.readouts.values(name, embedding) for name in {p for p, _ in ESTIMATES.values()}}
    return {"embedding": embedding, "outside.either": np.any(list(beyond.values()), axis=0), **beyond, **estimates}


def compared(seen: dict[str, dict], findings: dict[str, np.ndarray], rows: np.ndarray) -> dict:
    """Every figure of both models over some records, and new less old: [value, low, high]."""
    measured = {name: figures(of_model, findings, rows) for name, of_model in seen.items()}
    found: dict = {"records": int(rows.sum()), "positives": {f: int(p[rows].sum()) for f, p in findings.items()}}
    for kind in ("frozen", "estimate", "outside", "lvef"):
        found[kind] = {
            key: {
                "old": old.as_json(),
                "new": measured["new"][kind][key].as_json(),
                "new less old": measured["new"][kind][key].minus(old).as_json(),
            }
            for key, old in measured["old"][kind].items()
        }
    return found


def figures(of_model: dict[str, np.ndarray], findings: dict, rows: np.ndarray) -> dict[str, dict[str, Measured]]:
    """Of one model: AUROC of frozen embeddings and of estimates, shares outside, LVEFs told."""
    told = {finding: positive[rows] for finding, positive in findings.items()}
    frozen = ludb_of(of_model["embedding"][rows], told)
    lvef = of_model["lvef"][rows]
    return {
        "frozen": {f"{finding}, {readout}": value for (readout, finding), value in frozen.items()},
        "estimate": {
            f"{finding} by {name}": auroc(sign * of_model[name][rows], told[finding])
            for finding, (name, sign) in ESTIMATES.items()
        },
        "outside": {
            key.removeprefix("outside."): share(value[rows])
            for key, value in of_model.items()
            if key.startswith("outside.")
        },
        "lvef": {"mean": share(lvef), "told ≤ 40": share(lvef <= 40.5)},
    }


def auroc(scores: np.ndarray, positive: np.ndarray) -> Measured:
    """AUROC with its draws over records."""
    draws = bootstrap(lambda w: {"x": weighted_auroc(scores, positive, w)}, np.arange(len(scores)), N_RESAMPLES, 0)["x"]
    return Measured(float(weighted_auroc(scores, positive, np.ones((1, len(scores))))[0]), draws)


def share(values: np.ndarray) -> Measured:
    """Mean with its draws over records."""
    values = values.astype(float)
    draws = bootstrap(lambda w: {"x": w @ values / w.sum(1)}, np.arange(len(values)), N_RESAMPLES, 0)["x"]
    return Measured(float(values.mean()), draws)


def table(result: dict) -> str:
    """The table of the evidence: both models, their difference, and the difference on the records held."""
    lines = [
        f"| {result['all']['records']} records of LUDB | demo before | demo now | now less before | "
        f"the same, {result['held']['records']} records to which nothing was fitted |",
        "|---|---|---|---|---|",
    ]
    words = {
        "frozen": "AUROC, frozen embedding, {}",
        "estimate": "AUROC, estimate shown, {}",
        "outside": "share outside the training data, {}",
        "lvef": "LVEF told, {}",
    }
    for kind, form in words.items():
        for key, of_both in result["all"][kind].items():
            digits = 1 if (kind, key) == ("lvef", "mean") else 2
            cells = [shown(of_both[name], digits) for name in ("old", "new", "new less old")]
            cells.append(shown(result["held"][kind][key]["new less old"], digits))
            positives = result["all"]["positives"].get(key.partition(" by ")[0].rpartition(",")[0] or key)
            count = f" ({positives})" if positives else ""
            lines.append(f"| {form.format(key)}{count} | {' | '.join(cells)} |")
    return "\n".join(lines)


def shown(of: list[float], digits: int) -> str:
    value, low, high = (f"{x:.{digits}f}".replace("-", "−") for x in of)
    return f"{value} ({low} to {high})"


if __name__ == "__main__":
    main()
