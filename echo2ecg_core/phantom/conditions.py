"""Who the phantom patient is and what is wrong with the heart: the top of the causal graph.

The population is an echo laboratory's referrals, not the street: community prevalences keep their age and sex slopes
but are enriched so that 18 % have LVEF <= 40 and 12 % 41-49. Parameters are frozen. A source stands for the direction
of an effect; its size is ours, chosen for that mix, unless the docstring quotes a number.
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

    Adults as they are referred for echo (compare EchoNext, Poterucha et al., Nature 2025), of the size of Western
    adults: 62 +- 16 years, 52 % men; body surface area 1.99 +- 0.20 (men) and 1.76 +- 0.19 m2 (women).
    """
    sex = "male" if rng.random() < 0.52 else "female"
    age_years = float(np.clip(rng.normal(62, 16), 18, 95))
    bsa_m2 = rng.normal(1.99, 0.20) if sex == "male" else rng.normal(1.76, 0.19)
    return sex, age_years, float(np.clip(bsa_m2, 1.35, 2.7))


def draw_conditions(rng: np.random.Generator, sex: str, age_years: float) -> tuple[str, ...]:
    """Conditions of the heart muscle, the valves and the pulmonary circulation; ("healthy",) when none.

    At most one heart-muscle disease; valve disease and pulmonary hypertension may join it. Hypertrophy is common in
    hypertension (36 to 41 %: Cuspidi et al., J Hum Hypertens 26:343-349, 2012), infarction comes with age and nine
    years earlier in men (Anand et al., INTERHEART, Eur Heart J 29:932-940, 2008), HCM in 1 of 500 (0.17 %: Maron et
    al., Circulation 92:785-789, 1995), wild-type amyloid in the old (13 % of failing hearts of 82 years with thick
    walls and preserved function: Gonzalez-Lopez et al., Eur Heart J 36:2585-2594, 2015), aortic stenosis and mitral
    regurgitation steeply with age (Nkomo et al., Lancet 368:1005-1011, 2006). All are enriched for referral.
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

    Near the shares of the culprit artery in 10,763 ST-elevation infarctions that were treated by primary intervention
    in Hungary (left anterior descending 44.3 %, right 40.9 %, circumflex 13.7 %; catalogued as MTMT 3113233). That the
    anterior ones harm the ventricle and the patient most: Entezarjou et al., Open Heart 5:e000852, 2018 (29,832
    patients).
    """
    return str(rng.choice(TERRITORIES, p=(0.45, 0.38, 0.17)))


def draw_rhythm(rng: np.random.Generator, age_years: float, conditions: tuple[str, ...], lvef: float) -> str:
    """ "af" or "sinus": fibrillation rises from 0.1 % below 55 to 9.0 % from 80 years on.

    Go et al., ATRIA, JAMA 285:2370-2375, 2001; enriched for referral. Fibrillation and heart failure beget each other
    (Santhanakrishnan et al., Circulation 2016); mitral disease and amyloid raise the odds as well.
    """
    logit = -2.75 + 0.055 * (age_years - 62)
    logit += 0.9 * (lvef < 45) + 0.8 * ("mitral_regurgitation" in conditions) + 1.2 * ("amyloid" in conditions)
    return "af" if rng.random() < _logistic(logit) else "sinus"


def draw_conduction(rng: np.random.Generator, age_years: float, conditions: tuple[str, ...], lvef: float) -> str:
    """ "normal", "lbbb" or "rbbb".

    Community: RBBB 1.4 % of men, 0.5 % of women, rising with age (Bussink et al., Eur Heart J 2013); LBBB appears at 69
    years on average (70 men, 68 women: Imanishi et al., Am J Cardiol 98:644-648, 2006). In heart failure 25 % have LBBB
    (Baldasseroni et al., Am Heart J 143:398, 2002), and 31 % a QRS of 120 ms or more (Lund et al., Eur Heart J
    34:529-539, 2013).
    """
    aged = 0.035 * (age_years - 62)
    lbbb = _logistic(-3.9 + aged + 0.095 * max(0.0, 52 - lvef))
    rbbb = _logistic(
        -3.1 + aged + 1.0 * ("pulmonary_hypertension" in conditions) + 0.3 * ("ischaemic_cm" in conditions)
    )
    chance = rng.random()
    return "lbbb" if chance < lbbb else "rbbb" if chance < lbbb + rbbb else "normal"


def draw_first_degree_block(rng: np.random.Generator, age_years: float, conduction: str) -> bool:
    """PR above 200 ms: about 2 % in middle age, rising with age, more with bundle branch block.

    1.6 % at 47 years (124 of 7,575: Cheng et al., JAMA 301:2571-2577, 2009), 2.1 % at 44 (Aro et al., Eur Heart J
    35:123-129, 2014).
    """
    return bool(rng.random() < _logistic(-2.9 + 0.045 * (age_years - 62) + 0.9 * (conduction != "normal")))


def _age_slope(age_years: float, per_year: float) -> float:
    """Factor 1 at 62 years that grows by `per_year` (log scale) a year, limited to 0.05 ... 4."""
    return min(4.0, max(0.05, math.exp(per_year * (age_years - 62))))


def _logistic(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit))
