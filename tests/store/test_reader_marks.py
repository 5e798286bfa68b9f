"""Readers' marks: one word a reader and hit, taken back, gone with what is removed; precision against a plain count."""

import numpy as np
import pytest

from echo2ecg_core.evaluation.readers import FEWEST_ECGS, precision_by_readers
from echo2ecg_core.figures.tables import table_csv
from echo2ecg_core.intake.removal import remove
from echo2ecg_core.reports.folder import load_report
from echo2ecg_core.reports.html_page import html_page
from echo2ecg_core.reports.tables import all_tables
from echo2ecg_core.store.reader_marks import Hit, mark, marks, marks_of, marks_state, unmark
from tests.report_fixture import made_up_report, write_report
from tests.small_workspace import MODEL_ID, record_of, small_workspace


@pytest.fixture
def workspace(tmp_path):
    return small_workspace(tmp_path, n_patients=3)


def test_a_reader_has_one_word_a_hit_and_can_take_it_back(workspace):
    hit, version = Hit("abc", "S-0001", MODEL_ID), workspace.version()
    mark(workspace, hit, "Kern", True, rank=2, similarity=0.9)
    mark(workspace, hit, "Roth", True, rank=2, similarity=0.9)
    mark(workspace, hit, "Kern", False, rank=2, similarity=0.9)
    assert marks_of(workspace, hit) == {"Kern": False, "Roth": True}
    assert marks_of(workspace, Hit("abc", "S-0001", "another")) == {}
    assert workspace.version() == version  # nothing that is computed from the catalogue becomes old
    unmark(workspace, hit, "Kern")
    table = marks(workspace, MODEL_ID)
    assert table[["study_id", "reader", "is_similar", "rank"]].values.tolist() == [["S-0001", "Roth", True, 2]]
    assert marks(workspace, "another").empty


def test_marks_go_with_their_study_and_with_their_ecg(workspace):
    own = record_of(2).content_hash
    mark(workspace, Hit("from outside", "S-0001", MODEL_ID), "Kern", True, rank=1, similarity=0.9)
    mark(workspace, Hit(own, "S-0000", MODEL_ID), "Kern", True, rank=1, similarity=0.9)
    remove(workspace, study="S-0001")
    assert list(marks(workspace).ecg_hash) == [own]
    remove(workspace, ecg="E-0002")
    assert marks(workspace).empty


@pytest.mark.slow
def test_precision_by_readers_is_the_share_of_hits_called_similar(workspace):
    said = np.random.default_rng(0).random((12, 10)) < np.linspace(0.9, 0.3, 10)
    for ecg in range(12):
        for rank in range(10):
            hit = Hit(f"ecg {ecg}", f"S-000{rank % 3}", f"model {rank // 3}")
            mark(workspace, hit, "Kern", bool(said[ecg, rank]), rank=rank % 3 + 1, similarity=0.5)
    first = precision_by_readers(marks(workspace, "model 0"))
    assert [row.k for row in first] == [1, 3, 5, 10]
    assert first[0].precision == pytest.approx(said[:, 0].mean()) and first[1].precision == pytest.approx(
        said[:, :3].mean()
    )
    assert (first[1].hits, first[1].ecgs, first[1].readers) == (36, 12, 1)
    spread = said[:, :3].mean(1).std(ddof=1) / np.sqrt(12)  # of the mean over ECGs
    low, high = first[1].interval
    assert (high - low) / 2 == pytest.approx(1.96 * spread, rel=0.25) and low < first[1].precision < high


def test_two_readers_of_one_hit_count_once_and_few_ecgs_have_no_interval(workspace):
    for reader, word in (("Kern", True), ("Roth", False), ("Voss", True)):
        mark(workspace, Hit("abc", "S-0000", MODEL_ID), reader, word, rank=1, similarity=0.9)
    (row, *_) = precision_by_readers(marks(workspace))
    assert (row.hits, row.readers, row.interval) == (1, 3, None) and row.precision == pytest.approx(2 / 3)
    assert FEWEST_ECGS > 1


@pytest.mark.slow
def test_the_folder_of_a_report_tells_what_readers_said_of_its_model(workspace):
    write_report(workspace, made_up_report(MODEL_ID))
    assert all(table.name != "readers" for table in all_tables(load_report(workspace, MODEL_ID)))
    states = {marks_state(workspace, MODEL_ID)}
    for reader, word in (("Kern", True), ("Roth", False), ("Voss", True)):
        mark(workspace, Hit("abc", "S-0000", MODEL_ID), reader, word, rank=1, similarity=0.9)
        states.add(marks_state(workspace, MODEL_ID))
    mark(workspace, Hit("abc", "S-0001", "another"), "Kern", False, rank=2, similarity=0.9)
    assert len(states) == 4 and marks_state(workspace, MODEL_ID) in states
    report = load_report(workspace, MODEL_ID)
    lines = table_csv(next(t for t in all_tables(report) if t.name == "readers")).lstrip("\ufeff").splitlines()
    assert [line.split(",")[:2] for line in lines[1:]] == [[str(k), str(2 / 3)] for k in (1, 3, 5, 10)]
    page = html_page(report)
    assert "Precision by readers" in page and page.count(">0.67<") == 4 and "Kern" not in page
