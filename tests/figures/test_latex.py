"""LaTeX tables against the page: widths as stated in the file, words measured with the letters of Computer Modern, and,
where a LaTeX is installed, the compiler's own verdict."""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from echo2ecg_core.figures.latex import latex, latex_document, table_latex
from echo2ecg_core.figures.tables import Cell, Column, Table
from echo2ecg_core.reports.document import Report
from echo2ecg_core.reports.folder import set_beside
from echo2ecg_core.reports.tables import all_tables
from tests.report_fixture import made_up_report

ARTICLE_PT = {False: 345.0, True: 550.0}  # \textwidth, and \textheight of a turned page, of article at 10 points
GAP_PT = 6.0  # twice the \tabcolsep that the tables set
CMR8_WIDER = 0.531 / 0.5  # a digit of cmr8 beside one of cmr10, of which we have the letters (Knuth's metrics)
COMPILER = shutil.which("pdflatex") or shutil.which("tectonic")
SYMBOLS = {r"\leq": "<", r"\geq": ">", r"\times": "x", r"\pm": "+", r"\Delta": "D", r"\delta": "d", r"\cdot": "."}


@pytest.fixture(scope="module")
def crowded() -> list[Table]:
    """The tables of a report with two models beside it, long names, and two cohorts: the widest there are."""
    data = made_up_report(name="a_model_whose_name_has_no_space_and_goes_on_and_on_for_long")
    parts = [
        {
            "cohort": c,
            "patients": 600,
            "positives": 90,
            "results": {r["key"]: r["results"]["lvef"] for r in data["rows"]},
        }
        for c in ("General hospital of a long name", "B")
    ]
    data["cohort_results"] = {"lvef": parts}
    data["tasks"]["lvef"]["definition"] = (
        "the ejection fraction by the biplane method of discs, else the monoplane " * 3
    )
    beside = [Report(made_up_report(f"{n}{n}{n}{n}0000", f"Model {n} & others, 50%")) for n in "bc"]
    direct = lambda split, task, row, other: ("auroc", (-0.01, -0.02, 0.005))  # noqa: E731
    return all_tables(set_beside(Report(data), beside, direct))


def environments(text: str) -> list[tuple[bool, list[float], list[list[str]]]]:
    """(turned, widths of the columns in points, cells of every line) of each table in a file."""
    found = []
    blocks = re.findall(
        r"\\begin\{(?:tabular|longtable)\}\{@\{\}(.*?)@\{\}\}\n(.*?)\\end\{(?:tabular|longtable)\}", text, re.S
    )
    turned = [m.group(1) == "landscape" for m in re.finditer(r"\\begin\{(landscape|table)\}", text)]
    for place, (spec, body) in enumerate(blocks):
        lines = [line.removesuffix(r" \\") for line in body.splitlines() if line.endswith(r" \\")]
        cells = [re.split(r"(?<!\\) & ", line) for line in lines]
        is_turned = turned[place] if len(turned) == len(blocks) else False
        found.append((is_turned, [float(w) for w in re.findall(r"p\{([\d.]+)pt\}", spec)], cells))
    return found


def stays_together(cell: str) -> list[str]:
    """The runs of a LaTeX cell that no line break parts, as they are printed."""
    boxed = re.sub(r"\\mbox\{(.*)\}", lambda m: m.group(1).replace(" ", "\0"), cell)
    words = [w for word in boxed.split(" ") for w in word.split(r"\allowbreak{}")]
    return [printed(word.replace("\0", " ")) for word in words]


def printed(words: str) -> str:
    words = re.sub(r"\$(\\?[a-zA-Z]+|[-<>]|\^2|\^\\circ)\$", lambda m: SYMBOLS.get(m.group(1), "x"), words)
    words = words.replace("--", "-").replace(r"\,", "").replace(r"\dots{}", "...").replace(r"\textbackslash{}", "|")
    return re.sub(r"\\([&%$#_{}])", r"\1", words)


@cache
def cmr10():
    from matplotlib import get_data_path
    from matplotlib.ft2font import FT2Font

    font = FT2Font(str(Path(get_data_path()) / "fonts" / "ttf" / "cmr10.ttf"))
    font.set_size(100, 72)
    return font


@cache
def measured_pt(words: str) -> float:
    font = cmr10()
    font.set_text(words, 0)
    return font.get_width_height()[0] / 64 * 8 / 100 * CMR8_WIDER


def test_every_table_of_the_fullest_report_fits_its_page(crowded):
    parts = 0
    for table in crowded:
        for is_turned, widths, lines in environments(table_latex(table)):
            parts += 1
            assert widths and sum(widths) + GAP_PT * (len(widths) - 1) <= ARTICLE_PT[is_turned] + 0.5, table.name
            assert {len(line) for line in lines} == {len(widths)}
    assert parts > len(crowded)  # some had to be parted


@pytest.mark.slow
def test_no_word_of_any_cell_is_wider_than_its_column(crowded):
    for table in crowded:
        for _, widths, lines in environments(table_latex(table)):
            for line in lines:
                for width, cell in zip(widths, line, strict=True):
                    for run in stays_together(cell):
                        assert measured_pt(run) <= width + 0.5, (table.name, run, width)


def test_every_cell_is_printed_once_and_the_columns_that_name_a_row_in_every_part():
    columns = (Column("Task", "task"), *(Column(f"Score {i}", f"s{i}", True) for i in range(30)))
    rows = tuple(
        (
            Cell(f"task {r}", (f"t{r}",)),
            *(Cell(f"{r}.{i:02d}", (i,), f"({r}.{i:02d}1–{r}.{i:02d}9)") for i in range(30)),
        )
        for r in range(3)
    )
    found = environments(table_latex(Table("many", "Many", columns, rows)))
    assert len(found) > 1 and all(
        [line[0] for line in lines][-3:] == ["task 0", "task 1", "task 2"] for *_, lines in found
    )
    text = table_latex(Table("many", "Many", columns, rows))
    assert all(text.count(f"{r}.{i:02d} ") == 1 for r in range(3) for i in range(30))
    assert f"(part 1 of {len(found)})" in text and r"\label{tab:many-2}" in text


def test_words_beside_a_number_stand_in_parentheses():
    table = Table("t", "T", (Column("Size", "n", True),), ((Cell("453\u202fk", (453_000,), "same size"),),))
    assert r"453\,k \mbox{(same size)}" in table_latex(table)


def test_a_long_table_repeats_its_head_and_a_short_one_floats():
    column = Column("A", "a")
    short = table_latex(Table("t", "T", (column,), ((Cell("x", ("x",)),),) * 3))
    long = table_latex(Table("t", "T", (column,), ((Cell("x", ("x",)),),) * 200))
    assert r"\begin{table}" in short and r"\begin{longtable}" in long and r"\endhead" in long
    assert long.count("x \\\\") == 200


def test_a_name_without_a_space_may_break():
    table = Table("t", "T", (Column("A", "a"),), ((Cell("x" * 300, ("x",)),),))
    (_, widths, lines), *_ = environments(table_latex(table))
    assert (
        max(len(run) for run in stays_together(lines[-1][0])) <= 12
        and "".join(stays_together(lines[-1][0])) == "x" * 300
    )


def test_what_latex_reads_as_commands_is_escaped():
    assert latex(r"50 % of A_B & C#{1} \x ~^ ≤ 40 −0.1 0.9–1.0") == (
        r"50 \% of A\_B \& C\#\{1\} \textbackslash{}x \textasciitilde{}\textasciicircum{} $\leq$ 40 $-$0.1 0.9--1.0"
    )


def test_the_document_names_every_table_and_the_packages_they_need(crowded):
    text = latex_document([table.name for table in crowded], "made up")
    assert all(rf"\input{{{table.name}.tex}}" in text for table in crowded)
    assert {"booktabs", "array", "longtable", "pdflscape"} <= set(
        re.search(r"usepackage\{(.*)\}", text).group(1).split(",")
    )


@pytest.mark.slow
@pytest.mark.skipif(COMPILER is None, reason="needs pdflatex or tectonic")
def test_a_compiler_finds_no_line_that_sticks_out(crowded, tmp_path):
    for table in crowded:
        (tmp_path / f"{table.name}.tex").write_text(table_latex(table))
    (tmp_path / "all.tex").write_text(latex_document([table.name for table in crowded], "made up"))
    options = ["-interaction=nonstopmode", "-halt-on-error"] if "pdflatex" in COMPILER else ["--keep-logs"]
    done = subprocess.run([COMPILER, *options, "all.tex"], cwd=tmp_path, capture_output=True, text=True)
    log = (tmp_path / "all.log").read_text(errors="replace")
    assert done.returncode == 0, log[-2000:]
    too_wide = [float(w) for w in re.findall(r"Overfull \\hbox \(([\d.]+)pt too wide\)", log)]
    assert not [w for w in too_wide if w > 1], log
