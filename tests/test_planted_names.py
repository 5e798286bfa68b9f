"""Over 700 names and numbers of people in every place that a file has for them: none of them stays anywhere."""

import io
import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from echo2ecg_core.ecg.readers import read_ecg
from echo2ecg_core.ecg.record import LEADS
from echo2ecg_core.echo.readers import read_clip
from echo2ecg_core.echo.video import decode_video
from echo2ecg_core.errors import Echo2ECGError
from echo2ecg_core.intake.archives import import_report, keep_upload
from echo2ecg_core.intake.headers import read_header
from echo2ecg_core.intake.pseudonyms import SECRET_FILE, Pseudonyms
from echo2ecg_core.intake.waiting_clips import FOLDER
from echo2ecg_core.store import jobs
from echo2ecg_core.store.blobs import pack_record
from echo2ecg_core.store.catalog import Catalog
from echo2ecg_core.store.database import Workspace
from echo2ecg_core.worker import work
from tests.ecg import device_files
from tests.echo.test_readers import dicom
from tests.planted_names import WORD, Planter, found_in, plant_device, plant_hospital, plant_ours, zipped

ROOT = Path(__file__).resolve().parents[1]
PLANTED = 700


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """A workspace that took both archives in, one as a folder and one as a zip, and how many names were planted."""
    folder, planter = tmp_path_factory.mktemp("planted"), Planter()
    plant_hospital(folder / "export", planter)
    plant_ours(folder / "ours", planter)
    place = Workspace(folder / "workspace")
    upload = keep_upload(place, f"{planter.word()}.zip", zipped(folder / "ours", planter))
    for source in ({"folder": str(folder / "export")}, {"upload": upload}):
        jobs.queue(place, "import", source | {"cohort": f"Ward {len(source)} {sorted(source)[0]}"})
    assert work(place) == 2
    assert [job.state for job in jobs.jobs(place)] == ["done", "done"], [job.message for job in jobs.jobs(place)]
    return place, planter.n


@pytest.mark.slow
def test_seven_hundred_are_planted_and_everything_that_can_come_in_did(imported):
    place, planted = imported
    held = Catalog(place).counts()
    assert planted >= PLANTED
    assert (held["patients"], held["ecgs"]) == (2, 9) and held["clips"] == 5 and held["studies"] >= 7, held
    assert set(Catalog(place).ecgs().format) >= {"DICOM", "EDF", "WFDB"}
    assert len(list((place.folder / FOLDER).iterdir())) == 1
    refused = [row for job in jobs.jobs(place) for row in import_report(place, job.job_id)["refused"]]
    assert len(refused) >= 4 and all(row["file"].startswith("file ") for row in refused)


@pytest.mark.slow
def test_none_is_in_any_file_of_the_workspace_or_its_name(imported):
    """The catalog's pages are read as bytes, free ones too; so are logs, reports, blobs."""
    place, _ = imported
    left = {}
    for path in sorted(p for p in place.folder.rglob("*") if p.is_file() and p.name != SECRET_FILE):
        shown = path.relative_to(place.folder).as_posix()
        content = path.read_bytes()
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as packed:
                content += b" ".join(str(packed[name]).encode() for name in packed.files if packed[name].ndim == 0)
        if names := found_in(content + b" " + shown.encode()):
            left[shown] = names
    assert left == {}
    assert not list((place.folder / "uploads").iterdir())


@pytest.mark.slow
def test_none_is_in_the_pixels_of_a_stored_clip(imported):
    """The names in the pictures stand above the sector, and all that is there is black; one picture has none."""
    place, _ = imported
    films = [decode_video(Catalog(place).clip_content(i))[0] for i in Catalog(place).clips().clip_id]
    screens = [frames for frames in films if frames.shape[2] > frames.shape[1]]
    assert len(films) - len(screens) == 1 and all(frames[:, :14].max() < 16 for frames in screens)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["archive", "studies", "cohorts", "admin", "report", "map"])
def test_none_is_on_a_page(imported, monkeypatch, name):
    from pages.ui import admin_gate, resources

    place, _ = imported
    monkeypatch.setattr(admin_gate, "is_local", lambda peer, headers: True)
    monkeypatch.setattr(resources, "workspace", lambda: place)
    monkeypatch.setattr(jobs, "start_worker", lambda workspace: None)
    page = AppTest.from_file(ROOT / "pages" / f"{name}.py", default_timeout=60).run()
    told = [str(element) for element in page.main] + [str(frame.value.to_dict()) for frame in page.dataframe]
    assert not page.exception and len(told) > 1 and found_in("\n".join(told).encode()) == []


@pytest.mark.slow
@pytest.mark.parametrize("command", ["corrections --csv", "audit", "check", "models list", "remove --cohort nobody"])
def test_none_is_in_what_the_terminal_prints(imported, command):
    from echo2ecg_core.cli import app

    place, _ = imported
    told = CliRunner().invoke(app, [*command.split(), "--workspace", str(place.folder)])
    said = f"{told.output} {told.exception or ''}"
    assert told.exit_code != 2 and found_in(said.encode()) == []


@pytest.mark.slow
def test_none_is_in_what_a_refused_import_says(tmp_path):
    """A label that cannot be, a patient of two sexes, a date that is none: the row is told, never what stands in it."""
    planter, folder = Planter(), tmp_path / "a"
    folder.mkdir()
    rows = [f"{planter.number()},{planter.number()},{planter.word()},{planter.word()},{planter.word()}",
            f"{planter.number()},{planter.number()},2024-01-02,male,140"]  # fmt: skip
    (folder / "labels.csv").write_text("\n".join(["patient_id,study_id,study_date,sex,lvef", *rows]) + "\n")
    place = Workspace(tmp_path / "w")
    jobs.queue(place, "import", {"folder": str(folder), "cohort": "ward"})
    work(place)
    (job,) = jobs.jobs(place)
    log = jobs.log_path(place, job.job_id).read_bytes()
    assert job.state == "failed" and found_in(job.message.encode() + log + json.dumps(job.parameters).encode()) == []


@pytest.mark.parametrize("kind", ["ge_cardiosoft_xml", "ge_muse_xml", "hl7_aecg_xml", "philips_sierra_xml", "scp_ecg"])
def test_none_of_a_devices_file_is_in_the_record_that_is_kept_or_in_its_refusal(samples, kind):
    """With names in every element that has room for one a file may not be readable any more; then the error is looked
    into."""
    planted = read = 0
    for path in sorted((samples / "ecg" / kind).iterdir()):
        planter = Planter()
        content = plant_device(path.read_bytes(), planter)
        try:
            record = Pseudonyms(b"x" * 32, "ward").record(read_ecg(content, name=f"{WORD.format(1)}.x"), "P")
            said = pack_record(record) + repr(record).encode()
            read += 1
        except Echo2ECGError as error:
            said = str(error).replace(WORD.format(1), "").encode()  # the person's own file, told to that person
        planted += planter.n
        assert found_in(said) == [], path.name
    assert planted > 0 and read > 0


def named_channels(planter: Planter) -> dict[str, bytes | dict[str, bytes]]:
    """ECGs whose channels, columns, arrays or groups bear names, beside the leads or in their place."""
    heart, leads = device_files.heart_uv(), list(LEADS)
    more, names = np.vstack([heart, heart[:1]]), [*leads, planter.word()]
    others = [planter.word() for _ in leads]
    table = [",".join(names), *(",".join(map(str, row)) for row in more.T)]
    unnamed = [",".join(others), *(",".join(map(str, row)) for row in heart.T)]
    unit = device_files.wfdb_files(names, counts=more)
    lines = unit["a.hea"].decode().splitlines()
    wrong_sum = {"a.hea": "\n".join(lines).replace(" 0 0 ", " 7 0 ").encode(), "a.dat": unit["a.dat"]}
    lines[-1] = lines[-1].replace("1000/mV", "1000/mmHg")
    buffers = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.savez(buffers[0], **{planter.word(): heart, planter.word(): heart[:, :2000]}, fs=500)
    with h5py.File(buffers[1], "w") as archive:
        archive[f"{planter.word()}/{planter.word()}"] = heart[:3]
    scipy.io.savemat(buffers[2], {planter.word(): heart, "fs": 500, planter.word(): heart[:, :1000]})
    return {
        "csv": "\n".join(table).encode(), "csv without leads": "\n".join(unnamed).encode(), "sums": wrong_sum,
        "wfdb": {"a.hea": "\n".join([*lines, ""]).encode(), "a.dat": unit["a.dat"]},
        "dicom": device_files.dicom(device_files.dicom_group(more, names)), "muse": device_files.muse(more, names),
        "muse without data": device_files.muse(more[:, :0], names), "edf": device_files.edf(labels=others),
        "edf shifted": device_files.edf(physical=(planter.word(), 1)), "cardiosoft": device_files.cardiosoft(others),
        "npz": buffers[0].getvalue(), "hdf5": buffers[1].getvalue(), "mat": buffers[2].getvalue(),
    }  # fmt: skip


@pytest.mark.parametrize("kind", named_channels(Planter()))
def test_a_name_in_the_place_of_a_lead_a_column_or_an_array_is_not_kept(kind):
    planter = Planter()
    content = named_channels(planter)[kind]
    try:
        record = read_ecg(content, name="x", sampling_rate_hz=500)
        said = repr(Pseudonyms(b"x" * 32, "ward").record(record, "P"))
    except Echo2ECGError as error:
        said = re.sub("“[^”]*”", "", f"{error.message}")  # as an import writes a reason down
    assert planter.n > 10 and found_in(said.encode()) == []


WORDY_CLIPS = {
    "modality": lambda word: dicom(SOPClassUID="1.2.840.10008.5.1.4.1.1.2", Modality=word),
    "kind": lambda word: dicom(SOPClassUID=word.encode(), Modality="CT"),
    "transfer syntax": lambda word: dicom().replace(b"1.2.840.10008.1.2.1\0", word.encode().ljust(20, b"1")),
    "frames": lambda word: dicom().replace(
        b"\x28\x00\x08\x00IS\x02\x002 ", b"\x28\x00\x08\x00IS\x0a\x00" + word.encode()
    ),
    "letter": lambda word: word.encode(),
    "metaimage": lambda word: f"DimSize = {word} 2\nElementType = {word}\nElementDataFile = LOCAL\n".encode(),
    "metaimage type": lambda word: f"DimSize = 2 2\nElementType = {word}\nElementDataFile = LOCAL\n".encode(),
    "metaimage packed": lambda word: (
        f"DimSize = 2 2\nElementType = MET_UCHAR\nCompressedData = True\nElementDataFile = LOCAL\n{word}".encode()
    ),
    "metaimage data": lambda word: f"DimSize = 2 2\nElementType = MET_UCHAR\nElementDataFile = {word}\n".encode(),
}


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@pytest.mark.parametrize("kind", WORDY_CLIPS)
def test_none_is_in_the_reason_why_a_clip_is_refused(tmp_path, kind):
    word = WORD.format(1)
    (tmp_path / "clip").write_bytes(WORDY_CLIPS[kind](word))
    with pytest.raises(Echo2ECGError) as refused:
        read_clip(tmp_path / "clip")
    header = read_header(tmp_path / "clip")
    said = f"{refused.value.message} {header.reason if header else ''}"
    assert found_in(said.encode()) == [] and "QZN" not in said
