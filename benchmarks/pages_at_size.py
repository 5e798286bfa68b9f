"""What pages ask of a large workspace: seconds of the first call, and the 95th percentile of the next ones.

    python -m benchmarks.pages_at_size [--ecgs 100000] [--workspace FOLDER]

Makes a workspace of made-up rows (a fifth as many studies as ECGs with 10 phenotypes, eight clips a study, 512
numbers a vector, no files of ECGs or clips) in FOLDER, or takes the one that is there; then times the functions behind
the pages, one JSON line each. Aims at 100,000 ECGs: docs of each function's page. "after a write" is the first call
after somebody changed the catalogue.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
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
    """A map with a place for every point, drawn by chance."""
    from echo2ecg_core.store.paths import map_path

    vectors, xy = rng.standard_normal((len(ids), WIDTH), np.float32), rng.standard_normal((len(ids), 2), np.float32)
    path = map_path(workspace, model_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        together_ids=np.array(ids),
        together_vectors=vectors.astype(np.float16),
        together_centre=vectors.mean(0),
        together_xy=xy,
    )


def questions(workspace) -> dict[str, Callable[[], object]]:
    """What a page asks, by name."""
    from echo2ecg_core.answers.loaded_model import active_model_card
    from echo2ecg_core.answers.maps import load_map, undrawn
    from echo2ecg_core.answers.predict import Prediction, _Labelled
    from echo2ecg_core.answers.search import Filters, candidates, nearest_ecgs, patient_of, search
    from echo2ecg_core.ecg.record import EcgRecord

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
        "start from a study": lambda: nearest_ecgs("S0000010", workspace),
        "map: points": lambda: load_map(workspace, card.model_id),
        "map: undrawn": lambda: undrawn(workspace, card.model_id),
    }


def timed(ask: Callable[[], object]) -> float:
    begun = time.perf_counter()
    ask()
    return time.perf_counter() - begun


def main() -> None:
    from echo2ecg_core.store.catalog import Catalog

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ecgs", type=int, default=100_000)
    parser.add_argument("--workspace", type=Path, default=None)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = filled(options.workspace or Path(folder) / "w", options.ecgs)
        for name, ask in questions(workspace).items():
            first, later = timed(ask), sorted(timed(ask) for _ in range(options.repeats))
            Catalog(workspace).add_patient(f"new-{time.time_ns()}", split="test", cohort="made up", synthetic=True)
            told = {
                "benchmark": "pages_at_size",
                "what": name,
                "first_s": round(first, 3),
                "p50_ms": round(1000 * later[len(later) // 2], 1),
                "p95_ms": round(1000 * later[int(0.95 * (len(later) - 1))], 1),
                "after_a_write_s": round(timed(ask), 3),
            }
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
