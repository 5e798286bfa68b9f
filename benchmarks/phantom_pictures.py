"""Draws the README's two pictures of the phantom: four ECG prints, and all views of three hearts.

Run: `python -m benchmarks.phantom_pictures [--out assets/screenshots]` from the project folder; about ten seconds on
one core. The ECGs are those of four patients of the demo cohort, picked by eye as textbook examples of what their
hearts have; the echo is the contact sheet of benchmarks/phantom_echo.py with its labels in a margin. Prints one JSON
line: size of each file in bytes.
"""

import argparse
import io
import json
import textwrap
from pathlib import Path

from matplotlib.font_manager import FontProperties, findfont
from PIL import Image, ImageDraw, ImageFont

from benchmarks.phantom_echo import sheet_rows
from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.echo.clip import VIEWS
from echo2ecg_core.figures.ecg import ecg_figure, plan_paper
from echo2ecg_core.figures.export import figure_file
from echo2ecg_core.intake.demo import DemoCohort
from echo2ecg_core.phantom.cohort import ECG_RATE_HZ
from echo2ecg_core.phantom.echo import PHANTOM_VIEWS
from echo2ecg_core.phantom.heart import Heart

PRINTS = {  # number of the patient: what its heart has
    73: "Left bundle branch block: QRS {qrs_ms:.0f} ms, LVEF {lvef:.0f} %",
    557: "LV hypertrophy with strain: septum {ivsd:.1f} cm, LV mass {lv_mass_index:.0f} g/m²",
    171: "Scar of an anterior infarct: LVEF {lvef:.0f} %",
    23: "Atrial fibrillation: LA volume {lavi:.0f} mL/m², LVEF {lvef:.0f} %",
}
PRINT_DPI, PRINT_GAP = 88, 12
TILE = 200
LEFT, TOP, GAP = 156, 58, 10
INK, FAINT, BACKGROUND = "#E9EEF3", "#9AA7B3", "#14191E"
MITRAL = ("", "mild MR", "moderate MR", "severe MR")
HEARTS = ("Healthy", "Dilated", "Hypertrophic")


def ecg_print(number: int, words: str) -> Image.Image:
    """One print on ECG paper, titled with what the heart has."""
    ecg = DemoCohort().people().patient(number).ecgs[0]
    record = EcgRecord(ecg.signal_mv(), ECG_RATE_HZ, format="phantom", source=ecg.ecg_id)
    title = f"{words.format_map(_Fields(ecg.heart))} · synthetic phantom"
    provenance = f"Phantom patient {ecg.patient_id} of the demo cohort · simulated, not a recording of a person"
    figure = ecg_figure(record, plan_paper(record.duration_s), title=title, footer=provenance)
    figure.texts[0].set_fontsize(13)
    for label in figure.axes[0].texts:
        label.set_fontsize(10)
    return Image.open(io.BytesIO(figure_file(figure, "png", title=title, provenance=provenance, dpi=PRINT_DPI)))


class _Fields(dict):
    """The fields and properties of a heart for `str.format_map`."""

    def __init__(self, heart: Heart):
        self.heart = heart

    def __missing__(self, name: str) -> float:
        return getattr(self.heart, name)


def ecg_picture() -> Image.Image:
    """The four prints, two by two."""
    prints = [ecg_print(number, words) for number, words in PRINTS.items()]
    width, height = prints[0].size
    picture = Image.new("RGB", (2 * width + PRINT_GAP, 2 * height + PRINT_GAP), "white")
    for i, one in enumerate(prints):
        picture.paste(one, ((i % 2) * (width + PRINT_GAP), (i // 2) * (height + PRINT_GAP)))
    return picture


def echo_picture() -> Image.Image:
    """Views across; hearts down, end-diastole over end-systole; names and numbers in the margins."""
    rows = sheet_rows()
    height = TOP + len(rows) * TILE + (len(HEARTS) - 1) * GAP
    picture = Image.new("RGB", (LEFT + len(PHANTOM_VIEWS) * TILE, height), BACKGROUND)
    draw = ImageDraw.Draw(picture)
    for i, view in enumerate(PHANTOM_VIEWS):
        middle = LEFT + (i + 0.5) * TILE
        _write(draw, (middle, TOP / 2), textwrap.fill(VIEWS[view], 22), 16, INK, anchor="mm", align="center")
    for i, (heart, moment, row) in enumerate(rows):
        y = TOP + i * TILE + i // 2 * GAP
        smaller = Image.fromarray(row).resize((len(PHANTOM_VIEWS) * TILE, TILE), Image.Resampling.LANCZOS)
        picture.paste(smaller, (LEFT, y))
        if moment == "ED":
            facts = (
                f"LVEF {heart.lvef:.0f} %\nLVEDV {heart.lvedv:.0f} mL\nIVSd {heart.ivsd:.1f} "
                f"cm\n{MITRAL[heart.mr_grade]}"
            )
            _write(draw, (12, y + 20), HEARTS[i // 2], 17, INK, bold=True)
            _write(draw, (12, y + 48), facts, 15, FAINT)
        _write(draw, (12, y + TILE - 34), {"ED": "end-diastole", "ES": "end-systole"}[moment], 15, INK)
    return picture


def _write(draw: ImageDraw.ImageDraw, place, words: str, size: int, colour: str, bold: bool = False, **layout) -> None:
    font = findfont(FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal"))
    draw.text(place, words, fill=colour, font=ImageFont.truetype(font, size), **layout)


def save(picture: Image.Image, path: Path) -> int:
    """Writes a picture with a palette of its own; returns the file's size in bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    palette = picture.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)
    palette.save(path, optimize=True)
    return path.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("assets/screenshots"))
    out = parser.parse_args().out
    pictures = {"phantom-ecg.png": ecg_picture, "phantom-echo.png": echo_picture}
    print(json.dumps({name: save(draw(), out / name) for name, draw in pictures.items()}))


if __name__ == "__main__":
    main()
