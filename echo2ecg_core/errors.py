"""The only errors a page or the terminal shows to a person.

Each carries two sentences: what is wrong (with what was expected and found) and what the person can do.
Everything else that is raised is a mistake of ours and may show a traceback in the log. What is quoted of a file is cut
and stripped of control characters here, once: a header may hold ten thousand letters or the codes of a terminal.
"""

import re

MOST_QUOTED, MOST_OF_A_WORD = 80, 160  # letters between quotation marks, and without a blank
MOST_ABOUT_A_FILE, MOST_LETTERS = 200, 1200  # of a message; of one that lists what was found, of a hint


def printable(text: str) -> str:
    """A text with plain blanks, without control characters and bytes that are no letters (of names of files)."""
    return "".join(letter if letter.isprintable() else " " if letter.isspace() else "?" for letter in text)


def one_line(text: str) -> str:
    """A text on one line, printable, its quotations and endless words cut."""
    words = printable(" ".join(str(text).split()))
    words = re.sub(rf"(\S{{{MOST_OF_A_WORD}}})\S+", r"\1…", words)
    return re.sub(rf"“([^”]{{{MOST_QUOTED}}})[^”]+”", r"“\1…”", words)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


class Echo2ECGError(Exception):
    """A problem that the person in front of the screen can understand and act on.

    Args:
        message: What is wrong, what was expected and what was found; one sentence.
        hint: What the person can do about it; one sentence, may be empty.

    Attributes:
        source: Base name of the file it is about, where one of several could not be read.
    """

    about_a_file = False
    source = ""

    def __init__(self, message: str, hint: str = ""):
        message, hint = one_line(message), one_line(hint)
        message = _cut(message, MOST_ABOUT_A_FILE if self.about_a_file else MOST_LETTERS)
        hint = _cut(hint, MOST_LETTERS)
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class ReadError(Echo2ECGError):
    """A file cannot be read as what it was given for."""

    about_a_file = True


class MemoryNeeded(ReadError, MemoryError):
    """A film asks for more memory than there is; who reads under a limit tells that limit instead."""


class SamplingRateNeeded(ReadError):
    """The file holds a signal but not its sampling rate; the person has to give it."""


class SetAside(ReadError):
    """A clip was read, but a person has to look at it before it may be kept."""


class SignalError(Echo2ECGError):
    """A file was read, but its signal cannot be used (too short, too few leads, flat)."""

    about_a_file = True


class ModelError(Echo2ECGError):
    """A model, checkpoint or weight file is missing, damaged or does not fit."""


class StoreError(Echo2ECGError):
    """The workspace lacks something, holds something damaged or cannot be written."""


class WorkspaceBusy(StoreError):
    """Another process holds the catalog of the workspace; nothing is wrong with it, and later it will do."""


class DiskFull(StoreError):
    """The disk of the workspace has no room; nothing is lost, and with room the work goes on."""
