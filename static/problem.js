// A problem, as it was told: title, detail, and what to do about it.

import { h, icon } from "./dom.js";

/** A box for a Problem, or for what has the same words. */
export function problemBox({ title, detail, hint }) {
  return h(
    "div",
    { class: "problem" },
    icon("alert"),
    h(
      "div",
      { class: "problem-words" },
      h("p", { class: "problem-title" }, title),
      detail && detail !== title && h("p", {}, detail),
      hint && h("p", {}, hint),
    ),
  );
}
