"""The mark that every phantom clip carries in its pixels, found again.

A manifest or a tag can say "synthetic" of anything; only a picture that shows the words where the phantom burns them
may pass without de-identification.
"""

import numpy as np

WORDS = "SYNTHETIC\nPHANTOM"
PLACE = (3, 2)  # left, top in pixels
COLOUR = (150, 160, 170)
LEAST_CORRELATION = 0.75  # with the words as they are drawn; compression takes a few hundredths


def draw_mark(picture) -> None:
    """Burn the mark into a square Pillow image."""
    from PIL import ImageDraw, ImageFont

    font = ImageFont.load_default(max(8, round(picture.width * 0.042)))
    ImageDraw.Draw(picture).text(PLACE, WORDS, fill=COLOUR, font=font, spacing=1)


def banner_of(size: int) -> tuple[int, int, int]:
    """The screen around a square picture of a machine that burns its patient in: what it adds on the left and on the
    right, on top, and the height of a line of letters, in pixels."""
    line = max(9, round(0.055 * size))
    return round(0.16 * size), 2 * line + 6, line


def marked_square(frames: np.ndarray) -> tuple[int, int, int] | None:
    """Left, top and side of the square picture that shows the mark in every frame: the whole one, or the one in the
    screen that `banner_of` tells; None where there is none.

    Args:
        frames: (t, h, w, 3) uint8.
    """
    h, w = frames.shape[1:3]
    for size in range(round(w / 1.34), w + 1):
        left, top, _ = banner_of(size)
        for at in ((0, 0), (left, top)):
            fits = size + 2 * at[0] == w and size + at[1] == h
            if fits and shows_mark(frames[:, at[1] : at[1] + size, at[0] : at[0] + size]):
                return (*at, size)
    return None


def with_mark(frames: np.ndarray, square: tuple[int, int, int]) -> np.ndarray:
    """The frames with the mark drawn anew at its place in a square (left, top, side): no pixel of what was there."""
    from PIL import Image

    left, top, size = square
    drawn = Image.new("RGB", (size, size))
    draw_mark(drawn)
    marked = frames.copy()
    inside = marked[:, top : top + size, left : left + size]
    np.maximum(inside, np.asarray(drawn), out=inside)
    return marked


def shows_mark(frames: np.ndarray) -> bool:
    """True where every frame shows the mark.

    Args:
        frames: (t, h, w, 3) uint8.
    """
    from PIL import Image

    t, h, w, _ = frames.shape
    if h != w or t == 0:
        return False
    drawn = Image.new("RGB", (w, h))
    draw_mark(drawn)
    words = np.asarray(drawn).mean(axis=2)
    rows, columns = (np.flatnonzero(words.any(axis=axis)) for axis in (1, 0))
    box = (slice(0, rows[-1] + 3), slice(0, columns[-1] + 3))
    wanted = words[box].ravel() - words[box].mean()
    shown = frames[:, box[0], box[1]].mean(axis=3).reshape(t, -1)
    shown = shown - shown.mean(axis=1, keepdims=True)
    size = np.linalg.norm(shown, axis=1) * np.linalg.norm(wanted)
    return bool((shown @ wanted >= LEAST_CORRELATION * np.maximum(size, 1e-9)).all() and (size > 0).all())
