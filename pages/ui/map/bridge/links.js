// Lines over the map from a study to its ECGs, with rings at their ends, in an SVG of their own: the chart stays as it is,
// with its zoom and its lasso, and a picture of many points can have them, too. While there are some, each frame of
// the screen looks whether they still lie where their points do.

const SVG = "http://www.w3.org/2000/svg";
const RING_PX = 9;

// Where a place of the map lies in the chart, in pixels; null behind the camera.
function pixelsOf(plot, place) {
  const { scene, xaxis, yaxis } = plot._fullLayout;
  if (!scene) {
    const [x, y] = [[xaxis, place[0]], [yaxis, place[1]]].map(
      ([axis, at]) => (axis._length * (at - axis.range[0])) / (axis.range[1] - axis.range[0]),
    );
    return [xaxis._offset + x, yaxis._offset + yaxis._length - y];
  }
  const { glplot, dataScale, container } = scene._scene;
  const { model, view, projection } = glplot.cameraParams;
  const turned = (vector, matrix) =>
    [0, 1, 2, 3].map((i) => vector.reduce((sum, value, j) => sum + matrix[4 * j + i] * value, 0));
  const [x, y, , w] = [model, view, projection].reduce(turned, [...place.map((v, i) => v * dataScale[i]), 1]);
  if (w <= 0) return null;
  const { offsetLeft, offsetTop, clientWidth, clientHeight } = container;
  return [offsetLeft + (0.5 + (0.5 * x) / w) * clientWidth, offsetTop + (0.5 - (0.5 * y) / w) * clientHeight];
}

function shape(name, attributes, parent) {
  const made = parent.appendChild(document.createElementNS(SVG, name));
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// The lines of `links` (places: the first is linked with each of the others; opened: which of them is open).
function drawLinks(bridge) {
  cancelAnimationFrame(bridge.frame);
  const plot = bridge.heard, links = bridge.links;
  const stage = plot?.isConnected && plot.querySelector(".svg-container");
  if (bridge.drawn && (!stage || !links || bridge.drawn.parentElement !== stage)) {
    bridge.drawn.remove();
    bridge.drawn = null;
  }
  if (!stage || !links || !plot._fullLayout) return;
  bridge.drawn ??= shape("svg", { class: "e2e-links", "aria-hidden": "true" }, stage);
  const at = links.places.map((place) => pixelsOf(plot, place));
  const { l, t, w, h } = plot._fullLayout._size;
  const now = JSON.stringify([at, l, t, w, h, links.opened]);
  if (bridge.drawn.dataset.at !== now) {
    bridge.drawn.dataset.at = now;
    bridge.drawn.replaceChildren();
    const inside = shape("svg", { x: l, y: t, width: w, height: h, viewBox: `${l} ${t} ${w} ${h}` }, bridge.drawn);
    for (const kind of ["halo", "line"]) {
      at.slice(1).forEach((end) => {
        if (!at[0] || !end) return;
        const far = Math.hypot(end[0] - at[0][0], end[1] - at[0][1]);
        if (far <= 2 * RING_PX) return;
        const [dx, dy] = [0, 1].map((i) => ((end[i] - at[0][i]) / far) * RING_PX);
        shape("line", { class: kind, x1: at[0][0] + dx, y1: at[0][1] + dy, x2: end[0] - dx, y2: end[1] - dy }, inside);
      });
      at.forEach((place, i) => {
        if (!place) return;
        const ring = { class: `${kind}${i === links.opened ? " opened" : ""}`, cx: place[0], cy: place[1], r: RING_PX };
        shape("circle", ring, inside);
      });
    }
  }
  bridge.frame = requestAnimationFrame(() => drawLinks(bridge));
}
