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
