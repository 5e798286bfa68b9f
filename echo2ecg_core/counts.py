"""Counts and enumerations in words, as every floor says them."""

from collections.abc import Sequence


def counted(n: int, one: str, several: str = "") -> str:
    """A count with its noun: "1 study", "1,204 studies"; `several` where an s is not enough."""
    return f"{n:,} {one if n == 1 else several or f'{one}s'}"


def counted_days(days: float) -> str:
    """A time in days: "1 day", "0.5 days", "7 days"."""
    return f"{days:g} day{'' if days == 1 else 's'}"


def counted_contents(patients: int, studies: int, clips: int, ecgs: int) -> str:
    """What there is of each: "1 patient, 2 studies, 12 clips and 1 ECG"."""
    return (
        f"{counted(patients, 'patient')}, {counted(studies, 'study', 'studies')}, {counted(clips, 'clip')} and "
        f"{counted(ecgs, 'ECG')}"
    )


def listing(names: Sequence[str]) -> str:
    """Names as an enumeration in a sentence: "V1", "V1 and V2", "V1, V2 and V3"."""
    names = [str(name)[:40] for name in names]
    if len(names) > 12:
        names = [*names[:12], f"{len(names) - 12} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
