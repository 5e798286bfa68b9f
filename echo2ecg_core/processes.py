"""Processes that help another one: they end when it does, also when it was killed and could not tell them. In place of
them may stand the workers of a cluster (cluster.py).

A pool's process otherwise waits for ever on a pipe of which it holds the other end itself, with 200 MB of libraries.
"""

import multiprocessing
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from itertools import chain, islice
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import TypeVar

from echo2ecg_core.cluster import Workers
from echo2ecg_core.errors import StoreError

WORTH_PROCESSES = 16  # pieces of work; with fewer the processes start longer than they help
AHEAD = 3  # pieces a process that may wait for who takes them
LOOK_UP_S = 0.5  # while somebody waits for a piece
STEP_BACK = 10  # of 19
PRELOADED = ["echo2ecg_core.intake.decoding", "echo2ecg_core.echo.readers", "echo2ecg_core.echo.deidentify", "av",
             "pydicom", "cv2"]  # fmt: skip
Piece = TypeVar("Piece")
Done = TypeVar("Done")


class ProcessEnded(StoreError):
    """A process that worked for this one was ended by the system."""

    def __init__(self, setting: str):
        super().__init__(
            "A process that reads files was ended by the system, most often for want of memory.",
            f"Start again: what is finished stays. Fewer processes need less memory ({setting}).",
        )


class Helpers:
    """A pool that begins when it is first wanted and is replaced when a process of it was ended, so that several pieces
    of work, one after another, can share it.

    Args:
        processes: How many.
        forked: Forked from a process that has imported what an import needs: they start in 30 ms, not in a second, and
            see the environment as it was when that process began.
    """

    def __init__(self, processes: int, forked: bool = False):
        self.processes, self.forked = processes, forked
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Helpers":
        return self

    def __exit__(self, error, *_) -> None:
        self.end(at_once=error is not None)

    @property
    def have_begun(self) -> bool:
        """Whether processes are there."""
        return self._pool is not None

    def submit(self, work: Callable[[Piece], Done], piece: Piece) -> "Future[Done]":
        """What `work` will make of a piece; that a process was ended is told by its result."""
        self._pool = self._pool or pool(self.processes, forked=self.forked)
        try:
            return self._pool.submit(work, piece)
        except BrokenProcessPool as error:  # found out while handing over
            broken: Future = Future()
            broken.set_exception(error)
            return broken

    def lost_one(self) -> bool:
        """Begin anew after a process was ended; whether the pieces that wait have to be handed over again: they do."""
        self.end()
        return True

    def end(self, at_once: bool = False) -> None:
        """End them, `at_once` whatever they are doing; the next piece begins new ones."""
        if self._pool is not None:
            _end(self._pool, at_once)
        self._pool = None


def in_order(
    work: Callable[[Piece], Done],
    pieces: Iterable[Piece],
    processes: int | Helpers | Workers,
    setting: str,
    again: Callable[[Piece], Done] | None = None,
    worth: int = WORTH_PROCESSES,
    meanwhile: Callable[[], None] = lambda: None,
) -> Generator[Done, None, None]:
    """What `work` makes of every piece, in their order, by a pool of processes that is a little ahead of who takes it.

    A few pieces are done in this process, and all where no others are wanted. Never more than AHEAD pieces a process
    wait, so memory does not grow with their number.

    Args:
        work: A function of a module, or a `partial` of one.
        processes: How many, 0 for none beside this one; or those of a caller, which stay afterwards (of this
            machine, or of a cluster).
        setting: The environment variable that says how many processes there are, for the error.
        again: Makes a piece at which a process was ended; the others go on in new processes. None: that is an error.
        worth: Pieces below which all is done in this process, where no others have begun yet.
        meanwhile: Called now and then while a piece is waited for; what it raises ends the processes at once.

    Raises:
        ProcessEnded: a process was ended; and what `work` or `cluster.Workers` raises.
    """
    left, shared = iter(pieces), not isinstance(processes, int)
    helpers = Helpers(processes) if isinstance(processes, int) else processes
    first = list(islice(left, worth))
    is_alone = isinstance(helpers, Helpers) and not helpers.processes
    if is_alone or (len(first) < worth and not helpers.have_begun):
        yield from map(work, chain(first, left))
        return
    left, waiting = chain(first, left), deque[tuple[Piece, Future]]()
    try:
        while True:
            most = AHEAD * helpers.processes + 1  # workers of a cluster come and go
            for piece in islice(left, max(0, most - len(waiting))):
                waiting.append((piece, helpers.submit(work, piece)))
            if not waiting:
                return
            piece, future = waiting.popleft()
            try:
                yield patiently(future, meanwhile)
            except BrokenProcessPool as error:
                is_all_lost = helpers.lost_one()
                if again is None:
                    raise ProcessEnded(setting) from error
                yield again(piece)
                if is_all_lost:
                    waiting = deque((other, helpers.submit(work, other)) for other, _ in waiting)
    finally:
        for _, future in waiting:
            future.cancel()
        if not shared:
            helpers.__exit__(*sys.exc_info())


def patiently(future: "Future[Done]", meanwhile: Callable[[], None]) -> Done:
    """What a process answers; `meanwhile` is called now and then while it is waited for."""
    while True:
        try:
            return future.result(LOOK_UP_S)
        except TimeoutError:
            if future.done():  # just now, or the error is the work's own
                return future.result()
            meanwhile()


def _end(helpers: ProcessPoolExecutor, at_once: bool) -> None:
    if at_once:
        for process in list((helpers._processes or {}).values()):  # Python 3.14 has kill_workers()
            process.kill()
    helpers.shutdown(cancel_futures=True)


def apart(
    work: Callable[[Piece], Done],
    piece: Piece,
    setting: str,
    forked: bool = False,
    meanwhile: Callable[[], None] = lambda: None,
) -> Done:
    """What `work` makes of a piece, in a process of its own.

    Args:
        forked: As for `Helpers`; meanwhile: as for `in_order`.

    Raises:
        ProcessEnded: it was ended.
    """
    with Helpers(1, forked) as helper:
        try:
            return patiently(helper.submit(work, piece), meanwhile)
        except BrokenProcessPool as error:
            raise ProcessEnded(setting) from error


def pool(processes: int, initializer=None, *arguments, forked: bool = False) -> ProcessPoolExecutor:
    """A pool of fresh processes (never forked from this one: safe beside threads and torch) that end with this one.

    Args:
        processes: How many.
        initializer: Called with `arguments` in every process before its first task.
        forked: As for `Helpers`, where the system can.
    """
    context = _forking() if forked else None
    return ProcessPoolExecutor(
        processes,
        context or multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(initializer, arguments),
    )


def will_fork() -> None:
    """Begin the process that forked ones come from, which imports what they need while this one does other things."""
    if _forking():
        from multiprocessing import forkserver

        forkserver.ensure_running()


def _forking() -> BaseContext | None:
    """The context of forked processes; None where the system has none."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return None
    context = multiprocessing.get_context("forkserver")
    main = getattr(sys.modules["__main__"], "__spec__", None)  # which every process imports
    context.set_forkserver_preload([*PRELOADED, *([main.parent] if main and main.parent else [])])
    return context


def let_others_first() -> None:
    """For work that nobody waits for: from now on this process has the cores that others leave.

    Where Linux shares them between sessions (autogroup, sched(7)), nice counts only within one; a process that leads
    its session, as one that a page started, steps back with it.
    """
    if os.name != "posix":
        return
    os.nice(STEP_BACK)
    if os.getsid(0) == os.getpid():
        with suppress(OSError):  # another system, or a kernel without
            Path("/proc/self/autogroup").write_text(str(STEP_BACK))


def end_with_parent() -> None:
    """For a process of multiprocessing, at its beginning: from now on it ends at once when its parent has ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent.sentinel,), name="end with parent", daemon=True).start()


def _watch(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)  # there is nobody to report to, and nothing is half-written: files are replaced whole


def _begin(initializer, arguments: tuple) -> None:
    end_with_parent()
    if initializer is not None:
        initializer(*arguments)
