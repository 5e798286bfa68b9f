"""Does aligning ECGs with whole multi-view echo studies beat the alternatives? On the phantom, then on real ECGs.

    python benchmarks/claim_v1.py --ludb FOLDER   trains, measures, prints one JSON line; tables under runs/claim/tables
    python benchmarks/claim_v1.py train           only the first half, several at once if wanted
    python benchmarks/claim_v1.py measure         only the second

`train` renders the phantom patients (render, embed, discard), trains every arm with every seed and stores the vectors
of unseen patients and of the real ECGs; killed and started again it goes on. Several `train` processes may share one
folder: two, with one thread each, take about three hours on two cores. `measure` needs nothing but those vectors. All
arms share the frozen clip encoder of the shipped model, the patients, the network sizes, the number of steps, the
augmentation and the start: an ECG encoder pretrained by masking on the same patients, as the paper starts from OTiS.
Only what the ECG is trained against afterwards differs. Test patients are a cohort of their own.

A multi-view arm sees a random half of a study's views in every step, as "random clip" sees one.

CPU sizes: transformer width 96, depth 4, patch 48; one random ECG-study pair a training patient and epoch; 100 epochs
of masking once, then 20 an arm.
On a GPU `--preset base` trains the full size.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import claim_v1_measure as m  # noqa: E402

from echo2ecg_core.ecg.augment_spec import AugmentationSpec  # noqa: E402
from echo2ecg_core.echo.clip import VIEWS  # noqa: E402
from echo2ecg_core.models.specs import PRESETS, ModelSpec  # noqa: E402
from echo2ecg_core.training.parameters import RunParameters  # noqa: E402

PATIENTS, SEED = 4000, 2026  # of these, training patients train, validation patients served every choice
TEST_PATIENTS, TEST_SEED = 4000, 2028  # never measured before the recipe was final
TRAINING_PATIENTS = 2000
RUN = RunParameters(
    epochs=20,
    batch_size=32,
    lr=5e-4,
    weight_decay=0.05,
    layer_decay=1.0,
    epoch_of="patients",
    clip_norm=1.0,
    same_patient_negatives=False,
    view_dropout=0.5,
    augmentation=AugmentationSpec(
        gain_std=0.1, time_flip_probability=0.0, sign_flip_probability=0.0, jitter_strength=0.3
    ),
)
A4C = (list(VIEWS).index("A4C"),)


@dataclass(frozen=True)
class Arm:
    """One way to pretrain.

    Attributes:
        label: As the tables say it.
        pooling: Of the study; None leaves the preset's.
        views: Only clips of these views; None: all.
        run: What differs from `RUN`.
        temperature: Of the contrast; None leaves the preset's.
        patients: How many training patients.
        bodies: In how many other bodies their ECGs are simulated too.
        start: Name of the arm whose ECG encoder (of seed 0) is the start; None: random weights.
        trained: False for the random initialisation.
    """

    label: str
    pooling: str | None = None
    views: tuple[int, ...] | None = None
    run: dict | None = None
    temperature: float | None = None
    patients: int = TRAINING_PATIENTS
    bodies: int = 0
    start: str | None = "start"
    trained: bool = True

    def spec(self, preset: str) -> ModelSpec:
        """The networks of this arm."""
        spec = PRESETS[preset]
        study = replace(spec.study, pooling=self.pooling or spec.study.pooling)
        return replace(
            spec,
            study=study,
            ecg_input=replace(spec.ecg_input, windows="all"),
            temperature=self.temperature or spec.temperature,
        )


ARMS = {
    "attention": Arm("Multi-view, attention"),
    "mean": Arm("Multi-view, mean", pooling="mean"),
    "a4c": Arm("Single view, A4C", pooling="single_view", views=A4C),
    "random_clip": Arm("Single random clip", pooling="single_view"),
    "masked": Arm("Masked ECG only", run={"objective": "masked"}),
    "random": Arm("Random initialisation", start=None, trained=False),
}
QUESTIONS = {  # seed 0 only, beside the same seed of "attention"
    "start": Arm(
        "The common start: 100 epochs of masking",
        start=None,
        run={"objective": "masked", "epochs": 100, "warmup_epochs": 5, "lr": 2e-3},
    ),
    "from_random": Arm("Attention from random weights", start=None, run={"lr": 2e-3}),
    "all_views": Arm("All views in every step, attention", run={"view_dropout": 0.0}),
    "mean_all_views": Arm("All views in every step, mean", pooling="mean", run={"view_dropout": 0.0}),
    "bodies": Arm("Each heart also in six other bodies", bodies=6),
    "temperature_0.05": Arm("Temperature 0.05", temperature=0.05),
    "temperature_0.5": Arm("Temperature 0.5 (published)", temperature=0.5),
    "quarter": Arm(
        "A quarter of the patients, as many steps",
        patients=TRAINING_PATIENTS // 4,
        run={"epochs": 80, "warmup_epochs": 8},
    ),
    "all_pairs": Arm(
        "Every pair each epoch, shared patients masked", run={"epoch_of": "pairs", "epochs": 14, "warmup_epochs": 1.4}
    ),
    "all_pairs_negatives": Arm(
        "Every pair each epoch, shared patients negatives",
        run={"epoch_of": "pairs", "epochs": 14, "warmup_epochs": 1.4, "same_patient_negatives": True},
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stage", nargs="?", choices=["train", "measure"])
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "claim")
    parser.add_argument("--cohort", type=Path, default=None, help="folder of prepared shards; default OUT/cohort")
    parser.add_argument("--arms", default=",".join((*ARMS, *QUESTIONS)))
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--preset", default="demo")
    parser.add_argument(
        "--test-cohort", type=Path, default=None, help="the same of the test patients; default OUT/test-cohort"
    )
    parser.add_argument("--patients", type=int, default=PATIENTS)
    parser.add_argument("--test-patients", type=int, default=TEST_PATIENTS)
    parser.add_argument("--epochs", type=int, default=None, help="of every arm; default: as the arm says")
    parser.add_argument("--ludb", type=Path, default=None, help="folder of LUDB records in WFDB form")
    options = parser.parse_args()
    for stage, run in (("train", train_arms), ("measure", measure)):
        if options.stage in (stage, None):
            run(options)


def train_arms(options) -> None:
    """Train what is not trained yet, seeds outermost, so that an early stop leaves whole comparisons."""
    import torch

    torch.set_num_threads(options.threads)
    data, facts = cohort(options)
    for seed in map(int, options.seeds.split(",")):
        for name in options.arms.split(","):
            if name in QUESTIONS and seed > 0:
                continue
            train_once(name, seed, data, facts, options)


def train_once(name: str, seed: int, data, facts: dict, options, wait: bool = False) -> Path:
    """The folder of an arm, trained unless that was done or is being done by another process (`wait`: until that one is
    done)."""
    folder = options.out / "arms" / f"{name}-{seed}"
    while not is_done(folder, facts, options):
        if claimed(folder):
            try:
                train_arm(folder, {**ARMS, **QUESTIONS}[name], seed, data, facts, options)
            finally:
                (folder / "lock").unlink(missing_ok=True)
        elif wait:
            time.sleep(5)
        else:
            break
    return folder


def is_done(folder: Path, facts: dict, options) -> bool:
    """Whether an arm's vectors are there, of these patients and this clip encoder, and of the real ECGs if they are
    wanted."""
    if not (folder / "vectors.npz").exists():
        return False
    with np.load(folder / "vectors.npz") as stored:
        return m.is_of(stored, facts) and ("ludb.embedding" in stored.files or not options.ludb)


def claimed(folder: Path) -> bool:
    """Whether this process may work on an arm; a lock left by a process that is gone does not count."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / "lock"
    try:
        with open(lock, "x") as file:
            file.write(str(os.getpid()))
        return True
    except FileExistsError:
        owner = lock.read_text()
        if owner.isdigit() and Path(f"/proc/{owner}").exists():
            return False
        lock.unlink(missing_ok=True)
        return claimed(folder)


def cohort(options):
    """Phantom patients with clip vectors of the shipped clip encoder, and the hashes of both.

    Training and validation patients come from one cohort, all test patients from another; the first one's own test
    patients are left out, as results on them were known when the recipe was chosen.
    """
    from echo2ecg_core.intake.demo import SHIPPED_MODEL
    from echo2ecg_core.models.checkpoint import load_checkpoint
    from echo2ecg_core.training.phantom_data import prepare_cohort

    checkpoint = load_checkpoint(SHIPPED_MODEL)
    parts = [
        prepare_cohort(
            n,
            seed,
            PRESETS[options.preset].ecg_input,
            folder,
            encoder=checkpoint.clip_encoder,
            progress=lambda share, message: tell(message),
        )
        for n, seed, folder in (
            (options.patients, SEED, options.cohort or options.out / "cohort"),
            (options.test_patients, TEST_SEED, options.test_cohort or options.out / "test-cohort"),
        )
    ]
    data = joined(*parts)
    return data, {"cohort": data.fingerprint(), "clip_encoder": checkpoint.network_sha256["clip_encoder"]}


def joined(learning, testing):
    """One TrainingData of two cohorts: "train" and "validation" of the first; everyone of the second is "test", with a
    T before the ids."""
    import pandas as pd

    def table(name: str):
        first, second = getattr(learning, name).copy(), getattr(testing, name).copy()
        for column in {"ecg_id", "study_id", "patient_id"} & set(second.columns):
            second[column] = "T" + second[column]
        if "split" in first:
            first["split"], second["split"] = first.split.replace("test", "left out"), "test"
        return pd.concat([first, second], ignore_index=True)

    return type(learning)(
        table("ecgs"),
        np.concatenate([learning.signals, testing.signals]),
        table("studies"),
        table("clips"),
        np.concatenate([learning.clip_data, testing.clip_data]),
    )


def in_more_bodies(data, arm: Arm, options):
    """The cohort with the ECGs of other bodies that an arm asks for; they serve training only."""
    from echo2ecg_core.training.phantom_data import with_more_bodies

    return (
        with_more_bodies(
            data,
            options.patients,
            SEED,
            PRESETS[options.preset].ecg_input,
            options.cohort or options.out / "cohort",
            n_bodies=arm.bodies,
            progress=lambda share, message: tell(message),
        )
        if arm.bodies
        else data
    )


def train_arm(folder: Path, arm: Arm, seed: int, data, facts: dict, options) -> None:
    """Train one arm with one seed, unless its weights are there, and store weights, metrics and vectors."""
    from safetensors.torch import load_file, save_file

    from echo2ecg_core.models.echo2ecg import Echo2ECG

    spec, weights, trained_by = arm.spec(options.preset), folder / "network.safetensors", folder / "recipe.json"
    run = replace(RUN, seed=100 + seed, **(arm.run or {}))
    run = replace(run, epochs=options.epochs or run.epochs)
    recipe = json.dumps(
        {
            "arm": asdict(arm),
            "spec": spec.to_dict(),
            "run": asdict(run),
            "patients": options.patients,
            "clip_encoder": facts["clip_encoder"],
        },
        indent=1,
    )
    if weights.exists():
        if not trained_by.exists() or trained_by.read_text() != recipe:
            raise SystemExit(
                f"The weights in {folder} were trained by another recipe; remove that folder to train them again."
            )
        network = Echo2ECG(spec).eval()
        network.load_state_dict(load_file(weights))
    else:
        start = arm.start and ecg_encoder_of(train_once(arm.start, 0, data, facts, options, wait=True))
        network = trained(folder, arm, spec, run, start, data, options)
        trained_by.write_text(recipe)
        save_file({k: v.contiguous() for k, v in network.state_dict().items()}, weights.with_suffix(".writing"))
        weights.with_suffix(".writing").replace(weights)
    arrays = vectors_of(network, data, arm, run.seed, options)
    np.savez(folder / ".vectors.npz", facts=json.dumps(facts), **arrays)
    (folder / ".vectors.npz").replace(folder / "vectors.npz")
    (folder / "state.pt").unlink(missing_ok=True)


def trained(folder: Path, arm: Arm, spec: ModelSpec, run: RunParameters, start: dict | None, data, options):
    """The network of an arm after its last epoch; goes on from `state.pt`, adds to `metrics.jsonl`."""
    import torch

    from echo2ecg_core.models.echo2ecg import Echo2ECG
    from echo2ecg_core.training.data import paired
    from echo2ecg_core.training.pretrain import pretrain

    if not arm.trained:
        torch.manual_seed(run.seed)
        return Echo2ECG(spec).eval()
    train = first_patients(paired(in_more_bodies(data, arm, options), "train", views=arm.views), arm.patients)
    with open(folder / "metrics.jsonl", "a") as metrics:

        def log(entry: dict) -> None:
            if entry["kind"] == "epoch":
                tell(
                    f"{folder.name} epoch {entry['epoch']} loss {entry['loss']:.3f} recall@10 "
                    f"{entry.get('recall@10', 0):.3f} {entry['pairs_per_s']:.0f}/s"
                )
            metrics.write(json.dumps(entry) + "\n")
            metrics.flush()

        return pretrain(
            spec,
            train,
            paired(data, "validation", views=arm.views),
            run,
            start_from=start,
            state_file=folder / "state.pt",
            log=log,
        )


def ecg_encoder_of(folder: Path) -> dict:
    """The weights of a trained arm's ECG encoder alone."""
    from safetensors.torch import load_file

    return {
        key: value for key, value in load_file(folder / "network.safetensors").items() if key.startswith("ecg_encoder.")
    }


def first_patients(pairs, n: int):
    """The pairs of the first n patients."""
    return replace(pairs, pairs=pairs.pairs[np.isin(pairs.pairs[:, 0], np.unique(pairs.pairs[:, 0])[:n])])


def vectors_of(network, data, arm: Arm, seed: int, options) -> dict[str, np.ndarray]:
    """Vectors of every paired ECG (all windows and first window), of every test study, and of the real ECGs.

    Where an arm trains on one random clip, a study at search is the mean of its clips, as for the other arms, and
    beside that one random clip, as the paper understands a single view.
    """
    import torch

    from echo2ecg_core.training.data import nearest_pairs

    network.to("cuda" if torch.cuda.is_available() else "cpu")
    arrays = {}
    for split in m.SPLITS:
        rows = nearest_pairs(data, split).ecg_row.to_numpy()
        arrays[f"{split}.embedding"], arrays[f"{split}.first"], arrays[f"{split}.aligned"] = embedded(
            network, data.signals, rows
        )
    rows_of = clips_of_studies(data, "test", arm.views)
    arrays["test.studies"] = np.array(list(rows_of), dtype=str)
    arrays["test.study_aligned"], arrays["test.view_weights"] = aligned_studies(network, data, rows_of)
    if network.spec.study.pooling == "single_view" and arm.views is None:
        rng = np.random.default_rng(seed)
        arrays["test.one_clip_aligned"], _ = aligned_studies(
            network, data, {study: rng.permutation(rows)[:1] for study, rows in rows_of.items()}
        )
    if options.ludb:
        signals = ludb_windows(options.ludb, network.spec)
        arrays["ludb.embedding"], _, _ = embedded(network, signals, np.arange(len(signals)))
    return arrays


def embedded(network, signals: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of prepared ECGs (…, 12, t): embedding of all whole windows and of the first (n, width), aligned vector of all
    (n, 512)."""
    import torch

    n = network.spec.ecg_input.n_samples
    count = signals.shape[2] // n
    parts, device = [], next(network.parameters()).device
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16):
        for start in range(0, len(rows), 32):
            x = (
                np.asarray(signals[rows[start : start + 32], :, : count * n], np.float32)
                .reshape(-1, 12, count, n)
                .swapaxes(1, 2)
            )
            tokens = network.ecg_encoder.tokens(torch.from_numpy(np.ascontiguousarray(x)).to(device).flatten(0, 1))
            pooled = network.token_pooling.pool(tokens).float().unflatten(0, (-1, count))  # (b, windows, width)
            whole, first = (network.token_pooling.norm(part) for part in (pooled.mean(1), pooled[:, 0]))
            parts.append([part.float().cpu().numpy() for part in (whole, first, network.align_ecg(whole))])
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def clips_of_studies(data, split: str, views: tuple[int, ...] | None) -> dict[str, np.ndarray]:
    """Study of one split -> its rows of clips, only of these views (a study without them keeps all)."""
    rows_of = data.clips.groupby("study_id").indices
    wanted = np.isin(data.clips.view.to_numpy(), range(len(VIEWS)) if views is None else views)
    return {
        study: rows_of[study][wanted[rows_of[study]]] if wanted[rows_of[study]].any() else rows_of[study]
        for study in data.studies.study_id[data.studies.split == split]
    }


def aligned_studies(network, data, rows_of: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Aligned vectors (s, 512) of studies and the share of each view (s, 11) in them, NaN where a view was not used."""
    import torch

    device = next(network.parameters()).device
    aligned, weights = [], np.full((len(rows_of), len(VIEWS)), np.nan, np.float32)
    with torch.inference_mode():
        for i, rows in enumerate(rows_of.values()):
            views = torch.from_numpy(data.clip_data[rows].astype(np.float32))[None].to(device)
            aligned.append(network.align_study(network.embed_study(views))[0].cpu().numpy())
            shares = network.study_weights(views)[0].cpu().numpy()
            for r, share in zip(rows, shares, strict=True):
                weights[i, data.clips.view.iloc[r]] = np.nansum([weights[i, data.clips.view.iloc[r]], share])
    return np.stack(aligned), weights


def ludb_windows(folder: Path, spec: ModelSpec) -> np.ndarray:
    """Prepared LUDB records (n, 12, t), in the order of `ludb_records`."""
    from echo2ecg_core.ecg.preprocess import clean_whole
    from echo2ecg_core.ecg.readers import read_ecg

    records = [read_ecg(path) for path in ludb_records(folder)]
    return np.stack(
        [
            clean_whole(
                r.signal_mv, r.sampling_rate_hz, target_hz=spec.ecg_input.sampling_rate_hz, order=spec.ecg_input.order
            )[:, :4000]
            for r in records
        ]
    )


def ludb_records(folder: Path) -> list[Path]:
    """Headers of the LUDB records, by number."""
    return sorted(folder.rglob("*.hea"), key=lambda path: int(path.stem))


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def measure(options) -> None:
    """From the stored vectors to tables, a JSON of everything and one line."""
    from joblib import Parallel, delayed

    data, facts = cohort(options)
    stored = m.load_arms(options.out / "arms", facts)
    labels = {name: arm.label for name, arm in {**ARMS, **QUESTIONS}.items()}
    labels |= {
        "features": "Gradient boosting on measured features (supervised)",
        "one_clip": "Single random clip, one clip a study at search too",
    }
    tables = options.out / "tables"

    def of_seeds(measured, arms) -> dict[str, list[dict]]:
        """Arm -> what `measured` gives for each of its seeds, several at once."""
        at_once = Parallel(n_jobs=options.threads, prefer="threads")
        return {name: at_once(delayed(measured)(arrays) for arrays in stored[name]) for name in arms}

    searching = [
        name for name in ARMS if name in stored and name not in ("masked", "random")
    ]  # the other two know no studies
    probed = of_seeds(
        lambda a: m.phenotypes_of(data, {s: a[f"{s}.embedding"] for s in m.SPLITS}, ("probe", "knn")), stored
    )
    searched = of_seeds(lambda a: m.retrieval_of(data, a), searching)
    main = {name: m.mean_over_seeds(probed[name]) for name in ARMS if name in stored}
    for name in searching:
        main[name] |= m.mean_over_seeds(searched[name])
    if "random_clip" in stored:
        main["one_clip"] = m.mean_over_seeds(
            of_seeds(lambda a: m.retrieval_of(data, a, "test.one_clip_aligned"), ["random_clip"])["random_clip"]
        )
    boosting = m.phenotypes_of(data, measured_features(data, facts, options), ("boosting",))
    main["features"] = boosting | {("probe", task): v for (_, task), v in boosting.items()}

    names = {t: m.TASKS[t].label for t in (*m.CLASSES, *m.VALUES)}
    for readout in ("probe", "knn"):
        rows = {k: v for k, v in main.items() if any(c[0] == readout for c in v)}
        m.write(
            tables / f"auroc_{readout}.md",
            m.table(rows, labels, [(readout, t) for t in m.CLASSES], [names[t] for t in m.CLASSES]),
        )
        m.write(
            tables / f"mae_{readout}.md",
            m.table(rows, labels, [(readout, t) for t in m.VALUES], [names[t] for t in m.VALUES]),
        )
    ways = [f"{score} {way}" for score in ("precision@10", "mAP") for way in ("ECG to study", "study to ECG")]
    rows = {k: v for k, v in main.items() if (ways[0], "lvef") in v}
    m.write(tables / "retrieval.md", m.table(rows, labels, [(w, "lvef") for w in ways], [f"{w}, LVEF" for w in ways]))
    summary = [("probe", "lvef_le_40"), ("probe", "structural_heart_disease"), ("probe", "lvef"), (ways[0], "lvef")]
    m.write(
        tables / "summary.md",
        m.table(
            main,
            labels,
            summary,
            ["AUROC, LVEF ≤ 40", "AUROC, structural heart disease", "MAE, LVEF (%)", f"{ways[0]}, LVEF"],
        ),
    )
    differences = m.differences(main, m.REFERENCE)
    verdicts = {
        arm: {f"{a} · {b}": m.better((a, b), d) for (a, b), d in found.items() if a != "boosting"}
        for arm, found in differences.items()
    }
    m.write(tables / "wins.md", m.wins(verdicts, labels))
    m.write(tables / "wins_by_phenotype.md", m.wins_by_phenotype(verdicts, labels, names))
    m.write(tables / "view_shares.md", m.markdown(m.view_shares(stored[m.REFERENCE], data)))
    m.write(tables / "what_views_tell.md", m.markdown(m.what_views_tell(data)))
    result = {
        "seeds": {name: len(s) for name, s in stored.items()},
        "patients": counts(data),
        "chance_of_a_hit": m.chance_of_a_hit(data),
        "arms": m.as_json(main),
        "reference_minus": m.as_json(differences),
        "reference_better": verdicts,
        "losses": {name: m.last_losses(options.out / "arms", name) for name in stored if name != "random"},
        "questions": questions(data, stored, probed, options),
    }
    if options.ludb:
        result["real"] = real_ecgs(stored, labels, options, tables)
    m.dump(options.out / "claim.json", result)
    print(
        json.dumps(
            {
                "benchmark": "claim",
                "seeds": result["seeds"],
                **result["patients"],
                "attention_against": {arm: m.counted(of) for arm, of in verdicts.items()},
            }
        )
    )


def counts(data) -> dict:
    """Patients and their ECGs that have a study close in time, by split; only these train and are measured."""
    from echo2ecg_core.training.data import nearest_pairs

    pairs = {split: nearest_pairs(data, split) for split in m.SPLITS}
    return {
        f"{split}_{what}": n
        for split, rows in pairs.items()
        for what, n in (("patients", rows.patient_id.nunique()), ("ecgs", len(rows)))
    }


def measured_features(data, facts: dict, options) -> dict[str, np.ndarray]:
    """Hand-made features of every paired ECG by split, measured on the recordings as simulated, kept between runs."""
    from echo2ecg_core.phantom.cohort import ECG_RATE_HZ, PhantomCohort
    from echo2ecg_core.training.data import nearest_pairs

    kept = options.out / f"features-{facts['cohort'][:8]}.npz"
    if not kept.exists():
        arrays = {}
        for split in m.SPLITS:
            people = (
                PhantomCohort(options.test_patients, TEST_SEED)
                if split == "test"
                else PhantomCohort(options.patients, SEED)
            )
            rows = nearest_pairs(data, split)
            tell(f"Measuring {len(rows)} {split} ECGs")
            wanted = zip(rows.patient_id.str.lstrip("TP").astype(int) - 1, rows.ecg_id.str.lstrip("T"), strict=True)
            ecgs = (next(e for e in people.patient(i).ecgs if e.ecg_id == ecg_id) for i, ecg_id in wanted)
            arrays[split] = m.hand_made((ecg.signal_mv(), ECG_RATE_HZ) for ecg in ecgs)
        np.savez(kept, **arrays)
    with np.load(kept) as archive:
        return {split: archive[split] for split in archive.files}


def questions(data, stored: dict, probed: dict, options) -> dict:
    """What was learnt beside the comparison: variants against the same seed, windows, and performance by number of
    views.

    A variant has one seed: its intervals draw patients only.
    """
    tasks = ("lvef_le_40", "structural_heart_disease", "lv_hypertrophy", "lvef", "lvedv", "ivsd", "tapse")
    same_seed = probed[m.REFERENCE][0]
    answers = {
        "variant_minus_attention": {
            name: {t: probed[name][0]["probe", t].minus(same_seed["probe", t]).as_json() for t in tasks}
            for name in QUESTIONS
            if name in probed
        }
    }
    first = [
        m.phenotypes_of(data, {s: a[f"{s}.first"] for s in m.SPLITS}, ("probe",), tasks) for a in stored[m.REFERENCE]
    ]
    answers["all_windows_minus_first"] = {
        t: m.mean_of(
            [whole["probe", t].minus(one["probe", t]) for whole, one in zip(probed[m.REFERENCE], first, strict=True)]
        ).as_json()
        for t in tasks
    }
    answers["precision@10_by_views"] = {
        name: m.view_dropout(options.out / "arms" / f"{name}-0", ARMS[name].spec(options.preset), data, stored[name][0])
        for name in ("attention", "mean", "random_clip")
        if name in stored
    }
    return answers


def real_ecgs(stored: dict, labels: dict, options, tables: Path) -> dict:
    """Frozen encoders on LUDB: leave-one-out AUROC of what the headers name, and how much better than the others."""
    from echo2ecg_core.ecg.readers import read_ecg

    headers = ludb_records(options.ludb)
    findings = m.ludb_findings(headers)
    each = {name: [m.ludb_of(a["ludb.embedding"], findings) for a in seeds] for name, seeds in stored.items()}
    arms = {name: m.mean_over_seeds(each[name]) for name in ARMS if name in each}
    records = (read_ecg(path) for path in headers)
    arms["features"] = m.ludb_of(
        m.without_gaps(m.hand_made((r.signal_mv, r.sampling_rate_hz) for r in records)), findings
    )
    for readout in ("probe", "knn"):
        columns = [f"{finding} ({int(p.sum())} of {len(p)})" for finding, p in findings.items()]
        m.write(
            tables / f"real_{readout}.md",
            m.table(arms, {**labels, "features": "Measured features"}, [(readout, f) for f in findings], columns),
        )
    reference = each[m.REFERENCE][0]
    variants = {
        name: {c: each[name][0][c].minus(reference[c]) for c in reference} for name in QUESTIONS if name in each
    }
    return {
        "positives": {f: int(p.sum()) for f, p in findings.items()},
        "records": len(headers),
        "arms": m.as_json(arms),
        "reference_minus": m.as_json(m.differences(arms, m.REFERENCE)),
        "variant_minus_attention": m.as_json(variants),
    }


if __name__ == "__main__":
    main()
