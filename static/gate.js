// What the pages to sign in and to set up have in common: a form that is sent as JSON, and where one goes afterwards.

import { request } from "./api.js";
import { whileBusy } from "./dom.js";
import { problemBox } from "./problem.js";

const form = document.getElementById("form");
const words = document.getElementById("words");
const trouble = document.getElementById("trouble");

/**
 * `begin(state)` says what keeps somebody from the form, "" when nothing does; `refused(problem)` and `done()` hear what
 * the server answered.
 */
export async function startGate({ path, begin, refused, done }) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    whileBusy(document.getElementById("go"), () => send({ path, refused, done }));
  });
  try {
    const why = begin(await request("GET", "/login/state"));
    if (why === undefined) return;
    say(why || unsafe());
    form.hidden = Boolean(why);
    if (!why) form.querySelector(".field:not([hidden]) input").focus();
  } catch (problem) {
    form.hidden = false;
    trouble.replaceChildren(problemBox(problem));
  }
}

export function fieldOf(name) {
  return document.getElementById(name);
}

/** To where somebody wanted to go, on this server only, or to `place`. */
export function go(place = new URLSearchParams(location.search).get("next") ?? "/") {
  const wanted = new URL(place, location.origin);
  location.replace(wanted.origin === location.origin ? wanted.pathname + wanted.search + location.hash : "/");
}

async function send({ path, refused, done }) {
  trouble.replaceChildren();
  const filled = [...form.elements].filter((field) => field.name && !field.closest("[hidden]"));
  try {
    await request("POST", path, Object.fromEntries(filled.map(({ name, value }) => [name, value])));
    done();
  } catch (problem) {
    trouble.replaceChildren(problemBox(problem));
    refused(problem);
  }
}

function say(text) {
  words.textContent = text;
  words.hidden = !text;
}

/** Over plain http a browser keeps the sign-in on its own machine only. */
function unsafe() {
  return isSecureContext ? "" : "This address is not encrypted: browsers keep no sign-in for it. Open VidProd by its https address.";
}
