"""From settings to the active model, in the terminal: train, evaluate, report, compare, promote."""

import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from echo2ecg_core.terminal import (
    JsonOption,
    WorkspaceOption,
    existing_workspace,
    named_workspace,
    print_json,
    progress_bar,
    run_here,
)


def train(
    preset: Annotated[str, typer.Option(help="demo or paper")] = "demo",
    set_values: Annotated[
        list[str], typer.Option("--set", help="key=value, as often as needed; a wrong key lists all.")
    ] = [],  # noqa: B006
    name: Annotated[str, typer.Option(help="Name of the model.")] = "",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a model and register it, inactive; killed and started again it goes on. Also under torchrun and srun."""
    from echo2ecg_core.intake.demo import open_workspace
    from echo2ecg_core.training.train import run_training, training_parameters

    place, parameters = named_workspace(workspace), training_parameters(preset, set_values, name)
    if int(os.environ.get("RANK") or os.environ.get("SLURM_PROCID") or 0) > 0:  # the first process keeps the books
        run_training(place, parameters)
        return
    open_workspace(place)
    job = run_here(place, "train", parameters)
    if as_json:
        print_json({"run": f"run-{job.job_id:04d}", "message": job.message})
    else:
        print(job.message)


def evaluate(
    model: Annotated[str, typer.Option(help="Id of a registered model.")],
    cohort: Annotated[list[str], typer.Option(help="Judge patients of this cohort only; may be repeated.")] = [],  # noqa: B006
    split: Annotated[str, typer.Option(help="test or validation")] = "test",
    vectors: Annotated[
        list[str],
        typer.Option(help="NAME=FILE.npy: another encoder's vectors, ids in FILE.ids.txt, size in FILE.json."),
    ] = [],  # noqa: B006
    within_days: Annotated[
        float | None, typer.Option(min=0, help="Days that an ECG and the echo it is labelled by may lie apart.")
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge a model on test patients, beside a random encoder, hand-made features and imported encoders."""
    from echo2ecg_core.intake.vectors_of_others import named_files
    from echo2ecg_core.reports.compare import judge
    from echo2ecg_core.reports.evaluate import Scope, summary_lines

    scope = Scope(cohort or None, split, within_days, named_files(vectors))
    with progress_bar() as progress:
        found = judge(existing_workspace(workspace), model, scope, progress)
    print_json(found) if as_json else print("\n".join(summary_lines(found)))


def report(
    model: Annotated[str, typer.Option(help="Id of an evaluated model.")],
    out: Annotated[Path, typer.Option(help="Folder to write: report.html, tables/, figures/.")],
    beside: Annotated[
        list[str], typer.Option(help="Another evaluated model in the same tables; may be repeated.")
    ] = [],  # noqa: B006
    split: Annotated[str, typer.Option(help="test or validation: which evaluation")] = "test",
    width: Annotated[str, typer.Option(help="Of figures: single (85 mm) or double (174 mm) column.")] = "single",
    dpi: Annotated[int, typer.Option(help="Of PNG figures: 300 or 600, as the journal asks.")] = 300,
    workspace: WorkspaceOption = None,
) -> None:
    """Write the report of a model as one HTML file, CSV, Excel and LaTeX tables, and figures for a journal."""
    from echo2ecg_core.reports.folder import Print, direct_difference, load_report, set_beside, write_report_folder
    from echo2ecg_core.store.model_registry import ModelRegistry

    print_as, place = Print(width, dpi), existing_workspace(workspace)
    own, *others = (load_report(place, ModelRegistry(place).get(name).model_id, split) for name in (model, *beside))
    with progress_bar() as progress:
        found = set_beside(own, others, partial(direct_difference, place))
        print(write_report_folder(found, out, progress, print_as))


def compare(
    models: Annotated[list[str], typer.Option(help="Ids of two or more models, ours or second readers: A B C.")],
    out: Annotated[Path, typer.Option(help="Folder to write: findings, report.html, tables/, figures/.")],
    more: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    cohort: Annotated[str | None, typer.Option(help="Judge test patients of this cohort; without it, of all.")] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare models on the same test patients: findings, retrieval, sizes and speed, with paired differences."""
    from echo2ecg_core.reports.compare import compare as compare_models
    from echo2ecg_core.reports.compare import summary_lines

    with progress_bar() as progress:
        found = compare_models(existing_workspace(workspace), [*models, *(more or ())], cohort, out, progress)
    if as_json:
        print_json(found)
    else:
        print("\n".join(summary_lines(found)))


def promote(
    model: str,
    prepare: Annotated[bool, typer.Option("--prepare", help="Make missing vectors, readouts and map first.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Make a registered model the active one; an older one is rolled back to like this."""
    from echo2ecg_core.answers.readiness import worth
    from echo2ecg_core.training.prepare import prepare_model
    from echo2ecg_core.training.promote import promote as make_active

    place = existing_workspace(workspace)
    if prepare:
        with progress_bar() as progress:
            print(prepare_model(place, model, progress), file=sys.stderr)
    card = make_active(place, model)
    for sentence in worth(place, card):
        print(sentence, file=sys.stderr)
    print(f"{card.name} {card.model_id} is active.")
