"""A report as one HTML file that names no other address: figures as inline SVG, tables, provenance, marks.

It is made to be mailed, printed and archived, so it has no script, no font of its own and one theme.
"""

from html import escape

from echo2ecg_core.counts import counted, counted_days
from echo2ecg_core.evaluation.readers import FEWEST_ECGS
from echo2ecg_core.figures.chart import ON_PAGE, inline_svg
from echo2ecg_core.figures.export import RESEARCH_ONLY
from echo2ecg_core.figures.notation import THIN
from echo2ecg_core.figures.scores import count, parameters
from echo2ecg_core.figures.tables import table_html
from echo2ecg_core.reports import charts, comparison, tables
from echo2ecg_core.reports.document import Report, labels_words
from echo2ecg_core.reports.findings_table import MIXES_WORDS
from echo2ecg_core.reports.headlines import headlines

DIFFERENCE_WORDS = (
    "The last column is the mean difference between an ECG’s own study and its ten nearest, as a share of that to "
    "random studies: 1 is no better than chance."
)
MEASURES = {"signal": "by their signal", "embedding": "by what the network sees"}
VALIDATION_WORDS = (
    "The readouts and intervals that pages show were calibrated on these patients, and training was watched on them, "
    "so what stands "
    "here may be too good. Judge a model by its test patients."
)
STYLE = """
body { font: 14px/1.45 system-ui, 'Source Sans 3', sans-serif; color: #17202a; background: #fff; max-width: 1200px;
  margin: 24px auto; padding: 0 24px; font-variant-numeric: tabular-nums; }
h1 { font-size: 22px; margin: 0; } h2 { font-size: 18px; margin: 34px 0 4px; border-top: 1px solid #dce2e8;
  padding-top: 18px; } h3 { font-size: 15.5px; margin: 0 0 4px; }
h3 span, p.facts, .e2e-table span { color: #55606d; font-weight: 400; } h3 span { font-size: 13px; }
.badge { display: inline-block; padding: 2px 8px; border-radius: 4px; background: #eef1f4; color: #46515d;
  font-weight: 600; font-size: 12.5px; margin: 6px 6px 6px 0; }
.badge.synthetic { background: #e6f0fa; color: #1a4f82; } .badge.failed { background: #fff6e6; color: #694200; }
.charts { display: flex; flex-wrap: wrap; gap: 22px 28px; margin: 12px 0; } .charts figure { margin: 0;
  flex: 0 1 373px; }
dl { display: flex; flex-wrap: wrap; gap: 6px 40px; margin: 10px 0; } dl div { margin: 0; } dt { font-size: 12.5px;
  color: #55606d; } dd { margin: 0; } dd b { font-size: 22px; font-weight: 600; } dd small { color: #55606d; }
.scroll { overflow-x: auto; } .e2e-table { border-collapse: collapse; font-size: 13.5px; width: 100%; margin: 10px 0;
  } .e2e-table :is(th, td) { border-bottom: 1px solid #ebeff3; padding: 4px 8px; text-align: left; font-weight: 400;
  vertical-align: top; }
.e2e-table thead th { font-weight: 600; font-size: 12.5px; color: #55606d; } .e2e-table b { font-weight: 600; }
  .e2e-table .num { text-align: right; white-space: nowrap; } .e2e-table caption { text-align: left;
  font-weight: 600; padding: 4px 8px; }
.e2e-whisker { position: relative; height: 16px; min-width: 150px; } .e2e-whisker > div { position: absolute; }
  .e2e-whisker .rule { left: 0; right: 0; top: 7px; height: 2px; background: #ebeff3; }
  .e2e-whisker .whisker { top: 7px; height: 2px; background: currentcolor; } .e2e-whisker .dot { top: 3.5px;
  width: 9px; height: 9px; margin-left: -4.5px; border-radius: 50%; background: currentcolor; }
.series0 { color: #1b5e9b; } .series1 { color: #c2571a; } .series2 { color: #17202a; } .series3 { color: #8a95a1; }
footer { margin-top: 40px; color: #55606d; font-size: 12.5px; } @media print { h2 { break-before: auto; } figure,
  table { break-inside: avoid; } }
"""


READY_WORDS = (
    "Published models of others on the same test patients, on the findings that their output asks in the same words. "
    "Scores are called scores until they are recalibrated on this workspace. Ours is here the chance that the ECG page "
    "shows, not the linear probe above, which is fitted for this report: the two AUROCs differ."
)
READERS_WORDS = (
    "What readers said on Similar studies, of any ECG they opened there, not of this split alone. A hit that several "
    f"marked counts once. 95{THIN}% intervals resample ECGs; below {FEWEST_ECGS} ECGs there is none."
)


def html_page(report: Report) -> str:
    """The whole report as one document."""
    name = escape(report.model["name"])
    parts = [f"<h1>{name}: evaluation report</h1>", _badges(report), f'<p class="facts">{escape(facts(report))}</p>']
    if split_words(report):
        parts.append(f"<p><b>Validation patients.</b> {split_words(report)}</p>")
    if report.beside:
        beside = ", ".join(f"{escape(r.model['name'])} {escape(r.model['id'][:8])}" for r in report.beside)
        parts.append(f"<p>Beside it: {beside}.</p>")
    for finding in report.findings():
        parts.append(_finding(report, finding))
    parts += [
        _one_chart("Ready models", None, tables.ready_table(report), READY_WORDS),
        _one_chart("Combined estimates", None, tables.mixes_table(report), MIXES_WORDS),
        _values(report),
        _one_chart("Retrieval", charts.recall_chart(report), tables.retrieval_table(report), ""),
        _likeness(report),
        _one_chart("Readers", None, tables.readers_table(report), READERS_WORDS),
        _one_chart("Intervals", charts.coverage_chart(report), tables.intervals_table(report), outside_words(report)),
        _one_chart("Leakage checks", None, tables.checks_table(report), ""),
        f"<h2>Tasks</h2>{_table(tables.tasks_table(report))}",
        _provenance(report),
        f"<footer>{RESEARCH_ONLY}</footer>",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        'content="width=device-width">'
        f"<title>{name}: evaluation report</title><style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _badges(report: Report) -> str:
    synthetic = '<span class="badge synthetic">Synthetic</span>' if report.synthetic else ""
    split = "" if report.split == "test" else f'<span class="badge failed">{report.split.capitalize()} patients</span>'
    return f'<div><span class="badge">{RESEARCH_ONLY}</span>{synthetic}{split}</div>'


def split_words(report: Report) -> str:
    """What a reader has to know of patients that are not test patients; "" for test patients."""
    return "" if report.split == "test" else VALIDATION_WORDS


def facts(report: Report) -> str:
    """One line: whom the numbers rest on."""
    counts = report.data["counts"]
    level = (
        f"{100 * report.data.get('level', 0.95):.0f}{THIN}% intervals: {count(report.data.get('resamples'))} "
        "bootstrap samples of patients"
    )
    seen = "never seen in training" if report.split == "test" else "on whom its readouts were calibrated"
    return (
        f"{', '.join(report.data.get('cohorts', []))}: {count(counts.get('patients'))} {report.split} patients, "
        f"{count(counts.get('ecgs'))} ECGs, {count(counts.get('studies'))} studies, {seen}."
        f"{window_words(report)} {level}."
    )


def window_words(report: Report) -> str:
    """How far apart an ECG and the echo it is labelled by may lie, as a sentence with a space before it; "" for a
    report that does not say."""
    return labels_words(report.data)


def provenance_rows(report: Report) -> list[tuple[str, str]]:
    """Where the numbers come from: model, data, program."""
    model, counts, data = report.model, report.data["counts"], report.data
    return [
        ("Model", f"{model['name']} {model['id']}"),
        ("SHA-256 of the weights", model.get("sha256", "")),
        ("Parameters of the ECG encoder", parameters(model.get("parameters"))),
        (
            "Training data of the model",
            "simulated hearts only" if model.get("synthetic") else "see the model's manifest",
        ),
        ("Cohorts", ", ".join(data.get("cohorts", []))),
        ("Split", report.split),
        ("ECG and echo apart", _apart(report)),
        (
            "Readouts fitted on",
            f"{count(counts.get('train_ecgs'))} ECGs of {count(counts.get('train_patients'))} training patients",
        ),
        ("Evaluated on", f"{count(counts.get('ecgs'))} ECGs of {count(counts.get('patients'))} patients"),
        (
            "Intervals",
            f"{100 * data.get('level', 0.95):.0f}{THIN}%, {count(data.get('resamples'))} bootstrap samples of patients",
        ),
        ("Made", f"{str(data.get('created_at', ''))[:16].replace('T', ' ')} UTC"),
        ("Program version", str(data.get("version", ""))),
        ("Workspace fingerprint", str(data.get("workspace", ""))[:16]),
        *(("Note", note) for note in data.get("notes") or []),
    ]


def _apart(report: Report) -> str:
    """The window of the labels, and how far apart test ECGs and their echos were."""
    days, found = report.data.get("within_days"), report.section("days_apart")
    if days is None:
        return "not limited: the study nearest in time, however far"
    seen = (
        f"; median {found['median']:.1f}, most {found['most']:.1f} days" if found and found["most"] is not None else ""
    )
    undated = found.get("not_known", 0) if found else 0
    unknown = f"; of {counted(undated, 'ECG')} the data set says which echo it is, and no days" if undated else ""
    return f"at most {counted_days(days)}{seen}{unknown}"


def readout_note(report: Report) -> str:
    """Why R² here and on the ECG page are two numbers; "" where the model has no readout of its own."""
    if not any(report.page_r2(task.get("phenotype")) for task in report.regressions().values()):
        return ""
    return (
        "Two readouts of the same embedding: the linear probe is what encoders are compared by, fitted on the training "
        "patients of this workspace for this report; the kernel ridge readout belongs to the model and makes the "
        "estimates and the test R² of the ECG page, on the test patients of its training."
    )


def likeness_words(report: Report) -> str:
    """Whether partners of the query's own patient count, and what the last column means."""
    apart = bool(report.section("retrieval").get("own_patient_left_out"))
    own = "ECGs and studies of the query’s own patient are " + ("left out." if apart else "among the candidates.")
    return f"{own} {DIFFERENCE_WORDS}"


def outside_words(report: Report) -> str:
    """How many test ECGs the model calls outside its training data."""
    outside = report.section("outside")
    if not outside:
        return ""
    ways = [f"{words} {100 * outside[name]:.1f}{THIN}%" for name, words in MEASURES.items() if name in outside]
    by = f": {', '.join(ways)}" if ways else ""
    return (
        f"{100 * outside['share']:.1f}{THIN}% of the {report.split} ECGs are marked as outside the training data{by} "
        f"(limit: the {outside['limit_percentile']:g}th percentile of ECGs of patients kept aside)."
    )


def _finding(report: Report, finding: str) -> str:
    readout, task = report.readouts()[0], report.data["tasks"][finding]
    numbers = "".join(
        f"<div><dt>{escape(h.label)}</dt><dd><b>{escape(h.value)}</b> {escape(h.interval)} "
        f"<small>{escape(h.note)}</small></dd></div>"
        for h in headlines(report, finding, readout)
    )
    drawn = [*charts.finding_charts(report, finding, readout), charts.difference_chart(report, finding, readout)]
    positive = (
        f" {count(task['positives'])} of {count(task['patients'])} patients."
        if task.get("positives") is not None
        else ""
    )
    return (
        f"<h2>{escape(task['label'])}</h2><p "
        f"class='facts'>{escape(task.get('definition') or '')}{positive}</p><dl>{numbers}</dl>"
        f"{_charts(drawn)}{_table(comparison.models_table(report, finding, readout))}"
        f"{_cohorts(tables.cohorts_of_task(report, finding))}"
    )


def _cohorts(table: tables.Table) -> str:
    return _table(table) if table.rows else ""


def _values(report: Report) -> str:
    readout = report.readouts()[0]
    drawn = [
        chart
        for task in report.regressions()
        for chart in charts.value_charts(report, task, readout)
        if chart.kind in ("scatter", "bland-altman")
    ]
    return (
        f"<h2>Values</h2><p class='facts'>{escape(readout_note(report))}</p>{_charts(drawn)}"
        f"{_table(tables.phenotypes_table(report, readout))}"
        f"{_cohorts(tables.cohorts_table(report, 'regression'))}"
        if report.regressions()
        else ""
    )


def _one_chart(heading: str, chart: charts.Chart | None, table, words: str) -> str:
    if not table.rows:
        return ""
    return f"<h2>{heading}</h2><p class='facts'>{escape(words)}</p>{_charts([chart])}{_table(table)}"


def _likeness(report: Report) -> str:
    table = tables.likeness_table(report)
    return f"<p class='facts'>{likeness_words(report)}</p>{_table(table)}" if table.rows else ""


def _charts(drawn: list) -> str:
    figures = "".join(
        f"<figure><h3>{escape(c.full_title)} <span>{escape(c.note)}</span></h3>"
        f"{inline_svg(c.draw(ON_PAGE), c.alt)}</figure>"
        for c in drawn
        if c
    )
    return f'<div class="charts">{figures}</div>' if figures else ""


def _table(table) -> str:
    return f'<div class="scroll">{table_html(table)}</div>'


def _provenance(report: Report) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(label)}</th><td>{escape(value)}</td></tr>'
        for label, value in provenance_rows(report)
    )
    return f'<h2>Provenance</h2><table class="e2e-table pairs"><tbody>{rows}</tbody></table>'
