"""Clips to playable H.264 files and videos of any container back to frames (PyAV).

Key frames every 8 pictures make scrubbing exact and quick. One encoder thread and FFmpeg's bit-exact flags give the
same bytes for the same clip, so that the content-addressed store keeps one copy. What a player needs beside the
picture (view, R waves, pixel size, synthetic) travels as JSON in the container's comment.
"""

import io
import json
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from echo2ecg_core.echo import long_film
from echo2ecg_core.echo.clip import VIEWS, EchoClip
from echo2ecg_core.echo.long_film import LongFilm
from echo2ecg_core.errors import MemoryNeeded, ReadError

KEY_FRAME_EVERY = 8
GIF_FPS = 50.0  # browsers slow a GIF down that asks for less than 2/100 s a frame
MAX_DECODED_BYTES = 1_000_000_000  # 700 frames of 800 x 600; a clip of an echo visit has 30 to 200
X264 = {  # truer to the picture than "veryfast" at 20, in less than half the time, with half more bytes
    "preset": "ultrafast",
    "crf": "20",
    "x264-params": "mbtree=0:aq-mode=1",  # with mbtree two runs differ in their bytes; aq: black stays so beside edges
}
COMMENT_KEYS = ("view", "r_wave_times_s", "spacing_mm", "synthetic")
BT601, LIMITED_RANGE = 6, 1  # numbers of ISO/IEC 23091-2; the matrix FFmpeg converts RGB with and browsers must undo


def even_size(frame: np.ndarray) -> np.ndarray:
    """A frame with even height and width, as yuv420p needs: the last row or column is doubled where odd.

    Args:
        frame: (h, w, 3) uint8.

    Returns:
        (h + h % 2, w + w % 2, 3) uint8; pixel coordinates stay valid.
    """
    h, w, _ = frame.shape
    return np.pad(frame, ((0, h % 2), (0, w % 2), (0, 0)), mode="edge") if h % 2 or w % 2 else frame


def encode_mp4(clip: EchoClip) -> bytes:
    """The clip as an MP4 file (H.264, yuv420p, even size), the same bytes for the same clip."""
    import av

    comment = json.dumps(
        {
            "view": clip.view,
            "r_wave_times_s": [round(t, 4) for t in clip.r_wave_times_s],
            "spacing_mm": clip.spacing_mm,
            "synthetic": clip.synthetic,
        }
    )
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        container.metadata["comment"] = comment
        stream = container.add_stream("libx264", rate=Fraction(clip.fps).limit_denominator(10_000), options=X264)
        codec = stream.codec_context
        codec.height, codec.width = (side + side % 2 for side in clip.frames.shape[1:3])
        codec.pix_fmt, codec.gop_size, codec.thread_count = "yuv420p", KEY_FRAME_EVERY, 1
        codec.flags |= av.codec.context.Flags.bitexact
        codec.colorspace, codec.color_primaries, codec.color_trc = BT601, BT601, BT601
        codec.color_range = LIMITED_RANGE
        for frame in clip.frames:
            image = np.ascontiguousarray(even_size(frame))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def gif_of(mp4: bytes, said: str = "") -> bytes:
    """A stored clip as an endless GIF in real time; above GIF_FPS frames are left out, which browsers ask for.

    Args:
        mp4: A file of `encode_mp4`.
        said: Comment written into the file.

    Raises:
        ReadError: It cannot be decoded.
    """
    from PIL import Image

    frames, fps, _ = decode_video(mp4)
    shown = np.arange(0, len(frames) / fps - 1e-9, 1 / min(fps, GIF_FPS))
    pictures = [Image.fromarray(frames[int(t * fps + 1e-6)]).quantize(256, dither=Image.Dither.NONE) for t in shown]
    ends = np.round(100 * np.append(shown, len(frames) / fps)).astype(int)  # a GIF counts in hundredths
    buffer = io.BytesIO()
    pictures[0].save(
        buffer,
        "GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=[10 * int(d) for d in np.diff(ends)],
        loop=0,
        comment=said.encode(),
        optimize=False,
    )
    return buffer.getvalue()


def write_lossless(target: Path | BinaryIO, frames: np.ndarray | LongFilm, fps: float) -> None:
    """Write the frames (t, h, w, 3) uint8, one after another, as FFV1 in Matroska, from which `read_lossless` gives
    back every pixel.

    Raises:
        OSError: the file cannot be written.
    """
    import av

    place = str(target) if isinstance(target, Path) else target
    with av.open(place, "w", format="matroska", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("ffv1", rate=Fraction(fps).limit_denominator(10_000))
        codec = stream.codec_context
        codec.height, codec.width, codec.pix_fmt, codec.thread_count = *frames.shape[1:3], "bgr0", 1
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        container.mux(stream.encode())


def read_lossless(path: Path, n_frames: int) -> np.ndarray:
    """The frames (t, h, w, 3) uint8 of a file of `write_lossless`; of one that is too long for memory a `LongFilm`,
    which stands where the array would.

    Raises:
        ReadError: it is damaged, or not there.
    """
    import av

    try:
        with av.open(str(path)) as container:
            codec = container.streams.video[0].codec_context
            shape = (n_frames, codec.height, codec.width, 3)
    except (av.error.FFmpegError, OSError, IndexError) as fault:
        raise ReadError("This video cannot be decoded: it is damaged or not there.") from fault
    if np.prod(shape) > long_film.HELD_BYTES:
        return cast(np.ndarray, LongFilm(shape, partial(_some_frames, path)))
    return decode_video(path)[0]


def _some_frames(path: Path, numbers: Iterable[int] | None) -> Iterator[np.ndarray]:
    """Frames of a video by their numbers in rising order, None for all."""
    import av

    wanted = None if numbers is None else set(numbers)
    try:
        with av.open(str(path)) as container:
            container.streams.video[0].codec_context.thread_count = 1
            for number, picture in enumerate(container.decode(container.streams.video[0])):
                if wanted is None or number in wanted:
                    yield picture.to_ndarray(format="rgb24")
    except (av.error.FFmpegError, OSError) as fault:
        raise ReadError("This video cannot be decoded: it is damaged or not there.") from fault


def decode_video(
    source: str | Path | bytes, most_frames: int | None = None, every: int = 1
) -> tuple[np.ndarray, float, dict]:
    """Frames, frame rate and player metadata of a video file of any container FFmpeg knows (MP4, AVI, GIF ...).

    Args:
        source: Path or the file's bytes.
        most_frames: The first ones only; None for all.
        every: Of those, only every so manieth, from the first on; the rate stays that of the video.

    Returns:
        frames (t, h, w, 3) uint8 RGB; frames per second; a dict with "container" (FFmpeg's short name) and, for files
        made by `encode_mp4`, "view", "r_wave_times_s", "spacing_mm", "synthetic".

    Raises:
        ReadError: The file is no video, is damaged, has no frame, or is larger than MAX_DECODED_BYTES when decoded.
        MemoryError: There is not enough memory for it.
    """
    import av

    try:
        with av.open(io.BytesIO(source) if isinstance(source, bytes) else str(source)) as container:
            if not container.streams.video or container.streams.video[0].codec_context is None:
                raise ReadError("This file holds no video that we know.", "Give an echo clip as MP4, AVI or DICOM.")
            metadata = {"container": container.format.name, **_player_metadata(container.metadata.get("comment"))}
            frames, fps = _decode_frames(container, most_frames, every)
    except av.error.MemoryError as fault:  # also where damaged sizes ask for it
        raise MemoryNeeded(
            "This video asks for more memory than there is to decode it: it is damaged or too large.",
            "Export the clip again, or cut it to a few heart beats.",
        ) from fault
    except (av.error.FFmpegError, ValueError) as fault:
        raise ReadError(
            "This video cannot be decoded: expected an MP4, AVI or GIF file, found something damaged or unknown.",
            "Export the clip again, or convert it to MP4 (H.264).",
        ) from fault
    return frames, fps, metadata


def _decode_frames(container, most_frames: int | None, every: int) -> tuple[np.ndarray, float]:
    """The wanted pictures of the first video stream as RGB, and the frame rate from their times."""
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1
    images: list[np.ndarray] = []
    times: list[float | None] = []
    decoded = 0
    for picture in islice(container.decode(stream), most_frames):
        decoded += picture.width * picture.height * 3
        if decoded > MAX_DECODED_BYTES:
            raise ReadError(
                f"This video is too large: more than {MAX_DECODED_BYTES / 1e9:.0f} GB when decoded "
                f"({picture.width} x {picture.height}, over {len(images)} frames).",
                "Cut it to a few heart beats or scale it down.",
            )
        if len(times) % every == 0:
            images.append(picture.to_ndarray(format="rgb24"))
        times.append(picture.time)
    if not images:
        raise ReadError("This video holds no frame.", "Export the clip again.")
    if len({image.shape for image in images}) > 1:
        raise ReadError("This video changes its picture size midway.", "Export one clip per file.")
    return np.stack(images), _frame_rate(times, stream)


def _frame_rate(times: list, stream) -> float:
    """Frames per second from the presentation times, or what the container declares, or 30."""
    measured = 0.0
    if len(times) > 1 and None not in (times[0], times[-1]) and times[-1] > times[0]:
        measured = round((len(times) - 1) / (times[-1] - times[0]), 4)
    declared = float(stream.average_rate or 0)
    if declared and abs(measured - declared) < 0.005 * declared:
        return declared  # times in whole milliseconds are coarser than the declared rate
    rates = (measured, declared)
    return next((fps for fps in rates if 1 <= fps <= 1000), 30.0)


def _player_metadata(comment: str | None) -> dict:
    """What `encode_mp4` wrote into the comment; files of other makers and impossible values give nothing."""
    try:
        parsed = json.loads(comment or "{}")
        known = {key: parsed[key] for key in COMMENT_KEYS if key in parsed}
        possible = (
            known.get("view") in (None, *VIEWS)
            and isinstance(known.get("synthetic", False), bool)
            and (known.get("spacing_mm") is None or 0 < float(known["spacing_mm"]) < 100)
            and all(0 <= float(t) < 1e5 for t in known.get("r_wave_times_s", ()))
        )
    except (ValueError, TypeError, RecursionError):
        return {}
    return known if possible else {}
