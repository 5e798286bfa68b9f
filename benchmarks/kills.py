"""SIGKILL at random moments of demo, import, embed, map, train, evaluate, promote and remove; nothing may be lost.

    python benchmarks/kills.py [--kills 200] [--steps demo,import,…] [--seed 1] [--folder KEPT]

Each step begins with a copy of the workspace that the steps before it left, runs in a process of its own and is killed
up to three times at moments drawn evenly over the time it takes unbroken (killed processes get no chance to tidy up);
then it is begun again as a person would and runs to its end. What it leaves is compared with what an unbroken run
left: rows of the catalog, names and contents of files, ids and vectors, weights (by their id), the map, the report with
its predictions; and `check` finds everything whole. Steps that pages queue are jobs (their worker is killed); the
others are what the terminal does. In `server` the dashboard itself is killed while its worker evaluates, every second
time together with the worker; in `server remove` it is killed after a person has clicked "Take out" in Chromium. Both
times the next start has to end the work without anybody's help.

With --folder the unbroken workspaces and a line a run (runs.jsonl) are kept there, and a series that was ended goes on
where it was. Printed is one JSON line a step: kills, runs, how many differed and in what, vectors' largest difference,
temporary files left behind, seconds.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import numpy as np

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from echo2ecg_core.intake import demo  # noqa: E402
from echo2ecg_core.intake.check import check_workspace  # noqa: E402
from echo2ecg_core.store import jobs  # noqa: E402
from echo2ecg_core.store.database import Workspace  # noqa: E402
from echo2ecg_core.store.vectors import load_vectors, stored_sets  # noqa: E402

PATIENTS = {"test": 4, "validation": 2, "train": 2}
IMPORTED = 90
MOST_KILLS = 3  # of one run; a job that lost its worker five times has failed
LATER = {"audit", "jobs", "catalogue", "versions", "written", "removals", "sqlite_sequence"}
TIMES = {"registered_at", "set_aside_at"}
TRAINING = {"patients": 0, "objective": "masked", "epochs": 2, "batch_size": 16, "precision": "32-true"}
STEPS = ("start", "demo", "import", "embed", "map", "train", "server", "evaluate", "promote", "remove", "server remove")
AFTER = {"server": "train", "server remove": "promote"}  # begin where this one ended; the others where the one before
CLICKED_S = 2.0  # from the click to the end of a removal, on a page
LAST_S = 600.0
MADE = {"created_at"}  # of a report: when it was made


def job(kind: str, parameters: Callable[[Workspace], dict] = lambda place: {}) -> Callable[[Workspace], None]:
    """What a page does: queue a job and let a worker do it; nobody queues again what a killed worker had just done."""

    def act(place: Workspace) -> None:
        from echo2ecg_core.worker import work

        given = parameters(place)
        earlier = [one.job_id for one in jobs.jobs(place) if one.kind == kind and (one.is_open or one.state == "done")]
        number = max(earlier) if earlier else jobs.queue(place, kind, given)
        work(place)
        ended = jobs.job(place, number)
        if ended.state != "done":
            raise RuntimeError(f"{kind}: {ended.state}: {ended.message}")

    return act


def embed(place: Workspace) -> None:
    """What `embed` in a terminal does."""
    from echo2ecg_core.answers.embed import embed_workspace
    from echo2ecg_core.answers.loaded_model import active_model_card

    embed_workspace(place, active_model_card(place))


def promote(place: Workspace) -> None:
    """What `promote --prepare` does with the model that was trained."""
    from echo2ecg_core.store.model_registry import ModelRegistry
    from echo2ecg_core.training.prepare import prepare_model
    from echo2ecg_core.training.promote import promote as make_active

    trained = next(card for card in ModelRegistry(place).models() if card.name == "trained")
    prepare_model(place, trained.model_id)
    make_active(place, trained.model_id)


def remove_again(place: Workspace, cohort: str) -> None:
    """What `remove --cohort` does; begun again, it may say that the cohort is gone."""
    from echo2ecg_core.errors import StoreError
    from echo2ecg_core.intake.removal import remove

    try:
        remove(place, cohort=cohort)
    except StoreError as error:
        if "There is no cohort" not in str(error):
            raise  # else its rows had gone already, and what they left has gone now


def evaluate(place: Workspace) -> None:
    """What the button Evaluate of the Models page does."""
    job("evaluate", lambda where: {"model": _active(where)})(place)


def first_start(place: Workspace) -> None:
    """What a starting server does with an empty folder, before its worker begins."""
    start_worker, jobs.start_worker = jobs.start_worker, lambda where: None
    demo.ensure_demo(place)
    jobs.start_worker = start_worker


def steps(archive: Path) -> dict[str, Callable[[Workspace], None]]:
    """Every step by name."""
    return {
        "start": first_start,
        "demo": job("demo"),
        "import": job("import", lambda place: {"folder": str(archive), "cohort": "imported", "prepare": False}),
        "embed": embed,
        "map": job("map"),
        "train": job("train", lambda place: {"preset": "demo", "set": TRAINING, "name": "trained"}),
        "server": lambda place: serve_until_evaluated(place),
        "evaluate": evaluate,
        "promote": promote,
        "remove": lambda place: remove_again(place, "imported"),
        "server remove": lambda place: remove_again(place, "imported"),
    }


def _active(place: Workspace) -> str:
    from echo2ecg_core.answers.loaded_model import active_model_card

    return active_model_card(place).model_id


def in_a_process(act: Callable[[Workspace], None], place: Workspace, kill_after_s: float | None = None) -> bool:
    """Do it in a forked process; True when it ran to its end, False when it was killed on the way."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            with open(os.devnull, "w") as nothing:
                os.dup2(nothing.fileno(), 1)
            act(place)
            os._exit(0)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
    until = time.monotonic() + (kill_after_s if kill_after_s is not None else 3600.0)
    while time.monotonic() < until:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            if os.waitstatus_to_exitcode(status) != 0:
                raise RuntimeError("the step failed by itself")
            return True
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return False


def serve_until_evaluated(place: Workspace, kill_after_s: float | None = None, too: bool = False) -> bool:
    """Serve the app on a workspace where an evaluation waits, until that is done or the server is killed.

    Args:
        kill_after_s: Kill the server so long after it was begun.
        too: Kill the worker with it, as a machine does that loses its power.

    Returns:
        True when the evaluation was done.
    """
    if not any(one.kind == "evaluate" for one in jobs.jobs(place)):
        jobs.queue(place, "evaluate", {"model": _active(place)})
    began = time.monotonic()
    with served(place) as (server, _):
        while time.monotonic() - began < (LAST_S if kill_after_s is None else kill_after_s):
            time.sleep(0.1)
            found = next(one for one in jobs.jobs(place) if one.kind == "evaluate")
            if not found.is_open and found.worker is None:
                if found.state != "done":
                    raise RuntimeError(f"evaluate: {found.state}: {found.message}")
                return True
            if kill_after_s is None:
                jobs.tend(place)  # what every page does that somebody looks at
        server.kill()
    worker = next(one for one in jobs.jobs(place) if one.kind == "evaluate").worker
    if too and worker:
        with suppress(ProcessLookupError):
            os.kill(int(worker.rpartition(":")[2]), signal.SIGKILL)
    if kill_after_s is None:
        raise RuntimeError(f"the evaluation was not done within {LAST_S:g} s")
    return False


def take_out_on_the_page(place: Workspace, cohort: str, kill_after_s: float | None = None) -> bool:
    """Take a cohort out on the Cohorts page, in Chromium, and kill the server so long after the last click; the next
    start of a server has to finish what was begun. False when the server was killed."""
    from tests.browser.running_app import chromium

    with served(place) as (server, address), chromium() as page:
        _until_warm(address)
        page.goto(f"{address}/cohorts?cohort={cohort}")
        page.get_by_role("button", name="Take this cohort out").click()
        page.get_by_role("button", name="Take out", exact=True).click()
        time.sleep(1.0 if kill_after_s is None else kill_after_s)
        if kill_after_s is not None:
            server.kill()
        else:
            page.get_by_text("Removed").first.wait_for()
    if kill_after_s is not None:
        with served(place) as (_, address):
            _until_warm(address)
    return kill_after_s is None


@contextmanager
def served(place: Workspace) -> Iterator[tuple[subprocess.Popen, str]]:
    """The app on a workspace, as a process, and its address."""
    from tests.browser.running_app import started_app

    server, address = started_app(place.folder, ECHO2ECG_AUTO_DEMO="true")
    try:
        yield server, address
    finally:
        server.kill()
        server.wait()


def _until_warm(address: str) -> None:
    """Wait until the server has done what it does at its start."""
    until = time.monotonic() + LAST_S
    while time.monotonic() < until:
        with suppress(OSError), urllib.request.urlopen(f"{address}/healthz", timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.2)
    raise RuntimeError("the server did not answer")


def state(place: Workspace) -> dict:
    """What a finished workspace holds, as far as it must not depend on how often it was interrupted."""
    with closing(sqlite3.connect(place.database)) as db:
        names = [r[0] for r in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {}
        for name in sorted(set(names) - LATER):
            columns = [r[1] for r in db.execute(f"PRAGMA table_info({name})") if r[1] not in TIMES]
            rows[name] = sorted(map(str, db.execute(f"SELECT {', '.join(columns)} FROM {name}")))
    vectors = {}
    for kind, model_id in stored_sets(place.vectors):
        found = load_vectors(place.vectors, kind, model_id)
        order = np.argsort(np.array(found.ids)) if found.ids else []
        vectors[f"{kind} {model_id}"] = ([found.ids[i] for i in order], np.asarray(found.matrix)[order])
    return {
        "rows": rows,
        "jobs": sorted((one.kind, json.dumps(one.parameters), one.state) for one in jobs.jobs(place)),
        "files": sorted(str(p.relative_to(place.blobs)) for p in place.blobs.rglob("*") if _is_ours(p)),
        "models": sorted(p.name for p in place.models.glob("[!.]*")),
        "vectors": vectors,
        "maps": {p.name: _arrays(p) for p in place.maps.glob("*.npz")},
        "reports": {_within(place, p): _report(p) for p in place.folder.glob("reports/**/report.json")},
        "predictions": {_within(place, p): _arrays(p) for p in place.folder.glob("reports/**/predictions.npz")},
    }


def not_whole(place: Workspace) -> list[str]:
    """What `check` finds, in a process of its own: this one is forked again and must stay without networks."""
    with tempfile.NamedTemporaryFile("r") as told:

        def look(where: Workspace) -> None:
            Path(told.name).write_text(json.dumps([row["name"] for row in check_workspace(where) if not row["ok"]]))

        in_a_process(look, place)
        return json.load(told)


def _within(place: Workspace, path: Path) -> str:
    return str(path.relative_to(place.folder))


def _is_ours(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as drawn:
        return {name: drawn[name] for name in drawn.files}


def _report(path: Path) -> dict:
    return {name: value for name, value in json.loads(path.read_text()).items() if name not in MADE}


def differences(left: dict, right: dict) -> tuple[list[str], float]:
    """What differs, in words, and the largest difference of a vector's number."""
    found = [f"rows of {n}" for n in left["rows"] if left["rows"][n] != right["rows"].get(n)]
    found += [what for what in ("files", "models", "jobs") if left[what] != right[what]]
    largest = 0.0
    for what in ("vectors", "maps", "reports", "predictions"):
        if left[what].keys() != right[what].keys():
            found.append(f"which {what}: {sorted(left[what].keys() ^ right[what].keys())}")
    for name in left["vectors"].keys() & right["vectors"].keys():
        (ids, matrix), (other_ids, other) = left["vectors"][name], right["vectors"][name]
        if ids != other_ids:
            found.append(f"ids of the vectors {name} ({len(ids)} and {len(other_ids)})")
        elif matrix.size:
            largest = max(largest, float(np.abs(matrix - other).max()))
    if largest > 1e-4:
        found.append("vectors")
    for what in ("maps", "predictions"):
        for name in left[what].keys() & right[what].keys():
            one, other = left[what][name], right[what][name]
            if one.keys() != other.keys() or any(not np.array_equal(one[k], other[k]) for k in one):
                found.append(f"{what} {name}")
    for name in left["reports"].keys() & right["reports"].keys():
        if not _alike(left["reports"][name], right["reports"][name]):
            found.append(f"the report {name}")
    return found, largest


def _alike(one, other) -> bool:
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(_alike(one[k], other[k]) for k in one)
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= 1e-4 * max(1.0, abs(one)) or (one != one and other != other)
    return one == other


def left_behind(place: Workspace) -> list[Path]:
    """Temporary files and folders that no process is writing any more."""
    return [p for p in place.folder.rglob(".*") if p.name.startswith((".writing-", ".copying-", ".half-"))]


def attempt(name: str, act, place: Workspace, kill_after_s: float | None, too: bool) -> bool:
    """One try at a step; True when it ran to its end."""
    if name == "server":
        return serve_until_evaluated(place, kill_after_s, too)
    if name == "server remove" and kill_after_s is not None:
        return take_out_on_the_page(place, "imported", kill_after_s)
    return in_a_process(act, place, kill_after_s)


def killed(
    name: str, act, before: Path, after: dict, took_s: float, n_kills: int, seed: int, base: Path, checked: bool = True
) -> dict:
    """Kill a step so many times in all, and write a line a run to runs.jsonl, where a series that was ended goes on.

    Args:
        name: Of the step; act: what it does.
        before: The workspace that it begins with; no folder for none.
        after: `state` of the workspace that an unbroken run left.
        took_s: How long that took.
        checked: Let `check` look through what each run has left.

    Returns:
        One JSON-able line of what came of it.
    """
    log = base / "runs.jsonl"
    runs = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    runs = [one for one in runs if one["step"] == name]
    while (kills := sum(one["kills"] for one in runs)) < n_kills:
        began, chance = time.monotonic(), random.Random(f"{seed} {name} {len(runs)}")
        folder = base / f"{name.replace(' ', '-')}-under-way"
        shutil.rmtree(folder, ignore_errors=True)
        if before.exists():
            shutil.copytree(before, folder)
        place, moments, n, ended = Workspace(folder), [], 0, False
        for _ in range(1 if name == "server remove" else min(MOST_KILLS, n_kills - kills)):
            moments.append(round(chance.uniform(0, took_s), 3))
            if ended := attempt(name, act, place, moments[-1], too=len(runs) % 2 == 1):
                break
            n += 1
        if not ended:
            attempt(name, act, place, None, too=False)
        found, largest = differences(after, state(place))
        found += [f"check: {what}" for what in not_whole(place)] if checked else []
        runs.append(
            {
                "step": name, "kills": n, "moments_s": moments, "differs": found, "largest_difference": largest,
                "temporary_files": len(left_behind(place)), "seconds": round(time.monotonic() - began, 1),
            }
        )  # fmt: skip
        with log.open("a") as file:
            file.write(json.dumps(runs[-1]) + "\n")
    shutil.rmtree(base / f"{name.replace(' ', '-')}-under-way", ignore_errors=True)
    wrong = [one for one in runs if one["differs"]]
    return {
        "step": name,
        "kills": sum(one["kills"] for one in runs),
        "runs": len(runs),
        "different": len(wrong),
        "first_differences": [{k: one[k] for k in ("moments_s", "differs")} for one in wrong[:3]],
        "largest_vector_difference": max((one["largest_difference"] for one in runs), default=0.0),
        "temporary_files_left": sum(one["temporary_files"] for one in runs),
        "unbroken_s": round(took_s, 1),
        "seconds": round(sum(one["seconds"] for one in runs)),
    }


def main(kills: int, wanted: list[str], seed: int, base: Path) -> list[dict]:
    """Run all steps once unbroken, and the wanted ones with kills; prints and returns a line a step."""
    from echo2ecg_core.phantom.cohort import write_cohort

    demo.DEMO_PATIENTS = PATIENTS
    import echo2ecg_core.answers.map_drawing
    import echo2ecg_core.reports.evaluate
    import echo2ecg_core.training.train
    import echo2ecg_core.worker  # noqa: F401  (loaded once, here, for all the processes to come)

    archive = base / "archive"
    if not archive.exists():
        write_cohort(archive, IMPORTED, 5, ecg_only=True)
    lines, known = [], steps(archive)
    share = dict.fromkeys(wanted, kills // len(wanted))
    for name in wanted[: kills % len(wanted)]:
        share[name] += 1
    for name in (one for one in STEPS if one in wanted):
        before, took_s = unbroken(name, known, base)
        after = state(Workspace(_after(name, base)))
        if found := not_whole(Workspace(_after(name, base))):
            raise RuntimeError(f"what an unbroken {name} left is not whole: {found}")
        lines.append(killed(name, known[name], before, after, took_s, share[name], seed, base))
        print(json.dumps(lines[-1]), flush=True)
    return lines


def unbroken(name: str, known: dict, base: Path) -> tuple[Path, float]:
    """Run a step once to its end, on what the steps before it left, unless that was done; the workspace that it began
    with and the seconds that it took."""
    chain = [one for one in STEPS if not one.startswith("server")]
    earlier = AFTER.get(name) or next((one for one, then in zip(chain, chain[1:], strict=False) if then == name), None)
    before = unbroken_end(earlier, known, base) if earlier and name != "demo" else base / "nothing"
    whole, took = _after(name, base), base / f"took-{name.replace(' ', '-')}.txt"
    if not took.exists():
        shutil.rmtree(whole, ignore_errors=True)
        if before.exists():
            shutil.copytree(before, whole)
        began = time.monotonic()
        if name == "server":
            serve_until_evaluated(Workspace(whole))
        else:
            in_a_process(known[name], Workspace(whole))
        seconds = CLICKED_S if name == "server remove" else time.monotonic() - began
        took.write_text(f"{seconds:.3f}")
    return before, float(took.read_text())


def unbroken_end(name: str, known: dict, base: Path) -> Path:
    """The workspace that an unbroken run of a step left."""
    unbroken(name, known, base)
    return _after(name, base)


def _after(name: str, base: Path) -> Path:
    return base / f"after-{name.replace(' ', '-')}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--steps", default=",".join(STEPS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="Keep everything here, and go on with what is there.")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        (asked.folder or Path(folder)).mkdir(parents=True, exist_ok=True)
        lines = main(asked.kills, asked.steps.split(","), asked.seed, asked.folder or Path(folder))
    sys.exit(any(line["different"] for line in lines))
