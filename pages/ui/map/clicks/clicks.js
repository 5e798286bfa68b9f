// Streamlit answers clicks on a plotly chart only while its hand tool is chosen. This listens to plotly itself, so
// that a click opens a point with the lasso in hand, too, and tells what part of the map is seen after a zoom. It shows
// nothing; a chart drawn anew is found again.

const LOOK_EVERY_MS = 300;
const REST_MS = 200; // a zoom by the wheel is told once it rests
const bridges = new WeakMap();

function attach(host) {
  const bridge = { heard: null };
  const look = () => {
    const plot = document.querySelector(`${bridge.chart} .js-plotly-plot`);
    if (!plot?.on || plot === bridge.heard) return;
    bridge.heard = plot;
    plot.on("plotly_click", ({ points }) => {
      const named = points.find((point) => point.customdata);
      if (named) bridge.send("point", Array.from(named.customdata));
    });
    plot.on("plotly_relayout", (change) => {
      if (!bridge.tellsView || !Object.keys(change).some((key) => /^[xy]axis/.test(key))) return;
      clearTimeout(bridge.resting);
      bridge.resting = setTimeout(() => {
        const { xaxis, yaxis } = plot._fullLayout;
        bridge.send("view", [...xaxis.range, ...yaxis.range]);
      }, REST_MS);
    });
  };
  bridge.timer = setInterval(look, LOOK_EVERY_MS);
  bridges.set(host, bridge);
  return bridge;
}

export default function mount({ data, parentElement, setTriggerValue }) {
  const bridge = bridges.get(parentElement) ?? attach(parentElement);
  Object.assign(bridge, { chart: data.chart, tellsView: data.tells_view, send: setTriggerValue });
  return () =>
    setTimeout(() => {
      if (parentElement.isConnected) return;
      clearInterval(bridge.timer);
      bridges.delete(parentElement);
    }, 0);
}
