"""Other machines that help this one: the workers of a Dask scheduler, by its executor of concurrent.futures.

Files lie on a file system that all machines see; every piece of work makes sure of it before it begins, because a
worker that does not see the workspace would otherwise make one of its own. A worker's process does one piece at a time,
however many threads it has: readers of files are not made for threads.
"""

import multiprocessing.util
import os
import pickle
import re
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from echo2ecg_core.errors import StoreError
from echo2ecg_core.version import program_version

if TYPE_CHECKING:
    from distributed import Client

SETTING = "ECHO2ECG_CLUSTER"
CONNECT_S = 10.0
WORKERS_WITHIN_S = 600.0  # a worker that a queue of jobs has to start first comes late
ASK_S = 5.0
MARK = ".seen-by-workers-"
_ADDRESS = re.compile(r"(tcp|tls|wss?|ucx)://\S+:\d+")
Piece = TypeVar("Piece")
Done = TypeVar("Done")
_one_at_a_time = threading.Lock()


class Workers:
    """The workers of a Dask scheduler, in place of `processes.Helpers`; connected to when they are first wanted.

    Args:
        address: Of the scheduler, like tcp://host:8786.
    """

    def __init__(self, address: str):
        self.address = address
        self._client: Client | None = None
        self._seen: dict[str, Path] = {}
        self._since = 0.0

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_) -> None:
        self.end()

    def have_to_see(self, workspace: Path | None = None, files: Path | None = None) -> None:
        """What a worker looks for before a piece of the work to come.

        Args:
            workspace: Folder that is read from and written to.
            files: One of the files that are read, where those lie elsewhere.
        """
        places = {"the workspace": _mark(workspace) if workspace else None, "the files to be read": files}
        self._seen = {what: path for what, path in places.items() if path and path.exists()}

    @property
    def have_begun(self) -> bool:
        """Whether there is a connection."""
        return self._client is not None

    @property
    def processes(self) -> int:
        """How many there are now.

        Raises:
            StoreError: the package `distributed` is not installed, the address is none, or no scheduler answers there.
        """
        if self._client is None:
            self._client, self._since = _client(self.address), time.monotonic()
            self._executor = self._client.get_executor(pure=False)
        try:
            return len(self._client.nthreads())
        except (OSError, RuntimeError, ValueError) as error:  # closed, or closing
            raise _gone() from error

    def submit(self, work: Callable[[Piece], Done], piece: Piece) -> "Future[Done]":
        """What `work` will make of a piece; that the workers died of it is told by its result."""
        packed = program_version(), self._seen, pickle.dumps((work, piece))
        return _Answer(self, self._executor.submit(_on_worker, packed))

    def lost_one(self) -> bool:
        """Whether the pieces that wait have to be handed over again after workers died of one: the scheduler does."""
        return False

    def end(self) -> None:
        """Let go of the cluster; what is under way there is dropped."""
        if self._client is not None:
            self._executor.shutdown(wait=False)
            self._client.close()
        self._client = None

    def refuse_none(self) -> None:
        """Raises:
        StoreError: there has been no worker for WORKERS_WITHIN_S.
        """
        if self.processes:
            self._since = time.monotonic()
        elif time.monotonic() - self._since > WORKERS_WITHIN_S:
            raise StoreError(
                f"The cluster that {SETTING} names has had no worker for {WORKERS_WITHIN_S / 60:g} minutes.",
                "Start workers, then start again: what is finished stays.",
            )


class _Answer(Future):
    """What a worker will answer."""

    def __init__(self, workers: Workers, waiting: Future):
        super().__init__()
        self._workers, self._waiting = workers, waiting

    def cancel(self) -> bool:
        """Whether it will not be answered."""
        return self._waiting.cancel()

    def done(self) -> bool:
        """Whether it is answered."""
        return self._waiting.done()

    def result(self, timeout: float | None = None):
        """What the work gave.

        Raises:
            TimeoutError: `timeout` seconds are over.
            BrokenProcessPool: the workers that had it died.
            StoreError: the scheduler is gone, there is no worker, or it lacks this program; and what the work raises.
        """
        from distributed.scheduler import KilledWorker

        while True:
            try:
                return self._waiting.result(timeout or ASK_S)
            except TimeoutError:
                self._workers.refuse_none()
                if timeout is not None:
                    raise
            except KilledWorker as error:
                raise BrokenProcessPool("The workers that had this piece died.") from error
            except CancelledError as error:
                raise _gone() from error
            except (ModuleNotFoundError, AttributeError, pickle.UnpicklingError) as error:
                raise _strange("A worker") from error
            except RuntimeError as error:
                if "deserialization" not in str(error):  # else it is the work's own
                    raise
                raise _strange("The scheduler") from error


def refuse_unwanted() -> None:
    """Runs on a worker, within a piece of work.

    Raises:
        CancelledError: who asked for this piece was stopped, or is gone.
    """
    from distributed import get_worker

    worker = get_worker()
    task = worker.state.tasks.get(worker.get_current_task())
    if task is None or task.state == "cancelled":
        raise CancelledError


def may_have_children(ended_by: Callable[[], object]) -> None:
    """Runs on a worker: Dask starts workers as daemons, which multiprocessing allows no processes of their own.

    Args:
        ended_by: Ends them, before a worker that ends waits for them; those of a killed one end by
            `processes.end_with_parent`.
    """
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
    multiprocessing.util.Finalize(None, ended_by, exitpriority=1)


def _client(address: str) -> "Client":
    if not _ADDRESS.fullmatch(address):
        raise StoreError(
            f"{SETTING} has to be the address of a Dask scheduler, like tcp://host:8786.",
            "Mend it, or take the setting out.",
        )
    try:
        from distributed import Client
    except ImportError as error:
        raise StoreError(
            f"{SETTING} names a Dask scheduler, but the package `distributed` is not installed.",
            'Install it (pip install "echo2ecg-explorer[cluster]"), or take the setting out.',
        ) from error
    try:
        return Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, TypeError) as error:  # TypeError: tls:// without certificates
        raise StoreError(
            f"No Dask scheduler answers at the address that {SETTING} names.",
            "Start it (`dask scheduler`, or as docs/scale.md shows), mend the address, or take the setting out.",
        ) from error


def _strange(who: str) -> StoreError:
    return StoreError(
        f"{who} of the cluster cannot load this program or a package of it.",
        "Start scheduler and workers with the Python environment that this program runs in.",
    )


def _gone() -> StoreError:
    return StoreError(
        f"The Dask scheduler that {SETTING} names is gone.",
        "Start it and its workers again, then start again: what is finished stays.",
    )


def _mark(folder: Path) -> Path:
    """A file in this folder that no other folder holds; it stays."""
    folder.mkdir(parents=True, exist_ok=True)
    for known in folder.glob(f"{MARK}*"):
        return known
    handle, name = tempfile.mkstemp(prefix=MARK, dir=folder)
    os.close(handle)
    return Path(name)


def _on_worker(packed: tuple[str, dict[str, Path], bytes]):
    """Runs on a worker: one piece of work, if the worker is of this version and sees the files."""
    version, seen, work_and_piece = packed
    if version != program_version():
        raise StoreError(
            f"Version {version} of this program asked a worker of version {program_version()}.",
            "Start the workers with the Python environment that this program runs in.",
        )
    for what, path in seen.items():
        if not path.exists():
            raise StoreError(
                f"The worker on {socket.gethostname()} does not see {what} where this machine sees it.",
                f"Put workspace and files on a path that all machines see, or take {SETTING} out.",
            )
    with _one_at_a_time:
        work, piece = pickle.loads(work_and_piece)
        return work(piece)
