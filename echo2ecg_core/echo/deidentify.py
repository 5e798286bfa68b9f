"""Clips without the person: everything outside the ultrasound sector is blacked out.

Patient tags never reach a clip (dicom.py); what remains are names and numbers burnt into the picture and file names.
The sector is the large region that moves or is lit and hangs together with what moves; letters and traces are too thin
to count. Where no sector is found the clip is refused, never passed on unmasked.
"""

from dataclasses import replace

import numpy as np

from echo2ecg_core.echo.clip import EchoClip
from echo2ecg_core.errors import ReadError

LEAST_SHARE = 0.06  # of the picture that a sector fills
MOVING_SD = 3.0  # gray levels over time; compression noise around letters stays below
LIT = 10  # gray level of the darkest tissue that counts
LETTER_SHARE = 0.016  # stroke width that is still a letter, share of the picture's smaller side


def sector_mask(frames: np.ndarray) -> np.ndarray | None:
    """Where the ultrasound sector lies.

    Args:
        frames: (t, h, w, 3) uint8.

    Returns:
        (h, w) bool, the convex hull of the sector; None when nothing large moves (a still, a frozen picture).
    """
    import cv2

    gray = frames.max(axis=3)
    moving = _spread(gray) > MOVING_SD
    stroke = 2 * max(1, round(LETTER_SHARE * min(moving.shape))) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (stroke, stroke))
    joined = cv2.morphologyEx(moving.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    moving_parts = cv2.morphologyEx(joined, cv2.MORPH_OPEN, disc)
    lit = (gray.mean(axis=0) > LIT) | moving
    parts = cv2.morphologyEx(cv2.morphologyEx(lit.astype(np.uint8), cv2.MORPH_CLOSE, disc), cv2.MORPH_OPEN, disc)
    count, labels = cv2.connectedComponents(parts | moving_parts)
    votes = np.bincount(labels[moving_parts > 0], minlength=count)
    votes[0] = 0
    if not votes.any():
        return None
    points = cv2.findNonZero((labels == votes.argmax()).astype(np.uint8))
    mask = np.zeros(moving.shape, np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(points), 1)
    return mask.astype(bool) if mask.mean() >= LEAST_SHARE else None


def _spread(gray: np.ndarray) -> np.ndarray:
    """Standard deviation (h, w) over time, without a float copy of all frames."""
    total = np.zeros(gray.shape[1:])
    squares = np.zeros(gray.shape[1:])
    for frame in gray:
        values = frame.astype(np.float64)
        total += values
        squares += values * values
    mean = total / len(gray)
    return np.sqrt(np.maximum(squares / len(gray) - mean * mean, 0))


def deidentified(clip: EchoClip) -> EchoClip:
    """The clip with everything outside its sector black, and a source that tells no file name.

    Raises:
        ReadError: No sector can be told from its surroundings (stills, frozen pictures).
    """
    mask = sector_mask(clip.frames)
    if mask is None:
        raise ReadError(
            "This clip cannot be de-identified: no moving ultrasound sector was found in its "
            f"{clip.n_frames} frame{'s' * (clip.n_frames != 1)}.",
            "Leave it out, or mask it by hand before importing it.",
        )
    frames = clip.frames * mask[None, :, :, None]
    note = f"Everything outside the ultrasound sector was blacked out ({100 * (1 - mask.mean()):.0f} % of the picture)."
    masked = replace(clip, frames=frames, notes=(*clip.notes, note))
    return replace(masked, source=f"clip-{masked.content_hash[:12]}")
