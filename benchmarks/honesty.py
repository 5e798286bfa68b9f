"""Whether the shipped model's estimates hold on simulated patients that nothing has seen, three cohorts of 1,880.

    python benchmarks/honesty.py [--model FOLDER] [--cache FOLDER of vectors] [--real FOLDER of ECG files] [--out FILE]
    python benchmarks/honesty.py --chances     the chances alone, on three times 15,000 further patients; the other
                                               lines stay
    python benchmarks/honesty.py --table [FILE]     the Markdown table of docs/evidence.md

Against labels as an observer writes them down (and against the heart itself: `of: "heart"`): how often the 90 %
interval held, overall and by true class, with its standard error; told and seen chances of LVEF <= 40 in every tenth,
of each cohort and of all together, and how far chances that hold would stray by lot alone (the ECGs beside one study
share its label, so they share their lot); how many ECGs are called outside the training data, by which measure. Of the
first 200 patients of two cohorts also damaged: how many are doubted for their leads before (`leads`: the limb-lead
equations that every reader checks, and the verdict on electrodes and lead order), how many are told in either way
(`told`), and how far the damage moves the LVEF. Vectors are cached, so a second run takes a minute and a killed one
goes on. Aims: cover 89 to 91 %, at least 85 % where LVEF <= 40 and with left bundle branch block; chances within 3
points; false alarms at most 10 %. Nothing was tuned on these cohorts; of the first three two had been looked at before.
Prints one JSON line a figure.
"""

import argparse
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from benchmarks.demo_readouts import CACHE, demo_cohort, prepared_folder, vectors_folder  # noqa: E402
from echo2ecg_core.errors import Echo2ECGError  # noqa: E402
from echo2ecg_core.evaluation.held_out import is_diseased  # noqa: E402
from echo2ecg_core.evaluation.tasks import MODERATE  # noqa: E402
from echo2ecg_core.intake.demo import SHIPPED_MODEL  # noqa: E402
from echo2ecg_core.phenotypes import PHENOTYPES, disease_words  # noqa: E402
from echo2ecg_core.store.model_registry import read_manifest  # noqa: E402

SEEDS, PATIENTS = (5201, 6301, 7417), 1880
CHANCES_SEEDS, CHANCES_PATIENTS = (9407, 10607, 11807), 15000  # the first two had been looked at before
TOGETHER, FURTHER = "all", "further"  # of the chances of the first cohorts, and of these
DAMAGED_SEEDS, DAMAGED_PATIENTS = SEEDS[:2], 200
LOTS = 2000  # draws of outcomes from the told chances
REDUCED, PRESERVED = 40.5, 49.5
RESULTS = ROOT / "benchmarks" / "results" / "honesty.jsonl"
BLOCKS = {"lbbb": "left bundle branch block", "rbbb": "right bundle branch block"}
SHOWN = ("everybody", "LVEF ≤ 40 %", "LVEF 41 to 49 %", "LVEF ≥ 50 %", *BLOCKS.values())
LARGEST = "chance of LVEF <= 40, largest difference"
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
    parser.add_argument("--model", type=Path, default=SHIPPED_MODEL)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--real", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON lines here too")
    parser.add_argument("--chances", action="store_true")
    parser.add_argument("--table", type=Path, nargs="?", const=RESULTS, default=None, help="of these JSON lines")
    options = parser.parse_args()
    if options.table:
        print(table([json.loads(line) for line in options.table.read_text().splitlines()]))
        return
    from echo2ecg_core.answers.loaded_model import load_readouts
    from echo2ecg_core.models.checkpoint import load_checkpoint

    readouts, network = load_readouts(options.model), load_checkpoint(options.model).echo2ecg
    manifest, lines, chances = read_manifest(options.model), [], []
    of = Cohorts(
        network,
        demo_cohort(manifest).version,
        vectors_folder(options.cache, manifest),
        prepared_folder(options.cache, manifest),
    )
    if options.chances:
        lines = [json.loads(line) for line in options.out.read_text().splitlines()]
        lines = [line for line in lines if line.get("seed") not in (*CHANCES_SEEDS, FURTHER)]
        write(options.out, lines + further_chances(readouts, of))
        return
    for seed in SEEDS:
        whole = of.embedded(seed, PATIENTS)
        chances.append(told_and_seen(readouts, whole))
        lines += [{"seed": seed, **line} for line in (*covers(readouts, whole), *calibration(*chances[-1]))]
        lines.append({"seed": seed, **outside_line(readouts, "unchanged", whole)})
        if seed in DAMAGED_SEEDS:
            lines += [{"seed": seed, **line} for line in damaged(readouts, of, seed, whole)]
    lines += [{"seed": TOGETHER, **line} for line in calibration(*joined(chances))]
    if options.real:
        lines.append(outside_of_real(network, readouts, options.real))
    write(options.out, lines)


def write(path: Path, lines: list[dict]) -> None:
    """Prints one JSON line a figure and keeps them in a file."""
    text = "\n".join(json.dumps({"benchmark": "honesty", **line}) for line in lines)
    print(text)
    path.write_text(text + "\n")


def table(lines: list[dict]) -> str:
    """The table of the evidence: covers with standard errors, chances and what is told of damaged ECGs, by cohort."""
    seeds = [*SEEDS, TOGETHER, *CHANCES_SEEDS, FURTHER]

    def row(words: str, wanted: dict, cell) -> str:
        of = {line["seed"]: cell(line) for line in lines if "seed" in line and wanted.items() <= line.items()}
        return f"| {words} | {' | '.join(of.get(seed, '') for seed in seeds)} |"

    def cover(line: dict) -> str:
        return f"{100 * line['cover']:.1f} ± {100 * line['standard_error']:.1f} ({line['ecgs']})"

    def points(line: dict) -> str:
        return f"{100 * line['largest']:.1f} ({100 * line['by_lot_median']:.1f}; {line['by_lot_as_large']:.2f})"

    def told(line: dict) -> str:
        return " / ".join(f"{100 * line[key]:.0f}" for key in ("share", "leads", "told"))

    held = {"figure": "cover", "phenotype": "lvef", "of": "label"}
    damages = dict.fromkeys(line["damage"] for line in lines if line["figure"] == "damaged")
    return "\n".join(
        [
            f"| simulated cohort | {' | '.join(map(str, seeds))} |",
            f"|---{'|---' * len(seeds)}|",
            *(row(f"LVEF interval held, {words} (%)", held | {"class": words}, cover) for words in SHOWN),
            row("chance of LVEF ≤ 40, told less seen, largest of ten (points)", {"figure": LARGEST}, points),
            *(
                row(f"{line['figure'].partition(',')[0]}, the same", {"figure": line["figure"]}, points)
                for line in lines
                if line["figure"] in {of_valve(name) for name in PHENOTYPES}
            ),
            row("called outside, all ECGs (%)", {"figure": "outside"}, lambda line: f"{100 * line['share']:.1f}"),
            *(
                row(f"{name}: outside / leads doubted / told (%)", {"figure": "damaged", "damage": name}, told)
                for name in damages
            ),
        ]
    )


@dataclass(frozen=True, eq=False)
class Cohorts:
    """Fresh cohorts of a version of the phantom as one network sees them; vectors and prepared recordings are kept."""

    network: Any
    version: int
    vectors: Path
    prepared: Path

    def embedded(self, seed: int, patients: int, damage: str = "", keep: bool = True):
        """ECGs of the first patients of a cohort, damaged or not; the prepared recordings (70 kB each) kept or not."""
        from echo2ecg_core.training.phantom_ecgs import embedded_ecgs

        name = folder_name(seed, damage)
        return embedded_ecgs(
            {"own": self.network},
            seed,
            range(patients),
            self.vectors / name,
            version=self.version,
            change=DAMAGES.get(damage),
            prepared=self.prepared / name if keep else None,
            progress=lambda share, message: print(f"{share:4.0%} {name}: {message}", file=sys.stderr, flush=True),
        )


def folder_name(seed: int, damage: str = "") -> str:
    """Of what is kept of a cohort."""
    return "-".join(["fresh", str(seed), *damage.split()])


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
                **{words: ecgs.conduction == block for block, words in BLOCKS.items()},
            }
        for of, values in (("label", ecgs.labels[name]), ("heart", true)):
            inside = (values >= low) & (values <= high)
            for words, chosen in classes.items():
                if words and chosen.sum() >= 20:
                    found = {"figure": "cover", "phenotype": name, "of": of, "class": words, "ecgs": int(chosen.sum())}
                    cover = float(inside[chosen].mean())
                    error = float(np.sqrt(cover * (1 - cover) / chosen.sum()))
                    lines.append(found | {"cover": round(cover, 4), "standard_error": round(error, 4)})
    return lines


def told_and_seen(readouts, ecgs, name="lvef", limit=REDUCED) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Told chances (n,) and outcomes (n,) of a value at most `limit`, and numbers (n,) of the studies they are of."""
    told = readouts.chances_at_most(name, ecgs.embedding["own"], limit)
    of_study = np.stack([ecgs.patients, ecgs.labels["lvef"]], 1)
    return told, ecgs.labels[name] <= limit, np.unique(of_study, axis=0, return_inverse=True)[1].ravel()


def joined(cohorts: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same of several cohorts, whose studies are others."""
    told, seen, studies = zip(*cohorts, strict=True)
    first = np.cumsum([0, *(numbers.max() + 1 for numbers in studies[:-1])])
    shifted = [numbers + at for numbers, at in zip(studies, first, strict=True)]
    return np.concatenate(told), np.concatenate(seen), np.concatenate(shifted)


def calibration(told: np.ndarray, seen: np.ndarray, studies: np.ndarray) -> list[dict]:
    """Told chances (n,) and outcomes (n,) of LVEF <= 40 in every tenth of the told ones, then the largest difference
    beside those that outcomes drawn from the told chances give, one lot a study (n,): how often as large a one, and
    their median. Standard errors are those of such draws."""
    tenths, lines = np.array_split(np.argsort(told, kind="stable"), 10), []
    rng, strayed = np.random.default_rng(0), np.empty((LOTS, len(tenths)))
    for row in strayed:
        drawn = rng.random(studies.max() + 1)[studies] < told
        row[:] = [told[part].mean() - drawn[part].mean() for part in tenths]
    differences = np.array([told[part].mean() - seen[part].mean() for part in tenths])
    for tenth, part in enumerate(tenths, 1):
        line = {"figure": "chance of LVEF <= 40", "tenth": tenth, "ecgs": len(part)}
        line |= {"told": told[part].mean(), "seen": seen[part].mean(), "standard_error": strayed[:, tenth - 1].std()}
        lines.append({key: round(float(v), 4) if isinstance(v, float) else v for key, v in line.items()})
    largest, by_lot = np.abs(differences).max(), np.abs(strayed).max(1)
    found = {"largest": largest, "by_lot_median": np.median(by_lot), "by_lot_as_large": np.mean(by_lot >= largest)}
    rounded = {key: round(float(value), 4) for key, value in found.items()}
    return [*lines, {"figure": LARGEST, "ecgs": len(told), **rounded}]


def further_chances(readouts, of: Cohorts) -> list[dict]:
    """Told and seen chances in cohorts that are used for nothing else, in each and in all together; of valves the
    largest difference in all together."""
    cohorts = [of.embedded(seed, CHANCES_PATIENTS, keep=False) for seed in CHANCES_SEEDS]
    chances = [told_and_seen(readouts, cohort) for cohort in cohorts]
    of_each = zip((*CHANCES_SEEDS, FURTHER), (*chances, joined(chances)), strict=True)
    lines = [{"seed": seed, **line} for seed, told in of_each for line in calibration(*told)]
    for name in (name for name in readouts.heads if PHENOTYPES[name].kind == "grade"):
        told = joined([told_and_seen(readouts, cohort, name, MODERATE - 0.5) for cohort in cohorts])
        lines.append({"seed": FURTHER, **calibration(*told)[-1], "figure": of_valve(name)})
    return lines


def of_valve(name: str) -> str:
    """What the largest difference of a valve's chances is called."""
    return f"chance of {PHENOTYPES[name].short} moderate or worse, largest difference"


def damaged(readouts, of: Cohorts, seed: int, whole) -> list[dict]:
    """Share of the first patients' ECGs that are told to be unlike the others, unchanged and by kind of damage, and how
    far the damage moves the LVEF."""
    plain = readouts.values("lvef", whole.embedding["own"])
    first = int((whole.patients < DAMAGED_PATIENTS).sum())
    doubts = lead_doubts(seed, whole.ecg_ids[:first], of.prepared / folder_name(seed), of.version)
    found = [outside_line(readouts, "unchanged", whole, doubts)]
    for damage, change in DAMAGES.items():
        ecgs = of.embedded(seed, DAMAGED_PATIENTS, damage)
        assert ecgs.ecg_ids == whole.ecg_ids[:first], "the first patients of the same cohort"
        moved = np.abs(readouts.values("lvef", ecgs.embedding["own"]) - plain[:first]).mean()
        doubts = lead_doubts(seed, ecgs.ecg_ids, of.prepared / folder_name(seed, damage), of.version, change)
        found.append(outside_line(readouts, damage, ecgs, doubts) | {"lvef_moved": round(float(moved), 2)})
    return found


def lead_doubts(seed: int, ecg_ids: list[str], folder: Path, version: int, change=None) -> np.ndarray:
    """(n,) bool: whether something beside the estimate says that an ECG's leads are not what they are called: the
    equations of the limb leads (a doubt of every reader), or electrodes and lead order (the quality verdict)."""
    path = folder / f"lead-doubts-{len(ecg_ids)}.npy"
    if not path.exists():
        from echo2ecg_core.ecg import limb_leads
        from echo2ecg_core.ecg.quality import PACED, judge_signal
        from echo2ecg_core.phantom.cohort import ECG_RATE_HZ, PhantomCohort

        people, found = PhantomCohort(DAMAGED_PATIENTS, seed, version=version), {}
        for ecg in (ecg for i in range(DAMAGED_PATIENTS) for ecg in people.patient(i).ecgs if ecg.ecg_id in ecg_ids):
            signal = ecg.signal_mv()
            signal = signal if change is None else change(signal, np.random.default_rng([*ecg.seed, 31]))
            broken = max(limb_leads.misfits(signal, ECG_RATE_HZ).values(), default=0.0) > limb_leads.TOLERANCE
            notes = judge_signal(signal, ECG_RATE_HZ).notes
            found[ecg.ecg_id] = broken or any(note != PACED for note in notes)
        np.save(path, np.array([found[ecg_id] for ecg_id in ecg_ids]))
    return np.load(path)


def outside_line(readouts, damage: str, ecgs, doubts: np.ndarray | None = None) -> dict:
    """Shares called outside, in all and by measure; with doubts (m,) about the leads of the first m ECGs only of these,
    beside the shares that are doubted and that are told in either way."""
    n, figure = (len(ecgs.ecg_ids), "outside") if doubts is None else (len(doubts), "damaged")
    signal, embedding = ecgs.outside[:n], ecgs.embedding["own"][:n]
    shares = readouts.outside.shares(signal, embedding)
    if doubts is not None:
        told = readouts.outside.flags(signal, embedding) | doubts
        shares |= {"leads": float(doubts.mean()), "told": float(told.mean())}
    rounded = {name: round(share, 4) for name, share in shares.items()}
    return {"figure": figure, "damage": damage, "ecgs": n, **rounded}


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
