"""What was read of uploads, kept for some minutes and up to so many bytes in all, whoever asks for it."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class KeptReadings(Generic[T]):
    """The newest values by key.

    Args:
        most_bytes: Of all together; a value of more than a quarter of it is not kept.
        seconds: For which one is kept after it was asked for last.
    """

    def __init__(self, most_bytes: int, seconds: float, clock: Callable[[], float] = time.monotonic):
        self.most_bytes, self.seconds, self.clock = most_bytes, seconds, clock
        self._kept: OrderedDict[str, tuple[T, int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str, make: Callable[[], T], size_of: Callable[[T], int]) -> T:
        """The value of a key, made where it is not kept."""
        self.forget_old()
        with self._lock:
            if key in self._kept:
                value, size, _ = self._kept.pop(key)
                self._kept[key] = (value, size, self.clock())
                return value
        value = make()
        self.put(key, value, size_of(value))
        return value

    def put(self, key: str, value: T, size: int) -> None:
        """Keep a value of so many bytes as the newest, in the place of the one before."""
        with self._lock:
            self._kept.pop(key, None)
            if size <= self.most_bytes / 4:
                self._kept[key] = (value, size, self.clock())
            while self.held_bytes() > self.most_bytes:
                self._kept.popitem(last=False)

    def take(self, key: str) -> T | None:
        """The value of a key, which is forgotten by that; None where it is not kept."""
        self.forget_old()
        with self._lock:
            return self._kept.pop(key, (None,))[0]

    def held_bytes(self) -> int:
        """Bytes of what is kept."""
        return sum(size for _, size, _ in self._kept.values())

    def forget_old(self) -> None:
        """Forget what nobody has asked for in time."""
        with self._lock:
            while self._kept and self.clock() - next(iter(self._kept.values()))[2] > self.seconds:
                self._kept.popitem(last=False)
