"""CAMUS (Leclerc et al., IEEE TMI 38:2198, 2019): 500 patients with a two- and a four-chamber half sequence.

Labels stand in `Info_2CH.cfg` and `Info_4CH.cfg` of each patient's folder (`Name: value`). The sequences are NIfTI
(`_half_sequence.nii.gz`) or, in the older release, MetaImage (`_sequence.mhd`); contours (`_gt`) and single frames are
not used. There are no ECGs and no dates.
"""

from collections.abc import Mapping
from pathlib import Path

from echo2ecg_core.intake.folders import named_below
from echo2ecg_core.intake.layouts.shared_steps import age_told, labels_told
from echo2ecg_core.intake.mapping import Column
from echo2ecg_core.intake.plan import Plan, PlannedClip, PlannedStudy

NAME = "CAMUS"
VIEWS = {"2CH": "A2C", "4CH": "A4C"}
ENDINGS = ("half_sequence.nii.gz", "half_sequence.nii", "sequence.mhd", "half_sequence.mhd")
VALUES = {"ef": "lvef", "lvef": "lvef", "lvedv": "lvedv", "lvesv": "lvesv"}
SEXES = {"f": "female", "m": "male"}


def recognises(folder: Path) -> bool:
    """Whether a patient's folder with its Info file is there."""
    return bool(named_below(folder, "patient*/Info_?CH.cfg"))


def plan(folder: Path, told: Mapping[str, Column]) -> Plan:
    """One study a patient."""
    planned = Plan(NAME, folder)
    for place in (p for p in named_below(folder, "patient*") if p.is_dir()):
        infos = [read_info(p) for p in named_below(place, "Info_?CH.cfg")]
        facts = {key: value for info in infos for key, value in info.items()}
        found = labels_told(planned, {f: facts[key] for key, f in VALUES.items() if key in facts})
        planned.patient(place.name, SEXES.get(facts.get("sex", "").lower()[:1]))
        planned.study(PlannedStudy(place.name, place.name, None, age_told(planned, facts.get("age", "")), found))
        for chamber, view in VIEWS.items():
            files = (path for e in ENDINGS for path in named_below(place, f"{place.name}_{chamber}_{e}"))
            path = next(files, None)
            if path is None:
                planned.passed_over.append((f"{place.name} {chamber}", "There is no sequence of this view."))
            else:
                planned.clips.append(PlannedClip(place.name, path, view))
    return planned


def read_info(path: Path) -> dict[str, str]:
    """The `Name: value` lines of an Info file, names in small letters."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    pairs = [line.partition(":") for line in lines if ":" in line]
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
