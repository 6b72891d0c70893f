// A problem, as it was told: title, detail, and what to do about it.

import { h, icon } from "./dom.js";

/** A box for a Problem, or for a job's error ({code, message, hint}). */
export function problemBox({ title, detail, hint }) {
  return h(
    "div",
    { class: "problem" },
    icon("alert"),
    h(
      "div",
      { class: "problem-words" },
      h("p", { class: "problem-title" }, title),
      detail && detail !== title && h("p", { class: "problem-detail" }, detail),
      hint && h("p", { class: "problem-hint" }, hint),
    ),
  );
}
