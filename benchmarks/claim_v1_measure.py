"""The second half of claim_v1.py: from stored vectors to tables. Arms are means over seeds; all intervals are 95 %
bootstraps.

A resample draws patients, and seeds too; the same ones for every arm, so a difference between two arms is paired. In
retrieval the queries are drawn, the candidates stay.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from echo2ecg_core.evaluation.phenotypes import bootstrap, interval, weighted_auroc
from echo2ecg_core.evaluation.retrieval import hits_by_phenotype, query_scores_of_vectors
from echo2ecg_core.evaluation.rows import MAIN_METRIC, Split, evaluate_encoder
from echo2ecg_core.evaluation.tasks import TASKS

CLASSES = (
    "lvef_le_40",
    "structural_heart_disease",
    "lv_hypertrophy",
    "la_enlargement",
    "rv_dysfunction",
    "aortic_stenosis",
    "mitral_regurgitation",
)
VALUES = ("lvef", "lvedv", "ivsd", "tapse")
FINDINGS = {  # of LUDB's headers: what their words contain
    "atrial fibrillation": ("atrial fibrillation",),
    "bundle branch block, any": ("bundle branch block",),
    "LV hypertrophy": ("left ventricular hypertrophy",),
    "LA enlargement": ("left atrial hypertrophy", "left atrial overload"),
    "infarct or ischaemia": ("stemi", "ischemia", "scar"),
}
READOUTS = ("probe", "knn", "boosting")
REFERENCE = "attention"
N_RESAMPLES = 1000
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Measured:
    """One number of one arm: its value and its bootstrap draws, (resamples,)."""

    value: float
    draws: np.ndarray

    def shown(self, digits: int = 3) -> str:
        low, high = interval(self.draws)
        return f"{self.value:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"

    def minus(self, other: "Measured") -> "Measured":
        return Measured(self.value - other.value, self.draws - other.draws)

    def as_json(self) -> list[float]:
        return [round(float(v), 4) for v in (self.value, *interval(self.draws))]


def mean_of(parts: list[Measured]) -> Measured:
    """The mean over seeds; every resample also draws which seeds count, the same ones for every arm of as many."""
    n, resamples = len(parts), len(parts[0].draws)
    drawn = np.random.default_rng(n).integers(n, size=(resamples, n))
    draws = np.stack([p.draws for p in parts], axis=1)  # (resamples, seeds)
    return Measured(float(np.mean([p.value for p in parts])), np.take_along_axis(draws, drawn, axis=1).mean(1))


def mean_over_seeds(seeds: list[dict[tuple[str, str], Measured]]) -> dict[tuple[str, str], Measured]:
    """The mean of every measurement over seeds."""
    return {column: mean_of([found[column] for found in seeds]) for column in seeds[0]}


def is_of(archive, facts: dict) -> bool:
    """Whether an arm's stored vectors are of the patients and the clip encoder that `facts` names."""
    return facts.items() <= json.loads(str(archive["facts"])).items()


def load_arms(folder: Path, facts: dict) -> dict[str, list[dict[str, np.ndarray]]]:
    """Arm -> one set of arrays a seed; vectors of other patients or another clip encoder (`facts`) do not count."""
    arms: dict[str, list] = {}
    for path in sorted(folder.glob("*/vectors.npz")):
        with np.load(path, allow_pickle=False) as archive:
            if is_of(archive, facts):
                arms.setdefault(path.parent.name.rpartition("-")[0], []).append({k: archive[k] for k in archive.files})
    return arms


def last_losses(folder: Path, arm: str) -> dict[str, float]:
    """Mean over seeds of the loss in the middle and at the end of training, and of the validation patients at the
    end."""
    runs = [
        [json.loads(line) for line in path.read_text().splitlines()]
        for path in sorted(folder.glob(f"{arm}-*/metrics.jsonl"))
    ]
    epochs = [[entry for entry in run if entry["kind"] == "epoch"] for run in runs]
    points = {
        "middle": [run[len(run) // 2 - 1]["loss"] for run in epochs],
        "end": [run[-1]["loss"] for run in epochs],
        "validation": [run[-1]["validation_loss"] for run in epochs],
    }
    return {name: round(float(np.mean(values)), 3) for name, values in points.items()}


def splits_of(data, vectors: dict[str, np.ndarray]) -> dict[str, Split]:
    """Labels and patients of the vectors' ECGs, by split."""
    from echo2ecg_core.training.data import nearest_pairs

    splits = {}
    for split, matrix in vectors.items():
        rows = nearest_pairs(data, split)
        splits[split] = Split(
            matrix, data.studies.iloc[rows.study_row].reset_index(drop=True), rows.patient_id.to_numpy()
        )
    return splits


def phenotypes_of(
    data, vectors: dict[str, np.ndarray], readouts: tuple[str, ...], tasks=CLASSES + VALUES
) -> dict[tuple[str, str], Measured]:
    """(readout, task) -> AUROC or MAE of one encoder."""
    splits = splits_of(data, vectors)
    found = {}
    for row in evaluate_encoder("encoder", *splits.values(), readouts, tasks, n_resamples=N_RESAMPLES):
        for task, result in row.results.items():
            found[row.readout, task] = Measured(result[MAIN_METRIC[TASKS[task].kind]][0], row.resampled[task])
    return found


def retrieval_of(
    data, arrays: dict[str, np.ndarray], studies_of: str = "test.study_aligned"
) -> dict[tuple[str, str], Measured]:
    """("precision@10 ECG to study", phenotype) and the like: hits lie within 0.5 SD of the query's value."""
    from echo2ecg_core.training.data import nearest_pairs

    rows = nearest_pairs(data, "test")
    ids = {study: row for row, study in enumerate(arrays["test.studies"])}
    owner = data.studies.set_index("study_id").patient_id
    found = {}
    for name in VALUES:
        values = data.studies[name].to_numpy(float)[rows.study_row]
        truth = hits_by_phenotype(rows.ecg_id.to_numpy(object), rows.study_id.to_numpy(object), values)
        ecgs = arrays["test.aligned"][pd.Index(rows.ecg_id).get_indexer(truth.ecg_ids)]
        studies = arrays[studies_of][[ids[i] for i in truth.study_ids]]
        patients_of = {
            "ECG": rows.set_index("ecg_id").patient_id[list(truth.ecg_ids)].to_numpy(),
            "study": owner[list(truth.study_ids)].to_numpy(),
        }
        for way, queries, targets, hits in (
            ("ECG to study", ecgs, studies, truth.studies_of_ecg),
            ("study to ECG", studies, ecgs, truth.ecgs_of_study),
        ):
            scores = query_scores_of_vectors(queries, targets, hits)
            for key, words in (("precision@10", "precision@10"), ("map", "mAP")):
                found[f"{words} {way}", name] = weighted_mean(scores[key], patients_of[way.split()[0]])
    return found


def chance_of_a_hit(data) -> dict[str, float]:
    """Phenotype -> share of the studies that are hits of an ECG: precision of a random order."""
    from echo2ecg_core.training.data import nearest_pairs

    rows = nearest_pairs(data, "test")
    return {
        name: round(
            float(
                hits_by_phenotype(
                    rows.ecg_id.to_numpy(object),
                    rows.study_id.to_numpy(object),
                    data.studies[name].to_numpy(float)[rows.study_row],
                ).studies_of_ecg.mean()
            ),
            3,
        )
        for name in VALUES
    }


def weighted_mean(values: np.ndarray, patients: np.ndarray) -> Measured:
    draws = bootstrap(lambda weights: {"mean": weights @ values / weights.sum(1)}, patients, N_RESAMPLES, 0)["mean"]
    return Measured(float(values.mean()), draws)


# ------------------------------------------------------------------------------------------- real ECGs


def ludb_findings(headers: list[Path]) -> dict[str, np.ndarray]:
    """Finding -> (n,) bool, from the comment lines of the records' headers."""
    texts = [
        " ".join(line for line in path.read_text().lower().splitlines() if line.startswith("#")) for path in headers
    ]
    return {
        finding: np.array([any(word in text for word in words) for text in texts])
        for finding, words in FINDINGS.items()
    }


def ludb_scores(x: np.ndarray, positive: np.ndarray) -> dict[str, np.ndarray]:
    """Leave-one-out scores (n,) of a kNN (k = 5) on the vectors and of a logistic probe (C = 0.1) on standardised ones.

    Classes weigh the same in each fit: else leaving a positive out lowers its own intercept, and chance falls below
    0.5.
    """
    from sklearn.linear_model import LogisticRegression

    n = len(x)
    distance = ((x[:, None] - x[None]) ** 2).sum(2)
    np.fill_diagonal(distance, np.inf)
    knn = positive[np.argsort(distance, 1, kind="stable")[:, :5]].mean(1)
    probe = np.empty(n)
    for i in range(n):
        rest = np.arange(n) != i
        mean, scale = x[rest].mean(0), x[rest].std(0) + 1e-9
        probe[i] = (
            LogisticRegression(C=0.1, max_iter=300, class_weight="balanced")
            .fit((x[rest] - mean) / scale, positive[rest])
            .decision_function([(x[i] - mean) / scale])[0]
        )
    return {"knn": knn, "probe": probe}


def ludb_of(x: np.ndarray, findings: dict[str, np.ndarray]) -> dict[tuple[str, str], Measured]:
    """(readout, finding) -> AUROC over the real ECGs; records are resampled (one a patient)."""
    found = {}
    for finding, positive in findings.items():
        for readout, scores in ludb_scores(x, positive).items():
            draws = bootstrap(
                lambda w, s=scores, p=positive: {"auroc": weighted_auroc(s, p, w)}, np.arange(len(x)), N_RESAMPLES, 0
            )["auroc"]
            found[readout, finding] = Measured(float(weighted_auroc(scores, positive, np.ones((1, len(x))))[0]), draws)
    return found


def hand_made(signals) -> np.ndarray:
    """Hand-made features (n, f) of (signal_mv, rate) pairs."""
    from echo2ecg_core.evaluation.features import feature_matrix

    return feature_matrix(signals)


def without_gaps(x: np.ndarray) -> np.ndarray:
    """Missing features as the median of the others, constant ones left out, standardised: for kNN and probe on real
    ECGs."""
    x = np.where(np.isfinite(x), x, np.nanmedian(np.where(np.isfinite(x), x, np.nan), axis=0))
    x = x[:, np.isfinite(x).all(0) & (x.std(0) > 1e-9)]
    return (x - x.mean(0)) / x.std(0)


# ------------------------------------------------------------------------------------------- why


def view_shares(arrays_of_seeds: list[dict], data) -> pd.DataFrame:
    """Mean share of each view in a study's vector, over all test studies and over those with each finding."""
    from echo2ecg_core.echo.clip import VIEWS

    studies = data.studies.set_index("study_id").loc[list(arrays_of_seeds[0]["test.studies"])].reset_index()
    groups = {"all": np.ones(len(studies), bool)} | {TASKS[t].label: TASKS[t].target(studies) == 1 for t in CLASSES}
    shares = np.ma.masked_invalid([a["test.view_weights"] for a in arrays_of_seeds]).mean(
        0
    )  # (s, views), masked where a study lacks the view
    relative = shares * shares.count(1)[:, None]  # 1 = as much as an equal share
    means = {group: relative[rows].mean(0).filled(np.nan) for group, rows in groups.items()}
    return pd.DataFrame(means, index=[str(v) for v in VIEWS]).dropna(how="all").T


def view_dropout(
    folder: Path, spec, data, arrays: dict[str, np.ndarray], most: int = 6
) -> dict[str, dict[str, list[float]]]:
    """Phenotype -> number of random views of every test study that are pooled -> precision@10, ECG to study, with its
    interval."""
    import torch
    from safetensors.torch import load_file

    from echo2ecg_core.models.echo2ecg import Echo2ECG

    network = Echo2ECG(spec).eval()
    network.load_state_dict(load_file(folder / "network.safetensors"))
    rows_of, rng = data.clips.groupby("study_id").indices, np.random.default_rng(0)
    orders = {study: rng.permutation(rows_of[study]) for study in arrays["test.studies"]}
    found: dict[str, dict] = {name: {} for name in VALUES}
    for n_views in range(1, most + 1):
        aligned = []
        with torch.inference_mode():
            for study in arrays["test.studies"]:
                views = torch.from_numpy(data.clip_data[orders[study][:n_views]].astype(np.float32))[None]
                aligned.append(network.align_study(network.embed_study(views))[0].numpy())
        scores = retrieval_of(data, {**arrays, "test.study_aligned": np.stack(aligned)})
        for name in VALUES:
            found[name][str(n_views)] = scores["precision@10 ECG to study", name].as_json()
    return found


def what_views_tell(data) -> pd.DataFrame:
    """R² on test studies of ridge regression from one clip vector of each view, and from the mean over a study's views.

    Where one view tells a phenotype as well as all, pooling has little to add.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.metrics import r2_score

    from echo2ecg_core.echo.clip import VIEWS

    study = pd.Index(data.studies.study_id).get_indexer(data.clips.study_id)
    view, split = data.clips.view.to_numpy(), data.studies.split.to_numpy()
    vectors = np.asarray(data.clip_data, np.float32)
    of_view = {list(VIEWS)[v]: (study[view == v], standardised(vectors[view == v])) for v in np.unique(view)}
    sums, counts = np.zeros((len(data.studies), vectors.shape[1]), np.float32), np.zeros(len(data.studies))
    for rows, x in of_view.values():
        np.add.at(sums, rows, x)
        np.add.at(counts, rows, 1)
    kept = np.flatnonzero(counts)
    of_view["mean over the views"] = kept, sums[kept] / counts[kept, None]
    names = (*VALUES, "lv_mass_index", "lavi", "rv_basal_diameter", "rvsp")
    table = {}
    for name, (rows, x) in of_view.items():
        fit, test = split[rows] == "train", split[rows] == "test"
        truth = data.studies[list(names)].to_numpy(float)[rows]
        guesses = RidgeCV(alphas=np.logspace(1, 5, 9), alpha_per_target=True).fit(x[fit], truth[fit]).predict(x[test])
        table[name] = dict(zip(names, r2_score(truth[test], guesses, multioutput="raw_values"), strict=True))
    return pd.DataFrame(table).T


def standardised(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(0)) / (x.std(0) + 1e-6)


# ------------------------------------------------------------------------------------------- tables


def table(
    arms: dict[str, dict[tuple[str, str], Measured]],
    labels: dict[str, str],
    columns: list[tuple[str, str]],
    names: list[str],
    digits: int = 2,
) -> str:
    """A Markdown table: one row an arm, one column a measurement with its interval; – where an arm has none."""
    head = ["| | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    return "\n".join(
        head
        + [
            f"| {labels[arm]} | " + " | ".join(found[c].shown(digits) if c in found else "–" for c in columns) + " |"
            for arm, found in arms.items()
        ]
    )


def differences(arms: dict[str, dict], reference: str) -> dict[str, dict]:
    """Reference minus every other arm, for every measurement both have."""
    return {
        arm: {c: arms[reference][c].minus(found[c]) for c in found if c in arms[reference]}
        for arm, found in arms.items()
        if arm != reference
    }


def better(column: tuple[str, str], difference: Measured) -> int:
    """+1 when the reference is better with an interval off 0, -1 when worse, 0 when the interval holds 0."""
    low, high = interval(difference.draws)
    sign = -1 if column[1] in VALUES and column[0] in READOUTS else 1  # a smaller error is better
    return 0 if low <= 0 <= high else sign * int(np.sign(difference.value))


def counted(verdicts: dict[str, int], which: Callable[[str], bool] = lambda column: True) -> dict[str, int]:
    """How many measurements are better, worse, and all; a column is "probe · lvef" or "mAP ECG to study · lvef"."""
    kept = [verdict for column, verdict in verdicts.items() if which(column)]
    return {"better": sum(v > 0 for v in kept), "worse": sum(v < 0 for v in kept), "of": len(kept)}


def wins(verdicts: dict[str, dict[str, int]], labels: dict[str, str]) -> str:
    """A Markdown table: in how many measurements the reference is better and worse than each arm, by an interval off
    0."""
    kinds = {
        "phenotypes": lambda column: column.startswith(READOUTS),
        "retrieval": lambda column: not column.startswith(READOUTS),
    }
    return wins_table(verdicts, labels, kinds)


def wins_by_phenotype(verdicts: dict[str, dict[str, int]], labels: dict[str, str], names: dict[str, str]) -> str:
    """A Markdown table: the same by phenotype."""
    return wins_table(
        verdicts,
        labels,
        {label: lambda column, task=task: column.endswith(f" · {task}") for task, label in names.items()},
    )


def wins_table(
    verdicts: dict[str, dict[str, int]], labels: dict[str, str], kinds: dict[str, Callable[[str], bool]]
) -> str:
    """One row an arm, one column a kind of measurement, cells "+better −worse of all"."""
    head = [f"| {labels[REFERENCE]} against | " + " | ".join(kinds) + " |", "|---|" + "---|" * len(kinds)]

    def cell(found: dict[str, int]) -> str:
        return f"+{found['better']} −{found['worse']} of {found['of']}" if found["of"] else "–"

    return "\n".join(
        head
        + [
            f"| {labels[arm]} | " + " | ".join(cell(counted(of, which)) for which in kinds.values()) + " |"
            for arm, of in verdicts.items()
        ]
    )


def markdown(table: pd.DataFrame) -> str:
    """A table of numbers with two decimals in Markdown."""
    head = ["| | " + " | ".join(table.columns) + " |", "|---|" + "---|" * len(table.columns)]
    return "\n".join(
        head
        + [
            f"| {name} | " + " | ".join(f"{v:.2f}" for v in row) + " |"
            for name, row in zip(table.index, table.to_numpy(), strict=True)
        ]
    )


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def as_json(arms: dict[str, dict[tuple[str, str], Measured]]) -> dict:
    return {arm: {f"{a} · {b}": m.as_json() for (a, b), m in found.items()} for arm, found in arms.items()}


def dump(path: Path, content: dict) -> None:
    write(path, json.dumps(content, indent=1))
