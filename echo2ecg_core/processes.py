"""Processes that help another one: they end when it does, also when it was killed and could not tell them.

A pool's process otherwise waits for ever on a pipe of which it holds the other end itself, with 200 MB of libraries.
"""

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait


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
