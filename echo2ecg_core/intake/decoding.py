"""What the processes of an import do: read a file, take the person out of it, keep its content in the workspace.

The catalog is not written here: the one process that imports lists what comes back, so what goes between them is a row
and never a signal or a film. Whatever is killed leaves files that no row names; the next attempt makes the same.
"""

import hashlib
import signal
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cache, partial
from multiprocessing import parent_process
from pathlib import Path

from echo2ecg_core.cluster import Workers, may_have_children, refuse_unwanted
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.errors import Echo2ECGError, SetAside, StoreError
from echo2ecg_core.intake.options import Names
from echo2ecg_core.intake.plan import PlannedClip, PlannedEcg
from echo2ecg_core.intake.waiting_clips import PutAside, put_aside
from echo2ecg_core.phantom.mark import marked_square, with_mark
from echo2ecg_core.processes import Helpers, ProcessEnded, apart, in_order, patiently, will_fork
from echo2ecg_core.settings import settings
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.new_rows import NewClip, NewEcg, StoredClip, StoredEcg, stored_clips, stored_ecgs

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

VIEW_GIVEN = "The view was given by the data set."


ENDED = (
    "The process that read this file was ended: the file is damaged, takes far longer than others of its size, or "
    "needs more memory than there is."
)
TOO_MUCH_MEMORY = "This file needs more than {:.1f} GB of memory to read: it is damaged, or has to be cut."
SETTING = "ECHO2ECG_IMPORT_PROCESSES"
WORTH = 64  # pieces, each some 70 ms of reading, below which ECGs and headers are read in this process
SECONDS, SECONDS_A_MB = 60.0, 2.0  # of processor time for one film, and for each megabyte of its file
WAITING = 10  # times as long on the clock: where a decoder waits for ever, or others keep the cores busy
MEMORY_BYTES = 4 * 2**30  # beyond what its process has: three times the largest film (MAX_DECODED_BYTES)


_shared: ContextVar[Helpers | Workers | None] = ContextVar("helpers of the import", default=None)


@contextmanager
def one_pool() -> Iterator[None]:
    """Inside, whatever of an import is read in processes is read in the same ones; inside another one it joins that."""
    if _shared.get() is not None:
        yield
        return
    with _helpers() as helpers:
        token = _shared.set(helpers)
        try:
            yield
        finally:
            _shared.reset(token)


def in_processes(
    work: Callable,
    pieces: Iterable,
    again: Callable | None = None,
    *,
    files: Path | None,
    workspace: Workspace | None = None,
) -> Generator:
    """What `work` makes of every piece of an import, in order, in as many processes as this machine is told to use, or
    by the workers of the cluster that it is told of.

    Args:
        again: As for `processes.in_order`.
        files: One of the files that are read.
        workspace: Where `work` keeps contents.
    """
    return _made(work, pieces, again, files, workspace, WORTH, lambda: None)


def films(
    work: Callable, pieces: Iterable, meanwhile: Callable[[], None], *, files: Path | None, workspace: Workspace
) -> Generator:
    """What `work`, told what a film may take, makes of every clip, in order; never in this process: a film may hang its
    decoder or take all memory.

    Args:
        meanwhile: As for `processes.in_order`: Stop of the import.
        files, workspace: As for `in_processes`.
    """
    work = partial(work, Limits(SECONDS, SECONDS_A_MB, MEMORY_BYTES))
    there = partial(guarded, work) if settings().cluster else work
    return _made(there, pieces, partial(clip_again, work, meanwhile), files, workspace, 1, meanwhile)


def films_will_come() -> None:
    """Begin what `films` needs while other things are read; a cluster has its own."""
    if not settings().cluster:
        will_fork()


def _made(
    work: Callable,
    pieces: Iterable,
    again: Callable | None,
    files: Path | None,
    workspace: Workspace | None,
    worth: int,
    meanwhile: Callable[[], None],
) -> Generator:
    shared = _shared.get()
    with nullcontext(shared) if shared else _helpers() as helpers:
        if isinstance(helpers, Workers):
            helpers.have_to_see(workspace.folder if workspace else None, files)
            yield from in_order(work, pieces, helpers, SETTING, again, worth, meanwhile)
        else:
            wanted = helpers if helpers.processes > 1 or worth == 1 else 0
            yield from in_order(work, pieces, wanted, SETTING, again, worth, meanwhile)


def _helpers() -> Helpers | Workers:
    told = settings()
    return Workers(told.cluster) if told.cluster else Helpers(told.import_processes, forked=True)


@dataclass(frozen=True)
class Limits:
    """What one film may take."""

    seconds: float
    seconds_a_mb: float
    memory_bytes: int

    @contextmanager
    def kept(self, path: Path) -> Iterator[None]:
        """Inside, this process is ended when it takes longer, and refused more memory; where the system can."""
        if resource is None:
            yield
            return
        seconds = self.seconds + self.seconds_a_mb * (path.stat().st_size / 1e6 if path.exists() else 0)
        pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else 0
        before = resource.getrlimit(resource.RLIMIT_AS)
        if pages:
            resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + self.memory_bytes, before[1]))
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.setitimer(signal.ITIMER_REAL, WAITING * seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
            resource.setrlimit(resource.RLIMIT_AS, before)


@dataclass(frozen=True)
class Refused:
    """A file that cannot come in, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class AlreadyHere:
    """A clip that is in the catalog, and the view that the data set gives it."""

    clip_id: str
    view: str | None


@dataclass(frozen=True)
class EcgToRead:
    """An ECG of a plan, and what the catalog calls it, its patient and the study whose labels it carries."""

    planned: PlannedEcg
    ecg_id: str
    patient_id: str
    own_study_id: str | None


@dataclass(frozen=True)
class ClipToRead:
    """A clip of a plan, what the catalog calls its study, and by the hash of their file the clips of that study that
    are here, and those that wait for a person or were discarded, with that in words."""

    planned: PlannedClip
    study_id: str
    known: Mapping[str, str]
    settled: Mapping[str, str]


def read_ecgs(folder: Path, names: Names, wanted: Sequence[EcgToRead]) -> list[StoredEcg | Refused]:
    """ECGs with their contents kept in the workspace, or why not.

    Args:
        folder: Of the workspace.
        names: What ids, dates and ages are called.
    """
    read = [_ecg(names, one) for one in wanted]
    stored = iter(stored_ecgs(Workspace(folder), [ecg for ecg in read if isinstance(ecg, NewEcg)]))
    return [one if isinstance(one, Refused) else next(stored) for one in read]


def ecgs_again(work: Callable, wanted: Sequence[EcgToRead]) -> list[StoredEcg | Refused]:
    """The ECGs of a piece at which a process was ended, each in a process of its own."""
    return [found for one in wanted for found in _apart(work, [one], one.planned.path)]


def clip_again(
    work: Callable, meanwhile: Callable[[], None], wanted: ClipToRead
) -> StoredClip | AlreadyHere | PutAside | Refused:
    """A clip at which a process was ended, in a process of its own."""
    found = _apart(work, wanted, wanted.planned.path, meanwhile)
    return found[0] if isinstance(found, list) else found


def guarded(work: Callable, wanted: ClipToRead) -> StoredClip | AlreadyHere | PutAside | Refused:
    """Runs on a worker of the cluster: a clip read in a process beside the worker, which is ended where the film takes
    too much and when its import is over; the worker goes on."""
    helper = _beside_worker()
    try:
        return patiently(helper.submit(work, wanted), refuse_unwanted)
    except BrokenProcessPool:
        helper.end()
        return Refused(wanted.planned.path, ENDED)
    except BaseException:
        helper.end(at_once=True)
        raise


@cache
def _beside_worker() -> Helpers:
    """The process that a worker of the cluster has films read in."""
    helper = Helpers(1, forked=True)
    may_have_children(ended_by=partial(helper.end, at_once=True))
    return helper


def _apart(work: Callable, piece, path: Path, meanwhile: Callable[[], None] = lambda: None):
    try:
        return apart(work, piece, SETTING, forked=True, meanwhile=meanwhile)
    except ProcessEnded:
        return [Refused(path, ENDED)]


def _ecg(names: Names, wanted: EcgToRead) -> NewEcg | Refused:
    planned = wanted.planned
    try:
        record = planned.read() if planned.read else _record(planned)
    except Echo2ECGError as error:
        return Refused(planned.path, str(error))
    time = planned.ecg_time
    if time is None and record.recorded_at:
        time = record.recorded_at.replace(tzinfo=None, microsecond=0).isoformat()
    record = record if planned.age_years is None else replace(record, age_years=planned.age_years)
    return NewEcg(
        wanted.ecg_id,
        wanted.patient_id,
        names.record(record, planned.patient_id),
        names.moment(time, planned.patient_id),
        wanted.own_study_id,
    )


def _record(ecg: PlannedEcg) -> EcgRecord:
    from echo2ecg_core.ecg.readers import read_ecg

    return read_ecg(ecg.path, sampling_rate_hz=ecg.sampling_rate_hz, unit=ecg.unit, lead_order=ecg.lead_order)


def read_clip_file(
    folder: Path, synthetic: bool, most: Limits | None, wanted: ClipToRead
) -> StoredClip | AlreadyHere | PutAside | Refused:
    """A clip made playable and kept in the workspace, one that is here already, or why not.

    Of real patients everything outside the sector is blacked out first, and one whose sector cannot be told surely is
    put aside for a person.

    Args:
        folder: Of the workspace.
        synthetic: The plan says that its data are of simulated hearts; the pixels have to say so too.
        most: What the film may take; a helping process that takes longer is ended.
    """
    try:
        with most.kept(wanted.planned.path) if most and parent_process() else nullcontext():
            return _clip_file(folder, synthetic, wanted)
    except MemoryError:
        return Refused(wanted.planned.path, TOO_MUCH_MEMORY.format((most.memory_bytes if most else MEMORY_BYTES) / 1e9))


def _clip_file(folder: Path, synthetic: bool, wanted: ClipToRead) -> StoredClip | AlreadyHere | PutAside | Refused:
    from echo2ecg_core.echo.deidentify import deidentified
    from echo2ecg_core.echo.long_film import LongFilm
    from echo2ecg_core.echo.readers import read_clip
    from echo2ecg_core.echo.video import encode_mp4

    planned = wanted.planned
    try:
        file_hash = _hash_of(planned.path)
        if file_hash in wanted.known:
            return AlreadyHere(wanted.known[file_hash], planned.view)
        if file_hash in wanted.settled:
            return Refused(planned.path, wanted.settled[file_hash])
        clip = read_clip(planned.path)
        is_long = isinstance(clip.frames, LongFilm)
        square = marked_square(clip.frames) if synthetic and clip.synthetic and not is_long else None
        simulated = square is not None and square[2] == clip.frames.shape[2]  # no screen with a name around it
        try:
            clip = clip if simulated else deidentified(clip)
        except SetAside as error:
            clip = replace(clip, view=planned.view or clip.view)
            return put_aside(Workspace(folder), planned.path, wanted.study_id, file_hash, clip, error.message)
        if square and not simulated:
            clip = replace(clip, frames=with_mark(clip.frames, square))
        whole = simulated and clip.format == "MP4"
        mp4 = planned.path.read_bytes() if whole else encode_mp4(clip)
    except MemoryError:
        raise
    except Echo2ECGError as error:
        return Refused(planned.path, str(error))
    new = NewClip(
        wanted.study_id,
        mp4,
        fps=clip.fps,
        n_frames=clip.n_frames,
        format=clip.format,
        view=planned.view or clip.view,
        spacing_mm=clip.spacing_mm,
        r_wave_times_s=clip.r_wave_times_s,
        notes=(*clip.notes, VIEW_GIVEN) if planned.view else clip.notes,
        file_hash=file_hash,
    )
    return stored_clips(Workspace(folder), [new])[0]


def _hash_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StoreError(f"The file cannot be opened: {error.strerror}.", "Check that it is there.") from error
