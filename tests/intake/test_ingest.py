"""Importing an archive: what is refused, what is passed over with a reason, splits that never change."""

import shutil

import numpy as np
import pandas as pd
import pytest
import wfdb

from echo2ecg_core.errors import StoreError
from echo2ecg_core.findings import Findings
from echo2ecg_core.intake.ingest import ingest, split_of, summary_lines
from echo2ecg_core.intake.problems import ImportRefused
from echo2ecg_core.phantom.cohort import PhantomCohort, write_cohort
from echo2ecg_core.reports.evaluate import fingerprint
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.corrections import correct
from echo2ecg_core.store.database import Workspace

LEADS = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]


@pytest.fixture
def archive(tmp_path):
    folder = tmp_path / "archive"
    (folder / "ecg").mkdir(parents=True)
    t = np.arange(5000) / 500
    signal = np.outer(np.exp(-0.5 * ((t % 0.9 - 0.4) / 0.012) ** 2) + 0.02 * np.sin(9 * t), np.linspace(0.5, 1.5, 12))
    wfdb.wrsamp(
        "good",
        fs=500,
        units=["mV"] * 12,
        sig_name=LEADS,
        p_signal=signal,
        fmt=["16"] * 12,
        write_dir=str(folder / "ecg"),
    )
    (folder / "ecg" / "bad.hea").write_text("this is no header")
    pd.DataFrame(
        {
            "ecg_id": ["E1", "E2"],
            "patient_id": ["A", "B"],
            "ecg_time": ["2030-01-01", "2030-01-02"],
            "path": ["ecg/good.hea", "ecg/bad.hea"],
        }
    ).to_csv(folder / "ecgs.csv", index=False)
    pd.DataFrame(
        {
            "patient_id": ["A"],
            "study_id": ["S1"],
            "study_date": ["2030-01-01"],
            "lvef": [55.0],
            "lvedv": [np.nan],
            "other": ["x"],
        }
    ).to_csv(folder / "labels.csv", index=False)
    clips = folder / "echo" / "A" / "S1"
    clips.mkdir(parents=True)
    (clips / "broken.mp4").write_bytes(b"not a video")
    return folder


def test_good_files_come_in_and_bad_ones_are_passed_over_with_a_reason(archive, tmp_path):
    place = Workspace(tmp_path / "w")
    report = ingest(archive, place, cohort="mine", keep_ids=True)
    assert (report.ecgs, report.studies, report.clips) == (1, 1, 0)
    assert {row["file"] for row in report.refused} == {"ecg/bad.hea", "echo/A/S1/broken.mp4"} and all(
        row["reason"] for row in report.refused
    )
    assert Catalog(place).study("S1").phenotypes == {"lvef": 55.0} and not Catalog(place).study("S1").synthetic


def labelled(archive, **columns):
    pd.DataFrame({"patient_id": ["A", "A"], "study_id": ["S1", "S2"]} | columns).to_csv(
        archive / "labels.csv", index=False
    )
    return archive


def test_findings_come_in_and_the_index_follows_from_the_scores(archive, tmp_path):
    seventeen, sixteen = " ".join(["1"] * 12 + ["2", "3", "2", "1", "3"]), " ".join(["2"] * 16 + ["-"])
    ingest(
        labelled(
            archive,
            wall_motion_scores=[seventeen, sixteen],
            rhythm=["AF", ""],
            conduction=["lbbb", ""],
            first_degree_block=["", True],
        ),
        Workspace(tmp_path / "w"),
        cohort="mine",
        keep_ids=True,
    )
    first, second = (Catalog(Workspace(tmp_path / "w")).study(s) for s in ("S1", "S2"))
    assert first.findings.words() == [
        "Atrial fibrillation",
        "Left bundle branch block",
    ] and second.findings.words() == ["First-degree AV block"]
    assert first.phenotypes["wall_motion_score_index"] == pytest.approx((13 + 2 + 3 + 2 + 3) / 17)
    assert second.phenotypes["wall_motion_score_index"] == 2 and second.findings.wall_motion_scores[-1] is None


@pytest.mark.parametrize(
    ("column", "cell", "expected"),
    [
        ("wall_motion_scores", "1 1 2", "17 scores parted by spaces"),
        ("wall_motion_scores", " ".join(["1"] * 16 + ["5"]), "scores from 1 to 4"),
        ("wall_motion_score_index", "0.4", "a number from 1 to 4"),
        ("rhythm", "pacemaker", "sinus, af, other"),
        ("conduction", "left bundle", "normal, lbbb, rbbb, other"),
        ("first_degree_block", "maybe", "true or false"),
        ("lvef", "fifty", "a number from 0 to 100"),
        ("lvef", "-5", "a number from 0 to 100"),
        ("lvef", "101", "a number from 0 to 100"),
        ("lvedv", "inf", "a number of at least 0"),
        ("lvedv", "-0.1", "a number of at least 0"),
        ("as_grade", "9", "a number from 0 to 3"),
        ("tr_grade", "-1", "a number from 0 to 3"),
        ("age_years", "sixty", "a number from 0 to 130"),
        ("age_years", "1961", "a number from 0 to 130"),
        ("sex", "woman", "male, female"),
        ("split", "dev", "train, validation, test"),
    ],
)
def test_a_label_that_cannot_be_is_refused_with_its_row_and_column_and_nothing_comes_in(
    archive, tmp_path, column, cell, expected
):
    place = Workspace(tmp_path / "w")
    with pytest.raises(StoreError, match=f"in row 3, column {column}; expected: {expected}"):
        ingest(labelled(archive, **{column: ["", cell]}), place, cohort="mine", keep_ids=True)
    assert not place.exists()


def test_the_refusal_of_a_shifted_table_holds_nothing_of_its_cells(archive, tmp_path):
    with pytest.raises(StoreError) as refused:
        ingest(
            labelled(archive, lvef=["Doe, Jane", "60"], rhythm=["", ""]),
            Workspace(tmp_path / "w"),
            cohort="mine",
            keep_ids=True,
        )
    assert (
        "row 2, column lvef" in refused.value.message and "Doe" not in f"{refused.value.message} {refused.value.hint}"
    )
    assert refused.value.__suppress_context__


def test_an_index_that_contradicts_its_scores_is_refused_and_one_that_is_rounded_is_taken(archive, tmp_path):
    scores = " ".join(["1"] * 11 + ["2"] * 6)  # mean 1.353
    with pytest.raises(
        StoreError,
        match=(
            "row 3, column wall_motion_score_index; expected: the mean of the wall motion scores of the row, which "
            "is 1.35"
        ),
    ):
        ingest(
            labelled(archive, wall_motion_scores=[scores, scores], wall_motion_score_index=[1.35, 1.5]),
            Workspace(tmp_path / "w"),
            cohort="mine",
            keep_ids=True,
        )
    ingest(
        labelled(archive, wall_motion_scores=[scores, scores], wall_motion_score_index=[1.35, ""]),
        Workspace(tmp_path / "w"),
        cohort="mine",
        keep_ids=True,
    )
    found = [
        Catalog(Workspace(tmp_path / "w")).study(study).phenotypes["wall_motion_score_index"] for study in ("S1", "S2")
    ]
    assert found == pytest.approx([1.35, 23 / 17])


def test_seventeen_dashes_are_no_scores_and_an_index_beside_them_stays(archive, tmp_path):
    ingest(
        labelled(archive, wall_motion_scores=[" ".join("-" * 17)] * 2, wall_motion_score_index=["", 1.5]),
        Workspace(tmp_path / "w"),
        cohort="mine",
        keep_ids=True,
    )
    first, second = (Catalog(Workspace(tmp_path / "w")).study(s) for s in ("S1", "S2"))
    assert (
        first.findings == second.findings == Findings()
        and first.phenotypes == {}
        and second.phenotypes == {"wall_motion_score_index": 1.5}
    )


def test_the_facts_of_a_visit_come_in_and_what_is_empty_stays_unknown(archive, tmp_path):
    labelled(archive, patient_id=["A", "C"], sex=["F", ""], age_years=["61.5", ""], split=["test", ""])
    ingest(archive, Workspace(tmp_path / "w"), cohort="mine", keep_ids=True)
    first, second = (Catalog(Workspace(tmp_path / "w")).study(s) for s in ("S1", "S2"))
    assert (first.sex, first.age_years, first.split) == ("female", 61.5, "test")
    assert (second.sex, second.age_years, second.split) == (None, None, split_of("C"))


def test_a_phantom_cohort_comes_in_with_the_findings_of_its_hearts(tmp_path):
    ingest(write_cohort(tmp_path / "cohort", 4, 5, ecg_only=True), Workspace(tmp_path / "w"), cohort="phantoms")
    for study in (study for i in range(4) for study in PhantomCohort(4, 5).patient(i).studies):
        stored = Catalog(Workspace(tmp_path / "w")).study(study.study_id)
        assert stored.findings == study.heart.findings()
        assert stored.phenotypes["wall_motion_score_index"] == pytest.approx(
            study.labels()["wall_motion_score_index"], abs=0.001
        )


def test_a_second_phantom_cohort_beside_the_first_changes_nothing_of_it(tmp_path):
    place = Workspace(tmp_path / "w")
    for seed in (5, 6):
        write_cohort(tmp_path / str(seed), 3, seed, ecg_only=True)
    first = ingest(tmp_path / "5", place, cohort="")
    catalog = Catalog(place)
    before = (catalog.studies(), catalog.ecgs(), catalog.ecg_record("P00001-E1").content_hash)
    second = ingest(tmp_path / "6", place, cohort="")
    assert (first.cohort, second.cohort) == ("Phantom 5", "Phantom 6")
    after = (catalog.studies().query("cohort == 'Phantom 5'"), catalog.ecgs().query("cohort == 'Phantom 5'"))
    for old, new in zip(before, after, strict=False):
        pd.testing.assert_frame_equal(old, new.reset_index(drop=True))
    assert catalog.ecg_record("P00001-E1").content_hash == before[2]
    study = PhantomCohort(3, 6).patient(0).studies[0]
    assert catalog.study(f"Phantom 6/{study.study_id}").phenotypes["lvef"] == pytest.approx(study.heart.lvef, abs=0.01)
    assert second.patients == 3 and second.changed == []
    with pytest.raises(StoreError, match="seems to be another data set. Give it a cohort name of its own"):
        ingest(tmp_path / "6", place, cohort="Phantom 5")
    pd.testing.assert_frame_equal(catalog.studies().query("cohort == 'Phantom 5'").reset_index(drop=True), before[0])


def test_rate_unit_and_lead_order_of_a_table_reach_the_reader(archive, tmp_path):
    (archive / "labels.csv").unlink()
    order = ["II", "I", *LEADS[2:]]
    signal = wfdb.rdsamp(str(archive / "ecg" / "good"))[0].T  # (12, n) in mV
    np.save(archive / "ecg" / "bare.npy", signal[[LEADS.index(lead) for lead in order]] * 100)  # counts of 10 µV
    row = {"ecg_id": "E1", "patient_id": "A", "path": "ecg/bare.npy", "sampling_rate_hz": 250, "unit": "10 µV"}
    pd.DataFrame([row | {"lead_order": ",".join(order)}]).to_csv(archive / "ecgs.csv", index=False)
    report = ingest(archive, Workspace(tmp_path / "w"), cohort="mine", keep_ids=True)
    assert report.refused == []
    record = Catalog(Workspace(tmp_path / "w")).ecg_record("E1")
    assert record.sampling_rate_hz == 250 and np.abs(record.signal_mv - signal).max() < 0.001
    pd.DataFrame([row | {"unit": "bushels", "lead_order": "I,II,X9"}]).to_csv(archive / "ecgs.csv", index=False)
    with pytest.raises(ImportRefused) as refused:
        ingest(archive, Workspace(tmp_path / "v"), cohort="mine", keep_ids=True)
    assert {(p.row, p.column) for p in refused.value.problems} == {(2, "unit"), (2, "lead_order")}


def test_cohorts_whose_ids_were_kept_are_known(archive, tmp_path):
    place = Workspace(tmp_path / "w")
    ingest(archive, place, cohort="masked")
    assert Catalog(place).cohorts_with_ids() == []
    ingest(archive, place, cohort="open", keep_ids=True)
    assert Catalog(place).cohorts_with_ids() == ["open"]


def test_findings_that_join_later_leave_a_report_in_date(archive, tmp_path):
    place = Workspace(tmp_path / "w")
    ingest(archive, place, cohort="mine", keep_ids=True)
    before = fingerprint(place)
    Catalog(place).add_study("S1", "A", findings=Findings((1,) * 17, "sinus", "normal", False))
    assert fingerprint(place) == before
    Catalog(place).add_study("S1", "A", phenotypes={"lvef": 30.0})
    assert fingerprint(place) != before


def test_importing_twice_adds_nothing(archive, tmp_path):
    place = Workspace(tmp_path / "w")
    ingest(archive, place, cohort="mine", keep_ids=True)
    before = Catalog(place).counts()
    assert ingest(archive, place, cohort="mine", keep_ids=True).ecgs == 0 and Catalog(place).counts() == before


def test_a_table_that_is_missing_or_lacks_a_column_is_named(archive, tmp_path):
    pd.DataFrame({"ecg_id": ["E1"], "subject": ["A"]}).to_csv(archive / "ecgs.csv", index=False)
    with pytest.raises(StoreError, match="ecgs.csv lacks the column path; found ecg_id, subject"):
        ingest(archive, Workspace(tmp_path / "w"), cohort="mine", keep_ids=True)
    (archive / "ecgs.csv").write_bytes(b"\0\1\2")
    with pytest.raises(StoreError, match="ecgs.csv cannot be read"):
        ingest(archive, Workspace(tmp_path / "w"), cohort="mine", keep_ids=True)


def test_ecgs_alone_and_echo_alone_are_whole_cohorts(archive, tmp_path):
    pd.DataFrame(
        {
            "ecg_id": ["E1"],
            "patient_id": ["A"],
            "path": ["ecg/good.hea"],
            "sex": ["F"],
            "age_years": [61],
            "split": ["test"],
        }
    ).to_csv(archive / "ecgs.csv", index=False)
    shutil.move(archive / "labels.csv", tmp_path / "labels.csv")
    place = Workspace(tmp_path / "w")
    report = ingest(archive, place, cohort="ecgs", keep_ids=True)
    assert (report.ecgs, report.studies) == (1, 0)
    row = Catalog(place).ecgs().iloc[0]
    assert (row.sex, row.split, Catalog(place).ecg_record("E1").age_years) == ("female", "test", 61)
    shutil.move(tmp_path / "labels.csv", archive / "labels.csv")
    (archive / "ecgs.csv").unlink()
    report = ingest(archive, Workspace(tmp_path / "v"), cohort="echo", keep_ids=True)
    assert (report.ecgs, report.studies) == (0, 1)


def test_labels_beside_an_ecg_stay_with_that_ecg(archive, tmp_path):
    shutil.copy(archive / "ecg" / "good.hea", archive / "ecg" / "again.hea")
    pd.DataFrame(
        {"ecg_id": ["E1", "E2"], "patient_id": ["A", "A"], "path": ["ecg/good", "ecg/again"], "lvef": [60, 30]}
    ).to_csv(archive / "ecgs.csv", index=False)
    (archive / "labels.csv").unlink()
    place = Workspace(tmp_path / "w")
    ingest(archive, place, cohort="mine", keep_ids=True)
    labelled = Catalog(place).labelled_ecgs().set_index("ecg_id").lvef.to_dict()
    assert labelled == {"E1": 60, "E2": 30}  # though nothing tells their times


def test_two_cohorts_that_count_from_one_do_not_meet(archive, tmp_path):
    place = Workspace(tmp_path / "w")
    ingest(archive, place, cohort="north", keep_ids=True)
    labelled(archive, lvef=["20", "30"])
    report = ingest(archive, place, cohort="south", keep_ids=True)
    assert (report.studies, report.ecgs, report.patients) == (2, 1, 2)
    assert Catalog(place).study("S1").phenotypes == {"lvef": 55.0} and Catalog(place).study("S1").cohort == "north"
    assert Catalog(place).study("south/S1").phenotypes == {"lvef": 20.0}
    assert Catalog(place).study("south/S1").patient_id == "south/A"
    again = ingest(archive, place, cohort="south", keep_ids=True)
    assert (again.studies, again.ecgs, again.patients, again.changed) == (0, 0, 0, [])


def test_a_study_of_two_patients_is_refused_whether_in_one_table_or_in_two_imports(archive, tmp_path):
    place = Workspace(tmp_path / "w")
    with pytest.raises(StoreError, match=r"belong to two patients \(labels.csv, row 3\)"):
        ingest(labelled(archive, study_id=["S1", "S1"], patient_id=["A", "B"]), place, cohort="mine", keep_ids=True)
    assert not place.exists()
    ingest(labelled(archive, lvef=["50", "60"]), place, cohort="mine", keep_ids=True)
    before = Catalog(place).studies()
    with pytest.raises(StoreError, match="belongs to another patient in the workspace"):
        ingest(labelled(archive, patient_id=["B", "B"]), place, cohort="mine", keep_ids=True)
    pd.testing.assert_frame_equal(Catalog(place).studies(), before)


def test_everything_that_is_wrong_is_told_at_once(archive, tmp_path):
    labelled(archive, lvef=["high", "60"], sex=["F", "X"], study_date=["2030-01-01", "soon"])
    with pytest.raises(ImportRefused) as refused:
        ingest(archive, Workspace(tmp_path / "w"), cohort="mine", keep_ids=True)
    found = {(p.file, p.row, p.column) for p in refused.value.problems}
    assert found == {("labels.csv", 2, "lvef"), ("labels.csv", 3, "sex"), ("labels.csv", 3, "study_date")}


def test_a_corrected_table_changes_what_changed_and_says_what(archive, tmp_path):
    place = Workspace(tmp_path / "w")
    ingest(labelled(archive, lvef=["50", "60"], sex=["F", "F"]), place, cohort="mine", keep_ids=True)
    report = ingest(labelled(archive, lvef=["50", "35"], sex=["M", "M"]), place, cohort="mine", keep_ids=True)
    assert report.changed == [
        {"kind": "patient", "id": "A", "name": "sex", "was": "female", "now": "male"},
        {"kind": "study", "id": "S2", "name": "lvef", "was": 60.0, "now": 35.0},
    ]
    assert Catalog(place).study("S2").phenotypes["lvef"] == 35.0 and Catalog(place).study("S2").sex == "male"


def test_a_second_import_of_the_old_table_keeps_a_correction_and_says_so(archive, tmp_path):
    place = Workspace(tmp_path / "w")
    first = ingest(archive, place, cohort="mine", keep_ids=True)
    correct(place, "study", "S1", "lvef", 41, who="ada@example.org")
    correct(place, "study", "S1", "study_date", "2031-06-01", who="ada@example.org")
    again = ingest(archive, place, cohort="mine", keep_ids=True)
    assert first.kept == [] and again.changed == [] and Catalog(place).study("S1").phenotypes == {"lvef": 41.0}
    told = "\n".join(summary_lines(again))
    assert "Kept lvef of study S1 as it was corrected by ada@example.org on 20" in told
    assert ": 41. The table says 55." in told and ": 2031-06-01. The table says 2030-01-01." in told


def test_a_table_without_splits_keeps_those_that_patients_have(archive, tmp_path):
    place = Workspace(tmp_path / "w")
    other = next(s for s in ("train", "validation", "test") if s != split_of("A"))
    ingest(labelled(archive, split=[other, other]), place, cohort="mine", keep_ids=True)
    ingest(labelled(archive, lvef=["50", "60"]), place, cohort="mine", keep_ids=True)
    assert Catalog(place).study("S2").split == other


def test_a_table_cannot_reach_outside_its_folder(archive, tmp_path):
    pd.DataFrame({"ecg_id": ["E1"], "patient_id": ["A"], "path": ["../../etc/passwd"]}).to_csv(
        archive / "ecgs.csv", index=False
    )
    report = ingest(archive, Workspace(tmp_path / "w"), cohort="mine", keep_ids=True)
    assert report.ecgs == 0 and "outside the archive" in report.refused[0]["reason"]


def test_splits_by_hash_are_seventy_fifteen_fifteen_and_never_change():
    splits = pd.Series([split_of(f"P{i:05d}") for i in range(20_000)]).value_counts(normalize=True)
    assert splits["train"] == pytest.approx(0.70, abs=0.01) and splits["validation"] == pytest.approx(0.15, abs=0.01)
    assert [split_of(p) for p in ("P00001", "P00002", "P00003")] == [
        split_of(p) for p in ("P00001", "P00002", "P00003")
    ]


def test_clips_of_real_patients_are_stored_with_everything_outside_the_sector_black(archive, tmp_path):
    from echo2ecg_core.echo.clip import EchoClip
    from echo2ecg_core.echo.readers import read_clip
    from echo2ecg_core.echo.video import encode_mp4

    rng = np.random.default_rng(0)
    y, x = np.mgrid[:200, :200]
    sector = (np.abs(np.arctan2(x - 100, y + 5)) < 0.7) & (np.hypot(x - 100, y + 5) < 180)
    frames = (rng.integers(40, 200, (12, 200, 200)) * sector).astype(np.uint8)
    frames[:, 5:12, 5:45] = 255  # a burnt-in name
    clip = EchoClip(np.repeat(frames[..., None], 3, 3), 30.0, "MP4", "x", None, None, None, (), False)
    (archive / "echo" / "A" / "S1" / "clip.mp4").write_bytes(encode_mp4(clip))
    still = EchoClip(np.full((4, 64, 64, 3), 90, np.uint8), 30.0, "MP4", "x", None, None, None, (), False)
    (archive / "echo" / "A" / "S1" / "still.mp4").write_bytes(encode_mp4(still))
    place = Workspace(tmp_path / "w")
    report = ingest(archive, place, cohort="mine", keep_ids=True)
    (row,) = Catalog(place).clips_of("S1")
    stored = read_clip(Catalog(place).clip_path(row.clip_id)).frames
    assert stored[:, 5:12, 5:45].max() < 30 and stored[:, 60:120, 90:110].mean() > 60
    assert [r["reason"] for r in report.refused if r["file"].endswith("still.mp4") and "de-identified" in r["reason"]]


def test_a_phantom_archive_is_known_as_synthetic_by_its_manifest(archive, tmp_path):
    (archive / "manifest.json").write_text('{"kind": "phantom cohort", "synthetic": true}')
    ingest(archive, Workspace(tmp_path / "w"), cohort="phantoms")
    assert Catalog(Workspace(tmp_path / "w")).study("S1").synthetic
