"""`python -m echo2ecg_core COMMAND` on who is in a workspace: cohorts, corrections, two cohorts side by side."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from echo2ecg_core.counts import counted
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.terminal import JsonOption, WorkspaceOption, existing_workspace, print_json


def cohorts(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List the cohorts, those that came in and those that were kept, in numbers."""
    from echo2ecg_core.store.cohorts import cohorts as cohorts_in_numbers

    found = cohorts_in_numbers(existing_workspace(workspace))
    if as_json:
        print_json([asdict(cohort) for cohort in found])
        return
    for c in found:
        told = f" ({c.told})" if c.told else ""
        aside = f", {counted(c.set_aside, 'file')} set aside" if c.set_aside else ""
        print(
            f"{c.name}: {counted(c.patients, 'patient')}, {counted(c.studies, 'study', 'studies')}, "
            f"{counted(c.ecgs, 'ECG')}, {counted(c.clips, 'clip')}, {counted(c.labels, 'label')}"
            f"{aside}{', simulated hearts' if c.synthetic else ''}{told}"
        )


def table_one(
    first: Annotated[str, typer.Argument(help="Name of a cohort, one that came in or a kept one.")],
    second: Annotated[str, typer.Argument(help="Name of another.")],
    out: Annotated[Path, typer.Option(help="Folder to write: table-1 as CSV, XLSX and LaTeX.")],
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set two cohorts side by side: Table 1 of a paper with effect sizes."""
    from echo2ecg_core.reports.table_one import compare_cohorts, table_files
    from echo2ecg_core.store.database import write_atomically

    place = existing_workspace(workspace)
    found = compare_cohorts(place, first, second)
    files = table_files(found, place.folder.name)
    for name, content in files.items():
        write_atomically(out / name, content)
    if as_json:
        print_json({"shared_patients": found.shared, "synthetic": found.synthetic, "files": sorted(files)})
    else:
        print("\n".join([*found.notes(), f"Wrote {', '.join(files)}."]))


def correct(
    value: Annotated[str, typer.Argument(help="NAME=VALUE, e.g. lvef=35, sex=female, view=A4C; nothing: not known.")],
    patient: Annotated[str | None, typer.Option(help="Id of a patient, as the pages show it.")] = None,
    study: Annotated[str | None, typer.Option(help="Id of a study.")] = None,
    ecg: Annotated[str | None, typer.Option(help="Id of an ECG.")] = None,
    clip: Annotated[str | None, typer.Option(help="Id of a clip.")] = None,
    why: Annotated[str, typer.Option(help="The reason.")] = "",
    who: Annotated[str, typer.Option(help="Who corrects it.")] = "local admin",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Correct a label, sex, age, date or view; what stood there, who and when are kept."""
    from echo2ecg_core.store.corrections import correct as set_value

    named = [(k, i) for k, i in (("patient", patient), ("study", study), ("ecg", ecg), ("clip", clip)) if i]
    name, sign, given = value.partition("=")
    if len(named) != 1 or not sign:
        raise Echo2ECGError(
            "A correction is of one patient, study, ECG or clip.", "For example: correct --study S-1 lvef=35"
        )
    made = set_value(existing_workspace(workspace), *named[0], name.strip(), given, who=who, why=why)
    print_json(vars(made)) if as_json else print(made.sentence())


def corrections(
    csv: Annotated[bool, typer.Option("--csv", help="Print a table, one row a correction.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what was corrected, the latest first."""
    from echo2ecg_core.figures.tables import csv_of
    from echo2ecg_core.store.corrections import Correction
    from echo2ecg_core.store.corrections import corrections as made_by_people

    found = made_by_people(existing_workspace(workspace))
    if csv:
        print(csv_of(found), end="")
    elif as_json:
        print_json(found.to_dict("records"))
    else:
        for row in found.itertuples():
            made = Correction(row.kind, row.id, row.name, row.was, row.now, row.why, row.who, row.made_at)
            print(f"{row.made_at[:10]} {row.who}: {made.sentence()} {row.why}".rstrip())
