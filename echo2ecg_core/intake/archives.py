"""The import jobs: an archive folder on the server or an uploaded zip, and weight files; each leaves a report beside
the catalog.

Uploads wait in `uploads/` under the hash of their content, so a resumed job finds them, and are deleted once they are
in: they hold what de-identification takes out. A zip is refused whole when a name in it points elsewhere or it would
fill the disk.
"""

import hashlib
import json
import shutil
import time
import zipfile
from dataclasses import asdict
from pathlib import Path

from echo2ecg_core.counts import counted
from echo2ecg_core.ecg.files import UNREADABLE
from echo2ecg_core.errors import Echo2ECGError, ReadError, StoreError
from echo2ecg_core.failures import sentence_of_disk
from echo2ecg_core.intake.ingest import Options, ingest
from echo2ecg_core.intake.layouts.recognise import find
from echo2ecg_core.intake.mapping import column_from
from echo2ecg_core.intake.problems import ImportRefused, without_names
from echo2ecg_core.progress import Progress
from echo2ecg_core.store import jobs
from echo2ecg_core.store.database import Workspace, write_atomically
from echo2ecg_core.store.model_registry import ModelRegistry

FILES = "-files"  # behind the name of an upload: the folder it is unpacked into
OLDEST_UPLOAD_S = 86_400


def keep_upload(workspace: Workspace, name: str, content: bytes) -> str:
    """Keep an uploaded file until its job has read it; returns the name it waits under.

    Raises:
        StoreError: the workspace cannot be written.
    """
    tidy_uploads(workspace)
    suffix = "".join(c for c in Path(name).suffix if c.isalnum() or c == ".")
    kept = hashlib.sha256(content).hexdigest()[:16] + suffix
    try:
        write_atomically(workspace.folder / "uploads" / kept, content)
    except OSError as error:
        raise StoreError(
            f"The upload cannot be kept: {error.strerror}.", "Free some disk space, or name a folder on the server."
        ) from error
    return kept


def unpacked_upload(workspace: Workspace, kept: str) -> Path:
    """The folder of an uploaded archive that waits, unpacked, to look into before it is imported.

    Raises:
        ReadError, StoreError: as `unpack`; the upload does not stay then.
    """
    try:
        return unpack(workspace.folder / "uploads" / kept, _unpacked(workspace, kept))
    except Echo2ECGError:
        discard_upload(workspace, kept)
        raise


def discard_upload(workspace: Workspace, kept: str) -> None:
    """Delete an upload and what was unpacked of it."""
    shutil.rmtree(_unpacked(workspace, kept), ignore_errors=True)
    (workspace.folder / "uploads" / kept).unlink(missing_ok=True)


def tidy_uploads(workspace: Workspace) -> None:
    """Delete uploads older than a day that no job under way waits for: they may hold names."""
    known = [j for j in jobs.jobs(workspace) if j.is_open or j.is_stopping] if workspace.exists() else []
    waiting = {
        name for j in known for name in (j.parameters.get("upload"), *(j.parameters.get("uploads") or ())) if name
    }
    for path in (workspace.folder / "uploads").glob("*"):
        of = path.name.removesuffix(FILES)
        if time.time() - path.stat().st_mtime > OLDEST_UPLOAD_S and not any(w.startswith(of) for w in waiting):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _unpacked(workspace: Workspace, kept: str) -> Path:
    return workspace.folder / "uploads" / f"{Path(kept).stem}{FILES}"


def import_archive(workspace: Workspace, parameters: dict, progress: Progress) -> str:
    """The import job.

    Args:
        parameters: "folder" (path on the server) or "upload" (name from `keep_upload`), "cohort", "prepare" (queue the
            preparing of the active model afterwards), "job_id"; "layout", "labels" (path of a table), "map" (columns by
            name, as in the YAML), "keep_ids", "key" (path) and "vectors_of" where they are not the usual ones;
            "plan" where the one who asks has made it.

    Raises:
        StoreError: the archive lacks its tables, or a patient has two splits.
        ReadError: the upload is no zip that can be opened safely.
    """
    upload = parameters.get("upload")
    if upload:
        progress(0.0, "Unpacking the upload")
    folder = unpacked_upload(workspace, upload) if upload else Path(parameters["folder"])
    options = options_of(parameters)
    job_id, plan = parameters.get("job_id"), parameters.get("plan")
    begun = _report_path(workspace, job_id).with_suffix(".begun.json") if job_id is not None else None
    try:
        report = asdict(ingest(folder, workspace, progress=progress, options=options, plan=plan, begun=begun))
    except (StoreError, ReadError) as error:
        told = error if options.keep_ids else without_names(error, folder, options.labels)
        if upload and isinstance(error, ImportRefused):
            discard_upload(workspace, upload)
        raise told from None
    added = {what: report.pop(what) for what in ("patients", "studies", "clips", "ecgs")}
    if begun and job_id is not None:
        _write_report(workspace, job_id, {"cohort": report.pop("cohort"), "added": added, **report})
        begun.unlink(missing_ok=True)
    if upload:
        discard_upload(workspace, upload)
    active = next((card for card in ModelRegistry(workspace).models() if card.active), None)
    if parameters.get("prepare") and active:
        jobs.queue(workspace, "prepare", {"model": active.model_id})
    refused = len(report["refused"])
    return (
        f"Added {counted(added['ecgs'], 'ECG')}, {counted(added['studies'], 'study', 'studies')} and "
        f"{counted(added['clips'], 'clip')} of {counted(added['patients'], 'new patient')}."
        + (
            f" {refused} {'file was' if refused == 1 else 'files were'} passed over; the Import page lists each with "
            "its reason."
            if refused
            else ""
        )
        + (f" {report['waiting']} of them are clips that wait there for a person." if report["waiting"] else "")
    )


def import_parameters(folder: Path, options: Options) -> dict:
    """The parameters of the import job that reads a folder on this server as the options say."""
    told = {name: {k: v for k, v in asdict(column).items() if v} for name, column in options.told.items()}
    return {
        "folder": str(folder.resolve()),
        "cohort": options.cohort,
        "layout": options.layout,
        "labels": str(options.labels.resolve()) if options.labels else None,
        "map": told,
        "keep_ids": options.keep_ids,
        "key": str(options.key.resolve()) if options.key else None,
        "vectors_of": options.vectors_of,
    }


def options_of(parameters: dict) -> Options:
    """How a job's parameters (see `import_archive`) say that an import is read."""
    labels, key = parameters.get("labels"), parameters.get("key")
    return Options(
        cohort=parameters.get("cohort") or "",
        layout=parameters.get("layout") or "auto",
        labels=Path(labels) if labels else None,
        told={name: column_from(name, means) for name, means in (parameters.get("map") or {}).items()},
        keep_ids=bool(parameters.get("keep_ids")),
        key=Path(key) if key else None,
        vectors_of=parameters.get("vectors_of") or "",
    )


def import_weight_files(workspace: Workspace, parameters: dict, progress: Progress) -> str:
    """The job that registers weights of others.

    Args:
        parameters: "files" (paths on the server) or "uploads" (names from `keep_upload`), "kind", "allow_partial",
            "sampling_rate_hz", "order" (None: not known), "job_id".

    Raises:
        ModelError: the files cannot be read safely, are incomplete or damaged, or hold another kind.
    """
    from echo2ecg_core.intake.weights import import_model

    progress(0.1, "Reading the weights")
    uploads = [workspace.folder / "uploads" / name for name in parameters.get("uploads", ())]
    told = {
        key: parameters[key]
        for key in ("kind", "allow_partial", "sampling_rate_hz", "order")
        if parameters.get(key) is not None
    }
    done = import_model(uploads or [Path(f) for f in parameters["files"]], workspace, **told)
    for path in uploads:
        path.unlink(missing_ok=True)
    _write_report(workspace, parameters["job_id"], done.as_json())
    return f"{done.card.name} {done.card.model_id} is registered, {done.state}. {' '.join(done.notes)}".strip()


def import_report(workspace: Workspace, job_id: int) -> dict | None:
    """What an import job left: {cohort, added, refused: [{file, reason}]}, or of weights {model, kind, notes, …}; None
    without."""
    try:
        return json.loads(_report_path(workspace, job_id).read_text())
    except (OSError, ValueError):
        return None


def _report_path(workspace: Workspace, job_id: int) -> Path:
    return workspace.folder / "imports" / f"import-{job_id:04d}.json"


def _write_report(workspace: Workspace, job_id: int, report: dict) -> None:
    write_atomically(_report_path(workspace, job_id), json.dumps(report, indent=1).encode())


def unpack(path: Path, target: Path) -> Path:
    """Unpack a zip that holds a data set.

    Raises:
        ReadError: it is no zip, encrypted or damaged, a name points outside, or the disk is too small for its content.
        StoreError: the upload is gone, or no folder in it has a layout that is known.
    """
    if not path.is_file():
        raise StoreError("The uploaded archive is no longer there.", "Upload it again.")
    try:
        with _opened(path) as zipped:
            _check_names(zipped, target)
            target.mkdir(parents=True, exist_ok=True)
            zipped.extractall(target)
    except UNREADABLE as error:
        shutil.rmtree(target, ignore_errors=True)
        if sentence_of_disk(error):
            raise  # the job says so, and the upload waits
        raise ReadError(
            f"The upload cannot be unpacked: it is no zip, encrypted or damaged ({type(error).__name__}).",
            "Pack the archive again as a plain zip.",
        ) from error
    try:
        find(target)
        return target
    except StoreError as error:
        shutil.rmtree(target, ignore_errors=True)
        raise StoreError(
            "The zip holds no folder with labels.csv, ecgs.csv or the files of a data set that is known.",
            "Pack the folder that holds them; see docs/archives.md.",
        ) from error


def _opened(path: Path) -> zipfile.ZipFile:
    """A zip with its names as they were packed: many programs write UTF-8 without saying so."""
    try:
        return zipfile.ZipFile(path, metadata_encoding="utf-8")
    except UnicodeDecodeError:
        return zipfile.ZipFile(path)


def _check_names(zipped: zipfile.ZipFile, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    for info in zipped.infolist():
        is_link = (info.external_attr >> 16) & 0o170000 == 0o120000
        if is_link or not (target / info.filename).resolve().is_relative_to(target.resolve()):
            raise ReadError(
                "A name in the zip points outside the archive.",
                "Pack the archive again, without links and absolute paths.",
            )
    needed, free = sum(info.file_size for info in zipped.infolist()), shutil.disk_usage(target.parent).free
    if needed > 0.8 * free:
        raise ReadError(
            f"Unpacked, the archive needs {needed / 2**30:.1f} GB; {free / 2**30:.1f} GB are free.",
            "Free some space, or put the folder on the server and give its path.",
        )


def passed_over(workspace: Workspace) -> list[dict]:
    """The files that imports passed over and no later import of the same place took back.

    Returns:
        Rows {cohort, file, reason, job_id, at}: `at` seconds since 1970.
    """
    latest: dict[tuple, list[dict]] = {}
    for job in reversed(jobs.jobs(workspace) if workspace.exists() else []):  # the oldest first
        report = import_report(workspace, job.job_id) if job.kind == "import" else None
        if report and "refused" in report:
            place = job.parameters.get("folder") or job.parameters.get("upload")
            found = {"cohort": report.get("cohort", ""), "job_id": job.job_id, "at": job.finished_at or job.created_at}
            latest[place, found["cohort"]] = [row | found for row in report["refused"]]
    return [row for rows in latest.values() for row in rows]


def last_imports(workspace: Workspace) -> dict[str, float]:
    """Cohort -> when it was imported last, in seconds since 1970."""
    found: dict[str, float] = {}
    for job in jobs.jobs(workspace) if workspace.exists() else []:  # the newest first
        report = import_report(workspace, job.job_id) if job.kind == "import" else None
        if report and report.get("cohort"):
            found.setdefault(report["cohort"], job.finished_at or job.created_at)
    return found
