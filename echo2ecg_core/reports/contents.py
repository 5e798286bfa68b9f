"""What of a workspace a report rests on, in digests, and in words what has changed since it was made.

A report keeps these facts, so that a later visitor learns which of them no longer hold: ECGs, studies, labels, splits,
or the readouts of its model.
"""

import hashlib
from dataclasses import fields

import numpy as np

from echo2ecg_core.figures.scores import count
from echo2ecg_core.findings import Findings
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.paths import PREDICTIONS_FILE, READOUTS_FILE, report_path
from echo2ecg_core.store.snapshot import snapshot

NOT_LABELS = (
    "study_id",
    "patient_id",
    "study_date",
    "split",
    "cohort",
    "synthetic",
    "sex",
    *(f.name for f in fields(Findings)),
)
DIGESTS = (
    ("recordings", "ecgs", "recordings were replaced"),
    ("ecg_visits", "ecgs", "times or patients of ECGs changed"),
    ("study_visits", "studies", "times or patients of studies changed"),
    ("labels", "studies", "labels changed"),
    ("splits", "patients", "splits or cohorts of patients changed"),
    ("sexes", "patients", "sexes of patients changed"),
)
COUNTED = {"ecgs": ("ECG was", "ECGs were"), "studies": ("study was", "studies were")}


def contents(workspace: Workspace, model_id: str) -> dict:
    """Counts and digests of what an evaluation of this model reads; after a write this costs what was written.

    Returns:
        ecgs, studies, patients: how many; recordings, ecg_visits, study_visits, labels, splits, sexes: sixteen
        characters that change with recordings, with who had an ECG or a study when, with measured values, with a
        patient's split or cohort, with sexes; readouts: of the model's stored readouts, "" where it has none.
    """
    known, stored = snapshot(workspace), workspace.models / model_id / READOUTS_FILE
    labels = sorted(name for name in known.studies if name not in NOT_LABELS)
    readouts = hashlib.sha256(stored.read_bytes()).hexdigest()[:12] if stored.is_file() else ""
    return known.digests(labels) | {"readouts": readouts}


def fingerprint(workspace: Workspace) -> str:
    """Twelve characters that change with any ECG, visit, split or label of the workspace that an evaluation uses."""
    return fingerprint_of(contents(workspace, ""))


def fingerprint_of(facts: dict) -> str:
    """`fingerprint` of a workspace with these `contents`."""
    used = "".join(facts[name] for name, _, _ in DIGESTS if name != "sexes")
    return hashlib.sha256(used.encode()).hexdigest()[:12]


def changes(then: dict, now: dict) -> str:
    """What differs between two `contents`, in one sentence; "" where nothing does."""
    found = []
    for key, (one, many) in COUNTED.items():
        if gain := now[key] - then.get(key, now[key]):
            what = many if abs(gain) > 1 else one
            found.append(f"{count(abs(gain))} {what} {'added' if gain > 0 else 'removed'}")
    for key, word, words in DIGESTS:  # where something came or went its digest says nothing new
        if now[word] == then.get(word, now[word]) and then.get(key, now[key]) != now[key]:
            found.append(words)
    if then.get("readouts", now["readouts"]) != now["readouts"]:
        found.append("the model's readouts were fitted again")
    return f"Since it was made, {', '.join(found)}." if found else ""


def judged_here(workspace: Workspace, model_id: str, split: str) -> float | None:
    """Share of the ECGs that a report judges which this workspace holds; None where the report does not name them."""
    try:
        path = report_path(workspace, model_id, split).with_name(PREDICTIONS_FILE)
        with np.load(path, allow_pickle=False) as archive:
            judged = archive["ecg_ids"]
    except (OSError, KeyError, ValueError):
        return None
    return float(np.isin(judged, snapshot(workspace).ecgs.ecg_id.to_numpy(str)).mean()) if len(judged) else None
