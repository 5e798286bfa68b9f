"""Measures phantom echo clips: rendering speed, and how well the drawn contours carry the labels.

Run: `python -m benchmarks.phantom_echo [--hearts 60] [--sheet FILE.png]` from the project folder; one core
(OMP_NUM_THREADS=1). Hearts are drawn from the cohort's graph. Volumes: biplane Simpson on the contours of A4C and A2C
at the marked end-diastole and end-systole against the heart's LVEDV and LVEF; walls: shortest distance from the
endocardium to the epicardium in PLAX against IVSd and LVPWd. Compile time is left out. Prints one JSON line; `--sheet`
also writes a contact sheet (views across; a healthy heart, a dilated one with mitral regurgitation and a hypertrophic
one down, end-diastole over end-systole).
"""

import argparse
import json
import time

import numpy as np

from echo2ecg_core.phantom.echo import PHANTOM_VIEWS, render_clip
from echo2ecg_core.phantom.heart import Heart, complete_heart, draw_heart
from echo2ecg_core.phantom.ventricle import biplane_volume_ml


def frames_per_second(every: int, repeats: int = 4) -> float:
    """Frames of all views rendered per second of processor time, at 224 x 224."""
    heart, frames = draw_heart(np.random.default_rng(1)), 0
    for view in PHANTOM_VIEWS:
        render_clip(heart, view, np.random.default_rng(0), n_frames=2)
    start = time.process_time()
    for seed in range(repeats):
        for view in PHANTOM_VIEWS:
            frames += len(render_clip(heart, view, np.random.default_rng(seed), every=every).frames)
    return frames / (time.process_time() - start)


def volume_errors(heart, seed: int) -> tuple[float, float]:
    """Error of LVEDV in percent and of LVEF in points on the drawn contours."""
    clips = [
        render_clip(heart, view, np.random.default_rng([seed, i]), every=2, size=64, may_foreshorten=False)
        for i, view in enumerate(("A4C", "A2C"))
    ]
    edv, esv = (
        biplane_volume_ml(*(clip.contours[[getattr(clip, key)]].astype(float) * clip.spacing_mm for clip in clips))[0]
        for key in ("ed_frame", "es_frame")
    )
    return 100 * (edv / heart.lvedv - 1), 100 * (edv - esv) / edv - heart.lvef


def wall_errors(heart, seed: int) -> tuple[float, float]:
    """Error of septal and posterior wall thickness in mm, measured at the level of the mitral tips in PLAX."""
    clip = render_clip(heart, "Parasternal_Long", np.random.default_rng(seed), every=2, size=64)
    endo, epi = (line[clip.ed_frame].astype(float) * clip.spacing_mm for line in (clip.contours, clip.epicardium))
    fine = np.stack([np.interp(np.linspace(0, 64, 2000), np.arange(65), epi[:, k]) for k in (0, 1)], axis=1)
    septum, posterior = (np.linalg.norm(fine - endo[i], axis=1).min() for i in (52, 12))
    return septum - 10 * heart.ivsd, posterior - 10 * heart.lvpwd


def sheet_rows() -> list[tuple[Heart, str, np.ndarray]]:
    """Rows of the contact sheet: heart, "ED" or "ES", and the views side by side, (224, views * 224, 3)."""
    rows = []
    for found in (("healthy",), ("dilated_cm", "mitral_regurgitation"), ("hcm",)):
        heart = complete_heart(np.random.default_rng(5), "male", 58, 1.95, found)
        clips = [
            render_clip(heart, view, np.random.default_rng(i + 11), may_foreshorten=False)
            for i, view in enumerate(PHANTOM_VIEWS)
        ]
        for moment, key in (("ED", "ed_frame"), ("ES", "es_frame")):
            row = np.concatenate([clip.frames[getattr(clip, key)] for clip in clips], axis=1)
            rows.append((heart, moment, row))
    return rows


def write_sheet(path: str) -> None:
    """The contact sheet for eyes."""
    from PIL import Image

    Image.fromarray(np.concatenate([row for _, _, row in sheet_rows()])).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hearts", type=int, default=60)
    parser.add_argument("--sheet")
    arguments = parser.parse_args()
    rng = np.random.default_rng(77)
    hearts = [draw_heart(rng) for _ in range(arguments.hearts)]
    volumes = np.abs([volume_errors(heart, seed) for seed, heart in enumerate(hearts)])
    walls = np.abs([wall_errors(heart, seed) for seed, heart in enumerate(hearts)])
    found = {
        "frames_per_second": round(frames_per_second(every=1)),
        "frames_per_second_every_2": round(frames_per_second(every=2)),
        "hearts": len(hearts),
        "lvedv_error_percent_max": round(float(volumes[:, 0].max()), 3),
        "lvef_error_points_max": round(float(volumes[:, 1].max()), 3),
        "wall_error_mm_max": round(float(walls.max()), 3),
    }
    print(json.dumps(found))
    if arguments.sheet:
        write_sheet(arguments.sheet)


if __name__ == "__main__":
    main()
