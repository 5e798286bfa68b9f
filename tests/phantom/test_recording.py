"""Studies of phantom version 2: what is recorded, through which windows, and what a clip of each kind shows."""

import numpy as np
import pytest

from echo2ecg_core.echo.clip import VIEWS
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.phantom.cohort import PhantomCohort
from echo2ecg_core.phantom.mark import shows_mark
from echo2ecg_core.phantom.protocol import KINDS, StudyClip
from echo2ecg_core.phantom.recording import render_study_clip


@pytest.fixture(scope="module")
def studies():
    cohort = PhantomCohort(300, 11, version=2)
    return [study for i in range(300) for study in cohort.patient(i).studies]


def clip_of(heart, kind: str, quality: float = 0.8, seed: int = 0, size: int = 112, **options):
    rng = np.random.default_rng(seed)
    return render_study_clip(heart, StudyClip(1, KINDS[kind].view, kind, quality, kind), rng, size=size, **options)


def test_an_unknown_version_is_refused_in_a_sentence():
    with pytest.raises(Echo2ECGError, match="There is no version 3 of the phantom; there are 1, 2"):
        PhantomCohort(4, 11, version=3)


def test_both_versions_show_the_same_hearts_on_the_same_days():
    one, two = (PhantomCohort(30, 11, version=version) for version in (1, 2))
    for i in range(30):
        first, second = one.patient(i), two.patient(i)
        assert first.heart == second.heart
        assert [(s.study_id, s.date, s.heart) for s in first.studies] == [
            (s.study_id, s.date, s.heart) for s in second.studies
        ]


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


def test_every_second_frame_is_the_same_picture_as_without_skipping(studies):
    for kind in ("a4c", "a5c_colour", "spectral_aortic"):
        whole, half = (clip_of(studies[1].heart, kind, seed=3, n_frames=6, every=every) for every in (1, 2))
        np.testing.assert_array_equal(whole.frames[::2], half.frames)


def test_a_view_is_asked_for_by_its_name_or_clip_by_clip(studies):
    study = studies[0]
    assert study.views == tuple(dict.fromkeys(clip.view for clip in study.clips))
    assert len({clip.name for clip in study.clips}) == len(study.clips)
    first = next(clip for clip in study.clips if clip.view == study.views[1])
    by_name, by_clip = (study.render(each, n_frames=1, size=48) for each in (study.views[1], first))
    np.testing.assert_array_equal(by_name.frames, by_clip.frames)
    with pytest.raises(KeyError, match="has no clip of the view Transgastric"):
        study.render("Transgastric")
