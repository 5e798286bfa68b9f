"""Reads the dependencies from requirements.txt, so that every pin stands in one place.

Lines above "# --- tests" are what the program needs; those below are the extra `tests`, of which one is the extra
`cluster` too.
"""

from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

TESTS = "# --- tests"


def pins(text: str) -> list[str]:
    """The requirements of some lines, without their reasons."""
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


class Requirements(MetadataHookInterface):
    """Fills `dependencies` and `optional-dependencies`."""

    def update(self, metadata: dict) -> None:
        program, _, tests = (Path(self.root) / "requirements.txt").read_text().partition(TESTS)
        metadata["dependencies"] = pins(program)
        cluster = [pin for pin in pins(tests) if pin.startswith("distributed==")]
        metadata["optional-dependencies"] = {"tests": pins(tests), "cluster": cluster}
