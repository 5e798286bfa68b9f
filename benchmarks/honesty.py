"""Whether the shipped model's estimates hold on simulated patients that nothing has seen, two cohorts of 1,880.

    python benchmarks/honesty.py [--cache FOLDER of vectors] [--real FOLDER of ECG files] [--out FILE]

Against labels as an observer writes them down (and against the heart itself: `of: "heart"`): how often the 90 %
interval held, overall and by true class; told and seen chances of LVEF <= 40 in every tenth; how many ECGs are called
outside the training data, unchanged and damaged, by which measure, and how far the damage moves the LVEF. Vectors are
cached, so a second run takes seconds and a killed one goes on. Aims: cover 89 to 91 %, at least 85 % where LVEF <= 40
and with left bundle branch block; chances within 3 points; false alarms at most 10 %. Prints one JSON line a figure.
"""

import argparse
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from echo2ecg_core.errors import Echo2ECGError  # noqa: E402
from echo2ecg_core.evaluation.held_out import is_diseased  # noqa: E402
from echo2ecg_core.intake.demo import SHIPPED_MODEL  # noqa: E402
from echo2ecg_core.phenotypes import disease_words  # noqa: E402

SEEDS, PATIENTS, DAMAGED_PATIENTS = (5201, 6301), 1880, 200
REDUCED, PRESERVED = 40.5, 49.5
CACHE = ROOT / "runs" / "phantom-ecgs"
ARMS_SWAPPED = ((0, 0, -1), (1, 2, 1), (2, 1, 1), (3, 4, 1), (4, 3, 1))  # lead, which it now shows, sign


def arms_swapped(signal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Right and left arm electrode exchanged."""
    changed = signal.copy()
    for lead, shown, sign in ARMS_SWAPPED:
        changed[lead] = sign * signal[shown]
    return changed


DAMAGES = {
    "inverted": lambda signal, rng: -signal,
    "backwards": lambda signal, rng: signal[:, ::-1].copy(),
    "shuffled leads": lambda signal, rng: signal[rng.permutation(len(signal))],
    "arms swapped": arms_swapped,
    "noise 0.1 mV": lambda signal, rng: signal + rng.normal(0, 0.1, signal.shape).astype(signal.dtype),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--real", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=None, help="JSON lines here too")
    options = parser.parse_args()
    from echo2ecg_core.answers.loaded_model import load_readouts
    from echo2ecg_core.models.checkpoint import load_checkpoint

    readouts, network = load_readouts(SHIPPED_MODEL), load_checkpoint(SHIPPED_MODEL).echo2ecg
    lines = []
    for seed in SEEDS:
        whole = embedded(network, seed, PATIENTS, options.cache / f"fresh-{seed}")
        lines += [{"seed": seed, **line} for line in (*covers(readouts, whole), *calibration(readouts, whole))]
        lines += [{"seed": seed, **line} for line in outside(readouts, network, seed, whole, options.cache)]
    if options.real:
        lines.append(outside_of_real(network, readouts, options.real))
    text = "\n".join(json.dumps({"benchmark": "honesty", **line}) for line in lines)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


def embedded(network, seed: int, patients: int, folder: Path, change=None):
    """ECGs of the first patients of a cohort, embedded by the shipped network."""
    from echo2ecg_core.training.phantom_ecgs import embedded_ecgs

    return embedded_ecgs(
        {"own": network},
        seed,
        range(patients),
        folder,
        change=change,
        progress=lambda share, message: print(f"{share:4.0%} {folder.name}: {message}", file=sys.stderr, flush=True),
    )


def covers(readouts, ecgs) -> list[dict]:
    """Share of values inside their interval: LVEF by true class, every other phenotype overall and of the diseased."""
    x, lines = ecgs.embedding["own"], []
    for name in readouts.heads:
        low, high = readouts.intervals(name, x).T
        true = ecgs.truth[name]
        classes = {"everybody": np.ones(len(x), bool), disease_words(name): is_diseased(name, true)}
        if name == "lvef":
            classes |= {
                "LVEF 41 to 49 %": (true > REDUCED) & (true <= PRESERVED),
                "LVEF ≥ 50 %": true > PRESERVED,
                "left bundle branch block": ecgs.conduction == "lbbb",
                "right bundle branch block": ecgs.conduction == "rbbb",
            }
        for of, values in (("label", ecgs.labels[name]), ("heart", true)):
            inside = (values >= low) & (values <= high)
            for words, chosen in classes.items():
                if words and chosen.sum() >= 20:
                    found = {"figure": "cover", "phenotype": name, "of": of, "class": words, "ecgs": int(chosen.sum())}
                    lines.append(found | {"cover": round(float(inside[chosen].mean()), 4)})
    return lines


def calibration(readouts, ecgs) -> list[dict]:
    """Told and seen shares of LVEF <= 40 in every tenth of the told ones."""
    told = readouts.chances_at_most("lvef", ecgs.embedding["own"], REDUCED)
    seen, lines = ecgs.labels["lvef"] <= REDUCED, []
    for tenth, part in enumerate(np.array_split(np.argsort(told, kind="stable"), 10), 1):
        error = float(np.sqrt(max(told[part].mean() * (1 - told[part].mean()), 1e-9) / len(part)))
        line = {"figure": "chance of LVEF <= 40", "tenth": tenth, "ecgs": len(part)}
        line |= {"told": told[part].mean(), "seen": seen[part].mean(), "standard_error": error}
        lines.append({key: round(float(v), 4) if isinstance(v, float) else v for key, v in line.items()})
    return lines


def outside(readouts, network, seed: int, whole, cache: Path) -> list[dict]:
    """Share of ECGs called outside, unchanged and by kind of damage, and how far the damage moves the LVEF."""
    plain = readouts.values("lvef", whole.embedding["own"])
    found = [outside_line(readouts, "unchanged", whole)]
    for damage, change in DAMAGES.items():
        ecgs = embedded(network, seed, DAMAGED_PATIENTS, cache / f"fresh-{seed}-{damage.replace(' ', '-')}", change)
        n = len(ecgs.ecg_ids)
        assert ecgs.ecg_ids == whole.ecg_ids[:n], "the first patients of the same cohort"
        moved = np.abs(readouts.values("lvef", ecgs.embedding["own"]) - plain[:n]).mean()
        found.append(outside_line(readouts, damage, ecgs) | {"lvef_moved": round(float(moved), 2)})
    return found


def outside_line(readouts, damage: str, ecgs) -> dict:
    shares = readouts.outside.shares(ecgs.outside, ecgs.embedding["own"])
    rounded = {name: round(share, 4) for name, share in shares.items()}
    return {"figure": "outside", "damage": damage, "ecgs": len(ecgs.ecg_ids), **rounded}


def outside_of_real(network, readouts, folder: Path) -> dict:
    """Share of real recordings called outside: every ECG file in a folder that can be read and used."""
    from echo2ecg_core.answers.loaded_model import ecg_vectors
    from echo2ecg_core.answers.predict_files import ecg_files
    from echo2ecg_core.ecg.preprocess import prepare_ecg
    from echo2ecg_core.ecg.readers import read_ecg

    spec, signal, embedding = network.spec.ecg_input, [], []
    keys = {"target_hz": spec.sampling_rate_hz, "n_samples": spec.n_samples}
    for path in ecg_files([folder]):
        try:
            record = read_ecg(path)
            windows = prepare_ecg(
                record.signal_mv, record.sampling_rate_hz, order=spec.order, windows=spec.windows, **keys
            )
        except Echo2ECGError:
            continue
        vectors = ecg_vectors(network, windows[None])
        signal.append(vectors.outside[0])
        embedding.append(vectors.embedding[0])
    shares = readouts.outside.shares(np.stack(signal), np.stack(embedding))
    rounded = {name: round(share, 4) for name, share in shares.items()}
    return {"figure": "outside", "damage": "real ECGs", "ecgs": len(signal), **rounded}


if __name__ == "__main__":
    main()
