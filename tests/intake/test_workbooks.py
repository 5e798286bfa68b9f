"""Old Excel workbooks and OpenDocument's: the same studies as from any other table, or a refusal in words."""

import io
import random
import zipfile
from datetime import date, datetime
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
import xlwt

from echo2ecg_core.errors import StoreError
from echo2ecg_core.intake.layouts.recognise import plan_of
from echo2ecg_core.intake.plan import Plan
from echo2ecg_core.intake.tables import read_header_row, read_table

DAY, NOON = date(2024, 1, 5), datetime(2024, 1, 6, 12)
ROWS = [
    ["Patient", "Accession", "Date", "EF", "Größe 患者"],
    ["P1", "S1", DAY, 0.555, "ß"],
    [7, "S2", NOON, 0.44, None],
]


def old(rows: list[list], sheet_of: int = 0, since_1904: bool = False, hidden: bool = False) -> bytes:
    """An .xls workbook with the rows on one of its sheets."""
    book = xlwt.Workbook()
    book.dates_1904 = since_1904
    sheets = [book.add_sheet(str(n), cell_overwrite_ok=True) for n in range(sheet_of + 1)]
    sheets[0].write(0, 0, "Read me")
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            shown = "YYYY-MM-DD" if isinstance(cell, date) else "0.0%" if isinstance(cell, float) else "General"
            if cell is not None:
                sheets[sheet_of].write(i, j, cell, xlwt.easyxf(num_format_str=shown))
    if hidden:
        sheets[sheet_of].col(3).hidden = True
        sheets[sheet_of].row(2).hidden = True
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def opened(rows: list[list], *, times: int = 1) -> bytes:
    """An .ods workbook: empty cells and rows to the end of its sheet stand once, as programs write them."""

    def cell(value) -> str:
        if value is None:
            return "<table:table-cell/>"
        kind, told = (
            ("date", f' office:date-value="{value.isoformat()}"')
            if isinstance(value, date)
            else ("percentage", f' office:value="{value}"')
            if isinstance(value, float)
            else ("float", f' office:value="{value}"')
            if isinstance(value, int)
            else ("string", "")
        )
        text = f"<text:p>{escape(str(value))}</text:p>"
        return f'<table:table-cell office:value-type="{kind}"{told}>{text}</table:table-cell>'

    body = "".join(
        f'<table:table-row table:number-rows-repeated="{times}">{"".join(map(cell, row))}'
        '<table:table-cell table:number-columns-repeated="16000"/></table:table-row>'
        for row in rows
    )
    names = " ".join(f'xmlns:{n}="urn:oasis:names:tc:opendocument:xmlns:{n}:1.0"' for n in ("office", "table", "text"))
    rest = '<table:table-row table:number-rows-repeated="1048000"><table:table-cell/></table:table-row>'
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as members:
        members.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        members.writestr(
            "content.xml",
            f"<office:document-content {names}><office:body><office:spreadsheet><table:table/><table:table>{body}{rest}"
            "</table:table></office:spreadsheet></office:body></office:document-content>",
        )
    return file.getvalue()


def plan(folder: Path, content: bytes, name: str) -> Plan:
    (folder / name).write_bytes(content)
    made = plan_of(folder)
    assert made.problems.found == []
    return made


@pytest.mark.parametrize("sheet_of", [0, 1])
@pytest.mark.parametrize("since_1904", [False, True])
def test_an_old_workbook_is_read_as_it_shows_itself(tmp_path, sheet_of, since_1904):
    made = plan(tmp_path, old(ROWS, sheet_of, since_1904), "t.xls")
    studies = [(s.patient_id, i, s.study_date, s.phenotypes["lvef"]) for i, s in made.studies.items()]
    assert studies == [("P1", "S1", "2024-01-05", 55.5), ("7", "S2", "2024-01-06T12:00:00", 44.0)]
    assert list(made.maps) == ["t.xls" if sheet_of == 0 else "t.xls, sheet 2"]


def test_an_open_document_is_read_as_it_shows_itself(tmp_path):
    made = plan(tmp_path, opened(ROWS), "t.ods")
    studies = [(s.patient_id, i, s.study_date, s.phenotypes["lvef"]) for i, s in made.studies.items()]
    assert studies == [("P1", "S1", "2024-01-05", 55.5), ("7", "S2", "2024-01-06T12:00:00", 44.0)]
    assert read_header_row(tmp_path / "t.ods").columns == ROWS[0]
    assert read_table(tmp_path / "t.ods").rows.loc[2, "Größe 患者"] == "ß"


def test_what_an_old_workbook_hides_is_told(tmp_path):
    made = plan(tmp_path, old(ROWS, hidden=True), "t.xls")
    assert "t.xls: hidden in the workbook and read all the same: rows and columns." in made.notes
    assert len(made.studies) == 2


def test_an_error_in_a_cell_of_an_id_is_no_id(tmp_path):
    book = xlwt.Workbook()
    sheet = book.add_sheet("x")
    for i, row in enumerate([["Patient", "Accession", "EF"], ["#N/A", "S1", 55]]):
        for j, cell in enumerate(row):
            sheet.row(i).set_cell_error(j, 0x2A) if cell == "#N/A" else sheet.write(i, j, cell)
    book.save(tmp_path / "t.xls")
    assert "no id in row 2" in plan_of(tmp_path).problems.found[0].sentence


@pytest.mark.parametrize("kind", ["xls", "ods"])
def test_a_damaged_workbook_is_read_or_refused_in_words(tmp_path, kind):
    whole, chance, path = old(ROWS) if kind == "xls" else opened(ROWS), random.Random(0), tmp_path / f"t.{kind}"
    refused = 0
    for attempt in range(60):
        content = bytearray(whole if attempt % 3 else whole[: chance.randrange(8, len(whole))])
        for _ in range(chance.randrange(1, 30)):
            content[chance.randrange(8, len(content))] = chance.randrange(256)
        path.write_bytes(content)
        try:
            read_table(path)
        except StoreError as error:
            refused += 1
            assert error.message.startswith(f"t.{kind}") and "Traceback" not in str(error)
    assert refused > 10


def test_a_cell_that_stands_for_millions_is_refused(tmp_path):
    path = tmp_path / "t.ods"
    path.write_bytes(opened([["a"] * 100], times=1_000_000))
    with pytest.raises(StoreError, match="it has more than 20,000,000 cells"):
        read_table(path)


def test_a_workbook_under_a_password_is_refused_with_what_to_do(tmp_path):
    path = tmp_path / "t.xlsx"
    path.write_bytes(old(ROWS).replace(b"\x09\x08\x10\x00", b"\x2f\x00\x36\x00", 1))  # its first record: encrypted
    with pytest.raises(StoreError, match=r"under a password: save it as .xlsx or CSV"):
        read_table(path)


def test_a_table_as_wide_as_a_sheet_can_be_is_planned(tmp_path):
    wide = [f"c{i}" for i in range(6000)]
    (tmp_path / "t.ods").write_bytes(opened([["patient_id", "study_id", "EF", *wide], ["A", "S", 55, *wide]]))
    made = plan_of(tmp_path)
    assert [study.phenotypes for study in made.studies.values()] == [{"lvef": 55}] and len(made.ignored) == 6000


@pytest.mark.parametrize("name", ["t.ods", "t.csv"])
def test_a_table_of_more_columns_than_a_sheet_has_is_refused(tmp_path, name):
    wide = ["a"] * 16_385
    (tmp_path / name).write_bytes(opened([wide]) if name == "t.ods" else ",".join(wide).encode())
    for read in (read_table, read_header_row):
        with pytest.raises(StoreError, match="it has more than 16,384 columns"):
            read(tmp_path / name)
