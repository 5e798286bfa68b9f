"""Clips that wait for a person: kept without a header, drawn and brought in, or discarded; who and when stays."""

import json
import os

import numpy as np
import pytest

from echo2ecg_core.echo import dicom as reader
from echo2ecg_core.echo import long_film
from echo2ecg_core.echo.clip import EchoClip
from echo2ecg_core.echo.deidentify import outline_mask, suggested_outlines
from echo2ecg_core.echo.long_film import LongFilm
from echo2ecg_core.echo.video import decode_video, encode_mp4, read_lossless, write_lossless
from echo2ecg_core.errors import ReadError, SetAside, StoreError
from echo2ecg_core.intake.ingest import ingest
from echo2ecg_core.intake.removal import remove
from echo2ecg_core.intake.waiting_clips import FOLDER, accept, decisions, discard, picture_of, shown, waiting
from echo2ecg_core.store import audit
from echo2ecg_core.store.backup import back_up
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import HALF_WRITTEN, Workspace
from tests import small_trees

NAME = "MUSTERMANN"


@pytest.fixture
def archive(tmp_path):
    """One study of a clip that does not move, with a name above its sector, and one that is whole."""
    from tests.echo.test_deidentify import screen_with_name

    folder = tmp_path / "archive"
    clips = folder / "echo" / "Mustermann" / "Mustermann-1"
    clips.mkdir(parents=True)
    frames, _ = screen_with_name()
    (clips / "moving.mp4").write_bytes(encode_mp4(EchoClip(frames, 40.0, "MP4", "x")))
    still = np.repeat(frames[:1], 5, axis=0)
    (clips / f"{NAME}.mp4").write_bytes(encode_mp4(EchoClip(still, 40.0, "MP4", "x", "A4C", spacing_mm=0.4)))
    (folder / "labels.csv").write_text("patient_id,study_id,lvef\nMustermann,Mustermann-1,55\n")
    return folder


@pytest.fixture
def place(archive, tmp_path):
    place = Workspace(tmp_path / "w")
    report = ingest(archive, place, cohort="ward")
    assert (report.clips, report.waiting) == (1, 1) and "no moving ultrasound sector" in report.refused[0]["reason"]
    return place


def wedge() -> list[np.ndarray]:
    return [np.array([(160, 30), (60, 150), (110, 190), (210, 190), (260, 150)], float)]


def test_every_pixel_comes_back_from_what_waits(tmp_path, monkeypatch):
    frames = np.random.default_rng(0).integers(0, 256, (4, 61, 83, 3), dtype=np.uint8)
    write_lossless(tmp_path / "a.mkv", frames, 37.5)
    assert np.array_equal(read_lossless(tmp_path / "a.mkv", 4), frames)
    assert decode_video(tmp_path / "a.mkv")[1] == pytest.approx(37.5)
    monkeypatch.setattr(long_film, "HELD_BYTES", 2 * 61 * 83 * 3)
    film = read_lossless(tmp_path / "a.mkv", 4)
    assert isinstance(film, LongFilm) and np.array_equal(np.asarray(film), frames)
    assert np.array_equal(film.sample(), frames[[0, 3]])


def test_a_long_film_without_a_sector_waits_is_drawn_and_comes_in(tmp_path, monkeypatch):
    from tests.echo.test_deidentify import screen_with_name
    from tests.echo.test_readers import dicom

    monkeypatch.setattr(reader, "HELD_BYTES", 10_000)
    monkeypatch.setattr(reader, "DEFERRED_BYTES", 1_000)
    monkeypatch.setattr(long_film, "HELD_BYTES", 3 * 240 * 320 * 3)
    frames = np.repeat(screen_with_name()[0][:1], 6, axis=0)
    frames[4, 200:220, 300:310] = 255  # in one picture alone, and in none of the sample
    folder = tmp_path / "archive" / "echo" / "P" / "S"
    folder.mkdir(parents=True)
    (folder / "a.dcm").write_bytes(dicom(frames))
    (folder.parents[2] / "labels.csv").write_text("patient_id,study_id,lvef\nP,S,55\n")
    place = Workspace(tmp_path / "w")
    (place.folder / FOLDER).mkdir(parents=True)
    half = place.folder / FOLDER / f"{HALF_WRITTEN}x"
    half.write_bytes(b"a name")
    os.utime(half, (0, 0))
    report = ingest(folder.parents[2], place, cohort="ward")
    assert (report.clips, report.waiting) == (0, 1) and not half.exists()
    (one,) = waiting(place)
    clip = picture_of(place, one)
    assert isinstance(clip.frames, LongFilm) and np.array_equal(np.asarray(clip.frames), frames)
    first, mean, brightest = shown(clip)
    assert np.array_equal(first, frames[0]) and np.array_equal(brightest, frames.max(axis=0))
    assert np.abs(mean - frames.mean(axis=0)).max() <= 1 and suggested_outlines(clip)
    clip_id = accept(place, one.waiting_id, wedge(), who="Ida")
    stored, _, _ = decode_video(Catalog(place).clip_content(clip_id))
    assert len(stored) == 6 and stored[:, :20].max() < 12 and stored[:, 100:150, 150:170].mean() > 20
    assert list((place.folder / FOLDER).iterdir()) == []


def test_what_waits_is_a_picture_that_only_its_owner_reads(place):
    (one,) = waiting(place)
    clip = picture_of(place, one)
    assert (clip.n_frames, clip.fps, clip.view, clip.spacing_mm) == (5, 40.0, "A4C", 0.4)
    assert clip.frames[:, :20].max() > 200  # the name is in the picture, that is why it waits
    folder = place.folder / FOLDER
    assert folder.stat().st_mode & 0o077 == 0 and all(p.stat().st_mode & 0o077 == 0 for p in folder.iterdir())
    rows = [str(tuple(r)) for r in place_rows(place)]
    assert NAME.lower() not in " ".join(rows).lower()


def place_rows(place):
    with place.connect() as db:
        return db.execute("SELECT * FROM waiting_clips").fetchall()


def test_a_drawn_sector_brings_the_clip_into_its_study_and_deletes_the_picture(place):
    (one,) = waiting(place)
    clip_id = accept(place, one.waiting_id, wedge(), who="Ida")
    assert waiting(place) == [] and list((place.folder / FOLDER).iterdir()) == []
    row = next(c for c in Catalog(place).clips_of(one.study_id) if c.clip_id == clip_id)
    assert (row.n_frames, row.view, row.spacing_mm) == (5, "A4C", 0.4)
    assert row.notes[-1] == "A person drew the outline of its sector."
    frames, _, _ = decode_video(Catalog(place).clip_content(clip_id))
    outside = ~outline_mask([(w - w.mean(0)) * 1.1 + w.mean(0) for w in wedge()], frames.shape[1:3])
    assert frames[:, outside].max() < 12  # black but for what compression does at an edge
    assert frames[:, 100:150, 150:170].mean() > 20
    told = decisions(place).iloc[0]
    assert (told.who, told.decision, told.study_id, told.clip_id) == ("Ida", "accepted", one.study_id, clip_id)
    entry = audit.entries(place)[0]
    assert entry.action == "settle a clip" and entry.facts == {"what": "accepted", "cohort": "ward", "clips": 1}


def test_a_name_inside_the_outline_is_asked_about_before_anything_is_written(place):
    (one,) = waiting(place)
    everything = [np.array([(0, 0), (320, 0), (320, 240), (0, 240)], float)]
    with pytest.raises(SetAside, match="Letters seem to stand inside"):
        accept(place, one.waiting_id, everything, who="Ida")
    assert len(waiting(place)) == 1 and Catalog(place).counts()["clips"] == 1
    accept(place, one.waiting_id, everything, who="Ida", letters_are_fine=True)
    assert Catalog(place).counts()["clips"] == 2


def test_a_discarded_clip_leaves_its_reason_and_does_not_come_back(place, archive):
    (one,) = waiting(place)
    discard(place, one.waiting_id, who="Ida")
    assert waiting(place) == [] and list((place.folder / FOLDER).iterdir()) == []
    again = ingest(archive, place, cohort="ward")
    assert (again.clips, again.waiting) == (0, 0)
    assert again.refused[0]["reason"] == "A person looked at it and discarded it."
    with pytest.raises(StoreError, match="does not wait any longer"):
        accept(place, one.waiting_id, wedge(), who="Ida")


def test_a_second_import_reads_neither_what_waits_nor_what_was_accepted(place, archive, monkeypatch):
    monkeypatch.setattr("echo2ecg_core.intake.ingest.films", small_trees.read_here)
    monkeypatch.setattr("echo2ecg_core.echo.readers.read_clip", lambda path: pytest.fail("a clip was read again"))
    assert "waits on the Import page" in ingest(archive, place, cohort="ward").refused[0]["reason"]
    accept(place, waiting(place)[0].waiting_id, wedge(), who="Ida")
    assert ingest(archive, place, cohort="ward").refused == []


def test_a_picture_is_in_no_backup_and_waits_again_when_its_archive_comes_again(place, archive, tmp_path):
    back_up(place, tmp_path / "copy")
    copy = Workspace(tmp_path / "copy")
    assert not any(FOLDER in str(path) for path in copy.folder.rglob("*")) and len(waiting(copy)) == 1
    with pytest.raises(StoreError, match="not here or damaged"):
        picture_of(copy, waiting(copy)[0])
    assert ingest(archive, copy, cohort="ward").waiting == 1
    assert len(waiting(copy)) == 1 and picture_of(copy, waiting(copy)[0]).n_frames == 5


def test_taking_the_cohort_out_takes_the_picture_with_it(place):
    remove(place, cohort="ward")
    assert waiting(place) == [] and list((place.folder / FOLDER).iterdir()) == []


@pytest.mark.parametrize(
    "outlines", [[], [[(0, 0), (9, 9)]], [[(0, 0), (9, 0), (9, 9)]], [[(0, 0), (float("nan"), 0), (9, 9)]], ["x"]]
)
def test_what_is_no_sector_is_refused_in_words(outlines):
    with pytest.raises(ReadError):
        outline_mask(outlines, (240, 320))


def test_the_first_outline_is_the_moving_sector_the_region_of_the_header_or_a_wedge():
    from tests.echo.test_deidentify import screen_with_name

    frames, sector = screen_with_name()
    drawn = outline_mask(suggested_outlines(EchoClip(frames, 40.0, "AVI", "x")), sector.shape)
    assert (drawn & sector).sum() / (drawn | sector).sum() > 0.95
    still = np.repeat(frames[:1], 3, axis=0)
    region = EchoClip(still, 40.0, "AVI", "x", regions=((30, 40, 200, 220),))
    assert suggested_outlines(region)[0].tolist() == [[30, 40], [200, 40], [200, 220], [30, 220]]
    (middle,) = suggested_outlines(EchoClip(still, 40.0, "AVI", "x"))
    assert 0.1 < outline_mask([middle], sector.shape).mean() < 0.6 and json.dumps(middle.tolist())
