"""Drawing a large map: seconds, and how well fitted and placed points keep their neighbours.

    python -m benchmarks.map_at_size [--points 120000] [--fitted 50000]

Vectors of 512 numbers from a made-up manifold: eight hidden quantities (six smooth, two that part groups) through a
fixed random network of two layers, with noise. UMAP is fitted to the sample, the others are placed, as the map job
does. Trustworthiness (Venna & Kaski 2001, scikit-learn's, 15 neighbours by cosine, 1 is perfect) is measured among
points that were fitted and among as many that were placed; that of UMAP's own `transform` stands beside it where
`--transform` asks for it. `kept` is the share of each sample's neighbours that the search for places finds. A redraw
with a tenth more points tells how far points that were there move, in widths of the map. Prints one JSON line.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

JUDGED = 3000
HIDDEN, WIDTH = 8, 512


def made_up(n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, WIDTH) float32 on a manifold of HIDDEN dimensions."""
    fixed = np.random.default_rng(0)
    hidden = rng.normal(size=(n, HIDDEN))
    hidden[:, -2:] = np.sign(hidden[:, -2:]) * (1 + 0.2 * np.abs(hidden[:, -2:]))
    first, second = fixed.normal(size=(HIDDEN, 64)) / 3, fixed.normal(size=(64, WIDTH)) / 8
    return (np.tanh(hidden @ first) @ second + rng.normal(0, 0.05, (n, WIDTH))).astype(np.float32)


def trust(vectors: np.ndarray, xy: np.ndarray, rng: np.random.Generator) -> float:
    """Trustworthiness of JUDGED points drawn by chance."""
    from sklearn.manifold import trustworthiness

    rows = rng.choice(len(vectors), min(JUDGED, len(vectors)), replace=False)
    return round(float(trustworthiness(vectors[rows], xy[rows], n_neighbors=15, metric="cosine")), 4)


def neighbours_kept(fitted: np.ndarray, others: np.ndarray) -> float:
    """Share of the 15 nearest fitted points, of a thousand others, that the search finds."""
    from echo2ecg_core.answers.map_drawing import _index
    from echo2ecg_core.answers.maps import N_NEIGHBOURS, unit

    asked, rows = unit(others[:1000]), unit(fitted)
    found = _index(rows).search(asked, N_NEIGHBOURS)[1]
    true = np.argpartition(-(asked @ rows.T), N_NEIGHBOURS, axis=1)[:, :N_NEIGHBOURS]
    return round(float(np.mean([len(set(a) & set(b)) / N_NEIGHBOURS for a, b in zip(found, true, strict=True)])), 4)


def main() -> None:
    from echo2ecg_core.answers import map_drawing as drawing

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=120_000)
    parser.add_argument("--fitted", type=int, default=drawing.MOST_FITTED)
    parser.add_argument("--transform", action="store_true")
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    vectors = made_up(options.points, rng)
    ids = [f"ecg:{i:07d}" for i in range(options.points)]
    fitted = drawing.fitted_rows(ids, options.fitted)
    others = np.setdiff1d(np.arange(len(ids)), fitted)
    drawing._umap(vectors[:500], None, 2)  # compiles
    begun, used = time.perf_counter(), time.process_time()
    xy = drawing._umap(vectors[fitted], None, 2)
    seconds, processor = time.perf_counter() - begun, time.process_time() - used
    told = {
        "benchmark": "map_at_size",
        "points": options.points,
        "fitted": len(fitted),
        "fit_s": round(seconds, 1),
        "fit_processor_s": round(processor, 1),
        "trust_of_fitted": trust(vectors[fitted], xy, rng),
    }
    if len(others):
        begun, used = time.perf_counter(), time.process_time()
        blocks = [others[i : i + drawing.BLOCK] for i in range(0, len(others), drawing.BLOCK)]
        placed = np.concatenate(list(drawing.placed(vectors[fitted], xy, (vectors[rows] for rows in blocks))))
        told |= {
            "place_s": round(time.perf_counter() - begun, 1),
            "place_processor_s": round(time.process_time() - used, 1),
            "trust_of_placed": trust(vectors[others], placed, rng),
            "kept": neighbours_kept(vectors[fitted], vectors[others]),
        }
    if options.transform and len(others):
        told |= transformed(vectors, fitted, others, rng)
    print(json.dumps(told | redrawn(vectors[fitted], xy)))


def transformed(vectors: np.ndarray, fitted: np.ndarray, others: np.ndarray, rng: np.random.Generator) -> dict:
    """The same by UMAP's own transform of 3,000 of the others."""
    from umap import UMAP

    model = UMAP(n_neighbors=15, min_dist=0.1, metric="cosine", random_state=7, n_jobs=1).fit(vectors[fitted])
    some = others[:JUDGED]
    begun = time.perf_counter()
    xy = model.transform(vectors[some])
    return {"transform_s": round(time.perf_counter() - begun, 1), "trust_of_transformed": trust(vectors[some], xy, rng)}


def redrawn(vectors: np.ndarray, xy: np.ndarray) -> dict:
    """A map of nine tenths drawn again with the rest, from its place and from nothing: median way of a point."""
    from echo2ecg_core.answers import map_drawing as drawing

    n = len(vectors) * 9 // 10
    old = drawing._umap(vectors[:n], None, 2)
    common, moved = (np.arange(n), np.arange(n)), {}
    new_places = np.concatenate([old, *drawing.placed(vectors[:n], old, iter([vectors[n:]]))])
    for name, start in (("moved_from_its_place", new_places), ("moved_from_nothing", None)):
        new = drawing._umap(vectors, start, 2) if start is not None else xy
        way = np.linalg.norm(drawing.turned(new, old, common)[:n] - old, axis=1)
        moved[name] = round(float(np.median(way) / np.ptp(old, axis=0).max()), 4)
    return moved


if __name__ == "__main__":
    main()
