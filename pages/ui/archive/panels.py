"""Importing an archive: what it should look like, where it comes from, how far the job is, what was refused and why."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import streamlit as st

from echo2ecg_core.figures.notation import THIN, date, duration
from echo2ecg_core.figures.tables import csv_file, csv_of
from echo2ecg_core.intake.archives import discard_upload, import_report, keep_upload, options_of, unpacked_upload
from echo2ecg_core.intake.layouts.recognise import LAYOUTS
from echo2ecg_core.intake.preview import preview
from echo2ecg_core.roles import ADMIN
from echo2ecg_core.store import jobs
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.store.jobs import Job
from pages.ui import panels
from pages.ui.admin_gate import asks, end_with_login
from pages.ui.archive import import_session
from pages.ui.archive.preview import shown_mapping, what_columns_mean, what_lies_there, what_will_happen
from pages.ui.errors import errors_in_words, plain

POLL_S = 2
PURPOSE = (
    "Bring ECGs, echo clips and labels into this workspace. The import goes on when this page closes; stopping "
    "and starting repeats nothing."
)
LAYOUT = """
A folder comes in as it lies there: PTB-XL, MIMIC-IV-ECG and -ECHO, EchoNext, EchoNet, CAMUS, TMED-2, CODE-15,
Chapman, a hospital's export (ECG files, DICOM studies and tables in any folders), or our own layout:
```
archive/
  labels.csv    patient_id, study_id, study_date, sex, age_years, split, lvef, lvedv, …   one row a study
  ecgs.csv      ecg_id, patient_id, ecg_time, path, sampling_rate_hz, unit, lead_order    one row an ECG
  ecg/…         any format the ECG page reads; `path` is relative to ecgs.csv
  echo/PATIENT/STUDY/…   clips: DICOM, MP4, AVI
```
Either table may be missing. Splits are by patient; without a column `split` each patient gets one by hash
(70 / 15 / 15). Clips of real patients are de-identified on the way in: everything outside the ultrasound sector is
blacked out; a clip whose sector cannot be told surely waits below for a person. Ids are replaced and dates moved unless
you keep them. What is in the workspace already is not read again.
"""
COHORT_HELP = "Ids belong to their cohort: two hospitals that count from 1 need two names."
STATES = {"queued": "Waiting", "running": "Running", "done": "Done", "failed": "Failed", "cancelled": "Stopped"}


def counts(workspace: Workspace) -> None:
    """What the workspace holds."""
    held = (
        Catalog(workspace).counts()
        if workspace.exists()
        else dict.fromkeys(("patients", "studies", "clips", "ecgs"), 0)
    )
    labels = {"patients": "Patients", "ecgs": "ECGs", "studies": "Echo studies", "clips": "Clips"}
    panels.figures({label: f"{held[key]:,}" for key, label in labels.items()}, "import_counts")


def form(workspace: Workspace) -> None:
    """Folder on the server or zip, name of the cohort, the preview, and the button that queues the job."""
    with st.container(border=True, key="archive_form"):
        st.html("<h2 class='e2e-run'>Import an archive</h2>")
        with st.popover("What an archive looks like", type="tertiary", icon=":material/folder_open:", width="content"):
            st.markdown(LAYOUT)
        source = st.segmented_control(
            "Where it is",
            ["Folder on this server", "Upload a zip"],
            default="Folder on this server",
            required=True,
            key="archive_source",
        )
        if source == "Upload a zip":
            place, path = _uploaded(workspace)
        else:
            path = st.text_input(
                "Full path of the folder", key=import_session.path_key(), placeholder="/data/echo-archive"
            ).strip()
            place = {"folder": str(Path(path).expanduser())}
        parameters = _how()
        ready = bool(path) and _previewed(workspace, path, parameters)
        if st.button("Import", type="primary", icon=":material/download:", disabled=not ready):
            with errors_in_words():
                told = {name: vars(c) for name, c in import_session.told_columns(path).items()}
                _queue(workspace, place | parameters | ({"map": told} if told else {}))


@asks("import")
def _queue(workspace: Workspace, parameters: dict) -> None:
    jobs.queue(workspace, "import", parameters)
    jobs.start_worker(workspace)
    import_session.begin_anew()
    st.rerun()


def _uploaded(workspace: Workspace) -> tuple[dict, str]:
    """The zip of a visitor, kept and unpacked once: how the job names it, and the folder to look into ("": none)."""
    upload = st.file_uploader(
        "Zip of the archive folder",
        type="zip",
        key=import_session.uploader_key(),
        on_change=_discard_upload,
        args=(workspace,),
    )
    known = import_session.kept_upload()
    with errors_in_words():
        if upload is not None and known is None:
            kept = keep_upload(workspace, upload.name, upload.getvalue())
            known = import_session.keep_upload(kept, str(unpacked_upload(workspace, kept)))
        if known is not None:  # the server may have forgotten the bytes meanwhile: they lie on the disk
            return {"upload": known[0]}, known[1]
    return {}, ""


@asks("import")
def _discard_upload(workspace: Workspace) -> None:
    """Another file was chosen, or none: the one before leaves no file."""
    if known := import_session.kept_upload():
        discard_upload(workspace, known[0])
        import_session.forget()


def _how() -> dict:
    """Cohort, layout, table of labels and what happens to ids, as the job takes them; only what is not as usual."""
    cohort = st.text_input(
        "Name of the cohort", key="archive_cohort", max_chars=60, placeholder="That of the data set", help=COHORT_HELP
    ).strip()
    prepare = st.checkbox("Afterwards make vectors and map of the active model", value=True, key="archive_prepare")
    chosen = _more()
    return {"cohort": cohort, "prepare": prepare} | {k: v for k, v in chosen.items() if v is not None}


def _more() -> dict:
    """What is rarely told: drawn from when it is first unfolded, its fields are a third of what a browser loads."""
    more = st.expander("More: layout, a table of labels, ids", key="archive_more", on_change="rerun")
    if not import_session.shows_more(bool(more.open)):
        return {}
    with more:
        layout = st.selectbox("Layout", ["auto", *LAYOUTS], key="archive_layout", help="auto: told by the content.")
        labels = st.text_input("Full path of a table of labels (CSV, Excel)", key="archive_labels").strip()
        keep_ids = st.checkbox(
            "Keep ids, dates and ages as they are",
            key="archive_keep_ids",
            help="For data without real patients, or where you may keep them. Otherwise ids are replaced, dates moved "
            "by one number of days a patient, and ages over 89 grouped.",
        )
        vectors_of = st.text_input(
            "Model whose clip encoder made stored clip vectors",
            key="archive_vectors_of",
            placeholder="told by the data set",
            help="For archives with clip vectors in place of videos: the id of a model, or a name for an encoder.",
        ).strip()
    chosen = {"layout": layout if layout != "auto" else None, "labels": labels or None, "keep_ids": keep_ids or None}
    return chosen | {"vectors_of": vectors_of or None}


def _previewed(workspace: Workspace, path: str, parameters: dict) -> bool:
    """Show what the folder holds, before it is read; True when it can come in."""
    told = import_session.told_columns(path)
    key = (path, str(sorted(parameters.items())), str(sorted(told.items())))
    again = st.button("Look again", icon=":material/refresh:", type="tertiary", key="archive_again")
    with errors_in_words():
        found = import_session.preview_of(key)
        if found is None or again:
            with st.spinner("Looking at tables and headers"):
                found = preview(
                    Path(path), workspace, options_of(parameters | {"map": {k: vars(c) for k, c in told.items()}})
                )
            import_session.keep_preview(key, found)
        what_lies_there(found)
        columns = what_columns_mean(found, told)
        if columns != shown_mapping(found, told):
            import_session.tell_columns(path, columns)
            st.rerun()
        what_will_happen(found)
        return not found["problems"]
    return False


def imports(workspace: Workspace) -> None:
    """The imports so far, the newest open; renews itself while one is under way."""
    found = [j for j in jobs.jobs(workspace) if j.kind == "import"] if workspace.exists() else []
    if not found:
        st.caption("No archive has been imported yet.")
        return
    busy = any(j.is_open or j.is_stopping for j in found)
    st.fragment(_imports, run_every=POLL_S if busy else None)(workspace, busy)


def _imports(workspace: Workspace, was_busy: bool) -> None:
    end_with_login(ADMIN)
    with errors_in_words():
        jobs.tend(workspace)
        found = [j for j in jobs.jobs(workspace) if j.kind == "import"]
        if was_busy and not any(j.is_open or j.is_stopping for j in found):
            st.rerun()
        for number, job in enumerate(found[:10]):
            _one(workspace, job, newest=number == 0)


def _one(workspace: Workspace, job: Job, *, newest: bool) -> None:
    began = date(datetime.fromtimestamp(job.created_at, UTC))
    state = "Stopping" if job.is_stopping else STATES[job.state]
    with st.expander(
        f"{plain(job.parameters.get('cohort') or 'Import')} · {state} · {began} UTC", expanded=newest or job.is_open
    ):
        if job.state == "running":
            left = f"{duration(job.eta_s)} left" if job.eta_s else ""
            told = (f"{100 * job.progress:.0f}{THIN}%", left, plain(job.message) or "Starting")
            st.progress(min(1.0, job.progress), text=" · ".join(filter(None, told)))
        elif job.state in ("failed", "cancelled"):
            st.warning(
                plain(job.message), icon=":material/error:" if job.state == "failed" else ":material/stop_circle:"
            )
        else:
            st.write(plain(job.message) or "Waiting for the work before it.")
        if job.is_open:
            st.button(
                "Stop",
                key=f"stop_{job.job_id}",
                icon=":material/stop:",
                on_click=asks("stop a job")(jobs.cancel),
                args=(workspace, job.job_id),
            )
        elif job.state in ("failed", "cancelled"):
            st.button(
                "Resume",
                key=f"resume_{job.job_id}",
                icon=":material/resume:",
                on_click=_resume,
                args=(workspace, job.job_id),
            )
        report = import_report(workspace, job.job_id)
        _told(report, job.job_id)
        _refused(report, job.job_id)


def _told(report: dict | None, job_id: int) -> None:
    """What an import settled, changed and left out."""
    if not report or "notes" not in report:
        return
    if report["notes"]:
        st.caption("  \n".join(map(plain, report["notes"])))
    if report["changed"]:
        names = {"kind": "What", "id": "Id", "name": "Column", "was": "Was", "now": "Is now"}
        st.dataframe(pd.DataFrame(report["changed"]).astype(str).rename(columns=names), hide_index=True)
    if kept := report.get("kept"):
        names = {"kind": "What", "id": "Id", "name": "Column", "was": "Stays", "now": "The table says"}
        st.caption("Corrected by a person, so it stayed although the table says otherwise:")
        rows = pd.DataFrame(kept).astype(str).rename(columns=names | {"kept": "Corrected"})
        st.dataframe(rows, hide_index=True, key=f"kept_{job_id}", alt="Corrections that stayed")
    if report["ignored"]:
        st.caption(plain("Not used: " + "; ".join(f"{row['what']} ({row['reason']})" for row in report["ignored"][:8])))


def _refused(report: dict | None, job_id: int) -> None:
    if not report or not report["refused"]:
        return
    refused = pd.DataFrame(report["refused"]).rename(columns={"file": "File", "reason": "Why it was passed over"})
    st.dataframe(
        refused,
        hide_index=True,
        row_height=29,
        height="content" if len(refused) < 10 else 320,
        key=f"refused_{job_id}",
        alt="Files that were passed over",
    )
    st.download_button(
        "CSV",
        csv_file(csv_of(refused)),
        f"import-{job_id:04d}-passed-over.csv",
        "text/csv",
        icon=":material/download:",
        key=f"refused_csv_{job_id}",
        on_click="ignore",
    )


@asks("resume a job")
def _resume(workspace: Workspace, job_id: int) -> None:
    jobs.resume(workspace, job_id)
    jobs.start_worker(workspace)
