"""Public data sets come in as they are downloaded: recognised by content, with rules of their own."""

import gzip
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from echo2ecg_core.errors import StoreError
from echo2ecg_core.intake.ingest import Options, ingest
from echo2ecg_core.intake.layouts.mimic_echo import lvef_of
from echo2ecg_core.intake.layouts.recognise import LAYOUTS, find, plan_of
from echo2ecg_core.intake.mapping import Column
from echo2ecg_core.intake.preview import preview
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from tests import small_trees

TREES = {
    "ptbxl": "ptbxl", "mimic_ecg": "mimic_ecg", "mimic_echo": "mimic_echo", "echonext": "echonext",
    "echonet_dynamic": "echonet", "echonet_lvh": "echonet", "echonet_pediatric": "echonet", "camus": "camus",
    "tmed2": "tmed2", "code15": "code15", "chapman": "chapman", "reference_files": "reference_files",
    "reference_splits": "reference_splits",
}  # fmt: skip


@pytest.fixture
def come_in(tmp_path):
    """Make a small tree and import it; gives catalog, report and plan."""

    def make(name, cohort="c", place=None):
        root = tmp_path / name
        root.mkdir()
        getattr(small_trees, name)(root)
        place = place or Workspace(tmp_path / "w")
        report = ingest(root, place, cohort=cohort, keep_ids=True)
        return Catalog(place), report, plan_of(root)

    return make


@pytest.mark.parametrize("tree", TREES)
def test_a_data_set_is_told_by_its_content_in_its_folder_and_in_one_around_it(tree, tmp_path):
    root = tmp_path / "any name" / "1.0"
    root.mkdir(parents=True)
    getattr(small_trees, tree)(root)
    assert find(root) == (root, TREES[tree]) == find(tmp_path / "any name") == find(tmp_path)


def test_every_layout_has_a_small_tree_or_a_test_of_its_own():
    assert set(LAYOUTS) - set(TREES.values()) == {"ours", "hospital"}  # test_ingest.py, test_hospital_export.py


def test_ptbxl_brings_age_sex_and_its_recommended_folds(come_in):
    catalog, report, _ = come_in("ptbxl")
    ecgs = catalog.ecgs().set_index("ecg_id")
    assert report.ecgs == 3 and list(ecgs.split) == ["train", "validation", "test"]
    assert list(ecgs.sex) == ["female", "male", "female"] and ecgs.patient_id["1"] == "15709"
    assert ecgs.ecg_time["2"] == "1984-11-14T12:55:37"
    assert [catalog.ecg_record(i).age_years for i in ("1", "2", "3")] == [56, 90, 37]


def test_mimic_ecg_is_read_by_the_names_of_its_leads_and_without_the_suffix_of_headers(come_in):
    catalog, report, _ = come_in("mimic_ecg")
    record, wanted = catalog.ecg_record("40689238"), small_trees.signal_mv()
    assert report.ecgs == 2 and catalog.ecgs().ecg_time[0] == "2180-07-23T08:44:00"
    assert np.abs(record.signal_mv.T - wanted).max() < 0.002  # aVL and aVF are not exchanged
    assert set(catalog.ecgs().patient_id) == {"10000032"}


def test_mimic_echo_follows_its_rule_of_lvef_and_tells_cm_from_mm(come_in):
    catalog, report, plan = come_in("mimic_echo")
    values = catalog.studies().set_index("study_id")
    assert values.lvef.to_dict() == {"90000001": 52.5, "90000002": 43, "M504": 38}
    assert values.tapse.dropna().to_dict() == {"90000001": 2.2, "90000002": 1.9} and values.ivsd["90000001"] == 1.1
    assert np.isnan(values.ivsd["M504"])  # 99 cm
    assert ("1 values of IVSd", "outside of what can be measured") in plan.ignored
    assert ("1 stress echoes", "no heart at rest") in plan.ignored
    assert len(plan.passed_over) == 1  # its DICOM file is not there


def test_a_result_of_mimic_echo_that_is_no_number_is_counted_and_not_read(tmp_path):
    root = small_trees.mimic_echo(tmp_path)
    path = next(root.glob("structured-measurement.csv*"))
    rows = path.read_text().rstrip().splitlines()
    path.write_text("\n".join([*rows, "10000078,505,2160-03-02 11:00:00,tte,lvef_3d,3D,>55,%"]) + "\n")
    plan = plan_of(root)
    assert ("1 results of lvef_3d", "no number") in plan.ignored and plan.studies["M505"].phenotypes == {}


@pytest.mark.parametrize(
    ("found", "lvef"),
    [
        ({"lvef": "50"}, 50),
        ({"lvef": "50", "lvef_upper": "60"}, 55),
        ({"lvef": "50", "lvef_upper": "60", "lvef_3d": "48"}, 48),
        ({"lvef": "50", "lvef_3d": "48", "biplane_lvef": "44"}, 44),
        ({"biplane_lvef": "not seen", "lvef": "30"}, 30),
        ({"lvef": "see text"}, None),
    ],
)
def test_lvef_of_mimic_echo_is_the_first_there_is(found, lvef):
    assert lvef_of(found) == lvef


def test_mimic_ecg_and_echo_of_one_cohort_share_their_subjects(come_in, tmp_path):
    place = Workspace(tmp_path / "w")
    come_in("mimic_ecg", "mimic", place)
    catalog, _, _ = come_in("mimic_echo", "mimic", place)
    labelled = catalog.labelled_ecgs(7).set_index("ecg_id")
    assert labelled.study_id.to_dict() == {"40689238": "90000001", "44458630": "90000001"}
    assert labelled.lvef["40689238"] == 52.5


def test_every_ecg_of_echonext_has_the_row_and_the_labels_of_its_own(come_in):
    catalog, report, plan = come_in("echonext")
    labelled = catalog.labelled_ecgs().set_index("ecg_id")
    assert labelled.lvef.to_dict() == {"e1": 60, "e2": 35, "e3": 42} and labelled.ivsd["e3"] == 1.2
    assert labelled.as_grade.dropna().to_dict() == {"e1": 0, "e2": 2}
    for ecg_id, scale in (("e1", 1.0), ("e3", 2.0), ("e2", 1.5)):
        assert np.abs(catalog.ecg_record(ecg_id).signal_mv.T - small_trees.signal_mv(250, scale=scale)).max() < 1e-4
    assert labelled.split.to_dict() == {"e1": "train", "e2": "test", "e3": "train"}
    assert [reason for _, reason in plan.passed_over] == ["Their array of waveforms is not in the folder."]


def test_echonet_dynamic_is_a_study_a_video(come_in):
    catalog, report, plan = come_in("echonet_dynamic")
    study = catalog.study("0X100009310A3BD7FC")
    assert study.phenotypes == pytest.approx({"lvef": 78.498406, "lvedv": 69.210534, "lvesv": 14.881368})
    assert study.split == "validation" and [c.view for c in catalog.clips_of(study.study_id)] == ["A4C"]
    assert report.studies == 2 and [r["reason"] for r in report.refused] == ["There is no video of this name."]


def test_echonet_lvh_takes_the_mean_of_the_measured_frames(come_in):
    catalog, _, _ = come_in("echonet_lvh")
    assert catalog.study("0XA").phenotypes == pytest.approx({"ivsd": 1.2, "lvidd": 4.6})
    assert (catalog.study("0XA").split, catalog.study("0XB").split) == ("train", "test")
    assert catalog.clips_of("0XB")[0].view == "Parasternal_Long"


def test_echonet_pediatric_keeps_views_and_folds_apart(come_in):
    catalog, report, _ = come_in("echonet_pediatric")
    assert report.studies == 2 and catalog.study("A4C CR32a7558").split == "train"
    assert catalog.study("PSAX CR32a7558").split == "test" and catalog.study("A4C CR32a7558").sex == "female"
    assert catalog.clips_of("PSAX CR32a7558")[0].view == "Parasternal_Short"


def test_camus_takes_labels_from_its_info_files_and_sequences_but_no_contours(come_in):
    catalog, report, plan = come_in("camus")
    study = catalog.study("patient0001")
    assert (study.phenotypes, study.sex, study.age_years) == ({"lvef": 54}, "female", 56)
    assert [(c.view, c.path.name) for c in plan.clips] == [("A4C", "patient0001_4CH_half_sequence.nii.gz")]
    assert plan.passed_over == [("patient0001 2CH", "There is no sequence of this view.")]


def test_tmed2_grades_stenosis_by_patient_and_visit(come_in):
    catalog, _, plan = come_in("tmed2")
    grades = {i: catalog.study(i).phenotypes.get("as_grade") for i in ("100s1", "101s1", "102s1")}
    assert grades == {"100s1": 1, "101s1": 3, "102s1": None} and catalog.study("101s1").split == "test"
    assert [(c.study_id, c.view) for c in plan.clips] == [("100s1", "Parasternal_Long")]


def test_code15_finds_the_row_of_an_exam_by_its_number_and_cuts_the_padding(come_in):
    catalog, report, plan = come_in("code15")
    record = catalog.ecg_record("2873686")
    assert report.ecgs == 2 and catalog.ecgs().set_index("ecg_id").sex["2873686"] == "female"
    assert record.age_years == 73 and record.duration_s == pytest.approx(7, abs=0.1)
    assert catalog.ecg_record("1169160").signal_mv.max() > 1.8 * record.signal_mv.max()
    assert plan.passed_over == [("1168405", "The part that holds it is not in the folder.")]


def test_chapman_takes_age_and_sex_from_the_headers(come_in):
    catalog, report, _ = come_in("chapman")
    assert report.ecgs == 2 and list(catalog.ecgs().sex) == ["male", "female"]
    assert catalog.ecg_record("JS00001").age_years == 85


def test_pairs_of_the_reference_join_what_hangs_together_into_one_patient(come_in):
    catalog, report, plan = come_in("reference_files")
    studies, ecgs = catalog.studies().set_index("study_id"), catalog.ecgs().set_index("ecg_id")
    assert (
        studies.patient_id["1077"] == studies.patient_id["1078"] == ecgs.patient_id["E12"] != studies.patient_id["1014"]
    )
    assert studies.lvef.dropna().to_dict() == {"1077": 52, "1014": 66} and studies.lvedv["1077"] == 120.8
    assert report.ecgs == 3 and ecgs.own_study_id.to_dict() == {"E11": "1077", "E12": "1078", "E2": "1014"}
    assert catalog.labelled_ecgs().set_index("ecg_id").lvef.dropna().to_dict() == {"E11": 52, "E2": 66}
    assert len(catalog.clips_of("1077")) == 2 and len(plan.passed_over) == 1  # one video is not there


def test_the_splits_of_a_task_come_in_and_their_classes_count_where_a_mapping_names_them(come_in, tmp_path):
    catalog, report, plan = come_in("reference_splits")
    ecgs = catalog.ecgs().set_index("ecg_id")
    assert report.ecgs == 6 and ecgs.split.value_counts().to_dict() == {"train": 4, "test": 2}
    for ecg_id, scale in (("train-000000", 0.5), ("train-000003", 2.0), ("ecg_9", 0.9)):
        record = catalog.ecg_record(ecg_id)
        assert record.sampling_rate_hz == 400
        assert np.abs(record.signal_mv.T - small_trees.signal_mv(400, scale=scale)).max() < 1e-4
    assert len(catalog.studies()) == 0 and "labels_train.pt" in dict(plan.ignored)
    assert plan.passed_over[0][0] == "not_there.pt" and any("400 Hz" in note for note in plan.notes)
    told = Options("graded", keep_ids=True, told={"labels": Column("mr_grade")})
    report = ingest(tmp_path / "reference_splits", Workspace(tmp_path / "w"), options=told)
    labelled = catalog.labelled_ecgs().set_index("ecg_id").mr_grade.to_dict()
    assert list(labelled.values()) == [2, 1, 0, 3, 1, 0]  # of ecg_7, ecg_9 and the four of the list; the absent had 0


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("labels_train.pt", "torch.eye(4)[[0, 1]]", "expected one row for each of 4 ECGs"),
        ("labels_train.pt", "torch.full((4, 4), 0.25)", "is not one-hot"),
        ("labels_train.pt", "torch.eye(9)[:4]", "has 9 classes, MR has fewer grades"),
        ("labels_train.pt", "{'a': Path('x')}", "cannot be read"),
        ("data_train.pt", "[Path('x')]", "cannot be read"),
    ],
)
def test_files_of_a_task_that_do_not_fit_are_refused_in_words(tmp_path, name, content, expected):
    import torch

    root = small_trees.reference_splits(tmp_path / "set")
    torch.save(eval(content, {"torch": torch, "Path": Path}), root / name)
    with pytest.raises(StoreError, match=expected):
        ingest(root, Workspace(tmp_path / "w"), options=Options(told={"labels": Column("mr_grade")}))
    with pytest.raises(StoreError, match="cannot be lvef: that has no grades. Choose from as_grade"):
        plan_of(small_trees.reference_splits(tmp_path / "again"), told={"labels": Column("lvef")})


def test_an_entry_of_a_list_that_is_no_ecg_is_passed_over(tmp_path):
    import torch

    root = small_trees.reference_splits(tmp_path / "set")
    torch.save([("ecg", torch.zeros(12)), ("ecg", torch.ones(12, 4000).expand(12, 4000)), torch.tensor(1.0), "x"],
               root / "data_train.pt")  # fmt: skip
    report = ingest(root, Workspace(tmp_path / "w"), cohort="c", keep_ids=True)
    assert report.ecgs == 2 and len(report.refused) == 5


def test_the_tables_that_are_not_used_are_named(tmp_path):
    root = small_trees.ptbxl(tmp_path)
    ignored = preview(root, Workspace(tmp_path / "w"), options())["ignored"]
    assert {"what": "scp_statements.csv", "reason": "not used of PTB-XL"} in ignored


def options():
    return Options(cohort="c", keep_ids=True)


def test_a_folder_put_together_by_links_that_may_not_be_written_comes_in(tmp_path):
    root, elsewhere = tmp_path / "set", tmp_path / "disk"
    root.mkdir()
    small_trees.mimic_ecg(root)
    shutil.move(root / "files", elsewhere)
    os.symlink(elsewhere, root / "files")
    for place, _, _ in os.walk(tmp_path / "set"):
        os.chmod(place, 0o555)
    report = ingest(root, Workspace(tmp_path / "w"), cohort="c", keep_ids=True)
    os.chmod(root, 0o755)
    assert report.ecgs == 2 and report.refused == []


def test_a_folder_of_nothing_and_a_layout_that_there_is_not_are_said_in_words(tmp_path):
    (tmp_path / "notes.doc").write_text("x")
    with pytest.raises(StoreError, match="holds nothing that is known"):
        plan_of(tmp_path)
    with pytest.raises(StoreError, match="no layout 'ptb'; known: auto, ours, ptbxl"):
        plan_of(tmp_path, "ptb")


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name not in ("ours", "hospital")])
def test_a_folder_without_what_the_told_layout_has_is_said_in_words(tmp_path, name):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(StoreError, match=f"lacks the tables or folders that {LAYOUTS[name].NAME} has"):
        plan_of(tmp_path, name)


def counts(plan):
    return len(plan.patients), len(plan.studies), len(plan.ecgs), len(plan.clips), len(plan.passed_over)


@pytest.mark.parametrize("tree", TREES)
def test_folders_that_are_links_to_other_disks_are_followed_at_every_depth(tree, tmp_path):
    root = tmp_path / "set"
    root.mkdir()
    wanted = counts(plan_of(getattr(small_trees, tree)(root)))
    folders = sorted((p for p in root.rglob("*") if p.is_dir()), key=lambda p: -len(p.parts))
    for n, folder in enumerate(folders):  # the deepest first, so that every folder of the set is a link
        shutil.move(folder, tmp_path / f"disk{n}")
        os.symlink(tmp_path / f"disk{n}", folder)
    found = plan_of(root)
    assert counts(found) == wanted
    for one in [*found.ecgs.values(), *found.clips]:
        assert one.path.exists()


def test_series_of_a_study_that_are_links_are_followed_in_our_layout(tmp_path):
    root = tmp_path / "set"
    small_trees.table(root / "labels.csv", "patient_id,study_id,lvef\nA,S1,55")
    small_trees.avi(tmp_path / "disk/one.avi")
    (root / "echo/A/S1").mkdir(parents=True)
    os.symlink(tmp_path / "disk", root / "echo/A/S1/series")
    assert [clip.path.name for clip in plan_of(root).clips] == ["one.avi"]


@pytest.mark.parametrize("tree", TREES)
def test_a_column_that_is_not_there_is_done_without_or_named(tree, tmp_path):
    """Subsets and other versions of a data set lack columns: no traceback, and what is left out is said."""
    root = tmp_path / "set"
    root.mkdir()
    getattr(small_trees, tree)(root)
    for path in sorted(root.rglob("*.csv")):
        whole = path.read_text()
        for column in pd.read_csv(path).columns:
            if column.startswith("Unnamed"):
                continue
            pd.read_csv(path, dtype=str).drop(columns=column).to_csv(path, index=False)
            try:
                planned = plan_of(root)
                assert planned.layout and not any("Error" in str(p) for p in planned.problems.found)
            except StoreError as error:
                assert column in error.message or "holds nothing that is known" in error.message
            path.write_text(whole)


@pytest.mark.parametrize(
    ("tree", "table", "columns"),
    [
        ("ptbxl", "ptbxl_database.csv", ["age", "sex", "strat_fold", "recording_date"]),
        ("mimic_ecg", "record_list.csv", ["ecg_time"]),
        ("mimic_echo", "echo-study-list.csv", ["study_datetime", "measurement_id"]),
        ("mimic_echo", "echo-record-list.csv", ["acquisition_datetime"]),
        ("mimic_echo", "structured-measurement.csv", ["test_type", "measurement_datetime", "unit"]),
        ("echonext", "echonext_metadata_100k.csv", ["age_at_ecg", "sex", "lvef_value", "ivs_measurement"]),
        ("echonet_dynamic", "FileList.csv", ["EF", "ESV", "FPS"]),
        ("code15", "exams.csv", ["age", "is_male"]),
    ],
)
def test_what_is_not_needed_to_tell_whose_a_file_is_may_be_missing(tree, table, columns, tmp_path):
    root = tmp_path / "set"
    root.mkdir()
    wanted = counts(plan_of(getattr(small_trees, tree)(root)))
    pd.read_csv(root / table, dtype=str).drop(columns=columns).to_csv(root / table, index=False)
    found = counts(plan_of(root))
    assert (found[0], found[2], found[3]) == (wanted[0], wanted[2], wanted[3])


def saved_anew(path: Path, change: str) -> None:
    """A table as people save it: packed, in another case, with decimal commas, with ids as numbers with a point."""
    text = path.read_text()
    if change == "packed":
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(text.encode()))
        path.unlink()
    elif change == "case":
        path.rename(path.with_name(path.name.upper()))
    elif change == "commas":
        path.write_text(text.replace(",", ";").replace(".", ","))
    else:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        ids = [name for name in table if name.endswith("_id") and table[name].str.isdigit().all()]
        table[ids] += ".0"
        table.to_csv(path, index=False)


@pytest.mark.parametrize("change", ["packed", "case", "point"])
@pytest.mark.parametrize("tree", ["ptbxl", "mimic_ecg", "mimic_echo", "code15", "echonet_lvh", "echonext"])
def test_a_table_that_was_saved_anew_says_the_same(tree, change, tmp_path):
    plans = []
    for name in ("as downloaded", "anew"):
        root = tmp_path / name
        root.mkdir()
        getattr(small_trees, tree)(root)
        for path in sorted(root.glob("*.csv")) if name == "anew" else ():
            saved_anew(path, change)
        plans.append(plan_of(root))
    first, second = plans
    assert (second.layout, second.patients, second.studies) == (first.layout, first.patients, first.studies)
    assert list(second.ecgs) == list(first.ecgs) and len(second.clips) == len(first.clips)
    assert len(second.ignored) == len(first.ignored) and second.problems.found == []


def test_numbers_of_a_public_table_are_read_with_a_decimal_comma_and_counted_where_they_are_none(tmp_path):
    small_trees.echonet_dynamic(tmp_path)
    path = tmp_path / "FileList.csv"
    saved_anew(path, "commas")
    path.write_text(path.read_text().replace("98,742884", "see report"))
    plan = plan_of(tmp_path)
    assert [s.phenotypes.get("lvef") for s in plan.studies.values()] == [78.498406, 59.101988]
    assert ("1 values of LVEDV", "no number") in plan.ignored


@pytest.mark.parametrize(("rows", "told"), [([0, 1, 2, 4], "whose array has 2"), ([0, 3, 2, 1, 4], "sorted anew")])
def test_metadata_of_echonext_that_were_cut_or_sorted_anew_are_refused(tmp_path, rows, told):
    path = small_trees.echonext(tmp_path) / "echonext_metadata_100k.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[row] for row in rows))
    problems = [problem.sentence for problem in plan_of(tmp_path).problems.found]
    assert len(problems) == 1 and told in problems[0]


def test_what_lies_beside_the_data_set_that_is_read_is_named(tmp_path):
    small_trees.mimic_ecg(tmp_path / "up" / "ecg")
    small_trees.mimic_echo(tmp_path / "up" / "echo")
    (tmp_path / "up" / "notes.txt").write_text("x")
    told = dict(plan_of(tmp_path).ignored)
    assert "another data set, MIMIC-IV-ECHO" in told["up/echo"] and "lies beside" in told["up/notes.txt"]


def test_what_lies_there_and_no_row_names_is_counted(tmp_path):
    small_trees.avi(small_trees.echonet_dynamic(tmp_path / "dynamic") / "Videos" / "ours.avi")
    small_trees.code15(tmp_path / "code15")
    table = tmp_path / "code15" / "exams.csv"
    table.write_text("\n".join(row for row in table.read_text().splitlines() if not row.startswith("2873686")))
    (small_trees.chapman(tmp_path / "chapman") / "WFDBRecords" / "01" / "010" / "JS00003.mat").write_bytes(b"x")
    told = [dict(plan_of(tmp_path / name).ignored) for name in ("dynamic", "code15", "chapman")]
    assert told[0]["1 videos"] == told[1]["1 exams of the parts"] == "no row of the table names them"
    assert "without its header" in told[2]["WFDBRecords/01/010/JS00003.mat"]


def test_the_shadows_of_a_macos_zip_are_no_data_set_and_not_told(tmp_path):
    small_trees.mimic_ecg(tmp_path / "mimic" / "1.0")
    (tmp_path / "__MACOSX" / "mimic").mkdir(parents=True)
    (tmp_path / "__MACOSX" / "mimic" / "._1.0").write_bytes(b"x")
    (tmp_path / ".DS_Store").write_bytes(b"x")
    plan = plan_of(tmp_path)
    assert plan.layout == "MIMIC-IV-ECG" and not [what for what, _ in plan.ignored if "/" in what or "MACOSX" in what]


@pytest.mark.parametrize("others", [(), ("mimic-iv-echo/1.0",)])
def test_a_data_set_is_found_in_what_wget_leaves_of_its_site(tmp_path, others):
    for name in others:
        small_trees.mimic_echo(tmp_path / "physionet.org" / "files" / name)
    (tmp_path / "physionet.org" / "robots.txt").parent.mkdir(exist_ok=True)
    (tmp_path / "physionet.org" / "robots.txt").write_text("x")
    small_trees.mimic_ecg(tmp_path / "physionet.org" / "files" / "mimic-iv-ecg" / "1.0")
    plan = plan_of(tmp_path)
    told = {what: why for what, why in plan.ignored if "/" in what}
    assert plan.layout == "MIMIC-IV-ECG" and set(told) == {
        "physionet.org/robots.txt",
        *(f"physionet.org/files/{name.split('/')[0]}" for name in others),
    }
    assert all("another data set, MIMIC-IV-ECHO" in why for what, why in told.items() if "echo" in what)
