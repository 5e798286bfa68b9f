"""Makes every picture of README and docs: pages of the demo in Chromium, and the phantom's prints.

    python -m benchmarks.pictures [--workspace FOLDER] [--out assets/screenshots] [--only studies ...]

The demo is made when FOLDER has none, and one short training on its patients, so that the Training page has a run to
show (some minutes each on two cores). ECG, Similar studies and Map show pydicom's sample recording, 1440 x 900, light.
One JSON line a picture: its size in bytes.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from pydicom.data import get_testdata_file

from benchmarks.pages import PLAYER, open_ecg
from tests.browser.running_app import ROOT, chromium, running_app, settled

TRAINING = ("patients=0", "epochs=20", "batch_size=16", "lr=0.0002")  # on the demo's own patients, from its model
LOW_LVEF, LASSOED = 40, 40
# the studies of low LVEF nearest to their middle, as a box on the screen
LASSO = """([limit, most]) => {
  const plot = document.querySelector('.js-plotly-plot'), layout = plot._fullLayout, box = plot.getBoundingClientRect();
  const trace = plot._fullData.find((t) => t.name === 'study');
  const middle = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
  const colours = trace.marker.color;
  const low = [...trace.x.keys()].filter((i) => colours[i] < limit)
    .map((i) => [layout.xaxis.l2p(trace.x[i]) + layout._size.l, layout.yaxis.l2p(trace.y[i]) + layout._size.t]);
  const centre = [0, 1].map((k) => middle(low.map((p) => p[k])));
  const far = (p) => Math.hypot(p[0] - centre[0], p[1] - centre[1]);
  const near = low.sort((a, b) => far(a) - far(b)).slice(0, most);
  const [xs, ys] = [0, 1].map((k) => near.map((p) => p[k]));
  const [left, right] = [Math.min(...xs) - 9, Math.max(...xs) + 9];
  const [top, bottom] = [Math.min(...ys) - 9, Math.max(...ys) + 9];
  return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top + 1]]
    .map(([x, y]) => [x + box.x, y + box.y]);
}"""


def to(page, path: str) -> None:
    """Go to a page by its link."""
    page.locator(f'[data-testid=stSidebarNavLink][href$="/{path}"]').first.click()
    page.mouse.move(700, 890)
    settled(page)


def of_ecg(page) -> None:
    to(page, "")


def of_studies(page) -> None:
    to(page, "studies")
    page.wait_for_function(f"() => {PLAYER}?.dataset.ready === 'true'")
    scrub = f"const bar = {PLAYER}.querySelector('.scrub'); bar.value = 6; bar.dispatchEvent(new Event('input'))"
    page.evaluate(f"() => {{ {scrub} }}")


def of_two_studies(page) -> None:
    of_studies(page)
    page.get_by_role("button", name="Another beside").click()
    page.get_by_role("combobox", name="Study beside this one").click()
    page.get_by_role("option").nth(1).click()
    page.wait_for_function(
        f"() => {PLAYER}?.querySelectorAll('.strip').length === 2 && {PLAYER}.dataset.ready === 'true'"
    )
    settled(page)
    page.evaluate(f"() => {PLAYER}.querySelector('[data-do=stills]').click()")
    page.mouse.move(700, 890)
    settled(page)


def of_map(page) -> None:
    to(page, "map")
    page.locator(".js-plotly-plot .plot-container").first.wait_for()
    page.get_by_text("Your ECG").first.wait_for()
    page.wait_for_timeout(1500)
    first, *corners = page.evaluate(LASSO, [LOW_LVEF, LASSOED])
    page.mouse.move(*first)
    page.mouse.down()
    for corner in corners:
        page.mouse.move(*corner, steps=12)
    page.mouse.up()
    page.get_by_text("Selection", exact=True).first.wait_for()
    page.mouse.move(700, 890)
    page.wait_for_timeout(1500)
    settled(page)


def of_report(page) -> None:
    to(page, "report")


def of_training(page) -> None:
    to(page, "training")


PAGES: dict[str, Callable] = {
    "ecg": of_ecg,
    "studies": of_studies,
    "two-studies": of_two_studies,
    "map": of_map,
    "report": of_report,
    "training": of_training,
}
PHANTOM = "phantom"


def prepare(workspace: Path, with_run: bool) -> None:
    """The demo, and a run for the Training page."""
    from echo2ecg_core.answers.loaded_model import active_model_card
    from echo2ecg_core.intake.demo import build_demo
    from echo2ecg_core.store.database import Workspace
    from echo2ecg_core.training.runs import runs

    place = Workspace(workspace)
    build_demo(place)
    if with_run and not runs(place):
        settings = [*TRAINING, f"start_from={active_model_card(place).model_id}"]
        told = [word for setting in settings for word in ("--set", setting)]
        command = ["echo2ecg_core", "train", "--workspace", str(workspace), "--preset", "demo", *told]
        subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workspace", type=Path, default=ROOT / "workspace")
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "screenshots")
    parser.add_argument("--only", nargs="+", choices=[*PAGES, PHANTOM], default=[*PAGES, PHANTOM])
    options = parser.parse_args()
    workspace, wanted = options.workspace.resolve(), [name for name in PAGES if name in options.only]
    prepare(workspace, "training" in wanted)
    if wanted:
        with running_app(workspace) as address, chromium() as page:
            open_ecg(page, address, Path(get_testdata_file("waveform_ecg.dcm")))
            for name in wanted:
                PAGES[name](page)
                settled(page)
                path = options.out / f"{name}.png"
                page.screenshot(path=path)
                told = {"benchmark": "pictures", "picture": path.name, "bytes": path.stat().st_size}
                print(json.dumps(told), flush=True)
    if PHANTOM in options.only:
        command = [sys.executable, "-m", "benchmarks.phantom_pictures", "--out", str(options.out)]
        subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
