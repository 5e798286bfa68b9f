"""Everything that is wrong with an import, gathered before the first row is written and told at once.

A problem names file, row (the header is row 1) and column and says what was expected. Cells are never quoted: where
columns are shifted they hold names, and refusals stand in the logs of jobs.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from echo2ecg_core.errors import Echo2ECGError, StoreError
from echo2ecg_core.intake.folders import files_below

SHOWN = 8
OUR_NAMES = ("labels.csv", "ecgs.csv", "manifest.json")  # the layout gives these names, no person
NAMED_BY = "The preview (Import page, --dry-run) names file and column."
_COLUMNS_FOUND = re.compile(r"; found [^.]*")


@dataclass(frozen=True)
class Problem:
    """One thing that cannot be imported as it is; rows are numbered as in the file."""

    sentence: str
    file: str = ""
    row: int | None = None
    column: str = ""


class ImportRefused(StoreError):
    """An import that was refused; `problems` holds all of them, the message the first few."""

    def __init__(self, problems: list[Problem], hint: str):
        told = " ".join(p.sentence for p in problems[:SHOWN])
        more = len(problems) - SHOWN
        super().__init__(told + (f" And {more} more of this kind or another." if more > 0 else ""), hint)
        self.problems = problems


@dataclass
class Problems:
    """The problems found so far."""

    found: list[Problem] = field(default_factory=list)

    def add(self, sentence: str, file: str = "", row: int | None = None, column: str = "") -> None:
        """Remember one."""
        self.found.append(Problem(sentence, file, row, column))

    def label(self, file: str, row: int, column: str, expected: str) -> None:
        """A cell that holds what cannot be."""
        self.add(
            f"{file} holds a label that cannot be in row {row}, column {column}; expected: {expected}.",
            file,
            row,
            column,
        )

    def raise_if_any(self) -> None:
        """End the import here if anything is wrong.

        Raises:
            ImportRefused: something is.
        """
        if self.found:
            raise ImportRefused(
                self.found,
                "Correct the table, leave a cell empty, or say with a mapping how to read it; nothing was imported.",
            ) from None


def unnamed(text: str, names: Iterable[str]) -> str:
    """A sentence without the names of these tables, unless our own layout gives them."""
    for name in sorted((n for n in names if n in text and n not in OUR_NAMES), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "a table", text)
    return text


def without_names(error: Echo2ECGError, folder: Path, beside: Path | None = None) -> Echo2ECGError:
    """A refusal as a job may keep it: without names of files and of columns, which may be those of people.

    Args:
        beside: A table of labels that need not lie in the folder.
    """
    text = _COLUMNS_FOUND.sub("", error.message)
    text = unnamed(
        text, {path.name for path in files_below(folder, on_error=str)} | ({beside.name} if beside else set())
    )
    told = type(error) if type(error) is not ImportRefused else StoreError
    return error if text == error.message else told(text, f"{error.hint} {NAMED_BY}".strip())
