"""Fixtures shared by all tests.

`shared` is the folder of goldens and real sample files beside the project (or where ECHO2ECG_SHARED points). It is
not part of the project: tests that use it skip, by name, where it is absent.
"""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("ECHO2ECG_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    if not (SHARED / "goldens").is_dir():
        pytest.skip("needs the shared folder (goldens and sample files) beside the project or ECHO2ECG_SHARED")
    return SHARED


@pytest.fixture(scope="session")
def goldens(shared) -> Path:
    return shared / "goldens"


@pytest.fixture(scope="session")
def samples(shared) -> Path:
    return shared / "data" / "samples"
