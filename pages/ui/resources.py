"""Everything the pages cache: networks once per process, predictions once per input.

Keys are content hash + model id, so nothing is ever cleared: another model or another file is another key. Imports
of torch and numba happen inside, after the first paint; `prepare` pays for them in a thread when the server starts.
"""

import importlib
import logging
import threading

import streamlit as st

from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.errors import Echo2ECGError, ModelError
from echo2ecg_core.figures import beats
from echo2ecg_core.figures.beats import MedianBeat
from echo2ecg_core.settings import settings
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelCard
from pages.ui.session import ReadFile

LATER = ("faiss", "plotly.graph_objects", "echo2ecg_core.answers.maps", "echo2ecg_core.answers.study_view")
log = logging.getLogger(__name__)
_loading = threading.Lock()
_warming = threading.Event()


def workspace() -> Workspace:
    """The workspace of this process (a cheap handle; nothing is open)."""
    return Workspace(settings().workspace)


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


@st.cache_data(max_entries=32, show_spinner=False)
def read_files(
    content: dict[str, bytes], sampling_rate_hz: float | None, unit: str = "", lead_order: str = ""
) -> tuple[ReadFile, ...]:
    """Every recording of an upload, read once per content.

    Args:
        content: File name -> bytes; files that belong together (.hea and .dat) come together.
        sampling_rate_hz, unit, lead_order: For files that do not hold them.
    """
    from echo2ecg_core.ecg.readers import read_ecgs

    return tuple(
        ReadFile(item.source, item, None) if isinstance(item, EcgRecord) else ReadFile(item.source, None, item)
        for item in read_ecgs(content, sampling_rate_hz, unit, lead_order)
    )


@st.cache_data(max_entries=8, show_spinner=False)
def example(title: str) -> EcgRecord:
    """One of the demo's ECGs, read from its file like anyone's."""
    from echo2ecg_core.ecg.readers import read_ecg
    from echo2ecg_core.intake.demo import example_ecgs

    return read_ecg(next(e.path for e in example_ecgs(workspace()) if e.title == title))


@st.cache_data(max_entries=64, show_spinner=False)
def _median_beat(content_hash: str, _record: EcgRecord) -> MedianBeat | None:
    return beats.median_beat(_record)


def median_beat(record: EcgRecord) -> MedianBeat | None:
    """The median beat of a record, found once per signal; None where no repeating beat is found."""
    return _median_beat(record.content_hash, record)


@st.cache_resource(max_entries=2, show_spinner=False)
def _loaded_model(folder: str, model_id: str):
    from echo2ecg_core.answers.loaded_model import load_active_model

    return load_active_model(Workspace(folder))


def loaded_model(card: ModelCard):
    """The networks, readouts and vectors of a model, loaded once per process (LoadedModel)."""
    with _loading:
        return _loaded_model(str(workspace().folder), card.model_id)


@st.cache_data(max_entries=256, show_spinner=False)
def _prediction(key: tuple, insist: bool, _record: EcgRecord, _card: ModelCard):
    from echo2ecg_core.answers.predict import predict

    return predict(_record, loaded_model(_card), workspace(), insist=insist)


def prediction(record: EcgRecord, card: ModelCard, *, insist: bool = False):
    """The model's prediction for a record (workflows.predict.Prediction).

    Computed once per signal, facts of the person, model and state of the neighbours it may name.

    Args:
        record: The ECG.
        card: The active model.
        insist: Predict although the signal quality advises against it.

    Raises:
        Echo2ECGError: the model cannot be loaded or the signal cannot be used.
    """
    facts = (record.content_hash, record.source, record.sex, record.age_years)
    return _prediction((*facts, card.model_id, _neighbours_state(card)), insist, record, card)


def _neighbours_state(card: ModelCard) -> tuple:
    """Changes whenever the embedded ECGs do: folder and time of their file, which is only ever replaced."""
    from echo2ecg_core.store.vectors import vectors_path

    path = vectors_path(workspace().vectors, "ecg", card.model_id)
    return str(path), path.stat().st_mtime_ns if path.exists() else None


@st.cache_data(max_entries=4, show_spinner=False)
def _workspace_name(folder: str, counts: tuple) -> str:
    studies = Catalog(Workspace(folder)).studies()
    return "Demo (phantom cohort)" if studies["synthetic"].all() else Workspace(folder).folder.name


def workspace_name() -> str:
    """How the sidebar calls the workspace: the demo by what it holds, any other by its folder."""
    if not workspace().exists():
        return f"{workspace().folder.name} (empty)"
    counts = Catalog(workspace()).counts()
    if not counts["studies"]:
        return f"{workspace().folder.name} (empty)"
    return _workspace_name(str(workspace().folder), tuple(counts.values()))


def holds_phantoms_only() -> bool:
    """True when every study of the workspace is simulated."""
    studies = Catalog(workspace()).studies() if workspace().exists() else None
    return studies is not None and len(studies) > 0 and bool(studies.synthetic.all())


def prepare() -> None:
    """Pay once, in the background of a starting server, for what the first visitor needs.

    An empty workspace gets the shipped model and, as a job, the demo; then torch, the compiled filters, the active
    model and what the other pages import are loaded.
    """
    from echo2ecg_core.ecg.preprocess import warm_up as compile_filters
    from echo2ecg_core.intake.demo import ensure_demo, example_ecgs

    try:
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
    finally:
        _warming.set()


def is_warm() -> bool:
    """True once `prepare` has ended: a prediction then takes about a second."""
    return _warming.is_set()


@st.cache_resource(max_entries=8, show_spinner=False)
def _report(folder: str, model_id: str, split: str, state: tuple):
    from echo2ecg_core.reports.folder import load_report

    return load_report(Workspace(folder), model_id, split)


def report(model_id: str, split: str):
    """The evaluation report of a model on a split (evaluation.evaluated.Report), read once per version of its file.

    Raises:
        StoreError: there is none, or it is damaged.
    """
    return _report(str(workspace().folder), model_id, split, report_state(model_id, split))


def direct_difference(split: str, task: str, row: tuple[str, str], other: tuple[str, str]):
    """One row of a report minus another on the same ECGs (metric, value with its interval), or None; once per version
    of both reports."""
    return _direct_difference(
        str(workspace().folder), split, task, row, other, report_state(row[0], split), report_state(other[0], split)
    )


@st.cache_data(show_spinner=False, max_entries=4096)
def _direct_difference(
    folder: str, split: str, task: str, row: tuple[str, str], other: tuple[str, str], *states: tuple
):
    from echo2ecg_core.reports.folder import direct_difference as measure

    return measure(Workspace(folder), split, task, row, other)


def report_state(model_id: str, split: str) -> tuple:
    """Changes whenever the report of a model on a split does: its file is only ever replaced."""
    from echo2ecg_core.store.paths import report_path

    path = report_path(workspace(), model_id, split)
    return model_id, split, path.stat().st_mtime_ns if path.exists() else None


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


@st.cache_data(max_entries=2, show_spinner=False)
def report_zip(key: tuple, _report) -> bytes:
    """The folder of a report as a zip, made once per state of its reports."""
    from echo2ecg_core.reports.folder import report_zip as make

    return make(_report)
