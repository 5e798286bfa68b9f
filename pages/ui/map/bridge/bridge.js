// Streamlit answers clicks on a plotly chart only while its hand tool is chosen. This listens to plotly itself, so
// that a click opens a point with the lasso in hand, too, and tells what part of the map is seen after a zoom and that a
// lasso is cleared. A chart drawn anew is found again.

const LOOK_EVERY_MS = 300;
const REST_MS = 200; // a zoom by the wheel is told once it rests
const bridges = new WeakMap();

function seen(plot) {
  const { scene, xaxis, yaxis } = plot._fullLayout;
  if (!scene) return xaxis.autorange ? [] : [...xaxis.range, ...yaxis.range];
  const { eye, center, up } = scene.camera;
  return [eye, center, up].flatMap(({ x, y, z }) => [x, y, z]);
}

// A zoom is no page to come back to: Streamlit's own way to write into the address would make each one such.
function tellAddress({ parameter, view }) {
  const address = new URL(location.href);
  if ((address.searchParams.get(parameter) ?? "") === view) return;
  address.searchParams.delete(parameter);
  if (view) address.searchParams.set(parameter, view);
  history.replaceState(history.state, "", address);
}

function attach(host) {
  const bridge = { heard: null };
  const clear = () => bridge.holds && bridge.send("cleared", true);
  const look = () => {
    const plot = document.querySelector(`${bridge.chart} .js-plotly-plot`);
    if (!plot?.on || plot === bridge.heard) return;
    bridge.heard = plot;
    drawLinks(bridge);
    listenForCard(bridge, plot);
    plot.on("plotly_click", ({ points }) => {
      const named = points.find((point) => point.customdata);
      if (named) bridge.send("point", Array.from(named.customdata));
    });
    plot.on("plotly_deselect", clear);
    plot.on("plotly_doubleclick", clear);
    plot.on("plotly_relayout", (change) => {
      if (!Object.keys(change).some((key) => /^([xy]axis|scene\.camera)/.test(key))) return;
      clearTimeout(bridge.resting);
      bridge.resting = setTimeout(() => plot.isConnected && bridge.send("view", seen(plot)), REST_MS);
    });
  };
  bridge.timer = setInterval(look, LOOK_EVERY_MS);
  bridges.set(host, bridge);
  return bridge;
}

export default function mount({ data, parentElement, setTriggerValue }) {
  const bridge = bridges.get(parentElement) ?? attach(parentElement);
  Object.assign(bridge, { chart: data.chart, holds: data.holds, links: data.links, pictures: data.pictures, send: setTriggerValue });
  tellAddress(data);
  drawLinks(bridge);
  return () =>
    setTimeout(() => {
      if (parentElement.isConnected) return;
      clearInterval(bridge.timer);
      bridge.links = null;
      drawLinks(bridge);
      hideCard(bridge);
      bridges.delete(parentElement);
    }, 0);
}
