"""Fixtures shared by all tests.

`shared` is the folder of complete goldens and real sample files beside the project (or where ECHO2ECG_SHARED points).
It is not part of the project: tests that use it skip, by name, where it is absent. `goldens` falls back to those that
ship, which are thinned out (tests/goldens/README.md).
"""

import functools
import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

if "PYTEST_XDIST_WORKER" in os.environ:  # the processes share the cores: one thread each, set before numpy is imported
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")

gc.disable()  # while the test files are collected: what their imports make stays


def pytest_collection_finish(session):
    """What was imported is never looked through for garbage again, and the metadata of the installed packages are read
    once: every AppTest would look through all of them for components, which takes longer than most pages."""
    gc.freeze()
    gc.enable()
    if "streamlit.testing.v1" in sys.modules:
        from streamlit.components.v2 import manifest_scanner

        manifest_scanner.scan_component_manifests = functools.cache(manifest_scanner.scan_component_manifests)


# A write of the catalog waits for the disk, and tests make thousands: their folders lie in memory where it has room.
MEMORY = Path("/dev/shm")
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= 4 << 30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

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


@pytest.fixture
def disk_path():
    """As `tmp_path`, on the disk: a write holds its lock while it waits for it, in memory next to no time."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def built_once(tmp_path_factory, worker_id):
    """Gives a workspace that one test process builds and every test process has a copy of: built_once(name, build); the
    next test run, too, where BUILT_WORKSPACES names a folder for both."""
    from echo2ecg_core.store.database import Workspace

    def workspace(name: str, build: Callable[[Path], Workspace]) -> Workspace:
        own = tmp_path_factory.mktemp(name)
        if worker_id == "master":
            return build(own)
        kept = os.environ.get("BUILT_WORKSPACES")
        built = (Path(kept) if kept else tmp_path_factory.getbasetemp().parent) / f"built-{name}"
        with FileLock(f"{built}.lock"):
            if not built.is_dir():
                half = built.with_name(f"half-{built.name}")
                shutil.rmtree(half, ignore_errors=True)
                half.mkdir()
                build(half)
                half.rename(built)
        shutil.copytree(built / "workspace", own / "workspace")
        return Workspace(own / "workspace")

    return workspace


@pytest.fixture(scope="session")
def demo_workspace(built_once):
    """The demo workspace with eight patients instead of all, built by the real job."""
    return built_once("demo", _built_demo)


@pytest.fixture(scope="session")
def ecg_only_workspace(built_once):
    """A workspace whose active model is an ECG encoder without an echo side; tests that change it take a copy."""
    from tests.ecg_only_workspace import active_workspace

    return built_once("ecg-only", active_workspace)


def _built_demo(folder: Path):
    from echo2ecg_core.intake import demo
    from echo2ecg_core.store import jobs
    from echo2ecg_core.store.database import Workspace
    from echo2ecg_core.worker import work

    workspace = Workspace(folder / "workspace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "DEMO_PATIENTS", {"test": 4, "validation": 2, "train": 2})
        jobs.queue(workspace, "demo")
        assert work(workspace) == 1
    job = jobs.jobs(workspace)[-1]
    assert job.state == "done", job.message
    return workspace


@pytest.fixture(autouse=True)
def the_main_module_stays():
    """Streamlit's AppTest puts its script in the place of __main__; processes spawned by a later test would run that
    script."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main
