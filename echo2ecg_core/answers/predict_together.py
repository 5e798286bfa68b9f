"""Predictions that several visitors ask for at the same time: one thread makes them, in batches.

One after the other in threads of their own they would fight for the interpreter and the cores; together their windows
go through the network once. What one record is answered does not depend on those beside it, and a record that cannot be
used refuses itself alone.
"""

import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass

from echo2ecg_core.answers.loaded_model import LoadedModel
from echo2ecg_core.answers.predict import Prediction, predict_batch
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.store.database import Workspace

MOST_TOGETHER = 16


@dataclass(frozen=True, eq=False)
class _Asked:
    record: EcgRecord
    model: LoadedModel
    workspace: Workspace
    insist: bool
    answer: "Future[Prediction]"

    def goes_with(self, other: "_Asked") -> bool:
        same_place = self.workspace.folder == other.workspace.folder
        return self.model is other.model and same_place and self.insist == other.insist


class PredictTogether:
    """A queue of predictions and the thread that works through it; the thread starts with the first."""

    def __init__(self):
        self._waiting: deque[_Asked] = deque()
        self._something = threading.Condition()
        self._thread: threading.Thread | None = None

    def predict(
        self, record: EcgRecord, model: LoadedModel, workspace: Workspace, *, insist: bool = False
    ) -> Prediction:
        """As `predict.predict`; waits for its turn.

        Raises:
            SignalError: the record cannot be used.
        """
        asked = _Asked(record, model, workspace, insist, Future())
        with self._something:
            self._waiting.append(asked)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="predictions", daemon=True)
                self._thread.start()
            self._something.notify()
        return asked.answer.result()

    def _work(self) -> None:
        while True:
            batch = self._next()
            if not _answer(batch):
                for asked in batch:  # one of them refuses: each for itself
                    _answer([asked])

    def _next(self) -> list[_Asked]:
        """The one that has waited longest, and those behind it that can go with it."""
        with self._something:
            while not self._waiting:
                self._something.wait()
            first = self._waiting.popleft()
            beside = [asked for asked in self._waiting if asked.goes_with(first)][: MOST_TOGETHER - 1]
            for asked in beside:
                self._waiting.remove(asked)
        return [first, *beside]


def _answer(batch: list[_Asked]) -> bool:
    """Answer a batch; False, with nothing answered, where several were asked and one of them raises."""
    first = batch[0]
    try:
        found = predict_batch([asked.record for asked in batch], first.model, first.workspace, first.insist)
    except BaseException as error:
        if len(batch) > 1:
            return False
        first.answer.set_exception(error)
        return True
    for asked, prediction in zip(batch, found, strict=True):
        asked.answer.set_result(prediction)
    return True
