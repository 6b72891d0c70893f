// Which part of the page is seen. The address after "#" says it, so back, forward and bookmarks work.

import { setAttribute, setHidden, setText } from "./dom.js";

const VIEWS = {
  takes: { title: "VidProd", skip: "Skip to your takes", focus: "takes-title" },
  calendar: { title: "Calendar · VidProd", skip: "Skip to the calendar", focus: "calendar-title", pauses: true },
  accounts: { title: "Accounts · VidProd", skip: "Skip to your accounts", focus: "accounts-title", pauses: true },
  webhooks: { title: "Webhooks · VidProd", skip: "Skip to your webhooks", focus: "webhooks-title" },
  security: { title: "Security · VidProd", skip: "Skip to who gets in", focus: "security-title" },
};

const skip = document.getElementById("skip");
let shown = "takes";
turn(); // before anything is drawn: nothing of another view flashes up

/** `onView(name)` hears of each view that comes, also of the first. */
export function startRoutes({ onView }) {
  addEventListener("hashchange", () => {
    for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close(); // on a phone "back" is how one closes it
    const before = shown;
    turn();
    if (shown === before) return;
    scrollTo(0, 0);
    document.getElementById(VIEWS[shown].focus).focus({ preventScroll: true });
    onView(shown);
  });
  skip.addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById(VIEWS[shown].focus).focus();
  });
  onView(shown);
}

/** To what the address says; an anchor of something else changes nothing. */
function turn() {
  const name = location.hash.slice(1) || "takes";
  if (!(name in VIEWS)) return;
  shown = name;
  for (const view of document.querySelectorAll("[data-view]")) setHidden(view, view.dataset.view !== name);
  for (const tab of document.querySelectorAll(".tab")) setAttribute(tab, "aria-current", tab.hash === `#${name}` && "page");
  setHidden(document.getElementById("pause-all"), !VIEWS[name].pauses);
  document.title = VIEWS[name].title;
  setText(skip, VIEWS[name].skip);
  setAttribute(skip, "href", `#${VIEWS[name].focus}`);
}

export function view() {
  return shown;
}

/** Whether the switch that stops all publishing is always seen there. */
export function pauses() {
  return Boolean(VIEWS[shown].pauses);
}
