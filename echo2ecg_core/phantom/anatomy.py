"""Anatomy and function below the conditions: every number of a phantom heart, with its source.

Plain conditional distributions, one function a node of the graph. Means and spreads of healthy hearts are those of
ASE/EACVI 2015 (Lang et al., J Am Soc Echocardiogr 28:1-39). A source at a disease stands for the direction of its
effect; the size is ours unless a number is quoted. Parameters are frozen.
"""

import math
from typing import TypedDict

import numpy as np

from echo2ecg_core.findings import score_index

# Truncated prolate ellipsoid cut half a long semi-axis above the equator: V = (3/4) * (pi/4) * D^2 * L.
SHAPE = 0.75 * math.pi / 4
# Share of the (log) systolic volume change that the long axis takes; MAPSE about 14 % of length at a normal LVEF.
LONG_AXIS_SHARE = 0.16
NORMAL_LVEF = 62.0

# Inter-observer standard deviations; *_share are relative. Chosen to the size that repeated readings show (LVEF and
# volumes: Thavendiranathan et al., J Am Coll Cardiol 61:77-84, 2013, where LVEF by 2D may differ by more than 10
# points; most studies reach a coefficient of variation below 7 % of LVEDV and 8 % of LVEF: Crowley et al., J Am Soc
# Echocardiogr 29:1144-1154, 2016).
OBSERVER_SD = {
    "lvef": 3.5, "lvedv_share": 0.07, "lvidd": 0.17, "lvids": 0.19, "ivsd": 0.08, "lvpwd": 0.08, "lavi_share": 0.09,
    "ra_area_share": 0.07, "rv_basal_diameter": 2.0, "tapse": 0.14, "rvsp": 4.0,
}  # fmt: skip
# Version 2: one reader of the laboratory. Two experts differ by 0.96 +- 7.0 points of biplane LVEF, 7.0 / sqrt(2) each
# (140 patients; Akil et al., Clin Physiol Funct Imaging 2024, 10.1111/cpf.12918); the rest grows in proportion.
OBSERVER_SD_2 = {
    "lvef": 5.0, "lvedv_share": 0.11, "lvidd": 0.24, "lvids": 0.27, "ivsd": 0.11, "lvpwd": 0.11, "lavi_share": 0.13,
    "ra_area_share": 0.10, "rv_basal_diameter": 2.9, "tapse": 0.20, "rvsp": 5.5,
}  # fmt: skip
# Version 3: as version 2, but LVEF by a reader between the study's experts and those of intermediate experience, who
# differed by 5.0 points among one another: 6.0 / sqrt(2).
OBSERVER_SD_3 = OBSERVER_SD_2 | {"lvef": 4.2}
OF_VERSION = {1: OBSERVER_SD, 2: OBSERVER_SD_2, 3: OBSERVER_SD_3}

# Segments (name parts) of each coronary territory: core and border. Cerqueira et al., Circulation 2002.
_CORE = {
    "anterior": ("mid_anterior", "mid_anteroseptal", "apical_anterior", "apical_septal", "apex"),
    "inferior": ("basal_inferior", "mid_inferior", "basal_inferoseptal"),
    "lateral": ("basal_inferolateral", "mid_inferolateral", "basal_anterolateral", "mid_anterolateral"),
}
_BORDER = {
    "anterior": ("basal_anterior", "basal_anteroseptal", "mid_inferoseptal", "apical_lateral", "apical_inferior"),
    "inferior": ("mid_inferoseptal", "apical_inferior", "basal_inferolateral"),
    "lateral": ("apical_lateral", "basal_inferior", "mid_inferior"),
}
_REGION_SIZE = {"anterior": 1.0, "inferior": 0.62, "lateral": 0.62}

# Thickening as a share of normal below which an observer calls a segment hypokinetic, and akinetic; see
# `wall_motion_scores`.
HYPOKINETIC_BELOW, AKINETIC_BELOW = 0.8, 0.35


def ellipsoid_volume_ml(diameter: float, length: float) -> float:
    """Volume in mL of the truncated ellipsoid with equatorial diameter and length in cm."""
    return SHAPE * diameter**2 * length


def diameter_cm(volume_ml: float, sphericity: float) -> float:
    """Equatorial diameter in cm of the truncated ellipsoid with this volume and length/diameter ratio."""
    return (volume_ml / (SHAPE * sphericity)) ** (1 / 3)


def systolic_size(diameter: float, length: float, volume_ratio: float) -> tuple[float, float]:
    """Diameter and length in cm after the volume has shrunk to `volume_ratio` of end-diastole."""
    return diameter * volume_ratio ** ((1 - LONG_AXIS_SHARE) / 2), length * volume_ratio**LONG_AXIS_SHARE


def linear_mass_g(lvidd: float, ivsd: float, lvpwd: float) -> float:
    """LV mass in g from linear dimensions in cm (Devereux cube formula, ASE/EACVI 2015)."""
    return 0.8 * 1.04 * ((lvidd + ivsd + lvpwd) ** 3 - lvidd**3) + 0.6


def draw_function(
    rng: np.random.Generator, sex: str, age_years: float, found: tuple[str, ...], territory: str | None, extent: float
) -> tuple[float, float]:
    """LVEF in percent before rhythm and conduction act, and diffuse fibrosis 0 ... 1.

    Healthy 62 +- 5 (men), 64 +- 5 (women). Dilated 31 +- 8, a third early or recovering at 46 +- 4 (such courses: Japp
    et al., J Am Coll Cardiol 67:2996-3010, 2016); hypertensive hearts are mostly preserved, one in six fails
    (hypertension makes failure two to three times as likely: Levy et al., JAMA 275:1557-1562, 1996); HCM 67 +- 6,
    amyloid 49 +- 10; infarction takes in proportion to scar (infarct size and LVEF, r = -0.75: Wu et al., Heart
    94:730-736, 2008).
    """
    base = rng.normal(62 if sex == "male" else 64, 4.6)
    fibrosis = rng.beta(1.2, 16) + 0.0012 * max(0.0, age_years - 50)
    if "dilated_cm" in found:
        early = rng.random() < 0.32  # found early or recovering under treatment
        base = rng.normal(46, 4) if early else rng.normal(31, 8)
        fibrosis += rng.beta(2.4, 10 if early else 4.6)
    if "hypertensive_lvh" in found:
        base = rng.normal(43, 7) if rng.random() < 0.17 else base - 1
        fibrosis += rng.beta(1.5, 8)
    if "hcm" in found:
        base, fibrosis = rng.normal(67, 6), fibrosis + rng.beta(2, 6)
    if "amyloid" in found:
        base, fibrosis = rng.normal(49, 10), fibrosis + rng.beta(3, 5)
    if "aortic_stenosis" in found and rng.random() < 0.2:
        base -= abs(rng.normal(0, 14))
    if territory:
        loss = _REGION_SIZE[territory] * extent
        base = base * (1 - 0.62 * loss) + rng.normal(0, 4)
        fibrosis += 0.15 * extent
    return float(np.clip(base, 12, 80)), float(np.clip(fibrosis, 0, 0.65))


def dyssynchronous_lvef(rng: np.random.Generator, lvef: float, rhythm: str, conduction: str) -> float:
    """LVEF after LBBB (-5 points on average) and AF (-3 points) have taken their share.

    LBBB makes heart failure 2.9 times as likely (Zhang et al., J Card Fail 21:307-312, 2015).
    """
    lvef -= max(0.0, rng.normal(5, 3)) * (conduction == "lbbb") + max(0.0, rng.normal(3, 3)) * (rhythm == "af")
    return float(np.clip(lvef, 10, 80))


def draw_left_valves(rng: np.random.Generator, found: tuple[str, ...], lvef: float) -> dict[str, int]:
    """Grades 0-3 of aortic stenosis, aortic and mitral regurgitation.

    Named disease is moderate (60 %) or severe; mild leaks are common (mitral in 19 %, aortic in 8 to 13 % with
    traces: Singh et al., Am J Cardiol 83:897-902, 1999); failing ventricles leak functionally (27 % not, 49 % mildly to
    moderately, 24 % severely: Rossi et al., Heart 97:1675-1680, 2011).
    """
    stenosis = _disease_grade(rng) if "aortic_stenosis" in found else 0
    aortic = _disease_grade(rng) if "aortic_regurgitation" in found else int(rng.random() < 0.12)
    mitral = _disease_grade(rng) if "mitral_regurgitation" in found else int(rng.random() < 0.25)
    functional = int(np.clip(round(rng.normal((46 - lvef) * 0.06, 0.6)), 0, 3)) if lvef < 46 else 0
    return {"as_grade": stenosis, "ar_grade": aortic, "mr_grade": max(mitral, functional)}


def _disease_grade(rng: np.random.Generator) -> int:
    return 2 if rng.random() < 0.6 else 3


def draw_cavity(
    rng: np.random.Generator,
    sex: str,
    age_years: float,
    bsa_m2: float,
    found: tuple[str, ...],
    lvef: float,
    valves: dict[str, int],
) -> tuple[float, float]:
    """End-diastolic volume in mL and length/diameter ratio.

    Healthy 54 +- 10 (men) and 45 +- 8 mL/m2 (women), shrinking slightly with age; a failing ventricle dilates to keep
    its stroke volume; regurgitation adds volume, concentric disease takes some. Length/diameter 1.5, towards 1.25 in
    dilated hearts, which become rounder (length/diameter improves under carvedilol: Lowes et al., Am J Cardiol 1999).
    """
    indexed = rng.normal(54, 8.5) if sex == "male" else rng.normal(45, 6.8)
    indexed = max(indexed, 28.0) - 0.08 * (age_years - 55)
    dilation = 0.68 if "dilated_cm" in found else 0.50
    factor = (NORMAL_LVEF / min(lvef, NORMAL_LVEF)) ** dilation * math.exp(rng.normal(0, 0.05))
    factor *= 1 + 0.08 * max(0, valves["mr_grade"] - 1) + 0.14 * max(0, valves["ar_grade"] - 1)
    factor *= 0.88 if "hcm" in found or "amyloid" in found else 1.0
    lvedv = float(np.clip(indexed * bsa_m2 * factor, 35, 420))
    sphericity = rng.normal(1.52, 0.07) - 0.22 * np.clip((lvedv / bsa_m2 - 55) / 60, 0, 1.2)
    return lvedv, float(np.clip(sphericity, 1.18, 1.75))


def draw_walls(
    rng: np.random.Generator, sex: str, age_years: float, found: tuple[str, ...], valves: dict[str, int]
) -> tuple[float, float]:
    """Septal and posterior wall thickness in cm at end-diastole.

    Healthy inside 0.6-1.0 (men), 0.6-0.9 (women). Hypertension adds 0.33, aortic stenosis 0.12 a grade; HCM septum 1.75
    with a spared posterior wall (from 1.5 to beyond 3.0 in 237 patients of a community: Olivotto et al., J Am Coll
    Cardiol 41:315-321, 2003); amyloid 1.55 all round, at least 1.2 (maximal wall 1.7 +- 0.34: Gonzalez-Lopez
    et al., Eur Heart J 2015).
    """
    male = sex == "male"
    septum = rng.normal(0.84 if male else 0.76, 0.075) + 0.0012 * (age_years - 50)
    posterior_ratio = rng.normal(0.97, 0.05)
    if "hypertensive_lvh" in found:
        septum += max(0.08, rng.normal(0.33, 0.12))
    septum += 0.12 * valves["as_grade"] * max(0.2, rng.normal(1, 0.35))
    if "hcm" in found:
        septum, posterior_ratio = max(1.35, rng.normal(1.75, 0.3)), rng.normal(0.62, 0.08)
    if "amyloid" in found:
        septum, posterior_ratio = max(1.2, rng.normal(1.55, 0.22)), rng.normal(0.95, 0.05)
    if "dilated_cm" in found or "mitral_regurgitation" in found:
        septum += rng.normal(0.05, 0.06)
    ivsd = float(np.clip(septum, 0.55, 2.6))
    return ivsd, float(np.clip(ivsd * posterior_ratio, 0.55, 2.0))


def draw_lavi(
    rng: np.random.Generator, found: tuple[str, ...], lvef: float, rhythm: str, valves: dict[str, int], ivsd: float
) -> float:
    """Left atrial volume index in mL/m2: healthy 25 +- 5; filling pressure, mitral leak and AF enlarge it.

    Left atrial volume rises with the grade of diastolic dysfunction (Tsang et al., Am J Cardiol 2002).
    """
    lavi = 25.0 + 0.30 * max(0.0, 55 - lvef) + 7 * max(0, valves["mr_grade"] - 1) + 10 * max(0.0, ivsd - 1.05)
    lavi += 11 * (rhythm == "af") + 9 * ("amyloid" in found) + 6 * ("hcm" in found)
    return float(np.clip(lavi * math.exp(rng.normal(0, 0.17)), 12, 120))


class RightHeart(TypedDict):
    """RVSP (mmHg), RV basal diameter (mm), TAPSE (cm), right atrial area (cm2), tricuspid grade 0-3."""

    rvsp: float
    rv_basal_diameter: float
    tapse: float
    ra_area: float
    tr_grade: int


def draw_right_heart(
    rng: np.random.Generator, sex: str, age_years: float, found: tuple[str, ...], lvef: float, lavi: float, rhythm: str,
    valves: dict[str, int],
) -> RightHeart:  # fmt: skip
    """RVSP (mmHg), RV basal diameter (mm), TAPSE (cm), right atrial area (cm2) and tricuspid grade.

    Healthy RVSP about 25, RV 33 +- 4 mm, TAPSE 2.4 +- 0.35 (the last two ASE/EACVI 2015; see also Rudski et al., J Am
    Soc Echocardiogr 2010). Left-heart pressure is passed on; precapillary disease reaches 62 +- 16 and weakens the RV
    (TAPSE below 1.8 goes with a weak RV and large atrium: Forfia et al., Am J Respir Crit Care Med 2006).
    """
    rvsp = rng.normal(25, 4) + 0.05 * (age_years - 55)
    rvsp += 0.38 * max(0.0, lavi - 30) + 0.16 * max(0.0, 45 - lvef) + 2 * valves["mr_grade"]
    if "pulmonary_hypertension" in found:
        rvsp = max(rvsp, 40.0, rng.normal(62, 16))
    rvsp = float(np.clip(rvsp, 14, 120))
    load = max(0.0, rvsp - 35)
    rv = rng.normal(33.5 if sex == "male" else 30.5, 3.0) + 0.20 * load + 2.0 * (rhythm == "af")
    tr_grade = int(
        np.clip(round(rng.normal(0.25 + 0.035 * load + 0.08 * (rv - 34) + 0.35 * (rhythm == "af"), 0.55)), 0, 3)
    )
    rv += 2.5 * max(0, tr_grade - 1)
    tapse = rng.normal(2.35, 0.28) - 0.012 * load - 0.016 * max(0.0, 50 - lvef) - 0.15 * (rhythm == "af")
    ra_area = (14.5 + 0.07 * load + 2.0 * tr_grade + 4.0 * (rhythm == "af")) * math.exp(rng.normal(0, 0.13))
    return {
        "rvsp": rvsp, "rv_basal_diameter": float(np.clip(rv, 22, 70)), "tapse": float(np.clip(tapse, 0.6, 3.4)),
        "ra_area": float(ra_area), "tr_grade": tr_grade,
    }  # fmt: skip


class Intervals(TypedDict):
    """Mean ventricular rate, PR interval (meaningless in AF) and QRS duration."""

    heart_rate_bpm: float
    pr_ms: float
    qrs_ms: float


def draw_intervals(
    rng: np.random.Generator, sex: str, age_years: float, lvef: float, lvedv: float, mass_g: float, lavi: float,
    fibrosis: float, rhythm: str, conduction: str, first_degree_block: bool,
) -> Intervals:  # fmt: skip
    """Mean ventricular rate (bpm), PR and QRS (ms).

    QRS 92 (men) / 86 ms (women) +- 7 (36,299 healthy women of the Women's Health Initiative: QRS 85 +- 8, PR 158, rate
    66 +- 9, PMC3825808), longer in large, heavy and fibrosed ventricles (102 ms with abnormal LVEF, 91 with normal:
    Murkofsky et al., J Am Coll Cardiol 32:476-482, 1998); LBBB and RBBB about 150 and 138. PR 158 +- 19, longer
    with a large atrium and age. Rate 69 +- 11, faster in failure although half are beta-blocked; AF 82 +- 17.
    """
    qrs = rng.normal(92 if sex == "male" else 86, 6.5)
    qrs += 0.06 * (min(lvedv, 110) - 95) + 0.11 * max(0.0, lvedv - 110) + 0.028 * max(0.0, mass_g - 160) + 18 * fibrosis
    if conduction != "normal":
        qrs = (
            rng.normal(*((142, 11) if conduction == "lbbb" else (135, 10)))
            + 0.06 * max(0.0, lvedv - 110)
            + 8 * fibrosis
        )
    pr = rng.normal(154, 18) + 0.30 * (age_years - 55) + 0.35 * max(0.0, lavi - 28)
    pr = max(pr, 204.0) + abs(rng.normal(12, 16)) if first_degree_block else min(pr, 199.0)
    rate = rng.normal(69 if sex == "male" else 71, 11)
    rate += 0.40 * max(0.0, 52 - lvef) - 9 * (lvef < 50 and rng.random() < 0.5)
    if rhythm == "af":
        rate = rng.normal(82, 17) + 0.2 * max(0.0, 52 - lvef)
    return {
        "heart_rate_bpm": float(np.clip(rate, 45, 150)), "pr_ms": float(np.clip(pr, 110, 330)),
        "qrs_ms": float(np.clip(qrs, 74, 200)),
    }  # fmt: skip


def draw_wall_motion(
    rng: np.random.Generator,
    lvef: float,
    territory: str | None,
    extent: float,
    conduction: str,
    segments: tuple[str, ...],
) -> tuple[float, ...]:
    """Systolic thickening of each segment as a share of normal; its mean is LVEF / 62.

    Scar akinetic in the core and hypokinetic at the border; LBBB halves the septum's share; dilated hearts are
    hypokinetic all over.
    """
    pattern = np.clip(rng.normal(1.0, 0.05, len(segments)), 0.85, 1.15)
    for index, name in enumerate(segments):
        if territory and name in _CORE[territory]:
            pattern[index] *= max(0.02, 1 - 1.35 * extent)
        elif territory and name in _BORDER[territory]:
            pattern[index] *= 1 - 0.6 * extent
        if conduction == "lbbb" and "septal" in name and "apical" not in name:
            pattern[index] *= 0.55
    motion = pattern * (lvef / NORMAL_LVEF) / pattern.mean()
    return tuple(float(value) for value in np.clip(motion, 0.0, 1.35))


def wall_motion_scores(wall_motion: tuple[float, ...]) -> tuple[int, ...]:
    """Score of each segment from its thickening as a share of normal: 1 normal or hyperkinetic, 2 hypokinetic, 3
    akinetic.

    ASE/EACVI 2015 names the scores and leaves the limits to the eye. Textbooks (ecgwaves.com) put them at 30 % and 10 %
    of thickening, 0.75 and 0.25 of a normal 40 %; segmental ejection fractions of 65, 40 and 15 % for the three scores
    (Lebeau et al., Echo Res Pract 5:63-69, 2018) part them at 0.85 and 0.44 of 62 %. Taken is the middle of both; it
    leaves all but a few healthy ventricles at an index of 1.0. Scores carry no observer noise; 4 does not occur: no
    wall bulges.
    """
    return tuple(1 if share >= HYPOKINETIC_BELOW else 2 if share >= AKINETIC_BELOW else 3 for share in wall_motion)


def observed(heart, rng: np.random.Generator | None, version: int = 1) -> dict[str, float]:
    """Labels of a Heart, with inter-observer noise when `rng` is given; ESV and SV follow the noisy LVEDV and LVEF."""
    sd = OF_VERSION[version] if rng is not None else dict.fromkeys(OBSERVER_SD, 0.0)
    noise = rng.normal(size=len(sd)) if rng is not None else np.zeros(len(sd))
    shift = dict(zip(sd, noise * np.array(list(sd.values())), strict=True))
    lvef = float(np.clip(heart.lvef + shift["lvef"], 5, 85))
    lvedv = heart.lvedv * math.exp(shift["lvedv_share"])
    lvidd, ivsd, lvpwd = heart.lvidd + shift["lvidd"], heart.ivsd + shift["ivsd"], heart.lvpwd + shift["lvpwd"]
    return {
        "lvef": lvef, "lvedv": lvedv, "lvesv": lvedv * (1 - lvef / 100), "lvsv": lvedv * lvef / 100,
        "lvidd": lvidd, "lvids": min(heart.lvids + shift["lvids"], 0.97 * lvidd), "ivsd": max(0.4, ivsd),
        "lvpwd": max(0.4, lvpwd),
        "lv_mass_index": linear_mass_g(lvidd, max(0.4, ivsd), max(0.4, lvpwd)) / heart.bsa_m2,
        "lavi": heart.lavi * math.exp(shift["lavi_share"]), "ra_area": heart.ra_area * math.exp(shift["ra_area_share"]),
        "rv_basal_diameter": heart.rv_basal_diameter + shift["rv_basal_diameter"],
        "tapse": max(0.4, heart.tapse + shift["tapse"]), "rvsp": max(10.0, heart.rvsp + shift["rvsp"]),
        "as_grade": float(heart.as_grade), "ar_grade": float(heart.ar_grade),
        "mr_grade": float(heart.mr_grade), "tr_grade": float(heart.tr_grade),
        "wall_motion_score_index": score_index(wall_motion_scores(heart.wall_motion)),
    }  # fmt: skip
