"""`python -m echo2ecg_core COMMAND`: each command a few lines over a workflow.

With --json one JSON document goes to standard output and everything else to standard error. A problem that the person
can solve ends with one sentence and exit status 2, without a traceback.
"""

import os
import sys
from functools import cache, partial
from pathlib import Path
from typing import Annotated

import typer

from echo2ecg_core.cli_cohorts import cohorts, correct, corrections, table_one
from echo2ecg_core.cli_models import models_app
from echo2ecg_core.cli_training import compare, evaluate, promote, report, train
from echo2ecg_core.cli_upkeep import audit, backup, restore
from echo2ecg_core.counts import counted
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.failures import sentence_of_disk
from echo2ecg_core.terminal import (
    JsonOption,
    LeadsOption,
    UnitOption,
    WorkspaceOption,
    existing_workspace,
    named_workspace,
    print_hits,
    print_json,
    print_report,
    progress_bar,
    run_here,
    told_beside,
)

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Echo2ECG Explorer: from a 12-lead ECG to heart phenotypes and similar echo studies. Research use only.",
)
app.add_typer(models_app, name="models")
for command in (train, evaluate, report, compare, promote, audit, backup, restore, correct, corrections, cohorts):
    app.command()(command)
app.command("table-one")(table_one)


def main() -> None:
    """Run the command line; what the person can mend becomes a sentence and exit status 2."""
    try:
        app()
    except Echo2ECGError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if not (sentence := sentence_of_disk(error)):
            raise
        print(f"Error: {sentence}", file=sys.stderr)
        sys.exit(2)


@app.command()
def predict(
    files: Annotated[list[Path], typer.Argument(help="ECG files, folders or patterns (a WFDB record by its .hea).")],
    sampling_rate_hz: Annotated[float | None, typer.Option(help="For files that do not hold their rate.")] = None,
    unit: UnitOption = None,
    leads: LeadsOption = None,
    insist: Annotated[bool, typer.Option(help="Predict although the signal quality is unusable.")] = False,
    sex: Annotated[
        str | None, typer.Option(help="male or female, where a file does not tell; second readers ask.")
    ] = None,
    age_years: Annotated[
        float | None, typer.Option(help="Age, where a file does not tell; second readers ask.")
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print a table, one row a file.")] = False,
    pdf: Annotated[
        Path | None, typer.Option(help="Write the case report of one file: ECG, estimate, similar hearts.")
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Predict phenotypes from ECG files."""
    from echo2ecg_core.answers.loaded_model import load_active_model
    from echo2ecg_core.answers.predict_files import ecg_files, predict_files
    from echo2ecg_core.intake.demo import open_workspace

    place = named_workspace(workspace)

    @cache
    def load():
        open_workspace(place)
        return load_active_model(place)

    single = len(files) == 1 and not files[0].is_dir() and files == ecg_files(files)
    found = ecg_files(files)
    if pdf and not single:
        raise Echo2ECGError("A case report is of one ECG.", "Name one file with --pdf.")
    read = partial(predict_files, insist=insist, sampling_rate_hz=sampling_rate_hz, unit=unit, lead_order=leads)
    with progress_bar(shown=len(found) > 1) as progress:
        reports = list(read(found, load, place, sex=sex, age_years=age_years, progress=progress))
    if single and "error" in reports[0]:
        raise Echo2ECGError(reports[0]["error"])
    if pdf:
        from echo2ecg_core.ecg.readers import read_ecg
        from echo2ecg_core.reports.case_report import write_case_report

        write_case_report(pdf, read_ecg(found[0], None, sampling_rate_hz, unit, leads), load(), place, insist)
    if csv:
        _print_csv(reports)
    elif as_json:
        print_json(reports[0] if single else reports)
    else:
        for one in reports:
            print_report(one)
    if any("error" in one for one in reports):
        raise typer.Exit(2)


def _print_csv(reports: list[dict]) -> None:
    import pandas as pd

    from echo2ecg_core.answers.predict_files import as_row
    from echo2ecg_core.figures.tables import csv_of

    print(csv_of(pd.DataFrame([as_row(one) for one in reports])), end="")


@app.command()
def search(
    file: Path,
    k: Annotated[int, typer.Option("-k", min=1, help="How many studies.")] = 10,
    cohort: Annotated[str | None, typer.Option(help="Among the studies of this cohort only.")] = None,
    sampling_rate_hz: Annotated[float | None, typer.Option(help="For a file that does not hold its rate.")] = None,
    unit: UnitOption = None,
    leads: LeadsOption = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the echo studies nearest to an ECG."""
    from echo2ecg_core.answers.loaded_model import load_active_model
    from echo2ecg_core.answers.predict import predict as predict_record
    from echo2ecg_core.answers.search import Filters, search_report
    from echo2ecg_core.answers.search import search as search_studies
    from echo2ecg_core.ecg.readers import read_ecg
    from echo2ecg_core.intake.demo import open_workspace
    from echo2ecg_core.store.kept_cohorts import members

    record = read_ecg(file, None, sampling_rate_hz, unit, leads)
    place = named_workspace(workspace)
    open_workspace(place)
    members(place, [cohort] if cohort else [])  # a name that is not there is refused before anything is computed
    prediction = predict_record(record, load_active_model(place), place)
    hits = search_studies(prediction, place, k, Filters(cohort=cohort))
    if as_json:
        print_json(search_report(prediction, hits))
    else:
        for sentence in told_beside(prediction.as_json()):
            print(sentence, file=sys.stderr)
        print_hits(hits)


@app.command()
def view(
    clip_id: str,
    out: Annotated[Path, typer.Option(help="File to write (H.264 MP4).")],
    workspace: WorkspaceOption = None,
) -> None:
    """Write an echo clip as an MP4 that plays in any browser."""
    from echo2ecg_core.store.catalog import Catalog
    from echo2ecg_core.store.database import write_atomically

    catalog = Catalog(existing_workspace(workspace))
    clip = catalog.clip(clip_id)
    write_atomically(out, catalog.clip_content(clip_id))
    print(
        f"{clip.view or 'unnamed view'}, {clip.n_frames} frames, {clip.fps:g} "
        f"frames/s{', synthetic' if clip.synthetic else ''}",
        file=sys.stderr,
    )


@app.command()
def demo(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Build the phantom demo workspace; returns when it is complete."""
    from echo2ecg_core.intake.demo import earlier_demo, is_complete, open_workspace
    from echo2ecg_core.store.catalog import Catalog

    place = named_workspace(workspace)
    card = open_workspace(place)
    if not is_complete(place):
        run_here(place, "demo", {})
    counts = Catalog(place).counts()
    if as_json:
        print_json({"workspace": str(place.folder), "model": card.model_id, "synthetic": True, **counts})
    else:
        print(
            f"The demo workspace is complete: {counted(counts['ecgs'], 'ECG')}, "
            f"{counted(counts['studies'], 'study', 'studies')}, {counted(counts['clips'], 'clip')} of "
            f"{counted(counts['patients'], 'simulated patient')}."
        )
        if words := earlier_demo(place):
            print(words)


@app.command()
def check(
    repair: Annotated[
        bool, typer.Option("--repair", help="Set damaged files aside and read them again from their archives.")
    ] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a workspace: files, model weights, and that a sample of stored vectors is made again the same."""
    from echo2ecg_core.intake.check import check_workspace
    from echo2ecg_core.intake.repair import repair_files

    place = named_workspace(workspace)
    if repair:
        with progress_bar() as progress:
            told = repair_files(existing_workspace(workspace), progress)
        print(told, file=sys.stderr)
    results = check_workspace(place)
    if as_json:
        print_json({"ok": all(r["ok"] for r in results), "checks": results})
    else:
        for result in results:
            print(f"{'ok  ' if result['ok'] else 'FAIL'} {result['name']}: {result['found']}")
    if not all(r["ok"] for r in results):
        raise typer.Exit(1)


@app.command("import")
def import_archive(
    folder: Path,
    cohort: Annotated[str, typer.Option(help="Name of the cohort; ids belong to it. Without: the data set's.")] = "",
    layout: Annotated[str, typer.Option(help="auto, or the name of a layout; a wrong name lists all.")] = "auto",
    labels: Annotated[Path | None, typer.Option(help="A table of labels (CSV, Excel) beside the data.")] = None,
    map_file: Annotated[
        Path | None, typer.Option("--map", help="YAML that says what columns mean; --dry-run --save-map writes one.")
    ] = None,
    save_map: Annotated[Path | None, typer.Option(help="Where to write the mapping that was used, as YAML.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would come in; write nothing.")] = False,
    keep_ids: Annotated[bool, typer.Option("--keep-ids", help="Keep ids, dates and ages of real patients.")] = False,
    key: Annotated[Path | None, typer.Option(help="Table that leads back to the ids, outside the workspace.")] = None,
    vectors_of: Annotated[
        str, typer.Option(help="Id of the model whose clip encoder made stored clip vectors, or the encoder's name.")
    ] = "",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import a folder: a data set that is known, our own layout, or a hospital's export; waits while another import is
    at work."""
    from echo2ecg_core.intake.archives import import_parameters, import_report
    from echo2ecg_core.intake.decoding import one_pool
    from echo2ecg_core.intake.demo import open_workspace
    from echo2ecg_core.intake.ingest import IngestReport, Options, check, summary_lines
    from echo2ecg_core.intake.layouts.recognise import plan_of
    from echo2ecg_core.intake.mapping import read_mapping, save_mapping
    from echo2ecg_core.intake.preview import lines, mapping_in, preview

    place = named_workspace(workspace)
    told = read_mapping(map_file) if map_file else {}
    options = Options(cohort, layout, labels, told, keep_ids, key, vectors_of)
    if dry_run or save_map:
        found = preview(folder, place, options)
        if save_map:
            save_mapping(save_map, mapping_in(found))
    if dry_run:
        print_json(found) if as_json else print("\n".join(lines(found)))
        raise typer.Exit(2 if found["problems"] else 0)
    with one_pool():
        plan = plan_of(folder, layout, labels, told)
        check(plan, place, options)  # a refusal leaves no trace, not even a job
        open_workspace(place)
        job = run_here(place, "import", import_parameters(folder, options), {"plan": plan})
    kept = import_report(place, job.job_id)
    assert kept is not None, "an import that is done has left its report"
    report = IngestReport(**kept.pop("added"), **kept)
    print_json(report.as_json()) if as_json else print("\n".join(summary_lines(report)))


@app.command("remove")
def remove_data(
    cohort: Annotated[str | None, typer.Option(help="Name of a cohort.")] = None,
    patient: Annotated[str | None, typer.Option(help="Id of a patient, as the pages show it.")] = None,
    study: Annotated[str | None, typer.Option(help="Id of a study.")] = None,
    ecg: Annotated[str | None, typer.Option(help="Id of an ECG.")] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a cohort, a patient, a study or an ECG out of the workspace, with its files and vectors."""
    from dataclasses import asdict

    from echo2ecg_core.intake.removal import remove

    removed = remove(existing_workspace(workspace), cohort=cohort, patient=patient, study=study, ecg=ecg)
    print_json(asdict(removed)) if as_json else print(removed.sentence())


@app.command()
def embed(workspace: WorkspaceOption = None) -> None:
    """Make the vectors that are missing for the active model. Also under torchrun and srun."""
    from echo2ecg_core.answers.embed import embed_workspace
    from echo2ecg_core.answers.loaded_model import active_model_card
    from echo2ecg_core.models.devices import launched_or_alone

    place = existing_workspace(workspace)
    card = active_model_card(place)
    with progress_bar() as progress:
        refused = embed_workspace(place, card, progress, launched_or_alone())
    for row in refused:
        print(f"No vector for {row.get('ecg_id') or row['clip_id']}: {row['reason']}")


@app.command()
def phantom(
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    patients: Annotated[int, typer.Option()] = 20,
    seed: Annotated[int, typer.Option()] = 1,
    format: Annotated[str, typer.Option(help="mp4, dicom or hospital (MUSE, DICOM, a table)")] = "mp4",
    ecg_only: Annotated[bool, typer.Option()] = False,
    jobs: Annotated[int, typer.Option(help="Processes.")] = 1,
    version: Annotated[int, typer.Option(help="1: one clip a view; 2, 3: studies as laboratories record them.")] = 1,
) -> None:
    """Write a phantom cohort as real files."""
    from echo2ecg_core.phantom.cohort import write_cohort

    with progress_bar() as progress:
        write_cohort(
            out,
            patients,
            seed,
            format=format,
            ecg_only=ecg_only,
            jobs=jobs,
            progress=lambda done, total, message: progress(done / max(total, 1), message),
            version=version,
        )


@app.command("app")
def dashboard(
    port: Annotated[int, typer.Option(min=1, max=65535, help="http://localhost:PORT")] = 8501,
    workspace: WorkspaceOption = None,
) -> None:
    """Serve the dashboard; stop it with Ctrl+C."""
    from echo2ecg_core.settings import PROJECT

    if workspace is not None:
        os.environ["ECHO2ECG_WORKSPACE"] = str(workspace.expanduser().resolve())
    command = [sys.executable, "-m", "streamlit", "run", str(PROJECT / "app.py"), "--server.port", str(port)]
    os.execv(sys.executable, command)


@app.command("hash-password")
def hash_password(
    name: Annotated[str, typer.Option(help="With it, a line for the file of people (ECHO2ECG_PEOPLE_FILE).")] = "",
    role: Annotated[str, typer.Option(help="viewer, researcher or admin")] = "viewer",
) -> None:
    """Ask for a password and print the line for ECHO2ECG_ADMIN_PASSWORD_HASH, or a line for the file of people."""
    from echo2ecg_core.passwords import hashed
    from echo2ecg_core.roles import ROLES

    if role not in ROLES or ":" in name:
        raise Echo2ECGError(f"Roles are {', '.join(ROLES)}, and a name holds no colon.", "Choose others.")
    line = hashed(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    print(f"{name}:{role}:{line}" if name else line)


@app.command()
def worker(workspace: WorkspaceOption = None) -> None:
    """Work through the queued jobs of a workspace, then stop."""
    from echo2ecg_core import logs
    from echo2ecg_core.processes import let_others_first
    from echo2ecg_core.settings import settings
    from echo2ecg_core.store import jobs
    from echo2ecg_core.worker import work

    logs.set_up(settings().log_format)
    let_others_first()
    place = named_workspace(workspace)
    done = work(place)
    others = [job for job in jobs.jobs(place, open_only=True) if job.state == "running"]
    beside = "".join(f" Another worker is at work: job {job.job_id} ({job.kind})." for job in others)
    print(f"{done} jobs done.{beside}", file=sys.stderr)
