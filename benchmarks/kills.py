"""SIGKILL at random moments of demo, import, embed, map, train, evaluate, promote and remove; nothing may be lost.

    python benchmarks/kills.py [--kills 200] [--steps demo,import,…] [--seed 1] [--after-demo WORKSPACE]

Each step begins with a copy of the workspace that the steps before it left, runs in a process of its own and is killed
up to three times at moments drawn evenly over the time it takes unbroken (killed processes get no chance to tidy up);
then it is begun again as a person would and runs to its end. What it leaves is compared with what an unbroken run
left: rows of the catalog, names and contents of files, ids and vectors, weights (by their id), the map, the report.
Steps that pages queue are jobs (their worker is killed); the others are what the terminal does. One JSON line a step:
kills, runs, how many differed and in what, vectors' largest difference, temporary files left behind, seconds.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from echo2ecg_core.intake import demo  # noqa: E402
from echo2ecg_core.store import jobs  # noqa: E402
from echo2ecg_core.store.database import Workspace  # noqa: E402
from echo2ecg_core.store.vectors import load_vectors, stored_sets  # noqa: E402

PATIENTS = {"test": 4, "validation": 2, "train": 2}
IMPORTED = 90
MOST_KILLS = 3  # of one run; a job that lost its worker five times has failed
LATER = {"audit", "jobs", "catalogue", "versions", "written", "removals", "sqlite_sequence"}
TIMES = {"registered_at", "set_aside_at"}
TRAINING = {"patients": 0, "objective": "masked", "epochs": 2, "batch_size": 16, "precision": "32-true"}
STEPS = ("demo", "import", "embed", "map", "train", "evaluate", "promote", "remove")


def job(kind: str, parameters: Callable[[Workspace], dict] = lambda place: {}) -> Callable[[Workspace], None]:
    """What a page does: queue a job and let a worker do it."""

    def act(place: Workspace) -> None:
        from echo2ecg_core.worker import work

        given = parameters(place)
        waiting = [one for one in jobs.jobs(place, open_only=True) if one.kind == kind]
        number = waiting[0].job_id if waiting else jobs.queue(place, kind, given)
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


def steps(archive: Path) -> dict[str, Callable[[Workspace], None]]:
    """Every step by name."""
    return {
        "demo": job("demo"),
        "import": job("import", lambda place: {"folder": str(archive), "cohort": "imported", "prepare": False}),
        "embed": embed,
        "map": job("map"),
        "train": job("train", lambda place: {"preset": "demo", "set": TRAINING, "name": "trained"}),
        "evaluate": job("evaluate", lambda place: {"model": _active(place)}),
        "promote": promote,
        "remove": lambda place: remove_again(place, "imported"),
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
        "files": sorted(str(p.relative_to(place.blobs)) for p in place.blobs.rglob("*") if _is_ours(p)),
        "models": sorted(p.name for p in place.models.glob("[!.]*")),
        "vectors": vectors,
        "maps": {p.name: _arrays(p) for p in place.maps.glob("*.npz")},
        "reports": {str(p.relative_to(place.folder)): _report(p) for p in place.folder.glob("reports/**/report.json")},
    }


def _is_ours(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as drawn:
        return {name: drawn[name] for name in drawn.files}


def _report(path: Path) -> dict:
    found = json.loads(path.read_text())
    return {name: found[name] for name in ("tasks", "retrieval", "counts") if name in found}


def differences(left: dict, right: dict) -> tuple[list[str], float]:
    """What differs, in words, and the largest difference of a vector's number."""
    found = [f"rows of {n}" for n in left["rows"] if left["rows"][n] != right["rows"].get(n)]
    found += [what for what in ("files", "models") if left[what] != right[what]]
    largest = 0.0
    for what in ("vectors", "maps", "reports"):
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
    for name in left["maps"].keys() & right["maps"].keys():
        one, other = left["maps"][name], right["maps"][name]
        if one.keys() != other.keys() or any(not np.array_equal(one[k], other[k]) for k in one):
            found.append(f"the map {name}")
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


def killed(
    name: str, act, before: Path, after: dict, took_s: float, n_kills: int, chance: random.Random, base: Path
) -> dict:
    """Kill a step so many times in all; one JSON-able line of what came of it."""
    kills, runs, wrong, largest, temporary, began = 0, 0, [], 0.0, 0, time.monotonic()
    while kills < n_kills:
        folder = base / f"{name}-{runs}"
        if before.exists():
            shutil.copytree(before, folder)
        place, moments = Workspace(folder), []
        for _ in range(min(MOST_KILLS, n_kills - kills)):
            moments.append(round(chance.uniform(0, took_s), 3))
            if in_a_process(act, place, moments[-1]):
                break
            kills += 1
        in_a_process(act, place)
        found, difference = differences(after, state(place))
        largest, runs, temporary = max(largest, difference), runs + 1, temporary + len(left_behind(place))
        if found:
            wrong.append({"moments_s": moments, "differs": found})
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "step": name,
        "kills": kills,
        "runs": runs,
        "different": len(wrong),
        "first_differences": wrong[:3],
        "largest_vector_difference": largest,
        "temporary_files_left": temporary,
        "unbroken_s": round(took_s, 1),
        "seconds": round(time.monotonic() - began),
    }


def main(kills: int, wanted: list[str], seed: int, base: Path, after_demo: Path | None = None) -> list[dict]:
    """Run all steps once unbroken, and the wanted ones with kills; prints and returns a line a step."""
    from echo2ecg_core.phantom.cohort import write_cohort

    demo.DEMO_PATIENTS = PATIENTS
    import echo2ecg_core.answers.map_drawing
    import echo2ecg_core.reports.evaluate
    import echo2ecg_core.training.train
    import echo2ecg_core.worker  # noqa: F401  (loaded once, here, for all the processes to come)

    archive = base / "archive"
    write_cohort(archive, IMPORTED, 5, ecg_only=True)
    chance, lines, known = random.Random(seed), [], steps(archive)
    share = dict.fromkeys(wanted, kills // len(wanted))
    for name in wanted[: kills % len(wanted)]:
        share[name] += 1
    before = base / "nothing"
    for name in STEPS[: 1 + max(STEPS.index(one) for one in wanted)]:
        whole = base / f"after-{name}"
        if before.exists():
            shutil.copytree(before, whole)
        began = time.monotonic()
        if name == "demo" and after_demo:
            shutil.copytree(after_demo, whole)
        else:
            in_a_process(known[name], Workspace(whole))
        took_s = time.monotonic() - began
        if share.get(name):
            after = state(Workspace(whole))
            lines.append(killed(name, known[name], before, after, took_s, share[name], chance, base))
            print(json.dumps(lines[-1]), flush=True)
        before = whole
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--steps", default=",".join(STEPS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--after-demo", type=Path, help="A workspace with the demo of eight patients, to begin from.")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        lines = main(asked.kills, asked.steps.split(","), asked.seed, Path(folder), asked.after_demo)
    sys.exit(any(line["different"] for line in lines))
