"""From an uploaded ECG to a playing study and to a lasso on the map, in Chromium, with nothing leaving this machine.

The clips carry their frame number: the journey compares canvases with the decoded files, not with what the player says.
"""

import base64
import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from echo2ecg_core.echo.key_frames import key_places
from echo2ecg_core.echo.video import decode_video
from echo2ecg_core.store.catalog import Catalog
from tests.browser.running_app import ROOT, chromium, settled

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PLAYER = (
    "document.querySelector('.st-key-echo_player "
    "[data-testid=stBidiComponentIsolated]')?.shadowRoot?.querySelector('.player')"
)
READY = f"() => {PLAYER}?.dataset.ready === 'true'"
PICTURES = f"""() => [...{PLAYER}.querySelectorAll('.panel:not(.none)')].map((panel) => ({{
  clip: panel.dataset.clip, frame: Number(panel.dataset.frame),
  png: panel.querySelector('canvas').toDataURL().split(',')[1]
}}))"""


@pytest.fixture(scope="module")
def workspace(demo_workspace):
    return demo_workspace


@pytest.fixture(scope="module")
def page(served):
    """The app with an uploaded ECG, on Similar studies, its first study ready to play."""
    with chromium() as page:
        page.goto(served)
        page.set_input_files("input[type=file]", get_testdata_file("waveform_ecg.dcm"))
        page.get_by_text("LV ejection fraction").first.wait_for()
        page.get_by_role("link", name="Similar studies").click()
        page.wait_for_function(READY)
        yield page


def scrub(page, frame: int) -> None:
    page.evaluate(
        f"(frame) => {{ const bar = {PLAYER}.querySelector('.scrub'); bar.value = frame; bar.dispatchEvent(new "
        "Event('input')) }",
        frame,
    )


def canvas_box(page) -> dict:
    """Where the picture of the first panel lies on the screen, without the black beside it."""
    return page.evaluate(f"""() => {{
      const canvas = {PLAYER}.querySelector('.panel canvas'), box = canvas.getBoundingClientRect();
      const scale = Math.min(box.width / canvas.width, box.height / canvas.height);
      const [width, height] = [canvas.width * scale, canvas.height * scale];
      return {{ x: box.x + (box.width - width) / 2, y: box.y + (box.height - height) / 2, width, height }};
    }}""")


def drag(page, box: dict, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag between two places of a picture, in parts of its width and height."""
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move(*at[1], steps=4)
    page.mouse.up()


def nearest_frame(workspace, picture: dict) -> int:
    """Number of the stored frame that looks most like a canvas."""
    frames = decode_video(Catalog(workspace).clip_path(picture["clip"]))[0][..., 1].astype(np.float32)
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture["png"]))))[..., 1].astype(np.float32)
    assert shown.shape == frames.shape[1:]
    return int(((frames - shown) ** 2).mean((1, 2)).argmin())


def test_a_scrub_lands_on_the_asked_frame_in_the_reference_view(page, workspace):
    for frame in (0, 17, 5, 31, 30):
        scrub(page, frame)
        reference = page.evaluate(
            f"() => [...{PLAYER}.querySelectorAll('.panel')].findIndex((p) => p.matches('.reference'))"
        )
        picture = page.evaluate(PICTURES)[reference]
        assert page.evaluate(f"() => {PLAYER}.dataset.frame") == str(frame)
        assert picture["frame"] == frame == nearest_frame(workspace, picture)


def test_every_view_shows_the_stored_frame_it_says_it_shows(page, workspace):
    scrub(page, 11)
    pictures = page.evaluate(PICTURES)
    assert len(pictures) >= 3
    for picture in pictures:
        assert nearest_frame(workspace, picture) == picture["frame"]


def test_space_plays_all_views_and_stops_them(page):
    scrub(page, 0)
    before = page.evaluate(PICTURES)
    page.keyboard.press("Space")
    page.wait_for_function(f"() => Number({PLAYER}.dataset.frame) > 3")
    page.keyboard.press("Space")
    after = page.evaluate(PICTURES)
    assert all(a["png"] != b["png"] for a, b in zip(after, before, strict=True))
    assert page.evaluate(f"() => {PLAYER}.dataset.playing") == "false"
    page.wait_for_timeout(300)
    assert page.evaluate(PICTURES) == after


def test_arrows_step_and_digits_enlarge(page):
    scrub(page, 8)
    page.evaluate(f"() => {PLAYER}.focus()")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(f"() => {PLAYER}.dataset.frame") == "9"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(f"() => {PLAYER}.dataset.frame") == "7"
    page.keyboard.press("2")
    wide = page.evaluate(f"() => {PLAYER}.querySelectorAll('.panel')[1].clientWidth / {PLAYER}.clientWidth")
    assert wide > 0.95
    page.keyboard.press("0")
    assert page.evaluate(f"() => {PLAYER}.dataset.large") == "0"


def test_after_a_click_elsewhere_space_and_arrows_still_belong_to_the_player(page):
    scrub(page, 8)
    for place in ("Filters", "Export"):
        page.get_by_role("button", name=place).first.click()
        page.keyboard.press("Escape")
        page.keyboard.press("ArrowRight")
    assert page.evaluate(f"() => {PLAYER}.dataset.frame") == "10"
    page.locator("[data-testid=stDataFrame] .dvn-scroller").click(position={"x": 60, "y": 45})  # the row that is open
    settled(page)
    page.wait_for_function(READY)
    scrub(page, 8)
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(f"() => {PLAYER}.dataset.frame") == "7"
    page.keyboard.press("Space")
    page.wait_for_function(f"() => {PLAYER}.dataset.playing === 'true'")
    page.keyboard.press("Space")
    assert page.evaluate(f"() => {PLAYER}.dataset.playing") == "false"


def test_end_systole_stands_beside_end_diastole_as_stored(page, workspace):
    page.evaluate(f"() => {PLAYER}.focus()")
    page.keyboard.press("e")
    panels = page.evaluate(f"""() => [...{PLAYER}.querySelectorAll('.panel:not(.unmarked)')].map((panel) => ({{
      clip: panel.dataset.clip,
      halves: [...panel.querySelectorAll('canvas')].map((c) => ({{
        png: c.toDataURL().split(',')[1], seen: c.checkVisibility() }}))
    }}))""")
    page.keyboard.press("e")
    for panel in panels:
        clip = Catalog(workspace).clip(panel["clip"])
        wanted = key_places(clip.r_wave_times_s, clip.fps, clip.n_frames)
        assert all(half["seen"] for half in panel["halves"])
        assert tuple(nearest_frame(workspace, half | {"clip": panel["clip"]}) for half in panel["halves"]) == wanted
    assert page.evaluate(f"() => {PLAYER}.dataset.stills") == "false"


def test_a_drag_measures_millimetres_of_the_stored_picture(page, workspace):
    panel = page.evaluate(PICTURES)[0]
    spacing_mm, box = Catalog(workspace).clip(panel["clip"]).spacing_mm, canvas_box(page)
    height, width = decode_video(Catalog(workspace).clip_path(panel["clip"]))[0].shape[1:3]
    page.evaluate(f"() => {PLAYER}.focus()")
    page.keyboard.press("m")
    drag(page, box, (0.25, 0.5), (0.75, 0.3))
    told = page.evaluate(f"() => {PLAYER}.querySelector('.measured').textContent")
    wanted = np.hypot(0.5 * width, 0.2 * height) * spacing_mm
    assert abs(float(told.split(": ")[1].split("\u202f")[0]) - wanted) <= 0.015 * wanted + 0.5
    assert page.evaluate(f"() => {PLAYER}.querySelectorAll('.lines line').length") == 1
    for _ in range(4):  # a distance belongs to its frame; a slower clip keeps one for some steps of the reference
        page.keyboard.press("ArrowRight")
    assert page.evaluate(f"() => {PLAYER}.querySelectorAll('.lines line').length") == 0
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    assert page.evaluate(f"() => {PLAYER}.querySelectorAll('.lines line').length") == 1
    page.keyboard.press("Delete")
    page.keyboard.press("Escape")
    assert page.evaluate(f"() => {PLAYER}.querySelectorAll('.lines line').length") == 0


def test_keys_measure_millimetres_of_the_stored_picture(page, workspace):
    clip_id = page.evaluate(PICTURES)[0]["clip"]
    spacing_mm = Catalog(workspace).clip(clip_id).spacing_mm
    lines = f"() => {PLAYER}.querySelectorAll('.lines line:not(.cross)').length"
    crossed = f"() => {PLAYER}.querySelectorAll('.lines .cross').length"
    page.evaluate(f"() => {PLAYER}.focus()")
    frame = page.evaluate(f"() => {PLAYER}.dataset.frame")
    for key in ("m", "Enter", "ArrowUp", "Enter", *["Shift+ArrowRight"] * 3, *["ArrowDown"] * 4, "Enter", "ArrowLeft"):
        page.keyboard.press(key)
    told = page.evaluate(f"() => {PLAYER}.querySelector('.measured').textContent")
    assert float(told.split(": ")[1].split("\u202f")[0]) == pytest.approx(np.hypot(30, 4) * spacing_mm, abs=0.51)
    assert (page.evaluate(lines), page.evaluate(crossed)) == (1, 2)  # the last arrow moved the cross alone
    assert page.evaluate(f"() => {PLAYER}.dataset.frame") == frame  # nothing stepped
    for key in ("Delete", "Escape"):
        page.keyboard.press(key)
    assert (page.evaluate(lines), page.evaluate(crossed)) == (0, 0)
    page.keyboard.press("ArrowRight")  # the arrows are the player's again
    assert page.evaluate(f"() => {PLAYER}.dataset.frame") != frame
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Escape")
    assert page.evaluate(f"() => {PLAYER}.dataset.measuring") == "false"


def test_the_wheel_zooms_about_the_pointer_shift_drag_sets_the_window_and_z_takes_both_back(page):
    picture = f"{PLAYER}.querySelector('.panel canvas')"
    page.evaluate(f"() => {PLAYER}.focus()")
    before = canvas_box(page)
    at = (before["x"] + 0.25 * before["width"], before["y"] + 0.4 * before["height"])
    page.mouse.move(*at)
    page.mouse.wheel(0, -280)
    page.wait_for_function(f"() => Number({PLAYER}.querySelector('.panel').dataset.zoom) > 1.5")
    after = canvas_box(page)
    assert (at[0] - after["x"]) / after["width"] == pytest.approx(0.25, abs=0.01)
    assert (at[1] - after["y"]) / after["height"] == pytest.approx(0.4, abs=0.01)
    page.keyboard.down("Shift")
    page.mouse.down()
    page.mouse.move(at[0] + 80, at[1] - 40, steps=3)
    page.mouse.up()
    page.keyboard.up("Shift")
    assert "contrast" in page.evaluate(f"() => {picture}.style.filter")
    page.keyboard.press("z")
    assert canvas_box(page) == before and page.evaluate(f"() => {picture}.style.filter") == "none"


def test_the_filter_of_window_and_level_is_the_straight_line_it_says(page):
    """Grey steps drawn through the browser's own filter against (v - level) / width + 0.5."""
    script = (ROOT / "pages/ui/studies/player/tools.js").read_text()
    settings = [(0.5, 1), (0.5, 0.4), (0.3, 1), (0.7, 0.9), (0.2, 0.3), (0.9, 0.5)]
    run = """(settings) => settings.map(([level, width]) => {
      const [from, to] = [0, 1].map(() => new OffscreenCanvas(256, 1).getContext('2d'));
      for (let v = 0; v < 256; v += 1) { from.fillStyle = `rgb(${v}, ${v}, ${v})`; from.fillRect(v, 0, 1, 1); }
      to.filter = windowFilter(level, width);
      to.drawImage(from.canvas, 0, 0);
      return [...to.getImageData(0, 0, 256, 1).data].filter((_, i) => i % 4 === 0);
    })"""
    grey = np.arange(256) / 255
    for (level, width), shown in zip(
        settings, page.evaluate(f"(given) => {{ {script}; return ({run})(given) }}", settings), strict=True
    ):
        wanted = 255 * np.clip((grey - level) / width + 0.5, 0, 1)
        assert np.abs(np.array(shown) - wanted).max() <= 4, (level, width)


def test_a_clip_is_saved_as_mp4_and_as_gif(page, workspace):
    clip = Catalog(workspace).clip(page.evaluate(PICTURES)[0]["clip"])
    content = {}
    page.locator(".st-key-echo_player [data-menu=save] summary").click()
    for kind in ("MP4", "GIF"):
        with page.expect_download() as download:
            page.get_by_role("link", name=f"as {kind}").first.click()
        content[kind] = Path(download.value.path()).read_bytes()
        assert (
            download.value.suggested_filename == f"{clip.study_id}_{clip.view}_{clip.clip_id}_synthetic.{kind.lower()}"
        )
    assert content["MP4"] == Catalog(workspace).clip_content(clip.clip_id)
    film = Image.open(io.BytesIO(content["GIF"]))
    assert film.n_frames > 10 and b"Research use only" in film.info["comment"]


def test_two_studies_play_on_one_clock_with_the_strip_of_each(page, workspace):
    page.get_by_role("button", name="Another beside").click()
    page.get_by_role("combobox", name="Study beside this one").click()
    page.get_by_role("option").nth(1).click()
    page.wait_for_function(
        f"() => {PLAYER}?.querySelectorAll('.strip').length === 2 && {PLAYER}.dataset.ready === 'true'"
    )
    settled(page)
    sides = page.evaluate(f"() => [...{PLAYER}.querySelectorAll('.panel')].slice(0, 2).map((p) => p.dataset.side)")
    named = page.evaluate(
        f"() => [...{PLAYER}.querySelectorAll('.panel header b')].slice(0, 2).map((b) => b.textContent)"
    )
    assert sides == ["0", "1"] and named[0] == named[1]
    strips = page.evaluate(f"() => [...{PLAYER}.querySelectorAll('.strip .what')].map((s) => s.textContent)")
    clips = [picture["clip"] for picture in page.evaluate(PICTURES)[:2]]
    for strip, clip in zip(strips, clips, strict=True):
        study = Catalog(workspace).study(Catalog(workspace).clip(clip).study_id)
        ecgs = Catalog(workspace).ecgs(study.patient_id)
        days = abs(pd.to_datetime(ecgs.ecg_time) - pd.Timestamp(study.study_date)).dt.total_seconds() / 86400
        assert strip.startswith(f"ECG {ecgs.ecg_id[days.argmin()]}, lead II")
        assert ("within a day" in strip) == (days.min() < 1)
    scrub(page, 0)
    before = page.evaluate(PICTURES)[:2]
    scrub(page, 12)
    after = page.evaluate(PICTURES)[:2]
    assert all(a["png"] != b["png"] for a, b in zip(after, before, strict=True))
    page.get_by_role("button", name="Close P0").click()
    page.wait_for_function(
        f"() => {PLAYER}.querySelectorAll('.strip').length === 1 && {PLAYER}.dataset.ready === 'true'"
    )
    settled(page)


@pytest.mark.parametrize("width", [1024, 390])
def test_on_a_narrow_screen_the_player_comes_before_the_list(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    settled(page)
    places = f"[{PLAYER}, document.querySelector('[data-testid=stDataFrame]')]"
    tops = page.evaluate(f"() => {places}.map((e) => e.getBoundingClientRect().top)")
    page.set_viewport_size({"width": 1440, "height": 900})
    settled(page)
    assert tops[0] < 500 < tops[1]


def test_another_hit_opens_another_study_gives_the_old_frames_back_and_asks_nothing_twice(page):
    page.evaluate(
        "() => { window.framesClosed = 0; const close = ImageBitmap.prototype.close; "
        "ImageBitmap.prototype.close = function () { window.framesClosed += 1; close.call(this) } }"
    )
    asked = []
    page.on("request", lambda request: "/clips/" in request.url and asked.append(request.url))
    old = {picture["clip"]: picture["frame"] for picture in page.evaluate(PICTURES)}
    page.evaluate(f"() => {PLAYER}.focus()")
    page.keyboard.press("ArrowDown")
    page.wait_for_function(f"(clip) => {PLAYER}.querySelector('.panel').dataset.clip !== clip", arg=next(iter(old)))
    page.wait_for_function(READY)
    assert page.evaluate("() => window.framesClosed") == 32 * len(old)
    assert len(asked) == len(set(asked)) == page.evaluate(f"() => {PLAYER}.querySelectorAll('.panel').length")
    page.get_by_role("button", name="Filters").click()  # a rerun with the same study
    page.keyboard.press("Escape")
    page.wait_for_timeout(1500)
    assert len(asked) == len(set(asked))


def test_a_clip_without_the_sessions_key_is_refused(page):
    address = page.evaluate(
        "() => performance.getEntriesByType('resource').find((e) => e.name.includes('/clips/')).name"
    )
    answers = page.evaluate(
        "(urls) => Promise.all(urls.map((url) => fetch(url).then((answer) => answer.status)))",
        [address, address.split("?")[0], address.split("key=")[0] + "key=guess"],
    )
    assert answers == [200, 403, 403]


def lasso(page):
    box = page.locator(".js-plotly-plot").first.bounding_box()
    corners = [(0.02, 0.2), (0.98, 0.2), (0.98, 0.97), (0.02, 0.97), (0.02, 0.21)]
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*at[0])
    page.mouse.down()
    for corner in at[1:]:
        page.mouse.move(*corner, steps=10)
    page.mouse.up()
    page.get_by_text("Selection", exact=True).first.wait_for()


def test_a_lasso_on_the_map_lists_points_as_a_table_with_a_download(page, workspace):
    page.get_by_role("link", name="Map").click()
    page.locator(".js-plotly-plot .plot-container").first.wait_for()
    page.get_by_text("Your ECG").first.wait_for()
    page.wait_for_timeout(1500)
    lasso(page)
    with page.expect_download() as download:
        page.locator(".stDownloadButton button").click()
    with Path(download.value.path()).open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:5] == ["x", "y", "cluster", "modality", "id"] and 2 <= len(rows) <= 24
    assert {row["id"] for row in rows} <= {*Catalog(workspace).ecgs().ecg_id, *Catalog(workspace).studies().study_id}


def test_another_layout_is_drawn_once_and_what_surrounds_the_map_stays(page):
    page.evaluate("""() => { window.drawn = 0; window.redone = 0;
      const count = (name) => (all) => { window[name] += all.filter(({target}) => name === "redone" ||
        target.matches(".js-plotly-plot")).length };
      new MutationObserver(count("drawn")).observe(document.body, {subtree: true, attributeFilter: ["class"]});
      const sidebar = document.querySelector(".st-key-sidebar_foot");
      new MutationObserver(count("redone")).observe(sidebar, {subtree: true, attributes: true, childList: true}); }""")
    page.get_by_role("radio", name="ECGs").click()
    page.get_by_text("No selection").wait_for()
    settled(page)
    assert page.evaluate("[window.drawn, window.redone]") == [1, 0]  # plotly marks its element at every drawing
    page.get_by_role("radio", name="Together").click()
    settled(page)
    lasso(page)


def test_the_lasso_stays_when_the_page_turns_dark_and_a_double_click_clears_it(page):
    drawn = """() => { const drawn = document.querySelector('.js-plotly-plot')?._fullLayout;
      return [drawn?.font.color, drawn?.selections.length] }"""
    chosen, (light, n_lassos) = page.locator(".e2e-study").inner_text(), page.evaluate(drawn)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"(light) => ![light, undefined].includes(({drawn})()[0])", arg=light)
    settled(page)
    assert n_lassos == page.evaluate(drawn)[1] == 1 and page.locator(".e2e-study").inner_text() == chosen
    box = page.locator(".js-plotly-plot").first.bounding_box()
    page.mouse.dblclick(box["x"] + 0.99 * box["width"], box["y"] + 0.985 * box["height"])
    page.get_by_text("No selection").wait_for()
    assert page.evaluate(drawn)[1] == 0
    page.emulate_media(color_scheme="light")
    page.wait_for_function(f"(light) => ({drawn})()[0] === light", arg=light)
    lasso(page)


def test_a_kept_view_comes_back_with_its_zoom_and_the_address_says_it(page):
    left = "() => document.querySelector('.js-plotly-plot')?._fullLayout?.xaxis.range[0]"
    box, begin = page.locator(".js-plotly-plot").first.bounding_box(), page.evaluate(left)
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.6 * box["height"])
    page.mouse.wheel(0, -300)  # inside the lasso
    page.get_by_role("button", name="Whole map", disabled=False).wait_for()
    settled(page)
    zoomed = page.evaluate(left)
    assert zoomed > begin and f"view={zoomed:.3f}" in page.url
    page.get_by_role("button", name="Clear").click()
    page.get_by_text("No selection").wait_for()
    page.get_by_role("button", name="Views").click()
    page.get_by_label("Keep this view as").fill("the middle")
    page.get_by_role("button", name="Keep", exact=True).click()
    page.get_by_text("is kept for everybody").wait_for()
    page.get_by_role("button", name="Whole map").click()
    page.get_by_role("button", name="Whole map", disabled=True).wait_for()
    page.get_by_role("button", name="Views").click()
    page.get_by_role("button", name="the middle").click()
    page.get_by_role("button", name="Whole map", disabled=False).wait_for()
    settled(page)
    assert page.evaluate(left) == pytest.approx(zoomed, abs=0.05 * (zoomed - begin)) and "view=" in page.url


def test_a_click_opens_a_point_with_the_lasso_in_hand_and_leads_to_its_study(page, workspace):
    where = page.evaluate("""() => {
      const plot = document.querySelector('.js-plotly-plot');
      const [trace, { xaxis, yaxis, _size }] = [plot._fullData.find((t) => t.name === 'study'), plot._fullLayout];
      const isSeen = (at, { range }) => at > range[0] && at < range[1];
      const i = trace.customdata.findIndex((_, i) => isSeen(trace.x[i], xaxis) && isSeen(trace.y[i], yaxis));
      return { id: trace.customdata[i][0], x: xaxis.l2p(trace.x[i]) + _size.l, y: yaxis.l2p(trace.y[i]) + _size.t };
    }""")
    box = page.locator(".js-plotly-plot").first.bounding_box()
    page.mouse.move(box["x"] + where["x"], box["y"] + where["y"])
    page.locator(".e2e-card.frame img").wait_for()
    card = page.locator(".e2e-card").bounding_box()
    assert page.locator(".e2e-card img").evaluate("image => Math.max(image.naturalWidth, image.naturalHeight)") == 200
    assert card["x"] > 0 and card["x"] + card["width"] < 1440 and card["y"] > 0 and card["y"] + card["height"] < 900
    assert not (card["y"] <= box["y"] + where["y"] <= card["y"] + card["height"])  # not over the point
    page.mouse.click(box["x"] + where["x"], box["y"] + where["y"], delay=50)
    rings = page.locator(".e2e-links circle.line")
    rings.first.wait_for()
    labelled = Catalog(workspace).labelled_ecgs()
    assert rings.count() == 1 + (labelled.study_id == where["id"]).sum() > 1
    opened = page.locator(".e2e-links circle.opened.line").bounding_box()
    assert opened["x"] + opened["width"] / 2 == pytest.approx(box["x"] + where["x"], abs=1.5)
    assert opened["y"] + opened["height"] / 2 == pytest.approx(box["y"] + where["y"], abs=1.5)
    page.get_by_role("button", name=f"Play the study {where['id']}").click()
    page.wait_for_function(READY)
    page.get_by_text(f"ECGs nearest to the study {where['id']}").wait_for()
    assert f"study={where['id']}" in page.url


def test_nothing_left_this_machine_and_no_script_failed(page):
    assert page.hosts <= {"localhost", None} and page.problems == []


def test_clocks_of_views_agree_with_a_plain_reckoning_of_beats(page):
    """clock.js against interpolation in numpy: the same share of a beat, whatever rate and length the clips have."""
    reference = {"fps": 50, "n_frames": 100, "r_waves": [0.1, 0.9, 1.7]}
    other = {"fps": 30, "n_frames": 40, "r_waves": [0.25, 1.25]}
    script = (ROOT / "pages/ui/studies/player/clock.js").read_text()
    run = """([reference, other, times]) => {
      const clips = [reference, other];
      clips.forEach((clip) => (clip.knots = beatKnots(clip, medianBeat(clips))));
      return times.map((t) => [sameMoment(other, reference, t, 'phase'), sameMoment(other, reference, t, 'time')]);
    }"""
    times = [0.1, 0.3, 0.5, 0.9, 1.1, 1.65]
    answers = page.evaluate(f"(given) => {{ {script}; return ({run})(given) }}", [reference, other, times])
    for t, (phase, time) in zip(times, answers, strict=True):
        share = np.interp(t, [0.1, 0.9, 1.7], [0, 1, 2]) % 1
        assert abs((phase - 0.25) % 1 - share) < 1e-6  # the other heart's beat lasts one second
        assert time == pytest.approx(t % (40 / 30))
