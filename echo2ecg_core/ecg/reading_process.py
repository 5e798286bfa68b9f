"""Parsers that a hostile file can hang or make claim memory (HDF5, .npz, PyTorch, JSON, Parquet) run in a warm process.

A thread cannot be stopped and memory cannot be given back, a process can: it has a limit of time and of memory, and is
ended where a file exceeds them. It reads one recording at a time, on request, so that archives of any size can be read.
Started as `python -m echo2ecg_core.ecg.reading_process FD KIND` by `read_apart`.
"""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing import connection
from pathlib import Path

from echo2ecg_core import errors
from echo2ecg_core.ecg.channels import NOTHING_TOLD, Channels, Told
from echo2ecg_core.ecg.files import EcgFile, file_on_disk, files_in_memory
from echo2ecg_core.errors import Echo2ECGError, ReadError

SECONDS = 8.0  # for one recording
START_SECONDS = 60.0  # for the first file: the parser is imported
MEMORY_BYTES = 400 * 2**20  # more than the process has when its parser is imported
MOST_IDLE = 2  # processes of a kind that wait for the next file
_idle: dict[str, list["_Reader"]] = {"arrays": [], "tables": [], "torch": []}
_lock = threading.Lock()


class _Reader:
    """One process with its end of the pipe."""

    def __init__(self, kind: str):
        self.pipe, theirs = connection.Pipe()
        root = str(Path(__file__).resolve().parents[2])
        paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        few_threads = {
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "2",
            "ARROW_DEFAULT_MEMORY_POOL": "system",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(theirs.fileno()), kind],
            pass_fds=[theirs.fileno()],
            env=os.environ | few_threads | {"PYTHONPATH": paths},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        theirs.close()
        self.answer(START_SECONDS)

    def answer(self, seconds: float) -> tuple:
        """What the process says next.

        Raises:
            TimeoutError: If it says nothing in time.
            EOFError: If it has ended.
        """
        if not self.pipe.poll(seconds):
            raise TimeoutError
        return self.pipe.recv()

    def end(self) -> None:
        self.pipe.close()
        self.process.kill()
        self.process.wait()


def read_apart(kind: str, file: EcgFile, told: Told = NOTHING_TOLD) -> Iterator[Channels]:
    """The recordings of a file, read in another process.

    Args:
        kind: "arrays" (HDF5, .npz), "tables" (JSON, Parquet, Feather) or "torch".
        file: The file; one that is not on disk is handed over.
        told: What the person says of it.

    Raises:
        ReadError: If the file takes too long or too much memory; and what its reader raises.
    """
    content = None if file.path is not None else file.read()
    with _lock:
        reader = _idle[kind].pop() if _idle[kind] else None
    reader = reader if reader and reader.process.poll() is None else _Reader(kind)
    usable = False
    try:
        reader.pipe.send((file.path, file.name, content, told))
        while True:
            try:
                word, value = reader.answer(SECONDS)
            except TimeoutError:
                raise _too_much(file, f"takes longer than {SECONDS:g} s") from None
            except (EOFError, OSError):
                raise _too_much(file, "makes its reader break down") from None
            usable = True
            if word == "end":
                return
            if word == "error":
                raise value
            yield value
            usable = False
            reader.pipe.send("next")
    finally:
        with _lock:
            keep = usable and len(_idle[kind]) < MOST_IDLE
            if keep:
                _idle[kind].append(reader)
        if not keep:
            reader.end()


def _too_much(file: EcgFile, what: str) -> ReadError:
    return ReadError(
        f"“{file.name}” {what}: it is damaged, or no ECG.", "Save the ECG alone in a new file, or export it again."
    )


def _serve(pipe: connection.Connection, kind: str) -> None:
    """Reads files one after another; a new file in the place of "next" drops the one before."""
    import signal

    read = _parser(kind)
    _limit_memory()
    pipe.send(("ready", None))
    request = pipe.recv()
    while True:
        path, name, content, told = request
        file = file_on_disk(path) if content is None else files_in_memory({name: content})[0]
        recordings = read(file, told)
        while True:
            signal.alarm(int(SECONDS) + 5)  # ends this process even inside a parser, should the other have ended
            answer = _next(recordings, file)
            signal.alarm(0)
            pipe.send(answer)
            request = pipe.recv()
            if request != "next":
                break


def _next(recordings: Iterator[Channels], file: EcgFile) -> tuple[str, object]:
    try:
        channels = next(recordings, None)
    except Echo2ECGError as error:
        return "error", getattr(errors, type(error).__name__)(error.message, error.hint)
    except MemoryError:
        return "error", _too_much(file, f"needs more than {MEMORY_BYTES // 2**20} MB to open")
    except Exception:  # a foreign parser on damaged content; its text may quote the file
        return "error", ReadError(
            f"“{file.name}” begins like an ECG file but is damaged and cannot be read.",
            "Export or copy the file again from its source.",
        )
    return ("end", None) if channels is None else ("channels", channels)


def _parser(kind: str) -> Callable[[EcgFile, Told], Iterator[Channels]]:
    """The reader of a kind, with its foreign parser imported."""
    if kind == "torch":
        import torch  # noqa: F401

        from echo2ecg_core.ecg.formats import torch_files

        return torch_files.read
    if kind == "tables":
        import pandas  # noqa: F401
        import pyarrow.feather
        import pyarrow.parquet  # noqa: F401

        from echo2ecg_core.ecg.formats import frames

        return frames.read
    import h5py  # noqa: F401

    from echo2ecg_core.ecg.formats import hdf5, numpy_files

    return lambda file, told: (numpy_files.read_npz if file.head().startswith(b"PK") else hdf5.read)(file, told)


def _limit_memory() -> None:
    """Where the system can (Linux), no more address space than is in use now and MEMORY_BYTES."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):
        return
    most = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    with contextlib.suppress(EOFError, OSError):  # the program that asked has ended
        _serve(connection.Connection(int(sys.argv[1])), sys.argv[2])
