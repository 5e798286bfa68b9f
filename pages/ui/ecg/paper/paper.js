// ECG paper: draws the sheet that Python planned in millimetres as wide as there is room, five millimetres on whole pixels so
// that the bold lines are sharp; calipers measure on it.
// One Paper lives as long as the element; a rerun hands it new data and redraws only when something has changed.

const WIDTH_MM = 262; // the 10 s sheet at 25 mm/s decides how many pixels a millimetre gets
const SVG = "http://www.w3.org/2000/svg";
const papers = new WeakMap();

export default function (component) {
  const { parentElement, data, setStateValue } = component;
  let paper = papers.get(parentElement);
  if (!paper) {
    paper = new Paper(parentElement);
    papers.set(parentElement, paper);
  }
  paper.report = (on) => setStateValue("calipers", on);
  paper.show(data);
  const call = ++paper.calls;
  return () => {
    if (call !== paper.calls) return; // Streamlit also ends calls that a newer one has overtaken
    paper.close();
    papers.delete(parentElement);
  };
}

function element(name, attributes = {}, parent = null) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (parent) parent.appendChild(node);
  return node;
}

const NEAR_PX = 6; // how near to an edge a pointer takes hold of it
const ARROWS = { ArrowLeft: [-0.25, 0], ArrowRight: [0.25, 0], ArrowUp: [0, -0.25], ArrowDown: [0, 0.25] }; // mm
const OWN_ARROWS = "[role=radiogroup], [role=tablist], [role=slider], [role=listbox], [role=grid]";

function decode(signal) {
  const bytes = Uint8Array.from(atob(signal.samples), (c) => c.charCodeAt(0));
  return new Int16Array(bytes.buffer);
}

class Paper {
  constructor(root) {
    this.frame = root.querySelector(".frame");
    this.scroller = root.querySelector(".scroller");
    this.reading = root.querySelector(".reading");
    this.calipers = false;
    this.calls = 0;
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.frame);
    this.scroller.addEventListener("scroll", () => this.tellMore());
    this.onKey = (event) => this.key(event);
    document.addEventListener("keydown", this.onKey);
  }

  close() {
    this.resized.disconnect();
    document.removeEventListener("keydown", this.onKey);
  }

  show(data) {
    const drawing = JSON.stringify({ ...data, calipers: undefined });
    if (drawing !== this.drawing) {
      this.drawing = drawing;
      this.data = data;
      this.samples = decode(data.signal);
      this.drawn = null;
      this.draw();
    }
    const out = data.calipers === true; // null: this paper has no calipers
    if (out !== this.calipers) this.useCalipers(out);
  }

  pixelsPerMm() {
    return Math.max(2, Math.floor((5 * this.frame.clientWidth) / WIDTH_MM) / 5);
  }

  draw() {
    if (!this.data || !this.frame.clientWidth) return;
    const k = this.pixelsPerMm();
    const { plan } = this.data;
    const width = Math.max(plan.width_mm * k, this.frame.clientWidth);
    const state = `${k}/${width}`;
    if (state === this.drawn) return;
    this.drawn = state;
    this.k = k;
    const height = Math.round(plan.height_mm * k);
    const svg = element("svg", {
      width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": this.data.alt, "data-px-per-mm": k,
    });
    this.drawGrid(svg, k, width, height);
    for (const tint of plan.tints) this.drawTint(svg, tint, k);
    for (const pulse of plan.pulses) {
      element("path", { class: "pulse", d: this.polyline(pulse.map(([x, y]) => [x * k + 0.5, y * k + 0.5])) }, svg);
    }
    for (const strip of plan.strips) this.drawStrip(svg, strip, k);
    for (const strip of plan.strips) this.drawLabel(svg, strip, k);
    plan.marks.forEach((mark, i) => this.drawMark(svg, mark, k, height, height - 5 - 12 * (i % 2)));
    this.measured = element("g", {}, svg);
    this.svg = svg;
    this.listen(svg);
    this.scroller.replaceChildren(svg);
    this.frame.style.minHeight = `${height}px`;
    if (plan.width_mm * k > this.frame.clientWidth) this.scroller.tabIndex = 0;
    else this.scroller.removeAttribute("tabindex");
    this.tellMore();
    this.clear();
  }

  tellMore() { // a shadow at the edge beyond which the paper goes on
    const { scrollLeft, clientWidth, scrollWidth } = this.scroller;
    this.frame.classList.toggle("more", scrollLeft + clientWidth < scrollWidth - 2);
  }

  drawGrid(svg, k, width, height) {
    const definitions = element("defs", {}, svg);
    const size = Math.round(5 * k);
    const pattern = element("pattern", { id: "grid", width: size, height: size, patternUnits: "userSpaceOnUse" }, definitions);
    for (const mm of [1, 2, 3, 4, 0]) {
      const line = { class: mm ? "fine" : "bold", "shape-rendering": "crispEdges" };
      element("rect", { ...line, y: Math.round(mm * k), width: size, height: 1 }, pattern);
      element("rect", { ...line, x: Math.round(mm * k), width: 1, height: size }, pattern);
    }
    element("rect", { width, height, fill: "url(#grid)" }, svg);
  }

  drawTint(svg, [x, y, width, height, value], k) {
    const box = { x: x * k, y: y * k, width: width * k, height: height * k, "shape-rendering": "crispEdges" };
    element("rect", { class: value > 0 ? "up" : "down", opacity: 0.75 * Math.abs(value), ...box }, svg);
  }

  drawStrip(svg, strip, k) {
    const { plan, signal } = this.data;
    const n = this.samples.length / signal.rows;
    const first = Math.round((strip.start_s - signal.start_s) * signal.rate);
    const last = Math.min(n, Math.round((strip.end_s - signal.start_s) * signal.rate));
    const step = (plan.speed_mm_s / signal.rate) * k;
    const scale = strip.sign * signal.scale * plan.gain_mm_mv * k;
    const zero = strip.baseline_mm * k + 0.5;
    const points = [];
    for (let i = first; i < last; i++) {
      const value = this.samples[strip.row * n + i];
      points.push(value === -32768 ? null : [strip.x_mm * k + (i - first) * step, zero - value * scale]);
    }
    element("path", { class: "trace", "data-lead": strip.label, d: this.polyline(thin(points)) }, svg);
    if (strip.tick) {
      const x = Math.round(strip.x_mm * k) + 0.5;
      element("path", { class: "tick", d: `M${x} ${zero - 3 * k}V${zero + 3 * k}` }, svg);
    }
  }

  drawLabel(svg, strip, k) {
    const x = (strip.x_mm + 1.5) * k;
    const y = (strip.baseline_mm - this.data.plan.label_rise_mm) * k + 4;
    element("text", { class: "lead", x, y }, svg).textContent = strip.label;
  }

  /** A line and its name at the height `y`; neighbours stand at two heights, for a short PR leaves no room beside. */
  drawMark(svg, mark, k, height, y) {
    const x = Math.round(mark.x_mm * k) + 0.5;
    element("path", { class: "mark", d: `M${x} 0V${height}` }, svg);
    const side = mark.before ? { x: x - 3, "text-anchor": "end" } : { x: x + 3 };
    element("text", { class: "mark-label", y, ...side }, svg).textContent = mark.label;
  }

  polyline(points) {
    let path = "";
    let pen = "M";
    for (const point of points) {
      if (point) path += `${pen}${point[0].toFixed(2)} ${point[1].toFixed(2)}`;
      pen = point ? "L" : "M";
    }
    return path;
  }

  // ------------------------------------------------------------------ calipers

  key(event) {
    const target = event.composedPath()[0];
    const typing = target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName ?? "");
    if (this.data.calipers === null) return;
    if (event.ctrlKey || event.metaKey || event.altKey || (typing && target.type !== "checkbox")) return;
    if (event.key === "k" || event.key === "K") this.toggle(!this.calipers);
    else if (!this.calipers) return;
    else if (event.key === "Escape") this.toggle(false);
    else if (!this.span || target.closest?.(OWN_ARROWS)) return;
    else if (event.key === "m" || event.key === "M") {
      this.marches = !this.marches;
      this.measure();
    } else if (event.key in ARROWS) {
      event.preventDefault();
      const [x, y] = ARROWS[event.key].map((mm) => mm * this.k);
      for (const corner of event.shiftKey ? this.span : [this.span[1]]) {
        corner[0] += x;
        corner[1] += y;
      }
      this.measure();
    }
  }

  toggle(on) {
    this.useCalipers(on);
    this.report(on);
  }

  useCalipers(on) {
    this.calipers = on;
    this.frame.classList.toggle("calipers", on);
    this.clear();
  }

  clear() {
    this.span = this.pull = null;
    this.marches = false;
    this.measured?.replaceChildren();
    this.reading.hidden = !this.calipers;
    this.reading.textContent = this.calipers ? "Drag to measure · Esc leaves" : "";
  }

  listen(svg) {
    svg.addEventListener("pointerdown", (event) => {
      if (!this.calipers || event.button !== 0) return;
      this.pull = this.grip(this.place(event));
      svg.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    svg.addEventListener("pointermove", (event) => {
      if (!this.pull) return;
      this.pull(this.place(event));
      this.measure();
    });
    svg.addEventListener("pointerup", (event) => {
      if (!this.pull) return;
      this.pull(this.place(event));
      this.pull = null;
      const { left, right, top, bottom } = this.sides();
      if (right - left < 1 && bottom - top < 1) this.clear(); // a click beside the span puts it away
      else this.measure();
    });
    svg.addEventListener("pointercancel", () => this.clear());
  }

  // What a pointer takes hold of: an edge of the span, the whole of it, or the second corner of a new one.
  grip([x, y]) {
    const { left, right, top, bottom } = this.sides();
    const held = (this.span ?? []).filter(([at]) => Math.abs(at - x) <= NEAR_PX)[0];
    if (held && y >= top - NEAR_PX && y <= bottom + NEAR_PX) return ([to]) => (held[0] = to);
    if (x > left && x < right && y > top && y < bottom) {
      const was = this.span.map((corner) => [...corner]);
      return ([toX, toY]) => (this.span = was.map(([atX, atY]) => [atX + toX - x, atY + toY - y]));
    }
    this.span = [[x, y], [x, y]];
    return (to) => (this.span[1] = to);
  }

  sides() {
    const [[x0, y0], [x1, y1]] = this.span ?? [[NaN, NaN], [NaN, NaN]];
    return { left: Math.min(x0, x1), right: Math.max(x0, x1), top: Math.min(y0, y1), bottom: Math.max(y0, y1) };
  }

  place(event) {
    const box = this.svg.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  measure() {
    const { plan } = this.data;
    const { left, right, top, bottom } = this.sides();
    const { width, height } = this.svg.viewBox.baseVal;
    this.measured.replaceChildren();
    element("rect", { class: "span", x: left, y: top, width: right - left, height: bottom - top }, this.measured);
    element("path", { class: "edge", d: `M${left} 0V${height}M${right} 0V${height}` }, this.measured);
    const sides = `M${left} ${top}H${right}M${left} ${bottom}H${right}`;
    element("path", { class: "edge", "stroke-dasharray": "4 3", d: sides }, this.measured);
    if (this.marches && right - left >= NEAR_PX) {
      const step = right - left;
      let d = "";
      for (let x = left - step * Math.floor(left / step); x <= width; x += step) d += `M${x.toFixed(2)} 0V${height}`;
      element("path", { class: "edge march", d }, this.measured);
    }
    const ms = ((right - left) / this.k / plan.speed_mm_s) * 1000;
    const volts = (this.span[0][1] - this.span[1][1]) / this.k / plan.gain_mm_mv;
    const rate = ms >= 150 ? ` · ${Math.round(60000 / ms)} bpm` : "";
    const sign = volts < -0.005 ? "−" : "";
    this.reading.textContent = `${Math.round(ms)} ms${rate} · ${sign}${Math.abs(volts).toFixed(2)} ${this.data.unit}`;
  }
}

// Keeps the lowest and highest point of every half pixel, in their order: nothing visible is lost.
function thin(points) {
  const kept = [];
  let bin = null;
  let group = [];
  const flush = () => {
    if (!group.length) return;
    const [low, high] = [group.reduce((a, b) => (b[1] < a[1] ? b : a)), group.reduce((a, b) => (b[1] > a[1] ? b : a))];
    kept.push(...[...new Set([group[0], low, high, group.at(-1)])].sort((a, b) => a[0] - b[0]));
    group = [];
  };
  for (const point of points) {
    const next = point ? Math.floor(point[0] * 2) : null;
    if (next !== bin) flush();
    bin = next;
    if (point) group.push(point);
    else kept.push(null);
  }
  flush();
  return kept;
}
