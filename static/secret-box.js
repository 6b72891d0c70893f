// A secret that is shown once: read, copied, and put away by who has kept it.

import { announce } from "./announce.js";
import { h, icon, whileBusy } from "./dom.js";

/** `words`: what it is and where it belongs; `of`: whose it is, for who cannot see where it stands. */
export function secretBox(secret, { words, of, onDone }) {
  const field = h("input", { type: "text", class: "secret", readonly: true, value: secret, "aria-label": `Secret of ${of}`, onfocus: () => field.select() });
  const copied = h("span", {}, "Copy");
  const copy = h("button", { class: "button", type: "button", "aria-label": `Copy the secret of ${of}`, onclick: () => whileBusy(copy, work) }, icon("copy"), copied);
  const done = h("button", { class: "button quiet", type: "button", "aria-label": `I have kept the secret of ${of}`, onclick: onDone }, "I have kept it");
  async function work() {
    field.select();
    try {
      await navigator.clipboard.writeText(secret);
    } catch {
      document.execCommand("copy"); // on http:// in the local network there is no clipboard to write to
    }
    copied.textContent = "Copied";
    announce("The secret is copied.");
  }
  return h("div", { class: "secret-box" }, h("p", {}, words), field, h("div", { class: "line-actions" }, copy, done));
}
