"""The five numbers above a report's charts: scores of the model on a finding, with their intervals."""

from dataclasses import dataclass

from echo2ecg_core.figures.notation import MISSING, THIN, interval, number, unit_of_difference
from echo2ecg_core.figures.scores import score_interval, score_label, score_value
from echo2ecg_core.reports.comparison import task_short
from echo2ecg_core.reports.document import Encoder, Report

SHORT = {"probe": "probe", "knn": "kNN"}  # readouts beside a number


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
    share = _positive_share(report, finding, model)
    chance = {"auprc": f"chance {number(share, 2)}"} if share else {}
    value_task = report.regression_of(finding)
    scores = (
        ["auroc", "auprc", "sensitivity_at_90_specificity"] if task["kind"] == "binary" else ["auroc", "auprc", "f1"]
    )
    held = _interval_headline(report, task.get("phenotype"))
    found = [_headline(model, finding, metric, chance.get(metric, "")) for metric in scores]
    found.append(
        _error_headline(report, model, value_task, readout)
        if value_task
        else _headline(model, finding, "balanced_accuracy")
    )
    found.append(held or _headline(model, finding, "calibration_error" if task["kind"] == "binary" else "accuracy"))
    return found


def _positive_share(report: Report, finding: str, model: Encoder) -> float | None:
    """Share of the ECGs with a finding, which the scores are of; the counts beside them are of patients."""
    curve = report.section("curves", finding).get(model.row_key, {}).get("calibration")
    if not curve:
        return None
    bins = zip(curve["count"], curve["observed"], strict=True)
    return sum(count * share for count, share in bins) / sum(curve["count"])


def _headline(model: Encoder, task: str, metric: str, note: str = "") -> Headline:
    triple = model.score(task, metric)
    if not triple:
        return Headline(score_label(metric), MISSING, "", "not measured")
    ends = score_interval(triple[1], triple[2], metric)
    return Headline(score_label(metric), score_value(triple[0], metric), ends, note)


def _error_headline(report: Report, model: Encoder, task: str, readout: str) -> Headline:
    """Mean absolute error of the value as the ECG page shows it, beside that of the chosen readout and of guessing the
    test patients' own mean; of the readout alone where the page's was not measured."""
    meta, of_row = report.data["tasks"][task], model.score(task, "mae")
    name, phenotype = task_short(meta), meta.get("phenotype")
    page = next((r for r in report.section("intervals") if r["phenotype"] == phenotype and "mae" in r), None)
    label = f"{name} error{'' if page is None else ' as on the ECG page'}, mean absolute"
    triple = of_row if page is None else [page["mae"], page["mae_low"], page["mae_high"]]
    if not triple:
        return Headline(label, MISSING, "", "not measured")
    measured = report.section("scatter", task).get("measured")
    notes = [unit_of_difference(meta["unit"])]
    if page is not None and of_row:
        notes.append(f"{SHORT.get(readout, readout)} {score_value(of_row[0], 'mae', phenotype)}")
    if measured:
        mean = sum(measured) / len(measured)
        guess = score_value(sum(abs(m - mean) for m in measured) / len(measured), "mae", phenotype)
        notes.append(f"guessing the mean{':' if page is None else ''} {guess}")
    ends = score_interval(triple[1], triple[2], "mae", phenotype)
    return Headline(label, score_value(triple[0], "mae", phenotype), ends, "; ".join(notes))


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
