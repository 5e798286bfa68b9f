"""What averaging all windows of a recording buys over the paper's first window, for the shipped demo model.

    python -m benchmarks.windows [--patients 2000]

Embeds the ECGs of the demo cohort's training and test patients twice with the same weights (first window; all whole
windows averaged before the LayerNorm), fits the same linear readout on the training patients each time, and prints one
JSON line: AUROC of LVEF <= 40 and mean error of LVEF on the test patients, with 95 % patient-bootstrap intervals.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def main() -> None:
    import numpy as np
    from sklearn.linear_model import RidgeCV

    from echo2ecg_core.answers.loaded_model import load_active_model
    from echo2ecg_core.ecg.preprocess import prepare_ecg
    from echo2ecg_core.evaluation.held_out import with_interval
    from echo2ecg_core.evaluation.phenotypes import weighted_auroc, weighted_regression
    from echo2ecg_core.intake import demo
    from echo2ecg_core.store.database import Workspace

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=2000)
    people, rows = demo.shipped_cohort().people(), {"train": [], "test": []}
    with tempfile.TemporaryDirectory() as folder:
        demo.open_workspace(Workspace(folder))
        model = load_active_model(Workspace(folder))
    for i in range(parser.parse_args().patients):
        if people.split_of(i) in rows:
            for ecg in people.patient(i).ecgs:
                windows = prepare_ecg(ecg.signal_mv(), 500.0, windows="all")[None]  # (1, w, 12, 1008)
                first, averaged = (model.embed_ecgs(w).embedding[0] for w in (windows[:, :1], windows))
                rows[people.split_of(i)].append((i, ecg.heart.lvef, first, averaged))
    lvef = {split: np.array([r[1] for r in found]) for split, found in rows.items()}
    patients = np.array([r[0] for r in rows["test"]])
    result = {"benchmark": "windows", "test_ecgs": len(patients), "test_patients": len(np.unique(patients))}
    for name, column in (("first", 2), ("all", 3)):
        x = {split: np.stack([r[column] for r in found]) for split, found in rows.items()}
        mean, scale = x["train"].mean(0), x["train"].std(0)
        readout = RidgeCV(10.0 ** np.arange(-1, 6)).fit((x["train"] - mean) / scale, lvef["train"])
        predicted = readout.predict((x["test"] - mean) / scale)
        reduced = lvef["test"] <= 40.5
        result[name] = {
            "auroc": with_interval(lambda w, s=-predicted, y=reduced: weighted_auroc(s, y, w), patients),
            "mae": with_interval(lambda w, p=predicted: weighted_regression(p, lvef["test"], w)["mae"], patients),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
