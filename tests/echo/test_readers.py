"""Echo files of every kind against what other programs and the sample manifest say about them.

DICOM truth: pydicom's own decoding of its example files, the uncompressed twin of a JPEG recording, known colours of
the secondary-capture test cards (first pixel pure red), and files written here with pydicom.
"""

import io
import re

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, UltrasoundMultiFrameImageStorage

from echo2ecg_core.echo.clip import EchoClip
from echo2ecg_core.echo.readers import read_clip
from echo2ecg_core.echo.video import encode_mp4
from echo2ecg_core.errors import ReadError, SetAside

CARD = np.zeros((2, 16, 24, 3), np.uint8)
CARD[..., :8, :] = (200, 40, 30)
CARD[..., 8:16, :] = (30, 180, 60)
CARD[..., 16:, :] = (40, 60, 210)


def jpeg(image: np.ndarray, **options) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=95, subsampling=0, **options)
    return buffer.getvalue()


def with_adobe_marker(jfif: bytes, transform: int) -> bytes:
    """The same JPEG with an Adobe APP14 marker in place of its JFIF marker."""
    length = int.from_bytes(jfif[4:6], "big")
    marker = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([transform])
    return jfif[:2] + marker + jfif[4 + length :]


def without_marker(jfif: bytes) -> bytes:
    return jfif[:2] + jfif[4 + int.from_bytes(jfif[4:6], "big") :]


def dicom(frames=CARD, jpegs=None, label="RGB", **tags) -> bytes:
    """A multi-frame ultrasound file with the given pictures and tags."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = UltrasoundMultiFrameImageStorage, "1.2.3", "US"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = "Muster^Erika", "SECRET-77", "19500102"
    ds.NumberOfFrames, ds.Rows, ds.Columns = frames.shape[:3]
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, label, 0
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    ds.PixelData = encapsulate(jpegs) if jpegs else frames.tobytes()
    ds["PixelData"].VR = "OB"
    for name, value in tags.items():
        setattr(ds, name, value)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit if jpegs else ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def region(delta_x=0.05, delta_y=0.05, right=24, bottom=16, units=3, kind=1) -> Dataset:
    area = Dataset()
    area.RegionSpatialFormat, area.RegionDataType = kind, 1
    area.RegionLocationMinX0 = area.RegionLocationMinY0 = 0
    area.RegionLocationMaxX1, area.RegionLocationMaxY1 = right, bottom
    area.PhysicalUnitsXDirection = area.PhysicalUnitsYDirection = units
    area.PhysicalDeltaX, area.PhysicalDeltaY = delta_x, delta_y
    return area


def test_uncompressed_frames_come_back_as_they_are():
    clip = read_clip(dicom(), name="folder/a.dcm")
    np.testing.assert_array_equal(clip.frames, CARD)
    assert (clip.format, clip.source, clip.view, clip.synthetic) == ("DICOM", "a.dcm", None, False)


@pytest.mark.parametrize("label", ["YBR_FULL_422", "YBR_FULL", "RGB"])
@pytest.mark.parametrize("marker", ["jfif", "adobe"])
def test_jpeg_colours_follow_the_jpeg_whatever_the_label_says(label, marker):
    frames = [jpeg(image) if marker == "jfif" else with_adobe_marker(jpeg(image), 1) for image in CARD]
    found = read_clip(dicom(jpegs=frames, label=label)).frames
    assert np.abs(found.astype(int) - CARD).max() <= 12


def test_a_jpeg_that_tells_nothing_is_read_as_its_label_says():
    ycc = [without_marker(jpeg(image)) for image in CARD]
    assert np.abs(read_clip(dicom(jpegs=ycc, label="YBR_FULL_422")).frames.astype(int) - CARD).max() <= 12
    # stored as RGB without a marker: SC_jpeg_no_color_transform.dcm below


def test_uncompressed_ybr_is_turned_into_rgb():
    from PIL import Image

    stored = np.stack([np.asarray(Image.fromarray(image).convert("YCbCr")) for image in CARD])
    assert np.abs(read_clip(dicom(frames=stored, label="YBR_FULL")).frames.astype(int) - CARD).max() <= 3


@pytest.mark.parametrize(
    "name",
    [
        "SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_jpeg_lossy_gdcm.dcm", "SC_rgb_jpeg_gdcm.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
        "SC_rgb_rle_2frame.dcm", "SC_rgb_dcmtk_+eb+cr.dcm", "SC_rgb_dcmtk_+eb+cy+n1.dcm", "SC_rgb_gdcm_KY.dcm",
    ],
)  # fmt: skip
def test_test_cards_of_other_toolkits_begin_with_pure_red(name):
    clip = read_clip(get_testdata_file(name))
    assert np.abs(clip.frames[0, 2, 2].astype(int) - (255, 0, 0)).max() <= 2
    assert "does not say that it is ultrasound (modality OT)" in clip.notes[0]


@pytest.mark.parametrize("name", ["examples_ybr_color.dcm", "examples_jpeg2k.dcm", "SC_jpeg_no_color_transform.dcm"])
def test_frames_equal_those_of_pydicom(name):
    path = get_testdata_file(name)
    expected = pydicom.dcmread(path).pixel_array
    found = read_clip(path).frames
    np.testing.assert_allclose(found, expected if expected.ndim == 4 else expected[None], atol=3)


def test_a_palette_picture_is_coloured_by_its_tables():
    dataset = pydicom.dcmread(get_testdata_file("examples_palette.dcm"))
    tables = [
        np.frombuffer(dataset[f"{c}PaletteColorLookupTableData"].value, np.uint16) >> 8
        for c in ("Red", "Green", "Blue")
    ]
    expected = np.stack(tables, -1)[dataset.pixel_array]
    found = read_clip(get_testdata_file("examples_palette.dcm"))
    np.testing.assert_array_equal(found.frames[0], expected)
    assert "single frame" in " ".join(found.notes)


def test_gray_pictures_are_read_and_inverted_ones_turned():
    gray = np.arange(2 * 16 * 24, dtype=np.uint8).reshape(2, 16, 24)
    tags = {"SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2"}
    np.testing.assert_array_equal(read_clip(dicom(frames=gray, **tags)).frames, np.repeat(gray[..., None], 3, -1))
    tags["PhotometricInterpretation"] = "MONOCHROME1"
    np.testing.assert_array_equal(read_clip(dicom(frames=gray, **tags)).frames[..., 0], 255 - gray)


@pytest.mark.parametrize(
    ("tags", "fps"),
    [
        ({"FrameTime": "20.0", "CineRate": "7"}, 50),
        ({"FrameTime": "0", "CineRate": "48"}, 48),
        ({"FrameTimeVector": [0.0, 25.0]}, 40),
        ({"RecommendedDisplayFrameRate": "33"}, 33),
    ],
)
def test_frame_rate_comes_from_the_first_tag_that_gives_one(tags, fps):
    clip = read_clip(dicom(**tags))
    assert clip.fps == pytest.approx(fps)
    assert clip.notes == ()


def test_without_a_rate_thirty_is_assumed_and_said():
    clip = read_clip(dicom())
    assert (clip.fps, clip.notes) == (30.0, ("The file does not tell its frame rate: assumed 30 frames per second.",))


def test_pixel_size_comes_from_the_two_dimensional_region_in_centimetres():
    doppler, spectrum = region(delta_x=9.0, units=0), region(delta_x=0.002, kind=3)
    clip = read_clip(dicom(FrameTime="20", SequenceOfUltrasoundRegions=Sequence([doppler, spectrum, region()])))
    assert clip.spacing_mm == pytest.approx(0.5)


def test_a_pixel_size_that_cannot_be_trusted_is_left_out_and_said():
    clip = read_clip(dicom(FrameTime="20", SequenceOfUltrasoundRegions=Sequence([region(right=40)])))
    assert clip.spacing_mm is None
    assert "outside the picture of 24 x 16" in clip.notes[0]


@pytest.mark.parametrize(
    ("tags", "width", "spacing_mm"),
    [
        ({"SequenceOfUltrasoundRegions": Sequence([region(delta_x=0.1)])}, 48, 0.5),
        ({"SequenceOfUltrasoundRegions": Sequence([region(delta_x=0.025)])}, 12, 0.5),
        ({"PixelAspectRatio": [4, 5]}, 30, None),
        ({"PixelSpacing": [0.4, 0.6]}, 36, 0.4),
        ({"PixelAspectRatio": [1, 1]}, 24, None),
    ],
)
def test_pixels_that_are_not_square_are_made_square_and_said(tags, width, spacing_mm):
    clip = read_clip(dicom(FrameTime="20", **tags))
    assert clip.frames.shape[1:3] == (16, width)
    assert clip.spacing_mm == pytest.approx(spacing_mm)
    assert any("not square" in note for note in clip.notes) == (width != 24)


def test_the_two_dimensional_regions_of_the_header_come_along_in_pixels_of_the_frames():
    spectrum = region(kind=3)
    clip = read_clip(dicom(FrameTime="20", SequenceOfUltrasoundRegions=Sequence([spectrum, region(delta_x=0.1)])))
    [(left, top, right, bottom)] = clip.regions
    plain = read_clip(dicom(FrameTime="20", SequenceOfUltrasoundRegions=Sequence([region()]))).regions[0]
    assert (left, top, right, bottom) == (2 * plain[0], plain[1], 2 * plain[2], plain[3])


@pytest.mark.parametrize(("kind", "words"), [(2, "an M-mode"), (3, "a spectral Doppler")])
def test_what_is_no_picture_of_one_plane_is_set_aside_and_named(kind, words):
    with pytest.raises(SetAside, match=words):
        read_clip(dicom(FrameTime="20", SequenceOfUltrasoundRegions=Sequence([region(kind=kind)])))


def test_a_volume_is_set_aside():
    with pytest.raises(SetAside, match="3-D volume"):
        read_clip(dicom(FrameTime="20", SOPClassUID="1.2.840.10008.5.1.4.1.1.6.2"))


@pytest.mark.parametrize(
    ("tags", "fps"),
    [
        ({"FrameTime": "33.333", "FrameTimeVector": ["0", "20"], "FrameIncrementPointer": 0x00181065}, 50.0),
        ({"FrameTime": "33.333", "FrameTimeVector": ["0", "20"], "FrameIncrementPointer": 0x00181063}, 30.0),
        ({"EffectiveDuration": "0.1"}, 20.0),
        ({"ActualFrameDuration": "40"}, 25.0),
        ({"CineRate": "60", "RecommendedDisplayFrameRate": "30"}, 60.0),
    ],
)
def test_the_frame_rate_is_the_one_that_the_header_points_at(tags, fps):
    assert read_clip(dicom(**tags)).fps == pytest.approx(fps, abs=0.01)


def test_a_marker_less_jpeg_of_a_gray_screen_labelled_rgb_keeps_its_gray():
    gray = np.full((2, 16, 24, 3), 90, np.uint8)
    gray[:, :, ::3] = 200
    ycc = [without_marker(jpeg(frame)) for frame in gray]
    assert np.abs(read_clip(dicom(frames=gray, jpegs=ycc, label="RGB")).frames.astype(int) - gray).max() <= 3


def test_sixteen_bits_are_shown_through_the_window_of_the_header():
    stored = np.linspace(0, 4095, 16 * 24).astype("<u2").reshape(1, 16, 24)
    tags = {"SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 12}
    window = {"HighBit": 11, "WindowCenter": "1000", "WindowWidth": "500"}
    clip = read_clip(dicom(frames=stored[..., None], **tags, **window))
    shown = ((stored[0] - 999.5) / 499 + 0.5).clip(0, 1) * 255
    assert np.abs(clip.frames[0, :, :, 0] - shown).max() <= 1


def test_jpeg_ls_and_uncompressed_422_are_decoded():
    from jpeg_ls import encode_array
    from pydicom.uid import JPEGLSLossless

    gray = np.random.default_rng(0).integers(0, 255, (2, 16, 24), dtype=np.uint8)
    tags = {"SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2"}
    content = dicom(frames=gray[..., None], jpegs=[bytes(encode_array(frame)) for frame in gray], **tags)
    dataset = pydicom.dcmread(io.BytesIO(content))
    dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
    out = io.BytesIO()
    dataset.save_as(out)
    assert (read_clip(out.getvalue()).frames[..., 0] == gray).all()

    flat = np.repeat(np.array([[[[100, 128, 128]], [[180, 128, 128]]]], np.uint8), 24, axis=2).repeat(8, axis=1)
    packed = np.stack([flat[:, :, 0::2, 0], flat[:, :, 1::2, 0], flat[:, :, 0::2, 1], flat[:, :, 0::2, 2]], -1)
    clip = read_clip(dicom(frames=flat, label="YBR_FULL_422", PixelData=packed.tobytes()))
    assert np.abs(clip.frames[0].astype(int) - flat[0, :, :, :1]).max() <= 1


@pytest.mark.parametrize("packed", [False, True])
def test_nifti_films_lie_upright(tmp_path, packed):
    import nibabel

    film = np.random.default_rng(1).integers(0, 255, (24, 16, 5)).astype(np.uint8)  # width, height, time
    path = tmp_path / ("film.nii.gz" if packed else "film.nii")
    nibabel.save(nibabel.Nifti1Image(film, np.diag([0.3, 0.3, 1, 1])), path)
    clip = read_clip(path)
    assert (clip.frames[..., 0] == film.transpose(2, 1, 0)).all()
    assert (clip.format, clip.spacing_mm) == ("NIfTI", pytest.approx(0.3))
    assert any("frame rate" in note for note in clip.notes)


def test_a_nifti_volume_is_set_aside_and_a_damaged_one_refused(tmp_path):
    import nibabel

    path = tmp_path / "volume.nii"
    nibabel.save(nibabel.Nifti1Image(np.zeros((24, 24, 24), np.uint8), np.diag([0.3, 0.3, 0.3, 1])), path)
    with pytest.raises(SetAside, match="3-D volume"):
        read_clip(path)
    with pytest.raises(ReadError, match="damaged"):
        read_clip(path.read_bytes()[:2000])


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("DimSize = 24 16 5\nElementType = MET_UCHAR\nComment = no ElementDataFile\n", "incomplete or odd"),
        (f"DimSize = 16 16 {2**60}\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n", "too large"),
    ],
)
def test_metaimages_without_data_or_of_impossible_length_are_refused(header, words):
    with pytest.raises(ReadError, match=words):
        read_clip(header.encode())


@pytest.mark.parametrize("packed", [False, True])
def test_metaimage_films_are_read_with_their_data_beside_or_inside(tmp_path, packed):
    import zlib

    film = np.random.default_rng(2).integers(0, 255, (5, 16, 24)).astype(np.uint8)
    raw = zlib.compress(film.tobytes()) if packed else film.tobytes()
    header = f"NDims = 3\nDimSize = 24 16 5\nElementSpacing = 0.5 0.5 1\nCompressedData = {packed}\n"
    header += "ElementType = MET_UCHAR\nElementDataFile = "
    (tmp_path / "film.mhd").write_text(header + "film.raw\n")
    (tmp_path / "film.raw").write_bytes(raw)
    inside = header.encode() + b"LOCAL\n" + raw
    for clip in (read_clip(tmp_path / "film.mhd"), read_clip(inside)):
        assert (clip.frames[..., 0] == film).all() and clip.spacing_mm == 0.5
    (tmp_path / "film.mhd").write_text(header + "../film.raw\n")
    with pytest.raises(ReadError, match="not beside it"):
        read_clip(tmp_path / "film.mhd")


@pytest.mark.parametrize(("suffix", "codec", "kind"), [("mkv", "libx264", "Matroska"), ("wmv", "wmv2", "WMV")])
def test_videos_of_other_containers_are_read(tmp_path, suffix, codec, kind):
    import av

    path = tmp_path / f"film.{suffix}"
    with av.open(str(path), "w", format="asf" if suffix == "wmv" else None) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for level in (50, 120, 200):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), level, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    clip = read_clip(path)
    assert (clip.format, clip.n_frames, round(clip.fps)) == (kind, 3, 25)
    assert abs(int(clip.frames[1, 24, 32, 0]) - 120) < 8


def test_r_waves_are_read_in_seconds_and_view_names_only_when_known():
    tags = {"FrameTime": "500", "RWaveTimeVector": [120.0, 800.0, 4000.0], "SeriesDescription": "A4C"}
    clip = read_clip(dicom(**tags))
    assert clip.r_wave_times_s == (0.12, 0.8)
    assert clip.view == "A4C"
    assert read_clip(dicom(SeriesDescription="apical")).view is None


def test_nothing_about_the_patient_is_kept():
    clip = read_clip(dicom(FrameTime="20", InstitutionName="Klinik Nord"))
    told = repr({name: value for name, value in vars(clip).items() if name != "frames"})
    assert not re.search("Muster|Erika|SECRET|1950|Klinik", told)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "found an empty file"),
        (b"%PDF-1.7 a letter", r"expected DICOM, a video, NIfTI or MetaImage, found a file that begins with b'%PDF'"),
        (dicom()[:2000], "frame 1 of 2|cut short|damaged"),
        (dicom(Rows=0), "0 frames|2 frames of 24 x 0 pixels"),
        (dicom(jpegs=[b"\xff\xd8nothing\xff\xd9"] * 2), "frame 1 of 2; transfer syntax JPEG Baseline"),
        (dicom(NumberOfFrames=9, jpegs=[jpeg(CARD[0]), jpeg(CARD[1])]), "9"),
        (dicom(SOPClassUID="1.2.840.10008.5.1.4.1.1.2", Modality="CT"), "expected modality US, found CT"),
        (dicom(NumberOfFrames=2_000_000_000), "too large|frame 1"),
    ],
)  # fmt: skip
def test_faults_are_said_in_words_without_patient_data(content, words):
    with pytest.raises(ReadError, match=words) as caught:
        read_clip(content)
    assert caught.value.hint
    assert not re.search("Muster|SECRET|1950", str(caught.value))


def test_an_ecg_or_a_treatment_plan_is_no_clip():
    with pytest.raises(ReadError, match="12-lead ECG Waveform Storage"):
        read_clip(get_testdata_file("waveform_ecg.dcm"))
    with pytest.raises(ReadError, match="RT Plan"):
        read_clip(get_testdata_file("rtplan.dcm"))


def test_a_missing_file_and_an_endless_file_are_refused(tmp_path, monkeypatch):
    with pytest.raises(ReadError, match="cannot be opened"):
        read_clip(tmp_path / "none.dcm")
    (tmp_path / "big.avi").write_bytes(b"RIFF\0\0\0\0AVI " + bytes(1000))
    monkeypatch.setattr("echo2ecg_core.echo.readers.MAX_DECODED_BYTES", 1000)
    with pytest.raises(ReadError, match="too large for one clip"):
        read_clip(tmp_path / "big.avi")


def test_our_own_mp4_comes_back_with_view_scale_and_r_waves():
    clip = EchoClip(np.repeat(CARD, 8, axis=0), 40.0, "test", "x", "Subcostal", None, 0.7, (0.1,), True)
    found = read_clip(encode_mp4(clip), name="x.mp4")
    assert (found.format, found.view, found.spacing_mm, found.r_wave_times_s) == ("MP4", "Subcostal", 0.7, (0.1,))
    assert found.synthetic
    assert (found.n_frames, found.fps) == (16, pytest.approx(40, abs=0.01))


@pytest.mark.parametrize("seed", range(40))
def test_damaged_files_give_a_clip_or_a_read_error_and_nothing_else(seed):
    rng = np.random.default_rng(seed)
    whole = (dicom(), dicom(jpegs=[jpeg(i) for i in CARD]), encode_mp4(EchoClip(CARD, 30.0, "t", "t")))[seed % 3]
    damaged = bytearray(whole)
    for at in rng.integers(0, len(damaged), 25):
        damaged[at] = rng.integers(256)
    content = bytes(damaged[: rng.integers(200, len(damaged))] if seed % 2 else damaged)
    try:
        assert read_clip(content).n_frames > 0
    except ReadError as fault:
        assert fault.hint


def test_the_jpeg_and_the_uncompressed_copy_of_one_recording_look_the_same(samples):
    folder = samples / "echo" / "us_multiframe_dicom"
    packed, plain = (
        read_clip(folder / "acuson_jpeg_fragmented_noBOT.dcm"),
        read_clip(folder / "acuson_rgb_implicit.dcm"),
    )
    assert packed.frames.shape == plain.frames.shape == (8, 240, 320, 3)
    assert np.abs(packed.frames.astype(int) - plain.frames).mean() < 6
    assert np.abs(packed.frames.mean(axis=(0, 1, 2)) - plain.frames.mean(axis=(0, 1, 2))).max() < 1.5
    assert packed.spacing_mm == plain.spacing_mm == pytest.approx(2.2937500818)
    assert plain.fps == pytest.approx(7 / 0.31, rel=0.001)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "form", "shape", "fps"),
    [
        ("us_multiframe_dicom/pydicom_examples_ybr_color.dcm", "DICOM", (30, 240, 320, 3), 30.0),
        ("us_still_dicom/noncardiac_lymphnode_jpeg2000.dcm", "DICOM", (1, 480, 640, 3), 30.0),
        ("us_still_dicom/noncardiac_lymphnode_rgb.dcm", "DICOM", (1, 240, 320, 3), 30.0),
        ("us_still_dicom/noncardiac_obstetric_palette.dcm", "DICOM", (1, 350, 800, 3), 30.0),
        ("video_converted/sonosite_a4c.avi", "AVI", (30, 240, 320, 3), 30.0),
        ("video_converted/sonosite_a4c.mp4", "MP4", (30, 240, 320, 3), 30.0),
        ("gif/vital_subject073_4cv.gif", "GIF", (151, 360, 1080, 3), 33.3),
    ],
)
def test_sample_files_have_the_shape_and_rate_of_the_manifest(samples, path, form, shape, fps):
    clip = read_clip(samples / "echo" / path)
    assert (clip.format, clip.frames.shape, clip.fps) == (form, shape, pytest.approx(fps, abs=0.05))
    assert ("single frame" in " ".join(clip.notes)) == (shape[0] == 1)


def test_the_converted_videos_show_the_same_picture_as_their_dicom_source(samples):
    source = read_clip(samples / "echo/us_multiframe_dicom/pydicom_examples_ybr_color.dcm").frames
    for name in ("sonosite_a4c.avi", "sonosite_a4c.mp4"):
        copy = read_clip(samples / "echo/video_converted" / name).frames
        assert np.abs(copy.astype(int) - source).mean() < 3


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_is_decoded_to_the_pixels_that_pillow_gives(subsampling, options, mode):
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    picture = Image.fromarray(noise).resize((97, 61), Image.Resampling.BICUBIC).convert(mode)
    picture.getexif()[0x0112] = 6  # turned, for programs that look at it
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90, subsampling=subsampling, exif=picture.getexif(), **options)
    content = buffer.getvalue()
    wanted = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    frames = np.stack([wanted, wanted])
    clip = read_clip(dicom(frames, jpegs=[content, content], label="YBR_FULL_422", FrameTime="20"))
    np.testing.assert_array_equal(clip.frames, frames)


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.95])
def test_a_jpeg_frame_that_is_cut_short_is_refused(cut):
    whole = [jpeg(image) for image in CARD]
    with pytest.raises(ReadError, match="cannot be decoded"):
        read_clip(dicom(jpegs=[whole[0], whole[1][: int(cut * len(whole[1]))], *whole[2:]], FrameTime="20"))
