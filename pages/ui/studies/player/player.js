// All clips of a study on one clock. One requestAnimationFrame loop draws every panel, so views cannot drift apart;
// a clip is decoded once and kept as bitmaps, so that a scrub lands exactly on the asked frame.

const FIRST_VIEW = 6; // panels that are seen without scrolling: "ready" means these are decoded

class Player {
  constructor(host) {
    Object.assign(this, buildShell(), { mode: "phase", speed: 1, looping: true, large: 0, t: 0, playing: false, panels: [] });
    host.append(this.root);
    const load = (entries) => entries.filter((e) => e.isIntersecting).forEach((e) => this.load(this.panelOf(e.target)));
    this.inView = new IntersectionObserver(load, { root: this.grid, rootMargin: "100px" });
  }

  // ------------------------------------------------------------------ one study

  open(study) {
    const identity = JSON.stringify([study.study_id, study.clips.map((clip) => clip.url)]);
    if (identity === this.identity) return;
    this.free();
    this.identity = identity;
    this.loading = new AbortController();
    const heaviest = Math.max(...study.clips.map((clip) => clip.weight ?? 0));
    const clips = study.clips.map((clip) => ({ ...clip, bar: heaviest ? (clip.weight ?? 0) / heaviest : 0 }));
    const beatS = medianBeat(clips);
    clips.forEach((clip) => (clip.knots = beatKnots(clip, beatS)));
    this.panels = clips.map((clip, i) => ({ clip, frames: [], shown: null, ...buildPanel(clip, i + 1) }));
    this.grid.replaceChildren(...this.panels.map((panel) => panel.figure));
    this.grid.dataset.clips = Math.min(clips.length, FIRST_VIEW);
    this.grid.scrollTop = 0;
    this.enlarge(0);
    if (!clips.length) return;
    this.reference = referenceOf(clips.slice(0, FIRST_VIEW));
    this.panels.forEach((p) => p.figure.classList.toggle("reference", p.clip === this.reference && clips.length > 1));
    drawStrip(this.strip, this.reference, study.beat);
    this.scrub.max = this.reference.n_frames - 1;
    this.panels.slice(0, FIRST_VIEW).forEach((panel) => this.load(panel));
    this.panels.slice(FIRST_VIEW).forEach((panel) => this.inView.observe(panel.figure));
    this.seek(0);
  }

  /** Decode the clip of a panel once; frames show as they come. */
  async load(panel) {
    if (panel.asked) return;
    panel.asked = true;
    const { signal } = this.loading;
    const keep = (index, bitmap) => {
      if (signal.aborted) return bitmap.close();
      panel.frames[index] = bitmap;
      if (!panel.shown || index === this.frameOf(panel)) this.draw(panel);
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
    for (const { frames, canvas } of this.panels) {
      frames.forEach((bitmap) => bitmap?.close());
      canvas.width = canvas.height = 1;
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

  /** Show one frame of the reference clip, and in every other panel the same moment. */
  seek(frame) {
    if (!this.panels.length) return;
    this.t = middleOf(this.reference, Math.min(this.reference.n_frames - 1, Math.max(0, frame)));
    this.show();
  }

  show() {
    this.panels.forEach((panel) => this.draw(panel));
    const { frame, reference } = this;
    this.strip.querySelector(".head").style.left = `${(100 * this.t) / duration(reference)}%`;
    if (this.root.dataset.frame === String(frame) && this.root.dataset.frames === String(reference.n_frames)) return;
    Object.assign(this.root.dataset, { frame, frames: reference.n_frames });
    this.scrub.value = frame;
    this.scrub.style.setProperty("--done", `${(100 * frame) / Math.max(1, reference.n_frames - 1)}%`);
    this.counter.replaceChildren("frame ", element("b", { text: frame + 1 }), ` of ${reference.n_frames}`);
  }

  draw(panel) {
    const index = this.frameOf(panel);
    const bitmap = panel.frames[index] || (panel.shown ? null : panel.frames.find(Boolean));
    if (!bitmap || panel.shown === bitmap) return;
    if (panel.canvas.width !== bitmap.width || panel.canvas.height !== bitmap.height) {
      Object.assign(panel.canvas, { width: bitmap.width, height: bitmap.height });
    }
    panel.context.drawImage(bitmap, 0, 0);
    panel.message.hidden = true;
    panel.shown = bitmap;
    panel.figure.dataset.frame = panel.frames.indexOf(bitmap);
  }

  play() {
    if (this.playing || !this.panels.length) return;
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

  pause() {
    this.playing = false;
    cancelAnimationFrame(this.request);
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
    if (this.panels.length) this.seek(modulo(this.frame + by, this.reference.n_frames));
  }

  /** To the next (or previous) end-diastole, taken at the R wave of the reference clip. */
  jump(direction) {
    if (!this.panels.length) return;
    const { reference, frame } = this;
    const marks = reference.r_waves.filter((r) => r >= 0 && r < duration(reference)).map((r) => frameAt(reference, r));
    const target = direction > 0 ? marks.find((m) => m > frame) ?? marks[0] : marks.findLast((m) => m < frame) ?? marks.at(-1);
    this.pause();
    if (target !== undefined) this.seek(target);
  }

  /** Panel `number` (from 1) over the whole grid; 0 shows all. */
  enlarge(number) {
    this.large = number === this.large || number > this.panels.length ? 0 : number;
    this.grid.classList.toggle("one", this.large > 0);
    this.panels.forEach(({ figure }, i) => figure.classList.toggle("large", i + 1 === this.large));
    if (this.large) this.load(this.panels[this.large - 1]);
    this.root.dataset.large = this.large;
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
