"""The other ECGs of the patient whose recording is open: known where this very recording is one of the workspace."""

from dataclasses import dataclass
from datetime import datetime

from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.snapshot import snapshot
from echo2ecg_core.store.times import moment

DAY_S = 86400


@dataclass(frozen=True)
class OtherEcg:
    """Another ECG of the same patient: when it was taken, and how many days before this one (negative: after)."""

    ecg_id: str
    taken_at: datetime | None
    days_earlier: float | None


def other_ecgs(record: EcgRecord, workspace: Workspace) -> list[OtherEcg]:
    """Other ECGs of the same patient: the earlier ones, latest first, then those that are later or of unknown time.

    Args:
        record: The open ECG; its patient is known by its content, never by a name.
        workspace: Where the patient's ECGs are; [] where the patient is not known.
    """
    patient = snapshot(workspace).patient_of_recording(record.content_hash)
    if patient is None:
        return []
    stored = Catalog(workspace).ecgs(patient)
    is_this = stored.content_hash == record.content_hash
    here = moment(stored.ecg_time[is_this].iloc[0])
    found = []
    for row in stored[~is_this].itertuples():
        taken = moment(row.ecg_time)
        days = (here - taken).total_seconds() / DAY_S if here and taken else None
        found.append(OtherEcg(row.ecg_id, taken, days))
    return sorted(found, key=lambda e: (e.days_earlier is None, (e.days_earlier or 0) < 0, abs(e.days_earlier or 0)))
