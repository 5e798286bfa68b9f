"""The version of this program, from its installed metadata or, in a checkout that was not installed, pyproject.toml."""

import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


@cache
def program_version() -> str:
    """Like "0.2.0"; a checkout tells its own, even beside an installed copy."""
    if PYPROJECT.is_file():
        return tomllib.loads(PYPROJECT.read_text())["project"]["version"]
    try:
        return version("echo2ecg-explorer")
    except PackageNotFoundError:
        return "unknown"
