"""The tables of a report: models on one finding, every score, values, subgroups, differences, retrieval, intervals, checks.

Each is a `Table`, so that the page, the HTML report, the CSV and the LaTeX file show the same cells.
"""

import math

from echo2ecg_core.evaluation.evaluated import READOUTS, Encoder, Report
from echo2ecg_core.figures.notation import MISSING, THIN, number, with_unit
from echo2ecg_core.figures.scores import (
    count,
    difference_with_interval,
    parameters,
    score_interval,
    score_label,
    score_value,
)
from echo2ecg_core.figures.tables import SCORE_PARTS, Cell, Column, Mark, Table, number_cell, text_cell
from echo2ecg_core.phenotypes import PHENOTYPES

FINDING_SCORES = ("auroc", "auprc", "accuracy", "balanced_accuracy", "f1", "precision", "recall", "sensitivity_at_90_specificity",
                  "calibration_error")
VALUE_SCORES = ("mae", "rmse", "r2")
RETRIEVAL_WAYS = {"ecg_to_study": "ECG to study", "study_to_ecg": "Study to ECG"}
SERIES_OF_KIND = {"model": 0, "features": 2, "random": 3}
DETAILS = {"random": "same network", "features": "gradient boosting", "imported": "imported vectors"}


def main_score(report: Report, task: str) -> str:
    """The score that ranks encoders on a task: AUROC, or the mean absolute error of a value."""
    return "mae" if report.data["tasks"][task]["kind"] == "regression" else "auroc"


def task_short(task: dict) -> str:
    """The clinical abbreviation of a task's phenotype, else its label."""
    phenotype = PHENOTYPES.get(task.get("phenotype"))
    return phenotype.short if phenotype else task["label"]


def score_cell(triple: list | None, metric: str, phenotype: str | None = None, *, strong: bool = False) -> Cell:
    """A score with its interval in parentheses and all three numbers behind it."""
    if not triple or triple[0] is None:
        return Cell(MISSING)
    interval = score_interval(*triple[1:], metric, phenotype)
    detail = "" if interval == MISSING else f"({interval})"
    return Cell(score_value(triple[0], metric, phenotype), tuple(triple), detail, strong)


def score_limits(triples: list[list], metric: str) -> tuple[float, float]:
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
    columns = [Column("Model", "model"), Column("Parameters", "parameters", True),
               Column(f"{name}, {READOUTS[readout].split(',')[0].lower()}", metric, True, SCORE_PARTS),
               Column(f"{number(limits[0], 2)} to {number(limits[1], 2)}", "", False, ()),
               Column(f"Paired difference to {reference[0].lower()}{reference[1:]}" if reference else "Paired difference", "difference", True, SCORE_PARTS)]
    if other:
        columns.append(Column(f"{name}, {READOUTS[other].split(',')[0]}", f"{metric}_{other}", True, SCORE_PARTS))
    if value_task:
        columns.append(Column(f"{task_short(report.data['tasks'][value_task])} error", "value_error", True, SCORE_PARTS))
    columns.append(Column("Recall at 10", "recall_at_10", True))
    rows = []
    for encoder in encoders:
        cells = [_encoder_cell(report, encoder), number_cell(encoder.parameters, parameters(encoder.parameters)),
                 score_cell(encoder.score(finding, metric), metric, strong=True), _whisker(encoder, finding, metric, limits),
                 difference_cell(report, finding, encoder)]
        if other:
            cells.append(_short(encoder.other_score(finding, metric), metric))
        if value_task:
            cells.append(_short(encoder.score(value_task, "mae"), "mae", report.data["tasks"][value_task].get("phenotype")))
        rows.append((*cells, _recall_at_10(report, encoder)))
    caption = f"{report.data['tasks'][finding]['label']}: encoders on the same test patients"
    return Table(f"models-{finding.replace('_', '-')}", caption, tuple(columns), tuple(rows))


def _encoder_cell(report: Report, encoder: Encoder) -> Cell:
    detail = {**DETAILS, "model": f"{report.model['name']} {report.model['id'][:8]}", "beside": f"{beside_name(report, encoder.model_id)}"}
    return Cell(encoder.label, (encoder.label,), detail.get(encoder.kind, ""), True)


def beside_name(report: Report, model_id: str | None) -> str:
    """Name and short id of a model set beside."""
    found = next((other.model for other in report.beside if other.model["id"] == model_id), None)
    return f"{found['name']} {found['id'][:8]}" if found else ""


def _short(triple: list | None, metric: str, phenotype: str | None = None) -> Cell:
    """The score alone where the column is narrow; the CSV keeps its interval."""
    return Cell(score_value(triple[0], metric, phenotype), tuple(triple)) if triple else Cell(MISSING)


def _whisker(encoder: Encoder, task: str, metric: str, limits: tuple[float, float]) -> Cell:
    triple = encoder.score(task, metric)
    if not triple or triple[0] is None:
        return Cell(MISSING)
    low, high = limits
    ends = [triple[0] if end is None else end for end in triple]
    value, left, right = (100 * (min(max(end, low), high) - low) / (high - low) for end in ends)
    words = f"{encoder.label}: {score_value(triple[0], metric)}, interval {score_interval(*triple[1:], metric)}"
    return Cell(words, mark=Mark(value, left, right, SERIES_OF_KIND.get(encoder.kind, 1)))


def _recall_at_10(report: Report, encoder: Encoder) -> Cell:
    owner = report if encoder.kind == "model" else next((r for r in report.beside if r.model["id"] == encoder.model_id), None)
    value = owner and plain_score(owner.section("retrieval", "ecg_to_study").get("recall@10"))
    return number_cell(value, number(value, 2)) if value is not None else Cell(MISSING)


def plain_score(found) -> float | None:
    """A score that may come alone or with its interval."""
    return found[0] if isinstance(found, list) else found


def reference_of(report: Report, task: str) -> tuple[str, str | None]:
    """Name and row of the encoder that differences are taken to; ("", None) where there are none."""
    first = next(iter(report.section("differences", task).values()), None)
    row = next((r for r in report.data["rows"] if first and r["key"] == first["reference"]), None)
    return (row["encoder"], row["key"]) if row else ("", None)


def difference_cell(report: Report, task: str, encoder: Encoder) -> Cell:
    """The paired difference of one encoder, "reference" for the one it is taken to."""
    if encoder.row_key == reference_of(report, task)[1] and encoder.row_key and encoder.kind != "beside":
        return Cell("reference")
    owner = next((r for r in report.beside if r.model["id"] == encoder.model_id), None) if encoder.kind == "beside" else report
    found = owner and owner.section("differences", task).get(encoder.row_key)
    if not found:
        return Cell(MISSING)
    return Cell(difference_with_interval(found["value"], found["metric"], report.data["tasks"][task].get("phenotype")), tuple(found["value"]))


def findings_table(report: Report) -> Table:
    """Every score of every row on every finding, one line each."""
    tasks = report.findings()
    scores = [m for m in FINDING_SCORES if any(m in row["results"].get(task, {}) for row in report.data["rows"] for task in tasks)]
    return _all_scores(report, "classification", "Findings", tasks, scores)


def finding_scores_table(report: Report, finding: str) -> Table:
    """Every score of every row on one finding."""
    whole = _all_scores(report, f"scores-{finding.replace('_', '-')}", report.data["tasks"][finding]["label"], {finding: report.data["tasks"][finding]},
                        [m for m in FINDING_SCORES if m in report.model_row(report.readouts()[0]).chosen.get(finding, {})])
    kept = [i for i, column in enumerate(whole.columns) if column.name not in ("task", "row")]
    return Table(whole.name, whole.caption, tuple(whole.columns[i] for i in kept), tuple(tuple(row[i] for i in kept) for row in whole.rows))


def values_table(report: Report) -> Table:
    """Errors and R² of every row on every value."""
    return _all_scores(report, "regression", "Values", report.regressions(), list(VALUE_SCORES))


def _all_scores(report: Report, name: str, caption: str, tasks: dict, scores: list[str]) -> Table:
    columns = (Column("Task", "task"), Column("Encoder", "encoder"), Column("Readout", "readout"), Column("Row", "row"),
               *(Column(score_label(m), m, True, SCORE_PARTS) for m in scores))
    rows = [(text_cell(task["label"]), text_cell(row["encoder"]), Cell(READOUTS.get(row["readout"], row["readout"]), (row["readout"],)),
             text_cell(row["key"]), *(score_cell(row["results"][task_id].get(m), m, task.get("phenotype")) for m in scores))
            for task_id, task in tasks.items() for row in report.data["rows"] if task_id in row["results"]]
    return Table(name, f"{caption}: every row on the {report.data['split']} patients", columns, tuple(rows))


def phenotypes_table(report: Report, readout: str) -> Table:
    """The model's errors on every value, beside R² of the baselines."""
    encoders = report.encoders(readout)
    others = [e for e in encoders if e.kind != "model"]
    columns = (Column("Phenotype", "phenotype"), Column("Unit", "unit"), Column("ECGs", "ecgs", True),
               *(Column(score_label(m), m, True, SCORE_PARTS) for m in VALUE_SCORES),
               *(Column(f"R², {e.label}", f"r2_{e.key}", True, SCORE_PARTS) for e in others))
    rows = []
    for name, task in report.regressions().items():
        phenotype = task.get("phenotype")
        rows.append((Cell(task["label"], (name,), strong=True), text_cell(task["unit"]), number_cell(task["n"], count(task["n"])),
                     *(score_cell(encoders[0].score(name, m), m, phenotype) for m in VALUE_SCORES),
                     *(_short(e.score(name, "r2"), "r2") for e in others)))
    return Table("phenotypes", "Values predicted from the ECG", columns, tuple(rows))


def subgroups_table(report: Report) -> Table:
    """Every subgroup of every task."""
    columns = (Column("Task", "task"), Column("Group", "group"), Column("Level", "level"), Column("Patients", "patients", True),
               Column("Positive", "positives", True), Column("Score", "metric"), Column("Value", "value", True, SCORE_PARTS))
    rows = [(text_cell(report.data["tasks"][task]["label"]), text_cell(row["group"].capitalize()), text_cell(row["level"]),
             number_cell(row["patients"], count(row["patients"])), number_cell(row["positives"], count(row["positives"])),
             Cell(score_label(row["metric"]), (row["metric"],)), score_cell(row["value"], row["metric"], report.data["tasks"][task].get("phenotype")))
            for task, found in report.section("subgroups").items() if task in report.data["tasks"] for row in found]
    return Table("subgroups", "Subgroups of the test patients", columns, tuple(rows))


def differences_table(report: Report) -> Table:
    """Paired differences of every row to the reference row of its task."""
    names = {row["key"]: f"{row['encoder']}, {READOUTS.get(row['readout'], row['readout'])}" for row in report.data["rows"]}
    columns = (Column("Task", "task"), Column("Row", "row"), Column("Reference", "reference"), Column("Score", "metric"),
               Column("Difference", "difference", True, SCORE_PARTS))
    rows = [(text_cell(report.data["tasks"][task]["label"]), Cell(names.get(key, key), (key,)), Cell(names.get(d["reference"], ""), (d["reference"],)),
             Cell(score_label(d["metric"]), (d["metric"],)),
             Cell(difference_with_interval(d["value"], d["metric"], report.data["tasks"][task].get("phenotype")), tuple(d["value"])))
            for task, found in report.section("differences").items() if task in report.data["tasks"] for key, d in found.items()
            if key != d["reference"]]
    return Table("differences", "Paired differences, resampling the same patients for both rows", columns, tuple(rows))


def retrieval_table(report: Report) -> Table:
    """Retrieval of the patient's own study or ECG, both ways."""
    found = report.section("retrieval")
    ways = {way: words for way, words in RETRIEVAL_WAYS.items() if way in found}
    columns = (Column("Score", "metric"), *(Column(words, way, True) for way, words in ways.items()))
    rows = [(Cell(score_label(metric), (metric,)), *(_plain_cell(found[way].get(metric), metric) for way in ways))
            for metric in dict.fromkeys(metric for way in ways for metric in found[way])]
    return Table("retrieval", f"Retrieval among {count(found.get('candidates'))} studies", columns, tuple(rows))


def likeness_table(report: Report) -> Table:
    """Retrieval of partners of like phenotype, and how much more alike the ten nearest studies are than random ones."""
    found = report.section("retrieval")
    by_phenotype, ratios = found.get("by_phenotype") or {}, found.get("top10_difference_ratio") or {}
    shown = [(way, metric) for metric in ("precision@10", "map") for way in RETRIEVAL_WAYS]
    columns = (Column("Phenotype", "phenotype"),
               *(Column(f"{score_label(metric)}, {RETRIEVAL_WAYS[way]}", f"{way}_{metric}", True) for way, metric in shown),
               Column("Difference of the ten nearest, share of random", "top10_difference_ratio", True))
    rows = [(Cell(task_short({"phenotype": name, "label": name}), (name,), strong=True),
             *(_plain_cell(by_phenotype.get(name, {}).get(way, {}).get(metric), metric) for way, metric in shown),
             number_cell(ratios.get(name), number(ratios.get(name), 2))) for name in dict.fromkeys([*by_phenotype, *ratios])]
    return Table("likeness", "Studies of like phenotype", columns, tuple(rows))


def _plain_cell(score, metric: str) -> Cell:
    value = plain_score(score)
    return number_cell(value, score_value(value, metric))


def intervals_in_order(report: Report) -> list[dict]:
    """Rows of the intervals in the order of the phenotype table."""
    places = {name: place for place, name in enumerate(PHENOTYPES)}
    return sorted(report.section("intervals") or [], key=lambda row: places.get(row["phenotype"], len(places)))


def intervals_table(report: Report) -> Table:
    """How many measured values lie inside their interval, per phenotype."""
    columns = (Column("Phenotype", "phenotype"), Column("Level", "level", True), Column("Inside", "coverage", True, SCORE_PARTS),
               Column("ECGs", "ecgs", True), Column("Median width", "median_width", True))
    rows = []
    for row in intervals_in_order(report):
        phenotype = PHENOTYPES.get(row["phenotype"])
        width = with_unit(row.get("median_width"), phenotype.unit, phenotype.decimals + 1) if phenotype else number(row.get("median_width"), 1)
        rows.append((Cell(phenotype.short if phenotype else row["phenotype"], (row["phenotype"],), strong=True),
                     number_cell(row["level"], f"{100 * row['level']:.0f}{THIN}%"),
                     score_cell([row["coverage"], row["low"], row["high"]], "coverage"),
                     number_cell(row["n"], count(row["n"])), number_cell(row.get("median_width"), width)))
    return Table("intervals", "Intervals of the model on the test patients", columns, tuple(rows))


def checks_table(report: Report) -> Table:
    """What was looked for that would make the scores too good, and what was found."""
    columns = (Column("Check", "check"), Column("Passed", "ok"), Column("Found", "found"))
    rows = [(text_cell(row["check"]), Cell("yes" if row["ok"] else "no", (row["ok"],)), text_cell(row["found"])) for row in report.section("leakage")]
    return Table("leakage", "Leakage checks", columns, tuple(rows))


def tasks_table(report: Report) -> Table:
    """What every task means, after whom, and how many it rests on."""
    columns = (Column("Task", "task"), Column("Kind", "kind"), Column("Definition", "definition"), Column("After", "source"),
               Column("Patients", "patients", True), Column("ECGs", "ecgs", True), Column("Positive patients", "positives", True))
    rows = [(Cell(task["label"], (name,), strong=True), text_cell(task["kind"]), text_cell(task.get("definition")), text_cell(task.get("source")),
             number_cell(task["patients"], count(task["patients"])), number_cell(task["n"], count(task["n"])),
             number_cell(task.get("positives"), count(task.get("positives")))) for name, task in report.data["tasks"].items()]
    return Table("tasks", "Tasks", columns, tuple(rows))


def all_tables(report: Report) -> list[Table]:
    """Every table that goes into the report folder."""
    readout = report.readouts()[0]
    return [*(models_table(report, finding, readout) for finding in report.findings()), findings_table(report), values_table(report),
            phenotypes_table(report, readout), subgroups_table(report), differences_table(report), retrieval_table(report), likeness_table(report),
            intervals_table(report), checks_table(report), tasks_table(report)]
