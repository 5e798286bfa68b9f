"""Fits the readouts of the shipped demo model again and measures them again; the network stays.

    python benchmarks/demo_readouts.py [--model FOLDER] [--cache FOLDER of vectors]
    python benchmarks/demo_readouts.py --simulate      only what needs no network, ahead of a new one

Fitted on the patients it was trained on, calibrated on 16,000 simulated patients of a cohort that nothing else has
seen, measured on the test patients of the demo's cohort; labels carry the noise of observers. readouts.safetensors and
the manifest's `test`, `readouts` and `labels` are replaced; how it retrieves rests on the network alone and is kept.
Killed and started again it goes on. Twenty minutes of processor time, most of it simulating and embedding; a half where
the vectors are there. Prepared recordings are kept for the next network. Prints one JSON line.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small matrices: more threads wait for one another
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from echo2ecg_core.answers.loaded_model import READOUTS_FILE  # noqa: E402
from echo2ecg_core.intake.demo import SHIPPED_MODEL, DemoCohort  # noqa: E402
from echo2ecg_core.models.readouts import LabelledVectors  # noqa: E402
from echo2ecg_core.store.database import write_atomically  # noqa: E402
from echo2ecg_core.store.model_registry import read_manifest  # noqa: E402

CALIBRATION_SEED, CALIBRATION_PATIENTS = 4101, 16000
CACHE = ROOT / "runs" / "phantom-ecgs"
LABELS = {  # by version of the phantom
    1: "Measured on simulated hearts with the noise of observers (standard deviations: "
    "LVEF 3.5 points, LVEDV 7 %; Thavendiranathan et al. 2013, Crowley et al. 2016); wall motion scores and valve "
    "grades carry none.",
    2: "Measured on simulated hearts with the noise of observers (phantom 2; standard deviations: LVEF 5 points, two "
    "readers differ by 7; sources in phantom/anatomy.py).",
    3: "Measured on simulated hearts with the noise of observers (phantom 3; standard deviations: LVEF 4.2 points, two "
    "readers differ by 6; sources in phantom/anatomy.py).",
}
Choice = tuple[str, int, Sequence[int], Path]  # split, seed of the cohort, numbers of patients, folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=SHIPPED_MODEL)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--simulate", action="store_true")
    options = parser.parse_args()
    if options.simulate:
        simulate(read_manifest(options.model), options.cache)
    else:
        print(json.dumps(fit(options.model, options.cache)))


def fit(model: Path, cache: Path) -> dict:
    """Fit, measure and write; gives the main figures."""
    import torch
    from safetensors.numpy import save_file

    from echo2ecg_core.models.checkpoint import load_checkpoint
    from echo2ecg_core.models.echo2ecg import Echo2ECG
    from echo2ecg_core.training.readouts import fit_and_measure

    manifest, network = read_manifest(model), load_checkpoint(model).echo2ecg
    torch.manual_seed(manifest["run"]["seed"])
    networks = {"own": network, "untrained": Echo2ECG(network.spec).eval()}
    splits = split_vectors(networks, manifest, cache)
    own, untrained = ({split: both[name] for split, both in splits.items()} for name in networks)
    readouts, measured = fit_and_measure(own, untrained)
    if retrieval := manifest.get("test", {}).get("retrieval"):
        measured["test"]["retrieval"] = retrieval
    measured["readouts"] |= {"calibration_seed": CALIBRATION_SEED}
    save_file(readouts.tensors(), model / READOUTS_FILE)
    version = demo_cohort(manifest).version
    manifest |= measured | {"labels": LABELS[version], "readouts_command": "python benchmarks/demo_readouts.py"}
    write_atomically(model / "manifest.json", json.dumps(manifest, indent=1, ensure_ascii=False).encode())
    lvef = measured["test"]["phenotypes"]["lvef"]
    figures = ("r2", "mae", "auroc_reduced", "coverage", "coverage_disease")
    line = {"benchmark": "demo_readouts", "model": manifest["sha256"][:8], **{key: lvef.get(key) for key in figures}}
    return line | {"share_outside": measured["test"]["share_outside"]}


def demo_cohort(manifest: dict) -> DemoCohort:
    """The cohort that a model is shown and judged on."""
    return DemoCohort(**manifest.get("demo", {}))


def choices(manifest: dict) -> Iterator[Choice]:
    """Who serves for what: of the training cohort all, or where it is the demo's the training patients."""
    demo, training = demo_cohort(manifest), manifest["cohort"]
    split_of, seed = demo.people().split_of, training["seed"]
    train = [i for i in range(training["simulated"]) if seed != demo.seed or split_of(i) == "train"]
    test = [i for i in range(demo.n_patients) if split_of(i) == "test"]
    for split, of_cohort, patients in (
        ("train", seed, train),
        ("validation", CALIBRATION_SEED, range(CALIBRATION_PATIENTS)),
        ("test", demo.seed, test),
    ):
        yield split, of_cohort, patients, Path(f"{split}-{of_cohort}")


def vectors_folder(cache: Path, manifest: dict) -> Path:
    """Where the vectors of one model lie."""
    return cache / manifest["sha256"][:8]


def prepared_folder(cache: Path, manifest: dict) -> Path:
    """Where prepared recordings lie, for every model of the same phantom."""
    return cache / f"prepared-{demo_cohort(manifest).version}"


def simulate(manifest: dict, cache: Path) -> None:
    """Everything that fitting needs but a network."""
    from echo2ecg_core.models.specs import ModelSpec
    from echo2ecg_core.training.phantom_ecgs import keep_prepared

    spec, version = ModelSpec.from_dict(manifest["spec"]).ecg_input, demo_cohort(manifest).version
    for split, seed, patients, folder in choices(manifest):
        keep_prepared(
            spec,
            seed,
            patients,
            prepared_folder(cache, manifest) / folder,
            version=version,
            within_days=manifest["within_days"],
            progress=lambda share, message, split=split: tell(share, f"{split}: {message}"),
        )


def split_vectors(networks: dict, manifest: dict, cache: Path) -> dict[str, dict[str, LabelledVectors]]:
    """Split -> network -> its ECGs; validation patients are those of the calibration cohort."""
    from echo2ecg_core.training.phantom_ecgs import embedded_ecgs

    found = {}
    for split, seed, patients, folder in choices(manifest):
        ecgs = embedded_ecgs(
            networks,
            seed,
            patients,
            vectors_folder(cache, manifest) / folder,
            version=demo_cohort(manifest).version,
            within_days=manifest["within_days"],
            prepared=prepared_folder(cache, manifest) / folder,
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
