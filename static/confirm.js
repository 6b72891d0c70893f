// Asking before something is gone for good.

import { named } from "./dom.js";

const dialog = document.getElementById("confirm");
const title = document.getElementById("confirm-title");
const text = document.getElementById("confirm-text");

/** Whether the person agrees. Escape and "Keep it" mean no; the safe answer has the focus. */
export function confirmDelete({ name, text: consequence }) {
  title.replaceChildren("Delete ", named(name), "?");
  text.textContent = consequence;
  dialog.returnValue = "keep";
  dialog.showModal();
  document.getElementById("confirm-keep").focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "delete"), { once: true });
  });
}
