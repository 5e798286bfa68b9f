// The tab keeps the handle of what is open in its own storage, which a reload leaves and no link or other tab holds;
// after a reload it hands it back once.

const KEY = "echo2ecg.open";
let isAsked = false;

export default function ({ data, setTriggerValue }) {
  try {
    if (data.handle) sessionStorage.setItem(KEY, data.handle);
    else if (!isAsked && sessionStorage.getItem(KEY)) setTriggerValue("found", sessionStorage.getItem(KEY));
  } catch {
    // a browser that keeps nothing: a reload loses what is open
  }
  isAsked = true;
}
