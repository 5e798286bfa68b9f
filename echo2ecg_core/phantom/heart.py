"""A phantom heart: anatomy and function that cause both the ECG and the echo.

The left ventricle is a truncated prolate ellipsoid (cut half a semi-axis above its equator), so that volumes,
diameters and lengths agree exactly and the echo can be drawn from the same numbers. Labels are what an echo laboratory
would write down; the latents stay available as fields. Parameters are frozen (see conditions.py and anatomy.py).
"""

from dataclasses import dataclass, replace

import numpy as np

from echo2ecg_core.findings import SEGMENTS, Findings
from echo2ecg_core.phantom import anatomy, conditions


@dataclass(frozen=True)
class Heart:
    """One heart at one visit.

    Attributes:
        sex, age_years, bsa_m2: The person ("male" / "female").
        conditions: Names from `conditions.CONDITIONS`; ("healthy",) when none.
        infarct_territory: "anterior", "inferior", "lateral" or None.
        infarct_extent: 0 (none) ... 1 (the whole territory is scar).
        fibrosis: Diffuse fibrosis 0 ... 1; slows conduction, leaves no label.
        lvedv, lvesv: mL. `lvsv`, `lvef`, `lvidd`, `lvids`, lengths and mass follow from them.
        sphericity: Length over diameter of the LV cavity at end-diastole.
        ivsd, lvpwd: End-diastolic thickness of septum and posterior (inferolateral) wall, cm.
        wall_motion: Per segment of `SEGMENTS`, systolic thickening as a share of normal (0 akinetic, 1 normal).
        lavi: Left atrial volume index, mL/m2. ra_area: Right atrial area, cm2.
        rv_basal_diameter: mm. tapse: cm. rvsp: mmHg.
        as_grade, ar_grade, mr_grade, tr_grade: 0 none, 1 mild, 2 moderate, 3 severe.
        rhythm: "sinus" or "af". conduction: "normal", "lbbb" or "rbbb". heart_rate_bpm: Mean ventricular rate.
        pr_ms: PR interval that sinus rhythm has (meaningless in AF). qrs_ms: QRS duration.
        body_seed: Seed of what belongs to the person but to no label: torso, position of the heart, cell
            electrophysiology; in version 2 also the echo windows and how unevenly the ventricle contracts.
    """

    sex: str
    age_years: float
    bsa_m2: float
    conditions: tuple[str, ...]
    infarct_territory: str | None
    infarct_extent: float
    fibrosis: float
    lvedv: float
    lvesv: float
    sphericity: float
    ivsd: float
    lvpwd: float
    wall_motion: tuple[float, ...]
    lavi: float
    ra_area: float
    rv_basal_diameter: float
    tapse: float
    rvsp: float
    as_grade: int
    ar_grade: int
    mr_grade: int
    tr_grade: int
    rhythm: str
    conduction: str
    first_degree_block: bool
    heart_rate_bpm: float
    pr_ms: float
    qrs_ms: float
    body_seed: int

    @property
    def lvsv(self) -> float:
        """Total stroke volume in mL (forward plus regurgitant)."""
        return self.lvedv - self.lvesv

    @property
    def lvef(self) -> float:
        """Ejection fraction in percent."""
        return 100.0 * self.lvsv / self.lvedv

    @property
    def lvidd(self) -> float:
        """Internal LV diameter at end-diastole, cm: largest diameter of the truncated ellipsoid."""
        return anatomy.diameter_cm(self.lvedv, self.sphericity)

    @property
    def lv_length_d(self) -> float:
        """Apex to mitral plane at end-diastole, cm."""
        return self.sphericity * self.lvidd

    @property
    def lvids(self) -> float:
        """Internal LV diameter at end-systole, cm; volume of the ellipsoid with `lv_length_s` is `lvesv`."""
        return anatomy.systolic_size(self.lvidd, self.lv_length_d, self.lvesv / self.lvedv)[0]

    @property
    def lv_length_s(self) -> float:
        """Apex to mitral plane at end-systole, cm."""
        return anatomy.systolic_size(self.lvidd, self.lv_length_d, self.lvesv / self.lvedv)[1]

    @property
    def lv_mass_g(self) -> float:
        """LV mass by the linear (cube) formula of ASE/EACVI 2015, g."""
        return anatomy.linear_mass_g(self.lvidd, self.ivsd, self.lvpwd)

    @property
    def lv_mass_index(self) -> float:
        """LV mass over body surface area, g/m2."""
        return self.lv_mass_g / self.bsa_m2

    @property
    def lv_wall_volume_ml(self) -> float:
        """Volume of the LV wall, mL: mean end-diastolic thickness around the truncated ellipsoid; constant over the
        beat."""
        thickness = 0.5 * (self.ivsd + self.lvpwd)
        outer = anatomy.ellipsoid_volume_ml(self.lvidd + 2 * thickness, self.lv_length_d + thickness)
        return outer - self.lvedv

    def motion(self, segment: str) -> float:
        """Wall motion of one named segment of `SEGMENTS`, 0 ... 1.25."""
        return self.wall_motion[SEGMENTS.index(segment)]

    def findings(self) -> Findings:
        """What the echo laboratory writes down beside the numbers: score of each segment, rhythm, conduction."""
        return Findings(
            anatomy.wall_motion_scores(self.wall_motion), self.rhythm, self.conduction, self.first_degree_block
        )

    def labels(self, rng: np.random.Generator | None = None, version: int = 1) -> dict[str, float]:
        """What the echo laboratory writes down, by phenotype field name.

        Args:
            rng: Adds inter-observer noise when given; volumes and LVEF stay consistent.
            version: Of the phantom: each has readers of its own (`anatomy.OF_VERSION`).

        Returns:
            Unrounded values in the units of the fields.
        """
        return anatomy.observed(self, rng, version)


def draw_heart(rng: np.random.Generator) -> Heart:
    """One heart from the causal graph: person -> conditions -> function -> anatomy -> rhythm and conduction."""
    sex, age_years, bsa_m2 = conditions.draw_person(rng)
    found = conditions.draw_conditions(rng, sex, age_years)
    territory = conditions.draw_territory(rng) if "ischaemic_cm" in found else None
    return complete_heart(rng, sex, age_years, bsa_m2, found, territory)


def complete_heart(
    rng: np.random.Generator,
    sex: str,
    age_years: float,
    bsa_m2: float,
    found: tuple[str, ...],
    territory: str | None = None,
) -> Heart:
    """A heart for a given person with given conditions; everything below them in the graph is drawn."""
    extent = float(rng.beta(2.0, 1.6)) if territory else 0.0
    lvef, fibrosis = anatomy.draw_function(rng, sex, age_years, found, territory, extent)
    rhythm = conditions.draw_rhythm(rng, age_years, found, lvef)
    conduction = conditions.draw_conduction(rng, age_years, found, lvef)
    lvef = anatomy.dyssynchronous_lvef(rng, lvef, rhythm, conduction)
    valves = anatomy.draw_left_valves(rng, found, lvef)
    lvedv, sphericity = anatomy.draw_cavity(rng, sex, age_years, bsa_m2, found, lvef, valves)
    ivsd, lvpwd = anatomy.draw_walls(rng, sex, age_years, found, valves)
    lavi = anatomy.draw_lavi(rng, found, lvef, rhythm, valves, ivsd)
    right = anatomy.draw_right_heart(rng, sex, age_years, found, lvef, lavi, rhythm, valves)
    first_degree = conditions.draw_first_degree_block(rng, age_years, conduction)
    electric = anatomy.draw_intervals(
        rng, sex, age_years, lvef, lvedv, anatomy.linear_mass_g(anatomy.diameter_cm(lvedv, sphericity), ivsd, lvpwd),
        lavi, fibrosis, rhythm, conduction, first_degree,
    )  # fmt: skip
    if right["tr_grade"] >= 2:
        found = tuple(name for name in found if name != "healthy") + ("tricuspid_regurgitation",)
    return Heart(
        sex=sex, age_years=age_years, bsa_m2=bsa_m2, conditions=found, infarct_territory=territory,
        infarct_extent=extent,
        fibrosis=fibrosis, lvedv=lvedv, lvesv=lvedv * (1 - lvef / 100), sphericity=sphericity, ivsd=ivsd, lvpwd=lvpwd,
        wall_motion=anatomy.draw_wall_motion(rng, lvef, territory, extent, conduction, SEGMENTS), lavi=lavi,
        rhythm=rhythm, conduction=conduction, first_degree_block=first_degree, body_seed=int(rng.integers(2**31)),
        **valves, **right, **electric,
    )  # fmt: skip


def at_another_visit(heart: Heart, rng: np.random.Generator) -> Heart:
    """The same heart some days later: loading, rate and function differ a little.

    LVEF 1.5 points, LVEDV 4 %, rate 7 bpm: our choice, inside the 6 points by which LVEF by 3D echo differs between
    visits of unchanged hearts, measurement included (Thavendiranathan et al., J Am Coll Cardiol 61:77-84, 2013).
    """
    lvef = float(np.clip(heart.lvef + rng.normal(0, 1.5), 8, 82))
    lvedv = heart.lvedv * float(np.exp(rng.normal(0, 0.04)))
    return replace(
        heart,
        lvedv=lvedv,
        lvesv=lvedv * (1 - lvef / 100),
        lavi=heart.lavi * float(np.exp(rng.normal(0, 0.05))),
        rvsp=max(15.0, heart.rvsp + float(rng.normal(0, 3))),
        heart_rate_bpm=float(np.clip(heart.heart_rate_bpm + rng.normal(0, 7), 42, 150)),
        pr_ms=heart.pr_ms + float(rng.normal(0, 4)),
    )
