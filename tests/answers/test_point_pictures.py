"""Small pictures of points: the ECG as it was recorded, the study at end-diastole of its four-chamber view."""

import io
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from echo2ecg_core.answers.point_pictures import clip_to_show, ecg_picture, study_picture
from echo2ecg_core.echo.clip import EchoClip
from echo2ecg_core.echo.video import encode_mp4
from echo2ecg_core.errors import ReadError, StoreError
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.new_rows import NewPatient, NewStudy
from tests.small_workspace import small_workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """Films that grow lighter by 7 of 255 a frame."""
    frames = np.broadcast_to((7 * np.arange(32, dtype=np.uint8))[:, None, None, None], (32, 240, 320, 3))
    film = encode_mp4(EchoClip(np.ascontiguousarray(frames), 50.0, "test", "film", "A4C", None, None, (0.1,), True))
    return small_workspace(tmp_path_factory.mktemp("pictures"), n_patients=3, mp4=film)


def test_a_study_is_shown_by_the_frame_at_its_r_wave(workspace):
    shown = study_picture(workspace, "S-0000")
    picture = Image.open(io.BytesIO(shown.content))
    assert (picture.format, picture.size, shown.media_type) == ("JPEG", (200, 150), "image/jpeg")
    assert np.asarray(picture).mean() == pytest.approx(5 * 7, abs=4) and shown.words == "A4C, end-diastole"


def test_the_four_chamber_view_comes_first_and_a_vector_alone_has_no_picture(workspace):
    from dataclasses import replace

    clips = Catalog(workspace).clips_of("S-0000")
    assert len(clips) == 3 and clip_to_show(clips[::-1]).view == clip_to_show(clips).view == "A4C"
    without = [clip if clip.view != "A4C" else replace(clip, encoder="somebody's") for clip in clips]
    assert clip_to_show(without).view == "A2C" and clip_to_show([replace(c, encoder="x") for c in clips]) is None


@pytest.mark.parametrize(("dark", "ground"), [(False, "#FFFFFF"), (True, "#12161B")])
def test_an_ecg_is_a_paper_of_its_own_file_in_the_colours_of_the_page(workspace, dark, ground):
    shown = ecg_picture(workspace, "E-0001", dark)
    root = ElementTree.fromstring(shown.content)
    assert root.tag == "{http://www.w3.org/2000/svg}svg" and root.get("viewBox").startswith("0 0 250 ")
    assert f"background:{ground}" in shown.content.decode() and shown.media_type == "image/svg+xml"


def test_what_is_not_there_is_told_in_words(workspace, tmp_path):
    catalog = Catalog(workspace)
    with pytest.raises(StoreError, match="There is no study 'nobody'"):
        study_picture(workspace, "nobody")
    with pytest.raises(StoreError, match="no ecg 'nobody'"):
        ecg_picture(workspace, "nobody")
    catalog.add_patients([NewPatient("P-9", "test", "small", True, None)])
    catalog.add_studies([NewStudy("S-9", "P-9", None, None, {})])
    with pytest.raises(StoreError, match="No clip of the study 'S-9' has a picture"):
        study_picture(workspace, "S-9")
    with pytest.raises(ReadError, match="cannot be decoded"):
        study_picture(small_workspace(tmp_path, n_patients=3), "S-0000")
