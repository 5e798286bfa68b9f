"""What a visitor waits for, and what a screen reader stumbles over, measured in Chromium on the demo.

    python -m benchmarks.pages [--workspace FOLDER] [--rounds 5] [--only axe]

One JSON line each: switching to every page (click to drawn and script ended; aim p95 < 1 s), upload of a new ECG to its
report (p95 < 2 s), another study to its first frame (p95 < 1 s), layout shift of every page from its address, at 1440
and 390 pixels (< 0.1, as web.dev sums it), and serious findings of axe-core on every page, light and dark (none). The
demo is made when FOLDER has none (minutes). Times are those of this machine and what else it does; the line says its
load.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.browser.accessibility import serious_findings
from tests.browser.layout_shift import PHONE, paths, shifts
from tests.browser.running_app import chromium, running_app, settled

PLAYER = (
    "document.querySelector('.st-key-echo_player [data-testid=stBidiComponentIsolated]')?.shadowRoot"
    "?.querySelector('.player')"
)
DRAWN = """(path) => document.querySelector('.stApp')?.dataset.testScriptState === 'notRunning'
  && location.pathname.endsWith(path) && document.querySelector('h1')
  && document.querySelector(`[data-testid=stSidebarNavLink][href$="${path}"][aria-current=page]`)
  && !document.querySelector('[data-stale=true]')"""


def told(what: str, **facts) -> None:
    """Print one line."""
    print(json.dumps({"benchmark": "pages", "what": what, **facts, "load": round(os.getloadavg()[0], 1)}), flush=True)


def times(values: list[float]) -> dict:
    """Median and 95th percentile in milliseconds of seconds."""
    ordered = sorted(values)
    return {
        "n": len(ordered),
        "p50_ms": round(1000 * ordered[len(ordered) // 2]),
        "p95_ms": round(1000 * ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]),
    }


def waited(page, action, until: str, *given) -> float:
    """Seconds from an action to a condition, by the browser's clock."""
    start = page.evaluate("() => performance.now()")
    action()
    page.wait_for_function(until, arg=given[0] if given else None, polling="raf")
    return (page.evaluate("() => performance.now()") - start) / 1000


def open_ecg(page, address: str, file: Path) -> None:
    page.goto(address)
    page.set_input_files("input[type=file]", str(file))
    page.get_by_text("LV ejection fraction").first.wait_for()
    settled(page)


@contextmanager
def new_recordings(n: int) -> Iterator[list[Path]]:
    """DICOM ECGs that no cache has seen: pydicom's sample, each with another offset of one sample of one lead."""
    import numpy as np
    import pydicom
    from pydicom.data import get_testdata_file

    with tempfile.TemporaryDirectory() as folder:
        made = []
        for i in range(n):
            record = pydicom.dcmread(get_testdata_file("waveform_ecg.dcm"))
            wave = record.WaveformSequence[0]
            samples = np.frombuffer(wave.WaveformData, np.int16).copy()
            samples[i % len(samples)] += 1 + i
            wave.WaveformData = samples.tobytes()
            made.append(Path(folder) / f"recording-{i}.dcm")
            record.save_as(made[-1])
        yield made


def measure_switches(page, rounds: int) -> None:
    every: dict[str, list[float]] = {}
    for _ in range(rounds):
        for path in paths(page):
            link = page.locator(f'[data-testid=stSidebarNavLink][href$="/{path}"]').first
            every.setdefault(path or "ecg", []).append(waited(page, link.click, DRAWN, f"/{path}"))
            page.wait_for_timeout(300)
    for path, seconds in every.items():
        told("page switch", page=path, **times(seconds[1:] or seconds), first_ms=round(1000 * seconds[0]))
    told("page switch", page="all", **times([s for seconds in every.values() for s in seconds[1:] or seconds]))


def measure_uploads(page, address: str, files: list[Path]) -> None:
    seconds = []
    for file in files:
        page.evaluate("() => sessionStorage.clear()")  # a reload would keep the ECG that is open
        page.goto(address)
        page.wait_for_selector("input[type=file]", state="attached")
        settled(page)
        seconds.append(
            waited(
                page,
                lambda file=file: page.set_input_files("input[type=file]", str(file)),
                "() => document.querySelector('.st-key-lvef_card .e2e-value b')?.textContent.trim()",
            )
        )
    told("upload to report", **times(seconds[1:]), first_ms=round(1000 * seconds[0]))


def measure_studies(page, n: int) -> None:
    page.locator('[data-testid=stSidebarNavLink][href$="/studies"]').click()
    page.wait_for_function(f"() => {PLAYER}?.dataset.ready === 'true'")
    seconds = []
    for _ in range(n):
        settled(page)
        old = page.evaluate(f"() => {PLAYER}.querySelector('.panel').dataset.clip")
        page.evaluate(f"() => {PLAYER}.focus()")
        seconds.append(
            waited(
                page,
                lambda: page.keyboard.press("ArrowDown"),
                f"(old) => {{ const p = {PLAYER}?.querySelector('.panel'); return p && p.dataset.clip !== old && "
                "p.dataset.frame }",
                old,
            )
        )
    told("study to first frame", **times(seconds))


def measure_shifts(page, address: str) -> None:
    phone = page.context.browser.new_page(viewport=PHONE)
    phone.set_default_timeout(60_000)
    found = dict(shifts([page, phone], address, paths(page)))
    told("layout shift", largest=max(max(both) for both in found.values()), pages=found)


def measure_axe(page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    for path in paths(page):
        page.locator(f'[data-testid=stSidebarNavLink][href$="/{path}"]').first.click()
        page.wait_for_function(DRAWN, arg=f"/{path}")
        settled(page)
        found = serious_findings(page)
        told("axe", page=path or "ecg", scheme=scheme, serious=len(found), findings=found)


def main() -> None:
    from echo2ecg_core.intake.demo import build_demo
    from echo2ecg_core.store.database import Workspace

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("switch", "upload", "study", "shift", "axe"), default=None)
    options = parser.parse_args()
    build_demo(Workspace(options.workspace))
    wanted = {options.only} if options.only else {"switch", "upload", "study", "shift", "axe"}
    with (
        running_app(options.workspace.resolve()) as address,
        new_recordings(2 * options.rounds + 1) as files,
        chromium() as page,
    ):
        open_ecg(page, address, files[0])
        if "switch" in wanted:
            measure_switches(page, options.rounds)
        if "study" in wanted:
            measure_studies(page, min(9, 2 * options.rounds))
        for scheme in ("light", "dark") if "axe" in wanted else ():
            measure_axe(page, scheme)
        if "upload" in wanted:
            measure_uploads(page, address, files)
        if "shift" in wanted:
            measure_shifts(page, address)


if __name__ == "__main__":
    main()
