// A note while there is no backup of last night: why, since when, and what follows.

import { announce } from "./announce.js";
import { request } from "./api.js";
import { setHidden } from "./dom.js";
import { problemBox } from "./problem.js";
import { when } from "./words.js";

const WORDS = {
  failed: { title: "The last backup failed", hint: "It is tried again every hour." },
  overdue: { title: "There is no backup of last night", hint: "The log of the daemon, or “vidprod doctor”, may say why." },
};

const place = document.getElementById("backup");
let shown = "";

/** Asks how backups stand, and says so where it is not well. */
export async function lookForBackup() {
  try {
    show(await request("GET", "/v1/backup"));
  } catch {
    // that the server cannot be asked is said elsewhere
  }
}

function show({ trouble, at, fault }) {
  const key = trouble ? JSON.stringify([trouble, at, fault]) : "";
  if (key === shown) return;
  const words = trouble && inWords(trouble, at, fault);
  announce(words ? `${words.title}. ${words.detail}` : "A backup was made.");
  shown = key;
  place.replaceChildren(...(words ? [problemBox(words)] : []));
  setHidden(place, !words);
}

function inWords(trouble, at, fault) {
  const { title, hint } = WORDS[trouble];
  const good = at ? `The last good one was made at ${when(at)}.` : "None was made yet.";
  return { title, detail: fault ? `${sentence(fault)} ${good}` : good, hint };
}

function sentence(said) {
  const words = said.charAt(0).toUpperCase() + said.slice(1);
  return /[.!?]$/.test(words) ? words : `${words}.`;
}
