"""What an evaluation reads from the workspace: labelled ECGs by split, and the vectors of every encoder that is
compared.

An ECG carries the labels of its patient's study nearest in time, if that lies within a number of days. Readouts are
fitted on training patients of the chosen cohorts, or of the whole workspace where the chosen ones have none (an
external test set).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from echo2ecg_core.answers.loaded_model import LoadedModel
from echo2ecg_core.counts import counted_days
from echo2ecg_core.errors import StoreError
from echo2ecg_core.evaluation.features import FEATURES, ecg_features
from echo2ecg_core.evaluation.rows import CHOOSING, Split
from echo2ecg_core.evaluation.subgroups import age_band, conduction_words, rhythm_words
from echo2ecg_core.progress import Progress
from echo2ecg_core.store import kept_cohorts
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.splits import JUDGED_SPLITS
from echo2ecg_core.store.times import default_days, moments


def labelled_table(
    workspace: Workspace,
    embedded: Sequence[str],
    cohorts: Sequence[str] | None,
    split: str,
    within_days: float | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """Labelled ECGs with their role ("train", "validation" or "test") in a column `role`, and notes in words.

    Args:
        workspace: Where they are.
        embedded: Ids of the ECGs that have vectors.
        cohorts: Names of cohorts to evaluate; None = all.
        split: Whose patients are the test patients. With "validation", a fifth of the training patients chooses the
            regularisation in their place.
        within_days: Days that an ECG and the study it is labelled by may lie apart; None: the machine's setting.

    Raises:
        StoreError: no such cohort or split, or one of the roles has no ECG.
    """
    if split not in JUDGED_SPLITS:
        raise StoreError(
            f"There is no split {split!r} to evaluate; known: {', '.join(JUDGED_SPLITS)}.", "Use --split test."
        )
    table = Catalog(workspace).labelled_ecgs(within_days)
    of_cohort = _of_cohorts(workspace, table, cohorts or ())
    chosen = table[table.ecg_id.isin(frozenset().union(*of_cohort.values()))] if cohorts else table
    notes = _unlabelled(workspace, chosen, cohorts, within_days)
    judged = set(chosen.ecg_id[(chosen.split == split) & chosen.ecg_id.isin(embedded)])
    if unjudged := sorted(name for name, ids in of_cohort.items() if not judged & ids):
        notes.append(f"Not judged, because without labelled ECGs of {split} patients: {', '.join(unjudged)}.")
    if kept := sorted(name for name in of_cohort if kept_cohorts.is_kept(workspace, name)):
        notes.append(f"Only ECGs that a person chose are judged: those kept as {', '.join(kept)}.")
    rest = ~chosen.ecg_id.isin(embedded)
    if rest.any():
        notes.append(f"{rest.sum()} of {len(chosen)} labelled ECGs could not be embedded and are left out.")
    fitting = chosen
    if not {"train", "validation"} <= set(chosen.split):
        fitting = table
        notes.append(
            "The chosen cohorts have no training or validation patients: readouts are fitted on those of the whole "
            "workspace."
        )
    table = pd.concat([fitting[fitting.split != split], chosen[chosen.split == split]])
    table = _with_roles(table[table.ecg_id.isin(embedded)].reset_index(drop=True), split)
    if split == "validation":
        notes.append(
            "Regularisation was chosen on a fifth of the training patients, because the validation patients are judged."
        )
    return table, [*notes, *_words_on_size(table, split)]


def _of_cohorts(workspace: Workspace, table: pd.DataFrame, cohorts: Sequence[str]) -> dict[str, frozenset[str]]:
    """The labelled ECGs of each of these cohorts, such that came in or kept ones.

    Raises:
        StoreError: one of them has none.
    """
    labelled = set(table.ecg_id)
    known = {name for name in kept_cohorts.names(workspace) if name in cohorts}
    found = {name: kept_cohorts.members(workspace, [name]).ecgs & labelled for name in sorted(known)}
    if unknown := sorted(name for name in cohorts if not found.get(name)):
        raise StoreError(
            f"There is no cohort {', '.join(map(repr, unknown))} with labelled ECGs in this workspace; "
            f"known: {', '.join(kept_cohorts.names(workspace)) or 'none'}.",
            "Name one of these with --cohort.",
        )
    return found


def _unlabelled(
    workspace: Workspace, table: pd.DataFrame, cohorts: Sequence[str] | None, within_days: float | None
) -> list[str]:
    """A note on the ECGs, of the chosen cohorts, whose patients have an echo study, but none close enough in time."""
    catalog = Catalog(workspace)
    ecgs, studies = catalog.ecgs(), catalog.studies()
    if cohorts:
        ecgs = ecgs[ecgs.ecg_id.isin(kept_cohorts.members(workspace, list(cohorts)).ecgs)]
    left_out = ecgs[ecgs.patient_id.isin(studies.patient_id) & ~ecgs.ecg_id.isin(table.ecg_id)]
    if left_out.empty:
        return []
    dated = studies.patient_id[moments(studies.study_date).notna()]
    undated = int((moments(left_out.ecg_time).isna() | ~left_out.patient_id.isin(dated)).sum())
    days = default_days() if within_days is None else within_days
    return [
        f"{len(left_out)} of {len(left_out) + len(table)} ECGs of patients with an echo study are left out: none lies "
        f"within {counted_days(days)}{f' ({undated} without a date on the ECG or the echo)' if undated else ''}."
    ]


def _with_roles(table: pd.DataFrame, split: str) -> pd.DataFrame:
    """The table with its column `role`; where validation patients are judged, a fifth of the training patients has
    their role."""
    table["role"] = np.where(table.split == split, "test", table.split)
    if split == "validation":
        table = table[table.split != "test"].reset_index(drop=True)
        people = table.patient_id[table.role == "train"].drop_duplicates().sample(frac=0.2, random_state=0)
        table.loc[table.patient_id.isin(people), "role"] = "validation"
    return table


def _words_on_size(table: pd.DataFrame, split: str) -> list[str]:
    """A note where there are few patients.

    Raises:
        StoreError: one of the roles has none.
    """
    counts = table.groupby("role").patient_id.nunique()
    absent = [role for role in ("train", "validation", "test") if not counts.get(role)]
    if absent:
        raise StoreError(
            f"There is no labelled ECG of {' or '.join(absent)} patients to evaluate with.",
            "Import ECGs and studies with labels of patients in all three splits; see docs/archives.md.",
        )
    if counts.min() >= 100:
        return []
    choosing = "validation" if split == "test" else CHOOSING
    return [
        f"Small splits: {counts['train']} training, {counts['validation']} {choosing} and {counts['test']} {split} "
        "patients. Expect wide intervals, and probes worse than with more training patients."
    ]


def split_of(table: pd.DataFrame, role: str, vectors: np.ndarray) -> Split:
    """The rows of one role as `rows.Split`; vectors (n, d) belong to the rows of the table."""
    rows = (table.role == role).to_numpy()
    return Split(vectors[rows], table[rows].reset_index(drop=True), table.patient_id.to_numpy()[rows])


def measure_records(
    table: pd.DataFrame, catalog: Catalog, model: LoadedModel, network, progress: Progress
) -> tuple[np.ndarray, np.ndarray, np.ndarray, pd.DataFrame]:
    """One pass over the recordings.

    Args:
        table: Labelled ECGs.
        model: Prepares the windows. network: A randomly initialised Echo2ECG of the same spec.

    Returns:
        Its embeddings (n, d), hand-made features (n, f), out-of-distribution features (n, g), and the groups of each
        ECG: sex, age, rhythm, conduction, device, cohort in words (None where not known).
    """
    from echo2ecg_core.answers.loaded_model import ecg_vectors

    random, features, outside, groups = [], [], [], []
    for done, row in enumerate(table.itertuples()):
        if done % 10 == 0:
            progress(done / len(table), f"Measuring ECGs: {done} of {len(table)}")
        record = catalog.ecg_record(row.ecg_id)
        vectors = ecg_vectors(network, model.prepare(record)[None])
        random.append(vectors.embedding[0])
        outside.append(vectors.outside[0])
        features.append(ecg_features(record.signal_mv, record.sampling_rate_hz))
        groups.append(_groups(row, record, dict(zip(FEATURES, features[-1], strict=True))))
    return np.stack(random), np.stack(features), np.stack(outside), pd.DataFrame(groups, dtype=object)


def _groups(row, record, measured: dict[str, float]) -> dict[str, str | None]:
    age = record.age_years if record.age_years is not None else row.age_years
    age = None if age is None or pd.isna(age) else float(age)
    sex = row.sex.capitalize() if isinstance(row.sex, str) and row.sex else None
    return {
        "sex": sex,
        "age": age_band(age),
        "rhythm": rhythm_words(record.statements, measured["p_present"], measured["rr_change_ms"]),
        "conduction": conduction_words(measured["qrs_ms"]),
        "device": record.device or None,
        "cohort": row.cohort,
    }
