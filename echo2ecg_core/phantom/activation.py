"""How the ventricles and atria of a phantom heart fire: regional dipoles with directions, sizes and times.

Body frame: x to the left, y to the feet, z to the back (Frank). Each of the 17 LV segments and 3 RV regions is one
dipole pointing outwards (endocardium to epicardium); normal times follow the isochrones of Durrer et al., Circulation
1970, LBBB those of Auricchio et al., Circulation 2004. Repolarisation keeps the ventricular gradient (Wilson 1934): T
area = gradient - QRS area, which makes T concordant in health and discordant in LBBB and strain. Parameters are frozen.
"""

from dataclasses import dataclass

import numpy as np

from echo2ecg_core.findings import SEGMENTS
from echo2ecg_core.phantom.heart import Heart

REGIONS = (*SEGMENTS, "rv_apex", "rv_free_wall", "rv_outflow")
LV = len(SEGMENTS)
SEPTAL = np.array(["septal" in name for name in REGIONS])

# Activation centre of each region as a share of the QRS duration.
TIMES = {
    "normal": (.50, .34, .38, .66, .80, .70, .40, .16, .17, .52, .62, .54, .36, .22, .40, .44, .36, .48, .54, .70),
    "lbbb": (.50, .30, .34, .56, .80, .74, .46, .24, .26, .52, .74, .66, .42, .28, .44, .58, .42, .16, .18, .28),
    "rbbb": (.34, .24, .26, .45, .54, .48, .28, .12, .13, .36, .43, .38, .26, .17, .29, .31, .27, .58, .74, .82),
}  # fmt: skip
_WIDTH = {"normal": 0.130, "lbbb": 0.145, "rbbb": 0.090}
AREA = np.array([0.75] + [1.0] * 5 + [1.0] * 6 + [0.75] * 4 + [0.6] + [0.20, 0.40, 0.30])
# Right-bundle block leaves the right ventricle unopposed and slow.
_RV_SLOWING = {"normal": 1.0, "lbbb": 1.0, "rbbb": 1.45}


@dataclass(frozen=True)
class Depolarisation:
    """Dipoles of one ventricular activation.

    Attributes:
        moments: (20, 3) mV at unit lead strength, direction times size.
        times_ms: (20,) centre of each region after QRS onset. widths_ms: (20,) standard deviation of its pulse.
    """

    moments: np.ndarray
    times_ms: np.ndarray
    widths_ms: np.ndarray

    def area(self) -> np.ndarray:
        """(3,) QRS area vector, mV ms."""
        return np.sqrt(2 * np.pi) * self.widths_ms @ self.moments

    def pulses(self, times_ms: np.ndarray) -> np.ndarray:
        """(20, t) course of every region at the given times after QRS onset, peak 1."""
        return np.exp(-0.5 * ((times_ms[None] - self.times_ms[:, None]) / self.widths_ms[:, None]) ** 2)


def unit(vector) -> np.ndarray:
    vector = np.asarray(vector, dtype=float)
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def outward_directions(
    apex: tuple = (0.72, 0.58, -0.38),
    septal: tuple = (-0.62, 0.05, -0.78),
    base_tilt: float = -0.25,
    outflow: tuple = (-0.55, -0.60, -0.58),
    chest: tuple = (0.56, 0.72, 0.37),
) -> np.ndarray:
    """(20, 3) outward vectors of the regions: long axis to the left, feet and front, septum to the right and front.

    Args:
        apex: Where the long axis points. septal: Where the septum's right side points.
        base_tilt: How far basal walls point along the axis.
        outflow: Where the right ventricular outflow tract points.
        chest: Factors of the three axes: the chest flattens most what points to front or back.
    """
    axis, right_side = unit(apex), np.array(septal)
    right_side = unit(right_side - axis * (right_side @ axis))
    inferior = np.cross(right_side, axis)
    inferior = inferior if inferior[1] > 0 else -inferior
    angles = np.deg2rad([90, 150, 210, 270, 330, 30] * 2 + [90, 180, 270, 0])
    radial = -right_side * np.cos(angles)[:, None] - inferior * np.sin(angles)[:, None]
    along = np.array([base_tilt] * 6 + [0.15] * 6 + [0.75] * 4)[:, None]
    left = np.vstack([radial + along * axis, axis])
    right = np.array([(-0.25, 0.75, -0.60), (-0.78, 0.25, -0.58), outflow])
    return unit(np.vstack([left, right])) * np.array(chest)


DIRECTIONS = outward_directions()
LATERAL, RIGHT = unit((0.85, 0.20, 0.10)), unit((-0.45, 0.35, -0.75))
LONG_AXIS = unit(DIRECTIONS[SEGMENTS.index("apex")])


def region_sizes(heart: Heart, body: np.random.Generator) -> np.ndarray:
    """(20,) strength of each region: living wall mass, relative to a healthy heart.

    Wall thickness and cavity size raise it (Brody effect), scar silences it, diffuse fibrosis thins it, amyloid takes
    two thirds (low voltage despite thick walls: Carroll et al., Am J Cardiol 49:9-13, 1982); RV overload multiplies the
    right side.
    """
    septal, free = heart.ivsd / 0.82, heart.lvpwd / 0.80
    share = np.array([1.0 if s else 0.35 if "anter" in n else 0.0 for n, s in zip(SEGMENTS, SEPTAL, strict=False)])
    thickness = share * septal + (1 - share) * free
    size = AREA.copy()
    size[:LV] *= thickness * (heart.lvidd / 4.7) ** 1.1
    size[LV:] *= 1 + 0.065 * max(0.0, heart.rvsp - 38) + 0.05 * max(0.0, heart.rv_basal_diameter - 36)
    size[LV:] *= 2.6 if heart.conduction == "rbbb" else 1.0  # no longer cancelled by the left ventricle
    if heart.infarct_territory:
        relative = np.array(heart.wall_motion) / max(np.sort(heart.wall_motion)[-5:].mean(), 0.05)
        size[:LV] *= np.clip((relative - 0.12) / 0.62, 0.0, 1.0)
    anterior = np.array(["anter" in name or "apical" in name or name == "apex" for name in REGIONS])
    size[anterior] *= 1 - (0.3 if heart.conduction == "lbbb" else 0.85) * heart.fibrosis
    size *= np.exp(body.normal(0, 0.13, len(size)))
    return size * (0.34 if "amyloid" in heart.conditions else 1.0)


def depolarisation(
    heart: Heart, sizes: np.ndarray, body: np.random.Generator, fascicular_block: bool
) -> Depolarisation:
    """The ventricular activation of a conducted beat.

    In normal conduction the septum fires from both sides and mostly cancels; in LBBB it fires from right to left,
    whole. Fibrosis scatters times and narrows pulses (fragmented QRS over scar: Das et al., Circulation 2006). Anterior
    fascicular block delays the anterior and lateral base.
    """
    kind = heart.conduction
    times = np.array(TIMES[kind])
    sign = np.where(SEPTAL, -0.45 if kind == "lbbb" else 0.24, 1.0)
    if fascicular_block and kind != "lbbb":
        late = [
            SEGMENTS.index(n) for n in ("basal_anterior", "basal_anterolateral", "mid_anterolateral", "mid_anterior")
        ]
        times[late] += 0.11 if kind == "normal" else 0.07
        times[[SEGMENTS.index(n) for n in ("mid_inferior", "basal_inferior", "apical_inferior")]] -= 0.05
    scatter = (0.020 + 0.070 * heart.fibrosis) * (0.5 if kind == "lbbb" else 1.0)
    times = times + body.normal(0, scatter, len(times))
    widths = _WIDTH[kind] * (1 - (0.15 if kind == "lbbb" else 0.42) * heart.fibrosis * body.random(len(times)))
    widths[LV:] *= _RV_SLOWING[kind]
    low, high = (times - 2.05 * widths).min(), (times + 2.05 * widths).max()
    times, widths = (times - low) / (high - low), widths / (high - low)
    return Depolarisation((sizes * sign)[:, None] * DIRECTIONS, times * heart.qrs_ms, widths * heart.qrs_ms)


def ectopic_depolarisation(sizes: np.ndarray, rng: np.random.Generator) -> Depolarisation:
    """A ventricular ectopic beat: the wave crosses the heart from one region at muscle speed, 140-180 ms in all."""
    origin = DIRECTIONS[rng.integers(len(DIRECTIONS))]
    distance = 1 - DIRECTIONS @ origin  # 0 ... 2
    qrs_ms = rng.uniform(140, 178)
    times = 0.18 + 0.33 * distance
    outward = np.where(SEPTAL, 0.2, 1.0)
    travelling = -0.55 * origin  # the front runs away from its origin
    moments = sizes[:, None] * (0.75 * outward[:, None] * DIRECTIONS + travelling)
    return Depolarisation(0.8 * moments, times * qrs_ms, np.full(len(times), 0.11 * qrs_ms))


def t_wave_area(
    heart: Heart, sizes: np.ndarray, wave: Depolarisation, body: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Primary and secondary T area vectors, (3,) each, mV ms.

    The gradient points along the long axis; it shrinks with failing function, age and drugs (non-specific T flattening)
    and turns away from scar. The secondary part opposes the QRS area beyond a normal one: LBBB, strain.
    """
    reference = np.array((30.0, 16.0, 12.0))  # QRS area of a healthy heart, mV ms at unit lead strength
    strength = (
        86.0 * (1 - 0.010 * max(0.0, 60 - heart.lvef)) * np.exp(body.normal(0, 0.25) - 0.005 * (heart.age_years - 50))
    )
    strength *= (0.82 if heart.sex == "female" else 1.0) * (body.uniform(0.2, 0.7) if body.random() < 0.12 else 1.0)
    strength *= 0.6 if "amyloid" in heart.conditions else 1.0
    primary = strength * unit(LONG_AXIS + np.array((0.12, -0.12, -0.06)) + body.normal(0, 0.13, 3))
    if heart.infarct_territory:
        lost = AREA[:LV] * np.clip(1 - np.array(heart.wall_motion) / 0.8, 0, 1)
        primary -= 36.0 * body.uniform(0.4, 1.4) * lost @ DIRECTIONS[:LV]
    secondary = secondary_area(heart, wave.area() - reference, body)
    return primary * (1.0 if heart.conduction == "normal" else 0.6), secondary


def secondary_area(heart: Heart, excess: np.ndarray, body: np.random.Generator) -> np.ndarray:
    """(3,) the part of the T area that opposes the QRS area beyond a normal one, (3,): bundle branch block, strain."""
    thick = float(np.clip(max(heart.ivsd, heart.lvpwd) - 1.05, 0, 0.5)) * (0 if "amyloid" in heart.conditions else 1)
    if heart.conduction == "normal":
        strain = 0.5 * max(0.0, excess[0] - 8.0) + 250.0 * thick * body.uniform(0.4, 1.4)
        strain += 0.85 * max(0.0, 60 - heart.lvef) * body.uniform(0.2, 1.4)
        right_strain = 1.4 * max(0.0, heart.rvsp - 48) * body.uniform(0.3, 1.3)
        return -strain * LATERAL - right_strain * RIGHT
    return -1.1 * excess - 18.0 * LATERAL * (heart.conduction == "lbbb") - 14.0 * RIGHT * (heart.conduction == "rbbb")


def qt_ms(heart: Heart, body: np.random.Generator, men_ms: float = 398, women_ms: float = 410, sd: float = 15) -> float:
    """QT at the mean rate by Fridericia's cube root: QTc of men and women with a spread, longer in failure and with a
    wide QRS.

    Healthy women 413 +- 14 ms (rate-adjusted, 36,299 of the Women's Health Initiative, PMC3825808); in failure 471
    against 421 ms in controls at rest (Davey et al., Clin Sci 98:603-610, 2000).
    """
    corrected = body.normal(men_ms if heart.sex == "male" else women_ms, sd)
    corrected += 0.55 * max(0.0, 55 - heart.lvef) + 0.6 * max(0.0, heart.qrs_ms - 100) + 20 * heart.fibrosis
    return float(corrected * (60.0 / heart.heart_rate_bpm) ** (1 / 3))


def bell(milliseconds: np.ndarray, peak_ms: float, rise_ms: float, fall_ms: float) -> np.ndarray:
    """T wave with a slow upstroke and a fast downstroke, unit area in ms."""
    width = np.where(milliseconds < peak_ms, rise_ms, fall_ms)
    shape = np.exp(-0.5 * ((milliseconds - peak_ms) / width) ** 2)
    return shape / (np.sqrt(np.pi / 2) * (rise_ms + fall_ms))
