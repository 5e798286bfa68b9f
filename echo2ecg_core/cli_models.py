"""`python -m echo2ecg_core models COMMAND`: lists, shows and imports the models of a workspace."""

from pathlib import Path
from typing import Annotated

import typer

from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.terminal import (
    JsonOption,
    WorkspaceOption,
    existing_workspace,
    named_workspace,
    print_json,
    progress_bar,
)

models_app = typer.Typer(no_args_is_help=True, help="The models of a workspace.")


@models_app.command("list")
def list_models(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List the models of a workspace."""
    from echo2ecg_core.answers.second_readers import state_of
    from echo2ecg_core.store.model_registry import ModelRegistry

    cards = ModelRegistry(existing_workspace(workspace)).models()
    rows = [
        {
            "id": c.model_id,
            "name": c.name,
            "sha256": c.sha256,
            "synthetic": c.synthetic,
            "active": c.active,
            "registered_at": c.registered_at,
            "can": _can(c),
            "second_reader": state_of(c),
        }
        for c in cards
    ]
    if as_json:
        print_json(rows)
    for row in [] if as_json else rows:
        print(
            f"{'*' if row['active'] else ' '} {row['id']}  {row['name']}{'  (synthetic)' if row['synthetic'] else ''} "
            f" {row['registered_at']}  {row['can']}" + (f" ({row['second_reader']})" if row["second_reader"] else "")
        )


def _can(card) -> str:
    from echo2ecg_core.answers.readiness import abilities

    try:
        return abilities(card)
    except Echo2ECGError as error:
        return str(error)


@models_app.command("import")
def import_model(
    files: Annotated[list[Path], typer.Argument(help="Weight file, folder of them, or several files of one model.")],
    kind: Annotated[str, typer.Option(help="auto, or what the files must hold.")] = "auto",
    allow_partial: Annotated[bool, typer.Option(help="Accept incomplete weights; the rest stays random.")] = False,
    sampling_rate_hz: Annotated[
        float | None, typer.Option(help="Rate the weights were trained at, if you know it.")
    ] = None,
    order: Annotated[
        str | None, typer.Option(help="clean_then_resample or resample_then_clean, if you know it.")
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register weights of others, recognised by their keys: Echo2ECG, OTiS, EchoPrime; EchoNext-Mini, ECGFounder and
    PanEcho as second readers."""
    from echo2ecg_core.intake.weights import import_model as register

    done = register(
        files,
        named_workspace(workspace),
        kind=kind,
        allow_partial=allow_partial,
        sampling_rate_hz=sampling_rate_hz,
        order=order,
    )
    if as_json:
        print_json(done.as_json())
        return
    print(f"{done.card.name} {done.card.model_id} is registered, {done.state}.")
    for note in done.notes:
        print(f"  {note}")
    for words, keys in (
        ("Random now", done.missing),
        ("Not used", done.unexpected),
        ("Configuration not read", done.placeholders),
    ):
        print(f"  {words}: {', '.join(keys)}" if keys else "", end="\n" if keys else "")


@models_app.command("second-reader")
def second_reader(
    model: str,
    on: Annotated[bool, typer.Option("--on/--off", help="Whether it answers beside the active model.")] = True,
    workspace: WorkspaceOption = None,
) -> None:
    """Switch a second reader on or off."""
    from echo2ecg_core.answers.second_readers import switch
    from echo2ecg_core.store.model_registry import ModelRegistry

    place = existing_workspace(workspace)
    card = ModelRegistry(place).get(model)
    switch(place, card, on)
    print(f"{card.name} {card.model_id} is {'on' if on else 'off'}.")


@models_app.command("recalibrate")
def recalibrate_model(model: str, workspace: WorkspaceOption = None) -> None:
    """Make chances of a second reader's scores, on the labelled ECGs of the workspace."""
    from echo2ecg_core.intake.ready_models import recalibrate

    with progress_bar() as progress:
        closing = recalibrate(existing_workspace(workspace), model, progress)
    print(closing)


@models_app.command("embed")
def embed_model(model: str, workspace: WorkspaceOption = None) -> None:
    """Embed every ECG with a ready model that is an encoder: its row stands in every later report."""
    from echo2ecg_core.intake.ready_models import embed_as_encoder

    with progress_bar() as progress:
        closing = embed_as_encoder(existing_workspace(workspace), model, progress)
    print(closing)


@models_app.command("machine-read")
def machine_read_studies(
    model: str,
    all_studies: Annotated[bool, typer.Option("--all", help="Also studies that have measured values.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Read the echo studies without a measured value with a ready model; the values are marked as machine-read."""
    from echo2ecg_core.intake.ready_models import machine_read

    with progress_bar() as progress:
        closing = machine_read(existing_workspace(workspace), model, all_studies=all_studies, progress=progress)
    print(closing)


@models_app.command("show")
def show_model(model: str, workspace: WorkspaceOption = None) -> None:
    """Print the manifest of a model."""
    from echo2ecg_core.store.model_registry import ModelRegistry

    print_json(ModelRegistry(existing_workspace(workspace)).get(model).manifest())
