"""Phantom DICOM files read by pydicom and by our own reader, and what de-identification leaves of them."""

import io
from datetime import date

import numpy as np
import pydicom
import pytest

from echo2ecg_core.echo.deidentify import deidentified
from echo2ecg_core.echo.readers import read_clip
from echo2ecg_core.phantom.cohort import PhantomCohort
from echo2ecg_core.phantom.dicom import FictitiousPatient, encode_dicom
from echo2ecg_core.phantom.echo import PHANTOM_VIEWS, render_clip
from echo2ecg_core.phantom.heart import complete_heart

DAY = date(2023, 5, 4)
ERIKA = FictitiousPatient.of("P00017", "female", 61.4, DAY)


@pytest.fixture(scope="module")
def heart():
    return complete_heart(np.random.default_rng(5), "female", 61.4, 1.8, ("healthy",))


@pytest.fixture(scope="module")
def clip(heart):
    return render_clip(heart, "A4C", np.random.default_rng(1), n_frames=16)


def test_pydicom_finds_a_valid_ultrasound_cine(clip):
    ds = pydicom.dcmread(io.BytesIO(encode_dicom(clip, ERIKA, "P00017-S1", DAY)))
    assert ds.file_meta.TransferSyntaxUID.name == "JPEG Baseline (Process 1)"
    assert ds.SOPClassUID.name == "Ultrasound Multi-frame Image Storage"
    assert (ds.Modality, ds.NumberOfFrames, ds.BurnedInAnnotation, ds.PatientID) == ("US", 16, "NO", "P00017")
    assert float(ds.FrameTime) == pytest.approx(1000 / clip.fps, rel=1e-4)
    error = np.abs(ds.pixel_array.astype(int) - clip.frames)
    assert error.mean() < 4


def test_the_region_has_the_true_spacing_and_begins_at_the_probe(clip):
    ds = pydicom.dcmread(io.BytesIO(encode_dicom(clip, ERIKA, "P00017-S1", DAY, burnt_in=True)))
    (region,) = ds.SequenceOfUltrasoundRegions
    assert (region.PhysicalUnitsXDirection, region.PhysicalUnitsYDirection) == (3, 3)
    assert 10 * region.PhysicalDeltaY == pytest.approx(clip.spacing_mm)
    probe_x, probe_y = (
        region.RegionLocationMinX0 + region.ReferencePixelX0,
        region.RegionLocationMinY0 + region.ReferencePixelY0,
    )
    lit = ds.pixel_array[:, probe_y + 2 :].max(axis=(0, 3)) > 40
    assert not ds.pixel_array[:, 30:probe_y, probe_x - 8 : probe_x + 8].max() > 60
    top_row = np.flatnonzero(lit[4])
    assert abs(top_row[(top_row > probe_x - 30) & (top_row < probe_x + 30)].mean() - probe_x) < 3


@pytest.mark.parametrize("view", PHANTOM_VIEWS)
def test_our_reader_gets_back_rate_scale_r_waves_view_and_synthetic(heart, view):
    clip = render_clip(heart, view, np.random.default_rng(2), n_frames=4, size=96)
    found = read_clip(encode_dicom(clip, ERIKA, "P00017-S1", DAY))
    assert found.fps == pytest.approx(clip.fps, abs=0.01)
    assert found.spacing_mm == pytest.approx(clip.spacing_mm)
    assert found.r_wave_times_s == pytest.approx(clip.r_wave_times_s, abs=1e-4)
    assert (found.view, found.synthetic, found.notes) == (view, True, ())


def test_the_same_clip_gives_the_same_bytes_and_clips_of_a_study_share_its_uid(heart, clip):
    first, again = (encode_dicom(clip, ERIKA, "P00017-S1", DAY, burnt_in=True) for _ in range(2))
    assert first == again
    other = render_clip(heart, "A2C", np.random.default_rng(1), n_frames=2, size=64)
    headers = [pydicom.dcmread(io.BytesIO(encode_dicom(c, ERIKA, "P00017-S1", DAY))) for c in (clip, other)]
    assert headers[0].StudyInstanceUID == headers[1].StudyInstanceUID
    assert headers[0].SOPInstanceUID != headers[1].SOPInstanceUID


def test_no_label_of_the_heart_is_inside_the_file(heart, clip):
    ds = pydicom.dcmread(io.BytesIO(encode_dicom(clip, ERIKA, "P00017-S1", DAY)))
    del ds.PixelData
    words = ds.to_json()
    for name in ("lvef", "lvedv", "ejection"):
        assert name not in words.lower()
    assert f"{heart.lvef:.1f}" not in words


def test_burnt_in_identifiers_are_seen_before_and_not_after_de_identification(clip):
    read = read_clip(encode_dicom(clip, ERIKA, "P00017-S1", DAY, burnt_in=True), name="Ashgrove_Ida.dcm")
    banner = read.frames[:, :28]
    assert (banner > 180).any()
    clean = deidentified(read)
    assert not clean.frames[:, :28].any()
    told = repr({name: value for name, value in vars(clean).items() if name != "frames"})
    assert "Ashgrove" not in told
    assert "P00017" not in told
    height, width = read.frames.shape[1:3]
    middle = (slice(None), slice(60, 200), slice(width // 2 - 50, width // 2 + 50))
    assert clean.frames[middle].sum() > 0.99 * read.frames[middle].sum()
    assert (clean.frames[:, height // 2, :20] == 0).all()


def test_repeats_of_a_view_in_one_study_are_files_of_their_own():
    study = PhantomCohort(1, 3, version=2).patient(0).studies[0]
    repeats = [clip for clip in study.clips if clip.view == "A4C"][:2]
    files = [encode_dicom(study.render(c, n_frames=2, size=64), ERIKA, study.study_id, study.date) for c in repeats]
    one, two = (pydicom.dcmread(io.BytesIO(file)) for file in files)
    assert one.SOPInstanceUID != two.SOPInstanceUID and one.StudyInstanceUID == two.StudyInstanceUID
    assert one.SeriesDescription == two.SeriesDescription == "A4C"
