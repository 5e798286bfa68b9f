"""The tables of a report: every score, values, subgroups, retrieval, intervals, checks; report_comparison.py sets
encoders side by side.

Each is a `Table`, so that the page, the HTML report, the CSV and the LaTeX file show the same cells.
"""

from dataclasses import replace

from echo2ecg_core.evaluation.readers import ReaderPrecision
from echo2ecg_core.figures.notation import THIN, number, with_unit
from echo2ecg_core.figures.scores import count, score_label
from echo2ecg_core.figures.tables import SCORE_PARTS, Cell, Column, Table, number_cell, text_cell
from echo2ecg_core.phenotypes import PHENOTYPES
from echo2ecg_core.reports.comparison import (
    beside_name,
    differences_table,
    direct_cell,
    models_table,
    score_cell,
    short_cell,
    task_short,
)
from echo2ecg_core.reports.document import PAGE_READOUT, READOUTS, Report, readout_words
from echo2ecg_core.reports.findings_table import NO_FINDINGS
from echo2ecg_core.reports.findings_table import findings_table as ready_findings_table
from echo2ecg_core.reports.findings_table import mixes_table as mixes_of

FINDING_SCORES = (
    "auroc",
    "auprc",
    "accuracy",
    "balanced_accuracy",
    "f1",
    "precision",
    "recall",
    "sensitivity_at_90_specificity",
    "calibration_error",
    "calibration_slope",
    "calibration_intercept",
)
VALUE_SCORES = ("mae", "rmse", "r2")
PAGE_R2_HEADING = f"R², {PAGE_READOUT.lower()} (test R² of the ECG page)"
RETRIEVAL_WAYS = {"ecg_to_study": "ECG to study", "study_to_ecg": "Study to ECG"}


def findings_table(report: Report) -> Table:
    """Every score of every row on every finding, one line each."""
    tasks = report.findings()
    scores = [
        m
        for m in FINDING_SCORES
        if any(m in row["results"].get(task, {}) for row in report.data["rows"] for task in tasks)
    ]
    return _all_scores(report, "classification", "Findings", tasks, scores)


def finding_scores_table(report: Report, finding: str) -> Table:
    """Every score of every row on one finding."""
    return _of_one_task(
        _all_scores(
            report,
            f"scores-{finding.replace('_', '-')}",
            report.data["tasks"][finding]["label"],
            {finding: report.data["tasks"][finding]},
            [m for m in FINDING_SCORES if m in report.model_row(report.readouts()[0]).chosen.get(finding, {})],
        )
    )


def _of_one_task(table: Table) -> Table:
    """The table without the columns that would repeat its heading."""
    kept = [i for i, column in enumerate(table.columns) if column.name not in ("task", "row")]
    return Table(
        table.name,
        table.caption,
        tuple(table.columns[i] for i in kept),
        tuple(tuple(row[i] for i in kept) for row in table.rows),
    )


def values_table(report: Report) -> Table:
    """Errors and R² of every row on every value."""
    return _all_scores(report, "regression", "Values", report.regressions(), list(VALUE_SCORES))


def _all_scores(report: Report, name: str, caption: str, tasks: dict, scores: list[str]) -> Table:
    columns = (
        Column("Task", "task"),
        Column("Encoder", "encoder"),
        Column("Readout", "readout"),
        Column("Row", "row", printed=False),
        *(Column(score_label(m), m, True, SCORE_PARTS) for m in scores),
    )
    rows = [
        (
            text_cell(task["label"]),
            text_cell(row["encoder"]),
            Cell(READOUTS.get(row["readout"], row["readout"]), (row["readout"],)),
            text_cell(row["key"]),
            *(score_cell(row["results"][task_id].get(m), m, task.get("phenotype")) for m in scores),
        )
        for task_id, task in tasks.items()
        for row in report.data["rows"]
        if task_id in row["results"]
    ]
    return Table(name, f"{caption}: every row on the {report.split} patients", columns, tuple(rows))


def cohorts_table(report: Report, kind: str = "classification") -> Table:
    """Every score of every row on each cohort alone; without lines where all patients are of one cohort."""
    tasks, scores = (
        (report.regressions(), VALUE_SCORES) if kind == "regression" else (report.findings(), FINDING_SCORES)
    )
    return _cohorts(report, f"cohorts-{kind}", tasks, scores)


def cohorts_of_task(report: Report, task: str) -> Table:
    """The same for one finding or value."""
    scores = VALUE_SCORES if task in report.regressions() else FINDING_SCORES
    return _of_one_task(
        _cohorts(report, f"cohorts-{task.replace('_', '-')}", {task: report.data["tasks"][task]}, scores)
    )


def _cohorts(report: Report, name: str, tasks: dict, scores: tuple[str, ...]) -> Table:
    parts = [(task, part) for task in tasks for part in report.section("cohort_results", task)]
    scores = tuple(m for m in scores if any(m in found for _, part in parts for found in part["results"].values()))
    columns = (
        Column("Task", "task"),
        Column("Cohort", "cohort"),
        Column("Patients", "patients", True),
        Column("Positive", "positives", True),
        Column("Encoder", "encoder"),
        Column("Readout", "readout"),
        Column("Row", "row", printed=False),
        *(Column(score_label(m), m, True, SCORE_PARTS) for m in scores),
    )
    rows = [
        (
            text_cell(tasks[task]["label"]),
            Cell(part["cohort"], (part["cohort"],), strong=True),
            number_cell(part["patients"], count(part["patients"])),
            number_cell(part["positives"], count(part["positives"])),
            text_cell(row["encoder"]),
            Cell(READOUTS.get(row["readout"], row["readout"]), (row["readout"],)),
            text_cell(row["key"]),
            *(score_cell(part["results"][row["key"]].get(m), m, tasks[task].get("phenotype")) for m in scores),
        )
        for task, part in parts
        for row in report.data["rows"]
        if row["key"] in part["results"]
    ]
    return Table(name, f"Each cohort alone: every row on its {report.split} patients", columns, tuple(rows))


def phenotypes_table(report: Report, readout: str) -> Table:
    """The model's errors on every value, beside R² of the baselines and the paired error of every model set beside."""
    encoders = report.encoders(readout)
    others, beside = [e for e in encoders if e.kind != "model"], [e for e in encoders if e.kind == "beside"]
    names = {e.key: beside_name(report, e.model_id) if e.kind == "beside" else e.label for e in others}
    with_page = any(report.page_r2(task.get("phenotype")) for task in report.regressions().values())
    columns = (
        Column("Phenotype", "phenotype"),
        Column("Unit", "unit"),
        Column("ECGs", "ecgs", True),
        *(Column(f"{score_label(m)}, {readout_words(readout)}", m, True, SCORE_PARTS) for m in VALUE_SCORES),
        *([Column(PAGE_R2_HEADING, "r2_kernel_ridge", True, SCORE_PARTS)] if with_page else []),
        *(
            Column(f"Error of {names[e.key]}, paired difference", f"mae_difference_{e.key}", True, SCORE_PARTS)
            for e in beside
        ),
        *(Column(f"R², {names[e.key]}", f"r2_{e.key}", True, SCORE_PARTS) for e in others),
    )
    rows = []
    for name, task in report.regressions().items():
        phenotype = task.get("phenotype")
        rows.append(
            (
                Cell(task["label"], (name,), strong=True),
                text_cell(task["unit"]),
                number_cell(task["n"], count(task["n"])),
                *(score_cell(encoders[0].score(name, m), m, phenotype) for m in VALUE_SCORES),
                *([score_cell(report.page_r2(phenotype), "r2")] if with_page else []),
                *(direct_cell(report, name, e, readout) for e in beside),
                *(short_cell(e.score(name, "r2"), "r2") for e in others),
            )
        )
    return Table("phenotypes", f"Values predicted from the ECG, {report.split} patients", columns, tuple(rows))


def subgroups_table(report: Report) -> Table:
    """Every subgroup of every task."""
    columns = (
        Column("Task", "task"),
        Column("Group", "group"),
        Column("Level", "level"),
        Column("Patients", "patients", True),
        Column("Positive", "positives", True),
        Column("Score", "metric"),
        Column("Value", "value", True, SCORE_PARTS),
    )
    rows = [
        (
            text_cell(report.data["tasks"][task]["label"]),
            text_cell(row["group"].capitalize()),
            text_cell(row["level"]),
            number_cell(row["patients"], count(row["patients"])),
            number_cell(row["positives"], count(row["positives"])),
            Cell(score_label(row["metric"]), (row["metric"],)),
            score_cell(row["value"], row["metric"], report.data["tasks"][task].get("phenotype")),
        )
        for task, found in report.section("subgroups").items()
        if task in report.data["tasks"]
        for row in found
    ]
    return Table("subgroups", f"Subgroups of the {report.split} patients", columns, tuple(rows))


def retrieval_table(report: Report) -> Table:
    """Retrieval of the patient's own study or ECG, both ways."""
    found = report.section("retrieval")
    ways = {way: words for way, words in RETRIEVAL_WAYS.items() if way in found}
    columns = (Column("Score", "metric"), *(Column(words, way, True, SCORE_PARTS) for way, words in ways.items()))
    rows = [
        (
            Cell(score_label(metric), (metric,)),
            *(score_cell(report.retrieval_score(way, metric), metric) for way in ways),
        )
        for metric in dict.fromkeys(metric for way in ways for metric in found[way])
    ]
    return Table(
        "retrieval",
        f"Retrieval among {count(found.get('candidates'))} studies of {report.split} patients",
        columns,
        tuple(rows),
    )


def likeness_table(report: Report) -> Table:
    """Retrieval of partners of like phenotype, and how much more alike the ten nearest studies are than random ones."""
    found = report.section("retrieval")
    by_phenotype, ratios = found.get("by_phenotype") or {}, found.get("top10_difference_ratio") or {}
    shown = [(way, metric) for metric in ("precision@10", "map") for way in RETRIEVAL_WAYS]
    columns = (
        Column("Phenotype", "phenotype"),
        *(
            Column(f"{score_label(metric)}, {RETRIEVAL_WAYS[way]}", f"{way}_{metric}", True, SCORE_PARTS)
            for way, metric in shown
        ),
        Column("Difference of the ten nearest, share of random", "top10_difference_ratio", True),
    )
    rows = [
        (
            Cell(task_short({"phenotype": name, "label": name}), (name,), strong=True),
            *(score_cell(report.retrieval_score(way, metric, name), metric) for way, metric in shown),
            number_cell(ratios.get(name), number(ratios.get(name), 2)),
        )
        for name in dict.fromkeys([*by_phenotype, *ratios])
    ]
    return Table("likeness", "Studies of like phenotype", columns, tuple(rows))


def readers_table(report: Report) -> Table:
    """Precision by readers: how many of the studies ranked first readers called similar; empty without marks."""
    columns = (
        Column("Among the first", "k", True),
        Column("Called similar", "precision", True, SCORE_PARTS),
        Column("Hits marked", "hits", True),
        Column("ECGs", "ecgs", True),
        Column("Readers", "readers", True),
    )
    rows = []
    for row in (ReaderPrecision(**row) for row in report.section("readers") or []):
        low, high = row.interval or (None, None)
        shown = number(row.precision, 2)
        if row.interval:
            shown += f" ({number(low, 2)}–{number(high, 2)})"
        rows.append(
            (
                number_cell(row.k, str(row.k)),
                Cell(shown, (row.precision, low, high)),
                *(number_cell(n, count(n)) for n in (row.hits, row.ecgs, row.readers)),
            )
        )
    return Table("readers", "Precision by readers", columns, tuple(rows))


def intervals_in_order(report: Report) -> list[dict]:
    """Rows of the intervals in the order of the phenotype table."""
    places = {name: place for place, name in enumerate(PHENOTYPES)}
    return sorted(report.section("intervals") or [], key=lambda row: places.get(row["phenotype"], len(places)))


def intervals_table(report: Report) -> Table:
    """How many measured values lie inside their interval, per phenotype."""
    columns = (
        Column("Phenotype", "phenotype"),
        Column("Level", "level", True),
        Column("Inside", "coverage", True, SCORE_PARTS),
        Column("ECGs", "ecgs", True),
        Column("Disease", "disease"),
        Column("Inside, diseased", "disease_coverage", True, SCORE_PARTS),
        Column("Diseased ECGs", "disease_ecgs", True),
        Column("Median width", "median_width", True),
    )
    rows = []
    for row in intervals_in_order(report):
        phenotype = PHENOTYPES.get(row["phenotype"])
        width = (
            with_unit(row.get("median_width"), phenotype.unit, phenotype.decimals + 1)
            if phenotype
            else number(row.get("median_width"), 1)
        )
        rows.append(
            (
                Cell(phenotype.short if phenotype else row["phenotype"], (row["phenotype"],), strong=True),
                number_cell(row["level"], f"{100 * row['level']:.0f}{THIN}%"),
                score_cell([row["coverage"], row["low"], row["high"]], "coverage"),
                number_cell(row["n"], count(row["n"])),
                text_cell(row.get("disease") or ""),
                score_cell([row.get(f"disease_{part}") for part in ("coverage", "low", "high")], "coverage"),
                number_cell(row.get("disease_n"), count(row.get("disease_n"))),
                number_cell(row.get("median_width"), width),
            )
        )
    return Table("intervals", f"Intervals of the model on the {report.split} patients", columns, tuple(rows))


def checks_table(report: Report) -> Table:
    """What was looked for that would make the scores too good, and what was found."""
    columns = (Column("Check", "check"), Column("Passed", "ok"), Column("Found", "found"))
    rows = [
        (text_cell(row["check"]), Cell("yes" if row["ok"] else "no", (row["ok"],)), text_cell(row["found"]))
        for row in report.section("leakage")
    ]
    return Table("leakage", "Leakage checks", columns, tuple(rows))


def tasks_table(report: Report) -> Table:
    """What every task means, after whom, and how many it rests on."""
    columns = (
        Column("Task", "task"),
        Column("Kind", "kind"),
        Column("Definition", "definition"),
        Column("After", "source"),
        Column("Patients", "patients", True),
        Column("ECGs", "ecgs", True),
        Column("Positive patients", "positives", True),
    )
    rows = [
        (
            Cell(task["label"], (name,), strong=True),
            text_cell(task["kind"]),
            text_cell(task.get("definition")),
            text_cell(task.get("source")),
            number_cell(task["patients"], count(task["patients"])),
            number_cell(task["n"], count(task["n"])),
            number_cell(task.get("positives"), count(task.get("positives"))),
        )
        for name, task in report.data["tasks"].items()
    ]
    return Table("tasks", "Tasks", columns, tuple(rows))


def ready_table(report: Report) -> Table:
    """Ready models of others beside this one on the findings they share; empty without one."""
    table = ready_findings_table({**NO_FINDINGS, **(report.data.get("ready") or {})})
    return replace(table, name="ready-models", caption=f"Ready models beside it. {table.caption}")


def mixes_table(report: Report) -> Table:
    """Whether mixes of this model and the ready ones beat the best single one; empty where none was judged."""
    return mixes_of({**NO_FINDINGS, **(report.data.get("ready") or {})})


def all_tables(report: Report) -> list[Table]:
    """Every table that goes into the report folder; those of encoders and values under the first readout, the linear
    probe."""
    readout = report.readouts()[0]
    return [
        *(models_table(report, finding, readout) for finding in report.findings()),
        findings_table(report),
        values_table(report),
        phenotypes_table(report, readout),
        subgroups_table(report),
        differences_table(report),
        retrieval_table(report),
        likeness_table(report),
        intervals_table(report),
        checks_table(report),
        tasks_table(report),
        *(table for table in (ready_table(report), mixes_table(report), readers_table(report)) if table.rows),
        *(table for kind in ("classification", "regression") if (table := cohorts_table(report, kind)).rows),
    ]
