"""How work tells how far it is: a function of the share that is done (0 to 1) and what is being done, in words."""

from collections.abc import Callable

Progress = Callable[[float, str], None]


def silent(share: float, message: str) -> None:
    """Tells nobody."""


def part(progress: Progress, low: float, high: float) -> Progress:
    """The progress of one step of a work that is `low` done when the step begins and `high` done when it ends."""
    return lambda share, message: progress(low * (1 - share) + high * share, message)  # exact at both ends
