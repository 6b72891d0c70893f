// A note while the machine is short of disk, memory or connections: what waits for that, and what helps.

import { announce } from "./announce.js";
import { request } from "./api.js";
import { problemBox } from "./problem.js";

const TITLE = {
  tight: "No new takes are taken for now",
  strained: "No new takes are taken for now, and those that are here wait",
};
const GOES_ON = "What is planned still goes out.";

const place = document.getElementById("pressure");
let shown = "";
let level = "ok";

/** Asks how it stands, and says so where it is not well. */
export async function lookForPressure() {
  try {
    show(await request("GET", "/v1/pressure"));
  } catch {
    // that the server cannot be asked is said elsewhere
  }
}

function show(pressure) {
  const [worst] = pressure.causes;
  const key = worst ? JSON.stringify([pressure.level, pressure.causes.map(({ message }) => message)]) : "";
  if (key === shown) return;
  shown = key;
  place.hidden = !worst;
  place.replaceChildren(...(worst ? [note(pressure)] : []));
  if (pressure.level !== level) announce(worst ? `${TITLE[pressure.level]}. ${worst.message}` : "New takes are taken again.");
  level = pressure.level;
}

function note({ level: now, causes }) {
  const all = (of) => [...new Set(causes.map((cause) => cause[of]))].join(" "); // each volume, where two are full
  return problemBox({ title: TITLE[now], detail: all("message"), hint: `${all("hint")} ${GOES_ON}` });
}
