"""Encoders side by side on one task: the models table with its sizes, scores and paired differences, and the cells it
is made of.

Differences are taken twice: to the hand-made features, which every report has, and, once models are set beside, to the
report's own model, ECG by ECG.
"""

import math
from collections.abc import Iterable, Iterator, Sequence

from echo2ecg_core.figures.notation import MISSING, number
from echo2ecg_core.figures.scores import (
    difference_with_interval,
    parameters,
    score_interval,
    score_label,
    score_value,
    size_beside,
)
from echo2ecg_core.figures.tables import SCORE_PARTS, Cell, Column, Mark, Table, text_cell
from echo2ecg_core.phenotypes import PHENOTYPES
from echo2ecg_core.reports.document import READOUTS, Encoder, Report

SERIES_OF_KIND = {"model": 0, "features": 2, "random": 3}
DETAILS = {"random": "same network", "features": "gradient boosting", "imported": "imported vectors"}
UNKNOWN_SIZE = {"features": "no network", "imported": "not stated"}
SIZE_PARTS = ("", "_times_model", "_unknown_because")


def main_score(report: Report, task: str) -> str:
    """The score that ranks encoders on a task: AUROC, or the mean absolute error of a value."""
    return "mae" if report.data["tasks"][task]["kind"] == "regression" else "auroc"


def task_short(task: dict) -> str:
    """The clinical abbreviation of a task's phenotype, else its label."""
    phenotype = PHENOTYPES.get(task.get("phenotype") or "")
    return phenotype.short if phenotype else task["label"]


def score_cell(triple: list | None, metric: str, phenotype: str | None = None, *, strong: bool = False) -> Cell:
    """A score with its interval in parentheses and all three numbers behind it."""
    if not triple or triple[0] is None:
        return Cell(MISSING)
    interval = score_interval(triple[1], triple[2], metric, phenotype)
    detail = "" if interval == MISSING else f"({interval})"
    return Cell(score_value(triple[0], metric, phenotype), tuple(triple), detail, strong)


def score_limits(triples: Iterable[Sequence[float | None] | None], metric: str) -> tuple[float, float]:
    """Round ends of an axis that holds all of these scores."""
    ends = [end for triple in triples if triple for end in triple if end is not None and end == end]
    if not ends:
        return 0.0, 1.0
    low, high = min(ends), max(ends)
    step = 10 ** math.floor(math.log10(max(high - low, 1e-6))) / 2
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    return (round(low, 6), round(min(high, 1.0) if metric == "auroc" else high, 6))


def models_table(report: Report, finding: str, readout: str) -> Table:
    """Every encoder on one finding: score under both readouts, whisker, paired difference, value error, retrieval."""
    metric = main_score(report, finding)
    encoders = report.encoders(readout)
    limits = score_limits([e.score(finding, metric) for e in encoders], metric)
    other = next((name for name in report.readouts() if name != readout), None)
    value_task = report.regression_of(finding)
    reference, _ = reference_of(report, finding)
    name = score_label(metric)
    columns = [
        Column("Model", "model"),
        Column("Parameters", "parameters", True, SIZE_PARTS),
        Column(f"{name}, {READOUTS[readout].split(',')[0].lower()}", metric, True, SCORE_PARTS),
        Column(f"{number(limits[0], 2)} to {number(limits[1], 2)}", "", False, ()),
        Column(
            f"Paired difference to {reference[0].lower()}{reference[1:]}" if reference else "Paired difference",
            "difference",
            True,
            SCORE_PARTS,
        ),
    ]
    if report.beside:
        columns.append(Column(f"Paired difference to {_own_name(report)}", "difference_to_model", True, SCORE_PARTS))
    if other:
        columns.append(Column(f"{name}, {READOUTS[other].split(',')[0]}", f"{metric}_{other}", True, SCORE_PARTS))
    if value_task:
        columns.append(
            Column(f"{task_short(report.data['tasks'][value_task])} error", "value_error", True, SCORE_PARTS)
        )
    columns.append(Column("Recall at 10", "recall_at_10", True, SCORE_PARTS))
    rows = []
    for encoder in encoders:
        cells = [
            _encoder_cell(report, encoder),
            _size_cell(report, encoder),
            score_cell(encoder.score(finding, metric), metric, strong=True),
            _whisker(encoder, finding, metric, limits),
            difference_cell(report, finding, encoder),
        ]
        if report.beside:
            cells.append(direct_cell(report, finding, encoder, readout))
        if other:
            cells.append(short_cell(encoder.other_score(finding, metric), metric))
        if value_task:
            cells.append(
                short_cell(encoder.score(value_task, "mae"), "mae", report.data["tasks"][value_task].get("phenotype"))
            )
        rows.append((*cells, _recall_at_10(report, encoder)))
    caption = f"{report.data['tasks'][finding]['label']}: encoders on the same {report.split} patients"
    return Table(f"models-{finding.replace('_', '-')}", caption, tuple(columns), tuple(rows))


def _encoder_cell(report: Report, encoder: Encoder) -> Cell:
    detail = {
        **DETAILS,
        "model": f"{report.model['name']} {report.model['id'][:8]}",
        "beside": f"{beside_name(report, encoder.model_id)}",
    }
    return Cell(encoder.label, (encoder.label,), detail.get(encoder.kind, ""), True)


def _size_cell(report: Report, encoder: Encoder) -> Cell:
    """Parameters of an encoder, and how many times larger or smaller than the model it is; why they are not known."""
    n, own = encoder.parameters, report.model.get("parameters")
    if not n:
        reason = UNKNOWN_SIZE.get(encoder.kind, "not known")
        return Cell(MISSING, (None, None, reason), reason)
    return Cell(
        parameters(n), (n, n / own if own else None), size_beside(n, own) if own and encoder.kind != "model" else ""
    )


def beside_name(report: Report, model_id: str | None) -> str:
    """Name and short id of a model set beside."""
    found = next((other.model for other in report.beside if other.model["id"] == model_id), None)
    return f"{found['name']} {found['id'][:8]}" if found else ""


def _own_name(report: Report) -> str:
    """Name of the report's model, with its short id where a model beside has the same."""
    name = report.model["name"]
    return f"{name} {report.model['id'][:8]}" if name in [other.model["name"] for other in report.beside] else name


def short_cell(triple: list | None, metric: str, phenotype: str | None = None) -> Cell:
    """The score alone where the column is narrow; the CSV keeps its interval."""
    return Cell(score_value(triple[0], metric, phenotype), tuple(triple)) if triple else Cell(MISSING)


def _whisker(encoder: Encoder, task: str, metric: str, limits: tuple[float, float]) -> Cell:
    triple = encoder.score(task, metric)
    if not triple or triple[0] is None:
        return Cell(MISSING)
    low, high = limits
    ends = [triple[0] if end is None else end for end in triple]
    value, left, right = (100 * (min(max(end, low), high) - low) / (high - low) for end in ends)
    told = score_interval(triple[1], triple[2], metric)
    words = f"{encoder.label}: {score_value(triple[0], metric)}, interval {told}"
    return Cell(words, mark=Mark(value, left, right, SERIES_OF_KIND.get(encoder.kind, 1)))


def _recall_at_10(report: Report, encoder: Encoder) -> Cell:
    owner = (
        report
        if encoder.kind == "model"
        else next((r for r in report.beside if r.model["id"] == encoder.model_id), None)
    )
    return score_cell(None if owner is None else owner.retrieval_score("ecg_to_study", "recall@10"), "recall@10")


def reference_of(report: Report, task: str) -> tuple[str, str | None]:
    """Name and row of the encoder that differences are taken to; ("", None) where there are none."""
    first = next(iter(report.section("differences", task).values()), None)
    row = next((r for r in report.data["rows"] if first and r["key"] == first["reference"]), None)
    return (row["encoder"], row["key"]) if row else ("", None)


def difference_cell(report: Report, task: str, encoder: Encoder) -> Cell:
    """The paired difference of one encoder, "reference" for the one it is taken to."""
    if encoder.row_key == reference_of(report, task)[1] and encoder.row_key and encoder.kind != "beside":
        return Cell("reference")
    found = _difference(report, task, encoder)
    if not found:
        return Cell(MISSING)
    return Cell(
        difference_with_interval(found["value"], found["metric"], report.data["tasks"][task].get("phenotype")),
        tuple(found["value"]),
    )


def difference_of(report: Report, task: str, encoder: Encoder) -> list[float] | None:
    """The paired difference of one encoder, [value, low, high]; None for the reference and where there is none."""
    if not difference_cell(report, task, encoder).values:
        return None
    return _difference(report, task, encoder)["value"]


def _difference(report: Report, task: str, encoder: Encoder) -> dict:
    """What a report holds of the paired difference of one encoder; {} where nothing."""
    owner = (
        next((r for r in report.beside if r.model["id"] == encoder.model_id), None)
        if encoder.kind == "beside"
        else report
    )
    return owner.section("differences", task).get(encoder.row_key) or {} if owner else {}


def direct_cell(report: Report, task: str, encoder: Encoder, readout: str) -> Cell:
    """The paired difference of one encoder to the report's own model on the same ECGs, "reference" for the model
    itself."""
    if encoder.kind == "model":
        return Cell("reference")
    found = report.difference_to_model(task, encoder, readout)
    if not found or found[1][0] != found[1][0]:
        return Cell(MISSING)
    metric, value = found
    return Cell(difference_with_interval(list(value), metric, report.data["tasks"][task].get("phenotype")), value)


def differences_table(report: Report) -> Table:
    """Paired differences of every row to the reference row of its task, then those of the models beside to this
    model."""
    names = {
        row["key"]: f"{row['encoder']}, {READOUTS.get(row['readout'], row['readout'])}" for row in report.data["rows"]
    }
    columns = (
        Column("Task", "task"),
        Column("Row", "row"),
        Column("Reference", "reference"),
        Column("Score", "metric"),
        Column("Difference", "difference", True, SCORE_PARTS),
    )
    rows = [
        (
            text_cell(report.data["tasks"][task]["label"]),
            Cell(names.get(key, key), (key,)),
            Cell(names.get(d["reference"], ""), (d["reference"],)),
            Cell(score_label(d["metric"]), (d["metric"],)),
            Cell(
                difference_with_interval(d["value"], d["metric"], report.data["tasks"][task].get("phenotype")),
                tuple(d["value"]),
            ),
        )
        for task, found in report.section("differences").items()
        if task in report.data["tasks"]
        for key, d in found.items()
        if key != d["reference"]
    ]
    return Table(
        "differences",
        "Paired differences, resampling the same patients for both rows",
        columns,
        (*rows, *_direct_rows(report, names)),
    )


def _direct_rows(report: Report, names: dict[str, str]) -> Iterator[tuple[Cell, ...]]:
    """One line a task, readout and model beside: that model minus the report's own."""
    for task, meta in report.data["tasks"].items():
        for readout in report.readouts():
            model = report.model_row(readout)
            for encoder in (e for e in report.encoders(readout) if e.kind == "beside"):
                cell = direct_cell(report, task, encoder, readout)
                if cell.values and model.row_key:
                    words = f"{encoder.label}, {beside_name(report, encoder.model_id)}, {READOUTS[readout]}"
                    yield (
                        text_cell(meta["label"]),
                        Cell(words, (f"{encoder.model_id} {encoder.row_key}",)),
                        Cell(names[model.row_key], (model.row_key,)),
                        Cell(score_label(main_score(report, task)), (main_score(report, task),)),
                        cell,
                    )
