// Which part of the page is seen. The address after "#" says it, so back, forward and bookmarks work.

import { setAttribute, setHidden, setText } from "./dom.js";

const VIEWS = {
  takes: { title: "VidProd", skip: "Skip to your takes", focus: "takes-title" },
  calendar: { title: "Calendar · VidProd", skip: "Skip to the calendar", focus: "calendar-title" },
  accounts: { title: "Accounts · VidProd", skip: "Skip to your accounts", focus: "accounts-title" },
  webhooks: { title: "Webhooks · VidProd", skip: "Skip to your webhooks", focus: "webhooks-title" },
};

const skip = document.getElementById("skip");
let shown = "takes";

/** `onView(name)` hears of each view that comes, also of the first. */
export function startRoutes({ onView }) {
  const go = ({ byHand }) => {
    const name = location.hash.slice(1).split("?")[0] || "takes";
    if (!(name in VIEWS)) return; // an anchor of something else
    const changed = name !== shown;
    shown = name;
    for (const view of document.querySelectorAll("[data-view]")) setHidden(view, view.dataset.view !== name);
    for (const tab of document.querySelectorAll(".tab")) setAttribute(tab, "aria-current", tab.hash === `#${name}` && "page");
    document.title = VIEWS[name].title;
    setText(skip, VIEWS[name].skip);
    if (changed) scrollTo(0, 0);
    if (changed && byHand) document.getElementById(VIEWS[name].focus).focus({ preventScroll: true });
    onView(name);
  };
  addEventListener("hashchange", () => go({ byHand: true }));
  skip.addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById(VIEWS[shown].focus).focus();
  });
  go({ byHand: false });
}

export function view() {
  return shown;
}
