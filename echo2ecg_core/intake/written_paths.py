"""The files that tables name.

A path may be written with backslashes, in another case or normal form, without the suffix of a WFDB header, from the
folder of the table or from that of the archive, or whole by another machine; a name without a folder may be that of a
file anywhere in the archive, if it is the only one. Links inside the folder are followed, because archives are put
together from several disks, but no path may climb out of the folder by its text.
"""

import os
import unicodedata
from pathlib import Path, PureWindowsPath

from echo2ecg_core.intake.folders import Listings, files_below, in_another_form
from echo2ecg_core.intake.plan import Plan

OUTSIDE = "It names a file outside the archive. Use paths relative to the folder of the table."
ABSENT = "There is no such file in the archive."
NO_HEADER = "a signal without its header (.hea), which says how it is to be read"
SIGNALS = {".dat", ".atr", ".xyz"}  # beside the header that names them


class NamedFiles:
    """The files of a folder by what tables write of them."""

    def __init__(self, root: Path):
        self.root, self._by_name = root, 0
        self._seen: Listings = {}
        self._names: dict[str, list[Path]] | None = None

    def find(self, text: str, folder: Path | None = None) -> tuple[Path | None, str]:
        """The file that a table names, and why there is none.

        Args:
            text: As the table writes it.
            folder: In which the table lies; the root, or one in it.
        """
        reason = ""
        below = folder.relative_to(self.root) if folder and folder.is_relative_to(self.root) else Path()
        is_whole = bool(PureWindowsPath(text).root)  # its end counts, from either folder
        for place in dict.fromkeys((below if text.strip() else Path(), Path())):
            base, written = (self.root / place, text) if is_whole else (self.root, f"{place}/{text}")
            path, why = find_written(base, written if place.parts else text, self._seen)
            if path is not None:
                return path, ""
            reason = reason or why
        alone = self._alone(text) if "/" not in text and "\\" not in text else None
        self._by_name += alone is not None
        return alone, "" if alone else reason

    def tell(self, table: str, plan: Plan) -> None:
        """Note how many files of a table were found by their names alone."""
        if self._by_name:
            plan.note(f"Files of {table} that were found by their names alone, in other folders: {self._by_name}.")

    def _alone(self, name: str) -> Path | None:
        """The only file of this name, else the only one of this name before its suffix."""
        if self._names is None:
            self._names = {}
            for path in files_below(self.root):
                names = {path.name, path.stem} if path.suffix.lower() not in SIGNALS else {path.name}
                for plain in {_plain(n) for n in names}:
                    self._names.setdefault(plain, []).append(path)
        found = self._names.get(_plain(name.strip()), [])
        exact = [path for path in found if _plain(path.name) == _plain(name.strip())]
        return next((paths[0] for paths in (exact, found) if len(paths) == 1), None)


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).lower()


def find_file(folder: Path, text: str, seen: Listings) -> tuple[Path | None, str]:
    """The file that a table names, and why there is none.

    Args:
        folder: Which the path is relative to.
        text: As the table writes it.
        seen: Listings of folders made so far; kept by the caller.
    """
    if not text.strip():
        return None, "The table names no file for this ECG."
    path = Path(os.path.normpath(folder / text.replace("\\", "/")))
    if not (path.is_relative_to(folder) or path.is_relative_to(folder.resolve())):
        return None, OUTSIDE
    for candidate in (path, path.with_name(f"{path.name}.hea")):
        if os.path.isfile(candidate):  # pathlib raises for names that no system could have
            return candidate, ""
    base = folder if path.is_relative_to(folder) else folder.resolve()
    found = in_another_form(base, path, seen, any_case=True)
    return (found, "") if found and found.is_file() else (None, ABSENT)


def find_written(folder: Path, text: str, seen: Listings) -> tuple[Path | None, str]:
    """`find_file` of a path that another machine may have written whole: as much of its end counts as leads to a file
    in the folder."""
    found = find_file(folder, text, seen)
    parts = PureWindowsPath(text).parts
    if found[0] is not None or not PureWindowsPath(text).root or ".." in parts:
        return found
    ends = (find_file(folder, "/".join(parts[start:]), seen)[0] for start in range(1, len(parts)))
    end = next((path for path in ends if path is not None), None)
    return (end, "") if end else (None, ABSENT)
