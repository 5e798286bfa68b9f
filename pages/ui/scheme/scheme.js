// Streamlit tells a script of light or dark at a rerun only. This asks for one where the page has changed since the
// script drew. It waits while the script runs, which a rerun would end, and while a dialog is open that it would close.

const RETRY_MS = 400;
const followers = new WeakMap();

function follow(host) {
  const app = document.querySelector(".stApp");
  const isBusy = () => {
    const dialog = document.querySelector("[data-testid=stDialog]");
    return app.dataset.testScriptState === "running" || (dialog && !dialog.contains(host.getRootNode().host ?? host));
  };
  const look = () => {
    clearTimeout(follower.waiting);
    const scheme = getComputedStyle(app).colorScheme;
    if (!host.isConnected || scheme === follower.drawn) return;
    if (isBusy()) follower.waiting = setTimeout(look, RETRY_MS);
    else follower.send("scheme", scheme);
  };
  const observer = new MutationObserver(look);
  observer.observe(app, { attributeFilter: ["class"] });
  const follower = { observer };
  followers.set(host, follower);
  return follower;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const follower = followers.get(parentElement) ?? follow(parentElement);
  Object.assign(follower, { drawn: data.drawn, send: setTriggerValue });
  return () =>
    setTimeout(() => {
      if (parentElement.isConnected) return;
      follower.observer.disconnect();
      followers.delete(parentElement);
    }, 0);
}
