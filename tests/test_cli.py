"""The terminal, as a person uses it: the fields of the issue, exit statuses, one sentence for bad input."""

import csv
import io
import json
import shutil
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from pydicom.data import get_testdata_file

from echo2ecg_core.cli import main

DICOM_ECG = get_testdata_file("waveform_ecg.dcm")
CT_IMAGE = get_testdata_file("CT_small.dcm")


@pytest.fixture
def terminal(capsys, monkeypatch, tmp_path):
    """Runs a command in this process; gives exit status, standard output and standard error."""

    def run(*arguments, workspace=tmp_path / "workspace"):
        command = [str(a) for a in arguments]
        monkeypatch.setattr(sys, "argv", ["echo2ecg_core", *command, "--workspace", str(workspace)])
        capsys.readouterr()
        try:
            main()
            status = 0
        except SystemExit as exit:
            status = exit.code or 0
        return status, *capsys.readouterr()

    return run


def wave(n=5000, rate=500.0):
    t = np.arange(n) / rate
    beat = np.exp(-0.5 * ((t % 0.8 - 0.3) / 0.012) ** 2) + 0.25 * np.exp(-0.5 * ((t % 0.8 - 0.55) / 0.04) ** 2)
    return (np.linspace(0.4, 1.6, 12)[:, None] * beat + 0.01 * np.sin(7 * t)).astype(np.float32)


def test_predict_gives_every_field_for_pydicoms_own_ecg(terminal):
    status, out, _ = terminal("predict", DICOM_ECG, "--json")
    report = json.loads(out)
    assert status == 0
    assert {"source", "format", "sampling_rate_hz", "duration_s", "leads", "derived_leads", "notes"} <= set(
        report["ecg"]
    )
    assert report["ecg"]["sampling_rate_hz"] == 1000 and report["ecg"]["format"] == "DICOM"
    assert report["measurements"]["heart_rate_bpm"] == pytest.approx(
        60000 / 982, abs=1.5
    )  # the device's RR in the file
    assert report["quality"]["verdict"] in ("good", "limited") and set(report["quality"]["leads"]) == set(
        report["ecg"]["leads"]
    )
    assert {"id", "name", "sha256", "synthetic"} == set(report["model"]) and report["model"]["synthetic"] is True
    assert {"lvef", "lvedv", "lvesv", "lvsv", "ivsd"} <= {row["name"] for row in report["phenotypes"]}
    assert {"flag", "percentile"} <= set(report["out_of_distribution"])


def test_each_phenotype_has_value_interval_reference_and_source(terminal):
    rows = {row["name"]: row for row in json.loads(terminal("predict", DICOM_ECG, "--json")[1])["phenotypes"]}
    for row in rows.values():
        assert {"name", "label", "unit", "value", "interval", "interval_level", "reference", "source"} <= set(row)
        low, high = row["interval"] or (0, 0)
        if row["kind"] == "grade":
            assert row["reason"] or 0 < row["value"] < 1 and 0 <= low <= high <= 3
        else:
            assert row["reason"] or (low <= row["value"] <= high and low < high)  # normal wall motion is the least
        assert row["source"]["labelled_ecgs"] > 500
    assert sum(rows["lvef"]["classes"].values()) == pytest.approx(1, abs=1e-3)
    assert set(rows["lvef"]["classes"]) == {"reduced", "mildly_reduced", "preserved"}
    assert all(
        ("classes" in row) == (row["kind"] == "grade")
        for name, row in rows.items()
        if name != "lvef" and not row["reason"]
    )
    assert rows["lvef"]["reference"] == {"male": [52, 72], "female": [54, 74]} and rows["lvsv"]["reference"] == {}


def test_several_files_give_a_list_and_a_bad_one_is_a_row_with_its_reason(terminal, tmp_path):
    (tmp_path / "notes.txt").write_text("this is no ECG")
    status, out, _ = terminal("predict", DICOM_ECG, tmp_path / "notes.txt", "--json")
    first, second = json.loads(out)
    assert first["phenotypes"] and second["ecg"]["source"] == "notes.txt" and second["error"] and status == 2


def test_people_read_the_doubt_before_the_number(terminal):
    _, out, _ = terminal("predict", DICOM_ECG)
    assert out.index("The demo model has seen simulated hearts only") < out.index("LV ejection fraction")
    assert "Research use only. Not a medical device." in out and "simulated hearts" in out


def test_a_file_without_a_rate_asks_for_it_and_takes_it(terminal, tmp_path):
    np.save(tmp_path / "ecg.npy", wave())
    status, _, problem = terminal("predict", tmp_path / "ecg.npy")
    assert status == 2 and "rate" in problem
    status, out, _ = terminal("predict", tmp_path / "ecg.npy", "--sampling-rate-hz", "500", "--json")
    assert status == 0 and json.loads(out)["ecg"]["sampling_rate_hz"] == 500


def test_one_flat_lead_is_noted_and_predicted(terminal, tmp_path):
    signal = wave()
    signal[7] = 0
    np.save(tmp_path / "ecg.npy", signal)
    report = json.loads(terminal("predict", tmp_path / "ecg.npy", "--sampling-rate-hz", "500", "--json")[1])
    assert report["phenotypes"] and report["quality"]["leads"]["V2"]["verdict"] != "good"
    assert "V2" in " ".join(report["ecg"]["notes"]) + report["quality"]["reason"]


def _bad_files(folder):
    def npy(name, array):
        np.save(folder / name, array)
        return folder / name

    def written(name, content):
        (folder / name).write_bytes(content)
        return folder / name

    def archive(name, entries):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as zipped:
            for entry, content in entries.items():
                zipped.writestr(entry, content)
        return written(name, buffer.getvalue())

    header = "r 12 500 5000\n" + "".join(
        f"r.dat 16 1000/mV 16 0 0 0 0 {lead}\n"
        for lead in ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]
    )
    huge = header.replace("5000", "450000000", 1)
    cut = folder / "cut"
    cut.mkdir()
    (cut / "r.hea").write_text(header)
    (cut / "r.dat").write_bytes(b"\1\0" * 12 * 300)
    claims = folder / "claims"
    claims.mkdir()
    (claims / "r.hea").write_text(huge)
    (claims / "r.dat").write_bytes(b"\1\0" * 12 * 5000)
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + bytes(200)
    pickled = np.array([{"a": 1}], dtype=object)
    np.save(folder / "pickled.npy", pickled, allow_pickle=True)
    return {
        "empty": written("empty.dcm", b""),
        "text named dcm": written("text.dcm", b"hello, this is text\n" * 20),
        "truncated": cut / "r.hea",
        "CT image": CT_IMAGE,
        "photo": written("photo.png", png),
        "two leads": npy("two.npy", wave()[:2]),
        "all flat": npy("flat.npy", np.zeros((12, 5000), np.float32)),
        "all NaN": npy("nan.npy", np.full((12, 5000), np.nan, np.float32)),
        "0.2 s": npy("short.npy", wave()[:, :100]),
        "claims 10 GB": claims / "r.hea",
        "pickled": folder / "pickled.npy",
        "zip slip": archive("slip.zip", {"../../r.hea": header, "../../r.dat": "x"}),
    }


@pytest.mark.parametrize(
    "kind",
    [
        "empty",
        "text named dcm",
        "truncated",
        "CT image",
        "photo",
        "two leads",
        "all flat",
        "all NaN",
        "0.2 s",
        "claims 10 GB",
        "pickled",
        "zip slip",
    ],
)
def test_bad_input_is_one_sentence_exit_status_2_and_an_untouched_workspace(terminal, tmp_path, kind):
    path = _bad_files(tmp_path)[kind]
    workspace = tmp_path / "workspace"
    status, out, problem = terminal("predict", path, "--sampling-rate-hz", "500", "--json", workspace=workspace)
    assert status == 2 and out == ""
    assert problem.startswith("Error: ") and problem.count("\n") == 1 and "Traceback" not in problem
    assert len(problem) < 500 and str(tmp_path) not in problem
    assert not workspace.exists()


@pytest.mark.slow
def test_the_module_runs_as_a_program(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "echo2ecg_core", "predict", str(tmp_path / "nothing.dcm")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr and done.stderr.startswith("Error: ")


def test_models_are_listed_and_shown(terminal, tmp_path):
    terminal("predict", DICOM_ECG, "--json")
    (row,) = json.loads(terminal("models", "list", "--json")[1])
    assert row["active"] and row["synthetic"]
    shown = json.loads(terminal("models", "show", row["id"])[1])
    assert shown["sha256"] == row["sha256"] and shown["cohort"]["seed"] and shown["command"]


@pytest.mark.slow
def test_check_approves_the_demo_and_finds_a_changed_file(terminal, demo_workspace, tmp_path):
    status, out, _ = terminal("check", "--json", workspace=demo_workspace.folder)
    assert status == 0 and json.loads(out)["ok"]
    copy = tmp_path / "copy"
    shutil.copytree(demo_workspace.folder, copy)
    blob = next((copy / "blobs").rglob("*.mp4"))
    blob.write_bytes(blob.read_bytes()[:-1] + b"\0\0")
    status, out, _ = terminal("check", "--json", workspace=copy)
    assert status == 1 and [c["name"] for c in json.loads(out)["checks"] if not c["ok"]] == ["blobs"]


@pytest.mark.slow
def test_search_looks_among_the_studies_of_a_cohort_and_refuses_one_that_is_not_there(
    terminal, demo_workspace, tmp_path
):
    from echo2ecg_core.store import kept_cohorts
    from echo2ecg_core.store.database import Workspace

    copy = Workspace(shutil.copytree(demo_workspace.folder, tmp_path / "copy"))
    status, out, _ = terminal("search", DICOM_ECG, "-k", "5", "--json", workspace=copy.folder)
    chosen = [hit["study_id"] for hit in json.loads(out)["hits"]][3:]
    kept_cohorts.keep(copy, "two far ones", (), chosen, who="", made_from="a test")
    status, out, _ = terminal("search", DICOM_ECG, "--cohort", "two far ones", "--json", workspace=copy.folder)
    assert status == 0 and [hit["study_id"] for hit in json.loads(out)["hits"]] == chosen
    status, _, told = terminal("search", DICOM_ECG, "--cohort", "nobody", workspace=copy.folder)
    assert status == 2 and "no cohort 'nobody'" in told and "two far ones" in told


@pytest.mark.slow
def test_search_gives_the_pages_hits_and_view_writes_a_clip_that_plays(terminal, demo_workspace, tmp_path):
    import av

    from echo2ecg_core.answers.loaded_model import load_active_model
    from echo2ecg_core.answers.predict import predict
    from echo2ecg_core.answers.search import search
    from echo2ecg_core.ecg.readers import read_ecg

    status, out, _ = terminal("search", DICOM_ECG, "-k", "5", "--json", workspace=demo_workspace.folder)
    found = json.loads(out)
    assert (
        status == 0
        and set(found) == {"query", "model", "hits"}
        and found["query"]["source"]
        and found["model"]["synthetic"]
    )
    prediction = predict(read_ecg(DICOM_ECG), load_active_model(demo_workspace), demo_workspace)
    assert [(h["study_id"], h["rank"]) for h in found["hits"]] == [
        (h.study_id, h.rank) for h in search(prediction, demo_workspace, 5)
    ]
    status, out, _ = terminal("search", DICOM_ECG, "-k", "5", workspace=demo_workspace.folder)
    assert status == 0 and [line.split()[:2] for line in out.splitlines()] == [
        [str(h["rank"]), h["study_id"]] for h in found["hits"]
    ]
    assert all(
        line.endswith(f"  {len(h['views'])} clip{'s' * (len(h['views']) != 1)}  synthetic")
        for h, line in zip(found["hits"], out.splitlines(), strict=True)
    )
    hit = found["hits"][0]
    assert {"rank", "study_id", "similarity", "phenotypes", "views", "synthetic"} <= set(hit) and hit["synthetic"]
    clip = hit["views"][0]
    assert terminal("view", clip["clip_id"], "--out", tmp_path / "clip.mp4", workspace=demo_workspace.folder)[0] == 0
    with av.open(str(tmp_path / "clip.mp4")) as video:
        stream = video.streams.video[0]
        assert stream.codec_context.name == "h264" and stream.codec_context.pix_fmt == "yuv420p"
        assert sum(1 for _ in video.decode(stream)) == clip["frames"]
    status, _, problem = terminal("view", "C0", "--out", tmp_path / "no.mp4", workspace=demo_workspace.folder)
    assert status == 2 and "no clip 'C0'" in problem and not (tmp_path / "no.mp4").exists()


@pytest.mark.slow
def test_a_report_is_written_as_a_folder_and_asked_for_in_vain_is_one_sentence(terminal, tmp_path, monkeypatch):
    from echo2ecg_core.reports import folder as report
    from echo2ecg_core.store.database import Workspace
    from tests.report_fixture import made_up_report, write_report
    from tests.small_workspace import MODEL_ID, register_model

    workspace = Workspace(tmp_path / "evaluated")
    workspace.folder.mkdir()
    register_model(workspace)
    status, _, problem = terminal("report", "--model", MODEL_ID, "--out", tmp_path / "out", workspace=workspace.folder)
    assert status == 2 and f"Run `evaluate --model {MODEL_ID}`" in problem and not (tmp_path / "out").exists()
    write_report(workspace, made_up_report(MODEL_ID))
    monkeypatch.setattr(report, "all_charts", lambda report: [])
    status, out, _ = terminal("report", "--model", MODEL_ID[:4], "--out", tmp_path / "out", workspace=workspace.folder)
    assert status == 0 and out.strip() == str(tmp_path / "out" / "report.html")
    assert (
        "0.90–0.92" in (tmp_path / "out" / "report.html").read_text()
        and (tmp_path / "out" / "tables" / "classification.tex").is_file()
    )


@pytest.mark.slow
def test_a_phantom_archive_is_imported_and_embedded(terminal, tmp_path):
    assert terminal_phantom(tmp_path / "archive") == 0
    status, out, _ = terminal("import", tmp_path / "archive", "--json")
    report = json.loads(out)
    assert (
        status == 0
        and report["ecgs"] >= 2
        and report["studies"] >= 2
        and report["clips"] >= 8
        and report["refused"] == []
    )
    assert terminal("embed")[0] == 0
    status, out, _ = terminal("check")
    assert status == 0 and "embedded again" in out


def terminal_phantom(out):
    return subprocess.run(
        [sys.executable, "-m", "echo2ecg_core", "phantom", "--patients", "2", "--seed", "3", "--out", str(out)],
        capture_output=True,
        timeout=300,
    ).returncode


@pytest.mark.parametrize("beginning", ["=1+1", "@SUM(A1)", "+1", "-1"])
def test_the_table_of_predict_holds_no_formula_whatever_a_file_is_called(terminal, tmp_path, beginning):
    bad = tmp_path / f"{beginning}.csv"
    bad.write_text("no,ecg\n")
    also = tmp_path / "plain.csv"
    also.write_text("no,ecg\n")
    status, out, _ = terminal("predict", bad, also, "--csv")
    names = [row["source"] for row in csv.DictReader(io.StringIO(out))]
    assert status == 2 and names == [f"'{beginning}.csv", "plain.csv"]


@pytest.mark.slow
def test_a_case_report_is_written_beside_the_prediction_and_is_of_one_file(terminal, tmp_path):
    out = tmp_path / "case.pdf"
    status, printed, _ = terminal("predict", DICOM_ECG, "--pdf", out, "--json")
    assert status == 0 and json.loads(printed)["phenotypes"]
    content = out.read_bytes()
    assert content.startswith(b"%PDF") and content.count(b"/Type /Page ") == 3 and b"waveform_ecg" not in content
    status, _, problem = terminal("predict", DICOM_ECG, DICOM_ECG, "--pdf", out)
    assert status == 2 and "A case report is of one ECG. Name one file with --pdf." in problem


def test_progress_in_a_file_is_a_line_for_every_tenth_and_none_where_it_is_not_wanted(capsys):
    from echo2ecg_core.terminal import progress_bar

    for shown in (True, False):
        with progress_bar(shown) as progress:
            for step in range(101):
                progress(step / 100, f"step {step}")
    told = capsys.readouterr()
    assert told.err.splitlines()[:2] == ["  0%  step 0", " 10%  step 10"]
    assert len(told.err.splitlines()) == 11 and not told.out
