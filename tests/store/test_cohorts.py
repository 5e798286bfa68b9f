"""Cohorts in numbers: what SQL counts is what a slow look at every row counts; kept cohorts are lists of their own."""

import shutil

import numpy as np
import pytest

from echo2ecg_core.errors import StoreError
from echo2ecg_core.intake.removal import remove
from echo2ecg_core.phenotypes import PHENOTYPES
from echo2ecg_core.store import audit, cohorts, kept_cohorts
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.new_rows import NewEcg
from tests.small_workspace import record_of


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Thirty patients of two cohorts, measured by chance, some without this or that."""
    place, rng = Workspace(tmp_path_factory.mktemp("made") / "w"), np.random.default_rng(3)
    catalog = Catalog(place)
    with place.write():
        for i in range(30):
            sex = ("male", "female", None)[i % 3]
            catalog.add_patient(f"P{i}", split="test", cohort="north" if i < 20 else "south", synthetic=i < 25, sex=sex)
            for j in range(i % 3):
                catalog.add_study(
                    f"S{i}-{j}",
                    f"P{i}",
                    study_date=None if i == 7 else f"2030-01-{10 - j:02d}",
                    age_years=None if i == 8 else 50.0 + i,
                    phenotypes={} if i == 4 else {n: _value(n, rng) for n in ("lvef", "lavi", "lvsv", "mr_grade")},
                )
                catalog.add_clip(f"S{i}-{j}", f"{i}-{j}".encode(), fps=30, n_frames=16, format="MP4", view=None)
        catalog.add_ecgs([NewEcg(f"E{i}", f"P{i}", record_of(i), f"2030-01-{1 + i % 28:02d}") for i in range(0, 30, 2)])
    return place


def _value(name, rng):
    return float(rng.integers(4)) if name == "mr_grade" else float(rng.normal(55, 25))


@pytest.fixture
def place(made, tmp_path):
    return Workspace(shutil.copytree(made.folder, tmp_path / "w"))


@pytest.mark.parametrize("name", ["north", "south"])
def test_the_counts_are_those_of_the_rows(made, name):
    found = next(c for c in cohorts.cohorts(made) if c.name == name)
    catalog = Catalog(made)
    studies, ecgs = catalog.studies(), catalog.ecgs()
    studies = studies[studies.cohort == name]
    assert (found.patients, found.ecgs) == ({"north": 20, "south": 10}[name], (ecgs.cohort == name).sum())
    assert (found.studies, found.clips) == (len(studies), catalog.clips().study_id.isin(studies.study_id).sum())
    assert found.labels == studies[["lvef", "lavi", "lvsv", "mr_grade"]].notna().sum().sum()
    assert (found.is_kept, found.synthetic, found.set_aside) == (False, True, 0)


def test_a_distribution_is_that_of_the_values(made):
    studies = Catalog(made).studies()
    studies = studies[studies.cohort == "north"]
    found = {d.name: d for d in cohorts.distributions(made, "north")}
    assert list(found) == [name for name in PHENOTYPES if name in studies]
    for name, told in found.items():
        phenotype, rows = PHENOTYPES[name], studies[studies[name].notna()]
        values = rows[name].to_numpy()
        assert told.n == len(values) and (told.mean, told.sd) == pytest.approx((values.mean(), values.std(ddof=1)))
        assert (told.low, told.q1, told.median, told.q3, told.high) == pytest.approx(
            np.percentile(values, [0, 25, 50, 75, 100])
        )
        if phenotype.kind == "grade":
            assert told.counts == tuple((values == grade).sum() for grade in range(4))
            assert (told.judged, told.outside) == (len(values), (values >= 2).sum())
            continue
        edges = np.linspace(*phenotype.axis, cohorts.BINS + 1)
        assert told.counts == tuple(np.histogram(np.clip(values, edges[0], edges[-1] - 1e-9), edges)[0])
        ranges = [phenotype.reference.get(sex) for sex in rows.sex.where(rows.sex.notna(), None)]
        written = [float(f"{v:.{phenotype.decimals}f}") for v in values]
        judged = [(v, low, high) for v, (low, high) in ((v, r) for v, r in zip(written, ranges, strict=True) if r)]
        outside = sum((low is not None and v < low) or (high is not None and v > high) for v, low, high in judged)
        assert (told.judged, told.outside) == (len(judged), outside)


def test_one_value_has_a_median_and_no_spread(place):
    remove(place, cohort="north")
    with place.write() as db:
        db.execute("DELETE FROM phenotypes WHERE name != 'lvef' OR study_id != 'S22-0'")
    only = cohorts.distributions(place, "south")[0]
    assert only.n == 1 and only.low == only.q1 == only.median == only.high and np.isnan(only.sd)


def test_what_is_missing_is_counted_and_its_patients_are_listed(place):
    with place.connect() as db:
        blob = db.execute("SELECT blob FROM clips WHERE study_id = 'S8-0'").fetchone()[0]
    Catalog(place).set_aside([blob])
    told = cohorts.missing(place, "north")
    assert told == {
        "study": 7, "ecg": 10, "sex": 6, "label": 1, "clip": 0, "study_date": 1, "age": 2, "ecg_time": 0,
        "view": 19, "outline": 0, "whole_ecg": 0, "whole_clip": 1,
    }  # fmt: skip
    for lacking, ids in {"study_date": ["P7"], "age": ["P8"], "label": ["P4"]}.items():
        assert list(cohorts.patients(place, "north", lacking=lacking)[0].patient_id) == ids
    assert cohorts.patients(place, "north", lacking="whole_clip")[1] == 1
    assert next(c for c in cohorts.cohorts(place) if c.name == "north").set_aside == 1


def test_what_is_missing_is_the_same_asked_one_by_one_and_at_once(place):
    keep(place, "my group", ["E2", "E4", "E20"], ["S5-0", "S8-0"])
    with place.write() as db:
        damaged = "SELECT blob FROM ecgs WHERE ecg_id = 'E4' UNION ALL"
        damaged += " SELECT blob FROM clips WHERE study_id IN ('S8-1', 'S26-1')"
        blobs = [row[0] for row in db.execute(damaged)]
        for number, (study, decision) in enumerate([("S5-0", None), ("S26-0", None), ("S8-0", "discarded")]):
            facts = (f"W{number}", study, f"{number}", "made up", "2030-01-01", 16, "{}", decision)
            db.execute(f"INSERT INTO waiting_clips VALUES ({', '.join('?' * 8)}, NULL, NULL, NULL)", facts)
        db.execute("UPDATE ecgs SET ecg_time = NULL WHERE ecg_id = 'E4'")
    Catalog(place).set_aside(blobs)
    for cohort in ("north", "south", "my group"):
        with place.connect() as db:
            rows, asked = cohorts.rows_of(db, cohort), "SELECT count(*) FROM ({}) x WHERE {}"
            one_by_one = {
                key: db.execute(asked.format(rows[table], lacking), {"cohort": cohort}).fetchone()[0]
                for key, (_, table, lacking) in cohorts.LACKS.items()
            }
        assert cohorts.missing(place, cohort) == one_by_one
        found = next(c for c in cohorts.cohorts(place) if c.name == cohort)
        assert found.set_aside == sum(one_by_one[key] for key in ("outline", "whole_ecg", "whole_clip"))
    assert cohorts.missing(place, "my group")["outline"] == 1 == cohorts.missing(place, "south")["outline"]
    assert cohorts.missing(place, "north")["ecg_time"] == 1 and found.set_aside == 2


def test_pages_of_patients_hold_each_once_and_are_searched_by_any_id(made):
    pages = [cohorts.patients(made, "north", first=first, most=8) for first in (0, 8, 16)]
    assert [n for _, n in pages] == [20] * 3
    assert [i for page, _ in pages for i in page.patient_id] == sorted(f"P{i}" for i in range(20))
    row = cohorts.patients(made, "north", sought="S17-1")[0].iloc[0]
    latest = Catalog(made).study("S17-0").phenotypes["lvef"]
    assert (row.patient_id, row.studies, row.ecgs, row.lvef) == ("P17", 2, 0, latest)
    assert list(cohorts.patients(made, "south", sought="p2")[0].patient_id) == [f"P{i}" for i in range(20, 30)]
    assert cohorts.patients(made, "north", sought="' OR 1=1 --")[1] == 0


def test_a_patient_is_told_in_time(made):
    told = cohorts.patient(made, "P8")
    assert list(told.studies.study_id) == ["S8-1", "S8-0"] and list(told.ecgs.ecg_id) == ["E8"]
    assert told.studies.lvef.notna().all() and len(told.clips) == 2 and told.sex is None
    with pytest.raises(StoreError, match="no patient 'P99'"):
        cohorts.patient(made, "P99")


def keep(place, name, ecgs=(), studies=()):
    return kept_cohorts.keep(place, name, ecgs, studies, who="ada", made_from="A selection on the map")


def test_a_kept_cohort_is_counted_listed_and_exported_like_one_that_came_in(place):
    keep(place, "  my   group ", ["E2", "E4", "E20"], ["S5-0"])
    assert kept_cohorts.names(place) == ["north", "south", "my group"] and kept_cohorts.is_kept(place, "my group")
    told = cohorts.cohorts(place)[-1]
    assert (told.name, told.patients, told.ecgs, told.studies, told.labels) == ("my group", 4, 3, 1, 4)
    assert told.told.startswith("A selection on the map, kept by ada on 20")
    rows = cohorts.patients(place, "my group")[0]
    assert list(rows.patient_id) == ["P2", "P20", "P4", "P5"]
    assert (list(rows.studies), list(rows.ecgs)) == ([0, 0, 0, 1], [1, 1, 1, 0])  # not all that these patients have
    assert list(rows.lvef.notna()) == [False, False, False, True]
    assert [d.n for d in cohorts.distributions(place, "my group")] == [1] * 4
    table = kept_cohorts.table(place, "my group")
    assert sorted(zip(table.kind, table.id, strict=True)) == [
        ("ECG", "E2"), ("ECG", "E20"), ("ECG", "E4"), ("study", "S5-0"),
    ]  # fmt: skip
    assert kept_cohorts.members(place, ["my group", "south"]).ecgs == {"E2", "E4"} | {f"E{i}" for i in range(20, 30, 2)}


def test_ecgs_alone_take_the_studies_that_label_them_and_studies_their_ecgs(place):
    labelled = Catalog(place).labelled_ecgs(7).set_index("ecg_id").study_id
    chosen = keep(place, "ecgs", ["E2", "E8", "E0"])
    assert chosen.studies == {labelled["E2"], labelled["E8"]} and chosen.ecgs == {"E2", "E8", "E0"}
    again = keep(place, "studies", studies=chosen.studies)
    assert again.ecgs == {"E2", "E8"} and again.studies == chosen.studies


def test_names_are_one_space_and_nothing_is_kept_by_halves(place):
    keep(place, "mine", ["E2"])
    for name, ecgs, words in (
        ("mine", ["E2"], "already"), ("north", ["E2"], "already"), ("", ["E2"], "1 to 60 letters"),
        ("x" * 61, ["E2"], "has 61"), ("none", [], "Nothing is chosen"), ("gone", ["E99"], "Nothing is chosen"),
    ):  # fmt: skip
        with pytest.raises(StoreError, match=words):
            keep(place, name, ecgs)
    assert kept_cohorts.names(place) == ["north", "south", "mine"]
    with pytest.raises(StoreError, match="no cohort 'west' in this workspace; known: north, south, mine"):
        kept_cohorts.members(place, ["mine", "west"])
    kept_cohorts.forget(place, "mine")
    assert [(e.action, e.facts) for e in audit.entries(place, last=2)] == [
        ("forget a cohort", {"cohort": "mine"}), ("keep a cohort", {"cohort": "mine", "ecgs": 1, "studies": 1}),
    ]  # fmt: skip
    assert kept_cohorts.names(place) == ["north", "south"] and Catalog(place).counts()["ecgs"] == 15
    with pytest.raises(StoreError, match="No cohort is kept as 'mine'"):
        kept_cohorts.forget(place, "mine")
    with place.connect() as db:
        assert db.execute("SELECT count(*) FROM kept_members").fetchone()[0] == 0


def test_what_is_taken_out_leaves_kept_cohorts_and_the_last_takes_it_along(place):
    keep(place, "two", ["E0", "E6"])
    remove(place, ecg="E0")
    assert kept_cohorts.members(place, ["two"]).ecgs == {"E6"}
    remove(place, patient="P6")
    assert kept_cohorts.names(place) == ["north", "south"]
