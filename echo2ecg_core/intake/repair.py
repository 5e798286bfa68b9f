"""Damaged and lost files of a workspace: which ECGs and clips they belong to, and reading them again from the archives
that were imported, where those are still there.
"""

from pathlib import Path

from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.intake.archives import import_archive
from echo2ecg_core.intake.demo import ARCHIVE, COHORT
from echo2ecg_core.progress import Progress, part, silent
from echo2ecg_core.store import jobs
from echo2ecg_core.store.blobs import is_whole
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace

NAMED = 20  # in a sentence


def damaged_files(workspace: Workspace) -> dict[str, str]:
    """Name of every file that is missing or holds something else, and whose it is ("ECG 'E-1'"), by that."""
    files = Catalog(workspace).files()
    return {row.blob: row.what for row in files.itertuples() if not is_whole(workspace, row.blob)}


def named(whose: list[str]) -> str:
    """The first of them in words, and how many more there are."""
    more = f" and {len(whose) - NAMED} more" if len(whose) > NAMED else ""
    return ", ".join(whose[:NAMED]) + more


def repair_files(workspace: Workspace, progress: Progress = silent) -> str:
    """Set damaged files aside and import their archives once more, which reads what is not there; says what came of it.

    Archives that were uploaded are not kept: what came from them is read again when they are uploaded again. Until
    then it is not listed, not searched and not waited for; its row and its vectors stay.
    """
    damaged = damaged_files(workspace)
    Catalog(workspace).set_aside(list(damaged))
    if not damaged:
        return "No file is damaged."
    archives, told = _archives(workspace), []
    for number, parameters in enumerate(archives):
        try:
            import_archive(workspace, parameters, part(progress, number / len(archives), (number + 1) / len(archives)))
        except Echo2ECGError as error:
            told.append(f"The archive of {parameters['cohort'] or 'an import'} could not be read again: {error}")
    left = set(Catalog(workspace).files().query("is_set_aside == 1").what)
    again = f"{len(damaged) - len(left & set(damaged.values()))} of {len(damaged)} damaged files were read again."
    if left:
        told.append(f"Still set aside: {named(sorted(left))}. Import their archive again.")
    return " ".join([again, *told])


def _archives(workspace: Workspace) -> list[dict]:
    """Parameters of the imports whose folder is still there, the newest of each folder and cohort, and of the demo."""
    found: dict[tuple[str, str | None], dict] = {}
    for job in jobs.jobs(workspace):
        folder = job.parameters.get("folder")
        if job.kind == "import" and folder and Path(folder).is_dir():
            found.setdefault((folder, job.parameters["cohort"]), {**job.parameters, "prepare": False})
    demo = workspace.folder / ARCHIVE
    if demo.is_dir():
        found[(str(demo), COHORT)] = {"folder": str(demo), "cohort": COHORT}
    return list(found.values())
