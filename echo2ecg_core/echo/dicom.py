"""DICOM ultrasound files to clips: stills and cines, compressed or not, with their time and length scales.

Nothing about the patient is read. JPEG frames are decoded by what the JPEG itself says about its colours and by the
DICOM label only where it says nothing: labels contradict the data often enough to tint pictures green. Sizes are
checked before anything is decoded. Tags: DICOM PS3.3 C.8.5 (ultrasound) and C.7.6.5 (cine).
"""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np

from echo2ecg_core.dicom_numbers import settle_commas
from echo2ecg_core.echo.body_part import other_part
from echo2ecg_core.echo.clip import VIEWS, EchoClip, still_note
from echo2ecg_core.echo.long_film import HELD_BYTES, LongFilm
from echo2ecg_core.echo.video import MAX_DECODED_BYTES, decode_video
from echo2ecg_core.errors import ReadError, SetAside

PHANTOM_MANUFACTURER = "Echo2ECG phantom"  # marks a file as synthetic
ULTRASOUND_CLASSES = {f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("3", "3.1", "6", "6.1", "6.2")}
ULTRASOUND_MODALITIES = {"US", "IVUS"}
MODALITIES = {  # PS3.3 C.7.3.1.1.1
    "AU", "BI", "CR", "CT", "DG", "DOC", "DX", "ECG", "EPS", "ES", "FID", "GM", "HC", "HD", "IO", "IVOCT", "IVUS", "KO",
    "LS", "MG", "MR", "NM", "OP", "OPT", "OT", "PR", "PT", "PX", "RF", "RG", "RTDOSE", "RTIMAGE", "RTPLAN", "RTSTRUCT",
    "SC", "SEG", "SM", "SR", "TG", "US", "XA", "XC",
}  # fmt: skip
UNTOLD_MODALITIES = {"", "OT", "SC", "XC"}  # secondary captures, as archives export them
JPEG_SYNTAXES = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"}
LOSSLESS_JPEG_SYNTAXES = {"1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"}
VIDEO_SYNTAXES = {f"1.2.840.10008.1.2.4.{end}" for end in range(100, 109)}  # MPEG-2, H.264, H.265
ASSUMED_FPS = 30.0
MAX_FILM_BYTES = 8_000_000_000  # decoded, of a film that is read frame by frame
DEFERRED_BYTES = 1_000_000  # pixels of a file on disk stay there until they are asked for
CENTIMETRES, TWO_DIMENSIONAL = 3, 1  # PhysicalUnits and RegionSpatialFormat of C.8.5.5
REGION_WORDS = {2: "an M-mode", 3: "a spectral Doppler", 4: "a trace", 5: "graphics"}  # RegionSpatialFormat
VOLUME_CLASSES = {f"1.2.840.10008.5.1.4.1.1.6.{end}" for end in (2, 3)}  # enhanced ultrasound volumes
FRAME_TIME_VECTOR = 0x00181065  # what FrameIncrementPointer may name
NUMBERS = {  # that are read below, and what they may be
    "FrameTime": (1, 1000), "FrameTimeVector": (0, 1000), "EffectiveDuration": (0, 900), "CineRate": (1, 1000),
    "ActualFrameDuration": (1, 1000), "RecommendedDisplayFrameRate": (1, 1000), "PixelSpacing": (0, 100),
    "WindowCenter": (-1e6, 1e6), "WindowWidth": (0, 1e6), "RescaleSlope": (-1e6, 1e6), "RescaleIntercept": (-1e6, 1e6),
}  # fmt: skip
SQUARE = 0.02  # how far the sides of a pixel may differ


def clip_from_dicom(source: bytes | Path, name: str) -> EchoClip:
    """The clip in a DICOM file.

    Args:
        source: The file's content, or where it lies; a film too long for memory is read from there frame by frame.
        name: File name to remember.

    Raises:
        ReadError: Damaged, no picture, not ultrasound, a compression nobody here decodes, or too large.
    """
    import io

    import pydicom

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if isinstance(source, bytes):
                return _clip(pydicom.dcmread(io.BytesIO(source), force=True), name, None)
            return _clip(pydicom.dcmread(source, force=True, defer_size=DEFERRED_BYTES), name, source)
        except ReadError:
            raise
        except Exception as fault:
            raise ReadError(
                "This DICOM file is damaged: its header cannot be parsed as a picture's.",
                "Export or copy the file again.",
            ) from fault


def _clip(dataset, name: str, path: Path | None) -> EchoClip:
    """The clip of a parsed file, which lies at `path` or in memory."""
    syntax = str(dataset.file_meta.get("TransferSyntaxUID", "")) or "1.2.840.10008.1.2"
    dataset.file_meta.TransferSyntaxUID = syntax
    in_file = path is not None and syntax not in VIDEO_SYNTAXES
    notes = _checked_kind(dataset, MAX_FILM_BYTES if in_file else MAX_DECODED_BYTES)
    notes = (*notes, *settle_commas(dataset, NUMBERS, dispensable=tuple(NUMBERS)))
    video_fps = None
    if syntax in VIDEO_SYNTAXES:
        frames, video_fps = _encapsulated_video(dataset)
    elif in_file and int(np.prod(_shape(dataset))) > HELD_BYTES:
        frames = cast(np.ndarray, LongFilm(_shape(dataset), partial(_images, dataset, syntax, path)))
    else:
        frames = _frames(dataset, syntax)
    fps, fps_note = _frame_rate(dataset, len(frames), video_fps)
    frames, stretch, square_note = _square_pixels(dataset, frames)
    spacing_mm, spacing_note = _spacing(dataset)
    view = str(dataset.get("SeriesDescription", "") or "")
    return EchoClip(
        frames=frames,
        fps=fps,
        format="DICOM",
        source=name,
        view=view if view in VIEWS else None,
        spacing_mm=spacing_mm,
        r_wave_times_s=_r_waves(dataset, len(frames) / fps),
        synthetic=dataset.get("Manufacturer") == PHANTOM_MANUFACTURER,
        notes=(*notes, *fps_note, *square_note, *spacing_note, *still_note(len(frames))),
        regions=_pixel_regions(dataset, stretch),
        burned_in=str(dataset.get("BurnedInAnnotation", "") or "").strip().upper() == "YES",
    )


def _checked_kind(dataset, most_bytes: int) -> tuple[str, ...]:
    """Notes on what kind of DICOM object this is; refuses what is no ultrasound picture of bearable size."""
    kind = dataset.get("SOPClassUID")
    if "PixelData" not in dataset:
        words = f"it is of the kind {kind.name}" if kind is not None and kind.name != kind else "its kind is unknown"
        raise ReadError(
            f"This DICOM file holds no picture: {words}.", "Give an ultrasound clip; read ECG files as ECG."
        )
    modality = str(dataset.get("Modality", "") or "").strip()
    if kind not in ULTRASOUND_CLASSES and modality not in ULTRASOUND_MODALITIES | UNTOLD_MODALITIES:
        raise ReadError(
            f"This DICOM file is no ultrasound: expected modality US, found {modality_named(modality)}.",
            "Give a DICOM ultrasound file.",
        )
    if kind in VOLUME_CLASSES:
        raise SetAside(
            "This DICOM file holds a 3-D volume, not a film of one plane.", "Export the cut planes as clips."
        )
    formats = {int(r.get("RegionSpatialFormat") or 0) for r in dataset.get("SequenceOfUltrasoundRegions") or []}
    if formats and TWO_DIMENSIONAL not in formats and formats & REGION_WORDS.keys():
        shown = " and ".join(REGION_WORDS[f] for f in sorted(formats & REGION_WORDS.keys()))
        raise SetAside(f"This clip shows {shown}, no two-dimensional picture of the heart.", "Leave it out.")
    part, or_heart = other_part(dataset)
    if part and not or_heart:
        raise SetAside(f"This clip shows {part} by the words of its header, not the heart.", "Leave it out.")
    rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    count = _number_of_frames(dataset)
    if min(rows, columns, count) < 1:
        raise ReadError(f"This DICOM file is damaged: {count} frames of {columns} x {rows} pixels.", "Export it again.")
    if rows * columns * count * 3 > most_bytes:
        raise ReadError(
            f"This clip is too large: {count} frames of {columns} x {rows} pixels take more than "
            f"{most_bytes / 1e9:.0f} GB.",
            "Cut it to a few heart beats.",
        )
    untold = kind not in ULTRASOUND_CLASSES and modality not in ULTRASOUND_MODALITIES
    return (
        *((f"The file does not say that it is ultrasound (modality {modality or 'missing'}).",) if untold else ()),
        *((f"The header names both the heart and {part}.",) if part else ()),
    )


def _number_of_frames(dataset) -> int:
    try:
        return int(dataset.get("NumberOfFrames") or 1)
    except (TypeError, ValueError):
        return 0


def _encapsulated_video(dataset) -> tuple[np.ndarray, float]:
    """Frames and rate of a video stream inside a DICOM file."""
    from pydicom.encaps import generate_fragments

    try:
        stream = b"".join(generate_fragments(dataset.PixelData))
    except Exception as fault:
        raise ReadError("The video inside this DICOM file is damaged.", "Export the clip again.") from fault
    return decode_video(stream)[:2]


def _shape(dataset) -> tuple[int, int, int, int]:
    return _number_of_frames(dataset), int(dataset.Rows), int(dataset.Columns), 3


def _frames(dataset, syntax: str) -> np.ndarray:
    """All frames (t, h, w, 3) uint8 RGB of an image DICOM file."""
    frames = np.empty(_shape(dataset), np.uint8)
    for into, image in zip(frames, _images(dataset, syntax, None, None), strict=True):
        into[...] = image
    return frames


def _images(dataset, syntax: str, path: Path | None, wanted: Iterable[int] | None) -> Iterator[np.ndarray]:
    """The frames (h, w, 3) uint8 RGB of an image DICOM file, one by one.

    Args:
        path: Where it lies; None: its pixels are in the dataset.
        wanted: Numbers of frames in rising order; None for all.

    Raises:
        ReadError: one cannot be decoded, or the file is cut short.
    """
    count, *shape = _shape(dataset)
    numbers = range(count) if wanted is None else list(wanted)
    if syntax in JPEG_SYNTAXES:
        images = _jpeg_images(dataset, _stored_frames(dataset, path, numbers))
    elif syntax in LOSSLESS_JPEG_SYNTAXES and int(dataset.get("BitsAllocated") or 8) == 8:
        images = _lossless_jpeg_images(dataset, _stored_frames(dataset, path, numbers))
    else:
        images = _other_images(dataset, path, None if wanted is None else numbers)
    for number in numbers:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pydicom quotes values in its warnings
                image = next(images, None)
                frame = None if image is None else np.broadcast_to(image, shape)
        except Exception as fault:
            raise ReadError(
                f"The picture in this DICOM file cannot be decoded (frame {number + 1} of {count}; "
                f"transfer syntax {_syntax_name(syntax)}).",
                "Export the clip again, uncompressed or as JPEG baseline.",
            ) from fault
        if frame is None:
            raise ReadError(
                f"This DICOM file is cut short: {count} frames announced, {number} found.", "Copy the file again."
            )
        yield frame


def _stored_frames(dataset, path: Path | None, numbers: Sequence[int]) -> Iterator[bytes]:
    """The compressed frames of these numbers, one by one; from the file where it was too large to keep."""
    from pydicom.encaps import generate_frames

    count, chosen = _number_of_frames(dataset), set(numbers)
    pixels = dataset.get_item("PixelData")
    with ExitStack() as opened:
        if path is not None and pixels.value is None:
            source = opened.enter_context(path.open("rb"))
            source.seek(pixels.value_tell)
        else:
            source = dataset.PixelData
        for number, frame in enumerate(generate_frames(source, number_of_frames=count)):
            if number in chosen:
                yield frame


def _syntax_name(syntax: str) -> str:
    """The name of a transfer syntax; a UID that the standard does not know may hold anything and is not told."""
    from pydicom.uid import UID

    return UID(syntax).name if UID(syntax).name != syntax else "not known"


def modality_named(modality: str) -> str:
    """A modality of the standard as its code; any other text may hold anything and is not told."""
    return modality if modality in MODALITIES else "another one"


def _jpeg_images(dataset, stored: Iterable[bytes]) -> Iterator[np.ndarray]:
    """RGB images (h, w, 3) of 8-bit JPEG frames, fragmented or not, with or without an offset table.

    A JFIF or Adobe marker tells how the colours are stored, and Pillow follows it. Without one the label may be wrong
    either way, so the picture decides where the label says RGB: an ultrasound screen is mostly gray.
    """
    import io

    from PIL import Image

    labelled_rgb = str(dataset.get("PhotometricInterpretation", "")).startswith("RGB")
    for frame in stored:
        if (plain := _plain_jpeg(frame)) is not None:
            yield plain
            continue
        image = Image.open(io.BytesIO(frame), formats=("JPEG",))
        untold = not {"jfif", "adobe_transform"} & image.info.keys() and _component_ids(frame) != b"RGB"
        if labelled_rgb and untold:
            image.draft("YCbCr", image.size)  # hands the stored numbers through
            as_stored = np.asarray(image)
            converted = np.asarray(Image.fromarray(as_stored, "YCbCr").convert("RGB"))
            yield max((as_stored, converted), key=_gray_share)
        else:
            yield np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _plain_jpeg(jpeg: bytes) -> np.ndarray | None:
    """The image (h, w, 3) of a whole JPEG whose JFIF marker tells its colours, by OpenCV: the pixels that Pillow gives
    in two thirds of the time, but no error where it is cut short. None for others, and what OpenCV does not decode."""
    import cv2

    whole = jpeg.rstrip(b"\0").endswith(b"\xff\xd9")
    if jpeg[2:4] != b"\xff\xe0" or jpeg[6:11] != b"JFIF\0" or not whole or len(_component_ids(jpeg)) not in (1, 3):
        return None
    try:
        return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None


def _gray_share(image: np.ndarray) -> float:
    """Share of the pixels (h, w, 3) whose three channels differ by less than twelve levels."""
    return float((image.max(axis=2).astype(np.int16) - image.min(axis=2) < 12).mean())


def _lossless_jpeg_images(dataset, stored: Iterable[bytes]) -> Iterator[np.ndarray]:
    """RGB images (h, w, 3) of 8-bit lossless JPEG frames by FFmpeg, which hands stored components through."""
    import av
    from PIL import Image

    label = str(dataset.get("PhotometricInterpretation", ""))
    for frame in stored:
        decoder = av.CodecContext.create("mjpeg", "r")
        picture = [*decoder.decode(av.Packet(frame)), *decoder.decode(None)][0]
        image = picture.to_ndarray(format="rgb24")
        stored_ybr = label.startswith("YBR") and picture.format.name in ("rgb24", "bgr24", "gbrp")
        yield np.asarray(Image.fromarray(image, "YCbCr").convert("RGB")) if stored_ybr else image


def _component_ids(jpeg: bytes) -> bytes:
    """The component numbers in the frame header of a JPEG, b"" where there is none."""
    at = 2
    while at + 9 < len(jpeg):
        marker, size = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xC3:
            return jpeg[at + 10 : at + 10 + 3 * jpeg[at + 9] : 3]
        at += 2 + size
    return b""


def _other_images(dataset, path: Path | None, numbers: Sequence[int] | None) -> Iterator[np.ndarray]:
    """RGB images (h, w, 3) of all other syntaxes, gray scales and palettes; pydicom undoes YBR."""
    from pydicom.pixels import apply_color_lut, iter_pixels

    label = str(dataset.get("PhotometricInterpretation", ""))
    bits = int(dataset.get("BitsStored") or 8)
    for image in iter_pixels(path or dataset, indices=numbers):
        if label == "PALETTE COLOR":
            image = apply_color_lut(image, dataset)
            image = image >> 8 if image.dtype == np.uint16 else image
        elif dataset.get("WindowCenter") is not None and dataset.get("WindowWidth") is not None and image.ndim == 2:
            image = _windowed(image, dataset)
        elif bits > 8:
            image = np.clip(image, 0, None) >> (bits - 8)
        if label == "MONOCHROME1":
            image = 255 - image
        yield image.astype(np.uint8) if image.ndim == 3 else np.repeat(image[..., None].astype(np.uint8), 3, axis=2)


def _windowed(image: np.ndarray, dataset) -> np.ndarray:
    """Stored numbers (h, w) as the gray levels 0 to 255 that the header's window asks for (PS3.3 C.11.2.1.2)."""
    from pydicom.pixels import apply_modality_lut

    center, width = (float(np.atleast_1d(dataset[name].value)[0]) for name in ("WindowCenter", "WindowWidth"))
    values = apply_modality_lut(image, dataset).astype(np.float64)
    return np.clip((values - (center - 0.5)) / max(width - 1, 1) + 0.5, 0, 1) * 255


def _frame_rate(dataset, n_frames: int, video_fps: float | None) -> tuple[float, tuple[str, ...]]:
    """Frames per second from the first tag that gives a possible one, and a note where it is a guess."""
    times_ms = [float(t) for t in np.atleast_1d(dataset.get("FrameTimeVector") or [])][1:n_frames]
    by_vector = _rate_of_ms(np.mean(times_ms) if times_ms else None)
    by_time = _rate_of_ms(dataset.get("FrameTime"))
    points_at_vector = dataset.get("FrameIncrementPointer") == FRAME_TIME_VECTOR
    duration_s = float(dataset.get("EffectiveDuration") or 0)
    candidates = (
        *((by_vector, by_time) if points_at_vector else (by_time, by_vector)),
        _rate(dataset.get("CineRate")),
        _rate_of_ms(dataset.get("ActualFrameDuration")),
        _rate(n_frames / duration_s if duration_s > 0 and n_frames > 1 else None),
        _rate(dataset.get("RecommendedDisplayFrameRate")),
        _rate(video_fps),
    )
    for fps in candidates:
        if fps is not None:
            uneven = times_ms and fps == by_vector and max(times_ms) > 1.05 * min(times_ms)
            return fps, ("The frames are unevenly spaced in time; their mean rate is used.",) if uneven else ()
    if n_frames == 1:
        return ASSUMED_FPS, ()
    return ASSUMED_FPS, (f"The file does not tell its frame rate: assumed {ASSUMED_FPS:.0f} frames per second.",)


def _rate(value) -> float | None:
    """A frame rate between 1 and 1000 per second, or None."""
    fps = float(value or 0)
    return round(fps, 3) if 1 <= fps <= 1000 else None


def _rate_of_ms(value) -> float | None:
    return _rate(1000 / float(value)) if value and float(value) > 0 else None


def _flat_regions(dataset) -> list:
    """The two-dimensional regions of the header, in centimetres."""
    return [
        region
        for region in dataset.get("SequenceOfUltrasoundRegions") or []
        if region.get("RegionSpatialFormat") == TWO_DIMENSIONAL
        and region.get("PhysicalUnitsXDirection") == region.get("PhysicalUnitsYDirection") == CENTIMETRES
        and region.get("PhysicalDeltaX")
        and region.get("PhysicalDeltaY")
    ]


def _pixel_sides(dataset) -> tuple[float, float]:
    """Width and height of a pixel, in whatever unit: of the largest region, PixelSpacing or PixelAspectRatio."""
    regions = _flat_regions(dataset)
    if regions:
        largest = max(regions, key=_region_area)
        return abs(float(largest.PhysicalDeltaX)), abs(float(largest.PhysicalDeltaY))
    for tag in ("PixelSpacing", "PixelAspectRatio"):  # both name the vertical side first
        sides = [float(value) for value in np.atleast_1d(dataset.get(tag) or [])]
        if len(sides) == 2 and min(sides) > 0:
            return sides[1], sides[0]
    return 1.0, 1.0


def _square_pixels(dataset, frames: np.ndarray) -> tuple[np.ndarray, float, tuple[str, ...]]:
    """The frames with square pixels, how many times wider they became, and a note where that was not one."""
    import cv2

    wide, high = _pixel_sides(dataset)
    stretch = wide / high
    if abs(stretch - 1) <= SQUARE or not 0.2 <= stretch <= 5:
        return frames, 1.0, ()
    _, h, w, _ = frames.shape
    width = max(1, round(w * stretch))

    def square(frame: np.ndarray) -> np.ndarray:
        return cv2.resize(frame, (width, h), interpolation=cv2.INTER_LINEAR)

    out = frames.changed(square, width) if isinstance(frames, LongFilm) else np.stack([square(f) for f in frames])
    return out, stretch, (f"The pixels were not square ({wide:.3g} wide, {high:.3g} high): the width was corrected.",)


def _spacing(dataset) -> tuple[float | None, tuple[str, ...]]:
    """Side of a square pixel in mm from the two-dimensional ultrasound region or PixelSpacing, and a note where it
    cannot be trusted."""
    regions = _flat_regions(dataset)
    if not regions:
        told = [float(value) for value in np.atleast_1d(dataset.get("PixelSpacing") or [])]
        return (told[0], ()) if len(told) == 2 and min(told) > 0 else (None, ())
    largest = max(regions, key=_region_area)
    right, bottom = largest.get("RegionLocationMaxX1") or 0, largest.get("RegionLocationMaxY1") or 0
    if right > dataset.Columns or bottom > dataset.Rows:
        return None, (
            f"The calibrated region ends at {right} x {bottom}, outside the picture of {dataset.Columns} x "
            f"{dataset.Rows}: it was resized after acquisition, so its pixel size is not used.",
        )
    return 10 * abs(float(largest.PhysicalDeltaY)), ()


def _pixel_regions(dataset, stretch: float) -> tuple[tuple[int, int, int, int], ...]:
    """Left, top, right, bottom of every two-dimensional region that lies in the picture, in pixels of the frames."""
    found = []
    for region in dataset.get("SequenceOfUltrasoundRegions") or []:
        names = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1")
        left, top, right, bottom = (int(region.get(name) or 0) for name in names)
        inside = 0 <= left < right <= dataset.Columns and 0 <= top < bottom <= dataset.Rows
        if region.get("RegionSpatialFormat") == TWO_DIMENSIONAL and inside:
            found.append((round(left * stretch), top, round(right * stretch), bottom))
    return tuple(found)


def _region_area(region) -> int:
    width = (region.get("RegionLocationMaxX1") or 0) - (region.get("RegionLocationMinX0") or 0)
    return width * ((region.get("RegionLocationMaxY1") or 0) - (region.get("RegionLocationMinY0") or 0))


def _r_waves(dataset, duration_s: float) -> tuple[float, ...]:
    """R wave times in seconds that lie within the clip (the tag counts milliseconds from the first frame)."""
    times = [float(t) / 1000 for t in np.atleast_1d(dataset.get("RWaveTimeVector") or [])]
    return tuple(round(t, 4) for t in times if 0 <= t < duration_s)
