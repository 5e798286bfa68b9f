"""The arms: the common start, the choice of the recipe, every arm with every seed, and the curves.

What a training leaves are the vectors of ECGs and studies; whatever is measured later is measured on those.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from echo2ecg_core.evaluation.probes import probe
from echo2ecg_core.models.echo2ecg import Echo2ECG
from echo2ecg_core.store.database import write_atomically
from echo2ecg_core.training.pairs import PreparedPairs
from echo2ecg_core.training.parameters import RunParameters

from .cohorts import Part, load_part
from .ledger import Meter, Task, save_arrays, tell
from .plan import ARMS, CURVE_ARMS, RECIPE_SEED, TRAINED, Plan, Point, Recipe

START = "start.safetensors"
FEW = 100  # validation patients whose loss is told after every epoch
HELD_OUT = 5  # of the training patients every fifth chooses a probe's strength while recipes are compared


def start_tasks(plan: Plan, folder: Path) -> list[Task]:
    return [Task("start", folder / START, train_start)]


def train_start(plan: Plan, folder: Path, meter: Meter, output: Path) -> None:
    """The ECG encoder that every trained arm starts from: masking, on the ECGs of all training patients."""
    from safetensors.torch import save

    run = replace(plan.run("masked", Recipe(plan.start_lr, 0.0), plan.start_epochs, 0))
    network = _trained(plan, folder, meter, "masked", run, None, None, folder / "start-state.pt")
    weights = {k: v.contiguous() for k, v in network.state_dict().items() if k.startswith("ecg_encoder.")}
    write_atomically(output, save(weights))
    (folder / "start-state.pt").unlink(missing_ok=True)


def recipe_tasks(plan: Plan, folder: Path) -> list[Task]:
    """One run an arm and recipe; where an arm does not read what recipes differ in, one for both."""
    runs = {(arm, _of_arm(arm, recipe)) for recipe in plan.grid for arm in TRAINED}
    return [
        Task(f"{arm}-{recipe.name}", folder / "recipe" / f"{arm}-{recipe.name}.json", try_recipe, (arm, recipe))
        for arm, recipe in sorted(runs, key=lambda run: (run[1].name, run[0]))
    ]


def _of_arm(arm: str, recipe: Recipe) -> Recipe:
    return recipe if ARMS[arm].multi else Recipe(recipe.lr, 0.0)


def try_recipe(plan: Plan, folder: Path, meter: Meter, output: Path, arm: str, recipe: Recipe) -> None:
    """The LVEF error of an arm on validation patients after a short training."""
    run = plan.run(arm, recipe, plan.recipe_epochs, RECIPE_SEED)
    network = _trained(plan, folder, meter, arm, run, None, folder / START, output.with_suffix(".pt"))
    train, validation = load_part(folder, "train"), load_part(folder, "validation")
    (x, _), (test_x, _) = (embedded(network, part.signals, windows=1) for part in (train, validation))
    error = validation_error(train, x, validation, test_x)
    write_atomically(output, json.dumps({"lvef_error": error}).encode())
    output.with_suffix(".pt").unlink(missing_ok=True)


def validation_error(train: Part, x: np.ndarray, validation: Part, test_x: np.ndarray) -> float:
    """LVEF error (points) on validation patients of a linear probe on embeddings (e, width) of both parts; every fifth
    training patient chooses its strength."""
    y, test_y = (part.labels.lvef.to_numpy(float)[part.ecg_of] for part in (train, validation))
    held_out = train.ecg_of % HELD_OUT == 0
    told = probe("regression", x[~held_out], y[~held_out], x[held_out], y[held_out], test_x)
    return float(np.abs(told - test_y).mean())


def recipe_errors(plan: Plan, folder: Path) -> dict[Recipe, dict[str, float]]:
    """Recipe -> arm -> LVEF error on validation patients."""

    def error(arm: str, recipe: Recipe) -> float:
        path = folder / "recipe" / f"{arm}-{_of_arm(arm, recipe).name}.json"
        return json.loads(path.read_text())["lvef_error"]

    return {recipe: {arm: error(arm, recipe) for arm in TRAINED} for recipe in plan.grid}


def chosen_recipe(plan: Plan, folder: Path) -> Recipe:
    """The recipe of the smallest error on validation patients, mean over the arms; of equal ones the first."""
    errors = recipe_errors(plan, folder)
    return min(plan.grid, key=lambda recipe: float(np.mean(list(errors[recipe].values()))))


def arm_tasks(plan: Plan, folder: Path) -> list[Task]:
    """Seeds outermost, so that what is there when the budget ends are whole comparisons."""
    return [
        Task(f"{arm}-{seed}", folder / "arms" / f"{arm}-{seed}" / "vectors.npz", train_arm, (arm, seed))
        for seed in plan.seeds
        for arm in ARMS
    ]


def train_arm(plan: Plan, folder: Path, meter: Meter, output: Path, arm: str, seed: int) -> None:
    """One arm with one seed: its weights, and the vectors of all windows."""
    run = plan.run(arm, chosen_recipe(plan, folder), plan.arm_epochs, seed)
    network = _kept(plan, folder, meter, output.parent, arm, run, None)
    save_arrays(output, **vectors(network, folder, arm, seed, windows=None))


def curve_tasks(plan: Plan, folder: Path) -> list[Task]:
    """Every point of the curves: arm, seed, training set."""
    return [
        Task(name, folder / "curves" / name / "vectors.npz", train_curve, (arm, seed, point))
        for seed in plan.curve_seeds
        for point in plan.points
        for arm in CURVE_ARMS
        for name in [f"{arm}-{point.name}-{seed}"]
    ]


def train_curve(plan: Plan, folder: Path, meter: Meter, output: Path, arm: str, seed: int, point: Point) -> None:
    """One arm on the patients of one point, for as many pairs as every point; the vectors of the first windows."""
    patients = load_part(folder, "train").of_point(point)
    epochs = max(1, round(plan.curve_epochs * plan.patients["train"] / len(patients)))
    run = plan.run(arm, chosen_recipe(plan, folder), epochs, seed)
    network = _kept(plan, folder, meter, output.parent, arm, run, patients)
    save_arrays(output, **vectors(network, folder, arm, seed, windows=1))


def _kept(plan, folder, meter, own: Path, arm: str, run: RunParameters, patients: np.ndarray | None) -> Echo2ECG:
    """The trained network of a run, from its file where it is there."""
    from safetensors.torch import load_file, save

    file = own / "network.safetensors"
    if not file.exists():
        network = _trained(plan, folder, meter, arm, run, patients, folder / START, own / "state.pt")
        write_atomically(file, save({k: v.contiguous() for k, v in network.state_dict().items()}))
        (own / "state.pt").unlink(missing_ok=True)
    network = Echo2ECG(plan.spec(arm)).eval()
    network.load_state_dict(load_file(file))
    return network


def _trained(
    plan: Plan,
    folder: Path,
    meter: Meter,
    arm: str,
    run: RunParameters,
    patients: np.ndarray | None,
    start: Path | None,
    state_file: Path,
) -> Echo2ECG:
    """The network of an arm after its last epoch; goes on from `state_file`."""
    import torch
    from safetensors.torch import load_file

    from echo2ecg_core.training.pretrain import pretrain

    if ARMS[arm].objective is None:
        torch.manual_seed(run.seed)
        return Echo2ECG(plan.spec(arm)).eval()

    def log(entry: dict) -> None:
        if entry["kind"] == "epoch":
            meter.tick()
            tell(f"{meter.task}: epoch {entry['epoch']}, loss {entry['loss']:.3f} ({entry['validation_loss']:.3f})")

    train, validation = load_part(folder, "train"), load_part(folder, "validation")
    return pretrain(
        plan.spec(arm),
        train.pairs(arm, patients),
        validation.pairs(arm, np.arange(FEW)),
        run,
        start_from=load_file(start) if start else None,
        state_file=state_file,
        log=log,
    )


def vectors(network: Echo2ECG, folder: Path, arm: str, seed: int, windows: int | None) -> dict[str, np.ndarray]:
    """What a run is measured by: "train", "validation", "test" embeddings of ECGs, and for an arm that knows studies
    aligned vectors of the test ECGs and studies.

    A study at search is the mean or the pooling of all its clips of the arm's views, or of all where it has none of
    them; for the arm of random clips also one clip by lot ("one_clip").
    """
    parts = {name: load_part(folder, name) for name in ("train", "validation", "test")}
    arrays = {}
    for name, part in parts.items():
        arrays[name], aligned = embedded(network, part.signals, windows)
    if ARMS[arm].pooling:
        test = parts["test"]
        arrays["ecg"] = aligned.astype(np.float16)
        wanted, every = test.clips_of(ARMS[arm].views), test.clips_of()
        clips = [own if len(own) else all_of_it for own, all_of_it in zip(wanted, every, strict=True)]
        arrays["study"] = aligned_studies(network, test, clips)
        if arm == "random_clip":
            rng = np.random.default_rng(seed)
            arrays["one_clip"] = aligned_studies(network, test, [rng.permutation(rows)[:1] for rows in clips])
    return arrays


def embedded(network: Echo2ECG, signals: np.ndarray, windows: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings (e, width) and aligned vectors (e, 512) of ECGs (e, 12, t), over their first windows, or all."""
    import torch

    n = network.spec.ecg_input.n_samples
    count = windows or signals.shape[2] // n
    parts = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for start in range(0, len(signals), 32):
            x = np.asarray(signals[start : start + 32, :, : count * n], np.float32).reshape(-1, 12, count, n)
            tokens = network.ecg_encoder.tokens(torch.from_numpy(np.ascontiguousarray(x.swapaxes(1, 2))).flatten(0, 1))
            pooled = network.token_pooling.pool(tokens).float().unflatten(0, (-1, count)).mean(1)  # (b, width)
            embedding = network.token_pooling.norm(pooled).float()
            parts.append([embedding.numpy(), network.align_ecg(embedding).float().numpy()])
    embedding, aligned = (np.concatenate(part) for part in zip(*parts, strict=True))
    return embedding, aligned


def aligned_studies(network: Echo2ECG, part: Part, clips: list[np.ndarray]) -> np.ndarray:
    """Aligned vectors (n, 512) float16 of studies of these rows of clips."""
    import torch

    pairs = PreparedPairs(part.signals, part.vectors, clips, np.zeros((0, 3), int))
    parts = []
    with torch.inference_mode():
        for start in range(0, len(clips), 256):
            views, is_padding = pairs.views(np.arange(start, min(start + 256, len(clips))))
            study = network.embed_study(torch.from_numpy(views), torch.from_numpy(is_padding))
            parts.append(network.align_study(study).numpy())
    return np.concatenate(parts).astype(np.float16)
