"""Journey 2: from an ECG to the echo studies that lie nearest in the space both share, and back from a study to ECGs.

Similarity is the cosine of aligned vectors; it ranks, it is no probability. The page and the terminal print the same
hits. Filters choose the candidates before the search, so ten studies come back whenever ten pass.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from echo2ecg_core.answers.loaded_model import active_model_card, why_no_studies
from echo2ecg_core.answers.predict import Prediction
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.echo.clip import VIEWS
from echo2ecg_core.errors import ModelError, SignalError, StoreError
from echo2ecg_core.figures.notation import interval
from echo2ecg_core.findings import CONDUCTIONS, RHYTHMS
from echo2ecg_core.phenotypes import PHENOTYPES
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelCard, ModelRegistry
from echo2ecg_core.store.rows import ClipRow
from echo2ecg_core.store.snapshot import Snapshot, snapshot
from echo2ecg_core.store.vectors import VectorSet, load_vectors


@dataclass(frozen=True)
class Filters:
    """Which studies are candidates; everything empty lets all pass.

    Attributes:
        not_patient: Leave out the studies of this patient.
        views: Study must have a clip of each of these views.
        sex: "male" or "female".
        age_years: Lowest and highest age, both included.
        phenotypes: Field name -> lowest and highest measured value, both included; an unmeasured study does not pass.
        rhythm, conduction: Key of `findings.RHYTHMS`, of `findings.CONDUCTIONS`; a study without it does not pass.
        cohort, split: Name of a cohort it is in, one that came in or a kept one; of its patient's split.
        dates: First and last day of the echo, both included, either open; a study without a day does not pass.
    """

    not_patient: str | None = None
    views: tuple[str, ...] = ()
    sex: str | None = None
    age_years: tuple[float, float] | None = None
    phenotypes: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    rhythm: str | None = None
    conduction: str | None = None
    cohort: str | None = None
    split: str | None = None
    dates: tuple[date | None, date | None] | None = None


@dataclass(frozen=True)
class Candidates:
    """What the filters left: ids of studies, how many there are in all, how many each filter alone removes, and how
    many more have no vector yet, so that no search finds them."""

    study_ids: tuple[str, ...]
    total: int
    removed: dict[str, int]
    without_vector: int = 0


@dataclass(frozen=True)
class Hit:
    """One study near the ECG; `similarity` is a cosine, phenotypes are measured values by field name."""

    rank: int
    study_id: str
    patient_id: str
    similarity: float
    phenotypes: dict[str, float]
    clips: tuple[ClipRow, ...]
    synthetic: bool
    sex: str | None
    age_years: float | None

    def as_json(self) -> dict:
        """The hit as plain JSON types."""
        views = [
            {"clip_id": c.clip_id, "view": c.view} | ({"fps": c.fps, "frames": c.n_frames} if c.has_picture else {})
            for c in self.clips
        ]
        return {
            "rank": self.rank,
            "study_id": self.study_id,
            "similarity": self.similarity,
            "phenotypes": self.phenotypes,
            "views": views,
            "synthetic": self.synthetic,
        }


@dataclass(frozen=True)
class EcgHit:
    """One ECG near a study; phenotypes are those measured on the patient's own study nearest in time, `days_apart` from
    the ECG; None and {} where no study lies within the window of days (`within_days` of the settings)."""

    rank: int
    ecg_id: str
    similarity: float
    same_patient: bool
    study_id: str | None
    phenotypes: dict[str, float]
    sex: str | None
    synthetic: bool
    days_apart: float | None = None

    def as_json(self) -> dict:
        """The hit as plain JSON types."""
        return dict(vars(self))


def search(prediction: Prediction, workspace: Workspace, k: int = 10, filters: Filters | None = None) -> list[Hit]:
    """The k studies nearest to a predicted ECG, best first.

    Raises:
        SignalError: Nothing was predicted from this ECG.
        StoreError: No study has a vector of the ECG's model yet.
        ModelError: The ECG's model shares no space with studies, or the stored vectors do not fit it.
    """
    _require_studies(ModelRegistry(workspace).get(prediction.model_id))
    if prediction.aligned is None:
        raise SignalError(
            "Nothing was predicted from this ECG, so there is nothing to search with.",
            "Use a tracing of better quality, or predict in spite of its quality.",
        )
    vectors = study_vectors(workspace, prediction.model_id)
    known = snapshot(workspace)
    rows = known.rows_of("studies", vectors.ids)
    among = (rows >= 0) & _together(_conditions(known, filters or Filters()), len(known.studies))[rows]
    ids, cosines = vectors.nearest(prediction.aligned, k, model_id=prediction.model_id, among=among)
    studies = [known.studies.iloc[rows[vectors.row_of[i]]] for i in ids]
    found = zip(studies, Catalog(workspace).clips_of_each(ids), cosines, strict=True)
    return [_hit(rank, study, clips, cosine) for rank, (study, clips, cosine) in enumerate(found, 1)]


def search_report(prediction: Prediction, hits: list[Hit]) -> dict:
    """The document that the terminal prints: the ECG's facts, the model and the hits."""
    report = prediction.as_json()
    return {"query": report["ecg"], "model": report["model"], "hits": [hit.as_json() for hit in hits]}


def nearest_ecgs(study_id: str, workspace: Workspace, k: int = 10) -> list[EcgHit]:
    """The k ECGs nearest to a study by the active model, best first.

    Raises:
        StoreError: The study or its vector is missing, or no ECG has a vector yet.
        ModelError: The active model shares no space with studies.
    """
    card = active_model_card(workspace)
    _require_studies(card)
    model_id = card.model_id
    patient_id = Catalog(workspace).study(study_id).patient_id
    query = study_vectors(workspace, model_id).rows([study_id])[0]
    ecgs = _filled(load_vectors(workspace.vectors, "ecg_aligned", model_id), "ECG")
    known = snapshot(workspace)
    rows = known.rows_of("ecgs", ecgs.ids)
    ids, cosines = ecgs.nearest(query, k, model_id=model_id, among=rows >= 0)
    found = zip((rows[ecgs.row_of[i]] for i in ids), cosines, strict=True)
    return [_ecg_hit(known, rank, row, cosine, patient_id) for rank, (row, cosine) in enumerate(found, 1)]


def _ecg_hit(known: Snapshot, rank: int, row: int, cosine: float, patient_id: str) -> EcgHit:
    ecg, own = known.ecgs.iloc[row], known.own_study[row]
    study, days_apart = known.studies.iloc[own] if own >= 0 else None, known.days_apart[row]
    return EcgHit(
        rank,
        ecg.ecg_id,
        round(float(cosine), 4),
        ecg.patient_id == patient_id,
        None if study is None else study.study_id,
        {} if study is None else measured(study),
        ecg.sex,
        bool(ecg.synthetic),
        round(float(days_apart), 1) if np.isfinite(days_apart) else None,
    )


def candidates(workspace: Workspace, filters: Filters, model_id: str | None = None) -> Candidates:
    """Studies that pass the filters, and what each filter alone removes (the strictest is worth naming); among those
    that a model has embedded, or among all."""
    known = snapshot(workspace)
    n = len(known.studies)
    is_there = np.ones(n, bool)
    if model_id is not None:
        rows = known.rows_of("studies", load_vectors(workspace.vectors, "study_aligned", model_id).ids)
        is_there = np.zeros(n, bool)
        is_there[rows[rows >= 0]] = True
    passes = _conditions(known, filters)
    together = _together(passes, n) & is_there
    removed = {name: int((~passed & is_there).sum()) for name, passed in passes.items()}
    found, total = tuple(known.studies.study_id.to_numpy()[together]), int(is_there.sum())
    return Candidates(found, total, removed, n - total)


def _together(passes: dict[str, np.ndarray], n: int) -> np.ndarray:
    """Which of n studies pass every filter, (n,) bool."""
    return np.logical_and.reduce([np.ones(n, bool), *passes.values()])


def patient_of(record: EcgRecord, workspace: Workspace) -> str | None:
    """The patient whose stored ECG is this very recording, or None: lets a search leave the same patient out."""
    return snapshot(workspace).patient_of_recording(record.content_hash)


def study_vectors(workspace: Workspace, model_id: str) -> VectorSet:
    """Aligned vectors of the studies.

    Raises:
        StoreError: There are none yet, or their file is damaged.
    """
    return _filled(load_vectors(workspace.vectors, "study_aligned", model_id), "echo study")


def measured(row: pd.Series) -> dict[str, float]:
    """Measured phenotypes of a catalog row by field name, in the decimals of the catalog (at most three)."""
    return {name: round(float(row[name]), 3) for name in PHENOTYPES if name in row and pd.notna(row[name])}


def _require_studies(card: ModelCard) -> None:
    if why := why_no_studies(card):
        raise ModelError(why)


def _filled(vectors: VectorSet, what: str) -> VectorSet:
    if not len(vectors):
        raise StoreError(
            f"No {what} has been embedded by model {vectors.model_id} yet, so there is nothing to compare with.",
            "Run `embed`, or wait until the demo has been prepared.",
        )
    return vectors


def _hit(rank: int, study: pd.Series, clips: list[ClipRow], cosine: float) -> Hit:
    return Hit(
        rank,
        study.study_id,
        study.patient_id,
        round(float(cosine), 4),
        measured(study),
        tuple(clips),
        bool(study.synthetic),
        study.sex,
        float(study.age_years) if pd.notna(study.age_years) else None,
    )


def filter_words(filters: Filters) -> dict[str, Filters]:
    """Every filter but `not_patient` in words, as `Candidates.removed` names it, and the filters without it."""
    words = {
        f"Has {VIEWS[view]}": replace(filters, views=tuple(v for v in filters.views if v != view))
        for view in filters.views
    }
    single = {
        "sex": f"Sex {filters.sex}",
        "age_years": _age_in_words(filters.age_years or (0, 0)),
        "rhythm": RHYTHMS.get(filters.rhythm or "", ""),
        "conduction": CONDUCTIONS.get(filters.conduction or "", ""),
        "cohort": f"Cohort {filters.cohort}",
        "split": f"Split {filters.split}",
        "dates": _dates_in_words(filters.dates),
    }
    for name, told in single.items():
        if getattr(filters, name):
            without: dict[str, Any] = {name: None}
            words[told] = replace(filters, **without)
    for name in filters.phenotypes:
        others = {n: limits for n, limits in filters.phenotypes.items() if n != name}
        words[_limits_in_words(name, filters)] = replace(filters, phenotypes=others)
    return words


def _limits_in_words(name: str, filters: Filters) -> str:
    return f"{PHENOTYPES[name].short} {_range_in_words(filters.phenotypes[name], PHENOTYPES[name].decimals)}"


def _age_in_words(ages: tuple[float, float]) -> str:
    return f"Age {_range_in_words(ages, 0)}"


def _range_in_words(ends: tuple[float, float], decimals: int) -> str:
    """ "40–50" as the values between are written; "≥ 200" where an end is open."""
    low, high = (end if np.isfinite(end) else None for end in ends)
    return interval(low, high, decimals).replace("\u202f", " ")


def _dates_in_words(dates: tuple[date | None, date | None] | None) -> str:
    first, last = dates or (None, None)
    return " ".join(["Echo", *([f"from {first}"] if first else []), *([f"until {last}"] if last else [])])


def _conditions(known: Snapshot, filters: Filters) -> dict[str, np.ndarray]:
    """Filter in words -> which studies pass it."""
    studies, passes = known.studies, {}
    if filters.not_patient:
        passes["Not the same patient"] = (studies.patient_id != filters.not_patient).to_numpy()
    for view in filters.views:
        passes[f"Has {VIEWS[view]}"] = known.has_view(view)
    if filters.sex:
        passes[f"Sex {filters.sex}"] = (studies.sex == filters.sex).to_numpy()
    if filters.age_years:
        low, high = filters.age_years
        passes[_age_in_words((low, high))] = studies.age_years.between(low, high).to_numpy()
    if filters.rhythm:
        passes[RHYTHMS[filters.rhythm]] = (studies.rhythm == filters.rhythm).to_numpy()
    if filters.conduction:
        passes[CONDUCTIONS[filters.conduction]] = (studies.conduction == filters.conduction).to_numpy()
    if filters.cohort:
        passes[f"Cohort {filters.cohort}"] = known.in_cohort("studies", filters.cohort)
    if filters.split:
        passes[f"Split {filters.split}"] = (studies.split == filters.split).to_numpy()
    if filters.dates:
        first, last = filters.dates
        days = known.study_days
        inside = (days >= np.datetime64(first or date.min)) & (days <= np.datetime64(last or date.max))
        passes[_dates_in_words(filters.dates)] = inside  # NaT is inside nothing
    for name, (low, high) in filters.phenotypes.items():
        column = studies[name] if name in studies else pd.Series(np.nan, studies.index)
        passes[_limits_in_words(name, filters)] = column.between(low, high).to_numpy()
    return passes
