"""Who the phantom patient is and what is wrong with the heart: the top of the causal graph.

The population is an echo laboratory's referrals, not the street: community prevalences keep their age and sex slopes
but are enriched so that 18 % have LVEF <= 40 and 12 % 41-49. Parameters are frozen; sources stand at each table.
"""

import math

import numpy as np

CONDITIONS = (
    "healthy",
    "hypertensive_lvh",
    "hcm",
    "dilated_cm",
    "ischaemic_cm",
    "amyloid",
    "aortic_stenosis",
    "aortic_regurgitation",
    "mitral_regurgitation",
    "tricuspid_regurgitation",
    "pulmonary_hypertension",
)
TERRITORIES = ("anterior", "inferior", "lateral")


def draw_person(rng: np.random.Generator) -> tuple[str, float, float]:
    """Sex, age in years and body surface area in m2.

    Age of adult echo referrals 62 +- 16 years, 52 % men (EchoNext, Poterucha et al., Nature 2025); body surface area
    1.99 +- 0.20 (men) and 1.76 +- 0.19 m2 (women), as in NHANES-sized adults (Du Bois).
    """
    sex = "male" if rng.random() < 0.52 else "female"
    age_years = float(np.clip(rng.normal(62, 16), 18, 95))
    bsa_m2 = rng.normal(1.99, 0.20) if sex == "male" else rng.normal(1.76, 0.19)
    return sex, age_years, float(np.clip(bsa_m2, 1.35, 2.7))


def draw_conditions(rng: np.random.Generator, sex: str, age_years: float) -> tuple[str, ...]:
    """Conditions of the heart muscle, the valves and the pulmonary circulation; ("healthy",) when none.

    At most one heart-muscle disease; valve disease and pulmonary hypertension may join it. Slopes: hypertrophy rises
    with age (Cuspidi et al., J Hum Hypertens 2012), infarction with age and male sex (Yusuf et al., Lancet 2004,
    men about ten years earlier), HCM 1:500 at any age (Maron et al., Circulation 1995), wild-type amyloid in old men
    (Gonzalez-Lopez et al., Eur Heart J 2015), aortic stenosis and mitral regurgitation steeply with age (Nkomo et al.,
    Lancet 2006). All are enriched for referral.
    """
    male = sex == "male"
    muscle = {
        "hypertensive_lvh": 0.17 * _age_slope(age_years, 0.030),
        "hcm": 0.022,
        "dilated_cm": 0.148 * (1.15 if male else 0.85),
        "ischaemic_cm": 0.150 * _age_slope(age_years, 0.035) * (1.4 if male else 0.6),
        "amyloid": 0.016 * _age_slope(age_years, 0.07) * (1.5 if male else 0.5),
    }
    found = []
    names, chances = list(muscle), np.array(list(muscle.values()))
    pick = np.searchsorted(np.cumsum(chances / max(1.0, chances.sum() / 0.9)), rng.random())
    if pick < len(names):
        found.append(names[pick])
    chances_beside = {
        "aortic_stenosis": 0.055 * _age_slope(age_years, 0.07),
        "aortic_regurgitation": 0.030 * _age_slope(age_years, 0.02),
        "mitral_regurgitation": 0.050 * _age_slope(age_years, 0.04),
        "pulmonary_hypertension": 0.045 * (0.8 if male else 1.2),
    }
    found += [name for name, chance in chances_beside.items() if rng.random() < min(chance, 0.5)]
    return tuple(found) or ("healthy",)


def draw_territory(rng: np.random.Generator) -> str:
    """Territory of the infarct: anterior (left anterior descending) 45 %, inferior 38 %, lateral 17 %.

    Shares of the culprit artery in ST-elevation infarction (Entezarjou et al., Scand Cardiovasc J 2018), rounded.
    """
    return str(rng.choice(TERRITORIES, p=(0.45, 0.38, 0.17)))


def draw_rhythm(rng: np.random.Generator, age_years: float, conditions: tuple[str, ...], lvef: float) -> str:
    """ "af" or "sinus": fibrillation 1 % at 50 and 9 % above 80 years (Go et al., JAMA 2001, ATRIA).

    Odds grow about threefold in heart failure (Santhanakrishnan et al., Circulation 2016) and with mitral disease and
    amyloid.
    """
    logit = -2.75 + 0.055 * (age_years - 62)
    logit += 0.9 * (lvef < 45) + 0.8 * ("mitral_regurgitation" in conditions) + 1.2 * ("amyloid" in conditions)
    return "af" if rng.random() < _logistic(logit) else "sinus"


def draw_conduction(rng: np.random.Generator, age_years: float, conditions: tuple[str, ...], lvef: float) -> str:
    """ "normal", "lbbb" or "rbbb".

    Community: RBBB 1.4 % of men, 0.5 % of women, rising with age (Bussink et al., Eur Heart J 2013), LBBB below 1 %
    before old age (Imanishi et al., Int J Cardiol 2006); in heart failure about a quarter have LBBB (Lund et al.,
    Eur Heart J 2013: QRS >= 120 ms in 31 %).
    """
    aged = 0.035 * (age_years - 62)
    lbbb = _logistic(-3.9 + aged + 0.095 * max(0.0, 52 - lvef))
    rbbb = _logistic(
        -3.1 + aged + 1.0 * ("pulmonary_hypertension" in conditions) + 0.3 * ("ischaemic_cm" in conditions)
    )
    chance = rng.random()
    return "lbbb" if chance < lbbb else "rbbb" if chance < lbbb + rbbb else "normal"


def draw_first_degree_block(rng: np.random.Generator, age_years: float, conduction: str) -> bool:
    """PR above 200 ms: about 2 % in middle age, rising with age (Cheng et al., JAMA 2009), more with bundle branch block."""
    return bool(rng.random() < _logistic(-2.9 + 0.045 * (age_years - 62) + 0.9 * (conduction != "normal")))


def _age_slope(age_years: float, per_year: float) -> float:
    """Factor 1 at 62 years that grows by `per_year` (log scale) a year, limited to 0.05 ... 4."""
    return min(4.0, max(0.05, math.exp(per_year * (age_years - 62))))


def _logistic(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit))
