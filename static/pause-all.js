// The switch that stops all publishing at once. It is seen on every view while it is on.

import { request } from "./api.js";
import { announce } from "./announce.js";
import { accounts } from "./accounts.js";
import { setHidden, setText, whileBusy } from "./dom.js";
import { pauses, view } from "./routes.js";
import { when } from "./words.js";

const MEMORY = "vidprod.paused"; // so that a page that opens has its place for it at once

const row = document.getElementById("pause-all");
const control = document.getElementById("pause-all-switch");
const words = document.getElementById("pause-all-words");

export function startPauseAll() {
  accounts.onChange(showPauseAll);
  control.addEventListener("click", () => whileBusy(control, turn));
  showPauseAll();
}

/** What is known now, on the view that is seen. */
export function showPauseAll() {
  const on = accounts.loaded ? accounts.pausedAt !== null : remembered();
  remember(on);
  row.dataset.state = on ? "on" : "off";
  control.setAttribute("aria-checked", String(on));
  const since = on && accounts.pausedAt ? ` since ${when(accounts.pausedAt)}` : "";
  const why = accounts.held ?? "What is planned waits."; // restored from a backup, or moved to another home
  setText(words, on ? `Nothing goes out${since}. ${why}` : "Segments go out as planned.");
  setHidden(row, !on && !pauses(), document.getElementById(`${view()}-title`));
}

async function turn() {
  const on = control.getAttribute("aria-checked") !== "true";
  try {
    const { paused_at: at } = await request("POST", `/v1/publishing/${on ? "pause" : "resume"}`);
    accounts.setPaused(at);
    announce(on ? "All publishing is paused." : "Publishing goes on.");
  } catch (problem) {
    setText(words, problem.words);
    announce(problem.words);
  }
  accounts.load();
}

function remembered() {
  try {
    return localStorage.getItem(MEMORY) === "on";
  } catch {
    return false;
  }
}

function remember(on) {
  try {
    if (on) localStorage.setItem(MEMORY, "on");
    else localStorage.removeItem(MEMORY);
  } catch {
    // forbidden: then the row comes when the server has answered
  }
}
