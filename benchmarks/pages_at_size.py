"""What pages ask of a large workspace: seconds of the first call, and the 95th percentile of the next ones.

    python -m benchmarks.pages_at_size [--ecgs 100000] [--workspace FOLDER] [--chromium] [--interactions 500]

Makes a workspace of made-up rows (a fifth as many studies as ECGs with 10 phenotypes, eight clips a study, 512
numbers a vector, no files of ECGs or clips) in FOLDER, or takes the one that is there; then times the functions behind
the pages, one JSON line each. "after a write" is the first call after somebody changed the catalogue; processor
seconds stand beside the clock's, on a busy machine they are the ones to believe. `--chromium` serves the app on that
workspace and drives it (`Watched` says what is measured): pages by their address and by their link, another layout of
the map, lassos; memory of the server before and after `--interactions` of another layout.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

WIDTH, CLIPS_A_STUDY, REPEATS = 512, 8, 20
MODEL = {"name": "made up", "sha256": "b16" + "0" * 61, "synthetic": True}


def filled(folder: Path, n: int):
    """The workspace of n ECGs."""
    from echo2ecg_core.echo.clip import VIEWS
    from echo2ecg_core.phenotypes import PHENOTYPES
    from echo2ecg_core.store.database import Workspace
    from echo2ecg_core.store.model_registry import ModelRegistry
    from echo2ecg_core.store.vectors import VectorSet

    workspace, rng, n_studies = Workspace(folder), np.random.default_rng(0), n // 5
    if workspace.exists():
        return workspace
    views, names = list(VIEWS), list(PHENOTYPES)[:10]
    day = [f"20{20 + i % 6}-0{1 + i % 9}-1{i % 10}" for i in range(n_studies)]
    ecgs = [f"E{i:07d}" for i in range(n)]
    studies = [f"S{i:07d}" for i in range(n_studies)]
    with workspace.write() as db:
        db.executemany(
            "INSERT INTO patients VALUES (?, ?, ?, 'made up', 1)",
            [(f"P{i:07d}", ("male", "female")[i % 2], ("train", "validation", "test")[i % 3]) for i in range(n // 2)],
        )
        db.executemany(
            "INSERT INTO studies (study_id, patient_id, study_date, age_years, rhythm) VALUES (?, ?, ?, ?, 'sinus')",
            [(s, f"P{i:07d}", day[i], 20.0 + i % 70) for i, s in enumerate(studies)],
        )
        db.executemany(
            "INSERT INTO phenotypes VALUES (?, ?, ?)",
            ((s, name, float(v)) for s in studies for name, v in zip(names, rng.normal(50, 9, 10), strict=True)),
        )
        db.executemany(
            "INSERT INTO clips (clip_id, study_id, view, fps, n_frames, r_wave_times_s, format, notes, blob)"
            " VALUES (?, ?, ?, 50, 32, '[]', 'mp4', '[]', ?)",
            (
                (f"C{i:07d}", studies[i // CLIPS_A_STUDY], views[(i * 7 + i // 8) % len(views)], f"c/{i}")
                for i in range(CLIPS_A_STUDY * n_studies)
            ),
        )
        db.executemany(
            "INSERT INTO ecgs (ecg_id, patient_id, ecg_time, sampling_rate_hz, duration_s, format, content_hash, blob)"
            " VALUES (?, ?, ?, 500, 10, 'mat', ?, ?)",
            (
                (e, f"P{i % (n // 2):07d}", f"{day[i % n_studies]}T{i % 24:02d}:{i % 60:02d}", f"{i:064x}", f"e/{i}")
                for i, e in enumerate(ecgs)
            ),
        )
    made = folder / "made_model"
    made.mkdir()
    (made / "manifest.json").write_text(json.dumps(MODEL))
    registry = ModelRegistry(workspace)
    model_id = registry.register(made).model_id
    registry.promote(model_id)
    for kind, ids in (("ecg", ecgs), ("ecg_aligned", ecgs), ("study_aligned", studies)):
        matrix = rng.standard_normal((len(ids), WIDTH), np.float32)
        VectorSet(kind, model_id, tuple(ids), matrix).save(workspace.vectors)
    draw(workspace, model_id, [f"ecg:{i}" for i in ecgs] + [f"study:{i}" for i in studies], rng)
    return workspace


def draw(workspace, model_id: str, ids: list[str], rng: np.random.Generator) -> None:
    """A map with a place for every point, drawn by chance; 50,000 of them as if fitted."""
    from echo2ecg_core.answers.map_drawing import MOST_FITTED, fitted_rows
    from echo2ecg_core.store.paths import map_path

    path, arrays = map_path(workspace, model_id), {}
    path.parent.mkdir(parents=True, exist_ok=True)
    is_ecg = np.array([i.startswith("ecg") for i in ids])
    for name, rows in (("together", np.arange(len(ids))), ("ecgs", np.flatnonzero(is_ecg))):
        own = [ids[row] for row in rows]
        fitted = fitted_rows(own, MOST_FITTED)
        vectors = rng.standard_normal((len(fitted), WIDTH), np.float32)
        arrays |= {
            f"{name}_ids": np.array(own),
            f"{name}_fitted": fitted,
            f"{name}_vectors": vectors.astype(np.float16),
            f"{name}_centre": vectors.mean(0),
            f"{name}_xy": rng.standard_normal((len(own), 2), np.float32),
        }
    np.savez(path, **arrays)


def questions(workspace) -> dict[str, Callable[[], object]]:
    """What a page asks, by name."""
    from echo2ecg_core.answers.loaded_model import active_model_card
    from echo2ecg_core.answers.maps import load_map, undrawn
    from echo2ecg_core.answers.predict import Prediction, _Labelled
    from echo2ecg_core.answers.search import Filters, candidates, nearest_ecgs, patient_of, search
    from echo2ecg_core.ecg.record import EcgRecord
    from echo2ecg_core.reports.contents import contents

    card, rng = active_model_card(workspace), np.random.default_rng(1)
    record = EcgRecord(np.zeros((12, 5000), np.float32), 500.0, "made up", "new")
    vector = rng.standard_normal(WIDTH).astype(np.float32)
    prediction = Prediction({}, vector, vector, card.model_id)
    model = SimpleNamespace(card=card)
    strict = Filters(views=("A4C",), sex="female", age_years=(40, 60), phenotypes={"lvef": (30, 70)})
    return {
        "new ECG: neighbours": lambda: _Labelled(model, workspace).nearest(vector, record),
        "new ECG: is it here": lambda: patient_of(record, workspace),
        "candidates, no filter": lambda: candidates(workspace, Filters()),
        "candidates, four filters": lambda: candidates(workspace, strict),
        "search, no filter": lambda: search(prediction, workspace),
        "search, four filters": lambda: search(prediction, workspace, filters=strict),
        "report: what changed since": lambda: contents(workspace, card.model_id),
        "start from a study": lambda: nearest_ecgs("S0000010", workspace),
        "map: points": lambda: load_map(workspace, card.model_id),
        "map: undrawn": lambda: undrawn(workspace, card.model_id),
        **of_the_map(load_map(workspace, card.model_id)),
        **of_cohorts(workspace),
    }


def of_cohorts(workspace) -> dict[str, Callable[[], object]]:
    """What the Cohorts page asks of one cohort that holds everything."""
    from echo2ecg_core.store import characteristics, cohorts

    last = cohorts.cohorts(workspace)[0].patients // 12 * 12
    return {
        "cohorts: counts": lambda: cohorts.cohorts(workspace),
        "cohorts: the last page of patients": lambda: cohorts.patients(workspace, "made up", first=last, most=12),
        "cohorts: a patient": lambda: cohorts.patient(workspace, "P0000010"),
        "cohorts: missing": lambda: cohorts.missing(workspace, "made up"),
        "cohorts: distributions": lambda: cohorts.distributions(workspace, "made up"),
        "cohorts: one side of a comparison": lambda: characteristics.characteristics(workspace, "made up"),
    }


def of_the_map(points) -> dict[str, Callable[[], object]]:
    """What the map asks of its points."""
    from echo2ecg_core.answers.maps import inside
    from echo2ecg_core.evaluation.groups import compare, of_patients
    from echo2ecg_core.figures.map_density import density_figure, density_picture, whole

    view = whole(points)
    radius = np.sort(np.hypot(points.x, points.y).to_numpy())[min(5000, len(points) - 1)]
    turn = np.linspace(0, 2 * np.pi, 200)
    circle = (radius * np.cos(turn), radius * np.sin(turn))
    chosen, picture = inside(points, [circle]), density_picture(points, "lvef", view)
    patients = of_patients(points, ["lvef", "lvedv", "lavi", "ivsd", "age_years"])
    return {
        "map: picture": lambda: density_picture(points, "lvef", view),
        "map: figure": lambda: density_figure(points, "lvef", picture, None).to_json(),
        f"map: lasso of {chosen.sum()}": lambda: inside(points, [circle]),
        "map: against the rest": lambda: compare(patients, chosen),
    }


def timed(ask: Callable[[], object]) -> np.ndarray:
    """Seconds by the clock and of the processor."""
    begun, used = time.perf_counter(), time.process_time()
    ask()
    return np.array([time.perf_counter() - begun, time.process_time() - used])


def functions(workspace, repeats: int) -> None:
    """Print a line a question."""
    from echo2ecg_core.store.catalog import Catalog

    for name, ask in questions(workspace).items():
        first, later = timed(ask), np.sort([timed(ask) for _ in range(repeats)], axis=0)
        Catalog(workspace).add_patient(f"new-{time.time_ns()}", split="test", cohort="made up", synthetic=True)
        write = timed(ask)
        told = {
            "benchmark": "pages_at_size",
            "what": name,
            "first_s": round(first[0], 3),
            "p50_ms": round(1000 * later[len(later) // 2, 0], 1),
            "p95_ms": round(1000 * later[int(0.95 * (len(later) - 1)), 0], 1),
            "p50_processor_ms": round(1000 * later[len(later) // 2, 1], 1),
            "after_a_write_s": round(write[0], 3),
            "after_a_write_processor_s": round(write[1], 3),
        }
        print(json.dumps(told), flush=True)
    print(json.dumps({"benchmark": "pages_at_size", "what": "memory", "peak_mb": peak_mb("self")}), flush=True)


class Server:
    """What the server process of the app uses."""

    def __init__(self):
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        self.pid = next(p for p in children if b"streamlit" in Path(f"/proc/{p}/cmdline").read_bytes())

    def processor_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        return memory_mb(self.pid, "VmRSS")


def memory_mb(pid: str, which: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return round(int(next(line for line in lines if line.startswith(which)).split()[1]) / 1024)


def peak_mb(pid: str) -> float:
    return memory_mb(pid, "VmHWM")


# when the page was touched last, and when it last showed something new: a frame painted a change of the document
WATCH = """
window.touched = window.shown = 0;
const shown = () => requestAnimationFrame(() => setTimeout(() => { window.shown = performance.now(); }));
new MutationObserver(shown).observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
addEventListener("pointerup", () => { window.touched = performance.now(); }, true);
"""
STILL_MS = 700
PATIENCE_MS = 300_000  # the first map of a million, on a busy machine
STILL = """(ms) => document.querySelector(".stApp")?.dataset.testScriptState === "notRunning"
  && performance.now() - window.shown > ms"""


class Watched:
    """A page, and what an action on it costs: seconds from the touch (of a load: from its begin) to the last change
    that was painted before it rested, processor seconds of its main thread and of the server, bytes it was sent."""

    def __init__(self, page):
        self.page, self.server, self.got = page, Server(), 0
        page.add_init_script(WATCH)
        page.on("websocket", lambda socket: socket.on("framereceived", self._receive))
        self.devtools = page.context.new_cdp_session(page)
        self.devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def _receive(self, frame) -> None:
        self.got += len(frame)

    def _browser_s(self) -> float:
        told = self.devtools.send("Performance.getMetrics")["metrics"]
        return next(one["value"] for one in told if one["name"] == "TaskDuration")

    def cost(self, act: Callable[[], object], shows: str) -> dict[str, float]:
        """Act, wait until what it `shows` (a selector) is there and the page rests."""
        self.got, used, worked = 0, self.server.processor_s(), self._browser_s()
        act()
        self.page.locator(shows).first.wait_for(state="attached")
        self.page.wait_for_function(STILL, arg=STILL_MS, polling=100)
        is_loaded = self.page.evaluate("window.touched === 0")  # then the browser counts from nothing
        return {
            "s": self.page.evaluate("window.shown - window.touched") / 1000,
            "server_processor_s": self.server.processor_s() - used,
            "browser_processor_s": self._browser_s() - (0 if is_loaded else worked),
            "kb": self.got / 1000,
            "server_mb": self.server.memory_mb(),
        }


def tell(what: str, costs: list[dict[str, float]]) -> None:
    """Print the first of these apart, then median and 95th percentile of the others."""
    first, *later = costs
    print(json.dumps({"benchmark": "pages_at_size", "what": f"{what}: first", **_rounded(first)}), flush=True)
    if later:
        middle = {name: float(np.median([one[name] for one in later])) for name in first}
        p95 = round(float(np.percentile([one["s"] for one in later], 95)), 2)
        told = {"what": f"{what}: then, median of {len(later)}", **_rounded(middle), "p95_s": p95}
        print(json.dumps({"benchmark": "pages_at_size", **told}), flush=True)


def _rounded(cost: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in cost.items()}


def in_chromium(workspace, interactions: int) -> None:
    """Print two lines a page and an action."""
    from tests.browser.running_app import chromium, running_app

    with running_app(workspace.folder) as address, chromium() as page:
        page.set_default_timeout(PATIENCE_MS)
        watched, drawn = Watched(page), ".js-plotly-plot .imagelayer image"
        open_pages = (("map", "Map", drawn), ("report", "Report", "h1"), ("import", "Import", "h1"))
        open_pages += (("studies", "Similar studies", "h1"),)
        for path, _, shows in open_pages:
            tell(
                f"{path}, by address", [watched.cost(partial(page.goto, f"{address}/{path}"), shows) for _ in range(4)]
            )
        by_link: dict[str, list] = {path: [] for path, *_ in open_pages}
        for _ in range(4):
            for path, name, shows in open_pages:
                link = page.locator("[data-testid=stSidebarNavLink]", has_text=name)
                title = f".e2e-title h1:text-is('{name}')"
                by_link[path].append(watched.cost(link.click, shows if shows != "h1" else title))
        for path, costs in by_link.items():
            tell(f"{path}, by its link", costs)
        watched.cost(lambda: page.goto(f"{address}/map"), drawn)
        others = [page.get_by_role("radio", name=name).click for name in ("ECGs", "Together")] * 10
        tell("map, another layout", [watched.cost(other, drawn) for other in others])
        table = ".st-key-map_selection .stDataFrame"
        tell("map, lasso", [watched.cost(partial(lasso, page, way), table) for way in range(12, 32)])
        before = watched.server.memory_mb()
        for number in range(interactions):
            watched.cost(others[number % 2], drawn)
        grown = {"what": f"after {interactions} reruns", "server_mb": [before, watched.server.memory_mb()]}
        print(json.dumps({"benchmark": "pages_at_size", **grown}), flush=True)


def lasso(page, way: float) -> None:
    """Draw a square of 2 x way pixels about the middle of the map."""
    box = page.locator(".js-plotly-plot").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - way, y - way)
    page.mouse.down()
    for dx, dy in ((way, -way), (way, way), (-way, way), (-way, -way)):
        page.mouse.move(x + dx, y + dy, steps=5)
    page.mouse.up()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ecgs", type=int, default=100_000)
    parser.add_argument("--workspace", type=Path, default=None)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--chromium", action="store_true")
    parser.add_argument("--interactions", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = filled(options.workspace or Path(folder) / "w", options.ecgs)
        if options.chromium:
            in_chromium(workspace, options.interactions)
        else:
            functions(workspace, options.repeats)


if __name__ == "__main__":
    main()
