"""Fits the readouts of the shipped demo model again and measures them again; the network stays.

    python benchmarks/demo_readouts.py [--cache FOLDER of vectors]

Fitted on the training patients of the cohort it was trained on, calibrated on 4,000 simulated patients of a cohort that
nothing else has seen, measured on the test patients; labels carry the noise of observers. readouts.safetensors and the
manifest's `test`, `readouts` and `labels` are replaced; how it retrieves rests on the network alone and is kept. Killed
and started again it goes on. Six minutes of processor time, most of it simulating and embedding; two where the vectors
are there. Prints one JSON line.
"""

import argparse
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small matrices: more threads wait for one another
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from echo2ecg_core.answers.loaded_model import READOUTS_FILE  # noqa: E402
from echo2ecg_core.intake.demo import SHIPPED_MODEL, cohort  # noqa: E402
from echo2ecg_core.models.readouts import LabelledVectors  # noqa: E402
from echo2ecg_core.store.database import write_atomically  # noqa: E402
from echo2ecg_core.store.model_registry import read_manifest  # noqa: E402

CALIBRATION_SEED, CALIBRATION_PATIENTS = 4101, 4000
CACHE = ROOT / "runs" / "phantom-ecgs"
LABELS = (
    "Measured on simulated hearts with the noise of observers (standard deviations: "
    "LVEF 3.5 points, LVEDV 7 %; Thavendiranathan et al. 2013, Crowley et al. 2016); wall motion scores and valve "
    "grades carry none."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=CACHE)
    folder = parser.parse_args().cache
    import torch
    from safetensors.numpy import save_file

    from echo2ecg_core.models.checkpoint import load_checkpoint
    from echo2ecg_core.models.echo2ecg import Echo2ECG
    from echo2ecg_core.training.readouts import fit_and_measure

    manifest, network = read_manifest(SHIPPED_MODEL), load_checkpoint(SHIPPED_MODEL).echo2ecg
    torch.manual_seed(manifest["run"]["seed"])
    networks = {"own": network, "untrained": Echo2ECG(network.spec).eval()}
    splits = split_vectors(networks, manifest["within_days"], folder)
    own, untrained = ({split: both[name] for split, both in splits.items()} for name in networks)
    readouts, measured = fit_and_measure(own, untrained)
    measured["test"]["retrieval"] = manifest["test"]["retrieval"]
    measured["readouts"] |= {"calibration_seed": CALIBRATION_SEED}
    save_file(readouts.tensors(), SHIPPED_MODEL / READOUTS_FILE)
    manifest |= measured | {"labels": LABELS, "readouts_command": "python benchmarks/demo_readouts.py"}
    write_atomically(SHIPPED_MODEL / "manifest.json", json.dumps(manifest, indent=1, ensure_ascii=False).encode())
    lvef = measured["test"]["phenotypes"]["lvef"]
    figures = ("r2", "mae", "auroc_reduced", "coverage", "coverage_disease")
    line = {"benchmark": "demo_readouts", "model": manifest["sha256"][:8], **{key: lvef[key] for key in figures}}
    print(json.dumps(line | {"share_outside": measured["test"]["share_outside"]}))


def split_vectors(networks: dict, within_days: float, folder: Path) -> dict[str, dict[str, LabelledVectors]]:
    """Split -> network -> its ECGs; validation patients are those of the calibration cohort."""
    from echo2ecg_core.training.phantom_ecgs import embedded_ecgs

    people = cohort()
    of_split = {split: [i for i in range(len(people)) if people.split_of(i) == split] for split in ("train", "test")}
    choices = {
        "train": (people.seed, of_split["train"]),
        "validation": (CALIBRATION_SEED, range(CALIBRATION_PATIENTS)),
        "test": (people.seed, of_split["test"]),
    }
    found = {}
    for split, (seed, patients) in choices.items():
        ecgs = embedded_ecgs(
            networks,
            seed,
            patients,
            folder / f"{split}-{seed}",
            within_days=within_days,
            progress=lambda share, message, split=split: tell(share, f"{split}: {message}"),
        )
        found[split] = {
            name: LabelledVectors(vectors, ecgs.outside, ecgs.labels, ecgs.patients)
            for name, vectors in ecgs.embedding.items()
        }
    return found


def tell(share: float, message: str) -> None:
    print(f"{share:4.0%} {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
