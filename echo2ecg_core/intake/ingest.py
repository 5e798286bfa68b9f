"""Journey 3, first half: a folder of ECGs, echo clips and labels becomes catalog rows and playable clips.

A layout (`layouts/`) makes a plan of the folder; everything in it is checked against itself and against the catalog
before the first row is written, and all that is wrong is told at once. Then patients, studies and labels come in as one
transaction, ECGs in batches, the clips of a study together. Data of real patients get the names of `pseudonyms.py` on
the way. A file that cannot be read is reported and passed over; what is in the catalog already is not read again, and
what a corrected table says anew is changed and told.
"""

import hashlib
import re
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from echo2ecg_core.ecg.record import EcgRecord
from echo2ecg_core.errors import Echo2ECGError, StoreError
from echo2ecg_core.intake.checks import check
from echo2ecg_core.intake.layouts.recognise import plan_of
from echo2ecg_core.intake.options import Names, Options
from echo2ecg_core.intake.plan import Plan, PlannedClip, PlannedEcg, PlannedPatient, PlannedStudy
from echo2ecg_core.intake.pseudonyms import write_key
from echo2ecg_core.phantom.mark import shows_mark
from echo2ecg_core.progress import Progress, silent
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.new_rows import NewClip, NewEcg, NewPatient, NewStudy
from echo2ecg_core.store.splits import PATIENT_SPLITS

BATCH = 64  # ECGs of one transaction
_QUOTED = re.compile(r"[“\"][^”\"]*[”\"]")


@dataclass
class IngestReport:
    """What an import added and changed, and each file it passed over with the reason in words.

    Attributes:
        ecgs, studies, clips, patients: Newly added.
        changed: What a corrected table changed: {kind, id, name, was, now}.
        kept: What a person corrected and the table says otherwise, so that it stayed: {kind, id, name, was, now, kept}.
        refused: {file, reason}; of real patients files go by numbers.
        notes: What was settled, converted or left off.
        ignored: {what, reason}; of real patients counted by reason, the preview names them.
        pseudonyms: True where ids and dates were replaced.
        cohort: Whom the ids belong to.
    """

    ecgs: int = 0
    studies: int = 0
    clips: int = 0
    patients: int = 0
    changed: list[dict] = field(default_factory=list)
    kept: list[dict] = field(default_factory=list)
    refused: list[dict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ignored: list[dict] = field(default_factory=list)
    pseudonyms: bool = False
    cohort: str = ""

    def as_json(self) -> dict:
        """The report as one JSON document."""
        return asdict(self)


def summary_lines(report: IngestReport) -> list[str]:
    """A report for the terminal."""
    told = [
        f"Added {report.ecgs} ECGs, {report.studies} studies, {report.clips} clips of {report.patients} new patients."
    ]
    told += [
        f"Changed {row['name']} of {row['kind']} {row['id']}: {row['was']} is {row['now']} now."
        for row in report.changed
    ]
    told += [
        f"Kept {row['name']} of {row['kind']} {row['id']} as it was corrected {row['kept']}: {_value(row['was'])}. The "
        f"table says {_value(row['now'])}."
        for row in report.kept
    ]
    told += report.notes
    told += [f"Ignored {row['what']}: {row['reason']}." for row in report.ignored]
    return told + [f"Passed over {row['file']}: {row['reason']}" for row in report.refused]


def _value(value: object) -> str:
    return "not known" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def ingest(
    folder: Path,
    workspace: Workspace,
    *,
    cohort: str,
    synthetic: bool = False,
    progress: Progress = silent,
    keep_ids: bool = False,
    options: Options | None = None,
) -> IngestReport:
    """Read an archive into the workspace; ECGs first, so that they can be used while clips still arrive.

    Args:
        cohort, keep_ids: As in `Options`, for the callers that need no others.
        synthetic: The data are of simulated hearts, whatever the folder says.

    Raises:
        ImportRefused: something in the tables cannot be; nothing was written.
        StoreError: a table cannot be read or lacks a column.
    """
    options = replace(options or Options(), cohort=cohort, keep_ids=keep_ids or bool(options and options.keep_ids))
    plan = plan_of(Path(folder), options.layout, options.labels, options.told)
    plan.synthetic = plan.synthetic or synthetic
    options = replace(options, cohort=options.cohort or plan.cohort)
    check(plan, workspace, options)
    return _Import(plan, workspace, options, progress).run()


def split_of(patient_id: str) -> str:
    """Split of a patient by hash of the id: 70 % train, 15 % validation, 15 % test, stable for ever."""
    share = int(hashlib.sha256(patient_id.encode()).hexdigest()[:8], 16) / 2**32
    return PATIENT_SPLITS[0] if share < 0.70 else PATIENT_SPLITS[1] if share < 0.85 else PATIENT_SPLITS[2]


class _Import:
    """One import under way."""

    def __init__(self, plan: Plan, workspace: Workspace, options: Options, progress: Progress):
        self.plan, self.workspace, self.options, self.progress = plan, workspace, options, progress
        self.names = Names(plan, workspace, options)
        self.catalog, self.report = Catalog(workspace), IngestReport(notes=list(plan.notes), cohort=options.cohort)
        self.report.pseudonyms = self.names.pseudonyms is not None
        self.report.ignored = [{"what": what, "reason": reason} for what, reason in plan.ignored]
        if self.report.pseudonyms:  # names of files and of measurements may be those of people
            reasons = Counter(reason for _, reason in plan.ignored)
            self.report.ignored = [{"what": f"{n} of the import", "reason": reason} for reason, n in reasons.items()]

    def run(self) -> IngestReport:
        for name, reason in self.plan.passed_over:
            self._refuse(name, reason)
        before = self.catalog.counts()
        self._write_key()
        with self.workspace.write():
            self._add_rows()
        after = self.catalog.counts()
        self.report.patients, self.report.studies = (after[k] - before[k] for k in ("patients", "studies"))
        self._add_ecgs()
        self._add_clips()
        after = self.catalog.counts()
        self.report.ecgs, self.report.clips = (after[k] - before[k] for k in ("ecgs", "clips"))
        return self.report

    def _add_rows(self) -> None:
        """Patients, studies and labels, and what the table says anew of ECGs that are here."""
        plan, names, cohort = self.plan, self.names, self.options.cohort
        self.ids = {}
        for kind, given in (("patient", plan.patients), ("study", plan.studies), ("ecg", plan.ecgs)):
            taken = self.catalog.take_ids(cohort, kind, [names.of(kind, i) for i in given])
            self.ids[kind] = {i: taken[names.of(kind, i)] for i in given}
        with self.workspace.connect() as db:
            self.split = {r["patient_id"]: r["split"] for r in db.execute("SELECT patient_id, split FROM patients")}
        if not (self.names.pseudonyms or plan.synthetic):
            self.catalog.keeps_ids(cohort)
        changes = self.catalog.add_patients([self._patient(p) for p in plan.patients.values()])
        changes += self.catalog.add_studies([self._study(s) for s in plan.studies.values()])
        here = set(self.catalog.ecgs().ecg_id)
        self.waiting = [e for e in plan.ecgs.values() if self.ids["ecg"][e.ecg_id] not in here]
        changes += self.catalog.set_ecg_times(
            {
                self.ids["ecg"][e.ecg_id]: moment
                for e in plan.ecgs.values()
                if self.ids["ecg"][e.ecg_id] in here and (moment := self._moment(e)) is not None
            }
        )
        told = [vars(change) for change in changes]
        self.report.kept = [row for row in told if row["kept"]]
        self.report.changed = [{k: v for k, v in row.items() if k != "kept"} for row in told if not row["kept"]]

    def _moment(self, planned: PlannedEcg) -> str | None:
        """When a table says it was recorded; None where none does."""
        return self.names.moment(planned.ecg_time, planned.patient_id) if planned.ecg_time else None

    def _patient(self, planned: PlannedPatient) -> NewPatient:
        id = self.ids["patient"][planned.patient_id]
        split = planned.split or self.split.get(id) or split_of(planned.patient_id)
        return NewPatient(id, split, self.options.cohort, self.plan.synthetic, planned.sex)

    def _study(self, planned: PlannedStudy) -> NewStudy:
        return NewStudy(
            self.ids["study"][planned.study_id],
            self.ids["patient"][planned.patient_id],
            self.names.moment(planned.study_date, planned.patient_id),
            self.names.age(planned.age_years),
            planned.phenotypes,
            planned.findings,
        )

    def _add_ecgs(self) -> None:
        """Read the ECG files that the catalog does not hold yet, and keep them a batch at a time."""
        for start in range(0, len(self.waiting), BATCH):
            self.progress(0.2 * start / len(self.waiting), f"Reading ECGs: {start} of {len(self.waiting)}")
            rows = [row for e in self.waiting[start : start + BATCH] if (row := self._ecg(e)) is not None]
            with self.workspace.write():
                self.catalog.add_ecgs(rows)
                self.catalog.set_sex_if_unknown({row.patient_id: row.record.sex for row in rows if row.record.sex})

    def _ecg(self, planned: PlannedEcg) -> NewEcg | None:
        """An ECG read; None for one that cannot be."""
        try:
            record = planned.read() if planned.read else _read(planned)
        except Echo2ECGError as error:
            self._refuse(self._shown(planned.path), str(error))
            return None
        time = planned.ecg_time
        if time is None and record.recorded_at:
            time = record.recorded_at.replace(tzinfo=None, microsecond=0).isoformat()
        record = record if planned.age_years is None else replace(record, age_years=planned.age_years)
        return NewEcg(
            self.ids["ecg"][planned.ecg_id],
            self.ids["patient"][planned.patient_id],
            self.names.record(record, planned.patient_id),
            self.names.moment(time, planned.patient_id),
            self.ids["study"].get(planned.own_study_id or ""),
        )

    def _add_clips(self) -> None:
        """Read the clips that the catalog does not hold yet, a study in one transaction."""
        by_study: dict[str, list[PlannedClip]] = {}
        for clip in self.plan.clips:
            by_study.setdefault(clip.study_id, []).append(clip)
        here, old = self.catalog.clip_files()
        for done, (given, clips) in enumerate(by_study.items()):
            self.progress(0.2 + 0.8 * done / len(by_study), f"Reading echo studies: {done} of {len(by_study)}")
            study_id = self.ids["study"][given]
            if old.get(study_id, 0) >= len(clips):  # came in before the hashes of files were kept
                continue
            self.catalog.add_clips([row for c in clips if (row := self._clip(study_id, c, here)) is not None])

    def _clip(self, study_id: str, planned: PlannedClip, here: set[tuple[str, str]]) -> NewClip | None:
        """A clip made playable; of real patients everything outside the sector is blacked out first, and one whose
        sector cannot be found is refused, never stored as it is. None for one that is here or refused."""
        from echo2ecg_core.echo.deidentify import deidentified
        from echo2ecg_core.echo.readers import read_clip
        from echo2ecg_core.echo.video import encode_mp4

        try:
            file_hash = _hash_of(planned.path)
            if (study_id, file_hash) in here:
                return None
            clip = read_clip(planned.path)
            simulated = self.plan.synthetic and clip.synthetic and shows_mark(clip.frames)
            clip = clip if simulated else deidentified(clip)
        except Echo2ECGError as error:
            self._refuse(self._shown(planned.path), str(error))
            return None
        whole = simulated and clip.format == "MP4"
        return NewClip(
            study_id,
            planned.path.read_bytes() if whole else encode_mp4(clip),
            fps=clip.fps,
            n_frames=clip.n_frames,
            format=clip.format,
            view=planned.view or clip.view,
            spacing_mm=clip.spacing_mm,
            r_wave_times_s=clip.r_wave_times_s,
            notes=clip.notes,
            file_hash=file_hash,
        )

    def _shown(self, path: Path) -> str:
        return path.relative_to(self.plan.root).as_posix() if path.is_relative_to(self.plan.root) else path.name

    def _refuse(self, name: str, reason: str) -> None:
        """Names of files and texts in quotation marks may hold those of people: of real patients files go by number."""
        if self.names.pseudonyms:
            name, reason = f"file {len(self.report.refused) + 1}", _QUOTED.sub("the file", reason)
        self.report.refused.append({"file": name, "reason": reason})

    def _write_key(self) -> None:
        if self.options.key is None:
            return
        if not self.names.pseudonyms:
            raise StoreError("Ids stay as they are in this import; there is no key to write.", "Leave out --key.")
        rows = [
            (kind, i, self.names.of(kind, i), self.names.pseudonyms.days(i) if kind == "patient" else None)
            for kind, given in (("patient", self.plan.patients), ("study", self.plan.studies), ("ecg", self.plan.ecgs))
            for i in given
        ]
        write_key(self.options.key, self.workspace, rows)


def _read(ecg: PlannedEcg) -> EcgRecord:
    from echo2ecg_core.ecg.readers import read_ecg

    return read_ecg(ecg.path, sampling_rate_hz=ecg.sampling_rate_hz, unit=ecg.unit, lead_order=ecg.lead_order)


def _hash_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StoreError(f"The file cannot be opened: {error.strerror}.", "Check that it is there.") from error
