"""How an import is read, and what its ids and dates are called: themselves, or the pseudonyms of real patients."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.errors import printable
from echo2ecg_core.intake.mapping import Column
from echo2ecg_core.intake.plan import Plan
from echo2ecg_core.intake.pseudonyms import Pseudonyms, grouped_age, pseudonyms_of
from echo2ecg_core.store.database import Workspace


@dataclass(frozen=True)
class Options:
    """How an import is read.

    Attributes:
        layout: Name of a layout's file, or "auto". labels: A table of labels beside the data.
        told: Columns that a person has mapped. cohort: Whom the ids belong to; "": what the layout calls it.
        keep_ids: Ids, dates and ages stay as they are. key: Where the table that leads back is written.
        vectors_of: Id of the model whose clip encoder made stored clip vectors, or a name; "": told by the data set.
    """

    cohort: str = ""
    layout: str = "auto"
    labels: Path | None = None
    told: Mapping[str, Column] = field(default_factory=dict)
    keep_ids: bool = False
    key: Path | None = None
    vectors_of: str = ""

    def __post_init__(self):
        object.__setattr__(self, "cohort", printable(self.cohort).strip())  # a terminal may give bytes of no letters


class Names:
    """What the ids of a data set are called before the catalog keeps cohorts apart: themselves, or pseudonyms."""

    def __init__(self, plan: Plan, workspace: Workspace, options: Options, *, looks_only: bool = False):
        self.pseudonyms: Pseudonyms | None = None
        if not (plan.synthetic or options.keep_ids):
            self.pseudonyms = pseudonyms_of(workspace, options.cohort, looks_only=looks_only)

    def of(self, kind: str, given: str) -> str:
        """The name of a patient, a study or an ECG."""
        return self.pseudonyms.id(kind, given) if self.pseudonyms else given

    def moment(self, iso: str | None, patient_id: str) -> str | None:
        """A date or time of a patient (ISO text)."""
        return self.pseudonyms.moment(iso, patient_id) if self.pseudonyms else iso

    def age(self, years: float | None) -> float | None:
        """An age in years."""
        return grouped_age(years) if self.pseudonyms else years

    def record(self, record: EcgRecord, patient_id: str) -> EcgRecord:
        """An ECG of a patient."""
        return self.pseudonyms.record(record, patient_id) if self.pseudonyms else record
