"""Views of clips: those that a table gives are taken and marked, one that a classifier is not sure of is not known."""

import shutil

import numpy as np
import pytest

from echo2ecg_core.answers.embed import _unnamed
from echo2ecg_core.echo.clip import SURE, VIEWS
from echo2ecg_core.intake.decoding import VIEW_GIVEN
from echo2ecg_core.intake.ingest import ingest
from echo2ecg_core.intake.layouts.recognise import plan_of
from echo2ecg_core.intake.views import view_named
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.corrections import correct
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.schema import MIGRATIONS
from tests import small_trees


@pytest.mark.parametrize(
    ("label", "view"),
    [
        *((key, key) for key in VIEWS),
        *((words, key) for key, words in VIEWS.items()),
        ("PLAX", "Parasternal_Long"),
        ("PLAX zoom out", "Parasternal_Long"),
        ("parasternal long axis", "Parasternal_Long"),
        ("PLAX color", "Doppler_Parasternal_Long"),
        ("PSAX (mid)", "Parasternal_Short"),
        ("SAX-AV", "Parasternal_Short"),
        ("PSAX colour Doppler", "Doppler_Parasternal_Short"),
        ("AP4", "A4C"),
        ("a4c_lv", "A4C"),
        ("Apical 4 chamber", "A4C"),
        ("4CH", "A4C"),
        ("A4C Doppler", "Apical_Doppler"),
        ("AP2", "A2C"),
        ("A3C", "A3C"),
        ("apical long axis", "A3C"),
        ("A5C", "A5C"),
        ("SC IVC", "Subcostal"),
        ("Subcostal 4C", "Subcostal"),
        ("suprasternal", "SSN"),
        ("3D volume", None),
        ("other", None),
        ("", None),
    ],
)
def test_a_label_is_read_by_its_words(label, view):
    assert view_named(label) == view


@pytest.fixture
def dataset(tmp_path):
    """MIMIC-IV-ECHO with three clips of two studies."""
    root = small_trees.mimic_echo(tmp_path / "mimic")
    rows = ["10000032,90000001,,files/p10/p10000032/s90000001/90000001_0001.dcm"]
    rows += [f"10000045,90000002,,files/p10/p10000045/s90000002/90000002_000{n}.dcm" for n in (1, 2)]
    small_trees.table(
        root / "echo-record-list.csv", "\n".join(["subject_id,study_id,acquisition_datetime,dicom_filepath", *rows])
    )
    for n, row in enumerate(rows):
        path = root / row.split(",")[3]  # its content tells that it is a video
        small_trees.avi(path.with_suffix(".avi"), n)
        path.with_suffix(".avi").rename(path)
    return root


def views(place: Workspace) -> dict[str, list[str | None]]:
    clips = Catalog(place).clips().sort_values("n_frames")
    return {s: sorted(map(str, c.view)) for s, c in clips.groupby("study_id")}


ECHOVIEW = """
subject_id,study_id,dicom_filepath,view_label
10000032,90000001,files/p10/p10000032/s90000001/90000001_0001.dcm,PLAX
10000045,90000002,90000002_0001,A4C
10000045,90000002,files/p10/p10000045/s90000002/90000002_0002.dcm,3D volume
10000099,90000009,files/p10/p10000099/s90000009/90000009_0001.dcm,A2C
"""


def test_labels_of_echoview_beside_mimic_are_taken_and_marked(dataset, tmp_path):
    small_trees.table(dataset / "echoview" / "labels.csv", ECHOVIEW)
    plan, place = plan_of(dataset), Workspace(tmp_path / "w")
    assert plan.layout == "MIMIC-IV-ECHO" and [clip.view for clip in plan.clips] == ["Parasternal_Long", "A4C", None]
    assert "2 views of clips are given by labels.csv." in plan.notes
    assert "labels.csv names 1 views of clips that are not here." in plan.notes
    assert ("view 3D volume of labels.csv (1 rows)", "no view is known by this name") in plan.ignored
    ingest(dataset, place, cohort="m", keep_ids=True)
    assert views(place) == {"90000001": ["Parasternal_Long"], "90000002": ["A4C", "None"]}
    for row in Catalog(place).clips_of("90000002"):
        assert (VIEW_GIVEN in row.notes) == (row.view is not None) and row.view_confidence is None


def test_a_plain_column_of_views_is_found_in_our_layout_and_in_an_export(tmp_path):
    ours = tmp_path / "ours"
    small_trees.table(ours / "labels.csv", "patient_id,study_id,lvef\nA,S1,55")
    small_trees.avi(ours / "echo/A/S1/one.avi", 1)
    small_trees.avi(ours / "echo/A/S1/two.avi", 2)
    small_trees.table(ours / "clips.csv", "path,view\necho/A/S1/one.avi,A4C\necho\\A\\S1\\two.avi,subcostal")
    plan = plan_of(ours)
    assert [c.view for c in plan.clips] == ["A4C", "Subcostal"] and not plan.ignored
    shutil.move(ours / "clips.csv", tmp_path / "beside.csv")
    assert [c.view for c in plan_of(ours).clips] == [None, None]
    assert [c.view for c in plan_of(ours, labels=tmp_path / "beside.csv").clips] == ["A4C", "Subcostal"]


def test_a_second_import_takes_the_views_that_a_table_gives_now_and_keeps_those_of_a_person(dataset, tmp_path):
    place = Workspace(tmp_path / "w")
    ingest(dataset, place, cohort="m", keep_ids=True)
    assert views(place) == {"90000001": ["None"], "90000002": ["None", "None"]}
    catalog = Catalog(place)
    catalog.set_views({c.clip_id: ("SSN", 0.9) for c in catalog.clips_of("90000001")})
    small_trees.table(dataset / "views.csv", ECHOVIEW)
    report = ingest(dataset, place, cohort="m", keep_ids=True)
    assert {(c["kind"], c["name"], c["was"], c["now"]) for c in report.changed} == {
        ("clip", "view", "SSN", "Parasternal_Long"),
        ("clip", "view", None, "A4C"),
    }
    (clip,) = catalog.clips_of("90000001")
    assert (clip.view, clip.view_confidence, report.clips) == ("Parasternal_Long", None, 0)
    correct(place, "clip", clip.clip_id, "view", "Subcostal", who="a person")
    report = ingest(dataset, place, cohort="m", keep_ids=True)
    assert report.changed == [] and [row["name"] for row in report.kept] == ["view"]
    assert catalog.clip(clip.clip_id).view == "Subcostal"


def test_a_view_that_a_classifier_is_not_sure_of_is_not_known():
    import pandas as pd

    sure, doubtful = np.full(11, 0.02), np.full(11, 0.063)
    sure[2], doubtful[8] = 0.8, 0.37
    known = pd.Series({"a": None, "b": None, "c": "A2C"}, dtype=object)
    found = _unnamed(known, ["a", "b", "c"], np.stack([sure, doubtful, sure]))
    assert found == {"a": ("A4C", 0.8), "b": (None, 0.37)} and SURE == 0.5


def test_doubtful_views_of_an_older_workspace_are_not_known_either(tmp_path):
    (script,) = [script for script in MIGRATIONS if "view_confidence < 0.5" in script]
    place = Workspace(tmp_path / "w")
    catalog = Catalog(place)
    catalog.add_patient("P", split="test", cohort="c", synthetic=True)
    catalog.add_study("S", "P")
    facts = {"fps": 30.0, "n_frames": 1, "format": "MP4"}
    doubtful = catalog.add_clip("S", b"one", view="Parasternal_Short", view_confidence=0.37, **facts)
    sure = catalog.add_clip("S", b"two", view="A4C", view_confidence=0.7, **facts)
    given = catalog.add_clip("S", b"three", view="A2C", **facts)
    with place.write() as db:  # as it stood in a catalog of before
        db.execute("UPDATE clips SET view = 'Parasternal_Short' WHERE clip_id = ?", (doubtful,))
        db.execute(script)
    assert [catalog.clip(c).view for c in (doubtful, sure, given)] == [None, "A4C", "A2C"]
    assert catalog.clip(doubtful).view_confidence == 0.37
