// All clips of a study, or of two, on one clock. One requestAnimationFrame loop draws every panel, so views cannot drift
// apart; a clip is decoded once and kept as bitmaps, so that a scrub lands exactly on the asked frame.

const FIRST_VIEW = 6; // panels that are seen without scrolling: "ready" means these are decoded

class Player {
  constructor(host) {
    const state = { mode: "phase", speed: 1, looping: true, stills: false, measuring: false, large: 0, t: 0, playing: false };
    Object.assign(this, buildShell(), state, { panels: [] });
    host.append(this.root);
    const load = (entries) => entries.filter((e) => e.isIntersecting).forEach((e) => this.load(this.panelOf(e.target)));
    this.inView = new IntersectionObserver(load, { root: this.grid, rootMargin: "100px" });
  }

  // ------------------------------------------------------------------ one study, or two side by side

  open(data) {
    this.hits.hidden = !data.has_hits;
    const identity = JSON.stringify([data.studies.map((study) => study.study_id), data.clips.map((clip) => clip?.url)]);
    if (identity === this.identity) return;
    this.free();
    this.identity = identity;
    this.loading = new AbortController();
    this.fill(data);
    this.enlarge(0);
    this.setStills(this.stills);
    if (!this.panels.length) return;
    const own = this.panels.filter((panel) => panel.clip.side === 0);
    this.reference = referenceOf((own.length ? own : this.panels).slice(0, FIRST_VIEW).map((panel) => panel.clip));
    this.panels.forEach((p) => p.figure.classList.toggle("reference", p.clip === this.reference && this.panels.length > 1));
    this.strips.replaceChildren(...data.studies.map((study) => buildStrip(this.reference, study)));
    this.scrub.max = this.reference.n_frames - 1;
    this.panels.slice(0, FIRST_VIEW).forEach((panel) => this.load(panel));
    this.panels.slice(FIRST_VIEW).forEach((panel) => this.inView.observe(panel.figure));
    this.seek(0);
  }

  /** Make the panels: clips in the order given, null where the other study has no such view. */
  fill({ studies, clips }) {
    const given = clips.filter(Boolean);
    const isPair = studies.length > 1;
    const ready = studies.map((study, side) => this.prepare(given.filter((clip) => clip.side === side)));
    const known = new Map(ready.flat().map((clip) => [clip.clip_id, clip]));
    const figures = [];
    this.panels = [];
    clips.forEach((clip, i) => {
      const [side, row] = isPair ? [i % 2, Math.floor(i / 2) + 1] : [0, i + 1];
      if (!clip) return figures.push(emptyPanel(side));
      const made = known.get(clip.clip_id);
      const panel = { clip: made, row, frames: [], lines: [], image: { ...AS_RECORDED }, ...buildPanel(made, row) };
      this.panels.push(panel);
      figures.push(panel.figure);
    });
    this.grid.replaceChildren(...figures);
    this.grid.dataset.clips = isPair ? "pair" : Math.min(given.length, FIRST_VIEW);
    this.grid.scrollTop = 0;
    this.sides.replaceChildren(...(isPair ? studies : []).map((study) => element("b", { text: study.label })));
    this.saved.replaceChildren(...savedClips(this.panels));
    this.measured.textContent = "";
    Object.assign(this, { crossed: null, openLine: null });
  }

  /** Clips of one study with their bars and their heart's clock. */
  prepare(clips) {
    const heaviest = Math.max(...clips.map((clip) => clip.weight ?? 0));
    const beatS = medianBeat(clips);
    return clips.map((clip) => ({ ...clip, bar: heaviest ? (clip.weight ?? 0) / heaviest : 0, knots: beatKnots(clip, beatS) }));
  }

  /** Decode the clip of a panel once; frames show as they come. */
  async load(panel) {
    if (panel.asked) return;
    panel.asked = true;
    const { signal } = this.loading;
    const keep = (index, bitmap, size) => {
      if (signal.aborted) return bitmap.close();
      panel.frames[index] = bitmap;
      panel.size = size;
      if (!panel.halves[0].shown || this.wants(panel, index)) this.draw(panel);
    };
    try {
      await decodeClip(panel.clip, 1 / this.panels.length, keep, signal);
      panel.done = true;
      panel.message.hidden = true;
    } catch (error) {
      if (signal.aborted) return;
      panel.done = true;
      panel.message.textContent = `This clip cannot be shown: ${error.message}`;
    }
    const first = this.panels.slice(0, FIRST_VIEW);
    this.root.dataset.decoded = this.panels.filter((p) => p.done).length;
    this.root.dataset.ready = String(first.every((p) => p.done));
    this.draw(panel);
  }

  /** Give all frames of the open study back to the browser. */
  free() {
    this.pause();
    this.loading?.abort();
    this.inView.disconnect();
    for (const { frames, halves } of this.panels) {
      frames.forEach((bitmap) => bitmap?.close());
      halves.forEach(({ canvas }) => (canvas.width = canvas.height = 1));
    }
    this.panels = [];
    this.t = 0;
    Object.assign(this.root.dataset, { ready: "false", decoded: 0, frame: "" });
  }

  // ------------------------------------------------------------------ the clock

  get frame() {
    return frameAt(this.reference, this.t);
  }

  frameOf(panel) {
    return frameAt(panel.clip, sameMoment(panel.clip, this.reference, this.t, this.mode));
  }

  /** Frames that a panel shows: the moment's one, or end-diastole and end-systole. */
  framesOf(panel) {
    return this.stills && panel.clip.key_frames ? panel.clip.key_frames : [this.frameOf(panel)];
  }

  wants(panel, index) {
    return this.framesOf(panel).includes(index);
  }

  /** Show one frame of the reference clip, and in every other panel the same moment. */
  seek(frame) {
    if (!this.panels.length) return;
    this.t = middleOf(this.reference, Math.min(this.reference.n_frames - 1, Math.max(0, frame)));
    this.show();
  }

  show() {
    this.panels.forEach((panel) => this.draw(panel));
    const { frame, reference } = this;
    this.strips.querySelectorAll(".head").forEach((head) => (head.style.left = `${(100 * this.t) / duration(reference)}%`));
    if (this.root.dataset.frame === String(frame) && this.root.dataset.frames === String(reference.n_frames)) return;
    Object.assign(this.root.dataset, { frame, frames: reference.n_frames });
    this.scrub.value = frame;
    this.scrub.style.setProperty("--done", `${(100 * frame) / Math.max(1, reference.n_frames - 1)}%`);
    this.counter.replaceChildren("frame ", element("b", { text: frame + 1 }), ` of ${reference.n_frames}`);
  }

  draw(panel) {
    this.framesOf(panel).forEach((index, i) => drawFrame(panel, panel.halves[i], index));
  }

  play() {
    if (this.playing || !this.panels.length) return;
    this.setStills(false);
    if (!this.looping && this.frame === this.reference.n_frames - 1) this.t = 0;
    this.playing = true;
    let before = performance.now();
    const tick = (now) => {
      if (!this.playing) return;
      this.t += (Math.min(250, Math.max(0, now - before)) / 1000) * this.speed;
      before = now;
      if (this.t >= duration(this.reference)) {
        if (!this.looping) {
          this.pause();
          return this.seek(this.reference.n_frames - 1);
        }
        this.t = modulo(this.t, duration(this.reference));
      }
      this.show();
      this.request = requestAnimationFrame(tick);
    };
    this.request = requestAnimationFrame(tick);
    this.showPlaying();
  }

  /** Stop in the middle of the reference's frame, so that a step there and back shows every view the same again. */
  pause() {
    const { playing } = this;
    this.playing = false;
    cancelAnimationFrame(this.request);
    if (playing) this.seek(this.frame);
    this.showPlaying();
  }

  showPlaying() {
    const word = this.playing ? "Pause" : "Play";
    this.playButton.replaceChildren(icon(word.toLowerCase()), element("span", { text: word }));
    this.root.dataset.playing = String(this.playing);
  }

  // ------------------------------------------------------------------ what a reader can do

  panelOf(figure) {
    return this.panels.find((panel) => panel.figure === figure);
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  step(by) {
    this.pause();
    this.setStills(false);
    if (this.panels.length) this.seek(modulo(this.frame + by, this.reference.n_frames));
  }

  /** To the next (or previous) end-diastole or end-systole of the reference clip. */
  jump(direction) {
    if (!this.panels.length) return;
    const { reference, frame } = this;
    const marks = marksOf(reference).map(([t]) => frameAt(reference, t));
    const target = direction > 0 ? marks.find((m) => m > frame) ?? marks[0] : marks.findLast((m) => m < frame) ?? marks.at(-1);
    this.pause();
    this.setStills(false);
    if (target !== undefined) this.seek(target);
  }

  /** Row `number` (from 1) over the whole grid: a panel, or two that stand face to face; 0 shows all. */
  enlarge(number) {
    const chosen = this.panels.filter((panel) => panel.row === number);
    this.large = number === this.large || !chosen.length ? 0 : number;
    if (this.crossed) dropCross(this);
    this.grid.classList.toggle("one", this.large > 0);
    this.panels.forEach(({ figure, row }) => figure.classList.toggle("large", row === this.large));
    if (this.large) chosen.forEach((panel) => this.load(panel));
    this.root.dataset.large = this.large;
  }

  /** End-diastole beside end-systole in every panel that tells an R wave. */
  setStills(value) {
    this.stills = value;
    if (value) this.pause();
    this.stillsButton.setAttribute("aria-pressed", String(value));
    this.root.dataset.stills = String(value);
    if (this.panels.length && this.reference) this.show();
  }

  setMeasuring(value) {
    this.measuring = value;
    this.measureButton.setAttribute("aria-pressed", String(value));
    this.root.dataset.measuring = String(value);
    this.measured.textContent = value
      ? "Drag over a picture, or press Enter for a cross that arrows move; Delete takes the last line off"
      : "";
    if (value) this.root.focus({ preventScroll: true });
    else dropCross(this);
  }

  /** Take the distance off that was measured last. */
  forgetLine() {
    const panel = this.panels.findLast(({ lines }) => lines.length);
    if (panel?.lines.pop() === this.openLine) this.openLine = null;
    if (panel) drawLines(panel);
    this.measured.textContent = "";
  }

  /** Level, window or zoom of the enlarged panels, or of all. */
  setImage(name, value) {
    for (const panel of this.panels.filter((p) => !this.large || p.row === this.large)) {
      if (name === "zoom") zoomTo(panel, value);
      else Object.assign(panel.image, { [name]: value });
      applyImage(panel);
    }
  }

  resetImage() {
    this.panels.forEach((panel) => {
      panel.image = { ...AS_RECORDED };
      applyImage(panel);
    });
    this.root.querySelectorAll("[data-image]").forEach((bar) => (bar.value = AS_RECORDED[bar.dataset.image]));
  }

  set(name, value) {
    this[name] = value;
    this.root.querySelectorAll(`[data-do=${name}]`).forEach((option) => {
      option.setAttribute("aria-pressed", String(option.dataset.value === String(value)));
    });
    if (this.panels.length) this.show();
  }

  setLooping(value) {
    this.looping = value;
    this.loopButton.setAttribute("aria-pressed", String(value));
  }

  nextSpeed() {
    this.set("speed", { 0.25: 0.5, 0.5: 1, 1: 0.25 }[this.speed]);
  }
}

/** One frame on one half of a panel; the nearest that is there while the clip is being decoded. */
function drawFrame(panel, half, index) {
  const bitmap = panel.frames[index] || (half.shown ? null : panel.frames.find(Boolean));
  if (!bitmap || half.shown === bitmap) return;
  if (half.canvas.width !== bitmap.width || half.canvas.height !== bitmap.height) {
    Object.assign(half.canvas, { width: bitmap.width, height: bitmap.height });
  }
  half.context.drawImage(bitmap, 0, 0);
  panel.message.hidden = true;
  half.shown = bitmap;
  half.frame = panel.frames.indexOf(bitmap);
  if (half === panel.halves[0]) panel.figure.dataset.frame = half.frame;
  else panel.figure.dataset.systole = half.frame;
  drawLines(panel);
}
