"""Fixtures shared by all tests.

`shared` is the folder of goldens and real sample files beside the project (or where ECHO2ECG_SHARED points). It is
not part of the project: tests that use it skip, by name, where it is absent.
"""

import os
import sys
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


@pytest.fixture(scope="session")
def demo_workspace(tmp_path_factory):
    """The demo workspace with eight patients instead of all, built by the real job."""
    from echo2ecg_core.intake import demo
    from echo2ecg_core.store import jobs
    from echo2ecg_core.store.database import Workspace
    from echo2ecg_core.worker import work

    workspace = Workspace(tmp_path_factory.mktemp("demo") / "workspace")
    patch = pytest.MonkeyPatch()
    patch.setattr(demo, "DEMO_PATIENTS", {"test": 4, "validation": 2, "train": 2})
    jobs.queue(workspace, "demo")
    assert work(workspace) == 1
    patch.undo()
    job = jobs.jobs(workspace)[-1]
    assert job.state == "done", job.message
    return workspace


@pytest.fixture(scope="session")
def ecg_only_workspace(tmp_path_factory):
    """A workspace whose active model is an ECG encoder without an echo side; tests that change it take a copy."""
    from tests.ecg_only_workspace import active_workspace

    return active_workspace(tmp_path_factory.mktemp("ecg-only"))


@pytest.fixture(autouse=True)
def the_main_module_stays():
    """Streamlit's AppTest puts its script in the place of __main__; processes spawned by a later test would run that
    script."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main
