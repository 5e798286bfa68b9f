"""Everything that is wrong with an import, gathered before the first row is written and told at once.

A problem names file, row (the header is row 1) and column and says what was expected. Cells are never quoted: where
columns are shifted they hold names, and refusals stand in the logs of jobs.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from echo2ecg_core.errors import Echo2ECGError, StoreError, one_line, printable
from echo2ecg_core.intake.field_names import is_known_name
from echo2ecg_core.intake.folders import files_below

SHOWN = 8
OUR_NAMES = ("labels.csv", "ecgs.csv", "manifest.json")  # the layout gives these names, no person
NAMED_BY = "The preview (Import page, --dry-run) names file and column."
_COLUMNS_FOUND = re.compile(r"; found .*")  # to the end of the sentence: names of columns may hold points


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


def unnamed(text: str, names: Iterable[str], instead: str = "a table") -> str:
    """A sentence without these names of tables or columns, as they are or as an error tells them, unless our own
    layout gives them."""
    forms = {form for name in names if name not in OUR_NAMES for form in (name, printable(name), one_line(name))}
    for name in sorted((form for form in forms if form.strip() and form in text), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", instead, text)
    return text


def without_names(error: Echo2ECGError, folder: Path, beside: Path | None = None) -> Echo2ECGError:
    """A refusal as a job may keep it: without names of files and of columns, which may be those of people.

    Args:
        beside: A table of labels that need not lie in the folder.
    """
    found = error.problems if isinstance(error, ImportRefused) else [Problem(error.message)]
    files = {path.name for path in files_below(folder, on_error=str)} | ({beside.name} if beside else set())
    columns = {problem.column for problem in found if problem.column and not is_known_name(problem.column)}
    told = []
    for problem in found:
        text = unnamed(_COLUMNS_FOUND.sub(".", problem.sentence), files)
        told.append(Problem(unnamed(text, columns, "not named here")))
    if [problem.sentence for problem in told] == [problem.sentence for problem in found]:
        return error
    hint = f"{error.hint} {NAMED_BY}".strip()
    if isinstance(error, ImportRefused):
        return StoreError(ImportRefused(told, hint).message, hint)
    return type(error)(told[0].sentence, hint)
