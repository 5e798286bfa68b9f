"""The files below a folder, as an import and whoever speaks of it see them."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from echo2ecg_core.errors import StoreError


def _refuse(error: OSError) -> None:
    """What lies in a folder that cannot be opened would be missing without a word."""
    raise StoreError(
        f"A folder of the archive cannot be opened: {error.strerror}.",
        "Let the user that runs this program read it, or move it out of the archive.",
    ) from error


def files_below(folder: Path, on_error: Callable[[OSError], object] = _refuse) -> Iterator[Path]:
    """All files in order, links followed once; none that is hidden.

    Args:
        on_error: Called for a folder that cannot be opened; returns where the others are wanted all the same.

    Raises:
        StoreError: a folder cannot be opened.
    """
    seen = set()
    for place, folders, files in os.walk(folder, onerror=on_error, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        yield from (Path(place) / name for name in sorted(files) if not name.startswith("."))
