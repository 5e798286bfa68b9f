"""Two cohorts side by side: every number against a slow look at the rows, and files that lose nothing."""

import csv
import io
import json
import re
import shutil
import subprocess

import numpy as np
import openpyxl
import pytest
from typer.testing import CliRunner

from echo2ecg_core.cli import app
from echo2ecg_core.errors import StoreError
from echo2ecg_core.findings import Findings
from echo2ecg_core.reports.table_one import (
    FIGURES,
    compare_cohorts,
    effects,
    effects_words,
    figure_of_effects,
    table_files,
    table_one,
)
from echo2ecg_core.store import kept_cohorts
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.new_rows import NewEcg
from tests.small_workspace import record_of


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two cohorts whose patients have up to three studies, the first often without this or that value."""
    place, rng = Workspace(tmp_path_factory.mktemp("made") / "w"), np.random.default_rng(4)
    catalog = Catalog(place)
    with place.write():
        for i in range(60):
            north = i < 36
            sex = ("male", "female", None)[i % 3]
            catalog.add_patient(
                f"P{i}", split="test", cohort="north" if north else "=south_%", synthetic=north, sex=sex
            )
            for j in range(i % 4):
                measured = {"lvef": float(rng.normal(60 if north else 45, 9)), "tr_grade": float(rng.integers(4))}
                if (i + j) % 3:
                    measured["ivsd"] = float(rng.normal(0.9, 0.2))
                catalog.add_study(
                    f"S{i}-{j}",
                    f"P{i}",
                    study_date=None if j == 2 else f"20{30 - 3 * j}-05-01",
                    age_years=None if i % 5 == 0 and j == 1 else 50.0 + i - 3 * j,
                    phenotypes=measured if (i + j) % 5 else {},
                    findings=Findings(
                        rhythm=("sinus", "af", None)[(i + j) % 3], conduction="lbbb" if i % 7 == 0 else None
                    ),
                )
        catalog.add_ecgs([NewEcg(f"E{i}", f"P{i}", record_of(i), "2030-05-02") for i in range(0, 60, 2)])
    kept_cohorts.keep(place, "chosen", [f"E{i}" for i in range(0, 20, 2)], [], who="ada", made_from="A selection")
    return place


def first_values(place, name, column):
    """The slow way: the value of each patient's first study that has one."""
    studies = Catalog(place).studies()
    studies = studies[(studies.cohort == name) & studies[column].notna()]
    found = {}
    for row in studies.sort_values(["study_date", "study_id"], na_position="last").itertuples():
        found.setdefault(row.patient_id, getattr(row, column))
    return list(found.values())


def test_means_shares_and_missing_are_those_of_the_first_study_of_each_patient(place):
    found = compare_cohorts(place, "north", "=south_%")
    rows = {row.name: row for row in found.rows}
    for name in ("lvef", "ivsd", "age_years"):
        for side, cohort in ((rows[name].first, "north"), (rows[name].second, "=south_%")):
            values = np.array(first_values(place, cohort, name))
            assert (side.n, side.mean, side.sd) == (
                len(values), pytest.approx(values.mean()), pytest.approx(values.std(ddof=1)),
            )  # fmt: skip
    assert rows["ivsd"].first.n > 5, "some first studies lack it"
    for name, column, ill in (("tr_grade", "tr_grade", lambda v: v >= 2), ("af", "rhythm", lambda v: v == "af"),
                              ("lvef_reduced", "lvef", lambda v: v < 40.5)):  # fmt: skip
        values = first_values(place, "north", column)
        assert (rows[name].first.count, rows[name].first.n) == (sum(map(ill, values)), len(values))
    assert (rows["female"].first.count, rows["female"].first.n) == (12, 24) and found.synthetic and not found.shared
    cells = {row[0].text: row for row in table_one(found).rows}
    known = rows["lvef"].first.n, rows["lvef"].second.n
    assert cells["LV ejection fraction, %"][5].values == (36 - known[0], 24 - known[1])
    assert cells["ECGs"][2].text == "18"


def test_patients_of_both_are_told_and_what_cannot_be_compared_is_refused(place):
    found = compare_cohorts(place, "chosen", "north")
    assert found.shared == 10 and any("10 patients are in both cohorts" in note for note in found.notes())
    with pytest.raises(StoreError, match="no cohort 'west'.*known: =south_%, north, chosen"):
        compare_cohorts(place, "north", "west")
    with pytest.raises(StoreError, match="not compared with itself"):
        compare_cohorts(place, "north", "north")


def test_the_files_hold_every_number_and_say_that_hearts_are_simulated(place):
    found = compare_cohorts(place, "north", "=south_%")
    files = table_files(found, "demo")
    rows = {r["characteristic"]: r for r in csv.DictReader(io.StringIO(files["table-1.csv"].decode()))}
    lvef = next(row for row in found.rows if row.name == "lvef")
    told = rows["LV ejection fraction, %"]
    assert float(told["first"]) == lvef.first.mean and float(told["difference_high"]) == lvef.effect.high
    assert told["told_as"] == "mean and SD, standardised mean difference" and int(told["second_known"]) == lvef.second.n
    book = openpyxl.load_workbook(io.BytesIO(files["table-1.xlsx"]))
    about = dict(book["About"].iter_rows(values_only=True))
    assert book.worksheets[0]["C5"].value is not None and about["Hearts"] == "simulated hearts among them"
    assert all(cell.data_type != "f" for sheet in book for line in sheet for cell in line)
    text = files["table-1.tex"].decode()
    assert r"\caption{Simulated hearts. Characteristics of the cohorts north and =south\_\%}" in text
    assert "Told as" not in text and "Research use only" in text and "P1" not in text


def test_the_forests_show_every_difference_once_and_leave_as_figures_with_where_they_come_from(place):
    found = compare_cohorts(place, "north", "=south_%")
    for kind in FIGURES:
        svg = figure_of_effects(found, kind, "svg", "demo").decode()
        words = re.sub(r"<[^>]+>", "\n", svg)
        told = effects(found, kind)
        assert (
            len(told) > 2
            and "Simulated hearts." in words
            and "Research use only" in words
            and "north; =south_%" in words
        )
        for row in told:
            value = (100 if kind == "shares" else 1) * row.effect.value
            text = f"{value:+.{0 if kind == 'shares' else 2}f}".replace("-", "−")
            assert (text if float(text.replace("−", "-")) else text[1:]) in words
            assert row.label in effects_words(found, kind)
    assert figure_of_effects(found, "means", "pdf", "demo")[:5] == b"%PDF-"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_the_table_compiles_and_fits_its_page(place, tmp_path):
    for name, content in table_files(compare_cohorts(place, "north", "=south_%"), "demo").items():
        (tmp_path / name).write_bytes(content)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "table-1-document.tex"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0 and "Overfull" not in done.stdout


def test_the_terminal_lists_cohorts_and_writes_the_table(place, tmp_path):
    run = lambda *words: CliRunner().invoke(app, [*words, "--workspace", str(place.folder)])  # noqa: E731
    listed = json.loads(run("cohorts", "--json").stdout)
    assert [(c["name"], c["is_kept"], c["patients"]) for c in listed] == [
        ("=south_%", False, 24), ("north", False, 36), ("chosen", True, 10),
    ]  # fmt: skip
    assert "chosen: 10 patients" in run("cohorts").stdout and "kept by ada" in run("cohorts").stdout
    done = run("table-one", "north", "chosen", "--out", str(tmp_path / "out"))
    assert done.exit_code == 0 and "10 patients are in both" in done.stdout
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "table-1-document.tex", "table-1.csv", "table-1.tex", "table-1.xlsx",
    ]  # fmt: skip
    assert isinstance(run("table-one", "north", "west", "--out", str(tmp_path)).exception, StoreError)


def test_equal_values_have_no_spread_and_a_limit_counts_as_it_is_written(tmp_path):
    place = Workspace(tmp_path / "w")
    catalog = Catalog(place)
    with place.write():
        for cohort, tapse, lvefs in (("a", 1.9, (40.0, 40.5, 40.6)), ("b", 2.3, (40.4, 41.0, 49.5))):
            for i, lvef in enumerate(lvefs):
                catalog.add_patient(f"{cohort}{i}", split="test", cohort=cohort, synthetic=False)
                catalog.add_study(f"S{cohort}{i}", f"{cohort}{i}", phenotypes={"lvef": lvef, "tapse": tapse})
    rows = {row.name: row for row in compare_cohorts(place, "a", "b").rows}
    assert rows["tapse"].first.sd == rows["tapse"].second.sd == 0 and np.isnan(rows["tapse"].effect.value)
    assert (rows["lvef_reduced"].first.count, rows["lvef_reduced"].second.count) == (2, 1)
    grouped = "Ages over 89 are those of 90: so they came in."
    assert grouped not in compare_cohorts(place, "a", "b").notes()
    catalog.add_study("Sa0", "a0", age_years=90.0)
    assert grouped in compare_cohorts(place, "b", "a").notes()
    catalog.keeps_ids("a")
    assert grouped not in compare_cohorts(place, "b", "a").notes()
