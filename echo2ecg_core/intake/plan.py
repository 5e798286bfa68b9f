"""What an import would bring in, before anything is read in full or written: the rows, and all that is wrong.

Every layout makes a `Plan`; preview, pseudonyms and writing know nothing else of a data set. Ids in a plan are those of
the data set. What contradicts itself (a study of two patients, a patient in two splits or of two sexes) becomes a
problem here, whatever the layout.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.findings import Findings
from echo2ecg_core.intake.folders import shown_path
from echo2ecg_core.intake.mapping import TableMap
from echo2ecg_core.intake.problems import Problems


@dataclass(slots=True)
class PlannedPatient:
    """A person of the data set; `sex` "male" or "female", `split` one of the three, None where not told."""

    patient_id: str
    sex: str | None = None
    split: str | None = None


@dataclass(slots=True)
class PlannedStudy:
    """An echo visit, or the labels of an ECG that has no echo; dates are ISO text, values in the phenotypes' units."""

    study_id: str
    patient_id: str
    study_date: str | None = None
    age_years: float | None = None
    phenotypes: dict[str, float] = field(default_factory=dict)
    findings: Findings = field(default_factory=Findings)


@dataclass(slots=True)
class PlannedEcg:
    """An ECG and where it lies.

    Attributes:
        ecg_id, patient_id: Of the data set.
        path: The file; `shown` is how a report may name it.
        ecg_time: ISO text; None: the file's own time.
        sampling_rate_hz, unit, lead_order: What the table says of a file that does not say it.
        age_years: Where the table says it.
        own_study_id: The study that holds its labels where the data set says so.
        read: Reads it where the file is not one ECG (a row of an array); None: `read_ecg`.
    """

    ecg_id: str
    patient_id: str
    path: Path
    ecg_time: str | None = None
    sampling_rate_hz: float | None = None
    unit: str | None = None
    lead_order: tuple[str, ...] | None = None
    age_years: float | None = None
    own_study_id: str | None = None
    read: Callable[[], EcgRecord] | None = None


@dataclass(slots=True)
class PlannedClip:
    """An echo file of a study; `view` one of echo.clip.VIEWS where the data set tells it. One of which only the vector
    is there tells its row in a file of clip vectors."""

    study_id: str
    path: Path
    view: str | None = None
    vector_row: int | None = None


@dataclass
class Plan:
    """Everything an import would do.

    Attributes:
        layout: Name of the layout in words.
        cohort: What the data set is called where nobody names it.
        root: The folder.
        synthetic: True for data of simulated hearts.
        patients, studies, ecgs: By id. clips: In order.
        notes: What was settled or converted.
        passed_over: (file relative to root, reason) of what is refused already.
        ignored: (what, reason) of files, columns and measurements that are not used.
        maps: The table maps by file name.
        problems: All that is wrong.
        tables: Names of all tables that were read, which notes may tell.
        alias: Accession numbers and UIDs -> id of the study, where studies have several names.
        split_hints: Splits that names of tables tell -> ids of the patients in them.
        by_day: Ids of studies that were made of a patient and a day, because their rows name none.
        joined: Those of them that the workspace has -> their ids there.
        unowned: Clips whose files do not say whose they are -> when they were made.
        ecg_names: What tables call ECGs whose files have ids of their own -> id of the ECG.
        vectors_of: What the data set calls the clip encoder that made its clip vectors, and how long they are.
        encoder: The clip encoder's id or name in the workspace, once that is settled.
    """

    layout: str
    root: Path
    synthetic: bool = False
    patients: dict[str, PlannedPatient] = field(default_factory=dict)
    studies: dict[str, PlannedStudy] = field(default_factory=dict)
    ecgs: dict[str, PlannedEcg] = field(default_factory=dict)
    clips: list[PlannedClip] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    passed_over: list[tuple[str, str]] = field(default_factory=list)
    ignored: list[tuple[str, str]] = field(default_factory=list)
    maps: dict[str, TableMap] = field(default_factory=dict)
    problems: Problems = field(default_factory=Problems)
    cohort: str = "Imported"
    alias: dict[str, str] = field(default_factory=dict)
    tables: set[str] = field(default_factory=set)
    ecg_names: dict[str, str] = field(default_factory=dict)
    split_hints: dict[str, set[str]] = field(default_factory=dict)
    by_day: set[str] = field(default_factory=set)
    joined: dict[str, str] = field(default_factory=dict)
    unowned: dict[Path, str | None] = field(default_factory=dict)
    vectors_of: tuple[str, int] | None = None
    encoder: str | None = None
    _owner_of: dict[Path, str] = field(default_factory=dict)

    def note(self, *sentences: str) -> None:
        """Add notes, each once."""
        self.notes += [s for s in dict.fromkeys(sentences) if s and s not in self.notes]

    def patient(
        self,
        patient_id: str,
        sex: str | None = None,
        split: str | None = None,
        *,
        file: str = "",
        row: int | None = None,
    ) -> None:
        """Add a patient, or what is told of one a second time."""
        known = self.patients.setdefault(patient_id, PlannedPatient(patient_id, sex, split))
        where = f" ({file}, row {row})" if row else ""
        if sex and known.sex and sex != known.sex:
            self.problems.add(f"A patient would have two sexes{where}.", file, row, "sex")
        if split and known.split and split != known.split:
            self.problems.add(
                f"A patient would be in two splits ({known.split} and {split}){where}.", file, row, "split"
            )
        known.sex, known.split = known.sex or sex, known.split or split

    def study(self, study: PlannedStudy, *, file: str = "", row: int | None = None) -> None:
        """Add a study, or what another row tells of it; two rows must not contradict each other."""
        known = self.studies.setdefault(study.study_id, study)
        where = f" ({file}, row {row})" if row else ""
        if known is study:
            return
        if known.patient_id != study.patient_id:
            self.problems.add(f"An echo study would belong to two patients{where}.", file, row, "study_id")
            return
        if study.study_date and known.study_date and known.study_date[:10] == study.study_date[:10]:
            known.study_date = max(known.study_date, study.study_date, key=len)  # the same day, once with its hour
        else:
            known.study_date = self._one(known.study_date, study.study_date, "study_date", file, row)
        if known.age_years is None or study.age_years is None or abs(known.age_years - study.age_years) > 1:
            known.age_years = self._one(known.age_years, study.age_years, "age_years", file, row)
        for name, value in study.phenotypes.items():
            known.phenotypes[name] = self._one(known.phenotypes.get(name), value, name, file, row)
        told = {k: v for k, v in vars(study.findings).items() if v is not None}
        same = {k: self._one(getattr(known.findings, k), v, k, file, row) for k, v in told.items()}
        known.findings = Findings(**(vars(known.findings) | same))

    def _one(self, was, now, column: str, file: str, row: int | None):
        if was is not None and now is not None and was != now:
            self.problems.add(
                f"Two rows give one study different values of {column} ({file}, row {row}).", file, row, column
            )
        return was if was is not None else now

    def settle_films(self) -> None:
        """Each film once; one that would be of two studies is a problem."""
        once: dict[tuple, PlannedClip] = {}
        for clip in self.clips:
            once.setdefault((clip.path, clip.vector_row, clip.study_id), clip)
        self.clips = list(once.values())
        studies: dict[tuple[Path, int | None], set[str]] = {}
        for clip in self.clips:
            studies.setdefault((clip.path, clip.vector_row), set()).add(clip.study_id)
        for (path, _), ids in ((film, ids) for film, ids in studies.items() if len(ids) > 1):
            owners = {self.studies[id].patient_id for id in ids if id in self.studies}
            whose = "patients" if len(owners) > 1 else "studies"
            self.problems.add(f"One film would belong to two {whose}: {shown_path(path, self.root)}.")

    def ecg(self, ecg: PlannedEcg, *, file: str = "", row: int | None = None) -> None:
        """Add an ECG; an id that comes twice is a problem."""
        where = f" ({file}, row {row})" if row else ""
        if ecg.read is None and self._owner_of.setdefault(ecg.path, ecg.patient_id) != ecg.patient_id:
            self.problems.add(f"An ECG file would belong to two patients{where}.", file, row, "path")
            return
        known = self.ecgs.setdefault(ecg.ecg_id, ecg)
        if known is ecg or (known.patient_id, known.path) == (ecg.patient_id, ecg.path):
            return
        what = "to two patients" if known.patient_id != ecg.patient_id else "to two files"
        self.problems.add(f"An ECG id would belong {what}{where}.", file, row, "ecg_id")
