"""Fixtures shared by all tests.

`shared` is the folder of complete goldens and real sample files beside the project (or where ECHO2ECG_SHARED points).
It is not part of the project: tests that use it skip, by name, where it is absent. `goldens` falls back to those that
ship, which are thinned out (tests/goldens/README.md).
"""

import os
import shutil
import sys
from pathlib import Path

import pytest
from filelock import FileLock

if "PYTEST_XDIST_WORKER" in os.environ:  # the processes share the cores: one thread each, set before numpy is imported
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")

SHIPPED_GOLDENS = Path(__file__).resolve().parent / "goldens"
SHARED = Path(os.environ.get("ECHO2ECG_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    if not (SHARED / "goldens").is_dir():
        pytest.skip("needs the shared folder (goldens and sample files) beside the project or ECHO2ECG_SHARED")
    return SHARED


class ShippedGoldens(type(Path())):
    """The goldens that ship; a test that asks for one that does not is skipped, by name."""

    def __truediv__(self, name):
        path = Path(self) / name
        if not path.exists():
            pytest.skip(f"the goldens that ship do not hold {name}: needs the shared folder beside the project")
        return path


@pytest.fixture(scope="session")
def goldens() -> Path:
    return SHARED / "goldens" if (SHARED / "goldens").is_dir() else ShippedGoldens(SHIPPED_GOLDENS)


@pytest.fixture(scope="session")
def samples(shared) -> Path:
    return shared / "data" / "samples"


@pytest.fixture(scope="session")
def demo_workspace(tmp_path_factory, worker_id):
    """The demo workspace with eight patients instead of all, built by the real job, once for all test processes."""
    from echo2ecg_core.store.database import Workspace

    own = tmp_path_factory.mktemp("demo") / "workspace"
    if worker_id == "master":
        return _built_demo(Workspace(own))
    built = tmp_path_factory.getbasetemp().parent / "built-demo"
    with FileLock(f"{built}.lock"):
        if not built.is_dir():
            _built_demo(Workspace(built.with_name("demo-in-the-making")))
            built.with_name("demo-in-the-making").rename(built)
    shutil.copytree(built, own)
    return Workspace(own)


def _built_demo(workspace):
    from echo2ecg_core.intake import demo
    from echo2ecg_core.store import jobs
    from echo2ecg_core.worker import work

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
