// Asking before something is gone for good.

import { named } from "./dom.js";

const dialog = document.getElementById("confirm");
const title = document.getElementById("confirm-title");
const text = document.getElementById("confirm-text");

const keepButton = document.getElementById("confirm-keep");
const goButton = document.getElementById("confirm-delete");

/** Whether the person agrees. Escape and "Keep it" mean no; the safe answer has the focus. */
export function confirmDelete({ name, text: consequence }) {
  return confirm({ title: ["Delete ", named(name), "?"], text: consequence, go: "Delete" });
}

/** The same for what is no deletion: `go` says what is done, `keep` that nothing is. `title` is text and nodes. */
export function confirm({ title: parts, text: consequence, go, keep = "Keep it" }) {
  title.replaceChildren(...parts);
  text.textContent = consequence;
  keepButton.textContent = keep;
  goButton.textContent = go;
  dialog.returnValue = "keep";
  dialog.showModal();
  keepButton.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "delete"), { once: true });
  });
}
