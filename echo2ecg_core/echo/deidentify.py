"""Clips without the person: everything outside the ultrasound sector is blacked out; what cannot be told is set aside.

Patient tags never reach a clip (dicom.py); what remains are names and numbers burnt into the picture and file names.
The sector is what moves more than the picture's own noise, wide enough not to be a letter or a trace, inside the
ultrasound regions of the header where there are any. The mask fails closed: where it covers nearly everything,
disagrees with the header or shows letters inside, the clip is set aside for a person to look at, never passed on.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from echo2ecg_core.echo.clip import EchoClip
from echo2ecg_core.echo.long_film import LongFilm
from echo2ecg_core.errors import ReadError, SetAside

LEAST_SHARE = 0.06  # of the picture that a sector fills
LEAST_DRAWN = 0.02  # of the picture: a person may know a smaller sector
MOST_SHARE = 0.85  # a wedge fills less of the smallest rectangle around it; more is noise or a full-screen video
MOST_SHARE_OF_REGIONS = 0.97
SECOND_SECTOR = 0.35  # of the larger one's area: both planes of a biplane recording
MOVING_SD = 3.0  # gray levels over time; compression noise around letters stays below
ABOVE_NOISE = 2.0  # times the noise of the still parts of the picture
LETTER_SHARE = 0.016  # stroke width that is still a letter, share of the picture's smaller side
INSIDE_REGIONS = 0.8  # of the mask that lies in the regions of the header
LETTER_CONTRAST = 45.0  # gray levels between a letter and what lies around it
BOLD_CONTRAST = 90.0  # of a letter that stands out of tissue to which a lower limit joins it
RESTING_CONTRAST = 30.0  # of a letter that does not change at all
CALM_CONTRAST = 60.0  # of a dark letter that compression changes a little
CALM = 24  # gray levels between the brightest and the darkest moment of such a letter
RESTING = 8  # gray levels between the brightest and the darkest moment of a letter that does not change
MOST_RESTING = 0.5  # of a mask: a picture of which more does not change is frozen
LASTING_CONTRAST = 22.0  # of a dark letter in the mean over time: valves are bright around a dark gap for moments
LETTERS_OF_A_WORD = 4
LEAST_AREA = 4  # pixels of a letter
FAINT_LETTERS = 5  # of a word that neither stands out nor rests
SHORT = (
    16  # frames: in fewer, tissue that moves is not dark at some moment everywhere, and its speckle looks like letters
)
STILL_SD = 20.0  # gray levels over time: letters that stand in noise or behind compression stay below, tissue does not
Look = tuple[float, np.ndarray, int]  # contrast of letters, where they can be (h, w), how many are a word
LOOK_BY_HAND = "A person draws its sector on the Import page, or discards it."


def sector_mask(frames: np.ndarray) -> np.ndarray | None:
    """Where the ultrasound sector lies; both sectors of a biplane recording.

    Args:
        frames: (t, h, w, 3) uint8.

    Returns:
        (h, w) bool, the convex hull of each sector; None when nothing large moves (a still, a frozen picture).
    """
    return _sector(_brightest(frames))


def _sector(gray: np.ndarray) -> np.ndarray | None:
    """`sector_mask` of (t, h, w) brightest channels."""
    import cv2

    moving = _moving(gray)
    stroke = 2 * max(1, round(LETTER_SHARE * min(moving.shape))) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (stroke, stroke))
    joined = cv2.morphologyEx(moving.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    parts = cv2.morphologyEx(joined, cv2.MORPH_OPEN, disc)
    count, labels, facts, _ = cv2.connectedComponentsWithStats(parts)
    if count < 2:
        return None
    mask = np.zeros(moving.shape, np.uint8)
    for part in _sectors(facts):
        hull = cv2.convexHull(_ends_of_rows(labels == part))
        cv2.fillConvexPoly(mask, hull, 1)
    return mask.astype(bool) if mask.mean() >= LEAST_SHARE else None


def _ends_of_rows(part: np.ndarray) -> np.ndarray:
    """The first and the last pixel of every row of a part (h, w), as points (n, 2) of x and y: all its hull needs."""
    rows = np.flatnonzero(part.any(axis=1))
    first = part[rows].argmax(axis=1)
    last = part.shape[1] - 1 - part[rows, ::-1].argmax(axis=1)
    return np.concatenate([np.stack([first, rows], axis=1), np.stack([last, rows], axis=1)]).astype(np.int32)


def _brightest(frames: np.ndarray) -> np.ndarray:
    """(t, h, w): the brightest channel of each pixel; forty times as fast as numpy's `max` over an axis of three."""
    import cv2

    gray = np.empty(frames.shape[:3], np.uint8)
    for frame, into in zip(frames, gray, strict=True):
        red, green, blue = cv2.split(frame)
        cv2.max(cv2.max(red, green), blue, dst=into)
    return gray


def _moving(gray: np.ndarray) -> np.ndarray:
    """(h, w) bool: pixels of (t, h, w) that change more than the still parts of the picture do."""
    import cv2

    spread = _spread(gray)
    near = np.sqrt(np.maximum(cv2.blur(spread**2, (7, 7)), 0))  # one pixel's spread over few frames is a poor estimate
    limit = max(MOVING_SD, ABOVE_NOISE * float(np.quantile(near, 0.05)))
    return (spread > limit) & (near > limit)


def _spread(gray: np.ndarray) -> np.ndarray:
    """Standard deviation (h, w) over time, without a float copy of all frames."""
    import cv2

    squares = np.zeros(gray.shape[1:])
    for frame in gray:
        cv2.accumulateSquare(frame, squares)
    mean = _total(gray) / len(gray)
    return np.sqrt(np.maximum(squares / len(gray) - mean * mean, 0))


def _total(gray: np.ndarray) -> np.ndarray:
    """(h, w) float64: the sum over time."""
    import cv2

    total = np.zeros(gray.shape[1:])
    for frame in gray:
        cv2.accumulate(frame, total)
    return total


def _sectors(facts: np.ndarray) -> list[int]:
    """Numbers of the components that are sectors: the largest, and a second one beside it that is about as large.

    Parts of one sector that a dark cavity separates lie inside each other's width and join the largest.
    """
    areas, left, right = facts[:, 4], facts[:, 0], facts[:, 0] + facts[:, 2]
    order = [int(i) for i in np.argsort(areas)[::-1] if i > 0]
    first = order[0]
    chosen = [first]
    for part in order[1:]:
        beside = left[part] >= right[first] or right[part] <= left[first]
        if beside and areas[part] >= SECOND_SECTOR * areas[first]:
            chosen.append(part)
            break
    return chosen


def letters_inside(frames: np.ndarray, mask: np.ndarray) -> bool:
    """True where a word is burnt into the masked part: letters stand still over tissue that moves.

    Args:
        frames: (t, h, w, 3) uint8. mask: (h, w) bool.

    A word is a row of thin marks of about the same height, brighter than the darkest or darker than the brightest
    moment around them: four that stand out or do not change at all, five others (in a frozen picture four). Dark ones
    that change are dark in the mean, too, or what valves sweep over would be a word. In a short clip they have to stand
    still.
    """
    return _letters(_brightest(frames), mask)


def _letters(gray: np.ndarray, mask: np.ndarray) -> bool:
    """`letters_inside` of (t, h, w) brightest channels."""
    still = _spread(gray) <= STILL_SD if len(gray) < SHORT else np.ones(mask.shape, bool)
    lowest, highest = gray.min(axis=0), gray.max(axis=0)
    change = highest - lowest
    is_frozen = bool((change <= RESTING)[mask].mean() >= MOST_RESTING)
    if _has_word(lowest, mask, _looks(still, change, is_frozen)):
        return True
    dark = still & (_thin(255 - _mean(gray)) > LASTING_CONTRAST)
    calm = [] if is_frozen else [(CALM_CONTRAST, dark & (change <= CALM), LETTERS_OF_A_WORD)]
    return _has_word(255 - highest, mask, [*_looks(dark, change, is_frozen), *calm])


def _looks(possible: np.ndarray, change: np.ndarray, is_frozen: bool) -> list[Look]:
    """What letters are looked for among those that are possible (h, w), by how much each pixel changes (h, w).

    The speckle of a frozen picture is as thin and bright as letters that stand out or rest, so those are left there.
    """
    if is_frozen:
        return [(LETTER_CONTRAST, possible, LETTERS_OF_A_WORD)]
    return [
        (LETTER_CONTRAST, possible, FAINT_LETTERS),
        (BOLD_CONTRAST, possible, LETTERS_OF_A_WORD),
        (RESTING_CONTRAST, change <= RESTING, LETTERS_OF_A_WORD),
    ]


def _mean(gray: np.ndarray) -> np.ndarray:
    """(h, w) uint8: the mean of (t, h, w) over time."""
    return np.rint(_total(gray) / len(gray)).astype(np.uint8)


def _tallest(picture: np.ndarray) -> int:
    """Pixels of the largest letters that are looked for."""
    return max(9, round(0.09 * min(picture.shape)))


def _thin(picture: np.ndarray) -> np.ndarray:
    """How much brighter than what lies around it everything is that is as thin as the stroke of a letter."""
    import cv2

    side = 2 * (_tallest(picture) // 4) + 1
    return cv2.morphologyEx(picture, cv2.MORPH_TOPHAT, cv2.getStructuringElement(cv2.MORPH_RECT, (side, side)))


def _has_word(picture: np.ndarray, mask: np.ndarray, looks: list[Look]) -> bool:
    """A word in a (h, w) picture in which letters are bright and what moves is dark, at one of these looks."""
    contrast, tallest = _thin(picture), _tallest(picture)
    return any(_has_row((contrast > limit) & where, mask, tallest, least) for limit, where, least in looks)


def _has_row(marks: np.ndarray, mask: np.ndarray, tallest: int, least: int) -> bool:
    """At least so many marks of the size of letters in a row, on (h, w) bool."""
    import cv2

    if np.count_nonzero(marks & mask) < least * LEAST_AREA:
        return False
    fits_16_bits = np.count_nonzero(marks) < np.iinfo(np.uint16).max  # there are no more marks than pixels of them
    labels = cv2.CV_16U if fits_16_bits else cv2.CV_32S  # the shorter take a third of the time
    _, _, facts, centres = cv2.connectedComponentsWithStats(marks.astype(np.uint8), ltype=labels)
    left, top, width, height, area = facts[1:].T
    column, line = centres[1:].astype(int).T
    fits = (height >= 5) & (height <= tallest) & (width <= 2.5 * height) & (area >= LEAST_AREA)
    fits &= mask[line, column]
    letters = sorted(
        zip(*(facts.tolist() for facts in (left[fits], top[fits], width[fits], height[fits])), strict=True)
    )
    return any(_row_length(letters[number:]) >= least for number in range(len(letters)))


def _row_length(letters: list[tuple[int, int, int, int]]) -> int:
    """How many marks (x, y, w, h), sorted, follow one another to the right of the first on its line."""
    length, (first, y, w, h) = 1, letters[0]
    x = first
    for other in letters:
        if other[0] - (x + w) > 1.2 * h:
            break
        on_line = abs((other[1] + other[3]) - (y + h)) <= 0.3 * h and 0.6 <= other[3] / h <= 1.7
        if other[0] > first and on_line:
            length, x, w = length + 1, other[0], other[2]
    return length


def deidentified(clip: EchoClip) -> EchoClip:
    """The clip with everything outside its sector black, and a source that tells no file name.

    Raises:
        SetAside: No sector can be told from its surroundings (stills, frozen pictures, noise), it disagrees with the
            regions in the header, or letters stand inside it.
    """
    gray = _brightest(some_frames(clip))
    mask = _trusted_mask(clip, gray)
    if _letters(gray, mask):
        raise SetAside("Letters seem to be burnt into the ultrasound sector of this clip.", LOOK_BY_HAND)
    return masked(clip, mask)


def some_frames(clip: EchoClip) -> np.ndarray:
    """The frames of a clip, (t, h, w, 3), or of a film that is too long for memory a sample of them."""
    return clip.frames.sample() if isinstance(clip.frames, LongFilm) else clip.frames


def masked(clip: EchoClip, mask: np.ndarray) -> EchoClip:
    """The clip with everything outside a mask (h, w) black and no file name; the mask may be one that a person drew."""
    seen = np.repeat(mask[..., None], 3, axis=2).astype(np.uint8) * 255  # whole rows at once, not three numbers
    film = clip.frames
    frames = film.changed(lambda frame: frame & seen) if isinstance(film, LongFilm) else np.bitwise_and(film, seen)
    note = f"Everything outside the ultrasound sector was blacked out ({100 * (1 - mask.mean()):.0f} % of the picture)."
    return replace(clip, frames=frames, notes=(*clip.notes, note), source="clip")


def outline_mask(outlines: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """What lies inside polygons that a person drew.

    Args:
        outlines: (n, 2) float, x and y in pixels; n at least 3. shape: Height and width of the picture.

    Returns:
        (h, w) bool.

    Raises:
        ReadError: they are no polygons, or hold less of the picture than a sector does.
    """
    import cv2

    mask = np.zeros(shape, np.uint8)
    for outline in outlines:
        try:
            points = np.asarray(outline, np.float64)
        except (TypeError, ValueError):
            points = np.empty(0)
        if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
            raise ReadError("An outline needs three points or more.", "Draw the sector again.")
        corners = np.rint(points).clip(-1, max(shape)).astype(np.int32)
        cv2.fillPoly(mask, [corners], 1)
    if mask.mean() < LEAST_DRAWN:
        raise ReadError(
            f"What is drawn holds {100 * mask.mean():.1f} % of the picture, less than a sector fills.",
            "Draw around the whole sector, or discard the clip.",
        )
    return mask.astype(bool)


def suggested_outlines(clip: EchoClip) -> list[np.ndarray]:
    """Polygons (n, 2) of x, y in pixels to begin with: around the sector that moves, the regions of the header, or a
    sector in the middle of the picture."""
    import cv2

    mask = sector_mask(some_frames(clip))
    if mask is not None and mask.mean() <= MOST_SHARE:
        found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        return [cv2.approxPolyDP(one, 0.006 * cv2.arcLength(one, True), True)[:, 0].astype(float) for one in found]
    if clip.regions:
        return [np.array([(a, b), (c, b), (c, d), (a, d)], float) for a, b, c, d in clip.regions]
    h, w = clip.frames.shape[1:3]
    angles = np.linspace(-0.7, 0.7, 9)
    arc = np.stack([w / 2 + 0.8 * h * np.sin(angles), 0.08 * h + 0.8 * h * np.cos(angles)], axis=1)
    return [np.concatenate([[(w / 2, 0.08 * h)], arc]).clip(0, (w - 1, h - 1))]


def _trusted_mask(clip: EchoClip, gray: np.ndarray) -> np.ndarray:
    """The sector of a clip, cut to the regions of its header.

    Args:
        gray: (t, h, w), the brightest channels of some of its frames.

    Raises:
        SetAside: it cannot be trusted.
    """
    mask = _sector(gray)
    if mask is None:
        raise SetAside(
            "This clip cannot be de-identified: no moving ultrasound sector was found in its "
            f"{len(gray)} frame{'s' * (len(gray) != 1)}.",
            LOOK_BY_HAND,
        )
    if mask.mean() > MOST_SHARE and not clip.regions:
        raise SetAside(
            f"This clip cannot be de-identified: {100 * mask.mean():.0f} % of its picture moves, so the ultrasound "
            "sector cannot be told from its surroundings.",
            LOOK_BY_HAND,
        )
    if not clip.regions:
        if clip.burned_in:
            raise SetAside(
                "The header says that a person's data are burnt into this clip, and names no ultrasound region.",
                LOOK_BY_HAND,
            )
        return mask
    regions = np.zeros_like(mask)
    for left, top, right, bottom in clip.regions:
        regions[top : bottom + 1, left : right + 1] = True
    if (mask & regions).sum() < INSIDE_REGIONS * mask.sum():
        raise SetAside(
            f"Only {100 * (mask & regions).sum() / mask.sum():.0f} % of the moving sector of this clip lie in the "
            "ultrasound regions that its header names.",
            LOOK_BY_HAND,
        )
    if (mask & regions).mean() > MOST_SHARE_OF_REGIONS:
        raise SetAside(
            "The ultrasound region that the header of this clip names is its whole picture, and all of it moves.",
            LOOK_BY_HAND,
        )
    return mask & regions
