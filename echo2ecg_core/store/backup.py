"""A copy of a whole workspace while pages and worker go on, and the way back.

The catalog is copied by SQLite's own backup, which is a snapshot of one moment (sqlite.org/backup.html). Blobs and
vectors, whose files are only ever replaced whole, are hard links where the copy lies on the same disk. The copy has
its name only when it is complete. A restore changes a catalog that others have open by the same means, in one
transaction, so a page sees the workspace before or after it. The audit log is never shortened by a restore.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from echo2ecg_core.counts import counted, counted_contents
from echo2ecg_core.errors import DiskFull, StoreError
from echo2ecg_core.progress import Progress, part, silent
from echo2ecg_core.store import audit, jobs
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace, write_atomically
from echo2ecg_core.store.schema import MIGRATIONS
from echo2ecg_core.version import program_version

MANIFEST, CATALOG = "backup.json", "catalog.sqlite"
LINKED = ("blobs", "vectors")
# made again, gone with their import, of this machine only, or pictures that may show a person's name
LEFT_OUT = ("backups", "logs", "uploads", "prepared", "waiting-clips")
TRIES = 5
RESTORED = "Stopped: the workspace was restored from a backup. Resume goes on from there."


@dataclass(frozen=True)
class Backup:
    """What a copy holds, as its backup.json says; `missing` counts files that the workspace itself had lost."""

    made_at: str
    program: str
    schema: int
    catalog_sha256: str
    patients: int
    studies: int
    clips: int
    ecgs: int
    missing: int
    size_mb: float

    def sentence(self) -> str:
        """In words."""
        were = "was" if self.missing == 1 else "were"
        lost = f" {counted(self.missing, 'file')} {were} missing already: run `check`." if self.missing else ""
        held = counted_contents(self.patients, self.studies, self.clips, self.ecgs)
        return f"Backed up {held} ({self.size_mb:.1f} MB).{lost}"


def back_up(workspace: Workspace, out: Path, progress: Progress = silent) -> Backup:
    """Copy a workspace to a folder that is not there yet; everybody may go on meanwhile.

    Raises:
        StoreError: there is no workspace, the folder exists or lies where it must not, or files change all the time.
        DiskFull: there is no room for the copy.
    """
    if not workspace.exists():
        raise StoreError(f"There is no workspace at {workspace.folder.name}.", "Name another with --workspace.")
    out = out.expanduser().resolve()
    if out.exists():
        raise StoreError(f"{out.name} is there already.", "Name a folder that is not there yet.")
    if out.is_relative_to(workspace.folder) and out.parent != workspace.backups:
        raise StoreError("The copy would lie inside the workspace.", "Name a folder outside, best on another disk.")
    audit.record(workspace, "back up")
    half = out.with_name(f".{out.name}.half-{os.getpid()}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        made = _copied(workspace, half, progress)
        half.rename(out)
    except OSError as error:
        raise _in_words(error) from error
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return made


def facts_of(folder: Path) -> Backup:
    """What a backup says it holds.

    Raises:
        StoreError: it is none, or its catalog is not the one that was copied.
    """
    try:
        facts = Backup(**json.loads((folder / MANIFEST).read_text()))
        digest = hashlib.sha256((folder / CATALOG).read_bytes()).hexdigest()
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise StoreError(
            f"{folder.name} is no backup: its {MANIFEST} or catalog is missing or damaged.",
            "Name a folder that `backup` has made.",
        ) from error
    if digest != facts.catalog_sha256:
        raise StoreError(f"The catalog in {folder.name} is not the one that was backed up.", "Take another backup.")
    if facts.schema > len(MIGRATIONS):
        raise StoreError(f"{folder.name} was made by a newer version ({facts.program}).", "Update the program.")
    return facts


def backups(workspace: Workspace) -> list[tuple[Path, Backup]]:
    """The copies that lie in the workspace itself (made by the Admin page or before a restore), newest first."""
    found = []
    for folder in (workspace.backups).glob("*/"):
        with suppress(StoreError):
            found.append((folder, facts_of(folder)))
    return sorted(found, key=lambda one: one[1].made_at, reverse=True)


def restore(workspace: Workspace, source: Path, *, replace: bool = False, progress: Progress = silent) -> str:
    """Make a workspace what a backup holds; says what came of it. Killed in the middle, it is begun again.

    Args:
        replace: Where a workspace is there already: back it up below its folder `backups`, then replace what it holds.

    Raises:
        StoreError: `source` is no whole backup, a workspace is there and may not be replaced, or a job is running.
        DiskFull: there is no room.
    """
    source = source.expanduser().resolve()
    facts = facts_of(source)
    _check_files(source)
    kept = ""
    if workspace.exists():
        if not replace:
            raise StoreError("There is a workspace already.", "With --replace it is backed up and replaced.")
        if any(job.state == "running" for job in jobs.jobs(workspace)):
            raise StoreError("A job is running that writes what would be replaced.", "Stop it, or wait for its end.")
        before = workspace.backups / f"before-restore-{_stamp()}"
        back_up(workspace, before, part(progress, 0.0, 0.4))
        kept = f" What was there before is kept as backups/{before.name}."
    try:
        workspace.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=workspace.folder, prefix=".restoring-") as staging:
            _put_back(source, workspace, Path(staging), part(progress, 0.4, 1.0))
    except OSError as error:
        raise _in_words(error) from error
    return (
        f"Restored {counted_contents(facts.patients, facts.studies, facts.clips, facts.ecgs)} of "
        f"{facts.made_at[:16].replace('T', ' ')} UTC.{kept}"
    )


def back_up_here(workspace: Workspace, progress: Progress) -> str:
    """The job behind the Admin page: a copy below the workspace's own folder `backups`; says what it holds."""
    return back_up(workspace, workspace.backups / _stamp(), progress).sentence()


def _copied(workspace: Workspace, half: Path, progress: Progress) -> Backup:
    """Catalog first, then the files: begun again where a file that the catalog names was removed meanwhile."""
    for _ in range(TRIES):
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir()
        progress(0.0, "Copying the catalog")
        version = workspace.version()
        _copy_catalog(workspace.database, half / CATALOG)
        names = _blobs_of(half / CATALOG)
        _check_room(workspace, half, names)
        missing = _put_blobs(names, workspace.blobs, half / "blobs", progress)
        if missing and workspace.version() != version:
            continue
        for entry in sorted(workspace.folder.iterdir()):
            if not _is_left_out(entry.name):
                progress(0.9, f"Copying {entry.name}")
                _copy_steadily(entry, half / entry.name)
        copy = Workspace(half)
        made = Backup(
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            program=program_version(),
            schema=len(MIGRATIONS),
            catalog_sha256=hashlib.sha256((half / CATALOG).read_bytes()).hexdigest(),
            **_counts(half / CATALOG),
            missing=missing,
            size_mb=round(sum(f.stat().st_size for f in half.rglob("*") if f.is_file()) / 2**20, 3),
        )
        write_atomically(copy.folder / MANIFEST, json.dumps(asdict(made), indent=1).encode())
        return made
    raise StoreError("Files were removed all the time while they were copied.", "Back up again when it is quieter.")


def _is_left_out(name: str) -> bool:
    return name.startswith((".", CATALOG)) or name in (*LEFT_OUT, "blobs")


def _copy_catalog(database: Path, to: Path) -> None:
    """One moment of a catalog as a file of its own, without a log beside it."""
    with closing(sqlite3.connect(database)) as live, closing(sqlite3.connect(to)) as copy:
        live.backup(copy)
        copy.execute("PRAGMA journal_mode = TRUNCATE")  # no log beside it


def _blobs_of(catalog: Path) -> list[str]:
    with closing(sqlite3.connect(catalog)) as db:
        return [row[0] for row in db.execute("SELECT blob FROM clips UNION SELECT blob FROM ecgs")]


def _counts(catalog: Path) -> dict[str, int]:
    with closing(sqlite3.connect(catalog)) as db:
        names = ("patients", "studies", "clips", "ecgs")
        return {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}


def _put_blobs(names: list[str], source: Path, target: Path, progress: Progress) -> int:
    """Link or copy files that are not there yet; returns how many the source lacks."""
    missing = 0
    for number, name in enumerate(names):
        if number % 200 == 0:
            progress(0.1 + 0.7 * number / len(names), f"Copying files: {number:,} of {len(names):,}")
        if not (target / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            try:
                _link_or_copy(source / name, target / name)
            except FileNotFoundError:
                missing += 1
    return missing


def _link_or_copy(source: Path | str, target: Path | str) -> None:
    """The same file under a second name, or a whole copy on another disk."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        half = Path(target).with_name(f".writing-{Path(target).name}")
        shutil.copy2(source, half)
        half.replace(target)


def _copy_steadily(entry: Path, target: Path) -> None:
    """Copy a file or folder that others may be changing: begun again when a file vanishes under the copy."""
    for attempt in range(TRIES):
        try:
            if entry.is_dir():
                how: Callable = _link_or_copy if entry.name in LINKED else shutil.copy2
                shutil.copytree(entry, target, copy_function=how, ignore=shutil.ignore_patterns(".*"))
            else:
                shutil.copy2(entry, target)
            return
        except (FileNotFoundError, shutil.Error) as error:
            shutil.rmtree(target, ignore_errors=True)
            if isinstance(error, shutil.Error) and any("No space" in str(one[-1]) for one in error.args[0]):
                raise OSError(28, "No space left on device") from error
            if not entry.exists():
                return
            time.sleep(0.2 * (attempt + 1))
    raise StoreError(f"{entry.name} changed all the time while it was copied.", "Back up again when it is quieter.")


def _check_room(workspace: Workspace, half: Path, names: list[str]) -> None:
    """A copy on another disk needs room for everything; hard links need next to none."""
    here = os.stat(half).st_dev == os.stat(workspace.folder).st_dev
    needed = 0
    for entry in workspace.folder.iterdir():
        if not _is_left_out(entry.name) and not (here and entry.name in LINKED):
            needed += size_of(entry)
    if not here:
        for name in names:
            with suppress(FileNotFoundError):
                needed += (workspace.blobs / name).stat().st_size
    free = shutil.disk_usage(half).free
    if needed > free:
        raise DiskFull(
            f"The copy needs {needed / 2**20:,.0f} MB, and {free / 2**20:,.0f} MB are free there.",
            "Name a folder on a larger disk.",
        )


def size_of(entry: Path) -> int:
    """Bytes in a file or folder; what vanishes meanwhile counts nothing."""
    total = 0
    for path in [entry] if entry.is_file() else entry.rglob("*"):
        with suppress(OSError):
            if path.is_file():
                total += path.stat().st_size
    return total


def _check_files(source: Path) -> None:
    lacking = sum(not (source / "blobs" / name).is_file() for name in _blobs_of(source / CATALOG))
    told = json.loads((source / MANIFEST).read_text())["missing"]
    if lacking > told:
        raise StoreError(f"{lacking - told} files of {source.name} are missing.", "Take another backup.")


def _put_back(source: Path, workspace: Workspace, staging: Path, progress: Progress) -> None:
    """Blobs beside those that are there, folders exchanged one by one, the catalog last and in one transaction."""
    names = _blobs_of(source / CATALOG)
    _put_blobs(names, source / "blobs", workspace.blobs, progress)
    for entry in source.iterdir():
        if not _is_left_out(entry.name) and entry.name != MANIFEST:
            _copy_for_use(entry, staging / "new" / entry.name)
    made = Workspace(staging / "catalog")
    made.folder.mkdir()
    shutil.copyfile(source / CATALOG, made.database)
    _make_current(made, workspace)
    (staging / "old").mkdir()
    for entry in list(workspace.folder.iterdir()):
        if not _is_left_out(entry.name):
            entry.rename(staging / "old" / entry.name)
    for entry in (staging / "new").glob("*"):
        entry.rename(workspace.folder / entry.name)
    progress(0.95, "Putting the catalog back")
    with workspace.connect():
        pass  # so that there is one, of this program's schema
    with closing(sqlite3.connect(made.database)) as new, closing(sqlite3.connect(workspace.database)) as live:
        new.backup(live)


def _copy_for_use(entry: Path, target: Path) -> None:
    """A copy with its own time: caches tell versions of a file apart by it."""
    target.parent.mkdir(exist_ok=True)
    if entry.is_dir():
        shutil.copytree(entry, target, copy_function=shutil.copy)
    else:
        shutil.copy(entry, target)


def _make_current(made: Workspace, live: Workspace) -> None:
    """Bring a catalog that was backed up to what it has to be today: jobs stopped, the audit log whole."""
    lines: list[tuple] = []
    if live.exists():
        with live.connect() as db:
            lines = [tuple(row) for row in db.execute("SELECT * FROM audit ORDER BY number")]
    with made.write() as db:
        db.execute(
            "UPDATE jobs SET state = 'cancelled', worker = NULL, message = ?, finished_at = ?"
            " WHERE state IN ('queued', 'running')",
            (RESTORED, time.time()),
        )
        own = [tuple(row) for row in db.execute("SELECT * FROM audit ORDER BY number")]
        if lines[: len(own)] == own:  # the same log, written on since
            db.executemany("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?)", lines[len(own) :])
        db.execute("DELETE FROM versions")  # nobody may read only what was written since: everything may be other
        audit.record(made, "restore", **Catalog(made).counts())


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d-%H%M%S-%f")[:-3]


def _in_words(error: OSError) -> StoreError:
    if error.errno in (28, 122):  # ENOSPC, EDQUOT
        return DiskFull("The disk of the copy is full.", "Nothing was changed; free some space or name another folder.")
    return StoreError(f"The copy cannot be made ({error.strerror}).", "Check that the folder may be written.")
