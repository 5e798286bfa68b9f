"""Studies of phantom version 2: what is recorded, through which windows, and what a clip of each kind shows."""

from dataclasses import replace

import numpy as np
import pytest

from echo2ecg_core.echo.clip import VIEWS
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.phantom.cohort import PhantomCohort
from echo2ecg_core.phantom.cycle import cycle_states
from echo2ecg_core.phantom.mark import shows_mark
from echo2ecg_core.phantom.protocol import KINDS, StudyClip
from echo2ecg_core.phantom.recording import render_study_clip
from echo2ecg_core.phantom.spectral import velocity_m_s


@pytest.fixture(scope="module")
def studies():
    cohort = PhantomCohort(300, 11, version=2)
    return [study for i in range(300) for study in cohort.patient(i).studies]


def clip_of(heart, kind: str, quality: float = 0.8, seed: int = 0, size: int = 112, **options):
    rng = np.random.default_rng(seed)
    return render_study_clip(heart, StudyClip(1, KINDS[kind].view, kind, quality, kind), rng, size=size, **options)


def test_an_unknown_version_is_refused_in_a_sentence():
    with pytest.raises(Echo2ECGError, match="There is no version 4 of the phantom; there are 1, 2, 3"):
        PhantomCohort(4, 11, version=4)


@pytest.mark.parametrize("version", [2, 3])
def test_all_versions_show_the_same_hearts_on_the_same_days(version):
    one, other = (PhantomCohort(30, 11, version=each) for each in (1, version))
    for i in range(30):
        first, second = one.patient(i), other.patient(i)
        assert first.heart == second.heart
        assert [(s.study_id, s.date, s.heart) for s in first.studies] == [
            (s.study_id, s.date, s.heart) for s in second.studies
        ]


def test_each_version_has_its_own_ecgs():
    ecgs = [PhantomCohort(3, 11, version=version).patient(0).ecgs[0] for version in (1, 2, 3)]
    assert len({(ecg.ecg_id, ecg.time, ecg.seed) for ecg in ecgs}) == 1
    one, two, three = (ecg.signal_mv() for ecg in ecgs)
    assert (one != two).any() and (two != three).any() and (one != three).any()


def test_version_3_is_version_2_but_for_the_planes_that_move_more(studies):
    for kind, moves in (("a4c", False), ("subcostal", True), ("plax", True)):
        two, three = (clip_of(studies[0].heart, kind, n_frames=4, version=version) for version in (2, 3))
        assert two.frames.shape == three.frames.shape and (two.contours != three.contours).any() == moves


def test_from_below_the_ring_of_the_valve_moves_otherwise_than_the_ventricle_shortens(studies):
    """In version 3 the whole heart swings, so that the lower end of the contour goes several millimetres either way."""
    heart, ways = studies[0].heart, {2: [], 3: []}
    for version, way in ways.items():
        for seed in range(12):
            clip = clip_of(heart, "subcostal", seed=seed, n_frames=24, size=32, version=version)
            hinge = clip.contours[:, 0].astype(float) * clip.spacing_mm
            way.append(np.linalg.norm(hinge[clip.es_frame] - hinge[clip.ed_frame]))
    assert np.std(ways[3]) > 1.5 * np.std(ways[2])


@pytest.mark.slow
def test_every_kind_of_clip_is_drawn_marked_and_named_as_a_known_view(studies):
    heart = studies[0].heart
    for kind, facts in KINDS.items():
        clip = clip_of(heart, kind, n_frames=2)
        assert facts.view in VIEWS and clip.view == facts.view and clip.to_clip().synthetic
        assert clip.frames.shape == (2, 112, 112, 3) and shows_mark(clip.frames)


def test_the_same_seed_gives_the_same_clip_and_repeats_of_a_view_differ(studies):
    study = studies[0]
    again = PhantomCohort(5, 11, version=2).patient(0).studies[0]
    assert study.clips == again.clips
    repeats = [clip for clip in study.clips if clip.kind == study.clips[0].kind]
    first, second = repeats[:2]
    frames = study.render(first, n_frames=2, size=64).frames
    np.testing.assert_array_equal(frames, again.render(first, n_frames=2, size=64).frames)
    assert (frames != study.render(second, n_frames=2, size=64).frames).any()


@pytest.mark.slow
def test_every_second_frame_is_the_same_picture_as_without_skipping(studies):
    for kind in ("a4c", "a5c_colour", "spectral_aortic"):
        whole, half = (clip_of(studies[1].heart, kind, seed=3, n_frames=6, every=every) for every in (1, 2))
        np.testing.assert_array_equal(whole.frames[::2], half.frames)


@pytest.mark.slow
def test_a_view_is_asked_for_by_its_name_or_clip_by_clip(studies):
    study = studies[0]
    assert study.views == tuple(dict.fromkeys(clip.view for clip in study.clips))
    assert len({clip.name for clip in study.clips}) == len(study.clips)
    first = next(clip for clip in study.clips if clip.view == study.views[1])
    by_name, by_clip = (study.render(each, n_frames=1, size=48) for each in (study.views[1], first))
    np.testing.assert_array_equal(by_name.frames, by_clip.frames)
    with pytest.raises(KeyError, match="has no clip of the view Transgastric"):
        study.render("Transgastric")


def test_studies_hold_what_laboratories_record(studies):
    counts = [len(study.clips) for study in studies]
    assert min(counts) >= 20 and max(counts) <= 60 and 36 <= np.mean(counts) <= 45
    clips = [clip for study in studies for clip in study.clips]
    shares = {view: np.mean([clip.view == view for clip in clips]) for view in VIEWS}
    for view, (least, most) in {
        "A4C": (0.12, 0.22), "A2C": (0.05, 0.11), "A3C": (0.03, 0.07), "A5C": (0.01, 0.04),
        "Apical_Doppler": (0.17, 0.28), "Parasternal_Long": (0.09, 0.16), "Parasternal_Short": (0.09, 0.16),
        "Doppler_Parasternal_Long": (0.03, 0.07), "Doppler_Parasternal_Short": (0.03, 0.08),
        "Subcostal": (0.06, 0.11), "SSN": (0.01, 0.03),
    }.items():  # fmt: skip
        assert least < shares[view] < most, view
    assert all(clip.view == KINDS[clip.kind].view for clip in clips)


def test_windows_are_poor_in_fifteen_to_forty_per_cent_by_view_and_core_views_may_lack(studies):
    for view in VIEWS:
        poor = [clip.poor for study in studies for clip in study.clips if clip.view == view]
        assert 0.15 < np.mean(poor) < 0.42, view
    lacking = np.mean([not {"A4C", "A2C", "Parasternal_Long", "Parasternal_Short"} <= set(s.views) for s in studies])
    assert 0.1 < lacking < 0.4


def test_a_larger_and_older_body_has_poorer_windows_and_a_patients_windows_are_alike_on_another_day(studies):
    quality = np.array([np.mean([clip.quality for clip in study.clips]) for study in studies])
    bsa, age = np.array([(study.heart.bsa_m2, study.heart.age_years) for study in studies]).T
    assert np.corrcoef(bsa, quality)[0, 1] < -0.15 and np.corrcoef(age, quality)[0, 1] < 0
    by_id = {study.study_id: value for study, value in zip(studies, quality, strict=True)}
    pairs = [(value, by_id[name.replace("-S2", "-S1")]) for name, value in by_id.items() if name.endswith("-S2")]
    assert np.corrcoef(np.array(pairs).T)[0, 1] > 0.5


def test_labels_are_those_of_one_reader_and_two_readers_differ_as_published(studies):
    noise = np.array([study.labels()["lvef"] - study.heart.lvef for study in studies])
    assert 4.4 < noise.std() < 5.7 and abs(noise.mean()) < 1
    assert PhantomCohort(2, 11).patient(0).studies[0].labels() == studies[0].heart.labels()


def test_a_leak_is_seen_in_colour_and_the_right_ventricle_only_where_it_is_in_the_plane(studies):
    heart = replace(studies[0].heart, mr_grade=0, tapse=2.4, rvsp=25.0)
    leaking, weak = replace(heart, mr_grade=3), replace(heart, tapse=1.0, rvsp=80.0)

    def same(kind: str, other) -> bool:
        one, two = (clip_of(each, kind, seed=2, n_frames=12, every=3, size=64).frames for each in (heart, other))
        return bool((one == two).all())

    assert same("a4c", leaking) and same("plax", leaking) and not same("a4c_mitral_colour", leaking)
    assert same("plax", weak) and same("a2c", weak) and not same("a4c", weak) and not same("rv_focused", weak)


def contrast(clip) -> float:
    """How well wall and cavity beside the traced endocardium are told apart: difference of means over the spread."""
    found = []
    for frame in range(len(clip.frames)):
        gray, endo, epi = clip.frames[frame].mean(axis=-1), clip.contours[frame], clip.epicardium[frame]
        wall, cavity = (endo + epi) / 2, endo + 0.15 * (endo.mean(axis=0) - endo)
        inside = ((wall > 3) & (wall < len(gray) - 12)).all(axis=1)
        on_wall, in_cavity = (
            np.array([gray[round(float(y)), round(float(x))] for x, y in line[inside]]) for line in (wall, cavity)
        )
        found.append((on_wall.mean() - in_cavity.mean()) / np.sqrt(on_wall.var() + in_cavity.var() + 1))
    return float(np.mean(found))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["a4c", "a2c", "plax", "psax_mid", "subcostal"])
def test_the_traced_endocardium_is_seen_in_a_good_window_and_lost_in_a_poor_one(studies, kind):
    values = {
        quality: [
            contrast(clip_of(study.heart, kind, quality, seed, n_frames=4, every=2))
            for seed, study in enumerate(studies[:8])
        ]
        for quality in (0.95, 0.15)
    }
    assert np.mean(values[0.95]) > 0.9
    assert np.mean(values[0.15]) < 0.6 * np.mean(values[0.95])


def test_the_jet_of_a_tricuspid_leak_in_spectral_doppler_tells_the_pressure():
    heart = PhantomCohort(1, 3, version=2).patient(0).heart

    def depth_of_trace(rvsp: float) -> float:
        states = cycle_states(heart, np.linspace(0, 1, 200), np.arange(-1, 5) * 0.9)
        leaking = replace(heart, tr_grade=2, rvsp=rvsp)
        return float(-velocity_m_s("spectral_tricuspid", leaking, states, np.random.default_rng(0)).min())

    assert depth_of_trace(30) < depth_of_trace(50) < depth_of_trace(80) < np.sqrt(80 / 4)
