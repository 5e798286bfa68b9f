// What the player shows: one panel a clip, the strip of R waves, the transport. Elements only; the clock is elsewhere.

const ICONS = {
  play: "M8 5v14l11-7z",
  pause: "M7 5h4v14H7zM13 5h4v14h-4z",
  back: "M6 5h2v14H6zM20 5v14l-10-7z",
  next: "M16 5h2v14h-2zM4 5v14l10-7z",
  loop: "M7 7h9V4l5 4.5-5 4.5v-3H9v4H7zM17 17H8v3l-5-4.5L8 11v3h7v-4h2z",
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

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.append(svgPath(ICONS[name]));
  return svg;
}

function svgPath(d) {
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", d);
  return path;
}

/** 0..1 in whole per cent, never 0 % or 100 %. */
function percent(share) {
  if (share < 0.01) return "<1\u202f%";
  return share > 0.99 ? ">99\u202f%" : `${Math.round(share * 100)}\u202f%`;
}

const rate = (fps) => `${Number(fps.toFixed(1))}\u202ffps`;

/** One panel: view name, classifier confidence, canvas, frame rate and weight bar. */
function buildPanel(clip, number) {
  const canvas = element("canvas", { width: 4, height: 3, role: "img", "aria-label": `${clip.name}, echo clip` });
  const message = element("p", { class: "message", text: "Loading…" });
  const confidence = clip.confidence === null ? "" : percent(clip.confidence);
  const head = element(
    "header",
    {},
    element("span", { class: "number", text: number }),
    element("b", { text: clip.name }),
    element("span", { class: "confidence", text: confidence, title: "Confidence of the view classifier" })
  );
  const foot = element("footer", {}, element("span", { text: rate(clip.fps), title: clip.notes.join(" ") || null }));
  if (clip.notes.length) foot.firstChild.append("\u2009*");
  if (clip.weight !== null) {
    const bar = element("i", { class: "bar" }, element("i", { style: `width:${Math.round(clip.bar * 95)}%` }));
    foot.append(element("span", { text: "weight" }), bar, element("span", { text: percent(clip.weight) }));
  }
  const figure = element("figure", { class: "panel", "data-clip": clip.clip_id }, canvas, message, head, foot);
  return { figure, canvas, message, context: canvas.getContext("2d", { alpha: false }) };
}

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

/** Strip above the scrub bar: R waves of the reference clip, and one beat of the patient's ECG between them. */
function drawStrip(strip, reference, beat) {
  const length = duration(reference);
  const marks = reference.r_waves.filter((r) => r >= 0 && r < length).map((r) => {
    const side = r / length < 0.04 ? "mark" : "mark before";
    const mark = element("span", { class: side, style: `left:${(100 * r) / length}%` }, element("small", { text: "ED" }));
    mark.title = "End-diastole, taken at the R wave";
    return mark;
  });
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 1000 40");
  svg.setAttribute("preserveAspectRatio", "none");
  if (beat && reference.knots) svg.append(svgPath(beatTrace(reference, beat)));
  const text = reference.knots ? "" : "No R wave in this clip: views run on the wall clock";
  const drawn = beat && reference.knots ? "one beat of the patient's ECG, median, repeated at every R wave" : "";
  const label = element("small", { class: "what", text: drawn });
  strip.replaceChildren(svg, ...marks, element("span", { class: "empty", text }), label, element("span", { class: "head" }));
}

/** Path of the beat (samples 0..1 from R wave to R wave) along the time of a clip, 1000 wide and 40 high. */
function beatTrace(reference, beat) {
  const points = [];
  for (let x = 0; x <= 1000; x += 2) {
    const beats = toBeats(reference, (x / 1000) * duration(reference));
    const place = modulo(beats, 1) * (beat.length - 1);
    const left = Math.floor(place);
    const value = beat[left] + (place - left) * ((beat[left + 1] ?? beat[left]) - beat[left]);
    points.push(`${x},${(38 - 34 * value).toFixed(1)}`);
  }
  return `M${points.join("L")}`;
}

/** The whole player without a study: grid, strip, scrub bar, transport. */
function buildShell() {
  const parts = {
    grid: element("div", { class: "grid" }),
    strip: element("div", { class: "strip" }),
    scrub: element("input", { type: "range", class: "scrub", min: 0, max: 0, step: 1, value: 0, "aria-label": "Frame" }),
    playButton: button("play", "Play (Space)", [icon("play"), element("span", { text: "Play" })]),
    counter: element("output", { class: "counter" }),
    loopButton: button("loop", "Loop (L)", [icon("loop"), "Loop"], "true"),
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
  parts.root = element("section", { class: "player", tabindex: 0, role: "region", "aria-label": "Echo player" });
  parts.root.append(parts.grid, parts.strip, parts.scrub, transport);
  return parts;
}
