"""Journey 3's end: the map of all ECGs and studies of a workspace, drawn in a job, and the place of a new ECG on it.

UMAP of the aligned vectors by cosine (15 neighbours, minimal distance 0.1, seed 7). Contrastive training leaves ECGs
and studies in two cones a constant apart (Liang et al., "Mind the gap", NeurIPS 2022), so the map of both together
centres each modality first. A model without an echo side has a map of its ECG embeddings, centred too: an encoder that
was never contrasted gives them a large constant. A new point is the weighted mean of its 15 nearest: UMAP's own
transform takes seconds.
"""

import io
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from echo2ecg_core.answers.loaded_model import spec_of
from echo2ecg_core.errors import StoreError
from echo2ecg_core.phenotypes import PHENOTYPES
from echo2ecg_core.progress import Progress, silent
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace, write_atomically
from echo2ecg_core.store.model_registry import ModelCard, ModelRegistry
from echo2ecg_core.store.paths import map_path
from echo2ecg_core.store.snapshot import Snapshot, snapshot
from echo2ecg_core.store.vectors import VectorSet, load_vectors

LAYOUTS = ("together", "ecgs", "studies")
N_NEIGHBOURS, MIN_DISTANCE, SEED = 15, 0.1, 7
FEWEST_POINTS = 10
GROUPS = ("rhythm", "conduction", "split", "cohort")  # what a point belongs to, beside the person's sex


@dataclass(frozen=True, eq=False)
class Layout:
    """One drawn map.

    Attributes:
        ids: "ecg:..." or "study:..." of every point.
        vectors: (n, d) float16, normalised and centred as they were drawn.
        centre: (d,) float32, what is taken off a normalised ECG vector before it is compared.
        xy: (n, 2) float32.
    """

    ids: tuple[str, ...]
    vectors: np.ndarray
    centre: np.ndarray
    xy: np.ndarray


def build_map(workspace: Workspace, model_id: str, progress: Progress = silent) -> None:
    """Draw the layouts of a model's vectors and store them; takes a minute, so it belongs into a job.

    Raises:
        StoreError: Fewer than 10 ECGs and studies have vectors.
    """
    progress(0.02, "Loading the map maker; its first start compiles for half a minute")
    arrays: dict[str, np.ndarray] = {}
    names = layouts(ModelRegistry(workspace).get(model_id))
    for step, name in enumerate(names):
        ids, vectors, centre = _points(workspace, model_id, name)
        progress(0.1 + 0.9 * step / len(names), f"Drawing {len(ids)} points: {name}")
        if len(ids) < FEWEST_POINTS:
            if name == names[0]:
                raise StoreError(
                    f"A map needs at least {FEWEST_POINTS} points, found {len(ids)} ECGs and studies with vectors.",
                    "Import more, or run `embed` first.",
                )
            continue
        arrays |= {
            f"{name}_ids": np.array(ids),
            f"{name}_vectors": vectors.astype(np.float16),
            f"{name}_centre": centre,
            f"{name}_xy": _umap(vectors),
        }
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_atomically(map_path(workspace, model_id), buffer.getvalue())


def layouts(card: ModelCard) -> tuple[str, ...]:
    """The layouts of a model's map, the one with every point first: only ECGs where it shares no space with studies."""
    return LAYOUTS if spec_of(card).shares_space else ("ecgs",)


def map_is_due(workspace: Workspace, card: ModelCard) -> bool:
    """True when the workspace holds enough points for a map of this model."""
    counts = Catalog(workspace).counts()
    return counts["ecgs"] + (counts["studies"] if spec_of(card).shares_space else 0) >= FEWEST_POINTS


def map_exists(workspace: Workspace, model_id: str) -> bool:
    """True when a map of this model has been drawn."""
    return map_path(workspace, model_id).is_file()


def undrawn(workspace: Workspace, model_id: str) -> int:
    """How many ECGs and studies got vectors after the map was drawn."""
    drawn = set(stored_layout(workspace, model_id, layouts(ModelRegistry(workspace).get(model_id))[0]).ids)
    return sum(f"{name}:{i}" not in drawn for name, vectors in _sets(workspace, model_id).items() for i in vectors.ids)


def load_map(workspace: Workspace, model_id: str, layout: str = "together") -> pd.DataFrame:
    """The points of a map with what the catalog knows of them.

    Returns:
        One row a point: id, modality ("ECG" or "study"), study_id (an ECG: the patient's study nearest in time),
        patient_id, sex, age_years, rhythm, conduction, split, cohort, synthetic, x, y and one column a phenotype
        (ECGs: of that study; NaN: not known).

    Raises:
        StoreError: The map has not been drawn yet, or its file is damaged.
    """
    drawn = stored_layout(workspace, model_id, layout)
    known = snapshot(workspace)
    is_ecg = np.array([i.startswith("ecg:") for i in drawn.ids])
    ids = np.array([i.partition(":")[2] for i in drawn.ids], object)
    tables = []
    for modality, of, facts in (("ECG", is_ecg, _ecg_facts), ("study", ~is_ecg, _study_facts)):
        places = np.flatnonzero(of)
        all_ids = known.ecgs.ecg_id if modality == "ECG" else known.studies.study_id
        rows = pd.Index(all_ids).get_indexer(ids[places])
        places, rows = places[rows >= 0], rows[rows >= 0]  # removed since it was drawn
        xy = {"x": drawn.xy[places, 0], "y": drawn.xy[places, 1]}
        own = pd.DataFrame(xy | {"modality": modality, "id": ids[places]}, index=places)
        tables.append(pd.concat([own, facts(known, rows).set_index(places)], axis=1))
    points = pd.concat([table for table in tables if len(table)] or tables).sort_index()
    return points.astype({name: float for name in PHENOTYPES if name in points}).reset_index(drop=True)


def map_state(workspace: Workspace, model_id: str) -> tuple:
    """A key that changes whenever `load_map` would give something else: the drawing or the catalog.

    Raises:
        StoreError: The map has not been drawn yet.
    """
    return (str(workspace.folder), model_id, _version(workspace, model_id), workspace.version())


def place(vector: np.ndarray, workspace: Workspace, model_id: str, layout: str = "together") -> tuple[float, float]:
    """Where an ECG's vector (d,) lies on a drawn map: the weighted mean of its 15 nearest points.

    The vector is the aligned one, or the embedding for a model that shares no space with studies.

    Weights fall with the cosine distance, so an ECG that is on the map already is placed on itself.

    Raises:
        StoreError: The map has not been drawn yet.
        ModelError: The vector's length does not fit.
    """
    drawn, index = _placing(map_path(workspace, model_id), model_id, layout, _version(workspace, model_id))
    query = np.asarray(vector, np.float32)
    if query.shape == drawn.centre.shape:
        query = _unit(query[None])[0] - drawn.centre
    ids, cosines = index.nearest(query, N_NEIGHBOURS, model_id=model_id)
    weights = 1 / (1e-4 + 1 - cosines) ** 2
    rows = [index.row_of[i] for i in ids]
    x, y = (weights[:, None] * drawn.xy[rows]).sum(0) / weights.sum()
    return float(x), float(y)


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
            drawn = Layout(
                tuple(map(str, archive[f"{layout}_ids"])),
                *(archive[f"{layout}_{n}"] for n in ("vectors", "centre", "xy")),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise StoreError(f"The file of the map of model {model_id} is damaged.", "Draw the map again.") from error
    return drawn, VectorSet("study_aligned", model_id, drawn.ids, drawn.vectors)


def _version(workspace: Workspace, model_id: str) -> tuple:
    try:
        stat = map_path(workspace, model_id).stat()
    except FileNotFoundError:
        raise StoreError(
            f"The map of model {model_id} has not been drawn yet.", "Draw it: it takes about a minute."
        ) from None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _points(workspace: Workspace, model_id: str, layout: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Ids, normalised (and, together, centred) vectors (n, d) of a layout and the centre (d,) of its ECGs."""
    sets = _sets(workspace, model_id)
    is_centred = layout == "together" or "study" not in sets
    ids, parts = [], []
    centre = np.zeros(max(vectors.dim for vectors in sets.values()), np.float32)
    for name in {"together": ("ecg", "study"), "ecgs": ("ecg",), "studies": ("study",)}[layout]:
        vectors = sets[name]
        if not len(vectors):
            continue
        rows = _unit(vectors.matrix.astype(np.float32))
        mean = rows.mean(0) if is_centred else 0 * centre
        if name == "ecg":
            centre = mean
        ids += [f"{name}:{i}" for i in vectors.ids]
        parts.append(rows - mean)
    return ids, np.concatenate(parts) if parts else np.empty((0, len(centre)), np.float32), centre


def _sets(workspace: Workspace, model_id: str) -> dict[str, VectorSet]:
    """The vectors that are drawn: aligned ones of ECGs and studies, or embeddings of ECGs only."""
    shares_space = spec_of(ModelRegistry(workspace).get(model_id)).shares_space
    kinds = {"ecg": "ecg_aligned", "study": "study_aligned"} if shares_space else {"ecg": "ecg"}
    return {name: load_vectors(workspace.vectors, kind, model_id) for name, kind in kinds.items()}


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _umap(vectors: np.ndarray) -> np.ndarray:
    from umap import UMAP

    reducer = UMAP(
        n_neighbors=min(N_NEIGHBOURS, len(vectors) - 1),
        min_dist=MIN_DISTANCE,
        metric="cosine",
        random_state=SEED,
        n_jobs=1,
    )
    return reducer.fit_transform(vectors).astype(np.float32)


def _ecg_facts(known: Snapshot, rows: np.ndarray) -> pd.DataFrame:
    """What is known of these ECGs, with what was measured on the study of each."""
    ecgs = known.ecgs[["patient_id", "sex", "split", "cohort", "synthetic"]].iloc[rows].reset_index(drop=True)
    own = known.studies.drop(columns=["patient_id", "sex", "split", "cohort", "synthetic"])
    own = own.reindex(known.own_study[rows]).reset_index(drop=True)
    return pd.concat([own, ecgs], axis=1)[_columns(known)]


def _study_facts(known: Snapshot, rows: np.ndarray) -> pd.DataFrame:
    """What is known of these studies."""
    return known.studies[_columns(known)].iloc[rows]


def _columns(known: Snapshot) -> list[str]:
    names = [name for name in PHENOTYPES if name in known.studies]
    return ["study_id", "patient_id", "sex", "age_years", *GROUPS, "synthetic", *names]
