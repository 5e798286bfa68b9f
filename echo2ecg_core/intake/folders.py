"""The files below a folder, as an import and whoever speaks of it see them.

One name may be written in two normal forms of Unicode (macOS decomposes accents, others do not), and a name may hold
bytes that are no letters at all.
"""

import os
import unicodedata
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from echo2ecg_core.errors import StoreError, printable

Listings = dict[Path, dict[str, Path]]  # folders looked into so far: what lies in them by plain name


_OF_SYSTEMS = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx"}


def is_hidden(name: str) -> bool:
    """Whether a name is one that systems and programs write for themselves: .DS_Store, ._a.avi, ~$open.xlsx."""
    return name.startswith((".", "~$")) or name.lower() in _OF_SYSTEMS


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
        folders[:] = sorted(f for f in folders if not is_hidden(f))
        yield from (Path(place) / name for name in sorted(files) if not is_hidden(name))


def table_named(folder: Path, *names: str) -> Path | None:
    """The first of these tables that lies in a folder: by its name in any case, packed with gzip or not."""
    if not folder.is_dir():
        return None
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), key=lambda p: (p.name not in names, p.name)):
        found.setdefault(path.name.lower().removesuffix(".gz"), path)
    there = (found.get(name.lower().removesuffix(".gz")) for name in names)
    return next((path for path in there if path is not None and path.is_file()), None)


def named_below(folder: Path, pattern: str) -> list[Path]:
    """What lies below a folder by names that fit a pattern such as `Batch*/*`, in any case and in order; none that is
    hidden."""
    found = [folder]
    for part in pattern.lower().split("/"):
        inside = (path for place in found if place.is_dir() for path in sorted(place.iterdir()))
        found = [path for path in inside if not is_hidden(path.name) and fnmatchcase(path.name.lower(), part)]
    return found


def shown_path(path: Path, root: Path) -> str:
    """How a person is told of a file of the folder."""
    return printable(path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name)


def unique_stem(path: Path) -> str:
    """The name of a file without its suffix as an id: one for every name, in one form, of letters alone."""
    return unicodedata.normalize("NFC", path.stem.encode("utf-8", "backslashreplace").decode())


def in_another_form(base: Path, path: Path, seen: Listings, *, any_case: bool = False) -> Path | None:
    """What lies below the folder `base` under a path that is written in another normal form.

    Args:
        any_case: Upper and lower case may differ, too.
        seen: Kept by the caller.
    """

    def plain(name: str) -> str:
        composed = unicodedata.normalize("NFC", name)
        return composed.lower() if any_case else composed

    here = base
    for part in path.relative_to(base).parts:
        if here not in seen:
            seen[here] = {plain(p.name): p for p in here.iterdir()} if here.is_dir() else {}
        found = seen[here].get(plain(part)) or seen[here].get(f"{plain(part)}.hea")
        if found is None:
            return None
        here = found
    return here
