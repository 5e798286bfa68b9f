"""The job that draws the map of a model's vectors: UMAP of a sample, the other points among their neighbours.

UMAP of the aligned vectors by cosine (15 neighbours, minimal distance 0.1, seed 7) of at most 50,000 points, chosen by
a seeded checksum of their ids, so that an archive that grows keeps nearly all of its sample. Every other point lies at
the weighted mean of its 15 nearest of the sample, as a new ECG does. A map that is drawn again starts from where its
points lay and is then turned (orthogonal Procrustes) to lie on the old one: a map that people know stays as it was.
"""

import io
import zlib
from collections.abc import Iterator

import numpy as np

from echo2ecg_core.answers.map_clusters import find_clusters, of_the_nearest, same_numbers
from echo2ecg_core.answers.maps import (
    N_NEIGHBOURS,
    SOLID,
    Layout,
    VectorsByName,
    layouts,
    nearest_weights,
    read_layout,
    unit,
    vectors_of,
)
from echo2ecg_core.errors import StoreError
from echo2ecg_core.progress import Progress, part, silent
from echo2ecg_core.store.database import Workspace, write_atomically
from echo2ecg_core.store.model_registry import ModelRegistry
from echo2ecg_core.store.paths import map_path

MIN_DISTANCE, SEED = 0.1, 7
FEWEST_POINTS, MOST_FITTED = 10, 50_000
BLOCK = 8192  # points that are placed at once
EXACT_BELOW = 20_000  # fitted points


def build_map(workspace: Workspace, model_id: str, progress: Progress = silent) -> None:
    """Draw the layouts of a model's vectors and store them; takes a minute, so it belongs into a job.

    Raises:
        StoreError: Fewer than 10 ECGs and studies have vectors.
    """
    progress(0.02, "Loading the map maker; its first start compiles for half a minute")
    sets = vectors_of(workspace, model_id)
    arrays: dict[str, np.ndarray] = {}
    names = layouts(ModelRegistry(workspace).get(model_id))
    for step, name in enumerate(names):
        points = _Points(sets, name)
        begin = 0.1 + 0.9 * step / len(names)
        progress(begin, f"Drawing {len(points.ids)} points: {name}")
        if len(points.ids) < FEWEST_POINTS:
            if name == names[0]:
                found = f"found {len(points.ids)} ECGs and studies with vectors."
                found = f"found {len(points.ids)} ECGs and studies with vectors."
                raise StoreError(
                    f"A map needs at least {FEWEST_POINTS} points, {found}",
                    "Import more, or run `embed` first.",
                )
            continue
        drawn = _draw(
            points, name, read_layout(workspace, model_id, name), part(progress, begin, begin + 0.9 / len(names))
        )
        arrays |= {f"{name}_{key}": value for key, value in drawn.items()}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_atomically(map_path(workspace, model_id), buffer.getvalue())


def fitted_rows(ids: list[str], most: int) -> np.ndarray:
    """Rows, in order, of the at most `most` points that UMAP is fitted to: those of the smallest checksums."""
    if len(ids) <= most:
        return np.arange(len(ids))
    sums = np.array([zlib.crc32(i.encode(), SEED) for i in ids], np.uint32)
    return np.sort(np.argsort(sums, kind="stable")[:most])


def placed(fitted: np.ndarray, xy: np.ndarray, blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Places (m, c) of blocks of other points: of each the weighted mean of its 15 nearest fitted ones.

    Args:
        fitted: (n, d) vectors, any length.
        xy: (n, c) where they lie.
        blocks: (m, d) vectors each.
    """
    rows, k = unit(fitted), min(N_NEIGHBOURS, len(fitted))
    index = _index(rows)
    for block in blocks:
        cosines, nearest = index.search(unit(block), k)
        weights = nearest_weights(cosines)
        yield (weights[..., None] * xy[nearest]).sum(1) / weights.sum(1, keepdims=True)


def _index(rows: np.ndarray):
    """faiss index of rows of length one; of many it looks into a fifth of its cells only."""
    import faiss

    flat = faiss.IndexFlatIP(rows.shape[1])
    if len(rows) <= EXACT_BELOW:
        flat.add(rows)
        return flat
    cells = int(np.sqrt(len(rows)))
    index = faiss.IndexIVFFlat(flat, rows.shape[1], cells, faiss.METRIC_INNER_PRODUCT)
    index.nprobe = max(1, cells // 5)
    index.train(rows)
    index.add(rows)
    return index


def turned(new: np.ndarray, old: np.ndarray, common: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """A layout (n, c) turned, mirrored and moved to lie on an old one as well as may be.

    Args:
        new, old: (n, c), (m, c).
        common: Rows of the same points in the new and in the old.
    """
    here, there = new[common[0]], old[common[1]]
    middle, aim = here.mean(0), there.mean(0)
    u, _, v = np.linalg.svd((here - middle).T @ (there - aim))
    return (new - middle) @ (u @ v) + aim


class _Points:
    """The points of a layout: ids, the centre of its ECGs, and vectors, normalised and (together) centred, when they
    are asked for."""

    def __init__(self, sets: VectorsByName, layout: str):
        names = {"ecgs": ("ecg",), "studies": ("study",)}.get(layout, tuple(sets))
        self.sets = [(name, sets[name]) for name in names if len(sets[name])]
        dim = max(vectors.dim for vectors in sets.values())
        is_centred = layout in ("together", SOLID) or "study" not in sets
        self.means = [_mean(v.matrix) if is_centred else np.zeros(dim, np.float32) for _, v in self.sets]
        self.centre = next(
            (m for (n, _), m in zip(self.sets, self.means, strict=True) if n == "ecg"), np.zeros(dim, np.float32)
        )
        self.ids = [f"{name}:{i}" for name, vectors in self.sets for i in vectors.ids]

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """(m, d) float32 of these rows, which are in order."""
        parts, begin = [], 0
        for (_, stored), mean in zip(self.sets, self.means, strict=True):
            own = rows[(rows >= begin) & (rows < begin + len(stored))] - begin
            parts.append(unit(stored.matrix[own].astype(np.float32)) - mean)
            begin += len(stored)
        return np.concatenate(parts)


def _mean(matrix: np.ndarray) -> np.ndarray:
    """Mean of the normalised rows, (d,)."""
    total = np.zeros(matrix.shape[1])
    for begin in range(0, len(matrix), BLOCK):
        total += unit(matrix[begin : begin + BLOCK].astype(np.float32)).sum(0)
    return (total / len(matrix)).astype(np.float32)


def _draw(points: _Points, name: str, old: Layout | None, progress: Progress) -> dict[str, np.ndarray]:
    """The arrays of one layout."""
    dimensions = 3 if name == SOLID else 2
    fitted = fitted_rows(points.ids, MOST_FITTED)
    ids, vectors = [points.ids[row] for row in fitted], points.vectors(fitted)
    start = None if old is None else _old_places(old, ids, vectors)
    xy = _umap(vectors, start, dimensions)
    if old is not None:
        common = _common(ids, old)
        if len(common[0]) > dimensions:
            xy = turned(xy, old.xy, common)
    clusters = {}
    if name != SOLID:  # of which the sample is all that is shown
        ids, xy = points.ids, _with_others(points, fitted, vectors, xy, progress)
        clusters = {"clusters": _clusters(ids, xy, fitted, old)}
    else:
        fitted = np.arange(len(ids))
    return {
        "ids": np.array(ids),
        "vectors": vectors.astype(np.float16),
        "fitted": fitted,
        "centre": points.centre,
        "xy": xy.astype(np.float32),
        **clusters,
    }


def _clusters(ids: list[str], xy: np.ndarray, fitted: np.ndarray, old: Layout | None) -> np.ndarray:
    """The cluster of every point, (n,) int16: found among those that were fitted, numbered as on the old map."""
    clusters, others = np.empty(len(ids), np.int16), np.setdiff1d(np.arange(len(ids)), fitted, assume_unique=True)
    clusters[fitted] = find_clusters(xy[fitted])
    clusters[others] = of_the_nearest(xy[fitted], clusters[fitted], xy[others])
    return clusters if old is None else same_numbers(clusters, old.clusters, _common(ids, old))


def _common(ids: list[str], old: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the same points among these and in an old layout."""
    row_of = {id: row for row, id in enumerate(old.ids)}
    rows = np.array([row_of.get(id, -1) for id in ids])
    return np.flatnonzero(rows >= 0), rows[rows >= 0]


def _with_others(
    points: _Points, fitted: np.ndarray, vectors: np.ndarray, xy: np.ndarray, progress: Progress
) -> np.ndarray:
    """Where all points lie, (n, c), when those that were fitted lie at `xy`."""
    everywhere = np.empty((len(points.ids), xy.shape[1]), np.float32)
    everywhere[fitted] = xy
    others = np.setdiff1d(np.arange(len(points.ids)), fitted, assume_unique=True)
    blocks = [others[begin : begin + BLOCK] for begin in range(0, len(others), BLOCK)]
    places = placed(vectors, xy, (points.vectors(rows) for rows in blocks)) if blocks else ()
    for done, (rows, found) in enumerate(zip(blocks, places, strict=True), 1):
        everywhere[rows] = found
        progress(done / len(blocks), f"Placing {len(others)} more points")
    return everywhere


def _old_places(old: Layout, ids: list[str], vectors: np.ndarray) -> np.ndarray:
    """Where the points lay, (n, c); new ones where they would have been placed."""
    row_of = {id: row for row, id in enumerate(old.ids)}
    rows = np.array([row_of.get(id, -1) for id in ids])
    start, new = old.xy[rows], np.flatnonzero(rows < 0)
    if len(new):
        blocks = [new[begin : begin + BLOCK] for begin in range(0, len(new), BLOCK)]
        found = placed(old.vectors.astype(np.float32), old.xy[old.fitted], (vectors[block] for block in blocks))
        start[new] = np.concatenate(list(found))
    return start


def _umap(vectors: np.ndarray, start: np.ndarray | None, dimensions: int) -> np.ndarray:
    """(n, dimensions) float32 by UMAP; from `start` where there is one."""
    from umap import UMAP

    reducer = UMAP(
        n_neighbors=min(N_NEIGHBOURS, len(vectors) - 1),
        n_components=dimensions,
        min_dist=MIN_DISTANCE,
        metric="cosine",
        random_state=SEED,
        init="spectral" if start is None else start,
        n_jobs=1,
    )
    return reducer.fit_transform(vectors).astype(np.float32)
