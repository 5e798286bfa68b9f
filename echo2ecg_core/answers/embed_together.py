"""ECGs that several visitors send at the same time go through the network together, in one thread.

In threads of their own the passes would fight for the cores, and each costs more alone than in a batch. Only the
network's pass is shared: reading, measuring and judging an ECG stays in its visitor's thread. What visitors gain is not
shown yet: docs/reliability.md has the comparisons, all of a machine that others kept busy.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from echo2ecg_core.answers.loaded_model import EcgVectors

MOST_TOGETHER = 32


@dataclass(frozen=True, eq=False)
class _Asked:
    windows: np.ndarray
    answer: "Future[EcgVectors]"


class EmbedTogether:
    """The queue in front of one network and the thread that works through it; the thread starts with the first.

    Args:
        embed: Vectors of ECGs (b, w, 12, n), row by row the same whatever lies beside them.
    """

    def __init__(self, embed: "Callable[[np.ndarray], EcgVectors]"):
        self._embed = embed
        self._waiting: deque[_Asked] = deque()
        self._something = threading.Condition()
        self._thread: threading.Thread | None = None

    def __call__(self, windows: np.ndarray) -> "EcgVectors":
        """Vectors of ECGs (b, w, 12, n); waits for its turn, and raises what the network raises."""
        asked = _Asked(windows, Future())
        with self._something:
            self._waiting.append(asked)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="embeddings", daemon=True)
                self._thread.start()
            self._something.notify()
        return asked.answer.result()

    def _work(self) -> None:
        while True:
            batch = self._next()
            if not self._answer(batch):
                for asked in batch:  # one of them is refused: each for itself
                    self._answer([asked])

    def _next(self) -> list[_Asked]:
        """The one that has waited longest, and those behind it whose ECGs have as many windows."""
        with self._something:
            while not self._waiting:
                self._something.wait()
            first = self._waiting.popleft()
            alike = [asked for asked in self._waiting if asked.windows.shape[1:] == first.windows.shape[1:]]
            for asked in (beside := alike[: MOST_TOGETHER - 1]):
                self._waiting.remove(asked)
        return [first, *beside]

    def _answer(self, batch: list[_Asked]) -> bool:
        """Answer a batch; False, with nothing answered, where several were asked and the network refuses."""
        try:
            found = self._embed(np.concatenate([asked.windows for asked in batch]))
        except BaseException as error:
            if len(batch) > 1:
                return False
            batch[0].answer.set_exception(error)
            return True
        start = 0
        for asked in batch:
            rows = slice(start, start := start + len(asked.windows))
            asked.answer.set_result(found.rows(rows))
        return True
