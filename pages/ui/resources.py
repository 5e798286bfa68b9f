"""Everything the pages cache: networks once per process, predictions once per input.

Keys are content hash + model id, so nothing is ever cleared: another model or another file is another key. Imports
of torch and numba happen inside, after the first paint; `prepare` pays for them in a thread when the server starts.
"""

import gc
import hashlib
import importlib
import logging
import os
import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.errors import Echo2ECGError, ModelError
from echo2ecg_core.figures import beats
from echo2ecg_core.figures.beats import MedianBeat
from echo2ecg_core.settings import settings
from echo2ecg_core.store import database
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelCard, ModelRegistry
from echo2ecg_core.store.snapshot import snapshot
from pages.ui.kept_readings import KeptReadings
from pages.ui.session import ReadFile

if TYPE_CHECKING:
    from echo2ecg_core.ecg.lead_waves import LeadWaves

LATER = ("faiss", "plotly.graph_objects", "echo2ecg_core.answers.maps", "echo2ecg_core.answers.study_view")
log = logging.getLogger(__name__)
_loading = threading.Lock()
_readings = KeptReadings[tuple[ReadFile, ...]](most_bytes=128 * 2**20, seconds=600)
_warming, _failed = threading.Event(), threading.Event()


def workspace() -> Workspace:
    """The workspace of this process (a cheap handle; nothing is open)."""
    return _workspace(settings().workspace, os.getcwd())


@lru_cache(maxsize=2)
def _workspace(folder: Path, from_where: str) -> Workspace:
    return Workspace(folder)  # its address is made absolute, which asks the disk for every folder on the way


def active_model() -> ModelCard | None:
    """The active model's card, read anew at every rerun, or None while there is none; imports no torch."""
    if not workspace().exists():
        return None
    from echo2ecg_core.answers.loaded_model import active_model_card

    try:
        return active_model_card(workspace())
    except ModelError:
        return None


def why_no_studies(card: ModelCard | None) -> str:
    """Why the active model cannot compare ECGs with echo studies, in one sentence; "" where it can, or its manifest is
    damaged."""
    from echo2ecg_core.answers.loaded_model import why_no_studies

    try:
        return why_no_studies(card) if card is not None else ""
    except ModelError:
        return ""


def read_files(
    content: dict[str, bytes], sampling_rate_hz: float | None, unit: str = "", lead_order: str = ""
) -> tuple[ReadFile, ...]:
    """Every recording of an upload, read once per content while it is kept.

    Args:
        content: File name -> bytes; files that belong together (.hea and .dat) come together.
        sampling_rate_hz, unit, lead_order: For files that do not hold them.
    """
    from echo2ecg_core.ecg.readers import read_ecgs

    digest = hashlib.sha256(repr((sampling_rate_hz, unit, lead_order)).encode())
    for name, data in content.items():
        digest.update(f"{len(name)} {name} {len(data)} ".encode())
        digest.update(data)
    return _readings.get(
        digest.hexdigest(),
        lambda: tuple(
            ReadFile(item.source, item, None) if isinstance(item, EcgRecord) else ReadFile(item.source, None, item)
            for item in read_ecgs(content, sampling_rate_hz, unit, lead_order)
        ),
        lambda files: sum(file.record.signal_mv.nbytes for file in files if file.record is not None),
    )


def forget_old_readings() -> None:
    """Forget the recordings of uploads that nobody has asked for in some minutes."""
    _readings.forget_old()


@st.cache_data(max_entries=8, show_spinner=False)
def example(title: str) -> EcgRecord:
    """One of the demo's ECGs, read from its file like anyone's."""
    from echo2ecg_core.ecg.readers import read_ecg
    from echo2ecg_core.intake.demo import example_ecgs

    return read_ecg(next(e.path for e in example_ecgs(workspace()) if e.title == title))


@st.cache_data(max_entries=64, show_spinner=False)
def _median_beat(content_hash: str, _record: EcgRecord) -> MedianBeat | None:
    return beats.median_beat(_record)


@st.cache_data(max_entries=64, show_spinner=False)
def _small_paper(content_hash: str, alt: str, _record: EcgRecord) -> str:
    from echo2ecg_core.figures.small_paper import small_paper

    return small_paper(_record, alt)


def small_paper(record: EcgRecord, alt: str) -> str:
    """A small paper (figures.small_paper), drawn once per signal."""
    return _small_paper(record.content_hash, alt, record)


@st.cache_data(max_entries=16, show_spinner=False)
def _lead_waves(content_hash: str, _record: EcgRecord):
    from echo2ecg_core.ecg.lead_waves import lead_waves

    return lead_waves(_record)


def lead_waves(record: EcgRecord) -> "tuple[LeadWaves, ...]":
    """R, S and ST of every lead, read once per signal."""
    return _lead_waves(record.content_hash, record)


def median_beat(record: EcgRecord) -> MedianBeat | None:
    """The median beat of a record, found once per signal; None where no repeating beat is found."""
    return _median_beat(record.content_hash, record)


@st.cache_resource(max_entries=2, show_spinner=False)
def _loaded_model(folder: str, model_id: str, state: tuple):
    from echo2ecg_core.answers.loaded_model import load_model

    return load_model(ModelRegistry(Workspace(folder)).get(model_id))


def loaded_model(card: ModelCard):
    """The networks and readouts of this model, whichever is active, loaded once per process and version of its files
    (LoadedModel)."""
    with _loading:
        return _loaded_model(str(workspace().folder), card.model_id, _model_state(card))


def _model_state(card: ModelCard) -> tuple:
    """Changes whenever the files of a model do: the same weights may get readouts, or another spec, later."""
    from echo2ecg_core.store.paths import READOUTS_FILE

    files = (card.folder / "manifest.json", card.folder / READOUTS_FILE)
    return tuple(file.stat().st_mtime_ns if file.exists() else None for file in files)


@st.cache_data(max_entries=256, show_spinner=False)
def _prediction(key: tuple, insist: bool, _record: EcgRecord, _card: ModelCard):
    from echo2ecg_core.answers.predict import predict
    from pages.ui.server.metrics import INFERENCE_S, WAITING

    with INFERENCE_S.time(), WAITING.track_inprogress():
        return predict(_record, loaded_model(_card), workspace(), insist=insist)


def prediction(record: EcgRecord, card: ModelCard, *, insist: bool = False):
    """The model's prediction for a record (workflows.predict.Prediction).

    Computed once per signal, facts of the person, version of the model and of the neighbours it may name.

    Args:
        record: The ECG.
        card: The active model.
        insist: Predict although the signal quality advises against it.

    Raises:
        Echo2ECGError: the model cannot be loaded or the signal cannot be used.
    """
    facts = (record.content_hash, record.source, record.sex, record.age_years)
    return _prediction((*facts, card.model_id, _model_state(card), _neighbours_state(card)), insist, record, card)


def batch_row(file: ReadFile, card: ModelCard | None) -> dict:
    """One recording of an upload as a row of a table (answers.predict_files.as_row) with `why_no_lvef`: why its LVEF
    is None. Computed once, like a prediction; a recording that cannot be read or used is a row too."""
    from echo2ecg_core.answers.predict_files import as_row

    if file.record is None:
        return as_row({"ecg": {"source": file.name}, "error": str(file.problem)}) | {"why_no_lvef": str(file.problem)}
    if card is None:
        return as_row({"ecg": {"source": file.name}}) | {"why_no_lvef": "No model yet."}
    key = (file.record.content_hash, file.name, file.record.sex, file.record.age_years)
    return _batch_row((*key, card.model_id, _model_state(card)), file.record, card)


@st.cache_data(max_entries=8192, show_spinner=False)
def _batch_row(key: tuple, _record: EcgRecord, _card: ModelCard) -> dict:
    from echo2ecg_core.answers.predict_files import as_row
    from pages.ui.ecg.lvef_card import why_no_value

    try:
        report = prediction(_record, _card).as_json()
    except Echo2ECGError as error:
        return as_row({"ecg": {"source": _record.source}, "error": str(error)}) | {"why_no_lvef": str(error)}
    return as_row(report) | {"why_no_lvef": why_no_value(report)}


@st.cache_data(max_entries=64, show_spinner=False)
def _why(key: tuple, _record: EcgRecord, _card: ModelCard):
    from echo2ecg_core.answers.why import explain

    return explain(_record, loaded_model(_card))


def why(record: EcgRecord, card: ModelCard):
    """Which leads and parts of the beat carry the LVEF estimate (answers.why.Why), once per signal and model."""
    return _why((record.content_hash, card.model_id, _model_state(card)), record, card)


@st.cache_data(max_entries=64, show_spinner=False)
def _other_ecgs(folder: str, version: int, content_hash: str, _record: EcgRecord):
    from echo2ecg_core.answers.earlier_ecgs import other_ecgs

    return other_ecgs(_record, Workspace(folder))


def other_ecgs(record: EcgRecord):
    """Other ECGs of the same patient (answers.earlier_ecgs), looked up once per version of the catalogue."""
    place = workspace()
    return _other_ecgs(str(place.folder), place.version(), record.content_hash, record) if place.exists() else []


@st.cache_data(max_entries=16, show_spinner=False)
def _stored_ecg(folder: str, version: int, ecg_id: str) -> EcgRecord:
    return Catalog(Workspace(folder)).ecg_record(ecg_id)


def stored_ecg(ecg_id: str) -> EcgRecord:
    """An ECG of the workspace.

    Raises:
        StoreError: there is none, or its file is missing or damaged.
    """
    return _stored_ecg(str(workspace().folder), workspace().version(), ecg_id)


@st.cache_data(max_entries=64, show_spinner=False)
def _hits(key: tuple, filters, _prediction):
    from echo2ecg_core.answers.search import search

    return search(_prediction, workspace(), filters=filters)


def hits(prediction, filters):
    """The studies nearest to a predicted ECG (answers.search.search), looked up once per vector, and state of what is
    searched.

    Raises:
        Echo2ECGError: as for `search`.
    """
    from echo2ecg_core.store.vectors import vectors_state

    place, model_id = workspace(), prediction.model_id
    state = vectors_state(place.vectors, "study_aligned", model_id), place.version()
    vector = None if prediction.aligned is None else prediction.aligned.tobytes()
    key = (str(place.folder), vector, model_id, state)
    return _hits(key, filters, prediction)


@st.cache_data(max_entries=64, show_spinner=False)
def _study_view(key: tuple, study_id: str, _model):
    from echo2ecg_core.answers.study_view import view_study

    return view_study(study_id, workspace(), _model)


def study_view(study_id: str, card: ModelCard):
    """What the player shows of a study (answers.study_view.StudyView), once a version of catalogue, model and vectors.

    Raises:
        StoreError: there is no such study.
    """
    from echo2ecg_core.answers.embed import clip_encoder_id
    from echo2ecg_core.store.vectors import vectors_state

    place, model = workspace(), loaded_model(card)
    weighed = vectors_state(place.vectors, "clip", clip_encoder_id(model)) if model else None
    return _study_view((str(place.folder), place.version(), _model_state(card), weighed), study_id, model)


@st.cache_resource(max_entries=4, show_spinner=False)
def _second_reader(key: tuple, _card: ModelCard):
    from echo2ecg_core.answers.second_readers import load_reader

    return load_reader(_card)


def second_reads(record: EcgRecord, card: ModelCard, prediction, person) -> tuple[list[dict], dict[str, float]]:
    """What every second reader that is on says of a record, and our chances of the same findings.

    Computed once per signal, facts of the person, and version of the active model and of the second readers. One that
    cannot be loaded is left out (the Models page says why).

    Args:
        record: The ECG. card: The active model. prediction: What it said. person: answers.second_readers.Person.
    """
    from echo2ecg_core.answers.second_readers import is_on, ready_cards

    cards = [c for c in ready_cards(workspace(), "ECG") if is_on(c)]
    if not cards:
        return [], {}
    told = tuple(sorted(record.device_measurements.items())), record.statements, record.units
    facts = (record.content_hash, person.sex, person.age_years, tuple(sorted(person.source.items())), *told)
    ours = card.model_id, _model_state(card), prediction.embedding is not None
    key = (*facts, *ours, tuple(_reader_state(c) for c in cards))
    return _second_reads(key, record, card, prediction, person, cards)


@st.cache_data(max_entries=256, show_spinner=False)
def _second_reads(key: tuple, _record, _card, _prediction, _person, _cards):
    from echo2ecg_core.answers.second_readers import chances_of, read_beside

    readers = []
    for reader in _cards:
        try:
            readers.append(_second_reader(_reader_state(reader), reader))
        except ModelError as error:
            log.warning("A second reader cannot be loaded: %s", error)
    report = _prediction.as_json()
    embedding = _prediction.embedding
    ours = chances_of(report, embedding, loaded_model(_card)) if embedding is not None else {}
    unusable = report["quality"]["verdict"] == "unusable"
    return read_beside(_record, readers, person=_person, our_chances=ours, unusable=unusable), ours


def combinations(card: ModelCard):
    """The mixes of models that won beside the active one (answers.combined.Combinations), as they are now."""
    from echo2ecg_core.store.paths import READOUTS_FILE, ready_path

    paths = ready_path(workspace(), card.model_id), card.folder / READOUTS_FILE
    return _combinations((card.model_id, *(p.stat().st_mtime_ns if p.exists() else None for p in paths)), card)


@st.cache_data(max_entries=8, show_spinner=False)
def _combinations(key: tuple, _card: ModelCard):
    from echo2ecg_core.answers.combined import combinations

    return combinations(workspace(), _card)


def _reader_state(card: ModelCard) -> tuple:
    """Changes whenever a second reader is recalibrated."""
    from echo2ecg_core.answers.second_readers import CURVES_FILE

    path = card.folder / CURVES_FILE
    return card.model_id, path.stat().st_mtime_ns if path.exists() else None


def _neighbours_state(card: ModelCard) -> tuple:
    """Changes whenever the embedded ECGs or what the catalog says of them do."""
    from echo2ecg_core.store.vectors import vectors_state

    folder = workspace().vectors
    return str(folder), vectors_state(folder, "ecg", card.model_id), workspace().version()


def _studies() -> tuple[int, bool]:
    """How many studies there are, and whether there are some and all are simulated."""
    if not workspace().exists():
        return 0, False
    synthetic = snapshot(workspace()).studies.synthetic
    return len(synthetic), len(synthetic) > 0 and bool(synthetic.all())


@st.cache_data(max_entries=4, show_spinner=False)
def _cohorts_with_ids(folder: str, version: int) -> list[str]:
    return Catalog(Workspace(folder)).cohorts_with_ids()


def cohorts_with_ids() -> list[str]:
    """Cohorts of real patients whose ids, dates and ages were kept as they are."""
    return _cohorts_with_ids(str(workspace().folder), workspace().version()) if workspace().exists() else []


def workspace_name() -> str:
    """How the sidebar calls the workspace: the demo by what it holds, any other by its folder."""
    count, synthetic = _studies()
    if not count:
        return f"{workspace().folder.name} (empty)"
    return "Demo (phantom cohort)" if synthetic else workspace().folder.name


def holds_phantoms_only() -> bool:
    """True when there are studies and every one is simulated."""
    return _studies()[1]


def prepare() -> None:
    """Pay once, in the background of a starting server, for what the first visitor needs.

    An empty workspace gets the shipped model and, as a job, the demo; then torch, the compiled filters, the active
    model and what the other pages import are loaded.
    """
    from echo2ecg_core.ecg.preprocess import warm_up as compile_filters
    from echo2ecg_core.intake.archives import tidy_uploads
    from echo2ecg_core.intake.demo import ensure_demo, example_ecgs
    from echo2ecg_core.intake.removal import finish_removals
    from echo2ecg_core.store.jobs import tidy_logs

    try:
        tidy_uploads(workspace())
        tidy_logs(workspace())
        finish_removals(workspace())
        if settings().auto_demo:
            ensure_demo(workspace())
        compile_filters()
        card = active_model()
        if card is not None:
            loaded_model(card)
        example_ecgs(workspace())
        for name in LATER:
            importlib.import_module(name)
    except Echo2ECGError as error:
        log.warning("Not everything could be prepared: %s", error)
        _failed.set()
    finally:
        database.answer_people()
        gc.collect()
        gc.freeze()  # what stays need not be looked through at every collection
        _warming.set()


def is_warm() -> bool:
    """True once `prepare` has ended: a prediction then takes about a second."""
    return _warming.is_set()


def could_load() -> bool:
    """False when the last attempt to prepare the active model failed."""
    return not _failed.is_set()


@st.cache_data(max_entries=512, show_spinner=False)
def chart_svg(key: tuple, dark: bool, _chart) -> str:
    """A chart of a report as inline SVG, drawn once per report, choice and theme.

    Args:
        key: What the chart shows: state of the reports, task, readout and name of the chart.
        dark: For a dark page.
        _chart: workflows.report_charts.Chart.
    """
    from echo2ecg_core.figures.chart import DARK, LIGHT, Frame, inline_svg

    return inline_svg(_chart.draw(Frame(DARK if dark else LIGHT)), _chart.alt)


@st.cache_data(max_entries=64, show_spinner=False)
def bullseye_svg(scores: tuple[int | None, ...], dark: bool) -> str:
    """The wall motion of a study as inline SVG, drawn once per scores and theme."""
    from echo2ecg_core.figures.chart import DARK, LIGHT, Frame, inline_svg
    from echo2ecg_core.figures.wall_motion import bullseye_figure, bullseye_words

    return inline_svg(bullseye_figure(scores, Frame(DARK if dark else LIGHT)), bullseye_words(scores))
