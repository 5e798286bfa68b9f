"""The charts of a report: which there are on a finding, what each says in words, and how it is drawn.

A `Chart` is drawn only when somebody looks at it or exports it; the page, the HTML report and the figure files share
it.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from echo2ecg_core.counts import counted
from echo2ecg_core.figures import evaluation as figures
from echo2ecg_core.figures.chart import Frame
from echo2ecg_core.figures.evaluation import ForestRow, Series
from echo2ecg_core.figures.notation import THIN, number, unit_of_difference
from echo2ecg_core.figures.scores import (
    count,
    difference_with_interval,
    score_decimals,
    score_label,
    score_value,
    score_with_interval,
)
from echo2ecg_core.phenotypes import PHENOTYPES
from echo2ecg_core.reports.comparison import (
    difference_of,
    main_score,
    reference_of,
    score_limits,
    task_short,
)
from echo2ecg_core.reports.document import Report, readout_words
from echo2ecg_core.reports.tables import RETRIEVAL_WAYS, intervals_in_order

MOST_LINES = 6
KS = (1, 3, 5, 10)
SCATTER_READOUT = "probe"  # whose predictions an evaluation keeps as points


@dataclass(frozen=True)
class Chart:
    """One chart of a report.

    Attributes:
        kind: "roc", "calibration", ...; no two charts of one tab have the same.
        title, note: Heading on a page that names finding and readout itself, and grey words beside it.
        alt: What it shows, in words.
        draw: Frame -> matplotlib Figure.
        task, label: The finding or value it is about: its id, and in words; "" for what is about all.
        readout: Whose predictions are drawn: a key of READOUTS, or "" where the chart is about no single one.
    """

    kind: str
    title: str
    note: str
    alt: str
    draw: Callable[[Frame], object]
    task: str = ""
    label: str = ""
    readout: str = ""

    @property
    def name(self) -> str:
        """For files: what, of which finding, by which readout: "roc-lvef-reduced-probe"."""
        return "-".join(part.replace("_", "-") for part in (self.kind, self.task, self.readout) if part)

    @property
    def full_title(self) -> str:
        """For files: "ROC: LVEF ≤ 40, linear probe"."""
        words = [self.label, readout_words(self.readout) if self.readout else ""]
        about = ", ".join(word for word in words if word)
        return f"{self.title}: {about}" if about else self.title


def finding_charts(report: Report, finding: str, readout: str) -> list[Chart]:
    """ROC, calibration and subgroups of a finding, those that its report has."""
    charts = [
        _roc(report, finding, readout),
        _calibration(report, finding, readout),
        subgroup_chart(report, finding, readout),
    ]
    return [chart for chart in charts if chart]


def value_charts(report: Report, task: str, readout: str) -> list[Chart]:
    """Predicted against measured, their agreement, subgroups, and R² of all encoders on a value."""
    charts = [
        _scatter(report, task),
        _bland_altman(report, task),
        subgroup_chart(report, task, readout),
        _encoders_forest(report, task, readout, "r2"),
    ]
    return [chart for chart in charts if chart]


def all_charts(report: Report) -> list[Chart]:
    """Every chart that goes into the report folder, under the first readout."""
    readout, charts = report.readouts()[0], []
    for finding in report.findings():
        charts += [*finding_charts(report, finding, readout), difference_chart(report, finding, readout)]
    for task in report.regressions():
        charts += value_charts(report, task, readout)
    return [c for c in (*charts, recall_chart(report), coverage_chart(report)) if c]


def _about(report: Report, task: str, readout: str) -> dict[str, str]:
    """What every chart of a task tells of itself."""
    return {"task": task, "label": report.data["tasks"][task]["label"], "readout": readout}


def _roc(report: Report, finding: str, readout: str) -> Chart | None:
    series = []
    for encoder in report.encoders(readout):
        owner = (
            report if encoder.kind != "beside" else next(r for r in report.beside if r.model["id"] == encoder.model_id)
        )
        curve = owner.section("curves", finding).get(encoder.row_key, {}).get("roc")
        if curve:
            score = score_with_interval(encoder.score(finding, "auroc"), "auroc")
            label = f"{_fitting(encoder.label)} {score}"
            series.append(Series(label, encoder.kind, curve["false_positive_rate"], curve["sensitivity"]))
    if not series:
        return None
    series, heading = series[:MOST_LINES], f"AUROC ({_level(report)} interval)"
    alt = f"ROC curves, AUROC: {'; '.join(line.label for line in series)}."
    return Chart(
        "roc",
        "ROC",
        "",
        alt,
        lambda frame: figures.roc_figure(series, frame, heading),
        **_about(report, finding, readout),
    )


def _calibration(report: Report, finding: str, readout: str) -> Chart | None:
    model = report.model_row(readout)
    curve = report.section("curves", finding).get(model.row_key, {}).get("calibration")
    if not curve:
        return None
    error = f"Calibration error {score_with_interval(model.score(finding, 'calibration_error'), 'calibration_error')}"
    slope = model.score(finding, "calibration_slope")
    told = f"{error}, slope {score_with_interval(slope, 'calibration_slope')}" if slope else error
    bins = ", ".join(
        f"{100 * p:.0f}{THIN}%: {100 * o:.0f}{THIN}%"
        for p, o in zip(curve["predicted"], curve["observed"], strict=True)
    )
    return Chart(
        "calibration",
        "Calibration",
        "",
        f"{told}. Observed by predicted probability: {bins}.",
        lambda frame: figures.calibration_figure(curve, error, "ECGs", frame),
        **_about(report, finding, readout),
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
    first = report.readouts()[0]
    note = "with number of patients" + ("" if readout == first else f"; {readout_words(first)}")
    unit = unit_of_difference(report.data["tasks"][task].get("unit") or "") if metric == "mae" else ""
    axis = ", ".join(filter(None, (score_label(metric), unit, f"{_level(report)} interval")))
    alt = f"{score_label(metric)} by subgroup: " + "; ".join(f"{row.label} {row.text}" for row in rows) + "."
    decimals = score_decimals(metric, phenotype)
    return Chart(
        "subgroups",
        "Subgroups",
        note,
        alt,
        lambda frame: figures.forest_figure(rows, axis, limits, whole[0] if whole else None, decimals, frame),
        **_about(report, task, first),
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
        **_about(report, task, readout),
    )


def _fitting(label: str, most: int = 24) -> str:
    return label if len(label) <= most else f"{label[: most - 1]}…"


def difference_chart(report: Report, task: str, readout: str) -> Chart | None:
    """Forest of paired differences to the reference encoder; the dotted line is no difference."""
    reference, key = reference_of(report, task)
    found = [(e, ends) for e in report.encoders(readout) if (ends := difference_of(report, task, e))]
    if not found or key is None:
        return None
    metric, phenotype = main_score(report, task), report.data["tasks"][task].get("phenotype")
    rows = [
        ForestRow(
            _fitting(e.label),
            "",
            values[0],
            values[1],
            values[2],
            difference_with_interval(values, metric, phenotype).split(" ")[0],
            e.kind == "model",
        )
        for e, values in found
    ]
    limits = score_limits([*(values for _, values in found), [0.0, 0.0, 0.0]], "difference")
    alt = f"Difference to {reference}: " + "; ".join(f"{r.label} {r.text}" for r in rows) + "."
    axis = f"Difference in {score_label(metric)} to {_fitting(f'{reference[0].lower()}{reference[1:]}')}"
    return Chart(
        "differences",
        "Paired differences",
        f"same patients, {_level(report)} interval",
        alt,
        lambda frame: figures.forest_figure(rows, axis, limits, 0.0, score_decimals(metric, phenotype), frame),
        **_about(report, task, readout),
    )


def _points(report: Report, task: str) -> tuple[list[float], list[float], str] | None:
    """Measured and predicted values of a task, and its name with its unit; None where none are stored."""
    points, meta = report.section("scatter", task), report.data["tasks"][task]
    if not points:
        return None
    label = f"{task_short(meta)}, {meta['unit']}" if meta["unit"] else task_short(meta)
    return points["measured"], points["predicted"], label


def _how_many(report: Report, task: str) -> str:
    """How many ECGs the points are, and of how many where an evaluation kept some of them by lot."""
    kept, known = len(report.section("scatter", task)["measured"]), report.data["tasks"][task].get("n") or 0
    return counted(kept, "ECG") if kept >= known else f"{count(kept)} by lot of {counted(known, 'ECG')}"


def _scatter(report: Report, task: str) -> Chart | None:
    if not (found := _points(report, task)):
        return None
    measured, predicted, label = found
    phenotype = PHENOTYPES.get(report.data["tasks"][task].get("phenotype"))
    limits = phenotype.axis if phenotype else (min(measured), max(measured))
    score = score_with_interval(report.model_row(SCATTER_READOUT).score(task, "r2"), "r2")
    note = f"R² {score}, {readout_words(SCATTER_READOUT)}"
    return Chart(
        "scatter",
        "Predicted against measured",
        _how_many(report, task),
        f"Predicted against measured {label}; {note}.",
        lambda frame: figures.scatter_figure(measured, predicted, label, limits, frame, note),
        **_about(report, task, SCATTER_READOUT),
    )


def _bland_altman(report: Report, task: str) -> Chart | None:
    found = _points(report, task)
    if not found or len(found[0]) < 3:
        return None
    measured, predicted, label = found
    bias, low, high = (number(v, 2) for v in figures.limits_of_agreement(measured, predicted))
    return Chart(
        "bland-altman",
        "Agreement",
        f"Bland–Altman, {_how_many(report, task)}",
        f"Predicted minus measured {label} against the mean of both: bias {bias}, limits {low} to {high}.",
        lambda frame: figures.bland_altman_figure(measured, predicted, label, frame),
        **_about(report, task, SCATTER_READOUT),
    )


def recall_chart(report: Report) -> Chart | None:
    """Recall among the first k, both ways, with guessing."""
    found = report.section("retrieval")
    series = []
    for place, (way, words) in enumerate(RETRIEVAL_WAYS.items()):
        scores = [report.retrieval_score(way, f"recall@{k}") for k in KS]
        if all(scores):
            values, low, high = zip(*scores, strict=True)
            known = all(end == end for end in (*low, *high))
            label = f"{words} {score_with_interval(scores[-1], 'recall@10') if known else number(values[-1], 2)}"
            kind = "model" if place == 0 else "beside"
            series.append(Series(label, kind, KS, values, *((low, high) if known else (None, None))))
    if not series:
        return None
    n = found.get("candidates")
    chance = (
        Series(f"Guessing among {counted(n, 'study', 'studies')}", "chance", KS, [min(1.0, k / n) for k in KS])
        if n
        else None
    )
    alt = "Share found among the first 1, 3, 5 and 10. " + " ".join(
        f"{line.label}: {', '.join(number(100 * v) for v in line.y)}{THIN}%." for line in series
    )
    banded = any(line.low is not None for line in series)
    heading = f"Recall at 10{f' ({_level(report)} interval)' if banded else ''}"
    return Chart(
        "recall",
        "Recall",
        "of the patient’s own study or ECG",
        alt,
        lambda frame: figures.recall_figure(series, chance, frame, heading),
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
            100 * r["coverage"],
            100 * r["low"],
            100 * r["high"],
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
