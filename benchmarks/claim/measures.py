"""From the vectors of a run to what its figures are made of: predictions of every test ECG by a linear probe, and the
first candidates of every search.

A probe is fitted on all training patients; its strength is chosen on validation patients.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from echo2ecg_core.evaluation.phenotypes import weighted_auroc
from echo2ecg_core.evaluation.probes import READOUTS
from echo2ecg_core.evaluation.rows import Split, unanswerable
from echo2ecg_core.evaluation.tasks import TASKS

from . import statistics
from .clip_encoder import load_encoder
from .cohorts import load_part
from .ledger import Meter, Task, load_arrays, save_arrays
from .plan import CLASSES, FEATURES, PARTS, VALUES, Plan

TOLERANCE = 0.5  # standard deviations within which a study is a hit, as published


def measure_tasks(plan: Plan, folder: Path) -> list[Task]:
    """What is measured of every run that is there."""
    everything, lvef = (*VALUES, *CLASSES), ("lvef",)
    runs = [(path, everything) for path in sorted((folder / "arms").glob("*/vectors.npz"))]
    runs += [(path, lvef) for path in sorted((folder / "curves").glob("*/vectors.npz"))]
    return [
        Task(FEATURES, folder / "measured" / "arms" / f"{FEATURES}-0.npz", measure_features),
        *(
            Task(
                path.parent.name,
                folder / "measured" / path.parent.parent.name / f"{path.parent.name}.npz",
                measure,
                (path, asked),
            )
            for path, asked in runs
        ),
    ]


def measure(plan: Plan, folder: Path, meter: Meter, output: Path, vectors: Path, asked: Sequence[str]) -> None:
    """Predictions of a probe (arrays named by task) and the first candidates of searches, one way and back."""
    arrays = load_arrays(vectors)
    found = predictions(folder, {part: arrays[part] for part in PARTS}, "probe", asked)
    for studies in ("study", "one_clip"):
        if studies in arrays:
            ecgs, of_studies = arrays["ecg"].astype(np.float32), arrays[studies].astype(np.float32)
            found[f"top.{studies}"] = statistics.first_candidates(ecgs, of_studies)
            found[f"back.{studies}"] = statistics.first_candidates(of_studies, ecgs)
    save_arrays(output, **found)


def measure_features(plan: Plan, folder: Path, meter: Meter, output: Path) -> None:
    """Predictions of gradient boosting on measured features: supervised, so no self-supervised arm has to beat it."""
    features = {part: load_part(folder, part).features for part in PARTS}
    save_arrays(output, **predictions(folder, features, "boosting", (*VALUES, *CLASSES)))


def predictions(
    folder: Path, vectors: dict[str, np.ndarray], readout: str, asked: Sequence[str]
) -> dict[str, np.ndarray]:
    """Task -> predictions (e,) for every test ECG; tasks that these patients cannot answer are left out."""
    splits = [_split(folder, part, vectors[part]) for part in PARTS]
    found = {}
    for task in asked:
        if unanswerable(*splits, tasks=(task,)):
            continue
        targets = [split.targets[task] for split in splits]
        fitted_on = [
            array
            for split, target in zip(splits[:2], targets[:2], strict=True)
            for array in (split.vectors[np.isfinite(target)], target[np.isfinite(target)])
        ]
        found[task] = READOUTS[readout](TASKS[task].kind, *fitted_on, splits[2].vectors)
    return found


def _split(folder: Path, part: str, vectors: np.ndarray) -> Split:
    known = load_part(folder, part)
    labels = known.labels.iloc[known.ecg_of].reset_index(drop=True)
    return Split(np.asarray(vectors, np.float64), labels, np.array([f"{part}-{i}" for i in known.ecg_of]))


# ------------------------------------------------------------------------------------------- draws


def error_draws(folder: Path, runs: list[dict], task: str, resamples: int, truth: str = "label") -> np.ndarray:
    """Mean absolute error of every seed's run, of all test patients and then in resamples, (s, 1 + w).

    Args:
        folder: Of the comparison.
        runs: What `measure` found, a seed each.
        task: A value.
        resamples: How many.
        truth: "label": what the laboratory wrote; "heart": the LVEF of the heart.
    """
    test = load_part(folder, "test")
    target = (test.lvef_true if truth == "heart" else test.labels[task].to_numpy(float))[test.ecg_of]
    known = np.isfinite(target)
    errors = np.abs(np.stack([run[task] for run in runs]) - target)[:, known]
    owner = test.ecg_of[known]
    return np.concatenate([errors.mean(1)[:, None], statistics.resampled_mean(errors, owner, resamples)], 1)


def auroc_draws(folder: Path, runs: list[dict], task: str, resamples: int) -> np.ndarray:
    """AUROC of every seed's run, (s, 1 + w)."""
    target, owner = _target(folder, task), load_part(folder, "test").ecg_of
    known = np.isfinite(target)
    counts, place = statistics.patient_draws(owner[known], resamples, 0)
    weights = np.concatenate([np.ones((1, known.sum())), counts[:, place]])
    return np.stack([weighted_auroc(run[task][known], target[known] == 1, weights) for run in runs])


def _target(folder: Path, task: str) -> np.ndarray:
    test = load_part(folder, "test")
    return TASKS[task].target(test.labels.iloc[test.ecg_of].reset_index(drop=True))


def precision_draws(
    folder: Path, runs: list[dict], names: Sequence[str], resamples: int, studies: str = "study", way: str = "top"
) -> dict[str, np.ndarray]:
    """Phenotype -> precision@10 of every seed's run, (s, 1 + w); patients are drawn as queries and as candidates.

    Args:
        folder: Of the comparison.
        runs: What `measure` found, a seed each.
        names: Phenotypes; a candidate is a hit when it lies within half a standard deviation of the query.
        resamples: How many.
        studies: "study", or "one_clip".
        way: "top": from an ECG to studies; "back": from a study to ECGs.
    """
    test = load_part(folder, "test")
    n_patients = len(test.labels)
    queries, candidates = (test.ecg_of, np.arange(n_patients)) if way == "top" else (np.arange(n_patients), test.ecg_of)
    found: dict[str, list] = {name: [] for name in names}
    for run in runs:
        top = run[f"{way}.{studies}"]
        hits = np.stack([hits_of(folder, name, queries, candidates[top]) for name in names])  # (p, q, k)
        ranking = statistics.Ranking(top, hits, queries, candidates)
        for name, draws in zip(names, statistics.precision_draws(ranking, n_patients, resamples), strict=True):
            found[name].append(draws)
    return {name: np.stack(draws) for name, draws in found.items()}


def hits_of(folder: Path, name: str, queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Whether the patients (q, k) are hits of the patients (q,): (q, k) bool; nobody is who has no value."""
    values = load_part(folder, "test").labels[name].to_numpy(float)
    with np.errstate(invalid="ignore"):
        return np.abs(values[candidates] - values[queries][:, None]) <= TOLERANCE * np.nanstd(values, ddof=1)


def chance_of_a_hit(folder: Path, name: str) -> float:
    """Precision of a random order."""
    everyone = np.arange(len(load_part(folder, "test").labels))
    return float(hits_of(folder, name, everyone, np.broadcast_to(everyone, (len(everyone), len(everyone)))).mean())


def views_named_right(folder: Path) -> dict[str, float]:
    """Share of the test clips whose view the clip encoder names, and the share of the commonest view."""
    import torch

    test = load_part(folder, "test")
    with torch.inference_mode():
        named = load_encoder(folder).view_logits(torch.from_numpy(test.vectors)).argmax(1).numpy()
    commonest = np.bincount(test.view).max() / len(test.view)
    return {"views_named_right": float((named == test.view).mean()), "commonest_view": float(commonest)}


@lru_cache
def what_views_tell(folder: Path, names: tuple[str, ...] = VALUES) -> dict[str, dict[str, float]]:
    """View -> phenotype -> R² on test studies of a ridge regression from one clip vector (the first of a study's clips
    of that view), and "mean of the clips": from the mean of all of them."""
    from sklearn.linear_model import RidgeCV
    from sklearn.metrics import r2_score

    from echo2ecg_core.echo.clip import VIEWS

    train, test = load_part(folder, "train"), load_part(folder, "test")
    found = {}
    for number, view in [*enumerate(VIEWS), (None, "mean of the clips")]:
        views = None if number is None else (number,)
        data = []
        for part in (train, test):
            clips = part.clips_of(views)
            there = np.flatnonzero([len(rows) > 0 for rows in clips])
            of_one = [part.vectors[clips[i] if number is None else clips[i][:1]].mean(0) for i in there]
            data.append((np.array(of_one), part.labels[list(names)].to_numpy(float)[there]))
        (x, y), (test_x, truth) = data
        if len(x) < 5 or len(test_x) < 5:
            continue
        mean, scale = x.mean(0), x.std(0) + 1e-6
        ridge = RidgeCV(alphas=np.logspace(1, 5, 9), alpha_per_target=True).fit((x - mean) / scale, y)
        scores = r2_score(truth, ridge.predict((test_x - mean) / scale), multioutput="raw_values")
        found[view] = {"studies": float(len(x)), **dict(zip(names, map(float, scores), strict=True))}
    return found
