"""Tables and the JSON of everything, from what `measures` left; the outcome in the words of PROTOCOL.md."""

import json
from pathlib import Path

import numpy as np

from echo2ecg_core.evaluation.phenotypes import interval
from echo2ecg_core.evaluation.tasks import TASKS
from echo2ecg_core.phenotypes import PHENOTYPES
from echo2ecg_core.store.database import write_atomically

from . import measures, statistics
from .clip_encoder import LOG
from .ledger import Meter, Task, load_arrays, seconds_by_stage
from .plan import (
    ARMS,
    CLASSES,
    CURVE_ARMS,
    FEATURES,
    FEWEST_SEEDS,
    LABELS,
    PRIMARY,
    REFERENCE,
    SEARCHED,
    SEARCHING,
    SINGLE_VIEWS,
    TRAINED,
    VALUES,
    WORTH_HAVING,
    Plan,
)
from .training import chosen_recipe, recipe_errors

Draws = dict[str, dict[str, np.ndarray]]  # endpoint -> arm -> (s, 1 + w)
RESULT = "result.json"
KINDS = {"error": "Error", "auroc": "AUROC"} | {
    k: k for k in ("precision@10 ECG to study", "precision@10 study to ECG")
}


def table_tasks(plan: Plan, folder: Path) -> list[Task]:
    """Always made anew: they are cheap, and runs may have been added."""
    (folder / RESULT).unlink(missing_ok=True)
    return [Task("tables", folder / RESULT, write_tables)]


def write_tables(plan: Plan, folder: Path, meter: Meter, output: Path) -> None:
    """Every table under `tables/`, then the JSON."""
    arms = runs_of(folder, "arms")
    primary, secondary = primary_draws(plan, folder, arms), secondary_draws(plan, folder, arms)
    compared = compare_primary(primary)
    curves = curves_of(plan, folder)
    views = measures.what_views_tell(folder)
    tables = {
        "summary": summary_table(primary, secondary),
        "primary": primary_table(compared),
        "secondary": secondary_table(secondary),
        "curves": curve_table(curves),
        "recipe": recipe_table(plan, folder),
        "views": grid_table(
            "",
            {view: {k: f"{v:.{0 if k == 'studies' else 2}f}" for k, v in row.items()} for view, row in views.items()},
        ),
        "time": time_table(folder),
    }
    for name, text in tables.items():
        path = folder / "tables" / f"{name}.md"
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, (text + "\n").encode())
    result = {
        "phantom": plan.version,
        "patients": plan.patients,
        "seeds": {arm: len(runs) for arm, runs in arms.items()},
        "recipe": chosen_recipe(plan, folder).name,
        "clip_encoder": json.loads((folder / LOG).read_text()) | measures.views_named_right(folder),
        "verdict": verdict_of(compared, arms),
        "primary": [{key: value for key, value in row.items() if key != "difference"} for row in compared],
        "measured": {
            endpoint: {arm: _numbers(draws) for arm, draws in by_arm.items()}
            for endpoint, by_arm in {**primary, **secondary}.items()
        },
        "attention_minus": {
            endpoint: {arm: rounded(d.value, *d.interval()) for arm, d in differences(endpoint, by_arm).items()}
            for endpoint, by_arm in {**primary, **secondary}.items()
        },
        "curves": curves,
        "views": views,
        "chance_of_a_hit": {name: round(measures.chance_of_a_hit(folder, name), 3) for name in SEARCHED},
        "seconds": {stage: round(s) for stage, s in seconds_by_stage(folder).items()},
    }
    write_atomically(output, json.dumps(result, indent=1).encode())


def runs_of(folder: Path, kind: str) -> dict[str, list[dict[str, np.ndarray]]]:
    """Run name without its seed -> what was measured, by seed."""
    found: dict[str, list] = {}
    for path in sorted((folder / "measured" / kind).glob("*.npz"), key=lambda p: int(p.stem.rpartition("-")[2])):
        found.setdefault(path.stem.rpartition("-")[0], []).append(load_arrays(path))
    return found


def primary_draws(plan: Plan, folder: Path, arms: dict) -> Draws:
    """The two primary endpoints of every arm that has them."""
    n = plan.resamples
    return {
        "lvef error": {arm: measures.error_draws(folder, runs, "lvef", n) for arm, runs in arms.items()},
        "precision@10": {
            arm: measures.precision_draws(folder, arms[arm], ("lvef",), n)["lvef"] for arm in SEARCHING if arm in arms
        },
    }


def secondary_draws(plan: Plan, folder: Path, arms: dict) -> Draws:
    """All other endpoints; none of them is corrected for their number."""
    n, found = plan.resamples // 4, Draws()
    found["error, true lvef"] = {
        arm: measures.error_draws(folder, runs, "lvef", n, "heart") for arm, runs in arms.items()
    }
    for task in (*VALUES[1:], *CLASSES):
        draws = measures.error_draws if task in VALUES else measures.auroc_draws
        able = {arm: runs for arm, runs in arms.items() if all(task in run for run in runs)}
        if able:
            found[f"{'error' if task in VALUES else 'auroc'}, {task}"] = {
                arm: draws(folder, runs, task, n) for arm, runs in able.items()
            }
    for way, words in (("top", "precision@10 ECG to study"), ("back", "precision@10 study to ECG")):
        names = SEARCHED[1:] if way == "top" else SEARCHED
        for arm in (arm for arm in SEARCHING if arm in arms):
            for name, draws in measures.precision_draws(folder, arms[arm], names, n, way=way).items():
                found.setdefault(f"{words}, {name}", {})[arm] = draws
    if {REFERENCE, "random_clip"} <= set(arms):
        found["precision@10 ECG to study, lvef, one clip a study"] = {
            arm: measures.precision_draws(folder, arms[arm], ("lvef",), n, studies)["lvef"]
            for arm, studies in ((REFERENCE, "study"), ("random_clip", "one_clip"))
        }
    return found


def larger_is_better(endpoint: str) -> bool:
    return "error" not in endpoint


def differences(endpoint: str, by_arm: dict[str, np.ndarray]) -> dict[str, statistics.Difference]:
    """Attention against every other arm on one endpoint; above 0 is better. Boosting has no seeds: each seed of
    attention is compared with the same."""
    if REFERENCE not in by_arm:
        return {}
    ours = by_arm[REFERENCE]
    return {
        arm: statistics.difference(
            ours, np.repeat(draws, len(ours), 0) if arm == FEATURES else draws, larger_is_better(endpoint)
        )
        for arm, draws in by_arm.items()
        if arm != REFERENCE
    }


def compare_primary(primary: Draws) -> list[dict]:
    """One row a primary comparison, with its outcome."""
    found = {
        (arm, endpoint): differences(endpoint, primary[endpoint])[arm]
        for arm, endpoint in PRIMARY
        if arm in primary[endpoint] and REFERENCE in primary[endpoint]
    }
    adjusted = statistics.holm({f"{arm} {endpoint}": d.p for (arm, endpoint), d in found.items()})
    return [
        {
            "arm": arm,
            "endpoint": endpoint,
            "difference": d,
            "better_by": rounded(d.value, *d.interval()),
            "interval_90": rounded(*d.interval(0.90)),
            "p": round(d.p, 4),
            "p_holm": round(adjusted[f"{arm} {endpoint}"], 4),
            "outcome": statistics.outcome(d, adjusted[f"{arm} {endpoint}"], WORTH_HAVING[endpoint]),
        }
        for (arm, endpoint), d in found.items()
    ]


def verdict_of(compared: list[dict], arms: dict) -> str:
    """What the claim came out as; "undecided" when an arm that is compared has too few seeds."""
    asked = {REFERENCE, *(arm for arm, _ in PRIMARY)}
    if min(len(arms.get(arm, ())) for arm in asked) < FEWEST_SEEDS:
        return f"undecided: fewer than {FEWEST_SEEDS} seeds"
    outcomes = {(row["arm"], row["endpoint"]): row["outcome"] for row in compared}
    return statistics.verdict(outcomes, SINGLE_VIEWS, tuple(WORTH_HAVING))


def curves_of(plan: Plan, folder: Path) -> list[dict]:
    """Attention against single views at every point that was reached: difference of both endpoints with intervals."""
    runs, rows = runs_of(folder, "curves"), []
    for point in plan.points:
        at = {arm: runs[f"{arm}-{point.name}"] for arm in CURVE_ARMS if f"{arm}-{point.name}" in runs}
        if REFERENCE not in at:
            continue
        n = plan.resamples // 4
        drawn = {
            "lvef error": {arm: measures.error_draws(folder, of_arm, "lvef", n) for arm, of_arm in at.items()},
            "precision@10": {
                arm: measures.precision_draws(folder, of_arm, ("lvef",), n)["lvef"] for arm, of_arm in at.items()
            },
        }
        rows.append(
            {
                "patients": point.patients,
                "quality": point.quality,
                "seeds": len(at[REFERENCE]),
                "measured": {e: {arm: _numbers(d) for arm, d in by_arm.items()} for e, by_arm in drawn.items()},
                "attention_better_by": {
                    e: {arm: rounded(d.value, *d.interval()) for arm, d in differences(e, by_arm).items()}
                    for e, by_arm in drawn.items()
                },
            }
        )
    return rows


# ------------------------------------------------------------------------------------------- Markdown


def summary_table(primary: Draws, secondary: Draws) -> str:
    """Arms by their main figures, each with its 95 % interval over patients and seeds."""
    columns = {
        "LVEF error (points)": (primary["lvef error"], 2),
        "precision@10 ECG to study": (primary["precision@10"], 3),
        "AUROC, LVEF ≤ 40": (secondary.get("auroc, lvef_le_40", {}), 3),
        "AUROC, structural heart disease": (secondary.get("auroc, structural_heart_disease", {}), 3),
    }
    return grid_table(
        "",
        {
            LABELS[arm]: {
                name: shown(by_arm[arm], digits) if arm in by_arm else "–" for name, (by_arm, digits) in columns.items()
            }
            for arm in (*ARMS, FEATURES)
        },
    )


def primary_table(compared: list[dict]) -> str:
    """The primary comparisons with what each came out as."""
    return grid_table(
        f"{LABELS[REFERENCE]} against",
        {
            f"{LABELS[row['arm']]}, {row['endpoint']}": {
                "better by (95 %)": "{:+.3f} ({:+.3f} to {:+.3f})".format(*row["better_by"]),
                "p": f"{row['p']:.4f}",
                "p by Holm": f"{row['p_holm']:.4f}",
                "worth having": f"{WORTH_HAVING[row['endpoint']]:g}",
                "outcome": row["outcome"],
            }
            for row in compared
        },
    )


def secondary_table(secondary: Draws) -> str:
    """Attention against every other arm on every secondary endpoint: better by, with 95 % intervals, uncorrected."""
    rows = {}
    for endpoint, by_arm in secondary.items():
        found = differences(endpoint, by_arm)
        if found:
            rows[endpoint_words(endpoint)] = {
                LABELS[arm]: "{:+.3f} ({:+.3f} to {:+.3f})".format(found[arm].value, *found[arm].interval())
                if arm in found
                else "–"
                for arm in (*[a for a in ARMS if a != REFERENCE], FEATURES)
            }
    return grid_table(f"{LABELS[REFERENCE]} better by", rows)


def curve_table(curves: list[dict]) -> str:
    """Attention against single views by number of patients and quality of clips."""
    return grid_table(
        "Training patients",
        {
            f"{row['patients']}, {row['quality']} clips": {
                f"{LABELS[arm]}, {endpoint}": "{:+.3f} ({:+.3f} to {:+.3f})".format(*by_arm[arm])
                for endpoint, by_arm in row["attention_better_by"].items()
                for arm in CURVE_ARMS
                if arm in by_arm
            }
            for row in curves
        },
    )


def recipe_table(plan: Plan, folder: Path) -> str:
    """LVEF error on validation patients of every recipe and arm, and which was taken."""
    taken = chosen_recipe(plan, folder)
    return grid_table(
        "Recipe",
        {
            f"{recipe.name}{' (taken)' if recipe == taken else ''}": {
                **{LABELS[arm]: f"{errors[arm]:.2f}" for arm in TRAINED},
                "mean": f"{np.mean(list(errors.values())):.3f}",
            }
            for recipe, errors in recipe_errors(plan, folder).items()
        },
    )


def time_table(folder: Path) -> str:
    """Processor seconds by stage."""
    return grid_table(
        "Stage", {stage: {"processor seconds": f"{s:.0f}"} for stage, s in seconds_by_stage(folder).items()}
    )


def endpoint_words(endpoint: str) -> str:
    """A secondary endpoint as the tables say it."""
    kind, _, name = endpoint.partition(", ")
    if name in TASKS:
        unit = f" ({PHENOTYPES[name].unit})" if name in PHENOTYPES and PHENOTYPES[name].unit else ""
        return f"{KINDS[kind]}, {TASKS[name].label}{unit if kind == 'error' else ''}"
    return endpoint


def grid_table(corner: str, rows: dict[str, dict[str, str]]) -> str:
    """Markdown of rows by columns; a cell that a row lacks is –."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = [f"| {corner} | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {name} | " + " | ".join(row.get(c, "–") for c in columns) + " |" for name, row in rows.items()]
    return "\n".join(lines)


def shown(draws: np.ndarray, digits: int) -> str:
    value, low, high = _numbers(draws)
    return f"{value:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def _numbers(draws: np.ndarray) -> list[float]:
    """Mean over seeds with its 95 % interval."""
    return rounded(float(draws[:, 0].mean()), *interval(statistics.over_seeds(draws[:, 1:])))


def rounded(*numbers: float) -> list[float]:
    return [round(float(number), 4) for number in numbers]
