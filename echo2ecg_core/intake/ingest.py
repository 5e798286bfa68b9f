"""Journey 3, first half: a folder of ECGs, echo clips and labels becomes catalog rows and playable clips.

A layout (`layouts/`) makes a plan of the folder; everything in it is checked against itself and against the catalog
before the first row is written, and all that is wrong is told at once. Then patients, studies and labels come in as one
transaction, ECGs in batches, the clips of a study together. Data of real patients get the names of `pseudonyms.py` on
the way. A file that cannot be read is reported and passed over; what is in the catalog already is not read again, and
what a corrected table says anew is changed and told.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path

from echo2ecg_core.counts import counted
from echo2ecg_core.errors import StoreError, printable
from echo2ecg_core.intake.checks import check
from echo2ecg_core.intake.clip_vectors import come_in
from echo2ecg_core.intake.decoding import (
    AlreadyHere,
    ClipToRead,
    EcgToRead,
    Refused,
    ecgs_again,
    films,
    films_will_come,
    in_processes,
    one_pool,
    read_clip_file,
    read_ecgs,
)
from echo2ecg_core.intake.field_names import is_known_name
from echo2ecg_core.intake.folders import shown_path
from echo2ecg_core.intake.layouts.recognise import plan_of
from echo2ecg_core.intake.mapping import columns_of
from echo2ecg_core.intake.options import Names, Options
from echo2ecg_core.intake.plan import Plan, PlannedClip, PlannedEcg, PlannedPatient, PlannedStudy
from echo2ecg_core.intake.problems import unnamed
from echo2ecg_core.intake.pseudonyms import write_key
from echo2ecg_core.intake.waiting_clips import PutAside, drop_half_pictures, known_files, list_put_aside
from echo2ecg_core.progress import Progress, silent
from echo2ecg_core.store.additions import Change
from echo2ecg_core.store.blobs import drop_half_written
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace, write_atomically
from echo2ecg_core.store.new_rows import NewPatient, NewStudy, StoredClip, StoredEcg
from echo2ecg_core.store.splits import PATIENT_SPLITS

ECGS_A_PIECE, ECGS_A_BATCH, CLIPS_A_BATCH = 16, 64, 32  # read by a process at a time; listed by a transaction
_QUOTED = re.compile(r"[“\"][^”\"]*[”\"]")
HERE_ALREADY = (
    "ECGs that were here already and were not read again: {}. A file that was replaced under its id comes in once that "
    "ECG was taken out (Cohorts page, or remove)."
)


@dataclass
class IngestReport:
    """What an import added and changed, and each file it passed over with the reason in words.

    Attributes:
        ecgs, studies, clips, patients: Newly added, by all attempts where it was stopped and started again.
        changed: What a corrected table changed: {kind, id, name, was, now}.
        kept: What a person corrected and the table says otherwise, so that it stayed: {kind, id, name, was, now, kept}.
        waiting: Clips that a person has to look at; they are among the refused.
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
    waiting: int = 0
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
        f"Added {counted(report.ecgs, 'ECG')}, {counted(report.studies, 'study', 'studies')}, "
        f"{counted(report.clips, 'clip')} of {counted(report.patients, 'new patient')}."
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
    if report.waiting:
        wait, their = ("clip waits", "its") if report.waiting == 1 else ("clips wait", "their")
        told += [f"{report.waiting:,} {wait} for a person on the Import page: {their} sector could not be told surely."]
    told += report.notes
    told += [f"Ignored {row['what']}: {row['reason'].removesuffix('.')}." for row in report.ignored]
    told += [f"Passed over {row['file']}: {row['reason']}" for row in report.refused]
    return [printable(line) for line in told]


def _value(value: object) -> str:
    return "not known" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def ingest(
    folder: Path,
    workspace: Workspace,
    *,
    cohort: str | None = None,
    synthetic: bool = False,
    progress: Progress = silent,
    keep_ids: bool = False,
    options: Options | None = None,
    plan: Plan | None = None,
    begun: Path | None = None,
) -> IngestReport:
    """Read an archive into the workspace; ECGs first, so that they can be used while clips still arrive.

    Args:
        cohort, keep_ids: As in `Options`, for the callers that need no others.
        synthetic: The data are of simulated hearts, whatever the folder says.
        plan: Of the folder, where it was made already.
        begun: File that remembers what was there before the first attempt at this import, so that the report counts
            what all attempts added; whoever takes the report deletes it.

    Raises:
        ImportRefused: something in the tables cannot be; nothing was written.
        StoreError: a table cannot be read or lacks a column.
    """
    given = options or Options()
    options = replace(given, cohort=given.cohort if cohort is None else cohort, keep_ids=keep_ids or given.keep_ids)
    with one_pool():
        plan = plan or plan_of(Path(folder), options.layout, options.labels, options.told)
        plan.synthetic = plan.synthetic or synthetic
        options = replace(options, cohort=options.cohort or plan.cohort)
        check(plan, workspace, options)
        return _Import(plan, workspace, options, progress, begun).run()


def split_of(patient_id: str) -> str:
    """Split of a patient by hash of the id: 70 % train, 15 % validation, 15 % test, stable for ever."""
    share = int(hashlib.sha256(patient_id.encode()).hexdigest()[:8], 16) / 2**32
    return PATIENT_SPLITS[0] if share < 0.70 else PATIENT_SPLITS[1] if share < 0.85 else PATIENT_SPLITS[2]


class _Import:
    """One import under way."""

    def __init__(self, plan: Plan, workspace: Workspace, options: Options, progress: Progress, begun: Path | None):
        self.plan, self.workspace, self.options, self.progress, self.begun = plan, workspace, options, progress, begun
        self.names = Names(plan, workspace, options)
        self.catalog, self.report = Catalog(workspace), IngestReport(notes=list(plan.notes), cohort=options.cohort)
        self.report.pseudonyms = self.names.pseudonyms is not None
        self.report.ignored = [{"what": what, "reason": reason} for what, reason in plan.ignored]
        if self.report.pseudonyms:  # names of files and of measurements may be those of people
            reasons = Counter(unnamed(reason, [Path(what).name]) for what, reason in plan.ignored)
            self.report.ignored = [{"what": f"{n} of the import", "reason": reason} for reason, n in reasons.items()]
            columns = {name for means in plan.maps.values() for name in columns_of(means)} | set(options.told)
            columns = {name for name in columns if not is_known_name(name)}
            self.report.notes = [
                unnamed(unnamed(note, {*plan.maps, *plan.tables}), columns, "a column") for note in plan.notes
            ]

    def run(self) -> IngestReport:
        for name, reason in self.plan.passed_over:
            self._refuse(name, reason)
        before = self._before()
        if any(clip.vector_row is None for clip in self.plan.clips):
            films_will_come()
        drop_half_written(self.workspace)
        drop_half_pictures(self.workspace)
        self._write_key()
        with self.workspace.write():
            self._add_rows(self.catalog.counts(self.options.cohort)["ecgs"] - before["counts"]["ecgs"])
            self._remember(before)
        self._add_ecgs()
        self._add_clips()
        self._add_clip_vectors()
        now = self.catalog.counts(self.options.cohort)
        for what, count in now.items():
            setattr(self.report, what, count - before["counts"][what])
        return self.report

    def _before(self) -> dict:
        """What the cohort held before the first attempt ("counts"), and what earlier attempts "changed"."""
        if self.begun and self.begun.is_file():
            return json.loads(self.begun.read_text())
        return {"counts": self.catalog.counts(self.options.cohort), "changed": []}

    def _remember(self, before: dict) -> None:
        """Keep for the next attempt what this one found and changed, while it can still be taken back."""
        known = {(c["kind"], c["id"], c["name"]): c for c in before["changed"]}
        for change in self.report.changed:
            key = change["kind"], change["id"], change["name"]
            known[key] = change | {"was": known.get(key, change)["was"]}
        self.report.changed = list(known.values())
        if self.begun:
            write_atomically(self.begun, json.dumps(before | {"changed": self.report.changed}).encode())

    def _add_rows(self, added: int) -> None:
        """Patients, studies and labels, and what the table says anew of ECGs that are here, `added` of them by earlier
        attempts."""
        plan, names, cohort = self.plan, self.names, self.options.cohort
        self.ids = {}
        for kind, given in (("patient", plan.patients), ("study", plan.studies), ("ecg", plan.ecgs)):
            mine = [i for i in given if kind != "study" or i not in plan.joined]
            taken = self.catalog.take_ids(cohort, kind, [names.of(kind, i) for i in mine])
            self.ids[kind] = {i: taken[names.of(kind, i)] for i in mine}
        self.ids["study"] |= plan.joined
        with self.workspace.connect() as db:
            self.split = {r["patient_id"]: r["split"] for r in db.execute("SELECT patient_id, split FROM patients")}
        if not (self.names.pseudonyms or plan.synthetic):
            self.catalog.keeps_ids(cohort)
        changes = self.catalog.add_patients([self._patient(p) for p in plan.patients.values()])
        changes += self.catalog.add_studies([self._study(s) for s in plan.studies.values()])
        here = self.catalog.ecg_ids(cohort)
        self.waiting = [e for e in plan.ecgs.values() if self.ids["ecg"][e.ecg_id] not in here]
        if (n := len(plan.ecgs) - len(self.waiting) - added) > 0:
            self.report.notes.append(HERE_ALREADY.format(f"{n:,}"))
        changes += self.catalog.set_ecg_times(
            {
                self.ids["ecg"][e.ecg_id]: moment
                for e in plan.ecgs.values()
                if self.ids["ecg"][e.ecg_id] in here and (moment := self._moment(e)) is not None
            }
        )
        self._tell(changes)

    def _tell(self, changes: Iterable[Change]) -> None:
        """What a table says anew, and what stays because a person corrected it."""
        told = [vars(change) for change in changes]
        self.report.kept += [row for row in told if row["kept"]]
        self.report.changed += [{k: v for k, v in row.items() if k != "kept"} for row in told if not row["kept"]]

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
            None if planned.study_id in self.plan.joined else self.names.moment(planned.study_date, planned.patient_id),
            self.names.age(planned.age_years),
            planned.phenotypes,
            planned.findings,
        )

    def _add_ecgs(self) -> None:
        """Read the ECG files that the catalog does not hold yet, and list them a batch at a time."""
        work = partial(read_ecgs, self.workspace.folder, self.names)
        done, total = 0, len(self.waiting)
        files = self.waiting[0].path if self.waiting else None
        again = partial(ecgs_again, work)
        with closing(in_processes(work, self._ecgs_to_read(), again, files=files, workspace=self.workspace)) as pieces:
            for found in _batches(pieces, ECGS_A_BATCH):
                rows = [row for row in found if self._came_in(row)]
                with self.workspace.write():
                    self.catalog.add_stored_ecgs(rows)
                    self.catalog.set_sex_if_unknown({row.patient_id: row.sex for row in rows if row.sex})
                done += len(found)
                self.progress(0.2 * done / total, f"Reading ECGs: {done} of {total}")

    def _ecgs_to_read(self) -> Iterator[list[EcgToRead]]:
        """What is waiting, a few ECGs for a process at a time."""
        for start in range(0, len(self.waiting), ECGS_A_PIECE):
            yield [
                EcgToRead(
                    ecg,
                    self.ids["ecg"][ecg.ecg_id],
                    self.ids["patient"][ecg.patient_id],
                    self.ids["study"].get(ecg.own_study_id or ""),
                )
                for ecg in self.waiting[start : start + ECGS_A_PIECE]
            ]

    def _add_clips(self) -> None:
        """Read the clips that the catalog does not hold yet; those of a study are listed together."""
        by_study: dict[str, list[PlannedClip]] = {}
        for clip in (clip for clip in self.plan.clips if clip.vector_row is None):
            by_study.setdefault(self.ids["study"][clip.study_id], []).append(clip)
        old = self.catalog.clips_without_hash()  # of studies that came in before the hashes of files were kept
        by_study = {study_id: clips for study_id, clips in by_study.items() if old.get(study_id, 0) < len(clips)}
        work = partial(read_clip_file, self.workspace.folder, self.plan.synthetic)
        here: set[str] = set()
        copies, rows, done, total = 0, [], 0, sum(map(len, by_study.values()))
        self.aside: list[PutAside] = []
        self.views: dict[str, str] = {}  # that the data set gives clips that are here
        files = self.plan.clips[0].path if self.plan.clips else None

        def tell() -> None:
            self.progress(0.2 + 0.8 * done / total, f"Reading echo clips: {done} of {total}")

        with closing(films(work, self._clips_to_read(by_study), tell, files=files, workspace=self.workspace)) as found:
            for number, clips in enumerate(by_study.values(), 1):
                for read in islice(found, len(clips)):
                    if self._came_in(read):
                        copies += read.clip_id in here
                        here.add(read.clip_id)
                        rows.append(read)
                    done += 1
                    tell()
                if len(rows) + len(self.aside) >= CLIPS_A_BATCH or number == len(by_study):
                    with self.workspace.write():
                        self.catalog.add_stored_clips(rows)
                        list_put_aside(self.workspace, self.aside)
                    rows, self.aside = [], []
        if copies:
            self.report.notes.append(f"Clips that are copies of another file of their study, left out: {copies}.")
        self._tell(self.catalog.set_given_views(self.views))

    def _add_clip_vectors(self) -> None:
        """List the clips of which only vectors are there."""
        clips = [(self.ids["study"][c.study_id], c) for c in self.plan.clips if c.vector_row is not None]
        if not clips:
            return
        assert self.plan.encoder is not None, "the plan was checked"
        views: dict[str, str] = {}
        for rows, refused, given in come_in(self.workspace, clips, self.plan.encoder):
            self.catalog.add_stored_clips(rows)
            views |= given
            for clip, reason in refused:
                self._refuse(f"{self._shown(clip.path)}, row {clip.vector_row}", reason)
            self.progress(1.0, "Reading clip vectors")
        self._tell(self.catalog.set_given_views(views))

    def _clips_to_read(self, by_study: Mapping[str, Sequence[PlannedClip]]) -> Iterator[ClipToRead]:
        for study_id, clips in by_study.items():
            known = self.catalog.file_hashes(study_id)
            settled = known_files(self.workspace, study_id)
            yield from (ClipToRead(clip, study_id, known, settled) for clip in clips)

    def _came_in(self, read: StoredEcg | StoredClip | AlreadyHere | PutAside | Refused) -> bool:
        """Whether a file gave a row; one that was refused or waits for a person goes to the report."""
        if isinstance(read, AlreadyHere) and read.view:
            self.views[read.clip_id] = read.view
        if isinstance(read, PutAside):
            self.aside.append(read)
            self.report.waiting += 1
        if isinstance(read, Refused | PutAside):
            self._refuse(self._shown(read.path), read.reason)
        return isinstance(read, StoredEcg | StoredClip)

    def _shown(self, path: Path) -> str:
        return shown_path(path, self.plan.root)

    def _refuse(self, name: str, reason: str) -> None:
        """Names of files and texts in quotation marks may hold those of people: of real patients files go by number."""
        if self.names.pseudonyms:
            reason = _QUOTED.sub("the file", unnamed(reason, [Path(name).name]))
            name = f"file {len(self.report.refused) + 1}"
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


def _batches(pieces: Iterable[list], size: int) -> Iterator[list]:
    """Pieces joined to lists of at least `size`, but for the last."""
    batch: list = []
    for piece in pieces:
        batch += piece
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch
