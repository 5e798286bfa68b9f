"""Fits the readouts of the shipped demo model again and measures them again, on the cohort it was trained on.

    python benchmarks/demo_readouts.py [--cohort FOLDER of prepared shards]

For labels that came after the training (the wall motion score index). The network stays; readouts.safetensors and the
manifest's `test` and `readouts` are replaced. About 40 minutes on two cores where the cohort has to be rendered first,
else 10. Prints one JSON line.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from echo2ecg_core.answers.loaded_model import READOUTS_FILE  # noqa: E402
from echo2ecg_core.intake.demo import SHIPPED_MODEL  # noqa: E402
from echo2ecg_core.store.database import write_atomically  # noqa: E402
from echo2ecg_core.store.model_registry import read_manifest  # noqa: E402
from echo2ecg_core.training.settings import TRAINING_PRESETS  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohort", type=Path, default=ROOT / "runs" / "demo-readouts")
    folder = parser.parse_args().cohort
    from echo2ecg_core.training.trained_readouts import fit_and_test
    from safetensors.numpy import save_file

    from echo2ecg_core.models.checkpoint import load_checkpoint
    from echo2ecg_core.training.phantom_data import prepare_cohort, with_more_bodies

    manifest, checkpoint = read_manifest(SHIPPED_MODEL), load_checkpoint(SHIPPED_MODEL)
    of_cohort = {
        "n_patients": manifest["cohort"]["simulated"],
        "seed": manifest["cohort"]["seed"],
        "spec": checkpoint.spec.ecg_input,
        "folder": folder,
    }
    data = prepare_cohort(**of_cohort, encoder=checkpoint.clip_encoder, progress=tell)
    data = with_more_bodies(data, **of_cohort, n_bodies=TRAINING_PRESETS[manifest["preset"]].bodies, progress=tell)
    readouts, measured = fit_and_test(checkpoint.echo2ecg, data, manifest["within_days"], manifest["run"]["seed"])
    save_file(readouts.tensors(), SHIPPED_MODEL / READOUTS_FILE)
    manifest |= measured | {"readouts_command": "python benchmarks/demo_readouts.py"}
    manifest["cohort"]["fingerprint"] = data.fingerprint()
    write_atomically(SHIPPED_MODEL / "manifest.json", json.dumps(manifest, indent=1, ensure_ascii=False).encode())
    lvef = measured["test"]["phenotypes"]["lvef"]
    print(
        json.dumps(
            {
                "benchmark": "demo_readouts",
                "model": manifest["sha256"][:8],
                "phenotypes": len(measured["test"]["phenotypes"]),
                "auroc_reduced": lvef["auroc_reduced"],
                "mae": lvef["mae"],
            }
        )
    )


def tell(share: float, message: str) -> None:
    print(f"{share:4.0%} {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
