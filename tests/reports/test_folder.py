"""The report against the document it is made from: CSV equals JSON, the HTML names no address, LaTeX is well formed."""

import csv
import io
import json
import re
import shutil
import zipfile
from html import escape
from html.parser import HTMLParser

import numpy as np
import openpyxl
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.text import Text
from PIL import Image
from sklearn.metrics import roc_auc_score

from echo2ecg_core.errors import StoreError
from echo2ecg_core.figures.chart import Frame, inline_svg
from echo2ecg_core.figures.latex import latex, table_latex
from echo2ecg_core.figures.scores import difference_with_interval, parameters, score_interval, score_value, size_beside
from echo2ecg_core.figures.tables import Cell, Column, Table, table_csv, table_html, table_xlsx
from echo2ecg_core.reports import charts as report_charts
from echo2ecg_core.reports import comparison as report_comparison
from echo2ecg_core.reports import folder as reports
from echo2ecg_core.reports import headlines as report_headlines
from echo2ecg_core.reports import tables as report_tables
from echo2ecg_core.reports.charts import value_charts
from echo2ecg_core.reports.contents import contents, fingerprint
from echo2ecg_core.reports.document import Report
from echo2ecg_core.reports.html_page import html_page, provenance_rows, window_words
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.model_registry import ModelRegistry
from echo2ecg_core.version import program_version
from tests.report_fixture import made_up_report, write_report
from tests.small_workspace import small_workspace

VOID = {"meta", "br", "use", "path", "link"}


@pytest.fixture(scope="module")
def report() -> Report:
    return Report(made_up_report())


@pytest.fixture(scope="module")
def beside() -> Report:
    return Report(made_up_report("bbbb0000", "Other <model>", auroc=0.88, encoder="Single view, A4C"))


def nothing_known(split, task, row, other):
    return None


def made_up_difference(split, task, row, other):
    """FIXTURE: +0.01 for each letter of the row's key, to the kNN of the model twice that."""
    assert split == "test" and other[0] == "f1c70000"
    value = 0.01 * len(row[1]) * (2 if other[1] == "model.knn" else 1)
    return "mae" if task in ("lvef", "ivsd", "rvsp") else "auroc", (value, value - 0.005, value + 0.005)


@pytest.fixture(scope="module")
def both(report, beside) -> Report:
    return reports.set_beside(report, [beside], made_up_difference)


@pytest.fixture(scope="module")
def page(both) -> str:
    return html_page(both)


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def read_csv(table: Table) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(table_csv(table)))


class Tags(HTMLParser):
    """Checks that every element is closed where it should be."""

    def __init__(self):
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def test_a_report_is_read_back_as_it_was_written(workspace):
    document = made_up_report()
    write_report(workspace, document)
    assert reports.load_report(workspace, document["model"]["id"]).data == document | {
        "page_readout": {},
        "ready": {},
        "readers": [],
    }
    assert reports.evaluated_models(workspace) == [document["model"]["id"]]


def test_reports_of_two_splits_lie_beside_each_other(workspace):
    test, validation = made_up_report("aaaa0000"), made_up_report("aaaa0000", auroc=0.97) | {"split": "validation"}
    paths = {
        write_report(workspace, document)
        for document in (test, validation, made_up_report("bbbb0000") | {"split": "validation"})
    }
    assert len(paths) == 3 and workspace.folder / "reports" / "aaaa0000" / "report.json" in paths
    assert (
        reports.load_report(workspace, "aaaa0000").data.items() >= test.items()
        and reports.load_report(workspace, "aaaa0000", "validation").data.items() >= validation.items()
    )
    assert reports.evaluated_models(workspace, "test") == ["aaaa0000"] and set(
        reports.evaluated_models(workspace, "validation")
    ) == {"aaaa0000", "bbbb0000"}
    assert set(reports.evaluated_models(workspace)) == {"aaaa0000", "bbbb0000"}
    with pytest.raises(StoreError, match="has no report on test patients yet. Run `evaluate --model bbbb0000`"):
        reports.load_report(workspace, "bbbb0000")
    with pytest.raises(StoreError, match="There is no split 'train' to evaluate; known: test, validation."):
        reports.load_report(workspace, "aaaa0000", "train")
    with pytest.raises(StoreError, match="rests on another split"):
        reports.set_beside(Report(test), [Report(validation)], nothing_known)


@pytest.mark.slow
def test_a_report_on_validation_patients_says_so_in_every_file(report):
    validation = Report(report.data | {"split": "validation"})
    page, test_page = html_page(validation), html_page(report)
    for words in (
        "<b>Validation patients.</b> The readouts and intervals that pages show were calibrated on these patients",
        ">Validation patients</span>",
        "1,204 validation patients",
        "on whom its readouts were calibrated",
    ):
        assert words in page and words not in test_page
    assert (
        "test patients" not in page.replace("Judge a model by its test patients.", "")
        and "never seen in training" in test_page
    )
    for table in report_tables.all_tables(validation):
        assert "test" not in table.caption
    assert "1204 validation patients" in reports.report_provenance(validation)
    assert (
        reports.file_stem(validation) == "report-f1c70000-validation" and reports.file_stem(report) == "report-f1c70000"
    )


def test_a_model_without_report_is_told_with_the_command_that_makes_one(workspace):
    with pytest.raises(StoreError, match="model 1234 has no report on test patients yet. Run `evaluate --model 1234`"):
        reports.load_report(workspace, "1234")


@pytest.mark.parametrize(
    ("content", "words"),
    [("{half", "damaged"), ("[]", "incomplete"), ('{"model": {}, "rows": []}', "split, counts, tasks is missing")],
)
def test_a_damaged_report_is_an_error_in_words(workspace, content, words):
    path = reports.report_path(workspace, "1234")
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(StoreError, match=words):
        reports.load_report(workspace, "1234")


def test_reports_of_other_patients_cannot_be_set_beside(report):
    other = made_up_report("cccc")
    other["workspace"] = "another"
    with pytest.raises(StoreError, match="rests on another archive"):
        reports.set_beside(report, [Report(other)], nothing_known)


def test_the_csv_of_the_findings_holds_every_number_of_the_document(report):
    table = read_csv(report_tables.findings_table(report))
    names = {task["label"]: name for name, task in report.data["tasks"].items()}
    assert len(table) == 6 * 4
    for row in table.to_dict("records"):
        results = next(r for r in report.data["rows"] if r["key"] == row["row"])["results"][names[row["task"]]]
        for metric, triple in results.items():
            assert [row[metric], row[f"{metric}_low"], row[f"{metric}_high"]] == triple


def test_the_csv_of_values_subgroups_intervals_and_retrieval_equals_the_document(report):
    values = read_csv(report_tables.values_table(report))
    row = values[(values.row == "model.probe") & (values.task == "LVEF")].iloc[0]
    assert [row.mae, row.mae_low, row.mae_high] == report.data["rows"][0]["results"]["lvef"]["mae"]
    groups = read_csv(report_tables.subgroups_table(report))
    female = groups[(groups.task == "LVEF ≤ 40") & (groups.level == "Female")].iloc[0]
    assert [female.value, female.value_low, female.value_high] == report.data["subgroups"]["lvef_reduced"][0][
        "value"
    ] and female.patients == 575
    held = read_csv(report_tables.intervals_table(report))
    assert (
        held.coverage.tolist() == [i["coverage"] for i in report.data["intervals"]] and held.ecgs.tolist() == [1450] * 3
    )
    assert held.phenotype.tolist() == ["lvef", "ivsd", "rvsp"]
    found = read_csv(report_tables.retrieval_table(report)).set_index("metric")
    assert found.loc["recall@10", "ecg_to_study"] == 0.45 and found.loc["recall@10", "study_to_ecg"] == pytest.approx(
        0.405
    )
    alike = read_csv(report_tables.likeness_table(report)).set_index("phenotype")
    assert (
        alike.loc["lvef", "ecg_to_study_map"] == pytest.approx(0.32)
        and alike.loc["lvef", "top10_difference_ratio"] == 0.61
    )


def test_the_models_table_lists_the_baselines_and_the_models_beside(report, beside):
    table = report_comparison.models_table(Report(report.data, (beside,)), "lvef_reduced", "probe")
    assert [row[0].text for row in table.rows] == [
        "Multi-view, attention",
        "Single view, A4C",
        "Hand-made ECG features",
        "Random initialisation",
        "Imported: my_otis & co",
    ]
    csv = read_csv(table)
    assert csv.auroc.tolist() == [0.91, 0.88, 0.84, 0.79, 0.86] and csv.auroc_knn[0] == 0.89
    assert csv.parameters.dropna().tolist() == [320_000, 320_000, 320_000, 5_400_000]
    assert table.rows[2][4].text == "reference" and table.rows[3][4].text == "−0.05 (−0.06 to −0.04)"


def test_the_models_table_tells_how_much_larger_each_encoder_is_and_why_a_size_is_not_known(report):
    unstated = [row | {"parameters": None} if row["kind"] == "imported" else row for row in report.data["rows"]]
    for rows, imported, csv_row in (
        (report.data["rows"], ("5.4\u202fM", "17× larger"), (5_400_000, 5_400_000 / 320_000, "")),
        (unstated, ("–", "not stated"), ("", "", "not stated")),
    ):
        table = report_comparison.models_table(Report(report.data | {"rows": rows}), "lvef_reduced", "probe")
        cells = {row[0].text: (row[1].text, row[1].detail) for row in table.rows}
        assert cells == {
            "Multi-view, attention": ("320\u202fk", ""),
            "Hand-made ECG features": ("–", "no network"),
            "Random initialisation": ("320\u202fk", "same size"),
            "Imported: my_otis & co": imported,
        }
        csv = read_csv(table).fillna("")
        found = csv[csv.model == "Imported: my_otis & co"].iloc[0]
        assert (found.parameters, found.parameters_times_model, found.parameters_unknown_because) == csv_row
        assert " ".join(imported).replace("\u202f", " ") in table_html(table).replace("\u202f", " ").replace(
            " <span>", " "
        ).replace("</span>", "")
        assert rf"{latex(imported[0])} \mbox{{({latex(imported[1])})}}" in table_latex(table) or imported[0] == "–"


def test_sizes_are_compared_in_words():
    assert [size_beside(n, 5_300_000) for n in (95_400_000, 5_300_000, 5_400_000, 1_650_000, 53_000)] == [
        "18× larger",
        "same size",
        "same size",
        "3.2× smaller",
        "100× smaller",
    ]


def test_with_knn_the_columns_change_places(report):
    csv = read_csv(report_comparison.models_table(report, "lvef_reduced", "knn"))
    assert csv.auroc[0] == 0.89 and csv.auroc_probe[0] == 0.91


def test_whiskers_lie_where_the_scores_do(report):
    table = report_comparison.models_table(report, "lvef_reduced", "probe")
    low, high = (float(end) for end in table.columns[3].heading.split(" to "))
    for row, value in zip(table.rows, (0.91, 0.84, 0.79, 0.86), strict=True):
        assert row[3].mark.value == pytest.approx(100 * (value - low) / (high - low))
        assert row[3].mark.low < row[3].mark.value < row[3].mark.high


@pytest.mark.slow
def test_every_finding_and_value_is_in_the_html_with_its_numbers(report, page):
    for task in report.findings().values():
        assert task["label"].replace("&", "&amp;") in page
    assert "<b>0.91</b> 0.90–0.92" in page and "73\u202f%" in page and "guessing the mean" in page
    assert "f1c7" in page and "FIXTURE cohort" in page and "1,000 bootstrap samples" in page


def test_the_html_names_no_address_and_runs_no_script(page):
    assert not re.search(r"https?:|//[a-z]", page) and "<script" not in page and "@import" not in page
    assert not re.search(r'(?:src|href)="(?!#|data:)', page)


@pytest.mark.slow
def test_the_html_is_marked_for_research_and_as_synthetic(page, report):
    assert "Research use only. Not a medical device." in page and ">Synthetic</span>" in page
    real = report.data | {"synthetic": False, "model": report.data["model"] | {"synthetic": False}}
    assert ">Synthetic</span>" not in html_page(Report(real))


def test_the_html_closes_what_it_opens_and_escapes_names(page):
    tags = Tags()
    tags.feed(page)
    assert not tags.open
    assert "Other &lt;model&gt;" in page and "<model>" not in page and "2 &lt;equal&gt; signals" in page


def test_latex_tables_are_well_formed(report):
    for table in report_tables.all_tables(report):
        text = table_latex(table)
        begun, ended = (re.findall(rf"\\{word}\{{(\w+)\}}", text) for word in ("begin", "end"))
        assert sorted(begun) == sorted(ended) and {"tabular", "longtable"} & set(begun)
        for line in (line for line in text.splitlines() if line.endswith(r" \\")):
            braces = line.replace(r"\{", "").replace(r"\}", "")
            assert braces.count("{") == braces.count("}")
            assert line.count("$") % 2 == 0 and not re.search(r"(?<!\\)[%#_]", line)
        assert text.isascii(), sorted(set(re.findall(r"[^\x00-\x7f]", text)))


def test_cells_of_a_table_are_text_in_html():
    table = Table("t", "<c>", (Column("<h>", "h"),), ((Cell("<b>x</b>", ("<b>x</b>",), "a & b"),),))
    assert table_html(table).count("<b>") == 0 and "&lt;c&gt;" in table_html(table) and "a &amp; b" in table_html(table)


@pytest.mark.slow
def test_the_folder_holds_html_tables_and_figures(report, tmp_path):
    left_out = dict.fromkeys(("subgroups", "differences", "retrieval"), {})
    small = Report(report.data | {"tasks": {k: report.data["tasks"][k] for k in ("lvef_reduced",)}} | left_out)
    told = []
    html = reports.write_report_folder(small, tmp_path / "out", lambda share, message: told.append(share))
    names = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")}
    assert (
        html.name == "report.html"
        and {"tables/classification.csv", "tables/models-lvef-reduced.tex", "figures/roc-lvef-reduced-probe.pdf"}
        <= names
    )
    assert {f"figures/{c.name}.{k}" for c in report_charts.all_charts(small) for k in ("svg", "pdf", "png")} <= names
    tex = (tmp_path / "out" / "tables" / "intervals.tex").read_text()
    assert tex.startswith("% ") and "Research use only" in tex.splitlines()[0] and "archive abcdef12" in tex
    assert told[0] == 0 and told[-1] == 1 and told == sorted(told)
    archive = zipfile.ZipFile(io.BytesIO(reports.report_zip(small)))
    assert archive.read(f"report-{small.model['id']}/report.html") == html.read_bytes()
    assert {name.rsplit(".", 1)[1] for name in archive.namelist()} == {
        *("html", "txt", "csv", "xlsx", "tex"),
        *("svg", "pdf", "png"),
    }
    only = zipfile.ZipFile(io.BytesIO(reports.report_zip(small, ("pdf",))))
    assert not [name for name in only.namelist() if name.endswith((".svg", ".png"))]
    told = archive.read(f"report-{small.model['id']}/PROVENANCE.txt").decode()
    for words in (
        small.model["sha256"],
        small.model["id"],
        "abcdef123456",
        "0.1.0",
        "2026-11-20",
        "Synthetic",
        "Research use only",
    ):
        assert words in told


def test_no_two_figures_of_a_report_share_a_name_or_a_title(report):
    charts = report_charts.all_charts(report)
    assert len({c.name for c in charts}) == len({c.full_title for c in charts}) == len(charts)
    both = [
        c
        for readout in ("probe", "knn")
        for f in report.findings()
        for c in report_charts.finding_charts(report, f, readout)
    ]
    of_readouts = [c for c in both if c.kind != "subgroups"]
    assert len({c.name for c in of_readouts}) == len({c.full_title for c in of_readouts}) == len(of_readouts)
    roc = next(c for c in both if c.kind == "roc")
    assert (roc.name, roc.full_title) == ("roc-lvef-reduced-probe", "ROC: LVEF ≤ 40, linear probe")
    assert next(c for c in both if c.kind == "roc" and c.readout == "knn").full_title == "ROC: LVEF ≤ 40, kNN, k = 5"


def test_a_curve_carries_its_auroc_with_interval(report):
    chart = next(c for c in report_charts.finding_charts(report, "lvef_reduced", "probe") if c.kind == "roc")
    legend = chart.draw(Frame()).axes[0].get_legend()
    assert legend.get_title().get_text() == "AUROC (95\u202f% interval)"
    assert "Multi-view, attention 0.91 (0.90–0.92)" in [text.get_text() for text in legend.get_texts()]


@pytest.mark.slow
@pytest.mark.parametrize(("column", "mm"), [("single", 85), ("double", 174)])
def test_figures_are_as_wide_as_a_column_with_text_that_can_be_read(report, column, mm):
    for chart in report_charts.all_charts(report)[:9]:
        figure = chart.draw(Frame(title=chart.full_title, footer=reports.report_provenance(report), column=column))
        assert figure.get_figwidth() * 25.4 == pytest.approx(mm, abs=0.05)
        sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text()]
        assert min(sizes) >= 6.5
    for dpi in (300, 600):
        png = Image.open(io.BytesIO(reports.chart_file(report, chart, "png", reports.Print(column, dpi))))
        assert abs(png.width - mm / 25.4 * dpi) <= 1 and png.info["dpi"][0] == pytest.approx(dpi, abs=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("column", ["single", "double"])
def test_no_word_of_a_printed_figure_is_cut_off(report, column):
    for chart in report_charts.all_charts(report):
        figure = chart.draw(Frame(title=chart.full_title, footer=reports.report_provenance(report), column=column))
        FigureCanvasAgg(figure).draw()
        width, height = figure.bbox.width, figure.bbox.height
        ticks = {id(t) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for t in axis.get_ticklabels()}
        for text in (t for t in figure.findobj(Text) if t.get_text() and id(t) not in ticks):
            box = text.get_window_extent()
            assert box.x0 >= -1 and box.x1 <= width + 1 and box.y0 >= -1 and box.y1 <= height + 1, (chart.name, text)


@pytest.mark.slow
def test_a_pdf_holds_its_fonts_as_truetype(report):
    pdf = reports.chart_file(report, report_charts.recall_chart(report), "pdf")
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf and b"/Subtype /Type1 " not in pdf


def test_a_width_or_resolution_that_no_journal_takes_is_refused_in_words():
    with pytest.raises(StoreError, match="no figure width 'triple'. Choose one of: single .85 mm., double .174 mm."):
        reports.Print("triple")
    with pytest.raises(StoreError, match="72 to 1200 dpi, found 7"):
        reports.Print("single", 7)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["$\\frac{1}$", "a$b", "$x_{$", "100 $ & <b>", "$\\undefined$"])
def test_a_dollar_in_a_name_is_a_dollar_in_every_figure(name):
    odd = made_up_report(name=name, encoder=name)
    odd["tasks"]["lvef_reduced"]["label"] = odd["tasks"]["lvef"]["label"] = name
    odd["subgroups"]["lvef_reduced"][0]["level"] = name
    for row in odd["rows"]:
        row["encoder"] = name if row["kind"] == "imported" else row["encoder"]
    for chart in report_charts.all_charts(Report(odd)):
        if chart.task in ("lvef_reduced", "lvef"):
            svg = reports.chart_file(Report(odd), chart, "svg").decode()
            assert escape(name, quote=False) in svg.replace("\n", " ")
            assert inline_svg(chart.draw(Frame()), chart.alt)
            assert name != "$x_{$" or reports.chart_file(Report(odd), chart, "pdf")  # no formula at all
    assert html_page(Report(odd))


FORMULAS = ("=HYPERLINK(1)", "+1+1", "-2", "@SUM(A1)", "\t=1", "\r=1")


@pytest.mark.parametrize("words", FORMULAS)
def test_no_text_of_a_table_is_a_formula_in_a_spreadsheet(words):
    table = Table(
        "t", words, (Column("A", "a"), Column("B", "b", True)), ((Cell(words, (words,)), Cell("−1", (-1.5,))),)
    )
    row = table_csv(table).split("\n", 1)[1]
    assert next(csv.reader(io.StringIO(row)))[0] == f"'{words}".replace("\r", " ") and row.rstrip().endswith(",-1.5")
    sheet = openpyxl.load_workbook(io.BytesIO(table_xlsx(table, [("Model", words)])))
    cells = [sheet["t"]["A2"], sheet["About"]["B2"]]
    assert all(cell.data_type == "s" for cell in cells) and sheet["t"]["B2"].value == -1.5


def test_the_excel_file_holds_the_numbers_of_the_csv_and_where_they_come_from(report):
    table = report_tables.findings_table(report)
    book = openpyxl.load_workbook(io.BytesIO(table_xlsx(table, provenance_rows(report))))
    found = pd.DataFrame(list(book[table.name].values)[1:], columns=[c.value for c in book[table.name][1]])
    pd.testing.assert_frame_equal(found, read_csv(table), check_dtype=False)
    assert report.model["sha256"] in [row[1] for row in book["About"].values]


def test_a_figure_file_names_model_patients_archive_and_version(report):
    svg = reports.chart_file(report, report_charts.recall_chart(report), "svg").decode()
    for words in (
        "FIXTURE cohort",
        "1204 test patients",
        "archive abcdef12",
        "version 0.1.0",
        "(synthetic)",
        "Research use only",
    ):
        assert words in svg


def test_an_older_program_is_told(report, workspace):
    assert reports.outdated(report, workspace) == "" or "version" in reports.outdated(report, workspace)
    assert "version 0.0.1 of this program" in reports.outdated(Report(report.data | {"version": "0.0.1"}), workspace)


def stated(report, place):
    """The report as an evaluation in this workspace would have left it now."""
    return Report(
        report.data
        | {
            "version": program_version(),
            "cohorts": ["small"],
            "workspace": fingerprint(place),
            "contents": contents(place, report.model["id"]),
        }
    )


CHANGES = {
    "UPDATE phenotypes SET value = value + 1 WHERE name = 'lvef' AND study_id = 'S-0003'": "labels changed",
    "UPDATE ecgs SET ecg_time = '2026-01-06' WHERE ecg_id = 'E-0003'": "times or patients of ECGs changed",
    "UPDATE ecgs SET content_hash = 'other' WHERE ecg_id = 'E-0003'": "recordings were replaced",
    "UPDATE patients SET split = 'train' WHERE patient_id = 'P-0003'": "splits or cohorts of patients changed",
    "UPDATE patients SET sex = 'male' WHERE patient_id IN ('P-0003', 'P-0004')": "sexes of patients changed",
    "UPDATE studies SET study_date = '2026-01-09' WHERE study_id = 'S-0003'": "times or patients of studies changed",
    "DELETE FROM ecgs WHERE ecg_id IN ('E-0003', 'E-0005')": "2 ECGs were removed",
    "INSERT INTO studies (study_id, patient_id) VALUES ('S-new', 'P-0003')": "1 study was added",
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return small_workspace(tmp_path_factory.mktemp("small") / "workspace")


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_in_the_workspace_since_a_report_is_told(report, small, tmp_path, change):
    place = Workspace(shutil.copytree(small.folder, tmp_path / "workspace"))
    made = stated(report, place)
    assert reports.outdated(made, place) == ""
    with place.write() as db:
        assert db.execute(change).rowcount > 0
    assert reports.outdated(made, place) == f"Since it was made, {CHANGES[change]}."
    without = Report({k: v for k, v in made.data.items() if k != "contents"})
    if "sexes" not in CHANGES[change]:  # of which the fingerprint says nothing
        assert "are not those that it was made with" in reports.outdated(without, place)
    with place.write() as db:  # of somebody in no visit: nothing that a report rests on
        db.execute("INSERT INTO patients (patient_id, split, cohort, synthetic) VALUES ('P-X', 'test', 'small', 1)")
    assert reports.outdated(made, place) == f"Since it was made, {CHANGES[change]}."


def test_a_report_with_the_digests_of_before_says_so(report, small):
    made = stated(report, small)
    before = {"ecgs": made.data["contents"]["ecgs"], "ecg_digest": "192e59ee5411", "label_digest": "2752bf92254f"}
    assert "took note of the workspace in another way" in reports.outdated(
        Report(made.data | {"contents": before}), small
    )


def test_readouts_fitted_again_make_a_report_an_old_one(report, tmp_path):
    place = small_workspace(tmp_path / "workspace")
    stored = place.models / report.model["id"] / "readouts.safetensors"
    stored.parent.mkdir(parents=True)
    stored.write_bytes(b"first")
    made = stated(report, place)
    assert reports.outdated(made, place) == ""
    stored.write_bytes(b"second")
    assert reports.outdated(made, place) == "Since it was made, the model's readouts were fitted again."


def test_a_report_most_of_whose_ecgs_are_not_here_is_compared_with_nothing(report, tmp_path):
    place = small_workspace(tmp_path / "workspace")
    made = Report(stated(report, place).data | {"workspace": "another"})
    path = reports.report_path(place, report.model["id"]).with_name("predictions.npz")
    path.parent.mkdir(parents=True)
    for here, elsewhere in ((1, True), (3, False)):
        np.savez(path, ecg_ids=np.array([*(f"E-{i:04d}" for i in range(here)), "X1", "X2"]))
        assert bool(reports.rests_elsewhere(made, place)) is elsewhere
        assert bool(reports.outdated(made, place)) is not elsewhere
    np.savez(path, ecg_ids=np.array(["E-0001", "X1", "X2", "X3"]))
    assert "this workspace holds 25" in reports.rests_elsewhere(made, place)


@pytest.mark.slow
def test_the_window_of_the_labels_stands_in_the_report(report):
    told = Report(report.data | {"within_days": 30.0, "days_apart": {"median": 1.26, "most": 29.5}})
    assert "at most 30 days apart" in html_page(told)
    rows = dict(provenance_rows(told))
    assert rows["ECG and echo apart"] == "at most 30 days; median 1.3, most 29.5 days"
    assert "not limited" in dict(provenance_rows(report))["ECG and echo apart"]
    ecgs = report.data["counts"]["ecgs"]
    for undated, most, words in (
        (3, 2.0, "Labels: of 3 ECGs the echo that the data set names, without days between; of the others the patient"),
        (ecgs, None, "Labels: the echo that the data set names, without days between."),
    ):
        apart = {"median": most, "most": most, "not_known": undated}
        told = Report(report.data | {"within_days": 7.0, "days_apart": apart})
        assert words in window_words(told) and "None" not in dict(provenance_rows(told))["ECG and echo apart"]
        assert f"of {undated:,} ECGs the data set says" in dict(provenance_rows(told))["ECG and echo apart"]


def test_a_report_on_patients_of_another_workspace_says_so(report, workspace):
    assert reports.rests_elsewhere(report, workspace) == ""  # nobody is there yet
    catalog = Catalog(workspace)
    catalog.add_patient("A", split="test", cohort="Ward 3", synthetic=False)
    assert (
        reports.rests_elsewhere(report, workspace)
        == "This report judges 1,204 test patients of FIXTURE cohort; this workspace holds Ward 3."
    )
    catalog.add_patient("B", split="test", cohort="FIXTURE cohort", synthetic=True)
    assert reports.rests_elsewhere(report, workspace) == ""


def test_a_finding_of_several_phenotypes_has_five_numbers_too(report):
    assert [h.label for h in report_headlines.headlines(report, "structural", "probe")] == [
        "AUROC",
        "AUPRC",
        "Sensitivity at 90\u202f% specificity",
        "Balanced accuracy",
        "Calibration error",
    ]
    curve = report.data["curves"]["structural"]["model.probe"]["calibration"]
    of_ecgs = np.average(curve["observed"], weights=curve["count"])  # as the score is; of the patients 0.35 have it
    assert report_headlines.headlines(report, "structural", "probe")[1].note == f"chance {of_ecgs:.2f}" != "chance 0.35"
    assert [h.value for h in report_headlines.headlines(report, "lvef_reduced", "probe")][3:] == ["6.4", "90.6\u202f%"]


def test_the_error_is_that_of_the_values_on_the_ecg_page_beside_the_row_where_it_was_measured(report):
    (row,) = [held for held in report.data["intervals"] if held["phenotype"] == "lvef"]
    told = {"mae": 7.449, "mae_low": 6.85, "mae_high": 8.04}
    with_page = Report(report.data | {"intervals": [row | told]})
    error = report_headlines.headlines(with_page, "lvef_reduced", "probe")[3]
    assert (error.value, error.interval) == ("7.4", "6.8–8.0")
    assert error.label == "LVEF error as on the ECG page, mean absolute"
    assert error.note.startswith("points; probe 6.4; guessing the mean ")


def test_a_finding_of_three_classes_has_no_roc(report):
    assert [c.kind for c in report_charts.finding_charts(report, "lvef_classes", "probe")] == ["subgroups"]


def test_a_group_of_one_level_is_not_drawn_beside_all_patients(report):
    alt = report_charts.subgroup_chart(report, "lvef_reduced", "probe").alt
    assert "All 0.91" in alt and "QRS under 120 ms" in alt and "FIXTURE cohort" not in alt


def test_a_report_with_only_its_rows_still_makes_a_page(report):
    bare = Report({key: report.data[key] for key in ("model", "split", "counts", "tasks", "rows")})
    assert "<h2>LVEF ≤ 40</h2>" in html_page(bare) and "Retrieval</h2>" not in html_page(bare)


def test_scores_are_written_as_the_house_writes_numbers():
    assert (
        score_value(0.9149, "auroc") == "0.91" and score_value(0.7361, "sensitivity_at_90_specificity") == "74\u202f%"
    )
    assert score_interval(0.897, 0.914, "coverage") == "89.7–91.4\u202f%" and score_value(6.44, "mae", "lvef") == "6.4"
    assert (
        score_value(0.142, "mae", "ivsd") == "0.14"
        and score_value(None, "auroc") == "–"
        and score_interval(None, None, "auroc") == "–"
    )
    assert difference_with_interval([-0.021, -0.04, 0.001], "auroc") == "−0.02 (−0.04 to 0.00)"
    assert difference_with_interval([0.05, 0.04, 0.06], "auroc") == "+0.05 (0.04 to 0.06)"
    assert [parameters(n) for n in (None, 320_000, 5_400_000, 96_000_000)] == [
        "–",
        "320\u202fk",
        "5.4\u202fM",
        "96.0\u202fM",
    ]


@pytest.mark.slow
def test_both_readouts_of_a_model_are_named_beside_their_r2(workspace):
    folder = workspace.folder / "made_model"
    folder.mkdir(parents=True)
    tested = {"phenotypes": {"lvef": {"r2": 0.5237, "r2_interval": [0.48, 0.56]}}}
    manifest = {"name": "made", "sha256": "ab" * 32, "synthetic": True, "test": tested}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    model_id = ModelRegistry(workspace).register(folder).model_id
    write_report(workspace, made_up_report(model_id))
    report = reports.load_report(workspace, model_id)
    table = report_tables.phenotypes_table(report, "probe")
    headings = [column.heading for column in table.columns]
    assert "R², linear probe" in headings and "R², kernel ridge (test R² of the ECG page)" in headings
    row = read_csv(table).set_index("phenotype").loc["lvef"]
    assert (row.r2, row.r2_kernel_ridge, row.r2_kernel_ridge_low) == (0.62, 0.5237, 0.48)
    assert "kernel ridge" in html_page(report) and ", linear probe" in html_page(report)
    without = Report(made_up_report())
    assert not [c for c in report_tables.phenotypes_table(without, "probe").columns if "kernel" in c.heading]


def test_retrieval_is_told_with_intervals_and_drawn_with_a_band(report):
    cells = {row[0].text: row[1] for row in report_tables.retrieval_table(report).rows}
    assert (cells["Recall at 10"].text, cells["Recall at 10"].detail) == ("0.45", "(0.41–0.50)")
    figure = report_charts.recall_chart(report).draw(Frame())
    assert len([c for c in figure.axes[0].collections if isinstance(c, PolyCollection)]) == 2
    assert "ECG to study 0.45 (0.41–0.50)" in [t.get_text() for t in figure.axes[0].get_legend().get_texts()]
    old = Report(report.data | {"retrieval": {k: v for k, v in report.data["retrieval"].items() if k != "intervals"}})
    cells = {row[0].text: row[1] for row in report_tables.retrieval_table(old).rows}
    assert cells["Recall at 10"].detail == "" and report_charts.recall_chart(old).draw(Frame())


@pytest.mark.slow
def test_models_beside_are_compared_directly_in_every_table_page_and_file(both, report, page):
    for readout, value in (("probe", 0.11), ("knn", 0.18)):
        table = report_comparison.models_table(both, "lvef_reduced", readout)
        place = [c.name for c in table.columns].index("difference_to_model")
        assert table.columns[place].heading == "Paired difference to FIXTURE model"
        assert table.rows[0][place].text == "reference" and table.rows[1][0].text == "Single view, A4C"
        assert table.rows[1][place].values == pytest.approx((value, value - 0.005, value + 0.005))
        baseline = read_csv(table).set_index("model").loc["Hand-made ECG features"]
        assert baseline.difference_to_model == pytest.approx(0.17 if readout == "probe" else 0.34)
    words = report_comparison.models_table(both, "lvef_reduced", "probe").rows[1][place].text
    assert words == "+0.11 (0.10 to 0.12)" and words in page and "Paired difference to FIXTURE model" in page
    namesake = Report(report.data, (Report(made_up_report("bbbb0000")),), made_up_difference)
    assert (
        report_comparison.models_table(namesake, "lvef_reduced", "probe").columns[place].heading
        == "Paired difference to FIXTURE model f1c70000"
    )
    files = dict(reports.report_files(both, kinds=()))
    assert (
        r"+0.11 \mbox{(0.10 to 0.12)}" in files["tables/models-lvef-reduced.tex"].decode()
        and "0.11,0.105,0.115" in files["tables/models-lvef-reduced.csv"].decode()
    )


def test_the_table_of_differences_holds_every_task_and_readout_of_a_model_beside(both, report, beside):
    alone, found = (read_csv(report_comparison.differences_table(r)) for r in (report, both))
    direct = found[len(alone) :]
    assert set(zip(direct.row, direct.reference, strict=True)) == {
        ("bbbb0000 model.probe", "model.probe"),
        ("bbbb0000 model.knn", "model.knn"),
    }
    assert len(direct) == 2 * len(report.data["tasks"]) and set(direct.task) == {
        t["label"] for t in report.data["tasks"].values()
    }
    assert dict(zip(direct.task, direct.metric, strict=True))["LVEF"] == "mae"
    unknown = read_csv(report_comparison.differences_table(reports.set_beside(report, [beside], nothing_known)))
    assert len(unknown) == len(alone)


@pytest.mark.slow
def test_each_cohort_stands_alone_in_html_csv_and_latex_where_there_are_several(report):
    rows = report.data["rows"]
    parts = {
        task: [
            {
                "cohort": cohort,
                "patients": n,
                "positives": p,
                "results": {row["key"]: row["results"][task] for row in rows},
            }
            for cohort, n, p in (("North", 804, 150), ("South", 400, 67))
        ]
        for task in report.data["tasks"]
    }
    several = Report(report.data | {"cohort_results": parts})
    csv = read_csv(report_tables.cohorts_table(several))
    row = csv[(csv.cohort == "South") & (csv.row == "random.knn") & (csv.task == "LVEF ≤ 40")].iloc[0]
    assert [row.patients, row.positives, row.auroc, row.auroc_low, row.auroc_high] == [
        400,
        67,
        *rows[4]["results"]["lvef_reduced"]["auroc"],
    ]
    assert len(csv) == 2 * 6 * 4 and len(read_csv(report_tables.cohorts_table(several, "regression"))) == 2 * 6 * 3
    one = report_tables.cohorts_of_task(several, "lvef_reduced")
    assert [c.name for c in one.columns][:5] == ["cohort", "patients", "positives", "encoder", "readout"] and len(
        one.rows
    ) == 12
    assert table_html(one) in html_page(several)
    names = [table.name for table in report_tables.all_tables(several)]
    assert {"cohorts-classification", "cohorts-regression"} <= set(names)
    assert "Each cohort alone" not in html_page(report) and not [
        t for t in report_tables.all_tables(report) if t.name.startswith("cohorts")
    ]


def test_errors_of_values_are_compared_directly_too(both, report):
    table = report_tables.phenotypes_table(both, "probe")
    assert "Error of Other <model> bbbb0000, paired difference" in [c.heading for c in table.columns]
    assert read_csv(table).mae_difference_bbbb0000.tolist() == pytest.approx([0.11] * 3)
    assert not any("difference" in c.heading for c in report_tables.phenotypes_table(report, "probe").columns)


def write_predictions(workspace, model_id, scores, target, ids=None):
    folder = workspace.folder / "reports" / model_id
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / "predictions.npz",
        ecg_ids=np.arange(len(scores)).astype(str) if ids is None else ids,
        patients=np.arange(len(scores)) // 2,
        **{"target/lvef_le_40": target, "model.probe/lvef_le_40": scores},
    )


def test_two_models_are_compared_directly_on_the_same_ecgs(workspace):
    rng = np.random.default_rng(0)
    target = (rng.random(400) < 0.3).astype(float)
    good, poor = target + rng.normal(0, 0.6, 400), target + rng.normal(0, 2.0, 400)
    target[::7] = np.nan
    write_predictions(workspace, "aaaa0000", good, target)
    write_predictions(workspace, "bbbb0000", poor, target)
    metric, (value, low, high) = reports.direct_difference(
        workspace, "test", "lvef_le_40", ("aaaa0000", "model.probe"), ("bbbb0000", "model.probe")
    )
    known = np.isfinite(target)
    assert metric == "auroc" and value == pytest.approx(
        roc_auc_score(target[known], good[known]) - roc_auc_score(target[known], poor[known]), abs=1e-9
    )
    assert 0 < low < value < high
    back = reports.direct_difference(
        workspace, "test", "lvef_le_40", ("bbbb0000", "model.probe"), ("aaaa0000", "model.probe")
    )
    assert back[1] == pytest.approx((-value, -high, -low))
    same = reports.direct_difference(
        workspace, "test", "lvef_le_40", ("aaaa0000", "model.probe"), ("aaaa0000", "model.probe")
    )
    assert same[1] == (0, 0, 0)


def test_models_without_common_ecgs_or_predictions_have_no_direct_difference(workspace):
    target = np.array([0.0, 1.0, 0.0, 1.0])
    write_predictions(workspace, "aaaa0000", target, target)
    write_predictions(workspace, "bbbb0000", target, target, ids=np.array(list("wxyz")))
    write_predictions(workspace, "dddd0000", target, 1 - target)
    for other in (
        ("bbbb0000", "model.probe"),
        ("cccc0000", "model.probe"),
        ("aaaa0000", "model.knn"),
        ("dddd0000", "model.probe"),
    ):
        assert reports.direct_difference(workspace, "test", "lvef_le_40", ("aaaa0000", "model.probe"), other) is None


def test_points_that_were_kept_by_lot_say_of_how_many(report):
    notes = {chart.kind: chart.note for chart in value_charts(report, "lvef", "probe")}
    told = "400 by lot of 1,450 ECGs"
    assert (notes["scatter"], notes["bland-altman"]) == (told, f"Bland–Altman, {told}")
    whole = Report(report.data | {"tasks": report.data["tasks"] | {"lvef": report.data["tasks"]["lvef"] | {"n": 400}}})
    assert {c.kind: c.note for c in value_charts(whole, "lvef", "probe")}["scatter"] == "400 ECGs"
