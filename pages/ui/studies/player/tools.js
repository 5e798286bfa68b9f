// What a reader does to a picture: zoom and pan, window and level, distances in millimetres. One state a panel;
// pictures are never changed, only how they are drawn.

const AS_RECORDED = { zoom: 1, x: 0, y: 0, level: 0.5, width: 1 };
const between = (low, value, high) => Math.min(high, Math.max(low, value));

/** CSS filter that maps grey v (0..1) to (v - level) / width + 0.5; exact for width <= 1, whatever is cut in between. */
function windowFilter(level, width) {
  if (level === 0.5 && width === 1) return "none";
  if (level >= 0.5) return `brightness(${1 / (2 * level)}) contrast(${(2 * level) / width})`;
  const brighter = 1 + (1 - 2 * level) / width;
  return `contrast(${1 / (width * brighter)}) brightness(${brighter})`;
}

/** Draw a panel's pictures as its state says. */
function applyImage(panel) {
  const { zoom, x, y, level, width } = panel.image;
  for (const { sheet, canvas } of panel.halves) {
    sheet.style.transform = zoom === 1 ? "" : `translate(${x}px, ${y}px) scale(${zoom})`;
    canvas.style.filter = windowFilter(level, width);
  }
  panel.figure.dataset.zoom = zoom.toFixed(2);
}

/** Zoom about a point of the screen (null: the middle), which stays where it is. */
function zoomTo(panel, zoom, at = null, half = panel.halves[0]) {
  const box = half.root.getBoundingClientRect();
  const [px, py] = at ? [at.clientX - box.x - box.width / 2, at.clientY - box.y - box.height / 2] : [0, 0];
  const next = between(1, zoom, 6);
  const grown = next / panel.image.zoom;
  panel.image.x = next === 1 ? 0 : px - (px - panel.image.x) * grown;
  panel.image.y = next === 1 ? 0 : py - (py - panel.image.y) * grown;
  panel.image.zoom = next;
  applyImage(panel);
}

/** Where an event points, in parts (0..1) of a half's picture; null outside it. */
function placeIn(half, event) {
  const box = half.canvas.getBoundingClientRect();
  const scale = Math.min(box.width / half.canvas.width, box.height / half.canvas.height);
  const [w, h] = [half.canvas.width * scale, half.canvas.height * scale];
  const place = [(event.clientX - box.x - (box.width - w) / 2) / w, (event.clientY - box.y - (box.height - h) / 2) / h];
  return place.every((part) => part >= 0 && part <= 1) ? place : null;
}

/** Millimetres between two places of a clip's picture. */
function distanceMm(clip, size, from, to) {
  return Math.hypot((to[0] - from[0]) * size[0], (to[1] - from[1]) * size[1]) * clip.spacing_mm;
}

/** Draw the distances that were measured on the frames a panel shows, and the cross that keys move. */
function drawLines(panel) {
  for (const half of panel.halves) {
    const { width: w, height: h } = half.canvas;
    half.lines.setAttribute("viewBox", `0 0 ${w} ${h}`);
    const here = panel.lines.filter((line) => line.frame === half.frame);
    half.lines.replaceChildren(...here.flatMap(({ from, to, mm }) => {
      const ends = { x1: from[0] * w, y1: from[1] * h, x2: to[0] * w, y2: to[1] * h };
      const label = { x: Math.max(from[0], to[0]) * w + w / 50, y: ((from[1] + to[1]) / 2) * h, "font-size": w / 16 };
      return [svgElement("line", ends), svgElement("text", label, `${mm.toFixed(0)}\u202fmm`)];
    }));
    if (panel.cross && half === panel.halves[0]) {
      const [x, y, arm] = [panel.cross[0] * w, panel.cross[1] * h, w / 24];
      const arms = [{ x1: x - arm, y1: y, x2: x + arm, y2: y }, { x1: x, y1: y - arm, x2: x, y2: y + arm }];
      half.lines.append(...arms.map((ends) => svgElement("line", { ...ends, class: "cross" })));
    }
  }
}

/** What a drag over a picture does, or null: measure, window with Shift, pan where zoomed. */
function dragOf(player, panel, half, down) {
  if (player.measuring) return measuringDrag(player, panel, half, down);
  const begun = { ...panel.image };
  const moved = (event) => [event.clientX - down.clientX, event.clientY - down.clientY];
  if (down.shiftKey) {
    return (event) => {
      const [dx, dy] = moved(event);
      Object.assign(panel.image, { width: between(0.1, begun.width - dx / 400, 1), level: between(0.05, begun.level + dy / 400, 0.95) });
      applyImage(panel);
    };
  }
  if (begun.zoom === 1) return null;
  return (event) => {
    const [dx, dy] = moved(event);
    Object.assign(panel.image, { x: begun.x + dx, y: begun.y + dy });
    applyImage(panel);
  };
}

function measuringDrag(player, panel, half, down) {
  const line = beginLine(player, panel, half, placeIn(half, down));
  return line && ((event) => endLine(player, panel, line, placeIn(half, event) ?? line.to));
}

/** A distance that begins at a place of a half, or null, with words where the clip tells no pixel size. */
function beginLine(player, panel, half, from) {
  if (!panel.clip.spacing_mm || !panel.size) {
    player.measured.textContent = `${panel.clip.name} tells no pixel size: no distance.`;
    return null;
  }
  if (!from) return null;
  player.pause();
  const line = { frame: half.frame, from, to: from, mm: 0 };
  panel.lines.push(line);
  return line;
}

function endLine(player, panel, line, to) {
  line.to = to;
  line.mm = distanceMm(panel.clip, panel.size, line.from, line.to);
  player.measured.textContent = `${panel.clip.name}, frame ${line.frame + 1}: ${line.mm.toFixed(0)}\u202fmm`;
  drawLines(panel);
}

/** Take out a cross that keys move, in the middle of the enlarged picture, else of the first. */
function takeOutCross(player) {
  const panel = player.panels.find(({ row, size }) => size && row === (player.large || 1));
  if (!panel) return;
  panel.cross = [0.5, 0.5];
  player.crossed = panel;
  player.measured.textContent = "Arrows move the cross (Shift: far); Enter begins and ends a distance, Escape puts the cross away";
  drawLines(panel);
}

/** Move the cross by pixels of the picture; an open distance follows it. */
function moveCross(player, dx, dy) {
  const panel = player.crossed;
  const [w, h] = panel.size;
  panel.cross = [between(0, panel.cross[0] + dx / w, 1), between(0, panel.cross[1] + dy / h, 1)];
  if (player.openLine) endLine(player, panel, player.openLine, panel.cross);
  else drawLines(panel);
}

/** Take the cross out, begin a distance at it, or end the open one there. */
function setEnd(player) {
  const panel = player.crossed;
  if (!panel) return takeOutCross(player);
  player.openLine = player.openLine ? null : beginLine(player, panel, panel.halves[0], panel.cross);
  drawLines(panel);
}

function dropCross(player) {
  const panel = player.crossed;
  Object.assign(player, { crossed: null, openLine: null });
  if (panel) {
    panel.cross = null;
    drawLines(panel);
  }
}

function onPointerDown(player, down) {
  const panel = player.panelOf(down.target.closest(".panel"));
  const half = panel?.halves.find(({ root }) => root.contains(down.target));
  const drag = half && down.button === 0 ? dragOf(player, panel, half, down) : null;
  if (!drag) return;
  down.preventDefault();
  player.root.focus({ preventScroll: true });
  const stop = new AbortController();
  window.addEventListener("pointermove", drag, { signal: stop.signal });
  for (const end of ["pointerup", "pointercancel"]) window.addEventListener(end, () => stop.abort(), { signal: stop.signal });
}

/** The wheel zooms once the player has the focus or the picture is zoomed; before that it scrolls the page. */
function onWheel(player, event) {
  const panel = player.panelOf(event.target.closest(".panel"));
  const active = event.ctrlKey || player.root.matches(":focus-within") || panel?.image.zoom > 1;
  const half = panel?.halves.find(({ root }) => root.contains(event.target));
  if (!half || !active) return;
  event.preventDefault();
  zoomTo(panel, panel.image.zoom * Math.exp(-event.deltaY / 400), event, half);
}
