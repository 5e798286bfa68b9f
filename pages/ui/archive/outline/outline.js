// Outlines on a picture: sectors (apex and two ends), rectangles (two corners) and polygons, moved by their handles
// with pointer or arrow keys. Everything outside is darkened as it will be blackened. Python gets polygons in pixels.

const SVG = "http://www.w3.org/2000/svg";
const ARC_STEPS = 24;
const HINT =
  "Drag the handles; arrow keys move the one in focus. Double-click an outline's side of a polygon adds a handle, Delete takes one away.";
const drawings = new WeakMap();

export default function ({ parentElement, data, setStateValue }) {
  let drawing = drawings.get(parentElement);
  if (!drawing) {
    drawing = new Drawing(parentElement);
    drawings.set(parentElement, drawing);
  }
  drawing.send = (outlines) => setStateValue("outlines", outlines);
  drawing.show(data);
  const call = ++drawing.calls;
  return () => {
    if (call !== drawing.calls) return; // Streamlit also ends calls that a newer one has overtaken
    drawing.frame.remove();
    drawings.delete(parentElement);
  };
}

function element(name, attributes = {}, parent = null) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (parent) parent.appendChild(node);
  return node;
}

const distance = ([ax, ay], [bx, by]) => Math.hypot(ax - bx, ay - by);

// The polygon of a shape { kind, points }.
function outlineOf({ kind, points }) {
  if (kind === "polygon") return points;
  if (kind === "rectangle") {
    const [[ax, ay], [bx, by]] = points;
    return [[ax, ay], [bx, ay], [bx, by], [ax, by]];
  }
  const [apex, left, right] = points;
  const angle = ([x, y]) => Math.atan2(x - apex[0], y - apex[1]); // from straight down, to the right
  const [from, to, radius] = [angle(left), angle(right), distance(apex, left)];
  const arc = Array.from({ length: ARC_STEPS + 1 }, (_, i) => from + ((to - from) * i) / ARC_STEPS);
  return [apex, ...arc.map((a) => [apex[0] + radius * Math.sin(a), apex[1] + radius * Math.cos(a)])];
}

class Drawing {
  constructor(root) {
    this.calls = 0;
    this.active = 0;
    this.frame = document.createElement("div");
    this.frame.className = "draw";
    const tools = document.createElement("div");
    tools.className = "tools";
    const actions = {
      Sector: () => this.replace("sector"),
      Rectangle: () => this.replace("rectangle"),
      Polygon: () => this.replace("polygon"),
      "Second sector": () => this.add(),
      "Take one away": () => this.takeAway(),
      "As found": () => this.begin(),
    };
    for (const [name, act] of Object.entries(actions)) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.addEventListener("click", () => {
        act();
        this.told();
      });
      tools.append(button);
    }
    this.svg = element("svg", { role: "group", "aria-label": "Picture with the outline of what stays" });
    const hint = document.createElement("div");
    hint.className = "hint";
    hint.textContent = HINT;
    this.frame.append(tools, this.svg, hint);
    root.append(this.frame);
  }

  show(data) {
    const anew = data.name !== this.data?.name;
    const other = anew || data.picture !== this.data?.picture;
    this.data = data;
    if (anew) this.begin();
    if (other) this.draw();
  }

  begin() {
    this.shapes = this.data.outlines.map((points) => ({ kind: "polygon", points: points.map((p) => [...p]) }));
    this.active = 0;
  }

  // Another kind of shape where the active one lies, of about its size.
  replace(kind) {
    const around = this.shapes[this.active] ? outlineOf(this.shapes[this.active]) : this.box();
    const [xs, ys] = [around.map((p) => p[0]), around.map((p) => p[1])];
    const [left, top, right, bottom] = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
    const middle = (left + right) / 2;
    const points = {
      rectangle: [[left, top], [right, bottom]],
      polygon: [[middle, top], [right, top + 0.7 * (bottom - top)], [middle, bottom], [left, top + 0.7 * (bottom - top)]],
      sector: sectorIn(middle, left, top, bottom),
    }[kind];
    this.shapes[this.active] = { kind, points };
  }

  box() {
    const { width: w, height: h } = this.data;
    return [[0.3 * w, 0.2 * h], [0.7 * w, 0.8 * h]];
  }

  add() {
    this.shapes.push({ kind: "rectangle", points: this.box() });
    this.active = this.shapes.length - 1;
    this.replace("sector");
  }

  takeAway() {
    if (this.shapes.length > 1) this.shapes.splice(this.active, 1);
    this.active = 0;
  }

  draw() {
    const { width, height, picture } = this.data;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.replaceChildren();
    const image = element("image", { width, height }, this.svg);
    image.setAttribute("href", picture);
    this.dark = element("path", { class: "dark" }, this.svg);
    this.edges = element("g", {}, this.svg);
    this.grips = element("g", {}, this.svg);
    this.trace();
    this.grip();
  }

  trace() {
    const { width, height } = this.data;
    const paths = this.shapes.map((shape) => `M${outlineOf(shape).map((p) => p.join(" ")).join("L")}Z`);
    this.dark.setAttribute("d", `M0 0H${width}V${height}H0Z${paths.join("")}`);
    this.edges.replaceChildren();
    paths.forEach((d, number) => {
      const edge = element("path", { class: "edge", d, "data-shape": number }, this.edges);
      edge.style.pointerEvents = "stroke";
      edge.addEventListener("dblclick", (event) => this.split(number, event));
    });
  }

  grip() {
    this.grips.replaceChildren();
    const r = 7 * Math.max(1, this.data.width / Math.max(1, this.svg.clientWidth || this.data.width));
    this.shapes.forEach((shape, number) =>
      shape.points.forEach(([cx, cy], corner) => {
        const handle = element("circle", { class: "grip", cx, cy, r, tabindex: 0, role: "button" }, this.grips);
        handle.setAttribute("aria-label", `Handle ${corner + 1} of outline ${number + 1}`);
        handle.addEventListener("pointerdown", (event) => this.drag(event, handle, number, corner));
        handle.addEventListener("focus", () => (this.active = number));
        handle.addEventListener("keydown", (event) => this.key(event, handle, number, corner));
      }),
    );
  }

  drag(event, handle, number, corner) {
    this.active = number;
    handle.setPointerCapture(event.pointerId);
    const move = (now) => this.move(number, corner, this.place(now));
    const end = () => {
      handle.removeEventListener("pointermove", move);
      this.told();
    };
    handle.addEventListener("pointermove", move);
    handle.addEventListener("pointerup", end, { once: true });
    handle.addEventListener("pointercancel", end, { once: true });
  }

  key(event, handle, number, corner) {
    const shape = this.shapes[number];
    const step = event.shiftKey ? 10 : 2;
    const by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
    if (by) {
      event.preventDefault();
      this.move(number, corner, [shape.points[corner][0] + by[0], shape.points[corner][1] + by[1]]);
      clearTimeout(this.later);
      this.later = setTimeout(() => this.told(), 400);
    } else if (event.key === "Delete" && shape.kind === "polygon" && shape.points.length > 3) {
      shape.points.splice(corner, 1);
      this.told();
    }
  }

  place(event) {
    const box = this.svg.getBoundingClientRect();
    const { width, height } = this.data;
    return [((event.clientX - box.left) * width) / box.width, ((event.clientY - box.top) * height) / box.height];
  }

  move(number, corner, [x, y]) {
    const { width, height } = this.data;
    const shape = this.shapes[number];
    const at = [Math.min(width, Math.max(0, x)), Math.min(height, Math.max(0, y))];
    if (shape.kind === "sector") moveSector(shape.points, corner, at);
    else shape.points[corner] = at;
    this.trace();
    const handles = [...this.grips.children].slice(this.shapes.slice(0, number).reduce((n, s) => n + s.points.length, 0));
    shape.points.forEach(([cx, cy], i) => {
      handles[i].setAttribute("cx", cx);
      handles[i].setAttribute("cy", cy);
    });
  }

  // A new handle where a side of a polygon was double-clicked; other shapes become polygons first.
  split(number, event) {
    const shape = this.shapes[number];
    if (shape.kind !== "polygon") this.shapes[number] = { kind: "polygon", points: outlineOf(shape) };
    const at = this.place(event);
    const { points } = this.shapes[number];
    const detour = points.map((p, i) => {
      const next = points[(i + 1) % points.length];
      return distance(p, at) + distance(at, next) - distance(p, next);
    });
    points.splice(detour.indexOf(Math.min(...detour)) + 1, 0, at);
    this.told();
  }

  told() {
    this.draw();
    this.send(this.shapes.map((s) => outlineOf(s).map(([x, y]) => [Math.round(10 * x) / 10, Math.round(10 * y) / 10])));
  }
}

function sectorIn(middle, left, top, bottom) {
  const depth = bottom - top;
  const half = Math.min(0.8, Math.asin(Math.min(0.95, (middle - left) / Math.max(1, depth))));
  const end = (side) => [middle + side * depth * Math.sin(half), top + depth * Math.cos(half)];
  return [[middle, top], end(-1), end(1)];
}

// The ends of a sector stay at one depth: the one that is dragged sets it. Its tip takes both ends along.
function moveSector(points, corner, at) {
  const [apex] = points;
  if (corner === 0) {
    const by = [at[0] - apex[0], at[1] - apex[1]];
    points.forEach((p, i) => (points[i] = [p[0] + by[0], p[1] + by[1]]));
    return;
  }
  points[corner] = at;
  const other = 3 - corner;
  const scale = distance(apex, at) / Math.max(1, distance(apex, points[other]));
  points[other] = [apex[0] + (points[other][0] - apex[0]) * scale, apex[1] + (points[other][1] - apex[1]) * scale];
}
