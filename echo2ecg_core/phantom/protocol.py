"""What an echo laboratory records of one patient, since version 2: which clips, in which order, how good a window.

**Clips.** 29,196 clips of 717 studies (41 a study) are labelled in ECHOVIEW (Rapuri et al., PhysioNet 2026,
10.13026/ywz0-5b62), and 500,000 of 7,243 studies lie in MIMIC-IV-ECHO (72, stills included); EchoPrime reads all of
them and tells eleven views apart (Vukadinovic et al., arXiv 2410.09704). Neither prints how often each view comes; the
counts of `KINDS` follow the list of clips of a complete study in ASE's guideline (Mitchell et al., J Am Soc
Echocardiogr 32:1-64, 2019) with repeats of the views that are measured, scaled to 41 a study.

**Windows.** 12.9 % of 1,108 studies could not answer the question, 21 % of the obese and 8 % of the others; odds 1.09 a
unit of body mass index, 1.54 in men, need of contrast 1.02 a year of age (Heart Lung Circ 31:207-215, 2022,
10.1016/j.hlc.2021.06.525). In patients with failing hearts only 30 % of studies show five segments well, the anterior
and anterolateral walls worst, worse with a larger body (Nazar et al., 2026, PMC12898213). A hyperinflated lung covers
the parasternal and the apical window and leaves the subcostal one.

These parameters, and those of recording.py, oblique.py, probe.py, machine.py and spectral.py that belong to version 2,
are frozen: they were tuned with benchmarks/phantom_views.py before any model was trained on version 2, in the commit
"Phantom 2: parameters frozen".
"""

from dataclasses import dataclass

import numpy as np

from echo2ecg_core.phantom.heart import Heart

POOR_BELOW = 0.42  # quality below which a window is called poor
UNHARMED_FROM = 0.70
FEWEST, MOST = 20, 60  # clips of a study
MISSED_BELOW = 0.2  # a view whose window is worse is often given up
CORE_KINDS = ("plax", "psax_mid", "a4c", "a2c")


@dataclass(frozen=True)
class StudyClip:
    """One clip of a study, before it is rendered.

    Attributes:
        number: From 1, in the order of recording.
        view: A key of `echo.clip.VIEWS`.
        kind: A key of `KINDS`; in version 1 "grey" or "colour".
        quality: Of the window, 0 (nothing to see) ... 1 (ideal); 1.0 in version 1, which grades no windows.
        name: What its file is called; different for every clip of a study. In version 1 the view.
    """

    number: int
    view: str
    kind: str
    quality: float
    name: str

    @property
    def poor(self) -> bool:
        """Whether the window is poor."""
        return self.quality < POOR_BELOW

    @property
    def harm(self) -> float:
        """What the window does to the picture, 0 (nothing, as in the better half of them) ... 1."""
        return max(0.0, 1 - self.quality / UNHARMED_FROM) ** 1.8


@dataclass(frozen=True)
class Kind:
    """One kind of clip.

    Attributes:
        view: EchoPrime's class.
        window: "parasternal", "apical", "subcostal" or "suprasternal".
        count: How many of them a study holds on average.
        ease: Logits by which its window is better than the average one.
    """

    view: str
    window: str
    count: float
    ease: float


# In the order in which they are recorded.
KINDS = {
    "plax": Kind("Parasternal_Long", "parasternal", 3.2, 0.40),
    "plax_zoom": Kind("Parasternal_Long", "parasternal", 1.6, 0.40),
    "plax_colour": Kind("Doppler_Parasternal_Long", "parasternal", 1.8, 0.35),
    "psax_base": Kind("Parasternal_Short", "parasternal", 1.8, 0.70),
    "psax_base_colour": Kind("Doppler_Parasternal_Short", "parasternal", 2.2, 0.60),
    "psax_mid": Kind("Parasternal_Short", "parasternal", 2.3, 0.70),
    "psax_apex": Kind("Parasternal_Short", "parasternal", 1.2, 0.40),
    "a4c": Kind("A4C", "apical", 3.2, 1.20),
    "a4c_zoom": Kind("A4C", "apical", 2.0, 1.20),
    "rv_focused": Kind("A4C", "apical", 1.6, 1.00),
    "a4c_mitral_colour": Kind("Apical_Doppler", "apical", 1.6, 0.95),
    "a4c_tricuspid_colour": Kind("Apical_Doppler", "apical", 1.3, 0.85),
    "spectral_mitral": Kind("Apical_Doppler", "apical", 1.4, 1.05),
    "a5c": Kind("A5C", "apical", 1.0, 0.90),
    "a5c_colour": Kind("Apical_Doppler", "apical", 0.9, 0.85),
    "spectral_aortic": Kind("Apical_Doppler", "apical", 1.5, 0.95),
    "spectral_tricuspid": Kind("Apical_Doppler", "apical", 1.4, 0.85),
    "a2c": Kind("A2C", "apical", 2.6, 0.70),
    "a2c_zoom": Kind("A2C", "apical", 0.8, 0.70),
    "a3c": Kind("A3C", "apical", 1.9, 0.80),
    "a3c_colour": Kind("Apical_Doppler", "apical", 0.9, 0.75),
    "subcostal": Kind("Subcostal", "subcostal", 1.8, -0.10),
    "ivc": Kind("Subcostal", "subcostal", 1.6, 0.35),
    "arch": Kind("SSN", "suprasternal", 0.8, 0.10),
}


def draw_clips(heart: Heart, rng: np.random.Generator) -> tuple[StudyClip, ...]:
    """The clips of one study of a heart, in order of recording.

    A study may lack any view: one in a window that shows nothing is often given up.
    """
    windows = _draw_windows(heart, rng)
    length = float(np.exp(rng.normal(0, 0.22)))
    found: list[tuple[str, float]] = []
    for name, kind in KINDS.items():
        there = _logistic(windows[kind.window] + kind.ease) > MISSED_BELOW or rng.random() < 0.35
        for _ in range(rng.poisson(kind.count * length) if there else 0):
            found.append((name, _logistic(windows[kind.window] + kind.ease + float(rng.normal(0, 0.6)))))
    found = _of_usual_length(found, rng)
    return tuple(
        StudyClip(n, KINDS[name].view, name, round(quality, 4), f"{n:02d}-{KINDS[name].view}-{name}")
        for n, (name, quality) in enumerate(found, 1)
    )


def _draw_windows(heart: Heart, rng: np.random.Generator) -> dict[str, float]:
    """Logit of the quality of each window on that day: the person's body and lung, the day, the sonographer."""
    person = np.random.default_rng([heart.body_seed, 31])
    lung = float(person.gamma(1.2, 1.0)) if person.random() < 0.18 else 0.0  # hyperinflated
    body = -2.1 * (heart.bsa_m2 - 1.87) - 0.012 * (heart.age_years - 62) - 0.15 * (heart.sex == "male")
    own = body + float(person.normal(0, 0.5)) + float(rng.normal(0, 0.2))
    covered = {"parasternal": 1.0, "apical": 0.9, "subcostal": -0.4, "suprasternal": 0.3}
    return {name: own - share * lung + float(person.normal(0, 0.7)) for name, share in covered.items()}


def _of_usual_length(found: list[tuple[str, float]], rng: np.random.Generator) -> list[tuple[str, float]]:
    """FEWEST to MOST clips: repeats are left out by lot, or recorded once more."""
    places = list(range(len(found)))
    if len(found) > MOST:
        places = sorted(rng.permutation(len(found))[:MOST].tolist())
    elif found and len(found) < FEWEST:
        places = sorted([*places, *rng.integers(0, len(found), FEWEST - len(found)).tolist()])
    return [found[i] for i in places]


def _logistic(logit: float) -> float:
    return float(1 / (1 + np.exp(-logit)))
