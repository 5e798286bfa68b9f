"""Journey 3's end: the map of all ECGs and studies of a workspace as it was drawn (map_drawing.py), and the place of a
new ECG on it.

Contrastive training leaves ECGs and studies in two cones a constant apart (Liang et al., "Mind the gap", NeurIPS 2022),
so the map of both together centres each modality first. A model without an echo side has a map of its ECG embeddings,
centred too: an encoder that was never contrasted gives them a large constant. A new point is the weighted mean of its
15 nearest: UMAP's own transform takes seconds.
"""

import zipfile
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from echo2ecg_core.answers.loaded_model import load_readouts, spec_of
from echo2ecg_core.errors import ModelError, StoreError
from echo2ecg_core.phenotypes import PHENOTYPES
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.kept_cohorts import members
from echo2ecg_core.store.model_registry import ModelCard, ModelRegistry
from echo2ecg_core.store.paths import READOUTS_FILE, changed_at, map_path
from echo2ecg_core.store.snapshot import Snapshot, snapshot
from echo2ecg_core.store.vectors import VectorSet, load_vectors, vectors_state

SOLID = "solid"  # in three dimensions
LAYOUTS = ("together", "ecgs", "studies", SOLID)
N_NEIGHBOURS, FEWEST_POINTS = 15, 10
PREDICTED_AT_ONCE = 20_000  # ECGs


@dataclass(frozen=True, eq=False)
class Layout:
    """One drawn map.

    Attributes:
        ids: "ecg:..." or "study:..." of every point.
        vectors: (m, d) float16 of the points that UMAP was fitted to, normalised and centred as they were drawn.
        centre: (d,) float32, what is taken off a normalised ECG vector before it is compared.
        xy: (n, 2) float32, of the solid layout (n, 3).
        fitted: (m,) rows of the points that UMAP was fitted to; the others were placed among them.
        clusters: (n,) int16, the cluster of every point, -1 outside (map_clusters.py).
    """

    ids: tuple[str, ...]
    vectors: np.ndarray
    centre: np.ndarray
    xy: np.ndarray
    fitted: np.ndarray
    clusters: np.ndarray

    @cached_property
    def is_ecg(self) -> np.ndarray:
        """(n,) bool."""
        return np.array([i.startswith("ecg:") for i in self.ids], bool)

    @cached_property
    def ecg_ids(self) -> tuple[str, ...]:
        """Ids of the ECGs, in the order of the points."""
        return tuple(i.partition(":")[2] for i in self.ids if i.startswith("ecg:"))

    @cached_property
    def study_ids(self) -> tuple[str, ...]:
        """Ids of the studies, in the order of the points."""
        return tuple(i.partition(":")[2] for i in self.ids if not i.startswith("ecg:"))


def layouts(card: ModelCard) -> tuple[str, ...]:
    """The layouts of a model's map, the one with every point first: only ECGs where it shares no space with studies."""
    return LAYOUTS if spec_of(card).shares_space else ("ecgs", SOLID)


def map_is_due(workspace: Workspace, card: ModelCard) -> bool:
    """True when the workspace holds enough points for a map of this model."""
    counts = Catalog(workspace).counts()
    return counts["ecgs"] + (counts["studies"] if spec_of(card).shares_space else 0) >= FEWEST_POINTS


def map_exists(workspace: Workspace, model_id: str) -> bool:
    """True when a map of this model has been drawn."""
    return map_path(workspace, model_id).is_file()


def undrawn(workspace: Workspace, model_id: str) -> int:
    """How many ECGs and studies got vectors after the map was drawn."""
    drawn = stored_layout(workspace, model_id, layouts(ModelRegistry(workspace).get(model_id))[0])
    known = {"ecg": set(drawn.ecg_ids), "study": set(drawn.study_ids)}
    return sum(len(set(vectors.ids) - known[name]) for name, vectors in vectors_of(workspace, model_id).items())


def load_map(workspace: Workspace, model_id: str, layout: str = "together") -> pd.DataFrame:
    """The points of a map with what the catalog knows of them.

    Returns:
        One row a point: id, modality ("ECG" or "study"), study_id (an ECG: the patient's study nearest in time),
        patient_id, sex, age_years, rhythm, conduction, split, cohort, synthetic, x, y (in the solid layout z), cluster
        (a number, <NA> outside) and one column a phenotype (ECGs: of that study; NaN: not known).

    Raises:
        StoreError: The map has not been drawn yet, or its file is damaged.
    """
    drawn = stored_layout(workspace, model_id, layout)
    known, is_ecg = snapshot(workspace), drawn.is_ecg
    rows = np.empty(len(drawn.ids), int)  # in the table of its kind
    rows[is_ecg] = known.rows_of("ecgs", drawn.ecg_ids)
    rows[~is_ecg] = known.rows_of("studies", drawn.study_ids)
    here = np.flatnonzero(rows >= 0)  # the others were removed since it was drawn
    is_ecg, rows = is_ecg[here], rows[here]
    points = {"x": drawn.xy[here, 0], "y": drawn.xy[here, 1]}
    points |= {"z": drawn.xy[here, 2]} if layout == SOLID else {}
    clusters = drawn.clusters[here]
    points |= {"cluster": pd.arrays.IntegerArray(clusters, clusters < 0)}
    return pd.DataFrame(points | _facts(known, is_ecg, rows))


def _facts(known: Snapshot, is_ecg: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of what is known of points: of ECGs with what was measured on the study of each."""
    studies = rows.copy()
    studies[is_ecg] = known.own_study[rows[is_ecg]] if is_ecg.any() else studies[is_ecg]
    columns: dict[str, np.ndarray] = {"modality": np.where(is_ecg, "ECG", "study").astype(object)}
    for name, of_ecg in (("id", "ecg_id"), *((n, n) for n in ("patient_id", "sex", "split", "cohort", "synthetic"))):
        of_study = known.studies["study_id" if name == "id" else name].to_numpy()
        columns[name] = np.empty(len(rows), of_study.dtype)
        columns[name][~is_ecg] = of_study[rows[~is_ecg]]
        columns[name][is_ecg] = known.ecgs[of_ecg].to_numpy()[rows[is_ecg]] if is_ecg.any() else ()
    for name in ("study_id", "age_years", "rhythm", "conduction", *(n for n in PHENOTYPES if n in known.studies)):
        of_study = known.studies[name].to_numpy()
        nothing = np.full(1, np.nan if of_study.dtype.kind == "f" else None, of_study.dtype)
        columns[name] = np.concatenate([of_study, nothing])[studies]  # -1, no study, is the last
    return columns


def of_cohort(points: pd.DataFrame, workspace: Workspace, cohort: str) -> pd.DataFrame:
    """The points (as `load_map` gives them) of one cohort, that came in or was kept under this name.

    Raises:
        StoreError: there is no such cohort, or none of its points is among these.
    """
    inside = is_in_cohort(points, workspace, cohort)
    if not inside.any():
        raise StoreError(f"No point of the cohort {cohort!r} is on this map.", "Choose another cohort or layout.")
    return points[inside].reset_index(drop=True)


def is_in_cohort(points: pd.DataFrame, workspace: Workspace, cohort: str) -> np.ndarray:
    """(n,) bool: which points (as `load_map` gives them) belong to a cohort that came in or was kept under this name.

    Raises:
        StoreError: there is no such cohort.
    """
    ids, is_ecg = members(workspace, [cohort]), points.modality == "ECG"
    return ((is_ecg & points.id.isin(ids.ecgs)) | (~is_ecg & points.id.isin(ids.studies))).to_numpy()


def predicted_lvef(points: pd.DataFrame, workspace: Workspace, model_id: str) -> np.ndarray:
    """(n,) LVEF in per cent that the model predicts for every point that is an ECG with vectors; NaN for the others.

    Args:
        points: As `load_map` gives them.
        model_id: Of a model with readouts; its estimates of the stored embeddings, as the ECG page gives them.

    Raises:
        ModelError: it has no readout of LVEF.
    """
    vectors = load_vectors(workspace.vectors, "ecg", model_id)
    readouts = load_readouts(ModelRegistry(workspace).get(model_id).folder)
    if "lvef" not in readouts.heads:
        raise ModelError("This model has no readout of LVEF.", "Choose another colour, or fit its readouts.")
    ids = points.id.where(points.modality == "ECG")
    rows = np.flatnonzero(ids.isin(set(vectors.ids)))
    found = np.full(len(points), np.nan)
    for part in np.array_split(rows, len(rows) // PREDICTED_AT_ONCE + 1):
        if len(part):
            found[part] = readouts.values("lvef", vectors.rows(ids.iloc[part].tolist()))
    return found


def map_state(workspace: Workspace, model_id: str) -> tuple:
    """A key that changes whenever `load_map` or `predicted_lvef` would give something else: the drawing, the catalog or
    the readouts.

    Raises:
        StoreError: The map has not been drawn yet.
    """
    readouts = changed_at(workspace.models / model_id / READOUTS_FILE)
    return (str(workspace.folder), model_id, _version(workspace, model_id), workspace.version(), readouts)


def undrawn_state(workspace: Workspace, model_id: str) -> tuple:
    """A key that changes whenever `undrawn` may give another number.

    Raises:
        StoreError: The map has not been drawn yet.
    """
    sets = [vectors_state(workspace.vectors, kind, model_id) for kind in _kinds(workspace, model_id).values()]
    return (str(workspace.folder), model_id, _version(workspace, model_id), *sets)


def place(vector: np.ndarray, workspace: Workspace, model_id: str, layout: str = "together") -> tuple[float, ...]:
    """Where an ECG's vector (d,) lies on a drawn map, x and y (and z): the weighted mean of its 15 nearest points.

    The vector is the aligned one, or the embedding for a model that shares no space with studies.

    Weights fall with the cosine distance, so an ECG that is on the map already is placed on itself.

    Raises:
        StoreError: The map has not been drawn yet.
        ModelError: The vector's length does not fit.
    """
    drawn, index = _placing(map_path(workspace, model_id), model_id, layout, _version(workspace, model_id))
    query = np.asarray(vector, np.float32)
    if query.shape == drawn.centre.shape:
        query = unit(query[None])[0] - drawn.centre
    ids, cosines = index.nearest(query, N_NEIGHBOURS, model_id=model_id)
    weights = nearest_weights(cosines)
    rows = drawn.fitted[[index.row_of[i] for i in ids]]
    return tuple(((weights[:, None] * drawn.xy[rows]).sum(0) / weights.sum()).tolist())


def inside(points: pd.DataFrame, regions: Iterable[tuple[Sequence[float], Sequence[float]]]) -> np.ndarray:
    """Which points of a map lie in any of these regions, (n,) bool.

    Args:
        points: x and y.
        regions: x and y of each one's corners; of two corners a box.
    """
    from matplotlib.path import Path as Polygon

    x, y = points.x.to_numpy(), points.y.to_numpy()
    found = np.zeros(len(points), bool)
    for xs, ys in regions:
        near = np.flatnonzero((x >= min(xs)) & (x <= max(xs)) & (y >= min(ys)) & (y <= max(ys)))
        if len(xs) > 2:
            near = near[Polygon(np.stack([xs, ys], 1)).contains_points(np.stack([x[near], y[near]], 1))]
        found[near] = True
    return found


def of_its_study(points: pd.DataFrame, row: Hashable) -> pd.DataFrame:
    """The points of a map (as `load_map` gives them) that belong to one study with the point of a row: the study first,
    where it is on the map, else the point itself, then the ECGs that it labels; without a study that point alone."""
    own, is_own = points.loc[row], points.index == row
    if pd.isna(own.study_id):
        return points[is_own]
    found = points[points.study_id == own.study_id]
    is_first = (found.modality == "study") if (found.modality == "study").any() else found.index == row
    return pd.concat([found[is_first], found[~is_first]])


def nearest_weights(cosines: np.ndarray) -> np.ndarray:
    """What each neighbour counts for the place of a point; one with its very vector counts alone."""
    return 1 / (1e-4 + 1 - np.minimum(cosines, 1)) ** 2


def read_layout(workspace: Workspace, model_id: str, layout: str) -> Layout | None:
    """A layout as it was drawn; None where there is none that can be read."""
    try:
        return stored_layout(workspace, model_id, layout)
    except StoreError:
        return None


def stored_layout(workspace: Workspace, model_id: str, layout: str) -> Layout:
    """One layout as it was drawn, read once a process and version.

    Raises:
        StoreError: It has not been drawn, or the file is damaged.
    """
    return _placing(map_path(workspace, model_id), model_id, layout, _version(workspace, model_id))[0]


@lru_cache(maxsize=6)
def _placing(path: Path, model_id: str, layout: str, version: tuple) -> tuple[Layout, VectorSet]:
    """A layout and the index of its points; `version` makes a redrawn map a new key."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            if f"{layout}_ids" not in archive:
                raise StoreError(
                    f"There are too few points for a map of {layout} alone (fewer than {FEWEST_POINTS}).",
                    "Look at ECGs and studies together.",
                )
            ids = tuple(map(str, archive[f"{layout}_ids"]))
            vectors, centre, xy = (archive[f"{layout}_{name}"] for name in ("vectors", "centre", "xy"))
            is_sample = f"{layout}_fitted" in archive  # maps of earlier versions were fitted whole
            fitted = archive[f"{layout}_fitted"] if is_sample else np.arange(len(ids))
            has_clusters = f"{layout}_clusters" in archive  # maps of earlier versions and in 3-D have none
            clusters = archive[f"{layout}_clusters"] if has_clusters else np.full(len(ids), -1, np.int16)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise StoreError(f"The file of the map of model {model_id} is damaged.", "Draw the map again.") from error
    drawn = Layout(ids, vectors, centre, xy, fitted, clusters)
    return drawn, VectorSet("study_aligned", model_id, tuple(ids[row] for row in drawn.fitted), drawn.vectors)


def _version(workspace: Workspace, model_id: str) -> tuple:
    try:
        stat = map_path(workspace, model_id).stat()
    except FileNotFoundError:
        raise StoreError(
            f"The map of model {model_id} has not been drawn yet.", "Draw it: it takes about a minute."
        ) from None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


VectorsByName = dict[str, VectorSet]


def vectors_of(workspace: Workspace, model_id: str) -> VectorsByName:
    """The vectors that are drawn, by "ecg" and "study": aligned ones of both, or embeddings of ECGs only."""
    kinds = _kinds(workspace, model_id)
    return {name: load_vectors(workspace.vectors, kind, model_id) for name, kind in kinds.items()}


def _kinds(workspace: Workspace, model_id: str) -> dict[str, str]:
    shares_space = spec_of(ModelRegistry(workspace).get(model_id)).shares_space
    return {"ecg": "ecg_aligned", "study": "study_aligned"} if shares_space else {"ecg": "ecg"}


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows (n, d) scaled to length one; zeros stay zeros."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
