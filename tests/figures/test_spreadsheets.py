"""What leaves as CSV or a workbook begins no formula, and every export goes through the one place that sees to it."""

import codecs
import csv
import io
import re
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from echo2ecg_core.figures.tables import Column, Table, csv_file, csv_of, table_csv, table_xlsx, text_cell

ROOT = Path(__file__).resolve().parents[2]
FORMULAS = ["=1+1", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://x")']
WRITES = re.compile(r"\.to_csv\(|\.to_excel\(|csv\.(?:Dict)?[Ww]riter\(")
# figures/: the one place and the report's own table, both guarded; hashes and the phantom's archive never leave as a
# table of a person's; the key leads back and has to hold ids as they are
ALLOWED = {
    "echo2ecg_core/figures/tables.py", "echo2ecg_core/figures/export.py", "pages/ui/ecg/batch.py",
    "echo2ecg_core/training/data.py", "echo2ecg_core/reports/contents.py", "echo2ecg_core/intake/pseudonyms.py",
    "echo2ecg_core/phantom/files.py", "echo2ecg_core/phantom/hospital.py",
    "echo2ecg_core/ecg/formats/frames.py",  # an ECG's samples for the reader of text tables, in memory
}  # fmt: skip


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_and_no_column_begins_a_formula(text):
    frame = pd.DataFrame({text: [text, "plain"], "number": [-1.5, 2.0], "mixed": pd.Series([text, 3], dtype=object)})
    rows = list(csv.reader(io.StringIO(csv_of(frame))))
    assert all(not cell.startswith(("=", "+", "@", "\t", "\r")) for row in rows for cell in row)
    shown = f"'{text}".replace("\r", " ")
    assert rows[1] == [shown, "-1.5", shown] and rows[2] == ["plain", "2.0", "3"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_table_of_a_report_holds_no_formula_as_csv_or_workbook(text):
    table = Table("results", "Caption", (Column("Model", "model"),), ((text_cell(text),),))
    assert table_csv(table).splitlines()[-1].strip('"').startswith("'")
    book = openpyxl.load_workbook(io.BytesIO(table_xlsx(table, [(text, text)])))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert cells and all(cell.data_type != "f" for cell in cells)


def test_every_export_goes_through_the_one_place():
    files = [p for room in ("echo2ecg_core", "pages") for p in (ROOT / room).rglob("*.py")]
    assert {p.relative_to(ROOT).as_posix() for p in files if WRITES.search(p.read_text())} <= ALLOWED


def test_a_csv_file_opens_with_its_units_in_a_spreadsheet_and_reads_as_before():
    text = csv_of(pd.DataFrame({"name": ["LAVI"], "unit": ["mL/m²"], "limit": ["≤ 34"]}))
    assert csv_file(text).startswith(codecs.BOM_UTF8) and csv_file(text).decode("utf-8-sig") == text
    assert pd.read_csv(io.BytesIO(csv_file(text))).to_dict("records") == [
        {"name": "LAVI", "unit": "mL/m²", "limit": "≤ 34"}
    ]
