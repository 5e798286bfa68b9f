"""How much of a burnt-in name survives de-identification, on pictures that make it hard; one JSON line a condition.

    python benchmarks/deidentify.py [--clips 40]

Every clip shows flickering tissue in a wedge whose place is known, a name, a date and a number of random places, sizes
and gray levels around it (`outside`) or on it (`inside`, `dark inside`; `smooth inside`: one name in the anti-aliased
letters of a real font, 12 to 28 pixels, gray level 120 to 255), and one difficulty: a lit background, noise everywhere,
a bar close to the wedge, an ECG trace, few frames, MJPEG compression. `left_share` is the share of letter pixels
outside the wedge that are not black in clips that are let through, `set_aside` the share of clips that are not let
through, `kept` the share of the wedge that stays. For names inside the wedge `set_aside` is the recall of the text
search. The last lines are of simulated hearts, whose tissue lasts as real tissue does: smooth names on them, bright and
dark, also compressed (recall), and clips without a name (false alarms), of all their frames and of eight. The baseline
is the wedge itself: a mask that knows where it is.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from echo2ecg_core.echo.clip import EchoClip  # noqa: E402
from echo2ecg_core.echo.deidentify import deidentified, letters_inside, sector_mask  # noqa: E402
from echo2ecg_core.errors import SetAside  # noqa: E402

FONTS = ("DejaVuSans.ttf", "DejaVuSansMono.ttf", "DejaVuSerif.ttf")  # matplotlib brings them
NAMES = ("MUSTERMANN, ERIKA", "Smith^John", "PID 4711-0815", "GARCIA LOPEZ MARIA", "02 JAN 1950", "Nguyen Thi Lan")
SHORT_NAMES = ("Weber", "4711", "J. Doe", "Ivanova")
CONDITIONS = {
    "plain": {},
    "background 40": {"background": 40},
    "background 90": {"background": 90},
    "noise sd 4": {"noise": 4.0},
    "noise sd 8": {"noise": 8.0},
    "background 40, noise sd 4": {"background": 40, "noise": 4.0},
    "bar within 5 px": {"bar": True},
    "running ECG marker": {"trace": True},
    "eight frames": {"frames": 8},
    "dim tissue": {"tissue": 30},
    "compressed": {"compressed": True},
    "compressed, noise sd 4": {"compressed": True, "noise": 4.0},
}


PLACES = {
    "outside": {"inside": False},
    "inside": {"inside": True},
    "dark inside": {"inside": True, "dark": True},
    "smooth inside": {"inside": True, "smooth": True},
}


def wedge(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    """(h, w) bool: a sector of random width, depth and place."""
    y, x = np.mgrid[:h, :w]
    apex_x, apex_y = w * rng.uniform(0.42, 0.58), h * rng.uniform(0.08, 0.2)
    radius, angle = np.hypot(x - apex_x, y - apex_y), np.arctan2(x - apex_x, y - apex_y)
    return (radius < h * rng.uniform(0.6, 0.72)) & (np.abs(angle) < rng.uniform(0.55, 0.8))


def letters(rng: np.random.Generator, h: int, w: int, where: np.ndarray, inside: bool) -> np.ndarray:
    """(h, w) bool: pixels of names outside (or of one name inside) a region."""
    from PIL import Image, ImageDraw, ImageFont

    drawn = np.zeros((h, w), bool)
    for _ in range(200):
        picture = Image.new("L", (w, h))
        font = ImageFont.load_default(int(rng.integers(10, 22)))
        place = (int(rng.integers(0, w * 0.7)), int(rng.integers(0, h * 0.93)))
        ImageDraw.Draw(picture).text(place, str(rng.choice(NAMES)), fill=255, font=font)
        text = np.asarray(picture) > 100
        fits = text.any() and (not (text & ~where).any() if inside else not (text & where).any())
        if fits:
            drawn |= text
            if inside or drawn.sum() > 1500:
                break
    return drawn


def smooth_letters(rng: np.random.Generator, where: np.ndarray) -> np.ndarray:
    """(h, w) float, 0 to 1: how much of each pixel a name in a region (h, w) covers, as a machine draws it."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    h, w = where.shape
    fonts = Path(matplotlib.get_data_path()) / "fonts/ttf"
    for _ in range(400):
        picture, name = Image.new("L", (w, h)), str(rng.choice((*NAMES, *SHORT_NAMES)))
        font = ImageFont.truetype(str(fonts / rng.choice(FONTS)), int(rng.integers(12, 29)))
        place = (int(rng.integers(0, w * 0.7)), int(rng.integers(0, h * 0.93)))
        text = (name, name.upper(), name.lower())[rng.integers(3)]
        ImageDraw.Draw(picture).text(place, text, fill=255, font=font)
        covers = np.asarray(picture) / 255
        if covers.any() and not covers[~where].any():
            return covers
    return np.zeros((h, w))


def written_over(movie: np.ndarray, covers: np.ndarray, level: int) -> np.ndarray:
    """(t, h, w, 3) uint8 frames with letters (h, w) of a gray level on them."""
    seen = covers[..., None]
    return np.rint(movie * (1 - seen) + level * seen).astype(np.uint8)


def clip(
    seed: int, inside: bool, background=0, noise=0.0, bar=False, trace=False, frames=24, tissue=110, compressed=False,
    dark=False, smooth=False,
):  # fmt: skip
    """A clip, its wedge and its letters."""
    rng = np.random.default_rng(seed)
    h, w = (240, 320) if seed % 2 else (480, 640)
    sector = wedge(rng, h, w)
    covers = smooth_letters(rng, sector) if smooth else None
    text = letters(rng, h, w, sector, inside) if covers is None else covers > 0
    movie = np.full((frames, h, w), float(background))
    movie[:, sector] = rng.gamma(1.2, tissue / 1.2, (frames, int(sector.sum()))).clip(0, 255)
    if bar:
        x = int(np.flatnonzero(sector.any(0))[-1]) + int(rng.integers(2, 6))
        text[h // 3 : h // 2, x : min(x + 6, w)] = True
    if covers is None:
        movie[:, text] = rng.integers(0, 31) if dark else rng.integers(150, 256)
    else:
        movie = movie * (1 - covers) + int(rng.integers(120, 256)) * covers
    if trace:
        for t in range(frames):
            movie[t, int(0.94 * h) :, int(t * w / frames) : int(t * w / frames) + 4] = 255
    movie = (movie + rng.normal(0, noise, movie.shape) if noise else movie).clip(0, 255).astype(np.uint8)
    movie = np.repeat(movie[..., None], 3, axis=3)
    return (_through_jpeg(movie) if compressed else movie), sector, text & ~sector if not inside else text


def _through_jpeg(movie: np.ndarray) -> np.ndarray:
    import io

    from PIL import Image

    out = []
    for frame in movie:
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "JPEG", quality=80)
        out.append(np.asarray(Image.open(buffer).convert("RGB")))
    return np.stack(out)


def measure(n: int, inside: bool, **difficulty) -> dict:
    """Shares over n clips of one difficulty."""
    left, kept, aside = [], [], 0
    for seed in range(n):
        movie, sector, text = clip(seed, inside, **difficulty)
        try:
            clean = deidentified(EchoClip(movie, 30.0, "AVI", "clip.avi"))
        except SetAside:
            aside += 1
            continue
        left.append(float(clean.frames[:, text].any(axis=(0, 2)).mean()) if text.any() else 0.0)
        kept.append(float((clean.frames[:, sector] == movie[:, sector]).mean()))
    mean = lambda values: round(float(np.mean(values)), 4) if values else None  # noqa: E731
    return {
        "clips": n,
        "set_aside": aside / n,
        "left_share": mean(left),
        "kept": mean(kept),
        "baseline_left_share": 0.0,
    }


def main() -> None:
    """Print one line a condition."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=40)
    n = parser.parse_args().clips
    for name, difficulty in CONDITIONS.items():
        for place, how in PLACES.items():
            found = measure(n, **how, **difficulty)
            print(json.dumps({"benchmark": "deidentify", "names": place, "condition": name, **found}), flush=True)
    for found in on_hearts(n):
        print(json.dumps({"benchmark": "deidentify", **found}), flush=True)


def on_hearts(n: int) -> list[dict]:
    """Of n clips of simulated hearts that are read as a hospital's, how many are taken for clips with letters: with a
    smooth name and without one."""
    aside: dict[tuple[str, str], list[int]] = {}
    for number, clip in enumerate(hearts(n)):
        rng, sector = np.random.default_rng(number), sector_mask(clip.frames)
        covers = smooth_letters(rng, sector)
        named = {
            "smooth inside": written_over(clip.frames, covers, int(rng.integers(120, 256))),
            "smooth dark inside": written_over(clip.frames, covers, int(rng.integers(0, 41))),
        }
        movies = {(names, "phantom clips"): movie for names, movie in named.items() if covers.any()}
        movies |= {(names, "phantom clips, compressed"): _through_jpeg(movie) for (names, _), movie in movies.items()}
        movies |= {("none", "phantom clips"): clip.frames, ("none", "phantom clips, eight frames"): clip.frames[:8]}
        for key, movie in movies.items():
            counts = aside.setdefault(key, [0, 0])
            counts[0] += 1
            counts[1] += letters_inside(movie, sector)
    return [
        {"names": names, "condition": condition, "clips": clips, "set_aside": round(found / clips, 4)}
        for (names, condition), (clips, found) in aside.items()
    ]


def hearts(n: int) -> Iterator[EchoClip]:
    """Clips of simulated hearts, read as a hospital's files are."""
    from echo2ecg_core.echo.readers import read_clip
    from echo2ecg_core.phantom.cohort import PhantomCohort
    from echo2ecg_core.phantom.dicom import FictitiousPatient, encode_dicom

    cohort = PhantomCohort(n, 5)
    for study, recorded in islice(((s, c) for i in range(n) for s in cohort.patient(i).studies for c in s.clips), n):
        person = FictitiousPatient.of(study.patient_id, study.heart.sex, study.heart.age_years, study.date)
        yield read_clip(encode_dicom(study.render(recorded), person, study.study_id, study.date), "clip.dcm")


if __name__ == "__main__":
    main()
