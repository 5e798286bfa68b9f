"""The figures of the benchmark of honesty on made numbers, and the damages it does to an ECG."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import honesty
from echo2ecg_core.models.readouts import LabelledVectors, Readouts
from echo2ecg_core.phantom.cohort import PhantomCohort


@pytest.fixture(scope="module")
def made():
    rng = np.random.default_rng(0)

    def part(n):
        x = rng.normal(size=(n, 6))
        return LabelledVectors(x, x, {"lvef": 50 + 8 * x[:, 0] + rng.normal(0, 6, n)}, np.arange(n))

    readouts, test = Readouts.fit(part(500), part(600)), part(2000)
    truth = {"lvef": test.labels["lvef"] + 0.1}
    ecgs = SimpleNamespace(
        embedding={"own": test.embedding},
        outside=test.outside,
        labels=test.labels,
        truth=truth,
        conduction=np.array(["lbbb", "normal", "rbbb", "normal"] * 500),
        ecg_ids=list(range(2000)),
        patients=np.arange(2000) // 2,
    )
    return readouts, ecgs


def test_cover_is_counted_by_true_class_against_label_and_heart(made):
    readouts, ecgs = made
    lines = honesty.covers(readouts, ecgs)
    low, high = readouts.intervals("lvef", ecgs.embedding["own"]).T
    inside = (ecgs.labels["lvef"] >= low) & (ecgs.labels["lvef"] <= high)
    by = {(line["of"], line["class"]): line for line in lines}
    assert by["label", "everybody"]["cover"] == pytest.approx(inside.mean(), abs=1e-4)
    assert by["label", "LVEF ≤ 40 %"]["cover"] == pytest.approx(inside[ecgs.truth["lvef"] < 40.5].mean(), abs=1e-4)
    assert by["label", "left bundle branch block"]["cover"] == pytest.approx(inside[::4].mean(), abs=1e-4)
    assert {of for of, _ in by} == {"label", "heart"}


def test_calibration_tells_and_sees_by_tenths(made):
    readouts, ecgs = made
    *lines, largest = honesty.calibration(*honesty.told_and_seen(readouts, ecgs))
    assert [line["tenth"] for line in lines] == list(range(1, 11)) and {line["ecgs"] for line in lines} == {200}
    assert sum(line["seen"] for line in lines) == pytest.approx(10 * np.mean(ecgs.labels["lvef"] <= 40.5), abs=0.01)
    assert all(abs(line["told"] - line["seen"]) < 0.05 + 3 * line["standard_error"] for line in lines)
    assert largest["largest"] == pytest.approx(max(abs(line["told"] - line["seen"]) for line in lines), abs=1e-4)


def test_chances_that_hold_stray_as_by_lot_and_those_that_do_not_stray_farther():
    rng = np.random.default_rng(4)
    true = rng.beta(0.4, 1.6, 4000)
    seen = rng.random(4000) < true
    each = np.arange(4000)
    assert honesty.calibration(true, seen, each)[-1]["by_lot_as_large"] > 0.01
    assert honesty.calibration(true**1.5, seen, each)[-1]["by_lot_as_large"] == 0


def test_ecgs_of_one_study_share_their_lot_and_studies_of_two_cohorts_do_not():
    true, one = np.linspace(0.05, 0.95, 500), np.arange(500)
    cohort = (np.repeat(true, 4), np.repeat(true > 0.5, 4), np.repeat(one, 4))
    shared, apart = (
        honesty.calibration(*cohort[:2], studies)[-1]["by_lot_median"] for studies in (cohort[2], np.arange(2000))
    )
    assert 1.6 < shared / apart < 2.4  # four ECGs a study count as one
    told, _, studies = honesty.joined([cohort, cohort])
    assert len(told) == 4000 and len(np.unique(studies)) == 1000


@pytest.mark.slow
def test_shuffled_leads_are_doubted_and_unchanged_ones_are_not(tmp_path):
    people = PhantomCohort(4, 8811, version=2)
    ids = [ecg.ecg_id for i in range(4) for ecg in people.patient(i).ecgs]
    assert not honesty.lead_doubts(8811, ids, tmp_path, 2).any()
    (tmp_path / "shuffled").mkdir()
    assert honesty.lead_doubts(8811, ids, tmp_path / "shuffled", 2, honesty.DAMAGES["shuffled leads"]).all()


def test_the_table_of_the_evidence_is_that_of_the_kept_results():
    lines = [json.loads(line) for line in honesty.RESULTS.read_text().splitlines()]
    table = honesty.table(lines)
    assert table in (honesty.ROOT / "docs" / "evidence.md").read_text()
    (held,) = [
        line["cover"]
        for line in lines
        if (line.get("seed"), line.get("phenotype"), line.get("of")) == (5201, "lvef", "label")
        and line["class"] == "left bundle branch block"
    ]
    (row,) = [row for row in table.splitlines() if "left bundle branch block" in row]
    assert row.split("|")[2].startswith(f" {100 * held:.1f} ±")


def test_exchanged_arms_keep_the_algebra_of_the_limb_leads_and_exchange_what_they_should():
    rng = np.random.default_rng(1)
    right, left, foot = rng.normal(size=(3, 50))
    limb = lambda r, l, f: [l - r, f - r, f - l, r - (l + f) / 2, l - (r + f) / 2, f - (r + l) / 2]  # noqa: E731, E741
    chest = list(rng.normal(size=(6, 50)))
    swapped = honesty.arms_swapped(np.stack(limb(right, left, foot) + chest), rng)
    np.testing.assert_allclose(swapped, np.stack(limb(left, right, foot) + chest), atol=1e-12)


def test_every_damage_keeps_the_shape_and_changes_the_signal():
    signal = np.random.default_rng(2).normal(size=(12, 500)).astype(np.float32)
    for name, change in honesty.DAMAGES.items():
        damaged = change(signal.copy(), np.random.default_rng(3))
        assert damaged.shape == signal.shape and damaged.dtype == np.float32, name
        assert np.abs(damaged - signal).max() > 0.1, name
