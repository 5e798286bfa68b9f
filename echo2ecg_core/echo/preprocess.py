"""Frames of any size become a clip encoder's input: 16 frames of 224 x 224, standardised per colour.

EchoPrime's steps as Echo2ECG uses them. Missing frames are black before the standardisation in Echo2ECG and zero
after it in EchoPrime; the model's spec says which. Where the published crop leaves an empty image (sides that differ
by one pixel), the odd pixel is simply kept.
"""

import numpy as np

from echo2ecg_core.errors import ReadError

N_FRAMES, STRIDE, SIZE, ZOOM = 16, 2, 224, 0.1
MEAN = np.array([29.110628, 28.076836, 29.096405], dtype=np.float32)
STD = np.array([47.989223, 46.456997, 47.20083], dtype=np.float32)
SMALLEST = 16  # pixels a side; less leaves nothing after cropping
PADDINGS = ("before_normalising", "after_normalising")
PANECHO_STORED = 256  # pixels a side of the frames PanEcho was trained on; the middle 224 of them are read
PANECHO_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)  # constants meant for RGB,
PANECHO_STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)  # put on blue, green, red by the authors


def prepare_frames(frames: np.ndarray, padding: str = "before_normalising", stride: int = STRIDE) -> np.ndarray:
    """The clip encoder's input.

    Args:
        frames: RGB, (t, h, w, 3) uint8.
        padding: Missing frames are black "before_normalising" or zero "after_normalising".
        stride: Frames from one that is used to the next; 1 where those between them were left out already.

    Returns:
        (3, 16, 224, 224) float32: every second frame of the film, the first 16 of them.

    Raises:
        ReadError: If the frames are no (t, h, w, 3) bytes, **or** there is none, **or** they are too small to crop.
    """
    frames = _checked(frames)
    assert padding in PADDINGS, padding
    chosen = frames[::stride][:N_FRAMES]
    resized = np.stack([crop_and_scale(frame) for frame in chosen])  # (f, 224, 224, 3)
    standardised = (resized.astype(np.float32) - MEAN) / STD
    missing = -MEAN / STD if padding == "before_normalising" else np.zeros(3, dtype=np.float32)
    clip = np.empty((N_FRAMES, SIZE, SIZE, 3), dtype=np.float32)
    clip[: len(chosen)] = standardised
    clip[len(chosen) :] = missing
    return np.ascontiguousarray(clip.transpose(3, 0, 1, 2))


def prepare_panecho(frames: np.ndarray) -> np.ndarray:
    """PanEcho's input: 16 consecutive frames from the first on, at the video's own rate.

    Args:
        frames: RGB, (t, h, w, 3) uint8. Of fewer than 16 the last is repeated. Another size than 256 x 256 is resized
            by areas, aspect not kept, as the authors did with EchoNet's videos.

    Returns:
        (3, 16, 224, 224) float32; colour planes in the order blue, green, red.

    Raises:
        ReadError: as `prepare_frames`.
    """
    import cv2

    chosen = _checked(frames)[:N_FRAMES]
    size = (PANECHO_STORED, PANECHO_STORED)
    if chosen.shape[1:3] != size:
        chosen = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in chosen])
    edge = (PANECHO_STORED - SIZE) // 2
    blue_first = chosen[:, edge : edge + SIZE, edge : edge + SIZE, ::-1].astype(np.float32)  # (f, 224, 224, 3)
    clip = (blue_first / np.float32(255) - PANECHO_MEAN) / PANECHO_STD
    clip = np.concatenate([clip, np.repeat(clip[-1:], N_FRAMES - len(clip), axis=0)])
    return np.ascontiguousarray(clip.transpose(3, 0, 1, 2))


def _checked(frames: np.ndarray) -> np.ndarray:
    frames = np.asarray(frames)
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
        raise ReadError(f"A clip has to come as (frames, height, width, 3) bytes, found {frames.shape} {frames.dtype}.")
    if len(frames) == 0 or min(frames.shape[1:3]) < SMALLEST:
        raise ReadError(
            f"The clip holds {len(frames)} frames of {frames.shape[2]} x {frames.shape[1]} pixels; "
            f"at least one frame of {SMALLEST} x {SMALLEST} is needed."
        )
    return frames


def crop_and_scale(frame: np.ndarray) -> np.ndarray:
    """The middle square of a frame without a tenth on every side, bicubic: (h, w, 3) -> (224, 224, 3) uint8."""
    import cv2

    height, width = frame.shape[:2]
    side = round(abs(width - height) / 2)  # half to even
    if width > height:
        frame = frame[:, side : width - side]
    elif height > width:
        frame = frame[side : height - side]
    rows, columns = (int(ZOOM * n) for n in frame.shape[:2])
    frame = frame[rows : frame.shape[0] - rows, columns : frame.shape[1] - columns]
    return cv2.resize(frame, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
