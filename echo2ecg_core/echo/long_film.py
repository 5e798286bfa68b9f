"""The frames of a film that is too long for memory: decoded one by one, anew each time somebody loops over them.

Stands where an array (t, h, w, 3) of a shorter film stands, for who takes one frame after another. Decoding twice is
cheaper than a copy on a disk that may hold names, and needs the memory of one frame.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

HELD_BYTES = 120_000_000  # decoded; films up to here are arrays: 83 frames of 800 x 600


class LongFilm:
    """Frames (h, w, 3) uint8 RGB, one after another.

    Args:
        shape: Of the array that they would be: (t, h, w, 3).
        read: Called with numbers of frames in rising order, or None for all; gives these frames.
        change: What is done to each of them.
    """

    dtype = np.dtype(np.uint8)

    def __init__(
        self,
        shape: tuple[int, int, int, int],
        read: Callable[[Iterable[int] | None], Iterator[np.ndarray]],
        change: Callable[[np.ndarray], np.ndarray] = np.asarray,
    ):
        self.shape, self._read, self._change = shape, read, change

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[np.ndarray]:
        return map(self._change, self._read(None))

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.stack(list(self)).astype(dtype or np.uint8, copy=False)

    def sample(self) -> np.ndarray:
        """Frames (n, h, w, 3) evenly spaced in time, as many as an array may hold and at least two."""
        n = max(2, min(len(self), HELD_BYTES // int(np.prod(self.shape[1:]))))
        chosen = np.unique(np.linspace(0, len(self) - 1, n).astype(int)).tolist()
        return np.stack([self._change(frame) for frame in self._read(chosen)])

    def changed(self, change: Callable[[np.ndarray], np.ndarray], width: int | None = None) -> "LongFilm":
        """The film with something done to every frame.

        Args:
            change: (h, w, 3) uint8 -> the same, or of another width.
            width: That width.
        """
        t, h, w, _ = self.shape
        return LongFilm((t, h, width or w, 3), self._read, lambda frame: change(self._change(frame)))
