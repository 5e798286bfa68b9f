// Mouse and keys to the player's verbs, and its life inside a Streamlit page. Streamlit calls the default export at
// every rerun: the same study changes nothing, another frees the old frames. C and R stay Streamlit's own keys.

const players = new WeakMap();
const TYPING = "input:not([type=range], [type=radio], [type=checkbox]), textarea, select, [contenteditable=true], [role=dialog] *";
const OWN_ARROWS = "input, select, canvas, [role=radio], [role=tab], [role=option], [role=combobox], [role=slider], [role=grid] *, [role=listbox] *, [data-testid=stDataFrame] *";
const PRESSABLE = "button, summary, input:not([type=range]), [role=radio], [role=tab], [role=option], [role=combobox]";

function onClick(player, event) {
  const pressed = event.target.closest("[data-do]");
  const figure = event.target.closest(".panel");
  const { value } = pressed?.dataset ?? {};
  const verbs = {
    play: () => player.toggle(),
    back: () => player.step(-1),
    next: () => player.step(1),
    loop: () => player.setLooping(!player.looping),
    speed: () => player.set("speed", Number(value)),
    mode: () => player.set("mode", value),
  };
  if (pressed) verbs[pressed.dataset.do]();
  if (pressed && event.detail > 0) player.root.focus({ preventScroll: true }); // a mouse click leaves the keys to the player
  if (figure && event.detail === 2) player.enlarge(player.panels.indexOf(player.panelOf(figure)) + 1);
}

/** The verb of a key, or null where the key belongs to what has the focus. */
function verbOf(player, event) {
  const target = event.composedPath()[0];
  const own = player.root.contains(target);
  const matches = (selector) => target instanceof Element && target.matches(selector);
  if (event.ctrlKey || event.metaKey || event.altKey || matches(TYPING)) return null;
  if (event.key === " ") return matches(PRESSABLE) ? null : () => player.toggle();
  if (/^[0-9]$/.test(event.key)) return () => player.enlarge(Number(event.key));
  if (event.key.toLowerCase() === "l") return () => player.setLooping(!player.looping);
  if (event.key.toLowerCase() === "s") return () => player.nextSpeed();
  const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!by || (!own && matches(OWN_ARROWS))) return null; // arrows of a table or a radio group stay theirs
  if (event.key === "ArrowUp" || event.key === "ArrowDown") return () => player.askForHit(by);
  return event.shiftKey ? () => player.jump(by) : () => player.step(by);
}

function attach(host) {
  const player = new Player(host);
  const onKey = (event) => {
    const verb = verbOf(player, event);
    if (!verb) return;
    event.preventDefault();
    event.stopPropagation();
    verb();
  };
  player.root.addEventListener("click", (event) => onClick(player, event));
  player.scrub.addEventListener("input", () => player.seek(Number(player.scrub.value)));
  player.scrub.addEventListener("pointerdown", () => player.pause());
  document.addEventListener("keydown", onKey, true);
  player.detach = () => {
    document.removeEventListener("keydown", onKey, true);
    player.free();
    player.root.remove();
    players.delete(host);
  };
  players.set(host, player);
  return player;
}

export default function mount({ data, parentElement, setTriggerValue }) {
  const player = players.get(parentElement) ?? attach(parentElement);
  player.askForHit = (by) => setTriggerValue("hit", by);
  player.open(data);
  // Streamlit also calls the cleanup of a run that was overtaken by the next one: only a page that left ends the player
  return () => setTimeout(() => parentElement.isConnected || player.detach(), 0);
}
