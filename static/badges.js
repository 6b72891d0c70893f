// The numbers on the tabs: how many there wait for somebody.

import { accounts } from "./accounts.js";
import { h, setHidden } from "./dom.js";
import { publications } from "./publications.js";
import { toReview } from "./to-review.js";

export function startBadges() {
  accounts.onChange(() => {
    const dead = accounts.list.filter((account) => account.state === "needs_reauth").length;
    showBadge("accounts", dead, " to be connected again");
  });
  const needs = () => {
    const number = publications.news.length + toReview.segments;
    showBadge("calendar", number, number === 1 ? " needs you" : " need you");
  };
  publications.onChange(needs);
  toReview.onChange(needs);
}

/** `words`: what is to be read out behind the number. */
export function showBadge(name, number, words) {
  const badge = document.getElementById(`${name}-badge`);
  setHidden(badge, number === 0);
  badge.replaceChildren(String(number), h("span", { class: "sr-only" }, words));
}
