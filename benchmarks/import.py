"""An import: ECGs and clips a second in processes, beside one process in the same run, and peak memory.

    python -m benchmarks.import [--layout hospital|plain] [--patients 40] [--distinct 4] [--clips 3] [--times 4]
                                [--processes 2] [--synthetic] [--no-serial] [--folder DIR]
                                [--kept DIR] [--half-rate] [--drop-files]

Writes the export of `--distinct` phantom patients (MUSE XML, DICOM, a table of measurements; "plain" is our own layout
with WFDB and DICOM) and repeats it under other patients, times and frame rates until there are `--patients`, so that no
two files have the same content and none is drawn twice. Without `--synthetic` it comes in as the data of real patients:
pseudonyms, masks. Every import runs in a fresh process: the archive in one process and in `--processes`, then one
`--times` as large. Prints one JSON line. Seconds are those of the clock, of an archive in the disk's cache; on a busy
machine believe `processor_s` (of the process that imports) and `readers_processor_s` (of those that read, to 0.05 s
each), and the ratio to the serial rate. `peak_mb` is the largest
resident size of the process that imports (`plan_peak_mb` up to its plan), `reader_peak_mb` that of one that reads.

`--patients 57200 --clips 0 --no-serial --times 1` is an archive of 100,000 ECGs: 11 GB, and 24 GB in the workspace.
`--half-rate` writes them at 250 Hz, as many MUSE systems do (half of either); `--drop-files` deletes what the
workspace keeps half a minute after it was written, so that the disk need not hold it; `--kept` names a folder in which
the archive stays for the next run. `course` tells, every tenth of the ECGs, how many are in, and the seconds, the
processor seconds and the resident sizes (`mb`: who imports, `readers_mb`: all that read) up to there.
"""

import argparse
import base64
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


def archive(out: Path, layout: str, patients: int, distinct: int, clips: int, half_rate: bool = False) -> Path:
    """A folder of `patients` patients made of `distinct` ones, with at most `clips` clips a study."""
    source = out.with_name(f"{out.name}-source")
    if not source.exists():
        _drawn(source, layout, distinct, clips)
        for path in source.rglob("*.xml") if half_rate else ():
            path.write_bytes(_at_half_rate(path.read_bytes()))
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
        numbered = [(int(re.search(r"P(\d{5})", row)[1]), row) for row in rows]
        known = [(number, row) for number, row in numbered if number <= distinct]
        lines = (_renamed(row, k) for k in range(rounds) for n, row in known if k * distinct + n <= patients)
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


def _at_half_rate(muse: bytes) -> bytes:
    """A MUSE export of 500 Hz with every second sample."""
    text = muse.decode("latin-1").replace("<SampleBase>500", "<SampleBase>250")
    for name in ("LeadByteCountTotal", "LeadSampleCountTotal"):
        text = re.sub(rf"<{name}>(\d+)", lambda found, name=name: f"<{name}>{int(found[1]) // 2}", text)
    halved = r"(?<=<WaveFormData>)[^<]+"
    return re.sub(halved, lambda found: _every_second(found[0]), text).encode("latin-1")


def _every_second(encoded: str) -> str:
    """Every second of the 16-bit samples in base64."""
    samples = base64.b64decode(encoded)
    return base64.b64encode(b"".join(samples[i : i + 2] for i in range(0, len(samples), 4))).decode()


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


def one(folder: Path, workspace: Path, synthetic: bool, drop_files: bool) -> None:
    """Import an archive and print what it took, as JSON."""
    from echo2ecg_core.intake import ingest as intake
    from echo2ecg_core.store.database import Workspace

    took: dict[str, float] = {}
    peak_mb: dict[str, int] = {}

    def timed(owner, name: str) -> None:
        real = getattr(owner, name)

        def measured(*arguments, **named):
            begun = time.perf_counter()
            try:
                return real(*arguments, **named)
            finally:
                took[name] = time.perf_counter() - begun
                peak_mb[name] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

        setattr(owner, name, measured)

    timed(intake, "plan_of")
    for step in ("_add_rows", "_add_ecgs", "_add_clips"):
        timed(intake._Import, step)
    peaks: dict[str, int] = {}
    seconds: dict[str, float] = {}
    threading.Thread(target=_watch_readers, args=(peaks, seconds), daemon=True).start()
    if drop_files:
        threading.Thread(target=_drop_old, args=(workspace / "blobs",), daemon=True).start()
    course = Course(seconds)
    report = intake.ingest(folder, Workspace(workspace), cohort="benchmark", synthetic=synthetic, progress=course)
    use = resource.getrusage(resource.RUSAGE_SELF)
    found = {
        "ecgs": report.ecgs,
        "studies": report.studies,
        "clips": report.clips,
        "refused": len(report.refused),
        "plan_s": round(took["plan_of"], 2),
        "plan_peak_mb": peak_mb["plan_of"],
        "rows_s": round(took["_add_rows"], 2),
        "ecgs_per_s": round(report.ecgs / took["_add_ecgs"], 1),
        "clips_per_s": round((report.clips + len(report.refused)) / took["_add_clips"], 2),
        "processor_s": round(use.ru_utime + use.ru_stime, 2),
        "readers_processor_s": round(sum(seconds.values()), 2),
        "peak_mb": round(use.ru_maxrss / 1024),
        "reader_peak_mb": round(max(peaks.values(), default=0) / 1024),
        "course": course.told,
    }
    print(json.dumps(found))


class Course:
    """Takes the progress of an import and keeps what it has cost up to every tenth of the ECGs."""

    def __init__(self, readers_s: dict[str, float]):
        self.begun, self.told, self.readers_s = time.perf_counter(), [], readers_s

    def __call__(self, share: float, message: str) -> None:
        counted = re.fullmatch(r"Reading ECGs: (\d+) of (\d+)", message)
        done, total = (int(n) for n in counted.groups()) if counted else (0, 1)
        if counted and 10 * done >= (len(self.told) + 1) * total:
            row = {
                "ecgs": done,
                "s": round(time.perf_counter() - self.begun),
                "processor_s": round(time.process_time() + sum(self.readers_s.values())),
                "mb": _kb("self", "VmRSS") // 1024,
                "readers_mb": sum(_kb(child, "VmRSS") for child in _children()) // 1024,
            }
            self.told.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)


def _children(process: str = "self") -> list[str]:
    """Processes that this one has started, and those that these have (Linux)."""
    pid = str(os.getpid()) if process == "self" else process
    with suppress(OSError):
        mine = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return mine + [other for child in mine for other in _children(child)]
    return []


def _kb(process: str, name: str) -> int:
    """A size of a process in kB: VmRSS now, VmHWM at most; 0 when it has ended."""
    with suppress(OSError, TypeError):
        return int(re.search(rf"{name}:\s*(\d+)", Path(f"/proc/{process}/status").read_text())[1])
    return 0


def _processor_s(process: str) -> float:
    """Processor seconds of a process."""
    with suppress(OSError):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _watch_readers(peaks: dict[str, int], seconds: dict[str, float]) -> None:
    """Keep the largest resident size, in kB, and the processor seconds of every process that this one has started."""
    while True:
        for child in _children():
            peaks[child] = max(peaks.get(child, 0), _kb(child, "VmHWM"))
            seconds[child] = max(seconds.get(child, 0.0), _processor_s(child))
        time.sleep(0.05)


def _drop_old(blobs: Path, after_s: float = 30.0) -> None:
    """Delete what was kept a while ago, so that a small disk holds the import of a large archive."""
    while True:
        for path in blobs.glob("*/[0-9a-f]*"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > after_s:
                    path.unlink()
        time.sleep(after_s / 3)


def measured(folder: Path, workspace: Path, processes: int, synthetic: bool, drop_files: bool = False) -> dict:
    """What `one` says, from a fresh process."""
    command = [sys.executable, "-m", "benchmarks.import", "--one", str(folder), str(workspace)]
    command += ["--synthetic"] * synthetic + ["--drop-files"] * drop_files
    environment = os.environ | {"ECHO2ECG_IMPORT_PROCESSES": str(processes), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
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
    parser.add_argument("--kept", type=Path)
    parser.add_argument("--half-rate", action="store_true")
    parser.add_argument("--drop-files", action="store_true")
    parser.add_argument("--one", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        return one(*options.one, options.synthetic, options.drop_files)
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        place = Path(temporary)
        told = {"benchmark": "import", "layout": options.layout, "synthetic": options.synthetic}
        told |= {"processes": options.processes, "patients": options.patients, "distinct": options.distinct}
        drawn = (options.layout, options.patients, options.distinct, options.clips, options.half_rate)
        kept = options.kept and options.kept / "archive"
        small = kept if kept and kept.exists() else archive(kept or place / "small", *drawn)
        if not options.no_serial:
            told["serial"] = measured(small, place / "w", 1, options.synthetic)
        told["import"] = measured(small, place / "w", options.processes, options.synthetic, options.drop_files)
        if not options.no_serial:
            for what in ("ecgs", "clips"):
                told[f"ratio_{what}"] = round(
                    told["import"][f"{what}_per_s"] / max(told["serial"][f"{what}_per_s"], 1e-9), 2
                )
        if options.times > 1:
            shutil.rmtree(place / "small", ignore_errors=True)
            patients = options.times * options.patients
            large = archive(
                place / "small", options.layout, patients, options.distinct, options.clips, options.half_rate
            )
            told[f"{options.times} times"] = measured(large, place / "w", options.processes, options.synthetic)
        print(json.dumps(told))


if __name__ == "__main__":
    main()
