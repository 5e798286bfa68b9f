"""Echo clips since version 2: a clip of a study, seen through its window with all that a single clip gets wrong.

The order is that of echo.py: cycle -> cut of the ventricle and scene -> probe -> machine, with the quality of the
window in all of them. What a view does not show is not drawn from the heart: in a parasternal long axis the right
ventricle has a width of its own, valves leak in colour only, and the jets of one clip are larger or smaller than the
grade says.

Version 3 differs in two windows, the parasternal long axis and most the subcostal one, where the heart is seen through
the liver and rides on the diaphragm (which it follows by about 0.6 of its way: Wang et al., Magn Reson Med 33:713-719,
1995). The plane lies and moves further off, though never so far that it misses the ventricle; the heart as a whole
swings with every beat and every breath, so that the way of the valve's ring on the screen is no longer the shortening
of the ventricle; and from below the apex often lies outside the sector. The sizes are ours, chosen for what one clip
tells a taught encoder of LVEF; benchmarks/phantom_taught.py measures it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from echo2ecg_core.phantom import machine as machines
from echo2ecg_core.phantom import scenes
from echo2ecg_core.phantom.cycle import cycle_states, draw_r_waves, uneven_beats
from echo2ecg_core.phantom.echo import PhantomClip, burn_in, draw_timing, key_frames
from echo2ecg_core.phantom.heart import Heart
from echo2ecg_core.phantom.oblique import Cut, CutVentricle
from echo2ecg_core.phantom.picture import render_scene
from echo2ecg_core.phantom.probe import depth_mm, hold_in_window
from echo2ecg_core.phantom.protocol import StudyClip
from echo2ecg_core.phantom.spectral import spectral_frames, velocity_m_s
from echo2ecg_core.phantom.structures import ColourBox, Scene


@dataclass(frozen=True)
class Plan:
    """How a kind of clip is drawn.

    Attributes:
        scene: Of the plane. place: Of the probe, for `hold_in_window`.
        cut: "long" (apical or parasternal plane along the axis), "short" or "none" (no left ventricle to be measured).
        height: Of a short axis, share of the length.
        shows_right: Whether the right heart is seen as it is.
        box: Colour box, or None.
        zoom: How much the part of interest is enlarged.
        stray: How much further than in an apical window the plane lies from the standard one.
        sway: How much more than in an apical window the heart moves through the plane.
        room: How far from the axis the plane may lie at any time, share of the ventricle's radius; None: version 2's.
        swing_mm: How far the whole heart is moved across the picture by end-systole (sd, each way).
        breath_mm: How far breathing moves it across the picture, beyond what every window has (mean amplitude).
        aside_mm: How far to the right of the screen the heart lies, beyond version 2 (mean; sd 0.8 of it).
        veil: Harm that what lies before the heart does in the best of windows.
    """

    scene: Callable
    place: str
    cut: str = "long"
    height: float = 0.5
    shows_right: bool = False
    box: ColourBox | None = None
    zoom: float = 1.0
    stray: float = 1.0
    sway: float = 1.0
    room: float | None = None
    swing_mm: float = 0.0
    breath_mm: float = 0.0
    aside_mm: float = 0.0
    veil: float = 0.0


PLANS = {
    "plax": Plan(scenes.long_axis, "Parasternal_Long", stray=5.5),
    "plax_zoom": Plan(scenes.long_axis, "Parasternal_Long", zoom=1.7, stray=5.5),
    "plax_colour": Plan(scenes.long_axis, "Parasternal_Long", box=ColourBox((2,), left_rad=0.25), stray=5.5),
    "psax_base": Plan(scenes.aortic_short_axis, "aortic", "none", shows_right=True),
    "psax_base_colour": Plan(scenes.aortic_short_axis, "aortic", "none", shows_right=True, box=ColourBox((2,))),
    "psax_mid": Plan(scenes.short_axis, "Parasternal_Short", "short", 0.5, shows_right=True),
    "psax_apex": Plan(scenes.short_axis, "Parasternal_Short", "short", 0.8),
    "a4c": Plan(scenes.four_chamber, "A4C", shows_right=True),
    "a4c_zoom": Plan(scenes.four_chamber, "A4C", zoom=1.45),
    "rv_focused": Plan(scenes.four_chamber, "rv_focused", shows_right=True, zoom=1.15),
    "a4c_mitral_colour": Plan(scenes.four_chamber, "A4C", shows_right=True, box=ColourBox((1,))),
    "a4c_tricuspid_colour": Plan(scenes.four_chamber, "rv_focused", shows_right=True, box=ColourBox((3,))),
    "a5c": Plan(scenes.five_chamber, "A5C", shows_right=True),
    "a5c_colour": Plan(scenes.five_chamber, "A5C", shows_right=True, box=ColourBox((1,), left_rad=0.2)),
    "a2c": Plan(scenes.two_chamber, "A2C"),
    "a2c_zoom": Plan(scenes.two_chamber, "A2C", zoom=1.45),
    "a3c": Plan(scenes.long_axis, "A3C"),
    "a3c_colour": Plan(scenes.long_axis, "A3C", box=ColourBox((1, 2))),
    "subcostal": Plan(scenes.four_chamber, "Subcostal", shows_right=True, stray=6.0),
    "ivc": Plan(scenes.cava, "cava", "none", shows_right=True),
    "arch": Plan(scenes.arch, "arch", "none"),
}
MOVING: dict[str, dict[str, Any]] = {
    **dict.fromkeys(
        ("plax", "plax_zoom", "plax_colour"),
        {"stray": 6.5, "sway": 1.5, "room": 0.72, "swing_mm": 5.0, "breath_mm": 3.0, "veil": 0.05},
    ),
    "subcostal": {
        "stray": 12.0, "sway": 3.0, "room": 0.72, "swing_mm": 9.0, "breath_mm": 6.0, "aside_mm": 12.0, "veil": 0.3,
    },
}  # fmt: skip
PLANS_3 = PLANS | {kind: replace(PLANS[kind], **changed) for kind, changed in MOVING.items()}


SWEEP_S = 2.4  # of spectral Doppler, the width of the screen


def render_study_clip(
    heart: Heart, clip: StudyClip, rng: np.random.Generator, n_frames: int = 32, every: int = 1, size: int = 224,
    version: int = 2,
) -> PhantomClip:  # fmt: skip
    """One clip of a study.

    Args:
        heart: Whose heart.
        clip: Which clip, through how good a window.
        rng: Draws machine, hold of the probe, beats and noise.
        n_frames: Frames of the whole clip at the machine's rate.
        every: Render frames 0, every, 2 * every, ... only.
        size: Height and width in pixels.
        version: Of the phantom, from 2.

    Returns:
        The rendered frames; clips without a left ventricle have contours of no points, (t, 0, 2).
    """
    on_the_day = replace(heart, heart_rate_bpm=float(np.clip(heart.heart_rate_bpm * rng.normal(1, 0.04), 40, 160)))
    fps, first_r_s = draw_timing(on_the_day, rng, n_frames)
    r_waves_s = draw_r_waves(on_the_day, rng, first_r_s)
    times_s = np.arange(n_frames) / fps
    states = cycle_states(on_the_day, times_s, r_waves_s, uneven_beats(heart, r_waves_s, rng))
    if clip.kind.startswith("spectral"):
        return _spectral(on_the_day, clip, rng, times_s, states, r_waves_s, every, size, fps)
    plan = (PLANS if version == 2 else PLANS_3)[clip.kind]
    harm = plan.veil + (1 - plan.veil) * clip.harm
    ventricle = CutVentricle(heart, _draw_cut(plan, harm, rng))
    if plan.room is not None:
        ventricle.keep_inside(plan.room)
    seen = _as_seen(heart, plan, harm, rng)
    whole = plan.scene(seen, ventricle, states.with_rest())
    whole.jets = _of_one_clip(whole.jets, np.random.default_rng(rng.integers(2**63)))  # their number draws nothing else
    whole = hold_in_window(whole, plan.place, heart, rng, np.concatenate([[0.0], times_s]), harm)
    if plan.swing_mm:
        whole = whole.moved(0.0, _drifting(plan, states.contraction, times_s, rng))
    machine = machines.draw_machine(rng, size, depth_mm(whole, rng))
    machine = machines.through_window(machine, harm, rng, plan.box is not None)
    if plan.zoom > 1:
        whole, machine = _zoomed(whole, machine, plan, rng)
    scene, times_s, duration_s = whole.frames(every), times_s[::every], n_frames / fps
    frames = render_scene(scene, machine, rng, n_frames, every, plan.box)
    burn_in(frames, machine, on_the_day, times_s, duration_s, r_waves_s)
    measured = slice(None) if plan.cut != "none" else slice(0, 0)
    return _finished(
        clip, frames, machine, states.contraction[::every], times_s, r_waves_s, duration_s, fps / every,
        *(machine.to_pixels(line[:, measured]).astype(np.float32) for line in (scene.endocardium, scene.epicardium)),
    )  # fmt: skip


def _finished(clip, frames, machine, contraction, times_s, r_waves_s, duration_s, fps, contours, epicardium):
    """The PhantomClip of rendered frames."""
    ed_frame, es_frame = key_frames(contraction, times_s, r_waves_s)
    inside = (r_waves_s >= 0) & (r_waves_s < duration_s)
    top = machine.to_pixels(np.zeros(2))
    return PhantomClip(
        frames=frames, fps=fps, view=clip.view,
        r_wave_times_s=tuple(round(float(t), 4) for t in r_waves_s[inside]),
        spacing_mm=machine.spacing_mm, ed_frame=ed_frame, es_frame=es_frame, contours=contours, epicardium=epicardium,
        foreshortened=False, sector=(float(top[0]), float(top[1]), machine.radius_px, machine.half_angle),
        name=clip.name,
    )  # fmt: skip


def _draw_cut(plan: Plan, harm: float, rng: np.random.Generator) -> Cut:
    """How far the plane lies from the standard one: the worse the window, the further, as far as a sonographer lets
    pass."""
    rotation, base, apex, systolic = plan.stray * rng.normal(0, 1, 4) * (STRAY_SD + harm * STRAY_SD_OF_HARM)
    height, oval = rng.normal(0, 0.06), abs(rng.normal(0, 0.05 + 0.1 * harm))
    if plan.cut == "short":
        return Cut(height=float(np.clip(plan.height + height, 0.1, 0.92)), oval=1 + oval)
    systolic, limits = systolic * plan.sway, np.array([45.0, 8.0, 13.0, 6.5 * plan.sway])
    return Cut(*(limits * np.tanh(np.array([rotation, base, apex, systolic]) / limits)).tolist())


# Rotation in degrees; distance of the plane at the base, at the apex (foreshortening) and gained in systole, mm.
STRAY_SD, STRAY_SD_OF_HARM = np.array([4.0, 1.2, 2.5, 1.0]), np.array([14.0, 5.0, 9.0, 2.0])


def _drifting(plan: Plan, contraction: np.ndarray, times_s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Where the whole heart is moved across the picture, mm (1 + t, 2), the rest row first."""
    by_beat = contraction[:, None] * rng.normal(0, plan.swing_mm, 2)
    amplitude, rate, phase, way = rng.gamma(2.0, 0.5), rng.uniform(1.2, 2.2), *rng.uniform(0, 2 * np.pi, 2)
    by_breath = plan.breath_mm * amplitude * np.sin(rate * times_s + phase)[:, None] * [np.cos(way), np.sin(way)]
    aside = plan.aside_mm * np.array([1 + 0.8 * rng.normal(), 0.0])
    return np.concatenate([[[0.0, 0.0]], by_beat + by_breath]) + aside


def _as_seen(heart: Heart, plan: Plan, harm: float, rng: np.random.Generator) -> Heart:
    """The heart with the sizes that this plane happens to show; what it does not show is anybody's."""
    lvef = float(np.clip(heart.lvef + rng.normal(0, 14), 10, 80))  # of the valves' opening and tethering
    around = rng.normal(0, 0.035 + 0.14 * harm, 4)
    right = heart.rv_basal_diameter * np.exp(around[0] * (0.5 if plan.place == "rv_focused" else 1.0))
    changes = {
        "lvesv": heart.lvedv * (1 - lvef / 100), "lavi": heart.lavi * np.exp(2 * around[1]),
        "ra_area": heart.ra_area * np.exp(2 * around[2]), "tapse": heart.tapse * np.exp(around[3]),
    }  # fmt: skip
    if not plan.shows_right:
        right = (31 + 0.15 * (heart.rv_basal_diameter - 31)) * np.exp(rng.normal(0, 0.1))
        changes |= {"tapse": 2.3, "rvsp": 28.0}
    return replace(heart, rv_basal_diameter=float(np.clip(right, 20, 75)), **changes)


def _of_one_clip(jets: list, rng: np.random.Generator) -> list:
    """Jets as one clip shows them: the plane misses some, and gain and angle change the size of all."""
    kept = []
    for jet in jets:
        missed, grown = rng.random() < 0.12, np.exp(rng.normal(0, 0.22))
        weaker = 0.35 if jet.turbulent and missed else 1.0
        kept.append(replace(jet, length=jet.length * grown * weaker**0.5, width=jet.width * grown * weaker**0.5))
    return kept


def _zoomed(scene: Scene, machine: machines.Machine, plan: Plan, rng: np.random.Generator):
    """The part around the mitral valve (apical) or the valves (parasternal), enlarged to the whole screen."""
    target = scene.endocardium[0, [0, -1]].mean(axis=0)
    if plan.place == "rv_focused":
        target = target - np.array([25.0, 0.0])
    middle = np.array([0.0, 0.55 * machine.depth_mm])
    factor = plan.zoom * float(np.exp(rng.normal(0, 0.08)))
    offset = middle - factor * (0.65 * target + 0.35 * middle)
    return scene.enlarged(factor, offset), replace(machine, enlarged=factor)


def _spectral(heart, clip, rng, times_s, states, r_waves_s, every, size, fps) -> PhantomClip:
    """A clip of spectral Doppler: the first part of a sweep of SWEEP_S, over that of the sweep before."""
    machine = machines.draw_machine(rng, size, 160.0)
    duration_s = len(times_s) / fps
    sweep_s = np.linspace(0, SWEEP_S, 2 * size)
    strength = uneven_beats(heart, r_waves_s, rng)
    velocity = velocity_m_s(clip.kind, heart, cycle_states(heart, sweep_s, r_waves_s, strength), rng)
    times_s = times_s[::every]
    frames = spectral_frames(machine, clip.kind, velocity, times_s / SWEEP_S % 1, clip.quality, rng)
    burn_in(frames, machine, heart, times_s % SWEEP_S, SWEEP_S, r_waves_s)
    none = np.zeros((len(frames), 0, 2), np.float32)
    return _finished(clip, frames, machine, states.contraction[::every], times_s, r_waves_s, duration_s, fps / every,
                     none, none)  # fmt: skip
