// What the player shows: one panel a clip, a strip of ECG and R waves a study, the transport. Elements only; the clock
// is elsewhere.

const ICONS = {
  play: "M8 5v14l11-7z",
  pause: "M7 5h4v14H7zM13 5h4v14h-4z",
  back: "M6 5h2v14H6zM20 5v14l-10-7z",
  next: "M16 5h2v14h-2zM4 5v14l10-7z",
  loop: "M7 7h9V4l5 4.5-5 4.5v-3H9v4H7zM17 17H8v3l-5-4.5L8 11v3h7v-4h2z",
  up: "M12 8l6 6-1.4 1.4-4.6-4.6-4.6 4.6L6 14z",
  down: "M12 16l-6-6 1.4-1.4 4.6 4.6 4.6-4.6L18 10z",
};

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") made.textContent = value;
    else if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function svgElement(tag, attributes = {}, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

function icon(name) {
  const svg = svgElement("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" });
  svg.append(svgElement("path", { d: ICONS[name] }));
  return svg;
}

/** 0..1 in whole per cent, never 0 % or 100 %. */
function percent(share) {
  if (share < 0.01) return "<1\u202f%";
  return share > 0.99 ? ">99\u202f%" : `${Math.round(share * 100)}\u202f%`;
}

const rate = (fps) => `${Number(fps.toFixed(1))}\u202ffps`;

/** A picture with its lines above it; `moment` is what it shows while ED stands beside ES. */
function buildHalf(name, moment) {
  const canvas = element("canvas", { width: 4, height: 3, role: "img", "aria-label": `${name}, echo clip, ${moment}` });
  const lines = svgElement("svg", { class: "lines", "aria-hidden": "true" });
  const sheet = element("div", { class: "sheet" }, canvas, lines);
  const root = element("div", { class: "half", "data-moment": moment }, sheet, element("b", { class: "moment", text: moment }));
  return { root, sheet, canvas, lines, context: canvas.getContext("2d", { alpha: false }), shown: null };
}

/** One panel: view name, classifier confidence, pictures, frame rate and weight bar. */
function buildPanel(clip, number) {
  const halves = [buildHalf(clip.name, "ED"), buildHalf(clip.name, "ES")];
  const message = element("p", { class: "message", text: "Loading…" });
  const confidence = clip.confidence === null ? "" : percent(clip.confidence);
  const head = element(
    "header",
    {},
    element("span", { class: "number", text: number }),
    element("b", { text: clip.name, title: clip.name }),
    element("span", { class: "confidence", text: confidence, title: "Confidence of the view classifier" })
  );
  const foot = element("footer", {}, element("span", { text: rate(clip.fps), title: clip.notes.join(" ") || null }));
  if (clip.notes.length) foot.firstChild.append("\u2009*");
  if (clip.weight !== null) {
    const bar = element("i", { class: "bar" }, element("i", { style: `width:${Math.round(clip.bar * 95)}%` }));
    foot.append(element("span", { text: "weight" }), bar, element("span", { text: percent(clip.weight) }));
  }
  const view = element("div", { class: "view" }, ...halves.map((half) => half.root));
  const figure = element("figure", { class: "panel", "data-clip": clip.clip_id, "data-side": clip.side }, view, message, head, foot);
  figure.classList.toggle("unmarked", !clip.key_frames);
  return { figure, halves, message };
}

/** The place of a clip whose view the other study does not have. */
const emptyPanel = (side) => element("div", { class: "panel none", "data-side": side, text: "No clip of this view" });

function button(name, label, content, pressed = null) {
  const made = element("button", { type: "button", "data-do": name, "aria-label": label, title: label, "aria-pressed": pressed });
  made.append(...content);
  return made;
}

/** Segmented control: buttons of which one is pressed. */
function segments(name, label, options, chosen) {
  const group = element("div", { class: "segments", role: "group", "aria-label": label });
  for (const [value, text] of options) {
    const option = button(name, `${label}: ${text}`, [text], String(value === chosen));
    option.dataset.value = value;
    group.append(option);
  }
  return group;
}

/** Strip above the scrub bar: the patient's ECG, its beats laid on those of the reference clip, with ED and ES. */
function buildStrip(reference, study) {
  const length = duration(reference);
  const marks = marksOf(reference).map(([t, what]) => {
    const side = t / length < 0.92 ? "mark" : "mark before"; // above the trace, within the strip
    const mark = element("span", { class: `${side} ${what}`, style: `left:${(100 * t) / length}%` }, element("small", { text: what }));
    mark.title = what === "ED" ? "End-diastole, taken at the R wave" : "End-systole, from the heart rate (Weissler)";
    return mark;
  });
  const svg = svgElement("svg", { viewBox: "0 0 1000 40", preserveAspectRatio: "none", "aria-hidden": "true" });
  if (study.ecg && reference.knots) svg.append(svgElement("path", { d: ecgTrace(reference, study.ecg) }));
  const text = reference.knots ? "" : "No R wave in this clip: views run on the wall clock";
  const drawn = !reference.knots ? "" : study.ecg ? study.ecg.label : `${study.study_id}: no ECG of this patient`;
  const label = element("small", { class: "what", text: drawn, title: drawn || null });
  const head = element("span", { class: "head" });
  return element("div", { class: "strip" }, svg, ...marks, element("span", { class: "empty", text }), label, head);
}

/** Path of an ECG along the time of a clip, 1000 wide and 40 high: beat for beat as recorded, R wave on R wave. */
function ecgTrace(reference, ecg) {
  const own = { knots: beatKnots({ r_waves: ecg.r_times_s }, null) };
  const first = Math.ceil(-toBeats(reference, 0)); // the ECG's beat at the clip's first R wave
  const points = [];
  for (let x = 0; x <= 1000; x += 1) {
    const beats = toBeats(reference, (x / 1000) * duration(reference)) + first;
    const at = toSeconds(own, beats) * ecg.rate_hz;
    const [before, after] = [ecg.samples_mv[Math.floor(at)], ecg.samples_mv[Math.floor(at) + 1]];
    if (before !== undefined && after !== undefined) points.push([x, before + (at - Math.floor(at)) * (after - before)]);
  }
  const values = points.map((point) => point[1]);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return `M${points.map(([x, v]) => `${x},${(38 - (36 * (v - low)) / (high - low || 1)).toFixed(1)}`).join("L")}`;
}

/** A menu that opens below its name. */
function menu(name, title, ...children) {
  const body = element("div", { class: "menu-body" }, ...children);
  return element("details", { class: "menu", "data-menu": name }, element("summary", { text: title }), body);
}

const slider = (name, label, min, max, value) =>
  element("label", {}, label, element("input", { type: "range", "data-image": name, min, max, step: 0.01, value }));

/** The list of downloads: every clip as MP4 and GIF. */
function savedClips(panels) {
  return panels.map(({ clip }) => {
    const link = (kind) => {
      const href = `${clip.url.replace(".mp4?", `.${kind}?`)}&save=1`;
      return element("a", { href, download: "", text: kind.toUpperCase(), "aria-label": `${clip.name} as ${kind.toUpperCase()}` });
    };
    return element("li", {}, element("span", { text: clip.name }), link("mp4"), link("gif"));
  });
}

/** The whole player without a study: grid, strips, scrub bar, transport, tools. */
function buildShell() {
  const parts = {
    sides: element("div", { class: "sides" }),
    grid: element("div", { class: "grid", tabindex: 0, role: "group", "aria-label": "Clips of the study" }),
    strips: element("div", { class: "strips" }),
    scrub: element("input", { type: "range", class: "scrub", min: 0, max: 0, step: 1, value: 0, "aria-label": "Frame" }),
    playButton: button("play", "Play (Space)", [icon("play"), element("span", { text: "Play" })]),
    counter: element("output", { class: "counter" }),
    loopButton: button("loop", "Loop (L)", [icon("loop"), "Loop"], "true"),
    stillsButton: button("stills", "ED beside ES (E)", ["ED | ES"], "false"),
    measureButton: button("measure", "Measure distances (M)", ["Measure"], "false"),
    measured: element("output", { class: "measured" }),
    saved: element("ul", {}),
    hits: element("div", { class: "hits" }, button("hit-up", "Study above (↑)", [icon("up")]), button("hit-down", "Study below (↓)", [icon("down")])),
  };
  const transport = element(
    "div",
    { class: "transport" },
    parts.playButton,
    button("back", "One frame back (←)", [icon("back")]),
    button("next", "One frame on (→)", [icon("next")]),
    parts.counter,
    segments("speed", "Speed", [[0.25, "¼×"], [0.5, "½×"], [1, "1×"]], 1),
    segments("mode", "Clock", [["phase", "Heart phase"], ["time", "Time"]], "phase"),
    parts.loopButton
  );
  const image = menu(
    "image", "Image", slider("level", "Level", 0.05, 0.95, 0.5), slider("width", "Window", 0.1, 1, 1), slider("zoom", "Zoom", 1, 6, 1),
    button("reset", "Image as recorded (Z)", ["As recorded"])
  );
  const tools = element(
    "div", { class: "transport tools" }, parts.stillsButton, parts.measureButton, image, menu("save", "Save", parts.saved), parts.measured, parts.hits
  );
  parts.root = element("section", { class: "player", tabindex: 0, role: "region", "aria-label": "Echo player" });
  parts.root.append(parts.sides, parts.grid, parts.strips, parts.scrub, transport, tools);
  return parts;
}
