"""Echo clips of phantom hearts: `render_clip` draws one view of one heart as a machine would show it.

The order is: cycle (when) -> left ventricle and scene (where) -> probe (how it is held) -> machine (what the screen
shows). The same seed gives the same clip, and `every=2` gives exactly the even frames of `every=1`. All shown
quantities are the Heart's; a deliberately foreshortened apical view is flagged.
"""

from dataclasses import dataclass

import numpy as np

from echo2ecg_core.echo.clip import EchoClip
from echo2ecg_core.phantom import machine as machines
from echo2ecg_core.phantom import scenes
from echo2ecg_core.phantom.cycle import cycle_states, draw_r_waves
from echo2ecg_core.phantom.heart import Heart
from echo2ecg_core.phantom.picture import render_scene
from echo2ecg_core.phantom.probe import depth_mm, hold_probe
from echo2ecg_core.phantom.structures import ColourBox
from echo2ecg_core.phantom.ventricle import LeftVentricle

PLANE_OF_VIEW = {
    "A4C": scenes.four_chamber,
    "A2C": scenes.two_chamber,
    "A3C": scenes.long_axis,
    "Parasternal_Long": scenes.long_axis,
    "Parasternal_Short": scenes.short_axis,
    "Subcostal": scenes.four_chamber,
    "Apical_Doppler": scenes.four_chamber,
    "Doppler_Parasternal_Long": scenes.long_axis,
}
PHANTOM_VIEWS = tuple(PLANE_OF_VIEW)
# Colour Doppler views: the window they are seen from and their colour box (A4C: LA and RA; PLAX: LA and the outflow).
COLOUR_VIEWS = {
    "Apical_Doppler": ("A4C", ColourBox((1, 3))),
    "Doppler_Parasternal_Long": ("Parasternal_Long", ColourBox((2,), left_rad=0.25)),
}


@dataclass(frozen=True, eq=False)
class PhantomClip:
    """One rendered view.

    Attributes:
        frames: (t, h, w, 3) uint8 RGB, only the rendered frames.
        fps: Rate of the rendered frames (with `every=2` half the machine's).
        view: A name of PHANTOM_VIEWS.
        r_wave_times_s: R waves within the clip, seconds after its first frame.
        spacing_mm: Pixel size.
        ed_frame, es_frame: Rendered frames at end-diastole and at the end-systole that follows.
        contours: (t, k, 2) LV endocardium, x and y in pixels; apical and long-axis views run from one end of the
            annulus over the apex to the other, the short axis goes round.
        epicardium: (t, k, 2) outer surface of the LV wall in pixels, point by point beside `contours`.
        foreshortened: True when the cut misses the apex on purpose; volumes are then too small. Never in version 2,
            where every plane misses it by a little or more.
        sector: Probe position (x, y), radius in pixels, half angle in radians.
        name: Within its study; empty for a clip that was rendered without one.
    """

    frames: np.ndarray
    fps: float
    view: str
    r_wave_times_s: tuple[float, ...]
    spacing_mm: float
    ed_frame: int
    es_frame: int
    contours: np.ndarray
    epicardium: np.ndarray
    foreshortened: bool
    sector: tuple[float, float, float, float]
    name: str = ""

    def to_clip(self) -> EchoClip:
        """The clip as the rest of the product knows it: a synthetic clip with a known view."""
        return EchoClip(
            self.frames,
            self.fps,
            "phantom",
            f"phantom {self.name or self.view}",
            self.view,
            1.0,
            self.spacing_mm,
            self.r_wave_times_s,
            True,
        )


def render_clip(
    heart: Heart, view: str, rng: np.random.Generator, n_frames: int = 32, every: int = 1, size: int = 224,
    may_foreshorten: bool = True,
) -> PhantomClip:  # fmt: skip
    """One view of a heart as an ultrasound clip.

    Args:
        heart: Whose heart.
        view: A name of PHANTOM_VIEWS.
        rng: Draws machine, probe position, beats and noise.
        n_frames: Frames of the whole clip at the machine's rate (30 to 60 frames/s).
        every: Render frames 0, every, 2 * every, ... only.
        size: Height and width in pixels.
        may_foreshorten: Let every eighth apical view miss the apex.

    Returns:
        The rendered frames with everything that is known about them.
    """
    fps, first_r_s = draw_timing(heart, rng, n_frames)
    r_waves_s = draw_r_waves(heart, rng, first_r_s)
    times_s = np.arange(n_frames) / fps
    states = cycle_states(heart, times_s, r_waves_s)
    whole = PLANE_OF_VIEW[view](heart, LeftVentricle(heart), states.with_rest())
    window, boxed = COLOUR_VIEWS.get(view, (view, None))
    whole, foreshortened = hold_probe(whole, window, heart, rng, np.concatenate([[0.0], times_s]), may_foreshorten)
    machine = machines.draw_machine(rng, size, depth_mm(whole, rng))
    scene, times_s, duration_s = whole.frames(every), times_s[::every], n_frames / fps
    frames = render_scene(scene, machine, rng, n_frames, every, boxed)
    burn_in(frames, machine, heart, times_s, duration_s, r_waves_s)
    ed_frame, es_frame = key_frames(states.contraction[::every], times_s, r_waves_s)
    inside = (r_waves_s >= 0) & (r_waves_s < duration_s)
    top = machine.to_pixels(np.zeros(2))
    return PhantomClip(
        frames=frames,
        fps=fps / every,
        view=view,
        r_wave_times_s=tuple(round(float(t), 4) for t in r_waves_s[inside]),
        spacing_mm=machine.spacing_mm,
        ed_frame=ed_frame,
        es_frame=es_frame,
        contours=machine.to_pixels(scene.endocardium).astype(np.float32),
        epicardium=machine.to_pixels(scene.epicardium).astype(np.float32),
        foreshortened=foreshortened,
        sector=(float(top[0]), float(top[1]), machine.radius_px, machine.half_angle),
    )


def draw_timing(heart: Heart, rng: np.random.Generator, n_frames: int) -> tuple[float, float]:
    """Frame rate (30 to 60 /s, low enough for one beat in the clip) and time of the first R wave in the clip."""
    rr_s = 60 / heart.heart_rate_bpm
    fastest = float(np.clip(0.97 * n_frames / rr_s, 30.5, 60))
    fps = round(float(rng.uniform(30, fastest)), 1)
    triggered, anywhere = rng.uniform(0.0, 0.06), rng.uniform(0.0, rr_s)
    covers_beat = heart.rhythm != "af" and n_frames / fps > rr_s + 0.14
    return fps, float(anywhere if covers_beat and rng.random() < 0.4 else triggered)


def burn_in(frames: np.ndarray, machine: machines.Machine, heart: Heart, times_s, duration_s: float, r_waves_s) -> None:
    """Put scale, label and ECG strip on all frames, and the strip's marker where each frame stands."""
    trace_s = np.linspace(0, duration_s, 2 * machine.size)
    has_p = heart.rhythm != "af"
    trace = machines.ecg_strip(trace_s, r_waves_s, heart.pr_ms / 1000, heart.qrs_ms / 1000, has_p)
    pixels, colours = machines.overlay(machine, trace)
    frames.reshape(len(frames), -1, 3)[:, pixels] = colours
    strip_top = round(machine.size * (1 - machines.STRIP_SHARE)) + 1
    x, _ = machines.strip_position(machine, times_s / duration_s, 0.0)
    for frame, at in zip(frames, np.rint(x).astype(int), strict=True):
        frame[strip_top : machine.size - 1, at] = (230, 200, 80)


def key_frames(contraction: np.ndarray, times_s: np.ndarray, r_waves_s: np.ndarray) -> tuple[int, int]:
    """Rendered frames at end-diastole and end-systole of the first average beat that shows them."""
    average = np.flatnonzero(times_s < r_waves_s[2])
    es_frame = int(average[np.argmax(contraction[average])])
    full = average[contraction[average] <= contraction[average].min() + 0.01]
    before = full[full < es_frame]
    candidates = before if before.size else full
    from_r = np.abs(times_s[candidates, None] - r_waves_s - 0.03).min(axis=1)  # the mitral valve has just closed
    return int(candidates[np.argmin(from_r)]), es_frame
