"""What of a workspace a report rests on, in digests, and in words what has changed since it was made.

A report keeps these facts, so that a later visitor learns which of them no longer hold: ECGs, studies, labels, splits,
or the readouts of its model.
"""

import hashlib
from dataclasses import fields

import numpy as np
import pandas as pd

from echo2ecg_core.figures.scores import count
from echo2ecg_core.findings import Findings
from echo2ecg_core.store.catalog import Catalog
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
    ("ecg_digest", "ecgs", "recordings were replaced"),
    ("ecg_visit_digest", "ecgs", "times or patients of ECGs changed"),
    ("study_visit_digest", "studies", "times or patients of studies changed"),
    ("label_digest", "studies", "labels changed"),
    ("split_digest", "patients", "splits or cohorts of patients changed"),
    ("sexes", "patients", "sexes of patients changed"),
)
COUNTED = {"ecgs": ("ECG was", "ECGs were"), "studies": ("study was", "studies were")}


def contents(workspace: Workspace, model_id: str) -> dict:
    """Counts and digests of what an evaluation of this model reads.

    Returns:
        ecgs, studies, patients: how many; …_digest: twelve characters that change with recordings, with who had an
        ECG or a study when, with measured values, with a patient's split or cohort; sexes: likewise; readouts: of
        the model's stored readouts, "" where it has none.
    """
    catalog = Catalog(workspace)
    ecgs, studies = catalog.ecgs(), catalog.studies()
    labels = studies[["study_id", *(c for c in studies if c not in NOT_LABELS)]]
    people = pd.concat([ecgs[["patient_id", "split", "cohort"]], studies[["patient_id", "split", "cohort"]]])
    people = people.drop_duplicates().sort_values("patient_id")
    sexes = pd.concat([ecgs[["patient_id", "sex"]], studies[["patient_id", "sex"]]]).drop_duplicates()
    stored = workspace.models / model_id / READOUTS_FILE
    return {
        "ecgs": len(ecgs),
        "studies": len(studies),
        "patients": int(people.patient_id.nunique()),
        "ecg_digest": _digest(ecgs[["ecg_id", "content_hash"]]),
        "ecg_visit_digest": _digest(ecgs[["ecg_id", "patient_id", "ecg_time"]]),
        "study_visit_digest": _digest(studies[["study_id", "patient_id", "study_date"]]),
        "label_digest": _digest(labels[sorted(labels)].round(4)),
        "split_digest": _digest(people),
        "sexes": _digest(sexes.sort_values("patient_id")),
        "readouts": hashlib.sha256(stored.read_bytes()).hexdigest()[:12] if stored.is_file() else "",
    }


def fingerprint(workspace: Workspace) -> str:
    """Twelve characters that change with any ECG, visit, split or label of the workspace that an evaluation uses."""
    return fingerprint_of(contents(workspace, ""))


def fingerprint_of(facts: dict) -> str:
    """`fingerprint` of a workspace with these `contents`."""
    return hashlib.sha256("".join(v for k, v in facts.items() if k.endswith("_digest")).encode()).hexdigest()[:12]


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


def _digest(table: pd.DataFrame) -> str:
    return hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()[:12]
