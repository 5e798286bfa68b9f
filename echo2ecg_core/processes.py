"""Processes that help another one: they end when it does, also when it was killed and could not tell them.

A pool's process otherwise waits for ever on a pipe of which it holds the other end itself, with 200 MB of libraries.
"""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing.connection import wait
from typing import TypeVar

from echo2ecg_core.errors import StoreError

WORTH_PROCESSES = 16  # pieces of work; with fewer the processes start longer than they help
AHEAD = 3  # pieces a process that may wait for who takes them
Piece = TypeVar("Piece")
Done = TypeVar("Done")


def in_order(
    work: Callable[[Piece], Done], pieces: Iterable[Piece], processes: int, setting: str
) -> Generator[Done, None, None]:
    """What `work` makes of every piece, in their order, by a pool of processes that is a little ahead of who takes it.

    A few pieces are done in this process, and all where no others are wanted. Never more than AHEAD pieces a process
    wait, so memory does not grow with their number.

    Args:
        work: A function of a module, or a `partial` of one.
        processes: How many; 0 for none beside this one.
        setting: The environment variable that says how many processes there are, for the error.

    Raises:
        StoreError: a process was ended; and what `work` raises.
    """
    left = iter(pieces)
    first = list(islice(left, WORTH_PROCESSES))
    if not processes or len(first) < WORTH_PROCESSES:
        yield from map(work, chain(first, left))
        return
    yield from _ahead(work, chain(first, left), processes, setting)


def _ahead(work: Callable, pieces: Iterable, processes: int, setting: str) -> Iterator:
    helpers, waiting = pool(processes), deque[Future]()
    try:
        for piece in pieces:
            waiting.append(helpers.submit(work, piece))
            if len(waiting) > AHEAD * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise StoreError(
            "A process that reads files was ended by the system, most often for want of memory.",
            f"Start again: what is finished stays. Fewer processes need less memory ({setting}).",
        ) from error
    finally:
        helpers.shutdown(cancel_futures=True)


def pool(processes: int, initializer=None, *arguments) -> ProcessPoolExecutor:
    """A pool of fresh processes (spawned: safe beside threads and torch) that end with this one.

    Args:
        processes: How many.
        initializer: Called with `arguments` in every process before its first task.
    """
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(initializer, arguments))


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
