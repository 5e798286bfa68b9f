"""What the Cohorts page asks of the catalogue, kept once a version of it: a rerun of the page asks nothing twice."""

import streamlit as st

from echo2ecg_core.intake.archives import last_imports as imported_last
from echo2ecg_core.intake.archives import passed_over as passed_over_files
from echo2ecg_core.reports.table_one import Comparison, compare_cohorts, effects_figure, effects_words
from echo2ecg_core.store import cohorts as numbers
from echo2ecg_core.store import jobs
from echo2ecg_core.store.database import Workspace
from pages.ui import resources


def _state() -> tuple[str, int]:
    place = resources.workspace()
    return str(place.folder), place.version()


@st.cache_data(max_entries=4, show_spinner=False)
def _cohorts(folder: str, version: int) -> list[numbers.Cohort]:
    return numbers.cohorts(Workspace(folder))


def cohorts() -> list[numbers.Cohort]:
    """Every cohort in numbers; none in a workspace that is not there yet."""
    return _cohorts(*_state()) if resources.workspace().exists() else []


@st.cache_data(max_entries=16, show_spinner=False)
def _missing(folder: str, version: int, cohort: str) -> dict[str, int]:
    return numbers.missing(Workspace(folder), cohort)


def missing(cohort: str) -> dict[str, int]:
    """How many rows of a cohort lack what."""
    return _missing(*_state(), cohort)


@st.cache_data(max_entries=64, show_spinner=False)
def _patients(folder: str, version: int, cohort: str, lacking: str, sought: str, first: int, most: int):
    return numbers.patients(Workspace(folder), cohort, lacking=lacking, sought=sought, first=first, most=most)


def patients(cohort: str, lacking: str, sought: str, first: int, most: int):
    """A page of patients and how many there are."""
    return _patients(*_state(), cohort, lacking, sought, first, most)


@st.cache_data(max_entries=16, show_spinner=False)
def _distributions(folder: str, version: int, cohort: str) -> list[numbers.Distribution]:
    return numbers.distributions(Workspace(folder), cohort)


def distributions(cohort: str) -> list[numbers.Distribution]:
    """The distribution of every measured phenotype of a cohort."""
    return _distributions(*_state(), cohort)


@st.cache_data(max_entries=16, show_spinner=False)
def _comparison(folder: str, version: int, first: str, second: str) -> Comparison:
    return compare_cohorts(Workspace(folder), first, second)


def comparison(first: str, second: str) -> Comparison:
    """Two cohorts side by side."""
    return _comparison(*_state(), first, second)


def _imports() -> tuple[str, tuple]:
    """Changes whenever an import ends, also one that brought nothing in."""
    place = resources.workspace()
    return str(place.folder), tuple((job.job_id, job.finished_at) for job in jobs.jobs(place) if job.kind == "import")


@st.cache_data(max_entries=4, show_spinner=False)
def _last_imports(folder: str, imports: tuple) -> dict[str, float]:
    return imported_last(Workspace(folder))


def last_imports() -> dict[str, float]:
    """When each cohort was imported last."""
    return _last_imports(*_imports())


def effects_svg(kind: str, dark: bool, found: Comparison) -> str:
    """The forest of the differences as inline SVG; kind: Key of table_one.FIGURES."""
    return _effects_svg(_state(), (found.first.name, found.second.name), kind, dark, found)


@st.cache_data(max_entries=32, show_spinner=False)
def _effects_svg(state: tuple, cohorts: tuple[str, str], kind: str, dark: bool, _found: Comparison) -> str:
    from echo2ecg_core.figures.chart import DARK, LIGHT, Frame, inline_svg

    return inline_svg(effects_figure(_found, kind, Frame(DARK if dark else LIGHT)), effects_words(_found, kind))


@st.cache_data(max_entries=4, show_spinner=False)
def _passed_over(folder: str, imports: tuple) -> list[dict]:
    return passed_over_files(Workspace(folder))


def passed_over() -> list[dict]:
    """The files that imports passed over: {cohort, file, reason, job_id, at}."""
    return _passed_over(*_imports())


@st.cache_data(max_entries=64, show_spinner=False)
def timeline_svg(key: tuple, dark: bool, _ecgs: list, _studies: list, _sex: str | None) -> str:
    """A patient in time as inline SVG.

    Args:
        key: Changes whenever the picture does.
    """
    from echo2ecg_core.figures.chart import DARK, LIGHT, Frame, inline_svg
    from echo2ecg_core.figures.timeline import timeline_figure, timeline_words

    figure = timeline_figure(_ecgs, _studies, _sex, Frame(DARK if dark else LIGHT))
    svg = inline_svg(figure, timeline_words(_ecgs, _studies)).replace('style="', 'style="min-width:540px;', 1)
    return f'<div style="overflow-x:auto" tabindex="0" role="region" aria-label="Patient in time">{svg}</div>'
