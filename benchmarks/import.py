"""An import: ECGs and clips a second in processes, beside one process in the same run, and peak memory.

    python -m benchmarks.import [--layout hospital|plain] [--patients 40] [--distinct 4] [--clips 3] [--times 4]
                                [--processes 2] [--synthetic] [--no-serial] [--folder DIR]

Writes the export of `--distinct` phantom patients (MUSE XML, DICOM, a table of measurements; "plain" is our own layout
with WFDB and DICOM) and repeats it under other patients, times and frame rates until there are `--patients`, so that no
two files have the same content and none is drawn twice. Without `--synthetic` it comes in as the data of real patients:
pseudonyms, masks. Every import runs in a fresh process: the archive in one process and in `--processes`, then one
`--times` as large. Prints one JSON line. Seconds are those of the clock, of an archive in the disk's cache; on a busy
machine believe `processor_ms` (all processes together) and the ratio to the serial rate. `peak_mb` is the largest
resident size of the process that imports, `reader_peak_mb` that of one that reads. `--patients 60000 --clips 1
--no-serial --times 1` is an archive of 100,000 ECGs.
"""

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
SEED = 5


# ---------------------------------------------------------------- the archive


def archive(out: Path, layout: str, patients: int, distinct: int, clips: int) -> Path:
    """A folder of `patients` patients made of `distinct` ones, with at most `clips` clips a study."""
    source = out.with_name(f"{out.name}-source")
    if not source.exists():
        _drawn(source, layout, distinct, clips)
    files = [path for path in sorted(source.rglob("*")) if path.is_file() and path.suffix != ".csv"]
    rounds = -(-patients // distinct)
    for path in files:
        content, place = path.read_bytes(), path.relative_to(source)
        number = int(re.search(r"P(\d{5})", f"{place}{content[:3000]!r}")[1])
        for k in range(rounds):
            if k * distinct + number <= patients:
                target = out / _renamed(str(place), k)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(_repeated(content, path, k))
    for table in source.glob("*.csv"):
        head, *rows = table.read_text("cp1252").splitlines()
        known = [row for row in rows if int(re.search(r"P(\d{5})", row)[1]) <= distinct]
        lines = (_renamed(row, k) for k in range(rounds) for row in known)
        (out / table.name).write_text("\n".join([head, *lines]) + "\n", "cp1252")
    return out


def _drawn(source: Path, layout: str, distinct: int, clips: int) -> None:
    from echo2ecg_core.phantom import files, hospital
    from echo2ecg_core.phantom.cohort import PhantomCohort, write_cohort

    kind = "hospital" if layout == "hospital" else "dicom"
    writer = hospital if layout == "hospital" else files
    write_cohort(source, distinct, SEED, format=kind, ecg_only=True)
    cohort = PhantomCohort(distinct, SEED)
    for i in range(distinct if clips else 0):
        for n in range(len(cohort.patient(i).studies)):
            writer.write_study(source, cohort, i, n, kind)
    for study in {path.parent for path in (source / "echo").rglob("*") if path.is_file()}:
        for path in sorted(study.iterdir())[clips:]:
            path.unlink()
    (source / "manifest.json").unlink()
    (source / "latents.csv").unlink(missing_ok=True)


def _renamed(text: str, k: int) -> str:
    """Ids of round k: patient P00003 is P00003 in the first and R0001P00003 in the second."""
    return text if not k else re.sub(r"P(\d{5})", rf"R{k:05d}P\1", text)


def _repeated(content: bytes, path: Path, k: int) -> bytes:
    """A file of round k: another patient, another second of the day or another frame rate."""
    if not k or path.suffix == ".dat":
        return content
    if path.suffix in (".xml", ".hea"):
        text = _renamed(content.decode("latin-1"), k)
        return re.sub(r"\b(\d\d):(\d\d):(\d\d)\b", rf"\1:{k // 60 % 60:02d}:{k % 60:02d}", text, count=1).encode(
            "latin-1"
        )
    import io

    import pydicom
    from pydicom.uid import generate_uid

    ds = pydicom.dcmread(io.BytesIO(content))
    for name in ("PatientID", "AccessionNumber", "StudyID"):
        if name in ds:
            setattr(ds, name, _renamed(str(ds.get(name)), k))
    ds.StudyInstanceUID = generate_uid(entropy_srcs=[str(ds.StudyInstanceUID), str(k)])
    ds.SOPInstanceUID = generate_uid(entropy_srcs=[str(ds.SOPInstanceUID), str(k)])
    ds.FrameTime = f"{float(ds.FrameTime) * (1 + 1e-4 * (k % 1000)):.6f}"
    buffer = io.BytesIO()
    ds.save_as(buffer)
    return buffer.getvalue()


# ---------------------------------------------------------------- one import, in a process of its own


def one(folder: Path, workspace: Path, synthetic: bool) -> None:
    """Import an archive and print what it took, as JSON."""
    from echo2ecg_core.intake import ingest as intake
    from echo2ecg_core.store.database import Workspace

    took: dict[str, float] = {}

    def timed(owner, name: str) -> None:
        real = getattr(owner, name)

        def measured(*arguments, **named):
            begun = time.perf_counter()
            try:
                return real(*arguments, **named)
            finally:
                took[name] = time.perf_counter() - begun

        setattr(owner, name, measured)

    timed(intake, "plan_of")
    for step in ("_add_rows", "_add_ecgs", "_add_clips"):
        timed(intake._Import, step)
    peaks: dict[str, int] = {}
    threading.Thread(target=_watch_readers, args=(peaks,), daemon=True).start()
    report = intake.ingest(folder, Workspace(workspace), cohort="benchmark", synthetic=synthetic)
    use = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    found = {
        "ecgs": report.ecgs,
        "studies": report.studies,
        "clips": report.clips,
        "refused": len(report.refused),
        "plan_s": round(took["plan_of"], 2),
        "rows_s": round(took["_add_rows"], 2),
        "ecgs_per_s": round(report.ecgs / took["_add_ecgs"], 1),
        "clips_per_s": round((report.clips + len(report.refused)) / took["_add_clips"], 2),
        "processor_s": round(sum(u.ru_utime + u.ru_stime for u in use), 2),
        "peak_mb": round(use[0].ru_maxrss / 1024),
        "reader_peak_mb": round(max(peaks.values(), default=0) / 1024),
    }
    print(json.dumps(found))


def _watch_readers(peaks: dict[str, int]) -> None:
    """Keep the largest resident size, in kB, of every process that this one has started (Linux)."""
    while True:
        for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
            with suppress(OSError):
                status = Path(f"/proc/{child}/status").read_text()
                peaks[child] = int(re.search(r"VmHWM:\s*(\d+)", status)[1])
        time.sleep(0.2)


def measured(folder: Path, workspace: Path, processes: int, synthetic: bool) -> dict:
    """What `one` says, from a fresh process."""
    command = [sys.executable, "-m", "benchmarks.import", "--one", str(folder), str(workspace)]
    environment = os.environ | {"ECHO2ECG_IMPORT_PROCESSES": str(processes), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        command + ["--synthetic"] * synthetic, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    shutil.rmtree(workspace)
    return json.loads(run.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layout", choices=("hospital", "plain"), default="hospital")
    parser.add_argument("--patients", type=int, default=40)
    parser.add_argument("--distinct", type=int, default=4)
    parser.add_argument("--clips", type=int, default=3)
    parser.add_argument("--times", type=int, default=4)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--synthetic", action="store_true")
    parser.add_argument("--no-serial", action="store_true")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--one", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        return one(*options.one, options.synthetic)
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        place = Path(temporary)
        told = {"benchmark": "import", "layout": options.layout, "synthetic": options.synthetic}
        told |= {"processes": options.processes, "patients": options.patients, "distinct": options.distinct}
        small = archive(place / "small", options.layout, options.patients, options.distinct, options.clips)
        if not options.no_serial:
            told["serial"] = measured(small, place / "w", 1, options.synthetic)
        told["import"] = measured(small, place / "w", options.processes, options.synthetic)
        if not options.no_serial:
            for what in ("ecgs", "clips"):
                told[f"ratio_{what}"] = round(
                    told["import"][f"{what}_per_s"] / max(told["serial"][f"{what}_per_s"], 1e-9), 2
                )
        if options.times > 1:
            shutil.rmtree(small)
            patients = options.times * options.patients
            large = archive(place / "small", options.layout, patients, options.distinct, options.clips)
            told[f"{options.times} times"] = measured(large, place / "w", options.processes, options.synthetic)
        print(json.dumps(told))


if __name__ == "__main__":
    main()
