// The views beside the takes. Each is made when it is first opened; from then on it hears what happens.

import { accounts } from "./accounts.js";
import { announce } from "./announce.js";
import { h, whileBusy } from "./dom.js";
import { part } from "./parts.js";
import { problemBox } from "./problem.js";
import { view } from "./routes.js";

const MAKE = {
  accounts: ({ AccountsView }) => new AccountsView(),
  calendar: async ({ Calendar }) => {
    await accounts.known; // by the daemon's clock it begins with this week
    return new Calendar();
  },
  webhooks: ({ WebhooksView }) => new WebhooksView(),
  security: ({ SecurityView }) => new SecurityView(),
};

const made = new Map(); // name → the view
const opening = new Set();

/** It comes to be seen. */
export async function openView(name) {
  if (opening.has(name)) return;
  opening.add(name);
  try {
    await make(name);
  } catch (problem) {
    refuse(name, problem);
  } finally {
    opening.delete(name);
  }
  if (view() === name) made.get(name)?.show();
}

/** Something may have changed unheard. */
export function resyncViews() {
  for (const one of made.values()) one.resync();
}

export function tellViews(event) {
  for (const one of made.values()) one.event(event);
}

async function make(name) {
  if (made.has(name)) return;
  const module = await part(name);
  document.getElementById(`${name}-problem`).replaceChildren();
  made.set(name, await MAKE[name](module));
}

function refuse(name, problem) {
  const title = document.getElementById(`${name}-title`);
  const work = async () => {
    title.focus();
    await openView(name);
  };
  const again = h("button", { class: "button", type: "button", onclick: () => whileBusy(again, work) }, "Try again");
  document.getElementById(`${name}-problem`).replaceChildren(problemBox(problem), again);
  document.getElementById(`${name}-loading`)?.setAttribute("hidden", "");
  announce(problem.words);
}
