"""Figures of one ECG for a paper: which leads carry the estimate, and the studies it finds; one or two columns wide.

Title and provenance stand in the picture and in the file, as in the figures of a report.
"""

from datetime import UTC, datetime

from echo2ecg_core.answers.predict import Prediction
from echo2ecg_core.answers.why import CELL_S, Why
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.figures.chart import Frame
from echo2ecg_core.figures.ecg_print import attribution_figure, retrieval_figure
from echo2ecg_core.figures.export import figure_file
from echo2ecg_core.reports.case_report import provenance, similar_hearts
from echo2ecg_core.reports.folder import DEFAULT_PRINT, Print
from echo2ecg_core.store.database import Workspace

TINT_WORDS = "Blue raises the estimate, orange lowers it."


def attribution_file(
    record: EcgRecord, report: dict, why: Why, workspace: Workspace, kind: str, print_as: Print = DEFAULT_PRINT
) -> bytes:
    """Twelve leads over what carries the LVEF estimate, as SVG, PDF or PNG (`kind`)."""
    title = "What carries the LVEF estimate, by integrated gradients"
    return _file(
        lambda frame: attribution_figure(why.record, why.contribution, CELL_S, TINT_WORDS, frame),
        title, record, report, workspace, kind, print_as,
    )  # fmt: skip


def retrieval_file(
    record: EcgRecord, prediction: Prediction, workspace: Workspace, kind: str, print_as: Print = DEFAULT_PRINT
) -> bytes:
    """The ECG with the four studies of other patients nearest to it at end-diastole and end-systole, as `kind`."""
    hearts, _ = similar_hearts(record, prediction, workspace)
    title = "ECG and the echo studies nearest to it, at end-diastole (ED) and end-systole (ES)"
    return _file(
        lambda frame: retrieval_figure(record, hearts, frame),
        title, record, prediction.as_json(), workspace, kind, print_as,
    )  # fmt: skip


def _file(draw, title, record: EcgRecord, report: dict, workspace: Workspace, kind: str, print_as: Print) -> bytes:
    lines = " ".join(provenance(record, report, workspace, datetime.now(UTC)))
    figure = draw(Frame(title=title, footer=lines, column=print_as.column))
    return figure_file(figure, kind, title=title, provenance=lines, dpi=print_as.dpi)
