"""The only errors a page or the terminal shows to a person.

Each carries two sentences: what is wrong (with what was expected and found) and what the person can do.
Everything else that is raised is a mistake of ours and may show a traceback in the log.
"""


class Echo2ECGError(Exception):
    """A problem that the person in front of the screen can understand and act on.

    Args:
        message: What is wrong, what was expected and what was found; one sentence.
        hint: What the person can do about it; one sentence, may be empty.
    """

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class ReadError(Echo2ECGError):
    """A file cannot be read as what it was given for."""


class SamplingRateNeeded(ReadError):
    """The file holds a signal but not its sampling rate; the person has to give it."""


class SetAside(ReadError):
    """A clip was read, but a person has to look at it before it may be kept."""


class SignalError(Echo2ECGError):
    """A file was read, but its signal cannot be used (too short, too few leads, flat)."""


class ModelError(Echo2ECGError):
    """A model, checkpoint or weight file is missing, damaged or does not fit."""


class StoreError(Echo2ECGError):
    """The workspace lacks something, holds something damaged or cannot be written."""


class WorkspaceBusy(StoreError):
    """Another process holds the catalog of the workspace; nothing is wrong with it, and later it will do."""


class DiskFull(StoreError):
    """The disk of the workspace has no room; nothing is lost, and with room the work goes on."""
