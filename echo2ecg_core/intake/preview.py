"""What an import would do, as one document for the page and for --dry-run: counts, pairs, labels, all that is wrong.

Nothing is decoded and nothing is written. Values appear in histograms and ranges only, ids and names of files nowhere.
"""

from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd

from echo2ecg_core.counts import counted
from echo2ecg_core.errors import printable
from echo2ecg_core.figures.notation import measured
from echo2ecg_core.intake.ingest import Options, check
from echo2ecg_core.intake.layouts.recognise import plan_of
from echo2ecg_core.intake.mapping import Column, columns_of, joined
from echo2ecg_core.intake.plan import Plan
from echo2ecg_core.intake.problems import ImportRefused
from echo2ecg_core.phenotypes import PHENOTYPES
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.times import pairs_in_time

WINDOWS_DAYS = (1, 7, 30, 90, 365)
BINS = 12


def preview(folder: Path, workspace: Workspace, options: Options) -> dict:
    """Everything about an import before it happens.

    Returns:
        layout, cohort, synthetic, pseudonyms, patients, studies, ecgs, clips, files {suffix: count}, pairs {days:
        count}, labels [{name, short, unit, n, low, high, counts, edges}], notes, passed_over {reason: count},
        ignored [{what, reason}], maps {file: {column: {field, unit, dates}}} ("ignored" for columns that are not used),
        problems [{sentence, file, row, column}].

    Raises:
        StoreError: there is no such folder or layout, or a table cannot be read or lacks a column.
    """
    plan = plan_of(folder, options.layout, options.labels, options.told)
    with suppress(ImportRefused):  # the problems are told below, with everything else
        check(plan, workspace, options)
    paths = [*(e.path for e in plan.ecgs.values()), *(c.path for c in plan.clips)]
    files = Counter(path.suffix.lower() or "without suffix" for path in paths)
    return {
        "layout": plan.layout,
        "cohort": options.cohort or plan.cohort,
        "synthetic": plan.synthetic,
        "pseudonyms": not (plan.synthetic or options.keep_ids),
        "patients": len(plan.patients),
        "studies": len(plan.studies),
        "ecgs": len(plan.ecgs),
        "clips": len(plan.clips),
        "files": dict(files.most_common()),
        "pairs": _pairs(plan),
        "labels": [row for name in PHENOTYPES if (row := _label(plan, name))],
        "notes": list(plan.notes),
        "passed_over": dict(Counter(reason for _, reason in plan.passed_over).most_common()),
        "ignored": [{"what": what, "reason": reason} for what, reason in plan.ignored],
        "maps": {file: {n: vars(c) for n, c in columns_of(m).items()} for file, m in plan.maps.items()},
        "problems": [vars(problem) for problem in plan.problems.found],
    }


def mapping_in(found: dict) -> dict[str, Column]:
    """The mapping that a preview was made with, as one for all of its tables."""
    return joined({name: Column(**c) for name, c in columns.items()} for columns in found["maps"].values())


def _pairs(plan: Plan) -> dict[int, int]:
    """Pairs of an ECG and a study of one patient, by the days that may lie between them."""
    if not plan.ecgs or not plan.studies:
        return dict.fromkeys(WINDOWS_DAYS, 0)
    ecgs = pd.DataFrame(
        [(e.ecg_id, e.patient_id, e.ecg_time, e.own_study_id) for e in plan.ecgs.values()],
        columns=["ecg_id", "patient_id", "ecg_time", "own_study_id"],
    )
    studies = pd.DataFrame(
        [(s.study_id, s.patient_id, s.study_date, "") for s in plan.studies.values()],
        columns=["study_id", "patient_id", "study_date", "split"],
    )
    pairs = pairs_in_time(ecgs, studies, max(WINDOWS_DAYS))
    own = set(zip(ecgs.ecg_id, ecgs.own_study_id, strict=True))  # pairs by the data set, whatever lies between
    is_own = np.array([pair in own for pair in zip(pairs.ecg_id, pairs.study_id, strict=True)], bool)
    return {window: int((is_own | (pairs.days_apart <= window)).sum()) for window in WINDOWS_DAYS}


def _label(plan: Plan, name: str) -> dict | None:
    values = np.array([s.phenotypes[name] for s in plan.studies.values() if name in s.phenotypes])
    if not values.size:
        return None
    counts, edges = np.histogram(values, BINS)
    phenotype = PHENOTYPES[name]
    return {
        "name": name,
        "short": phenotype.short,
        "unit": phenotype.unit,
        "n": int(values.size),
        "low": float(values.min()),
        "high": float(values.max()),
        "counts": counts.tolist(),
        "edges": [round(float(e), 4) for e in edges],
    }


def lines(found: dict) -> list[str]:
    """A preview as lines for the terminal."""
    told = [
        f"Layout: {found['layout']}{' (simulated hearts)' if found['synthetic'] else ''}; cohort {found['cohort']}",
        f"{counted(found['patients'], 'patient')}, {counted(found['studies'], 'study', 'studies')}, "
        f"{counted(found['ecgs'], 'ECG')}, {counted(found['clips'], 'clip')}",
        "Files: " + (", ".join(f"{n} {suffix}" for suffix, n in found["files"].items()) or "none"),
        "Pairs of ECG and study: " + ", ".join(f"{n} within {days} d" for days, n in found["pairs"].items()),
        "Ids and dates: " + ("replaced by pseudonyms" if found["pseudonyms"] else "kept as they are"),
    ]
    told += [
        f"  {r['short']:<6} {r['n']:>6} values, {measured(p, r['low'])} to {measured(p, r['high'])} {r['unit']}"
        for r in found["labels"]
        for p in (PHENOTYPES[r["name"]],)
    ]
    told += [f"Note: {note}" for note in found["notes"]]
    told += [f"Passed over, {n}: {reason}" for reason, n in found["passed_over"].items()]
    told += [f"Ignored: {row['what']} ({row['reason']})" for row in found["ignored"]]
    told += [f"Problem: {problem['sentence']}" for problem in found["problems"]]
    return [printable(line) for line in told]
