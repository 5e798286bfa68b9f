"""The charts of a report: which there are on a finding, what each says in words, and how it is drawn.

A `Chart` is drawn only when somebody looks at it or exports it; the page, the HTML report and the figure files share
it.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from echo2ecg_core.figures import evaluation as figures
from echo2ecg_core.figures.chart import Frame
from echo2ecg_core.figures.evaluation import ForestRow, Series
from echo2ecg_core.figures.notation import MISSING, THIN, interval, number
from echo2ecg_core.figures.scores import (
    count,
    difference_with_interval,
    score_decimals,
    score_interval,
    score_label,
    score_value,
    score_with_interval,
)
from echo2ecg_core.phenotypes import PHENOTYPES
from echo2ecg_core.reports.comparison import (
    difference_cell,
    main_score,
    plain_score,
    reference_of,
    score_limits,
    task_short,
)
from echo2ecg_core.reports.document import Encoder, Report
from echo2ecg_core.reports.tables import RETRIEVAL_WAYS, intervals_in_order

MOST_LINES = 6
KS = (1, 3, 5, 10)


@dataclass(frozen=True)
class Chart:
    """One chart of a report.

    Attributes:
        name: For files, e.g. "roc".
        title, note: Heading, and grey words beside it.
        alt: What it shows, in words.
        draw: Frame -> matplotlib Figure.
    """

    name: str
    title: str
    note: str
    alt: str
    draw: Callable[[Frame], object]


def finding_charts(report: Report, finding: str, readout: str) -> list[Chart]:
    """ROC, calibration and subgroups of a finding, those that its report has."""
    charts = [
        _roc(report, finding, readout),
        _calibration(report, finding, readout),
        subgroup_chart(report, finding, readout),
    ]
    return [chart for chart in charts if chart]


def value_charts(report: Report, task: str, readout: str) -> list[Chart]:
    """Predicted against measured, subgroups, and R² of all encoders on a value."""
    charts = [
        _scatter(report, task),
        subgroup_chart(report, task, readout),
        _encoders_forest(report, task, readout, "r2"),
    ]
    return [chart for chart in charts if chart]


def all_charts(report: Report) -> list[Chart]:
    """Every chart that goes into the report folder, named after its task."""
    readout, charts = report.readouts()[0], []
    for finding in report.findings():
        charts += [
            (finding, c)
            for c in [*finding_charts(report, finding, readout), difference_chart(report, finding, readout)]
            if c
        ]
    for task in report.regressions():
        charts += [(task, c) for c in value_charts(report, task, readout)]
    named = [
        Chart(
            f"{chart.name}-{task.replace('_', '-')}",
            f"{chart.title}: {report.data['tasks'][task]['label']}",
            chart.note,
            chart.alt,
            chart.draw,
        )
        for task, chart in charts
    ]
    return named + [c for c in (recall_chart(report), coverage_chart(report)) if c]


def _roc(report: Report, finding: str, readout: str) -> Chart | None:
    series = []
    for encoder in report.encoders(readout):
        owner = (
            report if encoder.kind != "beside" else next(r for r in report.beside if r.model["id"] == encoder.model_id)
        )
        curve = owner.section("curves", finding).get(encoder.row_key, {}).get("roc")
        if curve:
            score = score_value((encoder.score(finding, "auroc") or [None])[0], "auroc")
            series.append(
                Series(f"{encoder.label} {score}", encoder.kind, curve["false_positive_rate"], curve["sensitivity"])
            )
    if not series:
        return None
    series = series[:MOST_LINES]
    alt = f"ROC curves, AUROC: {'; '.join(line.label for line in series)}."
    return Chart("roc", "ROC", "", alt, lambda frame: figures.roc_figure(series, frame))


def _calibration(report: Report, finding: str, readout: str) -> Chart | None:
    model = report.model_row(readout)
    curve = report.section("curves", finding).get(model.row_key, {}).get("calibration")
    if not curve:
        return None
    error = f"Calibration error {score_with_interval(model.score(finding, 'calibration_error'), 'calibration_error')}"
    bins = ", ".join(
        f"{100 * p:.0f}{THIN}%: {100 * o:.0f}{THIN}%"
        for p, o in zip(curve["predicted"], curve["observed"], strict=True)
    )
    return Chart(
        "calibration",
        "Calibration",
        "",
        f"{error}. Observed by predicted probability: {bins}.",
        lambda frame: figures.calibration_figure(curve, error, "ECGs", frame),
    )


def subgroup_chart(report: Report, task: str, readout: str) -> Chart | None:
    """Forest of the subgroups, all patients first; subgroups are computed for the first readout only."""
    found = report.section("subgroups", task)
    if not found:
        return None
    metric, phenotype = found[0]["metric"], report.data["tasks"][task].get("phenotype")
    whole = report.model_row(report.readouts()[0]).score(task, metric)
    rows = [_forest_row("All", count(report.data["tasks"][task]["patients"]), whole, metric, phenotype, bold=True)]
    levels = Counter(row["group"] for row in found)
    found = [row for row in found if levels[row["group"]] > 1]  # a group of one level is everybody again
    rows += [_forest_row(row["level"], count(row["patients"]), row["value"], metric, phenotype) for row in found]
    limits = score_limits([whole, *(row["value"] for row in found)], metric)
    limits = (max(limits[0], 0.4), limits[1]) if metric == "auroc" else limits
    note = "with number of patients" if readout == report.readouts()[0] else "with number of patients; linear probe"
    axis = f"{score_label(metric)}, {_level(report)} interval"
    alt = f"{score_label(metric)} by subgroup: " + "; ".join(f"{row.label} {row.text}" for row in rows) + "."
    decimals = score_decimals(metric, phenotype)
    return Chart(
        "subgroups",
        "Subgroups",
        note,
        alt,
        lambda frame: figures.forest_figure(rows, axis, limits, whole[0] if whole else None, decimals, frame),
    )


def _forest_row(
    label: str, n: str, triple: list | None, metric: str, phenotype: str | None, bold: bool = False
) -> ForestRow:
    value, low, high = (None if end is None or end != end else end for end in (triple or [None] * 3))
    return ForestRow(label, n, value, low, high, score_value(value, metric, phenotype), bold)


def _level(report: Report) -> str:
    return f"{100 * report.data.get('level', 0.95):.0f}{THIN}%"


def _encoders_forest(report: Report, task: str, readout: str, metric: str) -> Chart | None:
    encoders = [e for e in report.encoders(readout) if e.score(task, metric)]
    if not encoders:
        return None
    phenotype = report.data["tasks"][task].get("phenotype")
    rows = [
        _forest_row(_fitting(e.label), "", e.score(task, metric), metric, phenotype, e.kind == "model")
        for e in encoders
    ]
    limits = score_limits([*(e.score(task, metric) for e in encoders), [0.0, 0.0, 0.0]], metric)
    alt = f"{score_label(metric)}: " + "; ".join(f"{row.label} {row.text}" for row in rows) + "."
    axis = f"{score_label(metric)}, {_level(report)} interval; 0: the average patient"
    return Chart(
        "encoders",
        f"{score_label(metric)} of every encoder",
        "",
        alt,
        lambda frame: figures.forest_figure(rows, axis, limits, 0.0, 2, frame),
    )


def _fitting(label: str, most: int = 24) -> str:
    return label if len(label) <= most else f"{label[: most - 1]}…"


def difference_chart(report: Report, task: str, readout: str) -> Chart | None:
    """Forest of paired differences to the reference encoder; the dotted line is no difference."""
    reference, key = reference_of(report, task)
    found = [(e, difference_cell(report, task, e).values) for e in report.encoders(readout)]
    found = [(e, list(values)) for e, values in found if values]
    if not found or key is None:
        return None
    metric, phenotype = main_score(report, task), report.data["tasks"][task].get("phenotype")
    rows = [
        ForestRow(
            _fitting(e.label),
            "",
            *values,
            difference_with_interval(values, metric, phenotype).split(" ")[0],
            e.kind == "model",
        )
        for e, values in found
    ]
    limits = score_limits([*(values for _, values in found), [0.0, 0.0, 0.0]], "difference")
    alt = f"Difference to {reference}: " + "; ".join(f"{r.label} {r.text}" for r in rows) + "."
    axis = f"Difference in {score_label(metric)} to {_fitting(reference)}"
    return Chart(
        "differences",
        "Paired differences",
        f"same patients, {_level(report)} interval",
        alt,
        lambda frame: figures.forest_figure(rows, axis, limits, 0.0, score_decimals(metric, phenotype), frame),
    )


def _scatter(report: Report, task: str) -> Chart | None:
    points, meta = report.section("scatter", task), report.data["tasks"][task]
    if not points:
        return None
    measured, predicted = points["measured"], points["predicted"]
    phenotype = PHENOTYPES.get(meta.get("phenotype"))
    low, high = phenotype.axis if phenotype else (min(measured), max(measured))
    label = f"{task_short(meta)}, {meta['unit']}" if meta["unit"] else task_short(meta)
    r2 = score_with_interval(report.model_row("probe").score(task, "r2"), "r2")
    return Chart(
        "scatter",
        "Predicted against measured",
        f"{count(len(measured))} ECGs",
        f"Predicted against measured {label}; R² {r2}.",
        lambda frame: figures.scatter_figure(measured, predicted, label, (low, high), frame),
    )


def recall_chart(report: Report) -> Chart | None:
    """Recall among the first k, both ways, with guessing."""
    found = report.section("retrieval")
    series = []
    for place, (way, words) in enumerate(RETRIEVAL_WAYS.items()):
        values = [plain_score((found.get(way) or {}).get(f"recall@{k}")) for k in KS]
        if all(v is not None for v in values):
            series.append(Series(f"{words} {number(values[-1], 2)}", "model" if place == 0 else "beside", KS, values))
    if not series:
        return None
    n = found.get("candidates")
    chance = Series(f"guessing among {count(n)}", "chance", KS, [k / n for k in KS]) if n else None
    alt = "Share found among the first 1, 3, 5 and 10. " + " ".join(
        f"{line.label}: {', '.join(number(100 * v) for v in line.y)}{THIN}%." for line in series
    )
    return Chart(
        "recall",
        "Recall",
        "of the patient’s own study or ECG",
        alt,
        lambda frame: figures.recall_figure(series, chance, frame),
    )


def coverage_chart(report: Report) -> Chart | None:
    """Share of measured values inside their interval, per phenotype; the dotted line is what was promised."""
    found = intervals_in_order(report)
    if not found:
        return None
    level = 100 * found[0]["level"]
    rows = [
        ForestRow(
            PHENOTYPES[r["phenotype"]].short if r["phenotype"] in PHENOTYPES else r["phenotype"],
            count(r["n"]),
            *(100 * r[k] for k in ("coverage", "low", "high")),
            score_value(r["coverage"], "coverage"),
        )
        for r in found
    ]
    lowest = min([level, *(row.low for row in rows)])
    limits = (10 * math.floor(lowest / 10 - 0.2), 100)
    alt = f"Intervals that hold, of {level:.0f}{THIN}%: " + "; ".join(f"{row.label} {row.text}" for row in rows) + "."
    return Chart(
        "coverage",
        "Intervals that hold",
        "with number of ECGs",
        alt,
        lambda frame: figures.forest_figure(
            rows, f"Measured values inside, % ({_level(report)} interval)", limits, level, 0, frame
        ),
    )


@dataclass(frozen=True)
class Headline:
    """One number above the tabs: name, value, interval, and grey words beside it."""

    label: str
    value: str
    interval: str
    note: str = ""


def headlines(report: Report, finding: str, readout: str) -> list[Headline]:
    """Five numbers that say most of a model on a finding."""
    model, task = report.model_row(readout), report.data["tasks"][finding]
    shares = task["positives"] / task["patients"] if task.get("positives") and task["patients"] else None
    chance = {"auprc": f"chance {number(shares, 2)}"} if shares else {}
    value_task = report.regression_of(finding)
    scores = (
        ["auroc", "auprc", "sensitivity_at_90_specificity"] if task["kind"] == "binary" else ["auroc", "auprc", "f1"]
    )
    held = _interval_headline(report, task.get("phenotype"))
    found = [_headline(model, finding, metric, chance.get(metric, "")) for metric in scores]
    found.append(
        _error_headline(report, model, value_task) if value_task else _headline(model, finding, "balanced_accuracy")
    )
    found.append(held or _headline(model, finding, "calibration_error" if task["kind"] == "binary" else "accuracy"))
    return found


def _headline(model: Encoder, task: str, metric: str, note: str = "") -> Headline:
    triple = model.score(task, metric)
    if not triple:
        return Headline(score_label(metric), MISSING, "", "not measured")
    return Headline(score_label(metric), score_value(triple[0], metric), score_interval(*triple[1:], metric), note)


def _error_headline(report: Report, model: Encoder, task: str) -> Headline:
    """Mean absolute error of the value, beside that of guessing the test patients' own mean."""
    meta, triple = report.data["tasks"][task], model.score(task, "mae")
    label, phenotype = f"{task_short(meta)} error, mean absolute", meta.get("phenotype")
    if not triple:
        return Headline(label, MISSING, "", "not measured")
    measured = report.section("scatter", task).get("measured")
    unit = "points" if meta["unit"] == "%" else meta["unit"]
    note = unit
    if measured:
        mean = sum(measured) / len(measured)
        guess = sum(abs(m - mean) for m in measured) / len(measured)
        note = f"{unit}; guessing the mean: {score_value(guess, 'mae', phenotype)}"
    return Headline(
        label, score_value(triple[0], "mae", phenotype), score_interval(*triple[1:], "mae", phenotype), note
    )


def _interval_headline(report: Report, phenotype: str | None) -> Headline | None:
    row = next((r for r in report.section("intervals") if r["phenotype"] == phenotype), None)
    if row is None:
        return None
    ends = interval(100 * row["low"], 100 * row["high"], 1)
    return Headline(
        f"{100 * row['level']:.0f}{THIN}% intervals that hold",
        score_value(row["coverage"], "coverage"),
        f"{ends}{THIN}%",
    )
