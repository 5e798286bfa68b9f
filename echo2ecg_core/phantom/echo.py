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
from echo2ecg_core.phantom.structures import ColourBox, Scene
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
APICAL = ("A4C", "A2C", "A3C")
FORESHORTENED_SHARE = 0.12


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
        foreshortened: True when the cut misses the apex on purpose; volumes are then too small.
        sector: Probe position (x, y), radius in pixels, half angle in radians.
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

    def to_clip(self) -> EchoClip:
        """The clip as the rest of the product knows it: a synthetic clip with a known view."""
        return EchoClip(
            self.frames, self.fps, "phantom", f"phantom {self.view}", self.view, 1.0, self.spacing_mm, self.r_wave_times_s, True
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
    fps, first_r_s = _draw_timing(heart, rng, n_frames)
    r_waves_s = draw_r_waves(heart, rng, first_r_s)
    times_s = np.arange(n_frames) / fps
    states = cycle_states(heart, times_s, r_waves_s)
    whole = PLANE_OF_VIEW[view](heart, LeftVentricle(heart), states.with_rest())
    window, boxed = COLOUR_VIEWS.get(view, (view, None))
    whole, foreshortened = _hold_probe(whole, window, heart, rng, np.concatenate([[0.0], times_s]), may_foreshorten)
    machine = machines.draw_machine(rng, size, _depth_mm(whole, rng))
    scene, times_s, duration_s = whole.frames(every), times_s[::every], n_frames / fps
    frames = _render(scene, machine, rng, n_frames, every, boxed)
    _burn_in(frames, machine, heart, times_s, duration_s, r_waves_s)
    ed_frame, es_frame = _key_frames(states.contraction[::every], times_s, r_waves_s)
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


def _draw_timing(heart: Heart, rng: np.random.Generator, n_frames: int) -> tuple[float, float]:
    """Frame rate (30 to 60 /s, low enough for one beat in the clip) and time of the first R wave in the clip."""
    rr_s = 60 / heart.heart_rate_bpm
    fastest = float(np.clip(0.97 * n_frames / rr_s, 30.5, 60))
    fps = round(float(rng.uniform(30, fastest)), 1)
    triggered, anywhere = rng.uniform(0.0, 0.06), rng.uniform(0.0, rr_s)
    covers_beat = heart.rhythm != "af" and n_frames / fps > rr_s + 0.14
    return fps, float(anywhere if covers_beat and rng.random() < 0.4 else triggered)


def _hold_probe(
    scene: Scene, view: str, heart: Heart, rng: np.random.Generator, times_s: np.ndarray, may_foreshorten: bool
) -> tuple[Scene, bool]:
    """The scene as seen from the probe's window, never quite on axis, drifting with the breath."""
    tilt, shift = rng.normal(0, 3.5), rng.normal(0, 2.5, 2)
    breath, chance, missed = rng.uniform(0, 2 * np.pi), rng.random(), rng.uniform(0.78, 0.9)
    foreshortened = bool(may_foreshorten and view in APICAL and chance < FORESHORTENED_SHARE)
    drift = np.stack([0.5 * np.sin(1.6 * times_s + breath), 1.0 * np.sin(1.6 * times_s + breath + 1)], axis=1)
    length, apex_wall = 10 * heart.lv_length_d, 7.2 * (heart.ivsd + heart.lvpwd) / 2
    if view in APICAL:
        angle = {"A4C": -5.0, "A2C": -2.0, "A3C": 2.0}[view] + tilt
        centred = 6.0 + 0.35 * (heart.rv_basal_diameter - 33) + 3.0 * (heart.ivsd - 0.9)  # so that the RV stays in the sector
        apex = np.array([{"A4C": centred, "A2C": -1.0, "A3C": -2.0}[view], 15.0 + apex_wall])
        squash = missed if foreshortened else 1.0
        return scene.squashed(squash).moved(angle, 1.0, apex + shift + drift), foreshortened
    if view == "Parasternal_Short":
        depth = 20 + 0.55 * heart.rv_basal_diameter + 10 * heart.ivsd + 5 * heart.lvidd
        return scene.moved(tilt, 1.0, np.array([9.0, depth]) + shift + drift), False
    if view == "Parasternal_Long":
        angle, middle, target = -80 + tilt, [0.0, 0.75 * length], [-10.0, 14 + 0.75 * heart.rv_basal_diameter + 10 * heart.ivsd + 5 * heart.lvidd]
    else:
        angle, middle, target = 62 + tilt, [0.0, 0.55 * length], [12.0, 62 + 0.8 * heart.rv_basal_diameter + 5 * heart.lvidd]
        scene.liver = True
    turned = scene.moved(angle, 1.0, np.zeros(2))
    a = np.radians(angle)
    place = np.array(middle) @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    return turned.moved(0.0, 1.0, np.array(target) - place + shift + drift), False


def _depth_mm(scene: Scene, rng: np.random.Generator) -> float:
    """Depth setting, whole cm: what shows the chambers, and sometimes more."""
    lowest = max(float(chamber.outer[..., 1].max()) for chamber in scene.chambers)
    spare = (0, 10, 10, 20)[rng.integers(4)]
    return float(np.clip(10 * np.ceil((lowest + 8) / 10) + spare, 100, 260))


def _render(
    scene: Scene, machine: machines.Machine, rng: np.random.Generator, n_frames: int, every: int, boxed: ColourBox | None
) -> np.ndarray:
    """The scene on the machine's screen, with colour flow inside the box if there is one: (t, h, w, 3) uint8."""
    from echo2ecg_core.phantom import speckle
    from echo2ecg_core.phantom.doppler import ColourFlow

    texture = _texture()
    frame_shifts = rng.integers(0, speckle.TEXTURE, (n_frames, 4))[::every]
    looks, tables, reach, centres = _chambers_for_kernel(scene, rng)
    points, amplitudes, phases = _strands_for_kernel(scene, rng)
    beams, depths = machine.beams(), machine.depths_mm
    background = _with_liver(machine, beams, depths) if scene.liver else machine.background
    pixels, sources, weights = machines.scan_table(machine)
    n_frames = len(scene.endocardium)
    pictures = np.zeros((n_frames, machine.size * machine.size, 3), np.uint8)
    field = np.empty((2, *machine.gain.shape), np.float32)
    spare, gray = np.empty(machine.gain.shape, np.float32), np.empty(machine.gain.shape, np.float32)
    cavity = np.empty(machine.gain.shape, np.int8)
    flow = ColourFlow(scene, machine, boxed, pixels, sources, weights) if boxed else None
    step = float(depths[1] - depths[0])
    outside = 0.15 * scene.endocardium.mean(axis=1)
    for t in range(n_frames):
        speckle.echo_field(
            field, cavity, beams, depths, texture, tables[:, t], reach[:, t], centres[:, t], looks,
            machine.gain, background, machine.haze, outside[t], frame_shifts[t],
        )  # fmt: skip
        speckle.add_strands(field, points[t], amplitudes, phases, machine.gain, machine.half_angle, float(depths[0]), step)
        speckle.blur(field, spare, machine.lateral, machine.axial)
        speckle.compress(field, gray, texture, machine.noise, frame_shifts[t], machine.floor_db, machine.range_db)
        speckle.scan_convert(gray, pictures[t], pixels, sources, weights, machine.colours)
        if flow:
            flow.add(pictures[t], t, gray, cavity, beams, depths, texture, frame_shifts[t])
    frames = pictures.reshape(n_frames, machine.size, machine.size, 3)
    if flow:
        flow.burn_in(frames)
    return frames


def _texture() -> np.ndarray:
    """Periodic complex noise (256, 256, 2) of unit variance, smooth over one cell so that it can be interpolated."""
    global _noise
    if _noise is None:
        from echo2ecg_core.phantom.speckle import TEXTURE

        rng = np.random.default_rng(20240229)
        frequency = np.fft.fftfreq(TEXTURE)
        smooth = np.exp(-2 * (np.pi * 0.6) ** 2 * (frequency[:, None] ** 2 + frequency[None] ** 2))
        noise = np.fft.ifft2(np.fft.fft2(rng.normal(size=(2, TEXTURE, TEXTURE)), axes=(1, 2)) * smooth, axes=(1, 2)).real
        _noise = np.ascontiguousarray(np.moveaxis(noise / noise.std(), 0, -1), dtype=np.float32)
    return _noise


_noise: np.ndarray | None = None  # made at the first clip, the same in every process


def _chambers_for_kernel(scene: Scene, rng: np.random.Generator):
    """Looks (c, 4) and, for every chamber and frame, tables, squared reach and centres."""
    from echo2ecg_core.phantom.speckle import chamber_tables

    looks, tables, reach, centres = [], [], [], []
    for chamber in scene.chambers:
        centre = (chamber.inner.min(axis=1) + chamber.inner.max(axis=1)) / 2
        table, squares = chamber_tables(chamber.inner, chamber.outer, centre, chamber.along, chamber.thickness)
        looks.append([chamber.wall, chamber.blood, chamber.lining, rng.uniform(0, 256)])
        tables.append(table)
        reach.append(squares)
        centres.append(centre)
    return np.array(looks, np.float32), np.stack(tables), np.stack(reach), np.stack(centres).astype(np.float32)


def _strands_for_kernel(scene: Scene, rng: np.random.Generator):
    """Point reflectors of all strands: positions (t, p, 2) mm, amplitudes (p,), complex phases (p, 2)."""
    points, amplitudes = [np.zeros((len(scene.endocardium), 0, 2))], [np.zeros(0)]
    for strand in scene.strands:
        k = strand.points.shape[1]
        at = np.linspace(0, k - 1, 2 * k)
        low = np.clip(at.astype(int), 0, k - 2)
        share = (at - low)[:, None]
        jitter = rng.normal(0, 0.4 * strand.thickness, (2 * k, 2))
        points.append(strand.points[:, low] * (1 - share) + strand.points[:, low + 1] * share + jitter)
        amplitudes.append(np.full(2 * k, strand.amplitude))
    total = np.concatenate(amplitudes)
    turn = rng.uniform(0, 2 * np.pi, len(total))
    phases = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return np.concatenate(points, axis=1).astype(np.float32), total.astype(np.float32), phases.astype(np.float32)


def _with_liver(machine: machines.Machine, beams: np.ndarray, depths: np.ndarray) -> np.ndarray:
    """Background (b, r) of the subcostal window: even liver tissue on top down to the diaphragm."""
    x, y = depths[None] * beams[:, :1], depths[None] * beams[:, 1:]
    edge = 66 - 0.32 * x
    liver = np.where(y < edge, 0.62, machine.background)
    diaphragm = np.exp(-0.5 * ((y - edge) / 1.6) ** 2)
    return (liver + 1.6 * diaphragm).astype(np.float32)


def _burn_in(frames: np.ndarray, machine: machines.Machine, heart: Heart, times_s, duration_s: float, r_waves_s) -> None:
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


def _key_frames(contraction: np.ndarray, times_s: np.ndarray, r_waves_s: np.ndarray) -> tuple[int, int]:
    """Rendered frames at end-diastole and end-systole of the first average beat that shows them."""
    average = np.flatnonzero(times_s < r_waves_s[2])
    es_frame = int(average[np.argmax(contraction[average])])
    full = average[contraction[average] <= contraction[average].min() + 0.01]
    before = full[full < es_frame]
    candidates = before if before.size else full
    from_r = np.abs(times_s[candidates, None] - r_waves_s - 0.03).min(axis=1)  # the mitral valve has just closed
    return int(candidates[np.argmin(from_r)]), es_frame
