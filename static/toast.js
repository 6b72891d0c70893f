// What was just done, with the way back, for a moment at the bottom of the page. It waits while it is looked at.

import { announce } from "./announce.js";
import { h, whileBusy } from "./dom.js";

const STAYS_MS = 10_000;

let shown = null;

/** `undo` takes it back; `label` says what, for who hears only the button. A later one takes the place of an earlier. */
export function toast(words, { undo, label }) {
  shown?.remove();
  announce(`${words} It can be undone.`);
  const button = h("button", { class: "button", type: "button", "aria-label": label }, "Undo");
  const element = h("div", { class: "toast", role: "group", "aria-label": "Just done" }, h("p", {}, words), button);
  let timer = 0;
  const go = () => {
    clearTimeout(timer);
    element.remove();
    if (shown === element) shown = null;
  };
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(() => (element.matches(":hover, :focus-within") ? wait() : go()), STAYS_MS);
  };
  button.addEventListener("click", () =>
    whileBusy(button, async () => {
      await undo();
      go();
    }),
  );
  shown = element;
  document.body.append(element);
  wait();
}
