// A card with a small picture of the point under the pointer, below plotly's words (above them where there is no room),
// once the pointer has rested. Where no pointer can rest, on a touch screen, there is none; nor where no picture comes.

const REST_BEFORE_CARD_MS = 150;
const GAP_PX = 4;

function hideCard(bridge) {
  clearTimeout(bridge.pointing);
  bridge.asking?.abort();
  bridge.asking = null;
  bridge.card?.remove();
  if (bridge.card) URL.revokeObjectURL(bridge.card.querySelector("img").src);
  bridge.card = null;
}

// The picture of a point as the server draws it, an <img> in a card with the words that it has; null where there is none.
async function pictureOf([id, kind], pictures, signal) {
  const dark = getComputedStyle(document.querySelector(".stApp")).colorScheme === "dark" ? "1" : "0";
  const answer = await fetch(`${pictures}&${new URLSearchParams({ kind, id, dark })}`, { signal });
  if (!answer.ok) return null;
  const card = document.createElement("figure");
  card.className = `e2e-card ${kind === "ECG" ? "paper" : "frame"}`;
  card.setAttribute("aria-hidden", "true"); // the same stands on the point's own page
  const image = card.appendChild(document.createElement("img"));
  image.src = URL.createObjectURL(await answer.blob());
  const words = card.appendChild(document.createElement("figcaption"));
  words.textContent = decodeURIComponent(answer.headers.get("X-Words") ?? "");
  await image.decode();
  return card;
}

// Below the words of the chart (a box on the screen) or above them, on their side of the point, inside the window.
function layCard(card, words, pointX) {
  const { width, height } = card.getBoundingClientRect();
  const isLeft = (words.left + words.right) / 2 < pointX;
  const left = isLeft ? words.right - width : words.left;
  const fits = words.bottom + GAP_PX + height <= innerHeight;
  const top = fits || words.top < height + GAP_PX ? words.bottom + GAP_PX : words.top - GAP_PX - height;
  card.style.left = `${Math.max(GAP_PX, Math.min(left, innerWidth - width - GAP_PX))}px`;
  card.style.top = `${Math.max(GAP_PX, top)}px`;
  return fits || words.top >= height + GAP_PX;
}

async function showCard(bridge, plot, point) {
  const asking = (bridge.asking = new AbortController());
  try {
    const card = await pictureOf(Array.from(point.customdata), bridge.pictures, asking.signal);
    const said = plot.querySelector(".hovertext");
    if (!card || asking.signal.aborted || !said) return;
    bridge.card = card;
    document.querySelector(".stApp").append(card);
    const place = [point.x, point.y, ...("z" in point ? [point.z] : [])];
    const pointX = plot.getBoundingClientRect().left + (pixelsOf(plot, place)?.[0] ?? 0);
    if (!layCard(card, said.getBoundingClientRect(), pointX)) hideCard(bridge);
  } catch {
    if (bridge.asking === asking) hideCard(bridge); // the pointer left, or the picture did not come
  }
}

function listenForCard(bridge, plot) {
  hideCard(bridge);
  if (!matchMedia("(hover: hover)").matches) return;
  plot.on("plotly_hover", ({ points }) => {
    const named = points.find((point) => point.customdata);
    hideCard(bridge);
    if (named && bridge.pictures) {
      bridge.pointing = setTimeout(() => showCard(bridge, plot, named), REST_BEFORE_CARD_MS);
    }
  });
  for (const left of ["plotly_unhover", "plotly_relayouting", "plotly_relayout"]) plot.on(left, () => hideCard(bridge));
  plot.addEventListener("pointerdown", () => hideCard(bridge));
}
