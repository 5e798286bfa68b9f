"""Tables that name ECGs and films by their files, as research groups write them: an index in another folder, paths of
another machine, names alone; pairs with the days of both; labels by ECG."""

from pathlib import Path

import numpy as np
import pytest

from echo2ecg_core.intake import preview
from echo2ecg_core.intake.layouts.recognise import plan_of
from tests import small_trees
from tests.ecg import device_files
from tests.echo.test_long_film import film
from tests.echo.test_readers import dicom


def muse(path: Path, patient: str, day: str) -> None:
    """A MUSE export of a patient, the day as MM-DD-YYYY."""
    path.parent.mkdir(parents=True, exist_ok=True)
    told = (
        f"<PatientDemographics><PatientID>{patient}</PatientID></PatientDemographics><TestDemographics>"
        f"<AcquisitionDate>{day}</AcquisitionDate><AcquisitionTime>10:15:00</AcquisitionTime></TestDemographics>"
    )
    path.write_text(device_files.muse().decode().replace("<RestingECG>", f"<RestingECG>{told}", 1))


@pytest.mark.parametrize(
    ("index", "written"),
    [
        ("index.csv", "ecg/2019/{}"),
        ("meta/index.csv", "ecg/2019/{}"),
        ("meta/index.csv", "../ecg/2019/{}.hea"),
        ("ecg/index.csv", "2019/{}.hea"),
        ("index.csv", r"D:\Study\ecg\2019\{}.hea"),
        ("index.csv", "/mnt/nas/ecg/2019/{}.hea"),
        ("ecg/index.csv", r"E:\Study\2019\{}.hea"),
        ("index.csv", "{}"),
        ("ecgs.csv", "{}.hea"),
    ],
)
def test_files_are_found_however_a_table_writes_them_and_not_told_as_left_out(tmp_path, index, written):
    for name in ("e1", "e2"):
        small_trees.write_record(tmp_path / f"ecg/2019/{name}")
    rows = "\n".join(f"P{n},2024-01-0{n} 10:00,{written.format(f'e{n}')}" for n in (1, 2))
    small_trees.table(tmp_path / index, f"patient_id,ecg_time,path\n{rows}" if index != "ecgs.csv" else
                      f"patient_id,ecg_time,path,ecg_id\n{rows.replace('.hea', '.hea,x', 1)},y")  # fmt: skip
    plan = plan_of(tmp_path)
    found = {ecg.patient_id: ecg.path.name for ecg in plan.ecgs.values()}
    assert found == {"P1": "e1.hea", "P2": "e2.hea"} and plan.passed_over == []
    assert not [what for what, _ in plan.ignored if what.startswith("ecg/") and not what.endswith(".dat")]


@pytest.mark.parametrize("written", ["../{}", "other/{}"])
def test_a_path_that_climbs_out_or_leads_elsewhere_finds_no_file_of_the_same_name(tmp_path, written):
    root = tmp_path / "archive"
    small_trees.write_record(tmp_path / "e1")
    small_trees.write_record(root / "ecg" / "e1")
    small_trees.table(root / "index.csv", f"patient_id,path,x\nP1,{written.format('e1.hea')},1")
    plan = plan_of(root)
    assert plan.ecgs == {} and len(plan.passed_over) == 2  # the row, and the header that says nobody's name


def test_an_ecg_that_says_whose_it_is_and_stands_in_a_table_comes_in_once(tmp_path):
    muse(tmp_path / "xml/a.xml", "P1", "01-05-2024")
    np.save(tmp_path / "b.npy", small_trees.signal_mv().T)
    small_trees.table(tmp_path / "index.csv", "ecg_id,patient_id,path,LVEF\n1,P1,xml/a.xml,55\n2,P2,b.npy,35")
    small_trees.table(tmp_path / "a first.csv", "ecg_id,TAPSE (mm)\n1,22\n2,18\n3,17")
    plan = plan_of(tmp_path)
    labels = {e.path.name: plan.studies[e.own_study_id].phenotypes for e in plan.ecgs.values()}
    assert labels == {"a.xml": {"lvef": 55, "tapse": 2.2}, "b.npy": {"lvef": 35, "tapse": 1.8}}
    assert plan.passed_over == plan.ignored == plan.problems.found == []
    assert any("a first.csv whose ECG is not among the data: 1" in note for note in plan.notes)


@pytest.mark.parametrize(
    ("dates", "ecg", "study"),
    [
        ("ecg_date,echo_date", "2024-01-05", "2023-01-05"),
        ("Date,Date of echo", "2024-01-05", "2023-01-05"),
        ("ecg_time,study_date", "2024-01-05", "2023-01-05"),
    ],
)
def test_labels_of_a_pair_belong_to_the_day_of_the_echo_and_not_of_the_ecg(tmp_path, dates, ecg, study):
    small_trees.write_record(tmp_path / "e1")
    small_trees.table(tmp_path / "pairs.csv", f"patient_id,{dates},path,LVEF\nP1,{ecg},{study},e1.hea,55")
    plan = plan_of(tmp_path)
    (one,), (echo,) = plan.ecgs.values(), plan.studies.values()
    assert (one.ecg_time, one.own_study_id, echo.study_date, echo.phenotypes) == (ecg, None, study, {"lvef": 55})


def test_the_day_of_an_echo_is_no_time_of_an_ecg(tmp_path):
    small_trees.write_record(tmp_path / "e1")
    small_trees.table(tmp_path / "pairs.csv", "patient_id,echo_date,path,LVEF\nP1,2023-01-05,e1.hea,55")
    plan = plan_of(tmp_path)
    assert [e.ecg_time for e in plan.ecgs.values()] == [None] and plan.studies["P1 2023-01-05"].phenotypes


@pytest.mark.parametrize(
    "text",
    [
        "patient_id,ecg_date,LVEF\nP1,2024-01-05,55\nP1,2024-02-05,35",
        "ecg_id,patient_id,LVEF\na,P1,55\nb,P1,35",
        "Record,EF (%)\na,55\nb,35",
    ],
)
def test_labels_by_ecg_stay_with_their_ecg(tmp_path, text):
    muse(tmp_path / "a.xml", "P1", "01-05-2024")
    muse(tmp_path / "b.xml", "P1", "02-05-2024")
    small_trees.table(tmp_path / "labels.csv", text)
    plan = plan_of(tmp_path)
    labels = {e.path.name: plan.studies[e.own_study_id].phenotypes["lvef"] for e in plan.ecgs.values()}
    assert labels == {"a.xml": 55, "b.xml": 35} and plan.problems.found == []


def test_a_label_by_ecg_is_not_given_to_another_patients(tmp_path):
    muse(tmp_path / "a.xml", "P1", "01-05-2024")
    small_trees.table(tmp_path / "labels.csv", "ecg_id,patient_id,LVEF\na,P2,55")
    (problem,) = plan_of(tmp_path).problems.found
    assert "to another patient in row 2" in problem.sentence


def test_a_column_of_findings_named_ecg_makes_no_table_of_ecgs(tmp_path):
    muse(tmp_path / "a.xml", "P1", "01-05-2024")
    small_trees.table(tmp_path / "labels.csv", "patient_id,study_date,ECG,LVEF\nP1,2024-01-06,SR,55")
    assert plan_of(tmp_path).studies["P1 2024-01-06"].phenotypes == {"lvef": 55}


@pytest.mark.parametrize("column", ["filename", "video_path"])
def test_films_come_in_with_the_patient_study_view_and_labels_of_their_table(tmp_path, column):
    for name in ("v1.avi", "v2.AVI"):
        (tmp_path / name).write_bytes(b"RIFF")
    rows = "P1,S1,2024-01-05,v1.avi,A4C,55\nP1,S1,2024-01-05,v2.AVI,PLAX,55"
    small_trees.table(tmp_path / "echo.csv", f"patient_id,study_id,study_date,{column},view,LVEF\n{rows}")
    plan = plan_of(tmp_path)
    found = [(c.study_id, c.path.name, c.view) for c in plan.clips]
    assert found == [("S1", "v1.avi", "A4C"), ("S1", "v2.AVI", "Parasternal_Long")]
    assert plan.studies["S1"].phenotypes == {"lvef": 55} and plan.ignored == [] and plan.ecgs == {}


def test_a_signal_without_its_header_is_told(tmp_path):
    small_trees.write_record(tmp_path / "a/e1")
    (tmp_path / "a/e1.hea").unlink()
    muse(tmp_path / "a.xml", "P1", "01-05-2024")
    assert dict(plan_of(tmp_path).ignored)["a/e1.dat"].startswith("a signal without its header")


def test_what_lies_there_in_another_form_is_told_for_what_it_is(tmp_path):
    muse(tmp_path / "a.xml", "P1", "01-05-2024")
    small_trees.write_record(tmp_path / "e1")
    (tmp_path / "e1.hea").rename(tmp_path / "e1.HEA")
    (tmp_path / "labels.parquet").write_bytes(b"PAR1")
    plan = plan_of(tmp_path)
    assert dict(plan.ignored)["labels.parquet"].startswith("a table of another program")
    assert [(file, why.split(".")[0]) for file, why in plan.passed_over] == [
        ("e1.HEA", "The file does not say whose it is")
    ]


def test_clips_without_a_patient_and_ecgs_of_one_table_come_in_each_as_what_they_are(tmp_path):
    frames = film(6, 96)
    for n in (1, 2):
        tags = {"PatientID": "", "StudyInstanceUID": "1.5", "StudyDate": "20240105", "SOPInstanceUID": f"1.2.{n}"}
        (tmp_path / f"{n}.dcm").write_bytes(dicom(frames, **tags))
    small_trees.write_record(tmp_path / "e1")
    rows = "P1,1.dcm,55\nP1,2.dcm,55\nP1,e1,\nP1,,55"
    small_trees.table(tmp_path / "files.csv", f"patient_id,file,LVEF\n{rows}")
    plan = plan_of(tmp_path)
    assert [(c.study_id, c.path.name) for c in plan.clips] == [
        ("P1 2024-01-05", "1.dcm"),
        ("P1 2024-01-05", "2.dcm"),
    ]
    assert plan.studies["P1 2024-01-05"].phenotypes == {"lvef": 55}
    assert [e.path.name for e in plan.ecgs.values()] == ["e1.hea"] and plan.passed_over == []


def test_a_row_of_an_ecg_and_a_film_brings_in_both_and_its_labels_are_of_the_echo(tmp_path):
    small_trees.write_record(tmp_path / "e1")
    for name in ("v1.avi", "v2.avi"):
        (tmp_path / name).write_bytes(b"RIFF")
    header = "patient_id,ecg_path,ecg_date,echo_date,video_path,LVEF"
    rows = "\n".join(f"P1,e1.hea,2024-01-04,2024-01-05,{video},55" for video in ("v1.avi", "v2.avi"))
    small_trees.table(tmp_path / "pairs.csv", f"{header}\n{rows}")
    plan = plan_of(tmp_path)
    (ecg,), (study,) = plan.ecgs.values(), plan.studies.values()
    assert (ecg.ecg_time, ecg.own_study_id) == ("2024-01-04", None)
    assert (study.study_date, study.phenotypes) == ("2024-01-05", {"lvef": 55})
    assert [(c.study_id, c.path.name) for c in plan.clips] == [(study.study_id, f"v{n}.avi") for n in (1, 2)]
    assert plan.ignored == plan.passed_over == [] and len(plan.maps["pairs.csv"].columns) == 6


def test_an_ecg_of_a_study_whose_day_its_clips_tell_does_not_contradict_it(tmp_path):
    tags = {"PatientID": "P1", "AccessionNumber": "A1", "StudyInstanceUID": "1.5", "StudyDate": "20240105"}
    (tmp_path / "IM1").write_bytes(dicom(film(6, 96), **tags))
    small_trees.write_record(tmp_path / "e1")
    small_trees.table(tmp_path / "pairs.csv", "patient_id,path,ecg_date,accession,LVEF\nP1,e1,2024-01-04,1.5,55")
    plan = plan_of(tmp_path)
    assert plan.problems.found == [] and plan.studies["A1"].phenotypes == {"lvef": 55}
    assert plan.ecgs["e1"].own_study_id == "A1" and plan.studies["A1"].study_date == "2024-01-05"


def test_splits_and_sexes_in_a_table_of_their_own_are_taken_for_those_who_are_there(tmp_path):
    muse(tmp_path / "a.xml", "0007", "01-05-2024")
    small_trees.table(tmp_path / "a split.csv", "patient_id,split,sex\n7,testing,F\n8,train,M")
    plan = plan_of(tmp_path)
    assert [(p.split, p.sex) for p in plan.patients.values()] == [("test", "female")]
    assert "Rows of a split.csv whose patient is not among the data: 1." in plan.notes


@pytest.mark.parametrize(("column", "file"), [("path", "e1.hea"), ("clip_path", "v1.avi")])
def test_a_table_beside_the_data_names_their_files_too(tmp_path, column, file):
    data = tmp_path / "data"
    small_trees.write_record(data / "e1")
    (data / "v1.avi").write_bytes(b"RIFF")
    small_trees.table(tmp_path / "labels.csv", f"patient_id,{column},date,LVEF\nP1,{file},2024-01-05,55")
    plan = plan_of(data, labels=tmp_path / "labels.csv")
    found = [e.path.name for e in plan.ecgs.values()] + [c.path.name for c in plan.clips]
    assert found == [file] and [s.phenotypes for s in plan.studies.values()] == [{"lvef": 55}]


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        ("chapman", "Record,EF\nJS00001.mat,55\nWFDBRecords/01/010/JS00002.hea,44"),
        ("mimic_ecg", "subject_id,study_id,EF\n10000032,40689238,55\n10000032,44458630,44"),
    ],
)
def test_labels_beside_ecgs_name_them_as_their_data_set_does(tmp_path, tree, text):
    getattr(small_trees, tree)(tmp_path / "data")
    small_trees.table(tmp_path / "labels.csv", text)
    plan = plan_of(tmp_path / "data", labels=tmp_path / "labels.csv")
    assert [plan.studies[e.own_study_id].phenotypes["lvef"] for e in plan.ecgs.values()] == [55, 44]
    assert plan.problems.found == []
    for study, day in zip(plan.studies.values(), ("1990-01-01", None), strict=True):
        study.study_date = day  # the data set pairs them, whatever lies between
    assert set(preview._pairs(plan).values()) == {2}


def test_labels_beside_a_data_set_that_no_day_pairs_are_told(tmp_path):
    small_trees.ptbxl(tmp_path / "data")
    small_trees.table(tmp_path / "labels.csv", "patient_id,LVEF\n15709,55")
    notes = plan_of(tmp_path / "data", labels=tmp_path / "labels.csv").notes
    assert "Studies without a date, with which no ECG is paired: 1 of 1." in notes


def of_two(tmp_path: Path, first: str, second: str, table: str = "{}/labels.csv", patients=("P1", "P2")):
    for folder, patient, day in ((first, patients[0], "01-05-2024"), (second, patients[1], "02-05-2024")):
        muse(tmp_path / folder / f"{patient}{day}.xml", patient, day)
        small_trees.table(tmp_path / table.format(folder), f"patient_id,study_date,EF\n{patient},2024-01-05,55")
    plan = plan_of(tmp_path)
    return [patient.split for patient in plan.patients.values()], plan.notes


@pytest.mark.parametrize(
    ("first", "second", "table", "splits"),
    [
        ("train", "test", "{}/labels.csv", ["test", "train"]),  # files in the order of their folders
        ("Training set", "validation", "{}/labels.csv", ["train", "validation"]),
        ("a", "b", "{}.csv", [None, None]),
        ("train", "b", "{}/labels.csv", [None, None]),
        ("old/train", "old/test", "{}/labels.csv", ["test", "train"]),
    ],
)
def test_folders_that_are_named_by_splits_tell_them(tmp_path, first, second, table, splits):
    found, notes = of_two(tmp_path, first, second, table)
    assert found == splits and any("names of folders or tables" in note for note in notes) == (None not in splits)


def test_tables_that_are_named_by_splits_tell_them(tmp_path):
    for name, patient in (("pairs_train.csv", "P1"), ("pairs_val.csv", "P2")):
        small_trees.write_record(tmp_path / "ecg" / patient)
        small_trees.table(tmp_path / name, f"patient_id,path,EF\n{patient},ecg/{patient},55")
    assert {p.patient_id: p.split for p in plan_of(tmp_path).patients.values()} == {"P1": "train", "P2": "validation"}


def test_a_patient_in_two_folders_of_splits_is_told_and_no_hint_is_taken(tmp_path):
    found, notes = of_two(tmp_path, "train", "test", patients=("P1", "P1"))
    assert found == [None] and any("1 of 1 patients are in two of them" in note for note in notes)


@pytest.mark.parametrize(
    ("rows", "of"), [("P1,S1,v/a.avi\nP2,S2,v/a.avi", "patients"), ("P1,S1,v/a.avi\nP1,S2,a", "studies")]
)
def test_one_film_under_two_patients_or_studies_is_refused_by_its_name(tmp_path, rows, of):
    small_trees.avi(tmp_path / "v" / "a.avi")
    small_trees.table(tmp_path / "t.csv", f"patient_id,study_id,path\n{rows}")
    plan = plan_of(tmp_path)
    assert [p.sentence for p in plan.problems.found] == [f"One film would belong to two {of}: v/a.avi."]


def test_a_film_that_two_rows_name_alike_is_one(tmp_path):
    small_trees.avi(tmp_path / "v" / "a.avi")
    small_trees.table(tmp_path / "t.csv", "patient_id,study_id,path,lvef\nP1,S1,v/a.avi,55\nP1,S1,a.avi,55")
    plan = plan_of(tmp_path)
    assert plan.problems.found == [] and len(plan.clips) == 1


def test_labels_by_the_names_of_files_alone_are_of_the_studies_and_ecgs_that_their_headers_tell(tmp_path):
    muse(tmp_path / "ecg" / "a.xml", "P1", "01-05-2024")
    for n in (1, 2):
        tags = {"PatientID": f"P{n}", "AccessionNumber": f"S{n}", "StudyDate": "20240105", "SOPInstanceUID": f"1.{n}"}
        (tmp_path / f"f{n}.dcm").write_bytes(dicom(film(6, 96), **tags))
    small_trees.table(tmp_path / "a films.csv", "filename,LVEF\nf1.dcm,55\nf2,40\nf9.dcm,30")
    small_trees.table(tmp_path / "b ecgs.csv", "file,TAPSE (mm)\na.xml,22\nz.xml,20")
    plan = plan_of(tmp_path)
    assert plan.problems.found == [] and {i: s.phenotypes for i, s in plan.studies.items()} == {
        "S1": {"lvef": 55}, "S2": {"lvef": 40}, "P1 2024-01-05T10:15:00": {"tapse": 2.2}
    }  # fmt: skip
    for note in (
        "Rows of b ecgs.csv whose ECG is not among the data: 1",
        "a films.csv that name no film of the data: 1",
    ):
        assert any(note in told for told in plan.notes), note
