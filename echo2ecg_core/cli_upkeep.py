"""`python -m echo2ecg_core COMMAND` for whoever looks after a workspace: backup and restore, the audit log."""

from dataclasses import asdict
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
)


def backup(
    out: Annotated[Path, typer.Argument(help="Folder to make, best on another disk.")],
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the whole workspace to a new folder while the app runs."""
    from echo2ecg_core.store.backup import back_up

    with progress_bar() as progress:
        made = back_up(existing_workspace(workspace), out, progress)
    print_json(asdict(made)) if as_json else print(made.sentence())


def restore(
    source: Annotated[Path, typer.Argument(help="Folder that `backup` made.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Back up what the workspace holds now, then replace it.")
    ] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the workspace what a backup holds, also while the app runs."""
    from echo2ecg_core.store.backup import facts_of
    from echo2ecg_core.store.backup import restore as put_back

    place = named_workspace(workspace)
    with progress_bar() as progress:
        told = put_back(place, source, replace=replace, progress=progress)
    print_json({"workspace": str(place.folder), "told": told, **asdict(facts_of(source))}) if as_json else print(told)


def audit(
    last: Annotated[int, typer.Option(min=1, help="How many lines.")] = 100,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show who did what, newest first; exit status 1 where the chain of the log is broken."""
    from echo2ecg_core.store import audit as log

    place = existing_workspace(workspace)
    lines, broken = log.entries(place, last=last), log.first_broken(place)
    if as_json:
        print_json({"broken_at": broken, "entries": [asdict(line) for line in lines]})
    else:
        for line in lines:
            facts = ", ".join(f"{name} {value}" for name, value in line.facts.items())
            print(f"{line.number:>5}  {line.at[:19]}Z  {line.who} ({line.role})  {line.action}  {facts}".rstrip())
    if broken is not None:
        typer.echo(f"The chain is broken at line {broken}: the log was changed by other means.", err=True)
        raise typer.Exit(1)
