"""How the phantom's probe is held: place, angle, breath and depth of each view.

Never quite on axis, as in life; every eighth apical view may miss the apex (foreshortening) and says so. Millimetres
below the probe, x to the right of the screen, y is depth.
"""

from dataclasses import replace

import numpy as np

from echo2ecg_core.phantom.heart import Heart
from echo2ecg_core.phantom.structures import Scene

APICAL = ("A4C", "A2C", "A3C")
FORESHORTENED_SHARE = 0.12


def hold_probe(
    scene: Scene, view: str, heart: Heart, rng: np.random.Generator, times_s: np.ndarray, may_foreshorten: bool
) -> tuple[Scene, bool]:
    """The scene as seen from the probe's window, never quite on axis, drifting with the breath."""
    tilt, shift = rng.normal(0, 3.5), rng.normal(0, 2.5, 2)
    breath, chance, missed = rng.uniform(0, 2 * np.pi), rng.random(), rng.uniform(0.78, 0.9)
    foreshortened = bool(may_foreshorten and view in APICAL and chance < FORESHORTENED_SHARE)
    drift = np.stack([0.5 * np.sin(1.6 * times_s + breath), 1.0 * np.sin(1.6 * times_s + breath + 1)], axis=1)
    length, apex_wall = 10 * heart.lv_length_d, 7.2 * (heart.ivsd + heart.lvpwd) / 2
    wander = shift + drift
    if view in APICAL:
        to_keep_rv = 0.35 * (heart.rv_basal_diameter - 33) + 3.0 * (heart.ivsd - 0.9)  # inside the sector
        angle, apex_x = {"A4C": (-5.0, 6.0 + to_keep_rv), "A2C": (-2.0, -1.0), "A3C": (2.0, -2.0)}[view]
        whole = scene.squashed(missed) if foreshortened else scene
        return whole.moved(angle + tilt, np.array([apex_x, 15.0 + apex_wall]) + wander), foreshortened
    if view == "Parasternal_Short":
        depth = 20 + 0.55 * heart.rv_basal_diameter + 10 * heart.ivsd + 5 * heart.lvidd
        return scene.moved(tilt, np.array([9.0, depth]) + wander), False
    if view == "Parasternal_Long":
        depth = 14 + 0.75 * heart.rv_basal_diameter + 10 * heart.ivsd + 5 * heart.lvidd
        return _turned_to(scene, -80 + tilt, 0.75 * length, np.array([-10.0, depth]) + wander), False
    depth = 62 + 0.8 * heart.rv_basal_diameter + 5 * heart.lvidd
    return _turned_to(replace(scene, liver=True), 62 + tilt, 0.55 * length, np.array([12.0, depth]) + wander), False


def hold_in_window(
    scene: Scene, place: str, heart: Heart, rng: np.random.Generator, times_s: np.ndarray, harm: float
) -> Scene:
    """Version 2: the scene as seen from a window, the further off the more harm it does (0 ... 1).

    Args:
        times_s: (t,) with the rest row.
        place: "A4C", "A2C", "A3C", "A5C", "rv_focused", "Parasternal_Long", "Parasternal_Short", "aortic", "Subcostal",
            "cava" or "arch".
    """
    tilt, shift = rng.normal(0, 3.0 + 7 * harm), rng.normal(0, 2.0 + 6 * harm, 2)
    breath, size, rate = rng.uniform(0, 2 * np.pi), rng.gamma(2.0, 0.5 + 0.8 * harm), rng.uniform(1.2, 2.2)
    drift = size * np.stack([0.5 * np.sin(rate * times_s + breath), np.sin(rate * times_s + breath + 1)], axis=1)
    wander = np.concatenate([[[0.0, 0.0]], drift[1:]]) + shift
    chest = 8.0 * (heart.bsa_m2 - 1.87)  # a larger body keeps the heart further away
    walls, length = 7.2 * (heart.ivsd + heart.lvpwd) / 2, 10 * heart.lv_length_d
    apex_y = float(scene.endocardium[0, scene.endocardium.shape[1] // 2, 1])
    apical = {"A4C": (-5, 7), "A2C": (-2, -1), "A3C": (2, -2), "A5C": (-3, 6), "rv_focused": (-12, 24)}
    if place in apical:
        angle, x = apical[place]
        return scene.moved(angle + tilt, np.array([x, 14.0 + walls + 0.5 * chest - apex_y]) + wander)
    if place == "Parasternal_Short":
        return scene.moved(tilt, np.array([9.0, 40 + chest + 10 * heart.ivsd + 5 * heart.lvidd]) + wander)
    if place == "aortic":
        return scene.moved(tilt, np.array([4.0, 48 + chest]) + wander)
    if place == "arch":
        return scene.moved(tilt, np.array([4.0, 22 + 0.5 * chest]) + wander)
    if place == "Parasternal_Long":
        depth = 38 + chest + 10 * heart.ivsd + 5 * heart.lvidd
        return _turned_to(scene, -80 + tilt, 0.75 * length, np.array([-18.0, depth]) + wander)
    if place == "cava":
        return scene.moved(-4 + tilt, np.array([10.0, 72 + chest]) + wander)
    depth = 84 + chest + 5 * heart.lvidd
    return _turned_to(replace(scene, liver=True), 62 + tilt, 0.55 * length, np.array([12.0, depth]) + wander)


def _turned_to(scene: Scene, angle_deg: float, height: float, target: np.ndarray) -> Scene:
    """The scene turned clockwise, with the point of its long axis `height` mm below the apex on target (t, 2)."""
    a = np.radians(angle_deg)
    landing = height * np.array([-np.sin(a), np.cos(a)])
    return scene.moved(angle_deg, target - landing)


def depth_mm(scene: Scene, rng: np.random.Generator) -> float:
    """Depth setting, whole cm: what shows the chambers, and sometimes more."""
    lowest = max(float(chamber.outer[..., 1].max()) for chamber in scene.chambers)
    spare = (0, 10, 10, 20)[rng.integers(4)]
    return float(np.clip(10 * np.ceil((lowest + 8) / 10) + spare, 100, 260))
