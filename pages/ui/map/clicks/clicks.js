// Streamlit answers clicks on a plotly chart only while its hand tool is chosen. This listens to plotly itself, so
// that a click opens a point with the lasso in hand, too. It shows nothing; a chart drawn anew is found again.

const LOOK_EVERY_MS = 300;
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
  };
  bridge.timer = setInterval(look, LOOK_EVERY_MS);
  bridges.set(host, bridge);
  return bridge;
}

export default function mount({ data, parentElement, setTriggerValue }) {
  const bridge = bridges.get(parentElement) ?? attach(parentElement);
  Object.assign(bridge, { chart: data.chart, send: setTriggerValue });
  return () =>
    setTimeout(() => {
      if (parentElement.isConnected) return;
      clearInterval(bridge.timer);
      bridges.delete(parentElement);
    }, 0);
}
