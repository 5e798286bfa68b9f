"""`python -m echo2ecg_core COMMAND` for whoever looks after a workspace: the audit log."""

from typing import Annotated

import typer

from echo2ecg_core.terminal import JsonOption, WorkspaceOption, existing_workspace, print_json


def audit(
    last: Annotated[int, typer.Option(min=1, help="How many lines.")] = 100,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show who did what, newest first; exit status 1 where the chain of the log is broken."""
    from dataclasses import asdict

    from echo2ecg_core.store import audit as log

    place = existing_workspace(workspace)
    lines, broken = log.entries(place, last=last), log.first_broken(place)
    if as_json:
        print_json({"broken_at": broken, "entries": [asdict(line) for line in lines]})
    else:
        for line in lines:
            facts = ", ".join(f"{name} {value}" for name, value in line.facts.items())
            print(f"{line.number:>5}  {line.at[:19]}  {line.who} ({line.role})  {line.action}  {facts}".rstrip())
    if broken is not None:
        typer.echo(f"The chain is broken at line {broken}: the log was changed by other means.", err=True)
        raise typer.Exit(1)
