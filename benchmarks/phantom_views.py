"""What one clip of a phantom study tells, view by view, and what the studies are made of.

    python benchmarks/phantom_views.py --version 2 --patients 240     prints one JSON line, kept in results/
    python benchmarks/phantom_views.py --table                        that line as the table of docs/evidence.md

Of every patient's first study one clip of each kind is rendered at 112 x 112 (16 frames) and embedded by two frozen
encoders: the shipped one ("shipped", trained on version 1 to name views and to recognise clips of one study) and one
trained here to name the kinds of clips, nothing else ("views"). Ridge regression from one clip's vector, its strength
chosen by cross-validation, tells LVEF, right heart and valve grades of other patients (five folds by patient); so do
the traced contours (lengths, diameters, areas and single-plane Simpson volumes at end-diastole and end-systole).
"study" is the mean over the clips of a study after each kind has been standardised. R² and mean absolute error (MAE)
are those of the written label, which has observer noise, and with "_heart" those of the heart itself;
`traced_lvef_mae` is what Simpson on one perfectly traced plane misses, without any regression.
Shares of views, poor windows, missing views and clips a study are counted on 1,000 patients without rendering.

Rendered clips are cached in a folder outside the project, so that a stopped run goes on. Processor time, not wall time,
is measured.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from echo2ecg_core.phantom.cohort import PhantomCohort, PhantomStudy  # noqa: E402
from echo2ecg_core.phantom.echo import PhantomClip  # noqa: E402
from echo2ecg_core.phantom.protocol import CORE_KINDS, StudyClip  # noqa: E402
from echo2ecg_core.phantom.ventricle import disc_diameters  # noqa: E402

RESULT = ROOT / "benchmarks" / "results" / "phantom_views.json"
SEED, SIZE, COUNTED = 4107, 112, 1000
PHENOTYPES = ("lvef", "lvedv", "rv_basal_diameter", "tapse", "rvsp", "lavi", "ivsd", "as_grade", "ar_grade", "mr_grade",
              "tr_grade")  # fmt: skip
SHARD = 20
FEWEST = 60  # clips of a kind that are enough to say something


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--version", type=int, default=2)
    parser.add_argument("--patients", type=int, default=240)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--kinds", default=None, help="only these kinds of clips, parted by commas")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "echo2ecg-phantom-views")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--epochs", type=int, default=6, help="of the encoder that is trained to name kinds; 0: without it"
    )
    parser.add_argument("--table", action="store_true", help="print the table of the kept result, measure nothing")
    parser.add_argument("--out", type=Path, default=None, help="file for the JSON line")
    options = parser.parse_args(given)
    if options.table:
        print(table_of(json.loads(RESULT.read_text())))
        return
    import torch

    torch.set_num_threads(options.threads)
    cohort = PhantomCohort(options.patients, options.seed, observer_noise=True, version=options.version)
    table, pooled, milliseconds = rendered(cohort, options)
    encoders = {"shipped": shipped_encoder()}
    if options.epochs:
        encoders["views"] = view_encoder(table, pooled, options.epochs)
    truths = truth_of(cohort)
    found = {
        "benchmark": "phantom_views", "version": options.version, "patients": options.patients, "seed": options.seed,
        "clips": len(table), "milliseconds_a_clip": milliseconds, "studies": what_studies_hold(options.version),
        "traced": told_by_kind(table, traced_features(table), truths, ("lvef", "lvedv", "ivsd")),
        "traced_lvef_mae": traced_errors(table, truths),
    }  # fmt: skip
    for name, network in encoders.items():
        vectors = embedded(network, pooled)
        found[name] = told_by_kind(table, vectors, truths, PHENOTYPES)
        found[name]["study"] = told(*study_means(table, vectors), truths, PHENOTYPES)
        found[name]["named_right"] = named_right(table, vectors)
    line = json.dumps(found)
    print(line)
    if options.out:
        options.out.write_text(line + "\n")


def first_of_each_kind(study: PhantomStudy) -> list[StudyClip]:
    """The first clip of each kind; version 1 has one a view."""
    return list({(clip.view, clip.kind): clip for clip in reversed(study.clips)}.values())[::-1]


def rendered(cohort: PhantomCohort, options) -> tuple[pd.DataFrame, np.ndarray, float]:
    """Clips of the cohort's first studies: a row each with contour measures, pooled frames (n, 16, 56, 56) and the
    processor time of one clip in ms (rendering alone)."""
    facts = (cohort.version, cohort.seed, options.kinds, SIZE, source_of_the_phantom())
    folder = options.cache / sha256(repr(facts).encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    tables, arrays = [], []
    for start in range(0, len(cohort), SHARD):
        numbers = range(start, min(start + SHARD, len(cohort)))
        path = folder / f"{start:05d}-{len(numbers)}.npz"
        if not path.exists():
            rows, clips = shard(cohort, numbers, options.kinds and options.kinds.split(","))
            with open(path.with_suffix(".writing"), "wb") as file:
                np.savez(file, rows=json.dumps(rows), clips=clips)
            path.with_suffix(".writing").replace(path)
        with np.load(path, allow_pickle=False) as stored:
            tables.append(pd.DataFrame(json.loads(str(stored["rows"]))))
            arrays.append(stored["clips"])
        print(f"{numbers[-1] + 1} of {len(cohort)} patients", file=sys.stderr, flush=True)
    table = pd.concat(tables, ignore_index=True)
    return table, np.concatenate(arrays), round(float(table.milliseconds.median()), 1)


def source_of_the_phantom() -> str:
    """A digest of the simulator's source: clips of another state are not taken."""
    digest = sha256()
    for path in sorted((ROOT / "echo2ecg_core" / "phantom").glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def shard(cohort: PhantomCohort, numbers: range, kinds: list[str] | None) -> tuple[list[dict], np.ndarray]:
    """Rows and pooled clips of some patients."""
    rows, clips = [], []
    for i in numbers:
        study = cohort.patient(i).studies[0]
        for clip in first_of_each_kind(study):
            if kinds and clip.kind not in kinds:
                continue
            start = time.process_time()
            shown = study.render(clip, every=2, size=SIZE)
            milliseconds = 1000 * (time.process_time() - start)
            kind = clip.kind if cohort.version > 1 else clip.view
            row = {"patient": i, "kind": kind, "view": clip.view, "quality": clip.quality, "milliseconds": milliseconds}
            rows.append(row | contour_measures(shown))
            clips.append(pooled_frames(shown.frames))
    return rows, np.stack(clips)


def pooled_frames(frames: np.ndarray) -> np.ndarray:
    """What `prepare_frames` and `PhantomVideoNet.pooled` make of a clip, by areas: (t, h, w, 3) -> (16, 56, 56)."""
    import cv2

    from echo2ecg_core.echo.preprocess import MEAN, STD, ZOOM

    edge = round(ZOOM * frames.shape[1])
    gray = ((frames.astype(np.float32) - MEAN) / STD).mean(axis=3)[:, edge:-edge, edge:-edge]
    return np.stack([cv2.resize(frame, (56, 56), interpolation=cv2.INTER_AREA) for frame in gray]).astype(np.float16)


def contour_measures(clip: PhantomClip) -> dict[str, float]:
    """Sizes of the traced ventricle at end-diastole and end-systole, mm, and single-plane Simpson volumes, mL; nothing
    where there is no ventricle."""
    found = {}
    for moment, frame in (("ed", clip.ed_frame), ("es", clip.es_frame)):
        endo, epi = (line[frame].astype(float) * clip.spacing_mm for line in (clip.contours, clip.epicardium))
        if not len(endo):
            return {}
        x, y = endo.T
        area = 0.5 * abs(float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()))
        if len(endo) > 65:  # a short axis
            diameters, length = np.array([np.linalg.norm(np.ptp(endo, axis=0)) / np.sqrt(2)]), 0.0
        else:
            (diameters,), (length,) = disc_diameters(endo[None])
        found |= {
            f"{moment}_area": area, f"{moment}_length": length, f"{moment}_width": float(diameters.max()),
            f"{moment}_base": float(diameters[: max(1, len(diameters) // 4)].mean()),
            f"{moment}_wall": float(np.median(np.linalg.norm(epi - endo, axis=1))),
            f"{moment}_ml": float(np.pi / 4 * (diameters**2).mean() * length / 1000),
        }  # fmt: skip
    return found


def traced_features(table: pd.DataFrame) -> np.ndarray:
    """Contour measures and their end-systolic over end-diastolic ratios, (n, f); NaN where nothing is traced."""
    names = ["area", "length", "width", "base", "wall", "ml"]
    ed, es = (table[[f"{moment}_{name}" for name in names]].to_numpy(float) for moment in ("ed", "es"))
    return np.concatenate([ed, es, es / np.maximum(ed, 1e-3)], axis=1)


def traced_errors(table: pd.DataFrame, truths: pd.DataFrame) -> dict[str, dict[str, float]]:
    """By kind: mean absolute error, bias and standard deviation of single-plane LVEF on the traced contours, points."""
    found = {}
    ef = 100 * (1 - table.es_ml / table.ed_ml.where(table.ed_ml > 0))
    error = ef - truths.lvef_heart.to_numpy()[table.patient]
    for kind, of_kind in error.dropna().groupby(table.kind):
        if len(of_kind) >= FEWEST:
            found[kind] = {
                "mae": round(float(of_kind.abs().mean()), 2), "bias": round(float(of_kind.mean()), 2),
                "sd": round(float(of_kind.std()), 2),
            }  # fmt: skip
    return found


def shipped_encoder():
    """The clip encoder of the demo."""
    from echo2ecg_core.intake.demo import SHIPPED_MODEL
    from echo2ecg_core.models.checkpoint import load_checkpoint

    return load_checkpoint(SHIPPED_MODEL).clip_encoder


def view_encoder(table: pd.DataFrame, pooled: np.ndarray, epochs: int):
    """A `PhantomVideoNet` that was trained on these clips to name their kinds and knows no label of any heart."""
    import torch
    import torch.nn.functional as F

    from echo2ecg_core.models.echo_encoder import PhantomVideoNet

    torch.manual_seed(5)
    rng, kind = np.random.default_rng(5), table.kind.astype("category").cat.codes.to_numpy().astype(np.int64)
    network = PhantomVideoNet().train()
    head = torch.nn.Linear(512, int(kind.max()) + 1)
    optimizer = torch.optim.AdamW([*network.parameters(), *head.parameters()], lr=1.5e-3, weight_decay=0.02)
    for _ in range(epochs):
        order, right = rng.permutation(len(pooled)), 0
        for start in range(0, len(order), 64):
            rows = np.sort(order[start : start + 64])
            logits = head(network.from_pooled(torch.from_numpy(pooled[rows].astype(np.float32))))
            loss = F.cross_entropy(logits, torch.from_numpy(kind[rows]))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            right += int((logits.argmax(1).numpy() == kind[rows]).sum())
        print(f"Kinds named right: {right / len(order):.1%}", file=sys.stderr, flush=True)
    return network.eval()


def embedded(network, pooled: np.ndarray) -> np.ndarray:
    """Clip vectors (n, 512)."""
    from echo2ecg_core.training.clip_encoder import vectors_of

    return vectors_of(network, pooled)


def truth_of(cohort: PhantomCohort) -> pd.DataFrame:
    """A row a patient: what the laboratory wrote of the first study, and the heart's own numbers with "_heart"."""
    studies = [cohort.patient(i).studies[0] for i in range(len(cohort))]
    return pd.DataFrame(
        [study.labels() | {f"{name}_heart": value for name, value in study.heart.labels().items()} for study in studies]
    )


def told_by_kind(table: pd.DataFrame, x: np.ndarray, truths: pd.DataFrame, phenotypes: tuple[str, ...]) -> dict:
    """What one clip of each kind tells, for kinds with enough clips."""
    usable = np.isfinite(x).all(axis=1)
    return {
        kind: told(x[rows], table.patient.to_numpy()[rows], truths, phenotypes)
        for kind in table.kind.unique()
        if (rows := np.flatnonzero(usable & (table.kind == kind).to_numpy())).size >= FEWEST
    }


def told(x: np.ndarray, patients: np.ndarray, truths: pd.DataFrame, phenotypes: tuple[str, ...]) -> dict:
    """R² and MAE of ridge regression from rows x (n, f), a row a patient, on patients that were not fitted."""
    from sklearn.linear_model import RidgeCV
    from sklearn.metrics import r2_score
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(0, 5, 11), alpha_per_target=True))
    written = truths[list(phenotypes)].to_numpy(float)[patients]
    heart = truths[[f"{name}_heart" for name in phenotypes]].to_numpy(float)[patients]
    guess = cross_val_predict(model, x, written, cv=KFold(5, shuffle=True, random_state=0)).reshape(written.shape)
    found: dict = {"clips": len(x)}
    for k, name in enumerate(phenotypes):
        found[name] = {
            "r2": round(float(r2_score(written[:, k], guess[:, k])), 3),
            "r2_heart": round(float(r2_score(heart[:, k], guess[:, k])), 3),
            "mae": round(float(np.abs(written[:, k] - guess[:, k]).mean()), 3),
            "mae_heart": round(float(np.abs(heart[:, k] - guess[:, k]).mean()), 3),
        }
    return found


def named_right(table: pd.DataFrame, x: np.ndarray) -> dict[str, float]:
    """Share of clips of other patients whose kind a linear classifier names right, by kind and of all; and of all, the
    share whose view it names right."""
    from sklearn.linear_model import RidgeClassifier
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), RidgeClassifier(alpha=100.0))
    named = cross_val_predict(model, x, table.kind, cv=GroupKFold(5), groups=table.patient)
    view_of = dict(zip(table.kind, table.view, strict=True))
    right = table.kind == named
    return {
        "kinds": round(float(right.mean()), 3),
        "views": round(float((table.view == [view_of[kind] for kind in named]).mean()), 3),
        **{kind: round(float(share), 3) for kind, share in right.groupby(table.kind).mean().items()},
    }


def study_means(table: pd.DataFrame, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean vector of each patient's clips (p, 512), each kind standardised before, and the patients' numbers."""
    x, kinds = np.array(vectors, np.float64), table.kind.to_numpy()
    for kind in np.unique(kinds):
        rows = kinds == kind
        x[rows] = (x[rows] - x[rows].mean(0)) / (x[rows].std(0) + 1e-6)
    patients = np.unique(table.patient)
    return np.stack([x[(table.patient == p).to_numpy()].mean(0) for p in patients]), patients


def what_studies_hold(version: int, patients: int = COUNTED) -> dict:
    """Clips a study, shares of views, of poor windows, and of studies that lack a core view or show it poorly."""
    cohort = PhantomCohort(patients, SEED + 1, version=version)
    studies = [study for i in range(patients) for study in cohort.patient(i).studies]
    clips = pd.DataFrame(
        [{"study": n, "view": c.view, "kind": c.kind, "poor": c.poor} for n, s in enumerate(studies) for c in s.clips]
    )
    counts = clips.groupby("study").size()
    core = {
        view: clips[clips.kind.isin([kind, "grey"]) & (clips.view == view)]
        for kind, view in zip(CORE_KINDS, ("Parasternal_Long", "Parasternal_Short", "A4C", "A2C"), strict=True)
    }
    return {
        "studies": len(studies),
        "clips_a_study": {"mean": round(float(counts.mean()), 1),
                          **{f"{q}%": int(np.percentile(counts, q)) for q in (0, 5, 50, 95, 100)}},
        "views": {v: round(s, 4) for v, s in clips.view.value_counts(normalize=True).items()},
        "poor": {"all": round(float(clips.poor.mean()), 3),
                 **{v: round(float(s), 3) for v, s in clips.groupby("view").poor.mean().items()}},
        "core_view_missing": {v: round(1 - of.study.nunique() / len(studies), 3) for v, of in core.items()},
        "core_view_poor": {v: round(float(of.groupby("study").poor.all().mean()), 3) for v, of in core.items()},
    }  # fmt: skip


def table_of(found: dict) -> str:
    """A Markdown table, a row a kind of clip: R² against the written label, and the errors of LVEF in points.

    The better encoder counts for the error and for what is not LVEF.
    """
    encoders, others = [name for name in ("shipped", "views") if name in found], PHENOTYPES[2:5] + PHENOTYPES[7:]
    of_encoders = [f"LVEF, {name}" for name in encoders]
    head = ["one clip of", *of_encoders, "error", "LVEF, traced", "error of one traced plane", *others]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for kind in (kind for kind, told in found["shipped"].items() if "lvef" in told):
        told = [found[name][kind] for name in encoders]
        cells = [f"{each['lvef']['r2']:.2f}" for each in told]
        cells.append(f"{min(each['lvef']['mae'] for each in told):.1f}")
        cells.append(f"{found['traced'][kind]['lvef']['r2']:.2f}" if kind in found["traced"] else "–")
        cells.append(f"{found['traced_lvef_mae'][kind]['mae']:.1f}" if kind in found["traced_lvef_mae"] else "–")
        cells += [f"{max(each[name]['r2'] for each in told):.2f}" for name in others]
        lines.append(f"| {'mean of all' if kind == 'study' else kind} | {' | '.join(cells).replace('-', '−')} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
