// Mouse and keys to the player's verbs, and its life inside a Streamlit page. Streamlit calls the default export at
// every rerun: the same study changes nothing, another frees the old frames. C and R stay Streamlit's own keys.

const players = new WeakMap();
const TYPING = "input:not([type=range], [type=radio], [type=checkbox]), textarea, [contenteditable=true], [role=dialog] *";
// arrows belong to these whenever they have the focus, to the others only when the Tab key brought it there
const KEEPS_ARROWS = "select, input[type=range], [role=slider], [role=option], [role=combobox], [role=listbox] *";
const OWN_ARROWS = "input, canvas, [role=radio], [role=tab], [role=grid] *, [data-testid=stDataFrame] *";
const FAR_PX = 10; // of the picture, a step of the measuring cross with Shift
const PRESSABLE = "button, a, summary, input:not([type=range]), [role=radio], [role=tab], [role=option], [role=combobox]";

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
    stills: () => player.setStills(!player.stills),
    measure: () => player.setMeasuring(!player.measuring),
    reset: () => player.resetImage(),
    "hit-up": () => player.askForHit(-1),
    "hit-down": () => player.askForHit(1),
  };
  if (pressed) verbs[pressed.dataset.do]();
  if (pressed && event.detail > 0) player.root.focus({ preventScroll: true }); // a mouse click leaves the keys to the player
  if (figure && event.detail === 2 && !player.measuring) player.enlarge(player.panelOf(figure)?.row ?? 0);
  player.root.querySelectorAll("details[open]").forEach((open) => open.contains(event.target) || (open.open = false));
}

/** The verb of a key, or null where the key belongs to what has the focus; `byMouse`: a click brought the focus there. */
function verbOf(player, event, byMouse) {
  const target = event.composedPath()[0];
  const own = player.root.contains(target);
  const matches = (selector) => target instanceof Element && target.matches(selector);
  if (event.ctrlKey || event.metaKey || event.altKey || matches(TYPING)) return null;
  if (event.key === " ") return matches(PRESSABLE) && !byMouse ? null : () => player.toggle();
  if (/^[0-9]$/.test(event.key)) return () => player.enlarge(Number(event.key));
  const letters = {
    l: () => player.setLooping(!player.looping),
    s: () => player.nextSpeed(),
    e: () => player.setStills(!player.stills),
    m: () => player.setMeasuring(!player.measuring),
    z: () => player.resetImage(),
    escape: player.measuring ? () => (player.crossed ? dropCross(player) : player.setMeasuring(false)) : null,
    delete: player.measuring ? () => player.forgetLine() : null,
  };
  if (letters[event.key.toLowerCase()] !== undefined) return letters[event.key.toLowerCase()];
  const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 }[event.key];
  const pressesOther = matches(PRESSABLE) && !byMouse;
  if (player.measuring && event.key === "Enter" && !pressesOther) return () => setEnd(player);
  if (!by || (matches(KEEPS_ARROWS) && target !== player.scrub)) return null;
  if (!own && !byMouse && matches(OWN_ARROWS)) return null;
  if (player.crossed && target !== player.scrub) {
    const far = by * (event.shiftKey ? FAR_PX : 1);
    return /Left|Right/.test(event.key) ? () => moveCross(player, far, 0) : () => moveCross(player, 0, far);
  }
  if (event.key === "ArrowUp" || event.key === "ArrowDown") return () => player.askForHit(by);
  return event.shiftKey ? () => player.jump(by) : () => player.step(by);
}

function attach(host) {
  const player = new Player(host);
  let byMouse = true;
  const onKey = (event) => {
    if (event.key === "Tab") byMouse = false;
    const verb = verbOf(player, event, byMouse);
    if (!verb) return;
    event.preventDefault();
    event.stopPropagation();
    verb();
  };
  const onDown = () => (byMouse = true);
  player.root.addEventListener("click", (event) => onClick(player, event));
  player.grid.addEventListener("pointerdown", (event) => onPointerDown(player, event));
  player.grid.addEventListener("wheel", (event) => onWheel(player, event), { passive: false });
  player.scrub.addEventListener("input", () => player.seek(Number(player.scrub.value)));
  player.scrub.addEventListener("pointerdown", () => {
    player.pause();
    player.setStills(false);
  });
  player.root.querySelectorAll("[data-image]").forEach((bar) => {
    bar.addEventListener("input", () => player.setImage(bar.dataset.image, Number(bar.value)));
  });
  document.addEventListener("keydown", onKey, true);
  document.addEventListener("pointerdown", onDown, true);
  player.detach = () => {
    document.removeEventListener("keydown", onKey, true);
    document.removeEventListener("pointerdown", onDown, true);
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
  parentElement.host?.setAttribute("data-drawn", ""); // what stands below waits for it (explore.css)
  return () => setTimeout(() => parentElement.isConnected || player.detach(), 0);
}
